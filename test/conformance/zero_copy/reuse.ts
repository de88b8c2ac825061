// Memory that is written to before a send has released it: found where the IO looks for it, by
// every form of a send.

import { Completion, type IOError, type Socket } from "@io/core";
import * as assert from "uvu/assert";
import { pattern, sameBytes } from "../support/data.js";
import { boundPair, connectedPair } from "../support/datagrams.js";
import type { Suite, Trial } from "../support/harness.js";
import { failure, failureCode, roundTrips, until, Watched } from "../support/verbs.js";
import { canSpare, drain, MODES, type Narrow, narrow } from "../support/zero_copy.js";

const ALWAYS = { zeroCopy: "always" } as const;
const REUSED = "ERR_IO_MEMORY_REUSED";
/** More than both ends of a narrow connection hold. */
const MUCH_BYTES = 1024 * 1024;

export function zeroCopyReuse(suite: Suite): void {
  registerWaiting(suite);
  registerBetween(suite);
  registerFine(suite);
}

/** A connection on which a send waits for room, so that the next ones wait behind it. */
async function full(trial: Trial): Promise<Narrow> {
  const connection = await narrow(trial, { debug: { detectReuse: true } });
  for (;;) {
    const sending = new Watched(connection.client.send(pattern(MUCH_BYTES)));
    await roundTrips(connection.io, 5);
    if (sending.state === "pending") return connection;
  }
}

/** Lets everything go on. */
function drainAll(socket: Socket): void {
  drain(socket).catch(() => undefined);
}

function registerWaiting(suite: Suite): void {
  for (const zeroCopy of MODES) {
    suite.test(`written to while it waits, zeroCopy ${zeroCopy}: found`, async (trial) => {
      const { io, client, served } = await full(trial);
      const data = pattern(1000, 3);
      const sending = failure(client.send(data, { zeroCopy }));
      await roundTrips(io);
      data.fill(0, 7, 9);
      drainAll(served);
      const { code, operation, message } = await sending;
      assert.equal([code, operation], [REUSED, "send"]);
      assert.match(message, "byte 7 was written to");
    });
  }

  suite.test("written to while it waits: the buffer of several is named", async (trial) => {
    const { io, client, served } = await full(trial);
    const parts = [pattern(100, 1), pattern(200, 2), pattern(300, 3)] as const;
    const sending = failure(client.sendVectored(parts, ALWAYS));
    await roundTrips(io);
    parts[1][199] = 1 + (parts[1][199] as number);
    drainAll(served);
    const { code, message } = await sending;
    assert.is(code, REUSED);
    assert.match(message, "byte 199 of buffer 1");
  });

  suite.test("written to while it waits: sendAll fails when all is sent", async (trial) => {
    const { io, client, served } = await full(trial);
    const data = pattern(MUCH_BYTES, 5);
    const sending = failureCode(client.sendAll(data, ALWAYS));
    await roundTrips(io);
    data[0] = 1 + (data[0] as number);
    drainAll(served);
    assert.is(await sending, REUSED);
  });

  suite.test("written to while it waits: a callback of the ring gets no error", async (trial) => {
    const { io, client, served } = await full(trial);
    const data = pattern(1000, 3);
    const results: number[] = [];
    const completion = new Completion();
    const note = (_completion: Completion, result: number): void => {
      results.push(result);
    };
    io.ring.send(completion, note, client.descriptor, data, "always");
    await roundTrips(io);
    data.fill(0);
    drainAll(served);
    await until(io, () => results.length > 0 && !completion.active, "the last callback");
    await roundTrips(io);
    assert.is(results.at(-1), 1000);
    const codes = trial.takeUncaught().map((error) => (error as IOError).code);
    assert.equal(codes, [REUSED]);
  });
}

function registerBetween(suite: Suite): void {
  suite.test("written to between the steps: released says so", async (trial) => {
    const { io, client, served } = await narrow(trial, { debug: { detectReuse: true } });
    const data = pattern(MUCH_BYTES, 2);
    const { sent, released } = client.sendZeroCopy(data, ALWAYS);
    const code = released.then(
      () => "fine",
      (error: IOError) => error.code,
    );
    const count = await sent;
    await roundTrips(io);
    data[0] = 1 + (data[0] as number);
    await drain(served, count);
    // Where there is one step only, the memory was free.
    assert.is(await code, canSpare(io) ? REUSED : "fine");
    assert.is(io.stats().inFlight, 0);
  });

  suite.test(
    "written to between the steps: the promise of the plain call says so",
    async (trial) => {
      const { io, client, served } = await narrow(trial, { debug: { detectReuse: true } });
      const data = pattern(MUCH_BYTES, 2);
      const sending = new Watched(client.send(data, ALWAYS));
      await until(io, () => io.stats().zeroCopyUnreleased === 1 || !canSpare(io), "the first step");
      if (!canSpare(io)) await sending.promise;
      data[0] = 1 + (data[0] as number);
      void drain(served, MUCH_BYTES / 2).catch(() => undefined);
      if (canSpare(io)) assert.is(await failureCode(sending.promise), REUSED);
      else assert.ok((await sending.promise) > 0);
    },
  );
}

function registerFine(suite: Suite): void {
  suite.test("what may be done with memory is no misuse", async (trial) => {
    const { io, client, served } = await narrow(trial, { debug: { detectReuse: true } });
    // Written to beyond the bytes that were sent.
    const data = pattern(MUCH_BYTES, 6);
    const { sent, released } = client.sendZeroCopy(data, ALWAYS);
    const count = await sent;
    assert.ok(count < MUCH_BYTES);
    data.fill(0, count);
    // Released while it is in use: it is overwritten when it is free.
    const block = io.buffers.acquire(5000);
    block.set(pattern(5000, 7));
    const expected = Buffer.from(block);
    const sending = client.send(block, ALWAYS);
    io.buffers.release(block);
    // Transferred: it stays where it is.
    const moving = pattern(6000, 8);
    const moved = client.send(moving, ALWAYS);
    structuredClone(moving.buffer, { transfer: [moving.buffer] });
    const got = await drain(served, count + 11_000);
    assert.ok(sameBytes(got.subarray(count, count + 5000), expected));
    assert.equal(await Promise.all([sending, moved]), [5000, 6000]);
    await released;
    assert.is(block[0], 0xdb);
    // Written to when it is free.
    data.fill(1);
    assert.is(io.stats().inFlight, 0);
  });

  suite.test("a failed send, and one that is not awaited, are no misuse", async (trial) => {
    const { near, far } = await boundPair(trial, undefined, { debug: { detectReuse: true } });
    const data = pattern(1000);
    const failing = failureCode(near.send(data, ALWAYS));
    data.fill(0);
    assert.is(await failing, "EDESTADDRREQ");
    const other = await connectedPair(trial);
    const unwatched = other.near.send(data, ALWAYS);
    data.fill(1);
    assert.is(await unwatched, 1000);
    await near.sendTo([data, data], far.localAddress!, ALWAYS);
    assert.is((await far.receive(new Uint8Array(3000))).byteLength, 2000);
  });

  suite.test("a datagram that is written to at once is found", async (trial) => {
    const { near, far } = await boundPair(trial, undefined, { debug: { detectReuse: true } });
    const data = pattern(1000);
    for (const message of [data, [data.subarray(0, 500), data.subarray(500)]]) {
      const sending = failureCode(near.sendTo(message, far.localAddress!, ALWAYS));
      data[600] = 1 + (data[600] as number);
      assert.is(await sending, REUSED);
    }
  });
}
