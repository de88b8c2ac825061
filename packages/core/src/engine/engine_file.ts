// The place of the engine: in this package, or in the package for this machine that npm installs
// beside it. Nowhere else: the folders of an application are the application's.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { libcOf } from "./elf.js";

/** A file that is there, and what it belongs to: a package, or a build on this machine. */
export interface EngineFile {
  readonly path: string;
  readonly of: "IO_ENGINE" | "build" | "package";
  /** The package for this machine, where it is of one. */
  readonly packageName?: string;
}

/** The packages that were not found. */
export interface Search {
  /** The folder of @io/core, where there is one: a bundle may be anywhere. */
  readonly packageFolder: string | undefined;
  /** The file of the library, or of the bundle that it is part of. */
  readonly libraryFile: string;
  /** The packages that would have the engine, most likely first. */
  readonly packageNames: readonly string[];
  /** Packages for other machines that are installed. */
  readonly installedNames: readonly string[];
}

const PACKAGES: readonly string[] = [
  "linux-x64-gnu",
  "linux-x64-musl",
  "linux-arm64-gnu",
  "linux-arm64-musl",
  "darwin-x64",
  "darwin-arm64",
].map((machine) => `@io/core-${machine}`);

/** Whether a package with an engine is published under this name. */
export function isPublished(packageName: string): boolean {
  return PACKAGES.includes(packageName);
}

/** The packages with an engine for this machine: one, or two where the C library is unknown. */
export function packageNamesHere(): string[] {
  const { platform, arch, execPath } = process;
  if (platform !== "linux") return [`@io/core-${platform}-${arch}`];
  const libc = libcOf(execPath);
  const libcs = libc === undefined ? ["gnu", "musl"] : [libc];
  return libcs.map((name) => `@io/core-linux-${arch}-${name}`);
}

/**
 * This file, or the bundle that it is part of. In a program that has the bundle inside of it (a
 * single executable of Node, or of Bun) there is no such file, and its place is the program's.
 */
function libraryFile(): string {
  // In a bundle it may be a path. In one of ES modules that was made of the CommonJS entry it is
  // undefined, which the type does not say; the bundle then is most likely the program itself.
  const place: string | undefined = import.meta.url ?? process.argv[1];
  if (place === undefined) return process.execPath;
  const path = place.startsWith("file:") ? fileURLToPath(place) : place;
  return existsSync(path) ? path : process.execPath;
}

function resolved(from: string, name: string): string | undefined {
  try {
    return createRequire(from).resolve(name);
  } catch {
    // Not installed, or not readable: the caller's error names the missing file.
    return undefined;
  }
}

/** The engine of this package, or what was looked for. */
export function findEngine(): EngineFile | Search {
  const file = libraryFile();
  // A package finds itself by its own name, and a bundle finds the package that it was made from.
  const description = resolved(file, "@io/core/package.json");
  const packageFolder = description === undefined ? undefined : dirname(description);
  if (packageFolder !== undefined) {
    const path = join(packageFolder, "engine", "io.node");
    if (existsSync(path)) return { path, of: "build" };
  }
  const from = description ?? file;
  const packageNames = packageNamesHere();
  for (const packageName of packageNames) {
    const path = resolved(from, `${packageName}/io.node`);
    if (path !== undefined) return { path, of: "package", packageName };
  }
  const installedNames = PACKAGES.filter(
    (name) => !packageNames.includes(name) && resolved(from, `${name}/io.node`) !== undefined,
  );
  return { packageFolder, libraryFile: file, packageNames, installedNames };
}
