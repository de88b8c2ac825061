// npm run test:long [-- <operations>]: the random programs of test/model, a million operations of
// each kind on each backend unless a number says otherwise, at the lowest priority. Prints a seed,
// and what happened how often.

import { spawn } from "node:child_process";
import { constants, setPriority } from "node:os";
import { cellsOf } from "../test/matrix.mjs";
import { setup } from "./setup.mjs";
import { root } from "./support/paths.mjs";
import { main, StepError } from "./support/step.mjs";

const file = "test/dist/model/model.test.js";
const usualSteps = 1_000_000;

function run({ path, label, variables }, steps) {
  const more = { IO_MODEL_STEPS: String(steps), IO_MODEL_TALLY: "1", IO_TEST: label };
  const options = { cwd: root, env: { ...process.env, ...variables, ...more }, stdio: "inherit" };
  const child = spawn(process.execPath, ["--enable-source-maps", path], options);
  setPriority(child.pid, constants.priority.PRIORITY_LOW);
  return new Promise((resolve) => {
    child.on("exit", (status, signal) => resolve(signal ?? status));
  });
}

await main(async () => {
  await setup({ forTests: true });
  const steps = Number(process.argv[2] ?? usualSteps);
  if (!(Number.isSafeInteger(steps) && steps > 0)) {
    throw new StepError(`${process.argv[2]} is no number of operations.`);
  }
  for (const cell of cellsOf(file)) {
    const status = await run(cell, steps);
    if (status !== 0) throw new StepError(`${cell.label} ended with ${status}.`);
  }
});
