// Addresses of sockets, and how they stand in an entry.

import { FAMILY_IPV4, FAMILY_IPV6, FAMILY_UNIX } from "./engine/abi.js";
import { textFromBytes } from "./engine/text.js";
import { rangeError, typeError } from "./errors.js";
import { socketPathFromHere } from "./files/paths.js";
import {
  checkHost,
  checkPort,
  checkPortGiven,
  checkSocketPath,
  oneOf,
  shown,
  valueError,
} from "./support/check.js";

/**
 * Where a socket is: an IP address with a port, or the path of a unix socket. Fields that a family
 * does not have are empty or 0.
 */
export interface Address {
  family: "ipv4" | "ipv6" | "unix";
  /** The address in digits ("127.0.0.1", "::1", "fe80::1%eth0"); empty for a unix socket. */
  host: string;
  port: number;
  /**
   * A unix socket's path, or an abstract name that begins with a zero byte (Linux). Bytes that are
   * not UTF-8 stand in it as lone surrogates, U+DC80 to U+DCFF, and can be used as they are.
   */
  path: string;
}

const FAMILIES = { ipv4: FAMILY_IPV4, ipv6: FAMILY_IPV6, unix: FAMILY_UNIX } as const;

/** The number of a family in an entry. */
export function familyNumber(family: Address["family"], operation: string): number {
  return FAMILIES[oneOf(family, FAMILIES, "the family", operation)];
}

/** What of an address goes to the engine, checked: the number of its family, and host or path. */
export function addressParts(address: Address, operation: string): [number, number, string] {
  if (typeof address !== "object" || address === null) {
    const right = "give family, host, port and path";
    throw typeError(operation, `the address is ${shown(address)}: ${right}`);
  }
  const { family, port, host, path } = address;
  const number = familyNumber(family, operation);
  checkPort(port, operation);
  if (family === "unix") checkSocketPath(path, operation);
  else checkHost(host, operation);
  return [number, port, family === "unix" ? socketPathFromHere(path) : host];
}

/** An address from what the engine says of a socket. */
export function addressFrom(family: number, port: number, name: string | Uint8Array): Address {
  const text = typeof name === "string" ? name : textFromBytes(name);
  if (family === FAMILY_UNIX) return { family: "unix", host: "", port: 0, path: text };
  return { family: family === FAMILY_IPV4 ? "ipv4" : "ipv6", host: text, port, path: "" };
}

/** An address as people write it. */
export function formatAddress(address: Address): string {
  if (address.family === "unix") return address.path.replace(/^\0/, "@");
  return address.family === "ipv6"
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

/** Where a socket is to be, as callers write it; an {@link Address} will do. */
export type Place = {
  host?: string | null | undefined;
  port?: number | null | undefined;
  path?: string | null | undefined;
  family?: Address["family"] | null | undefined;
};

/** A family that is given beside an address must be that of the address: it chooses nothing. */
export function checkFamily(family: unknown, address: string, operation: string): void {
  if (family === undefined || family === null) return;
  const given = oneOf(family, FAMILIES, "the family", operation);
  const isIPv4 = /^[\d.]+$/.test(address);
  const actual = address === "" ? "unix" : address.includes(":") ? "ipv6" : isIPv4 && "ipv4";
  if (given === actual) return;
  const what = address === "" ? "the path" : `the host "${address}"`;
  const message = `the family is "${given}", and ${what} is not of it: leave the family out`;
  throw valueError(operation, message);
}

/**
 * The address of a unix socket, or the host and the port that are still to be looked up. The names
 * of the options were checked before.
 */
export function placeOf(
  target: Place,
  operation: string,
): Address | { host: string; port: number } {
  const { port, path } = target;
  // An Address that the library gave has all the fields; the ones that do not count are empty.
  if (path !== undefined && path !== null && path !== "") {
    checkSocketPath(path, operation);
    checkFamily(target.family, "", operation);
    return { family: "unix", host: "", port: 0, path: socketPathFromHere(path) };
  }
  if (path === "" && (port === undefined || port === null)) {
    throw rangeError(operation, "the path of the unix socket is empty: give one, or a port");
  }
  checkPortGiven(port, operation);
  const host = target.host ?? "127.0.0.1";
  checkHost(host, operation);
  checkFamily(target.family, host, operation);
  return { host, port: port as number };
}
