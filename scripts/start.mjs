// npm start: sets the tree up and runs the key-value server with the arguments passed on.

import { becomeProgram } from "./support/program.mjs";

await becomeProgram("packages/kv/dist/main.js");
