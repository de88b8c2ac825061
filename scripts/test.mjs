// npm test [-- <substring>...]: sets the tree up and runs every compiled test file whose path
// contains one of the substrings, each in a process of its own. Ends with one line of totals.

import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { setup } from "./setup.mjs";
import { filesUnder } from "./support/fingerprint.mjs";
import { root } from "./support/paths.mjs";
import { main, StepError } from "./support/step.mjs";
import { killRunningFiles, report, reportTotals, runTestFile } from "./support/test_file.mjs";

// One more than there are processors: most files wait for timers, disks and children half of their
// time. With twice as many the processors are full, and tests with limits of milliseconds suffer.
const atOnceLimit = availableParallelism() + 1;

// What compiles before it tests, and so takes longest. It comes first: a long file that comes last
// runs beside idle processors.
const longest = ["test/dist/native/native.test.js", "test/dist/kqueue/kqueue.test.js"];

function findTestFiles(substrings) {
  const packages = readdirSync(`${root}/packages`).map((name) => `packages/${name}`);
  const files = [...packages, "test"].flatMap((folder) =>
    filesUnder(`${folder}/dist`, (path) => path.endsWith(".test.js")),
  );
  const first = longest.filter((path) => files.includes(path));
  const ordered = [...first, ...files.filter((path) => !first.includes(path))];
  if (substrings.length === 0) return ordered;
  return ordered.filter((path) => substrings.some((substring) => path.includes(substring)));
}

/** Takes files from the queue until it is empty; several of these run side by side. */
async function work(queue, results) {
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    const result = await runTestFile(path);
    report(result);
    results.push(result);
  }
}

async function runAll(files) {
  const isSerial = (path) => path.endsWith(".serial.test.js");
  const results = [];
  const together = files.filter((path) => !isSerial(path));
  await Promise.all(Array.from({ length: atOnceLimit }, () => work(together, results)));
  // What measures time, or fills the machine, runs alone.
  await work(files.filter(isSerial), results);
  return results;
}

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    killRunningFiles();
    process.exit(1);
  });
}

await main(async () => {
  await setup({ forTests: true });
  const files = findTestFiles(process.argv.slice(2));
  if (files.length === 0) throw new StepError("No test file matches.");
  reportTotals(await runAll(files));
});
