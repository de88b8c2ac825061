// What senders that all sockets share keep, and what they do not.

import type { AddressInfo, Server, Socket } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import net from "../net/index.js";
import { event } from "../net/scene.test.support.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const test = suite("senders");

/** More than the engine keeps for the next time. */
const LARGE = 17 * 1024 * 1024;

async function pairOf(server: Server): Promise<[client: Socket, served: Socket]> {
  if (!server.listening) await event(server.listen(0, "127.0.0.1"), "listening");
  const accepted = event(server, "connection");
  const client = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [served] = (await accepted) as [Socket];
  return [client, served];
}

/** Sends text and memory of the program's own, and ends when both ends are closed. */
async function sendAndClose(server: Server): Promise<WeakRef<ArrayBufferLike>> {
  const [client, served] = await pairOf(server);
  let bytes = 0;
  served.on("data", (data: Buffer) => {
    bytes += data.length;
  });
  const large = Buffer.allocUnsafeSlow(LARGE);
  const memory = new WeakRef(large.buffer);
  await new Promise((resolve) => client.write("text", resolve));
  await new Promise((resolve) => client.write(large, resolve));
  const closed = Promise.all([event(client, "close"), event(served, "close")]);
  client.resume().end();
  await closed;
  assert.is(bytes, LARGE + 4);
  return memory;
}

test("memory of the program is free when the socket that has sent it is gone", async () => {
  const server = net.createServer();
  const memory = await sendAndClose(server);
  await new Promise((resolve) => server.close(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  assert.is(memory.deref(), undefined);
});

test("sockets that send in one turn do not get each other's bytes", async () => {
  const server = net.createServer();
  const pairs: [Socket, Socket][] = [];
  for (let index = 0; index < 20; index++) pairs.push(await pairOf(server));
  const texts = pairs.map(([, served]) => {
    const pieces: string[] = [];
    served.setEncoding("latin1").on("data", (text: string) => pieces.push(text));
    return pieces;
  });
  const closed = pairs.map(([, served]) => {
    served.on("error", () => {}); // of those that are reset
    return event(served, "close");
  });
  // Some end with a reset while they send, so that what they sent with is free at any time.
  for (let round = 0; round < 10; round++) {
    for (const [index, [client]] of pairs.entries()) {
      if (client.destroyed) continue;
      client.write(`${index}:${round}\n`);
      if (index % 3 === 1) client.write(`${index}:again ${round}\n`);
      if (index % 5 === 4 && round === index % 7) client.resetAndDestroy();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const [client] of pairs) client.resume().end();
  await Promise.all(closed);
  await new Promise((resolve) => server.close(resolve));
  for (const [index, pieces] of texts.entries()) {
    const lines = pieces.join("").split("\n").slice(0, -1);
    for (const line of lines) assert.is(line.split(":")[0], `${index}`);
    if (index % 5 !== 4) assert.is(lines.length, index % 3 === 1 ? 20 : 10);
  }
});

test.run();
