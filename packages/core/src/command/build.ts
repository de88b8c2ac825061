// `npx @io/core build`: compiles the engine from the sources in the package, for a machine for
// which there is none. It downloads nothing but the three npm packages named below.
import { spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";
import { BUILD_TOOLS, VERSION } from "../engine/version.js";

/** A failure that is said in words, without a stack trace. */
class BuildError extends Error {}

const packageFolder = fileURLToPath(new URL("..", import.meta.url));

interface Need {
  readonly what: string;
  readonly programs: readonly string[];
  readonly debian: string;
  readonly freebsd?: string;
  readonly homebrew?: string;
}

const NEEDS: readonly Need[] = [
  {
    what: "cmake 3.22 or newer",
    programs: ["cmake"],
    debian: "cmake",
    freebsd: "cmake",
    homebrew: "cmake",
  },
  { what: "make or ninja", programs: ["make", "ninja"], debian: "make", freebsd: "ninja" },
  { what: "a C++20 compiler", programs: ["c++", "g++", "clang++"], debian: "g++" },
];

function isThere(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false; // not in this folder
    }
  });
}

function installCommands(missing: readonly Need[]): string {
  const { platform } = process;
  if (platform === "darwin") {
    const brewed = missing.flatMap(({ homebrew }) => homebrew ?? []);
    const tools = brewed.length < missing.length ? ["xcode-select --install"] : [];
    return [...tools, ...(brewed.length > 0 ? [`brew install ${brewed.join(" ")}`] : [])].join(
      ", ",
    );
  }
  if (platform === "freebsd") {
    return `pkg install ${missing.flatMap(({ freebsd }) => freebsd ?? []).join(" ")}`;
  }
  return `on Debian and Ubuntu: apt install ${missing.map(({ debian }) => debian).join(" ")}`;
}

function checkNeeds(): void {
  const missing = NEEDS.filter(({ programs }) => !programs.some(isThere));
  if (missing.length === 0) return;
  const list = missing.map(({ what }) => what).join(", ");
  throw new BuildError(
    `to build the engine there must be on the PATH: ${list}. ` +
      `To install: ${installCommands(missing)}`,
  );
}

/** The text of each file, by its path, as the build of this package has packed them. */
const sourcesFile = join(packageFolder, "native.json.br");

function checkSources(): void {
  if (existsSync(sourcesFile)) return;
  throw new BuildError(`${packageFolder} has no sources of the engine: install @io/core again`);
}

/** The folder of the engine, made and writable: asked before the work of a minute. */
function engineFolder(): string {
  const folder = join(packageFolder, "engine");
  try {
    // mkdir says ENOENT of a file system that is read-only.
    accessSync(packageFolder, constants.W_OK);
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new BuildError(
      `the engine belongs in ${folder}, which cannot be written to ` +
        `(${(error as NodeJS.ErrnoException).code}). Run this as the user who may, or install ` +
        "@io/core in a folder of your own",
    );
  }
  return folder;
}

function run(what: string, program: string, words: readonly string[], folder: string): string {
  process.stderr.write(`  ${what}\n`);
  const path = [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter);
  const parallel = String(availableParallelism());
  const { status, stdout, stderr, error } = spawnSync(program, words, {
    cwd: folder,
    encoding: "utf8",
    maxBuffer: 1e9,
    env: { CMAKE_BUILD_PARALLEL_LEVEL: parallel, ...process.env, PATH: path },
  });
  if (status === 0) return `${stdout}${stderr}`;
  const said = `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}`.trimEnd();
  throw new BuildError(`${what} failed: ${[program, ...words].join(" ")}\n${said}`);
}

/** npm: the one that runs this, by npx, or the one on the PATH. */
function npm(words: readonly string[], folder: string): void {
  const { npm_execpath: npmFile } = process.env;
  const what = "get cmake-js, node-addon-api and node-api-headers from npm";
  if (npmFile?.endsWith("npm-cli.js") || npmFile?.endsWith("npx-cli.js")) {
    const file = join(dirname(npmFile), "npm-cli.js");
    run(what, process.execPath, [file, ...words], folder);
  } else {
    run(what, "npm", words, folder);
  }
}

function buildIn(folder: string): string {
  const packed = brotliDecompressSync(readFileSync(sourcesFile)).toString();
  for (const [path, text] of Object.entries<string>(JSON.parse(packed))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const description = {
    name: "@io/core",
    version: VERSION,
    private: true,
    binary: { napi_versions: [8] },
    dependencies: BUILD_TOOLS,
  };
  writeFileSync(join(folder, "package.json"), JSON.stringify(description));
  npm(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"], folder);
  const cmakeJs = join(folder, "node_modules/cmake-js/bin/cmake-js");
  const start = (what: string, ...words: string[]): string =>
    run(what, process.execPath, [cmakeJs, ...words, "--out", "build"], folder);
  const said = start("configure", "configure");
  const backend = /io_uring backend: .*/.exec(said)?.[0];
  if (process.platform === "linux" && backend?.startsWith("io_uring backend: no")) {
    process.stderr.write(
      "  without io_uring, since liburing is not installed; to have it: apt install liburing-dev\n",
    );
  }
  start("compile", "build", "--target", "io");
  return join(folder, "build/Release/io.node");
}

const USAGE = `Usage: io-core build

Compiles the engine from the sources in this package, into its folder "engine". It needs cmake, make
or ninja, a C++20 compiler and Node's own headers; for io_uring also liburing. On Debian:
apt install cmake make g++ liburing-dev
`;

/** Runs the command, and returns the status to end with. */
export function build(words: readonly string[]): number {
  if (words.length > 0) {
    process.stderr.write(`io-core: ${words[0]} is not understood\n\n${USAGE}`);
    return 2;
  }
  let folder: string | undefined;
  try {
    checkSources();
    checkNeeds();
    const engine = join(engineFolder(), "io.node");
    folder = mkdtempSync(join(tmpdir(), "io-core-build-"));
    const built = buildIn(folder);
    // By a new file: a program that runs may have loaded the old one.
    copyFileSync(built, `${engine}.new`);
    renameSync(`${engine}.new`, engine);
    process.stdout.write(`built: ${engine}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    process.stderr.write(`io-core: ${error.message}\n`);
    return 1;
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}
