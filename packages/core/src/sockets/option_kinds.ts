// The values of socket options: how each kind is checked, given to the system, and read again.

import { rangeError, typeError } from "../errors.js";
import { checkOptions, flag, knowsOnly, shown, valueError, wholeNumber } from "../support/check.js";

/** One kind of value. */
export interface OptionKind {
  /** What the system is given for a value of a program, which is checked. */
  from(value: unknown, name: string, operation: string): number | Uint8Array;
  /** What a program gets for what the system has written. */
  to(bytes: Uint8Array): unknown;
  /** How much the system writes at most. */
  readonly sizeBytes: number;
}

const MAX_NUMBER = 0x7fffffff;

function numberIn(bytes: Uint8Array, index = 0): number {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2)[index] ?? 0;
}

export const FLAG: OptionKind = {
  from: (value, name, operation) => (flag(value, false, name, operation) ? 1 : 0),
  to: (bytes) => numberIn(bytes) !== 0,
  sizeBytes: 4,
};

export function whole(min: number, max = MAX_NUMBER): OptionKind {
  return {
    // The system's numbers of 32 bits have a sign, also where the option has none.
    from: (value, name, operation) => wholeNumber(value, min, max, name, operation) | 0,
    to: (bytes) => (max > MAX_NUMBER ? numberIn(bytes) >>> 0 : numberIn(bytes)),
    sizeBytes: 4,
  };
}

/** Milliseconds, of which the system takes whole seconds: what is between two is rounded up. */
export function seconds(min: number): OptionKind {
  return {
    from: (value, name, operation) =>
      Math.ceil(wholeNumber(value, min, MAX_NUMBER, name, operation) / 1000),
    to: (bytes) => numberIn(bytes) * 1000,
    sizeBytes: 4,
  };
}

/** The system's struct linger, of two numbers. */
export const LINGER: OptionKind = {
  from(value, name, operation) {
    if (value === false) return new Uint8Array(8);
    if (typeof value !== "number") {
      throw typeError(operation, `${name} is ${shown(value)}: give milliseconds, or false`);
    }
    const ms = wholeNumber(value, 0, MAX_NUMBER, name, operation);
    return new Uint8Array(Int32Array.of(1, Math.ceil(ms / 1000)).buffer);
  },
  to: (bytes) => (numberIn(bytes) === 0 ? false : numberIn(bytes, 1) * 1000),
  sizeBytes: 8,
};

/** Text of at most so many bytes, which the system ends with a zero. */
export function text(maxBytes: number, mayBeEmpty: boolean): OptionKind {
  return {
    from(value, name, operation) {
      if (typeof value !== "string") {
        throw typeError(operation, `${name} is ${shown(value)}: give a string`);
      }
      if (value.includes("\0") || (value === "" && !mayBeEmpty)) {
        throw valueError(operation, `${name} is ${shown(value)}: no such name can be`);
      }
      const bytes = Buffer.from(`${value}\0`);
      if (bytes.length <= maxBytes) return bytes;
      const length = bytes.length - 1;
      throw rangeError(operation, `${name} has ${length} bytes: ${maxBytes - 1} are the most`);
    },
    to(bytes) {
      const end = bytes.indexOf(0);
      return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end)).toString();
    },
    sizeBytes: 64,
  };
}

/** Checks that an option which is true, false or an object of options itself is one of these. */
export function flagOrObject(
  value: unknown,
  name: string,
  operation: string,
  members: readonly string[],
): boolean {
  if (typeof value !== "object" || value === null) return flag(value, false, name, operation);
  checkOptions(value, knowsOnly(operation, ...members), name);
  return true;
}
