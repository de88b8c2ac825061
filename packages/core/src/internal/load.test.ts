// Which engine is loaded, and what is said of one that cannot be.

import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { IOError } from "../errors.js";
import { loadNative } from "./load.js";

const test = suite("load");
const built = fileURLToPath(new URL("../../../../build/Release/io.node", import.meta.url));

function failure(): IOError {
  try {
    loadNative();
  } catch (error) {
    assert.instance(error, IOError);
    return error as IOError;
  }
  throw new Error("it was loaded");
}

// In this order: what is loaded stays loaded.
test("IO_ENGINE names an engine that is not there", () => {
  process.env["IO_ENGINE"] = "/nowhere/io.node";
  const error = failure();
  assert.is(error.code, "ERR_IO_ENGINE_MISSING");
  assert.is(error.path, "/nowhere/io.node");
  assert.match(error.message, /IO_ENGINE names the engine \/nowhere\/io\.node.*unset IO_ENGINE/);
});

test("IO_ENGINE names something else", () => {
  const folder = mkdtempSync(join(tmpdir(), "io-load-"));
  const path = join(folder, "io.node");
  writeFileSync(path, "no engine");
  process.env["IO_ENGINE"] = path;
  try {
    assert.is(failure().code, "ERR_IO_ENGINE_BROKEN");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("IO_ENGINE is a path from the current folder", () => {
  process.env["IO_ENGINE"] = relative(process.cwd(), built);
  assert.type(loadNative().probe, "function");
});

// A copy of Node that raises the rights of the user who starts it, who is somebody else than we.
const OTHER_USER = 65534;
const raised: readonly [way: string, raise: (program: string) => void][] = [
  ["the set-user-ID bit", (program) => chmodSync(program, 0o4755)],
  ["file capabilities", (program) => execFileSync("setcap", ["cap_net_raw=ep", program])],
];

for (const [way, raise] of raised) {
  const name = `IO_ENGINE does not count in a program with ${way}`;
  const hasTool = way !== "file capabilities" || spawnSync("setcap", ["-h"]).error === undefined;
  if (process.platform !== "linux" || process.getuid?.() !== 0 || !hasTool) {
    test.skip(name);
    process.stdout.write(`skipped: ${name}: it needs Linux, root and setcap\n`);
    continue;
  }
  test(name, () => {
    const folder = mkdtempSync(join(tmpdir(), "io-load-"));
    try {
      chmodSync(folder, 0o755);
      const program = join(folder, "node");
      copyFileSync(process.execPath, program);
      const load = new URL("./load.js", import.meta.url).href;
      const source = `import(${JSON.stringify(load)}).then(({ loadNative }) =>
        console.log(typeof loadNative().probe), (error) => console.log(error.code));`;
      const run = (): string => {
        const env = { ...process.env, IO_ENGINE: "/nowhere/io.node" };
        const options = { env, cwd: "/", uid: OTHER_USER, gid: OTHER_USER };
        const { stdout, stderr } = spawnSync(program, ["-e", source], options);
        return `${stdout}${stderr}`;
      };
      chmodSync(program, 0o755);
      assert.match(run(), /ERR_IO_ENGINE_MISSING/, "without them it counts");
      raise(program);
      assert.match(run(), /^function/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test.run();
