// The body of one request as it comes: given to the handler, or dropped.

import type { Exchange } from "./exchange.js";
import { HttpError } from "./fields.js";
import { ChunkedBody } from "./parser/chunked_body.js";
import * as faults from "./parser/faults.js";
import type { HeadLimits, RequestHead } from "./parser/request_head.js";

/** A client may send so much more of a body that the handler has not read. */
const MAX_DROPPED_BYTES = 1024 * 1024;
const DROPPED = "the answer was complete before the body was read: read it before, or as it comes";

export class BodyReceiver {
  /** All of it has come. */
  ended = false;
  /** What is wrong with it; 0 while nothing is. */
  fault = 0;
  /** It was answered before all of it had come: the rest is of no use. */
  drops = false;
  /** It waits for a handler that has answered and has not taken what came. */
  isStuck = false;
  /** The client waits for "100 Continue". */
  continueWaits: boolean;
  readonly #exchange: Exchange;
  readonly #chunks: ChunkedBody | null;
  readonly #maxBytes: number;
  #left: number;
  #givenBytes = 0;
  #droppedBytes = 0;
  #takenAtLastLook = 0;

  constructor(exchange: Exchange, head: RequestHead, limits: HeadLimits, maxBytes: number) {
    this.#exchange = exchange;
    this.continueWaits = head.expectsContinue;
    this.#chunks = head.chunked ? new ChunkedBody(limits) : null;
    this.#left = head.contentLength;
    this.#maxBytes = maxBytes;
  }

  /** The fields behind a body in chunks. */
  get trailer(): RequestHead | null {
    return this.ended ? (this.#chunks?.trailer ?? null) : null;
  }

  /** The client goes on sending what is dropped. */
  get isEndless(): boolean {
    return this.#droppedBytes > MAX_DROPPED_BYTES;
  }

  /** Whether the handler has taken some since this was last asked. */
  hasGoneOn(): boolean {
    const { takenPieces } = this.#exchange.body;
    const goesOn = takenPieces !== this.#takenAtLastLook;
    this.#takenAtLastLook = takenPieces;
    return goesOn;
  }

  /** What still comes is of no use; who reads it then learns that. */
  drop(): void {
    this.drops = true;
    this.#exchange.failBody(new HttpError("ERR_HTTP_BODY_READ", DROPPED));
  }

  /** Takes what belongs to it; returns how far that goes, or -1 when the bytes have to wait. */
  take(bytes: Uint8Array, start: number, end: number): number {
    if (!this.drops && this.#exchange.body.isFull) return -1;
    if (this.#chunks !== null) return this.#takeChunks(this.#chunks, bytes, start, end);
    const count = Math.min(this.#left, end - start);
    if (this.drops) this.#droppedBytes += count;
    else this.#exchange.body.push(bytes, start, start + count);
    this.#left -= count;
    this.ended = this.#left === 0;
    return start + count;
  }

  #takeChunks(chunks: ChunkedBody, bytes: Uint8Array, start: number, end: number): number {
    // What comes together is given as one piece: chunks of a byte cost a hundred times their size.
    const data = new Uint8Array(end - start);
    let length = 0;
    const count = chunks.parse(bytes, start, end, (piece, from, to) => {
      data.set(piece.subarray(from, to), length);
      length += to - from;
    });
    this.#givenBytes += length;
    const isLong = this.#givenBytes > this.#maxBytes;
    if (this.drops) this.#droppedBytes += length;
    else if (length > 0 && !isLong) this.#exchange.body.push(data, 0, length);
    if (isLong) this.fault = faults.LONG_BODY;
    else if (count < 0) this.fault = count;
    this.ended = chunks.ended;
    return start + count;
  }
}
