/**
 * The keyspace and the records of what changes it, so that neither can be changed without the
 * other. A command calls `begin()`, makes its changes, and calls `end()`: that is one record.
 */

import { type Entry, Keyspace } from "./keyspace.js";
import { Batch } from "./log/batch.js";
import { appendValue, type Value } from "./value.js";

export class Data {
  readonly keyspace = new Keyspace();
  /** Where records gather until the next commit takes them. */
  batch = new Batch();

  begin(): void {
    this.batch.begin();
  }

  end(): void {
    this.batch.end();
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
