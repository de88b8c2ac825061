// Cancel scopes: one signal for many operations, and the wait until all of them have ended. The
// reasons for their shape are in docs/decisions/scopes.md.

import { ENTRY_FLAG_UNREF } from "./engine/abi.js";
import { scopeElapsed } from "./errors.js";
import { Completion } from "./ring/completion.js";
import {
  type Endings,
  endingsFrom,
  type OperationOptions,
  type Operations,
} from "./ring/promises.js";
import { follow, unfollow, whenIdle } from "./support/aborts.js";
import { checkMade, knows, nanosecondsOf } from "./support/check.js";
import { nextTurn } from "./support/loop_turns.js";

const SCOPE = knows("scope");

/**
 * A part of a program that ends as a whole: operations that are given its `signal` are cancelled
 * when it ends. `using` cancels them at the end of the block, and `await using` also waits until
 * each has ended, so that their memory is the program's again. Make it with `io.scope()`.
 *
 * @category Chains and cancel
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * {
 *   await using scope = io.scope({ timeoutMs: 500 });
 *   const { signal } = scope;
 *   const first = await Promise.any([io.sleep(1, { signal }), io.sleep(60_000, { signal })]);
 *   process.stdout.write(`${first}\n`);
 * } // the other one was cancelled, and has ended
 * ```
 */
export class Scope implements Disposable, AsyncDisposable {
  /** To be given to operations, of any `IO` of this thread, and to whatever else takes a signal. */
  readonly signal: AbortSignal;
  readonly #operations: Operations;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #onOuterAbort: () => void;
  readonly #limit: Completion | null;
  readonly #call: string | undefined;
  #ending = false;
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor(operations: Operations, { signal, timeoutMs }: Endings, call?: string) {
    checkMade(operations, "Scope", "io.scope()");
    this.#operations = operations;
    this.#call = call;
    this.signal = this.#controller.signal;
    this.#limit = timeoutMs === undefined ? null : this.#startLimit(timeoutMs);
    this.#outer = signal;
    this.#onOuterAbort = () => this.cancel(signal?.reason);
    if (signal !== undefined) follow(signal, this.#onOuterAbort);
  }

  /**
   * Cancels what was started with its signal, and what will be. Nothing happens the second time.
   *
   * @param reason What `signal.reason` is then, and the `cause` of each error.
   */
  cancel(reason?: unknown): void {
    if (this.#ending) return;
    this.#ending = true;
    if (this.#limit?.active) this.#operations.cancel(this.#limit);
    this.#controller.abort(reason);
    const { signal } = this;
    // To an outer scope this is one of its operations, until all of it has ended.
    whenIdle(signal, () => {
      if (this.#outer !== undefined) unfollow(this.#outer, this.#onOuterAbort);
      this.#idle();
    });
  }

  /**
   * Cancels, and resolves when every operation that was given the signal has ended and its promise
   * has settled. May be called again, with the same promise. It takes neither `signal` nor
   * `timeoutMs`: memory stays the kernel's until each operation has ended.
   *
   * @returns a promise without a value, which is never rejected
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Cancels: what `using` calls. */
  [Symbol.dispose](): void {
    this.cancel();
  }

  /**
   * Cancels and waits: what `await using` calls.
   *
   * @returns the promise of `close()`
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #idle: () => void = () => undefined;
  readonly #ended = new Promise<void>((resolve) => {
    this.#idle = resolve;
  });

  async #close(): Promise<void> {
    this.cancel();
    await this.#ended;
    await nextTurn(); // what awaits the operations has gone on by then
  }

  #startLimit(timeoutMs: number): Completion {
    const limit = new Completion();
    limit._flags = ENTRY_FLAG_UNREF; // a limit alone keeps no process alive
    const elapsed = (_limit: Completion, result: number): void => {
      if (result === 0) this.cancel(scopeElapsed(timeoutMs, this.#call));
    };
    this.#operations.apart();
    this.#operations.ring.timeout(limit, elapsed, nanosecondsOf(timeoutMs));
    return limit;
  }
}

/** Opens a scope; see `IO.scope`. */
export function openScope(operations: Operations, options?: OperationOptions | null): Scope {
  operations.check("scope");
  return new Scope(operations, endingsFrom(options, SCOPE));
}

/** The scope that a call is made of, which the error of its time limit names. */
export function scopeOf(operations: Operations, endings: Endings, call: string): Scope {
  operations.check(call);
  return new Scope(operations, endings, call);
}
