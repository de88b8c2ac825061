// How a socket connects: the look-up of a name, and one attempt after the other.

import { ADDRCONFIG, lookup as lookUp } from "node:dns";
import {
  type BlockList,
  getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  isIP,
  type LookupFunction,
} from "node:net";
import { constants } from "node:os";
import type { Socket as CoreSocket } from "@io/core";
import { type Environment, sharedEnvironment } from "../engine/environment.js";
import { addressError, argumentTypeError, errnoOf, type NetError, nodeError } from "../errors.js";
import {
  blockListFrom,
  checkBoolean,
  checkFunction,
  checkInt32,
  checkNumber,
  checkPort,
  checkString,
  type Options,
} from "./arguments.js";
import type { Socket } from "./socket.js";

const MIN_ATTEMPT_MS = 10;
const TIMED_OUT = -constants.errno.ETIMEDOUT;
const CANCELED = -constants.errno.ECANCELED;

interface Found {
  address: string;
  family: number;
}

type Ended = (error: NetError | null, socket: CoreSocket | null) => void;

interface LocalOptions {
  localAddress?: string;
  localPort?: number;
}

interface Checked {
  readonly path: string | null;
  readonly host: string;
  readonly port: number;
  readonly all: boolean;
  readonly attemptMs: number;
  readonly blockList: BlockList | null;
}

function invalidAddress(address: unknown): Error {
  return nodeError(TypeError, "ERR_INVALID_IP_ADDRESS", `Invalid IP address: ${address}`);
}

function check(options: Options): Checked {
  const path = options["path"];
  if (path) {
    const nothing = { host: "", port: 0, all: false, attemptMs: 0, blockList: null };
    return { ...nothing, path: checkString(path, "options.path") };
  }
  const { localAddress, localPort, port, lookup } = options;
  const host = (options["host"] as string | undefined) || "localhost";
  if (localAddress && !isIP(localAddress as string)) throw invalidAddress(localAddress);
  if (localPort) checkNumber(localPort, "options.localPort");
  if (port !== undefined && typeof port !== "number" && typeof port !== "string") {
    throw argumentTypeError("options.port", ["number", "string"], port);
  }
  const number = port === undefined ? 0 : checkPort(port);
  const { autoSelectFamily: all, autoSelectFamilyAttemptTimeout: attempt } = options;
  const wanted =
    all === undefined || all === null
      ? getDefaultAutoSelectFamily()
      : checkBoolean(all, "options.autoSelectFamily");
  const attemptMs =
    attempt === undefined || attempt === null
      ? getDefaultAutoSelectFamilyAttemptTimeout()
      : checkInt32(attempt, "options.autoSelectFamilyAttemptTimeout", 1);
  if (lookup !== undefined && lookup !== null && isIP(host) === 0) {
    checkFunction(lookup, "options.lookup");
  }
  return {
    path: null,
    host,
    port: number,
    all: wanted && !localAddress,
    attemptMs: Math.max(MIN_ATTEMPT_MS, attemptMs),
    blockList: blockListFrom(options["blockList"]),
  };
}

/** A socket that is being connected. Its events are emitted on the socket. */
export class Connecting {
  readonly #socket: Socket;
  readonly #options: Options;
  readonly #checked: Checked;
  #canceled = false;
  #abort: AbortController | null = null;
  #errors: NetError[] = [];

  constructor(socket: Socket, options: Options) {
    this.#socket = socket;
    this.#options = options;
    this.#checked = check(options);
  }

  start(): void {
    const { path, host, port } = this.#checked;
    if (path !== null) {
      this.#connect({ path }, (error, connected) => this.#settle(error, connected));
      return;
    }
    const family = isIP(host);
    if (family !== 0) {
      process.nextTick(() => {
        if (!this.#canceled) this.#connectOne({ address: host, family }, port);
      });
      return;
    }
    this.#lookUp(host, port);
  }

  /** The socket was destroyed. */
  cancel(): void {
    this.#canceled = true;
    this.#abort?.abort();
  }

  setRef(_refs: boolean): void {
    // An attempt is one operation that ends by itself; what is connected gets the wish.
  }

  // ---- names

  #lookUp(host: string, port: number): void {
    const { family, hints } = this.#options as { family?: number; hints?: number };
    const lookup = (this.#options["lookup"] as LookupFunction | undefined) ?? lookUp;
    const onlyOne = family === 4 || family === 6;
    const asked: { family?: number | undefined; hints: number; all?: boolean } = {
      family,
      hints: hints || 0,
    };
    if (!onlyOne && asked.hints === 0) asked.hints = ADDRCONFIG;
    this.#socket._host = host;
    const all = this.#checked.all && !onlyOne;
    if (all) asked.all = true;
    (lookup as (host: string, options: object, found: (...given: never[]) => void) => void)(
      host,
      asked,
      all
        ? (error: Error | null, addresses: Found[]) => this.#foundAll(error, addresses, host, port)
        : (error: Error | null, address: string, type: number) =>
            this.#foundOne(error, { address, family: type }, host, port),
    );
  }

  #foundOne(error: Error | null, found: Found, host: string, port: number): void {
    const socket = this.#socket;
    socket.emit("lookup", error, found.address, found.family, host);
    if (this.#canceled) return;
    const failure = error ?? this.#faultOf(found);
    if (failure !== null) {
      this.#failLater(failure);
      return;
    }
    socket._unrefTimer();
    this.#connectOne(found, port);
  }

  #faultOf({ address, family }: Found): Error | null {
    if (isIP(address) === 0) return invalidAddress(address);
    if (family === 4 || family === 6) return null;
    const { host, port } = this.#options;
    const message = `Invalid address family: ${family} ${host}:${port}`;
    const error = nodeError(RangeError, "ERR_INVALID_ADDRESS_FAMILY", message);
    return Object.assign(error, { host, port });
  }

  #foundAll(error: Error | null, found: Found[], host: string, port: number): void {
    const socket = this.#socket;
    if (this.#canceled) return;
    if (error) {
      socket.emit("lookup", error, undefined, undefined, host);
      this.#failLater(error);
      return;
    }
    for (const { address, family } of found) socket.emit("lookup", null, address, family, host);
    if (this.#canceled) return;
    const valid = found.filter((one) => this.#faultOf(one) === null);
    const [first] = valid;
    if (first === undefined) {
      const fault = found[0] === undefined ? invalidAddress(undefined) : this.#faultOf(found[0]);
      this.#failLater(fault as Error);
      return;
    }
    socket._unrefTimer();
    if (valid.length === 1) {
      this.#connectOne(first, port);
      return;
    }
    socket.autoSelectFamilyAttemptedAddresses = [];
    this.#tryNext(inTurn(valid, first.family), 0, port);
  }

  #failLater(error: Error): void {
    process.nextTick(() => {
      if (!this.#canceled) this.#socket.destroy(error);
    });
  }

  // ---- attempts

  #connectOne(found: Found, port: number): void {
    const { address, family } = found;
    this.#socket.emit("connectionAttempt", address, port, family);
    if (this.#canceled) return;
    if (this.#isBlocked(found)) {
      this.#socket.destroy(blocked(address));
      return;
    }
    this.#connect(found, (error, connected) => {
      if (error !== null) {
        this.#socket.emit("connectionAttemptFailed", address, port, family, error);
      }
      this.#settle(error, connected);
    });
  }

  #tryNext(addresses: readonly Found[], index: number, port: number): void {
    const socket = this.#socket;
    const found = addresses[index];
    if (found === undefined) {
      socket.destroy(allFailed(this.#errors));
      return;
    }
    const { address, family } = found;
    socket.autoSelectFamilyAttemptedAddresses?.push(`${address}:${port}`);
    socket.emit("connectionAttempt", address, port, family);
    if (this.#canceled) return;
    let timer: NodeJS.Timeout | undefined;
    let over = false;
    const next = (error: NetError): void => {
      over = true;
      clearTimeout(timer);
      this.#errors.push(error);
      if (!this.#canceled) this.#tryNext(addresses, index + 1, port);
    };
    if (this.#isBlocked(found)) {
      const error = blocked(address);
      socket.emit("connectionAttemptFailed", address, port, family, error);
      next(error);
      return;
    }
    this.#connect(found, (error, connected) => {
      if (over) {
        void connected?.close();
        return;
      }
      if (error === null) {
        clearTimeout(timer);
        this.#settle(null, connected);
        return;
      }
      socket.emit("connectionAttemptFailed", address, port, family, error);
      next(error);
    });
    if (index === addresses.length - 1) return;
    const attempt = this.#abort;
    timer = setTimeout(() => {
      socket.emit("connectionAttemptTimeout", address, port, family);
      next(this.#errorOf(TIMED_OUT, found));
      attempt?.abort();
    }, this.#checked.attemptMs);
  }

  get #local(): { localAddress?: string; localPort?: number } {
    const { localAddress, localPort } = this.#options as Options & LocalOptions;
    return { ...(localAddress ? { localAddress } : {}), ...(localPort ? { localPort } : {}) };
  }

  // As in Node: a connection that cannot be bound names where it should have come from.
  #bindErrorOf(errno: number, found: Found): NetError {
    const { localAddress, localPort } = this.#local;
    const unspecified = found.family === 6 ? "::" : "0.0.0.0";
    return addressError(errno, "bind", localAddress ?? unspecified, localPort);
  }

  #errorOf(errno: number, found: Found | { path: string }): NetError {
    if ("path" in found) return addressError(errno, "connect", found.path);
    const { localAddress, localPort } = this.#options;
    const local = localAddress || localPort ? `${localAddress ?? ""}:${localPort ?? 0}` : undefined;
    return addressError(errno, "connect", found.address, this.#checked.port, local);
  }

  #isBlocked({ address, family }: Found): boolean {
    return this.#checked.blockList?.check(address, family === 6 ? "ipv6" : "ipv4") ?? false;
  }

  #connect(found: Found | { path: string }, ended: Ended): void {
    const abort = new AbortController();
    this.#abort = abort;
    const { noDelay } = this.#socket._wishes;
    const target =
      "path" in found
        ? { path: found.path }
        : { host: found.address, port: this.#checked.port, noDelay, ...this.#local };
    const later = (error: NetError | null, connected: CoreSocket | null): void => {
      process.nextTick(ended, error, connected);
    };
    let environment: Environment;
    try {
      environment = sharedEnvironment();
    } catch (error) {
      later(error as NetError, null);
      return;
    }
    environment.io.connect({ ...target, signal: abort.signal }).then(
      (connected) => later(null, connected),
      (error: unknown) => {
        const { code, syscall } = error as NodeJS.ErrnoException;
        const errno = code === "ABORT_ERR" ? CANCELED : errnoOf(error);
        const isBind = syscall === "bind" && "address" in found;
        later(isBind ? this.#bindErrorOf(errno, found) : this.#errorOf(errno, found), null);
      },
    );
  }

  #settle(error: NetError | null, connected: CoreSocket | null): void {
    if (this.#canceled || this.#socket.destroyed) {
      void connected?.close();
      return;
    }
    if (error !== null) this.#socket.destroy(error);
    else this.#socket._connected(sharedEnvironment(), connected as CoreSocket);
  }
}

function blocked(address: string): NetError {
  return nodeError(Error, "ERR_IP_BLOCKED", `IP(${address}) is blocked by net.BlockList`);
}

/** Both families in turn, beginning with that of the first. */
function inTurn(addresses: readonly Found[], family: number): Found[] {
  const first = addresses.filter((one) => one.family === family);
  const others = addresses.filter((one) => one.family !== family);
  return addresses.flatMap((_, index) => [
    ...first.slice(index, index + 1),
    ...others.slice(index, index + 1),
  ]);
}

function allFailed(errors: readonly NetError[]): Error {
  const error = new AggregateError(errors);
  return Object.assign(error, { code: errors[0]?.code });
}
