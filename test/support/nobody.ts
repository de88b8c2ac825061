// How a test runs a program as a user without privileges: they lift the limits it is about.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const WORDS = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"] as const;

/** The words that run a program as nobody, none when there are no privileges, or why not. */
export function asNobody(): readonly string[] | string {
  if (process.getuid?.() !== 0) return [];
  const [command, ...rest] = WORDS;
  const tried = spawnSync(command, [...rest, process.execPath, "--version"]);
  if (tried.status === 0) return WORDS;
  return `cannot become another user: ${tried.error ?? tried.stderr}`;
}

/** Whether nobody can read a file: the tree may be in a folder that is for its owner only. */
export function canBeReadByAll(file: URL): boolean {
  if (process.getuid?.() !== 0) return true;
  const [command, ...rest] = WORDS;
  return spawnSync(command, [...rest, "cat", fileURLToPath(file)]).status === 0;
}
