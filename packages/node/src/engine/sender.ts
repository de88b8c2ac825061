// What a socket has to send: small pieces are copied together into blocks, large ones go as they
// are, and all of it leaves as one vectored send. One send is in flight at a time. Most sockets
// send nothing most of the time, so those that do take their senders from one store.

import { constants } from "node:os";
import { Completion, type Descriptor } from "@io/core";
import { type Block, type Environment, MAX_CUT_BYTES } from "./environment.js";

/**
 * A longer piece is not copied. The engine keeps the memory that it has sent from, for the next
 * time. A chunk that was received and is sent on is cut from memory of which many chunks are made.
 * That is never used again, and kept by the engine it would outlive what the collector of new
 * objects frees.
 */
const MAX_COPY_BYTES = MAX_CUT_BYTES;
const MAX_PARTS = 1024;
const NOTHING = new Uint8Array(0);
/** So many wait for the next sends; more than that were in use at one time and are garbage. */
const MAX_FREE = 1024;

/** What the owner of a send waits for with it. */
export type Written = (error?: Error | null) => void;

/** What hears of the end of a send. */
export interface SenderOwner {
  /** With 0, or with the system's negative error number; never within `flush`. */
  onSent(errno: number, done: Written): void;
}

export class Sender {
  /** Bytes that the kernel has not taken. */
  pendingBytes = 0;
  readonly #environment: Environment;
  readonly #completion = new Completion<Sender>(this);
  #owner: SenderOwner | null = null;
  #descriptor: Descriptor = -1;
  #done: Written | null = null;
  #parts: Uint8Array[] = [];
  // Blocks to give back when all of it has gone.
  #blocks: Block[] = [];
  #block: Block | null = null;
  // The completion remembers the memory that it was used with last.
  #hasForeignMemory = false;

  private constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** One for this descriptor, until it is given back. */
  static take(environment: Environment, descriptor: Descriptor, owner: SenderOwner): Sender {
    const sender = environment.senders.pop() ?? new Sender(environment);
    sender.#descriptor = descriptor;
    sender.#owner = owner;
    return sender;
  }

  /**
   * Gives it back when nothing is in flight. One that has sent memory of the program stays with its
   * owner, and keeps that memory no longer than the owner is there: false.
   */
  giveBack(): boolean {
    if (this.#hasForeignMemory) return false;
    this.#owner = null;
    const { senders } = this.#environment;
    if (senders.length < MAX_FREE) senders.push(this);
    return true;
  }

  /** Adds to what the next `flush` sends; returns how many bytes that is. */
  put(data: Uint8Array | string, encoding: BufferEncoding): number {
    const count = typeof data === "string" ? this.#putText(data, encoding) : this.#putBytes(data);
    this.pendingBytes += count;
    return count;
  }

  #putBytes(data: Uint8Array): number {
    const { length } = data;
    if (length === 0) return 0;
    if (length > MAX_COPY_BYTES) {
      this.#endBlock();
      this.#parts.push(fixed(data));
      this.#hasForeignMemory = true;
      return length;
    }
    const block = this.#room(length);
    block.bytes.set(data, block.used);
    block.used += length;
    return length;
  }

  #putText(data: string, encoding: BufferEncoding): number {
    if (data.length === 0) return 0; // as node:http writes at the end of each answer
    // Three bytes are the most that a unit of UTF-16 takes in any encoding.
    const most = data.length * 3;
    if (most > MAX_COPY_BYTES) return this.#putBytes(Buffer.from(data, encoding));
    const block = this.#room(most);
    const count = block.bytes.write(data, block.used, encoding);
    block.used += count;
    return count;
  }

  #room(sizeBytes: number): Block {
    const block = this.#block;
    if (block !== null && block.left >= sizeBytes) return block;
    if (block !== null) this.#endBlock();
    this.#block = this.#environment.takeBlock();
    return this.#block;
  }

  #endBlock(): void {
    const block = this.#block;
    if (block === null) return;
    this.#block = null;
    if (block.used === 0) {
      this.#environment.giveBlock(block);
      return;
    }
    this.#blocks.push(block);
    this.#parts.push(block.view);
  }

  /** Sends all that was put, and tells the owner once how it ended. */
  flush(done: Written): void {
    this.#done = done;
    this.#endBlock();
    this.#send();
  }

  #send(): void {
    const { ring } = this.#environment.io;
    const parts = this.#parts;
    if (parts.length < 2) {
      // A send of nothing, too, tells whether the connection is still there.
      ring.send(this.#completion, onSent, this.#descriptor, parts[0] ?? NOTHING);
    } else {
      const some = parts.length > MAX_PARTS ? parts.slice(0, MAX_PARTS) : parts;
      ring.sendVectored(this.#completion, onSent, this.#descriptor, some);
    }
  }

  /** @internal */
  onSent(result: number): void {
    if (result < 0) {
      this.#finish(result);
      return;
    }
    this.pendingBytes -= result;
    if (this.pendingBytes === 0) {
      this.#finish(0);
      return;
    }
    this.#drop(result);
    try {
      this.#send();
    } catch {
      this.#finish(CLOSED); // the IO was closed
    }
  }

  // The kernel has taken a part of it.
  #drop(count: number): void {
    let left = count;
    let index = 0;
    for (; index < this.#parts.length; index++) {
      const { length } = this.#parts[index]!;
      if (left < length) break;
      left -= length;
    }
    this.#parts.splice(0, index);
    if (left > 0) this.#parts[0] = this.#parts[0]!.subarray(left);
  }

  #finish(errno: number): void {
    // Set to a length of 0, an array would let its memory go, which the next send needs again.
    for (let block = this.#blocks.pop(); block !== undefined; block = this.#blocks.pop()) {
      this.#environment.giveBlock(block);
    }
    while (this.#parts.length > 0) this.#parts.pop();
    this.pendingBytes = 0;
    const done = this.#done!;
    this.#done = null;
    this.#owner!.onSent(errno, done);
  }
}

// Memory whose size may change cannot be the kernel's.
function fixed(data: Uint8Array): Uint8Array {
  const { resizable, growable } = data.buffer as { resizable?: boolean; growable?: boolean };
  return resizable === true || growable === true ? new Uint8Array(data) : data;
}

const CLOSED = -constants.errno.ECANCELED;

function onSent({ context: sender }: Completion<Sender>, result: number): void {
  sender.onSent(result);
}
