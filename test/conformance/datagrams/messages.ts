// What the kernel says of datagrams, and many of them in one call.

import { readFileSync } from "node:fs";
import type { DatagramSocket, DatagramSocketOptions, IO } from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import { text } from "../support/data.js";
import type { Suite, Trial } from "../support/harness.js";
import { failure, failureCode, refusalCode } from "../support/verbs.js";

const IP_MULTICAST_IF = 32; // of Linux; it takes the address of the interface

interface Sockets {
  readonly io: IO;
  readonly near: DatagramSocket;
  readonly far: DatagramSocket;
  readonly port: number;
}

async function pair(
  trial: Trial,
  host: string,
  options: DatagramSocketOptions = {},
): Promise<Sockets> {
  const io = await trial.open();
  const far = await io.openDatagram({ host, port: 0, ...options });
  const near = await io.openDatagram({ host, port: 0 });
  await near.connect({ host, port: far.localAddress.port });
  return { io, near, far, port: far.localAddress.port };
}

export function datagramsMessages(suite: Suite): void {
  registerInfo(suite);
  registerMany(suite);
  registerSegments(suite);
  registerGroups(suite);
}

function registerInfo(suite: Suite): void {
  suite.test("what was not asked for is not said", async (trial) => {
    const { near, far } = await pair(trial, "127.0.0.1");
    await near.send("plain");
    const bytes = new Uint8Array(16);
    const { byteLength, address, truncated, ...rest } = await far.receiveMessage(bytes);
    assert.equal([text(bytes, byteLength), truncated], ["plain", false]);
    assert.equal(address, near.localAddress);
    assert.equal(Object.values(rest), [null, null, null, null, null, null, null]);
    await near.send("too long");
    assert.is((await far.receiveMessage(new Uint8Array(3))).truncated, true);
    assert.is(await failureCode(far.receiveMessage(bytes, { timeoutMs: 1 })), "ETIMEDOUT");
  });

  const options = { receivePacketInfo: true, receiveTtl: true, receiveTimestamps: true };
  for (const host of ["127.0.0.1", "::1"]) {
    if (process.platform !== "linux") {
      suite.skip(`${host}: the kernel says more`, "other systems say each of it differently");
      continue;
    }
    suite.test(`${host}: the kernel says where and when it came, and how`, async (trial) => {
      const asked = { ...options, receiveTos: true, receiveDrops: true };
      const { near, far } = await pair(trial, host, asked);
      const before = Date.now();
      await near.sendMany([Buffer.from("x")], null, { tos: 0x2e, ttl: 33 });
      const message = await far.receiveMessage(new Uint8Array(16));
      assert.is(message.localAddress?.host, host);
      assert.ok((message.interfaceIndex ?? 0) > 0);
      assert.equal([message.tos, message.ttl], [0x2e, 33]);
      const cameMs = message.timestampMs ?? 0;
      assert.ok(cameMs >= before - 1000 && cameMs <= Date.now() + 1000, `${cameMs}`);
      assert.ok(message.drops === null || message.drops === 0);
      assert.is(message.segmentBytes, null);
    });
  }
}

function registerMany(suite: Suite): void {
  suite.test("many datagrams are sent in one call, each as it is", async (trial) => {
    const { io, near, far, port } = await pair(trial, "127.0.0.1");
    far.setOptions({ receiveBufferBytes: 1024 * 1024 });
    const messages = Array.from({ length: 100 }, (_, index) =>
      Buffer.alloc(index % 10 === 9 ? 3 : 100, index),
    );
    messages.push(Buffer.alloc(0), Buffer.alloc(2000, 101));
    assert.is(await near.sendMany(messages), messages.length);
    const other = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    assert.is(await other.sendMany([Buffer.from("there")], { host: "127.0.0.1", port }), 1);
    const bytes = new Uint8Array(4096);
    for (const message of messages) {
      const { byteLength } = await far.receive(bytes);
      assert.equal([...bytes.subarray(0, byteLength)], [...message]);
    }
    assert.is((await far.receive(bytes)).byteLength, 5);
  });

  suite.test("datagrams that are longer than the path takes are sent one by one", async (trial) => {
    const { near, far } = await pair(trial, "127.0.0.1");
    far.setOptions({ receiveBufferBytes: 4 * 1024 * 1024 });
    near.setOptions({ sendBufferBytes: 128 * 1024 }); // OpenBSD has 9,216 B
    const long = Buffer.alloc(30_000, 7);
    assert.is(await near.sendMany([long, long]), 2);
    const bytes = new Uint8Array(65_536);
    for (let count = 0; count < 2; count++) {
      assert.is((await far.receive(bytes)).byteLength, long.byteLength);
    }
    assert.is(await failureCode(near.sendMany([Buffer.alloc(70_000)])), "EMSGSIZE");
  });

  suite.test("memory of a failed batch is the caller's when it is rejected", async (trial) => {
    const io = await trial.open({ inFlightLimit: 300 });
    const [near, far] = io.socketPair("datagram");
    const messages = Array.from({ length: 600 }, () => Buffer.from("mine"));
    assert.is(await failureCode(near.sendMany(messages)), "ERR_IO_IN_FLIGHT_LIMIT");
    for (const message of messages) message.write("ELSE");
    const bytes = new Uint8Array(8);
    for (;;) {
      const received = await far.receive(bytes, { timeoutMs: 50 }).catch(() => null);
      if (received === null) break;
      assert.is(text(bytes, received.byteLength), "mine");
    }
  });

  suite.test("unix datagrams are sent in one call too", async (trial) => {
    const io = await trial.open();
    const [near, far] = io.socketPair("datagram");
    assert.is(await near.sendMany(["a", "bb"].map((one) => Buffer.from(one))), 2);
    assert.is((await far.receive(new Uint8Array(8))).byteLength, 1);
    assert.is((await far.receiveMessage(new Uint8Array(8))).byteLength, 2);
    // What every send takes.
    assert.is(await near.sendMany(["words", new Uint8Array(3).buffer, ""]), 3);
    const bytes = new Uint8Array(8);
    assert.is(text(bytes, (await far.receive(bytes)).byteLength), "words");
    assert.is((await far.receive(bytes)).byteLength, 3);
    assert.is((await far.receive(bytes)).byteLength, 0);
    const sparse: Uint8Array[] = new Array(1);
    assert.match(
      (await failure(near.sendMany(sparse))).message,
      /^sendMany: the data is undefined/,
    );
  });
}

function registerGroups(suite: Suite): void {
  const name = "a socket receives from the groups that it has joined";
  if (process.platform !== "linux") {
    suite.skip(name, "the test needs the number of the loopback interface, as Linux has it");
    return;
  }
  suite.test(name, async (trial) => {
    const io = await trial.open();
    const interfaceIndex = Number(readFileSync("/sys/class/net/lo/ifindex", "utf8"));
    const group = "239.1.2.3";
    const far = await io.openDatagram({ host: "0.0.0.0", port: 0 });
    const near = await io.openDatagram({ host: "127.0.0.1", port: 0, multicastTtl: 0 });
    near.setOption("IPPROTO_IP", IP_MULTICAST_IF, Uint8Array.of(127, 0, 0, 1));
    const target = { host: group, port: far.localAddress.port };
    far.joinGroup(group, { interfaceIndex });
    assert.is(
      refusalCode(() => far.joinGroup(group, { interfaceIndex })),
      "EADDRINUSE",
    );
    await near.sendTo("joined", target);
    assert.is((await far.receive(new Uint8Array(16))).byteLength, 6);
    far.leaveGroup(group, { interfaceIndex });
    assert.is(
      refusalCode(() => far.leaveGroup(group, { interfaceIndex })),
      "EADDRNOTAVAIL",
    );
    far.joinGroup(group, { interfaceIndex, source: "127.0.0.1" });
    await near.sendTo("from it", target);
    assert.is((await far.receive(new Uint8Array(16))).byteLength, 7);
    far.leaveGroup(group, { interfaceIndex, source: "127.0.0.1" });
    assert.is(
      refusalCode(() => far.joinGroup("127.0.0.1")),
      "EINVAL",
    );
    assert.throws(
      () => far.joinGroup("127.0.0.1"),
      /^joinGroup of '127\.0\.0\.1' failed .*no multicast group/,
    );
    assert.throws(() => far.joinGroup("ff02::fb"), /of another family than the socket/);
    assert.is(
      refusalCode(() => far.joinGroup("a.name")),
      "ERR_INVALID_ARG_VALUE",
    );
  });
}

function registerSegments(suite: Suite): void {
  const name = "datagrams that the kernel has joined are one receive";
  if (systemHere() !== "linux") {
    suite.skip(name, "only Linux joins them");
    return;
  }
  suite.test(name, async (trial) => {
    const { near, far } = await pair(trial, "127.0.0.1", { receiveSegments: true });
    const messages = Array.from({ length: 20 }, (_, index) => Buffer.alloc(1000, index));
    messages.push(Buffer.alloc(10, 20));
    await near.sendMany(messages);
    const bytes = new Uint8Array(65_536);
    const { byteLength, segmentBytes } = await far.receiveMessage(bytes);
    assert.equal([byteLength, segmentBytes], [20_010, 1000]);
    assert.equal(bytes.subarray(19_999, 20_001), Uint8Array.of(19, 20));
    await near.send("alone");
    assert.is((await far.receiveMessage(bytes)).byteLength, 5);
  });
}
