// Promises over the ring: one completion from a pool per operation, settled when the operation has
// completed and never earlier. An abort or a time limit asks the kernel to end the operation; the
// promise waits for its answer, because until then the memory is the kernel's.

import { type Address, peerOf } from "../address.js";
import type { NativeSession } from "../engine/native.js";
import type { Queue } from "../engine/queue.js";
import {
  abortedError,
  closedError,
  errnoName,
  IOError,
  LOST,
  lostError,
  operationError,
  type Peer,
  type Subject,
  showCallers,
} from "../errors.js";
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
import { Forgotten, warnOfFailure } from "../support/forgotten.js";
import { type Callback, Completion } from "./completion.js";
import type { Ring } from "./ring.js";
import type { Descriptor, ZeroCopy } from "./types.js";

/**
 * How a single operation may be ended early. `null` means the same as an option that is absent.
 *
 * @category Start
 */
export interface OperationOptions {
  /**
   * Cancels the operation when it is aborted. The promise is rejected with `ABORT_ERR` once the
   * kernel has released the memory. One signal may serve any number of operations.
   */
  signal?: AbortSignal | null | undefined;
  /**
   * Milliseconds after which the operation is cancelled, with `ETIMEDOUT`; with fractions. 0 is
   * over at once, and no limit is the default.
   */
  timeoutMs?: number | null | undefined;
}

/**
 * How a send is made.
 *
 * @category Sockets
 */
export interface SendOptions extends OperationOptions {
  /**
   * Whether to spare the copy of the bytes into the kernel: "never" (the default), "auto" or
   * "always".
   */
  zeroCopy?: ZeroCopy | null | undefined;
}

/**
 * How a send on a stream is made.
 *
 * @category Sockets
 */
export interface StreamSendOptions extends SendOptions {
  /**
   * More follows at once: the system may keep a part of a packet until that comes, for 200
   * milliseconds at most (MSG_MORE). `false` by default. macOS and the BSDs send at once in any
   * case.
   */
  more?: boolean | null | undefined;
}

/**
 * The two steps in which a send without a copy ends.
 *
 * @category Sockets
 */
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

type Resolve = (result: number | undefined | PromiseLike<never>) => void;
type Reject = (error: unknown) => void;

/** What a call that says nothing of its own knows. */
const PLAIN: Known = knows("operation");

/** What names an operation in flight. */
export type Token = ReturnType<Queue["tokenOf"]>;

/** How an operation may end early, from options that were looked at once. */
export interface Endings {
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
}

/** Of a call that cannot be ended early. */
export const NO_ENDINGS: Endings = { signal: undefined, timeoutMs: undefined };

/** Checks the options of a call; throws also when its signal has aborted already. */
export function endingsFrom(options: OperationOptions | null | undefined, known: Known): Endings {
  const endings = checkedEndings(options, known);
  const { signal } = endings;
  if (signal?.aborted) throw aborted(known.operation, signal);
  return endings;
}

/** The same for a call whose operations look at the signal themselves. */
export function checkedEndings(
  options: OperationOptions | null | undefined,
  known: Known,
): Endings {
  if (options === undefined || options === null) return NO_ENDINGS;
  checkOptions(options, known);
  const { operation } = known;
  const signal = options.signal ?? undefined;
  const timeoutMs = options.timeoutMs ?? undefined;
  if (signal !== undefined) checkSignal(signal, operation);
  if (timeoutMs !== undefined) checkTimeout(timeoutMs, operation);
  return { signal, timeoutMs };
}

/** What an operation was about. Of a socket's peer the system is asked when it has failed. */
export interface About {
  readonly call?: Subject["call"];
  readonly path?: string | undefined;
  readonly dest?: string;
  readonly only?: Subject["only"];
  readonly flags?: Subject["flags"];
  readonly rules?: number;
  readonly peer?: Peer | undefined;
  /** Where the other end is, or where the socket itself is to be. */
  readonly place?: Address | null;
}

/** What its error says of that. */
export function subjectOf(about: About | undefined): Subject | undefined {
  const place = about?.place;
  if (about === undefined || place === undefined || place === null) return about;
  const { call, path, only } = about;
  return { call, path, only, peer: peerOf(place) };
}

/** A completion that settles a promise. */
export class Pending extends Completion {
  /** @internal */
  resolve: Resolve | null = null;
  subject: About | undefined = undefined;
  signal: AbortSignal | undefined = undefined;
  onAbort: (() => void) | undefined = undefined;
  // The pool shall keep no memory of users. Blocks of `io.buffers` are the library's own.
  override get _keepsAny(): boolean {
    return false;
  }

  /** What awaits the promise runs in the context of its own caller. */
  override _inContext(callback: Callback): Callback {
    return callback;
  }
}

// `take` is the executor of every promise. It is one function, because a closure for each promise
// would cost each operation something. An executor runs before the constructor of its promise
// returns, so `taking` is the completion that this promise belongs to.
//
// It takes only `resolve`: V8 makes no `reject` when nothing takes it, and each new object that is
// stored in an old one is work for the garbage collector. An operation that fails resolves its
// promise with another one, which is rejected already.
let taking: Pending | null = null;
function take(resolve: Resolve): void {
  (taking as Pending).resolve = resolve;
}

export class Operations {
  readonly ring: Ring;
  readonly backend: string;
  readonly #queue: Queue;
  readonly #pool: Pending[] = [];
  // Of the pool's last ones, how many came back since one was taken.
  #returned = 0;
  /** The FileSender, which is made of operations itself. Set by the IO, whose buffers it uses. */
  fileSender: { closing(socket: Descriptor): void } | null = null;
  /** The callback of every verb that is started with a completion from `begin`. */
  readonly settle: Callback;
  /** The same for a promise of nothing. */
  readonly settleEmpty: Callback;
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
        session: queue.session,
        isClosed: () => queue.closed,
        close: (descriptor) => this.close(descriptor),
      },
      traces,
    );
    this.ring = ring;
    this.backend = backend;
    this.#queue = queue;
    this.settle = (completion, result) => this.#settle(completion as Pending, result, result);
    this.settleEmpty = (completion, result) =>
      this.#settle(completion as Pending, result, undefined);
    this.settleReleased = (completion, result) => {
      if (!completion.active) this.#settle(completion as Pending, result, result);
    };
  }

  get session(): NativeSession {
    return this.#queue.session;
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

  /** Whether the operations of a descriptor keep the event loop alive. */
  setRef(descriptor: Descriptor, keeps: boolean): void {
    this.#queue.session.setRef(descriptor, keeps);
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
    subject?: About,
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
    about?: About,
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
            return;
          }
          const reused = this.reuses?.take(pending);
          this.#settle(pending, result, result); // when it is settled already, that changes nothing
          if (reused) complain(reused);
          else release();
        });
        started = true;
      },
      options,
      about,
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
  begin(options?: OperationOptions | null, subject?: About, known: Known = PLAIN): Promise<number> {
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
    if (this.#returned > 1) this.#turnRound();
    this.#returned = 0;
    const pending = this.#pool.pop() ?? new Pending();
    taking = pending;
    // Of a number, unless the callback is `settleEmpty`.
    const promise = new Promise<number | undefined>(take) as Promise<number>;
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

  /** For a verb that threw behind linked ones: nothing of that chain runs. */
  cancelChain(): void {
    this.#queue.cancelChain();
  }

  /** Names an operation in flight. */
  tokenOf<C>(completion: Completion<C>): Token {
    return this.#queue.tokenOf(completion);
  }

  /** Whether what was named so, and has just completed, was refused. */
  wasRefused(token: Token): boolean {
    return this.#queue.wasRefused(token);
  }

  /** Throws unless so many linked operations are queued. */
  checkChained(length: number): void {
    this.#queue.checkChained(length);
  }

  /** For a verb that threw after `begin`. */
  fail(pending: Pending, error: unknown): void {
    const { resolve } = pending;
    this.#recycle(pending);
    resolve?.(Promise.reject(error));
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
    return new Promise((resolve) => {
      const settle = (completion: Completion, result: number): void => {
        if (result >= 0) resolve();
        else resolve(failed(operationError(completion._opcode, result, this.backend)));
      };
      this.#queue.whenFree(() => {
        this.apart();
        if (this.#queue.closed) resolve();
        else this.ring.close(new Completion(), settle, descriptor);
      });
    });
  }

  /**
   * Gives a descriptor up, and leaves it open; resolves with the system's number. It fails when the
   * IO is closed, which closes the descriptor.
   */
  detach(descriptor: Descriptor): Promise<number> {
    return new Promise((resolve) => {
      const settle = (completion: Completion, result: number): void => {
        if (result >= 0) resolve(result);
        else resolve(failed(operationError(completion._opcode, result, this.backend)));
      };
      this.#queue.whenFree(() => {
        this.apart();
        if (this.#queue.closed) resolve(failed(closedError("detach", "the IO")));
        else this.ring.detach(new Completion(), settle, descriptor);
      });
    });
  }

  /** Closes a descriptor that the program does not get; `what` names it in a warning. */
  discard(descriptor: Descriptor, what: string): void {
    warnOfFailure(this.close(descriptor), what);
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

  #settle(pending: Pending, result: number, value: number | undefined): void {
    if (result < 0) {
      this.#settleFailure(pending, result);
      return;
    }
    const { resolve } = pending;
    this.#recycle(pending);
    const reused = this.reuses?.take(pending);
    resolve?.(reused ? Promise.reject(reused) : value);
  }

  #settleFailure(pending: Pending, result: number): void {
    const { resolve, subject, signal, _opcode: opcode } = pending;
    this.#recycle(pending);
    const loss = errnoName(result)[0] === LOST ? this.#queue.session.loss() : null;
    const named = subjectOf(subject);
    const error =
      loss === null
        ? operationError(opcode, result, this.backend, named)
        : lostError(opcode, result, this.backend, loss);
    const ended = error.code === "ECANCELED" || error.code === "EINTR";
    if (resolve === null) return; // the first of two steps has settled it
    resolve(failed(signal?.aborted && ended ? aborted(error.operation, signal, named) : error));
  }

  #recycle(pending: Pending): void {
    if (pending.signal !== undefined && pending.onAbort !== undefined) {
      unfollow(pending.signal, pending.onAbort);
    }
    pending.signal = undefined;
    pending.onAbort = undefined;
    pending.subject = undefined;
    pending._flags = 0;
    pending.resolve = null;
    // A completion in flight belongs to the ring and returns to the pool when it completes. If it
    // were in the pool now, a second operation would get it.
    if (pending._slot !== -1) return;
    this.#pool.push(pending);
    this.#returned++;
  }

  // Those that came back with one batch of completions are taken in the order in which they came:
  // what awaited the first operation goes on first, mostly with the memory that this one had.
  #turnRound(): void {
    const pool = this.#pool;
    let high = pool.length - 1;
    for (let low = pool.length - this.#returned; low < high; low++, high--) {
      const pending = pool[low] as Pending;
      pool[low] = pool[high] as Pending;
      pool[high] = pending;
    }
  }
}

/**
 * A promise that is rejected with the error of an operation, whose stack names the functions that
 * await it. A completion comes from the event loop, where no caller is on the stack. V8 finds those
 * that wait when the error is thrown by a step of the promise that they wait for, if nothing else
 * waits for that. So it is thrown by the second step, when the first has let them be linked to it.
 * Failures alone pay for that.
 */
export function failed(error: unknown): Promise<never> {
  const raise = (): never => {
    if (error instanceof IOError) showCallers(error, raise);
    throw error;
  };
  return Promise.resolve().then(ignore).then(raise);
}

/** An error that an asynchronous function throws and has not made: its stack begins there. */
export function fromHere<E>(error: E): E {
  if (error instanceof IOError) showCallers(error, fromHere);
  return error;
}

/** For operations whose result says nothing that anybody needs. */
export function ignore(): void {}

export function aborted(
  operation: string,
  signal: AbortSignal | undefined,
  subject?: Subject,
): IOError {
  return abortedError(operation, signal?.reason, subject);
}
