// Page-aligned memory that the kernel keeps mapped: slabs, cut into blocks of whole pages.
import { IOError, rangeError } from "./errors.js";
import { type Memory, PAGE_SIZE_BYTES, Region } from "./internal/memory.js";

const SLAB_SIZE_BYTES = 1024 * 1024;

/** Memory that was acquired: `using` releases it. */
export type AcquiredBuffer = Uint8Array<ArrayBuffer> & Disposable;

interface Block {
  readonly region: Region;
  readonly buffer: ArrayBuffer;
}

/**
 * Page-aligned memory for direct I/O, which the kernel already knows: it is registered, so that no
 * operation has to look it up and pin it.
 *
 * Blocks are whole pages, rounded up to a power of two; a released block is given out again, with
 * what was last in it. Releasing one that the kernel still uses is allowed: it is given out again
 * only when its last operation has completed. Memory goes back to the system when the `IO` is
 * closed.
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
  readonly #memory: Memory;
  readonly #limitBytes: number;
  // Free blocks by the power of two of their pages.
  readonly #free: Block[][] = [];
  readonly #blocks = new WeakMap<Uint8Array, Block>();
  #slab: { buffer: ArrayBuffer; start: number; handle: number; pages: (Region | null)[] } | null =
    null;
  #slabUsedBytes = 0;
  #sizeBytes = 0;

  /** @internal */
  constructor(memory: Memory, limitBytes: number) {
    this.#memory = memory;
    this.#limitBytes = limitBytes;
  }

  /** Bytes in slabs, in use or free. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** A block of at least `sizeBytes`, page-aligned; the view has exactly that many bytes. */
  acquire(sizeBytes: number): AcquiredBuffer {
    if (!(Number.isSafeInteger(sizeBytes) && sizeBytes > 0)) {
      throw rangeError("acquire", `sizeBytes is ${sizeBytes}: give a whole number above 0`);
    }
    const power = Math.max(0, Math.ceil(Math.log2(sizeBytes / PAGE_SIZE_BYTES)));
    const block = this.#free[power]?.pop() ?? this.#cut(PAGE_SIZE_BYTES * 2 ** power, sizeBytes);
    block.region.acquired = true;
    const view = new Uint8Array(block.buffer, block.region.start, sizeBytes);
    this.#blocks.set(view, block);
    return Object.assign(view, { [Symbol.dispose]: () => this.release(view) });
  }

  /** Gives a block back. It must be the view that `acquire` returned, once. */
  release(buffer: Uint8Array): void {
    const block = this.#blocks.get(buffer);
    if (block === undefined) {
      throw new IOError({
        code: "ERR_IO_BUFFER_RELEASED",
        operation: "release",
        message: "release: the buffer was released before, or is not one that acquire() returned",
      });
    }
    this.#blocks.delete(buffer);
    const { region } = block;
    region.acquired = false;
    if (region.inFlight === 0) {
      this.#put(block);
      return;
    }
    region.onIdle = () => {
      region.onIdle = null;
      this.#put(block);
    };
  }

  #put(block: Block): void {
    const power = Math.round(Math.log2(block.region.sizeBytes / PAGE_SIZE_BYTES));
    const list = this.#free[power];
    if (list === undefined) this.#free[power] = [block];
    else list.push(block);
  }

  #cut(blockBytes: number, askedBytes: number): Block {
    if (this.#slab === null || this.#slabUsedBytes + blockBytes > this.#slabSizeBytes()) {
      this.#grow(Math.max(SLAB_SIZE_BYTES, blockBytes), askedBytes);
    }
    const slab = this.#slab;
    if (slab === null) throw new Error("a slab was just made");
    const offset = this.#slabUsedBytes;
    this.#slabUsedBytes += blockBytes;
    const region = new Region(slab.handle, slab.start, slab.start + offset, blockBytes);
    slab.pages.fill(region, offset / PAGE_SIZE_BYTES, (offset + blockBytes) / PAGE_SIZE_BYTES);
    return { region, buffer: slab.buffer };
  }

  #slabSizeBytes(): number {
    return this.#slab === null ? 0 : this.#slab.pages.length * PAGE_SIZE_BYTES;
  }

  #grow(sizeBytes: number, askedBytes: number): void {
    if (this.#sizeBytes + sizeBytes > this.#limitBytes) {
      throw new IOError({
        code: "ERR_IO_BUFFERS_LIMIT",
        operation: "acquire",
        message:
          `acquire: ${askedBytes} bytes more would exceed the limit of ${this.#limitBytes} ` +
          "bytes: release buffers, or open the IO with a higher buffersLimitBytes",
      });
    }
    // V8 aligns memory to 16 bytes or so: one page more than needed always holds an aligned start.
    const buffer = new ArrayBuffer(sizeBytes + PAGE_SIZE_BYTES);
    const start = this.#memory.alignedStart(buffer, PAGE_SIZE_BYTES);
    const [handle, pages] = this.#memory.addSlab(buffer, start, sizeBytes);
    this.#slab = { buffer, start, handle, pages };
    this.#slabUsedBytes = 0;
    this.#sizeBytes += sizeBytes;
  }
}
