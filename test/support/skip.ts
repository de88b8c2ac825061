// Skips a test with a reason: a skipped test is a result, and the report says why it was skipped.

import type { Test } from "uvu";

/** Registers a skipped test. `npm test` prints the reason and refuses a skip that has none. */
export function skip<T>(suite: Test<T>, name: string, reason: string): void {
  suite.skip(name);
  process.stdout.write(`skipped: ${name}: ${reason}\n`);
}
