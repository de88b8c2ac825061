// Datagrams that a socket receives in a second, over loopback.

import { nodeCommand, parseFigures } from "../contender.js";
import type { Contender, Settings, Workload } from "../harness.js";
import { runProcess } from "../processes.js";

function contender(name: string, mode: string, sizeBytes: number): Contender {
  return {
    name,
    async measure({ durationSeconds }: Settings) {
      const command = nodeCommand("udp_receive", mode, sizeBytes, durationSeconds);
      return parseFigures(await runProcess(command, { timeoutSeconds: 30 + 4 * durationSeconds }));
    },
  };
}

export const udpReceive: Workload = {
  name: "udp_receive",
  async prepare() {
    const cases = [1200, 200].map((sizeBytes) => ({
      name: `${sizeBytes} B`,
      better: "higher" as const,
      contenders: [
        contender("ours", "joined", sizeBytes),
        contender("ours chunks", "chunks", sizeBytes),
        contender("node:dgram", "dgram", sizeBytes),
      ],
    }));
    return { cases, dispose: () => undefined };
  },
};
