// npm run test:long [-- <operations>]: the random programs of test/model, a million operations of
// each kind on each backend unless a number says otherwise, and a tenth of that in connections of
// @io/node, at the lowest priority. Prints a seed, and what happened how often.

import { spawn } from "node:child_process";
import { constants, setPriority } from "node:os";
import { cellsOf } from "../test/matrix.mjs";
import { setup } from "./setup.mjs";
import { root } from "./support/paths.mjs";
import { main, StepError } from "./support/step.mjs";

const usualSteps = 1_000_000;

/** The test files, and what tells each how much to do. */
const files = {
  "test/dist/model/model.test.js": (steps) => ({ IO_MODEL_STEPS: steps, IO_MODEL_TALLY: 1 }),
  "packages/node/dist/programs/connections.test.js": (steps) => ({
    IO_CONNECTIONS: 10 * Math.ceil(steps / 100),
  }),
};

function run({ path, label, variables }, numbers) {
  const more = { ...numbers, IO_TEST: label };
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
  for (const [file, numbersOf] of Object.entries(files)) {
    for (const cell of cellsOf(file)) {
      const status = await run(cell, numbersOf(steps));
      if (status !== 0) throw new StepError(`${cell.label} ended with ${status}.`);
    }
  }
});
