// npm run bench: runs the workloads that were named, or all, and prints what they gave.

import { parseRequest, usage } from "./arguments.js";
import { runWorkload } from "./harness.js";
import { formatJson, formatTable } from "./report.js";
import { save, writePage } from "./results.js";
import { workloads } from "./workloads/index.js";

/** On a terminal, one line that says what is running now. */
function showProgress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
}

async function main(): Promise<void> {
  const known = workloads.map(({ name }) => name);
  const inCI = Boolean(process.env["CI"]);
  const request = parseRequest(process.argv.slice(2), known, inCI);
  if (request.help) {
    process.stdout.write(usage);
    return;
  }
  if (request.page) {
    writePage();
    return;
  }
  for (const workload of workloads) {
    if (!request.workloads.includes(workload.name)) continue;
    const report = await runWorkload(workload, request.settings, showProgress);
    showProgress("");
    process.stdout.write(request.json ? formatJson(report) : `${formatTable(report)}\n`);
    if (request.save) save(report, request.settings);
    if (report.skipped.some(({ failed }) => failed)) process.exitCode = 1;
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${usage}`);
  process.exitCode = 1;
}
