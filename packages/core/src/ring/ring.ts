// The ring: every operation, with a caller-owned completion and a callback. Nothing is allocated
// per operation. Everything else in this package is made of these verbs.

import * as abi from "../engine/abi.js";
import { checkInstance } from "../support/check.js";
import { type Callback, Completion } from "./completion.js";
import { FileVerbs } from "./ring_files.js";
import type { Descriptor } from "./types.js";

/**
 * What `sync` promises: "data" that a file's bytes and its size are durable, "full" that all its
 * metadata is too, "barrier" only that what was written before becomes durable before what is
 * written after. The guide "Durability" has what each system does for them.
 *
 * @category Files
 */
export type SyncLevel = "data" | "full" | "barrier";

/** The number of each level in an entry. */
export const SYNC_LEVELS: Readonly<Record<SyncLevel, number>> = {
  data: abi.SYNC_LEVEL_DATA,
  full: abi.SYNC_LEVEL_FULL,
  barrier: abi.SYNC_LEVEL_BARRIER,
};

/**
 * How one write is made, as bits for {@link Ring.write} and {@link Ring.writeVectored}. What the
 * kernel or the file system does not know is -EOPNOTSUPP.
 *
 * @category Ring
 */
export const WriteFlags = {
  /** Durable when it completes, as with `sync("data")` behind it (RWF_DSYNC). */
  dsync: abi.WRITE_FLAG_DATA_SYNC,
  /** Its pages leave the page cache once they are written out (RWF_DONTCACHE, Linux 6.14). */
  uncached: abi.WRITE_FLAG_UNCACHED,
  /** All of it or nothing after a loss of power (RWF_ATOMIC, Linux 6.11). */
  atomic: abi.WRITE_FLAG_ATOMIC,
  /** At the end of the file, whatever its position (RWF_APPEND, Linux). */
  append: abi.WRITE_FLAG_APPEND,
  /** Fail with -EAGAIN where it would have to wait (RWF_NOWAIT, Linux). */
  nowait: abi.WRITE_FLAG_NO_WAIT,
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
 *
 * @category Ring
 *
 * @example
 * ```ts
 * import { Completion, IO } from "@io/core";
 *
 * const io = await IO.open({ mode: "detached" });
 * io.ring.nop(new Completion(), (_completion, result) => process.stdout.write(`${result}\n`));
 * io.run();
 * await io.close();
 * ```
 */
export class Ring extends FileVerbs {
  /**
   * In a chain, in the place of the descriptor that an operation works on: the one that the chain
   * yields, by the first `open`, `socket` or `accept` in it. That completes with 0 then, so that
   * nothing else can use its descriptor. It may be the second descriptor of an operation too, as
   * the file of `sendFile`. It cannot be detached (-EINVAL) nor passed to another process (-EBADF).
   * A chain that uses it closes it too, with its last use; else the operation that yields it is
   * refused with -EINVAL. The close is made whatever fails before it, unless nothing was opened.
   *
   * @example
   * ```ts
   * import { Completion, IO, OpenFlags } from "@io/core";
   *
   * await using io = await IO.open();
   * const { ring } = io;
   * const memory = Buffer.alloc(4096);
   * const [opened, read, closed] = [new Completion(), new Completion(), new Completion()];
   * opened.link = true;
   * read.link = "hard"; // a file that is shorter than the memory is a success here
   * ring.open(opened, () => undefined, "settings.json", OpenFlags.read, 0);
   * const done = (_read: Completion, result: number) => process.stdout.write(`${result}\n`);
   * ring.read(read, done, ring.chainDescriptor, memory, 0);
   * ring.close(closed, () => undefined, ring.chainDescriptor);
   * ```
   */
  readonly chainDescriptor: Descriptor = abi.CHAIN_DESCRIPTOR | 0;

  // ---- ring

  /**
   * Does nothing and completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @throws As every verb: see {@link Ring}
   */
  nop<C>(completion: Completion<C>, callback: Callback<C>): void {
    this.queue.check("nop");
    this.queue.begin(completion, callback, abi.OPCODE_NOP);
  }

  /**
   * Completes with 0 after `durationNs` nanoseconds of the monotonic clock, and never earlier. It
   * may take a quarter longer, a millisecond at most, so that many time-outs end together.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param durationNs Nanoseconds, 0 to 2^53 - 1.
   * @throws As every verb: see {@link Ring}
   */
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
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param target The completion of the operation to end.
   * @throws As every verb: see {@link Ring}
   *
   * @example
   * ```ts
   * import { Completion, IO } from "@io/core";
   *
   * const io = await IO.open({ mode: "detached" });
   * const sleeping = new Completion();
   * io.ring.timeout(sleeping, (_one, result) => process.stdout.write(`${result}\n`), 60e9);
   * io.ring.cancel(new Completion(), () => undefined, sleeping); // the timeout ends: -ECANCELED
   * io.run();
   * await io.close();
   * ```
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
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor The descriptor whose operations end.
   * @throws As every verb: see {@link Ring}
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
   * need not be how many end. epoll and kqueue count what they end. io_uring returns the kernel's
   * count, which has one for all writes of one file that wait for a kernel worker together. Whether
   * an operation was ended shows in its own completion, `-ECANCELED`.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @throws As every verb: see {@link Ring}
   */
  cancelAll<C>(completion: Completion<C>, callback: Callback<C>): void {
    this.queue.checkText("cancelAll", completion);
    this.queue.begin(completion, callback, abi.OPCODE_CANCEL_ALL);
  }

  // ---- files

  /**
   * Closes a descriptor: no new operation is taken for it, what is in flight on it is cancelled and
   * completes, and then it is closed.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor The descriptor to close.
   * @throws As every verb: see {@link Ring}
   */
  close<C>(completion: Completion<C>, callback: Callback<C>, descriptor: Descriptor): void {
    this.queue.checkText("close", completion);
    this.descriptor(completion, callback, abi.OPCODE_CLOSE, descriptor);
  }

  /**
   * Reads into `buffer` from `offset` bytes into the file, or from the current position when it is
   * -1. Completes with the bytes read, 0 at the end of the file; it may be fewer than asked.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param buffer The memory, which is the kernel's until the final callback.
   * @param offset Bytes from the beginning of the file, 0 to 2^53 - 1; -1 for the current position.
   * @throws As every verb: see {@link Ring}
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

  /**
   * Writes `buffer`, as {@link read} reads. Completes with the bytes written.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param buffer The memory, which is the kernel's until the final callback.
   * @param offset Bytes from the beginning of the file, 0 to 2^53 - 1; -1 for the current position.
   * @param flags {@link WriteFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  write<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
    offset: number,
    flags = 0,
  ): void {
    this.queue.check("write");
    this.checkOffset(offset, "write");
    if (flags !== 0) this.checkWriteFlags(flags, "write");
    const at = this.transfer(completion, callback, abi.OPCODE_WRITE, "write", descriptor, buffer);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = offset;
    this.queue.words[at + abi.ENTRY_ARGUMENT] = flags;
    this.queue.feedDevice();
  }

  /**
   * Reads into several buffers in turn (scatter), up to 1,024 of them.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param buffers The memory in order, up to 1,024 views; the kernel's until the final callback.
   * @param offset Bytes from the beginning of the file, 0 to 2^53 - 1; -1 for the current position.
   * @throws As every verb: see {@link Ring}
   */
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

  /**
   * Writes several buffers in turn (gather), up to 1,024 of them.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param buffers The memory in order, up to 1,024 views; the kernel's until the final callback.
   * @param offset Bytes from the beginning of the file, 0 to 2^53 - 1; -1 for the current position.
   * @param flags {@link WriteFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  writeVectored<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffers: readonly ArrayBufferView[],
    offset: number,
    flags = 0,
  ): void {
    this.queue.checkText("writeVectored", completion);
    this.checkOffset(offset, "writeVectored");
    if (flags !== 0) this.checkWriteFlags(flags, "writeVectored");
    const opcode = abi.OPCODE_WRITE_VECTORED;
    const at = this.vectored(completion, callback, opcode, "writeVectored", descriptor, buffers);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = offset;
    this.queue.words[at + abi.ENTRY_ARGUMENT] = flags;
    this.queue.feedDevice();
  }

  /**
   * Makes what was written durable, or (level "barrier") orders it; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param level What to promise.
   * @throws As every verb: see {@link Ring}
   */
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

  /**
   * Sets a file's size; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param lengthBytes The size that the file shall have, in bytes.
   * @throws As every verb: see {@link Ring}
   */
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

  private checkWriteFlags(flags: number, operation: string): void {
    this.checkWhole(flags, abi.WRITE_FLAGS_ALL, operation, "flags");
  }

  /**
   * Hands what is queued to the kernel now.
   *
   * @throws `ERR_IO_CLOSED` when the IO is closed, `ERR_IO_CHAIN_OPEN` while a chain waits for its
   *   next operation
   */
  flush(): void {
    this.queue.check("flush");
    this.queue.flush();
  }
}
