// npm run pack [-- <target>...]: writes the packages as they are published to dist-packages, and
// prints a row for each. Without words it makes the package of every target.

import { mkdirSync, rmSync } from "node:fs";
import { targets } from "./cross/targets.mjs";
import { prepareCore } from "./pack/core.mjs";
import { buildEngines } from "./pack/engines.mjs";
import { prepareEngine } from "./pack/platform.mjs";
import { checkTarball, printTable, writeTarball } from "./pack/tarball.mjs";
import { setup } from "./setup.mjs";
import { root } from "./support/paths.mjs";
import { main, StepError } from "./support/step.mjs";

const packagesFolder = `${root}/dist-packages`;

function wantedTargets(names) {
  const unknown = names.filter((name) => !targets.some((target) => target.name === name));
  if (unknown.length > 0) {
    const known = targets.map(({ name }) => name).join(", ");
    throw new StepError(`There is no target ${unknown.join(", ")}. There are: ${known}`);
  }
  return names.length === 0 ? targets : targets.filter(({ name }) => names.includes(name));
}

await main(async () => {
  const wanted = wantedTargets(process.argv.slice(2));
  await setup();
  const engines = await buildEngines(wanted);
  const staging = `${root}/build/pack`;
  for (const folder of [staging, packagesFolder]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }
  const prepared = engines.map(({ target, path }) =>
    prepareEngine(target, path, `${staging}/${target.name}`),
  );
  // Last, as in a release: a user who sees a new @io/core finds its engines.
  prepared.push(await prepareCore(`${staging}/core`, targets));
  const rows = [];
  for (const { folder, required } of prepared) {
    const tarball = await writeTarball(folder, packagesFolder);
    rows.push({ ...tarball, problems: checkTarball(tarball, required) });
  }
  printTable(rows);
  const problems = rows.flatMap((row) => row.problems);
  if (problems.length > 0) throw new StepError(problems.join("\n"));
});
