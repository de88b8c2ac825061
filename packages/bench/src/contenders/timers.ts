// A thousand timers in flight, each of which starts again when it has rung: by ring.timeout and
// io.sleep of @io/core, or by setTimeout of Node, over libuv.
//
// Usage: timers <callback|promise|node|node_promise> <count> <seconds> [<backend>]
//
// The processor time is that of all threads of the process, for each timer that has rung.

import { setTimeout as sleep } from "node:timers/promises";
import { type BackendName, Completion, IO } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";

const [, , mode = "", , , backend] = process.argv;
const count = numberArgument(1);
const durationSeconds = numberArgument(2);
const io = await IO.open(backend === undefined ? {} : { backend: backend as BackendName });
let rung = 0;

/** In whole milliseconds, as libuv has them: 1 to 100, spread over the timers. */
const delaysMs = Array.from({ length: count }, (_, index) => 1 + ((index * 37) % 100));

function byCallback(delayMs: number): void {
  const again = (completion: Completion): void => {
    rung++;
    io.ring.timeout(completion, again, delayMs * 1e6);
  };
  io.ring.timeout(new Completion(), again, delayMs * 1e6);
}

function byNode(delayMs: number): void {
  const again = (): void => {
    rung++;
    setTimeout(again, delayMs);
  };
  setTimeout(again, delayMs);
}

async function byPromise(delayMs: number, wait: (ms: number) => Promise<unknown>): Promise<void> {
  for (;;) {
    await wait(delayMs);
    rung++;
  }
}

const modes: Record<string, (delayMs: number) => void> = {
  callback: byCallback,
  promise: (delayMs) => void byPromise(delayMs, (ms) => io.sleep(ms)),
  node: byNode,
  node_promise: (delayMs) => void byPromise(delayMs, sleep),
};
const start = modes[mode];
if (!start) throw new RangeError(`There is no mode "${mode}".`);
for (const delayMs of delaysMs) start(delayMs);
await sleep(durationSeconds * 200);
const before = process.cpuUsage();
const rungBefore = rung;
await sleep(durationSeconds * 1000);
const { user, system } = process.cpuUsage(before);
printFigures({ "CPU us/timer": (user + system) / (rung - rungBefore) });
process.exit(0);
