// Memory for streams that hold nothing while all that is lent is in other hands: a piece for each
// of them, so that whoever keeps chunks stops nobody else. There are as many pieces as such streams
// at once, and what is not used any more is let go.
//
// Who owns a piece: the stream, from `take` until its receive has ended; the program, when that has
// brought something, until the chunk is returned; then the reserve again, as soon as no operation
// uses it.
import type { ChunkMemory } from "../receiving/chunk.js";
import type { Peer } from "../sockets/peer.js";
import { PEER_SIZE_BYTES } from "./abi.js";
import { type Memory, POISON, type Region } from "./memory.js";

// Of one slab.
const PIECES = 16;

interface Slab {
  readonly buffer: ArrayBuffer;
  readonly regions: readonly Region[];
  readonly free: number[];
}

export class Reserve implements ChunkMemory {
  /** Bytes of one piece that can be received. */
  readonly pieceBytes: number;
  /** What stands in front of them: the record of the sender of a message. */
  readonly headBytes: number;
  readonly #memory: Memory;
  readonly #strideBytes: number;
  // A piece is the number of its slab, and which one of it.
  readonly #slabs: (Slab | undefined)[] = [];
  readonly #unused: number[] = [];
  /** Slabs that have a free piece. */
  readonly #open = new Set<number>();

  constructor(memory: Memory, pieceBytes: number, messages: boolean) {
    this.#memory = memory;
    this.pieceBytes = pieceBytes;
    this.headBytes = messages ? PEER_SIZE_BYTES : 0;
    this.#strideBytes = Math.ceil((this.headBytes + pieceBytes) / 64) * 64;
  }

  take(): number {
    const [number = this.#grow()] = this.#open;
    const { regions, free } = this.#slabs[number] as Slab;
    const index = free.pop() as number;
    if (free.length === 0) this.#open.delete(number);
    (regions[index] as Region).acquired = true;
    return number * PIECES + index;
  }

  /** Where a receive writes to. */
  room(piece: number): Uint8Array<ArrayBuffer> {
    return this.view(piece, this.headBytes, this.pieceBytes);
  }

  /** The receive was started: until it has brought something nobody else may use the piece. */
  started(piece: number): void {
    const [, region] = this.#find(piece);
    region.acquired = false;
  }

  /** It has brought something. */
  lend(piece: number): void {
    const [, region] = this.#find(piece);
    region.acquired = true;
  }

  view(piece: number, offset: number, length: number): Uint8Array<ArrayBuffer> {
    const [slab, region] = this.#find(piece);
    return new Uint8Array(slab.buffer, region.start + offset, length);
  }

  poison(piece: number, offset: number, length: number): void {
    const [, region] = this.#find(piece);
    if (this.#memory.poisons && region.inFlight === 0)
      this.view(piece, offset, length).fill(POISON);
  }

  /** A chunk was returned, or a receive has brought nothing. */
  giveBack(piece: number): void {
    const [, region] = this.#find(piece);
    region.acquired = false;
    if (region.inFlight === 0) this.#return(piece);
    else {
      region.onIdle = () => {
        region.onIdle = null;
        if (this.#memory.poisons) this.view(piece, 0, region.sizeBytes).fill(POISON);
        this.#return(piece);
      };
    }
  }

  /** Notes who sent the message that was received into a piece. */
  writePeer(piece: number, peer: Peer): void {
    this.view(piece, 0, PEER_SIZE_BYTES).set(peer.record);
  }

  readPeer(piece: number, into: Peer): Peer {
    into.record.set(this.view(piece, 0, PEER_SIZE_BYTES));
    return into;
  }

  #find(piece: number): [Slab, Region] {
    const slab = this.#slabs[Math.floor(piece / PIECES)] as Slab;
    return [slab, slab.regions[piece % PIECES] as Region];
  }

  #grow(): number {
    const stride = this.#strideBytes;
    const buffer = new ArrayBuffer(stride * PIECES + 64);
    const start = this.#memory.alignedStart(buffer, 64);
    const sizeBytes = this.headBytes + this.pieceBytes;
    const [, regions] = this.#memory.addPieces(buffer, start, stride, sizeBytes, PIECES);
    const number = this.#unused.pop() ?? this.#slabs.length;
    const free = Array.from({ length: PIECES }, (_, index) => PIECES - 1 - index);
    this.#slabs[number] = { buffer, regions, free };
    this.#open.add(number);
    return number;
  }

  // One empty slab is kept, for the next stream.
  #return(piece: number): void {
    const number = Math.floor(piece / PIECES);
    const slab = this.#slabs[number] as Slab;
    slab.free.push(piece % PIECES);
    this.#open.add(number);
    if (slab.free.length < PIECES || this.#open.size === 1) return;
    this.#open.delete(number);
    this.#slabs[number] = undefined;
    this.#unused.push(number);
    this.#memory.dropSlab(slab.buffer, true);
  }
}
