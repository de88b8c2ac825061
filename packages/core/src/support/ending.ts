// The end of an IO: what is in flight is cancelled, again and again, until nothing is.

import { COUNTER_NAMES } from "../engine/abi.js";
import type { NativeSession } from "../engine/native.js";
import type { Queue } from "../engine/queue.js";
import { Completion } from "../ring/completion.js";
import { ignore } from "../ring/operations.js";

const ROUND_NS = 10_000_000;
const REPEAT_MS = 20;
// How long a peer may take to acknowledge what was sent to it without a copy.
const RELEASE_GRACE_MS = 1000;
const UNRELEASED = COUNTER_NAMES.indexOf("zeroCopyUnreleased");

export class Ending {
  readonly #queue: Queue;
  readonly #session: NativeSession;
  readonly #counters = new Float64Array(COUNTER_NAMES.length);
  #releaseEnd = 0;

  constructor(queue: Queue, session: NativeSession) {
    this.#queue = queue;
    this.#session = session;
  }

  /** Detached: waits here and now. */
  drain(): void {
    while (this.#queue.inFlight > 0) {
      this.#again();
      this.#queue.drain(ROUND_NS);
    }
  }

  /** Attached: resolves when nothing is in flight. */
  async idle(): Promise<void> {
    const queue = this.#queue;
    this.#again();
    let left = queue.inFlight;
    const repeating = setInterval(() => this.#again(), REPEAT_MS);
    await new Promise<void>((resolve) => {
      queue.onDispatched = () => {
        if (queue.inFlight === 0) resolve();
        else if (queue.inFlight < left) this.#again();
        left = Math.min(left, queue.inFlight);
      };
    });
    queue.onDispatched = null;
    clearInterval(repeating);
  }

  // A cancel does not see what starts after it, and can miss what is just being worked on: it is
  // asked again whenever something has ended, and after a while in any case. What is sent cannot be
  // cancelled; when its peer does not take it, its connection is reset.
  #again(): void {
    if (this.#queue.inFlight === 0 || this.#queue.cancelling) return;
    this.#session.counters(this.#counters);
    if (this.#queue.inFlight > (this.#counters[UNRELEASED] as number)) {
      this.#queue.cancelAll(new Completion(), ignore);
      return;
    }
    if (this.#releaseEnd === 0) this.#releaseEnd = performance.now() + RELEASE_GRACE_MS;
    if (performance.now() >= this.#releaseEnd) this.#session.abortUnreleased();
  }
}
