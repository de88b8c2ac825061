// Waiting until a descriptor is ready: one that belongs to other code, and by the ring.

import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { IO, type IOError, PollFlags } from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import { runChildTool } from "../support/children.js";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { connected, pairOfDescriptors } from "../support/network.js";
import {
  driven,
  failure,
  failureCode,
  negative,
  outcome,
  refusalCode,
  roundTrips,
  Started,
  startChain,
  success,
  until,
  Watched,
} from "../support/verbs.js";

/** Both ends of a FIFO, as a descriptor of the test's own. */
function openFifo(trial: Trial, closes = true): number {
  const path = trial.path("fifo");
  runChildTool("mkfifo", path);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  if (closes) trial.defer(() => closeSync(fd));
  return fd;
}

function take(fd: number): number {
  return readSync(fd, new Uint8Array(64));
}

export function descriptorsPoll(suite: Suite): void {
  registerOnce(suite);
  registerOwner(suite);
  registerOwn(suite);
  registerEvents(suite);
  for (const mode of MODES) registerRing(suite, mode);
}

/** The numbers of the process by what is behind them: "[eventpoll]", "[io_uring]". */
function numbersOf(kind: string): number[] {
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).endsWith(kind);
      } catch {
        return false; // that of the directory itself, which is closed by now
      }
    });
}

/** Those of Node's event loop, and those of the library's own IOs. */
function registerOwn(suite: Suite): void {
  for (const mode of MODES) {
    const name = `${mode}: polls of what an IO and the event loop wait in harm neither`;
    if (process.platform !== "linux") {
      suite.skip(name, "/proc says which numbers they are");
      continue;
    }
    suite.test(name, async (trial) => {
      const io = await trial.open({ mode });
      const other = await trial.open();
      const before = io.stats().descriptors;
      for (const kind of ["[eventpoll]", "[io_uring]", "[eventfd]", "[timerfd]"]) {
        for (const fd of numbersOf(kind)) {
          const polled = io.poll(fd, "readable", { timeoutMs: 1 }).then(
            () => "ready",
            (error: IOError) => error.code,
          );
          const code = await driven(io, polled);
          assert.ok(["ready", "ETIMEDOUT", "EINVAL", "ELOOP"].includes(code), `${kind}: ${code}`);
          assert.is(await driven(io, io.nop()), 0);
          assert.is(io.stats().descriptors, before);
        }
      }
      assert.is(await other.nop(), 0);
      const stat = await driven(io, io.stat("/"));
      assert.ok(stat.isDirectory());
    });
  }
}

function registerOnce(suite: Suite): void {
  suite.test("a poll waits until there is something to read", async (trial) => {
    const io = await trial.open();
    const fd = openFifo(trial);
    const before = io.stats().descriptors;
    assert.is((await io.poll(fd, "writable")).writable, true);
    assert.is(await failureCode(io.poll(fd, "readable", { timeoutMs: 1 })), "ETIMEDOUT");
    const waiting = new Watched(io.poll(fd, "readable"));
    await roundTrips(io, 3);
    assert.is(waiting.state, "pending");
    writeSync(fd, "x");
    const { readable, error } = await waiting.promise;
    assert.equal([readable, error], [true, false]);
    // Nothing was taken, so it is ready again at once.
    assert.is((await io.poll(fd, "readable")).readable, true);
    assert.is(take(fd), 1);
    const controller = new AbortController();
    const aborted = failureCode(io.poll(fd, "readable", { signal: controller.signal }));
    await roundTrips(io, 3);
    controller.abort();
    assert.is(await aborted, "ABORT_ERR");
    assert.is(io.stats().descriptors, before, "the duplicates are closed");
  });

  suite.test("a file is always ready", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), "");
    const fd = openSync(trial.path(), "r+");
    trial.defer(() => closeSync(fd));
    assert.is((await io.poll(fd, "readable")).readable, true);
    assert.is((await io.poll(fd, "writable")).writable, true);
  });

  suite.test("a number that no descriptor has is EBADF", async (trial) => {
    const io = await trial.open();
    const error = await failure(io.poll(0x7fffffff, "readable"));
    assert.equal([error.code, error.syscall, error.operation], ["EBADF", "fcntl", "poll"]);
    assert.match(error.message, /^poll of descriptor 2147483647 .*\(the process has no such/);
    assert.is(
      refusalCode(() => io.borrow(0x7fffffff)),
      "EBADF",
    );
  });
}

function registerOwner(suite: Suite): void {
  suite.test("its owner may close the number while it is polled", async (trial) => {
    const io = await trial.open();
    const fd = openFifo(trial, false);
    await using borrowed = io.borrow(fd);
    const waiting = new Watched(borrowed.poll("readable"));
    await roundTrips(io, 3);
    closeSync(fd);
    // The number is that of another file now, which is always ready.
    writeFileSync(trial.path("other"), "x");
    const other = openSync(trial.path("other"), "r");
    trial.defer(() => closeSync(other));
    await roundTrips(io, 3);
    assert.is(waiting.state, "pending", "the other file is not polled");
    await borrowed.close();
    assert.is(await failureCode(waiting.promise), "ECANCELED");
    assert.is(await failureCode(borrowed.poll("readable")), "ERR_IO_CLOSED");
    assert.is(
      refusalCode(() => borrowed.events("readable")),
      "ERR_IO_CLOSED",
    );
  });

  const name = "a poll leaves the descriptor of its owner as it is";
  if (process.platform !== "linux") {
    suite.skip(name, "only Linux shows the flags of a descriptor in a file");
    return;
  }
  suite.test(name, async (trial) => {
    const io = await trial.open();
    const path = trial.path("fifo");
    runChildTool("mkfifo", path);
    const fd = openSync(path, constants.O_RDWR);
    trial.defer(() => closeSync(fd));
    const flags = (): string =>
      readFileSync(`/proc/self/fdinfo/${fd}`, "utf8").split("\n")[1] ?? "";
    const before = flags();
    assert.is(await failureCode(io.poll(fd, "readable", { timeoutMs: 1 })), "ETIMEDOUT");
    assert.is((await io.poll(fd, "writable")).writable, true);
    assert.is(flags(), before);
  });
}

function registerEvents(suite: Suite): void {
  suite.test("a loop is given each event, and ends with the descriptor", async (trial) => {
    const io = await trial.open();
    const fd = openFifo(trial);
    const borrowed = io.borrow(fd);
    let count = 0;
    const loop = (async () => {
      for await (const { readable } of borrowed.events("readable")) {
        if (readable) count++;
      }
    })();
    for (let round = 1; round <= 3; round++) {
      writeSync(fd, "x");
      await until(io, () => count >= round, `event ${round}`);
      assert.is(take(fd), 1);
      await roundTrips(io, 3);
    }
    await borrowed.close();
    await loop;
  });

  suite.test("a loop over a file has one event", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), "x");
    const fd = openSync(trial.path(), "r");
    trial.defer(() => closeSync(fd));
    const borrowed = io.borrow(fd);
    let count = 0;
    const loop = (async () => {
      for await (const { readable } of borrowed.events("readable")) {
        assert.ok(readable);
        assert.ok(++count < 100, "it is not reported again and again");
      }
    })();
    await until(io, () => count > 0, "the event");
    await roundTrips(io, 3);
    assert.is(count, 1);
    await borrowed.close();
    await loop;
  });

  suite.test("a loop ends with its IO, and one that is left gives up its poll", async (trial) => {
    const io = await trial.open();
    const fd = openFifo(trial);
    writeSync(fd, "x");
    const borrowed = io.borrow(fd);
    for await (const { readable } of borrowed.events("readable")) {
      assert.is(readable, true);
      break;
    }
    await until(io, () => io.stats().inFlight === 0, "the end of the poll");
    take(fd);
    const loop = (async () => {
      for await (const events of borrowed.events("readable")) assert.unreachable(`${events}`);
    })();
    await roundTrips(io, 3);
    await trial.close(io);
    await loop;
  });

  registerEventfd(suite);

  suite.test("a poll that is unref'd keeps no process alive", async (trial) => {
    const io = await trial.open();
    const borrowed = io.borrow(openFifo(trial));
    assert.is(borrowed.unref().ref(), borrowed);
    const waiting = failureCode(borrowed.poll("readable"));
    await borrowed.close();
    assert.is(await waiting, "ECANCELED");
  });
}

/** The numbers of all eventfds of this process. */
function eventfds(): number[] {
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).includes("[eventfd]");
      } catch {
        return false; // that of the folder itself
      }
    });
}

// The kernel may drop the signal of a ring when it comes out of the write to an eventfd.
function registerEventfd(suite: Suite): void {
  const name = "each event of an eventfd wakes an event loop that sleeps";
  if (systemHere() !== "linux") {
    suite.skip(name, "the test looks for an eventfd among the descriptors that Linux lists");
    return;
  }
  suite.test(name, async (trial) => {
    const io = await trial.open();
    const before = new Set(eventfds());
    // A thread writes to the eventfd of this one when a stat is done.
    const other = await IO.open({ backend: "epoll", mode: "detached" });
    trial.defer(() => void other.close());
    const fd = eventfds().find((one) => !before.has(one));
    assert.type(fd, "number");
    await using borrowed = io.borrow(fd as number);
    const events = borrowed.events("readable");
    for (let round = 0; round < 3; round++) {
      const event = events.next();
      await new Promise(setImmediate);
      await failureCode(driven(other, other.stat(trial.path())));
      assert.is((await event).value?.readable, true);
    }
  });
}

function registerRing(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: the ring polls its own sockets`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const { near, far } = await pairOfDescriptors(io);
    const polled = new Started((c, cb) => ring.poll(c, cb, far, "readable"));
    assert.is(
      (await outcome(io, (c, cb) => ring.poll(c, cb, near, "writable"))) & PollFlags.writable,
      PollFlags.writable,
    );
    await roundTrips(io, 3);
    assert.is(polled.done, false);
    await success(io, (c, cb) => ring.send(c, cb, near, Buffer.from("x")));
    await until(io, () => polled.done, "the poll");
    assert.is(polled.result & PollFlags.readable, PollFlags.readable);
    assert.is(await outcome(io, (c, cb) => ring.receive(c, cb, far, new Uint8Array(4))), 1);
    // With a time limit, cancelled, and behind another one in a chain.
    const limited = new Started((c, cb) => ring.poll(c, cb, far, "readable"), { timeoutNs: 1000 });
    await until(io, () => limited.done, "the time limit");
    assert.is(limited.result, negative("ETIMEDOUT"));
    const cancelled = new Started((c, cb) => ring.poll(c, cb, far, "readable"));
    await roundTrips(io, 2);
    await success(io, (c, cb) => ring.cancel(c, cb, cancelled.completion));
    await until(io, () => cancelled.done, "the cancel");
    assert.is(cancelled.result, negative("ECANCELED"));
    const buffer = new Uint8Array(4);
    const chain = startChain(
      (c, cb) => ring.poll(c, cb, far, "readable"),
      (c, cb) => ring.receive(c, cb, far, buffer),
    );
    await success(io, (c, cb) => ring.send(c, cb, near, Buffer.from("yz")));
    await until(io, () => chain.every(({ done }) => done), "the chain");
    assert.is(chain[1]?.result, 2);
    const late = new Started((c, cb) => ring.poll(c, cb, far, "readable"));
    await roundTrips(io, 2);
    await success(io, (c, cb) => ring.close(c, cb, far));
    await until(io, () => late.done, "the close");
    assert.is(late.result, negative("ECANCELED"));
    assert.is(await outcome(io, (c, cb) => ring.poll(c, cb, far, "readable")), negative("EBADF"));
  });

  suite.test(
    `${mode}: a multishot poll reports each arrival until it is cancelled`,
    async (trial) => {
      const io = await trial.open({ mode });
      const { ring } = io;
      const { near, far } = await pairOfDescriptors(io);
      const polled = new Started((c, cb) => ring.pollMultishot(c, cb, far, "readable"));
      for (let round = 1; round <= 3; round++) {
        await success(io, (c, cb) => ring.send(c, cb, near, Buffer.from("x")));
        await until(io, () => polled.results.length >= round, `arrival ${round}`);
        await success(io, (c, cb) => ring.receive(c, cb, far, new Uint8Array(4)));
        await roundTrips(io, 2);
      }
      assert.is(polled.completion.active, true);
      assert.ok(polled.results.every((bits) => (bits & PollFlags.readable) !== 0));
      await success(io, (c, cb) => ring.cancel(c, cb, polled.completion));
      await until(io, () => polled.done, "the cancel");
      assert.is(polled.results.at(-1), negative("ECANCELED"));
    },
  );

  if (mode === "detached") return;
  suite.test("polls and receives of one socket do not hold each other up", async (trial) => {
    const { io, client, served } = await connected(trial);
    const buffer = new Uint8Array(8);
    const receiving = served.receive(buffer);
    const polled = new Started((c, cb) => io.ring.poll(c, cb, served.descriptor, "readable"));
    await roundTrips(io, 2);
    await client.sendAll("one");
    assert.is(await receiving, 3);
    await client.sendAll("two");
    await until(io, () => polled.done, "the poll");
    assert.is(await served.receive(buffer), 3);
    await closesWhilePolled(io);
  });
}

async function closesWhilePolled(io: IO): Promise<void> {
  const listener = await io.listen({ port: 0 });
  const polled = new Started((c, cb) => io.ring.poll(c, cb, listener.descriptor, "readable"));
  const accepting = failureCode(listener.accept());
  await roundTrips(io, 2);
  await listener.close();
  await until(io, () => polled.done, "the close");
  assert.is(await accepting, "ECANCELED");
  assert.is(polled.result, negative("ECANCELED"));
}
