// Names in a directory, and copies of a tree: by @io/core, by @io/node, by node:fs/promises, or by
// cp of the system, whose start is not counted.
//
// Usage: trees <readdir|copy> <contender> <folder> <seconds>

import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import nodePromises from "node:fs/promises";
import { type BackendName, IO } from "@io/core";
import ourPromises from "@io/node/fs/promises";
import { numberArgument, printFigures } from "../contender.js";
import { median } from "../statistics.js";

const [, , what, who = "", folder = ""] = process.argv;
const durationMs = numberArgument(3) * 1000;
const target = `${folder}-copy`;
const backend = who === "epoll" ? ("epoll" satisfies BackendName) : undefined;
const io = await IO.open(backend === undefined ? {} : { backend });
const fs = who === "@io/node" ? (ourPromises as unknown as typeof nodePromises) : nodePromises;
const isFs = who === "node:fs" || who === "@io/node";

function runCp(...options: string[]): number {
  const start = performance.now();
  const { status, error } = spawnSync("cp", options, { stdio: "ignore" });
  if (status !== 0) throw error ?? new Error(`cp ended with ${status}`);
  return performance.now() - start;
}

const startMs = who === "cp -a" ? median(Array.from({ length: 5 }, () => runCp("--version"))) : 0;

/** The milliseconds that it took. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function copyMs(): Promise<number> {
  rmSync(target, { recursive: true, force: true });
  const options = { recursive: true, preserveTimestamps: who === "times" };
  if (who === "cp -a") return runCp("-a", folder, target) - startMs;
  return timed(() => (isFs ? fs.cp(folder, target, options) : io.cp(folder, target, options)));
}

function readdirMs(): Promise<number> {
  return timed(() => (isFs ? fs.readdir(folder) : io.readdir(folder)));
}

// The first one is not counted.
const once = what === "copy" ? copyMs : readdirMs;
await once();
const names = await nodePromises.readdir(folder, { recursive: what === "copy" });
const all: number[] = [];
const start = performance.now();
do all.push(await once());
while (performance.now() - start < durationMs);
const ms = all.reduce((sum, one) => sum + one, 0) / all.length;
printFigures({ "names/s": (1000 * names.length) / ms });
rmSync(target, { recursive: true, force: true });
await io.close();
