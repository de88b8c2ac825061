// Says where things are in this repository, once.

import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** What setup remembers between runs. It lies in build/, so removing that folder starts afresh. */
export const stateFile = `${root}/build/setup.json`;

/** What CMake makes, and where the library looks for it. */
export const builtAddonFile = `${root}/build/Release/io.node`;
export const addonFile = `${root}/packages/core/engine/io.node`;
/** The build for tests, with a kqueue on Linux. */
export const kqueueAddonFile = `${root}/build/kqueue/Release/io.node`;
/** The same as it is compiled for the systems that have a kqueue. */
export const kqueueSystemAddonFiles = ["macos", "freebsd", "netbsd", "openbsd"].map(
  (system) => `${root}/build/kqueue/Release/${system}/io.node`,
);
export const abiProgram = `${root}/build/Release/abi_ts`;
export const abiFile = `${root}/packages/core/src/engine/abi.ts`;
export const versionFile = `${root}/packages/core/src/engine/version.ts`;
