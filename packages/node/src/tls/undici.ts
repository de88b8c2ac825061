// How undici makes its connections: the option `connect` of its clients and agents.

import type { Duplex } from "node:stream";
import type { ConnectionOptions } from "node:tls";
import { connect as connectSocket } from "../net/socket.js";
import { connect as connectTls } from "./connect.js";

/** What undici asks for. */
export interface UndiciTarget {
  /** "https:" or "http:". */
  readonly protocol: string;
  /** The name or address to connect to. */
  readonly hostname: string;
  /** The port; that of the protocol by default. */
  readonly port?: string | number | null;
  /** The name that the certificate must have; that of the host by default. */
  readonly servername?: string | null;
}

/**
 * How undici is given a connection, or the error of one that has failed.
 *
 * @param error Why there is no connection, or null.
 * @param socket The connection, or null.
 */
export type Connected = (error: Error | null, socket: Duplex | null) => void;

/**
 * The option `connect` of undici.
 *
 * @param target Where to connect.
 * @param connected Called once with the connection, or with an error.
 * @returns the socket, which may still be connecting
 */
export type UndiciConnect = (target: UndiciTarget, connected: Connected) => Duplex;

/**
 * Makes the option `connect` of undici's `Client`, `Pool` and `Agent`: their connections are those
 * of `@io/node/net`.
 *
 * @param options Options of `tls.connect()`, for `https:`; `host` connects there whatever the name.
 * @returns the function, which makes a connection and gives it to undici
 * @throws nothing itself: it makes a function, which hands on the error of a connection
 *
 * @example
 * ```ts
 * import { undiciConnector } from "@io/node/tls";
 *
 * const connect = undiciConnector(); // new Agent({ connect })
 * console.log(typeof connect);
 * ```
 */
export function undiciConnector(options: ConnectionOptions = {}): UndiciConnect {
  return (target, connected) => {
    const isSecure = target.protocol === "https:";
    const port = Number(target.port) || (isSecure ? 443 : 80);
    const host = options.host ?? target.hostname;
    const socket = isSecure
      ? connectTls({
          ALPNProtocols: ["http/1.1"],
          ...options,
          host,
          port,
          servername: target.servername ?? target.hostname,
        })
      : connectSocket({ host, port });
    const onError = (error: Error): void => connected(error, null);
    socket.once("error", onError);
    socket.once(isSecure ? "secureConnect" : "connect", () => {
      socket.off("error", onError);
      connected(null, socket);
    });
    return socket;
  };
}
