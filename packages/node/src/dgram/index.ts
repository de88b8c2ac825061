/**
 * Datagram sockets as `node:dgram` has them, over io_uring, epoll or kqueue.
 *
 * @module @io/node/dgram
 */
import { Socket, type SocketOptions } from "./socket.js";

export type { RemoteInfo } from "./receiver.js";
export {
  type AddressInfo,
  type BindOptions,
  type Lookup,
  type Memory,
  type Sent,
  Socket,
  type SocketOptions,
} from "./socket.js";

/**
 * Called with each datagram that comes.
 *
 * @param message Its bytes.
 * @param from Who sent it.
 */
export type MessageListener = (message: Buffer, from: import("./receiver.js").RemoteInfo) => void;

/**
 * Makes a socket for datagrams.
 *
 * @param type "udp4" or "udp6", or options.
 * @param listener Called with each datagram: a listener of 'message'.
 * @returns the socket, which has no address yet
 * @throws `ERR_SOCKET_BAD_TYPE`, `ERR_INVALID_ARG_TYPE`
 */
export function createSocket(
  type: "udp4" | "udp6" | SocketOptions,
  listener?: MessageListener,
): Socket {
  return new Socket(type, listener);
}

/**
 * All that the module has: what `import dgram from "@io/node/dgram"` gives.
 *
 * @hidden
 */
export default { createSocket, Socket };
