// Reads and writes that move the position of a file, or append to it, while others are in flight.

import { readFileSync, writeFileSync } from "node:fs";
import { Completion, type Descriptor, type IO, OpenFlags } from "@io/core";
import * as assert from "uvu/assert";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { negative, outcome, Started, success, until } from "../support/verbs.js";

const COUNT = 300;
const PIECE_BYTES = 4096;
const CURRENT = -1;

export function filesPosition(suite: Suite): void {
  for (const mode of MODES) {
    if (suite.backend === "io_uring") {
      const reason = "the kernel usually keeps the order, and promises none";
      suite.skip(`${mode}: what moves a position is made in order`, reason);
    } else {
      registerOrder(suite, mode);
    }
    registerEnds(suite, mode);
  }
}

function openAt(io: IO, path: string, flags: number): Promise<Descriptor> {
  return success(io, (c, callback) => io.ring.open(c, callback, path, flags, 0o600));
}

function pieces(): Uint8Array[] {
  return Array.from({ length: COUNT }, (_, index) => new Uint8Array(PIECE_BYTES).fill(index));
}

function firstBytes(data: Uint8Array): number[] {
  return Array.from({ length: data.length / PIECE_BYTES }, (_, at) => data[at * PIECE_BYTES] ?? -1);
}

const EXPECTED = pieces().map((piece) => piece[0]);

async function writeAll(trial: Trial, io: IO, flags: number, offset: number): Promise<void> {
  const path = trial.path(`written-${flags}`);
  const descriptor = await openAt(io, path, flags | OpenFlags.create);
  const writes = pieces().map((piece, index) => {
    if (index % 7 === 0) io.ring.flush();
    return new Started((c, callback) => io.ring.write(c, callback, descriptor, piece, offset));
  });
  await until(io, () => writes.every((write) => write.done), "the writes");
  assert.ok(writes.every((write) => write.result === PIECE_BYTES));
  assert.equal(firstBytes(readFileSync(path)), EXPECTED);
}

function registerOrder(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: what moves a position is made in order`, async (trial) => {
    const io = await trial.open({ mode });
    await writeAll(trial, io, OpenFlags.write, CURRENT);
    // It goes to the end, not to the position that was given.
    await writeAll(trial, io, OpenFlags.append, 0);
    const path = trial.path("read");
    writeFileSync(path, Buffer.concat(pieces()));
    const descriptor = await openAt(io, path, OpenFlags.read);
    const into = pieces().map((piece) => piece.fill(0));
    const reads = into.map(
      (piece) =>
        new Started((c, callback) => io.ring.read(c, callback, descriptor, piece, CURRENT)),
    );
    await until(io, () => reads.every((read) => read.done), "the reads");
    assert.equal(firstBytes(Buffer.concat(into)), EXPECTED);
  });
}

function registerEnds(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: what waits to move a position can be ended`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const path = trial.path();
    const descriptor = await openAt(io, path, OpenFlags.append | OpenFlags.create);
    const write = (piece: Uint8Array): Started =>
      new Started((c, callback) => ring.write(c, callback, descriptor, piece, CURRENT));
    const allowed = [PIECE_BYTES, negative("ECANCELED")];
    for (const end of ["one", "descriptor", "all", "close"]) {
      const writes = pieces().map(write);
      ring.flush();
      if (end === "one") {
        for (const { completion } of writes.slice(100, 200)) {
          ring.cancel(new Completion(), () => undefined, completion);
        }
      } else if (end === "descriptor") {
        ring.cancelDescriptor(new Completion(), () => undefined, descriptor);
      } else if (end === "all") {
        ring.cancelAll(new Completion(), () => undefined);
      } else {
        assert.is(await outcome(io, (c, callback) => ring.close(c, callback, descriptor)), 0);
      }
      await until(io, () => writes.every((one) => one.done), `${end}: the writes`);
      for (const one of writes) assert.ok(allowed.includes(one.result), `${end}: ${one.result}`);
      if (end === "close") break;
      const after = write(new Uint8Array(PIECE_BYTES));
      await until(io, () => after.done, `${end}: one afterwards`);
      assert.is(after.result, PIECE_BYTES);
    }
    assert.is(readFileSync(path).length % PIECE_BYTES, 0);
  });
}
