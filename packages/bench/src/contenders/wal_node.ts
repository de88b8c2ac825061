// Appends blocks of 4 KiB to a log with node:fs, each durable before the next.
//
// Usage: wal_node promise <path> <seconds>

import { promises } from "node:fs";
import { numberArgument, printFigures } from "../contender.js";

const path = process.argv[3] ?? "";
const durationMs = numberArgument(2) * 1000;
const block = new Uint8Array(4096).fill(7);

async function append(forMs: number): Promise<number> {
  const log = await promises.open(path, "w");
  const start = performance.now();
  let count = 0;
  for (let position = 0; performance.now() - start < forMs; position += block.byteLength) {
    await log.write(block, 0, block.byteLength, position);
    await log.datasync();
    count++;
  }
  const seconds = (performance.now() - start) / 1000;
  await log.close();
  return count / seconds;
}

await append(durationMs / 5);
printFigures({ "appends/s": await append(durationMs) });
