// The verbs that receive into lent memory. They are part of the ring: see ring.ts.

import * as abi from "../engine/abi.js";
import { BufferGroup, type BufferGroupOptions } from "../receiving/group.js";
import { LentCompletion } from "../receiving/lent_completion.js";
import type { LentMemory } from "../receiving/lent_memory.js";
import { checkInstance, checkOptions, flag, knowsOnly } from "../support/check.js";
import type { Callback } from "./completion.js";
import { SocketVerbs } from "./ring_sockets.js";
import type { Descriptor } from "./types.js";

const DEFAULT_PIECE_BYTES = 16 * 1024;
const DEFAULT_LIMIT_BYTES = 4 * 1024 * 1024;
const LIMIT_BYTES_MOST = 0x7fffffff;
const GROUP = knowsOnly("bufferGroup", "pieceBytes", "limitBytes", "messages");

/** The verbs of {@link Ring} that lend memory. */
export abstract class LentVerbs extends SocketVerbs {
  /**
   * Memory to lend, for {@link receiveMultishot} or, with `messages`, {@link
   * receiveMessageMultishot}. It is there until it or the IO is closed.
   */
  bufferGroup(options?: BufferGroupOptions | null): BufferGroup {
    this.queue.check("bufferGroup");
    checkOptions(options, GROUP);
    const pieceBytes = options?.pieceBytes ?? DEFAULT_PIECE_BYTES;
    const limitBytes = options?.limitBytes ?? DEFAULT_LIMIT_BYTES;
    const messages = flag(options?.messages, false, "messages", "bufferGroup");
    return new BufferGroup(this.queue, this.memory, { pieceBytes, limitBytes, messages });
  }

  /**
   * Receives again and again into memory that `group` lends: the callback is given the bytes
   * received each time, which stand at `completion.offset` in piece `completion.piece` of the group
   * until they are given back. 0 is the end of the stream. `completion.active` is false on the last
   * call; with a result above 0 that is no end, and the program starts the receive again. -ENOBUFS
   * says that everything is lent: start it again when something was given back.
   *
   * The receive ends by itself when about `limitBytes` have come, or earlier when the pieces run
   * out; 0 is no limit. io_uring knows a limit since Linux 6.17, and gives more before. With one of
   * 256 KiB or so fast streams cost least: since 6.18 the kernel may then fill several pieces at
   * once. It cannot be linked.
   *
   * @example
   * ```ts
   * import { IO, LentCompletion } from "@io/core";
   *
   * await using io = await IO.open();
   * await using listener = await io.listen({ port: 0 });
   * const connecting = io.connect({ port: listener.address.port });
   * await using served = await listener.accept();
   * await using socket = await connecting;
   * const group = io.ring.bufferGroup({ pieceBytes: 4096 });
   * const ended = new Promise<void>((resolve) => {
   *   const { ring } = io;
   *   ring.receiveMultishot(new LentCompletion(), (lent, result) => {
   *     if (result <= 0) return resolve();
   *     const bytes = group.view(lent.piece, lent.offset, result);
   *     process.stdout.write(`${Buffer.from(bytes)}\n`);
   *     group.giveBack(lent.piece);
   *   }, served.descriptor, group);
   * });
   * await socket.sendAll(Buffer.from("hello"));
   * await socket.shutdown("send");
   * await ended;
   * ```
   */
  receiveMultishot<C>(
    completion: LentCompletion<C>,
    callback: (completion: LentCompletion<C>, result: number) => void,
    descriptor: Descriptor,
    group: BufferGroup,
    limitBytes = 0,
  ): void {
    this.#check(completion, group, "receiveMultishot");
    this.receiveLent(completion, callback, descriptor, group, limitBytes);
  }

  /** The same into any memory that is lent. @internal */
  receiveLent<C>(
    completion: LentCompletion<C>,
    callback: (completion: LentCompletion<C>, result: number) => void,
    descriptor: Descriptor,
    group: LentMemory,
    limitBytes: number,
  ): void {
    this.queue.check("receiveMultishot");
    this.checkWhole(limitBytes, LIMIT_BYTES_MOST, "receiveMultishot", "limitBytes");
    this.checked(() => group.prepare("receiveMultishot", false));
    const opcode = abi.OPCODE_RECEIVE_MULTISHOT;
    const at = this.descriptor(completion, callback as Callback<C>, opcode, descriptor);
    this.#take(completion, group, at);
    this.queue.doubles[at / 2 + abi.ENTRY_EXTENT] = limitBytes;
  }

  /**
   * Receives datagram after datagram into memory that `group` lends, which was made with
   * `messages`: each has a piece of its own. The callback is given the bytes of one, 0 for an empty
   * one, which stand at `completion.offset` in piece `completion.piece` until they are given back;
   * `group.readPeer()` tells who sent it and `group.truncated()` whether it was cut. It goes on
   * until `completion.active` is false: after an error, a negative result (-ENOTCONN when receiving
   * was shut down and nothing is left); and now and then
   * without one, then the program starts it again. It cannot be linked.
   *
   * @example
   * ```ts
   * import { IO, LentCompletion, Peer } from "@io/core";
   *
   * await using io = await IO.open();
   * await using socket = await io.openDatagram({ host: "127.0.0.1", port: 0 });
   * const { ring } = io;
   * const group = ring.bufferGroup({ pieceBytes: 2048, messages: true });
   * const sender = new Peer();
   * const received = new Promise<void>((resolve) => {
   *   const lent = new LentCompletion();
   *   ring.receiveMessageMultishot(lent, ({ piece, offset }, result) => {
   *     if (result < 0) return;
   *     const bytes = group.view(piece, offset, result);
   *     const { port } = group.readPeer(piece, sender).address;
   *     process.stdout.write(`${Buffer.from(bytes)} from port ${port}\n`);
   *     group.giveBack(piece);
   *     resolve();
   *   }, socket.descriptor, group);
   * });
   * await socket.sendTo(Buffer.from("hello"), socket.localAddress);
   * await received;
   * ```
   */
  receiveMessageMultishot<C>(
    completion: LentCompletion<C>,
    callback: (completion: LentCompletion<C>, result: number) => void,
    descriptor: Descriptor,
    group: BufferGroup,
  ): void {
    this.queue.check("receiveMessageMultishot");
    this.#check(completion, group, "receiveMessageMultishot");
    this.checked(() => group.prepare("receiveMessageMultishot", true));
    const opcode = abi.OPCODE_RECEIVE_MESSAGE_MULTISHOT;
    const at = this.descriptor(completion, callback as Callback<C>, opcode, descriptor);
    this.#take(completion, group, at);
  }

  #check(completion: unknown, group: unknown, operation: string): void {
    this.checked(() => {
      checkInstance(completion, LentCompletion, "a LentCompletion", "the completion", operation);
      checkInstance(group, BufferGroup, "what bufferGroup() returns", "the group", operation);
    });
  }

  #take<C>(completion: LentCompletion<C>, group: LentMemory, at: number): void {
    completion.group = group;
    completion.held = group;
    group.begin();
    this.queue.words[at + abi.ENTRY_ARGUMENT] = group.handle;
  }
}
