// Parts of a file: what a Range field asks for, and which conditions of a request hold (RFC 9110,
// 13 and 14).

/** From a first byte up to and with a last one. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

// More are no use of a client's, and each costs a header.
const MAX_RANGES = 16;

/**
 * What the field asks for of so many bytes: null when it says nothing that counts or asks for more
 * than all of them, an empty list when nothing of it is there.
 */
export function rangesOf(field: string | undefined, sizeBytes: number): Range[] | null {
  if (field === undefined) return null;
  const given = /^bytes=([0-9,\s-]+)$/i.exec(field)?.[1];
  if (given === undefined) return null;
  const parts = given.split(",").map((part) => part.trim());
  if (parts.length > MAX_RANGES) return null;
  const ranges: Range[] = [];
  let total = 0;
  for (const part of parts) {
    const found = /^([0-9]*)-([0-9]*)$/.exec(part);
    if (found === null || part === "-") return null;
    const [, from = "", to = ""] = found;
    const first = from === "" ? Math.max(0, sizeBytes - Number(to)) : Number(from);
    const last = from === "" || to === "" ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1);
    if (from !== "" && to !== "" && Number(to) < Number(from)) return null;
    if (first >= sizeBytes || first > last) continue;
    ranges.push({ first, last });
    total += last + 1 - first;
  }
  // Parts that overlap so much would make a small request a very large answer.
  return total > sizeBytes ? null : ranges;
}

/** What a client may know of a file. */
export interface Version {
  readonly etag: string;
  readonly modifiedMs: number;
}

/** The strong one of a file. */
export function etagOf(sizeBytes: number, modifiedMs: number): string {
  return `"${sizeBytes.toString(16)}-${Math.round(modifiedMs * 1000).toString(16)}"`;
}

/** The value of Content-Range. */
export function rangeText({ first, last }: Range, sizeBytes: number): string {
  return `bytes ${first}-${last}/${sizeBytes}`;
}

function isWeak(etag: string): boolean {
  return etag.startsWith("W/");
}

function opaque(etag: string): string {
  return isWeak(etag) ? etag.slice(2) : etag;
}

function lists(field: string, etag: string, strongly: boolean): boolean {
  if (field.trim() === "*") return true;
  const tags = field.match(/(?:W\/)?"[^"]*"/g) ?? [];
  return tags.some((tag) =>
    strongly ? tag === etag && !isWeak(tag) : opaque(tag) === opaque(etag),
  );
}

// Dates of HTTP have whole seconds.
function seconds(timeMs: number): number {
  return Math.floor(timeMs / 1000);
}

function dateIn(field: string | undefined): number | null {
  const time = field === undefined ? Number.NaN : Date.parse(field);
  return Number.isNaN(time) ? null : seconds(time);
}

/** The status that the conditions of a GET or HEAD lead to: 200, 304 or 412. */
export function statusFor(
  field: (name: string) => string | undefined,
  { etag, modifiedMs }: Version,
): 200 | 304 | 412 {
  const ifMatch = field("if-match");
  const unmodifiedSince = dateIn(field("if-unmodified-since"));
  if (ifMatch !== undefined) {
    if (!lists(ifMatch, etag, true)) return 412;
  } else if (unmodifiedSince !== null && seconds(modifiedMs) > unmodifiedSince) return 412;
  const ifNoneMatch = field("if-none-match");
  const modifiedSince = dateIn(field("if-modified-since"));
  if (ifNoneMatch !== undefined) return lists(ifNoneMatch, etag, false) ? 304 : 200;
  return modifiedSince !== null && seconds(modifiedMs) <= modifiedSince ? 304 : 200;
}

/** Whether a part may be sent: If-Range names this version, or is not there. */
export function isSameVersion(field: string | undefined, { etag, modifiedMs }: Version): boolean {
  if (field === undefined) return true;
  if (field.startsWith('"') || isWeak(field)) return field === etag && !isWeak(field);
  return dateIn(field) === seconds(modifiedMs);
}
