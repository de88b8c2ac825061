// Repeating timers over the ring's time-outs.
import { Completion } from "./completion.js";
import type { Operations } from "./internal/operations.js";

/**
 * A repeating timer: an async iterable that yields how many intervals have passed since it started.
 * It keeps to its schedule: a consumer that is late is told the count once, not called in a burst.
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using timer = io.timer({ intervalNs: 1_000_000 });
 * for await (const count of timer) {
 *   if (count >= 3) break;
 * }
 * ```
 */
export class Timer implements AsyncIterable<number>, AsyncDisposable {
  readonly intervalNs: number;
  readonly #operations: Operations;
  readonly #startNs: bigint;
  readonly #completion = new Completion();
  #count = 0;
  #closed = false;

  /** @internal */
  constructor(operations: Operations, intervalNs: number) {
    this.#operations = operations;
    this.intervalNs = intervalNs;
    this.#startNs = process.hrtime.bigint();
  }

  /** How many intervals have passed, whenever that has changed, until the timer is closed. */
  async *[Symbol.asyncIterator](): AsyncIterator<number> {
    while (!this.#closed) {
      const passed = Math.floor(this.#elapsedNs() / this.intervalNs);
      if (passed > this.#count) {
        this.#count = passed;
        yield passed;
      } else {
        const result = await this.#sleep((this.#count + 1) * this.intervalNs - this.#elapsedNs());
        if (result < 0) return; // cancelled: the timer or its IO was closed
      }
    }
  }

  /** Ends the iteration. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#operations.cancel(this.#completion);
  }

  /** Closes the timer: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #elapsedNs(): number {
    return Number(process.hrtime.bigint() - this.#startNs);
  }

  #sleep(durationNs: number): Promise<number> {
    return new Promise((resolve) => {
      const wait = Math.max(0, Math.ceil(durationNs));
      if (this.#operations.closed) resolve(-1);
      else {
        this.#operations.ring.timeout(this.#completion, wait, (_completion, result) => {
          resolve(result);
        });
      }
    });
  }
}
