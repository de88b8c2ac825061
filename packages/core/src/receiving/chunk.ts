// What a stream of lent memory hands out: a chunk, which is memory of a group until it is returned.
import type { Address } from "../address.js";
import { PEER_SIZE_BYTES } from "../engine/abi.js";
import { POISON } from "../engine/memory.js";
import { IOError } from "../errors.js";
import { Peer } from "../sockets/peer.js";
import { checkInstance, checkMade } from "../support/check.js";

/** Whose memory a chunk is: a group's, or the chunk's own. */
export interface ChunkMemory {
  view(piece: number, offset: number, length: number): Uint8Array;
  poison(piece: number, offset: number, length: number): void;
  giveBack(piece: number): void;
  /** Of a message: who sent it, and whether it was cut. */
  readPeer(piece: number, into: Peer): Peer;
}

/** Where the bytes of a chunk are. */
export interface ChunkPlace {
  readonly memory: ChunkMemory;
  readonly piece: number;
  readonly offset: number;
}

/** Whom a chunk belongs to. */
export interface ChunkOwner {
  onReturned(): void;
}

/**
 * Bytes that were received, in memory that is lent: `using` returns it.
 *
 * `bytes` is a view of memory that the next bytes of any stream will be received into, so nothing
 * may look at it after the return. The chunk itself tells: its `bytes` then throw, and so do the
 * operations of this library when they are given the old view and all of its piece of memory was
 * returned. A view that is kept and read by other code cannot be told; `IO.open({ poison: true })`
 * overwrites what is returned, so that tests find it.
 */
export class Chunk implements Disposable {
  /** How many bytes there are. */
  readonly byteLength: number;
  readonly #memory: ChunkMemory;
  readonly #piece: number;
  readonly #offset: number;
  #owner: ChunkOwner | null;

  /** @internal */
  constructor(owner: ChunkOwner, place: ChunkPlace, byteLength: number) {
    checkMade(place, "Chunk", "socket.receiving()");
    const { memory, piece, offset } = place;
    this.#owner = owner;
    this.#memory = memory;
    this.#piece = piece;
    this.#offset = offset;
    this.byteLength = byteLength;
  }

  /** The bytes, until the chunk is returned; then "ERR_IO_CHUNK_RETURNED". */
  get bytes(): Uint8Array {
    if (this.#owner === null) throw returnedError("bytes", "its bytes are another's by now");
    return this.#memory.view(this.#piece, this.#offset, this.byteLength);
  }

  /** Whether it was returned. */
  get returned(): boolean {
    return this.#owner === null;
  }

  /**
   * Returns the memory. An operation that still uses it is not disturbed: the memory goes back when
   * that has completed. Returning it twice throws "ERR_IO_CHUNK_RETURNED".
   */
  return(): void {
    const owner = this.#owner;
    if (owner === null) throw returnedError("return", "it was returned before");
    this.#owner = null;
    this.#memory.poison(this.#piece, this.#offset, this.byteLength);
    this.#memory.giveBack(this.#piece);
    owner.onReturned();
  }

  /** Returns the memory: what `using` calls. */
  [Symbol.dispose](): void {
    this.return();
  }

  /** @internal */
  protected readPeer(into: Peer): Peer {
    if (this.#owner === null) throw returnedError("peer", "its sender was returned with it");
    return this.#memory.readPeer(this.#piece, into);
  }
}

/**
 * One datagram that was received, in memory that is lent: a {@link Chunk} with its sender. It may
 * be empty, which ends nothing.
 */
export class DatagramChunk extends Chunk {
  /** Whether it was longer than a chunk may be; the rest of it is lost. */
  readonly truncated: boolean;
  #address: Address | null = null;

  /** @internal */
  constructor(owner: ChunkOwner, place: ChunkPlace, byteLength: number, truncated: boolean) {
    super(owner, place, byteLength);
    this.truncated = truncated;
  }

  /**
   * Who sent it; all fields are empty for a unix socket without an address. What was read once
   * stays known; else it throws "ERR_IO_CHUNK_RETURNED" after the return.
   */
  get address(): Address {
    this.#address ??= this.readPeer(new Peer()).address;
    return this.#address;
  }

  /** The sender as whom to send to, written into `into`, which need not be a new one each time. */
  peer(into: Peer = new Peer()): Peer {
    checkInstance(into, Peer, "a Peer", "what it is written into", "peer");
    return this.readPeer(into);
  }
}

/**
 * A message that came when its stream had its share of the group already: moved to memory of its
 * own, so that the piece is there for others.
 *
 * @internal
 */
export class MovedMessage implements ChunkMemory {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #poisons: boolean;

  constructor(whole: Uint8Array<ArrayBuffer>, poisons: boolean) {
    this.#bytes = whole.slice();
    this.#poisons = poisons;
  }

  view(_piece: number, offset: number, length: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(offset, offset + length);
  }

  poison(): void {
    if (this.#poisons) this.#bytes.fill(POISON);
  }

  giveBack(): void {}

  readPeer(_piece: number, into: Peer): Peer {
    into.record.set(this.#bytes.subarray(0, PEER_SIZE_BYTES));
    return into;
  }
}

function returnedError(operation: string, why: string): IOError {
  return new IOError({
    code: "ERR_IO_CHUNK_RETURNED",
    operation,
    message: `${operation}: the chunk was returned: ${why}`,
  });
}
