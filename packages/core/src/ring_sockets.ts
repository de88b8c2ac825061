// The verbs of sockets. They are part of the ring: see ring.ts.
import { type Address, familyNumber } from "./address.js";
import type { Callback, Completion } from "./completion.js";
import * as abi from "./internal/abi.js";
import { Verbs } from "./internal/verbs.js";
import type { Descriptor } from "./ring.js";

/** What a shut down socket stops doing. */
export type ShutdownHow = "receive" | "send" | "both";

const SHUTDOWN_NUMBERS = {
  receive: abi.SHUTDOWN_RECEIVE,
  send: abi.SHUTDOWN_SEND,
  both: abi.SHUTDOWN_BOTH,
} as const;

/** The verbs of {@link Ring} that work on sockets. */
export abstract class SocketVerbs extends Verbs {
  /** Makes a stream socket; completes with its descriptor. */
  socket<C>(completion: Completion<C>, family: Address["family"], callback: Callback<C>): void {
    this.queue.check("socket");
    const number = familyNumber(family);
    const at = this.queue.begin(completion, abi.OPCODE_SOCKET, callback);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = number;
  }

  /** Gives a socket its own address; completes with 0. It cannot be linked. */
  bind<C>(
    completion: Completion<C>,
    descriptor: Descriptor,
    address: Address,
    callback: Callback<C>,
  ): void {
    this.queue.check("bind");
    this.addressed(completion, abi.OPCODE_BIND, "bind", descriptor, address, callback);
  }

  /** Lets a bound socket take connections, `backlog` waiting ones at most. It cannot be linked. */
  listen<C>(
    completion: Completion<C>,
    descriptor: Descriptor,
    backlog: number,
    callback: Callback<C>,
  ): void {
    this.queue.check("listen");
    const at = this.descriptor(completion, abi.OPCODE_LISTEN, descriptor, callback);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = backlog;
  }

  /** Takes one connection; completes with its descriptor. */
  accept<C>(completion: Completion<C>, descriptor: Descriptor, callback: Callback<C>): void {
    this.queue.check("accept");
    this.descriptor(completion, abi.OPCODE_ACCEPT, descriptor, callback);
  }

  /**
   * Takes connections until it is cancelled or fails: the callback is given a descriptor each time,
   * and `completion.active` is false on the last call. A multishot operation may end at any time
   * without an error; then start it again.
   */
  acceptMultishot<C>(
    completion: Completion<C>,
    descriptor: Descriptor,
    callback: Callback<C>,
  ): void {
    this.queue.check("acceptMultishot");
    this.descriptor(completion, abi.OPCODE_ACCEPT_MULTISHOT, descriptor, callback);
  }

  /** Connects a socket; completes with 0. */
  connect<C>(
    completion: Completion<C>,
    descriptor: Descriptor,
    address: Address,
    callback: Callback<C>,
  ): void {
    this.queue.check("connect");
    this.addressed(completion, abi.OPCODE_CONNECT, "connect", descriptor, address, callback);
  }

  /** Sends `buffer`; completes with the bytes that the kernel took, which may be fewer. */
  send<C>(
    completion: Completion<C>,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
    callback: Callback<C>,
  ): void {
    this.queue.check("send");
    this.transfer(completion, abi.OPCODE_SEND, "send", descriptor, buffer, callback);
  }

  /** Sends several buffers in turn (gather), up to 1,024 of them. */
  sendVectored<C>(
    completion: Completion<C>,
    descriptor: Descriptor,
    buffers: readonly ArrayBufferView[],
    callback: Callback<C>,
  ): void {
    this.queue.check("sendVectored");
    const opcode = abi.OPCODE_SEND_VECTORED;
    this.vectored(completion, opcode, "sendVectored", descriptor, buffers, callback);
  }

  /** Receives into `buffer`; completes with the bytes received, 0 when the peer has ended. */
  receive<C>(
    completion: Completion<C>,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
    callback: Callback<C>,
  ): void {
    this.queue.check("receive");
    this.transfer(completion, abi.OPCODE_RECEIVE, "receive", descriptor, buffer, callback);
  }

  /** Ends one or both directions of a socket; completes with 0. */
  shutdown<C>(
    completion: Completion<C>,
    descriptor: Descriptor,
    how: ShutdownHow,
    callback: Callback<C>,
  ): void {
    this.queue.check("shutdown");
    const at = this.descriptor(completion, abi.OPCODE_SHUTDOWN, descriptor, callback);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = SHUTDOWN_NUMBERS[how];
  }
}
