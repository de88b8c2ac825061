// Closing one file or socket: the operations in flight on it end first, and its number is not
// mistaken for another file.

import { type Completion, type Descriptor, File, type IO, type Socket, StatRecord } from "@io/core";
import * as assert from "uvu/assert";
import { runChildTool } from "../support/children.js";
import type { Suite, Trial } from "../support/harness.js";
import { connected, connectTo } from "../support/network.js";
import { failureCode, negative, outcome, roundTrips } from "../support/verbs.js";

export function streamsClosing(suite: Suite): void {
  registerSocket(suite);
  registerFile(suite);
  registerReuse(suite);
  registerLimit(suite);
}

function registerSocket(suite: Suite): void {
  suite.test("close rejects a pending receive, and closes", async (trial) => {
    const { io, client, served } = await connected(trial);
    const buffer = new Uint8Array(8).fill(9);
    const pending = [client.receive(buffer), client.receive(buffer)].map(failureCode);
    await roundTrips(io, 3);
    const closing = client.close();
    assert.is(client.close(), closing, "closing again is the same promise");
    assert.is(await closing, undefined);
    assert.equal(await Promise.all(pending), ["ECANCELED", "ECANCELED"]);
    assert.is(await served.receive(new Uint8Array(8)), 0);
    assert.ok(buffer.every((byte) => byte === 9));
  });

  suite.test("close in the same turn as a receive and a send", async (trial) => {
    const { client, served } = await connected(trial);
    const sending = client.send(Buffer.from("sent"));
    const receiving = failureCode(client.receive(new Uint8Array(8)));
    await client.close();
    assert.is(await receiving, "ECANCELED");
    const sent = await sending.catch((error) => error.code);
    assert.ok(sent === 4 || sent === "ECANCELED", `${sent}`);
    if (sent === 4) assert.is(await served.receive(new Uint8Array(8)), 4);
    assert.is(await served.receive(new Uint8Array(8)), 0);
  });

  suite.test("close ends a send that waits for its reader", async (trial) => {
    const { io, listener, client } = await connected(trial);
    await listener.close();
    const chunk = new Uint8Array(1024 * 1024);
    const sends = Array.from({ length: 32 }, () =>
      client.send(chunk).then(
        () => "sent",
        (error) => error.code,
      ),
    );
    await roundTrips(io);
    await client.close();
    const ends = await Promise.all(sends);
    assert.ok(ends.includes("ECANCELED"), `${new Set(ends)}`);
    assert.is(io.stats().inFlight, 0);
  });

  suite.test("a closed socket refuses everything", async (trial) => {
    const { client } = await connected(trial);
    const closing = client.close();
    await checkRefused(client);
    await closing;
    await checkRefused(client);
    await client.close();
  });

  suite.test("leaving a scope closes", async (trial) => {
    const { io, listener } = await connected(trial);
    const before = io.stats().descriptors;
    {
      const [client, served] = await connectTo(io, listener);
      await using one = client;
      await using two = served;
      await one.sendAll(Buffer.from("x"));
      assert.is(await two.receive(new Uint8Array(1)), 1);
    }
    assert.is(io.stats().descriptors, before);
  });
}

async function checkRefused(socket: Socket): Promise<void> {
  const buffer = new Uint8Array(4);
  const promises = [
    socket.receive(buffer),
    socket.receiveFull(buffer),
    socket.send(buffer),
    socket.sendAll(buffer),
    socket.sendVectored([buffer]),
    socket.shutdown(),
  ];
  for (const promise of promises) assert.is(await failureCode(promise), "ERR_IO_CLOSED");
}

async function openFifo(trial: Trial): Promise<{ io: IO; fifo: File }> {
  const io = await trial.open();
  runChildTool("mkfifo", trial.path("fifo"));
  const fifo = await io.openFile(trial.path("fifo"), { read: true, write: true });
  assert.instance(fifo, File);
  return { io, fifo };
}

function registerFile(suite: Suite): void {
  suite.test("a closed file refuses everything", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
    const buffer = new Uint8Array(4);
    const closing = file.close();
    assert.is(file.close(), closing, "closing again is the same promise");
    for (let round = 0; round < 2; round++) {
      const promises = [
        file.read(buffer, 0),
        file.write(buffer, 0),
        file.readFull(buffer, 0),
        file.writeAll(buffer, 0),
        file.readVectored([buffer], 0),
        file.writeVectored([buffer], 0),
        file.stat(),
        file.sync(),
        file.allocate(0, 1),
        file.truncate(0),
      ];
      for (const promise of promises) assert.is(await failureCode(promise), "ERR_IO_CLOSED");
      for (const call of [
        () => file.prepareRead(buffer),
        () => file.prepareWrite(buffer),
        () => file.prepareSync(),
      ]) {
        assert.throws(call, (error: { code: string }) => error.code === "ERR_IO_CLOSED");
      }
      await closing;
    }
  });

  suite.test("close while reads of a file are in flight", async (trial) => {
    const { io, fifo } = await openFifo(trial);
    const buffers = Array.from({ length: 10 }, () => new Uint8Array(64).fill(9));
    const reads = buffers.map((buffer) => failureCode(fifo.read(buffer)));
    await roundTrips(io, 5);
    await fifo.close();
    for (const code of await Promise.all(reads)) {
      assert.ok(code === "ECANCELED" || code === "EINTR", code);
    }
    assert.ok(buffers.every((buffer) => buffer.every((byte) => byte === 9)));
    assert.equal([io.stats().inFlight, io.stats().descriptors], [0, 0]);
  });

  suite.test("close with reads of a plain file in the same turn", async (trial) => {
    const io = await trial.open();
    for (let round = 0; round < 20; round++) {
      const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
      await file.writeAll(new Uint8Array(65_536), 0);
      const reads = Array.from({ length: 16 }, (_, index) =>
        file.read(new Uint8Array(4096), index * 4096).catch((error) => error.code),
      );
      await file.close();
      for (const end of await Promise.all(reads)) {
        assert.ok(end === 4096 || end === "ECANCELED", `${end}`);
      }
    }
    assert.is(io.stats().descriptors, 0);
  });
}

function registerReuse(suite: Suite): void {
  suite.test(
    "a descriptor that was closed is refused though its number is in use",
    async (trial) => {
      const { io, listener, client, served } = await connected(trial);
      const stale = client.descriptor;
      await client.close();
      const numberBits = 20;
      const mask = 2 ** numberBits - 1;
      // The system hands the lowest free number out again, to one of the next sockets.
      const isReused = (socket: Socket) => (socket.descriptor & mask) === (stale & mask);
      let next = (await connectTo(io, listener)).find(isReused);
      for (let tries = 0; tries < 8 && next === undefined; tries++) {
        next = (await connectTo(io, listener)).find(isReused);
      }
      assert.ok(next, "the system hands the number out again");
      await listener.close(); // it would accept ahead, and change the count in flight
      assert.is.not(next.descriptor, stale);
      const buffer = new Uint8Array(4);
      const { ring } = io;
      const starts: ((c: Completion, callback: (c: Completion, result: number) => void) => void)[] =
        [
          (c, callback) => ring.read(c, callback, stale, buffer, 0),
          (c, callback) => ring.write(c, callback, stale, buffer, 0),
          (c, callback) => ring.readVectored(c, callback, stale, [buffer], 0),
          (c, callback) => ring.writeVectored(c, callback, stale, [buffer], 0),
          (c, callback) => ring.send(c, callback, stale, buffer),
          (c, callback) => ring.sendVectored(c, callback, stale, [buffer]),
          (c, callback) => ring.receive(c, callback, stale, buffer),
          (c, callback) => ring.shutdown(c, callback, stale, "both"),
          (c, callback) => ring.sync(c, callback, stale, "data"),
          (c, callback) => ring.stat(c, callback, stale, new StatRecord()),
          (c, callback) => ring.truncate(c, callback, stale, 0),
          (c, callback) => ring.allocate(c, callback, stale, 0, 1, "grow"),
          (c, callback) => ring.accept(c, callback, stale),
          (c, callback) => ring.acceptMultishot(c, callback, stale),
          (c, callback) => ring.listen(c, callback, stale, 1),
          (c, callback) => ring.bind(c, callback, stale, listener.address),
          (c, callback) => ring.connect(c, callback, stale, listener.address),
          (c, callback) => ring.cancelDescriptor(c, callback, stale),
          (c, callback) => ring.close(c, callback, stale),
        ];
      const { inFlight } = io.stats();
      for (const start of starts)
        assert.is(await outcome(io, start), negative("EBADF"), `${start}`);
      assert.is(io.stats().inFlight, inFlight);
      await next.sendAll(Buffer.from("intact"));
      await served.close();
    },
  );

  suite.test("a number is not reused while an operation on it is alive", async (trial) => {
    const { io, listener } = await connected(trial);
    const seen = new Set<Descriptor>();
    for (let round = 0; round < 100; round++) {
      const [client, served] = await connectTo(io, listener);
      assert.not.ok(seen.has(client.descriptor), "a descriptor came twice");
      seen.add(client.descriptor);
      const pending = failureCode(client.receive(new Uint8Array(1)));
      void client.close();
      void served.close();
      assert.is(await pending, "ECANCELED");
    }
    await listener.close();
    await roundTrips(io);
    assert.is(io.stats().inFlight, 0);
  });
}

function registerLimit(suite: Suite): void {
  suite.test("a close refused at the limit in flight can be asked for again", async (trial) => {
    const io = await trial.open({ inFlightLimit: 4 });
    const file = await io.openFile(trial.path(), { write: true, create: true });
    const sleeping = Array.from({ length: 4 }, () => io.sleep(1));
    const first = await file.close().then(
      () => "closed",
      (error) => error.code,
    );
    await Promise.all(sleeping);
    assert.ok(first === "closed" || first === "ERR_IO_IN_FLIGHT_LIMIT", first);
    await file.close();
    assert.is(io.stats().descriptors, 0);
  });
}
