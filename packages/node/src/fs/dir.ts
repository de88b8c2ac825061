// An open directory, with the methods of Node's `Dir`.

import type { Dirent } from "node:fs";
import { checkFunction, checkInteger, MAX_UINT32 } from "../checks.js";
import { nodeError, notSupported } from "../errors.js";
import { type CheckedPath, nameIn } from "./arguments.js";
import { direntOf, type Entry, knownKind, OpenedDirectory } from "./names.js";

/** How `opendir` reads. */
export interface DirectoryOptions {
  /** Of the names; "utf8" by default. */
  encoding?: string | null | undefined;
  /** How many entries are read ahead in Node; here a read has a size in bytes. */
  bufferSize?: number | undefined;
  /** Also the entries of the directories below; `false` by default. */
  recursive?: boolean | undefined;
}

/**
 * How a call without a promise ends.
 *
 * @param error Why it has failed, or null.
 * @param result What it has found.
 */
export type Done<T> = (error: Error | null, result?: T) => void;

function closedError(): NodeJS.ErrnoException {
  return nodeError(Error, "ERR_DIR_CLOSED", "Directory handle was closed");
}

/** A directory that is being read, and its path. */
interface Level {
  readonly opened: OpenedDirectory;
  readonly path: CheckedPath;
  entries: Entry[];
}

/**
 * An open directory: what `opendir()` gives.
 *
 * @example
 * ```ts
 * import { opendir } from "@io/node/fs/promises";
 *
 * for await (const { name } of await opendir("/etc")) process.stdout.write(`${name}\n`);
 * ```
 */
export class Dir implements AsyncIterable<Dirent>, AsyncDisposable {
  /** As it was given to `opendir`. */
  readonly path: string;
  readonly #options: DirectoryOptions;
  // The last one is read.
  readonly #levels: Level[];
  #isClosed = false;
  #last: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(opened: OpenedDirectory, path: CheckedPath, options: DirectoryOptions) {
    const { bufferSize = 32 } = options;
    checkInteger(bufferSize, "options.bufferSize", 1, MAX_UINT32);
    this.path = path as string;
    this.#options = options;
    this.#levels = [{ opened, path, entries: [] }];
  }

  // One call after the other: the position in the directory is one.
  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(run);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /**
   * The next entry, in the order of the file system.
   *
   * @returns the entry; null at the end
   * @throws `ERR_DIR_CLOSED`; the codes of scandir(3)
   */
  read(): Promise<Dirent | null>;
  /**
   * The same with a callback.
   *
   * @param callback Called with the error, or the entry.
   * @throws `ERR_DIR_CLOSED`
   */
  read(callback: Done<Dirent | null>): void;
  read(callback?: Done<Dirent | null>): Promise<Dirent | null> | undefined {
    if (this.#isClosed) throw closedError();
    if (callback !== undefined) checkFunction(callback, "callback");
    return answer(
      this.#inTurn(() => this.#next()),
      callback,
    );
  }

  async #next(): Promise<Dirent | null> {
    for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
      if (level.entries.length === 0) level.entries = (await level.opened.read()).reverse();
      const entry = level.entries.pop();
      if (entry !== undefined) return this.#direntOf(level, entry);
      if (this.#levels.length === 1) return null;
      this.#levels.pop();
      await level.opened.close();
    }
    return null;
  }

  async #direntOf({ path }: Level, entry: Entry): Promise<Dirent> {
    const name = nameIn(this.#options.encoding, entry.name);
    const dirent = direntOf(name, await knownKind(path, entry), path);
    if (this.#options.recursive && dirent.isDirectory()) {
      const below = `${path}/${name}`;
      const opened = await OpenedDirectory.open(below, "opendir");
      this.#levels.push({ opened, path: below, entries: [] });
    }
    return dirent;
  }

  /**
   * Closes the directory.
   *
   * @throws `ERR_DIR_CLOSED` the second time
   */
  close(): Promise<void>;
  /**
   * The same with a callback.
   *
   * @param callback Called with the error, or with nothing.
   */
  close(callback: Done<void>): void;
  close(callback?: Done<void>): Promise<void> | undefined {
    if (callback !== undefined) checkFunction(callback, "callback");
    if (this.#isClosed) return answer(Promise.reject(closedError()), callback);
    this.#isClosed = true;
    const closing = this.#inTurn(async () => {
      for (const { opened } of this.#levels) await opened.close();
    });
    return answer(closing, callback);
  }

  /** @io/core has no synchronous calls: throws `ERR_IO_NOT_SUPPORTED`. */
  readSync(): never {
    throw notSupported("Dir.readSync", "@io/core has no synchronous calls");
  }

  /** @io/core has no synchronous calls: throws `ERR_IO_NOT_SUPPORTED`. */
  closeSync(): never {
    throw notSupported("Dir.closeSync", "@io/core has no synchronous calls");
  }

  /** The entries; the directory is closed at the end. */
  async *entries(): AsyncIterableIterator<Dirent> {
    try {
      for (let one = await this.read(); one !== null; one = await this.read()) yield one;
    } finally {
      await this.close();
    }
  }

  /** The same as {@link entries}. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Dirent> {
    return this.entries();
  }

  /** Closes the directory: what `await using` calls. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isClosed) await this.close();
  }
}

function answer<T>(promise: Promise<T>, callback: Done<T> | undefined): Promise<T> | undefined {
  if (callback === undefined) return promise;
  promise.then(
    (result) => process.nextTick(callback, null, result),
    (error: Error) => process.nextTick(callback, error),
  );
  return undefined;
}
