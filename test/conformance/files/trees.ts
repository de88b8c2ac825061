// Whole trees: directories that are made with their parents, and removed with what is in them.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import * as assert from "uvu/assert";
import type { Suite, Trial } from "../support/harness.js";
import { failure, failureCode } from "../support/verbs.js";

function tree(trial: Trial, name: string, wide = 500): string {
  const path = trial.path(name);
  mkdirSync(`${path}/a/b/c/d`, { recursive: true });
  mkdirSync(`${path}/wide`);
  for (let index = 0; index < wide; index++) writeFileSync(`${path}/wide/${index}`, "x");
  for (const one of ["top", "a/one", "a/b/c/three"]) writeFileSync(`${path}/${one}`, one);
  mkdirSync(trial.path("outside"), { recursive: true });
  writeFileSync(trial.path("outside/kept"), "kept");
  symlinkSync("../outside", `${path}/link`);
  symlinkSync("../../outside/kept", `${path}/a/file`);
  return path;
}

function registerMake(suite: Suite): void {
  suite.test("mkdir makes the parents that are missing", async (trial) => {
    const io = await trial.open();
    await io.mkdir(trial.path("a/b//c/"), { recursive: true, mode: 0o700 });
    assert.is(statSync(trial.path("a/b/c")).mode & 0o777, 0o700);
    await io.mkdir(trial.path("a/b/c"), { recursive: true });
    await using a = await io.openDirectory(trial.path("a"), { resolve: { beneath: true } });
    await a.mkdir("x/y/z", { recursive: true });
    assert.ok(existsSync(trial.path("a/x/y/z")));
    assert.is(await failureCode(a.mkdir("../out/side", { recursive: true })), "ERR_IO_RESOLVE");
    assert.is(existsSync(trial.path("out")), false);
    writeFileSync(trial.path("file"), "");
    const error = await failure(io.mkdir(trial.path("file"), { recursive: true }));
    assert.is(error.code, "EEXIST");
    const below = await failure(io.mkdir(trial.path("file/a/b"), { recursive: true }));
    assert.is(below.code, "ENOTDIR");
    assert.is(await failureCode(io.mkdir("", { recursive: true })), "ENOENT");
    // Many at once, with the same parents.
    const all = Array.from({ length: 20 }, (_, index) =>
      io.mkdir(trial.path(`m/n/o/${index % 4}/p`), { recursive: true }),
    );
    await Promise.all(all);
    assert.equal(readdirSync(trial.path("m/n/o")).sort(), ["0", "1", "2", "3"]);
  });

  suite.test("mkdtemp makes a directory of its own each time", async (trial) => {
    const io = await trial.open();
    const prefix = trial.path("temporary-");
    const made = await Promise.all(Array.from({ length: 20 }, () => io.mkdtemp(prefix)));
    assert.is(new Set(made).size, 20);
    for (const path of made) {
      assert.ok(path.startsWith(prefix));
      assert.is(statSync(path).mode & 0o777, 0o700);
    }
    await using folder = await io.openDirectory(trial.path("."));
    assert.ok(existsSync(trial.path(await folder.mkdtemp("below-"))));
    assert.is(await failureCode(io.mkdtemp(trial.path("none/x"))), "ENOENT");
  });
}

function registerRemove(suite: Suite): void {
  suite.test("rm removes a tree, and follows no link", async (trial) => {
    const io = await trial.open();
    const path = tree(trial, "tree");
    const before = io.stats().descriptors;
    const refused = await failure(io.rm(path));
    assert.is(refused.code, "EISDIR");
    await io.rm(path, { recursive: true });
    assert.is(existsSync(path), false);
    assert.is(readFileSync(trial.path("outside/kept"), "utf8"), "kept");
    assert.is(await failureCode(io.rm(path, { recursive: true })), "ENOENT");
    await io.rm(path, { recursive: true, force: true });
    writeFileSync(path, "a file");
    await io.rm(path);
    symlinkSync("outside", path);
    await io.rm(path, { recursive: true });
    assert.is(readFileSync(trial.path("outside/kept"), "utf8"), "kept");
    assert.is(io.stats().descriptors, before);
  });

  suite.test("rm keeps to the rules of a directory", async (trial) => {
    const io = await trial.open();
    tree(trial, "tree");
    await using root = await io.openDirectory(trial.path("tree"), { resolve: { beneath: true } });
    assert.is(await failureCode(root.rm("../outside", { recursive: true })), "ERR_IO_RESOLVE");
    assert.is(await failureCode(root.rm("link/kept")), "ERR_IO_RESOLVE");
    await root.rm("a", { recursive: true });
    assert.equal(readdirSync(trial.path("tree")).sort(), ["link", "top", "wide"]);
    assert.is(readFileSync(trial.path("outside/kept"), "utf8"), "kept");
  });
}

function registerNames(suite: Suite): void {
  suite.test("a name with a slash behind it is no link that is followed", async (trial) => {
    const io = await trial.open();
    const path = tree(trial, "tree", 10);
    mkdirSync(`${path}/target`);
    writeFileSync(`${path}/target/kept`, "kept");
    symlinkSync("target/", `${path}/to`);
    await using root = await io.openDirectory(path, { resolve: { beneath: true } });
    const options = { recursive: true };
    assert.is(await failureCode(root.rm("to/", options)), "ENOTDIR");
    assert.is(await failureCode(io.rm(`${path}/to/`, options)), "ENOTDIR");
    assert.is(readFileSync(`${path}/target/kept`, "utf8"), "kept");
    assert.is(await failureCode(root.unlink("top/")), "ENOTDIR");
    assert.is(await failureCode(root.stat("top/")), "ENOTDIR");
    assert.ok(existsSync(`${path}/top`));
    assert.ok((await root.stat("to/")).isDirectory());
  });

  suite.test("rm refuses dots at the end of a path", async (trial) => {
    const io = await trial.open();
    const path = tree(trial, "tree", 10);
    for (const name of [`${path}/.`, `${path}/a/..`, `${path}/a/../`]) {
      assert.is(await failureCode(io.rm(name, { recursive: true })), "EINVAL", name);
    }
    assert.is(readFileSync(`${path}/a/one`, "utf8"), "a/one");
  });

  suite.test("rm of many names needs few operations at once", async (trial) => {
    const io = await trial.open({ inFlightLimit: 4 });
    const path = tree(trial, "tree", 200);
    await io.rm(path, { recursive: true });
    assert.is(existsSync(path), false);
  });
}

function registerEnds(suite: Suite): void {
  suite.test("rm ends with an abort, and removes no more", async (trial) => {
    const io = await trial.open();
    const path = tree(trial, "tree");
    const before = io.stats().descriptors;
    const controller = new AbortController();
    const removing = failure(io.rm(path, { recursive: true, signal: controller.signal }));
    await io.nop();
    controller.abort();
    assert.is((await removing).code, "ABORT_ERR");
    const left = readdirSync(path, { recursive: true }).length;
    await io.nop();
    assert.is(readdirSync(path, { recursive: true }).length, left);
    assert.is(io.stats().descriptors, before);
    assert.is(await failureCode(io.rm(path, { recursive: true, timeoutMs: 0 })), "ETIMEDOUT");
    await io.rm(path, { recursive: true });
  });

  suite.test("a link in the place of a directory leads rm nowhere else", async (trial) => {
    const io = await trial.open();
    for (let round = 0; round < 30; round++) {
      const path = tree(trial, `tree${round}`, 10);
      const removing = io.rm(path, { recursive: true }).catch((error) => error.code);
      for (let step = 0; step < round % 7; step++) await io.nop();
      try {
        renameSync(`${path}/a`, trial.path(`away${round}`));
        symlinkSync("../outside", `${path}/a`);
      } catch {
        // It was removed already.
      }
      await removing;
      assert.is(readFileSync(trial.path("outside/kept"), "utf8"), "kept");
    }
  });
}

export function filesTrees(suite: Suite): void {
  registerMake(suite);
  registerRemove(suite);
  registerNames(suite);
  registerEnds(suite);
}
