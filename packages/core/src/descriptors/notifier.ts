// Notifiers: small values from any thread of the process, which end the wait of the IO's thread.
import { constants } from "node:os";
import { OPCODE_POLL } from "../engine/abi.js";
import { loadNative } from "../engine/load.js";
import type { NativeSession } from "../engine/native.js";
import { closedError, IOError, operationError } from "../errors.js";
import { endingsFrom, fromHere, type OperationOptions, type Operations } from "../ring/promises.js";
import type { Descriptor } from "../ring/types.js";
import { timeLeft } from "../ring/whole_call.js";
import { checkMade, knows, shown, valueError, wholeNumber } from "../support/check.js";
import { OpenedDescriptor } from "../support/forgotten.js";
import { Turns } from "../support/loop_turns.js";
import { callError } from "./call_error.js";

const RECEIVE = knows("receive");
const MAX_VALUE = 0x7fffffff;

/**
 * What names a {@link Notifier} in every thread of the process: a plain object, for `workerData`
 * and `postMessage()`. It names nothing in another process, and nothing once the notifier is
 * closed.
 *
 * @category Descriptors
 */
export interface NotifierToken {
  /** The number of the notifier, which no other one gets. */
  readonly notifier: number;
}

/**
 * Sends a value to a notifier, from any thread of the process, which needs no IO of its own. It
 * never waits. A thread that waits in `io.runFor()`, or in its event loop, goes on.
 *
 * @param token The `token` of the notifier.
 * @param value A whole number, 0 to 2^31 - 1; 0 by default.
 * @throws `ERR_IO_NOTIFIER_CLOSED` when the notifier, its IO or its Worker has ended;
 *   `ERR_IO_NOTIFIER_FULL` when 65,536 values wait; the codes of a refused argument: {@link
 *   IOError.code}
 * @category Descriptors
 *
 * @example
 * ```ts
 * import { IO, notify } from "@io/core";
 *
 * await using io = await IO.open();
 * await using notifier = io.notifier();
 * notify(notifier.token, 7); // mostly in a Worker, which was given the token
 * process.stdout.write(`${await notifier.receive()}\n`);
 * ```
 */
export function notify(token: NotifierToken, value = 0): void {
  const number: unknown = (token as Partial<NotifierToken> | null | undefined)?.notifier;
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0) {
    throw valueError("notify", `the token is ${shown(token)}: give that of a notifier`);
  }
  wholeNumber(value, 0, MAX_VALUE, "the value", "notify");
  const result = loadNative().notify(number, value);
  if (result < 0) throw notifyError(result);
}

function notifyError(errno: number): IOError {
  if (errno === -constants.errno.EBADF) {
    const message = "notify: the notifier is closed, or its IO is, or its thread has ended";
    return new IOError({ code: "ERR_IO_NOTIFIER_CLOSED", operation: "notify", message });
  }
  if (errno === -constants.errno.ENOBUFS) {
    const message =
      "notify: 65,536 values wait for the notifier's thread, which is the limit: send again when " +
      "it has taken some";
    return new IOError({ code: "ERR_IO_NOTIFIER_FULL", operation: "notify", message });
  }
  return callError("notify", "write", errno, "");
}

/**
 * Receives small values that other threads send with {@link notify}: one at a time with
 * `receive()`, or as an async iterable, which ends when the notifier or its IO is closed. Values
 * come in the order in which they were sent, each of them once.
 *
 * A detached program polls its `descriptor` with `io.ring.poll()` and calls `take()`.
 *
 * @category Descriptors
 *
 * @example
 * ```ts
 * import { Worker } from "node:worker_threads";
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using notifier = io.notifier();
 * const program = `
 *   const { workerData } = require("node:worker_threads");
 *   import(workerData.core).then(({ notify }) => notify(workerData.token, 42));
 * `;
 * const core = import.meta.resolve("@io/core");
 * new Worker(program, { eval: true, workerData: { core, token: notifier.token } });
 * process.stdout.write(`${await notifier.receive()}\n`);
 * ```
 */
export class Notifier implements AsyncIterable<number>, AsyncDisposable {
  /** What other threads are given. */
  readonly token: NotifierToken;
  readonly #operations: Operations;
  readonly #session: NativeSession;
  readonly #descriptor: Descriptor;
  readonly #values = new Int32Array(1);
  readonly #turns = new Turns();
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor(
    operations: Operations,
    session: NativeSession,
    descriptor: Descriptor,
    number: number,
  ) {
    checkMade(operations, "Notifier", "io.notifier()");
    this.#operations = operations;
    this.#session = session;
    this.#descriptor = descriptor;
    this.token = Object.freeze({ notifier: number });
    const found = (): void => session.closeNotifier(number);
    operations.forgotten.watch(this, new OpenedDescriptor(descriptor, "a notifier", found));
  }

  /**
   * For `io.ring.poll()`: readable as long as there is a value. Once it was asked for, no warning
   * says that the notifier is garbage and was never closed.
   */
  get descriptor(): Descriptor {
    this.#operations.forgotten.release(this);
    return this.#descriptor;
  }

  /**
   * The next value, without waiting.
   *
   * @returns the value, or undefined where there is none
   * @throws `ERR_IO_CLOSED`
   */
  take(): number | undefined {
    this.#check("take");
    // One at a time: the descriptor stays readable for other receivers.
    const { notifier } = this.token;
    const count = this.#session.takeNotifications(notifier, this.#descriptor, this.#values);
    return count === 1 ? this.#values[0] : undefined;
  }

  /**
   * Waits for the next value.
   *
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns the value
   * @throws `ECANCELED` when the notifier is closed meanwhile; the codes of every operation: {@link
   *   IOError.code}
   */
  async receive(options?: OperationOptions | null): Promise<number> {
    try {
      endingsFrom(options, RECEIVE);
      const ready = this.take();
      if (ready !== undefined) {
        await this.#turns.take();
        return ready;
      }
    } catch (error) {
      throw fromHere(error);
    }
    this.#turns.waited();
    const left = timeLeft("receive", "poll", options);
    const { ring } = this.#operations;
    for (;;) {
      await this.#operations.run(
        (pending, settle) => ring.poll(pending, settle, this.#descriptor, "readable"),
        left === null ? options : left.next(),
        undefined,
        RECEIVE,
      );
      // A close also makes the descriptor readable, before it ends the poll.
      if (this.#isClosed()) throw fromHere(this.#ended());
      // Another receive may have taken it.
      const value = this.take();
      if (value !== undefined) return value;
    }
  }

  /**
   * Sends a value to itself: {@link notify} with its own token.
   *
   * @param value A whole number, 0 to 2^31 - 1; 0 by default.
   * @throws `ERR_IO_NOTIFIER_CLOSED`, `ERR_IO_NOTIFIER_FULL`; the codes of a refused argument:
   *   {@link IOError.code}
   */
  notify(value = 0): void {
    notify(this.token, value);
  }

  /** Values, one after the other, until the notifier or its IO is closed. */
  async *[Symbol.asyncIterator](): AsyncIterator<number> {
    while (!this.#isClosed()) {
      let value: number;
      try {
        value = await this.receive();
      } catch (error) {
        if (this.#isClosed()) return;
        throw error;
      }
      yield value;
    }
  }

  /**
   * A receive keeps the process alive, as it does unless `unref` was called. Returns itself.
   */
  ref(): this {
    return this.#setRef(true);
  }

  /** A receive does not keep the process alive. Returns itself. */
  unref(): this {
    return this.#setRef(false);
  }

  /**
   * Refuses values from now on, drops those that wait, and ends the receives. It takes neither
   * `signal` nor `timeoutMs`: it waits for nothing but its own receives.
   */
  close(): Promise<void> {
    if (this.#closing === null) {
      this.#operations.forgotten.release(this);
      this.#session.closeNotifier(this.token.notifier);
      this.#closing = this.#operations.close(this.#descriptor);
    }
    return this.#closing;
  }

  /** Closes the notifier: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #isClosed(): boolean {
    return this.#closing !== null || this.#operations.closed;
  }

  #ended(): IOError {
    return operationError(OPCODE_POLL, -constants.errno.ECANCELED, this.#operations.backend);
  }

  #check(operation: string): void {
    if (this.#closing !== null) throw closedError(operation, "the notifier");
    this.#operations.check(operation);
  }

  #setRef(keeps: boolean): this {
    if (!this.#isClosed()) this.#session.setRef(this.#descriptor, keeps);
    return this;
  }
}
