// Listening sockets with promises: a few accepts in flight, and a bounded queue of who has
// connected.
import { constants } from "node:os";
import type { Address } from "../address.js";
import { ENTRY_FLAG_UNREF, OPCODE_ACCEPT } from "../engine/abi.js";
import type { NativeSession } from "../engine/native.js";
import { Turns } from "../engine/turns.js";
import { closedError, errnoName, IOError, operationError } from "../errors.js";
import { Completion } from "../ring/completion.js";
import {
  type Endings,
  endingsFrom,
  type OperationOptions,
  type Operations,
} from "../ring/operations.js";
import type { Descriptor } from "../ring/types.js";
import { follow, unfollow } from "../support/aborts.js";
import { checkMade, knows } from "../support/check.js";
import { OpenedListener } from "../support/forgotten.js";
import type { Socket } from "./socket.js";

// Connections that were accepted and that nobody has taken: with so many the accepting stops, and
// the rest wait in the kernel's backlog. A multishot accept could not be bounded: it takes the
// whole backlog before a cancel reaches it.
const QUEUE_LIMIT = 128;
const ACCEPTS = 8;

// No descriptor or memory is left: accepting again at once would spin. Nothing tells when one is
// free, so it is tried again after a while.
const EXHAUSTED_CODES = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);
const EXHAUSTED_WAIT_NS = 50_000_000;

// These say something of one connection and nothing of the listener: accept(2) of Linux hands on
// what has happened to a connection that is new.
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
  // Connections that the program was given in this turn: what it does with them is yet to come.
  #given = 0;
  #closing: Promise<void> | null = null;

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

  /** The next connection. */
  accept(options?: OperationOptions | null): Promise<Socket> {
    return new Promise((resolve, reject) => {
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
      this.#turns.waited();
      if (this.#failure !== null) throw this.#failure;
      this.#wait({ resolve, reject }, endings);
      this.#arm();
    });
  }

  /** Connections, one after the other, until the listener is closed. */
  async *[Symbol.asyncIterator](): AsyncIterator<Socket> {
    while (this.#closing === null) {
      let socket: Socket;
      try {
        socket = await this.accept();
      } catch (error) {
        if (this.#closing !== null || this.#operations.closed) return;
        throw error;
      }
      yield socket;
    }
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

  /** Closes the listener: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #setRef(keeps: boolean): void {
    this.#timer.flags = keeps ? 0 : ENTRY_FLAG_UNREF;
    if (this.#closing === null) this.#session.setRef(this.#descriptor, keeps);
  }

  #check(operation: string): void {
    if (this.#closing !== null) throw closedError(operation, "the listener");
  }

  #arm(): void {
    if (this.#closing !== null || this.#failure !== null || this.#timer.active) return;
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
      const told = this.#operations.closed ? this.#canceled() : error;
      for (const waiter of this.#waiters.splice(0)) waiter.reject(told);
    }
  }

  readonly #onAccept = (_completion: Completion, result: number): void => {
    if (result >= 0) this.#deliver(result);
    else this.#onError(result);
    // After a cancel of everything nobody may want to go on: the next accept() says so.
    if (result >= 0 || this.#waiters.length > 0) this.#arm();
  };

  #deliver(descriptor: Descriptor): void {
    const waiter = this.#waiters.shift();
    if (this.#closing !== null) void this.#operations.close(descriptor);
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

  // So many operations are in flight that new connections would take the place of what is there.
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

  // A signal or a time limit ends the waiting only: the accept goes on for whoever comes next.
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
    const onAbort = (): void =>
      leave(acceptError("ABORT_ERR", "was aborted by its signal", signal));
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
    const elapsed = acceptError("ETIMEDOUT", `took longer than ${timeoutMs} ms`);
    this.#operations
      .run(
        (pending, settle) =>
          this.#operations.ring.timeout(pending, settle, Math.round(timeoutMs * 1e6)),
        { signal: finished.signal },
      )
      .then(() => leave(elapsed), leave);
  }

  // What a close ends while it waits has the code of what it ends in the system.
  #canceled(): IOError {
    const { backend } = this.#operations;
    return operationError(OPCODE_ACCEPT, -constants.errno.ECANCELED, backend);
  }

  async #close(): Promise<void> {
    this.#operations.forgotten.release(this);
    this.#operations.cancel(this.#timer);
    const error = this.#canceled();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    const closing = this.#accepted.splice(0).map((taken) => this.#operations.close(taken));
    closing.push(this.#operations.close(this.#descriptor));
    await Promise.all(closing);
  }
}

function acceptError(code: string, why: string, signal?: AbortSignal): IOError {
  const message = `accept ${why}`;
  return new IOError({ code, operation: "accept", message, cause: signal?.reason });
}
