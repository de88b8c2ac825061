// FIFOs and devices, which every system watches in a way of its own: the ends of a FIFO, and what
// nothing can wait for.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type Descriptor, type IO, OpenFlags } from "@io/core";
import * as assert from "uvu/assert";
import { GUARD_MS, type Suite, type Trial } from "../support/harness.js";
import { negative, outcome, roundTrips, Started, success, until } from "../support/verbs.js";

export function systemsPipes(suite: Suite): void {
  registerEndsOfFifo(suite);
  registerLostReader(suite);
  registerTerminal(suite);
}

class Fifo {
  readonly io: IO;
  readonly path: string;

  constructor(io: IO, path: string) {
    this.io = io;
    this.path = path;
    execFileSync("mkfifo", [path]);
  }

  open(flags: number): Promise<Descriptor> {
    const { io, path } = this;
    return success(io, (c, callback) => io.ring.open(c, callback, path, flags, 0));
  }

  close(descriptor: Descriptor): Promise<number> {
    return success(this.io, (c, callback) => this.io.ring.close(c, callback, descriptor));
  }

  read(reader: Descriptor, buffer = new Uint8Array(8)): Started {
    return new Started((c, callback) => this.io.ring.read(c, callback, reader, buffer, -1));
  }

  async readNow(reader: Descriptor): Promise<number> {
    const read = this.read(reader);
    await until(this.io, () => read.done, "the read");
    return read.result;
  }

  write(writer: Descriptor, sizeBytes: number): Promise<number> {
    const data = new Uint8Array(sizeBytes);
    return outcome(this.io, (c, callback) => this.io.ring.write(c, callback, writer, data, -1));
  }
}

async function openFifo(trial: Trial): Promise<Fifo> {
  return new Fifo(await trial.open(), trial.path("fifo"));
}

function registerEndsOfFifo(suite: Suite): void {
  suite.test("a read that waits ends with a writer that said nothing", async (trial) => {
    const fifo = await openFifo(trial);
    const reader = await fifo.open(OpenFlags.read);
    const writer = await fifo.open(OpenFlags.write);
    const read = fifo.read(reader);
    await roundTrips(fifo.io);
    assert.is(read.done, false);
    await fifo.close(writer);
    await until(fifo.io, () => read.done, "the end");
    assert.is(read.result, 0);
  });

  suite.test("a read that begins after the last writer has gone ends at once", async (trial) => {
    const fifo = await openFifo(trial);
    const reader = await fifo.open(OpenFlags.read);
    await fifo.close(await fifo.open(OpenFlags.write));
    assert.is(await fifo.readNow(reader), 0);
    assert.is(await fifo.readNow(reader), 0, "and so does the next");
  });

  suite.test(
    "bytes that are left come before the end, and another writer after it",
    async (trial) => {
      const fifo = await openFifo(trial);
      const reader = await fifo.open(OpenFlags.read);
      const first = await fifo.open(OpenFlags.write);
      assert.is(await fifo.write(first, 11), 11);
      await fifo.close(first);
      assert.equal([await fifo.readNow(reader), await fifo.readNow(reader)], [8, 3]);
      assert.is(await fifo.readNow(reader), 0);
      const second = await fifo.open(OpenFlags.write);
      const read = fifo.read(reader);
      await roundTrips(fifo.io);
      assert.is(read.done, false, "a writer is there");
      assert.is(await fifo.write(second, 5), 5);
      await until(fifo.io, () => read.done, "the read");
      assert.is(read.result, 5);
      const last = fifo.read(reader);
      await fifo.close(second);
      await until(fifo.io, () => last.done, "the end");
      assert.is(last.result, 0);
    },
  );

  suite.test("a read of a FIFO can be cancelled, and has a time limit", async (trial) => {
    const fifo = await openFifo(trial);
    const reader = await fifo.open(OpenFlags.read);
    const read = fifo.read(reader);
    await roundTrips(fifo.io);
    await fifo.io.cancelAll();
    await until(fifo.io, () => read.done, "the cancelled read");
    assert.is(read.result, negative("ECANCELED"));
    const file = await fifo.io.openFile(fifo.path);
    const code = await file.read(new Uint8Array(4), { timeoutMs: 50 }).then(
      () => "",
      (error) => error.code,
    );
    assert.is(code, "ETIMEDOUT");
    await file.close();
  });
}

function registerLostReader(suite: Suite): void {
  suite.test("a write that waits for room ends with the last reader", async (trial) => {
    const fifo = await openFifo(trial);
    const { io } = fifo;
    const reader = await fifo.open(OpenFlags.read);
    const writer = await fifo.open(OpenFlags.write);
    const chunk = new Uint8Array(65_536);
    let write: Started;
    do {
      write = new Started((c, callback) => io.ring.write(c, callback, writer, chunk, -1));
      await roundTrips(io);
    } while (write.done);
    await fifo.close(reader);
    await until(io, () => write.done, "the write");
    assert.is(write.result, negative("EPIPE"));
  });
}

/** What `script` runs on a terminal of its own: it reads two lines of /dev/tty. */
const TERMINAL = fileURLToPath(new URL("./terminal_child.js", import.meta.url));

function registerTerminal(suite: Suite): void {
  const name = "a read of /dev/tty waits for what is typed";
  try {
    execFileSync("script", ["-qec", "true", "/dev/null"], { stdio: "ignore" });
  } catch {
    suite.skip(name, "there is no script(1) that runs a command on a terminal");
    return;
  }
  suite.test(name, async (trial) => {
    const command = `'${process.execPath}' '${TERMINAL}' ${suite.backend}`;
    const child = spawn("script", ["-qec", command, "/dev/null"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    trial.defer(() => child.kill("SIGKILL"));
    let output = "";
    const said = (word: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`no ${word} in: ${output}`)), GUARD_MS / 2);
        const look = (): void => {
          if (!output.includes(word)) return;
          clearTimeout(late);
          child.stdout.off("data", look);
          resolve();
        };
        child.stdout.on("data", look);
        look();
      });
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    const exit = once(child, "exit");
    await said("waiting");
    child.stdin.write("one\n");
    await said("got 4");
    child.stdin.write("three\n");
    await said("got 6");
    assert.equal(await exit, [0, null], output);
  });
}
