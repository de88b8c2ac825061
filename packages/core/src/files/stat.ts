// The result of a stat, from the numbers that the engine writes.
import type { BigIntStats, Stats } from "node:fs";
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
const NS_IN_MS = 1_000_000n;

/**
 * What direct I/O asks for.
 *
 * @category Files
 */
export interface DirectAlignment {
  /** Memory begins at a multiple of this; 1 for a file that was not opened with `direct`. */
  readonly memoryBytes: number;
  /**
   * Positions and lengths are multiples of this; 1 for a file that was not opened with `direct`.
   */
  readonly positionBytes: number;
}

/**
 * The limits of a write with `atomic`. Its length is a power of two between the first two of them,
 * and its position a multiple of its length.
 *
 * @category Files
 */
export interface AtomicWrite {
  /** The shortest one, in bytes. */
  readonly minBytes: number;
  /** The longest one, in bytes. */
  readonly maxBytes: number;
  /** How many buffers one may have. */
  readonly maxSegments: number;
}

function alignmentIn(fields: Float64Array): DirectAlignment | null {
  const memoryBytes = fields[abi.STAT_DIRECT_MEMORY_BYTES] ?? 0;
  const positionBytes = fields[abi.STAT_DIRECT_POSITION_BYTES] ?? 0;
  return memoryBytes > 0 && positionBytes > 0 ? { memoryBytes, positionBytes } : null;
}

function atomicWriteIn(fields: Float64Array): AtomicWrite | null {
  const minBytes = fields[abi.STAT_ATOMIC_MIN_BYTES] ?? 0;
  const maxBytes = fields[abi.STAT_ATOMIC_MAX_BYTES] ?? 0;
  const maxSegments = fields[abi.STAT_ATOMIC_SEGMENTS] ?? 0;
  return maxBytes > 0 ? { minBytes, maxBytes, maxSegments } : null;
}

/** What the results of a stat share: the kinds of file. */
export abstract class StatKinds {
  /** Permission bits and kind, as `st_mode` has them. */
  abstract readonly mode: number | bigint;

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
    return (Number(this.mode) & KIND_BITS) === kind;
  }
}

/**
 * What is known of a file, under the names of Node's `fs.Stats`. Times are milliseconds since 1970,
 * with fractions; `size` and `blksize` are bytes. All are numbers: an inode above 2^53 is rounded.
 *
 * @category Files
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * const stat = await io.stat(".");
 * process.stdout.write(`${stat.isDirectory()}, changed ${stat.mtime.toISOString()}\n`);
 * ```
 */
export class Stat
  extends StatKinds
  implements Omit<Stats, "rdev" | "atimeNs" | "mtimeNs" | "ctimeNs" | "birthtimeNs">
{
  /** The number of the device that has the file. */
  readonly dev: number;
  /** The number of the inode; above 2^53 it is rounded. */
  readonly ino: number;
  /** Permission bits and kind, as `st_mode` has them. */
  readonly mode: number;
  /** How many names (hard links) the file has. */
  readonly nlink: number;
  /** The number of the user that owns it. */
  readonly uid: number;
  /** The number of the group that owns it. */
  readonly gid: number;
  /** Its length, in bytes. */
  readonly size: number;
  /** The length of reads and writes that suits the file system best, in bytes. */
  readonly blksize: number;
  /** Disk space in use, in units of 512 bytes; less than `size` for a file with holes. */
  readonly blocks: number;
  /** When it was last read, in milliseconds since 1970. */
  readonly atimeMs: number;
  /** When its bytes were last changed, in milliseconds since 1970. */
  readonly mtimeMs: number;
  /** When its bytes or its metadata were last changed, in milliseconds since 1970. */
  readonly ctimeMs: number;
  /** When it was made, in milliseconds since 1970; 0 where the file system does not know. */
  readonly birthtimeMs: number;

  /** The number of the mount that has the file (Linux 5.8); 0 where the system does not say. */
  readonly mountId: number;
  /**
   * What direct I/O on the file asks for (Linux 6.1); null where the file system does not say, or
   * has no direct I/O.
   */
  readonly directAlignment: DirectAlignment | null;
  /** The limits of an atomic write (Linux 6.11); null where the file system has none. */
  readonly atomicWrite: AtomicWrite | null;

  /** @internal */
  constructor(fields: Float64Array) {
    super();
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
    this.mountId = at(abi.STAT_MOUNT);
    this.directAlignment = alignmentIn(fields);
    this.atomicWrite = atomicWriteIn(fields);
  }

  /** When it was last read. */
  get atime(): Date {
    return new Date(this.atimeMs);
  }

  /** When its bytes were last changed. */
  get mtime(): Date {
    return new Date(this.mtimeMs);
  }

  /** When its bytes or its metadata were last changed. */
  get ctime(): Date {
    return new Date(this.ctimeMs);
  }

  /** When it was made; 1970 where the file system does not know. */
  get birthtime(): Date {
    return new Date(this.birthtimeMs);
  }
}

/**
 * What is known of a file, under the names of Node's `fs.BigIntStats`: whole numbers that are never
 * rounded, and times in nanoseconds since 1970.
 *
 * @category Files
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using file = await io.openFile("data", { write: true, create: true });
 * const { ino, mtimeNs } = await file.stat({ bigint: true });
 * process.stdout.write(`${ino}, changed ${mtimeNs}\n`);
 * ```
 */
export class BigIntStat
  extends StatKinds
  implements Omit<BigIntStats, "rdev" | "atime" | "mtime" | "ctime" | "birthtime">
{
  /** The number of the device that has the file. */
  readonly dev: bigint;
  /** The number of the inode. */
  readonly ino: bigint;
  /** Permission bits and kind, as `st_mode` has them. */
  readonly mode: bigint;
  /** How many names (hard links) the file has. */
  readonly nlink: bigint;
  /** The number of the user that owns it. */
  readonly uid: bigint;
  /** The number of the group that owns it. */
  readonly gid: bigint;
  /** Its length, in bytes. */
  readonly size: bigint;
  /** The length of reads and writes that suits the file system best, in bytes. */
  readonly blksize: bigint;
  /** Disk space in use, in units of 512 bytes; less than `size` for a file with holes. */
  readonly blocks: bigint;
  /** When it was last read: nanoseconds since 1970. */
  readonly atimeNs: bigint;
  /** When its bytes were last changed: nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** When its bytes or its metadata were last changed: nanoseconds since 1970. */
  readonly ctimeNs: bigint;
  /** When it was made, 0 where the file system does not know: nanoseconds since 1970. */
  readonly birthtimeNs: bigint;
  /** The number of the mount that has the file (Linux 5.8); 0 where the system does not say. */
  readonly mountId: bigint;

  /** @internal */
  constructor(fields: Float64Array) {
    super();
    const exact = new BigInt64Array(fields.buffer, fields.byteOffset, fields.length);
    const at = (index: number): bigint => BigInt(fields[index] ?? 0);
    const exactly = (index: number): bigint => BigInt.asUintN(64, exact[index] ?? 0n);
    this.dev = at(abi.STAT_DEVICE);
    this.ino = exactly(abi.STAT_EXACT_INODE);
    this.mode = at(abi.STAT_MODE);
    this.nlink = at(abi.STAT_LINKS);
    this.uid = at(abi.STAT_USER);
    this.gid = at(abi.STAT_GROUP);
    this.size = exactly(abi.STAT_EXACT_SIZE);
    this.blksize = at(abi.STAT_BLOCK_SIZE_BYTES);
    this.blocks = at(abi.STAT_ALLOCATED_BYTES) / BigInt(BLOCK_BYTES);
    this.mountId = exactly(abi.STAT_EXACT_MOUNT);
    this.atimeNs = exact[abi.STAT_ACCESSED_NS] ?? 0n;
    this.mtimeNs = exact[abi.STAT_MODIFIED_NS] ?? 0n;
    this.ctimeNs = exact[abi.STAT_CHANGED_NS] ?? 0n;
    this.birthtimeNs = exact[abi.STAT_CREATED_NS] ?? 0n;
  }

  /** When it was last read: milliseconds since 1970, without fractions. */
  get atimeMs(): bigint {
    return this.atimeNs / NS_IN_MS;
  }

  /** When its bytes were last changed: milliseconds since 1970, without fractions. */
  get mtimeMs(): bigint {
    return this.mtimeNs / NS_IN_MS;
  }

  /**
   * When its bytes or its metadata were last changed: milliseconds since 1970, without fractions.
   */
  get ctimeMs(): bigint {
    return this.ctimeNs / NS_IN_MS;
  }

  /**
   * When it was made, 0 where the file system does not know: milliseconds since 1970, without
   * fractions.
   */
  get birthtimeMs(): bigint {
    return this.birthtimeNs / NS_IN_MS;
  }
}

/**
 * What `ring.stat` writes its answer into: memory that the caller owns and uses again and again.
 *
 * @category Ring
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

  /** The same in bigints, with times in nanoseconds. */
  get bigint(): BigIntStat {
    return new BigIntStat(this.fields);
  }
}
