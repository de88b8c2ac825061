// The builds of the engine that have kqueue on Linux (docs/internals/reactor.md), for tests.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { System } from "./system.js";

const folder = fileURLToPath(new URL("../../../build/kqueue/Release/", import.meta.url));

function take(path: string): void {
  if ((process.env["IO_ENGINE"] ?? "") === "" && existsSync(path)) process.env["IO_ENGINE"] = path;
}

/**
 * Lets this process and those that it starts load that build, where there is one and no other is
 * named. Before the engine is first used.
 */
export function takeKqueueEngine(): void {
  take(`${folder}io.node`);
}

/** The same, as it is compiled for another system, over a kqueue that answers as that system. */
export function takeKqueueEngineOf(system: System): void {
  process.env["IO_KQUEUE_SYSTEM"] = system;
  take(`${folder}${system}/io.node`);
}
