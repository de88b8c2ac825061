// Datagrams between sockets of every family: messages stay messages, and keep their order.

import type { DatagramAddress, DatagramSocket } from "@io/core";
import * as assert from "uvu/assert";
import { pattern, sameBytes, text } from "../support/data.js";
import { boundPair, connectedPair, FAMILIES, type Family } from "../support/datagrams.js";
import type { Suite } from "../support/harness.js";
import { failureCode, roundTrips, Watched } from "../support/verbs.js";

export function datagramsData(suite: Suite): void {
  for (const family of FAMILIES) {
    if (family.missing !== null) {
      suite.skip(`${family.name}: datagrams`, family.missing);
      continue;
    }
    registerAddresses(suite, family);
    registerMessages(suite, family);
    registerSizes(suite, family);
    registerOrder(suite, family);
    registerConnected(suite, family);
    registerDisconnected(suite, family);
    // UDP throws away what its receiver has no room for.
    if (family.family === "unix") registerFull(suite, family);
  }
}

function registerAddresses(suite: Suite, family: Family): void {
  suite.test(`${family.name}: a datagram comes with its sender's address`, async (trial) => {
    const { near, far } = await boundPair(trial, family);
    assert.is(await near.sendTo(Buffer.from("there"), far.localAddress!), 5);
    const buffer = new Uint8Array(32);
    const there = await far.receive(buffer);
    assert.equal(there, { byteLength: 5, address: near.localAddress, truncated: false });
    assert.is(text(buffer, 5), "there");
    assert.is(await far.sendTo(Buffer.from("back"), there.address!), 4);
    const back = await near.receive(buffer);
    assert.equal(back, { byteLength: 4, address: far.localAddress, truncated: false });
    assert.is(text(buffer, 4), "back");
  });

  suite.test(`${family.name}: one socket sends to several`, async (trial) => {
    const { io, near, far } = await boundPair(trial, family);
    const third = await io.openDatagram(family.binding(trial));
    const buffer = new Uint8Array(8);
    for (const [target, word] of [
      [far, "far"],
      [third, "third"],
      [far, "again"],
    ] as const) {
      await near.sendTo(Buffer.from(word), target.localAddress!);
      const { byteLength } = await target.receive(buffer);
      assert.is(text(buffer, byteLength), word);
    }
  });

  suite.test(`${family.name}: a socket without an address can send`, async (trial) => {
    const { io, far } = await boundPair(trial, family);
    const open = await io.openDatagram({ family: family.family });
    await open.sendTo(Buffer.from("x"), far.localAddress!);
    const { address } = await far.receive(new Uint8Array(4));
    if (family.family !== "unix") {
      assert.is(address!.family, family.family);
      assert.is(address!.port, open.localAddress!.port);
    } else {
      assert.is(address, null);
    }
  });
}

function registerMessages(suite: Suite, family: Family): void {
  suite.test(`${family.name}: an empty datagram ends nothing`, async (trial) => {
    const { near, far } = await boundPair(trial, family);
    const buffer = new Uint8Array(8).fill(7);
    const pending = far.receive(buffer);
    assert.is(await near.sendTo(new Uint8Array(0), far.localAddress!), 0);
    const empty = await pending;
    assert.equal(empty, { byteLength: 0, address: near.localAddress, truncated: false });
    assert.ok(buffer.every((byte) => byte === 7));
    await near.sendTo(Buffer.from("next"), far.localAddress!);
    assert.is((await far.receive(buffer)).byteLength, 4);
  });

  suite.test(`${family.name}: one that is too long is said to be cut`, async (trial) => {
    const { near, far } = await boundPair(trial, family);
    const sent = pattern(1000);
    await near.sendTo(sent, far.localAddress!);
    await near.sendTo(Buffer.from("whole"), far.localAddress!);
    const buffer = new Uint8Array(100);
    const cut = await far.receive(buffer);
    assert.equal(cut, { byteLength: 100, address: near.localAddress, truncated: true });
    assert.ok(sameBytes(buffer, sent.subarray(0, 100)));
    // The rest of it is lost, and the next one is not.
    const next = await far.receive(buffer);
    assert.equal([next.byteLength, next.truncated], [5, false]);
    assert.is(text(buffer, 5), "whole");
    await near.sendTo(sent, far.localAddress!);
    const exact = await far.receive(new Uint8Array(1000));
    assert.equal([exact.byteLength, exact.truncated], [1000, false]);
    await near.sendTo(Buffer.from("x"), far.localAddress!);
    const none = await far.receive(new Uint8Array(0));
    assert.equal([none.byteLength, none.truncated], [0, true]);
  });

  suite.test(`${family.name}: a peek leaves the datagram where it is`, async (trial) => {
    const { near, far } = await boundPair(trial, family);
    const buffer = new Uint8Array(32);
    const waiting = far.peek(buffer);
    const address = near.localAddress;
    await near.sendTo(Buffer.from("first"), far.localAddress!);
    await near.sendTo(Buffer.from("second"), far.localAddress!);
    assert.equal(await waiting, { byteLength: 5, address, truncated: false });
    assert.is(text(buffer, 5), "first");
    const start = new Uint8Array(2);
    assert.equal(await far.peek(start), { byteLength: 2, address, truncated: true });
    assert.is(text(start, 2), "fi");
    assert.equal(await far.peek(new Uint8Array(0)), { byteLength: 0, address, truncated: true });
    // The order is that of the calls: each peek sees what the receive before it has left.
    const [one, between, two] = await Promise.all([
      far.receive(buffer.subarray(0, 8)),
      far.peek(buffer.subarray(8, 16)),
      far.receive(buffer.subarray(16)),
    ]);
    assert.equal([one.byteLength, between.byteLength, two.byteLength], [5, 6, 6]);
    assert.is(text(buffer.subarray(8), 6), "second");
    assert.is(await failureCode(far.peek(buffer, { timeoutMs: 1 })), "ETIMEDOUT");
    await near.sendTo(new Uint8Array(0), far.localAddress!);
    for (const verb of ["peek", "receive"] as const) {
      assert.equal(await far[verb](buffer), { byteLength: 0, address, truncated: false });
    }
  });

  suite.test(`${family.name}: several buffers are one datagram`, async (trial) => {
    const { near, far } = await boundPair(trial, family);
    const parts = ["one ", "", "two ", "three"].map((part) => Buffer.from(part));
    const buffer = new Uint8Array(64);
    assert.is(await near.sendTo(parts, far.localAddress!), 13);
    const { byteLength } = await far.receive(buffer);
    assert.is(text(buffer, byteLength), "one two three");
    await near.connect(far.localAddress!);
    assert.is(await near.sendVectored(parts.slice(2)), 9);
    assert.is(text(buffer, (await far.receive(buffer)).byteLength), "two three");
    assert.is(await failureCode(near.sendTo([], far.localAddress!)), "ERR_OUT_OF_RANGE");
  });
}

function registerSizes(suite: Suite, family: Family): void {
  suite.test(`${family.name}: the longest datagram, and one byte more`, async (trial) => {
    const { near, far } = await boundPair(trial, family);
    const sizeBytes = family.longestBytes ?? 60_000;
    near.setOptions({ sendBufferBytes: 262_144 });
    far.setOptions({ receiveBufferBytes: 262_144 });
    const sent = pattern(sizeBytes);
    assert.is(await near.sendTo(sent, far.localAddress!), sizeBytes);
    const buffer = new Uint8Array(sizeBytes + 10);
    const got = await far.receive(buffer);
    assert.equal([got.byteLength, got.truncated], [sizeBytes, false]);
    assert.ok(sameBytes(buffer.subarray(0, sizeBytes), sent));
    if (family.longestBytes !== null) {
      const tooLong = new Uint8Array(sizeBytes + 1);
      assert.is(await failureCode(near.sendTo(tooLong, far.localAddress!)), "EMSGSIZE");
    }
    near.setOptions({ sendBufferBytes: 8192 });
    const huge = new Uint8Array(1_000_000);
    assert.is(await failureCode(near.sendTo(huge, far.localAddress!)), "EMSGSIZE");
    assert.is(await near.sendTo(Buffer.from("still"), far.localAddress!), 5);
    assert.is((await far.receive(buffer)).byteLength, 5);
  });
}

function registerOrder(suite: Suite, family: Family): void {
  suite.test(`${family.name}: receives and sends keep the order of the calls`, async (trial) => {
    const { near, far } = await boundPair(trial, family);
    const count = 64;
    const buffers = Array.from({ length: count }, () => new Uint8Array(4));
    const receives = buffers.map((buffer) => far.receive(buffer));
    const sends = buffers.map((_buffer, index) =>
      near.sendTo(Buffer.from(`${index}`), far.localAddress!),
    );
    await Promise.all(sends);
    const received = await Promise.all(receives);
    const words = received.map(({ byteLength }, index) =>
      text(buffers[index] as Buffer, byteLength),
    );
    assert.equal(
      words,
      buffers.map((_buffer, index) => `${index}`),
    );
  });
}

function registerConnected(suite: Suite, family: Family): void {
  suite.test(`${family.name}: a connected one sends and hears its peer alone`, async (trial) => {
    const { io, near, far } = await connectedPair(trial, family);
    assert.equal(near.remoteAddress, far.localAddress);
    assert.is(await near.send(Buffer.from("hello")), 5);
    const buffer = new Uint8Array(16);
    const got = await far.receive(buffer);
    assert.equal(got, { byteLength: 5, address: near.localAddress, truncated: false });
    const stranger = await io.openDatagram(family.binding(trial));
    const waiting = new Watched(far.receive(buffer));
    const result = await stranger.sendTo(Buffer.from("psst"), far.localAddress!).then(
      () => "sent",
      (error) => error.code,
    );
    // UDP drops it; a unix socket does not let it be sent.
    assert.is(result, family.family === "unix" ? "EPERM" : "sent");
    await roundTrips(io);
    assert.is(waiting.state, "pending");
    await near.send(Buffer.from("me"));
    assert.is((await waiting.promise).byteLength, 2);
    assert.is(text(buffer, 2), "me");
  });

  suite.test(`${family.name}: a connected one can be connected again`, async (trial) => {
    const { io, near, far } = await connectedPair(trial, family);
    const third = await io.openDatagram(family.binding(trial));
    await near.connect(third.localAddress!);
    assert.equal(near.remoteAddress, third.localAddress);
    await near.send(Buffer.from("moved"));
    assert.is((await third.receive(new Uint8Array(8))).byteLength, 5);
    await far.close();
  });
}

function registerDisconnected(suite: Suite, family: Family): void {
  suite.test(`${family.name}: one that is disconnected hears everybody`, async (trial) => {
    const { io, near, far } = await boundPair(trial, family);
    await near.connect(far.localAddress!);
    const buffer = new Uint8Array(16);
    const before = near.send(Buffer.from("before"));
    const ended = near.disconnect();
    const behind = failureCode(near.send(Buffer.from("lost")));
    assert.is(await before, 6);
    await ended;
    // Linux says ENOTCONN of a unix socket, and EDESTADDRREQ of UDP.
    assert.is(await behind, family.family === "unix" ? "ENOTCONN" : "EDESTADDRREQ");
    assert.is(near.remoteAddress, null);
    assert.is((await far.receive(buffer)).byteLength, 6);
    await near.sendTo(Buffer.from("to you"), far.localAddress!);
    const { address } = await far.receive(buffer);
    assert.equal(address, near.localAddress);
    const stranger = await io.openDatagram(family.binding(trial));
    await stranger.sendTo(Buffer.from("psst"), address!);
    const heard = await near.receive(buffer);
    assert.equal(heard, { byteLength: 4, address: stranger.localAddress, truncated: false });
    await near.disconnect(); // nothing is left to end
    await near.connect(stranger.localAddress!);
    assert.is(await near.send(Buffer.from("again")), 5);
    assert.is((await stranger.receive(buffer)).byteLength, 5);
  });
}

/** What to send with when the receiver has no room, each in its own way. */
const WAYS: readonly [
  name: string,
  send: (near: DatagramSocket, data: Buffer, far: DatagramAddress) => Promise<number>,
][] = [
  ["send", (near, data) => near.send(data)],
  ["sendVectored", (near, data) => near.sendVectored(halves(data))],
  ["sendTo", (near, data, far) => near.sendTo(data, far)],
  ["sendTo with several buffers", (near, data, far) => near.sendTo(halves(data), far)],
];

function halves(data: Buffer): Buffer[] {
  const middle = data.length >> 1;
  return [data.subarray(0, middle), data.subarray(middle)];
}

function registerFull(suite: Suite, family: Family): void {
  for (const [name, send] of WAYS) {
    suite.test(
      `${family.name}: ${name} waits for its receiver, and arrives whole`,
      async (trial) => {
        const { io, near, far } = await boundPair(trial, family);
        if (!name.startsWith("sendTo")) await near.connect(far.localAddress!);
        // More than the system keeps for a receiver that does not come.
        const count = 400;
        const data = Array.from({ length: count }, (_, index) => Buffer.alloc(100 + index, index));
        const sends = data.map((one) => send(near, one, far.localAddress!));
        await roundTrips(io);
        const buffer = new Uint8Array(1000);
        for (const one of data) {
          const { byteLength, truncated } = await far.receive(buffer);
          assert.equal([byteLength, truncated], [one.length, false]);
          assert.ok(sameBytes(buffer.subarray(0, byteLength), one));
        }
        assert.equal(
          await Promise.all(sends),
          data.map((one) => one.length),
        );
      },
    );

    suite.test(`${family.name}: ${name} ends while it waits for its receiver`, async (trial) => {
      const { io, near, far } = await boundPair(trial, family);
      if (!name.startsWith("sendTo")) await near.connect(far.localAddress!);
      const one = Buffer.alloc(1000, 1);
      const sends: Watched<number>[] = [];
      do {
        sends.push(new Watched(send(near, one, far.localAddress!)));
        await roundTrips(io, 1);
      } while (sends.at(-1)?.state !== "pending");
      const late = failureCode(near.sendTo(one, far.localAddress!, { timeoutMs: 5 }));
      assert.is(await late, "ETIMEDOUT");
      const controller = new AbortController();
      const aborted = failureCode(near.sendTo(one, far.localAddress!, controller));
      const first = sends.at(-1) as Watched<number>;
      await io.cancelAll();
      assert.is(await failureCode(first.promise), "ECANCELED");
      controller.abort();
      const code = await aborted;
      assert.ok(code === "ABORT_ERR" || code === "ECANCELED", code);
      const waiting = [1, 2].map(() => failureCode(send(near, one, far.localAddress!)));
      await roundTrips(io, 3);
      await near.close();
      assert.equal(await Promise.all(waiting), ["ECANCELED", "ECANCELED"]);
      assert.is(io.stats().inFlight, 0);
    });
  }
}
