// The check is itself checked, on every run: a library that asks for a name which its target does
// not have must be reported, and one that asks for Node's alone must not.

import { mkdirSync, writeFileSync } from "node:fs";
import { runOrFail } from "../support/step.mjs";
import { checkAddon } from "./check.mjs";
import { crossFolder, writeTools, zigEnvironment } from "./zig.mjs";

// macOS has no pipe2(), musl no strerrorname_np(), and glibc has it only since 2.32.
const absent = { Darwin: "pipe2", glibc: "strerrorname_np", musl: "strerrorname_np" };

const clean = ["napi_get_undefined", "uv_loop_new", "getpid"];

function sourceOf(calls, more) {
  const declarations = calls.map((name) => `void ${name}(void);\n`).join("");
  const body = calls.map((name) => `  ${name}();\n`).join("");
  return `${declarations}void napi_register_module_v1(void) {\n${body}}\n${more}\n`;
}

async function build(target, name, { calls = clean, more = "", words = ["-s"] }) {
  const folder = `${crossFolder}/${target.name}/planted`;
  mkdirSync(folder, { recursive: true });
  const [source, output] = [`${folder}/${name}.c`, `${folder}/${name}.node`];
  writeFileSync(source, sourceOf(calls, more));
  const open = target.system === "Darwin" ? ["-undefined", "dynamic_lookup"] : ["-fPIC"];
  // musl's crti.o defines _init and _fini for all to see. The engine hides them by its list of
  // exports; here all else stays visible.
  if (target.libc === "musl") {
    const list = `${folder}/exports.map`;
    writeFileSync(list, "{ global: *; local: _init; _fini; };\n");
    open.push(`-Wl,--version-script=${list}`);
  }
  const all = ["-O2", "-shared", ...open, ...words, source, "-o", output];
  await runOrFail(`${writeTools(target)}/cc`, all, { env: zigEnvironment });
  return checkAddon(target, output).problems;
}

/** What is planted into a library, and how the check's word about it begins. */
function plantsFor(target) {
  const missing = absent[target.libc ?? target.system];
  const plants = [
    { name: "missing", calls: ["napi_get_undefined", missing], said: `${missing} ` },
    { name: "exported", more: "int _Zplanted(void) { return 1; }", said: "exports _Zplanted" },
  ];
  if (target.system === "Darwin") return plants;
  const inText = '__asm__(".text\\n.quad napi_get_undefined\\n");';
  return [
    ...plants,
    { name: "unstripped", words: [], said: "is not stripped" },
    { name: "moved", more: inText, words: ["-s", "-Wl,-z,notext"], said: "has relocations in" },
  ];
}

/** What is wrong with the check for this target; nothing, when it sees what was planted. */
export async function plantAndCheck(target) {
  const problems = (await build(target, "clean", {})).map(
    (problem) => `the check rejects a clean library: ${problem}`,
  );
  for (const plant of plantsFor(target)) {
    const found = await build(target, plant.name, plant);
    if (found.length !== 1 || !found[0].startsWith(plant.said)) {
      problems.push(`the check should say "${plant.said.trim()}", and says: ${found.join("; ")}`);
    }
  }
  return problems.map((problem) => `${target.name}: ${problem}`);
}
