// Calls that are made of many operations: their time limit is of the whole, and their error says
// how far they have come.
import { constants } from "node:os";
import { IOError } from "../errors.js";
import { checkTimeout } from "../support/check.js";
import type { OperationOptions } from "./promises.js";

/** What is left of the time of such a call. */
export class TimeLeft<O extends OperationOptions> {
  readonly #operation: string;
  readonly #step: string;
  readonly #options: O;
  readonly #timeoutMs: number;
  readonly #endMs: number;
  #begun = false;

  /** `step` is the operation that such a call is made of, which its errors name. */
  constructor(operation: string, step: string, options: O, timeoutMs: number) {
    this.#operation = operation;
    this.#step = step;
    this.#options = options;
    this.#timeoutMs = timeoutMs;
    this.#endMs = performance.now() + timeoutMs;
  }

  /** The options of the next operation. Throws "ETIMEDOUT" when the time is up before it. */
  next(): O {
    const leftMs = this.#endMs - performance.now();
    // The first one is tried in any case: a limit of 0 moves what can be moved at once.
    if (leftMs <= 0 && this.#begun) {
      throw elapsedError(this.#operation, this.#step, this.#timeoutMs);
    }
    this.#begun = true;
    return { ...this.#options, timeoutMs: Math.max(0, leftMs) };
  }
}

/** Of a call whose time is up between two of its operations. */
export function elapsedError(operation: string, step: string, timeoutMs: number): IOError {
  return new IOError({
    code: "ETIMEDOUT",
    errno: -constants.errno.ETIMEDOUT,
    operation: step,
    message: `${operation} failed: ETIMEDOUT, it took longer than ${timeoutMs} ms`,
  });
}

/** The time of a call, checked; null when it has no limit. */
export function timeLeft<O extends OperationOptions>(
  operation: string,
  step: string,
  options: O | null | undefined,
): TimeLeft<O> | null {
  const timeoutMs = options?.timeoutMs ?? undefined;
  if (timeoutMs === undefined) return null;
  checkTimeout(timeoutMs, operation);
  return new TimeLeft(operation, step, options as O, timeoutMs);
}

/**
 * The error of such a call, after `transferred` bytes. A close between two operations has the same
 * error as one during an operation, which the system ends with ECANCELED.
 */
export function stoppedAfter(error: unknown, transferred: number, operation: string): unknown {
  if (!(error instanceof IOError)) return error;
  const between = error.code === "ERR_IO_CLOSED" && transferred > 0;
  return Object.assign(between ? closedBetween(error, operation) : error, { transferred });
}

function closedBetween(cause: IOError, operation: string): IOError {
  return new IOError({
    code: "ECANCELED",
    errno: -constants.errno.ECANCELED,
    operation,
    message: `${operation} failed: ECANCELED, it was closed meanwhile`,
    cause,
  });
}
