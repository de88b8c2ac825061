// Package managers: npm, pnpm, and Yarn with a folder of modules and without one.

import { readdirSync, readFileSync } from "node:fs";
import { root } from "../../support/paths.mjs";
import { StepError } from "../../support/step.mjs";
import { expect, installed, place } from "../place.mjs";
import { tool } from "../tools.mjs";

const yarn = tool("@yarnpkg/cli-dist", "bin/yarn.js");

async function runsIn(here, ...words) {
  for (const name of ["works_body.cjs", "works.mjs", "works.cjs"]) here.take(name);
  expect(await here.node(...words, "works.mjs"), "works on ");
  expect(await here.node(...words, "works.cjs"), "works on ");
}

/** The program in the package's own README, run as it is said there. */
async function readmeProgram(registry) {
  const here = place(registry, "readme");
  const start = performance.now();
  await here.npm("install", "@io/core");
  const text = readFileSync(`${here.folder}/node_modules/@io/core/README.md`, "utf8");
  const program = /^```js\n(import .*?)^```$/ms.exec(text)?.[1];
  if (program === undefined) throw new StepError("There is no program in the README.");
  here.write("hello.mjs", program);
  expect(await here.node("hello.mjs"), "hello, by ");
  const seconds = (performance.now() - start) / 1000;
  return `npm install and the program of the README take ${seconds.toFixed(1)} s`;
}

async function npmInstalls(registry) {
  const here = await installed(registry, "npm");
  await runsIn(here);
  const names = readdirSync(`${here.folder}/node_modules/@io`);
  if (names.length !== 2) throw new StepError(`installed: ${names.join(", ")}`);
  const doctor = await here.node("node_modules/@io/core/bin/io-core.js", "doctor");
  expect(doctor, "io_uring", "epoll");
}

async function smoke(registry) {
  const here = await installed(registry, "smoke");
  here.write("smoke.mjs", readFileSync(`${root}/test/smoke/smoke.mjs`, "utf8"));
  expect(await here.node("smoke.mjs"), /^\d+ passed, 0 failed/m);
}

async function pnpmInstalls(registry) {
  const here = place(registry, "pnpm");
  await here.node(tool("pnpm", "bin/pnpm.cjs"), "add", "@io/core");
  await runsIn(here);
}

function yarnConfiguration(registry, linker) {
  return `nodeLinker: ${linker}
npmRegistryServer: "${registry.url.replace(/\/$/, "")}"
unsafeHttpWhitelist: ["127.0.0.1"]
enableGlobalCache: false
enableTelemetry: false
npmMinimalAgeGate: 0
`;
}

async function yarnInstalls(registry, linker) {
  const here = place(registry, `yarn ${linker}`);
  here.write(".yarnrc.yml", yarnConfiguration(registry, linker));
  await here.node(yarn, "add", "@io/core");
  await runsIn(here, ...(linker === "pnp" ? [yarn, "node"] : []));
}

export const installing = [
  { name: "npm install, and the program of the README", run: readmeProgram },
  { name: "npm: import, require, doctor", run: npmInstalls },
  { name: "npm: the whole interface once", run: smoke },
  { name: "pnpm", run: pnpmInstalls },
  { name: "yarn, with node_modules", run: (registry) => yarnInstalls(registry, "node-modules") },
  { name: "yarn, Plug'n'Play", run: (registry) => yarnInstalls(registry, "pnp") },
];
