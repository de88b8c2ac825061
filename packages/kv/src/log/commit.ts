/**
 * Group commit. While one batch of records is being written and synced, the next one gathers; when
 * it is done, everything that has gathered is the next batch. So the number of syncs does not grow
 * with the number of clients.
 *
 *      clients   SET a  SET b      SET c  SET d  SET e          replies to c, d, e
 *      gathering [a b]             [c d e]                      |
 *      disk             write+sync [a b] -> write+sync [c d e] -+
 *
 * When a reply may leave depends on the policy:
 * - always: the records it depends on are written and synced.
 * - everysec: they are written, that is, safe from a crash of this process but not of the machine.
 *   A sync follows each second.
 * - no: they are written, and when they are synced is left to the kernel.
 *
 * When a batch cannot be written, it and everything that has gathered on top of it is taken back
 * from memory, and each of its replies becomes an error. Then:
 * - Without room (ENOSPC, EDQUOT, EFBIG) on the write, before any sync: the log is cut back to its
 *   last good record, and that is synced, so that no part of the refused batch can come back at the
 *   next recovery. Then writes are tried again as they come: they succeed once there is room.
 * - After anything else, a failed sync above all, writes are refused until the server is started
 *   again. A failed sync is never tried again: the kernel may have dropped the pages and marked
 *   them clean, so a second sync would succeed and mean nothing. The log is cut back as far as it
 *   can be; what lies before the cut was synced before. Reads go on.
 */

import type { Data } from "../data.js";
import { describeFailure, isNoRoom } from "../errors.js";
import type { Undo } from "../keyspace.js";
import { Batch } from "./batch.js";
import { type LogStorage, SyncFailure, WriteFailure } from "./storage.js";

export type SyncPolicy = "always" | "everysec" | "no";

/** Who waits for commits. */
export interface CommitListener {
  /** The batches up to `settled` are in the log. */
  committed(): void;
  /** What had not been committed has been taken back; `reason` is the text of an error reply. */
  takenBack(reason: string): void;
  /** A line for the person who runs the server. */
  report(line: string): void;
}

const SYNC_INTERVAL_MS = 1000;

export class GroupCommit {
  /** Every batch up to this number is decided: in the log, or taken back. */
  settled = 0;
  /** Why writes are refused, as the text of an error reply. */
  refusal: string | undefined;
  commits = 0;
  commitsFailed = 0;
  records = 0;

  private spare = new Batch();
  private inFlight: Undo = [];
  private running = false;
  private scheduled = false;
  private unsynced = false;
  private syncing: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private waiting: (() => void)[] = [];
  private waitingForTaken: (() => void)[] = [];
  private capture: ((logEnd: number) => void) | undefined;
  private boundaries: (() => Promise<void>)[] = [];

  constructor(
    private readonly data: Data,
    private readonly storage: LogStorage,
    readonly policy: SyncPolicy,
    private readonly listener: CommitListener,
  ) {
    if (policy !== "everysec") return;
    this.timer = setInterval(() => this.syncInBackground(), SYNC_INTERVAL_MS);
    this.timer.unref();
  }

  /** Bytes gathered for the next commit. */
  get gatheredBytes(): number {
    return this.data.batch.sizeBytes;
  }

  /** Records have gathered: commits them once every connection that is ready has had its turn. */
  schedule(): void {
    if (this.running || this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      void this.run();
    });
  }

  /** Resolves when what has gathered so far is on its way into the log, or taken back. */
  taken(): Promise<void> {
    if (this.data.batch.records === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.waitingForTaken.push(resolve);
      this.schedule();
    });
  }

  /** Resolves when nothing gathers and nothing is in flight. */
  async idle(): Promise<void> {
    while (this.running || this.scheduled || this.data.batch.records > 0) {
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve);
        this.schedule();
      });
    }
  }

  /**
   * Calls back at a moment when the keyspace holds exactly what the log will hold up to `logEnd`,
   * with the batch that ends there still to be written.
   */
  captureNext(capture: (logEnd: number) => void): void {
    if (!this.running && this.data.batch.records === 0) capture(this.storage.end);
    else this.capture = capture;
  }

  /** Runs the action while no commit is in flight and none begins. It handles its own errors. */
  betweenCommits(action: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.boundaries.push(() => action().then(resolve, reject));
      this.schedule();
    });
  }

  /** Writes everything that has gathered, syncs, and stops. */
  async close(): Promise<void> {
    await this.idle();
    clearInterval(this.timer);
    await this.syncing;
    if (this.refusal !== undefined) return;
    if (this.unsynced) await this.storage.sync();
    await this.storage.cutBack();
  }

  /**
   * Refuses writes from now on and takes back what is not committed. Not to be called while a
   * commit is in flight.
   */
  async refuseWrites(error: unknown): Promise<void> {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const what = error instanceof SyncFailure ? "syncing the log" : "writing the log";
    this.refusal ??=
      `MISCONF ${what} failed: ${describeFailure(cause)}. Nothing is written any more, ` +
      "because what the disk holds is no longer certain; reads go on. Mend the disk and restart.";
    this.listener.report(this.refusal.replace("MISCONF ", ""));
    this.takeBack(this.refusal);
    try {
      await this.storage.cutBack();
    } catch (failure) {
      this.listener.report(
        `the log could not be cut back to its last good record: ${describeFailure(failure)}; ` +
          "the next start may find writes in it that were answered with an error",
      );
    }
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    for (;;) {
      for (let next = this.boundaries.shift(); next; next = this.boundaries.shift()) await next();
      if (this.data.batch.records === 0) break;
      if (this.refusal !== undefined) this.takeBack(this.refusal);
      else await this.commitOne();
    }
    this.running = false;
    this.capture?.(this.storage.end);
    this.capture = undefined;
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }

  private async commitOne(): Promise<void> {
    const { data } = this;
    const batch = data.batch;
    const sequence = data.keyspace.sequence;
    data.batch = this.spare;
    this.spare = batch;
    this.wakeTaken();
    this.inFlight = data.keyspace.seal();
    const capture = this.capture;
    this.capture = undefined;
    capture?.(this.storage.end + batch.sizeBytes);
    try {
      await this.storage.append(batch.contents(), this.policy === "always");
    } catch (error) {
      this.commitsFailed++;
      await this.failed(error);
      return;
    } finally {
      this.records += batch.records;
      batch.reset();
    }
    this.unsynced = this.policy !== "always";
    this.commits++;
    this.inFlight = [];
    this.settled = sequence;
    this.listener.committed();
  }

  private wakeTaken(): void {
    const waiting = this.waitingForTaken;
    this.waitingForTaken = [];
    for (const resolve of waiting) resolve();
  }

  private async failed(error: unknown): Promise<void> {
    const cause = error instanceof Error ? error.cause : undefined;
    if (!(error instanceof WriteFailure) || !isNoRoom(cause)) {
      await this.refuseWrites(error);
      return;
    }
    // Before the answers are sent: a client that has an answer must find its command in the log.
    try {
      await this.storage.cutBack();
    } catch (failure) {
      await this.refuseWrites(failure);
      return;
    }
    const what = describeFailure(cause);
    this.listener.report(`a commit was refused: ${what}; it was taken back`);
    this.takeBack(
      `MISCONF the log could not be written: ${what}. The command was not carried out. ` +
        "Free some space and try again.",
    );
  }

  /** Undoes everything that is not in the log, newest first, and fails the waiting requests. */
  private takeBack(reason: string): void {
    const { keyspace } = this.data;
    keyspace.rollback(keyspace.seal());
    keyspace.rollback(this.inFlight);
    this.inFlight = [];
    this.data.batch.reset();
    this.wakeTaken();
    this.settled = keyspace.sequence - 1;
    this.listener.takenBack(reason);
  }

  private syncInBackground(): void {
    if (!this.unsynced || this.syncing !== undefined || this.refusal !== undefined) return;
    this.unsynced = false;
    this.syncing = this.storage
      .sync()
      .catch((error: unknown) => this.betweenCommits(() => this.refuseWrites(error)))
      .finally(() => {
        this.syncing = undefined;
      });
  }
}
