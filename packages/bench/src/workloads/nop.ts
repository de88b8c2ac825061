// How many operations that do nothing complete in a second: the cost of the library itself.
//
// The limit is a loop in C on liburing. Both cases are compared with it, although only the first
// does the same work: the ratio shows the cost of a promise.

import { nodeCommand, parseFigures } from "../contender.js";
import type { Case, Contender, Settings, Workload } from "../harness.js";
import { buildNative } from "../native_build.js";
import { runProcess } from "../processes.js";

const inFlight = 64;

function ours(mode: "callback" | "promise" | "heap", nodeOptions: string[] = []): Contender {
  return {
    name: "ours",
    async measure({ durationSeconds }: Settings) {
      const [node = "", ...rest] = nodeCommand("nop_ours", mode, inFlight, durationSeconds);
      const timeoutSeconds = 30 + 4 * durationSeconds;
      return parseFigures(await runProcess([node, ...nodeOptions, ...rest], { timeoutSeconds }));
    },
  };
}

async function cLoop(): Promise<Contender> {
  const built = await buildNative("nop");
  const path = "path" in built ? built.path : "";
  return {
    name: "C loop",
    ...("unavailable" in built ? built : {}),
    async measure({ durationSeconds }: Settings) {
      const command = [path, `${inFlight}`, `${durationSeconds}`];
      return parseFigures(await runProcess(command, { timeoutSeconds: 30 + 4 * durationSeconds }));
    },
  };
}

/** Room for all that is allocated, so that no collection hides it before it is counted. */
const heapOptions = ["--expose-gc", "--min-semi-space-size=64", "--max-semi-space-size=64"];

export const nop: Workload = {
  name: "nop",
  async prepare() {
    const limit = await cLoop();
    const cases: Case[] = [
      { name: "callback 64", better: "higher", contenders: [ours("callback"), limit] },
      { name: "promise 64", better: "higher", contenders: [ours("promise"), limit] },
      { name: "callback 64 heap", better: "lower", contenders: [ours("heap", heapOptions)] },
    ];
    return { cases, dispose: () => undefined };
  },
};
