// 8 sends in flight on each of many unix sockets with @io/core, by callbacks in Node's event loop,
// each with memory of its own.
//
// Usage: sends_ours <backend> <path> <connections> <seconds>

import { type BackendName, Completion, IO } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";

const [backend = "", path = ""] = process.argv.slice(2);
const connections = numberArgument(2);
const durationSeconds = numberArgument(3);
const inFlight = 8;
const messageBytes = 64;

class Sending extends Completion {
  readonly descriptor: number;
  readonly message = new Uint8Array(messageBytes);

  constructor(descriptor: number) {
    super();
    this.descriptor = descriptor;
  }
}

const io = await IO.open({ backend: backend as BackendName });
let sent = 0;

function onSent(completion: Completion, result: number): void {
  if (result !== messageBytes) throw new Error(`a send gave ${result}`);
  sent++;
  start(completion as Sending);
}

function start(sending: Sending): void {
  io.ring.send(sending, onSent, sending.descriptor, sending.message);
}

const descriptors: number[] = [];
while (descriptors.length < connections) descriptors.push((await io.connect({ path })).descriptor);
for (const descriptor of descriptors) {
  for (let index = 0; index < inFlight; index++) start(new Sending(descriptor));
}

const after = (seconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, 1000 * seconds);
  });

await after(durationSeconds / 4); // until V8 has compiled it
const before = process.cpuUsage();
const sentBefore = sent;
await after(durationSeconds);
const { user, system } = process.cpuUsage(before);
printFigures({ "CPU us/send": (user + system) / (sent - sentBefore) });
process.exit(0);
