// Runs fio on a file and takes the figure out of its report.

import type { Figures } from "./harness.js";
import { runProcess } from "./processes.js";

/** The options that every run has: random 4 KiB reads, io_uring with all it offers here. */
export function fioArguments(path: string, direct: boolean, depth: number): string[] {
  return [
    "--name=read",
    `--filename=${path}`,
    "--rw=randread",
    "--bs=4k",
    "--ioengine=io_uring",
    `--iodepth=${depth}`,
    "--fixedbufs=1",
    "--registerfiles=1",
    `--direct=${direct ? 1 : 0}`,
    // Buffered, fio would begin by throwing the file out of the page cache.
    "--invalidate=0",
    // Fewer looks at the clock, no map of what has been read, no process of its own.
    "--gtod_reduce=1",
    "--norandommap=1",
    "--thread=1",
    "--time_based=1",
    "--output-format=json",
  ];
}

/** fio prints remarks before its report. */
export function parseFio(output: string): Figures {
  const parsed: unknown = JSON.parse(output.slice(output.indexOf("{")));
  const { jobs } = parsed as { jobs?: { error?: number; read?: { iops?: number } }[] };
  const job = jobs?.[0];
  const readsPerSecond = job?.read?.iops;
  if (job?.error !== 0 || readsPerSecond === undefined) {
    throw new Error(`fio failed with error ${job?.error}`);
  }
  return { "reads/s": readsPerSecond };
}

export async function runFio(options: string[], durationSeconds: number): Promise<Figures> {
  const runtimeMs = Math.round(durationSeconds * 1000);
  const times = [`--runtime=${runtimeMs}ms`, `--ramp_time=${Math.round(runtimeMs / 5)}ms`];
  const timeoutSeconds = 30 + 4 * durationSeconds;
  return parseFio(await runProcess(["fio", ...options, ...times], { timeoutSeconds }));
}
