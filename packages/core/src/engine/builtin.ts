// Node's own modules that only some programs need. They are loaded at the first use, since a
// program that only uses files starts faster without them.
import { createRequire } from "node:module";

interface Builtins {
  "node:dns/promises": typeof import("node:dns/promises");
  "node:net": typeof import("node:net");
  "node:worker_threads": typeof import("node:worker_threads");
}

let require: NodeJS.Require | undefined;

/** The module of this name. Node's own are found from anywhere, so from its program as well. */
export function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] {
  require ??= createRequire(process.execPath);
  return require(name) as Builtins[Name];
}
