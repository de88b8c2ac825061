// Listening, accepting and connecting: addresses, refusals, queues, and the end of a listener.

import { connect as connectNode, createServer, type Socket as NodeSocket } from "node:net";
import type { InternetAddress, IO, Listener, Socket } from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere } from "../../support/system.js";
import type { Suite } from "../support/harness.js";
import { connected, connectTo, FAMILIES, type Family, targetOf } from "../support/network.js";
import {
  assertSystemError,
  failure,
  failureCode,
  refusalCode,
  roundTrips,
  Watched,
} from "../support/verbs.js";

export function streamsListening(suite: Suite): void {
  for (const family of FAMILIES) {
    if (family.missing !== null) {
      suite.skip(`${family.name}: listening`, family.missing);
      continue;
    }
    registerRefused(suite, family);
    registerMany(suite, family);
    registerClosing(suite, family);
    registerLeaving(suite, family);
  }
  registerAddresses(suite);
  registerUnixAddresses(suite);
  registerPorts(suite);
  registerOptions(suite);
}

function registerRefused(suite: Suite, family: Family): void {
  suite.test(`${family.name}: without a listener, connecting fails`, async (trial) => {
    const io = await trial.open();
    const listener = await io.listen(family.listening(trial));
    await listener.close();
    const target = targetOf(listener.address);
    const error = await failure(io.connect(target));
    const address =
      family.family === "ipv6"
        ? `[::1]:${listener.address.port}`
        : family.family === "ipv4"
          ? `127.0.0.1:${listener.address.port}`
          : family.family === "vsock"
            ? `vsock:${listener.address.cid}:${listener.address.port}`
            : String(listener.address.path).replace("\0", "@");
    assertSystemError(error, {
      code: family.gone,
      syscall: "connect",
      operation: "connect",
      at: listener.address,
    });
    assert.match(error.message, `connect to '${address}'`);
    assert.is(io.stats().descriptors, 0, "the socket that did not connect is closed");
  });

  suite.test(`${family.name}: an address in use is refused`, async (trial) => {
    const io = await trial.open();
    const { address } = await io.listen(family.listening(trial));
    const again = failure(io.listen(targetOf(address) as { path: string }));
    assert.equal(
      [(await again).code, (await again).syscall, (await again).operation],
      ["EADDRINUSE", "bind", "bind"],
    );
    assert.is(io.stats().descriptors, 1, "the socket that did not listen is closed");
  });
}

async function everyone(listener: Listener, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for await (const socket of listener) {
    sockets.push(socket);
    if (sockets.length === count) break;
  }
  return sockets;
}

/** Every connection sends its number and gets it back. */
async function checkNumbers(clients: readonly Socket[], served: readonly Socket[]): Promise<void> {
  const numbers = await Promise.all(
    served.map(async (socket) => {
      const buffer = new Uint8Array(4);
      assert.is(await socket.receiveFull(buffer), 4);
      await socket.sendAll(buffer);
      return Buffer.from(buffer).readUInt32LE();
    }),
  );
  assert.equal(
    numbers.sort((left, right) => left - right),
    clients.map((_, index) => index),
  );
  await Promise.all(
    clients.map(async (client, index) => {
      const buffer = Buffer.alloc(4);
      assert.is(await client.receiveFull(buffer), 4);
      assert.is(buffer.readUInt32LE(), index);
    }),
  );
}

async function connectAndSay(io: IO, listener: Listener, count: number): Promise<Socket[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const client = await io.connect(targetOf(listener.address));
      const number = Buffer.alloc(4);
      number.writeUInt32LE(index);
      await client.sendAll(number);
      return client;
    }),
  );
}

/** How many may wait to be accepted: BSD's sockets cut every backlog at 128. */
const CROWD = isBsdHere() ? 100 : 400;

function registerMany(suite: Suite, family: Family): void {
  suite.test(`${family.name}: many connections are accepted, each once`, async (trial) => {
    const io = await trial.open();
    const listener = await io.listen(family.listening(trial));
    const [served, clients] = await Promise.all([
      everyone(listener, CROWD),
      connectAndSay(io, listener, CROWD),
    ]);
    await checkNumbers(clients, served);
  });

  suite.test(
    `${family.name}: a client that connects before the first accept is not lost`,
    async (trial) => {
      const io = await trial.open();
      const listener = await io.listen(family.listening(trial));
      const clients = await connectAndSay(io, listener, CROWD);
      await checkNumbers(clients, await everyone(listener, CROWD));
    },
  );

  suite.test(
    `${family.name}: a slow consumer loses no client, and bounds accepting`,
    async (trial) => {
      const io = await trial.open();
      const listener = await io.listen({ ...family.listening(trial), backlog: 1000 });
      const first = listener.accept();
      const clients = await connectAndSay(io, listener, isBsdHere() ? CROWD : 500);
      const served = [await first];
      await roundTrips(io);
      const ahead = io.stats().descriptors - clients.length - served.length - 1;
      assert.ok(ahead < 400, `${ahead} connections were accepted ahead of the program`);
      while (served.length < clients.length) {
        served.push(await listener.accept());
        if (served.length % 50 === 0) await roundTrips(io, 5);
      }
      await checkNumbers(clients, served);
      const none = new Watched(listener.accept({ timeoutMs: 1 }));
      assert.is(await failureCode(none.promise), "ETIMEDOUT");
    },
  );
}

function registerClosing(suite: Suite, family: Family): void {
  suite.test(`${family.name}: the iteration ends when the listener is closed`, async (trial) => {
    const { io, listener } = await connected(trial, family);
    const iterating = everyone(listener, 100);
    await roundTrips(io, 3);
    const closing = listener.close();
    assert.is(listener.close(), closing, "closing again is the same promise");
    assert.equal(await iterating, []);
    await closing;
    assert.is(await failureCode(listener.accept()), "ERR_IO_CLOSED");
    assert.equal(await everyone(listener, 1), [], "an iteration of a closed listener is empty");
    assert.is(await failureCode(io.connect(targetOf(listener.address))), family.gone);
  });

  suite.test(
    `${family.name}: closing rejects who waits, and drops who was not taken`,
    async (trial) => {
      const io = await trial.open();
      const listener = await io.listen(family.listening(trial));
      const first = listener.accept();
      const clients = await connectAndSay(io, listener, 5);
      await (await first).close();
      await roundTrips(io);
      await listener.close();
      for (const client of clients.slice(1)) {
        const end = await client.receive(new Uint8Array(4)).catch((error) => error.code);
        assert.ok(end === 0 || end === "ECONNRESET", `${end}`);
      }
      await roundTrips(io);
      assert.is(io.stats().descriptors, clients.length);
      const other = await io.listen(family.listening(trial));
      const waiting = [other.accept(), other.accept({ timeoutMs: 100_000 })].map(failureCode);
      await other.close();
      assert.equal(await Promise.all(waiting), ["ECANCELED", "ECANCELED"]);
    },
  );
}

function registerLeaving(suite: Suite, family: Family): void {
  suite.test(
    `${family.name}: an accept given up leaves the next connection intact`,
    async (trial) => {
      const io = await trial.open();
      const listener = await io.listen(family.listening(trial));
      const controller = new AbortController();
      const aborted = failure(listener.accept({ signal: controller.signal }));
      const late = failure(listener.accept({ timeoutMs: 5 }));
      const zero = failure(listener.accept({ timeoutMs: 0 }));
      await roundTrips(io, 3);
      controller.abort(new Error("enough"));
      const error = await aborted;
      assert.equal(
        [error.code, error.name, error.operation],
        ["ABORT_ERR", "AbortError", "accept"],
      );
      assert.is((error.cause as Error).message, "enough");
      assert.equal([(await late).code, (await zero).code], ["ETIMEDOUT", "ETIMEDOUT"]);
      const [clients, served] = await Promise.all([
        connectAndSay(io, listener, 3),
        everyone(listener, 3),
      ]);
      await checkNumbers(clients, served);
    },
  );

  suite.test(
    `${family.name}: an accept refused at its start takes no connection`,
    async (trial) => {
      const io = await trial.open();
      const listener = await io.listen(family.listening(trial));
      // One connection is taken and three wait, so that accepts have something to take.
      const clients = await connectAndSay(io, listener, 4);
      const served = [await listener.accept()];
      await roundTrips(io);
      const before = AbortSignal.abort();
      assert.is(await failureCode(listener.accept({ signal: before })), "ABORT_ERR");
      for (const timeoutMs of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
        assert.is(await failureCode(listener.accept({ timeoutMs })), "ERR_OUT_OF_RANGE");
      }
      served.push(...(await everyone(listener, 3)));
      await checkNumbers(clients, served);
      for (const timeoutMs of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
        assert.is(await failureCode(listener.accept({ timeoutMs })), "ERR_OUT_OF_RANGE");
      }
      assert.is(await failureCode(listener.accept({ timeoutMs: 1.005 })), "ETIMEDOUT");
      const [client, next] = await connectTo(io, listener);
      await client.sendAll(Buffer.from("next"));
      assert.is(await next.receive(new Uint8Array(4)), 4);
    },
  );

  suite.test(`${family.name}: leaving the iteration leaves the listener`, async (trial) => {
    const { io, listener } = await connected(trial, family);
    for (let round = 0; round < 3; round++) {
      const [clients, served] = await Promise.all([
        connectAndSay(io, listener, 2),
        everyone(listener, 2),
      ]);
      await checkNumbers(clients, served);
    }
    assert.is(io.stats().strays, 0);
  });
}

function registerAddresses(suite: Suite): void {
  suite.test("TCP: both ends know their addresses", async (trial) => {
    const { listener, client, served } = await connected(trial);
    const { port } = listener.address;
    assert.ok(port! > 0, "port 0 became a port");
    assert.equal(listener.address, { family: "ipv4", host: "127.0.0.1", port });
    assert.equal(client.remoteAddress, listener.address);
    assert.equal(served.localAddress, listener.address);
    assert.equal(served.remoteAddress, client.localAddress);
    assert.is(client.localAddress!.host, "127.0.0.1");
    assert.ok((client.localAddress!.port ?? 0) > 0);
    await client.close();
    assert.equal(client.remoteAddress, listener.address, "known since it was asked");
    assert.equal(served.remoteAddress, client.localAddress);
  });

  suite.test("TCP: asked too late, only what the program has said is known", async (trial) => {
    const { listener, client, served } = await connected(trial);
    await Promise.all([client.close(), served.close()]);
    assert.equal([client.localAddress, client.remoteAddress], [null, listener.address]);
    assert.equal([served.localAddress, served.remoteAddress], [null, null]);
  });

  suite.test("an address that the library gave is one that it takes", async (trial) => {
    for (const family of FAMILIES.filter(({ missing }) => missing === null)) {
      const { io, listener, client } = await connected(trial, family);
      const [again] = await Promise.all([io.connect(listener.address), listener.accept()]);
      assert.equal(again.remoteAddress, client.remoteAddress);
    }
  });

  suite.test("host names are looked up, and without a host it is this machine", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ port: 0 });
    assert.is(listener.address.host, "127.0.0.1");
    const { port } = listener.address;
    for (const options of [{ port }, { host: "localhost", port }]) {
      const result = await Promise.all([io.connect(options), listener.accept()]).catch(
        (error) => error.code,
      );
      // "localhost" may be ::1 first, where no server listens.
      assert.ok(Array.isArray(result) || result === "ECONNREFUSED", `${result}`);
      if (!Array.isArray(result)) await listener.accept({ timeoutMs: 1 }).catch(() => undefined);
    }
  });
}

function registerAbstract(suite: Suite, name: string): void {
  suite.test(name, async (trial) => {
    const io = await trial.open();
    const path = `\0io\0conformance-${process.pid}`;
    const listener = await io.listen({ path });
    assert.equal(listener.address, { family: "unix", path });
    const [client, served] = await Promise.all([io.connect({ path }), listener.accept()]);
    assert.is(client.remoteAddress!.path, path);
    assert.is(served.localAddress!.path, path);
    assert.is(client.localAddress, null);
    assert.is(await failureCode(io.connect({ path: `${path}x` })), "ECONNREFUSED");
  });
}

function registerUnixAddresses(suite: Suite): void {
  const abstract = "unix: an abstract name is known by its length";
  if (isBsdHere()) suite.skip(abstract, "only Linux has abstract names");
  else registerAbstract(suite, abstract);

  suite.test("unix: a path that is not there, too long, or empty", async (trial) => {
    const io = await trial.open();
    const path = trial.path("missing");
    const error = await failure(io.connect({ path }));
    assertSystemError(error, {
      code: "ENOENT",
      syscall: "connect",
      operation: "connect",
      at: { family: "unix", path },
    });
    const long = `/tmp/${"x".repeat(120)}`;
    assert.is(await failureCode(io.connect({ path: long })), "ENAMETOOLONG");
    assert.is(await failureCode(io.listen({ path: long })), "ENAMETOOLONG");
    const none = await failureCode(io.connect({ path: "" }));
    assert.ok(["ENOENT", "EINVAL", "ENAMETOOLONG", "ERR_OUT_OF_RANGE"].includes(none), none);
    assert.is(io.stats().descriptors, 0);
  });
}

function registerPorts(suite: Suite): void {
  suite.test("an invalid port or backlog is refused, and nothing stays open", async (trial) => {
    const io = await trial.open();
    for (const port of [-1, 65_536, 1.5, Number.NaN]) {
      assert.is(await failureCode(io.connect({ port })), "ERR_OUT_OF_RANGE", `${port}`);
      assert.is(await failureCode(io.listen({ port })), "ERR_OUT_OF_RANGE", `${port}`);
    }
    for (const backlog of [-1, 0.5, Number.NaN, 2 ** 31]) {
      const listening = io.listen({ port: 0, backlog });
      assert.is(await failureCode(listening), "ERR_OUT_OF_RANGE", `${backlog}`);
    }
    assert.is(io.stats().descriptors, 0);
  });

  suite.test("a port is free for the next listener at once", async (trial) => {
    const { io, listener, client, served } = await connected(trial);
    const { host, port } = listener.address as InternetAddress;
    await listener.close();
    // The side that closes first keeps the connection in TIME_WAIT.
    await served.close();
    await client.close();
    const next = await io.listen({ host, port });
    assert.is(next.address.port, port);
  });

  suite.test("reusePort lets two listen at one port", async (trial) => {
    const io = await trial.open();
    const one = await io.listen({ port: 0, reusePort: true });
    const two = await io.listen({ port: one.address.port, reusePort: true });
    assert.is(two.address.port, one.address.port);
    const third = io.listen({ port: one.address.port });
    assert.is(await failureCode(third), "EADDRINUSE");
  });
}

function registerOptions(suite: Suite): void {
  suite.test("options of a socket are set, or refused with the call", async (trial) => {
    const { client } = await connected(trial);
    client.setOptions({ noDelay: false, keepAlive: true });
    client.setOptions({ receiveBufferBytes: 65_536, sendBufferBytes: 65_536 });
    client.setOptions({});
    await client.close();
    assert.is(
      refusalCode(() => client.setOptions({ noDelay: true })),
      "ERR_IO_CLOSED",
    );
    const unix = await connected(trial, FAMILIES[2] as Family);
    const code = refusalCode(() => unix.client.setOptions({ noDelay: true }));
    assert.ok(["ENOTSUP", "EOPNOTSUPP", "ENOPROTOOPT", "EINVAL"].includes(code), code);
  });

  suite.test("it talks to node:net, both ways", async (trial) => {
    const io = await trial.open();
    const server = createServer((socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    trial.defer(() => server.close());
    const { port } = server.address() as { port: number };
    const client = await io.connect({ port });
    await client.sendAll(Buffer.from("echo"));
    const buffer = new Uint8Array(4);
    assert.is(await client.receiveFull(buffer), 4);
    assert.is(Buffer.from(buffer).toString(), "echo");
    await client.close();
    const listener = await io.listen({ port: 0 });
    const node: NodeSocket = connectNode(listener.address.port, "127.0.0.1");
    const served = await listener.accept();
    node.end("bye");
    assert.is(await served.receiveFull(new Uint8Array(8)), 3);
    const other: NodeSocket = connectNode(listener.address.port, "127.0.0.1");
    const receiving = failureCode((await listener.accept()).receive(new Uint8Array(1)));
    other.resetAndDestroy();
    assert.is(await receiving, "ECONNRESET");
  });
}
