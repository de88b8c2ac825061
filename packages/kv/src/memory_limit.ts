/**
 * How much the keyspace may hold. Three things end: V8's heap, where keys and short values live;
 * the memory of the machine, where long values live; and V8's Map, which takes 2^24 keys and throws
 * at the next one. A command that may add something is refused before that, as Redis refuses it at
 * `maxmemory`; commands that read or remove go on.
 */

import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import type { Keyspace } from "./keyspace.js";

/** The most keys that a Map takes. */
const KEYS_LIMIT = 2 ** 24;

/**
 * The part of V8's old generation that keys and values may fill. The rest is for a rewrite of the
 * log, which lists every key, for the notes of a batch, and for what is not yet collected.
 */
const HEAP_PART = 0.65;

/** The largest semi-space of V8's young generation, unless --max-semi-space-size says otherwise. */
const SEMI_SPACE_BYTES = 16 * 1024 * 1024;

/**
 * V8's `heap_size_limit` counts three semi-spaces, which keys and values cannot use. A fourth is
 * left in the old generation: V8 ends the process when, after a collection, what is in the young
 * generation could not move to the old one.
 */
const YOUNG_GENERATION_BYTES = 4 * SEMI_SPACE_BYTES;

/** What a word of a request costs in the heap at most when it becomes a key, beside its bytes. */
const WORD_HEAP_BYTES = 256;

export class MemoryLimit {
  /** Bytes of heap that keys and values may fill. */
  readonly heapLimitBytes: number;
  /** Bytes of keys and values at most, in the heap and outside. */
  readonly limitBytes: number;
  private wasFull = false;

  /** `limitBytes` 0: half of the memory that this process may use. */
  constructor(
    limitBytes: number,
    private readonly report: (line: string) => void,
  ) {
    const { heap_size_limit, used_heap_size } = getHeapStatistics();
    const oldGenerationBytes = heap_size_limit - YOUNG_GENERATION_BYTES - used_heap_size;
    this.heapLimitBytes = Math.max(0, Math.floor(oldGenerationBytes * HEAP_PART));
    const constrained = process.constrainedMemory?.() ?? 0;
    const availableBytes = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
    this.limitBytes = limitBytes > 0 ? limitBytes : Math.floor(availableBytes / 2);
  }

  /** Why so many bytes in so many words more cannot be held; undefined when they can. */
  refusal(keyspace: Keyspace, sizeBytes: number, words: number): string | undefined {
    const why = this.reason(keyspace, sizeBytes, words);
    if (why === undefined) {
      this.wasFull = false;
      return undefined;
    }
    if (!this.wasFull) this.report(`writes that add something are refused: ${why}`);
    this.wasFull = true;
    return `OOM command not allowed when used memory > 'maxmemory': ${why}`;
  }

  private reason(keyspace: Keyspace, sizeBytes: number, words: number): string | undefined {
    const { heapBytes, outsideBytes, size } = keyspace;
    if (size + words > KEYS_LIMIT) return `there are ${size} keys, and ${KEYS_LIMIT} is the most`;
    const addedBytes = sizeBytes + words * WORD_HEAP_BYTES;
    if (heapBytes + addedBytes > this.heapLimitBytes) {
      return (
        `keys and short values take ${heapBytes} bytes of ${this.heapLimitBytes}; ` +
        "a larger heap (NODE_OPTIONS=--max-old-space-size=<MiB>) has more"
      );
    }
    if (heapBytes + outsideBytes + addedBytes > this.limitBytes) {
      return `keys and values take ${heapBytes + outsideBytes} bytes of ${this.limitBytes}`;
    }
    return undefined;
  }

  /** Why a log cannot be read on; undefined when it can. */
  recoveryRefusal(keyspace: Keyspace): string | undefined {
    // Whatever was acknowledged has to come back, so all of the heap but a tenth may be used.
    const heapLimitBytes = (this.heapLimitBytes / HEAP_PART) * 0.9;
    if (keyspace.heapBytes < heapLimitBytes) return undefined;
    return (
      `its keys and short values take more than ${Math.floor(heapLimitBytes)} bytes of heap: ` +
      "start with a larger one (NODE_OPTIONS=--max-old-space-size=<MiB>)"
    );
  }
}
