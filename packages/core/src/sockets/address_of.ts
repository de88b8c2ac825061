// The addresses of a socket, and what a message calls it.
import { type Address, addressFrom, formatAddress } from "../address.js";
import type { NativeSession } from "../engine/native.js";
import type { Descriptor } from "../ring/types.js";

/**
 * @category Ring
 */
export type SocketKind = "socket" | "datagram socket";

/** Its own address, or its peer's; null when the system knows none. */
export function addressOf(
  session: NativeSession,
  descriptor: Descriptor,
  peer: boolean,
): Address | null {
  const name = session.name(descriptor, peer);
  return typeof name === "number" ? null : addressFrom(...name);
}

export function nameOf(
  kind: SocketKind,
  descriptor: Descriptor,
  local: Address | null,
  remote: Address | null,
): string {
  const peer = formatAddress(remote);
  if (peer !== "") return `the ${kind} to ${peer}`;
  const own = formatAddress(local);
  return own === "" ? `a ${kind} without a name (${descriptor})` : `the ${kind} of ${own}`;
}
