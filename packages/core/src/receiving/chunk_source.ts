// The source of provided buffers for receives: a group, or the area that a network device writes
// to.

import type { Held } from "../engine/held.js";
import type { ChunkMemory } from "./chunk.js";

export interface ChunkSource extends ChunkMemory, Held {
  /** What the engine calls it. */
  readonly handle: number;
  /** Bytes of one chunk at most. */
  readonly bufferBytes: number;
  /** Chunks that one stream may have now. */
  readonly share: number;
  /** Whether everything is lent, as far as it knows. */
  readonly exhausted: boolean;
  /** Calls back once, when there is memory; a callback that returns false has no use for it. */
  whenAvailable(callback: () => unknown): void;
  /** Whether others wait for memory that could be given to them. */
  readonly contended: boolean;
  /** The next one that waits is called, if there is memory. */
  passOn(): void;
  /** Calls back once, when the share is larger than now. */
  whenEased(callback: () => void): void;
  /** A receive is about to be started, of messages or of bytes. */
  prepare(operation: string, messages: boolean): void;
  begin(): void;
  /** Bytes have come in a buffer; gives where they begin in it. */
  markHeld(bufferId: number, count: number, open: boolean): number;
}
