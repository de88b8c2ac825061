// Bytes that come in pieces, gathered in one buffer.

import { HttpError } from "./fields.js";

// A length that was announced and has not come costs no more than this.
const FIRST_BYTES = 64 * 1024;
const LEAST_BYTES = 1024;
const nothing = new Uint8Array(0);

export class GatheredBytes {
  readonly #announcedBytes: number;
  readonly #mostBytes: number;
  #bytes = nothing;
  #used = 0;

  /** `announcedBytes` is below 0 where nothing was announced. */
  constructor(announcedBytes: number, mostBytes: number) {
    this.#announcedBytes = announcedBytes;
    this.#mostBytes = mostBytes;
  }

  /** Copies what stands there, or throws when it is too much. */
  add(bytes: Uint8Array, start: number, end: number): void {
    const used = this.#used + end - start;
    if (used > this.#mostBytes) {
      const message = `the body is longer than ${this.#mostBytes} bytes`;
      throw new HttpError("ERR_HTTP_BODY_SIZE", message);
    }
    if (used > this.#bytes.length) this.#grow(used);
    this.#bytes.set(bytes.subarray(start, end), this.#used);
    this.#used = used;
  }

  /** All of it, in memory of its own. */
  take(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }

  #grow(neededBytes: number): void {
    const announced = this.#announcedBytes;
    const sizeBytes =
      announced >= neededBytes
        ? Math.min(announced, Math.max(FIRST_BYTES, 2 * neededBytes))
        : Math.max(LEAST_BYTES, 2 * neededBytes);
    // Without zeros, and not out of the pool that Node shares among its buffers.
    const { buffer } = Buffer.allocUnsafeSlow(sizeBytes);
    const larger = new Uint8Array(buffer);
    larger.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = larger;
  }
}
