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
import { KeptWatch } from "./kept_watch.js";
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

// Settles a call that waits. Its parameter has no type, because a stream of one kind of chunk is
// also a stream of chunks.
type Settle = (result: unknown) => void;

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

/** The signal and the time limit of a stream that was given one. */
interface Limits {
  readonly signal: AbortSignal | undefined;
  /** Of one wait for a chunk. */
  readonly timeoutMs: number | undefined;
  onAbort: (() => void) | null;
  timer: Completion | null;
  waitingSinceMs: number;
  /** Nothing has come in time, unless something still does before the receive has ended. */
  late: boolean;
}

/** What is known of a stream that has met a lack of memory. */
interface Lack {
  /** The group will call when there is memory, or when the stream may have more of it. */
  waits: boolean;
  waitsForMore: boolean;
  /** The last receive found no memory in the area. */
  inArea: boolean;
  /** While it receives into memory of its own, because everything is lent: which. */
  reserve: Reserve | null;
  reserveId: number;
  sender: SocketAddress | null;
}

// The flags of a stream: it warns of kept chunks, as it does unless the library releases them; it
// was started; nothing comes any more; the program has left the loop; the receive is to end, and to
// go on when there is room.
const WARNS = 1;
const STARTED = 2;
const ENDED = 4;
const LEFT = 8;
const PAUSING = 16;

/** What few streams ever have. */
interface Seldom<C> {
  /** The calls behind the first that waits. */
  laterWaiters: Line<Settle> | null;
  /** The last next() of those that settle one after the other. */
  before: Promise<IteratorResult<C, undefined>> | null;
  /** Called when the receive has ended for good. */
  readonly leavers: (() => void)[];
  /** What the next call that asks gets. */
  failure: unknown;
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
 * place that waits, the loop or the call of `next()`, unless that call could still receive.
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
  // There are as many streams as connections, and most of them wait for their next bytes. So what
  // only some need, or only while they have something, is made when it is needed.
  readonly #operations: Operations;
  readonly #socket: ChunkSocket;
  readonly #kind: ChunkKind<C>;
  readonly #chunkBytes: number | undefined;
  #group: ChunkSource;
  readonly #completion = new MultishotCompletion<unknown>(this);
  readonly #limits: Limits | null;
  #kept: KeptWatch | null = null;
  #arrived: Line<C> | null = null;
  /** The first call that waits. */
  #waiter: Settle | null = null;
  #turns: Turns | null = null;
  #lack: Lack | null = null;
  #seldom: Seldom<C> | null = null;
  /** Chunks that are not released, here or in the program. */
  #held = 0;
  /** Chunks that it may have, since the receive was started. */
  #allowed = 0;
  /** WARNS and the like. */
  #flags: number;

  /** @internal */
  constructor(
    operations: Operations,
    pools: ChunkPools,
    socket: ChunkSocket,
    kind: ChunkKind<C>,
    options: ChunkOptions,
    warns: boolean,
  ) {
    checkMade(operations, "ChunkStream", "socket.chunks()");
    this.#operations = operations;
    this.#socket = socket;
    this.#kind = kind;
    const chunkBytes = options.chunkBytes ?? undefined;
    this.#limits = limitsFrom(options);
    this.#chunkBytes = chunkBytes;
    this.#group = kind.messages ? pools.groupFor(true, chunkBytes) : pools.memoryFor(chunkBytes);
    this.#flags = warns ? WARNS : 0;
  }

  #is(flag: number): boolean {
    return (this.#flags & flag) !== 0;
  }

  #asSeldom(): Seldom<C> {
    this.#seldom ??= { laterWaiters: null, before: null, leavers: [], failure: undefined };
    return this.#seldom;
  }

  #forgetFailure(): void {
    if (this.#seldom !== null) this.#seldom.failure = undefined;
  }

  get #pools(): ChunkPools {
    return this.#operations.chunkPools as ChunkPools;
  }

  /** Of messages: where their memory is. */
  get #messages(): BufferGroup | null {
    return this.#kind.messages ? (this.#group as BufferGroup) : null;
  }

  /** Whether it receives, or will. @internal */
  get active(): boolean {
    return this.#is(STARTED) && !this.#is(ENDED);
  }

  /**
   * The next chunk. After a rejection the stream has ended.
   *
   * @returns the chunk, or `done`
   * @throws `ABORT_ERR`, `ETIMEDOUT`, `ECANCELED`, `ERR_IO_IN_FLIGHT_LIMIT`, or the code of the
   *   connection's error
   */
  next(): Promise<IteratorResult<C, undefined>> {
    const before = this.#seldom?.before ?? null;
    if (before === null) {
      const next = this.#next();
      return this.#turns?.waiting ? this.#beforeOthers(next) : next;
    }
    const next = () => this.#next();
    return this.#beforeOthers(before.then(next, next));
  }

  // A call that waits for a turn of the event loop settles before later calls.
  #beforeOthers(next: Promise<IteratorResult<C, undefined>>): typeof next {
    const seldom = this.#asSeldom();
    seldom.before = next;
    const over = () => {
      if (seldom.before === next) seldom.before = null;
    };
    next.then(over, over);
    return next;
  }

  #next(): Promise<IteratorResult<C, undefined>> {
    const chunk = this.#arrived?.shift();
    if (chunk !== undefined) {
      const result: IteratorResult<C, undefined> = { done: false, value: chunk };
      this.#turns ??= new Turns();
      const turn = this.#turns.take();
      return turn === null ? Promise.resolve(result) : turn.then(() => result);
    }
    this.#turns?.waited();
    if (!this.#is(STARTED) && !this.#is(ENDED)) {
      try {
        this.#start();
      } catch (error) {
        this.#flags |= ENDED;
        return Promise.reject(error);
      }
    }
    if (this.#limits !== null && !this.#is(ENDED)) this.#watchTime(this.#limits);
    if (this.#is(ENDED)) return this.#end();
    return new Promise((resolve) => {
      const settle = resolve as Settle;
      if (this.#waiter === null) this.#waiter = settle;
      else {
        const seldom = this.#asSeldom();
        seldom.laterWaiters ??= new Line();
        seldom.laterWaiters.push(settle);
      }
      this.#go();
      this.#watchKept(true);
    });
  }

  #takeWaiter(): Settle | null {
    const waiter = this.#waiter;
    if (waiter !== null) this.#waiter = this.#seldom?.laterWaiters?.shift() ?? null;
    return waiter;
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
        this.#asSeldom().leavers.push(resolve);
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
    return this.#held > 0 && this.#waiter !== null && !this.#completion.active && !this.#is(ENDED);
  }

  /** For the warning of `io.close()`. @internal */
  describe(): { kept: number; address: string } {
    const arrived = this.#arrived?.length ?? 0;
    return { kept: this.#held - arrived, address: this.#socket.describe() };
  }

  /** A chunk of it was released. @internal */
  onReleased(): void {
    this.#held--;
    if (!this.#is(ENDED)) {
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
    this.#flags |= LEFT;
    this.#dropArrived();
    if (this.#is(STARTED) && !this.#completion.active) this.#finish();
  }

  #dropArrived(): void {
    for (const chunk of this.#arrived?.takeAll() ?? []) chunk.release();
  }

  // ---- starting, and going on

  #start(): void {
    this.#socket.check("chunks");
    const limits = this.#limits;
    const signal = limits?.signal;
    if (signal?.aborted) throw aborted("chunks", signal);
    this.#flags |= STARTED;
    this.#pools.remember(this);
    if (limits === null || signal === undefined) return;
    limits.onAbort = () => this.#aborted(signal);
    follow(signal, limits.onAbort);
  }

  // Receives when it may have more chunks, and when there is memory for one. A program that waits
  // for a chunk gets any space there is; for a busy program an operation is worth it only with half
  // of the space free. A stream that holds no chunk never waits for the others.
  #go(): void {
    if (this.#is(ENDED) || this.#completion.active) return;
    if (this.#lack?.waits && this.#held > 0) return;
    const max = this.#group.share;
    const room = max - this.#held;
    const hungry = this.#waiter !== null;
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
    const lack = this.#lacking();
    lack.reserve = reserve;
    lack.reserveId = bufferId;
    const room = reserve.room(bufferId);
    try {
      if (this.#messages === null) {
        ring.receive(this.#completion, onCompletion, descriptor, room);
      } else {
        lack.sender ??= new SocketAddress();
        ring.receiveMessage(this.#completion, onCompletion, descriptor, room, lack.sender);
      }
      reserve.started(bufferId);
    } catch (error) {
      this.#leaveReserve();
      throw error;
    }
  }

  #leaveReserve(): void {
    const lack = this.#lack;
    if (lack === null) return;
    lack.reserve?.release(lack.reserveId);
    lack.reserve = null;
  }

  #lacking(): Lack {
    this.#lack ??= {
      waits: false,
      waitsForMore: false,
      inArea: false,
      reserve: null,
      reserveId: -1,
      sender: null,
    };
    return this.#lack;
  }

  // There is no memory for it, or it has received as much as it may. Only the kernel knows the free
  // space of the area, so it is asked once more. Where the program holds no chunk that could come
  // back, the device uses all of the area for connections of its own.
  #lackMemory(): void {
    const { area } = this.#pools;
    if (area === null || this.#group !== area) {
      this.#lackBuffers();
    } else if (area.freePages > 0 && !this.#lack?.inArea) {
      this.#lacking().inArea = true;
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
    const lack = this.#lacking();
    if (lack.waits) return;
    lack.waits = true;
    this.#group.whenAvailable(() => {
      lack.waits = false;
      lack.inArea = false;
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
    const lack = this.#lacking();
    if (lack.waitsForMore) return;
    lack.waitsForMore = true;
    this.#group.whenEased(() => {
      lack.waitsForMore = false;
      this.#go();
    });
  }

  /** A completion of the receive. @internal */
  onCompletion(result: number): void {
    const brought = result > 0 || (result === 0 && this.#kind.messages);
    const hadOwn = this.#lack !== null && this.#lack.reserve !== null;
    if (brought) this.#take(result);
    this.#leaveReserve();
    if (this.#completion.active) return;
    if (this.#is(ENDED)) this.#unfollow();
    this.#callLeavers();
    const limits = this.#limits;
    const paused = this.#is(PAUSING);
    const late = limits?.late ?? false;
    this.#flags &= ~PAUSING;
    if (limits !== null) limits.late = false;
    if (this.#is(ENDED)) return;
    // While the socket is being closed it does not go on, whatever this receive has ended with.
    if (this.#is(LEFT)) this.#finish();
    else if (late && (result === CANCELED || result === NO_BUFFERS)) this.#fail(lateError(limits));
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
    const waits = !this.#is(ENDED) && this.#waiter !== null;
    if (waits && limits !== null && !limits.timer?.active) this.#watchTime(limits);
    this.#watchKept(false);
  }

  // A receive may still be ending that can bring nothing more.
  #watchKept(begins: boolean): void {
    const starves = this.#starves;
    if (!this.#is(WARNS) || !(starves || (begins && this.#isFull))) return;
    this.#kept ??= new KeptWatch(this);
    if (begins) this.#kept.note(this.next);
    if (starves) this.#kept.begin();
  }

  get #isFull(): boolean {
    return this.#held > 0 && this.#held >= this.#allowed && !this.#is(ENDED);
  }

  #callLeavers(): void {
    for (const resolve of this.#seldom?.leavers.splice(0) ?? []) resolve();
  }

  #errorOf(result: number): IOError {
    const { backend } = this.#operations;
    const { messages } = this.#kind;
    const opcode = messages ? OPCODE_RECEIVE_MESSAGE_MULTISHOT : OPCODE_RECEIVE_MULTISHOT;
    return operationError(opcode, result, backend, { peer: peerOf(this.#socket.place) });
  }

  #take(byteLength: number): void {
    // A stream that has failed starts no further receive.
    if (this.#is(LEFT) || this.#is(ENDED)) {
      if (!this.#lack?.reserve) this.#group.release(this.#completion.bufferId);
      return;
    }
    if (this.#limits !== null) this.#limits.late = false;
    const chunk = this.#makeChunk(byteLength);
    this.#held++;
    if (this.#lack !== null) this.#lack.inArea = false;
    const waiter = this.#takeWaiter();
    this.#kept?.end();
    if (waiter !== null) waiter({ done: false, value: chunk });
    else {
      this.#arrived ??= new Line();
      this.#arrived.push(chunk);
    }
    // Small messages reach the number of chunks before the limit of bytes.
    if (this.#held >= this.#allowed && this.#completion.active) this.#pause();
  }

  // The kernel knows no limit for messages, so some come before a cancel has reached it. They may
  // not take what belongs to other streams.
  #makeChunk(byteLength: number): C {
    if (this.#lack?.reserve) return this.#makeOwnChunk(this.#lack, this.#lack.reserve, byteLength);
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
  #makeOwnChunk(lack: Lack, memory: Reserve, byteLength: number): C {
    const bufferId = lack.reserveId;
    const offset = memory.headBytes;
    lack.reserve = null;
    memory.markHeld(bufferId);
    const sender = this.#messages === null ? null : lack.sender;
    if (sender !== null) memory.writeSender(bufferId, sender);
    const truncated = sender?.truncated ?? false;
    return this.#kind.makeChunk(this, { memory, bufferId, offset }, byteLength, truncated);
  }

  #pause(): void {
    if (this.#is(PAUSING)) return;
    this.#flags |= PAUSING;
    this.#operations.cancel(this.#completion);
  }

  // ---- ending

  // A waiting call gets the failure first, if there is one, and later calls get the end.
  #end(): Promise<IteratorResult<C, undefined>> {
    const failure = this.#seldom?.failure;
    this.#forgetFailure();
    return failure === undefined ? Promise.resolve(DONE) : failed(failure);
  }

  #fail(failure: unknown): void {
    if (this.#is(ENDED)) return;
    this.#asSeldom().failure = failure;
    this.#finish();
  }

  #finish(): void {
    if (this.#is(ENDED)) return;
    this.#flags |= ENDED;
    this.#kept?.end();
    if (!this.#completion.active) this.#unfollow();
    const timer = this.#limits?.timer;
    if (timer?.active) this.#operations.cancel(timer);
    if (this.#completion.active) this.#operations.cancel(this.#completion);
    if (this.#held === 0) this.#pools.forget(this);
    const first = this.#waiter;
    const others = this.#seldom?.laterWaiters?.takeAll() ?? [];
    this.#waiter = null;
    first?.(this.#end());
    for (const settle of others) settle(DONE);
  }

  // It follows its signal until its receive has ended.
  #unfollow(): void {
    const limits = this.#limits;
    if (limits?.signal && limits.onAbort !== null) unfollow(limits.signal, limits.onAbort);
  }

  // The program has no use for what still comes.
  #leave(): void {
    this.#flags |= LEFT | STARTED;
    this.#finish();
    this.#forgetFailure();
    this.#dropArrived();
  }

  #aborted(signal: AbortSignal): void {
    this.#flags |= LEFT;
    this.#dropArrived();
    this.#fail(aborted("chunks", signal, { peer: peerOf(this.#socket.place) }));
  }

  // One timer for all waits: when it elapses too early for the current wait, it is set again for
  // the rest.
  #watchTime(limits: Limits): void {
    if (limits.timeoutMs === undefined) return;
    limits.waitingSinceMs = performance.now();
    if (!limits.timer?.active) this.#setTimer(limits, limits.timeoutMs);
  }

  // An operation that cannot be started ends the stream, unless the close that refuses it is about
  // to.
  #setTimer(limits: Limits, durationMs: number): void {
    const durationNs = Math.max(1, Math.round(durationMs * 1e6));
    try {
      limits.timer ??= new Completion();
      this.#operations.ring.timeout(limits.timer, () => this.#timeIsUp(limits), durationNs);
    } catch (error) {
      if (!this.#is(LEFT)) this.#fail(error);
    }
  }

  // Or the program has cancelled everything while the stream waited for memory and was not in
  // flight.
  #timeIsUp(limits: Limits): void {
    if (this.#is(ENDED) || this.#waiter === null) return;
    const leftMs = limits.waitingSinceMs + (limits.timeoutMs as number) - performance.now();
    if (leftMs > 0) {
      this.#setTimer(limits, leftMs);
    } else if (this.#completion.active) {
      limits.late = true;
      this.#pause();
    } else {
      this.#fail(lateError(limits));
    }
  }
}

function limitsFrom({ signal, timeoutMs }: ChunkOptions): Limits | null {
  // A signal that has aborted ends the stream, not this call.
  if (signal !== undefined && signal !== null) checkSignal(signal, "chunks");
  if (timeoutMs !== undefined && timeoutMs !== null) checkTimeout(timeoutMs, "chunks");
  if ((signal ?? timeoutMs ?? null) === null) return null;
  return {
    signal: signal ?? undefined,
    timeoutMs: timeoutMs ?? undefined,
    onAbort: null,
    timer: null,
    waitingSinceMs: 0,
    late: false,
  };
}

function lateError(limits: Limits | null): IOError {
  const message = `chunks failed: ETIMEDOUT, no bytes came for ${limits?.timeoutMs} ms`;
  return new IOError({ code: "ETIMEDOUT", operation: "chunks", message });
}

function onCompletion(completion: Completion, result: number): void {
  (completion.context as ChunkStream).onCompletion(result);
}
