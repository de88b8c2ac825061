/** The server and real clients: ioredis, redis (npm), redis-cli and redis-benchmark. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "../support/skip.js";
import { cleanUp, hasProgram, start, temporaryFolder, Wire } from "./support.js";

const run = promisify(execFile);
const test = suite("kv clients");
const folder = temporaryFolder();
const server = await start({ folder });
const { port } = server;

function ioredis(): Redis {
  return new Redis({ port, host: "127.0.0.1", lazyConnect: false, retryStrategy: () => null });
}

async function nodeRedis(protocol: 2 | 3) {
  const client = createClient({ url: `redis://127.0.0.1:${port}`, RESP: protocol });
  client.on("error", () => undefined); // Failed commands reject; this is for lost connections.
  await client.connect();
  return client;
}

test("ioredis: every command it has a method for", async () => {
  const redis = ioredis();
  await redis.flushdb();
  assert.is(await redis.ping(), "PONG");
  assert.is(await redis.echo("hi"), "hi");
  assert.is(await redis.set("k", "v"), "OK");
  assert.is(await redis.set("k", "w", "NX"), null);
  assert.is(await redis.set("k", "w", "EX", 100, "XX"), "OK");
  assert.is(await redis.ttl("k"), 100);
  assert.is(await redis.set("k", "x", "KEEPTTL"), "OK");
  assert.ok((await redis.pttl("k")) > 0);
  assert.is(await redis.persist("k"), 1);
  assert.is(await redis.expire("k", 50), 1);
  assert.is(await redis.mset({ a: "1", b: "2" }), "OK");
  assert.equal(await redis.mget("a", "none", "b"), ["1", null, "2"]);
  assert.is(await redis.incr("a"), 2);
  assert.is(await redis.incrby("a", 40), 42);
  assert.is(await redis.append("b", "xyz"), 4);
  assert.is(await redis.strlen("b"), 4);
  assert.is(await redis.exists("a", "b", "none"), 2);
  assert.is(await redis.dbsize(), 3);
  assert.equal((await redis.keys("[ab]")).sort(), ["a", "b"]);
  assert.is(await redis.del("a", "b"), 2);
  assert.match(await redis.info(), /redis_version/);
  assert.equal(await redis.config("GET", "appendfsync"), ["appendfsync", "always"]);
  assert.type(await redis.client("ID"), "number");
  assert.is(await redis.client("SETNAME", "tester"), "OK");
  assert.is(await redis.client("GETNAME"), "tester");
  assert.ok(Number(await redis.call("COMMAND", "COUNT")) > 40);
  assert.is(await redis.select(0), "OK");
  const failure: unknown = await redis.select(1).catch((error: unknown) => error);
  assert.match(String(failure), /DB index is out of range/);
  const refused: unknown = await redis.set("k", "v").catch((error: unknown) => error);
  assert.match(String(refused), /there is no database 1, only 0/);
  assert.is(await redis.select(0), "OK");
  const binary = Buffer.from([0, 13, 10, 255, 128, 0]);
  await redis.set(binary, binary);
  assert.equal(await redis.getBuffer(binary), binary);
  assert.is(await redis.quit(), "OK");
});

test("ioredis: a long pipeline keeps its order", async () => {
  const redis = ioredis();
  const pipeline = redis.pipeline();
  for (let index = 0; index < 5000; index++) {
    pipeline.set(`p${index}`, String(index));
    pipeline.get(`p${index}`);
  }
  const replies = (await pipeline.exec())!;
  assert.is(replies.length, 10_000);
  for (let index = 0; index < 5000; index++) {
    assert.is(replies[index * 2]![1], "OK");
    assert.is(replies[index * 2 + 1]![1], String(index));
  }
  redis.disconnect();
});

test("ioredis: a scan while others change keys finds all that stay", async () => {
  const redis = ioredis();
  await redis.flushdb();
  const pipeline = redis.pipeline();
  for (let index = 0; index < 1000; index++) pipeline.set(`stay${index}`, "v");
  await pipeline.exec();
  const seen = new Set<string>();
  let round = 0;
  for await (const keys of redis.scanStream({ match: "stay*", count: 50 })) {
    for (const key of keys as string[]) seen.add(key);
    await redis.mset({ [`new${round}`]: "v", [`more${round++}`]: "v" });
  }
  assert.is(seen.size, 1000);
  redis.disconnect();
});

for (const protocol of [2, 3] as const) {
  test(`redis (npm) with RESP${protocol}`, async () => {
    const client = await nodeRedis(protocol);
    await client.flushDb();
    assert.is(await client.ping(), "PONG");
    assert.is(await client.set("k", "v", { expiration: { type: "EX", value: 100 } }), "OK");
    assert.is(await client.get("k"), "v");
    assert.is(await client.get("none"), null);
    assert.is(await client.ttl("k"), 100);
    await client.mSet({ a: "1", b: "2" });
    assert.equal(await client.mGet(["a", "none", "b"]), ["1", null, "2"]);
    assert.is(await client.incrBy("a", 5), 6);
    const both = await Promise.all([client.get("a"), client.get("b"), client.strLen("b")]);
    assert.equal(both, ["6", "2", 1]);
    const settings = await client.configGet("append*");
    assert.is(settings["appendonly"], "yes");
    const seen: string[] = [];
    for await (const keys of client.scanIterator({ COUNT: 1 })) seen.push(...keys);
    assert.equal(seen.sort(), ["a", "b", "k"]);
    const failure: unknown = await client.incr("k").catch((error: unknown) => error);
    assert.match(String(failure), /value is not an integer or out of range/);
    await client.close();
  });
}

test("a value of 64 MiB goes in and comes out", async () => {
  const redis = ioredis();
  const value = Buffer.alloc(64 * 1024 * 1024);
  for (let at = 0; at < value.length; at += 4096) value.writeUInt32LE(at, at);
  await redis.set("big", value);
  assert.is(await redis.strlen("big"), value.length);
  assert.ok((await redis.getBuffer("big"))!.equals(value));
  await redis.del("big");
  redis.disconnect();
});

test("a bare connection: inline commands, RESP3 by hand, an end with replies to come", async () => {
  const wire = await Wire.open(port);
  wire.send('SET  bare "a b"\r\nGET bare\n');
  assert.is(await wire.take(14), "+OK\r\n$3\r\na b\r\n");
  wire.send("HELLO 3\r\n");
  assert.match(await wire.take(4), /^%7\r\n/);
  wire.send("GET none\r\n");
  wire.socket.end();
  assert.match(await wire.rest(), /modules\r\n\*0\r\n_\r\n$/);
});

test("QUIT is answered, and the connection closed", async () => {
  const wire = await Wire.open(port);
  wire.send("PING\r\nQUIT\r\nPING\r\n");
  assert.is(await wire.rest(), "+PONG\r\n+OK\r\n");
});

if (hasProgram("redis-cli")) {
  const cli = async (...words: string[]): Promise<string> => {
    const { stdout } = await run("redis-cli", ["-p", String(port), ...words]);
    return stdout.trimEnd();
  };
  test("redis-cli", async () => {
    assert.is(await cli("SET", "cli", "hello"), "OK");
    assert.is(await cli("GET", "cli"), "hello");
    assert.is(await cli("-3", "GET", "cli"), "hello");
    assert.match(await cli("GET"), /ERR wrong number of arguments for 'get' command/);
    assert.match(await cli("INFO", "keyspace"), /db0:keys=\d+/);
    assert.match(await cli("--scan", "--pattern", "cl*"), /^cli$/m);
    assert.match(await cli("CLIENT", "LIST"), /lib-name=/);
    assert.match(await cli("COMMAND", "DOCS", "get"), /get/);
  });
} else {
  skip(test, "redis-cli", "redis-cli is not installed (Debian: redis-tools)");
}

if (hasProgram("redis-benchmark")) {
  for (const more of [[], ["-P", "16"]]) {
    test(`redis-benchmark ${more.join(" ")}`, async () => {
      const tests = "ping_inline,ping_mbulk,set,get,incr,mset";
      const words = ["-p", String(port), "-c", "50", "-n", "20000", "-t", tests, "--csv", ...more];
      const { stdout, stderr } = await run("redis-benchmark", words);
      assert.not.match(`${stdout}${stderr}`, /ERR|WARN|rror/);
      assert.is(stdout.trim().split("\n").length, 7, stdout);
    });
  }
} else {
  skip(test, "redis-benchmark", "redis-benchmark is not installed (Debian: redis-tools)");
}

test("the server ends in order after all that", async () => {
  assert.is(await server.stop(), 0);
});

test.after(cleanUp);

test.run();
