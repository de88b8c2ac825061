// Which engine is loaded, and what is said of one that cannot be.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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

test.run();
