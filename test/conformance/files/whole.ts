// Operations on a whole file: stat, sync, allocate, truncate, and names in directories.

import {
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  type Stats,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import {
  Completion,
  type IO,
  type IOError,
  OpenFlags,
  type Stat,
  StatRecord,
  type SyncLevel,
} from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere, keepsSizeHere, systemHere } from "../../support/system.js";
import { runChildTool } from "../support/children.js";
import { isThere, MODES, type Mode, type Suite } from "../support/harness.js";
import {
  assertSystemError,
  failure,
  failureCode,
  negative,
  outcome,
  refusalCode,
  success,
} from "../support/verbs.js";

export function filesWhole(suite: Suite): void {
  registerStat(suite);
  registerStatErrors(suite);
  registerSync(suite);
  registerSize(suite);
  registerAllocate(suite);
  registerRename(suite);
  registerLink(suite);
  registerSymlink(suite);
  registerReadlink(suite);
  registerUnlink(suite);
  registerMkdir(suite);
  for (const mode of MODES) {
    registerRingFile(suite, mode);
    registerRingPaths(suite, mode);
  }
}

/** The code that it was rejected with, or nothing. */
function outcomeCode(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "",
    (error) => (error as IOError).code,
  );
}

const FIELDS = ["size", "mode", "ino", "dev", "nlink", "uid", "gid", "blksize", "blocks"] as const;
const KINDS = [
  ...(["isFile", "isDirectory", "isSymbolicLink", "isSocket", "isFIFO"] as const),
  ...(["isCharacterDevice", "isBlockDevice"] as const),
];

/** The one kind that a file is of. */
function kindOf(stat: Stat): string {
  const kinds = KINDS.filter((kind) => stat[kind]());
  assert.is(kinds.length, 1, kinds.join());
  return kinds[0] as string;
}

/** The fields of a stat against those that Node finds. */
function assertStat(stat: Stat, expected: Stats): void {
  for (const name of FIELDS) assert.is(stat[name], expected[name], name);
  for (const kind of KINDS) assert.is(stat[kind](), expected[kind](), kind);
  const times: [number, number][] = [
    [stat.atimeMs, expected.atimeMs],
    [stat.mtimeMs, expected.mtimeMs],
    [stat.ctimeMs, expected.ctimeMs],
  ];
  assert.is(stat.mtime.getTime(), Math.trunc(stat.mtimeMs));
  // The layer of the tests has no time of creation for the systems that it plays.
  const isPlayed = process.platform === "linux" && isBsdHere();
  if (!isPlayed) times.push([stat.birthtimeMs, expected.birthtimeMs]);
  // Both are rounded from nanoseconds to a double, each in its own way.
  for (const [ours, theirs] of times)
    assert.ok(Math.abs(ours - theirs) < 0.01, `${ours} ${theirs}`);
}

function registerStat(suite: Suite): void {
  suite.test("stat of a file, by path and opened, is what node:fs says", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), "x".repeat(5000), { mode: 0o640 });
    linkSync(trial.path(), trial.path("second"));
    const expected = statSync(trial.path());
    const byPath = await io.stat(trial.path());
    assertStat(byPath, expected);
    assert.is(kindOf(byPath), "isFile");
    assert.is(byPath.size, 5000);
    assert.is(byPath.nlink, 2);
    const file = await io.openFile(trial.path());
    assert.equal(await file.stat(), byPath);
  });

  suite.test("stat shows the kind of a file", async (trial) => {
    const io = await trial.open();
    mkdirSync(trial.path("folder"));
    symlinkSync("folder", trial.path("link"));
    runChildTool("mkfifo", trial.path("fifo"));
    const kind = async (path: string, followLinks?: boolean): Promise<string> =>
      kindOf(await io.stat(path, { followLinks }));
    assert.is(await kind(trial.path("folder")), "isDirectory");
    assert.is(await kind(trial.path("link")), "isDirectory");
    assert.is(await kind(trial.path("link"), true), "isDirectory");
    assert.is(await kind(trial.path("link"), false), "isSymbolicLink");
    assert.is(await kind(trial.path("fifo")), "isFIFO");
    assert.is(await kind("/dev/null"), "isCharacterDevice");
    const listener = await io.listen({ path: trial.path("socket") });
    assert.is(await kind(trial.path("socket")), "isSocket");
    await listener.close();
    assertStat(
      await io.stat(trial.path("link"), { followLinks: false }),
      lstatSync(trial.path("link")),
    );
  });

  suite.test("a file with holes has less disk space than bytes", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile(trial.path(), { write: true, create: true });
    await file.truncate(2 ** 40 + 1);
    const stat = await file.stat();
    assert.is(stat.size, 2 ** 40 + 1);
    assert.ok(stat.blocks * 512 < 2 ** 20);
    assertStat(stat, statSync(trial.path()));
  });
}

function registerStatErrors(suite: Suite): void {
  suite.test("stat of what is not there is an error with its path", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), "");
    const cases = [
      [trial.path("missing"), "ENOENT"],
      [`${trial.path()}/below`, "ENOTDIR"],
    ] as const;
    for (const [path, code] of cases) {
      const error = await failure(io.stat(path));
      assertSystemError(error, { code, syscall: "stat", operation: "stat", path });
    }
    symlinkSync("nowhere", trial.path("dangling"));
    assert.is(await failureCode(io.stat(trial.path("dangling"))), "ENOENT");
    assert.is(
      (await io.stat(trial.path("dangling"), { followLinks: false })).isSymbolicLink(),
      true,
    );
  });

  suite.test("stat of the empty path is ENOENT", async (trial) => {
    const io = await trial.open();
    assert.is(await failureCode(io.stat("")), "ENOENT");
  });
}

function registerSync(suite: Suite): void {
  suite.test("sync of every level succeeds, others are refused", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile(trial.path(), { write: true, create: true });
    await file.writeAll(Buffer.from("kept"), 0);
    assert.is(await file.sync("data"), undefined);
    assert.is(await file.sync("full"), undefined);
    assert.is(await file.sync("barrier"), undefined);
    assert.is(await file.sync(), undefined);
    for (const level of ["all", "", 1, null, "__proto__"] as unknown as SyncLevel[]) {
      const code = typeof level === "string" ? "ERR_INVALID_ARG_VALUE" : "ERR_INVALID_ARG_TYPE";
      assert.is(await failureCode(file.sync(level)), code, `${level}`);
    }
  });

  suite.test("what cannot be synced says so", async (trial) => {
    const io = await trial.open();
    const zero = await io.openFile("/dev/zero", { read: true });
    const error = await failure(zero.sync("full"));
    assertSystemError(error, {
      code: "EINVAL",
      syscall: "fsync",
      operation: "sync",
      path: "/dev/zero",
    });
  });
}

function registerSize(suite: Suite): void {
  suite.test("truncate cuts, and grows with zeros", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), "0123456789");
    const file = await io.openFile(trial.path(), { write: true });
    assert.is(await file.truncate(4), undefined);
    assert.is(readFileSync(trial.path(), "latin1"), "0123");
    await file.truncate(6);
    assert.is(readFileSync(trial.path(), "latin1"), "0123\0\0");
    await file.truncate(0);
    assert.is(readFileSync(trial.path(), "latin1"), "");
    const reader = await io.openFile(trial.path());
    const code = await failureCode(reader.truncate(1));
    assert.ok(code === "EINVAL" || code === "EBADF", code);
  });
}

/** How far each system can reserve space: docs/internals/portability.md. */
function registerAllocate(suite: Suite): void {
  const system = systemHere();
  if (system === "openbsd") {
    suite.test("allocate says that this system cannot", async (trial) => {
      const io = await trial.open();
      const file = await io.openFile(trial.path(), { write: true, create: true });
      assert.match(await failureCode(file.allocate(0, 100)), /NOTSUP/);
    });
    return;
  }
  const keeps = keepsSizeHere();

  suite.test("allocate reserves space and grows the file, unless keepSize", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile(trial.path(), { write: true, create: true });
    const keeping = file.allocate(0, 100_000, { mode: "keepSize" });
    assert.match(await outcomeCode(keeping), keeps ? /^$/ : /NOTSUP/);
    const kept = await file.stat();
    assert.is(kept.size, 0);
    if (keeps) assert.ok(kept.blocks * 512 >= 100_000);
    else await file.allocate(0, 100_000);
    await file.allocate(100_000, 50_000);
    const grown = await file.stat();
    assert.is(grown.size, 150_000);
    assert.ok(grown.blocks * 512 >= 150_000);
    assert.ok(readFileSync(trial.path()).every((byte) => byte === 0));
    await file.allocate(0, 10, { mode: "grow" });
    assert.is((await file.stat()).size, 150_000);
  });

  suite.test("allocate of nothing, or of what cannot have space, says so", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile(trial.path(), { write: true, create: true });
    assert.is(await failureCode(file.allocate(0, 0)), "EINVAL");
    const error = await failure(file.allocate(0, Number.MAX_SAFE_INTEGER));
    assert.ok(["EFBIG", "ENOSPC"].includes(error.code), error.code);
    assert.is(error.path, trial.path());
    const reader = await io.openFile(trial.path());
    assert.is(await failureCode(reader.allocate(0, 1)), "EBADF");
    assert.is((await file.stat()).size, 0);
  });
}

function registerRename(suite: Suite): void {
  suite.test("rename replaces what is there", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path("from"), "new");
    writeFileSync(trial.path("to"), "old");
    const reader = await io.openFile(trial.path("to"));
    assert.is(await io.rename(trial.path("from"), trial.path("to")), undefined);
    assert.is(readFileSync(trial.path("to"), "latin1"), "new");
    assert.is(isThere(trial.path("from")), false);
    const buffer = new Uint8Array(3);
    assert.is(await reader.read(buffer, 0), 3);
    assert.is(Buffer.from(buffer).toString(), "old", "who has it open still reads the old file");
  });

  suite.test("rename that cannot be says why, and changes nothing", async (trial) => {
    const io = await trial.open();
    const from = trial.path("from");
    const to = trial.path("to");
    const rename = { syscall: "rename", operation: "rename" } as const;
    assertSystemError(await failure(io.rename(from, to)), {
      code: "ENOENT",
      path: from,
      ...rename,
    });
    writeFileSync(from, "kept");
    mkdirSync(to);
    assert.is((await failure(io.rename(from, to))).code, "EISDIR");
    assert.is((await failure(io.rename(to, from))).code, "ENOTDIR");
    assert.is((await failure(io.rename(from, ""))).code, "ENOENT");
    assert.is((await failure(io.rename("", from))).code, "ENOENT");
    assert.is(await failureCode(io.rename(from, "a\0b")), "ERR_INVALID_ARG_VALUE");
    assert.is(readFileSync(from, "latin1"), "kept");
  });
}

function registerLink(suite: Suite): void {
  suite.test("link gives a file a second name", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path("a"), "one");
    assert.is(await io.link(trial.path("a"), trial.path("b")), undefined);
    writeFileSync(trial.path("b"), "both");
    assert.is(readFileSync(trial.path("a"), "latin1"), "both");
    assert.is((await io.stat(trial.path("a"))).nlink, 2);
    await io.unlink(trial.path("a"));
    assert.is(readFileSync(trial.path("b"), "latin1"), "both");
    assert.is((await io.stat(trial.path("b"))).nlink, 1);
  });

  suite.test("link that cannot be says why, and changes nothing", async (trial) => {
    const io = await trial.open();
    const [a, b] = [trial.path("a"), trial.path("b")];
    const link = { syscall: "link", operation: "link" } as const;
    const missing = await failure(io.link(a, b));
    assertSystemError(missing, { code: "ENOENT", path: a, ...link });
    assert.is(missing.dest, b);
    assert.match(missing.message, b);
    writeFileSync(a, "a");
    writeFileSync(b, "b");
    assert.is((await failure(io.link(a, b))).code, "EEXIST");
    assert.is((await failure(io.link(a, trial.path("no/where")))).code, "ENOENT");
    mkdirSync(trial.path("folder"));
    assert.is((await failure(io.link(trial.path("folder"), trial.path("c")))).code, "EPERM");
    assert.is((await failure(io.link(a, ""))).code, "ENOENT");
    assert.is(await failureCode(io.link("a\0b", b)), "ERR_INVALID_ARG_VALUE");
    assert.is(readFileSync(b, "latin1"), "b");
  });
}

function registerSymlink(suite: Suite): void {
  suite.test("symlink leads to its target, which it keeps as it is given", async (trial) => {
    const io = await trial.open();
    mkdirSync(trial.path("folder"));
    const link = trial.path("folder/link");
    assert.is(await io.symlink("../file", link), undefined);
    assert.is(readlinkSync(link), "../file");
    assert.is(await failureCode(io.stat(link)), "ENOENT", "the target need not be there");
    writeFileSync(trial.path("file"), "12345");
    assert.is((await io.stat(link)).size, 5);
    assert.is((await io.stat(link, { followLinks: false })).isSymbolicLink(), true);
    const name = Buffer.from([0x66, 0xff, 0xfe]);
    await io.symlink(name, trial.path("bytes"));
    assert.equal(readlinkSync(trial.path("bytes"), "buffer"), name);
  });

  suite.test("symlink that cannot be says why, and changes nothing", async (trial) => {
    const io = await trial.open();
    const symlink = { syscall: "symlink", operation: "symlink" } as const;
    const path = trial.path();
    writeFileSync(path, "kept");
    const error = await failure(io.symlink("target", path));
    assertSystemError(error, { code: "EEXIST", path: "target", ...symlink });
    assert.is(error.dest, path);
    assert.is(await failureCode(io.symlink("", trial.path("a"))), "ENOENT");
    assert.is(await failureCode(io.symlink("target", trial.path("no/where"))), "ENOENT");
    assert.is(await failureCode(io.symlink("x".repeat(5000), trial.path("a"))), "ENAMETOOLONG");
    assert.is(await failureCode(io.symlink("a\0b", trial.path("a"))), "ERR_INVALID_ARG_VALUE");
    assert.is(readFileSync(path, "latin1"), "kept");
    assert.is(isThere(trial.path("a")), false);
  });
}

function registerReadlink(suite: Suite): void {
  suite.test("readlink gives what a link leads to, as text or as bytes", async (trial) => {
    const io = await trial.open();
    const [link, bytes] = [trial.path("link"), Buffer.from([0x66, 0xff, 0xfe])];
    symlinkSync("../somewhere/else", link);
    assert.is(await io.readlink(link), "../somewhere/else");
    assert.equal(await io.readlink(link, { encoding: "buffer" }), Buffer.from("../somewhere/else"));
    symlinkSync(bytes, trial.path("bytes"));
    assert.equal(await io.readlink(trial.path("bytes"), { encoding: "buffer" }), bytes);
    const text = await io.readlink(trial.path("bytes"), { encoding: "utf8" });
    await io.symlink(text, trial.path("again"));
    assert.equal(readlinkSync(trial.path("again"), "buffer"), bytes, "the text names the bytes");
    const long = `${"x".repeat(199)}/`.repeat(4);
    symlinkSync(long, trial.path("long"));
    assert.is(await io.readlink(trial.path("long")), long);
  });

  suite.test("readlink of what is no link, or is not there, says so", async (trial) => {
    const io = await trial.open();
    const readlink = { syscall: "readlink", operation: "readlink" } as const;
    const path = trial.path();
    assertSystemError(await failure(io.readlink(path)), { code: "ENOENT", path, ...readlink });
    writeFileSync(path, "");
    const error = await failure(io.readlink(path));
    assertSystemError(error, { code: "EINVAL", path, ...readlink });
    assert.match(error.message, "names no symbolic link");
    assert.is(await failureCode(io.readlink("a\0b")), "ERR_INVALID_ARG_VALUE");
    const wrong = { encoding: "latin1" } as unknown as { encoding: "buffer" };
    assert.is(await failureCode(io.readlink(path, wrong)), "ERR_INVALID_ARG_VALUE");
  });

  suite.test("a thousand readlinks at once, a third of them cancelled", async (trial) => {
    const io = await trial.open({ inFlightLimit: 2000 });
    symlinkSync("target", trial.path("link"));
    const ending = new AbortController();
    const signals = [undefined, ending.signal, undefined];
    const all = Array.from({ length: 1000 }, (_, index) =>
      io.readlink(trial.path("link"), { signal: signals[index % 3] }).then(
        (target) => target,
        (error: IOError) => error.code,
      ),
    );
    ending.abort();
    for (const [index, result] of (await Promise.all(all)).entries()) {
      const right = result === "target" || (index % 3 === 1 && result === "ABORT_ERR");
      assert.ok(right, `${index}: ${result}`);
    }
  });
}

function registerUnlink(suite: Suite): void {
  suite.test("unlink removes a name; who has the file open keeps it", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), "still here");
    const file = await io.openFile(trial.path());
    assert.is(await io.unlink(trial.path()), undefined);
    assert.is(isThere(trial.path()), false);
    assert.is(await file.read(new Uint8Array(20), 0), 10);
    assert.is((await file.stat()).nlink, 0);
    const error = await failure(io.unlink(trial.path()));
    assertSystemError(error, {
      code: "ENOENT",
      syscall: "unlink",
      operation: "unlink",
      path: trial.path(),
    });
  });

  suite.test("unlink removes a link, not what it leads to", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), "kept");
    symlinkSync(trial.path(), trial.path("link"));
    await io.unlink(trial.path("link"));
    assert.is(readFileSync(trial.path(), "latin1"), "kept");
  });

  suite.test("unlink of a directory needs the option, and it must be empty", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("folder");
    mkdirSync(folder);
    const code = await failureCode(io.unlink(folder));
    assert.ok(code === "EISDIR" || code === "EPERM", code);
    writeFileSync(`${folder}/file`, "");
    assert.is(await failureCode(io.unlink(folder, { directory: true })), "ENOTEMPTY");
    assert.is(await failureCode(io.unlink(`${folder}/file`, { directory: true })), "ENOTDIR");
    await io.unlink(`${folder}/file`, { directory: false });
    assert.is(await io.unlink(folder, { directory: true }), undefined);
    assert.is(isThere(folder), false);
  });
}

function registerMkdir(suite: Suite): void {
  suite.test("mkdir makes a directory, with its mode less the mask", async (trial) => {
    const io = await trial.open();
    const mask = process.umask(0o022);
    trial.defer(() => process.umask(mask));
    assert.is(await io.mkdir(trial.path("a")), undefined);
    await io.mkdir(trial.path("b"), { mode: 0o700 });
    assert.is(statSync(trial.path("a")).mode & 0o7777, 0o755);
    assert.is(statSync(trial.path("b")).mode & 0o7777, 0o700);
    assert.ok(statSync(trial.path("a")).isDirectory());
  });

  suite.test("mkdir of what is there, or below nothing, says so", async (trial) => {
    const io = await trial.open();
    const mkdir = { syscall: "mkdir", operation: "mkdir" } as const;
    const path = trial.path("folder");
    await io.mkdir(path);
    assertSystemError(await failure(io.mkdir(path)), { code: "EEXIST", path, ...mkdir });
    const below = trial.path("missing/below");
    const error = await failure(io.mkdir(below));
    assertSystemError(error, { code: "ENOENT", path: below, ...mkdir });
  });
}

function openFlagged(io: IO, path: string): Promise<number> {
  const flags = OpenFlags.read | OpenFlags.write | OpenFlags.create;
  return success(io, (completion, callback) =>
    io.ring.open(completion, callback, path, flags, 0o600),
  );
}

function registerRingFile(suite: Suite, mode: Mode): void {
  suite.test(
    `${mode}: the ring allocates, truncates, syncs and stats a descriptor`,
    async (trial) => {
      const io = await trial.open({ mode });
      const { ring } = io;
      const file = await openFlagged(io, trial.path());
      const record = new StatRecord();
      assert.is(record.stat.ino, 0);
      const stat = async (): Promise<number> => {
        assert.is(await outcome(io, (c, callback) => ring.stat(c, callback, file, record)), 0);
        return record.stat.size;
      };
      const zero = async (start: Parameters<typeof outcome>[1]): Promise<void> =>
        assert.is(await outcome(io, start), 0);
      const system = systemHere();
      const keeping = await outcome(io, (c, callback) =>
        ring.allocate(c, callback, file, 0, 9000, "keepSize"),
      );
      assert.is(keeping, keepsSizeHere() ? 0 : negative("EOPNOTSUPP"));
      assert.is(await stat(), 0);
      const grows = await outcome(io, (c, callback) =>
        ring.allocate(c, callback, file, 0, 9000, "grow"),
      );
      assert.is(grows, system === "openbsd" ? negative("EOPNOTSUPP") : 0);
      if (system === "openbsd") await zero((c, callback) => ring.truncate(c, callback, file, 9000));
      assert.is(await stat(), 9000);
      await zero((c, callback) => ring.truncate(c, callback, file, 100));
      assert.is(await stat(), 100);
      await zero((c, callback) => ring.truncate(c, callback, file, 200));
      assert.is(await stat(), 200);
      await zero((c, callback) => ring.sync(c, callback, file, "data"));
      await zero((c, callback) => ring.sync(c, callback, file, "full"));
      await stat();
      assertStat(record.stat, statSync(trial.path()));
      const refused: [() => void, string][] = [
        [
          () => ring.stat(new Completion(), () => undefined, file, {} as StatRecord),
          "ERR_INVALID_ARG_TYPE",
        ],
        [() => ring.truncate(new Completion(), () => undefined, file, -1), "ERR_OUT_OF_RANGE"],
        [
          () => ring.allocate(new Completion(), () => undefined, file, 0, -1, "grow"),
          "ERR_OUT_OF_RANGE",
        ],
      ];
      for (const [call, code] of refused) assert.is(refusalCode(call), code);
    },
  );
}

function registerRingPaths(suite: Suite, mode: Mode): void {
  suite.test(
    `${mode}: the ring stats, renames, unlinks and makes directories by path`,
    async (trial) => {
      const io = await trial.open({ mode });
      const { ring } = io;
      writeFileSync(trial.path("a"), "12345");
      symlinkSync(trial.path("a"), trial.path("link"));
      const record = new StatRecord();
      const stat = (path: string, follow: boolean): Promise<number> =>
        outcome(io, (c, callback) => ring.stat(c, callback, path, record, follow));
      assert.is(await stat(trial.path("link"), true), 0);
      assert.is(record.stat.size, 5);
      assert.is(await stat(trial.path("link"), false), 0);
      assert.is(record.stat.size, lstatSync(trial.path("link")).size);
      assert.is(await stat(trial.path("missing"), true), negative("ENOENT"));
      const rename = (from: string, to: string): Promise<number> =>
        outcome(io, (c, callback) => ring.rename(c, callback, trial.path(from), trial.path(to)));
      assert.is(await rename("a", "b"), 0);
      assert.is(await rename("a", "b"), negative("ENOENT"));
      const link = (existing: string, name: string): Promise<number> =>
        outcome(io, (c, callback) =>
          ring.link(c, callback, trial.path(existing), trial.path(name)),
        );
      assert.is(await link("b", "c"), 0);
      assert.is(await link("b", "c"), negative("EEXIST"));
      assert.is(readFileSync(trial.path("c"), "latin1"), "12345");
      const symlink = (target: string, name: string): Promise<number> =>
        outcome(io, (c, callback) => ring.symlink(c, callback, target, trial.path(name)));
      assert.is(await symlink("c", "d"), 0);
      assert.is(await symlink("c", "d"), negative("EEXIST"));
      assert.is(readlinkSync(trial.path("d")), "c");
      const into = new Uint8Array(4);
      const readlink = (name: string, memory: Uint8Array): Promise<number> =>
        outcome(io, (c, callback) => ring.readlink(c, callback, trial.path(name), memory));
      assert.is(await readlink("d", into), 1);
      assert.is(into[0], "c".charCodeAt(0));
      assert.is(await readlink("b", into), negative("EINVAL"));
      assert.is(await readlink("d", new Uint8Array()), negative("EINVAL"));
      assert.is(await readlink("link", into), 4, "as much as there is space for");
      const mkdir = (name: string): Promise<number> =>
        outcome(io, (c, callback) => ring.mkdir(c, callback, trial.path(name), 0o700));
      assert.is(await mkdir("folder"), 0);
      assert.is(await mkdir("folder"), negative("EEXIST"));
      const unlink = (name: string, directory: boolean): Promise<number> =>
        outcome(io, (c, callback) => ring.unlink(c, callback, trial.path(name), directory));
      assert.is(await unlink("b", false), 0);
      assert.is(await unlink("b", false), negative("ENOENT"));
      assert.is(await unlink("folder", true), 0);
      assert.equal([isThere(trial.path("b")), isThere(trial.path("folder"))], [false, false]);
    },
  );

  suite.test(`${mode}: many paths in one turn all arrive whole`, async (trial) => {
    const io = await trial.open({ mode, entries: 128 });
    const names = Array.from({ length: 600 }, (_, index) =>
      trial.path(`${"n".repeat(200)}${index}`),
    );
    const results: number[] = [];
    for (const name of names) {
      io.ring.mkdir(new Completion(), (_completion, result) => results.push(result), name, 0o700);
    }
    // Far more text than the text area holds: it is flushed and taken again.
    while (results.length < names.length)
      await outcome(io, (c, callback) => io.ring.nop(c, callback));
    assert.ok(results.every((result) => result === 0));
    assert.ok(names.every((name) => isThere(name)));
  });
}
