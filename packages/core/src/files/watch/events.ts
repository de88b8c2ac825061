// What a watch is asked, and what it tells.
import type { OperationOptions } from "../../ring/promises.js";

/**
 * How a file or directory is watched.
 *
 * @category Files
 */
export interface WatchOptions extends OperationOptions {
  /**
   * Also what is below the directory, also in directories that appear later; `false` by default. No
   * symbolic link is followed.
   */
  recursive?: boolean | null | undefined;
  /** Ends the watch when it is aborted, also later: the loop throws `ABORT_ERR`. */
  signal?: AbortSignal | null | undefined;
  /** Milliseconds until the promise of the watch is rejected with `ETIMEDOUT`; no limit then. */
  timeoutMs?: number | null | undefined;
}

/**
 * What has happened. A rename is two events, "movedFrom" of the old name and "movedTo" of the new
 * one, with the same cookie; one of them alone says that the other name is not watched.
 *
 * "overflow": more has happened than was read, and the system has dropped some of it. Look at
 * everything again. "unwatched": a directory below may not be read, or the system has no room to
 * watch it, and nothing of what happens in it is known. On macOS and the BSDs it comes of a file
 * too, whose bytes and attributes are not watched then; its name is.
 *
 * @category Files
 */
export type WatchAction =
  | "created"
  | "removed"
  | "movedFrom"
  | "movedTo"
  | "modified"
  | "attributes"
  | "overflow"
  | "unwatched";

/**
 * An event of a watched file, or of a name in a watched directory. `eventType` and `filename` are
 * those of Node's `fs.promises.watch`.
 *
 * @category Files
 */
export interface WatchEvent {
  /**
   * "rename" when a name has come or gone, "change" when the bytes or attributes of a file have
   * changed; or "overflow" and "unwatched" as the action has them.
   */
  readonly eventType: "rename" | "change" | "overflow" | "unwatched";
  /** What has happened. */
  readonly action: WatchAction;
  /**
   * The name in the directory, below it with the directories on the way. Of the watched file or
   * directory itself it is the last part of its path, and `isWatched` is true. "" for an overflow.
   */
  readonly filename: string;
  /** Whether it is of the watched file or directory itself, and not of a name in it. */
  readonly isWatched: boolean;
  /** Whether it is a directory. */
  readonly isDirectory: boolean;
  /** The number that both events of a rename have; 0 of others. */
  readonly cookie: number;
}
