// The verbs that receive into buffers of a group. They are part of the ring: see ring.ts.

import * as abi from "../engine/abi.js";
import { BufferGroup, type BufferGroupOptions } from "../receiving/buffer_group.js";
import type { ChunkSource } from "../receiving/chunk_source.js";
import { MultishotCompletion } from "../receiving/multishot_completion.js";
import { checkInstance, checkOptions, flag, knowsOnly } from "../support/check.js";
import type { Callback } from "./completion.js";
import { SocketVerbs } from "./ring_sockets.js";
import type { Descriptor } from "./types.js";

const DEFAULT_BUFFER_BYTES = 16 * 1024;
const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;
const MAX_BYTES_LIMIT = 0x7fffffff;
const GROUP = knowsOnly("bufferGroup", "bufferBytes", "maxBytes", "messages");

/** The verbs of {@link Ring} that receive into a {@link BufferGroup}. */
export abstract class MultishotVerbs extends SocketVerbs {
  /**
   * Makes a group of buffers, for {@link receiveMultishot} or, with `messages`, {@link
   * receiveMessageMultishot}. It exists until it or the IO is closed.
   *
   * @param options The size of a buffer, and of all of them.
   * @returns the group; `using` or `close()` frees it
   * @throws `ERR_IO_CLOSED`; `ENOSPC` when the IO has 256 groups; the codes of a refused argument:
   *   {@link IOError.code}
   */
  bufferGroup(options?: BufferGroupOptions | null): BufferGroup {
    this.queue.check("bufferGroup");
    checkOptions(options, GROUP);
    const bufferBytes = options?.bufferBytes ?? DEFAULT_BUFFER_BYTES;
    const maxBytes = options?.maxBytes ?? DEFAULT_MAX_BYTES;
    const messages = flag(options?.messages, false, "messages", "bufferGroup");
    return new BufferGroup(this.queue, this.memory, { bufferBytes, maxBytes, messages });
  }

  /**
   * Receives again and again into buffers of `group`. Each call of the callback is given how many
   * bytes came: they begin at `completion.offset` of buffer `completion.bufferId`, and are the
   * program's until it releases that buffer, once for each call. 0 is the end of the stream.
   * `completion.active` is false on the last call. A last call with a result above 0 is not the end
   * of the stream: start the receive again. With -ENOBUFS the program holds all buffers: start the
   * receive again when `group.available()` resolves.
   *
   * The receive ends by itself when about `maxBytes` have come, or earlier when no buffer is left;
   * 0 is no limit. io_uring knows a limit since Linux 6.17, and gives more before. With a limit of
   * 256 KiB or so fast streams cost least: since 6.18 the kernel may then fill several buffers at
   * once. In a chain it can be the last one.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param group The buffers to receive into.
   * @param maxBytes Bytes after which the receive ends by itself, 0 to 2^31 - 1; 0 (the default)
   *   for no limit.
   * @throws As every verb: see {@link Ring}
   *
   * @example
   * ```ts
   * import { IO, MultishotCompletion } from "@io/core";
   *
   * await using io = await IO.open();
   * await using listener = await io.listen({ port: 0 });
   * const connecting = io.connect({ port: listener.address.port });
   * await using served = await listener.accept();
   * await using socket = await connecting;
   * const group = io.ring.bufferGroup({ bufferBytes: 4096 });
   * const ended = new Promise<void>((resolve) => {
   *   const { ring } = io;
   *   const receiving = new MultishotCompletion();
   *   ring.receiveMultishot(receiving, (received, result) => {
   *     if (result <= 0) return resolve();
   *     const bytes = group.view(received.bufferId, received.offset, result);
   *     process.stdout.write(`${Buffer.from(bytes)}\n`);
   *     group.release(received.bufferId);
   *   }, served.descriptor, group);
   * });
   * await socket.sendAll(Buffer.from("hello"));
   * await socket.shutdown("send");
   * await ended;
   * ```
   */
  receiveMultishot<C>(
    completion: MultishotCompletion<C>,
    callback: (completion: MultishotCompletion<C>, result: number) => void,
    descriptor: Descriptor,
    group: BufferGroup,
    maxBytes = 0,
  ): void {
    this.#check(completion, group, "receiveMultishot");
    this.receiveInto(completion, callback, descriptor, group, maxBytes);
  }

  /** The same into a group or into the area of a network device. @internal */
  receiveInto<C>(
    completion: MultishotCompletion<C>,
    callback: (completion: MultishotCompletion<C>, result: number) => void,
    descriptor: Descriptor,
    group: ChunkSource,
    maxBytes: number,
  ): void {
    this.queue.checkText("receiveMultishot", completion);
    this.checkWhole(maxBytes, MAX_BYTES_LIMIT, "receiveMultishot", "maxBytes");
    group.prepare("receiveMultishot", false);
    const opcode = abi.OPCODE_RECEIVE_MULTISHOT;
    const at = this.descriptor(completion, callback as Callback<C>, opcode, descriptor);
    this.#take(completion, group, at);
    this.queue.doubles[at / 2 + abi.ENTRY_EXTENT] = maxBytes;
  }

  /**
   * Receives datagram after datagram into buffers of `group`, which was made with `messages`: each
   * has a buffer of its own. The callback is given the bytes of one, 0 for an empty one. They begin
   * at `completion.offset` of buffer `completion.bufferId` and are the program's until it releases
   * that buffer. `group.sender()` reads who sent the datagram, and `group.truncated()` says
   * whether it was cut. `completion.active` is false on the last call. That comes after an error, a
   * negative result (-ENOTCONN when receiving was shut down and nothing is left), and now and then
   * without one: then the program starts it again. In a chain it can be
   * the last one.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param group The buffers to receive into.
   * @throws As every verb: see {@link Ring}
   *
   * @example
   * ```ts
   * import { IO, MultishotCompletion, SocketAddress } from "@io/core";
   *
   * await using io = await IO.open();
   * await using socket = await io.openDatagram({ host: "127.0.0.1", port: 0 });
   * const { ring } = io;
   * const group = ring.bufferGroup({ bufferBytes: 2048, messages: true });
   * const sender = new SocketAddress();
   * const received = new Promise<void>((resolve) => {
   *   const receiving = new MultishotCompletion();
   *   ring.receiveMessageMultishot(receiving, ({ bufferId, offset }, result) => {
   *     if (result < 0) return;
   *     const bytes = group.view(bufferId, offset, result);
   *     const port = group.sender(bufferId, sender).address?.port;
   *     process.stdout.write(`${Buffer.from(bytes)} from port ${port}\n`);
   *     group.release(bufferId);
   *     resolve();
   *   }, socket.descriptor, group);
   * });
   * await socket.sendTo(Buffer.from("hello"), socket.localAddress);
   * await received;
   * ```
   */
  receiveMessageMultishot<C>(
    completion: MultishotCompletion<C>,
    callback: (completion: MultishotCompletion<C>, result: number) => void,
    descriptor: Descriptor,
    group: BufferGroup,
  ): void {
    this.queue.checkText("receiveMessageMultishot", completion);
    this.#check(completion, group, "receiveMessageMultishot");
    group.prepare("receiveMessageMultishot", true);
    const opcode = abi.OPCODE_RECEIVE_MESSAGE_MULTISHOT;
    const at = this.descriptor(completion, callback as Callback<C>, opcode, descriptor);
    this.#take(completion, group, at);
  }

  #check(completion: unknown, group: unknown, operation: string): void {
    checkInstance(
      completion,
      MultishotCompletion,
      "a MultishotCompletion",
      "the completion",
      operation,
    );
    checkInstance(group, BufferGroup, "what bufferGroup() returns", "the group", operation);
  }

  #take<C>(completion: MultishotCompletion<C>, group: ChunkSource, at: number): void {
    completion._group = group;
    completion._held = group;
    group.begin();
    this.queue.words[at + abi.ENTRY_ARGUMENT] = group.handle;
  }
}
