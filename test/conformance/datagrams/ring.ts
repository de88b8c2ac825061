// Datagrams by the verbs of the ring, in both modes.

import {
  Completion,
  type DatagramAddress,
  type Descriptor,
  type IO,
  SocketAddress,
} from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere } from "../../support/system.js";
import { text } from "../support/data.js";
import { connectedPair } from "../support/datagrams.js";
import { MODES, type Mode, type Suite } from "../support/harness.js";
import { unixAddress } from "../support/network.js";
import {
  negative,
  outcome,
  refusalCode,
  roundTrips,
  Started,
  success,
  until,
} from "../support/verbs.js";

export function datagramsRing(suite: Suite): void {
  registerPipeline(suite);
  for (const mode of MODES) {
    registerVerbs(suite, mode);
    registerPeers(suite, mode);
    registerCancel(suite, mode);
  }
  registerPeerText(suite);
}

/** Two bound unix sockets, whose addresses are known without asking the system. */
async function descriptors(io: IO): Promise<[Descriptor, DatagramAddress][]> {
  const pair: [Descriptor, DatagramAddress][] = [];
  for (let count = 0; count < 2; count++) {
    const address = unixAddress();
    const descriptor = await success(io, (c, callback) =>
      io.ring.socket(c, callback, "unix", "datagram"),
    );
    await success(io, (c, callback) => io.ring.bind(c, callback, descriptor, address));
    pair.push([descriptor, address]);
  }
  return pair;
}

function registerPipeline(suite: Suite): void {
  suite.test("a pipeline of UDP sends is few system calls, and keeps its order", async (trial) => {
    const { io, near, far } = await connectedPair(trial);
    const count = 64;
    const before = io.stats().systemCalls;
    const sends = Array.from(
      { length: count },
      (_, index) =>
        new Started((completion, callback) =>
          io.ring.send(completion, callback, near.descriptor, Uint8Array.of(index)),
        ),
    );
    await until(io, () => sends.every(({ done }) => done), "all are sent");
    const calls = io.stats().systemCalls - before;
    // Where there is only readiness each send is a call of its own.
    if (suite.backend === "io_uring") assert.ok(calls < 16, `${calls} system calls`);
    assert.ok(sends.every(({ result }) => result === 1));
    const buffer = new Uint8Array(4);
    for (let index = 0; index < count; index++) {
      assert.is((await far.receive(buffer)).byteLength, 1);
      assert.is(buffer[0], index);
    }
  });
}

function registerVerbs(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: the ring sends and receives messages`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const [[near, nearAddress], [far, farAddress]] = (await descriptors(io)) as [
      [Descriptor, DatagramAddress],
      [Descriptor, DatagramAddress],
    ];
    const buffer = new Uint8Array(16);
    const peer = new SocketAddress();
    const receive = (descriptor: Descriptor): Promise<number> =>
      outcome(io, (c, callback) => ring.receiveMessage(c, callback, descriptor, buffer, peer));
    const send = (data: Uint8Array | Uint8Array[], to: SocketAddress | null): Promise<number> =>
      outcome(io, (c, callback) => ring.sendMessage(c, callback, near, data, to));
    assert.is(await send(Buffer.from("abc"), SocketAddress.of(farAddress)), 3);
    assert.is(await receive(far), 3);
    assert.is(text(buffer, 3), "abc");
    assert.equal([peer.address, peer.truncated], [nearAddress, false]);
    // The record of a sender is a target as it is.
    assert.is(
      await outcome(io, (c, callback) =>
        ring.sendMessage(c, callback, far, [Buffer.from("de"), Buffer.from("f")], peer),
      ),
      3,
    );
    assert.is(await receive(near), 3);
    assert.equal([text(buffer, 3), peer.address], ["def", farAddress]);
    assert.is(await send(Buffer.from("x"), null), negative("ENOTCONN"));
    assert.is(await outcome(io, (c, cb) => ring.connect(c, cb, near, farAddress)), 0);
    assert.is(await send(Buffer.from("to what?"), null), 8);
    assert.is(await outcome(io, (c, cb) => ring.send(c, cb, near, Buffer.from("plain"))), 5);
    assert.is(await receive(far), 8);
    assert.is(await outcome(io, (c, cb) => ring.receive(c, cb, far, buffer)), 5);
    assert.is(await outcome(io, (c, cb) => ring.disconnect(c, cb, near)), 0);
    assert.is(await send(Buffer.from("x"), null), negative("ENOTCONN"));
    assert.is(await send(Buffer.from("there"), SocketAddress.of(farAddress)), 5);
    assert.is(await receive(far), 5);
    const stream = await success(io, (c, cb) => ring.socket(c, cb, "ipv4"));
    const refused = await outcome(io, (c, cb) => ring.disconnect(c, cb, stream));
    assert.is(refused, negative("EOPNOTSUPP"));
    assert.is(await outcome(io, (c, cb) => ring.close(c, cb, near)), 0);
    assert.is(await send(Buffer.from("x"), SocketAddress.of(farAddress)), negative("EBADF"));
    assert.is(await receive(near), negative("EBADF"));
  });
}

function registerPeers(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a peer belongs to one receive at a time`, async (trial) => {
    const io = await trial.open({ mode });
    const [[near], [far, farAddress]] = (await descriptors(io)) as [
      [Descriptor, DatagramAddress],
      [Descriptor, DatagramAddress],
    ];
    const peer = new SocketAddress();
    const buffer = new Uint8Array(16);
    const start = (c: Completion, callback: (c: Completion, result: number) => void): void =>
      io.ring.receiveMessage(c, callback, far, buffer, peer);
    const first = new Started(start);
    assert.is(
      refusalCode(() => start(new Completion(), () => undefined)),
      "ERR_IO_ADDRESS_ACTIVE",
    );
    const wrong = "x" as unknown as Uint8Array;
    assert.is(
      refusalCode(() =>
        io.ring.receiveMessage(new Completion(), () => undefined, far, wrong, new SocketAddress()),
      ),
      "ERR_INVALID_ARG_TYPE",
    );
    await success(io, (c, callback) =>
      io.ring.sendMessage(c, callback, near, Buffer.from("one"), SocketAddress.of(farAddress)),
    );
    await until(io, () => first.done, "the receive");
    assert.is(first.result, 3);
    const second = new Started(start);
    await success(io, (c, callback) =>
      io.ring.sendMessage(c, callback, near, Buffer.from("four"), SocketAddress.of(farAddress)),
    );
    await until(io, () => second.done, "the second receive");
    assert.is(second.result, 4);
  });
}

function registerCancel(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: receives of messages are cancelled, parked ones too`, async (trial) => {
    const io = await trial.open({ mode });
    const [[near]] = (await descriptors(io)) as [[Descriptor, DatagramAddress]];
    const receives = Array.from(
      { length: 3 },
      () =>
        new Started((c, callback) =>
          io.ring.receiveMessage(c, callback, near, new Uint8Array(4), new SocketAddress()),
        ),
    );
    await roundTrips(io, 3);
    const [first, second, third] = receives as [Started, Started, Started];
    assert.is(await outcome(io, (c, cb) => io.ring.cancel(c, cb, second.completion)), 0);
    await until(io, () => second.done, "the parked one");
    assert.is(second.result, negative("ECANCELED"));
    assert.is(await outcome(io, (c, cb) => io.ring.cancelDescriptor(c, cb, near)), 2);
    await until(io, () => first.done && third.done, "the others");
    assert.equal([first.result, third.result], [negative("ECANCELED"), negative("ECANCELED")]);
  });
}

function registerPeerText(suite: Suite): void {
  suite.test("a peer says the address that it was given", async () => {
    const addresses: DatagramAddress[] = [
      { family: "ipv4", host: "127.0.0.1", port: 1 },
      { family: "ipv4", host: "255.0.10.99", port: 65_535 },
      { family: "ipv6", host: "::", port: 80 },
      { family: "ipv6", host: "2001:db8::ff00:42:8329", port: 443 },
      { family: "unix", path: "/tmp/a socket" },
      { family: "unix", path: `/${"x".repeat(100)}` },
    ];
    if (!isBsdHere()) {
      addresses.push({ family: "unix", path: "\0an abstract name" });
    }
    for (const address of addresses) assert.equal(SocketAddress.of(address).address, address);
    assert.is(new SocketAddress().address, null);
    const peer = SocketAddress.of(addresses[0] as DatagramAddress);
    for (const wrong of ["127.0.0", "localhost", "::1", ""]) {
      const call = (): void => peer.set({ family: "ipv4", host: wrong, port: 1 });
      assert.is(refusalCode(call), "ERR_INVALID_ARG_VALUE", wrong);
    }
    assert.equal(peer.address, addresses[0], "what was refused changed nothing");
  });
}
