// Errors as Node makes them: the same classes, codes and messages, since programs compare them.

import { constants } from "node:os";
import { getSystemErrorMap, inspect } from "node:util";
import { IOError } from "@io/core";

type ErrorClass = new (message: string) => Error;

/** An error of Node's kind: `TypeError [ERR_INVALID_ARG_TYPE]: ...`. */
export function nodeError(Base: ErrorClass, code: string, message: string): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Base(message);
  // The stack is made here, with the code in its first line, as that of Node's errors.
  const { name } = error;
  error.name = `${name} [${code}]`;
  Error.captureStackTrace?.(error, nodeError);
  void error.stack;
  Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  Reflect.deleteProperty(error, "name");
  error.code = code;
  return error;
}

/** An error with the name that Node gives those of a call of the system inside a module. */
class SystemError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "SystemError";
  }
}

/** The same as {@link nodeError} of that class: `SystemError [ERR_FS_EISDIR]: ...`. */
export function systemClassError(code: string, message: string): NodeJS.ErrnoException {
  const error = nodeError(SystemError, code, message);
  error.name = "SystemError";
  return error;
}

/** What a value is, in the words of Node's messages. */
function received(value: unknown): string {
  if (value === null || value === undefined) return `Received ${value}`;
  if (typeof value === "function") return `Received function ${value.name}`;
  if (typeof value === "object") {
    const name: unknown = value.constructor?.name;
    if (typeof name === "string" && name !== "") return `Received an instance of ${name}`;
    return `Received ${inspect(value, { depth: -1 })}`;
  }
  const shown = inspect(value, { colors: false });
  const short = shown.length > 28 ? `${shown.slice(0, 25)}...` : shown;
  return `Received type ${typeof value} (${short})`;
}

const PRIMITIVES = new Set([
  ...["string", "function", "number", "object", "boolean", "bigint", "symbol"],
]);
const CLASS_NAME = /^([A-Z][a-z0-9]*)+$/;

/** "one of type number or string", "an instance of Buffer": the types first, as Node puts them. */
function expected(types: readonly string[]): string {
  const primitives: string[] = [];
  const classes: string[] = [];
  const others: string[] = [];
  for (const type of types) {
    const isPrimitive = PRIMITIVES.has(type) || type === "Object" || type === "Function";
    if (isPrimitive) primitives.push(type.toLowerCase());
    else if (CLASS_NAME.test(type)) classes.push(type);
    else others.push(type);
  }
  if (classes.length > 0 && primitives.includes("object")) {
    primitives.splice(primitives.indexOf("object"), 1);
    classes.push("Object");
  }
  const parts: string[] = [];
  const { length } = primitives;
  if (length > 0) parts.push(`${length > 1 ? "one of type" : "of type"} ${or(primitives)}`);
  if (classes.length > 0) parts.push(`an instance of ${or(classes)}`);
  if (others.length > 1) parts.push(`one of ${or(others)}`);
  else if (others[0] !== undefined) {
    const isUpper = others[0].toLowerCase() !== others[0];
    parts.push(isUpper ? `an ${others[0]}` : others[0]);
  }
  return parts.join(" or ");
}

function or(words: readonly string[]): string {
  if (words.length < 3) return words.join(" or ");
  return `${words.slice(0, -1).join(", ")}, or ${words.at(-1)}`;
}

/** The error of an argument of the wrong type. */
export function argumentTypeError(
  name: string,
  types: string | readonly string[],
  value: unknown,
): NodeJS.ErrnoException {
  const kind = name.includes(".") ? "property" : "argument";
  const right = expected([types].flat());
  const message = `The "${name}" ${kind} must be ${right}. ${received(value)}`;
  return nodeError(TypeError, "ERR_INVALID_ARG_TYPE", message);
}

/** The error of an argument that has the right type, and a value that is not allowed. */
export function argumentValueError(
  name: string,
  value: unknown,
  reason = "is invalid",
): NodeJS.ErrnoException {
  const shown = inspect(value);
  const short = shown.length > 128 ? `${shown.slice(0, 128)}...` : shown;
  const kind = name.includes(".") ? "property" : "argument";
  const message = `The ${kind} '${name}' ${reason}. Received ${short}`;
  return nodeError(TypeError, "ERR_INVALID_ARG_VALUE", message);
}

/** The error of a number outside of its range. */
export function outOfRange(name: string, range: string, value: unknown): NodeJS.ErrnoException {
  const rule = `The value of "${name}" is out of range. It must be ${range}.`;
  return nodeError(RangeError, "ERR_OUT_OF_RANGE", `${rule} Received ${numberText(value)}`);
}

// Long numbers have their digits in groups of three.
function numberText(value: unknown): string {
  if (Number.isInteger(value) && Math.abs(value as number) > 2 ** 32) return grouped(String(value));
  if (typeof value !== "bigint") return inspect(value);
  const isLong = value > 2n ** 32n || value < -(2n ** 32n);
  return `${isLong ? grouped(String(value)) : value}n`;
}

function grouped(digits: string): string {
  return digits.replace(/(?<=\d)(?=(\d{3})+$)/g, "_");
}

/** The error of a call without any of these. */
export function missingArguments(...names: string[]): NodeJS.ErrnoException {
  const quoted = names.map((name) => `"${name}"`).join(" or ");
  const message = `The ${quoted} argument must be specified`;
  return nodeError(TypeError, "ERR_MISSING_ARGS", message);
}

export function badPort(name: string, port: unknown, allowZero = true): NodeJS.ErrnoException {
  const operator = allowZero ? ">=" : ">";
  const message = `${name} should be ${operator} 0 and < 65536. ${received(port)}.`;
  return nodeError(RangeError, "ERR_SOCKET_BAD_PORT", message);
}

export function socketClosed(): NodeJS.ErrnoException {
  return nodeError(Error, "ERR_SOCKET_CLOSED", "Socket is closed");
}

/** What this library lacks, with the reason: never a silent difference. */
export function notSupported(what: string, reason: string): NodeJS.ErrnoException {
  return nodeError(
    Error,
    "ERR_IO_NOT_SUPPORTED",
    `${what} is not supported by @io/node: ${reason}`,
  );
}

/** Of what other code has a handle for, which would close the descriptor too. */
export function handleNotSupported(what: string): NodeJS.ErrnoException {
  return notSupported(what, "give `fd`, the number of a descriptor that nobody else closes");
}

/** The name of a system error: "ECONNRESET" of -104. */
export function errnoCode(errno: number): string {
  return getSystemErrorMap().get(errno)?.[0] ?? `Unknown system error ${errno}`;
}

/** The error of a call of the system, as `node:net` has it: "read ECONNRESET". */
export function systemError(
  errno: number,
  syscall: string,
  original?: string,
): NodeJS.ErrnoException {
  const code = errnoCode(errno);
  const message = original ? `${syscall} ${code} ${original}` : `${syscall} ${code}`;
  return Object.assign(new Error(message), { errno, code, syscall });
}

export interface NetError extends NodeJS.ErrnoException {
  address?: string;
  port?: number;
}

/** The same with the other end: "connect ECONNREFUSED 127.0.0.1:80". */
export function addressError(
  errno: number,
  syscall: string,
  address: string | null,
  port?: number,
  local?: string,
): NetError {
  const code = errnoCode(errno);
  const end = port !== undefined && port > 0 ? `${address}:${port}` : address;
  const remote = end === null || end === "" ? "" : ` ${end}`;
  const details = local ? `${remote} - Local (${local})` : remote;
  const error: NetError = Object.assign(new Error(`${syscall} ${code}${details}`), {
    errno,
    code,
    syscall,
  });
  if (address !== null) error.address = address;
  if (port !== undefined && port > 0) error.port = port;
  return error;
}

/** The error of a listen, which has the text of the system in it, too. */
export function listenError(errno: number, address: string | null, port?: number): NetError {
  const [code, text] = getSystemErrorMap().get(errno) ?? [`${errno}`, "unknown error"];
  const end = port !== undefined && port > 0 ? `${address}:${port}` : address;
  const message = `listen ${code}: ${text}${end === null ? "" : ` ${end}`}`;
  const error: NetError = Object.assign(new Error(message), { code, errno, syscall: "listen" });
  if (address !== null) error.address = address;
  if (port !== undefined && port > 0) error.port = port;
  return error;
}

// Codes of the library that a program of Node's knows as the system's: what was aborted, what was
// refused before the system saw it, and what has no room.
const AS_ERRNO: ReadonlyMap<string, number> = new Map([
  ["ABORT_ERR", -constants.errno.ECANCELED],
  ["ERR_IO_CLOSED", -constants.errno.ECANCELED],
  ["ERR_INVALID_ARG_TYPE", -constants.errno.EINVAL],
  ["ERR_INVALID_ARG_VALUE", -constants.errno.EINVAL],
  ["ERR_OUT_OF_RANGE", -constants.errno.EINVAL],
  ["ERR_IO_IN_FLIGHT_LIMIT", -constants.errno.ENOBUFS],
  ["ERR_IO_BUFFERS_LIMIT", -constants.errno.ENOBUFS],
]);

/** The negative error number of what an operation has thrown. */
export function errnoOf(error: unknown): number {
  if (error instanceof IOError) {
    if (error.errno !== undefined) return error.errno;
    const { errno } = constants as { errno: Record<string, number> };
    const number = errno[error.code];
    if (number !== undefined) return -number;
    const own = AS_ERRNO.get(error.code);
    if (own !== undefined) return own;
  }
  throw error;
}
