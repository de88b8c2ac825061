// The cost of "auto" beside the better of its two ways, at 24 sizes: datagrams to a sink that
// copies nothing and streams over loopback, from registered memory and from other memory, with
// little memory in flight, which stays in the cache, and with much.

import { nodeCommand, parseFigures } from "../contender.js";
import type { Case, Figures, Settings, Workload } from "../harness.js";
import { type Built, buildNative } from "../native_build.js";
import { runProcess, startServer } from "../processes.js";
import { besideSink, sinkAddress, whyNoSink } from "../sink.js";

const sizes = [
  [64, 512, 1024, 1500, 2048, 3000, 4000, 5120],
  [6000, 7168, 8192, 10_000, 12_000, 14_000, 16_000, 16_384],
  [20_000, 24_000, 28_000, 32_000, 36_000, 44_000, 52_000, 60_000],
].flat();
const smallSizes = [64, 60_000];
const flights = [64, 1024];
const memories = ["registered", "unregistered"];
const discardPort = 9;

interface Shape {
  kind: string;
  sizeBytes: number;
  memory: string;
  inFlight: number;
}

function wordsOf(shape: Shape, host: string, port: number, seconds: number): (string | number)[] {
  return [shape.kind, host, port, shape.sizeBytes, shape.memory, shape.inFlight, seconds];
}

async function toSink(shape: Shape, { durationSeconds }: Settings): Promise<Figures> {
  const words = wordsOf(shape, sinkAddress, discardPort, durationSeconds);
  const command = besideSink(nodeCommand("zero_copy_auto", ...words));
  const timeoutSeconds = 60 + 4 * durationSeconds;
  return parseFigures(await runProcess(command, { timeoutSeconds }));
}

async function toReceiver(shape: Shape, receiver: string, settings: Settings): Promise<Figures> {
  const { durationSeconds } = settings;
  const timeoutSeconds = 60 + 4 * durationSeconds;
  const { server, port } = await startServer([receiver, "tcp"], { core: "load", timeoutSeconds });
  try {
    const words = wordsOf(shape, "127.0.0.1", port, durationSeconds);
    return parseFigures(
      await runProcess(nodeCommand("zero_copy_auto", ...words), { timeoutSeconds }),
    );
  } finally {
    await server.stop();
  }
}

function oneCase(shape: Shape, receiver: Built): Case {
  const { kind, sizeBytes, memory, inFlight } = shape;
  const noSink = kind === "udp" ? whyNoSink() : undefined;
  const missing = kind === "tcp" && "unavailable" in receiver ? receiver.unavailable : noSink;
  const where = kind === "udp" ? "UDP to the sink" : "TCP over loopback";
  return {
    name: `${where}, ${sizeBytes} B, ${memory}, ${inFlight} in flight`,
    better: "higher",
    contenders: [
      {
        name: "ours",
        ...(missing === undefined ? {} : { unavailable: missing }),
        measure: (settings) =>
          kind === "udp"
            ? toSink(shape, settings)
            : toReceiver(shape, "path" in receiver ? receiver.path : "", settings),
      },
    ],
  };
}

export const zeroCopyAuto: Workload = {
  name: "zero_copy_auto",
  async prepare({ small }: Settings) {
    const receiver = await buildNative("receive");
    const cases = ["udp", "tcp"].flatMap((kind) =>
      memories.flatMap((memory) =>
        flights.flatMap((inFlight) =>
          (small ? smallSizes : sizes).map((sizeBytes) =>
            oneCase({ kind, sizeBytes, memory, inFlight }, receiver),
          ),
        ),
      ),
    );
    return { cases, dispose: () => undefined };
  },
};
