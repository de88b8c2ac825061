// From one stream socket to another: what proxies do all the time.
import type { Chunk } from "../receiving/chunk.js";
import type { ChunkOptions, ChunkStream } from "../receiving/chunk_stream.js";
import {
  aborted,
  checkedEndings,
  type Endings,
  type OperationOptions,
  type Operations,
} from "../ring/promises.js";
import type { ShutdownHow } from "../ring/ring_sockets.js";
import { stoppedAfter } from "../ring/whole_call.js";
import { scopeOf } from "../scope.js";
import { flag, knows, wholeNumber, wholeOrBigint } from "../support/check.js";

/**
 * How one socket is passed on to another.
 *
 * @category Sockets
 */
export interface PipeOptions extends OperationOptions {
  /**
   * Bytes after which it ends; what follows stays in the socket. To the end of the stream by
   * default.
   */
  maxBytes?: number | bigint | null | undefined;
  /**
   * Pass on the end of the stream, by `shutdown("send")` of the destination; `true` by default. An
   * end by `maxBytes` is never passed on.
   */
  end?: boolean | null | undefined;
  /** Bytes of a chunk at most, as of `chunks()`: 16 KiB by default. */
  chunkBytes?: number | null | undefined;
}

/** What is read. */
export interface Source {
  chunks(options?: ChunkOptions | null): ChunkStream<Chunk>;
  receive(bytes: Uint8Array, options?: OperationOptions | null): Promise<number>;
  /** Throws when it is closed. */
  check(operation: string): void;
}

/** Where it goes. */
export interface Destination {
  sendAll(bytes: Uint8Array, options?: OperationOptions | null): Promise<void>;
  shutdown(how: ShutdownHow, options?: OperationOptions | null): Promise<void>;
}

export const PIPE_TO = knows("pipeTo", "maxBytes", "end", "chunkBytes");

const MAX_CHUNK_BYTES = 1024 * 1024;
const DEFAULT_CHUNK_BYTES = 16 * 1024;

interface Pipe {
  readonly maxBytes: number;
  readonly passesEnd: boolean;
  readonly chunkBytes: number;
  readonly endings: Endings;
}

/** The options of a call, checked. */
export function pipeFrom(options: PipeOptions | null | undefined): Pipe {
  const endings = checkedEndings(options, PIPE_TO);
  const { maxBytes, end, chunkBytes } = options ?? {};
  const size = chunkBytes ?? DEFAULT_CHUNK_BYTES;
  return {
    endings,
    maxBytes: wholeOrBigint(maxBytes ?? Number.MAX_SAFE_INTEGER, 0, "maxBytes", "pipeTo"),
    passesEnd: flag(end, true, "end", "pipeTo"),
    chunkBytes: wholeNumber(size, 1, MAX_CHUNK_BYTES, "chunkBytes", "pipeTo"),
  };
}

/** Passes on until the stream ends; resolves with the bytes. See `Socket.pipeTo`. */
export async function pipe(
  operations: Operations,
  source: Source,
  destination: Destination,
  { endings, maxBytes, passesEnd, chunkBytes }: Pipe,
): Promise<number> {
  const { signal, timeoutMs } = endings;
  if (signal?.aborted) throw aborted("pipeTo", signal);
  const passing = new Passing(destination, maxBytes);
  const scope = timeoutMs === undefined ? null : scopeOf(operations, endings, "pipeTo");
  const ends: OperationOptions = { signal: scope?.signal ?? signal };
  try {
    const hasEnded =
      maxBytes === Number.MAX_SAFE_INTEGER
        ? await passing.chunks(source.chunks({ ...ends, chunkBytes }), ends)
        : await passing.bytes(source, new Uint8Array(Math.min(chunkBytes, maxBytes)), ends);
    // The loop ends in the same way when the source is closed here, which is no end of the stream.
    if (hasEnded) source.check("pipeTo");
    if (hasEnded && passesEnd) await destination.shutdown("send", ends);
    return passing.done;
  } catch (error) {
    throw stoppedAfter(error, passing.done, "pipeTo");
  } finally {
    scope?.cancel();
  }
}

/** How far it has come. */
class Passing {
  done = 0;
  readonly #destination: Destination;
  readonly #maxBytes: number;

  constructor(destination: Destination, maxBytes: number) {
    this.#destination = destination;
    this.#maxBytes = maxBytes;
  }

  /** True at the end of the stream. Nothing is copied, and an idle source holds no memory. */
  async chunks(chunks: ChunkStream<Chunk>, ends: OperationOptions): Promise<boolean> {
    for await (const chunk of chunks) {
      try {
        await this.#send(chunk.bytes, ends);
      } finally {
        chunk.release();
      }
    }
    return true;
  }

  /** The same of so many bytes, of which no more may be received. False when all have come. */
  async bytes(source: Source, memory: Uint8Array, ends: OperationOptions): Promise<boolean> {
    while (this.done < this.#maxBytes) {
      const wanted = Math.min(memory.length, this.#maxBytes - this.done);
      const count = await source.receive(memory.subarray(0, wanted), ends);
      if (count === 0) return true;
      await this.#send(memory.subarray(0, count), ends);
    }
    return false;
  }

  async #send(bytes: Uint8Array, ends: OperationOptions): Promise<void> {
    try {
      await this.#destination.sendAll(bytes, ends);
    } catch (error) {
      const { transferred } = error as { transferred?: number };
      this.done += transferred ?? 0;
      throw error;
    }
    this.done += bytes.byteLength;
  }
}
