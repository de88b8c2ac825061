/** Patterns, integers and checksums. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { crc32, crc32Table } from "./crc.js";
import { globMatches } from "./glob.js";
import { Random, seedOf } from "./harness.test.support.js";
import { addIntegers, INTEGER_MAX, INTEGER_MIN, parseInteger } from "./integers.js";
import { appendValue, valueFrom, valueText } from "./value.js";

const test = suite("words");
const random = new Random(seedOf("words"));

const patterns: [pattern: string, yes: string[], no: string[]][] = [
  ["*", ["", "a", "abc"], []],
  ["", [""], ["a"]],
  ["a", ["a"], ["", "b", "aa"]],
  ["h?llo", ["hello", "hallo"], ["hllo", "heello"]],
  ["h*llo", ["hllo", "heeeello", "hllollo"], ["hell"]],
  ["h[ae]llo", ["hello", "hallo"], ["hillo"]],
  ["h[^e]llo", ["hallo", "hbllo"], ["hello"]],
  ["h[a-c]llo", ["hallo", "hbllo", "hcllo"], ["hdllo"]],
  ["h[c-a]llo", ["hbllo"], ["hdllo"]],
  ["\\*", ["*"], ["a", "\\*"]],
  ["[\\]]", ["]"], ["\\"]],
  ["a\\", ["a\\"], ["a"]],
  ["[abc", ["a", "c"], ["d"]],
  ["[]", [], ["a", "]"]],
  ["**a**", ["a", "bab"], ["b", ""]],
  ["*a*b*c", ["abc", "xaxbxc"], ["abcx", "acb"]],
  ["user:*:name", ["user:1:name", "user::name"], ["user:1:names"]],
];
for (const [pattern, yes, no] of patterns) {
  test(`pattern ${JSON.stringify(pattern)}`, () => {
    for (const text of yes) assert.ok(globMatches(pattern, text), `takes ${text}`);
    for (const text of no) assert.not.ok(globMatches(pattern, text), `does not take ${text}`);
  });
}

test("a hostile pattern costs no more than its length times the text's", () => {
  assert.not.ok(globMatches(`${"a*".repeat(2000)}b`, "a".repeat(5000)));
});

test("patterns of stars and letters agree with regular expressions", () => {
  for (let round = 0; round < 3000; round++) {
    const make = (letters: string[]) =>
      Array.from({ length: random.below(8) }, () => random.pick(letters)).join("");
    const pattern = make(["a", "b", "*", "?"]);
    const text = make(["a", "b"]);
    const expected = new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`).test(
      text,
    );
    assert.is(globMatches(pattern, text), expected, `${pattern} on ${text}`);
  }
});

test("integers are read as Redis reads them", () => {
  for (const text of ["0", "1", "-1", "999999999999999", "-123456789012345"]) {
    assert.is(parseInteger(text), Number(text));
  }
  for (const text of ["1000000000000000", String(INTEGER_MAX), String(INTEGER_MIN)]) {
    assert.is(parseInteger(text), BigInt(text));
  }
  const bad = ["", "-", "+1", "01", "-0", " 1", "1 ", "1.0", "0x1", "1e3", "9223372036854775808"];
  for (const text of [...bad, "-9223372036854775809", "1".repeat(30)]) {
    assert.is(parseInteger(text), undefined, text);
  }
});

test("sums leave 64 bits only as an error", () => {
  assert.is(addIntegers(1, -2), -1);
  assert.is(addIntegers(2 ** 53 - 1, 2), 2n ** 53n + 1n);
  assert.is(addIntegers(INTEGER_MAX, 0), INTEGER_MAX);
  assert.is(addIntegers(INTEGER_MAX, 1), undefined);
  assert.is(addIntegers(INTEGER_MIN, -1), undefined);
});

test("both checksums are CRC-32", () => {
  assert.is(crc32Table(Buffer.from("123456789"), 0, 9), 0xcbf43926);
  for (const length of [0, 1, 50, 95, 96, 97, 5000]) {
    const bytes = random.bytes(length);
    assert.is(crc32(bytes, 0, length), crc32Table(bytes, 0, length));
  }
});

test("appending keeps what older views show, and copies rarely", () => {
  let value = valueFrom(Buffer.from("start"), 0, 5);
  let expected = "start";
  let moves = 0;
  for (let round = 0; round < 5000; round++) {
    const before = value;
    const beforeText = round % 97 === 0 ? valueText(before) : "";
    value = appendValue(value, `${round},`);
    expected += `${round},`;
    if (typeof value !== "string") {
      if (typeof before === "string" || before.buffer !== value.buffer) moves++;
    }
    if (beforeText !== "") assert.ok(valueText(before) === beforeText);
  }
  assert.ok(valueText(value) === expected);
  assert.ok(moves < 10, `${moves} moves`);
});

test.run();
