// What inotify(7) says of a file, of the names in a directory, and of the directories below it. Its
// queue is in the kernel, which bounds it and says when it was full.
//
// Of a tree each directory is watched by itself. One that appears is opened without following a
// link, added, and then read: what came into it before it was added is found by the reading. One
// that is moved is forgotten with all below it when the event of its old name is taken, and has
// appeared when that of its new name is. A path that is gone by the time it is opened gives
// nothing: an event that is still queued says what has become of it.
import type { IOError } from "../../errors.js";
import { OpenFlags, ResolveFlags } from "../../ring/ring_paths.js";
import type { Descriptor } from "../../ring/types.js";
import { type PathBase, runOnPath } from "../base.js";
import { Listing } from "../listing.js";
import { MAX_PATH_BYTES } from "../paths.js";
import { inParallel } from "../trees.js";
import type { WatchAction, WatchEvent } from "./events.js";
import {
  below,
  eventOf,
  isGone,
  isOfSystem,
  lastPart,
  type RawEvent,
  Source,
  WATCH,
} from "./source.js";

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
/** The records of inotify(7), as they come. */
export class InotifySource extends Source {
  #root = -1;
  // Directories by their numbers: their paths below the root, which is "".
  readonly #folders = new Map<number, string>();
  // Names that were found by reading a directory, and that the kernel may report now.
  readonly #found = new Map<number, { names: Set<string>; read: number }>();
  #reads = 0;

  override async begin(): Promise<void> {
    const opened = await this.openFirst();
    try {
      this.#root = await this.add(opened, this.path);
      this.#folders.set(this.#root, "");
      if (this.recursive) {
        await this.#findPlace(opened);
        await this.#scanFrom(opened, [""], false);
      }
    } finally {
      await this.operations.close(opened);
    }
  }

  override batchesOf(records: readonly RawEvent[]): readonly (readonly RawEvent[])[] {
    return records.map((record) => [record]);
  }

  override async take(records: readonly RawEvent[]): Promise<void> {
    for (const record of records) await this.#take(record);
  }

  override noteRead(isAll: boolean): void {
    if (isAll) this.#forgetFound();
    else this.#reads++;
  }

  override async release(): Promise<void> {
    const { base, isName } = this.place;
    if (isName) await base.operations.close(base.at);
  }

  /**
   * Holds the directory that the watched one is in, and its name there. The watched one itself is
   * not held: Linux reports the removal of a directory (IN_DELETE_SELF) when it is not open any
   * more. Where the directory above may not be read, the path that was given is used again.
   */
  async #findPlace(opened: Descriptor): Promise<void> {
    const first = this.place;
    let above: Descriptor;
    let name: Uint8Array;
    try {
      const whole = await this.#realPath();
      name = whole.subarray(whole.lastIndexOf(SLASH) + 1);
      if (name.length === 0) return; // "/" stays where it is
      const base: PathBase = { ...inside(first.base, opened, this.path), rules: 0 };
      const flags = OpenFlags.read | OpenFlags.directory;
      above = await this.open({ base, path: ".." }, flags);
    } catch (error) {
      if (isGone(error) || isOfSystem(error)) return;
      throw error;
    }
    this.place = { base: inside(first.base, above, this.path), path: name, isName: true };
    let root: Descriptor | null = null;
    try {
      root = await this.#openAgain();
    } catch (error) {
      if (!isOfSystem(error)) throw error;
    } finally {
      if (root === null) {
        this.place = first; // it was renamed meanwhile
        await this.operations.close(above);
      } else {
        await this.operations.close(root);
      }
    }
  }

  async #realPath(): Promise<Buffer> {
    const { base, path } = this.place;
    const { at, rules } = base;
    const into = Buffer.allocUnsafeSlow(MAX_PATH_BYTES);
    const about = { path: this.path };
    const length = await runOnPath(base, WATCH, this.next(), about, (ring, pending, settle) =>
      ring.realpath(pending, settle, path, into, at, rules),
    );
    return into.subarray(0, length);
  }

  /** Opens what is watched where it was; null when it is not there any more. */
  async #openAgain(): Promise<Descriptor | null> {
    const flags = OpenFlags.read | (this.isDirectory ? OpenFlags.directory : 0);
    let opened: Descriptor;
    try {
      opened = await this.open(this.place, flags);
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
    let number = -1;
    try {
      number = await this.add(opened, this.path);
    } finally {
      if (number !== this.#root) await this.operations.close(opened);
    }
    if (number === this.#root) return opened; // the same file has the same number
    if (!this.#folders.has(number)) await this.#remove(number);
    return null;
  }

  /** False when the kernel has removed it meanwhile, as it does with what is deleted. */
  async #remove(number: number): Promise<boolean> {
    try {
      await this.operations.run(
        (pending, settle) =>
          this.operations.ring.watchRemove(pending, settle, this.descriptor, number),
        this.next(),
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
    await inParallel(this.place.base, numbers, async (number) => {
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
      if (number === this.#root) this.ended = true;
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
      this.tellOfRoot(action);
      this.ended ||= action === "removed" || (action === "movedFrom" && this.recursive);
      return;
    }
    const isDirectory = (mask & IN_ISDIR) !== 0;
    const was = this.#found.get(number)?.names.delete(name) ?? false;
    if (was && action === "created") return; // an event has said so when it was found
    const path = below(folder, name);
    this.ready.push(eventOf(action, path, isDirectory, cookie));
    if (!isDirectory || !this.recursive) return;
    if (action === "created" || action === "movedTo") await this.#scan([path], true);
    else if (action === "movedFrom" && (await this.#left(path))) this.#foundIn(number).add(name);
  }

  /**
   * A directory below has gone, which `event` says where none has. True when another one is at its
   * path: when two change places (RENAME_EXCHANGE), the event of what leaves a path comes after
   * that of what came to it, and what a file system has covered is there when that is unmounted.
   */
  async #left(path: string, event?: WatchEvent): Promise<boolean> {
    if (event !== undefined) this.ready.push(event);
    const gone: number[] = [];
    for (const [below, folder] of this.#folders) {
      if (folder === path || folder.startsWith(`${path}/`)) gone.push(below);
    }
    await this.#forget(gone);
    const told = this.ready.length;
    if (!(await this.#scan([path], true))) return false;
    this.ready.splice(told, 0, eventOf("created", path, true));
    return true;
  }

  // Whatever has happened meanwhile is found by those who look after the event.
  async #overflowed(): Promise<void> {
    this.#found.clear();
    this.ready.push(eventOf("overflow", "", false));
    let root: Descriptor | null;
    try {
      root = await this.#openAgain();
    } catch (error) {
      if (!isOfSystem(error)) throw error;
      this.ready.push(eventOf("unwatched", lastPart(this.path), this.isDirectory, 0, true));
      return;
    }
    if (root === null) {
      // Its own event may be one of those that were dropped.
      this.tellOfRoot((await this.#remove(this.#root)) ? "movedFrom" : "removed");
      this.ended = true;
      return;
    }
    try {
      if (this.recursive) await this.#scanAll(root);
    } finally {
      await this.operations.close(root);
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
      for (const folder of folders) this.ready.push(eventOf("unwatched", folder, true));
      return false;
    }
    if (root === null) {
      // It was moved or removed, which is an event. Of a path the system has perhaps none.
      if (this.place.isName) return false;
      for (const folder of folders) this.ready.push(eventOf("unwatched", folder, true));
      return false;
    }
    try {
      return await this.#scanFrom(root, folders, tells);
    } finally {
      await this.operations.close(root);
    }
  }

  async #scanFrom(root: Descriptor, folders: string[], tells: boolean): Promise<boolean> {
    const base = inside(this.place.base, root, this.path);
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
      listing = await Listing.open(base, folder === "" ? "." : folder, false, this.next);
      const number = await this.add(listing.descriptor, listing.path);
      // What was found in it under another path comes under this one too.
      if (this.#folders.get(number) !== folder) this.#found.delete(number);
      this.#folders.set(number, folder);
      return await this.#readIn(listing, number, folder, tells);
    } catch (error) {
      if (folder !== "" && isGone(error)) return null;
      if (!this.#goesOnWithout(folder, error)) throw error;
      const isRoot = folder === "";
      const name = isRoot ? lastPart(this.path) : folder;
      this.ready.push(eventOf("unwatched", name, true, 0, isRoot));
      return null;
    } finally {
      await listing?.close();
    }
  }

  // At the beginning the caller gets the error, of what the whole watch has too little of.
  #goesOnWithout(folder: string, error: unknown): boolean {
    if (this.begun) return isOfSystem(error);
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
        const kind = said === "unknown" ? await this.kindOf(listing, name) : said;
        if (kind === null) continue;
        const isDirectory = kind === "directory";
        const path = below(folder, name);
        if (isDirectory) folders.push(path);
        if (!tells || names.has(name)) continue;
        names.add(name);
        this.ready.push(eventOf("created", path, isDirectory));
      }
    }
    return folders;
  }
}

/** Without a link no way leads out, whatever another process does to the names meanwhile. */
function inside({ operations }: PathBase, at: Descriptor, path: string): PathBase {
  const rules = ResolveFlags.beneath | ResolveFlags.noSymlinks;
  return { operations, at, rules, path, check: () => undefined };
}
