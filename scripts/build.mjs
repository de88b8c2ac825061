// npm run build: makes the tree ready and says so.

import { setup } from "./setup.mjs";
import { main } from "./support/step.mjs";

await main(async () => {
  await setup();
  process.stdout.write("built: packages/core/engine/io.node and packages/*/dist\n");
});
