// Programs of the web over our sockets, unchanged: clients, frameworks, and what makes load.

import { execFile } from "node:child_process";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import autocannon from "autocannon";
import { Server as SocketServer } from "socket.io";
import { io as connectSocketIO } from "socket.io-client";
import { Client as HttpClient } from "undici";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import http from "../http/index.js";
import http2 from "../http2/index.js";
import https from "../https/index.js";
import { install } from "../index.js";
import net from "../net/index.js";
import { ca, serverCertificate, serverKey } from "../tls/keys.test.support.js";
import { undiciConnector } from "../tls/undici.js";
import { byOurSockets, listen, needing } from "./scene.test.support.js";
import { findProgram } from "./servers.test.support.js";

const test = suite("web");
const run = promisify(execFile);
const secrets = { key: serverKey, cert: serverCertificate };

test("undici, by http and by https", async () => {
  const answer = (_request: unknown, response: ServerResponse): void => {
    response.end("hello undici");
  };
  for (const [scheme, server] of [
    ["http", http.createServer(answer)],
    ["https", https.createServer(secrets, answer)],
  ] as const) {
    const port = await listen(server);
    const client = new HttpClient(`${scheme}://localhost:${port}`, {
      connect: undiciConnector({ ca, host: "127.0.0.1" }) as never,
      pipelining: 4,
    });
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => client.request({ path: "/", method: "GET" })),
    );
    for (const { body } of answers) assert.is(await body.text(), "hello undici");
    await client.close();
    await new Promise((resolve) => server.close(resolve));
  }
});

test("fetch, by install()", async () => {
  const server = http.createServer((request, response) => request.pipe(response));
  const port = await listen(server);
  const uninstall = install();
  await byOurSockets(async () => {
    const body = "x".repeat(1_000_000);
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body });
    assert.is(await response.text(), body);
  });
  uninstall();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test("socket.io, from polling to WebSocket, and with its own transport alone", async () => {
  const server = http.createServer();
  const io = new SocketServer(server);
  io.on("connection", (socket) => {
    socket.on("sum", (numbers: number[], answer: (sum: number) => void) => {
      answer(numbers.reduce((sum, one) => sum + one, 0));
    });
    socket.on("bytes", (bytes: Buffer) => socket.emit("bytes", bytes));
    socket.on("all", (text: string) => io.emit("all", text));
  });
  const port = await listen(server);
  for (const transports of [["polling", "websocket"], ["polling"], ["websocket"]]) {
    const agent = new http.Agent();
    await byOurSockets(async () => {
      const options = { transports, agent: agent as never, forceNew: true };
      const clients = [1, 2].map(() => connectSocketIO(`http://127.0.0.1:${port}`, options));
      await Promise.all(clients.map((client) => once(client as never, "connect")));
      const [first, second] = clients as [(typeof clients)[0], (typeof clients)[0]];
      assert.is(await first.emitWithAck("sum", [1, 2, 3]), 6);
      const bytes = Buffer.alloc(300_000, "socket.io");
      const back = once(first as never, "bytes");
      first.emit("bytes", bytes);
      assert.is(Buffer.compare((await back)[0] as Buffer, bytes), 0);
      const heard = once(second as never, "all");
      first.emit("all", "hello all");
      assert.equal(await heard, ["hello all"]);
      for (const client of clients) client.close();
    });
  }
  await io.close();
});

const plain = { serialize: (text: string) => Buffer.from(text), deserialize: String };
const grpcService = {
  upper: call("Upper", false),
  count: call("Count", true),
  chat: { ...call("Chat", true), requestStream: true },
};

function call(name: string, responseStream: boolean) {
  return {
    path: `/test.Words/${name}`,
    requestStream: false,
    responseStream,
    requestSerialize: plain.serialize,
    requestDeserialize: plain.deserialize,
    responseSerialize: plain.serialize,
    responseDeserialize: plain.deserialize,
  };
}

function grpcServer(): grpc.Server {
  const server = new grpc.Server();
  server.addService(grpcService, {
    upper: (
      request: grpc.ServerUnaryCall<string, string>,
      answer: grpc.sendUnaryData<string>,
    ): void => {
      if (request.request === "?")
        answer({ code: grpc.status.INVALID_ARGUMENT, details: "no word" });
      else answer(null, request.request.toUpperCase());
    },
    count: (stream: grpc.ServerWritableStream<string, string>): void => {
      for (let index = 0; index < Number(stream.request); index++) stream.write(`${index}`);
      stream.end();
    },
    chat: (stream: grpc.ServerDuplexStream<string, string>): void => {
      stream.on("data", (text) => stream.write(`${text}!`));
      stream.on("end", () => stream.end());
    },
  } as never);
  return server;
}

test("gRPC, its server by injected connections and its client by install()", async () => {
  const server = grpcServer();
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const listener = net.createServer((socket) => injector.injectConnection(socket));
  const port = await listen(listener);
  const uninstall = install();
  await byOurSockets(async () => {
    const Words = grpc.makeGenericClientConstructor(grpcService, "Words");
    const client = new Words(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    const upper = (text: string): Promise<string> =>
      new Promise((resolve, reject) => {
        client["upper"]!(text, (error: Error | null, answer: string) =>
          error === null ? resolve(answer) : reject(error),
        );
      });
    const words = Array.from({ length: 200 }, (_, index) => `word ${index}`);
    const answers = await Promise.all(words.map(upper));
    assert.equal(
      answers,
      words.map((word) => word.toUpperCase()),
    );
    const big = "b".repeat(1_000_000);
    assert.is(await upper(big), big.toUpperCase());
    const fault = await upper("?").catch((error: unknown) => error as grpc.ServiceError);
    assert.is((fault as grpc.ServiceError).code, grpc.status.INVALID_ARGUMENT);
    let counted = 0;
    for await (const number of client["count"]!("5000")) assert.is(number, `${counted++}`);
    assert.is(counted, 5000);
    const chat = client["chat"]!();
    const heard: string[] = [];
    chat.on("data", (text: string) => heard.push(text));
    for (const word of words) chat.write(word);
    chat.end();
    await once(chat, "end");
    assert.equal(
      heard,
      words.map((word) => `${word}!`),
    );
    client.close();
  });
  uninstall();
  injector.destroy();
  server.forceShutdown();
  await new Promise((resolve) => listener.close(resolve));
});

/** What the programs that make load ask for: 3,000 bytes, or as many as are sent. */
const text = "a".repeat(3000);

function echoOrText(
  request: import("node:http").IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
): void {
  if (request.method === "POST") request.pipe(response as ServerResponse);
  else (response as ServerResponse).end(text);
}

/** Runs the body with a server of ours, which is closed afterwards. */
async function withServer(
  server: import("node:http").Server | import("node:http2").Http2Server,
  body: (port: number) => Promise<void>,
): Promise<void> {
  const port = await listen(server);
  assert.ok((server.address() as AddressInfo).port > 0);
  await body(port);
  if ("closeAllConnections" in server) server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

test("autocannon, with pipelining and bodies", async () => {
  const amount = 2000;
  const connections = 20;
  await withServer(http.createServer(echoOrText), async (port) => {
    for (const [method, pipelining, body] of [
      ["GET", 10, undefined],
      ["POST", 1, text],
    ] as const) {
      const result = await autocannon({
        ...{ url: `http://127.0.0.1:${port}`, connections, amount, method, pipelining },
        ...{ expectBody: text, ...(body === undefined ? {} : { body }) },
      });
      // It does not wait for what was asked for behind the last answer that it needs.
      assert.ok(result["2xx"] >= amount - connections * (pipelining - 1));
      assert.is(result.errors + result.timeouts + result.mismatches + result.non2xx, 0);
    }
  });
});

const curl = findProgram("curl", "/usr/bin");

needing(test, curl, "curl", "curl: keep-alive, a body with Expect, HTTP/2, TLS", async () => {
  const quiet = ["--silent", "--show-error", "--fail"];
  const ask = async (...words: string[]): Promise<string> =>
    (await run(curl!, [...quiet, ...words], { maxBuffer: 2 ** 24, cwd: tmpdir() })).stdout;
  const body = "b".repeat(2_000_000);
  const post = (url: string, ...more: string[]): Promise<string> => {
    const words = [...quiet, "--data-binary", "@-", ...more, url];
    const running = run(curl!, words, { maxBuffer: 2 ** 24 });
    running.child.stdin?.end(body);
    return running.then(({ stdout }) => stdout);
  };
  await withServer(http.createServer(echoOrText), async (port) => {
    const url = `http://127.0.0.1:${port}`;
    const format = ["--write-out", "%{num_connects}"];
    assert.is(await ask(...format, url, url, url), `${text}1${text}0${text}0`);
    assert.is(await post(url), body);
    assert.is(await post(url, "--header", "Expect: 100-continue"), body);
    assert.is(await post(url, "--header", "Transfer-Encoding: chunked"), body);
  });
  const features = await ask("--version");
  if (/\bHTTP2\b/.test(features)) {
    await withServer(http2.createServer(echoOrText), async (port) => {
      const url = `http://127.0.0.1:${port}`;
      assert.is(await ask("--http2-prior-knowledge", url), text);
      assert.is(await post(url, "--http2-prior-knowledge"), body);
    });
  }
  for (const version of ["--tlsv1.2", "--tlsv1.3"]) {
    await withServer(https.createServer(secrets, echoOrText), async (port) => {
      const url = `https://127.0.0.1:${port}`;
      assert.is(await ask("--insecure", version, url), text);
      assert.is(await post(url, "--insecure", version), body);
    });
  }
});

const h2load = findProgram("h2load", "/usr/bin");

needing(test, h2load, "h2load", "h2load: HTTP/2 with and without TLS, and HTTP/1.1", async () => {
  const load = async (url: string, ...more: string[]): Promise<void> => {
    const words = ["-n", "2000", "-c", "10", "-m", "10", ...more, url];
    const { stdout } = await run(h2load!, words);
    assert.match(stdout, /2000 succeeded, 0 failed, 0 errored, 0 timeout/);
    assert.match(stdout, /2000 2xx, 0 3xx, 0 4xx, 0 5xx/);
  };
  await withServer(http2.createServer(echoOrText), (port) => load(`http://127.0.0.1:${port}/`));
  await withServer(http2.createSecureServer(secrets, echoOrText), (port) =>
    load(`https://127.0.0.1:${port}/`),
  );
  await withServer(http.createServer(echoOrText), (port) =>
    load(`http://127.0.0.1:${port}/`, "--h1"),
  );
});

const wrk = findProgram("wrk", "/usr/bin");

needing(test, wrk, "wrk", "wrk, for a second", async () => {
  await withServer(http.createServer(echoOrText), async (port) => {
    const words = ["-t", "1", "-c", "20", "-d", "1s", `http://127.0.0.1:${port}/`];
    const { stdout } = await run(wrk!, words);
    assert.match(stdout, /[1-9]\d* requests in /);
    assert.not.match(stdout, /Socket errors|Non-2xx/);
  });
});

test.run();
