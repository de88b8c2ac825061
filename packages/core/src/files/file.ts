// Files with promises, over the ring.
import { constants } from "node:os";
import {
  LOCK_LEVEL_EXCLUSIVE,
  LOCK_LEVEL_NONE,
  LOCK_LEVEL_SHARED,
  TRANSFER_LIMIT_BYTES,
} from "../engine/abi.js";
import { closedError, errnoName, IOError, rangeError } from "../errors.js";
import type { OperationOptions, Operations, Pending } from "../ring/operations.js";
import { type Ring, SYNC_LEVELS, type SyncLevel } from "../ring/ring.js";
import type { Descriptor } from "../ring/types.js";
import { stoppedAfter, timeLeft } from "../ring/whole_call.js";
import {
  type Bytes,
  bytesFrom,
  checkMade,
  checkOptions,
  flag,
  type Known,
  knows,
  oneOf,
  shown,
  viewFrom,
} from "../support/check.js";
import { OpenedFile } from "../support/forgotten.js";
import { PreparedOperation } from "./chain.js";
import { type Stat, StatRecord } from "./stat.js";

/** A place in a file or a length, in bytes: 0 to 2^53 - 1. */
export type Position = number | bigint;

// Multiples of this satisfy the alignment rule of direct I/O on every common device.
const DIRECT_ALIGNMENT_BYTES = 4096;

/** Where a read or write takes place, and how it may be ended early. */
export interface TransferOptions extends OperationOptions {
  /** The place in the file; without one its current position counts, and moves. */
  position?: Position | null | undefined;
}

/** How a file is locked: by one, or by many at a time. */
export type LockKind = "exclusive" | "shared";

const LOCK_LEVELS: Readonly<Record<LockKind, number>> = {
  exclusive: LOCK_LEVEL_EXCLUSIVE,
  shared: LOCK_LEVEL_SHARED,
};

const READ = knows("read", "position");
const WRITE = knows("write", "position");
const READ_FULL = knows("readFull", "position");
const WRITE_ALL = knows("writeAll", "position");
const READ_VECTORED = knows("readVectored", "position");
const WRITE_VECTORED = knows("writeVectored", "position");
const STAT = knows("stat");
const SYNC = knows("sync");
const ALLOCATE = knows("allocate", "keepSize");
const TRUNCATE = knows("truncate");

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
    return rangeError(operation, `${name} is missing: give 0 to 2^53 - 1, 0 for the beginning`);
  }
  return rangeError(operation, `${name} is ${shown(place)}: give 0 to 2^53 - 1`);
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
export class File implements AsyncDisposable {
  /** As it was given to `io.openFile`; the path of a URL, and bytes read as UTF-8. */
  readonly path: string;
  /** Whether the file was opened past the page cache (O_DIRECT). */
  readonly direct: boolean;
  /** What it was opened for, where that is one of the two alone. @internal */
  readonly only: "reading" | "writing" | undefined;
  readonly #operations: Operations;
  readonly #descriptor: Descriptor;
  #watched = true; // as long as Forgotten looks after it
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor(
    operations: Operations,
    descriptor: Descriptor,
    path: string,
    direct: boolean,
    only: "reading" | "writing" | undefined,
  ) {
    checkMade(operations, "File", "await io.openFile()");
    this.only = only;
    this.#operations = operations;
    this.#descriptor = descriptor;
    this.path = path;
    this.direct = direct;
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

  /** Writes up to `data.byteLength` bytes, or text as UTF-8; resolves with how many bytes. */
  write(data: Bytes | string, place?: Position | TransferOptions | null): Promise<number> {
    const operations = this.#operations;
    const options = optionsIn(place);
    const promise = operations.begin(options, this, WRITE);
    const pending = operations.begun;
    if (pending === null) return promise;
    try {
      this.#check("write");
      const offset = positionNumber(positionIn(place), "write");
      const buffer = bytesFrom(data, "write");
      operations.ring.write(pending, operations.settle, this.#descriptor, buffer, offset);
    } catch (error) {
      operations.fail(pending, error);
    }
    return promise;
  }

  /**
   * Fills `bytes` from `position`, in as many reads as it takes; resolves with the bytes read,
   * fewer than the buffer has only at the end of the file. `signal` and `timeoutMs` are of the
   * whole call; its error has `transferred`, the bytes that were read.
   */
  async readFull(
    bytes: Bytes,
    place: Position | (TransferOptions & { position: Position }),
  ): Promise<number> {
    const options = optionsIn(place);
    checkOptions(options, READ_FULL);
    const buffer = viewFrom(bytes, "readFull");
    this.#operations.ring.checkBuffer(buffer, "readFull");
    const start = placeNumber(positionIn(place) as Position, "readFull", "the position");
    const total = buffer.byteLength;
    const time = timeLeft("readFull", "read", options);
    let done = 0;
    try {
      while (done < total) {
        const piece = rest(this.#operations.ring, buffer, done, "readFull");
        const ends = time === null ? options : time.next();
        const count = await this.read(piece, placedAt(start + done, ends));
        if (count === 0) return done;
        const whole = this.direct ? count - (count % DIRECT_ALIGNMENT_BYTES) : count;
        // A direct read that ends between blocks is the end of the file, or was cut short: only a
        // read that begins at a block can go on, so the last piece is read again.
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
   */
  async writeAll(
    data: Bytes | string,
    place: Position | (TransferOptions & { position: Position }),
  ): Promise<void> {
    const options = optionsIn(place);
    checkOptions(options, WRITE_ALL);
    const buffer = bytesFrom(data, "writeAll");
    this.#operations.ring.checkBuffer(buffer, "writeAll");
    const start = placeNumber(positionIn(place) as Position, "writeAll", "the position");
    const total = buffer.byteLength;
    const time = timeLeft("writeAll", "write", options);
    let done = 0;
    try {
      while (done < total) {
        const piece = rest(this.#operations.ring, buffer, done, "writeAll");
        const ends = time === null ? options : time.next();
        const count = await this.write(piece, placedAt(start + done, ends));
        const last = done + count === total;
        const whole = this.direct && !last ? count - (count % DIRECT_ALIGNMENT_BYTES) : count;
        if (whole === 0) throw this.#noProgress("writeAll", count, total - done);
        done += whole;
      }
    } catch (error) {
      throw stoppedAfter(error, done, "writeAll");
    }
  }

  /** Reads into several buffers in turn (scatter); may be short. */
  async readVectored(
    buffers: readonly ArrayBufferView[],
    place?: Position | TransferOptions | null,
  ): Promise<number> {
    const options = optionsIn(place);
    checkOptions(options, READ_VECTORED);
    const offset = positionNumber(positionIn(place), "readVectored");
    return this.#run(READ_VECTORED, options, (pending, ring, settle) =>
      ring.readVectored(pending, settle, this.#descriptor, buffers, offset),
    );
  }

  /** Writes several buffers in turn (gather); may be short. */
  async writeVectored(
    buffers: readonly ArrayBufferView[],
    place?: Position | TransferOptions | null,
  ): Promise<number> {
    const options = optionsIn(place);
    checkOptions(options, WRITE_VECTORED);
    const offset = positionNumber(positionIn(place), "writeVectored");
    return this.#run(WRITE_VECTORED, options, (pending, ring, settle) =>
      ring.writeVectored(pending, settle, this.#descriptor, buffers, offset),
    );
  }

  /** What is known of the file. */
  async stat(options?: OperationOptions | null): Promise<Stat> {
    const record = new StatRecord();
    await this.#run(STAT, options, (pending, ring, settle) =>
      ring.stat(pending, settle, this.#descriptor, record),
    );
    return record.stat;
  }

  /**
   * Makes what was written durable: "data" its bytes and its size, "full" all that belongs to it.
   * "barrier" only promises an order: what was written before it is durable before what is written
   * after it. Each covers what had completed before the call.
   */
  async sync(level: SyncLevel = "full", options?: OperationOptions | null): Promise<void> {
    await this.#run(SYNC, options, (pending, ring, settle) =>
      ring.sync(pending, settle, this.#descriptor, level),
    );
  }

  /**
   * Reserves disk space, so that writes there cannot fail with ENOSPC. `keepSize`: without growing.
   */
  async allocate(
    offset: Position,
    lengthBytes: Position,
    options?: (OperationOptions & { keepSize?: boolean | null | undefined }) | null,
  ): Promise<void> {
    checkOptions(options, ALLOCATE);
    const keepSize = flag(options?.keepSize, false, "keepSize", "allocate");
    const start = placeNumber(offset, "allocate", "the offset");
    const length = placeNumber(lengthBytes, "allocate", "lengthBytes");
    await this.#run(ALLOCATE, options, (pending, ring, settle) =>
      ring.allocate(pending, settle, this.#descriptor, start, length, keepSize),
    );
  }

  /** Cuts the file to `lengthBytes`, or lets it grow to them with a hole. */
  async truncate(lengthBytes: Position, options?: OperationOptions | null): Promise<void> {
    const length = placeNumber(lengthBytes, "truncate", "lengthBytes");
    await this.#run(TRUNCATE, options, (pending, ring, settle) =>
      ring.truncate(pending, settle, this.#descriptor, length),
    );
  }

  /** A read for `io.chain`. */
  prepareRead(bytes: Bytes, position?: Position | null): PreparedOperation {
    this.#check("prepareRead");
    const buffer = viewFrom(bytes, "prepareRead");
    this.#operations.ring.checkBuffer(buffer, "prepareRead");
    checkWhole(buffer, "prepareRead");
    const offset = positionNumber(position, "prepareRead");
    return new PreparedOperation(this.#operations.ring, this, buffer, (completion, callback) => {
      this.#operations.ring.read(completion, callback, this.#descriptor, buffer, offset);
    });
  }

  /** A write for `io.chain`. */
  prepareWrite(data: Bytes | string, position?: Position | null): PreparedOperation {
    this.#check("prepareWrite");
    const buffer = bytesFrom(data, "prepareWrite");
    this.#operations.ring.checkBuffer(buffer, "prepareWrite");
    checkWhole(buffer, "prepareWrite");
    const offset = positionNumber(position, "prepareWrite");
    return new PreparedOperation(this.#operations.ring, this, buffer, (completion, callback) => {
      this.#operations.ring.write(completion, callback, this.#descriptor, buffer, offset);
    });
  }

  /** A sync for `io.chain`. */
  prepareSync(level: SyncLevel = "full"): PreparedOperation {
    this.#check("prepareSync");
    const word = oneOf(level, SYNC_LEVELS, "the level", "prepareSync");
    return new PreparedOperation(this.#operations.ring, this, null, (completion, callback) => {
      this.#operations.ring.sync(completion, callback, this.#descriptor, word);
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
      this.#closing = this.#operations.close(this.#descriptor);
    }
    return this.#closing;
  }

  /** Closes the file: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(operation: string): void {
    if (this.#closing !== null) throw closedError(operation, `the file '${this.path}'`);
  }

  #run(
    known: Known,
    options: OperationOptions | null | undefined,
    start: (pending: Pending, ring: Operations["ring"], settle: Operations["settle"]) => void,
  ): Promise<number> {
    return this.#operations.run(
      (pending, settle) => {
        this.#check(known.operation);
        start(pending, this.#operations.ring, settle);
      },
      options,
      this,
      known,
    );
  }

  /**
   * Locks the whole file against other opens of it, in this process and in others, without waiting.
   * Returns false when another open has it locked. "exclusive" (the default) allows one holder,
   * "shared" many; a lock that is held already is changed to the other kind.
   *
   * The lock is advisory: it holds off those that ask for one. It belongs to this open of the file
   * and ends with `unlock()`, with `close()`, or with the process, however that ends. It is made by
   * flock(2), which network file systems may treat differently. Throws an `IOError`, for example
   * "ENOLCK" where the file system has no locks.
   */
  tryLock(kind: LockKind = "exclusive"): boolean {
    this.#check("tryLock");
    const result = this.#lock(LOCK_LEVELS[oneOf(kind, LOCK_LEVELS, "the kind", "tryLock")]);
    if (result === 0) return true;
    if (result === -constants.errno.EAGAIN) return false;
    throw this.#lockError("tryLock", result);
  }

  /** Ends the lock of `tryLock`; does nothing when there is none. Throws an `IOError`. */
  unlock(): void {
    this.#check("unlock");
    const result = this.#lock(LOCK_LEVEL_NONE);
    if (result !== 0) throw this.#lockError("unlock", result);
  }

  #lock(level: number): number {
    // A lock lives as long as the file is open: one that was locked is not closed as garbage.
    this.#operations.forgotten.release(this);
    return this.#operations.ring.lockFile(this.#descriptor, level);
  }

  #lockError(operation: string, errno: number): IOError {
    const [code, text] = errnoName(errno);
    const { path } = this;
    const message = `${operation} of '${path}' failed in flock: ${code}, ${text}`;
    return new IOError({ code, errno, syscall: "flock", operation, path, message });
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

// The kernel would cut it, and the cut piece would count as whole for the chain.
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
