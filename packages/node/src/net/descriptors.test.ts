// Servers and sockets of descriptors, and the address of a server before "listening": the same
// programs on node:net and on ours.

import dgramNode from "node:dgram";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import nodeNet, { type AddressInfo, type Server } from "node:net";
import { Completion, IO } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import dgram from "../dgram/index.js";
import net from "./index.js";
import { compare, describe, event, type Log, type Net } from "./scene.test.support.js";

const test = suite("descriptors");

/** Opens sockets, and gives away their numbers. */
const io = await IO.open();

const IS_NONE = 100_000;

async function echoOver(net: Net, log: Log, server: Server): Promise<void> {
  server.on("connection", (socket) => socket.pipe(socket));
  const { port } = server.address() as AddressInfo;
  const client = net.connect(port, "127.0.0.1");
  client.on("data", (data) => log.note("client", String(data)));
  client.end("hello");
  await event(client, "close");
}

/** A number of a socket that is bound, and does not listen. */
async function boundNumber(): Promise<number> {
  const detached = IO.openSync({ mode: "detached" });
  const results: number[] = [];
  const done = (_completion: unknown, result: number): void => {
    results.push(result);
  };
  const { ring } = detached;
  ring.socket(new Completion(), done, "ipv4");
  detached.run();
  const [descriptor = -1] = results;
  ring.bind(new Completion(), done, descriptor, { family: "ipv4", host: "127.0.0.1", port: 0 });
  detached.run();
  ring.detach(new Completion(), done, descriptor);
  detached.run();
  await detached.close();
  return results[2] as number;
}

const programs: Record<string, (net: Net, log: Log) => Promise<void>> = {
  "the address right behind listen()": async (net, log) => {
    const server = net.createServer();
    log.watch("server", server, ["listening", "close", "error"]);
    log.note("server", String(server.address()));
    server.listen(0);
    const { port, ...others } = server.address() as AddressInfo;
    log.note("server", `${port > 0} ${server.listening} ${JSON.stringify(others)}`);
    await event(server, "listening");
    log.note("server", String((server.address() as AddressInfo).port === port));
    await echoOver(net, log, server);
    server.close();
    log.note("server", `${server.address()} ${server.listening}`);
    await event(server, "close");
  },
  "a host is looked up first": async (net, log) => {
    const server = net.createServer();
    server.listen(0, "127.0.0.1");
    log.note("server", String(server.address()));
    await event(server, "listening");
    log.note("server", (server.address() as AddressInfo).address);
    server.close();
    await event(server, "close");
  },
  "a port that is taken": async (net, log) => {
    const first = net.createServer().listen(0);
    const { port } = first.address() as AddressInfo;
    const second = net.createServer();
    log.watch("second", second, ["listening", "close", "error"]);
    second.listen(port);
    log.note("second", `${second.address()} ${second.listening}`);
    await event(second, "error");
    // It may try again.
    second.listen(0);
    await event(second, "listening");
    for (const server of [first, second]) {
      server.close();
      await event(server, "close");
    }
  },
  "closed before it is listening": async (net, log) => {
    const server = net.createServer();
    log.watch("server", server, ["listening", "close", "error"]);
    server.listen(0);
    server.close();
    log.note("server", `${server.address()} ${server.listening}`);
    await event(server, "close");
    server.listen(0);
    log.note("server", String(server.listening));
    await event(server, "listening");
    server.close();
    await event(server, "close");
  },
  "a server that a connection starts": async (net, log) => {
    const first = net.createServer((socket) => {
      socket.once("data", () => {
        const second = net.createServer().listen(0);
        log.note("second", String((second.address() as AddressInfo).port > 0));
        second.close();
        socket.end();
      });
    });
    first.listen(0);
    const client = net.connect((first.address() as AddressInfo).port, "127.0.0.1");
    client.resume().write("x");
    await event(client, "close");
    first.close();
    await event(first, "close");
  },
  "ipv6Only leaves the port of ipv4 free": async (net, log) => {
    const first = net.createServer();
    first.listen({ port: 0, host: "::", ipv6Only: true });
    await event(first, "listening");
    const second = net.createServer();
    log.watch("second", second, ["listening", "error"]);
    second.listen((first.address() as AddressInfo).port, "127.0.0.1");
    await event(second, "listening");
    for (const server of [first, second]) {
      server.close();
      await event(server, "close");
    }
  },
  "listen on a descriptor that listens": async (net, log) => {
    const fd = await (await io.listen({ host: "127.0.0.1", port: 0 })).detach();
    const server = net.createServer();
    log.watch("server", server, ["listening", "close", "error"]);
    server.listen({ fd }, () => log.note("server", "called"));
    log.note("server", (server.address() as AddressInfo).address);
    await event(server, "listening");
    await echoOver(net, log, server);
    server.close();
    await event(server, "close");
  },
  "listen on a descriptor that is bound alone": async (net, log) => {
    const fd = await boundNumber();
    const server = net.createServer();
    log.watch("server", server, ["listening", "close", "error"]);
    server.listen({ fd });
    await event(server, "listening");
    await echoOver(net, log, server);
    server.close();
    await event(server, "close");
  },
  "listen on a number without a descriptor, and on no socket": async (net, log) => {
    const file = openSync("/dev/null", "r");
    for (const fd of [IS_NONE, file]) {
      const server = net.createServer();
      log.watch("server", server, ["listening", "close", "error"]);
      server.listen({ fd });
      log.note("server", String(server.listening));
      await event(server, "error");
    }
    for (const fd of [-1, "1", null]) {
      log.attempt("server", String(fd), () => net.createServer().listen({ fd } as object));
    }
    closeSync(file);
  },
  "a socket of a descriptor": async (net, log) => {
    const server = net.createServer((socket) => socket.pipe(socket)).listen(0);
    const { port } = server.address() as AddressInfo;
    for (const given of [(fd: number) => ({ fd }), (fd: number) => fd] as const) {
      const fd = await (await io.connect({ host: "127.0.0.1", port })).detach();
      const client = new net.Socket(given(fd) as object);
      log.watch("client", client, ["connect", "end", "close", "error"]);
      log.note("client", `${client.pending} ${client.readyState} ${client.remotePort === port}`);
      client.on("data", (data) => log.note("client", String(data)));
      client.end("hello");
      await event(client, "close");
    }
    server.close();
    await event(server, "close");
  },
  "a socket of what is none": async (net, log) => {
    const file = openSync(import.meta.filename, "r");
    const terminals = [-1, 1.5, "1", Number.NaN, 2 ** 31];
    for (const fd of [file, IS_NONE, ...terminals]) {
      const what = fd === file ? "file" : String(fd);
      log.attempt("socket", what, () => new net.Socket({ fd: fd as number }));
    }
    closeSync(file);
  },
};

for (const [name, program] of Object.entries(programs)) {
  test(name, () => compare(program));
}

test("datagrams by a socket of a descriptor", async () => {
  for (const module of [dgramNode, dgram as unknown as typeof dgramNode]) {
    const socket = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    const { port } = socket.localAddress as { port: number };
    const server = module.createSocket("udp4");
    const events: string[] = [];
    server.on("listening", () => events.push("listening"));
    server.bind({ fd: await socket.detach() });
    assert.equal(events, ["listening"], "it has its address at once");
    assert.is(server.address().port, port);
    const client = module.createSocket("udp4");
    const heard = once(server, "message");
    client.send("hello", port, "127.0.0.1");
    assert.is(String((await heard)[0]), "hello");
    for (const one of [client, server]) await new Promise<void>((resolve) => one.close(resolve));
    const file = openSync(import.meta.filename, "r");
    const third = module.createSocket("udp4");
    const faults = [file, IS_NONE].map((fd) => {
      try {
        third.bind({ fd });
        return "bound";
      } catch (error) {
        third.removeAllListeners();
        return describe(error);
      }
    });
    assert.match(faults[0] as string, "ERR_INVALID_FD_TYPE Unsupported fd type: FILE");
    closeSync(file);
  }
});

test("a handle of other code is refused, with what to give in its place", async () => {
  const other = nodeNet.createServer();
  other.listen(0, "127.0.0.1");
  await once(other, "listening");
  const calls = [
    () => net.createServer().listen(other),
    () => net.createServer().listen({ handle: other } as never),
    () => new net.Socket({ handle: {} } as never),
  ];
  for (const call of calls) {
    assert.throws(
      call,
      (error: NodeJS.ErrnoException) =>
        error.code === "ERR_IO_NOT_SUPPORTED" && error.message.includes("give `fd`"),
    );
  }
  other.close();
});

test.after(() => io.close());

test.run();
