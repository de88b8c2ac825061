// The caller-owned completion: what an operation of the ring is started with and comes back as.
import type { Held } from "../engine/held.js";

/**
 * Called when an operation has completed. `result` is a count, a descriptor or 0, or a negative
 * error number (`-os.constants.errno.ENOENT`). A multishot operation calls it many times; on the
 * last call `completion.active` is false.
 *
 * It runs outside of any `AsyncLocalStorage`: `getStore()` gives undefined, and never the store of
 * another call. Promises and iterators keep the store of their caller.
 */
export type Callback<C = unknown> = (completion: Completion<C>, result: number) => void;

/** Stands in for the callback while there is none. */
export function noCallback(): void {
  throw new Error("a completion without an operation was called");
}

/**
 * One operation of the ring, owned by the caller and used again and again: starting an operation
 * with it allocates nothing. It can carry one operation at a time.
 *
 * @example
 * ```ts
 * import { Completion, IO } from "@io/core";
 *
 * const io = await IO.open({ mode: "detached" });
 * const completion = new Completion({ rounds: 3 });
 * io.ring.nop(completion, function again(completion, result) {
 *   if (result < 0) throw new Error("a nop cannot fail");
 *   if (--completion.context.rounds > 0) io.ring.nop(completion, again);
 * });
 * io.run();
 * await io.close();
 * ```
 */
export class Completion<C = unknown> {
  /** Yours: whatever the callback needs to go on. */
  context: C;

  /** The slot of the operation in flight, or -1. @internal */
  slot = -1;
  /** @internal */
  opcode = 0;
  /** @internal */
  callback: Callback<C> = noCallback;
  /** Memory in use by the operation; several regions by a vectored one. @internal */
  held: Held | Held[] | null = null;

  constructor(
    ...context: C extends undefined ? [] : unknown extends C ? [context?: C] : [context: C]
  ) {
    this.context = context[0] as C;
  }

  /** Whether an operation is queued or in flight with it. */
  get active(): boolean {
    return this.slot !== -1;
  }
}
