/**
 * `node:net` over @io/core: the same functions, classes, events and error codes.
 *
 * @example
 * ```ts
 * import net from "@io/node/net";
 *
 * const server = net.createServer((socket) => socket.pipe(socket));
 * server.listen(0, () => server.close());
 * ```
 *
 * @module @io/node/net
 */
import * as node from "node:net";
import { callable } from "./callable.js";
import { Server as ServerClass } from "./server.js";
import { connect as connectSocket, Socket as SocketClass } from "./socket.js";

type Net = typeof node;

/** A stream socket, as `net.Socket`. It may be called without `new`, as Node's. */
export const Socket = callable(SocketClass) as unknown as Net["Socket"];
/** The same class under its old name. */
export const Stream = Socket;
/** A server of stream sockets, as `net.Server`. It may be called without `new`, as Node's. */
export const Server = callable(ServerClass) as unknown as Net["Server"];

/** Makes a server: `net.createServer([options][, listener])`. */
export const createServer = ((options?: unknown, listener?: unknown) =>
  new ServerClass(options, listener)) as unknown as Net["createServer"];

/** Makes a socket and connects it: `net.connect(options | port[, host] | path[, listener])`. */
export const connect = connectSocket as unknown as Net["connect"];
/** The same as {@link connect}. */
export const createConnection = connect as unknown as Net["createConnection"];

export type {
  AddressInfo,
  DropArgument,
  IpcNetConnectOpts,
  ListenOptions,
  LookupFunction,
  NetConnectOpts,
  OnReadOpts,
  ServerOpts,
  SocketConnectOpts,
  SocketConstructorOpts,
  SocketReadyState,
  TcpNetConnectOpts,
} from "node:net";
// What has nothing to do with the system is Node's own.
export {
  BlockList,
  getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  isIP,
  isIPv4,
  isIPv6,
  SocketAddress,
  setDefaultAutoSelectFamily,
  setDefaultAutoSelectFamilyAttemptTimeout,
} from "node:net";

/** All that the module has: what `import net from "@io/node/net"` gives. */
const net = {
  BlockList: node.BlockList,
  SocketAddress: node.SocketAddress,
  Server,
  Socket,
  Stream,
  connect,
  createConnection,
  createServer,
  isIP: node.isIP,
  isIPv4: node.isIPv4,
  isIPv6: node.isIPv6,
  getDefaultAutoSelectFamily: node.getDefaultAutoSelectFamily,
  setDefaultAutoSelectFamily: node.setDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout: node.getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamilyAttemptTimeout: node.setDefaultAutoSelectFamilyAttemptTimeout,
} as unknown as Net;

export default net;
