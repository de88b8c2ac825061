// Arguments of every module, checked as Node checks them: the same classes, codes and messages.

import { argumentTypeError, outOfRange } from "./errors.js";

export const MAX_INT32 = 2 ** 31 - 1;
export const MAX_UINT32 = 2 ** 32 - 1;

/** Throws unless it is a whole number within bounds. */
export function checkInteger(
  value: unknown,
  name: string,
  min: number = Number.MIN_SAFE_INTEGER,
  max: number = Number.MAX_SAFE_INTEGER,
): asserts value is number {
  if (typeof value !== "number") throw argumentTypeError(name, "number", value);
  if (!Number.isInteger(value)) throw outOfRange(name, "an integer", value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value);
}

export function checkUint32(value: unknown, name: string): asserts value is number {
  checkInteger(value, name, 0, MAX_UINT32);
}

export function checkBoolean(value: unknown, name: string): asserts value is boolean {
  if (typeof value !== "boolean") throw argumentTypeError(name, "boolean", value);
}

export function checkString(value: unknown, name: string): asserts value is string {
  if (typeof value !== "string") throw argumentTypeError(name, "string", value);
}

export function checkFunction(value: unknown, name: string): void {
  if (typeof value !== "function") throw argumentTypeError(name, "Function", value);
}

/** Throws unless it is an object, and no array and no function. */
export function checkObject(value: unknown, name: string): asserts value is object {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return;
  throw argumentTypeError(name, "Object", value);
}

export function checkSignal(value: unknown, name: string): void {
  if (value === undefined) return;
  if (value !== null && typeof value === "object" && "aborted" in value) return;
  throw argumentTypeError(name, "AbortSignal", value);
}

export function checkNumber(value: unknown, name: string): asserts value is number {
  if (typeof value !== "number") throw argumentTypeError(name, "number", value);
}
