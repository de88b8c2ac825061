// Opens stream sockets: those that listen, and those that connect.
import {
  type Address,
  addressFrom,
  type Place,
  placeOf,
  type VsockCid,
  vsockPlaceOf,
} from "../address.js";
import { type Moment, momentOfMask } from "../engine/mask.js";
import type { NativeSession } from "../engine/native.js";
import {
  type About,
  type Endings,
  endingsFrom,
  type OperationOptions,
  type Operations,
} from "../ring/promises.js";
import { MAX_BACKLOG } from "../ring/ring_sockets.js";
import type { Descriptor } from "../ring/types.js";
import {
  checkGiven,
  checkHost,
  flag,
  knows,
  oneOf,
  shown,
  valueError,
  wholeNumber,
} from "../support/check.js";
import { type AttemptOptions, type Attempts, attemptsFrom, connectByName } from "./connecting.js";
import { Listener } from "./listener.js";
import { addressOf, familyOf, Limit, type LookupOptions, withAddress } from "./lookup.js";
import { type SocketOptions, STREAM_OPTIONS } from "./option_types.js";
import {
  applySettings,
  hasOption,
  type OptionName,
  type OptionTarget,
  type OptionValues,
  type Settings,
  settingsFrom,
  trySettings,
} from "./options.js";
import { Socket } from "./socket.js";
import { ownFile } from "./socket_file.js";

/**
 * Where to listen: an address with a port (0: any free one), a unix socket's path, or a cid and a
 * port of vsock.
 *
 * @category Sockets
 */
export type ListenOptions = InternetListenOptions | UnixListenOptions | VsockListenOptions;

/**
 * @category Sockets
 */
interface BacklogOptions extends SocketOptions {
  /**
   * Connections that may wait in the kernel until they are accepted, 0 to 2^31 - 1; 511 by default,
   * as in Node. Linux caps it at `net.core.somaxconn`.
   */
  backlog?: number | null | undefined;
}

/**
 * A TCP port to listen on.
 *
 * @category Sockets
 */
export interface InternetListenOptions extends BacklogOptions, LookupOptions {
  /**
   * The address to listen on, or a name, of which the first address is taken. "127.0.0.1" by
   * default, which only this machine reaches: give "0.0.0.0" or "::" for every interface.
   */
  host?: string | null | undefined;
  /** The port, 0 to 65535; 0 for any free one, which `listener.address.port` then names. */
  port: number;
  /**
   * Chooses nothing: it stands here so that an `Address` of the library may be given. One that is
   * not that of the host, or beside a name, is refused with "ERR_INVALID_ARG_VALUE".
   */
  family?: "ipv4" | "ipv6" | null | undefined;
  /**
   * Share the port with other listeners that say so too (SO_REUSEPORT), such as one in each Worker;
   * the kernel spreads the connections. `false` by default.
   */
  reusePort?: boolean | null | undefined;
}

/**
 * A unix socket to listen on.
 *
 * @category Sockets
 */
export interface UnixListenOptions extends BacklogOptions {
  /**
   * The path of the socket's file, at most 107 bytes on Linux; or an abstract name that begins with
   * a zero byte (Linux).
   */
  path: string | Uint8Array;
  /**
   * "stream", the default, or "seqpacket": a connection that carries messages. Each send is one,
   * and each receive takes one; what does not fit into its memory is lost. macOS has none.
   */
  type?: "stream" | "seqpacket" | null | undefined;
}

/**
 * A port of vsock to listen on, for connections between a virtual machine and its host: vsock(7).
 *
 * @category Sockets
 */
export interface VsockListenOptions extends BacklogOptions {
  /**
   * "any" for every number that this machine has, "local" for connections of this machine alone
   * (Linux, with the module vsock_loopback), or one of its numbers.
   */
  cid: VsockCid;
  /**
   * The port, 0 to 2^32 - 1, or "any" for any free one, which `listener.address.port` then names.
   * One below 1024, 0 too, needs the right to it.
   */
  port: number | "any";
  /** "vsock", as an `Address` of the library has it; it may be left out. */
  family?: "vsock" | null | undefined;
}

/**
 * Where to connect: a TCP address, the path of a unix socket, or a cid and a port of vsock. All
 * addresses of a name are tried.
 *
 * @category Sockets
 */
export type ConnectOptions =
  | ({
      /** An address, or a name that is looked up; "127.0.0.1" by default. */
      host?: string | null | undefined;
      /** The port, 0 to 65535. */
      port: number;
      /**
       * The IP address of this machine to connect from; the system chooses by default. Where `host`
       * is a name, its addresses of the same family are tried.
       */
      localAddress?: string | null | undefined;
      /** The port to connect from, 0 to 65535; 0, the default, for any free one. */
      localPort?: number | null | undefined;
    } & AttemptOptions &
      SocketOptions)
  | ({
      /** The path of a unix socket, or an abstract name that begins with a zero byte (Linux). */
      path: string | Uint8Array;
      /** "stream", the default, or "seqpacket", as the listener has it. */
      type?: "stream" | "seqpacket" | null | undefined;
    } & SocketOptions)
  | ({
      /** The number of the machine: "host" of a virtual machine, "local" for this one (vsock). */
      cid: VsockCid;
      /** The port of vsock, 0 to 2^32 - 2. */
      port: number;
      /** "vsock", as an `Address` of the library has it; it may be left out. */
      family?: "vsock" | null | undefined;
      /** The port to connect from; any free one by default. */
      localPort?: number | null | undefined;
    } & SocketOptions);

const DEFAULT_BACKLOG = 511;
const MAX_PORT = 65_535;
// The next number stands for any free port, and for every cid.
const MAX_VSOCK_PORT = 0xfffffffe;
const ANY_CID = 0xffffffff;

// An Address that the library gave may be listened on and connected to.
const LISTEN = knows(
  "listen",
  ...["host", "port", "path", "cid", "family", "type", "backlog", "reusePort", "lookup"],
  ...STREAM_OPTIONS,
);
const CONNECT = knows(
  "connect",
  ...["host", "port", "path", "cid", "family", "type", "localAddress", "localPort"],
  ...STREAM_OPTIONS,
  ...["lookup", "autoSelectFamily", "autoSelectFamilyAttemptTimeoutMs"],
);

// Of a listener. A BSD takes the first only when it listens. The others are set of each connection,
// because not every system has it inherit them.
const AFTER_LISTEN: readonly OptionName[] = ["fastOpen"];
const OF_CONNECTIONS: readonly OptionName[] = ["noDelay", "zeroCopyThresholdBytes"];
const OF_VSOCK_CONNECTIONS: readonly OptionName[] = ["zeroCopyThresholdBytes"];
const BEFORE_BIND: readonly OptionName[] = [
  "reuseAddress",
  "reusePort",
  ...STREAM_OPTIONS.filter((name) => ![...AFTER_LISTEN, ...OF_CONNECTIONS].includes(name)),
];
const BEFORE_CONNECT: readonly OptionName[] = ["reuseAddress", ...STREAM_OPTIONS];

const TYPES = { stream: true, seqpacket: true } as const;
type Type = keyof typeof TYPES;

interface Listening {
  readonly type: Type;
  readonly backlog: number;
  readonly beforeBind: Settings;
  readonly afterListen: Settings;
  readonly ofConnections: Settings;
}

/** Makes a socket that listens; see `IO.listen`. */
export async function openListener(
  operations: Operations,
  session: NativeSession,
  options: ListenOptions & OperationOptions,
): Promise<Listener> {
  checkGiven(options, LISTEN);
  const endings = endingsFrom(options, LISTEN);
  const { reusePort, path, ...given } = options as SocketOptions & {
    reusePort?: boolean;
    path?: unknown;
  };
  const vsock = vsockPlaceOf(options, "listen");
  const isUnix = path !== undefined && path !== null;
  const isInternet = !isUnix && vsock === null;
  const shares = flag(reusePort, false, "reusePort", "listen");
  if (shares && vsock !== null) {
    throw valueError(
      "listen",
      "reusePort is true, and a vsock socket shares no port: leave it out",
    );
  }
  const backlog = wholeNumber(
    options.backlog ?? DEFAULT_BACKLOG,
    0,
    MAX_BACKLOG,
    "the backlog",
    "listen",
  );
  const values: OptionValues = {
    ...given,
    noDelay: given.noDelay ?? (isInternet ? true : undefined),
    reuseAddress: isInternet ? true : undefined,
    reusePort: shares && isInternet ? true : undefined,
  };
  // The listener itself refuses what its connections would.
  const beforeBind: readonly OptionName[] =
    vsock === null ? BEFORE_BIND : [...BEFORE_BIND, "noDelay"];
  const how: Listening = {
    type: typeFrom(options, isUnix, "listen"),
    backlog,
    beforeBind: settingsFrom(values, beforeBind, "listen"),
    afterListen: settingsFrom(values, AFTER_LISTEN, "listen"),
    ofConnections: settingsFrom(
      values,
      vsock === null ? OF_CONNECTIONS : OF_VSOCK_CONNECTIONS,
      "listen",
    ),
  };
  const moment = momentOfMask();
  const opener = new Opener(operations, session);
  if (vsock !== null) return opener.listen(vsock, how, moment);
  const place = options as InternetListenOptions | UnixListenOptions;
  return withAddress(operations, "listen", place, endings, (address) =>
    opener.listen(address, how, moment),
  );
}

/** Makes a socket that is connected; see `IO.connect`. */
export async function connectSocket(
  operations: Operations,
  session: NativeSession,
  options: ConnectOptions & OperationOptions,
): Promise<Socket> {
  checkGiven(options, CONNECT);
  const endings = endingsFrom(options, CONNECT);
  const attempts = attemptsFrom(options as AttemptOptions);
  const place = vsockPlaceOf(options, "connect") ?? placeOf(options as Place, "connect");
  const from = await localFrom(options as LocalOptions, "family" in place ? place.family : null);
  const isVsock = "family" in place && place.family === "vsock";
  const given = options as SocketOptions;
  const values: OptionValues = {
    ...given,
    noDelay: given.noDelay ?? ("family" in place ? undefined : true),
    // As Node does: the port may be taken again while an ended connection still lingers on it.
    reuseAddress: from === null || from.port === 0 || isVsock ? undefined : true,
  };
  const settings = settingsFrom(values, BEFORE_CONNECT, "connect");
  const type = typeFrom(options, "family" in place && place.family === "unix", "connect");
  const opener = new Opener(operations, session);
  const connect = (address: Address, ends: OperationOptions): Promise<Socket> =>
    opener.connect(address, type, from, settings, ends);
  if ("family" in place) return connect(place, endings);
  return connectTo(operations, place, attempts, from, endings, connect);
}

function typeFrom(options: object, isUnix: boolean, operation: string): Type {
  const { type } = options as { type?: unknown };
  if (type === undefined || type === null) return "stream";
  const known = oneOf(type, TYPES, "the type", operation);
  if (known === "stream" || isUnix) return known;
  throw valueError(operation, `the type is "${known}", which only unix sockets have: give a path`);
}

async function connectTo(
  operations: Operations,
  place: { host: string; port: number },
  attempts: Attempts,
  from: LocalPlace | null,
  endings: Endings,
  connect: (address: Address, ends: OperationOptions) => Promise<Socket>,
): Promise<Socket> {
  const { host, port } = place;
  const family = await familyOf(host);
  if (family !== 0) return connect(addressOf({ address: host, family }, port), endings);
  const limit = new Limit(operations, "connect", place, endings);
  try {
    return await connectByName(place, attempts, limit, connect, from?.family ?? null);
  } finally {
    limit.finish();
  }
}

interface LocalOptions {
  readonly localAddress?: unknown;
  readonly localPort?: unknown;
}

/** Where to connect from. */
interface LocalPlace {
  /** Null when only a port was given. */
  readonly family: "ipv4" | "ipv6" | null;
  readonly host: string | null;
  readonly port: number;
}

async function localFrom(
  { localAddress, localPort }: LocalOptions,
  family: Address["family"] | null,
): Promise<LocalPlace | null> {
  const host = localAddress ?? null;
  if (host === null && (localPort === undefined || localPort === null)) return null;
  if (family === "unix") {
    throw valueError("connect", "localAddress and localPort are not for the path of a unix socket");
  }
  if (family === "vsock") {
    if (host !== null) throw valueError("connect", "localAddress is not for a cid: localPort is");
    const vsockPort = wholeNumber(localPort, 0, MAX_VSOCK_PORT, "localPort", "connect");
    return { family: null, host: null, port: vsockPort };
  }
  const port = wholeNumber(localPort ?? 0, 0, MAX_PORT, "localPort", "connect");
  if (host === null) return port === 0 ? null : { family: null, host: null, port };
  checkHost(host, "connect");
  const version = await familyOf(host as string);
  if (version === 0) {
    const right = "give an IP address of this machine";
    throw valueError("connect", `localAddress is ${shown(host)}: ${right}`);
  }
  return { family: version === 6 ? "ipv6" : "ipv4", host: host as string, port };
}

/** Opens sockets of one IO. */
class Opener {
  readonly #operations: Operations;
  readonly #session: NativeSession;

  constructor(operations: Operations, session: NativeSession) {
    this.#operations = operations;
    this.#session = session;
  }

  listen(address: Address, how: Listening, moment: Moment): Promise<Listener> {
    const { ring } = this.#operations;
    return this.#withSocket(address, how.type, async (target, subject) => {
      const { number } = target;
      applySettings(target, how.beforeBind, "listen");
      await this.#operations.run(
        (pending, settle) => ring.bind(pending, settle, number, address),
        undefined,
        subject,
      );
      ownFile(this.#session, number, address, moment);
      await this.#operations.run(
        (pending, settle) => ring.listen(pending, settle, number, how.backlog),
        undefined,
        subject,
      );
      applySettings(target, how.afterListen, "listen");
      const name = this.#session.name(number, false);
      const bound = typeof name === "number" ? null : addressFrom(...name);
      return new Listener(
        this.#operations,
        number,
        bound ?? address,
        (accepted) => this.#accepted(accepted, how.type, how.ofConnections),
        this.#session,
      );
    });
  }

  connect(
    address: Address,
    type: Type,
    from: LocalPlace | null,
    settings: Settings,
    options: OperationOptions,
  ): Promise<Socket> {
    const { ring } = this.#operations;
    return this.#withSocket(address, type, async (target, subject) => {
      const { number } = target;
      applySettings(target, settings, "connect");
      if (from !== null) await this.#bind(target, address, from);
      await this.#operations.run(
        (pending, settle) => ring.connect(pending, settle, number, address),
        options,
        subject,
        CONNECT,
      );
      const socket = this.#socket(number, type);
      socket.target = address;
      return socket;
    });
  }

  async #bind(target: OptionTarget, address: Address, from: LocalPlace): Promise<void> {
    const { port } = from;
    if (address.family === "vsock") return this.#bindTo(target, { ...address, cid: ANY_CID, port });
    const family = address.family === "ipv6" ? "ipv6" : "ipv4";
    const host = from.host ?? (family === "ipv6" ? "::" : "0.0.0.0");
    const local: Address = { family: from.family ?? family, host, port };
    // Else the bind takes a port from all peers at once, and there are few of them.
    if (port === 0 && hasOption("bindWithoutPort")) {
      trySettings(target, settingsFrom({ bindWithoutPort: true }, ["bindWithoutPort"], "connect"));
    }
    await this.#bindTo(target, local);
  }

  async #bindTo(target: OptionTarget, local: Address): Promise<void> {
    await this.#operations.run(
      (pending, settle) => this.#operations.ring.bind(pending, settle, target.number, local),
      undefined,
      { place: local },
    );
  }

  // Their options fail on a connection that has ended already; its first receive reports that.
  #accepted(descriptor: Descriptor, type: Type, settings: Settings): Socket {
    trySettings(this.#target(descriptor), settings);
    return this.#socket(descriptor, type);
  }

  #socket(descriptor: Descriptor, type: Type): Socket {
    const socket = new Socket(this.#operations, descriptor);
    socket.carriesMessages = type === "seqpacket";
    return socket;
  }

  #target(number: Descriptor): OptionTarget {
    return { session: this.#session, number, backend: this.#operations.backend };
  }

  // A socket whose set-up fails is closed again.
  async #withSocket<T>(
    address: Address,
    type: Type,
    use: (target: OptionTarget, subject: About) => Promise<T>,
  ): Promise<T> {
    const subject = { place: address };
    const descriptor = await this.#operations.run(
      (pending, settle) => this.#operations.ring.socket(pending, settle, address.family, type),
      undefined,
      subject,
    );
    try {
      return await use(this.#target(descriptor), subject);
    } catch (error) {
      await this.#operations.close(descriptor);
      throw error;
    }
  }
}
