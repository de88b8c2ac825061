// Makes the tree ready to run: tools, dependencies, the engine, the compiled TypeScript. Steps
// whose inputs are unchanged are skipped, so a second run costs a fraction of a second.

import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { State } from "./support/fingerprint.mjs";
import { whileLocked } from "./support/lock.mjs";
import { setupSteps } from "./support/setup_steps.mjs";
import { main, StepError, step } from "./support/step.mjs";

const oldestNode = 20;

function isDone(setupStep, state) {
  const { name, inputs, outputs } = setupStep;
  return state.isDone(name, inputs()) && outputs().every((path) => existsSync(path));
}

async function doSteps(steps) {
  // Read only now: a setup that was waited for has changed it.
  const state = new State();
  for (const setupStep of steps) {
    if (isDone(setupStep, state)) continue;
    // The output of a step that fails is neither the old result nor the new one.
    state.setDone(setupStep.name, undefined);
    await (setupStep.title ? step(setupStep.title, setupStep.work) : setupStep.work());
    // Asked again, because a step may change what goes into it: abi.ts is its own input.
    state.setDone(setupStep.name, setupStep.inputs());
  }
}

/** Does what is needed and nothing else. `forTests` adds what only the tests need. */
export async function setup({ forTests = false } = {}) {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < oldestNode) {
    throw new StepError(`Node ${oldestNode} or newer is needed; this is ${process.version}.`);
  }
  const steps = setupSteps.filter((setupStep) => forTests || !setupStep.onlyForTests);
  const state = new State();
  if (steps.every((setupStep) => isDone(setupStep, state))) return;
  await whileLocked(() => doSteps(steps));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main(() => setup());
