// The bytes that a program has allocated and copied for the bytes it received: it prints a line on
// standard output for each SIGUSR2.
//
// native/meter.c, where that is loaded, counts memory outside of JavaScript and copies. For the
// heap of JavaScript the program looks how it has grown, every 64 chunks. Memory that is made and
// collected between two looks is missed, which is little.

import { readFileSync } from "node:fs";
import { getHeapStatistics } from "node:v8";
import { printLine } from "./contender.js";

const chunksBetween = 64;

export interface Totals {
  received: number;
  heap: number;
  allocated: number;
  copied: number;
}

/** What a receiving program calls with the length of each chunk: it meters where that is wanted. */
export function countReceived(): (byteLength: number) => void {
  if (process.env["METER_FILE"] !== undefined) {
    const meter = new TrafficMeter();
    return (byteLength) => meter.take(byteLength);
  }
  return () => undefined;
}

class TrafficMeter {
  #received = 0;
  #chunks = 0;
  #heap = 0;
  #usedBytes = 0;

  constructor() {
    // Alive until it was asked for the last time, although all connections have closed.
    setInterval(() => undefined, 60_000);
    process.on("SIGUSR2", () => {
      const [allocated, copied] = readSums();
      const totals: Totals = { received: this.#received, heap: this.#heap, allocated, copied };
      printLine(JSON.stringify(totals));
    });
  }

  take(byteLength: number): void {
    this.#received += byteLength;
    if (++this.#chunks % chunksBetween !== 0) return;
    const usedBytes = getHeapStatistics().used_heap_size;
    if (usedBytes > this.#usedBytes) this.#heap += usedBytes - this.#usedBytes;
    this.#usedBytes = usedBytes;
  }
}

function readSums(): [number, number] {
  const path = process.env["METER_FILE"];
  if (path === undefined) return [0, 0];
  const sums = readFileSync(path);
  return [Number(sums.readBigUInt64LE(0)), Number(sums.readBigUInt64LE(8))];
}
