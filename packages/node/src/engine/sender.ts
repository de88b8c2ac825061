// What a socket has to send: small pieces are copied together into blocks, large ones go as they
// are, and all of it leaves as one vectored send. One send is in flight at a time: what is put
// meanwhile leaves with the next.

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

/** What waits until all that was put before it has gone; it is given why that has failed. */
export type Waiter = (error: Error | null) => void;

/** What hears of the end of a send. */
export interface SenderOwner {
  /** With 0, or with the system's negative error number; never within `send`. */
  onSent(errno: number, waiters: readonly Waiter[]): void;
  /** What waited behind a send that has failed with this number; 0 of what was held back. */
  onUnsent(errno: number, waiters: readonly Waiter[]): void;
}

/** What leaves together, with the operation by which it does. */
class Batch {
  readonly completion = new Completion<Sender | null>(null);
  readonly parts: Uint8Array[] = [];
  /** To give back when all of it has gone. */
  readonly blocks: Block[] = [];
  readonly waiters: Waiter[] = [];
  bytes = 0;
}

/** Batches that nobody uses: a socket that sends nothing has none. */
const idle: Batch[] = [];

export class Sender {
  /** Bytes that were given to it. */
  bytes = 0;
  /** Bytes that the kernel has not taken. */
  pendingBytes = 0;
  /** What is put waits for `send`, also behind what is in flight. */
  held = false;
  readonly #owner: SenderOwner;
  readonly #environment: Environment;
  readonly #descriptor: Descriptor;
  #sending: Batch | null = null;
  #next: Batch | null = null;
  #block: Block | null = null;
  #closed = false;

  constructor(environment: Environment, descriptor: Descriptor, owner: SenderOwner) {
    this.#owner = owner;
    this.#environment = environment;
    this.#descriptor = descriptor;
  }

  /** Whether all that was put has gone. */
  get isIdle(): boolean {
    return this.#sending === null && this.#next === null;
  }

  #batch(): Batch {
    this.#next ??= idle.pop() ?? new Batch();
    return this.#next;
  }

  /** Adds to what the next `send` sends. */
  put(data: Uint8Array | string, encoding: BufferEncoding): void {
    if (typeof data === "string") this.#putText(data, encoding);
    else this.#putBytes(data);
  }

  /** Calls back when all that was put so far has gone. */
  wait(waiter: Waiter): void {
    (this.#next ?? this.#sending ?? this.#batch()).waiters.push(waiter);
  }

  #putBytes(data: Uint8Array): void {
    const { length } = data;
    if (length === 0) return;
    if (length > MAX_COPY_BYTES) {
      this.#endBlock();
      this.#batch().parts.push(data);
    } else {
      const block = this.#room(length);
      block.bytes.set(data, block.used);
      block.used += length;
    }
    this.#count(length);
  }

  #putText(data: string, encoding: BufferEncoding): void {
    if (data.length === 0) return; // as node:http writes at the end of each answer
    // Three bytes are the most that a unit of UTF-16 takes in any encoding.
    const most = data.length * 3;
    if (most > MAX_COPY_BYTES) {
      this.#putBytes(Buffer.from(data, encoding));
      return;
    }
    const block = this.#room(most);
    const count = block.bytes.write(data, block.used, encoding);
    block.used += count;
    this.#count(count);
  }

  #count(bytes: number): void {
    this.bytes += bytes;
    this.pendingBytes += bytes;
    this.#batch().bytes += bytes;
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
    const batch = this.#batch();
    batch.blocks.push(block);
    batch.parts.push(block.view);
  }

  /** Sends what was put, behind what is in flight. */
  send(): void {
    this.held = false;
    if (this.#sending === null && this.#next !== null) this.#begin(this.#next);
  }

  #begin(batch: Batch): void {
    this.#endBlock();
    this.#next = null;
    this.#sending = batch;
    batch.completion.context = this;
    try {
      this.#hand(batch);
    } catch {
      process.nextTick(() => this.#finish(CLOSED)); // the IO was closed
    }
  }

  #hand({ completion, parts }: Batch): void {
    const { ring } = this.#environment.io;
    if (parts.length < 2) {
      // A send of nothing, too, tells whether the connection is still there.
      ring.send(completion, onSent, this.#descriptor, parts[0] ?? NOTHING);
    } else {
      const some = parts.length > MAX_PARTS ? parts.slice(0, MAX_PARTS) : parts;
      ring.sendVectored(completion, onSent, this.#descriptor, some);
    }
  }

  /** @internal */
  onSent(result: number): void {
    const batch = this.#sending!;
    if (result < 0) {
      this.#finish(result);
      return;
    }
    this.pendingBytes -= result;
    batch.bytes -= result;
    if (batch.bytes === 0) {
      this.#finish(0);
      return;
    }
    drop(batch.parts, result);
    try {
      this.#hand(batch);
    } catch {
      this.#finish(CLOSED);
    }
  }

  #finish(errno: number): void {
    const batch = this.#sending!;
    this.#sending = null;
    try {
      this.#owner.onSent(errno, batch.waiters);
    } finally {
      this.#release(batch);
      if (errno < 0) this.close(errno);
      else if (this.#next !== null && !this.held && !this.#closed) this.send();
    }
  }

  #release(batch: Batch): void {
    // Set to a length of 0, an array would let its memory go, which the next send needs again.
    for (let block = batch.blocks.pop(); block !== undefined; block = batch.blocks.pop()) {
      this.#environment.giveBlock(block);
    }
    while (batch.parts.length > 0) batch.parts.pop();
    while (batch.waiters.length > 0) batch.waiters.pop();
    this.pendingBytes -= batch.bytes;
    batch.bytes = 0;
    batch.completion.context = null;
    idle.push(batch);
  }

  /**
   * Ends it. What has not been handed over goes behind what has, as far as the kernel takes it,
   * unless a send has failed.
   */
  close(errno = 0): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endBlock();
    const batch = this.#next;
    if (batch === null) return;
    this.#next = null;
    const { parts } = batch;
    const waiters = [...batch.waiters];
    const isSent = errno === 0 && !this.held;
    if (isSent && parts.length > 0) {
      try {
        const { ring } = this.#environment.io;
        ring.send(new Completion(), ignore, this.#descriptor, Buffer.concat(parts));
      } catch {
        // The IO is closed, and with it the connection.
      }
    }
    this.#release(batch);
    if (waiters.length === 0) return;
    process.nextTick(() => {
      if (isSent) this.#owner.onSent(0, waiters);
      else this.#owner.onUnsent(errno, waiters);
    });
  }
}

// The kernel has taken a part of it.
function drop(parts: Uint8Array[], count: number): void {
  let left = count;
  let index = 0;
  for (; index < parts.length; index++) {
    const { length } = parts[index]!;
    if (left < length) break;
    left -= length;
  }
  parts.splice(0, index);
  if (left > 0) parts[0] = parts[0]!.subarray(left);
}

const CLOSED = -constants.errno.ECANCELED;

function ignore(): void {}

function onSent({ context: sender }: Completion<Sender | null>, result: number): void {
  sender?.onSent(result);
}
