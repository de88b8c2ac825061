// The types of files, by the endings of their names.

import { lookup } from "mrmime";

const UNKNOWN_TYPE = "application/octet-stream";

/** The type by the ending of the name, with the character set that texts have. */
export function typeOf(path: string): string {
  const type = lookup(path);
  if (type === undefined) return UNKNOWN_TYPE;
  return /^text\/|[/+](?:json|javascript|xml)$/.test(type) ? `${type}; charset=utf-8` : type;
}
