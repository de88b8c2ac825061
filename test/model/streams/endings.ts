// How a program ends, and what must hold then: everything has arrived, everything is closed, the
// counters add up, and nothing is left.

import { existsSync, readFileSync, rmSync } from "node:fs";
import { Completion } from "@io/core";
import { closed, Patience, turn } from "../drive.js";
import { cancelAll } from "./cancels.js";
import type { Disk } from "./disk.js";
import { keptChunks } from "./kept_chunks.js";
import { Violation } from "./model.js";
import type { Operation } from "./operation.js";
import type { Pace } from "./pace.js";
import type { Provided } from "./provided.js";
import type { ProvidedStreams } from "./provided_streams.js";
import type { Sockets } from "./sockets.js";
import type { Ending } from "./steps.js";
import { Endpoint, type World } from "./world.js";

/** A socket whose bytes have not all arrived, and the receive that it has in flight. */
interface Rest {
  readonly endpoint: Endpoint;
  receive: Operation | null;
}

function hasRest(endpoint: Endpoint): boolean {
  const { other } = endpoint;
  if (endpoint.closing || endpoint.receivesUnknown || other === null) return false;
  return !(other instanceof Endpoint && other.sendsUnknown);
}

/** What a program consists of. */
interface Parts {
  readonly world: World;
  readonly pace: Pace;
  readonly sockets: Sockets;
  readonly provided: Provided;
  readonly streams: ProvidedStreams;
  readonly disk: Disk;
}

export class Endings {
  readonly #world: World;
  readonly #pace: Pace;
  readonly #sockets: Sockets;
  readonly #provided: Provided;
  readonly #streams: ProvidedStreams;
  readonly #disk: Disk;

  constructor({ world, pace, sockets, provided, streams, disk }: Parts) {
    this.#world = world;
    this.#pace = pace;
    this.#sockets = sockets;
    this.#provided = provided;
    this.#streams = streams;
    this.#disk = disk;
  }

  async end(ending: Ending): Promise<void> {
    const world = this.#world;
    this.#provided.ending = true;
    if (ending === "drain") await this.#drain();
    if (ending !== "abandon") await this.#close(ending === "drain");
    world.over = true;
    world.askToEnd([...world.inFlight, ...world.streams]);
    for (const endpoint of world.endpoints) endpoint.leave(false);
    for (const listener of world.listeners) if (listener !== undefined) listener.gone = true;
    const kept = await keptChunks(() => closed(world.io));
    if (kept !== null && kept !== this.#streams.held) {
      throw new Violation(`${this.#streams.held} chunks are kept, and a warning says ${kept}`);
    }
    // The promises of what the closing has ended settle now.
    for (let count = 0; count < 3; count++) await turn();
    world.check();
    const left = [...world.inFlight].filter(({ fields }) => fields.verb !== "connect");
    if (left.length > 0) throw new Violation(`the IO is closed, and ${left[0]?.name} is in flight`);
    // Held chunks outlive the IO.
    this.#provided.releaseAll();
    await this.#endPeers();
    for (const side of [...world.endpoints, ...world.peers]) side.check(ending === "drain");
    this.#sockets.checkMemory();
    this.#checkFile();
  }

  // ---- receiving everything that was sent

  async #drain(): Promise<void> {
    const world = this.#world;
    this.#streams.keepNone = true;
    await this.#pace.endEverything(
      () => {
        cancelAll(world);
        // A stream that waits for memory is not in flight: it has to get some before it can be
        // cancelled.
        this.#provided.releaseAll();
        this.#streams.takeFromAll();
      },
      () => this.#sockets.connecting > 0,
    );
    const step = { do: "shutdown", socket: 0, how: "send", layer: "ring" } as const;
    for (const endpoint of world.endpoints) {
      if (!endpoint.closing && !endpoint.shutdownDone) this.#sockets.shutdown(endpoint, step);
    }
    for (const peer of world.peers) {
      if (peer.canSend) peer.finish();
      peer.socket.resume();
    }
    await this.#receiveRest();
    for (const peer of world.peers) {
      const over = (): boolean => peer.endSeen || peer.closed || peer.other === null;
      if (!(peer.other instanceof Endpoint) || peer.other.sendsUnknown) continue;
      await this.#pace.until(over, `the end at ${peer.name}`);
    }
  }

  // All of them receive at once. Linux drops segments for which a connection has no memory left,
  // and with them the acknowledgements behind. Two ends with small, full receive buffers both miss
  // the other's end while only one of them is read.
  async #receiveRest(): Promise<void> {
    this.#unclog();
    const step = { do: "receive", socket: 0, size: 65_536, layer: "ring", limitNs: null } as const;
    let rests: Rest[] = this.#world.endpoints
      .filter(hasRest)
      .map((endpoint) => ({ endpoint, receive: null }));
    const names = (): string => rests.map(({ endpoint }) => endpoint.name).join(", ");
    while (rests.length > 0) {
      for (const rest of rests) {
        if (rest.receive !== null) continue;
        const before = this.#world.operations.length;
        this.#sockets.receive(rest.endpoint, step);
        rest.receive = this.#world.operations[before] as Operation;
      }
      await this.#pace.until(
        () => rests.some(({ receive }) => receive?.ended),
        `the rest of what ${names()} receives`,
      );
      rests = rests.filter((rest) => {
        if (!rest.receive?.ended) return true;
        const over = (rest.receive.results[0] ?? 0) <= 0;
        rest.receive = null;
        return !over;
      });
    }
  }

  // So also of a socket that the model knows no more of are the bytes taken, whatever they are.
  #unclog(): void {
    const { endpoints, ring } = this.#world;
    for (const { descriptor, closing, hasSmallBuffers, isUnix, receivesUnknown } of endpoints) {
      if (closing || isUnix || !hasSmallBuffers || !receivesUnknown) continue;
      const buffer = new Uint8Array(65_536);
      const receive = (): void =>
        ring.receive(
          new Completion(),
          (_completion, result) => {
            if (result > 0) receive();
          },
          descriptor,
          buffer,
        );
      receive();
    }
  }

  // ---- closing

  /** Closes every descriptor, with all that is in flight, and everything ends. */
  async #close(closesGroups: boolean): Promise<void> {
    const world = this.#world;
    cancelAll(world);
    this.#closeDescriptors();
    await this.#pace.endEverything(
      () => {
        const unbound = [...world.inFlight].some(({ fields }) => fields.on === undefined);
        if (unbound) cancelAll(world);
        // A connection may have been accepted, or a connect ended, after the last look.
        this.#closeDescriptors();
        this.#streams.takeFromAll();
      },
      () => this.#sockets.connecting > 0,
    );
    this.#closeDescriptors();
    await this.#pace.until(() => world.inFlight.size === 0, "the ends of the last closes");
    await this.#endLending(closesGroups);
    this.#checkCounters();
  }

  #closeDescriptors(): void {
    for (const endpoint of this.#world.endpoints) {
      if (!endpoint.closing) this.#sockets.close(endpoint, "ring");
    }
    for (const listener of this.#world.listeners) {
      if (listener !== undefined) this.#sockets.closeListener(listener);
    }
    this.#disk.close();
  }

  /** Nothing receives any more, and everything that is held is released. */
  async #endLending(closesGroups: boolean): Promise<void> {
    const { io, ring } = this.#world;
    this.#provided.heldChunks.check();
    const { buffersHeld } = io.stats();
    const max = this.#provided.buffersHeld + this.#streams.held;
    if (buffersHeld > max)
      throw new Violation(`stats: ${buffersHeld} buffers are held, and ${max} are held`);
    if (closesGroups) this.#provided.closeGroups();
    this.#provided.releaseAll();
    // The next batch takes the released chunks.
    await this.#pace.zero((c, callback) => ring.nop(c, callback));
  }

  async #endPeers(): Promise<void> {
    const { peers } = this.#world;
    for (const peer of peers) peer.vanish();
    const patience = new Patience(() => "the end of the plain peers");
    while (this.#sockets.connecting > 0 || !peers.every((peer) => peer.closed)) {
      await turn();
      patience.check();
      for (const peer of peers) if (!peer.gone) peer.vanish();
    }
    this.#world.check();
  }

  // ---- checking

  #checkCounters(): void {
    const stats = this.#world.io.stats();
    const expect = (what: string, found: number, expected: number): void => {
      if (found === expected) return;
      throw new Violation(`stats: ${what} is ${found} and not ${expected}`);
    };
    expect("inFlight", stats.inFlight, 0);
    expect("strays", stats.strays, 0);
    expect("overflows", stats.overflows, 0);
    expect("buffersHeld", stats.buffersHeld, 0);
    expect("releasesRefused", stats.releasesRefused, 0);
    expect("descriptors", stats.descriptors, this.#world.open);
    // Promises are made of operations that are not counted here.
    if (this.#world.usesPromises) return;
    const { submitted, refused, completed } = stats;
    expect("submitted and refused", submitted + refused, this.#world.startedOnRing);
    expect("completed", completed, this.#world.completions);
  }

  #checkFile(): void {
    const { path } = this.#disk;
    if (!existsSync(path)) return;
    if (!readFileSync(path).equals(this.#disk.contents())) {
      throw new Violation("the file does not hold what was written");
    }
    rmSync(path);
  }
}
