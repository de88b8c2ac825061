// The body of a request on its way to the handler: what has come and was not taken, and who waits.
//
// It comes in memory that was provided to the kernel, and is released at once. `next` gives a copy,
// `bytes` gathers all in one buffer, and `forEachChunk` shows it where it stands.

import { AsyncResource } from "node:async_hooks";
import { HttpError } from "./fields.js";
import { GatheredBytes } from "./gathered_bytes.js";
import { copyOf } from "./held_bytes.js";
import { utf8Text } from "./native_text.js";

/** So many bytes may wait for the handler; then the connection is not read. */
const MAX_WAITING_BYTES = 64 * 1024;

/** What the body tells its connection. */
export interface BodySource {
  /** The handler asks for the body: a client that waits for "100 Continue" gets it. */
  onBodyWanted(): void;
  /** There is room for more. */
  onBodyRoom(): void;
}

interface Waiter {
  resolve(result: IteratorResult<Uint8Array, undefined>): void;
  reject(error: unknown): void;
}

/** Takes what comes at once, so that nothing of it waits. */
interface Taker {
  /** May throw. The bytes are its own until it returns. */
  take(bytes: Uint8Array, start: number, end: number): void;
  /** All has come. */
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * The body of a request: an async iterable of `Uint8Array`s, each with memory of its own. A handler
 * that does not read stops the client. It can be read once.
 *
 * @category Exchange
 *
 * @example
 * ```ts
 * import { serve } from "@io/http";
 *
 * await using server = await serve({
 *   port: 0,
 *   async request(exchange) {
 *     let bytes = 0;
 *     for await (const chunk of exchange.body) bytes += chunk.length;
 *     exchange.respond(200, null, `${bytes} bytes`);
 *   },
 * });
 * const answer = await fetch(server.url, { method: "POST", body: "four" });
 * console.log(await answer.text());
 * ```
 */
export class RequestBody implements AsyncIterableIterator<Uint8Array, undefined> {
  /** How many pieces that have waited were taken. @internal */
  takenPieces = 0;
  readonly #source: BodySource;
  readonly #lengthBytes: number;
  readonly #waiting: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #error: unknown = null;
  #waiter: Waiter | null = null;
  #taker: Taker | null = null;
  #wanted = false;
  #stream: ReadableStream<Uint8Array> | null = null;

  /** `lengthBytes` is what was announced, below 0 when nothing was. @internal */
  constructor(source: BodySource, lengthBytes: number, ended: boolean) {
    this.#source = source;
    this.#lengthBytes = lengthBytes;
    this.#ended = ended;
  }

  /** Whether so much waits that no more is taken. @internal */
  get isFull(): boolean {
    return this.#bytes >= MAX_WAITING_BYTES;
  }

  /** Whether the handler has begun to read, and has not left it. @internal */
  get isWanted(): boolean {
    if (this.#ended || this.#error !== null) return false;
    return this.#wanted || (this.#stream?.locked ?? false);
  }

  /** A stream of the web takes from it, which asks for a piece later than its reader. @internal */
  set stream(stream: ReadableStream<Uint8Array>) {
    this.#stream = stream;
  }

  /** Whether each piece is taken as it comes. @internal */
  get isTaken(): boolean {
    return this.#taker !== null;
  }

  /**
   * The next chunk.
   *
   * @throws `ERR_HTTP_ABORTED` when the client has gone, the code of the fault when the body is
   *   malformed, `ERR_HTTP_BODY_READ` while another call waits, and when the body was dropped
   *   because the answer was complete before it was read
   */
  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#isBusy) return Promise.reject(busy());
    this.#want();
    const piece = this.#waiting.shift();
    if (piece !== undefined) {
      const wasFull = this.isFull;
      this.takenPieces++;
      this.#bytes -= piece.length;
      if (wasFull && !this.isFull) this.#source.onBodyRoom();
      return Promise.resolve({ value: piece, done: false });
    }
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  /**
   * Calls back with each chunk where it stands, in memory of the server: without a copy, and
   * without a promise for each. The chunk is borrowed until the callback returns; then the memory
   * serves the next chunk of any request, so keep none of it. What the callback throws ends the
   * reading.
   *
   * @param callback given each chunk
   * @returns a promise of the end of the body
   * @throws what the callback has thrown, and the codes of {@link next}
   *
   * @example
   * ```ts
   * import { createHash } from "node:crypto";
   * import { serve } from "@io/http";
   *
   * await using server = await serve({
   *   port: 0,
   *   async request(exchange) {
   *     const hash = createHash("sha256");
   *     await exchange.body.forEachChunk((chunk) => hash.update(chunk));
   *     exchange.respond(200, null, hash.digest("hex"));
   *   },
   * });
   * const answer = await fetch(server.url, { method: "POST", body: "four" });
   * console.log(await answer.text());
   * ```
   */
  forEachChunk(callback: (chunk: Uint8Array) => void): Promise<void> {
    // The chunks come from the connection, whose context is not that of the caller.
    const context = new AsyncResource("IOHTTPBODY");
    return this.#takeAll((bytes, start, end) => {
      context.runInAsyncScope(callback, undefined, bytes.subarray(start, end));
    });
  }

  /** Leaves the body: what comes of it is dropped. */
  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#ended = true;
    this.#waiting.length = 0;
    const wasFull = this.isFull;
    this.#bytes = 0;
    if (wasFull) this.#source.onBodyRoom();
    return Promise.resolve({ value: undefined, done: true });
  }

  /** Itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * All of it.
   *
   * @param maxBytes how long it may be; no limit by default
   * @throws `ERR_HTTP_BODY_SIZE` when it is longer, `ERR_HTTP_LENGTH` for a limit that is no
   *   number, and the codes of {@link next}
   */
  async bytes(maxBytes = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
    const gathered = new GatheredBytes(this.#lengthBytes, maxBytes);
    await this.#takeAll((bytes, start, end) => gathered.add(bytes, start, end));
    return gathered.take();
  }

  /**
   * All of it as UTF-8.
   *
   * @param maxBytes how long it may be; no limit by default
   * @throws the codes of {@link bytes}
   */
  text(maxBytes = Number.POSITIVE_INFINITY): Promise<string> {
    return this.decode(utf8Of, maxBytes);
  }

  /**
   * What the callback makes of all of it. The bytes are the callback's until it returns.
   *
   * @internal
   */
  async decode<T>(
    callback: (bytes: Uint8Array) => T,
    maxBytes = Number.POSITIVE_INFINITY,
  ): Promise<T> {
    const gathered = new GatheredBytes(this.#lengthBytes, maxBytes);
    const take: Taker["take"] = (bytes, start, end) => {
      if (gathered.isEmpty) gathered.useScratch();
      gathered.add(bytes, start, end);
    };
    try {
      await this.#takeAll(take);
      return callback(gathered.take());
    } finally {
      gathered.giveBack();
    }
  }

  /** Bytes have come in memory that is not the body's. @internal */
  push(bytes: Uint8Array, start: number, end: number): void {
    if (this.#ended) return; // the handler has left it
    if (this.#taker !== null) this.#give(this.#taker, bytes, start, end);
    else this.#keep(copyOf(bytes, start, end));
  }

  #keep(piece: Uint8Array): void {
    const waiter = this.#waiter;
    if (waiter !== null) {
      this.#waiter = null;
      waiter.resolve({ value: piece, done: false });
      return;
    }
    this.#waiting.push(piece);
    this.#bytes += piece.length;
  }

  /** All has come. @internal */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiter?.resolve({ value: undefined, done: true });
    this.#waiter = null;
    this.#taker?.resolve();
    this.#taker = null;
  }

  /** No more will come. @internal */
  fail(error: unknown): void {
    if (this.#ended || this.#error !== null) return;
    this.#error = error;
    this.#waiter?.reject(error);
    this.#waiter = null;
    this.#taker?.reject(error);
    this.#taker = null;
  }

  get #isBusy(): boolean {
    return this.#waiter !== null || this.#taker !== null;
  }

  #takeAll(take: Taker["take"]): Promise<void> {
    if (this.#isBusy) return Promise.reject(busy());
    return new Promise((resolve, reject) => {
      const taker = { take, resolve, reject };
      this.#taker = taker;
      this.#want();
      const wasFull = this.isFull;
      this.#bytes = 0;
      for (const piece of this.#waiting.splice(0)) {
        if (this.#taker === taker) this.#give(taker, piece, 0, piece.length);
      }
      if (this.#taker === taker && (this.#ended || this.#error !== null)) {
        this.#taker = null;
        if (this.#error === null) resolve();
        else reject(this.#error);
      }
      if (wasFull) this.#source.onBodyRoom();
    });
  }

  #give(taker: Taker, bytes: Uint8Array, start: number, end: number): void {
    try {
      taker.take(bytes, start, end);
    } catch (error) {
      // What still comes is dropped, as that of a body which is left.
      this.#ended = true;
      this.#taker = null;
      taker.reject(error);
    }
  }

  #want(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    if (!this.#ended) this.#source.onBodyWanted();
  }
}

function utf8Of(bytes: Uint8Array): string {
  return utf8Text(bytes, 0, bytes.length);
}

function busy(): HttpError {
  return new HttpError("ERR_HTTP_BODY_READ", "the body is being read already");
}
