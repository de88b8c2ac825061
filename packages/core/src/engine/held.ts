// The memory that an operation holds.

/** What an operation uses until its final completion. */
export interface Held {
  finish(result: number): void;
}
