// nginx as a peer: the program of the package, unpacked into build/nginx. To install the package
// would start a server on this machine.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { machineSources, privateApt } from "../support/apt.mjs";
import { root } from "../support/paths.mjs";
import { run, step } from "../support/step.mjs";
import { findProgram } from "../support/system.mjs";

const folder = `${root}/build/nginx`;
/** Where packages/bench looks for it (src/nginx.ts). */
const program = `${folder}/usr/sbin/nginx`;
/** The program is in the second on releases where the first only names it. */
const packages = ["nginx", "nginx-core"];

async function fetchNginx() {
  const apt = privateApt(folder);
  for (const { name, text } of machineSources()) writeFileSync(`${folder}/sources/${name}`, text);
  await apt("apt-get", "update");
  for (const name of packages) {
    await apt("apt-get", "download", name);
    const file = readdirSync(folder).find((one) => one.startsWith(`${name}_`));
    if (file !== undefined) await run("dpkg", ["-x", `${folder}/${file}`, folder]);
    if (existsSync(program)) return undefined;
  }
  return "not found; its rows are left out";
}

/** Has nginx for the benchmarks where it can be had without installing it. */
export async function setupNginx() {
  if (existsSync(program) || findProgram("nginx") !== undefined) return;
  if (findProgram("apt-get") === undefined || findProgram("dpkg") === undefined) return;
  mkdirSync(folder, { recursive: true });
  await step("fetch nginx", fetchNginx);
}
