// Stream sockets with promises, over the ring.
import { constants } from "node:os";
import { formatAddress, peerOf } from "../address.js";
import { IOError, peerFields } from "../errors.js";
import { File, rest } from "../files/file.js";
import type { Position } from "../files/file_base.js";
import { Chunk } from "../receiving/chunk.js";
import type { ChunkKind, ChunkOptions, ChunkStream } from "../receiving/chunk_stream.js";
import { OwnedStream, owning } from "../receiving/owned_stream.js";
import {
  aborted,
  checkedEndings,
  type OperationOptions,
  type Operations,
  type Pending,
  type SendSteps,
  type StreamSendOptions,
} from "../ring/promises.js";
import type { ShutdownHow } from "../ring/ring_sockets.js";
import type { ZeroCopy } from "../ring/types.js";
import { stoppedAfter, timeLeft } from "../ring/whole_call.js";
import {
  type Bytes,
  bytesFrom,
  checkGiven,
  checkInstance,
  flag,
  knows,
  knowsOnly,
  oneOf,
  viewFrom,
} from "../support/check.js";
import { type FileSender, type FileTarget, fileRange } from "./file_sender.js";
import { type OptionsOf, type SocketOptions, STREAM_OPTIONS } from "./option_types.js";
import {
  applySettings,
  type OptionValues,
  readOptions,
  settingsFrom,
  trySettings,
} from "./options.js";
import { type PipeOptions, pipe, pipeFrom } from "./piping.js";
import { type ReaderOptions, SocketReader } from "./reader.js";
import { SendList } from "./send_list.js";
import { SocketBase } from "./socket_base.js";
import { readInfo, type TcpInfo } from "./tcp_info.js";

/**
 * The process at the other end of a unix socket.
 *
 * @category Sockets
 */
export interface PeerCredentials {
  /** The number of its process; null where the system does not say it. */
  readonly pid: number | null;
  /** The number of its user. */
  readonly uid: number;
  /** The number of its group. */
  readonly gid: number;
}

const RECEIVE = knows("receive");
const RECEIVE_FULL = knows("receiveFull");
const RECEIVE_VECTORED = knows("receiveVectored");
const PEEK = knows("peek");
const SEND = knows("send", "zeroCopy", "more");
const SEND_ALL = knows("sendAll", "zeroCopy", "more");
const SHUTDOWN = knows("shutdown");
const SEND_ZERO_COPY = knows("sendZeroCopy", "zeroCopy", "more");
const SEND_VECTORED = knows("sendVectored", "zeroCopy", "more");
const SEND_FILE = knows("sendFile");
const SET_OPTIONS = knowsOnly("setOptions", ...STREAM_OPTIONS);

const ZERO_COPY: Readonly<Record<ZeroCopy, true>> = { never: true, auto: true, always: true };

const STREAM: ChunkKind<Chunk> = {
  messages: false,
  makeChunk: (owner, place, byteLength) => new Chunk(owner, place, byteLength),
};

const ownBytes = owning((chunk: Chunk) => chunk.bytes.slice());

/**
 * A connected stream socket, TCP, unix or vsock.
 *
 * A unix socket of the type "seqpacket" carries messages: each send is one, and each receive takes
 * one, of which that is lost which does not fit into its memory. `chunks`, loops, `reader`,
 * `pipeTo` and `sendFile` are of bytes, and are refused there ("ENOTSUP").
 *
 * `receive` and `send` are single operations and may be short; `receiveFull` and `sendAll` go on
 * until all is done. Receives and sends are served in the order of the calls. Many small sends at
 * once share system calls. A send may be short, so two `sendAll` at once may mix their bytes: wait
 * for one before the next. The buffer is the kernel's until the promise settles. After `close()`
 * every call fails with code "ERR_IO_CLOSED".
 *
 * @category Sockets
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
export class Socket extends SocketBase implements AsyncIterable<Uint8Array> {
  /** Whether it is of the type "seqpacket". @internal */
  carriesMessages = false;

  /** @internal */
  protected override get isStream(): boolean {
    return !this.carriesMessages;
  }

  /** @internal */
  static isOne(value: unknown): boolean {
    return typeof value === "object" && value !== null && #checkStream in value;
  }

  /**
   * The process at the other end of a unix socket, as it was when it connected or listened. The
   * kernel says so, so the peer cannot lie.
   *
   * @returns its process (null where the system does not say it: NetBSD, OpenBSD and FreeBSD), user
   *   and group
   * @throws `ERR_IO_CLOSED`; what the system said of a socket that is not a connected unix socket
   */
  peerCredentials(): PeerCredentials {
    this.check("peerCredentials");
    return this.credentials();
  }

  /**
   * Receives up to `bytes.byteLength` bytes; resolves with how many, 0 when the peer has ended.
   *
   * @param bytes The memory to receive into; the kernel's until the promise settles.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns the bytes received, 0 when the peer has ended
   * @throws `ERR_IO_RECEIVING` while a loop receives from the socket; `ECONNRESET`, `ETIMEDOUT`,
   *   `ENOTCONN`; the codes of every operation: {@link IOError.code}
   */
  receive(bytes: Bytes, options?: OperationOptions | null): Promise<number> {
    const operations = this.operations;
    const promise = operations.begin(options, this, RECEIVE);
    const pending = operations.begun;
    if (pending === null) return promise;
    try {
      this.check("receive");
      this.checkReceiving("receive");
      const buffer = viewFrom(bytes, "receive");
      operations.ring.receive(pending, operations.settle, this.number, buffer);
    } catch (error) {
      operations.fail(pending, error);
    }
    return promise;
  }

  /**
   * Fills `bytes`; resolves with the bytes received, fewer only when the peer has ended. `signal`
   * and `timeoutMs` are of the whole call; its error has `transferred`, the bytes that had come.
   *
   * @param bytes The memory to fill.
   * @param options `signal` and `timeoutMs` of the whole call; no limit by default.
   * @returns the bytes received, fewer than the buffer has only when the peer has ended
   * @throws `ERR_IO_RECEIVING` while a loop receives from the socket; as `receive`; `transferred`
   *   has the bytes that had come; the codes of every operation: {@link IOError.code}
   */
  async receiveFull(bytes: Bytes, options?: OperationOptions | null): Promise<number> {
    const { signal } = checkedEndings(options, RECEIVE_FULL);
    const buffer = viewFrom(bytes, "receiveFull");
    const total = this.operations.ring.checkBuffer(buffer, "receiveFull");
    const time = timeLeft("receiveFull", "receive", options);
    let done = 0;
    try {
      if (signal?.aborted) throw aborted("receive", signal);
      while (done < total) {
        const piece = rest(this.operations.ring, buffer, done, "receiveFull");
        const count = await this.receive(piece, time === null ? options : time.next());
        if (count === 0) return done;
        done += count;
      }
    } catch (error) {
      throw stoppedAfter(error, done, "receiveFull");
    }
    return done;
  }

  /**
   * Receives into several buffers in turn (scatter), up to 1,024; resolves with how many bytes, 0
   * when the peer has ended.
   *
   * @param buffers The memory in order, up to 1,024 views; the kernel's until the promise settles.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns the bytes received, 0 when the peer has ended
   * @throws as `receive`; the codes of every operation: {@link IOError.code}
   */
  receiveVectored(
    buffers: readonly ArrayBufferView[],
    options?: OperationOptions | null,
  ): Promise<number> {
    const start = (pending: Pending, settle: Operations["settle"]): void => {
      this.check("receiveVectored");
      this.checkReceiving("receiveVectored");
      this.operations.ring.receiveVectored(pending, settle, this.number, buffers);
    };
    return this.operations.run(start, options, this, RECEIVE_VECTORED);
  }

  /**
   * Receives up to `bytes.byteLength` bytes and leaves them in the socket, so that the next receive
   * gets them as well; resolves with how many, 0 when the peer has ended. It waits for the first
   * byte, and not for more: look at more than there are by a receive.
   *
   * @param bytes The memory to receive into; the kernel's until the promise settles.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns the bytes that are there, 0 when the peer has ended
   * @throws as `receive`; the codes of every operation: {@link IOError.code}
   */
  peek(bytes: Bytes, options?: OperationOptions | null): Promise<number> {
    const start = (pending: Pending, settle: Operations["settle"]): void => {
      this.check("peek");
      this.checkReceiving("peek");
      this.operations.ring.peek(pending, settle, this.number, viewFrom(bytes, "peek"));
    };
    return this.operations.run(start, options, this, PEEK);
  }

  /**
   * Receives into borrowed buffers: an async iterator of chunks, until the peer has ended.
   * Nothing is copied, and a socket that receives nothing holds no memory. `using` releases a chunk
   * when its turn of the loop ends; a program that keeps 32 chunks stops its own stream, until it
   * releases some. Leaving the loop ends the receiving.
   *
   * The loop ends without an error when the peer has ended, and when the socket or the IO is
   * closed. The iterator rejects with the error of the connection, with "ABORT_ERR", or with
   * "ETIMEDOUT" when it has waited for a chunk for `timeoutMs`. While it receives, `receive` and
   * another `chunks` are refused: "ERR_IO_RECEIVING".
   *
   * @param options The size of a chunk, and how the receiving may be ended early.
   * @returns the chunks, an async iterator
   * @throws `ERR_IO_CLOSED`, `ERR_IO_RECEIVING`; the iterator rejects with `ABORT_ERR`,
   *   `ETIMEDOUT`, `ECANCELED`, `ERR_IO_IN_FLIGHT_LIMIT`, or the system's code; the codes of a
   *   refused argument: {@link IOError.code}
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
   * await socket.sendAll(Buffer.from("hello"));
   * await socket.shutdown("send");
   * for await (using chunk of served.chunks()) {
   *   process.stdout.write(`${Buffer.from(chunk.bytes)}\n`);
   * }
   * ```
   */
  chunks(options?: ChunkOptions | null): ChunkStream {
    this.#checkStream("chunks");
    return this.startChunks(options, STREAM, true);
  }

  /**
   * The bytes that come, until the peer has ended or the socket is closed: each `Uint8Array` has
   * memory of its own, which the program may keep. `chunks()` spares that copy. Leaving the loop
   * ends the receiving, and drops what has come and was not taken.
   *
   * @returns the bytes, each `Uint8Array` in memory of its own
   * @throws `ERR_IO_CLOSED`, `ERR_IO_RECEIVING`; the iterator rejects as that of `chunks()`
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    this.#checkStream("chunks");
    return new OwnedStream(this.startChunks(null, STREAM, false), ownBytes);
  }

  /**
   * A reader of the socket: by lines, delimiters and lengths, through a buffer of bounded size.
   *
   * @param options `maxBytes`, 64 KiB by default.
   * @returns the reader
   * @throws the codes of a refused argument: {@link IOError.code}
   */
  reader(options?: ReaderOptions | null): SocketReader {
    this.#checkStream("reader");
    return new SocketReader(this, options);
  }

  /**
   * Passes on what comes to another socket, until the stream ends, and then its end; resolves with
   * the bytes. Nothing is copied within the program, an idle source holds no memory, and a
   * destination that is not read stops the source. A proxy calls it for both directions.
   *
   * It closes neither of the two, and looks at the destination only when there is something to
   * send. Bytes that a failed send did not take are lost.
   *
   * @param destination The socket to send to, which may be this one.
   * @param options `maxBytes`, `end`, `chunkBytes`; `signal` and `timeoutMs` of the whole call.
   * @returns the bytes that were passed on
   * @throws as `chunks` of this socket, and as `sendAll` and `shutdown` of the destination;
   *   `transferred` has the bytes that the destination took; the codes of every operation: {@link
   *   IOError.code}
   *
   * @example
   * ```ts
   * import type { IO, Socket } from "@io/core";
   *
   * export async function forward(io: IO, near: Socket, port: number): Promise<void> {
   *   await using far = await io.connect({ port });
   *   await Promise.all([near.pipeTo(far), far.pipeTo(near)]);
   * }
   * ```
   */
  async pipeTo(destination: Socket, options?: PipeOptions | null): Promise<number> {
    const how = pipeFrom(options);
    this.check("pipeTo");
    this.#checkStream("pipeTo");
    this.checkReceiving("pipeTo");
    checkInstance(destination, Socket, "a socket", "the destination", "pipeTo");
    return pipe(this.operations, this, destination, how);
  }

  /**
   * What the kernel knows of the connection: its state, times and counters (TCP_INFO, Linux).
   *
   * @returns the state and the counters as they are now
   * @throws `ERR_IO_CLOSED`; `ENOTSUP` on other systems, and of a unix socket
   */
  info(): TcpInfo {
    this.check("info");
    return readInfo(this.optionTarget);
  }

  /**
   * Sends up to `data.byteLength` bytes, or text as UTF-8; resolves with how many bytes the kernel
   * took. With `zeroCopy` it may resolve later, when the peer has acknowledged them and the memory
   * is free.
   *
   * @param data The bytes, or text; the kernel's until the promise settles.
   * @param options `zeroCopy`, `more`, `signal` and `timeoutMs`.
   * @returns the bytes that the kernel took, which may be fewer than given
   * @throws `ERR_IO_MEMORY_REUSED` with `debug.detectReuse`; `EPIPE` and `ECONNRESET` when the
   *   connection has ended, `ENOBUFS`; the codes of every operation: {@link IOError.code}
   */
  send(data: Bytes | string, options?: StreamSendOptions | null): Promise<number> {
    const operations = this.operations;
    const promise = operations.begin(options, this, SEND);
    const pending = operations.begun;
    if (pending === null) return promise;
    const mode = options?.zeroCopy ?? "never";
    const more = options?.more ?? false;
    const settle = mode === "never" ? operations.settle : operations.settleReleased;
    try {
      this.check("send");
      operations.ring.send(pending, settle, this.number, bytesFrom(data, "send"), mode, more);
    } catch (error) {
      operations.fail(pending, error);
    }
    return promise;
  }

  /**
   * The two steps of a send that spares the copy, each with a promise: the next one need not wait
   * for the memory of the last. `zeroCopy` is "auto" unless `options` say otherwise.
   *
   * @param data The bytes, or text; the kernel's until `released` settles.
   * @param options `zeroCopy`, "auto" by default; `more`, `signal` and `timeoutMs`.
   * @returns a promise for each step
   * @throws Nothing: `sent` and `released` are rejected, as `send` is
   *
   * @example
   * ```ts
   * import type { Socket } from "@io/core";
   *
   * // Two buffers in turn: one is filled while the kernel still has the other.
   * export async function pump(
   *   socket: Socket,
   *   fill: (buffer: Uint8Array) => Promise<number>,
   * ): Promise<void> {
   *   let [current, other] = [new Uint8Array(65_536), new Uint8Array(65_536)];
   *   let [free, otherFree] = [Promise.resolve(), Promise.resolve()];
   *   for (;;) {
   *     await free;
   *     const length = await fill(current);
   *     if (length === 0) break;
   *     const { sent, released } = socket.sendZeroCopy(current.subarray(0, length));
   *     [current, other] = [other, current];
   *     [free, otherFree] = [otherFree, released];
   *     await sent;
   *   }
   *   await Promise.all([free, otherFree]);
   * }
   * ```
   */
  sendZeroCopy(data: Bytes | string, options?: StreamSendOptions | null): SendSteps {
    return this.operations.runSteps(
      (pending, settle) => {
        this.check("sendZeroCopy");
        const mode = options?.zeroCopy ?? "auto";
        this.operations.ring.send(
          pending,
          settle,
          this.number,
          bytesFrom(data, "sendZeroCopy"),
          mode,
          options?.more ?? false,
        );
      },
      options,
      SEND_ZERO_COPY,
      this,
    );
  }

  /**
   * Sends all of `data`, or text as UTF-8, in as many sends as it takes. Of a list everything is
   * sent in turn, without being copied together: `sendAll([head, body])`. `signal` and `timeoutMs`
   * are of the whole call; its error has `transferred`, the bytes that the kernel took.
   *
   * @param data The bytes, or text, or a list of them; the kernel's until the promise settles.
   * @param options `zeroCopy` and `more`; `signal` and `timeoutMs` of the whole call.
   * @throws `ERR_IO_NO_PROGRESS` when the kernel takes nothing; as `send`; `transferred` has the
   *   bytes that the kernel took; the codes of every operation: {@link IOError.code}
   */
  async sendAll(
    data: Bytes | string | readonly (Bytes | string)[],
    options?: StreamSendOptions | null,
  ): Promise<void> {
    const { signal } = checkedEndings(options, SEND_ALL);
    oneOf(options?.zeroCopy ?? "never", ZERO_COPY, "zeroCopy", "sendAll");
    flag(options?.more, false, "more", "sendAll");
    if (isList(data)) return this.#sendList(data, signal, options);
    const buffer = bytesFrom(data, "sendAll");
    const total = this.operations.ring.checkBuffer(buffer, "sendAll");
    const spares = (options?.zeroCopy ?? "never") !== "never";
    const releases: Promise<void>[] = [];
    const time = timeLeft("sendAll", "send", options);
    let done = 0;
    try {
      if (signal?.aborted) throw aborted("send", signal);
      while (done < total) {
        const piece = rest(this.operations.ring, buffer, done, "sendAll");
        const ends = time === null ? options : time.next();
        let sending: Promise<number>;
        if (spares) {
          const { sent, released } = this.sendZeroCopy(piece, ends);
          // It may fail before all is sent, and is looked at when all is.
          if (this.operations.reuses !== null) released.catch(() => undefined);
          releases.push(released);
          sending = sent;
        } else sending = this.send(piece, ends);
        const count = await sending;
        if (count === 0) throw this.#noProgress(done, total);
        done += count;
      }
    } catch (error) {
      throw stoppedAfter(error, done, "sendAll");
    } finally {
      // The memory is the caller's again when this promise settles, whichever way.
      if (spares) await Promise.all(releases);
    }
  }

  async #sendList(
    list: readonly (Bytes | string)[],
    signal: AbortSignal | undefined,
    options: StreamSendOptions | null | undefined,
  ): Promise<void> {
    const { ring } = this.operations;
    const all = list.map((one) => bytesFrom(one, "sendAll"));
    for (const view of all) ring.checkBuffer(view, "sendAll");
    const views = all.filter(({ byteLength }) => byteLength > 0);
    const total = views.reduce((sum, view) => sum + view.byteLength, 0);
    const time = timeLeft("sendAll", "sendVectored", options);
    const waiting = new SendList(ring, views);
    let done = 0;
    try {
      if (signal?.aborted) throw aborted("sendVectored", signal);
      while (done < total) {
        const next = waiting.next();
        const left = waiting.isLast ? options : { ...options, more: true };
        const ends = time === null ? left : { ...left, timeoutMs: time.next().timeoutMs };
        const count = await this.sendVectored(next, ends);
        if (count === 0) throw this.#noProgress(done, total);
        waiting.advance(count);
        done += count;
      }
    } catch (error) {
      throw stoppedAfter(error, done, "sendAll");
    }
  }

  /**
   * Sends several buffers in turn (gather), up to 1,024; resolves with how many bytes were taken.
   *
   * @param buffers The bytes in order, up to 1,024 views.
   * @param options `zeroCopy`, `more`, `signal` and `timeoutMs`.
   * @returns the bytes that the kernel took, which may be fewer than given
   * @throws as `send`; the codes of every operation: {@link IOError.code}
   */
  sendVectored(
    buffers: readonly ArrayBufferView[],
    options?: StreamSendOptions | null,
  ): Promise<number> {
    const start = (pending: Pending): void => {
      this.check("sendVectored");
      const mode = options?.zeroCopy ?? "never";
      const more = options?.more ?? false;
      const settle = this.operations.settleReleased;
      this.operations.ring.sendVectored(pending, settle, this.number, buffers, mode, more);
    };
    return this.operations.run(start, options, this, SEND_VECTORED);
  }

  /**
   * Sends a file, or `lengthBytes` of it from `offset`; resolves with the bytes sent, fewer than
   * asked for only when the file ends before. As `sendAll` it goes on until all is sent, at the
   * pace of the peer. `signal` and `timeoutMs` are of the whole call; its error has `transferred`,
   * the bytes that were sent. The file's current position is not used.
   *
   * The system sends the file by itself (sendfile), so its bytes are never in the program's memory.
   * Where it cannot (a file opened with `direct`, some of /proc, a pipe), they pass through one or
   * two blocks of `io.buffers`, of 256 or 64 KiB each. All such transfers have half of
   * `buffersMaxBytes` together; the others wait for these, in the order of their calls.
   *
   * @param file A file of the same IO, opened for reading.
   * @param offset Where to begin, in bytes; 0 by default.
   * @param lengthBytes How many bytes; to the end of the file by default.
   * @param options `signal` and `timeoutMs` of the whole call; no limit by default.
   * @returns the bytes sent, fewer than asked only when the file ends before
   * @throws as `send`, and as `file.read`; `transferred` has the bytes that were sent; the codes of
   *   every operation: {@link IOError.code}
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * await using file = await io.openFile("page", { read: true, write: true, create: true });
   * await file.writeAll("the page", 0);
   * await using listener = await io.listen({ port: 0 });
   * const connecting = io.connect({ port: listener.address.port });
   * await using served = await listener.accept();
   * await using client = await connecting;
   * await served.sendFile(file, 4); // from the fifth byte on
   * await served.shutdown("send");
   * for await (const bytes of client) process.stdout.write(`${Buffer.from(bytes)}\n`); // page
   * ```
   */
  async sendFile(
    file: File,
    offset?: Position | null,
    lengthBytes?: Position | null,
    options?: OperationOptions | null,
  ): Promise<number> {
    checkedEndings(options, SEND_FILE);
    this.check("sendFile");
    this.#checkStream("sendFile");
    const right = "the file that io.openFile() returned";
    checkInstance(file, File, right, "the file", "sendFile");
    file.checkFor(this.operations, "sendFile");
    const range = fileRange(file, offset, lengthBytes);
    const sender = this.operations.fileSender as FileSender;
    const target: FileTarget = {
      number: this.number,
      place: () => this.remoteAddress,
      check: (operation) => this.check(operation),
      sendAll: (piece, sendOptions) => this.sendAll(piece, sendOptions),
    };
    return sender.send(target, range, options ?? undefined);
  }

  /**
   * Ends a direction: after "send" the peer sees the end of the stream.
   *
   * @param how "send", "receive" or "both"; "both" by default.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `ENOTCONN`; the codes of every operation: {@link IOError.code}
   */
  async shutdown(how?: ShutdownHow | null, options?: OperationOptions | null): Promise<void> {
    await this.operations.run(
      (pending, settle) => {
        this.check("shutdown");
        this.operations.ring.shutdown(pending, settle, this.number, how ?? "both");
      },
      options,
      this,
      SHUTDOWN,
    );
  }

  /**
   * Closes the socket at once: what is in flight ends, bytes that were not sent yet are dropped,
   * and the peer of a TCP connection sees a reset, "ECONNRESET". The peer of a unix or vsock
   * socket sees its end, as after `close()`. May be called again, and after `close()`, with the
   * same promise.
   *
   * @throws Nothing that `close()` does not
   */
  reset(): Promise<void> {
    if (!this.closing)
      trySettings(this.optionTarget, settingsFrom({ lingerMs: 0 }, ["lingerMs"], "reset"));
    return this.close();
  }

  /**
   * Sets options of the socket. What is absent stays as it is. All are checked before one is set.
   *
   * @param options The options to set.
   * @throws `ERR_IO_CLOSED`; `ENOTSUP` for what this system does not have, with those that have it;
   *   what setsockopt(2) said; the codes of a refused argument: {@link IOError.code}
   */
  setOptions(options: SocketOptions): void {
    checkGiven(options, SET_OPTIONS);
    this.check("setOptions");
    const settings = settingsFrom(options as OptionValues, STREAM_OPTIONS, "setOptions");
    applySettings(this.optionTarget, settings, "setOptions");
  }

  /**
   * The values of options of the socket.
   *
   * @param names The names of the options.
   * @returns an object with the value of each of them
   * @throws `ERR_IO_CLOSED`; `ENOTSUP` for what this system does not have; what getsockopt(2) said;
   *   the codes of a refused argument: {@link IOError.code}
   *
   * @example
   * ```ts
   * import type { Socket } from "@io/core";
   *
   * export function describe(socket: Socket): string {
   *   const { noDelay, sendBufferBytes } = socket.getOptions("noDelay", "sendBufferBytes");
   *   return `${noDelay ? "at once" : "gathered"}, ${sendBufferBytes} bytes wait at most`;
   * }
   * ```
   */
  getOptions<Name extends keyof SocketOptions>(...names: Name[]): OptionsOf<SocketOptions, Name> {
    this.check("getOptions");
    const values = readOptions(this.optionTarget, names, STREAM_OPTIONS, "getOptions");
    return values as OptionsOf<SocketOptions, Name>;
  }

  // These know no end of a message, and would join or cut some.
  #checkStream(operation: string): void {
    if (!this.carriesMessages) return;
    const errno = -constants.errno.ENOTSUP;
    const message = `${operation}: a "seqpacket" socket carries messages: use receive() and send()`;
    throw new IOError({ code: "ENOTSUP", errno, operation, message });
  }

  #noProgress(done: number, wanted: number): IOError {
    const name = formatAddress(this.remoteAddress);
    return new IOError({
      code: "ERR_IO_NO_PROGRESS",
      operation: "sendAll",
      ...peerFields(peerOf(this.remoteAddress)),
      message: `sendAll to ${name}: the kernel takes no more after ${done} of ${wanted} bytes`,
    });
  }
}

function isList<One>(data: unknown): data is readonly One[] {
  return Array.isArray(data);
}
