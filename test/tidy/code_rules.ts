// Rules on the calls of the code: the banned ones, where, and their replacements. The checks of
// Biome for TypeScript are in biome.json.

import type { Fixture, Rule } from "./source.js";
import { findInCode, findInText, isNative, isScript, isTest } from "./source.js";

const isCore = (path: string) => path.startsWith("packages/core/src/") && !isTest(path);
const isEngine = (path: string) => path.startsWith("native/") && isNative(path);

const samples = (path: string, ...texts: string[]): Fixture[] =>
  texts.map((text) => ({ path, text: `${text}\n` }));

const alive: Rule = {
  name: "the library does not end the process",
  applies: isCore,
  check: (source) =>
    findInCode(source, /\bprocess\s*\.\s*(?:exit|abort)\s*\(/, "process.exit: throw"),
  caught: samples("packages/core/src/a.ts", "process.exit(1);"),
  passed: samples("packages/core/src/a.ts", "// Not process.exit().", "process.exitCode = 1;"),
};

const sleepMessage = "a sleep: wait for what should happen";
const sleep: Rule = {
  name: "tests wait for events, not for time",
  applies: (path) => isScript(path) && isTest(path),
  check: (source) => [
    ...findInCode(source, /\bsetTimeout\s*\(\s*(?:resolve|done|r)\b/, sleepMessage),
    ...findInCode(source, /=>\s*\{?\s*(?:void\s+)?setTimeout\s*\(/, sleepMessage),
    ...findInText(source, /^import .*"(?:node:)?timers\/promises"/, sleepMessage),
  ],
  caught: samples(
    "test/a.test.ts",
    "await new Promise((resolve) => setTimeout(resolve, 10));",
    "setTimeout(done, 10);",
    'import { setTimeout } from "node:timers/promises";',
  ),
  passed: samples("test/a.test.ts", "const guard = setTimeout(() => fail(), 1000);"),
};

/** Files of the engine that may own raw memory, each with its reason. */
const rawMemoryFiles: ReadonlyMap<string, string> = new Map();

const rawMemoryMessage = "raw memory: use a container or std::make_unique";
const rawMemory: Rule = {
  name: "memory of the engine has an owner",
  applies: (path) => isEngine(path) && !rawMemoryFiles.has(path),
  check: (source) => [
    ...findInCode(source, /\bnew\b/, rawMemoryMessage),
    ...findInCode(source, /(?<!=\s*)\bdelete\b/, rawMemoryMessage),
    ...findInCode(
      source,
      /\b(?:malloc|calloc|realloc|strdup)\s*\(|(?:\bstd|(?<!\w))::free\s*\(/,
      rawMemoryMessage,
    ),
  ],
  caught: samples(
    "native/a.cc",
    "auto* a = new Engine();",
    "delete a;",
    "std::malloc(1);",
    "std::free(a);",
  ),
  passed: samples(
    "native/a.cc",
    "Engine(const Engine&) = delete;",
    "// a new one",
    'say("new");',
    "void Pool::free(int a);",
  ),
};

const nodeApi: Rule = {
  name: "only native/node/addon.cc knows Node-API",
  applies: (path) => isEngine(path) && path !== "native/node/addon.cc",
  check: (source) =>
    findInText(
      source,
      /^\s*#\s*include\s*[<"](?:napi|node_api|js_native_api)/,
      "Node-API: give it to native/node/addon.cc",
    ),
  caught: samples("native/engine/engine.cc", "#include <napi.h>", '#include "node_api.h"'),
  passed: samples("native/engine/engine.cc", "#include <uv.h>", "// Not <napi.h>."),
};

export const codeRules: readonly Rule[] = [alive, sleep, rawMemory, nodeApi];
