// Decides which steps have to run again: hashes the inputs of a step and remembers the last answer.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root, stateFile } from "./paths.mjs";

const notSources = new Set(["node_modules", "dist", "bundle", "build", "data", ".git"]);
const builtEngine = join("packages", "core", "engine");

/** Every file under the folder whose path `wanted` accepts, relative to the repository, sorted. */
export function filesUnder(folder, wanted) {
  const found = [];
  const entries = existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { withFileTypes: true })
    : [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      const isSource = !notSources.has(entry.name) && path !== builtEngine;
      if (isSource) found.push(...filesUnder(path, wanted));
    } else if (wanted(path)) {
      found.push(path);
    }
  }
  return found.sort();
}

/** One hash over the names and contents of the files, and over `more` (versions, options). */
export function fingerprint(files, more = []) {
  const hash = createHash("sha256").update(JSON.stringify(more));
  for (const file of files) {
    const content = existsSync(join(root, file)) ? readFileSync(join(root, file)) : "(absent)";
    hash.update(`\0${file}\0`).update(content);
  }
  return hash.digest("hex");
}

/** The fingerprints of the steps as they were last done, by the name of the step. */
export class State {
  #done;

  constructor() {
    try {
      this.#done = JSON.parse(readFileSync(stateFile, "utf8"));
    } catch {
      // Absent or damaged: everything is done again.
      this.#done = {};
    }
  }

  isDone(name, print) {
    return this.#done[name] === print;
  }

  setDone(name, print) {
    this.#done[name] = print;
    mkdirSync(dirname(stateFile), { recursive: true });
    writeFileSync(stateFile, `${JSON.stringify(this.#done, null, 2)}\n`);
  }
}
