// npm run test:packages [-- --ci] [<substring>...]: packs the packages, publishes them to a
// registry of its own on loopback, installs them from it into empty folders and runs them there, in
// every way that users have. With --ci it runs only the quick cases. Ends with one line of totals.

import { publishPackages } from "./pack/publish.mjs";
import { cases } from "./packages/cases.mjs";
import { removePlaces } from "./packages/place.mjs";
import { startRegistry } from "./packages/registry.mjs";
import { toolsFolder } from "./packages/tools.mjs";
import { setup } from "./setup.mjs";
import { main, runOrFail, StepError, step } from "./support/step.mjs";
import { reportTotals } from "./support/test_file.mjs";
import { installTools } from "./support/tools.mjs";

/** Why a case cannot run on this machine: it is skipped, with these words. */
function reasonOf(error) {
  return error instanceof StepError && error.skips === true ? error.message : undefined;
}

async function runCase({ name, run }, registry) {
  const start = performance.now();
  const seconds = () => `(${((performance.now() - start) / 1000).toFixed(1)} s)`;
  try {
    const figure = await run(registry);
    process.stdout.write(`ok   ${name}  ${seconds()}\n`);
    if (figure !== undefined) process.stdout.write(`     measured: ${figure}\n`);
    return { passed: 1, failed: 0, skipped: 0 };
  } catch (error) {
    const reason = reasonOf(error);
    if (reason !== undefined) {
      process.stdout.write(`skip ${name}\n     skipped: ${reason}\n`);
      return { passed: 0, failed: 0, skipped: 1 };
    }
    const text = error instanceof StepError ? error.message : error.stack;
    process.stdout.write(`FAIL ${name}  ${seconds()}\n${text.replace(/^/gm, "     ")}\n`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

function wantedCases(words) {
  const quick = words.includes("--ci");
  const substrings = words.filter((word) => word !== "--ci");
  const wanted = cases.filter(
    ({ name, slow }) =>
      !(quick && slow) &&
      (substrings.length === 0 || substrings.some((substring) => name.includes(substring))),
  );
  if (wanted.length === 0) throw new StepError("No case matches.");
  return wanted;
}

await main(async () => {
  const wanted = wantedCases(process.argv.slice(2));
  await setup();
  await installTools(toolsFolder);
  await step("pack the packages", async () => {
    await runOrFail("npm", ["run", "pack"]);
  });
  const registry = await startRegistry();
  try {
    await step("publish them", async () => {
      const published = await publishPackages(registry.npmWords, registry.npmWords);
      const again = await publishPackages(registry.npmWords, registry.npmWords);
      if (again.length > 0) throw new StepError(`published twice: ${again.join(", ")}`);
      return `${published.length} packages`;
    });
    const results = [];
    for (const one of wanted) results.push(await runCase(one, registry));
    reportTotals(results);
  } finally {
    await registry.stop();
    removePlaces();
  }
});
