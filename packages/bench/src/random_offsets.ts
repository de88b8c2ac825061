// The order in which a file is read: random, but the same for every contender that uses it.

export const pageBytes = 4096;

/** Gives offsets of pages of a file, from a generator of Marsaglia's (xorshift32). */
export class RandomOffsets {
  readonly #pages: number;
  #state = 0x9e3779b9;

  constructor(sizeBytes: number) {
    this.#pages = Math.floor(sizeBytes / pageBytes);
    if (this.#pages < 1) throw new RangeError("The file is smaller than a page.");
  }

  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return ((state >>> 0) % this.#pages) * pageBytes;
  }
}
