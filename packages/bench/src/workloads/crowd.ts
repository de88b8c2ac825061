// What many connections cost that are there: memory for each that waits, and the processor time of
// what is done beside them and with them. None of it may depend on how many there are.
//
// The figures are processor time of the server alone, so that the pace of the other ends, which are
// a process of their own, is no part of them.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { contenderPath, parseFigures } from "../contender.js";
import type { Case, Contender, Settings, Workload } from "../harness.js";
import { findProgram, runProcess } from "../processes.js";

const sizes = [10, 1_000, 10_000, 100_000];
const smallSizes = [10, 200];
/** Of files and pipes of the process itself. */
const sparedDescriptors = 100;

const contenders = { ours: "io_uring", "ours on epoll": "epoll", "node:net": "node" };

function descriptorLimit(): number {
  const limit = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  return limit === null ? Number.POSITIVE_INFINITY : Number(limit[1]);
}

/** What a program is started with to have so many descriptors; undefined when it cannot. */
function withDescriptors(count: number): string[] | undefined {
  if (count <= descriptorLimit()) return [];
  if (!findProgram("prlimit")) return undefined;
  const prefix = ["prlimit", `--nofile=${count}:${count}`, "--"];
  const [program = "", ...rest] = [...prefix, process.execPath, "--version"];
  return spawnSync(program, rest).status === 0 ? prefix : undefined;
}

/** As many as wanted, or as the limit of open files allows. */
function crowdCase(wanted: number): Case {
  const prefix = withDescriptors(wanted + sparedDescriptors);
  const connections = prefix === undefined ? descriptorLimit() - sparedDescriptors : wanted;
  const programs = Object.entries(contenders).map(
    ([name, how]): Contender => ({
      name,
      async measure({ durationSeconds }: Settings) {
        const command = [process.execPath, "--expose-gc", contenderPath("crowd"), how];
        const output = await runProcess(
          [...(prefix ?? []), ...command, `${connections}`, `${durationSeconds}`],
          { timeoutSeconds: 120 + connections / 200 + 8 * durationSeconds },
        );
        return parseFigures(output);
      },
    }),
  );
  const comparisons = [{ of: "ours on epoll", to: ["node:net"] }];
  return { name: `beside ${connections}`, better: "lower", contenders: programs, comparisons };
}

export const crowd: Workload = {
  name: "crowd",
  async prepare({ small }: Settings) {
    return { cases: (small ? smallSizes : sizes).map(crowdCase), dispose: () => undefined };
  },
};
