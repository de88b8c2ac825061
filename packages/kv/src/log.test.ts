/** Records: cut at every byte and with every bit flipped, exactly the good ones before are kept. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Data } from "./data.js";
import { Random, seedOf } from "./harness.test.support.js";
import type { Keyspace } from "./keyspace.js";
import { HEADER_BYTES, headerFault, makeHeader } from "./log/format.js";
import { replay } from "./log/replay.js";
import { RecordScanner } from "./log/scanner.js";

const test = suite("log");
const random = new Random(seedOf("log"));

function contents(keyspace: Keyspace): string {
  const all = keyspace.snapshot().map((entry) => `${entry.key}=${entry.value}@${entry.expireAtMs}`);
  return all.sort().join("|");
}

interface Written {
  readonly bytes: Buffer;
  /** Where each record ends, and what there is by then; the first is the empty beginning. */
  readonly ends: number[];
  readonly states: string[];
}

function write(records: number, valueBytes: number): Written {
  const data = new Data();
  const ends = [0];
  const states = [""];
  for (let count = 0; count < records; count++) {
    data.change(() => {
      for (let operations = 1 + random.below(3); operations > 0; operations--) {
        change(data, valueBytes);
      }
    });
    if (data.batch.sizeBytes === ends.at(-1)) continue;
    ends.push(data.batch.sizeBytes);
    states.push(contents(data.keyspace));
  }
  return { bytes: Buffer.from(data.batch.contents()), ends, states };
}

function change(data: Data, valueBytes: number): void {
  const key = random.bytes(1 + random.below(2)).toString("latin1");
  const entry = data.keyspace.find(key, 0);
  const value = random.bytes(random.below(valueBytes)).toString("latin1");
  const kind = random.below(7);
  if (kind === 0 && entry !== undefined) data.remove(entry);
  else if (kind === 1 && entry !== undefined) data.expire(entry, random.pick([0, 123456789012.5]));
  else if (kind === 2 && entry !== undefined) data.append(entry, value);
  else if (kind === 3 && random.below(10) === 0) data.clear();
  else data.set(key, value, random.pick([0, 1e12 + 0.25]));
}

function scan(bytes: Buffer, pieceBytes = bytes.length): { scanner: RecordScanner; state: string } {
  const { keyspace } = new Data();
  const scanner = new RecordScanner(0, bytes.length, (record, start, end) =>
    replay(keyspace, record, start, end),
  );
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    if (!scanner.push(bytes.subarray(at, at + pieceBytes))) break;
  }
  scanner.finish();
  return { scanner, state: contents(keyspace) };
}

function expectPrefix(written: Written, damaged: Buffer, good: number, what: string): void {
  const { scanner, state } = scan(damaged, 1 + random.below(damaged.length + 1));
  assert.is(scanner.records, good, what);
  assert.is(scanner.goodEnd, written.ends[good], what);
  assert.ok(state === written.states[good], what);
}

test("what was written is read back, in pieces of any size", () => {
  const written = write(3000, 50);
  for (const pieceBytes of [1, 2, 7, 8, 9, 64, 1000, written.bytes.length]) {
    const { scanner, state } = scan(written.bytes, pieceBytes);
    assert.is(scanner.fault, undefined);
    assert.is(scanner.records, written.ends.length - 1);
    assert.ok(state === written.states.at(-1));
  }
});

test("a log cut at any byte keeps the records before the cut", () => {
  const written = write(12, 20);
  for (let cut = 0; cut < written.bytes.length; cut++) {
    const good = written.ends.filter((end) => end <= cut).length - 1;
    expectPrefix(written, written.bytes.subarray(0, cut), good, `cut at ${cut}`);
    const zeroed = Buffer.from(written.bytes).fill(0, cut);
    const { scanner } = scan(zeroed);
    // A record that ends in zeros anyway may survive having its end zeroed.
    assert.ok(scanner.records >= good && scanner.goodEnd <= written.bytes.length);
  }
});

test("a log with any bit flipped keeps the records before it", () => {
  const written = write(12, 20);
  for (let bit = 0; bit < written.bytes.length * 8; bit++) {
    const damaged = Buffer.from(written.bytes);
    damaged[bit >> 3] = damaged[bit >> 3]! ^ (1 << (bit & 7));
    const good = written.ends.filter((end) => end <= bit >> 3).length - 1;
    expectPrefix(written, damaged, good, `bit ${bit}`);
  }
});

test("a record is applied whole or not at all", () => {
  const data = new Data();
  data.change(() => {
    data.set("a", "1", 0);
    data.set("b", "2", 0);
  });
  const record = Buffer.from(data.batch.contents());
  record[record.length - 11] = 99; // The second operation's code.
  const { keyspace } = new Data();
  assert.is(replay(keyspace, record, 8, record.length), false);
  assert.is(keyspace.size, 0);
});

test("zeros are no record, and a record without operations leaves no trace", () => {
  const { scanner } = scan(Buffer.alloc(4096));
  assert.is(scanner.records, 0);
  assert.is(scanner.fault, "length");
  const data = new Data();
  data.change(() => undefined);
  assert.is(data.batch.sizeBytes, 0);
});

test("a header is checked bit by bit", () => {
  const header = makeHeader(1234.5);
  assert.is(headerFault(header), undefined);
  for (let bit = 0; bit < HEADER_BYTES * 8; bit++) {
    const damaged = Buffer.from(header);
    damaged[bit >> 3] = damaged[bit >> 3]! ^ (1 << (bit & 7));
    assert.type(headerFault(damaged), "string");
  }
});

test.run();
