// The options of sockets as programs give them and get them.
import type { Bytes } from "../support/check.js";
import type { OptionName } from "./options.js";

/**
 * When the system probes a connection on which nothing arrives.
 *
 * @category Sockets
 */
export interface KeepAlive {
  /**
   * Milliseconds without anything from the peer before the first probe (TCP_KEEPIDLE), rounded up
   * to whole seconds; two hours is the default of most systems.
   */
  idleMs?: number | null | undefined;
  /** Milliseconds from one probe to the next (TCP_KEEPINTVL), rounded up to whole seconds. */
  intervalMs?: number | null | undefined;
  /** Probes without an answer after which the connection has ended (TCP_KEEPCNT). */
  count?: number | null | undefined;
}

/**
 * What can be tuned on every socket.
 *
 * @category Sockets
 */
export interface CommonSocketOptions {
  /**
   * Bytes of the kernel's receive buffer (SO_RCVBUF), 0 to 2^31 - 1; the system's default unless
   * set. Linux doubles what is asked, and `getOptions` says what it is then. Where datagrams do not
   * fit in, the kernel drops them.
   */
  receiveBufferBytes?: number | null | undefined;
  /**
   * Bytes of the kernel's send buffer (SO_SNDBUF), 0 to 2^31 - 1; the system's default unless set.
   * Linux doubles what is asked, and `getOptions` says what it is then.
   */
  sendBufferBytes?: number | null | undefined;
  /**
   * The length in bytes from which `zeroCopy: "auto"` sends without a copy; 0 (the default) lets
   * the library learn it.
   */
  zeroCopyThresholdBytes?: number | null | undefined;
  /**
   * Of a socket of IPv6: leave IPv4 out (IPV6_V6ONLY). It can be set only before the socket has an
   * address, so give it to `listen` or `openDatagram`. The system's default is `false`, and `true`
   * on some BSDs.
   */
  ipv6Only?: boolean | null | undefined;
  /**
   * The class of service in the header of what is sent, 0 to 255 (IP_TOS, IPV6_TCLASS). Its lowest
   * two bits are for congestion, and Linux ignores them on a stream.
   */
  tos?: number | null | undefined;
  /** How many routers may pass on what is sent, 1 to 255 (IP_TTL, IPV6_UNICAST_HOPS). */
  ttl?: number | null | undefined;
  /** A number from 0 to 2^32 - 1 for the rules of routing and filters (SO_MARK, Linux). */
  mark?: number | null | undefined;
  /**
   * The one network interface that it uses, by its name; "" for any (SO_BINDTODEVICE, Linux).
   */
  bindToDevice?: string | null | undefined;
  /**
   * Microseconds that a receive without data looks at the device before it waits (SO_BUSY_POLL,
   * Linux).
   */
  busyPollUs?: number | null | undefined;
  /**
   * The number of the processor that handles what comes in; of a listener or of a datagram socket
   * with `reusePort`, the one whose packets it prefers (SO_INCOMING_CPU, Linux). -1 where none has
   * come yet.
   */
  incomingCpu?: number | null | undefined;
}

/**
 * What can be tuned on a stream socket. A listener has the same, which Linux and the BSDs pass on
 * to the connections that it accepts.
 *
 * @category Sockets
 */
export interface SocketOptions extends CommonSocketOptions {
  /** Send small messages at once (TCP_NODELAY); on by default for TCP. */
  noDelay?: boolean | null | undefined;
  /**
   * Probe an idle connection (SO_KEEPALIVE), and when; off by default. What is absent of the times
   * stays as it is.
   */
  keepAlive?: boolean | KeepAlive | null | undefined;
  /**
   * Milliseconds after which a connection whose peer acknowledges nothing has ended, with
   * "ETIMEDOUT"; 0 for the system's own limit, some 15 minutes (TCP_USER_TIMEOUT, Linux).
   */
  userTimeoutMs?: number | null | undefined;
  /**
   * What a close does with bytes that are not sent yet (SO_LINGER). `false`, the default: the
   * system sends them after the close. 0: they are dropped, and the peer sees a reset. Any other
   * number: the close waits for them for so many milliseconds, rounded up to whole seconds.
   */
  lingerMs?: number | false | null | undefined;
  /**
   * Acknowledge at once what comes (TCP_QUICKACK, Linux). The kernel switches it off again by
   * itself.
   */
  quickAck?: boolean | null | undefined;
  /**
   * Of a listener: a connection is accepted when its first bytes have come, or after so many
   * milliseconds, rounded up to whole seconds; 0 for at once (TCP_DEFER_ACCEPT, Linux).
   */
  deferAcceptMs?: number | null | undefined;
  /**
   * Of a listener: take bytes with the first packet of a connection (TCP_FASTOPEN), from so many
   * connections at once whose addresses are not proven yet. Linux needs the bit 2 in the sysctl
   * net.ipv4.tcp_fastopen for that.
   */
  fastOpen?: number | null | undefined;
  /**
   * Of a socket that is to be connected: the first send goes with the first packet
   * (TCP_FASTOPEN_CONNECT, Linux). Then `connect` does not wait for the peer, where the kernel
   * knows it from before, and a refusal is the error of the first send or receive.
   */
  fastOpenConnect?: boolean | null | undefined;
  /** The algorithm for congestion: "cubic", "bbr" (TCP_CONGESTION; Linux, FreeBSD). */
  congestion?: string | null | undefined;
}

/**
 * The values of options, as `getOptions` gives them.
 *
 * @category Sockets
 */
export type OptionsOf<Options, Name extends keyof Options> = {
  readonly [N in Name]-?: NonNullable<Options[N]>;
};

/**
 * The value of an option that is set by its level and its name: a number of 32 bits, a flag, bytes
 * in the system's own layout, or text.
 *
 * @category Sockets
 */
export type RawOptionValue = number | boolean | Bytes | string;

const COMMON = [
  "receiveBufferBytes",
  "sendBufferBytes",
  "zeroCopyThresholdBytes",
  "ipv6Only",
  "tos",
  "ttl",
  "mark",
  "bindToDevice",
  "busyPollUs",
  "incomingCpu",
] as const satisfies readonly OptionName[];

/** Their names, in the order in which they are set. */
export const STREAM_OPTIONS = [
  ...COMMON,
  "noDelay",
  "keepAlive",
  "userTimeoutMs",
  "lingerMs",
  "quickAck",
  "deferAcceptMs",
  "fastOpen",
  "fastOpenConnect",
  "congestion",
] as const satisfies readonly OptionName[];

export const DATAGRAM_OPTIONS = [
  ...COMMON,
  ...(["broadcast", "receiveSegments", "receivePacketInfo", "receiveTos", "receiveTtl"] as const),
  ...(["receiveTimestamps", "receiveDrops", "multicastLoop", "multicastTtl"] as const),
] as const satisfies readonly OptionName[];
