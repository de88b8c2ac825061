// npm run docs: builds the documentation site in build/site. An example that does not compile, a
// public name without words, a broken link, a chart without figures: each of them is an error.
// `npm run docs -- --no-browser` leaves the tests in Chromium out.

import { setup } from "./setup.mjs";
import { testInBrowser } from "./site/browser.mjs";
import { updateCharts } from "./site/charts.mjs";
import { documentPaths } from "./site/documents.mjs";
import { checkLinks } from "./site/links.mjs";
import { sitePackages } from "./site/packages.mjs";
import { checkWords } from "./site/words.mjs";
import { root } from "./support/paths.mjs";
import { main, runOrFail, step } from "./support/step.mjs";
import { installTools } from "./support/tools.mjs";

const fronts = sitePackages.map(({ readme }) => readme);

await main(async () => {
  await setup();
  await installTools(`${root}/scripts/site`, "install the site's tools");
  await step("compile the examples", async () => {
    const env = { ...process.env, IO_EXAMPLES: "compile" };
    await runOrFail(process.execPath, ["test/dist/examples.test.js"], { env });
  });
  await step("draw the charts", () => updateCharts(["README.md", ...fronts, ...documentPaths]));
  // The first clears the folder, in which the others have theirs.
  for (const { name } of sitePackages) {
    await step(`write the site of ${name}`, async () => {
      const env = { ...process.env, IO_SITE_PACKAGE: name };
      await runOrFail("node_modules/.bin/typedoc", [], { env });
    });
  }
  await step("look for missing words", () => checkWords());
  await step("follow the links", () => checkLinks());
  await testInBrowser(process.argv.includes("--no-browser"));
});
