// Which environments the test files run in. `npm test` starts one process for each file and each
// environment that a row names, so that a new file of a folder runs on every backend of its folder.

import { existsSync } from "node:fs";
import { kqueueAddonFile, kqueueSystemAddonFile } from "../scripts/support/paths.mjs";

const onLinux = process.platform === "linux";

/** Linux has no kqueue: there the tests bring their own (test/kqueue), in another build. */
function kqueue(addonFile) {
  const isNeeded = onLinux && !process.env.IO_ENGINE && existsSync(addonFile);
  return { IO_BACKEND: "kqueue", ...(isNeeded ? { IO_ENGINE: addonFile } : {}) };
}

/** kqueue as another system has it. The engine and the tests' kqueue both take its part. */
function system(name) {
  return { ...kqueue(kqueueSystemAddonFile(name)), IO_KQUEUE_SYSTEM: name };
}

/** The variables that each environment sets. */
const environments = {
  // `IO.open()` chooses the backend.
  automatic: {},
  kqueue: kqueue(kqueueAddonFile),
  ...(onLinux && {
    io_uring: { IO_BACKEND: "io_uring" },
    epoll: { IO_BACKEND: "epoll" },
    // On kernels that report the work of a DEFER_TASKRUN ring late, attached mode does without it.
    coop: { IO_BACKEND: "io_uring", IO_TASKRUN: "coop" },
    macos: system("macos"),
    freebsd: system("freebsd"),
    netbsd: system("netbsd"),
    openbsd: system("openbsd"),
  }),
};

const onEach = ["automatic", "epoll", "kqueue"];

/** What a path begins with, and where such files run. The first row that fits counts. */
const rows = [
  // Its areas are io_uring's.
  ["test/conformance/receiving/area.", ["io_uring"]],
  ["test/conformance/", Object.keys(environments).filter((name) => name !== "automatic")],
  // On Linux the engine of this environment has all three backends, and the file tries each.
  ["test/fallback/processes.", ["kqueue"]],
  // Both are about io_uring's threads and areas.
  ["test/lifetime/area.", ["automatic"]],
  ["test/lifetime/no_threads.", ["automatic"]],
  ["test/lifetime/", onEach],
  ["test/fuzz/", onEach],
  ["test/embedding/", onEach],
  // Histories that were made by hand need no backend; the other files try every one that works.
  ["test/model/checks.", ["automatic"]],
  ["test/model/", ["automatic", "kqueue"]],
];

/** The words of a path that tell it from others: test/dist/a/b.test.js is test/a/b. */
function shortened(path) {
  return path.replace(/(^|\/)dist\//, "$1").replace(/\.test(\.[jt]s)?$/, "");
}

/**
 * The cells of the matrix that belong to a compiled test file: the variables of each, and a label,
 * which has the name of the environment before that of the file: test/lifetime/kqueue-memory.
 */
export function cellsOf(path) {
  const short = shortened(path);
  const row = rows.find(
    ([beginning]) => short.startsWith(beginning) || `${short}.`.startsWith(beginning),
  );
  const names = row === undefined ? ["automatic"] : row[1];
  return names
    .filter((name) => name in environments)
    .map((name) => {
      const prefix = name === "automatic" ? "" : `${name}-`;
      const label = short.replace(/[^/]*$/, (file) => `${prefix}${file}`);
      return { path, label, environment: name, variables: environments[name] };
    });
}

/** Those of the cells whose label contains one of the substrings, and the substrings of no label. */
export function select(cells, substrings) {
  if (substrings.length === 0) return { chosen: cells, unmatched: [] };
  const wanted = substrings.map(shortened);
  return {
    chosen: cells.filter(({ label }) => wanted.some((word) => label.includes(word))),
    unmatched: substrings.filter((_, at) => !cells.some(({ label }) => label.includes(wanted[at]))),
  };
}
