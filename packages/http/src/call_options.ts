// Checks of the options of the calls besides `serve`.

import { HttpError } from "./fields.js";

/** `setTimeout` takes no longer time: with more it calls back at once. */
const MAX_MS = 0x7fffffff;

/** How long what is under way may take when a server stops. @internal */
export interface StopOptions {
  timeoutMs?: number | undefined;
}

/** Throws an `HttpError` that names the option that the call does not have, and those it has. */
export function checkNames(call: string, options: object, known: readonly string[]): void {
  const given: unknown = options;
  if (typeof given !== "object" || given === null)
    throw refusal(call, "give an object with options");
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
  type: "string" | "boolean",
): void {
  if (value === undefined || value === null || typeof value === type) return;
  throw refusal(call, `${name} is a ${typeof value}: give a ${type}`);
}

/** The milliseconds that what is under way has; undefined where they have no limit. */
export function stopTimeOf(call: string, options: StopOptions | undefined): number | undefined {
  const given: unknown = options ?? {};
  if (typeof given !== "object") throw refusal(call, "give an object with timeoutMs");
  checkNames(call, given as object, ["timeoutMs"]);
  const { timeoutMs } = given as StopOptions;
  if (timeoutMs === undefined || timeoutMs === null) return undefined;
  if (typeof timeoutMs === "number" && timeoutMs >= 0) return Math.min(timeoutMs, MAX_MS);
  throw refusal(call, `timeoutMs is ${String(timeoutMs)}: give milliseconds`);
}

function refusal(call: string, message: string): HttpError {
  return new HttpError("ERR_HTTP_OPTION", `${call}: ${message}`);
}
