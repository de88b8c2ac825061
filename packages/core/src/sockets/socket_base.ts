// What stream and datagram sockets have in common: names, options and their end.
import type { Address } from "../address.js";
import {
  SOCKET_COUNTER_ZERO_COPY_BYTES,
  SOCKET_COUNTER_ZERO_COPY_CHUNK_BYTES,
  SOCKET_COUNTER_ZERO_COPY_CHUNKS,
  SOCKET_COUNTER_ZERO_COPY_COPIED,
  SOCKET_COUNTER_ZERO_COPY_FALLEN_BACK,
  SOCKET_COUNTER_ZERO_COPY_SENDS,
  SOCKET_COUNTER_ZERO_COPY_UNRELEASED,
  SOCKET_COUNTERS,
  SOCKET_OPTION_BROADCAST,
  SOCKET_OPTION_KEEP_ALIVE,
  SOCKET_OPTION_NO_DELAY,
  SOCKET_OPTION_RECEIVE_BUFFER_BYTES,
  SOCKET_OPTION_REUSE_ADDRESS,
  SOCKET_OPTION_REUSE_PORT,
  SOCKET_OPTION_SEND_BUFFER_BYTES,
  SOCKET_OPTION_ZERO_COPY_THRESHOLD_BYTES,
} from "../engine/abi.js";
import type { Moment } from "../engine/mask.js";
import type { NativeSession } from "../engine/native.js";
import { closedError, IOError, operationError } from "../errors.js";
import type { Chunk } from "../receiving/chunk.js";
import type { ChunkPools } from "../receiving/chunk_pools.js";
import { type ChunkKind, type ChunkOptions, ChunkStream } from "../receiving/chunk_stream.js";
import type { Opener } from "../receiving/kept_watch.js";
import type { Operations } from "../ring/operations.js";
import type { Descriptor } from "../ring/types.js";
import { checkMade, checkOptions, flag, knows, wholeNumber } from "../support/check.js";
import { OpenedSocket } from "../support/forgotten.js";
import { addressOf, nameOf, type SocketKind } from "./address_of.js";
import { ownFile } from "./socket_file.js";

const OPTION_NUMBERS = {
  noDelay: SOCKET_OPTION_NO_DELAY,
  keepAlive: SOCKET_OPTION_KEEP_ALIVE,
  receiveBufferBytes: SOCKET_OPTION_RECEIVE_BUFFER_BYTES,
  sendBufferBytes: SOCKET_OPTION_SEND_BUFFER_BYTES,
  broadcast: SOCKET_OPTION_BROADCAST,
  reuseAddress: SOCKET_OPTION_REUSE_ADDRESS,
  reusePort: SOCKET_OPTION_REUSE_PORT,
  zeroCopyThresholdBytes: SOCKET_OPTION_ZERO_COPY_THRESHOLD_BYTES,
} as const;

/** What is counted for one socket; `io.stats()` has the sums of all. */
export interface SocketStats {
  /** Sends that went without a copy of ours. */
  zeroCopySends: number;
  /** The bytes that they moved. */
  zeroCopyBytes: number;
  /** Of them, the sends of which the kernel said that it copied anyway (Linux 6.2). */
  zeroCopyCopied: number;
  /** Sends that should have gone without a copy and went plainly. */
  zeroCopyFallenBack: number;
  /** Sent without a copy, and the kernel still has their memory. */
  zeroCopyUnreleased: number;
  /** Chunks that were received into memory that a network device writes to. */
  zeroCopyChunks: number;
  /** The bytes in them. */
  zeroCopyChunkBytes: number;
}

const RECEIVING = knows("chunks", "chunkBytes");

type OptionName = keyof typeof OPTION_NUMBERS;
const OPTION_NAMES = Object.keys(OPTION_NUMBERS) as OptionName[];
export type OptionValues = { [Name in OptionName]?: boolean | number | null | undefined };

const OPTION_BYTES_MOST = 0x7fffffff;

/** The number that the system is given for an option, checked. */
function optionNumber(name: OptionName, value: unknown): number {
  if (name.endsWith("Bytes")) {
    return wholeNumber(value, 0, OPTION_BYTES_MOST, name, "setOptions");
  }
  return flag(value, false, name, "setOptions") ? 1 : 0;
}

export abstract class SocketBase implements AsyncDisposable {
  /** @internal */
  readonly number: Descriptor;
  /** @internal */
  protected readonly operations: Operations;
  readonly #session: NativeSession;
  /** What it was connected to, for when the system does not know the peer any more. @internal */
  target: Address | null = null;
  #localAddress: Address | null = null;
  #remoteAddress: Address | null = null;
  #watched = true; // as long as Forgotten looks after it
  #closing: Promise<void> | null = null;
  #receiving: ChunkStream<Chunk> | null = null;

  /** @internal */
  constructor(
    operations: Operations,
    session: NativeSession,
    descriptor: Descriptor,
    kind: SocketKind = "socket",
  ) {
    checkMade(operations, "Socket", "await io.connect(), io.listen() or io.openDatagram()");
    this.operations = operations;
    this.#session = session;
    this.number = descriptor;
    operations.forgotten.watch(this, new OpenedSocket(descriptor, kind, session));
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
  get localAddress(): Address | null {
    this.#localAddress ??= this.#name(false);
    return this.#localAddress;
  }

  /**
   * The peer's address. The system is asked once, when the program first asks: so it is null when
   * that is after an accepted connection was reset. A peer that is a unix socket and was not bound
   * has none.
   */
  get remoteAddress(): Address | null {
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
      this.#closing = this.operations.close(this.number);
    }
    return this.#closing;
  }

  /** Closes the socket: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What was counted for this socket since it was opened. */
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

  /** Throws when the socket or its IO is closed. @internal */
  check(operation: string): void {
    if (this.#closing !== null) throw closedError(operation, "the socket");
    this.operations.check(operation);
  }

  protected applyOptions(options: OptionValues): void {
    this.check("setOptions");
    // All of them are checked before the first is set.
    const given: [option: number, value: number][] = [];
    for (const name of OPTION_NAMES) {
      const value = options[name];
      if (value === undefined || value === null) continue;
      given.push([OPTION_NUMBERS[name], optionNumber(name, value)]);
    }
    for (const [option, value] of given) {
      const result = this.#session.setOption(this.number, option, value);
      if (result >= 0) continue;
      throw socketCallError("setOptions", "setsockopt", result, this.operations.backend);
    }
  }

  /** @internal */
  protected startChunks<C extends Chunk>(
    options: ChunkOptions | null | undefined,
    kind: ChunkKind<C>,
    opener: Opener | null = null,
  ): ChunkStream<C> {
    checkOptions(options, RECEIVING);
    this.check("chunks");
    this.checkReceiving("chunks");
    const { operations } = this;
    const lending = operations.chunkPools as ChunkPools;
    const receiving = new ChunkStream(operations, lending, this, kind, options ?? {}, opener);
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

  #name(peer: boolean): Address | null {
    return addressOf(this.#session, this.number, peer);
  }
}

/** The error of a call on a socket that is no submission. */
export function socketCallError(
  operation: string,
  syscall: string,
  errno: number,
  backend: string,
): IOError {
  const { code, message } = operationError(0, errno, backend);
  const text = message.replace(/^[^:]*:/, `${operation} failed in ${syscall}:`);
  return new IOError({ code, errno, syscall, operation, backend, message: text });
}
