// Where relative paths begin: the process's directory, or an open one.
import type { About, OperationOptions, Operations, Pending } from "../ring/promises.js";
import type { Ring } from "../ring/ring.js";
import { NO_DIRECTORY } from "../ring/ring_paths.js";
import type { Descriptor } from "../ring/types.js";
import { type Known, pathText } from "../support/check.js";

/** Where relative paths begin, and what they are resolved under. */
export interface PathBase {
  readonly operations: Operations;
  /** The directory's descriptor, or NO_DIRECTORY. */
  readonly at: Descriptor;
  /** RESOLVE_*, or-ed. */
  readonly rules: number;
  /** The directory's path, for errors; "" where it is the process's. */
  readonly path: string;
  /** Throws when the directory is closed. */
  check(operation: string): void;
}

/** The directory of the process. */
export function workingBase(operations: Operations): PathBase {
  return { operations, at: NO_DIRECTORY, rules: 0, path: "", check: () => undefined };
}

/** A path as errors show it. */
export function nameIn(base: PathBase, path: string | Uint8Array): string {
  const text = pathText(path);
  return base.path === "" || text.startsWith("/") ? text : joined(base.path, text);
}

/** A name behind the path of its directory, with one slash between them. */
export function joined(folder: string, name: string): string {
  return folder.endsWith("/") ? folder + name : `${folder}/${name}`;
}

/** Runs one verb on a path of a base. */
export function runOnPath(
  base: PathBase,
  known: Known,
  options: OperationOptions | null | undefined,
  about: About,
  start: (ring: Ring, pending: Pending, settle: Operations["settle"]) => void,
): Promise<number> {
  const { operations, rules } = base;
  return operations.run(
    (pending, settle) => {
      base.check(known.operation);
      start(operations.ring, pending, settle);
    },
    options,
    rules === 0 ? about : { ...about, rules: rules | (about.rules ?? 0) },
    known,
  );
}
