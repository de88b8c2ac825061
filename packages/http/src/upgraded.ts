// A connection that another protocol has: a stream of Node's, which libraries of such protocols
// take.

import { Duplex } from "node:stream";

/** What the stream asks of its connection. @internal */
export interface UpgradedConnection {
  write(bytes: Uint8Array): void;
  flush(): void;
  isEmpty(): boolean;
  resume(): void;
  end(): void;
  destroy(): void;
}

type Done = (error?: Error | null) => void;

/**
 * The stream of a connection that was handed over by `exchange.upgrade()`: a `Duplex`, beginning
 * with the bytes that came behind the request.
 *
 * @category Exchange
 *
 * @example
 * ```ts
 * import { serve } from "@io/http";
 *
 * await using server = await serve({
 *   port: 0,
 *   request: (exchange) => exchange.respond(426),
 *   upgrade(exchange) {
 *     const stream = exchange.upgrade();
 *     stream.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n");
 *     stream.write("Upgrade: echo\r\n\r\n");
 *     stream.pipe(stream);
 *   },
 * });
 * console.log(server.url);
 * ```
 */
export class Upgraded extends Duplex {
  readonly #connection: UpgradedConnection;
  #wants = true;
  #ended = false;
  #written: Done | null = null;
  #ending: Done | null = null;

  /** @internal */
  constructor(connection: UpgradedConnection) {
    super({ allowHalfOpen: true });
    this.#connection = connection;
  }

  /** As a socket of Node has it; small writes are always sent at once. */
  setNoDelay(): this {
    return this;
  }

  /** As a socket of Node has it; there is no time limit. */
  setTimeout(): this {
    return this;
  }

  /** @internal */
  get wantsBytes(): boolean {
    return this.#wants;
  }

  /** Bytes have come; returns how far they were taken. @internal */
  takeBytes(bytes: Uint8Array, start: number, end: number): number {
    if (!this.#wants) return -1;
    this.#wants = this.push(Buffer.from(bytes.subarray(start, end)));
    return end;
  }

  /** The peer has ended. @internal */
  onEnd(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.push(null);
  }

  /** All was sent. @internal */
  onDrained(): void {
    const written = this.#written;
    this.#written = null;
    written?.();
    const ending = this.#ending;
    if (ending === null || written !== null) return;
    this.#ending = null;
    this.#connection.end();
    ending();
  }

  /** The connection has ended. @internal */
  onClosed(): void {
    this.destroy();
  }

  /** @internal */
  override _read(): void {
    if (this.#wants) return;
    this.#wants = true;
    this.#connection.resume();
  }

  /** @internal */
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#connection.write(chunk);
    this.#send(done);
  }

  /** @internal */
  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    for (const { chunk } of chunks) this.#connection.write(chunk);
    this.#send(done);
  }

  #send(done: Done): void {
    // Of no bytes at all no send would tell that it is done.
    if (this.#connection.isEmpty()) {
      done();
      return;
    }
    this.#written = done;
    this.#connection.flush();
  }

  /** @internal */
  override _final(done: Done): void {
    if (this.#connection.isEmpty()) {
      this.#connection.end();
      done();
    } else this.#ending = done;
  }

  /** @internal */
  override _destroy(error: Error | null, done: Done): void {
    this.#connection.destroy();
    done(error);
  }
}
