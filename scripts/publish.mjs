// node scripts/publish.mjs: publishes what npm run pack has made, with provenance. It runs in the
// release workflow only, since provenance says which commit and which run a package comes from.

import { home } from "./pack/manifest.mjs";
import { publishPackages } from "./pack/publish.mjs";
import { main, StepError } from "./support/step.mjs";

await main(async () => {
  const { GITHUB_REPOSITORY: repository } = process.env;
  if (repository !== home) {
    throw new StepError(
      `Packages are published by the release workflow of ${home}, the home in package.json, ` +
        `and this is ${repository ?? "no workflow"}.`,
    );
  }
  const published = await publishPackages(["--provenance", "--access", "public"]);
  const lines = published.map((spec) => `published ${spec}\n`);
  process.stdout.write(lines.join("") || "The registry has every version already.\n");
});
