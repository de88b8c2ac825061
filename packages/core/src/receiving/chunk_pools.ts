// The provided buffers of an IO's streams, by the size of a chunk; and the list of its streams.

import type { Memory } from "../engine/memory.js";
import { Reserve } from "../engine/reserve.js";
import { numberError } from "../errors.js";
import type { Ring } from "../ring/ring.js";
import { shown } from "../support/check.js";
import type { Area } from "./area.js";
import type { BufferGroup } from "./buffer_group.js";
import type { ChunkSource } from "./chunk_source.js";

const MIN_CHUNK_BYTES = 4096;
const MAX_CHUNK_BYTES = 1024 * 1024;
const CHUNK_BYTES = 16 * 1024;
// A UDP datagram is shorter. Of a buffer only the pages that were written to take memory.
const MESSAGE_BYTES = 64 * 1024;
const MIN_MESSAGE_BYTES = 2048;
// Streams that a warning names.
const MAX_NAMED = 8;

/** A stream of chunks, as far as it is looked after here. */
export interface TrackedStream {
  onClosing(): void;
  /** How many chunks the program has kept, and of which sockets. */
  describe(): { kept: number; address: string };
}

export class ChunkPools {
  readonly #ring: Ring;
  readonly #memory: Memory;
  readonly #maxBytes: number;
  readonly #groups = new Map<number, BufferGroup>();
  readonly #messageGroups = new Map<number, BufferGroup>();
  // By the bytes of a buffer, 0 for that of all streams of bytes.
  readonly #reserves = new Map<number, Reserve>();
  /** What a network device writes to, where the IO was opened with it. */
  readonly area: Area | null;
  // Streams that receive, or that have chunks which were not released.
  readonly #streams = new Set<TrackedStream>();

  constructor(ring: Ring, memory: Memory, maxBytes: number, area: Area | null) {
    this.#ring = ring;
    this.#memory = memory;
    this.area = area;
    this.#maxBytes = maxBytes;
  }

  /** The group that streams with chunks of this size share; those of datagrams have their own. */
  groupFor(messages: boolean, chunkBytes = messages ? MESSAGE_BYTES : CHUNK_BYTES): BufferGroup {
    checkChunkBytes(chunkBytes);
    const minBytes = messages ? MIN_MESSAGE_BYTES : MIN_CHUNK_BYTES;
    const bufferBytes = 2 ** Math.ceil(Math.log2(Math.max(chunkBytes, minBytes)));
    const groups = messages ? this.#messageGroups : this.#groups;
    let group = groups.get(bufferBytes);
    if (group === undefined) {
      const maxBytes = Math.max(this.#maxBytes, bufferBytes);
      group = this.#ring.bufferGroup({ bufferBytes, maxBytes, messages });
      groups.set(bufferBytes, group);
    }
    return group;
  }

  /** What a stream begins with: the area, which has chunks of its own size, where there is one. */
  memoryFor(chunkBytes = CHUNK_BYTES): ChunkSource {
    if (this.area === null) return this.groupFor(false, chunkBytes);
    checkChunkBytes(chunkBytes);
    return this.area;
  }

  /**
   * What a stream that holds nothing receives into while everything is lent. It may bring less at
   * once than a group does, but a message has to fit.
   */
  reserveFor(messages: BufferGroup | null): Reserve {
    const key = messages?.bufferBytes ?? 0;
    let reserve = this.#reserves.get(key);
    if (reserve === undefined) {
      reserve = new Reserve(this.#memory, key || MIN_CHUNK_BYTES, messages !== null);
      this.#reserves.set(key, reserve);
    }
    return reserve;
  }

  remember(stream: TrackedStream): void {
    this.#streams.add(stream);
  }

  forget(stream: TrackedStream): void {
    this.#streams.delete(stream);
  }

  /** The IO is being closed. */
  close(): void {
    for (const stream of this.#streams) stream.onClosing();
  }

  /** Names the sockets whose chunks the program has kept; undefined when it has kept none. */
  kept(): string | undefined {
    const kept = [...this.#streams]
      .map((stream) => stream.describe())
      .filter((description) => description.kept > 0);
    if (kept.length === 0) return undefined;
    const names = kept
      .slice(0, MAX_NAMED)
      .map(({ kept: count, address }) => `${count} of ${address}`);
    const others = kept.length - names.length;
    if (others > 0) names.push(`others of ${others} sockets`);
    return `chunks were never released: ${names.join(", ")}`;
  }
}

function checkChunkBytes(chunkBytes: number): void {
  if (Number.isInteger(chunkBytes) && chunkBytes >= 1 && chunkBytes <= MAX_CHUNK_BYTES) return;
  const message = `chunkBytes is ${shown(chunkBytes)}: give 1 to ${MAX_CHUNK_BYTES}`;
  throw numberError("chunks", chunkBytes, message);
}
