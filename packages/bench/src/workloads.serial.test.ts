// Runs every workload briefly, as `npm run bench` does, and checks its output. It asserts no speed,
// since the machine may be busy. It shows whether each contender still works.

import { probe } from "@io/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Report } from "./harness.js";
import { packageFolder } from "./native_build.js";
import { findProgram, runProcess } from "./processes.js";

async function runSmall(workload: string): Promise<Report> {
  const main = `${packageFolder}dist/main.js`;
  const command = [process.execPath, main, workload, "--small", "--json", "--seconds", "0.05"];
  const report = JSON.parse(await runProcess(command, { timeoutSeconds: 300 })) as Report;
  for (const { case: name, name: contender, reason } of report.skipped) {
    process.stdout.write(`skipped: ${workload}, ${name}, ${contender}: ${reason}\n`);
  }
  return report;
}

function checkShape(report: Report): void {
  assert.type(report.machine, "string");
  assert.type(report.quiet, "boolean");
  for (const row of report.rows) {
    assert.type(row.case, "string");
    assert.type(row.name, "string");
    assert.type(row.unit, "string");
    assert.ok(row.low <= row.median && row.median <= row.high, `${row.case} ${row.name}`);
  }
  for (const [key, ratio] of Object.entries(report.ratios)) {
    assert.match(key, / ours.*\//);
    assert.ok(ratio > 0, `${key} is ${ratio}`);
  }
}

/** Every contender has a row or is among those that were skipped. */
function checkContenders(report: Report, cases: string[], names: string[]): void {
  const present = [...report.rows, ...report.skipped];
  for (const expected of cases) {
    for (const name of names) {
      const found = present.some((row) => row.case === expected && row.name.startsWith(name));
      assert.ok(found, `${report.workload}: there is no "${name}" in "${expected}"`);
    }
    const ours = report.rows.some((row) => row.case === expected && row.name === "ours");
    assert.ok(ours, `${report.workload}: ours did not run in "${expected}"`);
  }
}

const expectations: Record<string, { cases: string[]; names: string[] }> = {
  nop: { cases: ["callback 64", "promise 64"], names: ["ours", "C loop"] },
  udp_receive: { cases: ["1200 B"], names: ["ours", "node:dgram"] },
  timers: { cases: ["1000 timers", "10 timers"], names: ["ours", "setTimeout"] },
  wal: { cases: ["append, durable"], names: ["ours", "fs.promises", "fio"] },
  wake: { cases: ["attached", "detached"], names: ["ours", "MessagePort"] },
  files: {
    cases: ["buffered"],
    names: ["ours", "ours promise", "fs.promises", "fs.read", "fio"],
  },
  echo: {
    cases: ["1 x 128 B", "50 x 4 KiB", "500 x 128 B"],
    names: ["ours", "ours promise", "node:net", "Bun", "C server"],
  },
  pipeline: {
    cases: ["64 x 64 B", "64 x 1 KiB", "64 x 16 KiB"],
    names: [
      "ours",
      "ours promise",
      "ours on epoll",
      "ours promise on epoll",
      "node:net",
      "Bun",
      "C",
    ],
  },
  send_file: {
    cases: ["64 KiB", "1 MiB", "64 MiB"],
    names: ["ours", "ours on epoll", "createReadStream"],
  },
  http: {
    cases: ["hello, 8 connections", "hello, 16 in a pipeline", "Hono, 8 connections"],
    names: ["ours"],
  },
  http_bodies: {
    cases: ["JSON of 1 KiB", "64 KiB down", "64 KiB up", "file of 4 KiB", "file of 1 MiB"],
    names: ["ours", "node:http"],
  },
  http_waiting: {
    cases: ["latency at half of node:http's peak", "100 idle connections"],
    names: ["ours", "node:http", "fastify", "Bun.serve", "Deno.serve", "nginx"],
  },
  whole_files: {
    cases: ["one at a time", "32 at a time", "all at once", "4 KiB by a chain, 32 at a time"],
    names: ["ours", "node:fs"],
  },
  trees: {
    cases: ["copy of 100 files", "readdir of 1000 names"],
    names: ["ours", "ours on epoll", "ours by @io/node", "fs.promises"],
  },
  node_net: {
    cases: ["echo, 8 x 4 KiB", "echo, 8 x 128 B"],
    names: ["ours", "node:net"],
  },
  node_http: {
    cases: ["http, 8 connections", "https, 8 connections", "ws, 8 x 128 B"],
    names: ["ours", "node:"],
  },
  datagrams: {
    cases: ["receive of 64 bytes", "send of 64 bytes"],
    names: ["ours", "node:dgram"],
  },
  zero_copy: {
    cases: ["TCP over loopback, 64 B", "UDP over loopback, 60000 B"],
    names: ["ours", "ours never", "ours always", "ours always unregistered"],
  },
  zero_copy_auto: {
    cases: [
      "TCP over loopback, 64 B, registered, 64 in flight",
      "TCP over loopback, 60000 B, unregistered, 1024 in flight",
    ],
    names: ["ours"],
  },
  provided: {
    cases: ["echo 50 x 128 B, callbacks", "stream 16 x 64 KiB", "bytes of a stream", "idle 200"],
    names: ["ours"],
  },
  crowd: {
    cases: ["beside 10", "beside 200"],
    names: ["ours", "ours on epoll", "node:net"],
  },
  start: { cases: ["start"], names: ["ours", "node:http"] },
  kill: { cases: ["kill"], names: ["ours", "ours on epoll", "ours on kqueue"] },
};

/** The limit, the load and a contender are programs on io_uring: nothing is measured without it. */
const needIoUring = [
  "nop",
  "echo",
  "pipeline",
  "provided",
  "crowd",
  "kill",
  "node_net",
  "node_http",
];
const found = probe().candidates.find(({ name }) => name === "io_uring");
const missing =
  found?.available === true ? undefined : (found?.reason ?? "it is no candidate here");

function canRun(workload: string, name: string): boolean {
  const withoutWrk = /^(node_)?http/.test(workload) && findProgram("wrk") === undefined;
  const lacking = needIoUring.includes(workload) ? missing : undefined;
  const reason = withoutWrk ? "wrk is not installed (apt install wrk)" : lacking;
  if (reason === undefined) return true;
  test.skip(name);
  process.stdout.write(`skipped: ${name}: ${reason}\n`);
  return false;
}

for (const [workload, { cases, names }] of Object.entries(expectations)) {
  if (!canRun(workload, `${workload} runs small`)) continue;
  test(`${workload} runs small`, async () => {
    const report = await runSmall(workload);
    assert.is(report.workload, workload);
    checkShape(report);
    checkContenders(report, cases, names);
  });
}

const heap = "nop says how much of the heap an operation takes";
if (canRun("nop", heap)) {
  test(heap, async () => {
    const { rows } = await runSmall("nop");
    assert.ok(rows.some((row) => row.unit === "heap bytes per operation"));
  });
}

test.run();
