// What costs nothing: an IO that waits, and readiness that nobody makes use of.

import type { IO } from "@io/core";
import * as assert from "uvu/assert";
import type { Suite } from "./harness.js";
import { connected } from "./network.js";
import { failureCode, roundTrips, turn } from "./verbs.js";

const TURNS = 300;

/** What the IO did while the event loop turned and the program asked it for nothing. */
async function whileQuiet(io: IO): Promise<{ systemCalls: number; wakeUps: number }> {
  const before = io.stats();
  for (let count = 0; count < TURNS; count++) await turn();
  const after = io.stats();
  return {
    systemCalls: after.systemCalls - before.systemCalls,
    wakeUps: after.wakeUps - before.wakeUps,
  };
}

export function ringQuiet(suite: Suite): void {
  suite.test("an IO that waits makes no system calls", async (trial) => {
    const { io, client } = await connected(trial);
    const waiting = [
      failureCode(client.receive(new Uint8Array(8))),
      failureCode(io.sleep(3_600_000_000_000)),
    ];
    await roundTrips(io);
    assert.equal(await whileQuiet(io), { systemCalls: 0, wakeUps: 0 });
    await io.cancelAll();
    assert.equal(await Promise.all(waiting), ["ECANCELED", "ECANCELED"]);
  });

  suite.test("bytes that nobody receives wake nobody again and again", async (trial) => {
    const { io, client, served } = await connected(trial);
    // It has been waited for once, so that its readiness is told.
    const receiving = client.receive(new Uint8Array(1));
    await roundTrips(io);
    await served.sendAll(new Uint8Array(100_000));
    assert.is(await receiving, 1);
    await served.close();
    await roundTrips(io);
    const { systemCalls, wakeUps } = await whileQuiet(io);
    assert.ok(systemCalls <= 10, `${systemCalls} system calls`);
    assert.ok(wakeUps <= 10, `${wakeUps} wake-ups`);
    assert.is(await client.receiveAll(new Uint8Array(100_000)), 99_999);
  });

  suite.test("connections that nobody accepts wake nobody again and again", async (trial) => {
    const { io, listener } = await connected(trial);
    const clients = [];
    for (let count = 0; count < 12; count++) {
      clients.push(await io.connect({ port: listener.address.port }));
    }
    await roundTrips(io);
    const { systemCalls, wakeUps } = await whileQuiet(io);
    assert.ok(systemCalls <= 10, `${systemCalls} system calls`);
    assert.ok(wakeUps <= 10, `${wakeUps} wake-ups`);
    for (const client of clients) await client.close();
  });
}
