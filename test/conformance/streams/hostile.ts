// Hostile networks and programs: operations that wait side by side while everything is closed,
// numbers that are reused at once, peers that reset in the middle, and no descriptors left.

import { once } from "node:events";
import { createServer, type Socket as PlainSocket } from "node:net";
import type { Descriptor, IO } from "@io/core";
import * as assert from "uvu/assert";
import { runChildWithDescriptors } from "../support/children.js";
import { text } from "../support/data.js";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { listeningDescriptor, pairOfDescriptors, unixAddress } from "../support/network.js";
import { negative, outcome, roundTrips, Started, success, until } from "../support/verbs.js";

const CANCELED = negative("ECANCELED");

export function streamsHostile(suite: Suite): void {
  for (const mode of MODES) {
    registerWaiting(suite, mode);
    registerReuse(suite, mode);
    registerReset(suite, mode);
  }
  registerExhausted(suite);
}

function receive(io: IO, descriptor: Descriptor, buffer: Uint8Array): Started {
  return new Started((c, callback) => io.ring.receive(c, callback, descriptor, buffer));
}

function send(io: IO, descriptor: Descriptor, bytes: Uint8Array): Started {
  return new Started((c, callback) => io.ring.send(c, callback, descriptor, bytes));
}

/** Sends until nothing more goes: gives the sends that have been taken, and one that waits. */
async function fill(io: IO, descriptor: Descriptor): Promise<{ sent: number; waiting: Started }> {
  const chunk = new Uint8Array(65_536);
  let sent = 0;
  for (;;) {
    const waiting = send(io, descriptor, chunk);
    await roundTrips(io);
    if (!waiting.done) return { sent, waiting };
    assert.ok(waiting.result > 0, `a send gave ${waiting.result}`);
    sent += waiting.result;
  }
}

function registerWaiting(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: of two receives that wait, one is cancelled`, async (trial) => {
    const io = await trial.open({ mode });
    const { near, far } = await pairOfDescriptors(io);
    for (const cancelled of [0, 1]) {
      const buffers = [new Uint8Array(4), new Uint8Array(4)];
      const both = buffers.map((buffer) => receive(io, near, buffer));
      await roundTrips(io, 2);
      const target = both[cancelled] as Started;
      const cancel = await outcome(io, (c, callback) =>
        io.ring.cancel(c, callback, target.completion),
      );
      assert.is(cancel, 0);
      await until(io, () => target.done, "the end of what was cancelled");
      assert.is(target.result, CANCELED);
      const other = both[1 - cancelled] as Started;
      assert.not(other.done);
      await success(io, (c, callback) => io.ring.send(c, callback, far, Buffer.from("kept")));
      await until(io, () => other.done, "the other receive");
      assert.is(other.result, 4);
      assert.is(text(buffers[1 - cancelled] as Uint8Array), "kept");
      assert.equal([...(buffers[cancelled] as Uint8Array)], [0, 0, 0, 0]);
    }
  });

  suite.test(
    `${mode}: a close ends receives and sends that wait, then completes`,
    async (trial) => {
      const io = await trial.open({ mode });
      const { near, far } = await pairOfDescriptors(io);
      const { sent, waiting } = await fill(io, near);
      const started = [
        waiting,
        send(io, near, Buffer.from("behind")),
        receive(io, near, new Uint8Array(4)),
        receive(io, near, new Uint8Array(4)),
      ];
      await roundTrips(io, 2);
      const closing = new Started((c, callback) => {
        io.ring.close(
          c,
          (completion, result) => {
            assert.ok(
              started.every(({ done }) => done),
              "everything has ended before the close",
            );
            callback(completion, result);
          },
          near,
        );
      });
      const refused = receive(io, near, new Uint8Array(4));
      await until(io, () => closing.done && refused.done, "the close");
      assert.equal([closing.result, refused.result], [0, negative("EBADF")]);
      for (const { result } of started) assert.is(result, CANCELED);
      const buffer = new Uint8Array(65_536);
      let received = 0;
      for (;;) {
        const count = await outcome(io, (c, callback) => io.ring.receive(c, callback, far, buffer));
        if (count <= 0) break;
        received += count;
      }
      assert.is(received, sent, "what was taken arrives, and nothing of what was cancelled");
    },
  );
}

function registerReuse(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a number that is reused at once is another descriptor`, async (trial) => {
    const io = await trial.open({ mode });
    const address = unixAddress();
    const listening = await listeningDescriptor(io, address);
    const seen = new Set<Descriptor>();
    for (let round = 0; round < 100; round++) {
      const old = await connectedTo(io, listening, address);
      const stale = [
        receive(io, old.near, new Uint8Array(4)),
        receive(io, old.far, new Uint8Array(4)),
      ];
      // All of it in one batch: the closes free the numbers that the next connection takes.
      const closes = [old.near, old.far].map(
        (descriptor) => new Started((c, callback) => io.ring.close(c, callback, descriptor)),
      );
      const next = await connectedTo(io, listening, address);
      const buffer = new Uint8Array(4);
      const fresh = receive(io, next.near, buffer);
      await until(io, () => [...stale, ...closes].every(({ done }) => done), "the closes");
      for (const { result } of stale) assert.is(result === CANCELED || result === 0, true);
      for (const descriptor of [old.near, old.far]) {
        const late = await outcome(io, (c, cb) => io.ring.cancelDescriptor(c, cb, descriptor));
        assert.is(late, negative("EBADF"));
        assert.not(seen.has(descriptor), "no descriptor comes twice");
        seen.add(descriptor);
      }
      assert.not(fresh.done, "the receive on the new one still waits");
      await success(io, (c, callback) => io.ring.send(c, callback, next.far, Buffer.from("new")));
      await until(io, () => fresh.done, "the receive on the new one");
      assert.equal([fresh.result, text(buffer, 3)], [3, "new"]);
      for (const descriptor of [next.near, next.far]) {
        await success(io, (c, callback) => io.ring.close(c, callback, descriptor));
      }
    }
  });
}

async function connectedTo(
  io: IO,
  listening: Descriptor,
  address: ReturnType<typeof unixAddress>,
): Promise<{ near: Descriptor; far: Descriptor }> {
  const near = await success(io, (c, callback) => io.ring.socket(c, callback, "unix"));
  await success(io, (c, callback) => io.ring.connect(c, callback, near, address));
  const far = await success(io, (c, callback) => io.ring.accept(c, callback, listening));
  return { near, far };
}

async function connectedToPlain(
  trial: Trial,
  io: IO,
): Promise<{ near: Descriptor; peer: PlainSocket }> {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  trial.defer(() => server.close());
  const bound = server.address();
  const port = typeof bound === "object" ? (bound?.port ?? 0) : 0;
  const address = { family: "ipv4", host: "127.0.0.1", port } as const;
  const coming = once(server, "connection") as Promise<[PlainSocket]>;
  const near = await success(io, (c, callback) => io.ring.socket(c, callback, "ipv4"));
  await success(io, (c, callback) => io.ring.connect(c, callback, near, address));
  const [peer] = await coming;
  peer.on("error", () => undefined);
  trial.defer(() => peer.destroy());
  return { near, peer };
}

function registerReset(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a peer that resets in the middle ends what waits for it`, async (trial) => {
    const io = await trial.open({ mode });
    const { near, peer } = await connectedToPlain(trial, io);
    const { near: other, peer: staying } = await connectedToPlain(trial, io);
    const untouched = receive(io, other, new Uint8Array(4));
    peer.write("before");
    const buffer = new Uint8Array(16);
    const first = await outcome(io, (c, callback) => io.ring.receive(c, callback, near, buffer));
    assert.equal([first, text(buffer, first)], [6, "before"]);
    const { waiting } = await fill(io, near);
    const behind = send(io, near, Buffer.from("behind"));
    const receives = [receive(io, near, buffer), receive(io, near, buffer)];
    await roundTrips(io, 2);
    peer.resetAndDestroy();
    const all = [waiting, behind, ...receives];
    await until(io, () => all.every(({ done }) => done), "the ends of all");
    // The error of a socket is reported once; after it a stream is over, and nothing can be sent.
    const results = all.map(({ result }) => result);
    assert.is(
      results.filter((result) => result === negative("ECONNRESET")).length,
      1,
      `${results}`,
    );
    for (const { result } of [waiting, behind]) {
      assert.ok([negative("ECONNRESET"), negative("EPIPE")].includes(result), `${result}`);
    }
    for (const { result } of receives) {
      assert.ok([negative("ECONNRESET"), 0].includes(result), `${result}`);
    }
    const late = await outcome(io, (c, callback) => io.ring.send(c, callback, near, buffer));
    assert.is(late, negative("EPIPE"));
    assert.not(untouched.done, "the other connection");
    staying.write("here");
    await until(io, () => untouched.done, "the other connection");
    assert.is(untouched.result, 4);
    assert.is(await success(io, (c, callback) => io.ring.close(c, callback, near)), 0);
  });

  suite.test(`${mode}: what came before a reset is read first`, async (trial) => {
    const io = await trial.open({ mode });
    const { near, peer } = await connectedToPlain(trial, io);
    await new Promise<void>((resolve) => peer.write("all of it", () => resolve()));
    peer.resetAndDestroy();
    await once(peer, "close");
    await roundTrips(io, 2);
    const buffer = new Uint8Array(4);
    let received = "";
    let result: number;
    do {
      result = await outcome(io, (c, callback) => io.ring.receive(c, callback, near, buffer));
      if (result > 0) received += text(buffer, result);
    } while (result > 0);
    assert.equal([received, result], ["all of it", negative("ECONNRESET")]);
    const end = await outcome(io, (c, callback) => io.ring.receive(c, callback, near, buffer));
    assert.is(end, 0);
  });
}

/** Far below what a loop that never waits makes in that time, far above what a patient one does. */
const MAX_CALLS = 500;

function registerExhausted(suite: Suite): void {
  suite.test("accepting without descriptors waits, and loses no connection", async () => {
    const { status, signal, output } = await runChildWithDescriptors(
      160,
      "accept-exhausted",
      suite.backend,
    );
    assert.equal([status, signal], [0, null], output);
    const [ring, multishot, calls, served] = output.trim().split("\n");
    assert.is(ring, "accept EMFILE");
    assert.is(multishot, "acceptMultishot EMFILE, last");
    const made = Number(/^system calls (\d+)$/.exec(calls ?? "")?.[1]);
    assert.ok(made <= MAX_CALLS, output);
    assert.is(served, "served 8");
  });

  suite.test("a listener that waits for descriptors keeps no process alive, unref'd", async () => {
    const program = "accept-exhausted-unref";
    const { status, signal, output } = await runChildWithDescriptors(160, program, suite.backend);
    assert.equal([status, signal, output.trim()], [0, null, "unreferenced"]);
  });
}
