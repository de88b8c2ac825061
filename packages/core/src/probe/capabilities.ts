// The operations that each backend does natively, those that the engine emulates, and why.
import {
  FEATURE_REPORTS_COPIES,
  FEATURE_SEND_ZERO_COPY,
  FEATURE_WATCH_KQUEUE,
  FEATURE_WRITE_APPEND,
  FEATURE_WRITE_ATOMIC,
  FEATURE_WRITE_DATA_SYNC,
  FEATURE_WRITE_NO_WAIT,
  FEATURE_WRITE_UNCACHED,
  OPERATIONS,
  type OperationName,
  type OperationRow,
} from "../engine/abi.js";
import type { Native } from "../engine/native.js";
import { errnoName } from "../errors.js";

/**
 * How an operation is done: "native" by the kernel's own interface, without a thread waiting for
 * it; "emulated" by the engine around other calls; "copied" where it spares a copy elsewhere, and
 * here the bytes are copied with the same result;
 * "unsupported" not at all; "unknown" where it was not tried.
 *
 * @category Diagnostics
 */
export type Support = "native" | "emulated" | "copied" | "unsupported" | "unknown";

/**
 * How one operation is done, and the sentence that says why.
 *
 * @category Diagnostics
 */
export interface Capability {
  /** How it is done. */
  readonly support: Support;
  /** One sentence that says why. */
  readonly reason: string;
}

/**
 * What a {@link Capability} is of: an operation ("read", "acceptMultishot"), or what is added to
 * operations: "chain" (linked operations), "deadline" (`timeoutMs`), "registeredMemory"
 * (`io.buffers` that the kernel keeps mapped), "zeroCopySend" (`zeroCopy` of sends),
 * "zeroCopyReceive" (the network device writes into the program's memory, see
 * {@link probeZeroCopyReceive}), "vsock" (connections of a virtual machine and its host, which are
 * "native" where a transport is loaded, with the cids of this machine), and the flags of a write
 * ("writeDsync" and so on, see {@link WriteOptions}), which a file system may still refuse.
 *
 * @category Diagnostics
 */
export type CapabilityName =
  | OperationName
  | "chain"
  | "deadline"
  | "registeredMemory"
  | "zeroCopySend"
  | "zeroCopyReceive"
  | "vsock"
  | WriteFlagName;

/**
 * The flags of a write, as {@link CapabilityName} has them.
 *
 * @category Diagnostics
 */
export type WriteFlagName =
  | "writeDsync"
  | "writeUncached"
  | "writeAtomic"
  | "writeAppend"
  | "writeNowait";

/**
 * A {@link Capability} by name.
 *
 * @category Diagnostics
 */
export type Capabilities = Readonly<Record<CapabilityName, Capability>>;

const MADE_AT_ONCE: Capability = {
  support: "emulated",
  reason: "it never waits, so the engine makes the call at once",
};
/** An operation that the kernel's io_uring lacks. */
function byThread({ since }: OperationRow): Capability {
  const lack =
    since === "" ? "io_uring has no such operation" : `io_uring has it since Linux ${since}`;
  return { support: "emulated", reason: `${lack}: a thread of the engine makes the call` };
}
const BY_IO_URING: Capability = {
  support: "native",
  reason: "the kernel carries it out and reports its completion",
};

/** The same for epoll and kqueue, which tell what is ready and no more. */
const BY_REACTOR: Readonly<Record<OperationRow["kind"], Capability>> = {
  bookkeeping: { support: "emulated", reason: "the engine's own bookkeeping, without the kernel" },
  time: { support: "native", reason: "the wait for events ends when the next one is due" },
  file: {
    support: "emulated",
    reason:
      "a file is always ready and may wait for its disk: a thread of the engine's pool does it",
  },
  close: {
    support: "emulated",
    reason: "the engine makes the call, on a thread of its pool where it may wait for a disk",
  },
  call: MADE_AT_ONCE,
  stream: { support: "native", reason: "tried at once, and again when the socket is ready" },
  multishot: {
    support: "emulated",
    reason: "tried until nothing is left, and again when the listener is ready",
  },
};

const ADDED_BY_IO_URING = {
  chain: { support: "native", reason: "the kernel starts each when the one before has succeeded" },
  deadline: {
    support: "native",
    reason: "a timeout of the kernel that is linked to the operation",
  },
  registeredMemory: { support: "native", reason: "single reads and writes of files use it" },
};

const ADDED_BY_REACTOR = {
  chain: {
    support: "emulated",
    reason: "the engine starts each when the one before has succeeded",
  },
  deadline: { support: "emulated", reason: "a timer of the engine that cancels the operation" },
  registeredMemory: {
    support: "unsupported",
    reason: "only io_uring can keep memory mapped; it is used as any other memory",
  },
  zeroCopyReceive: {
    support: "copied",
    reason: "only io_uring lets a network device write into the memory of the program",
  },
};

const NO_SEND_FILE: Capability = {
  support: "copied",
  reason: "there is no such call: socket.sendFile() reads into io.buffers and sends that",
};

const BY_KQUEUE: Capability = {
  support: "native",
  reason: "a kqueue says which open file has changed (EVFILT_VNODE)",
};

// "auto" needs the kernel's word on what became of a send, so without it every send is plain.
function zeroCopySend(features: number): Capability {
  if ((features & FEATURE_SEND_ZERO_COPY) === 0) {
    const reason = "the bytes are copied as in any other send, which is counted as fallen back";
    return { support: "copied", reason };
  }
  const reports = (features & FEATURE_REPORTS_COPIES) !== 0;
  const reason = reports
    ? "the kernel sends from the memory itself, and reports if it copied anyway"
    : 'the kernel sends from the memory itself; copies are reported since Linux 6.2: "auto" copies';
  return { support: "native", reason };
}

const WRITE_FLAGS: readonly [name: WriteFlagName, feature: number, since: string][] = [
  ["writeDsync", FEATURE_WRITE_DATA_SYNC, "4.7"],
  ["writeUncached", FEATURE_WRITE_UNCACHED, "6.14"],
  ["writeAtomic", FEATURE_WRITE_ATOMIC, "6.11"],
  ["writeAppend", FEATURE_WRITE_APPEND, "4.16"],
  ["writeNowait", FEATURE_WRITE_NO_WAIT, "4.14"],
];

function writeFlags(features: number): Partial<Record<WriteFlagName, Capability>> {
  const rows: Partial<Record<WriteFlagName, Capability>> = {};
  for (const [name, feature, since] of WRITE_FLAGS) {
    if ((features & feature) === 0) {
      rows[name] = { support: "unsupported", reason: `Linux has it since ${since}` };
    } else {
      rows[name] = {
        support: "native",
        reason: "the kernel knows it, and the file system decides",
      };
    }
  }
  // Only Linux has such flags at all.
  if ((features & FEATURE_WRITE_DATA_SYNC) !== 0 && (features & FEATURE_WRITE_APPEND) === 0) {
    rows.writeDsync = { support: "emulated", reason: "a sync of the file follows the write" };
  }
  return rows;
}

const UNTRIED: Capability = { support: "unknown", reason: "it was not tried" };

/**
 * What the machine says of zero-copy receive, without a device that was named.
 *
 * @internal
 */
export function machineRow(native: Native): Capability {
  const { available, reason } = native.probeZeroCopyReceive("", 0);
  if (!available) return { support: "copied", reason: `the kernel copies: ${reason}` };
  return { support: "native", reason: `IO.open({ zeroCopyReceive }): ${reason}` };
}

/**
 * Which numbers the machine has for vsock: without one nothing leads to it or from it.
 *
 * @internal
 */
export function vsockRow(native: Native): Capability {
  const cids = native.vsockCids();
  if (typeof cids === "number") {
    const why = `a socket of vsock cannot be made here: ${errnoName(cids)[0]}`;
    return { support: "unsupported", reason: `${why} (Linux and macOS have vsock)` };
  }
  if (cids.length === 0) {
    const reason =
      "no transport is loaded: modprobe vmw_vsock_virtio_transport in a virtual machine, " +
      "vhost_vsock on its host, vsock_loopback for connections of one machine";
    return { support: "unsupported", reason };
  }
  const numbers = cids.length === 1 ? `the cid ${cids[0]}` : `the cids ${cids.join(" and ")}`;
  return { support: "native", reason: `this machine has ${numbers}` };
}

function onIoUring(row: OperationRow, lacks: boolean): Capability {
  if (lacks) return byThread(row);
  return row.madeByEngine ? MADE_AT_ONCE : BY_IO_URING;
}

/**
 * The table of a backend, or of none; `lacking` are the opcodes that its kernel lacks, `features`
 * what it can do beyond operations (FEATURE_*), and the others are rows that ask the machine, where
 * they are known.
 *
 * @internal
 */
export function capabilitiesOf(
  backend: string | null,
  lacking: readonly number[],
  features: number,
  zeroCopyReceive: Capability = UNTRIED,
  vsock: Capability = UNTRIED,
): Capabilities {
  const table: Partial<Record<CapabilityName, Capability>> = {};
  for (const [opcode, row] of OPERATIONS) {
    const { name } = row;
    const lacks = lacking.includes(opcode);
    if (backend === "io_uring") table[name] = onIoUring(row, lacks || row.since === "");
    else if (lacks)
      table[name] = NO_SEND_FILE; // of what a reactor may lack, the only one
    else table[name] = BY_REACTOR[row.kind];
  }
  if ((features & FEATURE_WATCH_KQUEUE) !== 0) table.watch = BY_KQUEUE;
  Object.assign(table, backend === "io_uring" ? ADDED_BY_IO_URING : ADDED_BY_REACTOR);
  Object.assign(table, writeFlags(features));
  table.zeroCopySend = zeroCopySend(features);
  if (backend === "io_uring" || zeroCopyReceive !== UNTRIED) {
    table.zeroCopyReceive = zeroCopyReceive;
  }
  table.vsock = vsock;
  const whole = table as Record<CapabilityName, Capability>;
  if (backend !== null) return whole;
  const nothing: Capability = { support: "unsupported", reason: "no backend works here" };
  for (const name of Object.keys(whole) as CapabilityName[]) whole[name] = nothing;
  return whole;
}
