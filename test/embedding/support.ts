// Helpers for the tests of programs around the library: a module that turns the event loop, and
// another copy of the package.

import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { IO } from "@io/core";
import { guardMs } from "../support/guard.js";

/** What a wait gives up after; never how long something is expected to take. */
export const GUARD_MS = guardMs(30_000);

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL("../../..", import.meta.url));

/** turns.c */
export interface Turns {
  /** Turns the event loop once; with `wait` it may wait for something. */
  turn(wait: boolean): void;
  /** Calls back in each turn before the event loop waits. */
  beforeWait(callback: () => void): void;
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "io-embedding-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Builds the module, or says why it is not there. */
export function buildTurns(): Turns | string {
  const build = temporaryFolder(); // several processes build it side by side
  try {
    execFileSync("cmake", ["-S", join(root, "test/embedding"), "-B", build], { stdio: "pipe" });
    execFileSync("cmake", ["--build", build], { stdio: "pipe" });
  } catch (error) {
    return `the module of test/embedding does not build: ${(error as Error).message}`;
  }
  return require(join(build, "turns.node")) as Turns;
}

/** A copy of the package: another module, with another engine. */
export class Copy {
  readonly #module: string;
  readonly #engine: string;

  /** Copies the package with its engine, as npm does when two packages want two versions. */
  constructor() {
    const folder = temporaryFolder();
    const bundle = join(folder, "bundle");
    this.#engine = join(folder, "engine/io.node");
    this.#module = pathToFileURL(join(bundle, "index.js")).href;
    const core = dirname(require.resolve("@io/core/package.json"));
    const engine = resolve(process.env["IO_ENGINE"] || join(core, "engine/io.node"));
    cpSync(join(core, "bundle"), bundle, { recursive: true });
    cpSync(join(core, "package.json"), join(folder, "package.json"));
    cpSync(engine, this.#engine);
  }

  /** Opens an IO of the copy. */
  async open(): Promise<IO> {
    const { IO_ENGINE: others } = process.env;
    process.env["IO_ENGINE"] = this.#engine;
    try {
      const core = (await import(this.#module)) as typeof import("@io/core");
      return await core.IO.open();
    } finally {
      if (others === undefined) delete process.env["IO_ENGINE"];
      else process.env["IO_ENGINE"] = others;
    }
  }
}

/** Rejects when the promise does not settle; a lost wake-up leaves the process with only this. */
export async function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  let guard: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    guard = setTimeout(() => reject(new Error(`never: ${what}`)), GUARD_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(guard);
  }
}
