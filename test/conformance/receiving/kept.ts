// Kept chunks: a program that keeps them stops its own stream and no other, and releasing one lets
// the stream go on.

import type { Chunk, ChunkStream, IO, Listener, Socket } from "@io/core";
import * as assert from "uvu/assert";
import { pattern, sameBytes, text } from "../support/data.js";
import type { Suite, Trial } from "../support/harness.js";
import { connected, connectTo } from "../support/network.js";
import { failureCode, refusalCode, roundTrips, turn, until, Watched } from "../support/verbs.js";

export function receivingKept(suite: Suite): void {
  registerOne(suite);
  registerOthers(suite);
  registerOwnPieces(suite);
  registerTurns(suite);
  registerWaitsEnding(suite);
  registerClosing(suite);
}

const CHUNK_BYTES = 16 * 1024;

/** Takes chunks and keeps them until the stream stops; gives them. */
async function keepAll(io: IO, chunks: ChunkStream): Promise<[Chunk[], Watched<unknown>]> {
  const kept: Chunk[] = [];
  for (;;) {
    const next = chunks.next();
    const waiting = new Watched(next);
    await roundTrips(io, 3);
    if (waiting.state === "pending") return [kept, waiting];
    const { value } = await next;
    kept.push(value as Chunk);
  }
}

async function receiveFull(socket: Socket, total: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let done = 0;
  for await (using chunk of socket.chunks()) {
    parts.push(chunk.bytes.slice());
    done += chunk.byteLength;
    if (done >= total) break;
  }
  return Buffer.concat(parts);
}

function registerOne(suite: Suite): void {
  suite.test(
    "a consumer that keeps its chunks stops, and goes on when it returns",
    async (trial) => {
      const { io, client, served } = await connected(trial);
      // Left to itself the kernel may let both ends hold all of it (Linux 6.1).
      client.setOptions({ sendBufferBytes: 262_144 });
      served.setOptions({ receiveBufferBytes: 262_144 });
      const sent = pattern(8_000_000);
      const sending = new Watched(client.sendAll(sent));
      sending.promise.catch(() => undefined);
      const chunks = served.chunks();
      const parts: Uint8Array[] = [];
      let done = 0;
      let rounds = 0;
      while (done < sent.length) {
        const [kept, waiting] = await keepAll(io, chunks);
        assert.ok(kept.length >= 1 && kept.length <= 40, `${kept.length} chunks at once`);
        for (const chunk of kept) {
          parts.push(chunk.bytes.slice());
          done += chunk.byteLength;
        }
        if (rounds++ === 0) assert.is(sending.state, "pending", "the peer waits");
        for (const chunk of kept) chunk.release();
        if (done === sent.length) break;
        const { value } = (await waiting.promise) as IteratorResult<Chunk>;
        parts.push((value as Chunk).bytes.slice());
        done += (value as Chunk).byteLength;
        (value as Chunk).release();
      }
      assert.ok(rounds > 2, "it stopped sometimes");
      assert.ok(sameBytes(Buffer.concat(parts), sent));
      await sending.promise;
    },
  );

  suite.test("a few chunks may be kept for good", async (trial) => {
    const { client, served } = await connected(trial);
    const sent = pattern(3_000_000);
    const sending = client.sendAll(sent);
    const chunks = served.chunks();
    const kept: Chunk[] = [];
    let done = 0;
    while (done < sent.length) {
      const { value } = await chunks.next();
      const chunk = value as Chunk;
      assert.ok(sameBytes(chunk.bytes, sent.subarray(done, done + chunk.byteLength)));
      done += chunk.byteLength;
      if (kept.length < 20) kept.push(chunk);
      else chunk.release();
    }
    await sending;
    let at = 0;
    for (const chunk of kept) {
      assert.ok(sameBytes(chunk.bytes, sent.subarray(at, at + chunk.byteLength)), "as it was");
      at += chunk.byteLength;
      chunk.release();
    }
    await chunks.return();
  });
}

interface Keeper {
  readonly kept: Chunk[];
  readonly near: Socket;
}

/** Streams whose consumers keep everything that they are given. */
async function keepers(io: IO, listener: Listener, count: number): Promise<Keeper[]> {
  const all: Keeper[] = [];
  for (let index = 0; index < count; index++) {
    const [far, near] = await connectTo(io, listener);
    far.sendAll(pattern(4_000_000, index)).catch(() => undefined);
    const keeper: Keeper = { kept: [], near };
    all.push(keeper);
    const keep = async (): Promise<void> => {
      for await (const chunk of near.chunks()) keeper.kept.push(chunk);
    };
    keep().catch(() => undefined);
    await roundTrips(io, 2);
  }
  await roundTrips(io, 20);
  return all;
}

function countOf(all: Keeper[]): number {
  return all.reduce((sum, { kept }) => sum + kept.length, 0);
}

function returnAll(all: Keeper[]): void {
  for (const { kept } of all) for (const chunk of kept.splice(0)) chunk.release();
}

async function endAll(all: Keeper[]): Promise<void> {
  await Promise.all(all.map(({ near }) => near.close()));
  returnAll(all);
}

/** A stream with one chunk, which waits for memory for a second one that has come. */
async function waitWith(io: IO, far: Socket, chunks: ChunkStream): Promise<unknown> {
  const next = chunks.next();
  await far.sendAll(Buffer.from("held"));
  const taken = await next;
  await far.sendAll(Buffer.from("late"));
  await roundTrips(io, 3);
  return taken;
}

async function smallMemory(trial: Trial, buffers: number): Promise<[IO, Listener]> {
  const io = await trial.open({ chunksMaxBytes: buffers * CHUNK_BYTES });
  return [io, await io.listen({ port: 0 })];
}

function registerOthers(suite: Suite): void {
  suite.test("crowds that keep everything do not starve the others", async (trial) => {
    const [io, listener] = await smallMemory(trial, 256);
    const crowd = await keepers(io, listener, 40);
    assert.ok(countOf(crowd) > 100, `they have ${countOf(crowd)} chunks`);
    // Their chunks share buffers, so the count is of buffers that no other stream can have.
    assert.ok(io.stats().buffersHeld < 256, `${io.stats().buffersHeld} of 256 buffers`);
    const sent = pattern(2_000_000);
    for (let index = 0; index < 3; index++) {
      const [far, near] = await connectTo(io, listener);
      const [, got] = await Promise.all([far.sendAll(sent), receiveFull(near, sent.length)]);
      assert.ok(sameBytes(got, sent), `stream ${index}`);
    }
    returnAll(crowd);
    await until(io, () => countOf(crowd) > 100, "the crowd goes on");
    await endAll(crowd);
  });

  suite.test("when everything is kept a stream that holds nothing goes on", async (trial) => {
    const [io, listener] = await smallMemory(trial, 4);
    const crowd = await keepers(io, listener, 12);
    assert.ok(countOf(crowd) >= 12, "each of them has had something, and keeps it");
    const sent = pattern(300_000);
    const pass = async (): Promise<void> => {
      const [far, near] = await connectTo(io, listener);
      const [, got] = await Promise.all([far.sendAll(sent), receiveFull(near, sent.length)]);
      assert.ok(sameBytes(got, sent));
      await Promise.all([far.close(), near.close()]);
    };
    for (let round = 0; round < 3; round++) await Promise.all(Array.from({ length: 20 }, pass));
    // They go on from memory of their own to provided buffers, and back, and lose nothing.
    const [far, near] = await connectTo(io, listener);
    const sending = far.sendAll(sent);
    const back = setTimeout(() => returnAll(crowd));
    trial.defer(() => clearTimeout(back));
    assert.ok(sameBytes(await receiveFull(near, sent.length), sent));
    await sending;
    await endAll(crowd);
  });
}

function registerOwnPieces(suite: Suite): void {
  suite.test("what it receives then is a chunk like others", async (trial) => {
    const [io, listener] = await smallMemory(trial, 4);
    const crowd = await keepers(io, listener, 6);
    const [far, near] = await connectTo(io, listener);
    const chunks = near.chunks();
    for (const word of ["first", "second"]) {
      await far.sendAll(Buffer.from(word));
      const { value } = await chunks.next();
      const chunk = value as Chunk;
      const { bytes } = chunk;
      assert.is(text(bytes), word);
      // It may be sent on, and returned before that has completed.
      const sending = near.sendAll(bytes);
      await roundTrips(io, 1);
      chunk.release();
      await sending;
      assert.is(
        refusalCode(() => chunk.bytes),
        "ERR_IO_CHUNK_RELEASED",
      );
      assert.is(
        refusalCode(() => chunk.release()),
        "ERR_IO_CHUNK_RELEASED",
      );
      assert.is(await failureCode(near.send(bytes)), "ERR_IO_CHUNK_RELEASED");
      const answer = new Uint8Array(word.length);
      await far.receiveFull(answer);
      assert.is(text(answer), word);
    }
    await far.shutdown("send");
    assert.is((await chunks.next()).done, true);
    await endAll(crowd);
  });

  suite.test("one that holds some waits for more, and a return is enough", async (trial) => {
    for (const returnsOwn of [true, false]) {
      const [io, listener] = await smallMemory(trial, 4);
      const crowd = await keepers(io, listener, 6);
      const [far, near] = await connectTo(io, listener);
      const chunks = near.chunks();
      const { value: first } = (await waitWith(io, far, chunks)) as IteratorResult<Chunk>;
      const next = chunks.next();
      const waiting = new Watched(next);
      await roundTrips(io, 20);
      assert.is(waiting.state, "pending", "there is no memory for it");
      const { submitted } = io.stats();
      await roundTrips(io, 20);
      assert.is(io.stats().submitted - submitted, 20, "it waits, and does not ask again and again");
      if (returnsOwn) (first as Chunk).release();
      // In turn: the stream that has waited longest may take a released buffer first.
      const drain = setInterval(() => {
        if (!returnsOwn) returnAll(crowd);
      }, 1);
      trial.defer(() => clearInterval(drain));
      const { value } = await next;
      assert.is(text((value as Chunk).bytes), "late");
      (value as Chunk).release();
      clearInterval(drain);
      await endAll(crowd);
    }
  });
}

function registerTurns(suite: Suite): void {
  suite.test(
    "a stream without bytes does not stand in the way of those with some",
    async (trial) => {
      const [io, listener] = await smallMemory(trial, 4);
      const [source, keeper] = await connectTo(io, listener);
      const [, idle] = await connectTo(io, listener);
      const [far, near] = await connectTo(io, listener);
      await source.sendAll(pattern(4 * CHUNK_BYTES));
      const [kept] = await keepAll(io, keeper.chunks());
      assert.is(io.stats().buffersHeld, 4);
      await far.sendAll(Buffer.from("late"));
      const silent = idle.chunks().next();
      await roundTrips(io, 3);
      const next = near.chunks().next();
      await roundTrips(io, 3);
      // There is one buffer, and the stream that has waited longer has no use for it.
      for (const chunk of kept.splice(0, 1)) chunk.release();
      const { value } = await next;
      assert.is(text((value as Chunk).bytes), "late");
      (value as Chunk).release();
      for (const chunk of kept) chunk.release();
      await idle.close();
      assert.is((await silent).done, true);
    },
  );
}

async function isDone(chunks: ChunkStream): Promise<boolean> {
  return (await chunks.next()).done === true;
}

function registerWaitsEnding(suite: Suite): void {
  suite.test("a time limit of a wait for memory outlives a cancel of everything", async (trial) => {
    const [io, listener] = await smallMemory(trial, 4);
    const crowd = await keepers(io, listener, 6);
    const [far, near] = await connectTo(io, listener);
    const chunks = near.chunks({ timeoutMs: 50 });
    await waitWith(io, far, chunks);
    const waiting = failureCode(chunks.next());
    await roundTrips(io, 5);
    await io.cancelAll();
    assert.is(await waiting, "ETIMEDOUT");
    await endAll(crowd);
  });

  suite.test("closing a socket that waits for memory ends its wait", async (trial) => {
    const [io, listener] = await smallMemory(trial, 4);
    const crowd = await keepers(io, listener, 6);
    const [far, near] = await connectTo(io, listener);
    const chunks = near.chunks();
    await waitWith(io, far, chunks);
    const waiting = chunks.next();
    await roundTrips(io, 5);
    await near.close();
    assert.is((await waiting).done, true);
    const [other, last] = await connectTo(io, listener);
    const others = last.chunks();
    await waitWith(io, other, others);
    const ended = others.next().then(({ done }) => done);
    await roundTrips(io, 5);
    const closing = trial.close(io);
    assert.is(await Promise.race([ended, closing.then(() => "nothing")]), true);
    returnAll(crowd);
    await closing;
  });

  suite.test("so does closing one that has just found no memory", async (trial) => {
    const [io, listener] = await smallMemory(trial, 4);
    const crowd = await keepers(io, listener, 6);
    const [far, near] = await connectTo(io, listener);
    const [other, last] = await connectTo(io, listener);
    for (const socket of [far, other]) await socket.sendAll(Buffer.from("late"));
    // The receive and the close reach the system together.
    const waiting = isDone(near.chunks());
    const closed = near.close();
    assert.is(await Promise.race([waiting, waited(io, closed)]), true);
    const ended = isDone(last.chunks());
    const closing = trial.close(io);
    assert.is(await Promise.race([ended, closing.then(() => "nothing")]), true);
    returnAll(crowd);
    await closing;
  });
}

/** Nothing, some rounds after something was done. */
async function waited(io: IO, done: Promise<void>): Promise<string> {
  await done;
  await roundTrips(io, 5);
  return "nothing";
}

interface Warning extends Error {
  readonly code?: string;
}

/** The warnings that some work gives and that name a peer; other tests may give some too. */
async function warningsOf(peer: string, work: () => Promise<void>): Promise<string[]> {
  const warnings: string[] = [];
  const record = ({ code, message }: Warning): void => {
    if (code === "IO_CHUNKS_KEPT" && message.includes(peer)) warnings.push(message);
  };
  process.on("warning", record);
  await work();
  await turn();
  process.off("warning", record);
  return warnings;
}

function registerClosing(suite: Suite): void {
  suite.test("io.close() names who has kept chunks, and ends anyway", async (trial) => {
    const { io, client, served } = await connected(trial);
    const peer = `127.0.0.1:${served.remoteAddress!.port}`;
    await client.sendAll(Buffer.from("forever"));
    const { value } = await served.chunks().next();
    const chunk = value as Chunk;
    const warnings = await warningsOf(peer, () => trial.close(io));
    assert.is(warnings.length, 1);
    assert.match(warnings[0] ?? "", `chunks were never released: 1 of the socket to ${peer}`);
    assert.is(text(chunk.bytes), "forever", "the memory is still there");
    chunk.release();
  });

  suite.test("a socket that was closed before is named too", async (trial) => {
    const { io, client, served } = await connected(trial);
    const peer = `127.0.0.1:${served.remoteAddress!.port}`;
    await client.sendAll(Buffer.from("x"));
    const { value } = await served.chunks().next();
    assert.ok(value);
    await served.close();
    assert.is((await warningsOf(peer, () => trial.close(io))).length, 1);
  });

  suite.test("chunks in loops that the close ends are no reason for a warning", async (trial) => {
    const { io, client, served } = await connected(trial);
    const peer = `127.0.0.1:${served.remoteAddress!.port}`;
    const echo = async (): Promise<void> => {
      for await (using chunk of served.chunks()) await served.sendAll(chunk.bytes);
    };
    const ended = failureCode(echo());
    // The peer reads no answer, so the echo waits in a send, with its chunk.
    const sending = client.sendAll(pattern(20_000_000)).catch(() => undefined);
    await roundTrips(io, 50);
    const warnings = await warningsOf(peer, () => trial.close(io));
    assert.is(await ended, "ECANCELED", "of the send that was in flight");
    await sending;
    assert.equal(warnings, []);
  });
}
