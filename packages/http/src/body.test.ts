// The body of a request, by every way to read it.

import { AsyncLocalStorage } from "node:async_hooks";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client, get, turn, withServer } from "./client.test.support.js";
import type { Exchange, HttpError } from "./index.js";

const test = suite("body");
const codeOf = (error: unknown): string => (error as HttpError).code;

/** Bytes that tell where they belong. */
function bytesOf(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 7 + (at >> 8) * 13 + seed * 31) & 0xff;
  return bytes;
}

function head(path: string, fields: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n`;
}

function withLength(path: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(head(path, `Content-Length: ${body.length}`)), body]);
}

function inChunks(path: string, body: Buffer, chunkBytes: number): Buffer {
  const parts: Buffer[] = [Buffer.from(head(path, "Transfer-Encoding: chunked"))];
  for (let at = 0; at < body.length; at += chunkBytes) {
    const chunk = body.subarray(at, at + chunkBytes);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}

type Reader = (one: Exchange) => Promise<Uint8Array>;

const readers: Record<string, Reader> = {
  bytes: (one) => one.body.bytes(),
  text: async (one) => Buffer.from(await one.body.text(), "latin1"),
  async borrowed(one) {
    const copies: Buffer[] = [];
    await one.body.forEachChunk((chunk) => copies.push(Buffer.from(chunk)));
    return Buffer.concat(copies);
  },
  async pieces(one) {
    const pieces: Uint8Array[] = [];
    for await (const piece of one.body) pieces.push(piece);
    return Buffer.concat(pieces);
  },
  async lateBytes(one) {
    for (let turns = 0; turns < 5; turns++) await turn();
    return one.body.bytes();
  },
  async firstAndRest(one) {
    const first = (await one.body.next()).value ?? new Uint8Array(0);
    for (let turns = 0; turns < 5; turns++) await turn();
    return Buffer.concat([first, await one.body.bytes()]);
  },
};

/** Answers with what it has read. */
const echo = async (one: Exchange): Promise<void> => {
  const bytes = await readers[one.path.slice(1)]!(one);
  one.respond(200, null, bytes);
};

const sizes = [0, 1, 1000, 16 * 1024, 65_535, 65_536, 65_537, 700_000];

test("every way to read gives what was sent, whatever comes on other connections", async () => {
  await withServer({ request: echo }, async (_server, port) => {
    const one = async (name: string, seed: number): Promise<void> => {
      using client = new Client(port);
      for (const [index, size] of sizes.entries()) {
        // Each byte of a text of ASCII is one of UTF-8.
        const body = bytesOf(size, seed + index).map((byte) =>
          name === "text" ? byte & 0x7f : byte,
        );
        const bytes = Buffer.from(body);
        for (const sent of [withLength(`/${name}`, bytes), inChunks(`/${name}`, bytes, 3000)]) {
          client.sendBytes(sent);
          const answer = Buffer.from((await client.answer()).body, "latin1");
          assert.ok(answer.equals(bytes), `${name}, ${size} bytes: ${answer.length} came back`);
        }
      }
    };
    await Promise.all(Object.keys(readers).map((name, index) => one(name, 100 * index)));
  });
});

test("texts that are read at once are each their own, also those that fail within", async () => {
  const codes: string[] = [];
  const request = async (one: Exchange): Promise<void> => {
    const text = await one.body.text(70_000).catch((error: unknown) => {
      codes.push(codeOf(error));
      throw error;
    });
    one.respond(200, null, text);
  };
  await withServer({ request, onError: () => undefined }, async (server, port) => {
    // More than there is memory of the server's own for, all of them begun and none complete.
    const clients = Array.from({ length: 80 }, () => new Client(port));
    const letter = (index: number): string => String.fromCharCode(0x30 + index);
    const bodies = clients.map((_, index) =>
      Buffer.from(letter(index).repeat(60_000 + 50 * index)),
    );
    for (const [index, client] of clients.entries()) {
      const all = withLength("/", bodies[index]!);
      client.sendBytes(all.subarray(0, all.length - 1));
    }
    while (server.metrics.receivedBytes < 80 * 60_000) await turn();
    for (const [index, client] of clients.entries()) {
      if (index % 4 === 0) client.socket.destroy();
      else client.sendBytes(bodies[index]!.subarray(-1));
    }
    for (const [index, client] of clients.entries()) {
      if (index % 4 === 0) continue;
      const { body } = await client.answer();
      assert.ok(body === bodies[index]!.toString(), `client ${index}: ${body.slice(0, 20)}`);
    }
    // One that is too long for its reader, and others in the memory that it has left.
    for (let round = 0; round < 40; round++) {
      const client = clients[1 + 4 * (round % 10)]!;
      const long = inChunks("/", Buffer.alloc(70_001, 0x78), 30_000);
      assert.is((await client.sendBytes(long).answer()).status, 500);
      const short = withLength("/", Buffer.from(`short ${round}`));
      assert.is((await client.sendBytes(short).answer()).body, `short ${round}`);
    }
    for (const client of clients) client.socket.destroy();
    while (server.connections > 0) await turn();
  });
  const aborted = codes.filter((code) => code === "ERR_HTTP_ABORTED");
  assert.is(aborted.length, 20);
  assert.is(codes.length, 60);
});

test("what the callback of a reading throws ends it, and the connection goes on", async () => {
  const request = async (one: Exchange): Promise<void> => {
    const failure = new Error("enough");
    let calls = 0;
    const reading = one.body.forEachChunk(() => {
      calls++;
      throw failure;
    });
    const thrown = await reading.then(
      () => null,
      (error: unknown) => error,
    );
    if (one.hasBody) assert.is(thrown, failure);
    one.respond(200, null, String(calls));
  };
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    client.sendBytes(withLength("/", bytesOf(300_000, 1)));
    client.send(get("/"));
    assert.is((await client.answer()).body, "1");
    assert.is((await client.answer()).body, "0");
  });
});

test("a body that is longer than asked for is refused, announced or not", async () => {
  const request = async (one: Exchange): Promise<void> => {
    const code = await one.body.bytes(10).then(({ length }) => String(length), codeOf);
    one.respond(200, null, code);
  };
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    for (const [length, expected] of [
      [10, "10"],
      [11, "ERR_HTTP_BODY_SIZE"],
      [200_000, "ERR_HTTP_BODY_SIZE"],
    ] as const) {
      const body = bytesOf(length, 2);
      for (const sent of [withLength("/", body), inChunks("/", body, 4)]) {
        assert.is((await client.sendBytes(sent).answer()).body, expected, `${length} bytes`);
      }
    }
  });
});

test("a limit that is no number of bytes is refused, since it would be none", async () => {
  const codes: string[] = [];
  const request = async (one: Exchange): Promise<void> => {
    for (const wrong of [Number.NaN, -1, "4", [], {}] as number[]) {
      for (const reading of [one.body.bytes(wrong), one.body.text(wrong)]) {
        codes.push(await reading.then(() => `${String(wrong)} was taken`, codeOf));
      }
    }
    one.respond(200, null, await one.body.text(one.path === "/" ? Infinity : (null as never)));
  };
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    for (const path of ["/", "/null"]) {
      client.sendBytes(withLength(path, Buffer.from("body")));
      assert.is((await client.answer()).body, "body");
    }
  });
  assert.equal(codes, Array(20).fill("ERR_HTTP_LENGTH"));
});

test("a body is read by one reader at a time", async () => {
  const request = async (one: Exchange): Promise<void> => {
    const whole = one.body.bytes();
    const codes = [one.body.next(), one.body.bytes(), one.body.forEachChunk(() => undefined)];
    const refused = await Promise.all(codes.map((code) => code.then(() => "", codeOf)));
    one.respond(200, null, `${refused.join()} ${(await whole).length}`);
  };
  await withServer({ request }, async (_server, port) => {
    using client = new Client(port);
    client.send("POST / HTTP/1.1\nHost: a\nContent-Length: 4\n\n");
    await turn();
    const { body } = await client.send("four").answer();
    assert.is(body, `${new Array(3).fill("ERR_HTTP_BODY_READ").join()} 4`);
  });
});

test("a client that goes within the body ends each reading", async () => {
  const codes: string[] = [];
  const request = (one: Exchange): Promise<void> =>
    readers[one.path.slice(1)]!(one).then(
      () => undefined,
      (error: unknown) => {
        codes.push(codeOf(error));
        throw error;
      },
    );
  await withServer({ request }, async (_server, port) => {
    for (const name of Object.keys(readers)) {
      const before = codes.length;
      using client = new Client(port);
      client.sendBytes(withLength(`/${name}`, bytesOf(100_000, 3)).subarray(0, 50_000));
      client.socket.end();
      while (codes.length === before) await turn();
      assert.is(codes.at(-1), "ERR_HTTP_ABORTED", name);
    }
  });
});

/** Readers that begin before their answer, with what each makes of a body. */
const fetchReaders: Record<string, (request: Request) => Promise<number>> = {
  buffer: async (request) => (await request.arrayBuffer()).byteLength,
  async pipe(request) {
    let bytes = 0;
    const write = (piece: Uint8Array): void => {
      bytes += piece.length;
    };
    await request.body!.pipeTo(new WritableStream({ write }));
    return bytes;
  },
};

test("what is read behind the answer is whole, or fails", async () => {
  const seen: unknown[] = [];
  const keep = (reading: Promise<number>): void =>
    void reading.then(
      (bytes) => seen.push(bytes),
      (error: unknown) => seen.push(codeOf(error)),
    );
  const length = async (one: Exchange, name: string) => (await readers[name]!(one)).length;
  let go: () => void = () => undefined;
  const gone = (): Promise<void> =>
    new Promise((resolve) => {
      go = resolve;
    });
  const request = (one: Exchange): void => {
    const [, when, name = ""] = one.path.split("/");
    if (when === "before") keep(length(one, name));
    one.respond(200, null, one.path);
    if (when === "behind") keep(gone().then(() => length(one, name)));
    if (when === "slow") {
      // It takes a piece, and the next one when the next request was answered.
      const { body } = one;
      keep(
        body
          .next()
          .then(gone)
          .then(() => body.bytes())
          .then(({ length }) => length),
      );
    }
  };
  const fetch = (given: Request): Response => {
    keep(fetchReaders[new URL(given.url).pathname.slice(1)]!(given));
    return new Response("here");
  };
  const whole = bytesOf(300_000, 5);
  // Each is answered before its body ends, and the next request is behind that.
  const ask = async (port: number, path: string, expected: unknown): Promise<void> => {
    for (const sent of [withLength(path, whole), inChunks(path, whole, 7000)]) {
      using client = new Client(port);
      client.sendBytes(sent.subarray(0, 10_000));
      assert.is((await client.answer()).status, 200);
      client.sendBytes(sent.subarray(10_000)).send(get("/none"));
      if (expected === whole.length) while (seen.length === 0) await turn();
      assert.is((await client.answer()).status, 200);
      go();
      while (seen.length === 0) await turn();
      assert.equal(seen.splice(0), [expected], path);
    }
  };
  await withServer({ request }, async (_server, port) => {
    for (const name of ["bytes", "borrowed", "pieces"]) {
      await ask(port, `/before/${name}`, whole.length);
    }
    for (const name of Object.keys(readers)) {
      await ask(port, `/behind/${name}`, "ERR_HTTP_BODY_READ");
    }
    await ask(port, "/slow", "ERR_HTTP_BODY_READ");
  });
  const answer = (given: Request): Response =>
    given.url.endsWith("/none") ? new Response("next") : fetch(given);
  await withServer({ fetch: answer }, async (_server, port) => {
    await ask(port, "/buffer", whole.length);
    await ask(port, "/pipe", whole.length);
  });
});

test("a client that goes behind the answer ends what is read of its body", async () => {
  const codes: string[] = [];
  const request = (one: Exchange): void => {
    one.body.bytes().catch((error: unknown) => codes.push(codeOf(error)));
    one.respond(200);
  };
  const limits = { bodyTimeoutMs: 200 };
  await withServer({ request, limits }, async (server, port) => {
    for (const leaves of ["end", "resetAndDestroy", "waits"] as const) {
      using client = new Client(port);
      client.sendBytes(withLength("/", bytesOf(1000, 6)).subarray(0, 500));
      assert.is((await client.answer()).status, 200);
      if (leaves !== "waits") client.socket[leaves]();
      await client.ended();
    }
    while (server.connections > 0) await turn();
    assert.equal(codes, ["ERR_HTTP_ABORTED", "ERR_HTTP_ABORTED", "ERR_HTTP_BODY_TIMEOUT"]);
  });
});

test("a slow reader behind the answer gets all, as long as it takes some", async () => {
  const whole = bytesOf(300_000, 8);
  let taken = 0;
  let reading: Promise<Uint8Array> = Promise.resolve(whole);
  const request = (one: Exchange): void => {
    const { body } = one;
    reading = (async () => {
      const pieces: Uint8Array[] = [];
      // More than two looks at it, in which more waits than the server has room for.
      const end = performance.now() + 3000;
      for (let next = performance.now(); next < end; ) {
        const { value } = await body.next();
        pieces.push(value!);
        taken++;
        next = performance.now() + 100;
        while (performance.now() < next) await turn();
      }
      return Buffer.concat([...pieces, await body.bytes()]);
    })();
    one.respond(200);
  };
  await withServer({ request }, async (server, port) => {
    using client = new Client(port);
    const bytes = withLength("/", whole);
    const small = 110_000;
    // In pieces of a few bytes, each of which the reader has to take.
    for (let at = 0; at < small; at += 1000) {
      client.sendBytes(bytes.subarray(at, at + 1000));
      while (server.metrics.receivedBytes < at + 1000) await turn();
    }
    client.sendBytes(bytes.subarray(small));
    const all = await reading;
    assert.ok(Buffer.from(all).equals(whole), `${all.length} bytes after ${taken} pieces`);
  });
});

test("a body that is left full behind the answer does not keep the connection", async () => {
  const request = async (one: Exchange): Promise<void> => {
    await one.body.next();
    one.respond(200);
  };
  const limits = { bodyTimeoutMs: 200 };
  await withServer({ request, limits }, async (_server, port) => {
    const bytes = withLength("/", bytesOf(1_000_000, 7));
    // So much that nothing more is taken of it, and nothing stands behind that.
    using client = new Client(port);
    client.sendBytes(bytes.subarray(0, 1000));
    assert.is((await client.answer()).status, 200);
    client.sendBytes(bytes.subarray(1000, 1000 + 64 * 1024));
    await client.ended();
  });
});

/** How a handler leaves a body that it has begun to read. */
const leavers: Record<string, (one: Exchange) => Promise<unknown>> = {
  return: async ({ body }) => {
    await body.next();
    return body.return();
  },
  throw: ({ body }) => {
    const left = (): void => {
      throw new Error("left");
    };
    return body.forEachChunk(left).catch(() => undefined);
  },
};

test("a body that is left behind the answer is not taken without an end", async () => {
  const request = async (one: Exchange): Promise<void> => {
    const leave = leavers[one.path.slice(1)]!;
    await one.body.next();
    const leaving = leave(one);
    one.respond(200);
    await leaving;
  };
  const chunk = Buffer.concat([Buffer.from("8000\r\n"), Buffer.alloc(0x8000), Buffer.from("\r\n")]);
  await withServer({ request }, async (server, port) => {
    for (const name of Object.keys(leavers)) {
      const before = server.metrics.receivedBytes;
      using client = new Client(port);
      client.send(`POST /${name} HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n`);
      client.sendBytes(chunk);
      assert.is((await client.answer()).status, 200);
      const taken = (): number => server.metrics.receivedBytes - before;
      for (; !client.closed && taken() < 64 * 1024 * 1024; await turn()) {
        if (client.socket.writableLength === 0) client.sendBytes(chunk);
      }
      assert.ok(client.closed, `${name}: the server has taken ${taken()} bytes`);
    }
  });
});

test("a reader that has asked for nothing keeps no client that waits for a word", async () => {
  const fetch = (given: Request): Response => {
    given.body!.getReader();
    return new Response("no", { status: 401 });
  };
  await withServer({ fetch, limits: { bodyTimeoutMs: 500 } }, async (server, port) => {
    using client = new Client(port);
    client.send("POST / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 5\n\n");
    assert.match(await client.ended(), /^HTTP\/1\.1 401 /);
    assert.is(server.metrics.requestsRefused, 0, "the body was waited for");
  });
});

test("the callback of a reading runs in the context of the handler", async () => {
  const storage = new AsyncLocalStorage<string>();
  const request = (one: Exchange): Promise<void> =>
    storage.run(one.path, async () => {
      const seen = new Set<string | undefined>();
      await one.body.forEachChunk(() => seen.add(storage.getStore()));
      one.respond(200, null, [...seen].join());
    });
  await withServer({ request }, async (_server, port) => {
    using one = new Client(port);
    using two = new Client(port);
    const body = bytesOf(100_000, 4);
    const both = [
      { client: one, bytes: withLength("/1", body) },
      { client: two, bytes: withLength("/2", body) },
    ];
    for (const { client, bytes } of both) client.sendBytes(bytes.subarray(0, 60_000));
    await turn();
    for (const { client, bytes } of both) client.sendBytes(bytes.subarray(60_000));
    assert.is((await one.answer()).body, "/1");
    assert.is((await two.answer()).body, "/2");
  });
});

test.run();
