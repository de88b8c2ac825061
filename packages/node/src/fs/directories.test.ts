/** Directories, copies and attributes: each program does the same on Node's module and on ours. */

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import nodePromises from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { outcomeHere, outcomeOf, type Program, type Promises } from "./outcome.test.support.js";
import * as ours from "./promises.js";

const test = suite("directories and attributes, as Node's");

// Programs hand over what TypeScript would refuse.
const wrong = (value: unknown): never => value as never;

type At = (name: string) => string;

function makeTree(at: At): void {
  for (const folder of ["t", "t/a", "t/a/deep", "t/b", "t/empty"]) mkdirSync(at(folder));
  for (const file of ["t/one", "t/Two", "t/ü", "t/a/x", "t/a/deep/y", "t/b/z"]) {
    writeFileSync(at(file), `content of ${file}`, { mode: 0o640 });
  }
  symlinkSync("one", at("t/link"));
  symlinkSync("a", at("t/to-a"));
  symlinkSync("nothing", at("t/broken"));
}

/** All that is below a path, with kinds, permissions and sizes. */
function below(path: string): unknown[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .map(({ name, parentPath }) => `${parentPath.slice(path.length)}/${name}`)
    .sort()
    .map((name) => {
      const stats = lstatSync(path + name);
      return [name, stats.mode, stats.isDirectory() ? 0 : stats.size];
    });
}

function errorsOf(calls: readonly (() => Promise<unknown>)[]): Promise<unknown[]> {
  return Promise.all(calls.map((one) => one().catch((error: unknown) => error)));
}

const listing: Record<string, Program> = {
  readdir: async (fs, at) => {
    makeTree(at);
    return [await fs.readdir(at("t")), await fs.readdir(at("t/empty"))];
  },
  "readdir in encodings": async (fs, at) => {
    makeTree(at);
    return [
      await fs.readdir(at("t"), "buffer"),
      await fs.readdir(at("t"), { encoding: "hex" }),
      await fs.readdir(Buffer.from(at("t")), "latin1"),
    ];
  },
  "readdir with types": async (fs, at) => {
    makeTree(at);
    const entries = await fs.readdir(at("t"), { withFileTypes: true });
    return entries.map((one) => [one, one.isFile(), one.isDirectory(), one.isSymbolicLink()]);
  },
  "readdir of all below": async (fs, at) => {
    makeTree(at);
    return [
      await fs.readdir(at("t"), { recursive: true }),
      await fs.readdir(at("t"), { recursive: true, withFileTypes: true }),
    ];
  },
  "readdir of many names": async (fs, at) => {
    for (let index = 0; index < 3000; index++) writeFileSync(at(`${index}`), "");
    const names = await fs.readdir(at(""));
    return [names.length, names.slice(0, 5), names.at(-1)];
  },
  "readdir of many names, some of which are not ASCII": async (fs, at) => {
    const name = (index: number) =>
      `${index % 500 === 7 ? "ü" : ""}${index}${"x".repeat(index % 90)}`;
    for (let index = 0; index < 4000; index++) writeFileSync(at(name(index)), "");
    mkdirSync(at("of-ascii"));
    for (let index = 0; index < 4000; index++) {
      writeFileSync(at(`of-ascii/${index * 7919}-${"y".repeat(index % 200)}`), "");
    }
    const types = await fs.readdir(at(""), { withFileTypes: true });
    return [
      await fs.readdir(at("")),
      await fs.readdir(at("of-ascii")),
      await fs.readdir(at("of-ascii"), "buffer"),
      types.map((one) => [one.name, one.isFile(), one.isDirectory()]),
    ];
  },
  "readdir that fails": (fs, at) =>
    errorsOf([
      () => fs.readdir(at("none")),
      () => fs.readdir("/dev/null"),
      () => fs.readdir(at("none"), { recursive: true }),
      () => fs.readdir(wrong(5)),
      () => fs.readdir(at(""), wrong(5)),
      () => fs.readdir(at(""), wrong("utf9")),
    ]),
  opendir: async (fs, at) => {
    makeTree(at);
    const directory = await fs.opendir(at("t"));
    const names: unknown[] = [];
    for await (const one of directory) names.push([one.name, one.isDirectory(), one.parentPath]);
    return [names.sort(), directory.path, await directory.close().catch((error) => error)];
  },
  "opendir and read": async (fs, at) => {
    makeTree(at);
    const directory = await fs.opendir(at("t/a"));
    const names = [await directory.read(), await directory.read(), await directory.read()];
    await directory.close();
    return names.map((one) => one?.name).sort();
  },
  "opendir of all below": async (fs, at) => {
    makeTree(at);
    const names: string[] = [];
    for await (const one of await fs.opendir(at("t"), { recursive: true })) names.push(one.name);
    return names.sort();
  },
  "opendir that fails": (fs, at) =>
    errorsOf([
      () => fs.opendir(at("none")),
      () => fs.opendir("/dev/null"),
      () => fs.opendir(at(""), wrong("utf9")),
      () => fs.opendir(wrong(5)),
    ]),
  mkdtemp: async (fs, at) => {
    const made = await fs.mkdtemp(at("p-"));
    const bytes = await fs.mkdtemp(at("q-"), "buffer");
    return [made.length - at("").length, (await fs.stat(made)).mode, bytes.length - at("").length];
  },
  "mkdtemp without a parent": async (fs, at) => {
    const error = await fs.mkdtemp(at("none/p")).catch((one) => one);
    return [error.code, error.syscall, error.path.length - at("").length];
  },
  realpath: async (fs, at) => {
    makeTree(at);
    return [
      await fs.realpath(at("t/link")),
      await fs.realpath(at("t/to-a/../to-a/./x")),
      (await fs.realpath(at("t/ü"), "buffer")).length - at("").length,
      await fs.realpath(at("t/broken")).catch((error) => error),
      await fs.realpath(at("none")).catch((error) => error),
    ];
  },
};

const removing: Record<string, Program> = {
  "rm of a file and of a link": async (fs, at) => {
    makeTree(at);
    await fs.rm(at("t/one"));
    await fs.rm(at("t/to-a"));
    return below(at("t"));
  },
  "rm of a tree": async (fs, at) => {
    makeTree(at);
    await fs.rm(at("t"), { recursive: true });
    return below(at(""));
  },
  "rm that fails": async (fs, at) => {
    makeTree(at);
    return errorsOf([
      () => fs.rm(at("t")),
      () => fs.rm(at("none")),
      () => fs.rm(at("none"), { force: true }),
      () => fs.rm(at("none"), { force: true, recursive: true }),
      () => fs.rm(at("t"), wrong({ recursive: 1 })),
      () => fs.rm(at("t"), wrong({ force: 1 })),
      () => fs.rm(at("t"), { retryDelay: -1 }),
      () => fs.rm(at("t"), { maxRetries: -1 }),
      () => fs.rm(at("t"), wrong(5)),
    ]);
  },
  "rm of what is not empty and may not be read": async (fs, at) => {
    makeTree(at);
    await fs.rm(at("t/a"), { recursive: true, maxRetries: 2, retryDelay: 1 });
    return below(at("t"));
  },
};

const copying: Record<string, Program> = {
  copyFile: async (fs, at) => {
    makeTree(at);
    await fs.copyFile(at("t/one"), at("new"));
    await fs.copyFile(at("t/Two"), at("t/one"));
    await fs.copyFile(at("t/one"), at("t/one"));
    return [below(at("t")), await fs.readFile(at("new"), "utf8"), await fs.readFile(at("t/one"))];
  },
  "copyFile of sizes": async (fs, at) => {
    const results: unknown[] = [];
    for (const size of [0, 1, 4096, 1_000_003]) {
      writeFileSync(at("f"), Buffer.alloc(size, "xyz"));
      await fs.copyFile(at("f"), at("g"));
      results.push((await fs.readFile(at("g"))).equals(await fs.readFile(at("f"))));
    }
    return results;
  },
  "copyFile of a device": async (fs, at) => {
    writeFileSync(at("f"), "content");
    await fs.copyFile("/dev/null", at("f"));
    await fs.copyFile("/dev/null", at("new"));
    return below(at(""));
  },
  "copyFile with modes": async (fs, at) => {
    makeTree(at);
    const { COPYFILE_EXCL, COPYFILE_FICLONE } = fs.constants;
    return errorsOf([
      () => fs.copyFile(at("t/one"), at("t/Two"), COPYFILE_EXCL),
      () => fs.copyFile(at("t/one"), at("new"), COPYFILE_EXCL | COPYFILE_FICLONE),
      () => fs.copyFile(at("t/one"), at("new"), 99),
      () => fs.copyFile(at("t/one"), at("new"), wrong("x")),
    ]);
  },
  "copyFile that fails": async (fs, at) => {
    makeTree(at);
    return errorsOf([
      () => fs.copyFile(at("none"), at("new")),
      () => fs.copyFile(at("t/one"), at("t/a")),
      () => fs.copyFile(at("t/one"), at("none/new")),
      () => fs.copyFile(wrong(5), at("new")),
      () => fs.copyFile(at("t/one"), wrong(undefined)),
    ]);
  },
  "cp of a file": async (fs, at) => {
    makeTree(at);
    await fs.cp(at("t/one"), at("made/on/the/way"));
    await fs.cp(at("t/one"), at("t/Two"));
    await fs.cp(at("t/one"), at("t/ü"), { force: false });
    return [await fs.readFile(at("made/on/the/way"), "utf8"), below(at("t"))];
  },
  "cp of a tree": async (fs, at) => {
    makeTree(at);
    await fs.cp(at("t"), at("copy"), { recursive: true });
    return [below(at("copy")), await fs.readlink(at("copy/link"))];
  },
  "cp of a tree over another": async (fs, at) => {
    makeTree(at);
    mkdirSync(at("copy"));
    writeFileSync(at("copy/one"), "other");
    writeFileSync(at("copy/more"), "more");
    await fs.cp(at("t"), at("copy"), { recursive: true });
    return [below(at("copy")), await fs.readFile(at("copy/one"), "utf8")];
  },
  "cp with a filter": async (fs, at) => {
    makeTree(at);
    const filter = async (source: string): Promise<boolean> => !source.endsWith("a");
    await fs.cp(at("t"), at("copy"), { recursive: true, filter });
    return below(at("copy"));
  },
  "cp of links as they are, or of what they lead to": async (fs, at) => {
    makeTree(at);
    await fs.cp(at("t"), at("copy"), { recursive: true, verbatimSymlinks: true });
    await fs.rm(at("t/broken"));
    await fs.cp(at("t"), at("files"), { recursive: true, dereference: true });
    return [await fs.readlink(at("copy/link")), below(at("files"))];
  },
  "cp keeps times": async (fs, at) => {
    makeTree(at);
    await fs.utimes(at("t/one"), 1_000_000, 2_000_000);
    await fs.cp(at("t"), at("copy"), { recursive: true, preserveTimestamps: true });
    return (await fs.stat(at("copy/one"))).mtimeMs;
  },
  "cp by its mode, and over some names": async (fs, at) => {
    makeTree(at);
    chmodSync(at("t/one"), 0o4711);
    const { COPYFILE_EXCL, COPYFILE_FICLONE, COPYFILE_FICLONE_FORCE } = fs.constants;
    const all = { recursive: true };
    await fs.cp(at("t"), at("shared"), { ...all, mode: COPYFILE_FICLONE });
    const forced = { ...all, mode: COPYFILE_FICLONE_FORCE };
    const error = await fs.cp(at("t"), at("forced"), forced).catch(({ code }) => code);
    writeFileSync(at("shared/one"), "own");
    await fs.rm(at("shared/Two"));
    await fs.cp(at("t"), at("shared"), { ...all, mode: COPYFILE_EXCL, force: false });
    const { mode } = await fs.stat(at("shared/one"));
    return [error, mode, below(at("shared")), await fs.readFile(at("shared/one"), "utf8")];
  },
  "cp that has failed goes on with nothing": async (fs, at) => {
    mkdirSync(at("many"));
    for (let index = 0; index < 300; index++) writeFileSync(at(`many/${index}`), "x");
    let asked = 0;
    const filter = (): boolean => {
      if (++asked === 20) throw new Error("of the program");
      return true;
    };
    const given = { recursive: true, filter };
    const error = await fs.cp(at("many"), at("copy"), given).catch(({ message }) => message);
    const made = readdirSync(at("copy")).length;
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
    return [error, readdirSync(at("copy")).length - made];
  },
  "cp that fails": async (fs, at) => {
    makeTree(at);
    return errorsOf([
      () => fs.cp(at("none"), at("copy")),
      () => fs.cp(at("t"), at("copy")),
      () => fs.cp(at("t/one"), at("t/one")),
      () => fs.cp(at("t"), at("t/one"), { recursive: true }),
      () => fs.cp(at("t/one"), at("t/a")),
      () => fs.cp(at("t"), at("t/a/below"), { recursive: true }),
      () => fs.cp(at("t/one"), at("t/Two"), { force: false, errorOnExist: true }),
      () => fs.cp(at("t"), at("copy"), wrong({ recursive: 1 })),
      () => fs.cp(at("t"), at("copy"), wrong({ filter: 1 })),
      () => fs.cp(at("t"), at("copy"), { mode: 99 }),
      () => fs.cp(at("t"), at("copy"), { dereference: true, verbatimSymlinks: true }),
      () => fs.cp(wrong(5), at("copy")),
    ]);
  },
};

const attributes: Record<string, Program> = {
  chmod: async (fs, at) => {
    makeTree(at);
    await fs.chmod(at("t/one"), 0o600);
    await fs.chmod(at("t/Two"), "755");
    await fs.chmod(at("t/link"), 0o444);
    return [below(at("t")), await fs.chmod(at("none"), 0o600).catch((error) => error)];
  },
  chown: async (fs, at) => {
    makeTree(at);
    const { uid, gid } = await fs.stat(at("t"));
    return errorsOf([
      () => fs.chown(at("t/one"), uid, gid),
      () => fs.chown(at("t/one"), -1, -1),
      () => fs.lchown(at("t/broken"), uid, gid),
      () => fs.chown(at("t/broken"), uid, gid),
      () => fs.lchown(at("none"), uid, gid),
    ]);
  },
  utimes: async (fs, at) => {
    makeTree(at);
    await fs.utimes(at("t/one"), 1_000_000.5, "2000000");
    await fs.utimes(at("t/link"), new Date(3_000_000_000), new Date(4_000_000_000));
    await fs.lutimes(at("t/broken"), 5, 6.25);
    const stats = [await fs.stat(at("t/one")), await fs.lstat(at("t/broken"))];
    const failed = [
      await fs.utimes(at("none"), 1, 1).catch((error) => error),
      await fs.lutimes(at("none"), 1, 1).catch((error) => error),
    ];
    return [stats.map(({ atimeMs, mtimeMs }) => [atimeMs, mtimeMs]), failed];
  },
  "of an open file": async (fs, at) => {
    const handle = await fs.open(at("f"), "w");
    await handle.chmod(0o604);
    await handle.utimes(7, new Date(8000));
    const { uid, gid } = await handle.stat();
    await handle.chown(uid, gid);
    const { mode, atimeMs, mtimeMs } = await handle.stat();
    await handle.close();
    return [mode, atimeMs, mtimeMs];
  },
  "stat in bigints": async (fs, at) => {
    writeFileSync(at("f"), "12345");
    const stats = await fs.stat(at("f"), { bigint: true });
    const theirs = lstatSync(at("f"), { bigint: true });
    const handle = await fs.open(at("f"));
    const open = await handle.stat({ bigint: true });
    await handle.close();
    const names = ["ino", "dev", "mtimeNs", "ctimeNs", "birthtimeNs", "mtimeMs", "blocks"] as const;
    return [
      Object.keys(stats),
      names.map((name) => [stats[name] === theirs[name], open[name] === theirs[name]]),
      [stats.size, stats.isFile(), stats.isDirectory(), stats.mtime.getTime() > 0],
      stats.constructor.name,
    ];
  },
  access: async (fs, at) => {
    makeTree(at);
    const { R_OK, W_OK, X_OK } = fs.constants;
    return errorsOf([
      () => fs.access(at("t/one"), R_OK | W_OK),
      () => fs.access(at("t/one"), X_OK),
      () => fs.access(at("t"), R_OK | W_OK | X_OK),
      () => fs.access(at("t/broken")),
      () => fs.access(at("none"), R_OK),
      () => fs.access(at("t/one"), wrong(1.5)),
    ]);
  },
  statfs: async (fs, at) => {
    const numbers = await fs.statfs(at(""));
    const bigints = await fs.statfs(at(""), { bigint: true });
    return [
      [Object.keys(numbers), numbers.type, numbers.bsize, numbers.blocks, numbers.files],
      [bigints.type, bigints.bsize, bigints.blocks],
      await fs.statfs(at("none")).catch((error) => error),
    ];
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

// Node removes it: a copy to "/dev/null" by root would be the end of that for the whole system.
test("copyFile to what is no file fails, and leaves it", async () => {
  const path = join(mkdtempSync(join(tmpdir(), "io-node-fs-")), "fifo");
  execFileSync("mkfifo", ["-m", "604", path]);
  const both = openSync(path, constants.O_RDWR | constants.O_NONBLOCK); // no open of it waits
  try {
    const error = await ours.copyFile(process.execPath, path).catch((thrown) => thrown);
    const mode = lstatSync(path, { throwIfNoEntry: false })?.mode;
    assert.equal([error?.code, mode], ["EINVAL", constants.S_IFIFO | 0o604]);
  } finally {
    closeSync(both);
    rmSync(dirname(path), { recursive: true });
  }
});

compare("listing", listing);
compare("removing", removing);
compare("copying", copying);
compare("attributes", attributes);

test.run();
