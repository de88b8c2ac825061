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
    // Fewer clock reads, no map of the blocks that were read, no process of its own.
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

/** Appends of 4 KiB to a new file, one at a time, each durable when it completes (O_DSYNC). */
export async function runFioWrites(path: string, durationSeconds: number): Promise<Figures> {
  const runtimeMs = Math.round(durationSeconds * 1000);
  const options = [
    "--name=append",
    `--filename=${path}.fio`,
    "--rw=write",
    "--bs=4k",
    // As large as no run makes it; `fallocate` would reserve what the others append to.
    "--size=16g",
    "--fallocate=none",
    "--file_append=1",
    "--sync=dsync",
    "--ioengine=io_uring",
    "--iodepth=1",
    "--thread=1",
    "--time_based=1",
    `--runtime=${runtimeMs}ms`,
    "--output-format=json",
  ];
  const timeoutSeconds = 30 + 4 * durationSeconds;
  const output = await runProcess(["fio", ...options], { timeoutSeconds });
  const parsed: unknown = JSON.parse(output.slice(output.indexOf("{")));
  const { jobs } = parsed as { jobs?: { error?: number; write?: { iops?: number } }[] };
  const appendsPerSecond = jobs?.[0]?.write?.iops;
  if (jobs?.[0]?.error !== 0 || appendsPerSecond === undefined) {
    throw new Error(`fio failed with error ${jobs?.[0]?.error}`);
  }
  return { "appends/s": appendsPerSecond };
}
