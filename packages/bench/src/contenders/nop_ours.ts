// No-ops with @io/core: by callback, by promise, and by callback with the heap watched.
//
// Usage: nop_ours <callback|promise|heap> <in flight> <seconds>

import { PerformanceObserver } from "node:perf_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Completion, IO, type Ring } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";

const mode = process.argv[2];
const inFlight = numberArgument(1);
const durationSeconds = numberArgument(2);

/** The clock is read once per this many operations, so that reading it does not show. */
const operationsPerClock = 16_384;

// Plain variables, not an object: the counters are in the loop that is measured.
let operations = 0;
let stopped = false;
let startMs = 0;
let endMs = 0;
let operationsLimit = 0;

function startCounting({ seconds = Infinity, maxOperations = Infinity }): void {
  operations = 0;
  stopped = false;
  startMs = performance.now();
  endMs = startMs + seconds * 1000;
  operationsLimit = maxOperations;
}

/** Is called once per `operationsPerClock` operations. */
function decideToStop(): void {
  if (operations >= operationsLimit) stopped = true;
  // Asking for the time allocates a little, which would show where the heap is watched.
  else if (endMs !== Infinity) stopped = performance.now() >= endMs;
}

function operationsPerSecond(): number {
  return operations / ((performance.now() - startMs) / 1000);
}

let ring: Ring;

/**
 * Every completion queues itself again, until it is time to stop. Made once, as an engine would.
 */
function onNop(completion: Completion, result: number): void {
  if (result !== 0) throw new Error(`A no-op gave ${result}.`);
  if (++operations % operationsPerClock === 0) decideToStop();
  if (!stopped) ring.nop(completion, onNop);
}

function runCallbacks(io: IO, completions: Completion[]): void {
  ring = io.ring;
  for (const completion of completions) ring.nop(completion, onNop);
  io.run();
}

async function measureCallbacks(): Promise<void> {
  const io = await IO.open({ mode: "detached" });
  const completions = Array.from({ length: inFlight }, () => new Completion());
  for (const seconds of [durationSeconds / 5, durationSeconds]) {
    startCounting({ seconds });
    runCallbacks(io, completions);
  }
  printFigures({ "operations/s": operationsPerSecond() });
  process.exit(0);
}

async function measurePromises(): Promise<void> {
  const io = await IO.open();
  async function loop(): Promise<void> {
    while (!stopped) {
      await io.nop();
      if (++operations % operationsPerClock === 0) decideToStop();
    }
  }
  for (const seconds of [durationSeconds / 5, durationSeconds]) {
    startCounting({ seconds });
    await Promise.all(Array.from({ length: inFlight }, loop));
  }
  printFigures({ "operations/s": operationsPerSecond() });
  await io.close();
}

/** What --min-semi-space-size=64 makes room for before the first collection. */
const semiSpaceBytes = 64 * 1024 * 1024;

/**
 * All that is allocated shows as growth of the heap as long as nothing is collected. A collection
 * that happens nevertheless stands for the whole of the young generation. What a run allocates once
 * is in a short run as it is in a long one, so the difference of the two is what operations take.
 */
async function measureHeap(): Promise<void> {
  const collect = globalThis.gc;
  if (!collect) throw new Error("--expose-gc is needed.");
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    collections += list.getEntries().length;
  });
  const io = await IO.open({ mode: "detached" });
  const completions = Array.from({ length: inFlight }, () => new Completion());

  async function allocatedBytes(maxOperations: number): Promise<number> {
    collect?.();
    await nextTurn();
    observer.observe({ entryTypes: ["gc"] });
    collections = 0;
    startCounting({ maxOperations });
    const beforeBytes = process.memoryUsage().heapUsed;
    runCallbacks(io, completions);
    const grownBytes = process.memoryUsage().heapUsed - beforeBytes;
    // The observer is called in a later turn.
    await nextTurn();
    await nextTurn();
    observer.disconnect();
    return grownBytes + collections * semiSpaceBytes;
  }

  startCounting({ seconds: durationSeconds });
  runCallbacks(io, completions);
  const more = Math.max(operations, 300 * operationsPerClock);
  await allocatedBytes(operationsPerClock);
  const shortBytes = await allocatedBytes(operationsPerClock);
  const longBytes = await allocatedBytes(operationsPerClock + more);
  const perOperation = Math.max(0, longBytes - shortBytes) / more;
  printFigures({ "heap bytes per operation": perOperation, collections });
  process.exit(0);
}

const modes: Record<string, () => Promise<void>> = {
  callback: measureCallbacks,
  promise: measurePromises,
  heap: measureHeap,
};
const measure = modes[mode ?? ""];
if (!measure) throw new RangeError(`There is no mode "${mode}".`);
await measure();
