// Runs one cell of test/matrix.mjs, which is a compiled test file in an environment, in a process
// of its own, and turns its output into a result.

import { spawn } from "node:child_process";
import { stripVTControlCharacters } from "node:util";
import { root } from "./paths.mjs";

const timeoutMs = 900_000;

/**
 * glibc raises its threshold for `mmap` to the largest block that a program frees, and then keeps
 * up to 64 MiB of freed blocks in each thread's arena, which tests of what a process holds would
 * measure. A threshold that is set stays as it is (mallopt(3), M_MMAP_THRESHOLD).
 */
const plainAllocator = { MALLOC_MMAP_THRESHOLD_: "131072" };
const fixedVariables = { NO_COLOR: "1", FORCE_COLOR: "0", ...plainAllocator };

/** The process groups that are running, so that an interrupted run leaves nothing behind. */
const runningGroups = new Set();

function killGroup(groupId) {
  try {
    process.kill(-groupId, "SIGKILL");
  } catch {
    // It has ended on its own.
  }
}

export function killRunningFiles() {
  for (const groupId of runningGroups) killGroup(groupId);
}

/** Starts the file and resolves to how it ended and everything it printed. */
function runProcess({ path, label, variables }, [program, ...words]) {
  return new Promise((resolve) => {
    const child = spawn(program, [...words, "--expose-gc", "--enable-source-maps", path], {
      cwd: root,
      // A group of its own: a time-out also ends what the test has started.
      detached: true,
      env: { ...process.env, ...fixedVariables, ...variables, IO_TEST: label },
      stdio: ["ignore", "pipe", "pipe"],
    });
    runningGroups.add(child.pid);
    let output = "";
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
    }, timeoutMs);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk) => {
        output += chunk;
      });
    }
    // "exit", then a kill of the group: a process left behind would hold the pipes open forever.
    child.on("exit", () => killGroup(child.pid));
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      runningGroups.delete(child.pid);
      resolve({ status, signal, timedOut, timeoutMs, output: stripVTControlCharacters(output) });
    });
  });
}

/** The numbers of uvu's closing summary, the last one printed, or undefined if there is none. */
function parseSummary(output) {
  const pattern = /^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)$/gm;
  const last = [...output.matchAll(pattern)].at(-1);
  if (!last) return undefined;
  const [total, passed, skipped] = last.slice(1).map(Number);
  return { passed, failed: total - passed, skipped };
}

/** The problems of the file as a whole, apart from failed tests, as sentences. */
function problemsOf({ status, signal, timedOut, timeoutMs }, summary, skipReasons) {
  if (timedOut) return [`did not end within ${timeoutMs / 1000} s`];
  if (signal) return [`was ended by ${signal}`];
  if (!summary) return [`ended with status ${status} and without a summary: is run() called?`];
  const problems = [];
  if (status !== 0 && summary.failed === 0) problems.push(`ended with status ${status}`);
  if (summary.passed + summary.failed + summary.skipped === 0) problems.push("ran no test");
  if (summary.skipped > skipReasons.length) {
    problems.push("skipped without a reason: skip with test/support/skip.ts");
  }
  return problems;
}

/**
 * What a file's process, and what it printed, amount to. A problem of the file as a whole counts as
 * one failed test.
 */
export function resultOf({ path, label, variables }, ended, seconds) {
  const summary = parseSummary(ended.output);
  const skipReasons = [...ended.output.matchAll(/^skipped: (.+)$/gm)].map((match) => match[1]);
  const figures = [...ended.output.matchAll(/^measured: (.+)$/gm)].map((match) => match[1]);
  const problems = problemsOf(ended, summary, skipReasons);
  const { passed = 0, failed = 0, skipped = 0 } = summary ?? {};
  return {
    label,
    command: [
      ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
      "node",
      path,
    ],
    passed,
    failed: failed + problems.length,
    skipped,
    skipReasons,
    figures,
    problems,
    output: ended.output,
    seconds,
  };
}

/** `node` are the words that start another Node than this one. */
export async function runTestFile(cell, node = [process.execPath]) {
  const start = performance.now();
  const ended = await runProcess(cell, node);
  return resultOf(cell, ended, (performance.now() - start) / 1000);
}

/** Prints a line for the cell, what it measured, what was skipped and why, and all of a failure. */
export function report(result) {
  const { label, passed, failed, skipped, skipReasons, problems, output, seconds } = result;
  const { figures = [] } = result;
  const counts = [`${passed} passed`];
  if (failed > 0) counts.push(`${failed} failed`);
  if (skipped > 0) counts.push(`${skipped} skipped`);
  const mark = failed > 0 ? "FAIL" : "ok  ";
  const lines = [`${mark} ${label}  ${counts.join(", ")}  (${seconds.toFixed(1)} s)`];
  for (const figure of figures) lines.push(`     measured: ${figure}`);
  for (const reason of skipReasons) lines.push(`     skipped: ${reason}`);
  if (failed > 0) lines.push("", output.trimEnd(), "");
  for (const problem of problems) lines.push(`     ${label} ${problem}`);
  if (failed > 0) lines.push(`     by hand: ${result.command.join(" ")}`);
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** Prints the totals; a failure is one of the whole command. */
export function reportTotals(results) {
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  const failed = sum("failed");
  if (failed > 0) process.exitCode = 1;
  process.stdout.write(`\n${sum("passed")} passed, ${failed} failed, ${sum("skipped")} skipped\n`);
}
