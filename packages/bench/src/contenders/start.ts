// Starts a program several times, one after the other, and prints the median of the wall times.
//
// It runs on the core of the program it starts and sleeps meanwhile. Its own cost, to fork and to
// notice the end, is in both sides of the comparison.

import { spawnSync } from "node:child_process";
import { numberArgument, printFigures } from "../contender.js";
import { lastWords } from "../processes.js";
import { median } from "../statistics.js";

const program = process.argv[2] ?? "";
const starts = numberArgument(1);

function startOnceMs(): number {
  const startMs = performance.now();
  const { status, stderr, error } = spawnSync(process.execPath, [program], {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: 20_000,
  });
  const elapsedMs = performance.now() - startMs;
  if (error) throw error;
  if (status !== 0)
    throw new Error(`${program} ended with status ${status}${lastWords(`${stderr}`)}`);
  return elapsedMs;
}

// The first one reads the files from disk.
startOnceMs();
printFigures({ milliseconds: median(Array.from({ length: starts }, startOnceMs)) });
