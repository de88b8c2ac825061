// How much the heap grows while messages of 128 B go round: an echo into provided buffers, both
// ends of it in this process, several connections at once. The heap is collected before and after,
// so the growth is memory that something keeps.
//
// Usage: heap_provided <callback|promise> <messages>

import { Completion, IO, MultishotCompletion, type Socket } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";

const how = process.argv[2];
const messages = numberArgument(1);
const connections = 32;
const messageBytes = 128;

async function echo(socket: Socket): Promise<void> {
  for await (using chunk of socket.chunks()) await socket.sendAll(chunk.bytes);
}

function echoOnRing(io: IO, { descriptor }: Socket): void {
  const { ring } = io;
  const group = ring.bufferGroup();
  const sending = new Completion();
  const receiving = new MultishotCompletion();
  const start = (): void => ring.receiveMultishot(receiving, called, descriptor, group);
  const nothing = (): void => undefined;
  const called = ({ bufferId, offset }: MultishotCompletion, result: number): void => {
    if (result <= 0) return;
    ring.send(sending, nothing, descriptor, group.view(bufferId, offset, result));
    group.release(bufferId);
    if (!receiving.active) start();
  };
  start();
}

/** A client sends a message, waits for all of it, and sends the next one. */
async function askOften(socket: Socket, count: number): Promise<void> {
  const message = new Uint8Array(messageBytes);
  const answer = new Uint8Array(messageBytes);
  for (let left = count; left > 0; left--) {
    await socket.sendAll(message);
    await socket.receiveFull(answer);
  }
}

function usedBytes(): number {
  if (gc === undefined) throw new Error("start it with --expose-gc");
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const io = await IO.open();
const listener = await io.listen({ host: "127.0.0.1", port: 0 });
const clients: Socket[] = [];
for (let index = 0; index < connections; index++) {
  const connecting = io.connect({ host: "127.0.0.1", port: listener.address.port });
  const served = await listener.accept();
  clients.push(await connecting);
  if (how === "callback") echoOnRing(io, served);
  else void echo(served).catch(() => undefined);
}
const each = Math.ceil(messages / connections);
const run = (count: number) => Promise.all(clients.map((client) => askOften(client, count)));
await run(Math.ceil(each / 4));
const before = usedBytes();
await run(each);
const grown = usedBytes() - before;
printFigures({ "heap bytes/million messages": (grown * 1e6) / (each * connections) });
process.exit(0);
