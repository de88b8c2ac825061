// A loop over a socket: owned bytes, which a program may keep; and the warning for a program that
// keeps chunks, which it must not.

import type { Chunk, DatagramBytes, Socket } from "@io/core";
import * as assert from "uvu/assert";
import { pattern, sameBytes, text } from "../support/data.js";
import type { Suite, Trial } from "../support/harness.js";
import { connected, FAMILIES, type Family } from "../support/network.js";
import { refusalCode, roundTrips, Watched } from "../support/verbs.js";

export function ownedBytes(suite: Suite): void {
  for (const family of FAMILIES) {
    if (family.missing !== null) suite.skip(family.name, family.missing);
    else registerBytes(suite, family);
  }
  registerDatagrams(suite);
  registerEnds(suite);
  registerKept(suite);
  registerFrozen(suite);
}

function registerBytes(suite: Suite, family: Family): void {
  suite.test(`${family.name}: bytes of a loop may all be kept`, async (trial) => {
    const { io, client, served } = await connected(trial, family, { debug: { detectReuse: true } });
    const sent = pattern(3_000_000);
    const sending = client.sendAll(sent).then(() => client.shutdown("send"));
    const parts: Uint8Array[] = [];
    for await (const bytes of served) parts.push(bytes);
    await sending;
    assert.ok(parts.length > 32, "more than a stream may have chunks");
    assert.ok(sameBytes(Buffer.concat(parts), sent));
    await roundTrips(io, 1);
    assert.is(io.stats().buffersHeld, 0);
    for (const { buffer, byteLength } of parts) {
      assert.is(buffer.byteLength, byteLength, "nothing of another connection in its memory");
    }
  });
}

function registerDatagrams(suite: Suite): void {
  suite.test("datagrams of a loop may all be kept, with their senders", async (trial) => {
    const io = await trial.open({ debug: { detectReuse: true } });
    const server = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    const client = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    const kept: DatagramBytes[] = [];
    const words = Array.from({ length: 100 }, (_, index) => (index === 7 ? "" : `word ${index}`));
    const taking = (async () => {
      for await (const bytes of server) if (kept.push(bytes) === words.length) break;
    })();
    for (const [index, word] of words.entries()) {
      await client.sendTo(word, server.localAddress);
      while (kept.length <= index) await roundTrips(io, 1); // UDP drops datagrams without space
    }
    await taking;
    assert.equal(
      kept.map((bytes) => text(bytes)),
      words,
    );
    for (const { address, truncated, buffer, byteLength } of kept) {
      assert.equal(address, client.localAddress);
      assert.is(truncated, false);
      assert.is(buffer.byteLength, byteLength);
    }
  });
}

function registerEnds(suite: Suite): void {
  suite.test("a close ends a loop over a socket, and one over datagrams", async (trial) => {
    const { io, client, served } = await connected(trial);
    const datagrams = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    const others = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    const count = async (bytes: AsyncIterable<Uint8Array>): Promise<number> => {
      let seen = 0;
      for await (const _ of bytes) seen++;
      return seen;
    };
    const ends = [served, client, datagrams, others].map((socket) => count(socket));
    await roundTrips(io, 2);
    await Promise.all([served.close(), datagrams.close()]);
    assert.equal(await Promise.all([ends[0], ends[2]]), [0, 0]);
    await trial.close(io);
    assert.equal(await Promise.all(ends), [0, 0, 0, 0]);
  });

  suite.test("a loop that is left leaves the socket to others", async (trial) => {
    const { client, served } = await connected(trial);
    await client.sendAll("one");
    for await (const bytes of served) {
      assert.is(text(bytes), "one");
      assert.is(
        refusalCode(() => served.chunks()),
        "ERR_IO_RECEIVING",
      );
      break;
    }
    await client.sendAll("two");
    const buffer = new Uint8Array(8);
    assert.is(await served.receive(buffer), 3);
    assert.is(text(buffer, 3), "two");
  });
}

interface Warning extends Error {
  code?: string;
}

/** The warnings that name the peer of a socket, and when the first one is there. */
function warningsOf(trial: Trial, served: Socket): { warnings: string[]; warned: Promise<void> } {
  const peer = `127.0.0.1:${served.remoteAddress!.port}`;
  const warnings: string[] = [];
  let tell: () => void = () => undefined;
  const warned = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const record = ({ code, message }: Warning): void => {
    if (code !== "IO_CHUNKS_KEPT" || !message.includes(peer)) return;
    warnings.push(message);
    tell();
  };
  process.on("warning", record);
  trial.defer(() => process.off("warning", record));
  return { warnings, warned };
}

function registerKept(suite: Suite): void {
  suite.test("a program that keeps chunks and waits for more is warned once", async (trial) => {
    const { io, client, served } = await connected(trial);
    const { warnings, warned } = warningsOf(trial, served);
    const sending = client.sendAll(pattern(8_000_000)).catch(() => undefined);
    const chunks = served.chunks();
    const kept: Chunk[] = [];
    const fill = async (): Promise<Watched<unknown>> => {
      for (;;) {
        const next = chunks.next();
        const waiting = new Watched(next.then(({ value }) => value && kept.push(value)));
        await roundTrips(io, 3);
        if (waiting.state === "pending") return waiting;
      }
    };
    const waiting = await fill();
    await warned;
    assert.match(warnings[0] ?? "", `${kept.length} of its chunks were not released`);
    assert.match(warnings[0] ?? "", /its program waits at fill .*owned\.(js|ts):\d+/);
    for (const chunk of kept.splice(0)) chunk.release();
    await waiting.promise;
    const again = await fill();
    assert.is(warnings.length, 1);
    for (const chunk of kept.splice(0)) chunk.release();
    await again.promise;
    for (const chunk of kept.splice(0)) chunk.release();
    await chunks.return();
    await trial.close(io);
    await sending;
  });
  suite.test("so is one whose calls have waited since it held none", async (trial) => {
    const { io, client, served } = await connected(trial);
    const { warnings, warned } = warningsOf(trial, served);
    const chunks = served.chunks();
    const kept: Chunk[] = [];
    const waiting = Array.from({ length: 60 }, async () => {
      const { value } = await chunks.next();
      if (value) kept.push(value);
    });
    await roundTrips(io, 3);
    const sending = client.sendAll(pattern(8_000_000)).catch(() => undefined);
    await warned;
    assert.match(warnings[0] ?? "", `its program waits: ${kept.length} of its chunks`);
    await chunks.return();
    await Promise.all(waiting);
    for (const chunk of kept) chunk.release();
    await trial.close(io);
    await sending;
  });

  suite.test("the warning names who waits then, and not who waited before", async (trial) => {
    const { io, client, served } = await connected(trial);
    const { warnings, warned } = warningsOf(trial, served);
    const chunks = served.chunks();
    const greet = async (): Promise<void> => {
      const first = await chunks.next();
      await client.sendAll("second");
      const second = await chunks.next();
      for (const { value } of [first, second]) value?.release();
    };
    const kept: Chunk[] = [];
    const hoard = async (): Promise<void> => {
      for await (const chunk of chunks) kept.push(chunk);
    };
    await client.sendAll("first");
    await greet();
    const hoarding = hoard();
    const sending = client.sendAll(pattern(8_000_000)).catch(() => undefined);
    await warned;
    assert.match(warnings[0] ?? "", /its program waits at hoard /);
    await chunks.return();
    await hoarding;
    for (const chunk of kept) chunk.release();
    await trial.close(io);
    await sending;
  });
}

function registerFrozen(suite: Suite): void {
  suite.test("a loop goes on where a program has frozen Error", async (trial) => {
    const { io, client, served } = await connected(trial);
    const { warned } = warningsOf(trial, served);
    const before = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit")!;
    Object.defineProperty(Error, "stackTraceLimit", { ...before, writable: false });
    trial.defer(() => void Object.defineProperty(Error, "stackTraceLimit", before));
    const chunks = served.chunks();
    const kept: Chunk[] = [];
    const hoarding = (async () => {
      for await (const chunk of chunks) kept.push(chunk);
      return "ended";
    })();
    const sending = client.sendAll(pattern(8_000_000)).catch(() => undefined);
    assert.is(await Promise.race([hoarding, warned.then(() => "warned")]), "warned");
    await chunks.return();
    assert.is(await hoarding, "ended");
    for (const chunk of kept) chunk.release();
    await trial.close(io);
    await sending;
  });
}
