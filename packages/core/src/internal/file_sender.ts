// From a file to a socket. Where the system has a call for that (sendfile), a thread makes it and
// the bytes never pass through our memory. io_uring has none. Its splice goes through a pipe and by
// workers of the kernel, and takes as much processor time as reading into memory that the kernel
// keeps mapped and sending that (measured on Linux 6.18: 0.45 to 0.5 s for a GB, both of them). So
// that is done, without a pipe for each socket, and the next piece is read while one is sent.
import type { Buffers } from "../buffers.js";
import { IOError, rangeError } from "../errors.js";
import type { File } from "../file.js";
import type { Descriptor } from "../ring.js";
import type { OperationOptions, Operations } from "./operations.js";

// Two of them fit into a second-level cache, and a call for each costs little beside copying it.
const PIECE_BYTES = 256 * 1024;

/** What is to be sent. */
export interface FileRange {
  readonly file: File;
  readonly offset: number;
  /** Infinity for all up to the end of the file. */
  readonly lengthBytes: number;
}

/** Sends a piece of memory to a socket, all of it. */
export type SendAll = (piece: Uint8Array, options?: OperationOptions) => Promise<void>;

export class FileSender {
  readonly #operations: Operations;
  readonly #buffers: Buffers;
  readonly #byCall: boolean;

  constructor(operations: Operations, buffers: Buffers, byCall: boolean) {
    this.#operations = operations;
    this.#buffers = buffers;
    this.#byCall = byCall;
  }

  /** Resolves with the bytes sent: all that was asked for, or what there was of it. */
  send(
    socket: Descriptor,
    sendAll: SendAll,
    range: FileRange,
    options?: OperationOptions,
  ): Promise<number> {
    // sendfile reads through the page cache, so it has no business with a file opened past it.
    const byCall = this.#byCall && !range.file.direct;
    return byCall
      ? this.#sendByCall(socket, range, options)
      : this.#sendByRead(sendAll, range, options);
  }

  async #sendByCall(
    socket: Descriptor,
    { file, offset, lengthBytes }: FileRange,
    options?: OperationOptions,
  ): Promise<number> {
    let done = 0;
    while (done < lengthBytes) {
      const left = Math.min(lengthBytes - done, Number.MAX_SAFE_INTEGER);
      const count = await this.#operations.run(
        (pending, settle) => {
          this.#operations.check("sendFile");
          const { ring } = this.#operations;
          ring.sendFile(pending, socket, file.descriptor, offset + done, left, settle);
        },
        options,
        file,
      );
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  async #sendByRead(
    sendAll: SendAll,
    range: FileRange,
    options?: OperationOptions,
  ): Promise<number> {
    const pieceBytes = Math.min(PIECE_BYTES, Math.max(4096, range.lengthBytes));
    const blocks = [this.#buffers.acquire(pieceBytes)];
    try {
      // One that is sent, and one that is read into meanwhile.
      if (range.lengthBytes > pieceBytes) blocks.push(this.#buffers.acquire(pieceBytes));
      return await sendPieces(sendAll, range, blocks, options);
    } finally {
      for (const block of blocks) this.#buffers.release(block);
    }
  }
}

async function sendPieces(
  sendAll: SendAll,
  { file, offset, lengthBytes }: FileRange,
  blocks: Uint8Array[],
  options?: OperationOptions,
): Promise<number> {
  let done = 0;
  let turn = 0;
  // A whole block is asked for although less is wanted: direct I/O takes only whole ones.
  const read = (from: number): Promise<number> =>
    from < lengthBytes
      ? file.read(blocks[turn++ % blocks.length] as Uint8Array, offset + from, options)
      : Promise.resolve(0);
  let count = Math.min(await read(0), lengthBytes);
  while (count > 0) {
    const block = blocks[(turn - 1) % blocks.length] as Uint8Array;
    const next = blocks.length > 1 ? read(done + count) : undefined;
    // It may fail while the piece before is still being sent; whoever awaits it below is told.
    const ended = next?.catch(() => undefined);
    try {
      await sendAll(block.subarray(0, count), options);
    } catch (error) {
      // The block belongs to the kernel until the read has ended, whatever it ends with.
      await ended;
      throw error;
    }
    done += count;
    count = Math.min(await (next ?? read(done)), lengthBytes - done);
  }
  return done;
}

/** Checks what a program asked for. */
export function fileRange(file: File, offset: number, lengthBytes: number | undefined): FileRange {
  if (!(Number.isSafeInteger(offset) && offset >= 0)) {
    throw rangeError("sendFile", `the offset is ${offset}: give 0 to 2^53 - 1`);
  }
  const wanted = lengthBytes ?? Number.POSITIVE_INFINITY;
  if (!(wanted >= 0 && (wanted === Number.POSITIVE_INFINITY || Number.isSafeInteger(wanted)))) {
    throw rangeError("sendFile", `lengthBytes is ${lengthBytes}: give whole bytes, 0 or more`);
  }
  return { file, offset, lengthBytes: wanted };
}

/** A file of another IO has a descriptor that means something else here. */
export function wrongFile(): IOError {
  const message = "sendFile: the file belongs to another IO: open it with the IO of the socket";
  return new IOError({ code: "ERR_INVALID_ARG_VALUE", operation: "sendFile", message });
}
