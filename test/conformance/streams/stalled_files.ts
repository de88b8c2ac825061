// Files to peers that take nothing: how much memory they hold, and what goes on beside them.

import { writeFileSync } from "node:fs";
import { Completion, type File, type IO, type IOOptions, type Socket } from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import { hash, pattern } from "../support/data.js";
import { guarded, type Suite, type Trial } from "../support/harness.js";
import { connectTo, FAMILIES } from "../support/network.js";
import { failureCode, negative, roundTrips, Started, startChain, until } from "../support/verbs.js";

const MIB = 1024 * 1024;
// More than the socket of a unix path holds.
const FILE_BYTES = 2 * MIB;
const FIRST_BYTES = 1000;
const UNIX = FAMILIES.find(({ family }) => family === "unix")!;

interface Scene {
  readonly io: IO;
  readonly file: File;
  readonly content: Uint8Array;
  connect(): Promise<[client: Socket, served: Socket]>;
}

async function scene(trial: Trial, direct: boolean, options: IOOptions): Promise<Scene> {
  const content = pattern(FILE_BYTES);
  writeFileSync(trial.path("sent"), content);
  const io = await trial.open(options);
  const file = await io.openFile(trial.path("sent"), { direct });
  const listener = await io.listen(UNIX.listening(trial));
  return { io, file, content, connect: () => connectTo(io, listener) };
}

interface Transfer {
  readonly client: Socket;
  readonly served: Socket;
  readonly sending: Promise<number>;
}

async function begin(
  { file, connect }: Scene,
  options: { signal?: AbortSignal; timeoutMs?: number } = {},
): Promise<Transfer> {
  const [client, served] = await connect();
  const sending = served.sendFile(file, 0, FILE_BYTES, options);
  sending.catch(() => undefined);
  return { client, served, sending };
}

/** Begins transfers to peers that do not read. */
async function stall(made: Scene, count: number): Promise<Transfer[]> {
  const all: Transfer[] = [];
  while (all.length < count) all.push(await begin(made));
  return all;
}

/** What a peer has received when its file has come. */
async function receiveAll({ client }: Transfer): Promise<string> {
  const bytes = new Uint8Array(FILE_BYTES);
  await client.receiveFull(bytes);
  return hash(bytes);
}

function registerOrdinary(suite: Suite): void {
  suite.test("200 peers that take nothing of a file hold no memory of the program", async (t) => {
    const made = await scene(t, false, { buffersMaxBytes: 4 * MIB });
    const before = process.memoryUsage().arrayBuffers;
    const stalled = await stall(made, 200);
    for (const { client } of stalled) await client.receiveFull(new Uint8Array(FIRST_BYTES));
    await roundTrips(made.io);
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 4 * MIB, `${grown} bytes more`);
    made.io.buffers.acquire(4 * MIB)[Symbol.dispose]();
    const healthy = await begin(made);
    const received = guarded("the file for a peer that reads", receiveAll(healthy));
    assert.is(await received, hash(made.content));
    assert.is(await healthy.sending, FILE_BYTES);
  });

  suite.test("a socket that has sent a file waits for its peer as before", async (trial) => {
    const made = await scene(trial, false, {});
    const { client, served, sending } = await begin(made);
    assert.is(
      await guarded("the file", receiveAll({ client, served, sending })),
      hash(made.content),
    );
    await sending;
    const { ring } = made.io;
    const received = new Uint8Array(4);
    const read = new Started((completion, callback) =>
      ring.read(completion, callback, served.descriptor, received, -1),
    );
    await roundTrips(made.io);
    assert.is(read.done, false, "nothing has come yet");
    await client.sendAll("abcd");
    await until(made.io, () => read.done, "the read");
    assert.is(read.result, 4);
    const large = served.sendAll(made.content);
    assert.is(await receiveAll({ client, served, sending }), hash(made.content));
    await guarded("a send that waited", large);
  });
}

/** Sends until the socket takes nothing more; gives the bytes that it took. */
async function fill(io: IO, descriptor: number): Promise<number> {
  const bytes = new Uint8Array(64 * 1024);
  for (let sentBytes = 0; ; ) {
    const one = new Started((completion, callback) =>
      io.ring.send(completion, callback, descriptor, bytes),
    );
    await roundTrips(io);
    if (!one.done) io.ring.cancel(new Completion(), () => undefined, one.completion);
    await until(io, () => one.done, "a send");
    if (one.result === negative("ECANCELED")) return sentBytes;
    assert.ok(one.result > 0, `${one.result}`);
    sentBytes += one.result;
  }
}

function registerRing(suite: Suite): void {
  suite.test("a chain that begins with a file waits for the peer", async (trial) => {
    const made = await scene(trial, false, {});
    const [client, served] = await made.connect();
    const { ring } = made.io;
    const send = (completion: Completion, callback: (c: Completion, result: number) => void) =>
      ring.sendFile(completion, callback, served.descriptor, made.file.descriptor, 0, FILE_BYTES);
    const chain = (): Started[] =>
      startChain(send, (completion, callback) => ring.nop(completion, callback));
    const sentBytes = await fill(made.io, served.descriptor);
    const ended = chain();
    await roundTrips(made.io);
    assert.equal(
      ended.map((one) => one.done),
      [false, false],
    );
    ring.cancel(new Completion(), () => undefined, ended[0]!.completion);
    await until(made.io, () => ended.every((one) => one.done), "the chain that is cancelled");
    assert.equal(
      ended.map((one) => one.result),
      [negative("ECANCELED"), negative("ECANCELED")],
    );
    const going = chain();
    await roundTrips(made.io);
    await client.receiveFull(new Uint8Array(sentBytes));
    await until(made.io, () => going.every((one) => one.done), "the chain");
    assert.ok(going[0]!.result > 0, `${going[0]!.result}`);
    assert.is(going[1]!.result, 0);
  });
}

// What is read past the page cache cannot go by the system's call.
function registerDirect(suite: Suite): void {
  const limited = { buffersMaxBytes: MIB };

  suite.test(
    "files that are read for peers that take nothing have half of io.buffers",
    async (t) => {
      const made = await scene(t, true, limited);
      const before = process.memoryUsage().arrayBuffers;
      const stalled = await stall(made, 40);
      await stalled[0]!.client.receiveFull(new Uint8Array(FIRST_BYTES));
      await roundTrips(made.io);
      const grown = process.memoryUsage().arrayBuffers - before;
      assert.ok(made.io.buffers.sizeBytes <= MIB, `${made.io.buffers.sizeBytes} bytes of blocks`);
      assert.ok(grown < 1.5 * MIB, `${grown} bytes more`);
      made.io.buffers.acquire(MIB / 2)[Symbol.dispose]();
    },
  );

  suite.test("they wait for each other in order, and all of them end", async (trial) => {
    const made = await scene(trial, true, limited);
    const stalled = await stall(made, 20);
    const order: number[] = [];
    const ended = stalled.map(({ sending }, index) => sending.then(() => order.push(index)));
    // One after the other: each makes place for the next ones.
    for (const transfer of stalled.slice(0, 10)) {
      const received = guarded("a file that waited", receiveAll(transfer));
      assert.is(await received, hash(made.content));
    }
    const rest = stalled.slice(10).map((transfer) => receiveAll(transfer));
    for (const received of await guarded("the rest", Promise.all(rest))) {
      assert.is(received, hash(made.content));
    }
    await guarded("every sendFile", Promise.all(ended));
    assert.equal(order.slice(0, 10), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  suite.test(
    "the wait for memory can be aborted, has a limit and ends with the socket",
    async (t) => {
      const made = await scene(t, true, limited);
      await stall(made, 20);
      const abort = new AbortController();
      const aborted = await begin(made, { signal: abort.signal });
      const late = await begin(made, { timeoutMs: 5 });
      const closed = await begin(made);
      const last = await begin(made);
      assert.is(await failureCode(guarded("the time limit", late.sending)), "ETIMEDOUT");
      abort.abort();
      assert.is(await failureCode(guarded("the abort", aborted.sending)), "ABORT_ERR");
      await closed.served.close();
      assert.is(await failureCode(guarded("the close", closed.sending)), "ERR_IO_CLOSED");
      await t.close(made.io);
      const code = await failureCode(guarded("the close of the IO", last.sending));
      assert.ok(["ECANCELED", "ERR_IO_CLOSED"].includes(code), code);
    },
  );

  suite.test("a program that holds all of io.buffers cannot stop them", async (trial) => {
    const made = await scene(trial, true, limited);
    using all = made.io.buffers.acquire(MIB);
    const transfers = await stall(made, 3);
    const received = Promise.all(transfers.map((transfer) => receiveAll(transfer)));
    for (const one of await guarded("the files", received)) assert.is(one, hash(made.content));
    assert.is(all.byteLength, MIB);
  });

  suite.test("what the program releases is for the transfer that waits", async (trial) => {
    const made = await scene(trial, true, limited);
    const all = made.io.buffers.acquire(MIB);
    const [first, second] = await stall(made, 2);
    await first!.client.receiveFull(new Uint8Array(FIRST_BYTES));
    made.io.buffers.release(all);
    const received = guarded("the second file", receiveAll(second!));
    assert.is(await received, hash(made.content), "the first one is stalled still");
  });
}

export function streamsStalledFiles(suite: Suite): void {
  const hasCall = !["openbsd", "netbsd"].includes(systemHere());
  if (hasCall) {
    registerOrdinary(suite);
    registerRing(suite);
  } else {
    suite.skip("files by the system's call for peers that take nothing", "there is no such call");
  }
  if (systemHere() === "openbsd") {
    suite.skip("files that are read for peers that take nothing", "OpenBSD has no direct I/O");
    return;
  }
  registerDirect(suite);
}
