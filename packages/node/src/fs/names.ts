// Names in a directory as the file system has them: bytes, which are mostly UTF-8.

import { isAscii, isUtf8 } from "node:buffer";
import { constants, Dirent, type Stats } from "node:fs";
import { OpenFlags } from "@io/core";
import { sharedIO } from "../engine/environment.js";
import { type CheckedPath, systemPath } from "./arguments.js";
import { call } from "./calls.js";
import { closeDescriptor } from "./descriptors.js";
import { fileError } from "./errors.js";
import { statPath } from "./paths.js";

/** A name, and what it stands for: one of Node's UV_DIRENT_*, which the ring has as well. */
export interface Entry {
  readonly name: Buffer;
  readonly kind: number;
}

const BATCH_BYTES = 32 * 1024;
// Of a directory with more names: the next batch is read while one is being looked at.
const LARGE_BATCH_BYTES = 256 * 1024;
// A kind, and two bytes with the length of the name.
const HEAD_BYTES = 3;
// The system's records are longer than ours, in the same memory: twelve times at most. When the
// longest record does not fit into what is left, there may be more of them.
const RECORD_GROWTH = 12;
const RECORD_BYTES = 1024;
// Names are made of the text of so many bytes at once: a long one is a part of that text for V8,
// and a program that keeps one name keeps all of it.
const PART_BYTES = 4096;

const { UV_DIRENT_UNKNOWN, UV_DIRENT_DIR, UV_DIRENT_LINK } = constants as unknown as {
  readonly [name: string]: number;
};
const UNKNOWN = UV_DIRENT_UNKNOWN as number;

/** Adds the entries of a batch, whose memory the next read takes. */
function addEntries(batch: Buffer, entries: Entry[]): void {
  const kept = Buffer.from(batch);
  for (let at = 0; at < kept.length; ) {
    const start = at + HEAD_BYTES;
    const end = start + kept.readUInt16LE(at + 1);
    entries.push({ name: kept.subarray(start, end), kind: kept[at] as number });
    at = end;
  }
}

/** Where the entries that begin within the next PART_BYTES end. */
function endOfPart(batch: Buffer, from: number): number {
  let at = from;
  do at += HEAD_BYTES + batch.readUInt16LE(at + 1);
  while (at < batch.length && at - from < PART_BYTES);
  return at;
}

/** Calls back for each entry of a batch that is ASCII. */
function eachText(batch: Buffer, visit: (name: string, kind: number) => void): void {
  for (let at = 0; at < batch.length; ) {
    const from = at;
    const end = endOfPart(batch, from);
    const text = batch.toString("latin1", from, end);
    while (at < end) {
      const start = at + HEAD_BYTES;
      at = start + batch.readUInt16LE(start - 2);
      visit(text.slice(start - from, at - from), batch[start - HEAD_BYTES] as number);
    }
  }
}

/** An open directory: its entries come in the order of the file system, without "." and "..". */
export class OpenedDirectory {
  readonly #descriptor: number;
  readonly #path: CheckedPath;
  readonly #batch = Buffer.allocUnsafeSlow(BATCH_BYTES);

  constructor(descriptor: number, path: CheckedPath) {
    this.#descriptor = descriptor;
    this.#path = path;
  }

  /** Opens it; errors name this call. */
  static async open(path: CheckedPath, syscall: string): Promise<OpenedDirectory> {
    const { ring } = sharedIO();
    const bytes = systemPath(path);
    const flags = OpenFlags.read | OpenFlags.directory;
    const descriptor = await call((completion, settle) =>
      ring.open(completion, settle, bytes, flags, 0),
    );
    if (descriptor < 0) throw fileError(descriptor, { syscall, path });
    return new OpenedDirectory(descriptor, path);
  }

  /** The next entries; none at the end. */
  async read(): Promise<Entry[]> {
    const entries: Entry[] = [];
    addEntries(await this.readBatch(), entries);
    return entries;
  }

  /** The same as they are, in that memory. */
  async readBatch(into: Buffer = this.#batch): Promise<Buffer> {
    const { ring } = sharedIO();
    const count = await call((completion, settle) =>
      ring.readDirectory(completion, settle, this.#descriptor, into),
    );
    if (count < 0) throw fileError(count, { syscall: "scandir", path: this.#path });
    return into.subarray(0, count);
  }

  close(): Promise<void> {
    return closeDescriptor(this.#descriptor);
  }
}

/** Calls back with each batch of a directory, which is good until the call returns. */
async function eachBatch(path: CheckedPath, visit: (batch: Buffer) => void): Promise<void> {
  const directory = await OpenedDirectory.open(path, "scandir");
  try {
    let batch = await directory.readBatch();
    const isSmall = batch.length * RECORD_GROWTH + RECORD_BYTES < BATCH_BYTES;
    const memory: Buffer[] = [];
    for (let turn = 0; batch.length > 0; turn = 1 - turn) {
      if (isSmall) {
        visit(batch);
        batch = await directory.readBatch();
      } else {
        memory[turn] ??= Buffer.allocUnsafeSlow(LARGE_BATCH_BYTES);
        const ahead = directory.readBatch(memory[turn]);
        visit(batch);
        batch = await ahead;
      }
    }
  } finally {
    await directory.close();
  }
}

/** All entries of a directory. */
export async function entriesOf(path: CheckedPath): Promise<Entry[]> {
  const entries: Entry[] = [];
  await eachBatch(path, (batch) => addEntries(batch, entries));
  return entries;
}

function sorted(entries: Entry[]): Entry[] {
  return entries.sort((one, other) => Buffer.compare(one.name, other.name));
}

/** The same in the order of their bytes, as libuv sorts them. */
export async function sortedEntriesOf(path: CheckedPath): Promise<Entry[]> {
  return sorted(await entriesOf(path));
}

/** The names alone as text, in that order: when all are ASCII, it is the order of text as well. */
export async function sortedTextsOf(path: CheckedPath): Promise<string[]> {
  const names: string[] = [];
  const entries: Entry[] = [];
  await eachBatch(path, (batch) => {
    if (entries.length > 0 || !isAscii(batch)) addEntries(batch, entries);
    else eachText(batch, (name) => names.push(name));
  });
  if (entries.length === 0) return names.sort();
  for (const name of names) entries.push({ name: Buffer.from(name), kind: UNKNOWN });
  return sorted(entries).map(({ name }) => name.toString());
}

/** A name that is ASCII, and what it stands for. */
export interface TextEntry {
  readonly name: string;
  readonly kind: number;
}

/** All entries in that order: when all are ASCII, as text. */
export async function sortedNamesOf(path: CheckedPath): Promise<TextEntry[] | Entry[]> {
  const texts: TextEntry[] = [];
  const entries: Entry[] = [];
  await eachBatch(path, (batch) => {
    if (entries.length > 0 || !isAscii(batch)) addEntries(batch, entries);
    else eachText(batch, (name, kind) => texts.push({ name, kind }));
  });
  // No two names of a directory are the same.
  if (entries.length === 0) return texts.sort((one, other) => (one.name < other.name ? -1 : 1));
  for (const { name, kind } of texts) entries.push({ name: Buffer.from(name), kind });
  return sorted(entries);
}

/** The path of a name in a directory. */
export function joined(folder: CheckedPath, name: Buffer): CheckedPath {
  if (typeof folder === "string" && isUtf8(name)) {
    return folder.endsWith("/") ? folder + name : `${folder}/${name}`;
  }
  return Buffer.concat([Buffer.from(folder), Buffer.from("/"), name]);
}

function kindOf(stats: Stats): number {
  const kinds = constants as unknown as Readonly<Record<string, number>>;
  if (stats.isFile()) return kinds["UV_DIRENT_FILE"] as number;
  if (stats.isDirectory()) return UV_DIRENT_DIR as number;
  if (stats.isSymbolicLink()) return UV_DIRENT_LINK as number;
  if (stats.isFIFO()) return kinds["UV_DIRENT_FIFO"] as number;
  if (stats.isSocket()) return kinds["UV_DIRENT_SOCKET"] as number;
  if (stats.isCharacterDevice()) return kinds["UV_DIRENT_CHAR"] as number;
  return kinds["UV_DIRENT_BLOCK"] as number;
}

/** Whether the file system has said what an entry stands for. */
export function isKnown({ kind }: Entry | TextEntry): boolean {
  return kind !== UNKNOWN;
}

/** What an entry stands for, where the file system has not said it. */
export async function knownKind(folder: CheckedPath, entry: Entry | TextEntry): Promise<number> {
  if (isKnown(entry)) return entry.kind;
  return kindOf(await statPath(joined(folder, Buffer.from(entry.name)), false));
}

export function isFolder(kind: number): boolean {
  return kind === UV_DIRENT_DIR;
}

export function isLink(kind: number): boolean {
  return kind === UV_DIRENT_LINK;
}

type DirentMaker = new (name: string | Buffer, kind: number, folder: string | Buffer) => Dirent;

/** An entry as Node's own class has it. */
export function direntOf(name: string | Buffer, kind: number, folder: CheckedPath): Dirent<string> {
  const Maker = Dirent as unknown as DirentMaker;
  return new Maker(name, kind, folder as string | Buffer);
}
