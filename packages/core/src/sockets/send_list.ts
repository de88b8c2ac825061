// Bytes in several places that are sent in turn, as many at once as the system takes.
import { VECTOR_LIMIT } from "../engine/abi.js";
import { rest } from "../files/file.js";
import type { Ring } from "../ring/ring.js";

export class SendList {
  readonly #ring: Ring;
  readonly #views: readonly ArrayBufferView[];
  /** The first that is not sent in full, and how much of it is sent. */
  #index = 0;
  #done = 0;

  /** `views` have bytes, each of them. */
  constructor(ring: Ring, views: readonly ArrayBufferView[]) {
    this.#ring = ring;
    this.#views = views;
  }

  /** What is sent next, in one call. Throws when its memory was transferred meanwhile. */
  next(): ArrayBufferView[] {
    const next = this.#views.slice(this.#index, this.#index + VECTOR_LIMIT);
    next[0] = rest(this.#ring, next[0] as ArrayBufferView, this.#done, "sendAll");
    return next;
  }

  /** Whether nothing follows that. */
  get isLast(): boolean {
    return this.#index + VECTOR_LIMIT >= this.#views.length;
  }

  /** So many bytes of that were sent. */
  advance(count: number): void {
    let left = count + this.#done;
    let view = this.#views[this.#index];
    while (view !== undefined && left >= view.byteLength) {
      left -= view.byteLength;
      view = this.#views[++this.#index];
    }
    this.#done = left;
  }
}
