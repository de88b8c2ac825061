// Files with promises, over the ring.
import { constants } from "node:os";
import { TRANSFER_LIMIT_BYTES } from "../engine/abi.js";
import { closedError, IOError, numberError, rangeError, typeError } from "../errors.js";
import type { Completion } from "../ring/completion.js";
import {
  type About,
  aborted,
  checkedEndings,
  ignore,
  type OperationOptions,
  type Operations,
  type Pending,
} from "../ring/promises.js";
import { type Ring, SYNC_LEVELS, type SyncLevel, WriteFlags } from "../ring/ring.js";
import type { Descriptor } from "../ring/types.js";
import { stoppedAfter, timeLeft } from "../ring/whole_call.js";
import {
  type Bytes,
  bytesFrom,
  checkInstance,
  checkMade,
  checkOptions,
  flag,
  type Known,
  knows,
  knowsOnly,
  oneOf,
  shown,
  viewFrom,
  wholeOrBigint,
} from "../support/check.js";
import { OpenedFile } from "../support/forgotten.js";
import { ANY_COUNT, PreparedOperation } from "./chain.js";
import { FileBase, type Position } from "./file_base.js";
import { type BigIntStat, type DirectAlignment, type Stat, StatRecord } from "./stat.js";

const NO_ALIGNMENT: DirectAlignment = { memoryBytes: 1, positionBytes: 1 };

/**
 * Where a read or write takes place, and how it may be ended early.
 *
 * @category Files
 */
export interface TransferOptions extends OperationOptions {
  /**
   * Bytes from the beginning of the file, 0 to 2^53 - 1. Without it the file's current position
   * counts, and moves.
   */
  position?: Position | null | undefined;
}

/**
 * Where one write takes place, how it is made, and how it may be ended early. A flag that the
 * kernel or the file system does not know fails with `ENOTSUP`, and nothing was written then;
 * `io.capabilities` has a row for each: "writeDsync", "writeUncached" and so on.
 *
 * @category Files
 */
export interface WriteOptions extends TransferOptions {
  /**
   * The write is durable when it completes, as with `sync("data")` behind it (RWF_DSYNC); `false`
   * by default. With `direct` the device may store it in one step. Where the system has no such
   * flag (macOS, the BSDs), a sync follows the write.
   */
  dsync?: boolean | null | undefined;
  /**
   * The pages of the write leave the page cache as soon as they are written out, as those of a log
   * that is not read again (RWF_DONTCACHE); `false` by default. Linux 6.14, and a file system that
   * can.
   */
  uncached?: boolean | null | undefined;
  /**
   * After a loss of power all of the write is there or nothing (RWF_ATOMIC); `false` by default.
   * Linux 6.11, with `direct`, on a file system and a device that can: `file.stat()` has the
   * limits.
   */
  atomic?: boolean | null | undefined;
  /** The write goes to the end of the file (RWF_APPEND); `false` by default. Linux only. */
  append?: boolean | null | undefined;
  /**
   * Fails with `EAGAIN` where the write would have to wait for the disk, for a lock or for space in
   * a pipe (RWF_NOWAIT); `false` by default. Linux only. A file system that has no such writes says
   * `ENOTSUP` each time, as ext4 does without `direct`.
   */
  nowait?: boolean | null | undefined;
}

/**
 * Where a whole write takes place, how each of its parts is made, and how it may be ended early.
 *
 * @category Files
 */
export type WriteAllOptions = TransferOptions & Pick<WriteOptions, "dsync" | "uncached">;

/**
 * Where a write of a chain takes place, and how it is made.
 *
 * @category Files
 */
export type PreparedWriteOptions = Omit<WriteOptions, "signal" | "timeoutMs">;

/**
 * Where a range is copied to, and how much of it.
 *
 * @category Files
 */
export interface CopyRangeOptions extends OperationOptions {
  /** Where to write, in bytes; 0 by default. */
  offset?: Position | null | undefined;
  /** Where to read, in bytes; 0 by default. */
  sourceOffset?: Position | null | undefined;
  /** How many bytes at most; all that one call copies by default, below 2 GiB. */
  lengthBytes?: Position | null | undefined;
}

const READ = knows("read", "position");
const WRITE_FLAG_NAMES = ["dsync", "uncached", "atomic", "append", "nowait"] as const;
const WRITE = knows("write", "position", ...WRITE_FLAG_NAMES);
const PREPARE_WRITE = knowsOnly("prepareWrite", "position", ...WRITE_FLAG_NAMES);
const READ_FULL = knows("readFull", "position");
const WRITE_ALL = knows("writeAll", "position", "dsync", "uncached");
const READ_VECTORED = knows("readVectored", "position");
const WRITE_VECTORED = knows("writeVectored", "position", ...WRITE_FLAG_NAMES);
const STAT = knows("stat", "bigint");
const SYNC = knows("sync");
const TRUNCATE = knows("truncate");
const COPY_RANGE = knows("copyRange", "offset", "sourceOffset", "lengthBytes");
const REFLINK = knows("reflink");

/** Checks a position; without one it is the file's current position, as in Node. */
export function positionNumber(position: Position | null | undefined, operation: string): number {
  if (position === undefined || position === null) return -1;
  return placeNumber(position, operation, "the position");
}

/** Checks a place in a file, or a length, that must be given. */
function placeNumber(place: Position, operation: string, name: string): number {
  const value = typeof place === "bigint" ? Number(place) : place;
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw placeError(place, operation, name);
}

function placeError(place: unknown, operation: string, name: string): IOError {
  if (place === undefined || place === null) {
    return typeError(operation, `${name} is missing: give 0 to 2^53 - 1, 0 for the beginning`);
  }
  const message = `${name} is ${shown(place)}: give 0 to 2^53 - 1`;
  return numberError(operation, place, message, true);
}

// The second argument of a read or write is a position, or an object that may have one.
function optionsIn(place: unknown): TransferOptions | null {
  return typeof place === "object" ? (place as TransferOptions | null) : null;
}

function positionIn(
  place: Position | TransferOptions | null | undefined,
): Position | null | undefined {
  return typeof place === "object" && place !== null ? place.position : place;
}

// The results of a close that was not made: its chain has ended before it, or it was refused.
const NOT_CLOSED: ReadonlySet<number> = new Set([
  -constants.errno.ECANCELED,
  -constants.errno.EBADF,
]);

/** A close, or that of a chain which has begun before it and has therefore the descriptor. */
async function orElse(closing: Promise<void>, chained: Promise<boolean>): Promise<void> {
  try {
    await closing;
  } catch (error) {
    if ((error as IOError).code !== "EBADF" || !(await chained)) throw error;
  }
}

/** {@link WriteFlags} of the options of a write. */
function writeFlagsIn(options: PreparedWriteOptions, operation: string): number {
  let flags = 0;
  for (const name of WRITE_FLAG_NAMES) {
    if (flag(options[name], false, name, operation)) flags |= WriteFlags[name];
  }
  return flags;
}

function endingsIn(options?: TransferOptions | null): OperationOptions | null {
  if (!options) return null;
  const { signal, timeoutMs } = options;
  return { signal, timeoutMs };
}

function placedAt(position: number, options?: TransferOptions | null): Position | TransferOptions {
  return options ? { ...endingsIn(options), position } : position;
}

/**
 * An open file. Every operation returns a promise that settles when the operation has completed;
 * the buffer is the kernel's until then, also after an abort.
 *
 * `read` and `write` are single operations and may be short; `readFull` and `writeAll` go on until
 * all is done. After `close()` every call fails with code "ERR_IO_CLOSED".
 *
 * @category Files
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using file = await io.openFile("notes.txt", { read: true, write: true, create: true });
 * await file.writeAll(Buffer.from("hello"), 0);
 * await file.sync("data");
 * const back = new Uint8Array(5);
 * const count = await file.readFull(back, 0);
 * process.stdout.write(`${count} bytes: ${Buffer.from(back)}\n`);
 * ```
 */
export class File extends FileBase implements AsyncDisposable {
  /** As it was given to `io.openFile`; the path of a URL, and bytes read as UTF-8. */
  readonly path: string;
  /** Whether the file was opened past the page cache (O_DIRECT). */
  readonly direct: boolean;
  /**
   * What memory, positions and lengths of direct I/O have to be multiples of, as the file system
   * says it (Linux 6.1), or 4,096 where it does not, which fits every common device. 1 without
   * `direct`. `io.buffers` gives memory that fits.
   */
  readonly directAlignment: DirectAlignment;
  /** What it was opened for, where that is one of the two alone. @internal */
  readonly only: "reading" | "writing" | undefined;
  readonly #operations: Operations;
  readonly #descriptor: Descriptor;
  #watched = true; // as long as Forgotten looks after it
  #closing: Promise<void> | null = null;
  /** Of the closes that chains have: whether one of them has closed it. */
  #chained: Promise<boolean> | null = null;

  /** @internal */
  static isOne(value: unknown): value is File {
    return typeof value === "object" && value !== null && #operations in value;
  }

  /** @internal */
  constructor(
    operations: Operations,
    descriptor: Descriptor,
    path: string,
    direct: boolean,
    only: "reading" | "writing" | undefined,
    alignment: DirectAlignment = NO_ALIGNMENT,
  ) {
    super();
    checkMade(operations, "File", "await io.openFile()");
    this.only = only;
    this.#operations = operations;
    this.#descriptor = descriptor;
    this.path = path;
    this.direct = direct;
    this.directAlignment = alignment;
    operations.forgotten.watch(this, new OpenedFile(descriptor, path));
  }

  /**
   * For the verbs of `io.ring`. Once it was asked for, the file is no longer closed when it is
   * garbage.
   */
  get descriptor(): Descriptor {
    if (this.#watched) {
      this.#watched = false;
      this.#operations.forgotten.release(this);
    }
    return this.#descriptor;
  }

  /** @internal */
  get number(): Descriptor {
    return this.#descriptor;
  }

  /** Throws unless it is open, and a file of the IO with these operations. @internal */
  checkFor(operations: Operations, operation: string): void {
    this.#check(operation);
    if (this.#operations === operations) return;
    const message = `${operation}: the file belongs to another IO: open it with this one`;
    throw new IOError({ code: "ERR_INVALID_ARG_VALUE", operation, message });
  }

  /**
   * Reads up to `bytes.byteLength` bytes; resolves with how many, 0 at the end of the file. `place`
   * is the position, or `{ position, signal, timeoutMs }`.
   *
   * @param bytes The memory to read into; the kernel's until the promise settles.
   * @param place The position, or `{ position, signal, timeoutMs }`; the file's current position by
   *   default.
   * @returns the bytes read: 0 at the end of the file, and it may be fewer than asked
   * @throws `EBADF` on a file that was opened for writing alone, `EISDIR`, `EIO`, `EINVAL` with
   *   `direct` for memory that is not aligned; the codes of every operation: {@link IOError.code}
   */
  read(bytes: Bytes, place?: Position | TransferOptions | null): Promise<number> {
    const operations = this.#operations;
    const options = optionsIn(place);
    const promise = operations.begin(options, this, READ);
    const pending = operations.begun;
    if (pending === null) return promise;
    try {
      this.#check("read");
      const offset = positionNumber(positionIn(place), "read");
      const buffer = viewFrom(bytes, "read");
      operations.ring.read(pending, operations.settle, this.#descriptor, buffer, offset);
    } catch (error) {
      operations.fail(pending, error);
    }
    return promise;
  }

  /**
   * Writes up to `data.byteLength` bytes, or text as UTF-8; resolves with how many bytes.
   *
   * @param data The bytes, or text; the kernel's until the promise settles.
   * @param place The position, or `{ position, dsync, uncached, atomic, append, nowait, signal,
   *   timeoutMs }`: see {@link WriteOptions}; the file's current position by default.
   * @returns the bytes written, which may be fewer than given
   * @throws `ENOSPC`, `EDQUOT`, `EFBIG`, `EIO`, `EBADF` on a file that was opened for reading
   *   alone, `EINVAL` with `direct` for memory that is not aligned, `ENOTSUP` for a flag that the
   *   kernel or the file system does not know; the codes of every operation: {@link IOError.code}
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * await using log = await io.openFile("wal.log", { write: true, create: true });
   * await log.write("an entry\n", { position: 0, dsync: true }); // durable now
   * ```
   */
  write(data: Bytes | string, place?: Position | WriteOptions | null): Promise<number> {
    const operations = this.#operations;
    const options = optionsIn(place);
    const promise = operations.begin(
      options,
      options === null ? this : this.#about(options),
      WRITE,
    );
    const pending = operations.begun;
    if (pending === null) return promise;
    try {
      this.#check("write");
      const flags = options === null ? 0 : writeFlagsIn(options, "write");
      const offset = positionNumber(positionIn(place), "write");
      const buffer = bytesFrom(data, "write");
      operations.ring.write(pending, operations.settle, this.#descriptor, buffer, offset, flags);
    } catch (error) {
      operations.fail(pending, error);
    }
    return promise;
  }

  /**
   * Fills `bytes` from `position`, in as many reads as it takes; resolves with the bytes read,
   * fewer than the buffer has only at the end of the file. `signal` and `timeoutMs` are of the
   * whole call; its error has `transferred`, the bytes that were read.
   *
   * @param bytes The memory to fill.
   * @param place The position, or `{ position, signal, timeoutMs }`.
   * @returns the bytes read, fewer than the buffer has only at the end of the file
   * @throws `ERR_IO_NO_PROGRESS` when a direct read cannot go on; as `read`; the codes of every
   *   operation: {@link IOError.code}
   */
  async readFull(
    bytes: Bytes,
    place: Position | (TransferOptions & { position: Position }),
  ): Promise<number> {
    const options = optionsIn(place);
    const { signal } = checkedEndings(options, READ_FULL);
    const buffer = viewFrom(bytes, "readFull");
    const total = this.#operations.ring.checkBuffer(buffer, "readFull");
    const start = placeNumber(positionIn(place) as Position, "readFull", "the position");
    const time = timeLeft("readFull", "read", options);
    let done = 0;
    try {
      if (signal?.aborted) throw aborted("read", signal);
      while (done < total) {
        const piece = rest(this.#operations.ring, buffer, done, "readFull");
        const ends = time === null ? options : time.next();
        const count = await this.read(piece, placedAt(start + done, ends));
        if (count === 0) return done;
        const whole = this.direct ? count - (count % this.directAlignment.positionBytes) : count;
        // A direct read that ends between blocks is the end of the file, or was cut short: only a
        // read that begins at a block can go on, so the last part is read again.
        if (whole !== count && (await this.#endsBy(start + done + count, ends)))
          return done + count;
        if (whole === 0) throw this.#noProgress("readFull", count, total - done);
        done += whole;
      }
    } catch (error) {
      throw stoppedAfter(error, done, "readFull");
    }
    return done;
  }

  /**
   * Writes all of `data`, or text as UTF-8, at `position`, in as many writes as it takes. `signal`
   * and `timeoutMs` are of the whole call; its error has `transferred`, the bytes that were
   * written.
   *
   * @param data The bytes, or text.
   * @param place The position, or `{ position, dsync, uncached, signal, timeoutMs }`.
   * @throws `ERR_IO_NO_PROGRESS` when a write moved nothing; as `write`; the codes of every
   *   operation: {@link IOError.code}
   */
  async writeAll(
    data: Bytes | string,
    place: Position | (WriteAllOptions & { position: Position }),
  ): Promise<void> {
    const options = optionsIn(place);
    const { signal } = checkedEndings(options, WRITE_ALL);
    const buffer = bytesFrom(data, "writeAll");
    const total = this.#operations.ring.checkBuffer(buffer, "writeAll");
    const start = placeNumber(positionIn(place) as Position, "writeAll", "the position");
    const { dsync, uncached } = (options ?? {}) as WriteAllOptions;
    const how = {
      dsync: flag(dsync, false, "dsync", "writeAll"),
      uncached: flag(uncached, false, "uncached", "writeAll"),
    };
    const time = timeLeft("writeAll", "write", options);
    let done = 0;
    try {
      if (signal?.aborted) throw aborted("write", signal);
      while (done < total) {
        const piece = rest(this.#operations.ring, buffer, done, "writeAll");
        const ends = time === null ? options : time.next();
        const count = await this.write(piece, {
          ...endingsIn(ends),
          ...how,
          position: start + done,
        });
        const last = done + count === total;
        const whole =
          this.direct && !last ? count - (count % this.directAlignment.positionBytes) : count;
        if (whole === 0) throw this.#noProgress("writeAll", count, total - done);
        done += whole;
      }
    } catch (error) {
      throw stoppedAfter(error, done, "writeAll");
    }
  }

  /**
   * Reads into several buffers in turn (scatter); may be short.
   *
   * @param buffers The memory in order, up to 1,024 views.
   * @param place The position, or `{ position, signal, timeoutMs }`; the file's current position by
   *   default.
   * @returns the bytes read, 0 at the end of the file
   * @throws as `read`; the codes of every operation: {@link IOError.code}
   */
  async readVectored(
    buffers: readonly ArrayBufferView[],
    place?: Position | TransferOptions | null,
  ): Promise<number> {
    const options = optionsIn(place);
    checkOptions(options, READ_VECTORED);
    const offset = positionNumber(positionIn(place), "readVectored");
    return this.run(READ_VECTORED, options, (pending, ring, settle) =>
      ring.readVectored(pending, settle, this.#descriptor, buffers, offset),
    );
  }

  /**
   * Writes several buffers in turn (gather); may be short.
   *
   * @param buffers The bytes in order, up to 1,024 views.
   * @param place The position, or `{ position, dsync, uncached, atomic, append, nowait, signal,
   *   timeoutMs }`: see {@link WriteOptions}; the file's current position by default.
   * @returns the bytes written, which may be fewer than given
   * @throws as `write`; the codes of every operation: {@link IOError.code}
   */
  async writeVectored(
    buffers: readonly ArrayBufferView[],
    place?: Position | WriteOptions | null,
  ): Promise<number> {
    const options = optionsIn(place);
    checkOptions(options, WRITE_VECTORED);
    const flags = options === null ? 0 : writeFlagsIn(options, "writeVectored");
    const offset = positionNumber(positionIn(place), "writeVectored");
    return this.#operations.run(
      (pending, settle) => {
        this.#check("writeVectored");
        const { ring } = this.#operations;
        ring.writeVectored(pending, settle, this.#descriptor, buffers, offset, flags);
      },
      options,
      options === null ? this : this.#about(options),
      WRITE_VECTORED,
    );
  }

  /**
   * What is known of the file.
   *
   * @param options `bigint: true` for whole numbers of any size and nanoseconds; `signal` and
   *   `timeoutMs`; no limit by default.
   * @returns the file's size, times, permissions and kind
   * @throws `EIO`; the codes of every operation: {@link IOError.code}
   */
  async stat(
    options?: (OperationOptions & { bigint?: false | null | undefined }) | null,
  ): Promise<Stat>;
  /**
   * The same in bigints, with times in nanoseconds.
   *
   * @param options `bigint: true`; `signal` and `timeoutMs`; no limit by default.
   * @returns the file's size, times, permissions and kind
   * @throws `EIO`; the codes of every operation: {@link IOError.code}
   */
  async stat(options: OperationOptions & { bigint: true }): Promise<BigIntStat>;
  async stat(
    options?: (OperationOptions & { bigint?: boolean | null | undefined }) | null,
  ): Promise<Stat | BigIntStat> {
    checkOptions(options, STAT);
    const exact = flag(options?.bigint, false, "bigint", "stat");
    const record = new StatRecord();
    await this.run(STAT, options, (pending, ring, settle) =>
      ring.stat(pending, settle, this.#descriptor, record),
    );
    return exact ? record.bigint : record.stat;
  }

  /**
   * Makes what was written durable: "data" its bytes and its size, "full" all that belongs to it.
   * "barrier" only promises an order: what was written before it is durable before what is written
   * after it. Each covers what had completed before the call.
   *
   * @param level What to promise; "full" by default.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `EIO`, `ENOSPC`, `EDQUOT`: what was written may be lost, and a second sync need not say
   *   so; the codes of every operation: {@link IOError.code}
   */
  async sync(level: SyncLevel = "full", options?: OperationOptions | null): Promise<void> {
    await this.run(SYNC, options, (pending, ring, settle) =>
      ring.sync(pending, settle, this.#descriptor, level),
    );
  }

  /**
   * Cuts the file to `lengthBytes`, or lets it grow to them with a hole.
   *
   * @param lengthBytes The size that the file shall have, in bytes.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `EINVAL` on a file that was not opened for writing, `EFBIG`, `EIO`; the codes of every
   *   operation: {@link IOError.code}
   */
  async truncate(lengthBytes: Position, options?: OperationOptions | null): Promise<void> {
    const length = placeNumber(lengthBytes, "truncate", "lengthBytes");
    await this.run(TRUNCATE, options, (pending, ring, settle) =>
      ring.truncate(pending, settle, this.#descriptor, length),
    );
  }

  /**
   * Copies bytes of another file, or of another place of this one, into this file, through no
   * memory of the program. The file system makes the copy where it can: some share the blocks.
   * One call may copy fewer bytes than asked. `io.copyFile()` copies a whole file.
   *
   * @param source The file to copy from, of the same IO.
   * @param options `offset` (where to write) and `sourceOffset` (where to read), both 0 by default;
   *   `lengthBytes`, all that one call copies by default. `signal` and `timeoutMs`.
   * @returns the bytes copied: 0 at the end of the source
   * @throws `EBADF` for a source that was opened for writing alone, or a file for reading alone;
   *   `EINVAL` for ranges of one file that overlap; `ENOSPC`, `EFBIG`, `EISDIR`; the codes of every
   *   operation: {@link IOError.code}
   */
  async copyRange(source: File, options?: CopyRangeOptions | null): Promise<number> {
    checkOptions(options, COPY_RANGE);
    const from = this.#sourceOf(source, "copyRange");
    const offset = wholeOrBigint(options?.offset ?? 0, 0, "offset", "copyRange");
    const place = wholeOrBigint(options?.sourceOffset ?? 0, 0, "sourceOffset", "copyRange");
    const given = options?.lengthBytes ?? Number.MAX_SAFE_INTEGER;
    const length = wholeOrBigint(given, 0, "lengthBytes", "copyRange");
    return this.run(COPY_RANGE, options, (c, ring, done, descriptor) =>
      ring.copyRange(c, done, descriptor, from, offset, place, length),
    );
  }

  /**
   * Gives this file the content of another without copying it: both share their blocks until one of
   * them is written to. btrfs, XFS and bcachefs do that, on Linux.
   *
   * @param source The file whose content it gets, of the same IO and on the same file system.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `ENOTSUP` where the file system or the system cannot, `EXDEV`, `EINVAL`; the codes of
   *   every operation: {@link IOError.code}
   */
  async reflink(source: File, options?: OperationOptions | null): Promise<void> {
    const from = this.#sourceOf(source, "reflink");
    await this.run(REFLINK, options, (c, ring, done, descriptor) =>
      ring.reflink(c, done, descriptor, from),
    );
  }

  /**
   * A read for `io.chain`.
   *
   * @param bytes The memory to fill; at most 2,147,479,552 bytes.
   * @param position Where to read; the file's current position by default.
   * @returns the operation, for `io.chain`
   * @throws `ERR_IO_CLOSED`; the codes of a refused argument: {@link IOError.code}
   */
  prepareRead(bytes: Bytes, position?: Position | null): PreparedOperation {
    this.#check("prepareRead");
    const buffer = viewFrom(bytes, "prepareRead");
    this.#operations.ring.checkBuffer(buffer, "prepareRead");
    checkWhole(buffer, "prepareRead");
    const offset = positionNumber(position, "prepareRead");
    const { ring } = this.#operations;
    return new PreparedOperation(ring, this, buffer.byteLength, (completion, callback) => {
      ring.read(completion, callback, this.#descriptor, buffer, offset);
    });
  }

  /**
   * A write for `io.chain`.
   *
   * @param data The bytes, or text; at most 2,147,479,552 bytes.
   * @param place Where to write, or `{ position, dsync, uncached, atomic, append, nowait }`: see
   *   {@link WriteOptions}; the file's current position by default.
   * @returns the operation, for `io.chain`
   * @throws `ERR_IO_CLOSED`; the codes of a refused argument: {@link IOError.code}
   */
  prepareWrite(
    data: Bytes | string,
    place?: Position | PreparedWriteOptions | null,
  ): PreparedOperation {
    this.#check("prepareWrite");
    const options = optionsIn(place);
    checkOptions(options, PREPARE_WRITE);
    const flags = options === null ? 0 : writeFlagsIn(options, "prepareWrite");
    const buffer = bytesFrom(data, "prepareWrite");
    this.#operations.ring.checkBuffer(buffer, "prepareWrite");
    checkWhole(buffer, "prepareWrite");
    const offset = positionNumber(positionIn(place), "prepareWrite");
    const about = options === null ? this : this.#about(options);
    const { ring } = this.#operations;
    return new PreparedOperation(ring, about, buffer.byteLength, (completion, callback) => {
      ring.write(completion, callback, this.#descriptor, buffer, offset, flags);
    });
  }

  /**
   * A sync for `io.chain`.
   *
   * @param level What to promise; "full" by default.
   * @returns the operation, for `io.chain`
   * @throws `ERR_IO_CLOSED`; the codes of a refused argument: {@link IOError.code}
   */
  prepareSync(level: SyncLevel = "full"): PreparedOperation {
    this.#check("prepareSync");
    const word = oneOf(level, SYNC_LEVELS, "the level", "prepareSync");
    const { ring } = this.#operations;
    return new PreparedOperation(ring, this, ANY_COUNT, (completion, callback) => {
      ring.sync(completion, callback, this.#descriptor, word);
    });
  }

  /**
   * A close for `io.chain`. When it has been made the file is closed, as by `close()`, also when
   * the system said an error; until then, or when the chain ends before it, the file is still to be
   * closed. A `close()` meanwhile waits for one that has begun.
   *
   * @returns the operation, for `io.chain`
   * @throws `ERR_IO_CLOSED`
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * await using file = await io.openFile("settings.tmp", { write: true, create: true });
   * await io.chain([
   *   file.prepareWrite("{}"),
   *   file.prepareSync(),
   *   file.prepareClose(),
   *   io.prepare.rename("settings.tmp", "settings.json"),
   * ]);
   * ```
   */
  prepareClose(): PreparedOperation {
    this.#check("prepareClose");
    const { ring, forgotten } = this.#operations;
    return new PreparedOperation(ring, this, ANY_COUNT, (completion, callback) => {
      let settle: (closed: boolean | PromiseLike<boolean>) => void = ignore;
      const earlier = this.#chained ?? false;
      const chained = new Promise<boolean>((resolve) => {
        settle = resolve;
      });
      const closed = (one: Completion<number>, result: number): void => {
        // The engine gives the descriptor up before the call, whatever the system says then.
        const isClosed = !NOT_CLOSED.has(result);
        if (isClosed) {
          forgotten.release(this);
          this.#closing ??= Promise.resolve();
        }
        settle(isClosed || earlier);
        callback(one, result);
      };
      ring.close(completion, closed, this.#descriptor);
      this.#chained = chained;
    });
  }

  /**
   * Ends what is in flight on the file, then closes it. May be called again, with the same promise.
   * It takes neither `signal` nor `timeoutMs`: a close that is given up would leave the descriptor
   * to nothing that closes it.
   */
  close(): Promise<void> {
    if (this.#closing === null) {
      this.#operations.forgotten.release(this);
      const closing = this.#operations.close(this.#descriptor);
      this.#closing = this.#chained === null ? closing : orElse(closing, this.#chained);
    }
    return this.#closing;
  }

  /**
   * Gives the file away: ends what is in flight on it, and resolves with the number that the
   * system has for it. The descriptor stays open and is the caller's from then on: for
   * `new net.Socket({ fd })`, for `io.adopt()` in another Worker, or to be closed. It may not
   * block. Later calls fail with "ERR_IO_CLOSED".
   *
   * It takes neither `signal` nor `timeoutMs`: who gave up would not know whose it is.
   *
   * @returns the number
   * @throws `ERR_IO_CLOSED`
   */
  detach(): Promise<number> {
    return new Promise((resolve) => {
      this.#check("detach");
      this.#operations.check("detach");
      this.#operations.forgotten.release(this);
      const detached = this.#operations.detach(this.#descriptor);
      this.#closing = detached.then(ignore, ignore); // the caller of detach() gets its error
      resolve(detached);
    });
  }

  /** Closes the file: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(operation: string): void {
    if (this.#closing !== null) throw closedError(operation, `the file '${this.path}'`);
  }

  // What the error of a write is about: the flags that it was given too.
  #about(options: PreparedWriteOptions): About {
    const flags = WRITE_FLAG_NAMES.filter((name) => options[name] === true);
    return flags.length === 0 ? this : { path: this.path, only: this.only, flags };
  }

  /** @internal */
  protected override run(
    known: Known,
    options: OperationOptions | null | undefined,
    start: (
      pending: Pending,
      ring: Ring,
      settle: Operations["settle"],
      descriptor: Descriptor,
    ) => void,
    dest?: string,
  ): Promise<number> {
    return this.#operations.run(
      (pending, settle) => {
        this.#check(known.operation);
        start(pending, this.#operations.ring, settle, this.#descriptor);
      },
      options,
      dest === undefined ? this : { path: this.path, only: this.only, dest },
      known,
    );
  }

  /** @internal */
  protected override keepOpen(): void {
    this.#operations.forgotten.release(this);
  }

  // The descriptor of a file of the same IO.
  #sourceOf(source: File, operation: string): Descriptor {
    checkInstance(source, File, "a File", "the source", operation);
    source.checkFor(this.#operations, operation);
    return source.number;
  }

  async #endsBy(position: number, options?: TransferOptions | null): Promise<boolean> {
    const { size } = await this.stat(endingsIn(options));
    return position >= size;
  }

  #noProgress(operation: string, count: number, wanted: number): IOError {
    return new IOError({
      code: "ERR_IO_NO_PROGRESS",
      operation,
      path: this.path,
      message: `${operation} of '${this.path}': ${count} of ${wanted} bytes, and it cannot go on`,
    });
  }
}

// The kernel would cut it, and the cut buffer would count as whole for the chain.
function checkWhole(buffer: ArrayBufferView, operation: string): void {
  if (buffer.byteLength <= TRANSFER_LIMIT_BYTES) return;
  const message = `${buffer.byteLength} bytes are more than one operation moves: give at most `;
  throw rangeError(operation, message + TRANSFER_LIMIT_BYTES);
}

/** The part of a view that is still to do; throws when its memory has gone meanwhile. */
export function rest(
  ring: Ring,
  buffer: ArrayBufferView,
  done: number,
  operation: string,
): ArrayBufferView {
  if (done === 0) return buffer;
  ring.checkBuffer(buffer, operation);
  return new Uint8Array(buffer.buffer, buffer.byteOffset + done, buffer.byteLength - done);
}
