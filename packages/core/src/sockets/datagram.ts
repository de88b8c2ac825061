// Datagram sockets with promises, over the ring.
import { type Address, checkFamily, formatAddress, type Place, socketPath } from "../address.js";
import { type Moment, momentOfMask } from "../engine/mask.js";
import type { NativeSession } from "../engine/native.js";
import { typeError } from "../errors.js";
import { socketPathFromHere } from "../files/paths.js";
import { DatagramChunk } from "../receiving/chunk.js";
import type { ChunkKind, ChunkOptions, ChunkStream } from "../receiving/chunk_stream.js";
import { OwnedStream } from "../receiving/owned_stream.js";
import {
  endingsFrom,
  NO_ENDINGS,
  type OperationOptions,
  type Operations,
  type Pending,
  type SendOptions,
  type SendSteps,
} from "../ring/operations.js";
import type { Descriptor } from "../ring/types.js";
import {
  type Bytes,
  bytesFrom,
  checkGiven,
  knows,
  knowsOnly,
  oneOf,
  shown,
  viewFrom,
} from "../support/check.js";
import { type LookupOptions, withAddress } from "./lookup.js";
import { SocketAddress } from "./socket_address.js";
import { SocketBase } from "./socket_base.js";

/** What can be tuned on a datagram socket. */
export interface DatagramSocketOptions {
  /** Allow sending to a broadcast address (SO_BROADCAST). */
  broadcast?: boolean | null | undefined;
  /** The kernel's receive buffer; Linux doubles what is asked. What does not fit in is lost. */
  receiveBufferBytes?: number | null | undefined;
  /** The kernel's send buffer; Linux doubles what is asked. */
  sendBufferBytes?: number | null | undefined;
  /** From how many bytes on "auto" considers to spare the copy; 0 for the usual. */
  zeroCopyThresholdBytes?: number | null | undefined;
}

/** How a datagram socket is opened. */
export type DatagramOptions = DatagramSocketOptions &
  (
    | ({
        /** The address to receive on: digits, or a name that is looked up. */
        host?: string | null | undefined;
        /** The port to receive on; 0 for any free one. */
        port: number;
        /** Share the port with other sockets that say so too (SO_REUSEPORT). */
        reusePort?: boolean | null | undefined;
      } & LookupOptions)
    | {
        /** A unix socket's path. Its file must not be there yet, and goes with the socket. */
        path: string | Uint8Array;
      }
    | {
        /** Of a socket without an address of its own. */
        family: Address["family"];
      }
  );

const TUNING = ["broadcast", "receiveBufferBytes", "sendBufferBytes", "zeroCopyThresholdBytes"];
// An Address that the library gave may be bound, connected and sent to.
const PLACE = ["host", "port", "path", "family"];
const OPEN = knowsOnly("openDatagram", ...PLACE, "lookup", "reusePort", ...TUNING);
const SET_OPTIONS = knowsOnly("setOptions", ...TUNING);
const BIND_TO = knowsOnly("bind", ...PLACE, "lookup");
const CONNECT_TO = knowsOnly("connect", ...PLACE, "lookup");
const SEND_TO_TARGET = knowsOnly("sendTo", ...PLACE);
const CONNECT = knows("connect");
const RECEIVE = knows("receive");
const SEND = knows("send", "zeroCopy");
const SEND_ZERO_COPY = knows("sendZeroCopy", "zeroCopy");
const SEND_VECTORED = knows("sendVectored", "zeroCopy");
const SEND_TO = knows("sendTo", "zeroCopy");
const FAMILIES = { ipv4: true, ipv6: true, unix: true } as const;

// In the place of a port, of a target that is a path.
const NO_PORT = -1;

const DATAGRAMS: ChunkKind<DatagramChunk> = {
  messages: true,
  makeChunk: (owner, place, byteLength, truncated) =>
    new DatagramChunk(owner, place, byteLength, truncated),
};

/** The receiver of a datagram: an address in digits, or a {@link SocketAddress}. */
export type DatagramTarget =
  | SocketAddress
  | { host: string; port: number }
  | { path: string | Uint8Array };

/** Where a datagram socket is bound or connected to: a name is looked up. */
export type DatagramPlace =
  | ({ host?: string | null | undefined; port: number } & LookupOptions)
  | { path: string | Uint8Array };

/** A datagram that was received. */
export interface Datagram {
  /** Bytes in the buffer; 0 for an empty datagram, which ends nothing. */
  byteLength: number;
  /** Who sent it; null for a unix socket that has no address. */
  address: Address | null;
  /** Whether it was longer than the buffer; the rest is lost. */
  truncated: boolean;
}

/** A datagram that a loop over its socket gives, in memory of its own. */
export interface DatagramBytes extends Uint8Array {
  /** Who sent it. */
  readonly address: DatagramChunk["address"];
  /** Whether it was longer than 64 KiB, which no UDP datagram is; the rest is lost. */
  readonly truncated: boolean;
}

/**
 * A socket for datagrams, UDP or unix: each send is one message, and each receive takes one.
 *
 * Sends and receives are served in the order of the calls; but sends of UDP that find the socket's
 * send buffer full wait for room together, and may overtake each other then, as they may on their
 * way. The buffer is the kernel's until the promise settles. A UDP datagram may get lost, and
 * nobody is told. A connected socket
 * receives from its peer alone, and is told when nobody is there: the next operation fails with
 * "ECONNREFUSED". Other codes: "EMSGSIZE" for a message that is too long for one datagram,
 * "EDESTADDRREQ" or "ENOTCONN" for a send without an address on a socket that is not connected.
 * After `close()` every call fails with code "ERR_IO_CLOSED".
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using server = await io.openDatagram({ host: "127.0.0.1", port: 0 });
 * await using client = await io.openDatagram({ family: "ipv4" });
 * await client.connect(server.localAddress);
 * await client.send(Buffer.from("ping"));
 * const buffer = new Uint8Array(1500);
 * const { byteLength, address } = await server.receive(buffer);
 * if (address !== null) await server.sendTo(buffer.subarray(0, byteLength), address);
 * ```
 */
export class DatagramSocket extends SocketBase implements AsyncIterable<DatagramBytes> {
  readonly #senders: SocketAddress[] = [];
  // The last address that was sent to, and what it is for the engine.
  #lastTarget: string | undefined = undefined;
  #lastPort: number | undefined = undefined;
  readonly #lastAddress = new SocketAddress();

  /** Receives one datagram into `bytes`. */
  async receive(bytes: Bytes, options?: OperationOptions | null): Promise<Datagram> {
    const sender = this.#senders.pop() ?? new SocketAddress();
    const start = (pending: Pending, settle: Operations["settle"]): void => {
      this.check("receive");
      this.checkReceiving("receive");
      const buffer = viewFrom(bytes, "receive");
      this.operations.ring.receiveMessage(pending, settle, this.number, buffer, sender);
    };
    try {
      const byteLength = await this.operations.run(start, options, undefined, RECEIVE);
      return { byteLength, address: sender.address, truncated: sender.truncated };
    } finally {
      this.#senders.push(sender);
    }
  }

  /**
   * Receives datagrams into borrowed buffers: an async iterator of chunks, each of which is one
   * datagram with its sender. Nothing is copied, and a socket that receives nothing holds no
   * memory. `using` releases a chunk when its turn of the loop ends; a program that keeps 32 chunks
   * stops its own stream until it releases some, and what comes meanwhile waits in the kernel's
   * receive buffer as long as there is room. An empty datagram is a chunk without bytes. What is
   * longer than `chunkBytes` is cut, and `chunk.truncated` says so.
   *
   * The iterator ends when the socket or the IO is closed, and not before. It rejects with
   * "ABORT_ERR", "ETIMEDOUT" when it has waited for a chunk for `timeoutMs`, and on a connected
   * socket with "ECONNREFUSED" when nobody is there: then call `chunks` again to go on. While
   * it receives, `receive` and another `chunks` are refused: "ERR_IO_RECEIVING".
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * await using server = await io.openDatagram({ host: "127.0.0.1", port: 0 });
   * await using client = await io.openDatagram({ family: "ipv4" });
   * await client.sendTo(Buffer.from("ping"), server.localAddress);
   * for await (using chunk of server.chunks()) {
   *   await server.sendTo(chunk.bytes, chunk.sender());
   *   break;
   * }
   * ```
   */
  chunks(options?: ChunkOptions | null): ChunkStream<DatagramChunk> {
    return this.startChunks(options, DATAGRAMS, this.chunks);
  }

  /**
   * The datagrams that come, until the socket is closed: each `Uint8Array` has memory of its own,
   * which the program may keep, and tells the sender in `address`. `chunks()` spares that copy.
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * await using server = await io.openDatagram({ host: "127.0.0.1", port: 0 });
   * await using client = await io.openDatagram({ family: "ipv4" });
   * await client.sendTo("ping", server.localAddress);
   * for await (const bytes of server) {
   *   if (bytes.address !== null) await server.sendTo(bytes, bytes.address);
   *   break;
   * }
   * ```
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<DatagramBytes> {
    return new OwnedStream(this.startChunks(null, DATAGRAMS), (chunk) => {
      const { address, truncated } = chunk;
      return Object.assign(chunk.bytes.slice(), { address, truncated });
    });
  }

  /**
   * Sends `data`, or text as UTF-8, as one datagram to the peer that the socket is connected to;
   * resolves with its bytes.
   */
  send(data: Bytes | string, options?: SendOptions | null): Promise<number> {
    const start = (pending: Pending): void => {
      this.check("send");
      const mode = options?.zeroCopy ?? "never";
      const settle = this.operations.settleReleased;
      this.operations.ring.send(pending, settle, this.number, bytesFrom(data, "send"), mode);
    };
    return this.operations.run(start, options, undefined, SEND);
  }

  /**
   * The two steps of a send that spares the copy, each with a promise, so that the next one need
   * not wait for the memory of the last. `zeroCopy` is "auto" unless `options` say otherwise.
   */
  sendZeroCopy(data: Bytes | string, options?: SendOptions | null): SendSteps {
    const start = (pending: Pending, settle: Operations["settle"]): void => {
      this.check("sendZeroCopy");
      const mode = options?.zeroCopy ?? "auto";
      this.operations.ring.send(
        pending,
        settle,
        this.number,
        bytesFrom(data, "sendZeroCopy"),
        mode,
      );
    };
    return this.operations.runSteps(start, options, SEND_ZERO_COPY);
  }

  /** Sends several buffers as one datagram (gather), up to 1,024 of them. */
  sendVectored(buffers: readonly ArrayBufferView[], options?: SendOptions | null): Promise<number> {
    const start = (pending: Pending): void => {
      this.check("sendVectored");
      const mode = options?.zeroCopy ?? "never";
      const settle = this.operations.settleReleased;
      this.operations.ring.sendVectored(pending, settle, this.number, buffers, mode);
    };
    return this.operations.run(start, options, undefined, SEND_VECTORED);
  }

  /**
   * Sends one datagram, bytes or text as UTF-8, to `target`; resolves with its bytes. Several
   * buffers are gathered. A host must be in digits ("ERR_INVALID_ARG_VALUE"), because looking up a
   * name takes its time: do it once, before.
   */
  sendTo(
    message: Bytes | string | readonly ArrayBufferView[],
    target: DatagramTarget,
    options?: SendOptions | null,
  ): Promise<number> {
    const start = (pending: Pending): void => {
      this.check("sendTo");
      const address = target instanceof SocketAddress ? target : this.#addressOf(target);
      const mode = options?.zeroCopy ?? "never";
      const settle = this.operations.settleReleased;
      const { ring } = this.operations;
      const bytes = isList(message) ? message : bytesFrom(message, "sendTo");
      ring.sendMessage(pending, settle, this.number, bytes, address, mode);
    };
    return this.operations.run(start, options, undefined, SEND_TO);
  }

  /** Gives the socket an address to receive on. The file of a unix path goes with the socket. */
  async bind(target: DatagramPlace): Promise<void> {
    checkGiven(target, BIND_TO);
    await this.bindAt(target, momentOfMask());
  }

  /** @internal */
  async bindAt(target: DatagramPlace, moment: Moment): Promise<void> {
    await withAddress(this.operations, "bind", target, NO_ENDINGS, async (address) => {
      await this.operations.run(
        (pending, settle) => {
          this.check("bind");
          this.operations.ring.bind(pending, settle, this.number, address);
        },
        undefined,
        { address: formatAddress(address) },
      );
      this.ownFile(address, moment);
    });
    this.forgetAddresses();
  }

  /**
   * Connects the socket: it receives from there alone, and `send` sends there. It may be connected
   * again, to somebody else. `timeoutMs` and `signal` count for the look-up of a name too, of which
   * the first address is taken: a datagram socket cannot see whether anybody is there.
   */
  async connect(target: DatagramPlace, options?: OperationOptions | null): Promise<void> {
    const endings = endingsFrom(options, CONNECT);
    checkGiven(target, CONNECT_TO);
    await withAddress(this.operations, "connect", target, endings, (address, ends) =>
      this.operations.run(
        (pending, settle) => {
          this.check("connect");
          this.operations.ring.connect(pending, settle, this.number, address);
        },
        ends,
        { address: formatAddress(address) },
        CONNECT,
      ),
    );
    this.forgetAddresses();
  }

  /** Sets options. Throws an `IOError` when the system refuses one. */
  setOptions(options: DatagramSocketOptions): void {
    checkGiven(options, SET_OPTIONS);
    this.applyOptions(options);
  }

  /** The options that `openDatagram` was given. @internal */
  setOpened({ broadcast, reusePort, ...sizes }: OpenedOptions): void {
    const { receiveBufferBytes, sendBufferBytes, zeroCopyThresholdBytes } = sizes;
    this.applyOptions({
      broadcast,
      reusePort,
      receiveBufferBytes,
      sendBufferBytes,
      zeroCopyThresholdBytes,
    });
  }

  #addressOf(target: Exclude<DatagramTarget, SocketAddress>): SocketAddress {
    const { host, port, path } = (target ?? {}) as Target;
    const isPath = isGiven(path);
    const text = isPath ? path : host;
    const number = isPath ? NO_PORT : port;
    // Bytes may have changed since.
    const known = typeof text === "string" && text === this.#lastTarget;
    if (known && number === this.#lastPort) return this.#lastAddress;
    this.#lastTarget = undefined;
    this.#lastAddress.name(addressOf(target), "sendTo");
    this.#lastTarget = text as string;
    this.#lastPort = number as number;
    return this.#lastAddress;
  }
}

/** Fields that a target may have, of any type until they were checked. */
interface Target {
  readonly host?: unknown;
  readonly port?: unknown;
  readonly path?: unknown;
  readonly family?: unknown;
}

function addressOf(target: Exclude<DatagramTarget, SocketAddress>): Address {
  if (typeof target !== "object" || target === null) {
    const right = "give a SocketAddress, { host, port } or { path }";
    throw typeError("sendTo", `the target is ${shown(target)}: ${right}`);
  }
  checkGiven(target, SEND_TO_TARGET);
  const { host, port, path, family } = target as Target;
  if (isGiven(path) && path !== "") {
    const text = socketPath(path, "sendTo");
    checkFamily(family, "", "sendTo");
    return { family: "unix", path: socketPathFromHere(text) };
  }
  if (typeof host !== "string" || host === "") {
    throw typeError("sendTo", "the target needs a host in digits and a port, or a path");
  }
  checkFamily(family, host, "sendTo");
  return { family: host.includes(":") ? "ipv6" : "ipv4", host, port: port as number };
}

type OpenedOptions = DatagramSocketOptions & { reusePort?: boolean | null | undefined };

/** Opens a datagram socket; see `IO.openDatagram`. */
export async function openDatagram(
  operations: Operations,
  session: NativeSession,
  options: DatagramOptions,
): Promise<DatagramSocket> {
  checkGiven(options, OPEN);
  const { port, path, host, family: asked } = options as Place;
  const named = isGiven(port) || isGiven(path) || isGiven(host);
  if (!named && !isGiven(asked)) {
    throw typeError("openDatagram", "give a host and a port, a path, or a family");
  }
  const moment = momentOfMask();
  if (!named) {
    const family = oneOf(asked, FAMILIES, "the family", "openDatagram");
    return openAt(operations, session, options, family, null, moment);
  }
  return withAddress(operations, "openDatagram", options as Place, NO_ENDINGS, (address) =>
    openAt(operations, session, options, address.family, address, moment),
  );
}

async function openAt(
  operations: Operations,
  session: NativeSession,
  options: DatagramOptions,
  family: Address["family"],
  address: Address | null,
  moment: Moment,
): Promise<DatagramSocket> {
  const subject = address === null ? undefined : { address: formatAddress(address) };
  const descriptor: Descriptor = await operations.run(
    (pending, settle) => operations.ring.socket(pending, settle, family, "datagram"),
    undefined,
    subject,
  );
  const socket = new DatagramSocket(operations, session, descriptor, "datagram socket");
  try {
    socket.setOpened(options);
    if (address === null) return socket;
    await socket.bindAt(address, moment);
    void socket.localAddress; // so it is known also when it is first asked for after the close
    return socket;
  } catch (error) {
    await socket.close();
    throw error;
  }
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function isList<One>(message: unknown): message is readonly One[] {
  return Array.isArray(message);
}
