// Connections with zero-copy sends, for the tests of the conformance suite.

import type { IO, IOOptions, Socket } from "@io/core";
import type { Trial } from "./harness.js";
import { connectTo } from "./network.js";

export const MODES = ["always", "auto", "never"] as const;

/** Whether the backend can, so that a test knows what the counters must say. */
export function canSpare(io: IO): boolean {
  return io.capabilities.zeroCopySend.support === "native";
}

export interface Narrow {
  readonly io: IO;
  readonly client: Socket;
  readonly served: Socket;
}

/**
 * A TCP connection whose sender holds little, so that what it sends and the peer does not receive
 * is soon more than both hold. The memory of what stays with the sender is not released until the
 * peer has taken it.
 */
export async function narrow(trial: Trial, options: IOOptions = {}): Promise<Narrow> {
  const io = await trial.open(options);
  const listener = await io.listen({ host: "127.0.0.1", port: 0 });
  const [client, served] = await connectTo(io, listener);
  await listener.close(); // it would accept ahead, and change the count in flight
  client.setOptions({ sendBufferBytes: 262_144 });
  return { io, client, served };
}

/** Receives until the end of the stream, or `sizeBytes` of it. */
export async function drain(socket: Socket, sizeBytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let total = 0;
  while (total < sizeBytes) {
    const piece = Buffer.alloc(Math.min(65_536, sizeBytes - total));
    const count = await socket.receive(piece);
    if (count === 0) break;
    pieces.push(piece.subarray(0, count));
    total += count;
  }
  return Buffer.concat(pieces);
}
