// The class `Server` of `node:net` over a listener of @io/core.

import { channel } from "node:diagnostics_channel";
import { lookup } from "node:dns";
import { EventEmitter } from "node:events";
import { chmodSync, statSync } from "node:fs";
import { type AddressInfo, type BlockList, isIP } from "node:net";
import { constants } from "node:os";
import { type Socket as CoreSocket, IOError, type Listener } from "@io/core";
import { sharedEnvironment } from "../engine/environment.js";
import {
  argumentTypeError,
  argumentValueError,
  errnoCode,
  errnoOf,
  handleNotSupported,
  listenError,
  nodeError,
  systemError,
} from "../errors.js";
import {
  blockListFrom,
  type Callback,
  checkAbortSignal,
  checkNumber,
  checkPort,
  isPipeName,
  normalizeArguments,
  type Options,
  toPort,
} from "./arguments.js";
import { listenNow, listenOn } from "./listen_now.js";
import { infoOf, Socket, type SocketOwner } from "./socket.js";

const serverChannel = channel("net.server.socket");

/** Where to listen. */
interface Place {
  readonly path?: string;
  readonly host?: string;
  readonly port?: number;
  readonly backlog: number;
  readonly reusePort?: boolean;
  readonly ipv6Only?: boolean;
  /** What everybody may do with the file of a unix socket, beside what the mask leaves. */
  readonly mode?: number;
}

const DEFAULT_BACKLOG = 511;
const NO_IPV6 = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EINVAL"]);

/** A server of stream sockets: `net.Server`. */
export class Server extends EventEmitter implements SocketOwner {
  allowHalfOpen: boolean;
  pauseOnConnect: boolean;
  noDelay: boolean;
  keepAlive: boolean;
  keepAliveInitialDelay: number;
  highWaterMark: number | undefined;
  readonly #blockList: BlockList | null;
  /** Connections that it has at most; undefined for no limit. */
  declare maxConnections?: number;
  declare dropMaxConnection?: boolean;
  /** @internal */
  _connections = 0;
  /** @internal */
  _connectionKey = "";
  /** @internal */
  _pipeName: string | null = null;
  #unref = false;
  // Set as long as it listens or is about to.
  #handle: Listening | null = null;
  /** The close of the last one, until its address is free. */
  #closing: Promise<void> | null = null;

  constructor(options?: unknown, listener?: unknown) {
    super(typeof options === "object" && options !== null ? options : undefined);
    let given: Options = {};
    if (typeof options === "function") this.on("connection", options as Callback);
    else if (options === undefined || options === null || typeof options === "object") {
      given = (options ?? {}) as Options;
      if (typeof listener === "function") this.on("connection", listener as Callback);
    } else throw argumentTypeError("options", "Object", options);
    this.allowHalfOpen = Boolean(given["allowHalfOpen"]);
    this.pauseOnConnect = Boolean(given["pauseOnConnect"]);
    this.noDelay = Boolean(given["noDelay"]);
    this.keepAlive = Boolean(given["keepAlive"]);
    const delay = given["keepAliveInitialDelay"];
    if (delay !== undefined) checkNumber(delay, "options.keepAliveInitialDelay");
    this.keepAliveInitialDelay = Math.max(0, Math.floor(((delay as number) ?? 0) / 1000)) * 1000;
    this.highWaterMark = given["highWaterMark"] as number | undefined;
    this.#blockList = blockListFrom(given["blockList"]);
  }

  // ---- listening

  listen(...given: unknown[]): this {
    const [options, callback] = normalizeArguments(given);
    if (this.#handle !== null) {
      const message = "Listen method has been called more than once without closing.";
      throw nodeError(Error, "ERR_SERVER_ALREADY_LISTEN", message);
    }
    if (options["_handle"] || options["handle"]) throw handleNotSupported("listen on a handle");
    if (callback !== null) this.once("listening", callback);
    if ((options as { fd?: unknown }).fd !== undefined && typeof options["fd"] === "number") {
      if (options["fd"] >= 0) {
        this.#followSignal(options["signal"]);
        this.#listenOn(options["fd"], given);
        return this;
      }
    }
    this.#followSignal(options["signal"]);
    const place = placeOf(options, given);
    if (place.path !== undefined) this._pipeName = place.path;
    const { host, port } = place;
    if (host === undefined || port === undefined) this.#listen(place);
    else this.#lookUp(place, host);
    return this;
  }

  #followSignal(signal: unknown): void {
    if (signal === undefined) return;
    const checked = checkAbortSignal(signal, "options.signal");
    const onAbort = (): void => {
      this.close();
    };
    if (checked.aborted) process.nextTick(onAbort);
    else {
      checked.addEventListener("abort", onAbort, { once: true });
      this.once("close", () => checked.removeEventListener("abort", onAbort));
    }
  }

  #lookUp(place: Place, host: string): void {
    lookup(host, (error, address) => {
      if (error) this.emit("error", error);
      else this.#listen({ ...place, host: address });
    });
  }

  #listen(place: Place): void {
    const { path, host = "::", port } = place;
    const family = isIP(host);
    this._connectionKey = path === undefined ? `${family}:${host}:${port}` : `-1:${path}:-1`;
    const handle = new Listening(this, place);
    this.#handle = handle;
    const error = handle.start(this.#closing);
    if (error !== null) this.#refuse(error);
  }

  #listenOn(number: number, given: readonly unknown[]): void {
    this._connectionKey = `null:null:${number}`;
    const handle = new Listening(this, { backlog: backlogOf({}, given) });
    this.#handle = handle;
    const error = handle.startOn(number);
    if (error !== null) this.#refuse(error);
  }

  #refuse(error: Error): void {
    this.#handle = null;
    process.nextTick(() => this.emit("error", error));
  }

  /** @internal */
  onListening(handle: Listening): void {
    if (this.#handle !== handle) return;
    if (this.#unref) handle.setRef(false);
    this.emit("listening");
  }

  /** @internal */
  onListenFailed(handle: Listening, error: Error): void {
    if (this.#handle !== handle) return;
    this.#handle = null;
    this.emit("error", error);
  }

  /** @internal */
  onAcceptFailed(errno: number): void {
    this.emit("error", systemError(errno, "accept"));
  }

  // ---- connections

  /** @internal */
  onConnection(handle: Listening, accepted: CoreSocket): void {
    if (this.#handle !== handle) {
      void accepted.close();
      return;
    }
    if (this.#blockList !== null && this.#isBlocked(accepted, this.#blockList)) {
      void accepted.close();
      return;
    }
    const { maxConnections } = this;
    if (maxConnections !== undefined && maxConnections !== null) {
      if (maxConnections > 0 && this._connections >= maxConnections) {
        this.#drop(accepted);
        return;
      }
    }
    const socket = new Socket({
      transport: { environment: sharedEnvironment(), socket: accepted },
      allowHalfOpen: this.allowHalfOpen,
      pauseOnCreate: this.pauseOnConnect,
      keepAlive: this.keepAlive,
      keepAliveInitialDelay: this.keepAliveInitialDelay,
      readableHighWaterMark: this.highWaterMark,
      writableHighWaterMark: this.highWaterMark,
    });
    this._connections++;
    socket.server = this;
    socket._server = this;
    this.emit("connection", socket);
    if (serverChannel.hasSubscribers) serverChannel.publish({ socket });
  }

  #isBlocked({ remoteAddress }: CoreSocket, blockList: BlockList): boolean {
    if (remoteAddress?.family !== "ipv4" && remoteAddress?.family !== "ipv6") return false;
    return blockList.check(remoteAddress.host, remoteAddress.family);
  }

  #drop(accepted: CoreSocket): void {
    const local = infoOf(accepted.localAddress);
    const remote = infoOf(accepted.remoteAddress);
    void accepted.close();
    this.emit("drop", {
      localAddress: local?.address,
      localPort: local?.port,
      localFamily: local?.family,
      remoteAddress: remote?.address,
      remotePort: remote?.port,
      remoteFamily: remote?.family,
    });
  }

  /** @internal */
  onConnectionClosed(): void {
    this._connections--;
    this.#emitCloseIfDrained();
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    process.nextTick(callback, null, this._connections);
    return this;
  }

  // ---- the end

  close(callback?: Callback): this {
    if (typeof callback === "function") {
      if (this.#handle === null) {
        this.once("close", () =>
          callback(nodeError(Error, "ERR_SERVER_NOT_RUNNING", "Server is not running.")),
        );
      } else this.once("close", callback);
    }
    const handle = this.#handle;
    this.#handle = null;
    if (handle !== null) this.#end(handle);
    this.#emitCloseIfDrained();
    return this;
  }

  #end(handle: Listening): void {
    const closing = handle.close().then(() => {
      if (this.#closing === closing) this.#closing = null;
      this.#emitCloseIfDrained();
    });
    this.#closing = closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#handle === null) return;
    await new Promise<void>((resolve, reject) => {
      this.close((error) => (error ? reject(error) : resolve()));
    });
  }

  #emitCloseIfDrained(): void {
    if (this.#handle !== null || this._connections > 0 || this.#closing !== null) return;
    process.nextTick(() => {
      if (this.#handle === null) this.emit("close");
    });
  }

  override [EventEmitter.captureRejectionSymbol](
    error: Error,
    event: string,
    socket: Socket,
  ): void {
    if (event === "connection") socket.destroy(error);
    else this.emit("error", error);
  }

  // ---- properties

  get listening(): boolean {
    return this.#handle !== null;
  }

  /** Truthy while it listens, as libraries look. @internal */
  get _handle(): object | null {
    return this.#handle;
  }

  address(): AddressInfo | string | null {
    if (this.#handle !== null && this._pipeName === null) return this.#handle.address;
    return this._pipeName;
  }

  ref(): this {
    this.#unref = false;
    this.#handle?.setRef(true);
    return this;
  }

  unref(): this {
    this.#unref = true;
    this.#handle?.setRef(false);
    return this;
  }
}

function backlogOf(options: Options, given: readonly unknown[]): number {
  const number = (value: unknown): number => Number(toPort(value)) || 0;
  const [, second, third] = given;
  return (
    (options["backlog"] as number) ||
    (given.length > 1 ? number(second) || number(third) : 0) ||
    DEFAULT_BACKLOG
  );
}

function placeOf(options: Options, given: readonly unknown[]): Place {
  const [first] = given;
  const shared = {
    backlog: backlogOf(options, given),
    reusePort: options["reusePort"] === true,
    ipv6Only: options["ipv6Only"] === true,
    mode: (options["readableAll"] ? 0o444 : 0) | (options["writableAll"] ? 0o222 : 0),
  };
  const { host, path } = options;
  let { port } = options;
  const isAny = given.length === 0 || typeof first === "function";
  if (isAny || (port === undefined && "port" in options) || port === null) port = 0;
  if (typeof port === "number" || typeof port === "string") {
    const place = { ...shared, port: checkPort(port, "options.port") };
    return host ? { ...place, host: host as string } : place;
  }
  if (path && isPipeName(path)) return { ...shared, path };
  if ("port" in options || "path" in options) throw argumentValueError("options", options);
  throw argumentValueError("options", options, 'must have the property "port" or "path"');
}

/** A listener, from the call of `listen` on. */
class Listening {
  readonly #server: Server;
  readonly #place: Place;
  #listener: Listener | null = null;
  #opening: Promise<Listener> | null = null;
  #closed = false;
  #refs = true;

  constructor(server: Server, place: Place) {
    this.#server = server;
    this.#place = place;
  }

  /**
   * Listens, once the address is free that was listened on before. As in Node, a server of TCP has
   * its address when this returns; null, or why it has none.
   */
  start(before: Promise<void> | null): Error | null {
    const { path, reusePort } = this.#place;
    if (before === null && path === undefined && !reusePort) return this.#take(this.#listenNow());
    this.#opening = before === null ? this.#open() : before.then(() => this.#open());
    this.#opening.then(
      (listener) => process.nextTick(() => this.#opened(listener)),
      (error: unknown) => process.nextTick(() => this.#failed(error)),
    );
    return null;
  }

  /** The same on a descriptor of the program. */
  startOn(number: number): Error | null {
    const { backlog } = this.#place;
    const taken = listenOn(number, backlog);
    return typeof taken === "number" ? listenError(taken, null) : this.#take(taken);
  }

  #take(taken: Listener | number): Error | null {
    const { host = "::", port } = this.#place;
    if (typeof taken === "number") return listenError(taken, host, port);
    this.#listener = taken;
    process.nextTick(() => this.#opened(taken));
    return null;
  }

  #listenNow(): Listener | number {
    const { host, port = 0, backlog, ipv6Only = false } = this.#place;
    const family = host !== undefined && isIP(host) === 4 ? "ipv4" : "ipv6";
    const shared = { port, backlog, ipv6Only };
    const taken = listenNow({ ...shared, host: host ?? "::", family });
    // As in Node: every address of both families, or of IPv4 where there is no IPv6.
    const isAlone =
      host === undefined && typeof taken === "number" && NO_IPV6.has(errnoCode(taken));
    return isAlone ? listenNow({ ...shared, host: "0.0.0.0", family: "ipv4" }) : taken;
  }

  async #open(): Promise<Listener> {
    const { io } = sharedEnvironment();
    const { path, host, port = 0, backlog, reusePort = false, ipv6Only = false } = this.#place;
    if (path !== undefined) {
      const listener = await io.listen({ path, backlog });
      const { mode = 0 } = this.#place;
      if (mode > 0) chmodSync(path, statSync(path).mode | mode);
      return listener;
    }
    const shared = { port, backlog, reusePort };
    if (host !== undefined) {
      const only = ipv6Only && isIP(host) === 6;
      return io.listen({ ...shared, host, ...(only ? { ipv6Only } : {}) });
    }
    try {
      // As in Node: every address of both families, or of IPv4 where there is no IPv6.
      return await io.listen({ ...shared, host: "::", ipv6Only });
    } catch (error) {
      if (!(error instanceof IOError) || !NO_IPV6.has(error.code)) throw error;
      return io.listen({ ...shared, host: "0.0.0.0" });
    }
  }

  #opened(listener: Listener): void {
    if (this.#closed) {
      // One that was taken at once has been closed with this.
      if (this.#listener === null) void listener.close();
      return;
    }
    this.#listener = listener;
    if (!this.#refs) listener.unref();
    this.#accept(listener);
    this.#server.onListening(this);
  }

  #failed(error: unknown): void {
    if (this.#closed) return;
    const { path, host = "::", port } = this.#place;
    let failure = error as Error;
    if (error instanceof IOError) {
      const errno = errnoOf(error);
      failure = path === undefined ? listenError(errno, host, port) : listenError(errno, path);
    }
    this.#server.onListenFailed(this, failure);
  }

  #accept(listener: Listener): void {
    listener.accept().then(
      (accepted) => {
        process.nextTick(() => this.#server.onConnection(this, accepted));
        this.#accept(listener);
      },
      (error: unknown) => {
        if (this.#closed) return;
        const canceled = -constants.errno.ECANCELED;
        const errno = (error as NodeJS.ErrnoException).errno ?? canceled;
        process.nextTick(() => this.#server.onAcceptFailed(errno));
      },
    );
  }

  get address(): AddressInfo | null {
    return this.#listener === null ? null : infoOf(this.#listener.address);
  }

  setRef(refs: boolean): void {
    this.#refs = refs;
    if (refs) this.#listener?.ref();
    else this.#listener?.unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    // One that is about to listen has the address, too.
    const listener = this.#listener ?? (await this.#opening?.catch(() => null));
    await listener?.close();
  }
}
