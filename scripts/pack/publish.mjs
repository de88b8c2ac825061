// Publishes what npm run pack has made, the engines before @io/core: a user who sees a new @io/core
// finds its engines.

import { readdirSync } from "node:fs";
import { root } from "../support/paths.mjs";
import { run, runOrFail, StepError } from "../support/step.mjs";

const packagesFolder = `${root}/dist-packages`;

const isCore = (name) => /^io-core-\d/.test(name);

function tarballs() {
  const names = readdirSync(packagesFolder).filter((name) => name.endsWith(".tgz"));
  if (!names.some(isCore)) throw new StepError(`There is no @io/core in ${packagesFolder}.`);
  return [...names.filter((name) => !isCore(name)), ...names.filter(isCore)];
}

/** The name and version in a tarball. */
async function describe(path) {
  const text = await runOrFail("tar", ["-xzOf", path, "package/package.json"]);
  const { name, version } = JSON.parse(text);
  return `${name}@${version}`;
}

/** Whether the registry has this version. That it knows no such package is an answer, too. */
async function isPublished(spec, words) {
  const { ok, output } = await run("npm", ["view", spec, "version", ...words]);
  if (ok) return output.trim() !== "";
  if (/E404/.test(output)) return false;
  throw new StepError(`npm view ${spec} failed:\n${output.trimEnd()}`);
}

/**
 * Publishes each package whose version the registry does not have, with these words for npm, and
 * returns which. What was interrupted is so continued.
 */
export async function publishPackages(words, viewWords = []) {
  const published = [];
  for (const name of tarballs()) {
    const path = `${packagesFolder}/${name}`;
    const spec = await describe(path);
    if (await isPublished(spec, viewWords)) continue;
    await runOrFail("npm", ["publish", path, ...words]);
    published.push(spec);
  }
  return published;
}
