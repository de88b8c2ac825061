/**
 * Reads requests out of the memory that a connection receives into, in place.
 *
 *      bytes   |--- done ---|*3 $3 SET $1 k $5 val|ue... ---- room() ----|
 *                           ^start           ^position  ^end
 *
 * `next()` goes on where it stopped, so that a request that arrives in many pieces is looked at
 * once. The arguments are offsets into `source`; nothing is allocated for a request that fits. A
 * request that does not fit moves into larger memory, which at least doubles each time (so the
 * copying stays linear), follows the size the client has announced (so a large value is received
 * where it stays) and grows only as bytes do arrive (so an announcement alone costs nothing). It is
 * released as soon as the request is done. The offsets lie outside of JavaScript's heap, where a
 * million of them per connection would end the process.
 */

import { splitInline } from "./inline.js";
import {
  ARGUMENT_LIMIT,
  BULK_LIMIT_BYTES,
  HEADER_LIMIT_BYTES,
  INLINE_LIMIT_BYTES,
  REQUEST_LIMIT_BYTES,
} from "./limits.js";

const CR = 0x0d;
const LF = 0x0a;
const STAR = 0x2a;
const DOLLAR = 0x24;
const MINUS = 0x2d;
const ZERO = 0x30;

/** Arguments that there is always room for. */
const FEW_ARGUMENTS = 64;

/** The client broke the protocol; the message is the text of the error reply. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** Where the parser is: between requests, before an argument's length, or inside an argument. */
type Phase = "idle" | "length" | "body";

/** What `readNumber` answers when the line has not arrived in full. */
const INCOMPLETE = Number.NaN;

export class Request {
  /** What the offsets below refer to. */
  source: Buffer;
  count = 0;
  /** Whether it was a line of words, as a person types it. */
  inline = false;
  starts = new Uint32Array(FEW_ARGUMENTS);
  ends = new Uint32Array(FEW_ARGUMENTS);

  private readonly base: Buffer;
  private bytes: Buffer;
  private start = 0;
  private end = 0;
  private position = 0;
  private phase: Phase = "idle";
  private expected = 0;
  private bulkLength = 0;

  constructor(memory: Buffer) {
    this.base = memory;
    this.bytes = memory;
    this.source = memory;
  }

  /** The argument as a string with one byte per character. */
  text(index: number): string {
    return this.source.toString("latin1", this.starts[index]!, this.ends[index]!);
  }

  length(index: number): number {
    return this.ends[index]! - this.starts[index]!;
  }

  /** Whether the argument is this word, in any case. The word is in lower case. */
  is(index: number, word: string): boolean {
    const start = this.starts[index]!;
    if (this.ends[index]! - start !== word.length) return false;
    for (let at = 0; at < word.length; at++) {
      let byte = this.source[start + at]!;
      if (byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
      if (byte !== word.charCodeAt(at)) return false;
    }
    return true;
  }

  /** Bytes of memory that a large request holds beside what every connection has. */
  get heldBytes(): number {
    const memory = this.bytes === this.base ? 0 : this.bytes.length;
    return memory + (this.starts.length - FEW_ARGUMENTS) * 8;
  }

  /** Memory for the bytes that come next, never empty. */
  room(): Buffer {
    if (this.phase === "idle") this.forgetArguments();
    if (this.phase === "idle" && this.start === this.end) {
      this.bytes = this.base;
      this.source = this.base;
      this.start = this.end = this.position = 0;
      return this.base;
    }
    const unreadBytes = this.end - this.start;
    if (this.bytes !== this.base && this.neededBytes <= this.base.length >> 1) {
      this.moveTo(this.base);
    } else if (this.start > 0 && unreadBytes <= this.start) {
      this.moveTo(this.bytes); // No more is copied than has been read since the last time.
    }
    if (this.end === this.bytes.length) this.grow();
    return this.bytes.subarray(this.end);
  }

  /** Bytes at hand that no request has been made of yet. */
  get unreadBytes(): number {
    return this.end - this.start;
  }

  /** Bytes of what is at hand and of the argument that is on its way. */
  private get neededBytes(): number {
    const announced = this.phase === "body" ? this.position + this.bulkLength + 2 : 0;
    return Math.max(this.end, announced) - this.start;
  }

  /** So many bytes have been put into `room()`. */
  received(count: number): void {
    this.end += count;
  }

  /** Whether bytes are at hand that belong to a request not yet complete. */
  get partial(): boolean {
    return this.start < this.end;
  }

  /** Moves to the next complete request. Throws a ProtocolError on malformed input. */
  next(): boolean {
    if (this.phase === "idle") {
      this.start = this.position;
      if (!this.begin()) return false;
      if (this.phase === "idle") return true; // An inline request is complete at once.
    }
    while (this.count < this.expected) {
      if (!this.readArgument()) return false;
    }
    this.phase = "idle";
    return true;
  }

  /** Reads the first line of a request; false when there is none in full. */
  private begin(): boolean {
    for (;;) {
      if (this.position >= this.end) {
        this.start = this.position;
        return false;
      }
      this.count = 0;
      this.inline = this.bytes[this.position] !== STAR;
      if (this.inline) {
        if (!this.readInline()) return false;
        if (this.count > 0) return true;
      } else {
        const count = this.readNumber("too big mbulk count string", "invalid multibulk length");
        if (Number.isNaN(count)) return false;
        if (count > ARGUMENT_LIMIT) throw new ProtocolError("invalid multibulk length");
        if (count > 0) {
          this.expected = count;
          this.phase = "length";
          this.source = this.bytes;
          return true;
        }
      }
      this.start = this.position; // An empty request is passed over, as in Redis.
    }
  }

  private readArgument(): boolean {
    if (this.phase === "length") {
      if (this.position >= this.end) return false;
      const first = this.bytes[this.position]!;
      if (first !== DOLLAR) {
        throw new ProtocolError(`expected '$', got '${printable(first)}'`);
      }
      const length = this.readNumber("too big bulk count string", "invalid bulk length");
      if (Number.isNaN(length)) return false;
      if (length < 0 || length > BULK_LIMIT_BYTES) throw new ProtocolError("invalid bulk length");
      if (this.position - this.start + length > REQUEST_LIMIT_BYTES) {
        throw new ProtocolError("too big request");
      }
      this.bulkLength = length;
      this.phase = "body";
    }
    const bodyEnd = this.position + this.bulkLength;
    if (this.end < bodyEnd + 2) return false;
    if (this.bytes[bodyEnd] !== CR || this.bytes[bodyEnd + 1] !== LF) {
      throw new ProtocolError("expected a line end after the bulk string");
    }
    this.addArgument(this.position, bodyEnd);
    this.position = bodyEnd + 2;
    this.phase = "length";
    return true;
  }

  /** Reads a line of one letter and a number and steps over it, or answers INCOMPLETE. */
  private readNumber(tooLong: string, malformed: string): number {
    let at = this.position + 1;
    const limit = Math.min(this.end, this.position + HEADER_LIMIT_BYTES);
    const negative = at < limit && this.bytes[at] === MINUS;
    if (negative) at++;
    const firstDigit = at;
    let value = 0;
    while (at < limit) {
      const digit = this.bytes[at]! - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      at++;
    }
    if (at === limit) {
      if (at - this.position >= HEADER_LIMIT_BYTES) throw new ProtocolError(tooLong);
      return INCOMPLETE;
    }
    if (this.bytes[at] !== CR || at === firstDigit) throw new ProtocolError(malformed);
    if (at + 1 >= this.end) return INCOMPLETE;
    if (this.bytes[at + 1] !== LF) throw new ProtocolError(malformed);
    this.position = at + 2;
    return negative ? -value : value;
  }

  private readInline(): boolean {
    const lineEnd = this.bytes.subarray(this.position, this.end).indexOf(LF);
    const length = lineEnd < 0 ? this.end - this.position : lineEnd;
    if (length > INLINE_LIMIT_BYTES) throw new ProtocolError("too big inline request");
    if (lineEnd < 0) return false;
    const line = this.bytes.toString("latin1", this.position, this.position + length);
    const words = splitInline(line.endsWith("\r") ? line.slice(0, -1) : line);
    if (words === undefined) throw new ProtocolError("unbalanced quotes in request");
    this.source = Buffer.from(words.join(""), "latin1");
    this.count = 0;
    let at = 0;
    for (const word of words) {
      this.addArgument(at, at + word.length);
      at += word.length;
    }
    this.position += length + 1;
    return true;
  }

  private addArgument(start: number, end: number): void {
    const { count } = this;
    if (count === this.starts.length) {
      this.starts = larger(this.starts);
      this.ends = larger(this.ends);
    }
    this.starts[count] = start;
    this.ends[count] = end;
    this.count = count + 1;
  }

  /** The last request is done, so the memory of its arguments is released. */
  private forgetArguments(): void {
    if (this.starts.length === FEW_ARGUMENTS) return;
    this.count = 0;
    this.starts = new Uint32Array(FEW_ARGUMENTS);
    this.ends = new Uint32Array(FEW_ARGUMENTS);
  }

  /** What is at hand goes to the front of `memory`. */
  private moveTo(memory: Buffer): void {
    const shift = this.start;
    this.bytes.copy(memory, 0, shift, this.end);
    this.bytes = memory;
    this.source = memory;
    this.start = 0;
    this.end -= shift;
    this.position -= shift;
    for (let index = 0; index < this.count; index++) {
      this.starts[index] = this.starts[index]! - shift;
      this.ends[index] = this.ends[index]! - shift;
    }
  }

  private grow(): void {
    const capacity = this.bytes.length;
    const announced = this.phase === "body" ? this.position + this.bulkLength + 2 : 0;
    const size = Math.min(Math.max(announced, capacity * 2), capacity * 4);
    const grown = Buffer.allocUnsafeSlow(size);
    this.bytes.copy(grown, 0, 0, this.end);
    this.bytes = grown;
    this.source = grown;
  }
}

function larger(offsets: Uint32Array): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(offsets.length * 2);
  grown.set(offsets);
  return grown;
}

function printable(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`;
}
