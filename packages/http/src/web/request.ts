// The web's Request over an exchange. What a handler does not ask for is not made; what is beyond
// the usual comes from a Request of Node's.

import type { Exchange } from "../exchange.js";
import { HttpError } from "../fields.js";
import { RequestHead } from "../parser/request_head.js";
import { inherit } from "./inherit.js";

const NodeRequest = globalThis.Request;
const NO_LIMITS = {
  headBytes: Number.MAX_SAFE_INTEGER,
  targetBytes: Number.MAX_SAFE_INTEGER,
  fields: Number.MAX_SAFE_INTEGER,
};

/** Node's own request of one of ours; anything else as it is. */
export let realOf: (input: unknown) => unknown;

/** What a handler of the form `fetch` is given. An instance of `Request`. */
export class LazyRequest {
  /** In capitals. */
  readonly method: string;
  #exchange: Exchange | null;
  // The head, once the exchange serves another request: each byte of it a character. A text is of
  // V8's own heap; an ArrayBuffer would cost several times as much.
  #headText: string | null = null;
  #url: string | null = null;
  #headers: Headers | null = null;
  #signal: AbortSignal | null = null;
  #bodyUsed = false;
  #stream: ReadableStream<Uint8Array> | null = null;
  #real: Request | null = null;
  readonly #hasBody: boolean;

  static {
    realOf = (input) =>
      typeof input === "object" && input !== null && #exchange in input ? input.real() : input;
  }

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.method = exchange.method;
    this.#hasBody = exchange.hasBody && this.method !== "GET" && this.method !== "HEAD";
  }

  /** With the host that the client has named. */
  get url(): string {
    this.#url ??= canonical(this.#exchange?.url ?? this.#parsed().url);
    return this.#url;
  }

  get headers(): Headers {
    this.#headers ??= new Headers(this.#exchange?.fields() ?? this.#parsed().fields);
    return this.#headers;
  }

  /** Aborted when the client goes before it has the answer. */
  get signal(): AbortSignal {
    this.#signal ??= this.#exchange?.signal ?? new AbortController().signal;
    return this.#signal;
  }

  get body(): ReadableStream<Uint8Array> | null {
    if (this.#real !== null) return this.#real.body as ReadableStream<Uint8Array> | null;
    if (!this.#hasBody) return null;
    this.#stream ??= this.#makeStream();
    return this.#stream;
  }

  get bodyUsed(): boolean {
    if (this.#real !== null) return this.#real.bodyUsed;
    return this.#bodyUsed;
  }

  async text(): Promise<string> {
    this.#checkUnused();
    if (this.#takesReal) return this.real().text();
    this.#bodyUsed = this.#hasBody;
    return this.#hasBody ? this.#open().body.decode(decode) : "";
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    this.#checkUnused();
    if (this.#takesReal) return this.real().arrayBuffer();
    const { buffer, byteOffset, length } = await this.#bytes();
    const isWhole = length === buffer.byteLength;
    return (isWhole ? buffer : buffer.slice(byteOffset, byteOffset + length)) as ArrayBuffer;
  }

  async bytes(): Promise<Uint8Array> {
    this.#checkUnused();
    return this.#takesReal ? new Uint8Array(await this.real().arrayBuffer()) : this.#bytes();
  }

  clone(): Request {
    return this.real().clone();
  }

  /** Node's own. */
  real(): Request {
    if (this.#real !== null) return this.#real;
    const { url, method, headers, signal } = this;
    const { body } = this;
    const given = body === null ? {} : { body, duplex: "half" };
    this.#real = new NodeRequest(url, { method, headers, signal, ...given } as RequestInit);
    return this.#real;
  }

  /** The exchange will serve another request: keeps what may be asked for later. */
  detach(head: RequestHead): void {
    this.#exchange = null;
    if (this.#url === null || this.#headers === null) this.#headText = head.copy();
  }

  get #takesReal(): boolean {
    return this.#real !== null || this.#stream !== null;
  }

  #checkUnused(): void {
    if (this.#bodyUsed) throw new TypeError("The body was read before; it can be read once.");
  }

  async #bytes(): Promise<Uint8Array> {
    this.#bodyUsed = this.#hasBody;
    if (!this.#hasBody) return new Uint8Array(0);
    return this.#open().body.bytes();
  }

  #open(): Exchange {
    if (this.#exchange !== null) return this.#exchange;
    throw new HttpError("ERR_HTTP_BODY_READ", "the body cannot be read after the answer");
  }

  #makeStream(): ReadableStream<Uint8Array> {
    const { body } = this.#open();
    const stream = new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const { value, done } = await body.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: async () => {
          await body.return();
        },
      },
      { highWaterMark: 0 },
    );
    body.stream = stream;
    return stream;
  }

  #parsed(): { url: string; fields: [string, string][] } {
    const head = new RequestHead(NO_LIMITS);
    const bytes = Buffer.from(this.#headText!, "latin1");
    head.parse(bytes, 0, bytes.length);
    return { url: head.url, fields: head.allFields() };
  }
}

const decoder = new TextDecoder();
const decode = (bytes: Uint8Array): string => decoder.decode(bytes);

// A path that every parser leaves as it is needs none. A segment with a dot first may be "..".
const PLAIN_PATH = /^(?:\/(?!\.)|[A-Za-z0-9_~!$&()*+,;=:@?.-]|%(?!2[eE]))*$/;
const SCHEME = "http://";
const ORIGIN_START = SCHEME.length;
// The origin of the last URL that a parser has left as it is: most clients name one host.
let plainOrigin = "";

function isPlain(url: string): boolean {
  const end = url.indexOf("/", ORIGIN_START);
  if (end === -1 || !url.startsWith(SCHEME) || !PLAIN_PATH.test(url.slice(end))) return false;
  const origin = url.slice(0, end);
  if (origin === plainOrigin) return true;
  if (!URL.canParse(origin) || new URL(origin).href !== `${origin}/`) return false;
  plainOrigin = origin;
  return true;
}

function canonical(url: string): string {
  if (isPlain(url)) return url;
  if (URL.canParse(url)) return new URL(url).href;
  // A host that no URL may have. The path must stay what it is for everything that routes by it.
  return new URL(`http://localhost${url.slice(url.indexOf("/", ORIGIN_START))}`).href;
}

inherit(LazyRequest, NodeRequest, new NodeRequest("http://localhost/"), (request) =>
  request.real(),
);
