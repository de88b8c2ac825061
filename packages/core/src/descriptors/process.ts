// Waiting for the end of a process.
import { constants } from "node:os";
import type { NativeSession } from "../engine/native.js";
import { IOError } from "../errors.js";
import { endingsFrom, fromHere, type OperationOptions, type Operations } from "../ring/promises.js";
import { knows, wholeNumber } from "../support/check.js";
import { BorrowedDescriptor } from "./borrowed.js";
import { callError } from "./call_error.js";

const WAIT = knows("waitProcess");
const MAX_PROCESS = 0x7fffffff;

/**
 * How a process has ended. Both are null when it was no child of this one, or when another part of
 * the program has asked the system first.
 *
 * @category Descriptors
 */
export interface ProcessEnd {
  /** The code that it has exited with; null when a signal has ended it. */
  readonly code: number | null;
  /** The number of the signal that has ended it. */
  readonly signal: number | null;
}

/** See `IO.waitProcess`. */
export async function waitProcess(
  operations: Operations,
  session: NativeSession,
  pid: number,
  options: OperationOptions | null | undefined,
): Promise<ProcessEnd> {
  wholeNumber(pid, 1, MAX_PROCESS, "pid", "waitProcess");
  endingsFrom(options, WAIT);
  operations.check("waitProcess");
  const descriptor = session.openProcess(pid);
  if (descriptor < 0) throw fromHere(openError(pid, descriptor, operations.backend));
  const borrowed = new BorrowedDescriptor(operations, session, descriptor);
  try {
    await borrowed._poll("readable", options, { call: `waitProcess of process ${pid}` });
    const end = session.processEnd(descriptor);
    if (typeof end === "number") return { code: null, signal: null };
    const [hasCode, value] = end;
    return { code: hasCode ? value : null, signal: hasCode ? null : value };
  } finally {
    await borrowed.close();
  }
}

function openError(pid: number, errno: number, backend: string): IOError {
  if (errno !== -constants.errno.ENOSYS) {
    const call = process.platform === "linux" ? "pidfd_open" : "kevent";
    return callError("waitProcess", call, errno, backend, `process ${pid}`);
  }
  return new IOError({
    code: "ENOTSUP",
    operation: "waitProcess",
    message:
      "waitProcess: this system has no descriptors of processes; Linux has them since 5.3. " +
      'Use the "exit" event of the ChildProcess',
  });
}
