// Who drives: run() and runFor() of a detached IO, the event loop for an attached one.

import { Completion, type Descriptor, type IO } from "@io/core";
import * as assert from "uvu/assert";
import { runChild } from "../support/children.js";
import type { Suite } from "../support/harness.js";
import { pairOfDescriptors } from "../support/network.js";
import { negative, refusalCode, Started, until } from "../support/verbs.js";

export function ringDriving(suite: Suite): void {
  registerRun(suite);
  registerRunFor(suite);
  registerFlush(suite);
  registerMisuse(suite);
  registerAlive(suite);
}

function startReceive(io: IO, descriptor: Descriptor, timeoutNs?: number): Started {
  return new Started(
    (completion, callback) => io.ring.receive(completion, callback, descriptor, new Uint8Array(1)),
    timeoutNs === undefined ? {} : { timeoutNs },
  );
}

function registerRun(suite: Suite): void {
  suite.test(
    "run() returns when nothing is in flight, callbacks' own operations included",
    async (trial) => {
      const io = await trial.open({ mode: "detached" });
      io.run();
      let rounds = 0;
      const completion = new Completion();
      io.ring.timeout(
        completion,
        function again(ended) {
          rounds++;
          if (rounds < 5) io.ring.timeout(ended, again, 1_000_000);
        },
        1_000_000,
      );
      io.run();
      assert.is(rounds, 5);
      assert.is(io.stats().inFlight, 0);
    },
  );

  suite.test("run() throws what a callback threw, and can be called again", async (trial) => {
    const io = await trial.open({ mode: "detached" });
    let called = 0;
    io.ring.nop(new Completion(), () => {
      throw new RangeError("from the callback");
    });
    io.ring.timeout(new Completion(), () => called++, 1_000_000);
    assert.throws(
      () => io.run(),
      (error: Error) => error instanceof RangeError,
    );
    io.run();
    assert.is(called, 1);
  });

  suite.test("nothing happens in detached mode until it is driven", async (trial) => {
    const io = await trial.open({ mode: "detached" });
    const nop = new Started((completion, callback) => io.ring.nop(completion, callback));
    io.ring.flush();
    for (let index = 0; index < 5; index++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.is(nop.done, false);
    io.run();
    assert.is(nop.result, 0);
  });
}

function registerRunFor(suite: Suite): void {
  suite.test("runFor() returns how many callbacks it called", async (trial) => {
    const io = await trial.open({ mode: "detached" });
    assert.is(io.runFor(0), 0);
    let called = 0;
    for (let index = 0; index < 10; index++) io.ring.nop(new Completion(), () => called++);
    let counted = 0;
    while (counted < 10) counted += io.runFor(1_000_000n);
    assert.is(counted, 10);
    assert.is(called, 10);
    assert.is(io.runFor(0), 0);
  });

  suite.test(
    "runFor() waits until its time is up, and no shorter, when nothing ends",
    async (trial) => {
      const io = await trial.open({ mode: "detached" });
      const pending = new Started((completion, callback) =>
        io.ring.timeout(completion, callback, 3_600_000_000_000),
      );
      for (const durationNs of [1_000_000, 5_000_000n]) {
        const start = process.hrtime.bigint();
        assert.is(io.runFor(durationNs), 0);
        assert.ok(process.hrtime.bigint() - start >= BigInt(durationNs));
      }
      assert.is(pending.done, false);
    },
  );

  // A close of what is in use is looked at again after a while: here it has ended by then.
  suite.test("runFor() waits no shorter after a close of what was in use", async (trial) => {
    const io = await trial.open({ mode: "detached" });
    const { near } = await pairOfDescriptors(io);
    const receive = startReceive(io, near);
    io.runFor(0);
    const close = new Started((completion, callback) => io.ring.close(completion, callback, near));
    await until(io, () => receive.done && close.done, "the close");
    const durationNs = 45_000_000;
    const start = process.hrtime.bigint();
    assert.is(io.runFor(durationNs), 0);
    const passed = Number(process.hrtime.bigint() - start);
    assert.ok(passed >= durationNs, `runFor(${durationNs}) returned after ${passed}`);
  });

  suite.test("runFor() calls back for a receive that was late behind another", async (trial) => {
    const io = await trial.open({ mode: "detached" });
    const { near } = await pairOfDescriptors(io);
    const first = startReceive(io, near);
    const late = startReceive(io, near, 1_000_000);
    assert.is(io.runFor(50_000_000), 1);
    assert.is(late.result, negative("ETIMEDOUT"));
    assert.is(first.done, false);
  });

  suite.test(
    "runFor() returns at the first completion, not at the end of its time",
    async (trial) => {
      const io = await trial.open({ mode: "detached" });
      let called = 0;
      io.ring.nop(new Completion(), () => called++);
      // If it waited for its time this test would never end.
      assert.is(io.runFor(3_600_000_000_000), 1);
      assert.is(called, 1);
    },
  );

  suite.test("runFor() refuses an invalid duration", async (trial) => {
    const io = await trial.open({ mode: "detached" });
    for (const durationNs of [-1, 0.5, Number.NaN, 2 ** 53, -1n]) {
      const call = (): number => io.runFor(durationNs);
      assert.is(refusalCode(call), "ERR_OUT_OF_RANGE", `${durationNs}`);
    }
  });
}

/** In a process of its own, where nothing else wakes the event loop. */
function registerFlush(suite: Suite): void {
  for (const wakeUp of ["", "thread"]) {
    const how = wakeUp === "" ? "" : ", with a waiting thread";
    suite.test(`what flush() hands over while the event loop sleeps is timed${how}`, async () => {
      const ended = await runChild("flushed", suite.backend, { IO_WAKE_UP: wakeUp });
      assert.equal(ended, { status: 0, signal: null, output: "elapsed 0\nended ETIMEDOUT\n" });
    });
  }
}

function registerMisuse(suite: Suite): void {
  suite.test("run() and runFor() inside a callback are refused", async (trial) => {
    const io = await trial.open({ mode: "detached" });
    const codes: string[] = [];
    io.ring.nop(new Completion(), () => {
      codes.push(
        refusalCode(() => io.run()),
        refusalCode(() => io.runFor(0)),
      );
    });
    io.run();
    assert.equal(codes, ["ERR_IO_REENTRANT", "ERR_IO_REENTRANT"]);
  });

  suite.test("run() and runFor() of an attached IO are refused", async (trial) => {
    const io = await trial.open();
    assert.is(
      refusalCode(() => io.run()),
      "ERR_IO_ATTACHED",
    );
    assert.is(
      refusalCode(() => io.runFor(0)),
      "ERR_IO_ATTACHED",
    );
  });

  suite.test("limits of the options are checked", async (trial) => {
    for (const entries of [0, 1, 64, 127, 129, 65_536, 256.5, Number.NaN, -128]) {
      assert.is(await codeOf(trial.open({ entries })), "ERR_OUT_OF_RANGE", `entries ${entries}`);
    }
    for (const inFlightLimit of [0, -1, 1.5, 1_000_001, Number.NaN]) {
      const code = await codeOf(trial.open({ inFlightLimit }));
      assert.is(code, "ERR_OUT_OF_RANGE", `inFlightLimit ${inFlightLimit}`);
    }
    const io = await trial.open({ entries: 32_768, inFlightLimit: 1_000_000 });
    await io.nop();
    const smallest = await trial.open({ entries: 128, inFlightLimit: 1 });
    await smallest.nop();
  });
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: { code: string }) => thrown,
  );
  return error?.code ?? "no error";
}

function registerAlive(suite: Suite): void {
  const { backend } = suite;
  suite.test("an idle IO does not keep the process alive", async () => {
    assert.equal(await runChild("idle", backend), { status: 0, signal: null, output: "open\n" });
  });

  suite.test("an IO that has become idle does not keep the process alive", async () => {
    const { status, output } = await runChild("idle-again", backend);
    assert.equal([status, output], [0, "done\n"]);
  });

  suite.test("an operation in flight keeps the process alive", async () => {
    const { status, output } = await runChild("sleeping", backend);
    assert.equal([status, output], [0, "slept\n"]);
  });

  suite.test("a receive in flight keeps the process alive, and no longer than it", async () => {
    const { status, output } = await runChild("receiving", backend);
    assert.equal([status, output], [0, "still there\ncancelled\n"]);
  });

  suite.test("a detached IO does not keep the process alive", async () => {
    const { status, output } = await runChild("detached", backend);
    assert.equal([status, output], [0, "queued\n"]);
  });
}
