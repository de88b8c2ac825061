// Pins what the harness makes of figures: statistics, the shape of a report, the direction of a
// ratio, and what becomes of a peer that is missing or breaks.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseRequest } from "./arguments.js";
import { bunPackages } from "./bun.js";
import { denoPackage } from "./deno.js";
import { parseFio } from "./fio.js";
import { type Case, type Contender, runWorkload, type Workload } from "./harness.js";
import { parseMachineTicks, parseOwnTicks } from "./machine.js";
import { benchmarksPage, type SavedReport } from "./page.js";
import { lastWords, parseCoreList, pinnedCommand, runProcess } from "./processes.js";
import { RandomOffsets } from "./random_offsets.js";
import { formatFigure, formatJson, formatTable } from "./report.js";
import { readLatest, readPage } from "./results.js";
import { median, ratioOf, summarize } from "./statistics.js";

const settings = { rounds: 3, durationSeconds: 0, small: true };

/** A contender that gives the figures of a list, one per round. */
function fake(name: string, figures: number[], variant?: string): Contender {
  let round = 0;
  return {
    name,
    ...(variant === undefined ? {} : { variant }),
    measure: async () => ({ "things/s": figures[round++]! }),
  };
}

function workloadOf(...cases: Case[]): Workload {
  return { name: "fake", prepare: async () => ({ cases, dispose: () => undefined }) };
}

test("the median is the middle, or the mean of the two in the middle", () => {
  assert.is(median([3, 1, 2]), 2);
  assert.is(median([4, 1, 3, 2]), 2.5);
  assert.is(median([7]), 7);
  assert.throws(() => median([]), /not defined/);
  assert.equal(summarize([5, 9, 1]), { median: 5, low: 1, high: 9 });
});

test("a ratio is the median of the ratios of the rounds, ours above the peer", () => {
  assert.is(ratioOf([20, 20, 20], [10, 10, 10]), 2);
  // The machine slowed down by ten in the second round, for both.
  assert.is(ratioOf([20, 2, 20], [10, 1, 10]), 2);
  assert.is(ratioOf([1, 8, 3], [1, 2, 1]), 3);
});

test("a report has the promised shape, in the order of the contenders", async () => {
  const contenders = [fake("ours", [20, 40, 30]), fake("peer", [10, 10, 10])];
  const one: Case = { name: "case", better: "higher", contenders };
  const report = await runWorkload(workloadOf(one), settings);
  const parsed: unknown = JSON.parse(formatJson(report));
  assert.equal(parsed, report);
  assert.is(report.workload, "fake");
  assert.type(report.machine, "string");
  assert.type(report.quiet, "boolean");
  assert.equal(report.rows, [
    { case: "case", name: "ours", unit: "things/s", median: 30, low: 20, high: 40 },
    { case: "case", name: "peer", unit: "things/s", median: 10, low: 10, high: 10 },
  ]);
  assert.equal(report.ratios, { "case ours/peer": 3 });
  assert.equal(report.skipped, []);
  assert.match(formatTable(report), /ours\/peer = 3\.000/);
});

test("a case may ask for more ratios, also to the best of several in each round", async () => {
  const contenders = [
    fake("ours", [1, 1, 1]),
    fake("ours other", [8, 9, 10]),
    fake("ours third", [4, 2, 5]),
    fake("ours fourth", [1, 3, 1]),
  ];
  const comparisons = [
    { of: "ours other", to: ["ours third"] },
    { of: "ours other", to: ["ours third", "ours fourth"] },
    { of: "ours other", to: ["nobody"] },
  ];
  const one: Case = { name: "case", better: "higher", contenders, comparisons };
  const report = await runWorkload(workloadOf(one), settings);
  assert.equal(report.ratios, {
    "case ours other/ours third": 2,
    "case ours other/better of ours third and ours fourth": 2,
  });
  assert.match(formatTable(report), /ours other\/ours third = 2\.000/);
});

test("the contenders take turns, and each round begins with another one", async () => {
  const order: string[] = [];
  const logging = (name: string): Contender => ({
    name,
    measure: async () => {
      order.push(name);
      return { "things/s": 1 };
    },
  });
  const contenders = [logging("ours"), logging("a"), logging("b")];
  await runWorkload(workloadOf({ name: "case", better: "higher", contenders }), settings);
  assert.is(order.join(" "), "ours a b a b ours b ours a");
});

test("a peer that is missing is skipped with its reason, and the others run", async () => {
  const missing = { ...fake("absent", []), unavailable: "it is not installed" };
  const contenders = [fake("ours", [1, 1, 1]), missing, fake("peer", [1, 1, 1])];
  const one: Case = { name: "case", better: "higher", contenders };
  const report = await runWorkload(workloadOf(one), settings);
  assert.equal(report.skipped, [
    { case: "case", name: "absent", reason: "it is not installed", failed: false },
  ]);
  assert.equal(Object.keys(report.ratios), ["case ours/peer"]);
  assert.match(formatTable(report), /skipped: case, absent: it is not installed/);
});

test("a contender that breaks has no row, and the report says how it broke", async () => {
  const broken: Contender = {
    name: "broken",
    measure: () => runProcess([process.execPath, "-e", "null.x"], { timeoutSeconds: 20 }).then(),
  } as unknown as Contender;
  const one: Case = { name: "case", better: "higher", contenders: [broken] };
  const report = await runWorkload(workloadOf(one), settings);
  assert.equal(report.rows, []);
  assert.is(report.skipped[0]?.failed, true);
  assert.match(report.skipped[0]?.reason ?? "", /status 1: TypeError: Cannot read properties/);
});

test("of a peer with several settings the best stands for it, and a note says which", async () => {
  for (const better of ["higher", "lower"] as const) {
    const contenders = [
      fake("ours", [12, 12, 12]),
      fake("peer", [4, 4, 4], "four"),
      fake("peer", [6, 6, 6], "six"),
    ];
    const report = await runWorkload(workloadOf({ name: "case", better, contenders }), settings);
    const best = better === "higher" ? "six" : "four";
    const other = better === "higher" ? "four" : "six";
    assert.equal(
      report.rows.map(({ name }) => name),
      ["ours", "peer", `peer (${other})`],
    );
    assert.equal(report.ratios, {
      "case ours/peer": better === "higher" ? 2 : 3,
      [`case ours/peer (${other})`]: better === "higher" ? 3 : 2,
    });
    assert.ok(report.notes.includes(`case: peer is the one with ${best}.`));
  }
});

test("other layers of ours have a row and no ratio", async () => {
  const contenders = [
    fake("ours", [2, 2, 2]),
    fake("ours promise", [1, 1, 1]),
    fake("peer", [1, 1, 1]),
  ];
  const one: Case = { name: "case", better: "higher", contenders };
  const report = await runWorkload(workloadOf(one), settings);
  assert.is(report.rows.length, 3);
  assert.equal(report.ratios, { "case ours/peer": 2 });
});

test("a process that does not end is killed", async () => {
  const command = [process.execPath, "-e", "setInterval(() => {}, 1000)"];
  let message = "";
  await runProcess(command, { timeoutSeconds: 0.5 }).catch((error: Error) => {
    message = error.message;
  });
  assert.match(message, /no end after 0\.5 s/);
});

test("the command line is read", () => {
  const known = ["nop", "files"];
  const full = parseRequest([], known, false);
  assert.equal(full.workloads, known);
  assert.equal(full.settings, { rounds: 7, durationSeconds: 1, small: false });
  assert.is(parseRequest([], known, true).settings.small, true);
  const some = parseRequest(["nop", "--json", "--small", "--rounds", "2"], known, false);
  assert.equal(some.workloads, ["nop"]);
  assert.is(some.json, true);
  assert.equal(some.settings, { rounds: 2, durationSeconds: 0.1, small: true });
  assert.throws(() => parseRequest(["other"], known, false), /no workload "other"/);
  assert.throws(() => parseRequest(["--rounds", "x"], known, false), /above zero/);
  assert.throws(() => parseRequest(["--seconds", "0"], known, false), /above zero/);
});

test("what the system prints is read", () => {
  assert.equal(parseCoreList("0-2,5"), [0, 1, 2, 5]);
  assert.equal(parseCoreList("3\n"), [3]);
  const ticks = parseMachineTicks("cpu  10 1 5 80 2 3 4 6 0 0\ncpu0 1 1 1 1\n");
  assert.equal(ticks, { total: 111, used: 16, stolen: 6 });
  const fields = "1 (a (b) c) S 1 1 1 0 -1 4194560 1 2 3 4 11 12 13 14 20 0 1 0";
  assert.is(parseOwnTicks(fields), 50);
  const fio = 'fio: a remark\n{"jobs": [{"error": 0, "read": {"iops": 1234.5}}]}';
  assert.equal(parseFio(fio), { "reads/s": 1234.5 });
  assert.throws(() => parseFio('{"jobs": [{"error": 5}]}'), /error 5/);
  assert.is(lastWords("at x\nRangeError: too big\n    at y\n"), ": RangeError: too big");
  assert.is(lastWords("one\ntwo\n"), ": two");
  assert.is(lastWords(""), "");
  assert.is(bunPackages("linux", "arm64")[0], "@oven/bun-linux-aarch64");
  assert.is(denoPackage("linux", "arm64"), "@deno/linux-arm64-glibc");
  assert.is(denoPackage("darwin", "x64"), "@deno/darwin-x64");
});

test("the command keeps its arguments behind what pins it", () => {
  assert.equal(pinnedCommand("measured", ["a", "b"]).slice(-2), ["a", "b"]);
});

test("the random offsets repeat, stay in the file and begin at pages", () => {
  const [one, two] = [new RandomOffsets(40_000), new RandomOffsets(40_000)];
  const seen = new Set<number>();
  for (let index = 0; index < 1000; index++) {
    const offset = one.next();
    assert.is(offset, two.next());
    assert.is(offset % 4096, 0);
    assert.ok(offset >= 0 && offset + 4096 <= 40_000);
    seen.add(offset);
  }
  assert.is(seen.size, 9);
});

test("figures have four digits that count", () => {
  assert.is(formatFigure(1234567.8), "1,234,568");
  assert.is(formatFigure(12.3456), "12.35");
  assert.is(formatFigure(0.00012), "0.000");
  assert.is(formatFigure(0), "0.000");
});

test("the page has a row for each headline that was measured, and names the others", () => {
  const report: SavedReport = {
    workload: "nop",
    machine: "a machine",
    quiet: false,
    rows: [
      { case: "callback 64", name: "ours", unit: "ops/s", median: 8e6, low: 7e6, high: 9e6 },
      { case: "callback 64", name: "C loop", unit: "ops/s", median: 1e7, low: 9e6, high: 2e7 },
    ],
    ratios: { "callback 64 ours/C loop": 0.8 },
    spreads: { "callback 64 ours/C loop": [0.7, 0.9] },
    lessIsBetter: [],
    seconds: 12,
    skipped: [],
    notes: [],
    date: "2026-11-29",
    rounds: 3,
    durationSeconds: 1,
    small: false,
  };
  const page = benchmarksPage({ nop: report });
  assert.match(page, /\| no-ops, 64 in flight \| 8,000,000 ops\/s .* \| 0\.80 \|/);
  assert.match(page, "`nop`: 2026-11-29, a machine, 3 rounds of 1 s, **other programs used");
  assert.match(page, "Not measured yet: TCP echo");
});

test("docs/benchmarks.md is what the saved reports give", () => {
  assert.is(readPage(), benchmarksPage(readLatest()));
});

test.run();
