// Many sends of one stream at once. They share calls where they can, which only the speed shows:
// each has its own completion, its own end, and its place in the stream.

import type { Completion, IO, Socket } from "@io/core";
import * as assert from "uvu/assert";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import {
  connected,
  connectTo,
  FAMILIES,
  type Family,
  pairOfDescriptors,
} from "../support/network.js";
import {
  failureCode,
  negative,
  outcome,
  roundTrips,
  Started,
  success,
  until,
} from "../support/verbs.js";

const CANCELED = negative("ECANCELED");

export function streamsPipelined(suite: Suite): void {
  for (const family of FAMILIES) {
    if (family.missing !== null) {
      suite.skip(`${family.name}: many sends at once`, family.missing);
      continue;
    }
    registerOrder(suite, family);
    registerSizes(suite, family);
    registerMixed(suite, family);
    registerThreshold(suite, family);
    registerEnds(suite, family);
    registerCrowd(suite, family);
  }
  for (const mode of MODES) registerCancelled(suite, mode);
}

/** Bytes that are different in every message, and everywhere in it. */
function message(number: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0; at < sizeBytes; at++) bytes[at] = (number * 37 + at * 11 + (at >> 8)) & 0xff;
  return bytes;
}

async function narrow(trial: Trial, family: Family): Promise<{ io: IO; from: Socket; to: Socket }> {
  const { io, client, served } = await connected(trial, family);
  client.setOptions({ sendBufferBytes: 4096 });
  return { io, from: client, to: served };
}

function registerOrder(suite: Suite, family: Family): void {
  suite.test(`${family.name}: 500 sends at once arrive whole and in order`, async (trial) => {
    const { io, from, to } = await narrow(trial, family);
    // The first one goes alone, and there is no room for all of it.
    const size = (number: number): number => (number === 0 ? 40_000 : number * 3 - 3);
    const messages = Array.from({ length: 500 }, (_, number) => message(number, size(number)));
    const expected = Buffer.concat(messages);
    const sends = messages.map((bytes) => from.send(bytes));
    const received = Buffer.alloc(expected.length);
    await to.receiveFull(received);
    assert.ok(received.equals(expected), "the messages, one after the other");
    assert.equal(
      await Promise.all(sends),
      messages.map(({ length }) => length),
    );
    assert.ok(io.stats().coalescedSends > 100, "they share calls");
  });
}

function registerSizes(suite: Suite, family: Family): void {
  suite.test(`${family.name}: sends of any size go together, and each in full`, async (trial) => {
    const { io, from, to } = await narrow(trial, family);
    const sizes = [200_000, 1, 65_536, 70_000, 0, 131_072, 5000, 65_535];
    const messages = Array.from({ length: 64 }, (_, number) =>
      message(number, sizes[number % sizes.length] as number),
    );
    const expected = Buffer.concat(messages);
    const sends = messages.map((bytes) => from.send(bytes));
    const received = Buffer.alloc(expected.length);
    await to.receiveFull(received);
    assert.ok(received.equals(expected), "the messages, one after the other");
    assert.equal(
      await Promise.all(sends),
      messages.map(({ length }) => length),
    );
    assert.ok(io.stats().coalescedSends >= 62, "all but the first, and perhaps one for its room");
  });

  suite.test(`${family.name}: all that wait go in one call`, async (trial) => {
    const { io, client, served } = await connected(trial, family);
    const messages = Array.from({ length: 900 }, (_, number) => message(number, 8));
    const expected = Buffer.concat(messages);
    const before = io.stats().coalescedSends;
    const sends = messages.map((bytes) => client.send(bytes));
    const received = Buffer.alloc(expected.length);
    await served.receiveFull(received);
    assert.ok(received.equals(expected), "the messages, one after the other");
    await Promise.all(sends);
    assert.is(io.stats().coalescedSends - before, 899);
  });
}

// What a send costs must not grow with the number of other sockets that send as well.
function registerCrowd(suite: Suite, family: Family): void {
  suite.test(
    `${family.name}: 8 sends on each of many sockets are a call for each`,
    async (trial) => {
      const io = await trial.open();
      const listener = await io.listen(family.listening(trial));
      const clients: Socket[] = [];
      for (const count of [5, 20, 80, 200]) {
        while (clients.length < count) clients.push((await connectTo(io, listener))[0]);
        const before = io.stats();
        await Promise.all(
          clients.flatMap((client) =>
            Array.from({ length: 8 }, (_, number) => client.send(message(number, 8))),
          ),
        );
        const after = io.stats();
        // All but the first of each socket, and of one that stands at the end of a batch.
        assert.ok(
          after.coalescedSends - before.coalescedSends >= 7 * count - 2,
          "they share calls",
        );
        const calls = after.systemCalls - before.systemCalls;
        assert.ok(calls < 1.3 * count + 10, `${calls} calls for ${count} sockets`);
      }
    },
  );
}

function registerMixed(suite: Suite, family: Family): void {
  suite.test(`${family.name}: other sends between them keep their places`, async (trial) => {
    const { from, to } = await narrow(trial, family);
    const messages = Array.from({ length: 100 }, (_, number) => message(number, 1 + number * 7));
    const sends = messages.map((bytes, number) => {
      if (number % 9 === 4) return from.send(bytes, { timeoutMs: 100_000 });
      if (number % 9 === 7) return from.sendVectored([bytes.subarray(0, 1), bytes.subarray(1)]);
      if (number % 9 === 8) return from.send(bytes, { zeroCopy: "always" });
      return from.send(bytes);
    });
    const counts: Promise<number[]> = Promise.all(sends);
    let ended = false;
    void counts.then(() => {
      ended = true;
    });
    const received: Buffer[] = [];
    const buffer = new Uint8Array(65_536);
    while (!ended) {
      const count = await to.receive(buffer, { timeoutMs: 20 }).catch(() => 0);
      received.push(Buffer.from(buffer.subarray(0, count)));
    }
    // For a send that may be short, the bytes that were taken.
    const taken = (await counts).map((count, number) => messages[number]?.subarray(0, count));
    const expected = Buffer.concat(taken as Buffer[]);
    let length = received.reduce((sum, { byteLength }) => sum + byteLength, 0);
    while (length < expected.length) {
      const count = await to.receive(buffer);
      received.push(Buffer.from(buffer.subarray(0, count)));
      length += count;
    }
    assert.ok(Buffer.concat(received).equals(expected), "the messages, one after the other");
  });
}

/** What is left of a send that has waited is sent as the rest was, whatever is set meanwhile. */
function registerThreshold(suite: Suite, family: Family): void {
  suite.test(`${family.name}: a threshold changes while sends wait`, async (trial) => {
    for (const sizeBytes of [8000, 9000, 16_000, 17_000, 30_000, 32_000]) {
      const { io, from, to } = await narrow(trial, family);
      from.setOptions({ zeroCopyThresholdBytes: 65_000 });
      const messages = Array.from({ length: 100 }, (_, number) => message(number, sizeBytes));
      const sends = messages.map((bytes) => from.send(bytes, { zeroCopy: "auto" }));
      await io.sleep(10);
      from.setOptions({ zeroCopyThresholdBytes: 1 });
      const counting = Promise.all(sends).then(async (counts) => {
        await from.shutdown("send");
        return counts;
      });
      const received: Buffer[] = [];
      const buffer = Buffer.alloc(65_536);
      for (let count = -1; count !== 0; ) {
        count = await to.receive(buffer);
        received.push(Buffer.from(buffer.subarray(0, count)));
      }
      const counts = await counting;
      const taken = messages.map((bytes, number) => bytes.subarray(0, counts[number]));
      assert.ok(Buffer.concat(received).equals(Buffer.concat(taken)), "what was said to be sent");
      // Only the last one has none behind it and may be short.
      assert.equal(counts.slice(0, -1), Array(99).fill(sizeBytes));
    }
  });
}

function registerEnds(suite: Suite, family: Family): void {
  suite.test(`${family.name}: closing ends those that wait`, async (trial) => {
    const { io, from, to } = await narrow(trial, family);
    const sends = Array.from({ length: 400 }, (_, number) => from.send(message(number, 2000)));
    const results = Promise.allSettled(sends);
    await roundTrips(io, 10);
    await from.close();
    const settled = await results;
    const states = settled.map(({ status }) => status);
    const first = states.indexOf("rejected");
    assert.ok(first >= 0, "there was no room for all");
    assert.ok(states.slice(first).every((status) => status === "rejected"));
    for (const one of settled.slice(first)) {
      assert.match((one as PromiseRejectedResult).reason.code, /^(ECANCELED|ERR_IO_CLOSED)$/);
    }
    const expected = settled.flatMap((one, number) => {
      return one.status === "fulfilled" ? [message(number, 2000).subarray(0, one.value)] : [];
    });
    const received = Buffer.alloc(Buffer.concat(expected).length);
    await to.receiveFull(received);
    assert.ok(received.equals(Buffer.concat(expected)), "what was said to be sent");
    assert.is(await to.receive(new Uint8Array(1)), 0, "and nothing else");
  });

  suite.test(`${family.name}: each of them fails when the peer goes away`, async (trial) => {
    const { io, from, to } = await narrow(trial, family);
    const sends = Array.from({ length: 400 }, (_, number) => from.send(message(number, 2000)));
    const results = Promise.allSettled(sends);
    await roundTrips(io, 10);
    await to.close();
    const settled = await results;
    const failed = settled.filter(({ status }) => status === "rejected");
    assert.ok(failed.length > 0);
    for (const one of failed) {
      assert.match((one as PromiseRejectedResult).reason.code, /^(EPIPE|ECONNRESET)$/);
    }
    assert.match(await failureCode(from.send(message(0, 1))), /^(EPIPE|ECONNRESET)$/);
  });
}

const isDone = ({ done }: Started): boolean => done;

interface Sent {
  readonly bytes: Buffer;
  readonly started: Started;
}

/** Fills a socket, and queues sends that go together behind it. */
async function sendMany(io: IO, descriptor: number): Promise<Sent[]> {
  const sent: Sent[] = [];
  for (let number = 0; number < 1000; number++) {
    const bytes = message(number, 1500);
    const started = new Started((c, callback) => io.ring.send(c, callback, descriptor, bytes));
    sent.push({ bytes, started });
  }
  await roundTrips(io, 10);
  assert.ok(!(sent.at(-1) as Sent).started.done, "there is no room for so much");
  return sent;
}

function registerCancelled(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: of many sends at once, some are cancelled`, async (trial) => {
    const io = await trial.open({ mode });
    const { near, far } = await pairOfDescriptors(io);
    const sent = await sendMany(io, near);
    const waiting = sent.findIndex(({ started }) => !started.done);
    const cancel = (completion: Completion): Promise<number> =>
      outcome(io, (c, callback) => io.ring.cancel(c, callback, completion));
    // The first that waits, the second, one in the middle, and the last.
    for (const index of [waiting, waiting + 1, waiting + 9, sent.length - 1]) {
      const { started } = sent[index] as Sent;
      const result = await cancel(started.completion);
      assert.ok(result === 0 || result === negative("EALREADY"), `the cancel gave ${result}`);
      await until(io, () => started.done, "the end of what was cancelled");
      assert.ok(started.result === CANCELED || started.result > 0);
      if (result === 0) assert.is(started.result, CANCELED);
    }
    await checkStream(io, far, sent);
    assert.is((sent.at(-1) as Sent).started.result, CANCELED);
    assert.is((sent.at(-2) as Sent).started.result, 1500);
  });

  suite.test(`${mode}: two cancels at once count each send once`, async (trial) => {
    const io = await trial.open({ mode });
    const { near, far } = await pairOfDescriptors(io);
    const sent = await sendMany(io, near);
    const waiting = sent.filter(({ started }) => !started.done);
    const cancel = (): Started =>
      new Started((c, callback) => io.ring.cancelDescriptor(c, callback, near));
    const cancels = [cancel(), cancel()];
    await until(
      io,
      () => [...cancels, ...waiting.map(({ started }) => started)].every(isDone),
      "all",
    );
    const counted = cancels.reduce((sum, { result }) => sum + result, 0);
    // Both find the send that waits in the kernel.
    const twice = counted - waiting.length;
    assert.ok(twice === 0 || twice === 1, `${counted} were counted of ${waiting.length}`);
    await checkStream(io, far, sent);
  });

  suite.test(`${mode}: all of many sends at once are cancelled`, async (trial) => {
    for (const all of [true, false]) {
      const io = await trial.open({ mode });
      const { near, far } = await pairOfDescriptors(io);
      const sent = await sendMany(io, near);
      const waiting = sent.filter(({ started }) => !started.done);
      const count = await success(io, (c, callback) =>
        all ? io.ring.cancelAll(c, callback) : io.ring.cancelDescriptor(c, callback, near),
      );
      await until(io, () => waiting.every(({ started }) => started.done), "the end of all");
      assert.is(count, waiting.length);
      await checkStream(io, far, sent);
    }
  });
}

/** What arrives is what the sends took, in their order. */
async function checkStream(io: IO, descriptor: number, sent: readonly Sent[]): Promise<void> {
  const received: Buffer[] = [];
  const buffer = new Uint8Array(65_536);
  const taken = ({ bytes, started: { results } }: Sent): Buffer =>
    bytes.subarray(0, Math.max(0, results[0] ?? 0));
  const expected = (): Buffer => Buffer.concat(sent.map(taken));
  let length = 0;
  const complete = (): boolean =>
    sent.every(({ started }) => started.done) && length >= expected().length;
  while (!complete()) {
    const started = new Started((c, callback) => io.ring.receive(c, callback, descriptor, buffer));
    await until(io, () => started.done || complete(), "what was sent");
    if (!started.done) break;
    assert.ok(started.result > 0);
    received.push(Buffer.from(buffer.subarray(0, started.result)));
    length += started.result;
  }
  assert.ok(Buffer.concat(received).equals(expected()), "the bytes of those that were sent");
}
