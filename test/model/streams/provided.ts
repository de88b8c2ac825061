// The steps of a program that receive into provided buffers with the verb of the ring: groups so
// small that the program holds every buffer sooner or later, and chunks that are held and released
// in any order.

import type { BufferGroup, MultishotCompletion } from "@io/core";
import { HeldChunks } from "./held_chunks.js";
import { Violation } from "./model.js";
import { NO_BUFFERS, type Operation, REFUSED } from "./operation.js";
import type { StreamStep } from "./steps.js";
import type { Endpoint, World } from "./world.js";

type Plan = Omit<Extract<StreamStep, { do: "receiveProvided" }>, "do" | "socket">;

interface Receive extends Plan {
  readonly endpoint: Endpoint;
  readonly from: ProvidedGroup;
}

/** The last one begins with fewer buffers than it may have. */
const GROUPS = [
  { bufferBytes: 64, buffers: 2 },
  { bufferBytes: 300, buffers: 3 },
  { bufferBytes: 2048, buffers: 4 },
  { bufferBytes: 32, buffers: 24 },
] as const;

export const GROUP_COUNT = GROUPS.length;

/** A group of provided buffers, and the model's knowledge of them. */
class ProvidedGroup {
  readonly group: BufferGroup;
  /** How many chunks of each buffer the program holds. */
  readonly #heldChunks = new Map<number, number>();
  /** Of each receive in flight: the buffers that were held at some time since its start. */
  readonly #held = new Map<Operation, Set<number>>();
  readonly #buffersAtStart = new Map<Operation, number>();
  /** Receives that wait for memory, and how many were woken since the latest began to. */
  waiting = 0;
  wokenSince = 0;
  closed = false;

  constructor(group: BufferGroup) {
    this.group = group;
  }

  started(operation: Operation): void {
    this.#held.set(operation, new Set(this.#heldChunks.keys()));
    this.#buffersAtStart.set(operation, this.group.bufferCount);
    this.#note(operation);
  }

  ended(operation: Operation): void {
    this.#held.delete(operation);
    this.#buffersAtStart.delete(operation);
  }

  provided(bufferId: number): void {
    this.use(bufferId, 1);
    for (const [operation, held] of this.#held) {
      held.add(bufferId);
      this.#note(operation);
    }
  }

  // Released buffers reach the kernel with the next batch, so an operation that was in flight then
  // may have missed them.
  #note(operation: Operation): void {
    const held = this.#held.get(operation)?.size ?? 0;
    if (held >= (this.#buffersAtStart.get(operation) ?? 0)) operation.mayLackMemory = true;
  }

  /** What an operation uses stays where it is when the program gives it back. */
  use(bufferId: number, change: number): void {
    const left = (this.#heldChunks.get(bufferId) ?? 0) + change;
    if (left > 0) this.#heldChunks.set(bufferId, left);
    else this.#heldChunks.delete(bufferId);
  }

  release(bufferId: number): void {
    this.use(bufferId, -1);
    this.group.release(bufferId);
    // A receive that waits began to when everything was held.
    if (this.#heldChunks.size > 0 || this.closed) return;
    if (this.waiting === 0 || this.wokenSince > 0) return;
    throw new Violation(`no buffer is held, and ${this.waiting} receives wait for memory`);
  }

  /** Buffers of which the program holds a chunk. */
  get buffersHeld(): number {
    return this.#heldChunks.size;
  }
}

export class Provided {
  readonly #world: World;
  readonly heldChunks = new HeldChunks();
  readonly #groups: (ProvidedGroup | undefined)[] = [];
  #count = 0;
  /** The program is over: nothing is started again. */
  ending = false;

  constructor(world: World) {
    this.#world = world;
  }

  #group(index: number): ProvidedGroup {
    const found = this.#groups[index];
    if (found !== undefined) return found;
    const { bufferBytes, buffers } = GROUPS[index % GROUP_COUNT] as (typeof GROUPS)[number];
    const maxBytes = bufferBytes * buffers;
    const made = new ProvidedGroup(this.#world.ring.bufferGroup({ bufferBytes, maxBytes }));
    this.#groups[index] = made;
    return made;
  }

  // ---- receiving

  receive(endpoint: Endpoint, plan: Plan): void {
    this.#start({ ...plan, endpoint, from: this.#group(plan.group) });
  }

  #start(receive: Receive): boolean {
    const { endpoint, from, maxBytes } = receive;
    if (endpoint.receivesAlone > 0 || endpoint.receivesUnknown) return false;
    const { group } = from;
    const { ring } = this.#world;
    const operation = this.#world.start(
      {
        verb: "receiveMultishot",
        on: endpoint,
        sizeBytes: group.bufferBytes,
        ...(maxBytes === 0 ? {} : { maxBytes }),
        ...(endpoint.closing ? { mustFailWith: REFUSED } : {}),
      },
      (c, callback) => {
        const completion = c as MultishotCompletion;
        ring.receiveMultishot(completion, callback, endpoint.descriptor, group, maxBytes);
      },
      (result, ended) => this.#completed(receive, result, ended),
    );
    if (operation === null) return false;
    endpoint.receives.push(operation);
    from.started(operation);
    return true;
  }

  #completed(receive: Receive, result: number, operation: Operation): void {
    const { endpoint, from } = receive;
    if (operation.ended) {
      from.ended(operation);
      endpoint.receives.splice(endpoint.receives.indexOf(operation), 1);
    } else if (result <= 0)
      throw new Violation(`${operation.name} gave ${result} and has not ended`);
    if (result > 0) this.#provided(receive, result, operation);
    if (result === 0) endpoint.inbox.end();
    if (!receive.again || !operation.ended) return;
    if (result > 0) this.#again(receive);
    if (result === NO_BUFFERS) this.#wait(receive);
  }

  #provided(receive: Receive, count: number, operation: Operation): void {
    const { endpoint, from, maxBytes, keepOneIn } = receive;
    operation.received += count;
    if (maxBytes > 0 && operation.received >= maxBytes && !operation.ended) {
      throw new Violation(`${operation.name} goes on after ${operation.received} bytes`);
    }
    const { bufferId, offset } = operation.completion as MultishotCompletion;
    const { group } = from;
    from.provided(bufferId);
    const heldChunk = this.heldChunks.hold(
      `chunk ${this.#count++} of ${operation.name}`,
      () => group.view(bufferId, offset, count),
      () => from.release(bufferId),
      (change) => from.use(bufferId, change),
    );
    const found = endpoint.inbox.receive(heldChunk.bytes);
    if (found !== null) endpoint.pair(found);
    if (this.#count % keepOneIn !== 0) this.heldChunks.release(heldChunk);
  }

  #again(receive: Receive): boolean {
    if (this.ending || this.#world.over || receive.endpoint.closing) return false;
    return this.#start(receive);
  }

  #wait(receive: Receive): void {
    const { from } = receive;
    from.waiting++;
    from.wokenSince = 0;
    from.group.whenAvailable(() => {
      from.waiting--;
      from.wokenSince++;
      try {
        return this.#again(receive);
      } catch (error) {
        this.#world.fail(error);
        return false;
      }
    });
  }

  // ---- giving back

  release(index: number, count: number): void {
    for (let left = count; left > 0; left--) {
      const heldChunk = this.heldChunks.recent(index);
      if (heldChunk === undefined) return;
      this.#world.say(`release ${heldChunk.name}`);
      this.heldChunks.release(heldChunk);
    }
  }

  releaseAll(): void {
    if (this.heldChunks.count > 0) this.#world.say(`release all ${this.heldChunks.count} chunks`);
    this.heldChunks.releaseAll();
  }

  // ---- counting

  /** Buffers of which the program holds a chunk. */
  get buffersHeld(): number {
    return this.#groups.reduce((sum, group) => sum + (group?.buffersHeld ?? 0), 0);
  }

  /** Releases the memory; what is held of it stays as it is. */
  closeGroups(): void {
    for (const group of this.#groups) {
      if (group === undefined) continue;
      group.group.close();
      group.closed = true;
    }
  }
}
