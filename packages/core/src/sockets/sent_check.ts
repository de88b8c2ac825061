// For tests (`detectReuse` of `IO.open({ debug })`): finds memory that was written to while a send
// still had it. Until a send releases its memory the kernel may read from it at any time, so code
// that changes it sometimes sends other bytes, without an error. Here a copy of the bytes is kept
// and compared at the end.

import type { Held } from "../engine/held.js";
import { IOError } from "../errors.js";
import type { Completion } from "../ring/completion.js";

/** What was found. */
export class Reuses {
  #found: { completion: unknown; error: IOError } | null = null;

  /** Reports one. When the callback that follows at once does not take it, it is thrown. */
  report<C>(completion: Completion<C>, error: IOError): void {
    const found = { completion, error };
    this.#found = found;
    queueMicrotask(() => {
      if (this.#found !== found) return;
      this.#found = null;
      throw error;
    });
  }

  /** What was found of the operation whose callback is called now. */
  take(completion: Completion): IOError | null {
    const found = this.#found;
    if (found === null || found.completion !== completion) return null;
    this.#found = null;
    return found.error;
  }
}

/** Stands before the memory of one send, so that it sees it before it is given to others. */
export class SentCheck<C> implements Held {
  readonly #reuses: Reuses;
  readonly #completion: Completion<C>;
  readonly #operation: string;
  readonly #views: readonly ArrayBufferView[];
  readonly #copies: readonly Buffer[];

  constructor(
    reuses: Reuses,
    completion: Completion<C>,
    operation: string,
    views: readonly ArrayBufferView[],
  ) {
    this.#reuses = reuses;
    this.#completion = completion;
    this.#operation = operation;
    this.#views = views;
    this.#copies = views.map((view) => Buffer.from(bytesOf(view)));
  }

  finish(result: number): void {
    let left = result;
    for (const [index, copy] of this.#copies.entries()) {
      if (left <= 0) return; // bytes that were not sent may be written to
      const view = this.#views[index] as ArrayBufferView;
      const length = Math.min(left, copy.byteLength);
      const at = firstChange(copy.subarray(0, length), view);
      if (at !== -1) {
        this.#reuses.report(this.#completion, this.#error(index, at));
        return;
      }
      left -= length;
    }
  }

  #error(index: number, at: number): IOError {
    const several = this.#views.length > 1 ? ` of buffer ${index}` : "";
    return new IOError({
      code: "ERR_IO_MEMORY_REUSED",
      operation: this.#operation,
      message:
        `${this.#operation}: byte ${at}${several} was written to before the send released its ` +
        "memory, so the bytes that were sent are unknown: wait for its promise, or for " +
        "`released` of sendZeroCopy(), or for the last callback",
    });
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

// A view whose memory was transferred has no bytes, and the kernel's copy cannot be read.
function firstChange(before: Uint8Array, view: ArrayBufferView): number {
  if (view.byteLength < before.byteLength) return -1;
  const now = bytesOf(view).subarray(0, before.byteLength);
  if (Buffer.compare(before, now) === 0) return -1;
  return before.findIndex((byte, index) => byte !== now[index]);
}
