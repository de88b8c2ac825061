// A socket whose sending is shut down while sends wait for space: each of them ends, although the
// peer neither reads nor closes, and whatever the kernel reports of such a socket.

import { truncateSync, writeFileSync } from "node:fs";
import type { IO, ReceivedDescriptor, Socket } from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import type { Suite, Trial } from "../support/harness.js";
import { connected, connectTo, FAMILIES, type Family } from "../support/network.js";
import { failureCode, negative, roundTrips, Started, until, Watched } from "../support/verbs.js";

const LARGE_BYTES = 8 << 20;
/** A shutdown and the sends before it meet in the kernel in another way each time. */
const MEETINGS = 20;

export function streamsShutSending(suite: Suite): void {
  for (const shared of [false, true]) registerUnseen(suite, shared);
  registerMessages(suite);
  for (const family of FAMILIES) {
    if (family.missing === null) register(suite, family);
    else suite.skip(`${family.name}: a shutdown while sends wait`, family.missing);
  }
}

async function anotherPair(io: IO, trial: Trial, family: Family): Promise<[Socket, Socket]> {
  const listener = await io.listen(family.listening(trial));
  const pair = await connectTo(io, listener);
  await listener.close();
  return pair;
}

/** The same socket once more, as another process gets it. */
async function passed(io: IO, socket: Socket): Promise<Socket> {
  const [from, to] = io.socketPair();
  await from.sendDescriptors("x", [socket]);
  const { descriptors } = await to.receiveDescriptors(new Uint8Array(1));
  return io.adopt(descriptors[0] as ReceivedDescriptor, "socket");
}

/** No poll of Linux reports these. */
function registerUnseen(suite: Suite, shared: boolean): void {
  const name = shared ? "passed on" : "of its own";
  const shutdowns: Readonly<Record<string, (far: Socket, twin: Socket) => Promise<void>>> = {
    "its peer shuts down receiving": (far) => far.shutdown("receive"),
    "another process shuts down its sending": (_far, twin) => twin.shutdown("send"),
  };
  for (const [what, shutDown] of Object.entries(shutdowns)) {
    suite.test(`sends of a unix socket ${name} end when ${what}`, async (trial) => {
      const io = await trial.open();
      const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
      await file.truncate(LARGE_BYTES);
      const large = new Uint8Array(LARGE_BYTES);
      for (const start of [
        (near: Socket) => near.sendAll(large),
        (near: Socket) => near.sendAll([large, "behind"]),
        (near: Socket) => near.sendFile(file),
      ]) {
        const [first, far] = io.socketPair();
        const second = await passed(io, first);
        const [near, twin] = shared ? [second, first] : [first, second];
        const sending = new Watched<unknown>(start(near));
        await roundTrips(io, 50);
        assert.is(sending.state, "pending", "there is no space for all of it");
        await shutDown(far, twin);
        await until(io, () => sending.state !== "pending", "the end of the send");
        assert.is(await failureCode(sending.promise), "EPIPE");
        await Promise.all([near.close(), twin.close(), far.close()]);
      }
    });
  }
}

function registerMessages(suite: Suite): void {
  const name = "a message that waits ends when its peer shuts down receiving";
  if (systemHere() === "macos") {
    suite.skip(name, "macOS has no sockets of messages");
    return;
  }
  suite.test(name, async (trial) => {
    const io = await trial.open();
    const place = { path: trial.path("messages"), type: "seqpacket" } as const;
    const listener = await io.listen(place);
    const [near, far] = await Promise.all([io.connect(place), listener.accept()]);
    const message = new Uint8Array(1000);
    let sending: Watched<number>;
    do {
      sending = new Watched(near.send(message));
      await roundTrips(io, 5);
    } while (sending.state === "resolved");
    await roundTrips(io, 50);
    assert.is(sending.state, "pending");
    await far.shutdown("receive");
    await until(io, () => sending.state !== "pending", "the end of the send");
    assert.is(await failureCode(sending.promise), "EPIPE");
  });
}

function register(suite: Suite, family: Family): void {
  for (const how of ["send", "both"] as const) {
    suite.test(
      `${family.name}: shutdown("${how}") ends sends that wait for space`,
      async (trial) => {
        const io = await trial.open();
        const large = new Uint8Array(LARGE_BYTES);
        for (let meeting = 0; meeting < MEETINGS; meeting++) {
          const [client, served] = await anotherPair(io, trial, family);
          const { ring } = io;
          const { descriptor } = served;
          const first = new Started((c, callback) => ring.send(c, callback, descriptor, large));
          const startSecond = () =>
            new Started((c, callback) => ring.send(c, callback, descriptor, large));
          // Beside each other in one batch, or after the first has found no more space.
          const early = meeting % 2 === 0 ? startSecond() : null;
          if (meeting % 4 > 1) await roundTrips(io, meeting);
          const shutdown = new Started((c, callback) =>
            ring.shutdown(c, callback, descriptor, how),
          );
          const second = early ?? startSecond();
          const all = [first, second, shutdown];
          await until(io, () => all.every(({ done }) => done), `the ends in meeting ${meeting}`);
          assert.is(shutdown.result, 0);
          for (const { result } of [first, second]) {
            assert.ok(result > 0 || result === negative("EPIPE"), `a send gave ${result}`);
          }
          await Promise.all([client.close(), served.close()]);
        }
      },
    );
  }

  suite.test(`${family.name}: shutdown("send") ends a sendFile that waits`, async (trial) => {
    const { io, served } = await connected(trial, family);
    const path = trial.path("large");
    writeFileSync(path, "");
    truncateSync(path, LARGE_BYTES);
    const file = await io.openFile(path, { read: true });
    const sending = new Watched(served.sendFile(file));
    await roundTrips(io, 50);
    assert.is(sending.state, "pending", "there is no space for all of it");
    const shutdown = served.shutdown("send");
    await until(io, () => sending.state !== "pending", "the end of the sendFile");
    assert.is(await failureCode(sending.promise), "EPIPE");
    await shutdown;
  });
}
