// Values that a caller may pass by mistake, what each kind of argument takes, and what a call is.

import { types } from "node:util";
import type {
  AcquiredBuffer,
  BufferGroup,
  DatagramSocket,
  File,
  IO,
  Listener,
  Socket,
} from "@io/core";

/** Values that are one thing or another, and mostly not what is wanted. */
export function junk(): [name: string, value: unknown][] {
  const detached = new Uint8Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  return [
    ["undefined", undefined],
    ["null", null],
    ["true", true],
    ["false", false],
    ["0", 0],
    ["-0", -0],
    ["-1", -1],
    ["-2", -2],
    ["0.5", 0.5],
    ["NaN", Number.NaN],
    ["Infinity", Number.POSITIVE_INFINITY],
    ["-Infinity", Number.NEGATIVE_INFINITY],
    ["2^31", 2 ** 31],
    ["2^32", 2 ** 32],
    ["2^32 + 1", 2 ** 32 + 1],
    ["2^53", 2 ** 53],
    ["1e300", 1e300],
    ["0n", 0n],
    ["7n", 7n],
    ["-1n", -1n],
    ["2n ** 64n", 2n ** 64n],
    ['""', ""],
    ['"2"', "2"],
    ['"text"', "text"],
    ['"0644"', "0644"],
    ['"a\\0b"', "a\0b"],
    ['"__proto__"', "__proto__"],
    ['"constructor"', "constructor"],
    ["a symbol", Symbol("junk")],
    ["Symbol.iterator", Symbol.iterator],
    ["{}", {}],
    ["{ length: 1 }", { length: 1 }],
    ["{ timeout: 5 }", { timeout: 5 }],
    ["an object without a prototype", Object.create(null)],
    ["an object that converts by throwing", throwing()],
    ["[]", []],
    ["[1, 2]", [1, 2]],
    ["a function", () => 0],
    ["a class", class Junk {}],
    ["a date", new Date(0)],
    ["a map", new Map()],
    ["a promise", Promise.resolve(0)],
    ["an error", new Error("junk")],
    ["an AbortController", new AbortController()],
    ["an ArrayBuffer", new ArrayBuffer(8)],
    ["a SharedArrayBuffer", new SharedArrayBuffer(8)],
    ["a detached view", detached],
    ["zeros", new Uint8Array(8)],
    ["a URL of the web", new URL("https://example.org/")],
  ];
}

function throwing(): object {
  const fail = (): never => {
    throw new Error("nothing converts this");
  };
  return { valueOf: fail, toString: fail, [Symbol.toPrimitive]: fail };
}

/** Whether a value is right for an argument, so that the call is not to be refused. */
export type Takes = (value: unknown) => boolean;

const isAbsent: Takes = (value) => value === undefined || value === null;
export const nothing: Takes = () => false;

const whole = (least: number, most = Number.MAX_SAFE_INTEGER): Takes => {
  return (value) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
};

const bigOrWhole = (least: number): Takes => {
  return (value) => {
    const number = typeof value === "bigint" ? Number(value) : value;
    return whole(least)(number);
  };
};

const orAbsent = (takes: Takes): Takes => {
  return (value) => isAbsent(value) || takes(value);
};

const isBoolean: Takes = (value) => typeof value === "boolean";
const isBytes: Takes = (value) => isView(value) || types.isAnyArrayBuffer(value);
const isMode: Takes = (value) => whole(0, 0o7777)(value) || value === "0644";
const isView: Takes = (value) => ArrayBuffer.isView(value) && value.byteLength > 0;
const isMilliseconds: Takes = (value) =>
  typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER / 1e6;
// Options that nothing is wrong with: an object without keys, and none of a class with a name.
const isOptions: Takes = (value) => {
  if (isAbsent(value)) return true;
  if (value instanceof AbortController) return true; // it has a signal
  const isPlain = Object.prototype.toString.call(value) === "[object Object]";
  return isPlain && Object.keys(value as object).length === 0;
};
const isCallback: Takes = (value) => typeof value === "function";

/** The kinds of arguments that there are. */
export const KINDS = {
  nothing,
  boolean: orAbsent(isBoolean),
  view: isView,
  bytes: isBytes,
  data: (value: unknown): boolean => typeof value === "string" || isBytes(value),
  position: orAbsent(bigOrWhole(0)),
  positionOrOptions: (value: unknown): boolean => isOptions(value) || bigOrWhole(0)(value),
  place: bigOrWhole(0),
  placeOrAbsent: orAbsent(bigOrWhole(0)),
  lengthOrAbsent: orAbsent((value) => value === Number.POSITIVE_INFINITY || bigOrWhole(0)(value)),
  nanoseconds: bigOrWhole(0),
  milliseconds: isMilliseconds,
  intervalMs: (value: unknown): boolean => isMilliseconds(value) && value !== 0,
  size: whole(0),
  offset: whole(-1),
  backlog: orAbsent(bigOrWhole(0)),
  mode: isMode,
  modeOrAbsent: orAbsent(isMode),
  // Whatever else is in it; the engine refuses bits that it does not know.
  flags: whole(0, 0x7fffffff),
  path: (value: unknown): boolean => {
    if (value instanceof Uint8Array) return value.byteLength === 0;
    return typeof value === "string" && !value.includes("\0");
  },
  host: orAbsent((value) => typeof value === "string" && value !== "" && !value.includes("\0")),
  signal: isAbsent,
  timeoutMs: orAbsent(isMilliseconds),
  sizeOrAbsent: orAbsent(bigOrWhole(0)),
  options: isOptions,
  callback: isCallback,
  absent: isAbsent,
  // A default takes the place of undefined alone.
  undefined: (value: unknown): boolean => value === undefined,
} as const satisfies Record<string, Takes>;

/** One argument of a call: what is right for it. */
export interface Argument {
  readonly good: () => unknown;
  readonly takes: Takes;
}

export function argument(good: () => unknown, kind: keyof typeof KINDS): Argument {
  return { good, takes: KINDS[kind] };
}

/** A public call: how it is made, and what it takes. */
export interface Call {
  readonly name: string;
  readonly make: (given: unknown[]) => unknown;
  readonly takes: readonly Argument[];
  /** Options of its last argument, by name. */
  readonly options?: Readonly<Record<string, Takes>>;
  /** What the options need to be right but for the one that is tried. */
  readonly base?: object;
}

/** What the calls are made on. */
export interface Scene {
  readonly io: IO;
  readonly file: File;
  readonly listener: Listener;
  readonly client: Socket;
  readonly served: Socket;
  readonly datagrams: DatagramSocket;
  readonly group: BufferGroup;
  readonly messages: BufferGroup;
  readonly block: AcquiredBuffer;
  readonly path: (name: string) => string;
}
