// A target that receives nothing and copies nothing: a network namespace with an `ifb` device,
// which drops every packet. The datagrams have left the socket by then, in the same way as to a
// network device that can gather, so the kernel reports the truth about copies. On loopback it
// copies always.
//
// Each measured program has a namespace of its own, made by the command that starts it. The
// namespace ends with the program, however that ends, so nothing has to be removed.

import { execFileSync } from "node:child_process";
import { findProgram } from "./processes.js";

/**
 * The address to send to. No host has it, and a neighbour that is set spares the question who it
 * is.
 */
export const sinkAddress = "10.77.0.2";

// The largest datagram goes as one packet. There is no queue before the device: its cost would be
// the same for every contender, and it is not the subject here.
const setUp = [
  "ip link add sink0 type ifb",
  "ip address add 10.77.0.1/24 dev sink0",
  "ip link set sink0 mtu 65535 up",
  `ip neighbour add ${sinkAddress} lladdr 02:00:00:00:00:02 dev sink0 nud permanent`,
  "tc qdisc replace dev sink0 root noqueue",
].join(" && ");

/** Who may not make a namespace may perhaps make a user namespace, where he may. */
function unshare(): string[] {
  return process.getuid?.() === 0 ? ["unshare", "-n"] : ["unshare", "-rn"];
}

/** The command, in a namespace with the sink. */
export function besideSink(command: readonly string[]): string[] {
  return [...unshare(), "sh", "-c", `${setUp} && exec "$0" "$@"`, ...command];
}

/** Why there can be no sink here, or undefined. */
export function whyNoSink(): string | undefined {
  if (process.platform !== "linux") return "network namespaces are only on Linux";
  for (const name of ["unshare", "ip", "tc"]) {
    if (!findProgram(name)) return `there is no program "${name}" (util-linux, iproute2)`;
  }
  const [program = "", ...rest] = besideSink(["true"]);
  try {
    execFileSync(program, rest, { stdio: "pipe" });
    return undefined;
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer };
    const words = String(stderr ?? error).trim();
    return `a network namespace with an ifb device cannot be made here (root?): ${words}`;
  }
}
