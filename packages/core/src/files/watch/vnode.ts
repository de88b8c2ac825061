// What EVFILT_VNODE of a kqueue says: that something has happened to an open file. So each
// directory is held open with the names that it had, and each regular file in it. When a directory
// has changed it is listed again: what is there no more has gone, what was not there has come, and
// a file that has gone from one name and come under another was renamed.
//
// Events of one read are taken together, in four steps: files that were written to; the lists of
// the directories that have changed; what has come is opened, with all below it; and only then
// what has gone becomes an event, the deepest first, and what has come. So both names of a rename
// are known before one of them is an event. What changes meanwhile is left to the next read.
//
// Who owns the descriptors: this source, each from the moment it is open (`#held`) until its name
// has gone, or until `release`. A close takes a file out of the kqueue.
import { loadNative } from "../../engine/load.js";
import type { IOError } from "../../errors.js";
import { OpenFlags } from "../../ring/ring_paths.js";
import type { Descriptor } from "../../ring/types.js";
import { type PathBase, runOnPath } from "../base.js";
import { type EntryKind, Listing } from "../listing.js";
import { type BigIntStat, StatRecord } from "../stat.js";
import { inParallel } from "../trees.js";
import type { WatchAction } from "./events.js";
import { below, isGone, type RawEvent, Source, WATCH } from "./source.js";

// Of sys/event.h: the same numbers on macOS and on each BSD.
const NOTE_DELETE = 0x1;
const NOTE_WRITE = 0x2;
const NOTE_EXTEND = 0x4;
const NOTE_ATTRIB = 0x8;
const NOTE_LINK = 0x10;
const NOTE_RENAME = 0x20;
const NOTE_REVOKE = 0x40;

const CONTENT = NOTE_WRITE | NOTE_EXTEND;
// Files that give their descriptors back when the process has none left, so that directories can
// still be listed.
const GIVEN_BACK = 64;
// The name may stand for another file now. FreeBSD and OpenBSD have NOTE_DELETE for each unlink(),
// also of a file that has other names, and OpenBSD for a rmdir() that has failed.
const DOUBTS = NOTE_DELETE | NOTE_LINK | NOTE_RENAME | NOTE_REVOKE;
// That of a directory says that another one has come or gone in it.
const DOUBTS_OF_DIRECTORY = DOUBTS & ~NOTE_LINK;

/** A name in a watched directory, or what is watched itself. */
class Entry {
  readonly above: Entry | null;
  readonly name: string;
  readonly kind: EntryKind;
  /** What tells its file from others; "" while it is not known. */
  id = "";
  descriptor: Descriptor | null = null;
  number = -1;
  /** Of NOTE_*, since its name was looked at. */
  doubts = 0;
  /** The names in it, of a directory whose names are watched. */
  names: Map<string, Entry> | null = null;
  hasGone = false;
  /** It has been reported that it is not watched. */
  isUnwatched = false;
  cookie = 0;

  constructor(above: Entry | null, name: string, kind: EntryKind) {
    this.above = above;
    this.name = name;
    this.kind = kind;
  }

  get isDirectory(): boolean {
    return this.kind === "directory";
  }

  get path(): string {
    return this.above === null ? this.name : below(this.above.path, this.name);
  }

  get depth(): number {
    return this.above === null ? 0 : this.above.depth + 1;
  }

  /** Whether it, or a directory that it is in, has gone. */
  get isOutside(): boolean {
    return this.hasGone || (this.above?.isOutside ?? false);
  }
}

/** All below it, the deepest last. */
function* allBelow(entry: Entry): Generator<Entry> {
  for (const child of entry.names?.values() ?? []) {
    yield child;
    yield* allBelow(child);
  }
}

/** The records of a kqueue, and what they mean. */
export class VnodeSource extends Source {
  #root = new Entry(null, "", "directory");
  // Those that are open, by their numbers in the records.
  readonly #held = new Map<number, Entry>();
  #cookies = 0;
  // In this round the process has had no descriptor left for a file: others do without.
  #isFull = false;
  #released = false;

  override async begin(): Promise<void> {
    const opened = await this.openFirst();
    this.#root = new Entry(null, "", this.isDirectory ? "directory" : "file");
    this.#root.descriptor = opened;
    this.#root.number = await this.add(opened, this.path).catch(async (error: unknown) => {
      await this.operations.close(opened);
      throw error;
    });
    this.#held.set(this.#root.number, this.#root);
    this.#root.id = idOf(await this.#stat(opened));
    if (this.isDirectory) await this.#fill([this.#root]);
  }

  override batchesOf(records: readonly RawEvent[]): readonly (readonly RawEvent[])[] {
    return [records];
  }

  override async take(records: readonly RawEvent[]): Promise<void> {
    let ofRoot = 0;
    this.#isFull = false;
    const changed = new Set<Entry>();
    for (const { number, mask } of records) {
      const entry = this.#held.get(number);
      if (entry === undefined) continue; // its name has gone
      if (entry === this.#root) ofRoot |= mask;
      else this.#note(entry, mask, changed);
      if (entry.names !== null && (mask & (CONTENT | NOTE_LINK)) !== 0) changed.add(entry);
    }
    await this.#look([...changed]);
    await this.#takeOfRoot(ofRoot);
  }

  #note(entry: Entry, mask: number, changed: Set<Entry>): void {
    if (!entry.isDirectory && (mask & CONTENT) !== 0) this.#tellOf("modified", entry);
    if ((mask & NOTE_ATTRIB) !== 0) this.#tellOf("attributes", entry);
    const doubts = mask & (entry.isDirectory ? DOUBTS_OF_DIRECTORY : DOUBTS);
    entry.doubts |= doubts;
    if (doubts !== 0 && entry.above !== null) changed.add(entry.above);
  }

  async #takeOfRoot(mask: number): Promise<void> {
    if (mask === 0) return;
    if (!this.isDirectory && (mask & CONTENT) !== 0) this.tellOfRoot("modified");
    const linked = this.isDirectory ? 0 : NOTE_DELETE | NOTE_LINK;
    if ((mask & (NOTE_ATTRIB | linked)) !== 0) this.tellOfRoot("attributes");
    if ((mask & (NOTE_DELETE | NOTE_LINK | NOTE_REVOKE)) !== 0 && (await this.#isRemoved(mask))) {
      this.tellOfRoot("removed");
      this.ended = true;
    } else if ((mask & NOTE_RENAME) !== 0) {
      this.tellOfRoot("movedFrom");
      this.ended = this.recursive;
    }
  }

  /** A directory that is removed may keep its count, so its path is looked at too. */
  async #isRemoved(mask: number): Promise<boolean> {
    if ((mask & NOTE_REVOKE) !== 0) return true;
    const { descriptor, id } = this.#root;
    if (descriptor !== null && (await this.#isNameless(descriptor))) return true;
    if (!this.isDirectory || (mask & NOTE_DELETE) === 0) return false;
    const { base, path } = this.place;
    return (await this.#statAt(base, path, true)) !== id;
  }

  /** Lists directories again, and tells what has gone from them and come into them. */
  async #look(folders: readonly Entry[]): Promise<void> {
    const gone: Entry[] = [];
    const come: Entry[] = [];
    const lists = new Map<Entry, Map<string, EntryKind>>();
    await inParallel(this.place.base, folders, async (folder) => {
      const found = await this.#list(folder);
      if (found !== null) lists.set(folder, found);
    });
    for (const folder of folders) {
      const found = lists.get(folder);
      if (found !== undefined) await this.#compare(folder, found, gone, come);
    }
    try {
      const news = come.filter((entry) => !entry.isOutside);
      const all = [...news, ...(await this.#open(news))].filter((entry) => !entry.hasGone);
      await this.#tellGone(gone, all);
      for (const entry of all) {
        this.#tellOf(entry.cookie > 0 ? "movedTo" : "created", entry);
        entry.cookie = 0;
      }
    } finally {
      await this.#close(gone.flatMap((entry) => [entry, ...allBelow(entry)]));
    }
  }

  async #compare(
    folder: Entry,
    found: Map<string, EntryKind>,
    gone: Entry[],
    come: Entry[],
  ): Promise<void> {
    const names = folder.names as Map<string, Entry>;
    const left: Entry[] = [];
    const doubtful: Entry[] = [];
    for (const entry of names.values()) {
      if (found.get(entry.name) !== entry.kind) left.push(entry);
      else if (entry.descriptor === null || entry.doubts !== 0) doubtful.push(entry);
      else found.delete(entry.name);
    }
    await inParallel(this.place.base, doubtful, async (entry) => {
      if (await this.#isSame(entry)) found.delete(entry.name);
      else left.push(entry);
    });
    for (const entry of left) {
      entry.hasGone = true;
      names.delete(entry.name);
      gone.push(entry);
    }
    for (const [name, kind] of found) {
      const entry = new Entry(folder, name, kind);
      names.set(name, entry);
      come.push(entry);
    }
  }

  async #isSame(entry: Entry): Promise<boolean> {
    const base = this.#baseIn(entry.above);
    if ((await this.#statAt(base, entry.name, false)) !== entry.id) return false;
    entry.doubts = 0;
    return true;
  }

  /** The names in a directory now; null when it cannot be listed, which is reported. */
  async #list(folder: Entry): Promise<Map<string, EntryKind> | null> {
    const names = new Map<string, EntryKind>();
    let listing: Listing | null = null;
    try {
      const open = () => Listing.open(this.#baseIn(folder), ".", false, this.next);
      listing = await this.#withRoom(open);
      for (let found = await listing.found(); found !== null; found = await listing.found()) {
        for (const { name, kind: said } of found) {
          const kind = said === "unknown" ? await this.kindOf(listing, name) : said;
          if (kind !== null) names.set(name, kind);
        }
      }
      folder.isUnwatched = false;
    } catch (error) {
      if (isGone(error)) return names; // it is removed, and empty
      if (!this.begun || !this.goesOnAfter(error)) throw error;
      this.#tellUnwatched(folder);
      return null;
    } finally {
      await listing?.close();
    }
    return names;
  }

  /** Lists directories for the first time, and opens all that is below them, which it gives. */
  async #fill(folders: readonly Entry[]): Promise<Entry[]> {
    const come: Entry[] = [];
    await inParallel(this.place.base, folders, async (folder) => {
      folder.names = new Map();
      const found = (await this.#list(folder)) ?? [];
      for (const [name, kind] of found) {
        const entry = new Entry(folder, name, kind);
        folder.names.set(name, entry);
        come.push(entry);
      }
    });
    return [...come, ...(await this.#open(come))];
  }

  /** Opens entries, the directories first with all below them, which it gives. */
  async #open(entries: readonly Entry[]): Promise<Entry[]> {
    const folders = this.recursive ? entries.filter(({ isDirectory }) => isDirectory) : [];
    await inParallel(this.place.base, folders, (entry) => this.#hold(entry));
    const opened = folders.filter(({ descriptor }) => descriptor !== null);
    const found = opened.length > 0 ? await this.#fill(opened) : [];
    const others = this.recursive ? entries.filter((entry) => !entry.isDirectory) : entries;
    await inParallel(this.place.base, others, (entry) => this.#hold(entry));
    return found;
  }

  /** Opens one, or only learns what it is. One that is gone by then is not kept. */
  async #hold(entry: Entry): Promise<void> {
    const base = this.#baseIn(entry.above);
    // To open a FIFO or a device would be seen by others.
    if (entry.isDirectory || (entry.kind === "file" && !this.#isFull)) {
      try {
        const open = () => this.#openIn(base, entry);
        await (entry.isDirectory ? this.#withRoom(open) : open());
        if (!entry.isDirectory && entry.number >= numbersOfFiles()) await this.#leaveRoom(entry);
        return;
      } catch (error) {
        if (!isGone(error)) await this.#goOnWithout(entry, error);
      }
    } else if (entry.kind === "file") this.#tellUnwatched(entry);
    entry.id = await this.#statAt(base, entry.name, false);
    if (entry.id !== "") return;
    entry.hasGone = true;
    entry.above?.names?.delete(entry.name);
  }

  async #openIn(base: PathBase, entry: Entry): Promise<void> {
    const of = entry.isDirectory ? OpenFlags.directory : 0;
    const opened = await this.open(
      { base, path: entry.name },
      OpenFlags.read | OpenFlags.noFollow | of,
    );
    try {
      entry.number = await this.add(opened, this.path);
      entry.id = idOf(await this.#stat(opened));
      this.next(); // throws when the signal has closed the watch
      if (this.#released) throw new Error("the watch is closed");
      entry.descriptor = opened;
      this.#held.set(entry.number, entry);
    } finally {
      if (entry.descriptor === null) await this.operations.close(opened);
    }
  }

  // At the beginning the caller gets the error, of what the whole watch has too little of.
  async #goOnWithout(entry: Entry, error: unknown): Promise<void> {
    const isOfOne = !entry.isDirectory || (error as IOError).code === "EACCES" || this.begun;
    if (!isOfOne || !this.goesOnAfter(error)) throw error;
    if (!entry.isDirectory && hasNoRoom(error) && !this.#isFull) {
      this.#isFull = true;
      await this.#giveBack();
    }
    this.#tellUnwatched(entry);
  }

  /** What needs a descriptor; when the process has none left, a few files give theirs back. */
  async #withRoom<T>(open: () => Promise<T>): Promise<T> {
    try {
      return await open();
    } catch (error) {
      if (!hasNoRoom(error) || !(await this.#giveBack())) throw error;
      return open();
    }
  }

  /** Of a file: half of the descriptors are for directories, and for the rest of the program. */
  #leaveRoom(entry: Entry): Promise<void> {
    this.#isFull = true;
    this.#tellUnwatched(entry);
    return this.#close([entry]);
  }

  async #giveBack(): Promise<boolean> {
    const given: Entry[] = [];
    for (const entry of this.#held.values()) {
      if (entry.kind === "file" && entry !== this.#root) given.push(entry);
      if (given.length === GIVEN_BACK) break;
    }
    for (const entry of given) this.#tellUnwatched(entry);
    await this.#close(given);
    return given.length > 0;
  }

  /** Tells what has gone; a file that is among those that have come was renamed. */
  async #tellGone(gone: readonly Entry[], come: readonly Entry[]): Promise<void> {
    const cameAs = new Map<string, Entry[]>();
    for (const entry of come) cameAs.set(entry.id, [...(cameAs.get(entry.id) ?? []), entry]);
    const removed = new Set<Entry>();
    const rename = async (entry: Entry): Promise<void> => {
      const now = entry.descriptor === null ? undefined : cameAs.get(entry.id)?.pop();
      const isRemoved = now === undefined && (await this.#hasNoName(entry));
      if (isRemoved) removed.add(entry);
      else entry.cookie = this.#cookies = (this.#cookies % 0x7fffffff) + 1;
      if (now !== undefined) now.cookie = entry.cookie;
    };
    await inParallel(this.place.base, gone, rename);
    // What was in a directory that is removed has gone before it.
    const inside = [...removed]
      .flatMap((entry) => [...allBelow(entry)])
      .filter((entry) => !entry.hasGone);
    await inParallel(this.place.base, inside, rename);
    for (const entry of [...gone, ...inside].sort((a, b) => b.depth - a.depth)) {
      const now = entry.above?.names?.get(entry.name);
      // As rename() replaces a file: only the new name is an event then.
      const isReplaced = now !== entry && now?.isDirectory === entry.isDirectory && now.cookie > 0;
      if (!removed.has(entry)) this.#tellOf("movedFrom", entry);
      else if (!isReplaced) this.#tellOf("removed", entry);
    }
  }

  /** Of one that is not among those that have come: whether it was removed, or moved away. */
  async #hasNoName({ descriptor, doubts }: Entry): Promise<boolean> {
    if (descriptor === null || (await this.#isNameless(descriptor))) return true;
    return (doubts & NOTE_RENAME) === 0 && doubts !== 0;
  }

  #tellOf(action: WatchAction, entry: Entry): void {
    this.tell(action, entry.path, entry.isDirectory, entry.cookie);
  }

  #tellUnwatched(entry: Entry): void {
    if (entry.isUnwatched) return;
    entry.isUnwatched = true;
    if (entry === this.#root) this.tellOfRoot("unwatched");
    else this.tell("unwatched", entry.path, entry.isDirectory);
  }

  // Names alone, and no link: no way leads out.
  #baseIn(folder: Entry | null): PathBase {
    const { operations, path } = this;
    const at = folder?.descriptor ?? this.place.base.at;
    return { operations, at, rules: 0, path, check: () => undefined };
  }

  /** Of what the system has taken away (NOTE_REVOKE) it says nothing more. */
  async #isNameless(descriptor: Descriptor): Promise<boolean> {
    try {
      return (await this.#stat(descriptor)).nlink === 0n;
    } catch (error) {
      if (this.goesOnAfter(error)) return true;
      throw error;
    }
  }

  async #stat(descriptor: Descriptor): Promise<BigIntStat> {
    const record = new StatRecord();
    await this.operations.run(
      (pending, settle) => this.operations.ring.stat(pending, settle, descriptor, record),
      this.next(),
      { path: this.path },
      WATCH,
    );
    return record.bigint;
  }

  /** What tells the file of a name from others; "" when there is none, or none to be seen. */
  async #statAt(base: PathBase, path: string | Uint8Array, follow: boolean): Promise<string> {
    const record = new StatRecord();
    const { at, rules } = base;
    const about = { path: this.path };
    try {
      await runOnPath(base, WATCH, this.next(), about, (ring, pending, settle) =>
        ring.stat(pending, settle, path, record, follow, at, rules),
      );
    } catch (error) {
      if (isGone(error) || this.goesOnAfter(error)) return "";
      throw error;
    }
    return idOf(record.bigint);
  }

  async #close(entries: readonly Entry[]): Promise<void> {
    const closes = entries.map(async (entry) => {
      const { descriptor, number } = entry;
      if (descriptor === null || this.#released) return;
      entry.descriptor = null;
      this.#held.delete(number);
      await this.operations.close(descriptor);
    });
    await Promise.all(closes);
  }

  override async release(): Promise<void> {
    const held = [...this.#held.values()];
    this.#held.clear();
    this.#released = true;
    const closes = held.map(({ descriptor }) =>
      descriptor === null ? undefined : this.operations.close(descriptor),
    );
    await Promise.all(closes);
  }
}

// A new descriptor has the lowest number that is free: one above this says that as many are in use.
function numbersOfFiles(): number {
  return Math.ceil(loadNative().processLimits().descriptors / 2);
}

function hasNoRoom(error: unknown): boolean {
  const { code } = error as IOError;
  return code === "EMFILE" || code === "ENFILE";
}

// A file system uses a number again, of what is not held open. Nothing writes to a symbolic link or
// to the file of a unix socket, so that their times tell them apart.
function idOf(stat: BigIntStat): string {
  const isAsMade = stat.isSymbolicLink() || stat.isSocket();
  return `${stat.dev}:${stat.ino}${isAsMade ? `:${stat.mtimeNs}` : ""}`;
}
