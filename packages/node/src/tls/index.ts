/**
 * `node:tls` over @io/core: its connections and its server's are those of `@io/node/net`. The
 * encryption and all of its options are Node's own.
 *
 * @example
 * ```ts
 * import tls from "@io/node/tls";
 *
 * const socket = tls.connect({ host: "example.org", port: 443, servername: "example.org" });
 * socket.once("secureConnect", () => socket.end());
 * ```
 *
 * @module @io/node/tls
 */
import * as node from "node:tls";
import { serveOver } from "../net/serve_over.js";
import { connect } from "./connect.js";

/** Makes a `tls.Server` that listens by @io/core. */
export const createServer = ((...given: Parameters<typeof node.createServer>) =>
  serveOver(node.createServer(...given))) as typeof node.createServer;

export {
  checkServerIdentity,
  createSecureContext,
  DEFAULT_CIPHERS,
  DEFAULT_ECDH_CURVE,
  DEFAULT_MAX_VERSION,
  DEFAULT_MIN_VERSION,
  getCiphers,
  rootCertificates,
  type SecureContext,
  Server,
  TLSSocket,
} from "node:tls";

export { connect } from "./connect.js";
export {
  type Connected,
  type UndiciConnect,
  type UndiciTarget,
  undiciConnector,
} from "./undici.js";

/** All that the module has: what `import tls from "@io/node/tls"` gives. */
const tls = { ...node, connect, createServer } as typeof node;

export default tls;
