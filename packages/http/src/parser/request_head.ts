// The head of a request: reads it byte by byte, keeps where its parts stand, and makes strings only
// of what is asked for.
//
// It goes on where it stopped, at any byte, so that a head which comes in pieces costs no more than
// one that comes whole. All places are counted from the first byte of the head. The bytes may move
// between two calls, and after the last one `keep` takes a copy of them.

import { copyOf } from "../held_bytes.js";
import { textOf } from "../native_text.js";
import * as faults from "./faults.js";
import {
  CLASSES,
  HOST as HOST_BYTE,
  MAX_METHOD_BYTES,
  METHODS,
  TARGET,
  TOKEN,
  VALUE,
} from "./tables.js";
import { isAbsolute, isHostWithPort } from "./target.js";

/** How much of a head is taken. */
export interface HeadLimits {
  readonly headBytes: number;
  readonly targetBytes: number;
  readonly fields: number;
}

const START = 0;
const METHOD = 1;
const TARGET_START = 2;
const IN_TARGET = 3;
const VERSION = 4;
const FIELD_START = 5;
const NAME = 6;
const BEFORE_VALUE = 7;
const IN_VALUE = 8;
const VALUE_LF = 9;
const END_LF = 10;

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;

// Fields that the server itself acts on.
const CONTENT_LENGTH = 1;
const TRANSFER_ENCODING = 2;
const CONNECTION = 3;
const HOST = 4;
const EXPECT = 5;
const UPGRADE = 6;
const OWN_FIELDS: ReadonlyMap<string, number> = new Map([
  ["content-length", CONTENT_LENGTH],
  ["transfer-encoding", TRANSFER_ENCODING],
  ["connection", CONNECTION],
  ["host", HOST],
  ["expect", EXPECT],
  ["upgrade", UPGRADE],
]);
const OWN_LENGTHS = 32;
/** By the length of a name: which of them it may be. No two are equally long. */
const ownByLength: string[] = new Array<string>(OWN_LENGTHS).fill("");
for (const name of OWN_FIELDS.keys()) ownByLength[name.length] = name;

/** What frames or routes a request may not come behind its body (RFC 9110, 6.5.1). */
const NOT_IN_TRAILER: ReadonlySet<string> = new Set([
  ...OWN_FIELDS.keys(),
  ...["authorization", "cache-control", "content-encoding", "content-range", "content-type"],
  ...["cookie", "keep-alive", "proxy-connection", "set-cookie", "te", "trailer"],
]);

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);
const VERSION_TEXT = Buffer.from("HTTP/1.");
const VERSION_BYTES = VERSION_TEXT.length;
const FIRST_FIELDS = 16;
const WORDS = 4; // of a field: where its name and its value begin and end

// Numbers in a plain array: memory of a typed array is made and freed outside of V8's heap, which
// costs as much as the rest of a head. The first fields of most requests fit.
const NO_PLACES: readonly number[] = Array.from({ length: FIRST_FIELDS * WORDS }, () => 0);

const nothing = new Uint8Array(0);

export class RequestHead {
  /** Whether the body comes in chunks. */
  chunked = false;
  /** Bytes of the body; -1 when no Content-Length was given. */
  contentLength = -1;
  /** 1 for HTTP/1.1. */
  minorVersion = 1;
  /** What the Connection field says. */
  close = false;
  keepAlive = false;
  /** The client asks for another protocol: by Connection and Upgrade. */
  upgrade = false;
  /** The client waits for "100 Continue". */
  expectsContinue = false;
  method = "";
  fieldCount = 0;

  #bytes: Uint8Array = nothing;
  #base = 0;
  /** How much of the bytes may be read: what stands behind is of others. */
  #length = 0;
  #state = START;
  #at = 0;
  #partStart = 0;
  #trailer = false;
  #targetStart = 0;
  #targetEnd = 0;
  #absolute = false;
  #asksUpgrade = false;
  #namesUpgrade = false;
  #host = -1;
  #fields = NO_PLACES.slice();
  #target: string | null = null;
  #limits: HeadLimits;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  /** Whether a byte of a head has come. */
  get begun(): boolean {
    return this.#at > 0;
  }

  /** Whether a byte of a request line has come: blank lines before it are none of it. */
  get inRequest(): boolean {
    return this.#state > START;
  }

  /** The target as it was sent. */
  get target(): string {
    this.#target ??= this.#text(this.#targetStart, this.#targetEnd);
    return this.#target;
  }

  /** The value of Host; empty when there is none. */
  get host(): string {
    return this.#host === -1 ? "" : this.value(this.#host);
  }

  /** Makes it ready for the next request. */
  reset(): void {
    this.chunked = false;
    this.contentLength = -1;
    this.close = false;
    this.keepAlive = false;
    this.upgrade = false;
    this.expectsContinue = false;
    this.fieldCount = 0;
    this.#bytes = nothing;
    this.#length = 0;
    this.#state = START;
    this.#at = 0;
    this.#trailer = false;
    this.#absolute = false;
    this.#asksUpgrade = false;
    this.#namesUpgrade = false;
    this.#host = -1;
    this.#target = null;
  }

  /** Makes it ready for the fields behind a body. */
  resetForTrailer(): void {
    this.reset();
    this.#trailer = true;
    this.#state = FIELD_START;
  }

  /** The bytes stay where they are as long as the head is of use. */
  keep(): void {
    this.#bytes = copyOf(this.#bytes, this.#base, this.#base + this.#at);
    this.#base = 0;
    this.#length = this.#at;
  }

  /** The same bytes stand in other memory now, from `base` to `end`. */
  moveTo(bytes: Uint8Array, base: number, end: number): void {
    this.#bytes = bytes;
    this.#base = base;
    this.#length = end - base;
  }

  /**
   * Reads on. The head begins at `base`, and `bytes` holds what has come of it, up to `end`.
   * Returns the bytes of the whole head; 0 when more is needed; a fault, below 0.
   */
  parse(bytes: Uint8Array, base: number, end: number): number {
    this.moveTo(bytes, base, end);
    // A head that is too long is refused at the same byte, in whatever pieces it comes.
    const max = base + this.#limits.headBytes;
    const result = this.#parse(bytes, Math.min(end, max));
    return result === 0 && end >= max ? faults.LONG_HEAD : result;
  }

  #parse(bytes: Uint8Array, end: number): number {
    if (this.#state < FIELD_START) {
      const result = this.#readRequestLine(bytes, end);
      if (result !== 1) return result;
    }
    const result = this.#readFields(bytes, end);
    if (result !== 1) return result;
    if (this.#trailer) return this.#at;
    const fault = this.#check();
    return fault < 0 ? fault : this.#at;
  }

  // 1 when the request line is complete, 0 when more is needed.
  #readRequestLine(bytes: Uint8Array, end: number): number {
    const base = this.#base;
    let at = base + this.#at;
    if (this.#state === START) {
      while (at < end && (bytes[at] === CR || bytes[at] === LF)) at++;
      this.#at = at - base;
      if (at >= end) return 0;
      this.#partStart = this.#at;
      this.#state = METHOD;
    }
    if (this.#state === METHOD) {
      const result = this.#readMethod(bytes, end);
      if (result !== 1) return result;
      at = base + this.#at;
    }
    if (this.#state === TARGET_START) {
      if (at >= end) return 0;
      if (bytes[at] === SPACE) return faults.BAD_SPACES;
      this.#targetStart = at - base;
      this.#state = IN_TARGET;
    }
    if (this.#state === IN_TARGET) {
      const result = this.#readTarget(bytes, end);
      if (result !== 1) return result;
    }
    return this.#readVersion(bytes, end);
  }

  #readMethod(bytes: Uint8Array, end: number): number {
    const start = this.#base + this.#partStart;
    let at = this.#base + this.#at;
    if (this.#at === this.#partStart && end - at > 4) {
      // The method of most requests.
      if (
        bytes[at] === 71 &&
        bytes[at + 1] === 69 &&
        bytes[at + 2] === 84 &&
        bytes[at + 3] === 32
      ) {
        return this.#setMethod("GET", this.#at + 4);
      }
    }
    while (at < end && ((bytes[at]! >= 65 && bytes[at]! <= 90) || bytes[at] === 0x2d)) at++;
    this.#at = at - this.#base;
    const length = at - start;
    if (at >= end) return length > MAX_METHOD_BYTES ? faults.BAD_METHOD : 0;
    if (length === 0) return faults.BAD_START;
    if (bytes[at] !== SPACE) return faults.BAD_METHOD;
    const method = this.#text(this.#partStart, this.#at);
    if (!KNOWN_METHODS.has(method)) return faults.BAD_METHOD;
    return this.#setMethod(method, this.#at + 1);
  }

  #setMethod(method: string, at: number): number {
    this.method = method;
    this.#at = at;
    this.#state = TARGET_START;
    return 1;
  }

  #readTarget(bytes: Uint8Array, end: number): number {
    const base = this.#base;
    let at = base + this.#at;
    while (at < end && (CLASSES[bytes[at]!]! & TARGET) !== 0) at++;
    this.#at = at - base;
    if (this.#at - this.#targetStart > this.#limits.targetBytes) return faults.LONG_TARGET;
    if (at >= end) return 0;
    const byte = bytes[at]!;
    if (byte === CR || byte === LF) return faults.NO_VERSION;
    if (byte === 0x23) return faults.BAD_FORM; // a fragment
    if (byte !== SPACE) return faults.BAD_TARGET;
    this.#targetEnd = this.#at;
    if (bytes[base + this.#targetStart] !== 0x2f || this.method === "CONNECT") {
      const { target } = this;
      if (this.method === "CONNECT") {
        if (!isHostWithPort(target)) return faults.BAD_FORM;
      } else if (target !== "*") {
        if (!isAbsolute(target)) return faults.BAD_FORM;
        this.#absolute = true;
      }
    }
    this.#at++;
    this.#partStart = this.#at;
    this.#state = VERSION;
    return 1;
  }

  // "HTTP/1.x", CR, LF: one byte after the other.
  #readVersion(bytes: Uint8Array, end: number): number {
    const base = this.#base;
    let at = base + this.#at;
    for (; at < end; at++) {
      const index = at - base - this.#partStart;
      const byte = bytes[at]!;
      if (index < VERSION_BYTES) {
        if (byte === VERSION_TEXT[index]) continue;
        if (index === 0 && byte === SPACE) return faults.BAD_SPACES;
        return index === 5 && byte >= 0x30 && byte <= 0x39
          ? faults.BAD_VERSION
          : faults.BAD_PROTOCOL;
      }
      if (index === VERSION_BYTES) {
        if (byte < 0x30 || byte > 0x39) return faults.BAD_PROTOCOL;
        if (byte > 0x31) return faults.BAD_VERSION;
        this.minorVersion = byte - 0x30;
      } else if (index === VERSION_BYTES + 1) {
        if (byte !== CR) return faults.BAD_LINE_END;
      } else {
        if (byte !== LF) return faults.BAD_LINE_END;
        this.#at = at + 1 - base;
        this.#state = FIELD_START;
        return 1;
      }
    }
    this.#at = at - base;
    return 0;
  }

  // 1 when the empty line has come, 0 when more is needed.
  #readFields(bytes: Uint8Array, end: number): number {
    const base = this.#base;
    const classes = CLASSES;
    let at = base + this.#at;
    let state = this.#state;
    let place = this.fieldCount * WORDS;
    for (; at < end; at++) {
      if (state === FIELD_START) {
        const byte = bytes[at]!;
        if (byte === CR) {
          state = END_LF;
          continue;
        }
        const fault = this.#beginField(byte);
        if (fault < 0) return fault;
        place = this.fieldCount * WORDS;
        this.#fields[place] = at - base;
        state = NAME;
      }
      if (state === NAME) {
        while (at < end && (classes[bytes[at]!]! & TOKEN) !== 0) at++;
        if (at >= end) break;
        if (bytes[at] !== COLON) return badName(bytes[at]!);
        this.#fields[place + 1] = at - base;
        state = BEFORE_VALUE;
      } else if (state === BEFORE_VALUE) {
        while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
        if (at >= end) break;
        this.#fields[place + 2] = at - base;
        state = IN_VALUE;
      }
      if (state === IN_VALUE) {
        while (at < end && (classes[bytes[at]!]! & VALUE) !== 0) at++;
        if (at >= end) break;
        if (bytes[at] !== CR) return bytes[at] === LF ? faults.BAD_LINE_END : faults.BAD_VALUE;
        this.#fields[place + 3] = at - base;
        state = VALUE_LF;
      } else if (state === VALUE_LF) {
        if (bytes[at] !== LF) return faults.BAD_LINE_END;
        const fault = this.#endField(bytes);
        if (fault < 0) return fault;
        state = FIELD_START;
      } else if (state === END_LF) {
        if (bytes[at] !== LF) return faults.BAD_LINE_END;
        this.#at = at + 1 - base;
        this.#state = state;
        return 1;
      }
    }
    this.#at = at - base;
    this.#state = state;
    return 0;
  }

  #beginField(byte: number): number {
    if (byte === SPACE || byte === TAB) return faults.FOLDED;
    if ((CLASSES[byte]! & TOKEN) === 0) return badName(byte);
    if (this.fieldCount >= this.#limits.fields) return faults.MANY_FIELDS;
    this.#makeRoom();
    return 0;
  }

  #makeRoom(): void {
    if ((this.fieldCount + 1) * WORDS <= this.#fields.length) return;
    this.#fields = this.#fields.concat(this.#fields);
  }

  // A value ends with what is no blank.
  #endField(bytes: Uint8Array): number {
    const at = this.fieldCount * WORDS;
    const fields = this.#fields;
    const base = this.#base;
    const start = fields[at + 2]!;
    let end = fields[at + 3]!;
    let tabs = false;
    for (; end > start; end--) {
      const byte = bytes[base + end - 1];
      if (byte === TAB) tabs = true;
      else if (byte !== SPACE) break;
    }
    fields[at + 3] = end;
    const index = this.fieldCount++;
    const length = fields[at + 1]! - fields[at]!;
    if (this.#trailer) return NOT_IN_TRAILER.has(this.name(index)) ? faults.BAD_TRAILER : 0;
    const own = length < OWN_LENGTHS ? ownByLength[length]! : "";
    if (own === "" || !this.#isNamed(index, own)) return 0;
    return this.#applyOwn(OWN_FIELDS.get(own)!, index, tabs);
  }

  #applyOwn(own: number, index: number, tabs: boolean): number {
    switch (own) {
      case HOST:
        if (this.#host !== -1) return faults.TWO_HOSTS;
        this.#host = index;
        return this.#isHost(index) ? 0 : faults.BAD_HOST;
      case CONTENT_LENGTH:
        return tabs ? faults.TAB_BEHIND : this.#setLength(this.value(index));
      case TRANSFER_ENCODING:
        return tabs ? faults.TAB_BEHIND : this.#setCoding(this.value(index));
      case CONNECTION:
        return tabs ? faults.TAB_BEHIND : this.#setConnection(index);
      case EXPECT:
        if (this.value(index).toLowerCase() !== "100-continue") return faults.BAD_EXPECT;
        this.expectsContinue = true;
        return 0;
      case UPGRADE:
        // An empty one names no protocol, and what follows is the next request.
        if (this.value(index) !== "") this.#namesUpgrade = true;
        return 0;
      default:
        return 0;
    }
  }

  #isHost(index: number): boolean {
    const bytes = this.#bytes;
    const end = this.#base + this.#fields[index * WORDS + 3]!;
    let at = this.#base + this.#fields[index * WORDS + 2]!;
    while (at < end && (CLASSES[bytes[at]!]! & HOST_BYTE) !== 0) at++;
    return at === end;
  }

  #setLength(text: string): number {
    if (this.chunked) return faults.BOTH_LENGTHS;
    if (this.contentLength !== -1) return faults.TWO_LENGTHS;
    if (!/^[0-9]+$/.test(text)) return faults.BAD_LENGTH;
    const length = Number(text);
    if (!Number.isSafeInteger(length)) return faults.LONG_LENGTH;
    this.contentLength = length;
    return 0;
  }

  #setCoding(text: string): number {
    if (this.contentLength !== -1) return faults.BOTH_LENGTHS;
    if (this.chunked || text.toLowerCase() !== "chunked") return faults.BAD_CODING;
    this.chunked = true;
    return 0;
  }

  #setConnection(index: number): number {
    // What most clients say.
    if (this.#stands(index * WORDS + 2, "keep-alive")) {
      this.keepAlive = true;
      return 0;
    }
    const text = this.value(index);
    // llhttp takes a tab behind an option for a part of it, and others for white space.
    if (text.includes("\t")) return faults.TAB_BEHIND;
    for (const part of text.toLowerCase().split(",")) {
      const option = part.trim();
      if (option === "close") this.close = true;
      else if (option === "keep-alive") this.keepAlive = true;
      else if (option === "upgrade") this.#asksUpgrade = true;
    }
    return 0;
  }

  // What only the whole head tells.
  #check(): number {
    if (this.minorVersion === 0) {
      if (this.chunked) return faults.OLD_CODING;
      this.expectsContinue = false; // HTTP/1.0 has no interim answers
    } else if (this.#host === -1) return faults.NO_HOST;
    if (this.method === "CONNECT" && (this.chunked || this.contentLength > 0)) {
      return faults.CONNECT_BODY;
    }
    this.upgrade = this.#asksUpgrade && this.#namesUpgrade;
    return 0;
  }

  // ---- what was read

  /** Whether the method, the target and the version are known. */
  get hasRequestLine(): boolean {
    return this.#state >= FIELD_START;
  }

  /**
   * What has come of the request line, at most so many bytes of it, each as a character. It may be
   * anything that a client has sent, but has no line end.
   */
  requestLine(maxBytes: number): string {
    const bytes = this.#bytes;
    const limit = this.#base + this.#length;
    let start = this.#base;
    while (start < limit && isLineEnd(bytes[start]!)) start++;
    const max = Math.min(limit, start + maxBytes);
    let end = start;
    while (end < max && !isLineEnd(bytes[end]!)) end++;
    return textOf(bytes, start, end);
  }

  /** Its bytes, each as a character, for a parser to read once more. */
  copy(): string {
    return this.#text(0, this.#at);
  }

  /** The URL of the request, with the host that the client has named. */
  get url(): string {
    const { target, host } = this;
    if (this.#absolute) return target;
    const path = target.charCodeAt(0) === 0x2f ? target : "/";
    return `http://${host === "" ? "localhost" : host}${path}`;
  }

  /** All fields, with their names in lower case. */
  allFields(): [name: string, value: string][] {
    return Array.from({ length: this.fieldCount }, (_, index) => [
      this.name(index),
      this.value(index),
    ]);
  }

  /** The name of a field, in lower case. */
  name(index: number): string {
    const at = index * WORDS;
    return this.#text(this.#fields[at]!, this.#fields[at + 1]!).toLowerCase();
  }

  /** The value of a field. Each byte of it is a character. */
  value(index: number): string {
    const at = index * WORDS;
    return this.#text(this.#fields[at + 2]!, this.#fields[at + 3]!);
  }

  /**
   * All values of the fields with this name, which is in lower case, joined as RFC 9110 says;
   * undefined when there is none.
   */
  field(name: string): string | undefined {
    let found: string | undefined;
    for (let index = 0; index < this.fieldCount; index++) {
      if (!this.#isNamed(index, name)) continue;
      const value = this.value(index);
      found = found === undefined ? value : `${found}${name === "cookie" ? ";" : ","} ${value}`;
    }
    return found;
  }

  #isNamed(index: number, name: string): boolean {
    return this.#stands(index * WORDS, name);
  }

  // Whether this text, in lower case, stands at a place of the table, in whatever case.
  #stands(place: number, text: string): boolean {
    const fields = this.#fields;
    const start = fields[place]!;
    const { length } = text;
    if (fields[place + 1]! - start !== length) return false;
    const bytes = this.#bytes;
    const from = this.#base + start;
    for (let at = 0; at < length; at++) {
      let byte = bytes[from + at]!;
      if (byte >= 65 && byte <= 90) byte += 32;
      if (byte !== text.charCodeAt(at)) return false;
    }
    return true;
  }

  #text(start: number, end: number): string {
    return textOf(this.#bytes, this.#base + start, this.#base + end);
  }
}

function isLineEnd(byte: number): boolean {
  return byte === CR || byte === LF;
}

function badName(byte: number): number {
  return byte === SPACE || byte === TAB ? faults.SPACE_BEFORE_COLON : faults.BAD_NAME;
}
