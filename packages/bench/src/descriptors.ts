// As many descriptors as a workload needs, where that can be had.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { findProgram } from "./processes.js";

/** How many a process may have that is started now. */
export function descriptorLimit(): number {
  const limit = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  return limit === null ? Number.POSITIVE_INFINITY : Number(limit[1]);
}

/** What a program is started with to have so many; undefined when it cannot. */
export function withDescriptors(count: number): string[] | undefined {
  if (count <= descriptorLimit()) return [];
  if (!findProgram("prlimit")) return undefined;
  const prefix = ["prlimit", `--nofile=${count}:${count}`, "--"];
  const [program = "", ...rest] = [...prefix, process.execPath, "--version"];
  return spawnSync(program, rest).status === 0 ? prefix : undefined;
}
