// Linked operations with promises: described first, then queued next to each other.
import { constants } from "node:os";
import { CHAIN_LIMIT } from "../engine/abi.js";
import { IOError, operationError, rangeError, typeError } from "../errors.js";
import { Completion } from "../ring/completion.js";
import {
  type About,
  aborted,
  type Endings,
  endingsFrom,
  failed,
  type OperationOptions,
  type Operations,
} from "../ring/promises.js";
import type { Ring } from "../ring/ring.js";
import { follow, unfollow } from "../support/aborts.js";
import { checkMade, knows, shown } from "../support/check.js";

/**
 * An operation that is described and not started: what `file.prepareRead()`, `prepareWrite()`
 * and `prepareSync()` return, and `io.chain()` takes. Its arguments were checked. It has no members
 * of its own.
 *
 * @category Chains and cancel
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using file = await io.openFile("log", { write: true, create: true });
 * const writing = file.prepareWrite("an entry\n", 0); // checked, and not started
 * await io.chain([writing, file.prepareSync("data")]);
 * ```
 */
export class PreparedOperation {
  // Private, so that the type in the declarations is not an empty one, which anything would fit.
  readonly #ring: Ring;
  /** Queues it. @internal */
  readonly start: (
    completion: Completion<number>,
    callback: (c: Completion<number>, result: number) => void,
  ) => void;
  /** What it is about, for its error. @internal */
  readonly subject: About;
  /** The memory that it uses, if any. @internal */
  readonly buffer: ArrayBufferView | null;
  /** The count that means success in full, or -1 where any count does. @internal */
  readonly whole: number;

  /** @internal */
  static isOne(value: unknown): value is PreparedOperation {
    return typeof value === "object" && value !== null && #ring in value;
  }

  /** @internal */
  constructor(
    ring: Ring,
    subject: About,
    buffer: ArrayBufferView | null,
    start: PreparedOperation["start"],
  ) {
    checkMade(ring, "PreparedOperation", "file.prepareRead(), prepareWrite() or prepareSync()");
    this.#ring = ring;
    this.subject = subject;
    this.buffer = buffer;
    this.whole = buffer === null ? -1 : buffer.byteLength;
    this.start = start;
  }

  /** Whether it is an operation of this ring. @internal */
  isOf(ring: Ring): boolean {
    return this.#ring === ring;
  }
}

const CHAIN = knows("chain");

/** Runs a chain; see `IO.chain`. */
export function runChain(
  operations: Operations,
  prepared: readonly PreparedOperation[],
  options?: OperationOptions | null,
): Promise<number[]> {
  return new Promise((resolve) => {
    const endings = endingsFrom(options, CHAIN);
    const members = membersOf(operations.ring, prepared);
    operations.checkRoom(members.length + (endings.timeoutMs === undefined ? 0 : 1));
    new Running(operations, members, endings, resolve).start();
  });
}

function membersOf(ring: Ring, given: readonly PreparedOperation[]): PreparedOperation[] {
  if (!Array.isArray(given)) {
    throw typeError("chain", `the operations are ${shown(given)}: give an array of them`);
  }
  const prepared: PreparedOperation[] = [...given];
  if (prepared.length < 1 || prepared.length > CHAIN_LIMIT) {
    throw rangeError("chain", `give 1 to ${CHAIN_LIMIT} operations, not ${prepared.length}`);
  }
  for (const one of prepared) {
    if (!PreparedOperation.isOne(one))
      throw typeError(
        "chain",
        "give what file.prepareRead(), prepareWrite() or prepareSync() returns",
      );
    if (!one.isOf(ring)) throw typeError("chain", "all operations must be of this IO");
    // It may have been released or detached since; then none of them starts.
    if (one.buffer !== null) ring.checkBuffer(one.buffer, "chain");
  }
  return prepared;
}

/** A chain in flight: its operations, its time limit, and the signal that it follows. */
class Running {
  readonly #operations: Operations;
  readonly #prepared: readonly PreparedOperation[];
  readonly #members: Completion<number>[];
  readonly #results: number[];
  readonly #opcodes: number[];
  readonly #endings: Endings;
  readonly #resolve: (results: number[] | Promise<never>) => void;
  readonly #limit = new Completion();
  #left: number;
  #ended: "aborted" | "late" | null = null;

  constructor(
    operations: Operations,
    prepared: readonly PreparedOperation[],
    endings: Endings,
    resolve: (results: number[] | Promise<never>) => void,
  ) {
    this.#operations = operations;
    this.#prepared = prepared;
    this.#members = prepared.map((_, index) => new Completion(index));
    this.#results = new Array<number>(prepared.length).fill(0);
    this.#opcodes = new Array<number>(prepared.length).fill(0);
    this.#endings = endings;
    this.#resolve = resolve;
    this.#left = prepared.length;
  }

  /** Queues all of it; there is room for that, and its arguments were checked. */
  start(): void {
    const { signal, timeoutMs } = this.#endings;
    for (const [index, member] of this.#members.entries()) {
      member.link = index < this.#members.length - 1;
      this.#prepared[index]?.start(member, this.#completed);
    }
    if (signal !== undefined) follow(signal, this.#abort);
    if (timeoutMs === undefined) return;
    this.#operations.ring.timeout(this.#limit, this.#elapsed, Math.round(timeoutMs * 1e6));
  }

  readonly #abort = (): void => {
    this.#ended ??= "aborted";
    this.#cancel();
  };

  readonly #elapsed = (_limit: Completion, result: number): void => {
    if (result < 0 || this.#left === 0) return; // it was cancelled
    this.#ended ??= "late";
    this.#cancel();
  };

  // The first member that is in flight; when it ends, those behind it end too. If it was faster
  // than the cancel, the next member follows and is cancelled then.
  #cancel(): void {
    const first = this.#members.find((member) => member.active);
    if (first !== undefined) this.#operations.cancel(first);
  }

  readonly #completed = (completion: Completion<number>, result: number): void => {
    this.#results[completion.context] = result;
    this.#opcodes[completion.context] = completion._opcode;
    this.#left--;
    if (this.#left > 0) {
      if (this.#ended !== null) this.#cancel();
      return;
    }
    const { signal } = this.#endings;
    if (signal !== undefined) unfollow(signal, this.#abort);
    if (this.#limit.active) this.#operations.cancel(this.#limit);
    const error = this.#error();
    this.#resolve(error === undefined ? this.#results : failed(error));
  };

  #error(): IOError | undefined {
    const { backend } = this.#operations;
    const error = chainError(this.#prepared, this.#results, this.#opcodes, backend);
    if (error?.code !== "ECANCELED" || this.#ended === null) return error;
    const { signal, timeoutMs } = this.#endings;
    if (this.#ended === "aborted") return aborted("chain", signal as AbortSignal);
    const done = this.#results.filter((result) => result >= 0).length;
    return new IOError({
      code: "ETIMEDOUT",
      operation: "chain",
      backend,
      message:
        `chain took longer than ${timeoutMs} ms, its time limit: ${done} of ` +
        `${this.#results.length} operations were done`,
      cause: this.#results,
    });
  }
}

// The operation that broke the chain is the first that failed for a reason of its own, or that was
// short; those behind it were cancelled for its sake.
function chainError(
  prepared: readonly PreparedOperation[],
  results: number[],
  opcodes: number[],
  backend: string,
): IOError | undefined {
  const failed = (result: number, index: number): boolean => {
    const whole = prepared[index]?.whole ?? -1;
    return result < 0 || (whole >= 0 && result < whole);
  };
  const canceled = -constants.errno.ECANCELED;
  const own = results.findIndex((result, index) => result !== canceled && failed(result, index));
  const first = own === -1 ? results.findIndex(failed) : own;
  if (first === -1) return undefined;
  const result = results[first] ?? 0;
  if (result < 0) {
    return operationError(opcodes[first] ?? 0, result, backend, prepared[first]?.subject);
  }
  const whole = prepared[first]?.whole;
  return new IOError({
    code: "ERR_IO_CHAIN_SHORT",
    operation: "chain",
    backend,
    message:
      `chain: operation ${first + 1} of ${results.length} moved ${result} of ${whole} bytes, so ` +
      "the ones behind it were not started",
    cause: results,
  });
}
