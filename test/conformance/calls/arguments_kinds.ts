// Values that a caller may pass by mistake, and what each kind of argument takes and refuses.

import { types } from "node:util";
import { runInNewContext } from "node:vm";
import { growable, resizable } from "../support/data.js";

/** What a value throws itself when it is looked at. It is the caller's, so it is no IOError. */
export const OWN_ERROR = new Error("of the value that was given");

// Made once: a realm takes a millisecond.
const REALM: Readonly<Record<"view" | "object" | "array" | "bare" | "call", unknown>> =
  runInNewContext(`({
    view: new Uint8Array(8), object: {}, array: [], bare: Object.create(null), call: () => 0,
  })`);

/** Values that are one thing or another, and mostly not what is wanted. */
export function junk(): [name: string, value: unknown][] {
  const detached = new Uint8Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  return [
    ["undefined", undefined],
    ["null", null],
    ["true", true],
    ["false", false],
    ...numbers(),
    ...words(),
    ["a symbol", Symbol("junk")],
    ["Symbol.iterator", Symbol.iterator],
    ...objects(),
    ["an ArrayBuffer", new ArrayBuffer(8)],
    ["a SharedArrayBuffer", new SharedArrayBuffer(8)],
    ["a detached view", detached],
    ["a detached ArrayBuffer", detached.buffer],
    ["a view without bytes", new Uint8Array(0)],
    ["a resizable view", resizable(8)],
    ["a growable view", growable(8)],
    ["zeros", new Uint8Array(8)],
    ["a DataView", new DataView(new ArrayBuffer(8))],
    ["a view of another realm", REALM.view],
    ["a URL of the web", new URL("https://example.org/")],
  ];
}

function numbers(): [name: string, value: unknown][] {
  return [
    ["0", 0],
    ["-0", -0],
    ["-1", -1],
    ["-2", -2],
    ["0.5", 0.5],
    ["5e-324", 5e-324],
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
    ["2n ** 53n", 2n ** 53n],
    ["2n ** 64n", 2n ** 64n],
    ["a Number object", Object(7)],
    ["a BigInt object", Object(7n)],
  ];
}

function words(): [name: string, value: unknown][] {
  return [
    ['""', ""],
    ['"2"', "2"],
    ['"644"', "644"],
    ['"text"', "text"],
    ['"0644"', "0644"],
    ['"a\\0b"', "a\0b"],
    ['"__proto__"', "__proto__"],
    ['"constructor"', "constructor"],
    ['"toString"', "toString"],
    ["a String object", Object("text")],
  ];
}

function objects(): [name: string, value: unknown][] {
  return [
    ["{}", {}],
    ["{ length: 1 }", { length: 1 }],
    ["{ timeout: 5 }", { timeout: 5 }],
    ["an object without a prototype", Object.create(null)],
    ["an object that converts by throwing", throwing()],
    ["a frozen object", Object.freeze({})],
    ["an object with a key that is a symbol", { [Symbol("key")]: 1 }],
    [
      "an object whose getter throws",
      {
        get length(): never {
          throw OWN_ERROR;
        },
      },
    ],
    ["a proxy", new Proxy({}, {})],
    ["a proxy of a view", new Proxy(new Uint8Array(8), {})],
    ["a proxy that throws", throwingProxy()],
    ["a thenable", thenable()],
    ["an object of another realm", REALM.object],
    ["an array of another realm", REALM.array],
    ["a null prototype of another realm", REALM.bare],
    ["[]", []],
    ["[1, 2]", [1, 2]],
    ["a sparse array", new Array(2)],
    ["a function", () => 0],
    ["a function of another realm", REALM.call],
    ["a class", class Junk {}],
    ["a date", new Date(0)],
    ["a map", new Map()],
    ["a regular expression", /junk/],
    ["a promise", Promise.resolve(0)],
    ["a generator", (function* () {})()],
    ["an error", new Error("junk")],
    ["an AbortController", new AbortController()],
  ];
}

function throwing(): object {
  const fail = (): never => {
    throw new Error("nothing converts this");
  };
  return { valueOf: fail, toString: fail, [Symbol.toPrimitive]: fail };
}

function thenable(): object {
  const made = {};
  Reflect.set(made, "then", () => undefined);
  return made;
}

function throwingProxy(): object {
  const fail = (): never => {
    throw OWN_ERROR;
  };
  return new Proxy({}, { get: fail, has: fail, ownKeys: fail, getPrototypeOf: fail });
}

/** Whether a value is right for an argument, so that the call is not to be refused. */
export type Takes = (value: unknown) => boolean;

/** What is right for an argument, and the codes that a wrong value may be refused with. */
export interface Kind {
  readonly takes: Takes;
  readonly codes: (value: unknown) => readonly string[];
}

const TYPE = "ERR_INVALID_ARG_TYPE";
const VALUE = "ERR_INVALID_ARG_VALUE";
const RANGE = "ERR_OUT_OF_RANGE";

const isAbsent: Takes = (value) => value === undefined || value === null;
const isBytes: Takes = (value) => isView(value) || types.isAnyArrayBuffer(value);
const isFixed = (value: unknown): boolean => {
  const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
  const { resizable: resizes, growable: grows } = buffer as { resizable?: boolean } & {
    growable?: boolean;
  };
  return resizes !== true && grows !== true;
};
const isView: Takes = (value) => {
  return ArrayBuffer.isView(value) && value.byteLength > 0 && isFixed(value);
};
const isEmptyView: Takes = (value) => {
  if (!ArrayBuffer.isView(value) || value.byteLength > 0) return false;
  return !isDetached(value.buffer);
};

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    return new Uint8Array(buffer).byteLength < 0;
  } catch {
    return true;
  }
}

// Options that nothing is wrong with: an object without keys, and none of a class with a name.
const isOptions: Takes = (value) => {
  if (value instanceof AbortController) return true; // it has a signal
  if (typeof value !== "object" || value === null || isThrowing(value)) return false;
  const isPlain = Object.prototype.toString.call(value) === "[object Object]";
  return isPlain && Object.keys(value).length === 0;
};

function isThrowing(value: object): boolean {
  try {
    Object.keys(value);
    return false;
  } catch {
    return true;
  }
}

const or = ({ takes, codes }: Kind): Kind => ({
  takes: (value) => isAbsent(value) || takes(value),
  codes,
});

const ofType = (takes: Takes): Kind => ({ takes, codes: () => [TYPE] });

/** A number within bounds: what is none is of the wrong type. */
export const number = (takes: Takes, takesBigint = false): Kind => ({
  takes,
  codes: (value) => {
    const isNumber = typeof value === "number" || (takesBigint && typeof value === "bigint");
    return [isNumber ? RANGE : TYPE];
  },
});

const isWhole =
  (min: number, max = Number.MAX_SAFE_INTEGER): Takes =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;

/** A whole number; bigints are no numbers of it. */
export const whole = (min: number, max?: number): Kind => number(isWhole(min, max));

/** A whole number or a bigint. */
const place = number((value) => {
  return isWhole(0)(typeof value === "bigint" ? Number(value) : value);
}, true);

const isMilliseconds: Takes = (value) =>
  typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER / 1e6;

const word = (...right: string[]): Kind => ({
  takes: (value) => right.includes(value as string),
  codes: (value) => [typeof value === "string" ? VALUE : TYPE],
});

const options: Kind = {
  takes: isOptions,
  // An unknown key: a call has no such option, whatever the type of the value.
  codes: (value) => (typeof value === "object" && value !== null ? [TYPE, VALUE] : [TYPE]),
};

// Its contents decide; the codes are those of its fields.
const record: Kind = { takes: () => false, codes: () => [TYPE, VALUE] };

const memory = (takes: Takes): Kind => ({
  takes,
  codes: (value) => {
    if (isEmptyView(value)) return [RANGE];
    return value instanceof ArrayBuffer || ArrayBuffer.isView(value)
      ? ["ERR_IO_BUFFER_DETACHED", TYPE]
      : [TYPE];
  },
});

const isText: Takes = (value) => typeof value === "string" && !value.includes("\0");
const text: Kind = {
  takes: (value) => isText(value) && value !== "",
  codes: (value) => [typeof value === "string" ? VALUE : TYPE],
};

const isMode: Takes = (value) => isWhole(0, 0o7777)(value) || value === "0644";
const mode: Kind = {
  takes: isMode,
  codes: (value) => {
    if (typeof value === "string") return [VALUE];
    return [typeof value === "number" ? RANGE : TYPE];
  },
};

const path: Kind = {
  takes: (value) => (types.isUint8Array(value) ? value.byteLength === 0 : isText(value)),
  codes: (value) => {
    const isPath = typeof value === "string" || types.isUint8Array(value) || value instanceof URL;
    return [isPath ? VALUE : TYPE];
  },
};

/** Bytes that begin with a zero are an abstract name. */
const socketPath: Kind = {
  takes: (value) => isText(value) || (types.isUint8Array(value) && value.byteLength > 0),
  codes: (value) => {
    const isPath = typeof value === "string" || types.isUint8Array(value);
    return isPath ? [VALUE, TYPE] : [TYPE];
  },
};

/** The kinds of arguments that there are. */
export const KINDS = {
  boolean: or(ofType((value) => typeof value === "boolean")),
  view: memory(isView),
  viewOrEmpty: memory((value) => isView(value) || isEmptyView(value)),
  bytes: memory(isBytes),
  bytesOrEmpty: memory((value) => isBytes(value) || isEmptyView(value)),
  data: memory((value) => typeof value === "string" || isBytes(value) || isEmptyView(value)),
  position: or(place),
  place,
  length: or(number((value) => value === Number.POSITIVE_INFINITY || place.takes(value), true)),
  milliseconds: number(isMilliseconds),
  intervalMs: number((value) => isMilliseconds(value) && value !== 0),
  size: whole(0),
  offset: whole(-1),
  // Whatever else is in it; the engine refuses bits that it does not know.
  flags: whole(0, 0x7fffffff),
  /** No descriptor of this IO, so that nothing happens when it is taken: the engine says EBADF. */
  descriptor: number((value) => typeof value === "number" && (value | 0) === value),
  mode,
  path,
  socketPath,
  text,
  signal: or(ofType(() => false)),
  timeoutMs: or(number(isMilliseconds)),
  options: or(options),
  /** The same where it has to be given. */
  given: options,
  record,
  callback: ofType((value) => typeof value === "function"),
  /** An object of the library's own. */
  object: ofType(() => false),
} as const satisfies Record<string, Kind>;

/** The same, or nothing. */
export function orAbsent(kind: Kind): Kind {
  return or(kind);
}

/** One of a few words, or nothing. */
export function wordOrAbsent(...right: string[]): Kind {
  return or(word(...right));
}

/** One of a few words. */
export function oneWord(...right: string[]): Kind {
  return word(...right);
}

/** Where a default takes the place of undefined alone. */
export function orUndefined({ takes, codes }: Kind): Kind {
  return { takes: (value) => value === undefined || takes(value), codes };
}
