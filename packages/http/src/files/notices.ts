// What the system says of changes in the folders of kept files, which spares clients the second
// until a file is looked at again. It is a help and no promise: it does not see changes through
// links, mounts, mmap and network file systems, and folders beyond a number are not watched. So
// files are still looked at. A kqueue (macOS, the BSDs) would hold every file of a folder open,
// also those that no client asks for: there nothing is watched.

import type { AsyncResource } from "node:async_hooks";
import type { IO, Watch, WatchAction } from "@io/core";

// Each is an instance of inotify, of which a user has 128 by default (the sysctl
// fs.inotify.max_user_instances).
const MAX_FOLDERS = 16;
/** A folder in which more happens is not worth the time: logs are written there, or uploads. */
const MAX_EVENTS = 1000;
const EVENTS_MS = 1000;

/** A folder of which files are kept. */
export interface NoticedFolder {
  /** Below the root: "" or "/name/name". */
  readonly path: string;
  files: number;
  /** Null before there is one, and when it has ended. */
  watch: Watch | null;
}

/** Who gets the reports. */
export interface NoticeOwner {
  /** Something has happened to what has this path. */
  onChange(path: string, action: WatchAction): void;
  /** Anything may have happened in the folder, or to itself. */
  onUnknown(folder: string): void;
}

export class Notices {
  readonly #io: IO;
  readonly #root: string;
  readonly #owner: NoticeOwner;
  readonly #context: AsyncResource;
  readonly #holdsFilesOpen: boolean;
  readonly #folders = new Map<string, NoticedFolder>();

  /** `context` is that of the program: a loop over events outlives the request that begins it. */
  constructor(io: IO, root: string, owner: NoticeOwner, context: AsyncResource) {
    this.#io = io;
    this.#root = root;
    this.#owner = owner;
    this.#context = context;
    // Only a kqueue watches natively.
    this.#holdsFilesOpen = io.capabilities.watch.support === "native";
  }

  /** A file of the folder is kept; null when there are too many folders, or none is watched. */
  add(path: string): NoticedFolder | null {
    if (this.#holdsFilesOpen) return null;
    let folder = this.#folders.get(path);
    if (folder === undefined) {
      if (this.#folders.size >= MAX_FOLDERS) return null;
      folder = { path, files: 0, watch: null };
      this.#folders.set(path, folder);
      void this.#context.runInAsyncScope(this.#watch, this, folder);
    }
    folder.files++;
    return folder;
  }

  /** It is not kept any more. */
  remove(folder: NoticedFolder): void {
    if (--folder.files > 0) return;
    this.#folders.delete(folder.path);
    this.#end(folder);
  }

  async #watch(folder: NoticedFolder): Promise<void> {
    try {
      const watch = await this.#io.watch(this.#root + folder.path);
      folder.watch = watch.unref();
      if (folder.files === 0) this.#end(folder);
      // What has happened before was not noticed.
      this.#owner.onUnknown(folder.path);
      await this.#follow(folder, watch);
    } catch {
      // The system has no such thing, or no room for one more: its files are looked at.
    }
    folder.watch = null;
    this.#owner.onUnknown(folder.path);
  }

  async #follow(folder: NoticedFolder, watch: Watch): Promise<void> {
    let sinceMs = performance.now();
    let events = 0;
    for await (const { action, filename, isWatched } of watch) {
      if (isWatched || action === "overflow") {
        this.#owner.onUnknown(folder.path);
        if (action === "movedFrom") return; // it is another folder's path now
        continue;
      }
      this.#owner.onChange(`${folder.path}/${filename}`, action);
      if (++events < MAX_EVENTS) continue;
      const nowMs = performance.now();
      if (nowMs - sinceMs < EVENTS_MS) return;
      sinceMs = nowMs;
      events = 0;
    }
  }

  #end(folder: NoticedFolder): void {
    folder.watch?.close().catch((error: unknown) => {
      process.emitWarning(`a watch could not be closed: ${String(error)}`);
    });
    folder.watch = null;
  }
}
