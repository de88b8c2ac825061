// Memory of the user's own: buffers that the kernel must not get, and changes to one in flight.

import { readFileSync, writeFileSync } from "node:fs";
import { runInNewContext } from "node:vm";
import { Completion, type File, type Socket } from "@io/core";
import * as assert from "uvu/assert";
import { detach, growable, pattern, resizable, sameBytes } from "../support/data.js";
import { MODES, type Suite, type Trial } from "../support/harness.js";
import { connected, pairOfDescriptors } from "../support/network.js";
import { failureCode, refusalCode, Started, success, until } from "../support/verbs.js";

export function memoryUser(suite: Suite): void {
  registerDetached(suite);
  registerDetachedInFlight(suite);
  registerResizable(suite);
  registerMany(suite);
  registerRing(suite);
  registerRealms(suite);
}

/** Test runners and plug-in hosts run programs in contexts of their own, with their own classes. */
function registerRealms(suite: Suite): void {
  for (const made of ["new ArrayBuffer(64)", "new SharedArrayBuffer(64)"]) {
    suite.test(`${made} of another realm is memory like any other`, async (trial) => {
      const all = await things(trial);
      const view = runInNewContext(`new Uint8Array(${made})`) as Uint8Array;
      assert.is(await all.file.read(view, 0), 19);
      assert.is(Buffer.from(view.buffer, 0, 7).toString(), "content");
      assert.is(await all.file.readVectored([view, new Uint8Array(4)], 0), 19);
      assert.is(await all.client.send(view.subarray(0, 7)), 7);
      assert.is(await all.served.receive(view.subarray(20, 40)), 7);
    });
  }
}

interface Things {
  readonly file: File;
  readonly client: Socket;
  readonly served: Socket;
}

async function things(trial: Trial): Promise<Things> {
  const { io, client, served } = await connected(trial);
  writeFileSync(trial.path(), "content of the file");
  const file = await io.openFile(trial.path(), { read: true, write: true });
  return { file, client, served };
}

/** Every promise that takes memory. */
const USES: readonly [
  name: string,
  use: (things: Things, view: ArrayBufferView) => Promise<unknown>,
][] = [
  ["read", ({ file }, view) => file.read(view, 0)],
  ["write", ({ file }, view) => file.write(view, 0)],
  ["readFull", ({ file }, view) => file.readFull(view, 0)],
  ["writeAll", ({ file }, view) => file.writeAll(view, 0)],
  ["readVectored", ({ file }, view) => file.readVectored([Buffer.alloc(1), view], 0)],
  ["writeVectored", ({ file }, view) => file.writeVectored([Buffer.alloc(1), view], 0)],
  ["send", ({ client }, view) => client.send(view)],
  ["sendAll", ({ client }, view) => client.sendAll(view)],
  ["sendVectored", ({ client }, view) => client.sendVectored([Buffer.alloc(1), view])],
  ["receive", ({ client }, view) => client.receive(view)],
  ["receiveFull", ({ client }, view) => client.receiveFull(view)],
];

function registerDetached(suite: Suite): void {
  for (const [name, use] of USES) {
    suite.test(`${name}: a detached buffer is refused, used before or not`, async (trial) => {
      const all = await things(trial);
      const fresh = new Uint8Array(16);
      const known = new Uint8Array(16);
      await all.file.read(known, 0);
      const view = new DataView(new ArrayBuffer(16));
      for (const memory of [fresh, known, view]) {
        detach(memory);
        assert.is(await failureCode(use(all, memory)), "ERR_IO_BUFFER_DETACHED");
      }
      assert.is(readFileSync(trial.path(), "latin1"), "content of the file");
    });
  }

  suite.test("a chain with a detached buffer is refused", async (trial) => {
    const { io } = await connected(trial);
    const file = await io.openFile(trial.path(), { write: true, create: true });
    const view = new Uint8Array(16);
    const prepared = file.prepareWrite(view, 0);
    detach(view);
    assert.is(await failureCode(io.chain([prepared])), "ERR_IO_BUFFER_DETACHED");
  });
}

function registerDetachedInFlight(suite: Suite): void {
  suite.test("a buffer that is transferred in flight does no harm", async (trial) => {
    const { client, served } = await connected(trial);
    const view = new Uint8Array(1024);
    const receiving = client.receive(view);
    await served.send(Buffer.from("x")).then(() => undefined);
    await receiving;
    const second = client.receive(view);
    let refused = false;
    try {
      detach(view);
    } catch (error) {
      // Where the engine cannot keep the memory alive, it refuses the transfer.
      assert.is((error as Error).name, "DataCloneError");
      refused = true;
    }
    globalThis.gc?.();
    await served.sendAll(Buffer.alloc(1024, 7));
    assert.is(await second, 1024);
    if (!refused) assert.is(await failureCode(client.receive(view)), "ERR_IO_BUFFER_DETACHED");
  });
}

function registerResizable(suite: Suite): void {
  for (const [name, use] of USES) {
    suite.test(`${name}: memory that may shrink or grow is refused`, async (trial) => {
      const all = await things(trial);
      for (const memory of [resizable(16), growable(16)]) {
        assert.is(await failureCode(use(all, memory)), "ERR_INVALID_ARG_TYPE");
      }
    });
  }
}

function registerMany(suite: Suite): void {
  suite.test("thousands of buffers come and go", async (trial) => {
    const { file } = await things(trial);
    const content = pattern(4096);
    await file.writeAll(content, 0);
    for (let round = 0; round < 30; round++) {
      const buffers = Array.from({ length: 100 }, () => new Uint8Array(4096));
      await Promise.all(buffers.map((buffer) => file.read(buffer, 0)));
      assert.ok(buffers.every((buffer) => sameBytes(buffer, content)));
    }
  });

  suite.test("views reach into an ArrayBuffer of more than 4 GiB", async (trial) => {
    const { file, client, served } = await things(trial);
    const GIBIBYTE = 2 ** 30;
    // Untouched pages take no memory.
    const large = new ArrayBuffer(5 * GIBIBYTE);
    const [first, last] = [0, 5 * GIBIBYTE - 7].map((start) => new Uint8Array(large, start, 7));
    const content = Buffer.from("content");
    assert.is(await file.readVectored([first!, last!], 0), 14);
    assert.is(Buffer.from(first!).toString(), "content");
    assert.is(await file.read(last!, 0), 7);
    assert.ok(sameBytes(last!, content));
    await client.sendAll(last!);
    last!.fill(0);
    await served.receiveFull(last!);
    assert.ok(sameBytes(last!, content));
  });

  suite.test("memory that is let go is known again when it comes again", async (trial) => {
    const { io, file } = { ...(await things(trial)), io: await trial.open() };
    const first = new Uint8Array(64);
    await file.read(first, 0);
    for (let index = 0; index < 3000; index++) await file.read(new Uint8Array(8), 0);
    assert.is(await file.read(first, 0), 19);
    assert.is(Buffer.from(first.subarray(0, 7)).toString(), "content");
    assert.is(io.stats().inFlight, 0);
  });
}

function registerRing(suite: Suite): void {
  for (const mode of MODES) {
    suite.test(
      `${mode}: the ring refuses what is no fit memory, and queues nothing`,
      async (trial) => {
        const io = await trial.open({ mode });
        const { near } = await pairOfDescriptors(io);
        const detached = new DataView(new ArrayBuffer(16));
        detach(detached);
        const cases: [ArrayBufferView, string][] = [
          [detached, "ERR_IO_BUFFER_DETACHED"],
          [resizable(8), "ERR_INVALID_ARG_TYPE"],
          ["text" as unknown as Uint8Array, "ERR_INVALID_ARG_TYPE"],
        ];
        const { ring } = io;
        const none = (): void => assert.unreachable();
        for (const [view, code] of cases) {
          const completion = new Completion();
          const calls = [
            () => ring.read(completion, none, near, view, 0),
            () => ring.write(completion, none, near, view, 0),
            () => ring.readVectored(completion, none, near, [view], 0),
            () => ring.writeVectored(completion, none, near, [view], 0),
            () => ring.send(completion, none, near, view),
            () => ring.sendVectored(completion, none, near, [view]),
            () => ring.receive(completion, none, near, view),
          ];
          for (const call of calls) assert.is(refusalCode(call), code, `${call}`);
          assert.is(completion.active, false);
        }
        assert.is(io.stats().inFlight, 0);
      },
    );

    suite.test(`${mode}: a completion serves one view after another`, async (trial) => {
      const io = await trial.open({ mode });
      const { near, far } = await pairOfDescriptors(io);
      const whole = Buffer.from("the whole of the memory");
      const memory = new Uint8Array(new ArrayBuffer(64), 32, whole.byteLength);
      memory.set(whole);
      const part = memory.subarray(4, 9);
      const shared = new Uint8Array(new SharedArrayBuffer(16), 8, 6).fill(120);
      const block = io.buffers.acquire(7).fill(121);
      const sending = new Completion();
      const received = new Uint8Array(64);
      // Twice in a row each, and each again after others.
      for (const view of [memory, memory, part, part, memory, shared, shared, block, block, part]) {
        let sent = Number.NaN;
        io.ring.send(sending, (_, result) => (sent = result), far, view);
        await until(io, () => !sending.active, "the send");
        assert.is(sent, view.byteLength);
        const count = await success(io, (c, callback) =>
          io.ring.receive(c, callback, near, received),
        );
        assert.equal(Buffer.from(received.subarray(0, count)), Buffer.from(view));
      }
      detach(memory);
      for (const view of [part, memory]) {
        const call = (): void => io.ring.send(sending, () => undefined, far, view);
        assert.is(refusalCode(call), "ERR_IO_BUFFER_DETACHED");
      }
      assert.is(io.stats().inFlight, 0);
    });

    suite.test(`${mode}: an empty receive is refused: 0 would mean the end`, async (trial) => {
      const io = await trial.open({ mode });
      const { near, far } = await pairOfDescriptors(io);
      const empty = new Uint8Array(0);
      const call = (): void => io.ring.receive(new Completion(), () => undefined, near, empty);
      assert.is(refusalCode(call), "ERR_OUT_OF_RANGE");
      const sent = await success(io, (c, callback) =>
        io.ring.send(c, callback, far, Buffer.from("a")),
      );
      assert.is(sent, 1);
      const receive = new Started((c, callback) =>
        io.ring.receive(c, callback, near, new Uint8Array(4)),
      );
      await until(io, () => receive.done, "the receive");
      assert.is(receive.result, 1);
    });
  }
}
