// Directories: paths that are relative to an open one, the rules they are resolved under, and what
// is set of a file by its path.

import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { Completion, type Directory, type IO, OpenFlags, ResolveFlags, StatRecord } from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { failure, failureCode, negative, outcome, success, until } from "../support/verbs.js";

function isBsd(): boolean {
  return systemHere() !== "linux" && systemHere() !== "macos";
}

/** A folder "root" with a file and a folder in it, and a file outside. */
function scene(trial: Trial): string {
  mkdirSync(trial.path("root/inner"), { recursive: true });
  writeFileSync(trial.path("root/inner/file"), "inside");
  writeFileSync(trial.path("root/top"), "top");
  writeFileSync(trial.path("outside"), "outside");
  symlinkSync("../outside", trial.path("root/out"));
  symlinkSync(trial.path("outside"), trial.path("root/absolute"));
  symlinkSync("..", trial.path("root/up"));
  symlinkSync("inner/../top", trial.path("root/good"));
  symlinkSync("inner", trial.path("root/alias"));
  symlinkSync("/top", trial.path("root/rooted"));
  symlinkSync("round", trial.path("root/round"));
  return trial.path("root");
}

async function textOf(directory: Directory | IO, path: string): Promise<string> {
  await using file = await directory.openFile(path);
  const into = new Uint8Array(64);
  return Buffer.from(into.subarray(0, await file.read(into, 0))).toString();
}

/** Every call on one path that is not about what stands there. */
function callsOn(directory: Directory, path: string): [string, Promise<unknown>][] {
  return [
    ["openFile", directory.openFile(path)],
    ["openDirectory", directory.openDirectory(path)],
    ["stat", directory.stat(path)],
    ["statfs", directory.statfs(path)],
    ["chmod", directory.chmod(path, 0o600)],
    ["chown", directory.chown(path, -1, -1)],
    ["utimes", directory.utimes(path, 0, 0)],
    ["access", directory.access(path)],
    ["exists", directory.exists(path)],
  ];
}

/** Every call that makes or removes a name, on a path whose parent is not allowed. */
function namingOn(directory: Directory, path: string): [string, Promise<unknown>][] {
  return [
    ["mkdir", directory.mkdir(path)],
    ["unlink", directory.unlink(path)],
    ["readlink", directory.readlink(path)],
    ["symlink", directory.symlink("target", path)],
    ["create", directory.openFile(path, { write: true, create: true })],
    ["stat", directory.stat(path, { followLinks: false })],
  ];
}

async function assertRefused(calls: [string, Promise<unknown>][], path: string): Promise<void> {
  const errors = await Promise.all(
    calls.map(async ([name, promise]) => [name, await failure(promise)] as const),
  );
  for (const [name, { code, message }] of errors) {
    assert.is(code, "ERR_IO_RESOLVE", `${name} of ${path}: ${message}`);
    assert.match(message, /which the rule "(beneath|noSymlinks)" forbids/);
  }
}

function registerRelative(suite: Suite): void {
  suite.test("every call on a path is relative to the directory", async (trial) => {
    const io = await trial.open();
    await using root = await io.openDirectory(scene(trial));
    // It goes on to mean the same directory under another name.
    renameSync(trial.path("root"), trial.path("moved"));
    assert.is(await textOf(root, "inner/file"), "inside");
    assert.is((await root.stat("top")).size, 3);
    await root.mkdir("made", { mode: 0o700 });
    assert.is(statSync(trial.path("moved/made")).mode & 0o777, 0o700);
    await root.rename("top", "made/top");
    await root.link("made/top", "second");
    await root.symlink("second", "link");
    assert.is(await root.readlink("link"), "second");
    assert.is(readFileSync(trial.path("moved/link"), "utf8"), "top");
    assert.is(await root.exists("made/none"), false);
    assert.is(await root.exists("made/top"), true);
    await root.unlink("made/top");
    await root.unlink("made", { directory: true });
    assert.is(existsSync(trial.path("moved/made")), false);
    await using inner = await root.openDirectory("inner");
    await inner.rename("file", "renamed", { toDirectory: root });
    await root.link("renamed", "linked", { toDirectory: inner });
    assert.is(readFileSync(trial.path("moved/renamed"), "utf8"), "inside");
    assert.is(readFileSync(trial.path("moved/inner/linked"), "utf8"), "inside");
    await inner.rename("linked", trial.path("far"), { toDirectory: io });
    assert.is(readFileSync(trial.path("far"), "utf8"), "inside");
    await root.sync("data");
  });

  suite.test("an error names the path behind that of the directory", async (trial) => {
    const io = await trial.open();
    await using root = await io.openDirectory(scene(trial));
    const error = await failure(root.openFile("inner/none"));
    assert.is(error.code, "ENOENT");
    assert.is(error.path, trial.path("root/inner/none"));
    const renaming = await failure(root.rename("none", "other"));
    assert.is(renaming.dest, trial.path("root/other"));
    assert.is(await failureCode(io.openDirectory(trial.path("root/top"))), "ENOTDIR");
    const other = await trial.open();
    const misuse = await failure(root.rename("a", "b", { toDirectory: other }));
    assert.is(misuse.code, "ERR_INVALID_ARG_VALUE");
  });

  suite.test("a closed directory takes nothing, and keeps no descriptor", async (trial) => {
    const io = await trial.open();
    const before = io.stats().descriptors;
    const root = await io.openDirectory(scene(trial));
    const other = await io.openDirectory(trial.path("root/inner"));
    assert.is(io.stats().descriptors, before + 2);
    // What is in flight ends first, also where it is the second directory of a call.
    const pending = Array.from({ length: 50 }, (_, index) =>
      root.rename("none", `${index}`, { toDirectory: other }).catch((error) => error.code),
    );
    await Promise.all([root.close(), other.close()]);
    for (const code of await Promise.all(pending)) {
      assert.ok(["ENOENT", "ECANCELED", "ERR_IO_CLOSED", "EBADF"].includes(code), code);
    }
    assert.is(io.stats().descriptors, before);
    const late = [...callsOn(root, "top"), ...namingOn(root, "top")].map(
      ([name, promise]) => [name, failureCode(promise)] as const,
    );
    for (const [name, code] of late) assert.is(await code, "ERR_IO_CLOSED", name);
    assert.is(await failureCode(io.rename("a", "b", { toDirectory: root })), "ERR_IO_CLOSED");
    assert.is(await failureCode(root.sync()), "ERR_IO_CLOSED");
    await root.close();
  });
}

function registerRules(suite: Suite): void {
  suite.test("beneath: no path leads out of the directory", async (trial) => {
    const io = await trial.open();
    const path = scene(trial);
    await using root = await io.openDirectory(path, { resolve: { beneath: true } });
    const outside = ["../outside", "out", "absolute", "up/outside", "inner/../../outside", path];
    for (const one of outside) await assertRefused(callsOn(root, one), one);
    for (const one of ["../made", "up/made", "inner/../../made", `${path}/made`]) {
      await assertRefused(namingOn(root, one), one);
    }
    for (const [from, to] of [
      ["../outside", "in"],
      ["top", "../out"],
      ["top", "up/out"],
    ] as const) {
      for (const code of [root.rename(from, to), root.link(from, to)].map(failureCode)) {
        assert.is(await code, "ERR_IO_RESOLVE", `${from} to ${to}`);
      }
    }
    const broken = await failure(root.rename("top", "up/out"));
    assert.equal([broken.path, broken.dest], [`${path}/top`, `${path}/up/out`]);
    assert.match(broken.message, 'which the rule "beneath" forbids');
    assert.is(readFileSync(trial.path("outside"), "utf8"), "outside");
    // What stays inside is allowed, ".." and links too.
    for (const one of ["good", "inner/../top", "./top", "alias/../top", "inner//../top"]) {
      assert.is(await textOf(root, one), "top", one);
      assert.is((await root.stat(one)).size, 3, one);
    }
    assert.is((await root.stat("out", { followLinks: false })).isSymbolicLink(), true);
    assert.is(await failureCode(root.openFile("round")), "ELOOP");
    assert.is(await failureCode(root.stat("round")), "ELOOP");
    assert.is(await failureCode(root.stat("none/../top")), "ENOENT");
    assert.is(await failureCode(root.stat("top/../top")), "ENOTDIR");
    await root.mkdir("alias/made");
    await root.rename("good", "alias/made/moved");
    await root.unlink("out");
    assert.is(readlinkSync(trial.path("root/inner/made/moved")), "inner/../top");
    // A directory that is opened from it keeps to the same rules, with itself as the limit.
    await using inner = await root.openDirectory("inner");
    await assertRefused(callsOn(inner, "../top"), "../top");
  });
}

function registerOtherRules(suite: Suite): void {
  suite.test("a path of very many components under rules", async (trial) => {
    const io = await trial.open();
    const deep = Array(400).fill("d").join("/");
    mkdirSync(trial.path(`root/${deep}`), { recursive: true });
    writeFileSync(trial.path("root/top"), "top");
    await using root = await io.openDirectory(trial.path("root"), { resolve: { beneath: true } });
    // Down, up by as many, and down again; a chmod goes through it directory by directory.
    const up = (count: number): string => Array(count).fill("..").join("/");
    for (const way of [
      `${deep}/${up(400)}/top`,
      `${deep}/${up(200)}/${deep.slice(0, 399)}/${up(400)}/top`,
    ]) {
      await root.chmod(way, 0o640);
      assert.is((await root.stat(way)).size, 3);
    }
    assert.is(await failureCode(root.chmod(`${deep}/${up(401)}/top`, 0)), "ERR_IO_RESOLVE");
  });

  suite.test("inRoot: the directory is the root of every path", async (trial) => {
    const io = await trial.open();
    await using root = await io.openDirectory(scene(trial), { resolve: { inRoot: true } });
    for (const one of ["/top", "../top", "rooted", "up/../../top", "/inner/../../top"]) {
      assert.is(await textOf(root, one), "top", one);
      assert.is((await root.stat(one)).size, 3, one);
      await root.chmod(one, 0o640);
    }
    assert.is(await failureCode(root.openFile("out")), "ENOENT");
    await root.mkdir("/../made");
    await root.rename("/top", "../made/top");
    assert.is(readFileSync(trial.path("root/made/top"), "utf8"), "top");
    assert.is(
      await failureCode(io.openDirectory(".", { resolve: { inRoot: true, beneath: true } })),
      "ERR_INVALID_ARG_VALUE",
    );
  });

  suite.test("noSymlinks: no link may be on the way", async (trial) => {
    const io = await trial.open();
    await using root = await io.openDirectory(scene(trial), { resolve: { noSymlinks: true } });
    for (const one of ["good", "alias/file", "round"]) await assertRefused(callsOn(root, one), one);
    await assertRefused(namingOn(root, "alias/made"), "alias/made");
    assert.is(await textOf(root, "inner/file"), "inside");
    assert.is(await textOf(root, "../outside"), "outside");
    assert.is((await root.stat(trial.path("outside"))).size, 7);
    assert.is(await root.readlink("good"), "inner/../top");
    await root.unlink("good");
  });

  suite.test("a link that takes the place of a directory leads nowhere else", async (trial) => {
    const io = await trial.open();
    await using root = await io.openDirectory(scene(trial), { resolve: { beneath: true } });
    mkdirSync(trial.path("elsewhere"));
    symlinkSync("../elsewhere", trial.path("root/link"));
    for (let round = 0; round < 200; round++) {
      const calls = [root.mkdir(`inner/made${round}`), root.mkdir(`inner/also${round}`)];
      const ends = Promise.allSettled(calls);
      await io.nop();
      renameSync(trial.path("root/inner"), trial.path("root/aside"));
      renameSync(trial.path("root/link"), trial.path("root/inner"));
      await ends;
      const late = await failure(root.mkdir(`inner/late${round}`));
      assert.is(late.code, "ERR_IO_RESOLVE");
      renameSync(trial.path("root/inner"), trial.path("root/link"));
      renameSync(trial.path("root/aside"), trial.path("root/inner"));
    }
    assert.is(statSync(trial.path("elsewhere")).nlink, 2, "nothing was made elsewhere");
  });
}

function registerAttributes(suite: Suite): void {
  suite.test("permissions, owner and times are set by path", async (trial) => {
    const io = await trial.open();
    scene(trial);
    const [top, good] = [trial.path("root/top"), trial.path("root/good")];
    await io.chmod(good, 0o4711);
    assert.is(statSync(top).mode & 0o7777, 0o4711);
    await io.chmod(top, "0600");
    assert.is(statSync(top).mode & 0o7777, 0o600);
    await io.utimes(top, 1_000.5, new Date(2_000_000_000_123));
    assert.equal([statSync(top).atimeMs, statSync(top).mtimeMs], [1_000.5, 2_000_000_000_123]);
    await io.utimes(good, -1.5, 3, { followLinks: false });
    assert.equal([lstatSync(good).atimeMs, lstatSync(good).mtimeMs], [-1.5, 3]);
    assert.is(statSync(top).mtimeMs, 2_000_000_000_123);
    const { uid, gid } = statSync(top);
    await io.chown(top, uid, -1);
    await io.chown(good, -1, gid, { followLinks: false });
    assert.equal([statSync(top).uid, statSync(top).gid], [uid, gid]);
    for (const error of [
      io.chmod(trial.path("none"), 0),
      io.chown(trial.path("none"), -1, -1),
      io.utimes(trial.path("none"), 0, 0),
      io.access(trial.path("none")),
      io.statfs(trial.path("none")),
      io.realpath(trial.path("none")),
    ].map(failure)) {
      assert.is((await error).code, "ENOENT");
    }
  });

  suite.test("access and exists say what is there", async (trial) => {
    const io = await trial.open();
    scene(trial);
    const top = trial.path("root/top");
    chmodSync(top, 0o600);
    await io.access(top, { read: true, write: true });
    assert.is(await failureCode(io.access(top, { execute: true })), "EACCES");
    assert.is(await io.exists(top), true);
    assert.is(await io.exists(trial.path("root/top/below")), false);
    symlinkSync("none", trial.path("root/dangling"));
    assert.is(await io.exists(trial.path("root/dangling")), false);
    assert.is(await failureCode(io.exists(trial.path("root/round"))), "ELOOP");
  });

  suite.test("realpath and statfs say where a path leads", async (trial) => {
    const io = await trial.open();
    const root = scene(trial);
    const real = realpathSync(root);
    assert.is(await io.realpath(`${root}/alias/.././good`), `${real}/top`);
    const bytes = await io.realpath(`${root}/alias`, { encoding: "buffer" });
    assert.equal(bytes, Buffer.from(`${real}/inner`));
    const { type, bsize, blocks, files } = statfsSync(root);
    const found = await io.statfs(root);
    assert.equal([found.blocks, found.bsize, found.files], [blocks, bsize, files]);
    if (systemHere() === "linux") assert.is(found.type, type);
    assert.ok(found.bavail <= found.bfree && found.bfree <= found.blocks);
    await using directory = await io.openDirectory(root, { resolve: { inRoot: true } });
    if (systemHere() === "netbsd") return; // it may have a call for it
    if (isBsd()) {
      assert.is(await failureCode(directory.realpath("/rooted")), "ENOSYS");
      return;
    }
    assert.is(await directory.realpath("/rooted"), `${real}/top`);
    assert.is(await directory.realpath("."), real);
  });
}

function registerTwoPaths(suite: Suite): void {
  suite.test("each of two paths is under the rules of its own directory", async (trial) => {
    const io = await trial.open();
    const root = scene(trial);
    const rules = { resolve: { inRoot: true } };
    await using directory = await io.openDirectory(root, rules);
    await io.link(trial.path("outside"), "linked", { toDirectory: directory });
    assert.is(readFileSync(`${root}/linked`, "utf8"), "outside");
    await io.rename(trial.path("outside"), "/moved", { toDirectory: directory });
    assert.is(readFileSync(`${root}/moved`, "utf8"), "outside");
    await directory.rename("/moved", trial.path("back"), { toDirectory: io });
    assert.is(readFileSync(trial.path("back"), "utf8"), "outside");
  });

  suite.test("rename can keep what is there, and exchange", async (trial) => {
    const io = await trial.open();
    scene(trial);
    const [top, outside] = [trial.path("root/top"), trial.path("outside")];
    const kept = await failure(io.rename(top, outside, { noReplace: true }));
    if (isBsd()) {
      assert.is(kept.code, "ENOTSUP");
      assert.is(await failureCode(io.rename(top, outside, { exchange: true })), "ENOTSUP");
      return;
    }
    assert.is(kept.code, "EEXIST");
    await io.rename(top, outside, { exchange: true });
    assert.is(readFileSync(top, "utf8"), "outside");
    assert.is(readFileSync(outside, "utf8"), "top");
    await io.rename(top, trial.path("free"), { noReplace: true });
    assert.is(await failureCode(io.rename(top, outside, { exchange: true })), "ENOENT");
    const both = { noReplace: true, exchange: true };
    assert.is(await failureCode(io.rename(top, outside, both)), "ERR_INVALID_ARG_VALUE");
  });
}

function registerRing(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: the verbs of the ring take a directory and rules`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const root = scene(trial);
    const flags = OpenFlags.read | OpenFlags.directory;
    const at = await success(io, (c, done) => ring.open(c, done, root, flags, 0));
    const { beneath, noSymlinks, inRoot } = ResolveFlags;
    const opened = (path: string, rules: number): Promise<number> =>
      outcome(io, (c, done) => ring.open(c, done, path, OpenFlags.read, 0, at, rules));
    assert.is(await opened("../outside", beneath), negative("EXDEV"));
    assert.is(await opened("good", noSymlinks), negative("ELOOP"));
    for (const [path, rules] of [
      ["../outside", 0],
      ["good", beneath],
      ["/top", inRoot],
    ] as const) {
      const descriptor = await opened(path, rules);
      assert.ok(descriptor >= 0, `${path} under ${rules}: ${descriptor}`);
      assert.is(await outcome(io, (c, done) => ring.close(c, done, descriptor)), 0);
    }
    const made = (path: string, rules: number): Promise<number> =>
      outcome(io, (c, done) => ring.mkdir(c, done, path, 0o700, at, rules));
    assert.is(await made("up/made", beneath), negative("EXDEV"));
    assert.is(await made("made", beneath), 0);
    assert.is(
      await outcome(io, (c, done) => ring.rename(c, done, "top", "made/top", 0, at, at, beneath)),
      0,
    );
    assert.is(
      await outcome(io, (c, done) => ring.unlink(c, done, "made/top", false, at, beneath)),
      0,
    );
    const missing = 0x7ffffff;
    assert.is(
      await outcome(io, (c, done) => ring.rename(c, done, "a", "b", 0, at, missing)),
      negative("EBADF"),
    );
    assert.is(await outcome(io, (c, done) => ring.rename(c, done, "a", "b", 4, at, at)), -22);
    assert.is(await outcome(io, (c, done) => ring.close(c, done, at)), 0);
    assert.is(await made("late", 0), negative("EBADF"));
  });

  suite.test(`${mode}: calls under rules stand in chains, and can be cancelled`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const flags = OpenFlags.read | OpenFlags.directory;
    const root = scene(trial);
    const at = await success(io, (c, done) => ring.open(c, done, root, flags, 0));
    const results: number[] = [];
    const note = (_: Completion, result: number): void => {
      results.push(result);
    };
    const link = (): Completion => Object.assign(new Completion(), { link: true });
    const { beneath } = ResolveFlags;
    ring.nop(link(), note);
    ring.mkdir(link(), note, "made", 0o700, at, beneath);
    ring.unlink(link(), note, "made", true, at, beneath);
    ring.mkdir(link(), note, "../made", 0o700, at, beneath);
    ring.nop(new Completion(), note);
    const cancelled = new Completion();
    ring.stat(cancelled, note, "top", new StatRecord(), true, at, beneath);
    ring.cancel(new Completion(), () => undefined, cancelled);
    await until(io, () => results.length === 6, "all of them");
    const last = results.pop() as number;
    assert.ok(results.includes(negative("EXDEV")), `${results}`);
    assert.is(results.filter((result) => result === 0).length >= 3, true, `${results} ${last}`);
  });
}

export function filesDirectories(suite: Suite): void {
  registerRelative(suite);
  registerRules(suite);
  registerOtherRules(suite);
  registerAttributes(suite);
  registerTwoPaths(suite);
  for (const mode of MODES) registerRing(suite, mode);
}
