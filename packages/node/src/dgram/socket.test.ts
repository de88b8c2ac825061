/** Each program runs on `node:dgram` and on this library, and does the same on both. */

import nodeDgram from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import ourDgram from "./index.js";

const test = suite("datagram sockets, as Node's");

type Dgram = typeof nodeDgram;
type Socket = nodeDgram.Socket;
type Program = (dgram: Dgram, open: Open) => Promise<unknown>;
type Open = (options: nodeDgram.SocketType | nodeDgram.SocketOptions) => Socket;

// Programs hand over what TypeScript would refuse.
const wrong = (value: unknown): never => value as never;

function shown(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return value.map(shown);
  if (value instanceof Error) {
    const fields = Object.entries(value).map(([key, one]) => [key, shown(one)]);
    const message = value.message.replaceAll(/:\d{5}\b/g, ":port");
    return {
      ...Object.fromEntries(fields),
      class: value.name === "SystemError" ? "Error" : value.constructor.name,
      name: value.name,
      message,
    };
  }
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shown(one)]));
  }
  // A port of the system's choice is another one each time.
  return typeof value === "number" && value > 9999 && value < 65_536 ? "port" : value;
}

async function outcomeOf(program: Program, dgram: Dgram): Promise<unknown> {
  const opened: Socket[] = [];
  const open: Open = (options) => {
    const socket = dgram.createSocket(wrong(options));
    opened.push(socket);
    return socket;
  };
  try {
    return { result: shown(await program(dgram, open)) };
  } catch (error) {
    return { error: shown(error) };
  } finally {
    for (const socket of opened) {
      try {
        socket.close();
      } catch {
        // The program has closed it.
      }
    }
  }
}

function thrown(calls: readonly (() => unknown)[]): unknown[] {
  return calls.map((one) => {
    try {
      const value = one();
      return typeof value === "object" ? "an object" : value;
    } catch (error) {
      return error;
    }
  });
}

async function bound(socket: Socket, address = "127.0.0.1"): Promise<number> {
  socket.bind(0, address);
  await once(socket, "listening");
  return socket.address().port;
}

function sent(send: (callback: (...given: unknown[]) => void) => void): Promise<unknown[]> {
  return new Promise((resolve) => {
    send((...given) => resolve(given));
  });
}

/** The events of a socket, as they come. */
function record(socket: Socket): string[] {
  const events: string[] = [];
  for (const name of ["listening", "connect", "message", "error", "close"]) {
    socket.on(name, () => events.push(name));
  }
  return events;
}

/** What comes to a socket, in the order of its bytes: loopback keeps the order of one sender. */
async function received(socket: Socket, count: number): Promise<[Buffer, unknown][]> {
  const all: [Buffer, unknown][] = [];
  return new Promise((resolve) => {
    socket.on("message", (message, { address, family, size }) => {
      all.push([message, { address, family, size }]);
      if (all.length === count) resolve(all);
    });
  });
}

const programs: Record<string, Program> = {
  "every form of send": async (_dgram, open) => {
    const server = open("udp4");
    const port = await bound(server);
    const messages = received(server, 12);
    const client = open("udp4");
    client.send("text", port);
    await sent((done) => client.send("text", port, done));
    await sent((done) => client.send("text", port, "127.0.0.1", done));
    await sent((done) => client.send(Buffer.from("bytes"), port, "localhost", done));
    await sent((done) => client.send(Uint16Array.of(1, 2), port, done));
    await sent((done) => client.send(new DataView(new ArrayBuffer(3)), port, done));
    await sent((done) => client.send(["a", Buffer.from("b"), Uint8Array.of(67)], port, done));
    await sent((done) => client.send([], port, done));
    await sent((done) => client.send(Buffer.from("012345"), 2, 3, port, done));
    await sent((done) => client.send(Buffer.from("012345"), 1, 4, port, "127.0.0.1", done));
    await sent((done) => client.send("012345", 0, 2, port, done));
    client.send(Buffer.alloc(0), port, "127.0.0.1");
    return messages;
  },
  "the callback has the bytes": async (_dgram, open) => {
    const port = await bound(open("udp4"));
    const client = open("udp4");
    return [
      await sent((done) => client.send("12345", port, done)),
      await sent((done) => client.send(["12", "3"], port, "127.0.0.1", done)),
    ];
  },
  "who has sent it": async (_dgram, open) => {
    const server = open("udp4");
    const port = await bound(server);
    const client = open("udp4");
    const own = await bound(client);
    const message = once(server, "message");
    client.send("x", port, "127.0.0.1");
    const [, from] = await message;
    return [Object.keys(from), from.port === own, from];
  },
  "an echo": async (_dgram, open) => {
    const server = open("udp4");
    server.on("message", (message, from) => server.send(message, from.port, from.address));
    const port = await bound(server);
    const client = open("udp4");
    const back = received(client, 1);
    client.send("there and back", port, "127.0.0.1");
    return back;
  },
  ipv6: async (_dgram, open) => {
    const server = open("udp6");
    const port = await bound(server, "::1");
    const messages = received(server, 1);
    open("udp6").send("six", port);
    return [await messages, server.address()];
  },
  "the longest datagram": async (_dgram, open) => {
    const server = open("udp4");
    const port = await bound(server);
    const messages = received(server, 1);
    const client = open("udp4");
    const result = await sent((done) => client.send(Buffer.alloc(65_507, "L"), port, done));
    return [result, (await messages)[0]?.[0].length];
  },
  "a datagram that is too long": async (_dgram, open) => {
    const port = await bound(open("udp4"));
    const client = open("udp4");
    return [
      await sent((done) => client.send(Buffer.alloc(65_508), port, "127.0.0.1", done)),
      await sent((done) => client.send(Buffer.alloc(65_508), port, done)),
    ];
  },
  "many datagrams": async (_dgram, open) => {
    const server = open("udp4");
    server.bind(0, "127.0.0.1");
    await once(server, "listening");
    const messages = received(server, 200);
    const client = open("udp4");
    for (let index = 0; index < 200; index++) {
      client.send(`${index}`, server.address().port, "127.0.0.1");
    }
    return messages;
  },
  "events of a life": async (_dgram, open) => {
    const socket = open("udp4");
    const events = record(socket);
    const order: string[] = [];
    socket.bind(0, "127.0.0.1", () => order.push("bound"));
    order.push("after bind");
    await once(socket, "listening");
    socket.close(() => order.push("closed"));
    order.push("after close");
    await once(socket, "close");
    return [events, order];
  },
  "bind in each form": async (_dgram, open) => {
    const forms: ((socket: Socket) => unknown)[] = [
      (socket) => socket.bind(),
      (socket) => socket.bind(0),
      (socket) => socket.bind(0, "127.0.0.1"),
      (socket) => socket.bind({ port: 0, address: "127.0.0.1" }),
      (socket) => socket.bind({}),
      (socket) => socket.bind(0, "localhost"),
    ];
    const results: unknown[] = [];
    for (const form of forms) {
      const socket = open("udp4");
      const same = form(socket) === socket;
      await once(socket, "listening");
      results.push([same, socket.address()]);
    }
    return results;
  },
  "bind to an address that is taken": async (_dgram, open) => {
    const port = await bound(open("udp4"));
    const socket = open("udp4");
    const events = record(socket);
    socket.bind(port, "127.0.0.1", () => events.push("callback"));
    const [error] = await once(socket, "error");
    return [error, events, socket.listenerCount("listening")];
  },
  "bind to an address of another machine": async (_dgram, open) => {
    const socket = open("udp4");
    socket.bind(0, "192.0.2.1");
    return once(socket, "error").then(([error]) => error);
  },
  "bind to a name that there is not": async (_dgram, open) => {
    const socket = open("udp4");
    socket.bind(0, "name.invalid");
    return once(socket, "error").then(([error]) => [error.code, error.syscall, error.hostname]);
  },
  "bind again after a failure": async (_dgram, open) => {
    const port = await bound(open("udp4"));
    const socket = open("udp4");
    socket.bind(port, "127.0.0.1");
    await once(socket, "error");
    await bound(socket);
    return socket.address();
  },
  "a shared address": async (_dgram, open) => {
    const port = await bound(open({ type: "udp4", reuseAddr: true }), "0.0.0.0");
    const other = open({ type: "udp4", reuseAddr: true });
    other.bind(port, "0.0.0.0");
    await once(other, "listening");
    return other.address().port === port;
  },
  "ipv6Only leaves the port of ipv4 free": async (_dgram, open) => {
    const port = await bound(open({ type: "udp6", ipv6Only: true }), "::");
    const other = open("udp4");
    other.bind(port, "0.0.0.0");
    await once(other, "listening");
    return other.address().port === port;
  },
  "connect and send": async (_dgram, open) => {
    const server = open("udp4");
    const port = await bound(server);
    const messages = received(server, 4);
    const client = open("udp4");
    const events = record(client);
    await new Promise<void>((resolve) => client.connect(port, "127.0.0.1", resolve));
    await sent((done) => client.send("one", done));
    await sent((done) => client.send(Buffer.from("012345"), 2, 3, done));
    await sent((done) => client.send(["a", "b"], done));
    client.send("last");
    const again = thrown([() => client.connect(port), () => client.send("x", 0, 1, port)]);
    const remote = client.remoteAddress() as AddressInfo;
    return [await messages, events, remote, remote.port === port, again];
  },
  "disconnect, and what may be done then": async (_dgram, open) => {
    const [first, second, client] = [open("udp4"), open("udp4"), open("udp4")];
    const [firstPort, secondPort] = [await bound(first), await bound(second)];
    const atFirst = received(first, 2);
    const atSecond = received(second, 1);
    await new Promise<void>((resolve) => client.connect(firstPort, "127.0.0.1", resolve));
    client.send("to the peer");
    client.disconnect();
    const refused = thrown([
      () => client.remoteAddress(),
      () => client.disconnect(),
      () => client.send("to nobody"),
    ]);
    // A stranger may answer what the first one got.
    first.on("message", (message, { port }) => {
      if (String(message) === "to anybody") second.send("a stranger", port, "127.0.0.1");
    });
    const heard = once(client, "message");
    client.send("to anybody", firstPort, "127.0.0.1");
    const [message] = await heard;
    client.connect(secondPort, "127.0.0.1");
    await once(client, "connect");
    client.send("to the other");
    const late = open("udp4");
    late.connect(secondPort);
    const early = thrown([() => late.disconnect()]);
    await once(late, "connect");
    return [await atFirst, await atSecond, message, refused, early];
  },
  "connect to nobody": async (_dgram, open) => {
    const gone = open("udp4");
    const port = await bound(gone);
    gone.close();
    await once(gone, "close");
    const client = open("udp4");
    client.connect(port, "127.0.0.1");
    await once(client, "connect");
    const failed = once(client, "error");
    client.send("x");
    return (await failed)[0];
  },
  "close at once": async (_dgram, open) => {
    const socket = open("udp4");
    const events = record(socket);
    socket.close();
    await once(socket, "close");
    return events;
  },
  "close while it binds": async (_dgram, open) => {
    const socket = open("udp4");
    const events = record(socket);
    socket.bind(0, "127.0.0.1");
    socket.close();
    await once(socket, "close");
    return events;
  },
  "close behind a send": async (_dgram, open) => {
    const server = open("udp4");
    const port = await bound(server);
    const messages = received(server, 2);
    const client = open("udp4");
    client.send("one", port, "127.0.0.1");
    await sent((done) => client.send("two", port, "127.0.0.1", done));
    client.close();
    await once(client, "close");
    return messages;
  },
  "calls after the close": async (_dgram, open) => {
    const socket = open("udp4");
    socket.close();
    return thrown([
      () => socket.close(),
      () => socket.address(),
      () => socket.send("x", 1),
      () => socket.bind(),
      () => socket.remoteAddress(),
      () => socket.addMembership("224.0.0.114"),
      () => socket.setMulticastInterface("0.0.0.0"),
      () => socket.ref() === socket,
      () => socket.unref() === socket,
    ]);
  },
  "calls before the bind": async (_dgram, open) => {
    const socket = open("udp4");
    return thrown([
      () => socket.address(),
      () => socket.setTTL(1),
      () => socket.setBroadcast(true),
      () => socket.getRecvBufferSize(),
      () => socket.setSendBufferSize(100),
      () => socket.remoteAddress(),
      () => socket.disconnect(),
      () => socket.getSendQueueSize(),
      () => socket.getSendQueueCount(),
    ]);
  },
  "wrong arguments": async (dgram, open) => {
    const socket = open("udp4");
    return thrown([
      () => dgram.createSocket(wrong("udp5")),
      () => dgram.createSocket(wrong(undefined)),
      () => dgram.createSocket(wrong({})),
      () => dgram.createSocket({ type: "udp4", lookup: wrong(5) }),
      () => dgram.createSocket({ type: "udp4", recvBufferSize: -1 }),
      () => dgram.createSocket({ type: "udp4", sendBufferSize: wrong("x") }),
      () => dgram.createSocket({ type: "udp4", signal: wrong(5) }),
      () => socket.send("x", 0),
      () => socket.send("x", 70_000),
      () => socket.send("x", wrong("port")),
      () => socket.send(wrong(5), 1),
      () => socket.send(wrong([5]), 1),
      () => socket.send(wrong(undefined), 1),
      () => socket.send("abc", 2, 5, 1),
      () => socket.send("abc", 5, 1, 1),
      () => socket.send("x", 1, wrong(5)),
      () => socket.connect(0),
      () => socket.connect(1, wrong(5)),
      () => socket.connect(wrong("x")),
      () => socket.setTTL(wrong("x")),
      () => socket.setRecvBufferSize(-1),
      () => socket.setMulticastTTL(wrong("x")),
      () => socket.addMembership(wrong(undefined)),
      () => socket.dropMembership(wrong("")),
      () => socket.setMulticastInterface(wrong(5)),
      () => socket.addSourceSpecificMembership(wrong(5), "x"),
      () => socket.dropSourceSpecificMembership("x", wrong(5)),
      () => (socket as unknown as { sendto(...given: unknown[]): void }).sendto("x", "a"),
    ]);
  },
  options: async (_dgram, open) => {
    const socket = open({ type: "udp4", recvBufferSize: 10_000, sendBufferSize: 12_000 });
    await bound(socket);
    const sizes = [socket.getRecvBufferSize(), socket.getSendBufferSize()];
    socket.setRecvBufferSize(20_000);
    return [
      sizes,
      socket.getRecvBufferSize(),
      thrown([
        () => socket.setTTL(1),
        () => socket.setTTL(255),
        () => socket.setTTL(0),
        () => socket.setTTL(256),
        () => socket.setBroadcast(true),
        () => socket.setBroadcast(false),
      ]),
    ];
  },
  "broadcast needs the option": async (_dgram, open) => {
    const socket = open("udp4");
    await bound(socket, "0.0.0.0");
    return sent((done) => socket.send("x", 9, "255.255.255.255", done));
  },
  "a lookup of the program's own": async (_dgram, open) => {
    const asked: unknown[] = [];
    const lookup = (host: string, family: unknown, done: (...given: unknown[]) => void): void => {
      asked.push([host, family]);
      process.nextTick(done, null, "127.0.0.1", 4);
    };
    const socket = open({ type: "udp4", lookup: wrong(lookup) });
    const port = await bound(socket, "anything");
    const messages = received(socket, 1);
    await sent((done) => socket.send("x", port, "other", done));
    return [asked, await messages];
  },
  "a lookup that fails": async (_dgram, open) => {
    const lookup = (host: string, _family: unknown, done: (error: Error) => void): void => {
      if (host === "0.0.0.0") (done as (...given: unknown[]) => void)(null, host);
      else process.nextTick(done, new Error("no such name"));
    };
    const socket = open({ type: "udp4", lookup: wrong(lookup) });
    const result = await sent((done) => socket.send("x", 9, "nowhere", done));
    const failed = once(socket, "error");
    socket.send("x", 9, "nowhere");
    return [result, await failed];
  },
  "a signal closes it": async (_dgram, open) => {
    const controller = new AbortController();
    const socket = open({ type: "udp4", signal: controller.signal });
    await bound(socket);
    controller.abort();
    await once(socket, "close");
    const other = open({ type: "udp4", signal: AbortSignal.abort() });
    await once(other, "close");
    return thrown([() => socket.address(), () => other.address()]);
  },
  "a listener that throws does not stop the next": async (_dgram, open) => {
    const server = open("udp4");
    const port = await bound(server);
    const errors: unknown[] = [];
    const onUncaught = (error: unknown): void => void errors.push(error);
    process.on("uncaughtException", onUncaught);
    let count = 0;
    const second = new Promise<void>((resolve) => {
      server.on("message", () => {
        if (++count === 2) resolve();
        else throw new Error("of a listener");
      });
    });
    const client = open("udp4");
    await sent((done) => client.send("one", port, done));
    await sent((done) => client.send("two", port, done));
    await second;
    // The error of one listener is reported behind the calls of the others.
    await new Promise(setImmediate);
    process.off("uncaughtException", onUncaught);
    return errors;
  },
};

const multicast: Record<string, Program> = {
  "a group of the other family": async (_dgram, open) => {
    const socket = open("udp4");
    await bound(socket, "0.0.0.0");
    return thrown([() => socket.addMembership("ff02::1"), () => socket.dropMembership("ff02::1")]);
  },
  "options of multicast": async (_dgram, open) => {
    const socket = open("udp4");
    await bound(socket, "0.0.0.0");
    return thrown([
      () => socket.setMulticastTTL(8),
      () => socket.setMulticastTTL(256),
      () => socket.setMulticastLoopback(true),
      () => socket.setMulticastLoopback(false),
      () => socket.setMulticastInterface("127.0.0.1"),
      () => socket.setMulticastInterface("0.0.0.0"),
      () => socket.setMulticastInterface("not an address"),
      () => socket.addMembership("256.1.1.1"),
      () => socket.addMembership("127.0.0.1"),
      () => socket.addMembership("224.0.0.114", "127.0.0.1"),
      () => socket.addMembership("224.0.0.114", "127.0.0.1"),
      () => socket.dropMembership("224.0.0.114", "127.0.0.1"),
      () => socket.dropMembership("224.0.0.114", "127.0.0.1"),
      () => socket.addSourceSpecificMembership("127.0.0.1", "232.1.1.1", "127.0.0.1"),
      () => socket.dropSourceSpecificMembership("127.0.0.1", "232.1.1.1", "127.0.0.1"),
      () => socket.addSourceSpecificMembership("x", "232.1.1.1"),
    ]);
  },
  "options of multicast before the bind": async (_dgram, open) => {
    const socket = open("udp4");
    return thrown([
      () => socket.setMulticastTTL(8),
      () => socket.setMulticastLoopback(true),
      () => socket.setMulticastInterface("0.0.0.0"),
      () => socket.addMembership("x"),
    ]);
  },
  "options of multicast over ipv6": async (_dgram, open) => {
    const socket = open("udp6");
    await bound(socket, "::");
    return thrown([
      () => socket.setMulticastTTL(8),
      () => socket.setMulticastLoopback(true),
      () => socket.setMulticastInterface("::%1"),
      () => socket.addMembership("ff02::1:2", "::%1"),
      () => socket.dropMembership("ff02::1:2", "::%1"),
      () => socket.addMembership("::1", "::%1"),
    ]);
  },
  "groups through the interface that the system chooses": async (_dgram, open) => {
    const socket = open("udp4");
    await bound(socket, "0.0.0.0");
    const of6 = open("udp6");
    await bound(of6, "::");
    return thrown([
      () => socket.addMembership("224.0.0.114"),
      () => socket.addMembership("224.0.0.114", "0.0.0.0"),
      () => socket.dropMembership("224.0.0.114"),
      () => socket.dropMembership("224.0.0.114"),
      () => socket.addMembership("ff02::1:2"),
      () => socket.addSourceSpecificMembership("127.0.0.1", "232.1.1.1"),
      () => socket.addSourceSpecificMembership("127.0.0.1", "232.1.1.1"),
      () => socket.dropSourceSpecificMembership("127.0.0.1", "232.1.1.1"),
      () => socket.dropSourceSpecificMembership("127.0.0.1", "232.1.1.1"),
      () => of6.addSourceSpecificMembership("::1", "ff3e::1234", "::%1"),
      () => of6.dropSourceSpecificMembership("::1", "ff3e::1234", "::%1"),
      () => of6.dropSourceSpecificMembership("::1", "ff3e::1234", "::%1"),
      () => of6.addSourceSpecificMembership("127.0.0.1", "ff3e::1234"),
    ]);
  },
  "a datagram to a group": async (_dgram, open) => {
    const socket = open({ type: "udp4", reuseAddr: true });
    const port = await bound(socket, "0.0.0.0");
    socket.addMembership("224.0.0.114", "127.0.0.1");
    socket.setMulticastInterface("127.0.0.1");
    socket.setMulticastLoopback(true);
    const messages = received(socket, 1);
    socket.send("to all", port, "224.0.0.114");
    return messages;
  },
};

if (process.platform === "linux") Object.assign(programs, multicast);
else {
  test.skip("multicast");
  process.stdout.write(
    "skipped: multicast: interfaces are named by their addresses on Linux only\n",
  );
}

for (const [name, program] of Object.entries(programs)) {
  test(name, async () => {
    const theirs = await outcomeOf(program, nodeDgram);
    assert.equal(await outcomeOf(program, ourDgram as unknown as Dgram), theirs);
  });
}

// Node makes an IPv6 socket of it then.
test("a group of the other family is refused before the bind, too", async () => {
  const socket = ourDgram.createSocket("udp4");
  assert.throws(
    () => socket.addMembership("ff02::1"),
    (error: NodeJS.ErrnoException) => error.code === "ENOPROTOOPT",
  );
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  socket.close();
});

// Node has an address by then, and says so in the call.
test("what fails behind the bind is an error event, and the socket goes on", async () => {
  const socket = ourDgram.createSocket("udp4");
  const rejected: unknown[] = [];
  const onRejection = (error: unknown): void => void rejected.push(error);
  process.on("unhandledRejection", onRejection);
  try {
    const failed = once(socket, "error");
    const listening = once(socket, "listening");
    socket.addMembership("239.1.2.3", "203.0.113.1"); // of no interface here
    socket.bind(0, "127.0.0.1");
    await listening;
    const [error] = await failed;
    assert.is(error.code, "ENODEV");
    const heard = once(socket, "message");
    socket.send("still there", socket.address().port, "127.0.0.1");
    assert.is(String((await heard)[0]), "still there");
    socket.close();
    await once(socket, "close");
  } finally {
    process.off("unhandledRejection", onRejection);
  }
  assert.equal(rejected, []);
});

test.run();
