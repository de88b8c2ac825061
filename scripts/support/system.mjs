// Finds what the build needs from the system, and installs it where that can be done unasked.

import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run, StepError, step } from "./step.mjs";

/** The path of a program on the PATH, or undefined. */
export function findProgram(...names) {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        // Not in this folder.
      }
    }
  }
  return undefined;
}

function hasHeader(name) {
  return ["/usr/include", "/usr/local/include"].some((folder) => existsSync(join(folder, name)));
}

/** On a Mac without them there are /usr/bin/c++ and make anyway: they offer to install. */
function hasXcodeTools() {
  return process.platform !== "darwin" || spawnSync("xcode-select", ["-p"]).status === 0;
}

/** What is needed, the Debian package that brings it, and what a missing one means. */
const needs = [
  {
    name: "cmake",
    packageName: "cmake",
    required: true,
    found: () => findProgram("cmake") !== undefined,
    advice:
      "cmake is missing. Install cmake 3.22 or newer (apt install cmake, brew install cmake, " +
      "pkg install cmake).",
  },
  {
    name: "make",
    packageName: "make",
    required: true,
    found: () => findProgram("make", "ninja") !== undefined && hasXcodeTools(),
    advice:
      "make is missing. Install make or ninja (apt install make, xcode-select --install, pkg " +
      "install ninja).",
  },
  {
    name: "a C++ compiler",
    packageName: "g++",
    required: true,
    found: () => findProgram("c++", "g++", "clang++") !== undefined && hasXcodeTools(),
    advice: "A C++20 compiler is missing. Install one (apt install g++, xcode-select --install).",
  },
  {
    name: "liburing",
    packageName: "liburing-dev",
    required: false,
    found: () => process.platform !== "linux" || hasHeader("liburing.h"),
    advice: "liburing is missing, so io_uring is left out. To have it: apt install liburing-dev",
  },
  {
    name: "wrk",
    packageName: "wrk",
    required: false,
    onlyForTests: true,
    found: () => findProgram("wrk") !== undefined,
    advice:
      "wrk is missing, so HTTP is not measured. To have it: apt install wrk, brew install wrk, " +
      "pkg install wrk",
  },
  {
    name: "redis-server",
    packageName: "redis-server",
    required: false,
    onlyForTests: true,
    found: () => findProgram("redis-server") !== undefined,
    advice:
      "redis-server is missing, so tests with it are skipped. To have it: apt install " +
      "redis-server, brew install redis, pkg install redis",
  },
  {
    name: "postgresql",
    packageName: "postgresql",
    required: false,
    onlyForTests: true,
    found: () =>
      existsSync("/usr/lib/postgresql") || findProgram("initdb", "postgres") !== undefined,
    advice:
      "PostgreSQL is missing, so tests with it are skipped. To have it: apt install postgresql",
  },
  {
    name: "mariadb",
    // Without the service that mariadb-server starts.
    packageName: "mariadb-server-core",
    required: false,
    onlyForTests: true,
    found: () => existsSync("/usr/sbin/mariadbd") || findProgram("mariadbd") !== undefined,
    advice:
      "MariaDB is missing, so tests with it are skipped. To have it: apt install " +
      "mariadb-server-core, brew install mariadb, pkg install mariadb114-server",
  },
  {
    name: "curl",
    packageName: "curl",
    required: false,
    onlyForTests: true,
    found: () => findProgram("curl") !== undefined,
    advice: "curl is missing, so tests with it are skipped. To have it: apt install curl",
  },
  {
    name: "h2load",
    packageName: "nghttp2-client",
    required: false,
    onlyForTests: true,
    found: () => findProgram("h2load") !== undefined,
    advice:
      "h2load is missing, so tests with it are skipped. To have it: apt install nghttp2-client, " +
      "brew install nghttp2, pkg install nghttp2",
  },
  {
    name: "redis-benchmark",
    packageName: "redis-tools",
    required: false,
    onlyForTests: true,
    found: () => findProgram("redis-benchmark") !== undefined,
    advice:
      "redis-tools is missing, so tests with it are skipped. To have it: apt install " +
      "redis-tools, brew install redis, pkg install redis",
  },
];

/** The words before a command that make it run as root without asking, or undefined. */
async function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  if (findProgram("sudo") && (await run("sudo", ["-n", "true"])).ok) return ["sudo", "-n"];
  return undefined;
}

async function installPackages(names) {
  const prefix = findProgram("apt-get") ? await rootPrefix() : undefined;
  if (!prefix) return;
  const command = [...prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"];
  const install = ["install", "--no-install-recommends"];
  const apt = (args) => run(command[0], [...command.slice(1), ...args]);
  await step(`apt install ${names.join(" ")}`, async () => {
    if ((await apt([...install, ...names])).ok) return undefined;
    // Package lists that are old or absent are the usual reason for the first failure.
    await apt(["update"]);
    // One by one: a package this system does not know must not keep back the others.
    for (const name of names) await apt([...install, name]);
    return undefined;
  });
}

/** Installs what is missing if it can, and names what is missing still; returns that. */
export async function meet(missing) {
  if (missing.length > 0) await installPackages(missing.map((need) => need.packageName));
  const stillMissing = missing.filter((need) => !need.found());
  for (const need of stillMissing) process.stderr.write(`  ${need.advice}\n`);
  return stillMissing;
}

/** Installs one thing that a single command needs, if it can; whether it is there. */
export async function meetNeed(need) {
  return (await meet(need.found() ? [] : [need])).length === 0;
}

/** Which needs of the build, or else of the tests alone, are not met at the moment. */
export function missingNeeds({ ofTests }) {
  return needs.filter((need) => Boolean(need.onlyForTests) === ofTests && !need.found());
}

/** Installs what is missing if it can, then stops at a required need or names an optional one. */
export async function meetNeeds({ ofTests }) {
  const stillMissing = await meet(missingNeeds({ ofTests }));
  if (stillMissing.some((need) => need.required)) {
    throw new StepError("The engine cannot be built without what is named above.");
  }
}
