/**
 * `node:https` over @io/core, as `@io/node/http` is `node:http`.
 *
 * @module @io/node/https
 */
import * as node from "node:https";
import type { Duplex } from "node:stream";
import { type RequestArguments, withAgent } from "../http/with_agent.js";
import { serveOver } from "../net/serve_over.js";
import { overSocket } from "../tls/connect.js";

type Create = (options: object, callback?: (...given: never[]) => void) => Duplex;

/**
 * An `https.Agent` whose connections go over those of `@io/node/net`.
 *
 * @example
 * ```ts
 * import https from "@io/node/https";
 *
 * const agent = new https.Agent({ keepAlive: true });
 * https.get({ host: "example.org", agent }, (response) => response.resume());
 * ```
 */
export class Agent extends node.Agent {
  /**
   * What `https.request()` calls for a connection.
   *
   * @param options Those of `tls.connect()`.
   * @param callback Called as that of Node's agent is.
   * @returns the TLS socket, which may still be connecting
   * @throws the codes of a refused option, as `tls.connect()`
   */
  override createConnection(options: object, callback?: (...given: never[]) => void): Duplex {
    const { createConnection } = node.Agent.prototype as unknown as { createConnection: Create };
    return overSocket(
      options,
      (over) => Reflect.apply(createConnection, this, [over, callback]) as Duplex,
    );
  }
}

/** The agent of `request` and `get`, unless they are given another. */
export const globalAgent: node.Agent = new Agent({ keepAlive: true, scheduling: "lifo" });

/** Makes an `https.Server` that listens by @io/core. */
export const createServer = ((...given: Parameters<typeof node.createServer>) =>
  serveOver(node.createServer(...given))) as typeof node.createServer;

/** As `https.request()`, by the agent of this module. */
export const request = ((...given: RequestArguments) =>
  Reflect.apply(node.request, node, withAgent(given, globalAgent))) as typeof node.request;

/** As `https.get()`, by the agent of this module. */
export const get = ((...given: RequestArguments) =>
  Reflect.apply(node.get, node, withAgent(given, globalAgent))) as typeof node.get;

export { Server } from "node:https";

/** All that the module has: what `import https from "@io/node/https"` gives. */
const https = { ...node, Agent, globalAgent, createServer, request, get } as typeof node;

export default https;
