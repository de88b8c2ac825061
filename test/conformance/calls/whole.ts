// Calls that are made of many operations: a time limit and a signal are of the whole call, and the
// error says how far it has come. A peer that lets each operation succeed in time cannot prolong
// it.

import { writeFileSync } from "node:fs";
import type { IO, IOError, OperationOptions, Socket } from "@io/core";
import * as assert from "uvu/assert";
import { pattern } from "../support/data.js";
import type { Suite, Trial } from "../support/harness.js";
import { connected } from "../support/network.js";
import { failureCode, roundTrips, turn, Watched } from "../support/verbs.js";

export function wholeCalls(suite: Suite): void {
  registerLimits(suite);
  registerSignals(suite);
  registerAtOnce(suite);
  registerCloses(suite);
}

const TOTAL_BYTES = 64 * 1024 * 1024;

interface Call {
  readonly name: string;
  /** Starts it; it would take longer than any test. */
  start(trial: Trial, socket: Socket, options: OperationOptions): Promise<unknown>;
  /** The peer lets it go on a little; resolves with how many bytes. */
  step(peer: Socket): Promise<number>;
}

async function feed(peer: Socket): Promise<number> {
  await peer.sendAll("x");
  return 1;
}

const room = new Uint8Array(65_536);
const drain = (peer: Socket): Promise<number> => peer.receive(room);

const CALLS: readonly Call[] = [
  {
    name: "receiveFull",
    start: (_, socket, options) => socket.receiveFull(new Uint8Array(TOTAL_BYTES), options),
    step: feed,
  },
  {
    name: "sendAll",
    start: (_, socket, options) => socket.sendAll(new Uint8Array(TOTAL_BYTES), options),
    step: drain,
  },
  {
    name: "sendAll of a list",
    start: (_, socket, options) =>
      socket.sendAll(["head", new Uint8Array(TOTAL_BYTES - 4)], options),
    step: drain,
  },
  {
    name: "sendAll without a copy",
    start: (_, socket, options) =>
      socket.sendAll(new Uint8Array(TOTAL_BYTES), { ...options, zeroCopy: "auto" }),
    step: drain,
  },
  {
    name: "sendFile",
    start: async (trial, socket, options) => {
      const io = ioOf.get(socket) as IO;
      const path = trial.path("large");
      writeFileSync(path, pattern(TOTAL_BYTES));
      const file = await io.openFile(path);
      return socket.sendFile(file, 0, null, options);
    },
    step: drain,
  },
];

const ioOf = new WeakMap<Socket, IO>();

/** What the call fails with, and how far its peer has let it come. */
async function runWith(trial: Trial, call: Call, ends: Ends): Promise<[IOError, number]> {
  const { io, client, served } = await connected(trial);
  ioOf.set(served, io);
  const { options, before } = ends(io);
  const ended = new Watched(call.start(trial, served, options));
  ended.promise.catch(() => undefined);
  let moved = 0;
  for (let step = 0; ended.state === "pending"; step++) {
    const over = ended.promise.then(ignore, ignore);
    moved += await Promise.race([call.step(client).catch(ignore), over]);
    await before(step);
  }
  const error = await ended.promise.then(
    () => null,
    (failure) => failure as IOError,
  );
  assert.ok(error !== null, `${call.name} has succeeded`);
  return [error as IOError, moved];
}

const ignore = (): number => 0;

type Ends = (io: IO) => {
  options: OperationOptions;
  before: (step: number) => Promise<void> | void;
};

function checkTransferred(call: Call, { transferred }: IOError, moved: number): void {
  assert.type(transferred, "number");
  const count = transferred as number;
  assert.ok(count > 0 && count < TOTAL_BYTES, `${count} bytes`);
  // The receiver has exactly the bytes that were fed, and the sender has sent at least the bytes
  // that the peer has drained. The last byte may have arrived while its own send was not settled
  // yet.
  if (call.name === "receiveFull") assert.ok(count <= moved + 1, `${count} of ${moved} bytes`);
  else assert.ok(count >= moved, `${count} of ${moved} bytes`);
}

function registerLimits(suite: Suite): void {
  for (const call of CALLS) {
    suite.test(`${call.name}: a peer that is slow does not prolong a time limit`, async (trial) => {
      const [error, moved] = await runWith(trial, call, (io) => ({
        options: { timeoutMs: 200 },
        before: () => io.sleep(1),
      }));
      assert.is(error.code, "ETIMEDOUT");
      checkTransferred(call, error, moved);
    });
  }
}

function registerSignals(suite: Suite): void {
  for (const call of CALLS) {
    suite.test(`${call.name}: an abort says how far it has come`, async (trial) => {
      const controller = new AbortController();
      const [error, moved] = await runWith(trial, call, (io) => ({
        options: { signal: controller.signal },
        before: async (step) => {
          await roundTrips(io, 1);
          if (step === 20) controller.abort();
        },
      }));
      assert.is(error.code, "ABORT_ERR");
      checkTransferred(call, error, moved);
    });
  }
}

function registerAtOnce(suite: Suite): void {
  suite.test("a time limit of 0 is no time, in every call that waits", async (trial) => {
    const { io, listener, served } = await connected(trial);
    const datagrams = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    const now = { timeoutMs: 0 };
    const waits: [name: string, wait: () => Promise<unknown>][] = [
      ["receive", () => served.receive(new Uint8Array(8), now)],
      ["receiveFull", () => served.receiveFull(new Uint8Array(8), now)],
      ["chunks", () => served.chunks(now).next()],
      ["accept", () => listener.accept(now)],
      ["receive of datagrams", () => datagrams.receive(new Uint8Array(8), now)],
      ["chunks of datagrams", () => datagrams.chunks(now).next()],
      ["a look-up", () => io.connect({ host: "a.invalid", port: 1, lookup: () => {}, ...now })],
    ];
    for (const [name, wait] of waits) assert.is(await failureCode(wait()), "ETIMEDOUT", name);
  });
}

function registerCloses(suite: Suite): void {
  for (const call of CALLS) {
    suite.test(`${call.name}: a close ends it with ECANCELED, whenever it comes`, async (trial) => {
      const [error, moved] = await runWith(trial, call, (io) => ({
        options: {},
        before: async (step) => {
          if (step < 20) await roundTrips(io, 1);
          else if (step === 20) await trial.close(io);
          else await turn();
        },
      }));
      assert.is(error.code, "ECANCELED");
      checkTransferred(call, error, moved);
    });
  }
}
