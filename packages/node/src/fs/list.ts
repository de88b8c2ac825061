// readdir(), with and without all below a directory.

import { constants, type Dirent } from "node:fs";
import { join, relative } from "node:path";
import { type CheckedPath, nameIn } from "./arguments.js";
import {
  direntOf,
  type Entry,
  isFolder,
  isKnown,
  isLink,
  joined,
  knownKind,
  sortedEntriesOf,
  sortedNamesOf,
  sortedTextsOf,
  type TextEntry,
} from "./names.js";
import { statPath } from "./paths.js";

type Encoding = string | null | undefined;

function isText(encoding: Encoding): boolean {
  return encoding === undefined || encoding === null || encoding === "utf8";
}

/** The names in a directory. */
export async function namesIn(path: CheckedPath, encoding: Encoding): Promise<(string | Buffer)[]> {
  if (isText(encoding)) return sortedTextsOf(path);
  const entries = await sortedEntriesOf(path);
  return entries.map(({ name }) => nameIn(encoding, name));
}

/** The same with what they stand for. */
export async function direntsIn(path: CheckedPath, encoding: Encoding): Promise<Dirent[]> {
  const entries: readonly (Entry | TextEntry)[] = isText(encoding)
    ? await sortedNamesOf(path)
    : await sortedEntriesOf(path);
  const of = ({ name }: Entry | TextEntry, kind: number) =>
    direntOf(typeof name === "string" ? name : nameIn(encoding, name), kind, path);
  if (entries.every(isKnown)) return entries.map((entry) => of(entry, entry.kind));
  return Promise.all(entries.map(async (entry) => of(entry, await knownKind(path, entry))));
}

/** A directory below, whose entries are being read. */
interface Below<T> {
  readonly path: string;
  readonly entries: Promise<T[]>;
}

// The directories that wait are read side by side. One that fails is awaited later, or never.
function begun<T>(path: string, entries: Promise<T[]>): Below<T> {
  entries.catch(() => undefined);
  return { path, entries };
}

/** Of all directories below, too, in Node's order: a directory behind those that follow it. */
export async function direntsBelow(path: CheckedPath, encoding: Encoding): Promise<Dirent[]> {
  const results: Dirent[] = [];
  const top = path as string;
  const waiting = [begun(top, direntsIn(top, encoding))];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const dirent of await next.entries) {
      results.push(dirent);
      if (!dirent.isDirectory()) continue;
      const below = join(next.path, dirent.name);
      waiting.push(begun(below, direntsIn(below, encoding)));
    }
  }
  return results;
}

/** The same as paths from the first directory. Links to directories are followed, as in Node. */
export async function namesBelow(path: CheckedPath, encoding: Encoding): Promise<string[]> {
  const results: string[] = [];
  const top = path as string;
  const waiting = [begun(top, sortedEntriesOf(top))];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const entries = await next.entries;
    const areFolders = await Promise.all(
      entries.map((entry) => leadsToFolder((next as Below<Entry>).path, entry)),
    );
    for (const [index, { name }] of entries.entries()) {
      const below = join(next.path, nameIn(encoding, name) as string);
      results.push(relative(top, below));
      if (areFolders[index]) waiting.push(begun(below, sortedEntriesOf(below)));
    }
  }
  return results;
}

async function leadsToFolder(folder: string, entry: Entry): Promise<boolean> {
  const kind = await knownKind(folder, entry);
  if (!isLink(kind)) return isFolder(kind);
  try {
    const { mode } = await statPath(joined(folder, entry.name), true);
    return (mode & constants.S_IFMT) === constants.S_IFDIR;
  } catch {
    return false; // It leads to nothing.
  }
}
