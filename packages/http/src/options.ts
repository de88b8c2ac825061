// The options of `serve`, checked.

import type { IO } from "@io/core";
import { checkNames, checkObject, checkType, refusal } from "./call_options.js";
import type { Exchange } from "./exchange.js";

/**
 * How much of the server a client may use. `Infinity` is no limit.
 *
 * @category Server
 */
export interface Limits {
  /** Bytes of a request's head; 16 KiB by default, as in Node. More is answered with 431. */
  headBytes?: number | undefined;
  /** Bytes of a request's target; 8 KiB by default. More is answered with 414. */
  targetBytes?: number | undefined;
  /** Fields of a request, and of its trailer; 128 by default. More is answered with 431. */
  fields?: number | undefined;
  /** Bytes of a request's body; no limit by default. More is answered with 413. */
  bodyBytes?: number | undefined;
  /** Connections at once; no limit by default. One more is closed at once. */
  connections?: number | undefined;
  /** Connections at once of one address; no limit by default. One more is closed at once. */
  connectionsPerAddress?: number | undefined;
  /** For the head of a request, from its first byte on; 60 s by default. 0 is no limit. */
  headTimeoutMs?: number | undefined;
  /** For the body of a request; 300 s by default. 0 is no limit. */
  bodyTimeoutMs?: number | undefined;
  /** From the head of a request to the end of its answer; none by default. */
  requestTimeoutMs?: number | undefined;
  /** For the next request of a connection to begin; 5 s by default, as in Node. 0 is no limit. */
  idleTimeoutMs?: number | undefined;
  /** For a client to take some of what is sent; 60 s by default. 0 is no limit. */
  sendTimeoutMs?: number | undefined;
}

/**
 * Answers a request with the classes of the web. A handler that has answered by the exchange
 * returns nothing.
 *
 * @category Server
 *
 * @param request an instance of `Request`
 * @param exchange the same in the plain form
 */
export type FetchHandler = (
  request: Request,
  exchange: Exchange,
) => Response | undefined | Promise<Response | undefined>;

/**
 * Answers a request by the methods of its exchange, now or later.
 *
 * @category Server
 *
 * @param exchange the request and its answer
 */
export type RequestHandler = (exchange: Exchange) => void | Promise<void>;

/**
 * Answers a request whose handler has thrown.
 *
 * @category Server
 *
 * @param error what was thrown
 * @param exchange the request
 */
export type ErrorHandler = (
  error: unknown,
  exchange: Exchange,
) => Response | undefined | Promise<Response | undefined>;

/**
 * What was answered, for a log: by a handler, or by the server itself when it has refused the
 * request.
 *
 * @category Logs and metrics
 */
export interface Answered {
  /** Of the request; empty when it was refused before that was known. */
  readonly method: string;
  /** As it was sent; empty when the request was refused before that was known. */
  readonly target: string;
  /**
   * The first line of the request as it was sent. Of one that is malformed or too long it is what
   * has come, up to 1 KiB: any bytes but line ends, each a character.
   */
  readonly requestLine: string;
  /**
   * Of the answer; 0 when the connection has ended before there was one, as that of a client that
   * has gone. One that cuts its request off and waits is answered with 400.
   */
  readonly status: number;
  /** Why the server has refused the request, as `"ERR_HTTP_BODY_SIZE"`; empty when it has not. */
  readonly refusal: string;
  /** Bytes of the answer, its head included. */
  readonly sentBytes: number;
  /** From the head of the request to the end of the answer; 0 when the head was refused. */
  readonly durationMs: number;
  /** 1 for HTTP/1.1, 0 for HTTP/1.0. */
  readonly minorVersion: number;
  /** The client's; empty for a unix socket. */
  readonly address: string;
  /** The field; empty when there is none. */
  readonly referer: string;
  /** The field; empty when there is none. */
  readonly userAgent: string;
}

/**
 * How {@link serve} is called. Either `fetch` or `request` answers.
 *
 * @category Server
 */
export interface ServeOptions {
  /** Answers with the web's `Request` and `Response`. */
  fetch?: FetchHandler | undefined;
  /** Answers with the plain form, which costs least. */
  request?: RequestHandler | undefined;
  /**
   * Called instead for requests that ask for another protocol, and for CONNECT. Without it the
   * former are answered as any other request, and CONNECT with 405.
   */
  upgrade?: RequestHandler | undefined;
  /** Default: 127.0.0.1. */
  host?: string | undefined;
  /** Default: 3000; 0 takes any that is free. */
  port?: number | undefined;
  /** The path of a unix socket, instead of a host and a port. */
  path?: string | undefined;
  /** Several servers share the port, each with a part of the connections (SO_REUSEPORT). */
  reusePort?: boolean | undefined;
  /** Connections that may wait in the kernel; 511 by default. */
  backlog?: number | undefined;
  /** An IO of your own. Without one the server opens one, and closes it when it stops. */
  io?: IO | undefined;
  /** How much of the server a client may use. */
  limits?: Limits | undefined;
  /**
   * What a handler throws: gives the answer, now or later, unless one was begun. Where it gives
   * none, the answer is 500 without any detail. Without an `onError` the error is printed, also one
   * that is thrown behind the answer. Not called for the reason of an abort: that a client has gone
   * is no fault of the handler.
   *
   * @param error what was thrown
   * @param exchange the request
   */
  onError?: ErrorHandler | undefined;
  /**
   * Called after each answer, also of a request that was refused before a handler was called or
   * could answer. A server without it measures no times.
   *
   * @param answered what was answered
   */
  onAnswered?: ((answered: Answered) => void) | undefined;
  /**
   * With `fetch`: puts a `Response` in the place of Node's, whose parts are made when they are
   * asked for, and which costs a tenth; and lets the global `Request` and `fetch` take the requests
   * of this server. True by default. With false Node's stay, responses of Node's are taken in any
   * case, and since Node 24 each request is one of Node's, which costs more.
   */
  replaceGlobals?: boolean | undefined;
}

/** The limits with all defaults. */
export type FullLimits = { readonly [Name in keyof Limits]-?: number };

const DEFAULTS: FullLimits = {
  headBytes: 16 * 1024,
  targetBytes: 8 * 1024,
  fields: 128,
  bodyBytes: Number.MAX_SAFE_INTEGER,
  connections: Number.MAX_SAFE_INTEGER,
  connectionsPerAddress: Number.MAX_SAFE_INTEGER,
  headTimeoutMs: 60_000,
  bodyTimeoutMs: 300_000,
  requestTimeoutMs: 0,
  idleTimeoutMs: 5_000,
  sendTimeoutMs: 60_000,
};

const KNOWN = [
  ...[
    "fetch",
    "request",
    "upgrade",
    "host",
    "port",
    "path",
    "reusePort",
    "backlog",
    "io",
    "limits",
  ],
  ...["onError", "onAnswered", "replaceGlobals"],
] as const satisfies readonly (keyof ServeOptions)[];

function refuse(message: string): never {
  throw refusal("serve", message);
}

/**
 * The options that were given, without those that are null. Throws an `HttpError` that says which
 * one is wrong and what is right. What `listen` takes is checked there.
 */
export function optionsFrom(options: ServeOptions): ServeOptions {
  checkNames("serve", options, KNOWN);
  const given: Partial<Record<keyof ServeOptions, unknown>> = {};
  for (const name of KNOWN) if (options[name] !== null) given[name] = options[name];
  for (const name of ["fetch", "request", "upgrade", "onError", "onAnswered"] as const) {
    checkType("serve", name, given[name], "function");
  }
  checkType("serve", "replaceGlobals", given.replaceGlobals, "boolean");
  const { fetch, request, path, host, port, reusePort, io, limits, replaceGlobals } =
    given as ServeOptions;
  if (fetch !== undefined && request !== undefined) {
    refuse("fetch and request were both given, and one answers: give one of them");
  }
  if (fetch === undefined && request === undefined) {
    refuse("give one of fetch and request, a function that answers");
  }
  if (request !== undefined && replaceGlobals !== undefined) {
    refuse("replaceGlobals is for fetch: request has nothing to do with the classes of the web");
  }
  if (io !== undefined && typeof io.listen !== "function")
    refuse("io is no IO: give what IO.open has opened");
  if (path === undefined) return given as ServeOptions;
  if (port !== undefined) refuse("give a path or a port, not both");
  if (host !== undefined) refuse("give a path or a host, not both");
  if (reusePort === true) refuse("reusePort is for a port: a path has one server");
  if (limits?.connectionsPerAddress != null) {
    refuse("limits.connectionsPerAddress is for a port: clients of a path have no addresses");
  }
  return given as ServeOptions;
}

/** The limits, checked. */
export function limitsFrom(limits: Limits | undefined): FullLimits {
  const full: Record<string, number> = { ...DEFAULTS };
  if (limits !== undefined) checkObject("serve: limits", limits, "limits");
  for (const [name, value] of Object.entries(limits ?? {})) {
    if (!(name in DEFAULTS)) {
      refuse(`there is no limit ${name}; known are ${Object.keys(DEFAULTS).join(", ")}`);
    }
    if (value === undefined || value === null) continue;
    const isTime = name.endsWith("Ms");
    const isWhole = Number.isInteger(value) || value === Number.POSITIVE_INFINITY;
    if (typeof value !== "number" || !(value >= 0) || (!isTime && !isWhole)) {
      refuse(`limits.${name} is ${String(value)}: give ${isTime ? "milliseconds" : "a number"}`);
    }
    full[name] = Math.min(value, isTime ? MAX_MS : Number.MAX_SAFE_INTEGER);
  }
  return full as unknown as FullLimits;
}

const MAX_MS = 0x7fffffff;
