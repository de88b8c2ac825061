// WHATWG streams over files: what they read and write, and that each gives its file up.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import nodePromises from "node:fs/promises";
import type { WritableStreamDefaultWriter } from "node:stream/web";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { FileHandle } from "./file_handle.js";
import { outcomeHere, outcomeOf, type Program, type Promises } from "./outcome.test.support.js";
import * as ours from "./promises.js";

const test = suite("WHATWG streams over files");

const readers: Record<string, Program> = {
  "memory of the reader's own": async ({ open }, at) => {
    writeFileSync(at("digits"), "0123456789");
    const handle = await open(at("digits"));
    const reader = handle.readableWebStream({ type: "bytes" }).getReader({ mode: "byob" });
    const parts: unknown[] = [];
    let memory = new Uint8Array(4);
    for (;;) {
      const { value, done } = await reader.read(memory);
      if (done || value === undefined) break;
      parts.push(Buffer.from(value), value.buffer.byteLength);
      memory = new Uint8Array(value.buffer as ArrayBuffer);
    }
    const isOpen = handle.fd > 2;
    await handle.close();
    return [parts, isOpen, handle.fd];
  },
  "a cancel gives the file up": async ({ open }, at) => {
    writeFileSync(at("digits"), "x".repeat(100_000));
    const handle = await open(at("digits"));
    const reader = handle.readableWebStream({ type: "bytes" }).getReader();
    const { value } = await reader.read();
    await reader.cancel("enough");
    await handle.close();
    return [value !== undefined, handle.fd];
  },
  "the file is closed under it": async ({ open }, at) => {
    writeFileSync(at("digits"), "x".repeat(100_000));
    const handle = await open(at("digits"));
    const reader = handle.readableWebStream({ type: "bytes" }).getReader();
    await reader.read();
    await handle.close();
    return [handle.fd, (await reader.read()).done];
  },
};

for (const [name, program] of Object.entries(readers)) {
  test(name, async () => {
    const theirs = await outcomeOf(program, nodePromises);
    assert.equal(await outcomeHere(program, ours as unknown as Promises), theirs);
  });
}

async function inFolder(run: (open: typeof ours.open, file: string) => Promise<void>) {
  const outcome = await outcomeOf(
    async (fs, at) => {
      await run((fs as unknown as typeof ours).open, at("file"));
      return "done";
    },
    ours as unknown as Promises,
  );
  assert.equal(outcome, { result: "done" });
}

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
}

test("a read that fails gives the file up", () =>
  inFolder(async (open, file) => {
    const handle = await open(file.slice(0, -"/file".length));
    const reader = handle.readableWebStream().getReader();
    assert.is(await codeOf(reader.read()), "EISDIR");
    await handle.close();
    assert.is(handle.fd, -1);
  }));

test("writes: views, memory and text, behind each other from the current position on", () =>
  inFolder(async (open, file) => {
    const handle = await open(file, "w");
    await handle.write("first,");
    const writer = handle.writableWebStream().getWriter();
    const big = Buffer.alloc(5_000_000, "abcdefg");
    void writer.write("text,");
    void writer.write(new Uint8Array([65, 66, 67]).subarray(1));
    void writer.write(new Uint8Array([68]).buffer);
    void writer.write(new DataView(new Uint8Array([69, 70, 71]).buffer, 1, 1));
    await writer.write(big);
    await writer.close();
    assert.ok(handle.fd > 2, "the file stays open");
    await handle.close();
    const whole = readFileSync(file);
    assert.is(whole.subarray(0, 15).toString(), "first,text,BCDF");
    assert.is(Buffer.compare(whole.subarray(15), big), 0);
  }));

test("from one file to another by pipeTo", () =>
  inFolder(async (open, file) => {
    const bytes = Buffer.alloc(1_000_001, "0123456789");
    writeFileSync(file, bytes);
    const from = await open(file);
    const to = await open(`${file}2`, "w");
    await from.readableWebStream().pipeTo(to.writableWebStream());
    await from.close();
    await to.close();
    assert.is(Buffer.compare(readFileSync(`${file}2`), bytes), 0);
  }));

/** How a writer ends beside its close: afterwards the file can be closed. */
const endings: Record<
  string,
  (writer: WritableStreamDefaultWriter, handle: FileHandle) => unknown
> = {
  "an abort": (writer) => writer.abort("enough"),
  "a chunk of another type": async (writer) => {
    assert.is(await codeOf(writer.write(5)), "ERR_INVALID_ARG_TYPE");
  },
  "a close of the file": async (writer, handle) => {
    await writer.write("x");
    const closing = handle.close();
    assert.is(await codeOf(writer.write("y")), "ERR_INVALID_STATE");
    await closing;
  },
  "a close of the file behind a write": async (writer, handle) => {
    const writing = codeOf(writer.write(new Uint8Array(5_000_000)));
    await handle.close();
    await writing;
    assert.is(await codeOf(writer.closed), "ERR_INVALID_STATE");
  },
};

for (const [name, end] of Object.entries(endings)) {
  test(`${name} gives the file up`, () =>
    inFolder(async (open, file) => {
      const handle = await open(file, "w");
      const writer = handle.writableWebStream().getWriter();
      writer.closed.catch(() => {});
      await end(writer, handle);
      await handle.close();
      assert.is(handle.fd, -1);
    }));
}

test("a write that fails gives the file up", () =>
  inFolder(async (open) => {
    if (!existsSync("/dev/full")) return;
    const handle = await open("/dev/full", "w");
    const writer = handle.writableWebStream().getWriter();
    writer.closed.catch(() => {});
    assert.is(await codeOf(writer.write("x")), "ENOSPC");
    await handle.close();
    assert.is(handle.fd, -1);
  }));

test("one writer, and none on a file that is closed", () =>
  inFolder(async (open, file) => {
    const handle = await open(file, "w");
    await handle.writableWebStream().close();
    assert.throws(
      () => handle.writableWebStream(),
      (error: NodeJS.ErrnoException) => error.code === "ERR_INVALID_STATE",
    );
    await handle.close();
    assert.throws(
      () => handle.writableWebStream(),
      (error: NodeJS.ErrnoException) => error.code === "ERR_INVALID_STATE",
    );
  }));

test.run();
