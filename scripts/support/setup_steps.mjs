// The steps of setup: each knows what goes into it, what must exist after it, and how to do it.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import { bundleCore, bundleTypes } from "./bundle.mjs";
import { forgetMovedCache } from "./cmake_cache.mjs";
import { filesUnder, fingerprint } from "./fingerprint.mjs";
import {
  abiFile,
  abiProgram,
  addonFile,
  builtAddonFile,
  kqueueAddonFile,
  kqueueSystemAddonFiles,
  root,
  versionFile,
} from "./paths.mjs";
import { runOrFail, StepError } from "./step.mjs";
import { meetNeeds, missingNeeds } from "./system.mjs";

const { packageManager } = JSON.parse(readFileSync(`${root}/package.json`, "utf8"));

const isPackageFile = (path) => path.endsWith("package.json");
const isTypeScript = (path) => /\.ts$|tsconfig.*\.json$/.test(path);
const isScriptOutput = (path) => /\.(js|d\.ts)(\.map)?$/.test(path);

function packageFolders() {
  const packageFiles = filesUnder("packages", isPackageFile);
  const folders = packageFiles.map((path) => path.replace(/\/package\.json$/, ""));
  return [...folders.filter((folder) => folder.split("/").length === 2), "test"];
}

/** Programs and libraries of the system. Tried again only when what is missing has changed. */
function systemStep(name, ofTests) {
  return {
    name,
    onlyForTests: ofTests,
    inputs: () => fingerprint([], [missingNeeds({ ofTests }).map((need) => need.name)]),
    outputs: () => [],
    work: () => meetNeeds({ ofTests }),
  };
}

const dependencies = {
  name: "dependencies",
  title: "install dependencies",
  inputs: () => {
    const packageFiles = packageFolders().map((folder) => `${folder}/package.json`);
    const files = ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", ...packageFiles];
    return fingerprint(files);
  },
  outputs: () => [`${root}/node_modules/.modules.yaml`],
  work: async () => {
    await runOrFail("npx", ["--yes", packageManager, "install", "--frozen-lockfile"], {
      // No questions: there may be no terminal.
      env: { ...process.env, CI: "true" },
      advice: `If a package.json has changed: npx --yes ${packageManager} install --lockfile-only`,
    });
  },
};

function nativeInputs(...folders) {
  const sources = folders.flatMap((folder) => filesUnder(folder, (path) => !path.endsWith(".ts")));
  const missing = missingNeeds({ ofTests: false }).map((need) => need.name);
  const more = [process.version, process.arch, missing];
  const files = ["CMakeLists.txt", "pnpm-lock.yaml", "packages/core/package.json"];
  return fingerprint([...files, ...sources], more);
}

/** Builds into the folder and returns what the configuration printed. */
async function buildNative(folder, configuration, target) {
  const parallel = { CMAKE_BUILD_PARALLEL_LEVEL: String(availableParallelism()) };
  const cmakeJs = (command, more) =>
    runOrFail("node_modules/.bin/cmake-js", [command, "--out", folder, ...configuration, ...more], {
      env: { ...parallel, ...process.env },
    });
  forgetMovedCache(`${root}/${folder}`, root);
  // Not "compile": after an error it empties build/ and fails a second time. The configuration is
  // always made again, since liburing may have been installed meanwhile.
  const output = await cmakeJs("configure", []);
  await cmakeJs("build", target);
  return output;
}

/** By a new file in the place of the old one, which programs that run may have loaded. */
function replaceFile(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, `${to}.new`);
  renameSync(`${to}.new`, to);
}

const native = {
  name: "native",
  title: "build the engine",
  inputs: () => nativeInputs("native"),
  outputs: () => [addonFile, abiProgram],
  work: async () => {
    const output = await buildNative("build", [], []);
    replaceFile(builtAddonFile, addonFile);
    return output.match(/io_uring backend: .*/)?.[0];
  },
};

/**
 * The engine once more, with the kqueue backend over the layer in test/kqueue. Systems that have a
 * kqueue need no layer, and elsewhere than on Linux there is none.
 */
const nativeOverKqueue = {
  name: "native over kqueue",
  title: "build the engine over kqueue",
  onlyForTests: true,
  inputs: () => nativeInputs("native", "test/kqueue", "scripts/cross"),
  outputs: () => (process.platform === "linux" ? [kqueueAddonFile, ...kqueueSystemAddonFiles] : []),
  work: async () => {
    if (process.platform !== "linux") return "not on this system";
    const target = ["--target", "io_on_all_systems"];
    await buildNative("build/kqueue", ["--CDIO_KQUEUE_LAYER=ON"], target);
    return undefined;
  },
};

const kernelTableFile = "docs/internals/kernels.md";

/** The table between two marks of a document; what comes out is the text with a new one. */
function withTable(text, table) {
  const [before, rest] = text.split("<!-- kernel traits -->\n");
  const [, after] = rest.split("<!-- end of kernel traits -->");
  return `${before}<!-- kernel traits -->\n${table}<!-- end of kernel traits -->${after}`;
}

/** What kernels lack or get wrong, for the reader; in CI the committed table must be equal. */
const kernelTable = {
  name: "kernel-table",
  title: "print the table of kernels",
  inputs: () => fingerprint([kernelTableFile, "build/Release/abi_ts"]),
  outputs: () => [kernelTableFile],
  work: async () => {
    const present = readFileSync(kernelTableFile, "utf8");
    const printed = withTable(present, await runOrFail(abiProgram, ["kernels"]));
    if (printed === present) return "unchanged";
    if (process.env.CI) {
      throw new StepError(`${kernelTableFile} differs from kernel_traits.def. Run: npm run build`);
    }
    writeFileSync(kernelTableFile, printed);
    return "written";
  },
};

/** TypeScript's copy of the numbers in abi.def; in CI the committed one must be equal. */
const abi = {
  name: "abi",
  title: "generate abi.ts",
  inputs: () => fingerprint(["packages/core/src/engine/abi.ts", "build/Release/abi_ts"]),
  outputs: () => [abiFile],
  work: async () => {
    const printed = await runOrFail(abiProgram, []);
    const present = existsSync(abiFile) ? readFileSync(abiFile, "utf8") : undefined;
    if (printed === present) return "unchanged";
    if (process.env.CI) {
      throw new StepError(
        "packages/core/src/engine/abi.ts differs from native/abi/abi.def. " +
          "Run: npm run build, and commit the file.",
      );
    }
    writeFileSync(abiFile, printed);
    return "written";
  },
};

const buildTools = ["cmake-js", "node-addon-api", "node-api-headers"];

/** The version in package.json, which the engine must have, too, and those of what builds it. */
const version = {
  name: "version",
  title: "write version.ts",
  inputs: () => fingerprint(["packages/core/package.json", "package.json"]),
  outputs: () => [versionFile],
  work: () => {
    const read = (path) => JSON.parse(readFileSync(`${root}/${path}`, "utf8"));
    const { devDependencies } = read("package.json");
    const tools = buildTools.map((name) => `  "${name}": "${devDependencies[name]}",\n`).join("");
    writeFileSync(
      versionFile,
      `// Written by npm run build, from package.json.
export const VERSION: string = "${read("packages/core/package.json").version}";
export const BUILD_TOOLS = {
${tools}};
`,
    );
  },
};

/** Removes compiled files whose source is gone: a deleted test must not go on running. */
function removeOrphans() {
  for (const folder of packageFolders()) {
    const sourceFolder = folder === "test" ? folder : `${folder}/src`;
    const dist = join(root, folder, "dist");
    if (!existsSync(dist)) continue;
    for (const path of filesUnder(`${folder}/dist`, isScriptOutput)) {
      const name = path.slice(`${folder}/dist/`.length).replace(/(\.d\.ts|\.js)(\.map)?$/, "");
      if (!existsSync(join(root, sourceFolder, `${name}.ts`))) rmSync(join(root, path));
    }
  }
}

const compilerFiles = ["tsconfig.base.json", "tsconfig.json", "pnpm-lock.yaml"];

const typescriptOfCore = {
  name: "typescript of core",
  title: "compile @io/core",
  inputs: () => fingerprint([...compilerFiles, ...filesUnder("packages/core", isTypeScript)]),
  outputs: () => [`${root}/packages/core/dist`],
  work: async () => {
    removeOrphans();
    await runOrFail("node_modules/.bin/tsc", ["-b", "packages/core"]);
  },
};

const coreOutputs = [
  "library.cjs",
  "core.cjs",
  "index.js",
  "index.cjs",
  "doctor.js",
  "build.js",
  "index.d.cts",
  "index.d.ts",
];

/** What the other packages, like all who install it, import of @io/core. */
const bundle = {
  name: "bundle",
  title: "bundle @io/core",
  inputs: () =>
    fingerprint([
      "pnpm-lock.yaml",
      "scripts/support/bundle.mjs",
      ...filesUnder("packages/core/dist", isScriptOutput),
    ]),
  outputs: () => coreOutputs.map((name) => `${root}/packages/core/bundle/${name}`),
  work: async () => {
    await bundleCore();
    await bundleTypes();
  },
};

const typescript = {
  name: "typescript",
  title: "compile TypeScript",
  inputs: () => {
    const sources = ["packages", "test"].flatMap((folder) => filesUnder(folder, isTypeScript));
    return fingerprint([...compilerFiles, "packages/core/bundle/index.d.cts", ...sources]);
  },
  outputs: () => packageFolders().map((folder) => `${root}/${folder}/dist`),
  work: async () => {
    removeOrphans();
    await runOrFail("node_modules/.bin/tsc", ["-b"]);
  },
};

const notPacked = /\.(ts|md)$/;
const packedSources = () => filesUnder("native", (path) => !notPacked.test(path));

/**
 * The package's copy is there to be compiled: without the lines of comment, which are a third of
 * it. Each leaves an empty line, so that a compiler names the line of the repository.
 */
function withoutComments(text) {
  return text.replace(/^[ \t]*\/\/.*$| {2}\/\/ [^"\n]*$/gm, "");
}

/**
 * The sources in the package, for machines for which there is no engine: io-core build. They are
 * one file, since brotli makes of them four fifths of what the packages' own gzip does.
 */
const sources = {
  name: "sources",
  title: "pack the sources of the engine",
  inputs: () => fingerprint(["CMakeLists.txt", ...packedSources()]),
  outputs: () => [`${root}/packages/core/native.json.br`],
  work: () => {
    const texts = {};
    for (const path of ["CMakeLists.txt", ...packedSources()]) {
      const text = readFileSync(`${root}/${path}`, "utf8");
      texts[path] = text;
      if (/\.(cc|c|h|def)$/.test(path)) texts[path] = withoutComments(text);
      if (path === "CMakeLists.txt") texts[path] = text.replace(/^[ \t]*#.*$/gm, "");
    }
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 };
    const packed = brotliCompressSync(JSON.stringify(texts), { params });
    writeFileSync(`${root}/packages/core/native.json.br`, packed);
  },
};

export const setupSteps = [
  systemStep("system", false),
  systemStep("system for tests", true),
  dependencies,
  native,
  nativeOverKqueue,
  abi,
  kernelTable,
  version,
  typescriptOfCore,
  bundle,
  typescript,
  sources,
];
