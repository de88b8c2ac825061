// Fetches the runtimes: each is a binary in a package of npm's, taken as it is. npm would not
// install those of other machines, so they are packed, compared with the hash in runtimes.json and
// unpacked into build/runtimes.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { root } from "../support/paths.mjs";
import { runOrFail, StepError, step } from "../support/step.mjs";

export const runtimesFolder = `${root}/build/runtimes`;

export const runtimes = JSON.parse(readFileSync(`${root}/scripts/runtimes/runtimes.json`, "utf8"));

/** The folder of the runtime's package, fetched when it is not there. */
export async function fetchRuntime({ package: name, version, integrity }) {
  const folder = `${runtimesFolder}/${name.replace(/^@|\//g, "")}-${version}`;
  if (existsSync(folder)) return folder;
  await step(`fetch ${name} ${version}`, async () => {
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    const words = ["pack", `${name}@${version}`, "--json", "--pack-destination", unfinished];
    const output = await runOrFail("npm", [...words, "--loglevel=error"]);
    const [{ filename }] = JSON.parse(output.slice(output.indexOf("[")));
    const archive = `${unfinished}/${filename.replace(/^@/, "").replace("/", "-")}`;
    const hash = createHash("sha512").update(readFileSync(archive)).digest("base64");
    if (`sha512-${hash}` !== integrity) {
      throw new StepError(`${name}@${version} is not what runtimes.json says: its hash differs.`);
    }
    await runOrFail("tar", ["-xzf", archive, "-C", unfinished]);
    renameSync(`${unfinished}/package`, folder);
    rmSync(unfinished, { recursive: true });
  });
  return folder;
}
