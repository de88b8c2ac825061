// The check is itself checked, on every run: a library that asks for a name which its target does
// not have must be reported, and one that asks for Node's alone must not.

import { mkdirSync, writeFileSync } from "node:fs";
import { runOrFail } from "../support/step.mjs";
import { checkAddon } from "./check.mjs";
import { crossFolder, writeTools, zigEnvironment } from "./zig.mjs";

// macOS has no pipe2(), musl no strerrorname_np(), and glibc has it only since 2.32.
const absent = { Darwin: "pipe2", glibc: "strerrorname_np", musl: "strerrorname_np" };

function sourceOf(calls) {
  const declarations = calls.map((name) => `void ${name}(void);\n`).join("");
  const body = calls.map((name) => `  ${name}();\n`).join("");
  return `${declarations}void napi_register_module_v1(void) {\n${body}}\n`;
}

async function build(target, name, calls) {
  const folder = `${crossFolder}/${target.name}/planted`;
  mkdirSync(folder, { recursive: true });
  const [source, output] = [`${folder}/${name}.c`, `${folder}/${name}.node`];
  writeFileSync(source, sourceOf(calls));
  const open = target.system === "Darwin" ? ["-undefined", "dynamic_lookup"] : ["-fPIC"];
  const words = ["-O2", "-shared", ...open, source, "-o", output];
  await runOrFail(`${writeTools(target)}/cc`, words, { env: zigEnvironment });
  return checkAddon(target, output).problems;
}

/** What is wrong with the check for this target; nothing, when it sees what was planted. */
export async function plantAndCheck(target) {
  const name = absent[target.libc ?? target.system];
  const clean = await build(target, "clean", ["napi_get_undefined", "uv_loop_new", "getpid"]);
  const planted = await build(target, "planted", ["napi_get_undefined", name]);
  const problems = clean.map((problem) => `the check rejects a clean library: ${problem}`);
  if (planted.length !== 1 || !planted[0].startsWith(`${name} `)) {
    problems.push(`the check does not see that ${name} is missing, but: ${planted.join("; ")}`);
  }
  return problems.map((problem) => `${target.name}: ${problem}`);
}
