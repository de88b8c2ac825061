// Pins the screen that a run of the bench ends with, and what it says while it runs.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseRequest } from "./arguments.js";
import { announcement, estimateSeconds, ProgressLine } from "./progress.js";
import { barOf, formatSummary, type Summarized } from "./summary.js";

const settings = { rounds: 2, durationSeconds: 1 };

function reportOf(more: Partial<Summarized>): Summarized {
  return { workload: "fake", ratios: {}, skipped: [], quiet: true, ...more };
}

test("a row has the bar, the ratio, its spread and the peer", () => {
  const ratios = { "case ours/fast": 0.5, "case ours/slow": 2, "other ours/slow": 9 };
  const spreads: Record<string, [number, number]> = { "case ours/slow": [1.9, 2.25] };
  const lines = formatSummary([reportOf({ ratios, spreads })]).split("\n");
  const row = lines.find((line) => line.includes("slow"));
  assert.match(row!, / #{7}\+#{8} +2\.00 +1\.90 to 2\.25 +slow$/);
  assert.match(
    lines.find((line) => line.includes("0.50"))!,
    /^fake +case +#{4} {3}\| +0\.50 +fast$/,
  );
  assert.is(lines.filter((line) => line.includes("9.00")).length, 0, "only the main case");
});

test("of times less is better, so the bar shows the inverse", () => {
  const ratios = { "start ours/peer": 2 };
  const spreads: Record<string, [number, number]> = { "start ours/peer": [1, 4] };
  const text = formatSummary([reportOf({ ratios, spreads, lessIsBetter: ["start"] })]);
  assert.match(text, /0\.50 +0\.25 to 1\.00 +peer/);
});

test("what failed, what has no peer, and company on the machine are said", () => {
  const skipped = [{ case: "c", name: "peer", reason: "it broke", failed: true }];
  const text = formatSummary([reportOf({ skipped, quiet: false })]);
  assert.match(text, /failed: c, peer: it broke/);
  assert.match(text, /fake has no peer to compare with/);
  assert.match(text, /Other programs used the machine meanwhile: fake/);
});

test("a bar that is too long for its place says so", () => {
  assert.is(barOf(100).at(-1), ">");
  assert.is(barOf(0.001).trimEnd(), "#      |");
  assert.is(new Set([0.1, 1, 5, 100].map((speed) => barOf(speed).length)).size, 1);
});

test("without a terminal there is a line at the beginning and now and then", () => {
  let nowMs = 0;
  const lines: string[] = [];
  const output = { write: (text: string) => lines.push(text) };
  const progress = new ProgressLine(output, 1, () => nowMs);
  for (let done = 0; done < 10; done++) {
    progress.show("fake: case, round 1: ours", done, 10);
    nowMs += 4_000;
  }
  progress.clear();
  assert.is(lines[0], "fake: case, round 1: ours (0 of 10 runs, at least 10 s to go)\n");
  assert.is(lines[1], "fake: case, round 1: ours (3 of 10 runs, about 28 s to go)\n");
  assert.is(lines.length, 4);
});

test("on a terminal one line is written over", () => {
  let text = "";
  const output = { isTTY: true, write: (more: string) => (text += more) };
  const progress = new ProgressLine(output, 1, () => 0);
  progress.show("a", 0, 2);
  progress.show("b", 1, 2);
  progress.clear();
  assert.is(text.includes("\n"), false);
  assert.is(text.split("\r").length, 4);
});

test("the time is estimated from the last run that was kept", () => {
  const kept = { a: { seconds: 8, rounds: 2, durationSeconds: 1 } };
  assert.is(estimateSeconds(["a"], kept, settings), 8);
  assert.is(estimateSeconds(["a"], kept, { rounds: 4, durationSeconds: 1 }), 16);
  assert.is(estimateSeconds(["a", "b"], kept, settings), undefined);
  assert.match(announcement(["a"], settings, 8), /2 rounds of 1 s .* about 8 s altogether/);
  assert.match(announcement(["a"], settings, undefined), /each says how long it takes/);
});

test("--details is asked for", () => {
  assert.is(parseRequest(["--details"], ["a"], false).details, true);
  assert.is(parseRequest([], ["a"], false).details, false);
});

test.run();
