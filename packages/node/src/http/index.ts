/**
 * `node:http` over @io/core: its server listens by it, and its agent connects by it. The rest is
 * Node's own.
 *
 * @example
 * ```ts
 * import http from "@io/node/http";
 *
 * const server = http.createServer((_request, response) => response.end("hello"));
 * server.listen(0, () => server.close());
 * ```
 *
 * @module @io/node/http
 */
import * as node from "node:http";
import type { Duplex } from "node:stream";
import { serveOver } from "../net/serve_over.js";
import { connect } from "../net/socket.js";
import { type RequestArguments, withAgent } from "./with_agent.js";

/**
 * An `http.Agent` whose connections are those of `@io/node/net`.
 *
 * @example
 * ```ts
 * import http from "@io/node/http";
 *
 * const agent = new http.Agent({ keepAlive: true });
 * http.get({ host: "127.0.0.1", port: 8080, agent }, (response) => response.resume());
 * ```
 */
export class Agent extends node.Agent {
  /**
   * What `http.request()` calls for a connection.
   *
   * @param options Those of `net.connect()`.
   * @returns the socket, which may still be connecting
   * @throws the codes of a refused option, as `net.connect()`
   */
  override createConnection(options: object): Duplex {
    return connect(options);
  }
}

/** The agent of `request` and `get`, unless they are given another. */
export const globalAgent: node.Agent = new Agent({ keepAlive: true, scheduling: "lifo" });

/** Makes an `http.Server` that listens by @io/core. */
export const createServer = ((...given: Parameters<typeof node.createServer>) =>
  serveOver(node.createServer(...given))) as typeof node.createServer;

/** As `http.request()`, by the agent of this module. */
export const request = ((...given: RequestArguments) =>
  Reflect.apply(node.request, node, withAgent(given, globalAgent))) as typeof node.request;

/** As `http.get()`, by the agent of this module. */
export const get = ((...given: RequestArguments) =>
  Reflect.apply(node.get, node, withAgent(given, globalAgent))) as typeof node.get;

export {
  ClientRequest,
  IncomingMessage,
  METHODS,
  maxHeaderSize,
  OutgoingMessage,
  Server,
  ServerResponse,
  STATUS_CODES,
  validateHeaderName,
  validateHeaderValue,
} from "node:http";

/** All that the module has: what `import http from "@io/node/http"` gives. */
const http = { ...node, Agent, globalAgent, createServer, request, get } as typeof node;

export default http;
