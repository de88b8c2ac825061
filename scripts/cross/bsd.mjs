// The branches for the BSDs, of which zig has no headers: their syntax and types, against this
// machine's headers and scripts/cross/bsd_names.h. It finds slips of the pen and nothing else.

import { run } from "../support/step.mjs";

const systems = ["FreeBSD", "NetBSD", "OpenBSD", "DragonFly"];
// The files with branches for the BSDs.
const files = [
  "native/system/bsd.cc",
  "native/system/stat_bsd_darwin.cc",
  "native/system/open_files_bsd_darwin.cc",
  "native/system/socket_options.cc",
  "native/system/watch_bsd_darwin.cc",
  "native/backend/candidates.cc",
  "native/backend/reactor/kqueue.cc",
];

const flags = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-fno-exceptions"];
// <sys/event.h> is that of the kqueue that the tests bring.
const headers = ["-Inative", "-Itest/kqueue/include"];
const definitions = ["-DIO_HAVE_LIBURING=0", "-DIO_HAVE_KQUEUE=1"];

/** What is wrong, in words. */
export async function checkBsdSyntax(print) {
  const problems = [];
  for (const system of systems) {
    const start = performance.now();
    for (const path of files) {
      const as = [`-DIO_AS_${system.toUpperCase()}`, "-include", "scripts/cross/bsd_names.h"];
      const result = await run("c++", [...flags, ...definitions, ...headers, ...as, path]);
      if (!result.ok) problems.push(`${system}: ${path}\n${result.output.trim()}`);
    }
    print(system, `${((performance.now() - start) / 1000).toFixed(1)} s`);
  }
  return problems;
}
