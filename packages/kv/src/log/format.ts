/**
 * The bytes of the log. All integers are little-endian.
 *
 *      header   32 bytes   "@io/kv\r\n"  version u32  zero u32  created f64 (ms)  zero u32  crc u32
 *      record              crc u32 | length u32 | operations, `length` bytes
 *      ...
 *      zeros               written ahead so that a sync need not also record a new file length
 *
 * A record is one command, so what it did (all keys of an MSET, say) is kept or lost as a whole.
 * The crc covers the length and the operations. Eight zero bytes are no valid record, so the zeros
 * behind the last one read as its end.
 *
 * Operations say what came out, not what was asked for: an INCR is logged as the value it made, an
 * EXPIRE as a point in time, and a key that had expired is replaced by a whole value. So replay
 * never looks at the clock and always computes the same. Expiry itself is not logged: when the log
 * has been read, what has expired by then is gone by its time.
 *
 *      set          1 | key length u32 | value length u32 | key | value
 *      set expiring 2 | key length u32 | value length u32 | at f64 (ms) | key | value
 *      remove       3 | key length u32 | key
 *      expire       4 | key length u32 | at f64 (ms, 0: never) | key
 *      append       5 | key length u32 | value length u32 | key | value
 *      clear        6
 */

import { crc32 } from "../crc.js";

export const HEADER_BYTES = 32;
export const RECORD_HEADER_BYTES = 8;
export const VERSION = 1;

/** A record holds one request, whose size is limited, and a few bytes per argument. */
export const RECORD_LIMIT_BYTES = 0x7fffffff;

export const Operation = {
  set: 1,
  setExpiring: 2,
  remove: 3,
  expire: 4,
  append: 5,
  clear: 6,
} as const;

const MAGIC = Buffer.from("@io/kv\r\n", "latin1");

export function makeHeader(createdMs: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header, 0);
  header.writeUInt32LE(VERSION, 8);
  header.writeDoubleLE(createdMs, 16);
  header.writeUInt32LE(crc32(header, 0, 28), 28);
  return header;
}

/** What is wrong with the header, as the rest of a sentence, or undefined when it is right. */
export function headerFault(header: Buffer): string | undefined {
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) {
    return `it begins with ${header.subarray(0, MAGIC.length).toString("hex")}, not with the mark \
of a log`;
  }
  if (header.readUInt32LE(28) !== crc32(header, 0, 28))
    return "the checksum of its header is wrong";
  const version = header.readUInt32LE(8);
  if (version !== VERSION) return `it has version ${version}, and this program reads ${VERSION}`;
  return undefined;
}
