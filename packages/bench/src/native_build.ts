// Compiles the C programs of this package when they are first needed.

import { mkdirSync, renameSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { findProgram, runProcess } from "./processes.js";

/** The folder of this package, seen from dist. */
export const packageFolder = fileURLToPath(new URL("..", import.meta.url));

/** Where everything goes that a benchmark makes. */
export const buildFolder = `${packageFolder}build`;

function modifiedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.NEGATIVE_INFINITY;
}

export type Built = { path: string } | { unavailable: string };

/** What the programs include. */
const headers = ["program.h", "ring.h"].map((name) => `${packageFolder}native/${name}`);

async function compile(name: string): Promise<Built> {
  const source = `${packageFolder}native/${name}.c`;
  const isLibrary = name === "meter";
  const path = `${buildFolder}/${name}${isLibrary ? ".so" : ""}`;
  if (process.platform !== "linux") return { unavailable: "io_uring is only on Linux" };
  if (modifiedMs(path) > Math.max(...[source, ...headers].map(modifiedMs))) return { path };
  const compiler = findProgram("cc");
  if (!compiler) return { unavailable: "there is no C compiler (cc)" };
  mkdirSync(buildFolder, { recursive: true });
  // Renamed into place, since two benchmarks may compile the same program at the same time.
  const unfinished = `${path}.${process.pid}`;
  const options = isLibrary ? ["-shared", "-fPIC", "-fno-builtin"] : ["-luring"];
  const command = [compiler, "-O2", "-Wall", "-Wextra", source, "-o", unfinished, ...options];
  try {
    await runProcess(command, { core: "load", timeoutSeconds: 60 });
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { unavailable: `${name}.c does not compile (liburing-dev is needed): ${detail}` };
  }
  renameSync(unfinished, path);
  return { path };
}

type NativeName =
  | "nop"
  | "echo"
  | "load"
  | "drain"
  | "receive"
  | "sends"
  | "pipeline"
  | "zero_copy"
  | "pour"
  | "rate"
  | "meter";

const builds = new Map<string, Promise<Built>>();

/** The path of a program of native/, or why there is none. */
export function buildNative(name: NativeName): Promise<Built> {
  const known = builds.get(name);
  if (known) return known;
  const built = compile(name);
  builds.set(name, built);
  return built;
}
