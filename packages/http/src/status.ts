// The first lines of answers: the status with its reason, and the date, made once a second.

import { STATUS_CODES } from "node:http";
import { faultOf } from "./parser/faults.js";

const heads: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(1000);
let second = 0;
let date = "";

/** Looks at the clock: the Date field is of this second. */
export function refreshDate(): void {
  const now = Math.floor(Date.now() / 1000);
  if (now === second) return;
  second = now;
  date = new Date(now * 1000).toUTCString();
  heads.fill(undefined);
}

/** The reason that stands behind a status. */
export function reasonOf(status: number): string {
  return STATUS_CODES[status] ?? "Unknown";
}

/** The status line and the Date field of an answer. */
export function statusHead(status: number): Uint8Array {
  const known = heads[status];
  if (known !== undefined) return known;
  if (second === 0) refreshDate();
  const text = `HTTP/1.1 ${status} ${reasonOf(status)}\r\nDate: ${date}\r\n`;
  const made = Buffer.from(text, "latin1");
  heads[status] = made;
  return made;
}

/** Its body has no bytes (RFC 9110, 15.3.6), and a client waits for what tells it so. */
export const RESET_CONTENT = 205;

/** Whether nothing is sent behind the head, whatever the request was. */
export function hasNoContent(status: number): boolean {
  return status === RESET_CONTENT || isBodiless(status);
}

/** Whether an answer of this status ends with its head, whatever the request was. */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304 || status < 200;
}

/** The whole answer to a request that was refused; the connection ends with it. */
export function refusal(fault: number): Uint8Array {
  const { status, text } = faultOf(fault);
  const fields = `Content-Type: text/plain\r\nContent-Length: ${text.length + 1}\r\n`;
  const head = Buffer.from(statusHead(status)).toString("latin1");
  return Buffer.from(`${head}${fields}Connection: close\r\n\r\n${text}\n`, "latin1");
}
