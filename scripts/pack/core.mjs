// The package @io/core: the files that its package.json lists, and a package.json with the engines'
// packages in it. They are not in the workspace's own, since nothing of that name exists there.

import { cpSync, existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { root } from "../support/paths.mjs";
import { runOrFail } from "../support/step.mjs";
import { core, origin, platformPackage, readJson, writeJson } from "./manifest.mjs";

const source = `${root}/packages/core`;

/** Every file that a value of package.json points to: "./bundle/index.js". */
function filesNamedBy(value) {
  if (typeof value === "string") return /^\.\/[^*]+$/.test(value) ? [value.slice(2)] : [];
  return Object.values(value ?? {}).flatMap(filesNamedBy);
}

async function listedFiles() {
  const words = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const printed = await runOrFail("npm", words, { cwd: source });
  // npm prints warnings before it, on standard error.
  return JSON.parse(printed.slice(printed.indexOf("[")))[0].files.map(({ path }) => path);
}

function manifestFor(targets) {
  return {
    ...core,
    ...origin("packages/core"),
    optionalDependencies: Object.fromEntries(
      targets.map((target) => [platformPackage(target), core.version]),
    ),
    publishConfig: { ...core.publishConfig, access: "public" },
  };
}

/** Lays the package out in the folder; `targets` are all that there are packages for. */
export async function prepareCore(folder, targets) {
  mkdirSync(folder, { recursive: true });
  for (const path of await listedFiles()) {
    mkdirSync(dirname(`${folder}/${path}`), { recursive: true });
    cpSync(`${source}/${path}`, `${folder}/${path}`);
  }
  for (const name of ["README.md", "LICENSE"]) {
    const own = `${source}/${name}`;
    cpSync(existsSync(own) ? own : `${root}/${name}`, `${folder}/${name}`);
  }
  writeJson(`${folder}/package.json`, manifestFor(targets));
  const { exports, bin, main, types } = readJson(`${folder}/package.json`);
  const named = filesNamedBy({ exports, bin, main, types });
  return { folder, required: ["package.json", "README.md", "LICENSE", ...new Set(named)] };
}
