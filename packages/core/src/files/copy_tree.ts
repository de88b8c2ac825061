// A copy of a file, a link, or a directory with all that is in it. Every name is opened, made and
// removed in an open directory, and no link is followed: what another process renames or replaces
// meanwhile leads neither out of the source nor out of the copy.
import { randomBytes } from "node:crypto";
import { constants } from "node:os";
import { normalize } from "node:path";
import { closedError, IOError } from "../errors.js";
import {
  type About,
  aborted,
  checkedEndings,
  type Endings,
  type OperationOptions,
} from "../ring/promises.js";
import { CopyFlags, OpenFlags, ResolveFlags } from "../ring/ring_paths.js";
import type { Descriptor } from "../ring/types.js";
import { elapsedError } from "../ring/whole_call.js";
import { follow, unfollow } from "../support/aborts.js";
import {
  checkFunction,
  checkOptions,
  flag,
  knows,
  oneOf,
  type Path,
  pathFrom,
  pathText,
} from "../support/check.js";
import { joined, nameIn, type PathBase, runOnPath } from "./base.js";
import { NOT_SHARED, PART_BYTES, REFLINKS } from "./copy_file.js";
import { type EntryKind, kindOf, Listing, type NextOptions, optionsOfEach } from "./listing.js";
import { MAX_PATH_BYTES, pathFromHere } from "./paths.js";
import { type Stat, StatRecord } from "./stat.js";
import { inParallel, makeDirectories, parentOf } from "./trees.js";

/**
 * What a copy of a tree has made so far.
 *
 * @category Files
 */
export interface CopyTreeProgress {
  /** Files that are copied as a whole. */
  readonly files: number;
  /** Directories that were made. */
  readonly directories: number;
  /** Symbolic links that were made. */
  readonly links: number;
  /** Bytes of files that are copied. */
  readonly bytes: number;
}

/**
 * Says whether a name is copied: `false`, or a promise of it, leaves it out.
 *
 * @param source The path of the name.
 * @param destination The path of its copy.
 * @returns `false` to leave it out
 * @category Files
 */
export type CopyTreeFilter = (source: string, destination: string) => unknown;

/**
 * Is called with how far a copy is.
 *
 * @param progress What was made so far.
 * @category Files
 */
export type CopyTreeListener = (progress: CopyTreeProgress) => void;

/**
 * How a file or tree is copied.
 *
 * @category Files
 */
export interface CopyTreeOptions extends OperationOptions {
  /** A directory is copied with all that is in it; `false` (the default) refuses it (`EISDIR`). */
  recursive?: boolean | null | undefined;
  /**
   * What is there is replaced; `true` by default. `false` leaves it as it is. Directories that are
   * there get what they do not have yet in either case.
   */
  force?: boolean | null | undefined;
  /** With `force: false`: what is there is an error, `EEXIST`. `false` by default. */
  errorOnExist?: boolean | null | undefined;
  /** The copies get the times of the last read and change; `false` by default. */
  preserveTimestamps?: boolean | null | undefined;
  /**
   * Whether files share their blocks until one is written to: "auto" (the default) where the file
   * system can, "always" or not at all (`ENOTSUP`), or "never".
   */
  reflink?: "auto" | "always" | "never" | null | undefined;
  /**
   * Called with both paths of each name, which begin as they were given; `false` leaves it out,
   * with all that is below it. It may give a promise. What it throws ends the copy.
   */
  filter?: CopyTreeFilter | null | undefined;
  /**
   * Called with what was made so far, after each file, link and directory, and after each part of a
   * large file. What it throws ends the copy.
   */
  onProgress?: CopyTreeListener | null | undefined;
}

const CP = knows(
  "cp",
  ...["recursive", "force", "errorOnExist", "preserveTimestamps", "reflink", "filter"],
  ...["onProgress", "toDirectory"],
);
// Directories that are copied side by side.
const FOLDERS_AT_ONCE = 4;
// Names that are copied at once, of all directories. A file has two descriptors.
const NAMES_AT_ONCE = 32;
const RIGHTS = 0o777;
// setuid, setgid, sticky
const SPECIAL_BITS = 0o7000;
const OWNER_OPENS = 0o500;
// A character has three bytes at most: so many are no path that is too long.
const SHORT_PATH_LENGTH = 1300;
// What says that a file is not to be copied in one call.
const NOT_AT_ONCE: ReadonlySet<string> = new Set([
  ...["EEXIST", "EFBIG", "ENOENT", "EAGAIN", "EINVAL", "ENOTSUP", "EOPNOTSUPP", "EXDEV"],
]);
const MAX_TIMER_MS = 2 ** 31 - 1;

interface Settings {
  readonly recursive: boolean;
  readonly force: boolean;
  readonly errorOnExist: boolean;
  readonly preserveTimestamps: boolean;
  readonly filter: CopyTreeFilter | undefined;
  readonly onProgress: CopyTreeListener | undefined;
}

/** A name in a directory of the source, and its place in the copy. */
interface Pair {
  readonly from: PathBase;
  readonly source: string;
  readonly to: PathBase;
  readonly target: string;
  /** Both paths, which begin as the caller wrote them. */
  readonly about: { readonly path: string; readonly dest: string };
  /** What is known of the names in the directory of the copy. */
  readonly names: { areTaken: boolean };
}

/** A directory of the copy, below its root. */
interface Folder {
  /** "" for the root. */
  readonly path: string;
  /** Whether the copy has made it. */
  readonly isNew: boolean;
}

/** A directory that gets its permissions at the end, by its path. */
interface Late {
  readonly path: string;
  /** What is known of its source; null when that was not opened. */
  readonly record: StatRecord | null;
}

/** Both directories of a pair, open. */
interface Opened {
  readonly listing: Listing;
  readonly record: StatRecord;
  readonly target: Descriptor;
}

function isFull(error: unknown): boolean {
  return codeOf(error) === "EMFILE" || codeOf(error) === "ENFILE";
}

function codeOf(error: unknown): string {
  return error instanceof IOError ? error.code : "";
}

// What says that no directory is at a path below another one.
const GONE: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ERR_IO_RESOLVE"]);

/** Null for what is not there. */
async function orNull<T>(
  found: Promise<T>,
  says: ReadonlySet<string> = new Set(["ENOENT"]),
): Promise<T | null> {
  try {
    return await found;
  } catch (error) {
    if (says.has(codeOf(error))) return null;
    throw error;
  }
}

/** Beside the target: a rename stays in one file system. */
function temporaryName(target: string): string {
  const folder = parentOf(target);
  const name = `.cp-${randomBytes(9).toString("base64url")}`;
  return folder === "" ? name : joined(folder, name);
}

function refused(pair: Pair, code: "EINVAL" | "EISDIR" | "EEXIST", why: string): IOError {
  const { path, dest } = pair.about;
  return new IOError({
    code,
    errno: -constants.errno[code],
    operation: "cp",
    path,
    dest,
    message: `cp of '${path}' to '${dest}' failed: ${code}, ${why}`,
  });
}

/**
 * So many at once. One that finds no free descriptor has closed its own: then there are half as
 * many at once, down to one alone, and it is tried again. One that was alone fails.
 */
class Gate {
  #limit: number;
  #inside = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Waits for a place, and gives how many there are. */
  async enter(): Promise<number> {
    if (this.#inside < this.#limit) this.#inside++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.#limit;
  }

  leave(): void {
    // The limit may be lower by now.
    const next = this.#inside > this.#limit ? undefined : this.#waiting.shift();
    if (next === undefined) this.#inside--;
    else next(); // it has this place
  }

  /** After one of `places` has found no descriptor; false when it was alone. */
  narrow(places: number): boolean {
    if (places === 1) return false;
    this.#limit = Math.min(this.#limit, places >> 1);
    return true;
  }
}

/** One call of `cp`. */
class TreeCopy {
  readonly #settings: Settings;
  readonly #next: NextOptions;
  readonly #mustShare: boolean;
  #shares: boolean;
  readonly #progress = { files: 0, directories: 0, links: 0, bytes: 0 };
  readonly #names = new Gate(NAMES_AT_ONCE);
  readonly #folders = new Gate(FOLDERS_AT_ONCE);
  // Errors of an open that found no free descriptor.
  readonly #full = new WeakSet<object>();
  // Errors that say that a name of the source is gone.
  readonly #gone = new WeakSet<object>();
  // Rejects the filters that are waited for.
  readonly #filters = new Set<(error: unknown) => void>();
  // Why no more is begun.
  #failure: { readonly error: unknown } | null = null;
  // What is left to do is done, whatever ends the call.
  #finishing = false;
  #targetRoot: Stat | null = null;

  constructor(settings: Settings, reflink: keyof typeof REFLINKS, next: NextOptions) {
    this.#settings = settings;
    this.#shares = reflink !== "never";
    this.#mustShare = reflink === "always";
    this.#next = next;
  }

  async start(pair: Pair): Promise<CopyTreeProgress> {
    const { path, dest } = pair.about;
    if (!(await this.#wants(path, dest))) return this.#progress;
    const found = (await this.#stat(pair.from, pair.source, pair.about)).stat;
    if (found.isDirectory() && !this.#settings.recursive) {
      throw refused(pair, "EISDIR", "it is a directory (recursive: true copies it)");
    }
    if (found.isDirectory()) await this.#checkBefore(pair, found);
    const parent = parentOf(pair.target);
    if (parent !== "") await makeDirectories(pair.to, parent, 0o777, this.#next);
    if (found.isDirectory()) await this.#copyRoot(pair);
    else await this.#copyName(pair, kindOfStat(found));
    return this.#progress;
  }

  // ---- how it ends early

  /** The answer of the filter. One that never comes is waited for until the call ends. */
  #wants(path: string, dest: string): Promise<boolean> {
    const { filter } = this.#settings;
    if (filter === undefined) return Promise.resolve(true);
    return new Promise<unknown>((resolve, reject) => {
      this.#filters.add(reject);
      const done = (): boolean => this.#filters.delete(reject);
      new Promise((answer) => answer(filter(path, dest))).finally(done).then(resolve, reject);
    }).then(Boolean);
  }

  /** No more is begun. The first error is the one that counts. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const reject of this.#filters) reject(error);
  }

  /** Takes a place for what is opened. It is kept when that is open. */
  async #enter<T>(gate: Gate, open: () => Promise<T>): Promise<T> {
    for (;;) {
      const places = await gate.enter();
      try {
        return await open();
      } catch (error) {
        const again = this.#full.has(error as object) && gate.narrow(places);
        gate.leave();
        if (again) continue;
        this.#full.delete(error as object);
        throw error;
      }
    }
  }

  // ---- directories

  async #copyRoot(pair: Pair): Promise<void> {
    const { about } = pair;
    const { operations } = pair.from;
    const isNew = await this.#makeDirectory(pair);
    let begun = false;
    const flags = OpenFlags.read | OpenFlags.directory;
    // A slash at the end follows a link.
    const follows = pair.source.endsWith("/") ? 0 : OpenFlags.noFollow;
    try {
      if (isNew) this.#madeDirectory();
      const source = await this.#open(pair.from, pair.source, flags | follows, about);
      try {
        // One that was made is no link.
        const how = isNew ? flags | OpenFlags.noFollow : flags;
        const target = await this.#open(pair.to, pair.target, how, about);
        try {
          await this.#checkAfter(pair, source, target);
          const inside = ResolveFlags.beneath | ResolveFlags.noSymlinks;
          const from: PathBase = { ...pair.from, at: source, rules: inside, path: about.path };
          const to: PathBase = { ...pair.to, at: target, rules: inside, path: about.dest };
          begun = true;
          await this.#copyFolders(from, to, isNew);
        } finally {
          await operations.close(target);
        }
      } finally {
        await operations.close(source);
      }
    } catch (error) {
      // Nothing is in it yet. The first error is the one that counts.
      if (isNew && !begun) await this.#unlink(pair.to, pair.target, true).catch(() => undefined);
      throw error;
    }
  }

  /** Throws before anything is made when the copy would be the source itself, or in it. */
  async #checkBefore(pair: Pair, own: Stat): Promise<void> {
    for (let place = pair.target; ; place = parentOf(place) || ".") {
      try {
        const { stat } = await this.#stat(pair.to, place, pair.about, true);
        if (stat.isDirectory()) await this.#checkApart(pair, own, stat, pair.to, place);
        return;
      } catch (error) {
        if (codeOf(error) !== "ENOENT" || place === "." || /^\/+$/.test(place)) throw error;
      }
    }
  }

  /** The same of what is open: another process may have changed it meanwhile. */
  async #checkAfter(pair: Pair, source: Descriptor, target: Descriptor): Promise<void> {
    const own = (await this.#statOf(pair.from, source, pair.about)).stat;
    const root = (await this.#statOf(pair.to, target, pair.about)).stat;
    this.#targetRoot = root;
    await this.#checkApart(pair, own, root, { ...pair.to, at: target, rules: 0 }, ".");
  }

  async #checkApart(pair: Pair, own: Stat, first: Stat, base: PathBase, path: string) {
    let up = first;
    for (let way = path; ; ) {
      if (up.dev === own.dev && up.ino === own.ino) {
        const isSame = way === "." || way === pair.target;
        const why = isSame ? "both are the same directory" : "the copy would be in its source";
        throw refused(pair, "EINVAL", why);
      }
      way = joined(way, "..");
      if (Buffer.byteLength(way) >= MAX_PATH_BYTES) return;
      const above = await this.#stat(base, way, pair.about).catch(() => null);
      // What is above may be hidden from this process. The copy looks at each directory, too.
      if (above === null || (above.stat.dev === up.dev && above.stat.ino === up.ino)) return;
      up = above.stat;
    }
  }

  async #copyFolders(from: PathBase, to: PathBase, isNew: boolean): Promise<void> {
    const waiting: Folder[] = [{ path: "", isNew }];
    const late: Late[] = [];
    const failures = await new Promise<unknown[]>((resolve) => {
      const failed: unknown[] = [];
      let running = 0;
      const go = (): void => {
        // The last one first, so that few wait.
        while (running < FOLDERS_AT_ONCE && waiting.length > 0 && failed.length === 0) {
          running++;
          this.#copyFolder(from, to, waiting.pop() as Folder, waiting, late)
            .catch((error) => failed.push(error))
            .then(() => {
              running--;
              go();
            });
        }
        if (running === 0) resolve(failed);
      };
      go();
    });
    if (failures.length > 0) {
      for (const { path, isNew: made } of waiting) if (made) late.push({ path, record: null });
    }
    this.#finishing = true;
    // Those below first, and each of them, whatever becomes of the others.
    for (const one of late.reverse()) {
      await this.#finishLate(from, to, one).catch((error) => failures.push(error));
    }
    // The first error is the one that counts.
    if (failures.length > 0) throw this.#failure === null ? failures[0] : this.#failure.error;
  }

  /** Copies what is in one directory; the directories in it are made, and wait. */
  async #copyFolder(
    from: PathBase,
    to: PathBase,
    { path, isNew }: Folder,
    waiting: Folder[],
    late: Late[],
  ): Promise<void> {
    const place = path === "" ? "." : path;
    const isRoot = path === "";
    const about = isRoot
      ? { path: from.path, dest: to.path }
      : { path: joined(from.path, path), dest: joined(to.path, path) };
    const names = { areTaken: false };
    const pair: Pair = { from, source: place, to, target: place, about, names };
    const below: Folder[] = [];
    try {
      const opened = await this.#enter(this.#folders, () => this.#openFolder(pair)).catch(
        (error) => {
          if (isNew) late.push({ path, record: null });
          if (isRoot || !this.#gone.has(error)) throw error;
          return null;
        },
      );
      if (opened === null) return;
      try {
        await this.#fillFolder(pair, opened, path, below).catch(async (error) => {
          this.fail(error);
          // The first error is the one that counts.
          if (isNew) await this.#finishOpened(pair, opened, path, late).catch(() => undefined);
          throw error;
        });
        if (isNew) await this.#finishOpened(pair, opened, path, late);
      } finally {
        await this.#closeFolder(pair, opened);
        this.#folders.leave();
      }
    } catch (error) {
      this.fail(error);
      throw error;
    } finally {
      // Their turn comes when this one has its permissions.
      for (const one of below) waiting.push(one);
    }
  }

  async #openFolder(pair: Pair): Promise<Opened> {
    const { from, source, to, target, about } = pair;
    const listing = await this.#ofSource(
      this.#near(from, source, (base, path) => Listing.open(base, path, false, this.#next)),
    );
    try {
      const record = await this.#statOf(from, listing.descriptor, about);
      const root = this.#targetRoot;
      if (root !== null && root.dev === record.stat.dev && root.ino === record.stat.ino) {
        throw refused(pair, "EINVAL", "the copy would be in its source");
      }
      const flags = OpenFlags.read | OpenFlags.directory | OpenFlags.noFollow;
      const opened = await this.#near(to, target, (base, path) => {
        return this.#open(base, path, flags, about);
      });
      return { listing, record, target: opened };
    } catch (error) {
      await listing.close();
      throw error;
    }
  }

  /** Where a path is too long for the system, it begins at a directory that is on its way. */
  async #near<T>(
    base: PathBase,
    path: string,
    work: (base: PathBase, path: string) => Promise<T>,
  ): Promise<T> {
    if (path.length < SHORT_PATH_LENGTH) return work(base, path);
    const end = path.lastIndexOf("/", SHORT_PATH_LENGTH);
    const way = path.slice(0, end);
    const about = { path: nameIn(base, way) };
    const flags = OpenFlags.read | OpenFlags.directory | OpenFlags.noFollow;
    const at = await this.#open(base, way, flags, about);
    try {
      return await this.#near({ ...base, at, path: about.path }, path.slice(end + 1), work);
    } finally {
      await base.operations.close(at);
    }
  }

  async #closeFolder({ from }: Pair, { listing, target }: Opened): Promise<void> {
    try {
      await from.operations.close(target);
    } finally {
      await listing.close();
    }
  }

  async #fillFolder(pair: Pair, { listing, target }: Opened, path: string, below: Folder[]) {
    const { about, names } = pair;
    const from: PathBase = { ...listing.base, path: about.path };
    const to: PathBase = { ...pair.to, at: target, rules: 0, path: about.dest };
    // What is removed while it is read has no more names.
    const found = () =>
      this.#ofSource(listing.found()).catch((error) => {
        if (!this.#gone.has(error)) throw error;
        return null;
      });
    for (let some = await found(); some !== null; some = await found()) {
      await inParallel(from, some, async ({ name, kind }) => {
        const own = { path: joined(about.path, name), dest: joined(about.dest, name) };
        const one: Pair = { from, source: name, to, target: name, about: own, names };
        try {
          const made = await this.#copyEntry(one, kind, listing);
          if (made === null) return;
          below.push({ path: path === "" ? name : `${path}/${name}`, isNew: made });
          if (made) this.#madeDirectory();
        } catch (error) {
          // What another process has removed meanwhile is left out.
          if (this.#gone.has(error as object)) return;
          this.fail(error);
          throw error;
        }
      });
    }
  }

  /** Whether a directory was made; null for all else. */
  async #copyEntry(
    pair: Pair,
    said: EntryKind | "unknown",
    listing: Listing,
  ): Promise<boolean | null> {
    if (this.#failure !== null) throw this.#failure.error;
    const { path, dest } = pair.about;
    const { filter } = this.#settings;
    // Node gives them as path.join() joins them.
    if (filter !== undefined && !(await this.#wants(normalize(path), normalize(dest)))) return null;
    const made = await this.#enter(this.#names, async () => {
      if (this.#failure !== null) throw this.#failure.error;
      const kind =
        said === "unknown" ? await this.#ofSource(kindOf(listing, pair.source, this.#next)) : said;
      if (kind === "directory") return this.#makeDirectory(pair);
      await this.#copyName(pair, kind);
      return null;
    });
    this.#names.leave();
    return made;
  }

  /** What is done with a name of the source, which may be gone. */
  async #ofSource<T>(done: Promise<T>): Promise<T> {
    try {
      return await done;
    } catch (error) {
      if (codeOf(error) === "ENOENT") this.#gone.add(error as object);
      if (isFull(error)) this.#full.add(error as object);
      throw error;
    }
  }

  /** Whether it was not there. It is for its owner alone until it is full. */
  async #makeDirectory({ to, target, about }: Pair): Promise<boolean> {
    try {
      await runOnPath(to, CP, this.#options(), about, (ring, pending, settle) =>
        ring.mkdir(pending, settle, target, 0o700, to.at, to.rules),
      );
      return true;
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      throw error;
    }
  }

  #madeDirectory(): void {
    this.#progress.directories++;
    this.#tell();
  }

  // Those below are opened by their path, and the owner has to be able to go there.
  async #finishOpened(pair: Pair, { record, target }: Opened, path: string, late: Late[]) {
    if ((record.stat.mode & OWNER_OPENS) !== OWNER_OPENS) late.push({ path, record });
    else await this.#finish(pair, target, record);
  }

  async #finishLate(from: PathBase, to: PathBase, { path, record }: Late): Promise<void> {
    const place = path === "" ? "." : path;
    const about = { path: nameIn(from, place), dest: nameIn(to, place) };
    const names = { areTaken: false };
    const pair: Pair = { from, source: place, to, target: place, about, names };
    const stat = (base: PathBase, source: string) => this.#stat(base, source, about);
    const found = record ?? (await orNull(this.#near(from, place, stat), GONE));
    if (found?.stat.isDirectory()) {
      const flags = OpenFlags.read | OpenFlags.directory | OpenFlags.noFollow;
      const target = await this.#near(to, place, (base, path) => {
        return this.#open(base, path, flags, about);
      });
      try {
        await this.#finish(pair, target, found);
      } finally {
        await from.operations.close(target);
      }
      return;
    }
    // Its source is gone. What another process has made in it meanwhile stays.
    const unlinked = this.#near(to, place, (base, path) => this.#unlink(base, path, true));
    await unlinked.catch((error) => {
      if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes(codeOf(error))) throw error;
    });
  }

  /** Sets times and permissions of a directory, also when the call is ended meanwhile. */
  async #finish({ to, about }: Pair, target: Descriptor, record: StatRecord): Promise<void> {
    if (this.#settings.preserveTimestamps) {
      const { atimeNs, mtimeNs } = record.bigint;
      await runOnPath(to, CP, null, about, (ring, pending, settle) =>
        ring.futimes(pending, settle, target, atimeNs, mtimeNs),
      );
    }
    const mode = await this.#permissions(to, target, record.stat, about, null);
    await runOnPath(to, CP, null, about, (ring, pending, settle) =>
      ring.fchmod(pending, settle, target, mode),
    );
  }

  /** A program with setuid runs as its owner: that is copied only where the owner is the same. */
  async #permissions(
    to: PathBase,
    target: Descriptor,
    { mode, uid, gid }: Stat,
    about: About,
    options: OperationOptions | null,
  ): Promise<number> {
    if ((mode & SPECIAL_BITS) === 0) return mode & RIGHTS;
    const { stat } = await this.#statOf(to, target, about, options);
    return stat.uid === uid && stat.gid === gid ? mode & (RIGHTS | SPECIAL_BITS) : mode & RIGHTS;
  }

  // ---- files and links

  async #copyName(pair: Pair, kind: EntryKind): Promise<void> {
    if (kind === "file") return (await this.#copyAtOnce(pair)) ? undefined : this.#copyFile(pair);
    if (kind === "link") return this.#copyLink(pair);
    throw refused(pair, "EINVAL", `it is a ${kind}: leave it out by a filter`);
  }

  /** Most files are copied in one call of a thread. False where that is not to be. */
  async #copyAtOnce({ from, source, to, target, about, names }: Pair): Promise<boolean> {
    if (names.areTaken || from.rules !== 0 || to.rules !== 0) return false;
    const shares = this.#mustShare ? CopyFlags.reflinkOnly : this.#shares ? CopyFlags.reflink : 0;
    const flags = shares | (this.#settings.preserveTimestamps ? CopyFlags.times : 0);
    try {
      const count = await runOnPath(from, CP, this.#options(), about, (ring, pending, settle) =>
        ring.copyFile(pending, settle, source, target, flags, from.at, to.at),
      );
      this.#progress.bytes += count;
    } catch (error) {
      const code = codeOf(error);
      if (code === "EEXIST") names.areTaken = true;
      if (isFull(error)) this.#full.add(error as object);
      if (NOT_AT_ONCE.has(code)) return false;
      throw error;
    }
    this.#progress.files++;
    this.#tell();
    return true;
  }

  async #copyFile(pair: Pair): Promise<void> {
    const { about, from, to } = pair;
    const flags = OpenFlags.read | OpenFlags.noFollow;
    const source = await this.#ofSource(this.#open(from, pair.source, flags, about));
    try {
      const record = await this.#statOf(from, source, about);
      const { stat } = record;
      if (!stat.isFile()) throw refused(pair, "EINVAL", "it is no regular file any more");
      const creates = OpenFlags.write | OpenFlags.create | OpenFlags.exclusive;
      const made = await this.#place(
        pair,
        stat,
        (name) => this.#open(to, name, creates, about, stat.mode & RIGHTS),
        async (target) => {
          try {
            await this.#fill(pair, source, target, record);
          } finally {
            await from.operations.close(target);
          }
        },
      );
      if (!made) return;
    } finally {
      await from.operations.close(source);
    }
    this.#progress.files++;
    this.#tell();
  }

  async #fill(
    pair: Pair,
    source: Descriptor,
    target: Descriptor,
    record: StatRecord,
  ): Promise<void> {
    const { from, to, about } = pair;
    const { stat } = record;
    if (!(await this.#shared(pair, source, target, stat))) {
      await this.#copyBytes(pair, source, target, stat.size);
    }
    // The mask of the process has taken bits away from those that it was made with. A write takes
    // setuid away.
    const mode = await this.#permissions(to, target, stat, about, this.#options());
    await runOnPath(from, CP, this.#options(), about, (ring, pending, settle) =>
      ring.fchmod(pending, settle, target, mode),
    );
    if (!this.#settings.preserveTimestamps) return;
    const { atimeNs, mtimeNs } = record.bigint;
    await runOnPath(from, CP, this.#options(), about, (ring, pending, settle) =>
      ring.futimes(pending, settle, target, atimeNs, mtimeNs),
    );
  }

  // Where blocks cannot be shared once, they are copied from then on.
  async #shared(
    pair: Pair,
    source: Descriptor,
    target: Descriptor,
    { size }: Stat,
  ): Promise<boolean> {
    if (!this.#shares) return false;
    try {
      await runOnPath(pair.from, CP, this.#options(), pair.about, (ring, pending, settle) =>
        ring.reflink(pending, settle, target, source),
      );
    } catch (error) {
      if (this.#mustShare || !NOT_SHARED.has(codeOf(error))) throw error;
      this.#shares = false;
      return false;
    }
    this.#progress.bytes += size;
    return true;
  }

  // A size of 0 may be that of a file of /proc, which has bytes. A file that grows meanwhile is
  // copied as far as it reached in the beginning.
  async #copyBytes(
    pair: Pair,
    source: Descriptor,
    target: Descriptor,
    size: number,
  ): Promise<void> {
    const { about } = pair;
    const end = size > 0 ? size : Number.POSITIVE_INFINITY;
    for (let done = 0; done < end; ) {
      const offset = done;
      const length = Math.min(PART_BYTES, end - done);
      const count = await runOnPath(
        pair.from,
        CP,
        this.#options(),
        about,
        (ring, pending, settle) =>
          ring.copyRange(pending, settle, target, source, offset, offset, length),
      );
      if (count === 0) return;
      done += count;
      this.#progress.bytes += count;
      if (done < end) this.#tell();
    }
  }

  async #copyLink(pair: Pair): Promise<void> {
    const { from, source, to, about } = pair;
    const bytes = Buffer.allocUnsafeSlow(MAX_PATH_BYTES);
    const record = await this.#ofSource(this.#stat(from, source, about));
    const length = await this.#ofSource(
      runOnPath(from, CP, this.#options(), about, (ring, pending, settle) =>
        ring.readlink(pending, settle, source, bytes, from.at, from.rules),
      ),
    );
    const leadsTo = bytes.subarray(0, length);
    const made = await this.#place(
      pair,
      record.stat,
      (name) =>
        runOnPath(to, CP, this.#options(), about, (ring, pending, settle) =>
          ring.symlink(pending, settle, leadsTo, name, to.at, to.rules),
        ),
      async (_made, name) => {
        if (!this.#settings.preserveTimestamps) return;
        const { atimeNs, mtimeNs } = record.bigint;
        await runOnPath(to, CP, this.#options(), about, (ring, pending, settle) =>
          ring.utimes(pending, settle, name, atimeNs, mtimeNs, false, to.at, to.rules),
        );
      },
    );
    if (!made) return;
    this.#progress.links++;
    this.#tell();
  }

  /**
   * Makes a name, and fills it. Where something is, it is made beside that and renamed when it is
   * whole. False when what is there stays.
   */
  async #place(
    pair: Pair,
    own: Stat,
    make: (name: string) => Promise<number>,
    fill: (made: number, name: string) => Promise<void>,
  ): Promise<boolean> {
    const { to, target, about } = pair;
    let name = target;
    const made = await make(name).catch(async (error) => {
      if (codeOf(error) !== "EEXIST") throw error;
      if (!(await this.#replaces(pair, own))) return null;
      name = temporaryName(target);
      return make(name);
    });
    if (made === null) return false;
    try {
      await fill(made, name);
      if (name === target) return true;
      await runOnPath(to, CP, this.#options(), about, (ring, pending, settle) =>
        ring.rename(pending, settle, name, target, 0, to.at, to.at, to.rules),
      );
      return true;
    } catch (error) {
      // The first error is the one that counts.
      await this.#unlink(to, name, false).catch(() => undefined);
      throw error;
    }
  }

  /** Whether what is there is to be replaced. */
  async #replaces(pair: Pair, own: Stat): Promise<boolean> {
    const { to, target, about } = pair;
    const { force, errorOnExist } = this.#settings;
    const there = (await orNull(this.#stat(to, target, about)))?.stat;
    if (there !== undefined && there.dev === own.dev && there.ino === own.ino) {
      throw refused(pair, "EINVAL", "both are the same file");
    }
    if (!force) {
      if (errorOnExist) throw refused(pair, "EEXIST", `'${about.dest}' is there already`);
      return false;
    }
    if (there?.isDirectory()) throw refused(pair, "EISDIR", "a directory is there");
    return true;
  }

  // ---- operations

  #options(): OperationOptions | null {
    return this.#finishing ? null : this.#next();
  }

  async #stat(base: PathBase, path: string, about: About, follows = false): Promise<StatRecord> {
    const record = new StatRecord();
    await runOnPath(base, CP, this.#options(), about, (ring, pending, settle) =>
      ring.stat(pending, settle, path, record, follows, base.at, base.rules),
    );
    return record;
  }

  async #statOf(
    base: PathBase,
    descriptor: Descriptor,
    about: About,
    options = this.#options(),
  ): Promise<StatRecord> {
    const record = new StatRecord();
    await runOnPath(base, CP, options, about, (ring, pending, settle) =>
      ring.stat(pending, settle, descriptor, record),
    );
    return record;
  }

  async #open(
    base: PathBase,
    path: string,
    flags: number,
    about: About,
    mode = 0,
  ): Promise<Descriptor> {
    try {
      return await runOnPath(base, CP, this.#options(), about, (ring, pending, settle) =>
        ring.open(pending, settle, path, flags, mode, base.at, base.rules),
      );
    } catch (error) {
      if (isFull(error)) this.#full.add(error as object);
      throw error;
    }
  }

  // Also when the call is ended meanwhile.
  async #unlink(base: PathBase, path: string, directory: boolean): Promise<void> {
    await runOnPath(base, CP, null, { path: nameIn(base, path) }, (ring, pending, settle) =>
      ring.unlink(pending, settle, path, directory, base.at, base.rules),
    );
  }

  #tell(): void {
    this.#settings.onProgress?.({ ...this.#progress });
  }
}

function kindOfStat(stat: Stat): EntryKind {
  if (stat.isFile()) return "file";
  if (stat.isSymbolicLink()) return "link";
  if (stat.isFIFO()) return "fifo";
  if (stat.isSocket()) return "socket";
  return stat.isBlockDevice() ? "blockDevice" : "characterDevice";
}

/** See `PathOperations.cp`; the destination begins at `second`. */
export async function copyTree(
  base: PathBase,
  source: Path,
  second: PathBase,
  destination: Path,
  options: CopyTreeOptions | null | undefined,
): Promise<CopyTreeProgress> {
  checkOptions(options, CP);
  const fromHere = ({ path: folder }: PathBase, text: string): string =>
    folder === "" ? pathFromHere(text) : text;
  const [path, dest] = [pathText(pathFrom(source, "cp")), pathText(pathFrom(destination, "cp"))];
  const about = { path: nameIn(base, path), dest: nameIn(second, dest) };
  const from = fromHere(base, path);
  const to = fromHere(second, dest.replace(/(?<=.)\/+$/, ""));
  const is = (name: "recursive" | "errorOnExist" | "preserveTimestamps"): boolean =>
    flag(options?.[name], false, name, "cp");
  const settings: Settings = {
    recursive: is("recursive"),
    errorOnExist: is("errorOnExist"),
    preserveTimestamps: is("preserveTimestamps"),
    force: flag(options?.force, true, "force", "cp"),
    filter: options?.filter ?? undefined,
    onProgress: options?.onProgress ?? undefined,
  };
  const { filter, onProgress } = settings;
  if (filter !== undefined) checkFunction(filter, "filter", "cp");
  if (onProgress !== undefined) checkFunction(onProgress, "onProgress", "cp");
  const reflink = oneOf(options?.reflink ?? "auto", REFLINKS, "reflink", "cp");
  const endings = checkedEndings(options, CP);
  const next = optionsOfEach("cp", "copyRange", endings);
  base.check("cp");
  second.check("cp");
  const copy = new TreeCopy(settings, reflink, next);
  const stop = failsBy(copy, endings, base.operations);
  try {
    const names = { areTaken: false };
    return await copy.start({ from: base, source: from, to: second, target: to, about, names });
  } finally {
    stop();
  }
}

/** Operations end by themselves. What the program does in between, a filter, does not. */
function failsBy(
  copy: TreeCopy,
  { signal, timeoutMs }: Endings,
  { limits }: PathBase["operations"],
): () => void {
  if (signal?.aborted) throw aborted("cp", signal);
  const act = (): void => copy.fail(aborted("cp", signal as AbortSignal));
  if (signal !== undefined) follow(signal, act);
  const timer =
    timeoutMs === undefined || timeoutMs > MAX_TIMER_MS
      ? undefined
      : setTimeout(() => copy.fail(elapsedError("cp", "copyRange", timeoutMs)), timeoutMs);
  const closed = { close: () => copy.fail(closedError("cp", "the IO")) };
  limits.add(closed);
  return () => {
    limits.delete(closed);
    clearTimeout(timer);
    if (signal !== undefined) unfollow(signal, act);
  };
}
