// Connections of a machine to itself over vsock. What every stream does is tested with the other
// families; this is what vsock does in its own way, and what else may be done with its sockets.

import { writeFileSync } from "node:fs";
import { Completion, type IO, MultishotCompletion, type Socket, type VsockAddress } from "@io/core";
import * as assert from "uvu/assert";
import { hash, pattern, sameBytes } from "../support/data.js";
import type { Suite, Trial } from "../support/harness.js";
import { whyNoLoopback } from "../support/network.js";
import { failure, failureCode, roundTrips, Started, success, until } from "../support/verbs.js";

const MEGABYTE = 1024 * 1024;

export function vsockConnections(suite: Suite): void {
  const missing = whyNoLoopback();
  if (missing !== null) {
    suite.skip("connections over vsock", missing);
    return;
  }
  registerAddresses(suite);
  registerData(suite);
  registerEnds(suite);
  registerOwners(suite);
  registerRing(suite);
}

async function changed(socket: Socket): Promise<void> {
  socket.setOptions({ noDelay: true });
}

async function credentials(socket: Socket): Promise<unknown> {
  return socket.peerCredentials();
}

async function pairOf(trial: Trial): Promise<{ io: IO; client: Socket; served: Socket }> {
  const io = await trial.open();
  const listener = await io.listen({ cid: "local", port: "any" });
  const connecting = io.connect(listener.address);
  const [served, client] = await Promise.all([listener.accept(), connecting]);
  return { io, client, served };
}

function registerAddresses(suite: Suite): void {
  suite.test("both ends know each other's cid and port", async (trial) => {
    const io = await trial.open();
    assert.match(io.capabilities.vsock.reason, /^this machine has the cids? (\d+ and )?1$/);
    for (const cid of ["local", "any"] as const) {
      const listener = await io.listen({ cid, port: "any" });
      const { port } = listener.address;
      const connecting = io.connect({ cid: "local", port, localPort: 40_000 + (port % 1000) });
      const [served, client] = await Promise.all([listener.accept(), connecting]);
      assert.equal(client.remoteAddress, { family: "vsock", cid: 1, port });
      assert.equal(served.localAddress, { family: "vsock", cid: 1, port });
      assert.is(client.localAddress?.port, 40_000 + (port % 1000));
      const { port: near } = client.localAddress as { port: number };
      assert.equal(served.remoteAddress, { family: "vsock", cid: 1, port: near });
      await client.close();
      assert.equal(served.remoteAddress, { family: "vsock", cid: 1, port: near });
      const ended = await failure(served.sendAll(new Uint8Array(MEGABYTE)));
      assert.match(ended.message, `to 'vsock:1:${near}'`);
      assert.equal([ended.address, ended.port], ["1", near]);
      await served.close();
      await listener.close();
    }
  });

  suite.test("without a listener, connecting fails, and the error says so", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ cid: "local", port: "any" });
    const { port } = listener.address;
    await listener.close();
    const refused = await failure(io.connect({ cid: "local", port }));
    assert.is(refused.code, "ECONNRESET");
    assert.match(refused.message, `connect to 'vsock:1:${port}' failed`);
    assert.match(refused.message, /nothing listens at this port/);
    assert.equal([refused.address, refused.port, refused.syscall], ["1", port, "connect"]);
  });

  // The kernel's own poll for a connect may be woken before that has ended.
  suite.test("many connect at once, and each is connected", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ cid: "local", port: "any" });
    for (let round = 0; round < 4; round++) {
      const connecting = Array.from({ length: 150 }, () => io.connect(listener.address));
      const served = await Promise.all(connecting.map(() => listener.accept()));
      const clients = await Promise.all(connecting);
      const ports = clients.map(({ localAddress }) => localAddress?.port as number);
      const far = served.map(({ remoteAddress }) => remoteAddress?.port as number);
      assert.equal(far.sort(), ports.sort());
      await Promise.all(clients.map((client) => client.sendAll("x")));
      const counts = await Promise.all(served.map((one) => one.receive(new Uint8Array(2))));
      assert.ok(counts.every((count) => count === 1));
      await Promise.all([...clients, ...served].map((one) => one.close()));
    }
  });

  suite.test("a connect is aborted", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ cid: "local", port: "any" });
    const controller = new AbortController();
    const connecting = io.connect({ ...listener.address, signal: controller.signal });
    controller.abort();
    assert.is(await failureCode(connecting), "ABORT_ERR");
    await roundTrips(io, 3);
    const next = io.connect(listener.address);
    await (await next).sendAll("there");
  });
}

function registerData(suite: Suite): void {
  for (const zeroCopy of ["never", "auto", "always"] as const) {
    suite.test(`a megabyte both ways, zeroCopy: ${zeroCopy}`, async (trial) => {
      const { client, served } = await pairOf(trial);
      const data = pattern(MEGABYTE);
      const read = async (socket: Socket): Promise<string> => {
        const into = new Uint8Array(MEGABYTE);
        assert.is(await socket.receiveFull(into), MEGABYTE);
        return hash(into);
      };
      const [first, second] = await Promise.all([
        read(served),
        read(client),
        client.sendAll(data, { zeroCopy }),
        served.sendAll([data.subarray(0, 700_000), data.subarray(700_000)], { zeroCopy }),
      ]);
      assert.equal([first, second], [hash(data), hash(data)]);
      // Half closed: the other direction still goes.
      await client.shutdown("send");
      assert.is(await served.receive(new Uint8Array(8)), 0);
      await served.sendAll("still");
      const into = new Uint8Array(8);
      assert.is(await client.receive(into), 5);
      assert.is(await failureCode(client.send("x")), "EPIPE");
    });
  }

  suite.test("chunks, a file, a reader and a proxy", async (trial) => {
    const { io, client, served } = await pairOf(trial);
    const data = pattern(MEGABYTE);
    writeFileSync(trial.path("file"), data);
    const file = await io.openFile(trial.path("file"));
    const other = await pairOf(trial);
    const piping = served.pipeTo(other.client);
    const sending = (async () => {
      await client.sendAll("first line\n");
      assert.is(await client.sendFile(file), MEGABYTE);
      await client.shutdown("send");
    })();
    const reader = other.served.reader();
    assert.is(await reader.readLine(), "first line");
    const rest = (await reader.readExactly(1000)) as Buffer;
    assert.ok(sameBytes(rest, data.subarray(0, 1000)));
    const left = (await reader.readExactly(MEGABYTE - 1000)) as Buffer;
    assert.is(hash(left), hash(data.subarray(1000)));
    await sending;
    assert.is(await piping, MEGABYTE + 11);
  });

  suite.test("multishot receives, and a sender that waits", async (trial) => {
    const { client, served } = await pairOf(trial);
    const pieces: Buffer[] = [];
    const data = pattern(4 * MEGABYTE, 3);
    const sending = client.sendAll(data).then(() => client.shutdown("send"));
    for await (using chunk of served.chunks({ chunkBytes: 16_384 })) {
      pieces.push(Buffer.from(chunk.bytes));
    }
    await sending;
    assert.is(hash(Buffer.concat(pieces)), hash(data));
    await served.shutdown("send");
    for await (const bytes of client) assert.unreachable(`${bytes.length}`);
  });
}

function registerEnds(suite: Suite): void {
  suite.test("a close with data in flight", async (trial) => {
    const { client, served } = await pairOf(trial);
    const sends = Array.from({ length: 64 }, () => client.send(pattern(65_536)));
    const results = Promise.allSettled(sends);
    const receiving = client.receive(new Uint8Array(8));
    const ended = failureCode(receiving);
    await client.close();
    assert.is(await ended, "ECANCELED");
    const codes = (await results).map((one) => one.status === "rejected" && one.reason.code);
    assert.is(codes.at(-1), "ECANCELED");
    // What was taken still comes, and then the end.
    let total = 0;
    for await (const bytes of served) total += bytes.length;
    assert.ok(total > 0 && total % 1 === 0, String(total));
    assert.ok(["EPIPE", "ECONNRESET", "ENOTCONN"].includes(await failureCode(served.send("x"))));
  });

  suite.test("a reset ends a peer that waits to send and to receive", async (trial) => {
    const { client, served } = await pairOf(trial);
    const receiving = served.receive(new Uint8Array(8));
    const sends = Array.from({ length: 64 }, () => served.send(pattern(65_536)));
    const results = Promise.allSettled(sends);
    await client.reset();
    const received = await receiving.catch((error: { code: string }) => error.code);
    assert.ok(received === 0 || received === "ECONNRESET", String(received));
    const last = (await results).at(-1) as PromiseRejectedResult;
    assert.is(last.status, "rejected");
    assert.ok(["EPIPE", "ECONNRESET", "ENOTCONN"].includes(last.reason.code), last.reason.code);
  });

  suite.test("what a connection of vsock has not", async (trial) => {
    const { io, client } = await pairOf(trial);
    assert.match((await failure(changed(client))).message, /a vsock socket has no such option/);
    const { cid, port } = client.remoteAddress as VsockAddress;
    const refused = await failure(io.connect({ cid, port, noDelay: true }));
    assert.match(refused.message, /of noDelay .TCP_NODELAY. failed in setsockopt/);
    client.setOptions({ lingerMs: 1000, zeroCopyThresholdBytes: 4096 });
    assert.equal(client.getOptions("lingerMs", "keepAlive"), { lingerMs: 1000, keepAlive: false });
    assert.ok(["EOPNOTSUPP", "ENOTSUP"].includes(await failureCode(credentials(client))));
  });

  suite.test("a time limit ends a wait, and the connection goes on", async (trial) => {
    const { client, served } = await pairOf(trial);
    const late = served.receive(new Uint8Array(8), { timeoutMs: 1 });
    assert.is(await failureCode(late), "ETIMEDOUT");
    await client.send("next");
    assert.is(await served.receive(new Uint8Array(8)), 4);
  });
}

function registerOwners(suite: Suite): void {
  suite.test("a connection is given away, adopted, and passed on", async (trial) => {
    const { io, client, served } = await pairOf(trial);
    const address = served.remoteAddress;
    const adopted = io.adopt(await served.detach(), "socket");
    assert.equal(adopted.remoteAddress, address);
    await adopted.send("adopted");
    const into = new Uint8Array(16);
    assert.is(await client.receive(into), 7);
    const [here, there] = io.socketPair();
    await here.sendDescriptors("x", [adopted]);
    await adopted.close();
    const { descriptors } = await there.receiveDescriptors(new Uint8Array(1));
    const [received] = descriptors;
    assert.is(received?.kind, "socket");
    const passed = io.adopt(received as NonNullable<typeof received>, "socket");
    assert.equal(passed.remoteAddress, address);
    await client.send("and back");
    assert.is(await passed.receive(into), 8);
    assert.is(await failureCode(client.sendDescriptors("x", [there])), "EINVAL");
  });
}

function registerRing(suite: Suite): void {
  for (const mode of ["attached", "detached"] as const) {
    suite.test(`${mode}: the verbs of the ring`, async (trial) => {
      const io = await trial.open({ mode });
      const { ring } = io;
      const listening = await success(io, (c, done) => ring.socket(c, done, "vsock"));
      const port = 50_000 + (process.pid % 1000) + (mode === "attached" ? 1000 : 0);
      const address = { family: "vsock", cid: 1, port } as const;
      await success(io, (c, done) => ring.bind(c, done, listening, address));
      await success(io, (c, done) => ring.listen(c, done, listening, 4));
      const accepted: number[] = [];
      const accepts = new Completion();
      ring.acceptMultishot(accepts, (_completion, result) => accepted.push(result), listening);
      const near = await success(io, (c, done) => ring.socket(c, done, "vsock"));
      await success(io, (c, done) => ring.connect(c, done, near, address));
      await until(io, () => accepted.length > 0, "an accept");
      const far = accepted[0] as number;
      assert.ok(far >= 0, String(far));
      const group = ring.bufferGroup({ bufferBytes: 4096, maxBytes: 65_536 });
      let text = "";
      const receiving = new MultishotCompletion();
      const take = ({ bufferId, offset }: MultishotCompletion, result: number): void => {
        if (result <= 0) return;
        text += Buffer.from(group.view(bufferId, offset, result)).toString();
        group.release(bufferId);
      };
      ring.receiveMultishot(receiving, take, far, group);
      const chain = [Buffer.from("one "), Buffer.from("two")].map(
        (bytes) => new Started((c, done) => ring.send(c, done, near, bytes, "never")),
      );
      await until(io, () => chain.every(({ done }) => done), "the sends");
      await until(io, () => text.length === 7, "what was sent");
      assert.is(text, "one two");
      await success(io, (c, done) => ring.close(c, done, near));
      await until(io, () => !receiving.active, "the end of the stream");
      await success(io, (c, done) => ring.close(c, done, far));
      await success(io, (c, done) => ring.close(c, done, listening));
      await until(io, () => !accepts.active, "the end of the accepts");
      await group.close();
    });
  }
}
