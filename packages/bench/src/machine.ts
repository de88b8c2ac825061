// Says which machine this is, and whether it did anything else while the benchmarks ran.

import { readFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

export function machineName(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const system = `${process.platform} ${release()}`;
  return `${model}, ${cpus().length} cores, ${system}, Node.js ${process.version}`;
}

/** Processor time since the machine started, in ticks, over all cores. */
export interface MachineTicks {
  total: number;
  /** What programs and the kernel on their behalf used. Interrupts belong to no program. */
  used: number;
  /** The time that the host of a virtual machine gave to other guests. */
  stolen: number;
}

/** Reads the first line of /proc/stat. */
export function parseMachineTicks(text: string): MachineTicks {
  const fields = text.slice(0, text.indexOf("\n")).trim().split(/\s+/).slice(1, 9).map(Number);
  const [user = 0, nice = 0, system = 0, , , , , stolen = 0] = fields;
  const total = fields.reduce((sum, ticks) => sum + ticks, 0);
  return { total, used: user + nice + system, stolen };
}

/** Reads /proc/self/stat: the ticks of this process and of the children that have ended. */
export function parseOwnTicks(text: string): number {
  // The second field is the name in parentheses, which may hold spaces. utime is field 14.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
}

interface Sample extends MachineTicks {
  own: number;
}

function sample(): Sample | undefined {
  if (process.platform !== "linux") return undefined;
  const own = parseOwnTicks(readFileSync("/proc/self/stat", "utf8"));
  return { ...parseMachineTicks(readFileSync("/proc/stat", "utf8")), own };
}

/** Above these shares of the processor time, figures on this machine are not to be trusted. */
const foreignLimit = 0.05;
const stolenLimit = 0.01;

function judge(before: Sample, after: Sample): string | undefined {
  const total = Math.max(after.total - before.total, 1);
  const foreign = (after.used - before.used - (after.own - before.own)) / total;
  const stolen = (after.stolen - before.stolen) / total;
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  if (foreign > foreignLimit) return `other programs used ${percent(foreign)} of the processors`;
  if (stolen > stolenLimit) return `the host took ${percent(stolen)} of the processors`;
  return undefined;
}

/**
 * Decides `quiet`. The load average cannot: it remembers the last minute, so a benchmark that
 * follows another would always find the machine busy. Instead the processor time that others used
 * is measured twice: in a moment before the run, when all of it is others', and over the run, when
 * it is what remains after this process and its children.
 */
export class QuietWatch {
  readonly #start: Sample | undefined;
  readonly #before: string | undefined;

  private constructor(start: Sample | undefined, before: string | undefined) {
    this.#start = start;
    this.#before = before;
  }

  static async start(momentSeconds: number): Promise<QuietWatch> {
    const first = sample();
    await sleep(momentSeconds * 1000);
    const second = sample();
    const before = first && second ? judge(first, second) : undefined;
    return new QuietWatch(second, before && `before the run ${before}`);
  }

  stop(): { quiet: boolean; reason: string } {
    const end = sample();
    if (!this.#start || !end) return { quiet: false, reason: "it cannot be known on this system" };
    const during = judge(this.#start, end);
    const reason = this.#before ?? (during && `during the run ${during}`);
    return reason === undefined ? { quiet: true, reason: "" } : { quiet: false, reason };
  }
}
