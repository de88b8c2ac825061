// npm run doctor: sets the tree up and says which backend is taken here, and why. When something
// cannot be built it says so, and the doctor goes on with what there is: that is when it is needed.

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
