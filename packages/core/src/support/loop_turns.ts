// Loops whose values are ready at once, and the turns that they leave to the event loop. Code that
// awaits a settled promise goes on before timers and other I/O do, so a `for await` that never has
// to wait would leave them no turn, and nothing could end it.

// A timer of Node counts in milliseconds, so a shorter delay is none for it.
const LIMIT_MS = 1;
// The clock is read for the first value, and then for every fourth: a stream of small messages has
// many of them in a millisecond.
const LOOK_MASK = 3;

/** Resolves when the event loop has looked at its timers and its I/O once. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** What one loop has taken without waiting. */
export class Turns {
  #inRow = 0;
  #sinceMs = 0;
  #turn: Promise<void> | null = null;

  /** Whether values that were ready wait for a turn of the event loop. */
  get waiting(): boolean {
    return this.#turn !== null;
  }

  /** Called when a value had to be waited for. */
  waited(): void {
    this.#inRow = 0;
  }

  /** Called for a value that is ready at once. What it waits for, or null when it need not. */
  take(): Promise<void> | null {
    if (this.#turn !== null) return this.#turn; // behind the ones before it
    const inRow = ++this.#inRow;
    if (inRow === 1) {
      this.#sinceMs = performance.now();
      return null;
    }
    if (inRow !== 2 && (inRow & LOOK_MASK) !== 0) return null;
    if (performance.now() - this.#sinceMs < LIMIT_MS) return null;
    this.#turn = nextTurn().then(() => {
      this.#turn = null;
      this.#inRow = 0;
    });
    return this.#turn;
  }
}
