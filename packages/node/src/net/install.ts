// For clients that take neither a stream nor an agent: they call `connect` of `node:net`.

import { syncBuiltinESMExports } from "node:module";
import node from "node:net";
import { connect } from "./socket.js";

const NAMES = ["connect", "createConnection"] as const;
const functions = node as unknown as Record<string, unknown>;

let uninstall: (() => void) | null = null;

/**
 * Puts `connect` of `@io/node/net` in the place of `connect` and `createConnection` of `node:net`,
 * for all code of this thread that calls them from then on: clients that take neither a stream nor
 * an agent, such as node-redis and gRPC, and `fetch` of `http:`.
 *
 * Nothing else is replaced: not the classes of `node:net`, not its servers, not `tls.connect()`,
 * and not the agents of `http` and `https`. Code that holds one of the two functions already goes
 * on with it. A second call replaces nothing, and returns the same function.
 *
 * @returns a function that puts those of `node:net` back; connections that are open stay
 *
 * @example
 * ```ts
 * import { install } from "@io/node";
 *
 * const uninstall = install(); // before the client connects
 * uninstall();
 * ```
 */
export function install(): () => void {
  if (uninstall !== null) return uninstall;
  const before = NAMES.map((name) => functions[name]);
  for (const name of NAMES) functions[name] = connect;
  syncBuiltinESMExports();
  const undo = (): void => {
    if (uninstall !== undo) return;
    uninstall = null;
    for (const [index, name] of NAMES.entries()) {
      // Another module may have put its own around ours, which then stays.
      if (functions[name] === connect) functions[name] = before[index];
    }
    syncBuiltinESMExports();
  };
  uninstall = undo;
  return undo;
}
