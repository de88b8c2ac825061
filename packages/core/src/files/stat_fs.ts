// The result of a statfs, from the numbers that the engine writes.
import * as abi from "../engine/abi.js";

/**
 * What is known of a file system, under the names of Node's `fs.StatFs`. Sizes are counted in
 * blocks of `bsize` bytes. All are numbers.
 *
 * @category Files
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using folder = await io.openFile(".", { directory: true });
 * const { bavail, bsize } = await folder.statfs();
 * process.stdout.write(`${bavail * bsize} bytes are free\n`);
 * ```
 */
export class StatFs {
  /** The number of the kind of file system, as `f_type` has it; 0 where the system has none. */
  readonly type: number;
  /** The length of a block, in bytes. */
  readonly bsize: number;
  /** How many blocks the file system has. */
  readonly blocks: number;
  /** How many blocks of it are free. */
  readonly bfree: number;
  /** How many blocks are free for users without privileges. */
  readonly bavail: number;
  /** How many files it may have; 0 where there is no limit. */
  readonly files: number;
  /** How many more files it may have. */
  readonly ffree: number;

  /** @internal */
  constructor(fields: Float64Array) {
    const at = (index: number): number => fields[index] ?? 0;
    this.type = at(abi.STATFS_TYPE);
    this.bsize = at(abi.STATFS_BLOCK_SIZE_BYTES);
    this.blocks = at(abi.STATFS_BLOCKS);
    this.bfree = at(abi.STATFS_FREE_BLOCKS);
    this.bavail = at(abi.STATFS_AVAILABLE_BLOCKS);
    this.files = at(abi.STATFS_FILES);
    this.ffree = at(abi.STATFS_FREE_FILES);
  }
}

/**
 * What `ring.statfs` and `ring.fstatfs` write their answer into: memory that the caller owns and
 * uses again and again.
 *
 * @category Ring
 *
 * @example
 * ```ts
 * import { Completion, IO, StatFsRecord } from "@io/core";
 *
 * await using io = await IO.open();
 * const record = new StatFsRecord();
 * await new Promise<number>((resolve) => {
 *   io.ring.statfs(new Completion(), (_completion, result) => resolve(result), ".", record);
 * });
 * process.stdout.write(`${record.statfs.bsize}\n`);
 * ```
 */
export class StatFsRecord {
  /** @internal */
  readonly fields = new Float64Array(abi.STATFS_FIELDS);

  /** The answer; all fields are 0 while there is none. */
  get statfs(): StatFs {
    return new StatFs(this.fields);
  }
}
