// A socket for datagrams, with the methods and events of Node's.

import dns from "node:dns";
import { EventEmitter } from "node:events";
import { isIPv6 } from "node:net";
import { constants } from "node:os";
import {
  type Callback,
  Completion,
  type DatagramSocket,
  type InternetAddress,
  IOError,
  SocketAddress,
} from "@io/core";
import { checkNumber, checkSignal, checkString, checkUint32 } from "../checks.js";
import { sharedIO } from "../engine/environment.js";
import {
  addressError,
  argumentTypeError,
  errnoOf,
  missingArguments,
  nodeError,
  systemClassError,
  systemError,
} from "../errors.js";
import { socketOf } from "../net/socket_of.js";
import {
  alreadyBound,
  alreadyConnected,
  badType,
  messageFrom,
  notConnected,
  notRunning,
  partOf,
  portFrom,
} from "./arguments.js";
import {
  interfaceSetting,
  loopSetting,
  membershipSetting,
  type Setting,
  sourceSetting,
  ttlSetting,
} from "./multicast.js";
import { Receiver, type RemoteInfo } from "./receiver.js";

/**
 * Finds the address of a name.
 *
 * @param host The name.
 * @param family The family of the address.
 * @param callback Called with the error, or the address.
 */
export type Lookup = (
  host: string,
  family: 4 | 6,
  callback: (error: Error | null, address: string) => void,
) => void;

/** Options of a datagram socket. */
export interface SocketOptions {
  /** "udp4" or "udp6". */
  type: "udp4" | "udp6";
  /** Share the address with others that say so too; `false` by default. */
  reuseAddr?: boolean | undefined;
  /** Of "udp6": leave IPv4 out; `false` by default. */
  ipv6Only?: boolean | undefined;
  /** Bytes of the kernel's receive buffer. */
  recvBufferSize?: number | undefined;
  /** Bytes of the kernel's send buffer. */
  sendBufferSize?: number | undefined;
  /** In the place of `dns.lookup`. */
  lookup?: Lookup | undefined;
  /** Closes the socket when it is aborted. */
  signal?: AbortSignal | undefined;
}

/** What `bind` takes in the place of a port. */
export interface BindOptions {
  /** The port; any free one by default. */
  port?: number | undefined;
  /** The address, or a name; every interface by default. */
  address?: string | undefined;
  /** Has no effect: a worker of a cluster shares nothing. */
  exclusive?: boolean | undefined;
  /** The system's number of a socket that other code has opened and bound. */
  fd?: number | undefined;
}

/** The address of one end. */
export interface AddressInfo {
  /** The IP address. */
  address: string;
  /** Its family. */
  family: "IPv4" | "IPv6";
  /** The port. */
  port: number;
}

/**
 * How a send ends.
 *
 * @param error Why it has failed, or null.
 * @param bytes How many bytes the datagram had.
 */
export type Sent = (error: Error | null, bytes?: number) => void;
/** What a datagram is made of. */
export type Memory = string | NodeJS.ArrayBufferView;

function infoOf({ host, family, port }: InternetAddress): AddressInfo {
  return { address: host, family: family === "ipv4" ? "IPv4" : "IPv6", port };
}

/** One send: what its completion needs to know. */
class Sending {
  readonly sizeBytes: number;
  readonly address: string | undefined;
  readonly port: number | undefined;
  readonly callback: Sent | undefined;

  constructor(
    sizeBytes: number,
    address: string | undefined,
    port: number | undefined,
    callback: Sent | undefined,
  ) {
    this.sizeBytes = sizeBytes;
    this.address = address;
    this.port = port;
    this.callback = callback;
  }
}

const NO_SENDING = new Sending(0, undefined, undefined, undefined);

/**
 * A socket for datagrams: what `createSocket()` gives.
 *
 * @example
 * ```ts
 * import dgram from "@io/node/dgram";
 *
 * const socket = dgram.createSocket("udp4", (message, { port }) => socket.send(message, port));
 * socket.bind(7000);
 * ```
 */
export class Socket extends EventEmitter implements AsyncDisposable {
  /** "udp4" or "udp6". */
  readonly type: "udp4" | "udp6";
  readonly #lookup: Lookup;
  readonly #options: Partial<SocketOptions>;
  #socket: DatagramSocket | null = null;
  #receiver: Receiver | null = null;
  #state: "unbound" | "binding" | "bound" | "closed" = "unbound";
  #connection: "none" | "connecting" | "connected" = "none";
  // What waits until the socket has an address.
  #queue: (() => void)[] | undefined = undefined;
  // Memberships that were asked for before it has an address.
  readonly #kept: (() => void)[] = [];
  #isRef = true;
  #sendsInFlight = 0;
  #bytesInFlight = 0;
  #whenSent: (() => void) | null = null;
  readonly #idle: Completion<Sending>[] = [];
  // The receiver that was named last, in the engine's form.
  #lastHost = "";
  #lastPort = -1;
  readonly #lastTarget = new SocketAddress();

  /**
   * Makes a socket that has no address yet.
   *
   * @param type "udp4" or "udp6", or options.
   * @param listener A listener of 'message'.
   * @throws `ERR_SOCKET_BAD_TYPE`, `ERR_INVALID_ARG_TYPE`
   */
  constructor(
    type: "udp4" | "udp6" | SocketOptions,
    listener?: (message: Buffer, from: RemoteInfo) => void,
  ) {
    super();
    const options: Partial<SocketOptions> =
      type !== null && typeof type === "object" ? type : { type };
    const { lookup, recvBufferSize, sendBufferSize } = options;
    if (recvBufferSize) checkUint32(recvBufferSize, "options.recvBufferSize");
    if (sendBufferSize) checkUint32(sendBufferSize, "options.sendBufferSize");
    if (lookup !== undefined && typeof lookup !== "function") {
      throw argumentTypeError("lookup", "Function", lookup);
    }
    if (options.type !== "udp4" && options.type !== "udp6") throw badType();
    this.type = options.type;
    this.#options = options;
    this.#lookup = lookup ?? (dns.lookup as unknown as Lookup);
    if (typeof listener === "function") this.on("message", listener);
    if (options.signal !== undefined) this.#follow(options.signal);
  }

  #follow(signal: AbortSignal): void {
    checkSignal(signal, "options.signal");
    const onAbort = (): void => {
      if (this.#state !== "closed") this.close();
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    this.once("close", () => signal.removeEventListener("abort", onAbort));
  }

  #check(): void {
    if (this.#state === "closed") throw notRunning();
  }

  /**
   * Gives the socket an address, and begins to receive; 'listening' says when.
   *
   * @param port The port; any free one by default.
   * @param address The address, or a name; every interface by default.
   * @param callback A listener of 'listening'.
   * @returns itself
   * @throws `ERR_SOCKET_ALREADY_BOUND`, `ERR_INVALID_FD_TYPE`; `ERR_SOCKET_DGRAM_NOT_RUNNING` of a
   *   socket that is closed
   */
  bind(port?: number, address?: string, callback?: () => void): this;
  /**
   * Gives the socket an address, and begins to receive; 'listening' says when.
   *
   * @param port The port; any free one by default.
   * @param callback A listener of 'listening'.
   * @returns itself
   * @throws `ERR_SOCKET_ALREADY_BOUND`, `ERR_INVALID_FD_TYPE`; `ERR_SOCKET_DGRAM_NOT_RUNNING` of a
   *   socket that is closed
   */
  bind(port: number, callback?: () => void): this;
  /**
   * Gives the socket an address, and begins to receive; 'listening' says when.
   *
   * @param callback A listener of 'listening'.
   * @returns itself
   * @throws `ERR_SOCKET_ALREADY_BOUND`, `ERR_INVALID_FD_TYPE`; `ERR_SOCKET_DGRAM_NOT_RUNNING` of a
   *   socket that is closed
   */
  bind(callback: () => void): this;
  /**
   * Gives the socket an address, and begins to receive; 'listening' says when.
   *
   * @param options `port`, `address`, or `fd`: a socket that other code has opened and bound.
   * @param callback A listener of 'listening'.
   * @returns itself
   * @throws `ERR_SOCKET_ALREADY_BOUND`, `ERR_INVALID_FD_TYPE`; `ERR_SOCKET_DGRAM_NOT_RUNNING` of a
   *   socket that is closed
   */
  bind(options: BindOptions, callback?: () => void): this;
  bind(...given: unknown[]): this {
    this.#check();
    if (this.#state !== "unbound") throw alreadyBound();
    this.#state = "binding";
    const callback = given.at(-1);
    if (typeof callback === "function") this.#onBound(callback as () => void);
    const [first, second] = given;
    const options = typeof first === "object" && first !== null ? (first as BindOptions) : null;
    if (typeof options?.fd === "number" && options.fd > 0) {
      this.#bindTo(options.fd);
      return this;
    }
    const asked = options === null ? second : options.address;
    const port = options === null ? first : options.port;
    const any = this.type === "udp4" ? "0.0.0.0" : "::";
    const address = typeof asked === "string" && asked !== "" ? asked : any;
    this.#resolve(address, (error, host) => {
      if (this.#state === "closed") return;
      if (error === null) void this.#open(host, typeof port === "function" ? 0 : Number(port) || 0);
      else this.#failBind(error);
    });
    return this;
  }

  // As in Node: it has its address at once.
  #bindTo(fd: number): void {
    this.#state = "unbound";
    const socket = socketOf(fd, "datagram");
    if (socket.localAddress?.family === "unix") {
      void socket.detach();
      throw nodeError(TypeError, "ERR_INVALID_FD_TYPE", "Unsupported fd type: UNKNOWN");
    }
    this.#start(socket);
  }

  #onBound(callback: () => void): void {
    const remove = (): void => {
      this.removeListener("error", remove);
      this.removeListener("listening", onListening);
    };
    const onListening = (): void => {
      remove();
      callback.call(this);
    };
    this.on("error", remove);
    this.on("listening", onListening);
  }

  #failBind(error: Error): void {
    this.#state = "unbound";
    this.emit("error", error);
  }

  #resolve(address: string, callback: (error: Error | null, host: string) => void): void {
    const isIPv4 = this.type === "udp4";
    const host = address || (isIPv4 ? "127.0.0.1" : "::1");
    this.#lookup(host, isIPv4 ? 4 : 6, callback);
  }

  async #open(host: string, port: number): Promise<void> {
    const family = this.type === "udp4" ? "ipv4" : "ipv6";
    let opened: DatagramSocket | null = null;
    try {
      opened = await sharedIO().openDatagram({ family });
      if (this.#options.reuseAddr) opened.setOption("SOL_SOCKET", "SO_REUSEADDR", 1);
      if (this.#options.ipv6Only) opened.setOptions({ ipv6Only: true });
      await opened.bind({ host, port });
    } catch (error) {
      void opened?.close();
      if (this.#isClosed) return;
      const failure = addressError(errnoOf(error), "bind", host, port);
      // What a listener throws is to be an uncaught exception, as in Node, and no rejection.
      process.nextTick(() => {
        if (!this.#isClosed) this.#failBind(failure);
      });
      return;
    }
    const socket = opened;
    process.nextTick(() => {
      if (this.#isClosed) void socket.close();
      else this.#start(socket);
    });
  }

  get #isClosed(): boolean {
    return this.#state === "closed";
  }

  #start(socket: DatagramSocket): void {
    this.#socket = socket;
    this.#state = "bound";
    if (!this.#isRef) socket.unref();
    const { recvBufferSize, sendBufferSize } = this.#options;
    this.#receiver = new Receiver(
      sharedIO(),
      socket.descriptor,
      (message, from) => this.emit("message", message, from),
      (errno) => this.emit("error", systemError(errno, "recvmsg")),
    );
    this.#receiver.start();
    const settings = this.#kept.splice(0);
    if (recvBufferSize) settings.push(() => this.setRecvBufferSize(recvBufferSize));
    if (sendBufferSize) settings.push(() => this.setSendBufferSize(sendBufferSize));
    for (const set of settings) this.#tryLater(set);
    this.emit("listening");
  }

  // The call that asked for it has returned, so that it cannot throw.
  #tryLater(set: () => void): void {
    try {
      set();
    } catch (error) {
      process.nextTick(() => {
        if (!this.#isClosed) this.emit("error", error);
      });
    }
  }

  // Runs when the socket has an address. Without one after a failure it never runs.
  #whenBound(run: () => void): void {
    if (this.#queue === undefined) {
      const queue: (() => void)[] = [];
      this.#queue = queue;
      const onError = (): void => {
        this.removeListener("listening", onListening);
        this.#queue = undefined;
      };
      const onListening = (): void => {
        this.removeListener(EventEmitter.errorMonitor, onError);
        this.#queue = undefined;
        for (const one of queue) one();
      };
      this.once(EventEmitter.errorMonitor, onError);
      this.once("listening", onListening);
    }
    this.#queue.push(run);
  }

  /**
   * Sends to this peer alone from now on, and receives from it alone; 'connect' says when.
   *
   * @param port The peer's port.
   * @param address The peer's address, or a name; this machine by default.
   * @param callback A listener of 'connect', which is given the error of a failure.
   * @throws `ERR_SOCKET_BAD_PORT`, `ERR_SOCKET_DGRAM_IS_CONNECTED`; `ERR_SOCKET_DGRAM_NOT_RUNNING`
   *   of a socket that is closed
   */
  connect(port: number, address?: string, callback?: (error?: Error) => void): void;
  /**
   * Sends to this peer alone from now on, and receives from it alone; 'connect' says when.
   *
   * @param port The peer's port.
   * @param callback A listener of 'connect', which is given the error of a failure.
   * @throws `ERR_SOCKET_BAD_PORT`, `ERR_SOCKET_DGRAM_IS_CONNECTED`; `ERR_SOCKET_DGRAM_NOT_RUNNING`
   *   of a socket that is closed
   */
  connect(port: number, callback: (error?: Error) => void): void;
  connect(port: number, ...given: unknown[]): void {
    const number = portFrom(port);
    const hasAddress = typeof given[0] !== "function";
    const address = hasAddress ? (given[0] ?? "") : "";
    const callback = (hasAddress ? given[1] : given[0]) as ((error?: Error) => void) | undefined;
    checkString(address, "address");
    if (this.#connection !== "none") throw alreadyConnected();
    this.#connection = "connecting";
    if (this.#state === "unbound") this.bind({ port: 0, exclusive: true });
    const run = (): void => {
      if (callback) this.once("connect", callback);
      this.#resolve(address, (error, host) => {
        void this.#connect(error, host, address, number, callback);
      });
    };
    if (this.#state === "bound") run();
    else this.#whenBound(run);
  }

  async #connect(
    lookupError: Error | null,
    host: string,
    address: string,
    port: number,
    callback: ((error?: Error) => void) | undefined,
  ): Promise<void> {
    let failure = lookupError;
    if (failure === null) {
      try {
        await this.#socket?.connect({ host, port });
      } catch (error) {
        failure = addressError(errnoOf(error), "connect", address, port);
      }
    }
    if (this.#state === "closed") return;
    this.#connection = failure === null ? "connected" : "none";
    process.nextTick(() => {
      if (failure === null) {
        this.emit("connect");
      } else if (callback) {
        this.removeListener("connect", callback);
        callback(failure);
      } else {
        this.emit("error", failure);
      }
    });
  }

  /**
   * Ends what `connect` did: what was sent before goes to the peer, and the socket may be connected
   * again at once.
   *
   * @throws `ERR_SOCKET_DGRAM_NOT_CONNECTED`; `ERR_SOCKET_DGRAM_NOT_RUNNING` of a socket that is
   *   closed
   */
  disconnect(): void {
    if (this.#connection !== "connected") throw notConnected();
    this.#check();
    this.#connection = "none";
    this.#socket?.disconnect().catch((error: unknown) => {
      const isEnd = this.#state === "closed";
      if (!isEnd)
        process.nextTick(() => this.emit("error", systemError(errnoOf(error), "connect")));
    });
  }

  /**
   * Sends a datagram, after the socket was given an address, where it has none.
   *
   * @param message The bytes, text, or a list of both, which becomes one datagram.
   * @param port The port of the receiver; none on a socket that is connected.
   * @param callback Called when the system has taken the datagram, or with an error.
   * @throws `ERR_SOCKET_BAD_PORT`, `ERR_BUFFER_OUT_OF_BOUNDS`, `ERR_SOCKET_DGRAM_IS_CONNECTED`;
   *   `ERR_SOCKET_DGRAM_NOT_RUNNING` of a socket that is closed
   */
  send(message: Memory | readonly Memory[], port?: number, callback?: Sent): void;
  /**
   * Sends a datagram, after the socket was given an address, where it has none.
   *
   * @param message The bytes, text, or a list of both, which becomes one datagram.
   * @param port The port of the receiver; none on a socket that is connected.
   * @param address The address of the receiver, or a name; this machine by default.
   * @param callback Called when the system has taken the datagram, or with an error.
   * @throws `ERR_SOCKET_BAD_PORT`, `ERR_BUFFER_OUT_OF_BOUNDS`, `ERR_SOCKET_DGRAM_IS_CONNECTED`;
   *   `ERR_SOCKET_DGRAM_NOT_RUNNING` of a socket that is closed
   */
  send(message: Memory | readonly Memory[], port?: number, address?: string, callback?: Sent): void;
  /**
   * Sends a datagram, after the socket was given an address, where it has none.
   *
   * @param message The bytes, text, or a list of both, which becomes one datagram.
   * @param callback Called when the system has taken the datagram, or with an error.
   * @throws `ERR_SOCKET_BAD_PORT`, `ERR_BUFFER_OUT_OF_BOUNDS`, `ERR_SOCKET_DGRAM_IS_CONNECTED`;
   *   `ERR_SOCKET_DGRAM_NOT_RUNNING` of a socket that is closed
   */
  send(message: Memory | readonly Memory[], callback?: Sent): void;
  /**
   * Sends a datagram, after the socket was given an address, where it has none.
   *
   * @param message The bytes, text, or a list of both, which becomes one datagram.
   * @param offset Where in the bytes the datagram begins.
   * @param length How many bytes it has.
   * @param port The port of the receiver; none on a socket that is connected.
   * @param address The address of the receiver, or a name; this machine by default.
   * @param callback Called when the system has taken the datagram, or with an error.
   * @throws `ERR_SOCKET_BAD_PORT`, `ERR_BUFFER_OUT_OF_BOUNDS`, `ERR_SOCKET_DGRAM_IS_CONNECTED`;
   *   `ERR_SOCKET_DGRAM_NOT_RUNNING` of a socket that is closed
   */
  send(
    message: Memory,
    offset: number,
    length: number,
    port?: number,
    address?: string,
    callback?: Sent,
  ): void;
  /**
   * Sends a datagram, after the socket was given an address, where it has none.
   *
   * @param message The bytes, text, or a list of both, which becomes one datagram.
   * @param offset Where in the bytes the datagram begins.
   * @param length How many bytes it has.
   * @param port The port of the receiver; none on a socket that is connected.
   * @param callback Called when the system has taken the datagram, or with an error.
   * @throws `ERR_SOCKET_BAD_PORT`, `ERR_BUFFER_OUT_OF_BOUNDS`, `ERR_SOCKET_DGRAM_IS_CONNECTED`;
   *   `ERR_SOCKET_DGRAM_NOT_RUNNING` of a socket that is closed
   */
  send(message: Memory, offset: number, length: number, port?: number, callback?: Sent): void;
  /**
   * Sends a datagram, after the socket was given an address, where it has none.
   *
   * @param message The bytes, text, or a list of both, which becomes one datagram.
   * @param offset Where in the bytes the datagram begins.
   * @param length How many bytes it has.
   * @param callback Called when the system has taken the datagram, or with an error.
   * @throws `ERR_SOCKET_BAD_PORT`, `ERR_BUFFER_OUT_OF_BOUNDS`, `ERR_SOCKET_DGRAM_IS_CONNECTED`;
   *   `ERR_SOCKET_DGRAM_NOT_RUNNING` of a socket that is closed
   */
  send(message: Memory, offset: number, length: number, callback?: Sent): void;
  send(message: unknown, ...given: unknown[]): void {
    const isConnected = this.#connection === "connected";
    const { bytes, port, address, callback } = isConnected
      ? connectedRequest(message, given)
      : openRequest(message, given);
    const list = messageFrom(bytes);
    const number = isConnected ? undefined : portFrom(port);
    const host = typeof address === "function" ? undefined : (address ?? undefined);
    const done = typeof address === "function" ? address : callback;
    if (host !== undefined) checkString(host, "address");
    this.#check();
    if (this.#state === "unbound") this.bind({ port: 0, exclusive: true });
    const sent = typeof done === "function" ? (done as Sent) : undefined;
    if (this.#state === "bound") this.#send(list, number, host, sent);
    else this.#whenBound(() => this.#send(list, number, host, sent));
  }

  #send(
    list: readonly Buffer[],
    port: number | undefined,
    address: string | undefined,
    callback: Sent | undefined,
  ): void {
    if (port === undefined) {
      this.#put(list, null, undefined, undefined, callback);
      return;
    }
    if (address === this.#lastHost && port === this.#lastPort) {
      this.#put(list, this.#lastTarget, address, port, callback);
      return;
    }
    this.#resolve(address ?? "", (error, host) => {
      if (error !== null) {
        if (callback) process.nextTick(callback, error);
        else process.nextTick(() => this.emit("error", error));
      } else if (this.#state !== "closed") {
        this.#put(list, this.#targetOf(host, port), address, port, callback);
      }
    });
  }

  #targetOf(host: string, port: number): SocketAddress {
    this.#lastTarget.set({ family: this.type === "udp4" ? "ipv4" : "ipv6", host, port });
    this.#lastHost = host;
    this.#lastPort = port;
    return this.#lastTarget;
  }

  // The engine has read the target when this returns.
  #put(
    list: readonly Buffer[],
    target: SocketAddress | null,
    address: string | undefined,
    port: number | undefined,
    callback: Sent | undefined,
  ): void {
    const socket = this.#socket as DatagramSocket;
    const message = list.length === 1 ? (list[0] as Buffer) : list;
    const sizeBytes = list.reduce((sum, one) => sum + one.byteLength, 0);
    const completion = this.#idle.pop() ?? new Completion<Sending>(NO_SENDING);
    completion.context = new Sending(sizeBytes, address, port, callback);
    sharedIO().ring.sendMessage(completion, this.#onSent, socket.descriptor, message, target);
    this.#sendsInFlight++;
    this.#bytesInFlight += sizeBytes;
  }

  readonly #onSent: Callback<Sending> = (completion, result) => {
    const { sizeBytes, address, port, callback } = completion.context;
    completion.context = NO_SENDING;
    this.#idle.push(completion);
    this.#bytesInFlight -= sizeBytes;
    this.#sendsInFlight--;
    if (this.#sendsInFlight === 0) this.#whenSent?.();
    if (callback === undefined) return;
    if (result >= 0) callback(null, result);
    else callback(addressError(result, "send", address as string, port));
  };

  /**
   * The same as {@link send} with all arguments.
   *
   * @param message The bytes, or text.
   * @param offset Where in them the datagram begins.
   * @param length How many bytes it has.
   * @param port The port of the receiver.
   * @param address The address of the receiver, or a name.
   * @param callback Called when the system has taken the datagram, or with an error.
   * @throws the codes of a refused argument; `ERR_SOCKET_DGRAM_NOT_RUNNING` of a socket that is
   *   closed
   */
  sendto(
    message: Memory,
    offset: number,
    length: number,
    port: number,
    address: string,
    callback?: Sent,
  ): void {
    checkNumber(offset, "offset");
    checkNumber(length, "length");
    checkNumber(port, "port");
    checkString(address, "address");
    this.send(message, offset, length, port, address, callback);
  }

  /**
   * Closes the socket when what was given to it has been sent; 'close' says when.
   *
   * @param callback A listener of 'close'.
   * @returns itself
   * @throws `ERR_SOCKET_DGRAM_NOT_RUNNING` of a socket that is closed
   */
  close(callback?: () => void): this {
    if (typeof callback === "function") this.on("close", callback);
    if (this.#queue !== undefined) {
      this.#queue.push(() => this.close());
      return this;
    }
    this.#check();
    this.#state = "closed";
    this.#receiver?.stop();
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) {
      process.nextTick(() => this.emit("close"));
      return this;
    }
    const end = (): void => {
      void socket.close().then(() => process.nextTick(() => this.emit("close")));
    };
    if (this.#sendsInFlight === 0) end();
    else this.#whenSent = end;
    return this;
  }

  /** Closes the socket: what `await using` calls. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === "closed") return;
    await new Promise<void>((resolve) => {
      this.close(() => resolve());
    });
  }

  /**
   * Its own address.
   *
   * @returns its address and port
   * @throws `ERR_SOCKET_DGRAM_NOT_RUNNING` of a socket that is closed; `EBADF` before it has an
   *   address
   */
  address(): AddressInfo {
    this.#check();
    const address = this.#socket?.localAddress as InternetAddress | null | undefined;
    if (!address) throw badDescriptor("getsockname");
    return infoOf(address);
  }

  /**
   * The address of the peer that it is connected to.
   *
   * @returns its address and port
   * @throws `ERR_SOCKET_DGRAM_NOT_CONNECTED`; `ERR_SOCKET_DGRAM_NOT_RUNNING` of a socket that is
   *   closed
   */
  remoteAddress(): AddressInfo {
    this.#check();
    if (this.#connection !== "connected") throw notConnected();
    const address = this.#socket?.remoteAddress as InternetAddress | null | undefined;
    if (!address) throw badDescriptor("getpeername");
    return infoOf(address);
  }

  #set(syscall: string, set: Setting): void {
    if (this.#socket === null) throw badDescriptor(syscall);
    try {
      set(this.#socket);
    } catch (error) {
      throw optionError(error, syscall);
    }
  }

  /**
   * Allows sends to a broadcast address, or forbids them.
   *
   * @param flag Whether it may.
   * @throws `EBADF` of a socket without an address; what setsockopt(2) says
   */
  setBroadcast(flag: boolean): void {
    this.#set("setBroadcast", (socket) => socket.setOptions({ broadcast: Boolean(flag) }));
  }

  /**
   * How many routers may pass on what is sent.
   *
   * @param ttl 1 to 255.
   * @returns the number
   * @throws `EBADF` of a socket without an address; what setsockopt(2) says; `EINVAL`
   */
  setTTL(ttl: number): number {
    checkNumber(ttl, "ttl");
    this.#set("setTTL", (socket) => socket.setOptions({ ttl: Math.trunc(ttl) }));
    return ttl;
  }

  /**
   * How many routers may pass on what is sent to a group, plus 1.
   *
   * @param ttl 0 to 255; 1 by default.
   * @returns the number
   * @throws `EBADF` of a socket without an address; what setsockopt(2) says; `EINVAL`
   */
  setMulticastTTL(ttl: number): number {
    checkNumber(ttl, "ttl");
    this.#set("setMulticastTTL", ttlSetting(ttl));
    return ttl;
  }

  /**
   * Whether what is sent to a group comes back to this machine.
   *
   * @param flag Whether it does; `true` by default.
   * @returns the flag
   * @throws `EBADF` of a socket without an address; what setsockopt(2) says
   */
  setMulticastLoopback(flag: boolean): boolean {
    this.#set("setMulticastLoopback", loopSetting(Boolean(flag)));
    return flag;
  }

  /**
   * The interface by which it sends to groups: its address, or "::%eth0".
   *
   * @param interfaceAddress Its address; of IPv6 with the interface behind a "%".
   * @throws `EBADF` of a socket without an address; what setsockopt(2) says; `EINVAL`,
   *   `EADDRNOTAVAIL`
   */
  setMulticastInterface(interfaceAddress: string): void {
    this.#check();
    checkString(interfaceAddress, "interfaceAddress");
    this.#set("setMulticastInterface", interfaceSetting(interfaceAddress));
  }

  /**
   * Joins a group. Before the socket has an address, it does so when it gets one.
   *
   * @param multicastAddress The address of the group.
   * @param interfaceAddress An address of the interface; the system chooses by default.
   * @throws `ERR_SOCKET_DGRAM_NOT_RUNNING`, `EINVAL`, `EADDRINUSE`, `ENODEV`;
   *   `ERR_IO_NOT_SUPPORTED` of an IPv4 interface but on Linux
   */
  addMembership(multicastAddress: string, interfaceAddress?: string): void {
    this.#check();
    if (!multicastAddress) throw missingArguments("multicastAddress");
    this.#checkFamily(multicastAddress, "addMembership");
    const setting = membershipSetting("join", multicastAddress, interfaceAddress);
    this.#setOrKeep("addMembership", setting);
  }

  /**
   * Leaves a group.
   *
   * @param multicastAddress The address of the group.
   * @param interfaceAddress An address of the interface; the system chooses by default.
   * @throws `ERR_SOCKET_DGRAM_NOT_RUNNING`, `EINVAL`, `EADDRINUSE`, `ENODEV`;
   *   `ERR_IO_NOT_SUPPORTED` of an IPv4 interface but on Linux
   */
  dropMembership(multicastAddress: string, interfaceAddress?: string): void {
    this.#check();
    if (!multicastAddress) throw missingArguments("multicastAddress");
    this.#checkFamily(multicastAddress, "dropMembership");
    const setting = membershipSetting("leave", multicastAddress, interfaceAddress);
    this.#setOrKeep("dropMembership", setting);
  }

  /**
   * Joins a group for what one sender sends to it.
   *
   * @param source The address of the sender.
   * @param group The address of the group.
   * @param through An address of the interface; the system chooses by default.
   * @throws `ERR_SOCKET_DGRAM_NOT_RUNNING`, `EINVAL`, `EADDRINUSE`, `ENODEV`;
   *   `ERR_IO_NOT_SUPPORTED` of an IPv4 interface but on Linux
   */
  addSourceSpecificMembership(source: string, group: string, through?: string): void {
    this.#check();
    checkString(source, "sourceAddress");
    checkString(group, "groupAddress");
    const setting = sourceSetting("join", source, group, through);
    this.#setOrKeep("addSourceSpecificMembership", setting);
  }

  /**
   * Leaves a group that was joined for one sender.
   *
   * @param source The address of the sender.
   * @param group The address of the group.
   * @param through An address of the interface; the system chooses by default.
   * @throws `ERR_SOCKET_DGRAM_NOT_RUNNING`, `EINVAL`, `EADDRINUSE`, `ENODEV`;
   *   `ERR_IO_NOT_SUPPORTED` of an IPv4 interface but on Linux
   */
  dropSourceSpecificMembership(source: string, group: string, through?: string): void {
    this.#check();
    checkString(source, "sourceAddress");
    checkString(group, "groupAddress");
    const setting = sourceSetting("leave", source, group, through);
    this.#setOrKeep("dropSourceSpecificMembership", setting);
  }

  #checkFamily(group: string, syscall: string): void {
    if (this.type !== "udp4" || !isIPv6(group)) return;
    throw systemError(-constants.errno.ENOPROTOOPT, syscall);
  }

  // Node gives a socket an address for it, at once. Here it waits for the bind.
  #setOrKeep(syscall: string, setting: Setting): void {
    if (this.#socket !== null) this.#set(syscall, setting);
    else this.#kept.push(() => this.#set(syscall, setting));
  }

  /**
   * The socket keeps the process alive, as it does unless `unref` was called.
   *
   * @returns itself
   */
  ref(): this {
    this.#isRef = true;
    this.#socket?.ref();
    return this;
  }

  /**
   * The socket does not keep the process alive.
   *
   * @returns itself
   */
  unref(): this {
    this.#isRef = false;
    this.#socket?.unref();
    return this;
  }

  /**
   * Sets how many bytes may wait in the system to be received.
   *
   * @param size Bytes, of which Linux makes twice as many.
   * @throws `ERR_SOCKET_BAD_BUFFER_SIZE`, `ERR_SOCKET_BUFFER_SIZE`
   */
  setRecvBufferSize(size: number): void {
    this.#setBufferSize("SO_RCVBUF", size);
  }

  /**
   * Sets how many bytes may wait in the system to be sent.
   *
   * @param size Bytes, of which Linux makes twice as many.
   * @throws `ERR_SOCKET_BAD_BUFFER_SIZE`, `ERR_SOCKET_BUFFER_SIZE`
   */
  setSendBufferSize(size: number): void {
    this.#setBufferSize("SO_SNDBUF", size);
  }

  /**
   * How many bytes may wait in the system to be received.
   *
   * @returns bytes
   * @throws `ERR_SOCKET_BUFFER_SIZE`
   */
  getRecvBufferSize(): number {
    return this.#bufferSize("SO_RCVBUF");
  }

  /**
   * How many bytes may wait in the system to be sent.
   *
   * @returns bytes
   * @throws `ERR_SOCKET_BUFFER_SIZE`
   */
  getSendBufferSize(): number {
    return this.#bufferSize("SO_SNDBUF");
  }

  /** Bytes that were given to it and are not sent yet. */
  getSendQueueSize(): number {
    return this.#bytesInFlight;
  }

  /** Datagrams that were given to it and are not sent yet. */
  getSendQueueCount(): number {
    return this.#sendsInFlight;
  }

  #setBufferSize(name: "SO_RCVBUF" | "SO_SNDBUF", size: number): void {
    if (size >>> 0 !== size) {
      const message = "Buffer size must be a positive integer";
      throw nodeError(TypeError, "ERR_SOCKET_BAD_BUFFER_SIZE", message);
    }
    if (this.#socket === null) throw bufferSizeError(name);
    this.#socket.setOption("SOL_SOCKET", name, size);
  }

  #bufferSize(name: "SO_RCVBUF" | "SO_SNDBUF"): number {
    if (this.#socket === null) throw bufferSizeError(name);
    return this.#socket.getOption("SOL_SOCKET", name).readInt32LE();
  }
}

interface Request {
  readonly bytes: unknown;
  readonly port: unknown;
  readonly address: unknown;
  readonly callback: unknown;
}

/** The arguments of a send on a socket that is not connected. */
function openRequest(message: unknown, given: readonly unknown[]): Request {
  const [offset, length, port, address, callback] = given;
  const isPart = Boolean(address) || (Boolean(port) && typeof port !== "function");
  if (isPart) return { bytes: partOf(message, offset, length), port, address, callback };
  return { bytes: message, port: offset, address: length, callback: port };
}

/** The same on one that is connected: there is no port and no address. */
function connectedRequest(message: unknown, given: readonly unknown[]): Request {
  const [offset, length, third, address] = given;
  const isPart = typeof length === "number";
  const hasCallback = isPart && typeof third === "function";
  const bytes = isPart ? partOf(message, offset, length) : message;
  const port = hasCallback ? undefined : third;
  if (port || address) throw alreadyConnected();
  return { bytes, port: undefined, address: undefined, callback: hasCallback ? third : offset };
}

function badDescriptor(syscall: string): NodeJS.ErrnoException {
  return systemError(-constants.errno.EBADF, syscall);
}

/** What a call on the options has thrown, as Node's error; a number out of range is EINVAL. */
function optionError(error: unknown, syscall: string): unknown {
  if (error instanceof IOError && error.code === "ERR_OUT_OF_RANGE") {
    return systemError(-constants.errno.EINVAL, syscall);
  }
  return systemError(errnoOf(error), syscall);
}

function bufferSizeError(name: "SO_RCVBUF" | "SO_SNDBUF"): NodeJS.ErrnoException {
  const syscall = name === "SO_RCVBUF" ? "uv_recv_buffer_size" : "uv_send_buffer_size";
  const errno = -constants.errno.EBADF;
  const text = "bad file descriptor";
  const message = `Could not get or set buffer size: ${syscall} returned EBADF (${text})`;
  const error = systemClassError("ERR_SOCKET_BUFFER_SIZE", message);
  return Object.assign(error, {
    info: { errno, code: "EBADF", message: text, syscall },
    errno,
    syscall,
  });
}
