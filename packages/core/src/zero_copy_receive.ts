// Whether a network device can write what it receives into the memory of the program.
import { rangeError, typeError } from "./errors.js";
import { loadNative } from "./internal/load.js";

/** What {@link probeZeroCopyReceive} found. */
export interface ZeroCopyReceiveProbe {
  /** With an interface: it works on that queue. Without: the kernel and the rights are there. */
  available: boolean;
  /** One sentence: what works, or the first thing that is missing. */
  reason: string;
  /** What to change, where something can be changed. */
  advice?: string;
}

const QUEUES_MOST = 65_536;

/**
 * Finds out by trying whether a queue of a network device can write what it receives into memory of
 * the program (io_uring's zcrx). Says what is missing first: the kernel, the capability
 * CAP_NET_ADMIN, the interface or its queue, the driver, header split; flow steering is told as far
 * as the device tells.
 *
 * Without an interface only the kernel and the rights are tried, which changes nothing. With one,
 * and when everything is there, the device restarts that queue twice, which can lose packets.
 *
 * Throws "ERR_INVALID_ARG_TYPE" or "ERR_OUT_OF_RANGE" for arguments of the wrong kind, and nothing
 * for an interface or queue that does not exist: that is an answer.
 *
 * @param networkInterface its name ("eth0"); "" for none
 * @param queue the number of the receive queue, from 0
 * @example
 * ```ts
 * import { probeZeroCopyReceive } from "@io/core";
 *
 * const { available, reason, advice } = probeZeroCopyReceive("eth0", 1);
 * process.stdout.write(`${available ? "yes" : "no"}: ${reason}\n${advice ?? ""}\n`);
 * ```
 */
export function probeZeroCopyReceive(networkInterface = "", queue = 0): ZeroCopyReceiveProbe {
  if (typeof networkInterface !== "string" || networkInterface.includes("\0")) {
    throw typeError("probeZeroCopyReceive", "networkInterface is no name: give one like eth0");
  }
  if (!(Number.isInteger(queue) && queue >= 0 && queue < QUEUES_MOST)) {
    const message = `queue is ${String(queue)}: give a whole number below ${QUEUES_MOST}`;
    throw rangeError("probeZeroCopyReceive", message);
  }
  const found = loadNative().probeZeroCopyReceive(networkInterface, queue);
  const { available, reason, advice } = found;
  return { available, reason, ...(advice === "" ? {} : { advice }) };
}
