// Listening sockets with promises: a few accepts in flight, and a bounded queue of who has
// connected.
import { constants } from "node:os";
import type { Address } from "../address.js";
import { ENTRY_FLAG_UNREF, OPCODE_ACCEPT } from "../engine/abi.js";
import type { NativeSession } from "../engine/native.js";
import { closedError, errnoName, IOError, operationError } from "../errors.js";
import { Completion } from "../ring/completion.js";
import {
  aborted,
  type Endings,
  endingsFrom,
  failed,
  type OperationOptions,
  type Operations,
} from "../ring/promises.js";
import type { Descriptor } from "../ring/types.js";
import { follow, unfollow } from "../support/aborts.js";
import { checkGiven, checkMade, knows, knowsOnly } from "../support/check.js";
import { OpenedListener } from "../support/forgotten.js";
import { Turns } from "../support/loop_turns.js";
import {
  type OptionsOf,
  type RawOptionValue,
  type SocketOptions,
  STREAM_OPTIONS,
} from "./option_types.js";
import {
  applySettings,
  type OptionTarget,
  type OptionValues,
  readOptions,
  readRaw,
  setRaw,
  settingsFrom,
} from "./options.js";
import type { Socket } from "./socket.js";

// Connections that were accepted and that the program has not taken: with so many, accepting stops,
// and the rest wait in the kernel's backlog. A multishot accept could not be bounded: it takes the
// whole backlog before a cancel reaches it.
const QUEUE_LIMIT = 128;
const ACCEPTS = 8;

// No descriptor or memory is left: accepting again at once would spin. No event says when one is
// free, so the listener tries again after a while.
const EXHAUSTED_CODES = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);
const EXHAUSTED_WAIT_NS = 50_000_000;

// These errors are about one connection, not about the listener: accept(2) of Linux passes on
// errors of a new connection.
const PASSING_CODES = new Set([
  "ECONNABORTED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "EINTR",
  "ENETDOWN",
  "ENETUNREACH",
  "ENOPROTOOPT",
  "EPERM",
  "EPROTO",
  "ETIMEDOUT",
]);

const ACCEPT = knows("accept");
const SET_OPTIONS = knowsOnly("setOptions", ...STREAM_OPTIONS);

interface Waiter {
  resolve(socket: Socket): void;
  reject(error: unknown): void;
}

/**
 * A listening socket: an async iterable of connections, or one at a time with `accept()`. The
 * iteration ends when the listener is closed.
 *
 * It accepts ahead of the program, up to 128 connections, and then leaves the rest to the kernel's
 * backlog. When the process runs out of descriptors, or half of the `inFlightLimit` of
 * the IO is in use, it waits and tries again, and loses none.
 *
 * @category Sockets
 *
 * @example
 * ```ts
 * import { IO, type Socket } from "@io/core";
 *
 * await using io = await IO.open();
 * await using listener = await io.listen({ host: "127.0.0.1", port: 0 });
 * setImmediate(() => listener.close());
 * for await (const socket of listener) void serve(socket);
 *
 * async function serve(socket: Socket): Promise<void> {
 *   await socket.sendAll(Buffer.from("good bye\n"));
 *   await socket.close();
 * }
 * ```
 */
export class Listener implements AsyncIterable<Socket>, AsyncDisposable {
  /** Where it listens; a port of 0 is resolved. */
  readonly address: Address;
  readonly #descriptor: Descriptor;
  readonly #operations: Operations;
  readonly #session: NativeSession;
  readonly #makeSocket: (descriptor: Descriptor) => Socket;
  readonly #accepts = Array.from({ length: ACCEPTS }, () => new Completion());
  readonly #timer = new Completion();
  readonly #accepted: Descriptor[] = [];
  readonly #waiters: Waiter[] = [];
  readonly #turns = new Turns();
  #failure: IOError | null = null;
  #waitsForRoom = false;
  // Connections that the program got in this turn: its operations on them are yet to come.
  #given = 0;
  #closing: Promise<void> | null = null;
  // The descriptor is given away; what was accepted before is still given.
  #detaching = false;

  /** @internal */
  constructor(
    operations: Operations,
    descriptor: Descriptor,
    address: Address,
    makeSocket: (descriptor: Descriptor) => Socket,
    session: NativeSession,
  ) {
    this.#session = session;
    checkMade(operations, "Listener", "await io.listen()");
    this.#operations = operations;
    this.#descriptor = descriptor;
    this.address = address;
    this.#makeSocket = makeSocket;
    operations.forgotten.watch(this, new OpenedListener(descriptor, address));
  }

  /**
   * For the verbs of `io.ring`. Once it was asked for, no warning says that the listener is garbage
   * and was never closed.
   */
  get descriptor(): Descriptor {
    this.#operations.forgotten.release(this);
    return this.#descriptor;
  }

  /**
   * Takes the next connection, and waits for one where there is none.
   *
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns the connection; close it with `await using` or `close()`
   * @throws what accept(2) said of the listener; errors of one connection are passed over; the
   *   codes of every operation: {@link IOError.code}
   */
  accept(options?: OperationOptions | null): Promise<Socket> {
    return new Promise((resolve) => {
      this.#check("accept");
      this.#operations.check("accept");
      const endings = endingsFrom(options, ACCEPT);
      const descriptor = this.#accepted.shift();
      if (descriptor !== undefined) {
        const socket = this.#makeSocket(descriptor);
        this.#noteGiven();
        this.#arm();
        const turn = this.#turns.take();
        if (turn === null) resolve(socket);
        else void turn.then(() => resolve(socket));
        return;
      }
      if (this.#detaching) throw closedError("accept", "the listener");
      this.#turns.waited();
      if (this.#failure !== null) throw this.#failure;
      this.#wait({ resolve, reject: (error) => resolve(failed(error)) }, endings);
      this.#arm();
    });
  }

  /**
   * Connections, one after the other, until the listener or its IO is closed. Then the loop ends
   * without an error, and so does one that begins after the close.
   */
  async *[Symbol.asyncIterator](): AsyncIterator<Socket> {
    while (this.#closing === null) {
      let socket: Socket;
      try {
        socket = await this.accept();
      } catch (error) {
        const isOver = this.#closing !== null || this.#detaching;
        if (isOver || this.#operations.closed) return;
        throw error;
      }
      yield socket;
    }
  }

  /**
   * Sets options of the listener, which the connections that it accepts from then on inherit.
   * `noDelay` is given to `io.listen()` for them. What is absent stays as it is.
   *
   * @param options The options to set.
   * @throws `ERR_IO_CLOSED`; `ENOTSUP` for what this system does not have, with those that have it;
   *   what setsockopt(2) said; the codes of a refused argument: {@link IOError.code}
   */
  setOptions(options: SocketOptions): void {
    checkGiven(options, SET_OPTIONS);
    this.#check("setOptions");
    const settings = settingsFrom(options as OptionValues, STREAM_OPTIONS, "setOptions");
    applySettings(this.#optionTarget, settings, "setOptions");
  }

  /**
   * The values of options of the listener.
   *
   * @param names The names of the options.
   * @returns an object with the value of each of them
   * @throws `ERR_IO_CLOSED`; `ENOTSUP` for what this system does not have; what getsockopt(2) said;
   *   the codes of a refused argument: {@link IOError.code}
   */
  getOptions<Name extends keyof SocketOptions>(...names: Name[]): OptionsOf<SocketOptions, Name> {
    this.#check("getOptions");
    const values = readOptions(this.#optionTarget, names, STREAM_OPTIONS, "getOptions");
    return values as OptionsOf<SocketOptions, Name>;
  }

  /**
   * Sets any option, also one that has no name here: as `socket.setOption()`.
   *
   * @param level The level: its number, or its name in the system's headers ("SOL_SOCKET").
   * @param name The option: its number, or its name in the system's headers ("SO_PRIORITY").
   * @param value A number of 32 bits, a flag, bytes in the system's own layout, or text.
   * @throws `ERR_IO_CLOSED`; what setsockopt(2) said; the codes of a refused argument, also for a
   *   name that this system does not have: {@link IOError.code}
   */
  setOption(level: number | string, name: number | string, value: RawOptionValue): void {
    this.#check("setOption");
    setRaw(this.#optionTarget, level, name, value);
  }

  /**
   * Reads any option, also one that has no name here: as `socket.getOption()`.
   *
   * @param level The level: its number, or its name in the system's headers ("SOL_SOCKET").
   * @param name The option: its number, or its name in the system's headers ("SO_ACCEPTCONN").
   * @param sizeBytes How many bytes the system may write; 4 by default, 65,536 at most.
   * @returns what the system has written, in its own layout; its length is what that was
   * @throws `ERR_IO_CLOSED`; what getsockopt(2) said; the codes of a refused argument, also for a
   *   name that this system does not have: {@link IOError.code}
   */
  getOption(level: number | string, name: number | string, sizeBytes?: number | null): Buffer {
    this.#check("getOption");
    return readRaw(this.#optionTarget, level, name, sizeBytes ?? 4);
  }

  get #optionTarget(): OptionTarget {
    const { backend } = this.#operations;
    return { session: this.#session, number: this.#descriptor, backend };
  }

  /**
   * What is in flight on the listener keeps the process alive, as it does unless `unref` was
   * called. Returns itself, as in Node.
   */
  ref(): this {
    this.#setRef(true);
    return this;
  }

  /** What is in flight on it does not keep the process alive. Returns itself. */
  unref(): this {
    this.#setRef(false);
    return this;
  }

  /**
   * Stops listening. Connections that were accepted and not taken are closed. It takes neither
   * `signal` nor `timeoutMs`: a close that is given up would leave the descriptor to nothing that
   * closes it.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /**
   * Gives the listener away: ends what is in flight on it, and resolves with the number that the
   * system has for it. The descriptor stays open and is the caller's from then on: for
   * `new net.Socket({ fd })`, for `io.adopt()` in another Worker, or to be closed. It may not
   * block. Connections that were accepted
   * before are still given by `accept()` and by the loops, until none is left.
   *
   * It takes neither `signal` nor `timeoutMs`: who gave up would not know whose it is.
   *
   * @returns the number
   * @throws `ERR_IO_CLOSED`
   */
  detach(): Promise<number> {
    return new Promise((resolve) => {
      this.#check("detach");
      this.#operations.check("detach");
      if (this.#detaching) throw closedError("detach", "the listener");
      this.#detaching = true;
      this.#operations.forgotten.release(this);
      this.#operations.cancel(this.#timer);
      const detached = this.#operations.detach(this.#descriptor);
      const end = (): void => {
        for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#canceled());
      };
      void detached.then(end, end);
      resolve(detached);
    });
  }

  /** Closes the listener: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #setRef(keeps: boolean): void {
    this.#timer._flags = keeps ? 0 : ENTRY_FLAG_UNREF;
    if (this.#closing !== null || this.#detaching) return;
    this.#session.setRef(this.#descriptor, keeps);
  }

  #check(operation: string): void {
    if (this.#closing !== null) throw closedError(operation, "the listener");
  }

  #arm(): void {
    const isOver = this.#closing !== null || this.#detaching;
    if (isOver || this.#failure !== null || this.#timer.active) return;
    const active = this.#accepts.filter((completion) => completion.active).length;
    this.#operations.apart();
    let room = QUEUE_LIMIT - this.#accepted.length - active;
    try {
      for (const completion of this.#accepts) {
        if (completion.active || room <= 0) continue;
        if (!this.#operations.hasRoomBeside(this.#accepted.length + this.#given)) {
          this.#waitForRoom();
          return;
        }
        this.#operations.ring.accept(completion, this.#onAccept, this.#descriptor);
        room--;
      }
    } catch (error) {
      // The IO was closed: that ends the calls that wait, unless another accept is in flight.
      if (this.#accepts.some((completion) => completion.active)) return;
      const { closed } = this.#operations;
      for (const waiter of this.#waiters.splice(0)) {
        waiter.reject(closed ? this.#canceled() : error);
      }
    }
  }

  readonly #onAccept = (_completion: Completion, result: number): void => {
    if (result >= 0) this.#deliver(result);
    else this.#onError(result);
    // After a cancel of everything the program may not want to go on: the next accept() shows it.
    if (result >= 0 || this.#waiters.length > 0) this.#arm();
  };

  #deliver(descriptor: Descriptor): void {
    const waiter = this.#waiters.shift();
    if (this.#closing !== null) this.#operations.discard(descriptor, "a connection");
    else if (waiter === undefined) this.#accepted.push(descriptor);
    else {
      this.#noteGiven();
      waiter.resolve(this.#makeSocket(descriptor));
    }
  }

  #noteGiven(): void {
    if (this.#given++ > 0) return;
    setImmediate(() => {
      this.#given = 0;
      if (this.#waitsForRoom) this.#arm();
    });
  }

  #onError(errno: number): void {
    const [code] = errnoName(errno);
    if (this.#closing !== null || code === "ECANCELED" || PASSING_CODES.has(code)) return;
    if (EXHAUSTED_CODES.has(code)) {
      if (!this.#timer.active) this.#tryAgainLater();
      return;
    }
    this.#failure = operationError(OPCODE_ACCEPT, errno, this.#operations.backend);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#failure);
  }

  // So many operations are in flight that new connections would take the slots of existing ones.
  #waitForRoom(): void {
    if (this.#waitsForRoom) return;
    this.#waitsForRoom = true;
    this.#operations.whenRoom(() => {
      this.#waitsForRoom = false;
      this.#arm();
    });
  }

  #tryAgainLater(): void {
    if (!this.#operations.hasRoomBeside(0)) {
      this.#waitForRoom();
      return;
    }
    try {
      this.#operations.ring.timeout(this.#timer, () => this.#arm(), EXHAUSTED_WAIT_NS);
    } catch (error) {
      for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    }
  }

  // A signal or a time limit ends the waiting only: the accept goes on for the next caller.
  #wait(waiter: Waiter, { signal, timeoutMs }: Endings): void {
    if (signal === undefined && timeoutMs === undefined) {
      this.#waiters.push(waiter);
      return;
    }
    const finished = new AbortController();
    const leave = (error: unknown): void => {
      const index = this.#waiters.indexOf(entry);
      if (index === -1) return; // served or rejected before
      this.#waiters.splice(index, 1);
      entry.reject(error);
    };
    const onAbort = (): void => leave(aborted("accept", signal));
    const settled = (): void => {
      finished.abort();
      if (signal !== undefined) unfollow(signal, onAbort);
    };
    const entry: Waiter = {
      resolve: (socket) => {
        settled();
        waiter.resolve(socket);
      },
      reject: (error) => {
        settled();
        waiter.reject(error);
      },
    };
    if (signal !== undefined) follow(signal, onAbort);
    this.#waiters.push(entry);
    if (timeoutMs === undefined) return;
    const elapsed = elapsedError(timeoutMs);
    this.#operations
      .run(
        (pending, settle) =>
          this.#operations.ring.timeout(pending, settle, Math.round(timeoutMs * 1e6)),
        { signal: finished.signal },
      )
      .then(() => leave(elapsed), leave);
  }

  // A close that ends a waiting accept has the system's error code for that.
  #canceled(): IOError {
    const { backend } = this.#operations;
    return operationError(OPCODE_ACCEPT, -constants.errno.ECANCELED, backend);
  }

  async #close(): Promise<void> {
    this.#operations.forgotten.release(this);
    this.#operations.cancel(this.#timer);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#canceled());
    const closing = this.#accepted.splice(0).map((taken) => this.#operations.close(taken));
    if (!this.#detaching) closing.push(this.#operations.close(this.#descriptor));
    await Promise.all(closing);
  }
}

function elapsedError(timeoutMs: number): IOError {
  const errno = -constants.errno.ETIMEDOUT;
  const message = `accept took longer than ${timeoutMs} ms`;
  return new IOError({ code: "ETIMEDOUT", errno, operation: "accept", message });
}
