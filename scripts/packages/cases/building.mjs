// The engine, compiled from the sources in the package.

import { existsSync, rmSync } from "node:fs";
import { StepError } from "../../support/step.mjs";
import { expect, installed, Skip } from "../place.mjs";
import { hostPackage } from "../versions.mjs";

const command = "node_modules/@io/core/bin/io-core.js";

async function withoutCompiler(registry) {
  const here = await installed(registry, "no compiler");
  const { ok, output } = await here.start(process.execPath, [command, "build"]);
  if (ok) throw new StepError(`it builds without a compiler:\n${output}`);
  expect(output, "cmake", "a C++20 compiler", "To install:");
}

async function builds(registry) {
  if (!existsSync("/usr/bin/cmake")) throw new Skip("cmake is not installed");
  const here = await installed(registry, "build");
  rmSync(`${here.folder}/node_modules/${hostPackage()}`, { recursive: true });
  // The tools come from the registry that this machine's npm uses.
  const { PATH, npm_config_registry: registryOfNpm = "" } = process.env;
  const env = { PATH, npm_config_registry: registryOfNpm };
  const { ok, output } = await here.start(process.execPath, [command, "build"], { env });
  if (!ok) throw new StepError(output);
  expect(output, "built: ", "node_modules/@io/core/engine/io.node");
  here.take("works_body.cjs");
  here.take("works.mjs");
  expect(await here.node("works.mjs"), "works on ");
}

export const building = [
  { name: "io-core build, without a compiler", run: withoutCompiler },
  { name: "io-core build", slow: true, run: builds },
];
