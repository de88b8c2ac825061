// Tools that one command alone needs, in a package of their own, so that no other installs them.

import { readFileSync } from "node:fs";
import { root } from "./paths.mjs";
import { runOrFail, step } from "./step.mjs";

/** Installs the tools of a folder as its lock file says; a moment when they are there. */
export async function installTools(folder, title = "install the tools") {
  const { packageManager } = JSON.parse(readFileSync(`${root}/package.json`, "utf8"));
  // Nothing of theirs runs when it is installed.
  const install = ["install", "--frozen-lockfile", "--ignore-workspace", "--ignore-scripts"];
  await step(title, async () => {
    await runOrFail("npx", ["--yes", packageManager, ...install], {
      cwd: folder,
      env: { ...process.env, CI: "true" },
      advice: `If package.json has changed: npx --yes ${packageManager} install --lockfile-only`,
    });
  });
}
