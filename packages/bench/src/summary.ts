// What a run ends with: one screen, with a row for each peer of each workload's main case.

import type { Report } from "./harness.js";
import { headlineCases } from "./page.js";

/** What a summary needs of a report; reports that were kept earlier may lack the rest. */
export type Summarized = Pick<Report, "workload" | "ratios" | "skipped" | "quiet"> &
  Partial<Pick<Report, "spreads" | "lessIsBetter">>;

const barColumns = 24;
/** Where the bar of a speed that equals the peer's ends. */
const equalColumns = 8;

/** A bar of the speed, with a mark at the peer's own. */
export function barOf(speed: number): string {
  const filled = Math.min(barColumns, Math.max(1, Math.round(speed * equalColumns)));
  const cells = [..."#".repeat(filled).padEnd(barColumns, " ")];
  cells[equalColumns - 1] = filled >= equalColumns ? "+" : "|";
  if (speed * equalColumns > barColumns) cells[barColumns - 1] = ">";
  return cells.join("");
}

interface Line {
  readonly workload: string;
  readonly about: string;
  readonly peer: string;
  readonly speed: number;
  readonly spread: string;
}

/** The case that stands for a workload: one of the page's, or else the first with a ratio. */
function casesOf(report: Summarized): string[] {
  const compared = Object.keys(report.ratios).filter((key) => / ours\//.test(key));
  const names = compared.map((key) => key.slice(0, key.lastIndexOf(" ours/")));
  const known = headlineCases(report.workload).filter((name) => names.includes(name));
  return known.length > 0 ? known : names.slice(0, 1);
}

function linesOf(report: Summarized): Line[] {
  return casesOf(report).flatMap((name) => {
    const prefix = `${name} ours/`;
    const isTime = report.lessIsBetter?.includes(name) ?? false;
    const keys = Object.keys(report.ratios).filter((key) => key.startsWith(prefix));
    return keys.map((key) => {
      const speedOf = (ratio: number) => (isTime ? 1 / ratio : ratio);
      const spread = report.spreads?.[key]?.map(speedOf).sort((a, b) => a - b);
      return {
        workload: report.workload,
        about: name,
        peer: key.slice(prefix.length),
        speed: speedOf(report.ratios[key] ?? 0),
        spread: spread === undefined ? "" : spread.map((one) => one.toFixed(2)).join(" to "),
      };
    });
  });
}

/** The screen: how many times as fast as each peer, its spread over the rounds, and what failed. */
export function formatSummary(reports: readonly Summarized[]): string {
  const lines = reports.flatMap(linesOf);
  const rows = lines.map(({ workload, about, peer, speed, spread }, index) => {
    const again = index > 0 && lines[index - 1]?.workload === workload;
    const first = again && lines[index - 1]?.about === about ? "" : about;
    return [again ? "" : workload, first, barOf(speed), speed.toFixed(2), spread, peer];
  });
  const head = ["workload", "case", "times as fast", "", "of the rounds", "as"];
  const table = [head, ...rows];
  const widths = head.map((_, column) =>
    Math.max(...table.map((cells) => (cells[column] ?? "").length)),
  );
  const text = table.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const without = reports.filter((report) => linesOf(report).length === 0);
  const failed = reports.flatMap(({ skipped }) => skipped.filter((one) => one.failed));
  const busy = reports.filter(({ quiet }) => !quiet).map(({ workload }) => workload);
  return `${[
    ...(rows.length > 0 ? text : []),
    "",
    ...(rows.length > 0 ? ["A bar that reaches | is as fast as the peer. More is better."] : []),
    ...without.map(({ workload }) => `${workload} has no peer to compare with: see --details.`),
    ...failed.map((one) => `failed: ${one.case}, ${one.name}: ${one.reason}`),
    ...(busy.length > 0 ? [`Other programs used the machine meanwhile: ${busy.join(", ")}.`] : []),
    "Every figure: --details.",
  ].join("\n")}\n`;
}
