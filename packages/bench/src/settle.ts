// Waits for a promise of a detached IO, whose loop turns only when it is told to.

import { setImmediate as nextTurn } from "node:timers/promises";
import type { IO } from "@io/core";

export async function settle<T>(io: IO, promise: Promise<T>): Promise<T> {
  let settled = false;
  const done = () => {
    settled = true;
  };
  promise.then(done, done);
  while (!settled) {
    io.run();
    // What was run may have settled a promise, and what waits for that may queue the next step.
    await nextTurn();
  }
  return promise;
}
