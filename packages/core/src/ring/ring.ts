// The ring: every operation, with a caller-owned completion and a callback. Nothing is allocated
// per operation. Everything else in this package is made of these verbs.

import * as abi from "../engine/abi.js";
import { StatRecord } from "../files/stat.js";
import { checkInstance, type Path } from "../support/check.js";
import { type Callback, Completion } from "./completion.js";
import { MultishotVerbs } from "./ring_multishot.js";
import type { Descriptor } from "./types.js";

/**
 * What `sync` promises: "data" that a file's bytes and its size are durable, "full" that all its
 * metadata is too, "barrier" only that what was written before becomes durable before what is
 * written after. What each system does for them is in `docs/guides/durability.md`.
 */
export type SyncLevel = "data" | "full" | "barrier";

/** The number of each level in an entry. */
export const SYNC_LEVELS: Readonly<Record<SyncLevel, number>> = {
  data: abi.SYNC_LEVEL_DATA,
  full: abi.SYNC_LEVEL_FULL,
  barrier: abi.SYNC_LEVEL_BARRIER,
};

/** How a file is opened, as bits for {@link Ring.open}. */
export const OpenFlags = {
  read: abi.OPEN_FLAG_READ,
  write: abi.OPEN_FLAG_WRITE,
  append: abi.OPEN_FLAG_APPEND,
  create: abi.OPEN_FLAG_CREATE,
  exclusive: abi.OPEN_FLAG_EXCLUSIVE,
  truncate: abi.OPEN_FLAG_TRUNCATE,
  direct: abi.OPEN_FLAG_DIRECT,
  directory: abi.OPEN_FLAG_DIRECTORY,
  noFollow: abi.OPEN_FLAG_NO_FOLLOW,
} as const;

/**
 * The lower layer, in the shape of TigerBeetle's: each verb queues one operation with a {@link
 * Completion} that the caller owns, and the callback is given the result: a count, a descriptor or
 * 0, or a negative error number. Every verb is `verb(completion, callback, ...arguments)`.
 *
 * What is queued goes to the kernel together at the end of the turn (attached), in `io.run()` or
 * `io.runFor()` (detached), or at once with `flush()`; a full ring is handed over earlier, and
 * reads and writes of files that callbacks queue go a few at a time, so that no disk waits. A verb
 * throws an `IOError` when an argument is refused, when the limit of operations in flight is
 * reached ("ERR_IO_IN_FLIGHT_LIMIT"), when the completion is in use ("ERR_IO_COMPLETION_ACTIVE"),
 * and after `io.close()` ("ERR_IO_CLOSED"); then nothing was queued.
 *
 * Memory that is named belongs to the kernel until the final completion.
 *
 * Chains and time limits are flags of an entry, set on its completion before the verb is called:
 * {@link Completion.link} and {@link Completion.timeoutNs}.
 */
export class Ring extends MultishotVerbs {
  // ---- ring

  /** Does nothing and completes with 0. */
  nop<C>(completion: Completion<C>, callback: Callback<C>): void {
    this.queue.check("nop");
    this.queue.begin(completion, callback, abi.OPCODE_NOP);
  }

  /** Completes with 0 after `durationNs` nanoseconds of the monotonic clock. */
  timeout<C>(completion: Completion<C>, callback: Callback<C>, durationNs: number): void {
    this.queue.check("timeout");
    this.checkSize(durationNs, "timeout", "durationNs");
    const at = this.queue.begin(completion, callback, abi.OPCODE_TIMEOUT);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = durationNs;
  }

  /**
   * Asks for the end of one operation. Completes with 0 when it was ended, -ENOENT when it is not
   * in flight any more, -EALREADY when it can no longer be ended. The target completes as always:
   * with
   * -ECANCELED, or with its result when it was faster.
   */
  cancel<C, T>(completion: Completion<C>, callback: Callback<C>, target: Completion<T>): void {
    this.queue.checkText("cancel", completion);
    checkInstance(target, Completion, "a Completion", "the target", "cancel");
    const [slot, generation] = this.queue.tokenOf(target);
    const at = this.queue.begin(completion, callback, abi.OPCODE_CANCEL);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = slot;
    this.queue.words[at + abi.ENTRY_ARGUMENT_EXTRA] = generation;
  }

  /**
   * Asks for the end of everything in flight on a descriptor; completes with how many were ended.
   */
  cancelDescriptor<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
  ): void {
    this.queue.checkText("cancelDescriptor", completion);
    this.descriptor(completion, callback, abi.OPCODE_CANCEL_DESCRIPTOR, descriptor);
  }

  /**
   * Asks for the end of everything in flight; completes with how many operations were found, which
   * need not be how many end. epoll and kqueue count what they end. io_uring tells the kernel's
   * count, which has one for all writes of one file that wait for a kernel worker together. Whether
   * an operation was ended is told by its own completion, `-ECANCELED`.
   */
  cancelAll<C>(completion: Completion<C>, callback: Callback<C>): void {
    this.queue.checkText("cancelAll", completion);
    this.queue.begin(completion, callback, abi.OPCODE_CANCEL_ALL);
  }

  // ---- files

  /** Opens a file; completes with its descriptor. `flags` are {@link OpenFlags}, or-ed. */
  open<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    flags: number,
    mode: number,
  ): void {
    this.queue.checkText("open", completion);
    const bytes = this.pathFrom(path, "open");
    this.checkWhole(flags, 0x7fffffff, "open", "flags"); // unknown ones are EINVAL
    const bits = this.modeFrom(mode, "open");
    const at = this.onPath(completion, callback, abi.OPCODE_OPEN, bytes, flags);
    this.queue.words[at + abi.ENTRY_ARGUMENT_EXTRA] = bits;
  }

  /**
   * Closes a descriptor: no new operation is taken for it, what is in flight on it is cancelled and
   * completes, and then it is closed.
   */
  close<C>(completion: Completion<C>, callback: Callback<C>, descriptor: Descriptor): void {
    this.queue.checkText("close", completion);
    this.descriptor(completion, callback, abi.OPCODE_CLOSE, descriptor);
  }

  /**
   * Reads into `buffer` from `offset` bytes into the file, or from the current position when it is
   * -1. Completes with the bytes read, 0 at the end of the file; it may be fewer than asked.
   */
  read<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
    offset: number,
  ): void {
    this.queue.check("read");
    this.checkOffset(offset, "read");
    const at = this.transfer(completion, callback, abi.OPCODE_READ, "read", descriptor, buffer);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = offset;
    this.queue.feedDevice();
  }

  /** Writes `buffer`, as {@link read} reads. Completes with the bytes written. */
  write<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
    offset: number,
  ): void {
    this.queue.check("write");
    this.checkOffset(offset, "write");
    const at = this.transfer(completion, callback, abi.OPCODE_WRITE, "write", descriptor, buffer);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = offset;
    this.queue.feedDevice();
  }

  /** Reads into several buffers in turn (scatter), up to 1,024 of them. */
  readVectored<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffers: readonly ArrayBufferView[],
    offset: number,
  ): void {
    this.queue.checkText("readVectored", completion);
    this.checkOffset(offset, "readVectored");
    const opcode = abi.OPCODE_READ_VECTORED;
    const at = this.vectored(completion, callback, opcode, "readVectored", descriptor, buffers);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = offset;
    this.queue.feedDevice();
  }

  /** Writes several buffers in turn (gather), up to 1,024 of them. */
  writeVectored<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffers: readonly ArrayBufferView[],
    offset: number,
  ): void {
    this.queue.checkText("writeVectored", completion);
    this.checkOffset(offset, "writeVectored");
    const opcode = abi.OPCODE_WRITE_VECTORED;
    const at = this.vectored(completion, callback, opcode, "writeVectored", descriptor, buffers);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = offset;
    this.queue.feedDevice();
  }

  /**
   * Writes what is known of a file into `into`; completes with 0. `followLinks` counts for a path
   * only.
   */
  stat<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    target: Descriptor | Path,
    into: StatRecord,
    followLinks = true,
  ): void {
    this.queue.checkText("stat", completion);
    checkInstance(into, StatRecord, "a StatRecord", "the record", "stat");
    const follow = this.flag(followLinks, true, "followLinks", "stat");
    const region = this.region(into.fields, "stat");
    const offset = into.fields.byteOffset - region.handleStart;
    let start = 0;
    let length = 0;
    const byDescriptor = typeof target === "number";
    if (byDescriptor) this.checkDescriptor(target, abi.OPCODE_STAT);
    else [start, length] = this.queue.putText(this.pathFrom(target, "stat"), "stat");
    const at = this.queue.begin(completion, callback, abi.OPCODE_STAT);
    this.use(completion, region);
    const { words, doubles } = this.queue;
    words[at + abi.ENTRY_BUFFER] = region.handle;
    doubles[at / 2 + abi.ENTRY_BUFFER_OFFSET] = offset;
    words[at + abi.ENTRY_LENGTH] = length;
    doubles[at / 2 + abi.ENTRY_OFFSET] = start;
    if (byDescriptor) {
      words[at + abi.ENTRY_DESCRIPTOR] = target;
      words[at + abi.ENTRY_ARGUMENT] = abi.STAT_BY_DESCRIPTOR;
    } else {
      words[at + abi.ENTRY_ARGUMENT] = follow ? abi.STAT_BY_PATH : abi.STAT_BY_PATH_NO_FOLLOW;
    }
  }

  /** Makes what was written durable, or (level "barrier") orders it; completes with 0. */
  sync<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    level: SyncLevel,
  ): void {
    this.queue.checkText("sync", completion);
    const number = this.oneOf(level, SYNC_LEVELS, "the level", "sync");
    const at = this.descriptor(completion, callback, abi.OPCODE_SYNC, descriptor);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = number;
  }

  /** Reserves disk space for a range of a file; with `keepSize` the file does not grow. */
  allocate<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    offset: number,
    lengthBytes: number,
    keepSize: boolean,
  ): void {
    this.queue.checkText("allocate", completion);
    this.checkSize(offset, "allocate", "offset");
    this.checkSize(lengthBytes, "allocate", "lengthBytes");
    const keeps = this.flag(keepSize, false, "keepSize", "allocate");
    const at = this.descriptor(completion, callback, abi.OPCODE_ALLOCATE, descriptor);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = offset;
    this.queue.doubles[at / 2 + abi.ENTRY_EXTENT] = lengthBytes;
    this.queue.words[at + abi.ENTRY_ARGUMENT] = keeps ? 1 : 0;
  }

  /** Sets a file's size; completes with 0. */
  truncate<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    lengthBytes: number,
  ): void {
    this.queue.checkText("truncate", completion);
    this.checkSize(lengthBytes, "truncate", "lengthBytes");
    const at = this.descriptor(completion, callback, abi.OPCODE_TRUNCATE, descriptor);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = lengthBytes;
    this.queue.doubles[at / 2 + abi.ENTRY_EXTENT] = 0;
    this.queue.words[at + abi.ENTRY_ARGUMENT] = 0;
  }

  /** Renames a file, replacing what is there; completes with 0. */
  rename<C>(completion: Completion<C>, callback: Callback<C>, from: Path, to: Path): void {
    this.queue.checkText("rename", completion);
    const source = this.pathFrom(from, "rename");
    const target = this.pathFrom(to, "rename");
    this.onTwoPaths(completion, callback, abi.OPCODE_RENAME, source, target);
  }

  /** Gives a file another name (a hard link), also a symbolic link; completes with 0. */
  link<C>(completion: Completion<C>, callback: Callback<C>, existing: Path, path: Path): void {
    this.queue.checkText("link", completion);
    const source = this.pathFrom(existing, "link");
    const target = this.pathFrom(path, "link");
    this.onTwoPaths(completion, callback, abi.OPCODE_LINK, source, target);
  }

  /**
   * Makes a symbolic link to `target`, which is kept as it is given: a relative one begins at the
   * link. Completes with 0.
   */
  symlink<C>(completion: Completion<C>, callback: Callback<C>, target: Path, path: Path): void {
    this.queue.checkText("symlink", completion);
    const text = this.pathAsGiven(target, "symlink");
    const bytes = this.pathFrom(path, "symlink");
    this.onTwoPaths(completion, callback, abi.OPCODE_SYMLINK, text, bytes);
  }

  /**
   * Writes what a symbolic link leads to into `into`, as bytes; completes with how many that are,
   * or for how many there was space. 4,096 bytes are enough for any link.
   */
  readlink<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    into: ArrayBufferView,
  ): void {
    this.queue.checkText("readlink", completion);
    const bytes = this.pathFrom(path, "readlink");
    this.queue.reserveText(Buffer.byteLength(bytes));
    const [start, length] = this.queue.putText(bytes, "readlink");
    const at = this.transfer(completion, callback, abi.OPCODE_READLINK, "readlink", -1, into);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = start;
    this.queue.words[at + abi.ENTRY_ARGUMENT] = length;
  }

  /** Removes a file, or an empty directory when `directory` is set; completes with 0. */
  unlink<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    directory: boolean,
  ): void {
    this.queue.checkText("unlink", completion);
    const bytes = this.pathFrom(path, "unlink");
    const isDirectory = this.flag(directory, false, "directory", "unlink");
    this.onPath(completion, callback, abi.OPCODE_UNLINK, bytes, isDirectory ? 1 : 0);
  }

  /** Makes a directory; completes with 0. */
  mkdir<C>(completion: Completion<C>, callback: Callback<C>, path: Path, mode: number): void {
    this.queue.checkText("mkdir", completion);
    const bytes = this.pathFrom(path, "mkdir");
    const bits = this.modeFrom(mode, "mkdir");
    this.onPath(completion, callback, abi.OPCODE_MKDIR, bytes, bits);
  }

  /** Hands what is queued to the kernel now. */
  flush(): void {
    this.queue.check("flush");
    this.queue.flush();
  }
}
