// The arguments of the command line.

import { parseArgs } from "node:util";
import type { Settings } from "./harness.js";

export const usage = `Usage: npm run bench -- [workload]... [options]

  nop           no-ops per second, by callback and by promise
  files         4 KiB random reads, buffered and O_DIRECT
  whole_files   files of 16 KiB by fs.readFile, and of 4 KiB by a chain
  trees         names in a directory, and copies of a tree
  wal           appends to a log of 4 KiB, each durable before the next
  echo          a TCP echo server at 1, 50 and 500 connections
  pipeline      64 small sends at once on one connection
  provided      receiving into provided memory: echo, streams, idle connections, what is left behind
  crowd         what 10 to 100,000 connections cost that are there
  send_file     a file to a client on loopback
  http          a hello world over HTTP at 1, 64 and 512 connections and in pipelines, by wrk
  http_bodies   JSON, 64 KiB down and up, and files over HTTP
  http_waiting  latency at a fixed rate of requests, and the memory of idle connections
  node_net      net of @io/node: an echo, and clients of Redis and PostgreSQL
  node_http     http, https, ws and files by @io/node
  datagrams     datagrams received and sent by dgram
  zero_copy     sends with and without a copy, to a sink and over loopback
  start         from the start of the process to its end
  udp_receive   datagrams that a socket receives in a second
  timers        the processor time of a timer, with 1,000 in flight
  wake          the time that it takes to wake another thread
  kill          the end of a Worker that is killed with 1,000 operations in flight

  --save        keep the reports in packages/bench/results and write docs/benchmarks.md
  --page        write docs/benchmarks.md from the reports that were kept, and measure nothing
  --details     print every figure of every case, and not only the summary at the end
  --json        print one object per workload, and nothing else
  --small       run everything briefly; the default where CI is set
  --rounds N    how often each contender runs (default 7)
  --seconds S   how long each run measures (default 1)
`;

export interface Request {
  workloads: string[];
  json: boolean;
  details: boolean;
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
      details: { type: "boolean", default: false },
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
    details: values.details,
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
