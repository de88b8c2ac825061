// The steps of a program that receive into lent memory with the verb of the ring: groups so small
// that everything is lent sooner or later, and bytes that are held and given back in any order.

import type { BufferGroup, MultishotCompletion } from "@io/core";
import { Lots } from "./lots.js";
import { NO_BUFFERS, type Operation, REFUSED } from "./operation.js";
import type { StreamStep } from "./steps.js";
import { Violation } from "./stream.js";
import type { Endpoint, World } from "./world.js";

type Plan = Omit<Extract<StreamStep, { do: "receiveLent" }>, "do" | "socket">;

interface Receive extends Plan {
  readonly endpoint: Endpoint;
  readonly from: LentGroup;
}

/** The last one begins with fewer pieces than it may have. */
const GROUPS = [
  { bufferBytes: 64, pieces: 2 },
  { bufferBytes: 300, pieces: 3 },
  { bufferBytes: 2048, pieces: 4 },
  { bufferBytes: 32, pieces: 24 },
] as const;

export const GROUP_COUNT = GROUPS.length;

/** A group of lent memory, and what the model knows of its pieces. */
class LentGroup {
  readonly group: BufferGroup;
  /** How many lots of each piece the program holds. */
  readonly #lots = new Map<number, number>();
  /** Of each receive in flight: the pieces that were held at some time since its start. */
  readonly #held = new Map<Operation, Set<number>>();
  readonly #piecesAtStart = new Map<Operation, number>();
  /** Receives that wait for memory, and how many were woken since the latest began to. */
  waiting = 0;
  wokenSince = 0;
  closed = false;

  constructor(group: BufferGroup) {
    this.group = group;
  }

  started(operation: Operation): void {
    this.#held.set(operation, new Set(this.#lots.keys()));
    this.#piecesAtStart.set(operation, this.group.bufferCount);
    this.#note(operation);
  }

  ended(operation: Operation): void {
    this.#held.delete(operation);
    this.#piecesAtStart.delete(operation);
  }

  lent(piece: number): void {
    this.use(piece, 1);
    for (const [operation, held] of this.#held) {
      held.add(piece);
      this.#note(operation);
    }
  }

  // What was given back reaches the kernel with the next batch, so it may have been missed by what
  // was in flight then.
  #note(operation: Operation): void {
    const held = this.#held.get(operation)?.size ?? 0;
    if (held >= (this.#piecesAtStart.get(operation) ?? 0)) operation.mayLackMemory = true;
  }

  /** What an operation uses stays where it is when the program gives it back. */
  use(piece: number, change: number): void {
    const left = (this.#lots.get(piece) ?? 0) + change;
    if (left > 0) this.#lots.set(piece, left);
    else this.#lots.delete(piece);
  }

  giveBack(piece: number): void {
    this.use(piece, -1);
    this.group.release(piece);
    // Whoever waits began to when everything was held.
    if (this.#lots.size > 0 || this.closed) return;
    if (this.waiting === 0 || this.wokenSince > 0) return;
    throw new Violation(`nothing is lent, and ${this.waiting} receives wait for memory`);
  }

  /** Pieces of which the program holds something. */
  get piecesHeld(): number {
    return this.#lots.size;
  }
}

export class Lent {
  readonly #world: World;
  readonly lots = new Lots();
  readonly #groups: (LentGroup | undefined)[] = [];
  #count = 0;
  /** The program is over: nothing is started again. */
  ending = false;

  constructor(world: World) {
    this.#world = world;
  }

  #group(index: number): LentGroup {
    const found = this.#groups[index];
    if (found !== undefined) return found;
    const { bufferBytes, pieces } = GROUPS[index % GROUP_COUNT] as (typeof GROUPS)[number];
    const maxBytes = bufferBytes * pieces;
    const made = new LentGroup(this.#world.ring.bufferGroup({ bufferBytes, maxBytes }));
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
    if (result > 0) this.#lent(receive, result, operation);
    if (result === 0) endpoint.inbox.end();
    if (!receive.again || !operation.ended) return;
    if (result > 0) this.#again(receive);
    if (result === NO_BUFFERS) this.#wait(receive);
  }

  #lent(receive: Receive, count: number, operation: Operation): void {
    const { endpoint, from, maxBytes, keepOneIn } = receive;
    operation.received += count;
    if (maxBytes > 0 && operation.received >= maxBytes && !operation.ended) {
      throw new Violation(`${operation.name} goes on after ${operation.received} bytes`);
    }
    const { bufferId, offset } = operation.completion as MultishotCompletion;
    const { group } = from;
    from.lent(bufferId);
    const lot = this.lots.lend(
      `lot ${this.#count++} of ${operation.name}`,
      () => group.view(bufferId, offset, count),
      () => from.giveBack(bufferId),
      (change) => from.use(bufferId, change),
    );
    const found = endpoint.inbox.receive(lot.bytes);
    if (found !== null) endpoint.pair(found);
    if (this.#count % keepOneIn !== 0) this.lots.giveBack(lot);
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

  giveBack(index: number, count: number): void {
    for (let left = count; left > 0; left--) {
      const lot = this.lots.recent(index);
      if (lot === undefined) return;
      this.#world.say(`give back ${lot.name}`);
      this.lots.giveBack(lot);
    }
  }

  giveAllBack(): void {
    if (this.lots.count > 0) this.#world.say(`give back all ${this.lots.count} lots`);
    this.lots.giveAllBack();
  }

  // ---- counting

  /** Pieces of which the program holds something. */
  get piecesHeld(): number {
    return this.#groups.reduce((sum, group) => sum + (group?.piecesHeld ?? 0), 0);
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
