// Closing an IO: everything in flight ends, once; later calls are refused; nothing is left.

import { Completion, IO, type IOError, OpenFlags, StatFsRecord, StatRecord } from "@io/core";
import * as assert from "uvu/assert";
import { runChild, runChildTool } from "../support/children.js";
import { guarded, MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { connected, pairOfDescriptors, targetOf, unixAddress } from "../support/network.js";
import {
  failureCode,
  refusalCode,
  roundTrips,
  Started,
  startChain,
  turn,
  Watched,
} from "../support/verbs.js";

const HOUR_MS = 3_600_000;
const HOUR_NS = HOUR_MS * 1e6;

export function closing(suite: Suite): void {
  registerInFlight(suite);
  for (const mode of MODES) {
    registerRing(suite, mode);
    registerLater(suite, mode);
  }
  registerLimit(suite);
  registerListener(suite);
  registerAfter(suite);
  registerStats(suite);
  registerScope(suite);
}

/** Operations of every kind that do not end by themselves. */
async function startEverything(trial: Trial, io: IO): Promise<[string, Promise<unknown>][]> {
  const listener = await io.listen({ port: 0 });
  const [client] = await Promise.all([io.connect(targetOf(listener.address)), listener.accept()]);
  const full = await io.listen({ port: 0, backlog: 0 });
  const connects = Array.from({ length: 6 }, () => io.connect(targetOf(full.address)));
  runChildTool("mkfifo", trial.path("fifo"));
  const fifo = await io.openFile(trial.path("fifo"), { read: true, write: true });
  const buffer = (): Uint8Array => new Uint8Array(64);
  return [
    ["receive", client.receive(buffer())],
    ["receiveFull", client.receiveFull(buffer())],
    ["receive with a limit", client.receive(buffer(), { timeoutMs: 3_600_000 })],
    ["receive with a signal", client.receive(buffer(), { signal: new AbortController().signal })],
    ["sendAll", client.sendAll(new Uint8Array(64 * 1024 * 1024))],
    ["receiveVectored", client.receiveVectored([buffer()])],
    ["peek", client.peek(buffer())],
    ["pipeTo", client.pipeTo(client, { maxBytes: 8 })],
    ["accept", listener.accept()],
    ["accept with a limit", listener.accept({ timeoutMs: 3_600_000 })],
    ["accept with a signal", listener.accept({ signal: new AbortController().signal })],
    ["sleep", io.sleep(HOUR_MS)],
    ["read", fifo.read(buffer())],
    ["readVectored", fifo.readVectored([buffer()])],
    ["chain", io.chain([fifo.prepareRead(buffer()), fifo.prepareRead(buffer())])],
    ...connects.map((connect): [string, Promise<unknown>] => ["connect", connect]),
  ];
}

function registerInFlight(suite: Suite): void {
  suite.test("closing settles every promise, and rejects what cannot end", async (trial) => {
    const io = await trial.open();
    const started = await startEverything(trial, io);
    const watched = started.map(([name, promise]) => [name, new Watched(promise)] as const);
    await roundTrips(io, 5);
    await trial.close(io);
    for (let index = 0; index < 5; index++) await turn();
    for (const [name, { state, promise }] of watched) {
      if (name === "connect" && state === "resolved") continue;
      assert.is(state, "rejected", name);
      const code = await failureCode(promise);
      const codes = ["ECANCELED", "EINTR", "ERR_IO_CLOSED", "ENOTCONN"];
      assert.ok(codes.includes(code), `${name}: ${code}`);
    }
  });

  suite.test("closing in the turn of the start settles everything too", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
    const promises = [
      io.nop(),
      io.sleep(HOUR_MS),
      file.write(new Uint8Array(10), 0),
      file.sync(),
      io.stat(trial.path()),
      io.chain([file.prepareWrite(new Uint8Array(10), 0), file.prepareSync()]),
      io.openFile(trial.path("new"), { write: true, create: true }),
    ];
    const closed = trial.close(io);
    const settled = await guarded("the promises", Promise.allSettled(promises));
    await closed;
    for (const result of settled) {
      if (result.status === "fulfilled") continue;
      assert.is((result.reason as IOError).code, "ECANCELED");
    }
    assert.is(settled[1]?.status, "rejected");
  });

  suite.test("closing while sockets move data", async (trial) => {
    const { io, client, served } = await connected(trial);
    const chunk = (): Uint8Array => new Uint8Array(256 * 1024);
    const endless = async (move: () => Promise<unknown>): Promise<void> => {
      while ((await move()) !== 0);
    };
    const [here, there] = [chunk(), chunk()];
    const moving = Promise.allSettled([
      endless(() => client.sendAll(chunk())),
      endless(() => served.sendAll(chunk())),
      endless(() => served.receive(here)),
      endless(() => client.receive(there)),
    ]);
    await roundTrips(io, 3);
    await trial.close(io);
    for (const result of await guarded("the transfers", moving)) {
      assert.is(result.status, "rejected");
      const { code } = (result as PromiseRejectedResult).reason as IOError;
      assert.ok(["ECANCELED", "ERR_IO_CLOSED"].includes(code), code);
    }
  });
}

function registerRing(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: closing calls every callback, exactly once`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const { near, listening } = await pairOfDescriptors(io);
    const buffer = new Uint8Array(8);
    const all: Started[] = [];
    for (let index = 0; index < 20; index++) {
      all.push(
        new Started((c, callback) => ring.timeout(c, callback, HOUR_NS)),
        new Started((c, callback) => ring.receive(c, callback, near, buffer)),
      );
    }
    all.push(
      new Started((c, callback) => ring.acceptMultishot(c, callback, listening)),
      new Started((c, callback) => ring.nop(c, callback)),
    );
    all.push(
      ...startChain(
        (c, callback) => ring.receive(c, callback, near, buffer),
        (c, callback) => ring.nop(c, callback),
      ),
    );
    // These are still queued when the closing begins.
    await trial.close(io);
    for (const one of all) {
      assert.is(one.results.length, 1, `${one.results}`);
      assert.is(one.completion.active, false);
    }
    assert.ok(all.slice(0, 40).every((one) => one.result < 0));
  });

  suite.test(
    `${mode}: a callback that submits while closing is refused, and ends it no worse`,
    async (trial) => {
      const io = await trial.open({ mode });
      const codes: string[] = [];
      for (let index = 0; index < 10; index++) {
        io.ring.timeout(
          new Completion(),
          (completion) => {
            codes.push(refusalCode(() => io.ring.nop(completion, () => assert.unreachable())));
          },
          HOUR_NS,
        );
      }
      await trial.close(io);
      assert.equal(codes, Array(10).fill("ERR_IO_CLOSED"));
    },
  );

  suite.test(`${mode}: closing is one promise, however often it is asked for`, async (trial) => {
    const io = await trial.open({ mode });
    const first = io.close();
    assert.is(io.close(), first);
    await trial.close(io);
    assert.is(io.close(), first);
    assert.is(await io[Symbol.asyncDispose](), undefined);
  });

  suite.test(`${mode}: an IO can be closed out of a callback`, async (trial) => {
    const io = await trial.open({ mode });
    const sleeping = new Started((c, callback) => io.ring.timeout(c, callback, HOUR_NS));
    const closed = new Promise<void>((resolve, reject) => {
      io.ring.nop(new Completion(), () => {
        trial.close(io).then(resolve, reject);
      });
    });
    if (mode === "detached") io.runFor(1_000_000_000);
    await closed;
    assert.ok(sleeping.result < 0);
  });
}

function registerLater(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: every verb of a closed IO is refused`, async (trial) => {
    const io = await trial.open({ mode });
    const { near } = await pairOfDescriptors(io);
    await trial.close(io);
    const { ring } = io;
    const c = new Completion();
    const none = (): void => assert.unreachable();
    const view = new Uint8Array(4);
    const calls = [
      () => ring.nop(c, none),
      () => ring.timeout(c, none, 0),
      () => ring.cancel(c, none, c),
      () => ring.cancelDescriptor(c, none, near),
      () => ring.cancelAll(c, none),
      () => ring.open(c, none, "x", OpenFlags.read, 0),
      () => ring.close(c, none, near),
      () => ring.read(c, none, near, view, 0),
      () => ring.write(c, none, near, view, 0),
      () => ring.readVectored(c, none, near, [view], 0),
      () => ring.writeVectored(c, none, near, [view], 0),
      () => ring.stat(c, none, "x", new StatRecord()),
      () => ring.sync(c, none, near, "full"),
      () => ring.allocate(c, none, near, 0, 1, "grow"),
      () => ring.truncate(c, none, near, 0),
      () => ring.lock(c, none, near, true, 0, 0, true),
      () => ring.advise(c, none, near, 0, 0, "normal"),
      () => ring.syncRange(c, none, near, 0, 0),
      () => ring.fchmod(c, none, near, 0o600),
      () => ring.fchown(c, none, near, -1, -1),
      () => ring.futimes(c, none, near, 0, 0),
      () => ring.getXattr(c, none, near, "user.x", view),
      () => ring.setXattr(c, none, near, "user.x", view),
      () => ring.listXattr(c, none, near, view),
      () => ring.removeXattr(c, none, near, "user.x"),
      () => ring.copyRange(c, none, near, near, 0, 0, 1),
      () => ring.reflink(c, none, near, near),
      () => ring.fstatfs(c, none, near, new StatFsRecord()),
      () => ring.linkDescriptor(c, none, near, "x"),
      () => ring.unlock(c, none, near, 0, 0),
      () => ring.rename(c, none, "x", "y"),
      () => ring.link(c, none, "x", "y"),
      ...[() => ring.copyFile(c, none, "x", "y"), () => ring.symlink(c, none, "x", "y")],
      () => ring.readlink(c, none, "x", view),
      () => ring.unlink(c, none, "x", false),
      () => ring.mkdir(c, none, "x", 0),
      () => ring.realpath(c, none, "x", view),
      () => ring.statfs(c, none, "x", new StatFsRecord()),
      () => ring.chmod(c, none, "x", 0),
      () => ring.chown(c, none, "x", -1, -1),
      () => ring.utimes(c, none, "x", 0, 0),
      () => ring.access(c, none, "x", 0),
      () => ring.readDirectory(c, none, near, view),
      () => ring.getXattrAt(c, none, "x", "user.x", view),
      () => ring.setXattrAt(c, none, "x", "user.x", view),
      () => ring.listXattrAt(c, none, "x", view),
      () => ring.removeXattrAt(c, none, "x", "user.x"),
      () => ring.watch(c, none),
      () => ring.watchAdd(c, none, near, near),
      () => ring.watchRemove(c, none, near, 1),
      () => ring.socket(c, none, "ipv4"),
      () => ring.bind(c, none, near, unixAddress()),
      () => ring.listen(c, none, near, 1),
      () => ring.accept(c, none, near),
      () => ring.acceptMultishot(c, none, near),
      ...[() => ring.connect(c, none, near, unixAddress()), () => ring.disconnect(c, none, near)],
      () => ring.send(c, none, near, view),
      () => ring.sendVectored(c, none, near, [view]),
      () => ring.receive(c, none, near, view),
      () => ring.receiveVectored(c, none, near, [view]),
      () => ring.peek(c, none, near, view),
      () => ring.setOption(near, "SOL_SOCKET", "SO_KEEPALIVE", 1),
      () => ring.getOption(near, "SOL_SOCKET", "SO_KEEPALIVE"),
      () => ring.shutdown(c, none, near, "both"),
      () => ring.flush(),
      () => io.run(),
      () => io.runFor(0),
      () => io.stats(),
    ];
    for (const call of calls) assert.is(refusalCode(call), "ERR_IO_CLOSED", `${call}`);
    assert.is(c.active, false);
  });
}

function registerLimit(suite: Suite): void {
  suite.test("closing with as much in flight as the limit allows", async (trial) => {
    const io = await trial.open({ inFlightLimit: 2 });
    const sleeping = [io.sleep(HOUR_MS), io.sleep(HOUR_MS)].map(failureCode);
    await turn();
    await trial.close(io);
    assert.equal(await Promise.all(sleeping), ["ECANCELED", "ECANCELED"]);
  });

  suite.test("detached: closing with as much in flight as the limit allows", async () => {
    const { status, signal, output } = await runChild("close-at-limit", suite.backend);
    assert.equal([status, signal, output], [0, null, "2 ended\n"]);
  });
}

function registerListener(suite: Suite): void {
  suite.test("closing ends the iteration of a listener", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ port: 0 });
    const iterating = (async () => {
      for await (const socket of listener) assert.unreachable(`${socket}`);
    })();
    await roundTrips(io, 3);
    await trial.close(io);
    const end = await guarded(
      "the iteration",
      iterating.then(
        () => "ended",
        (error: IOError) => error.code,
      ),
    );
    assert.ok(["ended", "ERR_IO_CLOSED", "ECANCELED"].includes(end), end);
  });

  suite.test("closing rejects who waits in accept", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ port: 0 });
    const waiting = [listener.accept(), listener.accept()].map(failureCode);
    await roundTrips(io, 3);
    await trial.close(io);
    for (const code of await guarded("the accepts", Promise.all(waiting))) {
      assert.ok(["ERR_IO_CLOSED", "ECANCELED"].includes(code), code);
    }
  });

  suite.test("closing ends a timer", async (trial) => {
    const io = await trial.open();
    const iterating = (async () => {
      for await (const count of io.timer({ intervalMs: HOUR_MS })) assert.unreachable(`${count}`);
    })();
    await roundTrips(io, 3);
    await trial.close(io);
    const end = await guarded(
      "the iteration",
      iterating.then(
        () => "ended",
        (error: IOError) => error.code,
      ),
    );
    assert.ok(["ended", "ERR_IO_CLOSED", "ECANCELED"].includes(end), end);
  });
}

function registerAfter(suite: Suite): void {
  suite.test("every promise of a closed IO and its things is rejected", async (trial) => {
    const { io, listener, client } = await connected(trial);
    const path = trial.path();
    const file = await io.openFile(path, { read: true, write: true, create: true });
    const [writing, view] = [file.prepareWrite(new Uint8Array(1), 0), new Uint8Array(4)];
    await trial.close(io);
    const calls: (() => Promise<unknown>)[] = [
      () => io.openFile(path),
      () => io.copyFile(path, path),
      () => io.stat(path),
      () => io.rename(path, path),
      () => io.link(path, path),
      () => io.symlink(path, path),
      () => io.readlink(path),
      () => io.unlink(path),
      () => io.mkdir(path),
      () => io.openDirectory(path),
      () => io.readdir(path),
      () => io.mkdtemp(path),
      () => io.rm(path),
      () => io.realpath(path),
      () => io.statfs(path),
      ...[() => io.chmod(path, 0), () => io.chown(path, -1, -1)],
      ...[() => io.utimes(path, 0, 0), () => io.access(path)],
      ...[() => io.exists(path), () => io.watch(path), () => io.cp(path, path)],
      ...[() => io.getXattr(path, "a"), () => io.setXattr(path, "a", "")],
      ...[() => io.listXattr(path), () => io.removeXattr(path, "a")],
      () => io.entries(path).next(),
      () => io.listen({ port: 0 }),
      () => io.connect({ port: 1 }),
      () => io.nop(),
      () => io.sleep(0),
      () => io.chain([writing]),
      () => io.cancelAll(),
      () => file.read(view, 0),
      () => file.readFull(view, 0),
      () => file.writeAll(view, 0),
      () => file.writeVectored([view], 0),
      () => file.stat(),
      () => file.sync(),
      () => file.lock(),
      () => file.advise("normal"),
      () => file.syncRange(),
      () => file.chmod(0o600),
      () => file.chown(-1, -1),
      () => file.utimes(0, 0),
      () => file.getXattr("user.x"),
      () => file.setXattr("user.x", view),
      () => file.listXattr(),
      () => file.removeXattr("user.x"),
      () => file.statfs(),
      () => file.link(path),
      () => file.unlock(),
      () => client.receive(view),
      () => client.sendAll(view),
      () => client.shutdown(),
      () => listener.accept(),
    ];
    for (const call of calls) assert.is(await failureCode(call()), "ERR_IO_CLOSED", `${call}`);
  });

  const cases = [
    ["address-after-close", "null"],
    ["options-after-close", "ERR_IO_CLOSED"],
    ["acquire-after-close", "ERR_IO_CLOSED"],
  ] as const;
  for (const [program, expected] of cases) {
    suite.test(`a closed IO is no danger: ${program}`, async () => {
      const { status, signal, output } = await runChild(program, suite.backend);
      assert.equal([status, signal, output], [0, null, `${expected}\n`]);
    });
  }

  suite.test("the peer of a socket sees the end when the IO is closed", async (trial) => {
    const server = await trial.open();
    const other = await trial.open();
    const listener = await server.listen({ port: 0 });
    const accepting = listener.accept();
    await other.connect(targetOf(listener.address));
    const served = await accepting;
    const receiving = served.receive(new Uint8Array(4));
    await trial.close(other);
    assert.is(await receiving, 0);
  });
}

function registerStats(suite: Suite): void {
  suite.test("stats() tells the truth", async (trial) => {
    const { io, listener, client, served } = await connected(trial);
    await listener.close();
    const file = await io.openFile(trial.path(), { write: true, create: true });
    assert.is(io.stats().descriptors, 3);
    await client.sendAll(new Uint8Array(4));
    assert.is(await served.receive(new Uint8Array(8)), 4);
    const sleeping = Array.from({ length: 10 }, () => io.sleep(1));
    await io.nop();
    assert.ok(io.stats().maxInFlight >= 11);
    await Promise.all(sleeping);
    const before = io.stats();
    await Promise.all(Array.from({ length: 7 }, () => io.stat(".")));
    const after = io.stats();
    assert.equal([after.submitted - before.submitted, after.completed - before.completed], [7, 7]);
    assert.is(after.systemCalls - before.systemCalls >= 1, true);
    await Promise.all([client.close(), served.close(), file.close()]);
    const { inFlight, descriptors, overflows, strays, refused, submitted, completed } = io.stats();
    assert.equal([inFlight, descriptors, overflows, strays, refused], [0, 0, 0, 0, 0]);
    assert.ok(submitted > 0 && completed >= submitted);
    await trial.close(io);
  });

  suite.test("what is refused is counted as that", async (trial) => {
    const io = await trial.open();
    const before = io.stats();
    const refused = new Started((c, callback) => io.ring.close(c, callback, 0x7ffffff));
    await io.nop();
    assert.ok(refused.result < 0);
    const after = io.stats();
    assert.equal([after.refused - before.refused, after.inFlight], [1, 0]);
  });
}

function registerScope(suite: Suite): void {
  suite.test("leaving a scope closes", async () => {
    let kept: IO;
    {
      await using io = await IO.open({ backend: suite.backend });
      kept = io;
      await io.nop();
    }
    assert.is(
      refusalCode(() => kept.stats()),
      "ERR_IO_CLOSED",
    );
  });

  suite.test("IOs come and go", async () => {
    for (let round = 0; round < 30; round++) {
      const io = await IO.open({ backend: suite.backend });
      const sleeping = failureCode(io.sleep(HOUR_MS));
      await io.nop();
      await io.close();
      assert.is(await sleeping, "ECANCELED");
    }
  });
}
