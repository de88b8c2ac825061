// The program: its words, what it serves, and how it ends.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";

const test = suite("program");
const program = fileURLToPath(new URL("./main.js", import.meta.url));
const folder = mkdtempSync(`${tmpdir()}/io-http-program-`);
writeFileSync(`${folder}/a.txt`, "a file");
test.after(() => rmSync(folder, { recursive: true }));

function start(...words: string[]): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [program, ...words]);
}

interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function ended(child: ChildProcessWithoutNullStreams): Promise<Run> {
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

/** Starts it on a free port, and gives what it prints line by line. */
async function serving(...words: string[]) {
  const child = start("--port", "0", ...words, folder);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await lines.next()).value);
  const url = /http:\/\/\S+\//.exec(await next())![0];
  await next(); // the backend
  return { child, url, next };
}

test("--help says what there is, and wrong words what is wrong", async () => {
  const help = await ended(start("--help"));
  assert.equal([help.code, help.err], [0, ""]);
  for (const word of ["--host", "--port", "--log", "--metrics"]) assert.ok(help.out.includes(word));
  const wrong: [words: string[], message: RegExp][] = [
    [["--port", "70000"], /--port is 70000: give 0 to 65535/],
    [["--log", "xml"], /--log is xml: give combined or json/],
    [["--nothing"], /--nothing/],
    [["a", "b"], /give one folder/],
    [[`${folder}/missing`], /missing/],
    [["--host", "192.0.2.1"], /192\.0\.2\.1/],
  ];
  for (const [words, message] of wrong) {
    const { code, out, err } = await ended(start(...words));
    assert.equal([code, out], [1, ""], words.join(" "));
    assert.match(err, message);
  }
});

test("it serves a folder, a hello world and metrics, and logs each answer", async () => {
  const { child, url, next } = await serving("--metrics", "--log", "json");
  try {
    assert.is(await (await fetch(`${url}a.txt`)).text(), "a file");
    assert.is(await (await fetch(`${url}hello`)).text(), "Hello, World!\n");
    assert.match(await (await fetch(`${url}metrics`)).text(), /io_http_requests_total 3\n/);
    assert.is((await fetch(`${url}none`)).status, 404);
    const logged = [await next(), await next(), await next(), await next()];
    const told = logged.map((line) => JSON.parse(line) as { target: string; status: number });
    assert.equal(
      told.map(({ target, status }) => [target, status]),
      [
        ["/a.txt", 200],
        ["/hello", 200],
        ["/metrics", 200],
        ["/none", 404],
      ],
    );
  } finally {
    child.kill("SIGKILL");
  }
});

test("a signal ends it cleanly, and there are no metrics that were not asked for", async () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    const { child, url } = await serving("--log", "combined");
    const { status } = await fetch(`${url}metrics`);
    assert.is(status, 404);
    const end = ended(child);
    child.kill(signal);
    const { code, err } = await end;
    assert.equal([code, err], [0, ""], signal);
  }
});

test.run();
