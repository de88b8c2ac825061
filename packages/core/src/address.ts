// Addresses of sockets, and how they stand in an entry.
import { rangeError } from "./errors.js";
import { FAMILY_IPV4, FAMILY_IPV6, FAMILY_UNIX } from "./internal/abi.js";
import { socketPathFromHere } from "./internal/paths.js";

/**
 * Where a socket is: an IP address with a port, or the path of a unix socket. Fields that a family
 * does not have are empty or 0.
 */
export interface Address {
  family: "ipv4" | "ipv6" | "unix";
  /** The address in digits ("127.0.0.1", "::1", "fe80::1%eth0"); empty for a unix socket. */
  host: string;
  port: number;
  /** A unix socket's path, or an abstract name that begins with a zero byte (Linux). */
  path: string;
}

const FAMILIES = { ipv4: FAMILY_IPV4, ipv6: FAMILY_IPV6, unix: FAMILY_UNIX } as const;

/** The number of a family in an entry. */
export function familyNumber(family: Address["family"]): number {
  return FAMILIES[family];
}

/** An address from what the engine says of a socket. */
export function addressFrom(family: number, port: number, host: string): Address {
  if (family === FAMILY_UNIX) return { family: "unix", host: "", port: 0, path: host };
  return { family: family === FAMILY_IPV4 ? "ipv4" : "ipv6", host, port, path: "" };
}

/** An address as people write it. */
export function formatAddress(address: Address): string {
  if (address.family === "unix") return address.path.replace(/^\0/, "@");
  return address.family === "ipv6"
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

/** Where a socket is to be, as callers write it: an {@link Address} will do. */
export type Place = { host?: string | undefined; port: number } | { path: string };

/** The address of a unix socket, or the host and the port that are still to be looked up. */
export function placeOf(target: Place): Address | { host: string; port: number } {
  // An Address that the library gave has all the fields; the ones that do not count are empty.
  if ("path" in target && target.path !== "") {
    return { family: "unix", host: "", port: 0, path: socketPathFromHere(target.path) };
  }
  if (!("port" in target)) {
    throw rangeError("resolve", "the path of a unix socket is empty");
  }
  return { host: target.host ?? "127.0.0.1", port: target.port };
}
