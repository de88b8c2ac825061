// Time limits and abort signals: they end an operation, and the memory is its until it has ended.

import { getEventListeners } from "node:events";
import { writeFileSync } from "node:fs";
import type { File, IO, Listener, OperationOptions, Socket } from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere, keepsSizeHere } from "../../support/system.js";
import { runChildTool } from "../support/children.js";
import { pattern, sameBytes } from "../support/data.js";
import type { Suite, Trial } from "../support/harness.js";
import { connected, connectTo, FAMILIES, type Family, targetOf } from "../support/network.js";
import { failure, failureCode, roundTrips, Watched } from "../support/verbs.js";

const HOUR_MS = 3_600_000;

export function deadlines(suite: Suite): void {
  registerLimits(suite);
  registerLimitMisuse(suite);
  registerSleeping(suite);
  registerConnect(suite);
  registerSignals(suite);
  registerListeners(suite);
  registerCrowd(suite);
  registerMemory(suite);
  registerNothingLost(suite);
}

interface Pending {
  readonly io: IO;
  readonly client: Socket;
  readonly served: Socket;
  readonly listener: Listener;
  readonly fifo: File;
}

async function things(trial: Trial): Promise<Pending> {
  const { io, client, served, listener } = await connected(trial);
  runChildTool("mkfifo", trial.path("fifo"));
  const fifo = await io.openFile(trial.path("fifo"), { read: true, write: true });
  return { io, client, served, listener, fifo };
}

type Options = { signal?: AbortSignal; timeoutMs?: number };

/** Operations that would go on forever. */
const ENDLESS: readonly [
  name: string,
  operation: string,
  start: (pending: Pending, options: Options) => Promise<unknown>,
][] = [
  ["receive", "receive", ({ client }, options) => client.receive(new Uint8Array(8), options)],
  [
    "receiveFull",
    "receive",
    ({ client }, options) => client.receiveFull(new Uint8Array(8), options),
  ],
  [
    "receiveVectored",
    "receiveVectored",
    ({ client }, options) => client.receiveVectored([new Uint8Array(8)], options),
  ],
  [
    "pipeTo",
    "receive",
    ({ client, served }, options) => client.pipeTo(served, { ...options, maxBytes: 8 }),
  ],
  ["peek", "peek", ({ client }, options) => client.peek(new Uint8Array(8), options)],
  ["accept", "accept", ({ listener }, options) => listener.accept(options)],
  ["sleep", "timeout", ({ io }, options) => io.sleep(3_600_000, options)],
  ["read of a pipe", "read", ({ fifo }, options) => fifo.read(new Uint8Array(8), options)],
  [
    "readVectored of a pipe",
    "readVectored",
    ({ fifo }, options) => fifo.readVectored([new Uint8Array(8)], options),
  ],
  [
    "sendAll of a list to who does not read",
    "sendVectored",
    ({ client }, options) => client.sendAll(["head", new Uint8Array(64 * 1024 * 1024)], options),
  ],
  [
    "sendAll to who does not read",
    "send",
    ({ client }, options) => client.sendAll(new Uint8Array(64 * 1024 * 1024), options),
  ],
];

/** What is done with an open file of 3 bytes, which it has behind it too. */
async function endInTime(file: File, options: OperationOptions): Promise<void> {
  await file.advise("sequential", options);
  await file.syncRange(options);
  await file.chmod(0o600, options);
  await file.chown(-1, -1, options);
  await file.utimes(0, 0, options);
  assert.ok((await file.statfs(options)).bsize > 0);
  assert.is(await file.copyRange(file, { offset: 8, lengthBytes: 3, ...options }), 3);
  await file.truncate(3, options);
  await file.lock(options);
  await file.unlock(options);
}

function registerLimits(suite: Suite): void {
  for (const [name, operation, start] of ENDLESS) {
    suite.test(`${name} ends at its time limit, and not before`, async (trial) => {
      const pending = await things(trial);
      for (const timeoutMs of [0, 5.5, 20]) {
        const begin = process.hrtime.bigint();
        const error = await failure(start(pending, { timeoutMs }));
        // A sendAll has a limit for each of its sends.
        const passedMs = Number(process.hrtime.bigint() - begin) / 1e6;
        assert.ok(passedMs >= timeoutMs, `${passedMs} of ${timeoutMs} ms`);
        assert.equal(
          [error.code, error.operation, error.name],
          ["ETIMEDOUT", operation, "IOError"],
        );
      }
      await pending.io.nop();
    });
  }

  // The other end's shutdown keeps a poll of Linux ready, so that io_uring tries a send 128 times
  // and then gives it to a worker. A limit that elapses in between finds the send with neither.
  for (const family of FAMILIES) {
    if (family.missing !== null) {
      suite.skip(`${family.name}: limits of sends after the peer's shutdown`, family.missing);
      continue;
    }
    suite.test(`${family.name}: limits end sends after the peer's shutdown`, async (trial) => {
      const { client, served } = await connected(trial, family);
      await served.shutdown("send");
      const piece = new Uint8Array(100_000);
      assert.is(
        await failureCode(client.sendAll(new Uint8Array(64_000_000), { timeoutMs: 50 })),
        "ETIMEDOUT",
      );
      let ended = 0;
      for (let count = 0; count < 100 && ended < 60; count++) {
        // TCP goes on finding room for a while.
        const sending = client.send(piece, { timeoutMs: (count % 20) / 10 });
        const code = await sending.then(
          () => "sent",
          (error) => error.code,
        );
        if (code !== "sent") assert.is(code, "ETIMEDOUT", `limit ${count}`);
        if (code !== "sent") ended++;
      }
      assert.is(ended, 60);
    });
  }

  suite.test("an operation that ends in time has its result", async (trial) => {
    const { io, client, served } = await connected(trial);
    writeFileSync(trial.path(), "content");
    const options = { timeoutMs: HOUR_MS };
    const file = await io.openFile(trial.path(), { read: true, write: true, ...options });
    const buffer = new Uint8Array(7);
    assert.is(await file.read(buffer, { ...options, position: 0 }), 7);
    assert.is(await file.write(buffer, { ...options, position: 7 }), 7);
    assert.is(await file.readFull(buffer, { ...options, position: 0 }), 7);
    await file.writeAll(buffer, { ...options, position: 0 });
    assert.is(await file.readVectored([buffer], { ...options, position: 0 }), 7);
    assert.is(await file.writeVectored([buffer], { ...options, position: 0 }), 7);
    assert.is((await file.stat(options)).size, 14);
    await file.sync("data", options);
    await file.truncate(3, options);
    if (keepsSizeHere()) await file.allocate(0, 10, { mode: "keepSize", ...options });
    assert.is((await io.stat(trial.path(), options)).size, 3);
    await endInTime(file, options);
    assert.is(await io.copyFile(trial.path(), trial.path("copy"), options), 3);
    assert.is((await io.cp(trial.path(), trial.path("copied"), options)).files, 1);
    await io.link(trial.path(), trial.path("name"), options);
    await io.symlink("name", trial.path("symbolic"), options);
    assert.is(await io.readlink(trial.path("symbolic"), options), "name");
    await io.mkdir(trial.path("a"), options);
    await io.rename(trial.path("a"), trial.path("b"), options);
    await io.unlink(trial.path("b"), { directory: true, ...options });
    await Promise.all([io.nop(options), io.sleep(0.001, options)]);
    assert.is(await client.send(buffer, options), 7);
    assert.is(await client.sendVectored([buffer], options), 7);
    assert.is(await served.receiveFull(new Uint8Array(14), options), 14);
    await client.sendAll(buffer, options);
    assert.is(await served.receive(buffer, options), 7);
  });
}

function registerLimitMisuse(suite: Suite): void {
  suite.test("an invalid time limit is refused, and falls on nothing else", async (trial) => {
    const { io, client, served } = await connected(trial);
    for (const timeoutMs of [-1, Number.NaN, Number.POSITIVE_INFINITY, 1e300]) {
      const code = await failureCode(client.receive(new Uint8Array(1), { timeoutMs }));
      assert.is(code, "ERR_OUT_OF_RANGE", `${timeoutMs}`);
      assert.is(await failureCode(io.nop({ timeoutMs })), "ERR_OUT_OF_RANGE");
      assert.is(await failureCode(io.sleep(0.000001, { timeoutMs })), "ERR_OUT_OF_RANGE");
    }
    const receiving = client.receive(new Uint8Array(1));
    await served.sendAll(Buffer.from("x"));
    assert.is(await receiving, 1);
  });

  suite.test("the time limit of a refused call does not fall on the next one", async (trial) => {
    const { io, client, served } = await connected(trial);
    const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
    const closed = await io.openFile(trial.path());
    await closed.close();
    const limit = { timeoutMs: 1 };
    const buffer = new Uint8Array(1);
    const refused: (() => Promise<unknown>)[] = [
      () => closed.read(buffer, limit),
      () => closed.stat(limit),
      () => file.read(buffer, { ...limit, position: -1 }),
      () => file.write(buffer, { ...limit, position: 0.5 }),
      () => file.read("x" as unknown as Uint8Array, limit),
      () => file.readVectored([], limit),
      () => io.sleep(-1, limit),
      () => io.openFile("a\0b", limit),
      () => client.receive(new Uint8Array(0), limit),
    ];
    for (const call of refused) {
      const refusal = failure(call());
      const receiving = new Watched(client.receive(new Uint8Array(4)));
      await refusal;
      await io.sleep(5);
      await roundTrips(io, 3);
      assert.is(receiving.state, "pending", `after ${call}`);
      await served.sendAll(Buffer.from("data"));
      assert.is(await receiving.promise, 4);
    }
  });
}

function registerSleeping(suite: Suite): void {
  suite.test("many time limits end in the order they are due", async (trial) => {
    const { io } = await connected(trial);
    const order: number[] = [];
    const limits = [40, 10, 30, 20];
    await Promise.all(
      limits.map(async (timeoutMs) => {
        assert.is(await failureCode(io.sleep(3_600_000, { timeoutMs })), "ETIMEDOUT");
        order.push(timeoutMs);
      }),
    );
    assert.equal(order, [10, 20, 30, 40]);
  });
}

/** Connects until the listener's queue is full; how the connect that found it so has ended. */
async function fillBacklog(io: IO, listener: Listener): Promise<string> {
  for (let index = 0; index < 32; index++) {
    const timeoutMs = 50;
    const code = await io.connect({ ...targetOf(listener.address), timeoutMs }).then(
      () => "connected",
      (error) => error.code,
    );
    if (code !== "connected") return code;
  }
  return "connected";
}

function registerConnect(suite: Suite): void {
  for (const family of FAMILIES.filter(({ missing }) => missing === null)) {
    suite.test(`${family.name}: connecting to a full queue ends at its limit`, async (trial) => {
      await checkFullQueue(trial, family);
    });
  }
}

async function checkFullQueue(trial: Trial, family: Family): Promise<void> {
  const io = await trial.open();
  const listener = await io.listen({ ...family.listening(trial), backlog: 1 });
  const full = await fillBacklog(io, listener);
  const before = io.stats().descriptors;
  const target = targetOf(listener.address);
  // The sockets of BSD refuse who finds no place, those of unix at once.
  if (isBsdHere() && full === "ECONNREFUSED") {
    assert.is(await failureCode(io.connect(target)), "ECONNREFUSED");
    assert.is(io.stats().descriptors, before, "sockets that did not connect are closed");
    return;
  }
  assert.is(full, "ETIMEDOUT", "a connect to a full queue stays pending");
  const begin = process.hrtime.bigint();
  const error = await failure(io.connect({ ...target, timeoutMs: 30 }));
  assert.ok(process.hrtime.bigint() - begin >= 30_000_000n);
  assert.equal([error.code, error.operation, error.syscall], ["ETIMEDOUT", "connect", "connect"]);
  assert.ok(error.address !== undefined && error.address !== "");
  const controller = new AbortController();
  const aborted = failure(io.connect({ ...target, signal: controller.signal }));
  await roundTrips(io, 5);
  controller.abort();
  assert.is((await aborted).code, "ABORT_ERR");
  assert.is(io.stats().descriptors, before, "sockets that did not connect are closed");
}

function registerSignals(suite: Suite): void {
  for (const [name, operation, start] of ENDLESS) {
    suite.test(`${name} ends when its signal aborts`, async (trial) => {
      const pending = await things(trial);
      const controller = new AbortController();
      const { signal } = controller;
      const watched = new Watched(start(pending, { signal }));
      await roundTrips(pending.io, 5);
      assert.is(watched.state, "pending");
      const reason = new Error("no longer wanted");
      controller.abort(reason);
      assert.is(watched.state, "pending", "nothing settles inside of abort()");
      const error = await failure(watched.promise);
      assert.equal(
        [error.code, error.name, error.operation],
        ["ABORT_ERR", "AbortError", operation],
      );
      assert.is(error.cause, reason);
      assert.is(getEventListeners(signal, "abort").length, 0);
      await pending.io.nop();
    });

    suite.test(`${name} with an aborted signal does not start`, async (trial) => {
      const pending = await things(trial);
      await pending.io.nop();
      const { submitted } = pending.io.stats();
      const signal = AbortSignal.abort("over");
      const error = await failure(start(pending, { signal, timeoutMs: 1 }));
      assert.equal([error.code, error.name, error.cause], ["ABORT_ERR", "AbortError", "over"]);
      assert.is(getEventListeners(signal, "abort").length, 0);
      const { io } = pending;
      // An accept lets the listener itself begin; nothing else may have been submitted.
      const allowed = operation === "accept" ? 1 : 0;
      await io.nop();
      assert.ok(io.stats().submitted - submitted <= 1 + allowed);
      await io.sleep(5); // the limit of what did not start falls on nothing else
    });
  }
}

function registerCrowd(suite: Suite): void {
  suite.test("ten thousand operations of one signal are one listener", async (trial) => {
    const io = await trial.open({ inFlightLimit: 12_000 });
    const controller = new AbortController();
    const { signal } = controller;
    const warnings: Error[] = [];
    const note = (warning: Error): number => warnings.push(warning);
    process.on("warning", note);
    try {
      const many = Array.from({ length: 10_000 }, () => failureCode(io.sleep(HOUR_MS, { signal })));
      assert.is(getEventListeners(signal, "abort").length, 1);
      await roundTrips(io);
      controller.abort();
      assert.is(getEventListeners(signal, "abort").length, 0);
      assert.equal([...new Set(await Promise.all(many))], ["ABORT_ERR"]);
    } finally {
      process.off("warning", note);
    }
    assert.equal(warnings, []);
  });
}

function registerListeners(suite: Suite): void {
  suite.test("a signal has no listeners left once its operations are over", async (trial) => {
    const { io, client, served, listener } = await connected(trial);
    const { signal } = new AbortController();
    const options = { signal };
    const buffer = new Uint8Array(4);
    await io.nop(options);
    await client.sendAll(buffer, options);
    await served.receiveFull(buffer, options);
    await failure(io.stat(trial.path("missing"), options));
    await failure(io.openFile("a\0b", options));
    await failure(client.receive(new Uint8Array(0), options));
    await failure(client.receive(buffer, { signal, timeoutMs: 1 }));
    await failure(listener.accept({ signal, timeoutMs: 1 }));
    const accepting = listener.accept(options);
    const target = targetOf(listener.address);
    await Promise.all([io.connect({ ...target, ...options }), accepting]);
    assert.is(getEventListeners(signal, "abort").length, 0);
  });

  suite.test(
    "an abort after the end is harmless, also for who reuses what it used",
    async (trial) => {
      const { io, client, served } = await connected(trial);
      const controller = new AbortController();
      const done = client.receive(new Uint8Array(1), { signal: controller.signal });
      await served.sendAll(Buffer.from("x"));
      assert.is(await done, 1);
      const next = client.receive(new Uint8Array(1));
      await io.nop({ signal: controller.signal });
      controller.abort();
      await roundTrips(io, 5);
      await served.sendAll(Buffer.from("y"));
      assert.is(await next, 1);
    },
  );

  suite.test("one signal ends many operations, each once", async (trial) => {
    const { io, client } = await connected(trial);
    const controller = new AbortController();
    const { signal } = controller;
    const many = Array.from({ length: 50 }, (_, index) =>
      index % 2 === 0
        ? failureCode(io.sleep(3_600_000, { signal }))
        : failureCode(client.receive(new Uint8Array(1), { signal })),
    );
    await roundTrips(io, 3);
    controller.abort();
    assert.equal(await Promise.all(many), Array(50).fill("ABORT_ERR"));
  });

  suite.test("an abort in the turn of the start", async (trial) => {
    const { io, client, served } = await connected(trial);
    for (let round = 0; round < 20; round++) {
      const controller = new AbortController();
      const receiving = failureCode(
        client.receive(new Uint8Array(1), { signal: controller.signal }),
      );
      controller.abort();
      assert.is(await receiving, "ABORT_ERR");
    }
    await served.sendAll(Buffer.from("z"));
    assert.is(await client.receive(new Uint8Array(1)), 1);
    assert.is(io.stats().strays, 0);
  });
}

function registerMemory(suite: Suite): void {
  suite.test("after the rejection the buffer is not touched", async (trial) => {
    const { io, client, served } = await connected(trial);
    for (const options of [{ timeoutMs: 3 }, { signal: AbortSignal.timeout(3) }]) {
      const buffer = new Uint8Array(64).fill(7);
      const code = await failureCode(client.receive(buffer, options));
      assert.ok(code === "ETIMEDOUT" || code === "ABORT_ERR", code);
      await served.sendAll(Buffer.alloc(64, 1));
      await roundTrips(io);
      assert.ok(buffer.every((byte) => byte === 7));
      assert.is(await client.receiveFull(new Uint8Array(64)), 64);
    }
  });

  suite.test("a page released at the rejection may be used by the next", async (trial) => {
    const { io, client, served } = await connected(trial);
    const page = io.buffers.acquire(4096);
    assert.is(await failureCode(client.receive(page, { timeoutMs: 3 })), "ETIMEDOUT");
    io.buffers.release(page);
    const next = io.buffers.acquire(4096).fill(7);
    assert.is(next.byteOffset, page.byteOffset, "nothing holds it any more");
    await served.sendAll(Buffer.alloc(64, 1));
    await roundTrips(io);
    assert.ok(next.every((byte) => byte === 7));
  });
}

function registerNothingLost(suite: Suite): void {
  for (const how of ["time limits", "signals"]) {
    suite.test(`${how} that race with data lose none of it`, async (trial) => {
      const { io, listener } = await connected(trial);
      const [client, served] = await connectTo(io, listener);
      const data = pattern(20_000);
      const got: Uint8Array[] = [];
      let size = 0;
      let ended = 0;
      const sending = (async () => {
        for (let at = 0; at < data.byteLength; at += 50) {
          await served.sendAll(data.subarray(at, at + 50));
          if (at % 1000 === 0) await io.sleep(0.1);
        }
      })();
      while (size < data.byteLength) {
        const buffer = new Uint8Array(64);
        const controller = new AbortController();
        const options = how === "signals" ? { signal: controller.signal } : { timeoutMs: 0.05 };
        const receiving = client.receive(buffer, options);
        if (how === "signals") void io.nop().then(() => controller.abort());
        const count = await receiving.catch((error) => {
          assert.ok(error.code === "ETIMEDOUT" || error.code === "ABORT_ERR", error.code);
          ended++;
          return 0;
        });
        got.push(buffer.slice(0, count));
        size += count;
      }
      await sending;
      assert.ok(sameBytes(Buffer.concat(got), data), `${ended} ended early`);
    });
  }
}
