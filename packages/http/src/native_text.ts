// Between text and bytes by the shortest way that Node has: methods of Buffer that its types do not
// name, and which work on any Uint8Array.

interface NativeText {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
  utf8Slice(this: Uint8Array, start: number, end: number): string;
  utf8Write(this: Uint8Array, text: string, start: number): number;
}

const { latin1Slice, utf8Slice, utf8Write } = Buffer.prototype as unknown as NativeText;

// What is shorter costs less in a loop than in a call.
const CALL_LENGTH = 64;

/** The bytes as text, each a character. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end);
}

/** The bytes as text, of which they are the UTF-8. */
export function utf8Text(bytes: Uint8Array, start: number, end: number): string {
  return utf8Slice.call(bytes, start, end);
}

/** Writes text as UTF-8, for which there must be room, and returns the bytes that it took. */
export function writeText(bytes: Uint8Array, start: number, text: string): number {
  const { length } = text;
  if (length > CALL_LENGTH) return utf8Write.call(bytes, text, start);
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x80) return utf8Write.call(bytes, text, start);
    bytes[start + at] = code;
  }
  return length;
}

/** Writes a whole number in decimal digits, and returns how many there are. */
export function writeNumber(bytes: Uint8Array, start: number, value: number): number {
  if (value > 0x7fffffff) return writeText(bytes, start, String(value));
  let digits = 1;
  for (let left = value; left >= 10; left = (left / 10) | 0) digits++;
  for (let at = start + digits - 1, left = value; at >= start; at--) {
    bytes[at] = 0x30 + (left % 10);
    left = (left / 10) | 0;
  }
  return digits;
}
