// apt with a state of its own: it leaves this machine's package lists alone, and needs no root.
// Packages come from the machine's own lists of sources.

import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { run } from "./step.mjs";

/** A value of /etc/os-release, or undefined. */
export function ofRelease(name) {
  if (!existsSync("/etc/os-release")) return undefined;
  const text = readFileSync("/etc/os-release", "utf8");
  return new RegExp(`^${name}="?([^"\\n]+)`, "m").exec(text)?.[1];
}

/** The machine's lists of sources that name this release, as they are: their names and texts. */
export function machineSources() {
  const codename = ofRelease("VERSION_CODENAME");
  const parts = "/etc/apt/sources.list.d";
  const files = existsSync(parts) ? readdirSync(parts).map((name) => `${parts}/${name}`) : [];
  return (
    ["/etc/apt/sources.list", ...files]
      .filter((file) => /\.(list|sources)$/.test(file) && existsSync(file))
      .map((file) => ({ name: basename(file), text: readFileSync(file, "utf8") }))
      // Sources of other makers name no release, or have nothing that is of interest here.
      .filter(({ text }) => new RegExp(`^(Suites:|deb\\s).*\\s${codename}(\\s|$)`, "m").test(text))
  );
}

/**
 * Returns a function that runs a program of apt's. Its state, and what it fetches, is in `folder`;
 * the lists of sources are the files in `<folder>/sources`.
 */
export function privateApt(folder) {
  for (const path of ["state/lists/partial", "cache/archives/partial", "sources"]) {
    mkdirSync(`${folder}/${path}`, { recursive: true });
  }
  const options = [
    `Dir::State=${folder}/state`,
    "Dir::State::status=/var/lib/dpkg/status",
    `Dir::Cache=${folder}/cache`,
    "Dir::Etc::sourcelist=/dev/null",
    `Dir::Etc::sourceparts=${folder}/sources`,
    "APT::Sandbox::User=",
  ].flatMap((option) => ["-o", option]);
  return (program, ...words) => run(program, [...options, "-q", ...words], { cwd: folder });
}
