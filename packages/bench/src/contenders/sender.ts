// Sends that are made again and again on one socket, each from memory of its own, by the verbs of
// the ring. The programs that measure zero copy share it.

import { setImmediate as nextTurn } from "node:timers/promises";
import { Completion, type DatagramSocket, IO, type Socket, type ZeroCopy } from "@io/core";

/** The clock is read once per this many sends, so that reading it does not show. */
const sendsPerClock = 64;

/** A send that is made again and again, with memory of its own. */
class Sending extends Completion {
  constructor(
    readonly sender: Sender,
    readonly buffer: Uint8Array,
  ) {
    super();
  }
}

/** Its memory is free when it is active no more: it is sent again. */
function onSent(completion: Completion, result: number): void {
  if (completion.active) return;
  if (result <= 0) throw new Error(`A send gave ${result}.`);
  const sending = completion as Sending;
  sending.sender.noteSent(result);
  if (!sending.sender.stopped) sending.sender.start(sending);
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

async function connect(io: IO, to: Target): Promise<DatagramSocket | Socket> {
  const { kind, host, port } = to;
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

export interface Target {
  kind: string;
  host: string;
  port: number;
}

export interface Load {
  sizeBytes: number;
  registered: boolean;
  inFlight: number;
}

export class Sender {
  sends = 0;
  bytes = 0;
  stopped = false;
  private endMs = 0;
  private mode: ZeroCopy = "never";
  private readonly sendings: Sending[];

  private constructor(
    private readonly io: IO,
    readonly socket: DatagramSocket | Socket,
    load: Load,
  ) {
    const { sizeBytes, registered, inFlight } = load;
    this.sendings = Array.from({ length: inFlight }, () => {
      const buffer = registered ? io.buffers.acquire(sizeBytes) : new Uint8Array(sizeBytes);
      buffer.fill(7);
      return new Sending(this, buffer);
    });
  }

  static async open(to: Target, load: Load): Promise<Sender> {
    const io = await IO.open({ mode: "detached", buffersMaxBytes: 256 * 1024 * 1024 });
    return new Sender(io, await connect(io, to), load);
  }

  noteSent(sizeBytes: number): void {
    this.bytes += sizeBytes;
    if (++this.sends % sendsPerClock === 0) this.stopped = performance.now() >= this.endMs;
  }

  start(sending: Sending): void {
    this.io.ring.send(sending, onSent, this.socket.descriptor, sending.buffer, this.mode);
  }

  /** Sends for so long, and waits until all memory is free again. */
  runFor(mode: ZeroCopy, durationMs: number): void {
    this.sends = 0;
    this.bytes = 0;
    this.stopped = false;
    this.mode = mode;
    this.endMs = performance.now() + durationMs;
    for (const sending of this.sendings) this.start(sending);
    this.io.run();
  }
}
