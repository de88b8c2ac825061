// Hands every test of the conformance suite each backend in turn.
//
// A topic is written once, against a `Suite`; `conform` runs it for every backend that `probe()`
// says is available, and reports the others as skipped with the probe's reason. A test is given a
// `Trial`: the IOs and files that it makes there are gone when it ends, however it ends.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BackendName, IO, type IOOptions, probe } from "@io/core";
import { suite, type Test } from "uvu";
import * as assert from "uvu/assert";
import { guardMs } from "../../support/guard.js";
import { skip } from "../../support/skip.js";

/** What a wait gives up after; never how long something is expected to take. */
export const GUARD_MS = guardMs(60_000);

/**
 * The one that IO_BACKEND names, which test/matrix.mjs sets, or all of them. A new backend is a row
 * here and one there.
 */
let backends: readonly BackendName[] = ["io_uring", "epoll", "kqueue"].filter(
  (name): name is BackendName => [name, "", undefined].includes(process.env["IO_BACKEND"]),
);

/** Which of the backends the topics of this file are for. Called before `conform`. */
export function runOn(chosen: readonly BackendName[]): void {
  backends = backends.filter((backend) => chosen.includes(backend));
}

let added: (options: IOOptions) => IOOptions = () => ({});

/** What every IO of this file is opened with beside its own options. Called before `conform`. */
export function openWith(more: (options: IOOptions) => IOOptions): void {
  added = more;
}

export type Mode = "attached" | "detached";
export const MODES: readonly Mode[] = ["attached", "detached"];

export type Body = (trial: Trial) => Promise<void> | void;

/** The suite of one topic on one backend. */
export interface Suite {
  readonly backend: BackendName;
  test(name: string, body: Body): void;
  skip(name: string, reason: string): void;
}

/** Rejects when the promise does not settle, so that a hang is a failed test with a name. */
export async function guarded<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const say = (): void => reject(new Error(`${what}: did not end within ${GUARD_MS / 1000} s`));
    timer = setTimeout(say, GUARD_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What one test works with. */
export class Trial {
  readonly backend: BackendName;
  /** What no callback caught; a test that expects some takes them with `takeUncaught`. */
  #uncaught: unknown[] = [];
  #opened: IO[] = [];
  #closed = new WeakSet<IO>();
  #folder = "";
  #undo: (() => void)[] = [];

  constructor(backend: BackendName) {
    this.backend = backend;
  }

  /** An IO on the backend under test. */
  async open(options: IOOptions = {}): Promise<IO> {
    const io = await IO.open({ backend: this.backend, ...added(options), ...options });
    assert.is(io.backend, this.backend);
    this.#opened.push(io);
    return io;
  }

  /** Closes an IO as part of the test: the trial then leaves it alone. */
  async close(io: IO): Promise<void> {
    this.#closed.add(io);
    await guarded("IO.close", io.close());
  }

  /** A path in a folder that only this test has. */
  path(name = "file"): string {
    if (this.#folder === "") this.#folder = mkdtempSync(join(tmpdir(), "io-conformance-"));
    return join(this.#folder, name);
  }

  /** Called when the test has ended. */
  defer(undo: () => void): void {
    this.#undo.unshift(undo);
  }

  takeUncaught(): unknown[] {
    const taken = this.#uncaught;
    this.#uncaught = [];
    return taken;
  }

  async run(name: string, body: Body): Promise<void> {
    const record = (error: unknown): void => {
      this.#uncaught.push(error);
    };
    process.on("uncaughtException", record);
    try {
      await guarded(name, Promise.resolve(body(this)));
    } finally {
      await this.#end(record);
    }
    assert.equal(this.#uncaught, [], "nothing is thrown where no code can catch it");
  }

  async #end(record: (error: unknown) => void): Promise<void> {
    try {
      for (const undo of this.#undo) undo();
      for (const io of this.#opened) {
        if (this.#closed.has(io)) continue;
        const { overflows, strays } = io.stats();
        await guarded("IO.close at the end of the test", io.close());
        assert.is(overflows, 0, "overflows");
        assert.is(strays, 0, "strays");
      }
    } finally {
      process.off("uncaughtException", record);
      if (this.#folder !== "") rmSync(this.#folder, { recursive: true, force: true });
    }
  }
}

function suiteOf(backend: BackendName, uvu: Test, onHang: () => void): Suite {
  return {
    backend,
    test: (name, body) => {
      uvu(name, async () => {
        try {
          await new Trial(backend).run(name, body);
        } catch (error) {
          if (error instanceof Error && /did not end within/.test(error.message)) onHang();
          throw error;
        }
      });
    },
    skip: (name, reason) => skip(uvu, `${backend}: ${name}`, reason),
  };
}

function whyNot(backend: BackendName): string | null {
  const found = probe().candidates.find((candidate) => candidate.name === backend);
  if (found === undefined) return "this build has no such candidate, says probe()";
  return found.available ? null : found.reason;
}

/** Runs a topic's tests on every backend. */
export function conform(topic: string, ...parts: ((suite: Suite) => void)[]): void {
  // It would override the backend that each test names.
  delete process.env["IO_BACKEND"];
  let hung = false;
  const onHang = (): void => {
    hung = true;
  };
  const suites = backends.map((backend) => [backend, suite(`${topic}: ${backend}`)] as const);
  for (const [backend, uvu] of suites) {
    const reason = whyNot(backend);
    if (reason === null) {
      for (const part of parts) part(suiteOf(backend, uvu, onHang));
    } else {
      skip(uvu, `${topic} on ${backend}`, reason);
    }
  }
  suites.at(-1)?.[1].after(() => {
    // A test that hung holds the process: its summary has to come out anyway.
    if (hung) setTimeout(() => process.exit(1), 500);
  });
  for (const [, uvu] of suites) uvu.run();
}

/** Whether a file is there: for tests of what must not have happened. */
export function isThere(path: string): boolean {
  return existsSync(path);
}
