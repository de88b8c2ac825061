// The memory that small writes are copied into.

import { IO } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Environment } from "./environment.js";

const test = suite("environment");

const MANY = 6000;
const MIB = 1024 * 1024;

function memoryBytes(): number {
  return process.memoryUsage().arrayBuffers;
}

/** Collects garbage; what WeakRefs gave out in a turn stays to its end. */
async function collect(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    global.gc?.();
  }
}

test("blocks beyond what is kept go to the collector, and those that are kept stay", async () => {
  await using io = await IO.open();
  const environment = new Environment(io);
  await collect();
  const before = memoryBytes();
  for (let round = 0; round < 3; round++) {
    const taken = new Set(Array.from({ length: MANY }, () => environment.takeBlock()));
    assert.is(taken.size, MANY); // none is given out twice
    assert.ok(memoryBytes() - before > 90 * MIB);
    for (const block of taken) {
      block.used = 1;
      environment.giveBlock(block);
    }
    taken.clear();
    await collect();
    const kept = memoryBytes() - before;
    assert.ok(kept > 15 * MIB, `${kept} bytes are kept`);
    assert.ok(kept < 24 * MIB, `${kept} bytes are kept`);
    assert.is(environment.takeBlock().used, 0);
  }
});

test.run();
