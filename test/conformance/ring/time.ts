// Time-outs, timers, and the three ways to cancel, on the ring and with promises.

import { Completion } from "@io/core";
import * as assert from "uvu/assert";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { pairOfDescriptors } from "../support/network.js";
import {
  codeOfNumber,
  failure,
  failureCode,
  negative,
  outcome,
  refusalCode,
  type Start,
  Started,
  until,
} from "../support/verbs.js";

const HOUR_MS = 3_600_000;
const HOUR_NS = HOUR_MS * 1e6;

export function ringTime(suite: Suite): void {
  for (const mode of MODES) {
    registerTimeouts(suite, mode);
    registerRefusals(suite, mode);
    registerLimits(suite, mode);
    registerCancelOne(suite, mode);
    registerCancelMany(suite, mode);
  }
  registerSleep(suite);
  registerTogether(suite);
  registerTimer(suite);
}

function registerTogether(suite: Suite): void {
  suite.test(
    "time-outs that are due at nearly the same time wake the loop together",
    async (trial) => {
      const io = await trial.open();
      const before = io.stats().wakeUps;
      const sleeps = Array.from({ length: 200 }, (_, index) => io.sleep(40 + index / 100));
      await Promise.all(sleeps);
      const wakeUps = io.stats().wakeUps - before;
      assert.ok(wakeUps <= 40, `${wakeUps} wake-ups for 200 time-outs`);
    },
  );
}

function registerTimeouts(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a time-out of 0 completes with 0`, async (trial) => {
    const io = await trial.open({ mode });
    const result = await outcome(io, (completion, callback) =>
      io.ring.timeout(completion, callback, 0),
    );
    assert.is(result, 0);
  });

  suite.test(`${mode}: time-outs complete in the order they are due`, async (trial) => {
    const io = await trial.open({ mode });
    const order: number[] = [];
    for (const ms of [60, 20, 40, 0]) {
      io.ring.timeout(
        new Completion(ms),
        (completion, result) => {
          assert.is(result, 0);
          order.push(completion.context);
        },
        ms * 1e6,
      );
    }
    await until(io, () => order.length === 4, "four time-outs");
    assert.equal(order, [0, 20, 40, 60]);
  });

  suite.test(
    `${mode}: time-outs that end together complete in the order they are due`,
    async (trial) => {
      const io = await trial.open({ mode });
      // The later one is started first, and ends with the other one in most rounds.
      for (let rounds = 0; rounds < 20; ) {
        const order: number[] = [];
        const start = process.hrtime.bigint();
        for (const durationNs of [5_200_000, 5_000_000]) {
          const ended = (): void => void order.push(durationNs);
          io.ring.timeout(new Completion(), ended, durationNs);
        }
        io.ring.flush();
        // On a busy machine the second may have begun so late that it is due later.
        const isSure = process.hrtime.bigint() - start < 150_000n;
        await until(io, () => order.length === 2, "two time-outs");
        if (!isSure) continue;
        assert.equal(order, [5_000_000, 5_200_000]);
        rounds++;
      }
    },
  );

  suite.test(`${mode}: a time-out is never early`, async (trial) => {
    const io = await trial.open({ mode });
    for (const durationNs of [1, 999, 1_000_000, 1_500_000, 3_000_000]) {
      const start = process.hrtime.bigint();
      await outcome(io, (completion, callback) =>
        io.ring.timeout(completion, callback, durationNs),
      );
      const passed = Number(process.hrtime.bigint() - start);
      assert.ok(passed >= durationNs, `${durationNs} ns ended after ${passed}`);
    }
  });
}

function registerRefusals(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: an invalid duration is refused`, async (trial) => {
    const io = await trial.open({ mode });
    for (const durationNs of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      const completion = new Completion();
      const call = (): void => io.ring.timeout(completion, () => undefined, durationNs);
      assert.is(refusalCode(call), "ERR_OUT_OF_RANGE", `${durationNs}`);
      assert.is(completion.active, false);
    }
    // Of milliseconds there are fractions.
    for (const durationMs of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      assert.is(await failureCode(io.sleep(durationMs)), "ERR_OUT_OF_RANGE", `${durationMs}`);
    }
    const junk = [5n, "5", "", true, {}, [], null, undefined, new Date()] as unknown as number[];
    for (const durationMs of junk) {
      const { code, message } = await failure(io.sleep(durationMs));
      assert.is(code, "ERR_INVALID_ARG_TYPE", message);
      assert.match(message, /^sleep: durationMs is .*: give milliseconds, 0 to 9007199254$/);
    }
    assert.is(io.stats().inFlight, 0);
  });
}

function registerLimits(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: timeoutNs ends what takes longer, and nothing else`, async (trial) => {
    const io = await trial.open({ mode });
    const { near, far } = await pairOfDescriptors(io);
    const buffer = new Uint8Array(4);
    const receive: Start = (c, callback) => io.ring.receive(c, callback, near, buffer);
    for (const timeoutNs of [0, 1, 1_000_000, 3_000_000]) {
      const start = process.hrtime.bigint();
      const late = new Started(receive, { timeoutNs });
      await until(io, () => late.done, "the end of a receive");
      assert.is(late.result, negative("ETIMEDOUT"), `${timeoutNs} ns`);
      assert.ok(Number(process.hrtime.bigint() - start) >= timeoutNs);
    }
    // It stands on the completion, as it was set, and counts for no other operation.
    const timely = new Started(receive, { timeoutNs: HOUR_NS });
    const unlimited = new Started(receive);
    assert.is(timely.completion.timeoutNs, HOUR_NS);
    assert.is(unlimited.completion.timeoutNs, undefined);
    await outcome(io, (c, callback) => io.ring.send(c, callback, far, new Uint8Array(8)));
    await until(io, () => timely.done && unlimited.done, "two receives");
    assert.equal([timely.result, unlimited.result], [4, 4]);
    assert.is(timely.completion.timeoutNs, HOUR_NS);
  });

  suite.test(`${mode}: the time limit of the last of a chain is its own`, async (trial) => {
    const io = await trial.open({ mode });
    const { near } = await pairOfDescriptors(io);
    const first = new Started((c, callback) => io.ring.timeout(c, callback, 5_000_000), {
      link: true,
    });
    const buffer = new Uint8Array(4);
    const last = new Started((c, callback) => io.ring.receive(c, callback, near, buffer), {
      timeoutNs: 2_000_000,
    });
    await until(io, () => last.done, "the chain");
    assert.equal([first.result, last.result], [0, negative("ETIMEDOUT")]);
  });

  suite.test(`${mode}: an invalid time limit is refused before anything is queued`, (trial) =>
    refusesLimits(trial, mode),
  );
}

async function refusesLimits(trial: Trial, mode: Mode): Promise<void> {
  const io = await trial.open({ mode });
  const completion = new Completion();
  const junk = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "5", true, {}, 5n];
  for (const timeoutNs of junk as number[]) {
    const code = refusalCode(() => {
      completion.timeoutNs = timeoutNs;
    });
    assert.is(code, codeOfNumber(timeoutNs), String(timeoutNs));
    assert.is(completion.timeoutNs, undefined);
  }
  completion.timeoutNs = 1;
  completion.timeoutNs = null;
  assert.is(completion.timeoutNs, undefined);
  // An operation that the engine does itself cannot take long.
  const limited = new Started((c, callback) => io.ring.cancelAll(c, callback), { timeoutNs: 1 });
  await until(io, () => limited.done, "the refusal");
  assert.is(limited.result, negative("EINVAL"));
  assert.is(io.stats().inFlight, 0);
}

function registerCancelOne(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: cancel ends a pending time-out`, async (trial) => {
    const io = await trial.open({ mode });
    const target = new Started((completion, callback) =>
      io.ring.timeout(completion, callback, HOUR_NS),
    );
    const result = await outcome(io, (completion, callback) =>
      io.ring.cancel(completion, callback, target.completion),
    );
    assert.is(result, 0);
    await until(io, () => target.done, "the time-out");
    assert.is(target.result, negative("ECANCELED"));
  });

  suite.test(`${mode}: cancel ends a pending receive, and the socket goes on`, async (trial) => {
    const io = await trial.open({ mode });
    const { near, far } = await pairOfDescriptors(io);
    const untouched = new Uint8Array(4).fill(7);
    const target = new Started((completion, callback) =>
      io.ring.receive(completion, callback, near, untouched),
    );
    io.ring.flush();
    const result = await outcome(io, (completion, callback) =>
      io.ring.cancel(completion, callback, target.completion),
    );
    assert.is(result, 0);
    await until(io, () => target.done, "the receive");
    assert.is(target.result, negative("ECANCELED"));
    const sent = Buffer.from("next");
    await outcome(io, (completion, callback) => io.ring.send(completion, callback, far, sent));
    const buffer = new Uint8Array(4);
    const count = await outcome(io, (completion, callback) =>
      io.ring.receive(completion, callback, near, buffer),
    );
    assert.is(count, 4);
    assert.equal(Buffer.from(buffer), sent);
    assert.equal([...untouched], [7, 7, 7, 7]);
  });

  suite.test(`${mode}: cancel of what is done or never began is -ENOENT`, async (trial) => {
    const io = await trial.open({ mode });
    const done = new Started((completion, callback) => io.ring.nop(completion, callback));
    await until(io, () => done.done, "the nop");
    for (const target of [done.completion, new Completion()]) {
      const result = await outcome(io, (completion, callback) =>
        io.ring.cancel(completion, callback, target),
      );
      assert.is(result, negative("ENOENT"));
    }
    assert.is(done.result, 0);
  });

  suite.test(`${mode}: a cancel does not hit the next user of the completion`, async (trial) => {
    const io = await trial.open({ mode });
    const reused = new Completion();
    const results: number[] = [];
    let cancelled = 1;
    io.ring.nop(reused, () => {
      io.ring.timeout(reused, (_completion, result) => results.push(result), 5_000_000);
    });
    // Named while the nop is in flight; when it is looked at, the nop may long be over.
    io.ring.cancel(
      new Completion(),
      (_completion, result) => {
        cancelled = result;
      },
      reused,
    );
    await until(io, () => results.length > 0 && cancelled !== 1, "the time-out after the nop");
    assert.equal(results, [0]);
    assert.ok(cancelled === negative("ENOENT") || cancelled === 0, `${cancelled}`);
  });
}

function registerCancelMany(suite: Suite, mode: Mode): void {
  suite.test(
    `${mode}: cancel of a descriptor counts what it ended, and no other`,
    async (trial) => {
      const io = await trial.open({ mode });
      const { near, far } = await pairOfDescriptors(io);
      const receive = (descriptor: number): Started =>
        new Started((completion, callback) =>
          io.ring.receive(completion, callback, descriptor, new Uint8Array(8)),
        );
      const targets = [receive(near), receive(near), receive(near)];
      const other = receive(far);
      io.ring.flush();
      const count = await outcome(io, (completion, callback) =>
        io.ring.cancelDescriptor(completion, callback, near),
      );
      assert.is(count, 3);
      await until(io, () => targets.every((one) => one.done), "the receives");
      for (const one of targets) assert.is(one.result, negative("ECANCELED"));
      assert.is(other.done, false);
      await outcome(io, (completion, callback) => io.ring.close(completion, callback, near));
      await until(io, () => other.done, "the end of the stream at the other side");
      assert.is(other.result, 0);
    },
  );

  suite.test(
    `${mode}: cancel of an idle descriptor counts 0, of a strange one fails`,
    async (trial) => {
      const io = await trial.open({ mode });
      const { near } = await pairOfDescriptors(io);
      const cancel = (descriptor: number): Promise<number> =>
        outcome(io, (completion, callback) =>
          io.ring.cancelDescriptor(completion, callback, descriptor),
        );
      assert.is(await cancel(near), 0);
      for (const stranger of [-1, 0, 1, 2, 0x7fffffff]) {
        assert.is(await cancel(stranger), negative("EBADF"), `${stranger}`);
      }
    },
  );

  suite.test(`${mode}: cancel of all ends all, and counts it`, async (trial) => {
    await cancelAll(trial, mode);
  });

  suite.test(`${mode}: cancel of all counts an operation with a time limit once`, async (trial) => {
    const io = await trial.open({ mode });
    const sleeping = [1, 2, 3].map(() => failureCode(io.sleep(HOUR_MS, { timeoutMs: 3_600_000 })));
    const count = io.cancelAll();
    if (mode === "detached") io.run();
    assert.is(await count, 3);
    assert.equal(await Promise.all(sleeping), Array(3).fill("ECANCELED"));
  });
}

async function cancelAll(trial: Trial, mode: Mode): Promise<void> {
  const io = await trial.open({ mode });
  const { near, far } = await pairOfDescriptors(io);
  const targets = [
    new Started((completion, callback) => io.ring.timeout(completion, callback, HOUR_NS)),
    new Started((completion, callback) => io.ring.timeout(completion, callback, HOUR_NS)),
    new Started((completion, callback) =>
      io.ring.receive(completion, callback, near, new Uint8Array(1)),
    ),
    new Started((completion, callback) =>
      io.ring.receive(completion, callback, far, new Uint8Array(1)),
    ),
  ];
  io.ring.flush();
  const count = await outcome(io, (completion, callback) =>
    io.ring.cancelAll(completion, callback),
  );
  assert.is(count, 4);
  await until(io, () => targets.every((one) => one.done), "everything");
  for (const one of targets) assert.is(one.result, negative("ECANCELED"));
  const none = await outcome(io, (completion, callback) => io.ring.cancelAll(completion, callback));
  assert.is(none, 0);
}

function registerSleep(suite: Suite): void {
  suite.test(
    "sleep takes milliseconds and fractions of them, and is never early",
    async (trial) => {
      const io = await trial.open();
      for (const durationMs of [0, 1e-9, 0.25, 2, 3.5, 30]) {
        const start = process.hrtime.bigint();
        assert.is(await io.sleep(durationMs), undefined);
        const passedNs = Number(process.hrtime.bigint() - start);
        assert.ok(passedNs >= Math.round(durationMs * 1e6), `${durationMs} ms ended too early`);
      }
    },
  );

  suite.test("a sleep that fails is named as it was called", async (trial) => {
    const io = await trial.open();
    const { message } = await failure(io.sleep(HOUR_MS, { timeoutMs: 1 }));
    assert.match(message, /^sleep failed: ETIMEDOUT/);
    assert.not.match(message, "peer");
    const controller = new AbortController();
    const left = failure(io.sleep(HOUR_MS, { signal: controller.signal }));
    await io.nop();
    controller.abort();
    assert.match((await left).message, /^sleep was aborted/);
    await trial.close(io);
    const closed = await failure(io.sleep(1));
    assert.equal([closed.code, closed.operation], ["ERR_IO_CLOSED", "sleep"]);
    assert.match(closed.message, /^sleep: the IO is closed/);
  });

  suite.test("cancelAll rejects what is pending with ECANCELED and counts it", async (trial) => {
    const io = await trial.open();
    const codes = [io.sleep(HOUR_MS), io.sleep(HOUR_MS)].map(failureCode);
    assert.is(await io.cancelAll(), 2);
    assert.equal(await Promise.all(codes), ["ECANCELED", "ECANCELED"]);
    assert.is(await io.cancelAll(), 0);
  });
}

function registerTimer(suite: Suite): void {
  suite.test("a timer yields the intervals that passed, rising and never early", async (trial) => {
    const io = await trial.open();
    const intervalMs = 2;
    const start = process.hrtime.bigint();
    await using timer = io.timer({ intervalMs });
    assert.is(timer.intervalMs, intervalMs);
    let last = 0;
    for await (const count of timer) {
      assert.ok(count > last, `${count} after ${last}`);
      assert.ok(Number(process.hrtime.bigint() - start) >= count * intervalMs * 1e6, "early");
      last = count;
      if (count >= 5) break;
    }
    assert.ok(last >= 5);
  });

  suite.test("a late consumer of a timer gets the count once", async (trial) => {
    const io = await trial.open();
    await using timer = io.timer({ intervalMs: 1 });
    const counts: number[] = [];
    for await (const count of timer) {
      counts.push(count);
      if (counts.length === 1) await io.sleep(10);
      if (counts.length === 2) break;
    }
    const [first = 0, second = 0] = counts;
    assert.ok(second >= first + 10, `${first}, then ${second}`);
  });

  suite.test("a timer outlives the limit of operations, and a cancel of all", async (trial) => {
    const io = await trial.open({ inFlightLimit: 4 });
    const timer = io.timer({ intervalMs: 1 });
    const sleeping = Array.from({ length: 4 }, () => failureCode(io.sleep(HOUR_MS)));
    let count = 0;
    const loop = (async () => {
      for await (const passed of timer) {
        count = passed;
        // Full again, each time: the next round has to wait for a place, and what finds none fails.
        for (let place = 0; place < 4; place++) sleeping.push(failureCode(io.sleep(HOUR_MS)));
      }
    })();
    for (let round = 0; round < 3; round++) {
      await io.cancelAll();
      const before = count;
      while (count === before) await new Promise(setImmediate);
    }
    await timer.close();
    await loop;
    await io.cancelAll();
    const codes = new Set(await Promise.all(sleeping));
    codes.delete("ERR_IO_IN_FLIGHT_LIMIT");
    assert.equal([...codes], ["ECANCELED"]);
  });

  suite.test("closing a timer ends its iteration", async (trial) => {
    const io = await trial.open();
    const timer = io.timer({ intervalMs: HOUR_MS });
    const counts: number[] = [];
    const iteration = (async () => {
      for await (const count of timer) counts.push(count);
    })();
    await io.nop();
    await timer.close();
    await timer.close();
    await iteration;
    assert.equal(counts, []);
    for (const intervalMs of [0, -1, Number.NaN, "2", 2n] as unknown as number[]) {
      assert.is(
        refusalCode(() => io.timer({ intervalMs })),
        codeOfNumber(intervalMs),
      );
    }
  });
}
