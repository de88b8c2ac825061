// Waits for a promise of a detached IO, whose loop turns only when it is called.

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
    // The callbacks may have settled a promise, and code that awaits it may queue the next step.
    await nextTurn();
  }
  return promise;
}
