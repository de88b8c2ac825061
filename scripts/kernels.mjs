// npm run test:kernels [-- <kernel>... <substring>...]: runs test files on other Linux kernels,
// each in a machine that QEMU emulates. A kernel is a number like 6.1, or 7.x for the newest of
// them; the substrings select as those of `npm test` do. Ends with one line of totals.

import { existsSync } from "node:fs";
import { cellsOf, select } from "../test/matrix.mjs";
import { makeFileSystem, makeImage } from "./kernels/image.mjs";
import { killMachines, runOnKernel } from "./kernels/machine.mjs";
import { findKernel } from "./kernels/packages.mjs";
import { setup } from "./setup.mjs";
import { filesUnder } from "./support/fingerprint.mjs";
import { main, StepError } from "./support/step.mjs";
import { findProgram, meet } from "./support/system.mjs";
import { report, reportTotals } from "./support/test_file.mjs";

const usualKernels = ["6.1", "6.12", "6.18", "7.x"];
/** What is usual: what each backend promises, areas, and how soon an event loop is woken. */
function isUsual({ label, environment }) {
  if (label.startsWith("test/conformance/")) return environment !== "coop";
  return label === "test/lifetime/area" || label.startsWith("test/kernels/");
}

/** Folders whose tests need neither a compiler nor the sources. */
const folders = ["conformance", "lifetime", "fuzz", "kernels", "model"];

const needs = [
  {
    packageName: "qemu-system-x86",
    found: () => findProgram("qemu-system-x86_64") !== undefined,
    advice: "qemu-system-x86_64 is missing. To have it: apt install qemu-system-x86",
  },
  {
    packageName: "e2fsprogs",
    found: () => makeFileSystem() !== undefined,
    advice: "mke2fs is missing. To have it: apt install e2fsprogs",
  },
  {
    packageName: "xz-utils",
    found: () => findProgram("xz") !== undefined,
    advice: "xz is missing. To have it: apt install xz-utils",
  },
  {
    packageName: "apt",
    found: () => findProgram("apt-get") !== undefined && existsSync("/usr/bin/dpkg"),
    advice: "apt is missing, and kernels are taken from Debian's packages. It needs a Debian.",
  },
];

async function checkMachine() {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new StepError("npm run test:kernels needs Linux on x86-64, as the addon in it does.");
  }
  const missing = await meet(needs.filter((need) => !need.found()));
  if (missing.length > 0) {
    throw new StepError("No kernel can be emulated without what is named above.");
  }
}

function findCells(substrings) {
  const cells = folders
    .flatMap((folder) => filesUnder(`test/dist/${folder}`, (path) => path.endsWith(".test.js")))
    .flatMap(cellsOf)
    // The build over the tests' own kqueue is of no interest to another kernel.
    .filter(({ variables }) => variables.IO_BACKEND !== "kqueue");
  if (substrings.length === 0) return cells.filter(isUsual);
  const { chosen, unmatched } = select(cells, substrings);
  if (unmatched.length === 0) return chosen;
  const places = folders.map((folder) => `test/${folder}`).join(", ");
  throw new StepError(`No test of ${places} matches ${unmatched.join(" or ")}.`);
}

async function runAll(kernels, cells) {
  const results = [];
  for (const kernel of kernels) {
    process.stdout.write(`\nLinux ${kernel.version}\n`);
    const complaints = await runOnKernel(kernel, cells, (result) => {
      report(result);
      results.push(result);
    });
    for (const line of complaints) process.stdout.write(`     the kernel: ${line}\n`);
    results.push({ passed: 0, failed: complaints.length, skipped: 0 });
  }
  return results;
}

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    killMachines();
    process.exit(1);
  });
}

await main(async () => {
  const words = process.argv.slice(2);
  const isKernel = (word) => /^\d+\.(\d+(\.\d+)?|x)$/.test(word);
  const requests = words.filter(isKernel);
  await checkMachine();
  await setup();
  const cells = findCells(words.filter((word) => !isKernel(word)));
  const kernels = [];
  for (const request of requests.length > 0 ? requests : usualKernels) {
    kernels.push(await findKernel(request));
  }
  await makeImage();
  reportTotals(await runAll(kernels, cells));
});
