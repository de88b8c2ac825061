/**
 * Node's streams, net, http and TLS over @io/core.
 *
 * @module @io/node
 */
export { sharedIO } from "./engine/environment.js";
export { install } from "./net/install.js";
export { type AnyServer, serveOver } from "./net/serve_over.js";
export { toWeb, type WebStreams } from "./web/to_web.js";
