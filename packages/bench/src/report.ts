// Prints a report as a table for people or as one object for programs.

import type { Report, Row } from "./harness.js";

/** Four digits that count, with thousands set apart. */
export function formatFigure(value: number): string {
  const digits = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  const decimals = Math.min(3, Math.max(0, 3 - digits));
  return value.toLocaleString("en-US", {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
}

/** Columns as wide as their widest cell: names and units to the left, figures to the right. */
function align(lines: string[][]): string[] {
  const widths: number[] = [];
  for (const cells of lines) {
    for (const [column, cell] of cells.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    }
  }
  return lines.map((cells) =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column >= 1 && column <= 3 ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
}

function cellsOf({ name, unit, median, low, high }: Row): string[] {
  return [`  ${name}`, formatFigure(median), formatFigure(low), formatFigure(high), unit];
}

export function formatTable(report: Report): string {
  const quiet = report.quiet ? "quiet" : "not quiet";
  const lines = [`${report.workload}: ${report.machine}, ${quiet}`];
  for (const name of new Set(report.rows.map((row) => row.case))) {
    const rows = report.rows.filter((row) => row.case === name);
    // By unit, so that what can be compared stands together.
    const units = [...new Set(rows.map((row) => row.unit))];
    const sorted = units.flatMap((unit) => rows.filter((row) => row.unit === unit));
    lines.push("", ...align([[name, "median", "low", "high", ""], ...sorted.map(cellsOf)]));
    const prefix = `${name} `;
    for (const [key, ratio] of Object.entries(report.ratios)) {
      if (key.startsWith(`${prefix}ours`)) {
        lines.push(`  ${key.slice(prefix.length)} = ${ratio.toFixed(3)}`);
      }
    }
  }
  if (report.skipped.length + report.notes.length > 0) lines.push("");
  for (const { case: name, name: contender, reason, failed } of report.skipped) {
    lines.push(`${failed ? "failed" : "skipped"}: ${name}, ${contender}: ${reason}`);
  }
  lines.push(...report.notes);
  return `${lines.join("\n")}\n`;
}

export function formatJson(report: Report): string {
  return `${JSON.stringify(report)}\n`;
}
