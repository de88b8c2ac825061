// Counts the reads of a contender and says when to stop.

import { pageBytes } from "./random_offsets.js";

/** The clock is read once per this many reads. */
const readsPerClock = 64;

export class ReadCount {
  reads = 0;
  stopped = false;
  readonly #startMs = performance.now();
  readonly #endMs: number;

  constructor(durationSeconds: number) {
    this.#endMs = this.#startMs + durationSeconds * 1000;
  }

  /** Takes the result of a read, which must be a whole page. */
  add(resultBytes: number): void {
    if (resultBytes !== pageBytes) throw new Error(`A read gave ${resultBytes} bytes.`);
    this.reads++;
    if (this.reads % readsPerClock === 0) this.stopped = performance.now() >= this.#endMs;
  }

  get readsPerSecond(): number {
    return this.reads / ((performance.now() - this.#startMs) / 1000);
  }
}
