// The arguments of datagram sockets, checked as `node:dgram` checks them.

import { argumentTypeError, badPort, nodeError } from "../errors.js";

const MEMORY = ["Buffer", "TypedArray", "DataView", "string"];

export function badType(): NodeJS.ErrnoException {
  const message = "Bad socket type specified. Valid types are: udp4, udp6";
  return nodeError(TypeError, "ERR_SOCKET_BAD_TYPE", message);
}

export function alreadyBound(): NodeJS.ErrnoException {
  return nodeError(Error, "ERR_SOCKET_ALREADY_BOUND", "Socket is already bound");
}

export function notRunning(): NodeJS.ErrnoException {
  return nodeError(Error, "ERR_SOCKET_DGRAM_NOT_RUNNING", "Not running");
}

export function alreadyConnected(): NodeJS.ErrnoException {
  return nodeError(Error, "ERR_SOCKET_DGRAM_IS_CONNECTED", "Already connected");
}

export function notConnected(): NodeJS.ErrnoException {
  return nodeError(Error, "ERR_SOCKET_DGRAM_NOT_CONNECTED", "Not connected");
}

/** The port of a receiver: a number, or its digits. */
export function portFrom(port: unknown): number {
  const isText = typeof port === "string" && port.trim() !== "";
  const number = typeof port === "number" || isText ? Number(port) : Number.NaN;
  if (Number.isInteger(number) && number > 0 && number <= 65_535) return number;
  throw badPort("Port", port, false);
}

function outOfBounds(name: string): NodeJS.ErrnoException {
  const message = `"${name}" is outside of buffer bounds`;
  return nodeError(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", message);
}

function bytesOf(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
}

function bytesFrom(given: unknown, name: string, whole: unknown): Buffer {
  if (typeof given === "string") return Buffer.from(given);
  if (ArrayBuffer.isView(given)) return bytesOf(given);
  throw argumentTypeError(name, MEMORY, whole);
}

/** A part of the bytes, for a send with an offset and a length. */
export function partOf(given: unknown, offset: unknown, length: unknown): Buffer {
  const bytes = bytesFrom(given, "buffer", given);
  const start = (offset as number) >>> 0;
  const count = (length as number) >>> 0;
  if (start > bytes.byteLength) throw outOfBounds("offset");
  if (start + count > bytes.byteLength) throw outOfBounds("length");
  return bytes.subarray(start, start + count);
}

/** What a datagram is made of: one buffer, or several. */
export function messageFrom(given: unknown): Buffer[] {
  if (!Array.isArray(given)) return [bytesFrom(given, "buffer", given)];
  const list = given.map((one) => bytesFrom(one, "buffer list arguments", given));
  return list.length === 0 ? [Buffer.alloc(0)] : list;
}
