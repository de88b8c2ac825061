// Carries out one operation of a file program: with a verb of the ring, or with a promise.

import { join } from "node:path";
import {
  type Callback,
  Completion,
  type Descriptor,
  type File,
  type IO,
  IOError,
  OpenFlags,
  type PreparedOperation,
  type Ring,
  type Stat,
  StatRecord,
} from "@io/core";
import { type Outcome, writtenBytes } from "./expected.js";
import type { Path } from "./model.js";
import { type FileOperation, OWN_FILE, type SocketVerb } from "./steps.js";

const STALE: Descriptor = 0x7ff00001;

/** A file that a step names, as far as it was opened. */
export interface Target {
  readonly descriptor: Descriptor;
  readonly handle: File | null;
}

/** One of a chain with promises, and what is made of its result. */
export interface Member {
  readonly prepared: PreparedOperation;
  outcome(result: number): Outcome;
}

/** An operation on its way: its memory, and what is made of its result. */
export interface Prepared {
  start(ring: Ring, completion: Completion, callback: Callback): void;
  outcome(result: number): Outcome;
}

function statOutcome(stat: Stat): readonly number[] {
  return stat.isDirectory() ? [stat.mode] : [stat.mode, stat.size, stat.nlink];
}

/** Pieces of one write, or of one read, that lie behind each other in `whole`. */
function pieces(whole: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  let start = 0;
  return sizes.map((size) => {
    start += size;
    return whole.subarray(start - size, start);
  });
}

function bytesOf(memory: Uint8Array, result: number): Outcome {
  return result < 0 ? { result } : { result, bytes: memory.slice(0, result) };
}

export class FileLayers {
  readonly #io: IO;
  readonly #folder: string;

  constructor(io: IO, folder: string) {
    this.#io = io;
    this.#folder = folder;
  }

  at(path: Path): string {
    return join(this.#folder, ...path);
  }

  // ---- the ring

  prepare(operation: FileOperation, target: Target | undefined, writeSeed: number): Prepared {
    const isOwn = "file" in operation && operation.file === OWN_FILE;
    const descriptor = isOwn ? this.#io.ring.chainDescriptor : (target?.descriptor ?? STALE);
    switch (operation.do) {
      case "read":
        return this.#preparedRead(descriptor, operation.sizes, operation.offset);
      case "write": {
        const whole = writtenBytes(
          writeSeed,
          operation.sizes.reduce((a, b) => a + b, 0),
        );
        const buffers = pieces(whole, operation.sizes);
        const { offset } = operation;
        return simple((ring, c, callback) => {
          if (buffers.length === 1) ring.write(c, callback, descriptor, whole, offset);
          else ring.writeVectored(c, callback, descriptor, buffers, offset);
        });
      }
      case "stat":
        return this.#preparedStat(descriptor);
      case "statPath":
        return this.#preparedStat(this.at(operation.path));
      case "readlink":
        return this.#preparedReadlink(this.at(operation.path));
      case "asSocket":
        return simple((ring, c, callback) =>
          startAsSocket(ring, operation.verb, descriptor, c, callback),
        );
      default:
        return simple((ring, c, callback) =>
          this.#startSimple(operation, descriptor, ring, c, callback),
        );
    }
  }

  #preparedRead(descriptor: Descriptor, sizes: readonly number[], offset: number): Prepared {
    const memory = new Uint8Array(sizes.reduce((a, b) => a + b, 0));
    const buffers = pieces(memory, sizes);
    return {
      start: (ring, c, callback) => {
        if (buffers.length === 1) ring.read(c, callback, descriptor, memory, offset);
        else ring.readVectored(c, callback, descriptor, buffers, offset);
      },
      outcome: (result) => bytesOf(memory, result),
    };
  }

  #preparedReadlink(path: string): Prepared {
    const memory = new Uint8Array(4096);
    return {
      start: (ring, c, callback) => ring.readlink(c, callback, path, memory),
      outcome: (result) => bytesOf(memory, result),
    };
  }

  #preparedStat(target: Descriptor | string): Prepared {
    const record = new StatRecord();
    return {
      start: (ring, c, callback) => ring.stat(c, callback, target, record),
      outcome: (result) => (result < 0 ? { result } : { result, stat: statOutcome(record.stat) }),
    };
  }

  #startSimple(
    operation: Exclude<FileOperation, { sizes: number[] }>,
    descriptor: Descriptor,
    ring: Ring,
    c: Completion,
    callback: Callback,
  ): void {
    switch (operation.do) {
      case "open":
        ring.open(c, callback, this.at(operation.path), operation.flags, operation.mode);
        break;
      case "sync":
        ring.sync(c, callback, descriptor, operation.level);
        break;
      case "closeFile":
        ring.close(c, callback, descriptor);
        break;
      case "allocate": {
        const { offset, sizeBytes, mode } = operation;
        ring.allocate(c, callback, descriptor, offset, sizeBytes, mode);
        break;
      }
      case "truncate":
        ring.truncate(c, callback, descriptor, operation.sizeBytes);
        break;
      case "rename":
        ring.rename(c, callback, this.at(operation.from), this.at(operation.to));
        break;
      case "link":
        ring.link(c, callback, this.at(operation.from), this.at(operation.to));
        break;
      case "symlink":
        ring.symlink(c, callback, operation.target.join("/"), this.at(operation.path));
        break;
      case "unlink":
        ring.unlink(c, callback, this.at(operation.path), operation.directory);
        break;
      case "mkdir":
        ring.mkdir(c, callback, this.at(operation.path), operation.mode);
        break;
      default:
        throw new Error(`${operation.do} is prepared elsewhere`);
    }
  }

  // ---- promises

  /** Null where the operation has no form with a promise. */
  promise(
    operation: FileOperation,
    handle: File | null,
    writeSeed: number,
  ): Promise<Outcome> | null {
    switch (operation.do) {
      case "statPath":
        return this.#io.stat(this.at(operation.path)).then(statOf, failed);
      case "rename":
        return settled(this.#io.rename(this.at(operation.from), this.at(operation.to)));
      case "link":
        return settled(this.#io.link(this.at(operation.from), this.at(operation.to)));
      case "symlink":
        return settled(this.#io.symlink(operation.target.join("/"), this.at(operation.path)));
      case "readlink":
        return this.#io
          .readlink(this.at(operation.path), { encoding: "buffer" })
          .then((target) => bytesOf(new Uint8Array(target), target.length), failed);
      case "unlink":
        return settled(
          this.#io.unlink(this.at(operation.path), { directory: operation.directory }),
        );
      case "mkdir":
        return settled(this.#io.mkdir(this.at(operation.path), { mode: operation.mode }));
      case "open":
      case "asSocket":
        return null;
      default:
        return handle === null ? null : onFile(handle, operation, writeSeed);
    }
  }

  /** The same operation for `io.chain`; null where it has no such form. */
  member(operation: FileOperation, target: Target | undefined, writeSeed: number): Member | null {
    if (operation.do === "asSocket" && operation.verb === "acceptMultishot") return null;
    const handle = target?.handle ?? null;
    const own = handle === null ? null : memberOf(handle, operation, writeSeed);
    if (own !== null) return own;
    const { start, outcome } = this.prepare(operation, target, writeSeed);
    const made: PreparedOperation[] = [];
    start(recorder(this.#io, made), new Completion(), () => undefined);
    return { prepared: made[0] as PreparedOperation, outcome };
  }

  open(path: Path, flags: number, mode: number): Promise<File> {
    const has = (flag: number): boolean => (flags & flag) !== 0;
    return this.#io.openFile(this.at(path), {
      read: has(OpenFlags.read),
      write: has(OpenFlags.write),
      append: has(OpenFlags.append),
      create: has(OpenFlags.create),
      exclusive: has(OpenFlags.exclusive),
      truncate: has(OpenFlags.truncate),
      directory: has(OpenFlags.directory),
      followLinks: !has(OpenFlags.noFollow),
      mode,
    });
  }
}

/** A ring whose verbs start nothing: they are those of `io.prepare`. */
function recorder(io: IO, made: PreparedOperation[]): Ring {
  return new Proxy(io.ring, {
    get: (_target, verb) => {
      return (_completion: unknown, _callback: unknown, ...given: unknown[]) => {
        const prepare = Reflect.get(io.prepare, verb) as (...all: unknown[]) => PreparedOperation;
        made.push(prepare(...given));
      };
    },
  });
}

/** What the file's own methods prepare, or null. */
function memberOf(handle: File, operation: FileOperation, writeSeed: number): Member | null {
  const plain = (result: number): Outcome => ({ result });
  if (operation.do === "sync")
    return { prepared: handle.prepareSync(operation.level), outcome: plain };
  if (operation.do === "closeFile") return { prepared: handle.prepareClose(), outcome: plain };
  if (operation.do !== "read" && operation.do !== "write") return null;
  if (operation.sizes.length > 1) return null;
  const size = operation.sizes[0] ?? 0;
  const position = operation.offset === -1 ? undefined : operation.offset;
  if (operation.do === "write") {
    return {
      prepared: handle.prepareWrite(writtenBytes(writeSeed, size), position),
      outcome: plain,
    };
  }
  const memory = new Uint8Array(size);
  const outcome = (result: number): Outcome => bytesOf(memory, result);
  return { prepared: handle.prepareRead(memory, position), outcome };
}

function simple(start: Prepared["start"]): Prepared {
  return { start, outcome: (result) => ({ result }) };
}

function startAsSocket(
  ring: Ring,
  verb: SocketVerb,
  descriptor: Descriptor,
  c: Completion,
  callback: Callback,
): void {
  const address = { family: "ipv4", host: "127.0.0.1", port: 9 } as const;
  const memory = new Uint8Array(8);
  if (verb === "receive") ring.receive(c, callback, descriptor, memory);
  else if (verb === "send") ring.send(c, callback, descriptor, memory);
  else if (verb === "sendVectored") ring.sendVectored(c, callback, descriptor, [memory]);
  else if (verb === "shutdown") ring.shutdown(c, callback, descriptor, "both");
  else if (verb === "accept") ring.accept(c, callback, descriptor);
  else if (verb === "acceptMultishot") ring.acceptMultishot(c, callback, descriptor);
  else if (verb === "connect") ring.connect(c, callback, descriptor, address);
  else if (verb === "bind") ring.bind(c, callback, descriptor, address);
  else ring.listen(c, callback, descriptor, 8);
}

/** The result that an error stands for: the system's number, or the library's own code. */
export function failed(error: unknown): Outcome {
  if (!(error instanceof IOError)) throw error;
  return { result: error.errno ?? error.code };
}

export function settled(promise: Promise<unknown>): Promise<Outcome> {
  return promise.then((value) => ({ result: typeof value === "number" ? value : 0 }), failed);
}

function statOf(stat: Stat): Outcome {
  return { result: 0, stat: statOutcome(stat) };
}

function onFile(
  handle: File,
  operation: Extract<FileOperation, { file: number }>,
  writeSeed: number,
): Promise<Outcome> | null {
  switch (operation.do) {
    case "read": {
      const { sizes, offset } = operation;
      const memory = new Uint8Array(sizes.reduce((a, b) => a + b, 0));
      const position = offset === -1 ? undefined : offset;
      const reading =
        sizes.length === 1
          ? handle.read(memory, position)
          : handle.readVectored(pieces(memory, sizes), position);
      return reading.then((result) => bytesOf(memory, result), failed);
    }
    case "write": {
      const { sizes, offset } = operation;
      const whole = writtenBytes(
        writeSeed,
        sizes.reduce((a, b) => a + b, 0),
      );
      const position = offset === -1 ? undefined : offset;
      return settled(
        sizes.length === 1
          ? handle.write(whole, position)
          : handle.writeVectored(pieces(whole, sizes), position),
      );
    }
    case "sync":
      return settled(handle.sync(operation.level));
    case "allocate": {
      const { offset, sizeBytes, mode } = operation;
      return settled(handle.allocate(offset, sizeBytes, { mode }));
    }
    case "truncate":
      return settled(handle.truncate(operation.sizeBytes));
    case "stat":
      return handle.stat().then(statOf, failed);
    default:
      return null;
  }
}
