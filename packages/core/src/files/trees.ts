// Whole trees: directories that are made with their parents, and removed with what is in them. A
// directory below another one is opened by its descriptor without following a link, and names are
// removed by that descriptor: so a directory that another process replaces by a link meanwhile
// leads nowhere else.
import { randomBytes } from "node:crypto";
import { constants } from "node:os";
import { IOError } from "../errors.js";
import { type Known, knows } from "../support/check.js";
import { nameIn, type PathBase, runOnPath } from "./base.js";
import { Listing, type NextOptions } from "./listing.js";
import { StatRecord } from "./stat.js";

const MKDIR = knows("mkdir");
const RM = knows("rm");
const MKDTEMP = knows("mkdtemp");

// Names that are removed at once in one directory: as many as keep every thread of a pool at work.
const AT_ONCE = 32;
// How often a directory is read again, because names came while it was emptied.
const MAX_ROUNDS = 8;
const MAX_NAMES_TRIED = 100;

function codeOf(error: unknown): string {
  return error instanceof IOError ? error.code : "";
}

function make(base: PathBase, path: string, mode: number, known: Known, next: NextOptions) {
  const about = { path: nameIn(base, path) };
  return runOnPath(base, known, next(), about, (ring, pending, settle) =>
    ring.mkdir(pending, settle, path, mode, base.at, base.rules),
  );
}

async function isDirectory(base: PathBase, path: string, next: NextOptions): Promise<boolean> {
  const record = new StatRecord();
  const about = { path: nameIn(base, path) };
  await runOnPath(base, MKDIR, next(), about, (ring, pending, settle) =>
    ring.stat(pending, settle, path, record, true, base.at, base.rules),
  );
  return record.stat.isDirectory();
}

// The end of the call, or that of the IO, says nothing of the path.
const ENDS = new Set(["ABORT_ERR", "ETIMEDOUT", "ECANCELED", "ERR_IO_CLOSED"]);

/** Of a link that is there, and leads out, the rule is the reason. */
function falseOrRule(error: unknown): false {
  const code = codeOf(error);
  if (code === "ERR_IO_RESOLVE" || ENDS.has(code)) throw error;
  return false;
}

/** "" where a path has no parent of its own. */
export function parentOf(path: string): string {
  const end = path.replace(/\/+$/, "").lastIndexOf("/");
  return end <= 0 ? path.slice(0, end + 1) : path.slice(0, end);
}

/** Makes one; false when its parent is missing. One that is there is as good. */
async function madeOne(
  base: PathBase,
  path: string,
  mode: number,
  next: NextOptions,
): Promise<boolean> {
  try {
    await make(base, path, mode, MKDIR, next);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" && parentOf(path) !== "") return false;
    // Some systems say EISDIR of the root, or EROFS before they look whether it is there.
    const maybeThere = code === "EEXIST" || code === "EISDIR" || code === "EROFS";
    if (maybeThere && (await isDirectory(base, path, next).catch(falseOrRule))) return true;
    throw error;
  }
}

/** Makes a directory, and those on its way that are missing. */
export async function makeDirectories(
  base: PathBase,
  path: string,
  mode: number,
  next: NextOptions,
): Promise<void> {
  const missing: string[] = [];
  let at = path;
  while (!(await madeOne(base, at, mode, next))) {
    missing.push(at);
    at = parentOf(at);
  }
  for (const below of missing.reverse()) {
    // Another process may have removed the parent again: then it is an error.
    if (!(await madeOne(base, below, mode, next))) await make(base, below, mode, MKDIR, next);
  }
}

/** Makes a directory with a name of its own behind the prefix. */
export async function makeTemporary(
  base: PathBase,
  prefix: string,
  mode: number,
  next: NextOptions,
): Promise<string> {
  for (let tried = 1; ; tried++) {
    const path = `${prefix}${randomBytes(6).toString("base64url")}`;
    try {
      await make(base, path, mode, MKDTEMP, next);
      return path;
    } catch (error) {
      if (codeOf(error) !== "EEXIST" || tried === MAX_NAMES_TRIED) throw error;
    }
  }
}

function unlink(base: PathBase, path: string, directory: boolean, next: NextOptions) {
  const about = { path: nameIn(base, path) };
  return runOnPath(base, RM, next(), about, (ring, pending, settle) =>
    ring.unlink(pending, settle, path, directory, base.at, base.rules),
  );
}

// What another process has removed meanwhile is removed.
async function unlinkIfThere(
  base: PathBase,
  path: string,
  directory: boolean,
  next: NextOptions,
): Promise<void> {
  try {
    await unlink(base, path, directory, next);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

/** Removes a file or, with `recursive`, a directory and all that is in it. */
export async function remove(
  base: PathBase,
  path: string,
  recursive: boolean,
  force: boolean,
  next: NextOptions,
): Promise<void> {
  try {
    await unlink(base, path, false, next);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" && force) return;
    if (code !== "EISDIR" || !recursive) throw error;
    // A slash at the end would follow a link that takes its place meanwhile.
    const bare = path.replace(/\/+$/, "") || "/";
    if (/(^|\/)\.\.?$/.test(bare)) throw dotsError(base, path);
    await removeTree(base, bare, next);
  }
}

// No system removes such a name, so that all in it would be gone and the call would fail then.
function dotsError(base: PathBase, path: string): IOError {
  const name = nameIn(base, path);
  return new IOError({
    code: "EINVAL",
    errno: -constants.errno.EINVAL,
    operation: "unlink",
    path: name,
    message: `rm of '${name}' failed: EINVAL, a path that ends with "." or ".." names no entry`,
  });
}

async function removeTree(base: PathBase, path: string, next: NextOptions): Promise<void> {
  for (let round = 1; ; round++) {
    await emptyDirectory(base, path, next);
    try {
      await unlinkIfThere(base, path, true, next);
      return;
    } catch (error) {
      // Names came meanwhile; a link or a file took its place.
      const code = codeOf(error);
      if (code === "ENOTDIR") return unlinkIfThere(base, path, false, next);
      const again = code === "ENOTEMPTY" || code === "EEXIST";
      if (!again || round === MAX_ROUNDS) throw error;
    }
  }
}

async function emptyDirectory(base: PathBase, path: string, next: NextOptions): Promise<void> {
  let listing: Listing;
  try {
    listing = await Listing.open(base, path, false, next);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP") return;
    throw error;
  }
  try {
    for (let found = await listing.found(); found !== null; found = await listing.found()) {
      const directories = found.filter(({ kind }) => kind === "directory");
      const others = found.filter(({ kind }) => kind !== "directory");
      await inParallel(base, others, async ({ name }) => {
        const more = await isLeft(listing.base, name, next);
        if (more) directories.push({ name, kind: "directory" });
      });
      for (const { name } of directories) await removeTree(listing.base, name, next);
    }
  } finally {
    await listing.close();
  }
}

// Whether it is a directory after all: the file system did not say so, or it has become one.
async function isLeft(base: PathBase, name: string, next: NextOptions): Promise<boolean> {
  try {
    await unlinkIfThere(base, name, false, next);
    return false;
  } catch (error) {
    if (codeOf(error) === "EISDIR") return true;
    throw error;
  }
}

/**
 * Works on all of them, so many at a time, and no more than the IO has places for. When one fails,
 * no more are begun.
 */
export async function inParallel<T>(
  { operations }: PathBase,
  all: readonly T[],
  work: (one: T) => Promise<void>,
): Promise<void> {
  let at = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    for (let one = all[at++]; one !== undefined && !failed; one = all[at++]) {
      try {
        while (!operations.hasSlot) {
          await new Promise<void>((resolve) => operations.whenSlot(resolve));
        }
        if (failed) return;
        await work(one);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const workers = Array.from({ length: Math.min(AT_ONCE, all.length) }, worker);
  for (const ended of await Promise.allSettled(workers)) {
    if (ended.status === "rejected") throw ended.reason;
  }
}
