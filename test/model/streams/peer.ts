// A plain peer of node:net under the program's control: it sends, reads slowly or not at all, ends,
// resets and vanishes, and the bytes that it gets are checked like all others.

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Address } from "@io/core";
import { contentOf } from "./content.js";
import { Side, Violation } from "./model.js";

export interface PlainTarget {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
}

/** Where to connect, without the family. */
export function targetOf(address: Address): { path: string } | { host: string; port: number } {
  if (address.family === "unix") return { path: address.path as string };
  return { host: address.host as string, port: address.port };
}

export class Peer extends Side {
  readonly socket: Socket;
  /** It has seen the end of what we sent, or its connection is over. */
  endSeen = false;
  closed = false;
  readonly #report: (error: unknown) => void;

  constructor(
    name: string,
    isUnix: boolean,
    socket: Socket,
    report: (error: unknown) => void,
    candidates?: () => Side[],
  ) {
    super(name, isUnix, candidates);
    this.socket = socket;
    this.#report = report;
    socket.pause();
    this.#on("data", (bytes) => {
      const found = this.inbox.receive(bytes as Uint8Array);
      if (found !== null) this.pair(found);
    });
    this.#on("end", () => {
      this.endSeen = true;
      this.inbox.end();
    });
    this.#on("error", (error) => {
      if (!this.gone && !this.mayBeReset && !this.mayFailToSend) {
        throw new Violation(`${this.name} failed with ${error}, and its peer is there`);
      }
    });
    this.#on("close", () => {
      this.closed = true;
      this.leave(true);
    });
  }

  // An exception in an event handler would end the process.
  #on(event: string, handle: (value: unknown) => void): void {
    this.socket.on(event, (value: unknown) => {
      try {
        handle(value);
      } catch (error) {
        this.#report(error);
      }
    });
  }

  get canSend(): boolean {
    return !this.gone && !this.out.ending && this.socket.writable;
  }

  send(sizeBytes: number): void {
    const payload = this.out.begin(sizeBytes);
    this.socket.write(contentOf(payload.id, sizeBytes), (error) => {
      try {
        // An error does not say how much of it has left.
        this.out.sent(payload, error ? null : sizeBytes);
      } catch (violation) {
        this.#report(violation);
      }
    });
  }

  finish(): void {
    this.out.ending = true;
    this.socket.end(() => {
      this.out.ended = true;
    });
  }

  /** Closes at once; what it was still sending may be lost. */
  vanish(): void {
    this.leave(true);
    this.out.lossy = this.out.lossy || !this.out.settled;
    this.socket.destroy();
  }

  /** A reset (SO_LINGER of 0), where node:net makes one at once: not behind writes or an end. */
  reset(): void {
    if (this.gone || this.isUnix || this.out.ending || !this.out.settled) {
      this.vanish();
    } else {
      this.leave(true);
      this.socket.resetAndDestroy();
    }
  }
}

/** Servers of node:net that our sockets connect to, one of each family for the whole process. */
class PlainServer {
  readonly #server: Server;
  readonly #target: () => PlainTarget;
  readonly #waiting: ((socket: Socket) => void)[] = [];

  constructor(server: Server, target: () => PlainTarget) {
    this.#server = server;
    this.#target = target;
    server.on("connection", (socket) => this.#waiting.shift()?.(socket));
    server.unref();
  }

  get target(): PlainTarget {
    return this.#target();
  }

  /** The next connection; one is made at a time. */
  next(): Promise<Socket> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async listening(): Promise<void> {
    if (!this.#server.listening) await once(this.#server, "listening");
  }
}

let tcp: PlainServer | null = null;
let unix: PlainServer | null = null;

export async function plainServer(isUnix: boolean, unixPath: () => string): Promise<PlainServer> {
  const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
  if (isUnix && unix === null) {
    const server = createServer(options);
    const path = unixPath();
    server.listen(path);
    unix = new PlainServer(server, () => ({ path }));
  }
  if (!isUnix && tcp === null) {
    const server = createServer(options);
    server.listen(0, "127.0.0.1");
    tcp = new PlainServer(server, () => {
      const address = server.address();
      if (address === null || typeof address === "string") throw new Error("not listening");
      return { host: "127.0.0.1", port: address.port };
    });
  }
  const found = (isUnix ? unix : tcp) as PlainServer;
  await found.listening();
  return found;
}

/** A connection of node:net to one of our listeners, which is accepted some time later. */
export async function plainConnection(target: PlainTarget): Promise<Socket> {
  const socket =
    target.path === undefined
      ? connect({ port: target.port ?? 0, host: target.host ?? "", allowHalfOpen: true })
      : connect({ path: target.path, allowHalfOpen: true });
  socket.pause();
  await once(socket, "connect");
  return socket;
}
