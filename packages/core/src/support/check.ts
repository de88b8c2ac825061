// The arguments of callers, checked: one function for each kind of argument, used by every public
// call.
//
// The rules. `undefined` and `null` both mean "not given": options, their members, a position. An
// argument of the wrong type is ERR_INVALID_ARG_TYPE. A number that is not allowed is
// ERR_OUT_OF_RANGE, and anything else of the right type that cannot be meant, such as an unknown
// word, is ERR_INVALID_ARG_VALUE. The message has the call, the argument's name, what was given,
// and what is right. Nothing is converted by its own methods. What a value itself throws when it is
// looked at (a getter, a proxy) is thrown as it is.
import { fileURLToPath } from "node:url";
import { types } from "node:util";
import { textFromBytes } from "../engine/text.js";
import { IOError, numberError, typeError } from "../errors.js";

/** The options that a call knows, with its name for errors. */
export interface Known {
  readonly operation: string;
  readonly names: ReadonlySet<string>;
}

/** What a promise may be ended by; most calls know these. */
const ENDINGS = ["signal", "timeoutMs"] as const;

/** The options of a call that can be ended early: its own, and `signal` and `timeoutMs`. */
export function knows(operation: string, ...own: string[]): Known {
  return { operation, names: new Set([...own, ...ENDINGS]) };
}

/** The options of a call that cannot be ended early. */
export function knowsOnly(operation: string, ...own: string[]): Known {
  return { operation, names: new Set(own) };
}

const SHOWN_LENGTH = 60;

/** A value and its type, as a message shows them. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case "string": {
      const text = value.length > SHOWN_LENGTH ? `${value.slice(0, SHOWN_LENGTH)}...` : value;
      return `${JSON.stringify(text)}, a string`;
    }
    case "bigint":
      return `${value}n, a bigint`;
    case "symbol":
      return `${String(value)}, a symbol`;
    case "function":
      return "a function";
    case "object":
      return shownObject(value);
    default:
      return String(value);
  }
}

function shownObject(value: object | null): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  const kind = kindOf(value);
  return kind === "Object" ? "an object" : `an instance of ${kind}`;
}

// "Object" for an object of options, also of a class of the program's; "Map", "Promise" and so on.
function kindOf(value: object): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

// An AbortController has a signal, so it may stand for { signal }. An array has a method "filter".
function hasKnown(options: object, { names }: Known): boolean {
  if (Array.isArray(options) || ArrayBuffer.isView(options)) return false;
  for (const name of names) if (name in options) return true;
  return false;
}

function isPlain(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype || kindOf(value) === "Object";
}

/** The error of an argument that is of the right kind and cannot be meant. */
export function valueError(operation: string, message: string): IOError {
  const code = "ERR_INVALID_ARG_VALUE";
  return new IOError({ code, operation, message: `${operation}: ${message}` });
}

/**
 * Throws unless the options, when there are any, are an object of options that the call knows.
 * `within` is the option that is an object of options itself.
 */
export function checkOptions(options: unknown, known: Known, within?: string): void {
  if (options === undefined || options === null) return;
  // A signal, a promise or a date has no keys, and would pass for options that say nothing.
  if (typeof options !== "object" || !(isPlain(options) || hasKnown(options, known))) {
    const what = within === undefined ? "the options are" : `${within} is`;
    const message = `${what} ${shown(options)}: give an object with ${listed(known)}`;
    throw typeError(known.operation, message);
  }
  for (const name of Object.keys(options)) {
    if (known.names.has(name)) continue;
    const path = within === undefined ? name : `${within}.${name}`;
    const message = `there is no option ${JSON.stringify(path)}: it takes ${listed(known)}`;
    throw valueError(known.operation, message);
  }
}

/** The same for options that must be given. */
export function checkGiven(options: unknown, known: Known): void {
  if (options === undefined || options === null) {
    const message = `the options are ${shown(options)}: give an object with ${listed(known)}`;
    throw typeError(known.operation, message);
  }
  checkOptions(options, known);
}

function listed({ names }: Known): string {
  const all = [...names];
  if (all.length === 0) return "no options";
  return all.length === 1 ? `${all[0]}` : `${all.slice(0, -1).join(", ")} and ${all.at(-1)}`;
}

/** A whole number within bounds. */
export function wholeNumber(
  value: unknown,
  min: number,
  max: number,
  name: string,
  operation: string,
): number {
  if (Number.isSafeInteger(value)) {
    if ((value as number) >= min && (value as number) <= max) return value as number;
  }
  const message = `${name} is ${shown(value)}: give ${bounds(min, max)}`;
  throw numberError(operation, value, message);
}

/** The same for what may be a bigint: positions, lengths and times. */
export function wholeOrBigint(
  value: unknown,
  min: number,
  name: string,
  operation: string,
): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (Number.isSafeInteger(number) && (number as number) >= min) return number as number;
  const right = bounds(min, Number.MAX_SAFE_INTEGER);
  throw numberError(operation, value, `${name} is ${shown(value)}: give ${right}`, true);
}

// As far as a Date reaches.
const MAX_MOMENT_MS = 8.64e15;
const NS_OF_MS = 1_000_000n;

/** A time as an entry has it: whole milliseconds since 1970, and nanoseconds behind them. */
export function momentFrom(
  value: unknown,
  name: string,
  operation: string,
): readonly [ms: number, ns: number] {
  const time = value instanceof Date ? value.getTime() : value;
  if (typeof time === "number" && Math.abs(time) <= MAX_MOMENT_MS) return [time, 0];
  if (typeof time === "bigint") {
    const ns = ((time % NS_OF_MS) + NS_OF_MS) % NS_OF_MS;
    const ms = Number((time - ns) / NS_OF_MS);
    if (Math.abs(ms) < MAX_MOMENT_MS) return [ms, Number(ns)];
  }
  const right = "give a Date, milliseconds since 1970, or nanoseconds as a bigint";
  throw numberError(operation, value, `${name} is ${shown(value)}: ${right}`, true);
}

function bounds(min: number, max: number): string {
  if (max === Number.MAX_SAFE_INTEGER) return `a whole number from ${min} to 2^53 - 1`;
  return `a whole number from ${min} to ${max}`;
}

/** `true` or `false`, or what it is when it is not given. */
export function flag(value: unknown, absent: boolean, name: string, operation: string): boolean {
  if (typeof value === "boolean") return value;
  if (value === undefined || value === null) return absent;
  throw typeError(operation, `${name} is ${shown(value)}: give true or false`);
}

/** One of a few words. */
export function oneOf<Word extends string>(
  value: unknown,
  words: Readonly<Record<Word, unknown>>,
  name: string,
  operation: string,
): Word {
  if (typeof value === "string" && Object.hasOwn(words, value)) return value as Word;
  const right = Object.keys(words).map((word) => `"${word}"`);
  throw wordError(operation, value, `${name} is ${shown(value)}: give ${right.join(" or ")}`);
}

/** The error of what should be one of a few words: of another type, or an unknown word. */
export function wordError(operation: string, value: unknown, message: string): IOError {
  return (typeof value === "string" ? valueError : typeError)(operation, message);
}

export function checkFunction(value: unknown, name: string, operation: string): void {
  if (typeof value === "function") return;
  throw typeError(operation, `${name} is ${shown(value)}: give a function`);
}

/** A class of the library. Those with private fields tell what only looks like one of theirs. */
export interface OwnClass {
  readonly prototype: object;
  isOne?(value: unknown): boolean;
}

/** Throws unless it is one of the library's own objects. */
export function checkInstance(
  value: unknown,
  kind: OwnClass,
  right: string,
  name: string,
  operation: string,
): void {
  const isOne =
    kind.isOne?.(value) ?? Object.prototype.isPrototypeOf.call(kind.prototype, value as object);
  if (isOne) return;
  throw typeError(operation, `${name} is ${shown(value)}: give ${right}`);
}

/** For constructors that only the library calls: `new File()` says how one is opened. */
export function checkMade(part: unknown, name: string, how: string): void {
  if (typeof part === "object" && part !== null) return;
  throw typeError(name, `it is not made with new: call ${how}`);
}

/** Throws when nothing can be aborted by it. */
export function checkSignal(signal: unknown, operation: string): void {
  if (signal instanceof AbortSignal || isLikeSignal(signal)) return;
  const right =
    signal instanceof AbortController
      ? "the controller itself: give its signal, controller.signal"
      : `${shown(signal)}: give an AbortSignal`;
  throw typeError(operation, `signal is ${right}`);
}

// One of another realm, or of another library.
function isLikeSignal(signal: unknown): boolean {
  if (typeof signal !== "object" || signal === null) return false;
  const { aborted, addEventListener, removeEventListener } = signal as Partial<AbortSignal>;
  return (
    typeof aborted === "boolean" &&
    typeof addEventListener === "function" &&
    typeof removeEventListener === "function"
  );
}

/** The longest time in milliseconds: 104 days. */
const MAX_MS = Number.MAX_SAFE_INTEGER / 1e6;

/** A time in milliseconds, of which there may be fractions. */
export function milliseconds(value: unknown, name: string, operation: string): number {
  if (typeof value === "number" && value >= 0 && value <= MAX_MS) return value;
  const right = `give milliseconds, 0 to ${Math.floor(MAX_MS)}`;
  throw numberError(operation, value, `${name} is ${shown(value)}: ${right}`);
}

/** Milliseconds as the ring takes them; what is above 0 stays above 0. */
export function nanosecondsOf(ms: number): number {
  return ms === 0 ? 0 : Math.min(Math.max(1, Math.round(ms * 1e6)), Number.MAX_SAFE_INTEGER);
}

/** Throws unless it is a time limit. */
export function checkTimeout(timeoutMs: unknown, operation: string): void {
  milliseconds(timeoutMs, "timeoutMs", operation);
}

export function checkPort(port: unknown, operation: string): void {
  wholeNumber(port, 0, 65_535, "the port", operation);
}

/** The port of a socket that has no path. */
export function checkPortGiven(port: unknown, operation: string): void {
  if (port === undefined || port === null) {
    throw typeError(operation, "no port is given: give { port } or { path }");
  }
  checkPort(port, operation);
}

/** Throws unless it can be the host of an address; the system would cut it at a zero byte. */
export function checkHost(host: unknown, operation: string): void {
  const right = "give an IP address or a name";
  if (typeof host !== "string") {
    throw typeError(operation, `the host is ${shown(host)}: ${right}`);
  }
  if (host === "") throw valueError(operation, `the host is empty: ${right}, or leave it out`);
  if (!host.includes("\0")) return;
  throw valueError(operation, `the host ${JSON.stringify(host)} has a zero byte`);
}

/**
 * Throws unless it can be the path of a unix socket. The system would cut it at a zero byte, but
 * for one at its beginning: then it is an abstract name, in which every byte counts.
 */
export function checkSocketPath(path: unknown, operation: string): asserts path is string {
  if (typeof path !== "string") {
    throw typeError(operation, `the path is ${shown(path)}: give a string or a Buffer`);
  }
  if (path.startsWith("\0") || !path.includes("\0")) return;
  const why = "has a zero byte, which only an abstract name has, at its beginning";
  throw valueError(operation, `the path ${JSON.stringify(path)} ${why}`);
}

/**
 * A path as Node takes it: a string, a `file:` URL, or bytes, which need not be UTF-8. In a string
 * a lone surrogate from U+DC80 to U+DCFF is a byte from 0x80 to 0xff: so the library writes names
 * that are not UTF-8.
 *
 * @category Files
 */
export type Path = string | URL | Uint8Array;

/** What of a path goes to the system. */
export function pathFrom(path: unknown, operation: string): string | Uint8Array {
  const given = path instanceof URL ? filePath(path, operation) : path;
  const isBytes = types.isUint8Array(given);
  if (typeof given !== "string" && !isBytes) {
    const right = "give a string, a Buffer or a file: URL";
    throw typeError(operation, `the path is ${shown(given)}: ${right}`);
  }
  // A detached buffer has no bytes to look at.
  const hasZero = isBytes ? given.length > 0 && given.includes(0) : given.includes("\0");
  if (hasZero) throw valueError(operation, "the path has a zero byte, which no file name can have");
  return given;
}

/** A path as errors show it. */
export function pathText(path: string | Uint8Array): string {
  return typeof path === "string" ? path : textFromBytes(path);
}

function filePath(url: URL, operation: string): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    const { message } = cause as Error;
    throw valueError(operation, `the path is the URL ${JSON.stringify(String(url))}: ${message}`);
  }
}

const MAX_MODE = 0o7777;

/**
 * Permissions: a number, or octal digits that begin with a 0. Without that "644" would be octal for
 * some and decimal for others.
 *
 * @category Files
 */
export type FileMode = number | string;

const OCTAL = /^0o?[0-7]{1,5}$/;

export function modeFrom(mode: unknown, operation: string): number {
  const isOctal = typeof mode === "string" && OCTAL.test(mode);
  const bits = isOctal ? Number.parseInt(mode.replace("o", ""), 8) : mode;
  if (Number.isInteger(bits) && (bits as number) >= 0 && (bits as number) <= MAX_MODE) {
    return bits as number;
  }
  const right = 'give a number from 0 to 0o7777, such as 0o644, or octal digits such as "0644"';
  const message = `mode is ${shown(mode)}: ${right}`;
  if (typeof mode === "string") throw valueError(operation, message);
  throw numberError(operation, mode, message);
}

/**
 * Memory of a call: a view, or all of an ArrayBuffer or SharedArrayBuffer.
 *
 * @category Start
 */
export type Bytes = ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/** The view that the ring is given. What is no memory stays as it is, and the ring refuses it. */
export function viewFrom(bytes: Bytes, operation: string): ArrayBufferView {
  if (ArrayBuffer.isView(bytes) || !types.isAnyArrayBuffer(bytes)) return bytes as ArrayBufferView;
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    const code = "ERR_IO_BUFFER_DETACHED";
    const message = `${operation}: the buffer was transferred, so its memory is another thread's`;
    throw new IOError({ code, operation, message, cause });
  }
}

/** The bytes of a message; text is sent as UTF-8. */
export function bytesFrom(data: Bytes | string, operation: string): ArrayBufferView {
  if (typeof data === "string") return Buffer.from(data);
  if (ArrayBuffer.isView(data) || types.isAnyArrayBuffer(data)) return viewFrom(data, operation);
  const right = "a string, a TypedArray, a DataView, a Buffer or an ArrayBuffer";
  throw typeError(operation, `the data is ${shown(data)}: give ${right}`);
}
