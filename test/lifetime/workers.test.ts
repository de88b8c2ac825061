// Workers that are killed, end or fail in the middle of their I/O: the process stays whole, and
// gets every descriptor and all memory back.

import { Worker } from "node:worker_threads";
import { IO } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { WorkerTask } from "./busy_worker.js";
import { collect, descriptors, residentBytes, temporaryFolder } from "./support.js";

const test = suite("lifetime/workers");
const folder = temporaryFolder();
const body = new URL("./busy_worker.js", import.meta.url);
const ROUNDS = 24;
const GROWTH_LIMIT_BYTES = 24 * 1024 * 1024;

interface Running {
  readonly worker: Worker;
  readonly ready: Promise<void>;
  readonly ended: Promise<number>;
  readonly errors: Error[];
}

function start(how: WorkerTask["how"], count = 1000): Running {
  const task: WorkerTask = { how, count, folder };
  const worker = new Worker(body, { workerData: task });
  const errors: Error[] = [];
  worker.on("error", (error) => errors.push(error as Error));
  const ended = new Promise<number>((resolve) => worker.once("exit", resolve));
  const ready = new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve());
    void ended.then(() => reject(new Error(`ended early: ${errors}`)));
  });
  // Some end at once; a test that needs it ready waits for it.
  ready.catch(() => undefined);
  return { worker, ready, ended, errors };
}

/** Node opens descriptors of its own for the first Worker. */
async function warmUp(): Promise<void> {
  const first = start("closes", 10);
  await first.ended;
  await (await IO.open()).close();
}

/** Kills Workers in turn and compares what the process holds. */
async function killInTurn(how: WorkerTask["how"], rounds = ROUNDS): Promise<void> {
  await warmUp();
  const before = descriptors();
  let early = 0;
  for (let round = 0; round < rounds; round++) {
    const { worker, ready } = start(how);
    await ready;
    await worker.terminate();
    collect();
    if (round === 5) early = residentBytes();
  }
  assert.equal(descriptors().length, before.length, `left: ${descriptors().join(", ")}`);
  const growth = residentBytes() - early;
  assert.ok(growth < GROWTH_LIMIT_BYTES, `${growth} bytes more than after six rounds`);
}

test("killed with 1,000 operations in flight, again and again", () => killInTurn("idle"));

test("killed while completions arrive, again and again", () => killInTurn("traffic"));

test("killed between the two steps of sends without a copy", () => killInTurn("sends"));

test("killed while sends wait for peers that have ended", () => killInTurn("stalls", 8));

test("killed at once, wherever they are", async () => {
  await warmUp();
  const before = descriptors();
  for (let round = 0; round < ROUNDS; round++) {
    const { worker } = start(round % 2 === 0 ? "traffic" : "idle");
    for (let turn = 0; turn < round * 40; turn++) {
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
    }
    await worker.terminate();
  }
  assert.equal(descriptors().length, before.length, `left: ${descriptors().join(", ")}`);
});

test("fifty at once, all killed", async () => {
  await warmUp();
  const before = descriptors();
  const all = Array.from({ length: 50 }, (_, index) =>
    start(index % 2 === 0 ? "idle" : "traffic", 60),
  );
  await Promise.all(all.map(({ ready }) => ready));
  await Promise.all(all.map(({ worker }) => worker.terminate()));
  assert.equal(descriptors().length, before.length, `left: ${descriptors().join(", ")}`);
});

for (const [how, status, what] of [
  ["exits", 7, "calls process.exit() with everything in flight"],
  ["throws", 1, "dies of what a callback throws"],
  ["closes", 0, "closes its IO with everything in flight"],
] as const) {
  test(`a Worker that ${what}`, async () => {
    await warmUp();
    const before = descriptors();
    for (let round = 0; round < 3; round++) {
      const { ended, errors } = start(how, 300);
      assert.is(await ended, status);
      assert.is(errors.length, how === "throws" ? 1 : 0, String(errors));
      if (how === "throws") assert.match(errors[0]!.message, "thrown by a callback");
    }
    assert.equal(descriptors().length, before.length, `left: ${descriptors().join(", ")}`);
  });
}

test("a Worker that ends by itself and never closes its IO", async () => {
  await warmUp();
  const before = descriptors();
  for (let round = 0; round < 3; round++) {
    const { ended, errors } = start("ends", 300);
    assert.is(await ended, 0);
    assert.is(errors.length, 0, String(errors));
  }
  assert.equal(descriptors().length, before.length, `left: ${descriptors().join(", ")}`);
});

test("the main thread's own IO is not disturbed", async () => {
  const io = await IO.open();
  const { worker, ready } = start("traffic", 100);
  await ready;
  const sleeping = io.sleep(1);
  await Promise.all([worker.terminate(), sleeping]);
  await io.nop();
  assert.is(io.stats().inFlight, 0);
  await io.close();
});

test.run();
