// The form `fetch`: the web's Request and Response, in and out, and the frameworks that are made of
// them.

import { AsyncLocalStorage } from "node:async_hooks";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { IO } from "@io/core";
import crossws from "crossws/adapters/node";
import { H3 } from "h3";
import { Hono } from "hono";
import { AutoRouter } from "itty-router";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { WebSocket, WebSocketServer } from "ws";
import { Client, calm, get, turn, withServer } from "./client.test.support.js";
import type { Exchange, HttpError, ServeOptions } from "./index.js";

const test = suite("web");
const NodeResponse = globalThis.Response;
const NodeRequest = globalThis.Request;

test("a request of a server that replaces nothing is one for Node's own classes", async () => {
  const fetch = async (request: Request): Promise<Response> => {
    if (request.method === "GET") return new Response("inner");
    const copy = new Request(request, { headers: { x: "y" } });
    const inner = await globalThis.fetch(new Request(request.url));
    return new Response(`${copy.headers.get("x")} ${await copy.text()} ${await inner.text()}`);
  };
  await withServer({ fetch, replaceGlobals: false }, async (server) => {
    // No other server of this process has replaced them yet.
    assert.equal([globalThis.Response, globalThis.Request], [NodeResponse, NodeRequest]);
    const answer = await globalThis.fetch(server.url, { method: "POST", body: "d" });
    assert.is(await answer.text(), "y d inner");
  });
});

test("a request is a Request, and a response a Response", async () => {
  const fetch = async (request: Request): Promise<Response> => {
    assert.instance(request, Request);
    assert.instance(request, NodeRequest);
    assert.instance(new (class extends Request {})(request.url), Request);
    if (request.method === "OPTIONS") return new Response(request.headers.get("b"));
    if (request.url.endsWith("/passed")) return globalThis.fetch(request, { method: "OPTIONS" });
    const copy = new Request(request, { headers: { x: "y" } });
    const { pathname, searchParams } = new URL(request.url);
    const text = [request.method, pathname, searchParams.get("a"), request.headers.get("b")];
    return Response.json([...text, copy.headers.get("x"), request.cache, await copy.text()]);
  };
  await withServer({ fetch }, async (server) => {
    const answer = await globalThis.fetch(`${server.url}c?a=1`, {
      method: "POST",
      headers: { b: "2" },
      body: "d",
    });
    assert.is(answer.headers.get("content-type"), "application/json");
    assert.equal(await answer.json(), ["POST", "/c", "1", "2", "y", "default", "d"]);
    const passed = await globalThis.fetch(`${server.url}passed`, { headers: { b: "3" } });
    assert.is(await passed.text(), "3");
    assert.is(passed.headers.get("date")?.split("GMT").length, 2);
    assert.instance(new Response(), NodeResponse);
    assert.instance(new NodeResponse(), Response);
    assert.not.instance({}, Response);
  });
});

test("each kind of body is sent, of Node's Response and of ours", async () => {
  const stream = () =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from("a"));
        controller.enqueue(Buffer.from("b"));
        controller.close();
      },
    });
  const bodies: Record<string, () => ConstructorParameters<typeof NodeResponse>[0]> = {
    text: () => "ab",
    umlaut: () => "ä€",
    bytes: () => Buffer.from("ab"),
    buffer: () => new Uint8Array([97, 98]).buffer,
    stream,
    blob: () => new Blob(["ab"]),
    form: () => new URLSearchParams({ a: "b" }),
    none: () => null,
  };
  const fetch = (request: Request): Response => {
    const [, which, name] = new URL(request.url).pathname.split("/");
    const Kind = which === "node" ? NodeResponse : Response;
    return new Kind(bodies[name!]!(), { status: 201, headers: { "x-a": "1" } });
  };
  await withServer({ fetch }, async (server) => {
    for (const name of Object.keys(bodies)) {
      const [ours, nodes] = await Promise.all(
        ["ours", "node"].map(async (which) => {
          const answer = await globalThis.fetch(`${server.url}${which}/${name}`);
          const type = answer.headers.get("content-type");
          return [answer.status, answer.headers.get("x-a"), type, await answer.text()];
        }),
      );
      assert.equal(ours, nodes, name);
      assert.is(ours![3], await new NodeResponse(bodies[name]!()).text(), name);
    }
  });
});

test("bytes that change behind the making of a response do not change it", async () => {
  const fetch = (): Response => {
    const all = [Buffer.from("kept"), new Uint8Array([107]), new Uint8Array([107]).buffer];
    const responses = all.map((bytes) => new Response(bytes));
    (all[0] as Buffer).fill("x");
    (all[1] as Uint8Array)[0] = 120;
    new Uint8Array(all[2] as ArrayBuffer)[0] = 120;
    return new Response(
      new ReadableStream({
        async start(controller) {
          for (const response of responses)
            controller.enqueue(Buffer.from(await response.arrayBuffer()));
          controller.close();
        },
      }),
    );
  };
  await withServer({ fetch }, async (server) => {
    assert.is(await (await globalThis.fetch(server.url)).text(), "keptkk");
  });
});

test("what is read of a response before it is sent changes nothing", async () => {
  const fetch = (): Response => {
    const response = new Response("ab", { headers: { a: "1" } });
    response.headers.append("set-cookie", "a=1");
    response.headers.append("set-cookie", "b=2");
    assert.is(response.headers.get("content-type"), "text/plain;charset=UTF-8");
    assert.is(response.ok, true);
    const copy = response.clone();
    return new Response(copy.body, response);
  };
  await withServer({ fetch }, async (server) => {
    const answer = await globalThis.fetch(server.url);
    assert.equal(answer.headers.getSetCookie(), ["a=1", "b=2"]);
    assert.is(await answer.text(), "ab");
  });
});

test("a body goes up and down as a stream", async () => {
  const fetch = (request: Request): Response => new Response(request.body);
  await withServer({ fetch }, async (server) => {
    const bytes = Buffer.alloc(8 * 1024 * 1024);
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(at, at);
    const answer = await globalThis.fetch(server.url, { method: "POST", body: bytes });
    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(bytes));
  });
});

test("the URL of a request is what the parser of URLs makes of it", async () => {
  const fetch = (request: Request): Response => new Response(request.url);
  await withServer({ fetch }, async (_server, port) => {
    using client = new Client(port);
    const hosts = [
      "a.example",
      "A.example",
      "127.0.0.1",
      "127.1",
      "a:80",
      "a:8080",
      "a:08",
      "[::1]:3",
    ];
    const paths = [
      "/",
      "/a/b.c?d=e.f",
      "/a/../b",
      "/a/./b",
      "/.a",
      "/a/%2e%2E/b",
      "/a%20b",
      "//b/c",
    ];
    for (const host of hosts) {
      for (const path of [...paths, "/a|b", "/a?b=/../c", "/a'b?c'd", "/a%zz"]) {
        client.sendBytes(Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`));
        const { status, body } = await client.answer();
        assert.equal([status, body], [200, new URL(`http://${host}${path}`).href]);
      }
    }
  });
});

test("a request stays what it was after its answer", async () => {
  const kept: Request[] = [];
  const fetch = (request: Request): Response => {
    kept.push(request);
    return new Response(null, { status: 204 });
  };
  await withServer({ fetch }, async (_server, port) => {
    using client = new Client(port);
    for (const path of ["/1", "/2", "/3"]) await client.send(get(path, `X: ${path}\n`)).answer();
    const seen = kept.map(({ url, headers }) => `${url} ${headers.get("x")}`);
    assert.equal(seen, ["http://a.example/1 /1", "http://a.example/2 /2", "http://a.example/3 /3"]);
  });
});

test("what is no Response, and what throws, is 500; onError may answer", async () => {
  const fetch = (request: Request): Response => {
    if (request.url.endsWith("/none")) return undefined as unknown as Response;
    if (request.url.endsWith("/object")) return {} as unknown as Response;
    throw new Error("no");
  };
  const codes: unknown[] = [];
  const onError = (error: unknown, { path }: Exchange): Response | undefined => {
    codes.push((error as { code?: string }).code);
    return path === "/own" ? new Response("sorry", { status: 503 }) : undefined;
  };
  await withServer({ fetch, onError }, async (_server, port) => {
    using client = new Client(port);
    assert.is((await client.send(get("/none")).answer()).status, 500);
    assert.is((await client.send(get("/object")).answer()).status, 500);
    assert.is((await client.send(get("/")).answer()).status, 500);
    const { status, body } = await client.send(get("/own")).answer();
    assert.equal([status, body], [503, "sorry"]);
    assert.equal(codes, ["ERR_HTTP_RESPONSE", "ERR_HTTP_RESPONSE", undefined, undefined]);
  });
});

test("onError may answer later, and what it throws then is 500", async () => {
  const fetch = (): Response => {
    throw new Error("as asked");
  };
  const reported: unknown[] = [];
  const { error: print } = console;
  console.error = (error: unknown) => void reported.push((error as Error).message);
  const onError = async (error: unknown, { path }: Exchange): Promise<Response | undefined> => {
    await turn();
    if (path === "/throws") throw new Error("later");
    return path === "/own" ? new Response((error as Error).message, { status: 503 }) : undefined;
  };
  try {
    await withServer({ fetch, onError }, async (server, port) => {
      using client = new Client(port);
      const own = await client.send(get("/own")).answer();
      assert.equal([own.status, own.body], [503, "as asked"]);
      assert.is((await client.send(get("/none")).answer()).status, 500);
      assert.is((await client.send(get("/throws")).answer()).status, 500);
      using gone = new Client(port);
      gone.send(get("/own"));
      gone.socket.resetAndDestroy();
      while (server.connections > 1) await turn();
    });
  } finally {
    console.error = print;
  }
  assert.equal(reported, ["later"]);
});

test("a stream that fails breaks the connection; without a client it is cancelled", async () => {
  let cancelled = false;
  const fetch = (request: Request): Response => {
    const fails = request.url.endsWith("/fails");
    return new Response(
      new ReadableStream({
        pull(controller) {
          if (fails) throw new Error("no");
          controller.enqueue(Buffer.alloc(1000));
        },
        cancel() {
          cancelled = true;
        },
      }),
    );
  };
  await withServer({ fetch, onError: () => undefined }, async (_server, port) => {
    using client = new Client(port);
    const all = await client.send(get("/fails")).ended();
    assert.is(all.includes("\r\n0\r\n\r\n"), false);
    using other = new Client(port);
    other.send(get("/"));
    await other.until(() => other.received.length > 5000);
    other.socket.destroy();
    while (!cancelled) await turn();
  });
});

test("a client that has ended its side gets all of a stream, and ends a silent one", async () => {
  let goOn: () => void = () => undefined;
  let cancelled = 0;
  const silent = (): ReadableStream =>
    new ReadableStream({
      start: (controller) => controller.enqueue(Buffer.from("first")),
      cancel: () => void cancelled++,
    });
  const finite = (): ReadableStream => {
    let left = 50;
    return new ReadableStream({
      pull(controller) {
        if (left-- > 0) controller.enqueue(Buffer.alloc(10_000, "f"));
        else controller.close();
      },
    });
  };
  const fetch = async (request: Request): Promise<Response> => {
    const [, what, when] = new URL(request.url).pathname.split("/");
    if (when === "later") {
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
    }
    return new Response(what === "silent" ? silent() : finite());
  };
  await withServer({ fetch }, async (server, port) => {
    for (const [index, what] of ["silent", "finite"].entries()) {
      // The client ends while its handler is at work, and while it gets the answer.
      using early = new Client(port);
      early.send(get(`/${what}/later`));
      while (server.metrics.requests <= 2 * index) await turn();
      early.socket.end();
      await calm(() => server.metrics.receivedBytes);
      goOn();
      using late = new Client(port);
      late.send(get(`/${what}/now`));
      await late.until(() => late.received.length > 0);
      late.socket.end();
      for (const client of [early, late]) {
        if (what === "silent") {
          await client.until(() => client.received.includes("first"));
          client.socket.resetAndDestroy();
        }
        const all = await client.ended();
        assert.match(all, /^HTTP\/1\.1 200 /);
        const pieces = all.split("2710\r\n").length - 1;
        assert.is(pieces, what === "finite" ? 50 : 0);
        assert.is(all.endsWith("\r\n0\r\n\r\n"), what === "finite");
      }
    }
    while (cancelled < 2 || server.connections > 0) await turn();
  });
});

test("a slow client that has ended its side gets all of a stream that is not silent", async () => {
  const pieces = 400; // more than the sockets of both sides take
  const piece = Buffer.alloc(0x10000, "p");
  const signals: AbortSignal[] = [];
  const aborted = async (count: number): Promise<void> => {
    while (signals.length < count || !signals.at(-1)!.aborted) await turn();
  };
  const fetch = async (request: Request): Promise<Response> => {
    signals.push(request.signal);
    if (request.url.endsWith("/early")) await aborted(signals.length);
    let left = pieces;
    const pull = (controller: ReadableStreamDefaultController): void => {
      if (left-- > 0) controller.enqueue(piece);
      else controller.close();
    };
    return new Response(new ReadableStream({ pull }));
  };
  await withServer({ fetch }, async (server, port) => {
    for (const [index, when] of ["early", "late"].entries()) {
      using client = new Client(port);
      client.send(get(`/${when}`));
      client.socket.pause();
      const sentBefore = server.metrics.sentBytes;
      // The late one ends its side while what it does not take is waited for.
      if (when === "late") await calm(() => server.metrics.sentBytes - sentBefore);
      client.socket.end();
      await aborted(index + 1);
      await calm(() => server.metrics.sentBytes - sentBefore);
      assert.ok(server.metrics.sentBytes - sentBefore < pieces * piece.length);
      client.socket.resume();
      const all = await client.ended();
      assert.is(all.split("10000\r\n").length - 1, pieces, when);
      assert.is(all.endsWith("\r\n0\r\n\r\n"), true, when);
    }
  });
});

test("no request runs in the AsyncLocalStorage of another", async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const fetch = (request: Request): Promise<Response> => {
    seen.push(storage.getStore());
    storage.enterWith(request.url);
    return storage.run("inner", async () => {
      await turn();
      const text = await request.text();
      seen.push(storage.getStore());
      return new Response(text);
    });
  };
  await withServer({ fetch }, async (_server, port) => {
    using client = new Client(port);
    const post = "POST / HTTP/1.1\nHost: a\nContent-Length: 2\n\nab";
    client.send(post + post);
    await client.answer();
    await client.answer();
    await client.send(post).answer();
    assert.equal(seen, [undefined, "inner", undefined, "inner", undefined, "inner"]);
  });
});

test("a handler sends a part of a file by its exchange, and the connection goes on", async () => {
  const folder = mkdtempSync(`${tmpdir()}/io-http-web-`);
  const bytes = Buffer.alloc(300_000, "0123456789");
  writeFileSync(`${folder}/file`, bytes);
  try {
    await using io = await IO.open();
    await using file = await io.openFile(`${folder}/file`);
    const codes: unknown[] = [];
    const given: ServeOptions = {
      io,
      onError: (error) => void codes.push((error as HttpError).code),
      async fetch(request, exchange) {
        if (request.url.endsWith("/text")) return new Response("text");
        const length = Number(new URL(request.url).searchParams.get("length"));
        await exchange.sendFile(203, { "x-part": "1" }, file, 5, length);
        return undefined;
      },
    };
    await withServer(given, async (_server, port) => {
      using client = new Client(port);
      for (const length of [0, 1, 200_000]) {
        client.send(get(`/file?length=${length}`) + get("/text"));
        const part = await client.answer();
        assert.equal([part.status, part.fields["x-part"]], [203, "1"]);
        assert.is(part.body, bytes.toString("latin1", 5, 5 + length));
        assert.is((await client.answer()).body, "text");
      }
      for (const length of [-1, "", 0.5]) {
        const { status } = await client.send(get(`/file?length=${length || "none"}`)).answer();
        assert.is(status, 500);
        assert.is(codes.pop(), "ERR_HTTP_LENGTH");
      }
      // More than there is breaks the connection: the length was announced.
      client.send(get("/file?length=400000") + get("/text"));
      const all = await client.ended();
      assert.is(all.slice(all.indexOf("\r\n\r\n") + 4), bytes.toString("latin1", 5));
      assert.equal(codes, ["ERR_HTTP_BODY_SHORT"]);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("Hono runs on it", async () => {
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    context.res.headers.set("x-after", "1");
  });
  app.get("/hello/:name", (context) => context.text(`Hello ${context.req.param("name")}`));
  app.post("/json", async (context) => context.json({ got: await context.req.json() }));
  await withServer({ fetch: app.fetch as never }, async (server) => {
    const hello = await fetch(`${server.url}hello/you`);
    assert.is(hello.headers.get("x-after"), "1");
    assert.is(await hello.text(), "Hello you");
    const json = await fetch(`${server.url}json`, { method: "POST", body: '{"a":1}' });
    assert.equal(await json.json(), { got: { a: 1 } });
    assert.is((await fetch(`${server.url}none`)).status, 404);
  });
});

test("h3 runs on it", async () => {
  const app = new H3();
  app.get("/hello", (event) => `Hello ${event.url.searchParams.get("name")}`);
  app.post("/json", async (event) => ({ got: await event.req.json() }));
  await withServer({ fetch: app.fetch as never }, async (server) => {
    assert.is(await (await fetch(`${server.url}hello?name=you`)).text(), "Hello you");
    const json = await fetch(`${server.url}json`, { method: "POST", body: '{"a":1}' });
    assert.equal(await json.json(), { got: { a: 1 } });
  });
});

test("itty-router runs on it", async () => {
  const router = AutoRouter();
  router.get("/hello/:name", ({ params }) => `Hello ${params["name"]}`);
  await withServer({ fetch: router.fetch as never }, async (server) => {
    assert.match(await (await fetch(`${server.url}hello/you`)).text(), /Hello you/);
  });
});

test("ws takes a connection over", async () => {
  const sockets = new WebSocketServer({ noServer: true });
  sockets.on("connection", (socket) => {
    socket.on("message", (data) => socket.send(`got ${String(data)}`));
  });
  const upgrade = (one: Exchange): void => {
    const { method, target: url } = one;
    const incoming = { method, url, headers: Object.fromEntries(one.fields()) };
    sockets.handleUpgrade(incoming as never, one.upgrade() as never, Buffer.alloc(0), (socket) =>
      sockets.emit("connection", socket, incoming),
    );
  };
  await withServer({ fetch: () => new Response("web"), upgrade }, async (server, port) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    const answers: string[] = [];
    const large = "x".repeat(300_000);
    await new Promise<void>((resolve, reject) => {
      socket.on("open", () => {
        socket.send("a");
        socket.send(large);
      });
      socket.on("message", (data) => {
        answers.push(String(data));
        if (answers.length === 2) socket.close();
      });
      socket.on("close", resolve);
      socket.on("error", reject);
    });
    assert.equal(answers, ["got a", `got ${large}`]);
    assert.is(await (await fetch(server.url)).text(), "web");
    while (server.connections > 1) await turn();
  });
});

test("crossws takes a connection over", async () => {
  const sockets = crossws({
    hooks: {
      open: (peer) => void peer.send("welcome"),
      message: (peer, message) => void peer.send(`got ${message.text()}`),
    },
  });
  const upgrade = (one: Exchange): Promise<void> => {
    const { method, target: url } = one;
    const headers = Object.fromEntries(one.fields());
    const stream = one.upgrade();
    const incoming = { method, url, headers, socket: stream };
    return sockets.handleUpgrade(incoming as never, stream as never, Buffer.alloc(0));
  };
  await withServer({ fetch: () => new Response("web"), upgrade }, async (_server, port) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    const answers: string[] = [];
    await new Promise<void>((resolve, reject) => {
      socket.on("message", (data) => {
        answers.push(String(data));
        if (answers.length === 1) socket.send("a");
        else socket.close();
      });
      socket.on("close", resolve);
      socket.on("error", reject);
    });
    assert.equal(answers, ["welcome", "got a"]);
  });
});

test("the path of a URL is the one that was asked for, whatever the host is", async () => {
  await withServer({ fetch: (request) => new Response(request.url) }, async (_server, port) => {
    using client = new Client(port);
    const cases = [
      ["a:99999", "/admin?x", "http://localhost/admin?x"],
      ["a%2f", "/b/c", "http://localhost/b/c"],
      ["[::1", "/b", "http://localhost/b"],
      ["a", "/b/%2e%2E/c", "http://a/c"],
      ["a", "/%2E/c", "http://a/c"],
      ["A:80", "/c", "http://a/c"],
      ["1", "/c", "http://0.0.0.1/c"],
      ["a", "//b/c", "http://a//b/c"],
    ];
    for (const [host, path, url] of cases) {
      const { body } = await client.send(`GET ${path} HTTP/1.1\nHost: ${host}\n\n`).answer();
      assert.is(body, url);
    }
  });
});

test("a body is read once, and a response whose body was read is not sent", async () => {
  const errors: string[] = [];
  const fetch = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    const response = new Response(await request.text());
    if (pathname === "/twice") await request.text();
    if (pathname === "/used") await response.text();
    if (pathname === "/locked") response.body?.getReader();
    return response;
  };
  const onError = (error: unknown): undefined => void errors.push((error as Error).name);
  await withServer({ fetch, onError }, async (_server, port) => {
    using client = new Client(port);
    const post = (path: string) => `POST ${path} HTTP/1.1\nHost: a\nContent-Length: 2\n\nab`;
    assert.is((await client.send(post("/")).answer()).body, "ab");
    for (const path of ["/twice", "/used", "/locked"]) {
      assert.is((await client.send(post(path)).answer()).status, 500, path);
    }
    assert.equal(errors, ["TypeError", "HttpError", "TypeError"]);
  });
});

test("a response has the headers that it was made with", async () => {
  const fetch = async (request: Request): Promise<Response> => {
    const object: Record<string, string> = { x: "1" };
    const kinds = { object, headers: new Headers(object), pairs: [["x", "1"]] };
    const kind = new URL(request.url).pathname.slice(1) as keyof typeof kinds;
    const response = new Response("a", { headers: kinds[kind] as Record<string, string> });
    object["x"] = "2";
    kinds.headers.set("x", "2");
    kinds.pairs[0]![1] = "2";
    return response;
  };
  await withServer({ fetch }, async (server) => {
    for (const kind of ["object", "headers", "pairs"]) {
      const answer = await globalThis.fetch(server.url + kind);
      assert.equal([answer.headers.get("x"), await answer.text()], ["1", "a"], kind);
    }
  });
});

test("a field that cannot be sent is refused where it is set", async () => {
  const wrong: [string, string][] = [
    ["a b", "c"],
    ["", "c"],
    ["a", "b\r\nc: d"],
    ["a", "\u0001"],
    ["a", "\u0100"],
  ];
  const seen: string[] = [];
  const attempt = (call: () => unknown): void => {
    try {
      call();
      seen.push("taken");
    } catch (error) {
      seen.push((error as Error).name);
    }
  };
  const fetch = (): Response => {
    const response = new Response("ab");
    for (const [name, value] of wrong) {
      attempt(() => new Response("", { headers: { [name]: value } }));
      attempt(() => new Response("", { headers: [[name, value]] }));
      attempt(() => new Response(new ReadableStream(), { headers: { [name]: value } }));
      attempt(() => Response.json({}, { headers: { [name]: value } }));
      attempt(() => response.headers.set(name, value));
      attempt(() => response.headers.append(name, value));
    }
    // What the web takes off a value is no fault of it.
    response.headers.set("x", " 1\r\n");
    assert.is(new Response("", { headers: { y: "\t2 " } }).headers.get("y"), "2");
    assert.is(response.headers instanceof Headers, true);
    return response;
  };
  await withServer({ fetch }, async (_server, port) => {
    using client = new Client(port);
    const { status, fields } = await client.send(get("/")).answer();
    assert.equal([status, fields["x"], fields["a"]], [200, "1", undefined]);
    assert.equal(seen, Array(wrong.length * 6).fill("TypeError"));
  });
});

/** A body of two pieces of five bytes, or of what `pull` does. */
function counted(onCancel: () => void, lastPull?: () => void): ReadableStream<Uint8Array> {
  let pulls = 0;
  return new ReadableStream(
    {
      pull(controller) {
        if (pulls++ < 2) controller.enqueue(Buffer.from("12345"));
        else if (lastPull === undefined) controller.close();
        else lastPull();
      },
      cancel: onCancel,
    },
    { highWaterMark: 0 },
  );
}

test("a wrong response is 500 or broken off, its stream cancelled, the next right", async () => {
  let cancelled = 0;
  const onCancel = (): void => void cancelled++;
  const throws = (): never => {
    throw new Error("as asked");
  };
  const cancelThrows = (): never => {
    onCancel();
    throw new Error("in cancel()");
  };
  const withLength = (length: string, cancel = onCancel): Response =>
    new Response(counted(cancel), { headers: { "content-length": length } });
  const locked = (): Response => {
    const response = new Response(counted(onCancel));
    response.body!.getReader();
    return response;
  };
  const used = async (): Promise<Response> => {
    const response = new Response(counted(onCancel));
    await response.text();
    return response;
  };
  const usedInPart = async (): Promise<Response> => {
    const response = new Response(counted(onCancel));
    const reader = response.body!.getReader();
    await reader.read();
    reader.releaseLock();
    return response;
  };
  // What answers, what comes of it (null: it is broken off), and whether its stream is cancelled.
  const cases: Record<string, [() => unknown, string | null, boolean]> = {
    right: [() => withLength("10"), "200 1234512345", false],
    longer: [() => withLength("7"), null, true],
    shorter: [() => withLength("12"), null, false],
    "no length": [() => withLength("x"), "500", true],
    "a length, and cancel() throws": [() => withLength("x", cancelThrows), "500", true],
    "fails in pull()": [() => new Response(counted(onCancel, throws)), null, false],
    locked: [locked, "500", false],
    used: [used, "500", false],
    "used in part": [usedInPart, "500", true],
    text: [() => "text", "500", false],
    "a rejected number": [() => Promise.reject(5), "500", false],
    HEAD: [() => new Response(counted(onCancel)), "200", true],
    "HEAD, no length": [() => withLength("x"), "500", true],
    "HEAD, and cancel() throws": [() => new Response(counted(cancelThrows)), "200", true],
  };
  const fetch = (request: Request): Response => {
    const path = decodeURIComponent(new URL(request.url).pathname.slice(1));
    if (path === "next") return new Response("next");
    return cases[path]![0]() as Response;
  };
  await withServer({ fetch, onError: () => undefined }, async (server, port) => {
    for (const [name, [, expected, isCancelled]] of Object.entries(cases)) {
      cancelled = 0;
      using client = new Client(port);
      const method = name.startsWith("HEAD") ? "HEAD" : "GET";
      client.send(`${method} ${encodeURI(`/${name}`)} HTTP/1.1\nHost: a\n\n`);
      client.send(get("/next", "Connection: close\n"));
      const all = await client.ended();
      const shown = `${name}: ${JSON.stringify(all)}`;
      if (expected === null) {
        assert.is(all.split("HTTP/1.1 ").length, 2, shown);
        assert.is(all.endsWith("\r\n0\r\n\r\n"), false, shown);
      } else {
        const [status, body = ""] = expected.split(" ");
        assert.match(all, new RegExp(`^HTTP/1\\.1 ${status} `), shown);
        assert.match(all, new RegExp(`${body}HTTP/1\\.1 200 [^]*\r\n\r\nnext$`), shown);
      }
      assert.is(cancelled, isCancelled ? 1 : 0, shown);
    }
    while (server.connections > 0) await turn();
  });
});

test("a stream that was cancelled does not look complete", async () => {
  const fetch = (): Response =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          await turn();
          controller.enqueue(Buffer.from("piece"));
        },
      }),
    );
  await withServer({ fetch, onError: () => undefined }, async (server, port) => {
    using client = new Client(port);
    client.send(get("/"));
    await client.until(() => client.received.includes("piece"));
    await server.stop({ timeoutMs: 0 });
    assert.is((await client.ended()).includes("\r\n0\r\n"), false);
    while (server.connections > 0) await turn();
  });
});

test.run();
