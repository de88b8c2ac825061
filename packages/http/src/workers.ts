// Several cores: Workers that share a port by SO_REUSEPORT, each with a server of its own. One that
// dies is replaced, and all can be replaced without an interruption.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { InternetAddress } from "@io/core";
import { checkNames, checkType, refusal, stopTimeOf } from "./call_options.js";
import { HttpError } from "./fields.js";

/**
 * How {@link serveInWorkers} is called.
 *
 * @category Several cores
 */
export interface WorkersOptions {
  /**
   * The module that each Worker imports. Its default export are the options of `serve`, without an
   * address; or a function that gives them, now or later.
   */
  module: string | URL;
  /** How many; as many as there are processors by default. */
  workers?: number | undefined;
  /** Default: 127.0.0.1. */
  host?: string | undefined;
  /** Default: 3000; 0 takes any that is free, the same for all. */
  port?: number | undefined;
  /**
   * Called when a Worker has died, before it is replaced. Without it the error is printed.
   *
   * @param error what it died of
   */
  onWorkerError?: ((error: unknown) => void) | undefined;
}

/** What a Worker is given. @internal */
export interface WorkerData {
  readonly module: string;
  readonly host: string;
  readonly port: number;
}

/** What a Worker tells. @internal */
export type WorkerMessage = { readonly address: InternetAddress } | { readonly failed: string };

/** What a Worker is asked for. @internal */
export type WorkerOrder = { readonly stop: { readonly timeoutMs: number | undefined } };

// A Worker that dies before it has served for so long would die at once again.
const SETTLED_MS = 1000;
const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = 3000;
const KNOWN = ["module", "workers", "host", "port", "onWorkerError"];

interface Place {
  worker: Worker;
  /** Its end is wanted. */
  leaving: boolean;
  readonly ended: Promise<void>;
}

/**
 * Starts the Workers; resolves when all of them listen.
 *
 * @category Several cores
 *
 * @param options the module, how many, and where they listen
 * @returns what stops and replaces them
 * @throws `ERR_HTTP_OPTION`, `ERR_HTTP_WORKER` when one of them cannot listen, and the error of a
 *   module that cannot be imported
 */
export async function serveInWorkers(options: WorkersOptions): Promise<WorkerServer> {
  checkNames("serveInWorkers", options, KNOWN);
  const { module, onWorkerError } = options;
  if (typeof module !== "string" && !(module instanceof URL)) {
    throw refusal("serveInWorkers", `module is ${String(module)}: give a URL or a path`);
  }
  checkType("serveInWorkers", "onWorkerError", onWorkerError, "function");
  const count = options.workers ?? availableParallelism();
  if (!Number.isInteger(count) || count < 1) {
    throw refusal("serveInWorkers", `workers is ${String(count)}: give a whole number from 1 on`);
  }
  const server = new WorkerServer(options);
  try {
    for (let index = 0; index < count; index++) await server.addWorker();
  } catch (error) {
    await server.stop({ timeoutMs: 0 });
    throw error;
  }
  return server;
}

/**
 * Workers that `serveInWorkers` has started.
 *
 * @category Several cores
 *
 * @example
 * ```ts
 * import { serveInWorkers } from "@io/http";
 *
 * const module = `data:text/javascript,export default { fetch: () => new Response("Hello") }`;
 * await using server = await serveInWorkers({ module, workers: 2, port: 0 });
 * const answer = await fetch(server.url);
 * console.log(server.workers, await answer.text());
 * ```
 */
export class WorkerServer implements AsyncDisposable {
  readonly #options: WorkersOptions;
  readonly #places = new Set<Place>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #address: InternetAddress | null = null;
  #stopping = false;

  /** @internal */
  constructor(options: WorkersOptions) {
    this.#options = options;
  }

  /** Where all of them listen. */
  get address(): InternetAddress {
    return this.#address!;
  }

  /** The address as a URL. */
  get url(): string {
    const { family, host, port } = this.address;
    return `http://${family === "ipv6" ? `[${host}]` : host}:${port}/`;
  }

  /** Workers that run. */
  get workers(): number {
    return this.#places.size;
  }

  /**
   * Replaces each Worker by a new one, which imports the module afresh: the new one listens before
   * the old one stops. An old one has `timeoutMs` to finish what is under way; without it all time.
   *
   * @param options the time
   * @param options.timeoutMs of what is under way in an old one
   * @throws what {@link serveInWorkers} throws for one that cannot listen; `ERR_HTTP_OPTION`
   */
  async restart(options?: { timeoutMs?: number | undefined }): Promise<void> {
    const timeoutMs = stopTimeOf("restart", options);
    for (const place of [...this.#places]) {
      if (this.#stopping) return;
      if (!this.#places.has(place)) continue; // it has died, and is replaced already
      await this.#addFor(place);
      await this.#end(place, timeoutMs);
    }
  }

  // Should it die meanwhile, the new one stands in its place, and there is no other.
  async #addFor(place: Place): Promise<void> {
    place.leaving = true;
    try {
      await this.addWorker();
    } catch (error) {
      place.leaving = false;
      if (!this.#places.has(place)) this.#replace(error, 0);
      throw error;
    }
  }

  /**
   * Stops all, as `stop` of a server does.
   *
   * @param options the time
   * @param options.timeoutMs of what is under way; no limit by default
   * @throws `ERR_HTTP_OPTION`, and nothing is stopped then
   */
  async stop(options?: { timeoutMs?: number | undefined }): Promise<void> {
    const timeoutMs = stopTimeOf("stop", options);
    this.#stopping = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all([...this.#places].map((place) => this.#end(place, timeoutMs)));
  }

  /** Breaks off what is under way, and ends all: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop({ timeoutMs: 0 });
  }

  /** @internal */
  addWorker(): Promise<void> {
    const { module, host, port } = this.#options;
    const workerData: WorkerData = {
      module: String(module),
      host: host ?? DEFAULT_HOST,
      port: this.#address?.port ?? port ?? DEFAULT_PORT,
    };
    const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData });
    return new Promise((resolve, reject) => {
      let sinceMs = 0;
      let failure: unknown = null;
      const ended = new Promise<void>((resolveEnded) => {
        worker.once("exit", (code) => {
          this.#places.delete(place);
          resolveEnded();
          const isAsked = place.leaving && code === 0;
          if (!isAsked) failure ??= new Error(`a Worker has ended with status ${code}`);
          if (sinceMs === 0) reject(failure ?? new Error("a Worker has ended before it listened"));
          else if (!place.leaving) this.#replace(failure, performance.now() - sinceMs);
          else if (failure !== null) this.#report(failure);
        });
      });
      const place: Place = { worker, leaving: false, ended };
      this.#places.add(place);
      worker.on("error", (error) => {
        failure = error;
      });
      worker.on("message", (message: WorkerMessage) => {
        if ("failed" in message) {
          failure = new HttpError("ERR_HTTP_WORKER", message.failed);
          return;
        }
        this.#address ??= message.address;
        sinceMs = performance.now();
        resolve();
      });
    });
  }

  #report(error: unknown): void {
    const { onWorkerError } = this.#options;
    if (onWorkerError === undefined) console.error(error);
    else onWorkerError(error);
  }

  #replace(error: unknown, servedMs: number): void {
    this.#report(error);
    if (this.#stopping) return;
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        this.addWorker().catch((failure: unknown) => this.#replace(failure, 0));
      },
      servedMs < SETTLED_MS ? SETTLED_MS : 0,
    );
    this.#timers.add(timer);
  }

  async #end(place: Place, timeoutMs: number | undefined): Promise<void> {
    place.leaving = true;
    const order: WorkerOrder = { stop: { timeoutMs } };
    place.worker.postMessage(order);
    await place.ended;
  }
}
