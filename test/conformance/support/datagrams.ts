// Pairs of datagram sockets of every family, for the tests of both layers.

import type { DatagramAddress, DatagramSocket, IO, IOOptions } from "@io/core";
import type { Trial } from "./harness.js";
import { FAMILIES as STREAMS, type Family as StreamFamily, unixAddress } from "./network.js";

/** One way for a datagram to reach another socket of this machine. */
export interface Family {
  readonly name: string;
  readonly family: DatagramAddress["family"];
  /** Why it is not available here, or null. */
  readonly missing: string | null;
  /** The longest datagram, or null where the size of the send buffer decides. */
  readonly longestBytes: number | null;
  binding(trial: Trial): { host: string; port: number } | { path: string };
}

const missing = (name: string): string | null =>
  (STREAMS.find((family: StreamFamily) => family.name === name) as StreamFamily).missing;

/** UDP's length has 16 bits, of which IPv4 takes 20 bytes for its header, and UDP 8. */
export const FAMILIES: readonly Family[] = [
  {
    name: "UDP over IPv4",
    family: "ipv4",
    missing: null,
    longestBytes: 65_507,
    binding: () => ({ host: "127.0.0.1", port: 0 }),
  },
  {
    name: "UDP over IPv6",
    family: "ipv6",
    missing: missing("TCP over IPv6"),
    longestBytes: 65_527,
    binding: () => ({ host: "::1", port: 0 }),
  },
  {
    name: "a unix path",
    family: "unix",
    missing: null,
    longestBytes: null,
    binding: (trial) => ({ path: unixAddress(trial).path as string }),
  },
  {
    name: "an abstract unix name",
    family: "unix",
    missing: missing("an abstract unix name"),
    longestBytes: null,
    binding: () => ({ path: unixAddress().path as string }),
  },
];

export interface Pair {
  readonly io: IO;
  readonly near: DatagramSocket;
  readonly far: DatagramSocket;
}

/** Two sockets that have addresses and are not connected. */
export async function boundPair(
  trial: Trial,
  family: Family = FAMILIES[0] as Family,
  options: IOOptions = {},
): Promise<Pair> {
  const io = await trial.open(options);
  const near = await io.openDatagram(family.binding(trial));
  const far = await io.openDatagram(family.binding(trial));
  return { io, near, far };
}

/** Lets both send and receive long datagrams: BSD's sockets hold a few thousand bytes at first. */
export function widen(...sockets: DatagramSocket[]): void {
  const bytes = 262_144;
  for (const socket of sockets) {
    socket.setOptions({ sendBufferBytes: bytes, receiveBufferBytes: bytes });
  }
}

/** The same, each connected to the other. */
export async function connectedPair(
  trial: Trial,
  family: Family = FAMILIES[0] as Family,
  options: IOOptions = {},
): Promise<Pair> {
  const pair = await boundPair(trial, family, options);
  await pair.near.connect(pair.far.localAddress!);
  await pair.far.connect(pair.near.localAddress!);
  return pair;
}
