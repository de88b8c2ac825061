/**
 * `node:fs/promises` over @io/core: the same functions, and the same errors.
 *
 * @example
 * ```ts
 * import { readFile } from "@io/node/fs/promises";
 *
 * process.stdout.write(await readFile("/etc/hostname", "utf8"));
 * ```
 *
 * @module @io/node/fs/promises
 */

import {
  type BigIntStats,
  type BigIntStatsFs,
  constants,
  type Dirent,
  type PathLike,
  type Stats,
  type StatsFs,
} from "node:fs";
import { checkBoolean } from "../checks.js";
import { nodeError } from "../errors.js";
import {
  accessModeFrom,
  type CheckedPath,
  checkOwner,
  flagsFrom,
  fromHere,
  modeFrom,
  nameIn,
  optionsFrom,
  pathFrom,
  removeOptionsFrom,
  secondsFrom,
  symlinkTypeFrom,
} from "./arguments.js";
import { type Contents, checkAborted, contentsFrom, readAll, writeAll } from "./contents.js";
import { copyOneFile } from "./copy_file.js";
import { type CopyOptions, copyOptionsFrom, copyTree } from "./copy_tree.js";
import { closeDescriptor, openPath, syncDescriptor } from "./descriptors.js";
import { Dir, type DirectoryOptions } from "./dir.js";
import { FileHandle, type FileOptions } from "./file_handle.js";
import { direntsBelow, direntsIn, namesBelow, namesIn } from "./list.js";
import { makeDirectories } from "./make_directories.js";
import { changeMode, changeOwner, changeTimes } from "./metadata.js";
import { OpenedDirectory } from "./names.js";
import {
  bigStatPath,
  checkAccess,
  linkTarget,
  makeDirectory,
  makeTemporary,
  onTwoPaths,
  realPath,
  removePath,
  statFileSystem,
  statPath,
} from "./paths.js";
import { type RemoveOptions, remove } from "./remove.js";
import { giveScratch, hasScratch, nextScratch, takeScratch } from "./scratches.js";
import { watch } from "./watch.js";

export type { Contents } from "./contents.js";
export type { CopyFilter, CopyOptions } from "./copy_tree.js";
export type { Dir, DirectoryOptions, Done } from "./dir.js";
export type {
  BytesRead,
  BytesWritten,
  FileHandle,
  FileOptions,
  ReadOptions,
  VectorsRead,
  VectorsWritten,
  WriteOptions,
} from "./file_handle.js";
export type { RemoveOptions } from "./remove.js";
export type {
  NodeReadOptions,
  NodeWriteOptions,
  ReadStreamOptions,
  WriteStreamOptions,
} from "./streams.js";
export type { FileChangeInfo, WatchOptions } from "./watch.js";
export { constants, watch };

type NameOptions =
  | BufferEncoding
  | "buffer"
  | { encoding?: BufferEncoding | "buffer" | null }
  | null;

/** Runs on an open descriptor, which is closed at the end. */
async function withFile<T>(
  path: CheckedPath,
  flags: number,
  mode: number,
  run: (descriptor: number) => Promise<T>,
  shown = path,
): Promise<T> {
  const descriptor = await openPath(path, flags, mode, shown);
  let result: T;
  try {
    result = await run(descriptor);
  } catch (error) {
    await closeDescriptor(descriptor);
    throw error;
  }
  await closeDescriptor(descriptor);
  return result;
}

/**
 * Opens a file.
 *
 * @param path The file's path.
 * @param flags A word such as "r+", or the bits of open(2); "r" by default.
 * @param mode Permissions of a file that is made; 0o666 by default.
 * @returns the open file
 * @throws the codes of open(2), with `path` and `syscall`; those of a refused argument
 */
export async function open(
  path: PathLike,
  flags?: string | number | null,
  mode?: number | string | null,
): Promise<FileHandle> {
  const checked = pathFrom(path);
  const bits = flagsFrom(flags);
  return new FileHandle(await openPath(checked, bits, modeFrom(mode, "mode", 0o666)));
}

/**
 * Reads a whole file.
 *
 * @param path The file's path, or an open file, which is read from its current position on.
 * @param options An encoding, or `encoding`, `flag` and `signal`.
 * @returns its bytes, or its text when there is an encoding
 * @throws the codes of open(2) and read(2), with `path` and `syscall`; those of a refused argument;
 *   `ABORT_ERR`
 */
export async function readFile(
  path: PathLike | FileHandle,
  options?: {
    /** None: bytes. */
    encoding?: null | undefined;
    /** How it is opened; "r" by default. */
    flag?: string | number | undefined;
    /** Ends it with an `AbortError`. */
    signal?: AbortSignal | undefined;
  } | null,
): Promise<Buffer>;
/**
 * Reads a whole file.
 *
 * @param path The file's path, or an open file, which is read from its current position on.
 * @param options An encoding, or `encoding`, `flag` and `signal`.
 * @returns its bytes, or its text when there is an encoding
 * @throws the codes of open(2) and read(2), with `path` and `syscall`; those of a refused argument;
 *   `ABORT_ERR`
 */
export async function readFile(
  path: PathLike | FileHandle,
  options:
    | BufferEncoding
    | {
        encoding: BufferEncoding;
        flag?: string | number | undefined;
        signal?: AbortSignal | undefined;
      },
): Promise<string>;
/**
 * Reads a whole file.
 *
 * @param path The file's path, or an open file, which is read from its current position on.
 * @param options An encoding, or `encoding`, `flag` and `signal`.
 * @returns its bytes, or its text when there is an encoding
 * @throws the codes of open(2) and read(2), with `path` and `syscall`; those of a refused argument;
 *   `ABORT_ERR`
 */
export async function readFile(
  path: PathLike | FileHandle,
  options?: FileOptions,
): Promise<string | Buffer>;
export async function readFile(
  path: PathLike | FileHandle,
  options?: FileOptions,
): Promise<string | Buffer> {
  const given = optionsFrom<Exclude<FileOptions, string | null>>(options, {});
  if (path instanceof FileHandle) return path.readFile(given);
  checkAborted(given.signal);
  const checked = pathFrom(path);
  const flags = flagsFrom(given.flag || "r");
  // A file that is made is made at once: the mask of the process may be another one later.
  const mayWait = (flags & constants.O_CREAT) === 0 && !hasScratch();
  const whole = mayWait ? fromHere(checked) : checked;
  const scratch = mayWait ? await nextScratch() : takeScratch();
  try {
    const run = (descriptor: number) => readAll(descriptor, scratch, given);
    return await withFile(whole, flags, 0o666, run, checked);
  } finally {
    giveScratch(scratch);
  }
}

/**
 * Writes a whole file, in place of what is there.
 *
 * @param path The file's path, or an open file, which is written from its current position on.
 * @param data Text, bytes, or an iterable of either.
 * @param options An encoding, or `encoding`, `mode`, `flag`, `flush` and `signal`.
 * @throws the codes of open(2) and write(2), with `path` and `syscall`; those of a refused
 *   argument; `ABORT_ERR`
 */
export async function writeFile(
  path: PathLike | FileHandle,
  data: Contents,
  options?: FileOptions,
): Promise<void> {
  const given = optionsFrom<Exclude<FileOptions, string | null>>(options, {});
  const flush = given.flush ?? false;
  checkBoolean(flush, "options.flush");
  const contents = contentsFrom(data, given);
  if (path instanceof FileHandle) {
    return path.use("writeFile", (descriptor) => writeAll(descriptor, contents, given));
  }
  checkAborted(given.signal);
  const checked = pathFrom(path);
  const flags = flagsFrom(given.flag || "w");
  const mode = modeFrom(given.mode, "mode", 0o666);
  await withFile(checked, flags, mode, async (descriptor) => {
    await writeAll(descriptor, contents, given);
    if (flush) await syncDescriptor(descriptor, "full");
  });
}

/**
 * Adds to the end of a file, which is made when there is none.
 *
 * @param path The file's path, or an open file.
 * @param data Text or bytes.
 * @param options As those of {@link writeFile}.
 * @throws the codes of open(2) and write(2), with `path` and `syscall`; those of a refused argument
 */
export async function appendFile(
  path: PathLike | FileHandle,
  data: Contents,
  options?: FileOptions,
): Promise<void> {
  const given = optionsFrom<Exclude<FileOptions, string | null>>(options, {});
  return writeFile(path, data, { ...given, flag: given.flag || "a" });
}

let hasWarned = false;

function warnOfRecursiveRmdir(): void {
  if (hasWarned) return;
  hasWarned = true;
  const message =
    "In future versions of Node.js, fs.rmdir(path, { recursive: true }) will be removed. " +
    "Use fs.rm(path, { recursive: true }) instead";
  process.emitWarning(message, "DeprecationWarning", "DEP0147");
}

/**
 * What is known of the file at a path.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param options `bigint: true` gives numbers that are bigints.
 * @returns the size, the times, the owner, and what kind of file it is
 * @throws the codes of stat(2), with `path` and `syscall`; those of a refused argument
 */
export async function stat(
  path: PathLike,
  options?: { bigint?: false | undefined },
): Promise<Stats>;
/**
 * What is known of the file at a path.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param options `bigint: true` gives numbers that are bigints.
 * @returns the size, the times, the owner, and what kind of file it is
 * @throws the codes of stat(2), with `path` and `syscall`; those of a refused argument
 */
export async function stat(path: PathLike, options: { bigint: true }): Promise<BigIntStats>;
export async function stat(
  path: PathLike,
  options: { bigint?: boolean | undefined } = {},
): Promise<Stats | BigIntStats> {
  const checked = pathFrom(path);
  return options.bigint === true ? bigStatPath(checked, true) : statPath(checked, true);
}

/**
 * The same of a symbolic link itself.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param options `bigint: true` gives numbers that are bigints.
 * @returns the size, the times, the owner, and what kind of file it is
 * @throws the codes of lstat(2), with `path` and `syscall`; those of a refused argument
 */
export async function lstat(
  path: PathLike,
  options?: { bigint?: false | undefined },
): Promise<Stats>;
/**
 * The same of a symbolic link itself.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param options `bigint: true` gives numbers that are bigints.
 * @returns the size, the times, the owner, and what kind of file it is
 * @throws the codes of lstat(2), with `path` and `syscall`; those of a refused argument
 */
export async function lstat(path: PathLike, options: { bigint: true }): Promise<BigIntStats>;
export async function lstat(
  path: PathLike,
  options: { bigint?: boolean | undefined } = {},
): Promise<Stats | BigIntStats> {
  const checked = pathFrom(path);
  return options.bigint === true ? bigStatPath(checked, false) : statPath(checked, false);
}

/**
 * Cuts the file at a path, or lets it grow with a hole.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param length Its size from then on, in bytes; 0 by default.
 * @throws the codes of open(2) and ftruncate(2), with `path` and `syscall`; those of a refused
 *   argument
 */
export async function truncate(path: PathLike, length: number | null = 0): Promise<void> {
  const handle = await open(path, "r+");
  try {
    await handle.truncate(length);
  } finally {
    await handle.close();
  }
}

/**
 * Gives a file another name, in the place of what has it.
 *
 * @param oldPath The path: text, bytes, or a `file:` URL.
 * @param newPath The other name, in the same file system.
 * @throws the codes of the call, with `path`, `dest` and `syscall`; those of a refused argument
 */
export async function rename(oldPath: PathLike, newPath: PathLike): Promise<void> {
  const from = pathFrom(oldPath, "oldPath");
  await onTwoPaths("rename", from, pathFrom(newPath, "newPath"));
}

/**
 * Gives a file one more name.
 *
 * @param existingPath The path: text, bytes, or a `file:` URL.
 * @param newPath The name; there must be none like it.
 * @throws the codes of the call, with `path`, `dest` and `syscall`; those of a refused argument
 */
export async function link(existingPath: PathLike, newPath: PathLike): Promise<void> {
  const existing = pathFrom(existingPath, "existingPath");
  await onTwoPaths("link", existing, pathFrom(newPath, "newPath"));
}

/**
 * Makes a symbolic link.
 *
 * @param target Where it leads, which need not exist.
 * @param path The path of the link.
 * @param type It counts on Windows alone.
 * @throws the codes of the call, with `path`, `dest` and `syscall`; those of a refused argument
 */
export async function symlink(
  target: PathLike,
  path: PathLike,
  type?: "dir" | "file" | "junction" | null,
): Promise<void> {
  const text = pathFrom(target, "target");
  const checked = pathFrom(path);
  symlinkTypeFrom(type);
  await onTwoPaths("symlink", text, checked);
}

/**
 * Where a symbolic link leads.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param options An encoding, or `{ encoding }`; "buffer" gives bytes. "utf8" by default.
 * @returns the text that is in the link
 * @throws the codes of readlink(2), with `path` and `syscall`; those of a refused argument
 */
export async function readlink(
  path: PathLike,
  options?: BufferEncoding | { encoding?: BufferEncoding | null } | null,
): Promise<string>;
/**
 * Where a symbolic link leads.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param options An encoding, or `{ encoding }`; "buffer" gives bytes. "utf8" by default.
 * @returns the text that is in the link
 * @throws the codes of readlink(2), with `path` and `syscall`; those of a refused argument
 */
export async function readlink(
  path: PathLike,
  options: "buffer" | { encoding: "buffer" },
): Promise<Buffer>;
export async function readlink(path: PathLike, options?: NameOptions): Promise<string | Buffer> {
  const { encoding } = optionsFrom<{ encoding?: string | null }>(options, {});
  return nameIn(encoding, await linkTarget(pathFrom(path, "oldPath")));
}

/**
 * Removes a name of a file; with the last one the file.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @throws the codes of unlink(2), with `path` and `syscall`; those of a refused argument
 */
export async function unlink(path: PathLike): Promise<void> {
  await removePath(pathFrom(path), false);
}

/**
 * Removes an empty directory.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param options `recursive` removes what is in it too, with a warning: use {@link rm}.
 * @throws the codes of rmdir(2), with `path` and `syscall`; those of a refused argument
 */
export async function rmdir(path: PathLike, options?: { recursive?: boolean }): Promise<void> {
  const checked = pathFrom(path);
  const given = removeOptionsFrom(options);
  if (given.recursive) {
    warnOfRecursiveRmdir();
    if ((await statPath(checked, true)).isDirectory()) {
      await remove(checked, { ...given, force: false });
      return;
    }
  }
  await removePath(checked, true);
}

/**
 * Makes a directory.
 *
 * @param path The directory.
 * @param options Permissions, or `mode` and `recursive`.
 * @returns with `recursive`: the first directory that was made, undefined when all were there
 * @throws the codes of mkdir(2), with `path` and `syscall`; those of a refused argument
 */
export async function mkdir(
  path: PathLike,
  options?: number | string | { recursive?: boolean; mode?: number | string } | null,
): Promise<string | undefined> {
  const isMode = typeof options === "number" || typeof options === "string";
  const { recursive = false, mode = 0o777 } = isMode ? { mode: options } : (options ?? {});
  const checked = pathFrom(path);
  checkBoolean(recursive, "options.recursive");
  const bits = modeFrom(mode, "mode", 0o777);
  if (recursive) return makeDirectories(checked, bits);
  await makeDirectory(checked, bits);
  return undefined;
}
/**
 * Whether the process may use the file at a path.
 *
 * @param path The file's path.
 * @param mode R_OK, W_OK and X_OK or-ed; F_OK, whether it is there, by default.
 * @throws the codes of access(2), with `path` and `syscall`; those of a refused argument
 */
export async function access(path: PathLike, mode?: number | null): Promise<void> {
  const checked = pathFrom(path);
  await checkAccess(checked, accessModeFrom(mode));
}

/**
 * Sets the permissions of a file.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param mode Permissions: a number, or octal digits.
 * @throws the codes of chmod(2), with `path` and `syscall`; those of a refused argument
 */
export async function chmod(path: PathLike, mode: number | string): Promise<void> {
  const checked = pathFrom(path);
  await changeMode(checked, modeFrom(mode, "mode"));
}

/**
 * No system but macOS has it, and there Node's own may be used.
 *
 * @param _path The path.
 * @param _mode The permissions.
 * @throws `ERR_METHOD_NOT_IMPLEMENTED`
 */
export async function lchmod(_path: PathLike, _mode: number | string): Promise<void> {
  const message = "The lchmod() method is not implemented";
  throw nodeError(Error, "ERR_METHOD_NOT_IMPLEMENTED", message);
}

/**
 * Sets the owner and the group of a file.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param uid The number of the owner; -1 leaves it.
 * @param gid The number of the group; -1 leaves it.
 * @throws the codes of chown(2), with `path` and `syscall`; those of a refused argument
 */
export async function chown(path: PathLike, uid: number, gid: number): Promise<void> {
  const checked = pathFrom(path);
  checkOwner(uid, gid);
  await changeOwner(checked, uid, gid, true);
}

/**
 * The same of a symbolic link itself.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param uid The number of the owner; -1 leaves it.
 * @param gid The number of the group; -1 leaves it.
 * @throws the codes of lchown(2), with `path` and `syscall`; those of a refused argument
 */
export async function lchown(path: PathLike, uid: number, gid: number): Promise<void> {
  const checked = pathFrom(path);
  checkOwner(uid, gid);
  await changeOwner(checked, uid, gid, false);
}

/** A time: seconds since 1970, as a number or its digits, or a date. */
export type Time = string | number | Date;

/**
 * Sets the times of the last read and the last change.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param atime Of the last read: seconds since 1970, or a date.
 * @param mtime Of the last change, in the same form.
 * @throws the codes of utimensat(2), with `path` and `syscall`; those of a refused argument
 */
export async function utimes(path: PathLike, atime: Time, mtime: Time): Promise<void> {
  const checked = pathFrom(path);
  const accessedMs = secondsFrom(atime) * 1000;
  await changeTimes(checked, accessedMs, secondsFrom(mtime) * 1000, true);
}

/**
 * The same of a symbolic link itself.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param atime Of the last read: seconds since 1970, or a date.
 * @param mtime Of the last change, in the same form.
 * @throws the codes of utimensat(2), with `path` and `syscall`; those of a refused argument
 */
export async function lutimes(path: PathLike, atime: Time, mtime: Time): Promise<void> {
  const checked = pathFrom(path);
  const accessedMs = secondsFrom(atime) * 1000;
  await changeTimes(checked, accessedMs, secondsFrom(mtime) * 1000, false);
}

/**
 * The path of a file without links, "." and "..".
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param options An encoding, or `{ encoding }`; "buffer" gives bytes. "utf8" by default.
 * @returns the path from the root
 * @throws the codes of realpath(3), with `path` and `syscall`; those of a refused argument
 */
export async function realpath(
  path: PathLike,
  options?: BufferEncoding | { encoding?: BufferEncoding | null } | null,
): Promise<string>;
/**
 * The path of a file without links, "." and "..".
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param options An encoding, or `{ encoding }`; "buffer" gives bytes. "utf8" by default.
 * @returns the path from the root
 * @throws the codes of realpath(3), with `path` and `syscall`; those of a refused argument
 */
export async function realpath(
  path: PathLike,
  options: "buffer" | { encoding: "buffer" },
): Promise<Buffer>;
export async function realpath(path: PathLike, options?: NameOptions): Promise<string | Buffer> {
  const { encoding } = optionsFrom<{ encoding?: string | null }>(options, {});
  return nameIn(encoding, await realPath(pathFrom(path)));
}

/** Options of {@link readdir}. */
export interface ReadDirectoryOptions {
  /** Of the names; "buffer" gives bytes. "utf8" by default. */
  encoding?: string | null | undefined;
  /** Gives Node's `Dirent`s, which say what kind of file each is; `false` by default. */
  withFileTypes?: boolean | undefined;
  /** Also what is in the directories below; `false` by default. */
  recursive?: boolean | undefined;
}

/**
 * The names in a directory, in the order of their bytes.
 *
 * @param path The directory.
 * @param options An encoding, or `encoding`, `withFileTypes` and `recursive`.
 * @returns the names, or with `withFileTypes` Node's `Dirent`s
 * @throws the codes of scandir(3), with `path` and `syscall`; those of a refused argument
 */
export async function readdir(
  path: PathLike,
  options?: BufferEncoding | (ReadDirectoryOptions & { withFileTypes?: false }) | null,
): Promise<string[]>;
/**
 * The names in a directory, in the order of their bytes.
 *
 * @param path The directory.
 * @param options An encoding, or `encoding`, `withFileTypes` and `recursive`.
 * @returns the names, or with `withFileTypes` Node's `Dirent`s
 * @throws the codes of scandir(3), with `path` and `syscall`; those of a refused argument
 */
export async function readdir(
  path: PathLike,
  options: "buffer" | (ReadDirectoryOptions & { encoding: "buffer"; withFileTypes?: false }),
): Promise<Buffer[]>;
/**
 * The names in a directory, in the order of their bytes.
 *
 * @param path The directory.
 * @param options An encoding, or `encoding`, `withFileTypes` and `recursive`.
 * @returns the names, or with `withFileTypes` Node's `Dirent`s
 * @throws the codes of scandir(3), with `path` and `syscall`; those of a refused argument
 */
export async function readdir(
  path: PathLike,
  options: ReadDirectoryOptions & { withFileTypes: true },
): Promise<Dirent[]>;
export async function readdir(
  path: PathLike,
  options?: string | ReadDirectoryOptions | null,
): Promise<string[] | Buffer[] | Dirent[]> {
  const given = optionsFrom<ReadDirectoryOptions>(options, {});
  const { encoding, withFileTypes, recursive } = given;
  const checked = pathFrom(path);
  if (withFileTypes) {
    return recursive ? direntsBelow(checked, encoding) : direntsIn(checked, encoding);
  }
  if (recursive) return namesBelow(checked, encoding);
  return (await namesIn(checked, encoding)) as string[];
}

/**
 * Opens a directory, whose entries come one after the other.
 *
 * @param path The directory.
 * @param options An encoding, or `encoding`, `bufferSize` and `recursive`.
 * @returns the open directory
 * @throws the codes of opendir(3), with `path` and `syscall`; those of a refused argument
 */
export async function opendir(
  path: PathLike,
  options?: string | DirectoryOptions | null,
): Promise<Dir> {
  const checked = pathFrom(path);
  const given = optionsFrom<DirectoryOptions>(options, {});
  const opened = await OpenedDirectory.open(checked, "opendir");
  try {
    return new Dir(opened, checked, given);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/**
 * Makes a directory whose name begins with the prefix, and ends with six characters that no other
 * has there.
 *
 * @param prefix The path up to these characters.
 * @param options An encoding, or `{ encoding }`; "buffer" gives bytes. "utf8" by default.
 * @returns its path
 * @throws the codes of mkdtemp(3), with `path` and `syscall`; those of a refused argument
 */
export async function mkdtemp(
  prefix: PathLike,
  options?: BufferEncoding | { encoding?: BufferEncoding | null } | null,
): Promise<string>;
/**
 * Makes a directory whose name begins with the prefix, and ends with six characters that no other
 * has there.
 *
 * @param prefix The path up to these characters.
 * @param options An encoding, or `{ encoding }`; "buffer" gives bytes. "utf8" by default.
 * @returns its path
 * @throws the codes of mkdtemp(3), with `path` and `syscall`; those of a refused argument
 */
export async function mkdtemp(
  prefix: PathLike,
  options: "buffer" | { encoding: "buffer" },
): Promise<Buffer>;
export async function mkdtemp(prefix: PathLike, options?: NameOptions): Promise<string | Buffer> {
  const { encoding } = optionsFrom<{ encoding?: string | null }>(options, {});
  const checked = pathFrom(prefix, "prefix");
  return nameIn(encoding, await makeTemporary(checked));
}

/**
 * Removes a file, or with `recursive` a directory with all that is in it.
 *
 * @param path The path: text, bytes, or a `file:` URL.
 * @param options `force`, `recursive`, `maxRetries` and `retryDelay`, as those of Node.
 * @throws `ERR_FS_EISDIR` of a directory without `recursive`; the codes of unlink(2), with `path`
 *   and `syscall`; those of a refused argument
 */
export async function rm(path: PathLike, options?: Partial<RemoveOptions>): Promise<void> {
  const checked = pathFrom(path);
  const given = removeOptionsFrom(options);
  checkBoolean(given.force, "options.force");
  await remove(checked, given);
}

/**
 * Copies a file, through no memory of the program.
 *
 * @param source The path of the file.
 * @param destination The path of the copy.
 * @param mode COPYFILE_EXCL, COPYFILE_FICLONE and COPYFILE_FICLONE_FORCE, or-ed; 0 by default.
 * @throws the codes of the call, with `path`, `dest` and `syscall`; those of a refused argument
 */
export async function copyFile(
  source: PathLike,
  destination: PathLike,
  mode?: number | null,
): Promise<void> {
  const path = pathFrom(source, "src");
  const dest = pathFrom(destination, "dest");
  await copyOneFile(path, dest, accessModeFrom(mode));
}

/**
 * Copies a file, or with `recursive` a directory with all that is in it, many at a time.
 *
 * @param source The path of what is copied.
 * @param destination The path of the copy.
 * @param options As those of Node's `cp`.
 * @throws `ERR_FS_EISDIR` of a directory without `recursive`; `ERR_FS_CP_EEXIST` and its kin; the
 *   codes of the call, with `path`, `dest` and `syscall`; those of a refused argument
 */
export async function cp(
  source: string | URL,
  destination: string | URL,
  options?: CopyOptions,
): Promise<void> {
  const given = copyOptionsFrom(options);
  const path = pathFrom(source, "src");
  await copyTree(path, pathFrom(destination, "dest"), given);
}

/**
 * What is known of a file system.
 *
 * @param path The path of any file in it.
 * @param options `bigint: true` gives numbers that are bigints.
 * @returns its type, and how many blocks and files it has room for
 * @throws the codes of statfs(2), with `path` and `syscall`; those of a refused argument
 */
export async function statfs(path: PathLike, options?: { bigint?: false }): Promise<StatsFs>;
/**
 * What is known of a file system.
 *
 * @param path The path of any file in it.
 * @param options `bigint: true` gives numbers that are bigints.
 * @returns its type, and how many blocks and files it has room for
 * @throws the codes of statfs(2), with `path` and `syscall`; those of a refused argument
 */
export async function statfs(path: PathLike, options: { bigint: true }): Promise<BigIntStatsFs>;
export async function statfs(
  path: PathLike,
  options: { bigint?: boolean } = {},
): Promise<StatsFs | BigIntStatsFs> {
  return statFileSystem(pathFrom(path), options.bigint === true);
}

/**
 * All that the module has: what `import fs from "@io/node/fs/promises"` gives.
 *
 * @hidden
 */
export default {
  ...{ access, appendFile, chmod, chown, constants, copyFile, cp, lchmod, lchown, link, lstat },
  ...{ lutimes, mkdir, mkdtemp, open, opendir, readdir, readFile, readlink, realpath, rename, rm },
  ...{ rmdir, stat, statfs, symlink, truncate, unlink, utimes, watch, writeFile },
};
