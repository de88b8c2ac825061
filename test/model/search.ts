// Runs random programs until one fails, makes that one as small as it can, and says how to repeat
// it.
//
// IO_SEED and IO_REPLAY repeat one failure, IO_MODEL_STEPS sets how many operations a run has.

import { inspect } from "node:util";
import { type BackendName, IO, probe } from "@io/core";
import fc from "fast-check";
import { Assertion } from "uvu/assert";
import { setGuard } from "./drive.js";

/** Programs that fail by chance are tried so often before they count as not failing. */
const TRIES_WHILE_SHRINKING = 5;
const SHRINKING_GUARD_MS = 1_000;
// Shrinking may take long, and the result so far is small enough.
const SHRINKING_LIMIT_MS = 60_000;
const PROGRAMS_AT_ONCE = 50;

/** Programs are plain data, and leaving any step out gives a program too. */
export interface Program {
  steps: readonly unknown[];
}

export interface Search<P extends Program> {
  /** What the replay command names: "files on io_uring". */
  readonly name: string;
  readonly programs: fc.Arbitrary<P>;
  /** Runs a program, and gives the number of operations that it had; throws when it fails. */
  run(program: P): Promise<number>;
  /** Whether a failing program is made smaller; it is unless this is false. */
  readonly shrink?: boolean;
}

export interface Found<P extends Program> {
  readonly steps: number;
  readonly programs: number;
  /** What to tell a person, or null when no program failed. */
  readonly failure: string | null;
  /** What the checks said. */
  readonly problem: string;
  /** The smallest failing program. */
  readonly smallest: P | null;
}

/** The seed of this run; a failure is repeated with IO_SEED. */
export const seed = Number(process.env["IO_SEED"] ?? Date.now() % 1_000_000_000);

/** How many operations a search has at least; `usual` is for `npm test`. */
export function stepsOf(usual: number): number {
  return Number(process.env["IO_MODEL_STEPS"] ?? usual);
}

/** Every backend that works here; only the one that IO_BACKEND names, since that overrides all. */
export function availableBackends(): BackendName[] {
  const named = process.env["IO_BACKEND"] ?? "";
  const found = probe().candidates.filter(({ name, available }) => {
    return available && (named === "" || named === name);
  });
  return found.map((candidate) => candidate.name as BackendName);
}

/** Whether `io.watch()` is inotify's there, whose events the model knows. */
export function canWatch(backend: BackendName): boolean {
  const io = IO.openSync({ backend });
  const { support } = io.capabilities.watch;
  void io.close();
  return support === "emulated"; // a kqueue watches natively
}

/** Runs programs until they had so many operations together, or one fails. */
export async function search<P extends Program>(
  { name, programs, run, shrink = true }: Search<P>,
  steps: number,
  firstSeed = seed,
): Promise<Found<P>> {
  const replay = process.env["IO_REPLAY"];
  let done = 0;
  let ran = 0;
  let shrinkUntil = 0;
  const property = fc.asyncProperty(programs, async (program) => {
    if (shrinkUntil > 0) {
      if (performance.now() > shrinkUntil) return;
      const error = await failureOf(program, run);
      if (error !== null) throw error;
      return;
    }
    try {
      done += await run(program);
      ran++;
    } catch (error) {
      shrinkUntil = performance.now() + SHRINKING_LIMIT_MS;
      if (shrink) setGuard(SHRINKING_GUARD_MS);
      throw error;
    }
  });
  for (let at = firstSeed; done < steps; at++) {
    const path = replay === undefined ? {} : { path: replay };
    const parameters = { seed: at, numRuns: PROGRAMS_AT_ONCE, endOnFailure: !shrink, ...path };
    const details = await fc.check(property, parameters);
    if (details.failed) {
      const { counterexample, counterexamplePath, errorInstance } = details;
      const found = counterexample?.[0] as P;
      const smallest = shrink ? await withoutNeedless(found, run) : found;
      const asData = JSON.parse(JSON.stringify(smallest));
      const listing = inspect(asData, { depth: 9, breakLength: 100, maxArrayLength: 300 });
      const again = `IO_SEED=${at} IO_REPLAY=${counterexamplePath} IO_MODEL="${name}"`;
      const failure = [
        `${name}: a program failed: ${describe(errorInstance)}`,
        `the smallest: ${listing}`,
        `repeat: ${again} npm test -- ${process.env["IO_TEST"] ?? "model/"}`,
      ];
      const problem = describe(errorInstance);
      return { steps: done, programs: ran, failure: failure.join("\n"), problem, smallest };
    }
    if (replay !== undefined) break;
  }
  return { steps: done, programs: ran, failure: null, problem: "", smallest: null };
}

/** How a program fails, which may take several tries, or null. */
async function failureOf<P>(program: P, run: (program: P) => Promise<number>): Promise<unknown> {
  for (let count = 0; count < TRIES_WHILE_SHRINKING; count++) {
    const start = performance.now();
    try {
      await run(program);
    } catch (error) {
      return error;
    }
    // A program that takes long has hung before it passed, or is large: it is not tried as often.
    if (performance.now() - start > SHRINKING_GUARD_MS / 4) return null;
  }
  return null;
}

/** fast-check makes steps smaller but leaves out the first ones only; this leaves out any. */
async function withoutNeedless<P extends Program>(
  program: P,
  run: (program: P) => Promise<number>,
): Promise<P> {
  const end = performance.now() + SHRINKING_LIMIT_MS;
  let smallest = program;
  // Half of the steps at once, then a quarter, and single ones in the end.
  let size = Math.ceil(program.steps.length / 2);
  for (;;) {
    for (let at = smallest.steps.length - size; at > -size; at -= size) {
      if (performance.now() > end) return smallest;
      const from = Math.max(0, at);
      const steps = smallest.steps.filter((_, index) => index < from || index >= at + size);
      const candidate = { ...smallest, steps };
      if ((await failureOf(candidate, run)) !== null) smallest = candidate;
    }
    if (size <= 1) return smallest;
    size = Math.ceil(size / 2);
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const compared =
    error instanceof Assertion
      ? `\nexpected ${inspect(error.expects)}\nfound    ${inspect(error.actual)}`
      : "";
  const calls = error.stack?.split("\n").filter((line) => /^ +at .*test/.test(line)) ?? [];
  return [`${error.message}${compared}`, ...calls.slice(0, 8)].join("\n");
}
