// A TCP echo server on loopback, at several numbers of connections and message sizes.
//
// The server has one core and the load generator another. The generator does about the work of the
// server in C, so the fastest servers are held back by it. For that reason every row of messages
// is followed by the processor time that the server used for a message, where nothing hides.

import { findBun } from "../bun.js";
import { contenderPath, nodeCommand, parseFigures } from "../contender.js";
import type { Case, Contender, Figures, Settings, Workload } from "../harness.js";
import { type Built, buildNative } from "../native_build.js";
import { Running, startServer } from "../processes.js";

interface Shape {
  readonly connections: number;
  readonly messageBytes: number;
  /** How messages go; as they are when nothing is named. */
  readonly protocol?: "websocket";
}

const shapes: Shape[] = [1, 50, 500].flatMap((connections) =>
  [128, 4096].map((messageBytes) => ({ connections, messageBytes })),
);

/** Every number of connections and every size, but not every pair of them. */
const smallShapes: Shape[] = [
  { connections: 1, messageBytes: 128 },
  { connections: 50, messageBytes: 4096 },
  { connections: 500, messageBytes: 128 },
];

/** The server's processor time is read when the generator says that it counts, and at the end. */
export async function runLoad(
  load: string,
  server: Running,
  port: number,
  { connections, messageBytes, protocol }: Shape,
  { durationSeconds }: Settings,
): Promise<Figures> {
  const warmUpSeconds = durationSeconds / 2;
  const numbers = [port, connections, messageBytes, warmUpSeconds, durationSeconds].map(String);
  let startNs = 0;
  let usedNs = 0;
  const words = protocol === undefined ? numbers : [...numbers, protocol];
  const generator = new Running([load, ...words], {
    core: "load",
    timeoutSeconds: 20 + 4 * durationSeconds,
    onLine: (line) => {
      if (line === "start") startNs = server.usedNs();
      if (line === "stop") usedNs = server.usedNs() - startNs;
    },
  });
  const figures = parseFigures(await generator.ended);
  const messages = (figures["messages/s"] ?? 0) * durationSeconds;
  return { ...figures, "server microseconds/message": usedNs / 1e3 / messages };
}

type Server = Omit<Contender, "measure"> & { command: string[] };

/** An echo server, and the load that asks it. */
export function echoContender(server: Server, load: Built, shape: Shape): Contender {
  const { command, ...names } = server;
  const path = "path" in load ? load.path : "";
  return {
    ...names,
    ...("unavailable" in load ? load : {}),
    async measure(settings: Settings) {
      const timeoutSeconds = 60 + 8 * settings.durationSeconds;
      const { server: running, port } = await startServer(command, { timeoutSeconds });
      try {
        return await runLoad(path, running, port, shape, settings);
      } finally {
        await running.stop();
      }
    },
  };
}

async function servers(): Promise<Server[]> {
  const c = await buildNative("echo");
  const bun = findBun();
  const bunPath = "path" in bun ? bun.path : "";
  const noBun = "unavailable" in bun ? bun : {};
  const bunCommand = (name: string, ...args: string[]) => [bunPath, contenderPath(name), ...args];
  const data = { name: "node:net", variant: "data and write" };
  const pipe = { name: "node:net", variant: "pipe" };
  const listen = { name: "Bun", variant: "Bun.listen" };
  const net = { name: "Bun", variant: "node:net" };
  return [
    { name: "ours", command: nodeCommand("echo_ours", "callback") },
    { name: "ours promise", command: nodeCommand("echo_ours", "promise") },
    { name: "ours on epoll", command: nodeCommand("echo_ours", "callback", "epoll") },
    { name: "ours promise on epoll", command: nodeCommand("echo_ours", "promise", "epoll") },
    { ...data, command: nodeCommand("echo_node", "data") },
    { ...pipe, command: nodeCommand("echo_node", "pipe") },
    { ...listen, ...noBun, command: bunCommand("echo_bun") },
    { ...net, ...noBun, command: bunCommand("echo_node", "data") },
    { name: "C server", command: "path" in c ? [c.path] : [], ...("path" in c ? {} : c) },
  ];
}

export const echo: Workload = {
  name: "echo",
  async prepare({ small }: Settings) {
    const load = await buildNative("load");
    const all = await servers();
    const cases = (small ? smallShapes : shapes).map((shape): Case => {
      const { connections, messageBytes } = shape;
      const name = `${connections} x ${messageBytes === 128 ? "128 B" : "4 KiB"}`;
      const contenders = all.map((server) => echoContender(server, load, shape));
      return { name, better: "higher", contenders };
    });
    return { cases, dispose: () => undefined };
  },
};
