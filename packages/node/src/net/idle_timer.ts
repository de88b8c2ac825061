// The time-out of a socket. A server with keep-alive sets one for each answer, so setting it again
// makes no timer: the one that runs looks, when it fires, how long ago something happened.

export class IdleTimer {
  #timeoutMs = 0;
  #since = 0;
  #timer: NodeJS.Timeout | null = null;
  #firesAt = 0;
  readonly #elapsed: () => void;

  constructor(elapsed: () => void) {
    this.#elapsed = elapsed;
  }

  /** Begins to measure; 0 ends it. */
  set(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
    if (timeoutMs === 0) return;
    this.#since = performance.now();
    this.#arm();
  }

  /** Something has happened on the socket. */
  touch(): void {
    if (this.#timeoutMs > 0) this.#since = performance.now();
  }

  /** The socket has ended. */
  clear(): void {
    this.#timeoutMs = 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #arm(): void {
    const dueAt = this.#since + this.#timeoutMs;
    if (this.#timer !== null) {
      if (this.#firesAt <= dueAt) return;
      clearTimeout(this.#timer);
    }
    this.#firesAt = dueAt;
    this.#timer = setTimeout(() => this.#fire(), Math.max(1, dueAt - performance.now()));
    this.#timer.unref();
  }

  #fire(): void {
    this.#timer = null;
    if (this.#timeoutMs === 0) return;
    // A timer counts from the beginning of its turn of the event loop, and may be early by a part
    // of a millisecond.
    if (this.#since + this.#timeoutMs - performance.now() >= 1) {
      this.#arm();
      return;
    }
    this.#elapsed();
  }
}
