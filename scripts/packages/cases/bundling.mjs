// Bundlers: the bundle of a program runs beside its node_modules, and elsewhere with the engine's
// package beside it.

import { cpSync, mkdirSync, rmSync } from "node:fs";
import { fetchRuntime, runtimes } from "../../runtimes/fetch.mjs";
import { StepError } from "../../support/step.mjs";
import { expect, installed } from "../place.mjs";
import { tool } from "../tools.mjs";
import { hostPackage } from "../versions.mjs";

async function program(registry, name) {
  const here = await installed(registry, name);
  for (const file of ["works_body.cjs", "works.mjs", "works.cjs"]) here.take(file);
  return here;
}

/** The bundle is moved to a place of its own. */
async function elsewhere(here, bundle) {
  const folder = `${here.folder}/home/moved`;
  const name = bundle.split("/").at(-1);
  cpSync(`${here.folder}/${bundle}`, `${folder}/${name}`);
  const alone = await here.start(process.execPath, [`${folder}/${name}`], { cwd: folder });
  // The folders above have one, which a bundle finds as Node does.
  expect(alone.output, "works on ");
}

async function runs(here, bundle) {
  expect(await here.node(bundle), "works on ");
  await elsewhere(here, bundle);
}

async function byEsbuild(registry) {
  const here = await program(registry, "esbuild");
  const esbuild = tool("esbuild", "bin/esbuild");
  for (const [format, extension] of [
    ["esm", "mjs"],
    ["cjs", "cjs"],
  ]) {
    for (const entry of ["works.mjs", "works.cjs"]) {
      const bundle = `out/${format}-of-${entry.slice(-3)}.${extension}`;
      const words = ["--bundle", "--platform=node", `--format=${format}`, `--outfile=${bundle}`];
      // An ES module has no require(), and the program's own CommonJS file asks for it.
      const banner =
        format === "esm"
          ? [
              "--banner:js=import { createRequire as makeRequire } from 'node:module';" +
                "const require = makeRequire(import.meta.url);",
            ]
          : [];
      await here.must(esbuild, [entry, ...words, ...banner]);
      await runs(here, bundle);
    }
  }
}

async function byRollup(registry) {
  const here = await program(registry, "rollup");
  here.write(
    "rollup.config.mjs",
    `import resolve from ${JSON.stringify(tool("@rollup/plugin-node-resolve", "dist/es/index.js"))};
import commonjs from ${JSON.stringify(tool("@rollup/plugin-commonjs", "dist/es/index.js"))};
export default ["es", "cjs"].map((format) => ({
  input: "works.mjs",
  plugins: [resolve({ preferBuiltins: true }), commonjs()],
  external: /^node:/,
  output: { file: \`out/\${format}.\${format === "es" ? "mjs" : "cjs"}\`, format },
}));
`,
  );
  await here.node(tool("rollup", "dist/bin/rollup"), "-c", "rollup.config.mjs");
  for (const bundle of ["out/es.mjs", "out/cjs.cjs"]) await runs(here, bundle);
}

async function byWebpack(registry) {
  const here = await program(registry, "webpack");
  here.write(
    "webpack.config.cjs",
    `const shared = { mode: "production", target: "node20", context: __dirname };
const path = require("node:path").join(__dirname, "out");
module.exports = [
  { ...shared, entry: "./works.cjs", output: { path, filename: "of-cjs.cjs" } },
  { ...shared, entry: "./works.mjs", output: { path, filename: "of-mjs.cjs" } },
  {
    ...shared,
    entry: "./works.mjs",
    experiments: { outputModule: true },
    output: { path, filename: "of-mjs.mjs", module: true, chunkFormat: "module" },
  },
];
`,
  );
  await here.node(tool("webpack-cli", "bin/cli.js"), "--config", "webpack.config.cjs");
  for (const name of ["of-cjs.cjs", "of-mjs.cjs", "of-mjs.mjs"]) await runs(here, `out/${name}`);
}

async function byNcc(registry) {
  const here = await program(registry, "ncc");
  const ncc = tool("@vercel/ncc", "dist/ncc/cli.js");
  for (const kind of ["cjs", "mjs"]) {
    await here.node(ncc, "build", `works.${kind}`, "-o", `out-${kind}`);
    expect(await here.node(`out-${kind}/index.${kind}`), "works on ");
  }
}

/** A single executable: Node with the bundle in it, and the engine's package beside it. */
async function asExecutable(registry) {
  const here = await program(registry, "executable");
  const esbuild = tool("esbuild", "bin/esbuild");
  const words = ["--bundle", "--platform=node", "--format=cjs", "--outfile=bundle.cjs"];
  await here.must(esbuild, ["works.cjs", ...words]);
  const folder = `${here.folder}/home/program`;
  mkdirSync(`${folder}/node_modules/@io`, { recursive: true });
  here.write("sea.json", JSON.stringify({ main: "bundle.cjs", output: "sea.blob" }));
  await here.node("--experimental-sea-config", "sea.json");
  cpSync(process.execPath, `${folder}/works`);
  const fuse = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";
  const inject = [tool("postject", "dist/cli.js"), `${folder}/works`, "NODE_SEA_BLOB", "sea.blob"];
  await here.node(...inject, "--sentinel-fuse", fuse);
  const name = hostPackage();
  cpSync(`${here.folder}/node_modules/${name}`, `${folder}/node_modules/${name}`, {
    recursive: true,
  });
  const { ok, output } = await here.start(`${folder}/works`, [], { cwd: "/" });
  if (!ok) throw new StepError(output);
  expect(output, "works on ");
}

/** The same by Bun, which writes the places of the modules into it as they are when it is built. */
async function asBunExecutable(registry) {
  const here = await program(registry, "bun executable");
  const bun = runtimes.find(({ name }) => name === "bun");
  const words = ["build", "--compile", "works.mjs", "--outfile", "home/program/works"];
  await here.must(`${await fetchRuntime(bun)}/${bun.program}`, words);
  const folder = `${here.folder}/home/program`;
  const name = hostPackage();
  cpSync(`${here.folder}/node_modules/${name}`, `${folder}/node_modules/${name}`, {
    recursive: true,
  });
  rmSync(`${here.folder}/node_modules`, { recursive: true });
  expect(await here.must(`${folder}/works`, [], { cwd: "/" }), "works on ");
}

export const bundling = [
  { name: "bundled by esbuild", run: byEsbuild },
  { name: "bundled by rollup", slow: true, run: byRollup },
  { name: "bundled by webpack", slow: true, run: byWebpack },
  { name: "bundled by ncc", slow: true, run: byNcc },
  { name: "a single executable of Node", slow: true, run: asExecutable },
  { name: "a single executable of Bun", slow: true, run: asBunExecutable },
];
