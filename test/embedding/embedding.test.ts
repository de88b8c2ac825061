// Programs around the library: other modules that turn the event loop or have work done in each
// turn of it, a second copy of the package, and handles that want their turn.

import { Worker } from "node:worker_threads";
import { Completion, IO } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "../support/skip.js";
import { buildTurns, Copy, GUARD_MS, inTime, type Turns } from "./support.js";

const test = suite("embedding");
const turns = buildTurns();

function nothing(): void {}

/** Registers a test that needs the module. */
function withTurns(name: string, body: (turns: Turns) => Promise<void>): void {
  if (typeof turns === "string") skip(test, name, turns);
  else test(name, () => body(turns));
}

/** Turns the event loop until `done`, as a program does that cannot wait. */
function turnUntil({ turn }: Turns, done: () => boolean, what: string): void {
  const end = performance.now() + GUARD_MS;
  while (!done()) {
    if (performance.now() > end) throw new Error(`never: ${what}`);
    turn(true);
  }
}

function nop(io: IO, callback: () => void): void {
  io.ring.nop(new Completion(), callback);
}

withTurns("callbacks that turn the event loop lose no completion", async ({ turn }) => {
  const io = await IO.open();
  const COUNT = 200;
  const MORE = 5;
  const called = new Int32Array(COUNT);
  let all = 0;
  await new Promise<void>((resolve) => {
    const one = (): void => {
      if (++all === COUNT + (COUNT / 10) * MORE) resolve();
    };
    for (let index = 0; index < COUNT; index++) {
      nop(io, () => {
        called[index]!++;
        one();
        if (index % 10 !== 0) return;
        for (let more = 0; more < MORE; more++) nop(io, one);
        turn(false);
        turn(false);
      });
    }
  });
  assert.ok(called.every((count) => count === 1));
  assert.is(io.stats().strays, 0);
  await inTime(io.close(), "the close");
});

withTurns("a callback may wait for the operations of its IO", async (all) => {
  const io = await IO.open();
  const order: string[] = [];
  const waited = new Promise<void>((resolve) => {
    nop(io, () => {
      let done = false;
      io.ring.timeout(
        new Completion(),
        () => {
          order.push("timeout");
          done = true;
        },
        2e6,
      );
      turnUntil(all, () => done, "the timeout");
      order.push("first");
      resolve();
    });
    nop(io, () => order.push("second"));
  });
  await inTime(waited, "the callback");
  // Other operations that had completed with it are reported inside: they must not be lost, nor
  // wait for the callback.
  assert.equal(order, ["second", "timeout", "first"]);
  await inTime(io.close(), "the close");
});

withTurns("a callback that throws inside another one is reported", async (all) => {
  const io = await IO.open();
  const thrown = new Promise<unknown>((resolve) => process.once("uncaughtException", resolve));
  const waited = new Promise<void>((resolve) => {
    nop(io, () => {
      let done = false;
      nop(io, () => {
        done = true;
        throw new Error("inside");
      });
      turnUntil(all, () => done, "the no-op");
      resolve();
    });
  });
  await inTime(waited, "the callback");
  assert.match(String(await inTime(thrown, "the error")), /inside/);
  await inTime(io.close(), "the close");
});

withTurns("a callback may close its IO and turn the event loop", async (all) => {
  for (let round = 0; round < 20; round++) {
    const io = await IO.open();
    io.ring.timeout(new Completion(), nothing, 3600e9);
    const closed = new Promise<void>((resolve, reject) => {
      for (let index = 0; index < 10; index++) {
        nop(io, () => {
          if (index !== 5) return;
          io.close().then(resolve, reject);
          for (let turned = 0; turned < 5; turned++) all.turn(false);
          globalThis.gc?.();
        });
      }
    });
    await inTime(closed, "the close");
  }
});

// The handle of the module is older than that of the IO, so it has its turn later.
withTurns("what another module queues before the event loop waits is done", async (all) => {
  let queue: (() => void) | undefined;
  all.beforeWait(() => {
    const start = queue;
    queue = undefined;
    start?.();
  });
  const io = await IO.open();
  for (let round = 0; round < 20; round++) {
    const done = new Promise<void>((resolve) => {
      queue = () => nop(io, resolve);
    });
    // Nothing else is left to wake the loop but the guard.
    await inTime(done, "the no-op");
    const slept = new Promise<void>((resolve) => {
      queue = () => io.ring.timeout(new Completion(), () => resolve(), 1e5);
    });
    await inTime(slept, "the timeout");
  }
  await io.close();
});

/** Callbacks of one IO queue on the other, to and fro. */
async function hop(first: IO, second: IO): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const hops = new Promise<void>((resolve) => {
      nop(first, () => nop(second, () => nop(first, () => nop(second, resolve))));
    });
    await inTime(hops, "the hops");
  }
}

test("callbacks of one copy of the package queue on an IO of another", async () => {
  const copy = new Copy();
  const ios = [await IO.open(), await copy.open(), await IO.open(), await copy.open()];
  for (const first of ios) {
    for (const second of ios) await hop(first, second);
  }
  for (const io of ios) await io.close();
});

test("so they do in a Worker", async () => {
  const worker = new Worker(new URL("./hopping_worker.js", import.meta.url));
  const ended = new Promise<unknown>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  assert.is(await inTime(ended, "the Worker"), "done");
});

// In the phase of prepare handles, too: the new IO's own has no turn any more then.
test("an IO is opened and used in a callback of another one", async () => {
  const ios: IO[] = [];
  for (let round = 0; round < 20; round++) {
    const io = await IO.open({ entries: 128, inFlightLimit: 128 });
    ios.push(io);
    await inTime(io.nop(), "the no-op");
    await inTime(io.openFile(process.execPath), "the file");
  }
  for (const io of ios) await inTime(io.close(), "the close");
});

test("callbacks that take long leave the other handles their turns", async () => {
  const io = await IO.open();
  const IN_FLIGHT = 100;
  const COUNT = 400;
  let turn = 0;
  const count = (): void => {
    turn++;
    if (called < COUNT) setImmediate(count);
  };
  let called = 0;
  const calledIn = new Set<number>();
  await new Promise<void>((resolve) => {
    const again = (completion: Completion): void => {
      const end = performance.now() + 2;
      while (performance.now() < end);
      // The cost of the first batches is not known before.
      if (++called > COUNT / 2) calledIn.add(turn);
      if (called < COUNT) io.ring.nop(completion, again);
      else resolve();
    };
    for (let index = 0; index < IN_FLIGHT; index++) io.ring.nop(new Completion(), again);
    setImmediate(count);
  });
  assert.ok(calledIn.size >= COUNT / 8, `${COUNT / 2} callbacks in ${calledIn.size} turns`);
  await io.close();
});

test.run();
