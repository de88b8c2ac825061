/**
 * `node:http2` over @io/core: its servers listen by it, and its sessions connect by it.
 *
 * @module @io/node/http2
 */
import * as node from "node:http2";
import type { Duplex } from "node:stream";
import { serveOver } from "../net/serve_over.js";
import { connect as connectSocket } from "../net/socket.js";
import tls from "../tls/index.js";

/** Makes a server of HTTP/2 without TLS that listens by @io/core. */
export const createServer = ((...given: Parameters<typeof node.createServer>) =>
  serveOver(node.createServer(...given))) as typeof node.createServer;

/** Makes a server of HTTP/2 with TLS that listens by @io/core. */
export const createSecureServer = ((...given: Parameters<typeof node.createSecureServer>) =>
  serveOver(node.createSecureServer(...given))) as typeof node.createSecureServer;

type ConnectOptions = node.ClientSessionOptions & node.SecureClientSessionOptions;

/** As `http2.connect()`, unless `createConnection` is given. */
export const connect = ((authority: string | URL, ...given: unknown[]) => {
  const [first] = given;
  const options = (typeof first === "object" && first !== null ? first : {}) as ConnectOptions;
  const others = given.filter((one) => typeof one === "function");
  const createConnection = options.createConnection ?? ((url: URL) => connection(url, options));
  const whole = { ...options, createConnection } as ConnectOptions;
  return Reflect.apply(node.connect, node, [authority, whole, ...others]);
}) as typeof node.connect;

function connection(url: URL, options: ConnectOptions): Duplex {
  const isSecure = url.protocol === "https:";
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = Number(url.port) || (isSecure ? 443 : 80);
  if (!isSecure) return connectSocket({ host, port });
  return tls.connect({ ALPNProtocols: ["h2"], ...options, host, port });
}

export {
  constants,
  getDefaultSettings,
  getPackedSettings,
  getUnpackedSettings,
  Http2ServerRequest,
  Http2ServerResponse,
  sensitiveHeaders,
} from "node:http2";

/** All that the module has: what `import http2 from "@io/node/http2"` gives. */
const http2 = { ...node, connect, createServer, createSecureServer } as typeof node;

export default http2;
