// `node program.js <backend> <mounted folder> <what>`: does it, and prints the result.

import { setMaxListeners } from "node:events";
import { closeSync, existsSync, fstatSync, openSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IO, type Socket } from "@io/core";

const [backend = "", folder = "", what = ""] = process.argv.slice(2);
const io = await IO.open({ backend: backend as "epoll" });
const path = (name: string): string => `${folder}/${name}`;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => (typeof value === "number" ? value : "ok"),
    (error: { code: string }) => error.code,
  );

/** Lets the server answer what waits for that. */
function go(): void {
  try {
    statSync(path("go"));
  } catch (error) {
    if (!(error instanceof Error && /ENOENT/.test(error.message))) throw error;
  }
}

/** Whether other operations of the IO and the event loop go on. */
async function lives(): Promise<unknown> {
  await turn();
  const file = await io.openFile("/proc/version");
  const count = await file.read(new Uint8Array(5), 0);
  await file.close();
  return count;
}

/** What hangs on a silent server, of which more is asked than the kernel sends it at once. */
async function hung(): Promise<unknown> {
  const count = backend === "io_uring" ? 12 : 6; // the reactor has eight threads
  const file = await io.openFile(path("hang"), { read: true, write: true });
  const abort = new AbortController();
  const options = { signal: abort.signal };
  setMaxListeners(0, abort.signal);
  const reads = Array.from({ length: count }, (_, index) =>
    outcome(file.read(new Uint8Array(16), { ...options, position: index * 16 })),
  );
  const alive = await lives();
  abort.abort();
  if (backend !== "io_uring") go();
  const results = new Set(await Promise.all(reads));
  return [alive, ...results];
}

async function hungOpen(): Promise<unknown> {
  await io.stat(path("hangopen"));
  const opens = Array.from({ length: 3 }, () =>
    outcome(io.openFile(path("hangopen"), { timeoutMs: 50 })),
  );
  const alive = await lives();
  if (backend !== "io_uring") go();
  return [alive, ...new Set(await Promise.all(opens))];
}

/** A close whose flush is interrupted, or says so, while the program opens a file of its own. */
async function interruptedClose(name: string, byClosing: boolean): Promise<unknown> {
  const file = await io.openFile(path(name), { write: true });
  const number = file.descriptor & 0xfffff;
  const closing = outcome(file.close());
  const taken: number[] = [];
  // The number is given up before the server is asked.
  while (taken.at(-1) !== number) {
    for (const one of taken.splice(0)) closeSync(one);
    await turn();
    do taken.push(openSync("/proc/version", "r"));
    while ((taken.at(-1) ?? 0) < number);
  }
  if (byClosing) {
    const ended = outcome(io.close());
    await turn();
    go();
    await ended;
  } else {
    await io.cancelAll();
    go();
  }
  const result = await closing;
  for (const one of taken) fstatSync(one);
  return [result, "open"];
}

/** A close of a chain that fails, and what is left to close. */
async function chainedClose(name: string): Promise<unknown> {
  const file = await io.openFile(path(name), { write: true });
  let result: unknown;
  const chained = outcome(io.chain([file.prepareClose()])).then((code) => {
    result = code;
  });
  // The system may ask the server only after it was let go on.
  while (result === undefined) {
    await turn();
    go();
  }
  await chained;
  return [result, await outcome(file.close()), await outcome(file.read(new Uint8Array(1)))];
}

async function read(name: string): Promise<unknown> {
  const file = await io.openFile(path(name));
  return outcome(file.read(new Uint8Array(10), 0));
}

async function write(name: string): Promise<unknown> {
  const file = await io.openFile(path(name), { write: true });
  return outcome(file.write(new Uint8Array(10), 0));
}

/** A socket that its IO does not know to be full: the first attempt finds that out. */
async function full(other: IO, number: number): Promise<Socket> {
  const listener = await other.listen({ path: join(tmpdir(), `io-fuse-${process.pid}-${number}`) });
  const [client] = await Promise.all([other.connect(listener.address), listener.accept()]);
  await outcome(client.sendAll(new Uint8Array(4 << 20), { timeoutMs: 50 }));
  await listener.close();
  return io.adopt(await client.detach(), "socket");
}

/** How often a close looks for what it waits for, after a file has come late to a full socket. */
async function lateFile(): Promise<unknown> {
  const other = await IO.open({ backend: backend as "epoll" });
  const file = await io.openFile(path("late"));
  let fewest = Number.POSITIVE_INFINITY;
  // One of its looks may be due just then, so the best of several times counts.
  for (let time = 0; time < 4 && fewest > 0; time++) {
    const socket = await full(other, time);
    const sending = outcome(socket.sendFile(file, 0, 4096));
    while (!existsSync(path(`reading-${process.pid}-${time}`))) await turn();
    const closing = socket.close();
    await turn();
    const { cancels } = io.stats();
    go();
    await closing;
    fewest = Math.min(fewest, io.stats().cancels - cancels);
    if ((await sending) === "ok") return "sent";
  }
  return fewest;
}

const cases: Readonly<Record<string, () => Promise<unknown>>> = {
  hung,
  hungOpen,
  interruptedByClose: () => interruptedClose("flush-EINTR", true),
  interruptedByCancel: () => interruptedClose("flush-EINTR", false),
  cancelledByClose: () => interruptedClose("flush-ECANCELED", true),
  cancelledByCancel: () => interruptedClose("flush-ECANCELED", false),
  chainedClose: () => chainedClose("flush-EIO"),
  readInterrupted: () => read("read-EINTR"),
  readInterruptedOnce: () => read("once-EINTR"),
  lateFile,
  writeQuota: () => write("write-EDQUOT"),
};
process.stdout.write(JSON.stringify(await cases[what]?.()));
process.exit(0);
