// A server of Node's that takes its connections from ours. Node gives a door for that: servers of
// http, https, http2 and tls take any stream by the event "connection". It gives none for where a
// server listens, so the methods about listening are replaced, on this server alone.

import { Server as NodeServer } from "node:net";
import { Server as TlsServer } from "node:tls";
import { argumentTypeError } from "../errors.js";
import type { Callback } from "./arguments.js";
import { Server } from "./server.js";
import type { Socket } from "./socket.js";

/** A TLS socket over a stream, as Node lays it out. */
interface Wrapping {
  readonly _handle?: { readonly _parentWrap?: { readonly stream?: Socket } };
}

/** What all of them have. */
export type AnyServer = NodeServer & {
  /** Servers of HTTP have it: ends the connections that wait for a request. */
  closeIdleConnections?(): void;
};

/** What a TLS socket over a stream does not know by itself. */
const PLACES = [
  ...(["remoteAddress", "remotePort", "remoteFamily"] as const),
  ...(["localAddress", "localPort", "localFamily"] as const),
];

const FORWARDED = ["listening", "error", "drop"] as const;

/**
 * Makes a server of Node's listen by @io/core: an `http.Server`, `https.Server`, `tls.Server` or
 * one of http2. Call it before `listen`. The server stays what it was, with the methods of its
 * class; `listen`, `close`, `address`, `getConnections`, `ref`, `unref`, `listening` and
 * `maxConnections` are about the listener that @io/core has.
 *
 * @param server A server that does not listen yet.
 * @returns the same server
 * @throws `ERR_INVALID_ARG_TYPE` for what is no server, such as the function that `express()`
 *   returns: give `createServer(app)`. Why it cannot listen comes by "error", as in Node.
 */
export function serveOver<S extends AnyServer>(server: S): S {
  // express() is an emitter: it would take connections and answer none.
  if (!(server instanceof NodeServer)) throw argumentTypeError("server", "Server", server);
  const shape = server as unknown as Record<string, unknown>;
  const own = new Server({
    allowHalfOpen: shape["allowHalfOpen"],
    pauseOnConnect: shape["pauseOnConnect"],
    noDelay: shape["noDelay"],
    keepAlive: shape["keepAlive"],
    keepAliveInitialDelay: shape["keepAliveInitialDelay"],
    highWaterMark: shape["highWaterMark"],
  });
  own.on("connection", (socket) => server.emit("connection", socket));
  if (server instanceof TlsServer) server.prependListener("secureConnection", onSecured);
  for (const name of FORWARDED) own.on(name, (given) => server.emit(name, given));
  const closeOfNode = server.close;
  // The class clears what it has set up for the connections, and emits "close".
  own.on("close", () => Reflect.apply(closeOfNode, server, []));
  const close = (callback?: Callback): S => {
    if (!own.listening) return Reflect.apply(closeOfNode, server, [callback]) as S;
    if (typeof callback === "function") server.once("close", callback);
    server.closeIdleConnections?.();
    own.close();
    return server;
  };
  const listen = (...given: unknown[]): S => {
    own.listen(...withoutListener(server, given));
    return server;
  };
  Object.assign(server, {
    listen,
    close,
    address: () => own.address(),
    getConnections: (callback: (error: Error | null, count: number) => void) => {
      own.getConnections(callback);
      return server;
    },
    ref: () => {
      own.ref();
      return server;
    },
    unref: () => {
      own.unref();
      return server;
    },
  });
  Object.defineProperties(server, {
    listening: { get: () => own.listening, configurable: true },
    maxConnections: {
      get: () => own.maxConnections,
      set: (count: number) => {
        own.maxConnections = count;
      },
      configurable: true,
      enumerable: true,
    },
  });
  return server;
}

// TLS ends its direction itself: bytes are still to be sent when the peer has ended. In the
// handshake the end of the peer ends the connection.
function onSecured(socket: Wrapping): void {
  const raw = socket._handle?._parentWrap?.stream;
  if (raw === undefined) return;
  raw.allowHalfOpen = true;
  for (const name of PLACES) {
    Object.defineProperty(socket, name, { get: () => raw[name], configurable: true });
  }
}

// The callback of listen() is a listener of the server that the program has, which is its `this`.
function withoutListener(server: AnyServer, given: unknown[]): unknown[] {
  const last = given.at(-1);
  if (typeof last !== "function") return given;
  server.once("listening", last as Callback);
  return given.slice(0, -1);
}
