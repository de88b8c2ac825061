// Stream sockets and pipes at their edges: the ends of a waiting operation, and operations that are
// refused although others of their direction may wait.

import { execFileSync } from "node:child_process";
import { type Descriptor, type IO, OpenFlags } from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere } from "../../support/system.js";
import type { Suite, Trial } from "../support/harness.js";
import { connected, FAMILIES, type Family } from "../support/network.js";
import { negative, outcome, roundTrips, Started, success, until } from "../support/verbs.js";

const isLinux = !isBsdHere();

export function streamsOdd(suite: Suite): void {
  registerConnecting(suite);
  registerPipes(suite);
  for (const family of FAMILIES) {
    if (family.missing !== null) continue;
    registerShutdowns(suite, family);
    registerLeftover(suite, family);
  }
}

/** A TCP connect that waits, because the listener's backlog is full and no accept runs. */
async function connecting(trial: Trial): Promise<{ io: IO; socket: Descriptor; connect: Started }> {
  const io = await trial.open();
  const listener = await io.listen({ port: 0, backlog: 1 });
  const { address } = listener;
  for (let count = 0; count < 16; count++) {
    const socket = await success(io, (c, callback) => io.ring.socket(c, callback, "ipv4"));
    const connect = new Started((c, callback) => io.ring.connect(c, callback, socket, address));
    await roundTrips(io);
    if (!connect.done) return { io, socket, connect };
  }
  throw new Error("a backlog of 1 took 16 connections");
}

function registerConnecting(suite: Suite): void {
  registerFailedConnect(suite);
  if (!isLinux) {
    suite.skip("connecting", "a full backlog does not keep a connect waiting everywhere");
    return;
  }
  suite.test("a second connect of a socket that is connecting is refused", async (trial) => {
    const { io, socket, connect } = await connecting(trial);
    const address = { family: "ipv4", host: "127.0.0.1", port: 9 } as const;
    const second = await outcome(io, (c, callback) =>
      io.ring.connect(c, callback, socket, address),
    );
    assert.is(second, negative("EALREADY"));
    assert.is(connect.done, false);
  });

  suite.test("what waits on a socket that is connecting ends with its shutdown", async (trial) => {
    const { io, socket, connect } = await connecting(trial);
    const buffer = new Uint8Array(4);
    const started = [connect];
    // The kernel reports the error once. Behind io_uring it starts the connect again when another
    // operation got the error, and that connect may wait again.
    if (suite.backend !== "io_uring") {
      started.push(new Started((c, callback) => io.ring.receive(c, callback, socket, buffer)));
      started.push(new Started((c, callback) => io.ring.send(c, callback, socket, buffer)));
    }
    await roundTrips(io);
    const result = await outcome(io, (c, callback) =>
      io.ring.shutdown(c, callback, socket, "both"),
    );
    assert.is(result, 0);
    await until(io, () => started.every((one) => one.done), "all end");
    assert.is(connect.result, negative("ECONNRESET"));
  });
}

/** On Linux it can be tried again; the sockets of BSD are of no more use then. */
function registerFailedConnect(suite: Suite): void {
  const again = isLinux ? "can be tried again, and fails alike" : "fails for good";
  suite.test(`a connect that failed ${again}`, async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ port: 0 });
    const { address } = listener;
    await listener.close();
    const socket = await success(io, (c, callback) => io.ring.socket(c, callback, "ipv4"));
    for (let count = 0; count < 3; count++) {
      const result = await outcome(io, (c, callback) =>
        io.ring.connect(c, callback, socket, address),
      );
      const failed = result === negative("ECONNREFUSED");
      const isOver = !isLinux && count > 0 && result === negative("EINVAL");
      assert.ok(failed || isOver, `attempt ${count}: ${result}`);
    }
  });
}

function registerPipes(suite: Suite): void {
  suite.test(
    "a read of a FIFO waits for its first writer, and ends with the last",
    async (trial) => {
      const io = await trial.open();
      const path = trial.path("fifo");
      execFileSync("mkfifo", [path]);
      const open = (flags: number): Promise<Descriptor> =>
        success(io, (c, callback) => io.ring.open(c, callback, path, flags, 0));
      const reader = await open(OpenFlags.read);
      const read = (): Started =>
        new Started((c, callback) => io.ring.read(c, callback, reader, new Uint8Array(8), -1));
      const waiting = read();
      await roundTrips(io);
      assert.is(waiting.done, false, "it has had no writer yet");
      const socketsOnly = await outcome(io, (c, callback) => io.ring.accept(c, callback, reader));
      assert.is(socketsOnly, negative("ENOTSOCK"));
      const writer = await open(OpenFlags.write);
      const written = await outcome(io, (c, callback) =>
        io.ring.write(c, callback, writer, new Uint8Array(3), 5),
      );
      assert.is(written, 3, "a pipe takes no notice of the place");
      await until(io, () => waiting.done, "the read");
      assert.is(waiting.result, 3);
      const last = read();
      await success(io, (c, callback) => io.ring.close(c, callback, writer));
      await until(io, () => last.done, "the end");
      assert.is(last.result, 0);
    },
  );
}

function registerShutdowns(suite: Suite, family: Family): void {
  suite.test(`${family.name}: a send that waits ends when its side is shut down`, async (trial) => {
    const { io, client } = await connected(trial, family);
    const chunk = new Uint8Array(1024 * 1024);
    let send: Started;
    do {
      send = new Started((c, callback) => io.ring.send(c, callback, client.descriptor, chunk));
      await roundTrips(io);
    } while (send.done);
    await client.shutdown("send");
    await until(io, () => send.done, "the send");
    // The bytes that had space before, or nothing.
    assert.ok(send.result > 0 || send.result === negative("EPIPE"), `${send.result}`);
  });

  suite.test(`${family.name}: a socket has no other place than the current one`, async (trial) => {
    const { io, client, served } = await connected(trial, family);
    const buffer = new Uint8Array(4);
    for (const offset of [1, 4096]) {
      const result = await outcome(io, (c, callback) =>
        io.ring.read(c, callback, client.descriptor, buffer, offset),
      );
      assert.is(result, negative("ESPIPE"), `read at ${offset}`);
      const written = await outcome(io, (c, callback) =>
        io.ring.write(c, callback, client.descriptor, buffer, offset),
      );
      assert.is(written, negative("ESPIPE"), `write at ${offset}`);
    }
    const { descriptor } = client;
    const written = await outcome(io, (c, callback) =>
      io.ring.write(c, callback, descriptor, buffer, 0),
    );
    assert.is(written, 4);
    const read = await outcome(io, (c, callback) =>
      io.ring.read(c, callback, served.descriptor, buffer, -1),
    );
    assert.is(read, 4);
  });

  if (!isLinux) {
    suite.skip(`${family.name}: a listener that is shut down`, "BSD refuses to shut it down");
    return;
  }
  if (family.family === "vsock") return; // which refuses it as well
  suite.test(`${family.name}: accepts end when their listener is shut down`, async (trial) => {
    const io = await trial.open();
    const { descriptor } = await io.listen(family.listening(trial));
    const accept = (): Started =>
      new Started((c, callback) => io.ring.accept(c, callback, descriptor));
    const waiting = accept();
    await roundTrips(io);
    assert.is(waiting.done, false);
    const result = await outcome(io, (c, callback) =>
      io.ring.shutdown(c, callback, descriptor, "both"),
    );
    assert.is(result, 0);
    await until(io, () => waiting.done, "the accept that waited");
    assert.is(waiting.result, negative("EINVAL"));
    const late = accept();
    await until(io, () => late.done, "an accept afterwards");
    assert.is(late.result, negative("EINVAL"));
  });
}

/** An end or a reset is reported once, perhaps while there are bytes left. */
function registerLeftover(suite: Suite, family: Family): void {
  // On Linux, unread bytes at the other side make it reset.
  for (const resets of isLinux && family.family !== "vsock" ? [false, true] : [false]) {
    const how = resets ? "reset" : "end";
    suite.test(`${family.name}: bytes that are left come before the ${how}`, async (trial) => {
      const { io, client, served } = await connected(trial, family);
      const receive = (sizeBytes: number): Promise<number> =>
        outcome(io, (c, callback) =>
          io.ring.receive(c, callback, client.descriptor, new Uint8Array(sizeBytes)),
        );
      if (resets) await client.sendAll(new Uint8Array(3));
      await served.sendAll(new Uint8Array(5));
      await roundTrips(io);
      await served.close();
      await roundTrips(io);
      assert.equal([await receive(2), await receive(9)], [2, 3]);
      assert.is(await receive(9), resets ? negative("ECONNRESET") : 0);
    });
  }
}
