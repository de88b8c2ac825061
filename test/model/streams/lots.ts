// Memory that is lent to a program: what the program holds, and what must hold for it as long as it
// does.

import { Violation } from "./stream.js";

/** Bytes that were lent together. */
export interface Lot {
  readonly name: string;
  /** What was in them when they were lent. */
  readonly bytes: Uint8Array;
  /** A view of them, made again each time. */
  view(): Uint8Array;
  giveBack(): void;
  /** Called when an operation begins to use it, with 1, and when it has let go, with -1. */
  use(change: 1 | -1): void;
}

interface Held extends Lot {
  readonly place: Uint8Array;
}

export class Lots {
  readonly #held: Held[] = [];

  get count(): number {
    return this.#held.length;
  }

  /** The program is lent these bytes; nobody else may have been. */
  lend(
    name: string,
    view: () => Uint8Array,
    giveBack: () => void,
    use: Lot["use"] = () => undefined,
  ): Lot {
    const place = view();
    const other = this.#held.find((held) => overlap(held.place, place));
    if (other !== undefined) {
      throw new Violation(`${name}: ${place.length} bytes are lent that ${other.name} has`);
    }
    const lot = { name, bytes: place.slice(), view, giveBack, use, place };
    this.#held.push(lot);
    return lot;
  }

  /** Counted from the latest. */
  recent(index: number): Lot | undefined {
    return this.#held.at(-1 - (index % Math.max(1, this.#held.length)));
  }

  giveBack(lot: Lot): void {
    const index = this.#held.indexOf(lot as Held);
    if (index === -1) throw new Error(`${lot.name} is not held`);
    checkLot(lot);
    this.#held.splice(index, 1);
    try {
      lot.giveBack();
    } catch (error) {
      if (error instanceof Violation) throw error;
      throw new Violation(`${lot.name} cannot be given back: ${error}`);
    }
  }

  giveAllBack(): void {
    for (const lot of [...this.#held]) this.giveBack(lot);
  }

  /** Whatever has happened meanwhile, nobody has written to what is lent. */
  check(): void {
    for (const lot of this.#held) checkLot(lot);
  }
}

function checkLot(lot: Lot): void {
  const bytes = lot.view();
  if (Buffer.compare(bytes, lot.bytes) === 0) return;
  const at = lot.bytes.findIndex((byte, index) => byte !== bytes[index]);
  throw new Violation(`${lot.name}: byte ${at} changed while it was lent`);
}

function overlap(one: Uint8Array, other: Uint8Array): boolean {
  if (one.buffer !== other.buffer) return false;
  const [from, start] = [one.byteOffset, other.byteOffset];
  return from < start + other.byteLength && start < from + one.byteLength;
}
