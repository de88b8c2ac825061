// Opening: every flag, every error, in both layers.

import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { type File, type IO, OpenFlags, type OpenOptions } from "@io/core";
import * as assert from "uvu/assert";
import { isThere, MODES, type Suite, type Trial } from "../support/harness.js";
import {
  assertSystemError,
  failure,
  failureCode,
  negative,
  outcome,
  refusalCode,
  success,
} from "../support/verbs.js";

export function filesOpen(suite: Suite): void {
  registerAccess(suite);
  registerCreation(suite);
  registerKinds(suite);
  registerErrors(suite);
  registerRing(suite);
}

const bytes = (text: string): Buffer => Buffer.from(text);

async function opened(trial: Trial, options?: OpenOptions, content = "content"): Promise<File> {
  const io = await trial.open();
  writeFileSync(trial.path(), content);
  return io.openFile(trial.path(), options);
}

function registerAccess(suite: Suite): void {
  suite.test("without options a file is opened for reading", async (trial) => {
    const file = await opened(trial);
    assert.is(file.path, trial.path());
    assert.is(file.direct, false);
    const buffer = new Uint8Array(7);
    assert.is(await file.read(buffer, 0), 7);
    assert.equal(Buffer.from(buffer), bytes("content"));
    const error = await failure(file.write(bytes("x"), 0));
    assertSystemError(error, {
      code: "EBADF",
      syscall: "write",
      operation: "write",
      path: file.path,
    });
  });

  suite.test("write alone cannot read, read and write does both", async (trial) => {
    const file = await opened(trial, { write: true });
    assert.is(await file.write(bytes("C"), 0), 1);
    assert.is(await failureCode(file.read(new Uint8Array(1), 0)), "EBADF");
    const io = await trial.open();
    const both = await io.openFile(trial.path(), { read: true, write: true });
    const buffer = new Uint8Array(7);
    assert.is(await both.read(buffer, 0), 7);
    assert.equal(Buffer.from(buffer), bytes("Content"));
    assert.is(await both.write(bytes("c"), 0), 1);
    assert.is(readFileSync(trial.path(), "latin1"), "content");
  });

  suite.test("append writes at the end, at any position", async (trial) => {
    const file = await opened(trial, { append: true }, "one ");
    assert.is(await file.write(bytes("two "), 0), 4);
    assert.is(await file.write(bytes("three")), 5);
    assert.is(readFileSync(trial.path(), "latin1"), "one two three");
    assert.is(await failureCode(file.read(new Uint8Array(1), 0)), "EBADF");
  });

  suite.test("truncate empties what is there", async (trial) => {
    const file = await opened(trial, { write: true, truncate: true });
    assert.is((await file.stat()).size, 0);
  });

  suite.test("a file that may not be read is EACCES", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), "");
    chmodSync(trial.path(), 0);
    // Root may read everything.
    const expected = process.getuid?.() === 0 ? "no error" : "EACCES";
    const opening = io.openFile(trial.path());
    const code = await opening.then(
      () => "no error",
      (error) => error.code,
    );
    assert.is(code, expected);
  });
}

function registerCreation(suite: Suite): void {
  suite.test("create makes a file, with its mode less the mask", async (trial) => {
    const io = await trial.open();
    const mask = process.umask(0o022);
    trial.defer(() => process.umask(mask));
    await io.openFile(trial.path("plain"), { write: true, create: true });
    await io.openFile(trial.path("private"), { write: true, create: true, mode: 0o640 });
    await io.openFile(trial.path("open"), { write: true, create: true, mode: 0o777 });
    const mode = (name: string): number => statSync(trial.path(name)).mode & 0o7777;
    assert.equal([mode("plain"), mode("private"), mode("open")], [0o644, 0o640, 0o755]);
  });

  suite.test("create leaves what is there as it is", async (trial) => {
    const file = await opened(trial, { write: true, create: true });
    assert.is((await file.stat()).size, 7);
  });

  suite.test("exclusive makes a file once", async (trial) => {
    const io = await trial.open();
    const path = trial.path();
    const options = { write: true, create: true, exclusive: true };
    await (await io.openFile(path, options)).close();
    const error = await failure(io.openFile(path, options));
    assertSystemError(error, { code: "EEXIST", syscall: "open", operation: "open", path });
  });

  suite.test("without create nothing is made", async (trial) => {
    const io = await trial.open();
    const path = trial.path("missing");
    const error = await failure(io.openFile(path, { write: true }));
    assertSystemError(error, { code: "ENOENT", syscall: "open", operation: "open", path });
    assert.is(error.backend, io.backend);
    assert.match(error.message, path);
    assert.is(isThere(path), false);
  });

  suite.test("names beyond ASCII are names", async (trial) => {
    const io = await trial.open();
    const path = trial.path("\u00e4\u4e2d\u{1f600} x");
    await (await io.openFile(path, { write: true, create: true })).writeAll(bytes("y"), 0);
    assert.is(readFileSync(path, "latin1"), "y");
  });
}

function registerKinds(suite: Suite): void {
  suite.test("a directory cannot be opened for writing", async (trial) => {
    const io = await trial.open();
    const path = trial.path("folder");
    mkdirSync(path);
    const error = await failure(io.openFile(path, { write: true }));
    assertSystemError(error, { code: "EISDIR", syscall: "open", operation: "open", path });
  });

  suite.test("directory opens directories only, and they can be synced", async (trial) => {
    const file = await opened(trial);
    const io = await trial.open();
    const path = trial.path("folder");
    mkdirSync(path);
    const folder = await io.openFile(path, { directory: true });
    await folder.sync();
    assert.is((await folder.stat()).isDirectory(), true);
    assert.is(await failureCode(folder.read(new Uint8Array(8), 0)), "EISDIR");
    assert.is(await failureCode(folder.read(new Uint8Array(0), 0)), "EISDIR");
    const error = await failure(io.openFile(file.path, { directory: true }));
    const expected = { syscall: "open", operation: "open", path: file.path } as const;
    assertSystemError(error, { code: "ENOTDIR", ...expected });
  });

  suite.test("links are followed, and refused with followLinks: false", async (trial) => {
    const file = await opened(trial);
    const io = await trial.open();
    const path = trial.path("link");
    symlinkSync(file.path, path);
    const followed = await io.openFile(path);
    assert.is((await followed.stat()).ino, statSync(file.path).ino);
    const error = await failure(io.openFile(path, { followLinks: false }));
    assertSystemError(error, { code: "ELOOP", syscall: "open", operation: "open", path });
    await (await io.openFile(file.path, { followLinks: false })).close();
  });

  suite.test("links in a circle are ELOOP", async (trial) => {
    const io = await trial.open();
    symlinkSync(trial.path("b"), trial.path("a"));
    symlinkSync(trial.path("a"), trial.path("b"));
    assert.is(await failureCode(io.openFile(trial.path("a"))), "ELOOP");
    assert.is(await failureCode(io.stat(trial.path("a"))), "ELOOP");
    assert.is((await io.stat(trial.path("a"), { followLinks: false })).isSymbolicLink(), true);
  });
}

function registerErrors(suite: Suite): void {
  suite.test("a path that no file can have is an error with that path", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), "");
    const cases = [
      ["", "ENOENT"],
      [trial.path("x".repeat(256)), "ENAMETOOLONG"],
      [`/${"x/".repeat(2500)}`, "ENAMETOOLONG"],
      [`${trial.path()}/below`, "ENOTDIR"],
    ] as const;
    for (const [path, code] of cases) {
      const error = await failure(io.openFile(path));
      assertSystemError(error, { code, syscall: "open", operation: "open", path });
    }
  });

  suite.test("a path with a zero byte, or that is no string, is refused", async (trial) => {
    const io = await trial.open();
    assert.is(await failureCode(io.openFile("a\0b")), "ERR_INVALID_ARG_VALUE");
    for (const path of [undefined, null, 7, {}] as unknown as string[]) {
      assert.is(await failureCode(io.openFile(path)), "ERR_INVALID_ARG_TYPE", `${path}`);
    }
    assert.is(io.stats().inFlight, 0);
  });

  suite.test("a mode beyond permissions is refused and makes nothing", async (trial) => {
    const io = await trial.open();
    for (const mode of [0o10000, 2 ** 31]) {
      const opening = io.openFile(trial.path(), { write: true, create: true, mode });
      assert.ok(["EINVAL", "ERR_OUT_OF_RANGE"].includes(await failureCode(opening)));
    }
    assert.is(isThere(trial.path()), false);
  });

  suite.test("a failed open leaves no descriptor", async (trial) => {
    const io = await trial.open();
    for (let index = 0; index < 50; index++) await failure(io.openFile(trial.path("missing")));
    assert.is(io.stats().descriptors, 0);
  });
}

function registerRing(suite: Suite): void {
  for (const mode of MODES) {
    suite.test(`${mode}: the ring opens by flags, and closes`, async (trial) => {
      const io = await trial.open({ mode });
      const flags = OpenFlags.write | OpenFlags.create | OpenFlags.exclusive;
      const open = (path: string, bits: number): Promise<number> =>
        outcome(io, (completion, callback) =>
          io.ring.open(completion, callback, path, bits, 0o600),
        );
      const descriptor = await open(trial.path(), flags);
      assert.ok(descriptor > 0);
      assert.is(io.stats().descriptors, 1);
      assert.is(await open(trial.path(), flags), negative("EEXIST"));
      assert.is(await open(trial.path("missing"), OpenFlags.read), negative("ENOENT"));
      assert.is(await open(trial.path(), 1 << 20), negative("EINVAL"));
      await checkClosing(io, descriptor);
    });
  }

  suite.test("a hard link is the same file", async (trial) => {
    const file = await opened(trial);
    linkSync(file.path, trial.path("other"));
    assert.is((await file.stat()).nlink, 2);
  });
}

async function checkClosing(io: IO, descriptor: number): Promise<void> {
  const close = (): Promise<number> =>
    outcome(io, (completion, callback) => io.ring.close(completion, callback, descriptor));
  assert.is(await close(), 0);
  assert.is(io.stats().descriptors, 0);
  assert.is(await close(), negative("EBADF"));
  await success(io, (completion, callback) => io.ring.nop(completion, callback));
  assert.is(
    refusalCode(() =>
      io.ring.open({ active: false } as never, () => undefined, "a\0b", OpenFlags.read, 0),
    ),
    "ERR_INVALID_ARG_VALUE",
  );
}
