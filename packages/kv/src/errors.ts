/**
 * The errors this server names itself. Each says what failed, with which values, why, and what to
 * do about it; `code` is for programs.
 */

export type KvErrorCode =
  | "ERR_KV_ARGUMENT"
  | "ERR_KV_CLOSED"
  | "ERR_KV_LOCKED"
  | "ERR_KV_LOG_HEADER"
  | "ERR_KV_LOG_READ"
  | "ERR_KV_MEMORY"
  | "ERR_KV_NO_ROOM"
  | "ERR_KV_READ_ONLY"
  | "ERR_KV_WRITE";

export class KvError extends Error {
  readonly code: KvErrorCode;

  constructor(code: KvErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "KvError";
    this.code = code;
  }
}

/** The `code` of any error Node or @io/core throws, or an empty string. */
export function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return String(error.code);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What the usual failures of a disk mean, in words a reply can carry. */
export function describeFailure(error: unknown): string {
  const code = codeOf(error);
  switch (code) {
    case "ENOSPC":
      return "no space left on device (ENOSPC)";
    case "EDQUOT":
      return "disk quota exceeded (EDQUOT)";
    case "EFBIG":
      return "file size limit reached (EFBIG)";
    case "EIO":
      return "the device reports an I/O error (EIO)";
    case "EROFS":
      return "the file system is read-only (EROFS)";
    default:
      return code === "" ? messageOf(error) : `${messageOf(error)} (${code})`;
  }
}

/** Failures that pass when space is returned, as opposed to those that say the disk is broken. */
export function isNoRoom(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG";
}
