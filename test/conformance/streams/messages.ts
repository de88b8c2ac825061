// Unix sockets of the type "seqpacket": connections that carry messages.

import type { Socket } from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import { pattern, sameBytes } from "../support/data.js";
import type { Suite, Trial } from "../support/harness.js";
import { unixAddress } from "../support/network.js";
import { failure, failureCode, outcome, roundTrips, success } from "../support/verbs.js";

export function streamsMessages(suite: Suite): void {
  if (systemHere() === "macos") {
    suite.skip("sockets of messages", "macOS has none");
    return;
  }
  registerMessages(suite);
  registerRefused(suite);
}

let pairs = 0;

async function messagePair(trial: Trial): Promise<[Socket, Socket]> {
  const io = await trial.open();
  const path = trial.path(`messages-${pairs++}`);
  const listener = await io.listen({ path, type: "seqpacket" });
  return Promise.all([io.connect({ path, type: "seqpacket" }), listener.accept()]);
}

function registerMessages(suite: Suite): void {
  suite.test("each send is a message, and each receive takes one", async (trial) => {
    const [client, served] = await messagePair(trial);
    // All at once: those of a stream would go together in one call.
    const sizes = Array.from({ length: 100 }, (_, index) => 1 + ((index * 37) % 500));
    const sends = sizes.map((size, index) => client.send(pattern(size, index)));
    const into = new Uint8Array(1000);
    for (const [index, size] of sizes.entries()) {
      assert.is(await served.receive(into), size);
      assert.ok(sameBytes(into.subarray(0, size), pattern(size, index)), `message ${index}`);
    }
    assert.equal(await Promise.all(sends), sizes);
    await served.sendAll(["one ", "message"]);
    assert.is(await client.peek(into), 11);
    assert.is(await client.receiveVectored([into.subarray(0, 4), into.subarray(4)]), 11);
    assert.is(Buffer.from(into.subarray(0, 11)).toString(), "one message");
    // What does not fit is lost.
    await served.send("long message");
    await served.send("next");
    assert.is(await client.receive(into.subarray(0, 4)), 4);
    assert.is(await client.receive(into), 4);
    assert.is(Buffer.from(into.subarray(0, 4)).toString(), "next");
    await served.shutdown("send");
    assert.is(await client.receive(into), 0);
    await client.send("still");
    assert.is(await served.receive(into), 5);
  });

  suite.test("messages wait for a peer that does not read, and stay whole", async (trial) => {
    const [client, served] = await messagePair(trial);
    const count = 2000;
    const sends = Array.from({ length: count }, (_, index) => client.send(pattern(700, index)));
    const into = new Uint8Array(2000);
    for (let index = 0; index < count; index++) {
      assert.is(await served.receive(into), 700, `message ${index}`);
      assert.ok(sameBytes(into.subarray(0, 700), pattern(700, index)), `message ${index}`);
    }
    assert.ok((await Promise.all(sends)).every((sent) => sent === 700));
  });

  suite.test("messages of a connection that ends", async (trial) => {
    const [client, served] = await messagePair(trial);
    const waiting = served.receive(new Uint8Array(8));
    await client.close();
    assert.is(await waiting, 0);
    assert.ok(["EPIPE", "ECONNRESET"].includes(await failureCode(served.send("x"))));
    const [other, far] = await messagePair(trial);
    const blocked = Array.from({ length: 3000 }, () => failureCode(other.send(pattern(900))));
    const controller = new AbortController();
    const aborted = failureCode(other.send("x", { signal: controller.signal }));
    controller.abort();
    assert.is(await aborted, "ABORT_ERR");
    const ended = Promise.allSettled(blocked);
    await other.close();
    const codes = (await ended).map((one) => (one.status === "fulfilled" ? one.value : "sent"));
    assert.is(codes.at(-1), "ECANCELED");
    await far.close();
  });

  suite.test("the verbs of the ring for sockets of messages", async (trial) => {
    const io = await trial.open();
    const address = unixAddress(trial);
    const socket = (): Promise<number> => {
      return success(io, (c, done) => io.ring.socket(c, done, "unix", "seqpacket"));
    };
    const listening = await socket();
    await success(io, (c, done) => io.ring.bind(c, done, listening, address));
    await success(io, (c, done) => io.ring.listen(c, done, listening, 4));
    const near = await socket();
    await success(io, (c, done) => io.ring.connect(c, done, near, address));
    const far = await success(io, (c, done) => io.ring.accept(c, done, listening));
    for (const text of ["ab", "cde"]) {
      await success(io, (c, done) => io.ring.send(c, done, near, Buffer.from(text)));
    }
    const into = new Uint8Array(16);
    assert.is(await success(io, (c, done) => io.ring.receive(c, done, far, into)), 2);
    assert.is(await success(io, (c, done) => io.ring.receive(c, done, far, into)), 3);
    const other = await outcome(io, (c, done) => io.ring.socket(c, done, "ipv4", "seqpacket"));
    assert.ok(other < 0, `${other}`);
  });
}

function registerRefused(suite: Suite): void {
  suite.test("what is of bytes is refused on a socket of messages", async (trial) => {
    const [client, served] = await messagePair(trial);
    const io = await trial.open();
    const file = await io.openFile(trial.path("file"), { read: true, write: true, create: true });
    const calls = [
      () => served.chunks(),
      () => served.reader(),
      () => served[Symbol.asyncIterator](),
    ];
    for (const call of calls) {
      const refused = await failure((async () => call())());
      assert.is(refused.code, "ENOTSUP");
      assert.match(refused.message, "seqpacket");
    }
    assert.is(await failureCode(served.pipeTo(client)), "ENOTSUP");
    assert.is(await failureCode(served.sendFile(file)), "ENOTSUP");
    assert.is(await failureCode(client.send(new Uint8Array(64 << 20))), "EMSGSIZE");
    await roundTrips(io, 1);
  });

  suite.test("both ends are of one type, and it is one of unix sockets", async (trial) => {
    const io = await trial.open();
    const path = trial.path("messages");
    const listener = await io.listen({ path, type: "seqpacket" });
    assert.is(await failureCode(io.connect({ path })), "EPROTOTYPE");
    const internet = { port: 1, type: "seqpacket" } as unknown as { port: number };
    const refused = await failure(io.connect(internet));
    assert.is(refused.code, "ERR_INVALID_ARG_VALUE");
    assert.match(refused.message, /the type is "seqpacket", which only unix sockets have/);
    assert.is(await failureCode(io.listen(internet)), "ERR_INVALID_ARG_VALUE");
    await listener.close();
  });
}
