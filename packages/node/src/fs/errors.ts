// The errors of files as `node:fs` makes them.

import { getSystemErrorMap } from "node:util";
import { systemClassError } from "../errors.js";

/** What a failed call of the system was about. */
export interface Subject {
  readonly syscall: string;
  readonly path?: string | Uint8Array | undefined;
  readonly dest?: string | Uint8Array | undefined;
}

/** An error of this module, with the paths. */
export interface FileError extends NodeJS.ErrnoException {
  dest?: string;
}

function pathText(path: string | Uint8Array): string {
  return typeof path === "string" ? path : Buffer.from(path).toString();
}

/** "ENOENT: no such file or directory, open 'notes.txt'". */
export function fileError(errno: number, { syscall, path, dest }: Subject): FileError {
  const unknown = `Unknown system error ${errno}`;
  const [code, text] = getSystemErrorMap().get(errno) ?? [unknown, unknown];
  let message = `${code}: ${text}, ${syscall}`;
  if (path !== undefined) message += ` '${pathText(path)}'`;
  if (dest !== undefined) message += ` -> '${pathText(dest)}'`;
  const error: FileError = Object.assign(new Error(message), { errno, code, syscall });
  if (path !== undefined) error.path = pathText(path);
  if (dest !== undefined) error.dest = pathText(dest);
  Error.captureStackTrace(error, fileError);
  return error;
}

/** An error that the functions find themselves, such as `ERR_FS_EISDIR`. */
export function ownError(
  code: string,
  summary: string,
  context: {
    readonly code: string;
    readonly message: string;
    readonly syscall: string;
    readonly errno: number;
    readonly path: string | Uint8Array;
  },
): NodeJS.ErrnoException {
  const { syscall, errno, path } = context;
  const about = `${syscall} returned ${context.code} (${context.message}) ${pathText(path)}`;
  const error = systemClassError(code, `${summary}: ${about}`);
  const info = { code: context.code, message: context.message, path: pathText(path) };
  return Object.assign(error, {
    info: { ...info, syscall, errno },
    errno,
    syscall,
    path: info.path,
  });
}

class AbortError extends Error {
  readonly code = "ABORT_ERR";

  constructor(cause: unknown) {
    super("The operation was aborted", { cause });
    this.name = "AbortError";
  }
}

/** The error of a call whose signal has aborted. */
export function abortError(cause: unknown): NodeJS.ErrnoException {
  return new AbortError(cause);
}

/** Of a method of a `FileHandle` that was closed. */
export function closedHandleError(syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error("file closed"), { code: "EBADF", syscall });
}
