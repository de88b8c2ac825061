// Appends blocks of 4 KiB to a log, each durable before the next: by a write with `dsync`, or by a
// chain of a write and a sync.
//
// Usage: wal_ours <dsync|chain> <path> <seconds> [<backend>]

import { type BackendName, IO } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";

const [, , mode, path = "", , backend] = process.argv;
const durationMs = numberArgument(2) * 1000;
const io = await IO.open(backend === undefined ? {} : { backend: backend as BackendName });
const block = io.buffers.acquire(4096).fill(7);

async function append(forMs: number): Promise<number> {
  const log = await io.openFile(path, { write: true, create: true, truncate: true });
  const start = performance.now();
  let count = 0;
  for (let position = 0; performance.now() - start < forMs; position += block.byteLength) {
    if (mode === "dsync") await log.write(block, { position, dsync: true });
    else await io.chain([log.prepareWrite(block, position), log.prepareSync("data")]);
    count++;
  }
  const seconds = (performance.now() - start) / 1000;
  await log.close();
  return count / seconds;
}

await append(durationMs / 5);
printFigures({ "appends/s": await append(durationMs) });
await io.close();
