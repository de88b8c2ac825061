// The fields of an answer: checked, and as the bytes that are sent.

import { CLASSES, TOKEN, VALUE } from "./parser/tables.js";

/**
 * The fields of an answer: an object, or pairs where a name stands there several times.
 *
 * @category Exchange
 */
export type Fields =
  | Readonly<Record<string, string | number | readonly string[]>>
  | Iterable<readonly [name: string, value: string]>;

/** Fields that the server writes itself, so that an answer cannot be framed in two ways. */
const SERVERS_OWN: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "transfer-encoding",
]);

/**
 * The error of what this package refuses: its `code` begins with "ERR_HTTP_".
 *
 * @category Server
 *
 * @example
 * ```ts
 * import { FieldBlock, HttpError } from "@io/http";
 *
 * try {
 *   new FieldBlock({ "a name with blanks": "1" });
 * } catch (error) {
 *   if (!(error instanceof HttpError)) throw error;
 *   console.log(error.code);
 * }
 * ```
 */
export class HttpError extends Error {
  /** "ERR_HTTP_..." */
  readonly code: string;

  /** @internal */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "HttpError";
    this.code = code;
  }
}

/** Throws an `HttpError` when the name of a field has a character that may not stand there. */
export function checkName(name: string): void {
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code < 0x80 && (CLASSES[code]! & TOKEN) !== 0) continue;
    throw new HttpError(
      "ERR_HTTP_FIELD_NAME",
      `the name of a field has a character that may not stand there: ${JSON.stringify(name)}`,
    );
  }
  if (name === "") throw new HttpError("ERR_HTTP_FIELD_NAME", "the name of a field is empty");
}

/** The same of a value. */
export function checkValue(name: string, value: string): void {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code < 0x100 && (CLASSES[code]! & VALUE) !== 0) continue;
    throw new HttpError(
      "ERR_HTTP_FIELD_VALUE",
      `the value of ${name} has a character that may not stand there: ${JSON.stringify(value)}`,
    );
  }
}

function* pairs(fields: Fields): Iterable<readonly [string, string]> {
  if (Symbol.iterator in fields) {
    yield* fields as Iterable<readonly [string, string]>;
    return;
  }
  for (const [name, value] of Object.entries(fields)) {
    if (Array.isArray(value)) for (const one of value as string[]) yield [name, String(one)];
    else yield [name, String(value)];
  }
}

/** The fields as text, each with its line end. What the server writes itself is left out. */
export function fieldText(fields: Fields): string {
  let text = "";
  for (const [name, value] of pairs(fields)) {
    checkName(name);
    checkValue(name, value);
    if (!SERVERS_OWN.has(name.toLowerCase())) text += `${name}: ${value}\r\n`;
  }
  return text;
}

/** The Content-Length among the fields: an answer to HEAD may name one. */
export function lengthIn(fields: Fields): number | undefined {
  for (const [name, value] of pairs(fields)) {
    if (name.toLowerCase() !== "content-length") continue;
    const length = Number(value);
    if (Number.isSafeInteger(length) && length >= 0) return length;
    throw new HttpError("ERR_HTTP_LENGTH", `Content-Length is ${value}: give a number of bytes`);
  }
  return undefined;
}

/**
 * Fields that many answers have, checked and encoded once.
 *
 * @category Exchange
 *
 * @example
 * ```ts
 * import { FieldBlock, serve } from "@io/http";
 *
 * const plain = new FieldBlock({ "content-type": "text/plain" });
 * await using server = await serve({
 *   port: 0,
 *   request: (exchange) => exchange.respond(200, plain, "Hello"),
 * });
 * console.log(server.url);
 * ```
 */
export class FieldBlock {
  /** @internal */
  readonly bytes: Uint8Array;
  /** @internal */
  readonly length: number | undefined;

  /**
   * Checks the fields.
   *
   * @param fields of many answers
   * @throws `ERR_HTTP_FIELD_NAME` or `ERR_HTTP_FIELD_VALUE` when one has a character that may not
   *   stand there
   */
  constructor(fields: Fields) {
    this.bytes = Buffer.from(fieldText(fields), "latin1");
    this.length = lengthIn(fields);
  }
}
