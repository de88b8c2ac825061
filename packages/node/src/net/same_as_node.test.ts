// The same programs on node:net and on ours: events, their order at each end, codes and bytes.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as streams from "node:stream";
import { addAbortSignal, finished, PassThrough, pipeline, Transform } from "node:stream";
import { promisify } from "node:util";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import ours from "./index.js";
import { compare, describe, event, type Log, type Net, over, pair } from "./scene.test.support.js";

// The types of Node 20 lack it.
const { compose } = streams as unknown as { compose(...given: unknown[]): streams.Duplex };

const test = suite("same as node:net");

async function listening(net: Net, log: Log): Promise<[import("node:net").Server, number]> {
  const server = net.createServer();
  log.watch("server", server, ["listening", "close", "error"]);
  server.listen(0, "127.0.0.1");
  await event(server, "listening");
  return [server, (server.address() as AddressInfo).port];
}

function noteBytes(log: Log, who: string, socket: Socket): void {
  const hash = createHash("sha1");
  let bytes = 0;
  socket.on("data", (data: Buffer) => {
    bytes += data.length;
    hash.update(data);
  });
  socket.on("end", () => log.note(who, `${bytes} bytes ${hash.digest("hex")}`));
}

/** Sends it from one end, and waits until it is at the other and every tick of it is over. */
async function arrives(from: Socket, to: Socket, text: string): Promise<void> {
  const expected = to.bytesRead + text.length;
  from.write(text);
  while (to.bytesRead < expected) await promisify(setImmediate)();
  for (let turn = 0; turn < 4; turn++) await promisify(setImmediate)();
}

const codeOf = (error?: NodeJS.ErrnoException | null): string => error?.code ?? String(error);

/** A client whose peer has reset the connection, which it does not know as it does not read. */
async function resetBehind(net: Net, log: Log, who: string): Promise<Socket> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await event(server, "listening");
  const accepted = event(server, "connection");
  const client = net.connect((server.address() as AddressInfo).port, "127.0.0.1").pause();
  await event(client, "connect");
  log.watch(who, client, ["error", "finish", "close"]);
  const [served] = (await accepted) as [Socket];
  const closed = event(served, "close");
  served.resetAndDestroy();
  await closed;
  server.close();
  return client;
}

/** Runs the body, and collects the messages of what is thrown where nobody catches it. */
async function withFaults(body: (faults: Set<string>) => Promise<void>): Promise<void> {
  const faults = new Set<string>();
  const before = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", ({ message }) => faults.add(message));
  try {
    await body(faults);
  } finally {
    process.removeAllListeners("uncaughtException");
    for (const one of before) process.on("uncaughtException", one);
  }
}

const programs: Record<string, (net: Net, log: Log) => Promise<void>> = {
  "a reader that changes its ways": async (net, log) => {
    const ends = await pair(net, log);
    const { client, served } = ends;
    const state = (): void => {
      const { readableFlowing, readableLength, readableDidRead, readableEncoding } = client;
      log.note("client", [readableFlowing, readableLength, readableDidRead].join(" "));
      log.note("client", `${readableEncoding} ${client.isPaused()}`);
    };
    const send = async (text: string): Promise<void> => {
      await arrives(served, client, text);
      state();
    };
    const hear = (data: Buffer | string): void => log.note("client", `${typeof data} ${data}`);
    client.on("data", hear);
    await send("first");
    await send("second");
    client.off("data", hear);
    await send("unheard");
    client.on("data", hear);
    await send("heard");
    client.once("data", () => client.pause());
    await send("the last");
    await send("held");
    client.resume();
    await send("on");
    client.once("data", () => client.setEncoding("hex"));
    await send("bytes");
    await send("as hex");
    const read = (): void => log.note("client", `read ${client.read()}`);
    client.on("readable", read);
    await send("readable");
    client.off("readable", read);
    await send("flowing");
    const through = new PassThrough();
    through.on("data", (data: Buffer) => log.note("through", String(data)));
    client.pipe(through);
    await send("piped");
    client.unpipe(through);
    await send("not piped");
    client.resume();
    await send("again");
    served.end();
    await over(ends);
  },
  "a reader that throws its socket away": async (net, log) => {
    const ends = await pair(net, log);
    const { client, served } = ends;
    let count = 0;
    client.on("data", (data: Buffer) => {
      log.note("client", String(data));
      if (++count === 3) client.destroy();
    });
    for (const text of ["one", "two", "three"]) await arrives(served, client, text);
    await over(ends);
    log.note("client", `${client.bytesRead} ${client.readableAborted} ${client.readableDidRead}`);
  },
  "an echo": async (net, log) => {
    const ends = await pair(net, log);
    noteBytes(log, "client", ends.client);
    ends.served.pipe(ends.served);
    ends.client.write("hello ");
    ends.client.end("world");
    await over(ends);
    log.note("client", `${ends.client.bytesRead} ${ends.client.bytesWritten}`);
  },
  "half-open": async (net, log) => {
    const ends = await pair(net, log, { server: { allowHalfOpen: true } });
    noteBytes(log, "client", ends.client);
    ends.served.resume();
    ends.client.end();
    await event(ends.served, "end");
    log.note("served", ends.served.readyState);
    ends.served.write("late", () => log.note("served", "written"));
    ends.served.end("r");
    await over(ends);
  },
  "the states of a socket": async (net, log) => {
    const [server, port] = await listening(net, log);
    server.on("connection", (socket) => socket.resume());
    const client = new net.Socket();
    const note = (): void => {
      const { pending, connecting, readyState, destroyed, closed } = client;
      log.note("client", [pending, connecting, readyState, destroyed, closed].join(" "));
      log.note("client", `${client.remoteFamily} ${client.localFamily} ${client.remoteAddress}`);
    };
    note();
    client.connect(port, "127.0.0.1");
    note();
    await event(client, "connect");
    note();
    client.end();
    await event(client, "finish");
    log.note("client", `${client.writable} ${client.writableEnded} ${client.writableFinished}`);
    await event(client, "close");
    note();
    log.note("client", JSON.stringify(client.address()));
    server.close();
    await event(server, "close");
  },
  "a refused connection": async (net, log) => {
    const [server, port] = await listening(net, log);
    server.close();
    await event(server, "close");
    const client = net.connect(port, "127.0.0.1");
    log.watch("client", client, ["connect", "error", "close", "connectionAttempt"]);
    log.watch("client", client, ["connectionAttemptFailed"]);
    await event(client, "close");
  },
  "a unix socket that is not there": async (net, log) => {
    const client = net.connect("/nowhere/socket");
    log.watch("client", client, ["connect", "error", "close"]);
    await event(client, "close");
  },
  "a unix socket": async (net, log) => {
    const folder = mkdtempSync(join(tmpdir(), "io-node-"));
    const path = join(folder, "socket");
    const server = net.createServer((socket) => {
      log.note("served", JSON.stringify([socket.address(), socket.remoteAddress ?? null]));
      socket.pipe(socket);
    });
    server.listen({ path, readableAll: true, writableAll: true });
    await event(server, "listening");
    log.note("server", String(server.address() === path));
    log.note("server", (statSync(path).mode & 0o666).toString(8));
    const client = net.connect(path);
    noteBytes(log, "client", client);
    client.end("over a path");
    await event(client, "close");
    server.close();
    await event(server, "close");
    rmSync(folder, { recursive: true });
  },
  "an address in use": async (net, log) => {
    const [server, port] = await listening(net, log);
    const second = net.createServer();
    log.watch("second", second, ["listening", "error", "close"]);
    second.listen(port, "127.0.0.1");
    const [error] = (await event(second, "error")) as [NodeJS.ErrnoException];
    log.note("second", `${error.errno} ${(error as { address?: string }).address}`);
    log.note("second", String(second.listening));
    server.close();
    await event(server, "close");
  },
  "a server that is used wrongly": async (net, log) => {
    const [server] = await listening(net, log);
    log.attempt("server", "again", () => server.listen(0));
    server.close(() => log.note("server", "closed"));
    await event(server, "close");
    server.close((error) => log.note("server", describe(error)));
    await event(server, "close");
  },
  "a write after the end": async (net, log) => {
    const ends = await pair(net, log);
    ends.served.resume();
    ends.client.end();
    ends.client.write("late", (error) => log.note("client", `written ${describe(error)}`));
    await over(ends);
  },
  "a write after the peer's end": async (net, log) => {
    const ends = await pair(net, log);
    ends.client.end();
    ends.served.resume();
    const closed = event(ends.client.resume(), "close");
    await event(ends.served, "close");
    ends.served.write("late", (error) => log.note("served", `written ${describe(error)}`));
    await closed;
    await new Promise((resolve) => ends.server.close(resolve));
  },
  "a write after destroy": async (net, log) => {
    const ends = await pair(net, log);
    ends.served.resume();
    ends.client.destroy();
    ends.client.destroy(new Error("not seen"));
    ends.client.write("late", (error) => log.note("client", `written ${describe(error)}`));
    await over(ends);
  },
  "destroy with an error": async (net, log) => {
    const ends = await pair(net, log);
    ends.served.resume();
    ends.client.destroy(new Error("enough"));
    await over(ends);
  },
  "destroy behind writes": async (net, log) => {
    const ends = await pair(net, log);
    noteBytes(log, "served", ends.served);
    ends.client.write("one ");
    ends.client.write("two ");
    ends.client.write("three");
    ends.client.destroy();
    await over(ends);
  },
  "destroySoon sends what was written": async (net, log) => {
    const ends = await pair(net, log);
    noteBytes(log, "served", ends.served);
    ends.client.write(Buffer.alloc(300_000, "x"));
    ends.client.destroySoon();
    await over(ends);
  },
  "a time-out": async (net, log) => {
    const ends = await pair(net, log);
    ends.client.setTimeout(30, () => log.note("client", "called"));
    log.note("client", String(ends.client.timeout));
    await event(ends.client, "timeout");
    ends.client.setTimeout(0);
    log.attempt("client", "negative", () => ends.client.setTimeout(-1));
    log.attempt("client", "text", () => ends.client.setTimeout("5" as unknown as number));
    log.attempt("client", "callback", () => ends.client.setTimeout(5, 5 as unknown as () => void));
    // It may have been set before the callback was refused.
    ends.client.setTimeout(0);
    ends.client.end();
    ends.client.resume();
    ends.served.resume();
    await over(ends);
  },
  "more than the buffers of the kernel take": async (net, log) => {
    const ends = await pair(net, log);
    ends.served.pause();
    // It fills the buffers of both sockets, however large the kernel makes them.
    while (ends.client.writableLength < 1_000_000) {
      ends.client.write(Buffer.alloc(1_000_000, "y"));
      await promisify(setImmediate)();
    }
    log.note("client", `${ends.client.writableNeedDrain}`);
    const { bytesWritten } = ends.client;
    let bytes = 0;
    ends.served.on("data", (data: Buffer) => {
      bytes += data.length;
    });
    ends.served.resume();
    await event(ends.client, "drain");
    log.note("client", `${ends.client.writableLength} ${ends.client.bytesWritten - bytesWritten}`);
    ends.client.end();
    await over(ends);
    log.note("served", `${bytes - bytesWritten}`);
  },
  "pause and resume": async (net, log) => {
    const ends = await pair(net, log);
    noteBytes(log, "served", ends.served);
    ends.served.pause();
    ends.client.end(Buffer.alloc(700_000, "z"));
    for (let turn = 0; turn < 20; turn++) await promisify(setImmediate)();
    log.note("served", `${ends.served.isPaused()} ${ends.served.readableFlowing}`);
    ends.served.resume();
    await over(ends);
  },
  "readable and read()": async (net, log) => {
    const ends = await pair(net, log);
    let text = "";
    ends.served.on("readable", () => {
      for (let data = ends.served.read(); data !== null; data = ends.served.read()) text += data;
    });
    ends.served.on("end", () => log.note("served", text));
    ends.client.write("abc");
    ends.client.end("def");
    await over(ends);
  },
  "text in an encoding": async (net, log) => {
    const ends = await pair(net, log);
    let text = "";
    ends.served.setEncoding("utf8");
    ends.served.on("data", (data: string) => {
      text += data;
    });
    ends.served.on("end", () => log.note("served", text));
    ends.client.setDefaultEncoding("latin1");
    ends.client.write("é");
    ends.client.write("€ä", "utf8");
    ends.client.write("c3a4", "hex");
    ends.client.write("w6Q=", "base64");
    ends.client.write("ab", "utf16le");
    ends.client.end("é", "latin1");
    await over(ends);
  },
  "cork and uncork": async (net, log) => {
    const ends = await pair(net, log);
    noteBytes(log, "served", ends.served);
    ends.client.cork();
    for (let index = 0; index < 3000; index++) {
      ends.client.write(
        `line ${index}\n`,
        () => index % 1000 === 0 && log.note("client", `${index}`),
      );
    }
    log.note("client", `${ends.client.writableCorked} ${ends.client.writableLength}`);
    ends.client.uncork();
    ends.client.end();
    await over(ends);
  },
  "cork behind writes that are on their way": async (net, log) => {
    for (const corks of [1, 2]) {
      const ends = await pair(net, log);
      const { client, served } = ends;
      let text = "";
      served.on("data", (data: Buffer) => (text += data.toString()));
      const arrived = async (expected: string): Promise<void> => {
        while (text.length < expected.length) await promisify(setImmediate)();
        for (let turn = 0; turn < 4; turn++) await promisify(setImmediate)();
        const { writableCorked, writableLength, writableNeedDrain, bytesWritten } = client;
        log.note("sent", `${text} ${bytesWritten}`);
        log.note("client", `${writableCorked} ${writableLength} ${writableNeedDrain}`);
      };
      const write = (letter: string): void => {
        client.write(letter, () => log.note("client", `${letter} ${client.writableCorked}`));
      };
      for (const letter of "abcd") write(letter);
      for (let count = 0; count < corks; count++) client.cork();
      for (const letter of "efg") write(letter);
      await arrived("abcd");
      client.uncork();
      if (corks === 2) await arrived("abcd");
      write("h");
      if (corks === 2) client.uncork();
      await arrived("abcdefgh");
      write("i");
      write("j");
      client.cork();
      write("k");
      client.end("l");
      client.resume();
      await over(ends);
      log.note("sent", text);
    }
  },
  "destroy of a corked socket behind writes": async (net, log) => {
    const ends = await pair(net, log);
    const { client, served } = ends;
    let text = "";
    served.on("data", (data: Buffer) => (text += data.toString()));
    client.write("one ");
    client.write("two ");
    client.cork();
    client.write("three", (error) => log.note("callback", describe(error)));
    client.destroy();
    await over(ends);
    log.note("bytes", text);
  },
  "what is written before the connection": async (net, log) => {
    const [server, port] = await listening(net, log);
    const accepted = event(server, "connection");
    const client = net.connect(port, "127.0.0.1");
    log.watch("client", client, ["connect", "finish", "end", "close"]);
    client.write("early ", () => log.note("client", "written"));
    log.note("client", `${client.bytesWritten} ${client.writableLength}`);
    client.end("and over");
    const [served] = (await accepted) as [Socket];
    noteBytes(log, "served", served);
    await event(client, "close");
    server.close();
    await event(server, "close");
  },
  "destroy before the connection": async (net, log) => {
    const [server, port] = await listening(net, log);
    const client = net.connect(port, "127.0.0.1");
    log.watch("client", client, ["connect", "error", "close"]);
    client.write("lost", (error) => log.note("client", `written ${describe(error)}`));
    client.destroy();
    await event(client, "close");
    server.close();
    await event(server, "close");
  },
  "a socket that connects again": async (net, log) => {
    const [server, port] = await listening(net, log);
    server.on("connection", (socket: Socket) => socket.end("bye"));
    const client = new net.Socket();
    log.watch("client", client, ["connect", "end", "close"]);
    for (let round = 0; round < 3; round++) {
      client.connect(port, "127.0.0.1");
      client.resume();
      await event(client, "close");
    }
    log.note("client", String(client.bytesRead));
    server.close();
    await event(server, "close");
  },
  "a signal": async (net, log) => {
    const [server, port] = await listening(net, log);
    const abort = new AbortController();
    const client = net.connect({ port, host: "127.0.0.1", signal: abort.signal });
    log.watch("client", client, ["connect", "error", "close"]);
    await event(client, "connect");
    abort.abort();
    await event(client, "close");
    const aborted = new net.Socket({ signal: AbortSignal.abort() });
    log.watch("aborted", aborted, ["error"]);
    await event(aborted, "close");
    const serverAbort = new AbortController();
    const second = net.createServer().listen({ port: 0, signal: serverAbort.signal });
    await event(second, "listening");
    serverAbort.abort();
    await event(second, "close");
    server.close();
    await event(server, "close");
  },
  "connections at most": async (net, log) => {
    const [server, port] = await listening(net, log);
    server.maxConnections = 1;
    server.on("connection", (socket: Socket) => socket.resume());
    const first = net.connect(port, "127.0.0.1");
    await event(server, "connection");
    const second = net.connect(port, "127.0.0.1").resume();
    const [drop] = (await event(server, "drop")) as [{ localPort: number; remoteFamily: string }];
    log.note("server", `drop ${drop.localPort === port} ${drop.remoteFamily}`);
    await event(second, "close");
    const count = await promisify(server.getConnections.bind(server))();
    log.note("server", String(count));
    server.close();
    first.end();
    await event(server, "close");
  },
  "connections that begin paused": async (net, log) => {
    const ends = await pair(net, log, { server: { pauseOnConnect: true } });
    log.note("served", `${ends.served.readableFlowing} ${ends.served.isPaused()}`);
    noteBytes(log, "served", ends.served);
    ends.client.end("waits");
    for (let turn = 0; turn < 10; turn++) await promisify(setImmediate)();
    log.note("served", String(ends.served.bytesRead));
    ends.served.resume();
    await over(ends);
  },
  "a look-up of the program's own": async (net, log) => {
    const [server, port] = await listening(net, log);
    const lookups: Record<string, object> = {
      good: (_host: string, options: { all?: boolean }, found: (...given: unknown[]) => void) =>
        options.all
          ? found(null, [{ address: "127.0.0.1", family: 4 }])
          : found(null, "127.0.0.1", 4),
      bad: (_host: string, _options: object, found: (error: Error) => void) =>
        found(Object.assign(new Error("no such name"), { code: "ENOTFOUND" })),
      wrong: (_host: string, options: { all?: boolean }, found: (...given: unknown[]) => void) =>
        options.all ? found(null, [{ address: "x", family: 4 }]) : found(null, "x", 4),
    };
    for (const autoSelectFamily of [true, false]) {
      for (const [name, lookup] of Object.entries(lookups)) {
        const options = { port, host: "some.name", lookup, autoSelectFamily } as never;
        const client = net.connect(options);
        log.watch(name, client, ["lookup", "connect", "error", "close"]);
        client.on("connect", () => client.destroy());
        await event(client, "close");
      }
    }
    server.close();
    await event(server, "close");
  },
  "several addresses": async (net, log) => {
    const [server, port] = await listening(net, log);
    const lookup = (_host: string, _options: object, found: (...given: unknown[]) => void): void =>
      found(null, [
        { address: "::1", family: 6 },
        { address: "127.0.0.1", family: 4 },
      ]);
    const names = ["lookup", "connect", "error", "close"];
    names.push("connectionAttempt", "connectionAttemptFailed");
    const client = net.connect({ port, host: "both", lookup, autoSelectFamily: true } as never);
    log.watch("client", client, ["lookup", "connect", "error", "close"]);
    await event(client, "connect");
    log.note("client", `${client.autoSelectFamilyAttemptedAddresses?.length}`);
    client.destroy();
    await event(client, "close");
    server.close();
    await event(server, "close");
    const refused = net.connect({ port, host: "both", lookup, autoSelectFamily: true } as never);
    const ended = event(refused, "close");
    const [error] = (await event(refused, "error")) as [AggregateError & { code: string }];
    log.note("refused", `${error.constructor.name} ${error.code} ${error.errors.length}`);
    for (const one of error.errors) log.note("refused", describe(one));
    await ended;
  },
  "memory of the program's own": async (net, log) => {
    const [server, port] = await listening(net, log);
    server.on("connection", (socket: Socket) => socket.end("hello world, in pieces"));
    const buffer = Buffer.alloc(8);
    let text = "";
    const client = net.connect({
      port,
      host: "127.0.0.1",
      onread: {
        buffer,
        callback: (count, bytes) => {
          text += Buffer.from(bytes.buffer, bytes.byteOffset, count).toString();
          return true;
        },
      },
    });
    log.watch("client", client, ["data", "end", "close"]);
    await event(client, "close");
    log.note("client", text);
    server.close();
    await event(server, "close");
  },
  "an async iterator": async (net, log) => {
    const ends = await pair(net, log);
    ends.client.end("iterated");
    let text = "";
    for await (const data of ends.served) text += data;
    log.note("served", text);
    ends.client.resume();
    await over(ends);
  },
  "pipeline, finished, compose and addAbortSignal": async (net, log) => {
    const ends = await pair(net, log);
    const upper = new Transform({
      transform: (data, _encoding, done) => done(null, String(data).toUpperCase()),
    });
    pipeline(ends.served, upper, ends.served, (error) => {
      log.note("pipeline", error ? describe(error) : "done");
    });
    finished(ends.client, (error) => log.note("finished", error ? describe(error) : "done"));
    noteBytes(log, "client", ends.client);
    ends.client.end("through a transform");
    await over(ends);

    const second = await pair(net, log);
    const abort = new AbortController();
    addAbortSignal(abort.signal, second.client);
    finished(second.served.resume(), (error) =>
      log.note("second", error ? describe(error) : "done"),
    );
    abort.abort();
    await over(second);

    const third = await pair(net, log);
    const both = compose(new PassThrough(), third.client);
    both.on("error", () => {}); // the other end is destroyed below
    third.served.end("composed");
    let text = "";
    both.on("data", (data) => {
      text += data;
    });
    await once(both, "end");
    log.note("composed", text);
    third.client.destroy();
    third.served.resume();
    await over(third);
  },
  "a pipeline whose source fails": async (net, log) => {
    const ends = await pair(net, log);
    const source = new PassThrough();
    pipeline(source, ends.client, (error) => log.note("pipeline", describe(error)));
    ends.served.resume();
    source.destroy(new Error("the source"));
    await over(ends);
  },
  "wrong arguments": async (net, log) => {
    const odd = [-1, 65536, 1.5, Number.NaN, "a b", "", true, {}, [], null, undefined, () => {}];
    for (const [index, port] of odd.entries()) {
      log.attempt("connect", `${index}`, () =>
        net
          .connect({ port, host: "127.0.0.1" } as never)
          .on("error", () => {})
          .destroy(),
      );
      const server = net.createServer().on("error", () => {});
      log.attempt("listen", `${index}`, () => server.listen({ port } as never));
      await promisify(setImmediate)();
      server.close();
    }
    const wrong: Record<string, () => unknown> = {
      "no arguments": () => (net.connect as () => unknown)(),
      "a wrong path": () => net.connect({ path: 5 } as never),
      "a wrong address": () => net.connect({ port: 1, localAddress: "x" } as never),
      "a wrong local port": () => net.connect({ port: 1, localPort: "x" } as never),
      "a wrong look-up": () => net.connect({ port: 1, host: "a", lookup: 5 } as never),
      "a wrong flag": () => net.connect({ port: 1, autoSelectFamily: 5 } as never),
      "a wrong time": () => net.connect({ port: 1, autoSelectFamilyAttemptTimeout: "5" } as never),
      "a time of nothing": () =>
        net.connect({ port: 1, autoSelectFamilyAttemptTimeout: 0 } as never),
      "a wrong signal": () => new net.Socket({ signal: 5 } as never),
      "object mode": () => new net.Socket({ objectMode: true } as never),
      "wrong options": () => net.createServer("text" as never),
      "listen on nothing": () => net.createServer().listen({} as never),
      "listen on a flag": () => net.createServer().listen(false as never),
      "a wrong delay": () => net.createServer({ keepAliveInitialDelay: "a" } as never),
    };
    for (const [what, call] of Object.entries(wrong)) log.attempt("others", what, call);
    const socket = new net.Socket();
    for (const chunk of [null, undefined, 5, {}, true]) {
      log.attempt("write", String(chunk), () => socket.write(chunk as never));
    }
    socket.destroy();
  },
  "errors that listeners throw": (net, log) =>
    withFaults(async (faults) => {
      const ends = await pair(net, log);
      const { client, served } = ends;
      let bytes = 0;
      served.on("data", (data: Buffer) => {
        bytes += data.length;
        throw new Error("of a listener");
      });
      client.write("one");
      while (bytes < 3) await promisify(setImmediate)();
      client.write(Buffer.alloc(500_000, "e")); // more than one receive brings
      while (bytes < 500_003) await promisify(setImmediate)();
      client.write("more", () => {
        throw new Error("of a callback");
      });
      while (bytes < 500_007 || !faults.has("of a callback")) await promisify(setImmediate)();
      log.note("faults", [...faults].sort().join());
      client.resume().end();
      await over(ends);
    }),
  "writes that fail": async (net, log) => {
    for (const ends of ["end", "behind", "corked", "writes"]) {
      const client = await resetBehind(net, log, ends);
      const note = (name: string) => (error?: Error | null) => {
        log.note(ends, `${name} ${codeOf(error)} ${codeOf(client.errored)} ${client.writable}`);
        if (ends !== "writes") return;
        client.write("more", (given) => log.note("more", String(given instanceof Error)));
      };
      const closed = event(client, "close");
      client.write("a", note("first"));
      if (ends === "corked") client.cork();
      if (ends === "corked" || ends === "behind") client.write("b", note("second"));
      if (ends === "end") client.end(note("end"));
      await closed;
    }
  },
  "corked writes of a socket that is destroyed": async (net, log) => {
    for (const error of [undefined, new Error("on purpose")]) {
      const ends = await pair(net, log);
      const { client, served } = ends;
      let text = "";
      served.on("data", (data: Buffer) => (text += data.toString()));
      client.cork();
      client.write("never sent", (given) => log.note("callback", describe(given)));
      client.destroy(error);
      await over(ends);
      log.note("bytes", `${text} ${client.bytesWritten}`);
    }
  },
  "room while corked": async (net, log) => {
    const ends = await pair(net, log);
    const { client, served } = ends;
    served.resume();
    client.cork();
    for (let round = 0; round < 3; round++) {
      log.note("client", `${client.write(Buffer.alloc(10_000))} ${client.writableLength}`);
      log.note("client", `${client.writableNeedDrain}`);
    }
    client.uncork();
    await event(client, "drain");
    client.end();
    await over(ends);
  },
  "a class and an object with _write() of their own": async (net, log) => {
    class Noted extends net.Socket {
      override _write(chunk: unknown, encoding: BufferEncoding, done: () => void): void {
        log.note("class", String(chunk));
        super._write(chunk, encoding, done);
      }
    }
    const server = net.createServer((socket) => socket.resume()).listen(0, "127.0.0.1");
    await event(server, "listening");
    const client = new Noted().connect((server.address() as AddressInfo).port, "127.0.0.1");
    await event(client, "connect");
    await new Promise((resolve) => client.write("one", resolve));
    const before = client._write;
    client._write = (chunk, encoding, done): void => {
      log.note("object", String(chunk));
      before.call(client, chunk, encoding, done);
    };
    client.end("two");
    await event(client, "close");
    server.close();
  },
  "a large piece of memory that can grow": async (net, log) => {
    const ends = await pair(net, log);
    const { client, served } = ends;
    let bytes = 0;
    served.on("data", (data: Buffer) => (bytes += data.length));
    const memory = Reflect.construct(ArrayBuffer, [20_000, { maxByteLength: 40_000 }]);
    client.end(new Uint8Array(memory as ArrayBuffer));
    client.resume();
    await over(ends);
    log.note("served", `${bytes}`);
  },
  "the bytes of a socket that is destroyed behind its writes": async (net, log) => {
    const ends = await pair(net, log);
    const { served, client } = ends;
    let bytes = 0;
    served.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    client.write("first");
    client.write("");
    client.write("second");
    client.write(Buffer.alloc(9000));
    client.destroy();
    client.write("never");
    await over(ends);
    log.note("bytes", `${bytes} ${client.bytesWritten}`);
  },
  "no connection": async (net, log) => {
    const socket = new net.Socket();
    log.watch("socket", socket, ["error", "close", "finish"]);
    socket.write("lost", (error) => log.note("socket", `written ${describe(error)}`));
    await event(socket, "close");
    const second = new net.Socket();
    log.watch("second", second, ["error", "close", "finish", "end"]);
    second.end();
    await promisify(setImmediate)();
    second.destroy();
    await event(second, "close");
  },
};

for (const [name, program] of Object.entries(programs)) test(name, () => compare(program));

// Node cuts such a path at its zero byte, and wraps such a port.
test("what the engine refuses is an error event, and nothing else", async () => {
  await withFaults(async (faults) => {
    const client = ours.connect({ path: "/tmp/io\0none" });
    const [first] = await event(client, "error");
    const other = ours.connect({ port: 1, host: "127.0.0.1", localPort: -1 });
    const [second] = await event(other, "error");
    const server = ours.createServer().listen("/tmp/io\0none");
    const [third] = await event(server, "error");
    const errors = [first, second, third] as NodeJS.ErrnoException[];
    assert.equal(
      errors.map(({ code, syscall }) => `${syscall} ${code}`),
      ["connect EINVAL", "connect EINVAL", "listen EINVAL"],
    );
    await promisify(setImmediate)();
    assert.equal([...faults], []);
  });
});

test.run();
