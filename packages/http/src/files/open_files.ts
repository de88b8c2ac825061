// The open files of a folder: kept for the next request, opened again when the system says that
// they have changed, looked at again after a second in any case, and closed when nothing has asked
// for them for a while.

import type { AsyncResource } from "node:async_hooks";
import { realpath } from "node:fs/promises";
import { sep } from "node:path";
import type { Directory, File, IO, WatchAction } from "@io/core";
import { codeOf } from "../errors.js";
import { type NoticedFolder, type NoticeOwner, Notices } from "./notices.js";
import { etagOf, type Version } from "./ranges.js";

const MAX_FILES = 512;
/** What is not larger is kept in memory, up to so much of all files. */
const MAX_CONTENT_BYTES = 32 * 1024;
const MAX_CONTENTS_BYTES = 16 * 1024 * 1024;
/** A change that the system does not report is seen by the requests that come so much later. */
const FRESH_MS = 1000;
/**
 * Two changes within the granularity of the file system's times look like one. The coarsest is 2 s
 * (FAT). A file that had just changed when it was opened is opened again, whatever its times say.
 */
const SETTLED_MS = 2000;
/** A file that was not asked for meanwhile is closed: a deleted one keeps its blocks until then. */
const UNUSED_MS = 30_000;

/** A file that is open. */
export interface OpenFile extends Version {
  readonly path: string;
  readonly sizeBytes: number;
  readonly file: File;
  /** All of it, when it is small. */
  readonly content: Uint8Array | null;
  readonly inode: number;
  /** When its bytes or its inode last changed, as the file system says. */
  readonly changedMs: number;
  /** Its last change was so long before it was opened that a further one shows in its times. */
  readonly settled: boolean;
  /** When it was last known to be as it is. */
  checkedMs: number;
  /** The folder whose changes are reported. */
  folder: NoticedFolder | null;
  /** Answers that send it, and the list of those that are kept. */
  users: number;
}

/** What stands under a path. */
export type Found = OpenFile | "folder" | null;

// That it is not there, or may not be read, is the same to a client.
export const ABSENT: ReadonlySet<string> = new Set([
  ...["ENOENT", "ENOTDIR", "EACCES", "EPERM", "ELOOP", "ENAMETOOLONG", "EINVAL"],
  "ERR_IO_RESOLVE",
]);
const NO_DESCRIPTORS: ReadonlySet<string> = new Set(["EMFILE", "ENFILE"]);
/** The kernel itself keeps every path below the root where it can (openat2). */
const BENEATH = { resolve: { beneath: true } };

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

export class OpenFiles implements NoticeOwner {
  readonly #io: IO;
  readonly #root: string;
  // The last used stands last.
  readonly #files = new Map<string, OpenFile>();
  readonly #absent = new Map<
    string,
    { readonly found: "folder" | null; readonly untilMs: number }
  >();
  readonly #opening = new Map<string, Promise<Found>>();
  readonly #closing = new Set<Promise<void>>();
  readonly #notices: Notices;
  // How many changes the system has reported.
  #changes = 0;
  #contentBytes = 0;
  #sweeping: NodeJS.Timeout | null = null;
  readonly #context: AsyncResource;

  /** `context` is that of the program, as what is kept outlives each request. */
  constructor(io: IO, root: string, context: AsyncResource) {
    this.#io = io;
    this.#root = root;
    this.#context = context;
    this.#notices = new Notices(io, root, this, context);
  }

  /** The file as it is kept, when that needs no look at the system. */
  fresh(path: string): OpenFile | undefined {
    const kept = this.#files.get(path);
    return kept !== undefined && kept.checkedMs > performance.now() - FRESH_MS ? kept : undefined;
  }

  /** What stands under a path, which begins with "/" and has no "..". */
  async find(path: string): Promise<Found> {
    const fresh = this.fresh(path);
    if (fresh !== undefined) return fresh;
    const absent = this.#absent.get(path);
    if (absent !== undefined && absent.untilMs > performance.now()) return absent.found;
    // One look for all that ask at the same time.
    let opening = this.#opening.get(path);
    if (opening === undefined) {
      opening = this.#look(path).finally(() => this.#opening.delete(path));
      this.#opening.set(path, opening);
    }
    return opening;
  }

  /** The caller sends it: it stays open until `release`. */
  use(file: OpenFile): void {
    file.users++;
  }

  /** Closes it behind the turn: who was given it meanwhile has called `use` by then. */
  release(file: OpenFile): void {
    if (--file.users > 0) return;
    setImmediate(() => {
      if (file.users > 0) return;
      // Nothing waits for it, and a file that cannot be closed is of no use to a client.
      const closed = file.file
        .close()
        .catch((error: unknown) => {
          process.emitWarning(`a file could not be closed: ${String(error)}`);
        })
        .finally(() => this.#closing.delete(closed));
      this.#closing.add(closed);
    });
  }

  async #look(path: string): Promise<Found> {
    const kept = this.#files.get(path);
    try {
      if (kept?.settled && (await this.#isUnchanged(kept))) return kept;
      if (kept !== undefined) this.#forget(kept);
      return await this.#open(path).catch((error: unknown) => this.#openOnceMore(path, error));
    } catch (error) {
      if (kept !== undefined) this.#forget(kept);
      if (!ABSENT.has(codeOf(error))) throw error;
      return this.#note(path, null);
    }
  }

  // What is kept has the descriptors that are missing.
  async #openOnceMore(path: string, error: unknown): Promise<Found> {
    if (!NO_DESCRIPTORS.has(codeOf(error)) || this.#files.size === 0) throw error;
    for (const file of [...this.#files.values()]) this.#forget(file);
    await turn();
    await Promise.all(this.#closing);
    return await this.#open(path);
  }

  // Asks the path, not the open file: another one may have taken its place.
  async #isUnchanged(kept: OpenFile): Promise<boolean> {
    const sinceMs = performance.now();
    const { size, ino, mtimeMs, ctimeMs } = await this.#io.stat(this.#root + kept.path);
    const same =
      size === kept.sizeBytes &&
      ino === kept.inode &&
      mtimeMs === kept.modifiedMs &&
      ctimeMs === kept.changedMs;
    if (!same || this.#files.get(kept.path) !== kept) return false;
    kept.checkedMs = sinceMs;
    this.#files.delete(kept.path);
    this.#files.set(kept.path, kept);
    return true;
  }

  /** @internal */
  onChange(path: string, action: WatchAction): void {
    this.#changes++;
    const kept = this.#files.get(path);
    if (kept !== undefined) this.#forget(kept);
    // Below a folder that has come there are other paths, too.
    if (action !== "modified") this.#absent.clear();
  }

  /** @internal */
  onUnknown(folder: string): void {
    this.#changes++;
    for (const file of this.#files.values()) {
      if (file.folder?.path === folder) file.checkedMs = Number.NEGATIVE_INFINITY;
    }
    this.#absent.clear();
  }

  #note(path: string, found: "folder" | null): "folder" | null {
    if (this.#absent.size >= MAX_FILES) this.#absent.clear();
    this.#absent.set(path, { found, untilMs: performance.now() + FRESH_MS });
    return found;
  }

  async #open(path: string): Promise<Found> {
    const folder = await this.#io.openDirectory(this.#root, BENEATH);
    try {
      return await this.#openIn(folder, path, path);
    } catch (error) {
      if (codeOf(error) !== "ERR_IO_RESOLVE") throw error;
      // The rule refuses every absolute link, also one that stays below the root.
      const real = await this.#resolve(path);
      return real === null ? this.#note(path, null) : await this.#openIn(folder, path, real);
    } finally {
      await folder.close();
    }
  }

  // What is asked for as `path` stands at `place`, which begins with "/" as well.
  async #openIn(folder: Directory, path: string, place: string): Promise<Found> {
    const changes = this.#changes;
    const sinceMs = performance.now();
    const nowMs = Date.now();
    const below = place.replace(/^\/+/, "") || ".";
    const before = await folder.stat(below);
    if (before.isDirectory()) return this.#note(path, "folder");
    // What is no file, such as a FIFO, might never end.
    if (!before.isFile()) return this.#note(path, null);
    const file = await folder.openFile(below);
    try {
      const status = await file.stat();
      if (!status.isFile()) {
        await file.close();
        return this.#note(path, null);
      }
      const { size, ino, mtimeMs, ctimeMs } = status;
      return this.#keep({
        path,
        file,
        sizeBytes: size,
        inode: ino,
        modifiedMs: mtimeMs,
        changedMs: ctimeMs,
        settled: nowMs - Math.max(mtimeMs, ctimeMs) > SETTLED_MS,
        etag: etagOf(size, mtimeMs),
        content: await this.#contentOf(file, size),
        // A change meanwhile may have been one of it.
        checkedMs: this.#changes === changes ? sinceMs : Number.NEGATIVE_INFINITY,
        folder: this.#notices.add(path.slice(0, path.lastIndexOf("/"))),
        users: 1,
      });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  // Part by part, as a link at any of them may lead out of the folder; null when one does, even
  // where a later one leads back.
  async #resolve(path: string): Promise<string | null> {
    const start = this.#root.endsWith(sep) ? this.#root : this.#root + sep;
    let real = this.#root;
    for (const part of path.split("/")) {
      if (part === "") continue;
      real = await realpath(real + sep + part);
      if (real !== this.#root && !real.startsWith(start)) return null;
    }
    return real.slice(this.#root.length);
  }

  async #contentOf(file: File, sizeBytes: number): Promise<Uint8Array | null> {
    if (sizeBytes > MAX_CONTENT_BYTES) return null;
    if (this.#contentBytes + sizeBytes > MAX_CONTENTS_BYTES) return null;
    const bytes = new Uint8Array(sizeBytes);
    const count = sizeBytes === 0 ? 0 : await file.readFull(bytes, { position: 0 });
    return count === sizeBytes ? bytes : null;
  }

  #keep(file: OpenFile): OpenFile {
    const before = this.#files.get(file.path);
    if (before !== undefined) this.#forget(before);
    this.#files.set(file.path, file);
    this.#absent.delete(file.path);
    this.#contentBytes += file.content?.length ?? 0;
    if (this.#files.size > MAX_FILES) {
      const [oldest] = this.#files.values();
      this.#forget(oldest!);
    }
    this.#sweeping ??= this.#context.runInAsyncScope(() =>
      setInterval(() => this.#sweep(), UNUSED_MS).unref(),
    );
    return file;
  }

  #sweep(): void {
    const limitMs = performance.now() - UNUSED_MS;
    for (const file of this.#files.values()) {
      if (file.checkedMs >= limitMs) break;
      this.#forget(file);
    }
    if (this.#files.size > 0) return;
    clearInterval(this.#sweeping!);
    this.#sweeping = null;
  }

  #forget(file: OpenFile): void {
    if (this.#files.get(file.path) !== file) return;
    this.#files.delete(file.path);
    this.#contentBytes -= file.content?.length ?? 0;
    if (file.folder !== null) this.#notices.remove(file.folder);
    this.release(file);
  }
}
