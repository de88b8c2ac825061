// The access log: a line for each request, also for those that the server refuses itself, and
// nothing in a line that its client could have forged.

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { IO } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client, get, turn, withServer } from "./client.test.support.js";
import {
  AccessLog,
  type Answered,
  combinedLine,
  type Exchange,
  jsonLine,
  type Limits,
} from "./index.js";

const test = suite("access log");
const post = "POST /p HTTP/1.1\nHost: a\nReferer: http://r/\nUser-Agent: u\n";

// With a body that never comes as a whole.
const answer = async (one: Exchange): Promise<void> =>
  one.respond(200, null, await one.body.text());

test("a line for each answer, in a file", async () => {
  const folder = mkdtempSync(`${tmpdir()}/io-http-`);
  try {
    for (const format of ["combined", "json"] as const) {
      await using io = await IO.open();
      const log = await AccessLog.open(io, `${folder}/${format}`, format);
      const { onAnswered } = log;
      await withServer({ io, onAnswered, request: answer }, async (_server, port) => {
        using client = new Client(port);
        await client.send(get('/a"b', 'User-Agent: x"y\\z\nReferer: http://r/\n')).answer();
        await client.send(get("/2")).answer();
        await client.send("GET /3\n\n").ended();
      });
      await log.close();
      const lines = readFileSync(`${folder}/${format}`, "utf8").trimEnd().split("\n");
      assert.is(lines.length, 3);
      if (format === "json") {
        const [first, , last] = lines.map((line) => JSON.parse(line) as Answered);
        const { target, status, userAgent } = first!;
        assert.equal([target, status, userAgent], ['/a"b', 200, 'x"y\\z']);
        assert.equal([first!.refusal, last!.refusal], [undefined, "ERR_HTTP_NO_VERSION"]);
        assert.equal([last!.requestLine, last!.status], ["GET /3", 505]);
      } else {
        const tail = '"GET /a\\x22b HTTP/1.1" 200 \\d+ "http://r/" "x\\x22y\\x5cz"';
        const expected = tail.replaceAll("\\x", "\\\\x").replace("HTTP/1.1", "HTTP/1\\.1");
        assert.match(lines[0]!, new RegExp(`^127\\.0\\.0\\.1 - - \\[.*\\] ${expected}$`));
        assert.match(lines[2]!, /^127\.0\.0\.1 - - \[.*\] "GET \/3" 505 \d+ "-" "-"$/);
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** What is sent, which status refuses it, and what the line says of the request. */
const REFUSED: [sent: string, status: number, requestLine: string, limits?: Limits][] = [
  ["no request\n\n", 400, "no request"],
  ["\x16\x03\x01\x02", 400, "\x16\x03\x01\x02"],
  ["\n\nFROB /f HTTP/1.1\n", 501, "FROB /f HTTP/1.1"],
  ["GET /v HTTP/2.0\n\n", 505, "GET /v HTTP/2.0"],
  ["GET /n\n\n", 505, "GET /n"],
  ["GET /h HTTP/1.1\n\n", 400, "GET /h HTTP/1.1"],
  [`GET /${"t".repeat(3000)}`, 414, `GET /${"t".repeat(1019)}`, { targetBytes: 2000 }],
  [`GET /h HTTP/1.1\nX: ${"x".repeat(500)}`, 431, "GET /h HTTP/1.1", { headBytes: 300 }],
  ["GET /e HTTP/1.1\nHost: a\nExpect: more\n\n", 417, "GET /e HTTP/1.1"],
  [`${post}Content-Length: 9\n\n`, 413, "POST /p HTTP/1.1", { bodyBytes: 8 }],
  ["GET /s HTTP/1.1\nHost: a\nX", 408, "GET /s HTTP/1.1", { headTimeoutMs: 50 }],
  ["GET /slow", 408, "GET /slow", { headTimeoutMs: 50 }],
  // A handler was called for these.
  [`${post}Transfer-Encoding: chunked\n\nX`, 400, "POST /p HTTP/1.1"],
  [
    `${post}Transfer-Encoding: chunked\n\n9\n123456789\n`,
    413,
    "POST /p HTTP/1.1",
    { bodyBytes: 8 },
  ],
  [`${post}Content-Length: 9\n\n1`, 408, "POST /p HTTP/1.1", { bodyTimeoutMs: 50 }],
  [get("/q"), 408, "GET /q HTTP/1.1", { requestTimeoutMs: 50 }],
];

test("a line for each request that is refused, with what is known of it", async () => {
  for (const [sent, status, requestLine, limits] of REFUSED) {
    const logged: Answered[] = [];
    const finished: number[] = [];
    const refused: (readonly [code: string, status: number, seen: boolean])[] = [];
    const onFinish = (message: unknown): void =>
      void finished.push((message as { status: number }).status);
    const onRefused = (message: unknown): void => {
      const { code, status, exchange } = message as Record<string, never>;
      refused.push([code!, status!, exchange !== null]);
    };
    subscribe("io:http:request:finish", onFinish);
    subscribe("io:http:request:refused", onRefused);
    const request = async (one: Exchange): Promise<void> => {
      if (one.path === "/q") await new Promise((go) => one.signal.addEventListener("abort", go));
      else await answer(one);
    };
    const onAnswered = (answered: Answered): void => void logged.push(answered);
    const options = { request, onAnswered, limits, onError: () => undefined };
    await withServer(options, async ({ metrics }, port) => {
      using client = new Client(port);
      assert.is((await client.send(get("/before")).answer()).status, 200);
      const refusal = await client.send(sent).ended();
      const shown = JSON.stringify([sent.slice(0, 60), refusal, logged]);
      assert.match(refusal, new RegExp(`^HTTP/1\\.1 ${status} `), shown);
      assert.is(logged.length, 2, shown);
      const one = logged[1]!;
      assert.equal([one.status, one.requestLine], [status, requestLine], shown);
      assert.equal([one.sentBytes, one.address], [refusal.length, "127.0.0.1"], shown);
      // What is said by the log, the counters and the channels is the same.
      const seen = metrics.requests === 2;
      assert.equal(finished, seen ? [200, status] : [200], shown);
      assert.equal(refused, [[one.refusal, status, seen]], shown);
      assert.is(metrics.requestsRefused, 1);
      assert.is(metrics.responses[Math.floor(status / 100)], 1, shown);
      const isKnown = / HTTP\/1\.1$/.test(requestLine) && status !== 501;
      const [method = "", target = ""] = isKnown ? requestLine.split(" ") : [];
      assert.equal([one.method, one.target], [method, target], shown);
      const [referer, userAgent] = sent.startsWith(post) ? ["http://r/", "u"] : ["", ""];
      assert.equal([one.referer, one.userAgent], [referer, userAgent], shown);
    });
    unsubscribe("io:http:request:finish", onFinish);
    unsubscribe("io:http:request:refused", onRefused);
  }
});

type Leaves = "end" | "destroy" | "resetAndDestroy";

/**
 * What is sent before a client ends its side, goes or resets the connection; what it is answered,
 * what the line says of it, and whether a handler was called for it.
 */
const CUT: [
  sent: string,
  leaves: Leaves,
  answer: number,
  status: number,
  refusal: string,
  seen: boolean,
][] = [
  ["G", "end", 400, 400, "ERR_HTTP_HEAD_CUT", false],
  ["GET /h HTTP/1.1\nHost: a\nX", "end", 400, 400, "ERR_HTTP_HEAD_CUT", false],
  [`${post}Content-Length: 1\n`, "end", 400, 400, "ERR_HTTP_HEAD_CUT", false],
  ["GET /h HTTP/1.1\nHost: a\nX", "resetAndDestroy", 0, 0, "ERR_HTTP_HEAD_CUT", false],
  [`${post}Content-Length: 9\n\n1`, "end", 400, 400, "ERR_HTTP_BODY_CUT", true],
  [`${post}Transfer-Encoding: chunked\n\n9\n1`, "end", 400, 400, "ERR_HTTP_BODY_CUT", true],
  [`${post}X: wraps\nContent-Length: 9\n\n1`, "end", 400, 400, "ERR_HTTP_BODY_CUT", true],
  [`${post}X: own\nContent-Length: 9\n\n1`, "end", 500, 500, "", true],
  [`${post}Content-Length: 9\n\n1`, "resetAndDestroy", 0, 0, "", true],
  // The request was complete, and its handler has given it up.
  [get("/waits"), "end", 0, 0, "", true],
  [get("/waits"), "destroy", 0, 0, "", true],
  [get("/waits"), "resetAndDestroy", 0, 0, "", true],
];

async function orWaits(one: Exchange): Promise<void> {
  const { signal } = one;
  if (one.path === "/waits") await new Promise((go) => signal.addEventListener("abort", go));
  signal.throwIfAborted();
  try {
    await answer(one);
  } catch (error) {
    if (one.field("x") === "wraps") throw new Error("not read", { cause: error });
    throw one.field("x") === "own" ? new Error("its own") : error;
  }
}

test("a line for each request that its client cuts off, of the status that it got", async () => {
  for (const [sent, leaves, answered, status, refusal, seen] of CUT) {
    const logged: Answered[] = [];
    const finished: number[] = [];
    const refused: unknown[] = [];
    const errors: unknown[] = [];
    const onFinish = (message: unknown): void =>
      void finished.push((message as { status: number }).status);
    const onRefused = (message: unknown): void => {
      const { code, exchange } = message as Record<string, unknown>;
      refused.push([code, exchange !== null]);
    };
    subscribe("io:http:request:finish", onFinish);
    subscribe("io:http:request:refused", onRefused);
    const onAnswered = (one: Answered): void => void logged.push(one);
    const onError = (error: unknown): undefined => void errors.push(error);
    await withServer({ request: orWaits, onAnswered, onError }, async (server, port) => {
      const { metrics } = server;
      using client = new Client(port);
      client.send(get("/before") + sent);
      const sizeBytes = (get("/before") + sent).replaceAll("\n", "\r\n").length;
      while (metrics.receivedBytes < sizeBytes) await turn();
      client.socket[leaves]();
      const all = await client.ended();
      while (server.connections > 0) await turn();
      const shown = JSON.stringify([sent, leaves, all, logged]);
      const statuses = [...all.matchAll(/HTTP\/1\.1 ([0-9]+)/g)].map(([, text]) => Number(text));
      if (leaves === "end") assert.equal(statuses, answered === 0 ? [200] : [200, answered], shown);
      assert.is(logged.length, 2, shown);
      const [before, one] = logged;
      assert.equal([before!.status, before!.target], [200, "/before"], shown);
      assert.equal([one!.status, one!.refusal], [status, refusal], shown);
      assert.is(one!.requestLine, sent.split("\n")[0], shown);
      assert.is(one!.sentBytes, status === 0 ? 0 : all.length - before!.sentBytes, shown);
      assert.equal(finished, seen ? [200, status] : [200], shown);
      assert.equal(refused, refusal === "" ? [] : [[refusal, seen]], shown);
      assert.is(metrics.requestsRefused, refusal === "" ? 0 : 1, shown);
      assert.is(metrics.responses[4], status === 400 ? 1 : 0, shown);
      // A client that has gone is no fault of its handler.
      assert.is(errors.length, status === 500 ? 1 : 0, shown);
    });
    unsubscribe("io:http:request:finish", onFinish);
    unsubscribe("io:http:request:refused", onRefused);
  }
});

test("a connection that ends without a request has no line", async () => {
  const logged: Answered[] = [];
  const onAnswered = (one: Answered): void => void logged.push(one);
  await withServer({ request: answer, onAnswered }, async (server, port) => {
    for (const sent of ["", "\n\n"]) {
      for (const leaves of ["end", "resetAndDestroy"] as const) {
        using client = new Client(port);
        await client.send(`${get("/")}${sent}`).until(() => client.received.endsWith("\r\n\r\n"));
        client.socket[leaves]();
        await client.ended();
      }
    }
    while (server.connections > 0) await turn();
    assert.is(logged.length, 4);
    assert.is(server.metrics.requestsRefused, 0);
  });
});

test("a client forges no line and no control sequence", async () => {
  const logged: Answered[] = [];
  const onAnswered = (answered: Answered): void => void logged.push(answered);
  const nasty = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
    .filter((letter) => letter !== "\n" && letter !== "\r")
    .join("");
  await withServer({ onAnswered, request: answer }, async (_server, port) => {
    using quiet = new Client(port);
    await quiet.sendBytes(Buffer.from(`X${nasty}`, "latin1")).ended();
    using forging = new Client(port);
    await forging.send('\x1b[2J" 200 1 "-" "-"\n6.6.6.6 - - "GET / HTTP/1.1"\n\n').ended();
  });
  assert.is(logged.length, 2);
  for (const line of logged.flatMap((one) => [combinedLine(one), jsonLine(one)])) {
    assert.match(line, /^[^\p{Cc}]+\n$/u);
  }
  assert.is(jsonLine(logged[0]!).includes("\\u009b"), true);
  assert.is((JSON.parse(jsonLine(logged[0]!)) as Answered).requestLine, `X${nasty}`);
  // A quote of the client does not end the part that is quoted.
  assert.is(combinedLine(logged[1]!).split('"').length, 7);
});

test("the line of a refused request has nothing of another connection", async () => {
  const logged: Answered[] = [];
  const onAnswered = (answered: Answered): void => void logged.push(answered);
  const limits = { headTimeoutMs: 200 };
  await withServer({ onAnswered, request: answer, limits }, async (server, port) => {
    using slow = new Client(port);
    slow.send("GET /slow HTTP/1.1\nReferer: mine\nUser-A");
    while (server.metrics.receivedBytes === 0) await turn();
    using other = new Client(port);
    // These come in the memory that the beginning of the slow one was received in.
    const secret = "Referer: secret\nUser-Agent: secret\n".repeat(20);
    while (!slow.closed) await other.send(get("/other-secret", secret)).answer();
  });
  const late = logged.filter(({ status }) => status === 408);
  const [one] = late;
  assert.is(late.length, 1);
  assert.equal(
    [one!.requestLine, one!.referer, one!.userAgent],
    ["GET /slow HTTP/1.1", "mine", ""],
  );
});

test("a client that goes within a body that no handler has read has its line", async () => {
  const logged: Answered[] = [];
  const onAnswered = (answered: Answered): void => void logged.push(answered);
  const request = (one: Exchange): void => one.respond(403);
  await withServer({ onAnswered, request }, async (server, port) => {
    using client = new Client(port);
    client.send(`${post}Content-Length: 9\n\n1`);
    assert.is((await client.answer()).status, 403);
    client.socket.resetAndDestroy();
    while (server.connections > 0) await turn();
    assert.equal(
      logged.map(({ status }) => status),
      [403],
    );
  });
});

test.run();
