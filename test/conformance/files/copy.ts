// Copies: of a range, of a whole file, and shared blocks.

import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { Completion, type File, type IO, type IOError, OpenFlags } from "@io/core";
import * as assert from "uvu/assert";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { failure, failureCode, negative, outcome, refusalCode, success } from "../support/verbs.js";

const MIB = 1024 * 1024;

export function filesCopy(suite: Suite): void {
  suite.test("copyRange copies between files, and inside of one", ranges);
  suite.test("copyRange that cannot be says why", wrongRanges);
  suite.test("closing a file ends its copies", closed);
  suite.test("copyFile copies bytes and permissions", whole);
  suite.test("copyFile replaces in place, and not what is to stay", replaces);
  suite.test("copyFile leaves what is no file, and what it cannot replace, as it was", special);
  suite.test("copyFile ends by its signal, its time and what onProgress throws", ends);
  suite.test("blocks are shared where the file system can", shared);
  for (const mode of MODES) {
    suite.test(`${mode}: the ring copies ranges`, (trial) => onRing(trial, mode));
  }
}

function open(io: IO, path: string): Promise<File> {
  return io.openFile(path, { read: true, write: true, create: true });
}

async function ranges(trial: Trial): Promise<void> {
  const io = await trial.open();
  const [from, to] = [await open(io, trial.path("from")), await open(io, trial.path("to"))];
  await from.writeAll("0123456789", 0);
  assert.is(await to.copyRange(from), 10);
  assert.is(readFileSync(trial.path("to"), "latin1"), "0123456789");
  assert.is(await to.copyRange(from, { offset: 8, sourceOffset: 2n, lengthBytes: 5 }), 5);
  assert.is(readFileSync(trial.path("to"), "latin1"), "0123456723456");
  assert.is(await to.copyRange(from, { sourceOffset: 10 }), 0, "at the end");
  assert.is(await to.copyRange(from, { lengthBytes: 0 }), 0);
  assert.is(await from.copyRange(from, { offset: 10, lengthBytes: 4 }), 4);
  assert.is(readFileSync(trial.path("from"), "latin1"), "01234567890123");
  // Its size is 0, as far as stat knows.
  const process = await io.openFile("/proc/self/status").catch(() => null);
  if (process !== null) assert.ok((await to.copyRange(process)) > 100);
}

async function wrongRanges(trial: Trial): Promise<void> {
  const io = await trial.open();
  const other = await trial.open();
  const [from, to] = [await open(io, trial.path("from")), await open(io, trial.path("to"))];
  await from.writeAll("0123456789", 0);
  const reading = await io.openFile(trial.path("to"));
  const writing = await io.openFile(trial.path("from"), { write: true });
  const access = await failure(reading.copyRange(from));
  assert.is(access.code, "EBADF");
  assert.match(access.message, "opened for reading alone");
  assert.is(await failureCode(to.copyRange(writing)), "EBADF");
  mkdirSync(trial.path("folder"));
  const folder = await io.openFile(trial.path("folder"));
  assert.is(await failureCode(to.copyRange(folder)), "EISDIR");
  const foreign = await open(other, trial.path("from"));
  assert.is(await failureCode(to.copyRange(foreign)), "ERR_INVALID_ARG_VALUE");
  assert.is(await failureCode(to.copyRange({} as File)), "ERR_INVALID_ARG_TYPE");
  assert.is(await failureCode(to.copyRange(from, { offset: -1 })), "ERR_OUT_OF_RANGE");
  await from.close();
  assert.is(await failureCode(to.copyRange(from)), "ERR_IO_CLOSED");
  assert.is(readFileSync(trial.path("to"), "latin1"), "");
}

async function closed(trial: Trial): Promise<void> {
  const io = await trial.open();
  writeFileSync(trial.path("from"), "");
  truncateSync(trial.path("from"), 4 * MIB);
  for (let round = 0; round < 5; round++) {
    const [from, to] = [await open(io, trial.path("from")), await open(io, trial.path("to"))];
    const copies = Array.from({ length: 20 }, (_, at) =>
      to.copyRange(from, { offset: at * MIB, lengthBytes: MIB }).then(
        () => "copied",
        (error: IOError) => error.code,
      ),
    );
    await io.nop();
    await (round % 2 === 0 ? from : to).close();
    for (const result of await Promise.all(copies)) {
      assert.ok(["copied", "ECANCELED", "EBADF"].includes(result), result);
    }
    await Promise.all([from.close(), to.close()]);
  }
  assert.equal([io.stats().inFlight, io.stats().descriptors], [0, 0]);
}

async function whole(trial: Trial): Promise<void> {
  const io = await trial.open();
  const [from, to] = [trial.path("from"), trial.path("to")];
  const bytes = Buffer.alloc(40 * MIB + 123);
  for (let at = 0; at < bytes.length; at += 4096) bytes[at] = at >> 12;
  writeFileSync(from, bytes, { mode: 0o741 });
  const seen: number[] = [];
  const count = await io.copyFile(from, to, {
    onProgress: (done, total) => {
      assert.is(total, bytes.length);
      seen.push(done);
    },
  });
  assert.is(count, bytes.length);
  assert.ok(readFileSync(to).equals(bytes));
  assert.is(statSync(to).mode & 0o7777, statSync(from).mode & 0o7777);
  assert.is(seen.at(-1), bytes.length);
  assert.equal(
    [...seen].sort((a, b) => a - b),
    seen,
  );
  writeFileSync(trial.path("empty"), "");
  assert.is(await io.copyFile(trial.path("empty"), to), 0);
  assert.is(statSync(to).size, 0);
  assert.is(io.stats().descriptors, 0);
}

async function replaces(trial: Trial): Promise<void> {
  const io = await trial.open();
  const [from, to] = [trial.path("from"), trial.path("to")];
  writeFileSync(from, "short");
  writeFileSync(to, "much longer than that");
  const { ino } = statSync(to);
  assert.is(await io.copyFile(from, to, { reflink: "never" }), 5);
  assert.is(readFileSync(to, "latin1"), "short");
  assert.is(statSync(to).ino, ino);
  const there = await failure(io.copyFile(from, to, { exclusive: true }));
  assert.equal([there.code, there.path], ["EEXIST", to]);
  // Onto itself, also by another name.
  await io.link(from, trial.path("name"));
  assert.is(await io.copyFile(from, trial.path("name")), 0);
  assert.is(readFileSync(from, "latin1"), "short");
  const missing = await failure(io.copyFile(trial.path("none"), to));
  assert.equal([missing.code, missing.path], ["ENOENT", trial.path("none")]);
  assert.is(readFileSync(to, "latin1"), "short");
  mkdirSync(trial.path("folder"));
  assert.is(await failureCode(io.copyFile(from, trial.path("folder"))), "EISDIR");
  assert.is(await failureCode(io.copyFile(trial.path("folder"), to)), "EISDIR");
  const word = { reflink: "perhaps" as "auto" };
  assert.is(await failureCode(io.copyFile(from, to, word)), "ERR_INVALID_ARG_VALUE");
  assert.is(io.stats().descriptors, 0);
}

/** The mode and the bytes of a file that was not to be changed. */
function contentOf(path: string): unknown[] {
  return [statSync(path).mode & 0o7777, readFileSync(path, "latin1")];
}

async function special(trial: Trial): Promise<void> {
  const io = await trial.open();
  const [from, to, fifo] = [trial.path("from"), trial.path("to"), trial.path("fifo")];
  writeFileSync(from, "short", { mode: 0o640 });
  writeFileSync(to, "precious", { mode: 0o600 });
  execFileSync("mkfifo", ["-m", "604", fifo]);
  // With both ends open no open of it waits or fails.
  const both = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  trial.defer(() => closeSync(both));
  for (const source of [fifo, "/dev/null", "/dev/zero"]) {
    const error = await failure(io.copyFile(source, to, { timeoutMs: 5000 }));
    assert.equal(contentOf(to), [0o600, "precious"]);
    assert.equal([error.code, error.path], ["EINVAL", source]);
    assert.match(error.message, "no regular file");
  }
  assert.is(await failureCode(io.copyFile(trial.path("."), to)), "EISDIR");
  const device = await failure(io.copyFile(from, fifo));
  assert.is(statSync(fifo).mode & 0o7777, 0o604, "its permissions stay");
  assert.equal([device.code, device.path], ["EINVAL", fifo]);
  const code = await io.copyFile(from, to, { reflink: "always" }).then(
    () => "shared",
    (error) => error.code,
  );
  const bytes = readFileSync(to, "latin1");
  assert.equal([code, bytes], code === "shared" ? [code, "short"] : ["ENOTSUP", "precious"]);
  assert.is(io.stats().descriptors, 0);
}

async function ends(trial: Trial): Promise<void> {
  const io = await trial.open();
  const [from, to] = [trial.path("from"), trial.path("to")];
  writeFileSync(from, "");
  truncateSync(from, 200 * MIB);
  const controller = new AbortController();
  const aborted = await failure(
    io.copyFile(from, to, {
      reflink: "never",
      signal: controller.signal,
      onProgress: () => controller.abort(),
    }),
  );
  assert.is(aborted.code, "ABORT_ERR");
  assert.ok((aborted.transferred ?? 0) > 0 && (aborted.transferred ?? 0) < 200 * MIB);
  const own = new Error("enough");
  const thrown = await io
    .copyFile(from, to, {
      reflink: "never",
      onProgress: () => {
        throw own;
      },
    })
    .catch((error) => error);
  assert.is(thrown, own);
  assert.is(await failureCode(io.copyFile(from, to, { timeoutMs: 0 })), "ETIMEDOUT");
  const early = io.copyFile(from, to, { signal: AbortSignal.abort() });
  assert.is(await failureCode(early), "ABORT_ERR");
  assert.is(io.stats().descriptors, 0);
}

async function shared(trial: Trial): Promise<void> {
  const io = await trial.open();
  const [from, to] = [trial.path("from"), trial.path("to")];
  writeFileSync(from, "x".repeat(10_000));
  const code = await io.copyFile(from, to, { reflink: "always" }).then(
    () => "shared",
    (error) => error.code,
  );
  if (code === "shared") {
    assert.is(readFileSync(to, "latin1"), "x".repeat(10_000));
    return;
  }
  assert.is(code, "ENOTSUP");
  const [source, target] = [await open(io, from), await open(io, trial.path("other"))];
  const error = await failure(target.reflink(source));
  assert.is(error.code, "ENOTSUP");
  assert.match(error.message, "cannot share blocks");
  assert.is(await io.copyFile(from, to, { reflink: "auto" }), 10_000);
}

async function onRing(trial: Trial, mode: Mode): Promise<void> {
  const io = await trial.open({ mode });
  const { ring } = io;
  writeFileSync(trial.path("from"), "0123456789");
  const flags = OpenFlags.read | OpenFlags.write | OpenFlags.create;
  const opened = (name: string): Promise<number> =>
    success(io, (c, done) => ring.open(c, done, trial.path(name), flags, 0o600));
  const [from, to] = [await opened("from"), await opened("to")];
  const copied = await outcome(io, (c, done) => ring.copyRange(c, done, to, from, 1, 2, 3));
  assert.is(copied, 3);
  assert.is(readFileSync(trial.path("to"), "latin1"), "\x00234");
  const none = await outcome(io, (c, done) => ring.copyRange(c, done, to, -1, 0, 0, 1));
  assert.is(none, negative("EBADF"));
  const reflink = await outcome(io, (c, done) => ring.reflink(c, done, to, from));
  assert.ok([0, negative("ENOTSUP"), negative("EINVAL")].includes(reflink), `${reflink}`);
  const never = (): void =>
    ring.copyRange(new Completion(), () => assert.unreachable(), to, from, 0, -1, 1);
  assert.is(refusalCode(never), "ERR_OUT_OF_RANGE");
}
