// Notifiers: values from other threads, which end the wait of the IO's own.

import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { type IO, type Notifier, type NotifierToken, notify } from "@io/core";
import * as assert from "uvu/assert";
import type { Suite, Trial } from "../support/harness.js";
import {
  driven,
  failureCode,
  refusalCode,
  roundTrips,
  Started,
  until,
  Watched,
} from "../support/verbs.js";

const CLOSED = "ERR_IO_NOTIFIER_CLOSED";
const LIMIT = 65_536;

export function descriptorsNotifier(suite: Suite): void {
  registerOwn(suite);
  registerThreads(suite);
  registerEnds(suite);
  registerDetached(suite);
}

function startWorker(trial: Trial, data: object): Worker {
  const path = fileURLToPath(new URL("./notifying_worker.js", import.meta.url));
  return new Worker(path, { workerData: { backend: trial.backend, ...data } });
}

function code(token: NotifierToken): string {
  return refusalCode(() => notify(token, 1));
}

function registerOwn(suite: Suite): void {
  suite.test("values come once each, in their order", async (trial) => {
    const io = await trial.open();
    await using notifier = io.notifier();
    assert.is(notifier.take(), undefined);
    for (let value = 1; value <= 100; value++) notify(structuredClone(notifier.token), value);
    for (let value = 1; value <= 50; value++) assert.is(await notifier.receive(), value);
    for (let value = 51; value <= 100; value++) assert.is(notifier.take(), value);
    assert.is(notifier.take(), undefined);
    const waiting = new Watched(notifier.receive());
    await roundTrips(io, 3);
    assert.is(waiting.state, "pending");
    notifier.notify();
    assert.is(await waiting.promise, 0);
    notifier.notify(0x7fffffff);
    assert.is(await notifier.receive(), 0x7fffffff);
  });

  suite.test("each value is for one of several receives", async (trial) => {
    const io = await trial.open();
    await using notifier = io.notifier();
    const receiving = Array.from({ length: 40 }, () => notifier.receive());
    await roundTrips(io, 3);
    for (let value = 0; value < 40; value++) notifier.notify(value);
    const got = (await Promise.all(receiving)).sort((one, two) => one - two);
    assert.equal(
      got,
      Array.from({ length: 40 }, (_, value) => value),
    );
  });

  suite.test(
    "a receive ends by its signal and its time limit, and loses nothing",
    async (trial) => {
      const io = await trial.open();
      await using notifier = io.notifier();
      assert.is(await failureCode(notifier.receive({ timeoutMs: 1 })), "ETIMEDOUT");
      const controller = new AbortController();
      const aborted = failureCode(notifier.receive({ signal: controller.signal }));
      await roundTrips(io, 3);
      controller.abort();
      assert.is(await aborted, "ABORT_ERR");
      notifier.notify(5);
      assert.is(await notifier.receive({ timeoutMs: 0 }), 5);
    },
  );

  suite.test("values that nobody takes are limited", async (trial) => {
    const io = await trial.open();
    await using notifier = io.notifier();
    for (let value = 0; value < LIMIT; value++) notifier.notify(value);
    assert.is(
      refusalCode(() => notifier.notify(LIMIT)),
      "ERR_IO_NOTIFIER_FULL",
    );
    assert.is(await notifier.receive(), 0);
    notifier.notify(LIMIT);
    for (let value = 1; value <= LIMIT; value++) assert.is(notifier.take(), value);
  });
}

function registerThreads(suite: Suite): void {
  suite.test("another thread ends the wait of this one", async (trial) => {
    const io = await trial.open();
    await using notifier = io.notifier();
    const count = 1000;
    const receiving = collect(notifier, count);
    await roundTrips(io, 3);
    const exit = once(startWorker(trial, { token: notifier.token, count }), "exit");
    assert.equal(
      await receiving,
      Array.from({ length: count }, (_, value) => value),
    );
    assert.equal(await exit, [0]);
  });

  suite.test("each of many values wakes an event loop that sleeps", async (trial) => {
    const io = await trial.open();
    await using notifier = io.notifier();
    const count = 20;
    startWorker(trial, { token: notifier.token, count, pauseMs: 3 });
    for (let value = 0; value < count; value++) assert.is(await notifier.receive(), value);
  });

  suite.test("a Worker's notifier is refused when the Worker has ended", async (trial) => {
    const worker = startWorker(trial, {});
    const [token] = (await once(worker, "message")) as [NotifierToken];
    notify(token, 7);
    assert.equal(await once(worker, "message"), [7]);
    await worker.terminate();
    assert.is(code(token), CLOSED);
    // Its descriptors are closed by now, and their numbers are those of others.
    const io = await trial.open();
    const others = [io.notifier(), io.notifier(), io.notifier()];
    assert.is(code(token), CLOSED);
    assert.equal(
      others.map((other) => other.take()),
      [undefined, undefined, undefined],
    );
  });
}

async function collect(notifier: Notifier, count: number): Promise<number[]> {
  const values: number[] = [];
  for await (const value of notifier) {
    values.push(value);
    if (values.length === count) break;
  }
  return values;
}

function registerEnds(suite: Suite): void {
  suite.test("a closed notifier is refused by name, and its loops end", async (trial) => {
    const io = await trial.open();
    const before = io.stats().descriptors;
    const notifier = io.notifier();
    const loop = collect(notifier, 10);
    const receiving = failureCode(notifier.receive());
    await roundTrips(io, 3);
    const closing = notifier.close();
    assert.is(code(notifier.token), CLOSED);
    await closing;
    assert.is(notifier.close(), closing);
    assert.is(await receiving, "ECANCELED");
    assert.equal(await loop, []);
    assert.is(await failureCode(notifier.receive()), "ERR_IO_CLOSED");
    assert.is(
      refusalCode(() => notifier.take()),
      "ERR_IO_CLOSED",
    );
    assert.equal(await collect(notifier, 1), []);
    assert.is(io.stats().descriptors, before);
  });

  suite.test("a notifier of a closed IO is refused by name", async (trial) => {
    const io = await trial.open();
    const notifier = io.notifier();
    const loop = collect(notifier, 10);
    await roundTrips(io, 3);
    await trial.close(io);
    assert.is(code(notifier.token), CLOSED);
    assert.equal(await loop, []);
    await notifier.close();
    assert.is(
      refusalCode(() => io.notifier()),
      "ERR_IO_CLOSED",
    );
  });

  suite.test("a token of no notifier is refused by name", async () => {
    for (const notifier of [0, 1, Number.MAX_SAFE_INTEGER]) assert.is(code({ notifier }), CLOSED);
  });
}

function registerDetached(suite: Suite): void {
  suite.test("another thread ends a runFor", async (trial) => {
    const io = await trial.open({ mode: "detached" });
    const notifier = io.notifier();
    const values: (number | undefined)[] = [];
    const start = (): Started =>
      new Started((c, cb) => io.ring.poll(c, cb, notifier.descriptor, "readable"));
    let polled = start();
    const count = 20;
    startWorker(trial, { token: notifier.token, count });
    await until(
      io,
      () => {
        if (!polled.done) return false;
        values.push(notifier.take());
        polled = start();
        return values.length === count;
      },
      "the values",
    );
    assert.equal(
      values,
      Array.from({ length: count }, (_, value) => value),
    );
    await endDetached(io, notifier);
  });
}

async function endDetached(io: IO, notifier: Notifier): Promise<void> {
  await driven(io, notifier.close());
  assert.is(code(notifier.token), CLOSED);
}
