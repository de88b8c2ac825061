/**
 * The keyspace and the records of what changes it, so that neither can be changed without the
 * other. `change()` runs what makes changes: all of them are one record, or, when it throws, none
 * of them are.
 */

import { type Entry, Keyspace } from "./keyspace.js";
import { Batch } from "./log/batch.js";
import { appendValue, type Value } from "./value.js";

export class Data {
  readonly keyspace = new Keyspace();
  /** Where records gather until the next commit takes them. */
  batch = new Batch();

  /**
   * Runs what makes changes. They become one record. When `make` throws, the record is dropped and
   * the keyspace is as it was: half a record in the batch would spoil every later one.
   */
  change(make: () => void): void {
    const { batch, keyspace } = this;
    batch.begin();
    const mark = keyspace.mark();
    try {
      make();
      batch.end();
    } catch (error) {
      batch.abandon();
      keyspace.rollbackTo(mark, batch.records > 0);
      throw error;
    }
  }

  set(key: string, value: Value, expireAtMs: number): void {
    this.keyspace.set(key, value, expireAtMs);
    this.batch.set(key, value, expireAtMs);
  }

  append(entry: Entry, addition: Value): void {
    this.keyspace.set(entry.key, appendValue(entry.value, addition), entry.expireAtMs);
    this.batch.append(entry.key, addition);
  }

  remove(entry: Entry): void {
    this.keyspace.remove(entry);
    this.batch.remove(entry.key);
  }

  expire(entry: Entry, expireAtMs: number): void {
    this.keyspace.setExpiry(entry, expireAtMs);
    this.batch.expire(entry.key, expireAtMs);
  }

  clear(): void {
    this.keyspace.clear();
    this.batch.clear();
  }
}
