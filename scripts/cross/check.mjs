// Whether another system has all the symbols that an addon built for it needs. A linker with the
// option to leave Node's symbols open also leaves open any other missing symbol. So every open name
// must be one of Node's, and every other must be bound to a library of the system.

import { readFileSync } from "node:fs";
import { readElf } from "./elf.mjs";
import { readMachO } from "./macho.mjs";
import { zigFolder } from "./zig.mjs";

const ofNode = /^(napi|node_api|uv)_/;
const entryPoint = "napi_register_module_v1";
/** All that an engine may define for others: the names that Node looks for. */
const entryPoints = new Set([entryPoint, "node_api_module_get_api_version_v1"]);

function compareVersions(left, right) {
  const [a, b] = [left, right].map((text) => text.split(".").map(Number));
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function checkDarwin(target, bytes) {
  const found = readMachO(bytes);
  const problems = [];
  const oldest = /macos\.([\d.]+)/.exec(target.triple)[1];
  if (found.oldestSystem !== oldest) problems.push(`is for macOS ${found.oldestSystem}`);
  for (const library of found.libraries) {
    if (library !== "/usr/lib/libSystem.B.dylib") problems.push(`needs ${library}`);
  }
  // C names have an underscore before them there.
  const plain = ({ symbol }) => symbol.replace(/^_/, "");
  for (const wanted of found.imports) {
    if (wanted.from === "/usr/lib/libSystem.B.dylib") continue;
    if (wanted.from === "flat namespace" && ofNode.test(plain(wanted))) continue;
    problems.push(`${plain(wanted)} is missing (looked for in: ${wanted.from})`);
  }
  const ofNodeCount = found.imports.filter((wanted) => wanted.from === "flat namespace").length;
  // zig 0.11 exports the helpers of its compiler from every library, and has no list of exports for
  // Mach-O. They are C names that other libraries do not bind to, since those name the library that
  // they ask. A C++ name would be different: dyld unifies one that several libraries have.
  const exports = found.exports
    .map((name) => name.slice(1))
    .filter((name) => entryPoints.has(name) || name.startsWith("_Z"));
  return { ...found, problems, ofNodeCount, exports };
}

const glibcLibraries = /^(lib(c|m|dl|rt|pthread)\.so\.\d|ld-linux-[\w-]+\.so\.\d)$/;

function checkGlibc(target, bytes) {
  const found = readElf(bytes);
  const oldest = /gnu\.([\d.]+)/.exec(target.triple)[1];
  const problems = found.libraries
    .filter((library) => !glibcLibraries.test(library))
    .map((library) => `needs ${library}`);
  for (const { symbol, version, weak } of found.imports) {
    if (version === undefined) {
      // A name without a version has no library: it is Node's, or optional, or missing.
      if (!weak && !ofNode.test(symbol)) problems.push(`${symbol} is missing`);
    } else if (compareVersions(version.replace("GLIBC_", ""), oldest) > 0) {
      problems.push(`${symbol} needs ${version}, and the oldest is ${oldest}`);
    }
  }
  return {
    ...found,
    problems,
    ofNodeCount: found.imports.filter((name) => ofNode.test(name.symbol)).length,
  };
}

/** What musl's libc defines, from the list that zig makes its stub of. */
function muslSymbols() {
  const list = readFileSync(`${zigFolder}/lib/libc/musl/libc.S`, "utf8");
  return new Set([...list.matchAll(/^(?:\.globl|\.weak|WEAK64) (\w+)/gm)].map((match) => match[1]));
}

function checkMusl(bytes) {
  const found = readElf(bytes);
  const known = muslSymbols();
  // musl's loader takes every name that begins so for itself.
  const problems = found.libraries
    .filter((library) => library !== "libc.so")
    .map((library) => `needs ${library}`);
  for (const { symbol, weak } of found.imports) {
    if (weak || ofNode.test(symbol) || known.has(symbol)) continue;
    problems.push(`${symbol} is missing`);
  }
  return {
    ...found,
    problems,
    ofNodeCount: found.imports.filter((name) => ofNode.test(name.symbol)).length,
  };
}

/**
 * Reads the file and compares it with its target. `problems` says in words what it would not find
 * there; an addon without any loads.
 */
export function checkAddon(target, path) {
  const bytes = readFileSync(path);
  let found;
  if (target.system === "Darwin") found = checkDarwin(target, bytes);
  else found = target.libc === "musl" ? checkMusl(bytes) : checkGlibc(target, bytes);
  const problems = [...found.problems];
  if (found.processor !== target.processor) problems.push(`is for ${found.processor}`);
  if (!found.exports.includes(entryPoint)) problems.push(`does not define ${entryPoint}`);
  const more = found.exports.filter((name) => !entryPoints.has(name));
  if (more.length > 0) problems.push(`exports ${more.join(", ")}`);
  if (found.movesText) problems.push("has relocations in its text");
  if (found.hasLocalNames) problems.push("is not stripped");
  return { ...found, problems, sizeBytes: bytes.length };
}
