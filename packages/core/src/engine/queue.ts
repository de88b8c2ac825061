// The rings and the slots: queues entries for the engine, and turns its completions into callbacks.
//
// A slot goes free -> queued -> in flight -> free. Its generation rises when it becomes free, here
// and in the engine alike, so that neither takes an old entry for a new one.

import { closedError, IOError, typeError } from "../errors.js";
import type { ChunkSource } from "../receiving/chunk_source.js";
import type { MultishotCompletion } from "../receiving/multishot_completion.js";
import { type Callback, type Completion, noCallback } from "../ring/completion.js";
import { checkFunction, shown } from "../support/check.js";
import {
  CHAIN_LIMIT,
  COMPLETION_BUFFER_SHIFT,
  COMPLETION_FLAG_BUFFER,
  COMPLETION_FLAG_MORE,
  COMPLETION_FLAG_OPEN,
  COMPLETION_FLAG_REFUSED,
  COMPLETION_FLAGS,
  COMPLETION_GENERATION,
  COMPLETION_RESULT,
  COMPLETION_SLOT,
  COMPLETION_WORDS,
  ENTRY_ARGUMENT,
  ENTRY_ARGUMENT_EXTRA,
  ENTRY_DEADLINE_NS,
  ENTRY_FLAG_DEADLINE,
  ENTRY_FLAG_LINKED,
  ENTRY_GENERATION,
  ENTRY_OPERATION,
  ENTRY_SLOT,
  ENTRY_WORDS,
  HEADER_ACTIVE,
  HEADER_ASLEEP,
  HEADER_PUMPING,
  HEADER_QUEUED,
  HEADER_RETURNED,
  HEADER_TEXT_USED,
  HEADER_WORDS,
  OPCODE_BIND,
  OPCODE_MKDIR,
  OPCODE_NOP,
  OPCODE_OPEN,
  OPCODE_READ,
  OPCODE_RECEIVE,
  OPCODE_SEND,
  OPCODE_TIMEOUT,
  OPCODE_WRITE,
  OPEN_FLAG_CREATE,
  OPEN_FLAG_TEMPORARY,
  OPERATIONS,
  TEXT_SIZE_BYTES,
  VECTOR_DOUBLES,
} from "./abi.js";
import { storages } from "./async_context.js";
import { markAsUntransferable } from "./memory.js";
import type { NativeSession } from "./native.js";
import { bytesFromText } from "./text.js";

const HEADER_BYTES = HEADER_WORDS * 4;
const ENTRY_BYTES = ENTRY_WORDS * 4;
const COMPLETION_BYTES = COMPLETION_WORDS * 4;

// Once or twice, a batch looks as if it came from memory because other reads end at the same
// moment, but not so often in a row. From then on twice as many batches go unfed each time, 64 at
// most. Another trial costs a few system calls, which is nothing beside so many batches.
const SURE_IN_ROW = 8;
const MAX_UNFED_LOG2 = 6;

// The hottest operations, whose verbs write no text.
const WITHOUT_TEXT: ReadonlySet<number> = new Set([
  OPCODE_NOP,
  OPCODE_TIMEOUT,
  OPCODE_READ,
  OPCODE_WRITE,
  OPCODE_SEND,
  OPCODE_RECEIVE,
]);

// The operation's number stands below the flags of an entry.
const OPCODE_BITS = 0xff;

// Slots above the limit of an IO, for operations that end others.
const RESERVED_SLOTS = 8;
/** The slots that the engine may have for a limit of operations in flight. */
export function slotsFor(inFlightLimit: number): number {
  return inFlightLimit + RESERVED_SLOTS;
}

function lengthened(numbers: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const longer = new Int32Array(length);
  longer.set(numbers);
  return longer;
}

/** Gets the queue its session, which in turn needs the queue's memory and dispatcher. */
export type OpenSession = (
  shared: ArrayBuffer,
  dispatch: (published: number) => void,
) => NativeSession;

export class Queue {
  readonly session: NativeSession;
  /**
   * The submission ring, as words and as doubles; the operation's fields are written by the verbs.
   */
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly inFlightLimit: number;
  readonly capacity: number;
  closed = false;
  /** Called after a batch of completions was dispatched, while someone waits for idleness. */
  onDispatched: (() => void) | null = null;
  /** Called when the first entry of a batch is queued, where no event loop looks for batches. */
  onBatchBegun: (() => void) | null = null;
  dispatching = false;
  /** Batches of completions dispatched, with the one that is being dispatched. */
  batches = 0;
  /**
   * Entries that the engine gave back under slots that are not theirs; 0 unless rings are damaged.
   */
  strays = 0;

  private readonly header: Int32Array;
  private readonly completionWords: Int32Array;
  readonly #text: Buffer;
  readonly #textDoubles: Float64Array;
  // The tables by slot, which grow with the engine's. The arrays of numbers are longer than there
  // are slots.
  private readonly completions: (Completion<unknown> | null)[] = [];
  private generations = new Int32Array(0);
  private free = new Int32Array(0);
  #slots = 0;
  private freeCount = 0;
  // The slot of each queued entry, by its sequence number. The engine names a refused entry by that
  // number, because the contents of a refused entry cannot be trusted.
  private slotsBySequence = new Int32Array(1);
  private sequenceMask = 0;
  private sequence = 0; // counts with 32 bits, as the engine does
  // Entries queued of the chain to which the next entry belongs; 0 when the last one links nothing.
  private chainQueued = 0;
  #chainWatched = false;
  #thrown: unknown[] = [];
  // Feeding devices: how many entries are handed over next, how many were of this batch, whether as
  // many were done at once, and how many batches go unfed for it.
  #feedLength = 1;
  #fed = 0;
  #fedFromMemory = false;
  #unfed = 0;
  #fromMemoryInRow = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #waitingForRoom: (() => void)[] = [];
  readonly #waitingForSlot: (() => void)[] = [];
  // The batch of completions that is being dispatched, and which of them is next.
  private published = 0;
  private next = 0;

  constructor(capacity: number, open: OpenSession) {
    const completionsBytes = capacity * COMPLETION_BYTES;
    const entriesEnd = HEADER_BYTES + capacity * ENTRY_BYTES;
    const textStart = entriesEnd + completionsBytes;
    const shared = new ArrayBuffer(textStart + TEXT_SIZE_BYTES);
    this.capacity = capacity;
    this.header = new Int32Array(shared, 0, HEADER_WORDS);
    this.words = new Int32Array(shared, HEADER_BYTES, capacity * ENTRY_WORDS);
    this.doubles = new Float64Array(shared, HEADER_BYTES, (capacity * ENTRY_WORDS) / 2);
    keepInPlace(this.words, shared);
    keepInPlace(this.doubles, shared);
    this.completionWords = new Int32Array(shared, entriesEnd, capacity * COMPLETION_WORDS);
    this.#text = Buffer.from(shared, textStart, TEXT_SIZE_BYTES);
    this.#textDoubles = new Float64Array(shared, textStart, TEXT_SIZE_BYTES / 8);
    this.session = open(shared, (published) => {
      this.dispatch(published);
      if (this.#thrown.length > 0) this.#reportLater(0);
    });
    this.inFlightLimit = this.session.maxSlots - RESERVED_SLOTS;
    this.#addSlots(this.session.slots);
  }

  // False when there may be no more slots.
  #grow(): boolean {
    const before = this.#slots;
    this.#addSlots(this.session.grow());
    return this.#slots > before;
  }

  #addSlots(slots: number): void {
    const added = slots - this.#slots;
    if (added <= 0) return;
    if (slots > this.generations.length) this.#lengthen(slots);
    while (this.completions.length < slots) this.completions.push(null);
    // The slots that were free go first, which keeps used slots together, and then the lowest.
    this.free.copyWithin(added, 0, this.freeCount);
    for (let index = 0; index < added; index++) this.free[index] = slots - 1 - index;
    this.freeCount += added;
    this.#slots = slots;
  }

  // To a power of two, so that growing slot by slot costs each slot the same.
  #lengthen(slots: number): void {
    const length = 1 << Math.ceil(Math.log2(slots)); // an integer for V8, which a power is not
    this.generations = lengthened(this.generations, length);
    this.free = lengthened(this.free, length);
    const slotsBySequence = new Int32Array(length);
    for (let back = 1; back <= this.slotsBySequence.length; back++) {
      const sequence = this.sequence - back;
      const slot = this.slotsBySequence[sequence & this.sequenceMask] as number;
      slotsBySequence[sequence & (length - 1)] = slot;
    }
    this.slotsBySequence = slotsBySequence;
    this.sequenceMask = length - 1;
  }

  /**
   * Queues an entry for an operation whose fields the caller writes next; returns where its words
   * begin. Everything that can be wrong with the arguments has been checked before: what throws
   * after this would leave an operation behind that nobody asked for.
   *
   * V8 inlines it into the verbs, and these into the callbacks that call them, while the bytecode
   * is short: 460 bytes of one function, 920 of all in one place. So what is seldom needed stands
   * in functions of its own, and the members that are used here are `private` and not `#`, for
   * which the bytecode is twice as long.
   */
  begin<C>(completion: Completion<C>, callback: Callback<C>, opcode: number): number {
    if (completion?._slot !== -1) throw this.unfit(completion, opcode);
    if (storages.inUse) callback = inContextOf(completion, callback);
    // Mostly the same as before, and not writing it is cheaper than writing it.
    if (completion._callback !== callback) this.setCallback(completion, callback, opcode);
    const { _flags: flags } = completion;
    const flagged = flags | this.chainQueued;
    if (flagged !== 0) this.checkLink(flags, opcode);
    if (this.freeCount <= RESERVED_SLOTS) this.checkReserve(opcode, flags);
    const { header, words } = this;
    let position = header[HEADER_QUEUED] as number;
    if (position === 0 || position === this.capacity) position = this.beginBatch(position);
    const left = this.freeCount - 1;
    const slot = this.free[left] as number;
    completion._slot = slot; // a frozen one throws here, before anything is queued
    completion._opcode = opcode;
    this.freeCount = left;
    header[HEADER_QUEUED] = position + 1;
    const at = position * ENTRY_WORDS;
    words[at + ENTRY_OPERATION] = opcode | flags;
    words[at + ENTRY_SLOT] = slot;
    words[at + ENTRY_GENERATION] = this.generations[slot] as number;
    this.slotsBySequence[this.sequence & this.sequenceMask] = slot;
    this.sequence = (this.sequence + 1) | 0;
    this.completions[slot] = completion as Completion<unknown>;
    if (flagged !== 0) this.noteFlags(at, completion);
    return at;
  }

  private setCallback<C>(completion: Completion<C>, callback: Callback<C>, opcode: number): void {
    checkFunction(callback, "the callback", verbOf(opcode));
    completion._callback = callback;
  }

  private unfit(completion: unknown, opcode: number): IOError {
    const { _slot: slot } = (completion ?? {}) as { _slot?: unknown };
    const verb = verbOf(opcode);
    if (typeof slot === "number") return refusal("ERR_IO_COMPLETION_ACTIVE", BUSY, verb);
    return typeError(verb, `the completion is ${shown(completion)}: give a Completion`);
  }

  // The next entry is the first one of a batch, or has no room behind `queued` others. An IO that
  // has nothing queued may not keep the process alive: the first entry sees to that.
  // The next turn of the event loop takes the batch. The batch must not wait longer when this
  // turn's pump is over, as it is while the loop runs handles of other libraries or of another IO.
  private beginBatch(queued: number): number {
    const { header } = this;
    if (queued !== 0) this.session.submit();
    if (header[HEADER_ACTIVE] === 0) this.session.activate();
    if (this.onBatchBegun !== null) this.onBatchBegun();
    else if (header[HEADER_ASLEEP] !== 0) this.session.wake();
    return 0;
  }

  // Ending operations must be possible when the limit is reached, so the last slots are for that.
  // One of a chain may wait for others, and would keep its slot all that time.
  private checkReserve(opcode: number, flags: number): void {
    if (this.#grow()) return;
    const isAlone = this.chainQueued === 0 && (flags & ENTRY_FLAG_LINKED) === 0;
    if (isAlone && this.freeCount > 0 && OPERATIONS.get(opcode)?.endsOthers === true) return;
    this.cancelChain(); // the caller sees the thrown error
    throw refusal("ERR_IO_IN_FLIGHT_LIMIT", this.#limitMessage(), verbOf(opcode));
  }

  /**
   * Runs `start`, which queues an operation that ends others, now or as soon as there is a slot for
   * it; what is in the reserved slots ends by itself.
   */
  whenFree(start: () => void): void {
    if (this.freeCount > 0) start();
    else this.#waiting.push(start);
  }

  /**
   * Whether there is room for what brings more work, as a new connection does, beside so many
   * operations that are about to be queued. Half of the slots is kept for the work that is there: a
   * connection that has received something has one receive in flight, and then sends.
   */
  hasRoomBeside(coming: number): boolean {
    return this.inFlight + coming < this.inFlightLimit - (this.inFlightLimit >> 1);
  }

  /** Calls `start` once, when there is room; it looks again whether there still is. */
  whenRoom(start: () => void): void {
    this.#waitingForRoom.push(start);
  }

  /** Whether an operation that is no cancel or close may be begun. */
  hasSlot(): boolean {
    return this.freeCount > RESERVED_SLOTS || this.#grow();
  }

  /** Calls `start` once, when an operation that is no cancel or close may be begun. */
  whenSlot(start: () => void): void {
    this.#waitingForSlot.push(start);
  }

  /**
   * What names an operation in flight to the engine; a slot that never exists when there is none.
   */
  tokenOf<C>(completion: Completion<C>): [slot: number, generation: number] {
    const slot = completion._slot;
    // It may also be in flight on another IO.
    if (slot === -1 || this.completions[slot] !== completion) return [-1, 0];
    return [slot, this.generations[slot] as number];
  }

  /** Whether what has just completed was refused: the engine counts only what it has started. */
  wasRefused(token: ReturnType<Queue["tokenOf"]>): boolean {
    return this.generations[token[0]] === token[1];
  }

  /** Operations queued or in flight. */
  get inFlight(): number {
    return this.#slots - this.freeCount;
  }

  /** The bind of a unix socket makes a file, and the engine makes that call when it takes it. */
  beforeMaskChanges(): void {
    if (this.chainOpen) return; // what is queued of a chain starts together, when it is whole
    for (let at = this.#queuedEnd(); at >= 0; at -= ENTRY_WORDS) {
      if (((this.words[at + ENTRY_OPERATION] as number) & OPCODE_BITS) !== OPCODE_BIND) continue;
      this.session.submit();
      return;
    }
  }

  /** What is queued and makes a file keeps the mask under which it was called. */
  keepMask(mask: number): void {
    const { words } = this;
    for (let at = this.#queuedEnd(); at >= 0; at -= ENTRY_WORDS) {
      const opcode = (words[at + ENTRY_OPERATION] as number) & OPCODE_BITS;
      const argument = words[at + ENTRY_ARGUMENT] as number;
      const extra = words[at + ENTRY_ARGUMENT_EXTRA] as number;
      if (opcode === OPCODE_MKDIR) words[at + ENTRY_ARGUMENT] = argument & ~mask;
      const makes = (argument & (OPEN_FLAG_CREATE | OPEN_FLAG_TEMPORARY)) !== 0;
      if (opcode !== OPCODE_OPEN || !makes) continue;
      words[at + ENTRY_ARGUMENT_EXTRA] = extra & ~mask;
    }
  }

  // Where the words of the last entry begin; below 0 when there is none.
  #queuedEnd(): number {
    return ((this.header[HEADER_QUEUED] as number) - 1) * ENTRY_WORDS;
  }

  /** Throws when the IO is closed. */
  check(operation: string): void {
    if (this.closed) throw closedError(operation, "the IO");
  }

  /**
   * The same for a verb that puts text: a chain that its operation begins finds room in the batch,
   * because linked entries must reach the engine together. For other verbs `begin` sees to that.
   */
  checkText(operation: string, completion: { readonly _flags: number } | null | undefined): void {
    this.check(operation);
    if (completion && completion._flags & ENTRY_FLAG_LINKED) this.#makeRoomForChain();
  }

  #makeRoomForChain(): void {
    if (this.chainQueued > 0) return;
    const queued = this.header[HEADER_QUEUED] as number;
    const textUsed = this.header[HEADER_TEXT_USED] as number;
    if (queued + CHAIN_LIMIT > this.capacity || textUsed > 0) this.session.submit();
  }

  private checkLink(flags: number, opcode: number): void {
    if ((flags & ENTRY_FLAG_LINKED) === 0) return;
    if (WITHOUT_TEXT.has(opcode)) this.#makeRoomForChain();
    if (this.chainQueued < CHAIN_LIMIT - 1) return;
    const message = `${CHAIN_LIMIT} operations are linked at most: the last of them has no link`;
    throw refusal("ERR_OUT_OF_RANGE", message);
  }

  private noteFlags(at: number, completion: { _flags: number; _deadlineNs: number }): void {
    const { _flags: flags } = completion;
    if (flags & ENTRY_FLAG_DEADLINE)
      this.doubles[at / 2 + ENTRY_DEADLINE_NS] = completion._deadlineNs;
    if ((flags & ENTRY_FLAG_LINKED) === 0) {
      this.chainQueued = 0;
      return;
    }
    this.chainQueued++;
    if (this.#chainWatched) return;
    this.#chainWatched = true;
    queueMicrotask(this.#watchChain);
  }

  /**
   * Called after a read or write of a file was queued. While a batch of completions is being
   * dispatched, and the promises that it settled go on, their successors are handed over early: a
   * disk that has just finished everything would otherwise stand idle until the last of them is
   * queued. The first one goes at once, then each time twice as many as before.
   */
  feedDevice(): void {
    if (!this.dispatching && this.header[HEADER_PUMPING] === 0) return;
    if (this.chainQueued > 0 || this.#unfed > 0) return;
    const queued = this.header[HEADER_QUEUED] as number;
    if (queued < this.#feedLength) return;
    this.#feedLength *= 2;
    this.#fed += queued;
    // A disk may have finished some reads; reads from memory are all there.
    this.#fedFromMemory = this.session.submit() >= this.#fed;
  }

  // A batch of completions begins: the result of feeding in the last one decides whether to feed
  // on.
  #judgeFeeding(): void {
    if (this.#unfed > 0) this.#unfed--;
    if (this.#fed === 0) return;
    this.#fed = 0;
    this.#feedLength = 1;
    this.#fromMemoryInRow = this.#fedFromMemory ? this.#fromMemoryInRow + 1 : 0;
    const sure = this.#fromMemoryInRow - SURE_IN_ROW;
    if (sure >= 0) this.#unfed = 2 ** Math.min(sure, MAX_UNFED_LOG2);
  }

  /** A group has memory to give back: the engine takes it before the next batch. */
  noteReturned(): void {
    this.header[HEADER_RETURNED] = 1;
  }

  /**
   * Hands each batch over at the end of the turn of the event loop in which it was begun. For
   * runtimes that do so before they run microtasks, and then wait.
   */
  flushEachTurn(): void {
    this.onBatchBegun = () => {
      setImmediate(() => this.session.submit());
    };
  }

  /** Hands what is queued to the kernel. */
  flush(): void {
    this.checkChain("flush");
    this.session.submit();
  }

  /** Whether the last entry is linked to one that is not queued yet. */
  get chainOpen(): boolean {
    return this.chainQueued > 0;
  }

  /**
   * Throws when the last entry is linked to one that is not queued yet: they must reach the kernel
   * together. The chain stays as it is, so what is missing can be queued still.
   */
  checkChain(operation: string): void {
    if (this.chainQueued > 0) throw this.#chainError(operation);
  }

  /** Throws unless so many entries wait for the next one of their chain. */
  checkChained(length: number): void {
    if (this.chainQueued === length) return;
    const message =
      "chain: an argument has run code that used the IO, which ends the chain: give plain " +
      "values, not getters or proxies";
    throw refusal("ERR_IO_CHAIN_OPEN", message);
  }

  /** Throws unless so many operations can be queued at once. */
  checkRoom(length: number): void {
    while (this.freeCount < length + RESERVED_SLOTS && this.#grow());
    if (this.freeCount >= length + RESERVED_SLOTS) return;
    throw refusal("ERR_IO_IN_FLIGHT_LIMIT", this.#limitMessage());
  }

  // A chain is complete before the code that queues it returns or awaits: entries queued after that
  // belong to other parts of the program, and would become members.
  readonly #watchChain = (): void => {
    this.#chainWatched = false;
    this.dropChain();
  };

  /**
   * Ends a chain of which the last operation is missing. What was queued of it completes with
   * -ECANCELED, and nothing of it runs; the error is an uncaught one.
   */
  dropChain(): void {
    if (this.chainQueued === 0) return;
    this.#thrown.push(this.#chainError("link"));
    this.cancelChain();
    if (!this.dispatching) this.#reportLater(0);
  }

  /** What is queued of a chain completes with -ECANCELED, and nothing of it runs. */
  cancelChain(): void {
    if (this.chainQueued === 0) return;
    this.chainQueued = 0;
    this.session.submit(); // the engine refuses entries that are linked to nothing
  }

  #chainError(operation: string): IOError {
    const count = this.chainQueued;
    const message =
      `${operation}: ${count === 1 ? "the last operation queued is" : `the last ${count} are`} ` +
      "linked to one that is missing: queue it, with a completion that has no link, before " +
      "anything else, and before the code returns or awaits";
    return new IOError({ code: "ERR_IO_CHAIN_OPEN", operation, message });
  }

  // ---- the text area: paths, addresses and vectors on their way to the engine

  /** Room for so many bytes, aligned for doubles; returns where it begins. */
  #takeText(sizeBytes: number, operation: string): number {
    // The entry that names the text must follow in the same batch, so there must be room for it.
    this.reserveText(sizeBytes);
    const needed = (sizeBytes + 7) & ~7;
    const used = this.header[HEADER_TEXT_USED] as number;
    if (used + needed > TEXT_SIZE_BYTES) {
      const message = `${operation}: paths and vectors of one batch are limited to 64 KiB`;
      throw refusal("ERR_OUT_OF_RANGE", message);
    }
    this.header[HEADER_TEXT_USED] = used + needed;
    return used;
  }

  /** Makes room for an entry and so much text, so that nothing is flushed between the two. */
  reserveText(sizeBytes: number): void {
    if (this.chainQueued > 0) return; // check() has made what room there can be
    const full = this.header[HEADER_QUEUED] === this.capacity;
    const used = this.header[HEADER_TEXT_USED] as number;
    // Every part is rounded up to 8 bytes; an entry has two parts at most.
    if (full || used + sizeBytes + 16 > TEXT_SIZE_BYTES) this.session.submit();
  }

  /** Bytes of the text area in use. What a verb has put that then fails is given back. */
  get textUsed(): number {
    return this.header[HEADER_TEXT_USED] as number;
  }
  set textUsed(sizeBytes: number) {
    this.header[HEADER_TEXT_USED] = sizeBytes;
  }

  /** Puts text, or bytes as they are. */
  putText(name: string | Uint8Array, operation: string): [start: number, length: number] {
    const text = typeof name === "string" ? bytesFromText(name) : name;
    if (typeof text !== "string") return [this.putRecord(text, operation), text.byteLength];
    const length = Buffer.byteLength(text);
    const start = this.#takeText(length, operation);
    this.#text.write(text, start, length, "utf8");
    return [start, length];
  }

  /** Returns where the copy of the record begins. */
  putRecord(record: Uint8Array, operation: string): number {
    const start = this.#takeText(record.byteLength, operation);
    this.#text.set(record, start);
    return start;
  }

  /** Takes room for `count` vectors; they are written with `putVector`. */
  takeVectors(count: number, operation: string): number {
    return this.#takeText(count * VECTOR_DOUBLES * 8, operation);
  }

  putVector(start: number, index: number, handle: number, offset: number, length: number): void {
    const at = start / 8 + index * VECTOR_DOUBLES;
    this.#textDoubles[at] = handle;
    this.#textDoubles[at + 1] = offset;
    this.#textDoubles[at + 2] = length;
  }

  // ---- completions

  /** Detached mode: submits, waits up to `deadlineNs` (-1: as long as it takes), dispatches. */
  poll(deadlineNs: number): number {
    const published = this.session.poll(deadlineNs);
    this.dispatch(published);
    if (this.#thrown.length > 0) {
      // The program called us, so it gets the first error itself.
      const first = this.#thrown[0];
      this.#reportLater(1);
      throw first;
    }
    return published;
  }

  /** `poll`, for an IO that is being closed: what callbacks throw is reported, not thrown. */
  drain(deadlineNs: number): void {
    this.dispatch(this.session.poll(deadlineNs));
    this.#reportLater(0);
  }

  /**
   * Calls back for what the engine has published. A callback may queue, and nothing of this library
   * recurses. But a module that turns the event loop inside a callback has the engine publish
   * again: it asks for the rest of this batch before that, with 0.
   */
  dispatch(published: number): void {
    const outer = this.dispatching;
    this.dispatching = true;
    if (published > 0) {
      this.batches++;
      this.#judgeFeeding();
      this.next = 0;
      this.published = published;
    }
    while (this.next < this.published) {
      try {
        while (this.next < this.published) {
          this.complete(this.next++ * COMPLETION_WORDS);
          if (this.chainQueued > 0) this.dropChain();
        }
      } catch (error) {
        // The rest of the batch must not be lost because one callback threw.
        this.#thrown.push(error);
        this.dropChain();
      }
    }
    this.dispatching = outer;
    while (this.#waiting.length > 0 && this.freeCount > 0) this.#waiting.shift()?.();
    if (this.#waitingForRoom.length > 0 && this.hasRoomBeside(0)) this.#notifyRoomWaiters();
    if (this.#waitingForSlot.length > 0 && this.freeCount > RESERVED_SLOTS)
      this.#notifySlotWaiters();
    if (this.onDispatched !== null) this.onDispatched();
  }

  #notifyRoomWaiters(): void {
    for (const start of this.#waitingForRoom.splice(0)) start();
  }

  #notifySlotWaiters(): void {
    for (const start of this.#waitingForSlot.splice(0)) start();
  }

  private complete(at: number): void {
    const words = this.completionWords;
    const flags = words[at + COMPLETION_FLAGS] as number;
    const result = words[at + COMPLETION_RESULT] as number;
    const generation = words[at + COMPLETION_GENERATION] as number;
    let slot = words[at + COMPLETION_SLOT] as number;
    if (flags & COMPLETION_FLAG_REFUSED) {
      slot = this.slotsBySequence[slot & this.sequenceMask] as number;
    } else if (this.generations[slot] !== generation) {
      this.strays++;
      return;
    }
    const completion = this.completions[slot];
    if (completion === null || completion === undefined) {
      this.strays++;
      return;
    }
    const callback = completion._callback;
    // The buffer's id stands above all flags.
    if (flags >= COMPLETION_FLAG_BUFFER) take(completion as MultishotCompletion, flags, result);
    if ((flags & COMPLETION_FLAG_MORE) === 0) {
      this.completions[slot] = null;
      // The engine never started a refused entry, so its generation stays.
      if ((flags & COMPLETION_FLAG_REFUSED) === 0) this.generations[slot] = generation + 1;
      this.free[this.freeCount++] = slot;
      completion._slot = -1;
      if (completion._held !== null) letGo(completion, result);
      // The callback has the storage of its caller, which a completion that waits for its next use
      // would keep.
      if (storages.inUse) completion._callback = noCallback;
    }
    callback(completion, result);
  }

  // Exceptions of callbacks go where those of Node's own callbacks go: "uncaughtException".
  #reportLater(from: number): void {
    const thrown = this.#thrown.slice(from);
    this.#thrown = [];
    for (const error of thrown) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #limitMessage(): string {
    return (
      `${this.inFlightLimit} operations are in flight, which is the limit of this IO: wait for ` +
      "some to complete, or open it with a higher inFlightLimit"
    );
  }
}

function inContextOf<C>(completion: Completion<C>, callback: Callback<C>): Callback<C> {
  return typeof callback === "function" ? completion._inContext(callback) : callback;
}

/** The verb that was called, by its name in the ring. */
function verbOf(opcode: number): string {
  return OPERATIONS.get(opcode)?.name ?? "submit";
}

function refusal(code: string, message: string, operation = "submit"): IOError {
  return new IOError({ code, operation, message });
}

// The engine works in the rings' memory, so that must not be transferred to another thread. Marking
// it takes a module that needs some milliseconds to load, and the library never reads the `buffer`
// of these views. So it is marked when other code does.
function keepInPlace(view: Int32Array | Float64Array, shared: ArrayBuffer): void {
  Object.defineProperty(view, "buffer", {
    get: () => {
      markAsUntransferable(shared);
      return shared;
    },
  });
}

function take(completion: MultishotCompletion, flags: number, result: number): void {
  const bufferId = flags >>> COMPLETION_BUFFER_SHIFT;
  const group = completion._group as ChunkSource;
  completion.bufferId = bufferId;
  completion.offset = group.markHeld(bufferId, result, (flags & COMPLETION_FLAG_OPEN) !== 0);
}

// The kernel has released the memory, and so do we.
function letGo(completion: Completion, result: number): void {
  const { _held: held } = completion;
  completion._held = null;
  if (Array.isArray(held)) for (const one of held) one.finish(result);
  else held?.finish(result);
}

const BUSY =
  "the completion already carries an operation: wait for its callback, or use another completion";
