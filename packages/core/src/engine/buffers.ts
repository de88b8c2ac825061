// Page-aligned memory that the kernel keeps mapped: slabs, cut into blocks of whole pages.
import { IOError, numberError, typeError } from "../errors.js";
import { checkMade, shown } from "../support/check.js";
import { type Memory, PAGE_SIZE_BYTES, POISON, Region } from "./memory.js";

// Memory is allocated in slabs of 2^8 pages, 1 MiB, or more where one block needs it.
const SLAB_POWER = 8;
/** The block beside the limit that the library keeps for its own transfers: 2^4 pages, 64 KiB. */
const RESERVE_POWER = 4;

function powerOf(sizeBytes: number): number {
  return Math.max(0, Math.ceil(Math.log2(sizeBytes / PAGE_SIZE_BYTES)));
}

/** What a block of so many bytes takes. */
export function blockBytes(sizeBytes: number): number {
  return PAGE_SIZE_BYTES * 2 ** powerOf(sizeBytes);
}

/**
 * Memory that was acquired: `using` releases it.
 *
 * @category Memory
 */
export type AcquiredBuffer = Uint8Array & Disposable;

/** One piece of memory, cut into blocks of 2^n pages: the buddy scheme. */
class Slab {
  readonly buffer: ArrayBuffer;
  readonly #memory: Memory;
  readonly #start: number;
  readonly #handle: number;
  readonly #poisons: boolean;
  readonly #pages: (Region | null)[];
  // By n: where the free blocks begin, in pages.
  readonly #free: Set<number>[];

  constructor(memory: Memory, power: number) {
    const sizeBytes = PAGE_SIZE_BYTES * 2 ** power;
    this.#memory = memory;
    this.#poisons = memory.poisons;
    // V8 aligns memory to 16 bytes or so: one page more always holds an aligned start.
    this.buffer = new ArrayBuffer(sizeBytes + PAGE_SIZE_BYTES);
    this.#start = memory.alignedStart(this.buffer, PAGE_SIZE_BYTES);
    [this.#handle, this.#pages] = memory.addSlab(this.buffer, this.#start, sizeBytes);
    this.#free = Array.from({ length: power + 1 }, () => new Set<number>());
    this.#free[power]?.add(0);
  }

  /** A block of 2^power pages, or null when there is none. */
  take(power: number): Region | null {
    const from = this.#free.findIndex((blocks, size) => size >= power && blocks.size > 0);
    const [page] = this.#free[from] ?? [];
    if (page === undefined) return null;
    this.#free[from]?.delete(page);
    // Halved until it fits; the upper halves stay free.
    for (let size = from - 1; size >= power; size--) this.#free[size]?.add(page + 2 ** size);
    const start = this.#start + page * PAGE_SIZE_BYTES;
    const sizeBytes = PAGE_SIZE_BYTES * 2 ** power;
    const region = new Region(this.#memory, this.#handle, this.#start, start, sizeBytes);
    region.isBlock = true;
    this.#pages.fill(region, page, page + 2 ** power);
    return region;
  }

  /** Puts a block back, and joins it with its other half as long as that is free too. */
  put(region: Region): void {
    let page = (region.start - this.#start) / PAGE_SIZE_BYTES;
    let power = Math.round(Math.log2(region.sizeBytes / PAGE_SIZE_BYTES));
    this.#pages.fill(null, page, page + 2 ** power);
    if (this.#poisons) new Uint8Array(this.buffer, region.start, region.sizeBytes).fill(POISON);
    while (power < this.#free.length - 1 && this.#free[power]?.delete(page ^ (2 ** power))) {
      page = Math.min(page, page ^ (2 ** power));
      power++;
    }
    this.#free[power]?.add(page);
  }
}

interface Block {
  readonly region: Region;
  readonly slab: Slab;
}

/**
 * Page-aligned memory for direct I/O. Where RLIMIT_MEMLOCK allows it is registered with the kernel,
 * so that single reads and writes of files need not look it up and pin it;
 * `io.stats().registeredBytes` tells.
 *
 * Blocks are whole pages, rounded up to a power of two; a released block is given out again, with
 * what was last in it. Releasing one that the kernel still uses is allowed: it is given out again
 * only when its last operation has completed. Memory goes back to the system when the `IO` is
 * closed.
 *
 * @category Memory
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * using page = io.buffers.acquire(4096);
 * page.fill(0);
 * ```
 */
export class Buffers {
  /** The IO, which lives as long as its memory is asked for. @internal */
  owner: object | null = null;
  /** Called when a block has become free. @internal */
  onFreed: () => void = ignore;
  /** @internal */
  readonly maxBytes: number;
  readonly #memory: Memory;
  #reserve: Slab | null = null;
  readonly #blocks = new WeakMap<Uint8Array, Block>();
  readonly #slabs: Slab[] = [];
  #sizeBytes = 0;

  /** @internal */
  constructor(memory: Memory, maxBytes: number) {
    checkMade(memory, "Buffers", "io.buffers.acquire()");
    this.#memory = memory;
    this.maxBytes = maxBytes;
  }

  /** Bytes of memory that the IO has for blocks, in use or free. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Takes a block of page-aligned memory. It holds what was last in it.
   *
   * @param sizeBytes How many bytes, 1 or more; the block behind them is a power of two times
   *   4,096.
   * @returns a view of exactly that many bytes; `using` releases it
   * @throws `ERR_OUT_OF_RANGE` for a size that is no whole number above 0, `ERR_IO_BUFFERS_LIMIT`
   *   when `buffersMaxBytes` would be exceeded
   */
  acquire(sizeBytes: number): AcquiredBuffer {
    if (!(Number.isSafeInteger(sizeBytes) && sizeBytes > 0)) {
      const message = `sizeBytes is ${shown(sizeBytes)}: give a whole number above 0`;
      throw numberError("acquire", sizeBytes, message);
    }
    const acquired = this.acquireIfFree(sizeBytes);
    if (acquired !== null) return acquired;
    throw new IOError({
      code: "ERR_IO_BUFFERS_LIMIT",
      operation: "acquire",
      message:
        `acquire: ${sizeBytes} bytes more would exceed the limit of ${this.maxBytes} ` +
        "bytes: release buffers, or open the IO with a higher buffersMaxBytes",
    });
  }

  /** The same, or null when the limit would be exceeded. @internal */
  acquireIfFree(sizeBytes: number): AcquiredBuffer | null {
    const power = powerOf(sizeBytes);
    const block = this.#take(power) ?? this.#grow(power);
    return block === null ? null : this.#given(block, sizeBytes);
  }

  /** The one block of 64 KiB beside the limit; null while it is in use. @internal */
  acquireReserve(): AcquiredBuffer | null {
    this.#reserve ??= new Slab(this.#memory, RESERVE_POWER);
    const slab = this.#reserve;
    const region = slab.take(RESERVE_POWER);
    return region === null ? null : this.#given({ region, slab }, region.sizeBytes);
  }

  #given(block: Block, sizeBytes: number): AcquiredBuffer {
    const view = new Uint8Array(block.slab.buffer, block.region.start, sizeBytes);
    this.#blocks.set(view, block);
    return Object.assign(view, { [Symbol.dispose]: () => this.release(view) });
  }

  /**
   * Releases a block. An operation that still uses it is not disturbed.
   *
   * @param buffer The view that `acquire` returned, not a part of it.
   * @throws `ERR_IO_BUFFER_RELEASED` when it was released before, or is another view
   */
  release(buffer: Uint8Array): void {
    if (!ArrayBuffer.isView(buffer)) {
      const right = "give the view that acquire() returned";
      throw typeError("release", `the buffer is ${shown(buffer)}: ${right}`);
    }
    const block = this.#blocks.get(buffer);
    if (block === undefined) {
      throw new IOError({
        code: "ERR_IO_BUFFER_RELEASED",
        operation: "release",
        message: "release: the buffer was released before, or is not one that acquire() returned",
      });
    }
    this.#blocks.delete(buffer);
    const { region, slab } = block;
    region.acquired = false;
    const free = (): void => {
      slab.put(region);
      this.onFreed();
    };
    if (region.inFlight === 0) free();
    else region.onIdle = free;
  }

  #take(power: number): Block | null {
    for (const slab of this.#slabs) {
      const region = slab.take(power);
      if (region !== null) return { region, slab };
    }
    return null;
  }

  #grow(power: number): Block | null {
    const slabPower = Math.max(SLAB_POWER, power);
    const sizeBytes = PAGE_SIZE_BYTES * 2 ** slabPower;
    if (this.#sizeBytes + sizeBytes > this.maxBytes) return null;
    const slab = new Slab(this.#memory, slabPower);
    this.#slabs.push(slab);
    this.#sizeBytes += sizeBytes;
    const region = slab.take(power);
    if (region === null) throw new Error("a new slab has room for what it was made for");
    return { region, slab };
  }
}

function ignore(): void {}
