// Which environments the test files run in. `npm test` starts one process for each file and each
// environment that a row names, so that a new file of a folder runs on every backend of its folder.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const onLinux = process.platform === "linux";

const kqueueBuild = fileURLToPath(new URL("../build/kqueue/Release/", import.meta.url));

/** Linux has no kqueue: there the tests bring their own (test/kqueue), in another build. */
function kqueue(addon) {
  const engine = kqueueBuild + addon;
  const isNeeded = onLinux && !process.env.IO_ENGINE && existsSync(engine);
  return { IO_BACKEND: "kqueue", ...(isNeeded ? { IO_ENGINE: engine } : {}) };
}

/** kqueue as another system has it. The engine and the tests' kqueue both take its part. */
function system(name) {
  return { ...kqueue(`${name}/io.node`), IO_KQUEUE_SYSTEM: name };
}

/** The variables of each environment. They are asked for once the engines have been built. */
const environments = {
  // `IO.open()` chooses the backend.
  automatic: () => ({}),
  kqueue: () => kqueue("io.node"),
  ...(onLinux && {
    io_uring: () => ({ IO_BACKEND: "io_uring" }),
    epoll: () => ({ IO_BACKEND: "epoll" }),
    // On kernels that report the work of a DEFER_TASKRUN ring late, attached mode does without it.
    coop: () => ({ IO_BACKEND: "io_uring", IO_TASKRUN: "coop" }),
    macos: () => system("macos"),
    freebsd: () => system("freebsd"),
    netbsd: () => system("netbsd"),
    openbsd: () => system("openbsd"),
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
  // The parser is the same everywhere.
  ["packages/http/parser/", ["automatic"]],
  ["packages/http/", onEach],
  ["packages/node/", onEach],
  // Histories that were made by hand need no backend; the other files try every one that works.
  ["test/model/checks.", ["automatic"]],
  ["test/model/", ["automatic", "kqueue"]],
];

/** The words of a path that tell it from others: test/dist/a/b.test.js is test/a/b. */
function shortened(path) {
  return path.replace(/(^|\/)dist\//, "$1").replace(/\.test(\.[jt]s)?$/, "");
}

function fits(short, beginning) {
  return `${short}.`.startsWith(beginning);
}

/** The rows that no test file fits: the name of a file or folder has changed. */
export function staleRows(paths) {
  const shorts = paths.map(shortened);
  return rows
    .map(([beginning]) => beginning)
    .filter((beginning) => !shorts.some((short) => fits(short, beginning)));
}

/**
 * The cells of the matrix that belong to a compiled test file: the variables of each, and a label,
 * which has the name of the environment before that of the file: test/lifetime/kqueue-memory.
 */
export function cellsOf(path) {
  const short = shortened(path);
  const row = rows.find(([beginning]) => fits(short, beginning));
  const names = row === undefined ? ["automatic"] : row[1];
  return names
    .filter((name) => name in environments)
    .map((name) => {
      const prefix = name === "automatic" ? "" : `${name}-`;
      const label = short.replace(/[^/]*$/, (file) => `${prefix}${file}`);
      return { path, label, environment: name, variables: environments[name]() };
    });
}

/** A whole label means that cell alone; any other word is part of labels or of files. */
function matches(cells, word) {
  const exact = cells.filter(({ label }) => label === word);
  if (exact.length > 0) return exact;
  return cells.filter(({ label, path }) => label.includes(word) || shortened(path).includes(word));
}

/** The cells that one of the substrings selects, and the substrings that select none. */
export function select(cells, substrings) {
  if (substrings.length === 0) return { chosen: cells, unmatched: [] };
  const selected = substrings.map((substring) => matches(cells, shortened(substring)));
  return {
    chosen: cells.filter((cell) => selected.some((some) => some.includes(cell))),
    unmatched: substrings.filter((_, at) => selected[at].length === 0),
  };
}
