// Many small writes at once on one connection with node:net: each by itself, or those of a turn
// held back (`cork`) so that they go together. It also runs on Bun, whose node:net is another peer.
//
// Usage: pipeline_node <write|cork> <port> <bytes> <in flight> <seconds>

import { connect } from "node:net";
import { numberArgument, printFigures } from "../contender.js";
import { SendCount } from "../send_count.js";

const corks = process.argv[2] === "cork";
const port = numberArgument(1);
const messageBytes = numberArgument(2);
const inFlight = numberArgument(3);
const durationSeconds = numberArgument(4);
let count = new SendCount(0);

const socket = connect({ host: "127.0.0.1", port, noDelay: true });
const uncork = () => socket.uncork();

function write(message: Buffer, onWritten: () => void): void {
  if (corks && socket.writableCorked === 0) {
    socket.cork();
    process.nextTick(uncork);
  }
  socket.write(message, onWritten);
}

/** One of those in flight. An error of the socket ends the process, as it should. */
function loop(message: Buffer): Promise<void> {
  return new Promise((resolve) => {
    function onWritten(): void {
      count.add(messageBytes);
      if (count.stopped) resolve();
      else write(message, onWritten);
    }
    write(message, onWritten);
  });
}

socket.once("connect", async () => {
  // Node makes a Buffer of whatever else it is given.
  const messages = Array.from({ length: inFlight }, () => Buffer.alloc(messageBytes, 7));
  for (const seconds of [durationSeconds / 5, durationSeconds]) {
    count = new SendCount(seconds);
    await Promise.all(messages.map(loop));
  }
  printFigures(count.figures(messageBytes));
  process.exit(0);
});
