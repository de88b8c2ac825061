// The bytes of a stream of chunks, each copied once into memory of its own: the values of a loop
// over a socket.
import type { Chunk } from "./chunk.js";
import type { ChunkStream } from "./chunk_stream.js";

/** Of what a stream of chunks gives, what its program gets. */
export type Owning<C extends Chunk, T> = (
  result: IteratorResult<C, undefined>,
) => IteratorResult<T, undefined>;

/** Copies each chunk, and releases it before the program sees the copy. */
export function owning<C extends Chunk, T>(copy: (chunk: C) => T): Owning<C, T> {
  return ({ done, value: chunk }) => {
    if (done) return { done, value: undefined };
    try {
      return { done: false, value: copy(chunk) };
    } finally {
      chunk.release();
    }
  };
}

export class OwnedStream<C extends Chunk, T> implements AsyncIterableIterator<T> {
  readonly #chunks: ChunkStream<C>;
  readonly #own: Owning<C, T>;

  constructor(chunks: ChunkStream<C>, own: Owning<C, T>) {
    this.#chunks = chunks;
    this.#own = own;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return this.#chunks.next().then(this.#own);
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    return this.#chunks.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
