// What the kernel knows of a TCP connection: struct tcp_info of Linux, which only grows at its end.
import { constants } from "node:os";
import { IOError } from "../errors.js";
import { type OptionTarget, readRaw } from "./options.js";

/**
 * The state of a TCP connection and its counters, as `socket.info()` gives them. What the kernel
 * does not know, because it is older, is undefined.
 *
 * @category Sockets
 */
export interface TcpInfo {
  /** The state: "established", "closeWait" and so on, as in RFC 9293. */
  readonly state: TcpState;
  /** The smoothed round-trip time in microseconds. */
  readonly roundTripUs: number;
  /** How much it varies, in microseconds. */
  readonly roundTripVarianceUs: number;
  /** The least round-trip time that was measured, in microseconds. */
  readonly minRoundTripUs: number | undefined;
  /** Microseconds until an unacknowledged packet is sent again. */
  readonly retransmitTimeoutUs: number;
  /** Packets sent again since the connection began. */
  readonly retransmits: number;
  /** Packets that are sent and not acknowledged. */
  readonly unacknowledgedPackets: number;
  /** Packets that are taken for lost. */
  readonly lostPackets: number;
  /** The window for congestion, in packets. */
  readonly congestionWindowPackets: number;
  /** Bytes in a packet that is sent. */
  readonly segmentBytes: number;
  /** Bytes in the send buffer that were not sent yet. */
  readonly notSentBytes: number | undefined;
  /** Bytes that the peer has acknowledged. */
  readonly acknowledgedBytes: number | undefined;
  /** Bytes that were received. */
  readonly receivedBytes: number | undefined;
  /** The latest measured rate of delivery, in bytes a second. */
  readonly deliveryRateBytesPerSecond: number | undefined;
  /** Milliseconds since something was sent last. */
  readonly sinceSentMs: number;
  /** Milliseconds since something was received last. */
  readonly sinceReceivedMs: number;
}

/**
 * The state of a TCP connection, as in RFC 9293.
 *
 * @category Sockets
 */
export type TcpState =
  | "established"
  | "synSent"
  | "synReceived"
  | "finWait1"
  | "finWait2"
  | "timeWait"
  | "closed"
  | "closeWait"
  | "lastAck"
  | "listen"
  | "closing"
  | "unknown";

// By the kernel's number (net/tcp_states.h), from 1.
const STATES: readonly TcpState[] = [
  "unknown",
  "established",
  "synSent",
  "synReceived",
  "finWait1",
  "finWait2",
  "timeWait",
  "closed",
  "closeWait",
  "lastAck",
  "listen",
  "closing",
];

const MAX_BYTES = 512;

/** What a socket says of its connection. */
export function readInfo(target: OptionTarget): TcpInfo {
  // The structures of other systems are others.
  if (process.platform !== "linux") throw lacking("this system has no TCP_INFO of that kind");
  try {
    return tcpInfoFrom(readRaw(target, "IPPROTO_TCP", "TCP_INFO", MAX_BYTES));
  } catch (error) {
    const isOther = error instanceof IOError && OF_OTHERS.has(error.code);
    throw isOther ? lacking("the socket is not one of TCP") : error;
  }
}

// What a unix socket says of an option of TCP.
const OF_OTHERS: ReadonlySet<string> = new Set(["ENOTSUP", "EOPNOTSUPP", "ENOPROTOOPT", "EINVAL"]);

function lacking(why: string): IOError {
  const errno = -constants.errno.ENOTSUP;
  const message = `info: ${why}: Linux has it, for TCP`;
  return new IOError({ code: "ENOTSUP", errno, operation: "info", message });
}

/** The fields that a program is given, by their places in the structure (linux/tcp.h). */
export function tcpInfoFrom(bytes: Buffer): TcpInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isLittle = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  const word = (at: number): number => view.getUint32(at, isLittle);
  const laterWord = (at: number): number | undefined =>
    at + 4 <= bytes.byteLength ? word(at) : undefined;
  const laterLong = (at: number): number | undefined =>
    at + 8 <= bytes.byteLength ? Number(view.getBigUint64(at, isLittle)) : undefined;
  return {
    state: STATES[bytes[0] ?? 0] ?? "unknown",
    retransmitTimeoutUs: word(8),
    segmentBytes: word(16),
    unacknowledgedPackets: word(24),
    lostPackets: word(32),
    sinceSentMs: word(44),
    sinceReceivedMs: word(52),
    roundTripUs: word(68),
    roundTripVarianceUs: word(72),
    congestionWindowPackets: word(80),
    retransmits: word(100),
    acknowledgedBytes: laterLong(120),
    receivedBytes: laterLong(128),
    notSentBytes: laterWord(144),
    minRoundTripUs: laterWord(148),
    deliveryRateBytesPerSecond: laterLong(160),
  };
}
