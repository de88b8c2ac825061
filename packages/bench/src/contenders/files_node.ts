// Random 4 KiB reads with node:fs, by promise (FileHandle.read) or by callback (fs.read).
//
// Usage: files_node <promise|callback> <path> <buffered|direct> <in flight> <seconds>

import { closeSync, constants, openSync, promises, read, statSync } from "node:fs";
import { numberArgument, printFigures } from "../contender.js";
import { alignedPages } from "../pages.js";
import { RandomOffsets } from "../random_offsets.js";
import { ReadCount } from "../read_count.js";

const [, , mode, path = "", cache] = process.argv;
const inFlight = numberArgument(3);
const durationSeconds = numberArgument(4);
const offsets = new RandomOffsets(statSync(path).size);
const flags = constants.O_RDONLY | (cache === "direct" ? constants.O_DIRECT : 0);
const pages = alignedPages(inFlight);
let count = new ReadCount(0);

async function measurePromises(): Promise<void> {
  const handle = await promises.open(path, flags);
  async function loop(page: Uint8Array): Promise<void> {
    while (!count.stopped) {
      const { bytesRead } = await handle.read(page, 0, page.byteLength, offsets.next());
      count.add(bytesRead);
    }
  }
  for (const seconds of [durationSeconds / 5, durationSeconds]) {
    count = new ReadCount(seconds);
    await Promise.all(pages.map(loop));
  }
  printFigures({ "reads/s": count.readsPerSecond });
  await handle.close();
}

async function measureCallbacks(): Promise<void> {
  const descriptor = openSync(path, flags);
  function loop(page: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      function onRead(error: Error | null, bytesRead: number): void {
        // An exception of add ends the process, as it should.
        if (!error) count.add(bytesRead);
        if (error) reject(error);
        else if (count.stopped) resolve();
        else start();
      }
      function start(): void {
        read(descriptor, page, 0, page.byteLength, offsets.next(), onRead);
      }
      start();
    });
  }
  for (const seconds of [durationSeconds / 5, durationSeconds]) {
    count = new ReadCount(seconds);
    await Promise.all(pages.map(loop));
  }
  printFigures({ "reads/s": count.readsPerSecond });
  closeSync(descriptor);
}

await (mode === "callback" ? measureCallbacks() : measurePromises());
