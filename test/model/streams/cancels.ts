// The steps of a program that ask for the end of operations: of one, of a descriptor's, of all.

import { Violation } from "./model.js";
import { isEnd, type Operation, REFUSED } from "./operation.js";
import type { Endpoint, World } from "./world.js";

/** One cancel in so many is of an operation that may have ended already. */
const STALE_ONE_IN = 8;

/** Which operation a cancel is of: mostly one in flight, counted from the latest. */
function targetOf(world: World, index: number): Operation | undefined {
  const inFlight = [...world.inFlight].filter(({ fields }) => fields.verb !== "cancel");
  const from = index % STALE_ONE_IN === 0 ? world.operations : inFlight;
  return from.at(-1 - (index % Math.max(1, from.length)));
}

export function cancel(world: World, index: number): void {
  const target = targetOf(world, index);
  if (target === undefined) return;
  const { completion, controller } = target;
  if (controller !== null) {
    controller.abort();
    target.askedToEnd = true;
    if (!target.composite) target.mustEnd = true;
    world.say(`abort ${target.name}`);
  }
  if (completion === null) return;
  const operation = world.start(
    { verb: "cancel", target },
    (c, callback) => world.ring.cancel(c, callback, completion),
    (result) => cancelDone(target, result),
  );
  if (operation !== null) target.askedToEnd = true;
}

function cancelDone(target: Operation, result: number): void {
  const { verb, chain } = target.fields;
  // A close goes on to its end, and a multishot operation may give more before it ends.
  const sure = !["close", "acceptMultishot", "receiveMultishot"].includes(verb);
  if (!target.ended) {
    if (chain === undefined) target.mustEnd = true;
    if (result === 0 && sure) target.wasEndedByCancel = true;
    return;
  }
  const last = target.results.at(-1) ?? 0;
  if (result !== 0 || isEnd(last) || !sure) return;
  throw new Violation(`a cancel said that it ended ${target.name}, which gave ${last}`);
}

export function cancelDescriptor(world: World, endpoint: Endpoint): void {
  const refused = endpoint.closing ? { mustFailWith: REFUSED } : {};
  const inFlight = world.on(endpoint);
  const operation = world.start(
    { verb: "cancelDescriptor", on: endpoint, ...refused },
    (c, callback) => world.ring.cancelDescriptor(c, callback, endpoint.descriptor),
    (result) => {
      // A stream that was aborted may still receive.
      const streams = endpoint.stream === null ? 0 : 1;
      if (result <= inFlight.length + streams) return;
      throw new Violation(`a cancel ended ${result} of ${inFlight.length} operations`);
    },
  );
  if (operation !== null && !endpoint.closing) world.askToEnd(inFlight);
}

export function cancelAll(world: World): void {
  const inFlight = [...world.inFlight, ...world.streams];
  const operation = world.start({ verb: "cancelAll" }, (c, callback) =>
    world.ring.cancelAll(c, callback),
  );
  if (operation !== null) world.askToEnd(inFlight);
}
