// Bytes that come in pieces, gathered in one buffer.

import { HttpError } from "./fields.js";

// A length that was announced and has not come costs no more than this.
const FIRST_BYTES = 64 * 1024;
const MIN_BYTES = 1024;
const nothing = new Uint8Array(0);
// Memory for what is decoded at once. V8 counts the bytes of every ArrayBuffer, and collects
// garbage for 64 MiB of them, however little it would find otherwise.
const MAX_SCRATCHES = 32;
const scratches: Uint8Array[] = [];
let scratchesMade = 0;

function takeScratch(): Uint8Array | undefined {
  const scratch = scratches.pop();
  if (scratch !== undefined || scratchesMade >= MAX_SCRATCHES) return scratch;
  scratchesMade++;
  return unfilled(FIRST_BYTES);
}

// Without zeros, and not out of the pool that Node shares among its buffers.
function unfilled(sizeBytes: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(sizeBytes).buffer);
}

export class GatheredBytes {
  readonly #announcedBytes: number;
  readonly #maxBytes: number;
  #bytes: Uint8Array = nothing;
  #used = 0;
  #scratch: Uint8Array | undefined;

  /** `announcedBytes` is below 0 where nothing was announced. */
  constructor(announcedBytes: number, given: number | null) {
    const maxBytes = given ?? Number.POSITIVE_INFINITY;
    if (typeof maxBytes !== "number" || !(maxBytes >= 0)) {
      const message = `maxBytes is ${String(maxBytes)}: give a number of bytes`;
      throw new HttpError("ERR_HTTP_LENGTH", message);
    }
    this.#announcedBytes = announcedBytes;
    this.#maxBytes = maxBytes;
  }

  /** Copies what stands there, or throws when it is too much. */
  add(bytes: Uint8Array, start: number, end: number): void {
    const used = this.#used + end - start;
    if (used > this.#maxBytes) {
      const message = `the body is longer than ${this.#maxBytes} bytes`;
      throw new HttpError("ERR_HTTP_BODY_SIZE", message);
    }
    if (used > this.#bytes.length) this.#grow(used);
    this.#bytes.set(bytes.subarray(start, end), this.#used);
    this.#used = used;
  }

  get isEmpty(): boolean {
    return this.#used === 0;
  }

  /** All of it, in memory of its own unless `useScratch` was called. */
  take(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }

  /** Gathers in memory that others use later: call `giveBack` in any case, and `take` before. */
  useScratch(): void {
    this.#scratch ??= takeScratch();
    if (this.#scratch !== undefined) this.#bytes = this.#scratch;
  }

  giveBack(): void {
    if (this.#scratch !== undefined) scratches.push(this.#scratch);
    this.#scratch = undefined;
    this.#bytes = nothing;
    this.#used = 0;
  }

  #grow(neededBytes: number): void {
    const announced = this.#announcedBytes;
    const sizeBytes =
      announced >= neededBytes
        ? Math.min(announced, Math.max(FIRST_BYTES, 2 * neededBytes))
        : Math.max(MIN_BYTES, 2 * neededBytes);
    const larger = unfilled(sizeBytes);
    larger.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = larger;
  }
}
