// A socket of a descriptor that other code has opened: the option `fd`.

import { fstatSync } from "node:fs";
import { isatty } from "node:tty";
import { type Adopted, IOError } from "@io/core";
import { sharedIO } from "../engine/environment.js";
import { errnoOf, nodeError, notSupported, systemError } from "../errors.js";

/** What a descriptor is, in Node's words; sockets of the other kind are UDP or TCP. */
function typeOf(fd: number, otherSocket: string): string {
  try {
    const stats = fstatSync(fd);
    if (stats.isSocket()) return otherSocket;
    if (stats.isFIFO()) return "PIPE";
    if (stats.isFile()) return "FILE";
  } catch {
    return "UNKNOWN"; // there is none with this number
  }
  return isatty(fd) ? "TTY" : "UNKNOWN";
}

/**
 * Takes the descriptor over, which is closed with what this returns.
 *
 * @throws `ERR_INVALID_FD_TYPE` of what is no such socket
 */
export function socketOf<Kind extends "socket" | "datagram">(
  fd: number,
  kind: Kind,
): Adopted[Kind] {
  try {
    return sharedIO().adopt(fd, kind);
  } catch (error) {
    if (!(error instanceof IOError)) throw error;
    if (error.code === "EBADF" || error.code === "ERR_IO_DESCRIPTOR_KIND") {
      const type = typeOf(fd, kind === "socket" ? "UDP" : "TCP");
      if (type === "PIPE" && kind === "socket") {
        throw notSupported("a socket of a pipe", "it takes sockets alone");
      }
      throw nodeError(TypeError, "ERR_INVALID_FD_TYPE", `Unsupported fd type: ${type}`);
    }
    if (error.code === "ERR_IO_DESCRIPTOR_OWNED") throw error;
    throw systemError(errnoOf(error), "open");
  }
}
