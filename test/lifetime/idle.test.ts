// The memory of connections that wait for bytes, which most connections of a server do.

import { IO, type Socket } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { collect } from "./support.js";

const test = suite("lifetime/idle");
const COUNT = 1000;

async function heapBytes(): Promise<number> {
  for (let round = 0; round < 4; round++) {
    collect();
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
  return process.memoryUsage().heapUsed;
}

test("a stream of chunks that waits takes little memory", async () => {
  const io = await IO.open();
  const listener = await io.listen({ host: "127.0.0.1", port: 0 });
  const { port } = listener.address;
  const served: Socket[] = [];
  const clients: Socket[] = [];
  while (served.length < COUNT) {
    const [socket, client] = await Promise.all([listener.accept(), io.connect({ port })]);
    served.push(socket);
    clients.push(client);
  }
  const wait = (socket: Socket): Promise<unknown> => socket.chunks().next();
  // By the first half the tables grow that all operations share.
  const first = served.splice(0, COUNT / 2).map(wait);
  await io.nop();
  const before = await heapBytes();
  const second = served.map(wait);
  await io.nop();
  const bytes = ((await heapBytes()) - before) / second.length;
  assert.ok(bytes < 800, `${Math.round(bytes)} bytes for each`);
  await Promise.all(clients.map((client) => client.close()));
  await Promise.all([...first, ...second]);
  await io.close();
});

test.run();
