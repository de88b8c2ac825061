// The parts that the verbs of the ring share: how an entry names a descriptor, memory, text and
// addresses.
import { type Address, addressParts } from "../address.js";
import * as abi from "../engine/abi.js";
import type { Held } from "../engine/held.js";
import { checkView, type Memory, type Region, transferLength } from "../engine/memory.js";
import type { Queue } from "../engine/queue.js";
import { numberError, rangeError, typeError } from "../errors.js";
import { type Reuses, SentCheck } from "../sockets/sent_check.js";
import type { SocketAddress } from "../sockets/socket_address.js";
import {
  flag,
  modeFrom,
  oneOf,
  type Path,
  pathFrom,
  shown,
  wholeNumber,
  wordError,
} from "../support/check.js";
import type { Callback, Completion } from "./completion.js";
import type { ZeroCopy } from "./types.js";

// What gives 0 at the end of a stream, and so takes no buffer without bytes.
const EMPTY_IS_END: ReadonlySet<number> = new Set([abi.OPCODE_RECEIVE, abi.OPCODE_PEEK]);

function isEmpty({ byteLength }: ArrayBufferView): boolean {
  return byteLength === 0;
}

/** The base of the ring's verbs. */
export abstract class Verbs {
  /** The IO, which lives as long as its ring. @internal */
  owner: object | null = null;
  /** @internal */
  protected readonly queue: Queue;
  /** @internal */
  protected readonly memory: Memory;

  /** @internal */
  constructor(queue: Queue, memory: Memory) {
    this.queue = queue;
    this.memory = memory;
  }

  /**
   * Throws unless the buffer is memory that an operation may use now; returns its bytes.
   * @internal
   */
  checkBuffer(buffer: ArrayBufferView, operation: string): number {
    this.queue.check(operation);
    this.region(buffer, operation);
    return this.memory.viewBytes;
  }

  protected descriptor<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    opcode: number,
    descriptor: number,
  ): number {
    this.checkDescriptor(descriptor, opcode);
    const at = this.queue.begin(completion, callback, opcode);
    this.queue.words[at + abi.ENTRY_DESCRIPTOR] = descriptor;
    return at;
  }

  /** Both times of a file, as `momentFrom` gives them. */
  protected putTimes(
    at: number,
    [accessedMs, accessedNs]: readonly [number, number],
    [modifiedMs, modifiedNs]: readonly [number, number],
  ): void {
    const { words, doubles } = this.queue;
    doubles[at / 2 + abi.ENTRY_OFFSET] = accessedMs;
    doubles[at / 2 + abi.ENTRY_EXTENT] = modifiedMs;
    words[at + abi.ENTRY_BUFFER] = accessedNs;
    words[at + abi.ENTRY_ARGUMENT_EXTRA] = modifiedNs;
  }

  /** A range of a file, and a number beside it. */
  protected onRange<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    opcode: number,
    descriptor: number,
    offset: number,
    lengthBytes: number,
    argument: number,
  ): number {
    const operation = this.nameOf(opcode);
    this.checkSize(offset, operation, "offset");
    this.checkSize(lengthBytes, operation, "lengthBytes");
    const at = this.descriptor(completion, callback, opcode, descriptor);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = offset;
    this.queue.doubles[at / 2 + abi.ENTRY_EXTENT] = lengthBytes;
    this.queue.words[at + abi.ENTRY_ARGUMENT] = argument;
    return at;
  }

  protected transfer<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    opcode: number,
    operation: string,
    descriptor: number,
    buffer: ArrayBufferView,
  ): number {
    const region = this.regionFor(completion, buffer, operation);
    const length = transferLength(this.memory.viewBytes);
    const offset = this.memory.viewStart - region.handleStart;
    if (length === 0 && EMPTY_IS_END.has(opcode)) throw this.emptyReceive(operation);
    this.checkDescriptor(descriptor, opcode);
    const at = this.queue.begin(completion, callback, opcode);
    this.use(completion, region);
    const { words, doubles } = this.queue;
    words[at + abi.ENTRY_DESCRIPTOR] = descriptor;
    words[at + abi.ENTRY_BUFFER] = region.handle;
    words[at + abi.ENTRY_LENGTH] = length;
    doubles[at / 2 + abi.ENTRY_BUFFER_OFFSET] = offset;
    return at;
  }

  protected vectored<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    opcode: number,
    operation: string,
    descriptor: number,
    buffers: readonly ArrayBufferView[],
  ): number {
    this.checkDescriptor(descriptor, opcode);
    if (!Array.isArray(buffers)) {
      const message = `the buffers are ${shown(buffers)}: give an array of them`;
      throw typeError(operation, message);
    }
    if (buffers.length === 0 || buffers.length > abi.VECTOR_LIMIT) {
      const message = `give 1 to ${abi.VECTOR_LIMIT} buffers, not ${buffers.length}`;
      throw rangeError(operation, message);
    }
    const regions = this.regions(buffers, operation);
    if (opcode === abi.OPCODE_RECEIVE_VECTORED && buffers.every(isEmpty)) {
      for (const region of regions) region.finish();
      throw this.emptyReceive(operation);
    }
    let at: number;
    try {
      const start = this.queue.takeVectors(buffers.length, operation);
      for (const [index, buffer] of buffers.entries()) {
        const region = regions[index] as Region;
        const offset = buffer.byteOffset - region.handleStart;
        this.queue.putVector(start, index, region.handle, offset, buffer.byteLength);
      }
      at = this.queue.begin(completion, callback, opcode);
      this.putText(at, start, buffers.length);
    } catch (error) {
      for (const region of regions) region.finish();
      throw error;
    }
    completion._held = regions;
    this.queue.words[at + abi.ENTRY_DESCRIPTOR] = descriptor;
    return at;
  }

  // Each region is in use from the moment it is found: making room for the next one could else
  // release it again.
  protected regions(buffers: readonly ArrayBufferView[], operation: string): Region[] {
    const regions: Region[] = [];
    try {
      for (const buffer of buffers) {
        const region = this.region(buffer, operation);
        region.inFlight++;
        regions.push(region);
      }
    } catch (error) {
      for (const region of regions) region.finish();
      throw error;
    }
    return regions;
  }

  protected addressed<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    opcode: number,
    operation: string,
    descriptor: number,
    address: Address,
  ): void {
    const [number, port, text] = addressParts(address, operation);
    this.checkDescriptor(descriptor, opcode);
    const [start, length] = this.queue.putText(text, operation);
    const at = this.descriptor(completion, callback, opcode, descriptor);
    this.putText(at, start, length);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = number;
    this.queue.words[at + abi.ENTRY_ARGUMENT_EXTRA] = port;
  }

  protected message<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: number,
    message: ArrayBufferView | readonly ArrayBufferView[],
    target: SocketAddress | null,
    zeroCopyMode: number,
  ): void {
    const opcode = abi.OPCODE_SEND_MESSAGE;
    const name = "sendMessage";
    // The record and what names it must reach the engine in one batch.
    const vectors = Array.isArray(message) ? message.length * abi.VECTOR_DOUBLES * 8 : 0;
    this.queue.reserveText(vectors + abi.PEER_SIZE_BYTES);
    const record = target === null ? -1 : this.queue.putRecord(target.record, name);
    const at = Array.isArray(message)
      ? this.vectored(completion, callback, opcode, name, descriptor, message)
      : this.transfer(completion, callback, opcode, name, descriptor, message as ArrayBufferView);
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = record;
    const vectored = vectors > 0 ? abi.MESSAGE_VECTORED : 0;
    this.queue.words[at + abi.ENTRY_ARGUMENT] = zeroCopyMode | vectored;
    const { reuses } = this.memory;
    if (reuses !== null) this.checkSent(completion, reuses, name, message);
  }

  protected zeroCopyMode(zeroCopy: ZeroCopy | null, operation: string): number {
    if (zeroCopy === "never" || zeroCopy === null) return abi.ZERO_COPY_NEVER;
    if (zeroCopy === "auto") return abi.ZERO_COPY_AUTO;
    if (zeroCopy === "always") return abi.ZERO_COPY_ALWAYS;
    const right = 'give "auto", "always" or "never"';
    throw wordError(operation, zeroCopy, `zeroCopy is ${shown(zeroCopy)}: ${right}`);
  }

  protected region(buffer: ArrayBufferView, operation: string): Region {
    checkView(buffer, operation);
    return this.memory.regionOf(buffer, operation);
  }

  // The region of memory that an operation with this completion uses, as `region`.
  protected regionFor<C>(
    completion: Completion<C>,
    buffer: ArrayBufferView,
    operation: string,
  ): Region {
    const last = completion?._region as Region | null | undefined;
    const { memory } = this;
    if (last != null && completion._view === buffer && memory.findsAgain(last, buffer)) {
      memory.viewStart = completion._viewStart;
      memory.viewBytes = completion._viewBytes;
      return last;
    }
    return this.foundRegion(completion, buffer, operation);
  }

  private foundRegion<C>(
    completion: Completion<C> | null | undefined,
    buffer: ArrayBufferView,
    operation: string,
  ): Region {
    const region = this.region(buffer, operation);
    const keeps = completion != null && (region.isBlock || completion._keepsAny);
    // Any other view than a Uint8Array may throw when it is asked for its bytes and is detached.
    if (keeps && buffer instanceof Uint8Array) {
      completion._view = buffer;
      completion._region = region;
      completion._viewStart = this.memory.viewStart;
      completion._viewBytes = this.memory.viewBytes;
    }
    return region;
  }

  // From here until the final completion the memory belongs to the kernel.
  protected use<C>(completion: Completion<C>, region: Region): void {
    region.inFlight++;
    completion._held = region;
  }

  // After a send was queued; `reuses` is the memory's, and is there for tests alone.
  protected checkSent<C>(
    completion: Completion<C>,
    reuses: Reuses,
    operation: string,
    sent: ArrayBufferView | readonly ArrayBufferView[],
  ): void {
    const views = Array.isArray(sent) ? [...sent] : [sent as ArrayBufferView];
    const check = new SentCheck(reuses, completion, operation, views);
    const { _held: held } = completion;
    completion._held = Array.isArray(held) ? [check, ...held] : [check, held as Held];
  }

  protected putText(at: number, start: number, length: number): void {
    this.queue.doubles[at / 2 + abi.ENTRY_BUFFER_OFFSET] = start;
    this.queue.words[at + abi.ENTRY_LENGTH] = length;
  }

  // The checks of the hottest verbs are short, so that the compiler puts them in their place.
  protected checkOffset(offset: number, operation: string): void {
    if (!Number.isSafeInteger(offset) || offset < -1) throw this.noOffset(offset, operation);
  }

  // A number that is not a descriptor of this IO passes here; the engine refuses it (EBADF).
  protected checkDescriptor(descriptor: number, opcode: number): void {
    if (typeof descriptor !== "number" || (descriptor | 0) !== descriptor) {
      throw this.noDescriptor(descriptor, opcode);
    }
  }

  protected noOffset(offset: unknown, operation: string): unknown {
    const right = "give 0 to 2^53 - 1, or -1 for the current position";
    return numberError(operation, offset, `the offset is ${shown(offset)}: ${right}`);
  }

  protected noDescriptor(descriptor: unknown, opcode: number): unknown {
    const operation = this.nameOf(opcode);
    const message = `the descriptor is ${shown(descriptor)}: give that of a file or socket`;
    return numberError(operation, descriptor, message);
  }

  protected nameOf(opcode: number): string {
    return abi.OPERATIONS.get(opcode)?.name ?? "submit";
  }

  protected checkWhole(value: number, max: number, operation: string, name: string): number {
    if (Number.isSafeInteger(value) && value >= 0 && value <= max) return value;
    return wholeNumber(value, 0, max, name, operation);
  }

  protected checkSize(value: number, operation: string, name: string): number {
    return this.checkWhole(value, Number.MAX_SAFE_INTEGER, operation, name);
  }

  protected pathAsGiven(path: Path, operation: string): string | Uint8Array {
    return pathFrom(path, operation);
  }

  protected modeFrom(mode: number, operation: string): number {
    return modeFrom(mode, operation);
  }

  protected flag(value: boolean, absent: boolean, name: string, operation: string): boolean {
    return flag(value, absent, name, operation);
  }

  protected oneOf<Word extends string>(
    value: Word,
    words: Readonly<Record<Word, number>>,
    name: string,
    operation: string,
  ): number {
    return words[oneOf(value, words, name, operation)];
  }

  protected emptyReceive(operation: string): unknown {
    const message = "the buffer has no bytes, so a result of 0 would look like the stream's end";
    return rangeError(operation, message);
  }
}
