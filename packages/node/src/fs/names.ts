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
// A kind, and two bytes with the length of the name.
const HEAD_BYTES = 3;

const { UV_DIRENT_UNKNOWN, UV_DIRENT_DIR, UV_DIRENT_LINK } = constants as unknown as {
  readonly [name: string]: number;
};

/** The entries that one read has given. */
function entriesIn(batch: Buffer): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < batch.length; ) {
    const start = at + HEAD_BYTES;
    const end = start + batch.readUInt16LE(at + 1);
    entries.push({ name: Buffer.from(batch.subarray(start, end)), kind: batch[at] as number });
    at = end;
  }
  return entries;
}

/** The names alone, in the order of their bytes; null unless all of them are ASCII. */
export function asciiNamesIn(batches: readonly Buffer[]): string[] | null {
  if (!batches.every(isAscii)) return null;
  const names: string[] = [];
  for (const batch of batches) {
    const text = batch.toString("latin1"); // its names are parts of one string
    for (let at = 0; at < batch.length; ) {
      const start = at + HEAD_BYTES;
      at = start + batch.readUInt16LE(at + 1);
      names.push(text.slice(start, at));
    }
  }
  return names.sort();
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
    return entriesIn(await this.readBatch());
  }

  /** The same as they are; their memory is good until the next read. */
  async readBatch(): Promise<Buffer> {
    const { ring } = sharedIO();
    const count = await call((completion, settle) =>
      ring.readDirectory(completion, settle, this.#descriptor, this.#batch),
    );
    if (count < 0) throw fileError(count, { syscall: "scandir", path: this.#path });
    return this.#batch.subarray(0, count);
  }

  close(): Promise<void> {
    return closeDescriptor(this.#descriptor);
  }
}

/** All that the reads of a directory give. */
export async function batchesOf(path: CheckedPath): Promise<Buffer[]> {
  const directory = await OpenedDirectory.open(path, "scandir");
  const all: Buffer[] = [];
  try {
    for (;;) {
      const some = await directory.readBatch();
      if (some.length === 0) return all;
      all.push(Buffer.from(some));
    }
  } finally {
    await directory.close();
  }
}

/** All entries of a directory. */
export async function entriesOf(path: CheckedPath): Promise<Entry[]> {
  return (await batchesOf(path)).flatMap(entriesIn);
}

/** The same in the order of their bytes, as libuv sorts them. */
export function sortedEntriesIn(batches: readonly Buffer[]): Entry[] {
  const entries = batches.flatMap(entriesIn);
  return entries.sort((one, other) => Buffer.compare(one.name, other.name));
}

export async function sortedEntriesOf(path: CheckedPath): Promise<Entry[]> {
  return sortedEntriesIn(await batchesOf(path));
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

/** What an entry stands for, where the file system has not said it. */
export async function knownKind(folder: CheckedPath, { name, kind }: Entry): Promise<number> {
  if (kind !== UV_DIRENT_UNKNOWN) return kind;
  return kindOf(await statPath(joined(folder, name), false));
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
