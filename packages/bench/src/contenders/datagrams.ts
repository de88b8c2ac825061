// Datagrams by dgram: of Node, or of @io/node. A process of Node's dgram is at the other end.
//
// Usage: datagrams <node|ours> <receive|send> <bytes> <seconds>
//
// The other end sends 64 datagrams and waits for an answer to the last, so that none is lost; or it
// answers the last of 64. The first figure is the processor time of this end for each datagram.

import { fork } from "node:child_process";
import nodeDgram from "node:dgram";
import { once } from "node:events";
import ourDgram from "@io/node/dgram";
import { contenderPath, numberArgument, printFigures } from "../contender.js";

const [, , who, what] = process.argv;
const sizeBytes = numberArgument(2);
const durationSeconds = numberArgument(3);
const dgram = who === "ours" ? (ourDgram as unknown as typeof nodeDgram) : nodeDgram;
const burst = 64;
const payload = Buffer.alloc(sizeBytes, "d");
const answer = Buffer.from("a");

const socket = dgram.createSocket("udp4");
socket.bind(0, "127.0.0.1");
await once(socket, "listening");
const child = fork(contenderPath("datagrams_peer"), [
  what === "receive" ? "send" : "receive",
  String(socket.address().port),
  String(sizeBytes),
]);

let count = 0;
let burstPort = 0;

function sendBurst(): void {
  for (let index = 0; index < burst; index++) socket.send(payload, burstPort, "127.0.0.1");
  count += burst;
}

socket.on("message", (_message, from) => {
  if (what === "send") {
    burstPort = from.port;
    sendBurst();
    return;
  }
  if (++count % burst === 0) socket.send(answer, from.port, from.address);
});

async function measure(seconds: number): Promise<Record<string, number>> {
  const before = process.cpuUsage();
  const start = performance.now();
  // `count` goes on: set to zero within a burst, it would reach no multiple of 64 at its end, and
  // the other end would wait for its answer.
  const first = count;
  // A datagram that is lost holds up the next ones for longer than a short run lasts.
  do await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  while (count === first);
  const { user, system } = process.cpuUsage(before);
  const elapsedSeconds = (performance.now() - start) / 1000;
  const done = count - first;
  return { "CPU us/datagram": (user + system) / done, "datagrams/s": done / elapsedSeconds };
}

const firstMessage = once(socket, "message");
child.send("start");
await firstMessage;
await measure(durationSeconds / 5);
const figures = await measure(durationSeconds);
child.kill();
socket.close();
printFigures(figures);
