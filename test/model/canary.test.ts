// Proves the checks: every ring that is broken on purpose must be found out, for the right reason,
// on every backend.

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "../support/skip.js";
import { endDespiteHang, setGuard } from "./drive.js";
import { runFiles } from "./files/runner.js";
import { filePrograms } from "./files/steps.js";
import { sabotages as plainSabotages, type Sabotage } from "./sabotage.js";
import { providedSabotages } from "./sabotage_provided.js";
import { treeSabotages } from "./sabotage_trees.js";
import { availableBackends, canWatch, type Found, type Program, search, seed } from "./search.js";
import { runStreams } from "./streams/runner.js";
import { streamPrograms } from "./streams/steps.js";
import { type CopyProgram, copyPrograms, runCopies } from "./trees/copies.js";
import { runWatches, type WatchProgram, watchPrograms } from "./trees/watches.js";

type Backend = ReturnType<typeof availableBackends>[number];

/** Far more than it takes, so that a sabotage which is not found is a fault of the checks. */
const MAX_STEPS = 40_000;
// A dropped completion never comes: here the hang is the expected failure.
const GUARD_MS = 4000;
const SMALLER_TRIES = 3;
/** Each program that a search tries has a seed of its own, one after another. */
const SEEDS_APART = 1_000_000;

const wantedName = process.env["IO_CANARY"] ?? "";
const sabotages = [...plainSabotages, ...providedSabotages, ...treeSabotages].filter(({ name }) => {
  return name.includes(wantedName);
});

const test = suite("canary");
process.stdout.write(`canary: seed ${seed} (repeat with IO_SEED=${seed})\n`);

function find(
  backend: Backend,
  sabotage: Sabotage,
  shrink: boolean,
  firstSeed = seed,
): Promise<Found<Program>> {
  const { name, shownBy, wrap } = sabotage;
  setGuard(GUARD_MS);
  if (shownBy === "files") {
    const run = (program: Parameters<typeof runFiles>[1]): Promise<number> =>
      runFiles(backend, program, wrap);
    return search({ name, shrink, programs: filePrograms, run }, MAX_STEPS, firstSeed);
  }
  if (shownBy === "copies") {
    const run = (program: CopyProgram): Promise<number> => runCopies(backend, program, wrap);
    return search({ name, shrink, programs: copyPrograms, run }, MAX_STEPS, firstSeed);
  }
  if (shownBy === "watches") {
    const run = (program: WatchProgram): Promise<number> => runWatches(backend, program, wrap);
    return search({ name, shrink, programs: watchPrograms, run }, MAX_STEPS, firstSeed);
  }
  const run = (program: Parameters<typeof runStreams>[1]): Promise<number> =>
    runStreams(backend, program, wrap);
  return search({ name, shrink, programs: streamPrograms, run }, MAX_STEPS, firstSeed);
}

const backends = availableBackends();
for (const backend of backends) {
  for (const sabotage of sabotages) {
    if (sabotage.shownBy === "watches" && !canWatch(backend)) continue;
    test(`${backend}: ${sabotage.name}`, async () => {
      const { failure, problem, steps } = await find(backend, sabotage, false);
      assert.ok(failure, `${steps} operations passed with a broken ring`);
      // A broken file shows in whatever looks at it next: a chain, a close, another read.
      if (sabotage.shownBy === "files" || sabotage.shownBy === "copies") return;
      // A stall counts only where the sabotage can cause one: `foundAs` says so. Another one is the
      // library's own, as that of sends that waited on a unix socket which was shut down.
      assert.match(problem, sabotage.foundAs, failure);
    });
  }
}

const [first] = backends;
if (first === undefined) skip(test, "canary", "no backend works here, says probe()");
else {
  for (const sabotage of sabotages.filter(({ maxSteps }) => maxSteps !== undefined)) {
    test(`what shows is small: ${sabotage.name}`, async () => {
      // The time to make a program smaller is limited, so a busy machine may end too early: then
      // another program is made smaller.
      for (let left = SMALLER_TRIES - 1; ; left--) {
        const firstSeed = seed + (SMALLER_TRIES - 1 - left) * SEEDS_APART;
        const { smallest, failure } = await find(first, sabotage, true, firstSeed);
        assert.ok(smallest);
        const isSmall = smallest.steps.length <= (sabotage.maxSteps ?? 0);
        if (!isSmall && left > 0) continue;
        assert.ok(isSmall, failure ?? "");
        return;
      }
    });
  }
}

test.after(endDespiteHang);
test.run();
