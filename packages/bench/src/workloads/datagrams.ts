// Datagrams over loopback, received and sent: dgram of Node, and of @io/node.

import { nodeCommand, parseFigures } from "../contender.js";
import type { Case, Settings, Workload } from "../harness.js";
import { runProcess } from "../processes.js";

const sizes = [64, 1400];
const contenders = { ours: "ours", "node:dgram": "node" };

function caseOf(what: "receive" | "send", sizeBytes: number): Case {
  return {
    name: `${what} of ${sizeBytes} bytes`,
    better: "lower",
    contenders: Object.entries(contenders).map(([name, who]) => ({
      name,
      measure: async ({ durationSeconds }: Settings) => {
        const command = nodeCommand("datagrams", who, what, sizeBytes, durationSeconds);
        const timeoutSeconds = 30 + 4 * durationSeconds;
        return parseFigures(await runProcess(command, { timeoutSeconds }));
      },
    })),
  };
}

export const datagrams: Workload = {
  name: "datagrams",
  async prepare() {
    const cases = sizes.flatMap((size) => [caseOf("receive", size), caseOf("send", size)]);
    return { cases, dispose: () => undefined };
  },
};
