/** Each program runs on the `FileHandle` of Node and on ours, and does the same on both. */

import type { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import nodePromises from "node:fs/promises";
import { text } from "node:stream/consumers";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { outcomeHere, outcomeOf, type Program, type Promises } from "./outcome.test.support.js";
import * as ours from "./promises.js";

const test = suite("FileHandle, as Node's");

// Programs hand over what TypeScript would refuse.
const wrong = (value: unknown): never => value as never;

type Handle = nodePromises.FileHandle;

/** A program on an open file that has the digits in it. */
function onDigits(run: (handle: Handle, path: string) => Promise<unknown>, flags = "r+"): Program {
  return async (fs, at) => {
    await fs.writeFile(at("f"), "0123456789");
    const handle = await fs.open(at("f"), flags);
    try {
      const result = await run(handle, at("f"));
      return [result, readFileSync(at("f"), "utf8")];
    } finally {
      await handle.close();
    }
  };
}

async function errorsOf(calls: readonly (() => unknown)[]): Promise<unknown[]> {
  const results: unknown[] = [];
  for (const one of calls) {
    try {
      results.push(await one());
    } catch (error) {
      results.push(error);
    }
  }
  return results;
}

/** The events of a stream, in order. */
function eventsOf(stream: NodeJS.EventEmitter, ...more: string[]): Promise<unknown[]> {
  const events: unknown[] = [];
  return new Promise((resolve) => {
    for (const name of ["open", "ready", "data", "end", "finish", "error", ...more]) {
      stream.on(name, (value: unknown) => {
        events.push(name === "open" ? name : [name, value]);
      });
    }
    stream.on("close", () => resolve([...events, "close"]));
  });
}

const opening: Record<string, Program> = {
  "open with each word": async (fs, at) => {
    const words = [
      ...["r", "rs", "r+", "rs+", "w", "wx", "w+", "wx+", "a", "ax", "a+", "ax+", "as", "as+"],
      ...["sr", "sr+", "xw", "xw+", "xa", "xa+", "sa", "sa+", "q", "", "rw"],
    ];
    const results: unknown[] = [];
    for (const word of words) {
      await fs.writeFile(at("f"), "abc");
      try {
        const handle = await fs.open(at("f"), word);
        const wrote = await handle.write("X").catch((error) => error);
        const read = await handle.read(Buffer.alloc(4), 0, 4, 0).catch((error) => error);
        await handle.close();
        results.push([word, wrote, read, await fs.readFile(at("f"), "utf8")]);
      } catch (error) {
        results.push([word, error]);
      }
    }
    return results;
  },
  "open with numbers": async (fs, at) => {
    const { O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
    await fs.symlink("f", at("link"));
    const all: [string, number][] = [
      ["f", O_RDWR],
      ["f", O_RDWR | O_CREAT],
      ["f", O_RDWR | O_CREAT | O_EXCL],
      ["f", O_RDWR | O_TRUNC],
      ["f", O_RDWR | O_APPEND],
      ["f", O_DIRECTORY],
      ["", O_DIRECTORY],
      ["link", O_NOFOLLOW],
      ["f", O_APPEND],
    ];
    const calls = all.map(([name, flags]) => async () => {
      await (await fs.open(at(name), flags)).close();
    });
    return errorsOf(calls);
  },
  "open with wrong arguments": (fs, at) =>
    errorsOf([
      () => fs.open(at("f"), 1.5),
      () => fs.open(at("f"), 2 ** 31),
      () => fs.open(at("f"), wrong({})),
      () => fs.open(at("f"), "r", "9"),
      () => fs.open(at("f"), "r", -1),
      () => fs.open(at("f"), "r", 1.5),
      () => fs.open(at("f"), "r", 2 ** 32),
      () => fs.open(at("f"), "r", wrong({})),
      () => fs.open(wrong({}), "r"),
      () => fs.open(wrong(null)),
      () => fs.open("a\0"),
      () => fs.open(at("none")),
      () => fs.open(at("none/none"), "w"),
    ]),
  "open of a folder for writing": (fs, at) => fs.open(at(""), "w"),
  "open of what may not be read": async (fs, at) => {
    const handle = await fs.open(at("f"), "w", 0o200);
    const result = await handle.read().catch((error) => error);
    await handle.close();
    return result;
  },
  "fd is a number, and -1 after the close": async (fs, at) => {
    const handle = await fs.open(at("f"), "w");
    const before = [typeof handle.fd, handle.fd > 2];
    await handle.close();
    return [before, handle.fd];
  },
  "close twice": async (fs, at) => {
    const handle = await fs.open(at("f"), "w");
    const closing = handle.close();
    return [await handle.close(), await closing, await handle.close()];
  },
  "close alone": async (fs, at) => {
    const { close } = await fs.open(at("f"), "w");
    return close();
  },
  "close says so": async (fs, at) => {
    const handle = await fs.open(at("f"), "w");
    let said = 0;
    (handle as unknown as EventEmitter).on("close", () => said++);
    await handle.close();
    await handle.close();
    return said;
  },
  "close waits for a call": async (fs, at) => {
    const handle = await fs.open(at("f"), "w");
    const order: string[] = [];
    const writing = handle.writeFile("x".repeat(1_000_000)).then(() => order.push("written"));
    const closing = handle.close().then(() => order.push("closed"));
    await Promise.all([writing, closing]);
    return [order, (await fs.stat(at("f"))).size];
  },
  "calls after the close": async (fs, at) => {
    const handle = await fs.open(at("f"), "w");
    await handle.close();
    return errorsOf([
      () => handle.appendFile(""),
      () => handle.chmod(0o600),
      () => handle.chown(0, 0),
      () => handle.datasync(),
      () => handle.read(),
      () => handle.readFile(),
      () => handle.readv([]),
      () => handle.stat(),
      () => handle.sync(),
      () => handle.truncate(),
      () => handle.utimes(1, 1),
      () => handle.write(""),
      () => handle.writeFile(""),
      () => handle.writev([]),
      () => handle.readableWebStream(),
      () => handle.createReadStream(),
    ]);
  },
};

const transfers: Record<string, Program> = {
  read: onDigits(async (handle) => [
    await handle.read(Buffer.alloc(3), 0, 3, 2),
    await handle.read(Buffer.alloc(3), 1, 2),
    await handle.read(Buffer.alloc(3)),
    await handle.read(Buffer.alloc(3), null, null, null),
    await handle.read(new Uint16Array(2), 1, 2, 0),
    await handle.read(Buffer.alloc(8), 0, 8, 5),
    await handle.read(Buffer.alloc(8), 0, 8, 50),
    await handle.read(Buffer.alloc(3), 0, 0),
    await handle.read(Buffer.alloc(3), 0, 3, -5),
  ]),
  "read with options": onDigits(async (handle) => {
    const { bytesRead, buffer } = await handle.read();
    return [
      [bytesRead, buffer.length, buffer.subarray(0, bytesRead)],
      await handle.read({ buffer: Buffer.alloc(4), position: 3 }),
      await handle.read({ buffer: Buffer.alloc(4), offset: 2, position: 0 }),
      await handle.read({ buffer: Buffer.alloc(4), length: 1, position: 1 }),
      await handle.read(Buffer.alloc(4), { position: 6 }),
      await handle.read(Buffer.alloc(4), { offset: 1, length: 2, position: 6 }),
    ];
  }),
  "read with wrong arguments": onDigits((handle) =>
    errorsOf([
      () => handle.read(wrong(5)),
      () => handle.read(wrong("x")),
      () => handle.read(wrong({ buffer: 5 })),
      () => handle.read(Buffer.alloc(0), 0, 1),
      () => handle.read(Buffer.alloc(4), -1),
      () => handle.read(Buffer.alloc(4), 1.5),
      () => handle.read(Buffer.alloc(4), wrong("1")),
      () => handle.read(Buffer.alloc(4), 0, 5),
      () => handle.read(Buffer.alloc(4), 3, 2),
      () => handle.read(Buffer.alloc(4), 5, 0),
      () => handle.read(Buffer.alloc(4), 0, -1),
    ]),
  ),
  readv: onDigits(async (handle) => [
    await handle.readv([Buffer.alloc(2), new Uint8Array(3)]),
    await handle.readv([Buffer.alloc(2), Buffer.alloc(9)], 4),
    await handle.readv([Buffer.alloc(2)], wrong("4")),
  ]),
  "readv of a directory": async (fs, at) => {
    const handle = await fs.open(at(""), "r");
    const results = await errorsOf([
      () => handle.readv([Buffer.alloc(0)]),
      () => handle.readv([Buffer.alloc(0), Buffer.alloc(0)], 3),
      () => handle.readv([Buffer.alloc(1), Buffer.alloc(1)]),
    ]);
    await handle.close();
    return results;
  },
  "readv with wrong arguments": onDigits((handle) =>
    errorsOf([
      () => handle.readv(wrong(Buffer.alloc(1))),
      () => handle.readv(wrong([1])),
      () => handle.readv(wrong(undefined)),
    ]),
  ),
  write: onDigits(async (handle) => [
    await handle.write(Buffer.from("ab")),
    await handle.write(Buffer.from("cdef"), 1, 2),
    await handle.write(Buffer.from("ghi"), 1, 1, 8),
    await handle.write(Buffer.from("jkl"), null, null, 5),
    await handle.write(Uint16Array.of(0x4142)),
    await handle.write(Buffer.alloc(0)),
  ]),
  "write with options": onDigits(async (handle) => [
    await handle.write(Buffer.from("ab"), wrong({ position: 4 })),
    await handle.write(Buffer.from("cdef"), wrong({ offset: 1, length: 2, position: 7 })),
    await handle.write(Buffer.from("gh"), wrong({})),
  ]),
  "write of text": onDigits(async (handle) => [
    await handle.write("ab"),
    await handle.write("é", 4),
    await handle.write("c3a9", 7, "hex"),
    await handle.write("zz", null, "latin1"),
  ]),
  "write with wrong arguments": onDigits((handle) =>
    errorsOf([
      () => handle.write(wrong(5)),
      () => handle.write(wrong({})),
      () => handle.write(wrong(null)),
      () => handle.write(wrong(undefined)),
      () => handle.write(wrong(["a"])),
      () => handle.write(Buffer.alloc(4), -1),
      () => handle.write(Buffer.alloc(4), 1.5),
      () => handle.write(Buffer.alloc(4), 5),
      () => handle.write(Buffer.alloc(4), 0, 5),
      () => handle.write(Buffer.alloc(4), 3, 2),
      () => handle.write(Buffer.alloc(4), 0, -1),
      () => handle.write("abc", 0, "hex"),
    ]),
  ),
  "write to what was opened for reading": onDigits(
    (handle) =>
      errorsOf([
        () => handle.write("x"),
        () => handle.writeFile("x"),
        () => handle.writev([Buffer.from("x")]),
        () => handle.truncate(),
      ]),
    "r",
  ),
  "read of what was opened for writing": onDigits(
    (handle) => errorsOf([() => handle.read(), () => handle.readFile()]),
    "a",
  ),
  writev: onDigits(async (handle) => [
    await handle.writev([Buffer.from("ab"), new Uint8Array([67])]),
    await handle.writev([Buffer.from("x"), Buffer.from("yz")], 6),
    await handle.writev([]),
  ]),
  "writev with wrong arguments": onDigits((handle) =>
    errorsOf([() => handle.writev(wrong("x")), () => handle.writev(wrong([null]))]),
  ),
  "append ignores the position": onDigits(async (handle) => handle.write("ab", 0), "a"),
};

const whole: Record<string, Program> = {
  "readFile reads from where it is": onDigits(async (handle) => {
    await handle.read(Buffer.alloc(4));
    return [await handle.readFile("utf8"), await handle.readFile()];
  }),
  "writeFile writes from where it is": onDigits(async (handle) => {
    await handle.writeFile("ab");
    await handle.writeFile(Buffer.from("cd"));
    await handle.writeFile(wrong(["e", "f"]));
    return handle.appendFile("g");
  }),
  "functions with a handle as the path": async (fs, at) => {
    const handle = await fs.open(at("f"), "w+");
    await fs.writeFile(handle, "abc");
    await fs.appendFile(handle, "def");
    const rest = await fs.readFile(handle, "utf8");
    await handle.close();
    return [rest, await fs.readFile(at("f"), "utf8")];
  },
  truncate: onDigits(async (handle) => {
    await handle.truncate(4);
    await handle.truncate(6);
    return [await handle.readFile(), await handle.truncate()];
  }),
  "truncate with wrong arguments": onDigits((handle) =>
    errorsOf([() => handle.truncate(wrong("1")), () => handle.truncate(1.5)]),
  ),
  stat: onDigits(async (handle) => {
    const stats = await handle.stat();
    return [stats.size, stats.isFile(), stats.constructor.name];
  }),
  "sync and datasync": onDigits(async (handle) => [await handle.sync(), await handle.datasync()]),
  "chmod, chown and utimes with wrong arguments": onDigits((handle) =>
    errorsOf([
      () => handle.chmod(wrong("9")),
      () => handle.chown(wrong("1"), 1),
      () => handle.utimes(wrong({}), 1),
      () => handle.utimes(1, wrong("x")),
    ]),
  ),
  "asyncDispose closes": onDigits(async (handle) => {
    await handle[Symbol.asyncDispose]();
    return handle.fd;
  }),
};

const streams: Record<string, Program> = {
  createReadStream: onDigits(async (handle) => {
    const stream = handle.createReadStream({ encoding: "utf8", highWaterMark: 4 });
    const events = await eventsOf(stream);
    return [events, stream.bytesRead, handle.fd];
  }),
  "createReadStream of a part": onDigits((handle) =>
    text(handle.createReadStream({ start: 2, end: 5 })),
  ),
  "createReadStream that keeps the file open": onDigits(async (handle) => {
    const stream = handle.createReadStream({ autoClose: false, start: 8 });
    const ended = new Promise<void>((resolve) => stream.on("end", resolve));
    stream.resume();
    await ended;
    return [handle.fd > 2, (await handle.read(Buffer.alloc(2), 0, 2, 0)).bytesRead];
  }),
  "close of the handle ends its stream": onDigits(async (handle) => {
    const stream = handle.createReadStream();
    const events = eventsOf(stream);
    await handle.close();
    return [(await events).at(-1), stream.destroyed];
  }),
  createWriteStream: onDigits(async (handle) => {
    const stream = handle.createWriteStream();
    const events = eventsOf(stream);
    stream.write("ab");
    stream.write(Buffer.from("cd"));
    stream.end("ef");
    return [await events, stream.bytesWritten, handle.fd];
  }),
  "createWriteStream at a place": onDigits(async (handle) => {
    const stream = handle.createWriteStream({ start: 3 });
    const events = eventsOf(stream);
    stream.end("ab");
    return events;
  }),
  "createWriteStream to what was opened for reading": onDigits(async (handle) => {
    const stream = handle.createWriteStream();
    const events = eventsOf(stream);
    stream.write("ab");
    return events;
  }, "r"),
  readLines: async (fs, at) => {
    await fs.writeFile(at("f"), "one\ntwo\r\nthree");
    const handle = await fs.open(at("f"));
    const lines: string[] = [];
    for await (const line of handle.readLines()) lines.push(line);
    return lines;
  },
  "readableWebStream of bytes": onDigits(async (handle) => {
    const stream = handle.readableWebStream({ type: "bytes" });
    const pieces: Uint8Array[] = [];
    for await (const one of stream) pieces.push(one as Uint8Array);
    return [Buffer.concat(pieces), handle.fd > 2];
  }),
  "readableWebStream twice": onDigits((handle) =>
    errorsOf([
      () => void handle.readableWebStream({ type: "bytes" }),
      () => handle.readableWebStream(),
      () => handle.readableWebStream({ type: wrong(5) }),
    ]),
  ),
};

function compare(group: string, programs: Record<string, Program>): void {
  for (const [name, program] of Object.entries(programs)) {
    test(`${group}: ${name}`, async () => {
      const theirs = await outcomeOf(program, nodePromises);
      assert.equal(await outcomeHere(program, ours as unknown as Promises), theirs);
    });
  }
}

compare("opening", opening);
compare("transfers", transfers);
compare("whole", whole);
compare("streams", streams);

test.run();
