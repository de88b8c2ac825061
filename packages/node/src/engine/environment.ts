// What the sockets of an IO share: the memory they receive into, and the blocks they send from.

import { type BufferGroup, IO } from "@io/core";
import type { Sender } from "./sender.js";

const RECEIVE_BUFFER_BYTES = 16 * 1024;
const RECEIVE_MAX_BYTES = 16 * 1024 * 1024;
/** Chunks are cut from memory of this size, so that many of them are one allocation. */
const SLAB_BYTES = 64 * 1024;
/** A longer chunk has memory of its own. A small chunk that is kept keeps its slab. */
export const MAX_CUT_BYTES = 8 * 1024;

const BLOCK_BYTES = 16 * 1024;
const BLOCKS_AT_ONCE = 16;
/** So many stay for the next writes. More than that were in use at one time. */
const MAX_KEPT_BLOCKS = 1024;
// Pages apart, the beginnings of blocks would compete for the same lines of the processor's cache.
const GAP_BYTES = 192;

/** Memory that small writes are copied into, together. */
export class Block {
  readonly bytes: Buffer;
  used = 0;
  /** Of a block that V8 may collect while no socket uses it. */
  readonly weak: WeakRef<Block> | null;
  #view: Uint8Array;

  constructor(bytes: Buffer, isKept: boolean) {
    this.bytes = bytes;
    this.weak = isKept ? null : new WeakRef(this);
    this.#view = bytes;
  }

  /** What was written. Messages are often as long as the last one: then the view is the same. */
  get view(): Uint8Array {
    if (this.#view.length !== this.used) {
      this.#view = new Uint8Array(this.bytes.buffer, this.bytes.byteOffset, this.used);
    }
    return this.#view;
  }

  get left(): number {
    return BLOCK_BYTES - this.used;
  }
}

export class Environment {
  readonly io: IO;
  readonly group: BufferGroup;
  /** Those that no socket sends with. */
  readonly senders: Sender[] = [];
  #slab: Buffer = Buffer.alloc(0);
  #cut = 0;
  readonly #blocks: Block[] = [];
  // Those of allocations that are not kept; one block that is kept would keep the other fifteen.
  readonly #collectable: WeakRef<Block>[] = [];
  #madeBlocks = 0;

  constructor(io: IO) {
    this.io = io;
    this.group = io.ring.bufferGroup({
      bufferBytes: RECEIVE_BUFFER_BYTES,
      maxBytes: RECEIVE_MAX_BYTES,
    });
  }

  /** A copy of what was received, which is the program's own. */
  copyOf(bytes: Uint8Array): Buffer {
    const { length } = bytes;
    if (length > MAX_CUT_BYTES) {
      const own = Buffer.allocUnsafeSlow(length);
      own.set(bytes);
      return own;
    }
    if (this.#cut + length > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#cut = 0;
    }
    const start = this.#cut;
    this.#slab.set(bytes, start);
    // The next one begins where a view of 64-bit numbers may.
    this.#cut = (start + length + 7) & ~7;
    return this.#slab.subarray(start, start + length);
  }

  takeBlock(): Block {
    const free = this.#blocks.pop() ?? this.#takeCollectable();
    if (free !== undefined) return free;
    const isKept = this.#madeBlocks < MAX_KEPT_BLOCKS;
    if (isKept) this.#madeBlocks += BLOCKS_AT_ONCE;
    const strideBytes = BLOCK_BYTES + GAP_BYTES;
    const slab = new ArrayBuffer(strideBytes * BLOCKS_AT_ONCE);
    for (let index = BLOCKS_AT_ONCE - 1; index > 0; index--) {
      this.giveBlock(new Block(Buffer.from(slab, index * strideBytes, BLOCK_BYTES), isKept));
    }
    return new Block(Buffer.from(slab, 0, BLOCK_BYTES), isKept);
  }

  #takeCollectable(): Block | undefined {
    for (let weak = this.#collectable.pop(); weak !== undefined; weak = this.#collectable.pop()) {
      const block = weak.deref();
      if (block !== undefined) return block;
    }
    return undefined;
  }

  giveBlock(block: Block): void {
    block.used = 0;
    if (block.weak === null) this.#blocks.push(block);
    else this.#collectable.push(block.weak);
  }
}

const environments = new WeakMap<IO, Environment>();

/** What the sockets of this IO share. */
export function environmentOf(io: IO): Environment {
  let environment = environments.get(io);
  if (environment === undefined) {
    environment = new Environment(io);
    environments.set(io, environment);
  }
  return environment;
}

let shared: IO | null = null;

/**
 * The `IO` of this thread that `@io/node/net` and its kin use. It is opened when it is first
 * needed, and ends with the thread; while nothing is in flight it does not keep the process alive.
 *
 * @returns the `IO`
 * @throws as `IO.open()`
 */
export function sharedIO(): IO {
  shared ??= IO.openSync();
  return shared;
}

/** The environment of the shared IO. */
export function sharedEnvironment(): Environment {
  return environmentOf(sharedIO());
}
