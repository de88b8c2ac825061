// Reads a stream by its delimiters and lengths, through a buffer of bounded size.
import { types } from "node:util";
import { IOError, rangeError, typeError } from "../errors.js";
import { aborted, checkedEndings, type OperationOptions } from "../ring/promises.js";
import { stoppedAfter, type TimeLeft, timeLeft } from "../ring/whole_call.js";
import {
  checkOptions,
  type Known,
  knows,
  knowsOnly,
  shown,
  wholeNumber,
} from "../support/check.js";

/**
 * How much a {@link SocketReader} may keep.
 *
 * @category Sockets
 */
export interface ReaderOptions {
  /**
   * Bytes that one read may look through for its delimiter, that one included; 64 KiB by default.
   * The reader's buffer has at most twice as many.
   */
  maxBytes?: number | null | undefined;
}

/**
 * How one read of a {@link SocketReader} is made.
 *
 * @category Sockets
 */
export interface ReadUntilOptions extends OperationOptions {
  /** The same for this read alone, which may be more or less than what the reader has. */
  maxBytes?: number | null | undefined;
}

/** The socket that it reads. */
export interface Readable {
  receive(bytes: Uint8Array, options?: OperationOptions | null): Promise<number>;
}

const DEFAULT_BYTES = 65_536;
const MAX_BYTES = 0x7fffffff;
const FIRST_BYTES = 16_384;
const NEWLINE = Buffer.of(0x0a);
const RETURN = 0x0d;

const READER = knowsOnly("reader", "maxBytes");
const READ = knows("read");
const READ_EXACTLY = knows("readExactly");
const READ_UNTIL = knows("readUntil", "maxBytes");
const READ_LINE = knows("readLine", "maxBytes");

type Ends = TimeLeft<OperationOptions> | null;

/**
 * A stream socket read by its delimiters and lengths: lines, heads of messages, records. It
 * receives ahead into a buffer of its own, so read the socket through one reader alone. What a read
 * gives is memory that the program may keep.
 *
 * A read that fails loses nothing: what it has received stays in the reader for the next one, also
 * after a time limit or an abort. One read at a time: another one is refused, "ERR_IO_RECEIVING".
 *
 * @category Sockets
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using listener = await io.listen({ port: 0 });
 * const connecting = io.connect({ port: listener.address.port });
 * await using served = await listener.accept();
 * await using socket = await connecting;
 * await socket.sendAll("SET 5\r\nhello");
 * const reader = served.reader({ maxBytes: 8192 });
 * const line = await reader.readLine({ timeoutMs: 1000 });
 * const body = await reader.readExactly(Number(line?.split(" ")[1]));
 * process.stdout.write(`${body}\n`); // hello
 * ```
 */
export class SocketReader {
  readonly #socket: Readable;
  readonly #maxBytes: number;
  #buffer: Buffer = Buffer.alloc(0);
  /** What is held of it. */
  #start = 0;
  #end = 0;
  #ended = false;
  #busy = false;

  /** @internal */
  constructor(socket: Readable, options: ReaderOptions | null | undefined) {
    checkOptions(options, READER);
    this.#socket = socket;
    this.#maxBytes = bytesFrom(options, DEFAULT_BYTES, "reader");
  }

  /** Bytes that were received and not read yet. */
  get bufferedBytes(): number {
    return this.#end - this.#start;
  }

  /**
   * Reads what there is, and waits for it where there is nothing.
   *
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns the bytes, or null when the peer has ended
   * @throws as `socket.receive`; the codes of every operation: {@link IOError.code}
   */
  read(options?: OperationOptions | null): Promise<Buffer | null> {
    return this.#run(READ, options, async (ends) => {
      if (this.bufferedBytes === 0) await this.#fill(this.#maxBytes, options, ends);
      return this.bufferedBytes === 0 ? null : this.#take(this.bufferedBytes);
    });
  }

  /**
   * Reads so many bytes. They may be more than `maxBytes` of the reader. For 0 it gives an empty
   * `Buffer` and waits for nothing, also at the end, so that an empty message needs no case of its
   * own.
   *
   * @param lengthBytes How many, 0 to 2^31 - 1.
   * @param options `signal` and `timeoutMs` of the whole call; no limit by default.
   * @returns the bytes, or null when the peer has ended before the first of them
   * @throws `ERR_IO_UNEXPECTED_END` when the peer ends within them; as `socket.receive`, where
   *   `transferred` has the bytes that are there; the codes of every operation: {@link
   *   IOError.code}
   */
  readExactly(lengthBytes: number, options?: OperationOptions | null): Promise<Buffer | null> {
    return this.#run(READ_EXACTLY, options, async (ends) => {
      const wanted = wholeNumber(lengthBytes, 0, MAX_BYTES, "lengthBytes", "readExactly");
      while (this.bufferedBytes < wanted) {
        if (await this.#fill(wanted, options, ends)) continue;
        if (this.bufferedBytes === 0) return null;
        throw this.#cutShort("readExactly", `of ${wanted}`);
      }
      return this.#take(wanted);
    });
  }

  /**
   * Reads up to a delimiter, and the delimiter too.
   *
   * @param delimiter What the bytes end with: bytes, or text; at least one byte.
   * @param options `maxBytes`; `signal` and `timeoutMs` of the whole call.
   * @returns the bytes with the delimiter, or null when the peer has ended before the first byte
   * @throws `ERR_IO_READER_LIMIT` when it is not among the first `maxBytes`;
   *   `ERR_IO_UNEXPECTED_END` when the peer ends before it; as `socket.receive`, where
   *   `transferred` has the bytes that are there; the codes of every operation: {@link
   *   IOError.code}
   */
  readUntil(
    delimiter: Uint8Array | string,
    options?: ReadUntilOptions | null,
  ): Promise<Buffer | null> {
    return this.#run(READ_UNTIL, options, async (ends) => {
      const bytes = delimiterFrom(delimiter);
      const length = await this.#find(bytes, READ_UNTIL.operation, options, ends);
      if (length > 0) return this.#take(length);
      if (this.bufferedBytes === 0) return null;
      throw this.#cutShort("readUntil", "and no delimiter");
    });
  }

  /**
   * Reads a line, which ends with "\n" or "\r\n"; the last one may end with the stream.
   *
   * @param options `maxBytes`; `signal` and `timeoutMs` of the whole call.
   * @returns the line without its end, read as UTF-8, or null when the peer has ended
   * @throws `ERR_IO_READER_LIMIT` when it is longer than `maxBytes`; as `socket.receive`, where
   *   `transferred` has the bytes that are there; the codes of every operation: {@link
   *   IOError.code}
   */
  readLine(options?: ReadUntilOptions | null): Promise<string | null> {
    return this.#run(READ_LINE, options, async (ends) => {
      const length = await this.#find(NEWLINE, READ_LINE.operation, options, ends);
      if (length === 0) {
        return this.bufferedBytes === 0 ? null : this.#take(this.bufferedBytes).toString();
      }
      const line = this.#take(length);
      const end = line[length - 2] === RETURN ? length - 2 : length - 1;
      return line.toString("utf8", 0, end);
    });
  }

  async #run<T>(
    known: Known,
    options: OperationOptions | null | undefined,
    read: (ends: Ends) => Promise<T>,
  ): Promise<T> {
    const { signal } = checkedEndings(options, known);
    const { operation } = known;
    if (this.#busy) throw busyError(operation);
    const ends = timeLeft(operation, "receive", withoutSize(options));
    this.#busy = true;
    try {
      if (signal?.aborted) throw aborted(operation, signal);
      return await read(ends);
    } catch (error) {
      throw stoppedAfter(error, this.bufferedBytes, operation);
    } finally {
      this.#busy = false;
    }
  }

  /** How many bytes there are up to the end of the delimiter; 0 when the stream ends before. */
  async #find(
    delimiter: Buffer,
    operation: string,
    options: ReadUntilOptions | null | undefined,
    ends: Ends,
  ): Promise<number> {
    const maxBytes = bytesFrom(options, this.#maxBytes, operation);
    let searched = 0;
    for (;;) {
      const held = this.#buffer.subarray(this.#start, this.#end);
      const found = held.indexOf(delimiter, searched);
      const length = found + delimiter.length;
      if (found !== -1 && length <= maxBytes) return length;
      if (found !== -1 || held.length >= maxBytes) throw limitError(operation, maxBytes);
      // The beginning of a delimiter may be the last of what is there.
      searched = Math.max(0, held.length - delimiter.length + 1);
      if (!(await this.#fill(maxBytes, options, ends))) return 0;
    }
  }

  /** Receives more than is held, which is less than the limit; false at the end of the stream. */
  async #fill(
    limitBytes: number,
    options: ReadUntilOptions | null | undefined,
    ends: Ends,
  ): Promise<boolean> {
    if (this.#ended) return false;
    this.#makeRoom(limitBytes);
    const into = this.#buffer.subarray(this.#end);
    const count = await this.#socket.receive(into, ends?.next() ?? withoutSize(options));
    this.#ended = count === 0;
    this.#end += count;
    return count > 0;
  }

  // Twice the limit is enough for each byte to be moved once or twice in all: where half of the
  // buffer was read, the rest moves to its beginning.
  #makeRoom(limitBytes: number): void {
    const held = this.bufferedBytes;
    if (held === 0) {
      this.#start = 0;
      this.#end = 0;
      // One that was made for a long record is not kept.
      const usual = Math.max(FIRST_BYTES, this.#maxBytes * 2);
      if (this.#buffer.length > usual) this.#buffer = Buffer.alloc(0);
    }
    const size = this.#buffer.length;
    if (this.#end < size) return;
    if (size > 0 && this.#start >= size / 2) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
    } else {
      const grown = Math.min(Math.max(FIRST_BYTES, size * 2), Math.max(limitBytes * 2, size + 1));
      const larger = Buffer.allocUnsafeSlow(grown);
      this.#buffer.copy(larger, 0, this.#start, this.#end);
      this.#buffer = larger;
    }
    this.#start = 0;
    this.#end = held;
  }

  #take(lengthBytes: number): Buffer {
    const taken = Buffer.allocUnsafeSlow(lengthBytes);
    this.#buffer.copy(taken, 0, this.#start, this.#start + lengthBytes);
    this.#start += lengthBytes;
    return taken;
  }

  #cutShort(operation: string, of: string): IOError {
    return new IOError({
      code: "ERR_IO_UNEXPECTED_END",
      operation,
      message: `${operation}: the peer has ended after ${this.bufferedBytes} bytes ${of}`,
    });
  }
}

// A receive of the socket knows no such option.
function withoutSize(
  options: ReadUntilOptions | null | undefined,
): OperationOptions | null | undefined {
  if (options === undefined || options === null) return options;
  const { signal, timeoutMs } = options;
  return { signal, timeoutMs };
}

function bytesFrom(
  options: ReaderOptions | null | undefined,
  absent: number,
  operation: string,
): number {
  return wholeNumber(options?.maxBytes ?? absent, 1, MAX_BYTES, "maxBytes", operation);
}

function delimiterFrom(delimiter: unknown): Buffer {
  const isBytes = types.isUint8Array(delimiter);
  if (typeof delimiter !== "string" && !isBytes) {
    const right = "give a string or bytes";
    throw typeError("readUntil", `the delimiter is ${shown(delimiter)}: ${right}`);
  }
  // A copy, since the program may change its memory meanwhile.
  const bytes = Buffer.from(delimiter as string);
  if (bytes.length === 0) throw rangeError("readUntil", "the delimiter has no bytes: give one");
  return bytes;
}

function limitError(operation: string, maxBytes: number): IOError {
  return new IOError({
    code: "ERR_IO_READER_LIMIT",
    operation,
    message: `${operation}: no delimiter is among the first ${maxBytes} bytes (maxBytes)`,
  });
}

function busyError(operation: string): IOError {
  return new IOError({
    code: "ERR_IO_RECEIVING",
    operation,
    message: `${operation}: another read of this reader has not ended: wait for it`,
  });
}
