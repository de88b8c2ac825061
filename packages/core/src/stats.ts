// The counters of an IO, and how the engine's array of counters becomes an object.
import { COUNTER_NAMES } from "./engine/abi.js";

/**
 * What is counted for one socket, and in `io.stats()` for all of them.
 *
 * @category Diagnostics
 */
export interface SocketStats {
  /** Sends that went without a copy by the library. */
  zeroCopySends: number;
  /** Bytes that those sends moved. */
  zeroCopyBytes: number;
  /** Of those sends, the ones that the kernel copied anyway (Linux 6.2 and later reports it). */
  zeroCopyCopied: number;
  /** Sends with `zeroCopy` that went as plain sends. */
  zeroCopyFallenBack: number;
  /** Sends that have completed and whose memory the kernel still has now. */
  zeroCopyUnreleased: number;
  /** Chunks that were received into the memory of `zeroCopyReceive`. */
  zeroCopyChunks: number;
  /** Bytes in those chunks. */
  zeroCopyChunkBytes: number;
}

/**
 * What {@link IO.stats} counts. A name that ends in "Bytes" is bytes; everything else is a count.
 * Counters only grow, except those that say "now".
 *
 * @category Diagnostics
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await Promise.all([io.nop(), io.nop()]);
 * const { submitted, systemCalls } = io.stats();
 * process.stdout.write(`${submitted} operations in ${systemCalls} system calls\n`);
 * ```
 */
export interface Stats extends SocketStats {
  /** Operations that the backend took. */
  submitted: number;
  /** Completions that the program got; a multishot operation has many. */
  completed: number;
  /** Entries that the engine refused before they reached the backend. */
  refused: number;
  /** Operations in flight now. */
  inFlight: number;
  /** The most operations that were in flight at once. */
  maxInFlight: number;
  /** System calls that the backend made. */
  systemCalls: number;
  /** How often Node's event loop woke the engine; 0 in detached mode. */
  wakeUps: number;
  /** Sends that shared a system call with the send before them. */
  coalescedSends: number;
  /** Cancels that the engine made by itself, to close something. */
  cancels: number;
  /** Completions that the kernel dropped for want of memory: must stay 0. */
  overflows: number;
  /** Descriptors of this IO that are open now. */
  descriptors: number;
  /** `ArrayBuffer`s that the engine knows now. */
  buffers: number;
  /** Bytes of memory behind those `ArrayBuffer`s now. */
  bufferBytes: number;
  /** Bytes of that memory that are registered with the kernel now (io_uring). */
  registeredBytes: number;
  /** Buffers of groups and of `chunks()` that the program holds now. */
  buffersHeld: number;
  /** Releases of buffers that the program did not hold: must stay 0. */
  releasesRefused: number;
  /** Of those chunks, the ones that the program holds now. */
  zeroCopyChunksHeld: number;
  /** Receives that the kernel would not make into the memory of `zeroCopyReceive`. */
  zeroCopyRefused: number;
  /** How often the ring of returned chunks had no room for another. */
  zeroCopyRefillFull: number;
  /** How often the engine asked the kernel to take the chunks that were returned. */
  zeroCopyFlushes: number;
  /** Completions that named no operation of this IO: must stay 0. */
  strays: number;
}

/** The counters by name; the compiler refuses a counter of the engine that has no line above. */
export function statsFrom(counters: Float64Array, strays: number): Stats {
  const stats: Partial<Stats> = { strays };
  for (const [index, name] of COUNTER_NAMES.entries()) stats[name] = counters[index] ?? 0;
  return stats as Stats;
}
