// A directory of 100,000 names, and the copy of a tree of 5,000 files and 400 MB. Every contender
// may use all cores.
//
// Both lie in memory where there is room for them. On ext4 a new file costs the more the more files
// were deleted within the last minute (recently_deleted() in fs/ext4/ialloc.c), as a benchmark does
// that copies again and again: up to a millisecond, which is more than all else.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { nodeCommand, parseFigures } from "../contender.js";
import type { Case, Contender, Settings, Workload } from "../harness.js";
import { buildFolder } from "../native_build.js";
import { findProgram, runProcess } from "../processes.js";

const MEMORY = "/dev/shm";
const NEEDED_BYTES = 2e9;

/** Where the files are: in memory, or with those of the build. */
function placeOf(): string {
  try {
    const { type, bavail, bsize } = statfsSync(MEMORY);
    const isMemory = type === 0x01021994; // tmpfs
    if (isMemory && bavail * bsize > NEEDED_BYTES) return MEMORY;
  } catch {
    // There is none.
  }
  mkdirSync(buildFolder, { recursive: true });
  return buildFolder;
}

function contender(name: string, what: string, who: string, folder: string): Contender {
  return {
    name,
    measure: async ({ durationSeconds }: Settings) => {
      const command = nodeCommand("trees", what, who, folder, durationSeconds);
      const timeoutSeconds = 120 + 8 * durationSeconds;
      return parseFigures(await runProcess(command, { core: "any", timeoutSeconds }));
    },
  };
}

/** Files of 16 to 144 KB, of 80 KB on average, 100 in a directory. */
function makeTree(folder: string, count: number): void {
  const bytes = Buffer.alloc(144_000, "tree");
  for (let index = 0; index < count; index++) {
    const below = `${folder}/${Math.floor(index / 100)}`;
    if (index % 100 === 0) mkdirSync(below, { recursive: true });
    writeFileSync(`${below}/${index}`, bytes.subarray(0, 16_000 * ((index % 9) + 1)));
  }
}

function makeNames(folder: string, count: number): void {
  mkdirSync(folder);
  for (let index = 0; index < count; index++) writeFileSync(`${folder}/name-${index}`, "");
}

function casesIn(folder: string, small: boolean): Case[] {
  const [tree, names] = [`${folder}/tree`, `${folder}/names`];
  const [files, count] = small ? [100, 1000] : [5000, 100_000];
  makeTree(tree, files);
  makeNames(names, count);
  // What is being written meanwhile would slow the first ones.
  if (findProgram("sync")) spawnSync("sync", ["-f", folder]);
  const copy = (name: string, who: string) => contender(name, "copy", who, tree);
  const list = (name: string, who: string) => contender(name, "readdir", who, names);
  const cp = findProgram("cp") ? {} : { unavailable: "cp is not installed" };
  return [
    {
      name: `copy of ${files} files`,
      better: "higher",
      contenders: [
        copy("ours", "ours"),
        copy("ours with times", "times"),
        copy("ours on epoll", "epoll"),
        copy("ours by @io/node", "@io/node"),
        copy("fs.promises.cp", "node:fs"),
        { ...copy("cp -a", "cp -a"), ...cp },
      ],
      comparisons: [
        { of: "ours with times", to: ["cp -a"] },
        { of: "ours by @io/node", to: ["fs.promises.cp"] },
      ],
    },
    {
      name: `readdir of ${count} names`,
      better: "higher",
      contenders: [
        list("ours", "ours"),
        list("ours on epoll", "epoll"),
        list("ours by @io/node", "@io/node"),
        list("fs.promises.readdir", "node:fs"),
      ],
      comparisons: [{ of: "ours by @io/node", to: ["fs.promises.readdir"] }],
    },
  ];
}

export const trees: Workload = {
  name: "trees",
  async prepare({ small }: Settings) {
    const folder = mkdtempSync(`${placeOf()}/io-trees-`);
    const dispose = () => rmSync(folder, { recursive: true, force: true });
    // An interrupted run must not leave the files behind either.
    process.on("exit", dispose);
    try {
      return { cases: casesIn(folder, small), dispose };
    } catch (error) {
      dispose();
      throw error;
    }
  },
};
