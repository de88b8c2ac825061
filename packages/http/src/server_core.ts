// What a connection needs of its server.

import type { AsyncResource } from "node:async_hooks";
import type { Address, BufferGroup, IO, Ring } from "@io/core";
import type { Connection } from "./connection.js";
import type { Exchange } from "./exchange.js";
import type { Metrics } from "./metrics.js";
import type { BlockPool } from "./outbox.js";
import { type HeadLimits, RequestHead } from "./parser/request_head.js";
import type { Wheel } from "./wheel.js";

/** The times of the options, as ticks of the wheel; 0 is no limit. */
export interface Ticks {
  readonly head: number;
  readonly body: number;
  readonly idle: number;
  readonly send: number;
  /** The shorter one of the two: an answer may still wait when the next request is waited for. */
  readonly rest: number;
  readonly request: number;
  readonly linger: number;
  /** From one look to the next at a client that may have gone, or a handler that may not read. */
  readonly look: number;
}

/** Heads that are in no use. */
export class HeadPool {
  readonly #free: RequestHead[] = [];
  readonly #limits: HeadLimits;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  take(): RequestHead {
    return this.#free.pop() ?? new RequestHead(this.#limits);
  }

  give(head: RequestHead): void {
    head.reset();
    this.#free.push(head);
  }
}

/** A request that the server itself has answered, or broken off. */
export interface Refused {
  readonly fault: number;
  /** What is known of it. */
  readonly head: RequestHead;
  /** Null when no handler has seen it. */
  readonly exchange: Exchange | null;
  readonly address: Address | null;
  /** Of the answer, which may have been begun by the handler. */
  readonly status: number;
  /** 0 when its head was not complete. */
  readonly startedMs: number;
  readonly sentBytes: number;
}

export interface ServerCore {
  readonly io: IO;
  readonly ring: Ring;
  readonly group: BufferGroup;
  readonly blocks: BlockPool;
  readonly heads: HeadPool;
  readonly headLimits: HeadLimits;
  readonly wheel: Wheel;
  readonly ticks: Ticks;
  readonly metrics: Metrics;
  readonly maxBodyBytes: number;
  readonly sendTimeoutMs: number;
  /** The answers are the last ones of their connections. */
  readonly stopping: boolean;
  /** The context of the code that started the server: no request runs in that of another. */
  readonly root: AsyncResource;
  /**
   * Calls the handler. What it throws has been dealt with when this returns: whether the handler
   * has nothing more to do.
   */
  handle(exchange: Exchange): boolean;
  /** An answer is complete, or its connection has ended before. */
  onAnswered(exchange: Exchange, startedMs: number, sentBytes: number): void;
  /** Whether `onAnswered` wants to know when requests began. */
  readonly timesRequests: boolean;
  /** A request was refused, before or while a handler was at it. */
  onRefused(refused: Refused): void;
  /** The body of a request was refused behind its answer. */
  onBodyRefused(fault: number, exchange: Exchange): void;
  /** `closing` resolves when the socket is closed. */
  onClosed(connection: Connection, closing: Promise<void>): void;
  /** A connection fails, and not by its client: a negative number, or what was thrown. */
  onFailed(cause: unknown): void;
  /** Something went wrong that no handler can get. */
  report(error: unknown): void;
}
