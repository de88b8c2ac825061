// The calls that can be ended early: every promise takes a signal and a time limit. Exceptions are
// listed here, each with its reason, and a new one does not compile. That no call starts with an
// aborted signal is in arguments.ts; here are the time limits of calls that never wait by
// themselves.

import type * as core from "@io/core";
import * as assert from "uvu/assert";
import type { Suite } from "../support/harness.js";
import { connected } from "../support/network.js";
import { failure, roundTrips } from "../support/verbs.js";
import type { ClassNames } from "./arguments_table.js";

type KeysOf<T> = T extends unknown ? keyof T : never;
type Instance<C> = C extends { prototype: infer P } ? P : never;

/** The methods of a class that give a promise and take no time limit. */
type Endless<T> = {
  [K in keyof T]: IsEndless<T[K]> extends true ? K : never;
}[keyof T] &
  string;

// A field of any type is no method.
type IsEndless<M> = 0 extends 1 & M
  ? false
  : M extends (...given: infer Given) => Promise<unknown>
    ? "timeoutMs" extends KeysOf<NonNullable<Given[number]>>
      ? false
      : true
    : false;

type Reasons = {
  readonly [K in ClassNames as [Endless<Instance<(typeof core)[K]>>] extends [never]
    ? never
    : K]: Readonly<Record<Endless<Instance<(typeof core)[K]>>, string>>;
};

const CLOSING = "a close that is given up would leave the descriptor to nothing that closes it";
const GIVING = "who gave up would not know whose the descriptor is";
const SIGNAL = "the signal of watch() ends it";
const STREAM = "chunks() takes both, of each wait";

/** Why each of them takes neither; the documentation of each says it as well. */
const REASONS: Reasons = {
  IO: { close: "memory stays the kernel's until each operation has ended", cancelAll: "no wait" },
  File: { close: CLOSING, detach: GIVING },
  Socket: { close: CLOSING, reset: CLOSING, detach: GIVING },
  DatagramSocket: { close: CLOSING, detach: GIVING },
  Listener: { close: CLOSING, detach: GIVING },
  ReceivedDescriptor: { close: CLOSING },
  Directory: { close: CLOSING },
  Notifier: { close: "it waits for nothing but its own receives" },
  Signals: { close: "it waits for nothing but its own receives" },
  BorrowedDescriptor: { close: "it waits for nothing but its own polls" },
  Watch: { close: "it waits for nothing but its own read", next: SIGNAL, return: SIGNAL },
  Timer: { close: "it never waits" },
  Scope: { close: "memory stays the kernel's until each operation has ended" },
  BufferGroup: { available: "what it waits for the program does itself" },
  PreparedOperation: { value: "it makes a value of a result" },
  ChunkStream: { next: STREAM, return: STREAM },
};

export function endings(suite: Suite): void {
  suite.test("each call without a time limit has a reason", () => {
    for (const [name, methods] of Object.entries(REASONS)) {
      for (const [method, reason] of Object.entries(methods)) {
        assert.ok(reason.length > 5, `${name}.${method}`);
      }
    }
  });

  suite.test(
    "time limits and aborts end the look-up of listen, openDatagram and bind",
    async (trial) => {
      const io = await trial.open();
      const socket = await io.openDatagram({ family: "ipv4" });
      const before = io.stats().descriptors;
      const place = { host: "slow.test", port: 0, lookup: () => undefined };
      const starts = [
        (options: core.OperationOptions) => io.listen({ ...place, ...options }),
        (options: core.OperationOptions) => io.openDatagram({ ...place, ...options }),
        (options: core.OperationOptions) => socket.bind(place, options),
        (options: core.OperationOptions) => socket.connect(place, options),
      ];
      for (const start of starts) {
        for (const timeoutMs of [0, 5.5]) {
          const begin = process.hrtime.bigint();
          assert.is((await failure(start({ timeoutMs }))).code, "ETIMEDOUT");
          assert.ok(Number(process.hrtime.bigint() - begin) >= timeoutMs * 1e6);
        }
        const controller = new AbortController();
        const aborted = failure(start({ signal: controller.signal }));
        await roundTrips(io, 3);
        controller.abort();
        assert.is((await aborted).code, "ABORT_ERR");
      }
      assert.is(io.stats().descriptors, before);
    },
  );

  suite.test("a time limit of what never waits changes nothing", async (trial) => {
    const { io, client, served } = await connected(trial);
    const options = { timeoutMs: 3_600_000 };
    const listener = await io.listen({ port: 0, ...options });
    const socket = await io.openDatagram({ family: "ipv4", ...options });
    await socket.bind({ port: 0 }, options);
    await socket.disconnect(options);
    await client.shutdown("send", options);
    assert.is(await served.receive(new Uint8Array(1)), 0);
    await Promise.all([listener.close(), socket.close()]);
    await io.nop();
  });

  suite.test("a shutdown that was aborted shuts nothing down", async (trial) => {
    const { client, served } = await connected(trial);
    const signal = AbortSignal.abort();
    assert.is((await failure(client.shutdown("send", { signal }))).code, "ABORT_ERR");
    await client.sendAll("x");
    assert.is(await served.receive(new Uint8Array(1)), 1);
  });
}
