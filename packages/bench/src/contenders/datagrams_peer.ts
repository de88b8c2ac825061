// The other end of the contender `datagrams`, over node:dgram.
//
// Usage: datagrams_peer <send|receive> <port> <bytes>

import dgram from "node:dgram";
import { numberArgument } from "../contender.js";

const [, , what] = process.argv;
const port = numberArgument(1);
const payload = Buffer.alloc(numberArgument(2), "d");
const burst = 64;
/** A datagram may be lost, for all that: then the next burst begins after this time. */
const patienceMs = 100;

const socket = dgram.createSocket("udp4");
let count = 0;

function go(): void {
  if (what === "send") {
    for (let index = 0; index < burst; index++) socket.send(payload, port, "127.0.0.1");
  } else {
    socket.send("go", port, "127.0.0.1");
  }
  timer.refresh();
}

const timer = setTimeout(go, patienceMs);
socket.on("message", () => {
  if (what === "send" || ++count % burst === 0) go();
});
process.on("message", go);
