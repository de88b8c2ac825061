// The place of a case: an empty folder, with blanks and letters of other languages in its path, and
// an environment in which there is Node and no compiler.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "../support/paths.mjs";
import { run, StepError } from "../support/step.mjs";

// Outside of the repository: inside it, Node would find the repository's own modules.
const casesFolder = mkdtempSync(join(tmpdir(), "io-packages-"));
const binFolder = `${casesFolder}/bin`;
const npmFile = realpathSync(join(dirname(process.execPath), "npm"));

/** What a case cannot do without and this machine has not. */
export class Skip extends StepError {
  skips = true;
}

/** A folder with Node and a shell in it, and nothing else. */
function pathOfNode() {
  if (!existsSync(`${binFolder}/node`)) {
    mkdirSync(binFolder, { recursive: true });
    symlinkSync("/bin/sh", `${binFolder}/sh`);
    symlinkSync(process.execPath, `${binFolder}/node`);
  }
  return binFolder;
}

/** The environment of a user who has Node only. */
export function userEnvironment(registry, folder) {
  return {
    PATH: pathOfNode(),
    HOME: `${folder}/home`,
    LANG: "C.UTF-8",
    npm_config_registry: registry.url,
    npm_config_audit: "false",
    npm_config_fund: "false",
    npm_config_update_notifier: "false",
  };
}

/** Makes the folder of a case, with a package.json of its own, and returns what acts in it. */
export function place(registry, name, { type = "module", manifest = {} } = {}) {
  const folder = `${casesFolder}/${name} äß 家`;
  mkdirSync(`${folder}/home`, { recursive: true });
  const json = { name: "app", version: "1.0.0", private: true, type, ...manifest };
  writeFileSync(`${folder}/package.json`, `${JSON.stringify(json, null, 2)}\n`);
  const env = userEnvironment(registry, folder);
  const start = (program, words, more = {}) =>
    run(program, words, { cwd: folder, ...more, env: { ...env, ...more.env } });
  const here = {
    folder,
    env,
    start,
    write: (path, text) => {
      mkdirSync(dirname(`${folder}/${path}`), { recursive: true });
      writeFileSync(`${folder}/${path}`, text);
    },
    /** Puts a program of `programs` into the folder. */
    take: (path, as = path) =>
      cpSync(`${root}/scripts/packages/programs/${path}`, `${folder}/${as}`),
    must: async (program, words, more) => {
      const { ok, output } = await start(program, words, more);
      if (!ok) throw new StepError(`failed: ${[program, ...words].join(" ")}\n${output.trimEnd()}`);
      return output;
    },
    npm: (...words) => here.must(process.execPath, [npmFile, ...words]),
    node: (...words) => here.must(process.execPath, words),
  };
  return here;
}

/** The same, with @io/core installed by npm. */
export async function installed(registry, name, options) {
  const here = place(registry, name, options);
  await here.npm("install", "@io/core");
  return here;
}

/** Fails unless the text has each of the parts: words, or patterns. */
export function expect(output, ...parts) {
  for (const part of parts) {
    const found = typeof part === "string" ? output.includes(part) : part.test(output);
    if (!found) throw new StepError(`expected ${part}, and this was said:\n${output.trimEnd()}`);
  }
}

/** Removes the places of all cases. */
export function removePlaces() {
  rmSync(casesFolder, { recursive: true, force: true });
}
