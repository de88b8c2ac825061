// HTTP at less than full load: how long an answer takes at a fixed rate, whatever the server does,
// and the memory of connections that wait for their next request.

import { readFileSync } from "node:fs";
import { parseFigures } from "../contender.js";
import { descriptorLimit, withDescriptors } from "../descriptors.js";
import type { Case, Contender, Figures, Settings, Workload } from "../harness.js";
import {
  bunServer,
  nginxServer,
  runWrk,
  type Server,
  servers,
  withServer,
} from "../http_servers.js";
import { type Built, buildNative } from "../native_build.js";
import { findProgram, Running, runProcess } from "../processes.js";
import { temporaryFolder } from "./http.js";

const idleConnections = 10_000;
const smallIdleConnections = 100;
/** Of the process itself. */
const sparedDescriptors = 100;
const rateConnections = 64;

function withLoad({ name, unavailable }: Server, load: Built): Omit<Contender, "measure"> {
  const missing = "unavailable" in load ? load.unavailable : unavailable;
  return { name, ...(missing === undefined ? {} : { unavailable: missing }) };
}

// ---- latency

/** Half of what a server answers at most: the machine decides it, when it is first asked for. */
function halfOfPeak(server: Server): (settings: Settings) => Promise<number> {
  let rate: Promise<number> | undefined;
  const measure = (settings: Settings): Promise<number> =>
    withServer(server, [], settings, async (running, port) => {
      const load = { connections: rateConnections };
      const figures = await runWrk(running, port, load, settings);
      return Math.round((figures["requests/s"] ?? 0) / 2);
    });
  return (settings) => {
    rate ??= measure(settings);
    return rate;
  };
}

export function latencyCase(of: Server, those: readonly Server[], load: Built): Case {
  const program = "path" in load ? load.path : "";
  const rateOf = halfOfPeak(of);
  const cannot = findProgram("wrk") === undefined ? "wrk is not installed" : of.unavailable;
  const contenders = those.map(
    (server): Contender => ({
      ...withLoad(server, load),
      ...(cannot === undefined ? {} : { unavailable: cannot }),
      async measure(settings) {
        const rate = await rateOf(settings);
        const { durationSeconds: seconds } = settings;
        return await withServer(server, [], settings, async (running, port) => {
          // A server whose code is not compiled yet builds a queue that a short run never sees the
          // end of: each is asked by wrk first, whose figures are not of use here.
          await runWrk(running, port, { connections: rateConnections }, settings);
          const numbers = [port, rateConnections, rate, seconds / 2, seconds].map(String);
          const options = { core: "load", timeoutSeconds: 60 + 8 * seconds } as const;
          return parseFigures(await runProcess([program, ...numbers], options));
        });
      },
    }),
  );
  return { name: `latency at half of ${of.name}'s peak`, better: "lower", contenders };
}

// ---- memory

function residentBytes(processId: number): number {
  const text = readFileSync(`/proc/${processId}/status`, "utf8");
  return 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN);
}

async function measureIdle(
  program: string,
  prefix: readonly string[],
  server: Running,
  port: number,
  connections: number,
): Promise<Figures> {
  const before = residentBytes(server.processId);
  let waits: () => void = () => undefined;
  const idle = new Promise<void>((resolve) => {
    waits = resolve;
  });
  const clients = new Running([...prefix, program, String(port), String(connections)], {
    core: "load",
    timeoutSeconds: 120,
    onLine: () => waits(),
  });
  try {
    await Promise.race([idle, clients.ended]);
    return { "KiB/connection": (residentBytes(server.processId) - before) / 1024 / connections };
  } finally {
    await clients.stop();
  }
}

export function idleCase(wanted: number, those: readonly Server[], load: Built): Case {
  const program = "path" in load ? load.path : "";
  const prefix = withDescriptors(wanted + sparedDescriptors);
  const count = prefix === undefined ? descriptorLimit() - sparedDescriptors : wanted;
  const contenders = those.map(
    (server): Contender => ({
      ...withLoad(server, load),
      measure: (settings) =>
        withServer(server, prefix ?? [], settings, (running, port) =>
          measureIdle(program, prefix ?? [], running, port, count),
        ),
    }),
  );
  return { name: `${count} idle connections`, better: "lower", contenders };
}

export const httpWaiting: Workload = {
  name: "http_waiting",
  async prepare({ small }: Settings) {
    const { folder, dispose } = temporaryFolder();
    const load = await buildNative("rate");
    const all = [...servers("plain"), nginxServer(folder)];
    const named = (...names: string[]): Server[] => all.filter(({ name }) => names.includes(name));
    const [node] = named("node:http");
    const fast = named("ours", "ours by fetch", "ours on epoll", "Bun.serve", "nginx");
    const cases = [
      latencyCase(node!, all, load),
      latencyCase(bunServer("plain"), fast, load),
      idleCase(small ? smallIdleConnections : idleConnections, all, load),
    ];
    return { cases, dispose };
  },
};
