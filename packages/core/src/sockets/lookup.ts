// How a name becomes addresses, and the one deadline and signal of a call that begins with that.

import type { LookupFunction } from "node:net";
import { constants } from "node:os";
import {
  type Address,
  formatAddress,
  type InternetAddress,
  type Place,
  placeOf,
  type UnixAddress,
} from "../address.js";
import { OPCODE_CONNECT } from "../engine/abi.js";
import { builtin } from "../engine/builtin.js";
import { closedError, IOError, operationError } from "../errors.js";
import {
  aborted,
  type Endings,
  failed,
  fromHere,
  type OperationOptions,
  type Operations,
} from "../ring/promises.js";
import { follow, unfollow } from "../support/aborts.js";
import { checkFunction } from "../support/check.js";

// The longest delay of setTimeout().
const MAX_DELAY_MS = 0x7fffffff;

/**
 * The end of a call that is made of several steps: its time limit, its signal, and the close of its
 * IO. What ends first says why.
 */
export class Limit {
  /** Ends the steps. */
  readonly signal: AbortSignal;
  /** Why the call has ended before its steps did. */
  error: IOError | null = null;
  readonly #operations: Operations;
  readonly #operation: string;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #onAbort: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** Throws when the signal is aborted or the IO closed already: then nothing is begun. */
  constructor(
    operations: Operations,
    operation: string,
    { host, port }: { host: string; port: number },
    { signal, timeoutMs }: Endings,
  ) {
    operations.check(operation);
    if (signal?.aborted) throw aborted(operation, signal);
    this.#operations = operations;
    this.#operation = operation;
    this.signal = this.#controller.signal;
    this.#outer = signal;
    this.#onAbort = () => this.#end(aborted(operation, signal as AbortSignal));
    if (signal !== undefined) follow(signal, this.#onAbort);
    operations.limits.add(this);
    if (timeoutMs === undefined) return;
    const elapsed = -constants.errno.ETIMEDOUT;
    const peer = { address: host, port, name: `${host}:${port}` };
    this.#wait(performance.now() + timeoutMs, () =>
      this.#end(operationError(OPCODE_CONNECT, elapsed, operations.backend, { peer })),
    );
  }

  /** The IO is being closed. */
  close(): void {
    this.#end(closedError(this.#operation, "the IO"));
  }

  /** What the promise says, or the end of the call if that comes first. */
  race<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.error !== null) throw this.error;
      let over = false;
      const settled = (settle: () => void): void => {
        if (!over) settle();
        over = true;
      };
      const end = (): void => settled(() => resolve(failed(this.error)));
      this.signal.addEventListener("abort", end, { once: true });
      promise.then(
        (value) => settled(() => resolve(value)),
        (error: unknown) => settled(() => reject(error)),
      );
    });
  }

  /** The call has ended: nothing of this is left. */
  finish(): void {
    clearTimeout(this.#timer);
    if (this.#outer !== undefined) unfollow(this.#outer, this.#onAbort);
    this.#operations.limits.delete(this);
  }

  #end(error: IOError): void {
    if (this.error !== null) return;
    this.error = error;
    this.#controller.abort(error);
  }

  #wait(endMs: number, elapsed: () => void): void {
    const leftMs = endMs - performance.now();
    const again = (): void => {
      if (performance.now() >= endMs) elapsed();
      else this.#wait(endMs, elapsed);
    };
    this.#timer = setTimeout(again, Math.min(Math.max(0, Math.ceil(leftMs)), MAX_DELAY_MS));
  }
}

/**
 * How a name becomes an address.
 *
 * @category Sockets
 */
export interface LookupOptions {
  /** Looks up a name in the place of `dns.lookup`, as the option of `net.connect` does. */
  lookup?: LookupFunction | null | undefined;
}

/**
 * A place as an address: the first one, when a name has several. `use` is given it with the options
 * that end what it begins.
 */
export async function withAddress<T>(
  operations: Operations,
  operation: string,
  target: Place & LookupOptions,
  options: Endings,
  use: (address: InternetAddress | UnixAddress, options: OperationOptions) => Promise<T>,
): Promise<T> {
  const place = placeOf(target, operation);
  const lookup = lookupFrom(target, operation);
  if ("family" in place) return use(place, options);
  const { host, port } = place;
  const family = await familyOf(host);
  if (family !== 0) return use(addressOf({ address: host, family }, port), options);
  const limit = new Limit(operations, operation, place, options);
  try {
    const [address] = await limit.race(addressesOf(host, port, operation, lookup));
    return await use(address as InternetAddress, { signal: limit.signal });
  } catch (error) {
    throw fromHere(limit.error ?? error);
  } finally {
    limit.finish();
  }
}

/** The function that looks up names, checked; undefined for Node's. */
export function lookupFrom(
  { lookup }: LookupOptions,
  operation: string,
): LookupFunction | undefined {
  if (lookup === undefined || lookup === null) return undefined;
  checkFunction(lookup, "lookup", operation);
  return lookup;
}

/** Of an IP address; 0 of a name. */
export async function familyOf(host: string): Promise<0 | 4 | 6> {
  // Loaded when first needed: a program that only uses files starts faster without it.
  const { isIP } = builtin("node:net");
  return isIP(host.replace(/%.*$/, "")) as 0 | 4 | 6;
}

interface Found {
  address: string;
  family: 4 | 6;
}

/**
 * The addresses of a name, one at least, in the order in which `lookup` gives them, by default
 * `dns.lookup`. Fails with Node's own code ("ENOTFOUND", "EAI_AGAIN").
 */
export async function addressesOf(
  host: string,
  port: number,
  operation: string,
  lookup: LookupFunction | undefined,
): Promise<Address[]> {
  let answer: unknown;
  try {
    answer = await (lookup === undefined ? lookUpByNode(host) : lookUpBy(lookup, host));
  } catch (error) {
    throw lookupError(operation, host, error);
  }
  const found = new Map<string, Address>();
  for (const one of [answer].flat()) {
    const address = addressOf(await checked(one, operation, host), port);
    found.set(`${address.family} ${address.host}`, address);
  }
  if (found.size > 0) return [...found.values()];
  throw lookupError(operation, host, Object.assign(new Error("no address"), { code: "ENOTFOUND" }));
}

async function lookUpByNode(host: string): Promise<unknown> {
  return builtin("node:dns/promises").lookup(host, { all: true });
}

// As with node:net: it may call back with a list, or with one address and its family.
function lookUpBy(lookup: LookupFunction, host: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    lookup(host, { all: true }, (error, answer, family) => {
      if (error) reject(error);
      else resolve(typeof answer === "string" ? { address: answer, family } : answer);
    });
  });
}

export function addressOf({ address, family }: Found, port: number): InternetAddress {
  return { family: family === 6 ? "ipv6" : "ipv4", host: address, port };
}

async function checked(one: unknown, operation: string, host: string): Promise<Found> {
  const address = (one as Partial<Found> | null | undefined)?.address;
  const family = typeof address === "string" ? await familyOf(address) : 0;
  if (family !== 0) return { address: address as string, family };
  throw new IOError({
    code: "ERR_INVALID_IP_ADDRESS",
    operation,
    host,
    message: `${operation}: the look-up of "${host}" gave ${String(address)}, which is no address`,
  });
}

function lookupError(operation: string, host: string, cause: unknown): IOError {
  const { code, errno, syscall } = (cause ?? {}) as NodeJS.ErrnoException;
  const name = typeof code === "string" ? code : "EAI_FAIL";
  const text = ADVICE.get(name) ?? (cause instanceof Error ? cause.message : String(cause));
  return new IOError({
    code: name,
    operation,
    host,
    message: `${operation} failed: ${name}, the name "${host}" cannot be looked up (${text})`,
    ...(typeof errno === "number" ? { errno } : {}),
    ...(typeof syscall === "string" ? { syscall } : {}),
    cause,
  });
}

const ADVICE: ReadonlyMap<string, string> = new Map([
  ["ENOTFOUND", "there is no such name"],
  ["EAI_AGAIN", "the name server did not answer: try again, or see that the network is up"],
]);

/** Addresses of both families in turn, beginning with that of the first: RFC 8305, section 4. */
export function alternated(addresses: readonly Address[]): Address[] {
  const first = addresses[0]?.family;
  const preferred = addresses.filter(({ family }) => family === first);
  const others = addresses.filter(({ family }) => family !== first);
  return addresses.flatMap((_, index) => [
    ...preferred.slice(index, index + 1),
    ...others.slice(index, index + 1),
  ]);
}

/** The error of a connect that failed at each of several addresses. */
export function allFailed(
  target: string,
  host: string,
  addresses: readonly Address[],
  errors: readonly unknown[],
): unknown {
  const [first] = errors;
  if (errors.length <= 1 || !(first instanceof IOError)) return first;
  const each = errors.map((error, index) => {
    const code = error instanceof IOError ? error.code : String(error);
    return `${code} at ${formatAddress(addresses[index] as Address)}`;
  });
  const { code, errno, syscall, operation, backend, address, port } = first;
  return new IOError({
    code,
    operation,
    host,
    ...(address === undefined ? {} : { address }),
    ...(port === undefined ? {} : { port }),
    message: `${operation} of '${target}' failed at all of its addresses: ${each.join(", ")}`,
    errors,
    cause: first,
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(backend === undefined ? {} : { backend }),
  });
}
