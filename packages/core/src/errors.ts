// The one error class, and the sentences that tell a person what to do about an errno.
import { getSystemErrorMap } from "node:util";
import { OPERATIONS } from "./engine/abi.js";

/** What an {@link IOError} is made of. */
export interface IOErrorFields {
  /** Node's own code where there is one ("ECONNRESET"), else one that begins with "ERR_IO_". */
  code: string;
  /** The operation's name in this library: "read", "acceptMultishot". */
  operation: string;
  message: string;
  /** The negative error number of the system, as Node has it. */
  errno?: number;
  /** The system call, as Node names it: "read", "accept". */
  syscall?: string;
  backend?: string;
  path?: string;
  /** The second path: of a rename, a link. */
  dest?: string;
  address?: string;
  /** The name that was looked up. */
  host?: string;
  /** Of a connect to a name with several addresses: what it failed with at each. */
  errors?: readonly unknown[];
  /** Of a call that is made of many operations: the bytes that were moved before. */
  transferred?: number;
  cause?: unknown;
}

/**
 * Every failure of this library.
 *
 * `code` is Node's own where the system gave an error number ("ENOENT", "ECONNRESET"), "ABORT_ERR"
 * after an abort, "ETIMEDOUT" after a `timeoutMs`, "ERR_OUT_OF_RANGE", "ERR_INVALID_ARG_TYPE" and
 * "ERR_INVALID_ARG_VALUE" for arguments, and begins with "ERR_IO_" for what only this library
 * knows.
 *
 * @example
 * ```ts
 * import { IO, IOError } from "@io/core";
 *
 * await using io = await IO.open();
 * try {
 *   await io.openFile("/nowhere/at/all");
 * } catch (error) {
 *   if (error instanceof IOError && error.code === "ENOENT") process.exitCode = 1;
 *   else throw error;
 * }
 * ```
 */
export class IOError extends Error {
  /** Node's code, or one that begins with "ERR_IO_". */
  readonly code: string;
  /** The operation's name in this library. */
  readonly operation: string;
  // Declared only: an error that has none must not show them as undefined.
  /** The negative error number of the system, where it gave one. */
  declare readonly errno?: number;
  /** The system call, as Node names it. */
  declare readonly syscall?: string;
  /** The backend that ran the operation. */
  declare readonly backend?: string;
  /** The path that the operation was given. */
  declare readonly path?: string;
  /** The path that a file was to be renamed to, or linked as. */
  declare readonly dest?: string;
  /** The address that the operation was given. */
  declare readonly address?: string;
  /** The name that was looked up. */
  declare readonly host?: string;
  /**
   * Of a connect to a name with several addresses: what it failed with at each, in the order in
   * which they were tried. The other fields are those of the first.
   */
  declare readonly errors?: readonly unknown[];
  /**
   * Of `receiveFull`, `readFull`, `sendAll`, `writeAll` and `sendFile`: the bytes that were moved
   * before the failure, the abort or the end of the time.
   */
  declare readonly transferred?: number;

  constructor(fields: IOErrorFields) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = fields.code === "ABORT_ERR" ? "AbortError" : "IOError";
    this.code = fields.code;
    this.operation = fields.operation;
    if (fields.errno !== undefined) this.errno = fields.errno;
    if (fields.syscall !== undefined) this.syscall = fields.syscall;
    if (fields.backend !== undefined) this.backend = fields.backend;
    if (fields.path !== undefined) this.path = fields.path;
    if (fields.dest !== undefined) this.dest = fields.dest;
    if (fields.address !== undefined) this.address = fields.address;
    if (fields.host !== undefined) this.host = fields.host;
    if (fields.errors !== undefined) this.errors = fields.errors;
    if (fields.transferred !== undefined) this.transferred = fields.transferred;
  }
}

/** What an operation was about, for its error. */
export interface Subject {
  readonly path?: string;
  readonly dest?: string;
  readonly address?: string;
  /** What a file was opened for, where it was opened for one of the two alone. */
  readonly only?: "reading" | "writing" | undefined;
}

const LOST_ADVICE =
  "the program has forbidden itself a call that this IO needs, by a seccomp filter, or other " +
  "code has closed a descriptor of the IO; whether the operation was carried out is not known: " +
  "open another IO";

const ADVICE: ReadonlyMap<string, string> = new Map([
  [
    "EBADF",
    "the descriptor was closed, never belonged to this IO, or was opened for reading or for " +
      "writing alone",
  ],
  ["EFAULT", "the memory that was named lies outside its buffer"],
  ["EADDRINUSE", "another socket has this address: stop it, or choose another port or path"],
  ["EMFILE", "too many descriptors are open: close some, or raise RLIMIT_NOFILE (ulimit -n)"],
  ["EDQUOT", "the quota of this user or folder is used up: free some of it, or raise it"],
  ["ENOSPC", "the disk is full: nothing more can be written until space is freed"],
  ["ECANCELED", "the operation was cancelled, or one that it was linked to failed"],
  ["ETIMEDOUT", "it did not end within its time limit"],
  ["ECONNREFUSED", "nobody listens at this address"],
  [
    "EMSGSIZE",
    "it is longer than one datagram may be, or than the send buffer holds: send less at once, or " +
      "raise sendBufferBytes",
  ],
  [
    "ENOBUFS",
    "the system has no room for it, or the receiver of a unix datagram has not: raise the " +
      "receiver's receiveBufferBytes, or send less at once",
  ],
  [
    "EAGAIN",
    "there is nothing for now and it does not wait, or the system gives no more threads: a limit " +
      "of processes (pids.max of a container, RLIMIT_NPROC) is reached",
  ],
  ["ENOTRECOVERABLE", LOST_ADVICE],
  ["EINTR", "the file system says each time that the call was interrupted"],
]);

// Direct I/O is the commonest cause of an EINVAL that says nothing else.
const DIRECT_ADVICE =
  "an argument is not allowed here; with direct I/O the memory, the position and the length must " +
  "be multiples of the device's block size";

// epoll_ctl(2): the limit of what the processes of one user watch. No operation of a socket needs
// disk space.
const WATCHES_ADVICE =
  "the descriptors that this user waits for have reached the sysctl fs.epoll.max_user_watches: " +
  "raise it, or close some";

const TRANSFERS: ReadonlySet<string> = new Set([
  ...["read", "readVectored", "write", "writeVectored"],
]);
const READING: ReadonlySet<string> = new Set(["read", "readVectored", "sendFile"]);
const WRITING: ReadonlySet<string> = new Set(["write", "writeVectored", "allocate", "truncate"]);
/** Of a file that was opened for something else: what it was opened for, and how to open it. */
function accessAdvice(code: string, operation: string, only: Subject["only"]): string | undefined {
  // ftruncate(2) says EINVAL where the other calls say EBADF.
  const refused = code === "EBADF" || (code === "EINVAL" && operation === "truncate");
  if (only === undefined || !refused) return undefined;
  if (only === "reading" && WRITING.has(operation)) {
    return "the file was opened for reading alone: open it with write: true";
  }
  if (only === "writing" && READING.has(operation)) {
    return "the file was opened for writing alone: open it with read: true";
  }
  return undefined;
}

function adviceFor(code: string, opcode: number, only: Subject["only"]): string | undefined {
  const { name: operation = "", kind } = OPERATIONS.get(opcode) ?? {};
  const access = accessAdvice(code, operation, only);
  if (access !== undefined) return access;
  if (code === "EINVAL" && operation === "readlink") return "the path names no symbolic link";
  if (code === "EINVAL" && TRANSFERS.has(operation)) return DIRECT_ADVICE;
  if (code === "ENOSPC" && (kind === "stream" || kind === "multishot")) return WATCHES_ADVICE;
  return ADVICE.get(code);
}

/** The system's name and text of a positive error number. */
export type NameErrno = (errno: number) => readonly [name: string, text: string] | undefined;

let nameErrno: NameErrno = () => undefined;

/** What names the errors that Node has no name for: the engine, once it is loaded. */
export function nameErrnosBy(name: NameErrno): void {
  nameErrno = name;
}

/**
 * Name and text of an errno: Node's, and the system's own where Node has none, as of EDQUOT.
 */
export function errnoName(errno: number): readonly [string, string] {
  const known = getSystemErrorMap().get(errno);
  if (known !== undefined) return known;
  const [name, text] = nameErrno(-errno) ?? [`E${-errno}`, "unknown error"];
  return [name, `${text.charAt(0).toLowerCase()}${text.slice(1)}`];
}

/** The error of an operation that completed with a negative errno. */
export function operationError(
  opcode: number,
  errno: number,
  backend: string,
  subject: Subject = {},
): IOError {
  const row = OPERATIONS.get(opcode);
  const operation = row?.name ?? `operation ${opcode}`;
  const syscall = row?.syscall ?? "unknown";
  const [code, text] = errnoName(errno);
  const { path, dest, address, only } = subject;
  const object = path ?? address;
  const advice = adviceFor(code, opcode, only);
  const target = dest === undefined ? "" : ` to '${dest}'`;
  const where = object === undefined ? "" : ` of '${object}'${target}`;
  return new IOError({
    code,
    errno,
    syscall,
    operation,
    backend,
    message: `${operation}${where} failed: ${code}, ${text}${advice ? ` (${advice})` : ""}`,
    ...(path === undefined ? {} : { path }),
    ...(dest === undefined ? {} : { dest }),
    ...(address === undefined ? {} : { address }),
  });
}

/** What operations of an IO fail with that has lost what it needs. */
export const LOST = "ENOTRECOVERABLE";

/** The error of such an operation; `call` says what was lost. */
export function lostError(
  opcode: number,
  errno: number,
  backend: string,
  [call, reason]: readonly [call: string, errno: number],
): IOError {
  const row = OPERATIONS.get(opcode);
  const operation = row?.name ?? `operation ${opcode}`;
  const syscall = row?.syscall ?? "unknown";
  const message =
    `${operation} failed: ${LOST}, the IO can do nothing any more, because ${call} failed with ` +
    `${errnoName(-reason)[0]} (${LOST_ADVICE})`;
  return new IOError({ code: LOST, errno, syscall, operation, backend, message });
}

/** The error of an argument that is outside of what is allowed. */
export function rangeError(operation: string, message: string): IOError {
  return new IOError({ code: "ERR_OUT_OF_RANGE", operation, message: `${operation}: ${message}` });
}

/** The error of an argument of the wrong kind. */
export function typeError(operation: string, message: string): IOError {
  const code = "ERR_INVALID_ARG_TYPE";
  return new IOError({ code, operation, message: `${operation}: ${message}` });
}

/** The error of something that was used after it was closed. */
export function closedError(operation: string, what: string): IOError {
  const message = `${operation}: ${what} is closed`;
  return new IOError({ code: "ERR_IO_CLOSED", operation, message });
}
