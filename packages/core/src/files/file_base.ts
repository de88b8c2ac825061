// What can be done with an open file beside reading and writing.

import { textFromBytes } from "../engine/text.js";
import { IOError } from "../errors.js";
import type { OperationOptions, Operations, Pending } from "../ring/promises.js";
import type { Ring } from "../ring/ring.js";
import { ADVICES, type Advice, ALLOCATE_MODES, type AllocateMode } from "../ring/ring_files.js";
import { XATTR_HOWS, type XattrHow } from "../ring/ring_xattr.js";
import type { Descriptor } from "../ring/types.js";
import {
  type Bytes,
  bytesFrom,
  checkOptions,
  type FileMode,
  flag,
  type Known,
  knows,
  modeFrom,
  oneOf,
  type Path,
  pathFrom,
  pathText,
  wholeOrBigint,
} from "../support/check.js";
import { type StatFs, StatFsRecord } from "./stat_fs.js";

/**
 * A place in a file or a length, in bytes: 0 to 2^53 - 1.
 *
 * @category Files
 */
export type Position = number | bigint;

/**
 * A range of a file.
 *
 * @category Files
 */
export interface FileRange {
  /** Where it begins, in bytes; 0 by default. */
  offset?: Position | null | undefined;
  /** How long it is, from 1 byte on; all that follows by default, however the file grows. */
  lengthBytes?: Position | null | undefined;
}

/**
 * How a file is locked, and which part of it.
 *
 * @category Files
 */
export interface LockOptions extends OperationOptions, FileRange {
  /** `true` (the default) for one holder, `false` to share the lock with others that share it. */
  exclusive?: boolean | null | undefined;
  /** `false` fails with `EAGAIN` when another open holds a lock there; `true` by default. */
  wait?: boolean | null | undefined;
}

/**
 * What becomes of the range of an {@link File.allocate}.
 *
 * @category Files
 */
export interface AllocateOptions extends OperationOptions {
  /** What to do with the range; "grow" by default, which reserves space. */
  mode?: AllocateMode | null | undefined;
}

/**
 * How an extended attribute is set.
 *
 * @category Files
 */
export interface SetXattrOptions extends OperationOptions {
  /** Whether it may be there: "any" by default. */
  how?: XattrHow | null | undefined;
}

type Start = (
  pending: Pending,
  ring: Ring,
  settle: Operations["settle"],
  descriptor: Descriptor,
) => void;

const LOCK = knows("lock", "exclusive", "offset", "lengthBytes", "wait");
const UNLOCK = knows("unlock", "offset", "lengthBytes");
const ALLOCATE = knows("allocate", "mode");
const ADVISE = knows("advise", "offset", "lengthBytes");
const SYNC_RANGE = knows("syncRange", "offset", "lengthBytes");
const FCHMOD = knows("fchmod");
const FCHOWN = knows("fchown");
const FUTIMES = knows("futimes");
const GET_XATTR = knows("getXattr");
const SET_XATTR = knows("setXattr", "how");
const LIST_XATTR = knows("listXattr");
const REMOVE_XATTR = knows("removeXattr");
const FSTATFS = knows("fstatfs");
const LINK = knows("linkDescriptor");

// The limits of Linux: XATTR_SIZE_MAX, XATTR_LIST_MAX. Most have a few bytes.
const FIRST_XATTR_BYTES = 512;
const MAX_XATTR_BYTES = 65_536;

/** Reads a value or names. They may grow between two calls: their size is not asked for first. */
export async function readXattr(read: (into: Uint8Array) => Promise<number>): Promise<Buffer> {
  const into = Buffer.allocUnsafeSlow(FIRST_XATTR_BYTES);
  try {
    return into.subarray(0, await read(into));
  } catch (error) {
    if (!(error instanceof IOError) || error.code !== "ERANGE") throw error;
  }
  const large = Buffer.allocUnsafeSlow(MAX_XATTR_BYTES);
  return large.subarray(0, await read(large));
}

/** The names of attributes, each of which ends with a zero byte. */
export function namesOfXattr(bytes: Uint8Array): string[] {
  return textFromBytes(bytes).split("\0").slice(0, -1);
}

/** The range of an operation; a length of 0 is all that follows. */
function rangeIn(range: FileRange | null | undefined, operation: string): [number, number] {
  const { offset, lengthBytes } = range ?? {};
  return [
    wholeOrBigint(offset ?? 0, 0, "offset", operation),
    lengthBytes === undefined || lengthBytes === null
      ? 0
      : wholeOrBigint(lengthBytes, 1, "lengthBytes", operation),
  ];
}

/** The base of {@link File}: what can be done with it beside reading and writing. */
export abstract class FileBase {
  /** Queues an operation on the file. @internal */
  protected abstract run(
    known: Known,
    options: OperationOptions | null | undefined,
    start: Start,
    dest?: string,
  ): Promise<number>;
  /** It is not closed as garbage from here on. @internal */
  protected abstract keepOpen(): void;

  /**
   * Locks the file, or a range of it, against other opens of it, in this process and in others.
   * Waits until that is possible, unless `wait` is `false`. An exclusive lock has one holder, a
   * shared one many; a lock that this open has already is changed to the other kind.
   *
   * A lock is advisory: it holds off those that ask for one. It belongs to this open of the file
   * and ends with `unlock()`, with `close()`, or with the process, however that ends. On Linux it
   * is a lock of the open file description (`F_OFD_SETLK` of fcntl(2)). macOS and the BSDs have
   * flock(2) instead, which locks the whole file: a range fails with `ENOTSUP` there. No system
   * reports that a lock is free without blocking a thread, so one that waits is tried every 20 ms.
   * Locks that wait get their turn in no order.
   *
   * @param options `exclusive`: `true` by default; `offset` and `lengthBytes`: the range, 0 and all
   *   that follows by default; `wait: false` fails at once with `EAGAIN` when another open holds a
   *   lock there. `signal` and `timeoutMs` end the wait.
   * @throws `EAGAIN` with `wait: false`, `ETIMEDOUT`, `EBADF` for an exclusive lock on a file that
   *   was opened for reading alone or a shared one on a file that was opened for writing alone
   *   (Linux), `ENOTSUP` for a range where the system has none, `ENOLCK`; the codes of every
   *   operation: {@link IOError.code}
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * await using mine = await io.openFile("data", { write: true, create: true });
   * await using other = await io.openFile("data", { write: true });
   * await mine.lock();
   * const waiting = other.lock({ timeoutMs: 1000 });
   * await mine.unlock();
   * await waiting; // it is the other's now
   * ```
   */
  async lock(options?: LockOptions | null): Promise<void> {
    checkOptions(options, LOCK);
    const exclusive = flag(options?.exclusive, true, "exclusive", "lock");
    const wait = flag(options?.wait, true, "wait", "lock");
    const [offset, length] = rangeIn(options, "lock");
    // A lock lives as long as the file is open, so a locked file is not closed as garbage.
    this.keepOpen();
    await this.run(LOCK, options, (c, ring, done, descriptor) =>
      ring.lock(c, done, descriptor, exclusive, offset, length, wait),
    );
  }

  /**
   * Ends the locks that this open has on the file, or on a range of it; does nothing where there
   * are none.
   *
   * @param options `offset` and `lengthBytes`: the range, 0 and all that follows by default.
   *   `signal` and `timeoutMs`.
   * @throws `ENOTSUP` for a range where the system has none, `ENOLCK`; the codes of every
   *   operation: {@link IOError.code}
   */
  async unlock(options?: (OperationOptions & FileRange) | null): Promise<void> {
    checkOptions(options, UNLOCK);
    const [offset, length] = rangeIn(options, "unlock");
    await this.run(UNLOCK, options, (c, ring, done, descriptor) =>
      ring.unlock(c, done, descriptor, offset, length),
    );
  }

  /**
   * Reserves, empties, removes or inserts a range of the file. By default it reserves disk space,
   * so that writes there cannot fail with ENOSPC.
   *
   * @param offset Where the range begins, in bytes.
   * @param lengthBytes How long it is, in bytes.
   * @param options `mode`: "grow" (the default), "keepSize", "punchHole", "zeroRange", "collapse"
   *   or "insert": see {@link AllocateMode}. `signal` and `timeoutMs`.
   * @throws `ENOSPC`, `EDQUOT`, `EFBIG`; `ENOTSUP` where the file system or the system does not
   *   know the mode; `EINVAL` for "collapse" and "insert" that are not whole blocks or reach the
   *   end of the file; the codes of every operation: {@link IOError.code}
   */
  async allocate(
    offset: Position,
    lengthBytes: Position,
    options?: AllocateOptions | null,
  ): Promise<void> {
    checkOptions(options, ALLOCATE);
    const mode = oneOf(options?.mode ?? "grow", ALLOCATE_MODES, "mode", "allocate");
    const start = wholeOrBigint(offset, 0, "offset", "allocate");
    const length = wholeOrBigint(lengthBytes, 0, "lengthBytes", "allocate");
    await this.run(ALLOCATE, options, (c, ring, done, descriptor) =>
      ring.allocate(c, done, descriptor, start, length, mode),
    );
  }

  /**
   * Says how the file, or a range of it, will be used, so that the system reads ahead or gives
   * memory back. It changes no result. A system that has no such advice does nothing: macOS knows
   * no "dontNeed" and "noReuse" and takes "sequential", "random" and "normal" for the whole file,
   * OpenBSD and DragonFly know none.
   *
   * @param advice What will be done with the range: see {@link Advice}.
   * @param options `offset` and `lengthBytes`: the range, 0 and all that follows by default.
   *   `signal` and `timeoutMs`.
   * @throws `ESPIPE` for a pipe or a FIFO; the codes of every operation: {@link IOError.code}
   */
  async advise(advice: Advice, options?: (OperationOptions & FileRange) | null): Promise<void> {
    checkOptions(options, ADVISE);
    const word = oneOf(advice, ADVICES, "the advice", "advise");
    const [offset, length] = rangeIn(options, "advise");
    await this.run(ADVISE, options, (c, ring, done, descriptor) =>
      ring.advise(c, done, descriptor, offset, length, word),
    );
  }

  /**
   * Writes out what was written to a range, and waits for it. On Linux (sync_file_range(2)) it
   * writes neither metadata nor the device's cache: it spreads the work of the `sync` that follows
   * over time, and makes nothing durable by itself. Elsewhere it is `sync("data")` of the file.
   *
   * @param options `offset` and `lengthBytes`: the range, 0 and all that follows by default.
   *   `signal` and `timeoutMs`.
   * @throws `EIO`, `ENOSPC`, `EDQUOT`; the codes of every operation: {@link IOError.code}
   */
  async syncRange(options?: (OperationOptions & FileRange) | null): Promise<void> {
    checkOptions(options, SYNC_RANGE);
    const [offset, length] = rangeIn(options, "syncRange");
    await this.run(SYNC_RANGE, options, (c, ring, done, descriptor) =>
      ring.syncRange(c, done, descriptor, offset, length),
    );
  }

  /**
   * Sets the permissions of the file.
   *
   * @param mode Permission bits; a string is octal and begins with a 0: "0644".
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `EPERM` for a file of another user, `EROFS`; the codes of every operation:
   *   {@link IOError.code}
   */
  async chmod(mode: FileMode, options?: OperationOptions | null): Promise<void> {
    const bits = modeFrom(mode, "fchmod");
    await this.run(FCHMOD, options, (c, ring, done, descriptor) =>
      ring.fchmod(c, done, descriptor, bits),
    );
  }

  /**
   * Sets the owner of the file.
   *
   * @param uid The number of the user; -1 leaves it.
   * @param gid The number of the group; -1 leaves it.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `EPERM` without the privilege, `EROFS`; the codes of every operation:
   *   {@link IOError.code}
   */
  async chown(uid: number, gid: number, options?: OperationOptions | null): Promise<void> {
    await this.run(FCHOWN, options, (c, ring, done, descriptor) =>
      ring.fchown(c, done, descriptor, uid, gid),
    );
  }

  /**
   * Sets the times of the file: of the last read, and of the last change of its bytes.
   *
   * @param atime A Date, milliseconds since 1970 with fractions, or nanoseconds as a bigint, as
   *   `stat({ bigint: true })` has them. Node's `fs` takes seconds.
   * @param mtime The same.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `EPERM` for a file of another user, `EROFS`; the codes of every operation:
   *   {@link IOError.code}
   */
  async utimes(
    atime: Date | number | bigint,
    mtime: Date | number | bigint,
    options?: OperationOptions | null,
  ): Promise<void> {
    await this.run(FUTIMES, options, (c, ring, done, descriptor) =>
      ring.futimes(c, done, descriptor, atime, mtime),
    );
  }

  /**
   * The value of an extended attribute.
   *
   * @param name The name of the attribute: "user.note" on Linux, where all that programs set begin
   *   with "user."; any on macOS.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns the bytes of its value
   * @throws `ENODATA` where there is no such attribute (`ENOATTR` on macOS), `ENOTSUP` where the
   *   file system or the system (the BSDs) has none; the codes of every operation:
   *   {@link IOError.code}
   */
  async getXattr(name: string, options?: OperationOptions | null): Promise<Buffer> {
    return readXattr((into) =>
      this.run(GET_XATTR, options, (c, ring, done, descriptor) =>
        ring.getXattr(c, done, descriptor, name, into),
      ),
    );
  }

  /**
   * Sets an extended attribute.
   *
   * @param name The name of the attribute: "user.note" on Linux, where all that programs set begin
   *   with "user."; any on macOS.
   * @param value The bytes, or text as UTF-8.
   * @param options `how`: "any" (the default), "create" or "replace": see {@link XattrHow}.
   *   `signal` and `timeoutMs`.
   * @throws `EEXIST` with "create", `ENODATA` (`ENOATTR` on macOS) with "replace", `ENOSPC`,
   *   `E2BIG`, `ENOTSUP` where the file system or the system (the BSDs) has none, or for a name
   *   that does not begin as Linux wants; the codes of every operation: {@link IOError.code}
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * await using file = await io.openFile("photo", { write: true, create: true });
   * await file.setXattr("user.origin", "https://example.org/");
   * process.stdout.write(`${await file.getXattr("user.origin")}\n`);
   * ```
   */
  async setXattr(
    name: string,
    value: Bytes | string,
    options?: SetXattrOptions | null,
  ): Promise<void> {
    checkOptions(options, SET_XATTR);
    const how = oneOf(options?.how ?? "any", XATTR_HOWS, "how", "setXattr");
    const bytes = bytesFrom(value, "setXattr");
    await this.run(SET_XATTR, options, (c, ring, done, descriptor) =>
      ring.setXattr(c, done, descriptor, name, bytes, how),
    );
  }

  /**
   * The names of the extended attributes.
   *
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns the names, in no order
   * @throws `ENOTSUP` where the file system or the system (the BSDs) has none; the codes of every
   *   operation: {@link IOError.code}
   */
  async listXattr(options?: OperationOptions | null): Promise<string[]> {
    const bytes = await readXattr((into) =>
      this.run(LIST_XATTR, options, (c, ring, done, descriptor) =>
        ring.listXattr(c, done, descriptor, into),
      ),
    );
    return namesOfXattr(bytes);
  }

  /**
   * Removes an extended attribute.
   *
   * @param name The name of the attribute.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `ENODATA` where there is no such attribute (`ENOATTR` on macOS), `ENOTSUP`; the codes
   *   of every operation: {@link IOError.code}
   */
  async removeXattr(name: string, options?: OperationOptions | null): Promise<void> {
    await this.run(REMOVE_XATTR, options, (c, ring, done, descriptor) =>
      ring.removeXattr(c, done, descriptor, name),
    );
  }

  /**
   * What is known of the file system that has the file.
   *
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns its size, and what of it is free
   * @throws `EIO`; the codes of every operation: {@link IOError.code}
   */
  async statfs(options?: OperationOptions | null): Promise<StatFs> {
    const record = new StatFsRecord();
    await this.run(FSTATFS, options, (c, ring, done, descriptor) =>
      ring.fstatfs(c, done, descriptor, record),
    );
    return record.statfs;
  }

  /**
   * Gives the open file a name (a hard link). With `temporary` it had none, and appears under this
   * name with all that was written to it. Linux only.
   *
   * @param path The name, which must be free, on the same file system.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `EEXIST`, `ENOENT` for a file that was removed or opened with `exclusive` and
   *   `temporary`, `EXDEV`, `EACCES`, `ENOTSUP` on other systems; the codes of every operation:
   *   {@link IOError.code}
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * await using file = await io.openFile(".", { write: true, temporary: true });
   * await file.writeAll("complete", 0);
   * await file.sync();
   * await file.link("result"); // never there without its content
   * ```
   */
  async link(path: Path, options?: OperationOptions | null): Promise<void> {
    const bytes = pathFrom(path, "linkDescriptor");
    await this.run(
      LINK,
      options,
      (c, ring, done, descriptor) => ring.linkDescriptor(c, done, descriptor, bytes),
      pathText(bytes),
    );
  }
}
