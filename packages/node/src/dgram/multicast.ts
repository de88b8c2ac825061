// Multicast. @io/core joins and leaves groups on every system; what names an interface by its IPv4
// address is an option of Linux in its raw form: ip(7).

import { isIPv4, isIPv6 } from "node:net";
import { constants, networkInterfaces } from "node:os";
import type { DatagramSocket } from "@io/core";
import { notSupported, systemError } from "../errors.js";

/** What is set on a socket, as soon as there is one. */
export type Setting = (socket: DatagramSocket) => void;

const IP = 0;
const IP_GROUP = { join: 35, leave: 36 } as const;
const IP_SOURCE = { join: 39, leave: 40 } as const;
const ANY_IPV4 = "0.0.0.0";

const MAX_TTL = 255;

function invalid(syscall: string): NodeJS.ErrnoException {
  return systemError(-constants.errno.EINVAL, syscall);
}

/** Throws where the numbers of the raw options are others. */
function checkSystem(syscall: string): void {
  if (process.platform === "linux") return;
  const reason = `an interface is named by its address on Linux alone, not on ${process.platform}`;
  throw notSupported(syscall, reason);
}

export function ttlSetting(ttl: number): Setting {
  const hops = Math.trunc(ttl);
  if (hops < 0 || hops > MAX_TTL) throw invalid("setMulticastTTL");
  return (socket) => socket.setOptions({ multicastTtl: hops });
}

export function loopSetting(flag: boolean): Setting {
  return (socket) => socket.setOptions({ multicastLoop: flag });
}

/** The family of the address counts, as in libuv. */
export function interfaceSetting(address: string): Setting {
  if (isIPv4(address)) {
    const bytes = ipv4Bytes(address);
    return (socket) => socket.setOption("IPPROTO_IP", "IP_MULTICAST_IF", bytes);
  }
  if (!isIPv6(address)) throw invalid("setMulticastInterface");
  const index = indexOf(address);
  return (socket) => socket.setOption("IPPROTO_IPV6", "IPV6_MULTICAST_IF", index);
}

type Way = "join" | "leave";

function change(way: Way, group: string, options: object): Setting {
  const [plain = group] = group.split("%");
  return (socket) => {
    if (way === "join") socket.joinGroup(plain, options);
    else socket.leaveGroup(plain, options);
  };
}

/** To join a group or to leave it. */
export function membershipSetting(way: Way, group: string, through: string | undefined): Setting {
  const syscall = way === "join" ? "addMembership" : "dropMembership";
  if (isIPv4(group)) {
    if (through !== undefined && !isIPv4(through)) throw invalid(syscall);
    if (through === undefined || through === ANY_IPV4) return change(way, group, {});
    checkSystem(syscall);
    const request = Buffer.concat([ipv4Bytes(group), ipv4Bytes(through)]);
    return (socket) => socket.setOption(IP, IP_GROUP[way], request);
  }
  if (!isIPv6(group) || (through !== undefined && !isIPv6(through))) throw invalid(syscall);
  return change(way, group, { interfaceIndex: indexOf(through ?? "::") });
}

/** The same for what one sender sends to the group. */
export function sourceSetting(
  way: Way,
  source: string,
  group: string,
  through: string | undefined,
): Setting {
  const isJoin = way === "join";
  const syscall = isJoin ? "addSourceSpecificMembership" : "dropSourceSpecificMembership";
  if (isIPv4(group) && isIPv4(source)) {
    if (through !== undefined && !isIPv4(through)) throw invalid(syscall);
    if (through === undefined || through === ANY_IPV4) return change(way, group, { source });
    checkSystem(syscall);
    const request = Buffer.concat([group, through, source].map(ipv4Bytes));
    return (socket) => socket.setOption(IP, IP_SOURCE[way], request);
  }
  const isRight = isIPv6(group) && isIPv6(source);
  if (!isRight || (through !== undefined && !isIPv6(through))) throw invalid(syscall);
  const [plain] = source.split("%");
  return change(way, group, { source: plain, interfaceIndex: indexOf(through ?? "::") });
}

function ipv4Bytes(address: string): Buffer {
  return Buffer.from(address.split(".").map(Number));
}

/** The number of the interface that stands behind the address: "::%eth0", "fe80::1%2". */
function indexOf(address: string): number {
  const [, zone] = address.split("%");
  if (zone === undefined) return 0;
  const named = networkInterfaces()[zone]?.find(({ family }) => family === "IPv6");
  return (/^\d+$/.test(zone) ? Number(zone) : (named as { scopeid?: number })?.scopeid) ?? 0;
}
