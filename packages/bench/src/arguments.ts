// What was asked for on the command line.

import { parseArgs } from "node:util";
import type { Settings } from "./harness.js";

export const usage = `Usage: npm run bench -- [workload]... [options]

  nop        no-ops per second, by callback and by promise
  files      4 KiB random reads, buffered and O_DIRECT
  echo       a TCP echo server at 1, 50 and 500 connections
  pipeline   64 small sends at once on one connection
  lent       receiving into lent memory: echo, streams, idle connections, what is left behind
  crowd      what 10 to 100,000 connections cost that are there
  send_file  a file to a client on loopback
  zero_copy  sends with and without a copy, to a sink and over loopback
  start      from the start of the process to its end
  kill       the end of a Worker that is killed with 1,000 operations in flight

  --save        keep the reports in packages/bench/results and write docs/benchmarks.md
  --page        write docs/benchmarks.md from the reports that were kept, and measure nothing
  --json        print one object per workload, and nothing else
  --small       run everything briefly; the default where CI is set
  --rounds N    how often each contender runs (default 7)
  --seconds S   how long each run measures (default 1)
`;

export interface Request {
  workloads: string[];
  json: boolean;
  help: boolean;
  save: boolean;
  page: boolean;
  settings: Settings;
}

function positive(text: string | undefined, name: string, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new RangeError(`--${name} must be a number above zero, not "${text}".`);
}

export function parseRequest(
  argv: readonly string[],
  known: readonly string[],
  inCI: boolean,
): Request {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      small: { type: "boolean", default: inCI },
      help: { type: "boolean", default: false },
      save: { type: "boolean", default: false },
      page: { type: "boolean", default: false },
      rounds: { type: "string" },
      seconds: { type: "string" },
    },
  });
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new RangeError(`There is no workload "${unknown}".`);
  const rounds = positive(values.rounds, "rounds", values.small ? 1 : 7);
  return {
    workloads: positionals.length > 0 ? positionals : [...known],
    json: values.json,
    help: values.help,
    save: values.save,
    page: values.page,
    settings: {
      rounds: Math.max(1, Math.round(rounds)),
      durationSeconds: positive(values.seconds, "seconds", values.small ? 0.1 : 1),
      small: values.small,
    },
  };
}
