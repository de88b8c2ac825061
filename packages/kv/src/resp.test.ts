/** Requests and replies on the wire: the same result for every way of cutting the input. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodeRequest, feed, Random, seedOf } from "./harness.test.support.js";
import { splitInline } from "./resp/inline.js";
import { ChunkPool, ReplyWriter, replaceParts } from "./resp/reply.js";
import { ProtocolError, Request } from "./resp/request.js";

const test = suite("resp");
const random = new Random(seedOf("resp"));

/** Everything the input holds: requests as hex words, and the protocol error that ends it. */
function parse(pieces: readonly Buffer[], memoryBytes = 64): string[] {
  const request = new Request(Buffer.alloc(memoryBytes));
  const seen: string[] = [];
  try {
    for (const piece of pieces) {
      // As a server does: whatever fits is received, then everything complete is taken.
      for (let at = 0; at < piece.length; ) {
        const room = request.room();
        assert.ok(room.length > 0);
        const count = Math.min(room.length, piece.length - at);
        piece.copy(room, 0, at, at + count);
        request.received(count);
        at += count;
        while (request.next()) seen.push(words(request).join(" "));
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    seen.push(error.message);
  }
  return seen;
}

function words(request: Request): string[] {
  return Array.from({ length: request.count }, (_, index) =>
    Buffer.from(request.text(index), "latin1").toString("hex"),
  );
}

function randomInput(): Buffer {
  const parts: Buffer[] = [];
  for (let count = 1 + random.below(5); count > 0; count--) {
    if (random.below(4) === 0) {
      parts.push(
        Buffer.from(random.pick(["PING\r\n", "\r\n", 'SET "a b" c\n', "*0\r\n", "*-1\r\n"])),
      );
    } else {
      const length = 1 + random.below(4);
      parts.push(encodeRequest(Array.from({ length }, () => random.bytes(random.below(90)))));
    }
  }
  return Buffer.concat(parts);
}

test("a request reads the same whole, cut anywhere, and byte by byte", () => {
  for (let round = 0; round < 60; round++) {
    const input = randomInput();
    const whole = parse([input], 64 * 1024);
    assert.ok(!whole.some((line) => line.includes("'")), whole.join());
    for (let cut = 0; cut <= input.length; cut++) {
      assert.equal(parse([input.subarray(0, cut), input.subarray(cut)]), whole);
    }
    assert.equal(parse(Array.from(input, (byte) => Buffer.of(byte))), whole);
  }
});

test("damaged input gives an error or requests, the same for every cut, and never a throw", () => {
  for (let round = 0; round < 400; round++) {
    const input = randomInput();
    for (let flips = 1 + random.below(3); flips > 0; flips--) {
      input[random.below(input.length)] = random.below(256);
    }
    const whole = parse([input], 64 * 1024);
    const cut = random.below(input.length);
    assert.equal(parse([input.subarray(0, cut), input.subarray(cut)]), whole);
    assert.equal(parse(Array.from(input, (byte) => Buffer.of(byte))), whole);
  }
});

const malformed: [string, string][] = [
  ["*x\r\n", "invalid multibulk length"],
  ["*1048577\r\n", "invalid multibulk length"],
  ["*1\n$4\r\nPING\r\n", "invalid multibulk length"],
  [`*${"1".repeat(40)}`, "too big mbulk count string"],
  ["*1\r\n:4\r\n", "expected '$', got ':'"],
  ["*1\r\n\x01", "expected '$', got '\\x1'"],
  ["*1\r\n$-1\r\n", "invalid bulk length"],
  ["*1\r\n$536870913\r\n", "invalid bulk length"],
  ["*1\r\n$4x\r\n", "invalid bulk length"],
  [`*1\r\n$${"0".repeat(40)}`, "too big bulk count string"],
  ["*1\r\n$4\r\nPINGxx", "expected a line end after the bulk string"],
  ['SET "a\r\n', "unbalanced quotes in request"],
  ["a".repeat(65_537), "too big inline request"],
];
for (const [input, message] of malformed) {
  test(`malformed: ${JSON.stringify(input.slice(0, 30))}`, () => {
    assert.equal(parse([Buffer.from(input, "latin1")]), [message]);
  });
}

test("inline words may be quoted", () => {
  assert.equal(splitInline(' set  k "a\\x41\\n\\"b" '), ["set", "k", 'aA\n"b']);
  assert.equal(splitInline("set k 'it\\'s' ''"), ["set", "k", "it's", ""]);
  assert.is(splitInline('set "a"b'), undefined);
  assert.is(splitInline("set 'a"), undefined);
  assert.equal(splitInline("   "), []);
});

test("a large argument is taken in with little copying, and its memory released", () => {
  const base = Buffer.alloc(16 * 1024);
  const request = new Request(base);
  const value = Buffer.alloc(20_000_000, 0x61);
  const input = encodeRequest(["SET", "k", value]);
  let rooms = 0;
  let smallest = Number.POSITIVE_INFINITY;
  for (let at = 0; at < input.length; rooms++) {
    const room = request.room();
    smallest = Math.min(smallest, room.length);
    const count = Math.min(room.length, input.length - at);
    input.copy(room, 0, at, at + count);
    request.received(count);
    at += count;
    assert.is(request.next(), at === input.length);
  }
  assert.ok(rooms < 20, `${rooms} receives`);
  assert.is(request.length(2), value.length);
  assert.is(request.next(), false);
  assert.is(request.room(), base);
});

test("an announced length alone sets no memory aside", () => {
  const request = new Request(Buffer.alloc(1024));
  feed(request, Buffer.from("*2\r\n$3\r\nGET\r\n$536870912\r\n"));
  assert.is(request.next(), false);
  assert.ok(request.room().length <= 1024);
});

function written(protocol: 2 | 3, write: (reply: ReplyWriter) => void): string {
  const reply = new ReplyWriter(new ChunkPool());
  reply.protocol = protocol;
  write(reply);
  const { chunks, sizeBytes } = reply.take();
  const bytes = Buffer.concat(chunks);
  assert.is(bytes.length, sizeBytes);
  return bytes.toString("latin1");
}

test("replies are written as the protocol has them", () => {
  assert.is(
    written(2, (reply) => reply.nil()),
    "$-1\r\n",
  );
  assert.is(
    written(3, (reply) => reply.nil()),
    "_\r\n",
  );
  assert.is(
    written(2, (reply) => reply.map(2)),
    "*4\r\n",
  );
  assert.is(
    written(3, (reply) => reply.map(2)),
    "%2\r\n",
  );
  assert.is(
    written(3, (reply) => reply.set(1)),
    "~1\r\n",
  );
  assert.is(
    written(2, (reply) => reply.verbatim("né")),
    "$3\r\nn\xc3\xa9\r\n",
  );
  assert.is(
    written(3, (reply) => reply.verbatim("né")),
    "=7\r\ntxt:n\xc3\xa9\r\n",
  );
  assert.is(
    written(2, (reply) => reply.error("ERR a\r\nb")),
    "-ERR a b\r\n",
  );
  assert.is(
    written(2, (reply) => reply.bulk("\x00\xff")),
    "$2\r\n\x00\xff\r\n",
  );
  for (const value of [0, 9, 10, 99, 100, 12345, 999_999_999, 1e9, -1, 2 ** 53]) {
    assert.is(
      written(2, (reply) => reply.integer(value)),
      `:${value}\r\n`,
    );
  }
  assert.is(
    written(2, (reply) => reply.integer(-9223372036854775808n)),
    ":-9223372036854775808\r\n",
  );
});

test("replies of any size come out whole and in order", () => {
  for (let round = 0; round < 30; round++) {
    let expected = "";
    const text = written(2, (reply) => {
      for (let count = random.below(40); count > 0; count--) {
        const value = random.bytes(random.below(random.pick([10, 4000, 40_000])));
        reply.bulk(random.below(2) === 0 ? value : value.toString("latin1").slice(0, 4000));
        const length = reply.sizeBytes - expected.length;
        const kept = length - String(value.length).length - 5 === value.length;
        const held = kept ? value : value.subarray(0, 4000);
        expected += `$${held.length}\r\n${held.toString("latin1")}\r\n`;
      }
    });
    assert.ok(text === expected);
  }
});

test("parts of replies are replaced wherever the chunks end", () => {
  for (let round = 0; round < 300; round++) {
    const whole = random.bytes(random.below(60));
    const chunks: Buffer[] = [];
    for (let at = 0; at < whole.length; ) {
      const size = 1 + random.below(12);
      chunks.push(whole.subarray(at, at + size));
      at += size;
    }
    const ranges: number[] = [];
    const expected: Buffer[] = [];
    let kept = 0;
    for (let at = random.below(10); at < whole.length; at += random.below(8)) {
      const to = Math.min(at + 1 + random.below(20), whole.length);
      ranges.push(at, to);
      expected.push(whole.subarray(kept, at), Buffer.from("!"));
      at = kept = to;
    }
    expected.push(whole.subarray(kept));
    const outgoing = { chunks, pooled: [], sizeBytes: whole.length };
    replaceParts(outgoing, ranges, Buffer.from("!"));
    assert.equal(Buffer.concat(outgoing.chunks), Buffer.concat(expected));
    assert.is(outgoing.sizeBytes, Buffer.concat(expected).length);
  }
});

test("a request of many words gives its memory back", () => {
  const request = new Request(Buffer.alloc(1024));
  feed(request, encodeRequest(Array.from({ length: 100_000 }, () => "x")));
  assert.ok(request.next());
  assert.is(request.count, 100_000);
  assert.ok(request.heldBytes > 1_000_000);
  assert.is(request.next(), false);
  request.room();
  assert.is(request.heldBytes, 0);
});

test("much that waits is kept in order, and copied no more often than it grows", () => {
  const request = new Request(Buffer.alloc(1024));
  const words = (index: number) => ["SET", `k${index}`, "v".repeat(random.below(300))];
  const all = Array.from({ length: 3000 }, (_, index) => words(index));
  let sent = 0;
  let next = 0;
  while (next < all.length) {
    for (let count = random.below(200); count > 0 && sent < all.length; count--) {
      feed(request, encodeRequest(all[sent++]!));
    }
    for (let count = random.below(200); count > 0 && request.next(); count--) {
      const expected = all[next++]!;
      assert.is(request.count, 3);
      for (const [index, word] of expected.entries()) assert.is(request.text(index), word);
    }
  }
  assert.is(request.next(), false);
  request.room();
  assert.is(request.heldBytes, 0);
});

test.run();
