// What the system knows of a file besides its bytes, changed: by path and by descriptor.

import { constants } from "node:os";
import type { Descriptor } from "@io/core";
import { sharedIO } from "../engine/environment.js";
import { type CheckedPath, systemPath } from "./arguments.js";
import { call } from "./calls.js";
import { fileError } from "./errors.js";

const PERMISSIONS = 0o7777;
const INVALID = -constants.errno.EINVAL;

/** A date without a time has no number; the system refuses what Node makes of it. */
function areTimes(accessedMs: number, modifiedMs: number): boolean {
  return Number.isFinite(accessedMs) && Number.isFinite(modifiedMs);
}

export async function changeMode(path: CheckedPath, mode: number): Promise<void> {
  const { ring } = sharedIO();
  const bytes = systemPath(path);
  const result = await call((completion, settle) =>
    ring.chmod(completion, settle, bytes, mode & PERMISSIONS),
  );
  if (result < 0) throw fileError(result, { syscall: "chmod", path });
}

export async function changeOwner(
  path: CheckedPath,
  user: number,
  group: number,
  follow: boolean,
): Promise<void> {
  const { ring } = sharedIO();
  const bytes = systemPath(path);
  const result = await call((completion, settle) =>
    ring.chown(completion, settle, bytes, user, group, follow),
  );
  if (result < 0) throw fileError(result, { syscall: follow ? "chown" : "lchown", path });
}

/** The times are milliseconds since 1970. */
export async function changeTimes(
  path: CheckedPath,
  accessedMs: number,
  modifiedMs: number,
  follow: boolean,
): Promise<void> {
  const { ring } = sharedIO();
  const bytes = systemPath(path);
  const syscall = follow ? "utime" : "lutime";
  if (!areTimes(accessedMs, modifiedMs)) throw fileError(INVALID, { syscall, path });
  const result = await call((completion, settle) =>
    ring.utimes(completion, settle, bytes, accessedMs, modifiedMs, follow),
  );
  if (result < 0) throw fileError(result, { syscall, path });
}

export async function changeModeOf(descriptor: Descriptor, mode: number): Promise<void> {
  const { ring } = sharedIO();
  const result = await call((completion, settle) =>
    ring.fchmod(completion, settle, descriptor, mode & PERMISSIONS),
  );
  if (result < 0) throw fileError(result, { syscall: "fchmod" });
}

export async function changeOwnerOf(
  descriptor: Descriptor,
  user: number,
  group: number,
): Promise<void> {
  const { ring } = sharedIO();
  const result = await call((completion, settle) =>
    ring.fchown(completion, settle, descriptor, user, group),
  );
  if (result < 0) throw fileError(result, { syscall: "fchown" });
}

/** The times are milliseconds since 1970. */
export async function changeTimesOf(
  descriptor: Descriptor,
  accessedMs: number,
  modifiedMs: number,
): Promise<void> {
  const { ring } = sharedIO();
  if (!areTimes(accessedMs, modifiedMs)) throw fileError(INVALID, { syscall: "futime" });
  const result = await call((completion, settle) =>
    ring.futimes(completion, settle, descriptor, accessedMs, modifiedMs),
  );
  if (result < 0) throw fileError(result, { syscall: "futime" });
}
