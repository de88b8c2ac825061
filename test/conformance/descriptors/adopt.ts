// Descriptors that change their owner: adopted, given away, and pairs of new ones.

import { once } from "node:events";
import { closeSync, fstatSync, openSync, readSync, writeFileSync } from "node:fs";
import { Socket as NodeSocket } from "node:net";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { IO, IOError, Socket } from "@io/core";
import * as assert from "uvu/assert";
import { text } from "../support/data.js";
import type { Suite, Trial } from "../support/harness.js";
import { connected, targetOf } from "../support/network.js";
import {
  failure,
  failureCode,
  negative,
  outcome,
  refusalCode,
  roundTrips,
} from "../support/verbs.js";

export function descriptorsAdopt(suite: Suite): void {
  registerFiles(suite);
  registerKinds(suite);
  registerSockets(suite);
  registerListeners(suite);
  registerPairs(suite);
}

function openContent(trial: Trial): number {
  writeFileSync(trial.path(), "content");
  return openSync(trial.path(), "r+");
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

async function receivedText(socket: Socket): Promise<string> {
  const bytes = new Uint8Array(64);
  return text(bytes, await socket.receive(bytes));
}

function registerFiles(suite: Suite): void {
  suite.test("an adopted file is the IO's, which closes it", async (trial) => {
    const io = await trial.open();
    const fd = openContent(trial);
    const file = io.adopt(fd, "file");
    const bytes = new Uint8Array(7);
    await file.readFull(bytes, 0);
    assert.is(text(bytes, 7), "content");
    assert.is(
      refusalCode(() => io.adopt(fd, "file")),
      "ERR_IO_DESCRIPTOR_OWNED",
    );
    await file.close();
    assert.is(isOpen(fd), false);
    const other = io.adopt(openSync(trial.path(), "r"), "file");
    await other.read(bytes, 0);
    await trial.close(io);
    assert.is(
      refusalCode(() => io.adopt(0, "file")),
      "ERR_IO_CLOSED",
    );
  });

  suite.test("a file that is given away stays open", async (trial) => {
    const io = await trial.open();
    const before = io.stats().descriptors;
    const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
    await file.writeAll("content", 0);
    const fd = await file.detach();
    trial.defer(() => closeSync(fd));
    const bytes = Buffer.alloc(16);
    assert.is(readSync(fd, bytes, 0, 16, 0), 7);
    assert.is(io.stats().descriptors, before);
    assert.is(await failureCode(file.read(bytes, 0)), "ERR_IO_CLOSED");
    assert.is(await failureCode(file.detach()), "ERR_IO_CLOSED");
    await file.close();
    assert.is(isOpen(fd), true);
  });

  suite.test("a detach that fails is the caller's error alone", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile("/dev/null");
    await trial.close(io);
    assert.is(await failureCode(file.detach()), "ERR_IO_CLOSED");
    await new Promise(setImmediate); // the harness fails what is thrown where no code can catch it
  });

  suite.test("what the ring gives away is none of its descriptors any more", async (trial) => {
    const io = await trial.open();
    const { ring } = io;
    const file = await io.openFile(trial.path(), { write: true, create: true });
    const { descriptor } = file;
    const fd = await outcome(io, (c, cb) => ring.detach(c, cb, descriptor));
    assert.ok(fd >= 0, `${fd}`);
    assert.is(isOpen(fd), true);
    closeSync(fd);
    const again = await outcome(io, (c, cb) => ring.detach(c, cb, descriptor));
    assert.is(again, negative("EBADF"));
  });
}

function registerKinds(suite: Suite): void {
  suite.test("a descriptor of another kind is refused, and stays its owner's", async (trial) => {
    const io = await trial.open();
    const before = io.stats().descriptors;
    const fd = openContent(trial);
    trial.defer(() => closeSync(fd));
    for (const kind of ["socket", "listener", "datagram", "pipe", "terminal", "device"] as const) {
      const code = refusalCode(() => io.adopt(fd, kind));
      assert.is(code, "ERR_IO_DESCRIPTOR_KIND", kind);
    }
    const [near, far] = io.socketPair();
    const number = await near.detach();
    assert.is(
      refusalCode(() => io.adopt(number, "listener")),
      "ERR_IO_DESCRIPTOR_KIND",
    );
    const again = io.adopt(number, "socket");
    await again.sendAll("back");
    assert.is(await receivedText(far), "back");
    await Promise.all([again.close(), far.close()]);
    assert.is(isOpen(fd), true);
    assert.is(io.stats().descriptors, before);
  });

  suite.test("a number that no descriptor has cannot be adopted", async (trial) => {
    const io = await trial.open();
    assert.throws(
      () => io.adopt(0x7fffffff, "file"),
      ({ code, message }: IOError) =>
        code === "EBADF" && /^adopt of descriptor 2147483647 .* no such descriptor/.test(message),
    );
  });
}

function registerSockets(suite: Suite): void {
  suite.test("a socket that is given away is one of node:net", async (trial) => {
    const { io, client, served } = await connected(trial);
    const waiting = failure(served.receive(new Uint8Array(8)));
    await roundTrips(io, 2);
    const fd = await served.detach();
    assert.is((await waiting).code, "ECANCELED");
    assert.is(await failureCode(served.sendAll("x")), "ERR_IO_CLOSED");
    const socket = new NodeSocket({ fd });
    socket.on("data", (bytes) => socket.end(`${bytes} again`));
    await client.sendAll("hello");
    assert.is(await receivedText(client), "hello again");
    socket.destroy();
  });

  suite.test("the peer's credentials are those of its process", async (trial) => {
    const io = await trial.open();
    const [near, far] = io.socketPair();
    const { pid, uid, gid } = near.peerCredentials();
    assert.ok(pid === process.pid || pid === null, `${pid}`);
    assert.equal([uid, gid], [process.getuid?.(), process.getgid?.()]);
    await Promise.all([near.close(), far.close()]);
    assert.is(
      refusalCode(() => near.peerCredentials()),
      "ERR_IO_CLOSED",
    );
    const { client } = await connected(trial);
    assert.throws(() => client.peerCredentials());
  });
}

function registerListeners(suite: Suite): void {
  suite.test("a listener that is given away goes on in another Worker", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ port: 0 });
    const { address } = listener;
    const waiting = failureCode(listener.accept());
    await roundTrips(io, 2);
    const fd = await listener.detach();
    assert.is(await waiting, "ECANCELED");
    const path = fileURLToPath(new URL("./adopting_worker.js", import.meta.url));
    const worker = new Worker(path, { workerData: { backend: suite.backend, fd } });
    const exit = once(worker, "exit");
    const client = await io.connect(targetOf(address));
    assert.is(await receivedText(client), "from the Worker");
    assert.equal(await exit, [0]);
    assert.is(await failureCode(listener.accept()), "ERR_IO_CLOSED");
    await listener.close();
  });

  suite.test("what a listener has accepted is not lost when it is given away", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ port: 0 });
    const first = listener.accept();
    const count = 3;
    const clients: Socket[] = [];
    while (clients.length < count) clients.push(await io.connect(targetOf(listener.address)));
    await first;
    await roundTrips(io, 5);
    const fd = await listener.detach();
    const others = io.adopt(fd, "listener");
    assert.equal(others.address, listener.address);
    let served = 1;
    for await (const socket of listener) {
      served++;
      await socket.close();
    }
    // The kernel may have kept some of them.
    for (; served < count; served++) await (await others.accept()).close();
    assert.is(served, count);
  });

  suite.test("the file of a unix listener that is given away stays", async (trial) => {
    const io = await trial.open();
    const path = trial.path("socket");
    const listener = await io.listen({ path });
    const fd = await listener.detach();
    await listener.close();
    const again = io.adopt(fd, "listener");
    assert.is(again.address.path, path);
    const [client, served] = await Promise.all([io.connect({ path }), again.accept()]);
    await client.sendAll("x");
    assert.is(await receivedText(served), "x");
  });
}

function registerPairs(suite: Suite): void {
  suite.test("a pair of sockets is connected", async (trial) => {
    const io = await trial.open();
    const [near, far] = io.socketPair();
    await near.sendAll("stream");
    assert.is(await receivedText(far), "stream");
    await near.close();
    assert.is(await receivedText(far), "");
    const [one, two] = io.socketPair("datagram");
    await one.send("first");
    await one.send("second");
    const bytes = new Uint8Array(16);
    assert.is((await two.receive(bytes)).byteLength, 5);
    assert.is((await two.receive(bytes)).byteLength, 6);
  });

  suite.test("a pipe gives what was written, then its end", async (trial) => {
    const io = await trial.open();
    const [reader, writer] = io.pipe();
    const bytes = new Uint8Array(64);
    const waiting = reader.read(bytes);
    await roundTrips(io, 2);
    await writer.writeAll("through the pipe", 0);
    assert.is(text(bytes, await waiting), "through the pipe");
    await writer.writeAll("rest", 0);
    await writer.close();
    assert.is(text(bytes, await reader.read(bytes)), "rest");
    assert.is(await reader.read(bytes), 0);
    await fullPipe(io);
  });
}

async function fullPipe(io: IO): Promise<void> {
  const [reader, writer] = io.pipe();
  const size = 1024 * 1024;
  const writing = writer.writeAll(new Uint8Array(size).fill(7), 0);
  const bytes = new Uint8Array(64 * 1024);
  for (let left = size; left > 0; ) left -= await reader.read(bytes);
  await writing;
  await Promise.all([reader.close(), writer.close()]);
}
