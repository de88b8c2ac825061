// A connected socket as a stream needs it: receiving that can be stopped, gathered sends, and the
// end of both. Errors are the system's negative numbers; what they become is the stream's affair.

import { AsyncResource } from "node:async_hooks";
import { constants } from "node:os";
import {
  type Address,
  Completion,
  type Socket as CoreSocket,
  type Descriptor,
  MultishotCompletion,
  type SocketOptions,
} from "@io/core";
import type { Environment } from "./environment.js";
import { Sender, type SenderOwner, type Written } from "./sender.js";

/**
 * A receive ends when so much has come, and is made again while the stream wants more. So a stream
 * that was stopped holds no more than this.
 */
const RECEIVE_BYTES = 64 * 1024;
const NO_BUFFERS = -constants.errno.ENOBUFS;
const BROKEN_PIPE = -constants.errno.EPIPE;
const CANCELED = -constants.errno.ECANCELED;

/** What a transport tells its stream. */
export interface TransportOwner {
  /** Bytes have come, which are the stream's own. */
  onBytes(bytes: Buffer): void;
  /** The peer has ended. */
  onEnd(): void;
  onReceiveFailed(errno: number): void;
  /** What was flushed has gone, with 0, or has failed. */
  onWritten(errno: number, done: Written): void;
}

/** Memory of the program that is received into: the option `onread` of `node:net`. */
export interface OwnBuffer {
  readonly next: () => Uint8Array;
  /** Returns false to stop receiving. */
  readonly take: (count: number, buffer: Uint8Array) => boolean;
}

export class Transport extends AsyncResource implements SenderOwner {
  readonly environment: Environment;
  readonly socket: CoreSocket;
  /** Bytes that were received. */
  bytesRead = 0;
  /** Bytes that were given to be sent. */
  bytesWritten = 0;
  closed = false;
  readonly #owner: TransportOwner;
  /** As long as it has something to send. */
  #sender: Sender | null = null;
  readonly #receiving = new MultishotCompletion<Transport>(this);
  /** Whether the stream wants what comes. */
  #wants = false;
  #stopping = false;
  // What has come and was not wanted yet, and how it ended behind that.
  #held: Buffer[] | null = null;
  #ended: number | null = null;
  // The stream knows of the end.
  #told = false;
  #delivers = false;
  #own: OwnBuffer | null = null;
  #ownBuffer: Uint8Array | null = null;

  constructor(environment: Environment, socket: CoreSocket, owner: TransportOwner) {
    super("IOSOCKETWRAP");
    this.environment = environment;
    this.socket = socket;
    this.#owner = owner;
  }

  get #descriptor(): Descriptor {
    return this.socket.descriptor;
  }

  // ---- receiving

  receiveInto(own: OwnBuffer): void {
    this.#own = own;
  }

  /** Bytes that come are given to the stream, those that are held first. Never within this call. */
  readStart(): void {
    if (this.#wants || this.closed || this.#told) return;
    this.#wants = true;
    if (this.#held === null && this.#ended === null) {
      this.runInAsyncScope(this.#receive, this);
      return;
    }
    this.#deliverLater();
  }

  #deliverLater(): void {
    if (this.#delivers) return;
    this.#delivers = true;
    process.nextTick(() => {
      this.#delivers = false;
      this.runInAsyncScope(this.#deliver, this);
    });
  }

  readStop(): void {
    if (!this.#wants) return;
    this.#wants = false;
    // What has come together with the bytes that were enough is not kept back: Node reads up to
    // 64 KiB at once, too. It is the stream's when the connection is closed before it is read.
    this.#stopping = true;
    process.nextTick(() => {
      this.#stopping = false;
    });
  }

  // What a listener throws is the process's, and does not end the reading: here and below.
  #deliver(): void {
    while (this.#wants && this.#held !== null && !this.closed) {
      const bytes = this.#held.shift()!;
      if (this.#held.length === 0) this.#held = null;
      let isGiven = false;
      try {
        this.#give(bytes);
        isGiven = true;
      } finally {
        if (!isGiven) this.#deliverLater();
      }
    }
    if (!this.#wants || this.closed || this.#held !== null) return;
    if (this.#ended !== null) this.#finish(this.#ended);
    else this.#receive();
  }

  #give(bytes: Buffer): void {
    if (this.#own === null) {
      this.#owner.onBytes(bytes);
      return;
    }
    const buffer = this.#own.next();
    const count = bytes.copy(buffer);
    if (count < bytes.length) {
      this.#held ??= [];
      this.#held.unshift(bytes.subarray(count));
    }
    if (!this.#own.take(count, buffer)) this.readStop();
  }

  #receive(): void {
    if (this.#receiving.active || this.closed || this.#ended !== null) return;
    const { io, group } = this.environment;
    try {
      if (this.#own !== null) {
        this.#ownBuffer = this.#own.next();
        io.ring.receive(this.#receiving, onOwnReceived, this.#descriptor, this.#ownBuffer);
      } else {
        io.ring.receiveMultishot(
          this.#receiving,
          onReceived,
          this.#descriptor,
          group,
          RECEIVE_BYTES,
        );
      }
    } catch (error) {
      // The IO is closed, or has no room for one more operation.
      process.nextTick(() => this.#onEnded(errnoOf(error)));
    }
  }

  /** @internal */
  onReceived(result: number): void {
    if (result > 0) {
      const { group } = this.environment;
      const { bufferId, offset } = this.#receiving;
      const bytes = this.environment.copyOf(group.view(bufferId, offset, result));
      group.release(bufferId);
      if (this.closed) return;
      this.bytesRead += result;
      const taken = this.#wants || this.#stopping;
      try {
        if (taken && this.#held === null) this.#owner.onBytes(bytes);
        else {
          this.#held ??= [];
          this.#held.push(bytes);
        }
      } finally {
        if (this.#wants) this.#receive();
      }
      return;
    }
    if (this.closed) return;
    if (result === NO_BUFFERS) {
      this.environment.group.whenAvailable(() => {
        if (!this.#wants) return false;
        this.#receive();
        return true;
      });
    } else this.#onEnded(result);
  }

  /** @internal */
  onOwnReceived(result: number): void {
    if (this.closed) return;
    if (result <= 0) {
      this.#onEnded(result);
      return;
    }
    this.bytesRead += result;
    const buffer = this.#ownBuffer!;
    if (!this.#wants) {
      this.#held ??= [];
      this.#held.push(Buffer.from(buffer.subarray(0, result)));
      return;
    }
    try {
      if (!this.#own!.take(result, buffer)) this.readStop();
    } finally {
      if (this.#wants) this.#receive();
    }
  }

  #onEnded(result: number): void {
    this.#ended = result;
    if (this.#wants && this.#held === null) this.#finish(result);
  }

  #finish(result: number): void {
    this.readStop();
    this.#told = true;
    // The ends of two sockets may be in one batch of completions. What the first has brought about
    // is seen before the second, as where each comes by itself.
    if (result === 0) {
      process.nextTick(() => {
        if (!this.closed) this.runInAsyncScope(this.#owner.onEnd, this.#owner);
      });
    } else if (!this.closed || result !== CANCELED) this.#owner.onReceiveFailed(result);
  }

  // ---- sending

  /** Bytes that the kernel has not taken. */
  get pendingBytes(): number {
    return this.#sender === null ? 0 : this.#sender.pendingBytes;
  }

  put(data: Uint8Array | string, encoding: BufferEncoding): void {
    this.#sender ??= Sender.take(this.environment, this.#descriptor, this);
    this.bytesWritten += this.#sender.put(data, encoding);
  }

  /**
   * Sends all that was put; throws when the IO is closed. There is one at a time: the next one
   * begins when this has ended.
   */
  flush(done: Written): void {
    this.#sender ??= Sender.take(this.environment, this.#descriptor, this);
    this.#sender.flush(done);
  }

  /** @internal */
  onSent(errno: number, done: Written): void {
    if (this.#sender!.giveBack()) this.#sender = null;
    const why = errno === BROKEN_PIPE ? this.#brokenBy(errno) : errno;
    this.#owner.onWritten(why, done);
  }

  // The kernel reports once why a connection is broken, and a receive may have taken that report.
  #brokenBy(errno: number): number {
    return this.#ended !== null && this.#ended < 0 ? this.#ended : errno;
  }

  /** Sends what waits behind a send in flight, before a close: as far as the kernel takes it. */
  sendLast(pieces: readonly { chunk: Uint8Array | string; encoding: BufferEncoding }[]): void {
    const parts = pieces.map(({ chunk, encoding }) =>
      typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk,
    );
    const given = parts.filter(({ length }) => length > 0);
    if (given.length === 0) return;
    const { ring } = this.environment.io;
    const bytes = Buffer.concat(given);
    try {
      ring.send(new Completion(), ignore, this.#descriptor, bytes);
      this.bytesWritten += bytes.length;
    } catch {
      // The IO is closed, and with it the connection.
    }
  }

  /** Ends this direction, behind all that was sent. */
  shutdown(done: () => void): void {
    const { ring } = this.environment.io;
    try {
      ring.shutdown(new Completion(), done, this.#descriptor, "send");
    } catch {
      process.nextTick(done); // the IO is closed, and with it the connection
    }
  }

  // ---- the rest

  /** Whether the stream wants what comes. */
  get reading(): boolean {
    return this.#wants;
  }

  /** `node:http` says so by the handle of a socket before it calls `readStart()`. */
  set reading(_reading: boolean) {
    // The calls count.
  }

  /** What `node:http` asks the handle of a socket for. */
  getAsyncId(): number {
    return this.asyncId();
  }

  get localAddress(): Address | null {
    return this.socket.localAddress;
  }

  get remoteAddress(): Address | null {
    return this.socket.remoteAddress;
  }

  setOptions(options: SocketOptions): void {
    try {
      this.socket.setOptions(options);
    } catch {
      // As in Node: a connection that has ended takes no options, and says so when it is used.
    }
  }

  /** A delay of 0 leaves that of the system. */
  setKeepAlive(enable: boolean, delayMs: number): void {
    const idleMs = Math.floor(delayMs / 1000) * 1000;
    this.setOptions({ keepAlive: enable && idleMs > 0 ? { idleMs } : enable });
  }

  /** The close that follows resets the connection. */
  resetOnClose(): void {
    this.setOptions({ lingerMs: 0 });
  }

  ref(): void {
    this.socket.ref();
  }

  unref(): void {
    this.socket.unref();
  }

  /** Ends what is in flight; `done` is called when the descriptor is closed. */
  close(done: () => void): void {
    this.closed = true;
    // The kernel resets a connection that is closed with bytes in it that were not received. Those
    // that are held here would have been.
    if (this.#held !== null) this.resetOnClose();
    this.#held = null;
    const finished = (): void => process.nextTick(() => this.runInAsyncScope(done));
    this.socket.close().then(finished, finished);
  }
}

function errnoOf(error: unknown): number {
  const { errno } = error as NodeJS.ErrnoException;
  return typeof errno === "number" ? errno : CANCELED;
}

function ignore(): void {}

function onReceived({ context: transport }: Completion<Transport>, result: number): void {
  transport.onReceived(result);
}

function onOwnReceived({ context: transport }: Completion<Transport>, result: number): void {
  transport.onOwnReceived(result);
}
