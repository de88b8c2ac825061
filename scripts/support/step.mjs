// Runs programs and shows each step as one line with its time; the whole output only on failure.
// The lines go to standard error: standard output belongs to the program that is started.

import { spawn } from "node:child_process";
import { root } from "./paths.mjs";

/** An error whose message is written for people: it is shown without a stack trace. */
export class StepError extends Error {}

/** Runs a program to its end and resolves to its status and everything it printed. */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      ...options,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    child.stderr.on("data", (chunk) => {
      output += chunk;
    });
    child.on("error", (error) => resolve({ ok: false, output: `${output}${error.message}\n` }));
    child.on("close", (status) => resolve({ ok: status === 0, output }));
  });
}

/** Like `run`, but a failure is a StepError that carries the whole output and what to do. */
export async function runOrFail(command, args, options = {}) {
  const { advice, ...spawnOptions } = options;
  const result = await run(command, args, spawnOptions);
  if (!result.ok) {
    const lines = [`failed: ${[command, ...args].join(" ")}`, result.output.trimEnd(), advice];
    throw new StepError(lines.filter(Boolean).join("\n"));
  }
  return result.output;
}

/** Shows `name`, does `work`, shows the time it took and the remark it returned, if any. */
export async function step(name, work) {
  const start = performance.now();
  const remark = await work();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  process.stderr.write(
    `  ${name.padEnd(28)} ${seconds.padStart(5)} s${remark ? `  ${remark}` : ""}\n`,
  );
}

/** Runs a script's main function; what goes wrong is said in words and ends in status 1. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    const text = error instanceof StepError ? error.message : error.stack;
    process.stderr.write(`\n${text}\n`);
    process.exitCode = 1;
  }
}
