// Stream sockets with promises, over the ring.
import { type Address, addressFrom, formatAddress } from "./address.js";
import { closedError, IOError, operationError } from "./errors.js";
import { rest } from "./file.js";
import {
  SOCKET_OPTION_KEEP_ALIVE,
  SOCKET_OPTION_NO_DELAY,
  SOCKET_OPTION_RECEIVE_BUFFER_BYTES,
  SOCKET_OPTION_SEND_BUFFER_BYTES,
} from "./internal/abi.js";
import type { NativeSession } from "./internal/native.js";
import type { OperationOptions, Operations } from "./internal/operations.js";
import type { Descriptor } from "./ring.js";
import type { ShutdownHow } from "./ring_sockets.js";

const NO_ADDRESS: Address = { family: "unix", host: "", port: 0, path: "" };

/** What can be tuned on a socket. */
export interface SocketOptions {
  /** Send small messages at once (TCP_NODELAY); on by default for TCP. */
  noDelay?: boolean;
  /** Probe an idle connection (SO_KEEPALIVE). */
  keepAlive?: boolean;
  /** The kernel's receive buffer; Linux doubles what is asked. */
  receiveBufferBytes?: number;
  /** The kernel's send buffer; Linux doubles what is asked. */
  sendBufferBytes?: number;
}

/**
 * A connected stream socket, TCP or unix.
 *
 * `receive` and `send` are single operations and may be short; `receiveAll` and `sendAll` go on
 * until all is done. Receives and sends are served in the order of the calls. A send may be short,
 * so two `sendAll` at once may mix their bytes: wait for one before the next. The buffer is the
 * kernel's until the promise settles. After `close()` every call fails with code "ERR_IO_CLOSED".
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
 * await served.sendAll(Buffer.from("hello"));
 * const buffer = new Uint8Array(64);
 * const count = await socket.receive(buffer);
 * process.stdout.write(`${Buffer.from(buffer.subarray(0, count))}\n`);
 * ```
 */
export class Socket implements AsyncDisposable {
  /** For the verbs of `io.ring`. */
  readonly descriptor: Descriptor;
  readonly #operations: Operations;
  readonly #session: NativeSession;
  #localAddress: Address | null = null;
  #remoteAddress: Address | null = null;
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor(operations: Operations, session: NativeSession, descriptor: Descriptor) {
    this.#operations = operations;
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
   * The peer's address. All fields are empty when it was first asked for after the peer had gone.
   */
  get remoteAddress(): Address {
    this.#remoteAddress ??= this.#name(true);
    return this.#remoteAddress ?? NO_ADDRESS;
  }

  /**
   * Receives up to `buffer.byteLength` bytes; resolves with how many, 0 when the peer has ended.
   */
  receive(buffer: ArrayBufferView, options?: OperationOptions): Promise<number> {
    const operations = this.#operations;
    const promise = operations.begin(options);
    const pending = operations.begun;
    if (pending === null) return promise;
    try {
      this.#check("receive");
      operations.ring.receive(pending, this.descriptor, buffer, operations.settle);
    } catch (error) {
      operations.fail(pending, error);
    }
    return promise;
  }

  /** Fills `buffer`; resolves with the bytes received, fewer only when the peer has ended. */
  async receiveAll(buffer: ArrayBufferView, options?: OperationOptions): Promise<number> {
    this.#operations.ring.checkBuffer(buffer, "receiveAll");
    const total = buffer.byteLength;
    let done = 0;
    while (done < total) {
      const piece = rest(this.#operations.ring, buffer, done, "receiveAll");
      const count = await this.receive(piece, options);
      if (count === 0) return done;
      done += count;
    }
    return done;
  }

  /** Sends up to `buffer.byteLength` bytes; resolves with how many the kernel took. */
  send(buffer: ArrayBufferView, options?: OperationOptions): Promise<number> {
    const operations = this.#operations;
    const promise = operations.begin(options);
    const pending = operations.begun;
    if (pending === null) return promise;
    try {
      this.#check("send");
      operations.ring.send(pending, this.descriptor, buffer, operations.settle);
    } catch (error) {
      operations.fail(pending, error);
    }
    return promise;
  }

  /** Sends all of `buffer`, in as many sends as it takes. */
  async sendAll(buffer: ArrayBufferView, options?: OperationOptions): Promise<void> {
    this.#operations.ring.checkBuffer(buffer, "sendAll");
    const total = buffer.byteLength;
    let done = 0;
    while (done < total) {
      const piece = rest(this.#operations.ring, buffer, done, "sendAll");
      const count = await this.send(piece, options);
      if (count === 0) throw this.#noProgress(done, total);
      done += count;
    }
  }

  /**
   * Sends several buffers in turn (gather), up to 1,024; resolves with how many bytes were taken.
   */
  sendVectored(buffers: readonly ArrayBufferView[], options?: OperationOptions): Promise<number> {
    return this.#operations.run((pending, settle) => {
      this.#check("sendVectored");
      this.#operations.ring.sendVectored(pending, this.descriptor, buffers, settle);
    }, options);
  }

  /** Ends a direction: after "send" the peer sees the end of the stream. */
  async shutdown(how: ShutdownHow = "both"): Promise<void> {
    await this.#operations.run((pending, settle) => {
      this.#check("shutdown");
      this.#operations.ring.shutdown(pending, this.descriptor, how, settle);
    });
  }

  /** Sets options. Throws an `IOError` when the system refuses one. */
  setOptions(options: SocketOptions): void {
    this.#check("setOptions");
    this.#set(SOCKET_OPTION_NO_DELAY, options.noDelay);
    this.#set(SOCKET_OPTION_KEEP_ALIVE, options.keepAlive);
    this.#set(SOCKET_OPTION_RECEIVE_BUFFER_BYTES, options.receiveBufferBytes);
    this.#set(SOCKET_OPTION_SEND_BUFFER_BYTES, options.sendBufferBytes);
  }

  /** Ends what is in flight, then closes the socket. May be called again, with the same promise. */
  close(): Promise<void> {
    this.#closing ??= this.#operations.close(this.descriptor);
    return this.#closing;
  }

  /** Closes the socket: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(operation: string): void {
    if (this.#closing !== null) throw closedError(operation, "the socket");
    this.#operations.check(operation);
  }

  #set(option: number, value: boolean | number | undefined): void {
    if (value === undefined) return;
    const result = this.#session.setOption(this.descriptor, option, Number(value));
    if (result < 0)
      throw socketCallError("setOptions", "setsockopt", result, this.#operations.backend);
  }

  #name(peer: boolean): Address | null {
    const name = this.#session.name(this.descriptor, peer);
    return typeof name === "number" ? null : addressFrom(...name);
  }

  #noProgress(done: number, wanted: number): IOError {
    const peer = formatAddress(this.remoteAddress);
    return new IOError({
      code: "ERR_IO_NO_PROGRESS",
      operation: "sendAll",
      address: peer,
      message: `sendAll to ${peer}: the kernel takes no more after ${done} of ${wanted} bytes`,
    });
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
