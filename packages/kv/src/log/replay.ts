/**
 * Puts the operations of a record back into a keyspace. A record is checked whole before anything
 * of it is applied, so that a bad one changes nothing.
 */

import type { Keyspace } from "../keyspace.js";
import { appendValue, valueFrom } from "../value.js";
import { Operation } from "./format.js";

/** Replay reads the keyspace as if nothing ever expired. */
const BEFORE_ALL_TIME = -1;

/** False when the operations are malformed; nothing is applied then. */
export function replay(keyspace: Keyspace, bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    at = operationEnd(bytes, at, end);
    if (at < 0) return false;
  }
  for (let at = start; at < end; ) {
    apply(keyspace, bytes, at);
    at = operationEnd(bytes, at, end);
  }
  keyspace.forgetUndo();
  return true;
}

/** Where the operation ends, or -1 when it is none or leaves the record. */
function operationEnd(bytes: Buffer, at: number, end: number): number {
  const fixed = fixedBytes(bytes[at]!);
  if (fixed === 0 || at + fixed > end) return -1;
  if (fixed === 1) return at + 1;
  const code = bytes[at]!;
  const hasValue = code !== Operation.remove && code !== Operation.expire;
  const last =
    at + fixed + bytes.readUInt32LE(at + 1) + (hasValue ? bytes.readUInt32LE(at + 5) : 0);
  return last > end ? -1 : last;
}

/** The bytes of an operation before its key, or 0 when there is no such operation. */
function fixedBytes(code: number): number {
  switch (code) {
    case Operation.set:
    case Operation.append:
      return 9;
    case Operation.setExpiring:
      return 17;
    case Operation.remove:
      return 5;
    case Operation.expire:
      return 13;
    case Operation.clear:
      return 1;
    default:
      return 0;
  }
}

function apply(keyspace: Keyspace, bytes: Buffer, at: number): void {
  const code = bytes[at]!;
  if (code === Operation.clear) {
    keyspace.clear();
    return;
  }
  const keyStart = at + fixedBytes(code);
  const keyEnd = keyStart + bytes.readUInt32LE(at + 1);
  const key = bytes.toString("latin1", keyStart, keyEnd);
  const existing = keyspace.find(key, BEFORE_ALL_TIME);
  if (code === Operation.remove) {
    if (existing !== undefined) keyspace.remove(existing);
    return;
  }
  if (code === Operation.expire) {
    if (existing !== undefined) keyspace.setExpiry(existing, bytes.readDoubleLE(at + 5));
    return;
  }
  const value = valueFrom(bytes, keyEnd, keyEnd + bytes.readUInt32LE(at + 5));
  if (code === Operation.append && existing !== undefined) {
    keyspace.set(key, appendValue(existing.value, value), existing.expireAtMs);
  } else {
    keyspace.set(key, value, code === Operation.setExpiring ? bytes.readDoubleLE(at + 9) : 0);
  }
}
