/** Points in time as commands give them: in seconds or milliseconds, from now or since 1970. */

import type { Call } from "./command.js";
import { integerArgument } from "./command.js";

/** How a time is given: its unit in milliseconds, and whether it counts from now. */
export interface TimeForm {
  readonly unitMs: 1 | 1000;
  readonly relative: boolean;
}

export const SECONDS: TimeForm = { unitMs: 1000, relative: true };
export const MILLISECONDS: TimeForm = { unitMs: 1, relative: true };
export const SECONDS_AT: TimeForm = { unitMs: 1000, relative: false };
export const MILLISECONDS_AT: TimeForm = { unitMs: 1, relative: false };

/** The words of SET and GETEX that announce a time. */
const WORDS: readonly (readonly [string, TimeForm])[] = [
  ["ex", SECONDS],
  ["px", MILLISECONDS],
  ["exat", SECONDS_AT],
  ["pxat", MILLISECONDS_AT],
];

export function timeWord(call: Call, index: number): TimeForm | undefined {
  for (const [word, form] of WORDS) if (call.request.is(index, word)) return form;
  return undefined;
}

/**
 * The time an argument gives, in milliseconds since 1970. When it is no valid one, the error is
 * replied and undefined returned. Times are kept as numbers, so they end with the year 287396.
 */
export function timeArgument(
  call: Call,
  index: number,
  form: TimeForm,
  name: string,
  options: { mustBePositive: boolean },
): number | undefined {
  const value = integerArgument(call, index);
  if (value === undefined) return undefined;
  const atMs = Number(value) * form.unitMs + (form.relative ? call.engine.nowMs : 0);
  if ((options.mustBePositive && value <= 0) || !Number.isSafeInteger(atMs)) {
    call.reply.error(`ERR invalid expire time in '${name}' command`);
    return undefined;
  }
  return atMs;
}
