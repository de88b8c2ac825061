// copyFile(): one file, copied by the system through no memory of the program.

import { constants } from "node:fs";
import { constants as osConstants } from "node:os";
import { type Descriptor, OpenFlags, StatRecord } from "@io/core";
import { sharedIO } from "../engine/environment.js";
import { type CheckedPath, systemPath } from "./arguments.js";
import { call } from "./calls.js";
import { fileError } from "./errors.js";

const { EEXIST, EINVAL, ENOTSUP, EOPNOTSUPP, EXDEV, ENOTTY } = osConstants.errno;
const { COPYFILE_EXCL, COPYFILE_FICLONE, COPYFILE_FICLONE_FORCE } = constants;
const PERMISSIONS = 0o7777;
const MAX_PART_BYTES = 1 << 30;
// What says that the file system cannot share blocks here.
const NOT_SHARED: ReadonlySet<number> = new Set(
  [ENOTSUP, EOPNOTSUPP, EXDEV, EINVAL, ENOTTY].map((errno) => -errno),
);

/** Runs a call that fails with a negative number; that is thrown. */
async function done(result: Promise<number>): Promise<number> {
  const number = await result;
  if (number < 0) throw number;
  return number;
}

function openFile(path: CheckedPath, flags: number, mode: number): Promise<number> {
  const { ring } = sharedIO();
  const bytes = systemPath(path);
  return call((completion, settle) => ring.open(completion, settle, bytes, flags, mode));
}

async function close(descriptor: Descriptor): Promise<void> {
  const { ring } = sharedIO();
  await call((completion, settle) => ring.close(completion, settle, descriptor));
}

async function statOf(descriptor: Descriptor): Promise<StatRecord> {
  const { ring } = sharedIO();
  const record = new StatRecord();
  await done(call((completion, settle) => ring.stat(completion, settle, descriptor, record)));
  return record;
}

/** Whether the two files are the same one. */
function isSame({ stat: one }: StatRecord, { stat: other }: StatRecord): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

/** Copies a file. `mode` is COPYFILE_* as `copyFile` takes them. */
export async function copyOneFile(
  path: CheckedPath,
  dest: CheckedPath,
  mode: number,
): Promise<void> {
  try {
    const source = await done(openFile(path, OpenFlags.read, 0));
    try {
      await copyFrom(source, dest, mode);
    } finally {
      await close(source);
    }
  } catch (error) {
    if (typeof error !== "number") throw error;
    throw fileError(error, { syscall: "copyfile", path, dest });
  }
}

async function copyFrom(source: Descriptor, dest: CheckedPath, mode: number): Promise<void> {
  const record = await statOf(source);
  const permissions = record.stat.mode & PERMISSIONS;
  const flags = OpenFlags.write | OpenFlags.create | OpenFlags.exclusive;
  let target = await openFile(dest, flags, permissions);
  let there: StatRecord | null = null;
  if (target === -EEXIST && (mode & COPYFILE_EXCL) === 0) {
    target = await done(openFile(dest, OpenFlags.write | OpenFlags.create, permissions));
    there = await orClose(target, statOf(target));
  } else {
    await done(Promise.resolve(target));
  }
  try {
    if (there !== null) {
      if (isSame(there, record)) return;
      if (!there.stat.isFile()) throw -EINVAL;
      await empty(target);
    }
    await fill(target, source, record, mode);
  } catch (error) {
    // As Node does; but it removes a device as well, "/dev/null" for all others.
    if (there?.stat.isFile() !== false) await remove(dest);
    throw error;
  } finally {
    await close(target);
  }
}

async function orClose<T>(target: Descriptor, value: Promise<T>): Promise<T> {
  try {
    return await value;
  } catch (error) {
    await close(target);
    throw error;
  }
}

async function empty(target: Descriptor): Promise<void> {
  const { ring } = sharedIO();
  await done(call((completion, settle) => ring.truncate(completion, settle, target, 0)));
}

async function fill(
  target: Descriptor,
  source: Descriptor,
  { stat }: StatRecord,
  mode: number,
): Promise<void> {
  const { ring } = sharedIO();
  const permissions = stat.mode & PERMISSIONS;
  // The mask of the process has taken bits away from those that it was made with.
  await done(call((completion, settle) => ring.fchmod(completion, settle, target, permissions)));
  if ((mode & (COPYFILE_FICLONE | COPYFILE_FICLONE_FORCE)) !== 0) {
    const shared = await call((completion, settle) =>
      ring.reflink(completion, settle, target, source),
    );
    if (shared === 0) return;
    const mayCopy = (mode & COPYFILE_FICLONE_FORCE) === 0 && NOT_SHARED.has(shared);
    if (!mayCopy) throw shared;
  }
  // Node copies as many bytes as stat says: none of "/dev/null".
  if (stat.isCharacterDevice() && stat.size === 0) return;
  let offset = 0;
  for (;;) {
    const place = offset;
    const count = await done(
      call((completion, settle) =>
        ring.copyRange(completion, settle, target, source, place, place, MAX_PART_BYTES),
      ),
    );
    if (count === 0) return;
    offset += count;
  }
}

async function remove(path: CheckedPath): Promise<void> {
  const { ring } = sharedIO();
  const bytes = systemPath(path);
  await call((completion, settle) => ring.unlink(completion, settle, bytes, false));
}
