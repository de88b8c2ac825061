// Data between sockets of every family: sends, receives, ends of streams, resets, backpressure.

import { once } from "node:events";
import { Completion, type IOError, type Socket } from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere } from "../../support/system.js";
import { hash, pattern, sameBytes, text } from "../support/data.js";
import type { Suite } from "../support/harness.js";
import {
  connected,
  connectedToNode,
  connectTo,
  FAMILIES,
  type Family,
  type Pair,
} from "../support/network.js";
import { assertSystemError, failure, failureCode, roundTrips, Watched } from "../support/verbs.js";

export function streamsData(suite: Suite): void {
  for (const family of FAMILIES) {
    if (family.missing !== null) {
      suite.skip(`${family.name}: data`, family.missing);
      continue;
    }
    registerMoves(suite, family);
    registerEnds(suite, family);
    registerGone(suite, family);
    registerPressure(suite, family);
    registerOrder(suite, family);
  }
  registerReset(suite);
}

function registerMoves(suite: Suite, family: Family): void {
  suite.test(`${family.name}: what is sent is received, both ways`, async (trial) => {
    const { client, served } = await connected(trial, family);
    const buffer = new Uint8Array(32);
    assert.is(await client.send(Buffer.from("there")), 5);
    assert.is(await served.receive(buffer), 5);
    assert.is(text(buffer, 5), "there");
    assert.is(await served.send(Buffer.from("back")), 4);
    assert.is(await client.receive(buffer.subarray(8)), 4);
    assert.is(text(buffer.subarray(8), 4), "back");
  });

  suite.test(`${family.name}: an empty buffer moves 0 bytes`, async (trial) => {
    const { client, served } = await connected(trial, family);
    await client.sendAll(new Uint8Array(0));
    assert.is(await client.receiveFull(new Uint8Array(0)), 0);
    assert.is(await client.send(new DataView(new ArrayBuffer(4), 4)), 0);
    assert.is(await client.send(new Uint8Array(0)), 0);
    const parts = [new Uint8Array(0), Buffer.from("x"), new Uint8Array(0)];
    assert.is(await client.sendVectored(parts), 1);
    assert.is(await served.receive(new Uint8Array(4)), 1);
  });

  suite.test(`${family.name}: a vectored send gathers`, async (trial) => {
    const { client, served } = await connected(trial, family);
    const parts = ["one ", "two ", "three"].map((part) => Buffer.from(part));
    assert.is(await client.sendVectored(parts), 13);
    const buffer = new Uint8Array(13);
    assert.is(await served.receiveFull(buffer), 13);
    assert.is(text(buffer), "one two three");
    const many = Array.from({ length: 1024 }, (_, index) => Buffer.from([index & 0xff]));
    assert.is(await client.sendVectored(many), 1024);
    const all = new Uint8Array(1024);
    assert.is(await served.receiveFull(all), 1024);
    assert.ok(sameBytes(all, Buffer.concat(many)));
    for (const wrong of [[], [...many, Buffer.from("x")]]) {
      assert.is(await failureCode(client.sendVectored(wrong)), "ERR_OUT_OF_RANGE");
    }
  });

  suite.test(`${family.name}: 16 MiB in both directions at once`, async (trial) => {
    const { client, served } = await connected(trial, family);
    const sizeBytes = 16 * 1024 * 1024;
    const [there, back] = [pattern(sizeBytes, 1), pattern(sizeBytes, 2)];
    const [gotThere, gotBack] = [new Uint8Array(sizeBytes), new Uint8Array(sizeBytes)];
    const [, , first, second] = await Promise.all([
      client.sendAll(there),
      served.sendAll(back),
      served.receiveFull(gotThere),
      client.receiveFull(gotBack),
    ]);
    assert.equal([first, second], [sizeBytes, sizeBytes]);
    assert.equal([hash(gotThere), hash(gotBack)], [hash(there), hash(back)]);
  });

  suite.test(
    `${family.name}: a socket connected to itself through one IO, ring layer`,
    async (trial) => {
      const { io, client, served } = await connected(trial, family);
      const results: number[] = [];
      const callback = (_completion: Completion, result: number): void => {
        results.push(result);
      };
      const buffer = new Uint8Array(8);
      io.ring.receive(new Completion(), callback, served.descriptor, buffer);
      io.ring.send(new Completion(), callback, client.descriptor, Buffer.from("raw"));
      await roundTrips(io);
      assert.equal(results, [3, 3]);
      assert.is(text(buffer, 3), "raw");
    },
  );
}

function registerEnds(suite: Suite, family: Family): void {
  suite.test(`${family.name}: the end of a stream is 0, again and again`, async (trial) => {
    const { client, served } = await connected(trial, family);
    await client.sendAll(Buffer.from("last"));
    await client.close();
    const buffer = new Uint8Array(16);
    assert.is(await served.receive(buffer), 4);
    assert.is(await served.receive(buffer), 0);
    assert.is(await served.receive(buffer), 0);
    assert.is(await served.receiveFull(buffer), 0);
  });

  suite.test(`${family.name}: receiveFull gives what came before the end`, async (trial) => {
    const { client, served } = await connected(trial, family);
    const receiving = served.receiveFull(new Uint8Array(100));
    await client.sendAll(Buffer.alloc(30));
    await client.sendAll(Buffer.alloc(31));
    await client.shutdown("send");
    assert.is(await receiving, 61);
  });

  suite.test(`${family.name}: half-closed, the other direction goes on`, async (trial) => {
    const { client, served } = await connected(trial, family);
    const pending = served.receive(new Uint8Array(8));
    assert.is(await client.shutdown("send"), undefined);
    assert.is(await pending, 0);
    const big = pattern(500_000);
    const got = new Uint8Array(big.byteLength);
    await Promise.all([served.sendAll(big), client.receiveFull(got)]);
    assert.ok(sameBytes(got, big));
    const error = await failure(client.send(Buffer.from("x")));
    const at = client.remoteAddress;
    assertSystemError(error, { code: "EPIPE", syscall: "send", operation: "send", at });
    await served.shutdown("send");
    assert.is(await client.receive(got), 0);
  });

  suite.test(
    `${family.name}: shutdown of receiving ends a pending receive with 0`,
    async (trial) => {
      const { io, client, served } = await connected(trial, family);
      const pending = client.receive(new Uint8Array(8));
      await roundTrips(io, 3);
      await client.shutdown("receive");
      assert.is(await pending, 0);
      assert.is(await client.send(Buffer.from("still")), 5);
      assert.is(await served.receive(new Uint8Array(8)), 5);
    },
  );

  suite.test(`${family.name}: shutdown of both ends both`, async (trial) => {
    const { client, served } = await connected(trial, family);
    const pending = client.receive(new Uint8Array(8));
    await client.shutdown();
    assert.is(await pending, 0);
    assert.is(await failureCode(client.send(Buffer.from("x"))), "EPIPE");
    assert.is(await served.receive(new Uint8Array(8)), 0);
    for (const how of ["write", "", undefined, 1] as unknown as "both"[]) {
      if (how === undefined) continue;
      const code = await failureCode(served.shutdown(how));
      const right = typeof how === "string" ? "ERR_INVALID_ARG_VALUE" : "ERR_INVALID_ARG_TYPE";
      assert.is(code, right, `${how}`);
    }
  });
}

/** Sends until the connection fails: how many sends succeed first is the system's business. */
async function sendUntilFailure(socket: Socket): Promise<string> {
  for (let index = 0; index < 1000; index++) {
    try {
      await socket.send(Buffer.from("x"));
    } catch (error) {
      return (error as { code: string }).code;
    }
  }
  return "no error";
}

/** The system decides what that is: Linux resets it, the sockets of BSD and of vsock end it. */
function registerUnread(suite: Suite, family: Family): void {
  const resets = !isBsdHere() && family.family !== "vsock";
  const name = `${family.name}: a peer that closes with unread data ${resets ? "resets" : "ends"}`;
  suite.test(name, async (trial) => {
    const { io, client, served } = await connected(trial, family);
    await client.sendAll(Buffer.from("never read"));
    await roundTrips(io, 3);
    await served.close();
    const receiving = client.receive(new Uint8Array(8));
    if (!resets) {
      assert.is(await receiving, 0);
      return;
    }
    const error = await failure(receiving);
    const at = client.remoteAddress;
    assertSystemError(error, { code: "ECONNRESET", syscall: "recv", operation: "receive", at });
    assert.is(error.backend, io.backend);
  });

  suite.test(`${name}, and a receive that waits`, async (trial) => {
    const { io, client, served } = await connected(trial, family);
    const pending = client.receive(new Uint8Array(8)).catch(({ code }: IOError) => code);
    await client.sendAll(Buffer.from("never read"));
    await roundTrips(io, 3);
    await served.close();
    assert.is(await pending, resets ? "ECONNRESET" : 0);
  });
}

function registerReset(suite: Suite): void {
  suite.test("a reset ends a receive that waits, and those that come later", async (trial) => {
    const { io, peer, socket } = await connectedToNode(trial);
    const pending = failure(socket.receive(new Uint8Array(8)));
    await roundTrips(io, 3);
    peer.resetAndDestroy();
    const error = await pending;
    assertSystemError(error, { code: "ECONNRESET", syscall: "recv", operation: "receive" });
    assert.is(await socket.receive(new Uint8Array(8)), 0, "it is reported once");
    const code = await sendUntilFailure(socket);
    assert.ok(code === "EPIPE" || code === "ECONNRESET", code);
  });

  suite.test("a send to a peer that resets is ECONNRESET or EPIPE", async (trial) => {
    const { io, peer, socket } = await connectedToNode(trial);
    peer.resetAndDestroy();
    await once(peer, "close");
    await roundTrips(io, 3);
    const code = await failureCode(socket.send(Buffer.from("x")));
    assert.ok(code === "EPIPE" || code === "ECONNRESET", code);
  });
}

/** Its listener stays: without one Node has the default back, which ends the process. */
let pipeSignals = 0;

function countPipeSignal(): void {
  pipeSignals++;
}

function registerGone(suite: Suite, family: Family): void {
  registerUnread(suite, family);

  suite.test(
    `${family.name}: sending to who has gone is an error, and no signal`,
    async (trial) => {
      if (process.listenerCount("SIGPIPE") === 0) process.on("SIGPIPE", countPipeSignal);
      const before = pipeSignals;
      const { io, client, served } = await connected(trial, family);
      await served.close();
      const code = await sendUntilFailure(client);
      assert.ok(code === "EPIPE" || code === "ECONNRESET", code);
      assert.is(await failureCode(client.send(Buffer.from("x"))), "EPIPE");
      assert.is(await failureCode(client.sendAll(Buffer.from("x"))), "EPIPE");
      const error = await failure(client.sendVectored([Buffer.from("x")]));
      const at = client.remoteAddress;
      const call = { syscall: "sendmsg", operation: "sendVectored" };
      assertSystemError(error, { code: "EPIPE", ...call, at });
      await roundTrips(io);
      assert.is(pipeSignals, before);
    },
  );
}

/** Sends until a send stays pending; gives it, and how many bytes went before it. */
async function fill({ io, client }: Pair, chunk: Uint8Array): Promise<[Watched<number>, number]> {
  let sent = 0;
  for (;;) {
    const sending = new Watched(client.send(chunk));
    await roundTrips(io);
    if (sending.state === "pending") return [sending, sent];
    sent += await sending.promise;
  }
}

function registerPressure(suite: Suite, family: Family): void {
  suite.test(`${family.name}: a send that cannot go on waits for the reader`, async (trial) => {
    const pair = await connected(trial, family);
    const chunk = pattern(1024 * 1024);
    const [sending, before] = await fill(pair, chunk);
    assert.ok(before > 0);
    await roundTrips(pair.io, 100);
    assert.is(sending.state, "pending");
    assert.is(pair.io.stats().inFlight >= 1, true);
    let received = 0;
    const buffer = new Uint8Array(1024 * 1024);
    const count = sending.promise.then(async (last) => {
      await pair.client.close();
      return last;
    });
    for (;;) {
      const got = await pair.served.receive(buffer);
      if (got === 0) break;
      received += got;
    }
    assert.is(received, before + (await count));
  });

  suite.test(`${family.name}: sendAll goes on after short sends`, async (trial) => {
    const { client, served } = await connected(trial, family);
    client.setOptions({ sendBufferBytes: 16_384 });
    const data = pattern(3_000_000);
    const sending = client.sendAll(data);
    const got = new Uint8Array(data.byteLength);
    let done = 0;
    while (done < got.byteLength) {
      done += await served.receive(got.subarray(done, done + 7001));
    }
    await sending;
    assert.ok(sameBytes(got, data));
  });
}

function registerOrder(suite: Suite, family: Family): void {
  suite.test(`${family.name}: two receives pending are served in order`, async (trial) => {
    const { io, client, served } = await connected(trial, family);
    for (let round = 0; round < 10; round++) {
      const [first, second] = [new Uint8Array(4), new Uint8Array(4)];
      const one = new Watched(served.receive(first));
      await roundTrips(io, 2);
      const two = new Watched(served.receive(second));
      await roundTrips(io, 2);
      await client.sendAll(Buffer.from("aaaa"));
      await Promise.race([one.promise, two.promise]);
      assert.equal([one.state, text(first)], ["resolved", "aaaa"], `round ${round}`);
      await client.sendAll(Buffer.from("bbbb"));
      assert.equal([await one.promise, await two.promise], [4, 4]);
      assert.is(text(second), "bbbb");
    }
  });

  suite.test(`${family.name}: receives of one batch are served in order`, async (trial) => {
    const { client, served } = await connected(trial, family);
    const buffers = Array.from({ length: 8 }, () => new Uint8Array(4));
    const receiving = buffers.map((buffer) => served.receive(buffer));
    const data = Array.from({ length: 8 }, (_, index) => `<${index}> `).join("");
    await client.sendAll(Buffer.from(data));
    assert.equal(await Promise.all(receiving), Array(8).fill(4));
    assert.is(buffers.map((buffer) => text(buffer)).join(""), data);
  });

  suite.test(
    `${family.name}: a time limit changes no order, and ends a receive that waits`,
    async (trial) => {
      const { io, client, served } = await connected(trial, family);
      const buffers = Array.from({ length: 4 }, () => new Uint8Array(1));
      const receiving = buffers.map((buffer, index) =>
        served.receive(buffer, index === 3 ? { timeoutMs: 60_000 } : {}),
      );
      await roundTrips(io, 2);
      await client.sendAll(Buffer.from("abcd"));
      assert.equal(await Promise.all(receiving), [1, 1, 1, 1]);
      assert.is(buffers.map((buffer) => text(buffer)).join(""), "abcd");
      const first = new Watched(served.receive(new Uint8Array(1)));
      const begin = process.hrtime.bigint();
      const limited = served.receive(new Uint8Array(1), { timeoutMs: 10 });
      assert.is(await failureCode(limited), "ETIMEDOUT");
      assert.ok(process.hrtime.bigint() - begin >= 10_000_000n, "not before its time");
      assert.is(first.state, "pending");
      await client.sendAll(Buffer.from("e"));
      assert.is(await first.promise, 1);
    },
  );

  suite.test(`${family.name}: sends in one turn arrive in order`, async (trial) => {
    const { client, served } = await connected(trial, family);
    const sends = Array.from({ length: 100 }, (_, index) =>
      client.send(Buffer.from(String(index).padStart(4))),
    );
    assert.equal(await Promise.all(sends), Array(100).fill(4));
    const buffer = new Uint8Array(400);
    assert.is(await served.receiveFull(buffer), 400);
    const expected = Array.from({ length: 100 }, (_, index) => String(index).padStart(4));
    assert.is(text(buffer), expected.join(""));
  });

  suite.test(`${family.name}: many connections do not mix`, async (trial) => {
    const { io, listener } = await connected(trial, family);
    const pairs: [Socket, Socket][] = [];
    for (let index = 0; index < 50; index++) pairs.push(await connectTo(io, listener));
    await Promise.all(
      pairs.map(async ([client, served], index) => {
        const data = pattern(20_000, index);
        const got = new Uint8Array(data.byteLength);
        await Promise.all([client.sendAll(data), served.receiveFull(got)]);
        assert.ok(sameBytes(got, data), `connection ${index}`);
      }),
    );
  });
}
