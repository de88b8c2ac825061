/**
 * Writes replies, in RESP2 or RESP3, into memory that goes to the socket as it is.
 *
 * Small replies gather in one chunk. A long value is not copied: its own memory becomes a chunk, so
 * what is gathered is a list of chunks to send in order.
 */

import { LONG_VALUE_BYTES, type Value } from "../value.js";

/** The size of an ordinary chunk; also that of the pool's chunks. */
export const CHUNK_BYTES = 16 * 1024;

/** From this length on a Buffer value is sent from where it is. */
const SEND_IN_PLACE_BYTES = 4 * LONG_VALUE_BYTES;

const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;

/** Ordinary chunks that no connection uses at the moment, shared by all of them. */
export class ChunkPool {
  private readonly free: Buffer[] = [];

  constructor(private readonly maxKept = 256) {}

  take(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
  }

  release(chunk: Buffer): void {
    if (chunk.length === CHUNK_BYTES && this.free.length < this.maxKept) this.free.push(chunk);
  }
}

/** Replies taken out of a writer, on their way to the socket. */
export interface Outgoing {
  chunks: Buffer[];
  /** The chunks to release to the pool once everything is sent. */
  readonly pooled: Buffer[];
  sizeBytes: number;
}

/** Bytes of memory that replies hold. */
export function heldBytesOf(outgoing: Outgoing): number {
  return Math.max(outgoing.sizeBytes, outgoing.pooled.length * CHUNK_BYTES);
}

/** Puts `text` in the place of parts: `ranges` has where each begins and ends, in order. */
export function replaceParts(outgoing: Outgoing, ranges: readonly number[], text: Buffer): void {
  const chunks: Buffer[] = [];
  let next = 0;
  let chunkStart = 0;
  for (const chunk of outgoing.chunks) {
    const chunkEnd = chunkStart + chunk.length;
    let at = chunkStart;
    while (next < ranges.length && ranges[next]! < chunkEnd) {
      const from = Math.max(ranges[next]!, at);
      if (from > at) chunks.push(chunk.subarray(at - chunkStart, from - chunkStart));
      const to = ranges[next + 1]!;
      at = Math.min(to, chunkEnd);
      if (to > chunkEnd) break;
      chunks.push(text);
      next += 2;
    }
    if (at < chunkEnd) chunks.push(chunk.subarray(at - chunkStart));
    chunkStart = chunkEnd;
  }
  outgoing.chunks = chunks;
  outgoing.sizeBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

/** An error reply by itself. */
export function encodeError(text: string): Buffer {
  return Buffer.from(`-${oneLine(text)}\r\n`, "utf8");
}

/** Line ends would break the protocol. */
function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, " ");
}

export class ReplyWriter {
  protocol: 2 | 3 = 2;
  private chunks: Buffer[] = [];
  private pooled: Buffer[] = [];
  private chunksBytes = 0;
  private current: Buffer | undefined;
  private from = 0;
  private used = 0;

  constructor(private readonly pool: ChunkPool) {}

  /** Bytes gathered and not yet taken. */
  get sizeBytes(): number {
    return this.chunksBytes + this.used - this.from;
  }

  ok(): void {
    this.simple("OK");
  }

  simple(text: string): void {
    this.line(0x2b, text);
  }

  /**
   * The text begins with the error's word, such as ERR. Each character is one byte of the reply, as
   * in what `Request.text` gives.
   */
  error(text: string): void {
    this.line(0x2d, oneLine(text));
  }

  /** `error`, for text in UTF-8: what the server itself says of paths and failures. */
  errorText(text: string): void {
    this.error(Buffer.from(text, "utf8").toString("latin1"));
  }

  integer(value: number | bigint): void {
    if (typeof value === "number" && value >= 0 && value < 1e9) this.header(0x3a, value);
    else this.line(0x3a, value.toString());
  }

  nil(): void {
    this.raw(this.protocol === 3 ? "_\r\n" : "$-1\r\n");
  }

  bulk(value: Value): void {
    this.header(0x24, value.length);
    if (typeof value === "string") {
      const into = this.room(value.length + 2);
      into.write(value, this.used, "latin1");
      this.used += value.length;
    } else if (value.length >= SEND_IN_PLACE_BYTES) {
      this.inPlace(value);
    } else {
      value.copy(this.room(value.length + 2), this.used);
      this.used += value.length;
    }
    this.lineEnd();
  }

  /** Text in UTF-8, for what the server itself says. */
  text(text: string): void {
    this.bulk(Buffer.from(text, "utf8").toString("latin1"));
  }

  array(count: number): void {
    this.header(0x2a, count);
  }

  /** A map of so many pairs: in RESP2 a flat array. */
  map(pairs: number): void {
    if (this.protocol === 3) this.header(0x25, pairs);
    else this.header(0x2a, pairs * 2);
  }

  set(count: number): void {
    this.header(this.protocol === 3 ? 0x7e : 0x2a, count);
  }

  /** A long text for people: in RESP3 marked as such. */
  verbatim(text: string): void {
    if (this.protocol === 2) {
      this.text(text);
      return;
    }
    const bytes = Buffer.from(text, "utf8").toString("latin1");
    this.header(0x3d, bytes.length + 4);
    this.raw(`txt:${bytes}\r\n`);
  }

  /** Takes everything gathered; the writer goes on empty. */
  take(): Outgoing {
    const sizeBytes = this.sizeBytes;
    this.closeChunk();
    if (this.current !== undefined) this.pooled.push(this.current);
    const outgoing = { chunks: this.chunks, pooled: this.pooled, sizeBytes };
    this.chunks = [];
    this.pooled = [];
    this.chunksBytes = 0;
    this.current = undefined;
    this.from = this.used = 0;
    return outgoing;
  }

  release(outgoing: Outgoing): void {
    for (const chunk of outgoing.pooled) this.pool.release(chunk);
  }

  private raw(text: string): void {
    this.room(text.length).write(text, this.used, "latin1");
    this.used += text.length;
  }

  private line(mark: number, text: string): void {
    const { length } = text;
    const into = this.room(length + 3);
    into[this.used] = mark;
    into.write(text, this.used + 1, "latin1");
    this.used += length + 1;
    this.lineEnd();
  }

  private header(mark: number, value: number): void {
    const into = this.room(16);
    into[this.used++] = mark;
    if (value < 10) {
      into[this.used++] = ZERO + value;
    } else {
      let digits = 2;
      for (let limit = 100; value >= limit; limit *= 10) digits++;
      let rest = value;
      for (let at = this.used + digits - 1; at >= this.used; at--) {
        const next = Math.floor(rest / 10);
        into[at] = ZERO + rest - next * 10;
        rest = next;
      }
      this.used += digits;
    }
    this.lineEnd();
  }

  private lineEnd(): void {
    const into = this.room(2);
    into[this.used++] = CR;
    into[this.used++] = LF;
  }

  /** The current chunk, with at least so many bytes free from `used` on. */
  private room(length: number): Buffer {
    const current = this.current;
    if (current !== undefined && this.used + length <= current.length) return current;
    this.closeChunk();
    if (current !== undefined) this.pooled.push(current);
    const chunk = length <= CHUNK_BYTES ? this.pool.take() : Buffer.allocUnsafeSlow(length);
    this.current = chunk;
    this.from = this.used = 0;
    return chunk;
  }

  private inPlace(value: Buffer): void {
    this.closeChunk();
    this.chunks.push(value);
    this.chunksBytes += value.length;
  }

  /** What the current chunk holds so far becomes a chunk of the list. */
  private closeChunk(): void {
    if (this.current === undefined || this.used === this.from) return;
    this.chunks.push(this.current.subarray(this.from, this.used));
    this.chunksBytes += this.used - this.from;
    this.from = this.used;
  }
}
