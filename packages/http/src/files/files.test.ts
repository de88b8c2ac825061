// A folder over HTTP: what is served of it, how, and what never is.

import { AsyncResource } from "node:async_hooks";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { IO } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client, calm, get, turn, withServer } from "../client.test.support.js";
import { type Exchange, files, type RequestHandler } from "../index.js";
import { type OpenFile, OpenFiles } from "./open_files.js";

const test = suite("files");
const folder = mkdtempSync(`${tmpdir()}/io-http-files-`);
const root = `${folder}/root`;
const large = Buffer.alloc(3 * 1024 * 1024);
for (let at = 0; at < large.length; at += 4) large.writeUInt32LE(at * 7, at);
const letters = "abcdefghijklmnopqrstuvwxyz";

mkdirSync(`${root}/sub/.hidden`, { recursive: true });
mkdirSync(`${root}/empty`);
mkdirSync(`${root}/q?x#y`);
writeFileSync(`${folder}/secret.txt`, "secret");
writeFileSync(`${root}/a.txt`, letters);
writeFileSync(`${root}/none`, "");
writeFileSync(`${root}/large.bin`, large);
writeFileSync(`${root}/app.js`, "plain");
writeFileSync(`${root}/app.js.br`, "brotli");
writeFileSync(`${root}/app.js.gz`, "gzip");
writeFileSync(`${root}/style.css`, "plain");
writeFileSync(`${root}/style.css.zst`, "zstandard");
writeFileSync(`${root}/sub/index.html`, "<p>");
writeFileSync(`${root}/.dot`, "dot");
writeFileSync(`${root}/sub/.hidden/a`, "hidden");
writeFileSync(`${root}/ä b%.txt`, "named");
symlinkSync("../secret.txt", `${root}/out.txt`);
symlinkSync("..", `${root}/up`);
symlinkSync("a.txt", `${root}/in.txt`);
symlinkSync(`${folder}/secret.txt`, `${root}/absolute-out.txt`);
symlinkSync(`${root}/a.txt`, `${root}/absolute-in.txt`);
symlinkSync(`${root}/up`, `${root}/absolute-up`);
test.after(() => rmSync(folder, { recursive: true }));

/** What the descriptors of this process lead to, where the system tells. */
function openPaths(): () => string[] {
  const folder = "/proc/self/fd";
  if (!existsSync(folder)) return () => [];
  return () =>
    readdirSync(folder).map((name) => {
      try {
        return readlinkSync(`${folder}/${name}`);
      } catch {
        return ""; // closed meanwhile
      }
    });
}

async function withFolder(use: (client: Client) => Promise<void>): Promise<void> {
  await withServer({ request: files(root), onError: () => undefined }, async (_server, port) => {
    using client = new Client(port);
    await use(client);
  });
}

test("files with their types, empty ones and large ones", async () => {
  await withFolder(async (client) => {
    const text = await client.send(get("/a.txt")).answer();
    assert.equal([text.status, text.body], [200, letters]);
    assert.is(text.fields["content-type"], "text/plain; charset=utf-8");
    assert.is((await client.send(get("/in.txt")).answer()).body, letters);
    assert.is((await client.send(get("/absolute-in.txt")).answer()).body, letters);
    const none = await client.send(get("/none")).answer();
    assert.equal([none.status, none.fields["content-length"]], [200, "0"]);
    assert.is(none.fields["content-type"], "application/octet-stream");
    for (let round = 0; round < 2; round++) {
      const { body } = await client.send(get("/large.bin")).answer();
      assert.ok(Buffer.from(body, "latin1").equals(large));
    }
    const head = await client.send("HEAD /large.bin HTTP/1.1\nHost: a\n\n").answer(true);
    assert.is(head.fields["content-length"], String(large.length));
    assert.is((await client.send(get("/%C3%A4%20b%25.txt")).answer()).body, "named");
  });
});

test("the head of an answer goes in one packet with the first bytes of its file", async () => {
  if (process.platform !== "linux") return; // others have no MSG_MORE
  const sizeBytes = 40_000; // more than is kept in memory, and less than a packet of loopback
  writeFileSync(`${root}/packet`, large.subarray(0, sizeBytes));
  await using io = await IO.open();
  await withServer({ request: files(root) }, async (_server, port) => {
    await using socket = await io.connect({ host: "127.0.0.1", port });
    // tcpi_data_segs_in of tcp(7)'s TCP_INFO
    const packets = () => io.ring.getOption(socket.descriptor, 6, 11, 160).readUInt32LE(152);
    const rounds = 20;
    const before = packets();
    for (let round = 0; round < rounds; round++) {
      await socket.sendAll(get("/packet").replaceAll("\n", "\r\n"));
      for (let received = 0; received < sizeBytes; ) {
        received += await socket.receive(new Uint8Array(2 * sizeBytes));
      }
    }
    // The system keeps a part of a packet for a while only, and this may be a busy machine.
    const count = packets() - before;
    assert.ok(count < 1.5 * rounds, `${count} packets for ${rounds} answers`);
  });
});

test("nothing outside of the folder, in any encoding or by any link", async () => {
  await withFolder(async (client) => {
    const paths = ["/../secret.txt", "/sub/../../secret.txt", "/%2e%2e/secret.txt", "/.."];
    paths.push("/..%2fsecret.txt", "/%2e%2e%2fsecret.txt", "/sub/%2E%2E/%2E%2E/secret.txt");
    paths.push(
      "/out.txt",
      "/up/secret.txt",
      "/up/root/a.txt",
      ...["/absolute-out.txt", "/absolute-up/secret.txt", "/absolute-up/root/a.txt"],
      "/..%5csecret.txt",
      "/%00",
      "/a.txt%00",
    );
    paths.push("/%c0%ae%c0%ae/secret.txt", "/%", "/.dot", "/%2edot", "/sub/.hidden/a", "/a.txt/");
    paths.push("/a.txt/b", "/nothing", `/${"a".repeat(300)}`, "/%252e%252e/secret.txt", "/empty/");
    for (const path of paths) {
      const { status, body } = await client.send(get(path)).answer();
      assert.equal([status, body], [404, "Not Found\n"], path);
    }
    const secret = `GET http://a/../secret.txt HTTP/1.1\nHost: a\n\n`;
    assert.is((await client.send(secret).answer()).status, 404);
    const post = "POST /a.txt HTTP/1.1\nHost: a\nContent-Length: 0\n\n";
    const { status, fields } = await client.send(post).answer();
    assert.equal([status, fields["allow"]], [405, "GET, HEAD"]);
  });
});

test("a folder has its index, under a path that ends with a slash", async () => {
  await withFolder(async (client) => {
    const moved = await client.send(get("/sub?x")).answer();
    assert.equal([moved.status, moved.fields["location"]], [301, "/sub/"]);
    assert.is((await client.send(get("/sub/")).answer()).body, "<p>");
    assert.is((await client.send(get("//sub")).answer()).fields["location"], "/sub/");
  });
});

test("one range and several", async () => {
  await withFolder(async (client) => {
    const ask = (range: string, more = "") =>
      client.send(get("/a.txt", `Range: ${range}\n${more}`)).answer();
    const parts: [string, string, string][] = [
      ["bytes=0-2", "abc", "bytes 0-2/26"],
      ["bytes=23-", "xyz", "bytes 23-25/26"],
      ["bytes=-2", "yz", "bytes 24-25/26"],
      ["bytes=24-99", "yz", "bytes 24-25/26"],
      ["bytes=-99", letters, "bytes 0-25/26"],
    ];
    for (const [range, body, content] of parts) {
      const answer = await ask(range);
      assert.equal([answer.status, answer.body], [206, body], range);
      assert.is(answer.fields["content-range"], content);
    }
    for (const range of ["bytes=26-", "bytes=99-100", "bytes=-0"]) {
      const answer = await ask(range);
      assert.equal([answer.status, answer.fields["content-range"]], [416, "bytes */26"], range);
    }
    for (const range of ["bytes=2-1", "bytes=a-", "lines=0-1", "bytes=-", "bytes=0x1-2"]) {
      assert.equal((await ask(range)).status, 200, range);
    }
    const many = await ask("bytes=0-1,25-,50-");
    assert.is(many.status, 206);
    const boundary = /boundary=(.*)$/.exec(many.fields["content-type"]!)![1]!;
    const pieces = many.body
      .split(`--${boundary}`)
      .map((piece) => piece.split("\r\n\r\n")[1]?.trim());
    assert.equal(pieces, [undefined, "ab", "z", undefined]);
    const version = (await client.send(get("/a.txt")).answer()).fields["etag"]!;
    assert.is((await ask("bytes=0-2", `If-Range: ${version}\n`)).status, 206);
    assert.is((await ask("bytes=0-2", `If-Range: W/${version}\n`)).status, 200);
    assert.is((await ask("bytes=0-2", 'If-Range: "other"\n')).status, 200);
    const huge = await client.send(get("/large.bin", "Range: bytes=1000000-2999999\n")).answer();
    assert.ok(Buffer.from(huge.body, "latin1").equals(large.subarray(1_000_000, 3_000_000)));
  });
});

test("conditions: versions and dates", async () => {
  await withFolder(async (client) => {
    const { fields } = await client.send(get("/a.txt")).answer();
    const { etag, "last-modified": date } = fields as Record<string, string>;
    const old = new Date(0).toUTCString();
    const cases: [string, number][] = [
      [`If-None-Match: ${etag}`, 304],
      [`If-None-Match: "x", W/${etag}`, 304],
      ["If-None-Match: *", 304],
      ['If-None-Match: "x"', 200],
      [`If-Modified-Since: ${date}`, 304],
      [`If-Modified-Since: ${old}`, 200],
      [`If-Modified-Since: nonsense`, 200],
      [`If-None-Match: "x"\nIf-Modified-Since: ${date}`, 200],
      [`If-Match: ${etag}`, 200],
      [`If-Match: W/${etag}`, 412],
      ['If-Match: "x"', 412],
      [`If-Unmodified-Since: ${date}`, 200],
      [`If-Unmodified-Since: ${old}`, 412],
    ];
    for (const [field, status] of cases) {
      const answer = await client.send(get("/a.txt", `${field}\n`)).answer();
      assert.is(answer.status, status, field);
      if (status === 304) assert.equal([answer.fields["etag"], answer.body], [etag, ""]);
    }
  });
});

test("what was compressed before, for those that take it", async () => {
  await withFolder(async (client) => {
    const cases: [string, string, string | undefined][] = [
      ["gzip, deflate, br", "brotli", "br"],
      ["gzip", "gzip", "gzip"],
      ["br;q=0, gzip;q=0.5", "gzip", "gzip"],
      ["zstd", "plain", undefined],
      ["identity", "plain", undefined],
    ];
    for (const [accepted, body, coding] of cases) {
      const answer = await client.send(get("/app.js", `Accept-Encoding: ${accepted}\n`)).answer();
      assert.equal([answer.body, answer.fields["content-encoding"]], [body, coding], accepted);
      assert.is(answer.fields["content-type"], "text/javascript; charset=utf-8");
      assert.is(answer.fields["vary"], "accept-encoding");
    }
    const style = await client.send(get("/style.css", "Accept-Encoding: br, zstd\n")).answer();
    assert.equal([style.body, style.fields["content-encoding"]], ["zstandard", "zstd"]);
  });
});

test("a file that changes is seen, and one that shrinks meanwhile breaks the answer", async () => {
  writeFileSync(`${root}/changing`, "old");
  const pieces = 16; // more than a client's and a server's socket take
  writeFileSync(`${root}/shrinking`, Buffer.concat(Array<Buffer>(pieces).fill(large)));
  await withServer({ request: files(root), onError: () => undefined }, async (server, port) => {
    using client = new Client(port);
    assert.is((await client.send(get("/changing")).answer()).body, "old");
    writeFileSync(`${root}/new`, "newer");
    utimesSync(`${root}/new`, 1, 1);
    renameSync(`${root}/new`, `${root}/changing`);
    for (let body = "old"; body !== "newer"; ) {
      ({ body } = await client.send(get("/changing")).answer());
      assert.ok(body === "old" || body === "newer", body);
      await turn();
    }
    using slow = new Client(port);
    slow.socket.pause();
    slow.send(get("/shrinking") + get("/a.txt"));
    const sentBefore = server.metrics.sentBytes;
    await calm(() => server.metrics.sentBytes - sentBefore);
    truncateSync(`${root}/shrinking`, 100_000);
    slow.socket.resume();
    const all = await slow.ended();
    const body = all.slice(all.indexOf("\r\n\r\n") + 4);
    assert.match(all, /^HTTP\/1\.1 200 /);
    assert.ok(body.length < pieces * large.length, `${body.length}`);
    assert.is(body.includes(letters), false);
  });
});

test("a file that is written over with the same size and time, or removed, is seen", async () => {
  const path = `${root}/replaced`;
  const write = (text: string): void => {
    writeFileSync(path, text);
    utimesSync(path, 1_700_000_000, 1_700_000_000);
  };
  write("one");
  await withServer({ request: files(root), onError: () => undefined }, async (_server, port) => {
    using client = new Client(port);
    const until = async (before: string, after: string): Promise<void> => {
      for (let body = before; body !== after; await turn()) {
        ({ body } = await client.send(get("/replaced")).answer());
        assert.ok(body === before || body === after, body);
      }
    };
    await until("", "one");
    write("two");
    await until("one", "two");
    rmSync(path);
    await until("two", "Not Found\n");
    // Its blocks are free only when it is closed.
    const open = openPaths();
    while (open().some((target) => target.startsWith(path))) await turn();
    write("new");
    await until("Not Found\n", "new");
  });
});

test("a change is seen without a second look, where the system reports it", async () => {
  const { now } = performance;
  const frozenMs = now.call(performance);
  writeFileSync(`${root}/told`, "one");
  await withServer({ request: files(root), onError: () => undefined }, async (server, port) => {
    if (server.io.capabilities.watch.support === "native") return; // by a kqueue
    using client = new Client(port);
    const ask = async (): Promise<string> => (await client.send(get("/told")).answer()).body;
    const until = async (body: string): Promise<void> => {
      for (let tries = 0; (await ask()) !== body; tries++) {
        assert.ok(tries < 20_000, `${body} is not seen`);
        await turn();
      }
    };
    const write = async (body: string): Promise<void> => {
      writeFileSync(`${root}/told`, body);
      await until(body);
    };
    // A folder of which nothing is kept is not watched.
    await client.send(get("/a.txt")).answer();
    await write("watched from here on");
    // Nothing that is kept grows old now.
    performance.now = () => frozenMs;
    try {
      await write("two");
      writeFileSync(`${root}/other`, "three");
      renameSync(`${root}/other`, `${root}/told`);
      await until("three");
      rmSync(`${root}/told`);
      await until("Not Found\n");
      await write("four");
    } finally {
      performance.now = now;
    }
  });
});

test("a file whose change is reported before it is sent is sent", async () => {
  await using io = await IO.open();
  const opened = new OpenFiles(io, root, new AsyncResource("TEST"));
  const found = (await opened.find("/a.txt")) as OpenFile;
  // As when the change is reported between the look of several requests and the first of them.
  opened.onChange("/a.txt", "modified");
  opened.use(found);
  await calm(() => 1);
  const bytes = new Uint8Array(letters.length);
  assert.is(await found.file.readFull(bytes, { position: 0 }), letters.length);
  opened.release(found);
  const last = (await opened.find("/a.txt")) as OpenFile;
  assert.is.not(last, found);
});

test("files are served when the descriptors are all with those that are kept", async () => {
  const count = 100;
  for (let index = 0; index < count; index++) writeFileSync(`${root}/many${index}`, `${index}`);
  const index = new URL("../index.js", import.meta.url).href;
  const program =
    `const { files, serve } = await import(${JSON.stringify(index)});` +
    `const server = await serve({ port: 0, request: files(${JSON.stringify(root)}) });` +
    `console.log(server.address.port);`;
  const limited = `ulimit -n 70 && exec "$0" --input-type=module -e "$1"`;
  const child = spawn("sh", ["-c", limited, process.execPath, program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    using client = new Client(Number(line));
    for (let index = 0; index < count; index++) {
      assert.is((await client.send(get(`/many${index}`)).answer()).body, `${index}`);
    }
  } finally {
    child.kill();
  }
});

test("files that are kept do not keep the process alive", async () => {
  const index = new URL("../index.js", import.meta.url).href;
  const program =
    `const { files, serve } = await import(${JSON.stringify(index)});` +
    `const server = await serve({ port: 0, request: files(${JSON.stringify(root)}) });` +
    `const options = { headers: { connection: "close" } };` +
    `await (await fetch(server.url + "large.bin", options)).arrayBuffer();` +
    `server.unref();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code] = (await once(child, "close")) as [number | null];
  assert.is(code, 0);
});

test("clients that take neither what comes before a file nor the file lose it", async () => {
  writeFileSync(`${root}/behind`, large.subarray(0, 40_000));
  const own = files(root);
  const before = Buffer.alloc(60_000, "b");
  const limits = { idleTimeoutMs: 0, sendTimeoutMs: 100 };
  const request = (one: Exchange): unknown =>
    one.path === "/before" ? one.respond(200, null, before) : own(one);
  const given = { request: request as RequestHandler, limits, onError: () => undefined };
  await withServer(given, async (server, port) => {
    const clients = Array.from({ length: 10 }, () => new Client(port));
    for (const client of clients) {
      client.socket.pause();
      client.send((get("/before") + get("/behind")).repeat(500));
    }
    await calm(() => server.metrics.requests);
    while (server.connections > 0) await turn();
    for (const client of clients) client.socket.destroy();
  });
});

test("the root of the file system is a folder, too", async () => {
  await withServer({ request: files("/") }, async (_server, port) => {
    using client = new Client(port);
    for (const name of ["a.txt", "absolute-in.txt"]) {
      assert.is((await client.send(get(`${realpathSync(root)}/${name}`)).answer()).body, letters);
    }
  });
});

test("what was asked for before does not change the answer", async () => {
  await withFolder(async (client) => {
    for (let round = 0; round < 3; round++) {
      assert.is((await client.send(get("/a.txt/")).answer()).status, 404, `round ${round}`);
    }
    for (let round = 0; round < 2; round++) {
      const own = await client.send(get("/app.js.br")).answer();
      assert.is(own.fields["content-type"], "application/octet-stream");
      assert.is(own.fields["content-encoding"], undefined);
      const { fields } = await client.send(get("/app.js", "Accept-Encoding: br\n")).answer();
      assert.is(fields["content-type"], "text/javascript; charset=utf-8");
      assert.is(fields["content-encoding"], "br");
    }
  });
});

test("a target that is a URL, and a folder whose name needs escapes", async () => {
  await withFolder(async (client) => {
    assert.is((await client.send(get("http://b.example/a.txt?x")).answer()).body, letters);
    const { status, fields } = await client.send(get("/q%3Fx%23y")).answer();
    assert.equal([status, fields["location"]], [301, "/q%3Fx%23y/"]);
  });
});

test("ranges that overlap are not sent many times over, and HEAD has none", async () => {
  await withFolder(async (client) => {
    const all = Array(16).fill("0-").join(",");
    const answer = await client.send(get("/a.txt", `Range: bytes=${all}\n`)).answer();
    assert.equal([answer.status, answer.body], [200, letters]);
    client.send("HEAD /a.txt HTTP/1.1\nHost: a\nRange: bytes=0-1\n\n");
    const { status, fields } = await client.answer(true);
    assert.equal([status, fields["content-length"]], [200, String(letters.length)]);
  });
});

test("a client that takes some of a file within the time gets all of it", async () => {
  const pieceBytes = 1024 * 1024;
  const all = Buffer.alloc(32 * pieceBytes);
  for (let at = 0; at < all.length; at += 4) all.writeUInt32LE(at * 13, at);
  writeFileSync(`${root}/slow.bin`, all);
  // The system may take just some pieces of an unread file, and nothing of the next one. Behind
  // these bytes, which stay unread too, it takes a part of one.
  const ahead = Buffer.alloc(300_007, "a");
  writeFileSync(`${root}/ahead.bin`, ahead);
  const limits = { sendTimeoutMs: 1500 };
  await withServer({ request: files(root), limits }, async (server, port) => {
    using client = new Client(port);
    client.socket.pause();
    client.send(get("/ahead.bin"));
    while (server.metrics.sentBytes < ahead.length) await turn();
    const aheadBytes = server.metrics.sentBytes;
    client.send(get("/slow.bin", "Connection: close\n"));
    while (server.metrics.sentBytes === aheadBytes) await turn();
    const beginBytes = server.metrics.sentBytes;
    // A part of a piece is counted when its time is over.
    const isWithin = () => (server.metrics.sentBytes - beginBytes) % pieceBytes !== 0;
    while (!isWithin() && server.connections > 0) await turn();
    client.socket.resume();
    const answers = await client.ended();
    const body = Buffer.from(answers.slice(answers.lastIndexOf("\r\n\r\n") + 4), "latin1");
    assert.ok(body.equals(all), `${body.length} bytes`);
  });
});

test.run();
