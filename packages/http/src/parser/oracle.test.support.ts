// The oracle: llhttp, which is the parser of node:http, as the WebAssembly that undici brings. It
// and ours read the same bytes in the same pieces, and each tells what it made of them.

import { createRequire } from "node:module";
import { ChunkedBody } from "./chunked_body.js";
import { type Fault, faultOf } from "./faults.js";
import { type HeadLimits, RequestHead } from "./request_head.js";

/** What a parser made of one request. */
export interface Message {
  method: string;
  target: string;
  minorVersion: number;
  fields: [name: string, value: string][];
  body: string;
  trailer: [name: string, value: string][];
  /** The last byte of it has come. */
  complete: boolean;
  upgrade: boolean;
}

export interface Verdict {
  readonly messages: Message[];
  /** What was wrong, in the parser's own words; empty when nothing was. */
  readonly fault: string;
  /** Of ours: the fault itself. */
  readonly ours?: Fault | undefined;
}

/** So large that a limit never decides what is compared. */
export const LIMITS: HeadLimits = { headBytes: 1 << 20, targetBytes: 1 << 20, fields: 10_000 };

function emptyMessage(): Message {
  return {
    method: "",
    target: "",
    minorVersion: 1,
    fields: [],
    body: "",
    trailer: [],
    complete: false,
    upgrade: false,
  };
}

// ---- ours

function fieldsOf(head: RequestHead): [string, string][] {
  return Array.from({ length: head.fieldCount }, (_, index) => [
    head.name(index),
    head.value(index),
  ]);
}

/** Reads a connection with our parser, as the server does it. */
export class OurReader {
  readonly messages: Message[] = [];
  fault: Fault | undefined;
  #head = new RequestHead(LIMITS);
  #held: Buffer = Buffer.alloc(0);
  #chunked: ChunkedBody | null = null;
  #left = 0;
  #done = false;

  feed(piece: Buffer): void {
    this.#held = Buffer.concat([this.#held, piece]);
    while (!this.#done && this.fault === undefined && this.#step());
  }

  get #current(): Message {
    return this.messages.at(-1)!;
  }

  // False when more bytes are needed.
  #step(): boolean {
    if (this.#chunked !== null) return this.#readChunked(this.#chunked);
    if (this.#left > 0) return this.#readBody();
    const length = this.#head.parse(this.#held, 0, this.#held.length);
    if (length === 0) return false;
    if (length < 0) {
      this.fault = faultOf(length);
      return false;
    }
    this.#begin();
    this.#held = this.#held.subarray(length);
    this.#head = new RequestHead(LIMITS);
    return true;
  }

  #begin(): void {
    const head = this.#head;
    const message = emptyMessage();
    message.method = head.method;
    message.target = head.target;
    message.minorVersion = head.minorVersion;
    message.fields = fieldsOf(head);
    message.upgrade = head.upgrade || head.method === "CONNECT";
    this.messages.push(message);
    if (head.chunked) this.#chunked = new ChunkedBody(LIMITS);
    else this.#left = Math.max(0, head.contentLength);
    message.complete = this.#chunked === null && this.#left === 0;
    const persists = head.minorVersion === 1 ? !head.close : head.keepAlive && !head.close;
    this.#closes = !persists || message.upgrade;
    this.#done = message.complete && this.#closes;
  }

  #closes = false;

  #readChunked(chunked: ChunkedBody): boolean {
    const count = chunked.parse(this.#held, 0, this.#held.length, (bytes, start, end) => {
      this.#current.body += Buffer.from(bytes.subarray(start, end)).toString("latin1");
    });
    if (count < 0) {
      this.fault = faultOf(count);
      return false;
    }
    this.#held = this.#held.subarray(count);
    if (!chunked.ended) return false;
    this.#current.trailer = fieldsOf(chunked.trailer);
    this.#chunked = null;
    this.#end();
    return true;
  }

  #readBody(): boolean {
    const count = Math.min(this.#left, this.#held.length);
    this.#current.body += this.#held.toString("latin1", 0, count);
    this.#held = this.#held.subarray(count);
    this.#left -= count;
    if (this.#left > 0) return false;
    this.#end();
    return true;
  }

  #end(): void {
    this.#current.complete = true;
    this.#done = this.#closes;
  }
}

// ---- llhttp

type Span = (parser: number, at: number, length: number) => number;
interface Exports {
  memory: { readonly buffer: ArrayBuffer };
  malloc(bytes: number): number;
  llhttp_alloc(type: number): number;
  llhttp_free(parser: number): void;
  llhttp_execute(parser: number, at: number, length: number): number;
  llhttp_get_method(parser: number): number;
  llhttp_get_http_major(parser: number): number;
  llhttp_get_http_minor(parser: number): number;
  llhttp_get_upgrade(parser: number): number;
  llhttp_get_error_reason(parser: number): number;
  llhttp_method_name(method: number): number;
}

const TYPE_REQUEST = 1;
const PAUSED_UPGRADE = 22;
const CLOSED_CONNECTION = 5;
const MEMORY_BYTES = 1 << 20;

// The types of Node leave it out.
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Module: new (bytes: Uint8Array) => object;
    Instance: new (module: object, imports: object) => { readonly exports: unknown };
  };
};

let reading: LlhttpReader;
let exported: Exports;

function load(): Exports {
  const require = createRequire(import.meta.url);
  const bytes = require("undici/lib/llhttp/llhttp-wasm.js") as Uint8Array;
  const span =
    (take: (text: string) => void): Span =>
    (_parser, at, length) => {
      take(Buffer.from(exported.memory.buffer, at, length).toString("latin1"));
      return 0;
    };
  const call = (take: () => void) => () => {
    take();
    return 0;
  };
  const env = {
    wasm_on_message_begin: call(() => reading.onBegin()),
    wasm_on_url: span((text) => reading.onTarget(text)),
    wasm_on_status: () => 0,
    wasm_on_header_field: span((text) => reading.onName(text)),
    wasm_on_header_value: span((text) => reading.onValue(text)),
    wasm_on_headers_complete: call(() => reading.onHead()),
    wasm_on_body: span((text) => reading.onBody(text)),
    wasm_on_message_complete: call(() => reading.onComplete()),
  };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env });
  return instance.exports as Exports;
}

function textAt(at: number): string {
  const bytes = Buffer.from(exported.memory.buffer);
  return bytes.toString("latin1", at, bytes.indexOf(0, at));
}

/** Reads a connection with llhttp, as strict as it is in node:http. */
export class LlhttpReader {
  readonly messages: Message[] = [];
  fault = "";
  readonly #parser: number;
  readonly #memory: number;
  #name = "";
  #value: string | undefined;
  #inTrailer = false;
  #begun = false;
  #done = false;

  constructor() {
    exported ??= load();
    this.#parser = exported.llhttp_alloc(TYPE_REQUEST);
    this.#memory = sharedMemory ??= exported.malloc(MEMORY_BYTES);
  }

  feed(piece: Buffer): void {
    if (this.fault !== "" || this.#done) return;
    if (piece.length > MEMORY_BYTES) throw new Error("the piece is too long for the test");
    reading = this;
    new Uint8Array(exported.memory.buffer, this.#memory, piece.length).set(piece);
    const error = exported.llhttp_execute(this.#parser, this.#memory, piece.length);
    if (error === PAUSED_UPGRADE || error === CLOSED_CONNECTION) this.#done = true;
    else if (error !== 0) {
      this.fault = textAt(exported.llhttp_get_error_reason(this.#parser)) || `error ${error}`;
    }
  }

  /** A head that is not read up to its end is no message, and such a trailer has no fields. */
  end(): void {
    exported.llhttp_free(this.#parser);
    if (this.#begun) this.messages.pop();
    for (const message of this.messages) if (!message.complete) message.trailer = [];
  }

  onBegin(): void {
    this.messages.push(emptyMessage());
    this.#begun = true;
    this.#inTrailer = false;
    this.#name = "";
    this.#value = undefined;
  }

  onTarget(text: string): void {
    this.#current.target += text;
  }

  onName(text: string): void {
    if (this.#value !== undefined) this.#endField();
    this.#name += text;
  }

  onValue(text: string): void {
    this.#value = (this.#value ?? "") + text;
  }

  onHead(): void {
    this.#endField();
    const message = this.#current;
    const parser = this.#parser;
    message.method = textAt(exported.llhttp_method_name(exported.llhttp_get_method(parser)));
    message.minorVersion =
      exported.llhttp_get_http_major(parser) * 10 + exported.llhttp_get_http_minor(parser) - 10;
    message.upgrade = exported.llhttp_get_upgrade(parser) === 1;
    this.#begun = false;
    this.#inTrailer = true;
  }

  onBody(text: string): void {
    this.#current.body += text;
  }

  onComplete(): void {
    this.#endField();
    this.#current.complete = true;
  }

  #endField(): void {
    if (this.#name === "") return;
    const { fields, trailer } = this.#current;
    const value = (this.#value ?? "").replace(/[ \t]+$/, "");
    (this.#inTrailer ? trailer : fields).push([this.#name.toLowerCase(), value]);
    this.#name = "";
    this.#value = undefined;
  }

  get #current(): Message {
    return this.messages.at(-1)!;
  }
}

let sharedMemory: number | undefined;

/** What ours makes of these pieces. */
export function ourVerdict(pieces: readonly Buffer[]): Verdict {
  const reader = new OurReader();
  for (const piece of pieces) reader.feed(piece);
  return { messages: reader.messages, fault: reader.fault?.code ?? "", ours: reader.fault };
}

/** What llhttp makes of these pieces. */
export function llhttpVerdict(pieces: readonly Buffer[]): Verdict {
  const reader = new LlhttpReader();
  for (const piece of pieces) reader.feed(piece);
  reader.end();
  return { messages: reader.messages, fault: reader.fault };
}
