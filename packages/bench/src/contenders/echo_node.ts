// An echo server with node:net. It also runs on Bun, whose node:net is another peer.
//
// Usage: echo_node <data|pipe>

import { type AddressInfo, createServer, type Socket } from "node:net";
import { printLine } from "../contender.js";

const mode = process.argv[2];

function echo(socket: Socket): void {
  // The load generator ends its connections in any way it likes.
  socket.on("error", () => socket.destroy());
  if (mode === "pipe") {
    socket.pipe(socket);
    return;
  }
  socket.on("data", (chunk) => {
    if (!socket.write(chunk)) socket.pause();
  });
  socket.on("drain", () => socket.resume());
}

const server = createServer({ noDelay: true }, echo);
server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => {
  printLine((server.address() as AddressInfo).port);
});
