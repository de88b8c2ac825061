// mkdir with all directories on the way, in the order and with the errors of Node's.

import { constants } from "node:os";
import type { CheckedPath } from "./arguments.js";
import { fileError } from "./errors.js";
import { statPath, tryMakeDirectory } from "./paths.js";

const { EEXIST, ENOENT, ENOTDIR } = constants.errno;

/** All but the last name; the path itself where there is no other. */
function parentOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end === -1 ? path : path.slice(0, end);
}

/** What is the matter with a name that is there: 0 when it is a directory. */
async function faultOf(path: CheckedPath, isOnTheWay: boolean): Promise<number> {
  try {
    if ((await statPath(path, true)).isDirectory()) return 0;
  } catch (error) {
    const { errno = -ENOENT } = error as NodeJS.ErrnoException;
    return isOnTheWay ? -ENOTDIR : errno;
  }
  return isOnTheWay ? -ENOTDIR : -EEXIST;
}

/** Makes what is missing; gives the first directory that was made. */
export async function makeDirectories(
  given: CheckedPath,
  mode: number,
): Promise<string | undefined> {
  const path = typeof given === "string" ? given : Buffer.from(given).toString("latin1");
  const system = (name: string): CheckedPath =>
    typeof given === "string" ? name : Buffer.from(name, "latin1");
  const waiting = [path];
  let first: string | undefined;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const result = await tryMakeDirectory(system(next), mode);
    if (result === 0) {
      first ??= next;
      continue;
    }
    const parent = parentOf(next);
    if (result === -ENOENT && parent !== next && parent !== "") {
      waiting.push(next, parent);
      continue;
    }
    const fault = result === -EEXIST ? await faultOf(system(next), waiting.length > 0) : result;
    if (fault !== 0) throw fileError(fault, { syscall: "mkdir", path: system(next) });
  }
  if (first === undefined) return undefined;
  return typeof given === "string" ? first : Buffer.from(first, "latin1").toString();
}
