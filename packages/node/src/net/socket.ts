// The class `Socket` of `node:net` over a socket of @io/core: a Duplex with the same events, codes
// and properties.

import { channel } from "node:diagnostics_channel";
import type { AddressInfo } from "node:net";
import { constants } from "node:os";
import { addAbortSignal, Duplex, type DuplexOptions } from "node:stream";
import type { Address, Socket as CoreSocket } from "@io/core";
import { type Environment, sharedEnvironment } from "../engine/environment.js";
import { type OwnBuffer, Transport, type TransportOwner } from "../engine/transport.js";
import {
  argumentValueError,
  handleNotSupported,
  missingArguments,
  nodeError,
  socketClosed,
  systemError,
} from "../errors.js";
import {
  type Callback,
  checkFunction,
  checkInt32,
  checkNumber,
  checkTimeout,
  normalizeArguments,
  type Options,
} from "./arguments.js";
import { Connecting } from "./connecting.js";
import { IdleTimer } from "./idle_timer.js";
import { socketOf } from "./socket_of.js";

type Done = (error?: Error | null) => void;
type Piece = { chunk: Uint8Array | string; encoding: BufferEncoding };

const clientChannel = channel("net.client.socket");

/** What only this module and the server give to the constructor. */
export interface InternalOptions extends Options {
  /** An accepted connection, or any socket of @io/core. */
  transport?: { environment: Environment; socket: CoreSocket };
}

/** What a socket reports to its server. */
export interface SocketOwner {
  onConnectionClosed(): void;
}

/** What was asked of the connection that there is, or will be; of most there is nothing. */
interface Wishes {
  noDelay?: boolean;
  keepAlive?: boolean;
  keepAliveDelayMs?: number;
}

const OBJECT_MODES = ["objectMode", "readableObjectMode", "writableObjectMode"];

function streamOptions(given: Options): DuplexOptions {
  const { allowHalfOpen, signal: _signal, ...others } = given;
  for (const name of OBJECT_MODES) {
    if (given[name]) throw argumentValueError(`options.${name}`, given[name], "is not supported");
  }
  const options: DuplexOptions & { emitClose: boolean } = {
    ...(others as DuplexOptions),
    allowHalfOpen: Boolean(allowHalfOpen),
    // The event comes when the descriptor is closed, with a word whether an error was the reason.
    emitClose: false,
    autoDestroy: true,
    decodeStrings: false,
  };
  return options;
}

/** A stream socket: `net.Socket`. */
export class Socket extends Duplex implements TransportOwner {
  connecting = false;
  /** Milliseconds of the time-out; undefined before one was set. */
  timeout: number | undefined = undefined;
  /** The server that has accepted it. */
  server: unknown = null;
  declare autoSelectFamilyAttemptedAddresses?: string[];
  /** @internal */
  declare readonly _writableState: { readonly bufferedRequestCount: number };
  /** @internal */
  _server: SocketOwner | null = null;
  /** @internal */
  _parent: Socket | null = null;
  /** @internal */
  _host: string | null = null;
  /** @internal */
  _hadError = false;
  #transport: Transport | null = null;
  #connecting: Connecting | null = null;
  #own: OwnBuffer | null = null;
  #wishes: Wishes | null = null;
  #refs = true;
  #readsLater = false;
  #idle: IdleTimer | null = null;
  #pendingSeen = 0;
  #pendingData: Piece[] | null = null;
  #bytesRead = 0;
  #bytesWritten = 0;
  #localAddress: AddressInfo | null = null;
  #remoteAddress: AddressInfo | null = null;
  #readableEnded = false;
  #handsOn = false;
  #piped = false;
  /** Writes that waited for their turn when the stream was corked. */
  #beforeCork = 0;

  constructor(options?: number | Options | null) {
    const given: InternalOptions = typeof options === "number" ? { fd: options } : (options ?? {});
    const { fd } = given as { fd?: number };
    if (fd !== undefined) checkInt32(fd, "fd", 0);
    if (given["handle"]) throw handleNotSupported("the option handle");
    super(streamOptions(given));
    if (given["noDelay"]) this.#wish({ noDelay: true });
    if (given["keepAlive"]) {
      const { keepAliveInitialDelay: delay = 0 } = given as Record<string, unknown>;
      const keepAliveDelayMs = checkNumber(delay, "keepAliveInitialDelay");
      this.#wish({ keepAlive: true, keepAliveDelayMs });
    }
    this.#own = ownBufferOf(given, this);
    this.on("end", onReadableStreamEnd);
    // Behind the rest: with a signal that has aborted it destroys the socket.
    if (given["signal"] !== undefined) addAbortSignal(given["signal"] as AbortSignal, this);
    const transport =
      fd === undefined
        ? given.transport
        : { environment: sharedEnvironment(), socket: socketOf(fd, "socket") };
    if (transport === undefined) return;
    this.#attach(transport.environment, transport.socket);
    if (given["pauseOnCreate"]) this.pause();
    else if (!given["manualStart"]) this.read(0);
  }

  #attach(environment: Environment, socket: CoreSocket): void {
    const transport = new Transport(environment, socket, this);
    this.#transport = transport;
    if (this.#own !== null) transport.receiveInto(this.#own);
    if (!this.#refs) transport.unref();
    if (this.#wishes?.keepAlive) this.#applyKeepAlive();
  }

  // ---- what the transport says

  /** @internal */
  onBytes(bytes: Buffer): void {
    this._unrefTimer();
    // What push() comes to while the stream flows and nothing is held. It would ask for the next
    // read in the next tick, but that one goes on by itself.
    if (this.#handsOn && this.#flowsFreely()) {
      this.emit("data", bytes);
      return;
    }
    if (!this.push(bytes)) this.#transport?.readStop();
    else this.#handsOn = !this.#piped;
  }

  #flowsFreely(): boolean {
    return (
      this.readableFlowing === true &&
      this.readableLength === 0 &&
      this.readableEncoding === null &&
      this.listenerCount("data") > 0
    );
  }

  override pipe<T extends NodeJS.WritableStream>(to: T, options?: { end?: boolean }): T {
    // The stream keeps account of the pipes that it waits for.
    this.#piped = true;
    this.#handsOn = false;
    return super.pipe(to, options);
  }

  /** @internal */
  onEnd(): void {
    this.#readableEnded = true;
    this.push(null);
    this.read(0);
  }

  /** @internal */
  onReceiveFailed(errno: number): void {
    this.destroy(systemError(errno, "read"));
  }

  // ---- reading

  override _read(size: number): void {
    const transport = this.#transport;
    if (this.connecting || transport === null) {
      if (this.#readsLater) return;
      this.#readsLater = true;
      this.once("connect", () => {
        this.#readsLater = false;
        this._read(size);
      });
    } else if (!transport.reading && !this.#readableEnded) transport.readStart();
  }

  // With memory of the program's own nothing is kept in the stream, so it says when to go on.
  #ownReads(): void {
    if (this.#own !== null && !this.connecting) this.#transport?.readStart();
  }

  override read(size?: number): unknown {
    this.#ownReads();
    return super.read(size);
  }

  override pause(): this {
    if (this.#own !== null && !this.connecting) this.#transport?.readStop();
    return super.pause();
  }

  override resume(): this {
    this.#ownReads();
    return super.resume();
  }

  // ---- writing

  override _write(chunk: Uint8Array | string, encoding: BufferEncoding, done: Done): void {
    const transport = this.#transport;
    if (transport === null || this.connecting) {
      this._writev([{ chunk, encoding }], done);
      return;
    }
    transport.put(chunk, encoding);
    this.#flush(transport, done);
  }

  override _writev(pieces: Piece[], done: Done): void {
    if (this.connecting) {
      this.#writeLater(pieces, done);
      return;
    }
    const transport = this.#transport;
    if (transport === null) {
      done(socketClosed());
      return;
    }
    for (const { chunk, encoding } of pieces) transport.put(chunk, encoding);
    this.#flush(transport, done);
  }

  #flush(transport: Transport, done: Done): void {
    this._unrefTimer();
    try {
      transport.flush(done);
    } catch (error) {
      done(error as Error); // the IO is closed
    }
    this.#pendingSeen = transport.pendingBytes;
  }

  #writeLater(pieces: Piece[], done: Done): void {
    this.#pendingData = pieces;
    const onClose = (): void => {
      const message = "Socket closed before the connection was established";
      done(nodeError(Error, "ERR_SOCKET_CLOSED_BEFORE_CONNECTION", message));
    };
    this.once("connect", () => {
      this.off("close", onClose);
      this.#pendingData = null;
      this._writev(pieces, done);
    });
    this.once("close", onClose);
  }

  /** @internal */
  onWritten(errno: number, done: Done): void {
    if (this.destroyed) {
      done(null);
      return;
    }
    if (errno < 0) {
      done(systemError(errno, "write"));
      return;
    }
    this._unrefTimer();
    this.#pendingSeen = 0;
    if (this.#beforeCork > 0 && this.writableCorked > 0) this.#sendBeforeCork(done);
    else done();
  }

  override cork(): void {
    if (this.writableCorked === 0) this.#beforeCork = this.connecting ? 0 : this.#waitingWrites;
    super.cork();
  }

  /** How many wait behind the one in flight. */
  get #waitingWrites(): number {
    return this._writableState.bufferedRequestCount;
  }

  // In Node the kernel has them by the time of the cork(). Here they wait behind a write in flight,
  // and the stream holds back all that it has while it is corked. It is not for the next of them
  // alone, and is again before anybody sees it. A writev would take the later ones with it.
  #sendBeforeCork(done: Done): void {
    const { _write: write, _writev: writev, writableCorked: corks } = this;
    const left = this.#beforeCork - 1;
    const takeOne = this as { _write: typeof write; _writev: typeof writev | null };
    const corkAgain = (): void => {
      takeOne._write = write;
      takeOne._writev = writev;
      for (let count = 0; count < corks; count++) super.cork();
      this.#beforeCork = left;
    };
    for (let count = 0; count < corks; count++) super.uncork(); // one is in flight, so none is sent
    takeOne._writev = null;
    takeOne._write = (chunk, encoding, written) => {
      corkAgain();
      this._write(chunk, encoding, written);
    };
    done();
  }

  override _final(done: Done): void {
    const transport = this.#transport;
    if (transport === null || this.connecting) {
      this.once("connect", () => this._final(done));
      return;
    }
    transport.shutdown(() => done());
  }

  override end(...given: unknown[]): this {
    Reflect.apply(super.end, this, given);
    return this;
  }

  /** Ends the stream, and destroys it when all is written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", this.destroy);
  }

  /** Closes the connection with a reset. */
  resetAndDestroy(): this {
    if (this.#transport === null && !this.connecting) {
      this.destroy(socketClosed());
      return this;
    }
    if (this.connecting) this.once("connect", () => this.#reset());
    else this.#reset();
    return this;
  }

  #reset(): void {
    this.#transport?.resetOnClose();
    this.destroy();
  }

  // ---- the end

  override _destroy(error: Error | null, done: Done): void {
    this.connecting = false;
    const attempted = this.#connecting !== null;
    this.#idle?.clear();
    this.#connecting?.cancel();
    this.#connecting = null;
    const transport = this.#transport;
    const hadError = error !== null;
    if (transport === null) {
      done(error);
      process.nextTick(() => {
        if (attempted) this.emit("close", hadError);
        else this.emit("close");
      });
    } else {
      this.#sendWaiting(transport, hadError);
      this.#bytesRead = transport.bytesRead;
      this.#bytesWritten = transport.bytesWritten;
      this.#transport = null;
      transport.close(() => this.emit("close", hadError));
      this.#localAddress = null;
      done(error);
    }
    const server = this._server;
    this._server = null;
    server?.onConnectionClosed();
  }

  // Node hands each write to the kernel at once as long as it takes them. Here those behind the
  // first one wait for the end of the turn, so they go now.
  #sendWaiting(transport: Transport, hadError: boolean): void {
    if (hadError) return;
    const waiting = (this as { writableBuffer?: Piece[] }).writableBuffer ?? [];
    const count = this.writableCorked === 0 ? waiting.length : this.#beforeCork;
    if (count > 0) transport.sendLast(waiting.slice(0, count));
  }

  // ---- connecting

  connect(...given: unknown[]): this {
    const first = given[0];
    // net.connect() has normalized them already.
    const [options, callback] = Array.isArray(first)
      ? (first as [Options, Callback | null])
      : normalizeArguments(given);
    if (options["port"] === undefined && (options["path"] ?? null) === null) {
      throw missingArguments("options", "port", "path");
    }
    if (this.write !== Socket.prototype.write) this.write = Socket.prototype.write;
    if (this.destroyed) this.#revive();
    // A second connection would leave the first one without an owner.
    if (this.#connecting !== null) {
      this.destroy(systemError(-constants.errno.EALREADY, "connect"));
      return this;
    }
    if (callback !== null) this.once("connect", callback);
    if (this.#transport !== null) {
      process.nextTick(() => this.emit("connect")); // as Node does on a socket that is connected
      return this;
    }
    this._unrefTimer();
    this.connecting = true;
    this.#connecting = new Connecting(this, options);
    this.#connecting.start();
    return this;
  }

  #revive(): void {
    this.#transport = null;
    this.#readableEnded = false;
    this.#localAddress = null;
    this.#remoteAddress = null;
    (this as unknown as { _undestroy(): void })._undestroy();
  }

  /** What the attempts need to know. @internal */
  get _wishes(): { noDelay: boolean } {
    return { noDelay: this.#wishes?.noDelay ?? true };
  }

  /** @internal */
  _connected(environment: Environment, socket: CoreSocket): void {
    this.connecting = false;
    this.#connecting = null;
    this.#localAddress = null;
    this.#attach(environment, socket);
    this._unrefTimer();
    this.emit("connect");
    this.emit("ready");
    // Begins to receive, or to notice the end of the connection.
    if (!this.isPaused()) this.read(0);
  }

  // ---- options

  setTimeout(timeoutMs: number, callback?: Callback): this {
    if (this.destroyed) return this;
    this.timeout = timeoutMs;
    const duration = checkTimeout(timeoutMs, "msecs");
    if (callback !== undefined) checkFunction(callback, "callback");
    if (this.#idle !== null || duration > 0) {
      this.#idle ??= new IdleTimer(() => this._onTimeout());
      this.#idle.set(duration);
    }
    if (callback === undefined) return this;
    if (duration === 0) this.removeListener("timeout", callback);
    else this.once("timeout", callback);
    return this;
  }

  /** @internal */
  _onTimeout(): void {
    const transport = this.#transport;
    const pending = transport?.pendingBytes ?? 0;
    // A large write that goes on is no idleness.
    if (this.#pendingSeen > 0 && pending !== this.#pendingSeen && transport !== null) {
      this.#pendingSeen = pending;
      this._unrefTimer();
      this.#idle?.set(this.timeout ?? 0);
      return;
    }
    this.emit("timeout");
  }

  /** Something has happened. @internal */
  _unrefTimer(): void {
    this.#idle?.touch();
    if (this._parent !== null) this._parent._unrefTimer();
  }

  setNoDelay(enable?: boolean): this {
    const noDelay = enable === undefined ? true : Boolean(enable);
    const before = this.#wishes?.noDelay ?? true;
    this.#wish({ noDelay });
    if (this.#transport !== null && noDelay !== before) {
      this.#transport.setOptions({ noDelay });
    }
    return this;
  }

  setKeepAlive(enable?: boolean, initialDelayMs?: number): this {
    const keepAliveDelayMs = Number(initialDelayMs ?? 0);
    this.#wish({ keepAlive: Boolean(enable), keepAliveDelayMs });
    if (this.#transport !== null) this.#applyKeepAlive();
    return this;
  }

  #applyKeepAlive(): void {
    const { keepAlive = false, keepAliveDelayMs = 0 } = this.#wishes ?? {};
    this.#transport?.setKeepAlive(keepAlive, keepAliveDelayMs);
  }

  #wish(more: Wishes): void {
    this.#wishes = { ...this.#wishes, ...more };
  }

  ref(): this {
    this.#setRef(true);
    return this;
  }

  unref(): this {
    this.#setRef(false);
    return this;
  }

  #setRef(refs: boolean): void {
    this.#refs = refs;
    if (refs) this.#transport?.ref();
    else this.#transport?.unref();
    this.#connecting?.setRef(refs);
  }

  /** Whether it keeps the process alive. @internal */
  get _refs(): boolean {
    return this.#refs;
  }

  // ---- properties

  /** Truthy while there is a connection, as libraries look whether there is one. @internal */
  get _handle(): object | null {
    return this.#transport ?? this.#connecting;
  }

  /** @internal */
  get _connecting(): boolean {
    return this.connecting;
  }

  /** @internal */
  get _pendingData(): unknown {
    return this.#pendingData?.[0]?.chunk ?? null;
  }

  get pending(): boolean {
    return this.#transport === null || this.connecting;
  }

  get readyState(): string {
    if (this.connecting) return "opening";
    if (this.readable && this.writable) return "open";
    if (this.readable && !this.writable) return "readOnly";
    if (!this.readable && this.writable) return "writeOnly";
    return "closed";
  }

  get bufferSize(): number | undefined {
    return this._handle === null ? undefined : this.writableLength;
  }

  get bytesRead(): number {
    return this.#transport?.bytesRead ?? this.#bytesRead;
  }

  /** Bytes that have left the stream. @internal */
  get _bytesDispatched(): number {
    // Libraries look at the property of the prototype.
    if (!(#transport in this)) return 0;
    return this.#transport?.bytesWritten ?? this.#bytesWritten;
  }

  get bytesWritten(): number | undefined {
    const waiting = (this as { writableBuffer?: Piece[] }).writableBuffer;
    if (waiting === undefined || !(#transport in this)) return undefined;
    let bytes = this._bytesDispatched;
    for (const { chunk, encoding } of [...waiting, ...(this.#pendingData ?? [])]) {
      bytes += typeof chunk === "string" ? Buffer.byteLength(chunk, encoding) : chunk.length;
    }
    return bytes;
  }

  address(): AddressInfo | Record<string, never> {
    if (this.#transport === null || this.connecting) return this.#localAddress ?? {};
    this.#localAddress ??= infoOf(this.#transport.localAddress);
    return this.#localAddress ?? {};
  }

  #peer(): Partial<AddressInfo> {
    if (this.#transport === null || this.connecting) return this.#remoteAddress ?? {};
    this.#remoteAddress ??= infoOf(this.#transport.remoteAddress);
    return this.#remoteAddress ?? {};
  }

  get remoteAddress(): string | undefined {
    return this.#peer().address;
  }

  get remoteFamily(): string | undefined {
    return this.#peer().family;
  }

  get remotePort(): number | undefined {
    return this.#peer().port;
  }

  get localAddress(): string | undefined {
    return this.address().address as string | undefined;
  }

  get localPort(): number | undefined {
    return this.address().port as number | undefined;
  }

  get localFamily(): string | undefined {
    return this.address().family as string | undefined;
  }
}

function onReadableStreamEnd(this: Socket): void {
  if (!this.allowHalfOpen) this.write = writeAfterEnd as typeof this.write;
}

// As in Node: who writes when the peer has ended, and may not, gets EPIPE.
function writeAfterEnd(
  this: Socket,
  chunk: unknown,
  encoding?: unknown,
  callback?: unknown,
): boolean {
  if (!this.writableEnded) {
    return Reflect.apply(Duplex.prototype.write, this, [chunk, encoding, callback]) as boolean;
  }
  const done = typeof encoding === "function" ? encoding : callback;
  const error = Object.assign(new Error("This socket has been ended by the other party"), {
    code: "EPIPE",
  });
  if (typeof done === "function") process.nextTick(done as Callback, error);
  this.destroy(error);
  return false;
}

/** An address as `node:net` gives it; null of one without a name. */
export function infoOf(address: Address | null): AddressInfo | null {
  if (address?.family !== "ipv4" && address?.family !== "ipv6") return null;
  const family = address.family === "ipv6" ? "IPv6" : "IPv4";
  return { address: address.host, family, port: address.port };
}

function ownBufferOf(options: Options, socket: Socket): OwnBuffer | null {
  const onread = options["onread"] as { buffer?: unknown; callback?: unknown } | null | undefined;
  if (onread === null || typeof onread !== "object") return null;
  const { buffer, callback } = onread;
  if (typeof callback !== "function") return null;
  const makes = typeof buffer === "function";
  if (!makes && !(buffer instanceof Uint8Array)) return null;
  return {
    next: makes ? (buffer as () => Uint8Array) : () => buffer as Uint8Array,
    take: (count, filled) => {
      socket._unrefTimer();
      return callback.call(socket, count, filled) !== false;
    },
  };
}

/** `net.connect()`: makes a socket and connects it. */
export function connect(...given: unknown[]): Socket {
  const normalized = normalizeArguments(given);
  const [options] = normalized;
  const socket = new Socket(options);
  if (clientChannel.hasSubscribers) clientChannel.publish({ socket });
  if (options["timeout"]) socket.setTimeout(options["timeout"] as number);
  return socket.connect(normalized);
}
