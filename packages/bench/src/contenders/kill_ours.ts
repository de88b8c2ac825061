// How long a Worker with 1,000 operations in flight takes to end when it is killed, again and
// again, and what the process has more of afterwards.
//
// Usage: kill_ours <backend> <rounds>

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type BackendName, Completion, IO } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";
import { summarize } from "../statistics.js";

const inFlight = 1000;
const hourNs = 3600e9;

interface Task {
  backend: BackendName;
  folder: string;
}

function nothing(): void {}

/** Receives, accepts and timeouts that would never end; reads, writes and syncs under way. */
async function work({ backend, folder }: Task): Promise<void> {
  const io = await IO.open({ backend });
  const { ring } = io;
  const listener = await io.listen({ port: 0 });
  const connecting = io.connect({ port: listener.address.port });
  const served = await listener.accept();
  const client = await connecting;
  const file = await io.openFile(join(folder, "file"), { read: true, write: true, create: true });
  await file.writeAll(new Uint8Array(1 << 16), 0);
  const waiting = await io.listen({ port: 0 });
  const starts = [
    () => ring.receive(new Completion(), nothing, client.descriptor, new Uint8Array(512)),
    () => ring.receive(new Completion(), nothing, served.descriptor, new Uint8Array(512)),
    () => ring.accept(new Completion(), nothing, waiting.descriptor),
    () => ring.timeout(new Completion(), nothing, hourNs),
    () => ring.read(new Completion(), nothing, file.descriptor, new Uint8Array(4096), 0),
    () => ring.write(new Completion(), nothing, file.descriptor, new Uint8Array(4096), 0),
    () => ring.sync(new Completion(), nothing, file.descriptor, "data"),
  ];
  for (let index = 0; index < inFlight; index++) starts[index % starts.length]?.();
  ring.flush();
  parentPort?.postMessage("ready");
}

async function killOne(task: Task): Promise<number> {
  const worker = new Worker(new URL(import.meta.url), { workerData: task, argv: [] });
  await new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  const start = performance.now();
  await worker.terminate();
  return performance.now() - start;
}

async function measure(backend: BackendName, rounds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "io-kill-"));
  const task = { backend, folder };
  // Node opens descriptors of its own for the first Workers.
  for (let round = 0; round < 3; round++) await killOne(task);
  const descriptors = readdirSync("/proc/self/fd").length;
  const resident = process.memoryUsage.rss();
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push(await killOne(task));
  rmSync(folder, { recursive: true });
  const { median, high } = summarize(times);
  printFigures({
    "worst ms": high,
    "median ms": median,
    "descriptors left": readdirSync("/proc/self/fd").length - descriptors,
    "MiB grown": (process.memoryUsage.rss() - resident) / 2 ** 20,
  });
}

if (isMainThread) await measure(process.argv[2] as BackendName, numberArgument(1));
else await work(workerData as Task);
