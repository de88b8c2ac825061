// TLS over a socket of ours, by Node's own class for that.

import type { Duplex } from "node:stream";
import * as node from "node:tls";
import { type Callback, normalizeArguments, type Options } from "../net/arguments.js";
import { connect as connectSocket } from "../net/socket.js";

/** As `tls.connect()`, over a socket of `@io/node/net`, unless `socket` names another. */
export const connect = ((...given: unknown[]) => {
  const [options, callback] = tlsArguments(given);
  const done = callback as () => void;
  if (options["socket"]) return node.connect(options as node.ConnectionOptions, done);
  return overSocket(options, (over) => node.connect(over as node.ConnectionOptions, done));
}) as typeof node.connect;

/** Makes a TLS socket of the options, over a socket that is being connected to what they name. */
export function overSocket<S extends Duplex>(options: object, make: (over: Options) => S): S {
  const raw = connectSocket(options);
  const { signal: _signal, ...others } = options as Options;
  const secured = make({ ...others, host: others["host"] ?? "localhost", socket: raw });
  // TLS ends its direction itself: what it has to send is not lost when the peer has ended. In the
  // handshake the end of the peer ends the connection.
  secured.once("secureConnect", () => {
    raw.allowHalfOpen = true;
  });
  return secured;
}

// connect(options), connect(port, host, options), connect(path, options), each with a callback.
function tlsArguments(given: readonly unknown[]): [Options, Callback | undefined] {
  const [options, callback] = normalizeArguments(given);
  const more = given.slice(1, 3).find((one) => typeof one === "object" && one !== null);
  return [{ ...(more as Options | undefined), ...options }, callback ?? undefined];
}
