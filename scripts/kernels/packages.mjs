// Kernels of other releases, and a busybox that needs no libraries, from Debian's packages. They
// come from the machine's own package source, which also has other releases. They are unpacked into
// build/kernels and never installed.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, relative } from "node:path";
import { machineSources, ofRelease, privateApt } from "../support/apt.mjs";
import { filesUnder } from "../support/fingerprint.mjs";
import { root } from "../support/paths.mjs";
import { runOrFail, StepError, step } from "../support/step.mjs";
import { kernelsFolder, releasesFolder, requestsFolder } from "./paths.mjs";

// A release without a kernel of interest is left out, since each list is some megabytes.
const releases = ["bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports"];

// The kernels for clouds have the drivers of an emulated machine built in.
const kernelPackage = /^linux-(?:image|binary)-(\d\S*)-cloud-amd64$/;

/** What tests need of the modules, in the order in which they are loaded: each behind its needs. */
const modules = ["ifb", "sch_tbf", "vsock", "vmw_vsock_virtio_transport_common", "vsock_loopback"];

/** The parts of the machine's sources for its own release, asked for `releases` instead. */
function writeSources(folder) {
  const codename = ofRelease("VERSION_CODENAME");
  for (const { name, text } of machineSources()) {
    const names = new RegExp(`^(Suites:|deb\\s).*\\s${codename}(\\s|$)`, "m");
    const parts = name.endsWith(".list") ? text.split("\n") : text.split(/\n\s*\n/);
    const asked = parts
      .filter((part) => names.test(part))
      .flatMap((part) =>
        name.endsWith(".list")
          ? releases.map((release) => part.replace(` ${codename} `, ` ${release} `))
          : [`${part.trimEnd().replace(/^Suites:.*$/m, `Suites: ${releases.join(" ")}`)}\n`],
      );
    writeFileSync(`${folder}/${name}`, `${asked.join("\n")}\n`);
  }
}

let preparedApt;

/** apt with the lists of the releases; they are fetched once in a run, and only if needed. */
function prepareApt() {
  preparedApt ??= (async () => {
    if (ofRelease("ID") !== "debian") {
      throw new StepError("npm run test:kernels takes its kernels from Debian's packages.");
    }
    const folder = `${kernelsFolder}/apt`;
    const apt = privateApt(folder);
    writeSources(`${folder}/sources`);
    // A release that the mirror no longer has fails alone; the missing packages are reported later.
    await step("fetch lists of packages", async () => {
      await apt("apt-get", "update");
    });
    return { apt, folder };
  })();
  return preparedApt;
}

/** Fetches a package and calls `use` with the folder that it is unpacked into. */
async function unpacked(name, use) {
  const { apt, folder } = await prepareApt();
  await step(`fetch ${name}`, async () => {
    const result = await apt("apt-get", "download", name);
    const archive = readdirSync(folder).find((file) => file.endsWith(".deb"));
    if (!result.ok || archive === undefined) {
      throw new StepError(`${name} is not available:\n${result.output.trimEnd()}`);
    }
    const into = `${folder}/unpacked`;
    try {
      await runOrFail("dpkg", ["-x", `${folder}/${archive}`, into]);
      await use(into);
    } finally {
      rmSync(into, { recursive: true, force: true });
      rmSync(`${folder}/${archive}`);
    }
  });
}

/** Compares the numbers in two versions, one after the other. */
function compareVersions(left, right) {
  const [numbers, others] = [left, right].map((text) => text.match(/\d+/g).map(Number));
  const differs = numbers.findIndex((number, index) => number !== others[index]);
  return differs === -1 ? 0 : numbers[differs] - (others[differs] ?? -1);
}

/** The newest of the versions that a request like "6.1", "7.3.4" or "7.x" means, or undefined. */
function newestOf(request, versions) {
  const start = request.replace(/\.x$/, "");
  return versions
    .filter((version) => version.startsWith(start) && !/\d/.test(version.charAt(start.length)))
    .sort(compareVersions)
    .at(-1);
}

/** The packages that hold the kernel and its modules; from 6.19 on it is two of them. */
function packagesOf(version, names) {
  const parts = ["binary", "modules", "image"];
  const packages = parts.map((part) => `linux-${part}-${version}-cloud-amd64`);
  return packages.filter((name) => names.has(name));
}

/** Moves the kernel and the modules out of the folder where a package was unpacked. */
async function takeParts(unpackedFolder, to) {
  const paths = filesUnder(relative(root, unpackedFolder), (path) =>
    /\/vmlinuz[^/]*$|\.ko(\.xz)?$/.test(path),
  );
  for (const path of paths) {
    const name = basename(path);
    if (name.startsWith("vmlinuz")) {
      renameSync(`${root}/${path}`, `${to}/vmlinuz`);
      continue;
    }
    const order = modules.indexOf(name.replace(/\.ko(\.xz)?$/, ""));
    if (order === -1) continue;
    const numbered = `${to}/${order}-${name}`; // the machine loads them in the order of their names
    renameSync(`${root}/${path}`, numbered);
    if (name.endsWith(".xz")) await runOrFail("xz", ["-d", numbered]);
  }
}

/** Which version the request means, of those that there are packages of, and their names. */
async function findVersion(request) {
  const { apt } = await prepareApt();
  // Not pkgnames, which also has names that are only mentioned.
  const pattern = "^linux-(binary|modules|image)-.*-cloud-amd64$";
  const { output } = await apt("apt-cache", "search", "--names-only", pattern);
  const names = new Set(output.split("\n").map((line) => line.split(" ")[0]));
  const versions = [...names].map((name) => kernelPackage.exec(name)?.[1]).filter(Boolean);
  const version = newestOf(request, versions);
  if (version !== undefined) return { version, packages: packagesOf(version, names) };
  const numbers = new Set(versions.map((name) => /^\d+\.\d+/.exec(name)[0]));
  const known = [...numbers].sort(compareVersions).join(", ") || "none";
  throw new StepError(`There is no package of a kernel ${request}. There are: ${known}`);
}

/** Fetches the packages and makes the folder of what is wanted of them. */
async function fetchKernel(packages, folder) {
  // Not where it is looked for until it is whole.
  const unfinished = `${kernelsFolder}/unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished);
  for (const name of packages) {
    await unpacked(name, (unpackedFolder) => takeParts(unpackedFolder, unfinished));
  }
  if (!existsSync(`${unfinished}/vmlinuz`)) {
    throw new StepError(`There is no kernel in ${packages.join(", ")}.`);
  }
  renameSync(unfinished, folder);
}

/**
 * The folder with the kernel for a request like "6.1" or "7.x", and its modules. What a request
 * meant once it means again, without asking apt.
 */
export async function findKernel(request) {
  for (const folder of [releasesFolder, requestsFolder]) mkdirSync(folder, { recursive: true });
  const answer = `${requestsFolder}/${request}`;
  if (existsSync(answer)) {
    const version = readFileSync(answer, "utf8");
    return { version, folder: `${releasesFolder}/${version}` };
  }
  const { version, packages } = await findVersion(request);
  const folder = `${releasesFolder}/${version}`;
  if (!existsSync(folder)) await fetchKernel(packages, folder);
  writeFileSync(answer, version);
  return { version, folder };
}

/** A busybox without libraries. */
export async function findBusybox() {
  const path = `${kernelsFolder}/busybox`;
  if (existsSync(path)) return path;
  await unpacked("busybox-static", (folder) => {
    const places = ["bin", "usr/bin"].map((place) => `${folder}/${place}/busybox`);
    renameSync(places.find((place) => existsSync(place)) ?? places[0], path);
  });
  return path;
}
