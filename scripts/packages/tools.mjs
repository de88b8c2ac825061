// The tools of the cases beside Node: a registry, bundlers, test runners and compilers, in a
// package of its own, since they are large and only npm run test:packages needs them.

import { root } from "../support/paths.mjs";

export const toolsFolder = `${root}/scripts/packages`;

/** The file of a tool's program: tool("webpack-cli", "bin/cli.js"). */
export function tool(name, path) {
  return `${toolsFolder}/node_modules/${name}/${path}`;
}
