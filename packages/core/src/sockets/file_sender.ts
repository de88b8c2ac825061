// From a file to a socket. Where the system has a call for that (sendfile), a thread makes it and
// the bytes never pass through our memory. io_uring has none. Its splice goes through a pipe and by
// workers of the kernel, one of which waits for each slow peer. It takes as much processor time as
// reading into memory that the kernel keeps mapped and sending that (measured on Linux 6.18: 0.45
// to 0.5 s for a GB, both of them), or a fifth less (a loop in C on another machine: 0.23 s and
// 0.28 s). So the latter is done, and the next piece is read while one is sent.
import type { Buffers } from "../engine/buffers.js";
import { IOError } from "../errors.js";
import type { File } from "../files/file.js";
import type { OperationOptions, Operations } from "../ring/operations.js";
import type { Descriptor } from "../ring/types.js";
import { stoppedAfter, type TimeLeft, timeLeft } from "../ring/whole_call.js";
import { wholeOrBigint } from "../support/check.js";

// Each file on its way has two of them, so the more files there are, the smaller they become.
// Larger ones cost fewer operations, but two that do not fit into the processor's second-level
// cache come from the one beyond it when they are sent (1 MiB of cache, a file of 64 MiB and one of
// 1 MiB, seconds for a GB: 0.38 and 0.42 with 64 KiB, 0.28 and 0.31 with 128 KiB, 0.29 and 0.29
// with 256 KiB, 0.26 and 0.50 with 512 KiB, 0.37 and 0.49 with 1 MiB).
const PIECES: readonly [files: number, sizeBytes: number][] = [
  [16, 256 * 1024],
  [Number.POSITIVE_INFINITY, 64 * 1024],
];
const LEAST_BYTES = 4096;
// When the limit of `io.buffers` is reached.
const PLAIN_BYTES = 64 * 1024;

/** What is to be sent. */
export interface FileRange {
  readonly file: File;
  readonly offset: number;
  /** Infinity for all up to the end of the file. */
  readonly lengthBytes: number;
}

/** The socket that it is sent to. */
export interface FileTarget {
  readonly number: Descriptor;
  /** Throws when the socket is closed. */
  check(operation: string): void;
  sendAll(piece: Uint8Array, options?: OperationOptions): Promise<void>;
}

export class FileSender {
  readonly #operations: Operations;
  readonly #buffers: Buffers;
  readonly #byCall: boolean;
  #sending = 0;

  constructor(operations: Operations, buffers: Buffers, byCall: boolean) {
    this.#operations = operations;
    this.#buffers = buffers;
    this.#byCall = byCall;
  }

  /** Resolves with the bytes sent: all that was asked for, or what there was of it. */
  async send(target: FileTarget, range: FileRange, options?: OperationOptions): Promise<number> {
    const progress = new Progress(options);
    try {
      return await this.#send(target, range, progress);
    } catch (error) {
      throw stoppedAfter(error, progress.sent, "sendFile");
    }
  }

  async #send(target: FileTarget, range: FileRange, progress: Progress): Promise<number> {
    // sendfile reads through the page cache, so it has no business with a file opened past it.
    if (this.#byCall && !range.file.direct && range.lengthBytes > 0) {
      const first = await this.#call(target, range, progress).catch(refusal);
      progress.sent += first;
      if (first > 0) return this.#sendByCall(target, range, progress);
    }
    // Nothing was sent. A file whose size is 0 and that has bytes anyway (in /proc, /sys) may
    // have no end that the call knows of, so only a read tells that there are none.
    return this.#sendByRead(target, range, progress);
  }

  async #sendByCall(target: FileTarget, range: FileRange, progress: Progress): Promise<number> {
    while (progress.sent < range.lengthBytes) {
      const count = await this.#call(target, range, progress);
      if (count === 0) break;
      progress.sent += count;
    }
    return progress.sent;
  }

  #call(
    target: FileTarget,
    { file, offset, lengthBytes }: FileRange,
    progress: Progress,
  ): Promise<number> {
    const done = progress.sent;
    const left = Math.min(lengthBytes - done, Number.MAX_SAFE_INTEGER);
    return this.#operations.run(
      (pending, settle) => {
        target.check("sendFile");
        file.checkFor(this.#operations, "sendFile");
        const { ring } = this.#operations;
        ring.sendFile(pending, settle, target.number, file.number, offset + done, left);
      },
      progress.options,
      file,
    );
  }

  async #sendByRead(target: FileTarget, range: FileRange, progress: Progress): Promise<number> {
    const row = PIECES.find(([files]) => this.#sending < files) as [number, number];
    const sizeBytes = Math.min(row[1], Math.max(LEAST_BYTES, range.lengthBytes));
    // One that is sent, and one that is read into meanwhile.
    const count = range.lengthBytes > sizeBytes ? 2 : 1;
    const acquired: Uint8Array[] = [];
    this.#sending++;
    try {
      while (acquired.length < count && this.#acquire(sizeBytes, range.file, acquired));
      const plain = Array.from(
        { length: count - acquired.length },
        () => new Uint8Array(Math.min(sizeBytes, PLAIN_BYTES)),
      );
      return await sendPieces(target, range, [...acquired, ...plain], progress);
    } finally {
      this.#sending--;
      for (const block of acquired) this.#buffers.release(block);
    }
  }

  // False when there is no more of it: other memory will do, unless it has to be aligned.
  #acquire(sizeBytes: number, file: File, acquired: Uint8Array[]): boolean {
    try {
      acquired.push(this.#buffers.acquire(sizeBytes));
      return true;
    } catch (error) {
      const full = error instanceof IOError && error.code === "ERR_IO_BUFFERS_LIMIT";
      if (!full || file.direct) throw error;
      return false;
    }
  }
}

// What sendfile says of a file that it cannot send, and a read can read: most of /proc (EINVAL; all
// of it before Linux 6.5), a FIFO or a terminal (ESPIPE), a file on some file systems. macOS has
// ENOTSUP for what is no regular file. What is wrong with the socket a send says once more.
const REFUSALS: ReadonlySet<string> = new Set([
  "EINVAL",
  "ENOSYS",
  "ENOTSUP",
  "EOPNOTSUPP",
  "EOVERFLOW",
  "ESPIPE",
]);

function refusal(error: unknown): number {
  if (error instanceof IOError && REFUSALS.has(error.code)) return 0;
  throw error;
}

async function sendPieces(
  target: FileTarget,
  { file, offset, lengthBytes }: FileRange,
  blocks: Uint8Array[],
  progress: Progress,
): Promise<number> {
  let turn = 0;
  // A whole block is asked for although less is wanted: direct I/O takes only whole ones.
  const read = (from: number): Promise<number> =>
    from < lengthBytes
      ? file.read(blocks[turn++ % blocks.length] as Uint8Array, {
          ...progress.options,
          position: offset + from,
        })
      : Promise.resolve(0);
  let count = Math.min(await read(0), lengthBytes);
  while (count > 0) {
    const block = blocks[(turn - 1) % blocks.length] as Uint8Array;
    const next = blocks.length > 1 ? read(progress.sent + count) : undefined;
    // It may fail while the piece before is still being sent; whoever awaits it below is told.
    const ended = next?.catch(() => undefined);
    try {
      await target.sendAll(block.subarray(0, count), progress.options);
    } catch (error) {
      if (error instanceof IOError) progress.sent += error.transferred ?? 0;
      // The block belongs to the kernel until the read has ended, whatever it ends with.
      await ended;
      throw error;
    }
    progress.sent += count;
    count = Math.min(await (next ?? read(progress.sent)), lengthBytes - progress.sent);
  }
  return progress.sent;
}

/** How far one call has come, and the options of its next operation. */
class Progress {
  /** Bytes. */
  sent = 0;
  readonly #options: OperationOptions | undefined;
  readonly #time: TimeLeft<OperationOptions> | null;

  constructor(options: OperationOptions | undefined) {
    this.#options = options;
    this.#time = timeLeft("sendFile", "sendFile", options);
  }

  get options(): OperationOptions | undefined {
    return this.#time === null ? this.#options : this.#time.next();
  }
}

/** Checks what a program asked for. */
export function fileRange(
  file: File,
  offset: number | bigint | null | undefined,
  lengthBytes: number | bigint | null | undefined,
): FileRange {
  const start = wholeOrBigint(offset ?? 0, 0, "the offset", "sendFile");
  const wanted = lengthBytes ?? Number.POSITIVE_INFINITY;
  const length =
    wanted === Number.POSITIVE_INFINITY
      ? wanted
      : wholeOrBigint(wanted, 0, "lengthBytes", "sendFile");
  return { file, offset: start, lengthBytes: length };
}
