// Random 4 KiB reads with @io/core, by callback or by promise.
//
// Usage: files_ours <callback|promise> <path> <buffered|direct> <in flight> <seconds> [backend]

import { statSync } from "node:fs";
import { type BackendName, Completion, type File, IO } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";
import { pageBytes, RandomOffsets } from "../random_offsets.js";
import { ReadCount } from "../read_count.js";
import { settle } from "../settle.js";

const [, , mode, path = "", cache] = process.argv;
const inFlight = numberArgument(3);
const durationSeconds = numberArgument(4);
const offsets = new RandomOffsets(statSync(path).size);
const openOptions = { read: true, direct: cache === "direct" };
const backend = (process.argv[7] ?? "auto") as BackendName | "auto";
let count = new ReadCount(0);

/** A read that is started again and again on the page that it owns. */
class Read extends Completion {
  constructor(readonly page: Uint8Array) {
    super();
  }
}

function runCallbacks(io: IO, file: File, reads: Read[]): void {
  const ring = io.ring;
  const descriptor = file.descriptor;
  function onRead(completion: Completion, result: number): void {
    count.add(result);
    if (!count.stopped) start(completion as Read);
  }
  function start(read: Read): void {
    ring.read(read, onRead, descriptor, read.page, offsets.next());
  }
  for (const read of reads) start(read);
  io.run();
}

async function measureCallbacks(): Promise<void> {
  const io = await IO.open({ backend, mode: "detached" });
  const file = await settle(io, io.openFile(path, openOptions));
  const reads = Array.from({ length: inFlight }, () => new Read(io.buffers.acquire(pageBytes)));
  for (const seconds of [durationSeconds / 5, durationSeconds]) {
    count = new ReadCount(seconds);
    runCallbacks(io, file, reads);
  }
  printFigures({ "reads/s": count.readsPerSecond });
  process.exit(0);
}

async function measurePromises(): Promise<void> {
  const io = await IO.open({ backend });
  const file = await io.openFile(path, openOptions);
  const pages = Array.from({ length: inFlight }, () => io.buffers.acquire(pageBytes));
  async function loop(page: Uint8Array): Promise<void> {
    while (!count.stopped) count.add(await file.read(page, offsets.next()));
  }
  for (const seconds of [durationSeconds / 5, durationSeconds]) {
    count = new ReadCount(seconds);
    await Promise.all(pages.map(loop));
  }
  printFigures({ "reads/s": count.readsPerSecond });
  await file.close();
  await io.close();
}

await (mode === "callback" ? measureCallbacks() : measurePromises());
