// An object that was never closed and is garbage is closed, and a warning names it. An object in
// use is not.

import { mkdirSync, writeFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Completion, type File, IO, type Socket } from "@io/core";
import * as assert from "uvu/assert";
import type { Suite, Trial } from "../support/harness.js";
import { connected } from "../support/network.js";
import { failureCode, roundTrips, success, turn, until, Watched } from "../support/verbs.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

export function forgottenThings(suite: Suite): void {
  registerClosed(suite);
  registerKept(suite);
  registerSockets(suite);
  registerIOs(suite);
}

/** Collects garbage until something is so, or for some rounds. */
async function collect(condition: () => boolean = () => false): Promise<void> {
  for (let round = 0; round < 20 && !condition(); round++) {
    collectGarbage();
    await turn();
    await turn();
  }
}

/** The warnings of a test about what was forgotten. */
function warnings(trial: Trial): Error[] {
  const seen: Error[] = [];
  const record = (warning: Error & { code?: string }): void => {
    if (warning.code === "IO_FORGOTTEN") seen.push(warning);
  };
  process.on("warning", record);
  trial.defer(() => process.off("warning", record));
  return seen;
}

function registerClosed(suite: Suite): void {
  suite.test("files that were never closed are closed when they are garbage", async (trial) => {
    const io = await trial.open();
    const seen = warnings(trial);
    writeFileSync(trial.path(), "content");
    const { descriptors } = io.stats();
    for (let index = 0; index < 20; index++) await io.openFile(trial.path());
    await collect(() => io.stats().descriptors === descriptors);
    assert.is(io.stats().descriptors, descriptors);
    await until(io, () => seen.length > 0, "the warning");
    assert.ok(seen.length <= 3, "many share a warning");
    assert.ok(seen.some(({ message }) => message.includes(trial.path())));
  });

  suite.test("watches that are garbage are closed with all that they hold", async (trial) => {
    const io = await trial.open();
    const seen = warnings(trial);
    const folder = trial.path("tree");
    mkdirSync(`${folder}/a/b`, { recursive: true });
    writeFileSync(`${folder}/a/file`, "");
    const { descriptors } = io.stats();
    for (let index = 0; index < 3; index++) await io.watch(folder, { recursive: true });
    assert.ok(io.stats().descriptors > descriptors);
    await collect(() => io.stats().descriptors === descriptors);
    assert.is(io.stats().descriptors, descriptors);
    await until(io, () => seen.length > 0, "the warning");
    assert.ok(seen.some(({ message }) => message.includes(`the watch of '${folder}'`)));
  });

  suite.test("the place of the open is shown on request", async (trial) => {
    const io = await trial.open({ debug: { traceOpens: true } });
    const seen = warnings(trial) as (Error & { detail?: string })[];
    writeFileSync(trial.path(), "content");
    await (async function forgetful() {
      await io.openFile(trial.path());
    })();
    await collect(() => seen.length > 0);
    await until(io, () => seen.length > 0, "the warning");
    assert.match(String(seen[0]?.detail), /forgetful/);
  });
}

function registerKept(suite: Suite): void {
  suite.test("what was closed gives no warning", async (trial) => {
    const io = await trial.open();
    const seen = warnings(trial);
    writeFileSync(trial.path(), "content");
    for (let index = 0; index < 20; index++) await (await io.openFile(trial.path())).close();
    await collect();
    assert.equal(seen, []);
  });

  suite.test("a descriptor that the program has taken is left alone", async (trial) => {
    const io = await trial.open();
    const seen = warnings(trial);
    writeFileSync(trial.path(), "content");
    const { descriptor } = await io.openFile(trial.path());
    await collect();
    const buffer = new Uint8Array(7);
    const count = await success(io, (c, callback) =>
      io.ring.read(c, callback, descriptor, buffer, 0),
    );
    assert.equal([count, seen], [7, []]);
  });

  suite.test("what is in flight goes on without its socket, and keeps its IO", async (trial) => {
    const seen = warnings(trial);
    const { served, waiting, buffer } = await (async () => {
      const pair = await connected(trial);
      const memory = new Uint8Array(5);
      return { served: pair.served, buffer: memory, waiting: pair.client.receive(memory) };
    })();
    await collect();
    await served.sendAll(Buffer.from("hello"));
    assert.is(await waiting, 5);
    assert.is(Buffer.from(buffer).toString(), "hello");
    // The program can close neither socket any more, once it has used them.
    assert.equal(
      seen.map(({ message }) => message).filter((text) => /an IO/.test(text)),
      [],
    );
  });

  suite.test("a file keeps its IO, and so do a ring and its operations", async (trial) => {
    const seen = warnings(trial);
    writeFileSync(trial.path(), "content");
    const { backend } = suite;
    const file: File = await (await IO.open({ backend })).openFile(trial.path());
    const { ring } = await IO.open({ backend });
    let fired = false;
    (await IO.open({ backend })).ring.timeout(
      new Completion(),
      () => {
        fired = true;
      },
      50_000_000,
    );
    await collect();
    assert.is(await file.read(new Uint8Array(7), 0), 7);
    await new Promise<void>((resolve) => ring.nop(new Completion(), () => resolve()));
    await collect(() => fired);
    const io = await trial.open();
    await until(io, () => fired, "the time-out of an unreachable IO");
    assert.equal(seen.length > 0 ? seen.map(({ message }) => /an IO/.test(message)) : [true], [
      true,
    ]);
    await file.close();
  });
}

/** The socket is given up, and its peer is not. */
async function forgetSocket(io: IO): Promise<{ served: Socket; name: string }> {
  const listener = await io.listen({ port: 0 });
  const connecting = io.connect({ port: listener.address.port });
  const served = await listener.accept();
  const { remoteAddress } = await connecting;
  await listener.close();
  return { served, name: `the socket to ${remoteAddress!.host}:${remoteAddress!.port}` };
}

function registerSockets(suite: Suite): void {
  suite.test("sockets and listeners that were never closed are named, and stay", async (trial) => {
    const io = await trial.open();
    const seen = warnings(trial);
    const { served, name } = await forgetSocket(io);
    const at = await (async () => (await io.listen({ port: 0 })).address.port)();
    const datagrams = await (async () =>
      (await io.openDatagram({ host: "127.0.0.1", port: 0 })).localAddress.port)();
    const names = [
      name,
      `the listener of 127.0.0.1:${at}`,
      `the datagram socket of 127.0.0.1:${datagrams}`,
    ];
    const { descriptors } = io.stats();
    const all = (): string => seen.map(({ message }) => message).join();
    const areNamed = (): boolean => names.every((one) => all().includes(one));
    await collect(areNamed);
    assert.ok(areNamed(), all());
    assert.match(all(), "It stays open until its IO is closed; close what you open");
    assert.is(io.stats().descriptors, descriptors);
    // The peer of the socket sees no end.
    const end = new Watched(served.receive(new Uint8Array(1)));
    await roundTrips(io);
    assert.is(end.state, "pending");
    await served.close();
    assert.is(await failureCode(end.promise), "ECANCELED");
  });

  suite.test("no warning of what was closed, or whose descriptor was asked for", async (trial) => {
    const io = await trial.open();
    const seen = warnings(trial);
    for (let round = 0; round < 10; round++) {
      const listener = await io.listen({ port: 0 });
      const connecting = io.connect({ port: listener.address.port });
      await Promise.all([(await listener.accept()).close(), (await connecting).close()]);
      await listener.close();
      await (await io.openDatagram({ host: "127.0.0.1", port: 0 })).close();
    }
    const datagram = await (async () =>
      (await io.openDatagram({ host: "127.0.0.1", port: 0 })).descriptor)();
    const listener = await (async () => (await io.listen({ port: 0 })).descriptor)();
    await collect();
    for (const descriptor of [datagram, listener]) {
      assert.is(await success(io, (c, callback) => io.ring.close(c, callback, descriptor)), 0);
    }
    assert.equal(seen, []);
  });

  suite.test("a loop over what is received keeps its socket", async (trial) => {
    const io = await trial.open();
    const seen = warnings(trial);
    const { served, chunks } = await (async () => {
      const listener = await io.listen({ port: 0 });
      const connecting = io.connect({ port: listener.address.port });
      const pair = { served: await listener.accept(), chunks: (await connecting).chunks() };
      await listener.close();
      return pair;
    })();
    await collect();
    assert.equal(seen, []);
    await served.close();
    assert.is((await chunks.next()).done, true);
  });
}

function registerIOs(suite: Suite): void {
  suite.test("an IO that was never closed is closed when it is garbage", async (trial) => {
    const seen = warnings(trial);
    const { backend } = suite;
    for (let index = 0; index < 5; index++) await (await IO.open({ backend })).nop();
    await collect(() => seen.length >= 5);
    assert.ok(seen.length >= 5);
    assert.match(String(seen[0]?.message), /IO is garbage/);
  });

  suite.test("the IO that was used last of all is garbage as any other", async () => {
    const { backend } = suite;
    let collected = 0;
    const registry = new FinalizationRegistry(() => collected++);
    await (async () => {
      const io = await IO.open({ backend });
      registry.register(io, 0);
      await io.nop();
    })();
    await collect(() => collected > 0);
    assert.is(collected, 1);
  });
}
