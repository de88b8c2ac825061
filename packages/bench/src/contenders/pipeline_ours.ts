// Many small sends at once on one connection with @io/core: by the verbs of the ring with
// callbacks in a loop of its own, or by the promises of Socket in Node's event loop.
//
// Usage: pipeline_ours <callback|promise> <port> <bytes> <in flight> <seconds> [backend]

import { type BackendName, Completion, IO } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";
import { SendCount } from "../send_count.js";
import { settle } from "../settle.js";

const mode = process.argv[2];
const port = numberArgument(1);
const messageBytes = numberArgument(2);
const inFlight = numberArgument(3);
const durationSeconds = numberArgument(4);
const backend = (process.argv[7] ?? "auto") as BackendName | "auto";
let count = new SendCount(0);

/** A send that is made again and again, with memory of its own. */
class Sending extends Completion {
  readonly message: Uint8Array;

  constructor(message: Uint8Array) {
    super();
    this.message = message;
  }
}

function messagesOf(io: IO): Uint8Array[] {
  return Array.from({ length: inFlight }, () => io.buffers.acquire(messageBytes).fill(7));
}

async function measureCallbacks(): Promise<void> {
  const io = await IO.open({ backend, mode: "detached" });
  const { ring } = io;
  const { descriptor } = await settle(io, io.connect({ host: "127.0.0.1", port }));
  function onSent(completion: Completion, result: number): void {
    count.add(result);
    if (!count.stopped) start(completion as Sending);
  }
  function start(sending: Sending): void {
    ring.send(sending, onSent, descriptor, sending.message);
  }
  const sendings = messagesOf(io).map((message) => new Sending(message));
  for (const seconds of [durationSeconds / 5, durationSeconds]) {
    count = new SendCount(seconds);
    for (const sending of sendings) start(sending);
    io.run();
  }
  printFigures(count.figures(messageBytes));
}

async function measurePromises(): Promise<void> {
  const io = await IO.open({ backend });
  const socket = await io.connect({ host: "127.0.0.1", port });
  async function loop(message: Uint8Array): Promise<void> {
    while (!count.stopped) count.add(await socket.send(message));
  }
  const messages = messagesOf(io);
  for (const seconds of [durationSeconds / 5, durationSeconds]) {
    count = new SendCount(seconds);
    await Promise.all(messages.map(loop));
  }
  printFigures(count.figures(messageBytes));
}

await (mode === "callback" ? measureCallbacks() : measurePromises());
process.exit(0);
