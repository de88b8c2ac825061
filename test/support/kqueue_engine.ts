// The build of the engine that has kqueue on Linux (docs/internals/reactor.md), for tests.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = fileURLToPath(new URL("../../../build/kqueue/Release/io.node", import.meta.url));

/**
 * Lets this process and those that it starts load that build, where there is one and no other is
 * named. Before the engine is first used.
 */
export function takeKqueueEngine(): void {
  if ((process.env["IO_ENGINE"] ?? "") === "" && existsSync(path)) process.env["IO_ENGINE"] = path;
}
