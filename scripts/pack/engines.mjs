// The engines of the packages: each is built again only when something that goes into it changed.

import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { buildAddon } from "../cross/build.mjs";
import { checkAddon } from "../cross/check.mjs";
import { engineFile, installZig } from "../cross/zig.mjs";
import { filesUnder, fingerprint, State } from "../support/fingerprint.mjs";
import { StepError, step } from "../support/step.mjs";

function inputsOf(target) {
  const files = [
    ...["CMakeLists.txt", "pnpm-lock.yaml", "packages/core/package.json"],
    ...filesUnder("native", () => true),
    ...filesUnder("scripts/cross", () => true),
  ];
  return fingerprint(files, [target, process.version]);
}

async function build(target, state) {
  const name = `engine ${target.name}`;
  const path = engineFile(target);
  if (state.isDone(name, inputsOf(target)) && existsSync(path)) return;
  await step(`build for ${target.name}`, async () => {
    const { ioUring } = await buildAddon(target);
    const problems = checkAddon(target, path).problems.map((problem) => `its io.node ${problem}`);
    // Without liburing an engine still works, and is not what the package promises.
    if (target.system === "Linux" && ioUring !== "yes") problems.push(`io_uring: ${ioUring}`);
    if (problems.length > 0) throw new StepError(`${target.name}: ${problems.join("; ")}`);
  });
  state.setDone(name, inputsOf(target));
}

/** Returns { target, path } of each. As many are built at once as there are processors. */
export async function buildEngines(targets) {
  const state = new State();
  const stale = targets.filter(
    (target) =>
      !state.isDone(`engine ${target.name}`, inputsOf(target)) || !existsSync(engineFile(target)),
  );
  if (stale.length > 0) await installZig();
  const queue = [...stale];
  const worker = async () => {
    for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
      await build(target, state);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return targets.map((target) => ({ target, path: engineFile(target) }));
}
