// Makes of the compiled modules of @io/core what the package consists of: one file of code, a thin
// file for `import` and one for `require`, and one file of types.
//
// The code is a function that is given what finds Node's own modules. So it has no `import` and no
// `require`, and any bundler can put it into ES modules or CommonJS; and there is one instance of
// it in a process, however it is reached. Node 20.4 cannot require an ES module.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { filesUnder } from "./fingerprint.mjs";
import { root } from "./paths.mjs";
import { StepError } from "./step.mjs";

const core = `${root}/packages/core`;
const bundle = `${core}/bundle`;

/** The names that the modules import of each of Node's own, by the module. */
function importedNames() {
  const found = new Map();
  const isCode = (path) => path.endsWith(".js") && !path.endsWith(".test.js");
  for (const path of filesUnder("packages/core/dist", isCode)) {
    const text = readFileSync(`${root}/${path}`, "utf8");
    for (const [, list, name] of text.matchAll(/^import \{([^}]*)\} from "node:(\w+)"/gm)) {
      const names = found.get(name) ?? new Set();
      for (const word of list.split(",")) names.add(word.trim().split(" as ")[0]);
      found.set(name, names);
    }
  }
  return found;
}

/** Lets a module `node:fs` be what the function was given by this name. */
function givenModules(names) {
  return {
    name: "given modules",
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /^node:/ }, ({ path }) => ({ path: path.slice(5), namespace: "given" }));
      onLoad({ filter: /./, namespace: "given" }, ({ path }) => {
        const list = [...(names.get(path) ?? [])].filter(Boolean).join(", ");
        return { contents: `export const { ${list} } = nodeModule("node:${path}");` };
      });
    },
  };
}

/**
 * Node looks through a CommonJS file that a module imports for the names of its exports, which
 * takes 50 ms for the library. So what the entries import is a file of a few lines.
 */
const coreFile = `// The library, made once: index.js and index.cjs both call this.
"use strict";
const make = require("./library.cjs");
let made;
module.exports = (createRequire, url) => {
  const here = typeof __filename === "string" ? __filename : url;
  made ??= make(createRequire(process.execPath), here);
  return made;
};
`;

const libraryHead = `// @io/core: a function of what finds Node's modules, and of its place.
// In parentheses, since V8 would otherwise read it twice.
module.exports = (function make(nodeModule, here) {
`;
const libraryFoot = "return made;\n});\n";

async function writeLibrary(names) {
  const { build } = await import("esbuild");
  await build({
    entryPoints: [`${core}/dist/entry.js`],
    outfile: `${bundle}/library.cjs`,
    bundle: true,
    format: "iife",
    globalName: "made",
    platform: "node",
    target: "node20",
    // The declarations have the words of the public names. The identifiers stay, for stack traces,
    // and lines stay short: Node shows the line that an error comes from, however long it is.
    minifySyntax: true,
    minifyWhitespace: true,
    lineLimit: 100,
    sourcemap: true,
    define: { "import.meta.url": "here" },
    banner: { js: libraryHead },
    footer: { js: libraryFoot },
    plugins: [givenModules(names)],
    logLevel: "warning",
  });
}

/**
 * esbuild renames a class that names itself: an uncaught error would begin with `_IOError`. The
 * text keeps its length, so that the source map stays right.
 */
function keepClassNames() {
  const path = `${bundle}/library.cjs`;
  let text = readFileSync(path, "utf8");
  for (const [, name] of text.matchAll(/\b(\w+)=class _\1\b/g)) {
    text = text.replaceAll(new RegExp(`\\b_${name}\\b`, "g"), `${name} `);
  }
  writeFileSync(path, text);
}

/**
 * The entries: what `dist/index.js` exports, by name. Node's modules are required, by way of the
 * program that runs, which any place will do for: an `import` of node:fs costs a millisecond more.
 */
async function writeEntries() {
  const library = await import(pathToFileURL(`${core}/dist/index.js`).href);
  const exported = Object.keys(library).sort().join(",\n  ");
  // The default import, since webpack leaves createRequire undefined where it is not called.
  const imports = 'import nodeModule from "node:module";\nimport core from "./core.cjs";\n';
  const imported = "core(nodeModule.createRequire, import.meta.url)";
  writeFileSync(
    `${bundle}/index.js`,
    `${imports}\nexport const {\n  ${exported},\n} = ${imported}.library;\n`,
  );
  writeFileSync(`${bundle}/doctor.js`, `${imports}\nexport const { doctor } = ${imported};\n`);
  writeFileSync(
    `${bundle}/index.cjs`,
    // In a bundle of ES modules there is no require().
    `"use strict";\nconst { createRequire } =\n` +
      `  process.getBuiltinModule?.("node:module") ?? require("node:module");\n` +
      `const { library } = require("./core.cjs")(createRequire);\n` +
      `module.exports = { ...library };\n` +
      // Node looks for these words, so that the names can be imported.
      `0 && (module.exports = {\n  ${exported},\n});\n`,
  );
}

/** The command `io-core build` has nothing of the library, which may not load. */
async function writeBuild() {
  const { build } = await import("esbuild");
  await build({
    entryPoints: [`${core}/dist/command/build.js`],
    outfile: `${bundle}/build.js`,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "warning",
  });
}

export async function bundleCore() {
  mkdirSync(bundle, { recursive: true });
  writeFileSync(`${bundle}/core.cjs`, coreFile);
  await writeLibrary(importedNames());
  keepClassNames();
  await writeEntries();
  await writeBuild();
}

const typesHead = `/// <reference types="node" />
/// <reference lib="esnext.disposable" />
`;

/** One file of declarations; that for `import` names it, since a class declared twice is two. */
export async function bundleTypes() {
  const [{ rollup }, { dts }] = await Promise.all([import("rollup"), import("rollup-plugin-dts")]);
  const made = await rollup({
    input: `${core}/dist/index.d.ts`,
    external: /^node:/,
    plugins: [dts()],
    onwarn: ({ message }) => {
      throw new StepError(`the types of @io/core: ${message}`);
    },
  });
  await made.write({ file: `${bundle}/index.d.cts`, format: "es" });
  await made.close();
  const types = readFileSync(`${bundle}/index.d.cts`, "utf8");
  writeFileSync(`${bundle}/index.d.cts`, `${typesHead}${types}`);
  writeFileSync(`${bundle}/index.d.ts`, 'export * from "./index.cjs";\n');
}
