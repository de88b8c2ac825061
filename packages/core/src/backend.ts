// Which backend there is, which is chosen, and why.
import { release } from "node:os";
import { IOError } from "./errors.js";
import {
  CHAIN_LIMIT,
  ENTRIES_MOST,
  IN_FLIGHT_LIMIT_MOST,
  OPERATION_NAMES,
  VECTOR_LIMIT,
} from "./internal/abi.js";
import { loadNative } from "./internal/load.js";

/** The names of the backends. */
export type BackendName = "io_uring" | "epoll" | "kqueue" | "sim";

/** A backend that could be chosen, and the sentence that says why or why not. */
export interface Candidate {
  name: string;
  available: boolean;
  reason: string;
}

/** How an operation is done: by the kernel asynchronously, or by the engine around other calls. */
export type Capability = "native" | "emulated" | "unsupported";

/** What {@link probe} found. */
export interface Probe {
  /** The backend that "auto" takes, or null when there is none. */
  chosen: string | null;
  /** In order of preference. */
  candidates: Candidate[];
  kernel: string;
  limits: { entriesMost: number; inFlightMost: number; vectorsMost: number; chainMost: number };
  /** Per operation. */
  capabilities: Record<string, Capability>;
}

// Calls that never wait: the engine makes them at once.
const MADE_AT_ONCE = new Set(["bind", "listen"]);

/**
 * What this machine offers: every backend is really tried, in order of preference.
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
  const candidates = loadNative()
    .probe()
    .map(({ name, available, reason }) => ({ name, available, reason }));
  const chosen = candidates.find((candidate) => candidate.available)?.name ?? null;
  const capabilities: Record<string, Capability> = {};
  for (const [name] of OPERATION_NAMES.values()) {
    if (chosen === null) capabilities[name] = "unsupported";
    else capabilities[name] = MADE_AT_ONCE.has(name) ? "emulated" : "native";
  }
  return {
    chosen,
    candidates,
    kernel: release(),
    limits: {
      entriesMost: ENTRIES_MOST,
      inFlightMost: IN_FLIGHT_LIMIT_MOST,
      vectorsMost: VECTOR_LIMIT,
      chainMost: CHAIN_LIMIT,
    },
    capabilities,
  };
}

const NAMES: readonly string[] = ["auto", "io_uring", "epoll", "kqueue", "sim"];

/** The backend to ask for, and who asked: IO_BACKEND overrides the option. */
export function requestedBackend(option: string): [name: string, how: string] {
  const fromEnvironment = process.env["IO_BACKEND"];
  const overridden = fromEnvironment !== undefined && fromEnvironment !== "";
  const name = overridden ? fromEnvironment : option;
  if (!NAMES.includes(name)) {
    const source = overridden ? "the environment variable IO_BACKEND" : "the option backend";
    throw new IOError({
      code: "ERR_IO_BACKEND_UNKNOWN",
      operation: "open",
      message: `open: ${source} names "${name}", which is none of ${NAMES.join(", ")}`,
    });
  }
  if (overridden) return [name, "named by IO_BACKEND"];
  return [
    name,
    name === "auto" ? "the first of the candidates that works" : "named by the program",
  ];
}
