// Sends with @io/core by the verbs of the ring, again and again, to an address that is given:
// plainly or without a copy, from memory that is registered with the kernel or from any other.
//
// Usage: zero_copy_ours <udp|tcp> <address> <port> <bytes> <never|always|auto>
//          <registered|unregistered> <in flight> <seconds>

import type { ZeroCopy } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";
import { Sender } from "./sender.js";

const [, , kind = "", host = ""] = process.argv;
const mode = process.argv[6] as ZeroCopy;
const registered = process.argv[7] === "registered";
const durationMs = 1000 * numberArgument(7);

const to = { kind, host, port: numberArgument(2) };
const load = { sizeBytes: numberArgument(3), registered, inFlight: numberArgument(6) };
const sender = await Sender.open(to, load);
sender.runFor(mode, durationMs / 5);
const before = sender.socket.stats();
const usedBefore = process.cpuUsage();
const startMs = performance.now();
sender.runFor(mode, durationMs);
const elapsedSeconds = (performance.now() - startMs) / 1000;
const used = process.cpuUsage(usedBefore);
const after = sender.socket.stats();
const spared = after.zeroCopySends - before.zeroCopySends;
const usedSeconds = (used.user + used.system) / 1e6;
const { sends, bytes } = sender;
printFigures({
  "sends/CPU second": sends / usedSeconds,
  "sends/s": sends / elapsedSeconds,
  "MB/s": bytes / 1e6 / elapsedSeconds,
  "CPU seconds/GB": usedSeconds / (bytes / 1e9),
  "share without a copy": (spared - (after.zeroCopyCopied - before.zeroCopyCopied)) / sends,
});
process.exit(0);
