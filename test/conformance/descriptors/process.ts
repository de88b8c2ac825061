// Waiting for the end of a process.

import { spawn } from "node:child_process";
import { once } from "node:events";
import * as assert from "uvu/assert";
import type { Suite } from "../support/harness.js";
import { failure, failureCode, roundTrips, Watched } from "../support/verbs.js";

export function descriptorsProcess(suite: Suite): void {
  if (process.platform !== "linux") {
    suite.test("a system without descriptors of processes says so", async (trial) => {
      const io = await trial.open();
      const error = await failure(io.waitProcess(process.pid));
      assert.is(error.code, "ENOTSUP");
      assert.match(error.message, /Linux/);
    });
    return;
  }
  suite.test("the end of a process is waited for, and Node gets its own event", async (trial) => {
    const io = await trial.open();
    const before = io.stats().descriptors;
    const child = spawn("cat", { stdio: ["pipe", "ignore", "ignore"] });
    const pid = child.pid as number;
    const exited = once(child, "exit");
    assert.is(await failureCode(io.waitProcess(pid, { timeoutMs: 1 })), "ETIMEDOUT");
    const waiting = new Watched(io.waitProcess(pid));
    await roundTrips(io, 3);
    assert.is(waiting.state, "pending");
    child.stdin?.end();
    const { code, signal } = await waiting.promise;
    // Node may have asked first.
    assert.ok(code === 0 || code === null, `${code}`);
    assert.is(signal, null);
    assert.equal(await exited, [0, null]);
    assert.is(await failureCode(io.waitProcess(pid)), "ESRCH");
    assert.is(io.stats().descriptors, before);
  });

  suite.test("a process that is no child can be waited for", async (trial) => {
    const io = await trial.open();
    const code = await failureCode(io.waitProcess(1, { timeoutMs: 1 }));
    assert.is(code, "ETIMEDOUT");
  });
}
