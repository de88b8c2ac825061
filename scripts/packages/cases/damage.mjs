// Broken installations: each message names the missing part, and the remedy.

import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { StepError } from "../../support/step.mjs";
import { expect, installed, place, Skip } from "../place.mjs";
import { toolsFolder } from "../tools.mjs";
import { hostPackage } from "../versions.mjs";

/** Runs the program, which must fail, and expects the words in what it says. */
async function fails(here, ...parts) {
  here.take("works_body.cjs");
  here.take("works.mjs");
  const { ok, output } = await here.start(process.execPath, ["works.mjs"]);
  if (ok) throw new StepError(`it works:\n${output}`);
  expect(output, ...parts);
  // The other way in says the same.
  here.take("works.cjs");
  const required = await here.start(process.execPath, ["works.cjs"]);
  expect(required.output, ...parts);
}

const engine = (here) => `${here.folder}/node_modules/${hostPackage()}/io.node`;

async function withoutOptional(registry) {
  const here = place(registry, "omitted");
  await here.npm("install", "--omit=optional", "@io/core");
  await fails(
    here,
    "ERR_IO_ENGINE_MISSING",
    hostPackage(),
    `${process.platform}-${process.arch}`,
    "npm install --include=optional",
    "npx @io/core build",
  );
  const doctor = await here.start(process.execPath, [
    "node_modules/@io/core/bin/io-core.js",
    "doctor",
  ]);
  expect(doctor.output, hostPackage());
  // The advice of the message repairs it.
  await here.npm("install", "--include=optional");
  expect(await here.node("works.mjs"), "works on ");
}

async function otherSystem(registry) {
  const here = place(registry, "other system");
  await here.npm("install", "--os=darwin", "--cpu=arm64", "@io/core");
  await fails(here, "ERR_IO_ENGINE_MISSING", hostPackage(), "@io/core-darwin-arm64", "npm ci");
  await here.npm("ci");
  expect(await here.node("works.mjs"), "works on ");
}

async function cutShort(registry) {
  const here = await installed(registry, "cut short");
  const whole = readFileSync(engine(here));
  for (const length of [0, 10, 100, 70_000, whole.length - 1]) {
    writeFileSync(engine(here), whole.subarray(0, length));
    await fails(here, "ERR_IO_ENGINE_BROKEN", hostPackage(), "npm ci");
  }
  await here.npm("ci");
  expect(await here.node("works.mjs"), "works on ");
}

async function noise(registry) {
  const here = await installed(registry, "noise");
  writeFileSync(engine(here), "This is no engine. ".repeat(10_000));
  await fails(here, "ERR_IO_ENGINE_BROKEN", hostPackage());
}

/** An addon that loads, and is of another project. */
async function foreign(registry) {
  const here = await installed(registry, "foreign");
  const store = `${toolsFolder}/node_modules/.pnpm`;
  const entry = readdirSync(store).find((name) => name.startsWith("@rollup+rollup-linux-x64-gnu@"));
  if (entry === undefined) throw new Skip("rollup has no addon for this machine");
  const folder = `${store}/${entry}/node_modules/@rollup/rollup-linux-x64-gnu`;
  const addon = readdirSync(folder).find((name) => name.endsWith(".node"));
  cpSync(`${folder}/${addon}`, engine(here));
  await fails(here, "ERR_IO_ENGINE_BROKEN", "no engine of @io/core", hostPackage());
}

/** The engine of another processor, and of another system, under the name of this one's. */
async function ofOtherMachines(registry) {
  const here = await installed(registry, "other machines");
  for (const [os, cpu] of [
    ["linux", "arm64"],
    ["darwin", "x64"],
  ]) {
    const there = place(registry, `for ${os} ${cpu}`);
    await there.npm("install", `--os=${os}`, `--cpu=${cpu}`, "--libc=glibc", "@io/core");
    const folder = `${there.folder}/node_modules/@io`;
    const name = readdirSync(folder).find((entry) => entry.startsWith(`core-${os}-${cpu}`));
    cpSync(`${folder}/${name}/io.node`, engine(here));
    await fails(here, "ERR_IO_ENGINE_BROKEN", hostPackage());
  }
}

/** Engines in the places where a build of the application's own may lie are not the library's. */
async function ofTheApplication(registry) {
  const here = await installed(registry, "of the application");
  for (const path of ["build/Release/io.node", "node_modules/build/Release/io.node", "io.node"]) {
    here.write(path, "no engine");
  }
  here.take("works_body.cjs");
  here.take("works.mjs");
  expect(await here.node("works.mjs"), "works on ");
}

async function readOnly(registry) {
  const here = await installed(registry, "read-only");
  here.take("works_body.cjs");
  here.take("works.mjs");
  const quoted = "mount --bind node_modules node_modules && mount -o remount,bind,ro node_modules";
  const script = `${quoted} && exec "$0" "$@"`;
  const words = ["-rm", "/bin/sh", "-c", script, process.execPath];
  const env = { PATH: process.env["PATH"] };
  const allowed = await here.start("unshare", ["-rm", "/bin/sh", "-c", quoted], { env });
  if (!allowed.ok) throw new Skip(`no file system may be mounted here: ${allowed.output.trim()}`);
  const { ok, output } = await here.start("unshare", [...words, "works.mjs"], { env });
  if (!ok) throw new StepError(output);
  expect(output, "works on ");
  const build = [...words, "node_modules/@io/core/bin/io-core.js", "build"];
  const built = await here.start("unshare", build, { env });
  expect(built.output, "cannot be written to", "EROFS");
}

async function relative(registry) {
  const here = await installed(registry, "named engine");
  rmSync(engine(here));
  here.take("works_body.cjs");
  here.take("works.mjs");
  const env = { IO_ENGINE: "not/there.node" };
  const { ok, output } = await here.start(process.execPath, ["works.mjs"], { env });
  if (ok) throw new StepError("it works without an engine");
  expect(output, "ERR_IO_ENGINE_MISSING", "IO_ENGINE", "not/there.node");
}

export const damage = [
  { name: "damage: optional dependencies left out", run: withoutOptional },
  { name: "damage: installed for another system", run: otherSystem },
  { name: "damage: an engine that is cut short", run: cutShort },
  { name: "damage: an engine file full of noise", run: noise },
  { name: "damage: an addon of another project", run: foreign },
  { name: "damage: engines of other machines", run: ofOtherMachines },
  { name: "damage: addons of the application", run: ofTheApplication },
  { name: "damage: node_modules that is read-only", run: readOnly },
  { name: "damage: IO_ENGINE names nothing", run: relative },
];
