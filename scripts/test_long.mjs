// npm run test:long [-- <operations>]: the random programs of test/model, a million operations of
// each kind on each backend unless a number says otherwise, at the lowest priority. Prints a seed,
// and what happened how often.

import { spawn } from "node:child_process";
import { constants, setPriority } from "node:os";
import { setup } from "./setup.mjs";
import { root } from "./support/paths.mjs";
import { main, StepError } from "./support/step.mjs";

const files = ["model.test.js", "kqueue-model.test.js"];
const usualSteps = 1_000_000;

function run(file, steps) {
  const path = `${root}/test/dist/model/${file}`;
  const env = { ...process.env, IO_MODEL_STEPS: String(steps), IO_MODEL_TALLY: "1" };
  const child = spawn(process.execPath, ["--enable-source-maps", path], { env, stdio: "inherit" });
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
  for (const file of files) {
    const status = await run(file, steps);
    if (status !== 0) throw new StepError(`${file} ended with ${status}.`);
  }
});
