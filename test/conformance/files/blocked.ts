// Opens that may have to wait: a FIFO, whose other end is not waited for, and a file on which
// another process has a lease.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import type { OpenOptions } from "@io/core";
import * as assert from "uvu/assert";
import { runChildTool } from "../support/children.js";
import { guarded, type Suite, type Trial } from "../support/harness.js";
import { failureCode } from "../support/verbs.js";

export function filesBlocked(suite: Suite): void {
  registerFifos(suite);
  registerLeases(suite);
}

const READING: readonly OpenOptions[] = [{ read: true }, { read: true, create: true }];
const WRITING: readonly OpenOptions[] = [
  { write: true },
  { write: true, create: true },
  { write: true, truncate: true },
  { append: true, create: true },
];

function fifo(trial: Trial, name = "fifo"): string {
  runChildTool("mkfifo", trial.path(name));
  return trial.path(name);
}

const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "resolved",
    (error: { code: string }) => error.code,
  );

const named = (options: OpenOptions): string => Object.keys(options).join(", ");

function registerFifos(suite: Suite): void {
  for (const options of READING) {
    suite.test(`a FIFO without a writer opens at once: ${named(options)}`, async (trial) => {
      const io = await trial.open();
      await guarded("open", io.openFile(fifo(trial), options));
    });
  }

  for (const options of WRITING) {
    suite.test(`a FIFO without a reader is ENXIO: ${named(options)}`, async (trial) => {
      const io = await trial.open();
      const opening = guarded("open", io.openFile(fifo(trial), options));
      assert.is(await failureCode(opening), "ENXIO");
    });
  }

  suite.test("what comes through a FIFO is waited for, however it was opened", async (trial) => {
    const io = await trial.open();
    const path = fifo(trial);
    const reader = await io.openFile(path, { read: true, create: true });
    const buffer = new Uint8Array(3);
    const reading = reader.read(buffer);
    const writer = await io.openFile(path, { append: true, create: true });
    await writer.write(Buffer.from("abc"));
    assert.is(await guarded("read", reading), 3);
    assert.is(Buffer.from(buffer).toString(), "abc");
  });

  suite.test("a hundred FIFOs do not keep a file from being opened", async (trial) => {
    const io = await trial.open();
    const paths = Array.from({ length: 100 }, (_, index) => trial.path(`fifo${index}`));
    runChildTool("mkfifo", ...paths);
    const opening = paths.map((path) => io.openFile(path, { read: true, create: true }));
    const file = io.openFile(trial.path("file"), { write: true, create: true });
    await guarded("the file", file);
    await guarded("the FIFOs", Promise.all(opening));
  });
}

// A signal tells the holder that the test wants the file, and the holder gives the lease up on
// request. The signal handler writes to a pipe: a signal just before the read of the standard input
// would otherwise be handled after it.
const HOLDER = `
import fcntl, os, select, signal, sys
file = os.open(sys.argv[1], os.O_RDWR)
wanted, wakes = os.pipe()
os.set_blocking(wakes, False)
signal.signal(signal.SIGIO, lambda *_: None)
signal.set_wakeup_fd(wakes)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
while True:
    ready = select.select([wanted, sys.stdin], [], [])[0]
    if wanted in ready:
        os.read(wanted, 1)
        print("wanted", flush=True)
    if sys.stdin in ready:
        break
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
`;

async function heard(holder: ChildProcess, word: string): Promise<void> {
  for (let told = ""; !told.includes(word); ) {
    const [piece] = await guarded(`the holder's "${word}"`, once(holder.stdout!, "data"));
    told += piece;
  }
}

async function leased(trial: Trial, name = "leased"): Promise<[string, ChildProcess]> {
  const path = trial.path(name);
  writeFileSync(path, "leased");
  const holder = spawn("python3", ["-c", HOLDER, path], { stdio: ["pipe", "pipe", "inherit"] });
  trial.defer(() => holder.kill("SIGKILL"));
  await heard(holder, "held");
  return [path, holder];
}

function whyNoLeases(): string | undefined {
  if (process.platform !== "linux") return "this system has no leases";
  return spawnSync("python3", ["-V"]).error && "python3, which takes the lease, is not there";
}

function registerLeases(suite: Suite): void {
  const reason = whyNoLeases();
  if (reason === undefined) {
    registerLeaseWaits(suite);
    registerLeaseEnds(suite);
  } else {
    suite.skip("opening a file with a lease", reason);
  }
}

function registerLeaseWaits(suite: Suite): void {
  suite.test("opening a file waits until its lease is given up", async (trial) => {
    const io = await trial.open();
    const [path, holder] = await leased(trial);
    const opening = io.openFile(path);
    await heard(holder, "wanted");
    holder.stdin!.write("\n");
    const file = await guarded("open", opening);
    assert.is(await file.read(new Uint8Array(10)), 6);
    assert.is(readFileSync(path, "utf8"), "leased");
  });

  suite.test("files with leases do not keep others from being opened", async (trial) => {
    const io = await trial.open();
    const [path, holder] = await leased(trial);
    const opening = Array.from({ length: 100 }, () => outcome(io.openFile(path)));
    await heard(holder, "wanted");
    await guarded("a file", io.openFile(trial.path("other"), { write: true, create: true }));
    holder.stdin!.write("\n");
    const results = await guarded("the leased ones", Promise.all(opening));
    assert.is(results.filter((result) => result === "resolved").length, 100);
  });
}

function registerLeaseEnds(suite: Suite): void {
  for (const options of [{}, { write: true, create: true }, { write: true, truncate: true }]) {
    const which = `with a lease: ${named(options) || "read"}`;

    suite.test(`a time limit ends the open of a file ${which}`, async (trial) => {
      const io = await trial.open();
      const [path] = await leased(trial);
      const opening = guarded("open", io.openFile(path, { ...options, timeoutMs: 30 }));
      assert.is(await failureCode(opening), "ETIMEDOUT");
    });

    suite.test(`a signal ends the open of a file ${which}`, async (trial) => {
      const io = await trial.open();
      const [path, holder] = await leased(trial);
      const abort = new AbortController();
      const opening = guarded("open", io.openFile(path, { ...options, signal: abort.signal }));
      const ended = failureCode(opening);
      await heard(holder, "wanted");
      abort.abort();
      assert.is(await ended, "ABORT_ERR");
    });
  }

  suite.test("cancelAll and close end opens of files with a lease", async (trial) => {
    const io = await trial.open();
    const [path, holder] = await leased(trial);
    const first = outcome(guarded("open", io.openFile(path)));
    await heard(holder, "wanted");
    await io.cancelAll();
    assert.is(await first, "ECANCELED");
    const second = outcome(guarded("open", io.openFile(path)));
    await trial.close(io);
    assert.is(await second, "ECANCELED");
  });
}
