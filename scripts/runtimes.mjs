// npm run test:runtimes [-- <name>...]: runs the tests on other runtimes: the conformance suite on
// each release of Node, test/smoke on the oldest one, on Bun, on Deno, on arm64 and with musl.
// Writes the table of docs/guides/runtimes.md. Ends with one line of totals.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cellsOf } from "../test/matrix.mjs";
import { buildAddon } from "./cross/build.mjs";
import { targets } from "./cross/targets.mjs";
import { installZig } from "./cross/zig.mjs";
import { fetchRuntime, runtimes } from "./runtimes/fetch.mjs";
import { wordsFor } from "./runtimes/machines.mjs";
import { writeTable } from "./runtimes/table.mjs";
import { setup } from "./setup.mjs";
import { filesUnder } from "./support/fingerprint.mjs";
import { root } from "./support/paths.mjs";
import { main, run, StepError, step } from "./support/step.mjs";
import { killRunningFiles, report, reportTotals, runTestFile } from "./support/test_file.mjs";

const atOnceLimit = 2;

/** Runs the files of the conformance suite with the runtime in the place of this Node. */
async function runConformance(words) {
  const files = filesUnder("test/dist/conformance", (path) => path.endsWith(".test.js"));
  const isWanted = ({ environment }) => environment === "io_uring" || environment === "epoll";
  const queue = files.flatMap(cellsOf).filter(isWanted);
  const results = [];
  const work = async () => {
    for (let cell = queue.shift(); cell !== undefined; cell = queue.shift()) {
      const result = await runTestFile(cell, words);
      report(result);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: atOnceLimit }, work));
  results.push(await runReadme(words));
  return results;
}

/** Runs the program of the README as a reader copies it, without a compiler. */
async function runReadme(words) {
  const program = /^```js\n(.*?)^```$/ms.exec(readFileSync(`${root}/README.md`, "utf8"))?.[1];
  const path = `${root}/test/dist/readme.mjs`; // @io/core is found from there
  writeFileSync(path, program ?? "throw new Error('the README has no program')\n");
  const { ok, output } = await run(words[0], [...words.slice(1), path]);
  const passes = ok && output.startsWith("hello, by ");
  process.stdout.write(`     the program of the README: ${passes ? "runs" : output}\n`);
  return { passed: passes ? 1 : 0, failed: passes ? 0 : 1, skipped: 0 };
}

/** The engine for the runtime's machine. */
async function engineOf({ target: name }) {
  if (name === undefined) return undefined;
  const target = targets.find((candidate) => candidate.name === name);
  await installZig();
  let path;
  await step(`build the engine for ${name}`, async () => {
    ({ path } = await buildAddon(target));
  });
  return path;
}

/** Runs test/smoke/smoke.mjs, whose last line are its totals. */
async function runSmoke(runtime, words) {
  const engine = await engineOf(runtime);
  const env = { ...process.env, ...(engine === undefined ? {} : { IO_ENGINE: engine }) };
  delete env["IO_BACKEND"];
  const program = [...words, ...(runtime.words ?? []), `${root}/test/smoke/smoke.mjs`];
  const { ok, output } = await run(program[0], program.slice(1), { env });
  process.stdout.write(output.replace(/^/gm, "     ").trimEnd().concat("\n"));
  const totals = /^(\d+) passed, (\d+) failed, (\d+) skipped$/m.exec(output)?.slice(1).map(Number);
  const [passed, failed, skipped] = totals ?? [0, 1, 0];
  return [{ passed, failed: failed === 0 && !ok ? 1 : failed, skipped }];
}

function sum(results) {
  const total = (key) => results.reduce((count, result) => count + result[key], 0);
  return { passed: total("passed"), failed: total("failed"), skipped: total("skipped") };
}

/** A runtime that is not available here is skipped, with the reason. */
async function runRuntime(runtime) {
  process.stdout.write(`\n${runtime.name}: ${runtime.package} ${runtime.version}\n`);
  let words;
  try {
    const folder = await fetchRuntime(runtime);
    words = await wordsFor(runtime, `${folder}/${runtime.program}`);
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    process.stdout.write(`     skipped: ${error.message}\n`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const isConformance = runtime.suite === "conformance";
  const result = sum(await (isConformance ? runConformance(words) : runSmoke(runtime, words)));
  return { runtime, ...result };
}

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    killRunningFiles();
    process.exit(1);
  });
}

await main(async () => {
  const words = process.argv.slice(2);
  const names = runtimes.map(({ name }) => name);
  const unknown = words.find((word) => !names.includes(word));
  if (unknown !== undefined) {
    throw new StepError(`There is no runtime ${unknown}. There are: ${names.join(", ")}`);
  }
  await setup({ forTests: true });
  const results = [];
  for (const runtime of runtimes) {
    if (words.length === 0 || words.includes(runtime.name)) results.push(await runRuntime(runtime));
  }
  const ran = results.filter(({ runtime }) => runtime !== undefined);
  if (existsSync(`${root}/docs/guides/runtimes.md`)) writeTable(ran, names);
  reportTotals(results);
});
