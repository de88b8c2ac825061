// The body of the Workers that the tests of areas end: bytes come without an end, some chunks are
// kept, and others are in operations.

import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { type Chunk, IO, type Socket } from "@io/core";
import { connectedPair } from "./support.js";

/** "lives" until it is killed. */
export type AreaTask = "lives" | "closes" | "exits";

const KEPT = 5;
// More than all streams together may have, so that they do not wait for each other.
const AREA_BYTES = 1024 * 1024;

async function pour(socket: Socket, data: Uint8Array): Promise<void> {
  for (;;) await socket.sendAll(data);
}

async function echo(socket: Socket, keeps: Chunk[]): Promise<void> {
  for await (const chunk of socket.chunks()) {
    if (keeps.length < KEPT) {
      keeps.push(chunk);
      continue;
    }
    const sending = socket.sendAll(chunk.bytes);
    chunk.release();
    await sending;
  }
}

async function drop(socket: Socket): Promise<void> {
  for await (const chunk of socket.chunks()) chunk.release();
}

/** Nothing of it ends by itself; it fails when its sockets are closed. */
function begin(work: Promise<void>): void {
  work.catch(() => undefined);
}

async function live(task: AreaTask, port: MessagePort): Promise<void> {
  const zeroCopyReceive = { withoutDevice: true, sizeBytes: AREA_BYTES } as const;
  const io = await IO.open({ zeroCopyReceive: { ...zeroCopyReceive, required: true } });
  const keeps: Chunk[] = [];
  for (let count = 0; count < 3; count++) {
    const [client, server] = await connectedPair(io);
    begin(pour(client, new Uint8Array(50_000).fill(7)));
    begin(echo(server, keeps));
    begin(drop(client));
  }
  while (io.stats().zeroCopyChunks < 100) await io.nop();
  port.postMessage("ready");
  if (task === "closes") {
    await io.close();
    if (keeps.some(({ bytes }) => bytes.some((byte) => byte !== 7))) throw new Error("other bytes");
  }
  if (task === "exits") process.exit(0);
}

if (parentPort !== null) await live(workerData as AreaTask, parentPort);
