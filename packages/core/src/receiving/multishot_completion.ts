// A completion that comes many times, each time with bytes in a buffer of a group.

import { Completion } from "../ring/completion.js";
import type { ChunkSource } from "./chunk_source.js";

/**
 * A completion that receives into a {@link BufferGroup}: `ring.receiveMultishot` is started with
 * one. When the callback is given a result above 0, so many bytes begin at `offset` of buffer
 * `bufferId`.
 */
export class MultishotCompletion<C = unknown> extends Completion<C> {
  /** Which buffer of the group holds the bytes. */
  bufferId = -1;
  /** Where they begin in it. */
  offset = 0;
  /** @internal */
  group: ChunkSource | null = null;
}
