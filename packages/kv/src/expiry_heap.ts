/**
 * The entries that have a time, the earliest first: a binary heap. Each entry knows its place in it
 * (`heapIndex`), so that one whose time changes or that is removed is found without a search.
 *
 * The number of keys that have a time but have not expired costs nothing: to find what has expired
 * takes one look at the first entry.
 */

import type { Entry } from "./keyspace.js";

export const NOT_IN_HEAP = -1;

export class ExpiryHeap {
  private readonly entries: Entry[] = [];

  get size(): number {
    return this.entries.length;
  }

  /** The entry whose time comes first. */
  get first(): Entry | undefined {
    return this.entries[0];
  }

  add(entry: Entry): void {
    entry.heapIndex = this.entries.length;
    this.entries.push(entry);
    this.rise(entry);
  }

  remove(entry: Entry): void {
    const { heapIndex } = entry;
    entry.heapIndex = NOT_IN_HEAP;
    const last = this.entries.pop()!;
    if (last === entry) return;
    this.put(last, heapIndex);
    this.moved(last);
  }

  /** The time of an entry in the heap has changed. */
  moved(entry: Entry): void {
    this.rise(entry);
    this.sink(entry);
  }

  private rise(entry: Entry): void {
    let index = entry.heapIndex;
    while (index > 0) {
      const parent = this.entries[(index - 1) >> 1]!;
      if (parent.expireAtMs <= entry.expireAtMs) break;
      const above = parent.heapIndex;
      this.put(parent, index);
      index = above;
    }
    this.put(entry, index);
  }

  private sink(entry: Entry): void {
    const { entries } = this;
    let index = entry.heapIndex;
    for (;;) {
      let child = entries[index * 2 + 1];
      if (child === undefined) break;
      const right = entries[index * 2 + 2];
      if (right !== undefined && right.expireAtMs < child.expireAtMs) child = right;
      if (entry.expireAtMs <= child.expireAtMs) break;
      const below = child.heapIndex;
      this.put(child, index);
      index = below;
    }
    this.put(entry, index);
  }

  private put(entry: Entry, index: number): void {
    this.entries[index] = entry;
    entry.heapIndex = index;
  }
}
