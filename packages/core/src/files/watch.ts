// Events of files: what inotify(7) says of a file, of the names in a directory, and of the
// directories below it. Its queue is in the kernel, which bounds it and says when it was full.
//
// No event is read before the ones before it are taken, so that a slow reader fills no memory here.
// Of a tree each directory is watched by itself. One that appears is opened without following a
// link, added, and then read: what came into it before it was added is found by the reading. One
// that is moved is forgotten with all below it when the event of its old name is taken, and has
// appeared when that of its new name is. A path that is gone by the time it is opened gives
// nothing: an event that is still queued says what has become of it.
import { textFromBytes } from "../engine/text.js";
import { IOError } from "../errors.js";
import { checkedEndings, type OperationOptions, type Operations } from "../ring/promises.js";
import { OpenFlags, ResolveFlags } from "../ring/ring_paths.js";
import type { Descriptor } from "../ring/types.js";
import { checkMade, checkOptions, flag, knows, type Path, pathFrom } from "../support/check.js";
import { OpenedDescriptor, warnOfFailure } from "../support/forgotten.js";
import { joined, nameIn, type PathBase, runOnPath } from "./base.js";
import { type EntryKind, kindOf, Listing, type NextOptions, optionsOfEach } from "./listing.js";
import { MAX_PATH_BYTES, pathFromHere } from "./paths.js";
import { inParallel } from "./trees.js";

/**
 * How a file or directory is watched.
 *
 * @category Files
 */
export interface WatchOptions extends OperationOptions {
  /**
   * Also what is below the directory, also in directories that appear later; `false` by default. No
   * symbolic link is followed.
   */
  recursive?: boolean | null | undefined;
  /** Ends the watch when it is aborted, also later: the loop throws `ABORT_ERR`. */
  signal?: AbortSignal | null | undefined;
  /** Milliseconds until the promise of the watch is rejected with `ETIMEDOUT`; no limit then. */
  timeoutMs?: number | null | undefined;
}

/**
 * What has happened. A rename is two events, "movedFrom" of the old name and "movedTo" of the new
 * one, with the same cookie; one of them alone says that the other name is not watched.
 *
 * "overflow": more has happened than was read, and the system has dropped some of it. Look at
 * everything again. "unwatched": a directory below may not be read, or the system has no room to
 * watch it, and nothing of what happens in it is known.
 *
 * @category Files
 */
export type WatchAction =
  | "created"
  | "removed"
  | "movedFrom"
  | "movedTo"
  | "modified"
  | "attributes"
  | "overflow"
  | "unwatched";

/**
 * An event of a watched file, or of a name in a watched directory. `eventType` and `filename` are
 * those of Node's `fs.promises.watch`.
 *
 * @category Files
 */
export interface WatchEvent {
  /**
   * "rename" when a name has come or gone, "change" when the bytes or attributes of a file have
   * changed; or "overflow" and "unwatched" as the action has them.
   */
  readonly eventType: "rename" | "change" | "overflow" | "unwatched";
  /** What has happened. */
  readonly action: WatchAction;
  /**
   * The name in the directory, below it with the directories on the way. Of the watched file or
   * directory itself it is the last part of its path, and `isWatched` is true. "" for an overflow.
   */
  readonly filename: string;
  /** Whether it is of the watched file or directory itself, and not of a name in it. */
  readonly isWatched: boolean;
  /** Whether it is a directory. */
  readonly isDirectory: boolean;
  /** The number that both events of a rename have; 0 of others. */
  readonly cookie: number;
}

const WATCH = knows("watch", "recursive");

// Of linux/inotify.h.
const IN_MODIFY = 0x2;
const IN_ATTRIB = 0x4;
const IN_MOVED_FROM = 0x40;
const IN_MOVED_TO = 0x80;
const IN_CREATE = 0x100;
const IN_DELETE = 0x200;
const IN_DELETE_SELF = 0x400;
const IN_MOVE_SELF = 0x800;
const IN_UNMOUNT = 0x2000;
const IN_Q_OVERFLOW = 0x4000;
const IN_IGNORED = 0x8000;
const IN_ISDIR = 0x40000000;

const ACTIONS: readonly (readonly [mask: number, action: WatchAction])[] = [
  [IN_CREATE, "created"],
  [IN_DELETE | IN_DELETE_SELF | IN_UNMOUNT, "removed"],
  [IN_MOVED_FROM | IN_MOVE_SELF, "movedFrom"],
  [IN_MOVED_TO, "movedTo"],
  [IN_MODIFY, "modified"],
  [IN_ATTRIB, "attributes"],
];

const SLASH = 47;
const HEAD_BYTES = 16;
// The longest record: a name of 255 bytes with its end, in steps of the head.
const RECORD_BYTES = HEAD_BYTES + 256;
const READ_BYTES = 16 * 1024;

/** A record of inotify(7). */
interface RawEvent {
  readonly number: number; // of what it was added as
  readonly mask: number;
  readonly cookie: number;
  readonly name: string;
}

// Each begins at a multiple of the head's size.
function rawEventsOf(bytes: Buffer, count: number): RawEvent[] {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, READ_BYTES / 4);
  const events: RawEvent[] = [];
  for (let at = 0; at < count; ) {
    const word = at / 4;
    const [number = 0, mask = 0, cookie = 0, length = 0] = words.subarray(word, word + 4);
    const start = at + HEAD_BYTES;
    at = start + length;
    const name = bytes.subarray(start, at);
    const end = name.indexOf(0); // the rest is filled with zeros
    events.push({
      number,
      mask,
      cookie,
      name: end <= 0 ? "" : textFromBytes(name.subarray(0, end)),
    });
  }
  return events;
}

function eventOf(
  action: WatchAction,
  filename: string,
  isDirectory: boolean,
  cookie = 0,
  isWatched = false,
): WatchEvent {
  const isChange = action === "modified" || action === "attributes";
  const isOther = action === "overflow" || action === "unwatched";
  const eventType = isOther ? action : isChange ? "change" : "rename";
  return { eventType, action, filename, isWatched, isDirectory, cookie };
}

/** What another process has removed or replaced meanwhile. */
function isGone(error: unknown): boolean {
  const { code } = error as IOError;
  return code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP" || code === "ERR_IO_RESOLVE";
}

/** What the system says of one directory; the others may go on. */
function isOfSystem(error: unknown): boolean {
  return error instanceof IOError && /^E[A-Z0-9]+$/.test(error.code) && error.code !== "ECANCELED";
}

/** Where the watched file or directory is opened again. */
interface Place {
  readonly base: PathBase;
  readonly path: string | Uint8Array;
  /** Whether it is a name in an open directory, so that what is not there was moved or removed. */
  readonly isName: boolean;
}

function below(folder: string, name: string): string {
  return folder === "" ? name : joined(folder, name);
}

/**
 * The events of a file or directory, since the promise of `io.watch()` was fulfilled. It is read by
 * `for await`, once. The loop ends when what is watched is removed, and of a recursive watch also
 * when it is renamed; that is its last event. It ends too when the watch or its IO is closed.
 *
 * Events that are not taken yet wait in the kernel, 16,384 at most by default (the sysctl
 * fs.inotify.max_queued_events). When more have come, an event with the action "overflow" says so.
 *
 * Of a recursive watch: after a directory has come, whether made or moved, each name below it comes
 * as "created". What happens in it between its move and that is not an event of its own.
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * if (io.capabilities.watch.support !== "unsupported") {
 *   const folder = await io.mkdtemp("/tmp/watched-");
 *   await using watch = await io.watch(folder, { recursive: true });
 *   await io.mkdir(`${folder}/a`);
 *   for await (const { action, filename } of watch) {
 *     process.stdout.write(`${action} ${filename}\n`); // created a
 *     break;
 *   }
 *   await io.rm(folder, { recursive: true });
 * }
 * ```
 * @category Files
 */
export class Watch implements AsyncIterableIterator<WatchEvent>, AsyncDisposable {
  /** The path of what is watched; a relative one is joined to that of its directory. */
  readonly path: string;
  readonly #operations: Operations;
  readonly #descriptor: Descriptor;
  readonly #generator: AsyncGenerator<WatchEvent, undefined, undefined>;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: () => void;
  #place: Place;
  #recursive: boolean;
  #next: NextOptions;
  #isDirectory = true;
  #begun = false;
  #closed = false;
  #closing: Promise<void> | null = null;
  #root = -1;
  #ended = false;
  // Directories by their numbers: their paths below the root, which is "".
  readonly #folders = new Map<number, string>();
  // Names that were found by reading a directory, and that the kernel may report now.
  readonly #found = new Map<number, { names: Set<string>; read: number }>();
  #reads = 0;
  readonly #ready: WatchEvent[] = [];

  /** @internal */
  constructor(
    base: PathBase,
    descriptor: Descriptor,
    bytes: string | Uint8Array,
    recursive: boolean,
    next: NextOptions,
    signal: AbortSignal | undefined,
  ) {
    const { operations } = base;
    checkMade(operations, "Watch", "await io.watch()");
    this.#operations = operations;
    this.#descriptor = descriptor;
    this.#place = { base, path: bytes, isName: false };
    this.path = nameIn(base, bytes);
    this.#recursive = recursive;
    this.#next = next;
    this.#generator = this.#events();
    this.#signal = signal;
    // The signal may live longer than a watch that is forgotten.
    const self = new WeakRef(this);
    // A read in flight is to end with the signal's error: its own listener is called before this.
    this.#onAbort = () =>
      queueMicrotask(() => {
        const watch = self.deref();
        if (watch !== undefined) warnOfFailure(watch.#release(), `the watch of '${watch.path}'`);
      });
    operations.forgotten.watch(
      this,
      new OpenedDescriptor(descriptor, `the watch of '${this.path}'`),
    );
  }

  /** Adds what is watched; `later` are the options of what follows. @internal */
  async _begin(later: NextOptions): Promise<void> {
    const opened = await this.#openFirst();
    try {
      this.#root = await this.#add(opened, this.path);
      this.#folders.set(this.#root, "");
      if (this.#recursive) {
        await this.#findPlace(opened);
        await this.#scanFrom(opened, [""], false);
      }
    } finally {
      await this.#operations.close(opened);
    }
    this.#next = later;
    this.#begun = true;
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (this.#signal?.aborted) this.#onAbort();
  }

  async #openFirst(): Promise<Descriptor> {
    try {
      return await this.#open(this.#place, OpenFlags.read | OpenFlags.directory);
    } catch (error) {
      if ((error as IOError).code !== "ENOTDIR") throw error;
      this.#isDirectory = false;
      this.#recursive = false; // a file has nothing below it
      return this.#open(this.#place, OpenFlags.read);
    }
  }

  #open({ base, path }: Place, flags: number): Promise<Descriptor> {
    const { at, rules } = base;
    const about = { path: this.path };
    return runOnPath(base, WATCH, this.#next(), about, (ring, pending, settle) =>
      ring.open(pending, settle, path, flags, 0, at, rules),
    );
  }

  /**
   * Holds the directory that the watched one is in, and its name there. The watched one itself is
   * not held: Linux reports the removal of a directory (IN_DELETE_SELF) when it is not open any
   * more. Where the directory above may not be read, the path that was given is used again.
   */
  async #findPlace(opened: Descriptor): Promise<void> {
    const first = this.#place;
    let above: Descriptor;
    let name: Uint8Array;
    try {
      const whole = await this.#realPath();
      name = whole.subarray(whole.lastIndexOf(SLASH) + 1);
      if (name.length === 0) return; // "/" stays where it is
      const base: PathBase = { ...inside(first.base, opened, this.path), rules: 0 };
      const flags = OpenFlags.read | OpenFlags.directory;
      above = await this.#open({ base, path: "..", isName: false }, flags);
    } catch (error) {
      if (isGone(error) || isOfSystem(error)) return;
      throw error;
    }
    this.#place = { base: inside(first.base, above, this.path), path: name, isName: true };
    let root: Descriptor | null = null;
    try {
      root = await this.#openAgain();
    } catch (error) {
      if (!isOfSystem(error)) throw error;
    } finally {
      if (root === null) {
        this.#place = first; // it was renamed meanwhile
        await this.#operations.close(above);
      } else {
        const { forgotten } = this.#operations;
        const operations = this.#operations; // and not this, which is garbage then
        const what = `the watch of '${this.path}'`;
        const close = (): void => warnOfFailure(operations.close(above), what);
        forgotten.release(this);
        forgotten.watch(this, new OpenedDescriptor(this.#descriptor, what, close));
        await this.#operations.close(root);
      }
    }
  }

  async #realPath(): Promise<Buffer> {
    const { base, path } = this.#place;
    const { at, rules } = base;
    const into = Buffer.allocUnsafeSlow(MAX_PATH_BYTES);
    const about = { path: this.path };
    const length = await runOnPath(base, WATCH, this.#next(), about, (ring, pending, settle) =>
      ring.realpath(pending, settle, path, into, at, rules),
    );
    return into.subarray(0, length);
  }

  /** Opens what is watched where it was; null when it is not there any more. */
  async #openAgain(): Promise<Descriptor | null> {
    const flags = OpenFlags.read | (this.#isDirectory ? OpenFlags.directory : 0);
    let opened: Descriptor;
    try {
      opened = await this.#open(this.#place, flags);
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
    let number = -1;
    try {
      number = await this.#add(opened, this.path);
    } finally {
      if (number !== this.#root) await this.#operations.close(opened);
    }
    if (number === this.#root) return opened; // the same file has the same number
    if (!this.#folders.has(number)) await this.#remove(number);
    return null;
  }

  /**
   * The next event; waits until there is one.
   *
   * @throws `ABORT_ERR` when the signal has aborted; `ERR_IO_IN_FLIGHT_LIMIT`; the codes of every
   *   operation: {@link IOError.code}
   */
  next(): Promise<IteratorResult<WatchEvent, undefined>> {
    return this.#generator.next();
  }

  /** Closes the watch: what leaving a `for await` loop calls. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    const closing = this.close();
    await this.#generator.return(undefined);
    await closing;
    return { done: true, value: undefined };
  }

  /** The watch itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** A wait for an event keeps the process alive, as it does unless `unref` was called. */
  ref(): this {
    return this.#setRef(true);
  }

  /** A wait for an event does not keep the process alive. Returns itself. */
  unref(): this {
    return this.#setRef(false);
  }

  /**
   * Ends the watch, and the loop that reads it. May be called again, with the same promise. It
   * takes neither `signal` nor `timeoutMs`: it waits for nothing but its own read.
   */
  close(): Promise<void> {
    this.#closed = true;
    return this.#release();
  }

  /** Closes the watch: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #release(): Promise<void> {
    if (this.#closing === null) {
      this.#signal?.removeEventListener("abort", this.#onAbort);
      this.#operations.forgotten.release(this);
      const { base, isName } = this.#place;
      const own = isName ? [this.#descriptor, base.at] : [this.#descriptor];
      const closes = own.map((descriptor) => this.#operations.close(descriptor));
      this.#closing = Promise.all(closes).then(() => undefined);
    }
    return this.#closing;
  }

  #setRef(keeps: boolean): this {
    if (this.#closing === null && !this.#isClosed())
      this.#operations.setRef(this.#descriptor, keeps);
    return this;
  }

  #isClosed(): boolean {
    return this.#closed || this.#operations.closed;
  }

  async *#events(): AsyncGenerator<WatchEvent, undefined, undefined> {
    const bytes = Buffer.allocUnsafeSlow(READ_BYTES);
    try {
      yield* this.#taken();
      while (!this.#ended && !this.#isClosed()) {
        this.#reads++;
        const count = await this.#read(bytes);
        for (const raw of rawEventsOf(bytes, count)) {
          if (this.#ended) break;
          try {
            await this.#take(raw);
          } finally {
            yield* this.#taken(); // also what was taken before an error
          }
        }
        if (count + RECORD_BYTES <= READ_BYTES) this.#forgetFound();
      }
    } catch (error) {
      // The end of what was in flight is the end of the loop.
      if (!this.#isClosed()) throw error;
    } finally {
      await this.close();
    }
  }

  *#taken(): Generator<WatchEvent> {
    for (const event of this.#ready.splice(0)) {
      if (this.#isClosed()) return;
      this.#next(); // throws when the signal has aborted
      yield event;
    }
  }

  #read(bytes: Buffer): Promise<number> {
    return this.#operations.run(
      (pending, settle) => this.#operations.ring.read(pending, settle, this.#descriptor, bytes, -1),
      this.#next(),
      { path: this.path },
      WATCH,
    );
  }

  #add(opened: Descriptor, path: string): Promise<number> {
    return this.#operations.run(
      (pending, settle) =>
        this.#operations.ring.watchAdd(pending, settle, this.#descriptor, opened),
      this.#next(),
      { path },
      WATCH,
    );
  }

  /** False when the kernel has removed it meanwhile, as it does with what is deleted. */
  async #remove(number: number): Promise<boolean> {
    try {
      await this.#operations.run(
        (pending, settle) =>
          this.#operations.ring.watchRemove(pending, settle, this.#descriptor, number),
        this.#next(),
        { path: this.path },
        WATCH,
      );
      return true;
    } catch (error) {
      if ((error as IOError).code !== "EINVAL") throw error;
      return false;
    }
  }

  /** The events of these that are still queued are of no directory then. */
  async #forget(numbers: readonly number[]): Promise<void> {
    for (const number of numbers) {
      this.#folders.delete(number);
      this.#found.delete(number);
    }
    await inParallel(this.#place.base, numbers, async (number) => {
      await this.#remove(number);
    });
  }

  /** The queue was empty: all that has come while a directory was read before this is here. */
  #forgetFound(): void {
    for (const [number, { read }] of this.#found) {
      if (read !== this.#reads) this.#found.delete(number);
    }
  }

  async #take({ number, mask, cookie, name }: RawEvent): Promise<void> {
    if ((mask & IN_Q_OVERFLOW) !== 0) return this.#overflowed();
    const folder = this.#folders.get(number);
    if ((mask & IN_IGNORED) !== 0) {
      this.#folders.delete(number);
      this.#found.delete(number);
      if (number === this.#root) this.#ended = true;
    }
    const action = ACTIONS.find(([bits]) => (mask & bits) !== 0)?.[1];
    // Also of a directory that is not watched any more.
    if (folder === undefined || action === undefined) return;
    if (name === "") {
      if (number !== this.#root) {
        // Of all else the directory that it is in says the same.
        if ((mask & IN_UNMOUNT) !== 0) await this.#left(folder, eventOf("removed", folder, true));
        return;
      }
      this.#tellOfRoot(action);
      this.#ended ||= action === "removed" || (action === "movedFrom" && this.#recursive);
      return;
    }
    const isDirectory = (mask & IN_ISDIR) !== 0;
    const was = this.#found.get(number)?.names.delete(name) ?? false;
    if (was && action === "created") return; // an event has said so when it was found
    const path = below(folder, name);
    this.#ready.push(eventOf(action, path, isDirectory, cookie));
    if (!isDirectory || !this.#recursive) return;
    if (action === "created" || action === "movedTo") await this.#scan([path], true);
    else if (action === "movedFrom" && (await this.#left(path))) this.#foundIn(number).add(name);
  }

  // The kernel sets no IN_ISDIR in events of the directory itself when it is removed or moved.
  #tellOfRoot(action: WatchAction): void {
    this.#ready.push(eventOf(action, lastPart(this.path), this.#isDirectory, 0, true));
  }

  /**
   * A directory below has gone, which `event` says where none has. True when another one is at its
   * path: when two change places (RENAME_EXCHANGE), the event of what leaves a path comes after
   * that of what came to it, and what a file system has covered is there when that is unmounted.
   */
  async #left(path: string, event?: WatchEvent): Promise<boolean> {
    if (event !== undefined) this.#ready.push(event);
    const gone: number[] = [];
    for (const [below, folder] of this.#folders) {
      if (folder === path || folder.startsWith(`${path}/`)) gone.push(below);
    }
    await this.#forget(gone);
    const told = this.#ready.length;
    if (!(await this.#scan([path], true))) return false;
    this.#ready.splice(told, 0, eventOf("created", path, true));
    return true;
  }

  // Whatever has happened meanwhile is found by those who look after the event.
  async #overflowed(): Promise<void> {
    this.#found.clear();
    this.#ready.push(eventOf("overflow", "", false));
    let root: Descriptor | null;
    try {
      root = await this.#openAgain();
    } catch (error) {
      if (!isOfSystem(error)) throw error;
      this.#ready.push(eventOf("unwatched", lastPart(this.path), this.#isDirectory, 0, true));
      return;
    }
    if (root === null) {
      // Its own event may be one of those that were dropped.
      this.#tellOfRoot((await this.#remove(this.#root)) ? "movedFrom" : "removed");
      this.#ended = true;
      return;
    }
    try {
      if (this.#recursive) await this.#scanAll(root);
    } finally {
      await this.#operations.close(root);
    }
  }

  async #scanAll(root: Descriptor): Promise<void> {
    const before = [...this.#folders.keys()];
    this.#folders.clear();
    await this.#scanFrom(root, [""], false);
    await this.#forget(before.filter((number) => !this.#folders.has(number)));
  }

  /**
   * Adds directories and those below them. With `tells` what is in them is new. Returns whether one
   * of them was there.
   */
  async #scan(folders: string[], tells: boolean): Promise<boolean> {
    let root: Descriptor | null;
    try {
      root = await this.#openAgain();
    } catch (error) {
      if (!isOfSystem(error)) throw error;
      for (const folder of folders) this.#ready.push(eventOf("unwatched", folder, true));
      return false;
    }
    if (root === null) {
      // It was moved or removed, which is an event. Of a path the system has perhaps none.
      if (this.#place.isName) return false;
      for (const folder of folders) this.#ready.push(eventOf("unwatched", folder, true));
      return false;
    }
    try {
      return await this.#scanFrom(root, folders, tells);
    } finally {
      await this.#operations.close(root);
    }
  }

  async #scanFrom(root: Descriptor, folders: string[], tells: boolean): Promise<boolean> {
    const base = inside(this.#place.base, root, this.path);
    let isThere = false;
    for (let level = folders; level.length > 0; ) {
      const next: string[] = [];
      await inParallel(base, level, async (folder) => {
        const found = await this.#scanOne(base, folder, tells);
        if (found === null) return;
        isThere = true;
        next.push(...found);
      });
      level = next;
    }
    return isThere;
  }

  /** Adds one directory, and gives those in it; null when it is not there or may not be read. */
  async #scanOne(base: PathBase, folder: string, tells: boolean): Promise<string[] | null> {
    let listing: Listing | null = null;
    try {
      listing = await Listing.open(base, folder === "" ? "." : folder, false, this.#next);
      const number = await this.#add(listing.descriptor, listing.path);
      // What was found in it under another path comes under this one too.
      if (this.#folders.get(number) !== folder) this.#found.delete(number);
      this.#folders.set(number, folder);
      return await this.#readIn(listing, number, folder, tells);
    } catch (error) {
      if (folder !== "" && isGone(error)) return null;
      if (!this.#goesOnWithout(folder, error)) throw error;
      const isRoot = folder === "";
      const name = isRoot ? lastPart(this.path) : folder;
      this.#ready.push(eventOf("unwatched", name, true, 0, isRoot));
      return null;
    } finally {
      await listing?.close();
    }
  }

  // At the beginning the caller gets the error, of what the whole watch has too little of.
  #goesOnWithout(folder: string, error: unknown): boolean {
    if (this.#begun) return isOfSystem(error);
    const { code } = error as IOError;
    return folder !== "" && (code === "EACCES" || code === "ENAMETOOLONG");
  }

  #foundIn(number: number): Set<string> {
    const names = this.#found.get(number)?.names ?? new Set();
    this.#found.set(number, { names, read: this.#reads });
    return names;
  }

  async #readIn(
    listing: Listing,
    number: number,
    folder: string,
    tells: boolean,
  ): Promise<string[]> {
    const folders: string[] = [];
    const names = tells ? this.#foundIn(number) : new Set<string>();
    for (let found = await listing.found(); found !== null; found = await listing.found()) {
      for (const { name, kind: said } of found) {
        const kind = said === "unknown" ? await this.#kindOf(listing, name) : said;
        if (kind === null) continue;
        const isDirectory = kind === "directory";
        const path = below(folder, name);
        if (isDirectory) folders.push(path);
        if (!tells || names.has(name)) continue;
        names.add(name);
        this.#ready.push(eventOf("created", path, isDirectory));
      }
    }
    return folders;
  }

  async #kindOf(listing: Listing, name: string): Promise<EntryKind | null> {
    try {
      return await kindOf(listing, name, this.#next);
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
  }
}

/** Without a link no way leads out, whatever another process does to the names meanwhile. */
function inside({ operations }: PathBase, at: Descriptor, path: string): PathBase {
  const rules = ResolveFlags.beneath | ResolveFlags.noSymlinks;
  return { operations, at, rules, path, check: () => undefined };
}

function lastPart(path: string): string {
  const bare = path.replace(/\/+$/, "");
  return bare.slice(bare.lastIndexOf("/") + 1);
}

/** See `PathOperations.watch`. */
export async function watch(
  base: PathBase,
  path: Path,
  options: WatchOptions | null | undefined,
): Promise<Watch> {
  checkOptions(options, WATCH);
  const recursive = flag(options?.recursive, false, "recursive", "watch");
  const endings = checkedEndings(options, WATCH);
  const given = pathFrom(path, "watch");
  base.check("watch");
  // It may be opened again later.
  const bytes = base.path === "" ? pathFromHere(given) : given;
  const about = { path: nameIn(base, given) };
  const next = optionsOfEach("watch", "watchAdd", endings);
  const descriptor = await runOnPath(base, WATCH, next(), about, (ring, pending, settle) =>
    ring.watch(pending, settle),
  );
  const { signal } = endings;
  const opened = new Watch(base, descriptor, bytes, recursive, next, signal ?? undefined);
  try {
    await opened._begin(optionsOfEach("watch", "watchAdd", { signal }));
  } catch (error) {
    await opened.close();
    throw error;
  }
  return opened;
}
