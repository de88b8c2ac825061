// The names in a directory: read in batches by the ring, as strings. A directory below another one
// is opened by its descriptor, and no link is followed.
import { isAscii, isUtf8 } from "node:buffer";
import * as abi from "../engine/abi.js";
import { textFromBytes } from "../engine/text.js";
import { aborted, type OperationOptions, type Operations } from "../ring/promises.js";
import { OpenFlags } from "../ring/ring_paths.js";
import type { Descriptor } from "../ring/types.js";
import { timeLeft } from "../ring/whole_call.js";
import { knows } from "../support/check.js";
import { OpenedDirectory } from "../support/forgotten.js";
import { nameIn, type PathBase, runOnPath } from "./base.js";
import { StatRecord } from "./stat.js";

/**
 * What a name in a directory stands for. A symbolic link is one, whatever it leads to.
 *
 * @category Files
 */
export type EntryKind =
  | "file"
  | "directory"
  | "link"
  | "fifo"
  | "socket"
  | "characterDevice"
  | "blockDevice";

const KINDS: readonly (EntryKind | "unknown")[] = [
  ...(["unknown", "file", "directory", "link", "fifo", "socket"] as const),
  ...(["characterDevice", "blockDevice"] as const),
];

// Enough for most directories. Those with more names get more memory with each batch.
const FIRST_BATCH_BYTES = 16 * 1024;
const GROWTH = 4;
const BATCH_BYTES = 256 * 1024;
// The system's records are longer than the entries that are made of them, in the same memory:
// twelve times at most, on macOS where a name has one letter. When the longest record does not fit
// into what is left, there may be more of them.
const RECORD_GROWTH = 12;
const RECORD_BYTES = 1024;
// Names are made of the text of so many bytes at once: a long one is a part of that text for V8,
// and a program that keeps one name keeps all of it.
const PART_BYTES = 4096;

const READDIR = knows("readdir");

/**
 * A name in a directory, under the names of Node's `fs.Dirent`.
 *
 * @category Files
 */
export class DirectoryEntry {
  /** The name. A byte that is not UTF-8 stands in it as in every path of this library. */
  readonly name: string;
  /** The path of the directory that it is in: what was given, and what is below that. */
  readonly parentPath: string;
  /** What it stands for. */
  readonly kind: EntryKind;

  /** @internal */
  constructor(name: string, parentPath: string, kind: EntryKind) {
    this.name = name;
    this.parentPath = parentPath;
    this.kind = kind;
  }

  /** Whether it is a regular file. */
  isFile(): boolean {
    return this.kind === "file";
  }

  /** Whether it is a directory. */
  isDirectory(): boolean {
    return this.kind === "directory";
  }

  /** Whether it is a symbolic link. */
  isSymbolicLink(): boolean {
    return this.kind === "link";
  }

  /** Whether it is a unix socket. */
  isSocket(): boolean {
    return this.kind === "socket";
  }

  /** Whether it is a FIFO, a pipe with a name. */
  isFIFO(): boolean {
    return this.kind === "fifo";
  }

  /** Whether it is a character device, such as a terminal. */
  isCharacterDevice(): boolean {
    return this.kind === "characterDevice";
  }

  /** Whether it is a block device, such as a disk. */
  isBlockDevice(): boolean {
    return this.kind === "blockDevice";
  }
}

/** The options of a call that is made of many operations: each time those of the next one. */
export type NextOptions = () => OperationOptions | null;

export function optionsOfEach(
  operation: string,
  step: string,
  options: OperationOptions | null | undefined,
): NextOptions {
  const signal = options?.signal ?? undefined;
  const time = timeLeft(operation, step, options);
  return () => {
    if (signal?.aborted) throw aborted(operation, signal);
    if (time !== null) {
      const { timeoutMs } = time.next();
      return { signal, timeoutMs };
    }
    return signal === undefined ? null : { signal };
  };
}

/** A name, and what the file system says of it. */
export interface Found {
  readonly name: string;
  readonly kind: EntryKind | "unknown";
}

/** An open directory whose entries are read batch by batch. */
export class Listing {
  readonly operations: Operations;
  readonly descriptor: Descriptor;
  /** Its path, for errors and entries. */
  readonly path: string;
  readonly #next: NextOptions;
  // The memory of the batch that was asked for last.
  #spare: Buffer | null = null;
  #sizeBytes = FIRST_BATCH_BYTES;
  #reading: Promise<{ bytes: Buffer; count: number }> | null = null;
  #ended = false;

  private constructor(
    operations: Operations,
    descriptor: Descriptor,
    path: string,
    next: NextOptions,
  ) {
    this.operations = operations;
    this.descriptor = descriptor;
    this.path = path;
    this.#next = next;
    // The loop of a generator that is left without return() is garbage some day.
    operations.forgotten.watch(this, new OpenedDirectory(descriptor, path));
  }

  /** Opens it; `follow` is false for what was found in another one. */
  static async open(
    base: PathBase,
    path: string | Uint8Array,
    follow: boolean,
    next: NextOptions,
  ): Promise<Listing> {
    const flags = OpenFlags.read | OpenFlags.directory | (follow ? 0 : OpenFlags.noFollow);
    const name = nameIn(base, path);
    const about = { path: name };
    const { at, rules, operations } = base;
    const descriptor = await runOnPath(base, READDIR, next(), about, (ring, pending, settle) =>
      ring.open(pending, settle, path, flags, 0, at, rules),
    );
    return new Listing(operations, descriptor, name, next);
  }

  /** What is below it. */
  get base(): PathBase {
    const { operations, descriptor: at, path } = this;
    return { operations, at, path, rules: 0, check: () => undefined };
  }

  /**
   * The next batch, or null at the end; its bytes are good until the next one is asked for. The one
   * behind it is read meanwhile.
   */
  async batch(): Promise<{ bytes: Buffer; count: number } | null> {
    if (this.#ended) return null;
    const reading = this.#reading ?? this.#read(this.#memory());
    this.#reading = null;
    const batch = await reading;
    const { bytes, count } = batch;
    if (count === 0) {
      this.#ended = true;
      return null;
    }
    const mayBeAll = count * RECORD_GROWTH + RECORD_BYTES < FIRST_BATCH_BYTES;
    if (bytes.byteLength !== FIRST_BATCH_BYTES || !mayBeAll) {
      this.#sizeBytes = Math.min(this.#sizeBytes * GROWTH, BATCH_BYTES);
      this.#reading = this.#read(this.#memory());
      this.#reading.catch(() => undefined); // who asks for it gets the error
    }
    this.#spare = bytes;
    return batch;
  }

  #memory(): Buffer {
    const spare = this.#spare;
    if (spare?.byteLength === this.#sizeBytes) return spare;
    return Buffer.allocUnsafeSlow(this.#sizeBytes);
  }

  /** The next entries, as the file system gives them; null at the end. */
  async found(): Promise<Found[] | null> {
    const batch = await this.batch();
    if (batch === null) return null;
    const { bytes, count } = batch;
    const found: Found[] = [];
    eachName(bytes, count, (name, kind) => found.push({ name, kind: KINDS[kind] ?? "unknown" }));
    return found;
  }

  #read(bytes: Buffer): Promise<{ bytes: Buffer; count: number }> {
    const { operations, descriptor, path } = this;
    return operations
      .run(
        (pending, settle) => operations.ring.readDirectory(pending, settle, descriptor, bytes),
        this.#next(),
        { path },
        READDIR,
      )
      .then((count) => ({ bytes, count }));
  }

  close(): Promise<void> {
    this.operations.forgotten.release(this);
    return this.operations.close(this.descriptor);
  }
}

/** Calls back for each entry of a batch, with its kind and where its name stands. */
function eachEntry(
  bytes: Buffer,
  count: number,
  visit: (kind: number, start: number, end: number) => void,
): void {
  for (let at = 0; at < count; ) {
    const length = (bytes[at + 1] as number) | ((bytes[at + 2] as number) << 8);
    const start = at + abi.DIRECTORY_ENTRY_HEAD_BYTES;
    at = start + length;
    visit(bytes[start - abi.DIRECTORY_ENTRY_HEAD_BYTES] as number, start, at);
  }
}

/** Where the entries that begin within the next PART_BYTES end. */
function endOfPart(bytes: Buffer, from: number, count: number): number {
  let at = from;
  do {
    const length = (bytes[at + 1] as number) | ((bytes[at + 2] as number) << 8);
    at += abi.DIRECTORY_ENTRY_HEAD_BYTES + length;
  } while (at < count && at - from < PART_BYTES);
  return at;
}

/** Calls back for each entry of a batch, with its name and its kind. */
function eachName(bytes: Buffer, count: number, visit: (name: string, kind: number) => void): void {
  for (let from = 0; from < count; ) {
    const end = endOfPart(bytes, from, count);
    const part = bytes.subarray(from, end);
    from = end;
    if (isAscii(part)) {
      const text = part.toString("latin1");
      eachEntry(part, part.length, (kind, start, stop) => visit(text.slice(start, stop), kind));
    } else {
      eachEntry(part, part.length, (kind, start, stop) => visit(nameOf(part, start, stop), kind));
    }
  }
}

function nameOf(bytes: Buffer, start: number, end: number): string {
  const name = bytes.subarray(start, end);
  return isUtf8(name) ? bytes.toString("utf8", start, end) : textFromBytes(name);
}

/** The names in a directory, without those below. */
export async function listNames(
  base: PathBase,
  path: string | Uint8Array,
  next: NextOptions,
): Promise<string[]> {
  const listing = await Listing.open(base, path, true, next);
  const names: string[] = [];
  try {
    for (let batch = await listing.batch(); batch !== null; batch = await listing.batch()) {
      eachName(batch.bytes, batch.count, (name) => names.push(name));
    }
  } finally {
    await listing.close();
  }
  return names;
}

/** The same, as bytes. */
export async function listBytes(
  base: PathBase,
  path: string | Uint8Array,
  next: NextOptions,
): Promise<Buffer[]> {
  const listing = await Listing.open(base, path, true, next);
  const names: Buffer[] = [];
  try {
    for (let batch = await listing.batch(); batch !== null; batch = await listing.batch()) {
      const { bytes, count } = batch;
      eachEntry(bytes, count, (_kind, start, end) => {
        names.push(Buffer.from(bytes.subarray(start, end)));
      });
    }
  } finally {
    await listing.close();
  }
  return names;
}

/** What a file system did not say with the name. */
export async function kindOf(
  listing: Listing,
  name: string,
  next: NextOptions,
): Promise<EntryKind> {
  const record = new StatRecord();
  const about = { path: nameIn(listing.base, name) };
  await runOnPath(listing.base, READDIR, next(), about, (ring, pending, settle) =>
    ring.stat(pending, settle, name, record, false, listing.descriptor),
  );
  const { stat } = record;
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "link";
  if (stat.isFIFO()) return "fifo";
  if (stat.isSocket()) return "socket";
  return stat.isBlockDevice() ? "blockDevice" : "characterDevice";
}

/** What another process has removed meanwhile is left out. */
function isGone(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP";
}

/** An open directory of a walk: its entries up to `at` have been given. */
interface Level {
  readonly listing: Listing;
  entries: readonly DirectoryEntry[];
  at: number;
}

/** The next entries of a level: when those below are wanted too, up to the first directory. */
function nextRun(level: Level, recursive: boolean): readonly DirectoryEntry[] {
  const { entries, at: start } = level;
  let end = recursive ? start : entries.length;
  while (end < entries.length && entries[end++]?.kind !== "directory");
  level.at = end;
  return end - start === entries.length ? entries : entries.slice(start, end);
}

/**
 * The entries of a directory, and with `recursive` those below it, each directory before what is in
 * it: some at a time, of which the last one may be a directory that is entered next. However it
 * ends, all that it has opened is closed. As many directories are open at once as lie in each
 * other.
 */
export async function* runsOf(
  base: PathBase,
  path: string | Uint8Array,
  next: NextOptions,
  recursive: boolean,
): AsyncGenerator<readonly DirectoryEntry[], undefined, undefined> {
  const open: Level[] = [];
  open.push({ listing: await Listing.open(base, path, true, next), entries: [], at: 0 });
  try {
    for (let level = open.at(-1); level !== undefined; level = open.at(-1)) {
      const { listing } = level;
      if (level.at === level.entries.length) {
        const found = await listing.found();
        if (found === null) {
          open.pop();
          await listing.close();
        } else {
          level.entries = await entriesOf(listing, found, next);
          level.at = 0;
        }
        continue;
      }
      const run = nextRun(level, recursive);
      yield run;
      const last = run.at(-1);
      if (!recursive || last?.kind !== "directory") continue;
      const below = await opened(listing, last.name, next);
      if (below !== null) open.push({ listing: below, entries: [], at: 0 });
    }
  } finally {
    await Promise.all(open.map(({ listing }) => listing.close()));
  }
}

/** The same one by one. */
export async function* walk(
  base: PathBase,
  path: string | Uint8Array,
  next: NextOptions,
  recursive: boolean,
): AsyncGenerator<DirectoryEntry, undefined, undefined> {
  for await (const run of runsOf(base, path, next, recursive)) {
    for (const entry of run) yield entry;
  }
}

/** A directory below another one; null when it is gone, or none any more. */
async function opened(above: Listing, name: string, next: NextOptions): Promise<Listing | null> {
  try {
    return await Listing.open(above.base, name, false, next);
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

async function entriesOf(
  listing: Listing,
  found: readonly Found[],
  next: NextOptions,
): Promise<DirectoryEntry[]> {
  const entries: DirectoryEntry[] = [];
  for (const { name, kind: said } of found) {
    try {
      const kind = said === "unknown" ? await kindOf(listing, name, next) : said;
      entries.push(new DirectoryEntry(name, listing.path, kind));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return entries;
}
