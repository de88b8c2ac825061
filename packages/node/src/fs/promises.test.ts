/** Each program runs on `node:fs/promises` and on this library, and does the same on both. */

import nodePromises from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { outcomeHere, outcomeOf, type Program, type Promises } from "./outcome.test.support.js";
import * as ours from "./promises.js";

const test = suite("functions of files, as Node's");

// Programs hand over what TypeScript would refuse.
const wrong = (value: unknown): never => value as never;

const reading: Record<string, Program> = {
  "readFile gives bytes": async (fs, at) => {
    await fs.writeFile(at("f"), "hello");
    return fs.readFile(at("f"));
  },
  "readFile with an encoding": async (fs, at) => {
    await fs.writeFile(at("f"), "héllo");
    const encodings = ["utf8", "latin1", "hex", "base64", "utf16le"] as const;
    return Promise.all(encodings.map((encoding) => fs.readFile(at("f"), encoding)));
  },
  "readFile with encoding buffer": async (fs, at) => {
    await fs.writeFile(at("f"), "x");
    return fs.readFile(at("f"), wrong("buffer"));
  },
  "readFile of an empty file": async (fs, at) => {
    await fs.writeFile(at("f"), "");
    return [await fs.readFile(at("f")), await fs.readFile(at("f"), "utf8")];
  },
  "readFile of sizes around its first read": async (fs, at) => {
    const sizes = [65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 1_000_000];
    const results: unknown[] = [];
    for (const size of sizes) {
      const bytes = Buffer.alloc(size, "abcdefghijk");
      await fs.writeFile(at("f"), bytes);
      const back = await fs.readFile(at("f"));
      results.push([back.length, back.equals(bytes)]);
    }
    return results;
  },
  "readFile of what has no size": async (fs) => {
    const text = await fs.readFile("/proc/self/limits", "utf8");
    return text.split("\n")[0];
  },
  "readFile of a device": (fs) => fs.readFile("/dev/null"),
  "readFile of a missing file": (fs, at) => fs.readFile(at("none")),
  "readFile of a folder": (fs, at) => fs.readFile(at("")),
  "readFile with a path of bytes": async (fs, at) => {
    await fs.writeFile(Buffer.from(at("f")), "bytes");
    return fs.readFile(Buffer.from(at("f")), "utf8");
  },
  "readFile of missing bytes": (fs, at) => fs.readFile(Buffer.from(at("none"))),
  "readFile with a URL": async (fs, at) => {
    await fs.writeFile(pathToFileURL(at("a b")), "url");
    return fs.readFile(pathToFileURL(at("a b")), "utf8");
  },
  "readFile with a URL of the web": (fs) => fs.readFile(new URL("http://localhost/f")),
  "readFile with a zero byte": (fs) => fs.readFile("a\0b"),
  "readFile with zero bytes": (fs) => fs.readFile(Buffer.from("a\0b")),
  "readFile without a path": (fs) => fs.readFile(wrong(undefined)),
  "readFile of a number": (fs) => fs.readFile(wrong(5)),
  "readFile of an empty path": (fs) => fs.readFile(""),
  "readFile with a wrong encoding": (fs, at) => fs.readFile(at("f"), wrong("utf9")),
  "readFile with wrong options": (fs, at) => fs.readFile(at("f"), wrong(5)),
  "readFile with a wrong signal": (fs, at) => fs.readFile(at("f"), wrong({ signal: 5 })),
  "readFile with a wrong flag": (fs, at) => fs.readFile(at("f"), { flag: "q" }),
  "readFile with a signal that has aborted": (fs, at) =>
    fs.readFile(at("f"), { signal: AbortSignal.abort() }),
  "readFile that is aborted": async (fs, at) => {
    await fs.writeFile(at("f"), Buffer.alloc(4_000_000));
    const controller = new AbortController();
    const reading = fs.readFile(at("f"), { signal: controller.signal });
    controller.abort();
    return reading;
  },
  "readFile makes the file with flag a+": async (fs, at) => {
    await fs.readFile(at("f"), { flag: "a+" });
    return fs.readFile(at("f"), "utf8");
  },
};

const writing: Record<string, Program> = {
  "writeFile of views": async (fs, at) => {
    const wide = Uint16Array.of(1, 2, 3);
    await fs.writeFile(at("f"), wide.subarray(1));
    await fs.writeFile(at("g"), new DataView(wide.buffer, 2, 3));
    return [await fs.readFile(at("f")), await fs.readFile(at("g"))];
  },
  "writeFile with encodings": async (fs, at) => {
    await fs.writeFile(at("f"), "c3a9", "hex");
    await fs.writeFile(at("g"), "é", { encoding: "latin1" });
    return [await fs.readFile(at("f")), await fs.readFile(at("g"))];
  },
  "writeFile of an iterable": async (fs, at) => {
    await fs.writeFile(at("f"), ["a", "b", "c"]);
    return fs.readFile(at("f"), "utf8");
  },
  "writeFile of an async iterable": async (fs, at) => {
    async function* pieces() {
      yield "a";
      yield Buffer.from("b");
    }
    await fs.writeFile(at("f"), wrong(pieces()));
    return fs.readFile(at("f"), "utf8");
  },
  "writeFile of an iterable of numbers": (fs, at) => fs.writeFile(at("f"), wrong([5])),
  "writeFile cuts what was there": async (fs, at) => {
    await fs.writeFile(at("f"), "longer");
    await fs.writeFile(at("f"), "short");
    return fs.readFile(at("f"), "utf8");
  },
  "writeFile with flag a": async (fs, at) => {
    await fs.writeFile(at("f"), "one");
    await fs.writeFile(at("f"), "two", { flag: "a" });
    return fs.readFile(at("f"), "utf8");
  },
  "writeFile with flag r+ writes at the beginning": async (fs, at) => {
    await fs.writeFile(at("f"), "abcdef");
    await fs.writeFile(at("f"), "XY", { flag: "r+" });
    return fs.readFile(at("f"), "utf8");
  },
  "writeFile with flag wx on what is there": async (fs, at) => {
    await fs.writeFile(at("f"), "");
    return fs.writeFile(at("f"), "", { flag: "wx" });
  },
  "writeFile with flush": async (fs, at) => {
    await fs.writeFile(at("f"), "x", wrong({ flush: true }));
    return fs.readFile(at("f"), "utf8");
  },
  "writeFile with a wrong flush": (fs, at) => fs.writeFile(at("f"), "", wrong({ flush: 1 })),
  "writeFile with modes": async (fs, at) => {
    await fs.writeFile(at("f"), "", { mode: 0o600 });
    await fs.writeFile(at("g"), "", { mode: "400" });
    return [(await fs.stat(at("f"))).mode, (await fs.stat(at("g"))).mode];
  },
  "writeFile with a wrong mode": (fs, at) => fs.writeFile(at("f"), "", { mode: "9" }),
  "writeFile with a mode that is no number": (fs, at) =>
    fs.writeFile(at("f"), "", wrong({ mode: {} })),
  "writeFile of a number": (fs, at) => fs.writeFile(at("f"), wrong(5)),
  "writeFile of an object": (fs, at) => fs.writeFile(at("f"), wrong({})),
  "writeFile of null": (fs, at) => fs.writeFile(at("f"), wrong(null)),
  "writeFile to a folder": (fs, at) => fs.writeFile(at(""), ""),
  "writeFile with a signal that has aborted": (fs, at) =>
    fs.writeFile(at("f"), "", { signal: AbortSignal.abort() }),
  "writeFile that is aborted": async (fs, at) => {
    const controller = new AbortController();
    const writing = fs.writeFile(at("f"), Buffer.alloc(4_000_000), controller);
    process.nextTick(() => controller.abort());
    return writing;
  },
  appendFile: async (fs, at) => {
    await fs.appendFile(at("f"), "a");
    await fs.appendFile(at("f"), Buffer.from("b"));
    await fs.appendFile(at("f"), "YQ==", "base64");
    return fs.readFile(at("f"), "utf8");
  },
  "appendFile of a number": (fs, at) => fs.appendFile(at("f"), wrong(5)),
  truncate: async (fs, at) => {
    await fs.writeFile(at("f"), "abcdef");
    await fs.truncate(at("f"), 3);
    await fs.writeFile(at("g"), "abcdef");
    await fs.truncate(at("g"));
    await fs.writeFile(at("h"), "ab");
    await fs.truncate(at("h"), 4);
    await fs.writeFile(at("i"), "ab");
    await fs.truncate(at("i"), -4);
    return Promise.all(["f", "g", "h", "i"].map((name) => fs.readFile(at(name), "hex")));
  },
  "truncate by text": async (fs, at) => {
    await fs.writeFile(at("f"), "");
    return fs.truncate(at("f"), wrong("1"));
  },
  "truncate of a missing file": (fs, at) => fs.truncate(at("none")),
};

const paths: Record<string, Program> = {
  "stat of a file": async (fs, at) => {
    await fs.writeFile(at("f"), "12345", { mode: 0o640 });
    const { size, mode, nlink, uid, gid, rdev, blksize, blocks, ...rest } = await fs.stat(at("f"));
    return [size, mode, nlink, uid, gid, rdev, blksize, blocks, Object.keys(rest)];
  },
  "stat has the times of the file": async (fs, at) => {
    await fs.writeFile(at("f"), "");
    const theirs = await nodePromises.stat(at("f"));
    const stats = await fs.stat(at("f"));
    const names = ["atime", "mtime", "ctime", "birthtime"] as const;
    return names.map((name) => [
      stats[name].getTime() - theirs[name].getTime(),
      Math.round(stats[`${name}Ms`] - theirs[`${name}Ms`]),
    ]);
  },
  "stat has kinds": async (fs, at) => {
    await fs.symlink("x", at("link"));
    const all = [await fs.stat(at("")), await fs.stat("/dev/null"), await fs.lstat(at("link"))];
    return all.map((one) => [one.isFile(), one.isDirectory(), one.isSymbolicLink(), one.isFIFO()]);
  },
  "stat is of Node's class": async (fs, at) => (await fs.stat(at(""))).constructor.name,
  "stat of a missing file": (fs, at) => fs.stat(at("none")),
  "lstat of a missing file": (fs, at) => fs.lstat(at("none")),
  "stat through a file": async (fs, at) => {
    await fs.writeFile(at("f"), "");
    return fs.stat(at("f/x"));
  },
  "stat with null": (fs, at) => fs.stat(at(""), wrong(null)),
  "stat of a name that is too long": (fs, at) => fs.stat(at("x".repeat(300))),
  "stat of a loop": async (fs, at) => {
    await fs.symlink("loop", at("loop"));
    return fs.stat(at("loop"));
  },
  "access with wrong modes": async (fs, at) => {
    const modes = [8, -1, "x"];
    return Promise.all(modes.map((mode) => fs.access(at(""), wrong(mode)).catch((error) => error)));
  },
  rename: async (fs, at) => {
    await fs.writeFile(at("f"), "x");
    await fs.rename(at("f"), at("g"));
    return fs.readFile(at("g"), "utf8");
  },
  "rename of a missing file": (fs, at) => fs.rename(at("none"), at("g")),
  "rename without a new path": (fs, at) => fs.rename(at("f"), wrong(undefined)),
  link: async (fs, at) => {
    await fs.writeFile(at("f"), "x");
    await fs.link(at("f"), at("g"));
    return [(await fs.stat(at("g"))).nlink, await fs.link(at("f"), at("g")).catch((e) => e)];
  },
  "link of a folder": (fs, at) => fs.link(at(""), at("g")),
  "symlink and readlink": async (fs, at) => {
    await fs.symlink("tärget", at("l"));
    await fs.symlink(Buffer.from("bytes"), at("m"));
    return [
      await fs.readlink(at("l")),
      await fs.readlink(at("l"), "buffer"),
      await fs.readlink(at("l"), "latin1"),
      await fs.readlink(at("m"), { encoding: "hex" }),
    ];
  },
  "symlink over what is there": (fs, at) => fs.symlink("x", at("")),
  "symlink with a wrong type": (fs, at) => fs.symlink("x", at("l"), "bad"),
  "readlink of a file": async (fs, at) => {
    await fs.writeFile(at("f"), "");
    return fs.readlink(at("f"));
  },
  "readlink without a path": (fs) => fs.readlink(wrong(1)),
  unlink: async (fs, at) => {
    await fs.writeFile(at("f"), "");
    await fs.unlink(at("f"));
    return fs.unlink(at("f"));
  },
  "unlink of a folder": async (fs, at) => {
    await fs.mkdir(at("d"));
    return fs.unlink(at("d"));
  },
  rmdir: async (fs, at) => {
    await fs.mkdir(at("d/e"), { recursive: true });
    const full = await fs.rmdir(at("d")).catch((error) => error);
    await fs.rmdir(at("d/e"));
    await fs.rmdir(at("d"));
    return [full, await fs.rmdir(at("d")).catch((error) => error)];
  },
  "rmdir of a file": async (fs, at) => {
    await fs.writeFile(at("f"), "");
    return fs.rmdir(at("f"));
  },
  "rmdir with wrong options": (fs, at) => fs.rmdir(at("d"), wrong({ recursive: 1 })),
  mkdir: async (fs, at) => [
    await fs.mkdir(at("a")),
    await fs.mkdir(at("b"), 0o700),
    await fs.mkdir(at("c"), "750"),
    await fs.mkdir(at("d"), { mode: 0o711 }),
    (await fs.stat(at("b"))).mode,
    (await fs.stat(at("c"))).mode,
    (await fs.stat(at("d"))).mode,
  ],
  "mkdir of what is there": (fs, at) => fs.mkdir(at("")),
  "mkdir without a parent": (fs, at) => fs.mkdir(at("a/b")),
  "mkdir with wrong options": async (fs, at) => {
    const all = [{ recursive: 1 }, { mode: "9" }, { mode: -1 }, { mode: 1.5 }, "9", -1];
    return Promise.all(all.map((one) => fs.mkdir(at("a"), wrong(one)).catch((error) => error)));
  },
  "mkdir of all on the way": async (fs, at) => [
    await fs.mkdir(at("a/b/c"), { recursive: true }),
    await fs.mkdir(at("a/b/c"), { recursive: true }),
    await fs.mkdir(at("a/b/d/e"), { recursive: true }),
    await fs.mkdir(`${at("x")}//y//z/`, { recursive: true }),
    await fs.mkdir(Buffer.from(at("bytes/b")), { recursive: true }),
  ],
  "mkdir of all through a file": async (fs, at) => {
    await fs.writeFile(at("f"), "");
    const through = await fs.mkdir(at("f/a/b"), { recursive: true }).catch((error) => error);
    return [through, await fs.mkdir(at("f"), { recursive: true }).catch((error) => error)];
  },
  "mkdir of nothing": (fs) => fs.mkdir("", { recursive: true }),
  lchmod: (fs, at) => fs.lchmod(at(""), 0o600),
  "wrong owners, modes and times": async (fs, at) => {
    const calls: (() => Promise<unknown>)[] = [
      () => fs.chown(at("f"), wrong("a"), 1),
      () => fs.chown(at("f"), 1, -2),
      () => fs.lchown(at("f"), 1.5, 1),
      () => fs.chmod(at("f"), wrong({})),
      () => fs.utimes(at("f"), wrong({}), 1),
      () => fs.utimes(at("f"), 1, Number.NaN),
      () => fs.lutimes(at("f"), wrong("x"), 1),
    ];
    return Promise.all(calls.map((one) => one().catch((error) => error)));
  },
};

function compare(group: string, programs: Record<string, Program>): void {
  for (const [name, program] of Object.entries(programs)) {
    test(`${group}: ${name}`, async () => {
      const theirs = await outcomeOf(program, nodePromises);
      assert.equal(await outcomeHere(program, ours as unknown as Promises), theirs);
    });
  }
}

compare("reading", reading);
compare("writing", writing);
compare("paths", paths);

test.run();
