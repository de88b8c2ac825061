// The common part of all packages' package.json files, and its source: the version and the engines
// in @io/core's, the repository's home in the workspace's.

import { readFileSync, writeFileSync } from "node:fs";
import { root } from "../support/paths.mjs";

export function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

export function writeJson(path, value) {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

export const core = readJson(`${root}/packages/core/package.json`);

/** "OWNER/NAME", as the workspace's package.json has it. */
export const home = readJson(`${root}/package.json`).repository.replace(/^github:/, "");

/** The fields that say where a package comes from, for the one in that folder of the repository. */
export function origin(directory) {
  const url = `https://github.com/${home}`;
  return {
    homepage: `${url}#readme`,
    bugs: { url: `${url}/issues` },
    repository: { type: "git", url: `git+${url}.git`, directory },
  };
}

export function platformPackage(target) {
  return `@io/core-${target.name}`;
}
