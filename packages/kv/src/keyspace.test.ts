/** The keyspace: against a plain model, taking batches back, and what SCAN promises. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Random, seedOf } from "./harness.test.support.js";
import { Keyspace, type Undo } from "./keyspace.js";

const test = suite("keyspace");
const random = new Random(seedOf("keyspace"));

function contents(keyspace: Keyspace, nowMs: number): string {
  const all = keyspace
    .snapshot()
    .filter((entry) => entry.expireAtMs === 0 || entry.expireAtMs > nowMs)
    .map((entry) => `${entry.key}=${entry.value}@${entry.expireAtMs}`);
  return all.sort().join(" ");
}

/** A random change; time stands still unless the test moves it. */
function change(keyspace: Keyspace, nowMs: number): void {
  const key = `k${random.below(30)}`;
  const entry = keyspace.find(key, nowMs);
  switch (random.below(8)) {
    case 0:
      if (entry !== undefined) keyspace.remove(entry);
      break;
    case 1:
      if (entry !== undefined) keyspace.setExpiry(entry, random.pick([0, nowMs + 5, nowMs + 500]));
      break;
    case 2:
      if (random.below(20) === 0) keyspace.clear();
      break;
    default:
      keyspace.set(key, `v${random.below(1000)}`, random.pick([0, 0, nowMs + 3]));
  }
}

function scanAll(keyspace: Keyspace, count: number, between: () => void): string[] {
  const seen: string[] = [];
  let cursor = 0;
  do {
    cursor = keyspace.scan(cursor, count, 0, (entry) => seen.push(entry.key));
    between();
  } while (cursor !== 0);
  return seen;
}

test("batches that are taken back leave no trace, expiry apart", () => {
  for (let round = 0; round < 300; round++) {
    const keyspace = new Keyspace();
    let nowMs = 1000;
    for (let count = random.below(60); count > 0; count--) change(keyspace, nowMs);
    keyspace.seal();
    const before = keyspace.snapshot();
    const undos: Undo[] = [];
    for (let batches = 1 + random.below(3); batches > 0; batches--) {
      for (let count = random.below(40); count > 0; count--) {
        change(keyspace, nowMs);
        if (random.below(10) === 0) nowMs += random.below(4);
        if (random.below(10) === 0) keyspace.expireSome(10, nowMs);
      }
      undos.push(keyspace.seal());
    }
    for (const undo of undos.reverse()) keyspace.rollback(undo);
    const expected = before
      .filter((entry) => entry.expireAtMs === 0 || entry.expireAtMs > nowMs)
      .map((entry) => `${entry.key}=${entry.value}@${entry.expireAtMs}`);
    assert.is(contents(keyspace, nowMs), expected.sort().join(" "));
    checkInside(keyspace);
  }
});

/** The counts and the order that the keyspace keeps beside the entries agree with them. */
function checkInside(keyspace: Keyspace): void {
  const all = keyspace.snapshot();
  assert.is(keyspace.size, all.length);
  assert.is(keyspace.expiringCount, all.filter((entry) => entry.expireAtMs !== 0).length);
  const bytes = all.reduce((sum, entry) => sum + entry.key.length + entry.value.length + 32, 0);
  assert.is(keyspace.liveBytes, bytes);
  const seen = scanAll(keyspace, 7, () => undefined);
  assert.equal([...seen].sort(), all.map((entry) => entry.key).sort());
}

test("a scan sees every key that is there throughout, once, and ends under changes", () => {
  for (let round = 0; round < 100; round++) {
    const keyspace = new Keyspace();
    const steady = new Set<string>();
    for (let index = 0; index < 200; index++) {
      keyspace.set(`k${index}`, "v", 0);
      if (random.below(2) === 0) steady.add(`k${index}`);
    }
    let added = 0;
    const seen = scanAll(keyspace, 1 + random.below(20), () => {
      for (let count = random.below(30); count > 0; count--) {
        const key = `k${random.below(200)}`;
        const entry = keyspace.find(key, 0);
        if (entry !== undefined && !steady.has(key)) keyspace.remove(entry);
        else if (entry !== undefined) keyspace.set(key, "changed", 0);
        keyspace.set(`new${added++}`, "v", 0);
      }
    });
    for (const key of steady) {
      assert.is(seen.filter((each) => each === key).length, 1, key);
    }
  }
});

test("a scan loses nothing when a removal is taken back behind it", () => {
  const keyspace = new Keyspace();
  for (let index = 0; index < 100; index++) keyspace.set(`k${index}`, "v", 0);
  keyspace.seal();
  const seen: string[] = [];
  const visit = (entry: { key: string }) => seen.push(entry.key);
  let cursor = keyspace.scan(0, 10, 0, visit);
  for (let index = 0; index < 80; index++) keyspace.remove(keyspace.find(`k${index}`, 0)!);
  keyspace.rollback(keyspace.seal());
  while (cursor !== 0) cursor = keyspace.scan(cursor, 10, 0, visit);
  assert.is(new Set(seen).size, 100);
});

test("expired keys are gone for every reader, and the cycle finds them", () => {
  const keyspace = new Keyspace();
  for (let index = 0; index < 100; index++) keyspace.set(`k${index}`, "v", index < 50 ? 10 : 1000);
  assert.is(keyspace.find("k1", 9)?.value, "v");
  assert.is(keyspace.find("k1", 10), undefined);
  assert.is(keyspace.size, 99);
  while (keyspace.expireSome(7, 10) === 7);
  assert.is(keyspace.size, 50);
  assert.is(keyspace.expiredCount, 50);
});

test("what has expired is found whatever else has a time", () => {
  const keyspace = new Keyspace();
  for (let index = 0; index < 5000; index++) keyspace.set(`long${index}`, "v", 1_000_000);
  const due = new Map<string, number>();
  for (let index = 0; index < 500; index++) {
    const key = `k${random.below(200)}`;
    const entry = keyspace.find(key, 0);
    const atMs = random.pick([0, 10 + random.below(100)]);
    if (entry === undefined || random.below(2) === 0) keyspace.set(key, "v", atMs);
    else if (random.below(4) === 0) keyspace.remove(entry);
    else keyspace.setExpiry(entry, atMs);
    const now = keyspace.find(key, 0);
    if (now === undefined || now.expireAtMs === 0) due.delete(key);
    else due.set(key, now.expireAtMs);
  }
  for (let nowMs = 0; nowMs <= 120; nowMs += 7) {
    const expected = [...due].filter(([, atMs]) => atMs <= nowMs);
    for (const [key] of expected) due.delete(key);
    assert.is(keyspace.expireSome(1000, nowMs), expected.length);
  }
  assert.is(keyspace.expiringCount, 5000);
});

test("a reader gets the batch that its answer depends on", () => {
  const keyspace = new Keyspace();
  const touchedBy = (key: string): number => {
    keyspace.touched = 0;
    keyspace.find(key, 100);
    return keyspace.touched;
  };
  keyspace.set("a", "1", 0);
  keyspace.seal();
  keyspace.set("b", "1", 0);
  assert.is(touchedBy("a"), 1);
  assert.is(touchedBy("b"), 2);
  assert.is(touchedBy("none"), 0);
  keyspace.seal();
  keyspace.remove(keyspace.find("a", 0)!);
  assert.is(touchedBy("a"), 3);
  keyspace.seal();
  keyspace.setExpiry(keyspace.find("b", 0)!, 50);
  assert.is(touchedBy("b"), 4);
  assert.is(touchedBy("b"), 4, "the key has gone because of batch 4");
});

test.run();
