// What is known of a file, from the numbers that the engine writes.
import * as abi from "../engine/abi.js";

/** What a file is. */
export type FileKind =
  | "file"
  | "directory"
  | "link"
  | "socket"
  | "pipe"
  | "character"
  | "block"
  | "unknown";

/** What is known of a file. Times are milliseconds since 1970, sizes are bytes. */
export interface Stat {
  sizeBytes: number;
  /** Permission bits and kind, as `st_mode` has them. */
  mode: number;
  kind: FileKind;
  inode: number;
  device: number;
  links: number;
  user: number;
  group: number;
  blockSizeBytes: number;
  /** Disk space in use; less than `sizeBytes` for a file with holes. */
  allocatedBytes: number;
  accessedMs: number;
  modifiedMs: number;
  changedMs: number;
  /** 0 where the file system does not know. */
  createdMs: number;
}

const KINDS: ReadonlyMap<number, FileKind> = new Map([
  [0o100000, "file"],
  [0o040000, "directory"],
  [0o120000, "link"],
  [0o140000, "socket"],
  [0o010000, "pipe"],
  [0o020000, "character"],
  [0o060000, "block"],
]);
const KIND_BITS = 0o170000;

/** A {@link Stat} from the fields that `Ring.stat` wrote. */
export function statFrom(fields: Float64Array): Stat {
  const at = (index: number): number => fields[index] ?? 0;
  const mode = at(abi.STAT_MODE);
  return {
    sizeBytes: at(abi.STAT_SIZE_BYTES),
    mode,
    kind: KINDS.get(mode & KIND_BITS) ?? "unknown",
    inode: at(abi.STAT_INODE),
    device: at(abi.STAT_DEVICE),
    links: at(abi.STAT_LINKS),
    user: at(abi.STAT_USER),
    group: at(abi.STAT_GROUP),
    blockSizeBytes: at(abi.STAT_BLOCK_SIZE_BYTES),
    allocatedBytes: at(abi.STAT_ALLOCATED_BYTES),
    accessedMs: at(abi.STAT_ACCESSED_MS),
    modifiedMs: at(abi.STAT_MODIFIED_MS),
    changedMs: at(abi.STAT_CHANGED_MS),
    createdMs: at(abi.STAT_CREATED_MS),
  };
}
