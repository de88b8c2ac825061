// What a thousand timers cost that are in flight at once, and start again when they have rung.

import { nodeCommand, parseFigures } from "../contender.js";
import type { Contender, Settings, Workload } from "../harness.js";
import { runProcess } from "../processes.js";

function contender(name: string, mode: string, count: number, backend?: string): Contender {
  const rest = backend === undefined ? [] : [backend];
  return {
    name,
    async measure({ durationSeconds }: Settings) {
      const command = nodeCommand("timers", mode, count, durationSeconds, ...rest);
      return parseFigures(await runProcess(command, { timeoutSeconds: 30 + 4 * durationSeconds }));
    },
  };
}

export const timers: Workload = {
  name: "timers",
  async prepare() {
    const of = (count: number): Contender[] => [
      contender("ours", "callback", count),
      contender("ours on epoll", "callback", count, "epoll"),
      contender("setTimeout", "node", count),
    ];
    const promises = [
      contender("ours", "promise", 1000),
      contender("ours on epoll", "promise", 1000, "epoll"),
      contender("node:timers/promises", "node_promise", 1000),
    ];
    return {
      cases: [
        { name: "1000 timers", better: "lower", contenders: of(1000) },
        { name: "1000 timers, promises", better: "lower", contenders: promises },
        { name: "10 timers", better: "lower", contenders: of(10) },
      ],
      dispose: () => undefined,
    };
  },
};
