// Linked operations: each starts when the one before it has succeeded in full.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import {
  type Callback,
  Completion,
  type File,
  type IO,
  IOError,
  OpenFlags,
  type PreparedOperation,
  StatRecord,
} from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import { runChildTool } from "../support/children.js";
import { detach, pattern, sameBytes } from "../support/data.js";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { pairOfDescriptors } from "../support/network.js";
import {
  codeOfNumber,
  type Flags,
  failure,
  failureCode,
  idle,
  negative,
  refusalCode,
  roundTrips,
  type Start,
  Started,
  startChain,
  success,
  until,
} from "../support/verbs.js";

export function chains(suite: Suite): void {
  registerWhole(suite);
  registerBroken(suite);
  registerRefused(suite);
  registerEndings(suite);
  registerInvalid(suite);
  for (const mode of MODES) {
    registerRing(suite, mode);
    registerRingMixed(suite, mode);
    registerRingFailures(suite, mode);
    registerRingInvalid(suite, mode);
    registerRingOpen(suite, mode);
    registerRingOpenCalls(suite, mode);
  }
  registerOthersMeanwhile(suite);
}

async function emptyFile(trial: Trial): Promise<{ io: IO; file: File }> {
  const io = await trial.open();
  return { io, file: await io.openFile(trial.path(), { read: true, write: true, create: true }) };
}

function content(trial: Trial): string {
  return readFileSync(trial.path(), "latin1");
}

function registerWhole(suite: Suite): void {
  suite.test("a write and its sync are one chain", async (trial) => {
    const { io, file } = await emptyFile(trial);
    const before = io.stats().systemCalls;
    const results = await io.chain([
      file.prepareWrite(Buffer.from("kept"), 0),
      file.prepareSync("data"),
    ]);
    assert.equal(results, [4, 0]);
    assert.is(content(trial), "kept");
    assert.ok(io.stats().systemCalls > before);
  });

  suite.test("a chain of one is an operation", async (trial) => {
    const { io, file } = await emptyFile(trial);
    assert.equal(await io.chain([file.prepareWrite(Buffer.from("one"), 0)]), [3]);
    assert.equal(await io.chain([file.prepareSync()]), [0]);
  });

  suite.test("a chain of 32 runs in order", async (trial) => {
    const { io, file } = await emptyFile(trial);
    // Each write overlaps the one before it, so that any other order shows.
    const writes = Array.from({ length: 32 }, (_, index) =>
      file.prepareWrite(Buffer.from(`${String.fromCharCode(48 + index)}~`), index),
    );
    assert.equal(await io.chain(writes), Array(32).fill(2));
    const expected = Array.from({ length: 32 }, (_, index) => String.fromCharCode(48 + index));
    assert.is(content(trial), `${expected.join("")}~`);
  });

  suite.test("a read behind a write reads what was written", async (trial) => {
    const { io, file } = await emptyFile(trial);
    const data = pattern(100_000);
    const back = new Uint8Array(data.byteLength);
    const results = await io.chain([
      file.prepareWrite(data, 0),
      file.prepareSync(),
      file.prepareRead(back, 0),
    ]);
    assert.equal(results, [100_000, 0, 100_000]);
    assert.ok(sameBytes(back, data));
  });

  suite.test("many chains at once do not mix", async (trial) => {
    const { io, file } = await emptyFile(trial);
    const buffers = Array.from({ length: 200 }, (_, index) => pattern(32, index));
    const chained = buffers.map((buffer, index) =>
      io.chain([file.prepareWrite(buffer, 32 * index), file.prepareSync("data")]),
    );
    for (const results of await Promise.all(chained)) assert.equal(results, [32, 0]);
    assert.ok(sameBytes(readFileSync(trial.path()), Buffer.concat(buffers)));
  });
}

function registerBroken(suite: Suite): void {
  suite.test("a chain whose first member fails runs none of the rest", async (trial) => {
    const { io, file } = await emptyFile(trial);
    const reader = await io.openFile(trial.path());
    const error = await failure(
      io.chain([
        reader.prepareWrite(Buffer.from("no"), 0),
        file.prepareWrite(Buffer.from("nor this"), 0),
        file.prepareSync(),
      ]),
    );
    assert.equal([error.code, error.operation, error.syscall], ["EBADF", "write", "write"]);
    assert.is(content(trial), "");
  });

  suite.test("a chain that fails in the middle keeps what came before", async (trial) => {
    const { io, file } = await emptyFile(trial);
    const reader = await io.openFile(trial.path());
    const chained = io.chain([
      file.prepareWrite(Buffer.from("first"), 0),
      reader.prepareWrite(Buffer.from("second"), 0),
      file.prepareWrite(Buffer.from("third"), 0),
    ]);
    assert.is(await failureCode(chained), "EBADF");
    assert.is(content(trial), "first");
  });

  suite.test("a short read breaks the chain, and says by how much", async (trial) => {
    const { io, file } = await emptyFile(trial);
    writeFileSync(trial.path(), "abc");
    const buffer = new Uint8Array(8);
    const error = await failure(
      io.chain([file.prepareRead(buffer, 0), file.prepareWrite(Buffer.from("XYZ"), 0)]),
    );
    assert.is(error.code, "ERR_IO_CHAIN_SHORT");
    assert.match(error.message, "3 of 8");
    assert.equal([error.member, error.results], [0, [3, negative("ECANCELED")]]);
    assert.is(content(trial), "abc");
    assert.is(Buffer.from(buffer.subarray(0, 3)).toString(), "abc");
  });

  suite.test("a short read at the end of a chain is short too", async (trial) => {
    const { io, file } = await emptyFile(trial);
    writeFileSync(trial.path(), "abc");
    const chained = io.chain([file.prepareSync("data"), file.prepareRead(new Uint8Array(8), 0)]);
    assert.is(await failureCode(chained), "ERR_IO_CHAIN_SHORT");
  });
}

function registerRefused(suite: Suite): void {
  suite.test("a chain of none and one of 65 are refused", async (trial) => {
    const { io, file } = await emptyFile(trial);
    assert.is(await failureCode(io.chain([])), "ERR_OUT_OF_RANGE");
    const many = Array.from({ length: 65 }, () => file.prepareWrite(Buffer.from("x"), 0));
    assert.is(await failureCode(io.chain(many)), "ERR_OUT_OF_RANGE");
    await idle(io);
    assert.is(content(trial), "");
  });

  suite.test("a chain of what is not prepared, or of another IO, is refused", async (trial) => {
    const { io, file } = await emptyFile(trial);
    const other = await trial.open();
    const chained = other.chain([file.prepareWrite(Buffer.from("x"), 0)]);
    assert.is(await failureCode(chained), "ERR_INVALID_ARG_TYPE");
    for (const wrong of [undefined, {}, Promise.resolve(), 7] as unknown as PreparedOperation[]) {
      const mixed = io.chain([file.prepareWrite(Buffer.from("x"), 0), wrong]);
      assert.is(await failureCode(mixed), "ERR_INVALID_ARG_TYPE");
    }
    await idle(io);
    assert.is(content(trial), "");
  });

  suite.test("a chain that does not fit the limit in flight starts nothing", async (trial) => {
    const io = await trial.open({ inFlightLimit: 4 });
    const file = await io.openFile(trial.path(), { write: true, create: true });
    const writes = Array.from({ length: 5 }, () => file.prepareWrite(Buffer.from("x"), 0));
    assert.is(await failureCode(io.chain(writes)), "ERR_IO_IN_FLIGHT_LIMIT");
    await idle(io);
    assert.is(content(trial), "");
    assert.equal(await io.chain(writes.slice(1)), [1, 1, 1, 1]);
  });
}

async function openFifo(trial: Trial, io: IO): Promise<File> {
  runChildTool("mkfifo", trial.path("fifo"));
  return io.openFile(trial.path("fifo"), { read: true, write: true });
}

function registerEndings(suite: Suite): void {
  suite.test("a chain that takes longer than its time limit is ended", async (trial) => {
    const { io, file } = await emptyFile(trial);
    const fifo = await openFifo(trial, io);
    const members = [
      file.prepareWrite(Buffer.from("first"), 0),
      fifo.prepareRead(new Uint8Array(4)),
      file.prepareWrite(Buffer.from("third"), 0),
    ];
    const error = await failure(io.chain(members, { timeoutMs: 20 }));
    assert.equal([error.code, error.operation], ["ETIMEDOUT", "chain"]);
    assert.match(error.message, "20 ms");
    assert.equal([error.member, error.results], [1, [5, CANCELED, CANCELED]]);
    await idle(io);
    assert.is(content(trial), "first");
    // A chain that ends in time leaves no limit behind.
    const done = io.chain([file.prepareWrite(Buffer.from("again"), 0)], { timeoutMs: 60_000 });
    assert.equal(await done, [5]);
    await idle(io);
    for (const timeoutMs of [-1, Number.NaN, "5", {}, Number.POSITIVE_INFINITY]) {
      const refused = io.chain(members, { timeoutMs: timeoutMs as number });
      assert.is(await failureCode(refused), codeOfNumber(timeoutMs), String(timeoutMs));
    }
  });

  suite.test("an abort ends a chain with all that has not started", async (trial) => {
    const { io, file } = await emptyFile(trial);
    const fifo = await openFifo(trial, io);
    const members = [
      fifo.prepareRead(new Uint8Array(4)),
      file.prepareWrite(Buffer.from("second"), 0),
      file.prepareSync(),
    ];
    const controller = new AbortController();
    const { signal } = controller;
    const chained = failure(io.chain(members, { signal }));
    await roundTrips(io);
    controller.abort(new Error("the reason"));
    const error = await chained;
    assert.equal([error.code, error.operation], ["ABORT_ERR", "chain"]);
    assert.is((error.cause as Error).message, "the reason");
    await idle(io);
    assert.is(content(trial), "");
    assert.is(await failureCode(io.chain(members, { signal })), "ABORT_ERR");
    const wrong = { signal: controller as unknown as AbortSignal };
    assert.is(await failureCode(io.chain(members, wrong)), "ERR_INVALID_ARG_TYPE");
    const unknown = io.chain(members, { signals: signal } as object);
    assert.is(await failureCode(unknown), "ERR_INVALID_ARG_VALUE");
    const single = io.chain(file.prepareSync() as unknown as PreparedOperation[]);
    assert.is(await failureCode(single), "ERR_INVALID_ARG_TYPE");
  });
}

function registerInvalid(suite: Suite): void {
  suite.test("a chain with a closed file starts nothing", async (trial) => {
    const { io, file } = await emptyFile(trial);
    const other = await io.openFile(trial.path(), { write: true });
    const late = other.prepareWrite(Buffer.from("late"), 0);
    await other.close();
    const error = await failure(io.chain([file.prepareWrite(Buffer.from("early"), 0), late]));
    assert.ok(["EBADF", "ERR_IO_CLOSED"].includes(error.code), error.code);
    await idle(io);
    assert.is(content(trial), "");
    assert.is(
      refusalCode(() => other.prepareWrite(Buffer.from("x"), 0)),
      "ERR_IO_CLOSED",
    );
  });

  suite.test("a chain with a buffer that was detached meanwhile starts nothing", async (trial) => {
    const { io, file } = await emptyFile(trial);
    const lost = new Uint8Array(4);
    const members = [
      file.prepareWrite(Buffer.from("early"), 0),
      file.prepareWrite(lost, 0),
      file.prepareSync(),
    ];
    detach(lost);
    assert.is(await failureCode(io.chain(members)), "ERR_IO_BUFFER_DETACHED");
    await idle(io);
    assert.is(content(trial), "");
    assert.equal(
      await io.chain([file.prepareWrite(Buffer.from("after"), 0), file.prepareSync()]),
      [5, 0],
    );
  });
}

async function openBoth(io: IO, path: string): Promise<number> {
  const flags = OpenFlags.read | OpenFlags.write | OpenFlags.create;
  return success(io, (completion, callback) =>
    io.ring.open(completion, callback, path, flags, 0o600),
  );
}

async function allDone(io: IO, members: readonly Started[]): Promise<number[]> {
  await until(io, () => members.every((member) => member.done), "the members of a chain");
  return members.map((member) => member.result);
}

function registerRing(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: the ring runs a chain in order`, async (trial) => {
    const io = await trial.open({ mode });
    const file = await openBoth(io, trial.path());
    const order: number[] = [];
    for (const [index, data] of ["abc", "bcd", "cde"].entries()) {
      const completion = new Completion();
      completion.link = index < 2;
      io.ring.write(completion, () => order.push(index), file, Buffer.from(data), index);
    }
    await until(io, () => order.length === 3, "the chain");
    assert.equal(order, [0, 1, 2]);
    assert.is(content(trial), "abcde");
  });

  suite.test(
    `${mode}: the ring's chain ends at a failure, -ECANCELED for the rest`,
    async (trial) => {
      const io = await trial.open({ mode });
      const file = await openBoth(io, trial.path());
      const buffer = new Uint8Array(8);
      const members = startChain(
        (c, callback) => io.ring.read(c, callback, file, buffer, 0),
        (c, callback) => io.ring.write(c, callback, file, buffer, 0),
        (c, callback) => io.ring.nop(c, callback),
      );
      const after = new Started((c, callback) => io.ring.nop(c, callback));
      const cancelled = negative("ECANCELED");
      assert.equal(await allDone(io, members), [0, cancelled, cancelled]);
      assert.equal(await allDone(io, [after]), [0]);
      assert.is(content(trial), "");
    },
  );

  suite.test(`${mode}: a chain is linked wherever the submission ring stands`, async (trial) => {
    const io = await trial.open({ mode, entries: 128 });
    const file = await openBoth(io, trial.path());
    const all: Started[] = [];
    for (let round = 0; round < 40; round++) {
      // 3 and 7 fit no power of two: chains come to lie across the end.
      for (let index = 0; index < 3; index++) {
        all.push(new Started((c, callback) => io.ring.nop(c, callback)));
      }
      const texts = [0, 1, 2, 3, 4, 5, 6].map((index) => Buffer.from(`${index}`));
      const starts = texts.map((data): Start => {
        return (c, callback) => io.ring.write(c, callback, file, data, round);
      });
      all.push(...startChain(...starts));
    }
    await allDone(io, all);
    assert.is(content(trial), "6".repeat(40));
  });
}

function registerRingMixed(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: opening, naming and waiting can be linked`, async (trial) => {
    const io = await trial.open({ mode });
    const start = process.hrtime.bigint();
    const members = startChain(
      (c, callback) => io.ring.mkdir(c, callback, trial.path("a"), 0o700),
      (c, callback) => io.ring.timeout(c, callback, 2_000_000),
      (c, callback) => io.ring.rename(c, callback, trial.path("a"), trial.path("b")),
      (c, callback) => io.ring.unlink(c, callback, trial.path("b"), true),
    );
    assert.equal(await allDone(io, members), [0, 0, 0, 0]);
    assert.ok(process.hrtime.bigint() - start >= 2_000_000n);
  });

  suite.test(`${mode}: a chain has 32 members at most`, async (trial) => {
    const io = await trial.open({ mode });
    const nop: Start = (c, callback) => io.ring.nop(c, callback);
    const members = Array.from({ length: 31 }, () => new Started(nop, { link: true }));
    assert.is(
      refusalCode(() => new Started(nop, { link: true })),
      "ERR_OUT_OF_RANGE",
    );
    members.push(new Started(nop));
    assert.equal(await allDone(io, members), Array(32).fill(0));
  });

  suite.test(`${mode}: a chain that meets the limit in flight is ended`, async (trial) => {
    const io = await trial.open({ mode, inFlightLimit: 4 });
    const nop: Start = (c, callback) => io.ring.nop(c, callback);
    const members = Array.from({ length: 4 }, () => new Started(nop, { link: true }));
    assert.is(
      refusalCode(() => new Started(nop)),
      "ERR_IO_IN_FLIGHT_LIMIT",
    );
    assert.equal(await allDone(io, members), Array(4).fill(CANCELED));
    assert.equal(await allDone(io, [new Started(nop)]), [0]);
    assert.equal(uncaughtCodes(trial), []);
  });

  suite.test(`${mode}: what is no link is an error before anything is queued`, async (trial) => {
    const io = await trial.open({ mode });
    const completion = new Completion();
    for (const link of [1, 0, "true", {}, Number.NaN, Symbol("link")] as unknown as boolean[]) {
      const code = refusalCode(() => {
        completion.link = link;
      });
      assert.is(code, "ERR_INVALID_ARG_TYPE", String(link));
      assert.is(completion.link, false);
    }
    completion.link = true;
    completion.link = null;
    assert.is(completion.link, false);
    completion.link = true;
    completion.link = undefined;
    assert.is(completion.link, false);
    assert.throws(() => {
      completion.link = "soft" as "hard";
    }, 'link is "soft", a string: give true, false or "hard"');
    assert.is(io.stats().inFlight, 0);
  });
}

/** For each operation that can be linked, one that fails, and how. */
async function failing(
  trial: Trial,
  io: IO,
): Promise<[name: string, errno: Parameters<typeof negative>[0], start: Start][]> {
  const { ring } = io;
  const open = (path: string, flags: number): Promise<number> =>
    success(io, (c, callback) => ring.open(c, callback, path, flags, 0o600));
  const missing = trial.path("missing/file");
  const readOnly = await open(trial.path(), OpenFlags.read | OpenFlags.create);
  const both = OpenFlags.read | OpenFlags.write;
  const [holder, locked] = [await open(trial.path(), both), await open(trial.path(), both)];
  await success(io, (c, callback) => ring.lock(c, callback, holder, true, 0, 0, true));
  const socket = await success(io, (c, callback) => ring.socket(c, callback, "ipv4"));
  const here = systemHere();
  const noPlace = here === "linux" ? "ENOENT" : "ENOTSUP";
  const noAttribute = here === "linux" || here === "macos" ? "ENODATA" : "ENOTSUP";
  const memory = new Uint8Array(8);
  const record = new StatRecord();
  return [
    ["open", "ENOENT", (c, done) => ring.open(c, done, missing, OpenFlags.read, 0)],
    ["write", "EBADF", (c, done) => ring.write(c, done, readOnly, memory, 0)],
    ["writeVectored", "EBADF", (c, done) => ring.writeVectored(c, done, readOnly, [memory], 0)],
    ["stat", "ENOENT", (c, done) => ring.stat(c, done, missing, record)],
    ["sync", "EINVAL", (c, done) => ring.sync(c, done, socket, "full")],
    ["allocate", "EINVAL", (c, done) => ring.allocate(c, done, readOnly, 0, 0, "grow")],
    ["truncate", "EINVAL", (c, done) => ring.truncate(c, done, readOnly, 0)],
    ["removeXattr", noAttribute, (c, done) => ring.removeXattr(c, done, locked, "user.none")],
    [
      "removeXattrAt",
      here === "linux" || here === "macos" ? "ENOENT" : "ENOTSUP",
      (c, done) => {
        ring.removeXattrAt(c, done, missing, "user.none");
      },
    ],
    ["linkDescriptor", noPlace, (c, done) => ring.linkDescriptor(c, done, locked, missing)],
    ["lock", "EAGAIN", (c, done) => ring.lock(c, done, locked, true, 0, 0, false)],
    ["rename", "ENOENT", (c, done) => ring.rename(c, done, missing, trial.path("new"))],
    ["link", "ENOENT", (c, done) => ring.link(c, done, missing, trial.path("new"))],
    ["copyFile", "ENOENT", (c, done) => ring.copyFile(c, done, missing, trial.path("new"))],
    ["symlink", "ENOENT", (c, done) => ring.symlink(c, done, "x", missing)],
    ["readlink", "ENOENT", (c, done) => ring.readlink(c, done, missing, memory)],
    ["unlink", "ENOENT", (c, done) => ring.unlink(c, done, missing, false)],
    ["mkdir", "ENOENT", (c, done) => ring.mkdir(c, done, missing, 0o700)],
    ["watchAdd", "EINVAL", (c, done) => ring.watchAdd(c, done, locked, readOnly)],
    ["watchRemove", "EINVAL", (c, done) => ring.watchRemove(c, done, locked, 1)],
    ["accept", "EINVAL", (c, done) => ring.accept(c, done, socket)],
    ["send", "ENOTSOCK", (c, done) => ring.send(c, done, readOnly, memory)],
    ["receive", "ENOTCONN", (c, done) => ring.receive(c, done, socket, memory)],
    ["receiveVectored", "ENOTCONN", (c, done) => ring.receiveVectored(c, done, socket, [memory])],
    ["peek", "ENOTCONN", (c, done) => ring.peek(c, done, socket, memory)],
    ["shutdown", "ENOTCONN", (c, done) => ring.shutdown(c, done, socket, "both")],
    ["disconnect", "EOPNOTSUPP", (c, done) => ring.disconnect(c, done, socket)],
  ];
}

function registerRingFailures(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: whatever fails, nothing behind it is started`, async (trial) => {
    const io = await trial.open({ mode });
    const file = await openBoth(io, trial.path("behind"));
    const data = Buffer.from("never");
    const cancelled = negative("ECANCELED");
    for (const [name, errno, start] of await failing(trial, io)) {
      const members = startChain(
        (c, callback) => io.ring.sync(c, callback, file, "data"),
        start,
        (c, callback) => io.ring.write(c, callback, file, data, 0),
        (c, callback) => io.ring.sync(c, callback, file, "data"),
        (c, callback) => io.ring.mkdir(c, callback, trial.path(name), 0o700),
      );
      const expected = [0, negative(errno), cancelled, cancelled, cancelled];
      assert.equal(await allDone(io, members), expected, name);
      assert.not(existsSync(trial.path(name)), name);
    }
    await idle(io);
    assert.is(readFileSync(trial.path("behind"), "latin1"), "");
  });

  suite.test(`${mode}: a chain of syncs, writes and names runs in order`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const file = await openBoth(io, trial.path("draft"));
    const order: number[] = [];
    const count = 32;
    for (let index = 0; index < count; index++) {
      const c = new Completion();
      c.link = index < count - 1;
      const done = (_c: Completion, result: number): void => {
        assert.ok(result >= 0, `${index}: ${result}`);
        order.push(index);
      };
      if (index === count - 1) ring.rename(c, done, trial.path("draft"), trial.path("file"));
      else if (index % 2 === 1) ring.sync(c, done, file, "data");
      else ring.write(c, done, file, Buffer.from(`${index} `), -1);
    }
    await until(io, () => order.length === count, "the chain");
    const all = Array.from({ length: count }, (_, index) => index);
    assert.equal(order, all);
    const written = all.filter((index) => index % 2 === 0).map((index) => `${index} `);
    assert.is(readFileSync(trial.path("file"), "latin1"), written.join(""));
  });

  suite.test(`${mode}: closing ends a chain that waits behind a sync`, async (trial) => {
    const io = await trial.open({ mode });
    const { near } = await pairOfDescriptors(io);
    const file = await openBoth(io, trial.path());
    const members = startChain(
      (c, callback) => io.ring.sync(c, callback, file, "data"),
      (c, callback) => io.ring.receive(c, callback, near, new Uint8Array(4)),
      (c, callback) => io.ring.nop(c, callback),
    );
    await success(io, (c, callback) => io.ring.close(c, callback, near));
    const [, receive, last] = await allDone(io, members);
    assert.equal([receive, last], [negative("ECANCELED"), negative("ECANCELED")]);
  });
}

function registerRingInvalid(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: an invalid member keeps the whole chain from starting`, async (trial) => {
    const io = await trial.open({ mode });
    const file = await openBoth(io, trial.path());
    const data = Buffer.from("never");
    for (const [position, stranger] of [
      [0, file + 1],
      [1, -1],
      [2, file + (1 << 20)],
    ] as const) {
      const members = startChain(
        ...[0, 1, 2].map(
          (index): Start =>
            (c, callback) =>
              io.ring.write(c, callback, index === position ? stranger : file, data, 0),
        ),
      );
      const after = new Started((c, callback) => io.ring.nop(c, callback));
      const expected = [0, 1, 2].map((index) =>
        negative(index === position ? "EBADF" : "ECANCELED"),
      );
      assert.equal(await allDone(io, members), expected);
      assert.equal(await allDone(io, [after]), [0]);
    }
    await idle(io);
    assert.is(content(trial), "");
    assert.is(io.stats().inFlight, 0);
  });

  suite.test(`${mode}: a verb that throws leaves a chain as it was`, async (trial) => {
    const io = await trial.open({ mode });
    const file = await openBoth(io, trial.path());
    const first = new Started(
      (c, callback) => io.ring.write(c, callback, file, Buffer.from("first"), 0),
      { link: true },
    );
    assert.throws(
      () => io.ring.write(new Completion(), () => undefined, file, Buffer.from("x"), -7),
      (error: unknown) => error instanceof IOError,
    );
    // It is the next of the chain: it would not start if the write failed.
    const second = new Started((c, callback) => io.ring.nop(c, callback));
    assert.equal(await allDone(io, [first, second]), [5, 0]);
    const failing = new Started((c, callback) => io.ring.write(c, callback, -1, SOME, 0), LINKED);
    assert.throws(() => io.ring.nop(new Completion(), null as unknown as Callback));
    const behind = new Started((c, callback) => io.ring.nop(c, callback));
    assert.equal(await allDone(io, [failing, behind]), [negative("EBADF"), CANCELED]);
    assert.equal(uncaughtCodes(trial), []);
  });
}

/** The code of each uncaught error. */
function uncaughtCodes(trial: Trial): unknown[] {
  return trial.takeUncaught().map((error) => (error as IOError).code);
}

const CANCELED = negative("ECANCELED");

const SOME = new Uint8Array(1);
const LINKED: Flags = { link: true };

function write(io: IO, file: number, text: string, flags: Flags = {}): Started {
  const data = Buffer.from(text);
  return new Started((c, callback) => io.ring.write(c, callback, file, data, 0), flags);
}

function registerRingOpen(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: nothing runs of a chain that was left open`, async (trial) => {
    const io = await trial.open({ mode });
    const file = await openBoth(io, trial.path());
    const members = [write(io, file, "a", LINKED), write(io, file, "b", LINKED)];
    await Promise.resolve().then(() => Promise.resolve());
    // It is no part of the chain, although it is queued in the same turn.
    const other = write(io, file, "c");
    assert.equal(await allDone(io, [...members, other]), [CANCELED, CANCELED, 1]);
    assert.is(content(trial), "c");
    assert.equal(uncaughtCodes(trial), ["ERR_IO_CHAIN_OPEN"]);
  });

  suite.test(`${mode}: a chain that a callback leaves open is none of the next`, async (trial) => {
    const io = await trial.open({ mode });
    const file = await openBoth(io, trial.path());
    const members: Started[] = [];
    const others: Started[] = [];
    const first = new Started((c, callback) =>
      io.ring.nop(c, (completion, result) => {
        callback(completion, result);
        members.push(write(io, file, "a", LINKED));
      }),
    );
    const second = new Started((c, callback) =>
      io.ring.nop(c, (completion, result) => {
        callback(completion, result);
        others.push(write(io, file, "b"));
      }),
    );
    const third = new Started((c, callback) =>
      io.ring.nop(c, (completion, result) => {
        callback(completion, result);
        members.push(write(io, file, "c", LINKED));
        throw new RangeError("of the program's own");
      }),
    );
    if (mode === "attached") {
      await allDone(io, [first, second, third]);
    } else {
      assert.throws(
        () => io.run(),
        (error: unknown) => error instanceof Error,
      );
    }
    await until(io, () => members.length === 2 && others.length === 1, "the callbacks");
    assert.equal(await allDone(io, [...members, ...others]), [CANCELED, CANCELED, 1]);
    assert.is(content(trial), "b");
    const codes = uncaughtCodes(trial);
    // A detached run() throws the first of them.
    const all = ["ERR_IO_CHAIN_OPEN", undefined, "ERR_IO_CHAIN_OPEN"];
    assert.equal(codes, mode === "attached" ? all : all.slice(1));
  });
}

function registerRingOpenCalls(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: flush() and run() refuse an open chain, which stays`, async (trial) => {
    const io = await trial.open({ mode });
    const file = await openBoth(io, trial.path());
    const first = write(io, file, "a", LINKED);
    const calls = [() => io.ring.flush()];
    if (mode === "detached")
      calls.push(
        () => io.run(),
        () => void io.runFor(0),
      );
    for (const code of calls.map(refusalCode)) assert.is(code, "ERR_IO_CHAIN_OPEN");
    const second = write(io, file, "b");
    assert.equal(await allDone(io, [first, second]), [1, 1]);
    assert.is(content(trial), "b");
  });

  suite.test(`${mode}: io.close() ends a chain that was left open`, async (trial) => {
    const io = await trial.open({ mode });
    const file = await openBoth(io, trial.path());
    const member = write(io, file, "a", LINKED);
    await trial.close(io);
    assert.is(member.result, CANCELED);
    assert.is(content(trial), "");
    assert.equal(uncaughtCodes(trial), ["ERR_IO_CHAIN_OPEN"]);
  });
}

function registerOthersMeanwhile(suite: Suite): void {
  suite.test("what others queue is no member of a chain that was left open", async (trial) => {
    const { io, file } = await emptyFile(trial);
    const { near } = await pairOfDescriptors(io);
    const starts: readonly (() => Promise<unknown>)[] = [
      () => io.nop(),
      () => file.write(Buffer.from("w"), 0),
      () => io.chain([file.prepareWrite(Buffer.from("c"), 0), file.prepareSync("data")]),
      () => io.cancelAll(),
      () => io.stat(trial.path()),
    ];
    for (const start of starts) {
      const member = new Started(
        (c, callback) => io.ring.receive(c, callback, near, new Uint8Array(4)),
        LINKED,
      );
      await start();
      assert.equal(await allDone(io, [member]), [CANCELED], `${start}`);
      assert.equal(uncaughtCodes(trial), ["ERR_IO_CHAIN_OPEN"], `${start}`);
    }
    const other = await io.openFile(trial.path(), { read: true });
    const member = new Started((c, callback) => io.ring.nop(c, callback), LINKED);
    await other.close();
    assert.equal(await allDone(io, [member]), [CANCELED]);
    assert.equal(uncaughtCodes(trial), ["ERR_IO_CHAIN_OPEN"]);
  });
}
