// Memory that receives are served from and that is lent to the program: pieces of one size, which
// the backend fills when there is something to receive and not before.
//
// Who owns a piece: the backend, until a completion brings bytes in it; the program, from there
// until it has given back everything that was lent of it and no operation uses it any more; then
// the backend again. The memory itself is V8's, and the engine holds it as long as the group lives.
import { constants } from "node:os";
import { PEER_FLAG_TRUNCATED, PEER_FLAGS, PEER_SIZE_BYTES, PIECES_MOST } from "../engine/abi.js";
import { type Memory, POISON, type Region } from "../engine/memory.js";
import type { Queue } from "../engine/queue.js";
import { errnoName, IOError, rangeError, typeError } from "../errors.js";
import { Peer } from "../sockets/peer.js";
import { checkFunction, checkInstance, checkMade, shown } from "../support/check.js";
import { MovedMessage } from "./chunk.js";

const NO_BUFFERS = -constants.errno.ENOBUFS;
/** Chunks that a stream may have while there is memory for all, and when it becomes scarce. */
export const CHUNKS_MOST = 32;
export const CHUNKS_FEW = 4;
const PIECE_BYTES_MOST = 16 * 1024 * 1024;
// What a group begins with; then it doubles whenever it has nothing left to give.
const FIRST_PIECES = 16;
// Pages apart, the beginnings of pieces would compete for the same few lines of the processor's
// cache.
const GAP_BYTES = 192;

/** How a {@link BufferGroup} is made. */
export interface BufferGroupOptions {
  /** Bytes of one piece, and so of one chunk at most; 16 KiB by default. */
  pieceBytes?: number | null | undefined;
  /**
   * Bytes of all pieces at most; 4 MiB by default. The group begins with 16 pieces and doubles when
   * it has none left.
   */
  limitBytes?: number | null | undefined;
  /**
   * Each piece holds one message, for `ring.receiveMessageMultishot`; false by default. A message
   * that is longer than `pieceBytes` is cut.
   */
  messages?: boolean | null | undefined;
}

/** What a group is made of, once it is known. */
export interface GroupSize {
  readonly pieceBytes: number;
  readonly limitBytes: number;
  readonly messages: boolean;
}

/**
 * Memory that `ring.receiveMultishot` lends pieces of. Make it with `ring.bufferGroup()`.
 *
 * A connection that receives nothing holds none of it. Bytes that were lent are given back with
 * `giveBack(piece)`, once for every time that the callback named the piece; several lots of bytes
 * may lie in one piece. When all pieces are lent the receives end with -ENOBUFS: start them again
 * when something was given back, `whenGivenBack` tells.
 */
export class BufferGroup {
  /** Bytes of one piece. */
  readonly pieceBytes: number;
  /** Pieces at most. */
  readonly piecesMost: number;
  /** Whether each piece holds one message. */
  readonly messages: boolean;
  /** What the engine calls it. @internal */
  readonly handle: number;
  readonly #queue: Queue;
  readonly #memory: Memory;
  // What stands in front of the bytes: the record of the sender of a message.
  readonly #headBytes: number;
  // A count and then the numbers of pieces that go back, which the engine takes with the next batch
  // of entries. A piece stands in it once at most, so there is always room.
  readonly #returned: Uint32Array;
  readonly #slabs: ArrayBuffer[] = [];
  // By piece.
  readonly #regions: Region[] = [];
  readonly #buffers: ArrayBuffer[] = [];
  readonly #words: Uint32Array[] = [];
  readonly #views: (Uint8Array<ArrayBuffer> | null)[] = [];
  /** How often it was lent and not given back. */
  readonly #lent: Int32Array;
  /** Where the bytes end that were lent. */
  readonly #ends: Int32Array;
  /** 1 when the backend has let go of it. */
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
  constructor(queue: Queue, memory: Memory, options: GroupSize) {
    checkMade(queue, "BufferGroup", "ring.bufferGroup()");
    const { pieceBytes, limitBytes, messages } = options;
    checkNumber(pieceBytes, 1, PIECE_BYTES_MOST, "pieceBytes");
    checkNumber(limitBytes, pieceBytes, Number.MAX_SAFE_INTEGER, "limitBytes");
    this.#queue = queue;
    this.#memory = memory;
    this.pieceBytes = pieceBytes;
    this.messages = messages;
    this.#headBytes = messages ? PEER_SIZE_BYTES : 0;
    this.piecesMost = Math.min(Math.floor(limitBytes / pieceBytes), PIECES_MOST);
    this.#lent = new Int32Array(this.piecesMost);
    this.#ends = new Int32Array(this.piecesMost).fill(this.#headBytes);
    this.#full = new Uint8Array(this.piecesMost);
    const returned = new ArrayBuffer(4 * (this.piecesMost + 1));
    this.#returned = new Uint32Array(returned);
    this.handle = queue.session.addGroup(returned, this.piecesMost, messages);
    if (this.handle < 0) throw groupError(this.handle);
  }

  /** Pieces that it has by now. */
  get pieces(): number {
    return this.#regions.length;
  }

  /** Bytes of memory that it has by now. */
  get sizeBytes(): number {
    return this.pieces * this.pieceBytes;
  }

  /** Pieces that can still be filled, those that would be made for it included. */
  get available(): number {
    return this.#stock + this.piecesMost - this.pieces;
  }

  /** The bytes that were lent at a place of a piece. Valid until they are given back. */
  view(piece: number, offset: number, length: number): Uint8Array {
    const start = this.#regionOf(piece).start + offset;
    // Messages often have the length of the last one, and a new view costs more than the rest.
    const last = this.#views[piece];
    if (last && last.byteOffset === start && last.length === length) return last;
    const sizeBytes = this.#headBytes + this.pieceBytes;
    checkNumber(offset, 0, sizeBytes, "the offset");
    checkNumber(length, 0, sizeBytes - offset, "the length");
    const view = new Uint8Array(this.#buffers[piece] as ArrayBuffer, start, length);
    this.#views[piece] = view;
    return view;
  }

  /** Who sent the message that was lent in `piece`, written into `into`; returns that. */
  readPeer(piece: number, into: Peer): Peer {
    checkInstance(into, Peer, "a Peer", "what it is written into", "readPeer");
    const { start } = this.#regionOf(piece);
    const buffer = this.#buffers[piece] as ArrayBuffer;
    into.record.set(new Uint8Array(buffer, start, PEER_SIZE_BYTES));
    return into;
  }

  /** Whether the message that was lent in `piece` was longer than it; the rest is lost. */
  truncated(piece: number): boolean {
    const at = this.#regionOf(piece).start / 4 + PEER_FLAGS;
    const flags = (this.#words[piece] as Uint32Array)[at] as number;
    return (flags & PEER_FLAG_TRUNCATED) !== 0;
  }

  /**
   * Gives bytes back that lie in `piece`. Throws "ERR_IO_CHUNK_RETURNED" when nothing of it is
   * lent. While an operation still uses them they stay as they are until it has completed.
   */
  giveBack(piece: number): void {
    const region = this.#regionOf(piece);
    const left = (this.#lent[piece] as number) - 1;
    this.#lent[piece] = left;
    if (left > 0 || this.#full[piece] === 0) return;
    region.acquired = false;
    if (region.inFlight === 0) this.#return(piece);
    else {
      region.onIdle = () => {
        region.onIdle = null;
        this.#return(piece);
      };
    }
  }

  /**
   * Calls back once: at once when a piece is free, otherwise when one is. Of several that wait the
   * first is called for each piece; return false to leave it to the next one. A receive that is
   * started then and has nothing to receive uses no piece, and the next one waits all the same.
   */
  whenAvailable(callback: () => unknown): void {
    checkFunction(callback, "the callback", "whenAvailable");
    if (this.#stock > 0 || this.pieces < this.piecesMost) callback();
    else this.#waiting.push(callback);
  }

  /**
   * Lets go of the memory. Throws "ERR_IO_GROUP_BUSY" while a receive is in flight on it. What is
   * lent stays valid as long as it is reachable, and need not be given back.
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

  /** Lets go of the memory: what `using` calls. */
  [Symbol.dispose](): void {
    this.close();
  }

  // ---- for streams, which share it

  /**
   * Chunks that one stream may have now. Whoever keeps all of them can take half of the memory;
   * then there are few for each, and at last one: so a crowd that keeps its chunks has to be half
   * as large as there are pieces before there is nothing left for the others. @internal
   */
  get share(): number {
    const left = this.available;
    if (left >= this.piecesMost >> 1) return CHUNKS_MOST;
    return left >= this.piecesMost >> 2 ? CHUNKS_FEW : 1;
  }

  /** Whether everything is lent. @internal */
  get exhausted(): boolean {
    return this.available === 0;
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
  poison(piece: number, offset: number, length: number): void {
    if (!this.#memory.poisons || this.#regionOf(piece).inFlight > 0) return;
    this.view(piece, offset, length).fill(POISON);
  }

  /** Moves a message to memory of its own, and gives its piece back. @internal */
  moveMessage(piece: number, byteLength: number): MovedMessage {
    const { start } = this.#regionOf(piece);
    const buffer = this.#buffers[piece] as ArrayBuffer;
    const whole = new Uint8Array(buffer, start, this.#headBytes + byteLength);
    const moved = new MovedMessage(whole, this.#memory.poisons);
    this.giveBack(piece);
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
    if (this.#stock === 0 && this.pieces < this.piecesMost) this.#grow();
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
    if (this.pieces < this.piecesMost) this.#grow();
  }

  /** Bytes have come in a piece; returns where they begin in it. @internal */
  lend(piece: number, count: number, open: boolean): number {
    const offset = this.#ends[piece] as number;
    this.#ends[piece] = offset + count;
    this.#lent[piece] = (this.#lent[piece] as number) + 1;
    (this.#regions[piece] as Region).acquired = true;
    if (!open) {
      this.#full[piece] = 1;
      this.#stock--;
    }
    return offset;
  }

  // ----

  #regionOf(piece: number): Region {
    if (typeof piece !== "number") {
      throw rangeError("bufferGroup", `the piece is ${shown(piece)}: give completion.piece`);
    }
    const region = this.#regions[piece];
    if (region !== undefined && (this.#lent[piece] as number) > 0) return region;
    throw new IOError({
      code: "ERR_IO_CHUNK_RETURNED",
      operation: "bufferGroup",
      message: `bufferGroup: nothing of piece ${piece} is lent: it was given back before`,
    });
  }

  #return(piece: number): void {
    if (this.#memory.poisons) this.#poisonAll(piece);
    this.#full[piece] = 0;
    this.#ends[piece] = this.#headBytes;
    this.#stock++;
    if (this.#closed) return;
    const count = (this.#returned[0] as number) + 1;
    this.#returned[count] = piece;
    this.#returned[0] = count;
    this.#queue.noteReturned();
    if (this.#waiting.length > 0) this.#wake(1);
    if (this.#eased.length > 0) this.#ease();
  }

  // In turn, and no more than there are pieces: the others would only be refused again.
  #wake(pieces: number): void {
    for (let left = pieces; left > 0; ) {
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

  #poisonAll(piece: number): void {
    const { start } = this.#regions[piece] as Region;
    const buffer = this.#buffers[piece] as ArrayBuffer;
    new Uint8Array(buffer, start, this.#ends[piece]).fill(POISON);
  }

  #grow(): void {
    const pieces = this.pieces;
    const count = Math.min(Math.max(FIRST_PIECES, pieces), this.piecesMost - pieces);
    const sizeBytes = this.#headBytes + this.pieceBytes;
    const strideBytes = Math.ceil(sizeBytes / 64) * 64 + GAP_BYTES;
    const slab = new ArrayBuffer(strideBytes * count + 64);
    const start = this.#memory.alignedStart(slab, 64);
    const [handle, regions] = this.#memory.addPieces(slab, start, strideBytes, sizeBytes, count);
    const { session } = this.#queue;
    const error = session.addPieces(this.handle, handle, 0, strideBytes, sizeBytes, count);
    if (error < 0) {
      this.#memory.dropSlab(slab);
      throw groupError(error);
    }
    this.#slabs.push(slab);
    const words = new Uint32Array(slab, 0, slab.byteLength >> 2);
    for (const region of regions) {
      this.#regions.push(region);
      this.#buffers.push(slab);
      this.#words.push(words);
      this.#views.push(null);
    }
    this.#stock += count;
    this.#wake(count);
  }
}

// Groups count in numbers, not in bigints.
function checkNumber(value: unknown, least: number, most: number, name: string): void {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) {
    return;
  }
  throw rangeError("bufferGroup", `${name} is ${shown(value)}: give ${least} to ${most}`);
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
