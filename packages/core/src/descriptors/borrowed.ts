// Descriptors that belong to other code: waiting until they are ready.

import { OPCODE_POLL_MULTISHOT } from "../engine/abi.js";
import type { NativeSession } from "../engine/native.js";
import { closedError, type IOError, operationError } from "../errors.js";
import { Completion } from "../ring/completion.js";
import {
  type About,
  fromHere,
  ignore,
  type OperationOptions,
  type Operations,
} from "../ring/promises.js";
import { type PollEvent, PollFlags } from "../ring/ring_poll.js";
import type { Descriptor } from "../ring/types.js";
import { checkMade, knows, oneOf, wholeNumber } from "../support/check.js";
import { OpenedDescriptor } from "../support/forgotten.js";

export const POLL = knows("poll");
const EVENTS = { readable: true, writable: true } as const;
const MAX_NUMBER = 0x7fffffff;

/**
 * What holds of a descriptor that was polled.
 *
 * @category Descriptors
 */
export interface PollEvents {
  /** A read would not wait: there are bytes, a connection, or the end. */
  readonly readable: boolean;
  /** A write would not wait. */
  readonly writable: boolean;
  /** The other end is closed. */
  readonly hangUp: boolean;
  /** An error is pending. */
  readonly error: boolean;
}

/** The bits of a poll's result, by name. */
export function pollEventsOf(bits: number): PollEvents {
  return {
    readable: (bits & PollFlags.readable) !== 0,
    writable: (bits & PollFlags.writable) !== 0,
    hangUp: (bits & PollFlags.hangUp) !== 0,
    error: (bits & PollFlags.error) !== 0,
  };
}

/** Checks a descriptor number of the system. */
export function checkNumber(fd: unknown, operation: string): number {
  return wholeNumber(fd, 0, MAX_NUMBER, "fd", operation);
}

/** Throws unless it is a word for an event. */
export function checkPollEvent(event: PollEvent, operation: string): void {
  oneOf(event, EVENTS, "the event", operation);
}

/**
 * A duplicate of a descriptor that belongs to other code: of a package that gives the number of its
 * socket or device. It is polled only. The number itself stays its owner's, who may close it at any
 * time: the duplicate is valid until it is closed, and a number that the system hands out again
 * does not reach it.
 *
 * @category Descriptors
 *
 * @example
 * ```ts
 * import { openSync, closeSync } from "node:fs";
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * const fd = openSync("/dev/null", "r");
 * await using borrowed = io.borrow(fd);
 * const { readable } = await borrowed.poll("readable", { timeoutMs: 1000 });
 * process.stdout.write(`${readable}\n`);
 * closeSync(fd);
 * ```
 */
export class BorrowedDescriptor implements AsyncDisposable {
  readonly #operations: Operations;
  readonly #session: NativeSession;
  readonly #descriptor: Descriptor;
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor(operations: Operations, session: NativeSession, descriptor: Descriptor) {
    checkMade(operations, "BorrowedDescriptor", "io.borrow()");
    this.#operations = operations;
    this.#session = session;
    this.#descriptor = descriptor;
    const opened = new OpenedDescriptor(descriptor, "a borrowed descriptor");
    operations.forgotten.watch(this, opened);
  }

  /**
   * For `io.ring.poll()` and `io.ring.pollMultishot()`. Once it was asked for, no warning says that
   * it is garbage and was never closed.
   */
  get descriptor(): Descriptor {
    this.#operations.forgotten.release(this);
    return this.#descriptor;
  }

  /**
   * Waits until a read or a write would not wait.
   *
   * @param event "readable" or "writable".
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns what holds now
   * @throws the codes of every operation: {@link IOError.code}
   */
  async poll(event: PollEvent, options?: OperationOptions | null): Promise<PollEvents> {
    return this._poll(event, options);
  }

  /** The same for a call that has another name. @internal */
  async _poll(
    event: PollEvent,
    options: OperationOptions | null | undefined,
    about?: About,
  ): Promise<PollEvents> {
    this.#check("poll");
    const bits = await this.#operations.run(
      (pending, settle) => this.#operations.ring.poll(pending, settle, this.#descriptor, event),
      options,
      about,
      POLL,
    );
    return pollEventsOf(bits);
  }

  /**
   * What holds at the beginning, when the descriptor is ready then, and from then on each time
   * something arrives or more space is free. What is left of it is not reported again, so take all
   * there is. Events that come while the body of the loop runs are one. The loop ends when the
   * descriptor or its IO is closed.
   *
   * @param event "readable" or "writable".
   * @returns the events, as an async iterable
   * @throws `ERR_IO_CLOSED`; the codes of a refused argument: {@link IOError.code}
   */
  events(event: PollEvent): AsyncIterableIterator<PollEvents> {
    checkPollEvent(event, "events");
    this.#check("events");
    return this.#events(event);
  }

  async *#events(event: PollEvent): AsyncGenerator<PollEvents> {
    const completion = new Completion();
    let bits = 0;
    let failure = 0;
    let wake: () => void = ignore;
    const came = (_completion: Completion, result: number): void => {
      if (result < 0) failure = result;
      else bits |= result;
      wake();
    };
    try {
      while (!this.#isClosed()) {
        if (failure !== 0) throw this.#failed(failure);
        if (!completion.active) {
          this.#operations.apart();
          this.#operations.ring.pollMultishot(completion, came, this.#descriptor, event);
        }
        if (bits === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        const events = bits;
        bits = 0;
        if (events !== 0) yield pollEventsOf(events);
      }
    } finally {
      this.#operations.cancel(completion);
    }
  }

  #failed(errno: number): IOError {
    return fromHere(operationError(OPCODE_POLL_MULTISHOT, errno, this.#operations.backend));
  }

  /** A poll keeps the process alive, as it does unless `unref` was called. Returns itself. */
  ref(): this {
    return this.#setRef(true);
  }

  /** A poll does not keep the process alive. Returns itself. */
  unref(): this {
    return this.#setRef(false);
  }

  /**
   * Ends the polls and closes the duplicate; the number that was borrowed stays open. It takes
   * neither `signal` nor `timeoutMs`: it waits for nothing but its own polls.
   */
  close(): Promise<void> {
    if (this.#closing === null) {
      this.#operations.forgotten.release(this);
      this.#closing = this.#operations.close(this.#descriptor);
    }
    return this.#closing;
  }

  /** Closes the duplicate: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(operation: string): void {
    if (this.#closing !== null) throw closedError(operation, "the borrowed descriptor");
    this.#operations.check(operation);
  }

  #isClosed(): boolean {
    return this.#closing !== null || this.#operations.closed;
  }

  #setRef(keeps: boolean): this {
    if (!this.#isClosed()) this.#session.setRef(this.#descriptor, keeps);
    return this;
  }
}
