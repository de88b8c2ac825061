// What stream and datagram sockets have in common: names, options and their end.
import { type Address, addressFrom, formatAddress } from "../address.js";
import type { Chunk } from "../chunk.js";
import { closedError, IOError, operationError } from "../errors.js";
import {
  Receiving,
  type ReceivingKind,
  type ReceivingOptions,
  type ReceivingSocket,
} from "../receiving.js";
import type { Descriptor } from "../ring.js";
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
} from "./abi.js";
import type { Lending } from "./lending.js";
import type { Moment } from "./mask.js";
import type { NativeSession } from "./native.js";
import type { Operations } from "./operations.js";
import { ownFile } from "./socket_file.js";

const NO_ADDRESS: Address = { family: "unix", host: "", port: 0, path: "" };

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
  /** Of them, the sends of which the kernel said that it copied all the same (Linux 6.2). */
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

type OptionName = keyof typeof OPTION_NUMBERS;
const OPTION_NAMES = Object.keys(OPTION_NUMBERS) as OptionName[];
export type OptionValues = { [Name in OptionName]?: boolean | number | undefined };

export abstract class SocketBase implements AsyncDisposable, ReceivingSocket {
  /** For the verbs of `io.ring`. */
  readonly descriptor: Descriptor;
  /** @internal */
  protected readonly operations: Operations;
  readonly #session: NativeSession;
  #localAddress: Address | null = null;
  #remoteAddress: Address | null = null;
  #closing: Promise<void> | null = null;
  #receiving: Receiving<Chunk> | null = null;

  /** @internal */
  constructor(operations: Operations, session: NativeSession, descriptor: Descriptor) {
    this.operations = operations;
    this.#session = session;
    this.descriptor = descriptor;
  }

  /**
   * Its own address. All fields are empty when it was first asked for after the socket was closed.
   */
  get localAddress(): Address {
    this.#localAddress ??= this.#name(false);
    return this.#localAddress ?? NO_ADDRESS;
  }

  /**
   * The peer's address. All fields are empty when it was first asked for after the peer had gone,
   * and while there is none.
   */
  get remoteAddress(): Address {
    this.#remoteAddress ??= this.#name(true);
    return this.#remoteAddress ?? NO_ADDRESS;
  }

  /** Ends what is in flight, then closes the socket. May be called again, with the same promise. */
  close(): Promise<void> {
    if (this.#closing === null) {
      this.#endReceiving();
      this.#closing = this.operations.close(this.descriptor);
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
    const result = this.#session.socketCounters(this.descriptor, counters);
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
    for (const name of OPTION_NAMES) {
      const value = options[name];
      if (value === undefined) continue;
      const number = OPTION_NUMBERS[name];
      const result = this.#session.setOption(this.descriptor, number, Number(value));
      if (result >= 0) continue;
      throw socketCallError("setOptions", "setsockopt", result, this.operations.backend);
    }
  }

  /** @internal */
  protected startReceiving<C extends Chunk>(
    options: ReceivingOptions,
    kind: ReceivingKind<C>,
  ): Receiving<C> {
    this.check("receiving");
    this.checkReceiving("receiving");
    const { operations } = this;
    const receiving = new Receiving(operations, operations.lending as Lending, this, kind, options);
    this.#receiving = receiving;
    return receiving;
  }

  /** Throws while `receiving()` has the socket. @internal */
  protected checkReceiving(operation: string): void {
    if (this.#receiving === null || !this.#receiving.active) return;
    throw new IOError({
      code: "ERR_IO_RECEIVING",
      operation,
      message:
        `${operation}: the socket is being received from by the iterator of receiving(): leave ` +
        "its loop first, or call its return()",
    });
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
    const [peer, own] = [formatAddress(this.remoteAddress), formatAddress(this.localAddress)];
    if (peer !== "") return `the socket to ${peer}`;
    return own === "" ? `a socket without a name (${this.descriptor})` : `the socket of ${own}`;
  }

  /** It was bound to this address. */
  protected ownFile(address: Address, moment: Moment): void {
    ownFile(this.#session, this.descriptor, address, moment);
  }

  /** What it was bound or connected to has changed. */
  protected forgetAddresses(): void {
    this.#localAddress = null;
    this.#remoteAddress = null;
  }

  #name(peer: boolean): Address | null {
    const name = this.#session.name(this.descriptor, peer);
    return typeof name === "number" ? null : addressFrom(...name);
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
