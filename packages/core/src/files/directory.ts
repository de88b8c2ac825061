// Paths and directories with promises, over the ring: the methods that an IO and a directory share,
// and the directory.
import * as abi from "../engine/abi.js";
import { textFromBytes } from "../engine/text.js";
import { closedError, IOError, operationError, typeError } from "../errors.js";
import {
  type About,
  checkedEndings,
  fromHere,
  type OperationOptions,
  type Operations,
  type Pending,
} from "../ring/promises.js";
import { type Ring, SYNC_LEVELS, type SyncLevel } from "../ring/ring.js";
import { OpenFlags, RenameFlags } from "../ring/ring_paths.js";
import { attributeFrom, XATTR_HOWS } from "../ring/ring_xattr.js";
import type { Descriptor } from "../ring/types.js";
import {
  type Bytes,
  bytesFrom,
  checkMade,
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
  shown,
  valueError,
} from "../support/check.js";
import { OpenedDirectory } from "../support/forgotten.js";
import { joined, nameIn, type PathBase, runOnPath } from "./base.js";
import { type CopyTreeOptions, type CopyTreeProgress, copyTree } from "./copy_tree.js";
import { File } from "./file.js";
import { namesOfXattr, readXattr, type SetXattrOptions } from "./file_base.js";
import {
  type DirectoryEntry,
  listBytes,
  listNames,
  optionsOfEach,
  runsOf,
  walk,
} from "./listing.js";
import { OPEN_FILE, type OpenOptions, openedOnly, openFlags } from "./open.js";
import { MAX_PATH_BYTES } from "./paths.js";
import { type BigIntStat, type DirectAlignment, type Stat, StatRecord } from "./stat.js";
import { type StatFs, StatFsRecord } from "./stat_fs.js";
import { makeDirectories, makeTemporary, remove } from "./trees.js";
import type { WatchOptions } from "./watch/events.js";
import { type Watch, watch } from "./watch/index.js";

/**
 * How each path that is relative to a {@link Directory} is resolved. A path that breaks a rule
 * fails with "ERR_IO_RESOLVE", whose message names the rule; nothing else has happened then. Linux
 * 5.6 keeps to the rules in the call that opens (openat2). For other operations, and on other
 * systems, the library goes through the path directory by directory, and follows no link unseen:
 * what another process renames meanwhile leads nowhere else.
 *
 * @category Files
 */
export interface ResolveRules {
  /**
   * No path may lead out of the directory: not by "..", nor by an absolute path, nor by a symbolic
   * link. A server of files wants this rule. `false` by default.
   */
  beneath?: boolean | null | undefined;
  /**
   * The directory is the root of absolute paths and of links, and ".." of it is itself, as after a
   * chroot(2). `false` by default, and not together with `beneath`.
   */
  inRoot?: boolean | null | undefined;
  /**
   * No symbolic link may be on the way. One at the end of a path is refused where the call follows
   * it. `false` by default.
   */
  noSymlinks?: boolean | null | undefined;
}

/**
 * How a directory is opened.
 *
 * @category Files
 */
export interface OpenDirectoryOptions extends OperationOptions {
  /**
   * Rules for paths that are relative to the directory. By default those of the directory that it
   * is opened from, and none for `io.openDirectory`.
   */
  resolve?: ResolveRules | null | undefined;
  /** `false`: fail with `ELOOP` when its path ends with a symbolic link. `true` by default. */
  followLinks?: boolean | null | undefined;
}

/**
 * Options of a call on a path that may end with a symbolic link.
 *
 * @category Files
 */
export interface PathOptions extends OperationOptions {
  /** `false`: the call is for a symbolic link itself. `true` by default. */
  followLinks?: boolean | null | undefined;
}

/**
 * Where the second path of a call begins.
 *
 * @category Files
 */
export interface LinkOptions extends OperationOptions {
  /** The directory that the new path is relative to; by default that of the first one. */
  toDirectory?: PathOperations | null | undefined;
}

/**
 * How a file is renamed.
 *
 * @category Files
 */
export interface RenameOptions extends LinkOptions {
  /**
   * Fail with `EEXIST` when the new path is there. `false` by default. Linux and macOS have it; on
   * other systems, and on file systems that do not, it is `ENOTSUP` or `EINVAL`.
   */
  noReplace?: boolean | null | undefined;
  /**
   * The two paths change places, at once; both must be there. `false` by default. The same systems
   * have it.
   */
  exchange?: boolean | null | undefined;
}

const OPEN_DIRECTORY = knows("openDirectory", "resolve", "followLinks");
const RESOLVE: Known = {
  operation: "openDirectory",
  names: new Set(["beneath", "inRoot", "noSymlinks"]),
};
const STAT = knows("stat", "followLinks", "bigint");
const STATFS = knows("statfs");
const RENAME = knows("rename", "noReplace", "exchange", "toDirectory");
const LINK = knows("link", "toDirectory");
const SYMLINK = knows("symlink");
const READLINK = knows("readlink", "encoding");
const REALPATH = knows("realpath", "encoding");
const ENCODINGS = { utf8: true, buffer: true } as const;
const READDIR = knows("readdir", "recursive", "withFileTypes", "encoding");
const ENTRIES = knows("entries", "recursive");
const UNLINK = knows("unlink", "directory");
const MKDIR = knows("mkdir", "mode", "recursive");
const MKDTEMP = knows("mkdtemp");
const RM = knows("rm", "recursive", "force");
const CHMOD = knows("chmod");
const CHOWN = knows("chown", "followLinks");
const UTIMES = knows("utimes", "followLinks");
const ACCESS = knows("access", "read", "write", "execute");
const EXISTS = knows("exists");
const GET_XATTR = knows("getXattr", "followLinks");
const SET_XATTR = knows("setXattr", "how", "followLinks");
const LIST_XATTR = knows("listXattr", "followLinks");
const REMOVE_XATTR = knows("removeXattr", "followLinks");
const SYNC = knows("sync");

type OnPath = (
  ring: Ring,
  pending: Pending,
  settle: Operations["settle"],
  bytes: string | Uint8Array,
  base: PathBase,
) => void;

/**
 * How the names in a directory are read.
 *
 * @category Files
 */
export interface ListOptions extends OperationOptions {
  /** Those in the directories below too, through no symbolic link; `false` by default. */
  recursive?: boolean | null | undefined;
}

/** Whichever of the two a text of the system is given as. */
type EncodedAny = OperationOptions & { encoding?: "utf8" | "buffer" | null | undefined };

/**
 * The calls on paths, which an {@link IO} and a {@link Directory} have alike. A relative path
 * begins at the directory; those of an IO at the process's current directory, as it is at the call.
 *
 * @category Files
 */
export abstract class PathOperations {
  /** @internal */
  abstract _base(): PathBase;

  /**
   * Opens a file. The current folder and the process's mask count as they are at the call. A file
   * that is not closed and becomes garbage is closed, with a warning.
   *
   * @param path A path, a `file:` URL, or bytes, which need not be UTF-8.
   * @param options How to open it; for reading by default.
   * @returns the open file; close it with `await using` or `close()`
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EEXIST` with `exclusive`,
   *   `EINVAL` with `direct` where the file system has no direct I/O, `EMFILE`; the codes of every
   *   operation: {@link IOError.code}
   * @category Files
   */
  async openFile(path: Path, options?: OpenOptions | null): Promise<File> {
    checkOptions(options, OPEN_FILE);
    const given = options ?? {};
    const flags = openFlags(given);
    const direct = (flags & OpenFlags.direct) !== 0;
    const mode = modeFrom(given.mode ?? 0o666, "openFile");
    const bytes = pathFrom(path, "openFile");
    const base = this._base();
    const { at, rules } = base;
    const name = nameIn(base, bytes);
    const descriptor = await runOnPath(
      base,
      OPEN_FILE,
      options,
      { path: name },
      (ring, c, settle) => ring.open(c, settle, bytes, flags, mode, at, rules),
    );
    const { operations } = base;
    const alignment = direct ? await alignmentOf(operations, descriptor) : undefined;
    return new File(operations, descriptor, name, direct, openedOnly(flags), alignment);
  }

  /**
   * Opens a directory, for paths that are relative to it.
   *
   * @param path The directory's path.
   * @param options `resolve`: rules for what is relative to it; `followLinks`, `signal`,
   *   `timeoutMs`.
   * @returns the open directory; close it with `await using` or `close()`
   * @throws `ENOENT`, `EACCES`, `ELOOP`, `ENAMETOOLONG`; `ENOTDIR`, `EMFILE`; `ERR_IO_RESOLVE`
   *   where a rule forbids it; the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async openDirectory(path: Path, options?: OpenDirectoryOptions | null): Promise<Directory> {
    checkOptions(options, OPEN_DIRECTORY);
    const base = this._base();
    const { at, rules } = base;
    const inner = resolveRules(options?.resolve, rules);
    const follow = flag(options?.followLinks, true, "followLinks", "openDirectory");
    const bytes = pathFrom(path, "openDirectory");
    const flags = OpenFlags.read | OpenFlags.directory | (follow ? 0 : OpenFlags.noFollow);
    const name = nameIn(base, bytes);
    const about = { path: name };
    const descriptor = await runOnPath(base, OPEN_DIRECTORY, options, about, (ring, c, settle) =>
      ring.open(c, settle, bytes, flags, 0, at, rules),
    );
    return new Directory(base.operations, descriptor, name, inner);
  }

  /**
   * What is known of the file at a path.
   *
   * @param path The file's path.
   * @param options `followLinks: false` describes a symbolic link itself; `true` by default.
   *   `bigint: true` for whole numbers of any size and nanoseconds. `signal` and `timeoutMs` as
   *   everywhere.
   * @returns its size, times, permissions and kind
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; the codes of every operation:
   *   {@link IOError.code}
   * @category Files
   */
  async stat(
    path: Path,
    options?: (PathOptions & { bigint?: false | null | undefined }) | null,
  ): Promise<Stat>;
  /**
   * The same in bigints, with times in nanoseconds.
   *
   * @param path The file's path.
   * @param options `bigint: true`; `followLinks: false` describes a symbolic link itself; `signal`
   *   and `timeoutMs` as everywhere.
   * @returns its size, times, permissions and kind
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; the codes of every operation:
   *   {@link IOError.code}
   * @category Files
   */
  async stat(path: Path, options: PathOptions & { bigint: true }): Promise<BigIntStat>;
  async stat(
    path: Path,
    options?: (PathOptions & { bigint?: boolean | null | undefined }) | null,
  ): Promise<Stat | BigIntStat> {
    checkOptions(options, STAT);
    const record = new StatRecord();
    const follow = flag(options?.followLinks, true, "followLinks", "stat");
    const exact = flag(options?.bigint, false, "bigint", "stat");
    await this.#onPath(STAT, path, options, (ring, c, settle, bytes, { at, rules }) =>
      ring.stat(c, settle, bytes, record, follow, at, rules),
    );
    return exact ? record.bigint : record.stat;
  }

  /**
   * What is known of the file system that a path is on.
   *
   * @param path A path on it.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns its size and what of it is free, in blocks
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; the codes of every operation:
   *   {@link IOError.code}
   * @category Files
   */
  async statfs(path: Path, options?: OperationOptions | null): Promise<StatFs> {
    const record = new StatFsRecord();
    await this.#onPath(STATFS, path, options, (ring, c, settle, bytes, { at, rules }) =>
      ring.statfs(c, settle, bytes, record, at, rules),
    );
    return record.statfs;
  }

  /**
   * Renames a file, replacing what is there. Durable once the folder was synced.
   *
   * @param from The path it has.
   * @param to The path it shall have, on the same file system.
   * @param options `noReplace`, `exchange`, `toDirectory`; `signal` and `timeoutMs`.
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EXDEV` on another file system,
   *   `ENOTEMPTY` over a directory that is not empty, `EEXIST` with `noReplace`, `ENOTSUP` or
   *   `EINVAL` where the system or the file system has no such rename; the codes of every
   *   operation: {@link IOError.code}
   * @category Files
   */
  async rename(from: Path, to: Path, options?: RenameOptions | null): Promise<void> {
    checkOptions(options, RENAME);
    const noReplace = flag(options?.noReplace, false, "noReplace", "rename");
    const exchange = flag(options?.exchange, false, "exchange", "rename");
    if (noReplace && exchange) {
      throw valueError("rename", "noReplace and exchange are given: give one of the two");
    }
    const flags = noReplace ? RenameFlags.noReplace : exchange ? RenameFlags.exchange : 0;
    const source = pathFrom(from, "rename");
    const target = pathFrom(to, "rename");
    const base = this._base();
    const second = secondBase(base, options, "rename");
    const about = aboutTwo(base, source, second, target);
    const places = [base, source, second, target] as const;
    await runOnTwo(places, RENAME, options, about, (ring, c, settle) => {
      second.check("rename");
      const { at, rules } = base;
      ring.rename(c, settle, source, target, flags, at, second.at, rules, second.rules);
    });
  }

  /**
   * Gives a file another name, which must be free (a hard link), on the same file system.
   *
   * @param existing The file.
   * @param path The other name for it.
   * @param options `toDirectory`; `signal` and `timeoutMs`.
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EEXIST`, `EXDEV` on another
   *   file system, `EPERM` for a directory; the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async link(existing: Path, path: Path, options?: LinkOptions | null): Promise<void> {
    checkOptions(options, LINK);
    const source = pathFrom(existing, "link");
    const target = pathFrom(path, "link");
    const base = this._base();
    const second = secondBase(base, options, "link");
    const about = aboutTwo(base, source, second, target);
    const places = [base, source, second, target] as const;
    await runOnTwo(places, LINK, options, about, (ring, c, settle) => {
      second.check("link");
      ring.link(c, settle, source, target, base.at, second.at, base.rules, second.rules);
    });
  }

  /**
   * Makes a symbolic link to `target`, which need not be there. It is kept as it is given: a
   * relative one begins at the folder of the link.
   *
   * @param target What the link leads to, kept as it is given.
   * @param path Where the link is made.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EEXIST`; the codes of every
   *   operation: {@link IOError.code}
   * @category Files
   */
  async symlink(target: Path, path: Path, options?: OperationOptions | null): Promise<void> {
    const text = pathFrom(target, "symlink");
    const bytes = pathFrom(path, "symlink");
    const base = this._base();
    const about = { path: pathText(text), dest: nameIn(base, bytes) };
    await runOnPath(base, SYMLINK, options, about, (ring, c, settle) =>
      ring.symlink(c, settle, text, bytes, base.at, base.rules),
    );
  }

  /**
   * What a symbolic link leads to, as it was given when the link was made. A byte that is not UTF-8
   * stands in the text as in every path of this library; `encoding: "buffer"` gives the bytes.
   *
   * @param path The link.
   * @param options `encoding`: "utf8" (the default) or "buffer"; `signal` and `timeoutMs`.
   * @returns the target, as it was given when the link was made
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EINVAL` when it is no symbolic
   *   link; the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async readlink(
    path: Path,
    options?: (OperationOptions & { encoding?: "utf8" | null | undefined }) | null,
  ): Promise<string>;
  /**
   * The same, as the bytes that the file system has.
   *
   * @param path The link.
   * @param options `encoding`: "utf8" (the default) or "buffer"; `signal` and `timeoutMs`.
   * @returns the target, as it was given when the link was made
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EINVAL` when it is no symbolic
   *   link; the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async readlink(path: Path, options: OperationOptions & { encoding: "buffer" }): Promise<Buffer>;
  async readlink(path: Path, options?: EncodedAny | null): Promise<string | Buffer> {
    return this.#textOf("readlink", READLINK, path, options);
  }

  /**
   * The path without symbolic links, "." and "..", from the root. Of what is relative to a
   * `Directory` Linux and macOS say it; elsewhere it is `ENOSYS`.
   *
   * @param path A path that leads to something.
   * @param options `encoding`: "utf8" (the default) or "buffer"; `signal` and `timeoutMs`.
   * @returns the path from the root
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`, `ERANGE` for a path of more
   *   than 4,096 bytes; the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async realpath(
    path: Path,
    options?: (OperationOptions & { encoding?: "utf8" | null | undefined }) | null,
  ): Promise<string>;
  /**
   * The same, as the bytes that the file system has.
   *
   * @param path A path that leads to something.
   * @param options `encoding`: "utf8" (the default) or "buffer"; `signal` and `timeoutMs`.
   * @returns the path from the root
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`, `ERANGE` for a path of more
   *   than 4,096 bytes; the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async realpath(path: Path, options: OperationOptions & { encoding: "buffer" }): Promise<Buffer>;
  async realpath(path: Path, options?: EncodedAny | null): Promise<string | Buffer> {
    return this.#textOf("realpath", REALPATH, path, options);
  }

  // What a verb writes into memory is a path.
  async #textOf(
    verb: "readlink" | "realpath",
    known: Known,
    path: Path,
    options?: EncodedAny | null,
  ): Promise<string | Buffer> {
    checkOptions(options, known);
    const encoding = oneOf(options?.encoding ?? "utf8", ENCODINGS, "encoding", verb);
    const into = new Uint8Array(MAX_PATH_BYTES);
    const length = await this.#onPath(known, path, options, (ring, c, settle, bytes, base) =>
      ring[verb](c, settle, bytes, into, base.at, base.rules),
    );
    const target = into.subarray(0, length);
    return encoding === "buffer" ? Buffer.from(target) : textFromBytes(target);
  }

  /**
   * The names in a directory, without "." and "..", in the order of the file system. With
   * `recursive` those below it too, as paths that begin at it. It gathers the whole list: for a
   * directory that may have any number of names there is `entries()`.
   *
   * @param path The directory.
   * @param options `recursive`; `withFileTypes: true` gives entries, `encoding: "buffer"` names as
   *   bytes; `signal` and `timeoutMs`, of the whole call.
   * @returns the names
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`, `EMFILE`; the codes of every
   *   operation: {@link IOError.code}
   * @category Files
   */
  async readdir(
    path: Path,
    options?:
      | (ListOptions & {
          withFileTypes?: false | null | undefined;
          encoding?: "utf8" | null | undefined;
        })
      | null,
  ): Promise<string[]>;
  /**
   * The same, with what each name stands for.
   *
   * @param path The directory.
   * @param options `withFileTypes: true`; `recursive`, `signal` and `timeoutMs`.
   * @returns the entries
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`, `EMFILE`; the codes of every
   *   operation: {@link IOError.code}
   * @category Files
   */
  async readdir(
    path: Path,
    options: ListOptions & { withFileTypes: true },
  ): Promise<DirectoryEntry[]>;
  /**
   * The same, as the bytes that the file system has; not together with `recursive`.
   *
   * @param path The directory.
   * @param options `encoding: "buffer"`; `signal` and `timeoutMs`.
   * @returns the names
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`, `EMFILE`; the codes of every
   *   operation: {@link IOError.code}
   * @category Files
   */
  async readdir(path: Path, options: OperationOptions & { encoding: "buffer" }): Promise<Buffer[]>;
  async readdir(
    path: Path,
    options?:
      | (ListOptions & {
          withFileTypes?: boolean | null | undefined;
          encoding?: "utf8" | "buffer" | null | undefined;
        })
      | null,
  ): Promise<string[] | Buffer[] | DirectoryEntry[]> {
    checkOptions(options, READDIR);
    const recursive = flag(options?.recursive, false, "recursive", "readdir");
    const types = flag(options?.withFileTypes, false, "withFileTypes", "readdir");
    const encoding = oneOf(options?.encoding ?? "utf8", ENCODINGS, "encoding", "readdir");
    if (encoding === "buffer" && (recursive || types)) {
      throw valueError("readdir", 'encoding "buffer" gives names alone, of one directory');
    }
    const bytes = pathFrom(path, "readdir");
    const next = optionsOfEach("readdir", "readDirectory", checkedEndings(options, READDIR));
    const base = this._base();
    base.check("readdir");
    if (encoding === "buffer") return listBytes(base, bytes, next);
    if (!recursive && !types) return listNames(base, bytes, next);
    const entries: DirectoryEntry[] = [];
    for await (const run of runsOf(base, bytes, next, recursive)) {
      for (const entry of run) entries.push(entry);
    }
    if (types) return entries;
    const top = joined(nameIn(base, bytes), "").length;
    return entries.map(({ parentPath, name }) => joined(parentPath, name).slice(top));
  }

  /**
   * The entries of a directory one by one, as an async iterable: "." and ".." are not among them.
   * With `recursive` those below it too, each directory before what is in it, through no symbolic
   * link. No list is kept, so that the directory may have any number of names; with `recursive` as
   * many directories are open at once as lie in each other. Leaving the loop closes what it has
   * opened. What is made or removed meanwhile may be among them or not.
   *
   * @param path The directory; "." by default, which is the directory itself.
   * @param options `recursive`; `signal` and `timeoutMs`, of the whole loop.
   * @returns an async iterable, which the first step opens
   * @throws in the loop: `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`, `EMFILE`; the
   *   codes of every operation: {@link IOError.code}
   * @category Files
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * for await (const entry of io.entries(".")) {
   *   if (entry.isDirectory()) process.stdout.write(`${entry.name}/\n`);
   * }
   * ```
   */
  entries(
    path: Path = ".",
    options?: ListOptions | null,
  ): AsyncGenerator<DirectoryEntry, undefined, undefined> {
    checkOptions(options, ENTRIES);
    const recursive = flag(options?.recursive, false, "recursive", "entries");
    const bytes = pathFrom(path, "entries");
    const next = optionsOfEach("entries", "readDirectory", checkedEndings(options, ENTRIES));
    const base = this._base();
    base.check("entries");
    return walk(base, bytes, next, recursive);
  }

  /**
   * Removes a file, or an empty directory with `directory: true`.
   *
   * @param path What to remove.
   * @param options `directory: true` removes an empty directory; `false` by default. `signal` and
   *   `timeoutMs`.
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EISDIR` (`EPERM` on macOS) for
   *   a directory without `directory: true`, `ENOTEMPTY`; the codes of every operation: {@link
   *   IOError.code}
   * @category Files
   */
  async unlink(
    path: Path,
    options?: (OperationOptions & { directory?: boolean | null | undefined }) | null,
  ): Promise<void> {
    checkOptions(options, UNLINK);
    const directory = flag(options?.directory, false, "directory", "unlink");
    await this.#onPath(UNLINK, path, options, (ring, c, settle, bytes, { at, rules }) =>
      ring.unlink(c, settle, bytes, directory, at, rules),
    );
  }

  /**
   * Makes a directory; its parent must be there. With `recursive` the parents that are missing are
   * made too, and a directory that is there already is as good.
   *
   * @param path The directory to make.
   * @param options `recursive`; `mode`: permissions, less the process's mask; 0o777 by default.
   *   `signal` and `timeoutMs`, of the whole call.
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EEXIST`; the codes of every
   *   operation: {@link IOError.code}
   * @category Files
   */
  async mkdir(
    path: Path,
    options?:
      | (OperationOptions & {
          mode?: FileMode | null | undefined;
          recursive?: boolean | null | undefined;
        })
      | null,
  ): Promise<void> {
    checkOptions(options, MKDIR);
    const mode = modeFrom(options?.mode ?? 0o777, "mkdir");
    if (flag(options?.recursive, false, "recursive", "mkdir")) {
      const text = pathText(pathFrom(path, "mkdir"));
      const next = optionsOfEach("mkdir", "mkdir", checkedEndings(options, MKDIR));
      this._base().check("mkdir");
      return makeDirectories(this._base(), text, mode, next);
    }
    await this.#onPath(MKDIR, path, options, (ring, c, settle, bytes, { at, rules }) =>
      ring.mkdir(c, settle, bytes, mode, at, rules),
    );
  }

  /**
   * Makes a directory that only this call has: the prefix, and eight characters that are a name of
   * nothing else there. Its permissions are 0o700.
   *
   * @param prefix How its path begins, such as "/tmp/build-".
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns its path
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; the codes of every operation:
   *   {@link IOError.code}
   * @category Files
   */
  async mkdtemp(prefix: Path, options?: OperationOptions | null): Promise<string> {
    checkOptions(options, MKDTEMP);
    const text = pathText(pathFrom(prefix, "mkdtemp"));
    const next = optionsOfEach("mkdtemp", "mkdir", checkedEndings(options, MKDTEMP));
    const base = this._base();
    base.check("mkdtemp");
    return makeTemporary(base, text, 0o700, next);
  }

  /**
   * Removes a file, and with `recursive` a directory and all that is in it. It goes by descriptors
   * and follows no symbolic link: what another process puts in the place of a directory meanwhile
   * leads nowhere else. As many directories are open at once as lie in each other.
   *
   * @param path What to remove.
   * @param options `recursive`; `force: true` takes a path that leads to nothing as removed;
   *   `signal` and `timeoutMs`, of the whole call: what is removed by then stays removed.
   * @throws `ENOENT` without `force`, `EISDIR` for a directory without `recursive`, `EACCES`,
   *   `EPERM`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`, `EMFILE`; `ENOTEMPTY` when another process goes
   *   on making names in it; the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async rm(
    path: Path,
    options?:
      | (OperationOptions & {
          recursive?: boolean | null | undefined;
          force?: boolean | null | undefined;
        })
      | null,
  ): Promise<void> {
    checkOptions(options, RM);
    const recursive = flag(options?.recursive, false, "recursive", "rm");
    const force = flag(options?.force, false, "force", "rm");
    const text = pathText(pathFrom(path, "rm"));
    const next = optionsOfEach("rm", "unlink", checkedEndings(options, RM));
    const base = this._base();
    base.check("rm");
    await remove(base, text, recursive, force, next);
  }

  /**
   * Reads an extended attribute of a file.
   *
   * @param path The file's path.
   * @param name The name of the attribute: "user.note" on Linux, where all that programs set begin
   *   with "user."; any on macOS.
   * @param options `followLinks: false` is for a symbolic link itself; `signal` and `timeoutMs`.
   * @returns the bytes of its value
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `ENODATA` where there is no
   *   such attribute (`ENOATTR` on macOS), `ENOTSUP` where the file system or the system (the BSDs)
   *   has none; the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async getXattr(path: Path, name: string, options?: PathOptions | null): Promise<Buffer> {
    checkOptions(options, GET_XATTR);
    const follow = flag(options?.followLinks, true, "followLinks", "getXattr");
    attributeFrom(name, "getXattr");
    return readXattr((into) =>
      this.#onPath(GET_XATTR, path, options, (ring, c, settle, bytes, { at, rules }) =>
        ring.getXattrAt(c, settle, bytes, name, into, follow, at, rules),
      ),
    );
  }

  /**
   * Sets an extended attribute of a file.
   *
   * @param path The file's path.
   * @param name The name of the attribute, as for `getXattr`.
   * @param value The bytes, or text as UTF-8.
   * @param options `how`: "any" (the default), "create" or "replace": see {@link XattrHow};
   *   `followLinks: false` is for a symbolic link itself; `signal` and `timeoutMs`.
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EEXIST` with "create",
   *   `ENODATA` (`ENOATTR` on macOS) with "replace", `ENOSPC`, `E2BIG`, `EPERM` for what may have
   *   none, `ENOTSUP` as for `getXattr`; the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async setXattr(
    path: Path,
    name: string,
    value: Bytes | string,
    options?: (SetXattrOptions & PathOptions) | null,
  ): Promise<void> {
    checkOptions(options, SET_XATTR);
    const follow = flag(options?.followLinks, true, "followLinks", "setXattr");
    attributeFrom(name, "setXattr");
    const how = oneOf(options?.how ?? "any", XATTR_HOWS, "how", "setXattr");
    const given = bytesFrom(value, "setXattr");
    await this.#onPath(SET_XATTR, path, options, (ring, c, settle, bytes, { at, rules }) =>
      ring.setXattrAt(c, settle, bytes, name, given, how, follow, at, rules),
    );
  }

  /**
   * The names of the extended attributes of a file.
   *
   * @param path The file's path.
   * @param options `followLinks: false` is for a symbolic link itself; `signal` and `timeoutMs`.
   * @returns the names, in no order
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `ENOTSUP` as for `getXattr`;
   *   the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async listXattr(path: Path, options?: PathOptions | null): Promise<string[]> {
    checkOptions(options, LIST_XATTR);
    const follow = flag(options?.followLinks, true, "followLinks", "listXattr");
    const names = await readXattr((into) =>
      this.#onPath(LIST_XATTR, path, options, (ring, c, settle, bytes, { at, rules }) =>
        ring.listXattrAt(c, settle, bytes, into, follow, at, rules),
      ),
    );
    return namesOfXattr(names);
  }

  /**
   * Removes an extended attribute of a file.
   *
   * @param path The file's path.
   * @param name The name of the attribute.
   * @param options `followLinks: false` is for a symbolic link itself; `signal` and `timeoutMs`.
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `ENODATA` where there is no
   *   such attribute (`ENOATTR` on macOS), `ENOTSUP`; the codes of every operation:
   *   {@link IOError.code}
   * @category Files
   */
  async removeXattr(path: Path, name: string, options?: PathOptions | null): Promise<void> {
    checkOptions(options, REMOVE_XATTR);
    const follow = flag(options?.followLinks, true, "followLinks", "removeXattr");
    attributeFrom(name, "removeXattr");
    await this.#onPath(REMOVE_XATTR, path, options, (ring, c, settle, bytes, { at, rules }) =>
      ring.removeXattrAt(c, settle, bytes, name, follow, at, rules),
    );
  }

  /**
   * Copies a file, a symbolic link or, with `recursive`, a directory with all that is in it, under
   * the names of Node's `cp`. Files keep their bytes and permissions, links lead to what they have
   * led to. Owners, attributes, holes and what names have in common (hard links) are not copied.
   *
   * No link is followed but one at the end of `destination`, or before a slash at the end of
   * `source`. A tree that changes meanwhile is copied as it is found, and what is removed meanwhile
   * is left out. After a failure what was there before stays, and what was copied until then,
   * except for a file that is not whole. That stays only when the IO is closed meanwhile.
   *
   * @param source What to copy.
   * @param destination The path of the copy. Directories on its way are made.
   * @param options `recursive`, `force`, `errorOnExist`, `preserveTimestamps`, `reflink`, `filter`,
   *   `onProgress`, `toDirectory`: see {@link CopyTreeOptions}. `signal` and `timeoutMs` are of the
   *   whole call.
   * @returns what was made
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EISDIR` for a directory
   *   without `recursive`, or where a directory stands in the way of a file; `EINVAL` when the copy
   *   would be the source or in it, and for a FIFO, a socket or a device; `EEXIST`, `ENOSPC`,
   *   `EDQUOT`; the codes of every operation: {@link IOError.code}
   * @category Files
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * await io.mkdir("site/pages", { recursive: true });
   * const { files, bytes } = await io.cp("site", "backup/site", {
   *   recursive: true,
   *   onProgress: ({ bytes }) => void process.stdout.write(`${bytes} bytes\n`),
   * });
   * process.stdout.write(`${files} files of ${bytes} bytes\n`);
   * ```
   */
  async cp(
    source: Path,
    destination: Path,
    options?: (CopyTreeOptions & LinkOptions) | null,
  ): Promise<CopyTreeProgress> {
    const base = this._base();
    return copyTree(base, source, secondBase(base, options, "cp"), destination, options);
  }

  /**
   * Watches a file, or the names in a directory: each event says what has happened since this
   * promise was fulfilled. A symbolic link at the end of the path is followed.
   *
   * @param path The file or directory.
   * @param options `recursive`: also what is below; `signal` ends the watch, `timeoutMs` limits
   *   how long it takes to begin.
   * @returns the events, as an async iterable; leaving the loop closes it, as do `await using` and
   *   `close()`
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EMFILE` when the process has
   *   no descriptor left, on Linux also that and `ENOSPC` at the limits of fs.inotify; the codes of
   *   every operation: {@link IOError.code}
   * @category Files
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * const path = await io.mkdtemp("/tmp/watched-");
   * const watch = await io.watch(path, { recursive: true });
   * await io.mkdir(`${path}/new`);
   * for await (const { eventType, filename, action } of watch) {
   *   process.stdout.write(`${eventType} ${filename} ${action}\n`); // rename new created
   *   break;
   * }
   * ```
   */
  watch(path: Path, options?: WatchOptions | null): Promise<Watch> {
    return watch(this._base(), path, options);
  }

  /**
   * Sets the permissions of a file. A symbolic link is followed.
   *
   * @param path The file's path.
   * @param mode All permission bits.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EPERM` for a file of another
   *   user, `EROFS`; the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async chmod(path: Path, mode: FileMode, options?: OperationOptions | null): Promise<void> {
    const bits = modeFrom(mode, "chmod");
    await this.#onPath(CHMOD, path, options, (ring, c, settle, bytes, { at, rules }) =>
      ring.chmod(c, settle, bytes, bits, at, rules),
    );
  }

  /**
   * Sets the owner of a file.
   *
   * @param path The file's path.
   * @param uid The number of the user; -1 leaves it.
   * @param gid The number of the group; -1 leaves it.
   * @param options `followLinks: false` is for a symbolic link itself; `signal` and `timeoutMs`.
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EPERM` without the privilege,
   *   `EROFS`; the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async chown(path: Path, uid: number, gid: number, options?: PathOptions | null): Promise<void> {
    checkOptions(options, CHOWN);
    const follow = flag(options?.followLinks, true, "followLinks", "chown");
    await this.#onPath(CHOWN, path, options, (ring, c, settle, bytes, { at, rules }) =>
      ring.chown(c, settle, bytes, uid, gid, follow, at, rules),
    );
  }

  /**
   * Sets the times of a file: of the last read, and of the last change of its bytes.
   *
   * @param path The file's path.
   * @param atime A Date, milliseconds since 1970 with fractions, or nanoseconds as a bigint, as
   *   `stat({ bigint: true })` of a file has them. Node's `fs` takes seconds.
   * @param mtime The same.
   * @param options `followLinks: false` is for a symbolic link itself; `signal` and `timeoutMs`.
   * @throws `ENOENT`, `EACCES`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EPERM` for a file of another
   *   user, `EROFS`; the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async utimes(
    path: Path,
    atime: Date | number | bigint,
    mtime: Date | number | bigint,
    options?: PathOptions | null,
  ): Promise<void> {
    checkOptions(options, UTIMES);
    const follow = flag(options?.followLinks, true, "followLinks", "utimes");
    await this.#onPath(UTIMES, path, options, (ring, c, settle, bytes, { at, rules }) =>
      ring.utimes(c, settle, bytes, atime, mtime, follow, at, rules),
    );
  }

  /**
   * Fails unless the process may use a file. By default it only has to be there. What is allowed
   * now may be forbidden a moment later: to open it and see is better, where that is what comes
   * next.
   *
   * @param path The file's path.
   * @param options What it is to be used for: `read`, `write`, `execute`; `signal` and `timeoutMs`.
   * @throws `ENOENT`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`; `EACCES` and `EROFS` when it may not be
   *   used so; the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async access(
    path: Path,
    options?:
      | (OperationOptions & {
          read?: boolean | null | undefined;
          write?: boolean | null | undefined;
          execute?: boolean | null | undefined;
        })
      | null,
  ): Promise<void> {
    checkOptions(options, ACCESS);
    const is = (name: "read" | "write" | "execute"): boolean =>
      flag(options?.[name], false, name, "access");
    const wanted = (is("read") ? 4 : 0) | (is("write") ? 2 : 0) | (is("execute") ? 1 : 0);
    await this.#onPath(ACCESS, path, options, (ring, c, settle, bytes, { at, rules }) =>
      ring.access(c, settle, bytes, wanted, at, rules),
    );
  }

  /**
   * Whether a path leads to something. A link that leads nowhere is nothing.
   *
   * @param path The path.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns `false` for ENOENT and ENOTDIR
   * @throws every other error, such as `EACCES` for a directory on the way: then it is not known;
   *   the codes of every operation: {@link IOError.code}
   * @category Files
   */
  async exists(path: Path, options?: OperationOptions | null): Promise<boolean> {
    try {
      await this.#onPath(EXISTS, path, options, (ring, c, settle, bytes, { at, rules }) =>
        ring.access(c, settle, bytes, 0, at, rules),
      );
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code === "ENOENT" || code === "ENOTDIR") return false;
      throw error;
    }
    return true;
  }

  #onPath(
    known: Known,
    path: Path,
    options: OperationOptions | null | undefined,
    start: OnPath,
  ): Promise<number> {
    const bytes = pathFrom(path, known.operation);
    const base = this._base();
    const about = { path: nameIn(base, bytes) };
    return runOnPath(base, known, options, about, (ring, pending, settle) =>
      start(ring, pending, settle, bytes, base),
    );
  }
}

// Fits every common device, where the file system does not say more.
const USUAL_ALIGNMENT: DirectAlignment = { memoryBytes: 4096, positionBytes: 4096 };

// The file is open already, so that no limit of the open ends this. A file system that cannot
// answer leaves the usual alignment.
async function alignmentOf(
  operations: Operations,
  descriptor: Descriptor,
): Promise<DirectAlignment> {
  const record = new StatRecord();
  try {
    await operations.run((pending, settle) =>
      operations.ring.stat(pending, settle, descriptor, record),
    );
  } catch (error) {
    if (operations.closed) throw error;
    return USUAL_ALIGNMENT;
  }
  return record.stat.directAlignment ?? USUAL_ALIGNMENT;
}

/** What the second path of a call is relative to. */
function secondBase(
  base: PathBase,
  options: LinkOptions | null | undefined,
  name: string,
): PathBase {
  const given = options?.toDirectory ?? null;
  if (given === null) return base;
  if (!(given instanceof PathOperations)) {
    throw typeError(name, `toDirectory is ${shown(given)}: give a Directory or an IO`);
  }
  const second = given._base();
  if (second.operations !== base.operations) {
    throw valueError(name, "toDirectory is of another IO: both paths must be of the same");
  }
  return second;
}

/** Two paths, each with what it is relative to. */
type Places = readonly [
  from: PathBase,
  source: string | Uint8Array,
  to: PathBase,
  target: string | Uint8Array,
];

/**
 * Runs a verb on two paths. EXDEV is an error of two file systems, and of a rule that one of the
 * paths breaks: a look at each says which.
 */
async function runOnTwo(
  [from, source, to, target]: Places,
  known: Known,
  options: OperationOptions | null | undefined,
  about: About,
  start: (ring: Ring, pending: Pending, settle: Operations["settle"]) => void,
): Promise<void> {
  try {
    await runOnPath(from, known, options, about, start);
  } catch (error) {
    const isRule =
      error instanceof IOError &&
      error.code === "EXDEV" &&
      ((await leadsOut(from, source)) || (await leadsOut(to, target)));
    if (!isRule) throw error;
    const opcode = known === RENAME ? abi.OPCODE_RENAME : abi.OPCODE_LINK;
    const subject = { ...about, rules: abi.RESOLVE_BENEATH, leadsOut: true, place: undefined };
    const errno = error.errno as number;
    throw fromHere(operationError(opcode, errno, from.operations.backend, subject));
  }
}

async function leadsOut(base: PathBase, path: string | Uint8Array): Promise<boolean> {
  if ((base.rules & abi.RESOLVE_BENEATH) === 0) return false;
  try {
    await runOnPath(base, STAT, null, {}, (ring, pending, settle) =>
      ring.stat(pending, settle, path, new StatRecord(), false, base.at, base.rules),
    );
    return false;
  } catch (error) {
    return error instanceof IOError && error.code === "ERR_IO_RESOLVE";
  }
}

function aboutTwo(
  base: PathBase,
  source: string | Uint8Array,
  second: PathBase,
  target: string | Uint8Array,
): About {
  const rules = base.rules | second.rules;
  return { path: nameIn(base, source), dest: nameIn(second, target), rules };
}

function resolveRules(given: ResolveRules | null | undefined, inherited: number): number {
  if (given === undefined || given === null) return inherited;
  checkOptions(given, RESOLVE, "resolve");
  const is = (name: keyof ResolveRules): boolean =>
    flag(given[name], false, `resolve.${name}`, RESOLVE.operation);
  const [beneath, inRoot] = [is("beneath"), is("inRoot")];
  if (beneath && inRoot) {
    throw valueError(RESOLVE.operation, "resolve has beneath and inRoot: give one of the two");
  }
  return (
    (beneath ? abi.RESOLVE_BENEATH : 0) |
    (inRoot ? abi.RESOLVE_IN_ROOT : 0) |
    (is("noSymlinks") ? abi.RESOLVE_NO_SYMLINKS : 0)
  );
}

/**
 * An open directory. Every path that is given to it is relative to it, and goes on to mean the same
 * when the directory is renamed, or the process changes its own. With `resolve` no path leads out
 * of it. After `close()` every call fails with code "ERR_IO_CLOSED".
 *
 * @category Files
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using site = await io.openDirectory(".", { resolve: { beneath: true } });
 * await site.openFile("../secret").catch((error: Error) => {
 *   process.stdout.write(`${error.message}\n`); // ... which the rule "beneath" forbids
 * });
 * ```
 */
export class Directory extends PathOperations implements AsyncDisposable {
  /** As it was given when it was opened, behind that of the directory that it was opened from. */
  readonly path: string;
  readonly #operations: Operations;
  readonly #descriptor: Descriptor;
  readonly #base: PathBase;
  #watched = true; // as long as Forgotten looks after it
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor(operations: Operations, descriptor: Descriptor, path: string, rules: number) {
    super();
    checkMade(operations, "Directory", "await io.openDirectory()");
    this.#operations = operations;
    this.#descriptor = descriptor;
    this.path = path;
    const check = (operation: string): void => this.#check(operation);
    this.#base = { operations, at: descriptor, rules, path, check };
    operations.forgotten.watch(this, new OpenedDirectory(descriptor, path));
  }

  /** @internal */
  _base(): PathBase {
    return this.#base;
  }

  /**
   * For the verbs of `io.ring`. Once it was asked for, the directory is no longer closed when it is
   * garbage.
   */
  get descriptor(): Descriptor {
    if (this.#watched) {
      this.#watched = false;
      this.#operations.forgotten.release(this);
    }
    return this.#descriptor;
  }

  /**
   * Makes the names in the directory durable: what was made, renamed and removed in it.
   *
   * @param level What to promise; "full" by default.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws `EIO`, `ENOSPC`, `EDQUOT`; the codes of every operation: {@link IOError.code}
   */
  async sync(level: SyncLevel = "full", options?: OperationOptions | null): Promise<void> {
    const word = oneOf(level, SYNC_LEVELS, "the level", "sync");
    await runOnPath(this.#base, SYNC, options, { path: this.path }, (ring, pending, settle) => {
      ring.sync(pending, settle, this.#descriptor, word);
    });
  }

  /**
   * Ends what is in flight on the directory, then closes it. May be called again, with the same
   * promise. It takes neither `signal` nor `timeoutMs`: a close that is given up would leave
   * the descriptor to nothing that closes it.
   */
  close(): Promise<void> {
    if (this.#closing === null) {
      this.#operations.forgotten.release(this);
      this.#closing = this.#operations.close(this.#descriptor);
    }
    return this.#closing;
  }

  /** Closes the directory: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(operation: string): void {
    if (this.#closing !== null) throw closedError(operation, `the directory '${this.path}'`);
  }
}
