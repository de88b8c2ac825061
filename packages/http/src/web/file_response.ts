// A Response whose body is a file: it is opened when it is sent, and goes by sendFile.

import { type FileHandle, open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { File, IO, Stat } from "@io/core";
import { codeOf } from "../errors.js";
import type { Exchange } from "../exchange.js";
import { HttpError } from "../fields.js";
import { ABSENT } from "../files/open_files.js";
import { askedRanges, sendRanges } from "../files/parts.js";
import { etagOf, statusFor, type Version } from "../files/ranges.js";
import { typeOf } from "../files/types.js";
import { type CheckedPairs, FileBody, LightResponse, type ResponseParts } from "./response.js";

const PLAIN = { "content-type": "text/plain" };
const PIECE_BYTES = 64 * 1024;

/**
 * A `Response` whose body is a file. The server opens it when it sends the response, sends it
 * without passing through the program where the system can, and closes it. To a GET or HEAD it
 * answers conditions and ranges, unless `init` has another status than 200. Its type is that of
 * the name's ending. There is a 404 instead when no such file can be read. What is made when it is
 * read, as the files of /proc and /sys, is read to its end and has neither ranges nor conditions.
 * Of a file that grows meanwhile the size at the beginning is sent, and one that shrinks breaks the
 * connection.
 *
 * The path is the program's: check what a client has a part in, or serve a folder with
 * {@link files}. A clone, and a `Response` that was made of its body, are sent as a file too. What
 * is no server, such as `response.text()`, reads the file as a stream.
 *
 * @category Server
 *
 * @param file a path, a URL of a file, or a file that is open with the IO of the server and stays
 *   open until the answer is complete; that one is the caller's to close
 * @param init the status and headers
 * @returns the response
 * @throws a `TypeError` for a header that cannot be sent, `ERR_HTTP_BODY` when there is no file
 *
 * @example
 * ```ts
 * import { fileResponse, serve } from "@io/http";
 *
 * await using server = await serve({
 *   port: 0,
 *   fetch: () => fileResponse("report.pdf", { headers: { "cache-control": "no-store" } }),
 * });
 * console.log(server.url);
 * ```
 */
export function fileResponse(file: string | URL | File, init?: ResponseInit): Response {
  const source = file instanceof URL ? fileURLToPath(file) : file;
  if (typeof source !== "string" && typeof source?.stat !== "function") {
    const message = `fileResponse: the file is ${String(file)}: give a path, a URL or a File`;
    throw new HttpError("ERR_HTTP_BODY", message);
  }
  const type = typeof source === "string" ? typeOf(source) : null;
  const body = new FileBody(type, source, () => streamOf(source));
  return new LightResponse(body, init) as unknown as Response;
}

// For readers that are no server.
function streamOf(source: string | File): ReadableStream<Uint8Array> {
  let handle: FileHandle | null = null;
  let at = 0;
  const read = async (bytes: Uint8Array): Promise<number> => {
    if (typeof source !== "string") return source.read(bytes, { position: at });
    handle ??= await open(source);
    return (await handle.read(bytes, 0, bytes.length, at)).bytesRead;
  };
  const close = async (): Promise<void> => {
    const opened = handle;
    handle = null;
    await opened?.close();
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const bytes = new Uint8Array(PIECE_BYTES);
        try {
          const count = await read(bytes);
          at += count;
          if (count > 0) {
            controller.enqueue(bytes.subarray(0, count));
            return;
          }
        } catch (error) {
          await close();
          throw error;
        }
        await close();
        controller.close();
      },
      cancel: close,
    },
    { highWaterMark: 0 },
  );
}

/** Answers with the file of the parts. */
export async function sendFileBody(
  exchange: Exchange,
  parts: ResponseParts,
  { source }: FileBody,
): Promise<void> {
  if (typeof source !== "string") return sendOpen(exchange, parts, source, await source.stat());
  const file = await openRegular(exchange.io, source);
  if (file === null) return exchange.respond(404, PLAIN, "Not Found\n");
  try {
    const stats = await file.stat();
    // Something else may have taken its place before it was opened.
    if (stats.isFile()) await sendOpen(exchange, parts, file, stats);
    else exchange.respond(404, PLAIN, "Not Found\n");
  } finally {
    await file.close();
  }
}

// What is no file, such as a FIFO, might never open.
async function openRegular(io: IO, path: string): Promise<File | null> {
  if (path.includes("\0")) return null; // no file has such a name, and a client may ask for it
  try {
    return (await io.stat(path)).isFile() ? await io.openFile(path) : null;
  } catch (error) {
    if (ABSENT.has(codeOf(error))) return null;
    throw error;
  }
}

// The bytes from there on, fewer than asked for at the end of the file.
async function bytesAt(file: File, position: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(PIECE_BYTES);
  return bytes.subarray(0, await file.readFull(bytes, { position }));
}

// What is made when it is read, as the files of /proc and /sys are, has no blocks, and a size that
// means nothing: its first bytes, when the size is not theirs.
async function unsizedStart(file: File, { size, blocks }: Stat): Promise<Uint8Array | null> {
  if (blocks > 0 || size > PIECE_BYTES) return null;
  const start = await bytesAt(file, 0);
  return start.length === size ? null : start;
}

async function sendUnsized(
  exchange: Exchange,
  status: number,
  fields: CheckedPairs,
  file: File,
  start: Uint8Array,
): Promise<void> {
  if (start.length < PIECE_BYTES) return exchange.respond(status, fields, start);
  exchange.begin(status, fields);
  let at = 0;
  for (let bytes = start; bytes.length > 0 && exchange.method !== "HEAD"; ) {
    await exchange.write(bytes);
    if (exchange.ended) return;
    at += bytes.length;
    bytes = await bytesAt(file, at);
  }
  if (!exchange.ended) exchange.end();
}

async function sendOpen(
  exchange: Exchange,
  parts: ResponseParts,
  file: File,
  stats: Stat,
): Promise<void> {
  const { size, mtimeMs } = stats;
  const { status } = parts;
  const given = [...(parts.headers ?? [])];
  const has = (name: string): boolean => given.some(([one]) => one.toLowerCase() === name);
  const add = (name: string, value: string): void => {
    if (!has(name)) given.push([name, value]);
  };
  if (parts.type !== null) add("content-type", parts.type);
  const start = await unsizedStart(file, stats);
  if (start !== null) return sendUnsized(exchange, status, given, file, start);
  const { method } = exchange;
  if (status !== 200 || (method !== "GET" && method !== "HEAD")) {
    return exchange.sendFile(status, given, file, 0, size);
  }
  add("etag", etagOf(size, mtimeMs));
  add("last-modified", new Date(mtimeMs).toUTCString());
  add("accept-ranges", "bytes");
  const field = (name: string): string | undefined => exchange.field(name);
  const version = versionIn(given);
  const conditional = statusFor(field, version);
  if (conditional === 412) return exchange.respond(412, PLAIN, "Precondition Failed\n");
  if (conditional === 304) return exchange.respond(304, given);
  const ranges = askedRanges(exchange, version, size);
  if (ranges === null) return exchange.sendFile(200, given, file, 0, size);
  return sendRanges(exchange, { file, sizeBytes: size, fields: given }, ranges);
}

// The program may have said which version it is.
function versionIn(fields: CheckedPairs): Version {
  const named = (name: string): string => fields.find(([one]) => one.toLowerCase() === name)![1];
  return { etag: named("etag"), modifiedMs: Date.parse(named("last-modified")) };
}
