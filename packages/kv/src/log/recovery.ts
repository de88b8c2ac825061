/**
 * Reads the log back when the server starts.
 *
 * Records are applied in order up to the first bad one. The rest is what a crash in the middle of a
 * write leaves behind, or damage; either way it is copied into a file beside the log before the log
 * is cut, so that a person can look at it later. Only zeros behind the last
 * record are no loss: they were written ahead (see storage.ts).
 *
 * A file that does not begin as a log is left alone and is an error: to cut it at its beginning
 * would be to throw all of it away. So is an error of the disk while reading, which says nothing
 * about the bytes. A file shorter than the header cannot hold a record; it counts as a torn end.
 */

import { join } from "node:path";
import type { File, IO } from "@io/core";
import { codeOf, describeFailure, KvError, messageOf } from "../errors.js";
import { exists, syncFolder } from "../folders.js";
import type { Keyspace } from "../keyspace.js";
import type { MemoryLimit } from "../memory_limit.js";
import { HEADER_BYTES, headerFault, makeHeader } from "./format.js";
import { replay } from "./replay.js";
import { type Fault, RecordScanner } from "./scanner.js";

export interface RecoveryReport {
  /** How many records, and how many bytes of the log with its header, were kept. */
  readonly records: number;
  readonly keptBytes: number;
  /** How many bytes behind them were dropped, why, and where they have been saved. */
  readonly droppedBytes: number;
  readonly fault: Fault | "header" | undefined;
  readonly savedAs: string | undefined;
  readonly durationMs: number;
}

export interface RecoveryProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly records: number;
}

export interface RecoveryOptions {
  readonly onProgress?: ((progress: RecoveryProgress) => void) | undefined;
  /** How often progress is reported. Default 1000. */
  readonly progressIntervalMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Ends a recovery that would not fit into memory. */
  readonly memoryLimit?: MemoryLimit | undefined;
}

export interface RecoveredLog {
  readonly file: File;
  readonly end: number;
  readonly fileBytes: number;
  readonly report: RecoveryReport;
}

const PIECE_BYTES = 1024 * 1024;
const PIECES_IN_FLIGHT = 4;
const PROGRESS_INTERVAL_MS = 1000;

const FAULTS: Record<Fault | "header", string> = {
  checksum: "the checksum of the next record is wrong",
  length: "the length of the next record cannot be right",
  truncated: "the next record is cut off",
  operations: "the next record holds operations that make no sense",
  header: "the file is shorter than the header of a log",
};

/** Opens the log, or makes one, and puts what it holds into the keyspace. */
export async function recover(
  io: IO,
  folder: string,
  keyspace: Keyspace,
  options: RecoveryOptions = {},
): Promise<RecoveredLog> {
  const startedMs = Date.now();
  const path = join(folder, "log");
  if (!(await exists(io, path))) await createLog(io, folder);
  let file = await io.openFile(path, { read: true, write: true });
  try {
    let { size: sizeBytes } = await file.stat();
    const scan = await scanLog(io, file, path, sizeBytes, keyspace, options);
    let savedAs: string | undefined;
    let { fault } = scan;
    if (fault !== undefined && (await onlyZeros(io, file, scan.end, sizeBytes))) fault = undefined;
    if (fault !== undefined) {
      savedAs = await saveTail(io, folder, file, scan.end, sizeBytes);
      if (scan.end === 0) {
        await file.close();
        await createLog(io, folder);
        file = await io.openFile(path, { read: true, write: true });
      } else {
        await file.truncate(scan.end);
        await file.sync("full");
      }
    }
    const droppedBytes = fault === undefined ? 0 : sizeBytes - scan.end;
    const end = Math.max(scan.end, HEADER_BYTES);
    if (fault !== undefined) sizeBytes = end;
    const durationMs = Date.now() - startedMs;
    const { records, end: keptBytes } = scan;
    const report = { records, keptBytes, droppedBytes, fault, savedAs, durationMs };
    return { file, end, fileBytes: sizeBytes, report };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What recovery did, as lines for a person. */
export function describeRecovery(report: RecoveryReport): string[] {
  const { records, keptBytes, droppedBytes, fault, savedAs, durationMs } = report;
  const kept = `recovered ${records} records (${keptBytes} bytes of log) in ${durationMs} ms`;
  if (fault === undefined) return [kept];
  return [
    `${kept}, up to the first bad one`,
    `dropped ${droppedBytes} bytes behind them: ${FAULTS[fault]}; they are saved in ${savedAs}`,
  ];
}

/** Makes a log that holds its header only. It appears under its name when it is complete. */
export async function createLog(io: IO, folder: string): Promise<void> {
  const temporary = join(folder, "log.new");
  const file = await io.openFile(temporary, { write: true, create: true, truncate: true });
  try {
    await file.writeAll(makeHeader(Date.now()), 0);
    await file.sync("full");
  } finally {
    await file.close();
  }
  await io.rename(temporary, join(folder, "log"));
  await syncFolder(io, folder);
}

interface Scan {
  readonly records: number;
  readonly end: number;
  readonly fault: Fault | "header" | undefined;
}

async function scanLog(
  io: IO,
  file: File,
  path: string,
  sizeBytes: number,
  keyspace: Keyspace,
  options: RecoveryOptions,
): Promise<Scan> {
  if (sizeBytes < HEADER_BYTES) return { records: 0, end: 0, fault: "header" };
  const header = Buffer.alloc(HEADER_BYTES);
  await file.readFull(header, 0);
  const wrong = headerFault(header);
  if (wrong !== undefined) {
    throw new KvError(
      "ERR_KV_LOG_HEADER",
      `${path} cannot be read as a log: ${wrong}. It was left as it is. ` +
        "Put back a good copy, or move it away to start with an empty one.",
    );
  }
  const scanner = new RecordScanner(HEADER_BYTES, sizeBytes, (bytes, start, end) =>
    replay(keyspace, bytes, start, end),
  );
  const intervalMs = options.progressIntervalMs ?? PROGRESS_INTERVAL_MS;
  let reportedMs = Date.now();
  await readPieces(io, file, HEADER_BYTES, sizeBytes, (piece, position) => {
    options.signal?.throwIfAborted();
    const goOn = pushPiece(scanner, piece, path);
    const tooLarge = options.memoryLimit?.recoveryRefusal(keyspace);
    if (tooLarge !== undefined) throw memoryError(path, tooLarge);
    const nowMs = Date.now();
    if (nowMs - reportedMs >= intervalMs) {
      reportedMs = nowMs;
      const doneBytes = position + piece.length;
      options.onProgress?.({ doneBytes, totalBytes: sizeBytes, records: scanner.records });
    }
    return goOn;
  });
  scanner.finish();
  return { records: scanner.records, end: scanner.goodEnd, fault: scanner.fault };
}

function pushPiece(scanner: RecordScanner, piece: Buffer, path: string): boolean {
  try {
    return scanner.push(piece);
  } catch (error) {
    // V8 throws it at key 2^24 + 1, and for memory that it cannot have.
    if (error instanceof RangeError) throw memoryError(path, messageOf(error));
    throw error;
  }
}

function memoryError(path: string, why: string): KvError {
  return new KvError("ERR_KV_MEMORY", `${path} cannot be read into memory: ${why}`);
}

/**
 * Reads a range in order, several pieces ahead, each beginning on a page of the file. Stops when
 * the visitor answers false.
 */
export async function readPieces(
  io: IO,
  file: File,
  from: number,
  to: number,
  visit: (piece: Buffer, position: number) => boolean | Promise<boolean>,
): Promise<void> {
  const reads: { memory: Uint8Array & Disposable; position: number; done: Promise<number> }[] = [];
  let next = from - (from % PIECE_BYTES);
  const startRead = () => {
    const memory = io.buffers.acquire(PIECE_BYTES);
    const done = file.readFull(memory, next);
    done.catch(() => undefined); // Awaited below, unless an earlier piece ends the reading.
    reads.push({ memory, position: next, done });
    next += PIECE_BYTES;
  };
  try {
    while (next < to && reads.length < PIECES_IN_FLIGHT) startRead();
    for (let read = reads[0]; read !== undefined; read = reads[0]) {
      const count = await read.done;
      const first = Math.max(0, from - read.position);
      const last = Math.min(count, to - read.position);
      const piece = Buffer.from(read.memory.buffer, read.memory.byteOffset, read.memory.length);
      const goOn = await visit(piece.subarray(first, last), read.position + first);
      if (!goOn || count < PIECE_BYTES) break;
      reads.shift();
      io.buffers.release(read.memory);
      if (next < to) startRead();
    }
  } catch (error) {
    throw readFailure(error, file.path);
  } finally {
    await Promise.allSettled(reads.map((read) => read.done));
    for (const read of reads) io.buffers.release(read.memory);
  }
}

function readFailure(error: unknown, path: string): unknown {
  const code = codeOf(error);
  if (!code.startsWith("E") || code.startsWith("ERR_")) return error;
  return new KvError("ERR_KV_LOG_READ", `${path} cannot be read: ${describeFailure(error)}`, {
    cause: error,
  });
}

async function onlyZeros(io: IO, file: File, from: number, to: number): Promise<boolean> {
  if (from < HEADER_BYTES) return false;
  let zeros = true;
  const blank = Buffer.alloc(PIECE_BYTES);
  await readPieces(io, file, from, to, (piece) => {
    zeros = piece.equals(blank.subarray(0, piece.length));
    return zeros;
  });
  return zeros;
}

/** Copies what will be cut into the first free `log.damaged-<n>` and makes that durable. */
async function saveTail(
  io: IO,
  folder: string,
  file: File,
  from: number,
  to: number,
): Promise<string> {
  const { path, saved } = await createNumbered(io, join(folder, "log.damaged-"));
  try {
    let at = 0;
    await readPieces(io, file, from, to, async (piece) => {
      await saved.writeAll(piece, at);
      at += piece.length;
      return true;
    });
    await saved.sync("full");
  } finally {
    await saved.close();
  }
  await syncFolder(io, folder);
  return path;
}

async function createNumbered(io: IO, prefix: string): Promise<{ path: string; saved: File }> {
  for (let number = 1; ; number++) {
    const path = `${prefix}${number}`;
    try {
      const saved = await io.openFile(path, { write: true, create: true, exclusive: true });
      return { path, saved };
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
  }
}
