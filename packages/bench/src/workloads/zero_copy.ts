// Sends of many sizes, plainly, without a copy, and as "auto" decides: to a sink that copies
// nothing, where sparing the copy pays, and over loopback, where the kernel copies anyway, so
// that "auto" can only cost nothing.
//
// Each send in flight has memory of its own, and is made again when that memory is free.

import { nodeCommand, parseFigures } from "../contender.js";
import type { Case, Contender, Figures, Settings, Workload } from "../harness.js";
import { type Built, buildNative } from "../native_build.js";
import { runProcess, startServer } from "../processes.js";
import { besideSink, sinkAddress, whyNoSink } from "../sink.js";

const usualInFlight = 64;
/**
 * With the longest datagrams: 15 MB, which no second-level cache has room for, and 61 MB, which
 * come from main memory, as what is sent once does.
 */
const manyInFlight = [256, 1024];
const sinkSizes = [64, 1024, 4000, 8000, 16_000, 32_000, 60_000];
const loopbackSizes = [64, 4000, 16_000, 60_000];
const smallSizes = [64, 60_000];

const discardPort = 9;

/** What is sent, by the name of a contender. "ours" is "auto". */
const ways: Record<string, [mode: string, memory: string]> = {
  ours: ["auto", "registered"],
  "ours unregistered": ["auto", "unregistered"],
  "ours never": ["never", "registered"],
  "ours never unregistered": ["never", "unregistered"],
  "ours always": ["always", "registered"],
  "ours always unregistered": ["always", "unregistered"],
};
const cWays = { "C plain": "plain", C: "registered", "C unregistered": "unregistered" };

const comparisons = [
  { of: "ours always", to: ["ours never"] },
  { of: "ours always unregistered", to: ["ours never unregistered"] },
  { of: "ours", to: ["ours never", "ours always"] },
  { of: "ours unregistered", to: ["ours never unregistered", "ours always unregistered"] },
];

function run(command: readonly string[], { durationSeconds }: Settings): Promise<string> {
  return runProcess(command, { timeoutSeconds: 60 + 4 * durationSeconds });
}

interface Shape {
  sizeBytes: number;
  inFlight: number;
}

function sinkCase(shape: Shape, c: Built, unavailable: string | undefined): Case {
  const { sizeBytes, inFlight } = shape;
  const missing = unavailable === undefined ? {} : { unavailable };
  const ours = Object.entries(ways).map(
    ([name, [mode, memory]]): Contender => ({
      name,
      ...missing,
      measure: async (settings) => {
        const numbers = [inFlight, settings.durationSeconds];
        const sends = ["udp", sinkAddress, discardPort, sizeBytes, mode, memory, ...numbers];
        const command = besideSink(nodeCommand("zero_copy_ours", ...sends));
        return parseFigures(await run(command, settings));
      },
    }),
  );
  const inC = Object.entries(cWays).map(
    ([name, way]): Contender => ({
      name,
      ...("unavailable" in c ? c : missing),
      measure: async (settings) => {
        const numbers = [sinkAddress, discardPort, sizeBytes, way, inFlight];
        const words = [...numbers, settings.durationSeconds].map(String);
        const command = besideSink(["path" in c ? c.path : "", ...words]);
        return parseFigures(await run(command, settings));
      },
    }),
  );
  const many = inFlight === usualInFlight ? "" : `, ${inFlight} in flight`;
  const name = `UDP to the sink, ${sizeBytes} B${many}`;
  return { name, better: "higher", contenders: [...ours, ...inC], comparisons };
}

async function overLoopback(
  kind: string,
  receiver: string,
  words: (string | number)[],
  settings: Settings,
): Promise<Figures> {
  const timeoutSeconds = 60 + 4 * settings.durationSeconds;
  const { server, port } = await startServer([receiver, kind], { core: "load", timeoutSeconds });
  try {
    const numbers = [usualInFlight, settings.durationSeconds];
    const command = nodeCommand("zero_copy_ours", kind, "127.0.0.1", port, ...words, ...numbers);
    return parseFigures(await run(command, settings));
  } finally {
    await server.stop();
  }
}

function loopbackCase(kind: string, sizeBytes: number, receiver: Built): Case {
  const contenders = Object.entries(ways).map(
    ([name, [mode, memory]]): Contender => ({
      name,
      ...("unavailable" in receiver ? receiver : {}),
      measure: (settings) => {
        const path = "path" in receiver ? receiver.path : "";
        return overLoopback(kind, path, [sizeBytes, mode, memory], settings);
      },
    }),
  );
  const name = `${kind.toUpperCase()} over loopback, ${sizeBytes} B`;
  return { name, better: "higher", contenders, comparisons };
}

export const zeroCopy: Workload = {
  name: "zero_copy",
  async prepare({ small }: Settings) {
    const c = await buildNative("zero_copy");
    const receiver = await buildNative("receive");
    const unavailable = whyNoSink();
    const shapes = (small ? smallSizes : sinkSizes).map((sizeBytes): Shape => {
      return { sizeBytes, inFlight: usualInFlight };
    });
    const longest = Math.max(...sinkSizes);
    if (!small)
      shapes.push(...manyInFlight.map((count) => ({ sizeBytes: longest, inFlight: count })));
    const cases = [
      ...shapes.map((shape) => sinkCase(shape, c, unavailable)),
      ...["udp", "tcp"].flatMap((kind) =>
        (small ? smallSizes : loopbackSizes).map((size) => loopbackCase(kind, size, receiver)),
      ),
    ];
    return { cases, dispose: () => undefined };
  },
};
