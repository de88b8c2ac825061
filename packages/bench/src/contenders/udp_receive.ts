// Counts the datagrams that come in: with @io/core, joined by the kernel or not, or with
// node:dgram. A Worker sends as many as it can, the same way for each.
//
// Usage: udp_receive <joined|chunks|dgram> <bytes of a datagram> <seconds>

import { createSocket } from "node:dgram";
import { Worker, workerData } from "node:worker_threads";
import { IO } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";

const SEGMENTS = 40;
const BUFFER_BYTES = 8 * 1024 * 1024;

async function send(port: number, sizeBytes: number): Promise<void> {
  const io = await IO.open();
  const socket = await io.openDatagram({ family: "ipv4", sendBufferBytes: BUFFER_BYTES });
  await socket.connect({ host: "127.0.0.1", port });
  const count = Math.min(SEGMENTS, Math.floor(65_000 / sizeBytes));
  const messages = Array.from({ length: count }, () => new Uint8Array(sizeBytes));
  // Nothing may listen for a moment at the end.
  for (;;) await socket.sendMany(messages).catch(() => undefined);
}

let received = 0;

async function measure(port: number, sizeBytes: number, seconds: number): Promise<void> {
  new Worker(new URL(import.meta.url), { workerData: { port, sizeBytes } });
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  await pause(300 + seconds * 100);
  const before = received;
  const startMs = performance.now();
  await pause(seconds * 1000);
  const count = received - before;
  printFigures({ "datagrams/s": count / ((performance.now() - startMs) / 1000) });
  process.exit(0);
}

async function joined(sizeBytes: number, seconds: number): Promise<void> {
  const io = await IO.open();
  const options = { receiveSegments: true, receiveBufferBytes: BUFFER_BYTES };
  const socket = await io.openDatagram({ host: "127.0.0.1", port: 0, ...options });
  void measure(socket.localAddress.port, sizeBytes, seconds);
  const receive = async (): Promise<void> => {
    const bytes = new Uint8Array(65_536);
    for (;;) {
      const { byteLength, segmentBytes } = await socket.receiveMessage(bytes);
      received += segmentBytes === null ? 1 : Math.ceil(byteLength / segmentBytes);
    }
  };
  await Promise.all([receive(), receive(), receive(), receive()]);
}

async function chunks(sizeBytes: number, seconds: number): Promise<void> {
  const io = await IO.open();
  const options = { receiveBufferBytes: BUFFER_BYTES };
  const socket = await io.openDatagram({ host: "127.0.0.1", port: 0, ...options });
  void measure(socket.localAddress.port, sizeBytes, seconds);
  for await (const chunk of socket.chunks({ chunkBytes: 2048 })) {
    received++;
    chunk.release();
  }
}

function dgram(sizeBytes: number, seconds: number): void {
  const socket = createSocket({ type: "udp4", recvBufferSize: BUFFER_BYTES });
  socket.on("message", () => received++);
  socket.bind(0, "127.0.0.1", () => void measure(socket.address().port, sizeBytes, seconds));
}

const modes: Record<string, (sizeBytes: number, seconds: number) => Promise<void> | void> = {
  joined,
  chunks,
  dgram,
};

const given = workerData as { port: number; sizeBytes: number } | null;
if (given !== null) await send(given.port, given.sizeBytes);
else {
  const mode = process.argv[2] ?? "";
  const run = modes[mode];
  if (!run) throw new RangeError(`There is no mode "${mode}".`);
  await run(numberArgument(1), numberArgument(2));
}
