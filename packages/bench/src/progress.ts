// Says what runs now and how long the rest will take: on a terminal in one line that is written
// over, and elsewhere a line now and then.

const betweenLinesMs = 10_000;

function inWords(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return `${Math.round(seconds / 60)} min`;
}

/** The output that the lines go to, as far as it matters. */
export interface ProgressOutput {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

export class ProgressLine {
  readonly #output: ProgressOutput;
  readonly #now: () => number;
  readonly #runSeconds: number;
  #startMs = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  /** `runSeconds` is how long a run measures, which is less than it takes. */
  constructor(output: ProgressOutput, runSeconds: number, now = () => performance.now()) {
    this.#output = output;
    this.#runSeconds = runSeconds;
    this.#now = now;
  }

  /** A run begins: `done` of `total` have ended. */
  show(line: string, done: number, total: number): void {
    const nowMs = this.#now();
    if (done === 0) {
      this.#startMs = nowMs;
      this.#lastMs = Number.NEGATIVE_INFINITY;
    }
    const left = total - done;
    const min = `at least ${inWords(left * this.#runSeconds)}`;
    const spentSeconds = (nowMs - this.#startMs) / 1000;
    const rest = done === 0 ? min : `about ${inWords((spentSeconds / done) * left)}`;
    const text = `${line} (${done} of ${total} runs, ${rest} to go)`;
    if (this.#output.isTTY) this.#output.write(`\r\x1b[K${text}`);
    else if (nowMs - this.#lastMs >= betweenLinesMs) {
      this.#lastMs = nowMs;
      this.#output.write(`${text}\n`);
    }
  }

  /** Nothing runs any more: leaves the line empty. */
  clear(): void {
    if (this.#output.isTTY) this.#output.write("\r\x1b[K");
  }
}

/** How long the workloads took when they were kept last, for other settings, where it is known. */
export function estimateSeconds(
  workloads: readonly string[],
  kept: Readonly<
    Record<string, { seconds?: number; rounds: number; durationSeconds: number } | undefined>
  >,
  settings: { rounds: number; durationSeconds: number },
): number | undefined {
  let sum = 0;
  for (const name of workloads) {
    const last = kept[name];
    if (last?.seconds === undefined) return undefined;
    const runs = last.rounds * (last.durationSeconds + 1);
    sum += last.seconds * ((settings.rounds * (settings.durationSeconds + 1)) / runs);
  }
  return sum;
}

/** The first line: what will run, and how long that takes as far as it is known. */
export function announcement(
  workloads: readonly string[],
  settings: { rounds: number; durationSeconds: number },
  seconds: number | undefined,
): string {
  const { rounds, durationSeconds } = settings;
  const turns = `${rounds} ${rounds === 1 ? "round" : "rounds"} of ${durationSeconds} s`;
  const time =
    seconds === undefined
      ? "each says how long it takes when it begins"
      : `about ${inWords(seconds)} altogether`;
  return `${workloads.join(", ")}: ${turns} for each contender; ${time}.`;
}
