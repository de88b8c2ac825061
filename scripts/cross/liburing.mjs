// liburing for other Linux systems: its sources come from the source package of the same
// distribution as this machine's liburing-dev, the headers from that package itself. The downloads
// and results stay in build/cross.

import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { machineSources, privateApt } from "../support/apt.mjs";
import { runOrFail } from "../support/step.mjs";
import { findProgram } from "../support/system.mjs";
import { crossFolder, zigEnvironment } from "./zig.mjs";

const fetched = `${crossFolder}/liburing-source`;
const sourceFiles = ["setup", "queue", "register", "syscall", "version"];

// The answers of its configure script for zig's headers. Running that script takes minutes for each
// target, because each of its questions is a program to link.
const configuration = ["KERNEL_RWF_T", "KERNEL_TIMESPEC", "OPEN_HOW", "CXX", "NVME_URING"];

/** The configured package sources of this distribution, asked for sources instead of binaries. */
function writeSourceList(folder) {
  for (const { name, text } of machineSources()) {
    const asSources = text
      .replace(/^Types: deb$/gm, "Types: deb-src")
      .replace(/^deb\s/gm, "deb-src ");
    writeFileSync(`${folder}/${name}`, asSources);
  }
}

/** Unpacks the sources, once; returns why that cannot be done, or undefined. */
async function fetchSource() {
  if (existsSync(`${fetched}/liburing/src`)) return undefined;
  if (!existsSync("/usr/include/liburing.h")) return "liburing-dev is not installed";
  if (!findProgram("apt-get")) return "its sources come from a package, and there is no apt-get";
  const apt = privateApt(fetched);
  writeSourceList(`${fetched}/sources`);
  await apt("apt-get", "update");
  const downloaded = await apt("apt-get", "source", "--download-only", "liburing");
  const archive = readdirSync(fetched).find((name) => /\.orig\.tar\.\w+$/.test(name));
  if (!downloaded.ok || archive === undefined) {
    return `its source package is not available: ${downloaded.output.trim().split("\n").at(-1)}`;
  }
  mkdirSync(`${fetched}/liburing`, { recursive: true });
  await runOrFail("tar", ["xf", archive, "-C", "liburing", "--strip-components=1"], {
    cwd: fetched,
  });
  return undefined;
}

/** Builds liburing.a with the target's tools; returns its prefix, or the reason for none. */
export async function buildLiburing(target, tools) {
  const reason = await fetchSource();
  if (reason !== undefined) return { reason };
  const prefix = `${crossFolder}/${target.name}/liburing`;
  const archive = `${prefix}/lib/liburing.a`;
  if (existsSync(archive)) return { prefix };
  for (const folder of ["include", "lib", "objects"]) {
    mkdirSync(`${prefix}/${folder}`, { recursive: true });
  }
  for (const name of ["liburing.h", "liburing"]) {
    cpSync(`/usr/include/${name}`, `${prefix}/include/${name}`, { recursive: true });
  }
  const defines = configuration.map((name) => `#define CONFIG_HAVE_${name}\n`).join("");
  writeFileSync(`${prefix}/objects/config-host.h`, defines);

  const source = `${fetched}/liburing/src`;
  const flags = ["-O2", "-fPIC", "-fvisibility=hidden", "-ffunction-sections"];
  const definitions = ["-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64"];
  const headers = ["-include", `${prefix}/objects/config-host.h`, `-I${prefix}/include`];
  const objects = [];
  for (const name of sourceFiles) {
    const file = `${source}/${name}.c`;
    if (!existsSync(file)) continue;
    objects.push(`${prefix}/objects/${name}.o`);
    const output = ["-c", file, "-o", objects.at(-1)];
    await runOrFail(`${tools}/cc`, [...flags, ...definitions, ...headers, ...output], {
      env: zigEnvironment,
    });
  }
  await runOrFail(`${tools}/ar`, ["rcs", archive, ...objects], { env: zigEnvironment });
  return { prefix };
}
