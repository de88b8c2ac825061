// Addresses of sockets, and how they stand in an entry.

import { isUtf8 } from "node:buffer";
import { types } from "node:util";
import { FAMILY_IPV4, FAMILY_IPV6, FAMILY_UNIX, FAMILY_VSOCK } from "./engine/abi.js";
import { textFromBytes } from "./engine/text.js";
import { type Peer, rangeError, typeError } from "./errors.js";
import { socketPathFromHere } from "./files/paths.js";
import {
  checkHost,
  checkPort,
  checkPortGiven,
  checkSocketPath,
  oneOf,
  shown,
  valueError,
  wholeNumber,
} from "./support/check.js";

/**
 * The address of a socket of TCP or UDP.
 *
 * @category Sockets
 */
export interface InternetAddress {
  /** "ipv4" or "ipv6". */
  family: "ipv4" | "ipv6";
  /**
   * The numeric address, as Node writes it: "127.0.0.1", "::1", "fe80::1%eth0". What follows the
   * "%" is the interface of a link-local address.
   */
  host: string;
  /** The port, 0 to 65535. */
  port: number;
  /** Absent: only a unix socket has one. */
  path?: undefined;
  /** Absent: only a vsock socket has one. */
  cid?: undefined;
}

/**
 * The address of a unix socket.
 *
 * @category Sockets
 */
export interface UnixAddress {
  /** "unix". */
  family: "unix";
  /**
   * A path, or an abstract name that begins with a zero byte (Linux). A `Buffer` where it is not
   * UTF-8.
   */
  path: string | Buffer;
  /** Absent: only a TCP or UDP socket has one. */
  host?: undefined;
  /** Absent: a unix socket has none. */
  port?: undefined;
  /** Absent: only a vsock socket has one. */
  cid?: undefined;
}

/**
 * The address of a vsock socket, by which a virtual machine and its host reach each other:
 * vsock(7).
 *
 * @category Sockets
 */
export interface VsockAddress {
  /** "vsock". */
  family: "vsock";
  /**
   * The number of the machine, 0 to 2^32 - 1: 2 is the host of a virtual machine, 1 the machine
   * itself, and 2^32 - 1 stands for every number of the machine, as of a listener on "any".
   */
  cid: number;
  /** The port, 0 to 2^32 - 1. */
  port: number;
  /** Absent: only a TCP or UDP socket has one. */
  host?: undefined;
  /** Absent: only a unix socket has one. */
  path?: undefined;
}

/**
 * Where a socket is: `family` says which of the three it is.
 *
 * @category Sockets
 */
export type Address = InternetAddress | UnixAddress | VsockAddress;

/**
 * Where a socket for datagrams is: vsock has none.
 *
 * @category Datagrams
 */
export type DatagramAddress = InternetAddress | UnixAddress;

const ANY = 0xffffffff;
const CIDS: Readonly<Record<Exclude<VsockCid, number>, number>> = {
  ...{ any: ANY, hypervisor: 0, local: 1, host: 2 },
};

/**
 * The number of a machine for vsock, or a word for one: "host" (2) is the host of a virtual
 * machine, "local" (1) the machine itself, "hypervisor" (0) what runs the virtual machine, and
 * "any" all numbers of a machine that listens. Others are given when a virtual machine is
 * started.
 *
 * @category Sockets
 */
export type VsockCid = number | "any" | "hypervisor" | "local" | "host";

const FAMILIES = {
  ipv4: FAMILY_IPV4,
  ipv6: FAMILY_IPV6,
  unix: FAMILY_UNIX,
  vsock: FAMILY_VSOCK,
} as const;

/** The number of a family in an entry. */
export function familyNumber(family: Address["family"], operation: string): number {
  return FAMILIES[oneOf(family, FAMILIES, "the family", operation)];
}

/** What of an address goes to the engine, checked: the number of its family, and host or path. */
export function addressParts(address: Address, operation: string): [number, number, string] {
  if (typeof address !== "object" || address === null) {
    const right = "give { family, host, port }, { family, path } or { family, cid, port }";
    throw typeError(operation, `the address is ${shown(address)}: ${right}`);
  }
  const { family, host, port, path } = address;
  const number = familyNumber(family, operation);
  if (family === "vsock") {
    const vsock = vsockFrom(address.cid, port, operation);
    return [number, vsock.port, String(vsock.cid)];
  }
  if (family === "unix") return [number, 0, socketPathFromHere(socketPath(path, operation))];
  checkPort(port, operation);
  checkHost(host, operation);
  return [number, port as number, host as string];
}

/** An address from what the engine says of a socket; null of one without a name. */
export function addressFrom(
  family: number,
  port: number,
  name: string | Uint8Array,
): Address | null {
  if (family === FAMILY_VSOCK) return { family: "vsock", cid: Number(name), port };
  if (family !== FAMILY_UNIX) {
    return { family: family === FAMILY_IPV4 ? "ipv4" : "ipv6", host: name as string, port };
  }
  if (name.length === 0) return null;
  return { family: "unix", path: typeof name === "string" ? name : pathFromBytes(name) };
}

function pathFromBytes(bytes: Uint8Array): string | Buffer {
  const path = Buffer.from(bytes);
  return isUtf8(path) ? path.toString() : path;
}

/** The path of a unix socket as text, checked: see `textFromBytes`. */
export function socketPath(path: unknown, operation: string): string {
  const text = types.isUint8Array(path) && path.length > 0 ? textFromBytes(path) : path;
  checkSocketPath(text, operation);
  return text;
}

/** What an error says of a peer. Its `address` is the host or the path, as in Node. */
export function peerOf(address: Address | null): Peer | undefined {
  if (address === null) return undefined;
  const name = formatAddress(address);
  if (address.family === "vsock") {
    const { cid, port } = address;
    return { address: String(cid), port, name, isVsock: true };
  }
  if (address.family !== "unix") return { address: address.host, port: address.port, name };
  const path = typeof address.path === "string" ? address.path : textFromBytes(address.path);
  return { address: path, path, name };
}

/** An address as people write it; "" when there is none. */
export function formatAddress(address: Address | null): string {
  if (address === null) return "";
  if (address.family === "unix") {
    const { path } = address;
    return (typeof path === "string" ? path : textFromBytes(path)).replace(/^\0/, "@");
  }
  if (address.family === "vsock") {
    const { cid, port } = address;
    return `vsock:${cid === ANY ? "any" : cid}:${port === ANY ? "any" : port}`;
  }
  return address.family === "ipv6"
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

/** Where a socket is to be, as callers write it; an {@link Address} will do. */
export type Place = {
  host?: string | null | undefined;
  port?: number | null | undefined;
  path?: string | Uint8Array | null | undefined;
  family?: Address["family"] | null | undefined;
};

/** What callers may write where a vsock socket is meant. */
export interface VsockPlace {
  readonly cid?: unknown;
  readonly port?: unknown;
  readonly host?: unknown;
  readonly path?: unknown;
  readonly family?: unknown;
}

const NAMED_CIDS = Object.keys(CIDS).map((name) => `"${name}"`);

function cidFrom(cid: unknown, operation: string): number {
  if (typeof cid === "string") return CIDS[oneOf(cid, CIDS, "the cid", operation)];
  if (cid === -1) {
    const message = 'the cid is -1, which is C\'s way to write it: give "any"';
    throw rangeError(operation, message);
  }
  if (typeof cid === "number") return wholeNumber(cid, 0, ANY, "the cid", operation);
  const right = `give a whole number from 0 to ${ANY}, or ${NAMED_CIDS.join(" or ")}`;
  throw typeError(operation, `the cid is ${shown(cid)}: ${right}`);
}

function vsockPortFrom(port: unknown, operation: string): number {
  if (port === "any") return ANY;
  if (port === -1) {
    throw rangeError(operation, 'the port is -1, which is C\'s way to write it: give "any"');
  }
  return wholeNumber(port, 0, ANY, "the port", operation);
}

/** An address of vsock, checked. A connection needs one machine and one port. */
function vsockFrom(cid: unknown, port: unknown, operation: string): VsockAddress {
  const address: VsockAddress = {
    family: "vsock",
    cid: cidFrom(cid, operation),
    port: vsockPortFrom(port, operation),
  };
  if (operation !== "connect") return address;
  if (address.cid === ANY) {
    const right = 'give that of one machine, such as "host" or "local"';
    throw valueError(operation, `the cid is "any", on which a socket listens: ${right}`);
  }
  if (address.port === ANY) {
    throw valueError(operation, 'the port is "any", on which a socket listens: give a number');
  }
  return address;
}

/** The address of a vsock socket; null where the target is none. */
export function vsockPlaceOf(target: VsockPlace, operation: string): VsockAddress | null {
  const { cid, host, path, family } = target;
  const others = Object.entries({ host, path }).filter(([, value]) => !isAbsent(value));
  if (isAbsent(cid) && (family !== "vsock" || others.length > 0)) return null;
  for (const [name] of others) {
    throw valueError(operation, `a cid and a ${name} are given: give one of the two`);
  }
  if (!isAbsent(family) && family !== "vsock") {
    const given = oneOf(family, FAMILIES, "the family", operation);
    const message = `the family is "${given}", and a cid is of "vsock": leave the family out`;
    throw valueError(operation, message);
  }
  return vsockFrom(cid, target.port, operation);
}

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
): InternetAddress | UnixAddress | { host: string; port: number } {
  const { port, path } = target;
  if (path !== undefined && path !== null) {
    const text = socketPath(path, operation);
    if (text === "") throw rangeError(operation, "the path of the unix socket is empty: give one");
    checkFamily(target.family, "", operation);
    return { family: "unix", path: socketPathFromHere(text) };
  }
  checkPortGiven(port, operation);
  const host = target.host ?? "127.0.0.1";
  checkHost(host, operation);
  checkFamily(target.family, host, operation);
  return { host, port: port as number };
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}
