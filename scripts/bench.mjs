// npm run bench: sets the tree up and runs the benchmarks with the arguments passed on.

import { becomeProgram } from "./support/program.mjs";

await becomeProgram("packages/bench/dist/main.js");
