// What is known of an open file and its file system, and what of it can be set.

import {
  lstatSync,
  mkdirSync,
  readFileSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename } from "node:path";
import { Completion, type File, type IO, OpenFlags, StatFsRecord, StatRecord } from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import {
  assertSystemError,
  failure,
  failureCode,
  negative,
  outcome,
  refusalCode,
  success,
} from "../support/verbs.js";

const TMPFS = 0x01021994;

export function filesAttributes(suite: Suite): void {
  suite.test("chmod and chown of an open file", permissions);
  suite.test("utimes of an open file, to a fraction of a millisecond", times);
  suite.test("stat in bigints has what numbers round", exactStat);
  suite.test("statfs of an open file says what Node's does", fileSystem);
  for (const mode of MODES) {
    suite.test(`${mode}: the ring sets and reads attributes`, (trial) => onRing(trial, mode));
  }
  const here = systemHere();
  if (here !== "linux" && here !== "macos") {
    suite.test("extended attributes are refused where the system has none", noAttributes);
  } else if (statfsSync(tmpdir()).type === TMPFS) {
    suite.skip("extended attributes", "a tmpfs has those of users since Linux 6.6 only");
  } else {
    suite.test("extended attributes are set, read, listed and removed", attributes);
    suite.test("extended attributes that cannot be say why", refusedAttributes);
    suite.test("extended attributes of what a path names", attributesByPath);
  }
}

function open(io: IO, path: string): Promise<File> {
  return io.openFile(path, { read: true, write: true, create: true });
}

async function permissions(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await open(io, trial.path());
  assert.is(await file.chmod(0o640), undefined);
  assert.is(statSync(trial.path()).mode & 0o7777, 0o640);
  await file.chmod("0600");
  assert.is(statSync(trial.path()).mode & 0o7777, 0o600);
  assert.is(await failureCode(file.chmod("600")), "ERR_INVALID_ARG_VALUE");
  assert.is(await failureCode(file.chmod(0o10000)), "ERR_OUT_OF_RANGE");
  await file.chown(-1, -1);
  const { uid, gid } = statSync(trial.path());
  await file.chown(uid, gid);
  assert.is(await failureCode(file.chown(-2, 0)), "ERR_OUT_OF_RANGE");
  if (process.getuid?.() === 0) {
    await file.chown(12_345, -1);
    await file.chown(-1, 54_321);
    const changed = statSync(trial.path());
    assert.equal([changed.uid, changed.gid], [12_345, 54_321]);
    await file.chown(uid, gid);
  }
  await file.close();
  assert.is(await failureCode(file.chmod(0o600)), "ERR_IO_CLOSED");
}

async function times(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await open(io, trial.path());
  assert.is(await file.utimes(1_234_567_890_123.25, new Date(987_654_321_987)), undefined);
  const { atimeMs, mtimeMs } = await file.stat();
  assert.equal([atimeMs, mtimeMs], [1_234_567_890_123.25, 987_654_321_987]);
  await file.utimes(-1500.5, 0);
  const before = await file.stat();
  assert.equal([before.atimeMs, before.mtimeMs], [-1500.5, 0]);
  // To the nanosecond, which a fraction of milliseconds would round.
  const [first, second] = [1_234_567_890_123_456_789n, -1_500_000_001n];
  await file.utimes(first, second);
  const exact = await file.stat({ bigint: true });
  assert.equal([exact.atimeNs, exact.mtimeNs], [first, second]);
  await io.utimes(trial.path(), second, first);
  const again = await file.stat({ bigint: true });
  assert.equal([again.atimeNs, again.mtimeNs], [second, first]);
  for (const time of [Number.NaN, Number.POSITIVE_INFINITY, 8.65e15, new Date(Number.NaN)]) {
    const code = await failureCode(file.utimes(time, 0));
    assert.ok(["ERR_OUT_OF_RANGE", "ERR_INVALID_ARG_TYPE"].includes(code), `${time}: ${code}`);
  }
}

async function exactStat(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await open(io, trial.path());
  await file.writeAll("content", 0);
  const exact = await file.stat({ bigint: true });
  const node = statSync(trial.path(), { bigint: true });
  const names = [
    ...(["dev", "ino", "mode", "nlink", "uid", "gid", "size", "blksize", "blocks"] as const),
    ...(["mtimeNs", "ctimeNs", "mtimeMs", "ctimeMs"] as const),
  ];
  for (const name of names) assert.is(exact[name], node[name], name);
  // The same by a path, of the IO and of a directory, and of a link itself.
  await using folder = await io.openDirectory(trial.path("."));
  const place = basename(trial.path());
  for (const one of [
    await io.stat(trial.path(), { bigint: true }),
    await folder.stat(place, { bigint: true }),
  ]) {
    for (const name of names) assert.is(one[name], node[name], name);
  }
  symlinkSync(trial.path(), trial.path("link"));
  const link = lstatSync(trial.path("link"), { bigint: true });
  const own = await io.stat(trial.path("link"), { bigint: true, followLinks: false });
  assert.equal([own.ino, own.isSymbolicLink()], [link.ino, true]);
  assert.is((await io.stat(trial.path(), { bigint: null })).size, 7);
  assert.is(exact.isFile(), true);
  assert.is(exact.isDirectory(), false);
  const { size, ino } = await file.stat({ bigint: false });
  assert.equal([size, ino], [7, Number(exact.ino)]);
  if (systemHere() === "linux") {
    const { mountId } = await file.stat();
    assert.is(BigInt(mountId), exact.mountId);
    assert.match(readFileSync("/proc/self/mountinfo", "latin1"), new RegExp(`^${mountId} `, "m"));
  }
  assert.is(await failureCode(file.stat({ bigint: 1 as never })), "ERR_INVALID_ARG_TYPE");
}

async function fileSystem(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await open(io, trial.path());
  const found = await file.statfs();
  const node = statfsSync(trial.path());
  assert.equal([found.bsize, found.blocks, found.files], [node.bsize, node.blocks, node.files]);
  if (systemHere() === "linux") assert.is(found.type, node.type);
  assert.ok(found.bavail <= found.bfree && found.bfree <= found.blocks);
  assert.ok(found.ffree <= found.files);
}

async function onRing(trial: Trial, mode: Mode): Promise<void> {
  const io = await trial.open({ mode });
  const { ring } = io;
  const flags = OpenFlags.read | OpenFlags.write | OpenFlags.create;
  const file = await success(io, (c, done) => ring.open(c, done, trial.path(), flags, 0o600));
  assert.is(await outcome(io, (c, done) => ring.fchmod(c, done, file, 0o444)), 0);
  assert.is(statSync(trial.path()).mode & 0o777, 0o444);
  assert.is(await outcome(io, (c, done) => ring.fchown(c, done, file, -1, -1)), 0);
  assert.is(await outcome(io, (c, done) => ring.futimes(c, done, file, 1000, 2000)), 0);
  assert.is(statSync(trial.path()).mtimeMs, 2000);
  const [system, status] = [new StatFsRecord(), new StatRecord()];
  assert.is(system.statfs.blocks, 0);
  assert.is(await outcome(io, (c, done) => ring.fstatfs(c, done, file, system)), 0);
  assert.is(system.statfs.blocks, statfsSync(trial.path()).blocks);
  assert.is(await outcome(io, (c, done) => ring.stat(c, done, file, status)), 0);
  assert.is(status.bigint.mtimeNs, 2_000_000_000n);
  const none = (): void => assert.unreachable();
  const wrong = [
    () => ring.fchmod(new Completion(), none, file, 0o10000),
    () => ring.fchown(new Completion(), none, file, 2 ** 32, 0),
    () => ring.futimes(new Completion(), none, file, 0, 9e15),
  ];
  for (const call of wrong) assert.is(refusalCode(call), "ERR_OUT_OF_RANGE", `${call}`);
}

async function noAttributes(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await open(io, trial.path());
  const codes = [
    failureCode(file.getXattr("user.note")),
    failureCode(file.setXattr("user.note", "text")),
    failureCode(file.listXattr()),
    failureCode(file.removeXattr("user.note")),
    failureCode(io.getXattr(trial.path(), "user.note")),
    failureCode(io.setXattr(trial.path(), "user.note", "text")),
    failureCode(io.listXattr(trial.path())),
    failureCode(io.removeXattr(trial.path(), "user.note")),
  ];
  assert.equal(await Promise.all(codes), Array(8).fill("ENOTSUP"));
}

async function attributes(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await open(io, trial.path());
  assert.equal(
    (await file.listXattr()).filter((name) => name.startsWith("user.")),
    [],
  );
  assert.is(await file.setXattr("user.note", "text"), undefined);
  await file.setXattr("user.größe", new Uint8Array([0, 1, 255]));
  await file.setXattr("user.empty", "");
  assert.is(String(await file.getXattr("user.note")), "text");
  assert.equal(await file.getXattr("user.größe"), Buffer.from([0, 1, 255]));
  assert.is((await file.getXattr("user.empty")).length, 0);
  const names = (await file.listXattr()).filter((name) => name.startsWith("user.")).sort();
  assert.equal(names, ["user.empty", "user.größe", "user.note"]);
  // Longer than what is tried first.
  const long = "x".repeat(2000);
  await file.setXattr("user.note", long, { how: "replace" });
  assert.is(String(await file.getXattr("user.note")), long);
  await file.removeXattr("user.note");
  assert.is(await failureCode(file.getXattr("user.note")), "ENODATA");
  const other = await io.openFile(trial.path());
  assert.is((await other.getXattr("user.empty")).length, 0);
}

async function attributesByPath(trial: Trial): Promise<void> {
  const io = await trial.open();
  mkdirSync(trial.path("root/sub"), { recursive: true });
  writeFileSync(trial.path("root/sub/file"), "");
  writeFileSync(trial.path("outside"), "");
  symlinkSync("sub/file", trial.path("root/link"));
  symlinkSync("../outside", trial.path("root/out"));
  await using free = await io.openDirectory(trial.path("root"));
  await using ruled = await io.openDirectory(trial.path("root"), { resolve: { beneath: true } });
  const ways = [
    [io, (name: string) => trial.path(`root/${name}`)],
    [free, (name: string) => name],
    [ruled, (name: string) => name],
  ] as const;
  for (const [from, at] of ways) {
    await from.setXattr(at("sub/file"), "user.note", "text");
    assert.is(String(await from.getXattr(at("link"), "user.note")), "text");
    await from.setXattr(at("sub"), "user.größe", new Uint8Array([0, 1, 255]));
    assert.equal(await from.getXattr(at("sub/."), "user.größe"), Buffer.from([0, 1, 255]));
    assert.ok((await from.listXattr(at("link"))).includes("user.note"));
    const own = await from.listXattr(at("link"), { followLinks: false });
    assert.is(own.includes("user.note"), false);
    const long = "x".repeat(2000);
    await from.setXattr(at("link"), "user.note", long, { how: "replace" });
    assert.is(String(await from.getXattr(at("sub/file"), "user.note")), long);
    assert.is(
      await failureCode(from.setXattr(at("link"), "user.note", "", { how: "create" })),
      "EEXIST",
    );
    await from.removeXattr(at("link"), "user.note");
    const missing = await failure(from.getXattr(at("link"), "user.note"));
    assert.equal([missing.code, missing.path], ["ENODATA", trial.path("root/link")]);
    assert.match(missing.message, "no attribute of this name");
    const link = from.getXattr(at("link"), "user.note", { followLinks: false });
    assert.ok(["ENODATA", "ENOTSUP", "EPERM"].includes(await failureCode(link)));
    assert.is(await failureCode(from.listXattr(at("none"))), "ENOENT");
    assert.is(await failureCode(from.getXattr(at("sub/file/"), "user.note")), "ENOTDIR");
  }
  // As long as a path may be.
  const farther = `${"./".repeat(2043)}sub/file`;
  await free.setXattr(farther, "user.far", "text");
  assert.is(String(await free.getXattr(farther, "user.far")), "text");
  assert.ok((await free.listXattr(farther)).includes("user.far"));
  await free.removeXattr(farther, "user.far");
  assert.is(await failureCode(free.getXattr(`././${farther}`, "user.far")), "ENAMETOOLONG");
  for (const name of ["user.far", 1 as never]) {
    const { operation, message } = await failure(free.getXattr("none", name));
    assert.is(operation, "getXattr");
    assert.match(message, /^getXattr\b/);
  }
  for (const out of ["out", "../outside", trial.path("outside")]) {
    assert.is(await failureCode(ruled.setXattr(out, "user.note", "")), "ERR_IO_RESOLVE", out);
    assert.is(await failureCode(ruled.listXattr(out)), "ERR_IO_RESOLVE", out);
  }
  const { ring } = io;
  const into = new Uint8Array(64);
  const path = trial.path("outside");
  const set = await outcome(io, (c, done) => ring.setXattrAt(c, done, path, "user.a", into));
  assert.is(set, 0);
  assert.is(await outcome(io, (c, done) => ring.getXattrAt(c, done, path, "user.a", into)), 64);
  const two = into.subarray(0, 2);
  const short = await outcome(io, (c, done) => ring.listXattrAt(c, done, path, two));
  assert.is(short, negative("ERANGE"));
  assert.is(await outcome(io, (c, done) => ring.removeXattrAt(c, done, path, "user.a")), 0);
}

async function refusedAttributes(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await open(io, trial.path());
  const missing = await failure(file.getXattr("user.none"));
  const path = trial.path();
  assertSystemError(missing, {
    code: "ENODATA",
    syscall: "fgetxattr",
    operation: "getXattr",
    path,
  });
  assert.match(missing.message, "no attribute of this name");
  assert.is(await failureCode(file.removeXattr("user.none")), "ENODATA");
  assert.is(await failureCode(file.setXattr("user.a", "", { how: "replace" })), "ENODATA");
  await file.setXattr("user.a", "first", { how: "create" });
  assert.is(await failureCode(file.setXattr("user.a", "", { how: "create" })), "EEXIST");
  assert.is(String(await file.getXattr("user.a")), "first");
  if (systemHere() === "linux") {
    const named = await failure(file.setXattr("note", "text"));
    assert.is(named.code, "ENOTSUP");
    assert.match(named.message, 'begins with "user."');
  }
  for (const name of ["", "user.a\0b"]) {
    assert.is(await failureCode(file.getXattr(name)), "ERR_INVALID_ARG_VALUE");
  }
  assert.is(await failureCode(file.setXattr("user.a", 1 as never)), "ERR_INVALID_ARG_TYPE");
  const { ring } = io;
  const [into, { descriptor }] = [new Uint8Array(2), file];
  const short = await outcome(io, (c, done) => ring.getXattr(c, done, descriptor, "user.a", into));
  assert.is(short, negative("ERANGE"));
  const list = await outcome(io, (c, done) => ring.listXattr(c, done, descriptor, into));
  assert.is(list, negative("ERANGE"));
  writeFileSync(trial.path("other"), "");
}
