// The pool of completions: a completion in flight is never in it.

import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Queue } from "../engine/queue.js";
import { Operations } from "./promises.js";
import type { Ring } from "./ring.js";

const test = suite("promises");

test("a completion that is in flight when its verb throws is not handed out again", async () => {
  const queue = {} as unknown as Queue;
  const operations = new Operations({} as Ring, queue, "none");
  const problem = new Error("thrown after the operation was queued");
  let queued: unknown;
  const failing = operations.run((pending) => {
    queued = pending;
    pending._slot = 3;
    throw problem;
  });
  assert.is(await failing.catch((error: unknown) => error), problem);
  void operations.begin();
  assert.is.not(operations.begun, queued);
  // A completion that was not queued is used again.
  const pending = operations.begun;
  assert.ok(pending !== null);
  const failed = operations.begin();
  const again = operations.begun;
  if (again !== null) operations.fail(again, problem);
  assert.is(await failed.catch((error: unknown) => error), problem);
  void operations.begin();
  assert.is(operations.begun, again);
});

test.run();
