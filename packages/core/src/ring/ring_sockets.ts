// The verbs of sockets. They are part of the ring: see ring.ts.
import { type Address, familyNumber } from "../address.js";
import * as abi from "../engine/abi.js";
import type { Region } from "../engine/memory.js";
import { IOError, numberError } from "../errors.js";
import type { RawOptionValue } from "../sockets/option_types.js";
import { type OptionTarget, readRaw, setRaw } from "../sockets/options.js";
import { SocketAddress } from "../sockets/socket_address.js";
import { checkInstance, shown } from "../support/check.js";
import type { Callback, Completion } from "./completion.js";
import { ControlVerbs } from "./ring_control.js";
import type { Descriptor, ZeroCopy } from "./types.js";

/**
 * The directions of a socket that end: "send", and the peer sees the end of the stream; "receive";
 * or "both".
 *
 * @category Sockets
 */
export type ShutdownHow = "receive" | "send" | "both";

/**
 * What a socket carries: bytes in order, messages of no connection, or ("seqpacket", of unix
 * sockets alone, and not on macOS) messages of a connection.
 *
 * @category Ring
 */
export type SocketKind = "stream" | "datagram" | "seqpacket";

/** Connections that may wait, at most. */
export const MAX_BACKLOG = 0x7fffffff;

const KIND_NUMBERS = {
  stream: abi.SOCKET_KIND_STREAM,
  datagram: abi.SOCKET_KIND_DATAGRAM,
  seqpacket: abi.SOCKET_KIND_SEQPACKET,
} as const;

const SHUTDOWN_NUMBERS = {
  receive: abi.SHUTDOWN_RECEIVE,
  send: abi.SHUTDOWN_SEND,
  both: abi.SHUTDOWN_BOTH,
} as const;

/** The verbs of {@link Ring} that work on sockets. */
export abstract class SocketVerbs extends ControlVerbs {
  /**
   * Makes a socket, for a stream unless told otherwise; completes with its descriptor.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param family "ipv4", "ipv6", "unix" or "vsock".
   * @param kind "stream" (the default), "datagram" or "seqpacket"; "vsock" has streams alone.
   * @throws As every verb: see {@link Ring}
   */
  socket<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    family: Address["family"],
    kind: SocketKind = "stream",
  ): void {
    this.queue.checkText("socket", completion);
    const number = familyNumber(family, "socket");
    const kindNumber = this.oneOf(kind, KIND_NUMBERS, "the kind", "socket");
    const at = this.queue.begin(completion, callback, abi.OPCODE_SOCKET);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = number;
    this.queue.words[at + abi.ENTRY_ARGUMENT_EXTRA] = kindNumber;
  }

  /**
   * Gives a socket its own address; completes with 0. A path of a unix socket gets a file. Its mode
   * follows the process's mask (`process.umask()`) at the time of the call; behind others in a
   * chain, the mask at the time at which it starts.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param address The address: `{ family, host, port }`, `{ family, path }` or `{ family, cid,
   *   port }`.
   * @throws As every verb: see {@link Ring}
   */
  bind<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    address: Address,
  ): void {
    this.queue.checkText("bind", completion);
    this.addressed(completion, callback, abi.OPCODE_BIND, "bind", descriptor, address);
  }

  /**
   * Lets a bound socket take connections, `backlog` waiting ones at most.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param backlog Connections that may wait in the kernel, 0 to 2^31 - 1.
   * @throws As every verb: see {@link Ring}
   */
  listen<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    backlog: number,
  ): void {
    this.queue.checkText("listen", completion);
    this.checkWhole(backlog, MAX_BACKLOG, "listen", "the backlog");
    const at = this.descriptor(completion, callback, abi.OPCODE_LISTEN, descriptor);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = backlog;
  }

  /**
   * Takes one connection; completes with its descriptor.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @throws As every verb: see {@link Ring}
   */
  accept<C>(completion: Completion<C>, callback: Callback<C>, descriptor: Descriptor): void {
    this.queue.checkText("accept", completion);
    this.descriptor(completion, callback, abi.OPCODE_ACCEPT, descriptor);
  }

  /**
   * Takes connections until it is cancelled or fails: the callback is given a descriptor each time,
   * and `completion.active` is false on the last call. A multishot operation may end at any time
   * without an error; then start it again.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @throws As every verb: see {@link Ring}
   */
  acceptMultishot<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
  ): void {
    this.queue.checkText("acceptMultishot", completion);
    this.descriptor(completion, callback, abi.OPCODE_ACCEPT_MULTISHOT, descriptor);
  }

  /**
   * Connects a socket; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param address The address: `{ family, host, port }`, `{ family, path }` or `{ family, cid,
   *   port }`.
   * @throws As every verb: see {@link Ring}
   */
  connect<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    address: Address,
  ): void {
    this.queue.checkText("connect", completion);
    this.addressed(completion, callback, abi.OPCODE_CONNECT, "connect", descriptor, address);
  }

  /**
   * Ends what `connect` did on a datagram socket; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @throws As every verb: see {@link Ring}
   */
  disconnect<C>(completion: Completion<C>, callback: Callback<C>, descriptor: Descriptor): void {
    this.queue.checkText("disconnect", completion);
    this.descriptor(completion, callback, abi.OPCODE_DISCONNECT, descriptor);
  }

  /**
   * Sends `buffer`; completes with the bytes that the kernel took, which may be fewer.
   *
   * A send that spares the copy (see {@link ZeroCopy}) may call back twice, both times with its
   * count. The first time `completion.active` is still true: it is sent, and the memory is still
   * the kernel's. The last time it is false, and the memory is yours. It calls once when both are
   * known at the same time, when it went as a plain send, and when it failed.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param buffer The memory, which is the kernel's until the final callback.
   * @param zeroCopy Whether to spare the copy; "never" by default.
   * @param more Of a stream: more follows at once, so a part of a packet may wait for that
   *   (MSG_MORE); `false` by default. macOS and the BSDs send at once in any case.
   * @throws As every verb: see {@link Ring}
   */
  send<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
    zeroCopy: ZeroCopy | null = "never",
    more = false,
  ): void {
    this.queue.check("send");
    const mode = this.#sendMode(zeroCopy, more, "send");
    const at = this.transfer(completion, callback, abi.OPCODE_SEND, "send", descriptor, buffer);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = mode;
    const { reuses } = this.memory;
    if (reuses !== null) this.checkSent(completion, reuses, "send", buffer);
  }

  /**
   * Sends several buffers in turn (gather), up to 1,024 of them. Zero copy is as with {@link send}.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param buffers The memory in order, up to 1,024 views; the kernel's until the final callback.
   * @param zeroCopy Whether to spare the copy; "never" by default.
   * @param more Of a stream: more follows at once, as with {@link send}; `false` by default.
   * @throws As every verb: see {@link Ring}
   */
  sendVectored<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffers: readonly ArrayBufferView[],
    zeroCopy: ZeroCopy | null = "never",
    more = false,
  ): void {
    this.queue.checkText("sendVectored", completion);
    const mode = this.#sendMode(zeroCopy, more, "sendVectored");
    const opcode = abi.OPCODE_SEND_VECTORED;
    const at = this.vectored(completion, callback, opcode, "sendVectored", descriptor, buffers);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = mode;
    const { reuses } = this.memory;
    if (reuses !== null) this.checkSent(completion, reuses, "sendVectored", buffers);
  }

  /**
   * Sends up to `lengthBytes` of a file from `offset`, without passing through memory of the
   * program; completes with the bytes that the kernel took, which may be fewer, and 0 at the end of
   * the file. Where `io.capabilities.sendFile` is "copied" it completes with -EOPNOTSUPP, and so
   * does on io_uring one of a file of FUSE or a network file system. `socket.sendFile()` works
   * everywhere.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param file The descriptor of the file.
   * @param offset Where to begin in the file, in bytes.
   * @param lengthBytes How many bytes at most.
   * @throws As every verb: see {@link Ring}
   */
  sendFile<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    file: Descriptor,
    offset: number,
    lengthBytes: number,
  ): void {
    this.queue.checkText("sendFile", completion);
    this.checkSize(offset, "sendFile", "offset");
    this.checkSize(lengthBytes, "sendFile", "lengthBytes");
    this.checkDescriptor(file, abi.OPCODE_SEND_FILE);
    const at = this.descriptor(completion, callback, abi.OPCODE_SEND_FILE, descriptor);
    const { words, doubles } = this.queue;
    words[at + abi.ENTRY_ARGUMENT] = file;
    words[at + abi.ENTRY_LENGTH] = Math.min(lengthBytes, abi.TRANSFER_LIMIT_BYTES);
    doubles[at / 2 + abi.ENTRY_OFFSET] = offset;
  }

  /**
   * Receives into `buffer`; completes with the bytes received, 0 when the peer has ended.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param buffer The memory, which is the kernel's until the final callback.
   * @throws As every verb: see {@link Ring}
   */
  receive<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
  ): void {
    this.queue.check("receive");
    this.transfer(completion, callback, abi.OPCODE_RECEIVE, "receive", descriptor, buffer);
  }

  /**
   * Receives into several buffers in turn (scatter), up to 1,024; completes with the bytes
   * received, 0 when the peer has ended.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param buffers The memory in order, up to 1,024 views; the kernel's until the final callback.
   * @throws As every verb: see {@link Ring}
   */
  receiveVectored<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffers: readonly ArrayBufferView[],
  ): void {
    this.queue.checkText("receiveVectored", completion);
    const opcode = abi.OPCODE_RECEIVE_VECTORED;
    this.vectored(completion, callback, opcode, "receiveVectored", descriptor, buffers);
  }

  /**
   * Receives into `buffer` and leaves the bytes in the socket, for the next receive; completes with
   * how many, 0 when the peer has ended.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param buffer The memory, which is the kernel's until the final callback.
   * @throws As every verb: see {@link Ring}
   */
  peek<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
  ): void {
    this.queue.checkText("peek", completion);
    this.transfer(completion, callback, abi.OPCODE_PEEK, "peek", descriptor, buffer);
  }

  /**
   * Sends one datagram, to `target` or, when that is null, to the peer of a connected socket;
   * completes with its bytes. Several buffers, up to 1,024, are sent as one datagram (gather). Zero
   * copy is as with {@link send}.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param message The bytes, or up to 1,024 views; the kernel's until the final callback.
   * @param target The receiver; null for the peer of a connected socket.
   * @param zeroCopy Whether to spare the copy; "never" by default.
   * @throws As every verb: see {@link Ring}
   */
  sendMessage<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    message: ArrayBufferView | readonly ArrayBufferView[],
    target: SocketAddress | null,
    zeroCopy: ZeroCopy | null = "never",
  ): void {
    this.queue.checkText("sendMessage", completion);
    const mode = this.zeroCopyMode(zeroCopy, "sendMessage");
    if (target !== null) {
      this.#checkAddress(target, "a SocketAddress or null", "the target", "sendMessage");
    }
    this.message(completion, callback, descriptor, message, target, mode);
  }

  /**
   * Receives one datagram into `buffer`, and who sent it into `sender`; completes with the bytes, 0
   * for an empty one. What did not fit is lost, and `sender.truncated` says so. One receive at a
   * time may use a SocketAddress ("ERR_IO_ADDRESS_ACTIVE").
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param buffer The memory, which is the kernel's until the final callback.
   * @param sender What the sender is written into.
   * @throws As every verb: see {@link Ring}; `ERR_IO_ADDRESS_ACTIVE` when another receive writes
   *   into `sender`
   */
  receiveMessage<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
    sender: SocketAddress,
  ): void {
    this.#message(completion, callback, abi.OPCODE_RECEIVE_MESSAGE, descriptor, buffer, sender);
  }

  /**
   * The same, and leaves the datagram in the socket, for the next receive.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param buffer The memory, which is the kernel's until the final callback.
   * @param sender What the sender is written into.
   * @throws As {@link receiveMessage}
   */
  peekMessage<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
    sender: SocketAddress,
  ): void {
    this.#message(completion, callback, abi.OPCODE_PEEK_MESSAGE, descriptor, buffer, sender);
  }

  /**
   * Ends one or both directions of a socket; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param how "send", "receive" or "both".
   * @throws As every verb: see {@link Ring}
   */
  shutdown<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    how: ShutdownHow,
  ): void {
    this.queue.checkText("shutdown", completion);
    const number = this.oneOf(how, SHUTDOWN_NUMBERS, "the direction", "shutdown");
    const at = this.descriptor(completion, callback, abi.OPCODE_SHUTDOWN, descriptor);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = number;
  }

  /**
   * Sets an option of a socket: setsockopt(2), which never waits and so is no operation.
   *
   * @param descriptor A descriptor of this IO.
   * @param level The level: its number, or its name in the system's headers ("IPPROTO_TCP").
   * @param name The option: its number, or its name in the system's headers ("TCP_NODELAY").
   * @param value A number of 32 bits, a flag, bytes in the system's own layout, or text.
   * @throws `ERR_IO_CLOSED`, also for what is no descriptor of this IO; what setsockopt(2) said;
   *   the codes of a refused argument: {@link IOError.code}
   */
  setOption(
    descriptor: Descriptor,
    level: number | string,
    name: number | string,
    value: RawOptionValue,
  ): void {
    setRaw(this.#optionTarget(descriptor, "setOption"), level, name, value);
  }

  /**
   * Reads an option of a socket: getsockopt(2), which never waits and so is no operation.
   *
   * @param descriptor A descriptor of this IO.
   * @param level The level: its number, or its name in the system's headers ("SOL_SOCKET").
   * @param name The option: its number, or its name in the system's headers ("SO_ERROR").
   * @param sizeBytes How many bytes the system may write; 4 by default, 65,536 at most.
   * @returns what the system has written, in its own layout; its length is what that was
   * @throws `ERR_IO_CLOSED`, also for what is no descriptor of this IO; what getsockopt(2) said;
   *   the codes of a refused argument: {@link IOError.code}
   */
  getOption(
    descriptor: Descriptor,
    level: number | string,
    name: number | string,
    sizeBytes?: number | null,
  ): Buffer {
    return readRaw(this.#optionTarget(descriptor, "getOption"), level, name, sizeBytes ?? 4);
  }

  #message<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    opcode: number,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
    sender: SocketAddress,
  ): void {
    const peeks = opcode === abi.OPCODE_PEEK_MESSAGE;
    const operation = peeks ? "peekMessage" : "receiveMessage";
    this.queue.checkText(operation, completion);
    this.#checkAddress(sender, "a SocketAddress", "the sender", operation);
    const region = this.region(sender.record, operation);
    if (region.inFlight > 0) throw addressActive(operation);
    region.inFlight++; // before making room for the buffer could release it
    let at: number;
    try {
      at = this.transfer(completion, callback, opcode, operation, descriptor, buffer);
    } catch (error) {
      region.finish();
      throw error;
    }
    sender.held[0] = completion._held as Region;
    sender.held[1] = region;
    completion._held = sender.held;
    this.queue.words[at + abi.ENTRY_ARGUMENT] = region.handle;
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = sender.record.byteOffset - region.handleStart;
  }

  #sendMode(zeroCopy: ZeroCopy | null, more: boolean, operation: string): number {
    const mode = this.zeroCopyMode(zeroCopy, operation);
    if (more === false) return mode;
    return this.flag(more, false, "more", operation) ? mode | abi.SEND_MORE : mode;
  }

  #optionTarget(descriptor: Descriptor, operation: string): OptionTarget {
    this.queue.check(operation);
    if (!Number.isInteger(descriptor) || (descriptor | 0) !== descriptor) {
      const message = `the descriptor is ${shown(descriptor)}: give that of a socket`;
      throw numberError(operation, descriptor, message);
    }
    const { session } = this.queue;
    return { session, number: descriptor, backend: session.backend };
  }

  #checkAddress(given: SocketAddress, right: string, name: string, operation: string): void {
    if (SocketAddress.isOne(given)) return;
    checkInstance(given, SocketAddress, right, name, operation);
  }
}

function addressActive(operation: string): IOError {
  const why = "another receive writes into this SocketAddress; wait for it, or use another";
  const message = `${operation}: ${why}`;
  return new IOError({ code: "ERR_IO_ADDRESS_ACTIVE", operation, message });
}
