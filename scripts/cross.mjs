// npm run cross [-- <substring>...]: builds the addon for other systems than this machine's, and
// checks that each has the libraries and symbols that the addon needs. Prints a row for each
// target.

import { checkBsdSyntax } from "./cross/bsd.mjs";
import { buildAddon } from "./cross/build.mjs";
import { checkAddon } from "./cross/check.mjs";
import { plantAndCheck } from "./cross/planted.mjs";
import { targets } from "./cross/targets.mjs";
import { installZig } from "./cross/zig.mjs";
import { setup } from "./setup.mjs";
import { main, StepError } from "./support/step.mjs";

function printRow(cells) {
  const widths = [18, 8, 9, 7, 9];
  const padded = cells.map((cell, index) => cell.padEnd(widths[index] ?? 0));
  process.stdout.write(`${padded.join("  ").trimEnd()}\n`);
}

async function buildAndCheck(target) {
  const start = performance.now();
  const { path, ioUring } = await buildAddon(target);
  const found = checkAddon(target, path);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const kilobytes = `${Math.round(found.sizeBytes / 1024)} KiB`;
  const libraries = found.libraries.map((name) => name.split("/").at(-1)).join(" ");
  const ofNode = `${found.ofNodeCount} of Node`;
  printRow([target.name, `${seconds} s`, kilobytes, ioUring.slice(0, 3).trim(), ofNode, libraries]);
  if (ioUring.startsWith("no (") && target.system === "Linux") {
    process.stdout.write(`  without io_uring: ${ioUring.slice(4, -1)}\n`);
  }
  return found.problems.map((problem) => `${target.name}: io.node ${problem}`);
}

await main(async () => {
  const substrings = process.argv.slice(2);
  const wanted = targets.filter(
    ({ name }) => substrings.length === 0 || substrings.some((text) => name.includes(text)),
  );
  if (wanted.length === 0) {
    const names = targets.map(({ name }) => name).join(", ");
    throw new StepError(`No target matches. There are: ${names}`);
  }
  await setup();
  await installZig();
  printRow(["target", "time", "size", "io_uring", "asks for", "and for names of"]);
  const problems = [];
  for (const target of wanted) {
    problems.push(...(await buildAndCheck(target)));
    problems.push(...(await plantAndCheck(target)));
  }
  if (substrings.length === 0) {
    const print = (system, time) => printRow([system, time, "the syntax of its branches only"]);
    problems.push(...(await checkBsdSyntax(print)));
  }
  if (problems.length > 0) throw new StepError(problems.join("\n"));
  process.stdout.write(`${wanted.length} built, nothing is missing in them\n`);
});
