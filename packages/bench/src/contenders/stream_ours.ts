// A program that only receives, with @io/core: into provided buffers, on the ring or with promises,
// or into a buffer of each connection.
//
// Usage: stream_ours <callback|promise|single> <port> <connections>

import { constants } from "node:os";
import { type BufferGroup, Completion, IO, MultishotCompletion, type Socket } from "@io/core";
import { numberArgument } from "../contender.js";
import { settle } from "../settle.js";
import { countReceived } from "../traffic_meter.js";

const how = process.argv[2];
const target = { host: "127.0.0.1", port: numberArgument(1) };
const connections = numberArgument(2);
const chunkBytes = 64 * 1024;
/** Of one receive: with a limit the kernel may fill several buffers at once. */
const maxBytes = 256 * 1024;
const noBuffers = -constants.errno.ENOBUFS;
/** Nothing else is done with what is received. */
const count = countReceived();

async function receiveProvided(socket: Socket): Promise<void> {
  for await (using chunk of socket.chunks({ chunkBytes })) {
    count(chunk.bytes.byteLength);
  }
}

async function receiveSingle(socket: Socket): Promise<void> {
  const buffer = new Uint8Array(chunkBytes);
  for (;;) {
    const receivedBytes = await socket.receive(buffer);
    if (receivedBytes === 0) return;
    count(receivedBytes);
  }
}

async function receiveWithPromises(receive: (socket: Socket) => Promise<void>): Promise<void> {
  const io = await IO.open();
  for (let index = 0; index < connections; index++) {
    // The load generator ends its connections in any way it likes.
    void io
      .connect(target)
      .then(receive)
      .catch(() => undefined);
  }
}

function receiveOnRing(io: IO, descriptor: number, group: BufferGroup): void {
  const completion = new MultishotCompletion();
  const start = (): void => {
    io.ring.receiveMultishot(completion, called, descriptor, group, maxBytes);
  };
  const called = ({ bufferId, offset }: MultishotCompletion, result: number): void => {
    if (result > 0) {
      count(group.view(bufferId, offset, result).byteLength);
      group.release(bufferId);
      if (!completion.active) start();
    } else if (result === noBuffers) {
      group.whenAvailable(start);
    } else {
      io.ring.close(new Completion(), () => undefined, descriptor);
    }
  };
  start();
}

async function receiveWithCallbacks(): Promise<void> {
  const io = await IO.open({ mode: "detached" });
  const group = io.ring.bufferGroup({ bufferBytes: chunkBytes, maxBytes: 64 * chunkBytes });
  const sockets: Socket[] = [];
  while (sockets.length < connections) sockets.push(await settle(io, io.connect(target)));
  for (const { descriptor } of sockets) receiveOnRing(io, descriptor, group);
  io.run();
}

if (how === "callback") await receiveWithCallbacks();
else await receiveWithPromises(how === "single" ? receiveSingle : receiveProvided);
