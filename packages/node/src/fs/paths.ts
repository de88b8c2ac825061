// What is done with a path: one function for each call of the system.

import { randomInt } from "node:crypto";
import type { BigIntStats, BigIntStatsFs, Stats, StatsFs } from "node:fs";
import { constants } from "node:os";
import { StatFsRecord, StatRecord } from "@io/core";
import { sharedIO } from "../engine/environment.js";
import { type CheckedPath, systemPath } from "./arguments.js";
import { call } from "./calls.js";
import { fileError } from "./errors.js";
import { bigStatsFrom, statsFrom } from "./stats.js";

// PATH_MAX of every system, with the zero byte.
const MAX_PATH_BYTES = 4096;

async function recordOf(path: CheckedPath, follow: boolean): Promise<StatRecord> {
  const { ring } = sharedIO();
  const record = new StatRecord();
  const bytes = systemPath(path);
  const result = await call((completion, settle) =>
    ring.stat(completion, settle, bytes, record, follow),
  );
  if (result < 0) throw fileError(result, { syscall: follow ? "stat" : "lstat", path });
  return record;
}

export async function statPath(path: CheckedPath, follow: boolean): Promise<Stats> {
  return statsFrom(await recordOf(path, follow));
}

export async function bigStatPath(path: CheckedPath, follow: boolean): Promise<BigIntStats> {
  return bigStatsFrom(await recordOf(path, follow));
}

export async function checkAccess(path: CheckedPath, wanted: number): Promise<void> {
  const { ring } = sharedIO();
  const bytes = systemPath(path);
  const result = await call((completion, settle) => ring.access(completion, settle, bytes, wanted));
  if (result < 0) throw fileError(result, { syscall: "access", path });
}

export async function statFileSystem(
  path: CheckedPath,
  bigint: boolean,
): Promise<StatsFs | BigIntStatsFs> {
  const { ring } = sharedIO();
  const record = new StatFsRecord();
  const bytes = systemPath(path);
  const result = await call((completion, settle) => ring.statfs(completion, settle, bytes, record));
  if (result < 0) throw fileError(result, { syscall: "statfs", path });
  const { type, bsize, blocks, bfree, bavail, files, ffree } = record.statfs;
  const numbers = { type, bsize, blocks, bfree, bavail, files, ffree };
  const values = Object.entries(numbers).map(([key, one]) => [key, bigint ? BigInt(one) : one]);
  return Object.assign(new StatFs(), Object.fromEntries(values));
}

// Node has a class of this name.
class StatFs {}

/** The path without links and dots. */
export async function realPath(path: CheckedPath): Promise<Buffer> {
  const { ring } = sharedIO();
  const into = Buffer.allocUnsafeSlow(MAX_PATH_BYTES);
  const bytes = systemPath(path);
  const length = await call((completion, settle) => ring.realpath(completion, settle, bytes, into));
  if (length < 0) throw fileError(length, { syscall: "realpath", path });
  return Buffer.from(into.subarray(0, length));
}

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LETTERS_OF_A_NAME = 6;
const MAX_TRIES = 1000;

/** Makes a directory with a name that was not there. */
export async function makeTemporary(prefix: CheckedPath): Promise<Buffer> {
  for (let tries = 1; ; tries++) {
    const letters = Array.from({ length: LETTERS_OF_A_NAME }, () => {
      return LETTERS.charAt(randomInt(LETTERS.length));
    });
    const path = Buffer.concat([Buffer.from(prefix), Buffer.from(letters.join(""))]);
    const result = await tryMakeDirectory(path, 0o700);
    if (result === 0) return path;
    if (result !== -constants.errno.EEXIST || tries === MAX_TRIES) {
      throw fileError(result, { syscall: "mkdtemp", path });
    }
  }
}

/** Of `rename`, `link` and `symlink`: their names are those of the calls. */
export async function onTwoPaths(
  syscall: "rename" | "link" | "symlink",
  path: CheckedPath,
  dest: CheckedPath,
): Promise<void> {
  const { ring } = sharedIO();
  const first = systemPath(path);
  const second = systemPath(dest);
  const result = await call((completion, settle) =>
    ring[syscall](completion, settle, first, second),
  );
  if (result < 0) throw fileError(result, { syscall, path, dest });
}

export async function removePath(path: CheckedPath, isDirectory: boolean): Promise<void> {
  const { ring } = sharedIO();
  const bytes = systemPath(path);
  const result = await call((completion, settle) =>
    ring.unlink(completion, settle, bytes, isDirectory),
  );
  if (result < 0) throw fileError(result, { syscall: isDirectory ? "rmdir" : "unlink", path });
}

/** 0, or a negative error number. */
export function tryMakeDirectory(path: CheckedPath, mode: number): Promise<number> {
  const { ring } = sharedIO();
  const bytes = systemPath(path);
  return call((completion, settle) => ring.mkdir(completion, settle, bytes, mode & 0o7777));
}

export async function makeDirectory(path: CheckedPath, mode: number): Promise<void> {
  const result = await tryMakeDirectory(path, mode);
  if (result < 0) throw fileError(result, { syscall: "mkdir", path });
}

export async function linkTarget(path: CheckedPath): Promise<Buffer> {
  const { ring } = sharedIO();
  const into = Buffer.allocUnsafeSlow(MAX_PATH_BYTES);
  const bytes = systemPath(path);
  const length = await call((completion, settle) => ring.readlink(completion, settle, bytes, into));
  if (length < 0) throw fileError(length, { syscall: "readlink", path });
  return Buffer.from(into.subarray(0, length));
}
