// One request and its answer.

import { types } from "node:util";
import type { Address, File, IO } from "@io/core";
import type { Connection } from "./connection.js";
import { FieldBlock, type Fields, fieldText, HttpError } from "./fields.js";
import { writeNumber } from "./native_text.js";
import { type Outbox, OWN_BYTES } from "./outbox.js";
import { RequestHead } from "./parser/request_head.js";
import { pathOf } from "./parser/target.js";
import { RequestBody } from "./request_body.js";
import { hasNoContent, isBodiless, RESET_CONTENT, statusHead } from "./status.js";
import type { Upgraded } from "./upgraded.js";

const { isUint8Array } = types;
const encoder = new TextEncoder();
const line = (text: string): Uint8Array => encoder.encode(text);
const LENGTH = line("Content-Length: ");
const CHUNKED = line("Transfer-Encoding: chunked\r\n");
const CLOSE = line("Connection: close\r\n");
const KEEP_ALIVE = line("Connection: keep-alive\r\n");
const LINE_END = line("\r\n");
const LAST_CHUNK = line("0\r\n");
const CONTINUE = line("HTTP/1.1 100 Continue\r\n\r\n");
const NO_FIELDS = new FieldBlock({});
/** What stands in the place of a head that serves another request. */
const NO_HEAD = new RequestHead({ headBytes: 0, targetBytes: 0, fields: 0 });
// The lines that the server adds to a head, and the digits of a length.
const OWN_LINES_BYTES = 96;
const MAX_WAITING_BYTES = 64 * 1024;
const LENGTH_UNKNOWN = -1;
/** No answer that is sent has this status. */
const UPGRADED = 101;

/**
 * A body that is there as a whole.
 *
 * @category Exchange
 */
export type WholeBody = string | Uint8Array | null | undefined;

/**
 * A request and its answer, for handlers of the plain form. Read what you need of the request
 * before a handler that has answered returns: after that it says nothing of the request any more.
 *
 * `respond` is the whole answer in one call. `begin`, `write` and `end` send it in pieces.
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
 *     if (exchange.path === "/short") return exchange.respond(200, null, "short");
 *     exchange.begin(200, { "content-type": "text/plain" });
 *     for (const word of ["in ", "three ", "pieces"]) await exchange.write(word);
 *     exchange.end();
 *   },
 * });
 * const answer = await fetch(`${server.url}long`);
 * console.log(await answer.text());
 * ```
 */
export class Exchange {
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  #head: RequestHead;
  #body: RequestBody | null = null;
  #aborting: AbortController | null = null;
  #aborted: unknown = null;
  // Why no more comes of a body that is not complete.
  #bodyError: unknown = null;
  #begun = false;
  #ended = false;
  #chunked = false;
  /** Bytes that the announced length still needs. */
  #left = LENGTH_UNKNOWN;
  #withoutBody = false;
  // The answer to a CONNECT: what follows its head is of another protocol (RFC 9110, 9.3.6).
  #opensTunnel = false;
  #status = 0;
  // The connection has ended: what is answered is dropped.
  #broken = false;
  #onBroken: ((reason: unknown) => void) | null = null;

  /** @internal */
  constructor(connection: Connection, outbox: Outbox, head: RequestHead) {
    this.#connection = connection;
    this.#outbox = outbox;
    this.#head = head;
  }

  // ---- the request

  /** In capitals. */
  get method(): string {
    return this.#head.method;
  }

  /** As it was sent: a path with its query, a URL, or "*". */
  get target(): string {
    return this.#head.target;
  }

  /** The target up to its "?"; of a URL what stands behind the host. */
  get path(): string {
    return pathOf(this.#head.target);
  }

  /** What stands behind the "?" of the target; empty when there is none. */
  get query(): string {
    const { target } = this.#head;
    const end = target.indexOf("?");
    return end === -1 ? "" : target.slice(end + 1);
  }

  /** The URL of the request, whose host the client has named. */
  get url(): string {
    return this.#head.url;
  }

  /** 1 for HTTP/1.1, 0 for HTTP/1.0. */
  get minorVersion(): number {
    return this.#head.minorVersion;
  }

  /** The client asks for another protocol: {@link upgrade}. */
  get asksUpgrade(): boolean {
    const { upgrade, minorVersion, method } = this.#head;
    // HTTP/1.0 has no Upgrade, and a server must ignore it there (RFC 9110, 7.8).
    return (upgrade && minorVersion === 1) || method === "CONNECT";
  }

  /** Whether a body was announced. */
  get hasBody(): boolean {
    return this.#head.chunked || this.#head.contentLength > 0;
  }

  /** The IO of the server. */
  get io(): IO {
    return this.#connection.io;
  }

  /** The peer's address. */
  get remoteAddress(): Address | null {
    return this.#connection.socket.remoteAddress;
  }

  /**
   * The value of a field, by its name in lower case; undefined when there is none. What stands
   * there several times is joined by commas. Each byte of the value is a character.
   *
   * @param name in lower case
   * @throws never
   */
  field(name: string): string | undefined {
    return this.#head.field(name);
  }

  /** All fields in the order in which they came, with names in lower case. */
  fields(): [name: string, value: string][] {
    return this.#head.allFields();
  }

  /**
   * The body. It can be read while an answer is given, and behind it by a handler that has begun to
   * read before. When that takes none of 64 KiB for a second, the rest is dropped and it fails.
   */
  get body(): RequestBody {
    if (this.#body === null) {
      const ended = this.#bodyError === null && !this.#connection.bodyComes(this);
      this.#body = new RequestBody(this.#connection, this.#head.contentLength, ended);
      if (this.#bodyError !== null) this.#body.fail(this.#bodyError);
    }
    return this.#body;
  }

  /** The fields behind a chunked body, once that has ended and before the answer has. */
  trailer(): [name: string, value: string][] {
    const trailer = this.#connection.trailerOf(this);
    return trailer?.allFields() ?? [];
  }

  /**
   * Aborted when the client has gone, or has ended its side of the connection, before the answer
   * was complete.
   */
  get signal(): AbortSignal {
    if (this.#aborting === null) {
      this.#aborting = new AbortController();
      if (this.#aborted !== null) this.#aborting.abort(this.#aborted);
    }
    return this.#aborting.signal;
  }

  // ---- the answer

  /** The status of the answer, 0 before it was begun. */
  get status(): number {
    return this.#status;
  }

  /** Whether the head of the answer was sent. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Whether the connection was handed over. @internal */
  get upgraded(): boolean {
    return this.#status === UPGRADED;
  }

  /** Whether the client takes the end of the connection for that of the answer. @internal */
  get endsByClose(): boolean {
    const isOpen = this.#begun && !this.#ended && !this.#withoutBody;
    return isOpen && !this.#chunked && this.#left === LENGTH_UNKNOWN;
  }

  /** Whether the answer is complete. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Answers. Bytes must stay as they are until they are sent, so give them away. Content-Length,
   * Connection and Date are written by the server. When the client has gone nothing happens. A body
   * is not sent with status 204, 205 or 304, which have none, nor to a HEAD.
   *
   * @param status from 200 to 999
   * @param fields of the answer
   * @param body text, which is sent as UTF-8, or bytes
   * @throws `ERR_HTTP_STATUS`, `ERR_HTTP_FIELD_NAME`, `ERR_HTTP_FIELD_VALUE`, `ERR_HTTP_BODY`;
   *   `ERR_HTTP_ANSWERED` when the answer was begun before
   */
  respond(status: number, fields?: FieldBlock | Fields | null, body?: WholeBody): void {
    if (this.#broken) return;
    if (body != null) checkBytes(body);
    const given = body ?? "";
    const block = this.#start(status, fields, given.length > 0);
    const isText = typeof body === "string";
    const length = isText ? textBytes(body) : given.length;
    const known = this.#withoutBody && body == null ? block.length : length;
    this.#writeHead(block.bytes, known ?? LENGTH_UNKNOWN);
    if (length > 0 && !this.#withoutBody) {
      if (isText) this.#outbox.putText(body);
      else this.#outbox.put(given as Uint8Array);
    }
    this.#finish();
  }

  /**
   * Sends the head of an answer whose body follows by {@link write}. With `lengthBytes` exactly so
   * many bytes must follow; without, the body is sent in chunks. Where {@link respond} sends no
   * body what is written is dropped.
   *
   * @param status from 200 to 999
   * @param fields of the answer
   * @param lengthBytes of the body
   * @throws `ERR_HTTP_LENGTH`, and the codes of {@link respond}
   */
  begin(status: number, fields?: FieldBlock | Fields | null, lengthBytes?: number | null): void {
    this.#begin(status, fields, lengthBytes);
    if (!this.#broken) this.#connection.flushLater();
  }

  #begin(
    status: number,
    fields: FieldBlock | Fields | null | undefined,
    lengthBytes: number | null | undefined,
  ): void {
    if (lengthBytes != null) checkCount("lengthBytes", lengthBytes);
    if (this.#broken) return;
    const block = this.#start(status, fields, lengthBytes !== 0);
    const length = lengthBytes ?? block.length;
    if (length !== undefined) this.#left = length;
    else if (!this.#withoutBody) {
      this.#chunked = this.#head.minorVersion === 1;
      if (!this.#chunked) this.#connection.closeAfter();
    }
    this.#writeHead(block.bytes, length ?? LENGTH_UNKNOWN);
  }

  /**
   * Sends a piece of the body: bytes, which must stay as they are until they are sent, or text as
   * UTF-8. Returns undefined while there is room, and otherwise a promise of it: await both. What
   * the client does not take any more is dropped; `signal` says so.
   *
   * @param data text or bytes
   * @throws `ERR_HTTP_WRITE` when the answer was not begun or has ended, `ERR_HTTP_BODY_LONG` for
   *   more bytes than announced, `ERR_HTTP_BODY`
   */
  write(data: string | Uint8Array): Promise<void> | undefined {
    if (this.#broken) return undefined;
    if (!this.#begun || this.#ended) {
      const state = this.#ended ? "has ended" : "was not begun: call begin() first";
      throw new HttpError("ERR_HTTP_WRITE", `write: the answer ${state}`);
    }
    checkBytes(data);
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    if (this.#left !== LENGTH_UNKNOWN) {
      if (bytes.length > this.#left) {
        const message = `write: ${bytes.length} bytes are more than the ${this.#left} announced`;
        throw new HttpError("ERR_HTTP_BODY_LONG", message);
      }
      this.#left -= bytes.length;
    }
    if (this.#withoutBody || bytes.length === 0) return undefined;
    const outbox = this.#outbox;
    if (this.#chunked) outbox.putText(`${bytes.length.toString(16)}\r\n`);
    outbox.put(bytes);
    if (this.#chunked) outbox.put(LINE_END);
    this.#connection.flushLater();
    return outbox.bytes > MAX_WAITING_BYTES ? this.#connection.room() : undefined;
  }

  /**
   * Ends an answer that was begun, with fields behind a body that is sent in chunks. When fewer
   * bytes were written than announced the connection is broken, and it throws.
   *
   * @param trailer the fields
   * @throws `ERR_HTTP_WRITE` when the answer has ended, `ERR_HTTP_BODY_SHORT` when bytes are
   *   missing, and the codes of fields that cannot be sent
   */
  end(trailer?: Fields | null): void {
    if (this.#broken) return;
    if (!this.#begun) {
      this.respond(200);
      return;
    }
    if (this.#ended) throw new HttpError("ERR_HTTP_WRITE", "end: the answer has ended");
    if (this.#left > 0 && !this.#withoutBody) {
      const message = `end: ${this.#left} bytes are missing that were announced`;
      this.#connection.destroy();
      throw new HttpError("ERR_HTTP_BODY_SHORT", message);
    }
    if (this.#chunked) {
      const text = trailer == null ? "" : fieldText(trailer);
      this.#outbox.put(LAST_CHUNK);
      if (text !== "") this.#outbox.put(Buffer.from(text, "latin1"));
      this.#outbox.put(LINE_END);
    }
    this.#finish();
  }

  /**
   * Answers with `lengthBytes` of a file from `offset`, without passing through the program where
   * the system can. A file that is shorter by then breaks the connection.
   *
   * @param status from 200 to 999
   * @param fields of the answer
   * @param file of the server's IO
   * @param offset of the first byte
   * @param lengthBytes of the part
   * @throws `ERR_HTTP_BODY_SHORT` when the file has become shorter, the `IOError` of one that
   *   cannot be read, and the codes of {@link begin}; nothing was answered where those are thrown
   */
  async sendFile(
    status: number,
    fields: FieldBlock | Fields | null,
    file: File,
    offset: number,
    lengthBytes: number,
  ): Promise<void> {
    checkCount("offset", offset);
    checkCount("lengthBytes", lengthBytes);
    this.#begin(status, fields, lengthBytes);
    if (!this.#broken && !this.#withoutBody && lengthBytes > 0) {
      const sent = await this.#connection.sendFile(file, offset, lengthBytes);
      this.#left -= sent;
    }
    if (this.#ended) return; // the client has gone meanwhile
    this.end();
  }

  /**
   * Hands over the connection: its stream, and the bytes that came behind the request. Nothing was
   * answered; that is the caller's, as libraries of the protocol expect it.
   *
   * @throws `ERR_HTTP_WRITE` when an answer was begun, `ERR_HTTP_BODY_READ` while more of the
   *   request's body is to come: read that first; `ERR_HTTP_ABORTED` when the connection has ended
   */
  upgrade(): Upgraded {
    if (this.#broken) throw this.#aborted;
    if (this.#begun) {
      throw new HttpError("ERR_HTTP_WRITE", "upgrade: the answer was begun before");
    }
    if (this.#connection.bodyComes(this)) {
      const message = "upgrade: more of the body is to come: read it first";
      throw new HttpError("ERR_HTTP_BODY_READ", message);
    }
    this.#begun = true;
    this.#ended = true;
    this.#status = UPGRADED;
    return this.#connection.upgrade();
  }

  /**
   * Ends the connection now; an answer that was begun is incomplete, which the client notices. Does
   * nothing when the connection is at another request.
   */
  destroy(): void {
    this.#connection.destroyBy(this);
  }

  // ---- for the connection

  /** What is made of it and may outlive it. @internal */
  attached: { detach(head: RequestHead): void } | null = null;

  /** It is over, and its head serves another request. @internal */
  detach(): void {
    this.attached?.detach(this.#head);
    this.attached = null;
    this.#head = NO_HEAD;
  }

  /** Answers with the fault of the client, or ends the connection. @internal */
  giveUp(): void {
    this.#connection.giveUp(this);
  }

  /** Why the client has no use of an answer; null while it has. @internal */
  get abortReason(): unknown {
    return this.#aborted;
  }

  /** The body, when the handler has asked for it. @internal */
  get startedBody(): RequestBody | null {
    return this.#body;
  }

  /** The client has gone. @internal */
  abort(reason: unknown): void {
    this.abortSignal(reason);
    this.failBody(reason);
    if (this.#broken) this.#onBroken?.(reason);
  }

  /** No more will come of the body. @internal */
  failBody(reason: unknown): void {
    this.#bodyError ??= reason;
    this.#body?.fail(reason);
  }

  /**
   * Calls back when the connection ends before the answer is complete, which is when the client is
   * known to have gone; `signal` is aborted earlier when it has ended its side. @internal
   */
  whenBroken(callback: (reason: unknown) => void): void {
    this.#onBroken = callback;
  }

  /** The client has ended its side, maybe behind the whole body. @internal */
  abortSignal(reason: unknown): void {
    this.#aborted ??= reason;
    this.#aborting?.abort(reason);
  }

  /** Nothing more can be answered; what was not has this status. @internal */
  break(status: number): void {
    if (!this.#begun) this.#status = status;
    this.#begun = true;
    this.#ended = true;
    this.#broken = true;
  }

  /** @internal */
  sendContinue(): void {
    if (!this.#begun) this.#outbox.put(CONTINUE);
  }

  // ----

  #start(
    status: number,
    fields: FieldBlock | Fields | null | undefined,
    hasBody: boolean,
  ): FieldBlock {
    if (this.#begun) {
      const message = "respond: the request was answered before; an answer can be given once";
      throw new HttpError("ERR_HTTP_ANSWERED", message);
    }
    if (!Number.isInteger(status) || status < 200 || status > 999) {
      throw new HttpError("ERR_HTTP_STATUS", `respond: the status is ${status}: give 200 to 999`);
    }
    const block =
      fields == null ? NO_FIELDS : fields instanceof FieldBlock ? fields : new FieldBlock(fields);
    const { method } = this.#head;
    this.#opensTunnel = method === "CONNECT" && status < 300;
    if (this.#opensTunnel && hasBody) {
      const message = `respond: ${status} to CONNECT has no body: send by the stream of upgrade()`;
      throw new HttpError("ERR_HTTP_BODY", message);
    }
    this.#begun = true;
    this.#status = status;
    this.#withoutBody = this.#opensTunnel || method === "HEAD" || hasNoContent(status);
    return block;
  }

  // The status line, the fields of the program, and what the server says of the body.
  #writeHead(fields: Uint8Array, length: number): void {
    const outbox = this.#outbox;
    this.#connection.onHeadBegun(this.#status);
    const start = statusHead(this.#status);
    if (fields.length < OWN_BYTES) {
      const block = outbox.room(start.length + fields.length + OWN_LINES_BYTES);
      const { bytes } = block;
      let at = block.used;
      bytes.set(start, at);
      at += start.length;
      if (fields.length > 0) bytes.set(fields, at);
      at += fields.length;
      at += this.#writeOwn(bytes, at, length);
      outbox.wrote(block, at - block.used);
    } else {
      outbox.put(start);
      outbox.put(fields);
      const block = outbox.room(OWN_LINES_BYTES);
      outbox.wrote(block, this.#writeOwn(block.bytes, block.used, length));
    }
  }

  #writeOwn(bytes: Uint8Array, start: number, bodyBytes: number): number {
    let at = start;
    // Of an answer with this status a client waits for a body, which has to have no bytes then.
    const length = this.#status === RESET_CONTENT ? 0 : bodyBytes;
    const hasLength = length !== LENGTH_UNKNOWN && !isBodiless(this.#status);
    if (hasLength && !this.#opensTunnel) {
      bytes.set(LENGTH, at);
      at += LENGTH.length;
      at += writeNumber(bytes, at, length);
      at = append(bytes, at, LINE_END);
    } else if (this.#chunked) at = append(bytes, at, CHUNKED);
    if (!this.#connection.keepsAlive) at = append(bytes, at, CLOSE);
    else if (this.#head.minorVersion === 0) at = append(bytes, at, KEEP_ALIVE);
    return append(bytes, at, LINE_END) - start;
  }

  #finish(): void {
    this.#ended = true;
    this.#connection.onAnswered();
  }
}

function checkCount(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  const message = `${name} is ${String(value)}: give a number of bytes, 0 or more`;
  throw new HttpError("ERR_HTTP_LENGTH", message);
}

// Anything else has no length in bytes, and would be an answer without an end.
function checkBytes(body: unknown): void {
  if (typeof body === "string" || isUint8Array(body)) return;
  const what = Object.prototype.toString.call(body);
  throw new HttpError("ERR_HTTP_BODY", `the body is ${what}: give a string or a Uint8Array`);
}

function append(bytes: Uint8Array, at: number, line: Uint8Array): number {
  bytes.set(line, at);
  return at + line.length;
}

function textBytes(text: string): number {
  const { length } = text;
  if (length > 64) return Buffer.byteLength(text);
  for (let at = 0; at < length; at++) {
    if (text.charCodeAt(at) >= 0x80) return Buffer.byteLength(text);
  }
  return length;
}
