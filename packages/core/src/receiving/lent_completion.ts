// A completion that comes with bytes in lent memory.

import { Completion } from "../ring/completion.js";
import type { LentMemory } from "./lent_memory.js";

/**
 * A completion that receives into lent memory: `ring.receiveMultishot` is started with one. When
 * the callback is given a result above 0, so many bytes were lent, at `offset` in `piece`.
 */
export class LentCompletion<C = unknown> extends Completion<C> {
  /** The piece that holds the bytes. */
  piece = -1;
  /** Where they begin in the piece. */
  offset = 0;
  /** @internal */
  group: LentMemory | null = null;
}
