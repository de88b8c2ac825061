// Finds the Deno that came from npm.
//
// The package `deno` depends on packages that carry a binary each, and has a script that starts
// the right one. The binary is looked for in the package that brought it, so no install script need
// run.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { complaintOf, type FoundBun as Found } from "./bun.js";

/** The package that may carry the binary. */
export function denoPackage(platform: string, architecture: string): string {
  const library = platform === "linux" ? "-glibc" : "";
  return `@deno/${platform}-${architecture}${library}`;
}

export function findDeno(): Found {
  const name = denoPackage(process.platform, process.arch);
  let path: string;
  try {
    const fromDeno = createRequire(createRequire(import.meta.url).resolve("deno/package.json"));
    path = join(dirname(fromDeno.resolve(`${name}/package.json`)), "deno");
  } catch {
    return { unavailable: `the package ${name} is not installed` };
  }
  const complaint = complaintOf(path);
  return complaint === undefined ? { path } : { unavailable: `${path} does not run${complaint}` };
}
