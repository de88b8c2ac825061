// Checks of the options of the calls besides `serve`.

import { inspect } from "node:util";
import { HttpError } from "./fields.js";

/** `setTimeout` takes no longer time: with more it calls back at once. */
const MAX_MS = 0x7fffffff;

/** How long what is under way may take when a server stops. @internal */
export interface StopOptions {
  timeoutMs?: number | undefined;
}

/** Throws an `HttpError` when it is no object with names, as a list and a `Map` are none. */
export function checkObject(call: string, given: unknown, what: string): void {
  if (typeof given === "object" && given !== null && !(Symbol.iterator in given)) return;
  throw refusal(call, `give an object with ${what}, not ${inspect(given, { depth: 0 })}`);
}

/** Throws an `HttpError` that names the option that the call does not have, and those it has. */
export function checkNames(call: string, options: object, known: readonly string[]): void {
  checkObject(call, options, "options");
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw refusal(call, `there is no option ${name}; known are ${known.join(", ")}`);
  }
}

/** Throws an `HttpError` when the option is there and of another type. */
export function checkType(
  call: string,
  name: string,
  value: unknown,
  type: "string" | "boolean" | "function",
): void {
  if (value === undefined || value === null || typeof value === type) return;
  throw refusal(call, `${name} is a ${typeof value}: give a ${type}`);
}

/** The milliseconds that what is under way has; undefined where they have no limit. */
export function stopTimeOf(call: string, options: StopOptions | undefined): number | undefined {
  const given = options ?? {};
  checkNames(call, given, ["timeoutMs"]);
  const { timeoutMs } = given;
  if (timeoutMs === undefined || timeoutMs === null) return undefined;
  if (typeof timeoutMs === "number" && timeoutMs >= 0) return Math.min(timeoutMs, MAX_MS);
  throw refusal(call, `timeoutMs is ${String(timeoutMs)}: give milliseconds`);
}

/** The error of an option that is wrong. */
export function refusal(call: string, message: string): HttpError {
  return new HttpError("ERR_HTTP_OPTION", `${call}: ${message}`);
}
