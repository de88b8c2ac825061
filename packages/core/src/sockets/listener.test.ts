// A listener over a ring whose operations fail on request: the errors that end a loop over it, and
// those that do not.

import { constants } from "node:os";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { NativeSession } from "../engine/native.js";
import type { Callback, Completion } from "../ring/completion.js";
import type { Operations } from "../ring/promises.js";
import { Listener } from "./listener.js";
import type { Socket } from "./socket.js";

const test = suite("listener");

interface Accept {
  readonly completion: Completion;
  readonly callback: Callback;
}

/** What a listener needs of an IO. */
class FakeRing {
  readonly accepts: Accept[] = [];
  readonly timers: Accept[] = [];
  readonly waiting: (() => void)[] = [];
  hasRoom = true;
  closed: number[] = [];

  get operations(): Operations {
    const operations = {
      forgotten: { watch: () => undefined, release: () => undefined },
      ring: {
        accept: (completion: Completion, callback: Callback) =>
          start(this.accepts, completion, callback),
        timeout: (completion: Completion, callback: Callback) =>
          start(this.timers, completion, callback),
      },
      backend: "fake",
      hasRoomBeside: () => this.hasRoom,
      apart: () => undefined,
      whenRoom: (callback: () => void) => this.waiting.push(callback),
      check: () => undefined,
      cancel: () => undefined,
      close: (descriptor: number) => {
        this.closed.push(descriptor);
        return Promise.resolve();
      },
    };
    return operations as unknown as Operations;
  }

  /** Ends the oldest accept, or timer. */
  end(list: Accept[], result: number): void {
    const { completion, callback } = list.shift() as Accept;
    completion._slot = -1;
    callback(completion, result);
  }

  giveRoom(): void {
    this.hasRoom = true;
    for (const start of this.waiting.splice(0)) start();
  }
}

function start(list: Accept[], completion: Completion, callback: Callback): void {
  assert.not(completion.active);
  completion._slot = 1;
  list.push({ completion, callback });
}

const ADDRESS = { family: "ipv4", host: "127.0.0.1", port: 1 } as const;

function listen(): { fake: FakeRing; listener: Listener; taken: unknown[] } {
  const fake = new FakeRing();
  const listener = new Listener(
    fake.operations,
    3,
    ADDRESS,
    (descriptor) => descriptor as unknown as Socket,
    { setRef: () => undefined } as unknown as NativeSession,
  );
  const taken: unknown[] = [];
  const loop = async (): Promise<void> => {
    for await (const socket of listener) taken.push(socket);
    taken.push("done");
  };
  loop().catch((error) => taken.push(error.code));
  return { fake, listener, taken };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const { errno } = constants;

for (const code of ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] as const) {
  test(`${code}: the loop waits a while, and goes on`, async () => {
    const { fake, taken } = listen();
    await turn();
    for (let round = 0; round < 3; round++) {
      while (fake.accepts.length > 0) fake.end(fake.accepts, -errno[code]);
      assert.is(fake.timers.length, 1);
      // Nothing is tried meanwhile.
      assert.is(fake.accepts.length, 0);
      fake.end(fake.timers, 0);
      assert.ok(fake.accepts.length > 0);
    }
    fake.end(fake.accepts, 77);
    await turn();
    assert.equal(taken, [77]);
  });

  test(`${code} when there is no room for a timer either`, async () => {
    const { fake, taken } = listen();
    await turn();
    fake.hasRoom = false;
    while (fake.accepts.length > 0) fake.end(fake.accepts, -errno[code]);
    assert.equal([fake.timers.length, fake.accepts.length, fake.waiting.length], [0, 0, 1]);
    fake.giveRoom();
    fake.end(fake.accepts, 77);
    await turn();
    assert.equal(taken, [77]);
  });
}

for (const code of [
  "ECONNABORTED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "EINTR",
  "ENETDOWN",
  "ENETUNREACH",
  "ENOPROTOOPT",
  "EPERM",
  "EPROTO",
  "ETIMEDOUT",
] as const) {
  test(`${code} is about one connection: the loop takes the next`, async () => {
    const { fake, taken } = listen();
    await turn();
    for (let count = 0; count < 20; count++) fake.end(fake.accepts, -errno[code]);
    assert.is(fake.timers.length, 0);
    fake.end(fake.accepts, 77);
    await turn();
    assert.equal(taken, [77]);
  });
}

test("without room nothing is accepted, and with room it goes on", async () => {
  const { fake, listener, taken } = listen();
  await turn();
  fake.hasRoom = false;
  for (let descriptor = 10; fake.accepts.length > 0; descriptor++) {
    fake.end(fake.accepts, descriptor);
    await turn();
  }
  assert.is(fake.waiting.length, 1);
  const before = taken.length;
  assert.ok(before > 0);
  fake.giveRoom();
  fake.end(fake.accepts, 77);
  await turn();
  assert.is(taken.length, before + 1);
  await listener.close();
  await turn();
  assert.is(taken.at(-1), "done");
  // A listener that is closed while it waits for space starts nothing more.
  fake.giveRoom();
  assert.ok(fake.accepts.every(({ completion }) => completion.active));
});

test("an error of the listener itself ends the loop", async () => {
  const { fake, taken } = listen();
  await turn();
  fake.end(fake.accepts, -errno.EINVAL);
  await turn();
  assert.equal(taken, ["EINVAL"]);
});

test.run();
