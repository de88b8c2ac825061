// Finds the compiled engine and loads it, once per process and thread.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { IOError } from "../errors.js";
import type { Native } from "./native.js";

let loaded: Native | undefined;

function missing(path: string, message: string): IOError {
  return new IOError({ code: "ERR_IO_ENGINE_MISSING", operation: "load", message, path });
}

/**
 * Where the engine is. `IO_ENGINE` names another build of it, by its path; that is how the tests
 * take one with a kqueue on Linux.
 */
function enginePath(): string {
  const named = process.env["IO_ENGINE"];
  if (named !== undefined && named !== "") {
    const path = resolve(named);
    if (existsSync(path)) return path;
    throw missing(
      path,
      `IO_ENGINE names the engine ${path}, which is not there. ` +
        "Correct the path, or unset IO_ENGINE to take the engine of this package.",
    );
  }
  // This file is packages/core/dist/internal/load.js, or part of packages/core/bundle/index.js.
  const [path, bundlePath] = ["../../../..", "../../.."].map((up) =>
    fileURLToPath(new URL(`${up}/build/Release/io.node`, import.meta.url)),
  ) as [string, string];
  const found = [bundlePath, path].find((candidate) => existsSync(candidate));
  if (found !== undefined) return found;
  throw missing(
    path,
    `the engine is not built: there is no ${path}. Run "npm run build" in the project.`,
  );
}

/** The engine. Throws an `IOError` that says what to do when it is not there or does not load. */
export function loadNative(): Native {
  if (loaded !== undefined) return loaded;
  const found = enginePath();
  try {
    loaded = createRequire(import.meta.url)(found) as Native;
  } catch (cause) {
    const { platform, arch, version } = process;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new IOError({
      code: "ERR_IO_ENGINE_BROKEN",
      operation: "load",
      message:
        `the engine ${found} does not load into Node ${version} on ${platform}-${arch}: ` +
        `${reason}. Remove it and run "npm run build" here.`,
      path: found,
      cause,
    });
  }
  return loaded;
}

/**
 * Whether a thread has to wait in the place of the event loop, and batches are handed over by
 * immediates: Bun's libuv has no poll handle, and calls prepare handles before it runs microtasks;
 * Deno's has no prepare handle. `IO_WAKE_UP=thread` asks for it anywhere.
 */
export function waitsElsewhere(): boolean {
  const { versions } = process;
  return "bun" in versions || "deno" in versions || process.env["IO_WAKE_UP"] === "thread";
}
