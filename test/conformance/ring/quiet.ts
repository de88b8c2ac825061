// Things that cost nothing: an idle IO, and readiness that no operation waits for.

import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { IO } from "@io/core";
import * as assert from "uvu/assert";
import type { Suite } from "../support/harness.js";
import { connected, connectTo } from "../support/network.js";
import { failureCode, roundTrips, turn } from "../support/verbs.js";

const TURNS = 300;
// Much longer than the time after which the engine looks at something again.
const LONG_MS = 300;

/** What the IO did while the event loop turned and the program asked it for nothing. */
async function whileQuiet(io: IO): Promise<{ systemCalls: number; wakeUps: number }> {
  const before = io.stats();
  for (let count = 0; count < TURNS; count++) await turn();
  const after = io.stats();
  return {
    systemCalls: after.systemCalls - before.systemCalls,
    wakeUps: after.wakeUps - before.wakeUps,
  };
}

const IO_URING_ENTER = 426; // on every architecture
const ENTER_NO_IOWAIT = 0x80; // Linux 6.15

/** Whether the kernel knows waits that do not count as waits for a disk. */
function knowsNoIowait(): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return major > 6 || (major === 6 && minor >= 15);
}

/** The flags of the call in which a thread of this process waits for a ring, or null. */
function flagsOfWait(): number | null {
  const folder = "/proc/self/task";
  for (const thread of readdirSync(folder)) {
    const words = readFileSync(`${folder}/${thread}/syscall`, "utf8").split(" ");
    if (Number(words[0]) === IO_URING_ENTER) return Number(words[4]);
  }
  return null;
}

function registerWait(suite: Suite): void {
  if (suite.backend !== "io_uring") return;
  const name = "a wait does not count as the processor's for a disk";
  if (!knowsNoIowait()) {
    suite.skip(name, `Linux ${release()} counts every wait in io_uring; 6.15 need not`);
    return;
  }
  suite.test(name, async () => {
    const stop = new SharedArrayBuffer(4);
    const path = fileURLToPath(new URL("./waiting_worker.js", import.meta.url));
    const worker = new Worker(path, { workerData: { backend: suite.backend, stop } });
    const exit = once(worker, "exit");
    let flags = flagsOfWait();
    for (; flags === null; flags = flagsOfWait()) await turn();
    Atomics.store(new Int32Array(stop), 0, 1);
    assert.equal(await exit, [0]);
    assert.is(flags & ENTER_NO_IOWAIT, ENTER_NO_IOWAIT, `flags ${flags}`);
  });
}

/** An IO that waits may need a thread for it; one that only does what never waits needs none. */
function registerThreads(suite: Suite): void {
  const name = "what is done at once begins no thread";
  if (process.platform !== "linux") {
    suite.skip(name, "only Linux lists the threads of a process here");
    return;
  }
  suite.test(name, async (trial) => {
    const threads = (): string[] => readdirSync("/proc/self/task").sort();
    const before = threads();
    const io = await trial.open();
    await roundTrips(io);
    const socket = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    await socket.close();
    const during = threads();
    await trial.close(io);
    assert.equal(during, before);
  });
}

const codeOf = (error: Readonly<{ code: string }>): string => error.code;

/** Of sends that go in one call one is aborted, in the kernel or on the way there. */
function registerAborted(suite: Suite): void {
  suite.test("sends beside one that was aborted wait and make no system calls", async (trial) => {
    const { io, listener } = await connected(trial);
    // The first one has filled the socket, and its rest goes with the others.
    const data = new Uint8Array(6 << 20);
    // Its clock makes no system calls of the IO that is looked at.
    const clock = await trial.open();
    const left: Promise<string>[] = [];
    for (let meeting = 0; meeting < 20; meeting++) {
      const [client, served] = await connectTo(io, listener);
      // The kernel tries a send to such a peer in a worker, which a cancel does not end at once.
      await served.shutdown("send");
      assert.is(await client.receive(new Uint8Array(1)), 0);
      const abort = new AbortController();
      const send = (options = {}) => client.send(data, options).then(String, codeOf);
      left.push(send(), send());
      const aborted = send({ signal: abort.signal });
      left.push(send());
      for (let count = 0; count < meeting; count++) await turn();
      abort.abort();
      assert.is(await aborted, "ABORT_ERR");
    }
    await clock.sleep(LONG_MS);
    const before = io.stats().systemCalls;
    await clock.sleep(LONG_MS);
    const calls = io.stats().systemCalls - before;
    // The thread that waits for a kqueue may get to that call only now.
    assert.ok(calls <= (suite.backend === "kqueue" ? 1 : 0), `${calls} system calls`);
    await io.cancelAll();
    await Promise.allSettled(left);
  });
}

export function ringQuiet(suite: Suite): void {
  registerWait(suite);
  registerThreads(suite);
  registerAborted(suite);

  suite.test("an IO that waits makes no system calls", async (trial) => {
    const { io, client } = await connected(trial);
    const waiting = [
      failureCode(client.receive(new Uint8Array(8))),
      failureCode(io.sleep(3_600_000)),
    ];
    await roundTrips(io);
    const { systemCalls, wakeUps } = await whileQuiet(io);
    // The thread that waits for a kqueue may get to that call only now.
    assert.ok(systemCalls <= (suite.backend === "kqueue" ? 1 : 0), `${systemCalls} system calls`);
    assert.is(wakeUps, 0);
    await io.cancelAll();
    assert.equal(await Promise.all(waiting), ["ECANCELED", "ECANCELED"]);
  });

  suite.test("bytes that are not received wake no loop again and again", async (trial) => {
    const { io, client, served } = await connected(trial);
    // They stay in the socket: no receive runs for a while.
    served.setOptions({ sendBufferBytes: 262_144 });
    client.setOptions({ receiveBufferBytes: 262_144 });
    // An operation has waited for it once, so its readiness is reported.
    const receiving = client.receive(new Uint8Array(1));
    await roundTrips(io);
    await served.sendAll(new Uint8Array(100_000));
    assert.is(await receiving, 1);
    await served.close();
    await roundTrips(io);
    const { systemCalls, wakeUps } = await whileQuiet(io);
    assert.ok(systemCalls <= 10, `${systemCalls} system calls`);
    assert.ok(wakeUps <= 10, `${wakeUps} wake-ups`);
    assert.is(await client.receiveFull(new Uint8Array(100_000)), 99_999);
  });

  suite.test("connections that are not accepted wake no loop again and again", async (trial) => {
    const { io, listener } = await connected(trial);
    const clients = [];
    for (let count = 0; count < 12; count++) {
      clients.push(await io.connect(listener.address));
    }
    await roundTrips(io);
    const { systemCalls, wakeUps } = await whileQuiet(io);
    assert.ok(systemCalls <= 10, `${systemCalls} system calls`);
    assert.ok(wakeUps <= 10, `${wakeUps} wake-ups`);
    for (const client of clients) await client.close();
  });
}
