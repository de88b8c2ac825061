// Hostile clients, each in several ways: at once, byte by byte, and behind other requests. The
// statuses are always the same, nothing behind a refused request is answered, no answer has
// anything of another request, and what the server keeps does not grow.

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client, turn, withServer } from "./client.test.support.js";
import type { Exchange, RequestHandler, ServeOptions } from "./index.js";

const test = suite("hostile clients");
const host = "Host: a\n";
const get = (target: string, more = host): string => `GET ${target} HTTP/1.1\n${more}\n`;
const post = (more: string, body = ""): string => `POST /post HTTP/1.1\n${host}${more}\n${body}`;
const chunked = (body: string): string => post("Transfer-Encoding: chunked\n", body);
/** Behind each of them: it is answered exactly when the connection is still one of requests. */
const last = get("/last", `${host}Connection: close\n`);

/** What is sent, and the statuses that come: a last one of 200 says that the connection goes on. */
const HOSTILE: Record<string, [sent: string, ...statuses: number[]]> = {
  // The target, and the host that it names.
  "a URL with another host": [get("http://b/c?d"), 200, 200],
  "a URL with a user": [get("http://user@b/"), 400],
  "a URL of another scheme": [get("ftp://b/"), 400],
  "a URL without a host": [get("http:///c"), 400],
  "a URL does not replace the Host": [get("http://b/", ""), 400],
  "an asterisk": [`OPTIONS * HTTP/1.1\n${host}\n`, 200, 200],
  "no slash": [get("path"), 400],
  "a fragment": [get("/a#b"), 400],
  "a blank in the target": [get("/a b"), 400],
  "a zero in the target": [get("/a\0b"), 400],
  "two hosts": [get("/", `${host}${host}`), 400],
  "two hosts in one": [get("/", "Host: a, b\n"), 400],
  "a host with a path": [get("/", "Host: a/b\n"), 400],
  "a host with a user": [get("/", "Host: u@a\n"), 400],
  "an empty host": [get("/", "Host:\n"), 200, 200],
  "no host": [get("/", ""), 400],
  // Lines and names.
  "a blank before the colon": [get("/", `${host}X : y\n`), 400],
  "a name with a zero": [get("/", `${host}X\0: y\n`), 400],
  "a name beyond ASCII": [get("/", `${host}X\xe9: y\n`), 400],
  "an empty name": [get("/", `${host}: y\n`), 400],
  "a folded line": [get("/", `${host}X: y\n z\n`), 400],
  "a line of no field": [get("/", `${host}nothing\n`), 400],
  "a value with a zero": [get("/", `${host}X: y\0z\n`), 400],
  "a value with a bare CR": [get("/", `${host}X: y\rZ: a\n`), 400],
  "a method in lower case": [`get / HTTP/1.1\n${host}\n`, 400],
  "another version": [`GET / HTTP/1.2\n${host}\n`, 505],
  "the preface of HTTP/2": ["PRI * HTTP/2.0\n\nSM\n\n", 501],
  "a version without a number": [`GET / HTTP/1.\n${host}\n`, 400],
  // What frames a body.
  "two lengths that differ": [post("Content-Length: 1\nContent-Length: 2\n", "ab"), 400],
  "two lengths that are the same": [post("Content-Length: 1\nContent-Length: 1\n", "a"), 400],
  "a list of lengths": [post("Content-Length: 1, 1\n", "a"), 400],
  "a negative length": [post("Content-Length: -1\n", "a"), 400],
  "a length with a sign": [post("Content-Length: +1\n", "a"), 400],
  "a length in hexadecimal": [post("Content-Length: 0x1\n", "a"), 400],
  "an empty length": [post("Content-Length:\n"), 400],
  "a length beyond 2^53": [post("Content-Length: 9007199254740993\n", "a"), 413],
  "a length beyond 2^64": [post("Content-Length: 18446744073709551617\n", "a"), 413],
  "both lengths": [post("Content-Length: 3\nTransfer-Encoding: chunked\n", "0\n\n"), 400],
  "both, the other first": [post("Transfer-Encoding: chunked\nContent-Length: 3\n", "0\n\n"), 400],
  "an unknown coding": [post("Transfer-Encoding: xchunked\n", "0\n\n"), 501],
  "a coding behind chunked": [post("Transfer-Encoding: chunked, identity\n", "0\n\n"), 501],
  "a coding before chunked": [post("Transfer-Encoding: gzip, chunked\n", "0\n\n"), 501],
  "chunked twice": [post("Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n", "0\n\n"), 501],
  "chunked in quotes": [post('Transfer-Encoding: "chunked"\n', "0\n\n"), 501],
  "chunked with a tab": [post("Transfer-Encoding: chunked\t\n", "0\n\n"), 400],
  "chunked in HTTP/1.0": ["POST / HTTP/1.0\nTransfer-Encoding: chunked\n\n0\n\n", 400],
  "a negative chunk": [chunked("-1\na\n0\n\n"), 400],
  "a chunk in 0x": [chunked("0x1\na\n0\n\n"), 400],
  "a chunk beyond 2^53": [chunked("fffffffffffffffff\na\n0\n\n"), 413],
  "a chunk that is longer than it says": [chunked("1\nab\n0\n\n"), 400],
  "a chunk with a bare line end": [chunked("1;a\rb\na\n0\n\n"), 400],
  "a trailer that frames": [chunked("0\nContent-Length: 5\n\n"), 400],
  "a trailer that routes": [chunked("0\nHost: b\n\n"), 400],
  "a trailer that is folded": [chunked("0\nX: y\n z\n\n"), 400],
  "a trailer": [chunked("1\na\n0\nX: y\n\n"), 200, 200],
  // What asks for more than an answer.
  "an unknown expectation": [post("Expect: 200-ok\nContent-Length: 1\n", "a"), 417],
  "two expectations": [post("Expect: 100-continue, more\nContent-Length: 1\n", "a"), 417],
  "an expectation of HTTP/1.0": ["GET / HTTP/1.0\nExpect: 100-continue\n\n", 200],
  "CONNECT without a port": [`CONNECT a HTTP/1.1\n${host}\n`, 400],
  "CONNECT with a path": [`CONNECT /a HTTP/1.1\n${host}\n`, 400],
  "CONNECT with a body": [`CONNECT a:1 HTTP/1.1\n${host}Content-Length: 1\n\na`, 400],
  "CONNECT, and requests behind it": [`CONNECT a:1 HTTP/1.1\n${host}\n${get("/inner")}`, 405],
  "an upgrade that is ignored": [get("/", `${host}Connection: upgrade\nUpgrade: x\n`), 200, 200],
  "an upgrade to nothing": [get("/", `${host}Connection: upgrade\nUpgrade:\n`), 200, 200],
  TRACE: [`TRACE / HTTP/1.1\n${host}\n`, 200, 200],
  // Limits.
  "a target that is too long": [get(`/${"a".repeat(2000)}`), 414],
  "a field that is too long": [get("/", `${host}X: ${"a".repeat(5000)}\n`), 431],
  "many fields": [get("/", `${host}${"X: y\n".repeat(30)}`), 431],
  "many blank lines": ["\n".repeat(3000), 431],
  "a body that is too long": [post("Content-Length: 20000\n"), 413],
  "chunks that are too long": [chunked(`4e20\n${"a".repeat(20_000)}\n0\n\n`), 413],
  "much of an extension": [chunked(`1;${"a".repeat(20_000)}\na\n0\n\n`), 413],
  "many fields in a trailer": [chunked(`0\n${"X: y\n".repeat(30)}\n`), 431],
};

const limits = { headBytes: 4096, targetBytes: 1000, fields: 20, bodyBytes: 10_000 };

/** Answers with the number of the request on this server, so that none can pass for another. */
function numbered(): { options: ServeOptions; seen: string[] } {
  const seen: string[] = [];
  const request = async (one: Exchange): Promise<void> => {
    const { target } = one;
    const number = seen.push(target) - 1;
    await one.body.bytes();
    one.respond(200, { "x-number": String(number) }, target);
  };
  return { options: { request, limits, onError: () => undefined }, seen };
}

/** The answers in what came on a connection. Each body is the target, which has no line end. */
function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 ([0-9]{3}) /g)].map(([, status]) => Number(status));
}

type Way = (client: Client, sent: string) => Promise<void>;

const WAYS: Record<string, Way> = {
  async "at once"(client, sent) {
    client.send(sent + last);
  },
  async "byte by byte"(client, sent) {
    const all = Buffer.from((sent + last).replaceAll("\n", "\r\n"), "latin1");
    // So many bytes of a long one are sent together that there are 300 pieces.
    const step = Math.ceil(all.length / 300);
    for (let at = 0; at < all.length && !client.closed; at += step) {
      client.sendBytes(all.subarray(at, at + step));
      await turn();
    }
  },
  async "behind others"(client, sent) {
    client.send(get("/before") + chunked("1\na\n0\n\n") + sent + last);
  },
};

test("each has its status in whatever pieces it comes, and ends what it must end", async () => {
  const { options, seen } = numbered();
  await withServer(options, async (server, port) => {
    for (const [name, [sent, ...statuses]] of Object.entries(HOSTILE)) {
      for (const [way, send] of Object.entries(WAYS)) {
        using client = new Client(port);
        const from = seen.length;
        await send(client, sent);
        const all = await client.ended();
        const shown = `${name}, ${way}: ${JSON.stringify(all)}`;
        const before = way === "behind others" ? [200, 200] : [];
        assert.equal(statusesIn(all), [...before, ...statuses], shown);
        const goesOn = statuses.length > 1;
        assert.is(seen.slice(from).includes("/last"), goesOn, shown);
        assert.is(seen.includes("/inner"), false, shown);
        // Each answer is the one of its request, in the order of the requests.
        const answered = [
          ...all.matchAll(/x-number: ([0-9]+)[\s\S]*?\r\n\r\n([^\r\n]*?)(?=HTTP\/1|$)/g),
        ];
        for (const [, number, target] of answered) assert.is(seen[Number(number)], target, shown);
        const numbers = answered.map(([, number]) => Number(number));
        assert.equal(
          numbers,
          [...numbers].sort((one, other) => one - other),
          shown,
        );
      }
    }
    while (server.connections > 0) await turn();
  });
});

/** Handlers that give a body, or announce one, where the status or the method has none. */
const BODIES: Record<string, (one: Exchange, status: number) => unknown> = {
  respond: (one, status) => one.respond(status, { "content-length": "4" }, "body"),
  async pieces(one, status) {
    one.begin(status, null, 4);
    await one.write("bo");
    await one.write("dy");
    one.end();
  },
  async chunks(one, status) {
    one.begin(status);
    await one.write("body");
    one.end({ "x-trailer": "1" });
  },
  framed(one, status) {
    one.respond(status, { "transfer-encoding": "chunked", connection: "close" }, "body");
  },
  async raw(one, status) {
    const { body } = new Response("body");
    const pieces = body as unknown as AsyncIterable<Uint8Array>;
    one.begin(status);
    for await (const piece of pieces) await one.write(piece);
    one.end();
  },
};

test("a body that may not be there is not, and the next answer is", async () => {
  const request = (one: Exchange): unknown => {
    const [, name = "", status = ""] = one.path.split("/");
    return name === "last" ? one.respond(200, null, "next") : BODIES[name]!(one, Number(status));
  };
  await withServer({ request: request as RequestHandler }, async (_server, port) => {
    for (const name of Object.keys(BODIES)) {
      for (const [method, status] of [
        ["HEAD", 200],
        ["HEAD", 404],
        ["GET", 204],
        ["GET", 304],
        ["HEAD", 304],
      ] as const) {
        using client = new Client(port);
        client.send(`${method} /${name}/${status} HTTP/1.1\n${host}\n${last}`);
        const all = await client.ended();
        const shown = `${name}, ${method}, ${status}: ${JSON.stringify(all)}`;
        const [head, second, rest] = all.split(/(?<=\r\n\r\n)/);
        assert.match(head!, new RegExp(`^HTTP/1\\.1 ${status} `), shown);
        assert.not.match(head!, /transfer-encoding|connection: close/i, shown);
        // HEAD may say how long the answer of GET is; 204 and 304 of ours never do.
        if (method === "GET") assert.not.match(head!, /content-length/i, shown);
        assert.match(second!, /^HTTP\/1\.1 200 /, shown);
        assert.is(rest, "next", shown);
      }
    }
  });
});

test("nothing grows with them", async () => {
  const { options, seen } = numbered();
  await withServer(options, async (server, port) => {
    const round = async (): Promise<number> => {
      for (const [sent] of Object.values(HOSTILE)) {
        const clients = Array.from({ length: 4 }, () => new Client(port));
        for (const [index, client] of clients.entries()) {
          client.send(index % 2 === 0 ? sent + last : sent.slice(0, sent.length / 2));
          if (index % 2 !== 0) client.socket.end();
        }
        await Promise.all(clients.map((client) => client.ended()));
      }
      while (server.connections > 0) await turn();
      seen.length = 0;
      for (let left = 10; left > 0; left--) await turn();
      globalThis.gc!();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    // First until V8 has compiled what it will.
    for (let left = 6; left > 0; left--) await round();
    const before = await round();
    for (let left = 5; left > 0; left--) await round();
    const grownBytes = (await round()) - before;
    // A kept request of each of them would be more than 1,500 heads of at least 400 bytes.
    assert.ok(grownBytes < 400_000, `${grownBytes} bytes more after 6 rounds`);
  });
});

test.run();
