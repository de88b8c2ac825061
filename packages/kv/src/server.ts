/**
 * The server: a listener, its clients, and the store they share.
 *
 * The port is bound before the log is read, so that a port in use is known at once; clients that
 * connect meanwhile wait in the listen queue and are served when recovery is done.
 */

import {
  type Address,
  type InternetAddress,
  IO,
  type IOOptions,
  type Listener,
  type Socket,
} from "@io/core";
import { ClientMemory, defaultClientsMemoryBytes } from "./client_memory.js";
import type { ClientState, Engine, InfoSection } from "./commands/command.js";
import { Connection, type ConnectionHost, RECEIVE_BYTES } from "./connection.js";
import type { Data } from "./data.js";
import { codeOf, describeFailure, messageOf } from "./errors.js";
import { infoSections, settingsOf } from "./facts.js";
import type { GroupCommit } from "./log/commit.js";
import type { MemoryLimit } from "./memory_limit.js";
import { ChunkPool } from "./resp/reply.js";
import { openStore, type Store, type StoreOptions } from "./store.js";

export interface ServeOptions extends Omit<StoreOptions, "io"> {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default 6380; 0 takes any that is free. */
  readonly port?: number | undefined;
  /** Default: what IO.open chooses. */
  readonly backend?: IOOptions["backend"] | undefined;
  /** Default 4000. */
  readonly clientsLimit?: number | undefined;
  /**
   * How many bytes of unread replies and incomplete requests the clients may make the server hold.
   * Beyond that the client that holds most is disconnected. Default: a quarter of the memory.
   */
  readonly clientsMemoryBytes?: number | undefined;
}

export const DEFAULT_HOST = "127.0.0.1";
export const DEFAULT_PORT = 6380;
const CLIENTS_LIMIT = 4000;

/** How long clients that do not read are waited for when the server ends. */
const DRAIN_MS = 3000;
const ACCEPT_RETRY_MS = 100;
/** How often expired keys are removed; sooner when the last time did not get through them. */
const EXPIRY_INTERVAL_MS = 100;
const EXPIRY_BEHIND_INTERVAL_MS = 15;
const EXPIRY_STEP = 200;
const EXPIRY_BUDGET_MS = 5;

/** Memory and operations for so many clients: each has one receive and one send at most. */
function ioOptions(options: ServeOptions, clientsLimit: number): IOOptions {
  return {
    ...(options.backend === undefined ? {} : { backend: options.backend }),
    inFlightLimit: clientsLimit * 3 + 256,
    buffersMaxBytes: clientsLimit * RECEIVE_BYTES + 16 * 1024 * 1024,
  };
}

/** Opens the store and serves it. Resolves when clients are being accepted. */
export async function serve(options: ServeOptions): Promise<Server> {
  const host = options.host ?? DEFAULT_HOST;
  const port = options.port ?? DEFAULT_PORT;
  const clientsLimit = options.clientsLimit ?? CLIENTS_LIMIT;
  const io = await IO.open(ioOptions(options, clientsLimit));
  let listener: InternetListener | undefined;
  try {
    listener = await io.listen({ host, port, backlog: 511 });
    const store = await openStore({ ...options, io });
    return new Server(io, listener, store, options, clientsLimit);
  } catch (error) {
    await listener?.close();
    await io.close();
    throw error;
  }
}

export class Server implements Engine, ConnectionHost, AsyncDisposable {
  readonly pool = new ChunkPool();
  readonly clientMemory: ClientMemory;
  readonly memoryLimit: MemoryLimit;
  readonly engine = this;
  readonly data: Data;
  readonly commit: GroupCommit;
  readonly startedMs = Date.now();
  /** Resolves when the server has ended, however that came about. */
  readonly closed: Promise<void>;
  nowMs = Date.now();
  connectionsAccepted = 0;
  connectionsRefused = 0;

  private readonly connections = new Set<Connection>();
  private readonly running = new Set<Promise<void>>();
  private waiting: Connection[] = [];
  private nextClientId = 1;
  private ending = false;
  private expiryTimer: NodeJS.Timeout | undefined;
  private resolveClosed: () => void = () => undefined;
  private rejectClosed: (error: unknown) => void = () => undefined;

  /** Use `serve`. */
  constructor(
    readonly io: IO,
    private readonly listener: InternetListener,
    readonly store: Store,
    private readonly options: ServeOptions,
    readonly clientsLimit: number,
  ) {
    this.clientMemory = new ClientMemory(options.clientsMemoryBytes ?? defaultClientsMemoryBytes());
    this.memoryLimit = store.memoryLimit;
    this.data = store.data;
    this.commit = store.commit;
    this.closed = new Promise((resolve, reject) => {
      this.resolveClosed = resolve;
      this.rejectClosed = reject;
    });
    this.closed.catch(() => undefined); // The caller of close() gets the error.
    store.listen({
      committed: () => this.flushWaiting(),
      takenBack: (reason, kept) => {
        for (const connection of this.connections) connection.takenBack(reason, kept);
        this.flushWaiting();
      },
    });
    this.expireLater(EXPIRY_INTERVAL_MS);
    void this.acceptAll();
  }

  get address(): InternetAddress {
    return this.listener.address;
  }

  get folder(): string {
    return this.options.folder;
  }

  get clientCount(): number {
    return this.connections.size;
  }

  *clients(): Iterable<ClientState> {
    for (const connection of this.connections) yield connection.client;
  }

  info(): InfoSection[] {
    return infoSections(this);
  }

  settings(): ReadonlyMap<string, string> {
    return settingsOf(this);
  }

  rewrite(): boolean {
    return this.store.rewriter.start();
  }

  /** Begins to end, for a client that asks. */
  stop(): void {
    this.close().catch(() => undefined); // Reported through `closed`.
  }

  waitForCommit(connection: Connection): void {
    if (connection.waitsForCommit) return;
    connection.waitsForCommit = true;
    this.waiting.push(connection);
  }

  report(line: string): void {
    this.options.report?.(line);
  }

  /** Accepts no more clients, commits and answers what is under way, and closes everything. */
  close(): Promise<void> {
    if (!this.ending) {
      this.ending = true;
      this.end().then(this.resolveClosed, this.rejectClosed);
    }
    return this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async end(): Promise<void> {
    await this.listener.close();
    for (const connection of this.connections) connection.stop();
    const abandoning = setTimeout(() => {
      for (const connection of this.connections) connection.abandon();
    }, DRAIN_MS);
    while (this.running.size > 0) await Promise.all(this.running);
    clearTimeout(abandoning);
    clearTimeout(this.expiryTimer);
    try {
      await this.store.close();
    } finally {
      await this.io.close();
    }
  }

  private async acceptAll(): Promise<void> {
    while (!this.ending) {
      let socket: Socket;
      try {
        socket = await this.listener.accept();
      } catch (error) {
        if (this.ending || codeOf(error) === "ERR_IO_CLOSED") return;
        // Out of descriptors or memory: waiting clients can be served when another has left.
        this.report(`a client could not be accepted: ${describeFailure(error)}`);
        await this.io.sleep(ACCEPT_RETRY_MS).catch(() => undefined);
        continue;
      }
      this.track(this.welcome(socket));
    }
  }

  private track(work: Promise<void>): void {
    const tracked = work.finally(() => this.running.delete(tracked));
    this.running.add(tracked);
  }

  private async welcome(socket: Socket): Promise<void> {
    if (this.ending || this.connections.size >= this.clientsLimit) {
      this.connectionsRefused++;
      await refuse(socket);
      return;
    }
    this.connectionsAccepted++;
    const connection = new Connection(this, socket, {
      id: this.nextClientId++,
      address: describeAddress(socket.remoteAddress),
      localAddress: describeAddress(socket.localAddress),
      sinceMs: Date.now(),
      name: "",
      libraryName: "",
      libraryVersion: "",
      lastCommand: "NULL",
      database: 0,
      inTransaction: false,
      closing: false,
    });
    this.connections.add(connection);
    try {
      await connection.run();
    } finally {
      this.connections.delete(connection);
    }
  }

  private flushWaiting(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const connection of waiting) {
      connection.waitsForCommit = false;
      connection.flush();
    }
  }

  private expireLater(intervalMs: number): void {
    this.expiryTimer = setTimeout(() => this.expireSome(), intervalMs);
    this.expiryTimer.unref();
  }

  /** Removes what has expired, but not for long: commands wait meanwhile. */
  private expireSome(): void {
    const nowMs = Date.now();
    let expired: number;
    do expired = this.data.keyspace.expireSome(EXPIRY_STEP, nowMs);
    while (expired === EXPIRY_STEP && Date.now() - nowMs < EXPIRY_BUDGET_MS);
    const behind = expired === EXPIRY_STEP;
    this.expireLater(behind ? EXPIRY_BEHIND_INTERVAL_MS : EXPIRY_INTERVAL_MS);
  }
}

type InternetListener = Listener & { readonly address: InternetAddress };

async function refuse(socket: Socket): Promise<void> {
  try {
    await socket.sendAll(Buffer.from("-ERR max number of clients reached\r\n"));
  } catch (error) {
    if (codeOf(error) === "") throw new Error(messageOf(error), { cause: error });
  } finally {
    await socket.close();
  }
}

function describeAddress(address: Address | null): string {
  if (address === null) return "";
  if (address.family === "unix") return String(address.path);
  if (address.family === "vsock") return `vsock:${address.cid}:${address.port}`;
  return `${address.host}:${address.port}`;
}
