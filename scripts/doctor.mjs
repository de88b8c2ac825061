// npm run doctor: sets the tree up and says which backend is chosen here, and why. When a build
// fails it says so, and the doctor goes on with the parts that exist: it is needed most then.

import { setup } from "./setup.mjs";
import { root } from "./support/paths.mjs";
import { main, StepError } from "./support/step.mjs";

await main(async () => {
  try {
    await setup();
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    process.stderr.write(`\n${error.message}\n\n`);
  }
  const path = `${root}/packages/core/bin/io-core.js`;
  process.argv = [process.argv[0], path, "doctor", ...process.argv.slice(2)];
  await import(path);
});
