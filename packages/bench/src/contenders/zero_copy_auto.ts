// The cost of "auto" beside its two ways, in one process: sends in turns with a copy, without one
// and as "auto" decides, in slices so short that the machine is the same for the three.
//
// Usage: zero_copy_auto <udp|tcp> <address> <port> <bytes> <registered|unregistered> <in flight>
//          <seconds>

import type { ZeroCopy } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";
import { summarize } from "../statistics.js";
import { Sender } from "./sender.js";

const [, , kind = "", host = ""] = process.argv;
const registered = process.argv[6] === "registered";
const durationMs = 1000 * numberArgument(6);

const modes: ZeroCopy[] = ["never", "always", "auto"];
const sliceMs = 15;

const to = { kind, host, port: numberArgument(2) };
const load = { sizeBytes: numberArgument(3), registered, inFlight: numberArgument(5) };
const sender = await Sender.open(to, load);

/** Microseconds of processor time for each send. */
function cost(mode: ZeroCopy): number {
  const before = process.cpuUsage();
  sender.runFor(mode, sliceMs);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / sender.sends;
}

// "auto" has finished learning by then: a fifth of the time is its own.
sender.runFor("auto", durationMs / 5);
const rounds = Math.max(3, Math.round(durationMs / (modes.length * sliceMs)));
const costs: Record<ZeroCopy, number[]> = { never: [], always: [], auto: [] };
for (let round = 0; round < rounds; round++) {
  for (let turn = 0; turn < modes.length; turn++) {
    const mode = modes[(round + turn) % modes.length] ?? "auto";
    costs[mode].push(cost(mode));
  }
}

// All rounds together decide which way is better. The better of two in each round would also be the
// luckier one.
const middle = (mode: ZeroCopy) => summarize(costs[mode]).median;
const better = middle("never") <= middle("always") ? costs.never : costs.always;
const ratios = costs.auto.map((auto, round) => (better[round] ?? 0) / auto);
printFigures({
  "better / auto": summarize(ratios).median,
  "us/send, never": middle("never"),
  "us/send, always": middle("always"),
  "us/send, auto": middle("auto"),
});
process.exit(0);
