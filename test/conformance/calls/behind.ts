// Changes of the program behind a call and in the same turn: its working folder and its mask. And
// the files of unix sockets, which go with them.

import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { umask as importedUmask } from "node:process";
import { Completion, type IO, OpenFlags } from "@io/core";
import * as assert from "uvu/assert";
import type { Suite, Trial } from "../support/harness.js";
import { FAMILIES, type Family } from "../support/network.js";
import { failureCode, linked, Started, success, until } from "../support/verbs.js";

export function behindCalls(suite: Suite): void {
  registerFolder(suite);
  registerFolderOddities(suite);
  registerMask(suite);
  registerMaskOfSockets(suite);
  registerFiles(suite);
}

/** Makes two folders, and calls with the first as the working folder and the second right after. */
async function inFolder<T>(trial: Trial, call: () => Promise<T>): Promise<T> {
  const before = process.cwd();
  for (const name of ["a", "b"]) mkdirSync(trial.path(name), { recursive: true });
  try {
    process.chdir(trial.path("a"));
    const promise = call();
    process.chdir(trial.path("b"));
    return await promise;
  } finally {
    process.chdir(before);
  }
}

function registerFolder(suite: Suite): void {
  suite.test("a relative path is one of the folder in which the call was made", async (trial) => {
    const io = await trial.open();
    for (const name of ["a", "b"]) {
      mkdirSync(trial.path(name));
      writeFileSync(trial.path(`${name}/x`), name);
    }
    const file = await inFolder(trial, () => io.openFile("x"));
    const buffer = new Uint8Array(1);
    await file.read(buffer, 0);
    assert.equal([Buffer.from(buffer).toString(), file.path], ["a", "x"]);
    writeFileSync(trial.path("a/x"), "longer");
    assert.is((await inFolder(trial, () => io.stat("x"))).size, 6);
    await inFolder(trial, () => io.mkdir("made"));
    await inFolder(trial, () => io.link("x", "name"));
    await inFolder(trial, () => io.symlink("made", "symbolic"));
    assert.is(readlinkSync(trial.path("a/symbolic")), "made", "the target is no path of here");
    assert.is(await inFolder(trial, () => io.readlink("symbolic")), "made");
    await inFolder(trial, () => io.unlink("name"));
    await inFolder(trial, () => io.rename("x", "./made/y"));
    assert.is(readFileSync(trial.path("a/made/y"), "latin1"), "longer");
    await inFolder(trial, () => io.unlink("made/y"));
    assert.equal(
      ["a/made/y", "b/x"].map((name) => existsSync(trial.path(name))),
      [false, true],
    );
    const code = await inFolder(trial, () => failureCode(io.openFile("y")));
    assert.is(code, "ENOENT");
  });

  suite.test("that holds for the verbs of the ring", async (trial) => {
    const io = await trial.open();
    const flags = OpenFlags.write | OpenFlags.create;
    await inFolder(trial, async () => {
      const start = [
        new Started((c, callback) => io.ring.open(c, callback, "x", flags, 0o666)),
        new Started((c, callback) => io.ring.mkdir(c, callback, "y", 0o777)),
      ];
      await until(io, () => start.every(({ done }) => done), "both");
    });
    assert.equal(
      ["a/x", "a/y", "b/x", "b/y"].map((name) => existsSync(trial.path(name))),
      [true, true, false, false],
    );
  });

  suite.test("that holds for unix sockets", async (trial) => {
    const io = await trial.open();
    const listener = await inFolder(trial, () => io.listen({ path: "s" }));
    const [served, client] = await Promise.all([
      listener.accept(),
      inFolder(trial, () => io.connect({ path: "s" })),
    ]);
    assert.is(served.localAddress!.path, client.remoteAddress!.path);
    const server = await inFolder(trial, () => io.openDatagram({ path: "d" }));
    const sender = await io.openDatagram({ family: "unix" });
    const receiving = server.receive(new Uint8Array(4));
    await inFolder(trial, () => sender.sendTo(Buffer.from("ping"), { path: "d" }));
    assert.is((await receiving).byteLength, 4);
    const found = ["a/s", "a/d", "b/s", "b/d"].map((name) => existsSync(trial.path(name)));
    assert.equal(found, [true, true, false, false]);
  });
}

function registerFolderOddities(suite: Suite): void {
  suite.test("a relative path is joined and not changed", async (trial) => {
    const io = await trial.open();
    mkdirSync(trial.path("a/deep/er"), { recursive: true });
    symlinkSync(trial.path("a/deep/er"), trial.path("a/link"));
    writeFileSync(trial.path("a/deep/x"), "of the link's target");
    // The parent of what the link names, and not of the link.
    assert.is((await inFolder(trial, () => io.stat("link/../x"))).size, 20);
    assert.is((await inFolder(trial, () => io.stat("."))).ino, statSync(trial.path("a")).ino);
    assert.is(await inFolder(trial, () => failureCode(io.stat(""))), "ENOENT");
  });

  suite.test("a relative path that is too long as a whole is taken as it is", async (trial) => {
    const io = await trial.open();
    const name = "x".repeat(100);
    const before = process.cwd();
    mkdirSync(trial.path("a"));
    try {
      process.chdir(trial.path("a"));
      const listener = await io.listen({ path: name });
      assert.ok(existsSync(name));
      await listener.close();
      assert.ok(!existsSync(name));
    } finally {
      process.chdir(before);
    }
  });

  suite.test("in a folder that was removed nothing is found", async (trial) => {
    const io = await trial.open();
    const before = process.cwd();
    mkdirSync(trial.path("a"));
    try {
      process.chdir(trial.path("a"));
      rmSync(trial.path("a"), { recursive: true });
      assert.is(await failureCode(io.openFile("x", { write: true, create: true })), "ENOENT");
    } finally {
      process.chdir(before);
    }
  });
}

type Maker = [name: string, make: (io: IO, path: string) => Promise<unknown>, all: number];

const MAKERS: readonly Maker[] = [
  ["openFile", (io, path) => io.openFile(path, { write: true, create: true }), 0o666],
  ["openFile with a mode", (io, path) => io.openFile(path, { create: true, mode: 0o640 }), 0o640],
  ["mkdir", (io, path) => io.mkdir(path), 0o777],
  [
    "ring.open",
    (io, path) => {
      const flags = OpenFlags.write | OpenFlags.create;
      return success(io, (c, callback) => io.ring.open(c, callback, path, flags, 0o666));
    },
    0o666,
  ],
  [
    "ring.mkdir",
    (io, path) => success(io, (c, callback) => io.ring.mkdir(c, callback, path, 0o777)),
    0o777,
  ],
  [
    "a chain of the ring",
    async (io, path) => {
      const flags = OpenFlags.write | OpenFlags.create;
      io.ring.timeout(linked(new Completion()), () => undefined, 1000);
      await success(io, (c, callback) => io.ring.open(c, callback, path, flags, 0o666));
    },
    0o666,
  ],
];

async function bitsMade(
  trial: Trial,
  io: IO,
  [name, make]: Maker | readonly [string, Maker[1]],
  [mask, other]: readonly [number, number],
): Promise<number> {
  const path = trial.path(`${name}-${mask}`);
  const before = process.umask(other);
  try {
    process.umask(mask);
    const making = make(io, path);
    process.umask(other);
    await making;
  } finally {
    process.umask(before);
  }
  return statSync(path).mode & 0o777;
}

function registerMask(suite: Suite): void {
  for (const maker of MAKERS) {
    suite.test(`${maker[0]} makes what the mask of its call allows`, async (trial) => {
      const io = await trial.open();
      for (const mask of [0o077, 0o027]) {
        const bits = await bitsMade(trial, io, maker, [mask, 0o022]);
        assert.is(bits.toString(8), (maker[2] & ~mask).toString(8), `under ${mask.toString(8)}`);
      }
    });
  }

  suite.test("a mask that stays as it is counts as always", async (trial) => {
    const io = await trial.open();
    const made = await bitsMade(trial, io, MAKERS[0] as Maker, [0o022, 0o022]);
    assert.is(made, 0o644);
    assert.is(process.umask, importedUmask, "the module has the same function");
    assert.throws(() => process.umask("none"));
    assert.is(process.umask(), process.umask(process.umask()));
  });
}

function registerMaskOfSockets(suite: Suite): void {
  const makers: readonly (readonly [string, Maker[1]])[] = [
    ["listen", (io, path) => io.listen({ path })],
    ["openDatagram", (io, path) => io.openDatagram({ path })],
  ];
  for (const maker of makers) {
    suite.test(`${maker[0]} makes a file as the mask of its call allows`, async (trial) => {
      const io = await trial.open();
      const bits = await bitsMade(trial, io, maker, [0o077, 0o022]);
      assert.is(bits.toString(8), "700");
    });
  }

  suite.test("ring.bind makes a file as the mask of its call allows", async (trial) => {
    const io = await trial.open();
    const socket = await success(io, (c, callback) => io.ring.socket(c, callback, "unix"));
    const bind: Maker[1] = (_io, path) => {
      const address = { family: "unix", path } as const;
      return success(io, (c, callback) => io.ring.bind(c, callback, socket, address));
    };
    const bits = await bitsMade(trial, io, ["bind", bind], [0o077, 0o022]);
    assert.is(bits.toString(8), "700");
  });
}

function registerFiles(suite: Suite): void {
  const family = FAMILIES.find(({ name }) => name === "a unix path") as Family;

  suite.test("the file of a listener goes with it", async (trial) => {
    const io = await trial.open();
    const path = trial.path("socket");
    for (let round = 0; round < 3; round++) {
      const listener = await io.listen({ path });
      assert.ok(existsSync(path));
      assert.is(await failureCode(io.listen({ path })), "EADDRINUSE");
      assert.ok(existsSync(path), "what another one has is left alone");
      await listener.close();
      assert.ok(!existsSync(path));
    }
    const datagrams = await io.openDatagram({ path });
    await datagrams.close();
    assert.ok(!existsSync(path));
    const bound = await io.openDatagram({ family: "unix" });
    await bound.bind({ path });
    await bound.close();
    assert.ok(!existsSync(path));
  });

  suite.test("closing the IO removes the files of its sockets", async (trial) => {
    const io = await trial.open();
    const { path } = family.listening(trial) as { path: string };
    await io.listen({ path });
    await io.openDatagram({ path: `${path}.datagrams` });
    await trial.close(io);
    assert.equal([existsSync(path), existsSync(`${path}.datagrams`)], [false, false]);
  });

  suite.test("a file that took the place of a listener's is left alone", async (trial) => {
    const io = await trial.open();
    const path = trial.path("socket");
    const first = await io.listen({ path });
    renameSync(path, trial.path("moved"));
    const second = await io.listen({ path });
    await first.close();
    assert.ok(existsSync(path));
    const client = await io.connect({ path });
    await client.close();
    await second.close();
    assert.ok(!existsSync(path));
    const third = await io.listen({ path });
    rmSync(path);
    writeFileSync(path, "somebody's");
    await third.close();
    assert.is(readFileSync(path, "latin1"), "somebody's");
  });

  suite.test("accepted connections and failed listeners remove nothing", async (trial) => {
    const io = await trial.open();
    const path = trial.path("socket");
    const listener = await io.listen({ path });
    const client = await io.connect({ path });
    const served = await listener.accept();
    await client.close();
    await served.close();
    assert.ok(existsSync(path));
  });
}
