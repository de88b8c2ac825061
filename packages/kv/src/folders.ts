/** Folders and names on disk: making a folder, and making a change of names durable. */

import { dirname, resolve } from "node:path";
import type { IO } from "@io/core";
import { codeOf } from "./errors.js";

/** Makes the folder and those above it that are missing. */
export async function makeFolder(io: IO, path: string): Promise<void> {
  const absolute = resolve(path);
  try {
    await io.mkdir(absolute);
  } catch (error) {
    if (codeOf(error) === "EEXIST") {
      if ((await io.stat(absolute)).isDirectory()) return;
      throw error;
    }
    if (codeOf(error) !== "ENOENT" || dirname(absolute) === absolute) throw error;
    await makeFolder(io, dirname(absolute));
    await io.mkdir(absolute);
  }
  await syncFolder(io, dirname(absolute));
}

/** Until its folder is synced, a name that was made or changed may be lost with the power. */
export async function syncFolder(io: IO, path: string): Promise<void> {
  const folder = await io.openFile(path, { read: true, directory: true });
  try {
    await folder.sync("full");
  } finally {
    await folder.close();
  }
}

export async function exists(io: IO, path: string): Promise<boolean> {
  try {
    await io.stat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}
