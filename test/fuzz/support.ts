// Seeds, random choices and step counts of the fuzz tests. IO_SEED repeats a run, IO_FUZZ_STEPS
// makes it longer.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The seed of this run, printed so that a failure can be repeated. */
export function seedOf(name: string): number {
  const seed = Number(process.env["IO_SEED"] ?? Date.now() % 1_000_000_000);
  process.stdout.write(`${name}: seed ${seed} (repeat with IO_SEED=${seed})\n`);
  return seed;
}

export function stepsOf(usual: number): number {
  return Number(process.env["IO_FUZZ_STEPS"] ?? usual);
}

/** Random numbers (mulberry32): the same seed gives the same program. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * limit);
  }

  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}

/** A folder that goes when this process ends. */
export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "io-fuzz-"));
  process.on("exit", () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** The byte at a place of endless data that every reader can check. */
export function byteAt(position: number): number {
  return (position * 31 + (position >>> 8) * 7) & 0xff;
}

export function fillFrom(buffer: Uint8Array, position: number): void {
  for (let index = 0; index < buffer.length; index++) buffer[index] = byteAt(position + index);
}

/** The first index that is not as `fillFrom` wrote it, or -1. */
export function firstWrong(buffer: Uint8Array, count: number, position: number): number {
  for (let index = 0; index < count; index++) {
    if (buffer[index] !== byteAt(position + index)) return index;
  }
  return -1;
}
