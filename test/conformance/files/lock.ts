// Locks of files and of ranges: who is held off, who waits, and when a lock ends.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Completion, type File, type IO, type LockOptions, OpenFlags } from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import {
  failure,
  failureCode,
  negative,
  outcome,
  refusalCode,
  roundTrips,
  Started,
  success,
  turn,
  until,
  Watched,
} from "../support/verbs.js";

const child = fileURLToPath(new URL("../support/child.js", import.meta.url));
const HOUR_MS = 3_600_000;

export function filesLock(suite: Suite): void {
  suite.test("an exclusive lock holds off all others, shared ones only exclusive ones", lockKinds);
  suite.test("a lock ends with unlock, with close, and with its IO", lockEnds);
  suite.test("a lock ends with its process, also when that is killed", (trial) =>
    lockOfProcess(suite, trial),
  );
  suite.test("a lock that waits gets its turn when the other one ends", lockWaits);
  suite.test("a lock that waits ends by its signal, its time limit, and a close", waitEnds);
  suite.test("a lock that another holds says so, and a wrong one why", lockRefused);
  if (systemHere() === "linux") {
    suite.test("locks of ranges hold off those that overlap", lockRanges);
    suite.test("a lock needs a file that is open for what it locks out", lockAccess);
  } else {
    suite.test("a range is refused where whole files are locked", rangeRefused);
  }
  for (const mode of MODES) {
    suite.test(`${mode}: the ring locks, waits, and unlocks`, (trial) => ringLocks(trial, mode));
    suite.test(`${mode}: lock, write and unlock in one chain`, (trial) => chainLocks(trial, mode));
  }
}

function open(io: IO, path: string): Promise<File> {
  return io.openFile(path, { read: true, write: true, create: true });
}

function openOnRing(io: IO, path: string): Promise<number> {
  const flags = OpenFlags.read | OpenFlags.write | OpenFlags.create;
  return success(io, (c, callback) => io.ring.open(c, callback, path, flags, 0o600));
}

/** Whether a lock is free; then it is held. */
async function tries(file: File, options?: LockOptions): Promise<boolean> {
  try {
    await file.lock({ wait: false, ...options });
    return true;
  } catch (error) {
    assert.is((error as { code: string }).code, "EAGAIN");
    return false;
  }
}

const shared = { exclusive: false };

async function lockKinds(trial: Trial): Promise<void> {
  const io = await trial.open();
  const [first, second, third] = await Promise.all([1, 2, 3].map(() => open(io, trial.path())));
  assert.ok(first && second && third);
  assert.is(await tries(first), true);
  assert.is(await tries(first), true, "again, by its holder");
  assert.is(await tries(second), false);
  assert.is(await tries(second, shared), false);
  assert.is(await tries(first, shared), true, "changed to the other kind");
  assert.is(await tries(second, shared), true);
  assert.is(await tries(third), false);
  assert.is(await tries(first), false);
  for (const file of [first, second, third]) await file.close();
}

async function lockEnds(trial: Trial): Promise<void> {
  const [io, other] = [await trial.open(), await trial.open()];
  const [holder, waiting] = [await open(io, trial.path()), await open(other, trial.path())];
  assert.is(await holder.lock(), undefined);
  assert.is(await tries(waiting), false);
  assert.is(await holder.unlock(), undefined);
  await holder.unlock();
  assert.is(await tries(waiting), true);
  assert.is(await tries(holder), false);
  await waiting.close();
  assert.is(await tries(holder), true);
  const last = await open(other, trial.path());
  assert.is(await tries(last), false);
  await trial.close(io);
  assert.is(await tries(last), true);
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
  assert.is(String(answer), "locked\n");
  assert.is(await tries(file), false);
  const waiting = file.lock();
  program.kill("SIGKILL");
  await once(program, "close");
  // The kernel closes the descriptors of a ring a moment after its process has ended.
  await waiting;
  await file.close();
}

async function lockWaits(trial: Trial): Promise<void> {
  const [io, other] = [await trial.open(), await trial.open()];
  const holder = await open(io, trial.path());
  const files = [await open(io, trial.path()), await open(other, trial.path())];
  await holder.lock();
  const order: number[] = [];
  const turns = files.map(async (file, index) => {
    await file.lock({ timeoutMs: HOUR_MS });
    order.push(index);
    assert.is(order.length, 1, "one at a time");
    await roundTrips(io, 3);
    order.pop();
    await file.unlock();
  });
  await roundTrips(io, 20);
  assert.equal(order, []);
  // What waits keeps nothing else from being done.
  assert.is((await holder.stat()).size, 0);
  await holder.unlock();
  await Promise.all(turns);
  assert.is(io.stats().inFlight, 0);
}

async function waitEnds(trial: Trial): Promise<void> {
  const io = await trial.open();
  const [holder, file] = [await open(io, trial.path()), await open(io, trial.path())];
  await holder.lock();
  const late = await failure(file.lock({ timeoutMs: 30 }));
  assert.equal([late.code, late.operation, late.path], ["ETIMEDOUT", "lock", trial.path()]);
  assert.match(late.message, "the timeoutMs of the call has passed, or the server of its file");
  assert.is(await failureCode(file.lock({ timeoutMs: 0 })), "ETIMEDOUT");
  const controller = new AbortController();
  const aborted = failureCode(file.lock({ signal: controller.signal }));
  await roundTrips(io, 5);
  controller.abort();
  assert.is(await aborted, "ABORT_ERR");
  const cancelled = failureCode(file.lock());
  await roundTrips(io, 5);
  await io.cancelAll();
  assert.is(await cancelled, "ECANCELED");
  const closed = new Watched(failureCode(file.lock()));
  await roundTrips(io, 5);
  assert.is(closed.state, "pending");
  await file.close();
  assert.is(await closed.promise, "ECANCELED");
  const last = await open(io, trial.path());
  const ended = failureCode(last.lock());
  await turn();
  await trial.close(io);
  assert.is(await ended, "ECANCELED");
}

async function lockRefused(trial: Trial): Promise<void> {
  const io = await trial.open();
  const [holder, file] = [await open(io, trial.path()), await open(io, trial.path())];
  await holder.lock();
  const held = await failure(file.lock({ wait: false }));
  assert.equal([held.code, held.operation, held.syscall], ["EAGAIN", "lock", "fcntl"]);
  assert.match(held.message, "another open of the file, in this process or in another, holds");
  for (const lengthBytes of [0, -1, 1.5]) {
    assert.is(await failureCode(file.lock({ lengthBytes })), "ERR_OUT_OF_RANGE");
    assert.is(await failureCode(file.unlock({ lengthBytes })), "ERR_OUT_OF_RANGE");
  }
  await file.close();
  assert.is(await failureCode(file.lock()), "ERR_IO_CLOSED");
  assert.is(await failureCode(file.unlock()), "ERR_IO_CLOSED");
}

async function lockRanges(trial: Trial): Promise<void> {
  const io = await trial.open();
  const [first, second] = [await open(io, trial.path()), await open(io, trial.path())];
  await first.lock({ offset: 10, lengthBytes: 10 });
  assert.is(await tries(second, { offset: 19, lengthBytes: 1 }), false);
  assert.is(await tries(second, { lengthBytes: 11 }), false);
  assert.is(await tries(second, { offset: 5 }), false, "to the end, which is behind it");
  assert.is(await tries(second, { lengthBytes: 10n }), true);
  assert.is(await tries(second, { offset: 20n }), true);
  await first.unlock({ offset: 10, lengthBytes: 5 });
  assert.is(await tries(second, { offset: 10, lengthBytes: 5 }), true);
  assert.is(await tries(second, { offset: 14, lengthBytes: 2 }), false);
  const waiting = new Watched(first.lock({ offset: 1000, lengthBytes: 1, exclusive: false }));
  await roundTrips(io, 5);
  assert.is(waiting.state, "pending");
  await second.unlock();
  await waiting.promise;
}

async function lockAccess(trial: Trial): Promise<void> {
  const io = await trial.open();
  writeFileSync(trial.path(), "");
  const reading = await io.openFile(trial.path());
  const writing = await io.openFile(trial.path(), { write: true });
  await reading.lock(shared);
  await reading.unlock();
  await writing.lock();
  await writing.unlock();
  const exclusive = await failure(reading.lock());
  assert.is(exclusive.code, "EBADF");
  assert.match(exclusive.message, "opened for reading alone: an exclusive lock needs write: true");
  const other = await failure(writing.lock(shared));
  assert.is(other.code, "EBADF");
  assert.match(other.message, "opened for writing alone: a shared lock needs read: true");
}

async function rangeRefused(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await open(io, trial.path());
  for (const range of [{ offset: 1 }, { lengthBytes: 1 }]) {
    const error = await failure(file.lock(range));
    assert.is(error.code, "ENOTSUP");
    assert.match(error.message, "locks whole files only");
    assert.is(await failureCode(file.unlock(range)), "ENOTSUP");
  }
}

async function ringLocks(trial: Trial, mode: Mode): Promise<void> {
  const io = await trial.open({ mode });
  const { ring } = io;
  const [first, second] = [await openOnRing(io, trial.path()), await openOnRing(io, trial.path())];
  const lock = (file: number, wait: boolean): Promise<number> =>
    outcome(io, (c, callback) => ring.lock(c, callback, file, true, 0, 0, wait));
  assert.is(await lock(first, true), 0);
  assert.is(await lock(second, false), negative("EAGAIN"));
  const waiting = new Started((c, callback) => ring.lock(c, callback, second, true, 0, 0, true));
  await outcome(io, (c, callback) => ring.timeout(c, callback, 30_000_000));
  assert.is(waiting.done, false);
  const limited = new Completion();
  limited.timeoutNs = 1_000_000;
  let late = 0;
  const note = (_limited: Completion, result: number): void => {
    late = result;
  };
  ring.lock(limited, note, second, false, 0, 0, true);
  await until(io, () => late !== 0, "the time limit");
  assert.is(late, negative("ETIMEDOUT"));
  assert.is(await outcome(io, (c, callback) => ring.unlock(c, callback, first, 0, 0)), 0);
  await until(io, () => waiting.done, "the lock");
  assert.is(waiting.result, 0);
  const none = (): void => assert.unreachable();
  const never = (): void => ring.lock(new Completion(), none, first, true, 0, -1, true);
  assert.is(refusalCode(never), "ERR_OUT_OF_RANGE");
}

async function chainLocks(trial: Trial, mode: Mode): Promise<void> {
  const io = await trial.open({ mode });
  const { ring } = io;
  const [first, second] = [await openOnRing(io, trial.path()), await openOnRing(io, trial.path())];
  assert.is(await outcome(io, (c, done) => ring.lock(c, done, first, true, 0, 0, true)), 0);
  const data = Buffer.from("written");
  const link = { link: true };
  const members = [
    new Started((c, done) => ring.lock(c, done, second, true, 0, 0, true), link),
    new Started((c, done) => ring.write(c, done, second, data, 0), link),
    new Started((c, done) => ring.unlock(c, done, second, 0, 0)),
  ];
  await outcome(io, (c, done) => ring.timeout(c, done, 1_000_000));
  assert.equal(
    members.map(({ done }) => done),
    [false, false, false],
  );
  assert.is(await outcome(io, (c, done) => ring.unlock(c, done, first, 0, 0)), 0);
  await until(io, () => members.every(({ done }) => done), "the chain");
  assert.equal(
    members.map(({ result }) => result),
    [0, 7, 0],
  );
  assert.is(await outcome(io, (c, done) => ring.lock(c, done, first, true, 0, 0, false)), 0);
  const refused = [
    new Started((c, done) => ring.lock(c, done, second, true, 0, 0, false), link),
    new Started((c, done) => ring.write(c, done, second, data, 7)),
  ];
  await until(io, () => refused.every(({ done }) => done), "the refused chain");
  const codes = [negative("EAGAIN"), negative("ECANCELED")];
  assert.equal(
    refused.map(({ result }) => result),
    codes,
  );
}
