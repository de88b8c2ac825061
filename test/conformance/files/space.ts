// The space of a file: ranges that are reserved, emptied, removed and inserted, advice about them,
// and writing them out.

import { readFileSync, statSync } from "node:fs";
import { Completion, type File, type IO, OpenFlags } from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { failure, failureCode, outcome, refusalCode, success } from "../support/verbs.js";

const BLOCKS = 64 * 1024; // whole blocks of every common file system

export function filesSpace(suite: Suite): void {
  const here = systemHere();
  if (here === "linux" || here === "macos") {
    suite.test("punchHole gives space back, and the range reads as zeros", punchHole);
  } else {
    suite.test("punchHole is refused where the system has none", (trial) => refused(trial));
  }
  if (here === "linux") {
    suite.test("zeroRange makes zeros, and grows the file", zeroRange);
    suite.test("insert makes room, collapse removes a range", insertAndCollapse);
  } else {
    suite.test("zeroRange, collapse and insert are refused", (trial) => refused(trial));
  }
  suite.test("advice changes nothing but the cache", advice);
  suite.test("syncRange writes out a range, or all", syncRange);
  for (const mode of MODES) {
    suite.test(`${mode}: the ring allocates, advises and writes out`, (t) => onRing(t, mode));
  }
}

async function filled(io: IO, path: string, blocks: number): Promise<File> {
  const file = await io.openFile(path, { read: true, write: true, create: true });
  const bytes = Buffer.alloc(blocks * BLOCKS);
  for (let block = 0; block < blocks; block++) {
    bytes.fill(block + 1, block * BLOCKS, (block + 1) * BLOCKS);
  }
  await file.writeAll(bytes, 0);
  await file.sync("data"); // so that all blocks are there
  return file;
}

/** The first byte of each of the blocks, and the length in blocks. */
function blocksOf(path: string): number[] {
  const bytes = readFileSync(path);
  return Array.from({ length: bytes.length / BLOCKS }, (_, at) => bytes[at * BLOCKS] ?? -1);
}

async function punchHole(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await filled(io, trial.path(), 4);
  const before = statSync(trial.path()).blocks;
  await file.allocate(BLOCKS, 2 * BLOCKS, { mode: "punchHole" });
  assert.equal(blocksOf(trial.path()), [1, 0, 0, 4]);
  assert.is(before - statSync(trial.path()).blocks, (2 * BLOCKS) / 512);
  await file.allocate(3 * BLOCKS, 10 * BLOCKS, { mode: "punchHole" });
  assert.is(statSync(trial.path()).size, 4 * BLOCKS, "it does not grow");
}

async function zeroRange(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await filled(io, trial.path(), 2);
  const code = await file.allocate(BLOCKS, 2 * BLOCKS, { mode: "zeroRange" }).then(
    () => "done",
    (error) => error.code,
  );
  if (code === "ENOTSUP") return; // btrfs and tmpfs have grown to know it late
  assert.is(code, "done");
  assert.equal(blocksOf(trial.path()), [1, 0, 0]);
}

async function insertAndCollapse(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await filled(io, trial.path(), 3);
  const code = await file.allocate(BLOCKS, BLOCKS, { mode: "insert" }).then(
    () => "done",
    (error) => error.code,
  );
  if (code === "ENOTSUP") return; // only ext4, XFS and f2fs know it
  assert.is(code, "done");
  assert.equal(blocksOf(trial.path()), [1, 0, 2, 3]);
  await file.allocate(0, BLOCKS, { mode: "collapse" });
  assert.equal(blocksOf(trial.path()), [0, 2, 3]);
  const uneven = await failure(file.allocate(1, 10, { mode: "collapse" }));
  assert.is(uneven.code, "EINVAL");
  assert.match(uneven.message, "whole blocks");
  assert.equal(blocksOf(trial.path()), [0, 2, 3]);
}

async function refused(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await filled(io, trial.path(), 1);
  const modes = ["zeroRange", "collapse", "insert"] as const;
  const all = systemHere() === "macos" ? modes : ([...modes, "punchHole"] as const);
  for (const mode of all) {
    const error = await failure(file.allocate(0, BLOCKS, { mode }));
    assert.is(error.code, "ENOTSUP", mode);
    assert.match(error.message, "does not know this mode");
  }
  assert.equal(blocksOf(trial.path()), [1]);
}

async function advice(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await filled(io, trial.path(), 2);
  const words = ["normal", "sequential", "random", "willNeed", "dontNeed", "noReuse"] as const;
  for (const word of words) {
    assert.is(await file.advise(word), undefined);
    await file.advise(word, { offset: BLOCKS, lengthBytes: 10n });
  }
  assert.equal(blocksOf(trial.path()), [1, 2]);
  assert.is(await failureCode(file.advise("soon" as never)), "ERR_INVALID_ARG_VALUE");
  assert.is(await failureCode(file.advise("normal", { offset: -1 })), "ERR_OUT_OF_RANGE");
}

async function syncRange(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await filled(io, trial.path(), 2);
  await file.writeAll("more", 0);
  assert.is(await file.syncRange(), undefined);
  await file.syncRange({ offset: 0, lengthBytes: 4 });
  await file.syncRange({ offset: BLOCKS });
  await file.close();
  assert.is(await failureCode(file.syncRange()), "ERR_IO_CLOSED");
}

async function onRing(trial: Trial, mode: Mode): Promise<void> {
  const io = await trial.open({ mode });
  const { ring } = io;
  const flags = OpenFlags.read | OpenFlags.write | OpenFlags.create;
  const file = await success(io, (c, done) => ring.open(c, done, trial.path(), flags, 0o600));
  const data = new Uint8Array(BLOCKS).fill(7);
  assert.is(await outcome(io, (c, done) => ring.write(c, done, file, data, 0)), BLOCKS);
  assert.is(await outcome(io, (c, done) => ring.syncRange(c, done, file, 0, 0)), 0);
  assert.is(await outcome(io, (c, done) => ring.advise(c, done, file, 0, 0, "willNeed")), 0);
  const punched = await outcome(io, (c, done) =>
    ring.allocate(c, done, file, 0, BLOCKS, "punchHole"),
  );
  const knows = ["linux", "macos"].includes(systemHere());
  assert.equal(blocksOf(trial.path()), [knows ? 0 : 7]);
  assert.is(punched === 0, knows);
  const none = (): void => assert.unreachable();
  const wrong = [
    () => ring.allocate(new Completion(), none, file, 0, 1, "shrink" as "grow"),
    () => ring.advise(new Completion(), none, file, 0, 1, "soon" as "normal"),
  ];
  for (const call of wrong) assert.is(refusalCode(call), "ERR_INVALID_ARG_VALUE", `${call}`);
}
