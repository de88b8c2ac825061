// The kinds of the options of sockets.

import { types } from "node:util";
import type { CommonSocketOptions, SocketOptions } from "@io/core";
import { KINDS, type Kind, number, orAbsent, whole } from "./arguments_kinds.js";
import type { KeyRows } from "./arguments_table.js";

const upwards = orAbsent(whole(0, 0x7fffffff));

function name(takes: (text: string) => boolean): Kind {
  return orAbsent({
    takes: (value) => typeof value === "string" && takes(value),
    codes: (value) => [
      typeof value === "string" ? "ERR_INVALID_ARG_VALUE" : "ERR_INVALID_ARG_TYPE",
    ],
  });
}

export const COMMON_OPTIONS: KeyRows<CommonSocketOptions> = {
  receiveBufferBytes: upwards,
  sendBufferBytes: upwards,
  zeroCopyThresholdBytes: upwards,
  ipv6Only: KINDS.boolean,
  tos: orAbsent(whole(0, 255)),
  ttl: orAbsent(whole(1, 255)),
  mark: orAbsent(whole(0, 0xffffffff)),
  bindToDevice: name((text) => !text.includes("\0")),
  busyPollUs: upwards,
  incomingCpu: orAbsent(whole(-1, 0x7fffffff)),
};

export const STREAM_OPTIONS: KeyRows<SocketOptions> = {
  ...COMMON_OPTIONS,
  noDelay: KINDS.boolean,
  keepAlive: {
    takes: (value) => KINDS.boolean.takes(value) || KINDS.options.takes(value),
    codes: KINDS.options.codes,
  },
  userTimeoutMs: upwards,
  lingerMs: orAbsent({
    takes: (value) => value === false || whole(0, 0x7fffffff).takes(value),
    codes: number(() => false).codes,
  }),
  quickAck: KINDS.boolean,
  deferAcceptMs: upwards,
  fastOpen: upwards,
  fastOpenConnect: KINDS.boolean,
  congestion: name((text) => text !== "" && !text.includes("\0")),
};

/** An IP address. */
export const localAddress: Kind = name(() => false);
export const localPort: Kind = orAbsent(whole(0, 65_535));

/** A level or a name of the raw form: the system's number, or the word in its headers. */
export const rawName: Kind = {
  takes: (value) => whole(0, 0x7fffffff).takes(value),
  codes: (value) => {
    if (typeof value === "number") return ["ERR_OUT_OF_RANGE"];
    return [typeof value === "string" ? "ERR_INVALID_ARG_VALUE" : "ERR_INVALID_ARG_TYPE"];
  },
};

function isDetached(value: unknown): boolean {
  const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
  if (!types.isAnyArrayBuffer(buffer)) return false;
  try {
    return new Uint8Array(buffer).byteLength < 0;
  } catch {
    return true;
  }
}

export const rawValue: Kind = {
  takes: (value) => {
    if (typeof value === "boolean" || typeof value === "string") return true;
    if (typeof value === "number") return whole(-0x80000000, 0xffffffff).takes(value);
    const isMemory = ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value);
    return isMemory && !isDetached(value);
  },
  codes: (value) => {
    if (typeof value === "number") return ["ERR_OUT_OF_RANGE"];
    return [isDetached(value) ? "ERR_IO_BUFFER_DETACHED" : "ERR_INVALID_ARG_TYPE"];
  },
};
