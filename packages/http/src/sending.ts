// What a connection sends: its answers, and parts of files between them.

import { type File, IOError, type Socket } from "@io/core";
import { isOfPeer } from "./errors.js";
import { Outbox, type OutboxOwner } from "./outbox.js";
import type { ServerCore } from "./server_core.js";

/** With so much that the client has not taken, no further request is read. */
const MAX_UNSENT_BYTES = 64 * 1024;
/** A client has the time of `sendTimeoutMs` to take some of each of these pieces of a file. */
const FILE_BYTES_AT_ONCE = 1024 * 1024;

/** What it reports to its connection. */
export interface SendingOwner {
  /** The client has taken enough for more to be written. */
  onRoom(): void;
  /** Nothing is left to be sent. */
  onDrained(): void;
  /** The connection is broken: nothing more can be sent. */
  onSendFailed(cause: unknown): void;
  /** A file could not be sent: the answer cannot go on. Its handler gets the error. */
  onFileFailed(cause: unknown): void;
}

export class Sending implements OutboxOwner {
  readonly outbox: Outbox;
  /** Bytes that the kernel has taken. */
  sentBytes = 0;
  readonly #server: ServerCore;
  readonly #socket: Socket;
  readonly #owner: SendingOwner;
  #roomWaiters: (() => void)[] = [];
  #drainWaiters: (() => void)[] = [];
  #bytesAtLastLook = -1;

  constructor(server: ServerCore, socket: Socket, owner: SendingOwner) {
    this.#server = server;
    this.#socket = socket;
    this.#owner = owner;
    this.outbox = new Outbox(server.ring, socket.descriptor, server.blocks, this);
  }

  /** With those that wait to be sent. */
  get writtenBytes(): number {
    return this.sentBytes + this.outbox.bytes;
  }

  get isFull(): boolean {
    return this.outbox.bytes > MAX_UNSENT_BYTES;
  }

  /** Resolves when the client has taken enough for more to be written, or has gone. */
  room(): Promise<void> {
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Whether the client has taken some since this was last asked. */
  hasGoneOn(): boolean {
    const goesOn = this.sentBytes !== this.#bytesAtLastLook;
    this.#bytesAtLastLook = this.sentBytes;
    return goesOn;
  }

  /** Sends a part of a file behind all that was written; resolves with the bytes. */
  async sendFile(file: File, offset: number, lengthBytes: number): Promise<number> {
    if (!this.outbox.isEmpty) {
      // The head goes in one packet with the first bytes of the file.
      this.outbox.moreFollows = true;
      await new Promise<void>((resolve) => this.#drainWaiters.push(resolve));
      this.outbox.moreFollows = false;
    }
    const timeoutMs = this.#server.sendTimeoutMs;
    const options = timeoutMs > 0 ? { timeoutMs } : null;
    let sent = 0;
    try {
      while (sent < lengthBytes && !this.outbox.broken) {
        const piece = Math.min(FILE_BYTES_AT_ONCE, lengthBytes - sent);
        const count = await this.#sendPiece(file, offset + sent, piece, options);
        sent += count;
        this.sentBytes += count;
        this.#server.metrics.sentBytes += count;
        if (count === 0) break; // the file has become shorter
      }
    } catch (error) {
      if (this.outbox.broken) return sent; // its socket was closed meanwhile
      if (!isOfPeer(error)) {
        this.#owner.onFileFailed(error);
        throw error;
      }
      this.#owner.onSendFailed(error);
    }
    return sent;
  }

  // A client that takes some within the time keeps the connection.
  async #sendPiece(
    file: File,
    offset: number,
    lengthBytes: number,
    options: { timeoutMs: number } | null,
  ): Promise<number> {
    try {
      return await this.#socket.sendFile(file, offset, lengthBytes, options);
    } catch (error) {
      const isLate = error instanceof IOError && error.code === "ETIMEDOUT";
      const taken = isLate ? (error.transferred ?? 0) : 0;
      if (taken === 0) throw error;
      return taken;
    }
  }

  /** Drops what waits: the connection has ended. */
  drop(): void {
    this.outbox.drop();
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
    for (const resolve of this.#drainWaiters.splice(0)) resolve();
  }

  onSent(count: number): void {
    this.sentBytes += count;
    this.#server.metrics.sentBytes += count;
    if (this.outbox.bytes > MAX_UNSENT_BYTES / 2) return;
    if (this.#roomWaiters.length > 0) {
      for (const resolve of this.#roomWaiters.splice(0)) resolve();
    }
    this.#owner.onRoom();
  }

  onDrained(): void {
    if (this.#drainWaiters.length > 0) {
      for (const resolve of this.#drainWaiters.splice(0)) resolve();
    }
    this.#owner.onDrained();
  }

  onSendFailed(cause: unknown): void {
    this.#owner.onSendFailed(cause);
  }
}
