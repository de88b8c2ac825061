/**
 * Finds the records in a log that arrives in pieces, checks each, and stops at the first bad one.
 *
 * A record that lies within one piece is handed on where it is; one that spans pieces is gathered
 * first. Nothing larger than what is left of the file is ever set aside for a record, whatever a
 * damaged length says.
 */

import { crc32 } from "../crc.js";
import { RECORD_HEADER_BYTES, RECORD_LIMIT_BYTES } from "./format.js";

/** Why the scan ended before the end of the file. */
export type Fault = "checksum" | "length" | "truncated" | "operations";

/** Takes the operations of a record; false when they make no sense. */
export type RecordVisitor = (bytes: Buffer, start: number, end: number) => boolean;

export class RecordScanner {
  /** How many records were good, and where in the file the last of them ends. */
  records = 0;
  goodEnd: number;
  fault: Fault | undefined;

  private gathering: Buffer | undefined;
  private gathered = 0;

  constructor(
    start: number,
    private readonly fileBytes: number,
    private readonly visit: RecordVisitor,
  ) {
    this.goodEnd = start;
  }

  /** Takes the next piece; false when the scan is over and more pieces would be ignored. */
  push(piece: Buffer): boolean {
    if (this.fault !== undefined) return false;
    let at = 0;
    while (at < piece.length) {
      if (this.gathering === undefined) {
        const next = this.direct(piece, at);
        if (next < 0) return false;
        if (next > at) {
          at = next;
          continue;
        }
        this.gathering = Buffer.allocUnsafeSlow(RECORD_HEADER_BYTES);
        this.gathered = 0;
      }
      at = this.gather(piece, at);
      if (at < 0) return false;
    }
    return true;
  }

  /** No more pieces come. */
  finish(): void {
    if (this.fault === undefined && this.goodEnd < this.fileBytes) this.fault = "truncated";
  }

  /** Takes the record at `at`: where the next begins, `at` itself if it is not all here, or -1. */
  private direct(piece: Buffer, at: number): number {
    if (at + RECORD_HEADER_BYTES > piece.length) return at;
    const length = this.checkedLength(piece, at);
    if (length < 0) return -1;
    const end = at + RECORD_HEADER_BYTES + length;
    if (end > piece.length) return at;
    return this.accept(piece, at, end) ? end : -1;
  }

  /** Adds to a record that spans pieces; where in the piece to go on, or -1. */
  private gather(piece: Buffer, at: number): number {
    let into = this.gathering!;
    const taken = Math.min(into.length - this.gathered, piece.length - at);
    piece.copy(into, this.gathered, at, at + taken);
    this.gathered += taken;
    if (this.gathered < into.length) return at + taken;
    if (into.length === RECORD_HEADER_BYTES) {
      const length = this.checkedLength(into, 0);
      if (length < 0) return -1;
      into = Buffer.allocUnsafeSlow(RECORD_HEADER_BYTES + length);
      this.gathering!.copy(into, 0);
      this.gathering = into;
      return at + taken;
    }
    this.gathering = undefined;
    return this.accept(into, 0, into.length) ? at + taken : -1;
  }

  /** The length a record's header gives, or -1 when it cannot be right. */
  private checkedLength(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32LE(at + 4);
    if (length === 0 || length > RECORD_LIMIT_BYTES) return this.stop("length");
    if (this.goodEnd + RECORD_HEADER_BYTES + length > this.fileBytes) return this.stop("truncated");
    return length;
  }

  private accept(bytes: Buffer, start: number, end: number): boolean {
    if (bytes.readUInt32LE(start) !== crc32(bytes, start + 4, end)) {
      this.stop("checksum");
      return false;
    }
    if (!this.visit(bytes, start + RECORD_HEADER_BYTES, end)) {
      this.stop("operations");
      return false;
    }
    this.records++;
    this.goodEnd += end - start;
    return true;
  }

  private stop(fault: Fault): -1 {
    this.fault = fault;
    this.gathering = undefined;
    return -1;
  }
}
