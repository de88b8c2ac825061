// The server: a listener, its connections, and what they share.

import { AsyncResource } from "node:async_hooks";
import { channel } from "node:diagnostics_channel";
import { getSystemErrorName } from "node:util";
import { type Address, type BufferGroup, IO, type Listener, type Ring } from "@io/core";
import { stopTimeOf } from "./call_options.js";
import { Connection } from "./connection.js";
import { isThenable } from "./errors.js";
import type { Exchange } from "./exchange.js";
import { FieldBlock, HttpError } from "./fields.js";
import { Metrics } from "./metrics.js";
import {
  type Answered,
  type FullLimits,
  limitsFrom,
  optionsFrom,
  type ServeOptions,
} from "./options.js";
import { BlockPool } from "./outbox.js";
import { faultOf } from "./parser/faults.js";
import { HeadPool, type Refused, type ServerCore, type Ticks } from "./server_core.js";
import { reasonOf, refreshDate } from "./status.js";
import { answerByFetch, answerWith } from "./web/answer.js";
import { nodeTakesOurs, replaceGlobals } from "./web/globals.js";
import { Wheel } from "./wheel.js";

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = 3000;
const MAX_RECEIVING_BYTES = 64 * 1024 * 1024;
const MAX_TICK_MS = 500;
const MIN_TICK_MS = 10;
const LINGER_MS = 2000;
const LOOK_MS = 1000;
const FAILURES_MS = 1000;
const MAX_LOGGED_BYTES = 1024;
const MAX_CAUSES = 8;
const PLAIN = new FieldBlock({ "content-type": "text/plain" });

/** Published for each request, before its handler is called: `{ exchange }`. */
const requestChannel = channel("io:http:request:create");
/** Published when an answer is complete, or its connection has ended: `{ exchange, status }`. */
const answerChannel = channel("io:http:request:finish");
/** Published when a handler has thrown: `{ exchange, error }`. */
const errorChannel = channel("io:http:request:error");
/**
 * Published when a request is refused: `{ code, status, exchange }`. The exchange is null when the
 * request was refused before its handler was called.
 */
const refusedChannel = channel("io:http:request:refused");

// Ticks small enough for the shortest time, so that no time is missed by much.
function wheelFor(limits: FullLimits, isNeeded: () => boolean): Wheel {
  const times = Object.entries(limits).filter(([name, value]) => name.endsWith("Ms") && value > 0);
  const shortest = Math.min(...times.map(([, value]) => value), LINGER_MS);
  const tickMs = Math.max(MIN_TICK_MS, Math.min(MAX_TICK_MS, Math.floor(shortest / 4)));
  return new Wheel(tickMs, refreshDate, isNeeded);
}

/**
 * Starts a server, which listens when this resolves.
 *
 * @category Server
 *
 * @param options what answers, where it listens, and its limits
 * @returns the server
 * @throws `ERR_HTTP_OPTION` for options that are wrong, and the `IOError` of `io.listen`
 *
 * @example
 * ```ts
 * import { serve } from "@io/http";
 *
 * await using server = await serve({ port: 0, fetch: () => new Response("Hello") });
 * const answer = await fetch(server.url);
 * console.log(await answer.text());
 * ```
 */
export async function serve(options: ServeOptions): Promise<Server> {
  return await start(optionsFrom(options));
}

async function start(options: ServeOptions): Promise<Server> {
  const limits = limitsFrom(options.limits);
  const io = options.io ?? (await IO.open());
  try {
    const { path, host, port, backlog, reusePort } = options;
    const listener = await (path === undefined
      ? io.listen({ host: host ?? DEFAULT_HOST, port: port ?? DEFAULT_PORT, backlog, reusePort })
      : io.listen({ path, backlog }));
    if (options.fetch !== undefined && options.replaceGlobals !== false) replaceGlobals();
    return new Server(options, limits, io, listener);
  } catch (error) {
    if (options.io === undefined) await io.close();
    throw error;
  }
}

/**
 * A server that `serve` has started.
 *
 * @category Server
 *
 * @example
 * ```ts
 * import { serve } from "@io/http";
 *
 * const server = await serve({ port: 0, fetch: () => new Response("Hello") });
 * console.log(server.url, server.connections);
 * await server.stop({ timeoutMs: 5_000 });
 * ```
 */
export class Server implements AsyncDisposable {
  /** Where it listens; a port of 0 is resolved. */
  readonly address: Address;
  /** What it has counted. */
  readonly metrics = new Metrics();
  /** The IO that it works with. */
  readonly io: IO;
  readonly #listener: Listener;
  readonly #connections = new Set<Connection>();
  readonly #closing = new Set<Promise<void>>();
  readonly #perAddress = new Map<string, number>();
  readonly #options: ServeOptions;
  readonly #limits: FullLimits;
  readonly #core: ServerCore;
  readonly #wheel: Wheel;
  readonly #group: BufferGroup;
  #stopping: Promise<void> | null = null;
  // What many connections fail of is reported once a second.
  #reportsFailuresFromMs = 0;
  #onEmpty: (() => void) | null = null;

  /** Use `serve`. @internal */
  constructor(options: ServeOptions, limits: FullLimits, io: IO, listener: Listener) {
    this.#options = options;
    this.#limits = limits;
    this.io = io;
    this.#listener = listener;
    this.address = listener.address;
    this.#wheel = wheelFor(limits, () => this.#connections.size > 0);
    this.#group = io.ring.bufferGroup({ maxBytes: MAX_RECEIVING_BYTES });
    this.#core = this.#makeCore(io.ring);
    void this.#accept();
  }

  /** The address as a URL, for what listens on a host and a port. */
  get url(): string {
    const { address } = this;
    if (address.family === "unix") return `unix:${String(address.path)}`;
    if (address.family === "vsock") return `vsock:${address.cid}:${address.port}`;
    const host = address.family === "ipv6" ? `[${address.host}]` : address.host;
    return `http://${host}:${address.port}/`;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** The listener keeps the process alive, as it does unless `unref` was called. Returns itself. */
  ref(): this {
    this.#listener.ref();
    return this;
  }

  /** The listener does not keep the process alive; connections do. Returns itself. */
  unref(): this {
    this.#listener.unref();
    return this;
  }

  /**
   * Takes no further connection or request, finishes what is under way, and closes everything.
   * With `timeoutMs` what is not finished by then is broken off, as connections of other protocols
   * may be, which end when they like; 0 breaks it off at once. May be called again, with the same
   * promise.
   *
   * @param options the time
   * @param options.timeoutMs of what is under way; no limit by default
   * @throws the `IOError` of a close that failed; `ERR_HTTP_OPTION`, and nothing is stopped then
   */
  stop(options?: { timeoutMs?: number | undefined }): Promise<void> {
    let timeoutMs: number | undefined;
    try {
      timeoutMs = stopTimeOf("stop", options);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#stopping ??= this.#stop();
    if (timeoutMs === 0) this.#breakOff();
    else if (timeoutMs !== undefined) {
      const timer = setTimeout(() => this.#breakOff(), timeoutMs);
      void this.#stopping.finally(() => clearTimeout(timer));
    }
    return this.#stopping;
  }

  /** Breaks off what is under way, and closes everything: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop({ timeoutMs: 0 });
  }

  #breakOff(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  async #stop(): Promise<void> {
    await this.#listener.close();
    for (const connection of this.#connections) connection.stop();
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
      });
    }
    this.#wheel.close();
    // No receive uses the buffers any more when all sockets are closed.
    await Promise.all(this.#closing);
    this.#group.close();
    if (this.#options.io === undefined) await this.io.close();
  }

  async #accept(): Promise<void> {
    try {
      for await (const socket of this.#listener) {
        const key = this.#keyOf(socket.remoteAddress);
        if (key === null || this.#stopping !== null) {
          this.metrics.connectionsRefused++;
          socket.close().catch((error: unknown) => this.#report(error));
          continue;
        }
        this.metrics.connections++;
        this.metrics.connectionsOpen++;
        this.#wheel.start();
        const connection = new Connection(this.#core, socket, key);
        this.#connections.add(connection);
        connection.start();
      }
    } catch (error) {
      if (this.#stopping === null) this.#report(error);
    }
  }

  // What a connection is counted under; null when there are too many.
  #keyOf(address: Address | null): string | null {
    const { connections, connectionsPerAddress } = this.#limits;
    if (this.#connections.size >= connections) return null;
    if (connectionsPerAddress === Number.MAX_SAFE_INTEGER || address === null) return "";
    const { host } = address;
    if (host === undefined) return "";
    const count = this.#perAddress.get(host) ?? 0;
    if (count >= connectionsPerAddress) return null;
    this.#perAddress.set(host, count + 1);
    return host;
  }

  #forget(connection: Connection, closing: Promise<void>): void {
    const closed = closing
      .catch((error: unknown) => this.#report(error))
      .finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
    this.#connections.delete(connection);
    this.metrics.connectionsOpen--;
    const { addressKey } = connection;
    if (addressKey !== "") {
      const count = this.#perAddress.get(addressKey)! - 1;
      if (count === 0) this.#perAddress.delete(addressKey);
      else this.#perAddress.set(addressKey, count);
    }
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  #makeCore(ring: Ring): ServerCore {
    const { headBytes, targetBytes, fields, bodyBytes, ...times } = this.#limits;
    const headLimits = { headBytes, targetBytes, fields };
    const isStopping = (): boolean => this.#stopping !== null;
    return {
      io: this.io,
      ring,
      group: this.#group,
      blocks: new BlockPool(),
      heads: new HeadPool(headLimits),
      headLimits,
      wheel: this.#wheel,
      ticks: ticksOf(times, this.#wheel),
      metrics: this.metrics,
      maxBodyBytes: bodyBytes,
      sendTimeoutMs: times.sendTimeoutMs,
      get stopping() {
        return isStopping();
      },
      root: new AsyncResource("IOHTTPSERVER"),
      handle: this.#makeHandle(),
      timesRequests: this.#options.onAnswered !== undefined,
      onAnswered: (exchange, startedMs, sentBytes) =>
        this.#onAnswered(exchange, startedMs, sentBytes),
      onRefused: (refused) => this.#onRefused(refused),
      onBodyRefused: (fault, exchange) => this.#countRefused(fault, exchange),
      onClosed: (connection, closing) => this.#forget(connection, closing),
      onFailed: (cause) => this.#onFailed(cause),
      report: (error) => this.#report(error),
    };
  }

  // ---- handlers

  #makeHandle(): (exchange: Exchange) => boolean {
    const { fetch, request, upgrade, replaceGlobals: replaces } = this.#options;
    const real = replaces === false && !nodeTakesOurs;
    const byFetch = fetch && ((exchange: Exchange) => answerByFetch(exchange, fetch, real));
    const answer = request ?? byFetch!;
    const fails = (error: unknown, exchange: Exchange): void => this.#onThrown(error, exchange);
    return (exchange) => {
      if (requestChannel.hasSubscribers) requestChannel.publish({ exchange });
      const handler = exchange.asksUpgrade ? (upgrade ?? otherwise(exchange, answer)) : answer;
      // A handler that enters a storage must not leave it to the next request.
      const resource = new AsyncResource("IOHTTPREQUEST");
      try {
        const answering: unknown = resource.runInAsyncScope(handler, undefined, exchange);
        if (!isThenable(answering)) return true;
        answering.then(undefined, (error: unknown) => fails(error, exchange));
        return false;
      } catch (error) {
        fails(error, exchange);
        return true;
      }
    };
  }

  #onThrown(error: unknown, exchange: Exchange): void {
    // The client has gone, which is no fault of the handler that waited for it.
    if (isBecauseOf(error, exchange.abortReason)) {
      if (!exchange.ended) exchange.giveUp();
      return;
    }
    if (errorChannel.hasSubscribers) errorChannel.publish({ exchange, error });
    const { onError } = this.#options;
    if (onError === undefined) {
      this.#report(error);
      this.#giveUp(exchange);
      return;
    }
    const failed = (later: unknown): void => {
      this.#report(later);
      this.#giveUp(exchange);
    };
    const answer = (response: Response | undefined): Promise<void> | undefined => {
      if (exchange.ended) return undefined;
      if (response !== undefined && !exchange.begun) return answerWith(exchange, response);
      this.#giveUp(exchange);
      return undefined;
    };
    try {
      const given = onError(error, exchange);
      if (exchange.upgraded) exchange.destroy();
      const answering = isThenable(given) ? Promise.resolve(given).then(answer) : answer(given);
      answering?.catch(failed);
    } catch (thrown) {
      failed(thrown);
    }
  }

  // Nothing is known of what the answer should be, or how it should go on.
  #giveUp(exchange: Exchange): void {
    if (exchange.upgraded) exchange.destroy(); // nothing else may have its stream
    if (exchange.ended) return;
    if (exchange.begun) exchange.destroy();
    else exchange.respond(500, PLAIN, "Internal Server Error\n");
  }

  #onAnswered(exchange: Exchange, startedMs: number, sentBytes: number): void {
    if (answerChannel.hasSubscribers) {
      answerChannel.publish({ exchange, status: exchange.status });
    }
    if (this.#options.onAnswered === undefined) return;
    const { method, target, minorVersion, status } = exchange;
    this.#log({
      method,
      target,
      requestLine: `${method} ${target} HTTP/1.${minorVersion}`,
      status,
      refusal: "",
      sentBytes,
      durationMs: performance.now() - startedMs,
      minorVersion,
      address: hostOf(exchange.remoteAddress),
      referer: exchange.field("referer") ?? "",
      userAgent: exchange.field("user-agent") ?? "",
    });
  }

  #onRefused(refused: Refused): void {
    const { fault, head, exchange, status, startedMs, sentBytes, address } = refused;
    this.#countRefused(fault, exchange);
    if (exchange !== null && answerChannel.hasSubscribers) {
      answerChannel.publish({ exchange, status });
    }
    if (this.#options.onAnswered === undefined) return;
    const { hasRequestLine } = head;
    this.#log({
      method: hasRequestLine ? head.method : "",
      target: hasRequestLine ? head.target : "",
      requestLine: head.requestLine(MAX_LOGGED_BYTES),
      status,
      refusal: faultOf(fault).code,
      sentBytes,
      durationMs: startedMs === 0 ? 0 : performance.now() - startedMs,
      minorVersion: hasRequestLine ? head.minorVersion : 1,
      address: hostOf(address),
      referer: head.field("referer") ?? "",
      userAgent: head.field("user-agent") ?? "",
    });
  }

  #countRefused(fault: number, exchange: Exchange | null): void {
    this.metrics.requestsRefused++;
    if (!refusedChannel.hasSubscribers) return;
    const { code, status } = faultOf(fault);
    refusedChannel.publish({ code, status, exchange });
  }

  #log(answered: Answered): void {
    try {
      this.#options.onAnswered?.(answered);
    } catch (error) {
      this.#report(error);
    }
  }

  #onFailed(cause: unknown): void {
    this.metrics.connectionsFailed++;
    const nowMs = performance.now();
    if (nowMs < this.#reportsFailuresFromMs) return;
    this.#reportsFailuresFromMs = nowMs + FAILURES_MS;
    const why = typeof cause === "number" ? getSystemErrorName(cause) : String(cause);
    const message = `a connection was closed, not by its client: ${why}`;
    const options = typeof cause === "number" ? {} : { cause };
    this.#report(new HttpError("ERR_HTTP_CONNECTION", message, options));
  }

  #report(error: unknown): void {
    console.error(error);
  }
}

/** Whether it is the reason of an abort, or was thrown because of it. */
function isBecauseOf(error: unknown, reason: unknown): boolean {
  if (reason === null) return false;
  let cause = error;
  for (let depth = 0; depth < MAX_CAUSES; depth++) {
    if (cause === reason) return true;
    if (!(cause instanceof Error)) return false;
    cause = cause.cause;
  }
  return false;
}

function hostOf(address: Address | null): string {
  return address?.host ?? "";
}

function otherwise(
  exchange: Exchange,
  answer: (exchange: Exchange) => unknown,
): (exchange: Exchange) => Promise<void> | undefined {
  if (exchange.method !== "CONNECT") {
    return answer as (exchange: Exchange) => Promise<void> | undefined;
  }
  return () => {
    exchange.respond(405, PLAIN, `${reasonOf(405)}\n`);
    return undefined;
  };
}

function ticksOf(times: Record<string, number>, wheel: Wheel): Ticks {
  const ticks = (durationMs: number): number => (durationMs === 0 ? 0 : wheel.ticks(durationMs));
  const idle = ticks(times["idleTimeoutMs"]!);
  const send = ticks(times["sendTimeoutMs"]!);
  return {
    head: ticks(times["headTimeoutMs"]!),
    body: ticks(times["bodyTimeoutMs"]!),
    idle,
    send,
    rest: idle === 0 || send === 0 ? Math.max(idle, send) : Math.min(idle, send),
    request: ticks(times["requestTimeoutMs"]!),
    linger: ticks(LINGER_MS),
    look: ticks(LOOK_MS),
  };
}
