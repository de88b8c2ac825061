// A chunk: memory of a group that a stream hands to the program until it is released.
import type { DatagramAddress } from "../address.js";
import { PEER_SIZE_BYTES } from "../engine/abi.js";
import { POISON } from "../engine/memory.js";
import { IOError } from "../errors.js";
import { SocketAddress } from "../sockets/socket_address.js";
import { checkInstance, checkMade } from "../support/check.js";

/** Whose memory a chunk is: a group's, or the chunk's own. */
export interface ChunkMemory {
  view(bufferId: number, offset: number, length: number): Uint8Array;
  poison(bufferId: number, offset: number, length: number): void;
  release(bufferId: number): void;
  /** Of a message: who sent it, and whether it was cut. */
  sender(bufferId: number, into: SocketAddress): SocketAddress;
}

/** Where the bytes of a chunk are. */
export interface ChunkPlace {
  readonly memory: ChunkMemory;
  readonly bufferId: number;
  readonly offset: number;
}

/** The owner of a chunk. */
export interface ChunkOwner {
  onReleased(): void;
}

/**
 * Bytes that were received, in a buffer that is borrowed from the library: `using` releases it.
 *
 * `bytes` is a view of memory that the next bytes of any stream will be received into, so do not
 * use it after the release. `chunk.bytes` throws then, and so do the operations of this library
 * when they are given the old view and its whole buffer was released. Other code that reads an
 * old view finds the bytes of another stream; `detectReuse` of `IO.open({ debug })` overwrites
 * released memory, so that tests find such code.
 *
 * @category Memory
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using listener = await io.listen({ port: 0 });
 * const connecting = io.connect({ port: listener.address.port });
 * await using served = await listener.accept();
 * await using socket = await connecting;
 * await socket.sendAll("hello");
 * await socket.shutdown("send");
 * const kept: Uint8Array[] = [];
 * for await (using chunk of served.chunks()) kept.push(chunk.bytes.slice()); // a copy to keep
 * process.stdout.write(`${Buffer.concat(kept)}\n`);
 * ```
 */
export class Chunk implements Disposable {
  /** How many bytes there are. */
  readonly byteLength: number;
  readonly #memory: ChunkMemory;
  readonly #bufferId: number;
  readonly #offset: number;
  #owner: ChunkOwner | null;

  /** @internal */
  constructor(owner: ChunkOwner, place: ChunkPlace, byteLength: number) {
    checkMade(place, "Chunk", "socket.chunks()");
    const { memory, bufferId, offset } = place;
    this.#owner = owner;
    this.#memory = memory;
    this.#bufferId = bufferId;
    this.#offset = offset;
    this.byteLength = byteLength;
  }

  /**
   * The bytes, until the chunk is released; then "ERR_IO_CHUNK_RELEASED".
   *
   * @throws `ERR_IO_CHUNK_RELEASED` after the release
   */
  get bytes(): Uint8Array {
    if (this.#owner === null) throw releasedError("bytes", "its bytes are another's by now");
    return this.#memory.view(this.#bufferId, this.#offset, this.byteLength);
  }

  /** Whether it was released. */
  get released(): boolean {
    return this.#owner === null;
  }

  /**
   * Releases the memory. An operation that still uses it is not disturbed: the memory goes back
   * when that has completed. Releasing it twice throws "ERR_IO_CHUNK_RELEASED".
   *
   * @throws `ERR_IO_CHUNK_RELEASED` when it was released before
   */
  release(): void {
    const owner = this.#owner;
    if (owner === null) throw releasedError("release", "do that once for each");
    this.#owner = null;
    this.#memory.poison(this.#bufferId, this.#offset, this.byteLength);
    this.#memory.release(this.#bufferId);
    owner.onReleased();
  }

  /** Releases the memory: what `using` calls. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** @internal */
  protected readSender(into: SocketAddress): SocketAddress {
    if (this.#owner === null) throw releasedError("sender", "its sender was released with it");
    return this.#memory.sender(this.#bufferId, into);
  }
}

let reading: SocketAddress | undefined;

/**
 * One datagram that was received, in a borrowed buffer: a {@link Chunk} with its sender. It may
 * be empty, which ends nothing.
 *
 * @category Memory
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using server = await io.openDatagram({ host: "127.0.0.1", port: 0 });
 * await using client = await io.openDatagram({ family: "ipv4" });
 * await client.sendTo("ping", server.localAddress);
 * for await (using chunk of server.chunks({ chunkBytes: 2048 })) {
 *   process.stdout.write(`${Buffer.from(chunk.bytes)} from ${chunk.address?.host}\n`);
 *   break;
 * }
 * ```
 */
export class DatagramChunk extends Chunk {
  /** Whether the datagram was longer than `chunkBytes`; the kernel dropped the rest. */
  readonly truncated: boolean;
  #address: DatagramAddress | null | undefined = undefined;

  /** @internal */
  constructor(owner: ChunkOwner, place: ChunkPlace, byteLength: number, truncated: boolean) {
    super(owner, place, byteLength);
    this.truncated = truncated;
  }

  /**
   * The sender; null for a unix socket without an address. What was read once stays known.
   *
   * @throws `ERR_IO_CHUNK_RELEASED` when it is first read after the release
   */
  get address(): DatagramAddress | null {
    if (this.#address === undefined) {
      // One record for all of them: to make one costs more than the rest of a datagram.
      reading ??= new SocketAddress();
      this.#address = this.readSender(reading).address;
    }
    return this.#address;
  }

  /**
   * The sender as an address to send to.
   *
   * @param into What it is written into, and may be used again; a new one by default.
   * @returns `into`
   * @throws `ERR_IO_CHUNK_RELEASED` after the release; the codes of a refused argument: {@link
   *   IOError.code}
   */
  sender(into: SocketAddress = new SocketAddress()): SocketAddress {
    checkInstance(into, SocketAddress, "a SocketAddress", "what it is written into", "sender");
    return this.readSender(into);
  }
}

/**
 * A message that came when its stream had its share of the group already: moved to memory of its
 * own, so that the buffer is there for others.
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

  view(_bufferId: number, offset: number, length: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(offset, offset + length);
  }

  poison(): void {
    if (this.#poisons) this.#bytes.fill(POISON);
  }

  release(): void {}

  sender(_bufferId: number, into: SocketAddress): SocketAddress {
    into.record.set(this.#bytes.subarray(0, PEER_SIZE_BYTES));
    return into;
  }
}

function releasedError(operation: string, why: string): IOError {
  return new IOError({
    code: "ERR_IO_CHUNK_RELEASED",
    operation,
    message: `${operation}: the chunk was released: ${why}`,
  });
}
