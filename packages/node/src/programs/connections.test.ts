// Connections that end in every way leave nothing behind: no descriptor, no operation in flight, no
// listener and no memory. `npm run test:long` makes 100,000 of them on each backend.

import { type EventEmitter, getEventListeners } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import type { IncomingMessage, RequestListener } from "node:http";
import type { AddressInfo, Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import v8 from "node:v8";
import { runInNewContext } from "node:vm";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import http from "../http/index.js";
import https from "../https/index.js";
import { sharedIO } from "../index.js";
import net from "../net/index.js";
import { event } from "../net/scene.test.support.js";
import { ca, serverCertificate, serverKey } from "../tls/keys.test.support.js";

const test = suite("connections");

/** All together; a tenth of them first, which compile the code and fill the pools. */
const COUNT = Number(process.env["IO_CONNECTIONS"] ?? 2000);
const AT_ONCE = 32;
const HEAP_BYTES = 2 * 1024 * 1024;
/** Pools grow up to their limits: 16 MiB to receive into, and 16 MiB that was sent from. */
const BUFFER_BYTES = 36 * 1024 * 1024;
const MEMORY_BYTES = 64 * 1024 * 1024;
const turn = promisify(setImmediate);

v8.setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const folder = mkdtempSync(join(tmpdir(), "io-connections-"));
const path = join(folder, "socket");
const abort = new AbortController();
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
const secureAgent = new https.Agent({ ca, keepAlive: false });

const answer: RequestListener = (request, response) => {
  if (request.url === "/destroy") response.destroy();
  else request.pipe(response);
  response.on("error", () => {}); // what clients do here
  request.on("error", () => {}); // the same
};
const echo = (socket: Socket): void => {
  socket.on("error", () => {}); // resets
  socket.pipe(socket);
};
const secrets = { key: serverKey, cert: serverCertificate };
const servers = {
  echo: net.createServer(echo),
  unix: net.createServer(echo),
  idle: net.createServer((socket) => socket.on("error", () => {}).setTimeout(1, socket.destroy)),
  rude: net.createServer((socket) => void socket.on("error", () => {}).destroy()),
  // With a limit the server may end a connection at the moment that a client asks again.
  http: http
    .createServer({ keepAliveTimeout: 0 }, answer)
    .on("clientError", (_error, socket) => socket.destroy()),
  https: https.createServer(secrets, answer).on("tlsClientError", () => {}),
};
type Name = keyof typeof servers;

function portOf(name: Name): number {
  return ((servers[name] as Server).address() as AddressInfo).port;
}

function connected(name: Name, more: object = {}): Socket {
  const at = name === "unix" ? { path } : { port: portOf(name), host: "127.0.0.1" };
  return net.connect({ ...at, ...more }).on("error", () => {}); // what ends it, it ends
}

/** The client's side of a connection that ends in one way. */
const WAYS: Record<string, () => Promise<unknown>> = {
  async "an end from both sides"() {
    const socket = connected("echo");
    socket.end("hello");
    await event(socket.resume(), "close");
  },
  async "a unix socket"() {
    const socket = connected("unix");
    socket.end(Buffer.alloc(20_000));
    await event(socket.resume(), "close");
  },
  async "a signal that many share"() {
    const socket = connected("echo", { signal: abort.signal });
    await event(socket, "connect");
    socket.destroy();
    await event(socket, "close");
  },
  async "a reset with bytes on their way"() {
    const socket = connected("echo");
    await event(socket, "connect");
    socket.write(Buffer.alloc(200_000));
    socket.resetAndDestroy();
    await event(socket, "close");
  },
  async "a destroy before the connection"() {
    const socket = connected("echo");
    socket.write("lost", () => {}); // with an error
    socket.destroy();
    await event(socket, "close");
  },
  async "a time-out of the server"() {
    await event(connected("idle").resume(), "close");
  },
  async "a server that destroys"() {
    const socket = connected("rude");
    socket.write("x");
    await event(socket.resume(), "close");
  },
  async "nobody listens"() {
    const socket = net.connect({ port: 1, host: "127.0.0.1" }).on("error", () => {}); // refused
    await event(socket, "close");
  },
  async "http with keep-alive"() {
    const request = http.request({
      port: portOf("http"),
      host: "127.0.0.1",
      method: "POST",
      agent,
    });
    request.end("a body");
    const [response] = (await event(request, "response")) as [IncomingMessage];
    await event(response.resume(), "end");
  },
  async "http that the server destroys"() {
    const url = `http://127.0.0.1:${portOf("http")}/destroy`;
    const request = http.get(url, { agent }).on("error", () => {}); // ECONNRESET
    await event(request, "close");
  },
  async "http that the client gives up"() {
    const request = http.request({
      port: portOf("http"),
      host: "127.0.0.1",
      method: "POST",
      agent,
    });
    let isGivenUp = false;
    request.on("error", (error) => {
      if (!isGivenUp) throw error; // the answer that is waited for never comes
    });
    request.write("a part");
    await event(request, "response");
    isGivenUp = true;
    request.destroy();
    await event(request, "close");
  },
  async "http with garbage"() {
    const socket = connected("http");
    socket.write("\0garbage\r\n\r\n");
    await event(socket.resume(), "close");
  },
  async "https with garbage"() {
    const socket = connected("https");
    socket.write("garbage\r\n\r\n".repeat(10));
    await event(socket.resume(), "close");
  },
};
// A handshake takes as long as many of the others together.
const SECURE_EVERY = 100;

async function askSecurely(): Promise<void> {
  const where = { port: portOf("https"), host: "127.0.0.1", servername: "localhost" };
  const request = https.request({ ...where, agent: secureAgent, method: "POST" });
  request.end("a body");
  const [response] = (await event(request, "response")) as [IncomingMessage];
  await event(response.resume(), "end");
}

async function make(count: number): Promise<void> {
  const ways = Object.values(WAYS);
  let next = 0;
  const loop = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      await (index % SECURE_EVERY === 0 ? askSecurely() : ways[index % ways.length]!());
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, loop));
}

/** Resolves when the servers have seen the ends, and what is left of them is over. */
async function settle(): Promise<void> {
  agent.destroy();
  const counts = Object.values(servers).map((server) =>
    promisify(server.getConnections.bind(server)),
  );
  for (const count of counts) while ((await count()) > 0) await turn();
  for (let round = 0; round < 5; round++) {
    for (let count = 0; count < 50; count++) await turn();
    collect();
  }
}

function listenersOf(emitter: EventEmitter): number {
  return emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);
}

function leftOver(): { counts: Record<string, number>; bytes: Record<string, number> } {
  const { descriptors, inFlight } = sharedIO().stats();
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  const emitters = [process, agent, ...Object.values(servers)] as EventEmitter[];
  const fds = process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0;
  const listeners = emitters.reduce((sum, one) => sum + listenersOf(one), 0);
  const ofSignal = getEventListeners(abort.signal, "abort").length;
  return {
    counts: { descriptors, inFlight, fds, listeners, ofSignal },
    bytes: { heapUsed, arrayBuffers, rss },
  };
}

test(`${COUNT} connections that end in ${Object.keys(WAYS).length} ways`, async () => {
  for (const [name, server] of Object.entries(servers)) {
    if (name === "unix") server.listen(path);
    else server.listen(0, "127.0.0.1");
    await event(server, "listening");
  }
  await make(COUNT / 10);
  await settle();
  const before = leftOver();
  await make(COUNT - COUNT / 10);
  await settle();
  const after = leftOver();
  const grown = Object.entries(after.bytes).map(([name, bytes]) => [
    name,
    bytes - before.bytes[name]!,
  ]);
  process.stdout.write(`${JSON.stringify([after.counts, Object.fromEntries(grown)])}\n`);
  assert.equal(after.counts, before.counts);
  const { heapUsed, arrayBuffers, rss } = Object.fromEntries(grown) as Record<string, number>;
  assert.ok(heapUsed! < HEAP_BYTES, `the heap has grown by ${heapUsed} bytes`);
  assert.ok(arrayBuffers! < BUFFER_BYTES, `memory of buffers has grown by ${arrayBuffers} bytes`);
  assert.ok(rss! < MEMORY_BYTES, `the process has grown by ${rss} bytes`);
  for (const server of Object.values(servers)) {
    await new Promise((resolve) => server.close(resolve));
  }
  secureAgent.destroy();
  rmSync(folder, { recursive: true });
});

test.run();
