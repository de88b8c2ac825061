// Finds the compiled engine and loads it, once per process and thread.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { IOError, nameErrnosBy } from "../errors.js";
import type { Native } from "./native.js";

let loaded: Native | undefined;

function missing(path: string, message: string): IOError {
  return new IOError({ code: "ERR_IO_ENGINE_MISSING", operation: "load", message, path });
}

/**
 * Whether the process has rights that the one that started it has not: a program with the
 * set-user-ID bit or, on Linux, with file capabilities. The kernel tells of both (AT_SECURE,
 * getauxval(3)).
 */
function hasRaisedRights(): boolean {
  if (process.getuid?.() !== process.geteuid?.()) return true;
  if (process.getgid?.() !== process.getegid?.()) return true;
  if (process.platform !== "linux") return false;
  const secureTag = 23;
  const is32Bit = process.arch === "ia32" || process.arch === "arm";
  let vector: ArrayBuffer;
  try {
    vector = new Uint8Array(readFileSync("/proc/self/auxv")).buffer;
  } catch {
    // A process with file capabilities may not read it, since its /proc belongs to root then.
    return true;
  }
  const words = Array.from(is32Bit ? new Uint32Array(vector) : new BigUint64Array(vector), Number);
  const at = words.findIndex((word, index) => index % 2 === 0 && word === secureTag);
  return words[at + 1] !== 0;
}

/**
 * Where the engine is. `IO_ENGINE` names another build of it, by its path; that is how the tests
 * take one with a kqueue on Linux. A process with raised rights does not look at it: who starts
 * such a program chooses its environment, and must not choose what code it runs. (Node does not
 * look at NODE_OPTIONS there.)
 */
function enginePath(): string {
  const named = process.env["IO_ENGINE"];
  if (named !== undefined && named !== "" && !hasRaisedRights()) {
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
  nameErrnosBy(loaded.errorName);
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
