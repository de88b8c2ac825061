// The steps of setup: each knows what goes into it, what must exist after it, and how to do it.

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { forgetMovedCache } from "./cmake_cache.mjs";
import { filesUnder, fingerprint } from "./fingerprint.mjs";
import {
  abiFile,
  abiProgram,
  addonFile,
  kqueueAddonFile,
  kqueueSystemAddonFiles,
  root,
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
  return fingerprint(["CMakeLists.txt", "pnpm-lock.yaml", ...sources], more);
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

const native = {
  name: "native",
  title: "build the engine",
  inputs: () => nativeInputs("native"),
  outputs: () => [addonFile, abiProgram],
  work: async () => (await buildNative("build", [], [])).match(/io_uring backend: .*/)?.[0],
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

/** TypeScript's copy of the numbers in native/abi.def; in CI the committed one must be equal. */
const abi = {
  name: "abi",
  title: "generate abi.ts",
  inputs: () => fingerprint(["packages/core/src/internal/abi.ts", "build/Release/abi_ts"]),
  outputs: () => [abiFile],
  work: async () => {
    const printed = await runOrFail(abiProgram, []);
    const present = existsSync(abiFile) ? readFileSync(abiFile, "utf8") : undefined;
    if (printed === present) return "unchanged";
    if (process.env.CI) {
      throw new StepError(
        "packages/core/src/internal/abi.ts differs from native/abi.def. " +
          "Run: npm run build, and commit the file.",
      );
    }
    writeFileSync(abiFile, printed);
    return "written";
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

const typescript = {
  name: "typescript",
  title: "compile TypeScript",
  inputs: () => {
    const sources = ["packages", "test"].flatMap((folder) => filesUnder(folder, isTypeScript));
    return fingerprint(["tsconfig.base.json", "tsconfig.json", "pnpm-lock.yaml", ...sources]);
  },
  outputs: () => packageFolders().map((folder) => `${root}/${folder}/dist`),
  work: async () => {
    removeOrphans();
    await runOrFail("node_modules/.bin/tsc", ["-b"]);
  },
};

/**
 * One file of @io/core's twenty: a program that imports it starts several milliseconds earlier,
 * since Node opens, reads and links every module by itself.
 */
const bundle = {
  name: "bundle",
  title: "bundle @io/core",
  inputs: () =>
    fingerprint(["pnpm-lock.yaml", ...filesUnder("packages/core/dist", isScriptOutput)]),
  outputs: () => [`${root}/packages/core/bundle/index.js`],
  work: async () => {
    const from = "packages/core/dist/index.js";
    const to = "--outfile=packages/core/bundle/index.js";
    const kind = ["--bundle", "--platform=node", "--format=esm", "--target=node20", "--sourcemap"];
    await runOrFail("node_modules/.bin/esbuild", [from, to, ...kind, "--log-level=warning"]);
  },
};

export const setupSteps = [
  systemStep("system", false),
  systemStep("system for tests", true),
  dependencies,
  native,
  nativeOverKqueue,
  abi,
  typescript,
  bundle,
];
