// Cancel scopes: an operation that is started with a scope's signal ends with the scope, which
// waits for it.

import { getEventListeners } from "node:events";
import type { IO, OperationOptions, Socket } from "@io/core";
import * as assert from "uvu/assert";
import { MODES, type Suite } from "../support/harness.js";
import { connected } from "../support/network.js";
import {
  driven,
  failure,
  failureCode,
  refusalCode,
  roundTrips,
  until,
  Watched,
} from "../support/verbs.js";

const HOUR_MS = 3_600_000;
const MANY = 10_000;

// Each cancel is an operation too. The completion of the last one may come a turn behind that of
// its target, where a batch of completions ends between the two.
function settled(io: IO, inFlight = 0): Promise<void> {
  return until(io, () => io.stats().inFlight === inFlight, "the cancels have completed");
}

export function scopes(suite: Suite): void {
  registerEnds(suite);
  registerLimits(suite);
  registerNested(suite);
  registerJoins(suite);
  registerCost(suite);
}

function registerEnds(suite: Suite): void {
  for (const mode of MODES) {
    suite.test(
      `${mode}: the end of a scope ends what was started with its signal`,
      async (trial) => {
        const io = await trial.open({ mode });
        const outside = new Watched(io.sleep(HOUR_MS).catch(() => undefined));
        const codes: Promise<string>[] = [];
        {
          using scope = io.scope();
          const { signal } = scope;
          for (let index = 0; index < 5; index++) {
            codes.push(failureCode(io.sleep(HOUR_MS, { signal })));
          }
          await roundTrips(io, 3);
        }
        const all = await driven(io, Promise.all(codes));
        assert.equal(all, Array(5).fill("ABORT_ERR"));
        assert.is(outside.state, "pending", "what has no signal of the scope goes on");
        assert.is(io.stats().inFlight, 1);
      },
    );
  }

  suite.test("a scope that has ended starts nothing", async (trial) => {
    const io = await trial.open();
    const scope = io.scope();
    const why = new Error("no longer wanted");
    scope.cancel(why);
    scope.cancel(new Error("again"));
    const { submitted } = io.stats();
    const error = await failure(io.sleep(1, { signal: scope.signal }));
    assert.equal([error.code, error.cause], ["ABORT_ERR", why]);
    assert.is(io.stats().submitted, submitted);
    await scope.close();
    assert.is(scope.close(), scope.close());
  });

  suite.test("a scope of an IO that is closed is refused", async (trial) => {
    const io = await trial.open();
    const scope = io.scope({ timeoutMs: HOUR_MS });
    await trial.close(io);
    assert.is(
      refusalCode(() => io.scope()),
      "ERR_IO_CLOSED",
    );
    await scope.close();
  });
}

function registerLimits(suite: Suite): void {
  suite.test("a scope's time limit ends all of it, and says so", async (trial) => {
    const { io, client, served, listener } = await connected(trial);
    for (const timeoutMs of [0, 5.5, 20]) {
      const begin = process.hrtime.bigint();
      await using scope = io.scope({ timeoutMs });
      const { signal } = scope;
      const options: OperationOptions = { signal };
      const failing = [
        io.sleep(HOUR_MS, options),
        client.receive(new Uint8Array(8), options),
        client.receiveFull(new Uint8Array(8), options),
        listener.accept(options),
        served.chunks(options).next(),
        io.connect({ host: "slow.test", port: 1, lookup: () => undefined, ...options }),
      ].map(failure);
      for (const error of await Promise.all(failing)) {
        assert.is(error.code, "ETIMEDOUT", error.operation);
        assert.match(error.message, `the time limit of the scope has passed, ${timeoutMs} ms`);
      }
      assert.ok(Number(process.hrtime.bigint() - begin) >= timeoutMs * 1e6);
      assert.is(await failureCode(io.nop(options)), "ETIMEDOUT", "and starts nothing more");
    }
  });

  suite.test("a scope that ends in time leaves no limit behind", async (trial) => {
    const io = await trial.open();
    {
      await using scope = io.scope({ timeoutMs: HOUR_MS });
      await io.nop({ signal: scope.signal });
    }
    await until(io, () => io.stats().inFlight === 0, "the limit's end");
  });

  suite.test("options of a scope are checked", async (trial) => {
    const io = await trial.open();
    assert.is(
      refusalCode(() => io.scope({ timeoutMs: -1 })),
      "ERR_OUT_OF_RANGE",
    );
    assert.is(
      refusalCode(() => io.scope({ signal: AbortSignal.abort() })),
      "ABORT_ERR",
    );
    await io.nop();
    assert.is(io.stats().inFlight, 0);
  });
}

function registerNested(suite: Suite): void {
  suite.test("an outer scope ends the inner one, and waits for it", async (trial) => {
    const io = await trial.open();
    const outer = io.scope();
    const inner = io.scope({ signal: outer.signal });
    const innermost = io.scope({ signal: inner.signal });
    const { signal } = innermost;
    // So many that their ends take more than a turn of the event loop.
    let ended = 0;
    const note = (): void => void ended++;
    for (let index = 0; index < MANY; index++) io.sleep(HOUR_MS, { signal }).catch(note);
    await roundTrips(io, 3);
    await outer.close();
    assert.is(ended, MANY, "the wait is of what the inner ones started, too");
    await settled(io);
    assert.is(await failureCode(io.nop({ signal: inner.signal })), "ABORT_ERR");
    for (const one of [outer, inner, innermost]) {
      assert.is(getEventListeners(one.signal, "abort").length, 0);
    }
  });

  suite.test("an inner scope ends without the outer one", async (trial) => {
    const io = await trial.open();
    await using outer = io.scope({ timeoutMs: HOUR_MS });
    {
      await using inner = io.scope({ signal: outer.signal, timeoutMs: 2 });
      assert.is(await failureCode(io.sleep(HOUR_MS, { signal: inner.signal })), "ETIMEDOUT");
    }
    assert.is(outer.signal.aborted, false);
    assert.is(getEventListeners(outer.signal, "abort").length, 0);
    await io.nop({ signal: outer.signal });
  });

  suite.test("a signal of the program ends a scope with its reason", async (trial) => {
    const io = await trial.open();
    const controller = new AbortController();
    const scope = io.scope({ signal: controller.signal });
    const sleeping = failure(io.sleep(HOUR_MS, { signal: scope.signal }));
    const why = new Error("no longer wanted");
    controller.abort(why);
    const error = await sleeping;
    assert.equal([error.code, error.cause, scope.signal.reason], ["ABORT_ERR", why, why]);
    await scope.close();
    assert.is(getEventListeners(controller.signal, "abort").length, 0);
  });
}

// A flag records the effect of each, and is set when close() has resolved.
type Start = (io: IO, socket: Socket, options: OperationOptions) => Promise<unknown>;

const STARTS: readonly (readonly [string, Start])[] = [
  ["receive", (_io, socket, options) => socket.receive(new Uint8Array(8), options)],
  ["receiveFull", (_io, socket, options) => socket.receiveFull(new Uint8Array(8), options)],
  ["sendAll", (_io, socket, options) => socket.sendAll(new Uint8Array(64 * 1024 * 1024), options)],
  ["chunks", (_io, socket, options) => socket.chunks(options).next()],
  ["sleep", (io, _socket, options) => io.sleep(HOUR_MS, options)],
  [
    "connect",
    (io, _socket, options) => {
      return io.connect({ host: "slow.test", port: 1, lookup: () => undefined, ...options });
    },
  ],
];

function registerJoins(suite: Suite): void {
  for (const [name, start] of STARTS) {
    suite.test(`close() of a scope waits for ${name}`, async (trial) => {
      const { io, client } = await connected(trial);
      await roundTrips(io, 3); // the listener's own accepts
      const before = io.stats();
      const scope = io.scope();
      const started = new Watched(start(io, client, { signal: scope.signal }));
      started.promise.catch(() => undefined);
      await roundTrips(io, 3);
      assert.is(started.state, "pending");
      await scope.close();
      assert.is(started.state, "rejected");
      await settled(io, before.inFlight);
      assert.is(io.stats().descriptors, before.descriptors);
    });
  }

  suite.test("after close() the memory is the program's", async (trial) => {
    const { io, client, served } = await connected(trial);
    const buffer = new Uint8Array(64).fill(7);
    {
      await using scope = io.scope();
      client.receive(buffer, { signal: scope.signal }).catch(() => undefined);
      await roundTrips(io, 3);
    }
    await served.sendAll(Buffer.alloc(64, 1));
    await roundTrips(io);
    assert.ok(buffer.every((byte) => byte === 7));
    assert.is(await client.receiveFull(buffer), 64);
  });
}

function registerCost(suite: Suite): void {
  suite.test("a scope with ten thousand operations is one listener", async (trial) => {
    const io = await trial.open({ inFlightLimit: 12_000 });
    const scope = io.scope();
    const { signal } = scope;
    const many = Array.from({ length: MANY }, () => failureCode(io.sleep(HOUR_MS, { signal })));
    assert.is(getEventListeners(signal, "abort").length, 1);
    await roundTrips(io);
    await scope.close();
    assert.is(getEventListeners(signal, "abort").length, 0);
    assert.equal([...new Set(await Promise.all(many))], ["ABORT_ERR"]);
    await settled(io);
  });
}
