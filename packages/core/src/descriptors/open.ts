// What the IO opens that is neither a file nor a socket of its own making.
import type { NativeSession } from "../engine/native.js";
import { endingsFrom, type OperationOptions, type Operations } from "../ring/promises.js";
import type { PollEvent } from "../ring/ring_poll.js";
import {
  BorrowedDescriptor,
  checkNumber,
  checkPollEvent,
  POLL,
  type PollEvents,
} from "./borrowed.js";
import { callError, givenError } from "./call_error.js";
import { Notifier } from "./notifier.js";

export function openNotifier(operations: Operations, session: NativeSession): Notifier {
  operations.check("notifier");
  const opened = session.openNotifier();
  if (typeof opened === "number") {
    throw callError("notifier", "pipe", opened, operations.backend);
  }
  return new Notifier(operations, session, ...opened);
}

export function borrow(
  operations: Operations,
  session: NativeSession,
  fd: number,
  operation = "borrow",
): BorrowedDescriptor {
  checkNumber(fd, operation);
  operations.check(operation);
  const descriptor = session.borrow(fd);
  if (descriptor < 0) throw givenError(operation, fd, "fcntl", descriptor, operations.backend);
  return new BorrowedDescriptor(operations, session, descriptor);
}

export async function pollOnce(
  operations: Operations,
  session: NativeSession,
  fd: number,
  event: PollEvent,
  options: OperationOptions | null | undefined,
): Promise<PollEvents> {
  checkNumber(fd, "poll");
  checkPollEvent(event, "poll");
  endingsFrom(options, POLL);
  const borrowed = borrow(operations, session, fd, "poll");
  try {
    return await borrowed.poll(event, options);
  } finally {
    await borrowed.close();
  }
}
