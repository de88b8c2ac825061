// Zero-copy sends: the bytes that arrive, their order, and the counters.

import type { DatagramSocket, IO, Socket, SocketStats } from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere } from "../../support/system.js";
import { hash, pattern, sameBytes } from "../support/data.js";
import { connectedPair, FAMILIES as DATAGRAMS, widen } from "../support/datagrams.js";
import type { Suite } from "../support/harness.js";
import { connected, FAMILIES } from "../support/network.js";
import { failureCode, refusalCode, roundTrips, Watched } from "../support/verbs.js";
import { canSpare, drain, MODES } from "../support/zero_copy.js";

export function zeroCopyData(suite: Suite): void {
  for (const family of FAMILIES) {
    if (family.missing !== null) {
      suite.skip(`${family.name}: zero copy`, family.missing);
      continue;
    }
    for (const zeroCopy of MODES) {
      suite.test(`${family.name}: all bytes arrive, zeroCopy ${zeroCopy}`, async (trial) => {
        const { client, served } = await connected(trial, family);
        const sent = pattern(8 * 1024 * 1024, 3);
        const receiving = drain(served, sent.byteLength);
        await client.sendAll(sent, { zeroCopy });
        assert.is(hash(await receiving), hash(sent));
      });
    }
    suite.test(`${family.name}: mixed sends keep their order`, async (trial) => {
      const { client, served } = await connected(trial, family);
      const pieces = Array.from({ length: 60 }, (_, index) => pattern(200 + index * 700, index));
      const receiving = drain(
        served,
        pieces.reduce((sum, piece) => sum + piece.byteLength, 0),
      );
      const counts = await Promise.all(
        pieces.map((piece, index) => client.send(piece, { zeroCopy: MODES[index % 3] ?? "auto" })),
      );
      // Small enough never to be short.
      assert.equal(
        counts,
        pieces.map((piece) => piece.byteLength),
      );
      assert.is(hash(await receiving), hash(Buffer.concat(pieces)));
    });
  }
  registerVectors(suite);
  registerDatagrams(suite);
  registerCounters(suite);
  registerAuto(suite);
}

function registerVectors(suite: Suite): void {
  for (const registered of [false, true]) {
    const memory = registered ? "memory of io.buffers" : "any memory";
    suite.test(`several buffers of ${memory} go in one send`, async (trial) => {
      const { io, client, served } = await connected(trial);
      const whole = registered ? io.buffers.acquire(60_000) : new Uint8Array(60_000);
      whole.set(pattern(60_000, 5));
      const parts = [0, 1, 4096, 20_000].map((start, index, all) =>
        whole.subarray(start, all[index + 1] ?? 60_000),
      );
      const receiving = drain(served, 60_000);
      assert.is(await client.sendVectored(parts, { zeroCopy: "always" }), 60_000);
      assert.ok(sameBytes(await receiving, whole));
      checkAllWent(io, client, 1, 60_000);
      const mixed = [whole.subarray(0, 5000), new Uint8Array(5000)];
      const more = drain(served, 10_000);
      assert.is(await client.sendVectored(mixed, { zeroCopy: "always" }), 10_000);
      assert.is((await more).byteLength, 10_000);
    });
  }
}

/** Loopback copies, which the kernel says afterwards. */
function checkAllWent(io: IO, socket: Socket | DatagramSocket, sends: number, bytes: number): void {
  const stats = socket.stats();
  const received = { zeroCopyChunks: 0, zeroCopyChunkBytes: 0 };
  const expected: SocketStats = canSpare(io)
    ? {
        zeroCopySends: sends,
        zeroCopyBytes: bytes,
        zeroCopyCopied: sends,
        zeroCopyFallenBack: 0,
        zeroCopyUnreleased: 0,
        ...received,
      }
    : {
        zeroCopySends: 0,
        zeroCopyBytes: 0,
        zeroCopyCopied: 0,
        zeroCopyFallenBack: sends,
        zeroCopyUnreleased: 0,
        ...received,
      };
  assert.equal(stats, expected);
}

function registerDatagrams(suite: Suite): void {
  for (const family of DATAGRAMS) {
    if (family.missing !== null) continue;
    suite.test(`${family.name}: datagrams of every kind, without a copy`, async (trial) => {
      const { io, near, far } = await connectedPair(trial, family);
      widen(near, far);
      const data = io.buffers.acquire(20_000);
      data.set(pattern(20_000, 7));
      const halves = [data.subarray(0, 9000), data.subarray(9000)];
      const buffer = new Uint8Array(30_000);
      const options = { zeroCopy: "always" } as const;
      const peer = far.localAddress;
      // With an address, too; the sockets of BSD refuse one when they are connected (EISCONN).
      const addressed = [
        () => near.sendTo(data, peer!, options),
        () => near.sendTo(halves, peer!, options),
      ];
      if (isBsdHere()) assert.is(await failureCode(near.sendTo(data, peer!)), "EISCONN");
      const sends = [
        () => near.send(data, options),
        () => near.sendVectored(halves, options),
        ...(isBsdHere() ? [] : addressed),
        () => near.sendZeroCopy(data, options).sent,
      ];
      for (const send of sends) {
        assert.is(await send(), 20_000);
        const got = await far.receive(buffer);
        assert.equal([got.byteLength, got.truncated], [20_000, false]);
        assert.ok(sameBytes(buffer.subarray(0, 20_000), data));
      }
      assert.is(await near.send(new Uint8Array(0), options), 0);
      assert.is((await far.receive(buffer)).byteLength, 0);
      const { zeroCopySends, zeroCopyFallenBack } = near.stats();
      const spares = canSpare(io) && family.family !== "unix";
      const count = sends.length + 1;
      assert.equal([zeroCopySends, zeroCopyFallenBack], spares ? [count, 0] : [0, count]);
    });
  }

  suite.test("a datagram in more buffers than one packet can refer to", async (trial) => {
    const { io, near, far } = await connectedPair(trial);
    // Each lies in a page of its own, so none can be joined with the next.
    const pages = io.buffers.acquire(4096 * 64);
    pages.set(pattern(pages.byteLength, 9));
    const pieces = Array.from({ length: 64 }, (_, index) =>
      pages.subarray(index * 4096, index * 4096 + 100),
    );
    assert.is(await near.sendVectored(pieces, { zeroCopy: "always" }), 6400);
    const buffer = new Uint8Array(10_000);
    assert.is((await far.receive(buffer)).byteLength, 6400);
    assert.ok(sameBytes(buffer.subarray(0, 6400), Buffer.concat(pieces)));
    const { zeroCopySends, zeroCopyFallenBack } = near.stats();
    assert.is(zeroCopySends + zeroCopyFallenBack, 1);
  });
}

/** Sends until a send waits for room, and ends that one. */
async function fill(io: IO, socket: Socket): Promise<void> {
  const much = pattern(1 << 20);
  for (;;) {
    const sending = new Watched(socket.send(much, { zeroCopy: "never" }));
    await roundTrips(io, 10);
    const waits = sending.state === "pending";
    await io.cancelAll();
    await sending.promise.catch(() => undefined);
    if (waits) return;
  }
}

function registerCounters(suite: Suite): void {
  suite.test("the counters of the IO are the sums of its sockets'", async (trial) => {
    const { io, client, served } = await connected(trial);
    const data = pattern(30_000);
    const options = { zeroCopy: "always" } as const;
    const receiving = [drain(served, 30_000), drain(client, 60_000)];
    await client.sendAll(data, options);
    await served.sendAll(data, options);
    await served.sendAll(data, options);
    await Promise.all(receiving);
    const both = [client.stats(), served.stats()] as const;
    const all = io.stats();
    for (const name of Object.keys(both[0]) as (keyof SocketStats)[]) {
      assert.is(all[name], both[0][name] + both[1][name], name);
    }
    assert.is(all.zeroCopyBytes, canSpare(io) ? 90_000 : 0);
    await client.close();
    assert.is(
      refusalCode(() => client.stats()),
      "ERR_IO_CLOSED",
    );
    assert.is(io.stats().zeroCopyBytes, canSpare(io) ? 90_000 : 0, "what was counted stays");
  });

  suite.test("a unix socket falls back, and is not asked again", async (trial) => {
    const unix = FAMILIES.find(({ family }) => family === "unix");
    const { client, served } = await connected(trial, unix);
    const data = pattern(50_000);
    for (const zeroCopy of ["always", "always", "auto", "auto"] as const) {
      const receiving = drain(served, 50_000);
      await client.sendAll(data, { zeroCopy });
      assert.ok(sameBytes(await receiving, data));
    }
    const { zeroCopySends, zeroCopyFallenBack } = client.stats();
    assert.is(zeroCopySends, 0);
    assert.ok(zeroCopyFallenBack >= 4, `${zeroCopyFallenBack}`);
  });
}

function registerAuto(suite: Suite): void {
  suite.test("auto tries once on loopback, and then lets it be", async (trial) => {
    const { io, client, served } = await connected(trial);
    const data = pattern(32_768);
    const count = 64;
    const receiving = drain(served, count * data.byteLength);
    for (let index = 0; index < count; index++) await client.sendAll(data, { zeroCopy: "auto" });
    await receiving;
    const { zeroCopySends, zeroCopyCopied, zeroCopyFallenBack } = client.stats();
    if (!canSpare(io)) {
      assert.is(zeroCopySends, 0);
      return;
    }
    // 2 MiB in all; the first look back comes after one, the second after two more.
    assert.ok(zeroCopySends >= 1 && zeroCopySends <= 3, `${zeroCopySends}`);
    assert.is(zeroCopyCopied, zeroCopySends);
    assert.ok(zeroCopyFallenBack >= count - 3, `${zeroCopyFallenBack}`);
  });

  suite.test("auto tries again when its first try found no room", async (trial) => {
    const { io, client, served } = await connected(trial);
    client.setOptions({ sendBufferBytes: 4096 });
    await served.shutdown("send");
    await client.receive(new Uint8Array(1));
    // Later sends find no space, and the peer keeps the poll ready.
    await fill(io, client);
    const data = pattern(32_768);
    const first = client.sendAll(data, { zeroCopy: "auto" });
    await roundTrips(io, 10);
    void drain(served).catch(() => undefined);
    await first;
    const before = client.stats().zeroCopySends;
    for (let index = 0; index < 100; index++) await client.sendAll(data, { zeroCopy: "auto" });
    const { zeroCopySends } = client.stats();
    if (canSpare(io)) assert.ok(zeroCopySends > before, "and more than once");
  });

  suite.test("auto asks of messages that may be worth it, later and once", async (trial) => {
    const { io, near, far } = await connectedPair(trial);
    const buffer = new Uint8Array(8192);
    const send = async (): Promise<void> => {
      await near.send(new Uint8Array(2000), { zeroCopy: "auto" });
      assert.is((await far.receive(buffer)).byteLength, 2000);
    };
    for (let count = 0; count < 32; count++) await send();
    const none = near.stats();
    assert.equal([none.zeroCopySends, none.zeroCopyFallenBack], [0, 0], "it has sent little");
    for (let count = 0; count < 168; count++) await send();
    // Loopback copies, so one answer is enough for all bytes sent here.
    const { zeroCopySends, zeroCopyCopied, zeroCopyFallenBack } = near.stats();
    assert.equal([zeroCopySends, zeroCopyCopied], canSpare(io) ? [1, 1] : [0, 0]);
    if (canSpare(io)) assert.is(zeroCopyFallenBack, 0);
  });

  suite.test("auto copies short messages, up to the threshold", async (trial) => {
    const { io, near, far } = await connectedPair(trial);
    const buffer = new Uint8Array(8192);
    const send = async (sizeBytes: number): Promise<void> => {
      await near.send(new Uint8Array(sizeBytes), { zeroCopy: "auto" });
      assert.is((await far.receive(buffer)).byteLength, sizeBytes);
    };
    for (let count = 0; count < 10; count++) await send(1000 + count);
    const none = near.stats();
    assert.equal([none.zeroCopySends, none.zeroCopyFallenBack], [0, 0]);
    near.setOptions({ zeroCopyThresholdBytes: 1000 });
    await send(999);
    await send(1000);
    const one = near.stats();
    assert.equal([one.zeroCopySends, one.zeroCopyFallenBack], canSpare(io) ? [1, 0] : [0, 1]);
    near.setOptions({ zeroCopyThresholdBytes: 0 });
    await send(1000);
    assert.equal(near.stats(), one);
  });
}
