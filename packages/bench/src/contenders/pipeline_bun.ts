// Many small writes on one connection with Bun's own sockets, which take what the kernel has room
// for and keep nothing: each message by itself, or as many as are in flight copied together, which
// Bun advises. Run by Bun.
//
// Usage: pipeline_bun <write|together> <port> <bytes> <in flight> <seconds>

import { numberArgument, printFigures } from "../contender.js";
import { SendCount } from "../send_count.js";

/** The part of Bun that is used. */
interface BunSocket {
  setNoDelay(on: boolean): void;
  /** Sends what fits and returns how much that was. */
  write(bytes: Uint8Array): number;
}

interface BunConnectOptions {
  hostname: string;
  port: number;
  socket: {
    open(socket: BunSocket): void;
    data(socket: BunSocket): void;
    drain(socket: BunSocket): void;
    error(socket: BunSocket, error: Error): void;
  };
}

declare const Bun: { connect(options: BunConnectOptions): Promise<unknown> };

const together = process.argv[2] === "together";
const port = numberArgument(1);
const messageBytes = numberArgument(2);
const inFlight = numberArgument(3);
const durationSeconds = numberArgument(4);
let count = new SendCount(durationSeconds / 5);
let warm = false;

const messages = Array.from({ length: inFlight }, () => new Uint8Array(messageBytes).fill(7));
const block = new Uint8Array(inFlight * messageBytes);
let written = 0;

/** What is to be written when all before it has gone. */
function next(): Uint8Array {
  if (!together) return messages[written++ % inFlight] ?? block;
  for (const [index, message] of messages.entries()) block.set(message, index * messageBytes);
  return block;
}

let unsent = next();

/** Writes until there is no room. */
function pump(socket: BunSocket): void {
  while (!count.stopped) {
    const sentBytes = Math.max(0, socket.write(unsent));
    if (sentBytes > 0) count.add(sentBytes);
    if (sentBytes < unsent.byteLength) {
      unsent = unsent.subarray(sentBytes);
      return;
    }
    unsent = next();
  }
  if (warm) {
    printFigures(count.figures(messageBytes));
    process.exit(0);
  }
  warm = true;
  count = new SendCount(durationSeconds);
  pump(socket);
}

await Bun.connect({
  hostname: "127.0.0.1",
  port,
  socket: {
    open(socket) {
      socket.setNoDelay(true);
      pump(socket);
    },
    data: () => undefined,
    drain: pump,
    error(_socket, error) {
      throw error;
    },
  },
});
