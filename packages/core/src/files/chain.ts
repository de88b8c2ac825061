// Linked operations with promises: described first, then queued next to each other.
import { constants } from "node:os";
import { CHAIN_LIMIT } from "../engine/abi.js";
import { IOError, operationError, rangeError, type Subject, typeError } from "../errors.js";
import { Completion } from "../ring/completion.js";
import type { Ring } from "../ring/ring.js";
import { checkMade } from "../support/check.js";

/** An operation that is described but not started, for `io.chain`. Its arguments were checked. */
export class Prepared {
  /** The ring that it will run on. @internal */
  readonly ring: Ring;
  /** Queues it. @internal */
  readonly start: (
    completion: Completion<number>,
    callback: (c: Completion<number>, result: number) => void,
  ) => void;
  /** What it is about, for its error. @internal */
  readonly subject: Subject;
  /** The memory that it uses, if any. @internal */
  readonly buffer: ArrayBufferView | null;
  /** The count that means success in full, or -1 where any count does. @internal */
  readonly whole: number;

  /** @internal */
  constructor(
    ring: Ring,
    subject: Subject,
    buffer: ArrayBufferView | null,
    start: Prepared["start"],
  ) {
    checkMade(ring, "Prepared", "file.writing() or one of its like");
    this.ring = ring;
    this.subject = subject;
    this.buffer = buffer;
    this.whole = buffer === null ? -1 : buffer.byteLength;
    this.start = start;
  }
}

/** Runs a chain; see `IO.chain`. */
export function runChain(
  ring: Ring,
  backend: string,
  prepared: readonly Prepared[],
): Promise<number[]> {
  return new Promise((resolve, reject) => {
    if (prepared.length < 1 || prepared.length > CHAIN_LIMIT) {
      const message = `give 1 to ${CHAIN_LIMIT} operations, not ${prepared.length}`;
      throw rangeError("chain", message);
    }
    for (const one of prepared) {
      if (!(one instanceof Prepared))
        throw typeError("chain", "give what file.writing() and its like return");
      if (one.ring !== ring) throw typeError("chain", "all operations must be of this IO");
      // It may have been released or detached since; then none of them starts.
      if (one.buffer !== null) ring.checkBuffer(one.buffer, "chain");
    }
    const results = new Array<number>(prepared.length).fill(0);
    const opcodes = new Array<number>(prepared.length).fill(0);
    let left = prepared.length;
    const completed = (completion: Completion<number>, result: number): void => {
      results[completion.context] = result;
      opcodes[completion.context] = completion.opcode;
      left--;
      if (left > 0) return;
      const error = chainError(prepared, results, opcodes, backend);
      if (error === undefined) resolve(results);
      else reject(error);
    };
    ring.chain(prepared.length);
    for (const [index, one] of prepared.entries()) one.start(new Completion(index), completed);
  });
}

// The operation that broke the chain is the first that failed for a reason of its own, or that was
// short; those behind it were cancelled for its sake.
function chainError(
  prepared: readonly Prepared[],
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
