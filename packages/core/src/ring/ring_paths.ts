// The verbs on paths and directories. A relative path begins at the directory `at`. By default it
// is the process's, as it is at the call.

import * as abi from "../engine/abi.js";
import { numberError, rangeError } from "../errors.js";
import { pathFromHere } from "../files/paths.js";
import { StatRecord } from "../files/stat.js";
import { StatFsRecord } from "../files/stat_fs.js";
import { checkInstance, momentFrom, type Path, shown } from "../support/check.js";
import type { Callback, Completion } from "./completion.js";
import type { Descriptor } from "./types.js";
import { Verbs } from "./verb_base.js";

/** In the place of a directory's descriptor: the process's. */
export const NO_DIRECTORY = -1;

type TwoPlaces = readonly [from: Descriptor, to: Descriptor];
type TwoTexts = readonly [from: string | Uint8Array, to: string | Uint8Array];

const MAX_OWNER = 2 ** 32 - 1;

/**
 * How a file is opened, as bits for {@link Ring.open}.
 *
 * @category Ring
 */
export const OpenFlags = {
  /** Open for reading. */
  read: abi.OPEN_FLAG_READ,
  /** Open for writing. */
  write: abi.OPEN_FLAG_WRITE,
  /** Every write goes to the end (O_APPEND). */
  append: abi.OPEN_FLAG_APPEND,
  /** Make the file when there is none (O_CREAT). */
  create: abi.OPEN_FLAG_CREATE,
  /** With `create`: fail when the file is there (O_EXCL). */
  exclusive: abi.OPEN_FLAG_EXCLUSIVE,
  /** Empty the file (O_TRUNC). */
  truncate: abi.OPEN_FLAG_TRUNCATE,
  /** Read and write past the page cache (O_DIRECT). */
  direct: abi.OPEN_FLAG_DIRECT,
  /** Fail unless it is a directory (O_DIRECTORY). */
  directory: abi.OPEN_FLAG_DIRECTORY,
  /** Fail when the last part of the path is a symbolic link (O_NOFOLLOW). */
  noFollow: abi.OPEN_FLAG_NO_FOLLOW,
  /** Every write is durable when it completes, as with `sync("data")` behind it (O_DSYNC). */
  dsync: abi.OPEN_FLAG_DATA_SYNC,
  /** A file without a name, in the directory at the path (O_TMPFILE, Linux). */
  temporary: abi.OPEN_FLAG_TEMPORARY,
  /** Reads do not set the time of the last read (O_NOATIME, Linux). */
  noAtime: abi.OPEN_FLAG_NO_ACCESS_TIME,
} as const;

/**
 * Rules for how a path is resolved, as bits for the verbs of the ring.
 *
 * @category Ring
 */
export const ResolveFlags = {
  /** A symbolic link on the way is -ELOOP; one that the call does not follow is none on the way. */
  noSymlinks: abi.RESOLVE_NO_SYMLINKS,
  /** A way out of the directory, by "..", by an absolute path or link, is -EXDEV. */
  beneath: abi.RESOLVE_BENEATH,
  /** The directory is the root of absolute paths and links, and its own parent. */
  inRoot: abi.RESOLVE_IN_ROOT,
} as const;

/**
 * How a file is renamed, as bits for {@link Ring.rename}.
 *
 * @category Ring
 */
export const RenameFlags = {
  /** What is there stays: then it is -EEXIST. */
  noReplace: abi.RENAME_NO_REPLACE,
  /** Both are there, and change places. */
  exchange: abi.RENAME_EXCHANGE,
} as const;

/**
 * How a file is copied, as bits for {@link Ring.copyFile}.
 *
 * @category Ring
 */
export const CopyFlags = {
  /** The files share their blocks until one of them is written to, where they can. */
  reflink: abi.COPY_REFLINK,
  /** The same, and where they cannot it is -ENOTSUP or another error of `reflink`. */
  reflinkOnly: abi.COPY_REFLINK_ONLY,
  /** The copy gets the times of the last read and change. */
  times: abi.COPY_TIMES,
} as const;

/** The verbs of the ring on paths. */
export abstract class PathVerbs extends Verbs {
  /**
   * Opens a file; completes with its descriptor. `flags` are {@link OpenFlags}, or-ed.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param flags {@link OpenFlags}, or-ed.
   * @param mode Permission bits, less the process's mask at the call.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  open<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    flags: number,
    mode: number,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    this.queue.checkText("open", completion);
    const bytes = this.pathAt(path, at, "open");
    this.checkWhole(flags, 0x7fffffff, "open", "flags"); // unknown ones are EINVAL
    const bits = this.modeFrom(mode, "open");
    const opcode = abi.OPCODE_OPEN;
    const entry = this.onPath(completion, callback, opcode, bytes, flags, at, resolve);
    this.queue.words[entry + abi.ENTRY_ARGUMENT_EXTRA] = bits;
  }

  /**
   * Writes what is known of a file into `into`; completes with 0. `followLinks`, `at` and `resolve`
   * count for a path only.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param target A descriptor, or a path.
   * @param into What the answer is written into.
   * @param followLinks Of a path: `false` describes a symbolic link itself; `true` by default.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  stat<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    target: Descriptor | Path,
    into: StatRecord,
    followLinks = true,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    this.queue.checkText("stat", completion);
    checkInstance(into, StatRecord, "a StatRecord", "the record", "stat");
    const follow = this.flag(followLinks, true, "followLinks", "stat");
    const byDescriptor = typeof target === "number";
    const opcode = abi.OPCODE_STAT;
    const bytes = byDescriptor ? "" : this.pathAt(target, at, "stat");
    if (byDescriptor) this.checkDescriptor(target, opcode);
    const rules = this.rules(opcode, at, resolve);
    const region = this.region(into.fields, "stat");
    const offset = into.fields.byteOffset - region.handleStart;
    const [start, length] = byDescriptor ? [0, 0] : this.queue.putText(bytes, "stat");
    const entry = this.queue.begin(completion, callback, opcode);
    this.use(completion, region);
    const { words, doubles } = this.queue;
    words[entry + abi.ENTRY_BUFFER] = region.handle;
    doubles[entry / 2 + abi.ENTRY_BUFFER_OFFSET] = offset;
    words[entry + abi.ENTRY_LENGTH] = length;
    doubles[entry / 2 + abi.ENTRY_OFFSET] = start;
    words[entry + abi.ENTRY_DESCRIPTOR] = byDescriptor ? target : at;
    const byPath = follow ? abi.STAT_BY_PATH : abi.STAT_BY_PATH_NO_FOLLOW;
    words[entry + abi.ENTRY_ARGUMENT] = byDescriptor ? abi.STAT_BY_DESCRIPTOR : byPath;
    if (!byDescriptor) this.resolveBy(entry, rules);
  }

  /**
   * Renames a file, replacing what is there; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param from The path it has.
   * @param to The path it shall have.
   * @param flags {@link RenameFlags}: one of them, or 0, which replaces what is there.
   * @param fromAt The descriptor of the directory that `from` begins at; -1, the default, is
   *   the process's.
   * @param toAt The same for `to`.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @param toResolve The same for `to`; those of `resolve` by default.
   * @throws As every verb: see {@link Ring}
   */
  rename<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    from: Path,
    to: Path,
    flags = 0,
    fromAt: Descriptor = NO_DIRECTORY,
    toAt: Descriptor = NO_DIRECTORY,
    resolve = 0,
    toResolve = resolve,
  ): void {
    this.queue.checkText("rename", completion);
    const source = this.pathAt(from, fromAt, "rename");
    const target = this.pathAt(to, toAt, "rename");
    this.checkWhole(flags, 0xff, "rename", "flags"); // unknown ones are EINVAL
    const opcode = abi.OPCODE_RENAME;
    this.#onTwoPaths(completion, callback, opcode, [source, target], [fromAt, toAt], flags, [
      resolve,
      toResolve,
    ]);
  }

  /**
   * Gives a file another name (a hard link), also a symbolic link; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param existing The file.
   * @param path The other name for it.
   * @param fromAt The descriptor of the directory that `existing` begins at; -1, the default, is
   *   the process's.
   * @param toAt The same for `path`.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @param toResolve The same for `path`; those of `resolve` by default.
   * @throws As every verb: see {@link Ring}
   */
  link<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    existing: Path,
    path: Path,
    fromAt: Descriptor = NO_DIRECTORY,
    toAt: Descriptor = NO_DIRECTORY,
    resolve = 0,
    toResolve = resolve,
  ): void {
    this.queue.checkText("link", completion);
    const source = this.pathAt(existing, fromAt, "link");
    const target = this.pathAt(path, toAt, "link");
    const opcode = abi.OPCODE_LINK;
    this.#onTwoPaths(completion, callback, opcode, [source, target], [fromAt, toAt], 0, [
      resolve,
      toResolve,
    ]);
  }

  /**
   * Copies a regular file to a name that is not there, with its permissions, and is one call of a
   * thread: it cannot be cancelled once that has begun. Completes with how many bytes it has. When
   * it fails nothing is left. -EFBIG says that the file has more than 16 MiB, -ENOTSUP that it has
   * setuid, setgid or the sticky bit, -ELOOP that it is a symbolic link.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param from The file.
   * @param to The name of the copy.
   * @param flags {@link CopyFlags}, or-ed; 0 by default.
   * @param fromAt The descriptor of the directory that `from` begins at; -1, the default, is
   *   the process's.
   * @param toAt The same for `to`.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @param toResolve The same for `to`; those of `resolve` by default.
   * @throws As every verb: see {@link Ring}
   */
  copyFile<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    from: Path,
    to: Path,
    flags = 0,
    fromAt: Descriptor = NO_DIRECTORY,
    toAt: Descriptor = NO_DIRECTORY,
    resolve = 0,
    toResolve = resolve,
  ): void {
    this.queue.checkText("copyFile", completion);
    const source = this.pathAt(from, fromAt, "copyFile");
    const target = this.pathAt(to, toAt, "copyFile");
    this.checkWhole(flags, abi.COPY_FLAGS_ALL, "copyFile", "flags");
    const opcode = abi.OPCODE_COPY_FILE;
    this.#onTwoPaths(completion, callback, opcode, [source, target], [fromAt, toAt], flags, [
      resolve,
      toResolve,
    ]);
  }

  /**
   * Makes a symbolic link to `target`, which is kept as it is given: a relative one begins at the
   * link. Completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param target What the link leads to.
   * @param path Where the link is made.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  symlink<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    target: Path,
    path: Path,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    this.queue.checkText("symlink", completion);
    const text = this.pathAsGiven(target, "symlink");
    const bytes = this.pathAt(path, at, "symlink");
    const opcode = abi.OPCODE_SYMLINK;
    const places: TwoPlaces = [NO_DIRECTORY, at];
    this.#onTwoPaths(completion, callback, opcode, [text, bytes], places, 0, [resolve, 0]);
  }

  /**
   * Writes what a symbolic link leads to into `into`, as bytes; completes with how many that are,
   * or for how many there was space. 4,096 bytes are enough for any link.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param into Where the target is written, as bytes.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  readlink<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    into: ArrayBufferView,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    this.queue.checkText("readlink", completion);
    this.#pathIntoMemory(completion, callback, abi.OPCODE_READLINK, path, into, at, resolve);
  }

  /**
   * Writes the path without links, "." and ".." into `into`, as bytes; completes with how many that
   * are, or with -ERANGE when there was no space for all. 4,096 bytes are enough for any path.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param into Where the path is written, as bytes.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  realpath<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    into: ArrayBufferView,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    this.queue.checkText("realpath", completion);
    this.#pathIntoMemory(completion, callback, abi.OPCODE_REALPATH, path, into, at, resolve);
  }

  /**
   * Writes what is known of the file system of a path into `into`; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param into What the answer is written into.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  statfs<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    into: StatFsRecord,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    this.queue.checkText("statfs", completion);
    checkInstance(into, StatFsRecord, "a StatFsRecord", "the record", "statfs");
    const { fields } = into;
    this.#pathIntoMemory(completion, callback, abi.OPCODE_STATFS, path, fields, at, resolve);
  }

  /**
   * Removes a file, or an empty directory when `directory` is set; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param directory Whether it is an empty directory.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  unlink<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    directory: boolean,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    this.queue.checkText("unlink", completion);
    const bytes = this.pathAt(path, at, "unlink");
    const isDirectory = this.flag(directory, false, "directory", "unlink") ? 1 : 0;
    const opcode = abi.OPCODE_UNLINK;
    this.onPath(completion, callback, opcode, bytes, isDirectory, at, resolve);
  }

  /**
   * Makes a directory; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param mode Permission bits, less the process's mask at the call.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  mkdir<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    mode: number,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    this.queue.checkText("mkdir", completion);
    const bytes = this.pathAt(path, at, "mkdir");
    const bits = this.modeFrom(mode, "mkdir");
    this.onPath(completion, callback, abi.OPCODE_MKDIR, bytes, bits, at, resolve);
  }

  /**
   * Sets permissions; completes with 0. A symbolic link is followed.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param mode Permission bits, all of them.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  chmod<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    mode: number,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    this.queue.checkText("chmod", completion);
    const bytes = this.pathAt(path, at, "chmod");
    const bits = this.modeFrom(mode, "chmod");
    this.onPath(completion, callback, abi.OPCODE_CHMOD, bytes, bits, at, resolve);
  }

  /**
   * Sets the owner; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param user The number of the user; -1 leaves it.
   * @param group The number of the group; -1 leaves it.
   * @param followLinks `false`: of a symbolic link itself; `true` by default.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  chown<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    user: number,
    group: number,
    followLinks = true,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    this.queue.checkText("chown", completion);
    const bytes = this.pathAt(path, at, "chown");
    this.checkOwner(user, "user");
    this.checkOwner(group, "group");
    const follow = this.flag(followLinks, true, "followLinks", "chown");
    const opcode = abi.OPCODE_CHOWN;
    const entry = this.onPath(completion, callback, opcode, bytes, user, at, resolve);
    this.queue.words[entry + abi.ENTRY_ARGUMENT_EXTRA] = group;
    this.queue.words[entry + abi.ENTRY_BUFFER] = follow ? 0 : 1;
  }

  /**
   * Sets the times of the last read and the last change; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param accessed A Date, milliseconds since 1970 with fractions, or nanoseconds as a bigint.
   * @param modified The same.
   * @param followLinks `false`: of a symbolic link itself; `true` by default.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  utimes<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    accessed: Date | number | bigint,
    modified: Date | number | bigint,
    followLinks = true,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    this.queue.checkText("utimes", completion);
    const bytes = this.pathAt(path, at, "utimes");
    const first = momentFrom(accessed, "accessed", "utimes");
    const second = momentFrom(modified, "modified", "utimes");
    const keeps = this.flag(followLinks, true, "followLinks", "utimes") ? 0 : 1;
    const opcode = abi.OPCODE_UTIMES;
    const entry = this.onPath(completion, callback, opcode, bytes, keeps, at, resolve);
    this.putTimes(entry, first, second);
  }

  /**
   * Whether the process may use a file; completes with 0, or with -EACCES or -EROFS when it may
   * not. A symbolic link is followed. The real user of the process counts.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param wanted What it is to be used for: 4 to read, 2 to write, 1 to execute, or-ed; 0: is it
   *   there?
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  access<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    wanted: number,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    this.queue.checkText("access", completion);
    const bytes = this.pathAt(path, at, "access");
    this.checkWhole(wanted, 7, "access", "wanted");
    this.onPath(completion, callback, abi.OPCODE_ACCESS, bytes, wanted, at, resolve);
  }

  /**
   * Writes the next entries of a directory into `into`, as many as have space; completes with how
   * many bytes they are, 0 at the end. Each has a byte with its kind, two with the length of its
   * name, the lower one first, and the name; 1 is a file, 2 a directory, 3 a symbolic link, 4 a
   * FIFO, 5 a socket, 6 a character device, 7 a block device, and 0 what the file system did not
   * say. The descriptor has the position, so that one read at a time is made of it.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor That of a directory of this IO.
   * @param into Where the entries are written, 4,096 bytes at least; the kernel's until the final
   *   callback.
   * @throws As every verb: see {@link Ring}
   */
  readDirectory<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    into: ArrayBufferView,
  ): void {
    this.queue.checkText("readDirectory", completion);
    const opcode = abi.OPCODE_READ_DIRECTORY;
    this.region(into, "readDirectory"); // refuses what is no memory
    const { byteLength: bytes } = into;
    if (bytes < abi.DIRECTORY_BUFFER_MIN_BYTES) throw smallBuffer(bytes);
    this.transfer(completion, callback, opcode, "readDirectory", descriptor, into);
    this.queue.feedDevice();
  }

  protected checkOwner(value: number, name: string): void {
    if (Number.isInteger(value) && value >= -1 && value <= MAX_OWNER) return;
    const right = "give a number from 0 to 2^32 - 1, or -1 to leave it";
    throw numberError("chown", value, `${name} is ${shown(value)}: ${right}`);
  }

  /** A path as it is at the call: one that begins at a directory stays as it is given. */
  protected pathAt(path: Path, at: Descriptor, operation: string): string | Uint8Array {
    const given = this.pathAsGiven(path, operation);
    return at === NO_DIRECTORY ? pathFromHere(given) : given;
  }

  // Checks what says where a path begins; the rules as an entry has them.
  protected rules(opcode: number, at: Descriptor, resolve: number): number {
    this.checkDescriptor(at, opcode);
    this.checkWhole(resolve, abi.RESOLVE_ALL, this.nameOf(opcode), "resolve");
    return resolve << abi.ENTRY_RESOLVE_SHIFT;
  }

  protected resolveBy(entry: number, rules: number): void {
    if (rules === 0) return;
    const { words } = this.queue;
    words[entry + abi.ENTRY_OPERATION] = (words[entry + abi.ENTRY_OPERATION] as number) | rules;
  }

  /** One path, and a number beside it. */
  protected onPath<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    opcode: number,
    path: string | Uint8Array,
    argument: number,
    at: Descriptor,
    resolve: number,
  ): number {
    const rules = this.rules(opcode, at, resolve);
    const [start, length] = this.queue.putText(path, this.nameOf(opcode));
    const entry = this.queue.begin(completion, callback, opcode);
    this.putText(entry, start, length);
    this.queue.words[entry + abi.ENTRY_DESCRIPTOR] = at;
    this.queue.words[entry + abi.ENTRY_ARGUMENT] = argument;
    this.resolveBy(entry, rules);
    return entry;
  }

  /** Two paths, which must reach the engine in one batch. */
  #onTwoPaths<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    opcode: number,
    [first, second]: TwoTexts,
    [fromAt, toAt]: TwoPlaces,
    flags: number,
    [resolve, toResolve]: readonly [from: number, to: number],
  ): void {
    this.checkDescriptor(toAt, opcode);
    this.checkWhole(toResolve, abi.RESOLVE_ALL, this.nameOf(opcode), "toResolve");
    this.queue.reserveText(Buffer.byteLength(first) + Buffer.byteLength(second));
    const [start, length] = this.queue.putText(second, this.nameOf(opcode));
    const entry = this.onPath(completion, callback, opcode, first, length, fromAt, resolve);
    this.queue.doubles[entry / 2 + abi.ENTRY_OFFSET] = start;
    this.queue.words[entry + abi.ENTRY_ARGUMENT_EXTRA] = toAt;
    this.queue.words[entry + abi.ENTRY_BUFFER] = flags | (toResolve << abi.SECOND_RESOLVE_SHIFT);
  }

  #pathIntoMemory<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    opcode: number,
    path: Path,
    into: ArrayBufferView,
    at: Descriptor,
    resolve: number,
  ): void {
    const name = this.nameOf(opcode);
    const bytes = this.pathAt(path, at, name);
    const rules = this.rules(opcode, at, resolve);
    this.queue.reserveText(Buffer.byteLength(bytes));
    const [start, length] = this.queue.putText(bytes, name);
    const entry = this.transfer(completion, callback, opcode, name, at, into);
    this.queue.doubles[entry / 2 + abi.ENTRY_OFFSET] = start;
    this.queue.words[entry + abi.ENTRY_ARGUMENT] = length;
    this.resolveBy(entry, rules);
  }
}

function smallBuffer(bytes: number): unknown {
  const right = `give ${abi.DIRECTORY_BUFFER_MIN_BYTES} at least`;
  return rangeError("readDirectory", `the buffer has ${bytes} bytes: ${right}`);
}
