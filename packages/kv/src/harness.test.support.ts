/** What several tests here share: random numbers with a seed, and commands run without a server. */

import type { Call, ClientState, Engine } from "./commands/command.js";
import { execute } from "./commands/table.js";
import { Data } from "./data.js";
import { MemoryLimit } from "./memory_limit.js";
import { ChunkPool, ReplyWriter } from "./resp/reply.js";
import { Request } from "./resp/request.js";

/** A small generator of random numbers (mulberry32): the same seed gives the same run. */
export class Random {
  constructor(private state: number) {}

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * limit);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }
}

/** The seed of this run: KV_SEED, or a new one. It is printed so that a failure can be repeated. */
export function seedOf(name: string): number {
  const seed = Number(process.env["KV_SEED"] ?? Date.now() % 1_000_000_000);
  process.stdout.write(`${name}: seed ${seed} (repeat with KV_SEED=${seed})\n`);
  return seed;
}

export function encodeRequest(words: readonly (string | Buffer)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${words.length}\r\n`)];
  for (const word of words) {
    const bytes = Buffer.from(word as string, "latin1");
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat(parts);
}

/** Puts bytes into a request's memory, through as many `room()`s as it takes. */
export function feed(request: Request, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    const room = request.room();
    const count = Math.min(room.length, bytes.length - at);
    bytes.copy(room, 0, at, at + count);
    request.received(count);
    at += count;
  }
}

/** Runs commands on data in memory; the clock is set by the test. */
export class Bench implements Engine, Call {
  readonly data = new Data();
  readonly engine = this;
  readonly reply = new ReplyWriter(new ChunkPool());
  readonly request = new Request(Buffer.alloc(64 * 1024));
  readonly client: ClientState = {
    id: 7,
    address: "127.0.0.1:1",
    localAddress: "127.0.0.1:2",
    sinceMs: 0,
    name: "",
    libraryName: "",
    libraryVersion: "",
    lastCommand: "NULL",
    database: 0,
    inTransaction: false,
    closing: false,
  };
  nowMs = 1_000_000;
  stopped = false;
  readonly reports: string[] = [];
  readonly memoryLimit = new MemoryLimit(1_000_000, (line) => this.reports.push(line));

  /** The reply as it goes over the wire, one byte per character. */
  run(...words: (string | Buffer)[]): string {
    feed(this.request, encodeRequest(words));
    if (!this.request.next()) throw new Error("the request is not complete");
    execute(this, undefined);
    return this.replies();
  }

  replies(): string {
    const outgoing = this.reply.take();
    const text = Buffer.concat(outgoing.chunks).toString("latin1");
    this.reply.release(outgoing);
    return text;
  }

  info() {
    return [{ name: "Server", fields: [["redis_version", "7.0.0"]] as const }];
  }

  settings(): ReadonlyMap<string, string> {
    return new Map([
      ["appendonly", "yes"],
      ["save", ""],
    ]);
  }

  clients(): Iterable<ClientState> {
    return [this.client];
  }

  rewrite(): boolean {
    return true;
  }

  stop(): void {
    this.stopped = true;
  }

  report(line: string): void {
    this.reports.push(line);
  }
}
