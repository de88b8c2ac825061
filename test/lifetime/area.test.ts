// Workers with an area that end while its chunks are held and arrive: the process stays whole, and
// gets every descriptor and all memory back.

import { Worker } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { whyNoArea } from "../support/area.js";
import { skip } from "../support/skip.js";
import type { AreaTask } from "./area_worker.js";
import { collect, descriptors, residentBytes } from "./support.js";

const test = suite("lifetime/area");
const body = new URL("./area_worker.js", import.meta.url);
const ROUNDS = 12;
const GROWTH_LIMIT_BYTES = 96 * 1024 * 1024;

/** Gives the status that it ended with. */
async function runOne(task: AreaTask): Promise<number> {
  const worker = new Worker(body, { workerData: task });
  const errors: Error[] = [];
  worker.on("error", (error) => errors.push(error as Error));
  const ended = new Promise<number>((resolve) => worker.once("exit", resolve));
  const ready = new Promise<void>((resolve) => worker.once("message", () => resolve()));
  await Promise.race([ready, ended]);
  if (task === "lives") await worker.terminate();
  const status = await ended;
  assert.is(errors.length, 0, String(errors));
  return status;
}

async function runInTurn(task: AreaTask, status: number): Promise<void> {
  await runOne("closes");
  collect();
  const before = descriptors();
  const early = residentBytes();
  for (let round = 0; round < ROUNDS; round++) {
    assert.is(await runOne(task), status);
    collect();
  }
  assert.equal(descriptors().length, before.length, `left: ${descriptors().join(", ")}`);
  const growth = residentBytes() - early;
  assert.ok(growth < GROWTH_LIMIT_BYTES, `${growth} bytes more than after the first`);
}

const reason = await whyNoArea();
for (const [task, status, what] of [
  ["lives", 1, "are killed"],
  ["closes", 0, "close their IO, and still have what they kept"],
  ["exits", 0, "call process.exit()"],
] as const) {
  const name = `Workers that ${what} while chunks are held`;
  if (reason === null) test(name, () => runInTurn(task, status));
  else skip(test, name, reason);
}

test.run();
