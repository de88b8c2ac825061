// Whole files by fs.readFile: of node:fs/promises, or of ours.
//
// Usage: whole_files <node|ours> <folder> <in flight> <seconds>
//
// The processor time is that of all threads of the process.

import nodePromises from "node:fs/promises";
import { join } from "node:path";
import ourPromises from "@io/node/fs/promises";
import { numberArgument, printFigures } from "../contender.js";

const [, , who, folder = ""] = process.argv;
const inFlight = numberArgument(2);
const durationSeconds = numberArgument(3);
const fs = who === "ours" ? (ourPromises as unknown as typeof nodePromises) : nodePromises;
const names = (await nodePromises.readdir(folder)).map((name) => join(folder, name));

/** Reads every file once; gives how many there were. */
async function readAll(): Promise<number> {
  let next = 0;
  const loop = async (): Promise<void> => {
    for (let name = names[next++]; name !== undefined; name = names[next++]) {
      const { length } = await fs.readFile(name);
      if (length === 0) throw new Error(`${name} is empty`);
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
