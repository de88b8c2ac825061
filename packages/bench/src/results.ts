// The files of `--save`: the last report of each workload in results/latest.json, the reports of a
// day in a file of that day, and the page docs/benchmarks.md, which is made from the first.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Report, Settings } from "./harness.js";
import { benchmarksPage, type Results, type SavedReport } from "./page.js";

const folder = fileURLToPath(new URL("../results/", import.meta.url));
const latestFile = `${folder}latest.json`;
const pageFile = fileURLToPath(new URL("../../../docs/benchmarks.md", import.meta.url));

function readResults(path: string): Results {
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Results) : {};
}

export function readLatest(): Results {
  return readResults(latestFile);
}

export function readPage(): string {
  return readFileSync(pageFile, "utf8");
}

export function writePage(): void {
  writeFileSync(pageFile, benchmarksPage(readLatest()));
}

/** Replaces the workload's report in both files, and makes the page. */
export function save(report: Report, settings: Settings): void {
  const { rounds, durationSeconds, small } = settings;
  const date = new Date().toISOString().slice(0, 10);
  const saved: SavedReport = { ...report, date, rounds, durationSeconds, small };
  mkdirSync(folder, { recursive: true });
  for (const path of [latestFile, `${folder}${date}.json`]) {
    const results = { ...readResults(path), [report.workload]: saved };
    writeFileSync(path, `${JSON.stringify(results, null, 1)}\n`);
  }
  writePage();
}
