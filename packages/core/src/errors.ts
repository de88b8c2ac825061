// The one error class, and the sentences that tell a person what to do about an errno.
import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import { OPERATIONS, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS } from "./engine/abi.js";

// The stack of an error names the program's functions and none of ours: those say nothing to who
// reads it, and take the ten lines that there are. They are known by the file that the library is
// in, or by its folder where Node is given source maps. In a bundle that is the program's own file,
// and they stay.
const OWN_PLACE = ownPlace(new Error().stack);
const MAX_OWN_FRAMES = 8;

function ownPlace(stack: string | undefined): string | null {
  const frame = /\n\s+at [^\n]*?\(?((?:file:\/\/)?\/[^\n]*):\d+:\d+/.exec(stack ?? "");
  return /.*\/(?:library\.cjs$|src\/(?=errors\.ts$))/.exec(frame?.[1] ?? "")?.[0] ?? null;
}

/** Where an error was made, as V8 keeps it: it becomes text when it is read. */
interface Frames {
  stack?: unknown;
  readonly limit: number;
}

type Callee = (...given: never[]) => unknown;

function captureFrames(callee: unknown): Frames {
  const { stackTraceLimit: limit } = Error;
  const frames: Frames = { limit: typeof limit === "number" ? limit : 0 };
  // Where it cannot be set, the stack is as long as it is.
  Reflect.set(Error, "stackTraceLimit", frames.limit === 0 ? 0 : frames.limit + MAX_OWN_FRAMES);
  Error.captureStackTrace(frames, callee as Callee);
  Reflect.set(Error, "stackTraceLimit", limit);
  return frames;
}

function textOf(error: Error, { stack, limit }: Frames): unknown {
  // A program may have Error.prepareStackTrace make something else of it.
  if (typeof stack !== "string") return stack;
  const lines = stack.split("\n").filter((line) => /^\s+at /.test(line));
  const theirs = lines.filter((line) => !line.includes(OWN_PLACE as string));
  return [`${error.name}: ${error.message}`, ...theirs.slice(0, limit)].join("\n");
}

let keepFrames: (error: IOError, frames: Frames) => void;
let framesOf: (error: IOError) => Frames | null;

// V8 gives every error a property of its own, so that this one has to be one, too.
const STACK: PropertyDescriptor = {
  configurable: true,
  get(this: IOError): unknown {
    const frames = framesOf(this);
    return frames === null ? undefined : textOf(this, frames);
  },
  set(this: IOError, value: unknown): void {
    Object.defineProperty(this, "stack", { value, writable: true, configurable: true });
  },
};

/** Errors have no frames until the limit that it returns is set; null where they keep them. */
function noFrames(): number | null {
  if (OWN_PLACE === null) return null;
  const { stackTraceLimit } = Error;
  return Reflect.set(Error, "stackTraceLimit", 0) ? stackTraceLimit : null;
}

/** The stack of the error is that of now, without `callee` and what that has called. */
export function showCallers(error: IOError, callee: Callee): void {
  if (OWN_PLACE === null) Error.captureStackTrace(error, callee);
  else keepFrames(error, captureFrames(callee));
}

/**
 * The fields that an {@link IOError} is made of.
 *
 * @category Diagnostics
 */
export interface IOErrorFields {
  /** Node's own code where there is one ("ECONNRESET"), else one that begins with "ERR_IO_". */
  code: string;
  /** The operation's name in this library: "read", "acceptMultishot". */
  operation: string;
  /** What failed, with which values, why, and what to do. */
  message: string;
  /** The negative error number of the system, as Node has it. */
  errno?: number;
  /** The system call, as Node names it: "read", "accept". */
  syscall?: string;
  /** The backend that ran the operation. */
  backend?: string;
  /** The path that the operation was given. */
  path?: string;
  /** The second path: of a rename, a link or a copy. */
  dest?: string;
  /**
   * The other end of a socket, or its own address where it has none yet: the host, the path of a
   * unix socket, or the cid of a vsock socket as text.
   */
  address?: string;
  /** The port of that address. */
  port?: number;
  /** The name that was looked up. */
  host?: string;
  /** Of a connect to a name with several addresses: the error of each. */
  errors?: readonly unknown[];
  /** Of a call that is made of many operations: the bytes that were moved before. */
  transferred?: number;
  /** What led to it: the reason of an abort. */
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
 * @category Diagnostics
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
  #frames: Frames | null = null;

  static {
    framesOf = (error) => error.#frames;
    keepFrames = (error, frames) => {
      error.#frames = frames;
    };
  }

  /**
   * Node's own code where the system gave an error number ("ENOENT"), else one that begins with
   * "ERR_". Every operation may fail with one of these:
   *
   * | Code | When |
   * |---|---|
   * | `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` | an argument is refused |
   * | `ERR_OUT_OF_RANGE` | a number is refused |
   * | `ERR_IO_CLOSED` | the object or its IO is closed |
   * | `ERR_IO_IN_FLIGHT_LIMIT` | `inFlightLimit` operations are in flight |
   * | `ABORT_ERR` | `signal` was aborted |
   * | `ETIMEDOUT` | `timeoutMs` has passed |
   * | `ECANCELED` | `close()` or `cancelAll()` ended it |
   * | `ERR_IO_BUFFER_DETACHED` | the memory was transferred |
   * | `ERR_IO_BUFFER_RELEASED` | the memory was released |
   * | `ERR_IO_CHUNK_RELEASED` | the memory is that of a chunk that was released |
   * | `ERR_IO_BUFFERS_LIMIT` | the engine knows 1,048,576 buffers already |
   *
   * The guide "Limits" has every code of this library, and what to do about each.
   */
  readonly code: string;
  /**
   * The name of the operation that failed. A call that is made of several steps names the step:
   * "open" of `openFile`, "receiveMultishot" of `chunks()` and of loops, "send" of `sendAll`
   * and "sendVectored" of one with a list, "receive" of `receiveFull` and of a reader, "read" of
   * `readFull`, "write" of `writeAll`.
   */
  readonly operation: string;
  // Declared only: an error that has none must not show them as undefined.
  /** The negative error number of the system, where it gave one. */
  declare readonly errno?: number;
  /** The system call, as Node names it. */
  declare readonly syscall?: string;
  /** The backend that ran the operation. */
  declare readonly backend?: string;
  /** The path that the operation was given, or that of a unix socket's peer. */
  declare readonly path?: string;
  /** The path that a file was to be renamed to, linked as, or copied to. */
  declare readonly dest?: string;
  /**
   * The address of the socket's peer, or the one that the operation was given: its host, the path
   * of a unix socket, as Node has it, or the cid of a vsock socket as text. It is missing where the
   * system did not know the peer any more: an accepted connection that was reset before the program
   * asked for `remoteAddress`.
   */
  declare readonly address?: string;
  /** The port of that address, where it has one. */
  declare readonly port?: number;
  /** The name that was looked up. */
  declare readonly host?: string;
  /**
   * Of a connect to a name with several addresses: the error of each attempt, in the order of the
   * attempts. The other fields are those of the first.
   */
  declare readonly errors?: readonly unknown[];
  /**
   * Of `receiveFull`, `readFull`, `sendAll`, `writeAll` and `sendFile`: the bytes that were moved
   * before the failure, the abort or the end of the time.
   */
  declare readonly transferred?: number;
  /** Of `io.chain`: which of its operations failed, counted from 0. */
  declare readonly member?: number;
  /**
   * Of `io.chain`: the result of every operation, in their order: what it gave, or a negative error
   * number; -ECANCELED of those that were not started. Descriptors that it has opened are among
   * them, and are the caller's to close; that of `chainDescriptor` is 0, and closed.
   */
  declare readonly results?: readonly number[];

  /**
   * Makes an error of this class. Programs that wrap the library may use it; the library does so
   * itself.
   *
   * @param fields What the error says.
   */
  constructor(fields: IOErrorFields) {
    const limit = noFrames();
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    if (limit !== null) Reflect.set(Error, "stackTraceLimit", limit);
    this.name = fields.code === "ABORT_ERR" ? "AbortError" : "IOError";
    this.code = fields.code;
    this.operation = fields.operation;
    if (fields.errno !== undefined) this.errno = fields.errno;
    if (fields.syscall !== undefined) this.syscall = fields.syscall;
    if (fields.backend !== undefined) this.backend = fields.backend;
    if (fields.path !== undefined) this.path = fields.path;
    if (fields.dest !== undefined) this.dest = fields.dest;
    if (fields.address !== undefined) this.address = fields.address;
    if (fields.port !== undefined) this.port = fields.port;
    if (fields.host !== undefined) this.host = fields.host;
    if (fields.errors !== undefined) this.errors = fields.errors;
    if (fields.transferred !== undefined) this.transferred = fields.transferred;
    if (OWN_PLACE === null) return;
    this.#frames = captureFrames(IOError);
    Object.defineProperty(this, "stack", STACK);
  }
}

/** The other end of a socket, for an error. */
export interface Peer {
  readonly address: string;
  readonly port?: number;
  readonly path?: string;
  /** As the message calls it: "127.0.0.1:80". */
  readonly name: string;
  /** Its errors have causes of their own. */
  readonly isVsock?: boolean;
}

/** What an operation was about, for its error. */
export interface Subject {
  /** The call, where its only operation has another name. */
  readonly call?: string | undefined;
  readonly path?: string | undefined;
  readonly dest?: string;
  readonly peer?: Peer | undefined;
  /** What a file was opened for, where it was opened for one of the two alone. */
  readonly only?: "reading" | "writing" | undefined;
  /** The flags of a write, by the names of its options. */
  readonly flags?: readonly string[] | undefined;
  /** The rules that its path was resolved under: RESOLVE_*. */
  readonly rules?: number;
  /** Of two paths: EXDEV is of a rule, and not of two file systems. */
  readonly leadsOut?: boolean;
}

const LOST_ADVICE =
  "the program has forbidden itself a call that this IO needs, by a seccomp filter, or other " +
  "code has closed a descriptor of the IO; whether the operation was carried out is not known: " +
  "open another IO";

const ADVICE: ReadonlyMap<string, string> = new Map([
  ["EBADF", "the descriptor was closed, or never belonged to this IO"],
  ["EFAULT", "the memory that was named lies outside its buffer"],
  ["EADDRINUSE", "another socket has this address: stop it, or choose another port or path"],
  ["EMFILE", "too many descriptors are open: close some, or raise RLIMIT_NOFILE (ulimit -n)"],
  ["EDQUOT", "the quota of this user or folder is used up: free some of it, or raise it"],
  ["ENOSPC", "the disk is full: nothing more can be written until space is freed"],
  [
    "ECANCELED",
    "close() of the object or its IO, cancelAll() or a cancel ended it; in a chain also the " +
      "failure of an operation before it",
  ],
  ["ETIMEDOUT", "the timeoutMs of the call has passed, or the peer does not answer"],
  ["ECONNREFUSED", "no server listens at this address"],
  [
    "EPIPE",
    'the connection takes nothing more: its peer has closed it, or shutdown("send") was called',
  ],
  ["ENOTCONN", "the socket is not connected: it never was, or the connection has ended"],
  ["EDESTADDRREQ", "the socket is not connected: name the receiver by sendTo(), or connect it"],
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
// Where a file that was opened otherwise than by `io.openFile()` may be meant.
const ACCESS_ADVICE =
  "the descriptor was closed, never belonged to this IO, or was opened for reading or for " +
  "writing alone";

// EINVAL says that something is not allowed. What that is depends on the operation.
const INVALID_ADVICE: ReadonlyMap<string, string> = new Map([
  ["readlink", "the path names no symbolic link"],
  ["rename", "the new path lies inside the old one, or one of them ends with . or .."],
  ["bind", "the socket has an address already, or this one is not of its family"],
  ["accept", "the socket does not listen"],
  ["acceptMultishot", "the socket does not listen"],
  ["sync", "what is open cannot be synced, as a pipe or a socket cannot"],
  ["truncate", "it is no regular file, or the file system has none of that size"],
  [
    "allocate",
    "the length is 0, or it is no regular file; collapse and insert take whole blocks of the " +
      "file system inside the file",
  ],
  ["copyRange", "the ranges of one file overlap, or one of the two is no regular file"],
  ["reflink", "one of the two is no regular file, or their file system cannot share these blocks"],
  ["advise", "there is no such advice for what is open"],
  ["sendControl", "descriptors go over unix sockets alone, segments and the like over UDP"],
]);

const READING: ReadonlySet<string> = new Set(["read", "readVectored", "sendFile"]);
const WRITING: ReadonlySet<string> = new Set([
  ...["write", "writeVectored", "allocate", "truncate", "copyRange"],
]);
const SIZING: ReadonlySet<string> = new Set(["allocate", "truncate"]);

const SOCKET_PATH_ADVICE =
  "the path of a unix socket has 107 bytes at most, 103 on macOS and the BSDs: take a shorter " +
  "one, or a relative one";

const LIMIT_ADVICE = "the timeoutMs of the call has passed";

const BROADCAST_ADVICE =
  "a broadcast address needs the option broadcast: true of the socket, and a unix socket the " +
  "right to write to its file; other addresses are forbidden by the system, as by a firewall";

// Of the operations for which an errno means something of their own.
const OWN_ADVICE: ReadonlyMap<string, string> = new Map([
  [
    "lock EAGAIN",
    "another open of the file, in this process or in another, holds a lock there: wait for it " +
      "(wait: true, with a timeoutMs)",
  ],
  ["lock ENOTSUP", "this system locks whole files only: give no offset and no lengthBytes"],
  ["unlock ENOTSUP", "this system locks whole files only: give no offset and no lengthBytes"],
  ["allocate ENOTSUP", "the file system, or the system, does not know this mode"],
  ["bind EADDRNOTAVAIL", "this machine has no such address: give one of its own, or 0.0.0.0 or ::"],
  [
    "bind EACCES",
    "a port below net.ipv4.ip_unprivileged_port_start (1024) needs CAP_NET_BIND_SERVICE or root, " +
      "and a unix socket the right to write to its folder",
  ],
  // No peer is asked for anything.
  ["poll ETIMEDOUT", LIMIT_ADVICE],
  ["timeout ETIMEDOUT", LIMIT_ADVICE],
  ["bind ENAMETOOLONG", SOCKET_PATH_ADVICE],
  ["connect ENAMETOOLONG", SOCKET_PATH_ADVICE],
  ["sendMessage EACCES", BROADCAST_ADVICE],
  ["sendControl EACCES", BROADCAST_ADVICE],
  ["linkDescriptor ENOTSUP", "only Linux gives an open file a name"],
  ["open ENOTSUP", "temporary and noAtime need Linux, and a file system that can"],
  [
    "reflink ENOTSUP",
    "the file system, or the system, cannot share blocks: btrfs, XFS and bcachefs of Linux do",
  ],
  [
    "watch EMFILE",
    "the process has no descriptor left, or on Linux its user has as many watches as the sysctl " +
      "fs.inotify.max_user_instances allows: close some",
  ],
  [
    "watchAdd ENOSPC",
    "the watches of this user have as many files and directories as the sysctl " +
      "fs.inotify.max_user_watches allows: raise it",
  ],
  ["watchAdd ENOENT", "it was removed, or /proc is not mounted here"],
  ["getXattr ENODATA", "the file has no attribute of this name"],
  ["setXattr ENODATA", "the file has no attribute of this name"],
  ["removeXattr ENODATA", "the file has no attribute of this name"],
  [
    "setXattr ENOTSUP",
    "the file system or the system has no attributes, or none whose name begins so: on Linux it " +
      'begins with "user."',
  ],
]);

const NO_TRANSPORT =
  "no transport of vsock leads to this cid: in a virtual machine the module " +
  "vmw_vsock_virtio_transport does (or that of its hypervisor), on its host vhost_vsock, and to " +
  "the cid 1 vsock_loopback; load it by modprobe. io.capabilities.vsock has the cids of this " +
  "machine";

// The same of operations on a socket of vsock.
const VSOCK_ADVICE: ReadonlyMap<string, string> = new Map([
  [
    "socket EAFNOSUPPORT",
    "this system has no vsock: Linux has it in its module vsock, and macOS has it",
  ],
  ["socket ESOCKTNOSUPPORT", "vsock has streams alone here"],
  ["connect ENODEV", NO_TRANSPORT],
  ["connect ECONNRESET", "nothing listens at this port, or as many wait there as may"],
  [
    "connect ETIMEDOUT",
    "the timeoutMs of the call has passed, or the machine does not answer within the 2 seconds " +
      "of vsock, which the option SO_VM_SOCKETS_CONNECT_TIMEOUT changes",
  ],
  [
    "bind EADDRNOTAVAIL",
    'this machine has not this cid: io.capabilities.vsock has those it has, and "any" is all of ' +
      "them",
  ],
  [
    "bind EACCES",
    'a port below 1024 needs CAP_NET_BIND_SERVICE or root, 0 as well: "any" is any free port',
  ],
]);

/** Of a file that was opened for something else: what it was opened for, and how to open it. */
function accessAdvice(code: string, operation: string, only: Subject["only"]): string | undefined {
  // ftruncate(2) says EINVAL where the other calls say EBADF. macOS has it for an allocate, too,
  // which ends with it there.
  const refused = code === "EBADF" || (code === "EINVAL" && SIZING.has(operation));
  if (only === undefined || !refused) return undefined;
  if (only === "reading" && WRITING.has(operation)) {
    return "the file was opened for reading alone: open it with write: true";
  }
  // Linux asks for the right of the kind.
  if (operation === "lock") {
    return only === "reading"
      ? "the file was opened for reading alone: an exclusive lock needs write: true"
      : "the file was opened for writing alone: a shared lock needs read: true";
  }
  if (only === "writing" && READING.has(operation)) {
    return "the file was opened for writing alone: open it with read: true";
  }
  return undefined;
}

// What each flag of a write needs.
const FLAG_ADVICE: ReadonlyMap<string, string> = new Map([
  ["dsync", "dsync alone is known here: give no other flag with it"],
  ["uncached", "uncached needs Linux 6.14 and a file system that can, such as ext4, XFS or btrfs"],
  [
    "atomic",
    "atomic needs Linux 6.11, a file that was opened with direct, and a file system and a device " +
      "that can: file.stat() has the limits as atomicWrite",
  ],
  ["append", "append needs Linux 4.16"],
  ["nowait", "nowait needs Linux 4.14 and a file system that can"],
]);

function flagsAdvice(code: string, flags: readonly string[]): string | undefined {
  if (code === "ENOTSUP" || code === "EOPNOTSUPP") {
    const wanted = flags.length > 1 ? flags.filter((name) => name !== "dsync") : flags;
    return wanted.map((name) => FLAG_ADVICE.get(name)).join("; ");
  }
  if (code === "EINVAL" && flags.includes("atomic")) {
    return (
      "an atomic write has a power of two of bytes between the limits of the file, at a multiple " +
      "of its length: file.stat() has them as atomicWrite"
    );
  }
  if (code === "EAGAIN" && flags.includes("nowait")) return "it would have to wait";
  return undefined;
}

function adviceFor(
  code: string,
  opcode: number,
  { only, flags = [], peer }: Pick<Subject, "only" | "flags" | "peer">,
): string | undefined {
  const { name: operation = "", kind } = OPERATIONS.get(opcode) ?? {};
  const access = accessAdvice(code, operation, only);
  if (access !== undefined) return access;
  const ofFlags = flagsAdvice(code, flags);
  if (flags.length > 0 && ofFlags !== undefined) return ofFlags;
  const event = `${rowOf(opcode).name} ${code}`;
  const own = (peer?.isVsock && VSOCK_ADVICE.get(event)) || OWN_ADVICE.get(event);
  if (own !== undefined) return own;
  if (code === "EINVAL" && TRANSFERS.has(operation)) return DIRECT_ADVICE;
  if (code === "EINVAL") return INVALID_ADVICE.get(operation);
  if (code === "EBADF" && TRANSFERS.has(operation)) return ACCESS_ADVICE;
  if (code === "ETIMEDOUT" && kind === "file") {
    return `${LIMIT_ADVICE}, or the server of its file system does not answer`;
  }
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

// EXDEV and ELOOP of a path that was resolved under rules: which rule forbids it. A rename and a
// link may say EXDEV of two file systems, and then it stands as it is.
function brokenRule(
  code: string,
  operation: string,
  { rules = 0, leadsOut = false }: Subject,
): string | undefined {
  const byOther = (operation === "rename" || operation === "link") && !leadsOut;
  if (code === "EXDEV" && (rules & RESOLVE_BENEATH) !== 0 && !byOther) {
    return 'the path leads out of the directory, which the rule "beneath" forbids';
  }
  if (code !== "ELOOP" || (rules & RESOLVE_NO_SYMLINKS) === 0) return undefined;
  return 'there is a symbolic link on the way, which the rule "noSymlinks" forbids';
}

/** What an operation is called. By path and by descriptor an attribute has one name. */
function rowOf(opcode: number): { readonly name: string; readonly syscall: string } {
  const { name = `operation ${opcode}`, syscall = "unknown" } = OPERATIONS.get(opcode) ?? {};
  return { name: name.replace("XattrAt", "Xattr"), syscall };
}

/** The error of an operation that completed with a negative errno. */
export function operationError(
  opcode: number,
  errno: number,
  backend: string,
  subject: Subject = {},
): IOError {
  const { name: operation, syscall } = rowOf(opcode);
  const [code, text] = errnoName(errno);
  const { call = operation, path, dest, peer } = subject;
  const broken = subject.rules ? brokenRule(code, operation, subject) : undefined;
  const advice = broken ?? adviceFor(code, opcode, subject);
  const where = whereabouts(operation, subject);
  return new IOError({
    code: broken === undefined ? code : "ERR_IO_RESOLVE",
    errno,
    syscall,
    operation,
    backend,
    message: `${call}${where} failed: ${code}, ${text}${advice ? ` (${advice})` : ""}`,
    ...peerFields(peer),
    ...(path === undefined ? {} : { path }),
    ...(dest === undefined ? {} : { dest }),
  });
}

/** What an error has of a peer. */
export function peerFields(
  peer: Peer | undefined,
): Pick<IOErrorFields, "address" | "port" | "path"> {
  if (peer === undefined) return {};
  const { address, port, path } = peer;
  return {
    address,
    ...(port === undefined ? {} : { port }),
    ...(path === undefined ? {} : { path }),
  };
}

// "read of '/a/b'", "rename of '/a' to '/b'", "stat of '/a' for the copy to '/b'", "receive from
// '127.0.0.1:80'".
function whereabouts(operation: string, { path, dest, peer }: Subject): string {
  const file = path === undefined ? "" : ` of '${path}'`;
  const to = TWO_PATHS.test(operation) ? "to" : "for the copy to";
  const target = dest === undefined ? "" : ` ${to} '${dest}'`;
  if (peer === undefined) return file + target;
  const towards = TOWARDS.test(operation) ? "to" : FROM.test(operation) ? "from" : "of";
  return `${file} ${towards} '${peer.name}'`;
}

/** The others that have a second path are steps of a copy. */
const TWO_PATHS = /^(rename|link|symlink|copy|reflink|cp$)/;
const TOWARDS = /^(send|connect)/;
const FROM = /^(receive|peek)/;

/** What operations of an IO fail with that has lost what it needs. */
export const LOST = "ENOTRECOVERABLE";

/** The error of such an operation; `call` says what was lost. */
export function lostError(
  opcode: number,
  errno: number,
  backend: string,
  [call, reason]: readonly [call: string, errno: number],
): IOError {
  const { name: operation, syscall } = rowOf(opcode);
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

/**
 * The error of what should be a number: of another type, or a number that is not allowed. A bigint
 * is a number where the call takes one.
 */
export function numberError(
  operation: string,
  value: unknown,
  message: string,
  takesBigint = false,
): IOError {
  const isNumber = typeof value === "number" || (takesBigint && typeof value === "bigint");
  return isNumber ? rangeError(operation, message) : typeError(operation, message);
}

const SCOPE = "scope";

/** Why a scope has cancelled: its time limit, or that of the call that is made of it. */
export function scopeElapsed(timeoutMs: number, call?: string): IOError {
  const limit =
    call === undefined ? "the time limit of the scope has passed," : `${call} has taken`;
  const message = `${limit} ${timeoutMs} ms`;
  const errno = -constants.errno.ETIMEDOUT;
  return new IOError({ code: "ETIMEDOUT", errno, operation: SCOPE, message });
}

/** The error of what a signal has ended: that of a time limit, where it is a scope's. */
export function abortedError(operation: string, reason: unknown, subject: Subject = {}): IOError {
  const { call = operation } = subject;
  if (reason instanceof IOError && reason.operation === SCOPE) {
    const { code, errno = 0 } = reason;
    const message = `${call} failed: ${code}, ${reason.message}`;
    return new IOError({ code, errno, operation, message, cause: reason });
  }
  const what = `${call}${whereabouts(operation, subject)}`;
  const message = `${what} was aborted by its signal; \`cause\` has the reason`;
  return new IOError({ code: "ABORT_ERR", operation, message, cause: reason });
}

/** The error of something that was used after it was closed. */
export function closedError(operation: string, what: string): IOError {
  const message = `${operation}: ${what} is closed`;
  return new IOError({ code: "ERR_IO_CLOSED", operation, message });
}
