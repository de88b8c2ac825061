// The arguments of each public call, and the kinds of value that each takes.

import { types } from "node:util";
import * as core from "@io/core";
import {
  type Address,
  Completion,
  type ConnectOptions,
  type DatagramAddress,
  type DatagramOptions,
  type DatagramPlace,
  type DatagramTarget,
  type Directory,
  type File,
  IO,
  type IOOptions,
  type ListenOptions,
  MessageControl,
  MultishotCompletion,
  type OperationOptions,
  type Ring,
  SocketAddress,
  type Stat,
  StatFsRecord,
  StatRecord,
  type TransferOptions,
} from "@io/core";
import {
  KINDS,
  type Kind,
  number,
  oneWord,
  orAbsent,
  orUndefined,
  whole,
  wordOrAbsent,
} from "./arguments_kinds.js";
import {
  COMMON_OPTIONS,
  localAddress,
  localPort,
  rawName,
  rawValue,
  STREAM_OPTIONS,
} from "./arguments_options.js";
import type { Scene } from "./arguments_scene.js";
import {
  type Argument,
  type Call,
  callsOn,
  type KeyRows,
  type Rows,
  type Table,
} from "./arguments_table.js";

function argument(good: () => unknown, kind: Kind): Argument {
  return { good, kind };
}

/** An object of options with these fields. */
function options<const Fields extends Readonly<Record<string, Kind>>>(
  fields: Fields,
  kind: Kind = KINDS.options,
): Argument & { readonly fields: Fields } {
  return { good: () => ({}), kind, fields };
}

/** An object that has to have some of its fields: what is right for those that are not tried. */
function record<const Fields extends Readonly<Record<string, Kind>>>(
  base: () => object,
  fields: Fields,
  kind: Kind = KINDS.record,
): Argument & { readonly fields: Fields } {
  return { good: base, kind, fields, base };
}

const ENDINGS = { signal: KINDS.signal, timeoutMs: KINDS.timeoutMs };
const SENDING = { ...ENDINGS, zeroCopy: wordOrAbsent("never", "auto", "always") };
const endings = options(ENDINGS);
const sending = options(SENDING);
const sendingMore = options({ ...SENDING, more: KINDS.boolean });

const bytes = argument(() => new Uint8Array(8), KINDS.bytes);
const bytesOrEmpty = argument(() => new Uint8Array(8), KINDS.bytesOrEmpty);
const data = argument(() => new Uint8Array(8), KINDS.data);
const place = argument(() => 0, KINDS.place);
const position = argument(() => 0, KINDS.position);

const list: Kind = {
  takes: () => false,
  codes: (value) => {
    const isEmpty = Array.isArray(value) && value.length === 0;
    return [isEmpty ? "ERR_OUT_OF_RANGE" : "ERR_INVALID_ARG_TYPE"];
  },
};
const views = argument(() => [new Uint8Array(8)], list);
const dataOrList = argument(data.good, {
  takes: data.kind.takes,
  codes: (value) => (Array.isArray(value) ? list : data.kind).codes(value),
});

/** Nothing is sent of a list without anything in it. */
const dataOrParts = argument(data.good, {
  takes: (value) => (Array.isArray(value) ? value.length === 0 : data.kind.takes(value)),
  codes: (value) => (Array.isArray(value) ? ["ERR_INVALID_ARG_TYPE"] : data.kind.codes(value)),
});
const maxBytesOrAbsent = orAbsent(whole(1, 0x7fffffff));

/** A position, or options with one. */
function placed(isNeeded: boolean): Argument & { fields: KeyRows<TransferOptions> } {
  const positions = isNeeded ? KINDS.place : KINDS.position;
  return {
    good: () => 0,
    base: () => ({ position: 0 }),
    fields: { ...ENDINGS, position: positions },
    kind: {
      takes: (value) => positions.takes(value) || (!isNeeded && KINDS.options.takes(value)),
      codes: (value) => {
        const isOptions = typeof value === "object" && value !== null;
        if (!isOptions) return positions.codes(value);
        return ["ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_VALUE"];
      },
    },
  };
}

/** The same of a write, with flags. */
function written<Flags extends Readonly<Record<string, Kind>>>(isNeeded: boolean, flags: Flags) {
  const { fields, ...rest } = placed(isNeeded);
  return { ...rest, fields: { ...fields, ...flags } };
}

const port = whole(0, 65_535);
/** What is not given beside a path. */
const portOrAbsent: Kind = { ...port, takes: (value) => value != null && port.takes(value) };
// A name would be looked up, and a string is a name or an IP address.
const host = orAbsent(KINDS.text);
const lookup = orAbsent(KINDS.callback);
const family = wordOrAbsent("ipv4");
const socketType = wordOrAbsent("stream");
const place3 = { host, port: portOrAbsent, path: orAbsent(KINDS.socketPath), lookup };
/** A cid of vsock, beside which a port up to 2^32 - 1 is right. */
const isCid = whole(0, 0xffffffff);
const cid: Kind = orAbsent({
  takes: isCid.takes,
  codes: (value) => [
    typeof value === "string" ? "ERR_INVALID_ARG_VALUE" : (isCid.codes(value)[0] as string),
  ],
});
const chunked = options({
  ...ENDINGS,
  chunkBytes: orAbsent(whole(1, 1024 * 1024)),
});

/** What an IO and a directory have alike. */
function pathsOf({ path: named }: Scene): Rows<core.PathOperations> {
  const none = argument(() => named("none"), KINDS.path);
  const boolean = KINDS.boolean;
  const mode = orAbsent(KINDS.mode);
  const own = orAbsent(KINDS.object);
  const endingsOrLink = options({ ...ENDINGS, followLinks: boolean });
  // Its last overload has one option more than the others.
  const encoded = [
    none,
    options({ ...ENDINGS, encoding: wordOrAbsent("utf8", "buffer") }),
  ] as never;
  return {
    openFile: [
      none,
      options({
        ...ENDINGS,
        ...{ read: boolean, write: boolean, append: boolean, create: boolean },
        ...{ exclusive: boolean, truncate: boolean, direct: boolean, directory: boolean },
        ...{ followLinks: boolean, dsync: boolean, temporary: boolean, noAtime: boolean },
        mode,
      }),
    ],
    openDirectory: [none, options({ ...ENDINGS, followLinks: boolean, resolve: KINDS.options })],
    // Its last overload has one option less.
    stat: [none, options({ ...ENDINGS, followLinks: boolean, bigint: boolean })] as never,
    statfs: [none, endings],
    rename: [
      none,
      none,
      options({ ...ENDINGS, noReplace: boolean, exchange: boolean, toDirectory: own }),
    ],
    link: [none, none, options({ ...ENDINGS, toDirectory: own })],
    symlink: [none, argument(() => named("none/below"), KINDS.path), endings],
    readlink: encoded,
    realpath: encoded,
    unlink: [none, options({ ...ENDINGS, directory: boolean })],
    mkdir: [none, options({ ...ENDINGS, mode, recursive: boolean })],
    mkdtemp: [argument(() => named("none/below"), KINDS.path), endings],
    rm: [none, options({ ...ENDINGS, recursive: boolean, force: boolean })],
    readdir: [
      none,
      options({
        ...ENDINGS,
        ...{ recursive: boolean, withFileTypes: boolean },
        encoding: wordOrAbsent("utf8", "buffer"),
      }),
    ] as never,
    entries: [
      argument(() => named("none"), orUndefined(KINDS.path)),
      options({ ...ENDINGS, recursive: boolean }),
    ],
    chmod: [none, argument(() => 0o600, KINDS.mode), endings],
    chown: [none, owner, owner, endingsOrLink],
    utimes: [none, moment, moment, endingsOrLink],
    access: [none, options({ ...ENDINGS, read: boolean, write: boolean, execute: boolean })],
    exists: [none, endings],
    watch: [none, options({ ...ENDINGS, recursive: boolean })],
    getXattr: [none, xattrName, endingsOrLink],
    setXattr: [
      ...[none, xattrName, data],
      options({
        ...{ ...ENDINGS, followLinks: boolean },
        how: wordOrAbsent("any", "create", "replace"),
      }),
    ] as never,
    listXattr: [none, endingsOrLink],
    removeXattr: [none, xattrName, endingsOrLink],
    cp: [
      none,
      argument(() => named("none/below"), KINDS.path),
      options({
        ...ENDINGS,
        ...{ recursive: boolean, force: boolean, errorOnExist: boolean },
        preserveTimestamps: boolean,
        reflink: wordOrAbsent("auto", "always", "never"),
        ...{ filter: orAbsent(KINDS.callback), onProgress: orAbsent(KINDS.callback) },
        toDirectory: own,
      }),
    ],
  };
}

const systemNumber = argument(() => 0, whole(0, 0x7fffffff));
const pollEvent = argument(() => "writable", oneWord("readable", "writable"));

/** An IP address; a name would be refused as well. */
function ipAddressOf(host: string): Argument {
  return argument(() => host, {
    takes: () => false,
    codes: () => ["ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_VALUE"],
  });
}

const grouping = options({
  source: orAbsent({
    takes: () => false,
    codes: () => ["ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_VALUE"],
  }),
  interfaceIndex: orAbsent(whole(0, 0x7fffffff)),
});

const DATAGRAM_FLAGS = {
  broadcast: KINDS.boolean,
  receiveSegments: KINDS.boolean,
  receivePacketInfo: KINDS.boolean,
  receiveTos: KINDS.boolean,
  receiveTtl: KINDS.boolean,
  receiveTimestamps: KINDS.boolean,
  receiveDrops: KINDS.boolean,
  multicastLoop: KINDS.boolean,
  multicastTtl: orAbsent(whole(0, 255)),
};

const isMoment = (value: unknown): boolean => {
  const time = value instanceof Date ? value.getTime() : value;
  if (typeof time === "bigint") return Math.abs(Number(time)) <= 8.64e21;
  return typeof time === "number" && Math.abs(time) <= 8.64e15;
};
const moment = argument(() => new Date(0), number(isMoment, true));

function ioRows(scene: Scene): Rows<IO> {
  const { listener, prepared } = scene;
  const backlog = orAbsent(whole(0, 0x7fffffff));
  const listening: KeyRows<ListenOptions & OperationOptions> = {
    ...place3,
    ...ENDINGS,
    ...STREAM_OPTIONS,
    type: socketType,
    backlog,
    reusePort: KINDS.boolean,
    family,
    cid,
  };
  const connecting: KeyRows<ConnectOptions & OperationOptions> = {
    ...place3,
    ...ENDINGS,
    ...STREAM_OPTIONS,
    type: socketType,
    family,
    cid,
    localAddress,
    localPort,
    autoSelectFamily: KINDS.boolean,
    autoSelectFamilyAttemptTimeoutMs: orAbsent(
      number((value) => typeof value === "number" && value > 0 && value <= 0x7fffffff),
    ),
  };
  const opening: KeyRows<DatagramOptions & OperationOptions> = {
    ...place3,
    ...ENDINGS,
    ...COMMON_OPTIONS,
    ...DATAGRAM_FLAGS,
    reusePort: KINDS.boolean,
    family,
  };
  return {
    ...pathsOf(scene),
    copyFile: [
      argument(() => scene.path("none"), KINDS.path),
      argument(() => scene.path("none/to"), KINDS.path),
      options({
        ...ENDINGS,
        exclusive: KINDS.boolean,
        reflink: wordOrAbsent("auto", "always", "never"),
        onProgress: orAbsent(KINDS.callback),
      }),
    ],
    listen: [record(() => ({ port: 0 }), listening)],
    connect: [record(() => ({ port: listener.address.port }), connecting)],
    openDatagram: [record(() => ({ port: 0 }), opening)],
    notifier: [],
    signals: [argument(() => ["SIGUSR2"], list)],
    borrow: [systemNumber],
    poll: [systemNumber, pollEvent, endings],
    adopt: [systemNumber, argument(() => "listener", oneWord("listener", "terminal"))],
    socketPair: [argument(() => "stream", orUndefined(oneWord("stream", "datagram")))] as never,
    pipe: [],
    // A process that there never is: when it is taken, nothing happens.
    waitProcess: [argument(() => 0x7fffffff, whole(1, 0x7fffffff)), endings],
    nop: [endings],
    sleep: [argument(() => 0.001, KINDS.milliseconds), endings],
    scope: [endings],
    timer: [record(() => ({ intervalMs: 1000 }), { intervalMs: KINDS.intervalMs })],
    chain: [argument(() => [prepared], list), endings],
    cancelAll: [],
    run: [],
    runFor: [argument(() => 0, KINDS.place)],
    ref: [],
    unref: [],
    stats: [],
    close: [],
  };
}

const fromOne = number((value) => {
  const count = typeof value === "bigint" ? Number(value) : value;
  return Number.isSafeInteger(count) && (count as number) >= 1;
}, true);
const range = { offset: KINDS.position, lengthBytes: orAbsent(fromOne) };

const ALLOCATE_MODES = [
  ...["grow", "keepSize", "punchHole", "zeroRange", "collapse", "insert"],
] as const;
const ADVICES = ["normal", "sequential", "random", "willNeed", "dontNeed", "noReuse"] as const;
const owner = argument(() => -1, whole(-1, 0xffffffff));
const xattrName = argument(() => "user.none", KINDS.text);
const writing = {
  ...{ dsync: KINDS.boolean, uncached: KINDS.boolean, atomic: KINDS.boolean },
  ...{ append: KINDS.boolean, nowait: KINDS.boolean },
};

// Without `signal` and `timeoutMs`, which the chain has.
const prepared = {
  ...placed(false),
  fields: { position: KINDS.position, ...writing },
};

const fileRows = (scene: Scene): Rows<File> => ({
  read: [bytesOrEmpty, placed(false)],
  write: [data, written(false, writing)],
  readFull: [bytesOrEmpty, placed(true)],
  writeAll: [data, written(true, { dsync: KINDS.boolean, uncached: KINDS.boolean })],
  readVectored: [views, placed(false)],
  writeVectored: [views, written(false, writing)],
  // Its last overload has to have its option.
  stat: [options({ ...ENDINGS, bigint: KINDS.boolean })] as never,
  sync: [argument(() => "data", orUndefined(oneWord("data", "full", "barrier"))), endings],
  allocate: [place, place, options({ ...ENDINGS, mode: wordOrAbsent(...ALLOCATE_MODES) })],
  advise: [argument(() => "normal", oneWord(...ADVICES)), options({ ...ENDINGS, ...range })],
  syncRange: [options({ ...ENDINGS, ...range })],
  chmod: [argument(() => 0o644, KINDS.mode), endings],
  chown: [owner, owner, endings],
  utimes: [moment, moment, endings],
  getXattr: [xattrName, endings],
  setXattr: [
    xattrName,
    data,
    options({ ...ENDINGS, how: wordOrAbsent("any", "create", "replace") }),
  ],
  listXattr: [endings],
  removeXattr: [xattrName, endings],
  copyRange: [
    argument(() => scene.file, KINDS.object),
    options({
      ...ENDINGS,
      offset: KINDS.position,
      sourceOffset: KINDS.position,
      lengthBytes: KINDS.position,
    }),
  ],
  reflink: [argument(() => scene.file, KINDS.object), endings],
  statfs: [endings],
  link: [argument(() => scene.path("none/below"), KINDS.path), endings],
  truncate: [place, endings],
  prepareRead: [bytesOrEmpty, position],
  prepareWrite: [data, prepared],
  prepareSync: [argument(() => "data", orUndefined(oneWord("data", "full", "barrier")))],
  prepareClose: [],
  detach: [],
  lock: [options({ ...ENDINGS, ...range, exclusive: KINDS.boolean, wait: KINDS.boolean })],
  unlock: [options({ ...ENDINGS, ...range })],
  close: [],
});

function directoryRows(scene: Scene): Rows<Directory> {
  return {
    ...pathsOf(scene),
    sync: [argument(() => "data", orUndefined(oneWord("data", "full", "barrier"))), endings],
    close: [],
  };
}

// ---- the ring

// Its own, so that a verb which wrongly takes something is called back for nothing.
const callback = argument(() => () => undefined, KINDS.callback);
const completion = argument(() => new Completion(), KINDS.object);
const multishot = argument(() => new MultishotCompletion(), KINDS.object);
const descriptor = argument(() => -1, KINDS.descriptor);
const view = argument(() => new Uint8Array(8), KINDS.view);
const viewOrEmpty = argument(() => new Uint8Array(8), KINDS.viewOrEmpty);
const offset = argument(() => 0, KINDS.offset);
const size = argument(() => 0, KINDS.size);
const flag = argument(() => false, KINDS.boolean);
const peer = argument(() => new SocketAddress(), KINDS.object);
const control = argument(() => new MessageControl(), KINDS.object);
const path = argument(() => "/nowhere/at/all", KINDS.path);
const zeroCopy = argument(() => "never", wordOrAbsent("never", "auto", "always"));
const mode = argument(() => 0, KINDS.mode);
const more = argument(() => false, KINDS.boolean);
const families = oneWord("ipv4", "ipv6", "unix", "vsock");
const ipAddress: Kind = { takes: () => false, codes: KINDS.text.codes };
const address: Argument & { fields: KeyRows<Address> } = record(
  () => ({ family: "ipv4", host: "127.0.0.1", port: 9, path: undefined }),
  // The verbs take any host; the engine says that it is no address. Beside it no path counts.
  {
    family: { ...families, takes: () => true },
    ...{ host: KINDS.text, port, path: anything(), cid: anything() },
  },
);

function anything(): Kind {
  return { takes: () => true, codes: () => [] };
}

type FileVerb =
  | "allocate"
  | "advise"
  | "syncRange"
  | "fchmod"
  | "fchown"
  | "futimes"
  | "getXattr"
  | "setXattr"
  | "listXattr"
  | "removeXattr"
  | "copyRange"
  | "reflink"
  | "fstatfs"
  | "linkDescriptor"
  | "lock"
  | "unlock";

/** The verbs on an open file beside reading and writing. */
function fileVerbRows(): Pick<Rows<Ring>, FileVerb> {
  const onDescriptor = [completion, callback, descriptor] as const;
  return {
    allocate: [...onDescriptor, size, size, argument(() => "grow", oneWord(...ALLOCATE_MODES))],
    advise: [...onDescriptor, size, size, argument(() => "normal", oneWord(...ADVICES))],
    syncRange: [...onDescriptor, size, size],
    fchmod: [...onDescriptor, mode],
    fchown: [...onDescriptor, owner, owner],
    futimes: [...onDescriptor, moment, moment],
    getXattr: [...onDescriptor, xattrName, viewOrEmpty],
    setXattr: [
      ...onDescriptor,
      xattrName,
      viewOrEmpty,
      argument(() => "any", orUndefined(oneWord("any", "create", "replace"))),
    ],
    listXattr: [...onDescriptor, viewOrEmpty],
    removeXattr: [...onDescriptor, xattrName],
    copyRange: [...onDescriptor, descriptor, size, size, size],
    reflink: [...onDescriptor, descriptor],
    fstatfs: [...onDescriptor, argument(() => new StatFsRecord(), KINDS.object)],
    linkDescriptor: [...onDescriptor, path],
    lock: [...onDescriptor, flag, size, size, flag],
    unlock: [...onDescriptor, size, size],
  };
}

function ringOptions() {
  return {
    setOption: [descriptor, ...RAW.setOption],
    getOption: [descriptor, ...RAW.getOption],
  } as const;
}

function pathVerbRows() {
  const head = [completion, callback] as const;
  const byName = argument(() => -1, {
    takes: (value) => KINDS.descriptor.takes(value) || KINDS.path.takes(value),
    codes: (value) => (typeof value === "number" ? KINDS.descriptor : KINDS.path).codes(value),
  });
  const at = argument(() => -1, orUndefined(KINDS.descriptor));
  const rules = argument(() => 0, orUndefined(whole(0, 7)));
  const placed = [at, rules] as const;
  const follow = argument(() => false, orUndefined(ofBoolean));
  return {
    stat: [...head, byName, argument(() => new StatRecord(), KINDS.object), flag, ...placed],
    open: [...head, path, argument(() => 1, KINDS.flags), mode, ...placed],
    rename: [
      ...head,
      path,
      path,
      argument(() => 0, orUndefined(KINDS.flags)),
      at,
      at,
      rules,
      rules,
    ],
    link: [...head, path, path, at, at, rules, rules],
    copyFile: [
      ...head,
      path,
      path,
      argument(() => 0, orUndefined(whole(0, 7))),
      at,
      at,
      rules,
      rules,
    ],
    symlink: [...head, path, path, ...placed],
    readlink: [...head, path, viewOrEmpty, ...placed],
    realpath: [...head, path, viewOrEmpty, ...placed],
    statfs: [...head, path, argument(() => new StatFsRecord(), KINDS.object), ...placed],
    unlink: [...head, path, flag, ...placed],
    mkdir: [...head, path, mode, ...placed],
    chmod: [...head, path, mode, ...placed],
    chown: [...head, path, owner, owner, follow, ...placed],
    utimes: [...head, path, moment, moment, follow, ...placed],
    access: [...head, path, argument(() => 0, whole(0, 7)), ...placed],
    readDirectory: [...head, descriptor, argument(() => new Uint8Array(4096), entriesView)],
    getXattrAt: [...head, path, xattrName, viewOrEmpty, follow, ...placed],
    setXattrAt: [
      ...([...head, path, xattrName, viewOrEmpty] as const),
      argument(() => "any", orUndefined(oneWord("any", "create", "replace"))),
      follow,
      ...placed,
    ],
    listXattrAt: [...head, path, viewOrEmpty, follow, ...placed],
    removeXattrAt: [...head, path, xattrName, follow, ...placed],
  } as const;
}

function ringRows({ group, messages }: Scene): Rows<Ring> {
  const head = [completion, callback] as const;
  const onDescriptor = [completion, callback, descriptor] as const;
  const writeFlags = argument(() => 0, orUndefined(whole(0, 0x1f)));
  const level = argument(() => "data", oneWord("data", "full", "barrier"));
  const messageOrList = argument(viewOrEmpty.good, {
    takes: KINDS.viewOrEmpty.takes,
    codes: (value) => (Array.isArray(value) ? list : KINDS.viewOrEmpty).codes(value),
  });
  const target = argument(() => new SocketAddress(), {
    ...KINDS.object,
    takes: (value) => value === null,
  });
  const groupOptions = options({
    bufferBytes: orAbsent(whole(1, 16 * 1024 * 1024)),
    // As large as a buffer at least.
    maxBytes: orAbsent(whole(16_384)),
    messages: KINDS.boolean,
  });
  return {
    nop: head,
    timeout: [...head, size],
    cancel: [...head, completion],
    cancelDescriptor: onDescriptor,
    cancelAll: head,
    close: onDescriptor,
    read: [...onDescriptor, viewOrEmpty, offset],
    write: [...onDescriptor, viewOrEmpty, offset, writeFlags],
    readVectored: [...onDescriptor, views, offset],
    writeVectored: [...onDescriptor, views, offset, writeFlags],
    sync: [...onDescriptor, level],
    ...fileVerbRows(),
    truncate: [...onDescriptor, size],
    ...pathVerbRows(),
    socket: [
      ...head,
      argument(() => "ipv4", families),
      argument(() => "stream", orUndefined(oneWord("stream", "datagram", "seqpacket"))),
    ],
    bind: [...onDescriptor, address],
    listen: [...onDescriptor, argument(() => 1, whole(0, 0x7fffffff))],
    accept: onDescriptor,
    acceptMultishot: onDescriptor,
    connect: [...onDescriptor, address],
    disconnect: onDescriptor,
    send: [...onDescriptor, viewOrEmpty, zeroCopy, more],
    sendVectored: [...onDescriptor, views, zeroCopy, more],
    sendFile: [...onDescriptor, descriptor, size, size],
    receive: [...onDescriptor, view],
    peek: [...onDescriptor, view],
    receiveVectored: [...onDescriptor, views],
    sendMessage: [...onDescriptor, messageOrList, target, zeroCopy],
    receiveMessage: [...onDescriptor, viewOrEmpty, peer],
    peekMessage: [...onDescriptor, viewOrEmpty, peer],
    shutdown: [...onDescriptor, argument(() => "send", oneWord("send", "receive", "both"))],
    detach: onDescriptor,
    sendControl: [...onDescriptor, messageOrList, control],
    receiveControl: [...onDescriptor, viewOrEmpty, control],
    poll: [...onDescriptor, pollEvent],
    pollMultishot: [...onDescriptor, pollEvent],
    watch: head,
    watchAdd: [...onDescriptor, descriptor],
    watchRemove: [...onDescriptor, argument(() => 0, whole(0, 0x7fffffff))],
    receiveMultishot: [
      multishot,
      callback,
      descriptor,
      argument(() => group, KINDS.object),
      argument(() => 0, orUndefined(whole(0, 0x7fffffff))),
    ],
    receiveMessageMultishot: [
      multishot,
      callback,
      descriptor,
      argument(() => messages, KINDS.object),
    ],
    ...ringOptions(),
    bufferGroup: [groupOptions],
    flush: [],
  };
}

const ofBoolean = KINDS.boolean;

/** 4,096 bytes at least. */
const entriesView: Kind = {
  takes: () => false,
  codes: (value) => {
    const isMemory = KINDS.viewOrEmpty.takes(value);
    return isMemory ? ["ERR_OUT_OF_RANGE"] : KINDS.viewOrEmpty.codes(value);
  },
};

/** None of its buffers is held, so every number is refused. */
const bufferId = argument(() => 0, {
  takes: () => false,
  codes: (value) => [typeof value === "number" ? "ERR_IO_CHUNK_RELEASED" : "ERR_INVALID_ARG_TYPE"],
});

const sizeOfNone = argument(() => 0, {
  takes: KINDS.size.takes,
  codes: () => ["ERR_IO_CHUNK_RELEASED"],
});

const rawHead = [
  argument(() => "SOL_SOCKET", rawName),
  argument(() => "SO_KEEPALIVE", rawName),
] as const;
const RAW = {
  setOption: [...rawHead, argument(() => 0, rawValue)],
  getOption: [...rawHead, argument(() => 4, orAbsent(whole(0, 65_536)))],
} as const;

/** What passes for one of its items is tried by the conformance of descriptors. */
const passed = argument(() => [0], {
  takes: (value) => Array.isArray(value) && value.length > 0 && value.every(Number.isInteger),
  codes: list.codes,
});

function bothSockets() {
  return {
    sendZeroCopy: [data, sending],
    sendVectored: [views, sending],
    send: [data, sending],
    chunks: [chunked],
    ref: [],
    unref: [],
    close: [],
    stats: [],
    detach: [],
    sendDescriptors: [data, passed, endings],
    receiveDescriptors: [bytesOrEmpty, endings],
    ...RAW,
  } as const;
}

function socketClasses(scene: Scene): Pick<Table, "Socket" | "DatagramSocket"> {
  const { file, listener, client, datagrams } = scene;
  const shutdownHow = wordOrAbsent("send", "receive", "both");
  const binding: KeyRows<DatagramPlace> = place3;
  const target: KeyRows<Exclude<DatagramTarget, SocketAddress>> = {
    host: { ...ipAddress, codes: () => ["ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_VALUE"] },
    port: whole(0, 65_535),
    path: orAbsent(KINDS.socketPath),
  };
  const toThere = (): object => ({ host: "127.0.0.1", port: listener.address.port });
  return {
    Socket: {
      on: client,
      methods: {
        ...bothSockets(),
        sendZeroCopy: [data, sendingMore],
        sendVectored: [views, sendingMore],
        send: [data, sendingMore],
        receive: [bytes, endings],
        peerCredentials: [],
        receiveFull: [bytesOrEmpty, endings],
        receiveVectored: [views, endings],
        peek: [bytes, endings],
        reader: [options({ maxBytes: maxBytesOrAbsent })],
        reset: [],
        info: [],
        pipeTo: [
          argument(() => client, KINDS.object),
          options({
            ...ENDINGS,
            maxBytes: orAbsent(KINDS.place),
            end: KINDS.boolean,
            chunkBytes: orAbsent(whole(1, 1024 * 1024)),
          }),
        ],
        sendAll: [dataOrParts, sendingMore],
        sendFile: [
          argument(() => file, KINDS.object),
          argument(() => 0, KINDS.position),
          argument(() => 1, KINDS.length),
          endings,
        ],
        shutdown: [argument(() => "send", shutdownHow), endings],
        setOptions: [options(STREAM_OPTIONS, KINDS.given)],
        getOptions: [argument(() => "noDelay", oneWord(...Object.keys(STREAM_OPTIONS)))],
      },
      statics: {},
    },
    DatagramSocket: {
      on: datagrams,
      methods: {
        ...bothSockets(),
        receive: [bytesOrEmpty, endings],
        peek: [bytesOrEmpty, endings],
        receiveMessage: [bytesOrEmpty, endings],
        joinGroup: [ipAddressOf("224.0.0.251"), grouping],
        leaveGroup: [ipAddressOf("224.0.0.251"), grouping],
        sendMany: [
          views,
          { ...record(toThere, { ...target, family }), kind: orAbsent(KINDS.record) },
          options({ ...ENDINGS, tos: orAbsent(whole(0, 255)), ttl: orAbsent(whole(1, 255)) }),
        ],
        sendTo: [dataOrList, record(toThere, { ...target, family }), sending],
        bind: [record(() => ({ port: 0 }), { ...binding, family }), endings],
        connect: [record(() => ({ port: 9 }), { ...binding, family }), endings],
        disconnect: [endings],
        setOptions: [options({ ...COMMON_OPTIONS, ...DATAGRAM_FLAGS }, KINDS.given)],
        getOptions: [
          argument(
            () => "broadcast",
            oneWord(...Object.keys(DATAGRAM_FLAGS), ...Object.keys(COMMON_OPTIONS)),
          ),
        ],
      },
      statics: {},
    },
  };
}

function notifyRow({ notifier }: Scene): [token: Argument, value: Argument] {
  const token: Kind = {
    takes: () => false,
    codes: () => ["ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_VALUE"],
  };
  return [
    argument(() => notifier.token, token),
    argument(() => 0, orUndefined(whole(0, 0x7fffffff))),
  ];
}

type DescriptorClass =
  | "Listener"
  | "Notifier"
  | "Signals"
  | "BorrowedDescriptor"
  | "ReceivedDescriptor"
  | "MessageControl"
  | "Watch";

function descriptorClasses(scene: Scene): Pick<Table, DescriptorClass> {
  return {
    Listener: {
      on: scene.listener,
      methods: {
        accept: [endings],
        detach: [],
        setOptions: [options(STREAM_OPTIONS, KINDS.given)],
        getOptions: [argument(() => "noDelay", oneWord(...Object.keys(STREAM_OPTIONS)))],
        ...RAW,
        ref: [],
        unref: [],
        close: [],
      },
      statics: {},
    },

    Watch: {
      on: scene.watch,
      methods: { next: [], return: [], ref: [], unref: [], close: [] },
      statics: {},
    },
    ReceivedDescriptor: { on: scene.received, methods: { close: [] }, statics: {} },
    MessageControl: { on: new MessageControl(), methods: { clear: [] }, statics: {} },
    Notifier: {
      on: scene.notifier,
      methods: {
        take: [],
        receive: [endings],
        notify: [argument(() => 0, orUndefined(whole(0, 0x7fffffff)))],
        ref: [],
        unref: [],
        close: [],
      },
      statics: {},
    },
    Signals: {
      on: scene.signals,
      methods: { take: [], receive: [endings], ref: [], unref: [], close: [] },
      statics: {},
    },
    BorrowedDescriptor: {
      on: scene.borrowed,
      methods: { poll: [pollEvent, endings], events: [pollEvent], ref: [], unref: [], close: [] },
      statics: {},
    },
  };
}
const kindRows: Rows<Stat> = {
  ...{ isFile: [], isDirectory: [], isSymbolicLink: [], isSocket: [], isFIFO: [] },
  ...{ isCharacterDevice: [], isBlockDevice: [] },
};

/** Every public method of every class that is exported, and every function. */
export function tableOf(scene: Scene): Table {
  const { file, io, message, stream } = scene;
  const none = { methods: {}, statics: {} };
  const into = argument(() => new SocketAddress(), orUndefined(KINDS.object));
  return {
    IO: {
      on: io,
      methods: ioRows(scene),
      statics: { open: [openOptions()], openSync: [openOptions()] },
    },
    Directory: { on: scene.directory, methods: directoryRows(scene), statics: {} },
    File: { on: file, methods: fileRows(scene), statics: {} },
    Ring: { on: io.ring, methods: ringRows(scene), statics: {} },
    Buffers: {
      on: io.buffers,
      methods: {
        acquire: [argument(() => 4096, number(isTooMuch))],
        release: [
          argument(() => new Uint8Array(1), {
            takes: () => false,
            codes: (value) => [
              ArrayBuffer.isView(value) ? "ERR_IO_BUFFER_RELEASED" : "ERR_INVALID_ARG_TYPE",
            ],
          }),
        ],
      },
      statics: {},
    },
    BufferGroup: {
      on: scene.group,
      methods: {
        view: [bufferId, sizeOfNone, sizeOfNone],
        sender: [bufferId, peer],
        truncated: [bufferId],
        release: [bufferId],
        available: [],
        whenAvailable: [callback],
        close: [],
      },
      statics: {},
    },
    ...socketClasses(scene),
    ...descriptorClasses(scene),
    SocketReader: { on: scene.reader, methods: readerRows, statics: {} },
    SocketAddress: {
      on: new SocketAddress(),
      methods: { set: [inDigits] },
      statics: { of: [inDigits] },
    },
    ChunkStream: { on: stream, methods: { next: [], return: [] }, statics: {} },
    Chunk: { on: message, methods: { release: [] }, statics: {} },
    DatagramChunk: { on: message, methods: { release: [], sender: [into] }, statics: {} },
    Scope: {
      on: scene.scope,
      methods: { cancel: [argument(() => 0, anything())], close: [] },
      statics: {},
    },
    Timer: { on: scene.timer, methods: { ref: [], unref: [], close: [] }, statics: {} },
    Completion: { on: new Completion(), ...none },
    MultishotCompletion: { on: new MultishotCompletion(), ...none },
    StatRecord: { on: new StatRecord(), ...none },
    StatFs: { on: {}, ...none },
    PathOperations: { on: io, methods: pathsOf(scene), statics: {} },
    DirectoryEntry: { on: {}, methods: kindRows, statics: {} },
    StatFsRecord: { on: new StatFsRecord(), ...none },
    IOError: { on: {}, ...none },
    PreparedOperation: {
      on: scene.prepared,
      methods: {
        value: [argument(() => 0, anything())],
        with: [
          options({
            hard: KINDS.boolean,
            timeoutMs: orAbsent(KINDS.milliseconds),
            value: orAbsent(KINDS.callback),
          }),
        ],
      },
      statics: {},
    },
    Stat: { on: {}, methods: kindRows, statics: {} },
    BigIntStat: { on: {}, methods: kindRows, statics: {} },
    functions: {
      notify: notifyRow(scene),
      probe: [],
      probeZeroCopyReceive: [
        argument(() => "", orUndefined(interfaceName)),
        argument(() => 0, orUndefined(whole(0, 65_535))),
      ],
    },
  };
}

const delimiter: Kind = {
  takes: (value) => {
    return (typeof value === "string" || types.isUint8Array(value)) && value.length > 0;
  },
  codes: (value) => {
    const isEmpty = value === "" || (types.isUint8Array(value) && value.length === 0);
    return [isEmpty ? "ERR_OUT_OF_RANGE" : "ERR_INVALID_ARG_TYPE"];
  },
};

const readerRows: Rows<core.SocketReader> = {
  read: [endings],
  readExactly: [argument(() => 1, whole(0, 0x7fffffff)), endings],
  readUntil: [argument(() => "x", delimiter), options({ ...ENDINGS, maxBytes: maxBytesOrAbsent })],
  readLine: [options({ ...ENDINGS, maxBytes: maxBytesOrAbsent })],
};

const interfaceName: Kind = {
  takes: (value) => typeof value === "string" && !value.includes("\0"),
  codes: (value) => [typeof value === "string" ? "ERR_INVALID_ARG_VALUE" : "ERR_INVALID_ARG_TYPE"],
};

/** A numeric address. The setter checks it. */
const inDigits: Argument & { fields: KeyRows<DatagramAddress> } = record(
  () => ({ family: "ipv4", host: "127.0.0.1", port: 9, path: undefined }),
  {
    family: { ...families, takes: () => false },
    ...{ host: ipAddress, port, path: anything(), cid: anything() },
  },
);

// Refused by the limit of the IO, with a code of its own.
function isTooMuch(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function backendCodes(value: unknown): string[] {
  return [typeof value === "string" ? "ERR_IO_BACKEND_UNKNOWN" : "ERR_INVALID_ARG_TYPE"];
}

function openOptions(): Argument & { fields: KeyRows<IOOptions> } {
  const bytesOrAbsent = orAbsent(whole(0));
  return options({
    backend: orAbsent({ takes: () => false, codes: backendCodes }),
    mode: wordOrAbsent("attached", "detached"),
    entries: orAbsent(number(() => false)),
    inFlightLimit: orAbsent(whole(1, 1_000_000)),
    buffersMaxBytes: bytesOrAbsent,
    chunksMaxBytes: bytesOrAbsent,
    zeroCopyReceive: orAbsent({ ...KINDS.record, codes: KINDS.options.codes }),
    debug: KINDS.options,
  });
}

/** Calls of the table in another shape, and what is set and not called. */
function othersOf({ io, datagrams, detached, client, file, path: named }: Scene): Call[] {
  const empty = argument(() => new Uint8Array(0), KINDS.bytesOrEmpty);
  const backlog = orAbsent(whole(0, 0x7fffffff));
  const nowhere = () => ({ path: named("socket") });
  const atPath = {
    path: KINDS.socketPath,
    backlog,
    family: wordOrAbsent("unix"),
  };
  const debug = options({ detectReuse: KINDS.boolean, traceOpens: KINDS.boolean });
  const zeroCopyReceive = record(
    () => ({ withoutDevice: true }),
    {
      sizeBytes: orAbsent(whole(65_536, 2 ** 30)),
      required: KINDS.boolean,
      withoutDevice: { takes: (value) => value === true, codes: KINDS.options.codes },
    },
    orAbsent(KINDS.record),
  );
  const resolve = options({
    ...{ beneath: KINDS.boolean, inRoot: KINDS.boolean, noSymlinks: KINDS.boolean },
  });
  return [
    {
      name: "openDirectory, resolve",
      make: ([it]) => io.openDirectory(named("none"), { resolve: it as object }),
      takes: [resolve],
    },
    ...callsOn("file, no bytes", file, {
      readFull: [empty, placed(true)],
      writeAll: [
        { ...empty, kind: KINDS.data },
        written(true, { dsync: KINDS.boolean, uncached: KINDS.boolean }),
      ],
    }),
    ...callsOn("socket, no bytes", client, {
      receiveFull: [empty, endings],
      sendAll: [{ ...empty, kind: dataOrParts.kind }, sendingMore],
    }),
    ...callsOn("a path", io, { listen: [record(nowhere, atPath)] }),
    ...callsOn("a family", io, {
      openDatagram: [record(() => ({ family: "ipv4" }), { family: families, ...COMMON_OPTIONS })],
    }),
    ...callsOn("a path", datagrams, {
      bind: [record(nowhere, { path: KINDS.socketPath })],
      sendTo: [dataOrList, record(nowhere, { path: KINDS.socketPath }), sending],
    }),
    ...callsOn("detached", detached, { runFor: [argument(() => 0, KINDS.place)] }),
    { name: "IO.open, debug", make: ([it]) => IO.open({ debug: it as object }), takes: [debug] },
    {
      name: "IO.open, zeroCopyReceive",
      make: ([it]) => IO.open({ zeroCopyReceive: it as never }),
      takes: [zeroCopyReceive],
    },
    {
      name: "completion.link",
      make: ([link]) => Object.assign(new Completion(), { link }) && undefined,
      takes: [argument(() => true, KINDS.boolean)],
    },
    {
      name: "completion.timeoutNs",
      make: ([timeoutNs]) => Object.assign(new Completion(), { timeoutNs }) && undefined,
      takes: [argument(() => 1, orAbsent(KINDS.size))],
    },
  ];
}

/** All of the table, as calls. */
export function callsOf(scene: Scene): Call[] {
  const { functions, ...classes } = tableOf(scene);
  const exported: Readonly<Record<string, unknown>> = { ...core };
  const calls = Object.entries(classes).flatMap(([name, { on, methods, statics }]) => [
    ...callsOn(name, on, methods),
    ...callsOn(name, exported[name] as object, statics),
  ]);
  // An attached IO is not driven by the program, whatever it gives.
  const driven = new Set(["IO.run", "IO.runFor"]);
  const rows = calls.filter((call) => !driven.has(call.name));
  return [...rows, ...callsOn("core", core, functions), ...othersOf(scene)];
}
