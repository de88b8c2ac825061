// Relative paths. A call is carried out later than it is made, by the kernel or by a thread of the
// pool, and process.chdir() in between must not send it elsewhere: so a relative path is joined to
// the working folder when the call is made. The reasons are in docs/decisions/calls-and-turns.md.

// PATH_MAX of every system that we know, with the zero byte at the end.
export const MAX_PATH_BYTES = 4096;
// The room for the path of a unix socket, less its end mark.
const MAX_SOCKET_PATH_BYTES = process.platform === "linux" ? 107 : 103;

const SLASH = 47;

// Of a folder that was removed there is no path. A relative one finds nothing there either.
function workingFolder(): string | null {
  try {
    return process.cwd();
  } catch {
    return null;
  }
}

function joinedBytes(path: Uint8Array): Uint8Array {
  if (path.byteLength === 0 || path[0] === SLASH) return path;
  const folder = workingFolder();
  if (folder === null) return path;
  const whole = Buffer.concat([Buffer.from(folder === "/" ? "/" : `${folder}/`), path]);
  return whole.byteLength > MAX_PATH_BYTES - 1 ? path : whole;
}

function joined(path: string, maxBytes: number): string {
  if (path === "" || path.charCodeAt(0) === SLASH || path.charCodeAt(0) === 0) return path;
  const folder = workingFolder();
  if (folder === null) return path;
  // Not path.resolve(): "a/../b" goes another way when "a" is a symbolic link.
  const whole = folder === "/" ? `/${path}` : `${folder}/${path}`;
  // A relative path may be short enough where the joined path is too long for the system.
  return Buffer.byteLength(whole) > maxBytes ? path : whole;
}

/** The path of a file, as it is at this moment. */
export function pathFromHere(path: string): string;
export function pathFromHere(path: string | Uint8Array): string | Uint8Array;
export function pathFromHere(path: string | Uint8Array): string | Uint8Array {
  return typeof path === "string" ? joined(path, MAX_PATH_BYTES - 1) : joinedBytes(path);
}

/** The path of a unix socket, as it is at this moment. Abstract names stay. */
export function socketPathFromHere(path: string): string {
  return joined(path, MAX_SOCKET_PATH_BYTES);
}
