// The arguments of the functions of files, checked as `node:fs` checks them: the same classes,
// codes and messages for the same mistake.

import { constants } from "node:fs";
import { fileURLToPath } from "node:url";
import { inspect, types } from "node:util";
import {
  checkBoolean,
  checkInteger,
  checkObject,
  checkSignal,
  checkUint32,
  MAX_INT32,
  MAX_UINT32,
} from "../checks.js";
import { argumentTypeError, argumentValueError, nodeError, outOfRange } from "../errors.js";

/** A path, once it was checked. */
export type CheckedPath = string | Uint8Array;

// Node takes whatever looks like a URL, also one of another realm.
function isURL(value: unknown): value is URL {
  if (typeof value !== "object" || value === null) return false;
  const { href, protocol, auth, path } = value as Record<string, unknown>;
  return Boolean(href) && Boolean(protocol) && auth === undefined && path === undefined;
}

/** A path as the functions take it: a string, bytes, or a `file:` URL. */
export function pathFrom(given: unknown, name = "path"): CheckedPath {
  const path: unknown = isURL(given) ? fileURLToPath(given) : given;
  if (typeof path === "string") {
    if (!path.includes("\0")) return path;
  } else if (types.isUint8Array(path)) {
    if (!path.includes(0)) return path;
  } else {
    throw argumentTypeError(name, ["string", "Buffer", "URL"], path);
  }
  const rule = "must be a string, Uint8Array, or URL without null bytes";
  throw argumentValueError(name, path, rule);
}

/** The same file for a call that is made later, when the working folder may be another one. */
export function fromHere(path: CheckedPath): CheckedPath {
  const isAbsolute = typeof path === "string" ? path.startsWith("/") : path[0] === 47;
  if (isAbsolute || path.length === 0) return path;
  const folder = process.cwd();
  if (typeof path === "string") return `${folder}/${path}`;
  return Buffer.concat([Buffer.from(`${folder}/`), path]);
}

/** What the ring is given. Where a string is no Unicode, Node has U+FFFD in its place. */
export function systemPath(path: CheckedPath): CheckedPath {
  if (typeof path !== "string" || !/\p{Surrogate}/u.test(path)) return path;
  return Buffer.from(path);
}

const { O_RDONLY, O_RDWR, O_WRONLY, O_SYNC, O_TRUNC, O_CREAT, O_EXCL, O_APPEND } = constants;
const NEW = O_TRUNC | O_CREAT;
const END = O_APPEND | O_CREAT;

const FLAGS: ReadonlyMap<unknown, number> = new Map([
  ["r", O_RDONLY],
  ["rs", O_RDONLY | O_SYNC],
  ["sr", O_RDONLY | O_SYNC],
  ["r+", O_RDWR],
  ["rs+", O_RDWR | O_SYNC],
  ["sr+", O_RDWR | O_SYNC],
  ["w", NEW | O_WRONLY],
  ["wx", NEW | O_WRONLY | O_EXCL],
  ["xw", NEW | O_WRONLY | O_EXCL],
  ["w+", NEW | O_RDWR],
  ["wx+", NEW | O_RDWR | O_EXCL],
  ["xw+", NEW | O_RDWR | O_EXCL],
  ["a", END | O_WRONLY],
  ["ax", END | O_WRONLY | O_EXCL],
  ["xa", END | O_WRONLY | O_EXCL],
  ["as", END | O_WRONLY | O_SYNC],
  ["sa", END | O_WRONLY | O_SYNC],
  ["a+", END | O_RDWR],
  ["ax+", END | O_RDWR | O_EXCL],
  ["xa+", END | O_RDWR | O_EXCL],
  ["as+", END | O_RDWR | O_SYNC],
  ["sa+", END | O_RDWR | O_SYNC],
]);

/** The bits of open(2): from a number, or from a word such as "r+". */
export function flagsFrom(flags: unknown, name = "flags"): number {
  if (typeof flags === "number") {
    checkInteger(flags, name, -MAX_INT32 - 1, MAX_INT32);
    return flags;
  }
  if (flags === undefined || flags === null) return O_RDONLY;
  const bits = FLAGS.get(flags);
  if (bits === undefined) throw argumentValueError("flags", flags);
  return bits;
}

const MODE_RULE = "must be a 32-bit unsigned integer or an octal string";

/** Permissions: a number, or octal digits. */
export function modeFrom(given: unknown, name: string, absent?: number): number {
  let mode = given ?? absent;
  if (typeof mode === "string") {
    if (!/^[0-7]+$/.test(mode)) throw argumentValueError(name, mode, MODE_RULE);
    mode = Number.parseInt(mode, 8);
  }
  checkUint32(mode, name);
  return mode;
}

/** The mode of `access` and `copyFile`, which the two check in other words than the rest. */
export function accessModeFrom(mode: unknown): number {
  if (mode === undefined || mode === null) return 0;
  if (typeof mode !== "number") {
    throw nodeError(TypeError, "ERR_INVALID_ARG_TYPE", "mode must be int32 or null/undefined");
  }
  const bits = Math.trunc(mode);
  if (bits >= 0 && bits <= 7) return bits;
  const range = Number.isFinite(mode) ? ": >= 0 && <= 7" : "";
  throw nodeError(RangeError, "ERR_OUT_OF_RANGE", `mode is out of range${range}`);
}

export function checkOwner(uid: unknown, gid: unknown): void {
  checkInteger(uid, "uid", -1, MAX_UINT32);
  checkInteger(gid, "gid", -1, MAX_UINT32);
}

/** Seconds since 1970, from a number, its text, or a date. */
export function secondsFrom(time: unknown, name = "time"): number {
  // As in Node, an empty one is the year 1970.
  if (typeof time === "string" && !Number.isNaN(+time)) return +time;
  if (typeof time === "number" && Number.isFinite(time)) {
    return time < 0 ? Date.now() / 1000 : time;
  }
  if (types.isDate(time)) return time.getTime() / 1000;
  throw argumentTypeError(name, ["Date", "Time in seconds"], time);
}

/** Options that may be an encoding alone. */
export interface EncodingOptions {
  readonly encoding?: string | null | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Options, or an encoding in their place; checked as far as all functions have them. */
export function optionsFrom<T extends EncodingOptions>(options: unknown, absent: T): T {
  if (options === undefined || options === null || typeof options === "function") return absent;
  if (typeof options === "string") {
    checkEncoding(options);
    return { ...absent, encoding: options };
  }
  if (typeof options !== "object") {
    throw argumentTypeError("options", ["string", "Object"], options);
  }
  const { encoding, signal } = options as EncodingOptions;
  checkEncoding(encoding);
  checkSignal(signal, "options.signal");
  return options as T;
}

function checkEncoding(encoding: unknown): void {
  if (encoding === "buffer" || !encoding || Buffer.isEncoding(encoding as string)) return;
  throw argumentValueError("encoding", encoding, "is invalid encoding");
}

/** A name of the file system, in the encoding that was asked for. */
export function nameIn(encoding: string | null | undefined, name: Buffer): string | Buffer {
  // The name may be a part of all that a directory has, which would stay with it.
  if (encoding === "buffer") return Buffer.from(name);
  return name.toString((encoding ?? "utf8") as BufferEncoding);
}

export function checkView(value: unknown, name = "buffer"): asserts value is ArrayBufferView {
  if (ArrayBuffer.isView(value)) return;
  throw argumentTypeError(name, ["Buffer", "TypedArray", "DataView"], value);
}

/** Throws unless it is text, where memory would do as well. */
export function checkText(value: unknown, name: string): asserts value is string {
  if (typeof value === "string") return;
  throw argumentTypeError(name, ["string", "Buffer", "TypedArray", "DataView"], value);
}

export function checkViews(value: unknown): asserts value is readonly ArrayBufferView[] {
  if (Array.isArray(value) && value.every((one) => ArrayBuffer.isView(one))) return;
  throw argumentTypeError("buffers", "ArrayBufferView[]", value);
}

/** The part of a buffer that a read fills. */
export function checkReadRange(offset: number, length: number, byteLength: number): void {
  if (offset < 0) throw outOfRange("offset", ">= 0", offset);
  if (length < 0) throw outOfRange("length", ">= 0", length);
  if (offset + length > byteLength) {
    throw outOfRange("length", `<= ${byteLength - offset}`, length);
  }
}

/** The part of a buffer that a write takes. */
export function checkWriteRange(offset: number, length: number, byteLength: number): void {
  if (offset > byteLength) throw outOfRange("offset", `<= ${byteLength}`, offset);
  if (length > byteLength - offset) {
    throw outOfRange("length", `<= ${byteLength - offset}`, length);
  }
  if (length < 0) throw outOfRange("length", ">= 0", length);
  checkInteger(length, "length", 0, MAX_INT32);
}

/** Node has an encoding that is not known of a string's length, too: "hex" needs pairs. */
export function checkTextEncoding(text: string, encoding: unknown): void {
  const name = String(encoding).toLowerCase();
  if (name === "hex" && text.length % 2 !== 0) {
    const rule = `is invalid for data of length ${text.length}`;
    throw argumentValueError("encoding", encoding, rule);
  }
}

/** The place in the file, or -1 for the current position, as Node takes what is no such number. */
export function positionFrom(position: unknown): number {
  const number = typeof position === "bigint" ? Number(position) : position;
  return Number.isSafeInteger(number) && (number as number) >= 0 ? (number as number) : -1;
}

export function symlinkTypeFrom(type: unknown): void {
  if (typeof type !== "string" || ["dir", "file", "junction"].includes(type)) return;
  const rule = 'Symlink type must be one of "dir", "file", or "junction".';
  const received = inspect(type).replace(/^'|'$/g, '"');
  throw nodeError(Error, "ERR_FS_INVALID_SYMLINK_TYPE", `${rule} Received ${received}`);
}

const REMOVE_DEFAULTS = { recursive: false, force: false, retryDelay: 100, maxRetries: 0 };

/** The options of `rm` and `rmdir`. */
export function removeOptionsFrom(options: unknown): typeof REMOVE_DEFAULTS {
  if (options === undefined) return REMOVE_DEFAULTS;
  checkObject(options, "options");
  const all = { ...REMOVE_DEFAULTS, ...options };
  checkBoolean(all.recursive, "options.recursive");
  checkInteger(all.retryDelay, "options.retryDelay", 0, MAX_INT32);
  checkUint32(all.maxRetries, "options.maxRetries");
  return all;
}
