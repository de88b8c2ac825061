// As many slow clients as there can be: they cost memory, and not the time of the others.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client, get, turn } from "./client.test.support.js";

const test = suite("slow clients");
const WANTED = 10_000;
/** Of the process itself: its files, pipes and pollers. */
const SPARED = 100;
const CONNECTING_AT_ONCE = 100;

/** What the server reports. */
interface Told {
  readonly open: number;
  readonly timers: number;
  readonly rssBytes: number;
}

function program(): string {
  const index = new URL("./index.js", import.meta.url).href;
  return `
    import { createHook } from "node:async_hooks";
    const { serve } = await import(${JSON.stringify(index)});
    let timers = 0;
    createHook({ init: (_id, type) => { if (type === "Timeout") timers++; } }).enable();
    const tell = () => {
      gc();
      const open = server.metrics.connectionsOpen;
      return JSON.stringify({ open, timers, rssBytes: process.memoryUsage.rss() });
    };
    const request = (one) => one.respond(200, null, one.path === "/tell" ? tell() : "here");
    const limits = { headTimeoutMs: 4000, idleTimeoutMs: 0 };
    const server = await serve({ port: 0, request, limits, backlog: 4096 });
    console.log(server.address.port);`;
}

function descriptorLimit(): number {
  const text = execFileSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" }).trim();
  return text === "unlimited" ? Number.POSITIVE_INFINITY : Number(text);
}

/** A client that sends the beginning of a head, and a byte of it now and then. */
class Slow {
  readonly socket: Socket;
  readonly connected: Promise<unknown>;
  answer = "";
  ended = false;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1" });
    this.connected = once(this.socket, "connect");
    this.socket.setEncoding("latin1");
    this.socket.on("data", (text: string) => {
      this.answer += text;
    });
    this.socket.on("error", () => undefined); // a byte may meet a connection that is closed
    this.socket.on("close", () => {
      this.ended = true;
    });
    this.socket.write("GET / HTTP/1.1\r\nHost: a\r\nX: ");
  }
}

test("each is answered with 408 in its time, and others are served meanwhile", async () => {
  const count = Math.min(WANTED, descriptorLimit() - SPARED);
  const args = ["--expose-gc", "--input-type=module", "-e", program()];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    const port = Number(line);
    using other = new Client(port);
    const ask = async (): Promise<Told> =>
      JSON.parse((await other.send(get("/tell")).answer()).body) as Told;
    const before = await ask();
    const slow: Slow[] = [];
    while (slow.length < count) {
      const some = Array.from(
        { length: Math.min(CONNECTING_AT_ONCE, count - slow.length) },
        () => new Slow(port),
      );
      await Promise.all(some.map(({ connected }) => connected));
      slow.push(...some);
      assert.is((await other.send(get("/")).answer()).body, "here");
    }
    const during = await ask();
    for (const { socket, ended } of slow) if (!ended) socket.write("a");
    const perClient = (during.rssBytes - before.rssBytes) / during.open / 1024;
    process.stdout.write(
      `slow clients: ${count}, ${during.open} of them at once, ` +
        `${perClient.toFixed(1)} KiB each, ${during.timers - before.timers} timers\n`,
    );
    // One timer serves all of them.
    assert.ok(during.timers - before.timers < 10, `${during.timers} timers`);
    while (slow.some(({ ended }) => !ended)) {
      assert.is((await other.send(get("/")).answer()).body, "here");
      await turn();
    }
    const answered = slow.filter(({ answer }) => answer.startsWith("HTTP/1.1 408 "));
    assert.is(answered.length, count);
    while ((await ask()).open > 1) await turn();
  } finally {
    child.kill();
  }
});

test.run();
