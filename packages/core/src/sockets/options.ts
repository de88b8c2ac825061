// Options of sockets, for all kinds of sockets: a row for each that has a type, and any other by
// its level and its name.
import { constants } from "node:os";
import { FAMILY_IPV6, FAMILY_UNIX, FAMILY_VSOCK } from "../engine/abi.js";
import { loadNative } from "../engine/load.js";
import { checkView } from "../engine/memory.js";
import type { NativeSession } from "../engine/native.js";
import { closedError, errnoName, IOError, rangeError, typeError } from "../errors.js";
import type { Descriptor } from "../ring/types.js";
import { type Bytes, bytesFrom, shown, valueError, wholeNumber } from "../support/check.js";
import {
  FLAG,
  flagOrObject,
  LINGER,
  type OptionKind,
  seconds,
  text,
  whole,
} from "./option_kinds.js";

/** Where the system has an option: the names in its headers. */
interface SystemOption {
  readonly level: string;
  /** The first that the system has counts. */
  readonly names: readonly string[];
}

interface Row {
  readonly kind: OptionKind;
  readonly at: SystemOption;
  /** The same of an IPv6 socket, where that differs. */
  readonly ipv6?: SystemOption;
  /** The systems that have it. */
  readonly has: string;
  /** What to do about an error, by its code. */
  readonly advice?: Readonly<Record<string, string>>;
}

function at(level: string, ...names: string[]): SystemOption {
  return { level, names };
}

const EVERY = "every system has it";
const RIGHTS = { EPERM: "it needs the right CAP_NET_ADMIN" };
const DEVICE = {
  EPERM: "it needs the right CAP_NET_RAW",
  ENODEV: "there is no network interface of that name",
};
const ALGORITHM = {
  ENOENT: "the sysctl net.ipv4.tcp_available_congestion_control has the names that there are",
  EPERM: "it needs the right CAP_NET_ADMIN, or a name in tcp_allowed_congestion_control",
};

const KEEP_ALIVE = {
  idleMs: {
    kind: seconds(1),
    at: at("IPPROTO_TCP", "TCP_KEEPIDLE", "TCP_KEEPALIVE"),
    has: "Linux, macOS, FreeBSD and NetBSD have it",
  },
  intervalMs: {
    kind: seconds(1),
    at: at("IPPROTO_TCP", "TCP_KEEPINTVL"),
    has: "Linux, macOS, FreeBSD and NetBSD have it",
  },
  count: {
    kind: whole(1),
    at: at("IPPROTO_TCP", "TCP_KEEPCNT"),
    has: "Linux, macOS, FreeBSD and NetBSD have it",
  },
} as const satisfies Record<string, Row>;

type KeepAliveName = keyof typeof KEEP_ALIVE;
const KEEP_ALIVE_NAMES = Object.keys(KEEP_ALIVE) as KeepAliveName[];

/** The options of all kinds of sockets. What a row does not say is the same on every system. */
const ROWS = {
  noDelay: { kind: FLAG, at: at("IPPROTO_TCP", "TCP_NODELAY"), has: EVERY },
  keepAlive: { kind: FLAG, at: at("SOL_SOCKET", "SO_KEEPALIVE"), has: EVERY },
  userTimeoutMs: {
    kind: whole(0),
    at: at("IPPROTO_TCP", "TCP_USER_TIMEOUT"),
    has: "Linux has it, since 2.6.37",
  },
  lingerMs: { kind: LINGER, at: at("SOL_SOCKET", "SO_LINGER_SEC", "SO_LINGER"), has: EVERY },
  receiveBufferBytes: { kind: whole(0), at: at("SOL_SOCKET", "SO_RCVBUF"), has: EVERY },
  sendBufferBytes: { kind: whole(0), at: at("SOL_SOCKET", "SO_SNDBUF"), has: EVERY },
  broadcast: { kind: FLAG, at: at("SOL_SOCKET", "SO_BROADCAST"), has: EVERY },
  reuseAddress: { kind: FLAG, at: at("SOL_SOCKET", "SO_REUSEADDR"), has: EVERY },
  // On FreeBSD the first of the two spreads connections, and the other does not.
  reusePort: { kind: FLAG, at: at("SOL_SOCKET", "SO_REUSEPORT_LB", "SO_REUSEPORT"), has: EVERY },
  ipv6Only: { kind: FLAG, at: at("IPPROTO_IPV6", "IPV6_V6ONLY"), has: EVERY },
  quickAck: {
    kind: FLAG,
    at: at("IPPROTO_TCP", "TCP_QUICKACK"),
    has: "Linux has it, since 2.4.4",
  },
  deferAcceptMs: {
    kind: seconds(0),
    at: at("IPPROTO_TCP", "TCP_DEFER_ACCEPT"),
    has: "Linux has it, since 2.4",
  },
  fastOpen: {
    kind: whole(0),
    at: at("IPPROTO_TCP", "TCP_FASTOPEN"),
    has: "Linux has it since 3.7, macOS since 10.11 and FreeBSD since 10.3",
  },
  fastOpenConnect: {
    kind: FLAG,
    at: at("IPPROTO_TCP", "TCP_FASTOPEN_CONNECT"),
    has: "Linux has it, since 4.11",
  },
  bindWithoutPort: {
    kind: FLAG,
    at: at("IPPROTO_IP", "IP_BIND_ADDRESS_NO_PORT"),
    has: "Linux has it, since 4.2",
  },
  busyPollUs: {
    kind: whole(0),
    at: at("SOL_SOCKET", "SO_BUSY_POLL"),
    has: "Linux has it, since 3.11, where it was built with CONFIG_NET_RX_BUSY_POLL",
    advice: RIGHTS,
  },
  incomingCpu: {
    kind: whole(-1),
    at: at("SOL_SOCKET", "SO_INCOMING_CPU"),
    has: "Linux has it, since 3.19 to be read and since 4.4 to be set",
  },
  tos: {
    kind: whole(0, 255),
    at: at("IPPROTO_IP", "IP_TOS"),
    ipv6: at("IPPROTO_IPV6", "IPV6_TCLASS"),
    has: EVERY,
  },
  ttl: {
    kind: whole(1, 255),
    at: at("IPPROTO_IP", "IP_TTL"),
    ipv6: at("IPPROTO_IPV6", "IPV6_UNICAST_HOPS"),
    has: EVERY,
  },
  mark: {
    kind: whole(0, 0xffffffff),
    at: at("SOL_SOCKET", "SO_MARK"),
    has: "Linux has it, since 2.6.25",
    advice: RIGHTS,
  },
  receiveSegments: {
    kind: FLAG,
    at: at("IPPROTO_UDP", "UDP_GRO"),
    has: "Linux has it, since 5.0",
  },
  receivePacketInfo: {
    kind: FLAG,
    at: at("IPPROTO_IP", "IP_PKTINFO", "IP_RECVDSTADDR"),
    ipv6: at("IPPROTO_IPV6", "IPV6_RECVPKTINFO"),
    has: EVERY,
  },
  receiveTos: {
    kind: FLAG,
    at: at("IPPROTO_IP", "IP_RECVTOS"),
    ipv6: at("IPPROTO_IPV6", "IPV6_RECVTCLASS"),
    has: "Linux, macOS and FreeBSD have it",
  },
  receiveTtl: {
    kind: FLAG,
    at: at("IPPROTO_IP", "IP_RECVTTL"),
    ipv6: at("IPPROTO_IPV6", "IPV6_RECVHOPLIMIT"),
    has: EVERY,
  },
  receiveTimestamps: {
    kind: FLAG,
    at: at("SOL_SOCKET", "SO_TIMESTAMPNS", "SO_TIMESTAMP"),
    has: EVERY,
  },
  receiveDrops: {
    kind: FLAG,
    at: at("SOL_SOCKET", "SO_RXQ_OVFL"),
    has: "Linux has it, since 2.6.33",
  },
  multicastLoop: {
    kind: FLAG,
    at: at("IPPROTO_IP", "IP_MULTICAST_LOOP"),
    ipv6: at("IPPROTO_IPV6", "IPV6_MULTICAST_LOOP"),
    has: EVERY,
  },
  multicastTtl: {
    kind: whole(0, 255),
    at: at("IPPROTO_IP", "IP_MULTICAST_TTL"),
    ipv6: at("IPPROTO_IPV6", "IPV6_MULTICAST_HOPS"),
    has: EVERY,
  },
  bindToDevice: {
    kind: text(16, true),
    at: at("SOL_SOCKET", "SO_BINDTODEVICE"),
    has: "Linux has it, since 2.0.30 to be set and since 3.8 to be read",
    advice: DEVICE,
  },
  congestion: {
    kind: text(16, false),
    at: at("IPPROTO_TCP", "TCP_CONGESTION"),
    has: "Linux has it since 2.6.13, and FreeBSD since 9.0",
    advice: ALGORITHM,
  },
} as const satisfies Record<string, Row>;

type RowName = keyof typeof ROWS;

/** The names of options: those of the system, and the library's own. */
export type OptionName = RowName | "zeroCopyThresholdBytes";
export type OptionValues = { readonly [Name in OptionName]?: unknown };

type Numbers = readonly [level: number, name: number];

/** One option as the system is given it. */
interface Setting {
  /** As the program calls it. */
  readonly label: string;
  readonly row: Row | null;
  readonly value: number | Uint8Array;
  /** The system's numbers of its level and its name. */
  readonly numbers: Numbers;
}

export type Settings = readonly Setting[];

/** The socket of an option. */
export interface OptionTarget {
  readonly session: NativeSession;
  readonly number: Descriptor;
  readonly backend: string;
}

const THRESHOLD = "zeroCopyThresholdBytes";
const MAX_THRESHOLD_BYTES = 0x7fffffff;
const MAX_RAW_BYTES = 65_536;

/**
 * The options among these names that a program has given, in the order of the names, checked
 * before one of them is set. Throws also where this system has no such option.
 */
export function settingsFrom(
  options: OptionValues,
  names: readonly OptionName[],
  operation: string,
): Settings {
  return names.flatMap((name) => {
    const value = options[name];
    if (value === undefined || value === null) return [];
    if (name === "keepAlive") return keepAliveSettings(value, operation);
    if (name === THRESHOLD) {
      const bytes = wholeNumber(value, 0, MAX_THRESHOLD_BYTES, name, operation);
      return [{ label: name, row: null, value: bytes, numbers: [0, 0] }];
    }
    return [setting(name, ROWS[name], value, operation)];
  });
}

function setting(label: string, row: Row, given: unknown, operation: string): Setting {
  const value = row.kind.from(given, label, operation);
  if (nameOf(row.at) === null) throw lacking(label, row, operation);
  return { label, row, value, numbers: numbersOf(row.at) };
}

function keepAliveSettings(given: unknown, operation: string): Setting[] {
  const on = flagOrObject(given, "keepAlive", operation, KEEP_ALIVE_NAMES);
  const settings = [setting("keepAlive", ROWS.keepAlive, on, operation)];
  if (typeof given !== "object") return settings;
  const times = given as Readonly<Record<KeepAliveName, unknown>>;
  for (const name of KEEP_ALIVE_NAMES) {
    const value = times[name];
    if (value === undefined || value === null) continue;
    settings.push(setting(`keepAlive.${name}`, KEEP_ALIVE[name], value, operation));
  }
  return settings;
}

/** Sets options that were checked. */
export function applySettings(target: OptionTarget, settings: Settings, operation: string): void {
  for (const { label, row, value } of settings) {
    const { session, number } = target;
    if (row === null) {
      const result = session.zeroCopyThreshold(number, value as number);
      if (result < 0) throw closedError(operation, "the socket");
      continue;
    }
    const family = row.ipv6 === undefined ? 0 : familyOf(target);
    const own = family === FAMILY_IPV6 ? (row.ipv6 as SystemOption) : row.at;
    const result = session.setOption(number, ...numbersOf(own), value);
    if (result < 0) throw failure(target, label, row, own, operation, "setsockopt", result);
    // What an IPv6 socket sends to an IPv4 peer has the option of IPv4, which the BSDs refuse.
    if (family === FAMILY_IPV6) session.setOption(number, ...numbersOf(row.at), value);
  }
}

/** Sets options that were checked, where the socket takes them. */
export function trySettings({ session, number }: OptionTarget, settings: Settings): void {
  for (const { row, value, numbers } of settings) {
    if (row === null) session.zeroCopyThreshold(number, value as number);
    else session.setOption(number, numbers[0], numbers[1], value);
  }
}

/** The values of the options of these names. */
export function readOptions(
  target: OptionTarget,
  names: readonly unknown[],
  known: readonly OptionName[],
  operation: string,
): Record<string, unknown> {
  for (const name of names) {
    if (typeof name === "string" && (known as readonly string[]).includes(name)) continue;
    const message = `the name is ${shown(name)}: give ${known.join(", ")}`;
    throw (typeof name === "string" ? valueError : typeError)(operation, message);
  }
  const entries = (names as readonly OptionName[]).map((name) => {
    if (name === "keepAlive") return [name, readKeepAlive(target, operation)];
    if (name !== THRESHOLD) return [name, readOption(target, name, ROWS[name], operation)];
    const bytes = target.session.zeroCopyThreshold(target.number, -1);
    if (bytes < 0) throw closedError(operation, "the socket");
    return [name, bytes];
  });
  return Object.fromEntries(entries) as Record<string, unknown>;
}

// The times are read where the system has them.
function readKeepAlive(target: OptionTarget, operation: string): unknown {
  if (readOption(target, "keepAlive", ROWS.keepAlive, operation) === false) return false;
  const times = KEEP_ALIVE_NAMES.filter((name) => nameOf(KEEP_ALIVE[name].at) !== null);
  if (WITHOUT_TCP.has(familyOf(target))) return true;
  return Object.fromEntries(
    times.map((name) => {
      return [name, readOption(target, `keepAlive.${name}`, KEEP_ALIVE[name], operation)];
    }),
  );
}

function readOption(target: OptionTarget, label: string, row: Row, operation: string): unknown {
  const { session, number } = target;
  const isIPv6 = row.ipv6 !== undefined && familyOf(target) === FAMILY_IPV6;
  const own = isIPv6 ? (row.ipv6 as SystemOption) : row.at;
  if (nameOf(own) === null) throw lacking(label, row, operation);
  const bytes = new Uint8Array(row.kind.sizeBytes);
  const result = session.getOption(number, ...numbersOf(own), bytes);
  if (result < 0) throw failure(target, label, row, own, operation, "getsockopt", result);
  return row.kind.to(bytes.fill(0, result));
}

/** Whether the kernel cuts what is sent on this socket into datagrams. */
export function hasSegments({ session, number }: OptionTarget): boolean {
  const where = at("IPPROTO_UDP", "UDP_SEGMENT");
  if (nameOf(where) === null) return false;
  return session.getOption(number, ...numbersOf(where), new Uint8Array(4)) >= 0;
}

/** The value of any option, by its level and its name. */
export function readRaw(
  target: OptionTarget,
  level: unknown,
  name: unknown,
  sizeBytes: unknown,
): Buffer {
  const operation = "getOption";
  const numbers = rawNumbers(level, name, operation);
  const size = wholeNumber(sizeBytes, 0, MAX_RAW_BYTES, "sizeBytes", operation);
  const bytes = Buffer.alloc(size);
  const result = target.session.getOption(target.number, ...numbers, bytes);
  if (result < 0) throw rawFailure(target, level, name, operation, "getsockopt", result);
  return bytes.subarray(0, result);
}

/** Sets any option, by its level and its name. */
export function setRaw(target: OptionTarget, level: unknown, name: unknown, value: unknown): void {
  const operation = "setOption";
  const numbers = rawNumbers(level, name, operation);
  const given = rawValue(value, operation);
  const result = target.session.setOption(target.number, ...numbers, given);
  if (result < 0) throw rawFailure(target, level, name, operation, "setsockopt", result);
}

function rawValue(value: unknown, operation: string): number | Uint8Array {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "number") {
    return wholeNumber(value, -0x80000000, 0xffffffff, "the value", operation) | 0;
  }
  const view = bytesFrom(value as Bytes | string, operation);
  checkView(view, operation);
  const bytes = copyOf(view, operation);
  if (bytes.byteLength <= MAX_RAW_BYTES) return bytes;
  const message = `the value has ${bytes.byteLength} bytes: ${MAX_RAW_BYTES} are the most`;
  throw rangeError(operation, message);
}

// The memory may be shared, resizable or detached.
function copyOf(view: ArrayBufferView, operation: string): Uint8Array {
  try {
    return new Uint8Array(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  } catch (cause) {
    const code = "ERR_IO_BUFFER_DETACHED";
    const message = `${operation}: the value was transferred, so its memory is another thread's`;
    throw new IOError({ code, operation, message, cause });
  }
}

function rawNumbers(level: unknown, name: unknown, operation: string): [number, number] {
  return [rawNumber(level, "the level", operation), rawNumber(name, "the name", operation)];
}

function rawNumber(given: unknown, what: string, operation: string): number {
  if (typeof given !== "string") {
    if (typeof given === "number") return wholeNumber(given, 0, 0x7fffffff, what, operation);
    const right = 'give its number, or its name in the system\'s headers, such as "SO_MARK"';
    throw typeError(operation, `${what} is ${shown(given)}: ${right}`);
  }
  const number = constant(given);
  if (number !== null) return number;
  const message = `${what} is ${shown(given)}, which this system does not have: give its number`;
  throw valueError(operation, message);
}

/** The system's number for a name of its headers; null where it has none. */
export function constant(name: string): number | null {
  const { socketConstants } = loadNative();
  return Object.hasOwn(socketConstants, name) ? (socketConstants[name] as number) : null;
}

/** Whether this system has an option. */
export function hasOption(name: RowName): boolean {
  return nameOf(ROWS[name].at) !== null;
}

function nameOf({ names }: SystemOption): string | null {
  return names.find((name) => constant(name) !== null) ?? null;
}

function numbersOf(option: SystemOption): Numbers {
  return [constant(option.level) as number, constant(nameOf(option) as string) as number];
}

function familyOf({ session, number }: OptionTarget): number {
  const name = session.name(number, false);
  return typeof name === "number" ? 0 : name[0];
}

function lacking(label: string, row: Row, operation: string): IOError {
  return new IOError({
    code: "ENOTSUP",
    errno: -constants.errno.ENOTSUP,
    operation,
    message: `${operation}: this system has no ${label} (${row.at.names[0]}): ${row.has}`,
  });
}

// What a socket says of an option of another kind of socket.
const OF_OTHERS: ReadonlySet<string> = new Set(["EINVAL", "ENOPROTOOPT", "ENOTSUP", "EOPNOTSUPP"]);

const WITHOUT_TCP: ReadonlyMap<number, string> = new Map([
  [FAMILY_UNIX, "unix"],
  [FAMILY_VSOCK, "vsock"],
]);

function failure(
  target: OptionTarget,
  label: string,
  row: Row,
  option: SystemOption,
  operation: string,
  syscall: string,
  errno: number,
): IOError {
  const [code] = errnoName(errno);
  const name = nameOf(option) as string;
  let advice = row.advice?.[code];
  if (code === "ENOPROTOOPT") advice ??= `the kernel does not know it: ${row.has}`;
  if (code === "EINVAL") advice ??= "the value, or the state of the socket, does not allow it";
  if (code === "EDOM") advice ??= "the value is outside of what the system takes";
  const family = familyOf(target);
  const kind = WITHOUT_TCP.get(family);
  if (OF_OTHERS.has(code) && option.level !== "SOL_SOCKET" && kind !== undefined) {
    advice = `a ${kind} socket has no such option`;
  }
  return callError(target, operation, `${label} (${name})`, syscall, errno, advice);
}

function rawFailure(
  target: OptionTarget,
  level: unknown,
  name: unknown,
  operation: string,
  syscall: string,
  errno: number,
): IOError {
  const [code] = errnoName(errno);
  const advice =
    code === "ENOPROTOOPT" ? "the kernel, or this socket, does not know it" : undefined;
  const label = `${String(name)} of the level ${String(level)}`;
  return callError(target, operation, label, syscall, errno, advice);
}

function callError(
  { backend }: OptionTarget,
  operation: string,
  label: string,
  syscall: string,
  errno: number,
  advice: string | undefined,
): IOError {
  const [code, text] = errnoName(errno);
  if (code === "EBADF") return closedError(operation, "the socket");
  const message =
    `${operation} of ${label} failed in ${syscall}: ${code}, ${text}` +
    (advice === undefined ? "" : ` (${advice})`);
  return new IOError({ code, errno, syscall, operation, backend, message });
}
