// Memory for streams that hold no chunk while other streams hold all buffers: one buffer for each,
// so that a stream that keeps its chunks stops no other. There are as many buffers as such streams
// at once, and unused ones are freed.
//
// Who owns a buffer: the stream, from `take` until its receive has ended; the program, when the
// receive has brought bytes, until the chunk is released; then the reserve again, as soon as no
// operation uses it.
import type { ChunkMemory } from "../receiving/chunk.js";
import type { SocketAddress } from "../sockets/socket_address.js";
import { PEER_SIZE_BYTES } from "./abi.js";
import { type Memory, POISON, type Region } from "./memory.js";

// Of one slab.
const BUFFERS_PER_SLAB = 16;

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
    return number * BUFFERS_PER_SLAB + index;
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
  markHeld(bufferId: number): void {
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
    const slab = this.#slabs[Math.floor(bufferId / BUFFERS_PER_SLAB)] as Slab;
    return [slab, slab.regions[bufferId % BUFFERS_PER_SLAB] as Region];
  }

  #grow(): number {
    const stride = this.#strideBytes;
    const buffer = new ArrayBuffer(stride * BUFFERS_PER_SLAB + 64);
    const start = this.#memory.alignedStart(buffer, 64);
    const sizeBytes = this.headBytes + this.bufferBytes;
    const [, regions] = this.#memory.provideBuffers(
      buffer,
      start,
      stride,
      sizeBytes,
      BUFFERS_PER_SLAB,
    );
    const number = this.#unused.pop() ?? this.#slabs.length;
    const free = Array.from(
      { length: BUFFERS_PER_SLAB },
      (_, index) => BUFFERS_PER_SLAB - 1 - index,
    );
    this.#slabs[number] = { buffer, regions, free };
    this.#open.add(number);
    return number;
  }

  // One empty slab is kept, for the next stream.
  #return(bufferId: number): void {
    const number = Math.floor(bufferId / BUFFERS_PER_SLAB);
    const slab = this.#slabs[number] as Slab;
    slab.free.push(bufferId % BUFFERS_PER_SLAB);
    this.#open.add(number);
    if (slab.free.length < BUFFERS_PER_SLAB || this.#open.size === 1) return;
    this.#open.delete(number);
    this.#slabs[number] = undefined;
    this.#unused.push(number);
    this.#memory.dropSlab(slab.buffer, true);
  }
}
