// The turns that a loop leaves to the rest of the program: loops whose values are ready at once,
// and bodies that are slower than the source of the values.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket as NodeSocket } from "node:net";
import type { IO } from "@io/core";
import * as assert from "uvu/assert";
import type { Suite } from "../support/harness.js";
import { connected } from "../support/network.js";
import { turn, until } from "../support/verbs.js";

const VALUES = 60;

export function turns(suite: Suite): void {
  registerTimers(suite);
  registerListeners(suite);
  registerReceiving(suite);
}

/** Work that holds the thread. */
function busy(durationMs: number): void {
  const end = performance.now() + durationMs;
  while (performance.now() < end);
}

/** Turns true when Node's own timers and immediates have had their turn. */
function others(): { ran: boolean } {
  const seen = { ran: false };
  setTimeout(() => {
    setImmediate(() => {
      seen.ran = true;
    });
  }, 0);
  return seen;
}

/** How many bodies of the loop ran before anything else of the program did. */
async function bodiesBefore(values: AsyncIterable<unknown>, max: number): Promise<number> {
  const seen = others();
  let bodies = 0;
  for await (const _ of values) {
    if (seen.ran || ++bodies === max) break;
    busy(2);
  }
  return bodies;
}

function registerTimers(suite: Suite): void {
  suite.test("a body that is slower than its timer leaves the event loop turns", async (trial) => {
    const io = await trial.open();
    await using timer = io.timer({ intervalMs: 0.1 });
    const bodies = await bodiesBefore(timer, 1000);
    assert.ok(bodies < 1000, "nothing else ran beside 1,000 bodies");
  });

  suite.test("a slow loop over a timer sees that its IO was closed", async (trial) => {
    const io = await trial.open();
    setTimeout(() => void trial.close(io), 5);
    let bodies = 0;
    for await (const _ of io.timer({ intervalMs: 0.1 })) {
      if (++bodies === 1000) break;
      busy(2);
    }
    assert.ok(bodies < 1000, "the loop went on after the close");
  });

  suite.test("two loops over one timer each get every count", async (trial) => {
    const io = await trial.open();
    const timer = io.timer({ intervalMs: 20 });
    const loop = async (): Promise<number[]> => {
      const counts: number[] = [];
      for await (const count of timer) if (counts.push(count) === 3) break;
      return counts;
    };
    const [first, second] = await Promise.all([loop(), loop()]);
    assert.equal([first?.length, second?.length], [3, 3]);
    // A machine that is late leaves counts out, in either of them.
    for (const counts of [first, second]) {
      assert.ok(counts?.every((count, index) => count > (counts[index - 1] ?? 0)));
    }
    // The next one goes on from there.
    const [last] = [Math.max(...(first as number[]), ...(second as number[]))];
    for await (const count of timer) {
      assert.ok(count > last, `${count} after ${last}`);
      break;
    }
    const waiting = [loop(), loop()];
    await turn();
    await timer.close();
    for (const counts of await Promise.all(waiting)) assert.ok(counts.length < 3, "closed");
  });
}

function registerListeners(suite: Suite): void {
  suite.test("a slow loop over waiting connections leaves the event loop turns", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ host: "127.0.0.1", port: 0 });
    const { host, port } = listener.address;
    const clients: NodeSocket[] = [];
    trial.defer(() => {
      for (const client of clients) client.destroy();
    });
    const begin = io.stats().descriptors;
    const accepting = listener.accept();
    for (let index = 0; index <= VALUES; index++) clients.push(connect(port, host));
    await accepting;
    const waiting = (): number => io.stats().descriptors - begin - 1;
    await until(io, () => waiting() === VALUES, "the connections");
    const bodies = await bodiesBefore(listener, VALUES);
    assert.ok(bodies < VALUES / 2, `${bodies} of ${VALUES} bodies before anything else`);
    let left = VALUES - bodies;
    for (; left > 1; left--) await listener.accept();
    assert.is(left, 1, "no connection was lost");
  });
}

function registerReceiving(suite: Suite): void {
  suite.test("a slow loop over chunks leaves the event loop turns", async (trial) => {
    const { io, client, served } = await connected(trial);
    const chunks = served.chunks({ chunkBytes: 4096 });
    await client.sendAll(new Uint8Array(4096));
    const { value } = await chunks.next();
    value?.release();
    await client.sendAll(new Uint8Array(4096 * 31));
    await until(io, () => io.stats().buffersHeld >= 16, "the chunks");
    const bodies = await bodiesBefore(released(chunks), 16);
    assert.ok(bodies < 10, `${bodies} of 16 bodies before anything else`);
  });

  suite.test("a slow loop over datagrams leaves the event loop turns", async (trial) => {
    const io: IO = await trial.open();
    const server = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    const client = createSocket("udp4");
    trial.defer(() => client.close());
    const send = (): void => client.send("ping", server.localAddress.port, "127.0.0.1");
    client.bind(0, "127.0.0.1");
    await once(client, "listening");
    const chunks = server.chunks();
    send();
    const { value } = await chunks.next();
    value?.release();
    for (let index = 0; index < 20; index++) send();
    await until(io, () => io.stats().buffersHeld >= 20, "the datagrams");
    const bodies = await bodiesBefore(released(chunks), 20);
    assert.ok(bodies < 10, `${bodies} of 20 bodies before anything else`);
  });
}

/** The chunks, each released when its body has ended. */
async function* released(
  chunks: AsyncIterable<{ release(): void }>,
): AsyncGenerator<{ release(): void }> {
  for await (const chunk of chunks) {
    try {
      yield chunk;
    } finally {
      chunk.release();
    }
  }
}
