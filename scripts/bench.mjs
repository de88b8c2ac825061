// npm run bench: sets the tree up, with the peers that are programs of the system, and runs the
// benchmarks with the arguments passed on.

import { setupNginx } from "./bench/nginx.mjs";
import { becomeProgram } from "./support/program.mjs";
import { meet, missingNeeds } from "./support/system.mjs";

/** What makes the load of a workload, and is a need of the tests too. */
const loads = ["wrk"];

await becomeProgram("packages/bench/dist/main.js", async () => {
  const words = process.argv.slice(2).filter((word) => !word.startsWith("-"));
  if (words.length > 0 && !words.some((word) => word.startsWith("http"))) return;
  await meet(missingNeeds({ ofTests: true }).filter(({ name }) => loads.includes(name)));
  await setupNginx();
});
