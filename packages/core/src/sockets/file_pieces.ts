// Memory for files that are read and sent: a slow peer has its piece until it takes the bytes, so
// peers could use up all of `io.buffers`. All such transfers together have half of it, and wait for
// each other in order.
//
// The program may hold all of `io.buffers` and release it only when a transfer has ended. So when
// no transfer has a piece, one gets the reserve: a piece of its own beside `buffersMaxBytes`.
import { type AcquiredBuffer, type Buffers, blockBytes } from "../engine/buffers.js";
import { closedError } from "../errors.js";
import { aborted, type OperationOptions, type Operations } from "../ring/promises.js";
import type { Descriptor } from "../ring/types.js";
import { elapsedError } from "../ring/whole_call.js";
import { follow, unfollow } from "../support/aborts.js";
import { nanosecondsOf } from "../support/check.js";

// Larger ones cost fewer operations, but two that do not fit into the processor's second-level
// cache come from the one beyond it when they are sent (1 MiB of cache, a file of 64 MiB and one of
// 1 MiB, seconds for a GB: 0.38 and 0.42 with 64 KiB, 0.28 and 0.31 with 128 KiB, 0.29 and 0.29
// with 256 KiB, 0.26 and 0.50 with 512 KiB, 0.37 and 0.49 with 1 MiB). They are large until a
// quarter of the share is in use; until half of it is, a transfer gets a second one.
const LARGE_BYTES = 256 * 1024;
const SMALL_BYTES = 64 * 1024;
const MIN_BYTES = 4096;

interface Waiter {
  readonly number: Descriptor;
  readonly lengthBytes: number;
  resolve(piece: AcquiredBuffer): void;
  reject(error: unknown): void;
}

export class FilePieces {
  readonly #operations: Operations;
  readonly #buffers: Buffers;
  readonly #shareBytes: number;
  readonly #waiting: Waiter[] = [];
  #heldBytes = 0;
  #held = 0;

  constructor(operations: Operations, buffers: Buffers) {
    this.#operations = operations;
    this.#buffers = buffers;
    this.#shareBytes = buffers.maxBytes / 2;
    buffers.onFreed = () => this.#serve();
  }

  /** A piece for a file of which so many bytes are to be sent; it may be smaller than that. */
  async acquire(
    number: Descriptor,
    lengthBytes: number,
    options: OperationOptions | undefined,
  ): Promise<AcquiredBuffer> {
    const piece = this.#waiting.length > 0 ? null : this.#take(lengthBytes);
    return piece ?? this.#wait(number, lengthBytes, options);
  }

  /** One more, or null when there is little left for other transfers. */
  acquireSecond(lengthBytes: number): AcquiredBuffer | null {
    const isScarce = this.#heldBytes > this.#shareBytes / 2 || this.#waiting.length > 0;
    return isScarce ? null : this.#take(lengthBytes);
  }

  release(piece: AcquiredBuffer): void {
    this.#heldBytes -= blockBytes(piece.byteLength);
    this.#held--;
    this.#buffers.release(piece); // when it is free, onFreed is called
  }

  /** The socket is being closed, so nothing waits for it any more. */
  closing(number: Descriptor): void {
    for (const waiter of this.#waiting.filter((one) => one.number === number)) {
      waiter.reject(closedError("sendFile", "the socket"));
    }
  }

  #take(lengthBytes: number): AcquiredBuffer | null {
    for (const most of [LARGE_BYTES, SMALL_BYTES]) {
      const sizeBytes = Math.min(most, Math.max(MIN_BYTES, lengthBytes));
      const share = most === LARGE_BYTES ? this.#shareBytes / 4 : this.#shareBytes;
      if (this.#heldBytes + blockBytes(sizeBytes) > share) continue;
      const piece = this.#note(this.#buffers.acquireIfFree(sizeBytes));
      if (piece !== null) return piece;
    }
    return this.#held === 0 ? this.#note(this.#buffers.acquireReserve()) : null;
  }

  #note(piece: AcquiredBuffer | null): AcquiredBuffer | null {
    if (piece === null) return null;
    this.#heldBytes += blockBytes(piece.byteLength);
    this.#held++;
    return piece;
  }

  #serve(): void {
    for (;;) {
      const [first] = this.#waiting;
      const piece = first === undefined ? null : this.#take(first.lengthBytes);
      if (piece === null) return;
      first?.resolve(piece);
    }
  }

  #wait(
    number: Descriptor,
    lengthBytes: number,
    options: OperationOptions | undefined,
  ): Promise<AcquiredBuffer> {
    const { ring } = this.#operations;
    const signal = options?.signal ?? undefined;
    const timeoutMs = options?.timeoutMs ?? undefined;
    return new Promise((resolve, reject) => {
      const finished = new AbortController();
      const leave = (): void => {
        const index = this.#waiting.indexOf(waiter);
        if (index === -1) return; // served or rejected before
        this.#waiting.splice(index, 1);
        if (signal !== undefined) unfollow(signal, onAbort);
        finished.abort();
      };
      const waiter: Waiter = {
        number,
        lengthBytes,
        resolve(piece) {
          leave();
          resolve(piece);
        },
        reject(error) {
          leave();
          reject(error);
        },
      };
      const onAbort = (): void => waiter.reject(aborted("sendFile", signal));
      this.#waiting.push(waiter);
      if (signal?.aborted) onAbort();
      else if (signal !== undefined) follow(signal, onAbort);
      if (timeoutMs === undefined) return;
      const elapsed = elapsedError("sendFile", "sendFile", timeoutMs);
      const timeoutNs = nanosecondsOf(timeoutMs);
      this.#operations
        .run((pending, settle) => ring.timeout(pending, settle, timeoutNs), {
          signal: finished.signal,
        })
        .then(
          () => waiter.reject(elapsed),
          (error) => waiter.reject(error),
        );
    });
  }
}
