// Programs that the tests run in processes of their own, which lack something. Each prints its
// findings, one line at a time.

import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import {
  Completion,
  type File,
  IO,
  type IOError,
  type IOOptions,
  OpenFlags,
  probe,
  type Socket,
} from "@io/core";

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Opens an IO, or says how that failed. */
async function openOrSay(options: IOOptions): Promise<IO | null> {
  try {
    return await IO.open(options);
  } catch (error) {
    const { code, errno, message } = error as IOError;
    say(`${code} ${errno}: ${message}`);
    return null;
  }
}

function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "io-fallback-"));
  process.on("exit", () => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function echo(socket: Socket): Promise<void> {
  await using _ = socket;
  const buffer = new Uint8Array(1000);
  for (;;) {
    const sizeBytes = await socket.receive(buffer);
    if (sizeBytes === 0) return;
    await socket.sendAll(buffer.subarray(0, sizeBytes));
  }
}

async function useFiles(io: IO, folder: string): Promise<string> {
  const [from, to] = [join(folder, "from"), join(folder, "to")];
  await using file = await io.openFile(from, { read: true, write: true, create: true });
  using page = io.buffers.acquire(4096);
  page.fill(7);
  await io.chain([file.prepareWrite(page, 0), file.prepareSync("data")]);
  await file.writeAll(Buffer.from("the end"), 4096);
  await io.rename(from, to);
  const { size } = await io.stat(to);
  const back = new Uint8Array(size);
  await file.readFull(back, 0);
  await io.unlink(to);
  return `${size} bytes, ${back[4095]}, ${Buffer.from(back.subarray(4096))}`;
}

async function useSockets(io: IO, rounds: number): Promise<string> {
  await using listener = await io.listen({ port: 0 });
  const serving = listener.accept().then(echo);
  let received = 0;
  {
    await using client = await io.connect({ port: listener.address.port });
    const buffer = new Uint8Array(5000).fill(1);
    for (let round = 0; round < rounds; round++) {
      const back = new Uint8Array(buffer.length);
      await Promise.all([client.sendAll(buffer), client.receiveFull(back)]);
      received += back.reduce((sum, byte) => sum + byte, 0);
    }
    const silence = client.receive(new Uint8Array(1), { timeoutMs: 5 });
    const code = await silence.catch((error: IOError) => error.code);
    if (code !== "ETIMEDOUT") throw new Error(`a receive without a sender: ${code}`);
  }
  await serving;
  return `${received} bytes`;
}

async function useTime(io: IO): Promise<string> {
  const start = performance.now();
  await io.sleep(3);
  const how = performance.now() - start >= 3 ? "slept" : "woke early";
  const ending = new AbortController();
  const sleeping = io.sleep(3_600_000, { signal: ending.signal });
  const code = sleeping.catch((error: IOError) => error.code);
  ending.abort();
  return `${how}, ${await code}`;
}

/** A part of everything that the library has. */
async function useEverything(folder: string): Promise<string> {
  await using io = await IO.open();
  const done = await Promise.all([useFiles(io, folder), useSockets(io, 20), useTime(io)]);
  const { overflows, strays } = io.stats();
  if (overflows + strays > 0) throw new Error(`${overflows} overflows, ${strays} strays`);
  return `${io.backend}: ${done.join("; ")}`;
}

/** The program's own loop: everything is asked for, and then turned until it has happened. */
async function useDetached(folder: string): Promise<string> {
  await using io = await IO.open({ mode: "detached" });
  const { ring } = io;
  const bytes = Buffer.from("detached");
  let written = 0;
  let slept = -1;
  const flags = OpenFlags.write | OpenFlags.create;
  ring.open(
    new Completion(),
    (_opened, descriptor) => {
      ring.write(
        new Completion(),
        (_written, count) => {
          written = count;
        },
        descriptor,
        bytes,
        0,
      );
    },
    join(folder, "detached"),
    flags,
    0o600,
  );
  ring.timeout(
    new Completion(),
    (_slept, result) => {
      slept = result;
    },
    2_000_000,
  );
  io.run();
  return `${io.backend}: ${written} bytes written, timeout ${slept}`;
}

const programs: Record<string, () => Promise<void>> = {
  async everything() {
    const folder = temporaryFolder();
    say(await useEverything(folder));
    say(`detached ${await useDetached(folder)}`);
    const worker = new Worker(new URL(import.meta.url), { workerData: "worker" });
    worker.on("message", (text: string) => say(`Worker: ${text}`));
    const [status] = await new Promise<unknown[]>((resolve, reject) => {
      worker.on("error", reject).on("exit", (...ended) => resolve(ended));
    });
    say(`the Worker ended with ${status}`);
  },

  async worker() {
    parentPort?.postMessage(await useEverything(temporaryFolder()));
  },

  async why() {
    await using io = await IO.open();
    say(io.why);
  },

  async modes() {
    for (const mode of ["attached", "detached"] as const) {
      await using io = await IO.open({ mode });
      say(`${mode}: ${io.why}`);
    }
  },

  async automatic() {
    await using io = await openOrSay({});
    if (io !== null) say(`opened: ${io.why}`);
  },

  // Each is opened under its name, whatever IO_BACKEND says.
  async named() {
    for (const backend of ["io_uring", "epoll", "kqueue"] as const) {
      await using io = await openOrSay({ backend });
      if (io !== null) say(`${backend} opened: ${io.why}`);
    }
  },

  // With no descriptor left, then with one, with two, until the IO opens.
  async exhausted() {
    const backends = probe().candidates.filter(({ available }) => available);
    const names = ["auto", ...backends.map(({ name }) => name)] as ("auto" | "epoll")[];
    const taken: number[] = [];
    const takeAll = (): number => {
      const before = taken.length;
      try {
        for (;;) taken.push(openSync("/dev/null", "r"));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EMFILE") throw error;
      }
      return taken.length - before;
    };
    takeAll();
    const { chosen, why } = probe();
    say(`the doctor: ${chosen}, ${why}`);
    for (const backend of names) {
      for (let left = 0; ; left++) {
        for (let index = 0; index < left; index++) closeSync(taken.pop()!);
        const io = await openOrSay({ backend });
        await io?.close();
        const back = takeAll();
        if (back !== left) throw new Error(`${backend}: ${left - back} descriptors are lost`);
        if (io === null) continue;
        say(`${backend} opened with ${left}`);
        break;
      }
    }
  },

  async littleMemory() {
    await using io = await IO.open({ inFlightLimit: 16_000 });
    using block = io.buffers.acquire(65536);
    const path = join(temporaryFolder(), "file");
    writeFileSync(path, Buffer.alloc(65536, 9));
    await using file = await io.openFile(path);
    await file.readFull(block, 0);
    say(`${io.backend}: ${block[65535]}, registered ${io.stats().registeredBytes}`);
    say(`why: ${io.why}`);
    say(`limit: ${probe().limits.lockedMemoryBytes}`);
  },

  // The memory of a ring counts for some time after it was closed.
  async littleMemoryOften() {
    for (let count = 0; count < 10; count++) await (await IO.open()).close();
    say("opened and closed");
  },

  // An IO keeps no rights: each operation has those of the process when it starts.
  async identity() {
    const folder = temporaryFolder();
    const secret = join(folder, "secret");
    writeFileSync(secret, "secret", { mode: 0o600 });
    await using io = await IO.open();
    const answerTo = (opening: Promise<File>) =>
      opening.then(
        (file) => file.close().then(() => "opened"),
        (error: IOError) => error.code,
      );
    // A thread makes files, of the kernel or of the engine: the threads that served the first user
    // are there when the second one asks.
    let made = 0;
    const tryAll = async (): Promise<string> => {
      const answers = Array.from({ length: 32 }, () => [
        answerTo(io.openFile(secret)),
        answerTo(io.openFile(join(folder, `new-${made++}`), { write: true, create: true })),
      ]);
      return [...new Set(await Promise.all(answers.flat()))].join(", ");
    };
    say(`before: ${await tryAll()}`);
    process.setegid?.(65534);
    process.seteuid?.(65534);
    say(`as another user: ${await tryAll()}`);
    process.seteuid?.(0);
    process.setegid?.(0);
    say(`back again: ${await tryAll()}`);
  },

  // The descriptors that are open in a child that is started while everything is open.
  async children() {
    const list = () => execFileSync("ls", ["/proc/self/fd"], { encoding: "utf8" }).trim();
    const before = list();
    const folder = temporaryFolder();
    const { candidates } = probe();
    for (const { name } of candidates.filter(({ available }) => available)) {
      for (const mode of ["attached", "detached"] as const) {
        const io = await IO.open({ backend: name as "epoll", mode });
        if (mode === "detached") continue;
        const listener = await io.listen({ port: 0 });
        const client = await io.connect({ port: listener.address.port });
        const server = await listener.accept();
        const file = await io.openFile(join(folder, name), { write: true, create: true });
        await file.writeAll(new Uint8Array(100_000), 0);
        for (const socket of [client, server]) {
          socket.receive(new Uint8Array(1)).catch(() => undefined);
        }
        listener.accept().catch(() => undefined);
      }
      const own = readdirSync("/proc/self/fd").length;
      say(
        `${name}: ${list() === before ? "nothing more" : list()}; ${own > 10 ? "many" : own} here`,
      );
    }
    process.exit(0);
  },
};

const name = (isMainThread ? process.argv[2] : workerData) as string;
const program = programs[name];
if (program === undefined) throw new Error(`there is no program named ${name}`);
await program();
