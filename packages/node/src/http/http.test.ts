// http, https and http2 over ours: servers and clients of Node's, and of others.

import { once } from "node:events";
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import fastify from "fastify";
import Koa from "koa";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { WebSocket, WebSocketServer } from "ws";
import http2 from "../http2/index.js";
import https from "../https/index.js";
import { serveOver } from "../index.js";
import net from "../net/index.js";
import { ca, serverCertificate, serverKey } from "../tls/keys.test.support.js";
import http from "./index.js";

const test = suite("http");

async function listen(server: import("node:net").Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Runs the body with a server, which is closed afterwards. */
async function withServer(
  answer: RequestListener,
  body: (port: number, server: Server) => Promise<void>,
): Promise<void> {
  const server = http.createServer(answer);
  const port = await listen(server);
  try {
    await body(port, server);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function bodyOf(message: IncomingMessage): Promise<string> {
  let text = "";
  for await (const data of message.setEncoding("utf8")) text += data;
  return text;
}

/** What a peer that speaks by hand gets for its bytes, until the server ends. */
function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1");
    let answer = "";
    socket.setEncoding("latin1").on("data", (data) => {
      answer += data;
    });
    socket.on("end", () => resolve(answer)).on("error", reject);
    socket.write(text);
  });
}

test("a server and a client, with keep-alive and bodies both ways", async () => {
  const echo = (request: IncomingMessage, response: ServerResponse): void => {
    response.setHeader("x-port", String(request.socket.remotePort));
    request.pipe(response);
  };
  await withServer(echo, async (port) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const body = "0123456789".repeat(500_000);
    const ports = new Set<unknown>();
    for (const text of ["a", body, "b"]) {
      const request = http.request({ port, host: "127.0.0.1", method: "POST", agent });
      request.end(text);
      const [answer] = (await once(request, "response")) as [IncomingMessage];
      ports.add(answer.headers["x-port"]);
      assert.is(await bodyOf(answer), text);
    }
    assert.is(ports.size, 1, "one connection has served them");
    agent.destroy();
  });
});

test("fetch, which connects by node:net", async () => {
  await withServer(
    (_request, response) => response.end("hello"),
    async (port) => {
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      assert.is(await answer.text(), "hello");
    },
  );
});

test("pipelined requests are answered in order", async () => {
  const answer: RequestListener = (request, response) => {
    const delay = request.url === "/1" ? 20 : 0;
    setTimeout(() => response.end(request.url), delay);
  };
  await withServer(answer, async (port) => {
    const head = "HTTP/1.1\r\nHost: a\r\n";
    const text = `GET /1 ${head}\r\nGET /2 ${head}\r\nGET /3 ${head}Connection: close\r\n\r\n`;
    const bodies = (await exchange(port, text)).match(/\/\d$|\/\d(?=HTTP)/g);
    assert.equal(bodies, ["/1", "/2", "/3"]);
  });
});

test("Expect: 100-continue, trailers and chunks", async () => {
  const answer: RequestListener = async (request, response) => {
    const text = await bodyOf(request);
    response.setHeader("trailer", "x-length");
    response.write(text);
    response.addTrailers({ "x-length": String(text.length) });
    response.end();
  };
  await withServer(answer, async (port) => {
    const request = http.request({
      port,
      host: "127.0.0.1",
      method: "POST",
      headers: { expect: "100-continue" },
    });
    request.flushHeaders();
    await once(request, "continue");
    request.end("the body");
    const [message] = (await once(request, "response")) as [IncomingMessage];
    assert.is(await bodyOf(message), "the body");
    assert.equal(message.trailers, { "x-length": "8" });
  });
});

test("garbage is refused with 400, and a request that stalls with 408", async () => {
  const server = http.createServer({ headersTimeout: 50, connectionsCheckingInterval: 20 });
  const port = await listen(server);
  assert.match(await exchange(port, "\x16\x03\x01garbage\r\n\r\n"), /^HTTP\/1\.1 400 /);
  assert.match(await exchange(port, "GET / HTTP/1.1\r\nHost: a\r\n"), /^HTTP\/1\.1 408 /);
  await new Promise((resolve) => server.close(resolve));
});

test("close() ends idle connections and lets the others end", async () => {
  const waiting: ServerResponse[] = [];
  const server = http.createServer({ keepAliveTimeout: 50 }, (_request, response) =>
    waiting.push(response),
  );
  const port = await listen(server);
  const agent = new http.Agent({ keepAlive: true });
  const first = http.get({ port, host: "127.0.0.1", agent });
  await once(server, "request");
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  assert.not(server.listening);
  waiting[0]?.end("late");
  const [answer] = (await once(first, "response")) as [IncomingMessage];
  assert.is(await bodyOf(answer), "late");
  await closed;
  agent.destroy();
  const [error] = await new Promise<[NodeJS.ErrnoException?]>((resolve) =>
    server.close((...given) => resolve(given as [NodeJS.ErrnoException?])),
  );
  assert.is(error?.code, "ERR_SERVER_NOT_RUNNING");
});

test("the time-out of idle connections", async () => {
  const server = http.createServer({ keepAliveTimeout: 30 }, (_request, response) =>
    response.end("a"),
  );
  const port = await listen(server);
  assert.match(await exchange(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), /^HTTP\/1\.1 200 /);
  await new Promise((resolve) => server.close(resolve));
});

test("express, fastify and koa", async () => {
  const application = express();
  application.use(express.json());
  application.post("/", (request, response) => {
    response.json({ got: request.body as unknown, ip: request.ip });
  });
  const koa = new Koa();
  koa.use((context) => {
    context.body = { got: context.path };
  });
  const quick = fastify({
    serverFactory: (handler) => http.createServer({ keepAliveTimeout: 50 }, handler),
  });
  quick.get("/a", async () => ({ got: "fastify" }));
  await quick.listen({ port: 0, host: "127.0.0.1" });
  const quickPort = (quick.server.address() as AddressInfo).port;
  const answer = await fetch(`http://127.0.0.1:${quickPort}/a`);
  assert.equal(await answer.json(), { got: "fastify" });
  await quick.close();
  await withServer(application, async (port) => {
    const posted = await fetch(`http://127.0.0.1:${port}/`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"a":1}',
    });
    assert.equal(await posted.json(), { got: { a: 1 }, ip: "127.0.0.1" });
  });
  await withServer(koa.callback(), async (port) => {
    const got = await fetch(`http://127.0.0.1:${port}/path`);
    assert.equal(await got.json(), { got: "/path" });
  });
});

test("WebSocket, as a server and as a client", async () => {
  const server = http.createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  const port = await listen(server);
  const agent = new http.Agent();
  const client = new WebSocket(`ws://127.0.0.1:${port}/`, { agent });
  await once(client, "open");
  for (const size of [1, 200, 100_000, 3_000_000]) {
    client.send(Buffer.alloc(size, "w"));
    const [data] = (await once(client, "message")) as [Buffer];
    assert.is(data.length, size);
  }
  client.close(1000, "bye");
  const [code, reason] = (await once(client, "close")) as [number, Buffer];
  assert.equal([code, String(reason)], [1000, "bye"]);
  await new Promise((resolve) => server.close(resolve));
});

test("https, with sessions that are resumed", async () => {
  const server = https.createServer(
    { key: serverKey, cert: serverCertificate },
    (request, response) => {
      const { socket } = request as unknown as { socket: import("node:tls").TLSSocket };
      assert.is(socket.remoteAddress, "127.0.0.1");
      response.end(`${socket.getProtocol()} ${socket.isSessionReused()}`);
    },
  );
  const port = await listen(server);
  const agent = new https.Agent({ ca, keepAlive: false });
  const texts: string[] = [];
  for (let round = 0; round < 3; round++) {
    const request = https.get({ port, host: "localhost", agent, lookup: loopback });
    const [answer] = (await once(request, "response")) as [IncomingMessage];
    texts.push(await bodyOf(answer));
    await new Promise(setImmediate);
  }
  assert.equal(texts, ["TLSv1.3 false", "TLSv1.3 true", "TLSv1.3 true"]);
  const stranger = https.get({ port, host: "localhost", lookup: loopback, agent: undefined });
  const [error] = (await once(stranger, "error")) as [NodeJS.ErrnoException];
  assert.match(error.code ?? "", /CERT|SIGNATURE|ISSUER/);
  await new Promise((resolve) => server.close(resolve));
});

function loopback(
  _host: string,
  options: { all?: boolean | undefined },
  found: (...given: never[]) => void,
) {
  const answer = options.all
    ? [null, [{ address: "127.0.0.1", family: 4 }]]
    : [null, "127.0.0.1", 4];
  Reflect.apply(found, undefined, answer);
}

test("http2, with and without TLS", async () => {
  const secure = http2.createSecureServer({ key: serverKey, cert: serverCertificate });
  for (const [server, scheme] of [
    [http2.createServer(), "http"],
    [secure, "https"],
  ] as const) {
    server.on("stream", (stream: import("node:http2").ServerHttp2Stream, headers) => {
      stream.respond({ ":status": 200 });
      stream.end(`hello ${headers[":path"]} ${"x".repeat(100_000)}`);
    });
    const port = await listen(server as unknown as Server);
    const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { ca });
    const texts = await Promise.all(
      ["/a", "/b", "/c"].map(async (path) => {
        const stream = session.request({ ":path": path }).setEncoding("utf8");
        let text = "";
        for await (const data of stream) text += data;
        return text.slice(0, 8);
      }),
    );
    assert.equal(texts, ["hello /a", "hello /b", "hello /c"]);
    session.close();
    await new Promise((resolve) => server.close(resolve));
  }
});

test("serveOver() refuses an application, which is no server", () => {
  for (const wrong of [express(), {}, undefined]) {
    assert.throws(
      () => serveOver(wrong as unknown as Server),
      ({ code, message }: NodeJS.ErrnoException) =>
        code === "ERR_INVALID_ARG_TYPE" && /"server" argument .* Server/.test(message),
    );
  }
});

test("serveOver() with a server that the program has made itself", async () => {
  const { createServer } = await import("node:http");
  const server = serveOver(createServer((_request, response) => response.end("own")));
  const port = await listen(server);
  assert.ok(server.listening);
  assert.is(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "own");
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test.run();
