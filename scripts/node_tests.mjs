// node scripts/node_tests.mjs <folder> [<substring>]: runs Node's own tests of net, test-net-* in
// <folder>/parallel, with @io/node/net in the place of node:net, and writes the share that passes
// to docs/internals/node-compatibility.md. The folder is `test` of Node's repository, at the tag of
// this Node or a near one. Nothing of it is kept here.

import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { root } from "./support/paths.mjs";
import { main, StepError } from "./support/step.mjs";

const limitMs = 20_000;
const document = `${root}/docs/internals/node-compatibility.md`;
const preload = pathToFileURL(`${root}/scripts/support/own_net.mjs`).href;

/** What a test looks at that is not public, and what of that it says. */
const inside = [
  [/--expose[-_]internals|internal\/|internalBinding/, "it looks at Node's internals"],
  [/\._handle\b|\{ handle|handle:/, "it uses the handle of a socket (`_handle`)"],
  [/_setSimultaneousAccepts|_normalizeArgs/, "it calls a function of `net` that begins with `_`"],
];

/** Why a test does not pass that uses the public interface alone. The script knows no other. */
const reasons = new Map([
  [
    "test-net-perf_hooks.js",
    "only Node itself can make entries of type `net` for a `PerformanceObserver`",
  ],
]);

function flagsOf(text) {
  return (
    text
      .match(/^\/\/ Flags: (.*)$/m)?.[1]
      .trim()
      .split(/\s+/) ?? []
  );
}

function runTest(folder, name, ours) {
  const path = `${folder}/parallel/${name}`;
  const flags = flagsOf(readFileSync(path, "utf8"));
  const words = [...(ours ? ["--import", preload] : []), ...flags, path];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, words, { cwd: `${folder}/parallel` });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data) => {
        text += data;
      });
    }
    const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ passed: code === 0, text, signal });
    });
  });
}

function insideOf(text) {
  return inside.find(([pattern]) => pattern.test(text))?.[1];
}

async function runAll(folder, names) {
  const rows = [];
  for (const name of names) {
    const text = readFileSync(`${folder}/parallel/${name}`, "utf8");
    const node = await runTest(folder, name, false);
    const ours = node.passed ? await runTest(folder, name, true) : null;
    const row = {
      name,
      onNode: node.passed,
      passed: ours?.passed ?? false,
      inside: insideOf(text),
    };
    rows.push(row);
    const word = !row.onNode ? "skip" : row.passed ? "ok  " : "FAIL";
    process.stdout.write(`${word} ${name}\n`);
    if (word === "FAIL" && row.inside === undefined && !reasons.has(name)) {
      process.stdout.write(`${ours.text.replace(/^/gm, "     ").slice(0, 2000)}\n`);
    }
  }
  return rows;
}

function percent(part, whole) {
  return whole === 0 ? "-" : `${((100 * part) / whole).toFixed(1)} %`;
}

function listOf(rows, reasonOf) {
  if (rows.length === 0) return "None.\n";
  const lines = rows.map((row) => `| \`${row.name}\` | ${reasonOf(row)} |`);
  return ["| Test | Why |", "|---|---|", ...lines, ""].join("\n");
}

function pageOf(rows) {
  const run = rows.filter(({ onNode }) => onNode);
  const open = run.filter((row) => row.inside === undefined);
  const passedOpen = open.filter(({ passed }) => passed).length;
  const passedAll = run.filter(({ passed }) => passed).length;
  const failed = run.filter(({ passed }) => !passed);
  const inOpen = failed.filter((row) => row.inside === undefined);
  const inInside = failed.filter((row) => row.inside !== undefined);
  const row = (what, tests, passed) =>
    `| ${what} | ${tests} | ${passed} | ${percent(passed, tests)} |`;
  return `# Node's own tests

Written by \`node scripts/node_tests.mjs <folder>\`, which runs Node's tests of \`net\`
(\`test-net-*\` in \`test/parallel\` of Node's repository) with \`@io/node/net\` in the place of
\`node:net\`. The tests are not part of this repository.

| Tests | Number | Passed | Share |
|---|---|---|---|
${row("that use the public interface only", open.length, passedOpen)}
${row("all that pass on this Node itself", run.length, passedAll)}

This run: Node ${process.version}, ${rows.length} tests. ${rows.length - run.length} of them do not
pass on \`node:net\` here, and are not counted.

## Public interface, and not passed

${listOf(inOpen, ({ name }) => reasons.get(name) ?? "not known yet")}
## What looks inside, and does not pass

${listOf(inInside, ({ inside: reason }) => reason)}`;
}

await main(async () => {
  const [folder, substring = ""] = process.argv.slice(2);
  if (folder === undefined || !existsSync(`${folder}/parallel`)) {
    throw new StepError("Give the folder `test` of Node's repository, which has `parallel` in it.");
  }
  const names = readdirSync(`${folder}/parallel`).filter(
    (name) => name.startsWith("test-net-") && name.includes(substring),
  );
  const rows = await runAll(folder, names);
  if (substring === "") writeFileSync(document, pageOf(rows));
  process.stdout.write(`${rows.filter(({ passed }) => passed).length} of ${rows.length} pass\n`);
});
