// Errors of datagram sockets, and their end.

import type { DatagramSocket, InternetAddress } from "@io/core";
import * as assert from "uvu/assert";
import { boundPair, connectedPair } from "../support/datagrams.js";
import type { Suite } from "../support/harness.js";
import { unixAddress } from "../support/network.js";
import {
  assertSystemError,
  failure,
  failureCode,
  refusalCode,
  roundTrips,
  success,
} from "../support/verbs.js";

export function datagramsErrors(suite: Suite): void {
  registerNobody(suite);
  registerUnconnected(suite);
  registerArguments(suite);
  registerEnding(suite);
}

function registerNobody(suite: Suite): void {
  suite.test("no receiver: a connected UDP socket gets the error", async (trial) => {
    const { near, far } = await connectedPair(trial);
    const at = far.localAddress;
    await far.close();
    const buffer = new Uint8Array(4);
    const waiting = failure(near.receive(buffer));
    await near.send(Buffer.from("anybody?"));
    const error = await waiting;
    assertSystemError(error, {
      code: "ECONNREFUSED",
      syscall: "recvmsg",
      operation: "receiveMessage",
      at,
    });
    // Reported once; the socket goes on.
    assert.is(await near.send(Buffer.from("again?")), 6);
    assert.is(await failureCode(near.send(Buffer.from("and now?"))), "ECONNREFUSED");
  });

  suite.test("no receiver: an unconnected UDP socket does not", async (trial) => {
    const { io, near, far } = await boundPair(trial);
    const target = far.localAddress;
    await far.close();
    for (let round = 0; round < 3; round++) {
      assert.is(await near.sendTo(Buffer.from("x"), target!), 1);
      await roundTrips(io, 2);
    }
  });

  suite.test("no receiver: a unix socket gets the error at once", async (trial) => {
    const { io } = await boundPair(trial);
    const open = await io.openDatagram({ family: "unix" });
    const missing = open.sendTo(Buffer.from("x"), { path: trial.path("nobody") });
    assert.is(await failureCode(missing), "ENOENT");
    // A socket that the ring binds leaves its file.
    const address = unixAddress(trial);
    const gone = await success(io, (c, callback) =>
      io.ring.socket(c, callback, "unix", "datagram"),
    );
    await success(io, (c, callback) => io.ring.bind(c, callback, gone, address));
    await success(io, (c, callback) => io.ring.close(c, callback, gone));
    const refused = open.sendTo(Buffer.from("x"), { path: address.path as string });
    assert.is(await failureCode(refused), "ECONNREFUSED");
  });
}

function registerUnconnected(suite: Suite): void {
  suite.test("a send without an address needs a connection", async (trial) => {
    const { io, near } = await boundPair(trial);
    const data = Buffer.from("x");
    assert.is(await failureCode(near.send(data)), "EDESTADDRREQ");
    assert.is(await failureCode(near.sendVectored([data, data])), "EDESTADDRREQ");
    const unix = await io.openDatagram({ path: unixAddress(trial).path as string });
    assert.is(await failureCode(unix.send(data)), "ENOTCONN");
    assert.is(unix.remoteAddress, null);
  });

  suite.test("an address that is taken", async (trial) => {
    const { io, near } = await boundPair(trial);
    const before = io.stats().descriptors;
    const { host, port } = near.localAddress as InternetAddress;
    const error = await failure(io.openDatagram({ host, port }));
    const at = near.localAddress;
    assertSystemError(error, { code: "EADDRINUSE", syscall: "bind", operation: "bind", at });
    assert.is(io.stats().descriptors, before, "the socket is closed again");
    const shared = await io.openDatagram({ host, port: 0, reusePort: true });
    const again = await io.openDatagram({
      host,
      port: shared.localAddress.port,
      reusePort: true,
    });
    assert.is(again.localAddress.port, shared.localAddress.port);
  });
}

function registerArguments(suite: Suite): void {
  suite.test("targets and options that are none", async (trial) => {
    const { io, near, far } = await boundPair(trial);
    const data = Buffer.from("x");
    const wrong = [
      [{ host: "localhost", port: 1 }, "ERR_INVALID_ARG_VALUE"],
      [{ host: "1.2.3.4.5", port: 1 }, "ERR_INVALID_ARG_VALUE"],
      [{ host: "127.0.0.1", port: 65_536 }, "ERR_OUT_OF_RANGE"],
      [{ host: "127.0.0.1", port: -1 }, "ERR_OUT_OF_RANGE"],
      [{ host: "", port: 1 }, "ERR_INVALID_ARG_TYPE"],
      [{ path: "" }, "ERR_INVALID_ARG_TYPE"],
      [{ path: "x".repeat(200) }, "ERR_INVALID_ARG_VALUE"],
    ] as const;
    for (const [target, code] of wrong) {
      assert.is(await failureCode(near.sendTo(data, target)), code, JSON.stringify(target));
    }
    const none = 7 as unknown as Uint8Array;
    assert.is(await failureCode(near.sendTo(none, far.localAddress!)), "ERR_INVALID_ARG_TYPE");
    assert.is(await failureCode(near.receive(none)), "ERR_INVALID_ARG_TYPE");
    const nothing = {} as { family: "ipv4" };
    assert.is(await failureCode(io.openDatagram(nothing)), "ERR_INVALID_ARG_TYPE");
    near.setOptions({ broadcast: true, receiveBufferBytes: 65_536 });
    // The refused call changed nothing, and held nothing.
    assert.is(await near.sendTo(data, far.localAddress!), 1);
    assert.is((await far.receive(new Uint8Array(4))).byteLength, 1);
    assert.is(io.stats().inFlight, 0);
  });

  suite.test("broadcasting must be allowed first", async (trial) => {
    const { io } = await boundPair(trial);
    const open = await io.openDatagram({ family: "ipv4" });
    const everybody = { host: "127.255.255.255", port: 9 };
    const refused = [
      await failure(open.sendTo(Buffer.from("x"), everybody)),
      await failure(open.sendMany([Buffer.from("x")], everybody)),
    ];
    for (const { code, message } of refused) {
      assert.is(code, "EACCES");
      assert.match(message, /broadcast: true/);
    }
    open.setOptions({ broadcast: true });
    assert.is(await open.sendTo(Buffer.from("x"), everybody), 1);
  });
}

async function checkRefused(socket: DatagramSocket): Promise<void> {
  const data = new Uint8Array(4);
  const target = { host: "127.0.0.1", port: 9 };
  const promises = [
    socket.receive(data),
    socket.peek(data),
    socket.send(data),
    socket.sendVectored([data]),
    socket.sendTo(data, target),
    socket.bind(target),
    socket.connect(target),
  ];
  for (const promise of promises) assert.is(await failureCode(promise), "ERR_IO_CLOSED");
  assert.is(
    refusalCode(() => socket.setOptions({})),
    "ERR_IO_CLOSED",
  );
}

function registerEnding(suite: Suite): void {
  suite.test("close ends what waits, and refuses the rest", async (trial) => {
    const { io, near } = await boundPair(trial);
    const buffer = new Uint8Array(8).fill(9);
    const pending = [near.receive(buffer), near.peek(buffer)].map(failureCode);
    await roundTrips(io, 3);
    const closing = near.close();
    assert.is(near.close(), closing, "closing again is the same promise");
    await checkRefused(near);
    await closing;
    assert.equal(await Promise.all(pending), ["ECANCELED", "ECANCELED"]);
    await checkRefused(near);
    assert.ok(buffer.every((byte) => byte === 9));
    assert.is(io.stats().inFlight, 0);
  });

  suite.test("a receive ends by its time limit or its signal", async (trial) => {
    const { io, near, far } = await boundPair(trial);
    const buffer = new Uint8Array(8);
    assert.is(await failureCode(near.receive(buffer, { timeoutMs: 5 })), "ETIMEDOUT");
    const controller = new AbortController();
    const receiving = failureCode(near.receive(buffer, { signal: controller.signal }));
    await roundTrips(io, 3);
    controller.abort();
    assert.is(await receiving, "ABORT_ERR");
    await far.sendTo(Buffer.from("late"), near.localAddress!);
    assert.is((await near.receive(buffer, { timeoutMs: 10_000 })).byteLength, 4);
  });
}
