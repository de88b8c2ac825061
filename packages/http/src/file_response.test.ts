// Responses of the form `fetch` whose bodies are blobs and files.

import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openAsBlob,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { pathToFileURL } from "node:url";
import { IO } from "@io/core";
import { H3 } from "h3";
import { Hono } from "hono";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Answer, Client, calm, get, turn, withServer } from "./client.test.support.js";
import { fileResponse, type HttpError, type ServeOptions } from "./index.js";

const test = suite("file response");
const folder = mkdtempSync(`${tmpdir()}/io-http-response-`);
const large = Buffer.alloc(3_000_000, "0123456789");
const path = `${folder}/large.txt`;
writeFileSync(path, large);
writeFileSync(`${folder}/empty.bin`, "");
test.after(() => rmSync(folder, { recursive: true }));

function descriptors(): number {
  return readdirSync("/dev/fd").length;
}

type Ask = (target: string, more?: string, method?: string) => Promise<Answer>;

/** A server by fetch, and what asks it on one connection. */
async function withAsk(options: ServeOptions, use: (ask: Ask) => Promise<void>): Promise<void> {
  await withServer(options, async (_server, port) => {
    using client = new Client(port);
    await use(async (target, more = "", method = "GET") => {
      client.send(`${method} ${target} HTTP/1.1\nHost: a\n${more}\n`);
      return await client.answer(method === "HEAD");
    });
  });
}

test("a blob is sent with its length and type", async () => {
  const blobs: Record<string, () => Blob | Promise<Blob>> = {
    "/none": () => new Blob([]),
    "/small": () => new Blob(["a", "b"], { type: "text/x" }),
    "/typeless": () => new Blob(["ab"]),
    "/large": () => new Blob([large.subarray(0, 1_000_000), large.subarray(1_000_000)]),
    "/file": () => openAsBlob(path, { type: "text/y" }),
    "/part": async () => (await openAsBlob(path)).slice(5, 200_005, "text/z"),
  };
  const fetch = async (request: Request): Promise<Response> =>
    new Response(await blobs[new URL(request.url).pathname]!(), { headers: { "x-a": "1" } });
  await withAsk({ fetch }, async (ask) => {
    for (const [name, make] of Object.entries(blobs)) {
      const blob = await make();
      const { status, fields, body } = await ask(name);
      assert.equal([status, fields["x-a"], fields["transfer-encoding"]], [200, "1", undefined]);
      assert.is(fields["content-length"], String(blob.size), name);
      assert.is(fields["content-type"] ?? "", blob.type, name);
      assert.ok(body === Buffer.from(await blob.arrayBuffer()).toString("latin1"), name);
      const head = await ask(name, "", "HEAD");
      assert.is(head.fields["content-length"], String(blob.size), name);
    }
  });
});

test("the types of blobs are not kept, however many there are", async () => {
  const typeBytes = 16 * 1024;
  const count = 2000;
  const typeOf = (number: number): string => `text/${String(number).padStart(typeBytes, "x")}`;
  const fetch = (request: Request): Response =>
    new Response(new Blob(["a"], { type: typeOf(Number(new URL(request.url).pathname.slice(1))) }));
  const kept = async (): Promise<number> => {
    for (let round = 0; round < 3; round++) {
      gc!();
      await turn(); // the memory of buffers is freed behind the call
    }
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  await withAsk({ fetch }, async (ask) => {
    for (let number = 0; number < 100; number++) await ask(`/${number}`);
    const before = await kept();
    for (let number = 100; number < count; number++) {
      assert.is((await ask(`/${number}`)).fields["content-type"], typeOf(number));
    }
    const grown = (await kept()) - before;
    assert.ok(grown < typeBytes * count, `${grown} bytes more are in use`);
  });
});

test("no more of a blob is made than its client takes", async () => {
  const sizeBytes = 64 * 1024 * 1024;
  let madeBytes = 0;
  let isCancelled = false;
  class Counted extends Blob {
    override readonly size = sizeBytes;
    override stream(): ReadableStream {
      return new ReadableStream(
        {
          pull(controller) {
            madeBytes += 65_536;
            controller.enqueue(new Uint8Array(65_536));
          },
          cancel() {
            isCancelled = true;
          },
        },
        { highWaterMark: 0 },
      );
    }
  }
  await withServer({ fetch: () => new Response(new Counted([])) }, async (_server, port) => {
    using client = new Client(port);
    client.send(get("/"));
    client.socket.pause();
    await calm(() => madeBytes);
    assert.ok(madeBytes < sizeBytes / 2, `${madeBytes} bytes`);
    client.socket.destroy();
    while (!isCancelled) await turn();
  });
});

test("a client that has ended its side gets all of a blob and of a file", async () => {
  const fetch = async (request: Request): Promise<Response> =>
    request.url.endsWith("/blob") ? new Response(await openAsBlob(path)) : fileResponse(path);
  await withServer({ fetch }, async (_server, port) => {
    for (const target of ["/blob", "/file"]) {
      using client = new Client(port);
      client.send(get(target) + get(target));
      await client.until(() => client.received.length > 0);
      client.socket.end();
      const parts = (await client.ended()).split(/HTTP\/1\.1 200 [\s\S]*?\r\n\r\n/);
      assert.is(parts.length, 3, target);
      for (const part of parts.slice(1)) assert.ok(part === large.toString("latin1"), target);
    }
  });
});

test("a blob whose file shrinks meanwhile is no complete answer", async () => {
  const shrinking = `${folder}/shrinking`;
  const errors: unknown[] = [];
  const options: ServeOptions = {
    onError: (error) => void errors.push((error as Error).name),
    async fetch() {
      writeFileSync(shrinking, large);
      const blob = await openAsBlob(shrinking);
      truncateSync(shrinking, 200_000);
      return new Response(blob);
    },
  };
  await withServer(options, async (_server, port) => {
    using client = new Client(port);
    const all = await client.send(get("/") + get("/")).ended();
    assert.ok(all.length < large.length, `${all.length} bytes`);
    assert.is(all.split("HTTP/1.1 ").length, 2);
    assert.is(errors.length, 1);
  });
});

test("a file by its path, by a URL, and one that is open", async () => {
  await using io = await IO.open();
  await using file = await io.openFile(path);
  const headers = new Headers({ "x-a": "1" });
  headers.append("set-cookie", "a=1");
  headers.append("set-cookie", "b=2");
  const made: Record<string, () => Response> = {
    "/path": () => fileResponse(path, { headers }),
    "/url": () => fileResponse(pathToFileURL(path), { headers: [["x-a", "1"]] }),
    "/open": () => fileResponse(file, { headers: { "x-a": "1", "content-type": "text/plain" } }),
    "/typed": () => fileResponse(path, { headers: { "Content-Type": "text/own", "x-a": "1" } }),
    "/read": () => {
      const response = fileResponse(path, { headers });
      assert.is(response.headers.get("content-type"), "text/plain; charset=utf-8");
      return response;
    },
    "/stream": () => new Response(fileResponse(path).body, { headers }),
    "/empty": () => fileResponse(`${folder}/empty.bin`, { headers }),
  };
  const fetch = (request: Request): Response => made[new URL(request.url).pathname]!();
  await withServer({ io, fetch }, async (_server, port) => {
    using client = new Client(port);
    for (const name of Object.keys(made)) {
      for (const method of ["GET", "POST", "HEAD"]) {
        client.send(`${method} ${name} HTTP/1.1\nHost: a\n\n`);
        const { status, fields, body } = await client.answer(method === "HEAD");
        assert.equal([status, fields["x-a"]], [200, "1"], name);
        if (name === "/stream") continue;
        const expected = name === "/empty" ? Buffer.alloc(0) : large;
        assert.is(fields["content-length"], String(expected.length), name);
        const types: Record<string, string> = {
          "/open": "text/plain",
          "/typed": "text/own",
          "/empty": "application/octet-stream",
        };
        assert.is(fields["content-type"], types[name] ?? "text/plain; charset=utf-8", name);
        assert.ok(method === "HEAD" || body === expected.toString("latin1"), name);
      }
    }
    const answer = await globalThis.fetch(`http://127.0.0.1:${port}/path`);
    assert.equal(answer.headers.getSetCookie(), ["a=1", "b=2"]);
    const streamed = await globalThis.fetch(`http://127.0.0.1:${port}/stream`);
    assert.ok(Buffer.from(await streamed.arrayBuffer()).equals(large));
  });
  assert.is(await fileResponse(file).text(), large.toString());
  assert.instance(fileResponse(path), Response);
  assert.throws(() => fileResponse(5 as never), /the file is 5: give a path/);
  assert.throws(() => fileResponse(path, { status: 204 }), /no body/);
});

test("conditions and ranges, as of a folder, unless the status is another", async () => {
  const fetch = (request: Request): Response =>
    fileResponse(path, { status: request.url.endsWith("/error") ? 503 : 200 });
  await withAsk({ fetch }, async (ask) => {
    const { fields } = await ask("/");
    const { etag, "last-modified": date } = fields as { etag: string; "last-modified": string };
    assert.is(fields["accept-ranges"], "bytes");
    assert.is((await ask("/", `If-None-Match: ${etag}\n`)).status, 304);
    assert.is((await ask("/", `If-Modified-Since: ${date}\n`)).status, 304);
    assert.is((await ask("/", 'If-Match: "other"\n')).status, 412);
    assert.is((await ask("/", `If-None-Match: ${etag}\n`, "POST")).status, 200);
    const part = async (more: string): Promise<unknown[]> => {
      const { status, fields: named, body } = await ask("/", more);
      return [status, named["content-range"], body.length < 20 ? body : body.length];
    };
    const size = large.length;
    assert.equal(await part("Range: bytes=3-5\n"), [206, `bytes 3-5/${size}`, "345"]);
    const last = [206, `bytes ${size - 2}-${size - 1}/${size}`, "89"];
    assert.equal(await part("Range: bytes=-2\n"), last);
    assert.equal(await part(`Range: bytes=-2\nIf-Range: ${etag}\n`), last);
    assert.equal(await part('Range: bytes=-2\nIf-Range: "other"\n'), [200, undefined, size]);
    assert.equal((await part(`Range: bytes=${size}-\n`)).slice(0, 2), [416, `bytes */${size}`]);
    const failed = await ask("/error", `Range: bytes=3-5\nIf-None-Match: ${etag}\n`);
    assert.equal([failed.status, failed.fields["etag"]], [503, undefined]);
    assert.is(failed.body.length, size);
  });
});

test("several ranges of a file by fileResponse, and what is not a part of it", async () => {
  await using io = await IO.open();
  await using file = await io.openFile(path);
  const made: Record<string, () => Response> = {
    "/path": () => fileResponse(path, { headers: { "x-a": "1" } }),
    "/own": () => fileResponse(path, { headers: { "Content-Type": "text/\u00fc", "x-a": "1" } }),
    "/typeless": () => fileResponse(file, { headers: { "x-a": "1" } }),
  };
  const types: Record<string, string[]> = {
    "/path": ["Content-Type: text/plain; charset=utf-8"],
    "/own": ["Content-Type: text/\u00fc"],
    "/typeless": [],
  };
  const fetch = (request: Request): Response => made[new URL(request.url).pathname]!();
  await withAsk({ io, fetch }, async (ask) => {
    for (const name of Object.keys(made)) {
      const last = large.length - 1;
      const asked = `0-1,500005-800004,${large.length}-,-1`;
      const { status, fields, body } = await ask(name, `Range: bytes=${asked}\n`);
      assert.equal([status, fields["x-a"], fields["transfer-encoding"]], [206, "1", undefined]);
      assert.is(fields["content-length"], String(body.length));
      const boundary = /^multipart\/byteranges; boundary=(.*)$/.exec(fields["content-type"]!)![1]!;
      const [before, ...parts] = body.split(`\r\n--${boundary}`);
      assert.equal([before, parts.pop()], ["", "--\r\n"]);
      const seen = parts.map((part) => {
        const [head = "", content = ""] = part.split("\r\n\r\n");
        return [...head.split("\r\n").slice(1), content];
      });
      const texts = [
        ["bytes 0-1", "01"],
        ["bytes 500005-800004", large.toString("latin1", 500_005, 800_005)],
        [`bytes ${last}-${last}`, "9"],
      ] as const;
      const expected = texts.map(([range, text]) => {
        return [...types[name]!, `Content-Range: ${range}/${large.length}`, text];
      });
      assert.equal(seen, expected);
      const none = await ask(name, `Range: bytes=${large.length}-,${large.length}-\n`);
      assert.equal([none.status, none.fields["content-range"]], [416, `bytes */${large.length}`]);
    }
  });
});

test("the version that the program names counts", async () => {
  const headers = { ETag: '"own"', "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT" };
  await withAsk({ fetch: () => fileResponse(path, { headers }) }, async (ask) => {
    const { fields } = await ask("/");
    assert.is(fields["etag"], '"own"');
    assert.is((await ask("/", 'If-None-Match: "own"\n')).status, 304);
    const later = "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT\n";
    assert.is((await ask("/", later)).status, 304);
  });
});

test("what cannot be read, and what is no file, is not found", async () => {
  execFileSync("mkfifo", [`${folder}/fifo`]);
  const fetch = (request: Request): Response =>
    fileResponse(folder + new URL(request.url).pathname, { status: 200 });
  await withAsk({ fetch }, async (ask) => {
    for (const name of ["/", "/missing", "/fifo", "/large.txt/below", `/${"n".repeat(300)}`]) {
      const { status, body } = await ask(name);
      assert.equal([status, body], [404, "Not Found\n"], name);
    }
    assert.is((await ask("/large.txt")).status, 200);
  });
});

test("middleware that wraps the response leaves the file what it is", async () => {
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    context.res.headers.set("x-after", context.res.headers.get("content-type") ?? "");
  });
  app.use("/wrapped", async (context, next) => {
    await next();
    const { body, headers } = context.res;
    const type = headers.get("content-type") ?? "";
    context.res = new Response(body, { headers: { "x-own": "1", "content-type": type } });
  });
  app.get("/*", () => fileResponse(path));
  const other = new H3();
  other.use(async (_event, next) => {
    const given = (await next()) as Response;
    const response = new Response(given.body, given);
    response.headers.set("x-after", given.headers.get("content-type") ?? "");
    return response;
  });
  other.get("/", () => fileResponse(path));
  for (const { fetch } of [app, other]) {
    await withAsk({ fetch: fetch as never }, async (ask) => {
      for (const target of fetch === other.fetch ? ["/"] : ["/", "/wrapped"]) {
        const { fields, body } = await ask(target);
        assert.is(fields["x-after"], "text/plain; charset=utf-8");
        assert.is(fields["x-own"], target === "/" ? undefined : "1");
        assert.is(fields["content-length"], String(large.length));
        assert.ok(body === large.toString("latin1"));
      }
    });
  }
});

const NodeResponse = globalThis.Response;

const kernel = ["/proc/version", "/sys/kernel/uevent_seqnum", "/proc/kallsyms"];
const made = kernel.filter((name) => existsSync(name));
if (made.length === 0) {
  process.stdout.write(`skipped: files that the kernel makes: there is none of ${kernel.join()}\n`);
}

test("a file whose size is not that of its content is sent as it is read", async () => {
  const sparse = `${folder}/sparse`;
  writeFileSync(sparse, "");
  truncateSync(sparse, 1000);
  const fetch = (request: Request): Response => fileResponse(new URL(request.url).pathname);
  await withAsk({ fetch }, async (ask) => {
    for (const name of made) {
      const content = readFileSync(name, "latin1");
      const { status, fields, body } = await ask(name, "Range: bytes=0-1\n");
      assert.equal([status, fields["etag"]], [200, undefined], name);
      const isChunked = fields["transfer-encoding"] === "chunked";
      const text = isChunked ? body.replace(/(^|\r\n)[0-9a-f]+\r\n/g, "") : body;
      assert.is(isChunked ? text.trimEnd() : text, isChunked ? content.trimEnd() : content, name);
      const head = await ask(name, "", "HEAD");
      assert.is(head.fields["content-length"], fields["content-length"], name);
    }
    // Its size is right, though it has no blocks either.
    const part = await ask(sparse, "Range: bytes=0-1,998-\n");
    assert.equal([part.status, part.fields["accept-ranges"]], [206, "bytes"]);
    assert.is((await ask(sparse)).fields["content-length"], "1000");
    assert.is((await ask(`${folder}/empty.bin`)).fields["content-length"], "0");
  });
});

test("a response that was cloned, or wrapped in another, keeps what its body is", async () => {
  const bodies: Record<string, () => Response | Promise<Response>> = {
    file: () => fileResponse(path, { headers: { "x-a": "1" } }),
    blob: async () => new Response(await openAsBlob(path), { headers: { "x-a": "1" } }),
    text: () => new Response(large.toString(), { headers: { "x-a": "1" } }),
    bytes: () => new Response(large, { headers: { "x-a": "1" } }),
  };
  const wrapped = (Kind: typeof Response, given: Response): Response => {
    const headers = new Headers(given.headers);
    headers.append("set-cookie", "a=1");
    headers.append("set-cookie", "b=2");
    return new Kind(given.body, { status: given.status, headers });
  };
  const ways: Record<string, (given: Response) => Response> = {
    looked: (given) => (given.body === null ? new Response("no body") : given),
    clone: (given) => given.clone(),
    cloned(given) {
      given.clone();
      return given;
    },
    again: (given) => wrapped(Response, wrapped(Response, given).clone()).clone(),
    ours: (given) => wrapped(Response, given),
    nodes: (given) => wrapped(NodeResponse, given),
    plain: (given) => new Response(given.body, given),
  };
  const errors: unknown[] = [];
  const fetch = async (request: Request): Promise<Response> => {
    const [, body, way] = new URL(request.url).pathname.split("/");
    return ways[way!]!(await bodies[body!]!());
  };
  await withAsk({ fetch, onError: (error) => void errors.push(error) }, async (ask) => {
    for (const body of Object.keys(bodies)) {
      const { type } = await ask(`/${body}/clone`).then(({ fields }) => ({
        type: fields["content-type"],
      }));
      for (const way of Object.keys(ways)) {
        const name = `/${body}/${way}`;
        for (const method of ["GET", "HEAD"]) {
          const { status, fields, body: got } = await ask(name, "", method);
          assert.equal([status, fields["x-a"], fields["content-type"]], [200, "1", type], name);
          assert.is(fields["content-length"], String(large.length), `${method} ${name}`);
          assert.is(fields["transfer-encoding"], undefined, `${method} ${name}`);
          const expected = method === "HEAD" ? "" : large.toString("latin1");
          assert.ok(got === expected, `${name}: ${got.length} bytes`);
        }
        if (body !== "file") continue;
        const part = await ask(name, "Range: bytes=3-5\n");
        assert.equal([part.status, part.body, part.fields["x-a"]], [206, "345", "1"], name);
      }
    }
  });
  assert.equal(errors, []);
});

test("a clone and its model are read apart, and have headers of their own", async () => {
  for (const made of [
    () => fileResponse(path, { status: 203, statusText: "own" }),
    () => new Response(large, { status: 203, statusText: "own" }),
    () => new Response(large.toString(), { status: 203, statusText: "own" }),
    () => new Response(new ReadableStream({ start: (end) => end.close() }), { status: 203 }),
    () => new Response(null, { status: 203 }),
  ]) {
    const [first, unread] = [made(), made()];
    const second = first.clone();
    assert.instance(second, Response);
    first.headers.set("x-a", "first");
    const expected = await unread.text();
    assert.equal([first.headers.get("x-a"), second.headers.get("x-a")], ["first", null]);
    assert.equal([second.status, second.statusText], [203, unread.statusText]);
    assert.is(second.headers.get("content-type"), unread.headers.get("content-type"));
    assert.ok((await first.text()) === expected);
    assert.equal(
      [first.bodyUsed, second.bodyUsed],
      [expected !== "" || first.body !== null, false],
    );
    assert.ok((await second.text()) === expected);
    if (second.body === null) continue;
    const error = await second.text().catch((reason: unknown) => reason);
    assert.instance(error, TypeError);
    assert.throws(() => second.clone(), TypeError);
  }
});

test("a stream that something was read of is not sent as if it were whole", async () => {
  const codes: unknown[] = [];
  const read: ReadableStream[] = [];
  const fetch = async (request: Request): Promise<Response> => {
    const given = fileResponse(path);
    const body = given.body!;
    const response = new Response(body, given);
    const reader = body.getReader();
    if (request.url.endsWith("/read")) {
      await reader.read();
      read.push(body);
    }
    if (!request.url.endsWith("/locked")) reader.releaseLock();
    return response;
  };
  const onError = (error: unknown): void => void codes.push((error as Error).name);
  await withAsk({ fetch, onError: onError as () => undefined }, async (ask) => {
    assert.is((await ask("/looked")).fields["content-length"], String(large.length));
    assert.is((await ask("/read")).status, 500);
    assert.is((await ask("/locked")).status, 500);
  });
  for (const stream of read) await stream.cancel();
  assert.equal(codes, ["HttpError", "TypeError"]);
});

test("a path that no file can have is not found", async () => {
  const errors: unknown[] = [];
  const fetch = (request: Request): Response =>
    fileResponse(folder + decodeURIComponent(new URL(request.url).pathname));
  await withAsk({ fetch, onError: (error) => void errors.push(error) }, async (ask) => {
    for (const name of ["/none", "/large.txt%00", "/%00", "/large.txt/x", `/${"a".repeat(300)}`]) {
      const { status, body } = await ask(name);
      assert.equal([name, status, body], [name, 404, "Not Found\n"]);
    }
  });
  assert.equal(errors, []);
});

test("what takes the place of a file before it is opened is not found", async () => {
  await using io = await IO.open();
  const real = io.stat.bind(io);
  const replaced = `${folder}/replaced`;
  let place: () => void = () => undefined;
  // Between the two calls of the server anything may happen.
  io.stat = (async (...given: Parameters<typeof real>) => {
    const stats = await real(...given);
    rmSync(replaced);
    place();
    return stats;
  }) as typeof real;
  const others = [() => mkdirSync(replaced), () => execFileSync("mkfifo", [replaced])];
  await withAsk({ io, fetch: () => fileResponse(replaced) }, async (ask) => {
    for (const other of [...others, () => undefined]) {
      writeFileSync(replaced, "here");
      place = other;
      const { status, body } = await ask("/");
      assert.equal([status, body], [404, "Not Found\n"]);
      rmSync(replaced, { recursive: true, force: true });
    }
  });
});

test("no file stays open, whatever its client does, and a shorter one breaks it off", async () => {
  const shrinking = `${folder}/shrinks`;
  writeFileSync(shrinking, large);
  const huge = `${folder}/huge`;
  writeFileSync(huge, "");
  truncateSync(huge, 1024 * 1024 * 1024);
  const codes: unknown[] = [];
  const options: ServeOptions = {
    onError: (error) => void codes.push((error as HttpError).code),
    fetch: (request) => fileResponse(request.url.endsWith("/huge") ? huge : shrinking),
  };
  await withServer(options, async (server, port) => {
    const rounds = async (count: number): Promise<void> => {
      for (let round = 0; round < count; round++) {
        truncateSync(huge, 1024 * 1024 * 1024);
        using client = new Client(port);
        client.send(get("/huge"));
        await client.until(() => client.received.length > 0);
        if (round % 2 === 0) client.socket.destroy();
        else truncateSync(huge, 1000);
        await client.ended();
      }
      while (server.connections > 0) await turn();
    };
    await rounds(4);
    const before = descriptors();
    await rounds(16);
    // The engine may have opened a pipe or a poller of its own meanwhile.
    while (descriptors() > before + 8) await turn();
    assert.equal([...new Set(codes)], ["ERR_HTTP_BODY_SHORT"]);
    using last = new Client(port);
    assert.is((await last.send(get("/")).answer()).status, 200);
  });
});

test.run();
