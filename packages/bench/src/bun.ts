// Finds the Bun that came from npm.
//
// The package `bun` depends on packages that carry a binary each. Its install script moves the
// right one to bin/bun.exe, on every system. Where install scripts are not allowed, a script that
// only complains is in its place, and the binary is still in the package that brought it.

import { execFileSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { lastWords } from "./processes.js";

/** The packages that may carry the binary, the best first. */
export function bunPackages(platform: string, architecture: string): string[] {
  const system = platform === "win32" ? "windows" : platform;
  const processor = architecture === "arm64" ? "aarch64" : architecture;
  const name = `@oven/bun-${system}-${processor}`;
  // Without AVX2 the first does not start; without glibc only the last does.
  return [name, `${name}-baseline`, `${name}-musl`];
}

/** What the binary says when it cannot run, or undefined when it can. */
export function complaintOf(path: string): string | undefined {
  try {
    accessSync(path, constants.X_OK);
    execFileSync(path, ["--version"], { stdio: ["ignore", "ignore", "pipe"], timeout: 20_000 });
    return undefined;
  } catch (error) {
    return lastWords(error instanceof Error ? error.message : String(error));
  }
}

export type FoundBun = { path: string } | { unavailable: string };

/** The paths where the binary may be, the best first. */
function candidates(): string[] {
  const here = createRequire(import.meta.url);
  const packageFile = here.resolve("bun/package.json");
  const fromBun = createRequire(packageFile);
  const paths = [join(dirname(packageFile), "bin", "bun.exe")];
  for (const name of bunPackages(process.platform, process.arch)) {
    try {
      paths.push(join(dirname(fromBun.resolve(`${name}/package.json`)), "bin", "bun"));
    } catch {
      // The package is for another machine and was not installed.
    }
  }
  return paths;
}

export function findBun(): FoundBun {
  let paths: string[];
  try {
    paths = candidates();
  } catch {
    return { unavailable: "the package bun is not installed" };
  }
  const complaints: string[] = [];
  for (const path of paths) {
    const complaint = complaintOf(path);
    if (complaint === undefined) return { path };
    complaints.push(`${path} does not run${complaint}`);
  }
  return { unavailable: complaints.join("; ") };
}
