// The two steps of a zero-copy send, and events between them.

import { existsSync, readFileSync } from "node:fs";
import { Completion, type IO, type IOError, OpenFlags, type SendSteps } from "@io/core";
import * as assert from "uvu/assert";
import { pattern, sameBytes } from "../support/data.js";
import { guarded, MODES as IO_MODES, type Mode, type Suite } from "../support/harness.js";
import { negative, outcome, roundTrips, until, Watched } from "../support/verbs.js";
import { canSpare, drain, type Narrow, narrow } from "../support/zero_copy.js";

const ALWAYS = { zeroCopy: "always" } as const;
/** More than both ends of a narrow connection hold. */
const MUCH_BYTES = 1024 * 1024;

export function zeroCopySteps(suite: Suite): void {
  registerSteps(suite);
  for (const mode of IO_MODES) registerRing(suite, mode);
  registerBetween(suite);
  registerEnds(suite);
  registerMemory(suite);
}

interface Sending extends Narrow {
  readonly data: Uint8Array<ArrayBuffer>;
  /** How much of it was sent; the peer has not taken it. */
  readonly count: number;
  readonly released: Watched<void>;
}

/** Sends more than the peer takes, and stands between the two steps, where the backend can. */
async function between(trial: Parameters<typeof narrow>[0]): Promise<Sending> {
  const connection = await narrow(trial);
  const data = pattern(MUCH_BYTES, 11);
  const steps = connection.client.sendZeroCopy(data, ALWAYS);
  const count = await steps.sent;
  const released = new Watched(steps.released);
  await roundTrips(connection.io);
  if (canSpare(connection.io)) {
    assert.is(released.state, "pending", "the peer has not taken it all");
    assert.is(connection.io.stats().zeroCopyUnreleased, 1);
    assert.is(connection.client.stats().zeroCopyUnreleased, 1);
  } else {
    assert.is(released.state, "resolved");
  }
  return { ...connection, data, count, released };
}

function registerSteps(suite: Suite): void {
  suite.test("sent comes first, and released when the peer has taken it", async (trial) => {
    const { io, served, data, count, released } = await between(trial);
    assert.ok(count > 0 && count < MUCH_BYTES, `a short send: ${count}`);
    assert.ok(sameBytes(await drain(served, count), data.subarray(0, count)));
    await guarded("the release", released.promise);
    assert.is(io.stats().zeroCopyUnreleased, 0);
    assert.is(io.stats().inFlight, 0);
  });

  suite.test("the promise of the plain call settles when both have happened", async (trial) => {
    const { io, client, served } = await narrow(trial);
    const sending = new Watched(client.send(pattern(MUCH_BYTES), ALWAYS));
    await until(io, () => io.stats().zeroCopyUnreleased === 1 || !canSpare(io), "the first step");
    await roundTrips(io);
    assert.is(sending.state, canSpare(io) ? "pending" : "resolved");
    void drain(served, MUCH_BYTES / 2).catch(() => undefined);
    assert.ok((await guarded("the send", sending.promise)) > 0);
  });

  suite.test("the next send does not wait for the memory of the last", async (trial) => {
    const { io, client, served } = await narrow(trial);
    const pieces = Array.from({ length: 8 }, (_, index) => pattern(20_000, index));
    const steps = pieces.map((piece) => client.sendZeroCopy(piece, ALWAYS));
    // All are sent although the peer has taken nothing.
    const counts = await Promise.all(steps.map(({ sent }) => sent));
    assert.equal(counts, new Array(8).fill(20_000));
    if (canSpare(io)) assert.ok(io.stats().zeroCopyUnreleased > 0);
    assert.ok(sameBytes(await drain(served, 160_000), Buffer.concat(pieces)));
    await guarded("the releases", Promise.all(steps.map(({ released }) => released)));
  });

  suite.test("sendAll gives the memory back only when all is released", async (trial) => {
    const { io, client, served } = await narrow(trial);
    const data = pattern(MUCH_BYTES, 4);
    const sending = new Watched(client.sendAll(data, ALWAYS));
    await roundTrips(io);
    assert.is(sending.state, "pending");
    assert.ok(sameBytes(await drain(served, MUCH_BYTES), data));
    await guarded("sendAll", sending.promise);
    assert.equal([io.stats().zeroCopyUnreleased, io.stats().inFlight], [0, 0]);
  });
}

/** What one completion's callback was given. */
interface Call {
  result: number;
  active: boolean;
}

function registerRing(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: the callback comes once or twice, with the count`, async (trial) => {
    const io = await trial.open({ mode });
    const { near, far } = await tcpPair(io);
    const calls: Call[] = [];
    const data = pattern(50_000);
    const completion = new Completion();
    io.ring.send(
      completion,
      (same, result) => {
        assert.is(same, completion);
        calls.push({ result, active: completion.active });
      },
      near,
      data,
      "always",
    );
    const got = Buffer.alloc(50_000);
    let at = 0;
    while (at < got.byteLength) {
      const rest = got.subarray(at);
      at += await outcome(io, (c, callback) => io.ring.receive(c, callback, far, rest));
    }
    await until(io, () => calls.length > 0 && !completion.active, "the last call");
    assert.ok(calls.length <= 2);
    assert.ok(calls.every(({ result }) => result === 50_000));
    assert.equal(
      calls.map(({ active }) => active),
      calls.length === 2 ? [true, false] : [false],
    );
    assert.ok(sameBytes(got, data));
  });

  suite.test(`${mode}: chains may contain sends without a copy`, async (trial) => {
    const io = await trial.open({ mode });
    const { near, far } = await tcpPair(io);
    const results: number[][] = [[], [], []];
    const note = (index: number) => (_completion: Completion, result: number) => {
      results[index]?.push(result);
    };
    const completions = results.map(() => new Completion());
    const [first, second, third] = completions as [Completion, Completion, Completion];
    const ended = (): boolean => completions.every(({ active }) => !active);
    first.link = true;
    second.link = true;
    io.ring.send(first, note(0), near, pattern(5000), "always");
    io.ring.send(second, note(1), near, pattern(6000), "always");
    io.ring.nop(third, note(2));
    await until(io, ended, "the chain");
    assert.equal([results[0]?.at(-1), results[1]?.at(-1), results[2]], [5000, 6000, [0]]);
    // After a failure the rest is cancelled, and its slots can be used again.
    io.ring.open(first, note(0), "/nowhere/at/all", OpenFlags.read, 0);
    io.ring.send(second, note(1), near, pattern(6000), "always");
    io.ring.send(third, note(2), near, pattern(6000), "auto");
    await until(io, ended, "the broken chain");
    assert.ok((results[0]?.at(-1) as number) < 0);
    assert.equal(
      [results[1]?.at(-1), results[2]?.at(-1)],
      [negative("ECANCELED"), negative("ECANCELED")],
    );
    await roundTrips(io);
    const got = Buffer.alloc(20_000);
    assert.is(await outcome(io, (c, callback) => io.ring.receive(c, callback, far, got)), 11_000);
    assert.is(io.stats().inFlight, 0);
  });
}

async function tcpPair(io: IO): Promise<{ near: number; far: number }> {
  const make = (): Promise<number> => outcome(io, (c, done) => io.ring.socket(c, done, "ipv4"));
  const listening = await make();
  // The system cannot give the port to another socket meanwhile: it is bound.
  const port = await bindAnywhere(io, listening);
  const address = { family: "ipv4", host: "127.0.0.1", port } as const;
  assert.is(await outcome(io, (c, done) => io.ring.listen(c, done, listening, 4)), 0);
  const near = await make();
  assert.is(await outcome(io, (c, done) => io.ring.connect(c, done, near, address)), 0);
  const far = await outcome(io, (c, done) => io.ring.accept(c, done, listening));
  assert.ok(far > 0);
  return { near, far };
}

async function bindAnywhere(io: IO, descriptor: number): Promise<number> {
  for (let port = 20_000 + (process.pid % 10_000); port < 65_536; port++) {
    const address = { family: "ipv4", host: "127.0.0.1", port } as const;
    const result = await outcome(io, (c, done) => io.ring.bind(c, done, descriptor, address));
    if (result === 0) return port;
    assert.is(result, negative("EADDRINUSE"));
  }
  throw new Error("no port is free");
}

function registerBetween(suite: Suite): void {
  suite.test("between the steps: a cancel finds nothing to end", async (trial) => {
    const { io, served, data, count, released } = await between(trial);
    await io.cancelAll().catch(() => undefined);
    await roundTrips(io);
    if (canSpare(io)) assert.is(released.state, "pending");
    assert.ok(sameBytes(await drain(served, count), data.subarray(0, count)));
    await guarded("the release", released.promise);
  });

  suite.test("between the steps: an abort changes nothing", async (trial) => {
    const { io, client, served } = await narrow(trial);
    const controller = new AbortController();
    const options = { ...ALWAYS, signal: controller.signal };
    const { sent, released } = client.sendZeroCopy(pattern(MUCH_BYTES), options);
    const count = await sent;
    controller.abort();
    await roundTrips(io);
    await drain(served, count);
    await guarded("the release", released);
  });

  suite.test("between the steps: the socket is closed, and the peer gets all", async (trial) => {
    const { io, client, served, data, count, released } = await between(trial);
    await guarded("close", client.close());
    assert.is(io.stats().descriptors, 1, "the peer");
    if (canSpare(io)) assert.is(released.state, "pending");
    assert.ok(sameBytes(await drain(served), data.subarray(0, count)));
    await guarded("the release", released.promise);
    assert.is(io.stats().zeroCopyUnreleased, 0);
  });

  suite.test("between the steps: the number is used again by another socket", async (trial) => {
    const { io, client, served, count, released } = await between(trial);
    await client.close();
    const listener = await io.listen({ host: "127.0.0.1", port: 0 });
    const { port } = listener.address;
    const others = await Promise.all(
      Array.from({ length: 4 }, () => io.connect({ host: "127.0.0.1", port })),
    );
    await drain(served, count);
    await guarded("the release", released.promise);
    for (const other of others) {
      // The result of the old socket's send is not counted for the new one.
      assert.equal([...new Set(Object.values(other.stats()))], [0]);
      await other.close();
    }
  });

  suite.test("between the steps: the peer resets the connection", async (trial) => {
    const { io, client, served, released } = await between(trial);
    // There are bytes that it has not read, so that closing is a reset on Linux; elsewhere the next
    // send is answered with one.
    await served.close();
    await guarded("the release", released.promise);
    await until(io, () => io.stats().inFlight === 0, "nothing in flight");
    let code: string | undefined;
    while (code === undefined) {
      code = await client.send(pattern(10), ALWAYS).then(
        () => undefined,
        (error) => error.code as string,
      );
    }
    assert.ok(code === "ECONNRESET" || code === "EPIPE", code);
  });

  for (const closed of [false, true]) {
    const name = closed ? "the socket, and then the IO, is closed" : "the IO is closed";
    suite.test(`between the steps: ${name}, and all ends`, async (trial) => {
      const { io, client, released } = await between(trial);
      const second = new Watched(client.send(pattern(MUCH_BYTES), ALWAYS));
      if (closed) await client.close();
      await trial.close(io);
      await guarded("the release", released.promise);
      await second.promise.catch(() => undefined);
      assert.is.not(second.state, "pending");
    });
  }
}

/**
 * Starts sends that would wait for room until one ends with an error; gives its code. A busy
 * machine hands what was sent over to the peer late, and there is room again for a while.
 */
async function endOfWaiting(start: () => SendSteps, sent: SendSteps[]): Promise<string> {
  for (;;) {
    const steps = start();
    try {
      await steps.sent;
    } catch (error) {
      await guarded("the release of what was not sent", steps.released);
      return (error as IOError).code;
    }
    sent.push(steps);
  }
}

function registerEnds(suite: Suite): void {
  suite.test("a send that waits for room ends by its time limit or signal", async (trial) => {
    const { io, client, served } = await narrow(trial);
    const full = pattern(MUCH_BYTES);
    const sent: SendSteps[] = [];
    const limited = (): SendSteps => client.sendZeroCopy(full, { ...ALWAYS, timeoutMs: 10 });
    assert.is(await endOfWaiting(limited, sent), "ETIMEDOUT");
    const aborted = (): SendSteps => {
      const controller = new AbortController();
      const steps = client.sendZeroCopy(full, { ...ALWAYS, signal: controller.signal });
      void roundTrips(io, 3).then(() => controller.abort());
      return steps;
    };
    assert.is(await endOfWaiting(aborted, sent), "ABORT_ERR");
    // A send that was ended has sent nothing, and the bytes that were sent are whole.
    const counts = await Promise.all(sent.map((steps) => steps.sent));
    const expected = counts.map((sizeBytes) => full.subarray(0, sizeBytes));
    await client.shutdown("send");
    assert.ok(sameBytes(await drain(served), Buffer.concat(expected)), `${counts}`);
    await guarded("the releases", Promise.all(sent.map(({ released }) => released)));
    assert.is(io.stats().inFlight, 0);
  });

  suite.test("a time limit that is not reached has no part in it", async (trial) => {
    const { io, client, served } = await narrow(trial);
    const data = pattern(30_000);
    for (let round = 0; round < 50; round++) {
      const receiving = drain(served, 30_000);
      await client.sendAll(data, { ...ALWAYS, timeoutMs: 60_000 });
      assert.ok(sameBytes(await receiving, data));
    }
    assert.is(io.stats().inFlight, 0);
  });

  suite.test("close ends what waits, and releases what was sent", async (trial) => {
    const { io, client, served } = await narrow(trial);
    const full = pattern(MUCH_BYTES);
    const steps = Array.from({ length: 5 }, () => client.sendZeroCopy(full, ALWAYS));
    const ends = steps.map(({ sent }) =>
      sent.then(
        () => "sent",
        (error) => error.code,
      ),
    );
    await roundTrips(io);
    await guarded("close", client.close());
    const codes = await guarded("the sends", Promise.all(ends));
    assert.is(codes[0], "sent");
    assert.ok(codes.slice(1).every((code) => code === "ECANCELED" || code === "sent"));
    await served.close();
    await guarded("the releases", Promise.all(steps.map(({ released }) => released)));
    assert.is(io.stats().inFlight, 0);
  });
}

/** Bytes of this process that may not be in huge pages, or undefined if none may be. */
function bytesWithoutHugePages(): number | undefined {
  if (!existsSync("/sys/kernel/mm/transparent_hugepage")) return undefined;
  // Each mapping has a line "Size:", and "VmFlags:" as its last line.
  const words = readFileSync("/proc/self/smaps", "utf8").matchAll(/^(Size|VmFlags): *(.*)$/gm);
  let [sizeBytes, total] = [0, 0];
  for (const [, name, value = ""] of words) {
    if (name === "Size") sizeBytes = Number.parseInt(value, 10) * 1024;
    else if (value.split(" ").includes("nh")) total += sizeBytes;
  }
  return total;
}

function registerMemory(suite: Suite): void {
  suite.test(
    "a block that is released is not reused before the kernel releases it",
    async (trial) => {
      const { io, client, served } = await narrow(trial, { buffersMaxBytes: 1024 * 1024 });
      const block = io.buffers.acquire(1024 * 1024);
      block.set(pattern(1024 * 1024, 6));
      const expected = Buffer.from(block);
      const { sent, released } = client.sendZeroCopy(block, ALWAYS);
      const count = await sent;
      io.buffers.release(block);
      const taken = new Watched(released);
      await roundTrips(io);
      if (canSpare(io)) {
        assert.is(taken.state, "pending");
        assert.throws(() => io.buffers.acquire(1024 * 1024), /limit/);
      }
      assert.ok(sameBytes(await drain(served, count), expected.subarray(0, count)));
      await guarded("the release", released);
      using again = io.buffers.acquire(1024 * 1024);
      assert.is(again.byteLength, 1024 * 1024);
    },
  );

  // From a huge page a socket is charged with far more than it sends, and so sends little at once.
  suite.test("registered memory has pages of the usual size", async (trial) => {
    // Memory of earlier tests may be counted still, and be freed at any moment. So there is more
    // registered memory here than they can have left.
    const before = bytesWithoutHugePages();
    const io = await trial.open({ buffersMaxBytes: (before ?? 0) + 64 * 1024 * 1024 });
    const blocks = [io.buffers.acquire(2 * MUCH_BYTES)];
    const { registeredBytes } = io.stats();
    if (registeredBytes > 0 && before !== undefined) {
      while (io.stats().registeredBytes <= before) blocks.push(io.buffers.acquire(2 * MUCH_BYTES));
      const found = bytesWithoutHugePages() ?? 0;
      const min = io.stats().registeredBytes;
      assert.ok(found >= min, `${found} bytes of ${min}`);
    }
    for (const block of blocks) assert.ok(block.every((byte) => byte === 0));
  });

  suite.test("memory that is transferred between the steps stays where it is", async (trial) => {
    const { io, client, served } = await narrow(trial);
    const data = pattern(MUCH_BYTES, 8);
    const expected = Buffer.from(data);
    const { sent, released } = client.sendZeroCopy(data, ALWAYS);
    const count = await sent;
    const moved = structuredClone(data.buffer, { transfer: [data.buffer] });
    assert.is(data.byteLength, 0);
    assert.ok(sameBytes(await drain(served, count), expected.subarray(0, count)));
    await guarded("the release", released);
    assert.is(moved.byteLength, MUCH_BYTES);
    assert.is(io.stats().inFlight, 0);
  });
}
