// The start of a program: listeners, and connections between our own sockets or to plain peers.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Address, Socket } from "@io/core";
import type { Pace } from "./pace.js";
import { Peer, plainServer, targetOf } from "./peer.js";
import type { Sockets } from "./sockets.js";
import type { ConnectionPlan } from "./steps.js";
import { type Endpoint, OwnListener, type World } from "./world.js";

const SMALL_BUFFER_BYTES = 4096;
const BACKLOG = 256;

let base = "";
let names = 0;

/** A path that nothing has, in a folder that goes when the process ends. */
export function newPath(name: string): string {
  if (base === "") {
    base = mkdtempSync(join(tmpdir(), "io-model-"));
    process.on("exit", () => rmSync(base, { recursive: true, force: true }));
  }
  return join(base, `${name}${names++}`);
}

export class Connections {
  readonly #world: World;
  readonly #pace: Pace;
  readonly #sockets: Sockets;

  constructor(world: World, pace: Pace, sockets: Sockets) {
    this.#world = world;
    this.#pace = pace;
    this.#sockets = sockets;
  }

  /** Listeners are made when they are first used: TCP and unix, with verbs and with promises. */
  async listener(index: number): Promise<OwnListener> {
    const at = index % 4;
    const present = this.#world.listeners[at];
    if (present !== undefined) return present;
    const isUnix = (at & 1) === 1;
    const withPromises = (at & 2) === 2;
    // The ring does not return the port of a listener, so the promises make that listener as well.
    const made =
      withPromises || !isUnix
        ? await this.#listenWithPromises(`listener ${at}`, isUnix, withPromises)
        : await this.#listenOnRing(`listener ${at}`);
    this.#world.listeners[at] = made;
    return made;
  }

  async #listenWithPromises(name: string, isUnix: boolean, keep: boolean): Promise<OwnListener> {
    this.#world.usesPromises = true;
    const where = isUnix ? { path: newPath("socket") } : { host: "127.0.0.1", port: 0 };
    const { io } = this.#world;
    const handle = await this.#pace.promise(io.listen({ ...where, backlog: BACKLOG }));
    const { descriptor, address } = handle;
    this.#world.opened(descriptor);
    return new OwnListener(name, isUnix, descriptor, address, keep ? handle : null);
  }

  async #listenOnRing(name: string): Promise<OwnListener> {
    const { ring } = this.#world;
    const pace = this.#pace;
    const address: Address = { family: "unix", path: newPath("socket") };
    const descriptor = await pace.descriptor((c, callback) => ring.socket(c, callback, "unix"));
    this.#world.opened(descriptor);
    await pace.zero((c, callback) => ring.bind(c, callback, descriptor, address));
    await pace.zero((c, callback) => ring.listen(c, callback, descriptor, BACKLOG));
    return new OwnListener(name, true, descriptor, address, null);
  }

  async connect(plan: ConnectionPlan): Promise<void> {
    if (plan.kind === "peer") await this.#connectToPeer(plan);
    else await this.#connectToOwn(plan);
  }

  async #connectToOwn(plan: ConnectionPlan): Promise<void> {
    const promises = plan.layer === "promise" || plan.small;
    const listener = await this.listener((plan.isUnix ? 1 : 0) + (promises ? 2 : 0));
    const [near, nearSocket] = await this.#connected(listener.address, promises);
    let farSocket: Socket | null = null;
    let far: number;
    if (listener.handle !== null) {
      farSocket = await this.#pace.promise(listener.handle.accept());
      far = farSocket.descriptor;
    } else {
      far = await this.#pace.descriptor((c, callback) =>
        this.#world.ring.accept(c, callback, listener.descriptor),
      );
    }
    const one = this.#sockets.endpoint(near, nearSocket, plan.isUnix);
    const other = this.#sockets.endpoint(far, farSocket, plan.isUnix);
    one.pair(other);
    if (plan.small) for (const side of [one, other]) makeSmall(side);
  }

  async #connectToPeer(plan: ConnectionPlan): Promise<void> {
    const promises = plan.layer === "promise" || plan.small;
    const server = await plainServer(plan.isUnix, () => newPath("plain"));
    const coming = server.next();
    const { host = "", port = 0, path = "" } = server.target;
    const address: Address = plan.isUnix
      ? { family: "unix", path }
      : { family: "ipv4", host, port };
    const [near, socket] = await this.#connected(address, promises);
    const endpoint = this.#sockets.endpoint(near, socket, plan.isUnix);
    const name = `plain of ${endpoint.name}`;
    const peer = new Peer(name, plan.isUnix, await this.#pace.promise(coming), this.#world.fail);
    this.#world.peers.push(peer);
    endpoint.pair(peer);
    if (plan.small) makeSmall(endpoint);
  }

  async #connected(address: Address, promises: boolean): Promise<[number, Socket | null]> {
    const { ring, io } = this.#world;
    if (promises) {
      this.#world.usesPromises = true;
      const socket = await this.#pace.promise(io.connect(targetOf(address)));
      return [socket.descriptor, socket];
    }
    const made = await this.#pace.descriptor((c, callback) =>
      ring.socket(c, callback, address.family),
    );
    await this.#pace.zero((c, callback) => ring.connect(c, callback, made, address));
    return [made, null];
  }
}

function makeSmall(endpoint: Endpoint): void {
  endpoint.hasSmallBuffers = true;
  endpoint.socket?.setOptions({
    sendBufferBytes: SMALL_BUFFER_BYTES,
    receiveBufferBytes: SMALL_BUFFER_BYTES,
  });
}
