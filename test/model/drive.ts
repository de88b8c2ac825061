// Lets an IO make progress in either mode, with a bound on hanging.

import type { IO } from "@io/core";
import { guardMs } from "../support/guard.js";

/** What a wait gives up after; never how long something is expected to take. */
let patienceMs = guardMs(20_000);

/** A failing program is run again and again to make it smaller, so it may not hang as long. */
export function setGuard(milliseconds: number): void {
  patienceMs = guardMs(milliseconds);
}

let hung = false;

/** Thrown when something that must happen has not. */
export class Hang extends Error {
  constructor(message: string) {
    super(message);
    hung = true;
  }
}

/** What hung holds the process, whose summary has to come out anyway. */
export function endDespiteHang(): void {
  if (hung) setTimeout(() => process.exit(), 500);
}

/** A bound on hanging: throws once it has been asked for longer than the guard allows. */
export class Patience {
  readonly #end = performance.now() + patienceMs;
  readonly #what: () => string;

  constructor(what: () => string) {
    this.#what = what;
  }

  check(): void {
    if (performance.now() > this.#end) throw new Hang(`never happened: ${this.#what()}`);
  }
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Lets the IO make progress until the condition holds. */
export async function until(io: IO, done: () => boolean, what: () => string): Promise<void> {
  const patience = new Patience(what);
  while (!done()) {
    if (io.mode === "detached") {
      io.runFor(1_000_000);
      if (done()) return;
    }
    await turn();
    patience.check();
  }
}

/** Waits for a promise while the IO makes progress. */
export async function settledWith<T>(io: IO, promise: Promise<T>, what: string): Promise<T> {
  let done = false;
  const mark = (): void => {
    done = true;
  };
  promise.then(mark, mark);
  await until(
    io,
    () => done,
    () => what,
  );
  return promise;
}

/** Closes the IO; its promise must settle. */
export async function closed(io: IO): Promise<void> {
  let done = false;
  const closing = io.close().then(() => {
    done = true;
  });
  const patience = new Patience(() => "io.close() resolves");
  while (!done) {
    await turn();
    patience.check();
  }
  await closing;
}
