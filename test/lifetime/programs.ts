// Programs that end in the middle of their I/O, one per case: the tests run each in a process of
// its own and check its exit and its output.

import { spawn, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { Completion, IO, IOError } from "@io/core";
import type { WorkerTask } from "./busy_worker.js";
import {
  collect,
  connectedPair,
  ENDLESS_NS,
  startMany,
  startManyDetached,
  temporaryFolder,
} from "./support.js";

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function nothing(): void {}

interface Waiting {
  ref(): unknown;
  unref(): unknown;
}

/** Something is in flight on all that keeps a process alive, each of which is given to `use`. */
async function waitEverywhere(use: (waiting: Waiting) => void): Promise<Waiting[]> {
  const io = await IO.open();
  const listener = await io.listen({ port: 0 });
  const connecting = io.connect({ port: (listener.address as { port: number }).port });
  const served = await listener.accept();
  const client = await connecting;
  const datagrams = await io.openDatagram({ host: "127.0.0.1", port: 0 });
  const timer = io.timer({ intervalMs: 3_600_000 });
  const all = [listener, served, client, datagrams, timer];
  const loops: AsyncIterable<unknown>[] = [listener, served, client.chunks(), datagrams, timer];
  for (const loop of loops) void forEach(loop);
  await io.nop();
  for (const waiting of all) use(waiting);
  return [...all, io];
}

async function forEach(loop: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of loop);
}

/** Connects `count` times from another process, which ends when all have been greeted. */
function fork(port: number, count: number): Promise<void> {
  const script = `let left = ${count};
    for (let index = 0; index < ${count}; index++) {
      let text = "";
      const socket = require("net").connect(${port}, "127.0.0.1");
      socket.on("data", (data) => { text += data; });
      socket.on("close", () => { if (text !== "hello") process.exit(1); left--; });
    }`;
  const child = spawn(process.execPath, ["-e", script], { stdio: "ignore" });
  return new Promise((resolve, reject) => {
    child.once("exit", (status) => {
      if (status === 0) resolve();
      else reject(new Error(`a client was not served: ${status}`));
    });
  });
}

async function busyWorker(how: WorkerTask["how"]): Promise<Worker> {
  const task: WorkerTask = { how, count: 200, folder: temporaryFolder() };
  const worker = new Worker(new URL("./busy_worker.js", import.meta.url), { workerData: task });
  await new Promise((resolve) => worker.once("message", resolve));
  return worker;
}

/** An endless operation that does not keep a program alive by itself. */
async function busyIO(count = 1000): Promise<IO> {
  const io = await IO.open();
  await startMany(io, count, temporaryFolder());
  await io.nop();
  return io;
}

const programs: Record<string, () => Promise<void>> = {
  async exitInTheMiddle() {
    await busyIO();
    say("exiting");
    process.exit(3);
  },

  async exitInACallback() {
    const io = await busyIO();
    io.ring.nop(new Completion(), () => process.exit(3));
  },

  async exitInADetachedCallback() {
    const io = await IO.open({ mode: "detached" });
    startManyDetached(io, 500, temporaryFolder());
    io.ring.nop(new Completion(), () => process.exit(3));
    io.run();
  },

  async uncaughtInACallback() {
    const io = await busyIO();
    io.ring.nop(new Completion(), () => {
      throw new Error("thrown by a callback");
    });
  },

  async uncaughtIsHandled() {
    const io = await IO.open();
    process.on("uncaughtException", (error) => say(`handled: ${error.message}`));
    const order: string[] = [];
    for (const name of ["first", "second", "third"]) {
      io.ring.nop(new Completion(), () => {
        order.push(name);
        if (name !== "third") throw new Error(name);
      });
    }
    await io.nop();
    say(order.join(" "));
    await io.close();
  },

  async detachedWithWorkInFlight() {
    const io = await IO.open({ mode: "detached" });
    startManyDetached(io, 500, temporaryFolder());
    say("end of the program");
  },

  async idleAndNotClosed() {
    const io = await IO.open();
    await connectedPair(io);
    const file = await io.openFile(process.execPath);
    await file.read(new Uint8Array(10), 0);
    say("end of the program");
  },

  async droppedAndCollected() {
    for (let round = 0; round < 20; round++) {
      const io = await IO.open({ entries: 128, inFlightLimit: 128 });
      await io.nop();
      await io.openFile(process.execPath);
    }
    collect();
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    collect();
    say("end of the program");
  },

  async abortInTheMiddle() {
    await busyIO();
    process.kill(process.pid, "SIGTERM");
  },

  async exitEventUsesTheIO() {
    const io = await busyIO(50);
    process.on("exit", () => {
      io.ring.nop(new Completion(), nothing);
      io.ring.flush();
      void io.close();
      say("exit event");
    });
    process.exit(0);
  },

  async killRunningWorker() {
    const worker = await busyWorker("run");
    await worker.terminate();
    say("terminated");
  },

  async exitOverRunningWorker() {
    await busyWorker("run");
    process.exit(3);
  },

  async exitOverBusyWorkers() {
    await Promise.all([busyWorker("traffic"), busyWorker("idle"), busyWorker("traffic")]);
    process.exit(3);
  },

  async twoLoops() {
    // Operations keep the process alive, an idle IO does not.
    const io = await IO.open();
    io.ring.timeout(new Completion(), () => say("elapsed"), 20_000_000);
  },

  async unreferenced() {
    await waitEverywhere((waiting) => waiting.unref());
    say("end of the program");
  },

  // While it waits, and the handle of the loop is awake or asleep.
  async unreferencedLater() {
    const all: Waiting[] = [];
    await waitEverywhere((waiting) => all.push(waiting));
    setTimeout(() => {
      for (const waiting of all) waiting.unref();
      say("end of the program");
    }, 50);
  },

  async referencedAgain() {
    const all = await waitEverywhere((waiting) => waiting.unref());
    for (const waiting of all.slice(0, -1)) {
      waiting.ref();
      await new Promise<void>((fired) => {
        // It fires only while something else keeps the process alive: the test waits for that.
        const timer = setTimeout(fired, 20);
        timer.unref();
      });
      say("alive");
      waiting.unref();
    }
    say("end of the program");
  },

  async workBesideUnreferenced() {
    const all = await waitEverywhere((waiting) => waiting.unref());
    const io = all.at(-1) as IO;
    io.ref();
    await io.sleep(50);
    say("elapsed");
    io.unref();
    void io.sleep(3_600_000);
    say("end of the program");
  },

  async refusedKeepsAlive() {
    const io = await IO.open({ entries: 128, inFlightLimit: 16_000 });
    let count = 0;
    for (let index = 0; index < 16_000; index++) {
      io.ring.close(new Completion(), () => count++, 12_345);
    }
    process.on("exit", () => say(`${count} called back`));
  },

  // Run under a tiny limit of locked memory.
  async littleLockedMemory() {
    const io = await IO.open();
    const block = io.buffers.acquire(65536);
    const file = await io.openFile(process.execPath);
    const plain = new Uint8Array(65536);
    await file.readFull(block, 0);
    await file.readFull(plain, 0);
    say(`same: ${Buffer.compare(block, plain) === 0}`);
    say(`registered: ${io.stats().registeredBytes}`);
    await io.close();
    say("end of the program");
  },

  // Run without privileges, which lift the limit. It holds for what begins after this program.
  async noThreadsLeft() {
    spawnSync("prlimit", ["--pid", `${process.pid}`, "--nproc=1:1"]);
    say(`another process: ${(spawnSync("true").error as NodeJS.ErrnoException | undefined)?.code}`);
    const io = await IO.open();
    await io.sleep(20);
    const [one, other] = await connectedPair(io);
    const receiving = one.receive(new Uint8Array(8));
    await io.sleep(5);
    await other.sendAll(new Uint8Array(3));
    say(`received: ${await receiving}`);
    const ended = one.receive(new Uint8Array(8)).catch((error: IOError) => error.code);
    await io.close();
    say(`closed: ${await ended}`);
    say("end of the program");
  },

  // Run under a small limit of descriptors.
  async noDescriptorsLeft() {
    const io = await IO.open();
    const files = [];
    try {
      for (;;) files.push(await io.openFile(process.execPath));
    } catch (error) {
      say(error instanceof IOError ? `${error.code}: ${error.message}` : String(error));
    }
    const code = await IO.open().then(
      () => "opened",
      (error: IOError) => error.code,
    );
    say(`another IO: ${code}`);
    await Promise.all(files.map((file) => file.close()));
    say(`after closing: ${io.stats().descriptors}`);
    await (await io.openFile(process.execPath)).close();
    await io.close();
    say("end of the program");
  },

  // Run under a small limit of descriptors.
  async deepPathUnderRules() {
    const io = await IO.open();
    const folder = temporaryFolder();
    const deep = Array(400).fill("d").join("/");
    mkdirSync(`${folder}/${deep}`, { recursive: true });
    const root = await io.openDirectory(folder, { resolve: { beneath: true } });
    await root.chmod(deep, 0o750);
    await root.chmod(`${deep}/${Array(400).fill("..").join("/")}/d`, 0o750);
    say(`${statSync(`${folder}/${deep}`).mode & 0o777}`);
    await io.close();
    rmSync(folder, { recursive: true });
    say("end of the program");
  },

  // Run under a small limit of descriptors; the clients are another process, which has its own.
  async acceptWithoutDescriptors() {
    const io = await IO.open();
    const listener = await io.listen({ port: 0 });
    const count = 20;
    const first = listener.accept();
    await io.nop();
    const held: number[] = [];
    try {
      for (;;) held.push(openSync("/dev/null", "r"));
    } catch (error) {
      say(`exhausted: ${(error as NodeJS.ErrnoException).code}`);
    }
    const give = (): void => {
      for (const number of held.splice(0)) closeSync(number);
    };
    // A Worker shares the limit, so the clients' descriptors are opened first and connected later.
    const before = io.stats().submitted;
    for (let index = 0; index < 3; index++) closeSync(held.pop()!);
    const client = fork(listener.address.port, count);
    for (;;) {
      try {
        held.push(openSync("/dev/null", "r"));
      } catch {
        break;
      }
    }
    // The listener is refused, waits and tries again; this long it must not spin.
    await io.sleep(1000);
    say(`submitted while exhausted: ${io.stats().submitted - before}`);
    give();
    let served = 0;
    const serve = async (): Promise<void> => {
      const socket = await (served === 0 ? first : listener.accept());
      served++;
      await socket.sendAll(Buffer.from("hello"));
      await socket.close();
    };
    while (served < count) await serve();
    say(`served: ${served}`);
    await client;
    await listener.close();
    await io.close();
  },

  async childSeesNothing() {
    // `ls` opens nothing but the folder itself.
    const inChild = (): string[] => {
      const { stdout } = spawnSync("ls", ["/proc/self/fd"], { encoding: "utf8" });
      return stdout.trim().split("\n");
    };
    const before = inChild();
    const io = await busyIO(300);
    for (let round = 0; round < 3; round++) {
      say(`more: ${inChild().length - before.length}`);
      await io.nop();
    }
    await io.close();
    say("end of the program");
  },

  async endlessTimerOnly() {
    const io = await IO.open();
    io.ring.timeout(new Completion(), () => say("cancelled"), ENDLESS_NS);
    await io.close();
    say("end of the program");
  },
};

await programs[process.argv[2]!]!();
