// What bytes may stand where in a request: one table of classes, from the grammar of RFC 9110 and
// 9112. The parser looks every byte up in it and knows no byte by itself but the separators.

/** A byte of a method's or a field's name. */
export const TOKEN = 1;
/** A byte of a field's value: a tab, a space, what can be seen, and bytes from 0x80 on. */
export const VALUE = 2;
/** A byte of a request's target, its "?" included. */
export const TARGET = 4;
/** A byte of a host with its port. */
export const HOST = 8;
/** A byte inside the quotes of a chunk extension, other than the quote and the backslash. */
export const QUOTED = 16;

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGITS = "0123456789";

const ROWS: readonly (readonly [bytesOf: string, classes: number])[] = [
  [LETTERS + DIGITS, TOKEN | TARGET | HOST],
  ["!$&'*+-._~", TOKEN | TARGET | HOST],
  ["%", TOKEN | TARGET | HOST],
  ["#", TOKEN],
  ["^`|", TOKEN | TARGET],
  ["(),:;=[]", TARGET | HOST],
  ['"/<>?@\\{}', TARGET],
];

function makeClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  for (const [bytesOf, given] of ROWS) {
    for (const letter of bytesOf) classes[letter.charCodeAt(0)]! |= given;
  }
  for (let byte = 0; byte < 256; byte++) {
    const shows = byte === 0x09 || (byte >= 0x20 && byte !== 0x7f);
    if (!shows) continue;
    classes[byte]! |= VALUE;
    if (byte !== 0x22 && byte !== 0x5c) classes[byte]! |= QUOTED;
  }
  return classes;
}

/** By byte: the classes that it belongs to. */
export const CLASSES: Uint8Array = makeClasses();

/** By byte: the value of a hexadecimal digit, 255 for any other byte. */
export const HEX: Uint8Array = new Uint8Array(256).fill(255);
for (const [value, digit] of [..."0123456789abcdef"].entries()) {
  HEX[digit.charCodeAt(0)] = value;
  HEX[digit.toUpperCase().charCodeAt(0)] = value;
}

/** The methods that are known: those of node:http. */
export const METHODS: readonly string[] = [
  ...["ACL", "BIND", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK"],
  ...["M-SEARCH", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "NOTIFY", "OPTIONS"],
  ...["PATCH", "POST", "PROPFIND", "PROPPATCH", "PURGE", "PUT", "QUERY", "REBIND", "REPORT"],
  ...["SEARCH", "SOURCE", "SUBSCRIBE", "TRACE", "UNBIND", "UNLINK", "UNLOCK", "UNSUBSCRIBE"],
];

/** Bytes of the longest method. */
export const MAX_METHOD_BYTES: number = Math.max(...METHODS.map((name) => name.length));
