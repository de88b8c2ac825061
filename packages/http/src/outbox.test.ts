// The memory of answers.

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Block, BlockPool } from "./outbox.js";

const test = suite("outbox");

test("what a crowd needed beyond a bound is not kept", () => {
  const pool = new BlockPool();
  const takeAll = (): Block[] => Array.from({ length: 5000 }, () => pool.take());
  const first = new Set(takeAll());
  assert.is(first.size, 5000);
  for (const block of first) pool.give(block);
  const again = takeAll();
  assert.is(new Set(again).size, 5000);
  const kept = again.filter((block) => first.has(block));
  assert.ok(kept.length > 1000 && kept.length < 3000, `${kept.length}`);
});

test.run();
