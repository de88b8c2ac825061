// Waiting for the end of a process.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import * as assert from "uvu/assert";
import type { Suite } from "../support/harness.js";
import { failure, failureCode, roundTrips, Watched } from "../support/verbs.js";

/** A process that has ended and was not waited for is a zombie. */
function hasEnded(pid: number): boolean {
  if (process.platform === "linux") {
    // "pid (name) state ..."; the name may have parentheses of its own.
    const line = readFileSync(`/proc/${pid}/stat`, "utf8");
    return line.slice(line.lastIndexOf(")") + 2).startsWith("Z");
  }
  const words = ["-o", "stat=", "-p", String(pid)];
  return execFileSync("ps", words, { encoding: "utf8" }).startsWith("Z");
}

export function descriptorsProcess(suite: Suite): void {
  suite.test("the end of a process is waited for, and Node gets its own event", async (trial) => {
    const io = await trial.open();
    const before = io.stats().descriptors;
    const child = spawn("cat", { stdio: ["pipe", "ignore", "ignore"] });
    const pid = child.pid as number;
    const exited = once(child, "exit");
    const late = await failure(io.waitProcess(pid, { timeoutMs: 1 }));
    assert.is(late.code, "ETIMEDOUT");
    assert.match(late.message, `waitProcess of process ${pid} failed`);
    assert.not.match(late.message, "peer");
    const controller = new AbortController();
    const left = failure(io.waitProcess(pid, { signal: controller.signal }));
    await roundTrips(io, 1);
    controller.abort();
    assert.match((await left).message, `waitProcess of process ${pid} was aborted`);
    const waiting = new Watched(io.waitProcess(pid));
    await roundTrips(io, 3);
    assert.is(waiting.state, "pending");
    child.stdin?.end();
    const { code, signal } = await waiting.promise;
    // Node may have asked first.
    assert.ok(code === 0 || code === null, `${code}`);
    assert.is(signal, null);
    assert.equal(await exited, [0, null]);
    const { code: gone, message } = await failure(io.waitProcess(pid));
    assert.is(gone, "ESRCH");
    assert.match(message, `of process ${pid} failed`);
    assert.is(io.stats().descriptors, before);
  });

  suite.test("a process tells the code or the signal that ended it", async (trial) => {
    const io = await trial.open();
    for (const [script, code, signal] of [
      ["read line; exit 7", 7, null],
      ["read line; kill -9 $$", null, 9],
    ] as const) {
      const child = spawn("sh", ["-c", script], { stdio: ["pipe", "ignore", "ignore"] });
      const exited = once(child, "exit");
      const waiting = new Watched(io.waitProcess(child.pid as number));
      await roundTrips(io, 1);
      assert.is(waiting.state, "pending");
      child.stdin?.end("go on\n");
      const end = await waiting.promise;
      // Node may have asked first.
      if (end.code !== null || end.signal !== null) assert.equal(end, { code, signal });
      await exited;
    }
  });

  suite.test("a child that has ended, and was not waited for, is waited for", async (trial) => {
    const io = await trial.open();
    const child = spawn("sh", ["-c", "exit 3"], { stdio: "ignore" });
    const exited = once(child, "exit");
    // Node waits for it in the event loop, which does not turn meanwhile.
    for (let looks = 0; !hasEnded(child.pid as number); looks++) assert.ok(looks < 1_000_000);
    const end = await io.waitProcess(child.pid as number);
    if (end.code !== null) assert.equal(end, { code: 3, signal: null });
    assert.equal(await exited, [3, null]);
  });

  suite.test("a process that is no child can be waited for", async (trial) => {
    const io = await trial.open();
    const code = await failureCode(io.waitProcess(1, { timeoutMs: 1 }));
    assert.is(code, "ETIMEDOUT");
  });
}
