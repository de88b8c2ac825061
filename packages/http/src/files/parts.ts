// Parts of a file: which ones a request asks for, and the answer that has them.

import { randomUUID } from "node:crypto";
import type { File } from "@io/core";
import type { Exchange } from "../exchange.js";
import { checkValue, HttpError } from "../fields.js";
import { isSameVersion, type Range, rangesOf, rangeText, type Version } from "./ranges.js";

const PIECE_BYTES = 64 * 1024;

/** A file of which parts are sent. It stays open until that is done. */
export interface FileOfParts {
  readonly file: File;
  readonly sizeBytes: number;
  /** Its fields but Content-Range, as of a whole answer. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** The ranges that the request asks for: null for the whole file, an empty list for none there. */
export function askedRanges(
  exchange: Exchange,
  version: Version,
  sizeBytes: number,
): Range[] | null {
  if (exchange.method !== "GET") return null;
  const range = exchange.field("range");
  if (range === undefined || !isSameVersion(exchange.field("if-range"), version)) return null;
  return rangesOf(range, sizeBytes);
}

/** Answers with the ranges: with one as it is, with several as a body of parts, 416 for none. */
export function sendRanges(
  exchange: Exchange,
  source: FileOfParts,
  ranges: readonly Range[],
): Promise<void> | undefined {
  const { file, sizeBytes, fields } = source;
  const [part] = ranges;
  if (part === undefined) {
    const none = { "content-range": `bytes */${sizeBytes}`, "content-type": "text/plain" };
    exchange.respond(416, none, "Range Not Satisfiable\n");
    return undefined;
  }
  if (ranges.length > 1) return sendParts(exchange, source, ranges);
  const named = [...fields, ["content-range", rangeText(part, sizeBytes)] as const];
  return exchange.sendFile(206, named, file, part.first, part.last + 1 - part.first);
}

// Several parts in one body, each with fields of its own.
async function sendParts(
  exchange: Exchange,
  { file, sizeBytes, fields }: FileOfParts,
  ranges: readonly Range[],
): Promise<void> {
  const isType = (name: string): boolean => name.toLowerCase() === "content-type";
  const type = fields.find(([name]) => isType(name))?.[1];
  checkValue("content-type", type ?? "");
  const typeLine = type === undefined ? "" : `Content-Type: ${type}\r\n`;
  const boundary = randomUUID(); // nothing of a file is likely to be that
  const heads = ranges.map((range) => {
    const lines = `${typeLine}Content-Range: ${rangeText(range, sizeBytes)}\r\n`;
    return Buffer.from(`\r\n--${boundary}\r\n${lines}\r\n`, "latin1");
  });
  const end = Buffer.from(`\r\n--${boundary}--\r\n`);
  let length = end.length;
  for (const head of heads) length += head.length;
  for (const { first, last } of ranges) length += last + 1 - first;
  const multipart = ["content-type", `multipart/byteranges; boundary=${boundary}`] as const;
  exchange.begin(206, [...fields.filter(([name]) => !isType(name)), multipart], length);
  for (const [index, range] of ranges.entries()) {
    await exchange.write(heads[index]!);
    await writePart(exchange, file, range);
    if (exchange.ended) return;
  }
  await exchange.write(end);
  if (!exchange.ended) exchange.end();
}

async function writePart(exchange: Exchange, file: File, { first, last }: Range): Promise<void> {
  for (let at = first; at <= last && !exchange.ended; ) {
    const bytes = new Uint8Array(Math.min(PIECE_BYTES, last + 1 - at));
    const count = await file.readFull(bytes, { position: at });
    if (exchange.ended) return;
    if (count < bytes.length) {
      const message = `the file ends at ${at + count}, before the end of a part at ${last}`;
      throw new HttpError("ERR_HTTP_BODY_SHORT", message);
    }
    await exchange.write(bytes);
    at += count;
  }
}
