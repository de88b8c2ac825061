// The verbs of sockets. They are part of the ring: see ring.ts.
import { type Address, familyNumber } from "../address.js";
import * as abi from "../engine/abi.js";
import type { Region } from "../engine/memory.js";
import { IOError } from "../errors.js";
import { SocketAddress } from "../sockets/socket_address.js";
import { checkInstance } from "../support/check.js";
import type { Callback, Completion } from "./completion.js";
import type { Descriptor, ZeroCopy } from "./types.js";
import { Verbs } from "./verbs.js";

/** What a shut down socket stops doing. */
export type ShutdownHow = "receive" | "send" | "both";

/** What a socket carries: bytes in order, or messages. */
export type SocketKind = "stream" | "datagram";

/** Connections that may wait, at most. */
export const BACKLOG_MOST = 0x7fffffff;

const KIND_NUMBERS = {
  stream: abi.SOCKET_KIND_STREAM,
  datagram: abi.SOCKET_KIND_DATAGRAM,
} as const;

const SHUTDOWN_NUMBERS = {
  receive: abi.SHUTDOWN_RECEIVE,
  send: abi.SHUTDOWN_SEND,
  both: abi.SHUTDOWN_BOTH,
} as const;

/** The verbs of {@link Ring} that work on sockets. */
export abstract class SocketVerbs extends Verbs {
  /** Makes a socket, for a stream unless told otherwise; completes with its descriptor. */
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

  /** Gives a socket its own address; completes with 0. It cannot be linked. */
  bind<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    address: Address,
  ): void {
    this.queue.checkText("bind", completion);
    this.addressed(completion, callback, abi.OPCODE_BIND, "bind", descriptor, address);
  }

  /** Lets a bound socket take connections, `backlog` waiting ones at most. It cannot be linked. */
  listen<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    backlog: number,
  ): void {
    this.queue.checkText("listen", completion);
    this.checkWhole(backlog, BACKLOG_MOST, "listen", "the backlog");
    const at = this.descriptor(completion, callback, abi.OPCODE_LISTEN, descriptor);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = backlog;
  }

  /** Takes one connection; completes with its descriptor. */
  accept<C>(completion: Completion<C>, callback: Callback<C>, descriptor: Descriptor): void {
    this.queue.checkText("accept", completion);
    this.descriptor(completion, callback, abi.OPCODE_ACCEPT, descriptor);
  }

  /**
   * Takes connections until it is cancelled or fails: the callback is given a descriptor each time,
   * and `completion.active` is false on the last call. A multishot operation may end at any time
   * without an error; then start it again.
   */
  acceptMultishot<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
  ): void {
    this.queue.checkText("acceptMultishot", completion);
    this.descriptor(completion, callback, abi.OPCODE_ACCEPT_MULTISHOT, descriptor);
  }

  /** Connects a socket; completes with 0. */
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
   * Sends `buffer`; completes with the bytes that the kernel took, which may be fewer.
   *
   * A send that spares the copy (see {@link ZeroCopy}) may call back twice, both times with its
   * count. The first time `completion.active` is still true: it is sent, and the memory is still
   * the kernel's. The last time it is false, and the memory is yours. It calls once when both are
   * known at the same time, when it went as a plain send, and when it failed.
   */
  send<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
    zeroCopy: ZeroCopy | null = "never",
  ): void {
    this.queue.check("send");
    const mode = this.zeroCopyMode(zeroCopy, "send");
    const at = this.transfer(completion, callback, abi.OPCODE_SEND, "send", descriptor, buffer);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = mode;
    const { reuses } = this.memory;
    if (reuses !== null) this.checkSent(completion, reuses, "send", buffer);
  }

  /**
   * Sends several buffers in turn (gather), up to 1,024 of them. Zero copy is as with {@link send}.
   */
  sendVectored<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffers: readonly ArrayBufferView[],
    zeroCopy: ZeroCopy | null = "never",
  ): void {
    this.queue.checkText("sendVectored", completion);
    const mode = this.zeroCopyMode(zeroCopy, "sendVectored");
    const opcode = abi.OPCODE_SEND_VECTORED;
    const at = this.vectored(completion, callback, opcode, "sendVectored", descriptor, buffers);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = mode;
    const { reuses } = this.memory;
    if (reuses !== null) this.checkSent(completion, reuses, "sendVectored", buffers);
  }

  /**
   * Sends up to `lengthBytes` of a file from `offset`, without passing through memory of the
   * program; completes with the bytes that the kernel took, which may be fewer, and 0 at the end of
   * the file. Where `io.capabilities` calls it unsupported it completes with -EOPNOTSUPP;
   * `socket.sendFile()` works everywhere.
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

  /** Receives into `buffer`; completes with the bytes received, 0 when the peer has ended. */
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
   * Sends one datagram, to `target` or, when that is null, to the peer of a connected socket;
   * completes with its bytes. Several buffers, up to 1,024, are sent as one datagram (gather). Zero
   * copy is as with {@link send}.
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
   */
  receiveMessage<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
    sender: SocketAddress,
  ): void {
    this.queue.checkText("receiveMessage", completion);
    this.#checkAddress(sender, "a SocketAddress", "the sender", "receiveMessage");
    const region = this.region(sender.record, "receiveMessage");
    if (region.inFlight > 0) throw addressActive();
    region.inFlight++; // before making room for the buffer could release it
    let at: number;
    try {
      const opcode = abi.OPCODE_RECEIVE_MESSAGE;
      at = this.transfer(completion, callback, opcode, "receiveMessage", descriptor, buffer);
    } catch (error) {
      region.finish();
      throw error;
    }
    sender.held[0] = completion.held as Region;
    sender.held[1] = region;
    completion.held = sender.held;
    this.queue.words[at + abi.ENTRY_ARGUMENT] = region.handle;
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = sender.record.byteOffset - region.handleStart;
  }

  /** Ends one or both directions of a socket; completes with 0. */
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

  #checkAddress(given: SocketAddress, right: string, name: string, operation: string): void {
    if (given instanceof SocketAddress) return;
    checkInstance(given, SocketAddress, right, name, operation);
  }
}

function addressActive(): IOError {
  return new IOError({
    code: "ERR_IO_ADDRESS_ACTIVE",
    operation: "receiveMessage",
    message:
      "receiveMessage: another receive writes into this SocketAddress; wait for it, or use another",
  });
}
