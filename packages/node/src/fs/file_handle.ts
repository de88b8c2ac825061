// An open file, with the methods of Node's `FileHandle`.

import { EventEmitter } from "node:events";
import type { BigIntStats, ReadStream, Stats, WriteStream } from "node:fs";
import { constants } from "node:os";
import { createInterface, type Interface } from "node:readline/promises";
import type { ReadableStream, WritableStream } from "node:stream/web";
import type { Descriptor } from "@io/core";
import { checkBoolean, checkInteger, checkObject, checkString } from "../checks.js";
import { argumentValueError } from "../errors.js";
import {
  checkOwner,
  checkReadRange,
  checkText,
  checkTextEncoding,
  checkView,
  checkViews,
  checkWriteRange,
  modeFrom,
  optionsFrom,
  positionFrom,
  secondsFrom,
} from "./arguments.js";
import { type Contents, contentsFrom, readAll, writeAll } from "./contents.js";
import {
  bigStatDescriptor,
  closeDescriptor,
  numberOf,
  readInto,
  readVectors,
  statDescriptor,
  syncDescriptor,
  truncateDescriptor,
  writeFrom,
  writeVectors,
} from "./descriptors.js";
import { closedHandleError, fileError } from "./errors.js";
import { changeModeOf, changeOwnerOf, changeTimesOf } from "./metadata.js";
import { giveScratch, takeScratch } from "./scratches.js";
import {
  handleReadStream,
  handleWriteStream,
  type ReadStreamOptions,
  type WriteStreamOptions,
} from "./streams.js";
import { type FileUse, invalidState, readableOf, writableOf } from "./web_streams.js";

const READ_BYTES = 16 * 1024;

/** What a read may be given in the place of its arguments. */
export interface ReadOptions<T extends NodeJS.ArrayBufferView = Buffer> {
  /** The memory to read into; 16 KiB of its own by default. */
  buffer?: T | undefined;
  /** Where in the buffer the bytes go; 0 by default. */
  offset?: number | null | undefined;
  /** How many bytes at most; all that the buffer has room for by default. */
  length?: number | null | undefined;
  /** Where in the file; its current position by default. */
  position?: number | bigint | null | undefined;
}

/** What a write may be given in the place of its arguments. */
export interface WriteOptions {
  /** Where in the buffer the bytes begin; 0 by default. */
  offset?: number | null | undefined;
  /** How many bytes; all that follow by default. */
  length?: number | null | undefined;
  /** Where in the file; its current position by default. */
  position?: number | null | undefined;
}

/** What a read resolves with. */
export interface BytesRead<T> {
  /** How many bytes were read; 0 at the end of the file. */
  bytesRead: number;
  /** The memory that was given. */
  buffer: T;
}

/** What a read resolves with. */
export interface VectorsRead<T> {
  /** How many bytes were read; 0 at the end of the file. */
  bytesRead: number;
  /** The buffers that were given. */
  buffers: T;
}

/** What a write resolves with. */
export interface BytesWritten<T> {
  /** How many bytes were written. */
  bytesWritten: number;
  /** The bytes or text that were given. */
  buffer: T;
}

/** What a write resolves with. */
export interface VectorsWritten<T> {
  /** How many bytes were written. */
  bytesWritten: number;
  /** The buffers that were given. */
  buffers: T;
}

/** Options of `readFile` and `writeFile`, or an encoding alone. */
export type FileOptions =
  | BufferEncoding
  | {
      /** Of text; "utf8" by default where text is written, and bytes where they are read. */
      encoding?: BufferEncoding | null | undefined;
      /** Permissions of a file that is made; 0o666 by default. */
      mode?: number | string | undefined;
      /** How it is opened; "r" or "w" by default. */
      flag?: string | number | undefined;
      /** Makes what was written durable; `false` by default. */
      flush?: boolean | undefined;
      /** Ends it with an `AbortError`. */
      signal?: AbortSignal | undefined;
    }
  | null;

let hasWarned = false;

// A handle that was forgotten is closed, with the warnings of Node.
const forgotten = new FinalizationRegistry<Descriptor>((descriptor) => {
  const number = numberOf(descriptor);
  process.emitWarning(`Closing file descriptor ${number} on garbage collection`);
  if (!hasWarned) {
    hasWarned = true;
    const message =
      "Closing a FileHandle object on garbage collection is deprecated. Please close FileHandle " +
      "objects explicitly using FileHandle.prototype.close(). In the future, an error will be " +
      "thrown if a file descriptor is closed during garbage collection.";
    process.emitWarning(message, "DeprecationWarning", "DEP0137");
  }
  void closeDescriptor(descriptor);
});

function at(view: ArrayBufferView, offset: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset + offset, length);
}

/**
 * An open file: what `open()` gives.
 *
 * @example
 * ```ts
 * import { open } from "@io/node/fs/promises";
 *
 * await using file = await open("/etc/hostname");
 * process.stdout.write(await file.readFile("utf8"));
 * ```
 */
export class FileHandle extends EventEmitter implements AsyncDisposable {
  #descriptor: Descriptor;
  #open = true;
  // One for the handle itself, and one for each call and stream that uses the file.
  #uses = 1;
  #closing: Promise<void> | undefined = undefined;
  #closed: (result: Promise<void>) => void = () => {};
  #locked = false;
  #isWritten = false;

  /** @internal */
  constructor(descriptor: Descriptor) {
    super();
    this.#descriptor = descriptor;
    forgotten.register(this, descriptor, this);
  }

  /** The system's number of the open file; -1 once it is closed. */
  get fd(): number {
    return this.#open ? numberOf(this.#descriptor) : -1;
  }

  /**
   * Runs a call that uses the file, which stays open until it has ended.
   * @internal
   */
  async use<T>(syscall: string, run: (descriptor: Descriptor) => Promise<T>): Promise<T> {
    if (!this.#open) throw closedHandleError(syscall);
    this.#uses++;
    try {
      return await run(this.#descriptor);
    } finally {
      this.endUse();
    }
  }

  /** Of a stream: it uses the file until `endUse()`. @internal */
  beginUse(): Descriptor {
    this.#uses++;
    return this.#descriptor;
  }

  /** @internal */
  endUse(): void {
    this.#uses--;
    if (this.#uses === 0 && this.#open) this.#closed(this.#closeNow());
  }

  #closeNow(): Promise<void> {
    this.#open = false;
    forgotten.unregister(this);
    return closeDescriptor(this.#descriptor);
  }

  /** Closes the file when the calls that use it have ended. A function that may stand alone. */
  close = (): Promise<void> => {
    if (this.#closing !== undefined) return this.#closing;
    if (!this.#open) return Promise.resolve();
    this.#uses--;
    const closed =
      this.#uses === 0
        ? this.#closeNow()
        : new Promise<void>((resolve) => {
            this.#closed = resolve;
          });
    this.#closing = closed.finally(() => {
      this.#closing = undefined;
    });
    this.emit("close");
    return this.#closing;
  };

  /** Closes the file: what `await using` calls. */
  async [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Adds to the file, as `writeFile` does: from the current position on.
   *
   * @param data Text, bytes, or an iterable of either.
   * @param options An encoding, or `encoding` and `signal`.
   * @throws the codes of write(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  appendFile(data: Contents, options?: FileOptions): Promise<void> {
    return this.writeFile(data, options);
  }

  /**
   * Sets the permissions of the file.
   *
   * @param mode Permissions: a number, or octal digits.
   * @throws the codes of fchmod(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  chmod(mode: number | string): Promise<void> {
    return this.use("fchmod", async (descriptor) => {
      await changeModeOf(descriptor, modeFrom(mode, "mode"));
    });
  }

  /**
   * Sets the owner and the group of the file.
   *
   * @param uid The number of the owner; -1 leaves it.
   * @param gid The number of the group; -1 leaves it.
   * @throws the codes of fchown(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  chown(uid: number, gid: number): Promise<void> {
    return this.use("fchown", async (descriptor) => {
      checkOwner(uid, gid);
      await changeOwnerOf(descriptor, uid, gid);
    });
  }

  /**
   * Sets the times of the last read and the last change.
   *
   * @param atime Of the last read: seconds since 1970, or a date.
   * @param mtime Of the last change, in the same form.
   * @throws the codes of futimens(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  utimes(atime: string | number | Date, mtime: string | number | Date): Promise<void> {
    return this.use("futimes", async (descriptor) => {
      const accessedMs = secondsFrom(atime, "atime") * 1000;
      await changeTimesOf(descriptor, accessedMs, secondsFrom(mtime, "mtime") * 1000);
    });
  }

  /**
   * Makes the file's bytes and its size durable.
   *
   * @throws the codes of fdatasync(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  datasync(): Promise<void> {
    return this.use("fdatasync", (descriptor) => syncDescriptor(descriptor, "data"));
  }

  /**
   * Makes all that belongs to the file durable.
   *
   * @throws the codes of fsync(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  sync(): Promise<void> {
    return this.use("fsync", (descriptor) => syncDescriptor(descriptor, "full"));
  }

  /**
   * Cuts the file, or lets it grow with a hole.
   *
   * @param length Its size from then on, in bytes; 0 by default.
   * @throws the codes of ftruncate(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  truncate(length: number | null = 0): Promise<void> {
    return this.use("ftruncate", (descriptor) => {
      checkInteger(length, "len");
      return truncateDescriptor(descriptor, Math.max(0, length));
    });
  }

  /**
   * What is known of the file.
   *
   * @param options `bigint: true` gives numbers that are bigints.
   * @returns the size, the times, the owner, and what kind of file it is
   * @throws the codes of fstat(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  stat(options?: { bigint?: false | undefined }): Promise<Stats>;
  /**
   * What is known of the file.
   *
   * @param options `bigint: true` gives numbers that are bigints.
   * @returns the size, the times, the owner, and what kind of file it is
   * @throws the codes of fstat(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  stat(options: { bigint: true }): Promise<BigIntStats>;
  stat(options: { bigint?: boolean | undefined } = {}): Promise<Stats | BigIntStats> {
    return this.use("fstat", async (descriptor): Promise<Stats | BigIntStats> => {
      return options.bigint === true ? bigStatDescriptor(descriptor) : statDescriptor(descriptor);
    });
  }

  /**
   * Reads up to `length` bytes into `buffer`.
   *
   * @param buffer The memory that is read into.
   * @param offset Where in the buffer the bytes go, 0 by default; or what follows, as options.
   * @param length How many bytes at most; all that the buffer has room for by default.
   * @param position Where in the file; its current position by default.
   * @returns how many bytes there were, 0 at the end, and the buffer
   * @throws the codes of read(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  read<T extends NodeJS.ArrayBufferView>(
    buffer: T,
    offset?: number | null | ReadOptions<T>,
    length?: number | null,
    position?: number | bigint | null,
  ): Promise<BytesRead<T>>;
  /**
   * The same with all arguments as options.
   *
   * @param options Where it reads, how much, and into what memory; all have defaults.
   * @returns how many bytes there were, 0 at the end, and the buffer
   * @throws the codes of read(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  read<T extends NodeJS.ArrayBufferView = Buffer>(
    options?: ReadOptions<T> | null,
  ): Promise<BytesRead<T>>;
  read(
    buffer?: unknown,
    offset?: unknown,
    length?: unknown,
    position?: unknown,
  ): Promise<BytesRead<NodeJS.ArrayBufferView>> {
    return this.use("read", async (descriptor) => {
      const request = readRequest(buffer, offset, length, position);
      const view = request.buffer;
      if (request.length === 0) return { __proto__: null, bytesRead: 0, buffer: view };
      if (view.byteLength === 0) {
        throw argumentValueError("buffer", view, "is empty and cannot be written");
      }
      checkReadRange(request.offset, request.length, view.byteLength);
      const into = at(view, request.offset, request.length);
      const bytesRead = await readInto(descriptor, into, positionFrom(request.position));
      return { __proto__: null, bytesRead, buffer: view };
    });
  }

  /**
   * Reads into several buffers in turn.
   *
   * @param buffers Where the bytes go; each is filled before the next.
   * @param position Where in the file; its current position by default.
   * @returns how many bytes there were, and the buffers
   * @throws the codes of readv(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  readv<T extends readonly NodeJS.ArrayBufferView[]>(
    buffers: T,
    position?: number | null,
  ): Promise<VectorsRead<T>> {
    return this.use("readv", async (descriptor) => {
      checkViews(buffers);
      const place = typeof position === "number" ? positionFrom(position) : -1;
      // libuv takes no list that is empty, for a read.
      if (buffers.length === 0) throw fileError(-constants.errno.EINVAL, { syscall: "read" });
      // libuv makes a read(2) of one buffer: a directory refuses also one of no bytes.
      const [first] = buffers;
      const bytesRead =
        buffers.length === 1
          ? await readInto(descriptor, first!, place)
          : await readVectors(descriptor, buffers, place);
      return { __proto__: null, bytesRead, buffers };
    });
  }

  /**
   * Reads from the current position to the end.
   *
   * @param options An encoding, or `encoding` and `signal`.
   * @returns the bytes, or their text when there is an encoding
   * @throws the codes of read(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument; `ABORT_ERR`
   */
  readFile(
    options?: null | { encoding?: null | undefined; signal?: AbortSignal | undefined },
  ): Promise<Buffer>;
  /**
   * Reads from the current position to the end.
   *
   * @param options An encoding, or `encoding` and `signal`.
   * @returns the bytes, or their text when there is an encoding
   * @throws the codes of read(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument; `ABORT_ERR`
   */
  readFile(options: FileOptions): Promise<string | Buffer>;
  readFile(options?: FileOptions): Promise<string | Buffer> {
    return this.use("readFile", async (descriptor) => {
      const given = optionsFrom(options, {});
      const scratch = takeScratch();
      try {
        return await readAll(descriptor, scratch, given);
      } finally {
        giveScratch(scratch);
      }
    });
  }

  /**
   * The lines of the file, an async iterator.
   *
   * @param options As those of {@link createReadStream}.
   * @returns Node's `readline` over a stream of the file
   * @throws as {@link createReadStream}
   */
  readLines(options?: Omit<ReadStreamOptions, "fd">): Interface {
    return createInterface({
      input: this.createReadStream(options),
      crlfDelay: Number.POSITIVE_INFINITY,
    });
  }

  /**
   * Writes bytes, or a part of them.
   *
   * @param buffer The bytes.
   * @param offset Where in the buffer they begin, 0 by default; or what follows, as options.
   * @param length How many bytes; all that follow by default.
   * @param position Where in the file; its current position by default.
   * @returns how many bytes were written, which may be fewer, and the buffer
   * @throws the codes of write(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  write<T extends NodeJS.ArrayBufferView>(
    buffer: T,
    offset?: number | null | WriteOptions,
    length?: number | null,
    position?: number | null,
  ): Promise<BytesWritten<T>>;
  /**
   * Writes text.
   *
   * @param text The text.
   * @param position Where in the file; its current position by default.
   * @param encoding Of the text; "utf8" by default.
   * @returns how many bytes were written, which may be fewer, and the text
   * @throws the codes of write(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  write(
    text: string,
    position?: number | null,
    encoding?: BufferEncoding | null,
  ): Promise<BytesWritten<string>>;
  write(
    buffer: unknown,
    offset?: unknown,
    length?: unknown,
    position?: unknown,
  ): Promise<BytesWritten<unknown>> {
    return this.use("write", async (descriptor) => {
      if (ArrayBuffer.isView(buffer)) {
        if (buffer.byteLength === 0) return { __proto__: null, bytesWritten: 0, buffer };
        const request = writeRequest(buffer, offset, length, position);
        checkWriteRange(request.offset, request.length, buffer.byteLength);
        const from = at(buffer, request.offset, request.length);
        const bytesWritten = await writeFrom(descriptor, from, request.position);
        return { __proto__: null, bytesWritten, buffer };
      }
      checkText(buffer, "buffer");
      checkTextEncoding(buffer, length);
      const bytes = Buffer.from(buffer, length as BufferEncoding);
      const bytesWritten = await writeFrom(descriptor, bytes, positionFrom(offset));
      return { __proto__: null, bytesWritten, buffer };
    });
  }

  /**
   * Writes several buffers in turn.
   *
   * @param buffers The bytes.
   * @param position Where in the file; its current position by default.
   * @returns how many bytes were written, and the buffers
   * @throws the codes of writev(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument
   */
  writev<T extends readonly NodeJS.ArrayBufferView[]>(
    buffers: T,
    position?: number | null,
  ): Promise<VectorsWritten<T>> {
    return this.use("writev", async (descriptor) => {
      checkViews(buffers);
      const place = typeof position === "number" ? positionFrom(position) : -1;
      const bytesWritten =
        buffers.length === 0 ? 0 : await writeVectors(descriptor, buffers, place);
      return { __proto__: null, bytesWritten, buffers };
    });
  }

  /**
   * Writes all of it from the current position on.
   *
   * @param data Text, bytes, or an iterable of either.
   * @param options An encoding, or `encoding` and `signal`.
   * @throws the codes of write(2), with `syscall`; `EBADF` of a file that is closed; those of a
   *   refused argument; `ABORT_ERR`
   */
  writeFile(data: Contents, options?: FileOptions): Promise<void> {
    return this.use("writeFile", (descriptor) => {
      const given = optionsFrom<Exclude<FileOptions, string | null>>(options, {});
      checkBoolean(given.flush ?? false, "options.flush");
      return writeAll(descriptor, contentsFrom(data, given), given);
    });
  }

  /**
   * A stream that reads the file, and closes it at the end.
   *
   * @param options As those of `node:fs`: `start`, `end`, `encoding`, `highWaterMark`, `autoClose`
   *   and others.
   * @returns Node's own `ReadStream`
   * @throws `EBADF` of a file that is closed; the codes of a refused option
   */
  createReadStream(options?: Omit<ReadStreamOptions, "fd">): ReadStream {
    return handleReadStream(this, options);
  }

  /**
   * A stream that writes to the file, and closes it at the end.
   *
   * @param options As those of `node:fs`: `start`, `encoding`, `highWaterMark`, `autoClose` and
   *   others.
   * @returns Node's own `WriteStream`
   * @throws `EBADF` of a file that is closed; the codes of a refused option
   */
  createWriteStream(options?: Omit<WriteStreamOptions, "fd">): WriteStream {
    return handleWriteStream(this, options);
  }

  /**
   * A WHATWG stream of bytes from the current position on. The file stays open at its end.
   *
   * @param options `type`, which counts no more: it is always a stream of bytes.
   * @returns the stream
   * @throws `ERR_INVALID_STATE` of a file that is closed, and the second time
   */
  readableWebStream(options: { type?: string | undefined } = {}): ReadableStream {
    this.#checkUsable();
    if (this.#locked) throw invalidState("The FileHandle is locked");
    this.#locked = true;
    if (options.type !== undefined) checkString(options.type, "options.type");
    return readableOf(this.#useOfStream());
  }

  /**
   * A WHATWG stream that writes from the current position on; Node's `FileHandle` has none. A write
   * resolves when all of its bytes are written. The file stays open at its end.
   *
   * @returns the stream
   * @throws `ERR_INVALID_STATE` of a file that is closed, and the second time
   */
  writableWebStream(): WritableStream {
    this.#checkUsable();
    if (this.#isWritten) throw invalidState("The FileHandle has a WritableStream");
    this.#isWritten = true;
    return writableOf(this.#useOfStream());
  }

  #checkUsable(): void {
    if (!this.#open) throw invalidState("The FileHandle is closed");
    if (this.#closing !== undefined) throw invalidState("The FileHandle is closing");
  }

  #useOfStream(): FileUse {
    return {
      descriptor: this.beginUse(),
      isClosing: () => this.#closing !== undefined,
      end: () => this.endUse(),
      onClose: (closed) => this.once("close", closed),
    };
  }
}

interface ReadRequest {
  readonly buffer: NodeJS.ArrayBufferView;
  readonly offset: number;
  readonly length: number;
  readonly position: unknown;
}

/** The arguments of a read, in whichever form they were given. */
function readRequest(
  given: unknown,
  offset: unknown,
  length: unknown,
  position: unknown,
): ReadRequest {
  if (!ArrayBuffer.isView(given)) {
    if (given !== undefined && given !== null) checkObject(given, "options");
    const { buffer = Buffer.alloc(READ_BYTES), ...rest } = (given ?? {}) as ReadOptions;
    checkView(buffer);
    return readPlace(buffer, rest.offset, rest.length, rest.position);
  }
  const memory = given as NodeJS.ArrayBufferView;
  if (offset !== null && typeof offset === "object") {
    const rest = offset as ReadOptions;
    return readPlace(memory, rest.offset, rest.length, rest.position);
  }
  return readPlace(memory, offset, length, position);
}

function readPlace(
  buffer: NodeJS.ArrayBufferView,
  offset: unknown,
  length: unknown,
  position: unknown,
): ReadRequest {
  const start = offset ?? 0;
  checkInteger(start, "offset", 0);
  return {
    buffer,
    offset: start,
    length: (length ?? buffer.byteLength - start) as number,
    position,
  };
}

function writeRequest(
  buffer: ArrayBufferView,
  offset: unknown,
  length: unknown,
  position: unknown,
): { offset: number; length: number; position: number } {
  // Of null Node thinks that it is options, so that the arguments behind it do not count.
  if (typeof offset === "object") {
    const rest: WriteOptions = offset ?? {};
    return writeRequest(buffer, rest.offset ?? 0, rest.length, rest.position);
  }
  const start = offset ?? 0;
  checkInteger(start, "offset", 0);
  return {
    offset: start,
    length: typeof length === "number" ? length : buffer.byteLength - start,
    position: typeof position === "number" ? positionFrom(position) : -1,
  };
}
