// The end of an IO: the engine cancels operations until none is in flight (engine/shutdown.h).

import type { NativeSession } from "../engine/native.js";
import type { Queue } from "../engine/queue.js";

const ROUND_NS = 10_000_000;

/** Detached: waits here and now. */
export function drain(queue: Queue, session: NativeSession): void {
  if (queue.inFlight > 0) session.endAll();
  while (queue.inFlight > 0) queue.drain(ROUND_NS);
}

/** Attached: resolves when nothing is in flight. */
export async function untilIdle(queue: Queue, session: NativeSession): Promise<void> {
  session.endAll();
  await new Promise<void>((resolve) => {
    queue.onDispatched = () => {
      if (queue.inFlight === 0) resolve();
    };
  });
  queue.onDispatched = null;
}
