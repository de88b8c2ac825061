// Receiving into provided memory: an echo against our own single receive, one-way streaming against
// node:net, what idle connections hold, and what a message leaves behind.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { contenderPath, nodeCommand, parseFigures } from "../contender.js";
import type { Case, Contender, Figures, Settings, Workload } from "../harness.js";
import { type Built, buildFolder, buildNative } from "../native_build.js";
import { Running, runProcess, startServer } from "../processes.js";
import type { Totals } from "../traffic_meter.js";
import { runLoad } from "./echo.js";

const messageBytes = 64 * 1024;

/** What runs, and the name that it has in the report. */
type Program = Omit<Contender, "measure"> & {
  name: string;
  script: string;
  how: string;
  /** Of the buffer that `onread` uses again, when it is not that of a message. */
  bufferBytes?: number;
};

function withNative(names: Omit<Contender, "measure">, native: Built): Omit<Contender, "measure"> {
  return { ...names, ...("unavailable" in native ? native : {}) };
}

function pathOf(native: Built): string {
  return "path" in native ? native.path : "";
}

// ---- echo

function echoCase(connections: number, how: "callback" | "promise", load: Built): Case {
  const programs: [name: string, script: string][] = [
    ["ours", "echo_provided"],
    ["single receive", "echo_ours"],
  ];
  const contenders = programs.map(
    ([name, script]): Contender => ({
      ...withNative({ name }, load),
      async measure(settings) {
        const timeoutSeconds = 60 + 8 * settings.durationSeconds;
        const command = nodeCommand(script, how);
        const { server, port } = await startServer(command, { timeoutSeconds });
        try {
          const shape = { connections, messageBytes: 128 };
          return await runLoad(pathOf(load), server, port, shape, settings);
        } finally {
          await server.stop();
        }
      },
    }),
  );
  return { name: `echo ${connections} x 128 B, ${how}s`, better: "higher", contenders };
}

// ---- streaming

interface Receiver {
  /** Starts it, when the load generator has a port. */
  start(port: string): Running;
  /** The generator begins to count, and has ended. */
  tell(line: "start" | "stop", program: Running): void;
  /** Settles when it may be stopped. */
  done?: Promise<void>;
}

async function pourInto(
  pour: string,
  connections: number,
  { start, tell, done }: Receiver,
  { durationSeconds }: Settings,
): Promise<Figures> {
  let program: Running | undefined;
  const numbers = [connections, messageBytes, durationSeconds / 2, durationSeconds].map(String);
  const generator = new Running([pour, ...numbers], {
    core: "load",
    timeoutSeconds: 30 + 8 * durationSeconds,
    onLine: (line) => {
      if (program === undefined) program = start(line);
      else if (line === "start" || line === "stop") tell(line, program);
    },
  });
  try {
    const figures = parseFigures(await generator.ended);
    if (done !== undefined) await Promise.race([done, program?.ended]);
    return figures;
  } finally {
    await program?.stop();
  }
}

function streamPrograms(): Program[] {
  const node = { name: "node:net", script: "stream_node" };
  const ours = { name: "ours", script: "stream_ours" };
  return [
    { ...ours, how: "callback" },
    { ...ours, name: "ours promise", how: "promise" },
    { ...ours, name: "ours single receive", how: "single" },
    { ...node, variant: "data", how: "data" },
    { ...node, variant: "onread", how: "onread" },
    { ...node, variant: "onread, 256 KiB", how: "onread", bufferBytes: 256 * 1024 },
  ];
}

function streamCase(connections: number, pour: Built): Case {
  const contenders = streamPrograms().map(
    ({ script, how, bufferBytes = messageBytes, ...names }): Contender => ({
      ...withNative(names, pour),
      async measure(settings) {
        let startNs = 0;
        let usedNs = 0;
        const timeoutSeconds = 60 + 8 * settings.durationSeconds;
        const receiver: Receiver = {
          start: (port) => {
            const command = nodeCommand(script, how, port, connections, bufferBytes);
            return new Running(command, { timeoutSeconds });
          },
          tell: (line, program) => {
            if (line === "start") startNs = program.usedNs();
            else usedNs = program.usedNs() - startNs;
          },
        };
        const figures = await pourInto(pathOf(pour), connections, receiver, settings);
        const rate = figures["MB/s"] ?? 0;
        const gigabytes = (rate * settings.durationSeconds) / 1e3;
        return { "MB/s": rate, "seconds/GB": usedNs / 1e9 / gigabytes };
      },
    }),
  );
  return { name: `stream ${connections} x 64 KiB`, better: "higher", contenders };
}

// ---- bytes allocated and copied for a megabyte

function perMegabyte(first: Totals, last: Totals): Figures {
  const megabytes = (last.received - first.received) / 1e6;
  const per = (name: keyof Totals): number => (last[name] - first[name]) / megabytes;
  return {
    "bytes allocated/MB": per("allocated") + per("heap"),
    "of that on the heap of JavaScript/MB": per("heap"),
    "bytes copied/MB": per("copied"),
  };
}

function signalled(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

async function meter(
  pour: string,
  library: string,
  { script, how }: Program,
  settings: Settings,
): Promise<Figures> {
  const file = `${buildFolder}/meter.${process.pid}`;
  mkdirSync(buildFolder, { recursive: true });
  writeFileSync(file, new Uint8Array(16));
  const reported: Totals[] = [];
  const connections = 4;
  // Two signals that wait at the same time are one, so the second waits for the first answer.
  const answers = [signalled(), signalled()];
  const receiver: Receiver = {
    start: (port) =>
      new Running(nodeCommand(script, how, port, connections), {
        timeoutSeconds: 60 + 8 * settings.durationSeconds,
        environment: { LD_PRELOAD: library, METER_FILE: file },
        onLine: (line) => answers[reported.push(JSON.parse(line) as Totals) - 1]?.resolve(),
      }),
    tell: (line, program) => {
      const ask = (): boolean => process.kill(program.processId, "SIGUSR2");
      if (line === "start") ask();
      else void answers[0]?.promise.then(ask);
    },
    done: answers[1]?.promise ?? Promise.resolve(),
  };
  try {
    await pourInto(pour, connections, receiver, settings);
  } finally {
    rmSync(file, { force: true });
  }
  const [first, last] = [reported[0], reported.at(-1)];
  if (first === undefined || last === undefined || reported.length < 2) {
    throw new Error(`${script} ${how} did not print its totals twice`);
  }
  return perMegabyte(first, last);
}

function bytesCase(pour: Built, library: Built): Case {
  const contenders = streamPrograms()
    .filter(({ how, bufferBytes }) => how !== "callback" && bufferBytes === undefined)
    .map((program): Contender => {
      const { variant, how } = program;
      const name = how === "promise" ? "ours" : program.name;
      const names = variant === undefined ? { name } : { name, variant };
      return {
        ...withNative(withNative(names, pour), library),
        measure: (settings) => {
          // Less would be over before the first answer, or be mostly the work of V8's compiler.
          const durationSeconds = Math.max(settings.small ? 0.5 : 4, settings.durationSeconds);
          const longer = { ...settings, durationSeconds };
          return meter(pathOf(pour), pathOf(library), program, longer);
        },
      };
    });
  return { name: "bytes of a stream", better: "lower", contenders };
}

// ---- memory

/** As many as the limit of open files allows, with some to spare. */
function connectionsOf(wanted: number): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  return limit === null ? wanted : Math.min(wanted, Number(limit[1]) - 100);
}

function idleCase(small: boolean): Case {
  const connections = small ? 200 : connectionsOf(10_000);
  const programs = { ours: "provided", "ours single receive": "single", "node:net": "node" };
  const contenders = Object.entries(programs).map(
    ([name, how]): Contender => ({
      name,
      async measure() {
        const command = [process.execPath, "--expose-gc", contenderPath("idle"), how];
        const output = await runProcess([...command, `${connections}`], { timeoutSeconds: 120 });
        return parseFigures(output);
      },
    }),
  );
  return { name: `idle ${connections}`, better: "lower", contenders };
}

function heapCase(small: boolean): Case {
  const messages = small ? 2_000 : 300_000;
  const programs = { ours: "callback", "ours promise": "promise" };
  const contenders = Object.entries(programs).map(
    ([name, how]): Contender => ({
      name,
      async measure() {
        const command = [process.execPath, "--expose-gc", contenderPath("heap_provided"), how];
        const output = await runProcess([...command, `${messages}`], { timeoutSeconds: 240 });
        return parseFigures(output);
      },
    }),
  );
  return { name: `heap after ${messages} messages`, better: "lower", contenders };
}

export const provided: Workload = {
  name: "provided",
  async prepare({ small }: Settings) {
    const load = await buildNative("load");
    const pour = await buildNative("pour");
    const library = await buildNative("meter");
    const cases = [
      echoCase(50, "callback", load),
      echoCase(500, "callback", load),
      ...(small ? [] : [echoCase(50, "promise", load), echoCase(500, "promise", load)]),
      streamCase(1, pour),
      streamCase(16, pour),
      bytesCase(pour, library),
      idleCase(small),
      heapCase(small),
    ];
    return { cases, dispose: () => undefined };
  },
};
