/**
 * The keys and values in memory, with what group commit needs around them.
 *
 * A change takes effect here at once, before the log has it. Three things follow from that:
 *
 * - Every entry carries the number of the batch (`sequence`) that last changed it, and removals are
 *   remembered as the number of the latest batch with one. `touched` gathers the highest number a
 *   command has seen, and its reply waits for that batch and no longer.
 * - Every change notes what was there before, per batch, so that a batch that cannot be written is
 *   undone and no later reader sees it.
 * - Only expiry changes anything without a note. It needs none: an expired key is gone whether or
 *   not the batch that gave it its time is undone, because undoing puts the older entry back whole.
 *
 * The order of SCAN: each entry gets an id that grows, and a slot in an array sorted by id. SCAN
 * walks down from the newest id and its cursor is the id it has come to. New keys get higher ids,
 * behind the walk, so the walk ends; a key that is there throughout keeps its id, so it is seen.
 */

import { ExpiryHeap, NOT_IN_HEAP } from "./expiry_heap.js";
import type { Value } from "./value.js";

/** What an entry costs in the log beside its key and value, about. */
const RECORD_OVERHEAD_BYTES = 32;

/**
 * What an entry takes of V8's heap beside its key and value, and what a short and a long value take
 * beside their bytes: a little more than was measured (146 to 173 with a key of 6 bytes, 335 for a
 * long value; Node 20, 64-bit), because a Map doubles its table when it is full.
 */
const ENTRY_HEAP_BYTES = 176;
const SHORT_VALUE_HEAP_BYTES = 24;
const LONG_VALUE_HEAP_BYTES = 200;

const ABSENT = -1;

export class Entry {
  /** When the key ceases to be, in milliseconds since 1970; 0 is never. */
  expireAtMs = 0;
  sequence = 0;
  slot = ABSENT;
  /** Where it is in the heap of entries with a time. */
  heapIndex = NOT_IN_HEAP;

  constructor(
    readonly key: string,
    public value: Value,
  ) {}
}

/** What there was before a change: an entry's state, or all of it before a flush. */
interface EntryBefore {
  readonly entry: Entry;
  readonly value: Value;
  readonly expireAtMs: number;
  readonly sequence: number;
  /** 0 when the entry was not in the keyspace. */
  readonly id: number;
}
interface AllBefore {
  readonly entry: undefined;
  readonly state: State;
}
export type Undo = (EntryBefore | AllBefore)[];

/** See `Keyspace.mark`. */
export interface Mark {
  readonly notes: number;
  readonly lastChange: number;
  readonly lastRemoval: number;
}

interface State {
  entries: Map<string, Entry>;
  slots: (Entry | undefined)[];
  ids: number[];
  expiring: ExpiryHeap;
  liveBytes: number;
  heapBytes: number;
  outsideBytes: number;
}

/** An entry as a snapshot holds it. Values never change in place, so the references suffice. */
export interface SnapshotEntry {
  readonly key: string;
  readonly value: Value;
  readonly expireAtMs: number;
}

export class Keyspace {
  /** The number of the batch that changes belong to at the moment. */
  sequence = 1;
  /** The highest batch number seen since it was last set to 0. */
  touched = 0;
  /** How many keys have ceased by expiry. */
  expiredCount = 0;

  private state: State = emptyState();
  private nextId = 1;
  private lastChange = 0;
  private lastRemoval = 0;
  private undo: Undo = [];

  get size(): number {
    return this.state.entries.size;
  }

  get expiringCount(): number {
    return this.state.expiring.size;
  }

  /** About how long a log would be that holds only what there is. */
  get liveBytes(): number {
    return this.state.liveBytes;
  }

  /** About how much of V8's heap the keys and short values take. */
  get heapBytes(): number {
    return this.state.heapBytes;
  }

  /** How much memory outside of the heap the long values take. */
  get outsideBytes(): number {
    return this.state.outsideBytes;
  }

  /** The entry of a key that has not expired. */
  find(key: string, nowMs: number): Entry | undefined {
    const entry = this.state.entries.get(key);
    if (entry === undefined) {
      if (this.lastRemoval > this.touched) this.touched = this.lastRemoval;
      return undefined;
    }
    if (entry.sequence > this.touched) this.touched = entry.sequence;
    if (entry.expireAtMs !== 0 && entry.expireAtMs <= nowMs) {
      this.expire(entry);
      return undefined;
    }
    return entry;
  }

  /** For answers about all keys: they depend on every change so far. */
  touchAll(): void {
    if (this.lastChange > this.touched) this.touched = this.lastChange;
  }

  set(key: string, value: Value, expireAtMs: number): void {
    const existing = this.state.entries.get(key);
    if (existing === undefined) {
      const entry = new Entry(key, value);
      this.note(entry, 0);
      this.insert(entry, this.nextId++);
      this.setExpiryField(entry, expireAtMs);
      this.changed(entry);
      return;
    }
    this.note(existing, this.state.ids[existing.slot]!);
    this.weigh(existing, -1);
    existing.value = value;
    this.weigh(existing, 1);
    this.setExpiryField(existing, expireAtMs);
    this.changed(existing);
  }

  setExpiry(entry: Entry, expireAtMs: number): void {
    this.note(entry, this.state.ids[entry.slot]!);
    this.setExpiryField(entry, expireAtMs);
    this.changed(entry);
  }

  remove(entry: Entry): void {
    this.note(entry, this.state.ids[entry.slot]!);
    this.detach(entry);
    this.changed(entry);
    this.lastRemoval = this.sequence;
  }

  clear(): void {
    this.undo.push({ entry: undefined, state: this.state });
    this.state = emptyState();
    this.lastChange = this.lastRemoval = this.sequence;
    if (this.sequence > this.touched) this.touched = this.sequence;
  }

  /** Ends the current batch: hands over its notes and begins the next one. */
  seal(): Undo {
    const undo = this.undo;
    this.undo = [];
    this.sequence++;
    return undo;
  }

  /** A moment within the batch to which `rollbackTo` can go back. */
  mark(): Mark {
    return {
      notes: this.undo.length,
      lastChange: this.lastChange,
      lastRemoval: this.lastRemoval,
    };
  }

  /**
   * Takes back what was changed since the mark. `hasOthers` says whether the batch holds other
   * changes: without any it is never committed, so nothing may depend on it.
   */
  rollbackTo(mark: Mark, hasOthers: boolean): void {
    this.rollback(this.undo.splice(mark.notes));
    this.lastChange = mark.lastChange;
    // An expiry in between may have noted an older batch, which counts anyway.
    if (!hasOthers && this.lastRemoval === this.sequence) {
      this.lastRemoval = Math.max(mark.lastRemoval, this.sequence - 1);
    }
    this.touched = 0;
  }

  /** Drops the notes without ending the batch: recovery needs none. */
  forgetUndo(): void {
    this.undo.length = 0;
  }

  /** Takes back a batch. Later batches must have been taken back before. */
  rollback(undo: Undo): void {
    for (let index = undo.length - 1; index >= 0; index--) {
      const before = undo[index]!;
      if (before.entry === undefined) {
        this.state = before.state;
      } else {
        this.restore(before);
      }
    }
  }

  private restore(before: EntryBefore): void {
    const entry = before.entry;
    if (entry.slot !== ABSENT) this.detach(entry);
    entry.value = before.value;
    entry.sequence = before.sequence;
    entry.expireAtMs = 0;
    if (before.id === 0) return;
    this.insert(entry, before.id);
    this.setExpiryField(entry, before.expireAtMs);
  }

  /**
   * Visits up to `count` entries from the cursor on; returns the cursor to go on with. 0 starts a
   * walk and means the end of it.
   */
  scan(cursor: number, count: number, nowMs: number, visit: (entry: Entry) => void): number {
    this.touchAll();
    const { slots, ids } = this.state;
    let slot = (cursor === 0 ? ids.length : lowerBound(ids, cursor)) - 1;
    let seen = 0;
    for (; slot >= 0 && seen < count; slot--) {
      const entry = slots[slot];
      if (entry === undefined) continue;
      seen++;
      if (entry.expireAtMs === 0 || entry.expireAtMs > nowMs) visit(entry);
    }
    return slot < 0 ? 0 : ids[slot + 1]!;
  }

  /** Any key, or undefined when there is none. */
  random(nowMs: number): Entry | undefined {
    this.touchAll();
    const { slots } = this.state;
    for (let tries = 0; tries < 100 && this.size > 0; tries++) {
      const entry = slots[Math.floor(Math.random() * slots.length)];
      if (entry !== undefined && (entry.expireAtMs === 0 || entry.expireAtMs > nowMs)) return entry;
    }
    for (const entry of this.state.entries.values()) {
      if (entry.expireAtMs === 0 || entry.expireAtMs > nowMs) return entry;
    }
    return undefined;
  }

  /** Removes up to `limit` keys whose time is over, the earliest first; how many it removed. */
  expireSome(limit: number, nowMs: number): number {
    const { expiring } = this.state;
    let expired = 0;
    for (; expired < limit; expired++) {
      const { first } = expiring;
      if (first === undefined || first.expireAtMs > nowMs) break;
      this.expire(first);
    }
    return expired;
  }

  /**
   * Everything there is at this moment, as references: cheap, and untouched by later changes. Keys
   * whose time is over are among it: commands that run later with the time of an earlier moment may
   * still change them, and replay needs them then.
   */
  snapshot(): SnapshotEntry[] {
    const taken: SnapshotEntry[] = [];
    for (const entry of this.state.entries.values()) {
      taken.push({ key: entry.key, value: entry.value, expireAtMs: entry.expireAtMs });
    }
    return taken;
  }

  private expire(entry: Entry): void {
    this.expiredCount++;
    if (entry.sequence > this.lastRemoval) this.lastRemoval = entry.sequence;
    this.detach(entry);
  }

  private note(entry: Entry, id: number): void {
    const { value, expireAtMs, sequence } = entry;
    this.undo.push({ entry, value, expireAtMs, sequence, id });
  }

  private changed(entry: Entry): void {
    entry.sequence = this.sequence;
    this.lastChange = this.sequence;
    this.touched = this.sequence;
  }

  private setExpiryField(entry: Entry, expireAtMs: number): void {
    const { expiring } = this.state;
    if (expireAtMs === 0 && entry.heapIndex !== NOT_IN_HEAP) expiring.remove(entry);
    entry.expireAtMs = expireAtMs;
    if (expireAtMs === 0) return;
    if (entry.heapIndex === NOT_IN_HEAP) expiring.add(entry);
    else expiring.moved(entry);
  }

  /** Puts the entry in. A new id goes to the end; one that comes back goes to its old place. */
  private insert(entry: Entry, id: number): void {
    const { entries, slots, ids } = this.state;
    entries.set(entry.key, entry);
    this.weigh(entry, 1);
    if (ids.length === 0 || id > ids[ids.length - 1]!) {
      entry.slot = ids.length;
      ids.push(id);
      slots.push(entry);
      return;
    }
    const slot = lowerBound(ids, id);
    if (ids[slot] === id) {
      slots[slot] = entry;
      entry.slot = slot;
      return;
    }
    ids.splice(slot, 0, id);
    slots.splice(slot, 0, entry);
    renumber(slots, slot);
  }

  /** Takes the entry out; its time stays on it for the code that noted it. */
  private detach(entry: Entry): void {
    const { entries, slots, ids, expiring } = this.state;
    entries.delete(entry.key);
    if (entry.heapIndex !== NOT_IN_HEAP) expiring.remove(entry);
    this.weigh(entry, -1);
    slots[entry.slot] = undefined;
    entry.slot = ABSENT;
    if (ids.length > 64 && entries.size * 2 < ids.length) this.closeGaps();
  }

  /** Adds what an entry weighs, or takes it off. */
  private weigh(entry: Entry, sign: 1 | -1): void {
    const { state } = this;
    const { key, value } = entry;
    state.liveBytes += sign * (key.length + value.length + RECORD_OVERHEAD_BYTES);
    if (typeof value === "string") {
      state.heapBytes +=
        sign * (ENTRY_HEAP_BYTES + key.length + SHORT_VALUE_HEAP_BYTES + value.length);
    } else {
      state.heapBytes += sign * (ENTRY_HEAP_BYTES + key.length + LONG_VALUE_HEAP_BYTES);
      state.outsideBytes += sign * value.buffer.byteLength;
    }
  }

  private closeGaps(): void {
    const { slots, ids } = this.state;
    let kept = 0;
    for (let slot = 0; slot < slots.length; slot++) {
      const entry = slots[slot];
      if (entry === undefined) continue;
      slots[kept] = entry;
      ids[kept] = ids[slot]!;
      entry.slot = kept++;
    }
    slots.length = ids.length = kept;
  }
}

function emptyState(): State {
  return {
    entries: new Map(),
    slots: [],
    ids: [],
    expiring: new ExpiryHeap(),
    liveBytes: 0,
    heapBytes: 0,
    outsideBytes: 0,
  };
}

function renumber(slots: readonly (Entry | undefined)[], from: number): void {
  for (let slot = from; slot < slots.length; slot++) {
    const entry = slots[slot];
    if (entry !== undefined) entry.slot = slot;
  }
}

/** The first index whose id is not below the given one. */
function lowerBound(ids: readonly number[], id: number): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ids[middle]! < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
