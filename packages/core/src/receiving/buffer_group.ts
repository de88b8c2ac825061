// A buffer group: buffers of one size, which the backend fills when there is something to receive
// and not before.
//
// Who owns a buffer: the backend, until a completion brings bytes in it; the program, from there
// until it has released all bytes of it and no operation uses it any more; then the backend again.
// The memory itself is V8's, and the engine holds it as long as the group exists.
import { constants } from "node:os";
import {
  MAX_GROUP_BUFFERS,
  PEER_FLAG_TRUNCATED,
  PEER_FLAGS,
  PEER_SIZE_BYTES,
} from "../engine/abi.js";
import { boundToContext, storages } from "../engine/async_context.js";
import { type Memory, POISON, type Region } from "../engine/memory.js";
import type { Queue } from "../engine/queue.js";
import { errnoName, IOError, numberError, typeError } from "../errors.js";
import { SocketAddress } from "../sockets/socket_address.js";
import { checkFunction, checkInstance, checkMade, shown } from "../support/check.js";
import { MovedMessage } from "./chunk.js";

const NO_BUFFERS = -constants.errno.ENOBUFS;
/** Chunks that a stream may have while there is memory for all, and when it becomes scarce. */
export const MAX_CHUNKS_OF_STREAM = 32;
export const CHUNKS_FEW = 4;
const MAX_BUFFER_BYTES = 16 * 1024 * 1024;
// The number of buffers that a group begins with. It doubles whenever all are held.
const FIRST_BUFFERS = 16;
// Pages apart, the beginnings of buffers would compete for the same few lines of the processor's
// cache.
const GAP_BYTES = 192;

/**
 * How a {@link BufferGroup} is made.
 *
 * @category Ring
 */
export interface BufferGroupOptions {
  /** Bytes of one buffer, and so of one chunk at most, 1 to 16 MiB; 16 KiB by default. */
  bufferBytes?: number | null | undefined;
  /**
   * Bytes of all buffers at most, `bufferBytes` or more; 4 MiB by default. The group begins with 16
   * buffers and doubles when it has none left; it has 32,768 at most.
   */
  maxBytes?: number | null | undefined;
  /**
   * Each buffer holds one message, for `ring.receiveMessageMultishot`; false by default. A message
   * that is longer than `bufferBytes` is cut.
   */
  messages?: boolean | null | undefined;
}

/** What a group is made of, once it is known. */
export interface GroupSize {
  readonly bufferBytes: number;
  readonly maxBytes: number;
  readonly messages: boolean;
}

/**
 * Buffers that the kernel takes from when bytes have come, for `ring.receiveMultishot`. Make it
 * with `ring.bufferGroup()`.
 *
 * A connection that receives nothing holds no buffer. The program calls `release(bufferId)` once
 * for every time that the callback named the buffer, because several receives may fill one buffer.
 * When the program holds all buffers the receives end with -ENOBUFS: `await group.available()`, or
 * `whenAvailable()` in detached mode, and start them again.
 *
 * @category Ring
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * using group = io.ring.bufferGroup({ bufferBytes: 4096, maxBytes: 1024 * 1024 });
 * process.stdout.write(`${group.maxBuffers} buffers at most\n`);
 * ```
 */
export class BufferGroup {
  /** Bytes of one buffer. */
  readonly bufferBytes: number;
  /** Buffers at most. */
  readonly maxBuffers: number;
  /** Whether each buffer holds one message. */
  readonly messages: boolean;
  /** What the engine calls it. @internal */
  readonly handle: number;
  readonly #queue: Queue;
  readonly #memory: Memory;
  // The bytes in front of a message: the record of its sender.
  readonly #headBytes: number;
  // A count and then the numbers of buffers that go back, which the engine takes with the next
  // batch of entries. A buffer stands in it once at most, so there is always room.
  readonly #returned: Uint32Array;
  readonly #slabs: ArrayBuffer[] = [];
  // By buffer.
  readonly #regions: Region[] = [];
  readonly #slabOf: ArrayBuffer[] = [];
  readonly #words: Uint32Array[] = [];
  readonly #views: (Uint8Array<ArrayBuffer> | null)[] = [];
  /** How often it was lent and not released. */
  readonly #timesHeld: Int32Array;
  /** Where the bytes end that were lent. */
  readonly #ends: Int32Array;
  /** 1 when the backend has released it. */
  readonly #full: Uint8Array;
  #stock = 0;
  #receiving = 0;
  // The batch of completions in which it grew: many receives may have met the same lack.
  #grownIn = -1;
  #closed = false;
  readonly #waiting: (() => unknown)[] = [];
  // Who waits for a larger share, and the share that they know of.
  #eased: (() => void)[] = [];
  #easedShare = Number.POSITIVE_INFINITY;

  /** @internal */
  static isOne(value: unknown): value is BufferGroup {
    return typeof value === "object" && value !== null && #queue in value;
  }

  /** @internal */
  constructor(queue: Queue, memory: Memory, options: GroupSize) {
    checkMade(queue, "BufferGroup", "ring.bufferGroup()");
    const { bufferBytes, maxBytes, messages } = options;
    checkNumber(bufferBytes, 1, MAX_BUFFER_BYTES, "bufferBytes");
    checkNumber(maxBytes, bufferBytes, Number.MAX_SAFE_INTEGER, "maxBytes");
    this.#queue = queue;
    this.#memory = memory;
    this.bufferBytes = bufferBytes;
    this.messages = messages;
    this.#headBytes = messages ? PEER_SIZE_BYTES : 0;
    this.maxBuffers = Math.min(Math.floor(maxBytes / bufferBytes), MAX_GROUP_BUFFERS);
    this.#timesHeld = new Int32Array(this.maxBuffers);
    this.#ends = new Int32Array(this.maxBuffers).fill(this.#headBytes);
    this.#full = new Uint8Array(this.maxBuffers);
    const returned = new ArrayBuffer(4 * (this.maxBuffers + 1));
    this.#returned = new Uint32Array(returned);
    this.handle = queue.session.addGroup(returned, this.maxBuffers, messages);
    if (this.handle < 0) throw groupError(this.handle);
  }

  /** Buffers that it has by now. */
  get bufferCount(): number {
    return this.#regions.length;
  }

  /** Bytes of memory that it has by now. */
  get sizeBytes(): number {
    return this.bufferCount * this.bufferBytes;
  }

  /** Buffers that can still be filled, those that would be made for it included. */
  get freeBuffers(): number {
    return this.#stock + this.maxBuffers - this.bufferCount;
  }

  /**
   * Bytes of a buffer that a completion named. The view is valid until they are released.
   *
   * @param bufferId The buffer that a completion named.
   * @param offset Where the bytes begin in it: `completion.offset`.
   * @param length How many bytes: the result.
   * @returns a view of them, valid until they are released
   * @throws `ERR_IO_CHUNK_RELEASED` when the program holds nothing of the buffer,
   *   `ERR_OUT_OF_RANGE` outside of it
   */
  view(bufferId: number, offset: number, length: number): Uint8Array {
    const start = this.#regionOf(bufferId).start + offset;
    // Messages often have the length of the last one, and a new view costs more than the rest.
    const last = this.#views[bufferId];
    if (last && last.byteOffset === start && last.length === length) return last;
    const sizeBytes = this.#headBytes + this.bufferBytes;
    checkNumber(offset, 0, sizeBytes, "the offset");
    checkNumber(length, 0, sizeBytes - offset, "the length");
    const view = new Uint8Array(this.#slabOf[bufferId] as ArrayBuffer, start, length);
    this.#views[bufferId] = view;
    return view;
  }

  /**
   * Reads the sender of the message in a buffer.
   *
   * @param bufferId The buffer that a completion named.
   * @param into What the sender is written into.
   * @returns `into`
   * @throws `ERR_IO_CHUNK_RELEASED` when the program holds nothing of the buffer; the codes of a
   *   refused argument: {@link IOError.code}
   */
  sender(bufferId: number, into: SocketAddress): SocketAddress {
    checkInstance(into, SocketAddress, "a SocketAddress", "what it is written into", "sender");
    const { start } = this.#regionOf(bufferId);
    into.copyFrom(this.#words[bufferId] as Uint32Array, start / 4);
    return into;
  }

  /**
   * Whether the message in a buffer was longer than it; the kernel dropped the rest.
   *
   * @param bufferId The buffer that a completion named.
   * @returns whether it was cut
   * @throws `ERR_IO_CHUNK_RELEASED` when the program holds nothing of the buffer
   */
  truncated(bufferId: number): boolean {
    const at = this.#regionOf(bufferId).start / 4 + PEER_FLAGS;
    const flags = (this.#words[bufferId] as Uint32Array)[at] as number;
    return (flags & PEER_FLAG_TRUNCATED) !== 0;
  }

  /**
   * Releases bytes of a buffer: call it once for each completion that named the buffer. While an
   * operation still uses the bytes they stay as they are until it has completed.
   *
   * @param bufferId The buffer that a completion named.
   * @throws `ERR_IO_CHUNK_RELEASED` when the program holds nothing of the buffer
   */
  release(bufferId: number): void {
    const region = this.#regionOf(bufferId);
    const left = (this.#timesHeld[bufferId] as number) - 1;
    this.#timesHeld[bufferId] = left;
    if (left > 0 || this.#full[bufferId] === 0) return;
    region.acquired = false;
    if (region.inFlight === 0) this.#return(bufferId);
    else {
      region.onIdle = () => {
        region.onIdle = null;
        this.#return(bufferId);
      };
    }
  }

  /**
   * Resolves when a buffer is free. Of several that wait one is resolved for each buffer that is
   * released. It takes neither `signal` nor `timeoutMs`: what it waits for the program does itself.
   */
  available(): Promise<void> {
    return new Promise((resolve) => this.whenAvailable(resolve));
  }

  /**
   * The same with a callback, for detached mode: called at once when a buffer is free, otherwise
   * when one is. A callback that has no use for it returns false, and the next one is called. A
   * receive that is started then and has nothing to receive uses no buffer, and the next callback
   * waits until one is released.
   *
   * @param callback Called once. `false` passes the turn to the next callback.
   * @throws the codes of a refused argument: {@link IOError.code}
   */
  whenAvailable(callback: () => unknown): void {
    checkFunction(callback, "the callback", "whenAvailable");
    if (this.#stock > 0 || this.bufferCount < this.maxBuffers) callback();
    else this.#waiting.push(storages.inUse ? boundToContext(callback) : callback);
  }

  /**
   * Frees the memory. Views that the program holds stay valid as long as they are reachable, and
   * need not be released.
   *
   * @throws `ERR_IO_GROUP_BUSY` while a receive is in flight on it
   */
  close(): void {
    if (this.#closed) return;
    if (this.#receiving > 0) {
      throw new IOError({
        code: "ERR_IO_GROUP_BUSY",
        operation: "bufferGroup",
        message: `bufferGroup: ${this.#receiving} receives are in flight on it: end them first`,
      });
    }
    this.#closed = true;
    this.#queue.session.removeGroup(this.handle);
    for (const slab of this.#slabs) this.#memory.dropSlab(slab);
  }

  /**
   * Frees the memory: what `using` calls.
   *
   * @throws `ERR_IO_GROUP_BUSY` while a receive is in flight on it
   */
  [Symbol.dispose](): void {
    this.close();
  }

  // ---- for streams, which share it

  /**
   * Chunks that one stream may have now. A stream that keeps all of them can take half of
   * the memory; then there are few for each, and finally one. So streams that keep their chunks can
   * starve the others only when they are half as many as there are buffers. @internal
   */
  get share(): number {
    const left = this.freeBuffers;
    if (left >= this.maxBuffers >> 1) return MAX_CHUNKS_OF_STREAM;
    return left >= this.maxBuffers >> 2 ? CHUNKS_FEW : 1;
  }

  /** Whether everything is lent. @internal */
  get exhausted(): boolean {
    return this.freeBuffers === 0;
  }

  /** Whether others wait for memory that could be given to them. @internal */
  get contended(): boolean {
    return this.#waiting.length > 0 && this.#stock > 0;
  }

  /** The next one that waits is called, if there is memory. @internal */
  passOn(): void {
    if (this.contended) this.#wake(1);
  }

  /** Calls back once, when the share is larger than now. @internal */
  whenEased(callback: () => void): void {
    this.#easedShare = Math.min(this.#easedShare, this.share);
    this.#eased.push(callback);
  }

  /** Bytes that were lent are not looked at any more. @internal */
  poison(bufferId: number, offset: number, length: number): void {
    if (!this.#memory.poisons || this.#regionOf(bufferId).inFlight > 0) return;
    this.view(bufferId, offset, length).fill(POISON);
  }

  /** Moves a message to memory of its own, and releases its buffer. @internal */
  moveMessage(bufferId: number, byteLength: number): MovedMessage {
    const { start } = this.#regionOf(bufferId);
    const buffer = this.#slabOf[bufferId] as ArrayBuffer;
    const whole = new Uint8Array(buffer, start, this.#headBytes + byteLength);
    const moved = new MovedMessage(whole, this.#memory.poisons);
    this.release(bufferId);
    return moved;
  }

  // ---- for the ring

  /** A receive is about to be started. @internal */
  prepare(operation: string, messages: boolean): void {
    if (this.#closed) {
      const message = `${operation}: the group is closed`;
      throw new IOError({ code: "ERR_IO_CLOSED", operation, message });
    }
    if (this.messages !== messages) {
      const wanted = messages ? "messages: give bufferGroup() the option" : "bytes, not messages";
      throw typeError(operation, `the group must be of ${wanted}`);
    }
    if (this.#stock === 0 && this.bufferCount < this.maxBuffers) this.#grow();
  }

  /** @internal */
  begin(): void {
    this.#receiving++;
  }

  /** A receive has ended. @internal */
  finish(result: number): void {
    this.#receiving--;
    if (result !== NO_BUFFERS || this.#grownIn === this.#queue.batches) return;
    this.#grownIn = this.#queue.batches;
    if (this.bufferCount < this.maxBuffers) this.#grow();
  }

  /** Bytes have come in a buffer; returns where they begin in it. @internal */
  markHeld(bufferId: number, count: number, open: boolean): number {
    const offset = this.#ends[bufferId] as number;
    this.#ends[bufferId] = offset + count;
    this.#timesHeld[bufferId] = (this.#timesHeld[bufferId] as number) + 1;
    (this.#regions[bufferId] as Region).acquired = true;
    if (!open) {
      this.#full[bufferId] = 1;
      this.#stock--;
    }
    return offset;
  }

  // ----

  #regionOf(bufferId: number): Region {
    if (typeof bufferId !== "number") {
      throw typeError("bufferGroup", `the buffer is ${shown(bufferId)}: give completion.bufferId`);
    }
    const region = this.#regions[bufferId];
    if (region !== undefined && (this.#timesHeld[bufferId] as number) > 0) return region;
    throw new IOError({
      code: "ERR_IO_CHUNK_RELEASED",
      operation: "bufferGroup",
      message: `bufferGroup: buffer ${bufferId} was released before`,
    });
  }

  #return(bufferId: number): void {
    if (this.#memory.poisons) this.#poisonAll(bufferId);
    this.#full[bufferId] = 0;
    this.#ends[bufferId] = this.#headBytes;
    this.#stock++;
    if (this.#closed) return;
    const count = (this.#returned[0] as number) + 1;
    this.#returned[count] = bufferId;
    this.#returned[0] = count;
    this.#queue.noteReturned();
    if (this.#waiting.length > 0) this.#wake(1);
    if (this.#eased.length > 0) this.#ease();
  }

  // In turn, and no more than there are buffers: the others would only be refused again.
  #wake(buffers: number): void {
    for (let left = buffers; left > 0; ) {
      const callback = this.#waiting.shift();
      if (callback === undefined) return;
      if (callback() !== false) left--;
    }
  }

  #ease(): void {
    if (this.share <= this.#easedShare) return;
    const eased = this.#eased;
    this.#eased = [];
    this.#easedShare = Number.POSITIVE_INFINITY;
    for (const callback of eased) callback();
  }

  #poisonAll(bufferId: number): void {
    const { start } = this.#regions[bufferId] as Region;
    const buffer = this.#slabOf[bufferId] as ArrayBuffer;
    new Uint8Array(buffer, start, this.#ends[bufferId]).fill(POISON);
  }

  #grow(): void {
    const buffers = this.bufferCount;
    const count = Math.min(Math.max(FIRST_BUFFERS, buffers), this.maxBuffers - buffers);
    const sizeBytes = this.#headBytes + this.bufferBytes;
    const strideBytes = Math.ceil(sizeBytes / 64) * 64 + GAP_BYTES;
    const slab = new ArrayBuffer(strideBytes * count + 64);
    const start = this.#memory.alignedStart(slab, 64);
    const [handle, regions] = this.#memory.provideBuffers(
      slab,
      start,
      strideBytes,
      sizeBytes,
      count,
    );
    const { session } = this.#queue;
    const error = session.provideBuffers(this.handle, handle, 0, strideBytes, sizeBytes, count);
    if (error < 0) {
      this.#memory.dropSlab(slab);
      throw groupError(error);
    }
    this.#slabs.push(slab);
    const words = new Uint32Array(slab, 0, slab.byteLength >> 2);
    for (const region of regions) {
      this.#regions.push(region);
      this.#slabOf.push(slab);
      this.#words.push(words);
      this.#views.push(null);
    }
    this.#stock += count;
    this.#wake(count);
  }
}

// Groups count in numbers, not in bigints.
function checkNumber(value: unknown, min: number, max: number, name: string): void {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return;
  }
  const message = `${name} is ${shown(value)}: give ${min} to ${max}`;
  throw numberError("bufferGroup", value, message);
}

function groupError(errno: number): IOError {
  const [code, text] = errnoName(errno);
  return new IOError({
    code,
    errno,
    operation: "bufferGroup",
    message: `bufferGroup failed: ${code}, ${text}`,
  });
}
