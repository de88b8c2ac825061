// Whole files: all that a descriptor has, and all that is to be written to one.

import { constants } from "node:fs";
import type { Descriptor } from "@io/core";
import { checkSignal } from "../checks.js";
import { nodeError } from "../errors.js";
import { checkText, type EncodingOptions } from "./arguments.js";
import { readInto, statDescriptor, writeFrom } from "./descriptors.js";
import { abortError } from "./errors.js";
import type { Scratch } from "./scratches.js";

/** A call that may be aborted looks at its signal between pieces of this size. */
const PIECE_BYTES = 512 * 1024;
const MAX_FILE_BYTES = 2 ** 31 - 1;

export function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal.reason);
}

/** How the contents are given: text in an encoding, or bytes of the program's own. */
function contentsOf(bytes: Uint8Array, encoding: string | null | undefined): string | Buffer {
  if (encoding) {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return view.toString(encoding as BufferEncoding);
  }
  const own = Buffer.allocUnsafeSlow(bytes.byteLength);
  own.set(bytes);
  return own;
}

/** Reads from the current position to the end, by way of a scratch. */
export async function readAll(
  descriptor: Descriptor,
  scratch: Scratch,
  { encoding, signal }: EncodingOptions,
): Promise<string | Buffer> {
  checkAborted(signal);
  const length = await fill(descriptor, scratch, 0, signal);
  if (length < scratch.length) return contentsOf(scratch.subarray(0, length), encoding);
  const rest = await readRest(descriptor, scratch, signal);
  return encoding ? rest.toString(encoding as BufferEncoding) : rest;
}

/** Reads until the memory is full, or to the end. */
async function fill(
  descriptor: Descriptor,
  memory: Scratch,
  start: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  let length = start;
  while (length < memory.length) {
    checkAborted(signal);
    const end = signal === undefined ? memory.length : length + PIECE_BYTES;
    const count = await readInto(descriptor, memory.subarray(length, end), -1);
    if (count === 0) break;
    length += count;
  }
  return length;
}

/** Of a file that is longer than what was read of it: the system says how long it is. */
async function readRest(
  descriptor: Descriptor,
  begun: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const { size, mode } = await statDescriptor(descriptor);
  const isFile = (mode & constants.S_IFMT) === constants.S_IFREG;
  // Those of /proc have a size of 0.
  if (!isFile || size === 0) return readToEnd(descriptor, begun, signal);
  if (size > MAX_FILE_BYTES) throw tooLarge(size);
  // As in Node, what is added in the meantime is not read, so no read asks for the end.
  const memory = Buffer.allocUnsafeSlow(Math.max(size, begun.length));
  memory.set(begun);
  const length = await fill(descriptor, memory, begun.length, signal);
  return memory.subarray(0, length);
}

/** Of what has no size. */
async function readToEnd(
  descriptor: Descriptor,
  begun: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  let memory = Buffer.allocUnsafeSlow(2 * begun.length);
  memory.set(begun);
  let length = await fill(descriptor, memory, begun.length, signal);
  while (length === memory.length) {
    if (length > MAX_FILE_BYTES) throw tooLarge(length);
    const more = Buffer.allocUnsafeSlow(2 * length);
    more.set(memory);
    memory = more;
    length = await fill(descriptor, memory, length, signal);
  }
  return memory.subarray(0, length);
}

function tooLarge(size: number): NodeJS.ErrnoException {
  const message = `File size (${size}) is greater than 2 GiB`;
  return nodeError(RangeError, "ERR_FS_FILE_TOO_LARGE", message);
}

/** What a file may be written from. */
export type Contents =
  | string
  | ArrayBufferView
  | Iterable<string | ArrayBufferView>
  | AsyncIterable<string | ArrayBufferView>
  | NodeJS.ReadableStream;

function isIterable(data: unknown): data is Iterable<unknown> | AsyncIterable<unknown> {
  if (typeof data !== "object" || data === null || ArrayBuffer.isView(data)) return false;
  return Symbol.asyncIterator in data || Symbol.iterator in data;
}

/** The bytes to write, or what gives them; checked. */
export function contentsFrom(
  data: unknown,
  { encoding, signal }: EncodingOptions,
): ArrayBufferView | AsyncIterable<unknown> | Iterable<unknown> {
  checkSignal(signal, "options.signal");
  if (ArrayBuffer.isView(data) || isIterable(data)) return data;
  checkText(data, "data");
  return Buffer.from(data, (encoding || "utf8") as BufferEncoding);
}

/** Writes all of it from the current position on. */
export async function writeAll(
  descriptor: Descriptor,
  contents: ArrayBufferView | AsyncIterable<unknown> | Iterable<unknown>,
  { encoding, signal }: EncodingOptions,
): Promise<void> {
  checkAborted(signal);
  if (ArrayBuffer.isView(contents)) return writeWhole(descriptor, contents, signal);
  for await (const one of contents) {
    checkAborted(signal);
    const bytes = ArrayBuffer.isView(one)
      ? one
      : Buffer.from(one as string, (encoding || "utf8") as BufferEncoding);
    await writeWhole(descriptor, bytes, signal);
    checkAborted(signal);
  }
}

async function writeWhole(
  descriptor: Descriptor,
  { buffer, byteOffset, byteLength }: ArrayBufferView,
  signal: AbortSignal | undefined,
): Promise<void> {
  let done = 0;
  while (done < byteLength) {
    checkAborted(signal);
    const left = byteLength - done;
    const piece = signal === undefined ? left : Math.min(left, PIECE_BYTES);
    done += await writeFrom(descriptor, new Uint8Array(buffer, byteOffset + done, piece), -1);
  }
}
