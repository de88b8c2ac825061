// Receiving into borrowed buffers with promises: a stream of chunks, each of which is released.
//
// Who owns a chunk: the stream from the completion that brings it, the program from the `next` that
// takes it, until it is released; then it is memory of the group again. A stream has a bounded
// number of chunks, including those that the program has not taken yet. So a consumer that keeps
// its chunks stops its own stream: later bytes wait in the kernel, and then in the peer.
import { constants } from "node:os";
import { type Address, peerOf } from "../address.js";
import { OPCODE_RECEIVE_MESSAGE_MULTISHOT, OPCODE_RECEIVE_MULTISHOT } from "../engine/abi.js";
import type { Reserve } from "../engine/reserve.js";
import { IOError, operationError } from "../errors.js";
import { Completion } from "../ring/completion.js";
import { aborted, failed, type OperationOptions, type Operations } from "../ring/promises.js";
import type { Descriptor } from "../ring/types.js";
import { SocketAddress } from "../sockets/socket_address.js";
import { follow, unfollow } from "../support/aborts.js";
import { checkMade, checkSignal, checkTimeout } from "../support/check.js";
import { Line } from "../support/line.js";
import { Turns } from "../support/loop_turns.js";
import { type BufferGroup, MAX_CHUNKS_OF_STREAM } from "./buffer_group.js";
import type { Chunk, ChunkOwner, ChunkPlace } from "./chunk.js";
import type { ChunkPools } from "./chunk_pools.js";
import type { ChunkSource } from "./chunk_source.js";
import { KeptWatch, type Opener } from "./kept_watch.js";
import { MultishotCompletion } from "./multishot_completion.js";

const NO_BUFFERS = -constants.errno.ENOBUFS;
const CANCELED = -constants.errno.ECANCELED;
const NOT_READABLE = -constants.errno.EFAULT;
// Of one receive, after which the next is started. With more, many fast streams go through more
// memory than the processor's cache holds: 16 of them received 3,419 MB/s in chunks of 64 KiB
// with 2 MiB, 3,944 with 512 KiB and 4,627 with this.
const RECEIVE_BYTES = 256 * 1024;
// The kernel's errors for a socket that is not TCP, and for an area whose chunks are all held.
const NOT_INTO_AREA: ReadonlySet<number> = new Set([
  -constants.errno.EPROTONOSUPPORT,
  -constants.errno.ENOMEM,
]);

/**
 * How `socket.chunks()` receives.
 *
 * @category Memory
 */
export interface ChunkOptions extends OperationOptions {
  /**
   * Bytes of one chunk at most, rounded up to a power of two from 4 KiB to 1 MiB; 16 KiB by
   * default. For datagrams from 2 KiB to 1 MiB; 64 KiB by default, and what is longer is cut. All
   * streams of an `IO` with one size share their memory, as all datagram sockets do. Chunks of TCP
   * on an `IO` that was opened with `zeroCopyReceive` have a page of the system at most.
   */
  chunkBytes?: number | null | undefined;
}

interface Waiter<C> {
  resolve(result: IteratorResult<C, undefined> | Promise<IteratorResult<C, undefined>>): void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** The socket of a stream, as far as that has to know it. */
export interface ChunkSocket {
  readonly number: Descriptor;
  /** Its peer, for errors. */
  readonly place: Address | null;
  /** For messages: it asks the system. */
  describe(): string;
  /** Throws when the socket or its IO is closed. */
  check(operation: string): void;
}

/** What a kind of socket gives. */
export interface ChunkKind<C> {
  /** It receives messages: each has a buffer of its own, and none of them is the end. */
  readonly messages: boolean;
  makeChunk(owner: ChunkOwner, place: ChunkPlace, byteLength: number, truncated: boolean): C;
}

/**
 * The chunks that a socket receives: an async iterator, made by `socket.chunks()`.
 *
 * It receives ahead of the program, up to 32 chunks with those that the program has not released,
 * and fewer while the memory is scarce. Leaving the loop ends it and releases what nobody has
 * taken; chunks that the program has taken stay its own. `close()` of the socket or of the IO ends
 * the loop without an error.
 *
 * A program that waits for a chunk and holds so many that nothing more can be received is warned
 * after a second: an `IOWarning` with code "IO_CHUNKS_KEPT", once for a stream, which names the
 * place where `chunks()` was called.
 *
 * @category Memory
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using listener = await io.listen({ port: 0 });
 * const connecting = io.connect({ port: listener.address.port });
 * await using served = await listener.accept();
 * await using socket = await connecting;
 * await socket.sendAll("head and body");
 * await using stream = served.chunks();
 * const first = await stream.next(); // one chunk; a loop over the stream takes the rest
 * if (!first.done) {
 *   process.stdout.write(`${first.value.byteLength} bytes\n`);
 *   first.value.release();
 * }
 * ```
 */
export class ChunkStream<C extends Chunk = Chunk>
  implements AsyncIterableIterator<C>, AsyncDisposable
{
  readonly #operations: Operations;
  readonly #pools: ChunkPools;
  readonly #socket: ChunkSocket;
  readonly #kind: ChunkKind<C>;
  readonly #chunkBytes: number | undefined;
  /** Of messages: where their memory is. */
  readonly #messages: BufferGroup | null;
  #group: ChunkSource;
  readonly #completion = new MultishotCompletion<unknown>(this);
  readonly #signal: AbortSignal | undefined;
  /** Of one wait for a chunk. */
  readonly #timeoutMs: number | undefined;
  // There are as many streams as connections, so what only some of them need is made when it is.
  #timer: Completion | null = null;
  #waitingSinceMs = 0;
  readonly #arrived = new Line<C>();
  readonly #waiters = new Line<Waiter<C>>();
  #turns: Turns | null = null;
  /** The last next() of those that settle one after the other. */
  #before: Promise<IteratorResult<C, undefined>> | null = null;
  // Called when the receive has ended for good.
  #leavers: (() => void)[] | null = null;
  #onAbort: (() => void) | null = null;
  /** Chunks that are not released, here or in the program. */
  #held = 0;
  #started = false;
  /** Nothing comes any more. */
  #ended = false;
  /** Nobody wants what still comes. */
  #left = false;
  /** The receive is to end, and to go on when there is room. */
  #pausing = false;
  /** Nothing has come in time, unless something still does before the receive has ended. */
  #late = false;
  /** The group will call when there is memory, or when the stream may have more of it. */
  #waits = false;
  #waitsForMore = false;
  /** While it receives into memory of its own, because everything is lent: which. */
  #reserve: Reserve | null = null;
  #reserveId = -1;
  #sender: SocketAddress | null = null;
  /** The last receive found no memory in the area. */
  #lacked = false;
  /** Chunks that it may have, since the receive was started. */
  #allowed = 0;
  #failure: unknown;
  /** Null where the library releases the chunks. */
  readonly #kept: KeptWatch | null;

  /** @internal */
  constructor(
    operations: Operations,
    pools: ChunkPools,
    socket: ChunkSocket,
    kind: ChunkKind<C>,
    options: ChunkOptions,
    opener: Opener | null,
  ) {
    checkMade(operations, "ChunkStream", "socket.chunks()");
    this.#operations = operations;
    this.#pools = pools;
    this.#socket = socket;
    this.#kind = kind;
    const chunkBytes = options.chunkBytes ?? undefined;
    const { signal, timeoutMs } = options;
    // A signal that has aborted ends the stream, not this call.
    if (signal !== undefined && signal !== null) checkSignal(signal, "chunks");
    if (timeoutMs !== undefined && timeoutMs !== null) checkTimeout(timeoutMs, "chunks");
    this.#chunkBytes = chunkBytes;
    this.#messages = kind.messages ? pools.groupFor(true, chunkBytes) : null;
    this.#group = this.#messages ?? pools.memoryFor(chunkBytes);
    this.#signal = signal ?? undefined;
    this.#kept = opener === null ? null : new KeptWatch(this, opener);
    this.#timeoutMs = timeoutMs ?? undefined;
  }

  /** Whether it receives, or will. @internal */
  get active(): boolean {
    return this.#started && !this.#ended;
  }

  /**
   * The next chunk. After a rejection the stream has ended.
   *
   * @returns the chunk, or `done`
   * @throws `ABORT_ERR`, `ETIMEDOUT`, `ECANCELED`, `ERR_IO_IN_FLIGHT_LIMIT`, or the code of the
   *   connection's error
   */
  next(): Promise<IteratorResult<C, undefined>> {
    const before = this.#before;
    if (before === null) {
      const next = this.#next();
      return this.#turns?.waiting ? this.#beforeOthers(next) : next;
    }
    const next = () => this.#next();
    return this.#beforeOthers(before.then(next, next));
  }

  // A call that waits for a turn of the event loop settles before later calls.
  #beforeOthers(next: Promise<IteratorResult<C, undefined>>): typeof next {
    this.#before = next;
    const over = () => {
      if (this.#before === next) this.#before = null;
    };
    next.then(over, over);
    return next;
  }

  #next(): Promise<IteratorResult<C, undefined>> {
    const chunk = this.#arrived.shift();
    if (chunk !== undefined) {
      const result: IteratorResult<C, undefined> = { done: false, value: chunk };
      this.#turns ??= new Turns();
      const turn = this.#turns.take();
      return turn === null ? Promise.resolve(result) : turn.then(() => result);
    }
    this.#turns?.waited();
    if (!this.#started && !this.#ended) {
      try {
        this.#start();
      } catch (error) {
        this.#ended = true;
        return Promise.reject(error);
      }
    }
    if (this.#timeoutMs !== undefined && !this.#ended) this.#watchTime();
    if (this.#ended) return this.#end();
    return new Promise((resolve) => {
      this.#waiters.push({ resolve });
      this.#go();
      if (this.#starves) this.#kept?.begin();
    });
  }

  /**
   * Ends the receiving, as leaving a `for await` loop does: bytes that have come and that the
   * program has not taken are dropped. Resolves when the socket is free for other receives.
   *
   * @returns `done`
   */
  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#leave();
    if (this.#completion.active) {
      await new Promise<void>((resolve) => {
        this.#leavers ??= [];
        this.#leavers.push(resolve);
      });
    }
    return DONE;
  }

  /**
   * Itself.
   *
   * @returns itself
   */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Ends the receiving: what `await using` calls. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  // The program waits for a chunk, and nothing can come before it releases one.
  get #starves(): boolean {
    return this.#held > 0 && this.#waiters.length > 0 && !this.#completion.active && !this.#ended;
  }

  /** For the warning of `io.close()`. @internal */
  describe(): { kept: number; address: string } {
    return { kept: this.#held - this.#arrived.length, address: this.#socket.describe() };
  }

  /** A chunk of it was released. @internal */
  onReleased(): void {
    this.#held--;
    if (!this.#ended) {
      this.#go();
      if (!this.#starves) this.#kept?.end();
    } else if (this.#held === 0) this.#pools.forget(this);
  }

  /**
   * The socket or the IO is being closed, which ends the loop without an error. The receive in
   * flight ends by that; a stream that waits for memory ends here. Chunks that the program has not
   * taken by now are released: the memory would stay with an iterator that nobody asks any more.
   * @internal
   */
  onClosing(): void {
    this.#left = true;
    for (const chunk of this.#arrived.takeAll()) chunk.release();
    if (this.#started && !this.#completion.active) this.#finish();
  }

  // ---- starting, and going on

  #start(): void {
    this.#socket.check("chunks");
    if (this.#signal?.aborted) throw aborted("chunks", this.#signal);
    this.#started = true;
    this.#pools.remember(this);
    if (this.#signal === undefined) return;
    this.#onAbort = () => this.#aborted();
    follow(this.#signal, this.#onAbort);
  }

  // Receives when it may have more chunks, and when there is memory for one. A program that waits
  // for a chunk gets any space there is; for a busy program an operation is worth it only with half
  // of the space free. A stream that holds no chunk never waits for the others.
  #go(): void {
    if (this.#ended || this.#completion.active) return;
    if (this.#waits && this.#held > 0) return;
    const max = this.#group.share;
    const room = max - this.#held;
    const hungry = this.#waiters.length > 0;
    if (room <= 0 || (!hungry && room < max >> 1)) {
      if (max < MAX_CHUNKS_OF_STREAM) this.#waitForMore();
      return;
    }
    this.#allowed = max;
    try {
      this.#socket.check("chunks");
      if (this.#held === 0 && this.#group.exhausted) this.#receiveInReserve();
      else this.#receive(room);
    } catch (error) {
      this.#fail(error);
    }
  }

  #receive(room: number): void {
    this.#operations.apart();
    const { ring } = this.#operations;
    const { number: descriptor } = this.#socket;
    const [completion, group, messages] = [this.#completion, this.#group, this.#messages];
    if (messages === null) {
      const chunks = Math.min(room, Math.ceil(RECEIVE_BYTES / group.bufferBytes));
      ring.receiveInto(completion, onCompletion, descriptor, group, chunks * group.bufferBytes);
    } else {
      ring.receiveMessageMultishot(completion, onCompletion, descriptor, messages);
    }
  }

  // A program may keep its chunks forever: when a peer sends and does not read, an echo waits with
  // a chunk in hand. So this stream has a buffer of its own, as long as it holds no other.
  #receiveInReserve(): void {
    const { ring } = this.#operations;
    const { number: descriptor } = this.#socket;
    const reserve = this.#pools.reserveFor(this.#messages);
    const bufferId = reserve.take();
    this.#reserve = reserve;
    this.#reserveId = bufferId;
    const room = reserve.room(bufferId);
    try {
      if (this.#messages === null) {
        ring.receive(this.#completion, onCompletion, descriptor, room);
      } else {
        this.#sender ??= new SocketAddress();
        ring.receiveMessage(this.#completion, onCompletion, descriptor, room, this.#sender);
      }
      reserve.started(bufferId);
    } catch (error) {
      this.#leaveReserve();
      throw error;
    }
  }

  #leaveReserve(): void {
    this.#reserve?.release(this.#reserveId);
    this.#reserve = null;
  }

  // There is no memory for it, or it has received as much as it may. Only the kernel knows the free
  // space of the area, so it is asked once more. Where the program holds no chunk that could come
  // back, the device uses all of the area for connections of its own.
  #lackMemory(): void {
    const { area } = this.#pools;
    if (area === null || this.#group !== area) {
      this.#lackBuffers();
    } else if (area.freePages > 0 && !this.#lacked) {
      this.#lacked = true;
      this.#go();
    } else if (area.held > 0) {
      this.#lackBuffers();
    } else {
      this.#leaveArea();
    }
  }

  #lackBuffers(): void {
    if (this.#held > 0) {
      this.#waitForMemory();
      return;
    }
    try {
      this.#receiveInReserve();
    } catch (error) {
      this.#fail(error);
    }
  }

  // The kernel cannot receive into the area from this socket, for example because it is not TCP.
  // The stream goes on in memory of its own. The refused operation has received nothing.
  #leaveArea(): void {
    this.#group = this.#pools.groupFor(false, this.#chunkBytes);
    this.#go();
  }

  // Every buffer is held.
  #waitForMemory(): void {
    if (this.#waits) return;
    this.#waits = true;
    this.#group.whenAvailable(() => {
      this.#waits = false;
      this.#lacked = false;
      if (this.#completion.active) return false; // it holds nothing and goes on without
      this.#go();
      if (!this.#completion.active) return false;
      this.#passOn();
      return true;
    });
  }

  // It may have nothing to receive while others wait that have: so the next one is called as soon
  // as the system has seen its receive, if it has left memory.
  #passOn(): void {
    const group = this.#group;
    if (!group.contended) return;
    try {
      this.#operations.ring.nop(new Completion(), () => group.passOn());
    } catch {
      // Refused, by the limit in flight or a close: no completion will follow, so it is done now.
      group.passOn();
    }
  }

  // It has as much as it may have while memory is scarce.
  #waitForMore(): void {
    if (this.#waitsForMore) return;
    this.#waitsForMore = true;
    this.#group.whenEased(() => {
      this.#waitsForMore = false;
      this.#go();
    });
  }

  /** A completion of the receive. @internal */
  onCompletion(result: number): void {
    const brought = result > 0 || (result === 0 && this.#kind.messages);
    const hadOwn = this.#reserve !== null;
    if (brought) this.#take(result);
    this.#leaveReserve();
    if (this.#completion.active) return;
    if (this.#ended) this.#unfollow();
    this.#callLeavers();
    const paused = this.#pausing;
    const late = this.#late;
    this.#pausing = false;
    this.#late = false;
    if (this.#ended) return;
    // While the socket is being closed it does not go on, whatever this receive has ended with.
    if (this.#left) this.#finish();
    else if (late && (result === CANCELED || result === NO_BUFFERS)) this.#fail(this.#lateError());
    else if (brought || (result === CANCELED && paused)) this.#go();
    else if (result === NO_BUFFERS) this.#lackMemory();
    else if (result === NOT_READABLE && hadOwn && this.#group === this.#pools.area) {
      // Only the area can hold bytes that the device has written.
      this.#waitForMemory();
    } else if (this.#group === this.#pools.area && NOT_INTO_AREA.has(result)) this.#leaveArea();
    else if (result === 0) this.#finish();
    else {
      this.#fail(this.#errorOf(result));
    }
    // The time of others that wait begins again when something has come just in time.
    const waits = !this.#ended && this.#waiters.length > 0 && !this.#timer?.active;
    if (waits && this.#timeoutMs !== undefined) this.#watchTime();
    if (this.#starves) this.#kept?.begin();
  }

  #callLeavers(): void {
    const leavers = this.#leavers;
    this.#leavers = null;
    for (const resolve of leavers ?? []) resolve();
  }

  #errorOf(result: number): IOError {
    const { backend } = this.#operations;
    const { messages } = this.#kind;
    const opcode = messages ? OPCODE_RECEIVE_MESSAGE_MULTISHOT : OPCODE_RECEIVE_MULTISHOT;
    return operationError(opcode, result, backend, { peer: peerOf(this.#socket.place) });
  }

  #take(byteLength: number): void {
    // A stream that has failed starts no further receive.
    if (this.#left || this.#ended) {
      if (this.#reserve === null) this.#group.release(this.#completion.bufferId);
      return;
    }
    this.#late = false;
    const chunk = this.#makeChunk(byteLength);
    this.#held++;
    this.#lacked = false;
    const waiter = this.#waiters.shift();
    this.#kept?.end();
    if (waiter === undefined) this.#arrived.push(chunk);
    else waiter.resolve({ done: false, value: chunk });
    // Small messages reach the number of chunks before the limit of bytes.
    if (this.#held >= this.#allowed && this.#completion.active) this.#pause();
  }

  // The kernel knows no limit for messages, so some come before a cancel has reached it. They may
  // not take what belongs to other streams.
  #makeChunk(byteLength: number): C {
    if (this.#reserve !== null) return this.#makeOwnChunk(this.#reserve, byteLength);
    const [group, kind, { bufferId, offset }] = [this.#messages, this.#kind, this.#completion];
    if (group === null) {
      return kind.makeChunk(this, { memory: this.#group, bufferId, offset }, byteLength, false);
    }
    const truncated = group.truncated(bufferId);
    if (this.#held < this.#allowed) {
      return kind.makeChunk(this, { memory: group, bufferId, offset }, byteLength, truncated);
    }
    const memory = group.moveMessage(bufferId, byteLength);
    return kind.makeChunk(this, { memory, bufferId, offset }, byteLength, truncated);
  }

  // The buffer goes with the chunk, and comes back with it.
  #makeOwnChunk(memory: Reserve, byteLength: number): C {
    const bufferId = this.#reserveId;
    const offset = memory.headBytes;
    this.#reserve = null;
    memory.markHeld(bufferId);
    const sender = this.#messages === null ? null : this.#sender;
    if (sender !== null) memory.writeSender(bufferId, sender);
    const truncated = sender?.truncated ?? false;
    return this.#kind.makeChunk(this, { memory, bufferId, offset }, byteLength, truncated);
  }

  #pause(): void {
    if (this.#pausing) return;
    this.#pausing = true;
    this.#operations.cancel(this.#completion);
  }

  // ---- ending

  // A waiting call gets the failure first, if there is one, and later calls get the end.
  #end(): Promise<IteratorResult<C, undefined>> {
    const failure = this.#failure;
    this.#failure = undefined;
    return failure === undefined ? Promise.resolve(DONE) : failed(failure);
  }

  #fail(failure: unknown): void {
    if (this.#ended) return;
    this.#failure = failure;
    this.#finish();
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#kept?.end();
    if (!this.#completion.active) this.#unfollow();
    if (this.#timer?.active) this.#operations.cancel(this.#timer);
    if (this.#completion.active) this.#operations.cancel(this.#completion);
    if (this.#held === 0) this.#pools.forget(this);
    const [first, ...others] = this.#waiters.takeAll();
    first?.resolve(this.#end());
    for (const { resolve } of others) resolve(DONE);
  }

  // It follows its signal until its receive has ended.
  #unfollow(): void {
    if (this.#signal !== undefined && this.#onAbort !== null) {
      unfollow(this.#signal, this.#onAbort);
    }
  }

  // The program has no use for what still comes.
  #leave(): void {
    this.#left = true;
    this.#started = true;
    this.#finish();
    this.#failure = undefined;
    for (const chunk of this.#arrived.takeAll()) chunk.release();
  }

  #aborted(): void {
    const signal = this.#signal as AbortSignal;
    this.#left = true;
    for (const chunk of this.#arrived.takeAll()) chunk.release();
    this.#fail(aborted("chunks", signal, { peer: peerOf(this.#socket.place) }));
  }

  // One timer for all waits: when it elapses too early for the current wait, it is set again for
  // the rest.
  #watchTime(): void {
    this.#waitingSinceMs = performance.now();
    if (!this.#timer?.active) this.#setTimer(this.#timeoutMs as number);
  }

  // An operation that cannot be started ends the stream, unless the close that refuses it is about
  // to.
  #setTimer(durationMs: number): void {
    const durationNs = Math.max(1, Math.round(durationMs * 1e6));
    try {
      this.#timer ??= new Completion();
      this.#operations.ring.timeout(this.#timer, () => this.#timeIsUp(), durationNs);
    } catch (error) {
      if (!this.#left) this.#fail(error);
    }
  }

  // Or the program has cancelled everything while the stream waited for memory and was not in
  // flight.
  #timeIsUp(): void {
    if (this.#ended || this.#waiters.length === 0) return;
    const leftMs = this.#waitingSinceMs + (this.#timeoutMs as number) - performance.now();
    if (leftMs > 0) {
      this.#setTimer(leftMs);
    } else if (this.#completion.active) {
      this.#late = true;
      this.#pause();
    } else {
      this.#fail(this.#lateError());
    }
  }

  #lateError(): IOError {
    const message = `chunks failed: ETIMEDOUT, no bytes came for ${this.#timeoutMs} ms`;
    return new IOError({ code: "ETIMEDOUT", operation: "chunks", message });
  }
}

function onCompletion(completion: Completion, result: number): void {
  (completion.context as ChunkStream).onCompletion(result);
}
