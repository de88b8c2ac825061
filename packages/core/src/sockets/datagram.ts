// Datagram sockets with promises, over the ring.
import { checkFamily, type DatagramAddress, type Place, socketPath } from "../address.js";
import { callError } from "../descriptors/call_error.js";
import { MessageControl } from "../descriptors/message_control.js";
import { type Moment, momentOfMask } from "../engine/mask.js";
import { IOError, rangeError, typeError } from "../errors.js";
import { socketPathFromHere } from "../files/paths.js";
import { DatagramChunk } from "../receiving/chunk.js";
import type { ChunkKind, ChunkOptions, ChunkStream } from "../receiving/chunk_stream.js";
import { OwnedStream, owning } from "../receiving/owned_stream.js";
import {
  type About,
  type Endings,
  endingsFrom,
  fromHere,
  ignore,
  NO_ENDINGS,
  type OperationOptions,
  type Operations,
  type Pending,
  type SendOptions,
  type SendSteps,
} from "../ring/promises.js";
import type { Descriptor } from "../ring/types.js";
import {
  type Bytes,
  bytesFrom,
  checkGiven,
  checkHost,
  checkOptions,
  type Known,
  knows,
  knowsOnly,
  oneOf,
  shown,
  viewFrom,
  wholeNumber,
} from "../support/check.js";
import { type LookupOptions, withAddress } from "./lookup.js";
import { type CommonSocketOptions, DATAGRAM_OPTIONS, type OptionsOf } from "./option_types.js";
import { applySettings, hasSegments, readOptions, type Settings, settingsFrom } from "./options.js";
import { SocketAddress } from "./socket_address.js";
import { SocketBase } from "./socket_base.js";

/**
 * What can be tuned on a datagram socket.
 *
 * @category Datagrams
 */
export interface DatagramSocketOptions extends CommonSocketOptions {
  /** Allow sending to a broadcast address (SO_BROADCAST); `false` by default. */
  broadcast?: boolean | null | undefined;
  /**
   * Let the kernel join datagrams of one sender that have the same length, up to 64 KiB, so that
   * one receive takes many of them (UDP_GRO, Linux 5.0); `false` by default. `receiveMessage()`
   * says in `segmentBytes` how long each is. A plain receive gets them without the borders.
   */
  receiveSegments?: boolean | null | undefined;
  /** `receiveMessage()` says where a datagram was sent to, and by which interface it came. */
  receivePacketInfo?: boolean | null | undefined;
  /** `receiveMessage()` says the type of service, whose lower two bits are ECN. */
  receiveTos?: boolean | null | undefined;
  /** `receiveMessage()` says the time to live. */
  receiveTtl?: boolean | null | undefined;
  /** `receiveMessage()` says when the kernel got a datagram. */
  receiveTimestamps?: boolean | null | undefined;
  /** `receiveMessage()` says how many datagrams the socket has dropped (SO_RXQ_OVFL, Linux). */
  receiveDrops?: boolean | null | undefined;
  /** Whether what is sent to a multicast group comes back to this machine; `true` by default. */
  multicastLoop?: boolean | null | undefined;
  /** How many routers multicast datagrams pass at most, plus 1: 0 to 255; 1 by default. */
  multicastTtl?: number | null | undefined;
}

/**
 * How a datagram socket is opened: with an address to receive on, with a path, or with a family
 * alone.
 *
 * @category Datagrams
 */
export type DatagramOptions = DatagramSocketOptions &
  (
    | ({
        /**
         * The address to receive on, or a name, of which the first address is taken; "127.0.0.1" by
         * default.
         */
        host?: string | null | undefined;
        /** The port to receive on, 0 to 65535; 0 for any free one. */
        port: number;
        /**
         * Share the port with other sockets that say so too (SO_REUSEPORT); `false` by default.
         */
        reusePort?: boolean | null | undefined;
      } & LookupOptions)
    | {
        /**
         * The path of a unix socket. Its file must not be there yet, and is removed with the
         * socket.
         */
        path: string | Uint8Array;
      }
    | {
        /**
         * The family of a socket that has no address yet: the system gives it one with its first
         * send.
         */
        family: DatagramAddress["family"];
      }
  );

// An Address that the library gave may be bound, connected and sent to.
const PLACE = ["host", "port", "path", "family"];
const OPEN = knows("openDatagram", ...PLACE, "lookup", "reusePort", ...DATAGRAM_OPTIONS);
const SET_OPTIONS = knowsOnly("setOptions", ...DATAGRAM_OPTIONS);
const OPENED_OPTIONS = [...DATAGRAM_OPTIONS, "reusePort"] as const;
const BIND_TO = knowsOnly("bind", ...PLACE, "lookup");
const CONNECT_TO = knowsOnly("connect", ...PLACE, "lookup");
const SEND_TO_TARGET = knowsOnly("sendTo", ...PLACE);
const BIND = knows("bind");
const CONNECT = knows("connect");
const DISCONNECT = knows("disconnect");
const RECEIVE = knows("receive");
const PEEK = knows("peek");
const RECEIVE_MESSAGE = knows("receiveMessage");
const JOIN = knowsOnly("joinGroup", "source", "interfaceIndex");
const LEAVE = knowsOnly("leaveGroup", "source", "interfaceIndex");
const SEND_MANY = knows("sendMany", "tos", "ttl");
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

const ownDatagram = owning((chunk: DatagramChunk): DatagramBytes => {
  const { address, truncated } = chunk;
  return Object.assign(chunk.bytes.slice(), { address, truncated });
});

/**
 * The receiver of a datagram: a numeric address, a path, or a {@link SocketAddress}.
 *
 * @category Datagrams
 */
export type DatagramTarget =
  | SocketAddress
  | {
      /** A numeric address: "192.0.2.1", "::1". Names are not looked up here. */
      host: string /** The port, 0 to 65535. */;
      /** The port, 0 to 65535. */
      port: number;
    }
  | {
      /** The path of a unix socket. */
      path: string | Uint8Array;
    };

/**
 * What a datagram socket is bound or connected to. A name is looked up, and its first address is
 * taken.
 *
 * @category Datagrams
 */
export type DatagramPlace =
  | ({
      /** An address, or a name; "127.0.0.1" by default. */
      host?: string | null | undefined /** The port, 0 to 65535; 0 to bind to any free one. */;
      /** The port, 0 to 65535; 0 to bind to any free one. */
      port: number;
    } & LookupOptions)
  | {
      /** The path of a unix socket. */
      path: string | Uint8Array;
    };

/**
 * A datagram that was received.
 *
 * @category Datagrams
 */
export interface Datagram {
  /** Bytes in the buffer; 0 for an empty datagram, which ends nothing. */
  byteLength: number;
  /** The sender; null for a unix socket that has no address. */
  address: DatagramAddress | null;
  /** Whether it was longer than the buffer; the kernel dropped the rest. */
  truncated: boolean;
}

/**
 * A datagram with what the kernel says of it. What was not asked for by an option of the socket is
 * null.
 *
 * @category Datagrams
 */
export interface DatagramMessage extends Datagram {
  /**
   * With `receiveSegments`: how long each of the datagrams is that were joined; the last one may be
   * shorter. Null: it is one datagram.
   */
  segmentBytes: number | null;
  /** With `receivePacketInfo`: the address that it was sent to; its port is 0. */
  localAddress: DatagramAddress | null;
  /** With `receivePacketInfo`: the number of the interface that it came by. */
  interfaceIndex: number | null;
  /** With `receiveTos`: the type of service or traffic class; its lower two bits are ECN. */
  tos: number | null;
  /** With `receiveTtl`: the time to live or hop limit. */
  ttl: number | null;
  /** With `receiveTimestamps`: when it came, in milliseconds since 1970, with fractions. */
  timestampMs: number | null;
  /** With `receiveDrops`: datagrams that the socket has dropped since it was opened. */
  drops: number | null;
}

/**
 * How a multicast group is joined.
 *
 * @category Datagrams
 */
export interface GroupOptions {
  /** The IP address of the only sender to receive from; every sender by default. */
  source?: string | null | undefined;
  /** The number of the network interface; 0, the default, is the system's choice. */
  interfaceIndex?: number | null | undefined;
}

/**
 * How datagrams are sent by `sendMany()`.
 *
 * @category Datagrams
 */
export interface SendManyOptions extends OperationOptions {
  /** The type of service or traffic class of them, 0 to 255; its lower two bits are ECN. */
  tos?: number | null | undefined;
  /** The time to live or hop limit of them, 1 to 255. */
  ttl?: number | null | undefined;
}

/**
 * A datagram that a loop over its socket gives, in memory of its own.
 *
 * @category Datagrams
 */
export interface DatagramBytes extends Uint8Array {
  /** The sender; null for a unix socket that has no address. */
  readonly address: DatagramChunk["address"];
  /** Whether it was longer than 64 KiB, which no UDP datagram is; the kernel dropped the rest. */
  readonly truncated: boolean;
}

/**
 * A socket for datagrams, UDP or unix: each send is one message, and each receive takes one.
 *
 * The kernel gets sends and receives in the order of the calls. UDP sends that find the send buffer
 * full wait for room together, and may overtake each other then, as they may in the network. A
 * buffer is the kernel's until its promise settles. A UDP datagram may be lost without an error.
 *
 * A connected socket receives from its peer alone, and learns of a peer that is not there: the next
 * operation fails with "ECONNREFUSED". Other codes: "EMSGSIZE" for a message that is too long for
 * one datagram, "EDESTADDRREQ" or "ENOTCONN" for a send without an address on a socket that is
 * not connected. After `close()` every call fails with "ERR_IO_CLOSED".
 *
 * @category Datagrams
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
export class DatagramSocket
  extends SocketBase<DatagramAddress>
  implements AsyncIterable<DatagramBytes>
{
  readonly #senders: SocketAddress[] = [];
  readonly #controls: MessageControl[] = [];
  // Whether the kernel cuts what is sent into datagrams; null before that was asked.
  #cuts: boolean | null = null;
  // The last target address, and its form for the engine.
  #lastTarget: string | undefined = undefined;
  #lastPort: number | undefined = undefined;
  readonly #lastAddress = new SocketAddress();
  #lastAbout: About | undefined = undefined;

  /**
   * Receives one datagram into `bytes`.
   *
   * @param bytes The memory to receive into; the kernel's until the promise settles.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns its length, its sender, and whether it was cut
   * @throws `ERR_IO_RECEIVING` while a loop receives from the socket; `ECONNREFUSED` on a connected
   *   socket; the codes of every operation: {@link IOError.code}
   */
  async receive(bytes: Bytes, options?: OperationOptions | null): Promise<Datagram> {
    return this.#receive("receiveMessage", bytes, options, RECEIVE);
  }

  /**
   * The same, and leaves the datagram in the socket: the next receive gets it again.
   *
   * @param bytes The memory to receive into; the kernel's until the promise settles.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns its length, its sender, and whether it is longer than `bytes`
   * @throws as `receive`
   */
  async peek(bytes: Bytes, options?: OperationOptions | null): Promise<Datagram> {
    return this.#receive("peekMessage", bytes, options, PEEK);
  }

  async #receive(
    verb: "receiveMessage" | "peekMessage",
    bytes: Bytes,
    options: OperationOptions | null | undefined,
    known: Known,
  ): Promise<Datagram> {
    const sender = this.#senders.pop() ?? new SocketAddress();
    const start = (pending: Pending, settle: Operations["settle"]): void => {
      this.check(known.operation);
      this.checkReceiving(known.operation);
      const buffer = viewFrom(bytes, known.operation);
      this.operations.ring[verb](pending, settle, this.number, buffer, sender);
    };
    try {
      const byteLength = await this.operations.run(start, options, this, known);
      return { byteLength, address: sender.address, truncated: sender.truncated };
    } finally {
      this.#senders.push(sender);
    }
  }

  /**
   * Receives one datagram, or with `receiveSegments` several that the kernel has joined, and what
   * the kernel says of it. Give 64 KiB for joined ones.
   *
   * @param bytes The memory to receive into; the kernel's until the promise settles.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns its length, its sender, whether it was cut, and what the options of the socket ask for
   * @throws as `receive`; the codes of every operation: {@link IOError.code}
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * await using server = await io.openDatagram({ host: "127.0.0.1", port: 0, receiveTtl: true });
   * await using client = await io.openDatagram({ family: "ipv4" });
   * await client.sendTo("ping", server.localAddress);
   * const { ttl } = await server.receiveMessage(new Uint8Array(1500));
   * process.stdout.write(`${ttl}\n`);
   * ```
   */
  async receiveMessage(bytes: Bytes, options?: OperationOptions | null): Promise<DatagramMessage> {
    const control = this.#controls.pop() ?? new MessageControl();
    const start = (pending: Pending, settle: Operations["settle"]): void => {
      this.check("receiveMessage");
      this.checkReceiving("receiveMessage");
      const buffer = viewFrom(bytes, "receiveMessage");
      this.operations.ring.receiveControl(pending, settle, this.number, buffer, control);
    };
    try {
      const byteLength = await this.operations.run(start, options, this, RECEIVE_MESSAGE);
      const { sender: address, truncated, segmentBytes, localAddress, interfaceIndex } = control;
      const { tos, ttl, timestampMs, drops } = control;
      // The program does not get what a peer has passed along, so the IO closes it.
      for (const one of control.descriptors) this.operations.discard(one, "what a peer passed");
      const rest = { localAddress, interfaceIndex, tos, ttl, timestampMs, drops };
      return { byteLength, address, truncated, segmentBytes, ...rest };
    } finally {
      this.#controls.push(control);
    }
  }

  /**
   * Joins a multicast group: the socket receives what is sent to the group's address and its port.
   *
   * @param group The IP address of the group: "224.0.0.251", "ff02::fb".
   * @param options `source`: the IP address of the only sender to receive from. `interfaceIndex`:
   *   the number of the network interface; 0, the default, is the system's choice.
   * @throws `ERR_IO_CLOSED`; `EADDRINUSE` when it has joined already, `ENODEV` without a route or
   *   such an interface, `EINVAL` for an address that is no group; the codes of a refused argument:
   *   {@link IOError.code}
   */
  joinGroup(group: string, options?: GroupOptions | null): void {
    this.check("joinGroup");
    this.#changeGroup(true, group, options, "joinGroup", JOIN);
  }

  /**
   * Leaves a multicast group, as it was joined. A close leaves them all.
   *
   * @param group The IP address of the group.
   * @param options As they were given to `joinGroup`.
   * @throws `ERR_IO_CLOSED`; `EADDRNOTAVAIL` when it was not joined so; the codes of a refused
   *   argument: {@link IOError.code}
   */
  leaveGroup(group: string, options?: GroupOptions | null): void {
    this.check("leaveGroup");
    this.#changeGroup(false, group, options, "leaveGroup", LEAVE);
  }

  #changeGroup(
    joins: boolean,
    group: string,
    options: GroupOptions | null | undefined,
    operation: string,
    known: Known,
  ): void {
    checkOptions(options, known);
    const record = hostRecord(group, operation);
    const { source, interfaceIndex } = options ?? {};
    const from = isGiven(source) ? hostRecord(source as string, operation) : null;
    const index = wholeNumber(interfaceIndex ?? 0, 0, 0x7fffffff, "interfaceIndex", operation);
    const { session, number, backend } = this.optionTarget;
    const result = session.changeGroup(number, joins, index, record, from);
    if (result < 0) throw callError(operation, "setsockopt", result, backend, `'${group}'`);
  }

  /**
   * Sends several datagrams to one receiver. Those that have the same length, but for the last, go
   * in one call where the kernel cuts them apart (UDP GSO, Linux 4.18): up to 64 of them, and 64
   * KB. Where it does not, each is a send of its own, and all are handed over together. Datagrams
   * may be lost or overtake each other.
   *
   * @param messages The datagrams, as bytes or as text, which is sent as UTF-8; the kernel's until
   *   the promise settles.
   * @param target The receiver; null, the default, for the peer of a connected socket.
   * @param options `tos`, `ttl`, `signal` and `timeoutMs`.
   * @returns how many datagrams were handed to the kernel, which is all
   * @throws `EMSGSIZE`, `ENETUNREACH`, `ECONNREFUSED`, `ENOBUFS`: some may be sent by then; the
   *   codes of every operation: {@link IOError.code}
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * await using server = await io.openDatagram({ host: "127.0.0.1", port: 0 });
   * await using client = await io.openDatagram({ family: "ipv4" });
   * const messages = ["one", "two", Buffer.from("six")];
   * process.stdout.write(`${await client.sendMany(messages, server.localAddress)}\n`);
   * ```
   */
  async sendMany(
    messages: readonly (Bytes | string)[],
    target: DatagramTarget | null = null,
    options?: SendManyOptions | null,
  ): Promise<number> {
    const control = new MessageControl();
    try {
      const endings = endingsFrom(options, SEND_MANY);
      this.check("sendMany");
      const views = viewsOf(messages, this.operations.ring);
      setNumbers(control, options ?? {});
      if (target !== null) {
        control.target = SocketAddress.isOne(target) ? target : this.#addressOf(target);
      }
      this.#cuts ??= this.#canCut();
      const groups = this.#cuts ? groupsOf(views) : views.map((view) => [view]);
      // A failure ends the others: until they have ended the kernel has the memory.
      const stop = new AbortController();
      const some =
        groups.length > 1 ? { ...endings, signal: either(endings.signal, stop) } : endings;
      await allEnded(
        groups.map((group) => this.#sendGroup(group, control, some)),
        () => stop.abort(),
      );
    } catch (error) {
      throw fromHere(error);
    }
    return messages.length;
  }

  async #sendGroup(
    group: readonly ArrayBufferView[],
    control: MessageControl,
    endings: Endings,
  ): Promise<void> {
    const { ring } = this.operations;
    control.segmentBytes = group.length === 1 ? null : (group[0] as ArrayBufferView).byteLength;
    const sent = this.operations.run(
      (pending, settle) => ring.sendControl(pending, settle, this.number, group, control),
      endings,
      this,
      SEND_MANY,
    );
    // The kernel cuts nothing into datagrams that are longer than the path takes, and nothing for a
    // device that cannot sum them up.
    const isRefused = (error: unknown): boolean =>
      error instanceof IOError && (error.code === "EINVAL" || error.code === "EIO");
    try {
      await sent;
    } catch (error) {
      if (group.length === 1 || !isRefused(error)) throw error;
      await allEnded(
        group.map((message) => this.#sendGroup([message], control, endings)),
        ignore,
      );
    }
  }

  // A kernel that has GSO has its option, and on UDP alone.
  #canCut(): boolean {
    return hasSegments(this.optionTarget);
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
   * @param options The size of a chunk, and how the receiving may be ended early.
   * @returns the datagrams, an async iterator
   * @throws `ERR_IO_CLOSED`, `ERR_IO_RECEIVING`; the iterator rejects with `ABORT_ERR`,
   *   `ETIMEDOUT`, `ECANCELED`, `ECONNREFUSED`, or the system's code; the codes of a refused
   *   argument: {@link IOError.code}
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
    return this.startChunks(options, DATAGRAMS, true);
  }

  /**
   * The datagrams that come, until the socket is closed: each `Uint8Array` has memory of its own,
   * which the program may keep, and tells the sender in `address`. `chunks()` spares that copy.
   *
   * @returns the datagrams, each in memory of its own
   * @throws `ERR_IO_CLOSED`, `ERR_IO_RECEIVING`; the iterator rejects as that of `chunks()`
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
    return new OwnedStream(this.startChunks(null, DATAGRAMS, false), ownDatagram);
  }

  /**
   * Sends `data`, or text as UTF-8, as one datagram to the peer that the socket is connected to;
   * resolves with its bytes.
   *
   * @param data The bytes, or text; the kernel's until the promise settles.
   * @param options `zeroCopy`, `signal` and `timeoutMs`.
   * @returns the bytes of the datagram
   * @throws `EMSGSIZE`, `EDESTADDRREQ` or `ENOTCONN` without a peer, `ECONNREFUSED`, `ENOBUFS`; the
   *   codes of every operation: {@link IOError.code}
   */
  send(data: Bytes | string, options?: SendOptions | null): Promise<number> {
    const start = (pending: Pending): void => {
      this.check("send");
      const mode = options?.zeroCopy ?? "never";
      const settle = this.operations.settleReleased;
      this.operations.ring.send(pending, settle, this.number, bytesFrom(data, "send"), mode);
    };
    return this.operations.run(start, options, this, SEND);
  }

  /**
   * The two steps of a send that spares the copy, each with a promise, so that the next one need
   * not wait for the memory of the last. `zeroCopy` is "auto" unless `options` say otherwise.
   *
   * @param data The bytes, or text; the kernel's until `released` settles.
   * @param options `zeroCopy`, "auto" by default; `signal` and `timeoutMs`.
   * @returns a promise for each step
   * @throws Nothing: `sent` and `released` are rejected, as `send` is
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
    return this.operations.runSteps(start, options, SEND_ZERO_COPY, this);
  }

  /**
   * Sends several buffers as one datagram (gather), up to 1,024 of them.
   *
   * @param buffers The bytes in order, up to 1,024 views.
   * @param options `zeroCopy`, `signal` and `timeoutMs`.
   * @returns the bytes of the datagram
   * @throws as `send`; the codes of every operation: {@link IOError.code}
   */
  sendVectored(buffers: readonly ArrayBufferView[], options?: SendOptions | null): Promise<number> {
    const start = (pending: Pending): void => {
      this.check("sendVectored");
      const mode = options?.zeroCopy ?? "never";
      const settle = this.operations.settleReleased;
      this.operations.ring.sendVectored(pending, settle, this.number, buffers, mode);
    };
    return this.operations.run(start, options, this, SEND_VECTORED);
  }

  /**
   * Sends one datagram to `target`. Several buffers become one datagram (gather). The address must
   * be numeric, because a look-up takes its time: look a name up once, before.
   *
   * @param message The bytes, text, or up to 1,024 views; the kernel's until the promise settles.
   * @param target The receiver.
   * @param options `zeroCopy`, `signal` and `timeoutMs`.
   * @returns the bytes of the datagram
   * @throws `EMSGSIZE`, `ENETUNREACH`, `EACCES` for a broadcast address without `broadcast`,
   *   `ENOBUFS`; the codes of every operation: {@link IOError.code}
   */
  sendTo(
    message: Bytes | string | readonly ArrayBufferView[],
    target: DatagramTarget,
    options?: SendOptions | null,
  ): Promise<number> {
    const start = (pending: Pending): void => {
      this.check("sendTo");
      const address = SocketAddress.isOne(target) ? target : this.#addressOf(target);
      const mode = options?.zeroCopy ?? "never";
      const settle = this.operations.settleReleased;
      const { ring } = this.operations;
      const bytes = isList(message) ? message : bytesFrom(message, "sendTo");
      ring.sendMessage(pending, settle, this.number, bytes, address, mode);
      // A SocketAddress of the program may name another by the time of a failure.
      if (address === this.#lastAddress) pending.subject = this.#lastAbout;
    };
    return this.operations.run(start, options, undefined, SEND_TO);
  }

  /**
   * Gives the socket an address to receive on. The file of a unix path is removed with the socket.
   * `signal` and `timeoutMs` are for the look-up of a name; the rest never waits.
   *
   * @param target The address.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `EADDRINUSE`, `EADDRNOTAVAIL`, `EINVAL` when it has an address already; the codes of
   *   every operation: {@link IOError.code}
   */
  async bind(target: DatagramPlace, options?: OperationOptions | null): Promise<void> {
    const endings = endingsFrom(options, BIND);
    checkGiven(target, BIND_TO);
    await this.bindAt(target, momentOfMask(), endings);
  }

  /** @internal */
  async bindAt(target: DatagramPlace, moment: Moment, endings: Endings): Promise<void> {
    await withAddress(this.operations, "bind", target, endings, async (address) => {
      await this.operations.run(
        (pending, settle) => {
          this.check("bind");
          this.operations.ring.bind(pending, settle, this.number, address);
        },
        undefined,
        { place: address },
      );
      this.ownFile(address, moment);
    });
    this.forgetAddresses();
  }

  /**
   * Connects the socket: it receives from this peer alone, and `send` sends there. It may be
   * connected again, to another peer. `timeoutMs` and `signal` cover the look-up of a name too,
   * of which the first address is taken: a datagram socket cannot see whether a peer is there.
   *
   * @param target The peer.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `ENOTFOUND` or `EAI_AGAIN` when a name cannot be looked up; `ENETUNREACH`, `EACCES`;
   *   the codes of every operation: {@link IOError.code}
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
        { place: address },
        CONNECT,
      ),
    );
    this.forgetAddresses();
  }

  /**
   * Ends what `connect` did: the socket receives from every peer again, and each send names its
   * receiver. What was sent before goes to the peer, except for what still waits for room. Linux
   * takes back a port that the system has chosen; the next send gets one.
   *
   * @param options `signal`, which counts if it has aborted before, and `timeoutMs`, which changes
   *   nothing: it never waits.
   * @throws the codes of every operation: {@link IOError.code}
   */
  async disconnect(options?: OperationOptions | null): Promise<void> {
    endingsFrom(options, DISCONNECT);
    const start = (pending: Pending, settle: Operations["settle"]): void => {
      this.check("disconnect");
      this.operations.ring.disconnect(pending, settle, this.number);
    };
    await this.operations.run(start, undefined, this);
    this.forgetAddresses();
  }

  /**
   * Sets options of the socket. What is absent stays as it is. All are checked before one is set.
   *
   * @param options The options to set.
   * @throws `ERR_IO_CLOSED`; `ENOTSUP` for what this system does not have, with those that have it;
   *   what setsockopt(2) said; the codes of a refused argument: {@link IOError.code}
   */
  setOptions(options: DatagramSocketOptions): void {
    checkGiven(options, SET_OPTIONS);
    this.check("setOptions");
    this.applySettings(settingsFrom(options, DATAGRAM_OPTIONS, "setOptions"));
  }

  /**
   * The values of options of the socket.
   *
   * @param names The names of the options.
   * @returns an object with the value of each of them
   * @throws `ERR_IO_CLOSED`; `ENOTSUP` for what this system does not have; what getsockopt(2) said;
   *   the codes of a refused argument: {@link IOError.code}
   */
  getOptions<Name extends keyof DatagramSocketOptions>(
    ...names: Name[]
  ): OptionsOf<DatagramSocketOptions, Name> {
    this.check("getOptions");
    const values = readOptions(this.optionTarget, names, DATAGRAM_OPTIONS, "getOptions");
    return values as OptionsOf<DatagramSocketOptions, Name>;
  }

  /** @internal */
  applySettings(settings: Settings): void {
    applySettings(this.optionTarget, settings, "setOptions");
  }

  #addressOf(target: Exclude<DatagramTarget, SocketAddress>): SocketAddress {
    const { host, port, path } = (target ?? {}) as TargetFields;
    const isPath = isGiven(path);
    const text = isPath ? path : host;
    const number = isPath ? NO_PORT : port;
    // Bytes may have changed since.
    const known = typeof text === "string" && text === this.#lastTarget;
    if (known && number === this.#lastPort) return this.#lastAddress;
    this.#lastTarget = undefined;
    const place = addressOf(target);
    this.#lastAddress.name(place, "sendTo");
    this.#lastAbout = { place };
    this.#lastTarget = text as string;
    this.#lastPort = number as number;
    return this.#lastAddress;
  }
}

// The kernel's limits: UDP_MAX_SEGMENTS, and the longest datagram of IPv4 with its headers.
const MAX_SEGMENTS = 64;
const MAX_GROUP_BYTES = 65_507;

function either(signal: AbortSignal | undefined, stop: AbortController): AbortSignal {
  return signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
}

/** Fails when the last one has ended, with the first failure. */
async function allEnded(sends: readonly Promise<void>[], stop: () => void): Promise<void> {
  const failures: unknown[] = [];
  const note = (error: unknown): void => {
    failures.push(error);
    stop();
  };
  await Promise.all(sends.map((send) => send.catch(note)));
  if (failures.length > 0) throw failures[0];
}

/** In the order of the messages: of the same length each, but for the last one of a group. */
function groupsOf(messages: readonly ArrayBufferView[]): ArrayBufferView[][] {
  const groups: ArrayBufferView[][] = [];
  let group: ArrayBufferView[] = [];
  let length = 0;
  let total = 0;
  for (const message of messages) {
    const { byteLength } = message;
    const fits = byteLength <= length && byteLength > 0 && total + byteLength <= MAX_GROUP_BYTES;
    if (group.length === 0 || !fits || group.length === MAX_SEGMENTS) {
      group = [];
      groups.push(group);
      length = byteLength;
      total = 0;
    }
    group.push(message);
    total += byteLength;
    // Nothing follows a shorter one.
    if (byteLength < length) length = 0;
  }
  return groups;
}

function viewsOf(messages: unknown, ring: Operations["ring"]): ArrayBufferView[] {
  if (!Array.isArray(messages)) {
    const right = "give an array of views or strings";
    throw typeError("sendMany", `the messages are ${shown(messages)}: ${right}`);
  }
  if (messages.length === 0) throw rangeError("sendMany", "give 1 datagram or more, not 0");
  // Each place, also one that holds nothing, which map() leaves out.
  const views = Array.from(messages, (message: Bytes | string) => bytesFrom(message, "sendMany"));
  for (const view of views) ring.checkBuffer(view, "sendMany");
  return views;
}

function setNumbers(control: MessageControl, { tos, ttl }: SendManyOptions): void {
  if (isGiven(tos)) control.tos = wholeNumber(tos, 0, 255, "tos", "sendMany");
  if (isGiven(ttl)) control.ttl = wholeNumber(ttl, 1, 255, "ttl", "sendMany");
}

/** The record of an IP address, without a port. */
function hostRecord(host: string, operation: string): Uint8Array {
  checkHost(host, operation);
  const address = new SocketAddress();
  const family = host.includes(":") ? "ipv6" : "ipv4";
  address.name({ family, host, port: 0 }, operation);
  return address.record;
}

/** Fields that a target may have, of any type until they were checked. */
interface TargetFields {
  readonly host?: unknown;
  readonly port?: unknown;
  readonly path?: unknown;
  readonly family?: unknown;
}

function addressOf(target: Exclude<DatagramTarget, SocketAddress>): DatagramAddress {
  if (typeof target !== "object" || target === null) {
    const right = "give a SocketAddress, { host, port } or { path }";
    throw typeError("sendTo", `the target is ${shown(target)}: ${right}`);
  }
  checkGiven(target, SEND_TO_TARGET);
  const { host, port, path, family } = target as TargetFields;
  if (isGiven(path) && path !== "") {
    const text = socketPath(path, "sendTo");
    checkFamily(family, "", "sendTo");
    return { family: "unix", path: socketPathFromHere(text) };
  }
  if (typeof host !== "string" || host === "") {
    const right = "an IP address such as 127.0.0.1 and a port, or a path";
    throw typeError("sendTo", `the target needs ${right}`);
  }
  checkFamily(family, host, "sendTo");
  return { family: host.includes(":") ? "ipv6" : "ipv4", host, port: port as number };
}

/** Opens a datagram socket; see `IO.openDatagram`. */
export async function openDatagram(
  operations: Operations,
  options: DatagramOptions & OperationOptions,
): Promise<DatagramSocket> {
  checkGiven(options, OPEN);
  const endings = endingsFrom(options, OPEN);
  const { port, path, host, family: asked } = options as Place;
  const named = isGiven(port) || isGiven(path) || isGiven(host);
  if (!named && !isGiven(asked)) {
    throw typeError("openDatagram", "give a host and a port, a path, or a family");
  }
  const settings = settingsFrom(options, OPENED_OPTIONS, "openDatagram");
  const moment = momentOfMask();
  if (!named) {
    const family = oneOf(asked, FAMILIES, "the family", "openDatagram");
    return openAt(operations, settings, family, null, moment);
  }
  return withAddress(operations, "openDatagram", options as Place, endings, (address) =>
    openAt(operations, settings, address.family, address, moment),
  );
}

async function openAt(
  operations: Operations,
  settings: Settings,
  family: DatagramAddress["family"],
  address: DatagramAddress | null,
  moment: Moment,
): Promise<DatagramSocket> {
  const descriptor: Descriptor = await operations.run(
    (pending, settle) => operations.ring.socket(pending, settle, family, "datagram"),
    undefined,
    { place: address },
  );
  const socket = new DatagramSocket(operations, descriptor, "datagram socket");
  try {
    socket.applySettings(settings);
    if (address === null) return socket;
    await socket.bindAt(address, moment, NO_ENDINGS);
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
