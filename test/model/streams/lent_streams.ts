// The steps of a program that receive with `socket.chunks()`: chunks that are taken one by one,
// held and returned, and streams that are left.

import type { Chunk, ChunkStream } from "@io/core";
import type { Lent } from "./lent.js";
import { Operation } from "./operation.js";
import type { Limit, StreamStep } from "./steps.js";
import type { Endpoint, World } from "./world.js";

const CHUNK_BYTES = 4096;

/** What an IO may lend so that its streams have so many pieces. */
export function limitBytesFor(pieces: number): number {
  return CHUNK_BYTES * pieces;
}

/** What a socket receives by `chunks()`, and how it stands with it. */
export class LentStream {
  readonly endpoint: Endpoint;
  readonly chunks: ChunkStream;
  readonly controller: AbortController;
  /** Stands for it as a whole; it is none of those in flight. */
  readonly operation: Operation;
  readonly limitNs: Limit;
  /** Those that wait for a chunk, in order. */
  readonly nexts: Operation[] = [];
  /** Chunks that the program holds. */
  held = 0;
  /** It has ended, and the program was told. */
  over = false;
  /** Chunks that nobody had taken may have been dropped. */
  lossy = false;
  /** One that waits behind others was told that it is over. */
  toldBehind = false;

  constructor(
    endpoint: Endpoint,
    chunks: ChunkStream,
    controller: AbortController,
    limitNs: Limit,
  ) {
    this.endpoint = endpoint;
    this.chunks = chunks;
    this.controller = controller;
    this.limitNs = limitNs;
    this.operation = new Operation({ verb: "receiving", layer: "promise", on: endpoint });
  }
}

export class LentStreams {
  readonly #world: World;
  readonly #lent: Lent;
  readonly #all: LentStream[] = [];
  #count = 0;
  /** Chunks are returned as soon as they are taken. */
  keepNone = false;

  constructor(world: World, lent: Lent) {
    this.#world = world;
    this.#lent = lent;
  }

  /** Takes chunks, and begins to receive when the socket does not yet. */
  take(endpoint: Endpoint, step: Extract<StreamStep, { do: "takeChunks" }>): void {
    if (endpoint.closing) return;
    const stream = this.#active(endpoint) ?? this.#open(endpoint, step.limitNs);
    for (let left = step.count; stream !== null && left > 0; left--) this.next(stream);
  }

  #active({ stream }: Endpoint): LentStream | null {
    return stream === null || stream.over ? null : stream;
  }

  #open(endpoint: Endpoint, limitNs: Limit): LentStream | null {
    const { socket } = endpoint;
    if (socket === null || endpoint.receivesUnknown) return null;
    if (endpoint.receives.length > 0 || endpoint.receivesAlone > 0) return null;
    const controller = new AbortController();
    const { signal } = controller;
    const limit = limitNs === null ? {} : { timeoutMs: limitNs / 1e6 };
    const chunks = socket.chunks({ chunkBytes: CHUNK_BYTES, signal, ...limit });
    const stream = new LentStream(endpoint, chunks, controller, limitNs);
    signal.addEventListener("abort", () => {
      stream.operation.askedToEnd = true;
      stream.lossy = true;
    });
    endpoint.stream = stream;
    this.#all.push(stream);
    endpoint.receivesAlone++;
    this.#world.streams.add(stream.operation);
    this.#world.say(`start ${stream.operation.name}`);
    return stream;
  }

  next(stream: LentStream): Operation {
    const { endpoint, chunks, controller, operation, limitNs } = stream;
    let chunk: Chunk | undefined;
    const next = this.#world.startPromise(
      {
        verb: "next",
        on: endpoint,
        sizeBytes: CHUNK_BYTES,
        stream: operation,
        ...(limitNs === null ? {} : { limitNs }),
      },
      async () => {
        chunk = (await chunks.next()).value;
        return chunk?.byteLength ?? 0;
      },
      (result, ended) => this.#taken(stream, result, ended, chunk),
    );
    next.controller = controller;
    stream.nexts.push(next);
    return next;
  }

  #taken(stream: LentStream, result: number, next: Operation, chunk: Chunk | undefined): void {
    const { endpoint, nexts } = stream;
    const isFirst = nexts[0] === next;
    nexts.splice(nexts.indexOf(next), 1);
    if (chunk !== undefined) {
      this.#hold(stream, next, chunk);
      return;
    }
    if (stream.over) return;
    // Those that wait are told that it is over, and the first of them why, which takes longer.
    if (!isFirst) {
      stream.toldBehind = true;
      return;
    }
    // The close of its own socket ends a stream as quietly as the peer's end does.
    const closing = endpoint.closing || this.#world.over;
    if (result === 0 && !stream.lossy && !closing) endpoint.inbox.end();
    this.#finish(stream, result);
  }

  #hold(stream: LentStream, next: Operation, chunk: Chunk): void {
    stream.held++;
    const lot = this.#lent.lots.lend(
      `chunk ${this.#count++} of ${next.name}`,
      () => chunk.bytes,
      () => {
        stream.held--;
        chunk.release();
      },
    );
    const found = stream.endpoint.inbox.receive(lot.bytes);
    if (found !== null) stream.endpoint.pair(found);
    if (this.keepNone) this.#lent.lots.giveBack(lot);
  }

  #finish(stream: LentStream, result: number): void {
    const { endpoint, operation } = stream;
    stream.over = true;
    endpoint.receivesAlone--;
    this.#world.streams.delete(operation);
    this.#world.say(`end   ${operation.name} = ${result}`);
    // What had come when somebody wanted it to end nobody is told of.
    if (!stream.lossy) return;
    endpoint.receivesUnknown = true;
    endpoint.stopReceiving();
  }

  /** Takes a chunk from each stream from which nobody waits for one. */
  takeFromAll(): void {
    for (const stream of this.#all) {
      if (!stream.over && stream.nexts.length === 0) this.next(stream);
    }
  }

  /** Chunks of all streams that the program holds. */
  get held(): number {
    return this.#all.reduce((sum, { held }) => sum + held, 0);
  }

  /** Leaves the loop. */
  leave(endpoint: Endpoint): void {
    const stream = this.#active(endpoint);
    if (stream === null || endpoint.closing) return;
    stream.lossy = true;
    stream.operation.askedToEnd = true;
    this.#world.startPromise(
      { verb: "leave", on: endpoint },
      () => stream.chunks.return().then(() => 0),
      () => {
        if (!stream.over) this.#finish(stream, 0);
      },
    );
  }
}
