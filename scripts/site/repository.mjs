// Where the files of this repository are shown and edited, by what package.json says of it.

import { readFileSync } from "node:fs";
import { root } from "../support/paths.mjs";

const { repository } = JSON.parse(readFileSync(`${root}/package.json`, "utf8"));

/** The page of a file: "edit" to change it, "blob" to read it. */
export function repositoryPage(view, path) {
  return `https://github.com/${repository.replace(/^github:/, "")}/${view}/main/${path}`;
}
