// Locks of whole files: who is held off, and when a lock ends.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { File, IO } from "@io/core";
import * as assert from "uvu/assert";
import type { Suite, Trial } from "../support/harness.js";

const child = fileURLToPath(new URL("../support/child.js", import.meta.url));

export function filesLock(suite: Suite): void {
  suite.test("an exclusive lock holds off all others, shared ones only exclusive ones", lockKinds);
  suite.test("a lock ends with unlock, with close, and with its IO", lockEnds);
  suite.test("a lock ends with its process, also when that is killed", (trial) =>
    lockOfProcess(suite, trial),
  );
  suite.test("a lock of a closed file or of no kind is refused", lockRefused);
}

function open(io: IO, path: string): Promise<File> {
  return io.openFile(path, { read: true, write: true, create: true });
}

async function lockKinds(trial: Trial): Promise<void> {
  const io = await trial.open();
  const [first, second, third] = await Promise.all([1, 2, 3].map(() => open(io, trial.path())));
  assert.ok(first && second && third);
  assert.is(first.tryLock(), true);
  assert.is(first.tryLock(), true, "again, by its holder");
  assert.is(second.tryLock(), false);
  assert.is(second.tryLock("shared"), false);
  assert.is(first.tryLock("shared"), true, "changed to the other kind");
  assert.is(second.tryLock("shared"), true);
  assert.is(third.tryLock("exclusive"), false);
  assert.is(first.tryLock("exclusive"), false);
  for (const file of [first, second, third]) await file.close();
}

async function lockEnds(trial: Trial): Promise<void> {
  const [io, other] = [await trial.open(), await trial.open()];
  const [holder, waiting] = [await open(io, trial.path()), await open(other, trial.path())];
  assert.is(holder.tryLock(), true);
  assert.is(waiting.tryLock(), false);
  holder.unlock();
  holder.unlock();
  assert.is(waiting.tryLock(), true);
  assert.is(holder.tryLock(), false);
  await waiting.close();
  assert.is(holder.tryLock(), true);
  const last = await open(other, trial.path());
  assert.is(last.tryLock(), false);
  await trial.close(io);
  assert.is(last.tryLock(), true);
  await last.close();
}

async function lockOfProcess(suite: Suite, trial: Trial): Promise<void> {
  const io = await trial.open();
  writeFileSync(trial.path(), "");
  const file = await open(io, trial.path());
  const program = spawn(process.execPath, [child, "lock", suite.backend, trial.path()], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [answer] = (await once(program.stdout, "data")) as [Buffer];
  assert.is(String(answer), "locked true\n");
  assert.is(file.tryLock(), false);
  program.kill("SIGKILL");
  await once(program, "close");
  // The kernel closes the descriptors of a ring a moment after its process has ended.
  while (!file.tryLock()) await io.sleep(1);
  await file.close();
}

async function lockRefused(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await open(io, trial.path());
  assert.throws(
    () => file.tryLock("both" as "shared"),
    /the kind is "both", a string: give "exclusive" or "shared"/,
  );
  await file.close();
  assert.throws(() => file.tryLock(), /closed/);
  assert.throws(() => file.unlock(), /closed/);
}
