// The cost of many connections: memory for each that waits, and the processor time of other work,
// with them and without. Neither may depend on how many connections there are.
//
// The figures are processor time of the server alone, so that the pace of the other ends, which are
// a process of their own, is no part of them.
//
// A kernel needs longer for a send where there are many sockets, since their data is not in a
// cache. So a loop in C makes the same sends, on as many unix sockets.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contenderPath, nodeCommand, parseFigures } from "../contender.js";
import { descriptorLimit, withDescriptors } from "../descriptors.js";
import type { Case, Contender, Figures, Settings, Workload } from "../harness.js";
import { type Built, buildNative } from "../native_build.js";
import { Running, runProcess } from "../processes.js";

const sizes = [10, 1_000, 10_000, 100_000];
const smallSizes = [10, 200];
const unixSizes = [10, 100, 1_000, 1_900];
const smallUnixSizes = [10, 50];
/** Of files and pipes of the process itself. */
const sparedDescriptors = 100;

const contenders = { ours: "io_uring", "ours on epoll": "epoll", "node:net": "node" };

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
