// Whole files by fs.readFile: of node:fs/promises, or of ours; or, "chain", by one chain that
// opens, reads and closes each, into memory that is used again.
//
// Usage: whole_files <node|ours|chain|chain_epoll> <folder> <in flight> <seconds>
//
// The processor time is that of all threads of the process.

import nodePromises from "node:fs/promises";
import { join } from "node:path";
import { Completion, IO, OpenFlags } from "@io/core";
import ourPromises from "@io/node/fs/promises";
import { numberArgument, printFigures } from "../contender.js";

const [, , who, folder = ""] = process.argv;
const inFlight = numberArgument(2);
const durationSeconds = numberArgument(3);
const fs = who === "ours" ? (ourPromises as unknown as typeof nodePromises) : nodePromises;
const io = who?.startsWith("chain")
  ? await IO.open(who === "chain_epoll" ? { backend: "epoll" } : {})
  : undefined;
const names = (await nodePromises.readdir(folder)).map((name) => join(folder, name));

type Read = (name: string) => Promise<{ readonly length: number }>;

/** For one file after the other. */
function reader(): Read {
  if (io === undefined) return (name) => fs.readFile(name);
  const { ring } = io;
  const [opened, read, closed] = [new Completion(), new Completion(), new Completion()];
  opened.link = true;
  read.link = "hard";
  const memory = io.buffers.acquire(4096);
  const ignore = (): void => undefined;
  return (name) =>
    new Promise((resolve) => {
      let length = 0;
      const count = (_read: Completion, result: number): void => {
        length = result;
      };
      ring.open(opened, ignore, name, OpenFlags.read, 0);
      ring.read(read, count, ring.chainDescriptor, memory, 0);
      ring.close(closed, () => resolve({ length }), ring.chainDescriptor);
    });
}

const readers = Array.from({ length: inFlight }, reader);

/** Reads every file once; gives how many there were. */
async function readAll(): Promise<number> {
  let next = 0;
  const loop = async (_: unknown, index: number): Promise<void> => {
    const readOne = readers[index] as Read;
    for (let name = names[next++]; name !== undefined; name = names[next++]) {
      const { length } = await readOne(name);
      if (length <= 0) throw new Error(`${name} is empty`);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  return names.length;
}

async function measure(seconds: number): Promise<{ "files/s": number; "CPU us/file": number }> {
  const before = process.cpuUsage();
  const start = performance.now();
  let count = 0;
  let elapsedMs = 0;
  while (elapsedMs < seconds * 1000) {
    count += await readAll();
    elapsedMs = performance.now() - start;
  }
  const { user, system } = process.cpuUsage(before);
  return { "files/s": (count / elapsedMs) * 1000, "CPU us/file": (user + system) / count };
}

await measure(durationSeconds / 5);
const figures = await measure(durationSeconds);
printFigures(figures);
await io?.close();
