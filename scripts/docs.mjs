// npm run docs: writes the reference of @io/core to docs/api; a warning is a failure.

import { setup } from "./setup.mjs";
import { main, runOrFail, step } from "./support/step.mjs";

await main(async () => {
  await setup();
  await step("write docs/api", async () => {
    await runOrFail("node_modules/.bin/typedoc", []);
  });
});
