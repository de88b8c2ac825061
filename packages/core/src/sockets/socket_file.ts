// The file that the bind of a unix socket makes.
import { chmodSync } from "node:fs";
import { type Address, socketPath } from "../address.js";
import type { Moment } from "../engine/mask.js";
import type { NativeSession } from "../engine/native.js";
import { pathFromHere } from "../files/paths.js";
import type { Descriptor } from "../ring/types.js";

const ALL = 0o777;

/**
 * After a bind: the file goes with its socket. It has the mask of the moment at which the call was
 * made; nobody can have connected yet.
 */
export function ownFile(
  session: NativeSession,
  descriptor: Descriptor,
  address: Address,
  { mask }: Moment,
): void {
  if (address.family !== "unix") return;
  const path = socketPath(address.path, "bind");
  if (path.startsWith("\0")) return;
  // If other code has removed the file meanwhile, nothing is left to remove or change.
  if (session.ownFile(descriptor, pathFromHere(path)) < 0 || mask === undefined) return;
  chmodSync(path, ALL & ~mask);
}
