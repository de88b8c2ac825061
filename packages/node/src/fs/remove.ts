// rm(): a file, or a directory with all that is in it.

import { constants } from "node:os";
import type { CheckedPath } from "./arguments.js";
import { ownError } from "./errors.js";
import { entriesOf, isFolder, joined, knownKind } from "./names.js";
import { removePath, statPath } from "./paths.js";

/** How `rm` removes. */
export interface RemoveOptions {
  /** Removes directories with what is in them; `false` by default. */
  readonly recursive: boolean;
  /** What is not there is no error; `false` by default. */
  readonly force: boolean;
  /** Milliseconds before it is tried again, times the number of tries; 100 by default. */
  readonly retryDelay: number;
  /** How often it is tried again while another program holds a file; 0 by default. */
  readonly maxRetries: number;
}

/** What is tried again: something that another program holds may be free in a moment. */
const AGAIN: ReadonlySet<string | undefined> = new Set([
  ...["EBUSY", "EMFILE", "ENFILE", "ENOTEMPTY", "EPERM"],
]);
// How many names of one directory are removed side by side.
const AT_ONCE = 64;

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** Removes what is at a path. */
export async function remove(path: CheckedPath, options: RemoveOptions): Promise<void> {
  let isDirectory: boolean;
  try {
    isDirectory = (await statPath(path, false)).isDirectory();
  } catch (error) {
    if (options.force && codeOf(error) === "ENOENT") return;
    throw error;
  }
  if (isDirectory && !options.recursive) {
    const { EISDIR: errno } = constants.errno;
    const context = { code: "EISDIR", message: "is a directory", path, syscall: "rm", errno };
    throw ownError("ERR_FS_EISDIR", "Path is a directory", context);
  }
  await removeKnown(path, isDirectory, options);
}

/** Removes it, again and again as far as the options say. What has gone meanwhile is no fault. */
async function removeKnown(
  path: CheckedPath,
  isDirectory: boolean,
  options: RemoveOptions,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      if (isDirectory) await removeTree(path, options);
      else await removePath(path, false);
      return;
    } catch (error) {
      const code = codeOf(error);
      if (code === "ENOENT") return;
      if (!AGAIN.has(code) || tries > options.maxRetries) throw error;
    }
    const delayMs = tries * options.retryDelay;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
}

async function removeTree(path: CheckedPath, options: RemoveOptions): Promise<void> {
  const entries = await entriesOf(path);
  let next = 0;
  const work = async (): Promise<void> => {
    for (let entry = entries[next++]; entry !== undefined; entry = entries[next++]) {
      const kind = await knownKind(path, entry);
      await removeKnown(joined(path, entry.name), isFolder(kind), options);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, entries.length) }, work));
  await removePath(path, true);
}
