/** The commands, over data in memory, with the replies that a Redis user expects. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Data } from "./data.js";
import { Bench, feed } from "./harness.test.support.js";

const test = suite("commands");

/** A conversation: each line is a command in words, and the reply without its line end. */
function converse(lines: readonly [command: string, reply: string][]): Bench {
  const bench = new Bench();
  for (const [command, reply] of lines) say(bench, command, reply);
  return bench;
}

function say(bench: Bench, command: string, reply: string): void {
  const got = bench
    .run(...command.split(" "))
    .slice(0, -2)
    .replaceAll("\r\n", " ");
  assert.is(got, reply, command);
}

test("connection", () => {
  const bench = converse([
    ["PING", "+PONG"],
    ["ping hi", "$2 hi"],
    ["PING a b", "-ERR wrong number of arguments for 'ping' command"],
    ["ECHO x", "$1 x"],
    ["ECHO", "-ERR wrong number of arguments for 'echo' command"],
    ["SELECT 0", "+OK"],
    ["SELECT 1", "-ERR DB index is out of range"],
    ["SELECT x", "-ERR value is not an integer or out of range"],
    ["CLIENT ID", ":7"],
    ["CLIENT GETNAME", "$-1"],
    ["CLIENT SETNAME me", "+OK"],
    ["CLIENT GETNAME", "$2 me"],
    ["CLIENT SETINFO LIB-NAME x", "+OK"],
    ["CLIENT SETINFO lib-ver 1.2", "+OK"],
    ["CLIENT SETINFO color red", "-ERR Unrecognized option 'color'"],
    ["NOSUCH \xe9 b", "-ERR unknown command 'NOSUCH', with args beginning with: '\xe9' 'b' "],
    ["NOSUCH a b", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "],
    ["QUIT", "+OK"],
  ]);
  assert.ok(bench.client.closing);
});

test("HELLO chooses the protocol", () => {
  const bench = new Bench();
  assert.match(bench.run("HELLO"), /^\*14\r\n\$6\r\nserver\r\n\$5\r\nredis\r\n.*proto\r\n:2\r\n/s);
  assert.match(bench.run("HELLO", "3", "SETNAME", "me"), /^%7\r\n.*proto\r\n:3\r\n/s);
  assert.is(bench.client.name, "me");
  assert.is(bench.run("GET", "none"), "_\r\n");
  assert.is(bench.run("HELLO", "4"), "-NOPROTO unsupported protocol version\r\n");
  assert.match(bench.run("HELLO", "x"), /^-ERR Protocol version is not an integer/);
  assert.match(bench.run("HELLO", "2", "COLOR"), /^-ERR Syntax error in HELLO option 'COLOR'/);
  assert.match(bench.run("HELLO", "2", "AUTH", "default", "x"), /^\*14/);
  assert.match(bench.run("HELLO", "2", "AUTH", "other", "x"), /^-WRONGPASS/);
});

test("GET and SET", () => {
  const bench = converse([
    ["GET k", "$-1"],
    ["SET k v", "+OK"],
    ["get k", "$1 v"],
    ["SET k", "-ERR wrong number of arguments for 'set' command"],
    ["SET k w NX", "$-1"],
    ["SET k w XX", "+OK"],
    ["SET none w XX", "$-1"],
    ["SET k x GET", "$1 w"],
    ["SET k y NX GET", "$1 x"],
    ["SET n y NX GET", "$-1"],
    ["GET k", "$1 x"],
    ["SET k v NX XX", "-ERR syntax error"],
    ["SET k v EX", "-ERR syntax error"],
    ["SET k v EX 1 PX 1", "-ERR syntax error"],
    ["SET k v EX 1 KEEPTTL", "-ERR syntax error"],
    ["SET k v EX x", "-ERR value is not an integer or out of range"],
    ["SET k v EX 0", "-ERR invalid expire time in 'set' command"],
    ["SET k v PX -5", "-ERR invalid expire time in 'set' command"],
    ["SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command"],
    ["SET k v EX 10", "+OK"],
    ["PTTL k", ":10000"],
    ["SET k v KEEPTTL", "+OK"],
    ["TTL k", ":10"],
    ["SET k v", "+OK"],
    ["TTL k", ":-1"],
    ["SET k v PXAT 1", "+OK"],
    ["GET k", "$-1"],
    ["SETNX k v", ":1"],
    ["SETNX k v", ":0"],
    ["SETEX k 5 v", "+OK"],
    ["SETEX k 0 v", "-ERR invalid expire time in 'setex' command"],
    ["PSETEX k 5 v", "+OK"],
    ["PTTL k", ":5"],
    ["GETSET k new", "$1 v"],
    ["TTL k", ":-1"],
    ["GETEX k EX 7", "$3 new"],
    ["TTL k", ":7"],
    ["GETEX k PERSIST", "$3 new"],
    ["TTL k", ":-1"],
    ["GETEX k COLOR", "-ERR syntax error"],
    ["GETDEL k", "$3 new"],
    ["GETDEL k", "$-1"],
  ]);
  assert.is(bench.run("SET", "\r\n\x00", Buffer.from("\xff\x00\r\n", "latin1")), "+OK\r\n");
  assert.is(bench.run("GET", "\r\n\x00"), "$4\r\n\xff\x00\r\n\r\n");
});

test("several keys", () => {
  converse([
    ["MSET a 1 b 2", "+OK"],
    ["MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"],
    ["MGET a none b", "*3 $1 1 $-1 $1 2"],
    ["MSETNX c 1 a 2", ":0"],
    ["EXISTS c", ":0"],
    ["MSETNX c 1 d 2", ":1"],
    ["EXISTS a a none", ":2"],
    ["DBSIZE", ":4"],
    ["DEL a a none b", ":2"],
    ["DBSIZE", ":2"],
    ["TYPE c", "+string"],
    ["TYPE none", "+none"],
    ["RENAME c e", "+OK"],
    ["RENAME c e", "-ERR no such key"],
    ["GET e", "$1 1"],
    ["FLUSHDB", "+OK"],
    ["FLUSHDB ASYNC", "+OK"],
    ["FLUSHDB NOW", "-ERR syntax error"],
    ["DBSIZE", ":0"],
    ["RANDOMKEY", "$-1"],
  ]);
});

test("counting", () => {
  converse([
    ["INCR n", ":1"],
    ["INCRBY n 41", ":42"],
    ["DECR n", ":41"],
    ["DECRBY n 51", ":-10"],
    ["GET n", "$3 -10"],
    ["SET n 9223372036854775806", "+OK"],
    ["INCR n", ":9223372036854775807"],
    ["INCR n", "-ERR increment or decrement would overflow"],
    ["GET n", "$19 9223372036854775807"],
    ["DECRBY n -9223372036854775808", "-ERR decrement would overflow"],
    ["INCRBY n x", "-ERR value is not an integer or out of range"],
    ["INCRBY n 9223372036854775808", "-ERR value is not an integer or out of range"],
    ["SET n x", "+OK"],
    ["INCR n", "-ERR value is not an integer or out of range"],
    ["SET n 10 EX 100", "+OK"],
    ["INCR n", ":11"],
    ["TTL n", ":100"],
  ]);
});

test("parts of values", () => {
  const bench = converse([
    ["APPEND k Hello", ":5"],
    ["APPEND k World", ":10"],
    ["STRLEN k", ":10"],
    ["STRLEN none", ":0"],
    ["GETRANGE k 0 4", "$5 Hello"],
    ["GETRANGE k -5 -1", "$5 World"],
    ["GETRANGE k 5 100", "$5 World"],
    ["GETRANGE k 5 1", "$0 "],
    ["GETRANGE none 0 -1", "$0 "],
  ]);
  bench.run("SET", "long", "x".repeat(10_000));
  assert.is(bench.run("APPEND", "long", "y".repeat(10_000)), ":20000\r\n");
  assert.is(bench.run("GETRANGE", "long", "9999", "10000"), "$2\r\nxy\r\n");
});

test("time", () => {
  const bench = converse([
    ["SET k v", "+OK"],
    ["TTL none", ":-2"],
    ["TTL k", ":-1"],
    ["EXPIRE none 10", ":0"],
    ["EXPIRE k 10", ":1"],
    ["EXPIRE k 20 NX", ":0"],
    ["EXPIRE k 20 GT", ":1"],
    ["EXPIRE k 10 GT", ":0"],
    ["EXPIRE k 10 LT", ":1"],
    ["EXPIRE k 10 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible"],
    ["EXPIRE k 10 GT LT", "-ERR GT and LT options at the same time are not compatible"],
    ["EXPIRE k 10 COLOR", "-ERR Unsupported option COLOR"],
    ["EXPIRE k x", "-ERR value is not an integer or out of range"],
    ["EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command"],
    ["PEXPIRETIME k", ":1010000"],
    ["EXPIRETIME k", ":1010"],
    ["PERSIST k", ":1"],
    ["PERSIST k", ":0"],
    ["PEXPIRE k 1500", ":1"],
    ["TTL k", ":2"],
  ]);
  bench.nowMs += 1499;
  say(bench, "GET k", "$1 v");
  bench.nowMs += 1;
  say(bench, "GET k", "$-1");
  say(bench, "SET k v", "+OK");
  say(bench, "EXPIRE k -1", ":1");
  say(bench, "EXISTS k", ":0");
  say(bench, "SET k v", "+OK");
  say(bench, "PEXPIREAT k 1", ":1");
  say(bench, "EXISTS k", ":0");
});

test("listing", () => {
  const bench = new Bench();
  for (let index = 0; index < 25; index++) bench.run("SET", `key:${index}`, "v");
  assert.is(bench.run("KEYS", "key:?").split("\r\n")[0], "*10");
  assert.is(bench.run("KEYS", "none*"), "*0\r\n");
  const seen = new Set<string>();
  let cursor = "0";
  do {
    const parts = bench.run("SCAN", cursor, "MATCH", "key:*", "COUNT", "7").split("\r\n");
    cursor = parts[2]!;
    for (let at = 5; at < parts.length; at += 2) seen.add(parts[at]!);
  } while (cursor !== "0");
  assert.is(seen.size, 25);
  say(bench, "SCAN 0 TYPE hash COUNT 100", "*2 $1 0 *0");
  say(bench, "SCAN x", "-ERR invalid cursor");
  say(bench, "SCAN 0 COUNT 0", "-ERR syntax error");
  say(bench, "SCAN 0 COUNT x", "-ERR value is not an integer or out of range");
  say(bench, "SCAN 0 MATCH", "-ERR syntax error");
  say(bench, "SCAN 0 COLOR red", "-ERR syntax error");
});

test("the server about itself", () => {
  const bench = new Bench();
  assert.match(bench.run("INFO"), /# Server\r\nredis_version:7/);
  assert.is(bench.run("INFO", "none"), "$0\r\n\r\n");
  say(bench, "CONFIG GET save", "*2 $4 save $0 ");
  say(bench, "CONFIG GET append*", "*2 $10 appendonly $3 yes");
  say(bench, "CONFIG GET none", "*0");
  assert.match(bench.run("CONFIG", "SET", "a", "b"), /^-ERR settings cannot be changed/);
  say(bench, "COMMAND INFO get none", "*2 *6 $3 get :2 *1 +readonly :1 :1 :1 $-1");
  const count = Number(bench.run("COMMAND", "COUNT").slice(1));
  assert.match(bench.run("COMMAND"), new RegExp(`^\\*${count}\r\n`));
  assert.match(bench.run("COMMAND", "DOCS", "get"), /^\*2\r\n\$3\r\nget\r\n/);
  assert.match(bench.run("TIME"), /^\*2\r\n\$\d+\r\n\d+\r\n\$\d+\r\n\d+\r\n$/);
  bench.run("SHUTDOWN");
  assert.ok(bench.stopped);
});

test("inline commands work as well", () => {
  const bench = new Bench();
  feed(bench.request, Buffer.from('SET k "a b"\r\n'));
  assert.ok(bench.request.next());
});

test("a command that throws is taken back whole, and those around it stay", () => {
  const bench = new Bench();
  bench.run("MSET", "a", "1", "b", "2");
  const { text } = bench.request;
  const refuse = (word: string) => {
    bench.request.text = (index) => {
      const found = text.call(bench.request, index);
      if (found === word)
        throw Object.assign(new Error("too long"), { code: "ERR_STRING_TOO_LONG" });
      return found;
    };
  };
  refuse("d");
  const before = Buffer.from(bench.data.batch.contents());
  assert.is(
    bench.run("MSET", "a", "9", "c", "3", "d", "4"),
    "-ERR 'mset' was not carried out: too long\r\n",
  );
  assert.is(bench.run("RENAME", "a", "d"), "-ERR 'rename' was not carried out: too long\r\n");
  assert.is(bench.run("GET", "d"), "-ERR 'get' was not carried out: too long\r\n");
  assert.equal(bench.data.batch.contents(), before);
  assert.is(bench.run("MGET", "a", "b", "c"), "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n");
  assert.is(bench.client.closing, false);
  // A reply that was begun cannot be taken back, so the connection ends.
  bench.run("MGET", "a", "d");
  assert.is(bench.client.closing, true);
  assert.is(bench.reports.length, 4);
});

test("after a command that was taken back nothing waits for a batch without records", () => {
  const data = new Data();
  data.keyspace.seal();
  assert.throws(() =>
    data.change(() => {
      data.set("a", "1", 0);
      data.clear();
      throw new Error("planted");
    }),
  );
  const { keyspace } = data;
  keyspace.touched = 0;
  keyspace.touchAll();
  keyspace.find("a", 0);
  assert.ok(keyspace.touched < keyspace.sequence);
  assert.is(data.batch.sizeBytes, 0);
});

test("what belongs to a MULTI is not run one by one", () => {
  const bench = converse([
    ["EXEC", "-ERR EXEC without MULTI"],
    ["MULTI", "-ERR MULTI is not supported; nothing is run until EXEC or DISCARD"],
    ["SET a 1", "-ERR not run: it belongs to a MULTI, which is not supported"],
    ["MULTI", "-ERR MULTI calls can not be nested"],
    ["EXEC", "-EXECABORT Transaction discarded because MULTI is not supported"],
    ["GET a", "$-1"],
    ["MULTI", "-ERR MULTI is not supported; nothing is run until EXEC or DISCARD"],
    ["DISCARD", "+OK"],
    ["SET a 1", "+OK"],
    ["DISCARD", "-ERR DISCARD without MULTI"],
  ]);
  assert.is(bench.data.batch.records, 1);
});

test("a client that has chosen a database that is not there reads and writes nothing", () => {
  converse([
    ["SET a 1", "+OK"],
    ["SELECT 1", "-ERR DB index is out of range"],
    ["GET a", "-ERR not run: there is no database 1, only 0"],
    ["FLUSHALL", "-ERR not run: there is no database 1, only 0"],
    ["PING", "+PONG"],
    ["SELECT 0", "+OK"],
    ["GET a", "$1 1"],
    ["GETRANGE a -10 -20", "$0 "],
    ["GETRANGE a -20 -10", "$1 1"],
    ["AUTH default x", "+OK"],
    ["AUTH other x", "-WRONGPASS invalid username-password pair or user is disabled."],
    ["COMMAND LIST FILTERBY PATTERN get*x", "*1 $5 getex"],
    ["COMMAND LIST FILTERBY nonsense x", "-ERR syntax error"],
    ["CLIENT LIST ID 99", "$0 "],
    ["CLIENT LIST TYPE pubsub", "$0 "],
    ["CLIENT LIST TYPE x", "-ERR Unknown client type 'x'"],
  ]);
});

test("a keyspace that is full refuses what adds, and goes on with the rest", () => {
  const bench = new Bench(); // It may hold a million bytes.
  let kept = 0;
  let reply = "";
  for (; kept < 1000; kept++) {
    reply = bench.run("SET", `k${kept}`, "v".repeat(5000));
    if (reply !== "+OK\r\n") break;
  }
  assert.match(reply, /^-OOM command not allowed when used memory > 'maxmemory': keys and values/);
  assert.ok(kept > 100 && kept < 200);
  for (const words of [
    ["APPEND", "k1", "x".repeat(5000)],
    ["MSET", "k1", "x".repeat(5000), "k2", "y"],
    ["SETEX", "new", "10", "x".repeat(5000)],
  ]) {
    assert.match(bench.run(...words), /^-OOM/);
  }
  assert.is(bench.run("STRLEN", "k1"), ":5000\r\n");
  assert.is(bench.run("EXPIRE", "k1", "100"), ":1\r\n");
  assert.is(bench.reports.length, 1);
  assert.is(bench.run("DEL", "k1", "k2"), ":2\r\n");
  assert.is(bench.run("SET", "k1", "v".repeat(5000)), "+OK\r\n");
});

test("the last key that a Map takes is the last that is accepted", () => {
  const bench = new Bench();
  Object.defineProperty(bench.data.keyspace, "size", { value: 2 ** 24 - 3 });
  assert.is(bench.run("SET", "a", "1"), "+OK\r\n");
  assert.match(bench.run("MSET", "a", "1", "b", "2"), /^-OOM .*16777216 is the most\r\n$/);
});

test("what a keyspace weighs falls back to nothing", () => {
  const bench = new Bench();
  const { keyspace } = bench.data;
  bench.run("MSET", "a", "1", "b", "v".repeat(9000), "c", "2");
  bench.run("SET", "a", "v".repeat(5000));
  bench.run("APPEND", "c", "3");
  bench.run("APPEND", "b", "4");
  bench.run("RENAME", "a", "d");
  bench.run("EXPIRE", "c", "5");
  assert.ok(keyspace.outsideBytes >= 14_000 && keyspace.heapBytes > 500);
  bench.nowMs += 10_000;
  assert.is(bench.run("DEL", "b", "c", "d"), ":2\r\n");
  assert.equal([keyspace.heapBytes, keyspace.outsideBytes, keyspace.liveBytes], [0, 0, 0]);
});

test("each command that changes something makes one record, the others none", () => {
  const bench = new Bench();
  const recordsOf = (...words: string[]): number => {
    const before = bench.data.batch.records;
    bench.run(...words);
    return bench.data.batch.records - before;
  };
  assert.is(recordsOf("MSET", "a", "1", "b", "2"), 1);
  assert.is(recordsOf("DEL", "a", "b"), 1);
  assert.is(recordsOf("DEL", "a", "b"), 0);
  assert.is(recordsOf("SET", "a", "1", "XX"), 0);
  assert.is(recordsOf("INCR", "a"), 1);
  assert.is(recordsOf("SET", "a", "x", "EX", "nonsense"), 0);
  assert.is(recordsOf("EXPIRE", "a", "100"), 1);
  assert.is(recordsOf("PERSIST", "a"), 1);
  assert.is(recordsOf("PERSIST", "a"), 0);
  assert.is(recordsOf("GET", "a"), 0);
  assert.is(recordsOf("FLUSHDB"), 1);
});

test.run();
