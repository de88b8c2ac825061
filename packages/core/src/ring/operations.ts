// Promises over the ring: one completion from a pool per operation, settled when the operation has
// completed and never earlier. An abort or a time limit asks the kernel to end the operation; the
// promise waits for its answer, because until then the memory is the kernel's.

import type { Queue } from "../engine/queue.js";
import { errnoName, IOError, LOST, lostError, operationError, type Subject } from "../errors.js";
import type { ChunkPools } from "../receiving/chunk_pools.js";
import type { Reuses } from "../sockets/sent_check.js";
import { follow, unfollow } from "../support/aborts.js";
import {
  checkOptions,
  checkSignal,
  checkTimeout,
  type Known,
  knows,
  nanosecondsOf,
} from "../support/check.js";
import { Forgotten } from "../support/forgotten.js";
import { type Callback, Completion } from "./completion.js";
import type { Ring } from "./ring.js";
import type { Descriptor, ZeroCopy } from "./types.js";

/** How a single operation may be ended early. `null` means the same as an option that is absent. */
export interface OperationOptions {
  /**
   * Cancels the operation; its promise is rejected with code "ABORT_ERR" once the kernel let go.
   */
  signal?: AbortSignal | null | undefined;
  /** Cancels the operation after so many milliseconds, with code "ETIMEDOUT". */
  timeoutMs?: number | null | undefined;
}

/** How a send is made. */
export interface SendOptions extends OperationOptions {
  /** Whether to spare the copy of the bytes into the kernel; "never" when nothing is said. */
  zeroCopy?: ZeroCopy | null | undefined;
}

/** The two steps in which a send ends that spares the copy. */
export interface SendSteps {
  /** Resolves with the bytes sent, which may be fewer; the memory is still the kernel's. */
  sent: Promise<number>;
  /**
   * Resolves when the memory may be used again, also after a failure, which only `sent` tells. A
   * send that went plainly releases its memory as soon as it is sent. With the `detectReuse` of
   * `IO.open({ debug })` it rejects with "ERR_IO_MEMORY_REUSED" when the memory was written to
   * before that.
   */
  released: Promise<void>;
}

type Resolve = (result: number | PromiseLike<never>) => void;
type Reject = (error: unknown) => void;

/** What a call that says nothing of its own knows. */
const PLAIN: Known = knows("operation");

/** How an operation may end early, from options that were looked at once. */
export interface Endings {
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
}

/** Of a call that cannot be ended early. */
export const NO_ENDINGS: Endings = { signal: undefined, timeoutMs: undefined };

/** Checks the options of a call; throws also when its signal has aborted already. */
export function endingsFrom(options: OperationOptions | null | undefined, known: Known): Endings {
  if (options === undefined || options === null) return NO_ENDINGS;
  checkOptions(options, known);
  const { operation } = known;
  const signal = options.signal ?? undefined;
  const timeoutMs = options.timeoutMs ?? undefined;
  if (signal !== undefined) checkSignal(signal, operation);
  if (timeoutMs !== undefined) checkTimeout(timeoutMs, operation);
  if (signal?.aborted) throw aborted(operation, signal);
  return { signal, timeoutMs };
}

/** A completion that settles a promise. */
export class Pending extends Completion {
  /** @internal */
  resolve: Resolve | null = null;
  /** @internal */
  reject: Reject | null = null;
  subject: Subject | undefined = undefined;
  signal: AbortSignal | undefined = undefined;
  onAbort: (() => void) | undefined = undefined;
  // The pool shall keep no memory of users.
  override view = undefined;

  /** What awaits the promise runs in the context of its own caller. */
  override inContext(callback: Callback): Callback {
    return callback;
  }
}

// The promise constructor hands its functions to a closure; one that is made once costs nothing per
// operation. Promise executors run at once, so nothing can come between. They are stored once: each
// store of what is new in what is old is work for the collector, and shows per operation.
let taking: Pending | null = null;
function take(resolve: Resolve, reject: Reject): void {
  const pending = taking as Pending;
  pending.resolve = resolve;
  pending.reject = reject;
}

export class Operations {
  readonly ring: Ring;
  readonly backend: string;
  readonly #queue: Queue;
  readonly #pool: Pending[] = [];
  /** The FileSender, which is made of operations itself. Set by the IO, whose buffers it uses. */
  fileSender: object | null = null;
  /** The callback of every verb that is started with a completion from `begin`. */
  readonly settle: Callback;
  /** The same for a send that may end in two steps: it settles with the second. */
  readonly settleReleased: Callback;

  /** Closes what was never closed and is garbage. */
  readonly forgotten: Forgotten;

  /** The IO, which lives as long as what it has opened, and as long as something is in flight. */
  owner: object | null = null;

  /** What the streams of `socket.chunks()` are lent. */
  chunkPools: ChunkPools | null = null;

  /** Of calls that look up a name: closing the IO ends them. */
  readonly limits = new Set<{ close(): void }>();

  /** Set by an IO that looks for memory which is reused too early. */
  reuses: Reuses | null = null;

  constructor(ring: Ring, queue: Queue, backend: string, traces = false) {
    this.forgotten = new Forgotten(
      {
        isClosed: () => queue.closed,
        close: (descriptor) => this.close(descriptor),
      },
      traces,
    );
    this.ring = ring;
    this.backend = backend;
    this.#queue = queue;
    this.settle = (completion, result) => this.#settle(completion as Pending, result);
    this.settleReleased = (completion, result) => {
      if (!completion.active) this.#settle(completion as Pending, result);
    };
  }

  /** Whether the IO is closed or being closed. */
  get closed(): boolean {
    return this.#queue.closed;
  }

  /** Whether the IO has room for what brings more work: {@link Queue.hasRoomBeside}. */
  hasRoomBeside(coming: number): boolean {
    return this.#queue.hasRoomBeside(coming);
  }

  /** Whether an operation may be begun: the limit in flight is not reached. */
  get hasSlot(): boolean {
    return this.#queue.hasSlot();
  }

  /** Calls back once, when there is a free place below the limit of operations. */
  whenSlot(start: () => void): void {
    this.#queue.whenSlot(start);
  }

  /** Calls back once, when there is room. */
  whenRoom(start: () => void): void {
    this.#queue.whenRoom(start);
  }

  /** Throws unless so many operations can be queued at once. */
  checkRoom(length: number): void {
    this.#queue.checkRoom(length);
  }

  /** Throws when the IO is closed. */
  check(operation: string): void {
    this.#queue.check(operation);
  }

  /**
   * Runs one verb as a promise. `start` queues it with the completion that it is given, and
   * `settle` as the callback; what it throws rejects the promise.
   */
  run(
    start: (pending: Pending, settle: Callback) => void,
    options?: OperationOptions | null,
    subject?: Subject,
    known: Known = PLAIN,
  ): Promise<number> {
    const promise = this.begin(options, subject, known);
    const pending = this.begun;
    if (pending === null) return promise;
    try {
      start(pending, this.settle);
    } catch (error) {
      this.fail(pending, error);
    }
    return promise;
  }

  /** `run` for a send that ends in two steps, each with a promise. */
  runSteps(
    start: (pending: Pending, settle: Callback) => void,
    options: OperationOptions | null | undefined,
    known: Known,
  ): SendSteps {
    let release: () => void = ignore;
    let complain: Reject = ignore;
    const released = new Promise<void>((resolve, reject) => {
      release = resolve;
      complain = reject;
    });
    let started = false;
    const sent = this.run(
      (pending) => {
        start(pending, (completion, result) => {
          if (completion.active) {
            pending.resolve?.(result);
            pending.resolve = null;
            pending.reject = null;
            return;
          }
          const reused = this.reuses?.take(pending);
          this.#settle(pending, result); // when it is settled already, that changes nothing
          if (reused) complain(reused);
          else release();
        });
        started = true;
      },
      options,
      undefined,
      known,
    );
    if (!started) release(); // it holds no memory
    return { sent, released };
  }

  /**
   * The completion that the last `begin` prepared, or null when its promise is already rejected.
   */
  begun: Pending | null = null;

  /**
   * The longer form of `run` for the hottest verbs, which saves a closure. Nothing is taken for an
   * operation whose options are refused.
   */
  begin(
    options?: OperationOptions | null,
    subject?: Subject,
    known: Known = PLAIN,
  ): Promise<number> {
    this.apart();
    let endings: Endings | null = null;
    if (options !== undefined && options !== null) {
      try {
        endings = endingsFrom(options, known);
      } catch (error) {
        this.begun = null;
        return Promise.reject(error);
      }
    }
    const pending = this.#pool.pop() ?? new Pending();
    taking = pending;
    const promise = new Promise<number>(take);
    taking = null; // it would keep the whole IO
    this.begun = pending;
    pending.subject = subject;
    if (endings !== null) this.#apply(pending, endings);
    return promise;
  }

  /**
   * Called before the library queues something of its own, which is no member of a chain of the
   * ring that the program has not filled.
   */
  apart(): void {
    if (this.#queue.chainOpen) this.#queue.dropChain();
  }

  /** For a verb that threw after `begin`. */
  fail(pending: Pending, error: unknown): void {
    const reject = pending.reject;
    this.#giveBack(pending);
    reject?.(error);
  }

  /** Asks for the end of one operation; nothing happens when it is not in flight any more. */
  cancel<C>(target: Completion<C>): void {
    const [slot, generation] = this.#queue.tokenOf(target);
    this.#queue.whenFree(() => {
      const [slotNow, generationNow] = this.#queue.tokenOf(target);
      if (slotNow === -1 || slotNow !== slot || generationNow !== generation) return;
      // Closing cancels everything by itself.
      this.apart();
      if (!this.#queue.closed) this.ring.cancel(new Completion(), ignore, target);
    });
  }

  /** Closes a descriptor. Once the IO is closing this has nothing left to do. */
  close(descriptor: Descriptor): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (completion: Completion, result: number): void => {
        if (result >= 0) resolve();
        else reject(operationError(completion.opcode, result, this.backend));
      };
      this.#queue.whenFree(() => {
        this.apart();
        if (this.#queue.closed) resolve();
        else this.ring.close(new Completion(), settle, descriptor);
      });
    });
  }

  #apply(pending: Pending, { signal, timeoutMs }: Endings): void {
    if (signal !== undefined) {
      pending.signal = signal;
      pending.onAbort = () => {
        this.cancel(pending);
      };
      follow(signal, pending.onAbort);
    }
    if (timeoutMs !== undefined) pending.timeoutNs = nanosecondsOf(timeoutMs);
  }

  #settle(pending: Pending, result: number): void {
    const { resolve, reject, subject, signal, opcode } = pending;
    this.#giveBack(pending);
    if (result >= 0) {
      const reused = this.reuses?.take(pending);
      if (reused) reject?.(reused);
      else resolve?.(result);
      return;
    }
    const loss = errnoName(result)[0] === LOST ? this.#queue.session.loss() : null;
    const error =
      loss === null
        ? operationError(opcode, result, this.backend, subject)
        : lostError(opcode, result, this.backend, loss);
    const ended = error.code === "ECANCELED" || error.code === "EINTR";
    if (resolve === null) return; // the first of two steps has settled it
    resolve(failed(signal?.aborted && ended ? aborted(error.operation, signal) : error));
  }

  #giveBack(pending: Pending): void {
    if (pending.signal !== undefined && pending.onAbort !== undefined) {
      unfollow(pending.signal, pending.onAbort);
    }
    pending.signal = undefined;
    pending.onAbort = undefined;
    pending.subject = undefined;
    pending.flags = 0;
    pending.resolve = null;
    pending.reject = null;
    // One that is in flight is the ring's: its completion gives it back. In the pool it would be
    // handed out a second time.
    if (pending.slot === -1) this.#pool.push(pending);
  }
}

/**
 * A promise that is rejected with the error of an operation, whose stack names the functions that
 * await it. A completion comes from the event loop, where no caller is on the stack. V8 finds those
 * that wait when the error is thrown by a step of the promise that they wait for, if nothing else
 * waits for that. So it is thrown by the second step, when the first has let them be linked to it.
 * Failures alone pay for that.
 */
function failed(error: IOError): Promise<never> {
  const raise = (): never => {
    Error.captureStackTrace(error, raise);
    throw error;
  };
  return Promise.resolve().then(ignore).then(raise);
}

/** For operations whose result says nothing that anybody needs. */
export function ignore(): void {}

export function aborted(operation: string, signal: AbortSignal): IOError {
  return new IOError({
    code: "ABORT_ERR",
    operation,
    message: `${operation} was aborted by its signal`,
    cause: signal.reason,
  });
}
