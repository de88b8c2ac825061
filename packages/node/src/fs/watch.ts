// watch(): the events of a file, or of the names in a directory, under Node's names.

import type { PathLike } from "node:fs";
import { checkBoolean } from "../checks.js";
import { sharedIO } from "../engine/environment.js";
import { nodeError } from "../errors.js";
import { nameIn, optionsFrom, pathFrom, systemPath } from "./arguments.js";
import { abortError, fileError } from "./errors.js";

/** How `watch` watches. */
export interface WatchOptions {
  /** Of the names; "utf8" by default, "buffer" for their bytes. */
  encoding?: BufferEncoding | "buffer" | null | undefined;
  /** Whether it keeps the process alive; `true` by default. */
  persistent?: boolean | undefined;
  /** Also what is below a directory; `false` by default. */
  recursive?: boolean | undefined;
  /** Ends it. */
  signal?: AbortSignal | undefined;
  /** When events were lost: a warning ("ignore", the default) or an error ("throw"). */
  overflow?: "ignore" | "throw" | undefined;
  /** Has no effect: events wait in the system, which has a limit of its own. */
  maxQueue?: number | undefined;
}

/** An event of `watch`. */
export interface FileChangeInfo {
  /** "rename" when a name came or went, "change" when what it names changed. */
  eventType: "rename" | "change";
  /** The name, in `encoding`. */
  filename: string | Buffer;
}

// A byte that is not UTF-8 stands in a name of the core as U+DC80 to U+DCFF.
function bytesOf(name: string): Buffer {
  const parts = Array.from(name, (character) => {
    const code = character.codePointAt(0) as number;
    return code >= 0xdc80 && code <= 0xdcff ? Buffer.of(code - 0xdc00) : Buffer.from(character);
  });
  return Buffer.concat(parts);
}

const LOST = "more has happened than was read, and the system has dropped some of it";

/**
 * The events of a file, or of the names in a directory, from the first call of `next` on.
 *
 * @param path The file or directory.
 * @param options The encoding of the names, or an object.
 * @returns the events, as an async iterable
 * @throws `ENOENT`, `EACCES`; `ENOSPC` when the user has as many watches as Linux allows; `EMFILE`;
 *   `ABORT_ERR` when `signal` is aborted
 */
export async function* watch(
  path: PathLike,
  options?: BufferEncoding | WatchOptions | null,
): AsyncGenerator<FileChangeInfo, undefined, undefined> {
  const checked = pathFrom(path, "filename");
  const given = optionsFrom<WatchOptions>(options, {});
  const { encoding, persistent = true, recursive = false, signal, overflow } = given;
  checkBoolean(persistent, "options.persistent");
  checkBoolean(recursive, "options.recursive");
  if (signal?.aborted) throw abortError(signal.reason);
  try {
    const events = await sharedIO().watch(systemPath(checked), { recursive, signal });
    if (!persistent) events.unref();
    for await (const { eventType, filename } of events) {
      if (eventType === "rename" || eventType === "change") {
        yield { eventType, filename: nameIn(encoding, bytesOf(filename)) };
      } else if (eventType === "overflow" && overflow === "throw") {
        throw nodeError(Error, "ERR_FS_WATCH_QUEUE_OVERFLOW", `fs.watch(): ${LOST}`);
      } else if (eventType === "overflow") {
        process.emitWarning(`fs.watch(): ${LOST}`);
      }
    }
  } catch (error) {
    const { code, errno, operation } = error as {
      code: string;
      errno?: number;
      operation?: string;
    };
    if (operation === undefined) throw error;
    if (code === "ABORT_ERR") throw abortError(signal?.reason);
    throw errno === undefined ? error : fileError(errno, { syscall: "watch", path: checked });
  }
}
