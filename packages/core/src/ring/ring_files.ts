// The verbs on an open file beside reading and writing. They are part of the ring: see ring.ts.

import * as abi from "../engine/abi.js";
import { StatFsRecord } from "../files/stat_fs.js";
import { checkInstance, momentFrom, type Path, wholeNumber } from "../support/check.js";
import type { Callback, Completion } from "./completion.js";
import { MultishotVerbs } from "./ring_multishot.js";
import { NO_DIRECTORY } from "./ring_paths.js";
import { attributeFrom, XATTR_HOWS, type XattrHow } from "./ring_xattr.js";
import type { Descriptor } from "./types.js";

/**
 * What `allocate` does with a range of a file. "grow" (the default) reserves space, and the file
 * grows when the range ends behind it; "keepSize" reserves without growing. "punchHole" gives the
 * space back, and the range reads as zeros. "zeroRange" makes zeros of it and keeps the space.
 * "collapse" removes the range, and what follows moves up; "insert" makes room for it, and what
 * follows moves down: both take whole blocks of the file system.
 *
 * @category Files
 */
export type AllocateMode = "grow" | "keepSize" | "punchHole" | "zeroRange" | "collapse" | "insert";

/** The number of each mode in an entry. */
export const ALLOCATE_MODES: Readonly<Record<AllocateMode, number>> = {
  grow: abi.ALLOCATE_GROW,
  keepSize: abi.ALLOCATE_KEEP_SIZE,
  punchHole: abi.ALLOCATE_PUNCH_HOLE,
  zeroRange: abi.ALLOCATE_ZERO_RANGE,
  collapse: abi.ALLOCATE_COLLAPSE,
  insert: abi.ALLOCATE_INSERT,
};

/**
 * How a range of a file will be used, as posix_fadvise(2) has it: "normal", "sequential" (read
 * ahead further), "random" (do not read ahead), "willNeed" (read it into the page cache now),
 * "dontNeed" (drop it from there), "noReuse" (it is read once).
 *
 * @category Files
 */
export type Advice = "normal" | "sequential" | "random" | "willNeed" | "dontNeed" | "noReuse";

export const ADVICES: Readonly<Record<Advice, number>> = {
  normal: abi.ADVICE_NORMAL,
  sequential: abi.ADVICE_SEQUENTIAL,
  random: abi.ADVICE_RANDOM,
  willNeed: abi.ADVICE_WILL_NEED,
  dontNeed: abi.ADVICE_DONT_NEED,
  noReuse: abi.ADVICE_NO_REUSE,
};

const MAX_OWNER = 0xffffffff;

/** The verbs of {@link Ring} on an open file beside reading and writing. */
export abstract class FileVerbs extends MultishotVerbs {
  /**
   * Locks a range of a file against other opens of it; completes with 0. With `wait` it completes
   * when the range is free, which is tried every 20 ms; without, with -EAGAIN when it is not. See
   * {@link File.lock}.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param exclusive `true` for one holder, `false` to share the range with others that share it.
   * @param offset Where the range begins, in bytes.
   * @param lengthBytes How long it is, in bytes; 0 for all that follows.
   * @param wait Whether to wait until the range is free.
   * @throws As every verb: see {@link Ring}
   */
  lock<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    exclusive: boolean,
    offset: number,
    lengthBytes: number,
    wait: boolean,
  ): void {
    this.queue.checkText("lock", completion);
    const alone = this.flag(exclusive, true, "exclusive", "lock");
    const waits = this.flag(wait, true, "wait", "lock");
    const level = alone ? abi.LOCK_LEVEL_EXCLUSIVE : abi.LOCK_LEVEL_SHARED;
    const opcode = abi.OPCODE_LOCK;
    const at = this.onRange(completion, callback, opcode, descriptor, offset, lengthBytes, level);
    this.queue.words[at + abi.ENTRY_ARGUMENT_EXTRA] = waits ? 1 : 0;
  }

  /**
   * Ends the locks of {@link lock} in a range; completes with 0, also when there are none.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param offset Where the range begins, in bytes.
   * @param lengthBytes How long it is, in bytes; 0 for all that follows.
   * @throws As every verb: see {@link Ring}
   */
  unlock<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    offset: number,
    lengthBytes: number,
  ): void {
    this.queue.checkText("unlock", completion);
    const opcode = abi.OPCODE_UNLOCK;
    const level = abi.LOCK_LEVEL_NONE;
    const at = this.onRange(completion, callback, opcode, descriptor, offset, lengthBytes, level);
    this.queue.words[at + abi.ENTRY_ARGUMENT_EXTRA] = 0;
  }

  /**
   * Reserves, empties, removes or inserts a range of a file; completes with 0. See
   * {@link File.allocate}.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param offset Where the range begins, in bytes.
   * @param lengthBytes How long it is, in bytes.
   * @param mode What becomes of the range.
   * @throws As every verb: see {@link Ring}
   */
  allocate<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    offset: number,
    lengthBytes: number,
    mode: AllocateMode,
  ): void {
    this.queue.checkText("allocate", completion);
    const how = this.oneOf(mode, ALLOCATE_MODES, "mode", "allocate");
    const opcode = abi.OPCODE_ALLOCATE;
    this.onRange(completion, callback, opcode, descriptor, offset, lengthBytes, how);
  }

  /**
   * Says how a range of a file will be used; completes with 0. See {@link File.advise}.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param offset Where the range begins, in bytes.
   * @param lengthBytes How long it is, in bytes; 0 for all that follows.
   * @param advice What will be done with the range.
   * @throws As every verb: see {@link Ring}
   */
  advise<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    offset: number,
    lengthBytes: number,
    advice: Advice,
  ): void {
    this.queue.checkText("advise", completion);
    const word = this.oneOf(advice, ADVICES, "the advice", "advise");
    const opcode = abi.OPCODE_ADVISE;
    this.onRange(completion, callback, opcode, descriptor, offset, lengthBytes, word);
  }

  /**
   * Writes out what was written to a range of a file; completes with 0. See
   * {@link File.syncRange}.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param offset Where the range begins, in bytes.
   * @param lengthBytes How long it is, in bytes; 0 for all that follows.
   * @throws As every verb: see {@link Ring}
   */
  syncRange<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    offset: number,
    lengthBytes: number,
  ): void {
    this.queue.checkText("syncRange", completion);
    const opcode = abi.OPCODE_SYNC_RANGE;
    this.onRange(completion, callback, opcode, descriptor, offset, lengthBytes, 0);
  }

  /**
   * Sets the permissions of an open file; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param mode Permission bits.
   * @throws As every verb: see {@link Ring}
   */
  fchmod<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    mode: number,
  ): void {
    this.queue.checkText("fchmod", completion);
    const bits = this.modeFrom(mode, "fchmod");
    const at = this.descriptor(completion, callback, abi.OPCODE_FCHMOD, descriptor);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = bits;
  }

  /**
   * Sets the owner of an open file; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param user The number of the user; -1 leaves it.
   * @param group The number of the group; -1 leaves it.
   * @throws As every verb: see {@link Ring}
   */
  fchown<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    user: number,
    group: number,
  ): void {
    this.queue.checkText("fchown", completion);
    wholeNumber(user, -1, MAX_OWNER, "user", "fchown");
    wholeNumber(group, -1, MAX_OWNER, "group", "fchown");
    const at = this.descriptor(completion, callback, abi.OPCODE_FCHOWN, descriptor);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = user;
    this.queue.words[at + abi.ENTRY_ARGUMENT_EXTRA] = group;
  }

  /**
   * Sets the times of the last read and the last change of an open file; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param accessed A Date, milliseconds since 1970 with fractions, or nanoseconds as a bigint.
   * @param modified The same.
   * @throws As every verb: see {@link Ring}
   */
  futimes<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    accessed: Date | number | bigint,
    modified: Date | number | bigint,
  ): void {
    this.queue.checkText("futimes", completion);
    const first = momentFrom(accessed, "accessed", "futimes");
    const second = momentFrom(modified, "modified", "futimes");
    const at = this.descriptor(completion, callback, abi.OPCODE_FUTIMES, descriptor);
    this.putTimes(at, first, second);
  }

  /**
   * Reads an extended attribute into `into`; completes with how many bytes it has, or with -ERANGE
   * when they are more than `into` has.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param name The name of the attribute, such as "user.note".
   * @param into Where the value is written.
   * @throws As every verb: see {@link Ring}
   */
  getXattr<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    name: string,
    into: ArrayBufferView,
  ): void {
    this.queue.checkText("getXattr", completion);
    this.#attribute(completion, callback, abi.OPCODE_GET_XATTR, descriptor, name, into, 0);
  }

  /**
   * Sets an extended attribute; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param name The name of the attribute, such as "user.note".
   * @param value The bytes that it shall have.
   * @param how "create" fails with -EEXIST when it is there, "replace" with -ENODATA when it is
   *   not; "any" (the default) does either.
   * @throws As every verb: see {@link Ring}
   */
  setXattr<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    name: string,
    value: ArrayBufferView,
    how: XattrHow = "any",
  ): void {
    this.queue.checkText("setXattr", completion);
    const flag = this.oneOf(how, XATTR_HOWS, "how", "setXattr");
    this.#attribute(completion, callback, abi.OPCODE_SET_XATTR, descriptor, name, value, flag);
  }

  /**
   * Writes the names of the extended attributes into `into`, each with a zero byte behind it;
   * completes with how many bytes they are, or with -ERANGE when they are more than `into` has.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param into Where the names are written.
   * @throws As every verb: see {@link Ring}
   */
  listXattr<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    into: ArrayBufferView,
  ): void {
    this.queue.checkText("listXattr", completion);
    const opcode = abi.OPCODE_LIST_XATTR;
    const at = this.transfer(completion, callback, opcode, "listXattr", descriptor, into);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = 0;
    this.queue.words[at + abi.ENTRY_ARGUMENT_EXTRA] = 0;
  }

  /**
   * Removes an extended attribute; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param name The name of the attribute.
   * @throws As every verb: see {@link Ring}
   */
  removeXattr<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    name: string,
  ): void {
    this.queue.checkText("removeXattr", completion);
    const [start, length] = this.queue.putText(attributeFrom(name, "removeXattr"), "removeXattr");
    const at = this.descriptor(completion, callback, abi.OPCODE_REMOVE_XATTR, descriptor);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = start;
    this.queue.words[at + abi.ENTRY_ARGUMENT] = length;
    this.queue.words[at + abi.ENTRY_ARGUMENT_EXTRA] = 0;
  }

  /**
   * Copies bytes from a file to another, or to another place of the same, through no memory of the
   * program; completes with how many, which may be fewer than asked, and are 0 at the end of the
   * file.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param source The file to copy from: a descriptor of this IO.
   * @param offset Where to write, in bytes.
   * @param sourceOffset Where to read, in bytes.
   * @param lengthBytes How many bytes at most.
   * @throws As every verb: see {@link Ring}
   */
  copyRange<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    source: Descriptor,
    offset: number,
    sourceOffset: number,
    lengthBytes: number,
  ): void {
    this.queue.checkText("copyRange", completion);
    this.checkSize(offset, "copyRange", "offset");
    this.checkSize(sourceOffset, "copyRange", "sourceOffset");
    this.checkSize(lengthBytes, "copyRange", "lengthBytes");
    const length = Math.min(lengthBytes, abi.TRANSFER_LIMIT_BYTES);
    const at = this.#twoFiles(completion, callback, abi.OPCODE_COPY_RANGE, descriptor, source);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = sourceOffset;
    this.queue.doubles[at / 2 + abi.ENTRY_EXTENT] = offset;
    this.queue.words[at + abi.ENTRY_LENGTH] = length;
  }

  /**
   * Gives a file the content of another without copying it: both share their blocks until one of
   * them is written to. Completes with 0, or with -EOPNOTSUPP where the file system cannot do that.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param source The file whose content it gets: a descriptor of this IO.
   * @throws As every verb: see {@link Ring}
   */
  reflink<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    source: Descriptor,
  ): void {
    this.queue.checkText("reflink", completion);
    const at = this.#twoFiles(completion, callback, abi.OPCODE_REFLINK, descriptor, source);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = 0;
    this.queue.doubles[at / 2 + abi.ENTRY_EXTENT] = 0;
    this.queue.words[at + abi.ENTRY_LENGTH] = 0;
  }

  /**
   * Writes what is known of the file system of an open file into `into`; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param into What the answer is written into.
   * @throws As every verb: see {@link Ring}
   */
  fstatfs<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    into: StatFsRecord,
  ): void {
    this.queue.checkText("fstatfs", completion);
    checkInstance(into, StatFsRecord, "a StatFsRecord", "the record", "fstatfs");
    this.transfer(completion, callback, abi.OPCODE_FSTATFS, "fstatfs", descriptor, into.fields);
  }

  /**
   * Gives an open file a name, also one that was opened with `temporary`; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param path The name, which must be free.
   * @throws As every verb: see {@link Ring}
   */
  linkDescriptor<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    path: Path,
  ): void {
    this.queue.checkText("linkDescriptor", completion);
    const bytes = this.pathAt(path, NO_DIRECTORY, "linkDescriptor");
    this.checkDescriptor(descriptor, abi.OPCODE_LINK_DESCRIPTOR);
    const opcode = abi.OPCODE_LINK_DESCRIPTOR;
    const at = this.onPath(completion, callback, opcode, bytes, 0, NO_DIRECTORY, 0);
    this.queue.words[at + abi.ENTRY_DESCRIPTOR] = descriptor;
  }

  // The name and the entry that has it must reach the engine in one batch.
  #attribute<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    opcode: number,
    descriptor: Descriptor,
    name: string,
    memory: ArrayBufferView,
    how: number,
  ): void {
    const operation = this.nameOf(opcode);
    const text = attributeFrom(name, operation);
    this.queue.reserveText(Buffer.byteLength(text));
    const [start, length] = this.queue.putText(text, operation);
    const at = this.transfer(completion, callback, opcode, operation, descriptor, memory);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = start;
    this.queue.words[at + abi.ENTRY_ARGUMENT] = length;
    this.queue.words[at + abi.ENTRY_ARGUMENT_EXTRA] = how;
  }

  #twoFiles<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    opcode: number,
    descriptor: Descriptor,
    source: Descriptor,
  ): number {
    this.checkDescriptor(source, opcode);
    const at = this.descriptor(completion, callback, opcode, descriptor);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = source;
    return at;
  }
}
