// Streams over files. They are Node's own classes, which take the calls that they make as an
// option: so their events, options and errors are those of `node:fs`.

import {
  fstatSync,
  createReadStream as nodeReadStream,
  createWriteStream as nodeWriteStream,
  type PathLike,
  type ReadStream,
  type Stats,
  type WriteStream,
} from "node:fs";
import { isatty } from "node:tty";
import type { Descriptor } from "@io/core";
import { sharedIO } from "../engine/environment.js";
import { notSupported } from "../errors.js";
import { type CheckedPath, flagsFrom, modeFrom, optionsFrom } from "./arguments.js";
import {
  closeDescriptor,
  numberOf,
  openPath,
  readInto,
  syncDescriptor,
  writeFrom,
  writeVectors,
} from "./descriptors.js";
import type { FileHandle } from "./file_handle.js";

/** The options of Node's `createReadStream`. */
export type NodeReadOptions = Exclude<Parameters<typeof nodeReadStream>[1], string | undefined>;
/** The options of Node's `createWriteStream`. */
export type NodeWriteOptions = Exclude<Parameters<typeof nodeWriteStream>[1], string | undefined>;

/** Options of a stream that reads. */
export type ReadStreamOptions = Omit<NodeReadOptions, "fd" | "fs"> & {
  /** A file that is open, in the place of one at a path: a `FileHandle`, or the system's number. */
  fd?: FileHandle | number | null | undefined;
};

/** Options of a stream that writes. */
export type WriteStreamOptions = Omit<NodeWriteOptions, "fd" | "fs"> & {
  /** A file that is open, in the place of one at a path: a `FileHandle`, or the system's number. */
  fd?: FileHandle | number | null | undefined;
};

type Done = (error: unknown, ...results: unknown[]) => void;

// A callback that throws is an uncaught error of its own, and no failure of the promise.
function answer(promise: Promise<unknown>, done: Done, memory?: unknown): void {
  promise.then(
    (result) => process.nextTick(done, null, result, memory),
    (error: unknown) => process.nextTick(done, error, 0, memory),
  );
}

// No descriptor of an IO.
const NO_DESCRIPTOR = -1;

function placeOf(position: number | null | undefined): number {
  return position ?? -1;
}

/** The calls that a stream makes, of the one file that it has. */
class StreamCalls {
  #descriptor: Descriptor;
  readonly #close: (descriptor: Descriptor) => Promise<void>;

  constructor(descriptor: Descriptor, close: (descriptor: Descriptor) => Promise<void>) {
    this.#descriptor = descriptor;
    this.#close = close;
  }

  readonly open = (path: CheckedPath, flags: unknown, mode: unknown, done: Done): void => {
    const bits = flagsFrom(flags);
    const opening = openPath(path, bits, modeFrom(mode, "mode", 0o666)).then((descriptor) => {
      this.#descriptor = descriptor;
      return numberOf(descriptor);
    });
    answer(opening, done);
  };

  readonly close = (_number: number, done: Done): void => {
    answer(this.#close(this.#descriptor), done);
  };

  readonly fsync = (_number: number, done: Done): void => {
    answer(syncDescriptor(this.#descriptor, "full"), done);
  };

  readonly read = (
    _number: number,
    memory: Buffer,
    offset: number,
    length: number,
    position: number | null | undefined,
    done: Done,
  ): void => {
    const into = memory.subarray(offset, offset + length);
    answer(readInto(this.#descriptor, into, placeOf(position)), done, memory);
  };

  readonly write = (
    _number: number,
    memory: Buffer,
    offset: number,
    length: number,
    position: number | null | undefined,
    done: Done,
  ): void => {
    const from = memory.subarray(offset, offset + length);
    answer(writeFrom(this.#descriptor, from, placeOf(position)), done, memory);
  };

  readonly writev = (
    _number: number,
    buffers: readonly Buffer[],
    position: number | null | undefined,
    done: Done,
  ): void => {
    answer(writeVectors(this.#descriptor, buffers, placeOf(position)), done, buffers);
  };
}

/** Options with the calls of a file in them. */
function withCalls(options: object, calls: StreamCalls, fd?: number): object {
  return { ...options, ...(fd === undefined ? {} : { fd }), fs: calls };
}

interface Given {
  readonly encoding?: string | null | undefined;
  readonly fd?: unknown;
  readonly fs?: unknown;
}

// What Node's streams take besides, and ours cannot.
function givenOptions(options: unknown): Given {
  const given = optionsFrom<Given>(options, {});
  if (given.fs !== undefined) {
    throw notSupported("options.fs", "the stream makes the calls of @io/core");
  }
  return given;
}

function kindOf(stats: Stats, fd: number): "file" | "pipe" | "terminal" | "device" {
  if (stats.isSocket()) throw notSupported("a socket as options.fd", "take @io/node/net for it");
  if (stats.isFIFO()) return "pipe";
  if (!stats.isCharacterDevice()) return "file";
  return isatty(fd) ? "terminal" : "device";
}

/** The calls of a descriptor that other code has opened, which the stream closes as Node's does. */
function callsOfNumber(fd: number): StreamCalls {
  let stats: Stats;
  try {
    stats = fstatSync(fd);
  } catch {
    // As in Node the calls of the stream fail.
    return new StreamCalls(NO_DESCRIPTOR, closeDescriptor);
  }
  const kind = kindOf(stats, fd);
  try {
    return new StreamCalls(sharedIO().adopt(fd, kind).descriptor, closeDescriptor);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_IO_DESCRIPTOR_OWNED") throw error;
    const reason = "give the FileHandle that open() has resolved with";
    throw notSupported("the number of a FileHandle as options.fd", reason);
  }
}

function isHandle(fd: unknown): fd is FileHandle {
  return fd !== undefined && fd !== null;
}

function callsOf(handle: FileHandle): StreamCalls {
  const close = (): Promise<void> => {
    handle.endUse();
    return handle.close();
  };
  return new StreamCalls(handle.beginUse(), close);
}

/** A stream that reads an open file. */
export function handleReadStream(
  handle: FileHandle,
  options?: Omit<ReadStreamOptions, "fd"> | object,
): ReadStream {
  const calls = callsOf(handle);
  try {
    const stream = nodeReadStream("", withCalls(givenOptions(options), calls, handle.fd));
    handle.on("close", () => stream.close());
    return stream;
  } catch (error) {
    handle.endUse();
    throw error;
  }
}

/** A stream that writes to an open file. */
export function handleWriteStream(
  handle: FileHandle,
  options?: Omit<WriteStreamOptions, "fd"> | object,
): WriteStream {
  const calls = callsOf(handle);
  try {
    const stream = nodeWriteStream("", withCalls(givenOptions(options), calls, handle.fd));
    handle.on("close", () => stream.close());
    return stream;
  } catch (error) {
    handle.endUse();
    throw error;
  }
}

/**
 * A stream that reads the file at a path, or that of `options.fd`.
 *
 * @param path The file's path; it does not count with `options.fd`.
 * @param options As those of `node:fs`, or an encoding.
 * @returns Node's own `ReadStream`
 * @throws `ERR_IO_NOT_SUPPORTED` of `fs`, and of a socket as `fd`; the codes of a refused option
 */
export function createReadStream(
  path: PathLike,
  options?: BufferEncoding | ReadStreamOptions,
): ReadStream {
  const given = givenOptions(options);
  if (typeof given.fd === "number") {
    return nodeReadStream(path, withCalls(given, callsOfNumber(given.fd), given.fd));
  }
  if (isHandle(given.fd)) return handleReadStream(given.fd, given);
  return nodeReadStream(path, withCalls(given, new StreamCalls(-1, closeDescriptor)));
}

/**
 * A stream that writes to the file at a path, or to that of `options.fd`.
 *
 * @param path The file's path; it does not count with `options.fd`.
 * @param options As those of `node:fs`, or an encoding.
 * @returns Node's own `WriteStream`
 * @throws `ERR_IO_NOT_SUPPORTED` of `fs`, and of a socket as `fd`; the codes of a refused option
 */
export function createWriteStream(
  path: PathLike,
  options?: BufferEncoding | WriteStreamOptions,
): WriteStream {
  const given = givenOptions(options);
  if (typeof given.fd === "number") {
    return nodeWriteStream(path, withCalls(given, callsOfNumber(given.fd), given.fd));
  }
  if (isHandle(given.fd)) return handleWriteStream(given.fd, given);
  return nodeWriteStream(path, withCalls(given, new StreamCalls(-1, closeDescriptor)));
}
