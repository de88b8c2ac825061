// Another version of the packages: the output of npm run pack, with another number in it.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { root } from "../support/paths.mjs";
import { runOrFail, StepError } from "../support/step.mjs";

const packagesFolder = `${root}/dist-packages`;
const folder = `${root}/build/packages/other`;

/** The package with the engine for the machine that runs the cases. */
export function hostPackage() {
  const { platform, arch, report } = process;
  if (platform !== "linux") return `@io/core-${platform}-${arch}`;
  const libc = report.getReport().header.glibcVersionRuntime === undefined ? "musl" : "gnu";
  return `@io/core-linux-${arch}-${libc}`;
}

/** Where npm pack puts a version of a package: its name without what a file may not have in it. */
function tarballName(name, version) {
  return `${name.slice(1).replace("/", "-")}-${version}.tgz`;
}

/** A version of the same length, so that it fits where the other one stood in the engine. */
function follower(version) {
  const last = Number(version.at(-1));
  return `${version.slice(0, -1)}${(last + 1) % 10}`;
}

function replaceIn(path, from, to) {
  const bytes = readFileSync(path, "latin1");
  const parts = bytes.split(from);
  if (parts.length === 1) throw new StepError(`${path} does not say ${from}`);
  writeFileSync(path, parts.join(to), "latin1");
}

async function makeOther(name, current, version) {
  const unpacked = `${folder}/package`;
  rmSync(unpacked, { recursive: true, force: true });
  const tarball = `${packagesFolder}/${tarballName(name, current)}`;
  if (!existsSync(tarball)) throw new StepError(`There is no ${tarball}.`);
  await runOrFail("tar", ["-xzf", tarball, "-C", folder]);
  replaceIn(`${unpacked}/package.json`, current, version);
  if (existsSync(`${unpacked}/io.node`)) {
    replaceIn(`${unpacked}/io.node`, `\0${current}\0`, `\0${version}\0`);
  } else {
    replaceIn(`${unpacked}/bundle/library.cjs`, `"${current}"`, `"${version}"`);
  }
  const words = ["pack", "--ignore-scripts", "--pack-destination", folder];
  await runOrFail("npm", words, { cwd: unpacked });
  return `${folder}/${tarballName(name, version)}`;
}

/** Makes both packages in another version; returns the two versions and the tarballs. */
export async function otherVersion() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const [file] = readdirSync(packagesFolder).filter((name) => /^io-core-\d/.test(name));
  const current = /^io-core-(.*)\.tgz$/.exec(file)[1];
  const version = follower(current);
  const tarballs = [];
  for (const name of [hostPackage(), "@io/core"]) {
    tarballs.push(await makeOther(name, current, version));
  }
  return { current, version, tarballs };
}
