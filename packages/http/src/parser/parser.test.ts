// The parser against llhttp: on a corpus of classes, on mutations of it, and in any pieces.

import { METHODS as NODE_METHODS } from "node:http";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CORPUS } from "./corpus.test.support.js";
import { llhttpVerdict, type Message, ourVerdict, type Verdict } from "./oracle.test.support.js";
import { METHODS } from "./tables.js";

// HTTP_MUTATIONS=10000000 is the long run.
const mutations = Number(process.env["HTTP_MUTATIONS"] ?? 200_000);
const seed = Number(process.env["HTTP_SEED"] ?? Date.now() % 1_000_000_000);

let randomState = seed;
function below(limit: number): number {
  randomState = (randomState + 0x6d2b79f5) | 0;
  let mixed = Math.imul(randomState ^ (randomState >>> 15), 1 | randomState);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * limit);
}

function pick<T>(choices: readonly T[]): T {
  return choices[below(choices.length)]!;
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

// What ours made of it before it refused something that llhttp takes.
function isBeginning(ours: readonly Message[], theirs: readonly Message[]): boolean {
  return ours.every((message, index) => {
    const other = theirs[index];
    if (other === undefined) return false;
    if (message.complete) return isEqual(message, other);
    const { body, trailer: _, complete: __, ...head } = message;
    const { body: otherBody, trailer: ___, complete: ____, ...otherHead } = other;
    return isEqual(head, otherHead) && otherBody.startsWith(body);
  });
}

// HTTP/1.0 with both options: llhttp keeps the connection, and RFC 9112 9.3 ends it.
function saysBoth(message: Message | undefined): boolean {
  if (message?.minorVersion !== 0) return false;
  const options = message.fields
    .filter(([name]) => name === "connection")
    .flatMap(([, value]) =>
      value
        .toLowerCase()
        .split(",")
        .map((option) => option.trim()),
    );
  return options.includes("close") && options.includes("keep-alive");
}

/**
 * What is wrong between the two verdicts; empty when nothing is. Of some faults llhttp tells with
 * the byte behind them: `refusesNext`.
 */
function difference(ours: Verdict, theirs: Verdict, refusesNext: () => boolean): string {
  if (ours.ours?.stricter || saysBoth(ours.messages.at(-1))) {
    return isBeginning(ours.messages, theirs.messages) ? "" : "another beginning";
  }
  if (ours.fault !== "" && theirs.fault === "" && !refusesNext()) {
    return `refused (${ours.fault}), llhttp takes it`;
  }
  // llhttp may see earlier that nothing right can follow: then ours has taken nothing more.
  if (isEqual(ours.messages, theirs.messages)) return "";
  return theirs.fault === "" ? "another message" : `taken, llhttp refuses it (${theirs.fault})`;
}

function check(name: string, bytes: Buffer, pieces: readonly Buffer[]): void {
  const whole = ourVerdict([bytes]);
  const next = Buffer.concat([bytes, Buffer.from("X")]);
  const refusesNext = (): boolean => llhttpVerdict([next]).fault !== "";
  const problem = difference(whole, llhttpVerdict([bytes]), refusesNext);
  const shown = () =>
    `${name}: ${JSON.stringify(bytes.toString("latin1"))}\nours: ${JSON.stringify(whole)}\n` +
    `llhttp: ${JSON.stringify(llhttpVerdict([bytes]))}`;
  assert.ok(problem === "", `${problem}\n${shown()}`);
  if (pieces.length < 2) return;
  const cut = ourVerdict(pieces);
  assert.ok(isEqual(whole, cut), `in pieces: ${JSON.stringify(cut)}\n${shown()}`);
}

function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.slice().sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index]!, end));
}

const SPECIAL = [
  ...'\r\n \t:;,="\\/?#*%@[]()+-0159afgGHT._~\0\x01\x0b\x0c\x7f\x80\xff',
  ...["\r\n", "\r\n\r\n", "\n\n", " HTTP/1.1", "chunked", "Content-Length: 1\r\n", "0\r\n\r\n"],
  ...["Transfer-Encoding: chunked\r\n", "Host: b\r\n", "Connection: close\r\n", "\r\n "],
].map((text) => Buffer.from(text, "latin1"));

function mutate(bytes: Buffer): Buffer {
  const at = below(bytes.length + 1);
  const length = below(below(4) === 0 ? 40 : 4);
  const before = bytes.subarray(0, at);
  const after = bytes.subarray(Math.min(bytes.length, at + length));
  switch (below(5)) {
    case 0:
      return Buffer.concat([before, after]);
    case 1:
      return Buffer.concat([before, pick(SPECIAL), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([before, pick(SPECIAL), after]);
    case 3:
      return Buffer.concat([before, bytes.subarray(at, at + length), bytes.subarray(at)]);
    default: {
      const other = pick(CORPUS).bytes;
      return Buffer.concat([before, other.subarray(below(other.length))]);
    }
  }
}

const test = suite("parser");

test("the methods are those of node:http", () => {
  // A newer Node may know more of them.
  assert.equal(
    METHODS.filter((method) => !NODE_METHODS.includes(method) && method !== "QUERY"),
    [],
  );
});

test("the corpus: as llhttp reads it, or stricter for a reason that is written down", () => {
  for (const { name, bytes } of CORPUS) {
    check(name, bytes, cutAt(bytes, Array.from(bytes.keys()).slice(1)));
  }
});

test("the oracle refuses and takes", () => {
  assert.is(
    llhttpVerdict([Buffer.from("GET / HTTP/1.1\r\nHost : a\r\n\r\n")]).fault.length > 0,
    true,
  );
  const { fault, messages } = llhttpVerdict([Buffer.from("GET /a HTTP/1.1\r\nX: b \r\n\r\n")]);
  assert.is(fault, "");
  assert.equal(messages[0]?.fields, [["x", "b"]]);
});

test(`${mutations} mutated requests`, () => {
  process.stdout.write(`parser: seed ${seed} (repeat with HTTP_SEED=${seed})\n`);
  const counts = { taken: 0, refused: 0, stricter: 0 };
  for (let round = 0; round < mutations; round++) {
    let { bytes } = pick(CORPUS);
    for (let left = 1 + below(3); left > 0; left--) bytes = mutate(bytes);
    const places = Array.from({ length: below(4) }, () => below(bytes.length + 1));
    check(`round ${round}`, bytes, cutAt(bytes, places));
    if (round % 16 !== 0) continue;
    const { fault, ours } = ourVerdict([bytes]);
    counts[fault === "" ? "taken" : ours?.stricter ? "stricter" : "refused"]++;
  }
  process.stdout.write(`parser: of every sixteenth: ${JSON.stringify(counts)}\n`);
  assert.ok(Math.min(counts.taken, counts.refused, counts.stricter) > mutations / 1000);
});

test.run();
