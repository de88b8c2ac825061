// What is done with an open descriptor: one function for each call of the system.

import { type BigIntStats, constants, type Stats } from "node:fs";
import { type Descriptor, OpenFlags, StatRecord, type SyncLevel } from "@io/core";
import { sharedIO } from "../engine/environment.js";
import { notSupported } from "../errors.js";
import { type CheckedPath, systemPath } from "./arguments.js";
import { call } from "./calls.js";
import { fileError } from "./errors.js";
import { bigStatsFrom, statsFrom } from "./stats.js";

// The ring's descriptor is the system's number, with a generation above it.
const NUMBER_BITS = 20;

/** The system's number. */
export function numberOf(descriptor: Descriptor): number {
  return descriptor & ((1 << NUMBER_BITS) - 1);
}

const { O_WRONLY, O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_TRUNC } = constants;
const { O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_NOCTTY, O_NONBLOCK } = constants;
const { O_SYNC, O_DSYNC, O_NOATIME } = constants;

// No file that is opened here becomes the terminal of the process, or waits for its other end.
const WITHOUT_EFFECT = O_NOCTTY | O_NONBLOCK;

const BITS: readonly (readonly [number, number])[] = [
  [O_APPEND, OpenFlags.append],
  [O_CREAT, OpenFlags.create],
  [O_EXCL, OpenFlags.exclusive],
  [O_TRUNC, OpenFlags.truncate],
  [O_DIRECTORY, OpenFlags.directory],
  [O_NOFOLLOW, OpenFlags.noFollow],
  [O_DSYNC, OpenFlags.dsync],
  // Not on every system.
  ...(O_DIRECT === undefined ? [] : [[O_DIRECT, OpenFlags.direct] as const]),
  ...(O_NOATIME === undefined ? [] : [[O_NOATIME, OpenFlags.noAtime] as const]),
];

// The descriptors whose writes are durable with all that belongs to the file. The ring has no flag
// for that.
const syncing = new Set<Descriptor>();

function syncsAll(flags: number): boolean {
  return (flags & O_SYNC) === O_SYNC && (flags & (O_WRONLY | O_RDWR)) !== 0;
}

async function afterWrite(descriptor: Descriptor): Promise<void> {
  if (syncing.has(descriptor)) await syncDescriptor(descriptor, "full");
}

/** The flags of the ring, from those of open(2). */
function ringFlags(flags: number): number {
  const access = flags & (O_WRONLY | O_RDWR);
  let left = flags & ~(O_WRONLY | O_RDWR | WITHOUT_EFFECT);
  let bits = 0;
  // On Linux it has the bit of O_DSYNC in it. A sync behind each write does what it asks for.
  if (access === 0 || syncsAll(flags)) left &= ~O_SYNC;
  if (access !== O_WRONLY) bits |= OpenFlags.read;
  if (access !== 0) bits |= OpenFlags.write;
  // To the ring it means writing, too; and a file that is only read has no use for it.
  else left &= ~O_APPEND;
  for (const [flag, bit] of BITS) {
    if ((left & flag) !== flag) continue;
    bits |= bit;
    left &= ~flag;
  }
  if (left === 0) return bits;
  throw notSupported(`the flag 0x${left.toString(16)} of open`, "@io/core has no such flag yet");
}

/** Opens a file; `shown` is the path as the program gave it. */
export async function openPath(
  path: CheckedPath,
  flags: number,
  mode: number,
  shown = path,
): Promise<Descriptor> {
  const { ring } = sharedIO();
  const bits = ringFlags(flags);
  const bytes = systemPath(path);
  const descriptor = await call((completion, settle) =>
    ring.open(completion, settle, bytes, bits, mode & 0o7777),
  );
  if (descriptor < 0) throw fileError(descriptor, { syscall: "open", path: shown });
  if (syncsAll(flags)) syncing.add(descriptor);
  return descriptor;
}

export async function closeDescriptor(descriptor: Descriptor): Promise<void> {
  const { ring } = sharedIO();
  syncing.delete(descriptor);
  const result = await call((completion, settle) => ring.close(completion, settle, descriptor));
  if (result < 0) throw fileError(result, { syscall: "close" });
}

/** Reads once; -1 is the current position. */
export async function readInto(
  descriptor: Descriptor,
  view: ArrayBufferView,
  position: number,
): Promise<number> {
  const { ring } = sharedIO();
  const count = await call((completion, settle) =>
    ring.read(completion, settle, descriptor, view, position),
  );
  if (count < 0) throw fileError(count, { syscall: "read" });
  return count;
}

/** Writes once; -1 is the current position. */
export async function writeFrom(
  descriptor: Descriptor,
  view: ArrayBufferView,
  position: number,
): Promise<number> {
  const { ring } = sharedIO();
  const count = await call((completion, settle) =>
    ring.write(completion, settle, descriptor, view, position),
  );
  if (count < 0) throw fileError(count, { syscall: "write" });
  if (syncing.size > 0) await afterWrite(descriptor);
  return count;
}

// IOV_MAX of every system: more buffers are no argument for it.
const MAX_VECTORS = 1024;

/** Reads once, into the first buffers where there are more than the system takes. */
export async function readVectors(
  descriptor: Descriptor,
  views: readonly ArrayBufferView[],
  position: number,
): Promise<number> {
  const { ring } = sharedIO();
  const taken = views.length > MAX_VECTORS ? views.slice(0, MAX_VECTORS) : views;
  const count = await call((completion, settle) =>
    ring.readVectored(completion, settle, descriptor, taken, position),
  );
  if (count < 0) throw fileError(count, { syscall: "read" });
  return count;
}

/** Writes once, or again and again where there are more buffers than the system takes. */
export async function writeVectors(
  descriptor: Descriptor,
  views: readonly ArrayBufferView[],
  position: number,
): Promise<number> {
  let done = 0;
  for (let start = 0; start < views.length; start += MAX_VECTORS) {
    const some = views.slice(start, start + MAX_VECTORS);
    const place = position === -1 ? -1 : position + done;
    const count = await writeSome(descriptor, some, place);
    done += count;
    if (count < some.reduce((sum, { byteLength }) => sum + byteLength, 0)) break;
  }
  return done;
}

async function writeSome(
  descriptor: Descriptor,
  views: readonly ArrayBufferView[],
  position: number,
): Promise<number> {
  const { ring } = sharedIO();
  const count = await call((completion, settle) =>
    ring.writeVectored(completion, settle, descriptor, views, position),
  );
  if (count < 0) throw fileError(count, { syscall: "write" });
  if (syncing.size > 0) await afterWrite(descriptor);
  return count;
}

async function recordOf(descriptor: Descriptor): Promise<StatRecord> {
  const { ring } = sharedIO();
  const record = new StatRecord();
  const result = await call((completion, settle) =>
    ring.stat(completion, settle, descriptor, record),
  );
  if (result < 0) throw fileError(result, { syscall: "fstat" });
  return record;
}

export async function statDescriptor(descriptor: Descriptor): Promise<Stats> {
  return statsFrom(await recordOf(descriptor));
}

export async function bigStatDescriptor(descriptor: Descriptor): Promise<BigIntStats> {
  return bigStatsFrom(await recordOf(descriptor));
}

export async function syncDescriptor(descriptor: Descriptor, level: SyncLevel): Promise<void> {
  const { ring } = sharedIO();
  const result = await call((completion, settle) =>
    ring.sync(completion, settle, descriptor, level),
  );
  if (result >= 0) return;
  throw fileError(result, { syscall: level === "data" ? "fdatasync" : "fsync" });
}

export async function truncateDescriptor(descriptor: Descriptor, length: number): Promise<void> {
  const { ring } = sharedIO();
  const result = await call((completion, settle) =>
    ring.truncate(completion, settle, descriptor, length),
  );
  if (result < 0) throw fileError(result, { syscall: "ftruncate" });
}
