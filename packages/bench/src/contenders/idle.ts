// The memory of many connections that have received something once and now wait, in the process
// that accepted them. The other ends are a process of their own.
//
// Usage: idle <provided|single|node> <connections>, or idle clients <connections> <port>

import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { IO, type Socket } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";

const how = process.argv[2] ?? "";
const connections = numberArgument(1);
const bufferBytes = 16 * 1024;

interface Server {
  port: number;
  /** Resolves when each connection has received its byte and waits again. */
  served: Promise<void>;
  /** What the library says that it holds for receives. */
  groupBytes(): number;
}

function counter(): { served: Promise<void>; serve(): void } {
  let left = connections;
  let done: () => void = () => undefined;
  const served = new Promise<void>((resolve) => {
    done = resolve;
  });
  const serve = (): void => {
    if (--left === 0) setImmediate(done);
  };
  return { served, serve };
}

async function waitProvided(socket: Socket, serve: () => void): Promise<void> {
  for await (using chunk of socket.chunks()) {
    if (chunk.byteLength > 0) serve();
  }
}

async function waitSingle(socket: Socket, serve: () => void): Promise<void> {
  const buffer = new Uint8Array(bufferBytes);
  while ((await socket.receive(buffer)) > 0) serve();
}

async function serveOurs(wait: typeof waitProvided): Promise<Server> {
  const io = await IO.open();
  const listener = await io.listen({ host: "127.0.0.1", port: 0, backlog: 1024 });
  const { served, serve } = counter();
  const accept = async (): Promise<void> => {
    for await (const socket of listener) void wait(socket, serve).catch(() => undefined);
  };
  void accept();
  const { bufferBytes: before } = io.stats();
  const { port } = listener.address;
  return { port, served, groupBytes: () => io.stats().bufferBytes - before };
}

async function serveNode(): Promise<Server> {
  const { served, serve } = counter();
  const server = createServer((socket) => {
    socket.on("data", serve);
    socket.on("error", () => socket.destroy());
  });
  server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 });
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, served, groupBytes: () => 0 };
}

/** As many connections as are asked for, a few at a time, each of which sends one byte. */
async function runClients(port: number): Promise<void> {
  for (let made = 0; made < connections; ) {
    const count = Math.min(100, connections - made);
    const sockets = Array.from({ length: count }, () => connect({ host: "127.0.0.1", port }));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    for (const socket of sockets) socket.write("x");
    made += count;
  }
}

function memory(): { rss: number; buffers: number } {
  gc?.();
  const { rss, arrayBuffers } = process.memoryUsage();
  return { rss, buffers: arrayBuffers };
}

async function measure(): Promise<void> {
  const server = await (how === "node"
    ? serveNode()
    : serveOurs(how === "provided" ? waitProvided : waitSingle));
  const before = memory();
  const self = process.argv[1] as string;
  const clients = spawn(process.execPath, [self, "clients", `${connections}`, `${server.port}`]);
  try {
    await server.served;
    const after = memory();
    printFigures({
      "KiB/connection": (after.rss - before.rss) / 1024 / connections,
      "KiB of buffers": (after.buffers - before.buffers) / 1024,
      "KiB known to the engine": server.groupBytes() / 1024,
    });
  } finally {
    clients.kill("SIGKILL");
  }
  process.exit(0);
}

if (how === "clients") await runClients(numberArgument(2));
else await measure();
