// The server from outside: what comes back for what was sent.

import { AsyncLocalStorage } from "node:async_hooks";
import { spawn } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request as nodeRequest } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import { Completion, type InternetAddress, IO, type IOError } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client, calm, exchange, get, turn, withServer } from "./client.test.support.js";
import {
  AccessLog,
  type Exchange,
  FieldBlock,
  files,
  HttpError,
  type ServeOptions,
  serve,
  serveInWorkers,
} from "./index.js";
import { CORPUS } from "./parser/corpus.test.support.js";
import { ourVerdict } from "./parser/oracle.test.support.js";

const test = suite("server");
const plain = new FieldBlock({ "content-type": "text/plain" });
const echoTarget = (one: Exchange): void => one.respond(200, plain, one.target);

test("an answer has a status, a date, its fields and its length", async () => {
  await withServer({ request: echoTarget }, async (_server, port) => {
    using client = new Client(port);
    const { status, fields, body } = await client.send(get("/a?b=%20")).answer();
    assert.is(status, 200);
    assert.is(body, "/a?b=%20");
    assert.is(fields["content-type"], "text/plain");
    assert.is(fields["content-length"], "8");
    assert.ok(Math.abs(Date.parse(fields["date"]!) - Date.now()) < 5000);
    assert.is(fields["connection"], undefined);
  });
});

test("HEAD has the fields of GET and no body", async () => {
  await withServer({ request: echoTarget }, async (_server, port) => {
    using client = new Client(port);
    client.send(`HEAD /abc HTTP/1.1\nHost: a\n\n${get("/next")}`);
    const { status, fields } = await client.answer(true);
    assert.equal([status, fields["content-length"]], [200, "4"]);
    assert.is((await client.answer()).body, "/next");
  });
});

test("pipelined requests are answered in order, whatever each takes", async () => {
  const request = async (one: Exchange): Promise<void> => {
    const { path } = one;
    for (let left = Number(one.query); left > 0; left--) await turn();
    one.respond(200, null, path);
  };
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    client.send(get("/1?9") + get("/2?0") + get("/3?5") + get("/4?0"));
    for (const path of ["/1", "/2", "/3", "/4"]) assert.is((await client.answer()).body, path);
  });
});

test("HTTP/1.0 is closed, unless the client asks for more", async () => {
  await withServer({ request: echoTarget }, async (_server, port) => {
    const once = await exchange(port, "GET /a HTTP/1.0\n\n");
    assert.match(once, /^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close\r\n\r\n\/a$/);
    using client = new Client(port);
    client.send("GET /a HTTP/1.0\nConnection: keep-alive\n\nGET /b HTTP/1.0\n\n");
    assert.is((await client.answer()).fields["connection"], "keep-alive");
    assert.is((await client.answer()).body, "/b");
    await client.ended();
  });
});

test("Connection: close ends the connection behind the answer", async () => {
  await withServer({ request: echoTarget }, async (_server, port) => {
    const all = await exchange(port, get("/a", "Connection: close\n") + get("/b"));
    assert.match(all, /Connection: close\r\n\r\n\/a$/);
  });
});

test("a request that comes byte by byte", async () => {
  const request = async (one: Exchange): Promise<void> =>
    one.respond(200, null, `${one.field("x")} ${await one.body.text()} ${one.trailer().join()}`);
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    const chunks = "3;a=b\nabc\n2\nde\n0\nT: t\n\n";
    const whole = `POST / HTTP/1.1\nHost: a\nX: 1\nX: 2\nTransfer-Encoding: chunked\n\n${chunks}`;
    for (const byte of whole) {
      client.send(byte);
      await turn();
    }
    assert.is((await client.answer()).body, "1, 2 abcde t,t");
  });
});

test("what is malformed is refused as the parser says, and the connection ends", async () => {
  await withServer({ request: (one) => one.respond(200) }, async (server, port) => {
    const bad = CORPUS.filter(({ bytes }) => ourVerdict([bytes]).fault !== "");
    assert.ok(bad.length > 50);
    for (const { name, bytes } of bad) {
      const { ours, messages } = ourVerdict([bytes]);
      using client = new Client(port);
      const all = await client.sendBytes(bytes).ended();
      // Where the head was right, the handler has answered before the body was seen.
      const status = messages.length > 0 ? 200 : ours?.status;
      assert.match(all, new RegExp(`^HTTP/1.1 ${status} `), name);
    }
    assert.ok(server.metrics.requestsRefused > 50);
  });
});

test("Expect: the client gets 100 when the handler wants the body", async () => {
  const request = async (one: Exchange): Promise<void> => {
    if (one.path === "/no") one.respond(403);
    else one.respond(200, null, await one.body.text());
  };
  await withServer({ request }, async (_server, port) => {
    const expecting = "Host: a\nContent-Length: 5\nExpect: 100-continue\n\n";
    using client = new Client(port);
    client.send(`POST / HTTP/1.1\n${expecting}`);
    assert.is((await client.answer()).status, 100);
    assert.is((await client.send("hello").answer()).body, "hello");
    const refused = await exchange(port, `POST /no HTTP/1.1\n${expecting}`);
    assert.match(refused, /^HTTP\/1\.1 403 [\s\S]*Connection: close/);
    assert.match(await exchange(port, get("/", "Expect: more\n")), /^HTTP\/1\.1 417 /);
  });
});

test("a body that is not read is not part of the next request", async () => {
  await withServer({ request: echoTarget }, async (_server, port) => {
    using client = new Client(port);
    const body = get("/smuggled");
    const length = body.replaceAll("\n", "\r\n").length;
    client.send(`POST /1 HTTP/1.1\nHost: a\nContent-Length: ${length}\n\n${body}${get("/2")}`);
    assert.is((await client.answer()).body, "/1");
    assert.is((await client.answer()).body, "/2");
  });
});

test("a body in chunks, sent in pieces, with fields behind it", async () => {
  const request = async (one: Exchange): Promise<void> => {
    one.begin(200, { trailer: "x-sum" });
    for (const word of ["ab", "", "cde"]) await one.write(word);
    one.end({ "x-sum": "5" });
  };
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    const { body, fields } = await client.send(get("/") + get("/")).answer();
    assert.is(fields["transfer-encoding"], "chunked");
    assert.is(body, "2\r\nab\r\n3\r\ncde\r\n0\r\nx-sum: 5\r\n\r\n");
    assert.is((await client.answer()).body, body);
    // HTTP/1.0 has no chunks: the end of the connection is that of the body.
    assert.match(await exchange(port, "GET / HTTP/1.0\n\n"), /\r\n\r\nabcde$/);
  });
});

test("the announced length is kept, or the connection breaks", async () => {
  const thrown: unknown[] = [];
  const request = (one: Exchange): void => {
    one.begin(200, null, 5);
    one.write("abc");
    try {
      if (one.path === "/long") one.write("def");
      one.end();
    } catch (error) {
      thrown.push((error as HttpError).code);
      if (one.path === "/long") one.destroy();
    }
  };
  await withServer({ request }, async (_server, port) => {
    for (const path of ["/long", "/short"]) {
      const all = await exchange(port, get(path) + get("/short"));
      assert.is(all.includes("def"), false);
      assert.is(all.split("HTTP/1.1").length <= 2, true);
    }
    assert.equal(thrown, ["ERR_HTTP_BODY_LONG", "ERR_HTTP_BODY_SHORT"]);
  });
});

test("fields that cannot be sent are refused, and nothing of them is sent", async () => {
  const codes: string[] = [];
  const request = (one: Exchange): void => {
    for (const fields of [{ "a b": "c" }, { a: "b\r\nc: d" }, { a: "\u0100" }, { "": "a" }]) {
      try {
        one.respond(200, fields);
      } catch (error) {
        codes.push((error as HttpError).code);
      }
    }
    one.respond(204, { "content-length": "99", "transfer-encoding": "chunked" });
  };
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    const { status, fields } = await client.send(get("/")).answer();
    assert.is(status, 204);
    assert.equal(Object.keys(fields), ["date"]);
    const [name, value] = ["ERR_HTTP_FIELD_NAME", "ERR_HTTP_FIELD_VALUE"];
    assert.equal(codes, [name, value, value, name]);
  });
});

test("204, 205 and 304 have no content, and 205 says so", async () => {
  const ways: Record<string, (one: Exchange, status: number) => unknown> = {
    text: (one, status) => one.respond(status, { "content-length": "4" }, "body"),
    none: (one, status) => one.respond(status, { "content-length": "4" }),
    chunked: async (one, status) => {
      one.begin(status);
      await one.write("body");
      one.end({ trailer: "1" });
    },
    announced: async (one, status) => {
      one.begin(status, null, 4);
      await one.write("body");
      one.end();
    },
  };
  const request = (one: Exchange): Promise<void> =>
    ways[one.path.slice(1)]!(one, Number(one.query)) as Promise<void>;
  // No response of the web can be made with both, but an object of another class may have them.
  const foreign = ({ url }: Request): Response => {
    const body = new ReadableStream({ pull: (end) => end.enqueue(Buffer.from("endless")) });
    const status = Number(new URL(url).search.slice(1));
    return { status, headers: new Headers(), body, bodyUsed: false } as Response;
  };
  for (const options of [{ request }, { fetch: foreign }]) {
    await withServer(options, async (_server, port) => {
      for (const status of [204, 205, 304]) {
        for (const way of Object.keys(ways)) {
          for (const method of ["GET", "HEAD"]) {
            const ask = `${method} /${way}?${status} HTTP/1.1\nHost: a\nConnection: close\n\n`;
            const all = await exchange(port, ask);
            assert.match(all, new RegExp(`^HTTP/1\\.1 ${status} `));
            assert.is(all.indexOf("\r\n\r\n"), all.length - 4, `${method} ${way}: ${all}`);
            const framing = all.match(/^(content-length|transfer-encoding): .*$/gim) ?? [];
            assert.equal(framing, status === 205 ? ["Content-Length: 0"] : [], `${method} ${way}`);
          }
        }
      }
    });
  }
});

test("what a handler throws is 500 before the answer, and a broken one within it", async () => {
  const errors: string[] = [];
  const request = async (one: Exchange): Promise<void> => {
    if (one.path !== "/sync") await turn();
    if (one.path === "/within") one.begin(200, null, 10);
    throw new Error(one.path);
  };
  const sync = (one: Exchange): void | Promise<void> => {
    if (one.path === "/sync") throw new Error("/sync");
    return request(one);
  };
  const onError = (error: unknown): undefined => void errors.push((error as Error).message);
  await withServer({ request: sync, onError }, async (_server, port) => {
    using client = new Client(port);
    assert.is((await client.send(get("/sync")).answer()).status, 500);
    assert.is((await client.send(get("/later")).answer()).status, 500);
    client.send(get("/within") + get("/sync"));
    const all = await client.ended();
    assert.is(all.split("HTTP/1.1").length, 2, all);
    assert.equal(errors, ["/sync", "/later", "/within"]);
  });
});

test("the signal is aborted when the client goes", async () => {
  const aborted: string[] = [];
  let started: () => void = () => undefined;
  const request = async (one: Exchange): Promise<void> => {
    started();
    await new Promise((resolve) => one.signal.addEventListener("abort", resolve));
    aborted.push((one.signal.reason as HttpError).code);
    one.respond(200);
  };
  await withServer({ request }, async (server, port) => {
    for (const way of ["destroy", "resetAndDestroy", "end"] as const) {
      const begun = new Promise<void>((resolve) => {
        started = resolve;
      });
      using client = new Client(port);
      client.send(get("/"));
      await begun;
      client.socket[way]();
      await client.ended();
    }
    while (server.connections > 0) await turn();
    assert.equal(aborted, ["ERR_HTTP_ABORTED", "ERR_HTTP_ABORTED", "ERR_HTTP_ABORTED"]);
  });
});

test("a client that does not read its answers stops its pipeline", async () => {
  const body = "x".repeat(1000);
  await withServer({ request: (one) => one.respond(200, null, body) }, async (server, port) => {
    using client = new Client(port);
    const count = 30_000;
    const first = await client.send(get("/")).answer();
    const answerBytes = server.metrics.sentBytes;
    assert.is(first.body, body);
    client.socket.pause();
    client.send(get("/").repeat(count));
    // Until nothing more is taken: the kernel's buffers and the server's are full.
    await calm(() => server.metrics.requests);
    assert.ok(server.metrics.requests < count, `${server.metrics.requests}`);
    client.socket.resume();
    await client.until(() => client.received.length === count * answerBytes);
    assert.is(client.received.split("HTTP/1.1 200").length, count + 1);
  });
});

test("a handler that does not read its body stops the client", async () => {
  let go: () => void = () => undefined;
  const wait = new Promise<void>((resolve) => {
    go = resolve;
  });
  const sizeBytes = 64 * 1024 * 1024;
  const request = async (one: Exchange): Promise<void> => {
    const first = await one.body.next();
    await wait;
    let count = first.value?.length ?? 0;
    for await (const piece of one.body) count += piece.length;
    one.respond(200, null, String(count));
  };
  await withServer({ request }, async (server, port) => {
    using client = new Client(port);
    client.send(`POST / HTTP/1.1\nHost: a\nContent-Length: ${sizeBytes}\n\n`);
    client.socket.write(Buffer.alloc(sizeBytes, 0x61));
    await calm(() => server.metrics.receivedBytes);
    assert.ok(server.metrics.receivedBytes < 1024 * 1024, `${server.metrics.receivedBytes}`);
    go();
    assert.is((await client.answer()).body, String(sizeBytes));
  });
});

test("a large answer goes at the pace of the client", async () => {
  const piece = Buffer.alloc(64 * 1024, 0x62);
  let waited = 0;
  const request = async (one: Exchange): Promise<void> => {
    one.begin(200, null, piece.length * 500);
    for (let left = 500; left > 0; left--) {
      const room = one.write(piece);
      if (room !== undefined) waited++;
      await room;
    }
    one.end();
  };
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    const { body } = await client.send(get("/")).answer();
    assert.is(body.length, piece.length * 500);
    assert.is(/^b+$/.test(body), true);
    assert.ok(waited > 10, `${waited}`);
  });
});

test("times: for a head, for the next request, for a body, for taking the answer", async () => {
  const limits = { headTimeoutMs: 60, idleTimeoutMs: 60, bodyTimeoutMs: 60, sendTimeoutMs: 100 };
  const request = async (one: Exchange): Promise<void> => {
    if (one.path === "/large") one.respond(200, null, Buffer.alloc(64 * 1024 * 1024));
    else one.respond(200, null, await one.body.text());
  };
  await withServer({ request, limits, onError: () => undefined }, async (server, port) => {
    assert.match(await exchange(port, "GET / HT"), /^HTTP\/1\.1 408 /);
    assert.is(await exchange(port, ""), "");
    const idle = await exchange(port, get("/"));
    assert.match(idle, /^HTTP\/1\.1 200 OK/);
    const body = await exchange(port, "POST / HTTP/1.1\nHost: a\nContent-Length: 9\n\nabc");
    assert.match(body, /^HTTP\/1\.1 408 /);
    using client = new Client(port);
    client.socket.pause();
    client.send(get("/large"));
    while (server.metrics.requests < 3 || server.connections > 0) await turn();
  });
});

test("an answer that is not taken ends its connection, where idling has no limit", async () => {
  const limits = { idleTimeoutMs: 0, sendTimeoutMs: 100 };
  const body = Buffer.alloc(64 * 1024 * 1024);
  const request = (one: Exchange): void =>
    one.respond(200, null, one.path === "/large" ? body : one.path);
  await withServer({ request, limits }, async (server, port) => {
    using idle = new Client(port);
    await idle.send(get("/idle")).answer();
    using client = new Client(port);
    client.socket.pause();
    client.send(get("/large"));
    while (server.metrics.requests < 2 || server.connections > 1) await turn();
    assert.is((await idle.send(get("/still")).answer()).body, "/still");
  });
});

test("a request has an end, however its client or its handler goes on", async () => {
  const limits = { requestTimeoutMs: 100, connections: 2 };
  const request = async (one: Exchange): Promise<void> => {
    if (one.path === "/never") return new Promise(() => undefined);
    if (one.path === "/body") return one.respond(200, null, await one.body.text());
    one.begin(200);
    while (!one.ended) {
      await one.write("a");
      await turn();
    }
  };
  await withServer({ request, limits, onError: () => undefined }, async (server, port) => {
    assert.match(await exchange(port, get("/never")), /^HTTP\/1\.1 408 /);
    const body = exchange(port, "POST /body HTTP/1.1\nHost: a\nContent-Length: 9\n\nabc");
    assert.match(await body, /^HTTP\/1\.1 408 /);
    const endless = await exchange(port, get("/endless"));
    assert.match(endless, /^HTTP\/1\.1 200 /);
    assert.is(endless.endsWith("0\r\n\r\n"), false);
    while (server.connections > 0) await turn();
    using one = new Client(port);
    using two = new Client(port);
    while (server.connections < 2) await turn();
    assert.is(await exchange(port, get("/never")), "");
    assert.is(server.metrics.connectionsRefused, 1);
    assert.equal([one.closed, two.closed], [false, false]);
  });
});

test("limits: head, target, fields, body, connections", async () => {
  const limits = { headBytes: 400, targetBytes: 100, fields: 4, bodyBytes: 10 };
  const request = async (one: Exchange): Promise<void> =>
    one.respond(200, null, await one.body.text());
  const onError = (): undefined => undefined;
  await withServer({ request, limits, onError }, async (_server, port) => {
    const status = async (text: string) => (await exchange(port, text)).slice(9, 12);
    assert.is(await status(get("/", `X: ${"a".repeat(400)}\n`)), "431");
    assert.is(await status(get(`/${"a".repeat(100)}`)), "414");
    assert.is(await status(get("/", "A: a\nB: b\nC: c\nD: d\n")), "431");
    const post = "POST / HTTP/1.1\nHost: a\n";
    assert.is(await status(`${post}Content-Length: 11\n\n`), "413");
    assert.is(await status(`${post}Transfer-Encoding: chunked\n\n6\nabcdef\n6\nabcdef\n`), "413");
  });
  const few = { connectionsPerAddress: 2 };
  await withServer({ request: echoTarget, limits: few }, async (server, port) => {
    using one = new Client(port);
    using two = new Client(port);
    await one.send(get("/")).answer();
    await two.send(get("/")).answer();
    assert.is(await exchange(port, get("/")), "");
    assert.is(server.metrics.connectionsRefused, 1);
    one.socket.destroy();
    while (server.connections > 1) await turn();
    using three = new Client(port);
    assert.is((await three.send(get("/3")).answer()).body, "/3");
  });
});

test("stop finishes what is under way and takes nothing more", async () => {
  let go: () => void = () => undefined;
  const request = async (one: Exchange): Promise<void> => {
    await new Promise<void>((resolve) => {
      go = resolve;
    });
    one.respond(200, null, "done");
  };
  const server = await serve({ port: 0, request });
  const port = server.address.family === "unix" ? 0 : server.address.port;
  using idle = new Client(port);
  using busy = new Client(port);
  busy.send(get("/"));
  while (server.metrics.requests < 1 || server.connections < 2) await turn();
  const stopping = server.stop();
  await idle.ended();
  go();
  const { body, fields } = await busy.answer();
  assert.equal([body, fields["connection"]], ["done", "close"]);
  busy.socket.end();
  await stopping;
  await exchange(port, get("/")).then((all) => assert.is(all, ""));
});

test("the forms of targets: a URL, an asterisk, CONNECT", async () => {
  const request = (one: Exchange): void => one.respond(200, null, `${one.target} ${one.url}`);
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    const body = async (text: string) => (await client.send(text).answer()).body;
    assert.is(await body(get("http://b/c?d")), "http://b/c?d http://b/c?d");
    assert.is(await body("OPTIONS * HTTP/1.1\nHost: a\n\n"), "* http://a/");
    const refused = await exchange(port, `CONNECT a:1 HTTP/1.1\nHost: a\n\n${get("/")}`);
    assert.match(refused, /^HTTP\/1\.1 405 /);
    assert.is(refused.split("HTTP/1.1").length, 2);
  });
});

test("a unix socket", async () => {
  const folder = mkdtempSync(`${tmpdir()}/io-http-`);
  try {
    await using server = await serve({ path: `${folder}/socket`, request: echoTarget });
    assert.match(server.url, /^unix:/);
    const body = await new Promise<string>((resolve, reject) => {
      const asking = nodeRequest({ socketPath: `${folder}/socket`, path: "/x" }, (answer) => {
        answer.setEncoding("utf8").on("data", resolve);
      });
      asking.on("error", reject).end();
    });
    assert.is(body, "/x");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("no request runs in the AsyncLocalStorage of another", async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const request = async (one: Exchange): Promise<void> => {
    seen.push(storage.getStore());
    const { target } = one;
    storage.enterWith(target);
    await storage.run(target, async () => {
      await turn();
      await one.body.text();
      seen.push(storage.getStore());
      one.respond(200, null, target);
    });
  };
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    const post = (path: string) => `POST ${path} HTTP/1.1\nHost: a\nContent-Length: 2\n\nab`;
    client.send(post("/1") + post("/2"));
    await client.answer();
    await client.answer();
    await client.send(post("/3")).answer();
    assert.equal(seen, [undefined, "/1", undefined, "/2", undefined, "/3"]);
  });
});

test("options that are wrong are refused with what is right", async () => {
  const refused = async (options: object, expected: RegExp): Promise<void> => {
    try {
      await serve(options as { request: () => void });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, HttpError);
      assert.match((error as Error).message, expected);
    }
  };
  await refused({}, /give one of fetch and request/);
  await refused({ request: echoTarget, prot: 1 }, /no option prot; known are fetch/);
  await refused({ request: echoTarget, limits: { headBites: 1 } }, /no limit headBites/);
  await refused({ request: echoTarget, limits: { fields: -1 } }, /limits.fields is -1/);
  const port = 0;
  const request = echoTarget;
  const fetch = (): Response => new Response();
  const path = `${tmpdir()}/io-http-never`;
  await refused([], /give an object with options, not \[\]/);
  await refused({ port, fetch, request }, /fetch and request were both given/);
  await refused({ port, fetch: null, request: null }, /give one of fetch and request/);
  await refused({ port, fetch: 5 }, /fetch is a number: give a function/);
  await refused({ port, request, upgrade: true }, /upgrade is a boolean: give a function/);
  await refused({ port, request, onError: "log" }, /onError is a string: give a function/);
  await refused({ port, request, onAnswered: {} }, /onAnswered is a object: give a function/);
  await refused(
    { port, fetch, replaceGlobals: "no" },
    /replaceGlobals is a string: give a boolean/,
  );
  await refused({ port, request, replaceGlobals: false }, /replaceGlobals is for fetch/);
  await refused({ port, request, io: {} }, /io is no IO: give what IO.open has opened/);
  await refused({ port, request, limits: [] }, /limits: give an object with limits, not \[\]/);
  await refused({ port, request, limits: 5 }, /give an object with limits, not 5/);
  await refused({ port, request, limits: { fields: 1.5 } }, /limits.fields is 1.5/);
  await refused({ port, request, path }, /a path or a port, not both/);
  await refused({ request, path, host: "::" }, /a path or a host, not both/);
  await refused({ request, path, reusePort: true }, /reusePort is for a port/);
  const perAddress = { request, path, limits: { connectionsPerAddress: 1 } };
  await refused(perAddress, /connectionsPerAddress is for a port/);
  assert.throws(() => files(".", { index: "a", indx: "b" } as object), /files: .* no option indx;/);
  const wrong: [given: unknown, code: string, text: RegExp][] = [
    [null, "ERR_HTTP_OPTION", /files: give an object/],
    ["x", "ERR_HTTP_OPTION", /files: give an object/],
    [{ dotFiles: "no" }, "ERR_HTTP_OPTION", /files: dotFiles is a string: give a boolean/],
    [{ index: 5 }, "ERR_HTTP_OPTION", /files: index is a number: give a string/],
    [{ cacheControl: 60 }, "ERR_HTTP_OPTION", /files: cacheControl is a number: give a string/],
    [{ cacheControl: "a\nb" }, "ERR_HTTP_FIELD_VALUE", /cacheControl/],
  ];
  for (const [given, code, text] of wrong) {
    assert.throws(
      () => files(".", given as object),
      (error: HttpError) => error.code === code && text.test(error.message),
    );
  }
  const module = "data:text/javascript,";
  const onWorkerError = "log";
  for (const given of [null, [], {}, { module: 5 }, { module, onWorkerError }]) {
    const error = await serveInWorkers(given as never).catch((reason: unknown) => reason);
    assert.is((error as HttpError).code, "ERR_HTTP_OPTION", JSON.stringify(given));
  }
  const log = AccessLog.open(null as never, "access.log", "xml" as never);
  const error = await log.catch((reason: unknown) => reason);
  assert.match((error as HttpError).message, /the format is xml: give combined or json/);
});

test("null and undefined are options that were not given, and Infinity is no limit", async () => {
  const limits = { fields: null, bodyBytes: Number.POSITIVE_INFINITY, idleTimeoutMs: undefined };
  const none = { fetch: null, upgrade: null, path: null, host: null, io: null, onError: undefined };
  const given = { port: 0, request: echoTarget, limits, ...none } as unknown as ServeOptions;
  const server = await serve(given);
  const { port } = server.address as InternetAddress;
  using client = new Client(port);
  client.send("POST /taken HTTP/1.1\nHost: a\nContent-Length: 4\n\nbody");
  assert.is((await client.answer()).body, "/taken");
  await server.stop(null as never);
  // What the server has opened itself it has closed.
  const failed = await server.io.stat(".").then(
    () => "",
    (error: unknown) => (error as { code: string }).code,
  );
  assert.match(failed, "CLOSED");
});

test("wrong options of stop() stop nothing, and an endless time breaks off nothing", async () => {
  const answers: (() => void)[] = [];
  const request = (one: Exchange): void =>
    void answers.push(() => one.respond(200, plain, "finished"));
  await withServer({ request }, async (server, port) => {
    using client = new Client(port);
    client.send(get("/"));
    while (answers.length < 1) await turn();
    const wrongTimes = [-1, "0", Number.NaN, []].map((timeoutMs) => ({ timeoutMs }));
    for (const wrong of [...wrongTimes, { timeout: 0 }, 5, "0", [], [0], new Map()]) {
      const refused = server.stop(wrong as object).catch((reason: unknown) => reason);
      const error = await Promise.race([refused, turn()]);
      assert.instance(error, HttpError, JSON.stringify(wrong));
      assert.is((error as HttpError).code, "ERR_HTTP_OPTION");
    }
    const stopping = server.stop({ timeoutMs: Number.POSITIVE_INFINITY });
    // A timer of Node whose time is too long rings after 1 ms.
    await calm(() => server.connections);
    answers[0]!();
    assert.is((await client.answer()).body, "finished");
    await stopping;
  });
});

test("connections that fail by the IO are counted and reported, and others follow", async () => {
  const reported: unknown[] = [];
  const { error: print } = console;
  console.error = (error: unknown) => void reported.push(error);
  try {
    await using io = await IO.open({ inFlightLimit: 32 });
    await withServer({ io, request: echoTarget }, async (server, port) => {
      const { metrics } = server;
      const clients = Array.from({ length: 4 }, () => new Client(port));
      for (const client of clients) await client.send(get("/")).answer();
      // The program takes all that is left of the IO.
      const taken: Completion[] = [];
      const fill = (): void => {
        for (;;) {
          const completion = new Completion();
          io.ring.timeout(completion, () => undefined, 3.6e12);
          taken.push(completion);
        }
      };
      assert.throws(fill, (error: IOError) => error.code === "ERR_IO_IN_FLIGHT_LIMIT");
      for (const client of clients) client.send(get("/"));
      for (const client of clients) assert.is(await client.ended(), "");
      assert.is(metrics.connectionsFailed, clients.length);
      assert.match(metrics.text(), /\nio_http_connections_failed_total 4\n/);
      // What all of them fail of is said once.
      const [error] = reported as HttpError[];
      assert.is(reported.length, 1);
      assert.is(error!.code, "ERR_HTTP_CONNECTION");
      assert.is((error!.cause as IOError).code, "ERR_IO_IN_FLIGHT_LIMIT");
      for (const completion of taken) {
        io.ring.cancel(new Completion(), () => undefined, completion);
        while (completion.active) await turn();
      }
      using later = new Client(port);
      assert.is((await later.send(get("/later")).answer()).status, 200);
      // A client that resets its connection is none of them.
      const failed = metrics.connectionsFailed;
      later.socket.resetAndDestroy();
      while (server.connections > 0) await turn();
      assert.is(metrics.connectionsFailed, failed);
    });
  } finally {
    console.error = print;
  }
});

test("metrics are text for Prometheus", async () => {
  await withServer({ request: echoTarget }, async (server, port) => {
    await exchange(port, get("/", "Connection: close\n"));
    const text = server.metrics.text();
    assert.match(text, /\nio_http_requests_total 1\n/);
    assert.match(text, /\nio_http_responses_total\{code="2xx"\} 1\n/);
  });
});

test("channels report requests, answers, what was thrown, and what was refused", async () => {
  const told: unknown[] = [];
  const name = (one: unknown): string => (one as { exchange: Exchange }).exchange.path;
  const listeners = {
    create: (message: unknown) => told.push(["create", name(message)]),
    finish: (message: unknown) => told.push(["finish", (message as { status: number }).status]),
    error: (message: unknown) => told.push(["error", name(message)]),
    refused: (message: unknown) => told.push(["refused", message]),
  };
  for (const [event, listener] of Object.entries(listeners)) {
    subscribe(`io:http:request:${event}`, listener);
  }
  const request = (one: Exchange): void => {
    if (one.path === "/throws") throw new Error("as asked");
    one.respond(204);
  };
  try {
    await withServer({ request, onError: () => undefined }, async (_server, port) => {
      using client = new Client(port);
      await client.send(get("/")).answer();
      await client.send(get("/throws")).answer();
      await client.send("no request\n\n").ended();
    });
  } finally {
    for (const [event, listener] of Object.entries(listeners)) {
      unsubscribe(`io:http:request:${event}`, listener);
    }
  }
  assert.equal(told, [
    ["create", "/"],
    ["finish", 204],
    ["create", "/throws"],
    ["error", "/throws"],
    ["finish", 500],
    ["refused", { code: "ERR_HTTP_START", status: 400, exchange: null }],
  ]);
});

test("the date goes on where no time limit does", async () => {
  const limits = { idleTimeoutMs: 0, headTimeoutMs: 0, bodyTimeoutMs: 0, sendTimeoutMs: 0 };
  await withServer({ request: echoTarget, limits }, async (_server, port) => {
    using client = new Client(port);
    const first = (await client.send(get("/")).answer()).fields["date"];
    for (let date = first; date === first; ) {
      date = (await client.send(get("/")).answer()).fields["date"];
      await turn();
    }
  });
});

test("a last answer goes at the pace of the client, too", async () => {
  const body = Buffer.alloc(32 * 1024 * 1024, 0x63);
  const request = (one: Exchange): void =>
    one.respond(200, null, one.path === "/large" ? body : "small");
  await withServer({ request }, async (server, port) => {
    using client = new Client(port);
    client.socket.pause();
    client.send(get("/large", "Connection: close\n"));
    while (server.metrics.requests < 1) await turn();
    // When this one is given up, which took its answer and does not end, that time has passed.
    const other = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    other.end(get("/small", "Connection: close\n").replaceAll("\n", "\r\n"));
    const silent = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    silent.write(get("/small", "Connection: close\n").replaceAll("\n", "\r\n"));
    while (server.metrics.requests < 3) await turn();
    while (server.connections > 1) await turn();
    client.socket.resume();
    const all = await client.ended();
    assert.is(all.length - all.indexOf("\r\n\r\n") - 4, body.length);
    silent.destroy();
    other.destroy();
  });
});

const upgrading = "Host: a\nConnection: upgrade\nUpgrade: x\n";

test("an upgraded stream has all bytes before its end, however late it is read", async () => {
  const sizeBytes = 40_000;
  let go: () => void = () => undefined;
  let options: ServeOptions | null = null;
  const result = new Promise<number>((resolve, reject) => {
    const upgrade = (one: Exchange): void => {
      const stream = one.upgrade();
      stream.on("error", reject);
      go = () => {
        let count = 0;
        stream.on("data", (bytes: Buffer) => {
          count += bytes.length;
        });
        stream.on("end", () => {
          stream.end();
          resolve(count);
        });
      };
    };
    options = { request: echoTarget, upgrade };
  });
  await withServer(options!, async (server, port) => {
    using client = new Client(port);
    client.send(`GET / HTTP/1.1\n${upgrading}\n`).sendBytes(Buffer.alloc(sizeBytes));
    client.socket.end();
    await calm(() => server.metrics.receivedBytes);
    go();
    assert.is(await result, sizeBytes);
  });
});

test("an upgraded connection ends with both sides, and with what its handler throws", async () => {
  const sizeBytes = 30_000;
  const errors: unknown[] = [];
  const streams: Duplex[] = [];
  const upgrade = async (one: Exchange): Promise<void> => {
    const [, what = ""] = one.path.split("/");
    if (what === "late") await new Promise((go) => one.signal.addEventListener("abort", go));
    const stream = one.upgrade();
    streams.push(stream);
    if (what === "ends") stream.end("bye");
    else throw new Error(what);
  };
  const onError = (error: unknown): undefined => void errors.push((error as Error).message);
  await withServer({ request: echoTarget, upgrade, onError }, async (server, port) => {
    const sent = (path: string): string => `GET /${path} HTTP/1.1\n${upgrading}\n`;
    using throwing = new Client(port);
    await throwing.send(sent("throws")).ended();
    // The request was given up before its handler has asked for the stream: no fault of it.
    using late = new Client(port);
    late.send(sent("late"));
    while (server.connections === 0) await turn();
    await calm(() => server.metrics.requests - 1);
    late.socket.resetAndDestroy();
    while (server.connections > 0) await turn();
    assert.equal(errors, ["throws"]);
    // Both sides have ended: the connection is closed, and what has come can be read still.
    const closing = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    let answer = "";
    closing.on("data", (bytes) => {
      answer += String(bytes);
    });
    closing.write(sent("ends").replaceAll("\n", "\r\n"));
    closing.end(Buffer.alloc(sizeBytes));
    await once(closing, "close");
    assert.is(answer, "bye");
    while (server.connections > 0) await turn();
    let bytes = 0;
    for await (const piece of streams.at(-1)!) bytes += (piece as Buffer).length;
    assert.is(bytes, sizeBytes);
    assert.equal(errors, ["throws"]);
  });
});

test("an upgraded stream takes writes of no bytes", async () => {
  const upgrade = (one: Exchange): void => {
    const stream = one.upgrade();
    stream.write(Buffer.alloc(0));
    stream.write("after");
    stream.end();
  };
  await withServer({ request: echoTarget, upgrade }, async (_server, port) => {
    assert.is(await exchange(port, `GET / HTTP/1.1\n${upgrading}\n`), "after");
  });
});

test("a 2xx answer to CONNECT has neither a length nor a body", async () => {
  const codes: unknown[] = [];
  const attempt = (call: () => void): void => {
    try {
      call();
    } catch (error) {
      codes.push((error as HttpError).code);
    }
  };
  const upgrade = (one: Exchange): void => {
    if (one.target === "refused:1") {
      one.respond(403, null, "no");
      return;
    }
    attempt(() => one.respond(200, null, "body"));
    attempt(() => one.begin(200));
    attempt(() => one.begin(200, null, 4));
    one.respond(200, { "content-length": "4", "transfer-encoding": "chunked", x: "1" });
  };
  await withServer({ request: echoTarget, upgrade }, async (_server, port) => {
    const ask = (target: string): Promise<string> =>
      exchange(port, `CONNECT ${target} HTTP/1.1\nHost: a\n\n`);
    const opened = await ask("a:1");
    assert.match(opened, /^HTTP\/1\.1 200 OK\r\n[\s\S]*x: 1\r\n[\s\S]*\r\n\r\n$/);
    assert.not.match(opened, /content-length|transfer-encoding/i);
    assert.equal(codes, Array(3).fill("ERR_HTTP_BODY"));
    assert.match(await ask("refused:1"), /Content-Length: 2\r\n[\s\S]*\r\n\r\nno$/);
  });
});

test("a listener that is not waited for lets the process end; ref() takes it back", async () => {
  const index = new URL("./index.js", import.meta.url).href;
  const run = (how: string): ReturnType<typeof spawn> => {
    const program =
      `const { serve } = await import(${JSON.stringify(index)});` +
      `const request = (one) => { one.respond(200); server.unref(); };` +
      `const server = await serve({ port: 0, request });` +
      `if (server.${how} !== server) throw new Error("not itself");` +
      `console.log(server.address.port);`;
    return spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
  };
  const unwanted = run("unref()");
  assert.is((await once(unwanted, "exit"))[0], 0);
  const wanted = run("unref().ref()");
  const ended = once(wanted, "exit");
  const [line] = (await once(createInterface({ input: wanted.stdout! }), "line")) as [string];
  // A process that did not wait would have ended instead of answering.
  const request = get("/", "Connection: close\n");
  assert.match(await exchange(Number(line), request), /^HTTP\/1\.1 200 /);
  assert.is((await ended)[0], 0);
});

test("a body is no part of the protocol behind it, and HTTP/1.0 has no Upgrade", async () => {
  const upgrade = async (one: Exchange): Promise<void> => {
    let text = "";
    try {
      one.upgrade();
    } catch (error) {
      text = `${(error as HttpError).code} ${await one.body.text()} `;
    }
    const stream = one.upgrade();
    stream.once("data", (bytes: Buffer) => stream.end(text + bytes.toString()));
  };
  await withServer({ request: echoTarget, upgrade }, async (_server, port) => {
    const post = `POST / HTTP/1.1\n${upgrading}Content-Length: 4\n\nbody`;
    using client = new Client(port);
    client.send(post);
    await turn();
    client.send("behind");
    assert.is(await client.ended(), "ERR_HTTP_BODY_READ body behind");
    assert.match(await exchange(port, `GET /1.0 HTTP/1.0\n${upgrading}\n`), /\r\n\r\n\/1\.0$/);
  });
});

test.run();
