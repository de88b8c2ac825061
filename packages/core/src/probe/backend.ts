// The backends of this machine, the one that is chosen, and why.
import { release } from "node:os";
import { CHAIN_LIMIT, MAX_ENTRIES, MAX_IN_FLIGHT_LIMIT, VECTOR_LIMIT } from "../engine/abi.js";
import { loadNative } from "../engine/load.js";
import type { Native, NativeCandidate, NativeSession } from "../engine/native.js";
import { errnoName, IOError, typeError } from "../errors.js";
import { shown } from "../support/check.js";
import { type Capabilities, capabilitiesOf, machineRow, vsockRow } from "./capabilities.js";

/**
 * The names of the backends.
 *
 * @category Diagnostics
 */
export type BackendName = "io_uring" | "epoll" | "kqueue";

/**
 * A backend that could be chosen, and the sentence that says why or why not.
 *
 * @category Diagnostics
 */
export interface Candidate {
  /** The backend's name, or that of one which this build lacks. */
  name: string;
  /** Whether it opens by its name. "auto" passes it over anyway on some kernels. */
  available: boolean;
  /** One sentence: what was tried, and what came of it. */
  reason: string;
  /** What to change to have it, where something can be changed. */
  advice?: string;
}

/**
 * Limits of the library and of the process; null where there is none.
 *
 * @category Diagnostics
 */
export interface Limits {
  /** What `IOOptions.entries` may be at most. */
  maxEntries: number;
  /** What `IOOptions.inFlightLimit` may be at most. */
  maxInFlight: number;
  /** Buffers of one vectored operation. */
  maxVectors: number;
  /** Operations of one chain. */
  maxChain: number;
  /** RLIMIT_MEMLOCK: memory that the process may keep mapped (`ulimit -l`). */
  lockedMemoryBytes: number | null;
  /** RLIMIT_NOFILE: descriptors that the process may have open (`ulimit -n`). */
  descriptors: number | null;
}

/**
 * What {@link probe} found.
 *
 * @category Diagnostics
 */
export interface Probe {
  /** The backend that `IO.open()` takes here and now, or null when it would fail. */
  chosen: string | null;
  /** One sentence: how that one is chosen, or why there is none. */
  why: string;
  /** In order of preference. */
  candidates: Candidate[];
  /** The release of the kernel: "6.18.44". */
  kernel: string;
  /** Limits of the library and of this process. */
  limits: Limits;
  /** Per operation, on the backend that is chosen. */
  capabilities: Capabilities;
}

/**
 * What this machine offers: every backend is really tried, in order of preference. Respects the
 * environment variable IO_BACKEND as `IO.open()` does, and throws only when the engine is not there
 * or cannot be loaded.
 *
 * @returns the backend that `IO.open()` takes, every candidate with its reason, and the limits
 * @throws `ERR_IO_ENGINE_MISSING`, `ERR_IO_ENGINE_BROKEN` or `ERR_IO_ENGINE_VERSION` when the
 *   compiled engine cannot be loaded
 * @category Diagnostics
 *
 * @example
 * ```ts
 * import { probe } from "@io/core";
 *
 * for (const { name, available, reason } of probe().candidates) {
 *   process.stdout.write(`${name}: ${available ? "yes" : "no"}, ${reason}\n`);
 * }
 * ```
 */
export function probe(): Probe {
  const native = loadNative();
  const found = native.probe(process.env["IO_TASKRUN"]);
  const { row, why } = choose(found);
  return {
    chosen: row?.name ?? null,
    why,
    candidates: found.map(candidateFrom),
    kernel: release(),
    limits: limitsOf(native),
    capabilities: capabilitiesOf(
      row?.name ?? null,
      row?.lacking ?? [],
      row?.features ?? 0,
      row?.name === "io_uring" ? machineRow(native) : undefined,
      vsockRow(native),
    ),
  };
}

function candidateFrom({ name, available, reason, advice }: NativeCandidate): Candidate {
  return { name, available, reason, ...(advice === "" ? {} : { advice }) };
}

/** Infinity is no limit, and -1 that nobody knows one; neither is a number in JSON. */
function limitFrom(value: number): number | null {
  return Number.isFinite(value) && value >= 0 ? value : null;
}

function limitsOf(native: Native): Limits {
  const { lockedMemoryBytes, descriptors } = native.processLimits();
  return {
    maxEntries: MAX_ENTRIES,
    maxInFlight: MAX_IN_FLIGHT_LIMIT,
    maxVectors: VECTOR_LIMIT,
    maxChain: CHAIN_LIMIT,
    lockedMemoryBytes: limitFrom(lockedMemoryBytes),
    descriptors: limitFrom(descriptors),
  };
}

interface Choice {
  readonly row: NativeCandidate | null;
  readonly why: string;
}

/** What opening with "auto" would do, by the rules of native/backend/candidates.cc. */
function choose(found: readonly NativeCandidate[]): Choice {
  let request: Request;
  try {
    request = requestedBackend("auto");
    requestedTaskrun();
  } catch (error) {
    return { row: null, why: (error as IOError).message };
  }
  const { name, how } = request;
  if (name !== "auto") {
    const row = found.find((candidate) => candidate.name === name);
    if (row?.available === true) return { row, why: `${name}, ${how}` };
    const reason = row?.reason ?? "there is no backend of this name";
    return { row: null, why: `${name}, ${how}, is not available: ${reason}` };
  }
  for (const row of found) {
    if (row.automatic) return { row, why: `${row.name}, ${how}` };
    if (row.endsSearch) return { row: null, why: `${row.name}: ${row.reason}` };
  }
  return { row: null, why: "none of the candidates works" };
}

const NAMES: readonly string[] = ["auto", "io_uring", "epoll", "kqueue"];

/** The backend to ask for, and who asked. */
export interface Request {
  readonly name: string;
  readonly how: string;
}

/**
 * IO_BACKEND overrides the option; an empty one is none.
 *
 * @internal
 */
export function requestedBackend(option: string): Request {
  const fromEnvironment = process.env["IO_BACKEND"];
  const overridden = fromEnvironment !== undefined && fromEnvironment !== "";
  const name = overridden ? fromEnvironment : option;
  if (typeof name !== "string") {
    throw typeError("open", `backend is ${shown(name)}: give one of ${NAMES.join(", ")}`);
  }
  if (!NAMES.includes(name)) {
    const source = overridden ? "the environment variable IO_BACKEND" : "the option backend";
    const given = JSON.stringify(name);
    throw new IOError({
      code: "ERR_IO_BACKEND_UNKNOWN",
      operation: "open",
      message: `open: ${source} names ${given}, which is none of ${NAMES.join(", ")}`,
    });
  }
  const automatic = name === "auto";
  if (overridden && !automatic) return { name, how: "named by IO_BACKEND" };
  return {
    name,
    how: automatic ? "the first of the candidates that works" : "named by the program",
  };
}

/**
 * IO_TASKRUN decides about the rings of attached mode in the place of the engine's measurement, so
 * that both kinds can be tried on one kernel; an empty one is none.
 *
 * @internal
 */
export function requestedTaskrun(): "defer" | "coop" | undefined {
  const named = process.env["IO_TASKRUN"] ?? "";
  if (named === "") return undefined;
  if (named === "defer" || named === "coop") return named;
  throw new IOError({
    code: "ERR_INVALID_ARG_VALUE",
    operation: "open",
    message: `open: the environment variable IO_TASKRUN is "${named}", not "defer" or "coop"`,
  });
}

/**
 * Why there is no engine behind a session.
 *
 * @internal
 */
export function backendError({ name, how }: Request, session: NativeSession): IOError {
  const [code] = errnoName(-session.failure);
  const exhausted = code === "ENOMEM" || code === "EMFILE" || code === "ENFILE";
  const asked =
    name === "auto" ? "no backend is available" : `the backend "${name}", ${how}, is not available`;
  const advice = session.advice === "" ? "" : `. To change that: ${session.advice}`;
  return new IOError({
    code: exhausted ? code : "ERR_IO_BACKEND_UNAVAILABLE",
    errno: -session.failure,
    operation: "open",
    backend: name,
    message: `open: ${asked}: ${session.reason}${advice}`,
  });
}
