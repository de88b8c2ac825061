// An echo server with Bun's own sockets, which it documents as its fastest. Run by Bun.

import { printLine } from "../contender.js";

/** The part of Bun that is used. */
interface BunSocket {
  /** What could not be sent yet. */
  data: Uint8Array | undefined;
  /** Sends what fits and returns how much that was. */
  write(bytes: Uint8Array): number;
}

interface BunListenOptions {
  hostname: string;
  port: number;
  socket: {
    data(socket: BunSocket, bytes: Uint8Array): void;
    drain(socket: BunSocket): void;
    error(socket: BunSocket, error: Error): void;
  };
}

declare const Bun: { listen(options: BunListenOptions): { port: number } };

function send(socket: BunSocket, bytes: Uint8Array): void {
  const sentBytes = Math.max(0, socket.write(bytes));
  socket.data = sentBytes < bytes.byteLength ? bytes.slice(sentBytes) : undefined;
}

const server = Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    data(socket, bytes) {
      if (socket.data) socket.data = Buffer.concat([socket.data, bytes]);
      else send(socket, bytes);
    },
    drain(socket) {
      if (socket.data) send(socket, socket.data);
    },
    error: () => undefined,
  },
});
printLine(server.port);
