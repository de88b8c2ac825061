// Drives the verbs of the ring in either mode, and looks at how calls fail.

import { constants } from "node:os";
import { type Address, type Callback, Completion, type IO, IOError } from "@io/core";
import * as assert from "uvu/assert";
import { GUARD_MS } from "./harness.js";

type ErrnoName = keyof typeof constants.errno;

/** The result that a completion has for an error. */
export function negative(name: ErrnoName): number {
  return -constants.errno[name];
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Lets the IO make progress until the condition holds, in either mode. */
export async function until(io: IO, condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + GUARD_MS / 2;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
    if (io.mode === "detached") io.runFor(10_000_000);
    else await turn();
  }
}

/** As many round trips through the kernel as let everything happen that can happen by now. */
export async function roundTrips(io: IO, count = 20): Promise<void> {
  for (let index = 0; index < count; index++) {
    await outcome(io, (completion, callback) => io.ring.nop(completion, callback));
    await turn();
  }
}

/** Submits what is queued and waits for its end: for looks at what must not have happened. */
export async function idle(io: IO): Promise<void> {
  await roundTrips(io, 3);
  await until(io, () => io.stats().inFlight === 0, "nothing in flight");
}

export type Start = (completion: Completion, callback: Callback) => void;

/** What stands on the completion of an operation. */
export interface Flags {
  readonly link?: boolean | "hard";
  readonly timeoutNs?: number;
}

/** An operation that was started: what its callback was given, each time. */
export class Started {
  readonly completion = new Completion();
  readonly results: number[] = [];

  constructor(start: Start, { link = false, timeoutNs }: Flags = {}) {
    this.completion.link = link;
    this.completion.timeoutNs = timeoutNs;
    start(this.completion, (completion, result) => {
      assert.is(completion, this.completion, "the callback is given its own completion");
      this.results.push(result);
    });
  }

  get done(): boolean {
    return this.results.length > 0 && !this.completion.active;
  }

  /** The only result. */
  get result(): number {
    assert.is(this.results.length, 1, "exactly one final completion");
    assert.is(this.completion.active, false);
    return this.results[0] as number;
  }
}

/** Starts operations that are linked to each other. */
export function startChain(...starts: Start[]): Started[] {
  return starts.map((start, index) => new Started(start, { link: index < starts.length - 1 }));
}

/** A completion with a link, for a verb that the test starts itself. */
export function linked<C = unknown>(completion: Completion<C>): Completion<C> {
  completion.link = true;
  return completion;
}

/** Starts one verb and waits for its only completion. */
export async function outcome(io: IO, start: Start): Promise<number> {
  const started = new Started(start);
  await until(io, () => started.done, `the completion of ${start}`);
  return started.result;
}

/** The same for a verb that must succeed; gives its count or descriptor. */
export async function success(io: IO, start: Start): Promise<number> {
  const result = await outcome(io, start);
  assert.ok(result >= 0, `${start} completed with ${result}`);
  return result;
}

/** The error that a promise is rejected with. */
export async function failure(promise: Promise<unknown>): Promise<IOError> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    assert.instance(error, IOError, `rejected with ${error}`);
    return error as IOError;
  }
  throw new Error(`resolved with ${value} instead of being rejected`);
}

/** The code that a promise is rejected with. */
export async function failureCode(promise: Promise<unknown>): Promise<string> {
  return (await failure(promise)).code;
}

/** The code of what a call throws. */
export function refusalCode(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    assert.instance(error, IOError, `threw ${error}`);
    return (error as IOError).code;
  }
  throw new Error("returned instead of throwing");
}

/** What a wrong number is refused with; a bigint is none where milliseconds are wanted. */
export function codeOfNumber(value: unknown): string {
  return typeof value === "number" ? "ERR_OUT_OF_RANGE" : "ERR_INVALID_ARG_TYPE";
}

/** How a promise stands, for looks at it between events. */
export class Watched<T> {
  state: "pending" | "resolved" | "rejected" = "pending";
  readonly promise: Promise<T>;

  constructor(promise: Promise<T>) {
    this.promise = promise;
    promise.then(
      () => {
        this.state = "resolved";
      },
      () => {
        this.state = "rejected";
      },
    );
  }
}

/** Checks every field of a system error. */
export function assertSystemError(
  error: IOError,
  expected: {
    code: ErrnoName;
    syscall: string;
    operation: string;
    path?: string;
    /** The other end, as an error names it. */
    at?: Address | null;
  },
): void {
  const { at } = expected;
  assert.is(error.code, expected.code);
  assert.is(error.errno, negative(expected.code));
  assert.is(error.syscall, expected.syscall);
  assert.is(error.operation, expected.operation);
  // Of a unix socket both are its path, as in Node.
  assert.is(error.path, expected.path ?? at?.path);
  const cid = at?.cid === undefined ? undefined : String(at.cid);
  assert.is(error.address, at?.host ?? at?.path ?? cid);
  assert.is(error.port, at?.port);
  assert.is(error.name, "IOError");
  assert.match(error.message, expected.code);
}

/** In detached mode only the test drives the IO; promises settle in the event loop. */
export async function driven<T>(io: IO, promise: Promise<T>): Promise<T> {
  const state = new Watched(promise);
  while (state.state === "pending") {
    if (io.mode === "detached") io.runFor(1_000_000);
    await turn();
  }
  return promise;
}
