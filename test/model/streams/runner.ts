// Runs a program of sockets, timers and cancels on a backend, with the model watching.

import { existsSync, readdirSync } from "node:fs";
import { type BackendName, IO } from "@io/core";
import { closed, Hang } from "../drive.js";
import type { Wrap } from "../files/runner.js";
import type { Layer } from "../files/steps.js";
import { cancel, cancelAll, cancelDescriptor } from "./cancels.js";
import { Chains } from "./chain_steps.js";
import { Connections, newPath } from "./connections.js";
import { Disk, type Startable } from "./disk.js";
import { Endings } from "./endings.js";
import { keptChunks } from "./kept_chunks.js";
import { Violation } from "./model.js";
import { Pace } from "./pace.js";
import { type Peer, plainServer } from "./peer.js";
import { Provided } from "./provided.js";
import { limitBytesFor, ProvidedStreams } from "./provided_streams.js";
import { Sockets } from "./sockets.js";
import type { StreamProgram, StreamStep } from "./steps.js";
import { type Endpoint, type OwnListener, recent, World } from "./world.js";

type StepWith<K extends string> = Extract<StreamStep, Record<K, number>>;

class StreamRun {
  readonly world: World;
  readonly #io: IO;
  readonly #pace: Pace;
  readonly #sockets: Sockets;
  readonly #provided: Provided;
  readonly #providedStreams: ProvidedStreams;
  readonly #disk: Disk;
  readonly #chains: Chains;
  readonly #connections: Connections;
  readonly #endings: Endings;
  executed = 0;

  constructor(io: IO, wrap: Wrap) {
    this.#io = io;
    this.world = new World(io, wrap(io.ring));
    this.#pace = new Pace(this.world);
    this.#sockets = new Sockets(this.world);
    this.#provided = new Provided(this.world);
    this.#providedStreams = new ProvidedStreams(this.world, this.#provided);
    this.#disk = new Disk(this.world, newPath("file"));
    this.#chains = new Chains(this.world, this.#sockets, this.#disk);
    this.#connections = new Connections(this.world, this.#pace, this.#sockets);
    this.#endings = new Endings({
      world: this.world,
      pace: this.#pace,
      sockets: this.#sockets,
      provided: this.#provided,
      streams: this.#providedStreams,
      disk: this.#disk,
    });
  }

  async run(program: StreamProgram): Promise<void> {
    for (const plan of program.connections) await this.#connections.connect(plan);
    for (const step of program.steps) {
      this.world.check();
      const before = this.world.operations.length;
      await this.#step(step);
      this.executed += Math.max(1, this.world.operations.length - before);
    }
    await this.#endings.end(program.ending);
  }

  async #step(step: StreamStep): Promise<void> {
    if ("socket" in step) {
      const endpoint = recent(this.#endpointsFor(step), step.socket);
      if (endpoint !== undefined) this.#socketStep(endpoint, step);
    } else if ("listener" in step) {
      this.#listenerStep(await this.#connections.listener(step.listener), step);
    } else if ("peer" in step) {
      const peer = recent(this.world.peers, step.peer);
      if (peer !== undefined) this.#peerStep(peer, step);
    } else if (step.do === "turn") await this.#pace.turns(step.count);
    else if (step.do === "settle") {
      await this.#pace.settle();
      this.#provided.heldChunks.check();
    } else this.#otherStep(step);
  }

  #endpointsFor({ do: name }: StepWith<"socket">): Endpoint[] {
    const { endpoints } = this.world;
    const ofPromises = name === "takeChunks" || name === "leave";
    return ofPromises ? endpoints.filter(({ socket }) => socket !== null) : endpoints;
  }

  #socketStep(endpoint: Endpoint, step: StepWith<"socket">): void {
    if (step.do === "receive") this.#sockets.receive(endpoint, step);
    else if (step.do === "send") this.#sockets.send(endpoint, step);
    else if (step.do === "burst") this.#sockets.burst(endpoint, step);
    else if (step.do === "receiveProvided") this.#provided.receive(endpoint, step);
    else if (step.do === "echo") this.#echo(endpoint, step);
    else if (step.do === "takeChunks") this.#providedStreams.take(endpoint, step);
    else if (step.do === "leave") this.#providedStreams.leave(endpoint);
    else if (step.do === "receiveFull") this.#sockets.receiveFull(endpoint, step);
    else if (step.do === "sendAll") this.#sockets.sendAll(endpoint, step);
    else if (step.do === "shutdown") this.#sockets.shutdown(endpoint, step);
    else if (step.do === "close") this.#sockets.close(endpoint, step.layer);
    else cancelDescriptor(this.world, endpoint);
  }

  #echo(endpoint: Endpoint, step: Extract<StreamStep, { do: "echo" }>): void {
    const heldChunk = this.#provided.heldChunks.recent(step.heldChunk);
    if (heldChunk === undefined) return;
    this.#sockets.echo(endpoint, heldChunk, step.layer);
    if (step.release) this.#provided.release(step.heldChunk, 1);
  }

  #listenerStep(listener: OwnListener, step: StepWith<"listener">): void {
    if (step.do === "accept") this.#sockets.accept(listener, step);
    else if (step.do === "connect") this.#sockets.connect(listener, step);
    else if (step.do === "plainConnect") this.#sockets.plainConnect(listener);
    else this.#sockets.closeListener(listener);
  }

  #peerStep(peer: Peer, step: StepWith<"peer">): void {
    this.world.say(`${step.do} ${peer.name} ${"size" in step ? step.size : ""}`);
    if (step.do === "plainSend") {
      if (peer.canSend) peer.send(step.size);
    } else if (step.do === "plainRead") {
      if (step.on) peer.socket.resume();
      else peer.socket.pause();
    } else if (step.do === "plainEnd") {
      if (peer.canSend) peer.finish();
    } else if (step.do === "plainReset") peer.reset();
    else peer.vanish();
  }

  #otherStep(step: StreamStep): void {
    if (step.do === "cancel") cancel(this.world, step.operation);
    else if (step.do === "release") this.#provided.release(step.heldChunk, step.count);
    else if (step.do === "releaseAll") this.#provided.releaseAll();
    else if (step.do === "cancelAll") cancelAll(this.world);
    else if (step.do === "nop") this.#nop(step.layer);
    else if (step.do === "timeout") this.#timeout(step);
    else if (step.do === "readFile") this.#startOnFile(this.#disk.reading(step.region));
    else if (step.do === "writeFile") this.#startOnFile(this.#disk.writing(step.region));
    else if (step.do === "chain") this.#chains.start(step.members);
    else if (step.do === "flush") this.world.ring.flush();
    else if (step.do === "reopenFile") {
      this.#disk.close();
      this.#disk.open();
    }
  }

  #nop(layer: Layer): void {
    if (layer === "promise") {
      this.world.startPromise({ verb: "nop" }, (options) => this.#io.nop(options));
    } else {
      this.world.start({ verb: "nop" }, (c, callback) => this.world.ring.nop(c, callback));
    }
  }

  #timeout({ durationNs, layer, limitNs }: Extract<StreamStep, { do: "timeout" }>): void {
    const fields = { verb: "timeout", durationNs } as const;
    if (layer === "promise") {
      const limited = limitNs === null ? fields : { ...fields, limitNs };
      this.world.startPromise(limited, (options) =>
        this.#io.sleep(durationNs / 1e6, options).then(() => 0),
      );
    } else {
      this.world.start(fields, (c, callback) => this.world.ring.timeout(c, callback, durationNs));
    }
  }

  #startOnFile(startable: Startable | null): void {
    if (startable === null) {
      this.#disk.open();
      return;
    }
    const { fields, begin, done, undo } = startable;
    const operation = this.world.start(fields, begin, done);
    if (operation === null) undo();
    else this.#disk.started(operation);
  }
}

const hung: IO[] = [];

function openDescriptors(): number {
  return existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;
}

/** Runs a program; resolves with how many operations it had. */
export async function runStreams(
  backend: BackendName,
  program: StreamProgram,
  wrap: Wrap = (ring) => ring,
): Promise<number> {
  // They outlive the programs, so they are there before the descriptors are counted.
  for (const isUnix of [true, false]) await plainServer(isUnix, () => newPath("plain"));
  const before = openDescriptors();
  const io = await IO.open({
    backend,
    mode: program.mode,
    entries: 128,
    inFlightLimit: 512,
    chunksMaxBytes: limitBytesFor(program.buffers),
    debug: { detectReuse: program.poison },
  });
  const run = new StreamRun(io, wrap);
  const { world } = run;
  process.on("uncaughtException", world.fail);
  try {
    await run.run(program);
    const after = openDescriptors();
    if (after !== before) throw new Violation(`${after - before} descriptors are left`);
  } catch (error) {
    if (error instanceof Error) error.message += `\n${world.history.join("\n")}`;
    for (const peer of world.peers) peer.socket.destroy();
    // The first failure is the one to report, and a hang leaves nothing that could be closed. Its
    // IO is kept: as garbage it would be closed while the next one's are counted.
    if (error instanceof Hang) hung.push(io);
    else await keptChunks(() => closed(io)).catch(() => undefined);
    throw error;
  } finally {
    process.off("uncaughtException", world.fail);
  }
  return run.executed;
}
