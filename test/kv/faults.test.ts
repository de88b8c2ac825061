/** What goes wrong outside of the server: each has a named error, and nothing is lost. */

import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "../support/skip.js";
import { atExit, cleanUp, hasProgram, launch, start, temporaryFolder, Wire } from "./support.js";

const test = suite("kv faults");

/** Sends inline commands one after the other and returns the replies, one line each. */
async function ask(port: number, ...commands: string[]): Promise<string[]> {
  const wire = await Wire.open(port);
  wire.send(`${commands.join("\r\n")}\r\nQUIT\r\n`);
  const replies = (await wire.rest()).split("\r\n").slice(0, -2);
  wire.close();
  return replies;
}

test("a port in use is one sentence and status 1", async () => {
  const server = await start({ folder: temporaryFolder() });
  const words = ["--port", String(server.port), "--data", temporaryFolder()];
  const second = launch(words);
  assert.is((await second.ended).status, 1);
  assert.match(second.output, /^kv: 127\.0\.0\.1:\d+ is in use by another program; stop it or/);
  assert.is(second.lines.length, 1, second.output);
  assert.is(await server.stop(), 0);
});

test("a folder in use is refused, and a lock left by a crash is not", async () => {
  const folder = temporaryFolder();
  const server = await start({ folder });
  const second = launch(["--port", "0", "--data", folder]);
  assert.is((await second.ended).status, 1);
  assert.match(second.output, new RegExp(`in use by process ${server.program.child.pid}`));
  await server.kill();
  const third = await start({ folder });
  assert.is(await third.stop(), 0);
  assert.equal(readdirSync(folder).sort(), ["lock", "log"]);
});

const namespaces = unshareWorks();
if (namespaces === undefined) {
  test("a server that was killed in its container locks no server out", async () => {
    const folder = temporaryFolder();
    const container = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    for (let round = 0; round < 3; round++) {
      const server = await start({ folder, container });
      const second = launch(["--port", "0", "--data", folder], { container });
      assert.is((await second.ended).status, 1);
      assert.match(second.output, /in use by process/);
      await server.kill();
    }
    const last = await start({ folder });
    assert.is(await last.stop(), 0);
  });
} else {
  skip(test, "a server that was killed in its container locks no server out", namespaces.reason);
}

function unshareWorks(): { reason: string } | undefined {
  try {
    execFileSync("unshare", ["--pid", "--fork", "--mount-proc", "true"], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    return { reason: `no namespace can be made: ${String(error).split("\n")[0]}` };
  }
}

test("wrong words on the command line are explained", async () => {
  const wrong: [string[], RegExp][] = [
    [["--port", "70000"], /--port must be a whole number from 0 to 65535, not "70000"/],
    [["--sync", "often"], /--sync must be one of always, everysec, no, not "often"/],
    [["--backend", "magic"], /--backend must be one of/],
    [["--color", "red"], /Unknown option '--color'.*--help/],
  ];
  for (const [words, message] of wrong) {
    const program = launch(words);
    assert.is((await program.ended).status, 1);
    assert.match(program.output, message);
  }
  const help = launch(["--help"]);
  assert.is((await help.ended).status, 0);
  assert.match(help.output, /^Usage:/);
});

test("malformed requests get an error, the connection ends, and others go on", async () => {
  const server = await start({ folder: temporaryFolder() });
  const other = await Wire.open(server.port);
  const inputs: [string, string][] = [
    ["*1\r\n:4\r\nPING\r\n", "expected '$', got ':'"],
    ["*x\r\n", "invalid multibulk length"],
    ["*1\r\n$999999999999\r\n", "invalid bulk length"],
    ["*2\r\n$4\r\nECHO\r\n$2\r\nabcd\r\n", "expected a line end after the bulk string"],
    ["x".repeat(70_000), "too big inline request"],
    [`*1\r\n!${"x".repeat(3_000_000)}`, "expected '$', got '!'"],
  ];
  for (const [input, message] of inputs) {
    const wire = await Wire.open(server.port);
    wire.send(`PING\r\n${input}`);
    assert.is(await wire.rest(), `+PONG\r\n-ERR Protocol error: ${message}\r\n`);
    assert.is(wire.failure, undefined, "the connection is ended, not reset");
    wire.close();
  }
  other.send("PING\r\n");
  assert.is(await other.take(7), "+PONG\r\n");
  other.close();
  assert.is(await server.stop(), 0);
});

test("an HTTP request runs nothing of its body and ends the connection", async () => {
  const server = await start({ folder: temporaryFolder() });
  await ask(server.port, "SET victim 1");
  const requests = [
    "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\nFLUSHALL\r\n",
    "PUT /x HTTP/1.0\r\n\r\nFLUSHALL\r\n",
    "GET /x HTTP/1.1\r\n\r\nFLUSHALL\r\n",
    "BREW /pot HTCPCP/1.0\r\nhost: 127.0.0.1\r\n\r\nFLUSHALL\r\n",
    "*1\r\n$4\r\nPOST\r\nFLUSHALL\r\n",
  ];
  for (const request of requests) {
    const wire = await Wire.open(server.port);
    wire.send(request);
    assert.not.match(await wire.rest(), /OK/);
    wire.close();
  }
  assert.match(server.program.output, /was disconnected: it sent an HTTP request/);
  assert.equal(await ask(server.port, "GET victim"), ["$1", "1"]);
  // An invalid one that looks valid.
  assert.equal(await ask(server.port, "SET a HTTP/1.1"), ["+OK"]);
  assert.is(await server.stop(), 0);
});

/** A folder with a log of ten records, and where in the log each of them begins. */
async function logOfTen(): Promise<{ folder: string; path: string; begins: number[] }> {
  const folder = temporaryFolder();
  const server = await start({ folder });
  for (let index = 0; index < 10; index++) await ask(server.port, `SET k${index} value${index}`);
  assert.is(await server.stop(), 0);
  const path = join(folder, "log");
  const recordBytes = (statSync(path).size - 32) / 10;
  assert.ok(Number.isInteger(recordBytes));
  return {
    folder,
    path,
    begins: Array.from({ length: 10 }, (_, index) => 32 + index * recordBytes),
  };
}

test("a flipped bit keeps the records before it and saves those after it", async () => {
  const { folder, path, begins } = await logOfTen();
  const bytes = readFileSync(path);
  bytes[begins[6]! + 20]! ^= 4;
  writeFileSync(path, bytes);
  const server = await start({ folder });
  const dropped = bytes.length - begins[6]!;
  await server.program.line(
    /recovered 6 records \(\d+ bytes of log\) in \d+ ms, up to the first bad/,
  );
  await server.program.line(new RegExp(`dropped ${dropped} bytes .*checksum.*log\\.damaged-1`));
  assert.ok(readFileSync(join(folder, "log.damaged-1")).equals(bytes.subarray(begins[6])));
  const replies = await ask(server.port, "DBSIZE", "SET new v", "EXISTS k5 k6 new");
  assert.equal(replies, [":6", "+OK", ":2"]);
  assert.is(await server.stop(), 0);
  const again = await start({ folder });
  assert.equal(await ask(again.port, "DBSIZE"), [":7"]);
  assert.is(await again.stop(), 0);
  assert.is(readdirSync(folder).length, 3);
});

test("a log cut off in a record keeps those before it; cut off in its header, none", async () => {
  for (const [cut, kept] of [
    [5, 4],
    [1, 4],
    [0, 5],
  ] as const) {
    const { folder, path, begins } = await logOfTen();
    writeFileSync(path, readFileSync(path).subarray(0, begins[4 + (cut === 0 ? 1 : 0)]! + cut));
    const server = await start({ folder });
    assert.equal(await ask(server.port, "DBSIZE"), [`:${kept}`]);
    assert.is(existsSync(join(folder, "log.damaged-1")), cut > 0);
    assert.is(await server.stop(), 0);
  }
  const { folder, path } = await logOfTen();
  const beginning = readFileSync(path).subarray(0, 20);
  writeFileSync(path, beginning);
  const server = await start({ folder });
  await server.program.line(/dropped 20 bytes .*shorter than the header/);
  assert.ok(readFileSync(join(folder, "log.damaged-1")).equals(beginning));
  assert.equal(await ask(server.port, "DBSIZE", "SET a b"), [":0", "+OK"]);
  await server.kill();
  const again = await start({ folder });
  assert.equal(await ask(again.port, "GET a"), ["$1", "b"]);
  assert.is(await again.stop(), 0);
});

test("a damaged header is an error, and the file is left as it is", async () => {
  const { folder, path } = await logOfTen();
  const bytes = readFileSync(path);
  bytes[2]! ^= 1;
  writeFileSync(path, bytes);
  const program = launch(["--port", "0", "--data", folder]);
  assert.is((await program.ended).status, 1);
  assert.match(
    program.output,
    /log cannot be read as a log: it begins with .* It was left as it is/,
  );
  assert.ok(readFileSync(path).equals(bytes));
  assert.equal(readdirSync(folder).sort(), ["lock", "log"]);
});

test("zeros behind the last record are its end and no damage", async () => {
  const { folder, path } = await logOfTen();
  writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(3_000_001)]));
  const server = await start({ folder });
  assert.equal(await ask(server.port, "DBSIZE", "SET a b"), [":10", "+OK"]);
  await server.kill();
  const again = await start({ folder });
  assert.equal(await ask(again.port, "DBSIZE"), [":11"]);
  assert.is(await again.stop(), 0);
  assert.equal(readdirSync(folder).sort(), ["lock", "log"]);
});

test("a long log shows its progress, and a signal ends the reading", async () => {
  const { folder, path, begins } = await logOfTen();
  const bytes = readFileSync(path);
  const record = bytes.subarray(begins[9]);
  const many = Buffer.alloc(Math.ceil(8_000_000 / record.length) * record.length, record);
  writeFileSync(path, bytes.subarray(0, 32));
  for (let count = 0; count < 50; count++) writeFileSync(path, many, { flag: "a" });
  const { size } = statSync(path);
  const program = launch(["--port", "0", "--data", folder]);
  // A machine may be fast enough to have nothing to show.
  await program.line(/recovering: \d+ % of \d+ bytes, \d+ records so far|listening/);
  program.child.kill("SIGINT");
  assert.is((await program.ended).status, 0);
  assert.is(statSync(path).size, size);
  assert.equal(readdirSync(folder).sort(), ["lock", "log"]);
});

/** Fills the disk, sees the error, makes room, and sees that nothing acknowledged is lost. */
async function fillUp(
  folder: string,
  server: Awaited<ReturnType<typeof start>>,
  makeRoom: (() => void) | undefined,
  reason: RegExp,
): Promise<void> {
  const acknowledged: string[] = [];
  const wire = await Wire.open(server.port);
  let refused = "";
  for (let index = 0; refused === ""; index++) {
    wire.send(`SET fill${index} ${"x".repeat(60_000)}\r\nINCR counter\r\n`);
    const first = await wire.take(1);
    await wire.take(first === "+" ? 4 : 0);
    if (first === "+") acknowledged.push(`fill${index}`);
    else refused = first + (await takeLine(wire));
    const counted = (await wire.take(1)) + (await takeLine(wire));
    if (refused === "" && counted.startsWith("-")) refused = counted;
  }
  assert.match(refused, reason);
  assert.ok(acknowledged.length > 3);
  wire.send(`EXISTS fill${acknowledged.length}\r\nPING\r\n`);
  assert.is(await wire.take(11), ":0\r\n+PONG\r\n", "refused writes are not seen, reads go on");
  if (makeRoom !== undefined) {
    makeRoom();
    wire.send("SET later v\r\n");
    assert.is(await wire.take(5), "+OK\r\n");
    acknowledged.push("later");
  }
  wire.close();
  await server.kill();
  const again = await start({ folder });
  assert.equal(await ask(again.port, `EXISTS ${acknowledged.join(" ")}`), [
    `:${acknowledged.length}`,
  ]);
  assert.is(await again.stop(), 0);
  assert.equal(
    readdirSync(folder).filter((name) => name.startsWith("log")),
    ["log"],
  );
}

async function takeLine(wire: Wire): Promise<string> {
  let line = "";
  while (!line.endsWith("\r\n")) line += await wire.take(1);
  return line;
}

test("a heap that is full refuses writes, and the server goes on and starts again", async () => {
  const folder = temporaryFolder();
  const environment = { NODE_OPTIONS: "--max-old-space-size=64" };
  const words = { folder, environment, more: ["--sync", "no"] };
  let server = await start(words);
  const wire = await Wire.open(server.port);
  const value = "v".repeat(3000);
  let kept = 0;
  let refused = "";
  while (refused === "" && kept < 100_000) {
    wire.send(Array.from({ length: 100 }, (_, at) => `SET k${kept + at} ${value}\r\n`).join(""));
    for (let count = 0; count < 100; count++) {
      const line = await takeLine(wire);
      if (line !== "+OK\r\n") refused ||= line;
      else if (refused === "") kept++;
    }
  }
  assert.match(refused, /^-OOM .*keys and short values take .*max-old-space-size/);
  assert.ok(kept > 5000, `${kept} values were taken`);
  assert.match(server.program.output, /writes that add something are refused/);
  assert.equal(await ask(server.port, "BGREWRITEAOF", "DBSIZE"), [
    "+Background append only file rewriting started",
    `:${kept}`,
  ]);
  await server.program.line(/rewrote the log/);
  wire.close();
  assert.is(await server.stop(), 0);
  server = await start(words);
  const some = Array.from({ length: 200 }, (_, index) => `k${index}`).join(" ");
  assert.equal(await ask(server.port, "DBSIZE", `DEL ${some}`, "SET new x"), [
    `:${kept}`,
    ":200",
    "+OK",
  ]);
  assert.is(await server.stop(), 0);
  const small = launch(["--port", "0", "--data", folder], {
    environment: { NODE_OPTIONS: "--max-old-space-size=24" },
  });
  assert.is((await small.ended).status, 1);
  assert.match(small.output, /log cannot be read into memory: .*max-old-space-size/);
});

test("a file size limit refuses writes and loses nothing", async () => {
  const folder = temporaryFolder();
  // In blocks of 512 bytes; the server is the shell's successor, so the limit is its own.
  const server = await start({ folder, prelude: "ulimit -f 2500" });
  await fillUp(
    folder,
    server,
    undefined,
    /^-MISCONF the log could not be written: file size limit/,
  );
});

const mounted = mountSmall();
if (typeof mounted === "string") {
  test("a full disk refuses writes until there is room, and loses nothing", async () => {
    const filler = join(mounted, "filler");
    const folder = join(mounted, "data");
    mkdirSync(folder);
    writeFileSync(filler, Buffer.alloc(2_000_000));
    const server = await start({ folder });
    const reason = /^-MISCONF the log could not be written: no space left on device \(ENOSPC\)/;
    await fillUp(folder, server, () => rmSync(filler), reason);
  });
} else {
  skip(test, "a full disk refuses writes", mounted.reason);
}

function mountSmall(): string | { reason: string } {
  if (!hasProgram("mount")) return { reason: "there is no mount program" };
  const path = temporaryFolder();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", path], { stdio: "pipe" });
  } catch (error) {
    return { reason: `a small disk cannot be mounted: ${String(error).split("\n")[0]}` };
  }
  atExit(() => execFileSync("umount", ["-l", path]));
  return path;
}

test.after(cleanUp);
test.run();
