// Stream sockets with promises, over the ring.
import { formatAddress } from "../address.js";
import { IOError } from "../errors.js";
import { File, type Position, rest } from "../files/file.js";
import { Chunk } from "../receiving/chunk.js";
import type { ChunkKind, ChunkOptions, ChunkStream } from "../receiving/chunk_stream.js";
import { OwnedStream } from "../receiving/owned_stream.js";
import type { OperationOptions, Pending, SendOptions, SendSteps } from "../ring/operations.js";
import type { ShutdownHow } from "../ring/ring_sockets.js";
import { stoppedAfter, timeLeft } from "../ring/whole_call.js";
import {
  type Bytes,
  bytesFrom,
  checkGiven,
  checkInstance,
  checkOptions,
  knows,
  knowsOnly,
  viewFrom,
} from "../support/check.js";
import { type FileSender, type FileTarget, fileRange } from "./file_sender.js";
import { SocketBase } from "./socket_base.js";

/** What can be tuned on a socket. */
export interface SocketOptions {
  /** Send small messages at once (TCP_NODELAY); on by default for TCP. */
  noDelay?: boolean | null | undefined;
  /** Probe an idle connection (SO_KEEPALIVE). */
  keepAlive?: boolean | null | undefined;
  /** The kernel's receive buffer; Linux doubles what is asked. */
  receiveBufferBytes?: number | null | undefined;
  /** The kernel's send buffer; Linux doubles what is asked. */
  sendBufferBytes?: number | null | undefined;
  /** From how many bytes on "auto" considers to spare the copy; 0 for the usual. */
  zeroCopyThresholdBytes?: number | null | undefined;
}

const RECEIVE = knows("receive");
const RECEIVE_FULL = knows("receiveFull");
const SEND = knows("send", "zeroCopy");
const SEND_ALL = knows("sendAll", "zeroCopy");
const SHUTDOWN = knows("shutdown");
const SEND_ZERO_COPY = knows("sendZeroCopy", "zeroCopy");
const SEND_VECTORED = knows("sendVectored", "zeroCopy");
const SEND_FILE = knows("sendFile");
const SET_OPTIONS = knowsOnly(
  "setOptions",
  ...["noDelay", "keepAlive", "receiveBufferBytes", "sendBufferBytes", "zeroCopyThresholdBytes"],
);

const STREAM: ChunkKind<Chunk> = {
  messages: false,
  makeChunk: (owner, place, byteLength) => new Chunk(owner, place, byteLength),
};

/**
 * A connected stream socket, TCP or unix.
 *
 * `receive` and `send` are single operations and may be short; `receiveFull` and `sendAll` go on
 * until all is done. Receives and sends are served in the order of the calls. Many small sends at
 * once share system calls. A send may be short, so two `sendAll` at once may mix their bytes: wait
 * for one before the next. The buffer is the kernel's until the promise settles. After `close()`
 * every call fails with code "ERR_IO_CLOSED".
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
  /**
   * Receives up to `bytes.byteLength` bytes; resolves with how many, 0 when the peer has ended.
   */
  receive(bytes: Bytes, options?: OperationOptions | null): Promise<number> {
    const operations = this.operations;
    const promise = operations.begin(options, undefined, RECEIVE);
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
   */
  async receiveFull(bytes: Bytes, options?: OperationOptions | null): Promise<number> {
    checkOptions(options, RECEIVE_FULL);
    const buffer = viewFrom(bytes, "receiveFull");
    this.operations.ring.checkBuffer(buffer, "receiveFull");
    const total = buffer.byteLength;
    const time = timeLeft("receiveFull", "receive", options);
    let done = 0;
    try {
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
    return this.startChunks(options, STREAM, this.chunks);
  }

  /**
   * The bytes that come, until the peer has ended or the socket is closed: each `Uint8Array` has
   * memory of its own, which the program may keep. `chunks()` spares that copy. Leaving the loop
   * ends the receiving, and drops what has come and was not taken.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    return new OwnedStream(this.startChunks(null, STREAM), (chunk) => chunk.bytes.slice());
  }

  /**
   * Sends up to `data.byteLength` bytes, or text as UTF-8; resolves with how many bytes the kernel
   * took. With `zeroCopy` it may resolve later, when the peer has acknowledged them and the memory
   * is free.
   */
  send(data: Bytes | string, options?: SendOptions | null): Promise<number> {
    const operations = this.operations;
    const promise = operations.begin(options, undefined, SEND);
    const pending = operations.begun;
    if (pending === null) return promise;
    const mode = options?.zeroCopy ?? "never";
    const settle = mode === "never" ? operations.settle : operations.settleReleased;
    try {
      this.check("send");
      operations.ring.send(pending, settle, this.number, bytesFrom(data, "send"), mode);
    } catch (error) {
      operations.fail(pending, error);
    }
    return promise;
  }

  /**
   * The two steps of a send that spares the copy, each with a promise: the next one need not wait
   * for the memory of the last. `zeroCopy` is "auto" unless `options` say otherwise.
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
  sendZeroCopy(data: Bytes | string, options?: SendOptions | null): SendSteps {
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
        );
      },
      options,
      SEND_ZERO_COPY,
    );
  }

  /**
   * Sends all of `data`, or text as UTF-8, in as many sends as it takes. `signal` and `timeoutMs`
   * are of the whole call; its error has `transferred`, the bytes that the kernel took.
   */
  async sendAll(data: Bytes | string, options?: SendOptions | null): Promise<void> {
    checkOptions(options, SEND_ALL);
    const buffer = bytesFrom(data, "sendAll");
    this.operations.ring.checkBuffer(buffer, "sendAll");
    const total = buffer.byteLength;
    const spares = (options?.zeroCopy ?? "never") !== "never";
    const releases: Promise<void>[] = [];
    const time = timeLeft("sendAll", "send", options);
    let done = 0;
    try {
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

  /**
   * Sends several buffers in turn (gather), up to 1,024; resolves with how many bytes were taken.
   */
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
   * Sends a file, or `lengthBytes` of it from `offset`; resolves with the bytes sent, fewer than
   * asked for only when the file ends before. As `sendAll` it goes on until all is sent, at the
   * pace of the peer. `signal` and `timeoutMs` are of the whole call; its error has `transferred`,
   * the bytes that were sent. The file's current position is not used.
   *
   * Where the system can send a file by itself (sendfile) the bytes are never in the program's
   * memory; elsewhere they pass through two blocks of `io.buffers`.
   */
  async sendFile(
    file: File,
    offset?: Position | null,
    lengthBytes?: Position | null,
    options?: OperationOptions | null,
  ): Promise<number> {
    checkOptions(options, SEND_FILE);
    this.check("sendFile");
    const right = "the file that io.openFile() returned";
    checkInstance(file, File, right, "the file", "sendFile");
    file.checkFor(this.operations, "sendFile");
    const range = fileRange(file, offset, lengthBytes);
    const sender = this.operations.fileSender as FileSender;
    const target: FileTarget = {
      number: this.number,
      check: (operation) => this.check(operation),
      sendAll: (piece, sendOptions) => this.sendAll(piece, sendOptions),
    };
    return sender.send(target, range, options ?? undefined);
  }

  /** Ends a direction: after "send" the peer sees the end of the stream. */
  async shutdown(how?: ShutdownHow | null, options?: OperationOptions | null): Promise<void> {
    await this.operations.run(
      (pending, settle) => {
        this.check("shutdown");
        this.operations.ring.shutdown(pending, settle, this.number, how ?? "both");
      },
      options,
      undefined,
      SHUTDOWN,
    );
  }

  /** Sets options. Throws an `IOError` when the system refuses one. */
  setOptions(options: SocketOptions): void {
    checkGiven(options, SET_OPTIONS);
    this.applyOptions(options);
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
