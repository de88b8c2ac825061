// Addresses of sockets, and how they stand in an entry.
import { rangeError } from "./errors.js";
import { FAMILY_IPV4, FAMILY_IPV6, FAMILY_UNIX } from "./internal/abi.js";

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

/**
 * Host and port, or a unix socket's path, as an address; a host name is looked up by `node:dns`.
 */
export async function resolveAddress(
  target: { host?: string | undefined; port: number } | { path: string },
): Promise<Address> {
  // An Address that the library gave has all the fields; the ones that do not count are empty.
  if ("path" in target && target.path !== "") {
    return { family: "unix", host: "", port: 0, path: target.path };
  }
  if (!("port" in target)) {
    throw rangeError("resolve", "the path of a unix socket is empty");
  }
  const host = target.host ?? "127.0.0.1";
  // Loaded when first needed: a program that only uses files starts faster without them.
  const { isIP } = await import("node:net");
  const literal = isIP(host.replace(/%.*$/, ""));
  const { address, family } =
    literal === 0
      ? await (await import("node:dns/promises")).lookup(host)
      : { address: host, family: literal };
  return { family: family === 6 ? "ipv6" : "ipv4", host: address, port: target.port, path: "" };
}
