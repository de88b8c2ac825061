// What it takes to wake another thread: the half of a round trip between two threads.

import { nodeCommand, parseFigures } from "../contender.js";
import type { Contender, Settings, Workload } from "../harness.js";
import { runProcess } from "../processes.js";

function contender(name: string, mode: string): Contender {
  return {
    name,
    async measure({ durationSeconds }: Settings) {
      const command = nodeCommand("wake", mode, durationSeconds);
      return parseFigures(await runProcess(command, { timeoutSeconds: 30 + 4 * durationSeconds }));
    },
  };
}

export const wake: Workload = {
  name: "wake",
  async prepare() {
    const port = contender("MessagePort", "port");
    const promise = { ...contender("ours", "promise"), name: "ours promise" };
    const attached = [contender("ours", "callback"), promise, port];
    const detached = [contender("ours", "detached"), port];
    return {
      cases: [
        { name: "attached", better: "lower", contenders: attached },
        { name: "detached", better: "lower", contenders: detached },
      ],
      dispose: () => undefined,
    };
  },
};
