/**
 * How a value is held in memory. Short ones are strings with one byte per character: V8 keeps them
 * in a few dozen bytes where a Buffer costs some two hundred. Long ones are Buffers, which live
 * outside of the JavaScript heap. A value is never changed in place, so a reply, a log batch or a
 * snapshot may hold on to it.
 */

export type Value = string | Buffer;

/** From this length on a value is a Buffer. */
export const LONG_VALUE_BYTES = 4096;

export function valueFrom(bytes: Buffer, start: number, end: number): Value {
  if (end - start < LONG_VALUE_BYTES) return bytes.toString("latin1", start, end);
  const copy = Buffer.allocUnsafeSlow(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}

/** The value as a string with one byte per character. */
export function valueText(value: Value): string {
  return typeof value === "string" ? value : value.toString("latin1");
}

export function writeValue(value: Value, into: Buffer, at: number): void {
  if (typeof value === "string") into.write(value, at, "latin1");
  else value.copy(into, at);
}

const scratch = Buffer.allocUnsafeSlow(LONG_VALUE_BYTES);

/**
 * V8 would keep `a + b` as a reference to both: a value made of a thousand appends took fifty times
 * the memory of its bytes.
 */
function flat(a: string, b: string): string {
  scratch.write(a, 0, "latin1");
  scratch.write(b, a.length, "latin1");
  return scratch.toString("latin1", 0, a.length + b.length);
}

/**
 * The two joined. A long value is grown like a vector: its memory has spare room behind it, and the
 * next append uses that room, so that many small appends do not copy the whole each time. The older
 * view ends where it ended and so never changes.
 */
export function appendValue(value: Value, addition: Value): Value {
  const length = value.length + addition.length;
  if (typeof value === "string") {
    if (typeof addition === "string" && length < LONG_VALUE_BYTES) return flat(value, addition);
    const joined = Buffer.allocUnsafeSlow(length);
    writeValue(value, joined, 0);
    writeValue(addition, joined, value.length);
    return joined;
  }
  const room = value.buffer.byteLength - value.byteOffset;
  if (room >= length) {
    const joined = Buffer.from(value.buffer, value.byteOffset, length);
    writeValue(addition, joined, value.length);
    return joined;
  }
  const grown = Buffer.allocUnsafeSlow(Math.min(length * 2, length + (64 << 20)));
  value.copy(grown, 0);
  writeValue(addition, grown, value.length);
  return grown.subarray(0, length);
}
