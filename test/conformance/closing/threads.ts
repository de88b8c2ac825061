// Several IOs: two in one thread, and one in each Worker; and which backend an IO is given.

import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { Completion, IO, type IOError, probe } from "@io/core";
import * as assert from "uvu/assert";
import { runChild } from "../support/children.js";
import type { Suite } from "../support/harness.js";
import { targetOf } from "../support/network.js";
import { failureCode, negative, outcome } from "../support/verbs.js";

export function threads(suite: Suite): void {
  registerTwo(suite);
  registerStrange(suite);
  registerWorker(suite);
  registerBackend(suite);
  registerProbe(suite);
}

function registerTwo(suite: Suite): void {
  suite.test("two IOs in one thread hand each other work", async (trial) => {
    const [one, two] = [await trial.open(), await trial.open()];
    // Each operation is started by a callback of the other IO; nothing else wakes the loop.
    await new Promise<void>((resolve) => {
      let rounds = 0;
      const step = (completion: Completion): void => {
        rounds++;
        if (rounds === 1000) resolve();
        else (rounds % 2 === 0 ? one : two).ring.nop(completion, step);
      };
      step(new Completion());
    });
  });

  suite.test("an IO opened out of another one's callback begins at once", async (trial) => {
    const first = await trial.open();
    for (let round = 0; round < 5; round++) {
      await first.nop();
      const next = await trial.open();
      await next.nop();
      await next.sleep(0.001);
    }
  });

  suite.test("two IOs in one thread talk to each other", async (trial) => {
    const [one, two] = [await trial.open(), await trial.open()];
    const listener = await one.listen({ port: 0 });
    const [client, served] = await Promise.all([
      two.connect(targetOf(listener.address)),
      listener.accept(),
    ]);
    const buffer = new Uint8Array(8);
    for (let round = 0; round < 100; round++) {
      await client.sendAll(Buffer.from("ping"));
      assert.is(await served.receive(buffer), 4);
      await served.sendAll(Buffer.from("pong"));
      assert.is(await client.receive(buffer), 4);
    }
  });
}

function registerStrange(suite: Suite): void {
  suite.test("a descriptor of one IO is a stranger to another", async (trial) => {
    const [one, two] = [await trial.open(), await trial.open()];
    const file = await one.openFile(trial.path(), { write: true, create: true });
    const result = await outcome(two, (completion, callback) =>
      two.ring.write(completion, callback, file.descriptor, Buffer.from("x"), 0),
    );
    assert.is(result, negative("EBADF"));
    await trial.close(two);
    assert.is(await file.write(Buffer.from("x"), 0), 1);
  });

  suite.test("attached and detached live side by side", async (trial) => {
    const [attached, detached] = [await trial.open(), await trial.open({ mode: "detached" })];
    const sleeping = attached.sleep(1);
    let called = 0;
    detached.ring.timeout(new Completion(), () => called++, 2_000_000);
    detached.run();
    assert.is(called, 1);
    await sleeping;
  });

  suite.test(
    "a completion of one IO cannot carry an operation of another as well",
    async (trial) => {
      const [one, two] = [await trial.open(), await trial.open()];
      const completion = new Completion();
      const results: number[] = [];
      one.ring.timeout(completion, (_completion, result) => results.push(result), 1_000_000);
      assert.throws(
        () => two.ring.nop(completion, () => undefined),
        (error: IOError) => error.code === "ERR_IO_COMPLETION_ACTIVE",
      );
      await one.sleep(2);
      assert.equal(results, [0]);
    },
  );
}

const workerPath = fileURLToPath(new URL("./worker.js", import.meta.url));

function runWorker(backend: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(workerPath, { workerData: { backend, path } });
    let message: unknown;
    worker.on("message", (received) => {
      message = received;
    });
    worker.on("error", reject);
    worker.on("exit", (code) => resolve([code, message]));
  });
}

function registerWorker(suite: Suite): void {
  suite.test("Workers have IOs of their own, attached and detached", async (trial) => {
    const io = await trial.open();
    const paths = [0, 1, 2].map((index) => trial.path(`worker-${index}`));
    const ended = await Promise.all([
      ...paths.map((path) => runWorker(suite.backend, path)),
      io.sleep(1),
    ]);
    for (const [index, path] of paths.entries()) {
      assert.equal(ended[index], [0, { backend: suite.backend, rounds: 100, content: path }]);
    }
  });
}

function registerBackend(suite: Suite): void {
  suite.test("an unknown backend is refused, named by the option or by IO_BACKEND", async () => {
    const error = await IO.open({ backend: "magic" as "auto" }).then(
      () => null,
      (thrown: IOError) => thrown,
    );
    assert.is(error?.code, "ERR_IO_BACKEND_UNKNOWN");
    assert.match(error?.message ?? "", "magic");
    assert.match(error?.message ?? "", "option");
    const { output } = await runChild("open-named", suite.backend, { IO_BACKEND: "magic" });
    assert.is(output, "ERR_IO_BACKEND_UNKNOWN\n");
  });

  suite.test("a named backend that is not available is refused, with the reason", async () => {
    const found = new Map(probe().candidates.map((one) => [one.name, one] as const));
    const missing = (["io_uring", "epoll", "kqueue"] as const).filter(
      (name) => found.get(name)?.available !== true,
    );
    for (const backend of missing) {
      const opening = IO.open({ backend });
      assert.is(await failureCode(opening), "ERR_IO_BACKEND_UNAVAILABLE");
      const { message } = (await opening.catch((error: IOError) => error as Error)) as Error;
      assert.match(message, backend);
      const reason = found.get(backend)?.reason ?? "there is no backend of this name";
      assert.match(message, reason);
      const { output } = await runChild("open-named", "auto", { IO_BACKEND: backend });
      assert.is(output, "ERR_IO_BACKEND_UNAVAILABLE\n");
    }
  });

  suite.test("IO_BACKEND chooses, an empty one does not, and why says so", async () => {
    const named = await runChild("open-auto", "auto", { IO_BACKEND: suite.backend });
    assert.match(named.output, `${suite.backend}: `);
    assert.match(named.output, "IO_BACKEND");
    for (const program of ["open-auto", "open-default"]) {
      const empty = await runChild(program, "auto", { IO_BACKEND: "" });
      assert.match(empty.output, `${probe().chosen}: `);
      assert.not.match(empty.output, "IO_BACKEND");
    }
  });
}

function registerProbe(suite: Suite): void {
  suite.test("probe() says what there is, why, and what it can do", async (trial) => {
    const found = probe();
    const chosen = found.candidates.find(({ available }) => available);
    assert.is(found.chosen, chosen?.name ?? null);
    for (const { name, reason } of found.candidates) {
      assert.ok(name.length > 0);
      assert.ok(reason.length > 10, `${name}: ${reason}`);
    }
    const { limits, capabilities } = found;
    assert.is((await trial.open({ entries: limits.maxEntries })).backend, suite.backend);
    const io = await trial.open();
    for (const table of [capabilities, io.capabilities]) {
      for (const [name, { support, reason }] of Object.entries(table)) {
        assert.ok(["native", "emulated", "copied", "unsupported"].includes(support), name);
        assert.ok(reason.length > 10, `${name}: ${reason}`);
      }
      for (const name of [
        "nop",
        "read",
        "accept",
        "connect",
        "send",
        "sync",
        "chain",
        "deadline",
      ] as const) {
        assert.is.not(table[name], undefined, name);
      }
    }
    if (suite.backend === found.chosen) assert.equal(io.capabilities, capabilities);
    assert.match(io.why, suite.backend);
  });
}
