// Many small sends at once on one connection over loopback, as a program makes them that answers a
// pipeline of requests. The workload compares how they are combined on their way to the kernel.
//
// A receiver on the other core takes the bytes and throws them away. With the longest messages its
// pace is most of the figure, so each row is followed by the processor time of the sender. Nagle's
// algorithm is off for all.

import { findBun } from "../bun.js";
import { contenderPath, nodeCommand, parseFigures } from "../contender.js";
import type { Case, Contender, Settings, Workload } from "../harness.js";
import { type Built, buildNative } from "../native_build.js";
import { runProcess, startServer } from "../processes.js";

const inFlight = 64;
const sizes = { "64 B": 64, "1 KiB": 1024, "16 KiB": 16 * 1024, "64 KiB": 64 * 1024 };

const comparisons = ["ours promise", "ours on epoll", "ours promise on epoll"].map((of) => ({
  of,
  to: ["node:net"],
}));

/** How a contender is started: the numbers go between the words. */
type Sender = Omit<Contender, "measure"> & {
  command: (...numbers: (string | number)[]) => string[];
};

function ours(name: string, mode: string, ...backend: string[]): Sender {
  return {
    name,
    command: (...numbers) => nodeCommand("pipeline_ours", mode, ...numbers, ...backend),
  };
}

function senders(c: Built): Sender[] {
  const bun = findBun();
  const bunPath = "path" in bun ? bun.path : "";
  const noBun = "unavailable" in bun ? bun : {};
  const node = (variant: string, mode: string): Sender => ({
    name: "node:net",
    variant,
    command: (...numbers) => nodeCommand("pipeline_node", mode, ...numbers),
  });
  const onBun = (variant: string, program: string, mode: string): Sender => ({
    name: "Bun",
    variant,
    ...noBun,
    command: (...numbers) => [bunPath, contenderPath(program), mode, ...numbers.map(String)],
  });
  const inC = (way: string): Sender => ({
    name: "C",
    variant: way,
    ...("unavailable" in c ? c : {}),
    command: (port, sizeBytes, ...rest) =>
      ["path" in c ? c.path : "", port, sizeBytes, way, ...rest].map(String),
  });
  return [
    ours("ours", "callback"),
    ours("ours promise", "promise"),
    ours("ours on epoll", "callback", "epoll"),
    ours("ours promise on epoll", "promise", "epoll"),
    node("write", "write"),
    node("cork", "cork"),
    onBun("Bun.connect", "pipeline_bun", "write"),
    onBun("Bun.connect, copied together", "pipeline_bun", "together"),
    onBun("node:net, write", "pipeline_node", "write"),
    onBun("node:net, cork", "pipeline_node", "cork"),
    inC("linked"),
    inC("gathered"),
  ];
}

function contender(sender: Sender, sizeBytes: number, receiver: Built): Contender {
  const { command, ...names } = sender;
  return {
    ...names,
    ...("unavailable" in receiver ? receiver : {}),
    async measure({ durationSeconds }: Settings) {
      const path = "path" in receiver ? receiver.path : "";
      const timeoutSeconds = 60 + 4 * durationSeconds;
      const receiving = { core: "load", timeoutSeconds } as const;
      const { server, port } = await startServer([path, "tcp"], receiving);
      try {
        const words = command(port, sizeBytes, inFlight, durationSeconds);
        return parseFigures(await runProcess(words, { timeoutSeconds }));
      } finally {
        await server.stop();
      }
    },
  };
}

export const pipeline: Workload = {
  name: "pipeline",
  async prepare() {
    const receiver = await buildNative("receive");
    const all = senders(await buildNative("pipeline"));
    const cases = Object.entries(sizes).map(([size, sizeBytes]): Case => {
      const contenders = all.map((sender) => contender(sender, sizeBytes, receiver));
      return { name: `${inFlight} x ${size}`, better: "higher", contenders, comparisons };
    });
    return { cases, dispose: () => undefined };
  },
};
