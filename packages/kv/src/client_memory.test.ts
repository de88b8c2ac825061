/** What clients may hold together, and who goes when it is more. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ClientMemory, defaultClientsMemoryBytes, type Holder } from "./client_memory.js";

const test = suite("client memory");

test("the client that holds most is disconnected, and only as many as have to be", () => {
  const memory = new ClientMemory(100);
  const gone: number[] = [];
  const holders = [0, 1, 2, 3].map((index): Holder => {
    const holder = { heldBytes: 0, disconnect: () => gone.push(index) };
    return holder;
  });
  memory.update(holders[0]!, 20);
  memory.update(holders[1]!, 50);
  memory.update(holders[2]!, 30);
  assert.equal(gone, []);
  memory.update(holders[3]!, 1);
  assert.equal(gone, [1]);
  assert.is(memory.totalBytes, 51);
  memory.update(holders[1]!, 0); // Its connection has ended.
  assert.is(memory.totalBytes, 51);
  memory.update(holders[3]!, 200);
  assert.equal(gone, [1, 3]);
  assert.is(memory.totalBytes, 50);
});

test("the default follows the memory of the machine", () => {
  assert.ok(defaultClientsMemoryBytes() > 1024 * 1024);
});

test.run();
