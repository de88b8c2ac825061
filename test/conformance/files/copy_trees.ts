// Copies of files, links and whole trees.

import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import {
  CopyFlags,
  type CopyTreeProgress,
  type Directory,
  IO,
  type IOError,
  OpenFlags,
  ResolveFlags,
} from "@io/core";
import * as assert from "uvu/assert";
import { runChildTool, runChildWithDescriptors } from "../support/children.js";
import type { Suite, Trial } from "../support/harness.js";
import { failure, failureCode, negative, outcome, success } from "../support/verbs.js";

// After so many bytes of a file a copy tells how far it is.
const PART_BYTES = 16 * 1024 * 1024;
// Runs in a thread of its own, and says when it begins.
const copyingWorker = fileURLToPath(new URL("./copying_worker.js", import.meta.url));
const wrong = new Error("of the program");

/** Each name below a directory, with what it is. */
function contents(folder: string): Record<string, string> {
  const all: Record<string, string> = {};
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
    const path = `${folder}/${name}`;
    const stat = lstatSync(path);
    const mode = (stat.mode & 0o7777).toString(8);
    if (stat.isSymbolicLink()) all[name] = `-> ${readlinkSync(path)}`;
    else if (stat.isDirectory()) all[name] = `directory ${mode}`;
    else all[name] = `file ${mode} ${readFileSync(path, "latin1")}`;
  }
  return all;
}

function source(trial: Trial, name = "source"): string {
  const path = trial.path(name);
  mkdirSync(`${path}/a/b/c`, { recursive: true });
  mkdirSync(`${path}/wide`);
  for (let index = 0; index < 300; index++) writeFileSync(`${path}/wide/${index}`, `${index}`);
  writeFileSync(`${path}/a/b/c/deep`, "deep");
  writeFileSync(`${path}/run`, "x");
  chmodSync(`${path}/run`, 0o777);
  writeFileSync(`${path}/private`, "x", { mode: 0o600 });
  writeFileSync(`${path}/empty`, "");
  symlinkSync("../outside", `${path}/out`);
  symlinkSync("missing", `${path}/a/broken`);
  return path;
}

function registerWhole(suite: Suite): void {
  suite.test("a tree is copied with permissions and links, and told", async (trial) => {
    const io = await trial.open();
    const from = source(trial);
    chmodSync(`${from}/a/b`, 0o555); // nothing could be made in it
    const to = trial.path("made/on/the/way/copy");
    const told: CopyTreeProgress[] = [];
    const { descriptors } = io.stats();
    const onProgress = (progress: CopyTreeProgress): void => void told.push(progress);
    const made = await io.cp(`${from}/`, to, { recursive: true, onProgress });
    assert.equal(contents(to), contents(from));
    assert.is(statSync(to).mode, statSync(from).mode);
    const bytes = Object.values(contents(from)).reduce((sum, text) => {
      return text.startsWith("file") ? sum + text.split(" ").slice(2).join(" ").length : sum;
    }, 0);
    assert.equal(made, { files: 304, directories: 5, links: 2, bytes });
    assert.equal(told.at(-1), made);
    assert.is(told.length, 311);
    assert.ok(told.every((one, index) => index === 0 || one.bytes >= told[index - 1]!.bytes));
    assert.is(io.stats().descriptors, descriptors);
    chmodSync(`${from}/a/b`, 0o755);
    chmodSync(`${to}/a/b`, 0o755);
  });

  suite.test("times are copied when that is asked for", async (trial) => {
    const io = await trial.open();
    const from = trial.path("from");
    mkdirSync(`${from}/a`, { recursive: true });
    writeFileSync(`${from}/a/file`, "x");
    symlinkSync("a", `${from}/link`);
    for (const name of ["a/file", "a", "."]) utimesSync(`${from}/${name}`, 1000, 2000.25);
    await io.utimes(`${from}/link`, 1e6, 3e6, { followLinks: false });
    await io.cp(from, trial.path("to"), { recursive: true, preserveTimestamps: true });
    for (const name of [".", "a", "a/file"]) {
      assert.is(statSync(`${trial.path("to")}/${name}`).mtimeMs, 2_000_250, name);
    }
    assert.is(lstatSync(trial.path("to/link")).mtimeMs, 3e6);
    await io.cp(from, trial.path("new"), { recursive: true });
    assert.ok(statSync(trial.path("new/a/file")).mtimeMs > 2_000_250);
  });

  suite.test("a file and a link are copied alone", async (trial) => {
    const io = await trial.open();
    const file = trial.path("file");
    writeFileSync(file, "x".repeat(100_000), { mode: 0o640 });
    symlinkSync("file", trial.path("link"));
    assert.is((await io.cp(file, trial.path("copy"))).bytes, 100_000);
    assert.is(statSync(trial.path("copy")).mode & 0o777, 0o640);
    assert.is((await io.cp(trial.path("link"), trial.path("other"))).links, 1);
    assert.is(readlinkSync(trial.path("other")), "file");
    if (existsSync("/proc/version")) {
      await io.cp("/proc/version", trial.path("version"));
      assert.is(readFileSync(trial.path("version"), "utf8"), readFileSync("/proc/version", "utf8"));
    }
  });

  suite.test("a filter leaves names out, with what is below them", async (trial) => {
    const io = await trial.open();
    const from = source(trial);
    const asked: string[] = [];
    const made = await io.cp(from, trial.path("copy"), {
      recursive: true,
      filter: async (path, destination) => {
        assert.is(destination, path.replace("source", "copy"));
        asked.push(path);
        return !path.endsWith("/a") && !path.endsWith("/wide");
      },
    });
    assert.equal(made, { files: 3, directories: 1, links: 1, bytes: 2 });
    assert.equal(readdirSync(trial.path("copy")).sort(), ["empty", "out", "private", "run"]);
    assert.is(asked.length, 7);
    assert.equal(await io.cp(from, trial.path("none"), { filter: () => false }), {
      ...{ files: 0, directories: 0, links: 0, bytes: 0 },
    });
  });
}

function registerThere(suite: Suite): void {
  suite.test("what is there is replaced, kept or an error", async (trial) => {
    const io = await trial.open();
    const from = trial.path("from");
    const to = trial.path("to");
    const target = trial.path("target");
    const fill = (): void => {
      rmSync(to, { recursive: true, force: true });
      for (const folder of [`${from}/sub`, `${to}/sub`]) mkdirSync(folder, { recursive: true });
      writeFileSync(`${from}/sub/file`, "new");
      writeFileSync(target, "target");
      symlinkSync(target, `${to}/sub/file`);
      writeFileSync(`${to}/own`, "own");
      chmodSync(to, 0o750);
    };
    fill();
    assert.is((await io.cp(from, to, { recursive: true })).directories, 0);
    // In place of the link, and not through it.
    assert.equal(contents(`${to}/sub`), contents(`${from}/sub`));
    assert.is(readFileSync(target, "utf8"), "target");
    assert.is(readFileSync(`${to}/own`, "utf8"), "own");
    assert.is(statSync(to).mode & 0o777, 0o750);
    fill();
    assert.is((await io.cp(from, to, { recursive: true, force: false })).files, 0);
    assert.is(readlinkSync(`${to}/sub/file`), target);
    const strict = { recursive: true, force: false, errorOnExist: true };
    const error = await failure(io.cp(from, to, strict));
    assert.equal([error.code, error.path], ["EEXIST", `${from}/sub/file`]);
    assert.is(error.dest, `${to}/sub/file`);
    // A directory in the way of a file, and a file in that of a directory.
    mkdirSync(`${to}/other`);
    assert.is(await failureCode(io.cp(`${from}/sub/file`, `${to}/other`)), "EISDIR");
    writeFileSync(trial.path("file"), "");
    assert.is(await failureCode(io.cp(from, trial.path("file"), { recursive: true })), "ENOTDIR");
    assert.is(await failureCode(io.cp(from, trial.path("no"))), "EISDIR");
    assert.is(await failureCode(io.cp(trial.path("missing"), trial.path("no"))), "ENOENT");
  });

  suite.test("a tree is not copied into itself", async (trial) => {
    const io = await trial.open();
    const from = source(trial);
    const all = { recursive: true };
    for (const to of [`${from}/a/new`, `${from}/a`, from, `${from}/../source/a/x`]) {
      const error = await failure(io.cp(from, to, all));
      assert.is(error.code, "EINVAL", to);
      assert.is(error.dest, to);
    }
    symlinkSync("source/a", trial.path("way"));
    assert.is(await failureCode(io.cp(from, trial.path("way"), all)), "EINVAL");
    assert.is(await failureCode(io.cp(from, trial.path("way/b/new"), all)), "EINVAL");
    assert.equal(readdirSync(`${from}/a`).sort(), ["b", "broken"]);
    const file = `${from}/run`;
    assert.match((await failure(io.cp(file, file))).message, "the same file");
    assert.is(readFileSync(file, "utf8"), "x");
    // The other way round is a copy as any other.
    await io.cp(`${from}/a`, from, all);
    assert.is(readFileSync(`${from}/b/c/deep`, "utf8"), "deep");
  });
}

function registerEnds(suite: Suite): void {
  suite.test("a copy ends by its signal, its time, and what its callbacks throw", async (trial) => {
    const io = await trial.open();
    const from = source(trial);
    const all = { recursive: true };
    const { descriptors } = io.stats();
    const controller = new AbortController();
    const { signal } = controller;
    let count = 0;
    const onProgress = (): void => {
      if (++count === 20) controller.abort(new Error("enough"));
    };
    const ended = await failure(io.cp(from, trial.path("1"), { ...all, signal, onProgress }));
    assert.is(ended.code, "ABORT_ERR");
    assert.ok(readdirSync(trial.path("1"), { recursive: true }).length < 311);
    assert.is(await failureCode(io.cp(from, trial.path("2"), { ...all, signal })), "ABORT_ERR");
    assert.is(existsSync(trial.path("2")), false);
    const late = await failureCode(io.cp(from, trial.path("3"), { ...all, timeoutMs: 0 }));
    assert.is(late, "ETIMEDOUT");
    const throws = (): never => {
      throw wrong;
    };
    for (const name of ["filter", "onProgress"]) {
      const given = { ...all, [name]: throws };
      const thrown = await io.cp(from, trial.path("4"), given).catch((error: unknown) => error);
      assert.is(thrown, wrong);
    }
    assert.is(io.stats().descriptors, descriptors);
  });

  suite.test("a copy stays below its directories", async (trial) => {
    const io = await trial.open();
    mkdirSync(trial.path("root/sub"), { recursive: true });
    writeFileSync(trial.path("root/sub/file"), "x");
    symlinkSync("..", trial.path("root/up"));
    await using root = await io.openDirectory(trial.path("root"), { resolve: { beneath: true } });
    const all = { recursive: true };
    assert.is((await root.cp("sub", "new/copy", all)).files, 1);
    for (const out of ["../copy", "up/copy", trial.path("copy")]) {
      assert.is(await failureCode(root.cp("sub", out, all)), "ERR_IO_RESOLVE", out);
      assert.is(await failureCode(root.cp(out, "more", all)), "ERR_IO_RESOLVE", out);
    }
    assert.is(existsSync(trial.path("copy")), false);
    await root.cp("sub", trial.path("copy"), { ...all, toDirectory: io });
    assert.is(readFileSync(trial.path("copy/file"), "utf8"), "x");
  });
}

function registerChanges(suite: Suite): void {
  suite.test("a tree that changes meanwhile leads nowhere else", async (trial) => {
    const io = await trial.open();
    const from = source(trial);
    mkdirSync(trial.path("secret"));
    writeFileSync(trial.path("secret/deep"), "secret");
    let swapped = 0;
    let made = 0;
    for (let turn = 0; turn < 6; turn++) {
      const to = trial.path(`copy-${turn}`);
      await io
        .cp(from, to, {
          recursive: true,
          filter: (path) => {
            // The directory was found, and is a link when it is opened.
            if (path.endsWith("/a/b/c") && turn % 2 === 0) {
              renameSync(path, trial.path("aside"));
              symlinkSync(trial.path("secret"), path);
              swapped++;
            }
            return true;
          },
        })
        .then(
          () => made++,
          (error: IOError) => {
            assert.ok(["ELOOP", "ENOTDIR", "ERR_IO_RESOLVE"].includes(error.code), error.message);
          },
        );
      assert.is(
        existsSync(`${to}/a/b/c/deep`) && readFileSync(`${to}/a/b/c/deep`, "utf8") !== "deep",
        false,
      );
      if (turn % 2 === 0) {
        rmSync(`${from}/a/b/c`);
        renameSync(trial.path("aside"), `${from}/a/b/c`);
      }
    }
    assert.equal([swapped, made], [3, 3]);
    // What is removed meanwhile is left out.
    const rest = await io.cp(from, trial.path("rest"), {
      recursive: true,
      filter: (path) => {
        if (path.endsWith("/private")) rmSync(path);
        if (path.endsWith("/a/b")) rmSync(path, { recursive: true });
        return true;
      },
    });
    assert.is(rest.files, 302);
    assert.is(existsSync(trial.path("rest/private")), false);
  });
}

function registerFailures(suite: Suite): void {
  suite.test("a copy that fails leaves what was there before", async (trial) => {
    const io = await trial.open();
    const from = trial.path("from");
    const to = trial.path("to");
    for (const folder of [from, to]) mkdirSync(folder);
    writeFileSync(`${from}/file`, "new");
    truncateSync(`${from}/file`, PART_BYTES + 1);
    writeFileSync(`${to}/file`, "precious");
    const controller = new AbortController();
    const { signal } = controller;
    const thrown = await io
      .cp(from, to, {
        ...{ recursive: true, reflink: "never", signal },
        onProgress: () => controller.abort(),
      })
      .catch((error: IOError) => error.code);
    assert.is(thrown, "ABORT_ERR");
    assert.equal(contents(to), { file: "file 644 precious" });
    // Many names, of which some are being replaced.
    const all = source(trial);
    const copy = trial.path("copy");
    await io.cp(all, copy, { recursive: true });
    let count = 0;
    const onProgress = (): void => {
      if (++count === 20) throw wrong;
    };
    const again = io.cp(all, copy, { recursive: true, onProgress });
    assert.is(await again.catch((error: unknown) => error), wrong);
    assert.equal(contents(copy), contents(all));
  });

  suite.test("a copy that fails leaves directories with their permissions", async (trial) => {
    const io = await trial.open();
    const from = source(trial);
    chmodSync(`${from}/a`, 0o751);
    const to = trial.path("copy");
    const filter = (path: string): boolean => {
      if (path.endsWith("/deep")) throw wrong;
      return true;
    };
    const thrown = await io
      .cp(from, to, { recursive: true, filter })
      .catch((error: unknown) => error);
    assert.is(thrown, wrong);
    for (const name of ["", "/a", "/a/b", "/a/b/c", "/wide"]) {
      assert.is(statSync(to + name).mode, statSync(from + name).mode, name);
    }
    // One whose turn has not come.
    const early = trial.path("early");
    let made = 0;
    const onProgress = ({ directories }: CopyTreeProgress): void => {
      made = directories;
      if (directories === 2) throw wrong;
    };
    await io.cp(from, early, { recursive: true, onProgress }).catch(() => undefined);
    assert.ok(made >= 2);
    for (const [name, what] of Object.entries(contents(early))) {
      if (what.startsWith("directory")) assert.is(what, contents(from)[name], name);
    }
    assert.is(statSync(early).mode, statSync(from).mode);
    await io.cp(from, to, { recursive: true });
    assert.equal(contents(to), contents(from));
  });
}

function registerLimits(suite: Suite): void {
  suite.test("a copy needs few descriptors", async (trial) => {
    const from = trial.path("from");
    for (let folder = 0; folder < 8; folder++) {
      mkdirSync(`${from}/${folder}`, { recursive: true });
      for (let index = 0; index < 60; index++) writeFileSync(`${from}/${folder}/${index}`, "x");
    }
    const environment = { COPY_FROM: from, COPY_TO: trial.path("to") };
    const ended = await runChildWithDescriptors(64, "copy-tree", suite.backend, environment);
    assert.equal(ended, { status: 0, signal: null, output: "480 files\n" });
    assert.equal(contents(trial.path("to")), contents(from));
  });

  suite.test("a filter that never answers ends with the call", async (trial) => {
    const io = await trial.open();
    const from = source(trial);
    const never = new Promise(() => undefined);
    for (const name of ["source", "deep"]) {
      const controller = new AbortController();
      const { signal } = controller;
      const filter = (path: string): unknown => {
        if (!path.endsWith(name)) return true;
        queueMicrotask(() => controller.abort());
        return never;
      };
      const given = { recursive: true, filter };
      const to = trial.path(`${name}-copy`);
      assert.is(await failureCode(io.cp(from, to, { ...given, signal })), "ABORT_ERR", name);
      assert.is(await failureCode(io.cp(from, to, { ...given, timeoutMs: 50 })), "ETIMEDOUT");
    }
    const other = await IO.open({ backend: suite.backend });
    const closes = (): unknown => {
      queueMicrotask(() => void other.close());
      return never;
    };
    assert.is(
      await failureCode(other.cp(from, trial.path("y"), { filter: closes })),
      "ERR_IO_CLOSED",
    );
    // Another name fails meanwhile.
    const filter = (path: string): unknown => {
      if (path.endsWith("/run")) throw wrong;
      return path.endsWith("/private") ? never : true;
    };
    const thrown = await io
      .cp(from, trial.path("x"), { recursive: true, filter })
      .catch((error: unknown) => error);
    assert.is(thrown, wrong);
  });
}

function registerDetails(suite: Suite): void {
  suite.test("a copy into itself is refused before anything is made", async (trial) => {
    const io = await trial.open();
    const from = source(trial);
    const before = contents(from);
    assert.is(await failureCode(io.cp(from, `${from}/x/y`, { recursive: true })), "EINVAL");
    assert.is(await failureCode(io.cp(from, `${from}/a/x/y/z`, { recursive: true })), "EINVAL");
    assert.equal(contents(from), before);
    const same = { force: false };
    assert.is(await failureCode(io.cp(`${from}/run`, `${from}/run`, same)), "EINVAL");
  });

  suite.test("times are copied to the nanosecond", async (trial) => {
    const io = await trial.open();
    const from = source(trial);
    const to = trial.path("copy");
    runChildTool("touch", "-d", "2001-02-03T04:05:06.123456789Z", `${from}/run`, `${from}/a`);
    runChildTool("touch", "-h", "-d", "2026-02-03T04:05:06.987654321Z", `${from}/out`);
    runChildTool(
      "touch",
      "-d",
      "1960-02-03T04:05:06.000000001Z",
      `${from}/private`,
      `${from}/wide`,
    );
    mkdirSync(to);
    writeFileSync(`${to}/run`, "is replaced");
    await io.cp(from, to, { recursive: true, preserveTimestamps: true });
    for (const name of ["", ...readdirSync(from, { recursive: true, encoding: "utf8" })]) {
      const own = lstatSync(`${from}/${name}`, { bigint: true }).mtimeNs;
      const copied = lstatSync(`${to}/${name}`, { bigint: true }).mtimeNs;
      if (name !== "") assert.is(copied, own, name); // which was there
    }
  });

  suite.test("setuid is copied for the same owner only", async (trial) => {
    const io = await trial.open();
    const from = trial.path("from");
    writeFileSync(from, "x");
    chmodSync(from, 0o4755);
    await io.cp(from, trial.path("own"));
    assert.is(statSync(trial.path("own")).mode & 0o7777, 0o4755);
    if (process.getuid?.() !== 0) return; // no other owner can be given
    chownSync(from, 65534, 65534);
    chmodSync(from, 0o6755);
    await io.cp(from, trial.path("other"));
    assert.is(statSync(trial.path("other")).mode & 0o7777, 0o755);
  });

  suite.test("a filter gets paths as they were given", async (trial) => {
    const io = await trial.open();
    mkdirSync(trial.path("sub"));
    writeFileSync(trial.path("sub/file"), "x");
    const given = relative(process.cwd(), trial.path("sub"));
    const asked: string[][] = [];
    const filter = (...paths: string[]): boolean => asked.push(paths) > 0;
    await io.cp(`./${given}`, trial.path("to"), { recursive: true, filter });
    assert.equal(asked, [
      [`./${given}`, trial.path("to")],
      [join(given, "file"), trial.path("to/file")],
    ]);
  });

  suite.test("a slash at the end follows a link, and asks for a directory", async (trial) => {
    const io = await trial.open();
    mkdirSync(trial.path("sub"));
    writeFileSync(trial.path("sub/file"), "x");
    symlinkSync("sub", trial.path("link"));
    await io.cp(`${trial.path("link")}/`, trial.path("to"), { recursive: true });
    assert.equal(contents(trial.path("to")), contents(trial.path("sub")));
    assert.ok(lstatSync(trial.path("to")).isDirectory());
    const file = `${trial.path("sub/file")}/`;
    assert.is(await failureCode(io.cp(file, trial.path("no"))), "ENOTDIR");
  });
}

function registerGrowth(suite: Suite): void {
  suite.test("a file that grows meanwhile is copied as far as it was", async (trial) => {
    const io = await trial.open();
    const from = trial.path("from");
    writeFileSync(from, "x");
    truncateSync(from, PART_BYTES + 5);
    const onProgress = (): void => appendFileSync(from, "more of it");
    const made = await io.cp(from, trial.path("to"), { reflink: "never", onProgress });
    assert.is(made.bytes, PART_BYTES + 5);
    assert.is(statSync(trial.path("to")).size, PART_BYTES + 5);
  });

  suite.test("directories that are removed meanwhile are left out", async (trial) => {
    const io = await trial.open();
    const from = source(trial);
    const long = "n".repeat(200);
    mkdirSync(`${from}/long`); // its names are read in many batches
    for (let index = 0; index < 1500; index++) writeFileSync(`${from}/long/${index}${long}`, "");
    const to = trial.path("copy");
    const filter = (path: string): boolean => {
      if (path.endsWith("/a/b")) rmSync(path, { recursive: true });
      if (path.endsWith(long)) rmSync(`${from}/long`, { recursive: true, force: true });
      return true;
    };
    await io.cp(from, to, { recursive: true, filter });
    assert.equal(readdirSync(`${to}/a`), ["broken"]);
    for (const [name, what] of Object.entries(contents(to))) {
      assert.is.not(what, "directory 700", name);
    }
  });
}

function registerVerb(suite: Suite): void {
  suite.test("the ring copies a file in one call, or leaves nothing", async (trial) => {
    const io = await trial.open();
    const { ring } = io;
    const copy = (from: string, to: string, flags = 0): Promise<number> =>
      outcome(io, (c, done) => ring.copyFile(c, done, trial.path(from), trial.path(to), flags));
    writeFileSync(trial.path("from"), "x".repeat(100_000));
    chmodSync(trial.path("from"), 0o666); // more than the mask of the process leaves
    utimesSync(trial.path("from"), 1000, 2000.25);
    assert.is(await copy("from", "to"), 100_000);
    assert.is(statSync(trial.path("to")).mode & 0o7777, 0o666);
    assert.equal(readFileSync(trial.path("to")), readFileSync(trial.path("from")));
    assert.is(await copy("from", "timed", CopyFlags.times), 100_000);
    assert.is(statSync(trial.path("timed")).mtimeMs, 2_000_250);
    const shared = await copy("from", "shared", CopyFlags.reflinkOnly);
    assert.is(existsSync(trial.path("shared")), shared === 100_000);
    assert.is(await copy("from", "maybe", CopyFlags.reflink), 100_000);
    writeFileSync(trial.path("empty"), "");
    assert.is(await copy("empty", "none"), 0);
    writeFileSync(trial.path("large"), "");
    truncateSync(trial.path("large"), PART_BYTES);
    assert.is(await copy("large", "whole"), PART_BYTES);
    truncateSync(trial.path("large"), PART_BYTES + 1);
    symlinkSync("from", trial.path("link"));
    mkdirSync(trial.path("sub"));
    writeFileSync(trial.path("special"), "");
    chmodSync(trial.path("special"), 0o4755);
    const refused = [
      ...([
        ["large", "EFBIG"],
        ["link", "ELOOP"],
        ["sub", "EINVAL"],
      ] as const),
      ...([
        ["special", "ENOTSUP"],
        ["missing", "ENOENT"],
        ["from/", "ENOTDIR"],
      ] as const),
    ];
    for (const [from, code] of refused) {
      assert.is(await copy(from, "not made"), negative(code), from);
      assert.is(existsSync(trial.path("not made")), false, from);
    }
    assert.is(await copy("empty", "to"), negative("EEXIST"));
    assert.is(statSync(trial.path("to")).size, 100_000);
    assert.is(await copy("from", "sub/no/such"), negative("ENOENT"));
    const at = await success(io, (c, done) =>
      ring.open(c, done, trial.path("sub"), OpenFlags.read | OpenFlags.directory, 0),
    );
    const { beneath } = ResolveFlags;
    const under = (from: string, to: string): Promise<number> =>
      outcome(io, (c, done) => ring.copyFile(c, done, from, to, 0, at, at, beneath));
    writeFileSync(trial.path("sub/own"), "own");
    assert.is(await under("own", "./copy"), 3);
    assert.is(await under("../from", "out"), negative("EXDEV"));
    assert.is(await under("own", "../out"), negative("EXDEV"));
    assert.is(readFileSync(trial.path("sub/copy"), "utf8"), "own");
  });
}

function registerAtOnce(suite: Suite): void {
  suite.test("a tree deeper than a path may be is copied", async (trial) => {
    const io = await trial.open();
    const name = "n".repeat(200);
    const open: Directory[] = [];
    mkdirSync(trial.path("from"));
    const { descriptors } = io.stats();
    open.push(await io.openDirectory(trial.path("from")));
    for (let depth = 0; depth < 44; depth++) {
      const at = open.at(-1) as Directory;
      await at.mkdir(name);
      await (await at.openFile("file", { write: true, create: true })).close();
      open.push(await at.openDirectory(name));
    }
    await Promise.all(open.map((directory) => directory.close()));
    const made = await io.cp(trial.path("from"), trial.path("to"), { recursive: true });
    assert.equal([made.files, made.directories], [44, 45]);
    let at = await io.openDirectory(trial.path("to"));
    for (let depth = 0; depth < 44; depth++) {
      assert.equal((await at.readdir(".")).sort(), ["file", name]);
      const next = await at.openDirectory(name);
      await at.close();
      at = next;
    }
    await at.close();
    assert.is(io.stats().descriptors, descriptors);
    for (const folder of ["from", "to"]) await io.rm(trial.path(folder), { recursive: true });
  });

  suite.test("no directory stays its owner's alone when its source is gone", async (trial) => {
    const io = await trial.open();
    const from = trial.path("from");
    for (let index = 0; index < 12; index++) {
      mkdirSync(`${from}/a/${index}`, { recursive: true });
      writeFileSync(`${from}/a/${index}/file`, "x");
    }
    mkdirSync(trial.path("secret"));
    const filter = (path: string): boolean => {
      if (!path.endsWith("/file")) return true;
      // The directories are made, and most of them wait for their turn.
      renameSync(`${from}/a`, trial.path("aside"));
      symlinkSync(trial.path("secret"), `${from}/a`);
      throw wrong;
    };
    const to = trial.path("to");
    const copy = io.cp(from, to, { recursive: true, filter });
    assert.is(await copy.catch((error: unknown) => error), wrong);
    for (const [name, what] of Object.entries(contents(to))) {
      assert.is.not(what, "directory 700", name);
    }
    assert.is(statSync(`${to}/a`).mode & 0o777, statSync(trial.path("aside")).mode & 0o777);
  });

  suite.test("several copies to one place end with a whole tree", async (trial) => {
    const io = await trial.open();
    const from = source(trial);
    const to = trial.path("copy");
    const { descriptors } = io.stats();
    const all = { recursive: true, preserveTimestamps: true };
    await Promise.all(Array.from({ length: 4 }, () => io.cp(from, to, all)));
    assert.equal(contents(to), contents(from));
    assert.is(io.stats().descriptors, descriptors);
  });

  suite.test("a Worker that is killed leaves whole files, and the copy goes on", async (trial) => {
    const io = await trial.open();
    const from = source(trial);
    const to = trial.path("copy");
    for (let round = 0; round < 6; round++) {
      const worker = new Worker(copyingWorker, {
        workerData: { backend: suite.backend, from, to },
      });
      await once(worker, "message");
      for (let turn = 0; turn < round * 3; turn++) await new Promise(setImmediate);
      await worker.terminate();
    }
    await io.cp(from, to, { recursive: true });
    const copied = contents(to);
    for (const [name, what] of Object.entries(contents(from))) {
      if (what.startsWith("directory")) continue; // perhaps still their owner's alone
      assert.is(copied[name], what, name);
    }
  });
}

export function filesCopyTrees(suite: Suite): void {
  registerWhole(suite);
  registerThere(suite);
  registerEnds(suite);
  registerChanges(suite);
  registerFailures(suite);
  registerLimits(suite);
  registerDetails(suite);
  registerGrowth(suite);
  registerVerb(suite);
  registerAtOnce(suite);
}
