// From a file to a socket. Where the system has a call for that (sendfile), a thread makes it and
// the bytes never pass through our memory, and a peer that takes nothing holds none. io_uring has
// no such operation, and it is made by a thread there too: reading into memory that the kernel
// keeps mapped and sending that reached a third to a half of the bytes per second (Linux 6.18, an
// Intel Xeon of 2 cores, files of 16 KiB to 64 MiB). What the call cannot send is read and sent.
import type { Address } from "../address.js";
import type { AcquiredBuffer, Buffers } from "../engine/buffers.js";
import { IOError } from "../errors.js";
import type { File } from "../files/file.js";
import type { About, OperationOptions, Operations } from "../ring/promises.js";
import type { Descriptor } from "../ring/types.js";
import { stoppedAfter, type TimeLeft, timeLeft } from "../ring/whole_call.js";
import { wholeOrBigint } from "../support/check.js";
import { FilePieces } from "./file_pieces.js";

// A thread in the call cannot be ended, and as long as the peer takes what the file gives the call
// does not return. So a signal, a time limit or a close waits for so much at most.
const CALL_BYTES = 8 * 1024 * 1024;

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
  /** Its peer, for errors. */
  place(): Address | null;
  /** Throws when the socket is closed. */
  check(operation: string): void;
  sendAll(piece: Uint8Array, options?: OperationOptions): Promise<void>;
}

export class FileSender {
  readonly #operations: Operations;
  readonly #pieces: FilePieces;
  readonly #byCall: boolean;

  constructor(operations: Operations, buffers: Buffers, byCall: boolean) {
    this.#operations = operations;
    this.#pieces = new FilePieces(operations, buffers);
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
    // Nothing was sent. A file whose size is 0 and that has bytes anyway (in /proc, /sys) may have
    // an end that the call does not see, so only a read shows that it has no bytes.
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
    const left = Math.min(lengthBytes - done, CALL_BYTES);
    return this.#operations.run(
      (pending, settle) => {
        target.check("sendFile");
        file.checkFor(this.#operations, "sendFile");
        const { ring } = this.#operations;
        ring.sendFile(pending, settle, target.number, file.number, offset + done, left);
      },
      progress.options,
      new Sent(file, target),
    );
  }

  async #sendByRead(target: FileTarget, range: FileRange, progress: Progress): Promise<number> {
    const { lengthBytes } = range;
    const first = await this.#pieces.acquire(target.number, lengthBytes, progress.options);
    const pieces: AcquiredBuffer[] = [first];
    try {
      // One that is sent, and one that is read into meanwhile.
      const left = lengthBytes - first.byteLength;
      const second = left > 0 ? this.#pieces.acquireSecond(left) : null;
      if (second !== null) pieces.push(second);
      return await sendPieces(target, range, pieces, progress);
    } finally {
      for (const piece of pieces) this.#pieces.release(piece);
    }
  }

  /** The socket is being closed. */
  closing(number: Descriptor): void {
    this.#pieces.closing(number);
  }
}

// The errors of sendfile for a file that it cannot send, and a read can read: most of /proc
// (EINVAL; all of it before Linux 6.5), a FIFO or a terminal (ESPIPE), a file on some file systems.
// macOS has ENOTSUP for a file that is not regular. If the socket is at fault, a send returns the
// error again.
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
    // It may fail while the part before is still being sent; the code that awaits it below gets the
    // error.
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

/** What is sent and where to, for an error. */
class Sent implements About {
  readonly path: string;
  readonly only: File["only"];
  readonly #target: FileTarget;

  constructor(file: File, target: FileTarget) {
    this.path = file.path;
    this.only = file.only;
    this.#target = target;
  }

  get place(): Address | null {
    return this.#target.place();
  }
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
