/**
 * Rewrites the log when most of it is garbage: values that were replaced, keys that are gone.
 *
 *      log          |== header ==|===== records so far =====|== tail: records since ==|
 *                                                           ^ capture
 *      log.rewrite  |== header ==|= one set per living key =|== the same tail =|
 *
 * 1. At a moment between two batches the entries are captured as references. Values never change in
 *    place, so this is a consistent picture; it costs a moment of some 130 ns per key.
 * 2. They are written to a new file, while commits go on in the old one.
 * 3. What the old log has gained since the capture is copied behind them, in rounds, until little
 *    is left. Then, with commits held up, the last of it, a sync, the rename, a sync of the folder.
 *
 * Until the rename nothing depends on the new file: when anything fails it is thrown away, and a
 * crash leaves a file that the next start removes. If the folder cannot be synced after the rename,
 * which of the two files the name will mean after a crash is unknown, and writes are refused.
 */

import { join } from "node:path";
import type { File, IO } from "@io/core";
import { codeOf, describeFailure } from "../errors.js";
import { syncFolder } from "../folders.js";
import type { Keyspace, SnapshotEntry } from "../keyspace.js";
import { Batch } from "./batch.js";
import type { GroupCommit } from "./commit.js";
import { HEADER_BYTES, makeHeader } from "./format.js";
import { readPieces } from "./recovery.js";
import type { FileStorage } from "./storage.js";

const WRITE_BYTES = 1024 * 1024;
/** With no more than this to copy, commits are held up for the rest. */
const LAST_ROUND_BYTES = 1024 * 1024;
/** A log is rewritten when it is so many times as long as what it needs to hold. */
const GARBAGE_FACTOR = 2;

export interface RewriteParts {
  readonly io: IO;
  readonly folder: string;
  readonly keyspace: Keyspace;
  readonly commit: GroupCommit;
  readonly storage: FileStorage;
  /** A log shorter than this is left as it is. */
  readonly minimumBytes: number;
  readonly report: (line: string) => void;
}

export class Rewriter {
  completed = 0;
  private running: Promise<void> | undefined;
  private stopping = false;
  /** After a failure, how long the log must become before the next attempt. */
  private notBelowBytes = 0;

  constructor(private readonly parts: RewriteParts) {}

  get active(): boolean {
    return this.running !== undefined;
  }

  /** Called after commits: begins when garbage dominates. */
  consider(): void {
    const { storage, keyspace, minimumBytes } = this.parts;
    if (this.running !== undefined || storage.end < minimumBytes) return;
    if (storage.end < this.notBelowBytes) return;
    if (storage.end > (keyspace.liveBytes + HEADER_BYTES) * GARBAGE_FACTOR) this.start();
  }

  /** False when a rewrite is going on already, or none can be made. */
  start(): boolean {
    if (this.running !== undefined || this.stopping) return false;
    if (this.parts.commit.refusal !== undefined) return false;
    this.running = this.rewrite()
      .catch((error: unknown) => this.failed(error))
      .finally(() => {
        this.running = undefined;
      });
    return true;
  }

  /** Gives up what is going on. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.running;
  }

  private async rewrite(): Promise<void> {
    const { io, folder, commit, storage, report } = this.parts;
    const formerBytes = storage.end;
    const { entries, logEnd } = await this.capture();
    const failuresBefore = commit.commitsFailed;
    const path = join(folder, "log.rewrite");
    const file = await io.openFile(path, { read: true, write: true, create: true, truncate: true });
    const target = { file, end: 0 };
    let adopted = false;
    try {
      await this.writeEntries(target, entries);
      let copied = logEnd;
      while (storage.end - copied > LAST_ROUND_BYTES) {
        copied = await this.copyTail(target, copied, storage.end);
      }
      await file.sync("full");
      await commit.betweenCommits(async () => {
        // A batch that was refused has been cut off the log again, perhaps with the captured end.
        if (commit.commitsFailed !== failuresBefore) throw new Error("a commit failed meanwhile");
        await this.copyTail(target, copied, storage.end);
        await file.sync("full");
        await io.rename(path, join(folder, "log"));
        adopted = true;
        await storage.replace(file, target.end);
        await syncFolder(io, folder).catch((error: unknown) => commit.refuseWrites(error));
      });
      this.completed++;
      this.notBelowBytes = 0;
      report(`rewrote the log: ${formerBytes} bytes became ${target.end}`);
    } finally {
      if (!adopted) await this.discard(file, path);
    }
  }

  private capture(): Promise<{ entries: SnapshotEntry[]; logEnd: number }> {
    const { commit, keyspace } = this.parts;
    return new Promise((resolve) => {
      commit.captureNext((logEnd) => resolve({ entries: keyspace.snapshot(), logEnd }));
    });
  }

  private async writeEntries(target: Target, entries: SnapshotEntry[]): Promise<void> {
    await append(target, makeHeader(Date.now()));
    const batch = new Batch();
    for (const { key, value, expireAtMs } of entries) {
      batch.begin();
      batch.set(key, value, expireAtMs);
      batch.end();
      if (batch.sizeBytes < WRITE_BYTES) continue;
      await this.appendBatch(target, batch);
    }
    await this.appendBatch(target, batch);
  }

  private async appendBatch(target: Target, batch: Batch): Promise<void> {
    if (this.stopping) throw new Error("the server is stopping");
    await append(target, batch.contents());
    batch.reset();
  }

  private async copyTail(target: Target, from: number, to: number): Promise<number> {
    if (this.stopping) throw new Error("the server is stopping");
    const { io, storage } = this.parts;
    if (from < to) {
      await readPieces(io, storage.handle, from, to, async (piece) => {
        await append(target, piece);
        return true;
      });
    }
    return to;
  }

  private failed(error: unknown): void {
    if (this.stopping) return;
    this.notBelowBytes = this.parts.storage.end * 1.5;
    this.parts.report(
      `the log could not be rewritten: ${describeFailure(error)}; it stays as it is`,
    );
  }

  private async discard(file: File, path: string): Promise<void> {
    await file.close();
    await removeLeftover(this.parts.io, path);
  }
}

/** Removes what a rewrite that was interrupted has left. */
export async function removeLeftover(io: IO, path: string): Promise<void> {
  try {
    await io.unlink(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

interface Target {
  readonly file: File;
  end: number;
}

async function append(target: Target, bytes: Buffer): Promise<void> {
  if (bytes.length === 0) return;
  await target.file.writeAll(bytes, target.end);
  target.end += bytes.length;
}
