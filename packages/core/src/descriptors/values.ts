// Values that arrive at a descriptor from outside of the event loop: one at a time, or as a loop.
import { constants } from "node:os";
import { OPCODE_POLL } from "../engine/abi.js";
import type { NativeSession } from "../engine/native.js";
import { closedError, type IOError, operationError } from "../errors.js";
import { endingsFrom, fromHere, type OperationOptions, type Operations } from "../ring/promises.js";
import type { Descriptor } from "../ring/types.js";
import { timeLeft } from "../ring/whole_call.js";
import { knows } from "../support/check.js";
import { OpenedDescriptor } from "../support/forgotten.js";
import { Turns } from "../support/loop_turns.js";

const RECEIVE = knows("receive");

/** How the values of one descriptor are taken. */
export interface ValueSource<T> {
  readonly session: NativeSession;
  readonly descriptor: Descriptor;
  /** For messages: "the notifier", after an article. */
  readonly name: string;
  /** One at a time: the descriptor stays readable for other receivers. */
  take(): T | undefined;
  /** Before the descriptor is closed. */
  end(): void;
}

export abstract class Values<T> implements AsyncIterable<T>, AsyncDisposable {
  readonly #operations: Operations;
  readonly #source: ValueSource<T>;
  readonly #turns = new Turns();
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor(operations: Operations, source: ValueSource<T>) {
    this.#operations = operations;
    this.#source = source;
    const { descriptor, name } = source;
    const opened = new OpenedDescriptor(descriptor, `a ${name}`, () => source.end());
    operations.forgotten.watch(this, opened);
  }

  /**
   * For `io.ring.poll()`: readable as long as there is a value. Once it was asked for, no warning
   * says that this is garbage and was never closed.
   */
  get descriptor(): Descriptor {
    this.#operations.forgotten.release(this);
    return this.#source.descriptor;
  }

  /**
   * The next value, without waiting.
   *
   * @returns the value, or undefined where there is none
   * @throws `ERR_IO_CLOSED`
   */
  take(): T | undefined {
    if (this.#closing !== null) throw closedError("take", `the ${this.#source.name}`);
    this.#operations.check("take");
    return this.#source.take();
  }

  /**
   * Waits for the next value.
   *
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns the value
   * @throws `ECANCELED` when it is closed meanwhile; the codes of every operation: {@link
   *   IOError.code}
   */
  async receive(options?: OperationOptions | null): Promise<T> {
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
        (pending, settle) => ring.poll(pending, settle, this.#source.descriptor, "readable"),
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

  /** Values, one after the other, until it or its IO is closed. */
  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    while (!this.#isClosed()) {
      let value: T;
      try {
        value = await this.receive();
      } catch (error) {
        if (this.#isClosed()) return;
        throw error;
      }
      yield value;
    }
  }

  /** A receive keeps the process alive, as it does unless `unref` was called. Returns itself. */
  ref(): this {
    return this.#setRef(true);
  }

  /** A receive does not keep the process alive. Returns itself. */
  unref(): this {
    return this.#setRef(false);
  }

  /**
   * Takes no values from now on, drops those that wait, and ends the receives. It takes neither
   * `signal` nor `timeoutMs`: it waits for nothing but its own receives.
   */
  close(): Promise<void> {
    if (this.#closing === null) {
      this.#operations.forgotten.release(this);
      this.#source.end();
      this.#closing = this.#operations.close(this.#source.descriptor);
    }
    return this.#closing;
  }

  /** Closes it: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #isClosed(): boolean {
    return this.#closing !== null || this.#operations.closed;
  }

  #ended(): IOError {
    return operationError(OPCODE_POLL, -constants.errno.ECANCELED, this.#operations.backend);
  }

  #setRef(keeps: boolean): this {
    const { session, descriptor } = this.#source;
    if (!this.#isClosed()) session.setRef(descriptor, keeps);
    return this;
  }
}
