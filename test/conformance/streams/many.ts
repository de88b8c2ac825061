// Many sockets at once: an event on one of them has no effect on the others.

import type { IO } from "@io/core";
import * as assert from "uvu/assert";
import { MODES, type Mode, type Suite } from "../support/harness.js";
import { listeningDescriptor, unixAddress } from "../support/network.js";
import { negative, outcome, roundTrips, Started, success, until } from "../support/verbs.js";

const CANCELED = negative("ECANCELED");
const SENDS = 8;
const SOCKETS = 48;

export function streamsMany(suite: Suite): void {
  for (const mode of MODES) {
    registerCalls(suite, mode);
    registerEnds(suite, mode);
    registerClosed(suite, mode);
  }
}

interface Ends {
  readonly near: number;
  readonly far: number;
}

async function connectMany(io: IO, count: number): Promise<Ends[]> {
  const address = unixAddress();
  const listening = await listeningDescriptor(io, address);
  const ends: Ends[] = [];
  while (ends.length < count) {
    const accept = new Started((c, callback) => io.ring.accept(c, callback, listening));
    const near = await success(io, (c, callback) => io.ring.socket(c, callback, "unix"));
    await success(io, (c, callback) => io.ring.connect(c, callback, near, address));
    await until(io, () => accept.done, "the accept");
    ends.push({ near, far: accept.result });
  }
  return ends;
}

/** The sends of each socket follow one another, and are a call, however many sockets there are. */
function registerCalls(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: sends that go together complete together`, async (trial) => {
    // All sends fill the ring several times, so no batch has them all.
    const io = await trial.open({ mode, entries: 128 });
    const all = await connectMany(io, SOCKETS);
    const bytes = new Uint8Array(16);
    const rounds = 4;
    const reported: number[] = [];
    const expected: number[] = [];
    let ended = 0;
    for (const [index, { near }] of all.entries()) {
      for (let number = 0; number < SENDS; number++) {
        expected.push(index);
        let left = rounds;
        const send = (): void => {
          new Started((c, callback) =>
            io.ring.send(
              c,
              (completion, result) => {
                callback(completion, result);
                if (--left === 0) ended++;
                else send();
                reported.push(index);
              },
              near,
              bytes,
            ),
          );
        };
        send();
      }
    }
    await until(io, () => ended === SOCKETS * SENDS, "all sends");
    assert.equal(reported.slice(0, expected.length), expected, "socket by socket");
    assert.is(io.stats().coalescedSends, rounds * SOCKETS * (SENDS - 1));
  });
}

/** Sends for which there is no room, and receives for which nothing comes. */
class Waiting {
  readonly operations: Started[] = [];
  readonly near: number;

  constructor(io: IO, { near }: Ends) {
    const { ring } = io;
    const bytes = new Uint8Array(256 * 1024);
    this.near = near;
    const start = (started: Started): void => void this.operations.push(started);
    for (let number = 0; number < SENDS; number++) {
      start(new Started((c, callback) => ring.send(c, callback, near, bytes)));
    }
    for (let number = 0; number < 3; number++) {
      start(new Started((c, callback) => ring.receive(c, callback, near, new Uint8Array(9))));
    }
  }

  /** Those that wait on; the others had room. */
  get left(): Started[] {
    return this.operations.filter(({ done }) => !done);
  }
}

async function waitOnAll(io: IO, ends: readonly Ends[]): Promise<Waiting[]> {
  const waiting = ends.map((one) => new Waiting(io, one));
  await roundTrips(io, 10);
  for (const { left } of waiting) assert.ok(left.length > 5, "most of it waits");
  return waiting;
}

function registerEnds(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: an end on one of many sockets is for what waits there`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const waiting = await waitOnAll(io, await connectMany(io, SOCKETS));
    const counts = (): number[] => waiting.map(({ left }) => left.length);
    const ended = async (index: number, code: number): Promise<void> => {
      const before = counts();
      const { left } = waiting[index] as Waiting;
      before[index] = 0;
      await until(io, () => left.every(({ done }) => done), "the end of what waits");
      await roundTrips(io, 5);
      for (const one of left) assert.ok(one.result === code || one.result > 0);
      assert.equal(counts(), before, "the others wait on");
    };
    const closed = waiting[7] as Waiting;
    assert.is(await outcome(io, (c, callback) => ring.close(c, callback, closed.near)), 0);
    await ended(7, CANCELED);
    const cancelled = waiting[20] as Waiting;
    const max = cancelled.left.length;
    const count = await success(io, (c, callback) =>
      ring.cancelDescriptor(c, callback, cancelled.near),
    );
    assert.is(count, max);
    await ended(20, CANCELED);
  });
}

/** All at once, in an order of their own. */
function registerClosed(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: many sockets are closed at once beside others`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const ends = await connectMany(io, SOCKETS);
    const waiting = await waitOnAll(io, ends);
    const order = [...ends.keys()].filter((index) => index % 4 !== 1).reverse();
    const closes = order.map(
      (index) => new Started((c, callback) => ring.close(c, callback, (ends[index] as Ends).near)),
    );
    await until(io, () => closes.every(({ done }) => done), "the closes");
    for (const close of closes) assert.is(close.result, 0);
    for (const [index, { operations, left }] of waiting.entries()) {
      if (index % 4 === 1) assert.ok(left.length > 5, "it waits on");
      else for (const one of operations) assert.ok(one.result === CANCELED || one.result > 0);
    }
  });
}
