// One socket passed on to another: every byte, the end, resets, limits, and how it is ended early.

import * as assert from "uvu/assert";
import { pattern, sameBytes } from "../support/data.js";
import type { Suite, Trial } from "../support/harness.js";
import { connectTo, FAMILIES, type Family, type Pair } from "../support/network.js";
import { failure, failureCode, roundTrips } from "../support/verbs.js";

/** Two connections of one IO; the middle is between `left.served` and `right.client`. */
async function twoPairs(trial: Trial, family: Family): Promise<{ left: Pair; right: Pair }> {
  const io = await trial.open();
  const listener = await io.listen(family.listening(trial));
  const [one, first] = await connectTo(io, listener);
  const [two, second] = await connectTo(io, listener);
  return {
    left: { io, listener, client: one, served: first },
    right: { io, listener, client: two, served: second },
  };
}

export function streamsPiping(suite: Suite): void {
  for (const family of FAMILIES.slice(0, 3)) {
    if (family.missing !== null) {
      suite.skip(`${family.name}: piping`, family.missing);
      continue;
    }
    registerBytes(suite, family);
  }
  registerLimits(suite);
  registerFailures(suite);
  registerEndings(suite);
}

function registerBytes(suite: Suite, family: Family): void {
  suite.test(`${family.name}: both directions pass, and each end by itself`, async (trial) => {
    const { left, right } = await twoPairs(trial, family);
    const there = left.served.pipeTo(right.client);
    const back = right.client.pipeTo(left.served, { chunkBytes: 65_536 });
    const request = pattern(1_000_003);
    const answer = pattern(700_001, 1);
    const sending = left.client.sendAll(request).then(() => left.client.shutdown("send"));
    const got = new Uint8Array(request.byteLength + 1);
    assert.is(await right.served.receiveFull(got), request.byteLength);
    assert.ok(sameBytes(got.subarray(0, request.byteLength), request));
    await sending;
    assert.is(await there, request.byteLength);
    // The other direction goes on after the end of the first.
    const answering = right.served.sendAll(answer).then(() => right.served.shutdown("send"));
    const answered = new Uint8Array(answer.byteLength + 1);
    assert.is(await left.client.receiveFull(answered), answer.byteLength);
    assert.ok(sameBytes(answered.subarray(0, answer.byteLength), answer));
    await answering;
    assert.is(await back, answer.byteLength);
  });

  suite.test(`${family.name}: a socket that is passed on to itself is an echo`, async (trial) => {
    const { left } = await twoPairs(trial, family);
    const echoing = left.served.pipeTo(left.served);
    await left.client.sendAll("round and round");
    await left.client.shutdown("send");
    const got = new Uint8Array(64);
    assert.is(await left.client.receiveFull(got), 15);
    assert.is(await echoing, 15);
  });
}

function registerLimits(suite: Suite): void {
  const family = FAMILIES[0] as Family;
  suite.test("after maxBytes the rest is still there", async (trial) => {
    const { left, right } = await twoPairs(trial, family);
    await left.client.sendAll("headbodytail");
    assert.is(await left.served.pipeTo(right.client, { maxBytes: 4 }), 4);
    assert.is(await left.served.pipeTo(right.client, { maxBytes: 0 }), 0);
    const body = new Uint8Array(4);
    assert.is(await left.served.receiveFull(body), 4);
    assert.is(Buffer.from(body).toString(), "body");
    await left.client.shutdown("send");
    // The end comes before the limit, and is passed on.
    assert.is(await left.served.pipeTo(right.client, { maxBytes: 100n }), 4);
    const got = new Uint8Array(16);
    assert.is(await right.served.receiveFull(got), 8);
    assert.is(Buffer.from(got.subarray(0, 8)).toString(), "headtail");
  });

  suite.test("with end: false the destination stays open", async (trial) => {
    const { left, right } = await twoPairs(trial, family);
    await left.client.sendAll("first");
    await left.client.shutdown("send");
    assert.is(await left.served.pipeTo(right.client, { end: false }), 5);
    await right.client.sendAll(" second");
    const got = new Uint8Array(12);
    assert.is(await right.served.receiveFull(got), 12);
    assert.is(Buffer.from(got).toString(), "first second");
  });

  suite.test("a destination that is not read stops its source", async (trial) => {
    const { left, right } = await twoPairs(trial, family);
    const controller = new AbortController();
    const passing = failure(left.served.pipeTo(right.client, { signal: controller.signal }));
    await left.client.sendAll("x");
    assert.is(await right.served.receiveFull(new Uint8Array(1)), 1); // it passes bytes on
    const much = new Uint8Array(64 << 20);
    const sent = await failure(left.client.sendAll(much, { timeoutMs: 100 }));
    assert.ok((sent.transferred as number) < much.byteLength);
    controller.abort();
    const ended = await passing;
    assert.is(ended.code, "ABORT_ERR");
    const there = ended.transferred as number;
    assert.ok(there > 0 && there <= 1 + (sent.transferred as number), `${there} bytes`);
    // What it says is what the destination was given.
    await right.client.shutdown("send");
    let got = 1;
    for await (using chunk of right.served.chunks()) got += chunk.bytes.byteLength;
    assert.is(got, there);
  });
}

function registerFailures(suite: Suite): void {
  const family = FAMILIES[0] as Family;
  suite.test("a source that is reset, with what has come before", async (trial) => {
    const { left, right } = await twoPairs(trial, family);
    const passing = failure(left.served.pipeTo(right.client));
    await left.client.sendAll("before");
    const got = new Uint8Array(6);
    assert.is(await right.served.receiveFull(got), 6);
    await left.client.reset();
    const { code, transferred } = await passing;
    assert.equal([code, transferred], ["ECONNRESET", 6]);
    // The destination is as it was: the program passes the reset on, or ends it.
    await right.client.reset();
    assert.is(await failureCode(right.served.receive(got)), "ECONNRESET");
  });

  suite.test("a destination that is reset, or closed", async (trial) => {
    const { left, right } = await twoPairs(trial, family);
    const passing = failureCode(left.served.pipeTo(right.client));
    await right.served.reset();
    // The first send may still be taken.
    const sending = left.client.sendAll(new Uint8Array(8 << 20)).catch(() => undefined);
    assert.ok(["EPIPE", "ECONNRESET"].includes(await passing));
    await left.served.close();
    await sending;
    const next = await twoPairs(trial, family);
    await next.right.client.close();
    await next.left.client.sendAll("x");
    const late = failureCode(next.left.served.pipeTo(next.right.client));
    assert.is(await late, "ERR_IO_CLOSED");
    // It receives no more, so the socket can be read again.
    await next.left.client.sendAll("y");
    assert.is(await next.left.served.receive(new Uint8Array(1)), 1);
  });
}

function registerEndings(suite: Suite): void {
  suite.test("a close of the source is no end that is passed on", async (trial) => {
    const { left, right } = await twoPairs(trial, FAMILIES[0] as Family);
    const piping = failureCode(left.served.pipeTo(right.client));
    await left.client.sendAll("part");
    const bytes = new Uint8Array(8);
    assert.is(await right.served.receive(bytes), 4);
    await left.served.close();
    assert.is(await piping, "ECANCELED");
    const next = right.served.receive(bytes, { timeoutMs: 20 });
    assert.is(await failureCode(next), "ETIMEDOUT");
  });

  const family = FAMILIES[0] as Family;
  suite.test("it is ended by its signal, and by its socket", async (trial) => {
    const { left, right } = await twoPairs(trial, family);
    const controller = new AbortController();
    const { signal } = controller;
    const passing = failure(left.served.pipeTo(right.client, { signal, timeoutMs: 3_600_000 }));
    await left.client.sendAll("some");
    assert.is(await right.served.receiveFull(new Uint8Array(4)), 4);
    controller.abort(new Error("enough"));
    const ended = await passing;
    assert.equal([ended.code, ended.transferred], ["ABORT_ERR", 4]);
    assert.is(await failureCode(left.served.pipeTo(right.client, { signal })), "ABORT_ERR");
    for (const maxBytes of [9, undefined]) {
      const limited = await failure(left.served.pipeTo(right.client, { maxBytes, timeoutMs: 5 }));
      assert.is(limited.code, "ETIMEDOUT");
      assert.match(limited.message, / failed: ETIMEDOUT, pipeTo has taken 5 ms$/);
    }
    const again = left.served.pipeTo(right.client);
    await roundTrips(left.io, 2);
    const refused = failureCode(left.served.pipeTo(right.client));
    assert.is(await refused, "ERR_IO_RECEIVING");
    await left.client.shutdown("send");
    assert.is(await again, 0);
    const closing = await twoPairs(trial, family);
    const closed = closing.left.served.pipeTo(closing.right.client, { maxBytes: 1 });
    const code = failureCode(closed);
    await roundTrips(closing.left.io, 2);
    await closing.left.served.close();
    assert.is(await code, "ECANCELED");
  });
}
