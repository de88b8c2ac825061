// Sets the tree up and then becomes the program: it runs in this process, so that signals, standard
// streams and the exit status are its own, with nothing in between to forward them.

import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { setup } from "../setup.mjs";
import { root } from "./paths.mjs";
import { main, StepError } from "./step.mjs";

/**
 * Runs a compiled entry point of a package with the arguments this script was given. `prepare` does
 * what this program alone needs.
 */
export async function becomeProgram(relativePath, prepare = async () => {}) {
  const path = `${root}/${relativePath}`;
  await main(async () => {
    await setup();
    await prepare();
    if (!existsSync(path)) throw new StepError(`${relativePath} does not exist.`);
  });
  if (process.exitCode) return;
  process.argv = [process.argv[0], path, ...process.argv.slice(2)];
  await import(pathToFileURL(path).href);
}
