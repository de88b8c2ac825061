// The memory that the engine knows, and for how long. A region is memory that operations use as
// one: a whole ArrayBuffer of the user, or one acquired block of a slab of io.buffers.
//
// Who owns what: the map holds the ArrayBuffer, the engine shares its memory, and a region counts
// the operations in flight on it, so that no memory is released before the kernel has finished.
import { types } from "node:util";
import { closedError, IOError, rangeError, typeError } from "../errors.js";
import { Reuses } from "../sockets/sent_check.js";
import { shown } from "../support/check.js";
import { TRANSFER_LIMIT_BYTES } from "./abi.js";
import { builtin } from "./builtin.js";
import type { Held } from "./held.js";
import type { Native, NativeSession } from "./native.js";

/** Forbids that memory goes to another thread. */
export function markAsUntransferable(buffer: ArrayBufferLike): void {
  builtin("node:worker_threads").markAsUntransferable(buffer);
}

export const PAGE_SIZE_BYTES = 4096;
/** What stands in memory that was returned, where that is wanted. */
export const POISON = 0xdb;

// The bytes of user memory that stay known to the engine while idle, because the program will
// likely use them again. Memory in flight may be more.
const IDLE_LIMIT_COUNT = 1024;
const IDLE_LIMIT_BYTES = 16 * 1024 * 1024;

// Node 20 makes no Uint8Array of more bytes than that.
const VIEW_LIMIT_BYTES = 2 ** 32 - 1;

// The session's answer after it was closed, instead of a handle.
const HANDLE_CLOSED = -2;

export class Region implements Held {
  readonly handle: number;
  /** Where the region begins in the ArrayBuffer, and where the handle's memory begins there. */
  readonly start: number;
  readonly handleStart: number;
  readonly sizeBytes: number;
  inFlight = 0;
  /** Set while it may be used: a block until it is released, user memory while it is known. */
  acquired = true;
  /** Of `io.buffers`: the memory stays until the IO is closed. */
  isBlock = false;
  /** Memory of a user that may be used as soon as it is taken out of the list of idle ones. */
  listed: Known | null = null;
  /** Called when nothing is in flight any more. */
  onIdle: ((region: Region) => void) | null = null;
  /** What knows it. */
  readonly memory: Memory;

  constructor(
    memory: Memory,
    handle: number,
    handleStart: number,
    start: number,
    sizeBytes: number,
  ) {
    this.memory = memory;
    this.handle = handle;
    this.handleStart = handleStart;
    this.start = start;
    this.sizeBytes = sizeBytes;
  }

  finish(): void {
    this.inFlight--;
    if (this.inFlight === 0 && this.onIdle !== null) this.onIdle(this);
  }
}

/** What is known of one ArrayBuffer. */
interface Known {
  readonly buffer: ArrayBufferLike;
  readonly sizeBytes: number;
  /** The whole of it, or null for a slab, whose blocks stand in `pages`. */
  readonly whole: Region | null;
  readonly pages: (Region | null)[];
  readonly pagesStart: number;
  readonly pageBytes: number;
  /** The slab is a group's, whose blocks are lent. */
  readonly provided: boolean;
  readonly handle: number;
  /** Its neighbours in the list of idle ones. */
  previous: Known | null;
  next: Known | null;
}

// What all views of bytes have for `buffer`, `byteOffset` and `byteLength`. When they are called by
// these names, Node.js 20 looks the name up each time, because its compiler does not know the
// prototype of the views when it runs beside the program: 90 ns instead of 20.
function getterOf<T>(name: string): (this: Uint8Array) => T {
  const views: object = Object.getPrototypeOf(Uint8Array.prototype);
  return Object.getOwnPropertyDescriptor(views, name)?.get as (this: Uint8Array) => T;
}
const bufferOf = getterOf<ArrayBufferLike>("buffer");
const startOf = getterOf<number>("byteOffset");
const bytesOf = getterOf<number>("byteLength");

export class Memory {
  readonly #native: Native;
  readonly #session: NativeSession;
  readonly #known = new Map<ArrayBufferLike, Known>();
  #last: Known | null = null;
  /** Memory of ours that was lent, and is there only because somebody has kept a view of it. */
  readonly #returned = new WeakSet<ArrayBufferLike>();
  // Idle user memory, oldest first. A buffer that is used again stays in the list until it is the
  // oldest, so a program that uses few buffers pays nothing here. With many buffers it leaves the
  // list then, comes back whenever it is idle, and leaves it when it is used. So no step looks at
  // the memory of other operations, except once for each.
  #oldestIdle: Known | null = null;
  #newestIdle: Known | null = null;
  #idleCount = 0;
  #idleBytes = 0;
  /** What has left the list last to be used. */
  #takenOut: Region | null = null;

  /** Whether memory that is returned is overwritten, for tests. */
  readonly poisons: boolean;
  /** Set with `poisons`: sends are looked at when they release their memory. */
  readonly reuses: Reuses | null;

  constructor(native: Native, session: NativeSession, poisons = false) {
    this.#native = native;
    this.#session = session;
    this.poisons = poisons;
    this.reuses = poisons ? new Reuses() : null;
  }

  /**
   * Where the view begins in its ArrayBuffer that `regionOf` looked at last, and its bytes. Asking
   * a view costs, as much as a look-up, so it is asked once. And on a class of the user's the
   * answer may be another one each time: what was checked must be what is used.
   */
  viewStart = 0;
  viewBytes = 0;

  /** The region that a view lies in, checked; it is not in flight yet. */
  regionOf(view: ArrayBufferView, operation: string): Region {
    const isBytes = view instanceof Uint8Array;
    const buffer = isBytes ? bufferOf.call(view) : view.buffer;
    let known = this.#last;
    if (known === null || known.buffer !== buffer) {
      known = this.#known.get(buffer) ?? this.#add(buffer, operation);
      this.#last = known;
    }
    let byteLength = isBytes ? bytesOf.call(view) : 0;
    // A detached ArrayBuffer has no bytes any more, whatever it had when it was first seen.
    if (byteLength === 0) {
      if (buffer.byteLength !== known.sizeBytes) throw this.#detached(operation);
      if (!isBytes) byteLength = view.byteLength;
    }
    const byteOffset = isBytes ? startOf.call(view) : view.byteOffset;
    this.viewStart = byteOffset;
    this.viewBytes = byteLength;
    const { whole } = known;
    if (whole !== null) {
      if (!whole.acquired) this.#takeOut(whole);
      return whole;
    }
    const region = blockOf(known, byteOffset, byteLength);
    if (region === undefined || region === null || !region.acquired) {
      throw known.provided ? returnedError(operation) : releasedError(operation);
    }
    if (byteOffset + byteLength > region.start + region.sizeBytes) {
      throw rangeError(operation, "the buffer reaches beyond the memory that was acquired with it");
    }
    return region;
  }

  /**
   * Whether a Uint8Array whose region this was may be used again, as it was. V8 makes a call of
   * each question to a view: for its ArrayBuffer, its place and its length. That, and looking the
   * ArrayBuffer up, costs much of a short operation. So what asked before knows the place, which
   * never changes. Only the memory may have been transferred since: then there is no first byte.
   */
  findsAgain(region: Region, view: ArrayBufferView): boolean {
    if (region.memory !== this) return false;
    if ((view as Uint8Array)[0] === undefined) return false;
    if (!region.acquired) {
      if (region.listed === null) return false;
      this.#takeOut(region);
    }
    return true;
  }

  /** The first offset in a buffer whose address is a multiple of `alignment`. */
  alignedStart(buffer: ArrayBuffer, alignment: number): number {
    const past = this.#native.addressRemainder(buffer, alignment);
    return past === 0 ? 0 : alignment - past;
  }

  /** Makes a slab known, whose blocks the caller enters into the array that is returned. */
  addSlab(buffer: ArrayBuffer, start: number, sizeBytes: number): [number, (Region | null)[]] {
    // A slab is the library's own and never leaves this thread.
    markAsUntransferable(buffer);
    const memory = new Uint8Array(buffer, start, sizeBytes);
    const handle = this.#handle(memory, sizeBytes, true, "acquire");
    const pages = new Array<Region | null>(sizeBytes / PAGE_SIZE_BYTES).fill(null);
    this.#addSlab(buffer, handle, pages, start, PAGE_SIZE_BYTES, false);
    return [handle, pages];
  }

  /** The same for memory that is lent in `count` pieces, which begin `strideBytes` apart. */
  provideBuffers(
    buffer: ArrayBuffer,
    start: number,
    strideBytes: number,
    bufferBytes: number,
    count: number,
  ): [number, Region[]] {
    markAsUntransferable(buffer);
    const memory = new Uint8Array(buffer, start);
    const handle = this.#handle(memory, memory.byteLength, false, "receiveMultishot");
    const regions = Array.from({ length: count }, (_, index) => {
      const region = new Region(this, handle, start, start + index * strideBytes, bufferBytes);
      region.acquired = false;
      return region;
    });
    this.#addSlab(buffer, handle, regions, start, strideBytes, true);
    return [handle, regions];
  }

  #addSlab(
    buffer: ArrayBuffer,
    handle: number,
    pages: (Region | null)[],
    pagesStart: number,
    pageBytes: number,
    provided: boolean,
  ): void {
    const sizeBytes = buffer.byteLength;
    this.#known.set(buffer, {
      buffer,
      sizeBytes,
      whole: null,
      pages,
      pagesStart,
      pageBytes,
      provided,
      handle,
      previous: null,
      next: null,
    });
  }

  /**
   * Forgets a slab; operations that use it go on. With `returned` its memory belongs to nobody from
   * here on, and a view of it is refused.
   */
  dropSlab(buffer: ArrayBuffer, returned = false): void {
    if (returned) this.#returned.add(buffer);
    const known = this.#known.get(buffer);
    if (known === undefined) return;
    this.#known.delete(buffer);
    if (this.#last === known) this.#last = null;
    this.#session.releaseBuffer(known.handle);
  }

  #add(buffer: ArrayBufferLike, operation: string): Known {
    if (this.#returned.has(buffer)) throw returnedError(operation);
    this.#refuseUnfit(buffer, operation);
    const sizeBytes = buffer.byteLength;
    // Not `instanceof`: it may be of another realm (node:vm, jest).
    const shared = types.isSharedArrayBuffer(buffer);
    // Without V8's help the only way to keep the kernel's memory is to forbid its transfer.
    if (!shared && !this.#native.holdsMemory) markAsUntransferable(buffer);
    const memory = new Uint8Array(buffer, 0, Math.min(sizeBytes, VIEW_LIMIT_BYTES));
    const handle = this.#handle(memory, sizeBytes, false, operation, !shared);
    const whole = new Region(this, handle, 0, 0, sizeBytes);
    const known: Known = {
      buffer,
      sizeBytes,
      whole,
      pages: [],
      pagesStart: 0,
      pageBytes: PAGE_SIZE_BYTES,
      provided: false,
      handle,
      previous: null,
      next: null,
    };
    this.#known.set(buffer, known);
    // A buffer that is larger than this whole limit is forgotten as soon as it is idle.
    if (sizeBytes > IDLE_LIMIT_BYTES) whole.onIdle = () => this.#forget(known);
    else this.#enlist(known);
    return known;
  }

  // `sizeBytes` is that of the memory, which may be more than a view can show.
  #handle(
    memory: Uint8Array,
    sizeBytes: number,
    register: boolean,
    operation: string,
    hold = true,
  ): number {
    const holds = hold && this.#native.holdsMemory;
    const handle = this.#session.addBuffer(memory, sizeBytes, register, holds);
    if (handle >= 0) return handle;
    if (handle === HANDLE_CLOSED) throw closedError(operation, "the IO");
    throw new IOError({
      code: "ERR_IO_BUFFERS_LIMIT",
      operation,
      message: `${operation}: more than 1,048,576 buffers are in use at once; reuse some`,
    });
  }

  #refuseUnfit(buffer: ArrayBufferLike, operation: string): void {
    const resizable = "resizable" in buffer && buffer.resizable === true;
    const growable = "growable" in buffer && buffer.growable === true;
    if (resizable || growable) {
      const message =
        "a resizable buffer may lose memory that the kernel writes to: use a fixed one";
      throw typeError(operation, message);
    }
    if (buffer.byteLength === 0 && isDetached(buffer)) throw this.#detached(operation);
  }

  #detached(operation: string): IOError {
    return new IOError({
      code: "ERR_IO_BUFFER_DETACHED",
      operation,
      message: `${operation}: the buffer is detached: its memory was transferred`,
    });
  }

  // Puts memory behind the other idle ones, and forgets the oldest of them while that are too many.
  #enlist(known: Known): void {
    known.previous = this.#newestIdle;
    if (this.#newestIdle === null) this.#oldestIdle = known;
    else this.#newestIdle.next = known;
    this.#newestIdle = known;
    this.#idleCount++;
    this.#idleBytes += known.sizeBytes;
    // Never the buffer that was added last: its operation is not queued yet.
    while (this.#idleCount > IDLE_LIMIT_COUNT || this.#idleBytes > IDLE_LIMIT_BYTES) {
      if (!this.#retireOldest(known)) return;
    }
  }

  #unlist(known: Known): void {
    const { previous, next } = known;
    if (previous === null) this.#oldestIdle = next;
    else previous.next = next;
    if (next === null) this.#newestIdle = previous;
    else next.previous = previous;
    known.previous = null;
    known.next = null;
    this.#idleCount--;
    this.#idleBytes -= known.sizeBytes;
  }

  #retireOldest(kept: Known): boolean {
    const oldest = this.#oldestIdle;
    if (oldest === null || oldest === kept) return false;
    this.#unlist(oldest);
    const { whole } = oldest;
    if (whole !== null && whole.inFlight > 0) whole.onIdle = () => this.#putBack(whole, oldest);
    else this.#forget(oldest);
    return true;
  }

  #putBack(whole: Region, known: Known): void {
    whole.acquired = false;
    whole.listed = known;
    this.#enlist(known);
  }

  // It is about to be used. Should the one before it not have been, because its operation was
  // refused, then that is idle still.
  #takeOut(whole: Region): void {
    const known = whole.listed as Known;
    this.#unlist(known);
    whole.listed = null;
    whole.acquired = true;
    const before = this.#takenOut;
    this.#takenOut = whole;
    if (before === null || before === whole) return;
    if (before.inFlight === 0 && before.acquired) before.onIdle?.(before);
  }

  #forget(known: Known): void {
    this.#known.delete(known.buffer);
    if (this.#last === known) this.#last = null;
    if (known.whole !== null) {
      known.whole.acquired = false;
      known.whole.listed = null;
    }
    this.#session.releaseBuffer(known.handle);
  }
}

function blockOf(known: Known, start: number, sizeBytes: number): Region | null | undefined {
  const offset = start - known.pagesStart;
  const { pages, pageBytes } = known;
  const region = pages[(offset / pageBytes) | 0];
  // An empty view at the end of a block begins where the next block does.
  if (sizeBytes > 0 || offset % pageBytes !== 0 || region?.acquired) return region;
  return pages[((offset - 1) / pageBytes) | 0];
}

function releasedError(operation: string): IOError {
  return new IOError({
    code: "ERR_IO_BUFFER_RELEASED",
    operation,
    message: `${operation}: the buffer was released to io.buffers, or never acquired`,
  });
}

function returnedError(operation: string): IOError {
  return new IOError({
    code: "ERR_IO_CHUNK_RELEASED",
    operation,
    message: `${operation}: the bytes are those of a chunk that was released`,
  });
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    new Uint8Array(buffer);
    return false;
  } catch (error) {
    if (error instanceof TypeError) return true;
    throw error;
  }
}

/** Of so many bytes, those that one operation can move. */
export function transferLength(sizeBytes: number): number {
  return Math.min(sizeBytes, TRANSFER_LIMIT_BYTES);
}

/** Refuses what is not memory. */
export function checkView(view: unknown, operation: string): asserts view is ArrayBufferView {
  if (ArrayBuffer.isView(view)) return;
  const isMemory = view instanceof ArrayBuffer || view instanceof SharedArrayBuffer;
  const right = "a TypedArray, a DataView or a Buffer";
  const message = isMemory
    ? `the buffer is an ArrayBuffer: give ${right} over it, such as new Uint8Array(buffer)`
    : `the buffer is ${shown(view)}: give ${right}`;
  throw typeError(operation, message);
}
