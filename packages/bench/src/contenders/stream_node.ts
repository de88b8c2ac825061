// A program that only receives, with node:net: in the buffers that it makes for each chunk, or into
// one buffer of each connection that is used again and again (`onread`).
//
// Usage: stream_node <data|onread> <port> <connections> [bytes of that buffer]

import { connect, type Socket } from "node:net";
import { numberArgument } from "../contender.js";
import { countReceived } from "../traffic_meter.js";

const how = process.argv[2];
const port = numberArgument(1);
const connections = numberArgument(2);
const bufferBytes = process.argv.length > 5 ? numberArgument(3) : 64 * 1024;
/** Nothing else is done with what is received. */
const count = countReceived();

function receiveChunks(): Socket {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("data", (chunk) => count(chunk.length));
  return socket;
}

function receiveIntoOne(): Socket {
  const callback = (receivedBytes: number): boolean => {
    count(receivedBytes);
    return true;
  };
  const buffer = new Uint8Array(bufferBytes);
  return connect({ host: "127.0.0.1", port, onread: { buffer, callback } });
}

for (let index = 0; index < connections; index++) {
  const socket = how === "onread" ? receiveIntoOne() : receiveChunks();
  // The load generator ends its connections in any way it likes.
  socket.on("error", () => socket.destroy());
}
