// The common part of stream and datagram sockets: names, options and their end.
import type { Address } from "../address.js";
import { callError } from "../descriptors/call_error.js";
import {
  type Passable,
  type PassingSocket,
  type ReceivedDescriptors,
  receiveDescriptors,
  sendDescriptors,
} from "../descriptors/passing.js";
import {
  SOCKET_COUNTER_ZERO_COPY_BYTES,
  SOCKET_COUNTER_ZERO_COPY_CHUNK_BYTES,
  SOCKET_COUNTER_ZERO_COPY_CHUNKS,
  SOCKET_COUNTER_ZERO_COPY_COPIED,
  SOCKET_COUNTER_ZERO_COPY_FALLEN_BACK,
  SOCKET_COUNTER_ZERO_COPY_SENDS,
  SOCKET_COUNTER_ZERO_COPY_UNRELEASED,
  SOCKET_COUNTERS,
} from "../engine/abi.js";
import type { Moment } from "../engine/mask.js";
import type { NativeSession } from "../engine/native.js";
import { closedError, IOError } from "../errors.js";
import type { Chunk } from "../receiving/chunk.js";
import type { ChunkPools } from "../receiving/chunk_pools.js";
import { type ChunkKind, type ChunkOptions, ChunkStream } from "../receiving/chunk_stream.js";
import { ignore, type OperationOptions, type Operations } from "../ring/promises.js";
import type { Descriptor } from "../ring/types.js";
import type { SocketStats } from "../stats.js";
import { type Bytes, checkMade, checkOptions, knows } from "../support/check.js";
import { addressOf, nameOf, type SocketKind } from "./address_of.js";
import type { RawOptionValue } from "./option_types.js";
import { type OptionTarget, readRaw, setRaw } from "./options.js";
import { ownFile } from "./socket_file.js";

const RECEIVING = knows("chunks", "chunkBytes");

export abstract class SocketBase<At extends Address = Address> implements AsyncDisposable {
  /** @internal */
  readonly number: Descriptor;
  /** @internal */
  protected readonly operations: Operations;
  /** What it was connected to, for when the system does not know the peer any more. @internal */
  target: At | null = null;
  #localAddress: At | null = null;
  #remoteAddress: At | null = null;
  #watched = true; // as long as Forgotten looks after it
  #closing: Promise<void> | null = null;
  #receiving: ChunkStream<Chunk> | null = null;

  /** @internal */
  constructor(operations: Operations, descriptor: Descriptor, kind: SocketKind = "socket") {
    checkMade(operations, "Socket", "await io.connect(), io.listen() or io.openDatagram()");
    this.operations = operations;
    this.number = descriptor;
    operations.forgotten.watchSocket(this, descriptor, kind);
  }

  get #session(): NativeSession {
    return this.operations.session;
  }

  /**
   * For the verbs of `io.ring`. Once it was asked for, no warning says that the socket is garbage
   * and was never closed.
   */
  get descriptor(): Descriptor {
    if (this.#watched) {
      this.#watched = false;
      this.operations.forgotten.release(this);
    }
    return this.number;
  }

  /**
   * Its own address. The system is asked once, when the program first asks: so it is null when that
   * is after the close. A unix socket that was not bound has none.
   */
  get localAddress(): At | null {
    this.#localAddress ??= this.#name(false);
    return this.#localAddress;
  }

  /**
   * The peer's address. The system is asked once, when the program first asks: so it is null when
   * that is after an accepted connection was reset. A peer that is a unix socket and was not bound
   * has none.
   */
  get remoteAddress(): At | null {
    this.#remoteAddress ??= this.#name(true) ?? this.target;
    return this.#remoteAddress;
  }

  /**
   * What is in flight on the socket keeps the process alive, as it does unless `unref` was called.
   * Returns itself, as in Node.
   */
  ref(): this {
    this.#setRef(true);
    return this;
  }

  /** What is in flight on it does not keep the process alive. Returns itself. */
  unref(): this {
    this.#setRef(false);
    return this;
  }

  /**
   * Ends what is in flight, then closes the socket. May be called again, with the same promise. It
   * takes neither `signal` nor `timeoutMs`: a close that is given up would leave the descriptor to
   * nothing that closes it.
   */
  close(): Promise<void> {
    if (this.#closing === null) {
      this.operations.forgotten.release(this);
      this.#endReceiving();
      this.operations.fileSender?.closing(this.number);
      this.#closing = this.operations.close(this.number);
    }
    return this.#closing;
  }

  /**
   * Gives the socket away: ends what is in flight on it, and resolves with the number that the
   * system has for it. The descriptor stays open and is the caller's from then on: for
   * `new net.Socket({ fd })`, for `io.adopt()` in another Worker, or to be closed. It may not
   * block. Later calls fail with "ERR_IO_CLOSED".
   *
   * It takes neither `signal` nor `timeoutMs`: who gave up would not know whose it is.
   *
   * @returns the number
   * @throws `ERR_IO_CLOSED`
   */
  detach(): Promise<number> {
    return new Promise((resolve) => {
      this.check("detach");
      this.checkReceiving("detach");
      this.operations.forgotten.release(this);
      const detached = this.operations.detach(this.number);
      this.#closing = detached.then(ignore, ignore); // the caller of detach() gets its error
      resolve(detached);
    });
  }

  /**
   * Sends bytes together with open descriptors over a unix socket (SCM_RIGHTS). The other end gets
   * descriptors of its own for the same files and sockets; those that were passed stay open here.
   *
   * @param data The bytes, or text, one at least on a stream; the kernel's until the promise
   *   settles.
   * @param descriptors What is passed, up to 253: files, sockets and listeners of this IO, or
   *   numbers of the system.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns the bytes sent, which may be fewer; the descriptors went with the first of them
   * @throws `EPIPE`, `ECONNRESET`, `EINVAL` on a socket that is not a unix socket, `ETOOMANYREFS`;
   *   `EBADF` for a number that is not open; the codes of every operation: {@link IOError.code}
   */
  sendDescriptors(
    data: Bytes | string,
    descriptors: readonly Passable[],
    options?: OperationOptions | null,
  ): Promise<number> {
    return sendDescriptors(this.#passing, data, descriptors, options);
  }

  /**
   * Receives bytes together with the descriptors that came with them over a unix socket. What a
   * plain `receive` takes comes without its descriptors, which the system then closes.
   *
   * @param bytes The memory to receive into; the kernel's until the promise settles.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns the bytes received, 0 when a stream has ended, and the descriptors. Adopt each with
   *   `io.adopt()`, or close it; one that becomes garbage is closed, with a warning.
   * @throws `ERR_IO_RECEIVING` while a loop receives from the socket; `ECONNRESET`; the codes of
   *   every operation: {@link IOError.code}
   */
  receiveDescriptors(
    bytes: Bytes,
    options?: OperationOptions | null,
  ): Promise<ReceivedDescriptors> {
    return receiveDescriptors(this.#passing, bytes, options);
  }

  /** Whether it carries bytes that have no end of a message. @internal */
  protected get isStream(): boolean {
    return false;
  }

  /** @internal */
  protected credentials(): { pid: number | null; uid: number; gid: number } {
    const found = this.#session.peerCredentials(this.number);
    if (typeof found === "number") {
      throw callError("peerCredentials", "getsockopt", found, this.operations.backend);
    }
    const [pid, uid, gid] = found;
    return { pid: pid === -1 ? null : pid, uid, gid };
  }

  get #passing(): PassingSocket {
    return {
      operations: this.operations,
      session: this.#session,
      number: this.number,
      about: this,
      isStream: this.isStream,
      check: (operation) => this.check(operation),
      checkReceiving: (operation) => this.checkReceiving(operation),
    };
  }

  /** Closes the socket: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * What was counted for this socket since it was opened.
   *
   * @returns the counters of this socket, as they stand now
   * @throws `ERR_IO_CLOSED`
   */
  stats(): SocketStats {
    this.check("stats");
    const counters = new Float64Array(SOCKET_COUNTERS);
    const result = this.#session.socketCounters(this.number, counters);
    if (result < 0) throw closedError("stats", "the socket");
    return {
      zeroCopySends: counters[SOCKET_COUNTER_ZERO_COPY_SENDS] as number,
      zeroCopyBytes: counters[SOCKET_COUNTER_ZERO_COPY_BYTES] as number,
      zeroCopyCopied: counters[SOCKET_COUNTER_ZERO_COPY_COPIED] as number,
      zeroCopyFallenBack: counters[SOCKET_COUNTER_ZERO_COPY_FALLEN_BACK] as number,
      zeroCopyUnreleased: counters[SOCKET_COUNTER_ZERO_COPY_UNRELEASED] as number,
      zeroCopyChunks: counters[SOCKET_COUNTER_ZERO_COPY_CHUNKS] as number,
      zeroCopyChunkBytes: counters[SOCKET_COUNTER_ZERO_COPY_CHUNK_BYTES] as number,
    };
  }

  /** What the errors of its operations name. @internal */
  get place(): Address | null {
    return this.remoteAddress;
  }

  /** Throws when the socket or its IO is closed. @internal */
  check(operation: string): void {
    if (this.#closing !== null) throw closedError(operation, "the socket");
    this.operations.check(operation);
  }

  /**
   * Sets any option, also one that has no name here: setsockopt(2).
   *
   * @param level The level: its number, or its name in the system's headers ("IPPROTO_TCP").
   * @param name The option: its number, or its name in the system's headers ("TCP_MAXSEG").
   * @param value A number of 32 bits, a flag, bytes in the system's own layout, or text.
   * @throws `ERR_IO_CLOSED`; what setsockopt(2) said; the codes of a refused argument, also for a
   *   name that this system does not have: {@link IOError.code}
   */
  setOption(level: number | string, name: number | string, value: RawOptionValue): void {
    this.check("setOption");
    setRaw(this.optionTarget, level, name, value);
  }

  /**
   * Reads any option, also one that has no name here: getsockopt(2).
   *
   * @param level The level: its number, or its name in the system's headers ("IPPROTO_TCP").
   * @param name The option: its number, or its name in the system's headers ("TCP_MAXSEG").
   * @param sizeBytes How many bytes the system may write; 4 by default, 65,536 at most.
   * @returns what the system has written, in its own layout; its length is what that was
   * @throws `ERR_IO_CLOSED`; what getsockopt(2) said; the codes of a refused argument, also for a
   *   name that this system does not have: {@link IOError.code}
   */
  getOption(level: number | string, name: number | string, sizeBytes?: number | null): Buffer {
    this.check("getOption");
    return readRaw(this.optionTarget, level, name, sizeBytes ?? 4);
  }

  /** Whether its close has begun. @internal */
  protected get closing(): boolean {
    return this.#closing !== null;
  }

  /** @internal */
  protected get optionTarget(): OptionTarget {
    const { backend } = this.operations;
    return { session: this.#session, number: this.number, backend };
  }

  /** @internal */
  protected startChunks<C extends Chunk>(
    options: ChunkOptions | null | undefined,
    kind: ChunkKind<C>,
    warns: boolean,
  ): ChunkStream<C> {
    checkOptions(options, RECEIVING);
    this.check("chunks");
    this.checkReceiving("chunks");
    const { operations } = this;
    const pools = operations.chunkPools as ChunkPools;
    const receiving = new ChunkStream(operations, pools, this, kind, options ?? {}, warns);
    this.#receiving = receiving;
    return receiving;
  }

  /** Throws while a loop has the socket. @internal */
  protected checkReceiving(operation: string): void {
    if (this.#receiving === null || !this.#receiving.active) return;
    throw new IOError({
      code: "ERR_IO_RECEIVING",
      operation,
      message:
        `${operation}: a loop over the socket or over its chunks() receives from it: leave that ` +
        "first, or call the iterator's return()",
    });
  }

  #setRef(keeps: boolean): void {
    if (this.#closing === null) this.#session.setRef(this.number, keeps);
  }

  #endReceiving(): void {
    const receiving = this.#receiving;
    if (receiving === null) return;
    // Remembered while the system still knows it, for the warning of `io.close()`.
    if (receiving.describe().kept > 0) this.describe();
    receiving.onClosing();
  }

  /** For a warning: whose it is. @internal */
  describe(): string {
    return nameOf("socket", this.number, this.localAddress, this.remoteAddress);
  }

  /** It was bound to this address. */
  protected ownFile(address: Address, moment: Moment): void {
    ownFile(this.#session, this.number, address, moment);
  }

  /** What it was bound or connected to has changed. */
  protected forgetAddresses(): void {
    this.#localAddress = null;
    this.#remoteAddress = null;
  }

  #name(peer: boolean): At | null {
    return addressOf(this.#session, this.number, peer) as At | null;
  }
}
