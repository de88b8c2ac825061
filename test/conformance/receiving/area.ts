// Receiving into an area that the kernel registers without a device: every way in which a chunk
// comes back, or does not.

import type { Chunk, ChunkStream, IO, Listener, Socket } from "@io/core";
import * as assert from "uvu/assert";
import { pattern, sameBytes, text } from "../support/data.js";
import type { Suite, Trial } from "../support/harness.js";
import { connected, connectTo, FAMILIES, type Family } from "../support/network.js";
import { roundTrips, turn, until, Watched } from "../support/verbs.js";

const PAGE_BYTES = 4096;
const PAGES = 16;
const SMALL = { chunksMaxBytes: PAGES * PAGE_BYTES };

export function area(suite: Suite): void {
  registerCounting(suite);
  registerKept(suite);
  registerOthers(suite);
  registerEndings(suite);
}

async function small(trial: Trial): Promise<[IO, Listener]> {
  const io = await trial.open(SMALL);
  return [io, await io.listen({ port: 0 })];
}

async function take(chunks: AsyncIterator<Chunk>): Promise<Chunk> {
  const { done, value } = await chunks.next();
  assert.is(done, false);
  return value as Chunk;
}

/** Takes chunks and keeps them until nothing more comes; gives them, and the wait for the next. */
async function keepAll(
  io: IO,
  chunks: ChunkStream,
): Promise<[Chunk[], Promise<IteratorResult<Chunk>>]> {
  const kept: Chunk[] = [];
  for (;;) {
    const next = chunks.next();
    const waiting = new Watched(next);
    await roundTrips(io, 3);
    if (waiting.state === "pending") return [kept, next];
    kept.push((await next).value as Chunk);
  }
}

/** Receives everything that is sent; the bytes are compared as they come. */
async function receiveFull(socket: Socket, sent: Uint8Array): Promise<void> {
  let done = 0;
  for await (using chunk of socket.chunks()) {
    assert.ok(sameBytes(chunk.bytes, sent.subarray(done, done + chunk.byteLength)), `at ${done}`);
    done += chunk.byteLength;
    if (done === sent.length) return;
  }
  assert.is(done, sent.length);
}

function registerCounting(suite: Suite): void {
  suite.test("chunks are counted, for the IO and for the socket", async (trial) => {
    const { io, client, served } = await connected(trial);
    assert.is(io.zeroCopyReceive.support, "native");
    assert.match(io.zeroCopyReceive.reason, "without a device");
    assert.is(io.capabilities.zeroCopyReceive.support, "native");
    const sent = pattern(300_000);
    await Promise.all([client.sendAll(sent), receiveFull(served, sent)]);
    await roundTrips(io, 1);
    const stats = io.stats();
    assert.is(stats.zeroCopyChunkBytes, sent.length);
    assert.ok(stats.zeroCopyChunks >= sent.length / PAGE_BYTES);
    assert.is(stats.zeroCopyChunksHeld, 0);
    assert.is(stats.zeroCopyRefused, 0);
    assert.is(stats.releasesRefused, 0);
    const { zeroCopyChunks, zeroCopyChunkBytes } = served.stats();
    assert.equal([zeroCopyChunks, zeroCopyChunkBytes], [stats.zeroCopyChunks, sent.length]);
    assert.is(client.stats().zeroCopyChunks, 0);
  });

  for (const family of FAMILIES.filter((one) => one.family === "unix" && one.missing === null)) {
    registerRefused(suite, family);
  }
}

function registerRefused(suite: Suite, family: Family): void {
  suite.test(`${family.name} is no TCP: it receives in provided buffers`, async (trial) => {
    const { io, client, served } = await connected(trial, family);
    const sent = pattern(300_000);
    await Promise.all([client.sendAll(sent), receiveFull(served, sent)]);
    const { zeroCopyChunks, zeroCopyRefused } = io.stats();
    assert.equal([zeroCopyChunks, zeroCopyRefused], [0, 1]);
    assert.is(served.stats().zeroCopyChunkBytes, 0);
  });
}

function registerKept(suite: Suite): void {
  suite.test("many times the area goes through it", async (trial) => {
    const [io, listener] = await small(trial);
    const [client, served] = await connectTo(io, listener);
    const sent = pattern(100 * PAGES * PAGE_BYTES);
    await Promise.all([client.sendAll(sent), receiveFull(served, sent)]);
    await roundTrips(io, 1);
    assert.is(io.stats().zeroCopyChunksHeld, 0);
    assert.ok(io.stats().zeroCopyFlushes > 0, "the kernel is asked to take what was returned");
  });

  suite.test("a stream that keeps all of it stops, and goes on after a release", async (trial) => {
    const [io, listener] = await small(trial);
    const [client, served] = await connectTo(io, listener);
    const sent = pattern(4_000_000);
    const sending = new Watched(client.sendAll(sent));
    sending.promise.catch(() => undefined);
    const chunks = served.chunks();
    let done = 0;
    const check = (chunk: Chunk): void => {
      const expected = sent.subarray(done, done + chunk.byteLength);
      assert.ok(sameBytes(chunk.bytes, expected), `at ${done}`);
      done += chunk.byteLength;
      chunk.release();
    };
    for (let round = 0; done < sent.length; round++) {
      const [kept, waiting] = await keepAll(io, chunks);
      assert.ok(kept.length <= PAGES, `${kept.length} chunks of ${PAGES} pages`);
      if (round === 0) assert.is(sending.state, "pending", "the peer waits");
      if (round === 0) {
        const { submitted } = io.stats();
        await roundTrips(io, 20);
        assert.is(io.stats().submitted - submitted, 20, "no receive is made again and again");
      }
      for (const chunk of kept) check(chunk);
      if (done < sent.length) check((await waiting).value as Chunk);
    }
    await sending.promise;
    await chunks.return();
  });

  suite.test("chunks that are kept stay as they are while others come", async (trial) => {
    const { io, client, served } = await connected(trial);
    const sent = pattern(3_000_000);
    const sending = client.sendAll(sent);
    const chunks = served.chunks();
    const kept: [number, Chunk][] = [];
    for (let done = 0; done < sent.length; ) {
      const chunk = await take(chunks);
      if (kept.length < 20) kept.push([done, chunk]);
      done += chunk.byteLength;
      if (kept.at(-1)?.[1] !== chunk) chunk.release();
    }
    await sending;
    await roundTrips(io, 1);
    assert.is(io.stats().zeroCopyChunksHeld, 20);
    for (const [at, chunk] of kept) {
      assert.ok(sameBytes(chunk.bytes, sent.subarray(at, at + chunk.byteLength)), `at ${at}`);
      chunk.release();
    }
    await chunks.return();
  });
}

function registerOthers(suite: Suite): void {
  suite.test("streams that share a small area all get through", async (trial) => {
    const [io, listener] = await small(trial);
    const work: Promise<void>[] = [];
    for (let index = 0; index < 12; index++) {
      const [client, served] = await connectTo(io, listener);
      const sent = pattern(400_000, index);
      work.push(
        client.sendAll(sent).then(() => client.shutdown("send")),
        receiveFull(served, sent),
      );
    }
    await Promise.all(work);
    await roundTrips(io, 1);
    assert.is(io.stats().zeroCopyChunksHeld, 0);
  });

  suite.test("one that keeps all of it holds up the next, until it is closed", async (trial) => {
    const [io, listener] = await small(trial);
    const [client, keeper] = await connectTo(io, listener);
    client.sendAll(pattern(1_000_000)).catch(() => undefined);
    const [kept, ended] = await keepAll(io, keeper.chunks());
    ended.catch(() => undefined);
    const [far, near] = await connectTo(io, listener);
    await far.sendAll(Buffer.from("late"));
    const next = near.chunks().next();
    const waiting = new Watched(next);
    await roundTrips(io, 20);
    assert.is(waiting.state, "pending", "there is no memory for it");
    await keeper.close();
    for (const chunk of kept) chunk.release();
    const { value } = await next;
    assert.is(text((value as Chunk).bytes), "late");
    (value as Chunk).release();
  });

  suite.test("a chunk that is returned while it is sent is sent as it was", async (trial) => {
    const [io, listener] = await small(trial);
    const [client, served] = await connectTo(io, listener);
    const [slow, full] = await connectTo(io, listener);
    full.setOptions({ sendBufferBytes: 4096 });
    const sent = pattern(600_000);
    const sending = client.sendAll(sent).then(() => client.shutdown("send"));
    const got = new Uint8Array(sent.length);
    const receiving = slow.receiveFull(got);
    const sends: Promise<void>[] = [];
    for await (using chunk of served.chunks()) {
      sends.push(full.sendAll(chunk.bytes));
      await sends.at(-2);
    }
    await Promise.all([sending, receiving, ...sends]);
    assert.ok(sameBytes(got, sent));
  });
}

function registerEndings(suite: Suite): void {
  suite.test("a socket that is closed leaves its chunks to the program", async (trial) => {
    const [io, listener] = await small(trial);
    const [client, served] = await connectTo(io, listener);
    client.sendAll(pattern(500_000)).catch(() => undefined);
    const [kept, ended] = await keepAll(io, served.chunks());
    const copies = kept.map((chunk) => chunk.bytes.slice());
    await served.close();
    await ended;
    await client.close();
    await turn();
    for (const [index, chunk] of kept.entries()) {
      assert.ok(sameBytes(chunk.bytes, copies[index] as Uint8Array), "as it was");
      chunk.release();
    }
    await roundTrips(io, 1);
    assert.is(io.stats().zeroCopyChunksHeld, 0);
    // All of it is there for the next one.
    const [far, near] = await connectTo(io, listener);
    const sent = pattern(500_000, 1);
    await Promise.all([far.sendAll(sent), receiveFull(near, sent)]);
  });

  suite.test("io.close() names who has kept chunks, which keep their bytes", async (trial) => {
    const { io, client, served } = await connected(trial);
    const peer = `127.0.0.1:${served.remoteAddress!.port}`;
    const sent = pattern(3 * PAGE_BYTES);
    await client.sendAll(sent);
    const chunks = served.chunks();
    const kept: Chunk[] = [];
    for (let done = 0; done < sent.length; ) {
      kept.push(await take(chunks));
      done += kept.at(-1)?.byteLength ?? 0;
    }
    const warnings: string[] = [];
    const record = ({ message }: Error): void => {
      if (message.includes(peer)) warnings.push(message);
    };
    process.on("warning", record);
    await trial.close(io);
    await turn();
    process.off("warning", record);
    assert.is(warnings.length, 1);
    assert.match(warnings[0] ?? "", `chunks were never released: ${kept.length} of the socket`);
    assert.ok(sameBytes(Buffer.concat(kept.map((chunk) => chunk.bytes)), sent));
    for (const chunk of kept) chunk.release();
  });

  suite.test("peers that go away in the middle leave nothing behind", async (trial) => {
    const [io, listener] = await small(trial);
    for (let round = 0; round < 20; round++) {
      const [client, served] = await connectTo(io, listener);
      const sending = client.sendAll(pattern(200_000, round)).catch(() => undefined);
      const chunks = served.chunks();
      const first = await take(chunks);
      if (round % 3 === 0) await client.close();
      if (round % 3 === 1) await served.close();
      if (round % 3 === 2) await chunks.return();
      first.release();
      await Promise.all([client.close(), served.close(), sending]);
    }
    await listener.close();
    await until(io, () => io.stats().inFlight === 0, "nothing is left in flight");
    assert.is(io.stats().zeroCopyChunksHeld, 0);
    assert.is(io.stats().releasesRefused, 0);
  });
}
