// The end of a Worker that is killed with 1,000 operations in flight: the longest of fifty, in
// milliseconds, on each backend. It has to be well below a second, and nothing may be left behind.

import { probe } from "@io/core";
import { nodeCommand, parseFigures } from "../contender.js";
import type { Contender, Settings, Workload } from "../harness.js";
import { runProcess } from "../processes.js";

const rounds = 50;
const roundsOfSmall = 3;

function contender(name: string, backend: string): Contender {
  const found = probe().candidates.find((candidate) => candidate.name === backend);
  const reason = found?.reason ?? "this build has no such candidate";
  return {
    name,
    ...(found?.available ? {} : { unavailable: reason }),
    async measure({ small }: Settings) {
      const command = nodeCommand("kill_ours", backend, small ? roundsOfSmall : rounds);
      return parseFigures(await runProcess(command, { timeoutSeconds: 120 }));
    },
  };
}

export const kill: Workload = {
  name: "kill",
  async prepare() {
    const contenders = [
      contender("ours", "io_uring"),
      contender("ours on epoll", "epoll"),
      contender("ours on kqueue", "kqueue"),
    ];
    return { cases: [{ name: "kill", better: "lower", contenders }], dispose: () => undefined };
  },
};
