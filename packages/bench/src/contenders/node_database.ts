// A client of a database, unchanged, over the sockets of Node or of @io/node.
//
// Usage: node_database <node|ours> <redis|pg> <port> <in flight> <seconds>
//
// The processor time is that of the client.

import type { Duplex } from "node:stream";
import { numberArgument, printFigures } from "../contender.js";

const [, , who, what] = process.argv;
const port = numberArgument(2);
const inFlight = numberArgument(3);
const durationSeconds = numberArgument(4);
const host = "127.0.0.1";
const net = who === "ours" ? (await import("@io/node/net")).default : await import("node:net");

/** Asks once. */
type Ask = () => Promise<unknown>;

async function openRedis(): Promise<Ask> {
  const { Redis } = await import("ioredis");
  // What ioredis calls a connector makes its stream.
  class Connector {
    connecting = false;
    firstError: Error | undefined;
    async connect(): Promise<Duplex> {
      return net.connect(port, host);
    }
    disconnect(): void {}
    check(): boolean {
      return true;
    }
  }
  const redis = new Redis({ Connector: Connector as never, lazyConnect: true });
  await redis.connect();
  await redis.set("key", "a value of some length");
  return () => redis.get("key");
}

async function openPostgres(): Promise<Ask> {
  const { default: pg } = await import("pg");
  const user = { user: "tester", database: "postgres" };
  const stream = () => new net.Socket();
  const pool = new pg.Pool({ ...user, host, port, stream, max: inFlight });
  return () => pool.query("select $1::int as number", [1]);
}

const ask = await (what === "redis" ? openRedis() : openPostgres());

async function measure(seconds: number): Promise<Record<string, number>> {
  const before = process.cpuUsage();
  const start = performance.now();
  const endMs = start + seconds * 1000;
  let count = 0;
  const loop = async (): Promise<void> => {
    do {
      await ask();
      count++;
    } while (performance.now() < endMs);
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  const { user, system } = process.cpuUsage(before);
  const elapsedSeconds = (performance.now() - start) / 1000;
  return { "answers/s": count / elapsedSeconds, "CPU us/answer": (user + system) / count };
}

await measure(durationSeconds / 2);
printFigures(await measure(durationSeconds));
process.exit(0);
