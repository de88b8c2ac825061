// How a file is opened: the options of `openFile`, and the flags of the ring.
import type { OperationOptions } from "../ring/promises.js";
import { OpenFlags } from "../ring/ring_paths.js";
import { type FileMode, flag, knows, valueError } from "../support/check.js";

/**
 * How a file is opened. `{ read: true }` by default.
 *
 * @category Files
 */
export interface OpenOptions extends OperationOptions {
  /** Open for reading. `true` by default unless `write` or `append` is given, else `false`. */
  read?: boolean | null | undefined;
  /** Open for writing; `false` by default. */
  write?: boolean | null | undefined;
  /**
   * Open for writing, and every write goes to the end (O_APPEND), whatever its position; `false` by
   * default.
   */
  append?: boolean | null | undefined;
  /** Make the file when there is none (O_CREAT); `false` by default. */
  create?: boolean | null | undefined;
  /** With `create`: fail with `EEXIST` when the file is there (O_EXCL); `false` by default. */
  exclusive?: boolean | null | undefined;
  /**
   * Empty the file (O_TRUNC); `false` by default. It needs `write` or `append`, so that no file is
   * emptied by mistake.
   */
  truncate?: boolean | null | undefined;
  /**
   * Read and write past the page cache (O_DIRECT); `false` by default. Memory, positions and
   * lengths must be multiples of what `file.directAlignment` says; `io.buffers` gives such memory.
   */
  direct?: boolean | null | undefined;
  /** Fail with `ENOTDIR` unless it is a directory (O_DIRECTORY); `false` by default. */
  directory?: boolean | null | undefined;
  /**
   * `false`: fail with `ELOOP` when the last part of the path is a symbolic link (O_NOFOLLOW).
   * `true` by default.
   */
  followLinks?: boolean | null | undefined;
  /**
   * Every write is durable when it completes, as with `sync("data")` behind it (O_DSYNC); `false`
   * by default. `dsync` of one write does the same for that one.
   */
  dsync?: boolean | null | undefined;
  /**
   * Makes a file without a name in the directory at the path (O_TMPFILE); `false` by default. It is
   * gone with its last descriptor, unless `file.link()` gives it a name; with `exclusive` it can
   * get none. It needs `write`. Linux only, on file systems that can.
   */
  temporary?: boolean | null | undefined;
  /**
   * Reads do not set the time of the last read (O_NOATIME); `false` by default. For files of the
   * process's own user. Linux only.
   */
  noAtime?: boolean | null | undefined;
  /**
   * Permissions of a file that is made, less the process's mask at the call; 0o666 by default. A
   * string is octal and begins with a 0: "0644".
   */
  mode?: FileMode | null | undefined;
}

export const OPEN_FILE = knows(
  "openFile",
  ...["read", "write", "append", "create", "exclusive", "truncate", "direct", "directory"],
  ...["followLinks", "mode", "dsync", "temporary", "noAtime"],
);

/** The flags of the ring. */
export function openFlags(options: OpenOptions): number {
  const is = (name: FlagName, absent = false): boolean =>
    flag(options[name], absent, name, "openFile");
  const append = is("append");
  const write = is("write");
  let flags = is("read", !write && !append) ? OpenFlags.read : 0;
  if (write) flags |= OpenFlags.write;
  if (append) flags |= OpenFlags.append;
  for (const name of OPEN_FLAG_NAMES) if (is(name)) flags |= OpenFlags[name];
  if (!is("followLinks", true)) flags |= OpenFlags.noFollow;
  if (is("truncate") && !write && !append) {
    const message = "truncate would empty a file that is opened for reading: give write: true";
    throw valueError("openFile", message);
  }
  if (is("temporary") && !write && !append) {
    const message = "temporary makes a file that only its opener can fill: give write: true";
    throw valueError("openFile", message);
  }
  return flags;
}

const OPEN_FLAG_NAMES = [
  ...(["create", "exclusive", "truncate", "direct", "directory"] as const),
  ...(["dsync", "temporary", "noAtime"] as const),
] as const;
type FlagName = (typeof OPEN_FLAG_NAMES)[number] | "read" | "write" | "append" | "followLinks";

/** What a file was opened for, where that is one of the two alone. */
export function openedOnly(flags: number): "reading" | "writing" | undefined {
  const writes = (flags & (OpenFlags.write | OpenFlags.append)) !== 0;
  const reads = (flags & OpenFlags.read) !== 0;
  if (reads === writes) return undefined;
  return reads ? "reading" : "writing";
}
