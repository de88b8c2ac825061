// Receiving into provided buffers with promises: the chunks, their release, and how a stream ends.

import { type Chunk, Completion, IOError, type Socket } from "@io/core";
import * as assert from "uvu/assert";
import { guardMs } from "../../support/guard.js";
import { pattern, sameBytes, text } from "../support/data.js";
import type { Suite } from "../support/harness.js";
import {
  connected,
  connectedToNode,
  connectTo,
  FAMILIES,
  type Family,
} from "../support/network.js";
import {
  codeOfNumber,
  failureCode,
  refusalCode,
  roundTrips,
  turn,
  until,
  Watched,
} from "../support/verbs.js";

export function receivingStreams(suite: Suite): void {
  for (const family of FAMILIES) {
    if (family.missing !== null) suite.skip(family.name, family.missing);
    else registerData(suite, family);
  }
  registerChunks(suite);
  registerLeaving(suite);
  registerErrors(suite);
  registerOptions(suite);
  registerTime(suite);
  registerLimits(suite);
  registerRefusals(suite);
}

/** Whether a stream ends, or the code of what it fails with. */
function ending(next: Promise<IteratorResult<Chunk>>): Promise<boolean | string> {
  return next.then(
    ({ done }) => done === true,
    ({ code }: IOError) => code,
  );
}

const END = { done: true, value: undefined };

/** Sends everything and ends the stream; what fails is the test's other side's to tell. */
function pour(socket: Socket, data: Uint8Array): Promise<void> {
  return socket.sendAll(data).then(() => socket.shutdown("send"));
}

async function take(chunks: AsyncIterator<Chunk>): Promise<Chunk> {
  const { done, value } = await chunks.next();
  assert.is(done, false);
  return value as Chunk;
}

function registerData(suite: Suite, family: Family): void {
  suite.test(`${family.name}: every byte comes once and in order`, async (trial) => {
    const { io, client, served } = await connected(trial, family);
    const sent = pattern(1_500_000);
    const sending = pour(client, sent);
    let done = 0;
    for await (using chunk of served.chunks()) {
      assert.ok(chunk.byteLength > 0 && chunk.byteLength <= 16 * 1024);
      assert.is(chunk.bytes.byteLength, chunk.byteLength);
      const expected = sent.subarray(done, done + chunk.byteLength);
      assert.ok(sameBytes(chunk.bytes, expected), `at ${done}`);
      done += chunk.byteLength;
      if (done % 7 === 0) await turn();
    }
    await sending;
    assert.is(done, sent.length);
    await roundTrips(io, 1);
    assert.is(io.stats().buffersHeld, 0);
    assert.is(await served.receive(new Uint8Array(8)), 0, "the end again");
  });

  suite.test(
    `${family.name}: what was received is sent back from where it stands`,
    async (trial) => {
      const { client, served } = await connected(trial, family);
      const sent = pattern(700_000);
      const echo = async (): Promise<void> => {
        for await (using chunk of served.chunks()) await served.sendAll(chunk.bytes);
        await served.shutdown("send");
      };
      const got = new Uint8Array(sent.length);
      await Promise.all([pour(client, sent), echo(), client.receiveFull(got)]);
      assert.ok(sameBytes(got, sent));
    },
  );
}

function registerChunks(suite: Suite): void {
  suite.test("a chunk that was returned throws, whatever it is asked", async (trial) => {
    const { client, served } = await connected(trial);
    const chunks = served.chunks();
    await client.sendAll(Buffer.from("hello"));
    const chunk = await take(chunks);
    assert.is(chunk.released, false);
    assert.is(text(chunk.bytes), "hello");
    chunk.release();
    assert.is(chunk.released, true);
    assert.is(chunk.byteLength, 5);
    for (const use of [() => chunk.bytes, () => chunk.release(), () => chunk[Symbol.dispose]()]) {
      assert.is(refusalCode(use), "ERR_IO_CHUNK_RELEASED");
    }
    assert.throws(() => chunk.release(), /^release: the chunk was released/);
  });

  suite.test("an old view of memory that was returned is refused by operations", async (trial) => {
    const { io, client, served } = await connected(trial);
    const chunks = served.chunks({ chunkBytes: 4096 });
    await client.sendAll(pattern(3 * 4096));
    const views: Uint8Array[] = [];
    for (let done = 0; done < 3 * 4096; ) {
      using chunk = await take(chunks);
      views.push(chunk.bytes);
      done += chunk.byteLength;
    }
    await roundTrips(io);
    for (const view of views.slice(0, -1)) {
      assert.is(await failureCode(served.send(view)), "ERR_IO_CHUNK_RELEASED");
      assert.is(await failureCode(served.receive(view)), "ERR_IO_RECEIVING");
      assert.is(await failureCode(client.receive(view)), "ERR_IO_CHUNK_RELEASED");
      assert.is(await failureCode(served.sendVectored([view])), "ERR_IO_CHUNK_RELEASED");
    }
  });

  suite.test(
    "a chunk that is returned in the middle of a send is sent as it was",
    async (trial) => {
      const io = await trial.open({ chunksMaxBytes: 64 * 1024 });
      const listener = await io.listen({ port: 0 });
      const [client, served] = await connectTo(io, listener);
      const [slow, full] = await connectTo(io, listener);
      full.setOptions({ sendBufferBytes: 4096 });
      const sent = pattern(600_000);
      const sending = pour(client, sent);
      const sends: Promise<void>[] = [];
      const got = new Uint8Array(sent.length);
      const receiving = slow.receiveFull(got);
      for await (using chunk of served.chunks()) {
        // Not awaited: the chunk is returned while the kernel has it.
        sends.push(full.sendAll(chunk.bytes));
        await sends.at(-2);
      }
      await Promise.all([sending, receiving, ...sends]);
      assert.ok(sameBytes(got, sent));
    },
  );

  suite.test("with poison, memory that was returned is overwritten", async (trial) => {
    const io = await trial.open({ debug: { detectReuse: true } });
    const listener = await io.listen({ port: 0 });
    const [client, served] = await connectTo(io, listener);
    await client.sendAll(Buffer.from("secret"));
    const chunk = await take(served.chunks());
    const view = chunk.bytes;
    chunk.release();
    assert.equal([...view], Array(6).fill(0xdb));
    const block = io.buffers.acquire(100).fill(7);
    io.buffers.release(block);
    assert.equal([...block], Array(100).fill(0xdb));
  });
}

function registerLeaving(suite: Suite): void {
  suite.test(
    "leaving the loop frees the socket, and drops chunks that were not taken",
    async (trial) => {
      const { io, listener, client, served } = await connected(trial);
      await listener.close();
      await client.sendAll(pattern(100_000));
      for await (const chunk of served.chunks({ chunkBytes: 4096 })) {
        chunk.release();
        break;
      }
      await roundTrips(io);
      assert.is(io.stats().buffersHeld, 0);
      const rest = new Uint8Array(200_000);
      const receiving = served.receive(rest);
      await client.sendAll(Buffer.from("after"));
      assert.ok((await receiving) > 0, "the socket is the program's again");
      assert.is(io.stats().inFlight, 0);
    },
  );

  suite.test("a chunk that was taken outlives the loop and the socket", async (trial) => {
    const { client, served } = await connected(trial);
    await client.sendAll(Buffer.from("kept"));
    let kept: Chunk | undefined;
    for await (const chunk of served.chunks()) {
      kept = chunk;
      break;
    }
    await served.close();
    assert.is(text((kept as Chunk).bytes), "kept");
    kept?.release();
  });

  suite.test("return() ends what waits, once and for all", async (trial) => {
    const { io, listener, served } = await connected(trial);
    await listener.close();
    const chunks = served.chunks();
    const pending = [chunks.next(), chunks.next(), chunks.next()];
    await roundTrips(io, 2);
    assert.equal(await chunks.return(), { done: true, value: undefined });
    for (const one of pending) assert.equal(await one, { done: true, value: undefined });
    assert.equal(await chunks.next(), { done: true, value: undefined });
    assert.equal(await chunks.return(), { done: true, value: undefined });
    const unused = served.chunks();
    await unused.return();
    assert.equal(await unused.next(), { done: true, value: undefined });
    assert.is(io.stats().inFlight, 0);
  });

  suite.test("several next() at once are served in order", async (trial) => {
    const { client, served } = await connected(trial);
    const chunks = served.chunks({ chunkBytes: 4096 });
    const pending = Array.from({ length: 6 }, () => chunks.next());
    const sent = pattern(5 * 4096);
    await pour(client, sent);
    const parts: Uint8Array[] = [];
    for (const one of pending) {
      const { value } = await one;
      if (value !== undefined) parts.push(value.bytes.slice());
      value?.release();
    }
    for await (using chunk of chunks) parts.push(chunk.bytes.slice());
    assert.ok(sameBytes(Buffer.concat(parts), sent));
  });
}

function registerErrors(suite: Suite): void {
  suite.test("an error of the connection comes after the bytes before it", async (trial) => {
    const { peer, socket } = await connectedToNode(trial);
    const chunks = socket.chunks();
    const first = chunks.next();
    peer.write("before");
    const { value } = await first;
    assert.is(text((value as Chunk).bytes), "before");
    value?.release();
    peer.resetAndDestroy();
    const error = await chunks.next().then(
      () => undefined,
      (caught) => caught as IOError,
    );
    assert.instance(error, IOError);
    assert.is(error?.code, "ECONNRESET");
    assert.is(error?.syscall, "recv");
    assert.equal(await chunks.next(), { done: true, value: undefined });
  });

  suite.test("closing the socket ends the loop, without an error", async (trial) => {
    const { io, served } = await connected(trial);
    const pending = served.chunks().next();
    await roundTrips(io, 2);
    await served.close();
    assert.equal(await pending, END);
    assert.is(
      refusalCode(() => served.chunks()),
      "ERR_IO_CLOSED",
    );
  });

  suite.test("so does closing the IO, and cancelAll() is an error", async (trial) => {
    const { io, client, served } = await connected(trial);
    const pending = failureCode(served.chunks().next());
    await roundTrips(io, 2);
    await io.cancelAll();
    assert.is(await pending, "ECANCELED");
    const unstarted = served.chunks();
    const waiting = [client, served].map((socket) => socket.chunks().next());
    await roundTrips(io, 2);
    await trial.close(io);
    assert.equal(await Promise.all(waiting), [END, END]);
    assert.is(await failureCode(unstarted.next()), "ERR_IO_CLOSED");
  });
}

function timedOut(error: unknown): undefined {
  assert.is((error as IOError).code, "ETIMEDOUT");
}

function registerOptions(suite: Suite): void {
  suite.test("an abort ends it, before, between and after", async (trial) => {
    const { io, listener, client, served } = await connected(trial);
    await listener.close();
    const aborted = AbortSignal.abort(new Error("no"));
    const chunks = served.chunks({ signal: aborted });
    assert.is(await failureCode(chunks.next()), "ABORT_ERR");
    assert.is((await chunks.next()).done, true);
    const controller = new AbortController();
    const others = served.chunks({ signal: controller.signal });
    const pending = failureCode(others.next());
    await roundTrips(io, 2);
    controller.abort(new Error("stop"));
    assert.is(await pending, "ABORT_ERR");
    const third = new AbortController();
    const last = served.chunks({ signal: third.signal });
    await client.sendAll(pattern(10_000));
    (await take(last)).release();
    third.abort();
    assert.is(await failureCode(last.next()), "ABORT_ERR");
    await roundTrips(io);
    assert.is(io.stats().buffersHeld, 0, "chunks that were not taken were returned");
    assert.is(io.stats().inFlight, 0);
  });

  suite.test("a time limit counts the wait for one chunk", async (trial) => {
    const { io, listener, client, served } = await connected(trial);
    await listener.close();
    const chunks = served.chunks({ timeoutMs: 40 });
    const begin = performance.now();
    const first = chunks.next();
    await client.sendAll(Buffer.from("in time"));
    const { value } = await first;
    value?.release();
    assert.is(await failureCode(chunks.next()), "ETIMEDOUT");
    assert.ok(performance.now() - begin >= 40, "not before its time");
    assert.is((await chunks.next()).done, true);
    await until(io, () => io.stats().inFlight === 0, "nothing is left in flight");
    await client.sendAll(Buffer.from("x"));
    assert.is(await served.receive(new Uint8Array(8)), 1);
  });
}

function registerTime(suite: Suite): void {
  suite.test("what comes when the time is up is not lost", async (trial) => {
    const { io, client, served } = await connected(trial);
    const sent = pattern(10_000);
    const options = { timeoutMs: 5 };
    let chunks = served.chunks(options);
    const takeInTime = (): Promise<Chunk | undefined> =>
      chunks.next().then(({ value }) => value, timedOut);
    const parts: Uint8Array[] = [];
    let done = 0;
    for (let at = 0; at < sent.length; at += 1000) {
      let next = takeInTime();
      await roundTrips(io);
      // Both events are pending: the end of the time limit, and the arrival of bytes.
      for (const begin = performance.now(); performance.now() < begin + 10; );
      await client.sendAll(sent.subarray(at, at + 1000));
      while (done < at + 1000) {
        const chunk = await next;
        if (chunk === undefined) chunks = served.chunks(options);
        else done += chunk.byteLength;
        if (chunk !== undefined) parts.push(chunk.bytes.slice());
        chunk?.release();
        if (done < at + 1000) next = takeInTime();
      }
    }
    assert.ok(sameBytes(Buffer.concat(parts), sent));
    await chunks.return();
    await roundTrips(io);
    assert.is(io.stats().buffersHeld, 0);
  });

  suite.test("a time limit that elapses while the IO is closed is no error", async (trial) => {
    const { io, served } = await connected(trial);
    let limitMs = guardMs(20);
    let chunks = served.chunks({ timeoutMs: limitMs });
    let first = ending(chunks.next());
    // On a busy machine the round trips may take longer than the limit: then a longer one is tried.
    while ((await Promise.race([first, roundTrips(io)])) !== undefined) {
      limitMs *= 4;
      chunks = served.chunks({ timeoutMs: limitMs });
      first = ending(chunks.next());
    }
    // The timer of the first wait elapses unseen, and is reported when the close has begun.
    for (const begin = performance.now(); performance.now() < begin + 2 * limitMs; );
    const second = chunks.next();
    await trial.close(io);
    assert.is(await first, true);
    assert.is((await second).done, true);
  });

  suite.test("a time limit for which there is no free place ends the stream", async (trial) => {
    const { io, served } = await connected(trial, FAMILIES[0], { inFlightLimit: 32 });
    const fill = (): void => {
      for (let count = 0; count <= 32; count++) {
        io.ring.timeout(new Completion(), () => undefined, 3600e9);
      }
    };
    assert.is(refusalCode(fill), "ERR_IO_IN_FLIGHT_LIMIT");
    const chunks = served.chunks({ timeoutMs: 1000 });
    assert.is(await failureCode(chunks.next()), "ERR_IO_IN_FLIGHT_LIMIT");
    assert.is((await chunks.next()).done, true);
  });
}

function registerLimits(suite: Suite): void {
  suite.test("chunkBytes is the most that a chunk has", async (trial) => {
    const { io, listener, client, served } = await connected(trial);
    await listener.close();
    for (const [asked, max] of [
      [1, 4096],
      [4096, 4096],
      [5000, 8192],
      [65536, 65536],
      [1024 * 1024, 1024 * 1024],
    ] as const) {
      const sending = client.sendAll(pattern(200_000));
      let done = 0;
      for await (using chunk of served.chunks({ chunkBytes: asked })) {
        assert.ok(chunk.byteLength <= max, `${chunk.byteLength} bytes of ${asked}`);
        done += chunk.byteLength;
        if (done === 200_000) break;
      }
      await sending;
    }
    assert.is(io.stats().inFlight, 0);
  });

  suite.test("an idle socket holds no memory", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ port: 0 });
    const [client, served] = await connectTo(io, listener);
    const first = served.chunks();
    await client.sendAll(Buffer.from("x"));
    (await take(first)).release();
    const before = io.stats();
    const waiting: Watched<unknown>[] = [];
    const sockets: Socket[] = [];
    for (let count = 0; count < 200; count++) {
      const [far, near] = await connectTo(io, listener);
      sockets.push(far, near);
      waiting.push(new Watched(near.chunks().next()));
    }
    await roundTrips(io);
    const after = io.stats();
    assert.is(after.buffersHeld, 0);
    assert.is(after.bufferBytes, before.bufferBytes);
    assert.is(after.buffers, before.buffers);
    for (const { promise } of waiting) promise.catch(() => undefined);
    await Promise.all(sockets.map((socket) => socket.close()));
    assert.ok(waiting.every(({ state }) => state === "resolved"));
  });
}

function registerRefusals(suite: Suite): void {
  suite.test("while a socket is received from, other receives are refused", async (trial) => {
    const { io, listener, client, served } = await connected(trial);
    await listener.close();
    const unstarted = served.chunks();
    const chunks = served.chunks();
    const pending = chunks.next();
    assert.is(
      refusalCode(() => served.chunks()),
      "ERR_IO_RECEIVING",
    );
    assert.is(await failureCode(served.receive(new Uint8Array(8))), "ERR_IO_RECEIVING");
    assert.is(await failureCode(served.receiveFull(new Uint8Array(8))), "ERR_IO_RECEIVING");
    await client.sendAll(Buffer.from("one"));
    (await pending).value?.release();
    await chunks.return();
    await client.sendAll(Buffer.from("two"));
    using chunk = await take(unstarted);
    assert.is(text(chunk.bytes), "two");
    await unstarted.return();
    assert.is(io.stats().inFlight, 0);
  });

  suite.test("arguments are checked", async (trial) => {
    const { served } = await connected(trial);
    for (const chunkBytes of [0, -1, 0.5, Number.NaN, 2 ** 21, "1" as unknown as number]) {
      assert.is(
        refusalCode(() => served.chunks({ chunkBytes })),
        codeOfNumber(chunkBytes),
      );
    }
    for (const timeoutMs of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.is(
        refusalCode(() => served.chunks({ timeoutMs })),
        "ERR_OUT_OF_RANGE",
      );
    }
    for (const chunksMaxBytes of [-1, 0.5, Number.NaN]) {
      assert.is(await failureCode(trial.open({ chunksMaxBytes })), "ERR_OUT_OF_RANGE");
    }
  });
}
