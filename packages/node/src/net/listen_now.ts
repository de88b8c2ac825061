// Listens within the call, as Node does: a program may ask for the port right behind `listen()`.
// None of the calls waits, so an IO of their own carries them out one by one, and gives the
// descriptor to the IO that all share.

import { closeSync } from "node:fs";
import { constants } from "node:os";
import { type Callback, Completion, type Descriptor, IO, IOError, type Listener } from "@io/core";
import { sharedIO } from "../engine/environment.js";
import { errnoOf } from "../errors.js";

const ENTRIES = 128;
const INVALID = -constants.errno.EINVAL;

let own: IO | null = null;

function ownIO(): IO {
  own ??= IO.openSync({ mode: "detached", entries: ENTRIES });
  return own;
}

/** Where it listens, and how. */
export interface ListenRequest {
  readonly host: string;
  readonly family: "ipv4" | "ipv6";
  readonly port: number;
  readonly backlog: number;
  readonly ipv6Only: boolean;
}

/** What the operation has completed with. */
function now(begin: (completion: Completion, callback: Callback) => void): number {
  let result = 0;
  begin(new Completion(), (_completion, given) => {
    result = given;
  });
  ownIO().run();
  return result;
}

/** Lets a socket of the own IO listen; of the system's number its caller is the owner again. */
function listenWith(descriptor: Descriptor, backlog: number): [result: number, number: number] {
  const { ring } = ownIO();
  const result = now((completion, done) => ring.listen(completion, done, descriptor, backlog));
  return [result, now((completion, done) => ring.detach(completion, done, descriptor))];
}

/** Of an error of the shared IO, too, the system's negative number. */
function adopt(number: number): Listener | number {
  try {
    return sharedIO().adopt(number, "listener");
  } catch (error) {
    const isNone = error instanceof IOError && error.code === "EBADF";
    if (isNone || (error as IOError).code?.startsWith("ERR_IO_DESCRIPTOR")) return INVALID;
    return errnoOf(error);
  }
}

/**
 * Listens on an address.
 *
 * @returns the listener, or the system's negative error number
 */
export function listenNow(request: ListenRequest): Listener | number {
  const { host, family, port, backlog, ipv6Only } = request;
  const { ring } = ownIO();
  const descriptor = now((completion, done) => ring.socket(completion, done, family));
  if (descriptor < 0) return descriptor;
  ring.setOption(descriptor, "SOL_SOCKET", "SO_REUSEADDR", 1);
  if (family === "ipv6") {
    ring.setOption(descriptor, "IPPROTO_IPV6", "IPV6_V6ONLY", ipv6Only ? 1 : 0);
  }
  const address = { family, host, port };
  const bound = now((completion, done) => ring.bind(completion, done, descriptor, address));
  if (bound < 0) {
    now((completion, done) => ring.close(completion, done, descriptor));
    return bound;
  }
  const [result, number] = listenWith(descriptor, backlog);
  const listener = result < 0 ? result : adopt(number);
  if (typeof listener === "number") closeSync(number);
  return listener;
}

/**
 * Listens on a socket that other code has opened and bound, which belongs to the listener from then
 * on. When it fails, it stays the caller's.
 *
 * @returns the listener, or the system's negative error number; EINVAL of what is no socket
 */
export function listenOn(number: number, backlog: number): Listener | number {
  const listener = adopt(number);
  if (listener !== INVALID) return listener;
  let descriptor: Descriptor;
  try {
    ({ descriptor } = ownIO().adopt(number, "socket"));
  } catch (error) {
    if (error instanceof IOError) return INVALID;
    throw error;
  }
  const [result, same] = listenWith(descriptor, backlog);
  return result < 0 ? result : adopt(same);
}
