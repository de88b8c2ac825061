// Makes docs/benchmarks.md of the saved reports: one screen with ours against the best peer.

import type { Report, Row } from "./harness.js";
import { formatFigure } from "./report.js";

/** A report, when it was made, and how long its runs were. */
export interface SavedReport extends Report {
  /** As in "2026-11-29". */
  readonly date: string;
  readonly rounds: number;
  readonly durationSeconds: number;
  readonly small: boolean;
}

/** The last report of each workload, by the workload's name. */
export type Results = Readonly<Record<string, SavedReport>>;

interface Headline {
  readonly workload: string;
  readonly case: string;
  /** The rows that are compared, and the names of both in the table. */
  readonly ours: string;
  readonly peer: string;
  readonly about: string;
  readonly peerIs: string;
}

/** The rows of the page, in its order. */
const HEADLINES: readonly Headline[] = [
  {
    workload: "echo",
    case: "50 x 128 B",
    ours: "ours",
    peer: "node:net",
    about: "TCP echo, 50 connections, 128 B",
    peerIs: "`node:net`",
  },
  {
    workload: "echo",
    case: "500 x 4 KiB",
    ours: "ours",
    peer: "node:net",
    about: "TCP echo, 500 connections, 4 KiB",
    peerIs: "`node:net`",
  },
  {
    workload: "echo",
    case: "500 x 4 KiB",
    ours: "ours",
    peer: "C server",
    about: "TCP echo, 500 connections, 4 KiB",
    peerIs: "a server in C on liburing",
  },
  {
    workload: "lent",
    case: "stream 16 x 64 KiB",
    ours: "ours",
    peer: "node:net",
    about: "one-way streams, 16 connections",
    peerIs: "`node:net`, its best setting",
  },
  {
    workload: "pipeline",
    case: "64 x 1 KiB",
    ours: "ours",
    peer: "node:net",
    about: "64 sends of 1 KiB at once",
    peerIs: "`node:net`, corked",
  },
  {
    workload: "files",
    case: "buffered",
    ours: "ours",
    peer: "fs.promises",
    about: "4 KiB random reads from the page cache",
    peerIs: "`fs.promises`, its best setting",
  },
  {
    workload: "send_file",
    case: "64 MiB",
    ours: "ours",
    peer: "createReadStream",
    about: "a file of 64 MiB to a client",
    peerIs: "`createReadStream().pipe()`",
  },
  {
    workload: "zero_copy",
    case: "UDP to the sink, 60000 B",
    ours: "ours always",
    peer: "ours never",
    about: "UDP of 60,000 B without a copy",
    peerIs: "the same with a copy",
  },
  {
    workload: "nop",
    case: "callback 64",
    ours: "ours",
    peer: "C loop",
    about: "no-ops, 64 in flight",
    peerIs: "a loop in C on liburing",
  },
  {
    workload: "start",
    case: "start",
    ours: "ours",
    peer: "node:http",
    about: "a process from start to end (less is better)",
    peerIs: "one that imports `node:http`",
  },
];

const INTRODUCTION = `# Benchmarks

\`npm run bench -- --save\` writes this page from \`packages/bench/results/latest.json\`. Do not
edit it. \`packages/bench/README.md\` says how each peer is set up and how the bench measures;
\`packages/bench/HISTORY.md\` has older figures.

A figure is the median over the rounds, with the lowest and the highest behind it. The ratio is the
median of the ratios of the rounds, ours divided by the peer's.
`;

const BUSY = `Figures of a busy machine are no comparison. \`--save\` replaces them.
`;

function figureOf({ median, low, high, unit }: Row): string {
  return `${formatFigure(median)} ${unit} (${formatFigure(low)} to ${formatFigure(high)})`;
}

function rowOf(report: SavedReport, headline: Headline): string | undefined {
  const find = (name: string): Row | undefined =>
    report.rows.find((row) => row.case === headline.case && row.name === name);
  const ours = find(headline.ours);
  const peer = find(headline.peer);
  const ratio = report.ratios[`${headline.case} ${headline.ours}/${headline.peer}`];
  if (ours === undefined || peer === undefined || ratio === undefined) return undefined;
  const figures = [figureOf(ours), headline.peerIs, figureOf(peer), ratio.toFixed(2)];
  return `| ${[headline.about, ...figures].join(" | ")} |`;
}

/** Where and how the workloads of the page were measured; a line for each way. */
function conditionsOf(reports: readonly SavedReport[]): string[] {
  const lines = new Map<string, string[]>();
  for (const { workload, date, machine, quiet, rounds, durationSeconds } of reports) {
    const times = `${rounds} ${rounds === 1 ? "round" : "rounds"} of ${durationSeconds} s`;
    const company = quiet ? "on a quiet machine" : "**other programs used the machine meanwhile**";
    const line = `${date}, ${machine}, ${times}, ${company}`;
    lines.set(line, [...(lines.get(line) ?? []), `\`${workload}\``]);
  }
  return [...lines].map(([line, workloads]) => `- ${workloads.join(", ")}: ${line}`);
}

/** The page: what was measured, the table, and what of it has no figures yet. */
export function benchmarksPage(results: Results): string {
  const rows: string[] = [];
  const used = new Set<SavedReport>();
  const missing: string[] = [];
  for (const headline of HEADLINES) {
    const report = results[headline.workload];
    const row = report && rowOf(report, headline);
    if (report === undefined || row === undefined) {
      missing.push(`${headline.about}, against ${headline.peerIs}`);
      continue;
    }
    rows.push(row);
    used.add(report);
  }
  const parts = [
    INTRODUCTION,
    [...conditionsOf([...used]), ""].join("\n"),
    ...([...used].every(({ quiet }) => quiet) ? [] : [BUSY]),
    [
      "| What | @io/core | Peer | Peer's figure | Ratio |",
      "|---|---|---|---|---|",
      ...rows,
      "",
    ].join("\n"),
  ];
  if (missing.length > 0) parts.push(`Not measured yet: ${missing.join("; ")}.\n`);
  return parts.join("\n");
}
