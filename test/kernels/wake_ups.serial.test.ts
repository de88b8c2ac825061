// How soon a sleeping event loop runs after data arrives, on io_uring against epoll: a round trip
// on one connection, after some rest, to a server in another thread.
//
// Some kernels delay the eventfd signal of a ring until an RCU grace period has passed
// (native/backend/io_uring/late_eventfd_signals.h), which makes a round trip several times as long.
// The two backends take turns in one process, so that load and emulation are the same for both, and
// only their ratio counts.

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { type BackendName, IO, probe, type Socket } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "../support/skip.js";

const ROUNDS = 100;
const WARM_UP_ROUNDS = 20;
/** Long enough for both threads to sleep. It is what is measured, and waits for nothing. */
const REST_MS = 3;
const RATIO_LIMIT = 1.3;
/** A machine with other work may be unfair to one side; a kernel that wakes late always is. */
const ATTEMPTS = 3;

const backends: readonly BackendName[] = ["io_uring", "epoll"];
const test = suite("kernels/wake-ups");

async function roundTripMs(socket: Socket): Promise<number> {
  const buffer = new Uint8Array(1);
  const start = performance.now();
  await socket.sendAll(buffer);
  assert.is(await socket.receive(buffer), 1);
  return performance.now() - start;
}

function medianOf(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[values.length >> 1] as number;
}

/** The times of each socket, of rounds in which each has one; which is first takes turns. */
async function measure(clock: IO, sockets: readonly Socket[]): Promise<number[][]> {
  const times = sockets.map((): number[] => []);
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    const order = [...sockets.keys()];
    if (round % 2 === 1) order.reverse();
    for (const index of order) {
      await clock.sleep(REST_MS);
      const timeMs = await roundTripMs(sockets[index] as Socket);
      if (round >= WARM_UP_ROUNDS) times[index]?.push(timeMs);
    }
  }
  return times;
}

async function compare(): Promise<void> {
  const worker = new Worker(new URL("./wake_ups_worker.js", import.meta.url), {
    workerData: backends,
  });
  const ended = once(worker, "exit");
  const [ports] = (await once(worker, "message")) as [number[]];
  const ios: IO[] = [];
  const sockets: Socket[] = [];
  for (const [index, backend] of backends.entries()) {
    const io = await IO.open({ backend });
    ios.push(io);
    sockets.push(await io.connect({ host: "127.0.0.1", port: ports[index] as number }));
  }
  let ratio = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < ATTEMPTS && ratio > RATIO_LIMIT; attempt++) {
    const times = await measure(ios.at(-1) as IO, sockets);
    const [uringMs, epollMs] = times.map(medianOf) as [number, number];
    ratio = uringMs / epollMs;
    // Of a line that begins so the runner shows the rest.
    process.stdout.write(
      `\nmeasured: a round trip takes ${uringMs.toFixed(3)} ms on io_uring, ` +
        `${epollMs.toFixed(3)} ms on epoll, ratio ${ratio.toFixed(2)}; ${ios[0]?.why}\n`,
    );
  }
  for (const socket of sockets) await socket.close();
  for (const io of ios) await io.close();
  await ended;
  assert.ok(ratio <= RATIO_LIMIT, `io_uring takes ${ratio.toFixed(2)} times as long as epoll`);
}

const name = "a round trip after some rest takes about as long on io_uring as on epoll";
const missing = probe().candidates.find(
  ({ name, available }) => !available && backends.includes(name as BackendName),
);
if (missing === undefined) test(name, compare);
else skip(test, name, `${missing.name}: ${missing.reason}`);
test.run();
