// A Response that costs little: it keeps what it was given, and makes the rest when it is asked
// for. It stands in the place of Node's, which makes a stream for every text.

import type { File as OpenFile } from "@io/core";
import { checkName, checkValue } from "../fields.js";
import { copyOf } from "../held_bytes.js";
import { inherit } from "./inherit.js";

const NodeResponse: typeof globalThis.Response = globalThis.Response;
const TEXT_TYPE = "text/plain;charset=UTF-8";
const JSON_TYPE = "application/json";

type Init = ResponseInit;
/** Fields that are checked, so that they can be sent. */
export type CheckedPairs = readonly (readonly [name: string, value: string])[];

/** A body that is a file, which nothing has been read of. */
export class FileBody {
  /** By the name; null when that is not known. */
  readonly type: string | null;
  /** A path, or a file that is the program's. */
  readonly source: string | OpenFile;
  readonly stream: () => ReadableStream<Uint8Array>;

  constructor(
    type: string | null,
    source: string | OpenFile,
    stream: () => ReadableStream<Uint8Array>,
  ) {
    this.type = type;
    this.source = source;
    this.stream = stream;
  }
}

/** What is kept as it is; any other body needs Node's Response. */
type PlainBody = string | Uint8Array | Blob | FileBody | null;

/**
 * What the streams of our responses were made of. Who has such a stream, as the maker of
 * `new Response(response.body, response)`, has the body in a form that costs less and has a length.
 */
const origins = new WeakMap<ReadableStream, PlainBody>();

/** What a stream has in it that nothing was read of, where that is known. */
export function originOf(stream: ReadableStream): PlainBody | undefined {
  return stream.locked ? undefined : origins.get(stream);
}

/** What stands in a response that nothing has been read of. */
export interface ResponseParts {
  readonly status: number;
  readonly headers: Headers | CheckedPairs | undefined;
  /** The content type that the body has when none was given. */
  readonly type: string | null;
  readonly body: PlainBody;
}

// The caller learns at the call what is wrong with a field. A Headers of Node's has refused some of
// it itself, and takes other control characters than line ends, which no server may send.
function check(name: string, value: string): void {
  try {
    checkName(name);
    checkValue(name, value);
  } catch (error) {
    // As the web's classes have it.
    throw new TypeError((error as Error).message, { cause: error });
  }
}

/** What the web takes off both ends of a value. */
function trimmed(value: string): string {
  const { length } = value;
  const isBare =
    length === 0 || (value.charCodeAt(0) > 0x20 && value.charCodeAt(length - 1) > 0x20);
  return isBare ? value : value.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
}

interface Setters {
  append(name: string, value: string): void;
  set(name: string, value: string): void;
}

// The declarations of Node have its methods as members of each object, which no class can override.
const NodeHeaders = Headers as unknown as new (init?: Init["headers"]) => Setters;

class CheckedHeaders extends NodeHeaders {
  override append(name: string, value: string): void {
    check(String(name), trimmed(String(value)));
    super.append(name, value);
  }

  override set(name: string, value: string): void {
    check(String(name), trimmed(String(value)));
    super.set(name, value);
  }
}

// A copy: what happens to the caller's later must not change the answer.
function ownPairs(headers: Init["headers"]): CheckedPairs | undefined {
  if (headers === undefined || headers === null) return undefined;
  const given = Symbol.iterator in headers ? headers : Object.entries(headers);
  return Array.from(given as Iterable<[unknown, unknown]>, ([name, value]) => {
    const pair = [String(name), trimmed(String(value))] as const;
    check(...pair);
    return pair;
  });
}

let partsOfLight: (response: object) => ResponseParts | null;

/** A `Response` of the web. */
export class LightResponse {
  #body: PlainBody | undefined;
  #status: number;
  #init: Init | undefined;
  #given: CheckedPairs | undefined;
  #type: string | null = null;
  #headers: Headers | null = null;
  #real: Response | null = null;

  static {
    partsOfLight = (response) => (#body in response ? response.#parts() : null);
  }

  constructor(body?: unknown, init?: Init) {
    const status = init?.status ?? 200;
    if (!Number.isInteger(status) || status < 200 || status > 599) {
      throw new RangeError(`The status of a Response is from 200 to 599, not ${status}.`);
    }
    this.#status = status;
    this.#init = init;
    this.#given = ownPairs(init?.headers);
    if (body === undefined || body === null) this.#body = null;
    else if (typeof body === "string") {
      this.#body = body;
      this.#type = TEXT_TYPE;
    } else if (body instanceof Uint8Array) this.#body = copyOf(body, 0, body.length);
    else if (body instanceof ArrayBuffer) this.#body = new Uint8Array(body.slice(0));
    else if (body instanceof Blob || body instanceof FileBody) {
      this.#body = body;
      this.#type = body.type || null;
    } else {
      this.#body = null;
      this.#real = new NodeResponse(body as ConstructorParameters<typeof NodeResponse>[0], init);
    }
    if (this.#body !== null && (status === 204 || status === 205 || status === 304)) {
      throw new TypeError(`A Response of status ${status} has no body.`);
    }
  }

  static json(data: unknown, init?: Init): LightResponse {
    const body = JSON.stringify(data);
    if (body === undefined) throw new TypeError("Value is not JSON serializable");
    const response = new LightResponse(body, init);
    response.#type = JSON_TYPE;
    return response;
  }

  static redirect(...given: Parameters<typeof NodeResponse.redirect>): Response {
    return NodeResponse.redirect(...given);
  }

  static error(): Response {
    return NodeResponse.error();
  }

  get status(): number {
    return this.#status;
  }

  get ok(): boolean {
    return this.#status < 300;
  }

  get headers(): Headers {
    if (this.#real !== null) return this.#real.headers;
    if (this.#headers === null) {
      const made: Setters = new CheckedHeaders(this.#given as Init["headers"]);
      this.#headers = made as Headers;
      if (this.#type !== null && !this.#headers.has("content-type")) {
        this.#headers.set("content-type", this.#type);
      }
    }
    return this.#headers;
  }

  clone(): Response {
    const parts = this.#parts();
    if (parts === null) return this.real().clone();
    // Neither of the two changes what they share.
    const { status, headers, body } = parts;
    const statusText = this.#init?.statusText ?? "";
    const copy = new LightResponse(null, { status, statusText, headers } as Init);
    copy.#body = body;
    copy.#type = parts.type;
    return copy as unknown as Response;
  }

  // Null when something was read, or when it has a body that only Node's Response can have.
  #parts(): ResponseParts | null {
    const real = this.#real;
    const headers = this.#headers ?? this.#given;
    if (real === null) {
      const type = this.#headers === null ? this.#type : null;
      return { status: this.#status, headers, type, body: this.#body! };
    }
    const body = real.body === null || real.bodyUsed ? undefined : originOf(real.body);
    if (body === undefined) return null;
    return { status: this.#status, headers: real.headers, type: null, body };
  }

  /** Node's own. */
  real(): Response {
    if (this.#real === null) {
      const { headers } = this;
      const init = { ...this.#init, status: this.#status, headers };
      const body = this.#body instanceof FileBody ? this.#body.stream() : this.#body;
      const real = new NodeResponse(body ?? null, init);
      if (real.body !== null) origins.set(real.body, this.#body!);
      // Who has the headers already goes on with those.
      Object.defineProperty(real, "headers", { value: headers, configurable: true });
      this.#real = real;
    }
    return this.#real;
  }
}

inherit(LightResponse, NodeResponse, new NodeResponse(null), (response) => response.real());
Object.setPrototypeOf(LightResponse, NodeResponse);
Object.defineProperty(LightResponse, "name", { value: "Response" });
Object.defineProperty(LightResponse, Symbol.hasInstance, {
  // A class that extends this one has its own instances.
  value(this: unknown, asked: unknown): boolean {
    const whose = this === LightResponse ? NodeResponse : (this as typeof NodeResponse);
    return Function.prototype[Symbol.hasInstance].call(whose, asked);
  },
});

/** The parts of a response that is one of ours and of which nothing was read; otherwise null. */
export function partsOf(response: object): ResponseParts | null {
  return partsOfLight(response);
}
