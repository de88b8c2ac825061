// Names of the system as text, and back. A name is bytes; mostly they are UTF-8. Each byte that is
// not part of UTF-8 stands in the text as a lone surrogate, U+DC80 to U+DCFF, which no UTF-8 can
// be: so the text names the same bytes again. Python has the same rule (PEP 383).
import { isUtf8 } from "node:buffer";

const ESCAPE = 0xdc00;
const ESCAPES = /[\udc80-\udcff]/u; // lone ones: with "u" a pair is one character

/** The text of a name. */
export function textFromBytes(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return Buffer.from(bytes).toString();
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    text +=
      length === 0
        ? String.fromCharCode(ESCAPE + (bytes[at] as number))
        : Buffer.from(bytes.subarray(at, at + length)).toString();
    at += Math.max(1, length);
  }
  return text;
}

// 0 when no character of UTF-8 begins there.
function characterLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const whole = at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length));
  return whole ? length : 0;
}

/** What a name is to the system: the text itself, where that is all UTF-8. */
export function bytesFromText(text: string): string | Uint8Array {
  if (!ESCAPES.test(text)) return text;
  const parts = Array.from(text, (character) => {
    const code = character.codePointAt(0) as number;
    const escaped = code >= ESCAPE + 0x80 && code <= ESCAPE + 0xff;
    return escaped ? Buffer.of(code - ESCAPE) : Buffer.from(character);
  });
  return Buffer.concat(parts);
}
