// Programs of sockets, timers and cancels as plain data, and how they are generated. Steps name
// sockets, operations and peers by number, counted from the latest. A step whose number names
// nothing is left out, so that every part of a program is a program too.

import fc from "fast-check";
import type { Layer } from "../files/steps.js";
import { GROUP_COUNT } from "./provided.js";

export type ConnectionKind = "own" | "peer";

export interface ConnectionPlan {
  kind: ConnectionKind;
  isUnix: boolean;
  layer: Layer;
  /** Small buffers of the system, so that sends have to wait. */
  small: boolean;
}

export type ChainMember =
  | { do: "nop" }
  | { do: "timeout"; durationNs: number }
  | { do: "send"; socket: number; size: number }
  | { do: "receive"; socket: number; size: number }
  | { do: "read"; region: number }
  | { do: "write"; region: number }
  | { do: "readPastEnd" }
  | { do: "sync" };

export type Limit = number | null;

export type StreamStep =
  | { do: "receive"; socket: number; size: number; layer: Layer; limitNs: Limit }
  | { do: "send"; socket: number; sizes: number[]; layer: Layer; limitNs: Limit }
  | { do: "burst"; socket: number; count: number; size: number; layer: Layer }
  | {
      do: "receiveProvided";
      socket: number;
      group: number;
      maxBytes: number;
      /** Of so many chunks one is kept; the others are released at once. */
      keepOneIn: number;
      /** It is started again when it ended with bytes, or when there is memory again. */
      again: boolean;
    }
  | { do: "echo"; socket: number; heldChunk: number; layer: Layer; release: boolean }
  | { do: "release"; heldChunk: number; count: number }
  | { do: "releaseAll" }
  | { do: "takeChunks"; socket: number; count: number; limitNs: Limit }
  | { do: "leave"; socket: number }
  | { do: "receiveFull"; socket: number; size: number }
  | { do: "sendAll"; socket: number; size: number }
  | { do: "shutdown"; socket: number; how: "send" | "receive" | "both"; layer: Layer }
  | { do: "close"; socket: number; layer: Layer }
  | { do: "cancel"; operation: number }
  | { do: "cancelDescriptor"; socket: number }
  | { do: "cancelAll" }
  | { do: "nop"; layer: Layer }
  | { do: "timeout"; durationNs: number; layer: Layer; limitNs: Limit }
  | { do: "accept"; listener: number; limitNs: Limit; multishot: boolean }
  | { do: "connect"; listener: number; layer: Layer; limitNs: Limit }
  | { do: "closeListener"; listener: number }
  | { do: "plainConnect"; listener: number }
  | { do: "plainSend"; peer: number; size: number }
  | { do: "plainRead"; peer: number; on: boolean }
  | { do: "plainEnd"; peer: number }
  | { do: "plainReset"; peer: number }
  | { do: "plainVanish"; peer: number }
  | { do: "readFile"; region: number }
  | { do: "writeFile"; region: number }
  | { do: "reopenFile" }
  | { do: "chain"; members: ChainMember[] }
  | { do: "turn"; count: number }
  | { do: "flush" }
  | { do: "settle" };

/** How a program ends: all is received; all is closed; or the IO is closed with all in flight. */
export type Ending = "drain" | "close" | "abandon";

export interface StreamProgram {
  mode: "attached" | "detached";
  /** Released memory is overwritten. */
  poison: boolean;
  /** Buffers that the streams of `chunks()` share. */
  buffers: number;
  connections: ConnectionPlan[];
  steps: StreamStep[];
  ending: Ending;
}

const layer = fc.constantFrom<Layer>("ring", "promise");
const socket = fc.nat(5);
const peer = fc.nat(3);
const listener = fc.nat(3);
const region = fc.nat(7);
const size = fc.oneof(
  { weight: 10, arbitrary: fc.integer({ min: 1, max: 40 }) },
  { weight: 10, arbitrary: fc.integer({ min: 1, max: 5000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 5000, max: 300_000 }) },
);
const MAX_SHORT_NS = 1_500_000;
const duration = fc.oneof(
  { weight: 4, arbitrary: fc.nat(MAX_SHORT_NS) },
  { weight: 3, arbitrary: fc.constant(3600e9) },
);
const limit: fc.Arbitrary<Limit> = fc.oneof(
  { weight: 5, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.nat(MAX_SHORT_NS) },
  { weight: 1, arbitrary: fc.constant(3600e9) },
);

const members: fc.Arbitrary<ChainMember> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant("nop" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("timeout" as const), durationNs: fc.nat(300_000) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("send" as const), socket, size }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("receive" as const), socket, size }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("read" as const), region }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("write" as const), region }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("readPastEnd" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("sync" as const) }) },
);

type Row = readonly [weight: number, name: string, arbitrary: fc.Arbitrary<StreamStep>];

function row<D extends StreamStep["do"]>(
  weight: number,
  name: D,
  fields: {
    [K in keyof Omit<Extract<StreamStep, { do: D }>, "do">]: fc.Arbitrary<
      Extract<StreamStep, { do: D }>[K]
    >;
  },
): Row {
  const arbitrary = fc.record({ do: fc.constant(name), ...fields });
  return [weight, name, arbitrary as unknown as fc.Arbitrary<StreamStep>];
}

const sizes = fc.oneof(
  { weight: 4, arbitrary: size.map((one) => [one]) },
  { weight: 1, arbitrary: fc.array(size, { minLength: 2, maxLength: 5 }) },
);

const rows: readonly Row[] = [
  row(22, "receive", { socket, size, layer, limitNs: limit }),
  row(22, "send", { socket, sizes, layer, limitNs: limit }),
  // Many that wait behind one another go together.
  row(5, "burst", {
    socket,
    count: fc.integer({ min: 2, max: 40 }),
    size: fc.integer({ min: 1, max: 5000 }),
    layer,
  }),
  row(10, "receiveProvided", {
    socket,
    group: fc.nat(GROUP_COUNT - 1),
    maxBytes: fc.oneof(
      { weight: 2, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 5000 }) },
    ),
    keepOneIn: fc.constantFrom(1, 2, 7),
    again: fc.boolean(),
  }),
  row(4, "echo", { socket, heldChunk: fc.nat(7), layer, release: fc.boolean() }),
  row(9, "release", { heldChunk: fc.nat(7), count: fc.integer({ min: 1, max: 4 }) }),
  row(2, "releaseAll", {}),
  row(10, "takeChunks", { socket, count: fc.integer({ min: 1, max: 4 }), limitNs: limit }),
  row(1, "leave", { socket }),
  row(2, "receiveFull", { socket, size }),
  row(2, "sendAll", { socket, size }),
  row(2, "shutdown", { socket, how: fc.constantFrom("send", "receive", "both"), layer }),
  row(3, "close", { socket, layer }),
  row(8, "cancel", { operation: fc.nat(7) }),
  row(2, "cancelDescriptor", { socket }),
  row(1, "cancelAll", {}),
  row(2, "nop", { layer }),
  row(4, "timeout", { durationNs: duration, layer, limitNs: limit }),
  row(5, "accept", { listener, limitNs: limit, multishot: fc.nat(3).map((at) => at === 0) }),
  row(5, "connect", { listener, layer, limitNs: limit }),
  row(1, "closeListener", { listener }),
  row(2, "plainConnect", { listener }),
  row(7, "plainSend", { peer, size }),
  row(4, "plainRead", { peer, on: fc.boolean() }),
  row(1, "plainEnd", { peer }),
  row(1, "plainReset", { peer }),
  row(1, "plainVanish", { peer }),
  row(3, "readFile", { region }),
  row(3, "writeFile", { region }),
  row(1, "reopenFile", {}),
  row(5, "chain", {
    members: fc.array(members, { minLength: 2, maxLength: 6, size: "max" }),
  }),
  row(16, "turn", { count: fc.integer({ min: 1, max: 3 }) }),
  row(4, "flush", {}),
  row(3, "settle", {}),
];

/** What makes memory scarce: few sockets that receive much, and chunks that are held. */
const SCARCE = ["send", "plainSend", "receiveProvided", "takeChunks", "release", "turn", "settle"];

function stepsOf(from: readonly Row[]): fc.Arbitrary<StreamStep[]> {
  const step = fc.oneof(...from.map(([weight, , arbitrary]) => ({ weight, arbitrary })));
  return fc.array(step, { minLength: 1, maxLength: 120, size: "max" });
}

const steps = fc.oneof(
  { weight: 5, arbitrary: stepsOf(rows) },
  { weight: 1, arbitrary: stepsOf(rows.filter(([, name]) => SCARCE.includes(name))) },
);

const connection: fc.Arbitrary<ConnectionPlan> = fc.record({
  kind: fc.constantFrom<ConnectionKind>("own", "peer"),
  isUnix: fc.boolean(),
  layer,
  small: fc.nat(2).map((at) => at === 0),
});

export const streamPrograms: fc.Arbitrary<StreamProgram> = fc.record({
  mode: fc.constantFrom("attached", "detached"),
  poison: fc.boolean(),
  buffers: fc.constantFrom(2, 4),
  connections: fc.array(connection, { minLength: 0, maxLength: 3, size: "max" }),
  steps,
  ending: fc.constantFrom<Ending>("drain", "close", "abandon"),
});
