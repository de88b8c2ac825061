// What a connection has to send: small pieces are copied together into blocks of the server, large
// ones go as they are. One send is in flight at a time; what comes meanwhile goes with the next.

import { Completion, type Descriptor, type Ring } from "@io/core";
import { writeText } from "./native_text.js";

const BLOCK_BYTES = 16 * 1024;
const BLOCKS_IN_SLAB = 32;
/** So many are made in slabs and kept (32 MiB). More are for a crowd, and are garbage with it. */
const MAX_KEPT_BLOCKS = 2048;
// Pages apart, the beginnings of blocks would compete for the same lines of the processor's cache.
const GAP_BYTES = 192;
/** A piece of this size is not copied. */
export const OWN_BYTES = 4 * 1024;
const MAX_PARTS = 64;

/** Memory that answers are written into, with the completion of its sends. */
export class Block {
  readonly bytes: Buffer;
  readonly completion = new Completion<Block>(this);
  /** Whose bytes it holds while it is sent. */
  outbox: Outbox | null = null;
  used = 0;
  readonly isKept: boolean;
  #view: Uint8Array;

  constructor(bytes: Buffer, isKept: boolean) {
    this.bytes = bytes;
    this.isKept = isKept;
    this.#view = bytes;
  }

  /** What was written. Answers are often as long as the last one: then the view is the same. */
  get view(): Uint8Array {
    if (this.#view.length !== this.used) {
      this.#view = new Uint8Array(this.bytes.buffer, this.bytes.byteOffset, this.used);
    }
    return this.#view;
  }
}

/** The blocks that are in no use, the last used first. */
export class BlockPool {
  readonly #free: Block[] = [];
  #kept = 0;

  take(): Block {
    const block = this.#free.pop();
    if (block !== undefined) return block;
    if (this.#kept >= MAX_KEPT_BLOCKS) {
      return new Block(Buffer.allocUnsafeSlow(BLOCK_BYTES), false);
    }
    this.#kept += BLOCKS_IN_SLAB;
    const strideBytes = BLOCK_BYTES + GAP_BYTES;
    const slab = new ArrayBuffer(strideBytes * BLOCKS_IN_SLAB);
    for (let index = BLOCKS_IN_SLAB - 1; index >= 0; index--) {
      this.#free.push(new Block(Buffer.from(slab, index * strideBytes, BLOCK_BYTES), true));
    }
    return this.#free.pop()!;
  }

  give(block: Block): void {
    block.used = 0;
    block.outbox = null;
    if (block.isKept) this.#free.push(block);
  }
}

/** What the outbox tells its connection. */
export interface OutboxOwner {
  /** The kernel has taken bytes. */
  onSent(count: number): void;
  /** Nothing is left to be sent. */
  onDrained(): void;
  /** The connection is broken: nothing more can be sent. */
  onSendFailed(cause: unknown): void;
}

export class Outbox {
  /** Bytes that the kernel has not taken. */
  bytes = 0;
  /** Nothing more is sent. */
  broken = false;
  /** Bytes of others follow at once: the system may keep a part of a packet for them. */
  moreFollows = false;
  readonly #ring: Ring;
  readonly #descriptor: Descriptor;
  readonly #pool: BlockPool;
  readonly #owner: OutboxOwner;
  // What is being written.
  #block: Block | null = null;
  // What is complete and waits: a block, or bytes that are sent as they are.
  #parts: (Block | Uint8Array)[] = [];
  // What is in flight: blocks to give back, and the bytes that are left of it.
  #sending: (Block | Uint8Array)[] = [];
  #unsent: Uint8Array[] = [];
  #inFlight = false;
  readonly #many = new Completion<Outbox>(this);

  constructor(ring: Ring, descriptor: Descriptor, pool: BlockPool, owner: OutboxOwner) {
    this.#ring = ring;
    this.#descriptor = descriptor;
    this.#pool = pool;
    this.#owner = owner;
  }

  /** Whether nothing waits and nothing is in flight. */
  get isEmpty(): boolean {
    return this.bytes === 0 && !this.#inFlight;
  }

  /** A block with room for so many bytes, which the caller writes at `used` and counts there. */
  room(sizeBytes: number): Block {
    const block = this.#block;
    if (block !== null && block.used + sizeBytes <= BLOCK_BYTES) return block;
    if (block !== null) this.#parts.push(block);
    this.#block = this.#pool.take();
    return this.#block;
  }

  /** Counts what the caller has written into the block of `room`. */
  wrote(block: Block, sizeBytes: number): void {
    block.used += sizeBytes;
    this.bytes += sizeBytes;
  }

  /** Sends bytes, copied when they are few; otherwise they must stay as they are until then. */
  put(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length >= OWN_BYTES) {
      this.#endBlock();
      this.#parts.push(bytes);
      this.bytes += length;
      return;
    }
    if (length === 0) return;
    const block = this.room(length);
    block.bytes.set(bytes, block.used);
    this.wrote(block, length);
  }

  /** Sends text as UTF-8. */
  putText(text: string): void {
    // Three bytes are the most that a unit of UTF-16 takes.
    if (text.length * 3 > OWN_BYTES) {
      this.put(Buffer.from(text, "utf8"));
      return;
    }
    const block = this.room(text.length * 3);
    this.wrote(block, writeText(block.bytes, block.used, text));
  }

  /** Sends what waits, unless a send is in flight: then it goes with the next. */
  flush(): void {
    if (this.#inFlight || this.bytes === 0 || this.broken) return;
    const block = this.#block;
    if (this.#parts.length === 0 && block !== null) {
      // The usual case: one block.
      this.#block = null;
      this.#inFlight = true;
      block.outbox = this;
      try {
        const { completion, view } = block;
        const { moreFollows } = this;
        this.#ring.send(completion, onBlockSent, this.#descriptor, view, "never", moreFollows);
      } catch (error) {
        this.#pool.give(block);
        this.#failed(error);
      }
      return;
    }
    this.#endBlock();
    this.#sending = this.#parts.splice(0, MAX_PARTS);
    this.#unsent = this.#sending.map((part) => (part instanceof Block ? part.view : part));
    this.#inFlight = true;
    this.#sendMany();
  }

  /** Drops what waits: the connection is broken. Blocks in flight go back when the kernel has. */
  drop(): void {
    this.broken = true;
    for (const part of this.#parts) if (part instanceof Block) this.#pool.give(part);
    if (this.#block !== null) this.#pool.give(this.#block);
    this.#parts = [];
    this.#block = null;
    this.bytes = 0;
  }

  #endBlock(): void {
    if (this.#block === null) return;
    if (this.#block.used > 0) this.#parts.push(this.#block);
    else this.#pool.give(this.#block);
    this.#block = null;
  }

  #sendMany(): void {
    const [first] = this.#unsent;
    const { moreFollows } = this;
    const many = this.#many;
    const descriptor = this.#descriptor;
    try {
      if (this.#unsent.length > 1) {
        const unsent = this.#unsent;
        this.#ring.sendVectored(many, onManySent, descriptor, unsent, "never", moreFollows);
      } else this.#ring.send(many, onManySent, descriptor, first!, "never", moreFollows);
    } catch (error) {
      this.#giveBack();
      this.#failed(error);
    }
  }

  /** @internal */
  blockSent(block: Block, result: number): void {
    if (result === block.used) {
      this.#pool.give(block);
      this.#sent(result);
      return;
    }
    if (result < 0) {
      this.#pool.give(block);
      this.#failed(result);
      return;
    }
    // The kernel has taken a part of it.
    this.#sending = [block];
    this.#unsent = [block.view];
    this.manySent(result);
  }

  /** @internal */
  manySent(result: number): void {
    if (result < 0) {
      this.#giveBack();
      this.#failed(result);
      return;
    }
    let left = result;
    let index = 0;
    for (; index < this.#unsent.length; index++) {
      const { length } = this.#unsent[index]!;
      if (left < length) break;
      left -= length;
    }
    const rest = this.#unsent.slice(index);
    if (rest.length > 0 && !this.broken) {
      rest[0] = rest[0]!.subarray(left);
      this.#unsent = rest;
      this.bytes -= result;
      this.#owner.onSent(result);
      this.#sendMany();
      return;
    }
    this.#giveBack();
    this.#sent(result);
  }

  #giveBack(): void {
    for (const part of this.#sending) if (part instanceof Block) this.#pool.give(part);
    this.#sending = [];
    this.#unsent = [];
  }

  #sent(count: number): void {
    this.#inFlight = false;
    if (this.broken) return;
    this.bytes -= count;
    this.#owner.onSent(count);
    if (this.bytes > 0) this.flush();
    else this.#owner.onDrained();
  }

  // The system's negative error number, or what the verb threw: the IO is closed, or has no room.
  #failed(cause: unknown): void {
    this.#inFlight = false;
    if (this.broken) return;
    this.drop();
    this.#owner.onSendFailed(cause);
  }
}

function onBlockSent({ context: block }: Completion<Block>, result: number): void {
  block.outbox!.blockSent(block, result);
}

function onManySent({ context: outbox }: Completion<Outbox>, result: number): void {
  outbox.manySent(result);
}
