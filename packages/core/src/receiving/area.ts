// The area that a network device writes to, as memory that receives are served from: IO.open({
// zeroCopyReceive }). A chunk of it is as large as the bytes that arrived.
//
// Who owns a part of it: the kernel and the device, until a completion names it as a chunk; the
// program, from there until it has released the chunk and no operation uses its page; then the
// kernel again. The memory is V8's, and the engine holds it as long as it lives. When the IO is
// closed, the pages are taken from the kernel, and chunks that are still held keep their bytes.

import { MAX_CHUNKS } from "../engine/abi.js";
import { type Memory, POISON, type Region } from "../engine/memory.js";
import type { Queue } from "../engine/queue.js";
import { errnoName, IOError } from "../errors.js";
import type { SocketAddress } from "../sockets/socket_address.js";
import { CHUNKS_FEW, MAX_CHUNKS_OF_STREAM } from "./buffer_group.js";
import type { ChunkSource } from "./chunk_source.js";

// The kernel writes a packet's payload to a page, or the device several to one: so there are more
// numbers of chunks than pages.
const NUMBERS_PER_PAGE = 16;

export class Area implements ChunkSource {
  readonly handle: number;
  /** A chunk never reaches beyond a page. */
  readonly bufferBytes: number;
  readonly #queue: Queue;
  readonly #memory: Memory;
  readonly #buffer: ArrayBuffer;
  readonly #start: number;
  // A count, the numbers of chunks that go back, which the engine takes with the next batch, and
  // the places of the chunks, which the engine writes. A number stands in it once at most.
  readonly #words: Uint32Array;
  readonly #placesAt: number;
  // By page.
  readonly #regions: Region[];
  readonly #chunksOfPage: Int32Array;
  readonly #late = new Map<number, number[]>();
  // By chunk: its bytes, below 0 when it was released while an operation uses its page, and 0 when
  // it is not held.
  readonly #heldBytes: Int32Array;
  #held = 0;
  readonly #waiting: (() => unknown)[] = [];
  #eased: (() => void)[] = [];
  #easedShare = Number.POSITIVE_INFINITY;

  constructor(
    queue: Queue,
    memory: Memory,
    buffer: ArrayBuffer,
    start: number,
    sizeBytes: number,
    pageBytes: number,
  ) {
    this.#queue = queue;
    this.#memory = memory;
    this.#buffer = buffer;
    this.#start = start;
    this.bufferBytes = pageBytes;
    const pages = sizeBytes / pageBytes;
    const numbers = Math.min(pages * NUMBERS_PER_PAGE, MAX_CHUNKS);
    const words = new ArrayBuffer(4 * (2 * numbers + 1));
    this.#words = new Uint32Array(words);
    this.#placesAt = numbers + 1;
    this.#heldBytes = new Int32Array(numbers);
    this.#chunksOfPage = new Int32Array(pages);
    [, this.#regions] = memory.provideBuffers(buffer, start, pageBytes, pageBytes, pages);
    this.handle = queue.session.addArea(words, numbers);
    if (this.handle < 0) throw areaError(this.handle);
  }

  /** Chunks that are lent, or were released while an operation uses their page. */
  get held(): number {
    return this.#held;
  }

  /** Pages that no chunk needs, at least; the device and the completion queue may have them. */
  get freePages(): number {
    return Math.max(0, this.#regions.length - this.#held);
  }

  /** As with a group: a stream that keeps all of its chunks can take half of the memory. */
  get share(): number {
    const { freePages } = this;
    const pages = this.#regions.length;
    if (freePages >= pages >> 1) return MAX_CHUNKS_OF_STREAM;
    return freePages >= pages >> 2 ? CHUNKS_FEW : 1;
  }

  view(bufferId: number, offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (!((this.#heldBytes[bufferId] as number) > 0)) throw releasedError(bufferId);
    return new Uint8Array(this.#buffer, this.#start + offset, length);
  }

  release(bufferId: number): void {
    if (!((this.#heldBytes[bufferId] as number) > 0)) throw releasedError(bufferId);
    const page = this.#pageOf(bufferId);
    const region = this.#regions[page] as Region;
    const left = (this.#chunksOfPage[page] as number) - 1;
    this.#chunksOfPage[page] = left;
    if (left === 0) region.acquired = false;
    if (region.inFlight === 0) this.#return(bufferId);
    else this.#returnLate(bufferId, page, region);
  }

  poison(bufferId: number, _offset: number, _length: number): void {
    if (this.#memory.poisons) this.#poison(bufferId);
  }

  /** When something is returned: only the kernel knows what is left. */
  whenAvailable(callback: () => unknown): void {
    this.#waiting.push(callback);
  }

  /** What is left only the kernel knows, so nobody is called but for what was released. */
  get contended(): boolean {
    return false;
  }

  passOn(): void {}

  get exhausted(): boolean {
    return false;
  }

  whenEased(callback: () => void): void {
    this.#easedShare = Math.min(this.#easedShare, this.share);
    this.#eased.push(callback);
  }

  /** Bytes of a stream have no sender of their own. */
  sender(_bufferId: number, into: SocketAddress): SocketAddress {
    return into;
  }

  prepare(): void {}
  begin(): void {}
  finish(): void {}

  markHeld(bufferId: number, count: number): number {
    const offset = this.#words[this.#placesAt + bufferId] as number;
    const page = Math.floor(offset / this.bufferBytes);
    this.#heldBytes[bufferId] = count;
    this.#chunksOfPage[page] = (this.#chunksOfPage[page] as number) + 1;
    (this.#regions[page] as Region).acquired = true;
    this.#held++;
    return offset;
  }

  // ----

  #pageOf(bufferId: number): number {
    return Math.floor((this.#words[this.#placesAt + bufferId] as number) / this.bufferBytes);
  }

  // An operation uses the page, if not these bytes of it.
  #returnLate(bufferId: number, page: number, region: Region): void {
    this.#heldBytes[bufferId] = -(this.#heldBytes[bufferId] as number);
    const late = this.#late.get(page);
    if (late !== undefined) {
      late.push(bufferId);
      return;
    }
    const buffers = [bufferId];
    this.#late.set(page, buffers);
    region.onIdle = () => {
      region.onIdle = null;
      this.#late.delete(page);
      for (const one of buffers) {
        this.#heldBytes[one] = -(this.#heldBytes[one] as number);
        if (this.#memory.poisons) this.#poison(one);
        this.#return(one);
      }
    };
  }

  #return(bufferId: number): void {
    this.#heldBytes[bufferId] = 0;
    this.#held--;
    const count = (this.#words[0] as number) + 1;
    this.#words[count] = bufferId;
    this.#words[0] = count;
    this.#queue.noteReturned();
    if (this.#waiting.length > 0) this.#wake();
    if (this.#eased.length > 0 && this.share > this.#easedShare) this.#ease();
  }

  // One stream for one chunk; it is left to the next one when that has no use for it.
  #wake(): void {
    for (;;) {
      const callback = this.#waiting.shift();
      if (callback === undefined || callback() !== false) return;
    }
  }

  #ease(): void {
    const eased = this.#eased;
    this.#eased = [];
    this.#easedShare = Number.POSITIVE_INFINITY;
    for (const callback of eased) callback();
  }

  #poison(bufferId: number): void {
    const region = this.#regions[this.#pageOf(bufferId)] as Region;
    if (region.inFlight > 0) return;
    const offset = this.#words[this.#placesAt + bufferId] as number;
    this.view(bufferId, offset, this.#heldBytes[bufferId] as number).fill(POISON);
  }
}

function releasedError(bufferId: number): IOError {
  return new IOError({
    code: "ERR_IO_CHUNK_RELEASED",
    operation: "chunks",
    message: `chunks: chunk ${bufferId} was released before`,
  });
}

function areaError(errno: number): IOError {
  const [code, text] = errnoName(errno);
  return new IOError({
    code,
    errno,
    operation: "open",
    message: `open: the area for zeroCopyReceive cannot be set up: ${code}, ${text}`,
  });
}
