// The AsyncLocalStorage of the program: code that awaits an operation, or is called back by one,
// runs in the storage of the code that started it. Callbacks of the ring are in
// ring/completions.ts.

import { AsyncLocalStorage } from "node:async_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Completion, type IO, type Socket } from "@io/core";
import * as assert from "uvu/assert";
import type { Suite } from "../support/harness.js";
import { connected } from "../support/network.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const storage = new AsyncLocalStorage<number>();

/** Runs something in a storage of its own, several times at once; each must find its own again. */
async function inEach(count: number, run: (index: number) => Promise<void>): Promise<void> {
  const all = Array.from({ length: count }, (_, index) =>
    storage.run(index, async () => {
      await run(index);
      assert.is(storage.getStore(), index);
    }),
  );
  await Promise.all(all);
  assert.is(storage.getStore(), undefined);
}

async function seen(promise: Promise<unknown>): Promise<unknown[]> {
  const stores: unknown[] = [];
  const note = (): void => void stores.push(storage.getStore());
  await promise.then(note, note).finally(note);
  return stores;
}

function registerPromises(suite: Suite): void {
  suite.test("promises go on in the storage of their caller", async (trial) => {
    const { io, client, served } = await connected(trial);
    const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
    const signal = AbortSignal.timeout(5);
    await inEach(4, async (index) => {
      const operations: Promise<unknown>[] = [
        io.nop(),
        io.sleep(index / 10),
        io.stat("/nowhere/at/all"),
        io.sleep(3_600_000, { timeoutMs: 1 }),
        io.sleep(3_600_000, { signal }),
        file.writeAll("text", index * 4),
        io.chain([file.prepareWrite("x", 0), file.prepareSync("data")]),
        io.connect({
          host: "none.test",
          port: 1,
          lookup: (_host, _options, call) => call(LOST, ""),
        }),
        client.sendAll("x"),
        served.receive(new Uint8Array(1)),
      ];
      for (const stores of await Promise.all(operations.map(seen))) {
        assert.equal(stores, [index, index]);
      }
    });
  });
}

const LOST = Object.assign(new Error("no such name"), { code: "ENOTFOUND" });

async function served(io: IO, count: number): Promise<Socket[]> {
  const listener = await io.listen({ port: 0 });
  const { port } = listener.address;
  const sockets: Socket[] = [];
  for (let index = 0; index < count; index++) {
    const [socket] = await Promise.all([io.connect({ port }), listener.accept()]);
    sockets.push(socket);
  }
  return sockets;
}

function registerLoops(suite: Suite): void {
  suite.test("loops go on in the storage of their caller", async (trial) => {
    const io = await trial.open();
    const sockets = await served(io, 3);
    const group = io.ring.bufferGroup();
    await inEach(3, async (index) => {
      const listener = await io.listen({ port: 0 });
      const timer = io.timer({ intervalMs: 1 });
      const datagrams = await io.openDatagram({ host: "127.0.0.1", port: 0 });
      const check = (): void => assert.is(storage.getStore(), index);
      const accepts = async (): Promise<void> => {
        let rounds = 0;
        for await (const socket of listener) {
          check();
          for await (const bytes of socket) {
            check();
            assert.is(bytes.byteLength, 1);
          }
          check();
          if (++rounds === 2) break;
        }
      };
      const connects = async (): Promise<void> => {
        for (let round = 0; round < 2; round++) {
          const socket = await io.connect({ port: listener.address.port });
          await socket.sendAll("x");
          await socket.close();
        }
      };
      const ticks = async (): Promise<void> => {
        for await (const count of timer) {
          check();
          if (count >= 3) break;
        }
      };
      const messages = async (): Promise<void> => {
        for await (const chunk of datagrams.chunks()) {
          check();
          chunk.release();
          break;
        }
      };
      const sends = datagrams.sendTo("x", datagrams.localAddress);
      await Promise.all([accepts(), connects(), ticks(), messages(), sends, group.available()]);
      await sockets[index]?.close();
      check();
    });
  });

  suite.test(
    "a callback that waits for memory is called in the storage of its caller",
    async (trial) => {
      const { io, client, served: peer } = await connected(trial);
      const group = io.ring.bufferGroup({ bufferBytes: 4096, maxBytes: 4096 });
      const { MultishotCompletion } = await import("@io/core");
      const taken = await new Promise<number>((resolve) => {
        const receiving = new MultishotCompletion();
        const take = (one: { bufferId: number; active: boolean }, result: number): void => {
          if (result > 0) resolve(one.bufferId);
        };
        storage.run(7, () => {
          io.ring.receiveMultishot(receiving, take, peer.descriptor, group, 1);
        });
        void client.sendAll(new Uint8Array(4096));
      });
      const stores: unknown[] = [];
      storage.run(1, () => group.whenAvailable(() => stores.push(storage.getStore())));
      await io.sleep(1);
      if (stores.length === 0) storage.run(2, () => group.release(taken));
      await io.sleep(1);
      assert.equal(stores, [1]);
      await peer.close();
    },
  );
}

function registerCompletions(suite: Suite): void {
  suite.test("a completion keeps no storage behind its operation", async (trial) => {
    const io = await trial.open();
    const objects = new AsyncLocalStorage<object>();
    const completion = new Completion();
    const stores: (WeakRef<object> | undefined)[] = [];
    const note = (): void => {
      const store = objects.getStore();
      stores.push(store && new WeakRef(store));
    };
    await new Promise<void>((resolve) => {
      const callback = (): void => {
        note();
        setImmediate(resolve);
      };
      objects.run({}, () => io.ring.nop(completion, callback));
    });
    const [store] = stores;
    assert.ok(store, "the callback was in its storage");
    await io.nop(); // nothing of the call is on the stack, or in the turn
    collectGarbage();
    assert.is(store.deref(), undefined);
    await new Promise<void>((resolve) => io.ring.nop(completion, () => resolve()));
  });
}

export function contexts(suite: Suite): void {
  registerCompletions(suite);
  registerPromises(suite);
  registerLoops(suite);
}
