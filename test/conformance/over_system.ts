// Runs what is imported afterwards over the kqueue of another system, which the layer in
// test/kqueue plays on Linux. On a machine that has a kqueue the tests over_kqueue.ts are those of
// its own.

import { suite } from "uvu";
import { takeKqueueEngineOf } from "../support/kqueue_engine.js";
import { skip } from "../support/skip.js";
import type { System } from "../support/system.js";
import { runOn } from "./harness.js";

export function overSystem(system: System): void {
  if (process.platform === "linux") {
    takeKqueueEngineOf(system);
    runOn(["kqueue"]);
    return;
  }
  runOn([]);
  const skipped = suite(system);
  skip(skipped, `as on ${system}`, "this system has a kqueue of its own");
  skipped.run();
}
