// Random programs on every backend that there is, against the model: see search.ts for how one is
// repeated, and how a run is made longer.

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "../support/skip.js";
import { endDespiteHang } from "./drive.js";
import { runFiles } from "./files/runner.js";
import { filePrograms } from "./files/steps.js";
import {
  availableBackends,
  canWatch,
  type Program,
  type Search,
  search,
  seed,
  stepsOf,
} from "./search.js";
import { runStreams } from "./streams/runner.js";
import { streamPrograms } from "./streams/steps.js";
import { tallyLines } from "./tally.js";
import { copyPrograms, runCopies } from "./trees/copies.js";
import { runWatches, watchPrograms } from "./trees/watches.js";

const USUAL_STEPS = 4000;

const test = suite("model");
process.stdout.write(`model: seed ${seed} (repeat with IO_SEED=${seed})\n`);

function register<P extends Program>(searched: Search<P>): void {
  const { name } = searched;
  const wanted = process.env["IO_MODEL"];
  if (wanted !== undefined && !name.includes(wanted)) return;
  test(name, async () => {
    const found = await search(searched, stepsOf(USUAL_STEPS));
    process.stdout.write(`${name}: ${found.steps} operations in ${found.programs} programs\n`);
    if (found.failure !== null) assert.unreachable(found.failure);
  });
}

const backends = availableBackends();
for (const backend of backends) {
  register({
    name: `files on ${backend}`,
    programs: filePrograms,
    run: (program) => runFiles(backend, program),
  });
  register({
    name: `streams on ${backend}`,
    programs: streamPrograms,
    run: (program) => runStreams(backend, program),
  });
  register({
    name: `copies on ${backend}`,
    programs: copyPrograms,
    run: (program) => runCopies(backend, program),
  });
  if (canWatch(backend)) {
    register({
      name: `watches on ${backend}`,
      programs: watchPrograms,
      run: (program) => runWatches(backend, program),
    });
  } else skip(test, `watches on ${backend}`, "io.watch() needs inotify, which Linux has");
}
if (backends.length === 0) skip(test, "random programs", "no backend works here, says probe()");

test.after(() => {
  endDespiteHang();
  if (process.env["IO_MODEL_TALLY"]) process.stdout.write(`${tallyLines().join("\n")}\n`);
});
test.run();
