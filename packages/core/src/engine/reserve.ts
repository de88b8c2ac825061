// Memory for streams that hold nothing while all that is lent is in other hands: a buffer for each
// of them, so that a stream that keeps its chunks stops no other. There are as many buffers as such
// streams at once, and what is not used any more is let go.
//
// Who owns a buffer: the stream, from `take` until its receive has ended; the program, when that
// has brought something, until the chunk is returned; then the reserve again, as soon as no
// operation uses it.
import type { ChunkMemory } from "../receiving/chunk.js";
import type { SocketAddress } from "../sockets/socket_address.js";
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
  /** Bytes of one buffer that can be received. */
  readonly bufferBytes: number;
  /** What stands in front of them: the record of the sender of a message. */
  readonly headBytes: number;
  readonly #memory: Memory;
  readonly #strideBytes: number;
  // A buffer is the number of its slab, and which one of it.
  readonly #slabs: (Slab | undefined)[] = [];
  readonly #unused: number[] = [];
  /** Slabs that have a free buffer. */
  readonly #open = new Set<number>();

  constructor(memory: Memory, bufferBytes: number, messages: boolean) {
    this.#memory = memory;
    this.bufferBytes = bufferBytes;
    this.headBytes = messages ? PEER_SIZE_BYTES : 0;
    this.#strideBytes = Math.ceil((this.headBytes + bufferBytes) / 64) * 64;
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
  room(bufferId: number): Uint8Array<ArrayBuffer> {
    return this.view(bufferId, this.headBytes, this.bufferBytes);
  }

  /** The receive was started: until it has brought something nobody else may use the buffer. */
  started(bufferId: number): void {
    const [, region] = this.#find(bufferId);
    region.acquired = false;
  }

  /** It has brought something. */
  lend(bufferId: number): void {
    const [, region] = this.#find(bufferId);
    region.acquired = true;
  }

  view(bufferId: number, offset: number, length: number): Uint8Array<ArrayBuffer> {
    const [slab, region] = this.#find(bufferId);
    return new Uint8Array(slab.buffer, region.start + offset, length);
  }

  poison(bufferId: number, offset: number, length: number): void {
    const [, region] = this.#find(bufferId);
    if (this.#memory.poisons && region.inFlight === 0)
      this.view(bufferId, offset, length).fill(POISON);
  }

  /** A chunk was released, or a receive has brought nothing. */
  release(bufferId: number): void {
    const [, region] = this.#find(bufferId);
    region.acquired = false;
    if (region.inFlight === 0) this.#return(bufferId);
    else {
      region.onIdle = () => {
        region.onIdle = null;
        if (this.#memory.poisons) this.view(bufferId, 0, region.sizeBytes).fill(POISON);
        this.#return(bufferId);
      };
    }
  }

  /** Notes who sent the message that was received into a buffer. */
  writeSender(bufferId: number, sender: SocketAddress): void {
    this.view(bufferId, 0, PEER_SIZE_BYTES).set(sender.record);
  }

  sender(bufferId: number, into: SocketAddress): SocketAddress {
    into.record.set(this.view(bufferId, 0, PEER_SIZE_BYTES));
    return into;
  }

  #find(bufferId: number): [Slab, Region] {
    const slab = this.#slabs[Math.floor(bufferId / PIECES)] as Slab;
    return [slab, slab.regions[bufferId % PIECES] as Region];
  }

  #grow(): number {
    const stride = this.#strideBytes;
    const buffer = new ArrayBuffer(stride * PIECES + 64);
    const start = this.#memory.alignedStart(buffer, 64);
    const sizeBytes = this.headBytes + this.bufferBytes;
    const [, regions] = this.#memory.addPieces(buffer, start, stride, sizeBytes, PIECES);
    const number = this.#unused.pop() ?? this.#slabs.length;
    const free = Array.from({ length: PIECES }, (_, index) => PIECES - 1 - index);
    this.#slabs[number] = { buffer, regions, free };
    this.#open.add(number);
    return number;
  }

  // One empty slab is kept, for the next stream.
  #return(bufferId: number): void {
    const number = Math.floor(bufferId / PIECES);
    const slab = this.#slabs[number] as Slab;
    slab.free.push(bufferId % PIECES);
    this.#open.add(number);
    if (slab.free.length < PIECES || this.#open.size === 1) return;
    this.#open.delete(number);
    this.#slabs[number] = undefined;
    this.#unused.push(number);
    this.#memory.dropSlab(slab.buffer, true);
  }
}
