// Descriptors that go over unix sockets.

import { closeSync, openSync, readdirSync, writeFileSync } from "node:fs";
import {
  type Descriptor,
  MessageControl,
  type Passable,
  type ReceivedDescriptor,
  type Socket,
} from "@io/core";
import * as assert from "uvu/assert";
import { text } from "../support/data.js";
import { MODES, type Mode, type Suite } from "../support/harness.js";
import { connected, targetOf } from "../support/network.js";
import {
  failure,
  failureCode,
  negative,
  outcome,
  roundTrips,
  Started,
  success,
  until,
} from "../support/verbs.js";

type Passed = ReceivedDescriptor;

// SO_SNDTIMEO
const SEND_TIMEOUT = process.platform === "linux" ? 21 : 0x1005;

export function descriptorsPassing(suite: Suite): void {
  registerPassing(suite);
  registerUnasked(suite);
  registerMistakes(suite);
  registerOwner(suite);
  for (const mode of MODES) registerRing(suite, mode);
}

async function receivedText(socket: Socket): Promise<string> {
  const bytes = new Uint8Array(64);
  return text(bytes, await socket.receive(bytes));
}

function registerPassing(suite: Suite): void {
  suite.test("files, sockets and listeners are passed, and open on both sides", async (trial) => {
    const { io, client, served } = await connected(trial);
    writeFileSync(trial.path(), "content");
    const file = await io.openFile(trial.path());
    const listener = await io.listen({ port: 0 });
    const [near, far] = io.socketPair();
    const waiting = far.receiveDescriptors(new Uint8Array(16));
    await roundTrips(io, 2);
    assert.is(await near.sendDescriptors("three", [file, served, listener]), 5);
    const { byteLength, descriptors, truncated } = await waiting;
    assert.equal([byteLength, truncated], [5, false]);
    assert.equal(
      descriptors.map(({ kind }) => kind),
      ["file", "socket", "listener"],
    );
    const [one, two, three] = descriptors as [Passed, Passed, Passed];
    const bytes = new Uint8Array(7);
    await io.adopt(one, "file").readFull(bytes, 0);
    assert.is(text(bytes, 7), "content");
    await io.adopt(two, "socket").sendAll("by the other");
    assert.is(await receivedText(client), "by the other");
    const again = io.adopt(three, "listener");
    const connecting = io.connect(targetOf(listener.address));
    const either = [again, listener].map((one) => one.accept().catch(() => undefined));
    await Promise.race(either);
    await (await connecting).close();
    await file.readFull(bytes, 0);
  });

  suite.test(
    "sends of a passed socket wait without a limit, for all that have it",
    async (trial) => {
      const { io, client, served } = await connected(trial);
      const limitOf = (socket: Socket): number[] => [
        ...socket.getOption("SOL_SOCKET", SEND_TIMEOUT, 16),
      ];
      const none = limitOf(client).fill(0);
      await served.sendAll("before");
      const [near, far] = io.socketPair();
      await near.sendDescriptors("x", [served]);
      const { descriptors } = await far.receiveDescriptors(new Uint8Array(1));
      const passed = io.adopt(descriptors[0] as Passed, "socket");
      assert.equal(limitOf(passed), none);
      for (const socket of [served, passed]) {
        await socket.sendAll("after");
        assert.equal(limitOf(socket), none);
      }
      const sent = "beforeafterafter";
      const bytes = new Uint8Array(sent.length);
      await client.receiveFull(bytes);
      assert.is(text(bytes, sent.length), sent);
    },
  );

  suite.test("datagrams pass descriptors too, and numbers of the system", async (trial) => {
    const io = await trial.open();
    const [near, far] = io.socketPair("datagram");
    writeFileSync(trial.path(), "content");
    const fd = openSync(trial.path(), "r");
    const sending = near.sendDescriptors("x", [fd]);
    closeSync(fd); // the number counts as it was at the call
    await sending;
    const { descriptors } = await far.receiveDescriptors(new Uint8Array(16));
    const bytes = new Uint8Array(7);
    const [first] = descriptors as [Passed];
    await io.adopt(first, "file").readFull(bytes, 0);
    assert.is(text(bytes, 7), "content");
  });

  suite.test("a receive of descriptors takes bytes that have none", async (trial) => {
    const io = await trial.open();
    const [near, far] = io.socketPair();
    await near.sendAll("plain");
    const { byteLength, descriptors } = await far.receiveDescriptors(new Uint8Array(16));
    assert.equal([byteLength, descriptors.length], [5, 0]);
    await near.close();
    assert.is((await far.receiveDescriptors(new Uint8Array(16))).byteLength, 0);
  });
}

function registerUnasked(suite: Suite): void {
  suite.test("descriptors that a message brings unasked are closed", async (trial) => {
    const io = await trial.open();
    const [near, far] = io.socketPair("datagram");
    const file = await io.openFile("/dev/null");
    const before = readdirSync("/dev/fd").length;
    for (let round = 0; round < 4; round++) {
      await near.sendDescriptors("x", Array<typeof file>(50).fill(file));
      assert.is((await far.receiveMessage(new Uint8Array(8))).byteLength, 1);
    }
    await until(io, () => readdirSync("/dev/fd").length <= before, "they are closed");
  });

  suite.test("a number beyond all descriptors names no other one", async (trial) => {
    const io = await trial.open();
    const [near] = io.socketPair("stream");
    const code = await failureCode(near.sendDescriptors("x", [2 ** 32 + 1]));
    assert.is(code, "ERR_INVALID_ARG_TYPE");
  });
}

function registerMistakes(suite: Suite): void {
  suite.test("mistakes are refused, and nothing stays open", async (trial) => {
    const { io, client } = await connected(trial);
    const [near] = io.socketPair();
    const before = io.stats().descriptors;
    const send = (list: unknown): Promise<string> =>
      failureCode(near.sendDescriptors("x", list as Passable[]));
    assert.is(await send([]), "ERR_OUT_OF_RANGE");
    assert.is(await send(Array.from({ length: 254 }, () => 0)), "ERR_OUT_OF_RANGE");
    assert.is(await send([{}]), "ERR_INVALID_ARG_TYPE");
    assert.is(await send(["0"]), "ERR_INVALID_ARG_TYPE");
    assert.is(await send([-1]), "ERR_INVALID_ARG_TYPE");
    assert.is(await send([0, 0x7fffffff]), "EBADF");
    const absent = await failure(near.sendDescriptors("x", [0x7fffffff]));
    assert.match(absent.message, "no descriptor of this process has that number");
    const closed = await io.openFile(trial.path(), { write: true, create: true });
    await closed.close();
    assert.is(await send([closed]), "EBADF");
    const tcp = await failure(client.sendDescriptors("x", [0]));
    assert.is(tcp.code, "EINVAL");
    assert.match(tcp.message, "unix sockets");
    await roundTrips(io, 3);
    assert.is(io.stats().descriptors, before);
  });

  suite.test("a descriptor that is a getter is asked for once", async (trial) => {
    const io = await trial.open();
    const [near, far] = io.socketPair();
    for (const second of [1n, Symbol("none"), "1", -1]) {
      const answers: unknown[] = [far.descriptor, second];
      const changing = {
        get descriptor(): unknown {
          return answers.shift();
        },
      };
      const sent = near.sendDescriptors("x", [changing as Passable]);
      assert.is(await sent, 1);
      const { descriptors } = await far.receiveDescriptors(new Uint8Array(1));
      assert.is(descriptors.length, 1);
      for (const one of descriptors) await one.close();
    }
  });

  suite.test(
    "descriptors without a byte are passed as a message, and by no stream",
    async (trial) => {
      const io = await trial.open();
      const [near, far] = io.socketPair("datagram");
      assert.is(await near.sendDescriptors("", [far]), 0);
      const { byteLength, descriptors } = await far.receiveDescriptors(new Uint8Array(1));
      assert.equal([byteLength, descriptors.length], [0, 1]);
      for (const one of descriptors) await one.close();
      const before = io.stats().descriptors;
      const [here, there] = io.socketPair();
      const error = await failure(here.sendDescriptors(new Uint8Array(0), [near, 0]));
      assert.is(error.code, "ERR_INVALID_ARG_VALUE");
      assert.match(error.message, "give one at least");
      await Promise.all([here.close(), there.close()]);
      assert.is(io.stats().descriptors, before);
    },
  );
}

function registerOwner(suite: Suite): void {
  suite.test("what one IO has received is not adopted by another", async (trial) => {
    const [io, other] = [await trial.open(), await trial.open()];
    const [near, far] = io.socketPair();
    const file = await io.openFile(trial.path(), { write: true, create: true });
    await near.sendDescriptors("x", [file]);
    const { descriptors } = await far.receiveDescriptors(new Uint8Array(1));
    const [passed] = descriptors as [Passed];
    assert.throws(() => other.adopt(passed, "file"), /another IO/);
    // It is still there for its own.
    await io.adopt(passed, "file").close();
  });

  suite.test("what is passed and not wanted is closed", async (trial) => {
    const io = await trial.open();
    const [near, far] = io.socketPair();
    const file = await io.openFile(trial.path(), { write: true, create: true });
    const before = io.stats().descriptors;
    await near.sendDescriptors("a", [file, file]);
    const { descriptors } = await far.receiveDescriptors(new Uint8Array(1));
    assert.is(io.stats().descriptors, before + 2);
    await Promise.all(descriptors.map((one) => one.close()));
    assert.is(io.stats().descriptors, before);
    assert.throws(() => io.adopt(descriptors[0] as Passed, "file"), /closed/);
    // A plain receive takes the bytes alone.
    await near.sendDescriptors("b", [file]);
    assert.is(await receivedText(far), "b");
    assert.is(io.stats().descriptors, before);
  });

  suite.test("a passed descriptor may be closed while its send waits for space", async (trial) => {
    const io = await trial.open();
    const [near, far] = io.socketPair();
    const size = 4 * 1024 * 1024;
    const filling = near.sendAll(new Uint8Array(size));
    const file = await io.openFile(trial.path(), { write: true, create: true });
    await file.writeAll("content", 0);
    await roundTrips(io, 3);
    const sending = near.sendDescriptors("x", [file]);
    await roundTrips(io, 3);
    await file.close();
    // Its number is another file's now.
    const other = await io.openFile(trial.path("other"), { write: true, create: true });
    let passed: Passed | undefined;
    for (let left = size + 1; left > 0; ) {
      const bytes = new Uint8Array(64 * 1024);
      const { byteLength, descriptors } = await far.receiveDescriptors(bytes);
      left -= byteLength;
      passed ??= descriptors[0];
    }
    await Promise.all([filling, sending]);
    assert.is((await io.adopt(passed as Passed, "file").stat()).size, 7);
    await other.close();
  });
}

function registerRing(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: the ring passes descriptors`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const [near, far] = io.socketPair();
    const [one, two] = [near.descriptor, far.descriptor];
    const sent = new MessageControl();
    sent.descriptors = [one, two];
    const received = new MessageControl();
    const buffer = new Uint8Array(8);
    const receiving = new Started((c, cb) => ring.receiveControl(c, cb, two, buffer, received));
    const views = [Buffer.from("ab"), Buffer.from("c")];
    assert.is(await outcome(io, (c, cb) => ring.sendControl(c, cb, one, views, sent)), 3);
    await until(io, () => receiving.done, "the receive");
    assert.is(receiving.result, 3);
    assert.is(text(buffer, 3), "abc");
    assert.equal([received.descriptors.length, received.controlTruncated], [2, false]);
    const [again] = received.descriptors as [Descriptor];
    assert.is(await outcome(io, (c, cb) => ring.send(c, cb, again, Buffer.from("d"))), 1);
    assert.is(await outcome(io, (c, cb) => ring.receive(c, cb, two, buffer)), 1);
    sent.descriptors = [-1];
    const wrong = await outcome(io, (c, cb) => ring.sendControl(c, cb, one, buffer, sent));
    assert.is(wrong, negative("EBADF"));
    for (const descriptor of received.descriptors) {
      await success(io, (c, cb) => ring.close(c, cb, descriptor));
    }
    received.clear();
    assert.equal(received.descriptors, []);
  });
}
