// Peers that have shut down their sending and do not read. The kernel's poll finds their sockets
// ready forever. Sends to them have to wait anyway, and must delay no other send.

import { Completion, type IO, type Socket } from "@io/core";
import * as assert from "uvu/assert";
import type { Suite, Trial } from "../support/harness.js";
import { connectTo, FAMILIES, type Family } from "../support/network.js";
import {
  failureCode,
  linked,
  negative,
  outcome,
  roundTrips,
  Started,
  until,
  Watched,
} from "../support/verbs.js";

/** More than io_uring has workers for what blocks. */
const CROWD = 100;
const SIZE_BYTES = 300_000;

export function streamsHalfClosed(suite: Suite): void {
  for (const family of FAMILIES) {
    if (family.missing === null) registerCrowd(suite, family);
    else suite.skip(`${family.name}: half-closed`, family.missing);
  }
  registerEnds(suite);
  registerLimit(suite);
  registerOthers(suite);
}

/** What is sent to the connection of this number. */
function contents(connection: number): Buffer {
  const bytes = Buffer.alloc(SIZE_BYTES);
  for (let at = 0; at < SIZE_BYTES; at += 4) bytes.writeUInt32LE(connection * SIZE_BYTES + at, at);
  return bytes;
}

async function halfClosed(io: IO, trial: Trial, family: Family): Promise<[Socket, Socket]> {
  const listener = await io.listen(family.listening(trial));
  const [client, served] = await connectTo(io, listener);
  served.setOptions({ sendBufferBytes: 4096 });
  await client.shutdown("send");
  // The end has arrived: from now on the socket counts as ready.
  assert.is(await served.receive(new Uint8Array(1)), 0);
  await listener.close();
  return [client, served];
}

async function receiveFull(client: Socket, connection: number): Promise<void> {
  const received = Buffer.alloc(SIZE_BYTES);
  await client.receiveFull(received);
  assert.ok(received.equals(contents(connection)), `the bytes of connection ${connection}`);
}

function registerCrowd(suite: Suite, family: Family): void {
  suite.test(
    `${family.name}: ${CROWD} peers that end and do not read stop none that reads`,
    async (trial) => {
      const io = await trial.open();
      const pairs: [Socket, Socket][] = [];
      for (let index = 0; index < CROWD; index++) pairs.push(await halfClosed(io, trial, family));
      const sends = pairs.map(
        ([, served], index) => new Watched<unknown>(served.sendAll(contents(index))),
      );
      await roundTrips(io, 10);
      assert.is(
        sends.filter(({ state }) => state !== "pending").length,
        0,
        "there is no room for so much",
      );
      // The last one first: every other one is in its way, if one can be.
      for (let index = CROWD - 1; index >= CROWD / 2; index--) {
        await receiveFull((pairs[index] as [Socket, Socket])[0], index);
        await (sends[index] as Watched<unknown>).promise;
      }
      const [client, served] = pairs[0] as [Socket, Socket];
      await served.close();
      const closed = await failureCode((sends[0] as Watched<unknown>).promise);
      assert.match(closed, /^(ECANCELED|ERR_IO_CLOSED)$/);
      await client.close();
      await Promise.all(pairs.slice(1, CROWD / 4).map(([peer]) => peer.close()));
      for (const send of sends.slice(1, CROWD / 4)) {
        assert.match(await failureCode(send.promise), /^(EPIPE|ECONNRESET)$/);
      }
    },
  );
}

function registerEnds(suite: Suite): void {
  suite.test("a send to a peer that has ended is cancelled, and has its limit", async (trial) => {
    const io = await trial.open();
    // A unix socket has the same room every time.
    const [client, served] = await halfClosed(io, trial, FAMILIES[2] as Family);
    const buffer = new Uint8Array(65_536);
    const send = (): Started =>
      new Started((c, callback) => io.ring.send(c, callback, served.descriptor, buffer));
    let last = send();
    for (let sends = 0; ; sends++) {
      await roundTrips(io, 10);
      if (!last.done) break;
      assert.ok(sends < 1000 && last.result > 0, `a send gave ${last.result}`);
      last = send();
    }
    const behind = send();
    await outcome(io, (c, callback) => io.ring.cancel(c, callback, last.completion));
    await until(io, () => last.done, "the send that was cancelled");
    assert.is(last.result, negative("ECANCELED"));
    assert.is(await failureCode(served.send(buffer, { timeoutMs: 30 })), "ETIMEDOUT");
    assert.is(behind.done, false);
    assert.ok((await client.receive(new Uint8Array(1 << 22))) > 0);
    await until(io, () => behind.done, "the send, now that there is room");
    assert.ok(behind.result > 0);
  });

  for (const all of [true, false]) {
    const what = all ? "everything" : "what is on its socket";
    suite.test(`a send that finds no room is ended by a cancel of ${what}`, async (trial) => {
      const io = await trial.open();
      const { ring } = io;
      const [, served] = await halfClosed(io, trial, FAMILIES[2] as Family);
      const { descriptor } = served;
      const first = new Watched(served.sendAll(contents(0)));
      await roundTrips(io, 10);
      await io.cancelAll();
      await first.promise.catch(() => undefined);
      // In one batch, and at some moments while the kernel is at it.
      for (let turns = 0; turns < 20; turns++) {
        const send = new Started((c, callback) => ring.send(c, callback, descriptor, contents(1)));
        if (turns > 0) await roundTrips(io, turns);
        const count = await outcome(io, (c, callback) =>
          all ? ring.cancelAll(c, callback) : ring.cancelDescriptor(c, callback, descriptor),
        );
        assert.ok(count === 0 || count === 1, `the cancel ended ${count}`);
        await until(io, () => send.done, "the end of the send");
        assert.is(send.result, negative("ECANCELED"));
      }
      assert.is(await io.cancelAll(), 0);
    });
  }

  suite.test("what is linked to a send to such a peer waits with it", async (trial) => {
    const io = await trial.open();
    const { ring } = io;
    const [client, served] = await halfClosed(io, trial, FAMILIES[2] as Family);
    const { descriptor } = served;
    const { promise } = new Watched(served.sendAll(contents(0)));
    await roundTrips(io, 10);
    // Not in the order of the stream, as every operation that is linked.
    const results: number[] = [];
    const note = (_: unknown, result: number): void => {
      results.push(result);
    };
    ring.send(linked(new Completion()), note, descriptor, new Uint8Array(1));
    ring.nop(new Completion(), note);
    await roundTrips(io, 10);
    assert.equal(results, [], "there is no room for it");
    const drained = new Uint8Array(SIZE_BYTES + 1);
    await Promise.all([client.receiveFull(drained), promise]);
    await until(io, () => results.length === 2, "the chain");
    assert.equal(results, [1, 0]);
  });
}

/** Fills a socket until a send waits. */
async function fill(io: IO, served: Socket): Promise<Started> {
  for (let sends = 0; sends < 1000; sends++) {
    const send = new Started((c, callback) =>
      io.ring.send(c, callback, served.descriptor, new Uint8Array(65_536)),
    );
    await roundTrips(io, 10);
    if (!send.done) return send;
    assert.ok(send.result > 0, `a send gave ${send.result}`);
  }
  throw new Error("there is always room");
}

function registerLimit(suite: Suite): void {
  suite.test("a limit counts from the start, although the peer ends later", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen((FAMILIES[2] as Family).listening(trial));
    const [client, served] = await connectTo(io, listener);
    const waiting = await fill(io, served);
    await outcome(io, (c, callback) => io.ring.cancel(c, callback, waiting.completion));
    const order: string[] = [];
    const limited = failureCode(served.send(new Uint8Array(1), { timeoutMs: 400 })).then((code) => {
      order.push(code);
    });
    // Were the limit counted from the end of the peer, the send would last twice as long.
    const later = io.sleep(740).then(() => {
      order.push("later");
    });
    await io.sleep(380);
    await client.shutdown("send");
    await Promise.all([limited, later]);
    assert.equal(order, ["ETIMEDOUT", "later"]);
  });
}

function registerOthers(suite: Suite): void {
  suite.test("a write to such a peer waits as well", async (trial) => {
    const io = await trial.open();
    const [client, served] = await halfClosed(io, trial, FAMILIES[0] as Family);
    const waiting = await fill(io, served);
    await outcome(io, (c, callback) => io.ring.cancel(c, callback, waiting.completion));
    const begin = () =>
      new Started((c, callback) =>
        io.ring.write(c, callback, served.descriptor, new Uint8Array(65_536), -1),
      );
    let write = begin();
    await io.sleep(30);
    // The kernel may still have moved something to the peer, so that there was room for a part.
    for (let parts = 0; write.done && write.result > 0 && parts < 100; parts++) {
      write = begin();
      await io.sleep(30);
    }
    assert.is(write.done && write.result < 0, false, "it has not failed");
    let drained = 0;
    while (!write.done) {
      drained += await client.receive(new Uint8Array(1 << 20), { timeoutMs: 100 }).catch(() => 0);
    }
    assert.ok(drained > 0 && write.result > 0);
  });

  suite.test(
    "writes of sockets that do not block wait, whatever their poll says",
    async (trial) => {
      const io = await trial.open();
      const large = new Uint8Array(8 << 20);
      for (const shutDown of [
        (_near: Socket, far: Socket) => far.shutdown("send"),
        (near: Socket) => near.shutdown("receive"),
      ]) {
        for (const start of [
          (near: Socket): Started =>
            new Started((c, done) => io.ring.write(c, done, near.descriptor, large, -1)),
          (near: Socket): Started =>
            new Started((c, done) => io.ring.writeVectored(c, done, near.descriptor, [large], -1)),
        ]) {
          const [near, far] = io.socketPair();
          // The first takes all the space.
          let writing = start(near);
          await until(io, () => writing.done, "a write into an empty socket");
          writing = start(near);
          await roundTrips(io);
          await shutDown(near, far);
          await roundTrips(io, 50);
          assert.is(writing.done, false, `it ended with ${writing.done && writing.result}`);
          const received = new Uint8Array(1 << 20);
          const receiving = new Watched(far.receiveFull(received, { timeoutMs: 10_000 }));
          await until(io, () => writing.done, "the write, when the peer has read");
          assert.ok(writing.result > 0, `it ended with ${writing.result}`);
          await Promise.all([near.close(), far.close()]);
          await receiving.promise.catch(() => 0);
        }
      }
    },
  );

  suite.test("a write that waits takes no time, whatever its poll says", async (trial) => {
    const io = await trial.open();
    const large = new Uint8Array(8 << 20);
    const [near, far] = io.socketPair();
    const start = (): Started =>
      new Started((c, done) => io.ring.write(c, done, near.descriptor, large, -1));
    const first = start();
    await until(io, () => first.done, "a write into an empty socket");
    const writing = start();
    await far.shutdown("send");
    await roundTrips(io, 50);
    const { systemCalls: before } = io.stats();
    await io.sleep(400);
    const calls = io.stats().systemCalls - before;
    assert.is(writing.done, false);
    assert.ok(calls < 400, `${calls} calls`);
    await far.shutdown("receive");
    await until(io, () => writing.done, "the end of the write");
    assert.ok(writing.result < 0);
  });

  suite.test("a receive on a listener fails while an accept waits", async (trial) => {
    const io = await trial.open();
    const { descriptor } = await io.listen((FAMILIES[0] as Family).listening(trial));
    const receive = await outcome(io, (c, callback) =>
      io.ring.receive(c, callback, descriptor, new Uint8Array(1)),
    );
    assert.ok(receive < 0, `the receive gave ${receive}`);
  });
}
