// A server that sends a file to every client, with node:fs and node:net.
//
// Usage: send_file_node <path> <chunk bytes, or 0 for the default>

import { createReadStream } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { numberArgument, printLine } from "../contender.js";

const path = process.argv[2] ?? "";
const highWaterMark = numberArgument(1);
const options = highWaterMark === 0 ? {} : { highWaterMark };

const server = createServer({ ...options }, (socket) => {
  // The client may be gone at any time.
  socket.on("error", () => socket.destroy());
  createReadStream(path, options).pipe(socket);
});
server.listen({ host: "127.0.0.1", port: 0 }, () => {
  printLine((server.address() as AddressInfo).port);
});
