// What is known of a file, from the numbers that the engine writes.
import type { Stats } from "node:fs";
import * as abi from "../engine/abi.js";

const KIND_BITS = 0o170000;
const KIND_FILE = 0o100000;
const KIND_DIRECTORY = 0o040000;
const KIND_LINK = 0o120000;
const KIND_SOCKET = 0o140000;
const KIND_FIFO = 0o010000;
const KIND_CHARACTER_DEVICE = 0o020000;
const KIND_BLOCK_DEVICE = 0o060000;

// POSIX counts `st_blocks` in these, whatever the blocks of the file system are.
const BLOCK_BYTES = 512;

/**
 * What is known of a file, under the names of Node's `fs.Stats`. Times are milliseconds since 1970,
 * with fractions; `size` and `blksize` are bytes. All are numbers: an inode above 2^53 is rounded.
 */
export class Stat
  implements Omit<Stats, "rdev" | "atimeNs" | "mtimeNs" | "ctimeNs" | "birthtimeNs">
{
  readonly dev: number;
  readonly ino: number;
  /** Permission bits and kind, as `st_mode` has them. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly blksize: number;
  /** Disk space in use, in units of 512 bytes; less than `size` for a file with holes. */
  readonly blocks: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  /** 0 where the file system does not know. */
  readonly birthtimeMs: number;

  /** @internal */
  constructor(fields: Float64Array) {
    const at = (index: number): number => fields[index] ?? 0;
    this.dev = at(abi.STAT_DEVICE);
    this.ino = at(abi.STAT_INODE);
    this.mode = at(abi.STAT_MODE);
    this.nlink = at(abi.STAT_LINKS);
    this.uid = at(abi.STAT_USER);
    this.gid = at(abi.STAT_GROUP);
    this.size = at(abi.STAT_SIZE_BYTES);
    this.blksize = at(abi.STAT_BLOCK_SIZE_BYTES);
    this.blocks = at(abi.STAT_ALLOCATED_BYTES) / BLOCK_BYTES;
    this.atimeMs = at(abi.STAT_ACCESSED_MS);
    this.mtimeMs = at(abi.STAT_MODIFIED_MS);
    this.ctimeMs = at(abi.STAT_CHANGED_MS);
    this.birthtimeMs = at(abi.STAT_CREATED_MS);
  }

  get atime(): Date {
    return new Date(this.atimeMs);
  }

  get mtime(): Date {
    return new Date(this.mtimeMs);
  }

  get ctime(): Date {
    return new Date(this.ctimeMs);
  }

  get birthtime(): Date {
    return new Date(this.birthtimeMs);
  }

  /** Whether it is a regular file. */
  isFile(): boolean {
    return this.#is(KIND_FILE);
  }

  /** Whether it is a directory. */
  isDirectory(): boolean {
    return this.#is(KIND_DIRECTORY);
  }

  /** Only with `followLinks: false`, which does not follow the last link of the path. */
  isSymbolicLink(): boolean {
    return this.#is(KIND_LINK);
  }

  /** Whether it is a unix socket. */
  isSocket(): boolean {
    return this.#is(KIND_SOCKET);
  }

  /** Whether it is a FIFO, a pipe with a name. */
  isFIFO(): boolean {
    return this.#is(KIND_FIFO);
  }

  /** Whether it is a character device, such as a terminal. */
  isCharacterDevice(): boolean {
    return this.#is(KIND_CHARACTER_DEVICE);
  }

  /** Whether it is a block device, such as a disk. */
  isBlockDevice(): boolean {
    return this.#is(KIND_BLOCK_DEVICE);
  }

  #is(kind: number): boolean {
    return (this.mode & KIND_BITS) === kind;
  }
}

/**
 * What `ring.stat` writes its answer into: memory that the caller owns and uses again and again.
 *
 * @example
 * ```ts
 * import { Completion, IO, StatRecord } from "@io/core";
 *
 * await using io = await IO.open();
 * const record = new StatRecord();
 * await new Promise<number>((resolve) => {
 *   io.ring.stat(new Completion(), (_completion, result) => resolve(result), ".", record);
 * });
 * process.stdout.write(`${record.stat.isDirectory()}\n`);
 * ```
 */
export class StatRecord {
  /** @internal */
  readonly fields = new Float64Array(abi.STAT_FIELDS);

  /** The answer; all fields are 0 while there is none. */
  get stat(): Stat {
    return new Stat(this.fields);
  }
}
