// The forms of a request's target, and of the host that it is sent to (RFC 9112, 3.2).

import { CLASSES, HOST } from "./tables.js";

const PORT = /:[0-9]{1,5}$/;
const ABSOLUTE = /^https?:\/\/([^/?]+)(?:[/?]|$)/i;

/** Whether it may be the value of a Host field: a host with or without a port, or nothing. */
export function isHost(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f || (CLASSES[code]! & HOST) === 0) return false;
  }
  return true;
}

/** Whether it names a host and a port, as CONNECT needs them. */
export function isHostWithPort(text: string): boolean {
  return PORT.test(text) && text.length > 1 && isHost(text) && text.charCodeAt(0) !== 0x3a;
}

/** Whether it is a URL of HTTP, with a host and without a name of a user. */
export function isAbsolute(text: string): boolean {
  const host = ABSOLUTE.exec(text)?.[1];
  return host !== undefined && isHost(host);
}

/** The path of a target, without its query. */
export function pathOf(target: string): string {
  const end = target.indexOf("?");
  const path = end === -1 ? target : target.slice(0, end);
  if (path.charCodeAt(0) === 0x2f || !isAbsolute(path)) return path;
  const start = path.indexOf("/", path.indexOf("://") + 3);
  return start === -1 ? "/" : path.slice(start);
}
