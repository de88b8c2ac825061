// The common rules of every operation of the ring: one final completion, outside of every submit.

import { AsyncLocalStorage } from "node:async_hooks";
import { type Callback, Completion, type IO } from "@io/core";
import * as assert from "uvu/assert";
import { MODES, type Mode, type Suite } from "../support/harness.js";
import { listeningDescriptor, unixAddress } from "../support/network.js";
import { outcome, refusalCode, Started, success, turn, until } from "../support/verbs.js";

export function ringCompletions(suite: Suite): void {
  for (const mode of MODES) {
    registerOnce(suite, mode);
    registerCallbacks(suite, mode);
    registerContext(suite, mode);
    registerReuse(suite, mode);
    registerThrowing(suite, mode);
    registerQueue(suite, mode);
    registerLimit(suite, mode);
  }
}

function nops(io: IO, count: number): Started[] {
  return Array.from(
    { length: count },
    () => new Started((completion, callback) => io.ring.nop(completion, callback)),
  );
}

function registerOnce(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a nop completes with 0, once`, async (trial) => {
    const io = await trial.open({ mode });
    assert.is(io.mode, mode);
    const nop = new Started((completion, callback) => io.ring.nop(completion, callback));
    assert.is(nop.completion.active, true);
    await until(io, () => nop.done, "the nop");
    await outcome(io, (completion, callback) => io.ring.nop(completion, callback));
    assert.is(nop.result, 0);
  });

  suite.test(`${mode}: the promise of a nop resolves`, async (trial) => {
    const io = await trial.open({ mode });
    const promise = io.nop();
    if (mode === "detached") io.run();
    assert.is(await promise, 0);
  });

  suite.test(`${mode}: the completion carries its context`, async (trial) => {
    const io = await trial.open({ mode });
    const completion = new Completion({ count: 1 });
    let seen = 0;
    io.ring.nop(completion, (ended) => {
      ended.context.count++;
      seen = ended.context.count;
    });
    await until(io, () => seen > 0, "the nop");
    assert.is(seen, 2);
  });
}

function registerContext(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a callback runs in the storage of its verb's caller`, async (trial) => {
    const io = await trial.open({ mode });
    const storage = new AsyncLocalStorage<number>();
    const other = new AsyncLocalStorage<string>();
    const seen: unknown[][] = [];
    const note = (completion: Completion<number>, result: number): void => {
      seen.push([completion.context, result, storage.getStore(), other.getStore()]);
      if (completion.context < 10) return;
      // An operation that a callback starts has the callback's context.
      completion.context -= 10;
      io.ring.nop(completion, note);
    };
    const first = new Completion(1);
    const third = new Completion(13);
    storage.run(1, () => io.ring.nop(first, note));
    io.ring.nop(new Completion(2), note);
    storage.run(3, () => other.run("b", () => io.ring.nop(third, note)));
    await until(io, () => seen.length === 4, "the callbacks");
    // A completion does not remember where it was used before.
    io.ring.nop(first, note);
    await until(io, () => seen.length === 5, "the callbacks");
    assert.equal(seen, [
      [1, 0, 1, undefined],
      [2, 0, undefined, undefined],
      [13, 0, 3, "b"],
      [3, 0, 3, "b"],
      [1, 0, undefined, undefined],
    ]);
    assert.is(storage.getStore(), undefined);
  });

  suite.test(`${mode}: every callback of a multishot operation runs in it`, async (trial) => {
    const io = await trial.open({ mode });
    const storage = new AsyncLocalStorage<string>();
    const { ring } = io;
    const address = unixAddress();
    const listening = await listeningDescriptor(io, address);
    const seen: unknown[] = [];
    const accepting = new Completion();
    storage.run("server", () => {
      ring.acceptMultishot(accepting, () => seen.push(storage.getStore()), listening);
    });
    const client = await success(io, (c, callback) => ring.socket(c, callback, "unix"));
    storage.run("client", () => {
      ring.connect(new Completion(), () => seen.push(storage.getStore()), client, address);
    });
    await until(io, () => seen.length === 2, "a connection");
    ring.cancel(new Completion(), () => undefined, accepting);
    await until(io, () => seen.length === 3, "the end of the accept");
    assert.equal(seen.sort(), ["client", "server", "server"]);
  });
}

function registerCallbacks(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: no callback runs inside a verb or a flush`, async (trial) => {
    const io = await trial.open({ mode, entries: 128 });
    let inside = false;
    let called = 0;
    const callback = (): void => {
      assert.is(inside, false, "a callback ran inside a verb");
      called++;
    };
    inside = true;
    // More than the ring holds, so that the verbs themselves submit the queued entries.
    for (let index = 0; index < 300; index++) {
      io.ring.nop(new Completion(), callback);
      if (index % 7 === 0) io.ring.flush();
    }
    io.ring.flush();
    inside = false;
    assert.is(called, 0);
    await until(io, () => called === 300, "300 nops");
  });

  suite.test(`${mode}: a callback may submit, and nothing recurses`, async (trial) => {
    const io = await trial.open({ mode });
    let depth = 0;
    let deepest = 0;
    let rounds = 0;
    const again: Callback = (completion) => {
      depth++;
      deepest = Math.max(deepest, depth);
      rounds++;
      if (rounds < 20_000) {
        io.ring.nop(completion, again);
        io.ring.flush();
      }
      depth--;
    };
    io.ring.nop(new Completion(), again);
    await until(io, () => rounds === 20_000, "20,000 nops, each out of the last");
    assert.is(deepest, 1);
  });
}

function registerReuse(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a completion is free in its own callback`, async (trial) => {
    const io = await trial.open({ mode });
    const completion = new Completion();
    const active: boolean[] = [];
    let done = false;
    io.ring.nop(completion, (ended) => {
      active.push(ended.active);
      io.ring.timeout(
        ended,
        (last) => {
          active.push(last.active);
          done = true;
        },
        1,
      );
      active.push(ended.active);
    });
    await until(io, () => done, "the second operation");
    assert.equal(active, [false, true, false]);
  });

  suite.test(
    `${mode}: a completion in use is refused, and its operation goes on`,
    async (trial) => {
      const io = await trial.open({ mode });
      const nop = new Started((completion, callback) => io.ring.nop(completion, callback));
      const again = (): void => io.ring.nop(nop.completion, () => assert.unreachable());
      assert.is(refusalCode(again), "ERR_IO_COMPLETION_ACTIVE");
      io.ring.flush();
      assert.is(refusalCode(again), "ERR_IO_COMPLETION_ACTIVE");
      await until(io, () => nop.done, "the nop");
      assert.is(nop.result, 0);
    },
  );
}

function registerThrowing(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: what one callback throws does not lose the others`, async (trial) => {
    const io = await trial.open({ mode });
    const before = nops(io, 3);
    const error = new Error("thrown by a callback");
    const other = new Error("thrown by another callback");
    io.ring.nop(new Completion(), () => {
      throw error;
    });
    const between = nops(io, 3);
    io.ring.nop(new Completion(), () => {
      throw other;
    });
    const after = nops(io, 3);
    const all = [...before, ...between, ...after];
    const caught: unknown[] = [];
    // In detached mode it comes out of the call that ran the callbacks.
    while (mode === "detached" && all.some((nop) => !nop.done)) {
      try {
        io.run();
      } catch (thrown) {
        caught.push(thrown);
      }
    }
    await until(io, () => all.every((nop) => nop.done), "every other callback");
    for (let index = 0; index < 3; index++) await turn();
    caught.push(...trial.takeUncaught());
    assert.equal(caught, [error, other]);
    for (const nop of all) assert.is(nop.result, 0);
    assert.is(io.stats().inFlight, 0);
  });
}

function registerQueue(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a full submission ring is flushed and taken again`, async (trial) => {
    const io = await trial.open({ mode, entries: 128, inFlightLimit: 4000 });
    const all = nops(io, 3 * 1024);
    await until(io, () => all.every((nop) => nop.done), "3,072 nops through 128 entries");
    for (const nop of all) assert.is(nop.result, 0);
    const { submitted, completed, overflows } = io.stats();
    assert.equal([submitted, completed, overflows], [3072, 3072, 0]);
  });

  suite.test(`${mode}: nops of one batch complete in order`, async (trial) => {
    const io = await trial.open({ mode });
    const order: number[] = [];
    for (let index = 0; index < 100; index++) {
      io.ring.nop(new Completion(index), (completion) => order.push(completion.context));
    }
    await until(io, () => order.length === 100, "100 nops");
    assert.equal(
      order,
      Array.from({ length: 100 }, (_, index) => index),
    );
  });

  suite.test(`${mode}: a completion ring as small as the batch loses nothing`, async (trial) => {
    const io = await trial.open({ mode, entries: 128, inFlightLimit: 1000 });
    // All of these become due together, long after they were submitted.
    const all = Array.from(
      { length: 1000 },
      () => new Started((completion, callback) => io.ring.timeout(completion, callback, 1_000_000)),
    );
    await until(io, () => all.every((one) => one.done), "1,000 time-outs at once");
    for (const one of all) assert.is(one.result, 0);
  });
}

function registerLimit(suite: Suite, mode: Mode): void {
  const hour = 3_600_000_000_000;
  suite.test(
    `${mode}: the limit of operations in flight refuses, and loses nothing`,
    async (trial) => {
      const io = await trial.open({ mode, inFlightLimit: 8 });
      const held = Array.from(
        { length: 7 },
        () => new Started((completion, callback) => io.ring.timeout(completion, callback, hour)),
      );
      const nop = new Started((completion, callback) => io.ring.nop(completion, callback));
      const extra = new Completion();
      const more = (): void => io.ring.nop(extra, () => assert.unreachable());
      assert.is(refusalCode(more), "ERR_IO_IN_FLIGHT_LIMIT");
      assert.is(extra.active, false);
      await until(io, () => nop.done, "the nop");
      assert.is(nop.result, 0);
      // One is free again; cancelling takes it, and everything ends as it should.
      const cancelled = await outcome(io, (completion, callback) =>
        io.ring.cancelAll(completion, callback),
      );
      assert.is(cancelled, 7);
      await until(io, () => held.every((one) => one.done), "the time-outs");
      for (const one of held) assert.ok(one.result < 0);
      for (const one of nops(io, 8)) await until(io, () => one.done, "as many as the limit again");
    },
  );

  suite.test(`${mode}: promises beyond the limit are rejected, the others kept`, async (trial) => {
    const io = await trial.open({ mode, inFlightLimit: 4 });
    const promises = Array.from({ length: 6 }, () => io.nop());
    if (mode === "detached") io.run();
    const settled = await Promise.allSettled(promises);
    assert.equal(
      settled.map(({ status }) => status),
      [...Array(4).fill("fulfilled"), "rejected", "rejected"],
    );
    const { reason } = settled[5] as PromiseRejectedResult;
    assert.is(reason.code, "ERR_IO_IN_FLIGHT_LIMIT");
  });
}
