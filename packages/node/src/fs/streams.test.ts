/** Streams over paths: the same program on `node:fs` and on ours. */

import * as nodeFs from "node:fs";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { finished, pipeline } from "node:stream/promises";
import { pathToFileURL } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as ours from "./index.js";
import { shown } from "./outcome.test.support.js";

const test = suite("streams over files, as Node's");

type Streams = Pick<typeof nodeFs, "createReadStream" | "createWriteStream">;
type Program = (fs: Streams, at: (name: string) => string) => Promise<unknown>;

// Programs hand over what TypeScript would refuse.
const wrong = (value: unknown): never => value as never;

function eventsOf(stream: NodeJS.EventEmitter): Promise<unknown[]> {
  const events: unknown[] = [];
  return new Promise((resolve) => {
    for (const name of ["open", "ready", "data", "end", "finish", "error"]) {
      stream.on(name, (value: unknown) => {
        events.push(name === "open" ? name : [name, value]);
      });
    }
    stream.on("close", () => resolve([...events, "close"]));
  });
}

function thrown(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

const programs: Record<string, Program> = {
  "reads a file": (fs, at) => eventsOf(fs.createReadStream(at("digits"))),
  "reads a file in pieces": (fs, at) =>
    eventsOf(fs.createReadStream(at("digits"), { highWaterMark: 3 })),
  "reads with an encoding": (fs, at) => eventsOf(fs.createReadStream(at("digits"), "hex")),
  "reads a part": (fs, at) => text(fs.createReadStream(at("digits"), { start: 3, end: 6 })),
  "reads to the end from a place": (fs, at) =>
    text(fs.createReadStream(at("digits"), { start: 8 })),
  "reads a long file": async (fs, at) => {
    const bytes = await buffer(fs.createReadStream(at("long")));
    return bytes.equals(readFileSync(at("long")));
  },
  "reads a URL": (fs, at) => text(fs.createReadStream(pathToFileURL(at("digits")))),
  "reads a path of bytes": (fs, at) => text(fs.createReadStream(Buffer.from(at("digits")))),
  "reads what is missing": (fs, at) => eventsOf(fs.createReadStream(at("none"))),
  "reads a folder": (fs, at) => eventsOf(fs.createReadStream(at(""))),
  "is destroyed while it opens": async (fs, at) => {
    const stream = fs.createReadStream(at("digits"));
    stream.destroy();
    return eventsOf(stream);
  },
  "is destroyed with an error": async (fs, at) => {
    const stream = fs.createReadStream(at("digits"));
    const events = eventsOf(stream);
    stream.once("data", () => stream.destroy(new Error("enough")));
    return events;
  },
  "is aborted": async (fs, at) => {
    const controller = new AbortController();
    const stream = fs.createReadStream(at("long"), { signal: controller.signal });
    stream.once("data", () => controller.abort());
    return finished(stream);
  },
  "refuses wrong options": async (fs, at) => [
    thrown(() => fs.createReadStream(wrong({}))),
    thrown(() => fs.createReadStream(wrong(undefined))),
    thrown(() => fs.createReadStream("a\0b")),
    thrown(() => fs.createReadStream(at("digits"), { start: wrong("1") })),
    thrown(() => fs.createReadStream(at("digits"), { start: 5, end: 2 })),
    thrown(() => fs.createReadStream(at("digits"), wrong("utf9"))),
    thrown(() => fs.createReadStream(at("digits"), wrong(5))),
    thrown(() => fs.createWriteStream(wrong({}))),
    thrown(() => fs.createWriteStream(at("digits"), { start: wrong("1") })),
    thrown(() => fs.createWriteStream(at("digits"), wrong({ flush: 1 }))),
  ],
  "has a wrong flag": (fs, at) => eventsOf(fs.createReadStream(at("digits"), { flags: "q" })),
  "writes a file": async (fs, at) => {
    const stream = fs.createWriteStream(at("out"));
    const events = eventsOf(stream);
    stream.write("one");
    stream.write(Buffer.from("two"));
    stream.end("three");
    return [await events, stream.bytesWritten, readFileSync(at("out"), "utf8")];
  },
  "writes at a place": async (fs, at) => {
    const stream = fs.createWriteStream(at("digits"), { flags: "r+", start: 4 });
    const events = eventsOf(stream);
    stream.end("XY");
    return [await events, readFileSync(at("digits"), "utf8")];
  },
  "adds to a file": async (fs, at) => {
    const stream = fs.createWriteStream(at("digits"), { flags: "a" });
    stream.end("AB");
    await finished(stream);
    return readFileSync(at("digits"), "utf8");
  },
  "writes with flush": async (fs, at) => {
    const stream = fs.createWriteStream(at("out"), wrong({ flush: true }));
    stream.end("x");
    return [await eventsOf(stream), readFileSync(at("out"), "utf8")];
  },
  "writes to what is missing": async (fs, at) => {
    const stream = fs.createWriteStream(at("none/out"));
    stream.write("x");
    return eventsOf(stream);
  },
  "writes with an encoding": async (fs, at) => {
    const stream = fs.createWriteStream(at("out"), "latin1");
    stream.end("é");
    await finished(stream);
    return readFileSync(at("out"));
  },
  "copies in a pipeline": async (fs, at) => {
    await pipeline(fs.createReadStream(at("long")), fs.createWriteStream(at("out")));
    return readFileSync(at("out")).equals(readFileSync(at("long")));
  },
  "takes many small pieces": async (fs, at) => {
    const pieces = Array.from({ length: 2000 }, (_, index) => `${index},`);
    await pipeline(Readable.from(pieces), fs.createWriteStream(at("out")));
    return readFileSync(at("out"), "utf8") === pieces.join("");
  },
};

const isOpen = (fd: number): boolean => {
  try {
    nodeFs.fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};

const numbers: Record<string, Program> = {
  "reads a descriptor of the program, and closes it": async (fs, at) => {
    const whole = nodeFs.openSync(at("digits"), "r");
    const part = nodeFs.openSync(at("digits"), "r");
    const stays = nodeFs.openSync(at("digits"), "r");
    const kept = fs.createReadStream("", { fd: stays, autoClose: false });
    const read = [
      await text(fs.createReadStream("", { fd: whole })),
      await text(fs.createReadStream("", { fd: part, start: 3, end: 5 })),
      await text(kept),
    ];
    const open = [whole, part, stays].map(isOpen);
    kept.destroy();
    return [read, open];
  },
  "writes to a descriptor of the program, and closes it": async (fs, at) => {
    const fd = nodeFs.openSync(at("out"), "w");
    const stream = fs.createWriteStream("", { fd });
    stream.write("one,");
    stream.end("two");
    await finished(stream);
    return [readFileSync(at("out"), "utf8"), isOpen(fd)];
  },
  "reads a device": async (fs) => {
    const fd = nodeFs.openSync("/dev/zero", "r");
    const bytes = await buffer(fs.createReadStream("", { fd, end: 99_999 }));
    return [bytes.length, bytes.every((byte) => byte === 0), isOpen(fd)];
  },
  "a number without a descriptor": async (fs) => {
    const events = await eventsOf(fs.createReadStream("", { fd: 100_000 }));
    return events;
  },
};

Object.assign(programs, numbers);

async function outcomeOf(program: Program, fs: Streams): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), "io-node-fs-"));
  writeFileSync(join(folder, "digits"), "0123456789");
  writeFileSync(join(folder, "long"), Buffer.alloc(1_000_003, "abcdefg"));
  try {
    return { result: shown(await program(fs, (name) => join(folder, name)), folder) };
  } catch (error) {
    return { error: shown(error, folder) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

for (const [name, program] of Object.entries(programs)) {
  test(name, async () => {
    const theirs = await outcomeOf(program, nodeFs);
    assert.equal(await outcomeOf(program, ours as unknown as Streams), theirs);
  });
}

test("calls of the program's own, and what no stream can have, are refused by name", async () => {
  const handle = await ours.promises.open(process.execPath);
  for (const options of [{ fs: {} }, { fd: handle.fd }]) {
    try {
      ours.createReadStream("f", options as never);
      assert.unreachable();
    } catch (error) {
      assert.is((error as NodeJS.ErrnoException).code, "ERR_IO_NOT_SUPPORTED");
    }
  }
  await handle.close();
});

test.run();
