// Finds the compiled engine and loads it, once per process and thread.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { IOError } from "../errors.js";
import type { Native } from "./native.js";

let loaded: Native | undefined;

/** The engine. Throws an `IOError` that says what to do when it is not there or does not load. */
export function loadNative(): Native {
  if (loaded !== undefined) return loaded;
  // This file is packages/core/dist/internal/load.js, or part of packages/core/bundle/index.js.
  const [path, bundlePath] = ["../../../..", "../../.."].map((up) =>
    fileURLToPath(new URL(`${up}/build/Release/io.node`, import.meta.url)),
  ) as [string, string];
  const found = [bundlePath, path].find((candidate) => existsSync(candidate));
  if (found === undefined) {
    throw new IOError({
      code: "ERR_IO_ENGINE_MISSING",
      operation: "load",
      message: `the engine is not built: there is no ${path}. Run "npm run build" in the project.`,
      path,
    });
  }
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
 * Whether a thread has to wait in the place of the event loop: Bun's libuv has no poll handle.
 * `IO_WAKE_UP=thread` asks for it anywhere.
 */
export function waitsElsewhere(): boolean {
  return "bun" in process.versions || process.env["IO_WAKE_UP"] === "thread";
}
