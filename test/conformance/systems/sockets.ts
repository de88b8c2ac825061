// Sockets of other systems, where they differ: the program must lose nothing by it, and no
// operation may go on forever.

import type { DatagramSocket, IO, Socket } from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere, systemHere } from "../../support/system.js";
import { pattern, sameBytes, text } from "../support/data.js";
import { boundPair, FAMILIES as DATAGRAMS, widen } from "../support/datagrams.js";
import type { Suite } from "../support/harness.js";
import { connectedToNode, FAMILIES, type Family, targetOf } from "../support/network.js";
import { failure, failureCode, roundTrips, Watched } from "../support/verbs.js";

export function systemsSockets(suite: Suite): void {
  for (const family of FAMILIES) {
    if (family.missing === null) registerGoneBefore(suite, family);
  }
  registerEveryAddress(suite);
  registerSendDuringReset(suite);
  registerLargeUnix(suite);
  registerSlowReceiver(suite);
  registerLimits(suite);
}

function registerGoneBefore(suite: Suite, family: Family): void {
  suite.test(`${family.name}: who has sent and gone before the accept is heard`, async (trial) => {
    const io = await trial.open();
    const listener = await io.listen(family.listening(trial));
    const clients: Socket[] = [];
    for (let index = 0; index < 3; index++) {
      const client = await io.connect(targetOf(listener.address));
      await client.sendAll(Buffer.from(`words ${index}`));
      clients.push(client);
    }
    for (const client of clients) await client.close();
    await roundTrips(io);
    const heard: string[] = [];
    for (let index = 0; index < 3; index++) {
      const socket = await listener.accept();
      const buffer = new Uint8Array(16);
      heard.push(text(buffer, await socket.receive(buffer)));
      assert.is(await socket.receive(buffer), 0);
      await socket.close();
    }
    assert.equal(heard.sort(), ["words 0", "words 1", "words 2"]);
  });
}

function registerEveryAddress(suite: Suite): void {
  const name = 'a listener on "::" takes IPv4 too';
  const missing = FAMILIES.find((family) => family.family === "ipv6")?.missing ?? null;
  const reason = systemHere() === "openbsd" ? "OpenBSD keeps the two apart" : missing;
  if (reason !== null) {
    suite.skip(name, reason);
    return;
  }
  suite.test(name, async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ host: "::", port: 0 });
    const { port } = listener.address;
    for (const host of ["127.0.0.1", "::1"]) {
      const [client, served] = await Promise.all([
        io.connect({ host, port }),
        listener.accept({ timeoutMs: 5000 }),
      ]);
      await client.sendAll(Buffer.from(host));
      const buffer = new Uint8Array(16);
      assert.is(text(buffer, await served.receive(buffer)), host);
    }
  });
}

function registerSendDuringReset(suite: Suite): void {
  for (const kind of ["send", "sendVectored", "sendAll"] as const) {
    suite.test(`${kind} to a peer that resets fails by a name that is known`, async (trial) => {
      const { io, peer, socket } = await connectedToNode(trial);
      peer.resetAndDestroy();
      await roundTrips(io);
      const data = new Uint8Array(8);
      const codes: string[] = [];
      while (codes.length < 2) {
        const sending = kind === "sendVectored" ? socket.sendVectored([data]) : socket[kind](data);
        await sending.then(
          () => undefined,
          (error) => codes.push(error.code),
        );
      }
      assert.ok(
        codes.every((code) => code === "ECONNRESET" || code === "EPIPE"),
        `${codes}`,
      );
    });
  }
}

const unixDatagrams = DATAGRAMS.filter(
  ({ family, missing }) => family === "unix" && missing === null,
);

/** A datagram that an empty receiver of BSD has no room for. */
const LARGE_BYTES = 50_000;

async function sendLarge(io: IO, near: DatagramSocket, far: DatagramSocket): Promise<void> {
  near.setOptions({ sendBufferBytes: 100_000 });
  const large = pattern(LARGE_BYTES);
  const connected = near.remoteAddress !== null;
  const send = (data: Uint8Array): Promise<number> =>
    connected ? near.send(data) : near.sendTo(data, far.localAddress!);
  if (isBsdHere()) {
    const error = await failure(send(large));
    assert.is(error.code, "ENOBUFS");
    assert.match(error.message, "receiveBufferBytes");
    far.setOptions({ receiveBufferBytes: 100_000 });
  }
  assert.is(await send(large), LARGE_BYTES);
  const buffer = new Uint8Array(LARGE_BYTES);
  assert.is((await far.receive(buffer)).byteLength, LARGE_BYTES);
  assert.ok(sameBytes(buffer, large));
  assert.is(await send(new Uint8Array(3)), 3, "the socket goes on");
  assert.is((await far.receive(buffer)).byteLength, 3);
  assert.is(io.stats().inFlight, 0);
}

function registerLargeUnix(suite: Suite): void {
  for (const family of unixDatagrams) {
    for (const connected of [false, true]) {
      const how = connected ? "connected" : "by address";
      suite.test(`${family.name}: what no receiver holds is refused, ${how}`, async (trial) => {
        const { io, near, far } = await boundPair(trial, family);
        if (connected) await near.connect(far.localAddress!);
        await sendLarge(io, near, far);
      });
    }
  }
}

function registerSlowReceiver(suite: Suite): void {
  for (const family of unixDatagrams) {
    suite.test(`${family.name}: what fits waits for its receiver, however long`, async (trial) => {
      const { io, near, far } = await boundPair(trial, family);
      const data = new Uint8Array(1500);
      let count = 0;
      let waiting: Watched<number>;
      do {
        waiting = new Watched(near.sendTo(data, far.localAddress!));
        count++;
        await roundTrips(io, 5);
      } while (waiting.state !== "pending");
      // Longer than it is tried when it might never fit.
      await io.sleep(1500);
      assert.is(waiting.state, "pending");
      const buffer = new Uint8Array(2000);
      for (let index = 0; index < count; index++) {
        assert.is((await far.receive(buffer)).byteLength, 1500);
      }
      assert.is(await waiting.promise, 1500);
    });
  }
}

function registerLimits(suite: Suite): void {
  suite.test("a datagram longer than the send buffer holds is EMSGSIZE", async (trial) => {
    for (const family of DATAGRAMS.filter(({ missing }) => missing === null)) {
      const { near, far } = await boundPair(trial, family);
      const long = new Uint8Array(10_000);
      if (isBsdHere()) {
        const error = await failure(near.sendTo(long, far.localAddress!));
        assert.is(error.code, "EMSGSIZE");
        assert.match(error.message, "sendBufferBytes");
      }
      widen(near, far);
      assert.is(await near.sendTo(long, far.localAddress!), 10_000);
      assert.is((await far.receive(new Uint8Array(10_000))).byteLength, 10_000);
    }
  });

  const name = "UDP: a full queue of a device fails the send";
  if (process.platform !== "linux" || !isBsdHere()) {
    suite.skip(name, "only the tests' own kqueue has such a device");
    return;
  }
  suite.test(name, async (trial) => {
    const io = await trial.open();
    const socket = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    const full = { host: "127.0.105.1", port: 7 };
    assert.is(await failureCode(socket.sendTo(new Uint8Array(4), full)), "ENOBUFS");
    assert.is(await socket.sendTo(new Uint8Array(4), socket.localAddress), 4);
  });
}
