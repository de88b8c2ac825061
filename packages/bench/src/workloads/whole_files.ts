// Whole files: 1,000 of 16 KiB read by fs.readFile, whose interface is that of node:fs/promises on
// both sides; and 1,000 of 4 KiB, which ours opens, reads and closes by one chain.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { nodeCommand, parseFigures } from "../contender.js";
import type { Case, Contender, Settings, Workload } from "../harness.js";
import { buildFolder } from "../native_build.js";
import { runProcess } from "../processes.js";

const contenders = { ours: "ours", "node:fs": "node" };
const chained = { ours: "chain", "ours on epoll": "chain_epoll", "node:fs": "node" };

function contendersFor(
  names: Record<string, string>,
  folder: string,
  inFlight: number,
): Contender[] {
  return Object.entries(names).map(([name, who]) => ({
    name,
    measure: async ({ durationSeconds }: Settings) => {
      const command = nodeCommand("whole_files", who, folder, inFlight, durationSeconds);
      const timeoutSeconds = 60 + 8 * durationSeconds;
      return parseFigures(await runProcess(command, { timeoutSeconds }));
    },
  }));
}

function writeFiles(folder: string, count: number, sizeBytes: number): void {
  mkdirSync(folder);
  const bytes = Buffer.alloc(sizeBytes);
  for (let index = 0; index < count; index++) {
    writeFileSync(`${folder}/${index}`, bytes.fill(index));
  }
}

function casesIn(folder: string, small: boolean): Case[] {
  const [read, short] = [`${folder}/read`, `${folder}/short`];
  const files = small ? 100 : 1000;
  writeFiles(read, files, 16 * 1024);
  writeFiles(short, files, 4096);
  const inFlight = { "one at a time": 1, "32 at a time": 32, "all at once": files };
  const whole = Object.entries(inFlight).map(([name, count]) => ({
    name,
    better: "higher" as const,
    contenders: contendersFor(contenders, read, count),
  }));
  const byChain = Object.entries(inFlight).map(([name, count]) => ({
    name: `4 KiB by a chain, ${name}`,
    better: "higher" as const,
    contenders: contendersFor(chained, short, count),
  }));
  return [...whole, ...byChain];
}

export const wholeFiles: Workload = {
  name: "whole_files",
  async prepare({ small }: Settings) {
    mkdirSync(buildFolder, { recursive: true });
    const folder = mkdtempSync(`${buildFolder}/whole-files-`);
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
