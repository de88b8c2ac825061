// The choice of the engine file, and the error for an engine that cannot be loaded.

import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { IOError } from "../errors.js";
import { libcOf } from "./elf.js";
import { packageNamesHere } from "./engine_file.js";
import { loadNative } from "./load.js";
import { VERSION } from "./version.js";

const test = suite("load");
const built = fileURLToPath(new URL("../../engine/io.node", import.meta.url));

function failure(): IOError {
  try {
    loadNative();
  } catch (error) {
    assert.instance(error, IOError);
    return error as IOError;
  }
  throw new Error("it was loaded");
}

/** What a program says that loads the engine, in a process with these switches of Node. */
function saidWith(...switches: string[]): string {
  const url = new URL("./load.js", import.meta.url).href;
  const program = `
    const { loadNative } = await import(${JSON.stringify(url)});
    try { loadNative(); console.log("loaded"); } catch (error) { console.log(error.message); }`;
  const words = [...switches, "--input-type=module", "-e", program];
  const { stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  return stdout === "" ? stderr : stdout;
}

test("switches of Node that keep addons out are named, and nothing is to be removed", () => {
  const permission = process.allowedNodeEnvironmentFlags.has("--permission")
    ? "--permission"
    : "--experimental-permission";
  const without = saidWith("--no-addons");
  assert.match(without, "--no-addons: start it without that");
  const forbidden = saidWith(permission, "--allow-fs-read=*");
  assert.match(forbidden, "start Node with --allow-addons");
  for (const said of [without, forbidden]) {
    assert.not.match(said, "npm run build");
    assert.not.match(said, /\.\.\s/);
  }
});

const folders: string[] = [];
process.on("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder like that of an application, removed at the end. */
function folderOf(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `io-load-${name}`));
  folders.push(folder);
  return folder;
}

const core = fileURLToPath(new URL("../..", import.meta.url));
const packageHere = packageNamesHere()[0] as string;

/** Installs a package in an application, as npm would; returns its folder. */
function install(application: string, name: string, files: Record<string, string | null>): string {
  const folder = join(application, "node_modules", name);
  mkdirSync(folder, { recursive: true });
  for (const [file, content] of Object.entries(files)) {
    if (content !== null) writeFileSync(join(folder, file), content);
    else cpSync(join(core, file), join(folder, file), { recursive: true });
  }
  return folder;
}

const description = (name: string): string => JSON.stringify({ name, version: VERSION });
const PARTS = { "package.json": null, bundle: null };

/** What an application says that opens an IO with the @io/core that is installed in it. */
function saidIn(application: string, ...switches: string[]): string {
  const path = join(application, "program.mjs");
  writeFileSync(
    path,
    `import { IO } from "@io/core";
     IO.open().then((io) => io.close()).then(
       () => console.log("opened"), (error) => console.log(error.code, error.message));`,
  );
  const { IO_ENGINE: _, ...env } = process.env;
  const options = { encoding: "utf8", env, cwd: application } as const;
  const { stdout, stderr } = spawnSync(process.execPath, [...switches, path], options);
  return `${stdout}${stderr}`;
}

/** An application with the library and with this as the engine of the package for this machine. */
function applicationWith(engine: string | Uint8Array, name = ""): string {
  const application = folderOf(name);
  install(application, "@io/core", PARTS);
  const folder = install(application, packageHere, { "package.json": description(packageHere) });
  writeFileSync(join(folder, "io.node"), engine);
  return application;
}

test("the engine of the package for this machine, in a folder of any name", () => {
  assert.is(saidIn(applicationWith(readFileSync(built), "my äpp ü ")), "opened\n");
});

test("no optional dependencies: the package is named, and how to install or build it", () => {
  const application = folderOf("");
  install(application, "@io/core", PARTS);
  const said = saidIn(application);
  assert.match(said, `ERR_IO_ENGINE_MISSING the package ${packageHere} is not installed`);
  assert.match(said, `${process.platform}-${process.arch}`);
  assert.match(said, "npm install --include=optional");
  assert.match(said, "npx @io/core build");
});

test("node_modules of another system", () => {
  const application = folderOf("");
  install(application, "@io/core", PARTS);
  const other = process.platform === "darwin" ? "@io/core-linux-x64-gnu" : "@io/core-darwin-arm64";
  install(application, other, { "package.json": description(other), "io.node": "" });
  const said = saidIn(application);
  assert.match(said, `the package ${packageHere} is not installed`);
  assert.match(said, `${other} is: these node_modules were installed on or for another system`);
});

test("a machine without a package: how to build the engine", () => {
  const application = folderOf("");
  install(application, "@io/core", PARTS);
  const preload = join(application, "machine.cjs");
  writeFileSync(preload, `Object.defineProperty(process, "arch", { value: "riscv64" });`);
  const said = saidIn(application, "--require", preload);
  assert.match(said, `ERR_IO_ENGINE_MISSING there is no engine for ${process.platform}-riscv64`);
  assert.match(said, /a package @io\/core-\w+-riscv64\S* is not published/);
  assert.match(said, "npx @io/core build");
});

for (const [what, engine] of [
  ["an engine that is cut short", readFileSync(built).subarray(0, 5000)],
  ["an engine that lacks its last byte", readFileSync(built).subarray(0, -1)],
  ["a file that is no engine", Buffer.from("no engine")],
] as const) {
  test(`${what}: its package is named, and nothing is to be removed`, () => {
    const said = saidIn(applicationWith(engine));
    assert.match(said, /^ERR_IO_ENGINE_BROKEN the engine \S+io\.node does not load into Node v/);
    assert.match(said, `It belongs to the package ${packageHere}. Install @io/core again`);
    assert.not.match(said, /remove|delete/i);
  });
}

test("an engine of another version: both are named", () => {
  const bytes = readFileSync(built);
  const text = Buffer.from(`\0${VERSION}\0`);
  const other = Buffer.from(`\0${VERSION.replace(/\d/, "9")}\0`);
  let count = 0;
  for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + 1)) {
    other.copy(bytes, at);
    count++;
  }
  assert.ok(count > 0, "the version is in the engine");
  const said = saidIn(applicationWith(bytes));
  assert.match(said, `ERR_IO_ENGINE_VERSION @io/core is ${VERSION}, and the engine `);
  assert.match(said, `io.node is ${VERSION.replace(/\d/, "9")}: the two must be equal`);
});

test("another addon in the place of the engine", () => {
  const application = folderOf("");
  const folder = install(application, "@io/core", PARTS);
  mkdirSync(join(folder, "engine"));
  const preload = join(application, "loader.cjs");
  writeFileSync(join(folder, "engine/io.node"), "");
  writeFileSync(preload, `require("node:module")._extensions[".node"] = () => undefined;`);
  const said = saidIn(application, "--require", preload);
  assert.match(said, /ERR_IO_ENGINE_BROKEN \S+io\.node is an addon, but no engine of @io\/core/);
  assert.match(said, "Build it again: npx @io/core build");
});

test("an addon of the application is not looked at", () => {
  const application = folderOf("");
  install(application, "@io/core", PARTS);
  for (const place of ["build/Release", "engine", "bundle", "node_modules/build/Release"]) {
    mkdirSync(join(application, place), { recursive: true });
    writeFileSync(join(application, place, "io.node"), "of the application");
  }
  assert.match(saidIn(application), "ERR_IO_ENGINE_MISSING");
});

for (const format of ["esm", "cjs"]) {
  test(`a bundle as ${format} finds the package for this machine, or says where it looks`, () => {
    const application = applicationWith(readFileSync(built));
    const root = join(core, "../..");
    const from = join(application, "in.mjs");
    const to = join(application, `out.${format === "esm" ? "mjs" : "cjs"}`);
    writeFileSync(
      from,
      `import { IO } from "@io/core";
       IO.open().then((io) => io.close()).then(
         () => console.log("opened"), (error) => console.log(error.message));`,
    );
    const esbuild = join(root, "node_modules/.bin/esbuild");
    const kind = ["--bundle", "--platform=node", `--format=${format}`, "--log-limit=0"];
    const bundled = spawnSync(esbuild, [from, `--outfile=${to}`, ...kind], { encoding: "utf8" });
    assert.is(bundled.status, 0, bundled.stderr);
    assert.not.match(bundled.stderr, /warning/i);
    const { IO_ENGINE: _, ...env } = process.env;
    const said = (): string => spawnSync(process.execPath, [to], { encoding: "utf8", env }).stdout;
    rmSync(join(application, "node_modules/@io/core"), { recursive: true });
    assert.is(said(), "opened\n");
    rmSync(join(application, "node_modules"), { recursive: true });
    assert.match(said(), `the package ${packageHere} is not installed`);
    assert.match(said(), "looks for it in the folders node_modules beside and above itself");
  });
}

test("import and require give one library, whose classes have their names", () => {
  const application = applicationWith(readFileSync(built));
  const path = join(application, "both.mjs");
  writeFileSync(
    path,
    `import * as imported from "@io/core";
     import { createRequire } from "node:module";
     const required = createRequire(import.meta.url)("@io/core");
     const { default: _, ...names } = imported;
     for (const name of new Set([...Object.keys(names), ...Object.keys(required)])) {
       if (names[name] !== required[name]) console.log(name, "is not the same");
       const own = typeof names[name] === "function" ? names[name].name : name;
       if (own !== name) console.log(name, "calls itself", own);
     }
     const io = await required.IO.open();
     console.log(io instanceof imported.IO);
     await io.close();`,
  );
  const { stdout, stderr } = spawnSync(process.execPath, [path], { encoding: "utf8" });
  assert.is(`${stdout}${stderr}`, "true\n");
});

test("the C library is that of the program", () => {
  const folder = folderOf("");
  const made = (text: string): string => {
    const path = join(folder, "program");
    writeFileSync(path, `ELF${"\0".repeat(700)}${text}\0`);
    return path;
  };
  const linux = process.platform === "linux";
  assert.is(libcOf(made("/lib/ld-musl-x86_64.so.1")), linux ? "musl" : undefined);
  assert.is(libcOf(made("/lib64/ld-linux-x86-64.so.2")), linux ? "gnu" : undefined);
  assert.is(libcOf(made("/libexec/ld-elf.so.1")), undefined);
  assert.is(libcOf(join(folder, "nothing")), undefined);
});

// In this order: a loaded engine stays loaded.
test("IO_ENGINE names an engine that is not there", () => {
  process.env["IO_ENGINE"] = "/nowhere/io.node";
  const error = failure();
  assert.is(error.code, "ERR_IO_ENGINE_MISSING");
  assert.is(error.path, "/nowhere/io.node");
  assert.match(error.message, /IO_ENGINE names the engine \/nowhere\/io\.node.*unset IO_ENGINE/);
});

test("IO_ENGINE names something else", () => {
  const folder = mkdtempSync(join(tmpdir(), "io-load-"));
  const path = join(folder, "io.node");
  writeFileSync(path, "no engine");
  process.env["IO_ENGINE"] = path;
  try {
    assert.is(failure().code, "ERR_IO_ENGINE_BROKEN");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("IO_ENGINE is a path from the current folder", () => {
  process.env["IO_ENGINE"] = relative(process.cwd(), built);
  assert.type(loadNative().probe, "function");
});

// A copy of Node that raises the rights of the user who starts it; another user starts it here.
const OTHER_USER = 65534;
const raised: readonly [way: string, raise: (program: string) => void][] = [
  ["the set-user-ID bit", (program) => chmodSync(program, 0o4755)],
  ["file capabilities", (program) => execFileSync("setcap", ["cap_net_raw=ep", program])],
];

for (const [way, raise] of raised) {
  const name = `IO_ENGINE does not count in a program with ${way}`;
  const hasTool = way !== "file capabilities" || spawnSync("setcap", ["-h"]).error === undefined;
  if (process.platform !== "linux" || process.getuid?.() !== 0 || !hasTool) {
    test.skip(name);
    process.stdout.write(`skipped: ${name}: it needs Linux, root and setcap\n`);
    continue;
  }
  test(name, () => {
    const folder = mkdtempSync(join(tmpdir(), "io-load-"));
    try {
      chmodSync(folder, 0o755);
      const program = join(folder, "node");
      copyFileSync(process.execPath, program);
      const load = new URL("./load.js", import.meta.url).href;
      const source = `import(${JSON.stringify(load)}).then(({ loadNative }) =>
        console.log(typeof loadNative().probe), (error) => console.log(error.code));`;
      const run = (): string => {
        const env = { ...process.env, IO_ENGINE: "/nowhere/io.node" };
        const options = { env, cwd: "/", uid: OTHER_USER, gid: OTHER_USER };
        const { stdout, stderr } = spawnSync(program, ["-e", source], options);
        return `${stdout}${stderr}`;
      };
      chmodSync(program, 0o755);
      assert.match(run(), /ERR_IO_ENGINE_MISSING/, "without them it counts");
      raise(program);
      assert.match(run(), /^function/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test.run();
