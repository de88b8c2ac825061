// cp(): a file, a link, or a directory with all that is in it. Checks and errors are Node's; the
// entries of a directory are copied side by side.

import { constants as fsConstants, type Stats } from "node:fs";
import { constants } from "node:os";
import { dirname, isAbsolute, parse, resolve, sep } from "node:path";
import { CopyFlags } from "@io/core";
import { checkBoolean, checkFunction, checkInteger, checkObject } from "../checks.js";
import { sharedIO } from "../engine/environment.js";
import { nodeError } from "../errors.js";
import { type CheckedPath, systemPath } from "./arguments.js";
import { call } from "./calls.js";
import { copyOneFile } from "./copy_file.js";
import { ownError } from "./errors.js";
import { makeDirectories } from "./make_directories.js";
import { changeMode, changeTimes } from "./metadata.js";
import { type Entry, entriesOf } from "./names.js";
import { linkTarget, makeDirectory, onTwoPaths, removePath, statPath } from "./paths.js";

const { EEXIST, EINVAL, EISDIR, ENOTDIR } = constants.errno;
const { COPYFILE_FICLONE, COPYFILE_FICLONE_FORCE } = fsConstants;
const { UV_DIRENT_FILE } = fsConstants as unknown as { readonly [name: string]: number };
// How many entries of all directories are being copied at a time.
const AT_ONCE = 64;

/**
 * Says whether a file or directory is copied.
 *
 * @param source Its path.
 * @param destination The path of its copy.
 * @returns `false` to leave it out
 */
export type CopyFilter = (source: string, destination: string) => boolean | Promise<boolean>;

/** How `cp` copies. */
export interface CopyOptions {
  /** Copies what symbolic links lead to; `false` by default. */
  dereference?: boolean | undefined;
  /** With `force: false`: fails where the copy would be in the place of a file. */
  errorOnExist?: boolean | undefined;
  /** Says of each path whether it is copied. */
  filter?: CopyFilter | undefined;
  /** Copies in the place of files that are there; `true` by default. */
  force?: boolean | undefined;
  /** As that of `copyFile`. */
  mode?: number | undefined;
  /** Gives the copies the times of what they are copies of; `false` by default. */
  preserveTimestamps?: boolean | undefined;
  /** Copies directories; `false` by default. */
  recursive?: boolean | undefined;
  /** Leaves the text of symbolic links as it is; `false` by default. */
  verbatimSymlinks?: boolean | undefined;
}

type Given = {
  [Name in Exclude<keyof CopyOptions, "filter">]-?: NonNullable<CopyOptions[Name]>;
} & Pick<CopyOptions, "filter">;

const DEFAULTS = {
  ...{ dereference: false, errorOnExist: false, force: true, mode: 0 },
  ...{ preserveTimestamps: false, recursive: false, verbatimSymlinks: false },
};
const FLAGS = [
  ...(["dereference", "errorOnExist", "force", "preserveTimestamps"] as const),
  ...(["recursive", "verbatimSymlinks"] as const),
];
const MAX_MODE = 7;

/** The options, checked. */
export function copyOptionsFrom(options: unknown): Given {
  if (options === undefined) return DEFAULTS;
  checkObject(options, "options");
  const all: Given = { ...DEFAULTS, ...options };
  for (const name of FLAGS) checkBoolean(all[name], `options.${name}`);
  all.mode ??= 0;
  checkInteger(all.mode, "mode", 0, MAX_MODE);
  if (all.dereference && all.verbatimSymlinks) {
    const message =
      'Option "dereference" cannot be used in combination with option "verbatimSymlinks"';
    throw nodeError(TypeError, "ERR_INCOMPATIBLE_OPTION_PAIR", message);
  }
  if (all.filter !== undefined) checkFunction(all.filter, "options.filter");
  return all;
}

type Fault =
  | "DIR_TO_NON_DIR"
  | "EEXIST"
  | "EINVAL"
  | "FIFO_PIPE"
  | "NON_DIR_TO_DIR"
  | "SOCKET"
  | "UNKNOWN"
  | "SYMLINK_TO_SUBDIRECTORY";

const SUMMARIES: Readonly<Record<Fault, string>> = {
  DIR_TO_NON_DIR: "Cannot overwrite non-directory with directory",
  EEXIST: "Target already exists",
  EINVAL: "Invalid src or dest",
  FIFO_PIPE: "Cannot copy a FIFO pipe",
  NON_DIR_TO_DIR: "Cannot overwrite directory with non-directory",
  SOCKET: "Cannot copy a socket file",
  SYMLINK_TO_SUBDIRECTORY: "Cannot overwrite symlink in subdirectory of self",
  UNKNOWN: "Cannot copy an unknown file type",
};

function fault(kind: Fault, message: string, path: string, code: string, errno: number): Error {
  const context = { message, path, syscall: "cp", errno, code };
  return ownError(`ERR_FS_CP_${kind}`, SUMMARIES[kind], context);
}

async function statIfThere(path: string, follow: boolean): Promise<Stats | null> {
  try {
    return await statPath(path, follow);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function areSame(one: Stats, other: Stats): boolean {
  return other.ino !== 0 && other.dev !== 0 && other.ino === one.ino && other.dev === one.dev;
}

function isBelow(source: string, destination: string): boolean {
  const parts = resolve(source).split(sep).filter(Boolean);
  const others = resolve(destination).split(sep).filter(Boolean);
  return parts.every((part, index) => others[index] === part);
}

/** Limits how much is done at a time. */
class Crew {
  #free = AT_ONCE;
  // Those that wait, from `first` on: a directory may have very many.
  #line: (() => void)[] = [];
  #first = 0;

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((start) => this.#line.push(start));
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  #leave(): void {
    const next = this.#line[this.#first++];
    if (next !== undefined) {
      next();
      return;
    }
    this.#line = [];
    this.#first = 0;
    this.#free++;
  }
}

/** How a new file is copied in one call, as `mode` asks for it. */
function flagsOf({ mode, preserveTimestamps }: Given): number {
  const shares =
    (mode & COPYFILE_FICLONE_FORCE) !== 0
      ? CopyFlags.reflinkOnly
      : (mode & COPYFILE_FICLONE) !== 0
        ? CopyFlags.reflink
        : 0;
  return shares | (preserveTimestamps ? CopyFlags.times : 0);
}

/** One call of `cp`. */
class Copy {
  readonly #options: Given;
  readonly #flags: number;
  readonly #crew = new Crew();
  // The first error. No more is begun then.
  #failure: { readonly error: unknown } | null = null;

  constructor(options: Given) {
    this.#options = options;
    this.#flags = flagsOf(options);
  }

  async start(source: string, destination: string): Promise<void> {
    const checked = await this.#check(source, destination);
    if (checked === null) return;
    await checkParents(source, checked.from, destination);
    const parent = dirname(destination);
    if ((await statIfThere(parent, true)) === null) await makeDirectories(parent, 0o777);
    await this.#copy(source, destination, checked);
  }

  /** What is at both ends; null when the filter leaves it out. */
  async #check(source: string, destination: string): Promise<Ends | null> {
    return (await this.#wants(source, destination)) ? this.#ends(source, destination) : null;
  }

  async #wants(source: string, destination: string): Promise<boolean> {
    const { filter } = this.#options;
    return filter === undefined || Boolean(await filter(source, destination));
  }

  async #ends(source: string, destination: string): Promise<Ends> {
    const { dereference } = this.#options;
    const [from, to] = await Promise.all([
      statPath(source, dereference),
      statIfThere(destination, dereference),
    ]);
    if (to !== null) checkEnds(source, from, destination, to);
    if (from.isDirectory() && isBelow(source, destination)) {
      const message = `cannot copy ${source} to a subdirectory of self ${destination}`;
      throw fault("EINVAL", message, destination, "EINVAL", EINVAL);
    }
    return { from, to };
  }

  async #copy(source: string, destination: string, { from, to }: Ends): Promise<void> {
    if (from.isDirectory()) {
      if (this.#options.recursive) return this.#copyDirectory(source, destination, from, to);
      const message = `${source} is a directory (not copied)`;
      const context = { code: "EISDIR", message, path: source, syscall: "cp", errno: EISDIR };
      throw ownError("ERR_FS_EISDIR", "Path is a directory", context);
    }
    if (from.isFile() || from.isCharacterDevice() || from.isBlockDevice()) {
      return this.#copyFile(source, destination, from, to);
    }
    if (from.isSymbolicLink()) return this.#copyLink(source, destination, to);
    const [kind, what]: [Fault, string] = from.isSocket()
      ? ["SOCKET", "a socket file"]
      : from.isFIFO()
        ? ["FIFO_PIPE", "a FIFO pipe"]
        : ["UNKNOWN", "an unknown file type"];
    throw fault(kind, `cannot copy ${what}: ${destination}`, destination, "EINVAL", EINVAL);
  }

  async #copyDirectory(
    source: string,
    destination: string,
    from: Stats,
    to: Stats | null,
  ): Promise<void> {
    if (to === null) await makeDirectory(destination, 0o777);
    const entries = await this.#crew.run(() => entriesOf(source));
    const names = { areTaken: false };
    const copy = async ({ name, kind }: Entry): Promise<void> => {
      // A name that is not UTF-8 is not found again, as in Node.
      const below = name.toString();
      const ends = [`${source}/${below}`, `${destination}/${below}`] as const;
      const folder = await this.#crew.run(() => this.#copyEntry(...ends, kind, names));
      // Outside of the crew: it waits for others of it.
      if (folder !== null) await this.#copyDirectory(...ends, folder.from, folder.to);
    };
    const failed = (error: unknown): void => {
      this.#failure ??= { error };
    };
    await Promise.all(entries.map((entry) => copy(entry).catch(failed)));
    if (this.#failure !== null) throw this.#failure.error;
    if (to === null) await changeMode(destination, from.mode);
  }

  /** Copies what is no directory. Of a directory it gives both ends, still to be copied. */
  async #copyEntry(
    source: string,
    destination: string,
    kind: number,
    names: Names,
  ): Promise<Ends | null> {
    if (this.#failure !== null || !(await this.#wants(source, destination))) return null;
    if (kind === UV_DIRENT_FILE && !names.areTaken) {
      const result = await this.#copyAtOnce(source, destination);
      if (result >= 0) return null;
      names.areTaken = result === -EEXIST;
    }
    const ends = await this.#ends(source, destination);
    if (ends.from.isDirectory()) return ends;
    await this.#copy(source, destination, ends);
    return null;
  }

  /** A file whose copy is not there, in one call. What that cannot do is left to the others. */
  #copyAtOnce(source: string, destination: string): Promise<number> {
    const { ring } = sharedIO();
    const [from, to] = [systemPath(source), systemPath(destination)];
    return call((completion, settle) => ring.copyFile(completion, settle, from, to, this.#flags));
  }

  async #copyFile(
    source: string,
    destination: string,
    from: Stats,
    to: Stats | null,
  ): Promise<void> {
    const { force, errorOnExist, mode, preserveTimestamps } = this.#options;
    if (to !== null) {
      if (force) {
        await removePath(destination, false);
      } else if (errorOnExist) {
        const message = `${destination} already exists`;
        throw fault("EEXIST", message, destination, "EEXIST", EEXIST);
      } else {
        return;
      }
    }
    // The copy has the permissions of the source already.
    await copyOneFile(source, destination, mode);
    if (!preserveTimestamps) return;
    // The copy has read the source since.
    const { atimeMs, mtimeMs } = await statPath(source, true);
    await changeTimes(destination, Math.round(atimeMs), Math.round(mtimeMs), true);
    await changeMode(destination, from.mode);
  }

  async #copyLink(source: string, destination: string, to: Stats | null): Promise<void> {
    let target = (await linkTarget(source)).toString();
    if (!this.#options.verbatimSymlinks && !isAbsolute(target)) {
      target = resolve(dirname(source), target);
    }
    if (to === null) return onTwoPaths("symlink", target, destination);
    let there: string;
    try {
      there = (await linkTarget(destination)).toString();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
      return onTwoPaths("symlink", target, destination);
    }
    if (!isAbsolute(there)) there = resolve(dirname(destination), there);
    if (isBelow(target, there)) {
      const message = `cannot copy ${target} to a subdirectory of self ${there}`;
      throw fault("EINVAL", message, destination, "EINVAL", EINVAL);
    }
    const stats = await statPath(source, true);
    if (stats.isDirectory() && isBelow(there, target)) {
      const message = `cannot overwrite ${there} with ${target}`;
      throw fault("SYMLINK_TO_SUBDIRECTORY", message, destination, "EINVAL", EINVAL);
    }
    await removePath(destination, false);
    await onTwoPaths("symlink", target, destination);
  }
}

/** What is known of the names in a directory of the copy. */
interface Names {
  areTaken: boolean;
}

interface Ends {
  readonly from: Stats;
  readonly to: Stats | null;
}

function checkEnds(source: string, from: Stats, destination: string, to: Stats): void {
  if (areSame(from, to)) {
    const message = "src and dest cannot be the same";
    throw fault("EINVAL", message, destination, "EINVAL", EINVAL);
  }
  if (from.isDirectory() && !to.isDirectory()) {
    const message = `cannot overwrite non-directory ${destination} with directory ${source}`;
    throw fault("DIR_TO_NON_DIR", message, destination, "EISDIR", EISDIR);
  }
  if (!from.isDirectory() && to.isDirectory()) {
    const message = `cannot overwrite directory ${destination} with non-directory ${source}`;
    throw fault("NON_DIR_TO_DIR", message, destination, "ENOTDIR", ENOTDIR);
  }
}

/** Throws when the source is one of the directories that the destination is in. */
async function checkParents(source: string, from: Stats, destination: string): Promise<void> {
  const own = resolve(dirname(source));
  let parent = resolve(dirname(destination));
  while (parent !== own && parent !== parse(parent).root) {
    const stats = await statIfThere(parent, true);
    if (stats === null) return;
    if (areSame(from, stats)) {
      const message = `cannot copy ${source} to a subdirectory of self ${destination}`;
      throw fault("EINVAL", message, destination, "EINVAL", EINVAL);
    }
    parent = resolve(dirname(parent));
  }
}

/** Copies what is at a path, with all that is in it where that is a directory. */
export async function copyTree(
  source: CheckedPath,
  destination: CheckedPath,
  options: Given,
): Promise<void> {
  const from = typeof source === "string" ? source : Buffer.from(source).toString();
  const to = typeof destination === "string" ? destination : Buffer.from(destination).toString();
  await new Copy(options).start(from, to);
}
