// The cost of many idle connections: each has received a byte and waits for more, while this
// process measures the processor time of other work, first without them and then with them.
//
// The other ends are a process of their own. A pair of ports is used once for each address, so they
// connect to several addresses of the loopback.
//
// Usage: crowd <io_uring|epoll|node> <connections> <seconds>, or crowd clients <connections> <port>

import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket as NetSocket } from "node:net";
import { type BackendName, Completion, IO, type Socket } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";

const how = process.argv[2] ?? "";
const connections = numberArgument(1);
const messageBytes = 64;
const sendsInFlight = 8;
const addresses = 8;
const connectingAtOnce = 200;

/** What is measured, of one library. The crowd is the connections that the server has accepted. */
interface Library {
  readonly port: number;
  /** Resolves when each connection has received its byte and waits again. */
  readonly crowded: Promise<void>;
  /** One of each; they are called again and again. */
  nop?(): Promise<unknown>;
  echo(): Promise<unknown>;
  fresh?(): Promise<unknown>;
  /** Some sends on each connection of the crowd. */
  sendToAll(): Promise<unknown>;
  closeAll(): Promise<unknown>;
}

function counter(): { all: Promise<void>; count(): void } {
  let left = connections;
  let done: () => void = () => undefined;
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  const count = (): void => {
    if (--left === 0) setImmediate(done);
  };
  return { all, count };
}

const message = Buffer.alloc(messageBytes);

// ---- ours

async function waitIdle(socket: Socket, count: () => void): Promise<void> {
  for await (using chunk of socket.chunks()) if (chunk.byteLength > 0) count();
}

async function pairOf(io: IO): Promise<[Socket, Socket]> {
  const listener = await io.listen({ host: "127.0.0.1", port: 0 });
  const { port } = listener.address;
  const pair = await Promise.all([io.connect({ host: "127.0.0.1", port }), listener.accept()]);
  await listener.close();
  return pair;
}

/** 64 no-ops in flight until there were as many as are counted as one. */
function nops(io: IO, total: number): Promise<void> {
  return new Promise((resolve) => {
    let started = 0;
    let ended = 0;
    const next = (completion: Completion): void => {
      if (++ended === total) resolve();
      else if (started < total) start(completion);
    };
    const start = (completion: Completion): void => {
      started++;
      io.ring.nop(completion, next);
    };
    for (let index = 0; index < 64; index++) start(new Completion());
  });
}

async function serveOurs(backend: BackendName): Promise<Library> {
  const io = await IO.open({ backend });
  const [near, far] = await pairOf(io);
  const listener = await io.listen({ host: "0.0.0.0", port: 0, backlog: 4096 });
  const crowd: Socket[] = [];
  const { all, count } = counter();
  const accept = async (): Promise<void> => {
    for await (const socket of listener) {
      crowd.push(socket);
      void waitIdle(socket, count).catch(() => undefined);
    }
  };
  void accept();
  const kept = new Uint8Array(messageBytes);
  const pass = async (from: Socket, to: Socket, buffer: Uint8Array): Promise<void> => {
    await Promise.all([to.receive(buffer), from.send(message)]);
  };
  return {
    port: listener.address.port,
    crowded: all,
    nop: () => nops(io, 6400),
    echo: async () => {
      await pass(near, far, kept);
      await pass(far, near, kept);
    },
    fresh: () => pass(near, far, new Uint8Array(messageBytes)),
    sendToAll: () =>
      Promise.all(
        crowd.flatMap((socket) =>
          Array.from({ length: sendsInFlight }, () => socket.send(message)),
        ),
      ),
    closeAll: () => Promise.all(crowd.map((socket) => socket.close())),
  };
}

// ---- node:net

async function serveNode(): Promise<Library> {
  const { all, count } = counter();
  const crowd: NetSocket[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    crowd.push(socket);
    socket.on("data", count);
    socket.on("error", () => socket.destroy());
  });
  server.listen({ host: "0.0.0.0", port: 0, backlog: 4096 });
  await once(server, "listening");
  const echoServer = createServer({ noDelay: true }, (socket) => {
    socket.on("data", (data) => socket.write(data));
  });
  echoServer.listen({ host: "127.0.0.1", port: 0 });
  await once(echoServer, "listening");
  const { port: echoPort } = echoServer.address() as AddressInfo;
  const near = connect({ host: "127.0.0.1", port: echoPort, noDelay: true });
  await once(near, "connect");
  const sent = (socket: NetSocket): Promise<void> =>
    new Promise((resolve) => {
      socket.write(message, () => resolve());
    });
  return {
    port: (server.address() as AddressInfo).port,
    crowded: all,
    echo: () =>
      new Promise((resolve) => {
        near.once("data", resolve);
        near.write(message);
      }),
    sendToAll: () =>
      Promise.all(
        crowd.flatMap((socket) => Array.from({ length: sendsInFlight }, () => sent(socket))),
      ),
    closeAll: () =>
      Promise.all(
        crowd.map((socket) => {
          const closed = once(socket, "close");
          socket.destroy();
          return closed;
        }),
      ),
  };
}

// ---- the other ends

/** They read whatever comes, and end with the process that they came to. */
async function runClients(port: number): Promise<void> {
  const io = await IO.open({ backend: "epoll" });
  const read = async (socket: Socket): Promise<void> => {
    for await (using _chunk of socket.chunks());
    await socket.close();
  };
  for (let made = 0; made < connections; ) {
    const count = Math.min(connectingAtOnce, connections - made);
    const sockets = await Promise.all(
      Array.from({ length: count }, (_, index) =>
        io.connect({ host: `127.0.0.${1 + ((made + index) % addresses)}`, port }),
      ),
    );
    for (const socket of sockets) {
      void socket.send(message.subarray(0, 1)).catch(() => undefined);
      read(socket).catch(() => undefined);
    }
    made += count;
  }
}

// ---- measuring

function rssBytes(): number {
  gc?.();
  return process.memoryUsage.rss();
}

async function microsecondsOf(work: () => Promise<unknown>, divisor: number): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / divisor;
}

/** Processor time of one of what is done again and again for a while. */
async function steadily(
  work: () => Promise<unknown>,
  seconds: number,
  perCall: number,
): Promise<number> {
  const end = performance.now() + (1000 * seconds) / 4;
  while (performance.now() < end) await work(); // until V8 has compiled it
  let calls = 0;
  const measure = async (): Promise<void> => {
    for (const last = performance.now() + 1000 * seconds; performance.now() < last; calls++) {
      await work();
    }
  };
  const microseconds = await microsecondsOf(measure, 1);
  return microseconds / (calls * perCall);
}

async function measure(seconds: number): Promise<void> {
  const library = await (how === "node" ? serveNode() : serveOurs(how as BackendName));
  await library.echo();
  const before = rssBytes();
  const self = process.argv[1] as string;
  const clients = spawn(process.execPath, [self, "clients", `${connections}`, `${library.port}`], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  try {
    await library.crowded;
    const kibibytes = (rssBytes() - before) / 1024 / connections;
    const figures = {
      "us/echo": await steadily(library.echo, seconds, 1),
      "KiB/connection": kibibytes,
      ...(library.nop ? { "us/nop": await steadily(library.nop, seconds, 6400) } : {}),
      ...(library.fresh ? { "us/fresh buffer": await steadily(library.fresh, seconds, 1) } : {}),
      "us/send": await steadily(library.sendToAll, seconds, connections * sendsInFlight),
      "us/close": await microsecondsOf(library.closeAll, connections),
    };
    printFigures(figures);
  } finally {
    clients.kill("SIGKILL");
  }
  process.exit(0);
}

if (how === "clients") await runClients(numberArgument(2));
else await measure(numberArgument(2));
