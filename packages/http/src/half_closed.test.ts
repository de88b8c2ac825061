// Clients that end their side behind their requests, which HTTP allows: each answer comes as a
// whole, however long it takes. One that has gone looks the same, and is noticed.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { gunzipSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client, calm, turn, withServer } from "./client.test.support.js";
import { type Exchange, fileResponse, type Server, serve } from "./index.js";

const test = suite("half-closed clients");
const folder = mkdtempSync(`${tmpdir()}/io-http-half-`);
test.after(() => rmSync(folder, { recursive: true }));

const PIECES = 6;
const whole = Array.from({ length: PIECES }, (_, index) => `${index};`.repeat(500)).join("");
const fileText = whole.repeat(200);
writeFileSync(`${folder}/file`, fileText);

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left--) await turn();
}

/** The pieces, each after turns in which a stream is silent. */
async function* slowly(): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < PIECES; index++) {
    await turns(30);
    yield new TextEncoder().encode(`${index};`.repeat(500)); // a stream of bytes detaches it
  }
}

function pulled(type?: "bytes"): ReadableStream<Uint8Array> {
  const pieces = slowly();
  const pull = async (controller: ReadableStreamDefaultController): Promise<void> => {
    const { value, done } = await pieces.next();
    if (done) controller.close();
    else controller.enqueue(value);
  };
  return new ReadableStream({ type, pull } as { pull: typeof pull });
}

function started(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async start(controller) {
      for await (const piece of slowly()) controller.enqueue(piece);
      controller.close();
    },
  });
}

function twoOf(stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const [one, other] = stream.tee();
  void new Response(other).text();
  return one;
}

type BodyInit = ConstructorParameters<typeof Response>[0];
type Kind = (one: Exchange, request: Request) => BodyInit | Promise<BodyInit>;

let upstream: Server;
test.before(async () => {
  upstream = await serve({ port: 0, fetch: () => new Response(pulled()) });
});
test.after(() => upstream.stop({ timeoutMs: 0 }));

/** What makes the body; each gives the same text. */
const KINDS: Record<string, Kind> = {
  pulled: () => pulled(),
  bytes: () => pulled("bytes"),
  started: () => started(),
  iterated: () => ReadableStream.from(slowly()) as BodyInit,
  generated: () => slowly() as unknown as BodyInit,
  transformed: () => started().pipeThrough(new TransformStream()),
  compressed: () => pulled().pipeThrough(new CompressionStream("gzip")),
  proxied: async () => (await fetch(upstream.url)).body!,
  "one of two": () => twoOf(pulled()),
  "the body of the request": (_, request) => request.body!,
  "later, a text": async () => {
    await turns(50);
    return whole;
  },
};

const handler = async (request: Request, one: Exchange): Promise<Response> => {
  if (one.path === "/file") return fileResponse(`${folder}/file`);
  return new Response(await KINDS[decodeURIComponent(one.path.slice(1))]!(one, request));
};

/** The plain form of the same. */
async function written(one: Exchange): Promise<void> {
  one.begin(200, null, one.path === "/long" ? whole.length : null);
  for await (const piece of slowly()) await one.write(piece);
  one.end();
}

/** The bodies of the answers in what came; null for one that is not complete. */
function bodiesIn(all: Buffer): (Buffer | null)[] {
  const found: (Buffer | null)[] = [];
  let rest = all;
  while (rest.length > 0) {
    const end = rest.indexOf("\r\n\r\n") + 4;
    const head = rest.toString("latin1", 0, end);
    assert.match(head, /^HTTP\/1\.1 200 /);
    rest = rest.subarray(end);
    const length = /content-length: ([0-9]+)/i.exec(head)?.[1];
    if (length !== undefined) {
      found.push(rest.length < Number(length) ? null : rest.subarray(0, Number(length)));
      rest = rest.subarray(Number(length));
    } else if (/transfer-encoding: chunked/i.test(head)) {
      const { body, after } = unchunked(rest);
      found.push(body);
      rest = after;
    } else {
      found.push(rest);
      break;
    }
  }
  return found;
}

function unchunked(bytes: Buffer): { body: Buffer | null; after: Buffer } {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf("\r\n", at);
    if (end === -1) return { body: null, after: Buffer.alloc(0) };
    const length = Number.parseInt(bytes.toString("latin1", at, end), 16);
    at = end + 2 + length + 2;
    if (at > bytes.length) return { body: null, after: Buffer.alloc(0) };
    if (length === 0) return { body: Buffer.concat(parts), after: bytes.subarray(at) };
    parts.push(bytes.subarray(end + 2, end + 2 + length));
  }
}

interface Way {
  readonly head: (path: string) => string;
  readonly count: number;
}

const post = (path: string, version: string, more: string): string =>
  `POST ${path} HTTP/${version}\r\nHost: a\r\n${more}` +
  `Content-Length: ${whole.length}\r\n\r\n${whole}`;

const WAYS: Record<string, Way> = {
  "keep-alive": { head: (path) => post(path, "1.1", ""), count: 1 },
  close: { head: (path) => post(path, "1.1", "Connection: close\r\n"), count: 1 },
  "HTTP/1.0": { head: (path) => post(path, "1.0", ""), count: 1 },
  pipelined: { head: (path) => post(path, "1.1", "").repeat(3), count: 3 },
};

/** Sends all, ends its side, and gives what comes. */
function halfClosed(to: Socket, sent: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  to.on("data", (part: Buffer) => parts.push(part));
  to.end(sent, "latin1");
  return new Promise((resolve, reject) => {
    to.on("error", reject);
    to.on("close", () => resolve(Buffer.concat(parts)));
  });
}

async function checkAll(open: () => Socket, paths: string[]): Promise<void> {
  for (const path of paths) {
    for (const [way, { head, count }] of Object.entries(WAYS)) {
      const all = await halfClosed(open(), head(encodeURI(`/${path}`)));
      const bodies = bodiesIn(all);
      const shown = `${path}, ${way}: ${all.toString("latin1").slice(0, 300)}`;
      assert.is(bodies.length, count, shown);
      for (const body of bodies) {
        assert.is.not(body, null, shown);
        const text = path === "compressed" ? gunzipSync(body!) : body!;
        assert.ok(String(text) === (path === "file" ? fileText : whole), shown);
      }
    }
  }
}

const paths = ["file", ...Object.keys(KINDS)];

test("each answer of the form fetch comes as a whole", async () => {
  await withServer({ fetch: handler }, async (server, port) => {
    await checkAll(() => connect({ port, host: "127.0.0.1", allowHalfOpen: true }), paths);
    while (server.connections > 0) await turn();
  });
});

test("each answer of the plain form comes as a whole", async () => {
  await withServer({ request: written }, async (server, port) => {
    const open = (): Socket => connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    await checkAll(open, ["long", "chunked"]);
    while (server.connections > 0) await turn();
  });
});

test("the same over a unix socket", async () => {
  const path = `${folder}/socket`;
  await using server = await serve({ path, fetch: handler });
  await checkAll(() => connect({ path, allowHalfOpen: true }), paths);
  while (server.connections > 0) await turn();
});

/** A stream that never ends: silent behind its first piece, or with a piece now and then. */
function endless(isSilent: boolean, onCancel: () => void): ReadableStream<Uint8Array> {
  let count = 0;
  return new ReadableStream(
    {
      async pull(controller) {
        if (count++ > 0 && isSilent) await new Promise(() => undefined);
        await turns(20);
        controller.enqueue(Buffer.from("data: event\n\n"));
      },
      cancel: onCancel,
    },
    { highWaterMark: 0 },
  );
}

const request = "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n";

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

test("an endless stream ends with its client, by a reset and otherwise", async () => {
  const path = `${folder}/endless`;
  let cancelled = 0;
  const aborted: string[] = [];
  const options = {
    fetch: (_: Request, one: Exchange): Response => {
      one.signal.addEventListener("abort", () => aborted.push(one.path));
      const isSilent = one.path === "/silent";
      if (one.path === "/none") one.destroy(); // it was given up before there is a response
      return new Response(endless(isSilent, () => void cancelled++));
    },
  };
  const open = async (to: Socket, name: string): Promise<Socket> => {
    let came = "";
    to.on("error", () => undefined).on("data", (part) => {
      came += String(part);
    });
    to.write(request.replace("%s", name));
    await until(() => came.includes("event"));
    to.end();
    await until(() => aborted.length > 0);
    aborted.length = 0;
    return to;
  };
  await using local = await serve({ path, ...options });
  await withServer(options, async (server, port) => {
    const tcp = (): Socket => connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const unix = (): Socket => connect({ path, allowHalfOpen: true });
    let expected = 0;
    for (const name of ["ticking", "silent"]) {
      for (const start of [tcp, unix]) {
        for (const way of ["resetAndDestroy", "destroy"] as const) {
          // A silent stream of a TCP client that has closed ends a minute later.
          if (name === "silent" && start === tcp && way === "destroy") continue;
          // Node has no reset of what is no TCP.
          if (start === unix && way === "resetAndDestroy") continue;
          const client = await open(start(), name);
          assert.is(cancelled, expected, `${name}, ${way}`);
          client[way]();
          await until(() => cancelled > expected);
          expected++;
        }
      }
    }
    await until(() => server.connections + local.connections === 0);
    // The second of a pipeline began when its client had ended.
    const pipelined = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    pipelined.on("error", () => undefined).resume();
    const [first, second] = ["ticking", "silent"].map((name) => request.replace("%s", name));
    pipelined.end(first! + second!);
    await until(() => aborted.length > 0);
    pipelined.resetAndDestroy();
    await until(() => cancelled > expected);
    const none = new Client(port);
    none.send("GET /none HTTP/1.1\nHost: a\n\n");
    await none.ended();
    await until(() => cancelled > expected + 1);
    await until(() => server.connections === 0);
    assert.is(server.metrics.connectionsFailed + local.metrics.connectionsFailed, 0);
  });
});

test("a request that began behind the end of its client has an aborted signal, too", async () => {
  const aborted: string[] = [];
  let go: () => void = () => undefined;
  const answer = async (one: Exchange): Promise<void> => {
    if (one.path === "/first") {
      await new Promise<void>((resolve) => {
        go = resolve;
      });
    } else if (one.path === "/second") {
      await new Promise((resolve) => one.signal.addEventListener("abort", resolve));
      aborted.push(one.path);
    } else {
      one.signal.addEventListener("abort", () => one.respond(200, null, one.path));
      return;
    }
    one.respond(200, null, one.path);
  };
  await withServer({ request: answer }, async (server, port) => {
    using client = new Client(port);
    const paths = ["/first", "/second", "/in the listener"].map(encodeURI);
    client.send(paths.map((path) => `GET ${path} HTTP/1.1\nHost: a\n\n`).join(""));
    client.socket.end();
    await calm(() => server.metrics.receivedBytes);
    go();
    assert.match(await client.ended(), /\/first[\s\S]*\/second[\s\S]*\/in%20the%20listener$/);
    while (server.connections > 0) await turn();
    assert.equal(aborted, ["/second"]);
  });
});

test("what a handler waits for ends with a reset that comes behind the end", async () => {
  let broken = 0;
  const answer = async (one: Exchange): Promise<void> => {
    one.begin(200);
    while (!one.ended) await turn();
    broken++;
  };
  await withServer({ request: answer }, async (server, port) => {
    const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    client.on("error", () => undefined).resume();
    client.end(request);
    await calm(() => server.metrics.receivedBytes);
    client.resetAndDestroy();
    while (broken === 0 || server.connections > 0) await turn();
    assert.is(server.metrics.connectionsFailed, 0, "a reset is the client's");
  });
});

test.run();
