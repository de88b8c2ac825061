// The declarations, with every compiler and under every way to resolve modules that users have.

import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { root } from "../../support/paths.mjs";
import { StepError } from "../../support/step.mjs";
import { installed, place } from "../place.mjs";
import { tool, toolsFolder } from "../tools.mjs";

const versions = ["5.4", "5.5", "5.6", "5.7", "5.9", "6.0", "7.0"];
const quickVersions = ["5.4", "7.0"];

const ways = [
  { module: "esnext", moduleResolution: "bundler" },
  { module: "node16", moduleResolution: "node16" },
  { module: "nodenext", moduleResolution: "nodenext" },
];

function options(way) {
  const compilerOptions = {
    ...way,
    target: "es2022",
    lib: ["es2022"],
    types: ["node"],
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
  };
  return JSON.stringify({ compilerOptions, files: ["uses.ts", "uses_cts.cts", "uses_mts.mts"] });
}

async function compiles(registry, wanted) {
  const here = await installed(registry, "types");
  mkdirSync(`${here.folder}/node_modules/@types`, { recursive: true });
  symlinkSync(`${toolsFolder}/node_modules/@types/node`, `${here.folder}/node_modules/@types/node`);
  for (const as of ["uses.ts", "uses_cts.cts", "uses_mts.mts"]) here.take("uses.ts.txt", as);
  const problems = [];
  for (const version of wanted) {
    for (const way of ways) {
      here.write("tsconfig.json", options(way));
      const compiler = tool(`typescript-${version}`, "bin/tsc");
      const { ok, output } = await here.start(process.execPath, [compiler]);
      if (!ok) problems.push(`TypeScript ${version}, ${way.moduleResolution}:\n${output}`);
    }
  }
  if (problems.length > 0) throw new StepError(problems.join("\n"));
}

function coreTarball() {
  const folder = `${root}/dist-packages`;
  const name = readdirSync(folder).find((entry) => /^io-core-\d/.test(entry));
  return `${folder}/${name}`;
}

async function checkedBy(registry, name, program, ...words) {
  const here = place(registry, name);
  await here.node(program, ...words, coreTarball());
}

export const types = [
  {
    name: "types: TypeScript 5.4 to 7.0, every resolution",
    slow: true,
    run: (registry) => compiles(registry, versions),
  },
  {
    name: "types: the oldest and the newest compiler",
    run: (registry) => compiles(registry, quickVersions),
  },
  {
    name: "publint",
    run: (registry) => checkedBy(registry, "publint", tool("publint", "src/cli.js"), "--strict"),
  },
  {
    name: "are the types wrong",
    run: (registry) =>
      checkedBy(registry, "attw", tool("@arethetypeswrong/cli", "dist/index.js"), "--no-color"),
  },
];
