// A file that a program reads and writes while much else is in flight: regions that have one
// operation at a time, so that what each holds is known.

import { writeFileSync } from "node:fs";
import { type Descriptor, OpenFlags } from "@io/core";
import { contentOf } from "./content.js";
import { Violation } from "./model.js";
import { type Operation, type OperationFields, REFUSED } from "./operation.js";
import type { Done, World } from "./world.js";

export const REGIONS = 8;
const REGION_BYTES = 4096;

type Begin = Parameters<World["start"]>[1];

/** An operation that can be started alone or as a member of a chain. */
export interface Startable {
  readonly fields: Omit<OperationFields, "layer">;
  readonly begin: Begin;
  readonly done: Done;
  /** Called when it could not be started after all. */
  readonly undo: () => void;
}

interface Region {
  /** The number of the content that it holds, as `contentOf` knows it. */
  content: number;
  busy: boolean;
}

export class Disk {
  readonly #world: World;
  readonly path: string;
  readonly #regions: Region[] = [];
  #descriptor: Descriptor | null = null;
  #opening = false;
  #contents = 1_000_000;
  #old: Operation[] = [];

  constructor(world: World, path: string) {
    this.#world = world;
    this.path = path;
  }

  #newContent(): number {
    return this.#contents++;
  }

  /** Writes the file from outside, and starts to open it. */
  open(): void {
    if (this.#opening || this.#descriptor !== null) return;
    if (this.#regions.length === 0) {
      for (let index = 0; index < REGIONS; index++) {
        this.#regions.push({ content: this.#newContent(), busy: false });
      }
      const whole = this.#regions.map(({ content }) => contentOf(content, REGION_BYTES));
      writeFileSync(this.path, Buffer.concat(whole));
    }
    const flags = OpenFlags.read | OpenFlags.write;
    const operation = this.#world.start(
      { verb: "open" },
      (c, callback) => this.#world.ring.open(c, callback, this.path, flags, 0o600),
      (result) => {
        this.#opening = false;
        if (result < 0) return;
        this.#world.opened(result);
        this.#descriptor = result;
      },
    );
    this.#opening = operation !== null;
  }

  /** Null when the region has an operation already, or the file is not open. */
  reading(index: number): Startable | null {
    const region = this.#regions[index];
    const descriptor = this.#descriptor;
    if (region === undefined || region.busy || descriptor === null) return null;
    region.busy = true;
    const memory = new Uint8Array(REGION_BYTES);
    return {
      fields: { verb: "read", sizeBytes: REGION_BYTES },
      begin: (c, callback) =>
        this.#world.ring.read(c, callback, descriptor, memory, index * REGION_BYTES),
      done: (result, operation) => {
        region.busy = false;
        if (result < 0) return;
        const expected = contentOf(region.content, REGION_BYTES);
        if (Buffer.compare(memory, expected) === 0) return;
        throw new Violation(`${operation.name}: region ${index} does not hold what was written`);
      },
      undo: () => {
        region.busy = false;
      },
    };
  }

  writing(index: number): Startable | null {
    const region = this.#regions[index];
    const descriptor = this.#descriptor;
    if (region === undefined || region.busy || descriptor === null) return null;
    region.busy = true;
    const content = this.#newContent();
    const memory = contentOf(content, REGION_BYTES);
    return {
      fields: { verb: "write", sizeBytes: REGION_BYTES },
      begin: (c, callback) =>
        this.#world.ring.write(c, callback, descriptor, memory, index * REGION_BYTES),
      // A write that was cancelled has written nothing.
      done: (result) => {
        region.busy = false;
        if (result > 0) region.content = content;
      },
      undo: () => {
        region.busy = false;
      },
    };
  }

  readingPastEnd(): Startable | null {
    const descriptor = this.#descriptor;
    if (descriptor === null) return null;
    const memory = new Uint8Array(16);
    return {
      fields: { verb: "readPastEnd", sizeBytes: memory.length },
      begin: (c, callback) => this.#world.ring.read(c, callback, descriptor, memory, 1e9),
      done: () => undefined,
      undo: () => undefined,
    };
  }

  syncing(): Startable | null {
    const descriptor = this.#descriptor;
    if (descriptor === null) return null;
    return {
      fields: { verb: "sync" },
      begin: (c, callback) => this.#world.ring.sync(c, callback, descriptor, "data"),
      done: () => undefined,
      undo: () => undefined,
    };
  }

  /** The operations in flight on the file; the caller of a start adds them here. */
  started(operation: Operation): void {
    this.#old.push(operation);
  }

  /** Closes the file with whatever is in flight on it; a later step opens it again. */
  close(): void {
    const descriptor = this.#descriptor;
    if (descriptor === null) return;
    const inFlight = this.#old.filter((operation) => !operation.ended);
    const operation = this.#world.start(
      { verb: "close" },
      (c, callback) => this.#world.ring.close(c, callback, descriptor),
      (result) => {
        if (result === 0) this.#world.open--;
        const left = inFlight.find((one) => !one.ended);
        if (left !== undefined) throw new Violation(`the file is closed before ${left.name} ended`);
      },
    );
    if (operation === null) return;
    this.#descriptor = null;
    this.#old = [];
    this.#world.askToEndChains(inFlight);
    // Its number may be in use again before long, and means nothing any more.
    this.#world.start({ verb: "sync", mustFailWith: REFUSED }, (c, callback) =>
      this.#world.ring.sync(c, callback, descriptor, "data"),
    );
  }

  /** Everything that was written is there, and nothing else. */
  contents(): Buffer {
    const whole = this.#regions.map(({ content }) => contentOf(content, REGION_BYTES));
    return Buffer.concat(whole);
  }
}
