// The body of the Workers that the tests kill or let end: each has an IO with much in flight.

import { type MessagePort, parentPort, threadId, workerData } from "node:worker_threads";
import { Completion, IO } from "@io/core";
import { connectedPair, startMany, startManyDetached } from "./support.js";

/** How a Worker lives: see the cases below. */
export interface WorkerTask {
  readonly how:
    | "idle"
    | "traffic"
    | "sends"
    | "stalls"
    | "run"
    | "ends"
    | "exits"
    | "throws"
    | "closes";
  readonly count: number;
  readonly folder: string;
}

/** Bytes that go back and forth forever, so that completions come at any moment. */
async function traffic(io: IO): Promise<void> {
  const [client, server] = await connectedPair(io);
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    const buffer = io.buffers.acquire(4096);
    const receiving = new Completion();
    const sending = new Completion();
    const receive = (): void => {
      io.ring.receive(
        receiving,
        (_completion, count) => {
          if (count > 0) receive();
        },
        to.descriptor,
        buffer,
      );
    };
    const send = (): void => {
      io.ring.send(
        sending,
        (_completion, count) => {
          if (count > 0) send();
        },
        from.descriptor,
        new Uint8Array(1000),
      );
    };
    receive();
    send();
  }
  const tick = new Completion();
  const again = (): void => io.ring.nop(tick, again);
  again();
}

/**
 * Zero-copy sends that are not received: the kernel has the memory of some of them, and others
 * wait for room.
 */
async function sends(io: IO): Promise<void> {
  for (let count = 0; count < 4; count++) {
    const [client] = await connectedPair(io);
    client.setOptions({ sendBufferBytes: 65_536 });
    for (let index = 0; index < 8; index++) {
      const buffer = index % 2 === 0 ? new Uint8Array(262_144) : io.buffers.acquire(262_144);
      const { sent } = client.sendZeroCopy(buffer, { zeroCopy: "always" });
      if (index === 0) await sent;
      else sent.catch(() => undefined);
    }
  }
}

/**
 * Sends, alone and many at once, to peers that have shut down their sending and do not read; and
 * work on a file that nothing can interrupt, so that the end of the engine takes a while.
 */
async function stalls(io: IO): Promise<void> {
  for (let count = 0; count < 40; count++) {
    const [client, server] = await connectedPair(io);
    client.setOptions({ sendBufferBytes: 4096 });
    await server.shutdown("send");
    await client.receive(new Uint8Array(1));
    for (let index = 0; index < 10; index++) {
      const buffer = new Uint8Array(count % 2 === 0 ? 30_000 : 1_000_000);
      io.ring.send(new Completion(), () => undefined, client.descriptor, buffer);
    }
  }
  const path = `/dev/shm/io-lifetime-${process.pid}-${threadId}`;
  const file = await io.openFile(path, { write: true, create: true });
  await io.unlink(path);
  io.ring.allocate(new Completion(), () => undefined, file.descriptor, 0, 256 << 20, "grow");
}

async function live(task: WorkerTask, port: MessagePort): Promise<void> {
  if (task.how === "run") {
    const io = await IO.open({ mode: "detached" });
    startManyDetached(io, task.count, task.folder);
    port.postMessage("ready");
    io.run();
    return;
  }
  const io = await IO.open();
  await startMany(io, task.count, task.folder);
  if (task.how === "traffic") await traffic(io);
  if (task.how === "sends") await sends(io);
  if (task.how === "stalls") await stalls(io);
  await io.nop();
  port.postMessage("ready");
  if (task.how === "ends") {
    // Nothing is awaited and the IO is not closed: the program cancels the operations in flight.
    await io.cancelAll();
  }
  if (task.how === "exits") process.exit(7);
  if (task.how === "closes") await io.close();
  if (task.how === "throws") {
    io.ring.nop(new Completion(), () => {
      throw new Error("thrown by a callback");
    });
  }
}

if (parentPort !== null) await live(workerData as WorkerTask, parentPort);
