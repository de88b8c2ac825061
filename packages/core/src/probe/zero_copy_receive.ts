// Receiving into memory of the program that a network device writes to: whether it is available,
// and how an IO is opened with it.

import { MAX_AREA_BYTES, MIN_AREA_BYTES } from "../engine/abi.js";
import { loadNative } from "../engine/load.js";
import type { Native, NativeArea, NativeSession } from "../engine/native.js";
import { IOError, numberError, typeError } from "../errors.js";
import { checkOptions, flag, knowsOnly, shown, wordError } from "../support/check.js";

/**
 * What `IO.open({ zeroCopyReceive })` is given.
 *
 * @category Memory
 */
export type ZeroCopyReceiveOptions = {
  /**
   * Bytes of memory for it, rounded up to 64 KiB, from 64 KiB to 1 GiB; 64 MiB by default. All of
   * it is made at once, and is locked in memory.
   */
  sizeBytes?: number | null | undefined;
  /**
   * `true`: `IO.open()` fails with "ERR_IO_ZERO_COPY_RECEIVE" where it is not available. Otherwise
   * the IO receives into memory that is lent in the ordinary way, and `io.zeroCopyReceive` says
   * why.
   */
  required?: boolean | null | undefined;
} & (
  | {
      /** The network device, by its name ("eth0"). */
      interface: string;
      /** The receive queue of the device that writes into the memory, from 0. */
      queue: number;
    }
  /** The kernel copies into the memory. The rest is the same: for tests, since Linux 7.1. */
  | {
      /**
       * The kernel copies into the memory, and the rest is the same: for tests, since Linux 7.1.
       */
      withoutDevice: true;
    }
);

/**
 * How an IO receives in `socket.chunks()`: `io.zeroCopyReceive`.
 *
 * @category Diagnostics
 */
export interface ZeroCopyReceive {
  /**
   * "native": into memory that a network device, or the kernel for it, writes to. "emulated": it
   * was asked for and is not available, so memory is lent in the ordinary way. "off": the
   * options of `IO.open()` do not ask for it.
   */
  readonly support: "native" | "emulated" | "off";
  /** One sentence that says why. */
  readonly reason: string;
  /** What to change, where something can be changed. */
  readonly advice?: string;
}

/**
 * What {@link probeZeroCopyReceive} found.
 *
 * @category Diagnostics
 */
export interface ZeroCopyReceiveProbe {
  /** With an interface: it works on that queue. Without: the kernel and the rights are there. */
  available: boolean;
  /** One sentence: what works, or the first thing that is missing. */
  reason: string;
  /** What to change, where something can be changed. */
  advice?: string;
}

const MAX_QUEUES = 65_536;
const AREA = knowsOnly(
  "zeroCopyReceive",
  ...["interface", "queue", "withoutDevice", "sizeBytes", "required"],
);

/**
 * Finds out by trying whether a queue of a network device can write what it receives into memory of
 * the program (io_uring's zcrx). Says what is missing first: the kernel, the capability
 * CAP_NET_ADMIN, the interface or its queue, the driver, header split; flow steering is reported as
 * far as the device reports it.
 *
 * Without an interface only the kernel and the rights are tried, which changes nothing. With one,
 * and when everything is there, the device restarts that queue twice, which can lose packets.
 *
 * Throws "ERR_INVALID_ARG_TYPE" or "ERR_OUT_OF_RANGE" for arguments of the wrong kind, and nothing
 * for an interface or queue that does not exist: that is an answer.
 *
 * @param networkInterface The interface's name, such as "eth0"; "" (the default) for none.
 * @param queue The number of the receive queue, from 0; 0 by default.
 * @returns whether it works, and the sentence that says why
 * @throws `ERR_INVALID_ARG_TYPE` or `ERR_OUT_OF_RANGE` for arguments of the wrong kind; an
 *   interface or queue that does not exist is an answer and no error
 * @category Diagnostics
 *
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
    const message = `networkInterface is ${shown(networkInterface)}: give a name like eth0`;
    throw wordError("probeZeroCopyReceive", networkInterface, message);
  }
  checkQueue("probeZeroCopyReceive", "queue", queue);
  const found = loadNative().probeZeroCopyReceive(networkInterface, queue);
  const { available, reason, advice } = found;
  return { available, reason, ...(advice === "" ? {} : { advice }) };
}

function checkQueue(operation: string, name: string, queue: unknown): asserts queue is number {
  if (Number.isInteger(queue) && (queue as number) >= 0 && (queue as number) < MAX_QUEUES) return;
  const message = `${name} is ${shown(queue)}: give a whole number below ${MAX_QUEUES}`;
  throw numberError(operation, queue, message);
}

const DEFAULT_SIZE_BYTES = 64 * 1024 * 1024;
// A multiple of every system's page.
const GRAIN_BYTES = 64 * 1024;

/**
 * The memory that the options ask for; undefined when they are.
 *
 * @internal
 */
export function areaFrom(
  native: Native,
  options: ZeroCopyReceiveOptions | undefined,
): NativeArea | undefined {
  if (options === undefined) return undefined;
  const [name, queue] = deviceFrom(options);
  const asked = options.sizeBytes ?? DEFAULT_SIZE_BYTES;
  if (!(Number.isInteger(asked) && asked >= MIN_AREA_BYTES && asked <= MAX_AREA_BYTES)) {
    const message =
      `zeroCopyReceive.sizeBytes is ${shown(asked)}: give ${MIN_AREA_BYTES} to ` +
      `${MAX_AREA_BYTES}`;
    throw numberError("open", asked, message);
  }
  const sizeBytes = Math.ceil(asked / GRAIN_BYTES) * GRAIN_BYTES;
  const memory = new ArrayBuffer(sizeBytes + GRAIN_BYTES);
  const past = native.addressRemainder(memory, GRAIN_BYTES);
  const start = past === 0 ? 0 : GRAIN_BYTES - past;
  return { interface: name, queue, memory, start, sizeBytes };
}

// Checks the values that a program without types may have passed.
function deviceFrom(options: ZeroCopyReceiveOptions): [name: string, queue: number] {
  const given = options as {
    interface?: unknown;
    queue?: unknown;
    withoutDevice?: unknown;
    required?: unknown;
  } | null;
  if (typeof given !== "object" || given === null) {
    throw typeError("open", "zeroCopyReceive is an object: give { interface, queue }");
  }
  checkOptions(given, AREA);
  flag(given.required, false, "zeroCopyReceive.required", "open");
  const { interface: name, queue, withoutDevice } = given;
  if (withoutDevice !== undefined) {
    if (withoutDevice === true && name === undefined && queue === undefined) return ["", 0];
    const message = "zeroCopyReceive is { interface, queue } or { withoutDevice: true }, not both";
    throw typeError("open", message);
  }
  if (typeof name !== "string" || name === "" || name.includes("\0")) {
    throw typeError("open", "zeroCopyReceive.interface is no name: give one like eth0");
  }
  checkQueue("open", "zeroCopyReceive.queue", queue);
  return [name, queue];
}

/**
 * What came of it.
 *
 * @internal
 */
export function zeroCopyReceiveOf(
  session: NativeSession,
  options: ZeroCopyReceiveOptions | undefined,
): ZeroCopyReceive {
  if (options === undefined) {
    const reason = "IO.open({ zeroCopyReceive }) did not ask for it: provided buffers are used";
    return { support: "off", reason };
  }
  const { available, reason, advice } = session.area;
  if (available) return { support: "native", reason };
  if (options.required !== true) {
    return { support: "emulated", reason, ...(advice === "" ? {} : { advice }) };
  }
  const change = advice === "" ? "" : `. To change that: ${advice}`;
  throw new IOError({
    code: "ERR_IO_ZERO_COPY_RECEIVE",
    operation: "open",
    backend: session.backend,
    message: `open: zeroCopyReceive is not available: ${reason}${change}`,
  });
}
