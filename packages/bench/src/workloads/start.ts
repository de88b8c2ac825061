// From the start of a process to its end: one that opens an IO and closes it, and one that imports
// node:http, as a server without this library would do.

import { contenderPath, nodeCommand, parseFigures } from "../contender.js";
import type { Contender, Settings, Workload } from "../harness.js";
import { runProcess } from "../processes.js";

/** Starts in one measurement, of which the median is the figure. */
const starts = 7;

function contender(name: string, program: string): Contender {
  return {
    name,
    async measure({ small }: Settings) {
      const command = nodeCommand("start", contenderPath(program), small ? 1 : starts);
      return parseFigures(await runProcess(command, { timeoutSeconds: 60 }));
    },
  };
}

export const start: Workload = {
  name: "start",
  async prepare() {
    const contenders = [contender("ours", "start_ours"), contender("node:http", "start_http")];
    return { cases: [{ name: "start", better: "lower", contenders }], dispose: () => undefined };
  },
};
