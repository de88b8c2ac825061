// Builds the addon for one target, through cmake-js and the same CMakeLists.txt as everywhere.

import { mkdirSync } from "node:fs";
import { root } from "../support/paths.mjs";
import { runOrFail } from "../support/step.mjs";
import { buildCxxLibrary } from "./cxx.mjs";
import { buildLiburing } from "./liburing.mjs";
import { crossFolder, engineFile, writeTools, zigEnvironment } from "./zig.mjs";

/** Returns the addon's path and what CMake said of its backends. */
export async function buildAddon(target) {
  const tools = writeTools(target);
  // A prefix in which nothing is keeps this machine's libraries out.
  let prefix = `${crossFolder}/${target.name}/nothing`;
  mkdirSync(prefix, { recursive: true });
  let withoutLiburing = "there is no io_uring on this system";
  if (target.system === "Linux") {
    const liburing = await buildLiburing(target, tools);
    if (liburing.prefix !== undefined) prefix = liburing.prefix;
    withoutLiburing = liburing.reason;
  }
  const folder = `${crossFolder}/${target.name}/build`;
  const definitions = {
    CMAKE_TOOLCHAIN_FILE: `${root}/scripts/cross/toolchain.cmake`,
    IO_TARGET_SYSTEM: target.system,
    IO_TARGET_PROCESSOR: target.processor,
    IO_TARGET_TOOLS: tools,
    IO_TARGET_PREFIX: prefix,
    // The engine is one unit, so there is nothing to optimise across.
    IO_LTO: "OFF",
    IO_RELEASE: "ON",
    CMAKE_CXX_STANDARD_LIBRARIES: await buildCxxLibrary(target, tools),
  };
  const words = Object.entries(definitions).map(([name, value]) => `--CD${name}=${value}`);
  const cmakeJs = (command, ...more) =>
    runOrFail("node_modules/.bin/cmake-js", [command, "--out", folder, ...more], {
      env: zigEnvironment,
    });
  const said = await cmakeJs("configure", ...words);
  await cmakeJs("build", "--target", "io");
  const backend = /io_uring backend: (yes|no)/.exec(said)?.[1];
  return {
    path: engineFile(target),
    ioUring: backend === "yes" ? "yes" : `no (${withoutLiburing})`,
  };
}
