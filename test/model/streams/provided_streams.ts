// The steps of a program that receive with `socket.chunks()`: chunks that are taken one by one,
// held and returned, and streams that are left.

import type { Chunk, ChunkStream } from "@io/core";
import { Operation } from "./operation.js";
import type { Provided } from "./provided.js";
import type { Limit, StreamStep } from "./steps.js";
import type { Endpoint, World } from "./world.js";

const CHUNK_BYTES = 4096;

/** The limit of an IO whose streams have so many buffers. */
export function limitBytesFor(buffers: number): number {
  return CHUNK_BYTES * buffers;
}

/** What a socket receives by `chunks()`, and how it stands with it. */
export class ProvidedStream {
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
  /** It has ended, and the program has got the end. */
  over = false;
  /** Chunks that were not taken may have been dropped. */
  lossy = false;
  /** A call that waits behind others has got the end. */
  reportedBehind = false;

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

export class ProvidedStreams {
  readonly #world: World;
  readonly #provided: Provided;
  readonly #all: ProvidedStream[] = [];
  #count = 0;
  /** Chunks are returned as soon as they are taken. */
  keepNone = false;

  constructor(world: World, provided: Provided) {
    this.#world = world;
    this.#provided = provided;
  }

  /** Takes chunks, and begins to receive when the socket does not yet. */
  take(endpoint: Endpoint, step: Extract<StreamStep, { do: "takeChunks" }>): void {
    if (endpoint.closing) return;
    const stream = this.#active(endpoint) ?? this.#open(endpoint, step.limitNs);
    for (let left = step.count; stream !== null && left > 0; left--) this.next(stream);
  }

  #active({ stream }: Endpoint): ProvidedStream | null {
    return stream === null || stream.over ? null : stream;
  }

  #open(endpoint: Endpoint, limitNs: Limit): ProvidedStream | null {
    const { socket } = endpoint;
    if (socket === null || endpoint.receivesUnknown) return null;
    if (endpoint.receives.length > 0 || endpoint.receivesAlone > 0) return null;
    const controller = new AbortController();
    const { signal } = controller;
    const limit = limitNs === null ? {} : { timeoutMs: limitNs / 1e6 };
    const chunks = socket.chunks({ chunkBytes: CHUNK_BYTES, signal, ...limit });
    const stream = new ProvidedStream(endpoint, chunks, controller, limitNs);
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

  next(stream: ProvidedStream): Operation {
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

  #taken(stream: ProvidedStream, result: number, next: Operation, chunk: Chunk | undefined): void {
    const { endpoint, nexts } = stream;
    const isFirst = nexts[0] === next;
    nexts.splice(nexts.indexOf(next), 1);
    if (chunk !== undefined) {
      this.#hold(stream, next, chunk);
      return;
    }
    if (stream.over) return;
    // Waiting calls get the end, and the first of them the reason, which takes longer.
    if (!isFirst) {
      stream.reportedBehind = true;
      return;
    }
    // The close of its own socket ends a stream as quietly as the peer's end does.
    const closing = endpoint.closing || this.#world.over;
    if (result === 0 && !stream.lossy && !closing) endpoint.inbox.end();
    this.#finish(stream, result);
  }

  #hold(stream: ProvidedStream, next: Operation, chunk: Chunk): void {
    stream.held++;
    const heldChunk = this.#provided.heldChunks.hold(
      `chunk ${this.#count++} of ${next.name}`,
      () => chunk.bytes,
      () => {
        stream.held--;
        chunk.release();
      },
    );
    const found = stream.endpoint.inbox.receive(heldChunk.bytes);
    if (found !== null) stream.endpoint.pair(found);
    if (this.keepNone) this.#provided.heldChunks.release(heldChunk);
  }

  #finish(stream: ProvidedStream, result: number): void {
    const { endpoint, operation } = stream;
    stream.over = true;
    endpoint.receivesAlone--;
    this.#world.streams.delete(operation);
    this.#world.say(`end   ${operation.name} = ${result}`);
    // Bytes that had arrived when the program wanted the stream to end are not reported.
    if (!stream.lossy) return;
    endpoint.receivesUnknown = true;
    endpoint.stopReceiving();
  }

  /** Takes a chunk from each stream without a waiting call. */
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
