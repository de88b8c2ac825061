// A whole file, copied by the file system where that can be.
import { constants } from "node:os";
import { IOError } from "../errors.js";
import { checkedEndings, type OperationOptions } from "../ring/promises.js";
import { stoppedAfter, timeLeft } from "../ring/whole_call.js";
import {
  checkFunction,
  checkOptions,
  flag,
  knows,
  oneOf,
  type Path,
  pathFrom,
} from "../support/check.js";
import type { File } from "./file.js";

/**
 * Called while a file is copied, with how far that is.
 *
 * @category Files
 *
 * @param copiedBytes The bytes that are copied.
 * @param totalBytes The size of the file.
 */
export type CopyProgress = (copiedBytes: number, totalBytes: number) => void;

/**
 * How a file is copied.
 *
 * @category Files
 */
export interface CopyFileOptions extends OperationOptions {
  /** Fail with `EEXIST` when there is a file already; `false` by default. */
  exclusive?: boolean | null | undefined;
  /**
   * Whether both files share their blocks until one of them is written to: "auto" (the default)
   * where the file system can, "always" or not at all (`ENOTSUP`), or "never".
   */
  reflink?: "auto" | "always" | "never" | null | undefined;
  /**
   * Called after each part with the bytes that are copied and the size of the file. What it throws
   * ends the copy.
   */
  onProgress?: CopyProgress | null | undefined;
}

/** What a copy needs of an IO. */
interface Opener {
  openFile(path: Path, options: object): Promise<File>;
}

const COPY_FILE = knows("copyFile", "exclusive", "reflink", "onProgress");
export const REFLINKS = { auto: true, always: true, never: true } as const;
export const PERMISSIONS = 0o7777;
// A cancel waits for the part that is being copied.
export const PART_BYTES = 16 * 1024 * 1024;
// What says that blocks cannot be shared here.
export const NOT_SHARED: ReadonlySet<string> = new Set([
  "ENOTSUP",
  "EOPNOTSUPP",
  "EXDEV",
  "EINVAL",
]);

type Ends = () => OperationOptions;

/** See `IO.copyFile`. */
export async function copyFile(
  io: Opener,
  from: Path,
  to: Path,
  options: CopyFileOptions | null | undefined,
): Promise<number> {
  checkOptions(options, COPY_FILE);
  pathFrom(from, "copyFile");
  pathFrom(to, "copyFile");
  const { signal, timeoutMs } = checkedEndings(options, COPY_FILE);
  const exclusive = flag(options?.exclusive, false, "exclusive", "copyFile");
  const reflink = oneOf(options?.reflink ?? "auto", REFLINKS, "reflink", "copyFile");
  const onProgress = options?.onProgress ?? undefined;
  if (onProgress !== undefined) checkFunction(onProgress, "onProgress", "copyFile");
  const time = timeLeft("copyFile", "copyRange", timeoutMs === undefined ? null : { timeoutMs });
  const ends: Ends = () => ({ signal, ...time?.next() });
  const source = await io.openFile(from, ends());
  try {
    const found = await source.stat(ends());
    // Before the target is emptied, or its permissions are changed.
    if (found.isDirectory()) throw refused("EISDIR", source.path, "it is a directory");
    if (!found.isFile()) throw refused("EINVAL", source.path, NO_FILE);
    const { size, mode, dev, ino } = found;
    const permissions = mode & PERMISSIONS;
    const how = { write: true, create: true, exclusive, mode: permissions, ...ends() };
    const target = await io.openFile(to, how);
    try {
      const there = await target.stat(ends());
      if (there.dev === dev && there.ino === ino) return 0;
      if (!there.isFile()) throw refused("EINVAL", target.path, NO_FILE);
      if ((there.mode & PERMISSIONS) !== permissions) await target.chmod(permissions, ends());
      const sizes = { own: size, there: there.size };
      if (reflink !== "never" && (await shares(source, target, sizes, reflink, ends))) {
        onProgress?.(size, size);
        return size;
      }
      if (there.size > 0) await target.truncate(0, ends());
      return await copyParts(source, target, size, ends, onProgress);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

const NO_FILE = "it is no regular file, but a device, a pipe or the like";

function refused(code: "EISDIR" | "EINVAL", path: string, why: string): IOError {
  return new IOError({
    code,
    errno: -constants.errno[code],
    operation: "copyFile",
    path,
    message: `copyFile of '${path}' failed: ${code}, ${why}`,
  });
}

/** Whether the target has the blocks of the source now. One that cannot keeps what it has. */
async function shares(
  source: File,
  target: File,
  sizes: { readonly own: number; readonly there: number },
  reflink: "auto" | "always",
  ends: Ends,
): Promise<boolean> {
  try {
    await target.reflink(source, ends());
  } catch (error) {
    if (!(error instanceof IOError) || !NOT_SHARED.has(error.code)) throw error;
    // A last block that is not full cannot be shared inside of a longer file.
    if (error.code === "EINVAL" && sizes.there > sizes.own) {
      await target.truncate(0, ends());
      return shares(source, target, { ...sizes, there: 0 }, reflink, ends);
    }
    if (reflink === "always") throw error;
    return false;
  }
  if (sizes.there > sizes.own) await target.truncate(sizes.own, ends());
  return true;
}

async function copyParts(
  source: File,
  target: File,
  size: number,
  ends: Ends,
  onProgress: CopyProgress | undefined,
): Promise<number> {
  let done = 0;
  try {
    for (;;) {
      const place = { offset: done, sourceOffset: done, lengthBytes: PART_BYTES };
      const count = await target.copyRange(source, { ...place, ...ends() });
      if (count === 0) return done;
      done += count;
      onProgress?.(done, Math.max(done, size));
    }
  } catch (error) {
    throw stoppedAfter(error, done, "copyFile");
  }
}
