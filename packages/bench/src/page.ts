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
  /** The figure is a time or a size, so less of it is better. */
  readonly lessIsBetter?: true;
  /** The chart that it stands in; "peers" when none is named. */
  readonly chart?: ChartName;
}

/** The charts of the README and of the site. */
export const CHARTS = ["peers", "http", "node"] as const;
export type ChartName = (typeof CHARTS)[number];

/** A row of the page as a chart shows it. */
export interface HeadlineFigure {
  readonly about: string;
  readonly peer: string;
  /** How many times as fast as the peer: 1 is equal, more is better. */
  readonly speed: number;
  readonly quiet: boolean;
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
    workload: "provided",
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
    workload: "http",
    case: "hello, 64 connections",
    ours: "ours",
    peer: "node:http",
    about: "HTTP, a hello world, 64 connections",
    peerIs: "`node:http`",
  },
  {
    workload: "http",
    case: "hello, 64 connections",
    ours: "ours",
    peer: "Bun.serve",
    about: "HTTP, a hello world, 64 connections",
    peerIs: "`Bun.serve`",
    chart: "http",
  },
  {
    workload: "http",
    case: "hello, 64 connections",
    ours: "ours",
    peer: "Deno.serve",
    about: "HTTP, a hello world, 64 connections",
    peerIs: "`Deno.serve`",
    chart: "http",
  },
  {
    workload: "http",
    case: "hello, 64 connections",
    ours: "ours",
    peer: "fastify",
    about: "HTTP, a hello world, 64 connections",
    peerIs: "fastify",
    chart: "http",
  },
  {
    workload: "http",
    case: "hello, 64 connections",
    ours: "ours",
    peer: "nginx",
    about: "HTTP, a hello world, 64 connections",
    peerIs: "nginx, without a program",
    chart: "http",
  },
  {
    workload: "http",
    case: "hello, 64 connections",
    ours: "ours by fetch",
    peer: "Bun.serve",
    about: "the same by fetch",
    peerIs: "`Bun.serve`",
    chart: "http",
  },
  {
    workload: "http",
    case: "Hono, 64 connections",
    ours: "ours",
    peer: "@hono/node-server",
    about: "Hono, 64 connections",
    peerIs: "Hono on `@hono/node-server`",
    chart: "http",
  },
  {
    workload: "http_bodies",
    case: "JSON of 1 KiB",
    ours: "ours",
    peer: "fastify",
    about: "JSON of 1 KiB over HTTP",
    peerIs: "fastify with a schema",
    chart: "http",
  },
  {
    workload: "http_bodies",
    case: "64 KiB up",
    ours: "ours",
    peer: "node:http",
    about: "64 KiB to an HTTP server",
    peerIs: "`node:http`",
    chart: "http",
  },
  {
    workload: "http_bodies",
    case: "file of 4 KiB",
    ours: "ours",
    peer: "node:http",
    about: "a file of 4 KiB over HTTP",
    peerIs: "`node:http`",
    chart: "http",
  },
  {
    workload: "http_bodies",
    case: "file of 4 KiB",
    ours: "ours",
    peer: "nginx",
    about: "a file of 4 KiB over HTTP",
    peerIs: "nginx",
    chart: "http",
  },
  {
    workload: "http_bodies",
    case: "file of 1 MiB",
    ours: "ours",
    peer: "node:http",
    about: "a file of 1 MiB over HTTP",
    peerIs: "`node:http`, its best way",
    chart: "http",
  },
  {
    workload: "http_bodies",
    case: "file of 1 MiB",
    ours: "ours",
    peer: "nginx",
    about: "a file of 1 MiB over HTTP",
    peerIs: "nginx",
    chart: "http",
  },
  {
    workload: "http_waiting",
    case: "latency at half of Bun.serve's peak",
    ours: "ours",
    peer: "Bun.serve",
    about: "p99 at half of Bun's peak (less is better)",
    peerIs: "`Bun.serve`",
    lessIsBetter: true,
    chart: "http",
  },
  {
    workload: "http_waiting",
    case: "10000 idle connections",
    ours: "ours",
    peer: "node:http",
    about: "memory of an idle HTTP connection (less is better)",
    peerIs: "`node:http`",
    lessIsBetter: true,
    chart: "http",
  },
  {
    workload: "node_net",
    case: "echo, 50 x 4 KiB",
    ours: "ours",
    peer: "node:net",
    about: "an echo by `net`, 50 connections, 4 KiB",
    peerIs: "`node:net`",
    chart: "node",
  },
  {
    workload: "node_net",
    case: "ioredis, 50 in flight",
    ours: "ours",
    peer: "node:net",
    about: "`ioredis`, 50 commands in flight",
    peerIs: "`node:net`",
    chart: "node",
  },
  {
    workload: "node_net",
    case: "pg, 8 at a time",
    ours: "ours",
    peer: "node:net",
    about: "`pg`, 8 queries at a time",
    peerIs: "`node:net`",
    chart: "node",
  },
  {
    workload: "node_http",
    case: "http, 64 connections",
    ours: "ours",
    peer: "node:http",
    about: "`http.Server`, 64 connections",
    peerIs: "`node:http`",
    chart: "node",
  },
  {
    workload: "node_http",
    case: "https, 64 connections",
    ours: "ours",
    peer: "node:https",
    about: "`https.Server`, 64 connections",
    peerIs: "`node:https`",
    chart: "node",
  },
  {
    workload: "node_http",
    case: "ws, 50 x 128 B",
    ours: "ours",
    peer: "node:http",
    about: "messages of `ws`, 50 connections",
    peerIs: "`node:http`",
    chart: "node",
  },
  {
    workload: "node_http",
    case: "file of 4 KiB",
    ours: "ours",
    peer: "node:http",
    about: "a file of 4 KiB by `http` and `fs`",
    peerIs: "`node:http` and `node:fs`",
    chart: "node",
  },
  {
    workload: "node_http",
    case: "10000 idle connections",
    ours: "ours",
    peer: "node:http",
    about: "memory of an idle connection of `http.Server` (less is better)",
    peerIs: "`node:http`",
    lessIsBetter: true,
    chart: "node",
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
    lessIsBetter: true,
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

/** The cases of a workload that are on the page. */
export function headlineCases(workload: string): string[] {
  const cases = HEADLINES.filter((one) => one.workload === workload).map((one) => one.case);
  return [...new Set(cases)];
}

function ratioFor(report: SavedReport, headline: Headline): number | undefined {
  return report.ratios[`${headline.case} ${headline.ours}/${headline.peer}`];
}

/** What a chart shows: its rows of the page that have figures. */
export function headlineFigures(results: Results, chart: ChartName = "peers"): HeadlineFigure[] {
  return HEADLINES.filter((one) => (one.chart ?? "peers") === chart).flatMap((headline) => {
    const report = results[headline.workload];
    const ratio = report && ratioFor(report, headline);
    if (report === undefined || ratio === undefined) return [];
    return {
      about: headline.about.replaceAll("`", "").replace(" (less is better)", ""),
      peer: headline.peerIs.replaceAll("`", ""),
      speed: headline.lessIsBetter ? 1 / ratio : ratio,
      quiet: report.quiet,
    };
  });
}

function rowOf(report: SavedReport, headline: Headline): string | undefined {
  const find = (name: string): Row | undefined =>
    report.rows.find((row) => row.case === headline.case && row.name === name);
  const ours = find(headline.ours);
  const peer = find(headline.peer);
  const ratio = ratioFor(report, headline);
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
