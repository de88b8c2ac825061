// Finds the compiled engine and loads it, once per process and thread.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { IOError } from "../errors.js";
import type { Native } from "./native.js";

let loaded: Native | undefined;

/** The engine. Throws an `IOError` that says what to build when it is not there. */
export function loadNative(): Native {
  if (loaded !== undefined) return loaded;
  const path = fileURLToPath(new URL("../../../../build/Release/io.node", import.meta.url));
  if (!existsSync(path)) {
    throw new IOError({
      code: "ERR_IO_ENGINE_MISSING",
      operation: "load",
      message: `the engine is not built: there is no ${path}. Run "npm run build" in the project.`,
      path,
    });
  }
  loaded = createRequire(import.meta.url)(path) as Native;
  return loaded;
}
