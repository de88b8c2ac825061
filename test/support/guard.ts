// How long a test waits for what should come soon. Where everything is slower, as on an emulated
// machine, IO_GUARD_FACTOR makes it longer.

const factor = Number(process.env["IO_GUARD_FACTOR"] ?? 1);

/** What a wait gives up after; never how long something is expected to take. */
export function guardMs(milliseconds: number): number {
  return milliseconds * factor;
}
