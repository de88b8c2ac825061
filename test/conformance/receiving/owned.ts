// A loop over a socket: owned bytes, which a program may keep; and the warning for a program that
// keeps chunks, which it must not.

import type { Chunk, DatagramBytes } from "@io/core";
import * as assert from "uvu/assert";
import { pattern, sameBytes, text } from "../support/data.js";
import type { Suite } from "../support/harness.js";
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

function registerKept(suite: Suite): void {
  suite.test("a program that keeps chunks and waits for more is warned once", async (trial) => {
    const { io, client, served } = await connected(trial);
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
}
