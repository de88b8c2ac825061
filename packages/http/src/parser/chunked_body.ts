// A body in chunks: tells what of the bytes that come is data, and reads the fields behind it. It
// goes on where it stopped, at any byte.

import * as faults from "./faults.js";
import { type HeadLimits, RequestHead } from "./request_head.js";
import { CLASSES, HEX, QUOTED, TOKEN, VALUE } from "./tables.js";

const SIZE_START = 0;
const SIZE = 1;
const EXTENSION_START = 2;
const EXTENSION_NAME = 3;
const EXTENSION_VALUE = 4;
const EXTENSION_QUOTED = 5;
const EXTENSION_ESCAPED = 6;
const EXTENSION_QUOTED_END = 7;
const SIZE_LF = 8;
const DATA = 9;
const DATA_CR = 10;
const DATA_LF = 11;
const TRAILER = 12;

const CR = 0x0d;
const LF = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;

// As many as node:http takes of one body.
const MAX_EXTENSION_BYTES = 16 * 1024;

/** Called with a piece of the body: `bytes` from `start` to `end`. */
export type OnData = (bytes: Uint8Array, start: number, end: number) => void;

export class ChunkedBody {
  /** The fields behind the body, once all has come. */
  readonly trailer: RequestHead;
  readonly #limits: HeadLimits;
  #state = SIZE_START;
  #left = 0;
  #extensionBytes = 0;
  // What has come of the trailer, which is read again when more comes.
  #trailerBytes: Buffer = Buffer.alloc(0);

  constructor(limits: HeadLimits) {
    this.#limits = limits;
    this.trailer = new RequestHead(limits);
  }

  /**
   * Reads on, and returns how many bytes belong to the body: all of them unless it has ended
   * (`ended`). A fault is below 0.
   */
  parse(bytes: Uint8Array, start: number, end: number, onData: OnData): number {
    let at = start;
    while (at < end) {
      if (this.#state === DATA) {
        const count = Math.min(this.#left, end - at);
        onData(bytes, at, at + count);
        at += count;
        this.#left -= count;
        if (this.#left === 0) this.#state = DATA_CR;
      } else if (this.#state === TRAILER) {
        const count = this.#readTrailer(bytes, at, end);
        return count < 0 ? count : at + count - start;
      } else {
        const fault = this.#step(bytes[at++]!);
        if (fault < 0) return fault;
      }
    }
    return end - start;
  }

  /** Whether all of it has come. */
  ended = false;

  // One byte of what stands between the data.
  #step(byte: number): number {
    if (this.#state >= EXTENSION_START && this.#state <= EXTENSION_QUOTED_END) {
      return this.#stepExtension(byte);
    }
    switch (this.#state) {
      case SIZE_START:
        if (HEX[byte] === 255) return faults.BAD_CHUNK;
        this.#left = HEX[byte]!;
        this.#state = SIZE;
        return 0;
      case SIZE: {
        const digit = HEX[byte]!;
        if (digit !== 255) {
          this.#left = this.#left * 16 + digit;
          return Number.isSafeInteger(this.#left) ? 0 : faults.LONG_CHUNK;
        }
        if (byte === CR) this.#state = SIZE_LF;
        else if (byte === SEMICOLON) this.#state = EXTENSION_START;
        else return faults.BAD_CHUNK;
        return 0;
      }
      case SIZE_LF:
        if (byte !== LF) return faults.BAD_LINE_END;
        if (this.#left === 0) this.trailer.resetForTrailer();
        this.#state = this.#left === 0 ? TRAILER : DATA;
        return 0;
      case DATA_CR:
        if (byte !== CR) return faults.BAD_CHUNK_END;
        this.#state = DATA_LF;
        return 0;
      default:
        if (byte !== LF) return faults.BAD_CHUNK_END;
        this.#state = SIZE_START;
        return 0;
    }
  }

  #stepExtension(byte: number): number {
    if (++this.#extensionBytes > MAX_EXTENSION_BYTES) return faults.LONG_EXTENSION;
    const classes = CLASSES[byte]!;
    switch (this.#state) {
      case EXTENSION_START:
        if (byte === SEMICOLON || byte === EQUALS) return faults.NO_EXTENSION;
        if ((classes & TOKEN) === 0) return faults.BAD_EXTENSION;
        this.#state = EXTENSION_NAME;
        return 0;
      case EXTENSION_NAME:
        if ((classes & TOKEN) !== 0) return 0;
        if (byte === EQUALS) this.#state = EXTENSION_VALUE;
        else return this.#endExtension(byte);
        return 0;
      case EXTENSION_VALUE:
        if ((classes & TOKEN) !== 0) return 0;
        if (byte === QUOTE) this.#state = EXTENSION_QUOTED;
        else return this.#endExtension(byte);
        return 0;
      case EXTENSION_QUOTED:
        if (byte === QUOTE) this.#state = EXTENSION_QUOTED_END;
        else if (byte === BACKSLASH) this.#state = EXTENSION_ESCAPED;
        else if ((classes & QUOTED) === 0) return faults.BAD_EXTENSION;
        return 0;
      case EXTENSION_ESCAPED:
        if ((classes & VALUE) === 0) return faults.BAD_EXTENSION;
        this.#state = EXTENSION_QUOTED;
        return 0;
      default:
        return this.#endExtension(byte);
    }
  }

  #endExtension(byte: number): number {
    if (byte === SEMICOLON) this.#state = EXTENSION_START;
    else if (byte === CR) this.#state = SIZE_LF;
    else return faults.BAD_EXTENSION;
    return 0;
  }

  // Most bodies have no trailer, and then two bytes remain.
  #readTrailer(bytes: Uint8Array, start: number, end: number): number {
    const before = this.#trailerBytes.length;
    // One byte more than is taken: with that the parser says that it is too long.
    const max = Math.min(end, start + this.#limits.headBytes + 1 - before);
    const fresh = bytes.subarray(start, max);
    const all = before === 0 ? fresh : Buffer.concat([this.#trailerBytes, fresh]);
    const length = this.trailer.parse(all, 0, all.length);
    if (length < 0) return length;
    if (length === 0) {
      this.#trailerBytes = Buffer.from(all);
      return end - start;
    }
    this.trailer.keep();
    this.ended = true;
    return length - before;
  }
}
