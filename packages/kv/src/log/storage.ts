/**
 * The log's file: appending, syncing, and cutting back what could not be written.
 *
 * Zeros are written ahead of the records in steps, with the commit that crosses a step. A sync then
 * finds the file's length and blocks as they were and has only data to write: one commit took
 * 0.17 ms instead of 0.26 ms on ext4. (Reserving blocks with allocate() measured no better than
 * nothing, since turning a reserved block into a written one is recorded as well.)
 */

import type { File, IO, PreparedOperation } from "@io/core";
import { codeOf } from "../errors.js";

/** What the group commit needs of a log. Tests put a failing one here. */
export interface LogStorage {
  /** Where the last good record ends. */
  readonly end: number;
  /** Writes at the end and, if asked, syncs. Moves the end only when all of it has succeeded. */
  append(bytes: Buffer, sync: boolean): Promise<void>;
  sync(): Promise<void>;
  /** Removes whatever lies behind the end, durably. */
  cutBack(): Promise<void>;
  close(): Promise<void>;
}

/** The write itself failed; nothing of it has been relied on. */
export class WriteFailure extends Error {}
/** The sync failed: what the disk holds of the bytes before it is unknown from here on. */
export class SyncFailure extends Error {}

const AHEAD_BYTES = 1024 * 1024;
const zeros = Buffer.alloc(AHEAD_BYTES);

export class FileStorage implements LogStorage {
  private fileBytes: number;

  constructor(
    private readonly io: IO,
    private file: File,
    public end: number,
    fileBytes: number,
  ) {
    this.fileBytes = Math.max(fileBytes, end);
  }

  /** For reading back what has been written: a rewrite copies the tail from here. */
  get handle(): File {
    return this.file;
  }

  async append(bytes: Buffer, sync: boolean): Promise<void> {
    if (sync) await this.appendSynced(bytes);
    else await this.writeAll(bytes);
    this.end += bytes.length;
    if (this.end > this.fileBytes) this.fileBytes = this.end;
  }

  private async appendSynced(bytes: Buffer): Promise<void> {
    const end = this.end + bytes.length;
    const steps: PreparedOperation[] = [this.file.prepareWrite(bytes, this.end)];
    let aheadEnd = this.fileBytes;
    if (end > this.fileBytes) {
      aheadEnd = Math.ceil(end / AHEAD_BYTES) * AHEAD_BYTES;
      if (aheadEnd > end)
        steps.push(this.file.prepareWrite(zeros.subarray(0, aheadEnd - end), end));
    }
    steps.push(this.file.prepareSync("data"));
    try {
      await this.io.chain(steps);
      this.fileBytes = aheadEnd;
      return;
    } catch (error) {
      if (isSyncFailure(error)) throw new SyncFailure("the sync failed", { cause: error });
    }
    // A short or failed write has broken the chain before its sync. Writing the same bytes to the
    // same place again either completes them or says why not. The zeros were a convenience.
    await this.writeAll(bytes);
    await this.sync();
  }

  private async writeAll(bytes: Buffer): Promise<void> {
    try {
      await this.file.writeAll(bytes, this.end);
    } catch (error) {
      throw new WriteFailure("the write failed", { cause: error });
    }
  }

  async sync(): Promise<void> {
    try {
      await this.file.sync("data");
    } catch (error) {
      throw new SyncFailure("the sync failed", { cause: error });
    }
  }

  async cutBack(): Promise<void> {
    await this.file.truncate(this.end);
    this.fileBytes = this.end;
    await this.file.sync("full");
  }

  /** Goes on with another file, whose records end at `end`. */
  async replace(file: File, end: number): Promise<void> {
    const former = this.file;
    this.file = file;
    this.end = this.fileBytes = end;
    await former.close();
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

/** A sync that was merely cancelled by a broken chain has not failed. */
function isSyncFailure(error: unknown): boolean {
  if (typeof error !== "object" || error === null || !("operation" in error)) return false;
  return String(error.operation).includes("sync") && codeOf(error) !== "ECANCELED";
}
