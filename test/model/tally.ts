// Counts the events in all programs of a run, so that a person sees which cases were tried and
// which never happened.

import { getSystemErrorMap } from "node:util";

const counts = new Map<string, number>();

/** Counts one result of an operation of this kind. */
export function tally(kind: string, result: number | string): void {
  const outcome =
    typeof result === "string" || result < 0 ? nameOf(result) : result === 0 ? "0" : "above 0";
  const key = `${kind} = ${outcome}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function nameOf(result: number | string): string {
  if (typeof result === "string") return result;
  return getSystemErrorMap().get(result)?.[0] ?? `error ${-result}`;
}

/** One line for each outcome, the kinds in order. */
export function tallyLines(): string[] {
  return [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([key, n]) => `${key}: ${n}`);
}
