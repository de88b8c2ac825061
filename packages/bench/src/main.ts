// npm run bench: runs the workloads that were named, or all, and ends with a screen that sums up.

import { parseRequest, usage } from "./arguments.js";
import { type Report, runWorkload } from "./harness.js";
import { announcement, estimateSeconds, ProgressLine } from "./progress.js";
import { formatJson, formatTable } from "./report.js";
import { readLatest, save, writePage } from "./results.js";
import { formatSummary } from "./summary.js";
import { workloads } from "./workloads/index.js";

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
  const { settings } = request;
  const wanted = workloads.filter(({ name }) => request.workloads.includes(name));
  const names = wanted.map(({ name }) => name);
  const seconds = estimateSeconds(names, readLatest(), settings);
  process.stderr.write(`${announcement(names, settings, seconds)}\n`);
  const progress = new ProgressLine(process.stderr, settings.durationSeconds);
  const reports: Report[] = [];
  for (const workload of wanted) {
    const report = await runWorkload(workload, settings, (line, done, total) =>
      progress.show(line, done, total),
    );
    progress.clear();
    if (request.json) process.stdout.write(formatJson(report));
    else if (request.details) process.stdout.write(`${formatTable(report)}\n`);
    if (request.save) save(report, settings);
    for (const { case: name, name: contender, reason, failed } of report.skipped) {
      if (!failed) continue;
      process.stderr.write(`Error: ${workload.name}, ${name}, ${contender}: ${reason}\n`);
      process.exitCode = 1;
    }
    reports.push(report);
  }
  if (!request.json) process.stdout.write(formatSummary(reports));
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${usage}`);
  process.exitCode = 1;
}
