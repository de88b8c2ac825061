// Repeating timers over the ring's time-outs.

import { ENTRY_FLAG_UNREF } from "./engine/abi.js";
import { Completion } from "./ring/completion.js";
import type { Operations } from "./ring/promises.js";
import { checkMade, nanosecondsOf } from "./support/check.js";
import { nextTurn } from "./support/loop_turns.js";

/**
 * A repeating timer: an async iterable that yields how many intervals have passed since it started.
 * It keeps to its schedule: a consumer that is late gets the count once, not called in a burst.
 * A body that takes longer than the interval leaves the event loop a turn each time, so the rest of
 * the program goes on. The loop ends when the timer or the IO is closed, and by nothing else: where
 * the limit of operations in flight is reached it goes on as soon as one has ended. Several loops
 * over one timer each get every count.
 *
 * @category Time
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using timer = io.timer({ intervalMs: 1 });
 * for await (const count of timer) {
 *   if (count >= 3) break;
 * }
 * ```
 */
export class Timer implements AsyncIterable<number>, AsyncDisposable {
  /** How long an interval is, in milliseconds. */
  readonly intervalMs: number;
  readonly #intervalNs: number;
  readonly #operations: Operations;
  readonly #startNs: bigint;
  // The end of each loop's wait, and the function that wakes it.
  readonly #waiting = new Map<Completion, () => void>();
  // The highest count that was yielded: a loop after another one goes on from there.
  #yielded = 0;
  #closed = false;
  #flags = 0;

  /** @internal */
  constructor(operations: Operations, intervalMs: number) {
    checkMade(operations, "Timer", "io.timer()");
    this.#operations = operations;
    this.intervalMs = intervalMs;
    this.#intervalNs = nanosecondsOf(intervalMs);
    this.#startNs = process.hrtime.bigint();
  }

  /**
   * How many intervals have passed, whenever that has changed, until the timer is closed.
   *
   * @returns the counts of intervals since the timer was made
   */
  async *[Symbol.asyncIterator](): AsyncIterator<number> {
    const completion = new Completion();
    let count = this.#yielded;
    let waited = false;
    while (!this.#closed && !this.#operations.closed) {
      const passed = Math.floor(this.#elapsedNs() / this.#intervalNs);
      if (passed <= count) {
        waited = true;
        const leftNs = (count + 1) * this.#intervalNs - this.#elapsedNs();
        // A cancel of everything wakes it early, and it goes on. A close ends the loop.
        await this.#sleep(completion, leftNs);
      } else if (!waited) {
        // The body was late. Without this a body that always is would leave the event loop no turn.
        waited = true;
        await nextTurn();
      } else {
        waited = false;
        count = passed;
        this.#yielded = Math.max(this.#yielded, passed);
        yield passed;
      }
    }
  }

  /**
   * The timer keeps the process alive while a loop waits for it, as it does unless `unref` was
   * called. Returns itself, as in Node.
   */
  ref(): this {
    return this.#setFlags(0);
  }

  /** The timer does not keep the process alive. Returns itself. */
  unref(): this {
    return this.#setFlags(ENTRY_FLAG_UNREF);
  }

  // A loop that waits is woken: it waits on under the new flags.
  #setFlags(flags: number): this {
    this.#flags = flags;
    for (const completion of this.#waiting.keys()) {
      if (completion.active) this.#operations.cancel(completion);
    }
    return this;
  }

  /** Ends the loops. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const [completion, wake] of this.#waiting) {
      if (completion.active) this.#operations.cancel(completion);
      else wake();
    }
  }

  /** Closes the timer: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #elapsedNs(): number {
    return Number(process.hrtime.bigint() - this.#startNs);
  }

  #sleep(completion: Completion, durationNs: number): Promise<void> {
    return new Promise((resolve) => {
      const waitNs = Math.max(0, Math.ceil(durationNs));
      const wake = (): void => {
        this.#waiting.delete(completion);
        resolve();
      };
      const start = (): void => {
        if (this.#closed || this.#operations.closed) wake();
        else if (this.#operations.hasSlot) {
          completion._flags = this.#flags;
          this.#operations.ring.timeout(completion, wake, waitNs);
        } else this.#operations.whenSlot(start);
      };
      this.#waiting.set(completion, wake);
      this.#operations.apart();
      start();
    });
  }
}
