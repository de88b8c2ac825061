/**
 * Gathers the records of one commit in memory, ready to be written as they are.
 *
 * `begin()`, any number of operations, `end()` make a record; a record without operations leaves no
 * trace.
 */

import { crc32 } from "../crc.js";
import { type Value, writeValue } from "../value.js";
import { Operation, RECORD_HEADER_BYTES } from "./format.js";

const INITIAL_BYTES = 64 * 1024;
/** After a commit larger than this the memory is released. */
const KEEP_BYTES = 4 * 1024 * 1024;

const scratch = new Float64Array(1);
const scratchBytes = new Uint8Array(scratch.buffer);

export class Batch {
  private bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  private used = 0;
  private recordStart = 0;
  private recordCount = 0;

  get sizeBytes(): number {
    return this.used;
  }

  get records(): number {
    return this.recordCount;
  }

  /** The records as they go into the log. */
  contents(): Buffer {
    return this.bytes.subarray(0, this.used);
  }

  reset(): void {
    this.used = 0;
    this.recordCount = 0;
    if (this.bytes.length > KEEP_BYTES) this.bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  }

  begin(): void {
    this.reserve(RECORD_HEADER_BYTES);
    this.recordStart = this.used;
    this.used += RECORD_HEADER_BYTES;
  }

  /** Drops the record that was begun, with everything put into it. */
  abandon(): void {
    this.used = this.recordStart;
  }

  end(): void {
    const start = this.recordStart;
    const length = this.used - start - RECORD_HEADER_BYTES;
    if (length === 0) {
      this.used = start;
      return;
    }
    this.bytes.writeUInt32LE(length, start + 4);
    this.bytes.writeUInt32LE(crc32(this.bytes, start + 4, this.used), start);
    this.recordCount++;
  }

  set(key: string, value: Value, expireAtMs: number): void {
    this.reserve(17 + key.length + value.length);
    this.byte(expireAtMs === 0 ? Operation.set : Operation.setExpiring);
    this.length(key.length);
    this.length(value.length);
    if (expireAtMs !== 0) this.time(expireAtMs);
    this.key(key);
    this.value(value);
  }

  remove(key: string): void {
    this.reserve(5 + key.length);
    this.byte(Operation.remove);
    this.length(key.length);
    this.key(key);
  }

  expire(key: string, expireAtMs: number): void {
    this.reserve(13 + key.length);
    this.byte(Operation.expire);
    this.length(key.length);
    this.time(expireAtMs);
    this.key(key);
  }

  append(key: string, value: Value): void {
    this.reserve(9 + key.length + value.length);
    this.byte(Operation.append);
    this.length(key.length);
    this.length(value.length);
    this.key(key);
    this.value(value);
  }

  clear(): void {
    this.reserve(1);
    this.byte(Operation.clear);
  }

  private byte(value: number): void {
    this.bytes[this.used++] = value;
  }

  private length(value: number): void {
    const { bytes, used } = this;
    bytes[used] = value;
    bytes[used + 1] = value >>> 8;
    bytes[used + 2] = value >>> 16;
    bytes[used + 3] = value >>> 24;
    this.used = used + 4;
  }

  private time(atMs: number): void {
    scratch[0] = atMs;
    this.bytes.set(scratchBytes, this.used);
    this.used += 8;
  }

  private key(key: string): void {
    this.bytes.write(key, this.used, "latin1");
    this.used += key.length;
  }

  private value(value: Value): void {
    writeValue(value, this.bytes, this.used);
    this.used += value.length;
  }

  private reserve(length: number): void {
    const needed = this.used + length;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.used);
    this.bytes = grown;
  }
}
