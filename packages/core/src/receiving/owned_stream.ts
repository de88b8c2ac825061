// The bytes of a stream of chunks, each copied once into memory of its own: the values of a loop
// over a socket.
import type { Chunk } from "./chunk.js";
import type { ChunkStream } from "./chunk_stream.js";

/** Copies what comes, and releases its chunk before the program sees the copy. */
export class OwnedStream<C extends Chunk, T> implements AsyncIterableIterator<T> {
  readonly #chunks: ChunkStream<C>;
  readonly #copy: (chunk: C) => T;

  constructor(chunks: ChunkStream<C>, copy: (chunk: C) => T) {
    this.#chunks = chunks;
    this.#copy = copy;
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    const { done, value: chunk } = await this.#chunks.next();
    if (done) return { done, value: undefined };
    try {
      return { done: false, value: this.#copy(chunk) };
    } finally {
      chunk.release();
    }
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    return this.#chunks.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
