// The chunks that a program holds, and the rules for them as long as it does.

import { Violation } from "./model.js";

/** The bytes of one chunk. */
export interface HeldChunk {
  readonly name: string;
  /** Their content when the program got them. */
  readonly bytes: Uint8Array;
  /** A view of them, made again each time. */
  view(): Uint8Array;
  release(): void;
  /** Called when an operation begins to use it, with 1, and when it has let go, with -1. */
  use(change: 1 | -1): void;
}

interface Held extends HeldChunk {
  readonly place: Uint8Array;
}

export class HeldChunks {
  readonly #held: Held[] = [];

  get count(): number {
    return this.#held.length;
  }

  /** The program gets these bytes; no other chunk may have them. */
  hold(
    name: string,
    view: () => Uint8Array,
    release: () => void,
    use: HeldChunk["use"] = () => undefined,
  ): HeldChunk {
    const place = view();
    const other = this.#held.find((held) => overlap(held.place, place));
    if (other !== undefined) {
      throw new Violation(`${name}: ${place.length} bytes are held that ${other.name} has`);
    }
    const heldChunk = { name, bytes: place.slice(), view, release, use, place };
    this.#held.push(heldChunk);
    return heldChunk;
  }

  /** Counted from the latest. */
  recent(index: number): HeldChunk | undefined {
    return this.#held.at(-1 - (index % Math.max(1, this.#held.length)));
  }

  release(heldChunk: HeldChunk): void {
    const index = this.#held.indexOf(heldChunk as Held);
    if (index === -1) throw new Error(`${heldChunk.name} is not held`);
    checkChunk(heldChunk);
    this.#held.splice(index, 1);
    try {
      heldChunk.release();
    } catch (error) {
      if (error instanceof Violation) throw error;
      throw new Violation(`${heldChunk.name} cannot be released: ${error}`);
    }
  }

  releaseAll(): void {
    for (const heldChunk of [...this.#held]) this.release(heldChunk);
  }

  /** Whatever has happened meanwhile, held bytes are unchanged. */
  check(): void {
    for (const heldChunk of this.#held) checkChunk(heldChunk);
  }
}

function checkChunk(heldChunk: HeldChunk): void {
  const bytes = heldChunk.view();
  if (Buffer.compare(bytes, heldChunk.bytes) === 0) return;
  const at = heldChunk.bytes.findIndex((byte, index) => byte !== bytes[index]);
  throw new Violation(`${heldChunk.name}: byte ${at} changed while it was held`);
}

function overlap(one: Uint8Array, other: Uint8Array): boolean {
  if (one.buffer !== other.buffer) return false;
  const [from, start] = [one.byteOffset, other.byteOffset];
  return from < start + other.byteLength && start < from + one.byteLength;
}
