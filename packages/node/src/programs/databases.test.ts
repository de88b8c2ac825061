// Clients of databases over our sockets, unchanged, against real servers.

import { once } from "node:events";
import type { Duplex } from "node:stream";
import { Redis } from "ioredis";
import type mysqlPlain from "mysql2";
import mysql, { type RowDataPacket } from "mysql2/promise";
import pg from "pg";
import { createClient } from "redis";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { install } from "../index.js";
import net from "../net/index.js";
import { byOurSockets, needing } from "./scene.test.support.js";
import {
  findMariaDB,
  findPostgres,
  findProgram,
  startMariaDB,
  startPostgres,
  startRedis,
} from "./servers.test.support.js";

const test = suite("databases");

const redisServer = findProgram("redis-server", "/usr/bin", "/usr/sbin");

needing(test, redisServer, "redis-server", "ioredis, with 50 commands in flight", async () => {
  const server = await startRedis(redisServer!);
  // What ioredis calls a connector makes its stream.
  class Connector {
    connecting = false;
    firstError: Error | undefined;
    async connect(): Promise<Duplex> {
      return net.connect(server.port, "127.0.0.1");
    }
    disconnect(): void {}
    check(): boolean {
      return true;
    }
  }
  const redis = new Redis({ Connector: Connector as never, lazyConnect: true });
  await redis.connect();
  const big = "v".repeat(2_000_000);
  await redis.set("big", big);
  assert.is(await redis.get("big"), big);
  for (let round = 0; round < 20; round++) {
    const numbers = await Promise.all(Array.from({ length: 50 }, () => redis.incr("count")));
    assert.is(numbers.at(-1), 50 * (round + 1));
  }
  const pipeline = redis.pipeline();
  for (let index = 0; index < 1000; index++) pipeline.set(`key:${index}`, index);
  assert.is((await pipeline.exec())?.length, 1000);
  const closed = once(redis, "end");
  await redis.quit();
  await closed;
  await server.stop();
});

const nodeRedis = "node-redis by install(): commands, a subscriber, a connection that is cut";

needing(test, redisServer, "redis-server", nodeRedis, async () => {
  const server = await startRedis(redisServer!);
  const uninstall = install();
  await byOurSockets(async () => {
    const url = `redis://127.0.0.1:${server.port}`;
    const client = createClient({ url, socket: { reconnectStrategy: 1 } });
    // The connection that is cut below.
    client.on("error", () => {});
    await client.connect();
    const big = "v".repeat(2_000_000);
    await client.set("big", big);
    assert.is(await client.get("big"), big);
    const numbers = await Promise.all(Array.from({ length: 500 }, () => client.incr("count")));
    assert.is(numbers.at(-1), 500);
    const subscriber = client.duplicate();
    await subscriber.connect();
    const heard = new Promise((resolve) => subscriber.subscribe("news", resolve));
    while ((await client.publish("news", "hello")) === 0);
    assert.is(await heard, "hello");
    await subscriber.close();
    const again = new Promise((resolve) => client.once("ready", resolve));
    await client.sendCommand(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"]).catch(() => {});
    await again;
    assert.is(await client.incr("count"), 501);
    await client.close();
  });
  uninstall();
  await server.stop();
});

const postgres = findPostgres();
const ofPostgres = "pg against PostgreSQL, in a pool and with an error";

needing(test, postgres, "postgresql", ofPostgres, async () => {
  const server = await startPostgres(postgres!);
  const client = {
    host: "127.0.0.1",
    port: server.port,
    user: "tester",
    database: "postgres",
    // pg calls connect() of what it is given.
    stream: () => new net.Socket(),
  };
  const pool = new pg.Pool({ ...client, max: 4 });
  await pool.query("create table t (id serial primary key, text text)");
  await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      pool.query("insert into t (text) values ($1)", [`row ${index} ${"x".repeat(index * 100)}`]),
    ),
  );
  const { rows } = await pool.query(
    "select count(*)::int as n, sum(length(text))::int as s from t",
  );
  assert.is(rows[0].n, 100);
  const error = await pool.query("select no_such_column").then(
    () => null,
    (failure: unknown) => failure as { code: string },
  );
  assert.is(error?.code, "42703");
  const many = await pool.query("select generate_series(1, 50000) as n");
  assert.is(many.rows.length, 50_000);
  await pool.end();
  await server.stop();
});

const mariadb = findMariaDB();
const ofMariaDB = "mysql2 against MariaDB, by TCP and a unix socket";

async function useMariaDB(stream: () => Duplex): Promise<void> {
  const account = { user: "tester", password: "secret", database: "test" };
  const pool = mysql.createPool({ ...account, stream, connectionLimit: 4 });
  await pool.query("create table t (id int auto_increment primary key, text longtext)");
  await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      pool.execute("insert into t (text) values (?)", [`row ${index} ${"x".repeat(index * 100)}`]),
    ),
  );
  const count = "select count(*) as n, sum(length(text)) as s from t";
  const [[row]] = await pool.query<RowDataPacket[]>(count);
  const texts = Array.from({ length: 100 }, (_, index) => `row ${index} `.length + index * 100);
  assert.is(row?.["n"], 100);
  assert.is(
    Number(row?.["s"]),
    texts.reduce((sum, one) => sum + one),
  );
  const big = Buffer.alloc(5_000_000, "0123456789");
  const [[back]] = await pool.query<RowDataPacket[]>("select ? as big", [big]);
  assert.is(Buffer.compare(Buffer.from(back?.["big"]), big), 0);
  const error = await pool.query("select no_such_column from t").then(
    () => null,
    (failure: unknown) => failure as { code: string },
  );
  assert.is(error?.code, "ER_BAD_FIELD_ERROR");
  const [many] = await pool.query<RowDataPacket[]>("select seq from seq_1_to_50000");
  assert.is(many.length, 50_000);
  // A result that is read as a stream, slower than it comes.
  const connection = await pool.getConnection();
  let sum = 0;
  const { connection: plain } = connection as unknown as { connection: mysqlPlain.Connection };
  const rows = plain.query("select seq from seq_1_to_20000").stream();
  for await (const { seq } of rows) sum += Number(seq);
  assert.is(sum, (20_000 * 20_001) / 2);
  connection.release();
  await pool.query("drop table t");
  await pool.end();
}

needing(test, mariadb, "mariadb-server", ofMariaDB, async () => {
  const server = await startMariaDB(mariadb!);
  await useMariaDB(() => net.connect(server.port, "127.0.0.1"));
  await useMariaDB(() => net.connect(server.path));
  await server.stop();
});

test.run();
