// What clients and handlers do wrong: a right status or a closed connection, and nothing of one
// request in the answer of another.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { IO, type IOError, type Socket } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client, calm, exchange, get, turn, withServer } from "./client.test.support.js";
import type { Exchange, HttpError, RequestHandler, ServeOptions } from "./index.js";

const test = suite("bad input");
const seed = Number(process.env["HTTP_SEED"] ?? Date.now() % 1_000_000_000);

test("a handler that goes on after its answer keeps its own request", async () => {
  const seen: string[] = [];
  const errors: string[] = [];
  const request = async (one: Exchange): Promise<void> => {
    one.respond(200, null, one.target);
    for (let left = 20; left > 0; left--) await turn();
    seen.push(one.target);
    one.respond(200, null, "late");
  };
  const onError = (error: unknown): undefined => void errors.push((error as HttpError).code);
  await withServer({ request, onError }, async (_server, port) => {
    using client = new Client(port);
    for (const path of ["/1", "/2", "/3"]) {
      assert.is((await client.send(get(path)).answer()).body, path);
    }
    while (errors.length < 3) await turn();
    assert.equal(seen, ["/1", "/2", "/3"]);
    assert.equal(errors, ["ERR_HTTP_ANSWERED", "ERR_HTTP_ANSWERED", "ERR_HTTP_ANSWERED"]);
    assert.is((await client.send(get("/4")).answer()).body, "/4");
  });
});

test("a client that ends behind its requests gets all answers", async () => {
  const request = async (one: Exchange): Promise<void> => {
    await turn();
    one.respond(200, null, one.target);
  };
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    client.send(get("/1") + get("/2") + get("/3"));
    client.socket.end();
    const all = await client.ended();
    assert.equal(all.match(/\/[0-9]$|\/[0-9](?=HTTP)/g), ["/1", "/2", "/3"]);
  });
});

test("a body that is cut off ends the connection, and the handler gets an error", async () => {
  const codes: unknown[] = [];
  const request = async (one: Exchange): Promise<void> => {
    try {
      await one.body.bytes();
    } catch (error) {
      codes.push((error as HttpError).code);
      throw error;
    }
  };
  const post = "POST / HTTP/1.1\nHost: a\n";
  await withServer({ request }, async (server, port) => {
    const bodies = ["Content-Length: 5\n\nab", "Transfer-Encoding: chunked\n\n5\nab"];
    for (const body of bodies) {
      using client = new Client(port);
      client.send(post + body);
      while (server.metrics.requests < codes.length + 1) await turn();
      client.socket.end();
      assert.match(await client.ended(), /^HTTP\/1\.1 400 /);
    }
    using bad = new Client(port);
    const all = await bad.send(`${post}Transfer-Encoding: chunked\n\n2\nabX`).ended();
    assert.match(all, /^HTTP\/1\.1 400 /);
    assert.equal(codes, ["ERR_HTTP_ABORTED", "ERR_HTTP_ABORTED", "ERR_HTTP_CHUNK_END"]);
    while (server.connections > 0) await turn();
  });
});

test("a body that was not wanted is dropped, up to a limit that costs the connection", async () => {
  const request = (one: Exchange): void => one.respond(403);
  await withServer({ request }, async (server, port) => {
    using client = new Client(port);
    const post = (length: number) => `POST / HTTP/1.1\nHost: a\nContent-Length: ${length}\n\n`;
    client.send(post(100_000)).sendBytes(Buffer.alloc(100_000)).send(get("/"));
    assert.is((await client.answer()).status, 403);
    assert.is((await client.answer()).status, 403);
    client.send(post(1e12)).sendBytes(Buffer.alloc(8 * 1024 * 1024));
    assert.is((await client.answer()).status, 403);
    while (server.connections > 0) await turn();
    assert.is(server.metrics.requests, 3);
  });
});

test("garbage, many clients at once: the server answers as before", async () => {
  process.stdout.write(`bad input: seed ${seed} (repeat with HTTP_SEED=${seed})\n`);
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const request = async (one: Exchange): Promise<void> =>
    one.respond(200, { "x-target": encodeURI(one.target) }, await one.body.text());
  await withServer({ request, onError: () => undefined }, async (server, port) => {
    for (let round = 0; round < 20; round++) {
      const clients = Array.from({ length: 20 }, () => new Client(port));
      for (const client of clients) {
        const bytes = Buffer.from(Array.from({ length: below(200) }, () => below(256)));
        if (below(2) === 0) client.send(get(`/${round}`));
        client.sendBytes(bytes);
        client.socket[below(2) === 0 ? "end" : "destroySoon"]();
      }
      await Promise.all(clients.map((client) => client.ended()));
      for (const client of clients) {
        const own = client.received.match(/x-target: (.*)\r/)?.[1];
        assert.ok(own === undefined || own === `/${round}`, own);
      }
    }
    while (server.connections > 0) await turn();
    assert.match(await exchange(port, get("/", "Connection: close\n")), /^HTTP\/1\.1 200 /);
  });
});

test("descriptors run out: those that are there are served, and the others later", async () => {
  const index = new URL("./index.js", import.meta.url).href;
  const program =
    `const { serve } = await import(${JSON.stringify(index)});` +
    `const request = (one) => one.respond(200, null, one.target);` +
    `const server = await serve({ port: 0, request });` +
    `console.log(server.address.port);`;
  const limited = `ulimit -n 60 && exec "$0" --input-type=module -e "$1"`;
  const child = spawn("sh", ["-c", limited, process.execPath, program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    const port = Number(line);
    const clients = Array.from({ length: 80 }, () => new Client(port));
    const answered = new Set<Client>();
    for (const client of clients) {
      void client
        .send(get("/a"))
        .answer()
        .then(
          () => answered.add(client),
          () => undefined, // it is destroyed below
        );
    }
    while (answered.size < 20) await turn();
    // As those leave that were served, the others get their turn.
    while (answered.size < 80) {
      for (const client of answered) client.socket.destroy();
      await turn();
    }
    using last = new Client(port);
    assert.is((await last.send(get("/last")).answer()).body, "/last");
  } finally {
    child.kill();
  }
});

test("a handler that answers twice reaches no other request", async () => {
  const seen: unknown[] = [];
  let answerLate: () => void = () => undefined;
  let answerSecond: () => void = () => undefined;
  const request = (one: Exchange): void => {
    if (one.path === "/2") {
      answerSecond = () => one.respond(200, null, "second");
      return;
    }
    one.respond(200, null, "first");
    answerLate = () => {
      seen.push(one.target, one.field("cookie"), one.fields(), one.trailer());
      try {
        one.respond(200, null, "late");
      } catch (error) {
        seen.push((error as HttpError).code);
      }
    };
  };
  await withServer({ request }, async (server, port) => {
    using client = new Client(port);
    assert.is((await client.send(get("/1")).answer()).body, "first");
    client.send(get("/2", "Cookie: secret\n"));
    while (server.metrics.requests < 2) await turn();
    answerLate();
    answerSecond();
    assert.is((await client.answer()).body, "second");
    assert.equal(seen, ["", undefined, [], [], "ERR_HTTP_ANSWERED"]);
  });
});

test("a handler that goes on behind the end of its connection keeps its own request", async () => {
  const seen: unknown[] = [];
  const request = async (one: Exchange): Promise<void> => {
    if (one.path !== "/own") return one.respond(200);
    one.destroy();
    while (server === null || server.metrics.requests < 400) await turn();
    seen.push(one.target, one.field("x"));
  };
  let server: { metrics: { requests: number } } | null = null;
  await withServer({ request }, async (started, port) => {
    server = started;
    using client = new Client(port);
    await client.send(get("/own", "X: own\n")).ended();
    using other = new Client(port);
    // Until the memory of the first request has held others.
    const more = "X: not\n".repeat(100);
    for (let round = 0; round < 400; round++) await other.send(get("/not", more)).answer();
    while (seen.length < 2) await turn();
    assert.equal(seen, ["/own", "own"]);
  });
});

test("a body that is dropped and malformed gets no second answer", async () => {
  const request = (one: Exchange): void => one.respond(200, null, "once");
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    client.send("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n");
    assert.is((await client.answer()).body, "once");
    // More than is dropped in a chunk, and what is no chunk behind it in the same piece.
    const chunk = Buffer.alloc(1024 * 1024 + 1000, 0x61);
    client
      .send(`${chunk.length.toString(16)}\n`)
      .sendBytes(chunk)
      .send("nonsense");
    assert.is(await client.ended(), "");
  });
});

test("a body that waited for its turn fails when its client has ended within it", async () => {
  const codes: unknown[] = [];
  let go: () => void = () => undefined;
  const request = async (one: Exchange): Promise<void> => {
    if (one.path === "/slow") {
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      return one.respond(200);
    }
    try {
      await one.body.bytes();
    } catch (error) {
      codes.push((error as HttpError).code);
      throw error;
    }
  };
  await withServer({ request }, async (server, port) => {
    using client = new Client(port);
    client.send(`${get("/slow")}POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nab`);
    while (server.metrics.requests < 1) await turn();
    client.socket.end();
    await calm(() => server.metrics.receivedBytes);
    go();
    await client.ended();
    while (server.connections > 0) await turn();
    assert.equal(codes, ["ERR_HTTP_ABORTED"]);
  });
});

test("a body that is read late, behind the end of its client, comes as a whole", async () => {
  let go: () => void = () => undefined;
  const request = async (one: Exchange): Promise<void> => {
    await new Promise<void>((resolve) => {
      go = resolve;
    });
    one.respond(200, null, String((await one.body.bytes()).length));
  };
  await withServer({ request, onError: () => undefined }, async (server, port) => {
    using client = new Client(port);
    const sizeBytes = 100_000;
    client.send(`POST / HTTP/1.1\nHost: a\nContent-Length: ${sizeBytes}\n\n`);
    client.sendBytes(Buffer.alloc(sizeBytes));
    client.socket.end();
    await calm(() => server.metrics.receivedBytes);
    go();
    assert.match(await client.ended(), /^HTTP\/1\.1 200 [\s\S]*\r\n\r\n100000$/);
  });
});

test("what stands behind an unwanted body is answered, though its client has ended", async () => {
  let go: () => void = () => undefined;
  const request = async (one: Exchange): Promise<void> => {
    if (one.path === "/") {
      await new Promise<void>((resolve) => {
        go = resolve;
      });
    }
    one.respond(403, null, one.target);
  };
  await withServer({ request }, async (server, port) => {
    using client = new Client(port);
    // More than waits for a handler.
    client.send("POST / HTTP/1.1\nHost: a\nContent-Length: 100000\n\n");
    client.sendBytes(Buffer.alloc(100_000)).send(get("/next"));
    client.socket.end();
    await calm(() => server.metrics.receivedBytes);
    go();
    assert.match(await client.ended(), /^HTTP\/1\.1 403 [\s\S]*\/HTTP\/1\.1 403 [\s\S]*\/next$/);
  });
});

test("what waited for its turn stays its own, whatever comes behind it", async () => {
  const go: (() => void)[] = [];
  const seen: unknown[] = [];
  const request = async (one: Exchange): Promise<void> => {
    await new Promise<void>((resolve) => go.push(resolve));
    seen.push([one.path, one.field("x"), await one.body.text()]);
    one.respond(200, null, one.path);
  };
  const post = (path: string, x: string, body: string): string =>
    `POST ${path} HTTP/1.1\nHost: a\nX: ${x}\nContent-Length: ${body.length}\n\n${body}`;
  await withServer({ request }, async (server, port) => {
    using client = new Client(port);
    const third = post("/3", "z".repeat(500), "3".repeat(300));
    client.send(get("/1") + post("/2", "y".repeat(200), "2".repeat(100)) + third.slice(0, 200));
    await calm(() => server.metrics.receivedBytes);
    go[0]!();
    while (go.length < 2) await turn();
    // The second one is being answered, and what comes takes the place where it stood.
    const before = server.metrics.receivedBytes;
    client.send(third.slice(200));
    await calm(() => server.metrics.receivedBytes - before);
    go[1]!();
    while (go.length < 3) await turn();
    go[2]!();
    for (const path of ["/1", "/2", "/3"]) assert.is((await client.answer()).body, path);
    assert.equal(seen, [
      ["/1", undefined, ""],
      ["/2", "y".repeat(200), "2".repeat(100)],
      ["/3", "z".repeat(500), "3".repeat(300)],
    ]);
  });
});

test("a body that is asked for late, when its client has ended within it, fails", async () => {
  const codes: unknown[] = [];
  const request = async (one: Exchange): Promise<void> => {
    await new Promise((resolve) => one.signal.addEventListener("abort", resolve));
    await one.body.bytes().catch((error: HttpError) => codes.push(error.code));
    one.respond(400);
  };
  await withServer({ request }, async (server, port) => {
    using client = new Client(port);
    client.send("POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\n");
    client.socket.end();
    assert.match(await client.ended(), /^HTTP\/1\.1 400 /);
    while (server.connections > 0) await turn();
    assert.equal(codes, ["ERR_HTTP_ABORTED"]);
  });
});

test("a body that is neither text nor bytes is an error", async () => {
  const codes: unknown[] = [];
  const bodies = [5, new ArrayBuffer(4), new Uint16Array(2), {}] as unknown as string[];
  const request = (one: Exchange): void => {
    const body = bodies[Number(one.path.slice(2))]!;
    try {
      if (one.path.startsWith("/r")) one.respond(200, null, body);
      else {
        one.begin(200);
        one.write(body);
      }
    } catch (error) {
      codes.push((error as HttpError).code);
    }
    if (one.begun) one.end();
    else one.respond(500);
  };
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    for (const index of bodies.keys()) {
      assert.is((await client.send(get(`/r${index}`)).answer()).status, 500);
      assert.is((await client.send(get(`/w${index}`)).answer()).body, "0\r\n\r\n");
    }
    assert.equal(codes, Array(8).fill("ERR_HTTP_BODY"));
  });
});

/** Gives what is printed meanwhile. */
async function whilePrinting(during: (printed: unknown[]) => Promise<void>): Promise<unknown[]> {
  const printed: unknown[] = [];
  const { error } = console;
  console.error = (one: unknown) => void printed.push(one);
  try {
    await during(printed);
  } finally {
    console.error = error;
  }
  return printed;
}

test("what a handler throws behind its answer is printed, or given to onError", async () => {
  const request = async (one: Exchange): Promise<void> => {
    if (one.path === "/short") {
      one.begin(200, null, 5);
      one.end();
      return;
    }
    one.respond(200, null, one.path);
    if (one.path === "/later") await turn();
    throw new Error(one.path);
  };
  const paths = ["/now", "/later", "/short"];
  const ask = async (options: ServeOptions, seen: () => number): Promise<void> => {
    await withServer({ request, ...options }, async (_server, port) => {
      for (const [index, path] of paths.entries()) {
        using client = new Client(port);
        client.send(get(path));
        if (path === "/short") await client.ended();
        else assert.is((await client.answer()).body, path);
        while (seen() <= index) await turn();
      }
    });
  };
  const given: unknown[] = [];
  const onError = (error: unknown): undefined => void given.push(error);
  assert.equal(await whilePrinting(() => ask({ onError }, () => given.length)), []);
  const printed = await whilePrinting((seen) => ask({}, () => seen.length));
  for (const errors of [given, printed]) {
    const messages = errors.map((one) => (one as Error).message);
    assert.equal(messages.slice(0, 2), ["/now", "/later"]);
    assert.match(messages[2]!, "5 bytes are missing");
  }
});

test("a file that cannot be sent is an error of its handler", async () => {
  const codes: unknown[] = [];
  const onError = (error: unknown): undefined => void codes.push((error as HttpError).code);
  await using io = await IO.open();
  const file = await io.openFile(fileURLToPath(import.meta.url));
  const closed = await io.openFile(fileURLToPath(import.meta.url));
  await closed.close();
  const cases: Record<string, [offset: number, from: typeof file]> = {
    "/negative": [-1, file],
    "/part": [0.5, file],
    "/closed": [0, closed],
    "/none": [0, undefined as unknown as typeof file],
    "/behind": [1e9, file],
  };
  const request = (one: Exchange): unknown => {
    const [offset, from] = cases[one.path]!;
    return one.sendFile(200, null, from, offset, 5);
  };
  await withServer({ io, request: request as RequestHandler, onError }, async (server, port) => {
    const statuses: string[] = [];
    for (const path of Object.keys(cases)) {
      const all = await exchange(port, get(path, "Connection: close\n"));
      statuses.push(all.slice(9, 12));
      assert.ok(all.startsWith("HTTP/1.1 500 ") || all.endsWith("\r\n\r\n"), all);
    }
    assert.equal(statuses, ["500", "500", "200", "200", "200"]);
    assert.equal(codes, [
      "ERR_HTTP_LENGTH",
      "ERR_HTTP_LENGTH",
      "ERR_IO_CLOSED",
      "ERR_INVALID_ARG_TYPE",
      "ERR_HTTP_BODY_SHORT",
    ]);
    assert.is(server.metrics.connectionsFailed, 0);
    while (server.connections > 0) await turn();
  });
  await file.close();
});

/** Node's own sockets take a reset that comes with data for an end. */
async function takeAll(socket: Socket): Promise<{ all: string; code: string | undefined }> {
  const bytes = Buffer.alloc(64 * 1024);
  let all = "";
  try {
    for (let count = 1; count > 0; all += bytes.toString("latin1", 0, count)) {
      count = await socket.receive(bytes);
    }
    return { all, code: undefined };
  } catch (error) {
    return { all, code: (error as IOError).code };
  }
}

test("an answer that is not all sent, and ends with its connection, is broken off", async () => {
  const large = Buffer.alloc(32 * 1024 * 1024);
  const request = async (one: Exchange): Promise<void> => {
    one.begin(200);
    if (one.path === "/silent") return;
    void one.write(large);
    one.end();
  };
  const limits = { requestTimeoutMs: 100 };
  await using io = await IO.open();
  await withServer({ request, limits }, async (server, port) => {
    await using socket = await io.connect({ port });
    await socket.sendAll(Buffer.from("GET /silent HTTP/1.0\r\n\r\n"));
    assert.is((await takeAll(socket)).code, "ECONNRESET");
    await using other = await io.connect({ port });
    await other.sendAll(Buffer.from("GET /large HTTP/1.0\r\n\r\n"));
    while (server.metrics.requests < 2) await turn();
    await calm(() => server.metrics.sentBytes);
    await server.stop({ timeoutMs: 0 });
    assert.is((await takeAll(other)).code, "ECONNRESET");
  });
});

test("an answer that ends with its connection does not look complete when it is not", async () => {
  const request = async (one: Exchange): Promise<void> => {
    one.begin(200);
    await one.write("piece");
    await turn();
    if (one.path === "/whole") return one.end();
    throw new Error("as asked");
  };
  const fetch = ({ url }: Request): Response => {
    let isFirst = true;
    const pull = async (controller: ReadableStreamDefaultController): Promise<void> => {
      if (!isFirst) await turn();
      if (isFirst) controller.enqueue(Buffer.from("piece"));
      else if (url.endsWith("/whole")) controller.close();
      else throw new Error("as asked");
      isFirst = false;
    };
    return new Response(new ReadableStream({ pull }));
  };
  await using io = await IO.open();
  for (const handler of [{ request }, { fetch }]) {
    await withServer({ ...handler, onError: () => undefined }, async (server, port) => {
      for (const path of ["/whole", "/broken"]) {
        await using socket = await io.connect({ port });
        await socket.sendAll(Buffer.from(`GET ${path} HTTP/1.0\r\n\r\n`));
        const { all, code } = await takeAll(socket);
        assert.is(code, path === "/whole" ? undefined : "ECONNRESET", path);
        if (path === "/whole") assert.ok(all.endsWith("\r\n\r\npiece"), all);
      }
      while (server.connections > 0) await turn();
    });
  }
});

test("null is an error as any other that a handler throws", async () => {
  const errors: unknown[] = [];
  const request = (): void => {
    throw null;
  };
  const onError = (error: unknown): undefined => void errors.push(error);
  await withServer({ request, onError }, async (_server, port) => {
    using client = new Client(port);
    assert.is((await client.send(get("/")).answer()).status, 500);
    assert.equal(errors, [null]);
  });
});

test("chunks of a byte come to the handler together", async () => {
  const count = 5000;
  const lengths: number[] = [];
  const request = async (one: Exchange): Promise<void> => {
    for await (const piece of one.body) lengths.push(piece.length);
    one.respond(200);
  };
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    const head = "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n";
    await client.send(`${head}${"1\na\n".repeat(count)}0\n\n`).answer();
    assert.is(
      lengths.reduce((sum, length) => sum + length, 0),
      count,
    );
    assert.ok(lengths.length < count / 10, `${lengths.length}`);
  });
});

test("a handler that ends its connection late does not end another request", async () => {
  const late: (() => void)[] = [];
  const request = (one: Exchange): void => {
    const { path } = one;
    late.push(path === "/2" ? () => one.respond(200, null, "second") : () => one.destroy());
    if (path !== "/2") one.respond(200);
  };
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    await client.send(get("/1")).answer();
    client.send(get("/2"));
    while (late.length < 2) await turn();
    for (const call of late) call();
    assert.is((await client.answer()).body, "second");
    late[0]!();
    await client.ended();
  });
});

test("a promise of another realm is waited for, and its error is an answer", async () => {
  const program = "(path, answer) => Promise.resolve().then(() => answer(path))";
  type Later = (path: string, answer: (path: string) => unknown) => never;
  const later = runInNewContext(program) as Later;
  const answer = (path: string): Response => {
    if (path.endsWith("/error")) throw new Error(path);
    return new Response("web");
  };
  const errors: unknown[] = [];
  const onError = (error: unknown): undefined => void errors.push((error as Error).message);
  const forms: ServeOptions[] = [
    { onError, fetch: (request) => later(request.url, answer) },
    {
      onError,
      request: (one) => later(one.path, (path) => answer(path) && one.respond(200, null, "web")),
    },
  ];
  for (const form of forms) {
    await withServer(form, async (_server, port) => {
      using client = new Client(port);
      assert.is((await client.send(get("/")).answer()).body, "web");
      assert.is((await client.send(get("/error")).answer()).status, 500);
    });
  }
  assert.equal(errors, ["http://a.example/error", "/error"]);
});

test.run();
