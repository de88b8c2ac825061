// The arguments of `node:net`, and what it says of wrong ones.

import { BlockList } from "node:net";
import { argumentTypeError, badPort, outOfRange } from "../errors.js";

export type Callback = (...given: unknown[]) => void;
export type Options = Record<string, unknown>;

/** `connect(port, host, callback)`, `connect(path)`, `connect(options)` and `listen` alike. */
export function normalizeArguments(given: readonly unknown[]): [Options, Callback | null] {
  if (given.length === 0) return [{}, null];
  const [first, second] = given;
  let options: Options = {};
  if (typeof first === "object" && first !== null) options = first as Options;
  else if (isPipeName(first)) options = { path: first };
  else {
    options = { port: first };
    if (given.length > 1 && typeof second === "string") options["host"] = second;
  }
  const last = given.at(-1);
  return [options, typeof last === "function" ? (last as Callback) : null];
}

/** Text that is no port. */
export function isPipeName(value: unknown): value is string {
  return typeof value === "string" && toPort(value) === false;
}

export function toPort(value: unknown): number | false {
  const number = Number(value);
  return number >= 0 ? number : false;
}

export function checkPort(port: unknown, name = "Port"): number {
  const isText = typeof port === "string" && port.trim() !== "";
  const isPort = (typeof port === "number" || isText) && +port === +port >>> 0 && +port <= 0xffff;
  if (!isPort) throw badPort(name, port);
  return +port | 0;
}

export function checkNumber(value: unknown, name: string): number {
  if (typeof value !== "number") throw argumentTypeError(name, "number", value);
  return value;
}

export function checkInt32(value: unknown, name: string, min: number): number {
  const number = checkNumber(value, name);
  if (!Number.isInteger(number)) throw outOfRange(name, "an integer", value);
  if (number < min || number > 0x7fffffff) {
    throw outOfRange(name, `>= ${min} && <= ${0x7fffffff}`, value);
  }
  return number;
}

export function checkFunction(value: unknown, name: string): Callback {
  if (typeof value !== "function") throw argumentTypeError(name, "Function", value);
  return value as Callback;
}

export function checkString(value: unknown, name: string): string {
  if (typeof value !== "string") throw argumentTypeError(name, "string", value);
  return value;
}

export function checkBoolean(value: unknown, name: string): boolean {
  if (typeof value !== "boolean") throw argumentTypeError(name, "boolean", value);
  return value;
}

export function checkAbortSignal(value: unknown, name: string): AbortSignal {
  if (typeof value !== "object" || value === null || !("aborted" in value)) {
    throw argumentTypeError(name, "AbortSignal", value);
  }
  return value as AbortSignal;
}

/** The option `blockList`, which Node has since version 22.13. */
export function blockListFrom(value: unknown): BlockList | null {
  if (!value) return null;
  if (value instanceof BlockList) return value;
  throw argumentTypeError("options.blockList", "net.BlockList", value);
}

const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Milliseconds of a time-out, as the timers of Node take them. */
export function checkTimeout(value: unknown, name: string): number {
  const number = checkNumber(value, name);
  if (number < 0 || !Number.isFinite(number)) {
    throw outOfRange(name, "a non-negative finite number", value);
  }
  if (number <= MAX_TIMEOUT_MS) return number;
  process.emitWarning(
    `${number} does not fit into a 32-bit signed integer.\n` +
      `Timer duration was truncated to ${MAX_TIMEOUT_MS}.`,
    "TimeoutOverflowWarning",
  );
  return MAX_TIMEOUT_MS;
}
