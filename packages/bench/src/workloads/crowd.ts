// What many connections cost that are there: memory for each that waits, and the processor time of
// what is done beside them and with them. None of it may depend on how many there are.
//
// The figures are processor time of the server alone, so that the pace of the other ends, which are
// a process of their own, is no part of them.
//
// A kernel works longer on a send where there are many sockets, since nothing of them is in a
// cache. So sends are made by a loop in C as well, on as many unix sockets.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contenderPath, nodeCommand, parseFigures } from "../contender.js";
import type { Case, Contender, Figures, Settings, Workload } from "../harness.js";
import { type Built, buildNative } from "../native_build.js";
import { findProgram, Running, runProcess } from "../processes.js";

const sizes = [10, 1_000, 10_000, 100_000];
const smallSizes = [10, 200];
const unixSizes = [10, 100, 1_000, 1_900];
const smallUnixSizes = [10, 50];
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

/** Runs what sends, while what receives has the other core. */
async function measureSends(
  program: string,
  command: (path: string) => string[],
  timeoutSeconds: number,
): Promise<Figures> {
  const folder = mkdtempSync(join(tmpdir(), "io-bench-"));
  const path = join(folder, "socket");
  let listens: () => void = () => undefined;
  const listening = new Promise<void>((resolve) => {
    listens = resolve;
  });
  const sink = new Running([program, "sink", path], {
    core: "load",
    timeoutSeconds,
    onLine: () => listens(),
  });
  try {
    await Promise.race([listening, sink.ended]);
    return parseFigures(await runProcess(command(path), { timeoutSeconds }));
  } finally {
    await sink.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function sendsCase(connections: number, native: Built): Case {
  const program = "path" in native ? native.path : "";
  const unavailable = "unavailable" in native ? native : {};
  const prefix = withDescriptors(connections + sparedDescriptors) ?? [];
  const sender = (
    name: string,
    command: (path: string, seconds: number) => string[],
  ): Contender => ({
    name,
    ...unavailable,
    measure: ({ durationSeconds }: Settings) =>
      measureSends(
        program,
        (path) => [...prefix, ...command(path, durationSeconds)],
        60 + 4 * durationSeconds,
      ),
  });
  const ours = (backend: string) => (path: string, seconds: number) =>
    nodeCommand("sends_ours", backend, path, connections, seconds);
  return {
    name: `8 sends on each of ${connections} unix sockets`,
    better: "lower",
    contenders: [
      sender("ours", ours("io_uring")),
      sender("ours on epoll", ours("epoll")),
      sender("C", (path, seconds) => [program, "send", path, `${connections}`, `${seconds}`]),
    ],
    comparisons: [{ of: "ours on epoll", to: ["C"] }],
  };
}

export const crowd: Workload = {
  name: "crowd",
  async prepare({ small }: Settings) {
    const native = await buildNative("sends");
    const cases = [
      ...(small ? smallSizes : sizes).map(crowdCase),
      ...(small ? smallUnixSizes : unixSizes).map((count) => sendsCase(count, native)),
    ];
    return { cases, dispose: () => undefined };
  },
};
