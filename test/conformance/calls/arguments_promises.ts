// The public calls that give promises, and those that throw, with what each argument takes.

import { IO, SocketAddress } from "@io/core";
import {
  type Argument,
  argument,
  type Call,
  KINDS,
  type Scene,
  type Takes,
} from "./arguments_kinds.js";

const view = argument(() => new Uint8Array(8), "bytes");
const data = argument(() => new Uint8Array(8), "data");
const views = argument(() => [new Uint8Array(8)], "nothing");
const position = argument(() => 0, "position");
const positionOrOptions = argument(() => 0, "positionOrOptions");
const place = argument(() => 0, "place");
const placeOnly = { ...place, good: () => ({ position: 0 }) };
const options = argument(() => undefined, "options");
const required = argument(() => ({}), "nothing");

const ENDINGS = { signal: KINDS.signal, timeoutMs: KINDS.timeoutMs };
const SENDING = { ...ENDINGS, zeroCopy: KINDS.absent };

function path(good: () => string): Argument {
  return argument(good, "path");
}

function pathsOf({ io, path: named }: Scene): Call[] {
  const flags = ["read", "write", "append", "create", "exclusive", "truncate", "direct"];
  const flagOptions = Object.fromEntries(
    [...flags, "directory", "followLinks"].map((name) => [name, KINDS.boolean]),
  );
  const none = path(() => named("none"));
  return [
    {
      name: "openFile",
      make: (given) => io.openFile(...(given as Parameters<IO["openFile"]>)),
      takes: [none, options],
      options: { ...ENDINGS, ...flagOptions, mode: KINDS.modeOrAbsent },
    },
    {
      name: "stat of a path",
      make: (given) => io.stat(...(given as Parameters<IO["stat"]>)),
      takes: [none, options],
      options: { ...ENDINGS, followLinks: KINDS.boolean },
    },
    {
      name: "rename",
      make: (given) => io.rename(...(given as Parameters<IO["rename"]>)),
      takes: [none, none, options],
      options: ENDINGS,
    },
    {
      name: "link",
      make: (given) => io.link(...(given as Parameters<IO["link"]>)),
      takes: [none, none, options],
      options: ENDINGS,
    },
    {
      name: "symlink",
      make: (given) => io.symlink(...(given as Parameters<IO["symlink"]>)),
      takes: [none, path(() => named("none/below")), options],
      options: ENDINGS,
    },
    {
      name: "readlink",
      make: (given) => io.readlink(...(given as Parameters<IO["readlink"]>)),
      takes: [none, options],
      options: { ...ENDINGS, encoding: KINDS.absent },
    },
    {
      name: "unlink",
      make: (given) => io.unlink(...(given as Parameters<IO["unlink"]>)),
      takes: [none, options],
      options: { ...ENDINGS, directory: KINDS.boolean },
    },
    {
      name: "mkdir",
      make: (given) => io.mkdir(...(given as Parameters<IO["mkdir"]>)),
      takes: [none, options],
      options: { ...ENDINGS, mode: KINDS.modeOrAbsent },
    },
  ];
}

function filesOf({ file }: Scene): Call[] {
  return [
    ...["read", "readFull", "write", "writeAll"].map((name) => {
      const writes = name.startsWith("write");
      const all = name === "readFull" || name === "writeAll";
      return {
        name: `file.${name}`,
        make: (given: unknown[]) => call(file, name, given),
        takes: [writes ? data : view, all ? placeOnly : positionOrOptions],
        options: { ...ENDINGS, position: all ? KINDS.place : KINDS.position },
        base: { position: 0 },
      };
    }),
    ...["readVectored", "writeVectored"].map((name) => ({
      name: `file.${name}`,
      make: (given: unknown[]) => call(file, name, given),
      takes: [views, positionOrOptions],
      options: { ...ENDINGS, position: KINDS.position },
    })),
    ...["prepareRead", "prepareWrite"].map((name) => ({
      name: `file.${name}`,
      make: (given: unknown[]) => call(file, name, given),
      takes: [name === "prepareWrite" ? data : view, position],
    })),
    {
      name: "file.stat",
      make: (given) => call(file, "stat", given),
      takes: [options],
      options: ENDINGS,
    },
    {
      name: "file.sync",
      make: (given) => call(file, "sync", given),
      takes: [argument(() => "data", "undefined"), options],
      options: ENDINGS,
    },
    {
      name: "file.prepareSync",
      make: (given) => call(file, "prepareSync", given),
      takes: [argument(() => "data", "undefined")],
    },
    {
      name: "file.tryLock",
      make: (given) => call(file, "tryLock", given),
      takes: [argument(() => "shared", "undefined")],
    },
    {
      name: "file.allocate",
      make: (given) => call(file, "allocate", given),
      takes: [place, place, options],
      options: { ...ENDINGS, keepSize: KINDS.boolean },
    },
    {
      name: "file.truncate",
      make: (given) => call(file, "truncate", given),
      takes: [place, options],
      options: ENDINGS,
    },
  ];
}

// A method by its name, with arguments of any kind.
function call(target: object, name: string, given: unknown[]): unknown {
  const method = (target as Record<string, unknown>)[name] as (...all: unknown[]) => unknown;
  return Reflect.apply(method, target, given);
}

function placesOf({ io, listener, datagrams, path: named }: Scene): Call[] {
  // A name would be looked up, and a string is a name or digits.
  const where = {
    host: KINDS.host,
    port: isBetween(0, 65_535),
    path: isPathOrAbsent,
    family: isAbsent,
  };
  const { port } = listener.address;
  return [
    {
      name: "listen",
      make: (given) => call(io, "listen", given),
      takes: [required],
      options: { ...where, ...ENDINGS, backlog: isBacklog, reusePort: KINDS.boolean },
      base: { port: 0 },
    },
    {
      name: "connect",
      make: (given) => call(io, "connect", given),
      takes: [required],
      options: { ...where, ...ENDINGS, noDelay: KINDS.boolean },
      base: { port },
    },
    {
      name: "openDatagram",
      make: (given) => call(io, "openDatagram", given),
      takes: [required],
      options: { ...where, ...TUNING, broadcast: KINDS.boolean, reusePort: KINDS.boolean },
      base: { port: 0 },
    },
    {
      name: "openDatagram of a family",
      make: (given) => call(io, "openDatagram", given),
      takes: [required],
      options: { family: KINDS.nothing },
    },
    {
      name: "listen at a path",
      make: (given) => call(io, "listen", given),
      takes: [required],
      options: { backlog: isBacklog, path: (value) => isPathOrAbsent(value) || value === "" },
      base: { path: named("socket") },
    },
    {
      name: "datagrams.bind",
      make: (given) => call(datagrams, "bind", given),
      takes: [required],
      options: where,
      base: { port: 0 },
    },
    {
      name: "datagrams.connect",
      make: (given) => call(datagrams, "connect", given),
      takes: [required, options],
      options: ENDINGS,
    },
    {
      name: "datagrams.connect to a place",
      make: ([target]) => call(datagrams, "connect", [target]),
      takes: [required],
      options: where,
      base: { port: 9 },
    },
    {
      name: "listener.accept",
      make: (given) => call(listener, "accept", given),
      takes: [options],
      options: ENDINGS,
    },
  ];
}

const isBacklog: Takes = (value) => {
  return isAbsent(value) || (isWhole(value) && value <= 0x7fffffff);
};

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

const isAbsent: Takes = (value) => value === undefined || value === null;
const isPathOrAbsent: Takes = (value) => {
  // Bytes that begin with a zero are an abstract name.
  const isName = value instanceof Uint8Array && value.length > 0 && value[0] === 0;
  return isAbsent(value) || isName || (typeof value === "string" && !value.includes("\0"));
};

function isBetween(least: number, most: number): Takes {
  return (value) => isWhole(value) && value >= least && value <= most;
}

const optionBytes: Takes = (value) => isBacklog(value);
const TUNING = {
  receiveBufferBytes: optionBytes,
  sendBufferBytes: optionBytes,
  zeroCopyThresholdBytes: optionBytes,
};

function bothKindsOf({ client, datagrams }: Scene): Call[] {
  return [
    ...[client, datagrams].flatMap((socket) => [
      {
        name: "receive",
        make: (given: unknown[]) => call(socket, "receive", given),
        takes: [view, options],
        options: ENDINGS,
      },
      {
        name: "send",
        make: (given: unknown[]) => call(socket, "send", given),
        takes: [data, options],
        options: SENDING,
      },
      {
        name: "sendZeroCopy",
        make: (given: unknown[]) => call(socket, "sendZeroCopy", given),
        takes: [data, options],
        options: SENDING,
      },
      {
        name: "sendVectored",
        make: (given: unknown[]) => call(socket, "sendVectored", given),
        takes: [views, options],
        options: SENDING,
      },
      {
        name: "chunks",
        make: (given: unknown[]) => call(socket, "chunks", given),
        takes: [options],
        options: { ...ENDINGS, chunkBytes: isAbsent },
      },
    ]),
  ];
}

function socketsOf({ client, datagrams, file, listener }: Scene): Call[] {
  const target = argument(() => ({ host: "127.0.0.1", port: 9 }), "nothing");
  return [
    {
      name: "receiveFull",
      make: (given) => call(client, "receiveFull", given),
      takes: [view, options],
      options: ENDINGS,
    },
    {
      name: "sendAll",
      make: (given) => call(client, "sendAll", given),
      takes: [data, options],
      options: SENDING,
    },
    {
      name: "sendFile",
      make: (given) => call(client, "sendFile", given),
      takes: [
        argument(() => file, "nothing"),
        argument(() => 0, "placeOrAbsent"),
        argument(() => 1, "lengthOrAbsent"),
        options,
      ],
      options: ENDINGS,
    },
    {
      name: "shutdown",
      make: (given) => call(client, "shutdown", given),
      takes: [{ good: () => "send", takes: isAbsent }, options],
      options: ENDINGS,
    },
    {
      name: "setOptions of a stream",
      make: (given) => call(client, "setOptions", given),
      takes: [{ good: () => ({}), takes: isEmptyObject }],
      options: { ...TUNING, noDelay: KINDS.boolean, keepAlive: KINDS.boolean },
    },
    {
      name: "setOptions of datagrams",
      make: (given) => call(datagrams, "setOptions", given),
      takes: [{ good: () => ({}), takes: isEmptyObject }],
      options: { ...TUNING, broadcast: KINDS.boolean },
    },
    {
      name: "sendTo",
      make: (given) => call(datagrams, "sendTo", given),
      takes: [data, target, options],
      options: SENDING,
    },
    {
      name: "sendTo a place",
      make: ([place]) => call(datagrams, "sendTo", [new Uint8Array(1), place]),
      takes: [required],
      options: {
        host: KINDS.nothing,
        port: isBetween(0, 65_535),
        path: isAbsentOrEmpty,
        family: isAbsent,
      },
      base: { host: "127.0.0.1", port: listener.address.port },
    },
  ];
}

const isEmptyObject: Takes = (value) => !isAbsent(value) && KINDS.options(value);
const isAbsentOrEmpty: Takes = (value) => {
  // Bytes that begin with a zero are an abstract name.
  const isName = value instanceof Uint8Array && value.length > 0 && value[0] === 0;
  return isAbsent(value) || isName || (typeof value === "string" && !value.includes("\0"));
};

function othersOf({ io, file }: Scene): Call[] {
  const address = { family: "ipv4", host: "127.0.0.1", port: 9, path: "" } as const;
  return [
    {
      name: "IO.open",
      make: (given) => IO.open(...(given as Parameters<typeof IO.open>)),
      takes: [options],
      options: {
        backend: isAbsent,
        mode: isAbsent,
        entries: isAbsent,
        inFlightLimit: isAbsent,
        buffersMaxBytes: (value) => isAbsent(value) || isWhole(value),
        chunksMaxBytes: (value) => isAbsent(value) || isWhole(value),
        zeroCopyReceive: KINDS.absent,
        debug: KINDS.options,
      },
    },
    {
      name: "IO.open, debug",
      make: ([debug]) => IO.open({ debug: debug as object }),
      takes: [options],
      options: { detectReuse: KINDS.boolean, traceOpens: KINDS.boolean },
    },
    { name: "nop", make: (given) => call(io, "nop", given), takes: [options], options: ENDINGS },
    {
      name: "sleep",
      make: (given) => call(io, "sleep", given),
      takes: [argument(() => 0.001, "milliseconds"), options],
      options: ENDINGS,
    },
    {
      name: "timer",
      make: (given) => call(io, "timer", given),
      takes: [required],
      options: { intervalMs: KINDS.intervalMs },
    },
    {
      name: "chain",
      make: (given) => call(io, "chain", given),
      takes: [argument(() => [file.prepareSync("data")], "nothing"), options],
      options: ENDINGS,
    },
    {
      name: "acquire",
      make: (given) => call(io.buffers, "acquire", given),
      takes: [argument(() => 4096, "nothing")].map((one) => ({ ...one, takes: isTooMuch })),
    },
    {
      name: "release",
      make: (given) => call(io.buffers, "release", given),
      takes: [required],
    },
    {
      name: "SocketAddress.of",
      make: ([place]) => SocketAddress.of(place as never),
      takes: [required],
    },
    {
      name: "SocketAddress.set",
      make: ([place]) => new SocketAddress().set(place as never),
      takes: [required],
      options: { family: KINDS.nothing, host: KINDS.nothing, port: isBetween(0, 65_535) },
      base: address,
    },
  ];
}

// Refused by the limit of the IO, with a code of its own.
const isTooMuch: Takes = (value) => isWhole(value) && value > 0;

/** Every public call but those of the ring. */
export function callsOfPromises(scene: Scene): Call[] {
  return [
    ...pathsOf(scene),
    ...filesOf(scene),
    ...bothKindsOf(scene),
    ...placesOf(scene),
    ...socketsOf(scene),
    ...othersOf(scene),
  ];
}
