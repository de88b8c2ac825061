// Counts the sends of a contender, says when to stop, and gives the figures.

import type { Figures } from "./harness.js";

/** The clock is read once per this many sends, so that reading it does not show. */
const sendsPerClock = 1024;

export class SendCount {
  stopped = false;
  #sends = 0;
  #sentBytes = 0;
  readonly #usedBefore = process.cpuUsage();
  readonly #startMs = performance.now();
  readonly #endMs: number;

  constructor(durationSeconds: number) {
    this.#endMs = this.#startMs + durationSeconds * 1000;
  }

  /** Takes what the kernel took of one send, of one message or of several. */
  add(sentBytes: number): void {
    if (sentBytes <= 0) throw new Error(`A send gave ${sentBytes}.`);
    this.#sentBytes += sentBytes;
    if (++this.#sends % sendsPerClock === 0) this.stopped = performance.now() >= this.#endMs;
  }

  figures(messageBytes: number): Figures {
    const messages = this.#sentBytes / messageBytes;
    const { user, system } = process.cpuUsage(this.#usedBefore);
    return {
      "messages/s": messages / ((performance.now() - this.#startMs) / 1000),
      "CPU microseconds/message": (user + system) / messages,
    };
  }
}
