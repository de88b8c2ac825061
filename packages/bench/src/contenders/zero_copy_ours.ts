// Sends with @io/core by the verbs of the ring, again and again, to an address that is given:
// plainly or without a copy, from memory that is registered with the kernel or from any other.
//
// Usage: zero_copy_ours <udp|tcp> <address> <port> <bytes> <never|always|auto>
//          <registered|unregistered> <in flight> <seconds>

import { setImmediate as nextTurn } from "node:timers/promises";
import {
  Completion,
  type DatagramSocket,
  IO,
  type Ring,
  type Socket,
  type ZeroCopy,
} from "@io/core";
import { numberArgument, printFigures } from "../contender.js";

const [, , kind = "", host = ""] = process.argv;
const port = numberArgument(2);
const sizeBytes = numberArgument(3);
const mode = process.argv[6] as ZeroCopy;
const registered = process.argv[7] === "registered";
const inFlight = numberArgument(6);
const durationSeconds = numberArgument(7);

/** The clock is read once per this many sends, so that reading it does not show. */
const sendsPerClock = 4096;

/** A send that is made again and again, with memory of its own. */
class Sending extends Completion {
  readonly buffer: Uint8Array;

  constructor(buffer: Uint8Array) {
    super();
    this.buffer = buffer;
  }
}

let ring: Ring;
let descriptor: number;
let sends = 0;
let bytes = 0;
let stopped = false;
let endMs = 0;

/** Its memory is free when it is active no more: it is sent again. */
function onSent(completion: Completion, result: number): void {
  if (completion.active) return;
  if (result <= 0) throw new Error(`A send gave ${result}.`);
  bytes += result;
  if (++sends % sendsPerClock === 0) stopped = performance.now() >= endMs;
  if (!stopped) start(completion as Sending);
}

function start(sending: Sending): void {
  ring.send(sending, descriptor, sending.buffer, onSent, mode);
}

/** A socket is opened by a promise, which settles in the event loop. */
async function opened<T>(io: IO, opening: Promise<T>): Promise<T> {
  let done = false;
  opening.finally(() => {
    done = true;
  });
  while (!done) {
    io.runFor(1_000_000n);
    await nextTurn();
  }
  return opening;
}

async function connect(io: IO): Promise<DatagramSocket | Socket> {
  const options = { sendBufferBytes: 4 * 1024 * 1024 };
  if (kind === "tcp") {
    const socket = await opened(io, io.connect({ host, port }));
    socket.setOptions(options);
    return socket;
  }
  const socket = await opened(io, io.openDatagram({ family: "ipv4", ...options }));
  await opened(io, socket.connect({ host, port }));
  return socket;
}

function runFor(io: IO, sendings: Sending[], seconds: number): void {
  sends = 0;
  bytes = 0;
  stopped = false;
  endMs = performance.now() + seconds * 1000;
  for (const sending of sendings) start(sending);
  io.run();
}

const io = await IO.open({ mode: "detached", buffersLimitBytes: 256 * 1024 * 1024 });
const socket = await connect(io);
ring = io.ring;
descriptor = socket.descriptor;
const sendings = Array.from({ length: inFlight }, () => {
  const buffer = registered ? io.buffers.acquire(sizeBytes) : new Uint8Array(sizeBytes);
  buffer.fill(7);
  return new Sending(buffer);
});
runFor(io, sendings, durationSeconds / 5);
const before = socket.stats();
const usedBefore = process.cpuUsage();
const startMs = performance.now();
runFor(io, sendings, durationSeconds);
const elapsedSeconds = (performance.now() - startMs) / 1000;
const used = process.cpuUsage(usedBefore);
const after = socket.stats();
const spared = after.zeroCopySends - before.zeroCopySends;
const usedSeconds = (used.user + used.system) / 1e6;
printFigures({
  "sends/CPU second": sends / usedSeconds,
  "sends/s": sends / elapsedSeconds,
  "MB/s": bytes / 1e6 / elapsedSeconds,
  "CPU seconds/GB": usedSeconds / (bytes / 1e9),
  "share without a copy": (spared - (after.zeroCopyCopied - before.zeroCopyCopied)) / sends,
});
process.exit(0);
