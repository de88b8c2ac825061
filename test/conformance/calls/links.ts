// What a chain may consist of: any verb, hard links, and a descriptor of its own.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type Address, type IO, OpenFlags, StatRecord } from "@io/core";
import * as assert from "uvu/assert";
import { runChildTool } from "../support/children.js";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { pairOfDescriptors } from "../support/network.js";
import {
  idle,
  negative,
  outcome,
  roundTrips,
  type Start,
  Started,
  startChain,
  success,
  turn,
  until,
} from "../support/verbs.js";

export function links(suite: Suite): void {
  for (const mode of MODES) {
    registerCloses(suite, mode);
    registerEngineVerbs(suite, mode);
    registerMultishot(suite, mode);
    registerHard(suite, mode);
    registerHeld(suite, mode);
    registerDescriptor(suite, mode);
    registerDescriptorFailures(suite, mode);
    registerDescriptorRefused(suite, mode);
    registerSecondDescriptor(suite, mode);
    registerSecondDirectory(suite, mode);
    registerLimits(suite, mode);
    registerLimitsOfOthers(suite, mode);
    registerEndings(suite, mode);
  }
}

const CANCELED = negative("ECANCELED");

type Link = boolean | "hard";
type Member = [link: Link, start: Start];

function start(members: readonly Member[]): Started[] {
  return members.map(([link, begin]) => new Started(begin, { link }));
}

async function allDone(io: IO, members: readonly Started[]): Promise<number[]> {
  await until(io, () => members.every((member) => member.done), "the members of a chain");
  return members.map((member) => member.result);
}

function run(io: IO, ...members: Member[]): Promise<number[]> {
  return allDone(io, start(members));
}

function openFor(io: IO, path: string, flags: number): Promise<number> {
  return success(io, (c, done) => io.ring.open(c, done, path, flags | OpenFlags.create, 0o600));
}

/** The descriptors of the IO: none of a chain may stay behind. */
function descriptors(io: IO): number {
  return io.stats().descriptors;
}

function registerCloses(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a write, its sync and the close are one chain`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const before = descriptors(io);
    const file = await openFor(io, trial.path("draft"), OpenFlags.write);
    const results = await run(
      io,
      [true, (c, done) => ring.write(c, done, file, Buffer.from("all"), 0)],
      [true, (c, done) => ring.sync(c, done, file, "data")],
      [true, (c, done) => ring.close(c, done, file)],
      [false, (c, done) => ring.rename(c, done, trial.path("draft"), trial.path("file"))],
    );
    assert.equal(results, [3, 0, 0, 0]);
    assert.is(readFileSync(trial.path("file"), "latin1"), "all");
    assert.is(descriptors(io), before);
    const late = await outcome(io, (c, done) => ring.sync(c, done, file, "data"));
    assert.is(late, negative("EBADF"));
  });

  suite.test(`${mode}: what stands behind a close finds its file closed`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const file = await openFor(io, trial.path(), OpenFlags.write);
    const results = await run(
      io,
      [true, (c, done) => ring.write(c, done, file, Buffer.from("a"), 0)],
      [true, (c, done) => ring.close(c, done, file)],
      [true, (c, done) => ring.write(c, done, file, Buffer.from("b"), 0)],
      [false, (c, done) => ring.nop(c, done)],
    );
    assert.equal(results, [1, 0, negative("EBADF"), CANCELED]);
    assert.is(readFileSync(trial.path(), "latin1"), "a");
  });

  suite.test(`${mode}: a close of a chain whose file was closed meanwhile`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const { near } = await pairOfDescriptors(io);
    const file = await openFor(io, trial.path(), OpenFlags.write);
    const members = start([
      [true, (c, done) => ring.receive(c, done, near, new Uint8Array(4))],
      [true, (c, done) => ring.close(c, done, file)],
      [false, (c, done) => ring.nop(c, done)],
    ]);
    await roundTrips(io, 2);
    // The chain has not come to its close, so this one does not wait for it.
    assert.is(await outcome(io, (c, done) => ring.close(c, done, file)), 0);
    // The number goes to another file, which must stay open.
    const other = await openFor(io, trial.path("other"), OpenFlags.write);
    await success(io, (c, done) => ring.shutdown(c, done, near, "receive"));
    assert.equal(await allDone(io, members), [0, negative("EBADF"), CANCELED]);
    const written: Start = (c, done) => ring.write(c, done, other, Buffer.from("x"), 0);
    assert.is(await outcome(io, written), 1);
  });
}

function registerEngineVerbs(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a server is set up by one chain`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const before = descriptors(io);
    const address: Address = { family: "ipv4", host: "127.0.0.1", port: 0 };
    const here = ring.chainDescriptor;
    const results = await run(
      io,
      [true, (c, done) => ring.socket(c, done, "ipv4")],
      [true, (c, done) => ring.bind(c, done, here, address)],
      [true, (c, done) => ring.listen(c, done, here, 4)],
      [false, (c, done) => ring.close(c, done, here)],
    );
    assert.equal(results, [0, 0, 0, 0]);
    assert.is(descriptors(io), before);
  });

  suite.test(`${mode}: a failed bind ends its chain`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const taken = trial.path("taken");
    writeFileSync(taken, "");
    const socket = await success(io, (c, done) => ring.socket(c, done, "unix"));
    const bind: Start = (c, done) => ring.bind(c, done, socket, { family: "unix", path: taken });
    const listen: Start = (c, done) => ring.listen(c, done, socket, 1);
    const nop: Start = (c, done) => ring.nop(c, done);
    const used = negative("EADDRINUSE");
    assert.equal(await run(io, [true, bind], [true, listen], [false, nop]), [
      used,
      CANCELED,
      CANCELED,
    ]);
    assert.equal(await run(io, [true, nop], ["hard", bind], [false, nop]), [0, used, 0]);
  });

  suite.test(`${mode}: cancels stand in chains`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const { near, far } = await pairOfDescriptors(io);
    const memory = new Uint8Array(4);
    const pending = [near, far].map(
      (socket) => new Started((c, done) => ring.receive(c, done, socket, memory.slice())),
    );
    const [one, other] = pending as [Started, Started];
    await roundTrips(io, 2);
    const results = await run(
      io,
      [true, (c, done) => ring.nop(c, done)],
      [true, (c, done) => ring.cancel(c, done, one.completion)],
      [true, (c, done) => ring.cancelDescriptor(c, done, far)],
      [false, (c, done) => ring.nop(c, done)],
    );
    assert.equal(results, [0, 0, 1, 0]);
    assert.equal(await allDone(io, [one, other]), [CANCELED, CANCELED]);
    // None of these is in flight, and the chain ends with that.
    const missed = await run(
      io,
      [true, (c, done) => ring.cancel(c, done, one.completion)],
      [true, (c, done) => ring.cancelAll(c, done)],
      [false, (c, done) => ring.nop(c, done)],
    );
    assert.equal(missed, [negative("ENOENT"), CANCELED, CANCELED]);
  });
}

function registerMultishot(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a multishot accept is the last of a chain, or refused`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const socket = await success(io, (c, done) => ring.socket(c, done, "ipv4"));
    const accept: Start = (c, done) => ring.acceptMultishot(c, done, socket);
    const nop: Start = (c, done) => ring.nop(c, done);
    const refused = [CANCELED, negative("EINVAL"), CANCELED];
    assert.equal(await run(io, [true, nop], [true, accept], [false, nop]), refused);
    const members = start([
      [
        true,
        (c, done) => ring.bind(c, done, socket, { family: "ipv4", host: "127.0.0.1", port: 0 }),
      ],
      [true, (c, done) => ring.listen(c, done, socket, 4)],
      [false, accept],
    ]);
    await until(io, () => members[1]?.done === true, "the listen");
    await roundTrips(io, 2);
    const accepting = members[2] as Started;
    assert.is(accepting.completion.active, true);
    assert.is(await outcome(io, (c, done) => ring.cancel(c, done, accepting.completion)), 0);
    assert.equal(await allDone(io, members), [0, 0, CANCELED]);
  });
}

/** Each of these fails, on every way in which a backend makes an operation. */
async function failing(
  trial: Trial,
  io: IO,
): Promise<[name: string, errno: Parameters<typeof negative>[0] | null, start: Start][]> {
  const { ring } = io;
  const memory = new Uint8Array(8);
  const missing = trial.path("missing/file");
  const writeOnly = await openFor(io, trial.path(), OpenFlags.write);
  const short = await openFor(io, trial.path("empty"), OpenFlags.read);
  const socket = await success(io, (c, done) => ring.socket(c, done, "ipv4"));
  return [
    ["read", "EBADF", (c, done) => ring.read(c, done, writeOnly, memory, 0)],
    ["a short read", null, (c, done) => ring.read(c, done, short, memory, 0)],
    ["open", "ENOENT", (c, done) => ring.open(c, done, missing, OpenFlags.read, 0)],
    ["readlink", "ENOENT", (c, done) => ring.readlink(c, done, missing, memory)],
    ["receive", "ENOTCONN", (c, done) => ring.receive(c, done, socket, memory)],
    ["shutdown", "ENOTCONN", (c, done) => ring.shutdown(c, done, socket, "both")],
    ["listen", "EINVAL", (c, done) => ring.listen(c, done, writeOnly, 1)],
  ];
}

function registerHard(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: behind a hard link the next one starts after a failure`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const nop: Start = (c, done) => ring.nop(c, done);
    for (const [name, errno, fails] of await failing(trial, io)) {
      const result = name === "listen" ? await outcome(io, fails) : errno && negative(errno);
      const path = trial.path(name);
      const mkdir: Start = (c, done) => ring.mkdir(c, done, path, 0o700);
      const behind: Member[] = [
        ["hard", fails],
        ["hard", fails],
        [true, mkdir],
        [false, nop],
      ];
      assert.equal(
        await run(io, [true, nop], ...behind),
        [0, result ?? 0, result ?? 0, 0, 0],
        name,
      );
      assert.ok(existsSync(path), name);
      // A link that is not hard ends all that is behind it, hard links too.
      const ended = [result ?? 0, CANCELED, CANCELED, CANCELED];
      const members: Member[] = [
        [true, fails],
        ["hard", nop],
        ["hard", fails],
        [false, nop],
      ];
      assert.equal(await run(io, ...members), ended, name);
    }
  });

  suite.test(`${mode}: behind a hard link the next one starts after a cancel`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const { near } = await pairOfDescriptors(io);
    const members = start([
      ["hard", (c, done) => ring.receive(c, done, near, new Uint8Array(4))],
      [false, (c, done) => ring.mkdir(c, done, trial.path("made"), 0o700)],
    ]);
    await roundTrips(io, 2);
    await outcome(io, (c, done) => ring.cancel(c, done, (members[0] as Started).completion));
    assert.equal(await allDone(io, members), [CANCELED, 0]);
    assert.ok(existsSync(trial.path("made")));
  });

  suite.test(`${mode}: behind a hard link the next one starts after a close`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    for (const ends of ["close", "cancelDescriptor"] as const) {
      const { near } = await pairOfDescriptors(io);
      const members = start([
        ["hard", (c, done) => ring.receive(c, done, near, new Uint8Array(4))],
        [false, (c, done) => ring.mkdir(c, done, trial.path(ends), 0o700)],
      ]);
      await roundTrips(io, 2);
      await outcome(io, (c, done) => ring[ends](c, done, near));
      assert.equal(await allDone(io, members), [CANCELED, 0], ends);
      assert.ok(existsSync(trial.path(ends)), ends);
    }
  });
}

function registerHeld(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a member that is held stays cancelled`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const { near, far } = await pairOfDescriptors(io);
    const other = await pairOfDescriptors(io);
    const members = start([
      [true, (c, done) => ring.receive(c, done, near, new Uint8Array(4))],
      [true, (c, done) => ring.cancelDescriptor(c, done, other.near)],
      [false, (c, done) => ring.mkdir(c, done, trial.path("made"), 0o700)],
    ]);
    await roundTrips(io, 2);
    const target = (members[2] as Started).completion;
    assert.is(await outcome(io, (c, done) => ring.cancel(c, done, target)), negative("EALREADY"));
    await success(io, (c, done) => ring.send(c, done, far, Buffer.from("data")));
    assert.equal(await allDone(io, members), [4, 0, CANCELED]);
    assert.not(existsSync(trial.path("made")));
  });

  suite.test(`${mode}: closes that wait in a chain leave room for others`, async (trial) => {
    const io = await trial.open({ mode, inFlightLimit: 4 });
    const { ring } = io;
    const { near, far } = await pairOfDescriptors(io);
    const close: Start = (c, done) => ring.close(c, done, far);
    const receive: Start = (c, done) => ring.receive(c, done, near, new Uint8Array(4));
    const members = [new Started(receive, { link: "hard" })];
    assert.throws(() => {
      for (let left = 8; left > 0; left--) members.push(new Started(close, { link: "hard" }));
    }, /in flight/);
    assert.ok((await allDone(io, members)).every((result) => result === CANCELED));
    const receiving = new Started(receive);
    assert.is(await outcome(io, (c, done) => ring.cancel(c, done, receiving.completion)), 0);
    await until(io, () => receiving.done, "the receive");
  });

  suite.test(`${mode}: a cancel on a closed descriptor in a chain is EBADF`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const { near } = await pairOfDescriptors(io);
    const waiting = [1, 2, 3].map(
      () => new Started((c, done) => ring.receive(c, done, near, new Uint8Array(4))),
    );
    await roundTrips(io, 2);
    const cancel: Start = (c, done) => ring.cancelDescriptor(c, done, near);
    assert.is(await outcome(io, cancel), 3);
    await until(io, () => waiting.every(({ done }) => done), "the receives");
    const close: Start = (c, done) => ring.close(c, done, near);
    const behind = Array<Member>(4).fill(["hard", cancel]);
    const results = await run(io, ["hard", close], ...behind, [false, cancel]);
    assert.equal(results, [0, ...Array<number>(5).fill(negative("EBADF"))]);
  });
}

function readOf(io: IO, memory: Uint8Array): Start {
  return (c, done) => io.ring.read(c, done, io.ring.chainDescriptor, memory, 0);
}

function openOf(io: IO, path: string, flags: number = OpenFlags.read): Start {
  return (c, done) => io.ring.open(c, done, path, flags, 0o600);
}

function closeOf(io: IO): Start {
  return (c, done) => io.ring.close(c, done, io.ring.chainDescriptor);
}

function registerDescriptor(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a chain opens, reads and closes a file of its own`, async (trial) => {
    const io = await trial.open({ mode });
    writeFileSync(trial.path(), "content");
    const before = descriptors(io);
    const chains = Array.from({ length: 50 }, () => {
      const memory = new Uint8Array(16);
      const members = start([
        [true, openOf(io, trial.path())],
        ["hard", readOf(io, memory)],
        [false, closeOf(io)],
      ]);
      return { memory, members };
    });
    for (const { memory, members } of chains) {
      assert.equal(await allDone(io, members), [0, 7, 0]);
      assert.is(Buffer.from(memory.subarray(0, 7)).toString(), "content");
    }
    assert.is(descriptors(io), before);
  });

  suite.test(`${mode}: a chain makes a file, and others stand between`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const before = descriptors(io);
    const here = ring.chainDescriptor;
    const flags = OpenFlags.write | OpenFlags.create | OpenFlags.exclusive;
    const results = await run(
      io,
      [true, (c, done) => ring.mkdir(c, done, trial.path("folder"), 0o700)],
      [true, openOf(io, trial.path("folder/file"), flags)],
      [true, (c, done) => ring.write(c, done, here, Buffer.from("one "), -1)],
      [true, (c, done) => ring.nop(c, done)],
      [true, (c, done) => ring.writeVectored(c, done, here, [Buffer.from("two")], -1)],
      [true, (c, done) => ring.fchmod(c, done, here, 0o640)],
      [true, (c, done) => ring.sync(c, done, here, "data")],
      [true, closeOf(io)],
      [false, (c, done) => ring.rename(c, done, trial.path("folder/file"), trial.path("file"))],
    );
    assert.equal(results, [0, 0, 4, 0, 3, 0, 0, 0, 0]);
    assert.is(readFileSync(trial.path("file"), "latin1"), "one two");
    assert.is(descriptors(io), before);
  });
}

function registerDescriptorFailures(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: what a chain has opened is closed, whatever fails`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    writeFileSync(trial.path(), "content");
    const before = descriptors(io);
    const memory = new Uint8Array(16);
    const nop: Start = (c, done) => ring.nop(c, done);
    // The read is short, which ends the chain; the close is made nevertheless.
    const short: Member[] = [
      [true, openOf(io, trial.path())],
      [true, readOf(io, memory)],
      [true, readOf(io, memory)],
      [true, closeOf(io)],
      [false, nop],
    ];
    assert.equal(await run(io, ...short), [0, 7, CANCELED, 0, CANCELED]);
    const unopened: Member[] = [
      ["hard", openOf(io, trial.path("missing"))],
      ["hard", readOf(io, memory)],
      [false, closeOf(io)],
    ];
    const none = [negative("ENOENT"), negative("EBADF"), negative("EBADF")];
    assert.equal(await run(io, ...unopened), none);
    assert.equal(await run(io, [true, openOf(io, trial.path("missing"))], [false, closeOf(io)]), [
      negative("ENOENT"),
      CANCELED,
    ]);
    const fails: Member = [true, (c, done) => ring.unlink(c, done, trial.path("missing"), false)];
    const closed = await run(io, [true, openOf(io, trial.path())], fails, [false, closeOf(io)]);
    assert.equal(closed, [0, negative("ENOENT"), 0]);
    assert.is(descriptors(io), before);
  });

  suite.test(`${mode}: a cancel in a chain with a file of its own`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const before = descriptors(io);
    runChildTool("mkfifo", trial.path("fifo"));
    const members = start([
      [true, openOf(io, trial.path("fifo"), OpenFlags.read | OpenFlags.write)],
      [true, readOf(io, new Uint8Array(4))],
      [true, (c, done) => ring.mkdir(c, done, trial.path("never"), 0o700)],
      [false, closeOf(io)],
    ]);
    await until(io, () => members[0]?.done === true, "the open");
    await roundTrips(io, 2);
    await outcome(io, (c, done) => ring.cancel(c, done, (members[1] as Started).completion));
    assert.equal(await allDone(io, members), [0, CANCELED, CANCELED, 0]);
    assert.not(existsSync(trial.path("never")));
    assert.is(descriptors(io), before);
  });
}

function registerDescriptorRefused(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: the descriptor of a chain without one, or unclosed`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    writeFileSync(trial.path(), "content");
    const before = descriptors(io);
    const memory = new Uint8Array(4);
    const nop: Start = (c, done) => ring.nop(c, done);
    const open = openOf(io, trial.path());
    const [read, close] = [readOf(io, memory), closeOf(io)];
    const detach: Start = (c, done) => ring.detach(c, done, ring.chainDescriptor);
    const [bad, invalid] = [negative("EBADF"), negative("EINVAL")];
    assert.is(await outcome(io, read), bad);
    assert.is(await outcome(io, close), bad);
    assert.equal(await allDone(io, startChain(nop, read, close)), [CANCELED, bad, CANCELED]);
    assert.equal(await allDone(io, startChain(read, open, close)), [bad, CANCELED, CANCELED]);
    assert.equal(await allDone(io, startChain(open, read)), [invalid, CANCELED]);
    assert.equal(await allDone(io, startChain(open, close, read)), [CANCELED, CANCELED, bad]);
    assert.equal(await allDone(io, startChain(open, close, close)), [CANCELED, CANCELED, bad]);
    assert.equal(await allDone(io, startChain(open, detach)), [CANCELED, invalid]);
    // Just beside it are values that no descriptor has.
    for (const value of [ring.chainDescriptor - 1, ring.chainDescriptor + 1, 1 << 19]) {
      const stranger: Start = (c, done) => ring.read(c, done, value, memory, 0);
      assert.equal(await allDone(io, startChain(open, stranger, close)), [CANCELED, bad, CANCELED]);
    }
    await idle(io);
    assert.is(descriptors(io), before);
  });
}

function registerSecondDescriptor(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: what a chain opens is the second descriptor`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const here = ring.chainDescriptor;
    const [one, two] = [trial.path("one"), trial.path("two")];
    writeFileSync(one, "content");
    const before = descriptors(io);
    const file = await openFor(io, two, OpenFlags.read | OpenFlags.write);
    const copied = await run(
      io,
      [true, openOf(io, one)],
      [true, (c, done) => ring.copyRange(c, done, file, here, 0, 0, 7)],
      [false, closeOf(io)],
    );
    assert.equal(copied, [0, 7, 0]);
    assert.is(readFileSync(two, "latin1"), "content");
    // Within the file of the chain, and out of another into it.
    const within = await run(
      io,
      [true, openOf(io, two, OpenFlags.read | OpenFlags.write)],
      [true, (c, done) => ring.copyRange(c, done, here, here, 7, 0, 3)],
      [true, (c, done) => ring.copyRange(c, done, here, file, 10, 5, 2)],
      [false, closeOf(io)],
    );
    assert.equal(within, [0, 3, 2, 0]);
    assert.is(readFileSync(two, "latin1"), "contentconnt");
    await success(io, (c, done) => ring.close(c, done, file));
    assert.is(descriptors(io), before);
  });

  suite.test(`${mode}: a chain sends a file that it opens`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const { near, far } = await pairOfDescriptors(io);
    writeFileSync(trial.path(), "content");
    const results = await run(
      io,
      [true, openOf(io, trial.path())],
      ["hard", (c, done) => ring.sendFile(c, done, near, ring.chainDescriptor, 3, 100)],
      [false, closeOf(io)],
    );
    if (io.capabilities.sendFile.support === "copied") {
      assert.equal(results, [CANCELED, negative("EOPNOTSUPP"), CANCELED]);
      return;
    }
    assert.equal(results, [0, 4, 0]);
    const memory = new Uint8Array(8);
    assert.is(await success(io, (c, done) => ring.receive(c, done, far, memory)), 4);
    assert.is(Buffer.from(memory.subarray(0, 4)).toString(), "tent");
  });
}

function registerSecondDirectory(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: both paths begin at the directory of a chain`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const here = ring.chainDescriptor;
    mkdirSync(trial.path("folder"));
    writeFileSync(trial.path("outside"), "content");
    const before = descriptors(io);
    const results = await run(
      io,
      [true, openOf(io, trial.path("folder"), OpenFlags.read | OpenFlags.directory)],
      [true, (c, done) => ring.link(c, done, trial.path("outside"), "a", -1, here)],
      [true, (c, done) => ring.rename(c, done, "a", "b", 0, here, here)],
      [true, (c, done) => ring.symlink(c, done, "b", "c", here)],
      [true, (c, done) => ring.rename(c, done, "b", trial.path("moved"), 0, here, -1)],
      [false, closeOf(io)],
    );
    assert.equal(results, [0, 0, 0, 0, 0, 0]);
    assert.equal(readdirSync(trial.path("folder")), ["c"]);
    assert.is(readFileSync(trial.path("moved"), "latin1"), "content");
    assert.is(descriptors(io), before);
  });

  suite.test(`${mode}: a second descriptor that the chain has not`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    writeFileSync(trial.path(), "content");
    const before = descriptors(io);
    const file = await openFor(io, trial.path("to"), OpenFlags.write);
    const here = ring.chainDescriptor;
    const copy: Start = (c, done) => ring.copyRange(c, done, file, here, 0, 0, 7);
    const open = openOf(io, trial.path());
    const missing = openOf(io, trial.path("none"));
    const [bad, invalid] = [negative("EBADF"), negative("EINVAL")];
    assert.is(await outcome(io, copy), bad);
    assert.equal(await allDone(io, startChain(copy, open, closeOf(io))), [bad, CANCELED, CANCELED]);
    assert.equal(await allDone(io, startChain(open, copy)), [invalid, CANCELED]);
    assert.equal(await allDone(io, startChain(open, closeOf(io), copy)), [CANCELED, CANCELED, bad]);
    // The slot has had such operations before.
    for (let round = 0; round < 3; round++) {
      assert.equal(await run(io, ["hard", missing], ["hard", copy], [false, closeOf(io)]), [
        negative("ENOENT"),
        bad,
        bad,
      ]);
      const read: Start = (c, done) => ring.readVectored(c, done, here, [new Uint8Array(7)], 0);
      const stat = new StatRecord();
      const others = await run(
        io,
        [true, open],
        [true, read],
        [true, (c, done) => ring.stat(c, done, here, stat)],
        [true, (c, done) => ring.stat(c, done, trial.path(), stat)],
        [false, closeOf(io)],
      );
      assert.equal(others, [0, 7, 0, 0, 0]);
    }
    await success(io, (c, done) => ring.close(c, done, file));
    assert.is(descriptors(io), before);
  });
}

const LATE = negative("ETIMEDOUT");

function registerLimits(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: each operation of a chain may have a limit`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const { near } = await pairOfDescriptors(io);
    const file = await openFor(io, trial.path(), OpenFlags.write);
    const nop: Start = (c, done) => ring.nop(c, done);
    const receive: Start = (c, done) => ring.receive(c, done, near, new Uint8Array(4));
    for (const [link, behind] of [
      [true, CANCELED],
      ["hard", 0],
    ] as const) {
      const path = trial.path(String(link));
      const members = [
        new Started(nop, { link: true, timeoutNs: 3600e9 }),
        new Started(receive, { link, timeoutNs: 5_000_000 }),
        new Started((c, done) => ring.mkdir(c, done, path, 0o700), { link: true }),
        new Started((c, done) => ring.sync(c, done, file, "data"), { timeoutNs: 3600e9 }),
      ];
      assert.equal(await allDone(io, members), [0, LATE, behind, behind]);
      assert.is(existsSync(path), link === "hard");
    }
    await idle(io);
  });

  suite.test(`${mode}: a limit in a chain begins with its operation`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const file = await openFor(io, trial.path(), OpenFlags.write);
    const before = descriptors(io);
    const wait: Start = (c, done) => ring.timeout(c, done, 30_000_000);
    // Each limit is over long before its operation starts.
    const limited = (start: Start): Started => {
      return new Started(start, { link: true, timeoutNs: 25_000_000 });
    };
    const members = [
      new Started(wait, { link: true }),
      limited((c, done) => ring.write(c, done, file, Buffer.from("x"), 0)),
      new Started(wait, { link: true }),
      limited(openOf(io, trial.path())),
      new Started(wait, { link: true }),
      limited((c, done) => ring.fchmod(c, done, ring.chainDescriptor, 0o640)),
      new Started(closeOf(io)),
    ];
    assert.equal(await allDone(io, members), [0, 1, 0, 0, 0, 0, 0]);
    assert.is(descriptors(io), before);
  });
}

function registerLimitsOfOthers(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a limit ends what a thread waits for in a chain`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const flags = OpenFlags.read | OpenFlags.write;
    const holder = await openFor(io, trial.path(), flags);
    await success(io, (c, done) => ring.lock(c, done, holder, true, 0, 0, true));
    const members = [
      new Started(openOf(io, trial.path(), flags), { link: true }),
      new Started((c, done) => ring.lock(c, done, ring.chainDescriptor, true, 0, 0, true), {
        link: true,
        timeoutNs: 20_000_000,
      }),
      new Started((c, done) => ring.mkdir(c, done, trial.path("never"), 0o700), { link: true }),
      new Started(closeOf(io)),
    ];
    assert.equal(await allDone(io, members), [0, LATE, CANCELED, 0]);
    assert.not(existsSync(trial.path("never")));
    await idle(io);
  });

  suite.test(`${mode}: what has no limit is refused with its chain`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const socket = await success(io, (c, done) => ring.socket(c, done, "ipv4"));
    const pending = new Started((c, done) => ring.timeout(c, done, 3600e9));
    const refused: Start[] = [
      (c, done) => ring.close(c, done, socket),
      (c, done) => ring.listen(c, done, socket, 1),
      (c, done) => ring.bind(c, done, socket, { family: "ipv4", host: "127.0.0.1", port: 0 }),
      (c, done) => ring.cancel(c, done, pending.completion),
      (c, done) => ring.cancelAll(c, done),
    ];
    const nop: Start = (c, done) => ring.nop(c, done);
    for (const start of refused) {
      const members = [
        new Started(nop, { link: true }),
        new Started(start, { link: true, timeoutNs: 3600e9 }),
        new Started(nop),
      ];
      assert.equal(await allDone(io, members), [CANCELED, negative("EINVAL"), CANCELED]);
    }
    assert.is(await outcome(io, (c, done) => ring.cancel(c, done, pending.completion)), 0);
    await until(io, () => pending.done, "the timeout");
    await success(io, (c, done) => ring.close(c, done, socket));
  });
}

function registerEndings(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: io.close() ends a chain, and closes what it has opened`, async (trial) => {
    const io = await trial.open({ mode });
    const { near } = await pairOfDescriptors(io);
    writeFileSync(trial.path(), "content");
    const members = start([
      [true, openOf(io, trial.path())],
      ["hard", (c, done) => io.ring.receive(c, done, near, new Uint8Array(4))],
      [true, readOf(io, new Uint8Array(4))],
      [true, closeOf(io)],
      [false, (c, done) => io.ring.timeout(c, done, 3600e9)],
    ]);
    await until(io, () => members[0]?.done === true, "the open");
    await roundTrips(io, 2);
    await trial.close(io);
    const results = members.map((member) => member.result);
    assert.equal([results[0], results[1], results[4]], [0, CANCELED, CANCELED]);
    await turn();
  });

  suite.test(`${mode}: a member that has not started is cancelled in its turn`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const before = descriptors(io);
    writeFileSync(trial.path(), "content");
    const members = start([
      [true, openOf(io, trial.path())],
      [true, (c, done) => ring.timeout(c, done, 100_000_000)],
      [true, (c, done) => ring.timeout(c, done, 3600e9)],
      [false, closeOf(io)],
    ]);
    await until(io, () => members[0]?.done === true, "the open");
    const target = (members[2] as Started).completion;
    const asked = await outcome(io, (c, done) => ring.cancel(c, done, target));
    assert.ok([negative("ENOENT"), negative("EALREADY")].includes(asked), `${asked}`);
    assert.equal(await allDone(io, members), [0, 0, CANCELED, 0]);
    assert.is(descriptors(io), before);
  });
}
