// The names in a directory: as a list, and one by one.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { IO } from "@io/core";
import { OpenFlags } from "@io/core";
import * as assert from "uvu/assert";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { failure, failureCode, negative, outcome, success } from "../support/verbs.js";

const MANY = 3000;

function manyNames(trial: Trial): string[] {
  mkdirSync(trial.path("many"));
  const names = Array.from({ length: MANY }, (_, index) => `${index}-${"n".repeat(index % 200)}`);
  for (const name of names) writeFileSync(trial.path(`many/${name}`), "");
  return names.sort();
}

function tree(trial: Trial): void {
  mkdirSync(trial.path("tree/a/b/c"), { recursive: true });
  mkdirSync(trial.path("tree/empty"));
  for (const name of ["top", "a/one", "a/b/two", "a/b/c/three"]) {
    writeFileSync(trial.path(`tree/${name}`), name);
  }
  symlinkSync("a", trial.path("tree/link"));
  symlinkSync("..", trial.path("tree/a/up"));
}

const TREE = [
  ...["a", "a/b", "a/b/c", "a/b/c/three", "a/b/two", "a/one", "a/up"],
  ...["empty", "link", "top"],
];

async function pathsOf(io: IO, path: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { parentPath, name } of io.entries(path, { recursive: true })) {
    found.push(`${parentPath}/${name}`.slice(path.length + 1));
  }
  return found;
}

function registerList(suite: Suite): void {
  suite.test("readdir gives every name once", async (trial) => {
    const io = await trial.open();
    const names = manyNames(trial);
    const before = io.stats().descriptors;
    assert.equal((await io.readdir(trial.path("many"))).sort(), names);
    mkdirSync(trial.path("empty"));
    assert.equal(await io.readdir(trial.path("empty")), []);
    await using many = await io.openDirectory(trial.path("many"));
    assert.equal((await many.readdir(".")).sort(), names);
    assert.equal((await many.readdir(".")).sort(), names);
    const twice = await Promise.all([many.readdir("."), many.readdir(".")]);
    for (const list of twice) assert.equal(list.sort(), names);
    assert.is(io.stats().descriptors, before + 1);
  });

  suite.test("readdir asks for many names at once, whatever they are", async (trial) => {
    const io = await trial.open();
    mkdirSync(trial.path("mixed"));
    // Neighbours, in whichever order the file system has them, and in parts that end anywhere.
    const names = Array.from({ length: 4000 }, (_, index) => {
      const tail = "x".repeat(100 + (index % 100));
      return index % 300 === 0 ? `größe-${index}${tail}` : `n-${index}${tail}`;
    });
    for (const name of names) writeFileSync(trial.path(`mixed/${name}`), "");
    const before = io.stats().submitted;
    const list = await io.readdir(trial.path("mixed"));
    // To open and to close it, and the reads of some 750 KB of records, more on macOS: 16 KiB each
    // would be 46 on Linux.
    const count = io.stats().submitted - before;
    assert.ok(count <= 16, `${count} operations`);
    assert.equal(list.sort(), names.sort());
    const buffers = await io.readdir(trial.path("mixed"), { encoding: "buffer" });
    assert.equal(buffers.map(String).sort(), names);
  });

  suite.test("names that are no ASCII, and no UTF-8, are the same bytes again", async (trial) => {
    const io = await trial.open();
    mkdirSync(trial.path("names"));
    const odd = Buffer.from([0x61, 0xff, 0x62, 0x80]);
    const names = ["plain", "größe", "日本語", "😀".repeat(50)];
    const path = Buffer.from(trial.path("names/"));
    let takesOdd = true;
    for (const name of names) writeFileSync(trial.path(`names/${name}`), "");
    try {
      writeFileSync(Buffer.concat([path, odd]), "odd");
    } catch {
      takesOdd = false; // the file system takes UTF-8 alone
    }
    const list = await io.readdir(trial.path("names"));
    for (const name of names) assert.ok(list.includes(name), name);
    assert.is(list.length, names.length + (takesOdd ? 1 : 0));
    const buffers = await io.readdir(trial.path("names"), { encoding: "buffer" });
    assert.is(
      buffers.some((bytes) => bytes.equals(odd)),
      takesOdd,
    );
    for (const name of list) assert.ok((await io.stat(`${trial.path("names")}/${name}`)).isFile());
    assert.is(
      await failureCode(
        io.readdir(path, { encoding: "buffer", recursive: true } as { encoding: "buffer" }),
      ),
      "ERR_INVALID_ARG_VALUE",
    );
  });
}

/** From a read on the system may write to its memory, at any time: here it does so at once. */
function overwriteEarly(io: IO): { reads: number; readonly memories: Set<unknown> } {
  const seen = { reads: 0, memories: new Set<unknown>() };
  const { ring } = io;
  const real = ring.readDirectory.bind(ring);
  ring.readDirectory = (completion, callback, descriptor, view) => {
    seen.reads++;
    seen.memories.add(view.buffer);
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength).fill(0xff);
    real(completion, callback, descriptor, view);
  };
  return seen;
}

function registerReuse(suite: Suite): void {
  suite.test("the system gets no memory whose names were not read", async (trial) => {
    const io = await trial.open();
    const path = trial.path("large");
    mkdirSync(path);
    // More than 1 MB of records, so that each memory is used more than once.
    const names = Array.from({ length: 6000 }, (_, index) => `${index}-${"n".repeat(200)}`).sort();
    for (const name of names) writeFileSync(`${path}/${name}`, "");
    const seen = overwriteEarly(io);
    const lists: (() => Promise<string[]>)[] = [
      () => io.readdir(path),
      async () => (await io.readdir(path, { encoding: "buffer" })).map(String),
      async () => (await io.readdir(path, { withFileTypes: true })).map(({ name }) => name),
      () => io.readdir(path, { recursive: true }),
      async () => (await pathsOf(io, path)).sort(),
    ];
    for (const list of lists) assert.equal((await list()).sort(), names);
    const together = await Promise.all(lists.map((list) => list()));
    for (const list of together) assert.equal(list.sort(), names);
    const { reads, memories } = seen;
    assert.ok(memories.size < reads, `${memories.size} memories for ${reads} reads: none twice`);
  });
}

function registerKinds(suite: Suite): void {
  suite.test("readdir with kinds, and recursive", async (trial) => {
    const io = await trial.open();
    tree(trial);
    execFileSync("mkfifo", [trial.path("tree/fifo")]);
    const server = createServer().listen(trial.path("tree/socket"));
    await once(server, "listening");
    trial.defer(() => server.close());
    const entries = await io.readdir(trial.path("tree"), { withFileTypes: true });
    const kinds = entries.map(({ name, kind }) => `${name} ${kind}`).sort();
    assert.equal(kinds, [
      ...["a directory", "empty directory", "fifo fifo", "link link", "socket socket"],
      "top file",
    ]);
    for (const entry of entries) {
      assert.is(entry.parentPath, trial.path("tree"));
      assert.is(entry.isDirectory(), entry.kind === "directory");
      assert.is(entry.isSymbolicLink(), entry.name === "link");
    }
    const all = await io.readdir(trial.path("tree"), { recursive: true });
    assert.equal(all.sort(), [...TREE, "fifo", "socket"].sort());
  });

  suite.test("readdir of what is no directory, or not there", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), "");
    const before = io.stats().descriptors;
    const error = await failure(io.readdir(trial.path()));
    assert.equal([error.code, error.path], ["ENOTDIR", trial.path()]);
    assert.is(await failureCode(io.readdir(trial.path("none"))), "ENOENT");
    assert.is(await failureCode(io.readdir("")), "ENOENT");
    assert.is(await failureCode(io.readdir(trial.path("."), { timeoutMs: 0 })), "ETIMEDOUT");
    assert.is(io.stats().descriptors, before);
  });
}

function registerIterator(suite: Suite): void {
  suite.test("entries gives each directory before what is in it", async (trial) => {
    const io = await trial.open();
    tree(trial);
    const found = await pathsOf(io, trial.path("tree"));
    assert.equal([...found].sort(), [...TREE].sort());
    for (const [index, path] of found.entries()) {
      const parent = path.split("/").slice(0, -1).join("/");
      if (parent !== "") assert.ok(found.indexOf(parent) < index, `${parent} before ${path}`);
    }
  });

  suite.test("a loop may be left early, and closes what it has opened", async (trial) => {
    const io = await trial.open();
    tree(trial);
    manyNames(trial);
    const before = io.stats().descriptors;
    for await (const { name } of io.entries(trial.path("many"))) {
      assert.ok(name.length > 0);
      break;
    }
    for await (const { name } of io.entries(trial.path("tree"), { recursive: true })) {
      if (name === "three") break;
    }
    const thrown = (async () => {
      for await (const { name } of io.entries(trial.path("many"))) throw new Error(name);
    })();
    await thrown.catch(() => undefined);
    assert.is(io.stats().descriptors, before);
    const never = io.entries(trial.path("many"));
    await never.return(undefined);
    assert.is((await never.next()).done, true);
    assert.is(io.stats().descriptors, before);
  });

  suite.test("an abort, and the end of the IO, end a loop with an error", async (trial) => {
    const io = await trial.open();
    manyNames(trial);
    const before = io.stats().descriptors;
    const controller = new AbortController();
    let count = 0;
    const looping = (async () => {
      for await (const { name } of io.entries(trial.path("many"), { signal: controller.signal })) {
        if (++count === 10) controller.abort(new Error(name));
      }
    })();
    assert.is(await failureCode(looping), "ABORT_ERR");
    assert.ok(count < MANY);
    assert.is(io.stats().descriptors, before);
    const closing = (async () => {
      let seen = 0;
      for await (const { name } of io.entries(trial.path("many"))) {
        if (++seen === 10 && name !== "") void trial.close(io);
      }
    })();
    const code = await closing.then(
      () => "ended",
      (error) => error.code,
    );
    assert.ok(["ERR_IO_CLOSED", "ECANCELED", "EBADF"].includes(code), code);
  });

  suite.test("what is removed or replaced meanwhile is left out, not an error", async (trial) => {
    const io = await trial.open();
    for (const name of ["x", "y", "z"])
      mkdirSync(trial.path(`changing/${name}/in`), { recursive: true });
    const found: string[] = [];
    for await (const { name } of io.entries(trial.path("changing"), { recursive: true })) {
      found.push(name);
      if (found.length > 1) continue;
      // All three are known by now, and not entered.
      const others = ["x", "y", "z"].filter((other) => other !== name);
      rmSync(trial.path(`changing/${others[0]}`), { recursive: true });
      renameSync(trial.path(`changing/${others[1]}`), trial.path("away"));
      symlinkSync("../away", trial.path(`changing/${others[1]}`));
    }
    assert.is(found.filter((name) => name === "in").length, 1);
    assert.is(found.length, 4);
  });
}

function registerRing(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: the ring reads a directory batch by batch`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const names = manyNames(trial);
    const flags = OpenFlags.read | OpenFlags.directory;
    const path = trial.path("many");
    const descriptor = await success(io, (c, done) => ring.open(c, done, path, flags, 0));
    const buffer = Buffer.alloc(4096);
    const found: string[] = [];
    for (;;) {
      const count = await success(io, (c, done) => ring.readDirectory(c, done, descriptor, buffer));
      if (count === 0) break;
      for (let at = 0; at < count; ) {
        const length = buffer.readUInt16LE(at + 1);
        assert.is(buffer[at], 1, "a file");
        found.push(buffer.toString("utf8", at + 3, at + 3 + length));
        at += 3 + length;
      }
    }
    assert.equal(found.sort(), names);
    writeFileSync(trial.path(), "");
    const file = await success(io, (c, done) => ring.open(c, done, trial.path(), 1, 0));
    assert.is(
      await outcome(io, (c, done) => ring.readDirectory(c, done, file, buffer)),
      negative("ENOTDIR"),
    );
  });
}

export function filesListing(suite: Suite): void {
  registerList(suite);
  registerReuse(suite);
  registerKinds(suite);
  registerIterator(suite);
  for (const mode of MODES) registerRing(suite, mode);
}
