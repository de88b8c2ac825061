/**
 * What clients make the server hold: replies that they have not read, and requests that have not
 * arrived in full. A client may hold much, as long as all of them together stay within the limit;
 * beyond it the client that holds most is disconnected, as Redis does with `maxmemory-clients`.
 *
 * To stop reading from a client that does not read would bound its memory too, but many clients
 * write a whole pipeline before they read the first reply, and both sides would wait.
 */

import { totalmem } from "node:os";

/** A client, as its memory is counted. */
export interface Holder {
  heldBytes: number;
  /** Ends the connection, because of what it holds. */
  disconnect(why: string): void;
}

/** A quarter of the memory that this process may use. */
export function defaultClientsMemoryBytes(): number {
  const constrained = process.constrainedMemory?.() ?? 0;
  const availableBytes = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return Math.floor(availableBytes / 4);
}

export class ClientMemory {
  totalBytes = 0;
  private readonly holders = new Set<Holder>();

  constructor(readonly limitBytes: number) {}

  /** The holder holds so many bytes now; none when it has ended. */
  update(holder: Holder, heldBytes: number): void {
    this.totalBytes += heldBytes - holder.heldBytes;
    holder.heldBytes = heldBytes;
    if (heldBytes === 0) this.holders.delete(holder);
    else this.holders.add(holder);
    while (this.totalBytes > this.limitBytes) this.disconnectLargest();
  }

  private disconnectLargest(): void {
    let largest: Holder | undefined;
    for (const holder of this.holders) {
      if (largest === undefined || holder.heldBytes > largest.heldBytes) largest = holder;
    }
    if (largest === undefined) return;
    this.totalBytes -= largest.heldBytes;
    largest.heldBytes = 0;
    this.holders.delete(largest);
    largest.disconnect(
      `the clients hold more than ${this.limitBytes} bytes of unread replies and incomplete ` +
        "requests, and this one held most",
    );
  }
}
