/**
 * A durable store: the keyspace in memory, the log on disk, and the lock on their folder. The
 * server is built on it, and a program may use it alone.
 *
 *     const store = await openStore({ io, folder: "./data" });
 *     await store.set("greeting", "hello");       // resolves when it is in the log
 *     await store.close();
 */

import { join } from "node:path";
import type { IO } from "@io/core";
import { Data } from "./data.js";
import { codeOf, describeFailure, KvError } from "./errors.js";
import { makeFolder } from "./folders.js";
import { FolderLock } from "./lock.js";
import { type CommitListener, GroupCommit, type SyncPolicy } from "./log/commit.js";
import { type RecoveryProgress, type RecoveryReport, recover } from "./log/recovery.js";
import { Rewriter, removeLeftover } from "./log/rewrite.js";
import { FileStorage } from "./log/storage.js";
import { MemoryLimit } from "./memory_limit.js";

export interface StoreOptions {
  readonly io: IO;
  /** Where the log is; made if it is not there. */
  readonly folder: string;
  /** When a write is done; see log/commit.ts. Default "always". */
  readonly sync?: SyncPolicy | undefined;
  /** Logs shorter than this are not rewritten. Default 64 MiB. */
  readonly rewriteMinimumBytes?: number | undefined;
  /** Bytes of keys and values at most. Default: half of the memory; see memory_limit.ts. */
  readonly maxMemoryBytes?: number | undefined;
  readonly onProgress?: ((progress: RecoveryProgress) => void) | undefined;
  /** How often progress is reported. Default 1000. */
  readonly progressIntervalMs?: number | undefined;
  /** Lines for the person who runs this. Default: they are dropped. */
  readonly report?: ((line: string) => void) | undefined;
  /** Gives up the recovery. */
  readonly signal?: AbortSignal | undefined;
}

/** Gets the results of the batches. */
export interface StoreListener {
  committed(): void;
  /** What came after batch `kept` and was not yet settled has been taken back. */
  takenBack(reason: string, kept: number): void;
}

/** How often it is looked whether the log is still there. */
const WATCH_INTERVAL_MS = 1000;

const REWRITE_MINIMUM_BYTES = 64 * 1024 * 1024;

export async function openStore(options: StoreOptions): Promise<Store> {
  const { io, folder } = options;
  await makeFolder(io, folder);
  const lock = await FolderLock.take(io, folder);
  try {
    await removeLeftover(io, join(folder, "log.rewrite"));
    await removeLeftover(io, join(folder, "log.new"));
    const data = new Data();
    const memoryLimit = new MemoryLimit(
      options.maxMemoryBytes ?? 0,
      options.report ?? (() => undefined),
    );
    const { file, end, fileBytes, report } = await recover(io, folder, data.keyspace, {
      ...options,
      memoryLimit,
    });
    data.keyspace.seal();
    const storage = new FileStorage(io, file, end, fileBytes);
    return new Store(options, data, storage, memoryLimit, lock, report);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

interface Waiter {
  readonly sequence: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Store implements CommitListener, AsyncDisposable {
  readonly commit: GroupCommit;
  readonly rewriter: Rewriter;
  private readonly tell: (line: string) => void;
  private readonly listeners = new Set<StoreListener>();
  private waiters: Waiter[] = [];
  private settledBefore = 0;
  private closing: Promise<void> | undefined;
  private readonly watch: NodeJS.Timeout;
  private watching: Promise<void> | undefined;
  private missing = false;

  /** Use `openStore`. */
  constructor(
    options: StoreOptions,
    readonly data: Data,
    readonly storage: FileStorage,
    readonly memoryLimit: MemoryLimit,
    private readonly lock: FolderLock,
    readonly recovery: RecoveryReport,
  ) {
    const { io, folder } = options;
    this.tell = options.report ?? (() => undefined);
    this.commit = new GroupCommit(data, storage, options.sync ?? "always", this);
    this.commit.settled = this.settledBefore = data.keyspace.sequence - 1;
    this.rewriter = new Rewriter({
      io,
      folder,
      keyspace: data.keyspace,
      commit: this.commit,
      storage,
      minimumBytes: options.rewriteMinimumBytes ?? REWRITE_MINIMUM_BYTES,
      report: this.tell,
    });
    const path = join(folder, "log");
    this.watch = setInterval(() => {
      this.watching ??= this.lookForLog(io, path)
        .catch((error: unknown) => this.tell(`${path}: ${describeFailure(error)}`))
        .finally(() => {
          this.watching = undefined;
        });
    }, WATCH_INTERVAL_MS);
    this.watch.unref();
  }

  get size(): number {
    return this.data.keyspace.size;
  }

  async get(key: string | Uint8Array): Promise<Buffer | undefined> {
    this.refuseWhenClosed();
    const { keyspace } = this.data;
    keyspace.touched = 0;
    const entry = keyspace.find(keyText(key), Date.now());
    const value = entry?.value;
    await this.settled(keyspace.touched);
    return typeof value === "string" ? Buffer.from(value, "latin1") : value;
  }

  async set(
    key: string | Uint8Array,
    value: string | Uint8Array,
    options: { expireAtMs?: number } = {},
  ): Promise<void> {
    this.refuseWhenClosed();
    const bytes = Buffer.from(value);
    const full = this.memoryLimit.refusal(this.data.keyspace, key.length + bytes.length, 2);
    if (full !== undefined) throw new KvError("ERR_KV_MEMORY", full.replace("OOM ", ""));
    await this.change(() => {
      const held = bytes.length < 4096 ? bytes.toString("latin1") : bytes;
      this.data.set(keyText(key), held, options.expireAtMs ?? 0);
    });
  }

  /** Whether there was such a key. */
  async delete(key: string | Uint8Array): Promise<boolean> {
    this.refuseWhenClosed();
    const entry = this.data.keyspace.find(keyText(key), Date.now());
    await this.change(() => {
      if (entry !== undefined) this.data.remove(entry);
    });
    return entry !== undefined;
  }

  /** Resolves when the batch is in the log; rejects when it has been taken back. */
  settled(sequence: number): Promise<void> {
    if (sequence <= this.commit.settled) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.waiters.push({ sequence, resolve, reject });
    });
  }

  listen(listener: StoreListener): void {
    this.listeners.add(listener);
  }

  /** Commits what is under way, syncs, and releases the folder. */
  close(): Promise<void> {
    this.closing ??= this.closeOnce();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  committed(): void {
    const { settled } = this.commit;
    this.settledBefore = settled;
    const waiters = this.waiters;
    if (waiters.length > 0) {
      this.waiters = [];
      for (const waiter of waiters) {
        if (waiter.sequence <= settled) waiter.resolve();
        else this.waiters.push(waiter);
      }
    }
    for (const listener of this.listeners) listener.committed();
    this.rewriter.consider();
  }

  takenBack(reason: string): void {
    const kept = this.settledBefore;
    this.settledBefore = this.commit.settled;
    const code = this.commit.refusal === undefined ? "ERR_KV_NO_ROOM" : "ERR_KV_READ_ONLY";
    const waiters = this.waiters;
    this.waiters = [];
    for (const waiter of waiters) {
      if (waiter.sequence <= kept) waiter.resolve();
      else waiter.reject(new KvError(code, reason.replace("MISCONF ", "")));
    }
    for (const listener of this.listeners) listener.takenBack(reason, kept);
  }

  report(line: string): void {
    this.tell(line);
  }

  private async change(make: () => void): Promise<void> {
    const { refusal } = this.commit;
    if (refusal !== undefined) {
      throw new KvError("ERR_KV_READ_ONLY", refusal.replace("MISCONF ", ""));
    }
    this.data.change(make);
    const { sequence } = this.data.keyspace;
    if (this.data.batch.records === 0) return;
    this.commit.schedule();
    await this.settled(sequence);
  }

  /**
   * A log that was removed or replaced takes every further write with it when the server ends. A
   * rewrite puts another file there for a moment, so only the second look counts.
   */
  private async lookForLog(io: IO, path: string): Promise<void> {
    if (this.rewriter.active || this.commit.refusal !== undefined) return;
    const own = await this.storage.handle.stat();
    const found = await io.stat(path).catch((error: unknown) => {
      if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
      throw error;
    });
    const there = found?.ino === own.ino && found.dev === own.dev;
    if (!there && this.missing) {
      const error = new KvError("ERR_KV_WRITE", `${path} was removed or replaced`);
      await this.commit.betweenCommits(() => this.commit.refuseWrites(error));
    }
    this.missing = !there;
  }

  private refuseWhenClosed(): void {
    if (this.closing === undefined) return;
    throw new KvError("ERR_KV_CLOSED", "the store is closed");
  }

  private async closeOnce(): Promise<void> {
    clearInterval(this.watch);
    await this.watching;
    try {
      await this.rewriter.stop();
      await this.commit.close();
    } finally {
      await this.storage.close();
      await this.lock.release();
    }
  }
}

/** Keys are strings with one byte per character inside; text from outside is UTF-8. */
function keyText(key: string | Uint8Array): string {
  return Buffer.from(key).toString("latin1");
}
