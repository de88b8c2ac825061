// npm test [-- <substring>...]: sets the tree up and runs the compiled test files, each in every
// environment of test/matrix.mjs and in a process of its own. With substrings, only the matching
// ones: streams/waiting, kqueue-, kqueue-streams, lifetime. Ends with a line of totals.

import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { cellsOf, select, staleRows } from "../test/matrix.mjs";
import { setup } from "./setup.mjs";
import { filesUnder } from "./support/fingerprint.mjs";
import { root } from "./support/paths.mjs";
import { main, StepError } from "./support/step.mjs";
import { killRunningFiles, report, reportTotals, runTestFile } from "./support/test_file.mjs";

// One more than there are processors: most files wait for timers, disks and children half of their
// time. With twice as many the processors are full, and tests with limits of milliseconds suffer.
const atOnceLimit = availableParallelism() + 1;

// Files that compile before they test take longest. They come first: a long file at the end runs
// beside idle processors.
const longest = ["test/dist/native/native.test.js", "test/dist/kqueue/kqueue.test.js"];

function findCells() {
  const packages = readdirSync(`${root}/packages`).map((name) => `packages/${name}`);
  const files = [...packages, "test"].flatMap((folder) =>
    filesUnder(`${folder}/dist`, (path) => path.endsWith(".test.js")),
  );
  const stale = staleRows(files);
  if (stale.length > 0) throw new StepError(`test/matrix.mjs names no test: ${stale.join(", ")}`);
  const first = longest.filter((path) => files.includes(path));
  const ordered = [...first, ...files.filter((path) => !first.includes(path))];
  return ordered.flatMap(cellsOf);
}

/** Takes cells from the queue until it is empty; several of these run side by side. */
async function work(queue, results) {
  for (let cell = queue.shift(); cell !== undefined; cell = queue.shift()) {
    const result = await runTestFile(cell);
    report(result);
    results.push(result);
  }
}

async function runAll(cells) {
  const isSerial = ({ path }) => path.endsWith(".serial.test.js");
  const results = [];
  const together = cells.filter((cell) => !isSerial(cell));
  await Promise.all(Array.from({ length: atOnceLimit }, () => work(together, results)));
  // Tests that measure time, or fill the machine, run alone.
  await work(cells.filter(isSerial), results);
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
  const { chosen, unmatched } = select(findCells(), process.argv.slice(2));
  if (unmatched.length > 0) {
    throw new StepError(`No test matches ${unmatched.join(" or ")}. The table: test/matrix.mjs`);
  }
  reportTotals(await runAll(chosen));
});
