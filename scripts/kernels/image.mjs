// The disk of the emulated machine: busybox, Node, the libraries that it needs, and the built parts
// of this repository. It is made again when one of them has changed.

import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { filesUnder, fingerprint, State } from "../support/fingerprint.mjs";
import { addonFile, root } from "../support/paths.mjs";
import { runOrFail, step } from "../support/step.mjs";
import { findProgram } from "../support/system.mjs";
import { findBusybox } from "./packages.mjs";
import { kernelsFolder, releasesFolder } from "./paths.mjs";

export const imageFile = `${kernelsFolder}/root.ext4`;

// Programs that tests start, and that busybox has not, or not with the options they use. The shell
// is one of them, since busybox's prefers its own programs to those on the PATH.
const programs = ["sh", "unshare", "prlimit", "ip", "tc"];

const built = ["test/dist", "packages/core/dist", "packages/core/bundle", "packages/kv/dist"];
const packageFiles = ["package.json", "test/package.json"].concat(
  ["core", "kv"].map((name) => `packages/${name}/package.json`),
);

/** Everything that goes into the image, as paths in this repository. */
function contents() {
  const folders = built.flatMap((folder) => filesUnder(folder, () => true));
  return [...packageFiles, ...folders, relative(root, addonFile)];
}

/** Programs of this machine, as pairs of the name and the path. */
function programPaths() {
  const found = programs.map((name) => [name, findProgram(name)]);
  return [["node", process.execPath], ...found.filter(([, path]) => path !== undefined)];
}

/** The modules of every kernel that was fetched, so that one image serves them all. */
function modulePaths() {
  const found = filesUnder(relative(root, releasesFolder), (path) => path.endsWith(".ko"));
  return found.map((path) => `${root}/${path}`);
}

/** The shared libraries of a program or library of this machine. */
async function librariesOf(path) {
  const output = await runOrFail("ldd", [path]);
  return [...output.matchAll(/(?:=> |^\s+)(\/\S+) \(/gm)].map((match) => match[1]);
}

function copyInto(folder, path, to = path) {
  mkdirSync(dirname(join(folder, to)), { recursive: true });
  cpSync(path, join(folder, to), { dereference: true });
}

/** Copies what tests import from node_modules: each package, and what its links lead to. */
function copyDependencies(to) {
  const store = `${root}/node_modules/.pnpm`;
  const copied = new Set();
  const copyLinks = (folder) => {
    if (!existsSync(folder)) return;
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (name.startsWith("@") && !lstatSync(path).isSymbolicLink()) copyLinks(path);
      if (!lstatSync(path).isSymbolicLink()) continue;
      mkdirSync(join(to, relative(root, folder)), { recursive: true });
      symlinkSync(readlinkSync(path), join(to, relative(root, path)));
      const target = resolve(folder, readlinkSync(path));
      if (!target.startsWith(`${store}/`)) continue;
      const [entry] = relative(store, target).split("/");
      if (copied.has(entry)) continue;
      copied.add(entry);
      if (existsSync(target)) {
        cpSync(target, join(to, relative(root, target)), { recursive: true });
      }
      copyLinks(`${store}/${entry}/node_modules`);
    }
  };
  copyLinks(`${root}/test/node_modules`);
  copyLinks(`${root}/packages/kv/node_modules`);
}

async function fill(folder) {
  for (const name of ["dev", "proc", "sys", "tmp", "root", "etc", "run", "sbin", "usr/bin"]) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  const busybox = await findBusybox();
  copyInto(folder, busybox, "/bin/busybox");
  for (const path of (await runOrFail(busybox, ["--list-full"])).trim().split("\n")) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    if (!existsSync(join(folder, path))) symlinkSync("/bin/busybox", join(folder, path));
  }
  rmSync(join(folder, "sbin/init"), { force: true });
  copyInto(folder, `${root}/scripts/kernels/init`, "/sbin/init");
  chmodSync(join(folder, "sbin/init"), 0o755);
  writeFileSync(join(folder, "etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n");
  writeFileSync(join(folder, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");

  const libraries = new Set();
  const ofMachine = programPaths().map(([, path]) => path);
  for (const path of [...ofMachine, addonFile]) {
    for (const library of await librariesOf(path)) libraries.add(library);
  }
  for (const library of libraries) copyInto(folder, library);
  for (const [name, path] of programPaths()) {
    // Where busybox has a program of that name, its link must not be followed.
    for (const place of ["bin", "sbin", "usr/bin", "usr/sbin"]) {
      rmSync(join(folder, place, name), { force: true });
    }
    copyInto(folder, realpathSync(path), `/bin/${name}`);
  }
  for (const path of contents()) copyInto(`${folder}/io`, `${root}/${path}`, path);
  copyDependencies(`${folder}/io`);
  for (const path of modulePaths()) {
    copyInto(folder, path, `/modules/${relative(releasesFolder, path)}`);
  }
}

/** Makes the image if there is none, or if something in it has changed. */
export async function makeImage() {
  const ofMachine = programPaths().map(([, path]) => path);
  const sizes = [...ofMachine, ...modulePaths()].map((path) => `${path} ${statSync(path).size}`);
  const more = ["pnpm-lock.yaml", "scripts/kernels/init", "scripts/kernels/image.mjs"];
  const print = fingerprint([...contents(), ...more], [process.version, ...sizes]);
  if (existsSync(imageFile) && new State().isDone("image for kernels", print)) return;
  await findBusybox();
  await step("make the disk", async () => {
    const folder = `${kernelsFolder}/root`;
    const unfinished = `${imageFile}.new`;
    rmSync(folder, { recursive: true, force: true });
    rmSync(unfinished, { force: true });
    await fill(folder);
    const format = ["-q", "-t", "ext4", "-O", "^has_journal", "-d", folder];
    await runOrFail(makeFileSystem(), [...format, unfinished, "2G"]);
    renameSync(unfinished, imageFile);
    rmSync(folder, { recursive: true });
  });
  new State().setDone("image for kernels", print);
}

/** mke2fs, which is often only on root's PATH; undefined where there is none. */
export function makeFileSystem() {
  return ["/usr/sbin/mke2fs", "/sbin/mke2fs"].find((path) => existsSync(path));
}
