// Datagrams in provided buffers: each with its sender, cut ones marked, empty ones too. A program
// that keeps them stops only its own socket.

import {
  type ChunkStream,
  type DatagramChunk,
  type DatagramSocket,
  type InternetAddress,
  type IO,
  MultishotCompletion,
  SocketAddress,
} from "@io/core";
import * as assert from "uvu/assert";
import { pattern, sameBytes, text } from "../support/data.js";
import { boundPair, connectedPair, FAMILIES, type Family, widen } from "../support/datagrams.js";
import type { Suite } from "../support/harness.js";
import {
  failureCode,
  negative,
  refusalCode,
  roundTrips,
  until,
  Watched,
} from "../support/verbs.js";

export function receivingDatagrams(suite: Suite): void {
  for (const family of FAMILIES) {
    if (family.missing !== null) {
      suite.skip(`${family.name}: datagrams in provided buffers`, family.missing);
      continue;
    }
    registerData(suite, family);
    registerCut(suite, family);
    registerMany(suite, family);
  }
  registerHosts(suite);
  registerChunks(suite, familyOf("ipv4"));
  registerEnds(suite, familyOf("ipv4"));
  for (const name of ["ipv4", "unix"] as const) registerKept(suite, familyOf(name));
  for (const name of ["ipv4", "unix"] as const) registerAllKept(suite, familyOf(name));
  registerNaming(suite, familyOf("unix"));
  registerRing(suite, familyOf("unix"));
}

function familyOf(name: Family["family"]): Family {
  return FAMILIES.find(({ family }) => family === name) as Family;
}

async function take(chunks: AsyncIterator<DatagramChunk>): Promise<DatagramChunk> {
  const { done, value } = await chunks.next();
  assert.is(done, false);
  return value as DatagramChunk;
}

function registerData(suite: Suite, family: Family): void {
  suite.test(`${family.name}: a chunk is one datagram, with its sender`, async (trial) => {
    const { io, near, far } = await boundPair(trial, family);
    const third = await io.openDatagram(family.binding(trial));
    const chunks = far.chunks();
    const senders = [near, third, near, near, third];
    for (const [index, sender] of senders.entries()) {
      await sender.sendTo(Buffer.from(`word ${index}`), far.localAddress!);
    }
    const peer = new SocketAddress();
    for (const [index, sender] of senders.entries()) {
      using chunk = await take(chunks);
      assert.is(text(chunk.bytes), `word ${index}`);
      assert.equal(chunk.address, sender.localAddress);
      assert.equal(chunk.sender(peer).address, sender.localAddress);
      assert.is(chunk.truncated, false);
      // From where it stands, to its sender.
      assert.is(await far.sendTo(chunk.bytes, peer), 6);
      const buffer = new Uint8Array(16);
      const back = await sender.receive(buffer);
      assert.is(text(buffer, back.byteLength), `word ${index}`);
      assert.equal(back.address, far.localAddress);
    }
    await chunks.return();
    await roundTrips(io, 1);
    assert.is(io.stats().buffersHeld, 0);
  });

  suite.test(`${family.name}: an empty datagram is a chunk, and ends nothing`, async (trial) => {
    const { near, far } = await boundPair(trial, family);
    const chunks = far.chunks();
    for (const word of ["", "one", "", "", "two"]) {
      const next = chunks.next();
      await near.sendTo(Buffer.from(word), far.localAddress!);
      const { value } = await next;
      const chunk = value as DatagramChunk;
      assert.is(chunk.byteLength, word.length);
      assert.is(text(chunk.bytes), word);
      assert.equal(chunk.address, near.localAddress);
      chunk.release();
    }
    await chunks.return();
  });

  suite.test(`${family.name}: a sender without an address has an empty one`, async (trial) => {
    const { io, far } = await boundPair(trial, family);
    const open = await io.openDatagram({ family: family.family });
    await open.sendTo(Buffer.from("x"), far.localAddress!);
    using chunk = await take(far.chunks());
    if (family.family === "unix") {
      assert.is(chunk.address, null);
    } else {
      assert.is(chunk.address!.port, open.localAddress!.port);
    }
  });
}

function registerCut(suite: Suite, family: Family): void {
  suite.test(`${family.name}: what is longer than a chunk is cut, and says so`, async (trial) => {
    const { near, far } = await boundPair(trial, family);
    widen(near, far);
    const chunks = far.chunks({ chunkBytes: 2000 });
    const sent = pattern(5000);
    for (const length of [5000, 2048, 2049, 1]) {
      await near.sendTo(sent.subarray(0, length), far.localAddress!);
      using chunk = await take(chunks);
      assert.is(chunk.byteLength, Math.min(length, 2048));
      assert.is(chunk.truncated, length > 2048);
      assert.ok(sameBytes(chunk.bytes, sent.subarray(0, chunk.byteLength)));
      assert.equal(chunk.address, near.localAddress);
    }
    await chunks.return();
  });

  suite.test(`${family.name}: the longest datagram fits by default`, async (trial) => {
    const { near, far } = await boundPair(trial, family);
    const sizeBytes = family.longestBytes ?? 60_000;
    near.setOptions({ sendBufferBytes: 262_144 });
    far.setOptions({ receiveBufferBytes: 262_144 });
    const sent = pattern(sizeBytes);
    await near.sendTo(sent, far.localAddress!);
    using chunk = await take(far.chunks());
    assert.is(chunk.truncated, false);
    assert.ok(sameBytes(chunk.bytes, sent));
  });
}

function registerMany(suite: Suite, family: Family): void {
  suite.test(`${family.name}: thousands of datagrams, in order`, async (trial) => {
    const { io, near, far } = await boundPair(trial, family);
    const chunks = far.chunks({ chunkBytes: 2048 });
    const data = pattern(2048);
    const count = 3000;
    let received = 0;
    // No more at once than the receive buffer has room for.
    const send = async (): Promise<void> => {
      for (let index = 0; index < count; index++) {
        if (index - received >= 16) await until(io, () => index - received < 16, "it is received");
        await near.sendTo(data.subarray(0, index % 700), far.localAddress!);
      }
    };
    const sending = send();
    while (received < count) {
      using chunk = await take(chunks);
      assert.is(chunk.byteLength, received % 700);
      assert.ok(sameBytes(chunk.bytes, data.subarray(0, chunk.byteLength)));
      received++;
    }
    await sending;
    await chunks.return();
    await roundTrips(io, 1);
    assert.is(io.stats().buffersHeld, 0);
    assert.is(io.stats().releasesRefused, 0);
  });
}

// Linux alone has all of 127.0.0.0/8 on its loopback.
function registerHosts(suite: Suite): void {
  const name = "each datagram has the host that sent it, also when that changes";
  if (process.platform !== "linux") {
    suite.skip(name, "the loopback has one address, 127.0.0.1");
    return;
  }
  suite.test(name, async (trial) => {
    const io = await trial.open();
    const far = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    const hosts = ["127.0.0.1", "127.0.0.2", "127.0.1.2"];
    const near = await Promise.all(hosts.map((host) => io.openDatagram({ host, port: 0 })));
    const order = [0, 1, 1, 2, 0, 2];
    for (const index of order) await near[index]!.sendTo(`${index}`, far.localAddress);
    const chunks = far.chunks();
    const one = new SocketAddress();
    const kept: DatagramChunk[] = [];
    for (const index of order) {
      const chunk = await take(chunks);
      assert.equal(chunk.address, near[index]!.localAddress);
      assert.equal(chunk.sender(one).address, near[index]!.localAddress);
      kept.push(chunk);
    }
    for (const [at, chunk] of kept.entries()) {
      assert.equal(chunk.address, near[order[at]!]!.localAddress);
      chunk.release();
    }
    await chunks.return();
  });
}

function registerChunks(suite: Suite, family: Family): void {
  suite.test("calls of next() settle in the order in which they were made", async (trial) => {
    const { io, near, far } = await boundPair(trial, family);
    const chunks = far.chunks();
    const order: string[] = [];
    const note = async (): Promise<void> => {
      using chunk = await take(chunks);
      order.push(text(chunk.bytes));
    };
    await near.sendTo("first", far.localAddress!);
    await note();
    for (const word of ["a", "b", "c"]) await near.sendTo(word, far.localAddress!);
    await until(io, () => io.stats().buffersHeld === 3, "three datagrams that have come");
    const noted: Promise<void>[] = [];
    for (let count = 0; count < 3; count++) {
      noted.push(note());
      const endMs = performance.now() + 3; // so long that the next one leaves the loop a turn
      while (performance.now() < endMs);
    }
    noted.push(note(), note());
    const sent = ["d", "e"].map((word) => near.sendTo(word, far.localAddress!));
    await Promise.all([...noted, ...sent]);
    assert.equal(order, ["first", "a", "b", "c", "d", "e"]);
  });

  suite.test("a datagram that was returned throws, whatever it is asked", async (trial) => {
    const io = await trial.open({ debug: { detectReuse: true } });
    const near = await io.openDatagram(family.binding(trial));
    const far = await io.openDatagram(family.binding(trial));
    const chunks = far.chunks();
    await near.sendTo(Buffer.from("hello"), far.localAddress!);
    await near.sendTo(Buffer.from("known"), far.localAddress!);
    const chunk = await take(chunks);
    const known = await take(chunks);
    const view = chunk.bytes;
    assert.equal(known.address, near.localAddress);
    chunk.release();
    known.release();
    for (const use of [
      () => chunk.bytes,
      () => chunk.address,
      () => chunk.sender(),
      () => chunk.release(),
      () => known.sender(),
    ]) {
      assert.is(refusalCode(use), "ERR_IO_CHUNK_RELEASED");
    }
    assert.equal(known.address, near.localAddress, "what was read stays known");
    assert.equal([...view], Array(5).fill(0xdb));
    assert.is(await failureCode(far.sendTo(view, near.localAddress!)), "ERR_IO_CHUNK_RELEASED");
    await chunks.return();
  });

  suite.test("while it receives, other receives of the socket are refused", async (trial) => {
    const { near, far } = await boundPair(trial, family);
    const chunks = far.chunks();
    const pending = chunks.next();
    assert.is(await failureCode(far.receive(new Uint8Array(8))), "ERR_IO_RECEIVING");
    assert.is(
      refusalCode(() => far.chunks()),
      "ERR_IO_RECEIVING",
    );
    assert.is(
      refusalCode(() => near.chunks({ chunkBytes: 0 })),
      "ERR_OUT_OF_RANGE",
    );
    await chunks.return();
    assert.is((await pending).done, true);
    await near.sendTo(Buffer.from("mine"), far.localAddress!);
    assert.is((await far.receive(new Uint8Array(8))).byteLength, 4);
  });
}

function registerEnds(suite: Suite, family: Family): void {
  suite.test("a close, an abort and a time limit end it", async (trial) => {
    const { io, near, far } = await boundPair(trial, family);
    assert.is(await failureCode(far.chunks({ timeoutMs: 5 }).next()), "ETIMEDOUT");
    const controller = new AbortController();
    const aborted = failureCode(far.chunks({ signal: controller.signal }).next());
    await roundTrips(io, 2);
    controller.abort();
    assert.is(await aborted, "ABORT_ERR");
    await roundTrips(io, 2);
    const closed = far.chunks().next();
    await roundTrips(io, 2);
    await far.close();
    assert.is((await closed).done, true);
    assert.is(
      refusalCode(() => far.chunks()),
      "ERR_IO_CLOSED",
    );
    await near.close();
    assert.is(io.stats().inFlight, 0);
  });

  suite.test("no peer is there: it fails, and another one goes on", async (trial) => {
    const { io, near, far } = await connectedPair(trial, family);
    const localAddress = far.localAddress as InternetAddress;
    const chunks = near.chunks();
    const failed = failureCode(chunks.next());
    await far.close();
    await near.send(Buffer.from("lost"));
    assert.is(await failed, "ECONNREFUSED");
    assert.equal(await chunks.next(), { done: true, value: undefined });
    const again = await io.openDatagram({ host: localAddress.host, port: localAddress.port });
    await again.sendTo(Buffer.from("found"), near.localAddress!);
    using chunk = await take(near.chunks());
    assert.is(text(chunk.bytes), "found");
  });
}

/** Sends the words from one number to the next, all at once. */
function sendMany(
  near: DatagramSocket,
  far: DatagramSocket,
  from: number,
  until: number,
): Promise<number>[] {
  const to = SocketAddress.of(far.localAddress!);
  return Array.from({ length: until - from }, (_, index) =>
    near.sendTo(Buffer.from(`${from + index}`), to),
  );
}

/** Takes datagrams and keeps them until no more come; gives them, and what waits for the next. */
async function keepAll(
  io: IO,
  chunks: ChunkStream<DatagramChunk>,
): Promise<[DatagramChunk[], Promise<IteratorResult<DatagramChunk, undefined>>]> {
  const kept: DatagramChunk[] = [];
  for (;;) {
    const next = chunks.next();
    const waiting = new Watched(next);
    await roundTrips(io, 3);
    if (waiting.state === "pending") return [kept, next];
    const { value } = await next;
    kept.push(value as DatagramChunk);
  }
}

interface Pair {
  readonly io: IO;
  readonly near: DatagramSocket;
  readonly far: DatagramSocket;
  readonly chunks: ChunkStream<DatagramChunk>;
}

/** Keeps what comes until the stream stops, calls `meanwhile`, and takes the rest. */
async function keepAndGoOn(pair: Pair, meanwhile: () => Promise<void>): Promise<void> {
  const { io, near, far, chunks } = pair;
  // The receive buffer has room for these, or the sender waits.
  const count = 200;
  // Some first: the others then come all at once, more than there is room for.
  const kept: DatagramChunk[] = [];
  for (let index = 0; index < 20; index++) {
    await near.sendTo(Buffer.from(`${index}`), far.localAddress!);
    kept.push(await take(chunks));
  }
  const sends = sendMany(near, far, kept.length, count);
  const [more, next] = await keepAll(io, chunks);
  kept.push(...more);
  assert.ok(kept.length < count, `${kept.length} of ${count}`);
  assert.ok(io.stats().buffersHeld <= 32, `${io.stats().buffersHeld} buffers of 64`);
  await meanwhile();
  for (const [index, chunk] of kept.entries()) {
    assert.is(text(chunk.bytes), `${index}`);
    assert.equal(chunk.address, near.localAddress);
    chunk.release();
  }
  for (let index = kept.length; index < count; index++) {
    using chunk =
      index === kept.length ? ((await next).value as DatagramChunk) : await take(chunks);
    assert.is(text(chunk.bytes), `${index}`);
  }
  await Promise.all(sends);
}

function registerKept(suite: Suite, family: Family): void {
  suite.test(
    `${family.name}: a program that keeps datagrams stops only its own socket`,
    async (trial) => {
      const io = await trial.open({ chunksMaxBytes: 64 * 2048 });
      const open = () => io.openDatagram(family.binding(trial));
      const [near, far, third, other] = [await open(), await open(), await open(), await open()];
      const chunks = far.chunks({ chunkBytes: 2048 });
      const others = other.chunks({ chunkBytes: 2048 });
      const goOn = async (): Promise<void> => {
        for (let index = 0; index < 100; index++) {
          await third.sendTo(Buffer.from(`${index}`), other.localAddress!);
          using chunk = await take(others);
          assert.is(text(chunk.bytes), `${index}`);
        }
      };
      // The second time all the memory is there that the group may have.
      for (let round = 0; round < 2; round++) await keepAndGoOn({ io, near, far, chunks }, goOn);
      await chunks.return();
      await others.return();
      assert.is(io.stats().buffersHeld, 0);
    },
  );
}

function registerAllKept(suite: Suite, family: Family): void {
  suite.test(`${family.name}: when all is kept, who holds nothing goes on`, async (trial) => {
    const io = await trial.open({ chunksMaxBytes: 4 * 2048 });
    const open = () => io.openDatagram(family.binding(trial));
    const sender = await open();
    widen(sender);
    const held: DatagramChunk[] = [];
    for (let count = 0; count < 8; count++) {
      const keeper = await open();
      const chunks = keeper.chunks({ chunkBytes: 2048 });
      await sender.sendTo(Buffer.from(`kept ${count}`), keeper.localAddress!);
      held.push(await take(chunks));
    }
    const other = await open();
    widen(other);
    const others = other.chunks({ chunkBytes: 2048 });
    for (const bytes of [pattern(2048), pattern(0), pattern(2049), pattern(1)]) {
      await sender.sendTo(bytes, other.localAddress!);
      using chunk = await take(others);
      const kept = Math.min(bytes.length, 2048);
      assert.ok(sameBytes(chunk.bytes, bytes.subarray(0, kept)));
      assert.is(chunk.truncated, bytes.length > kept);
      assert.equal(chunk.address, sender.localAddress);
      assert.equal(chunk.sender().address, sender.localAddress);
    }
    for (const [index, chunk] of held.entries()) {
      assert.is(text(chunk.bytes), `kept ${index}`);
      assert.equal(chunk.address, sender.localAddress);
      chunk.release();
    }
    await roundTrips(io, 1);
    assert.is(io.stats().buffersHeld, 0);
  });
}

function registerNaming(suite: Suite, family: Family): void {
  suite.test("what is kept at the end is named", async (trial) => {
    const { io, near, far } = await boundPair(trial, family);
    const warnings: string[] = [];
    const note = ({ message }: Error): void => {
      warnings.push(message);
    };
    process.on("warning", note);
    trial.defer(() => process.off("warning", note));
    await near.sendTo(Buffer.from("kept"), far.localAddress!);
    const chunk = await take(far.chunks());
    const path = far.localAddress!.path as string;
    await trial.close(io);
    await new Promise(setImmediate);
    assert.ok(
      warnings.some((warning) => warning.includes(`1 of the socket of ${path.replace("\0", "@")}`)),
      warnings.join("\n"),
    );
    assert.is(text(chunk.bytes), "kept");
  });
}

function registerRing(suite: Suite, family: Family): void {
  suite.test("the verb: bytes, sender and the end of the buffers", async (trial) => {
    const { io, near, far } = await boundPair(trial, family);
    const group = io.ring.bufferGroup({ bufferBytes: 100, maxBytes: 400, messages: true });
    const chunks: { bufferId: number; word: string; port: unknown; truncated: boolean }[] = [];
    const completion = new MultishotCompletion();
    const peer = new SocketAddress();
    let last = Number.NaN;
    const start = (): void =>
      io.ring.receiveMessageMultishot(
        completion,
        (multishot, result) => {
          const { bufferId, offset } = multishot;
          if (result >= 0) {
            const word = text(group.view(bufferId, offset, result));
            const port = group.sender(bufferId, peer).address!.path;
            chunks.push({ bufferId, word, port, truncated: group.truncated(bufferId) });
          }
          if (!multishot.active) last = result;
        },
        far.descriptor,
        group,
      );
    start();
    const sent = ["a", "x".repeat(100), "y".repeat(101), "d", "e"];
    for (const word of sent) await near.sendTo(Buffer.from(word), far.localAddress!);
    await until(io, () => chunks.length === 4 && !completion.active, "four of them");
    assert.is(last, negative("ENOBUFS"));
    assert.equal(
      chunks.map(({ word }) => word),
      sent.slice(0, 4).map((word) => word.slice(0, 100)),
    );
    assert.equal(
      chunks.map(({ truncated }) => truncated),
      [false, false, true, false],
    );
    assert.ok(chunks.every(({ port }) => port === near.localAddress!.path));
    assert.is(new Set(chunks.map(({ bufferId }) => bufferId)).size, 4, "a buffer for each");
    for (const { bufferId } of chunks.splice(0)) group.release(bufferId);
    start();
    await until(io, () => chunks.length === 1, "the one that waited");
    assert.is(chunks[0]?.word, "e");
    assert.is(
      refusalCode(() => group.close()),
      "ERR_IO_GROUP_BUSY",
    );
    await io.cancelAll();
    await until(io, () => !completion.active, "the end");
    group.close();
  });

  suite.test("a group of bytes and one of messages are not taken for each other", async (trial) => {
    const { io, far } = await boundPair(trial, family);
    const { ring } = io;
    const bytes = ring.bufferGroup();
    const messages = ring.bufferGroup({ messages: true });
    const nothing = (): void => undefined;
    const { descriptor } = far;
    assert.is(
      refusalCode(() =>
        ring.receiveMessageMultishot(new MultishotCompletion(), nothing, descriptor, bytes),
      ),
      "ERR_INVALID_ARG_TYPE",
    );
    assert.is(
      refusalCode(() =>
        ring.receiveMultishot(new MultishotCompletion(), nothing, descriptor, messages),
      ),
      "ERR_INVALID_ARG_TYPE",
    );
  });
}
