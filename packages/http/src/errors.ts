// What can be said of what others have thrown or returned.

import { getSystemErrorName } from "node:util";

/** Its code; empty when it has none. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : "";
}

/** What the peer or the network does to a connection. */
const OF_PEERS: ReadonlySet<string> = new Set([
  ...["ECONNRESET", "EPIPE", "ETIMEDOUT", "ECONNABORTED", "ENOTCONN", "ENETRESET"],
  ...["EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "ECONNREFUSED", "EPROTO"],
]);

/** Whether a connection has ended by its peer or the network: a negative number, or an error. */
export function isOfPeer(cause: unknown): boolean {
  return OF_PEERS.has(typeof cause === "number" ? getSystemErrorName(cause) : codeOf(cause));
}

/** Whether a handler has answered with a promise, of whatever realm or library. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { then?: unknown }).then === "function"
  );
}
