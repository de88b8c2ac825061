// What the cases use beside Node: a registry, bundlers, test runners and compilers, in a package of
// its own, since they are large and only npm run test:packages needs them.

import { readFileSync } from "node:fs";
import { root } from "../support/paths.mjs";
import { runOrFail, step } from "../support/step.mjs";

export const toolsFolder = `${root}/scripts/packages`;

/** The file of a tool's program: tool("webpack-cli", "bin/cli.js"). */
export function tool(name, path) {
  return `${toolsFolder}/node_modules/${name}/${path}`;
}

/** Installs the tools as the lock file says; a moment when they are there. */
export async function installTools() {
  const { packageManager } = JSON.parse(readFileSync(`${root}/package.json`, "utf8"));
  // Nothing of theirs runs when it is installed.
  const install = ["install", "--frozen-lockfile", "--ignore-workspace", "--ignore-scripts"];
  await step("install the tools", async () => {
    await runOrFail("npx", ["--yes", packageManager, ...install], {
      cwd: toolsFolder,
      env: { ...process.env, CI: "true" },
    });
  });
}
