// Bytes in several places, bytes that stay in the socket, sends that more follows, and a reset.

import type { Socket } from "@io/core";
import * as assert from "uvu/assert";
import { pattern, sameBytes } from "../support/data.js";
import type { Suite } from "../support/harness.js";
import { connected, connectTo, FAMILIES, type Family } from "../support/network.js";
import { failure, failureCode, outcome, roundTrips, success } from "../support/verbs.js";

export function streamsPieces(suite: Suite): void {
  for (const family of FAMILIES.slice(0, 3)) {
    if (family.missing !== null) {
      suite.skip(`${family.name}: pieces`, family.missing);
      continue;
    }
    registerScattered(suite, family);
    registerPeeks(suite, family);
    registerLists(suite, family);
  }
  registerEnds(suite);
  registerResets(suite);
}

function registerScattered(suite: Suite, family: Family): void {
  suite.test(`${family.name}: a receive fills several buffers in turn`, async (trial) => {
    const { io, client, served } = await connected(trial, family);
    await client.sendAll("onetwothree");
    const parts = [new Uint8Array(3), new Uint8Array(0), new Uint8Array(3), new Uint8Array(20)];
    assert.is(await served.receiveVectored(parts), 11);
    const words = parts.map((part) => Buffer.from(part).toString().replaceAll("\0", ""));
    assert.equal(words, ["one", "", "two", "three"]);
    const waiting = served.receiveVectored([parts[0] as Uint8Array], { timeoutMs: 3_600_000 });
    await roundTrips(io, 3);
    await client.sendAll("end");
    assert.is(await waiting, 3);
    await client.shutdown("send");
    assert.is(await served.receiveVectored(parts), 0);
    const empty = served.receiveVectored([new Uint8Array(0)]);
    assert.is(await failureCode(empty), "ERR_OUT_OF_RANGE");
  });
}

function registerPeeks(suite: Suite, family: Family): void {
  suite.test(`${family.name}: what was peeked at is received by the next`, async (trial) => {
    const { io, client, served } = await connected(trial, family);
    const start = new Uint8Array(4);
    const peeking = served.peek(start);
    const later = new Uint8Array(16);
    const receiving = served.receive(later);
    await roundTrips(io, 3);
    await client.sendAll("GET /");
    assert.is(await peeking, 4);
    assert.is(Buffer.from(start).toString(), "GET ");
    assert.is(await receiving, 5);
    assert.is(Buffer.from(later.subarray(0, 5)).toString(), "GET /");
    // As often as one likes, and also when more than there are is asked for.
    await client.sendAll("again");
    for (let round = 0; round < 3; round++) assert.is(await served.peek(later), 5);
    assert.is(await served.receive(new Uint8Array(5)), 5);
    const late = await failure(served.peek(later, { timeoutMs: 1 }));
    assert.is(late.code, "ETIMEDOUT");
    assert.match(late.message, /^peek (from '.*' )?failed/); // a unix socket may have no name
    await client.sendAll("last");
    await client.shutdown("send");
    assert.is(await served.peek(later), 4);
    assert.is(await served.receiveFull(new Uint8Array(9)), 4);
    assert.is(await served.peek(later), 0);
    assert.is(await served.receive(later), 0);
    assert.is(await failureCode(served.peek(new Uint8Array(0))), "ERR_OUT_OF_RANGE");
  });

  suite.test(`${family.name}: the verbs of the ring for pieces`, async (trial) => {
    const { io, client, served } = await connected(trial, family);
    const [near, far] = [client.descriptor, served.descriptor];
    const bytes = new Uint8Array(3);
    const { ring } = io;
    const sent = await success(io, (c, done) => {
      ring.send(c, done, near, Buffer.from("abc"), "never", true);
    });
    const more = await success(io, (c, done) => {
      ring.sendVectored(c, done, near, [Buffer.from("de"), Buffer.from("f")], "never", true);
    });
    await success(io, (c, done) => ring.send(c, done, near, Buffer.from("ghi"), "never", false));
    assert.equal([sent, more], [3, 3]);
    assert.is(await success(io, (c, done) => ring.peek(c, done, far, bytes)), 3);
    assert.is(Buffer.from(bytes).toString(), "abc");
    const rest = [new Uint8Array(4), new Uint8Array(5)];
    let got = await success(io, (c, done) => ring.receiveVectored(c, done, far, rest));
    const text = (): string => Buffer.concat(rest).subarray(0, got).toString();
    assert.ok("abcdefghi".startsWith(text()), text());
    while (got < 9) got += await success(io, (c, done) => ring.receive(c, done, far, bytes));
    await client.close();
    assert.is(await outcome(io, (c, done) => ring.peek(c, done, far, bytes)), 0);
  });
}

/** Receives so many bytes, and compares them. */
async function arrives(socket: Socket, expected: Uint8Array): Promise<void> {
  const got = new Uint8Array(expected.byteLength);
  assert.is(await socket.receiveFull(got), expected.byteLength);
  assert.ok(sameBytes(got, expected));
}

function registerLists(suite: Suite, family: Family): void {
  suite.test(`${family.name}: a list is sent in turn`, async (trial) => {
    const { client, served } = await connected(trial, family);
    const body = pattern(700_000);
    const list = ["head: 1\r\n", new Uint8Array(0), body.buffer, body.subarray(5, 9), ""];
    const expected = Buffer.concat([Buffer.from("head: 1\r\n"), body, body.subarray(5, 9)]);
    await Promise.all([client.sendAll(list), arrives(served, expected)]);
    // More of them than one call takes, with a small send buffer, and more to follow.
    client.setOptions({ sendBufferBytes: 8192 });
    const many = Array.from({ length: 3000 }, (_, index) => pattern(1 + (index % 97), index));
    const all = Buffer.concat(many);
    await Promise.all([client.sendAll(many, { more: true }), arrives(served, all)]);
    await client.sendAll([]);
    await client.sendAll(["", new Uint8Array(0)]);
    await Promise.all([client.sendAll([body], { zeroCopy: "auto" }), arrives(served, body)]);
  });

  suite.test(
    `${family.name}: a list whose peer does not read says how far it came`,
    async (trial) => {
      const { client, served } = await connected(trial, family);
      const list = Array.from({ length: 64 }, () => pattern(1 << 20));
      const error = await failure(client.sendAll(list, { timeoutMs: 20 }));
      assert.is(error.code, "ETIMEDOUT");
      const got = error.transferred as number;
      assert.ok(got > 0 && got < 64 << 20, `${got} bytes`);
      await client.shutdown("send");
      let received = 0;
      for await (using chunk of served.chunks()) received += chunk.bytes.byteLength;
      assert.is(received, got);
    },
  );
}

function registerEnds(suite: Suite): void {
  suite.test("sends that more follows arrive, alone and among others", async (trial) => {
    const { client, served } = await connected(trial);
    const sends = Array.from({ length: 50 }, (_, index) => {
      return client.send(pattern(200, index), { more: index % 3 === 0 });
    });
    await client.send(pattern(200, 50));
    const counts = await Promise.all(sends);
    assert.ok(counts.every((count) => count === 200));
    await arrives(served, Buffer.concat(Array.from({ length: 51 }, (_, at) => pattern(200, at))));
    // The last ones have nothing behind them, and arrive anyway.
    await client.sendAll("tail", { more: true });
    await arrives(served, Buffer.from("tail"));
    await client.sendAll("end", { more: true });
    await client.close();
    await arrives(served, Buffer.from("end"));
    assert.is(await served.receive(new Uint8Array(1)), 0);
  });

  suite.test("pieces wait, and end with the socket", async (trial) => {
    const { io, client, served } = await connected(trial);
    const signal = AbortSignal.abort();
    assert.is(await failureCode(served.peek(new Uint8Array(1), { signal })), "ABORT_ERR");
    const controller = new AbortController();
    const aborted = failureCode(
      served.receiveVectored([new Uint8Array(8)], { signal: controller.signal }),
    );
    await roundTrips(io, 2);
    controller.abort();
    assert.is(await aborted, "ABORT_ERR");
    const ended = [
      served.peek(new Uint8Array(8)),
      served.receiveVectored([new Uint8Array(8)]),
      served.peek(new Uint8Array(8)),
    ].map(failureCode);
    await roundTrips(io, 2);
    await served.close();
    assert.equal(await Promise.all(ended), ["ECANCELED", "ECANCELED", "ECANCELED"]);
    const late = [
      served.peek(new Uint8Array(8)),
      served.receiveVectored([new Uint8Array(8)]),
      served.sendAll(["x"]),
    ].map(failureCode);
    assert.equal(await Promise.all(late), ["ERR_IO_CLOSED", "ERR_IO_CLOSED", "ERR_IO_CLOSED"]);
    await client.close();
  });

  suite.test("pieces of a connection that was reset", async (trial) => {
    const { io, listener, client, served } = await connected(trial);
    const peeking = failureCode(served.peek(new Uint8Array(4)));
    await roundTrips(io, 2);
    await client.reset();
    assert.is(await peeking, "ECONNRESET");
    const [next, other] = await connectTo(io, listener);
    const receiving = failureCode(other.receiveVectored([new Uint8Array(4)]));
    await roundTrips(io, 2);
    await next.reset();
    assert.is(await receiving, "ECONNRESET");
    assert.ok(["EPIPE", "ECONNRESET"].includes(await failureCode(other.sendAll(["x"]))));
  });

  suite.test("a loop over the socket refuses pieces", async (trial) => {
    const { client, served } = await connected(trial);
    const loop = served.chunks();
    const next = loop.next();
    const refused = [
      served.peek(new Uint8Array(4)),
      served.receiveVectored([new Uint8Array(4)]),
      served.reader().read(),
    ].map(failureCode);
    assert.equal(await Promise.all(refused), Array(3).fill("ERR_IO_RECEIVING"));
    await client.sendAll("x");
    (await next).value?.release();
    await loop.return();
  });
}

function registerResets(suite: Suite): void {
  suite.test("a reset ends what is in flight, and the peer sees it", async (trial) => {
    const { io, client, served } = await connected(trial);
    const own = [client.receive(new Uint8Array(8)), client.sendAll(new Uint8Array(64 << 20))].map(
      failureCode,
    );
    await roundTrips(io, 2);
    await client.reset();
    assert.equal(await Promise.all(own), ["ECANCELED", "ECANCELED"]);
    let code = "";
    const room = new Uint8Array(1 << 20);
    while (code === "") {
      const step = served.receive(room).catch((error: Error & { code: string }) => error.code);
      const count = await step;
      if (typeof count === "string") code = count;
      else assert.ok(count > 0, "the end of the stream in the place of a reset");
    }
    assert.is(code, "ECONNRESET");
    await Promise.all([client.reset(), client.close(), served.reset()]);
  });

  suite.test("a reset after a shutdown, and of a unix socket", async (trial) => {
    const { client, served } = await connected(trial);
    await client.shutdown("send");
    assert.is(await served.receive(new Uint8Array(1)), 0);
    await client.reset();
    const sent = await failureCode(
      served
        .send("x")
        .then(() => served.receive(new Uint8Array(1)))
        .then(() => served.send("x")),
    );
    assert.ok(["EPIPE", "ECONNRESET"].includes(sent), sent);
    const unix = await connected(trial, FAMILIES[2] as Family);
    await unix.client.reset();
    assert.is(await unix.served.receive(new Uint8Array(1)), 0);
  });
}
