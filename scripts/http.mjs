// npm run http: sets the tree up and runs the HTTP server with the arguments passed on. Without any
// it serves this folder and a hello world on loopback.

import { becomeProgram } from "./support/program.mjs";

await becomeProgram("packages/http/dist/main.js");
