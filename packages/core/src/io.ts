// The front of the library: opens the engine, and gives files, sockets, timers and memory.
import type { InternetAddress, UnixAddress, VsockAddress } from "./address.js";
import { type Adopted, adopt, openPipe, socketPair } from "./descriptors/adopt.js";
import type { BorrowedDescriptor, PollEvents } from "./descriptors/borrowed.js";
import type { DescriptorKind } from "./descriptors/kinds.js";
import type { Notifier } from "./descriptors/notifier.js";
import { borrow, openNotifier, pollOnce } from "./descriptors/open.js";
import type { ReceivedDescriptor } from "./descriptors/passing.js";
import { type ProcessEnd, waitProcess } from "./descriptors/process.js";
import { openSignals, type SignalName, type Signals } from "./descriptors/signals.js";
import * as abi from "./engine/abi.js";
import { Buffers } from "./engine/buffers.js";
import { loadNative, waitsElsewhere } from "./engine/load.js";
import { keepMaskOf } from "./engine/mask.js";
import { Memory } from "./engine/memory.js";
import type { Native, NativeArea, NativeSession } from "./engine/native.js";
import { Queue, slotsFor } from "./engine/queue.js";
import { IOError, numberError, rangeError, typeError } from "./errors.js";
import { type PathBase, workingBase } from "./files/base.js";
import {
  type ChainValues,
  type Prepare,
  type PreparedOperation,
  prepareOn,
  runChain,
} from "./files/chain.js";
import { type CopyFileOptions, copyFile } from "./files/copy_file.js";
import { PathOperations } from "./files/directory.js";
import type { File } from "./files/file.js";
import {
  type BackendName,
  backendError,
  requestedBackend,
  requestedTaskrun,
} from "./probe/backend.js";
import {
  type Capabilities,
  type Capability,
  capabilitiesOf,
  machineRow,
  vsockRow,
} from "./probe/capabilities.js";
import {
  areaFrom,
  type ZeroCopyReceive,
  type ZeroCopyReceiveOptions,
  zeroCopyReceiveOf,
} from "./probe/zero_copy_receive.js";
import { Area } from "./receiving/area.js";
import { ChunkPools } from "./receiving/chunk_pools.js";
import { type OperationOptions, Operations } from "./ring/promises.js";
import { Ring } from "./ring/ring.js";
import type { PollEvent } from "./ring/ring_poll.js";
import { openScope, type Scope } from "./scope.js";
import { type DatagramOptions, type DatagramSocket, openDatagram } from "./sockets/datagram.js";
import { FileSender } from "./sockets/file_sender.js";
import type { Listener } from "./sockets/listener.js";
import {
  type ConnectOptions,
  connectSocket,
  type InternetListenOptions,
  type ListenOptions,
  openListener,
  type UnixListenOptions,
  type VsockListenOptions,
} from "./sockets/opening.js";
import type { Socket } from "./sockets/socket.js";
import { type Stats, statsFrom } from "./stats.js";
import {
  checkGiven,
  checkOptions,
  flag,
  knows,
  knowsOnly,
  milliseconds,
  nanosecondsOf,
  oneOf,
  type Path,
  shown,
  wholeNumber,
  wholeOrBigint,
} from "./support/check.js";
import { drain, untilIdle } from "./support/ending.js";
import { releaseIO, watchIO } from "./support/forgotten.js";
import { Timer } from "./timer.js";

/**
 * How an {@link IO} is opened.
 *
 * @category Start
 */
export interface IOOptions {
  /**
   * "auto" (the default) takes the best that works here; a named backend that is not available is
   * an error. The environment variable IO_BACKEND overrides it.
   */
  backend?: "auto" | BackendName | null | undefined;
  /**
   * "attached" (the default): completions come with Node's event loop. "detached": the program
   * calls `io.run()` or `io.runFor()`, and nothing else makes progress; promises settle when that
   * returns to the event loop, so such programs use callbacks.
   */
  mode?: "attached" | "detached" | null | undefined;
  /**
   * Length of the submission ring, a power of two from 128 to 32,768; 1,024 by default. A full ring
   * is flushed and taken again, so it limits nothing but the size of a batch.
   */
  entries?: number | null | undefined;
  /**
   * Operations in flight at most, up to 1,000,000, which is the default. Room for them is made as
   * it is needed, so a lower one saves nothing: it is a bound of your own.
   */
  inFlightLimit?: number | null | undefined;
  /** Bytes of memory in `io.buffers` at most; 64 MiB by default. */
  buffersMaxBytes?: number | null | undefined;
  /**
   * Bytes of memory that `socket.chunks()` lends at most, for the chunks of one size; 64 MiB by
   * default. It is made as it is needed.
   */
  chunksMaxBytes?: number | null | undefined;
  /**
   * Receives of `socket.chunks()` into memory that a network device writes to, so that nothing
   * is copied: see the guide "Receiving into the program's memory". Where it is not available
   * `io.zeroCopyReceive` says why, and receiving goes on in ordinary buffers. It needs
   * CAP_NET_ADMIN and a queue of the device that other traffic is kept away from.
   */
  zeroCopyReceive?: ZeroCopyReceiveOptions | null | undefined;
  /** Checks that find mistakes of the program, at a cost; all off by default. */
  debug?: DebugOptions | null | undefined;
}

/**
 * What {@link IOOptions} has under `debug`.
 *
 * @category Diagnostics
 */
export interface DebugOptions {
  /**
   * For tests: memory that is returned, be it a chunk or a block of `io.buffers`, is overwritten
   * with 0xdb, so that code which still looks at it finds that and not what was there. And a send
   * whose memory was written to while the kernel still had it fails with "ERR_IO_MEMORY_REUSED":
   * its promise, or `released` of `sendZeroCopy()`; with a callback of the ring it is an uncaught
   * error.
   */
  detectReuse?: boolean | null | undefined;
  /**
   * Remember where each file and the IO itself is opened, so that the warning about one that became
   * garbage without a close ("IO_FORGOTTEN") names the place. It costs some microseconds each time.
   */
  traceOpens?: boolean | null | undefined;
}

const DEFAULT_ENTRIES = 1024;
const DEFAULT_BUFFERS_LIMIT_BYTES = 64 * 1024 * 1024;
const DEFAULT_CHUNKS_MAX_BYTES = 64 * 1024 * 1024;
const KEPT_CODE = "IO_CHUNKS_KEPT";
const WAIT_SLICE_NS = 50_000_000;

const OPEN = knowsOnly(
  "open",
  ...["backend", "mode", "entries", "inFlightLimit", "buffersMaxBytes", "chunksMaxBytes"],
  ...["zeroCopyReceive", "debug"],
);
const DEBUG = knowsOnly("open", "detectReuse", "traceOpens");
const MODES = { attached: true, detached: true } as const;
const NOP = knows("nop");
const SLEEP = knows("sleep");
const SLEEPING = { call: "sleep" };
const TIMER = knowsOnly("timer", "intervalMs");

// Only the library calls the constructor.
const OPENING = Symbol("opening");

/**
 * An I/O ring with everything on it, for one thread: each Worker opens its own.
 *
 * @category Start
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using log = await io.openFile("wal.log", { write: true, create: true });
 * using page = io.buffers.acquire(4096);
 * await io.chain([log.prepareWrite(page, 0), log.prepareSync("data")]);
 * ```
 */
export class IO extends PathOperations implements AsyncDisposable {
  /**
   * The backend that was chosen: "io_uring", "epoll" or "kqueue".
   *
   * @category Diagnostics
   */
  readonly backend: BackendName;
  /**
   * One sentence: how the backend was chosen, and why each better one was not.
   *
   * @category Diagnostics
   */
  readonly why: string;
  /**
   * "attached": Node's event loop drives it. "detached": the program calls `run()` or `runFor()`.
   *
   * @category Start
   */
  readonly mode: "attached" | "detached";
  /**
   * Whether a network device writes what `socket.chunks()` gives, and why not.
   *
   * @category Diagnostics
   */
  readonly zeroCopyReceive: ZeroCopyReceive;
  /**
   * The lower layer: every operation with a callback, and no allocation.
   *
   * @category Ring
   */
  readonly ring: Ring;
  /**
   * Page-aligned memory that the kernel keeps mapped.
   *
   * @category Memory
   */
  readonly buffers: Buffers;
  readonly #session: NativeSession;
  readonly #queue: Queue;
  readonly #operations: Operations;
  readonly #base: PathBase;
  readonly #leaveMask: () => void;
  #prepare: Prepare | null = null;
  #capabilities: Capabilities | null = null;
  #closing: Promise<void> | null = null;

  /**
   * Opens an `IO` for this thread. The backend is chosen here, by setting it up.
   *
   * @param options The backend, the mode and the limits; the defaults suit most programs.
   * @returns the open `IO`; close it with `await using` or `close()`
   * @throws `ERR_IO_BACKEND_UNKNOWN` when the option or IO_BACKEND names no backend,
   *   `ERR_IO_BACKEND_UNAVAILABLE` when the one that was named does not work here: the message
   *   names the call that failed, its error, and what to change; `ERR_IO_ENGINE_MISSING`,
   *   `ERR_IO_ENGINE_BROKEN` or `ERR_IO_ENGINE_VERSION` when the compiled engine cannot be loaded;
   *   `ERR_IO_ZERO_COPY_RECEIVE` when `zeroCopyReceive.required` is set and it is not available;
   *   `EMFILE` and `ENFILE` without descriptors, `ENOMEM` without memory that may be locked; the
   *   codes of a refused argument: {@link IOError.code}
   * @category Start
   */
  static async open(options?: IOOptions | null): Promise<IO> {
    return IO.openSync(options);
  }

  /**
   * The same without a promise, for code that cannot wait: a module that is loaded by `require`, or
   * a function that returns at once. It does what `open` does, in the call.
   *
   * @param options The backend, the mode and the limits; the defaults suit most programs.
   * @returns the open `IO`; close it with `await using` or `close()`
   * @throws as {@link IO.open}
   * @category Start
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * const io = IO.openSync();
   * process.stdout.write(`${io.backend}\n`);
   * await io.close();
   * ```
   */
  static openSync(options?: IOOptions | null): IO {
    checkOptions(options, OPEN);
    return new IO(options ?? {}, OPENING);
  }

  private constructor(options: IOOptions, opening: symbol) {
    super();
    if (opening !== OPENING) {
      throw typeError("IO", "an IO is not made with new: call await IO.open()");
    }
    const entries = options.entries ?? DEFAULT_ENTRIES;
    const inFlightLimit = options.inFlightLimit ?? abi.MAX_IN_FLIGHT_LIMIT;
    const buffersMaxBytes = options.buffersMaxBytes ?? DEFAULT_BUFFERS_LIMIT_BYTES;
    const chunksMaxBytes = options.chunksMaxBytes ?? DEFAULT_CHUNKS_MAX_BYTES;
    checkLimits(entries, inFlightLimit);
    checkBytes(buffersMaxBytes, "buffersMaxBytes");
    checkBytes(chunksMaxBytes, "chunksMaxBytes");
    const request = requestedBackend(options.backend ?? "auto");
    this.mode = oneOf(options.mode ?? "attached", MODES, "the mode", "open");
    const debug = options.debug ?? {};
    checkOptions(debug, DEBUG, "debug");
    const detectsReuse = flag(debug.detectReuse, false, "debug.detectReuse", "open");
    const traces = flag(debug.traceOpens, false, "debug.traceOpens", "open");
    const zeroCopyReceive = options.zeroCopyReceive ?? undefined;
    const attached = this.mode === "attached";
    const taskrun = requestedTaskrun();
    const native = loadNative();
    const area = areaFrom(native, zeroCopyReceive);
    this.#queue = new Queue(entries, (shared, dispatch) => {
      const slots = slotsFor(inFlightLimit);
      const session = new native.Session(
        request.name,
        entries,
        slots,
        attached,
        waitsElsewhere(),
        shared,
        dispatch,
        area,
        taskrun,
      );
      if (session.failure !== 0) throw backendError(request, session);
      return session;
    });
    if (attached && waitsElsewhere()) this.#queue.flushEachTurn();
    this.#leaveMask = keepMaskOf(this.#queue);
    this.#session = this.#queue.session;
    this.backend = this.#session.backend as BackendName;
    this.zeroCopyReceive = this.#orClose(() => zeroCopyReceiveOf(this.#session, zeroCopyReceive));
    this.why = `${this.backend}, ${request.how}: ${this.#session.reason}`;
    const memory = new Memory(native, this.#session, detectsReuse);
    this.ring = new Ring(this.#queue, memory);
    this.buffers = new Buffers(memory, buffersMaxBytes);
    this.#operations = new Operations(this.ring, this.#queue, this.backend, traces);
    this.#operations.owner = this;
    this.#base = workingBase(this.#operations);
    this.ring.owner = this;
    this.buffers.owner = this;
    watchIO(this, this.#queue, traces);
    this.#operations.reuses = memory.reuses;
    const chunkArea = this.#orClose(() => this.#makeArea(native, memory, area));
    this.#operations.chunkPools = new ChunkPools(this.ring, memory, chunksMaxBytes, chunkArea);
    const byCall = !this.#session.lacking.includes(abi.OPCODE_SEND_FILE);
    this.#operations.fileSender = new FileSender(this.#operations, this.buffers, byCall);
  }

  // A failure after the engine was made closes that engine.
  #orClose<T>(make: () => T): T {
    try {
      return make();
    } catch (error) {
      this.#session.close();
      throw error;
    }
  }

  #makeArea(native: Native, memory: Memory, area: NativeArea | undefined): Area | null {
    if (area === undefined || this.zeroCopyReceive.support !== "native") return null;
    const { memory: buffer, start, sizeBytes } = area;
    return new Area(this.#queue, memory, buffer, start, sizeBytes, native.pageBytes);
  }

  /**
   * How the backend does each operation: {@link Support} and the reason.
   *
   * @category Diagnostics
   */
  get capabilities(): Capabilities {
    this.#capabilities ??= capabilitiesOf(
      this.backend,
      this.#session.lacking,
      this.#session.features,
      this.#zeroCopyReceiveRow(),
      vsockRow(loadNative()),
    );
    return this.#capabilities;
  }

  /** @internal */
  _base(): PathBase {
    return this.#base;
  }

  // When the program has not asked: the report of the machine.
  #zeroCopyReceiveRow(): Capability | undefined {
    const { support, reason } = this.zeroCopyReceive;
    if (support !== "off") return { support, reason };
    return this.backend === "io_uring" ? machineRow(loadNative()) : undefined;
  }

  // ---- files

  /**
   * Copies a file: its bytes and its permissions. The file system makes the copy where it can, and
   * shares the blocks where it can do that. A file that is there is replaced in place, and keeps
   * its owner and its other names. A copy of a file onto itself changes nothing. After a failure
   * what was copied until then stays. What is no regular file, as a device and a pipe, is refused
   * on either side, and keeps its permissions; so does the other side what it has.
   *
   * @param from The file to copy.
   * @param to Where the copy is to be.
   * @param options `exclusive`, `reflink`, `onProgress`: see {@link CopyFileOptions}. `signal` and
   *   `timeoutMs` are of the whole call; its error has `transferred`, the bytes that were copied.
   * @returns the bytes copied
   * @throws `ENOENT`, `EACCES`, `EISDIR`; `EINVAL` for a device, a pipe and the like; `EEXIST` with
   *   `exclusive`; `ENOTSUP` with `reflink: "always"` where the file system cannot, and a file that
   *   is there keeps its bytes; `ENOSPC`, `EDQUOT`; the codes of every operation: {@link
   *   IOError.code}
   * @category Files
   *
   * @example
   * ```ts
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * {
   *   await using file = await io.openFile("big", { write: true, create: true });
   *   await file.writeAll("content", 0);
   * }
   * await io.copyFile("big", "copy", {
   *   onProgress: (done, total) => void process.stdout.write(`${done} of ${total}\n`),
   * });
   * ```
   */
  async copyFile(from: Path, to: Path, options?: CopyFileOptions | null): Promise<number> {
    return copyFile(this, from, to, options);
  }

  // ---- network

  /**
   * Listens for connections. The address is free for the next listener as soon as this one is
   * closed: of a port by SO_REUSEADDR, and the file of a unix socket is removed, unless somebody
   * has put another one in its place. `timeoutMs` and `signal` are for the look-up of a name; the
   * rest never waits.
   *
   * @param options The port or the path, the backlog, and options of the socket.
   * @returns the listener; close it with `await using` or `close()`
   * @throws `ENOTFOUND` or `EAI_AGAIN` when a name cannot be looked up; `ABORT_ERR` and `ETIMEDOUT`
   *   while it is; `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` for a port below 1024 without the right,
   *   `EMFILE`; `ENOTSUP` for an option that this system does not have; the codes of every
   *   operation: {@link IOError.code}
   * @category Sockets
   */
  listen(options: InternetListenOptions & OperationOptions): Promise<
    Listener & {
      /** Where it listens: an address and a port. */
      readonly address: InternetAddress;
    }
  >;
  /**
   * The same, on another kind of address.
   *
   * @param options The port or the path, the backlog, and options of the socket.
   * @returns the listener; close it with `await using` or `close()`
   * @throws `ENOTFOUND` or `EAI_AGAIN` when a name cannot be looked up; `ABORT_ERR` and `ETIMEDOUT`
   *   while it is; `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` for a port below 1024 without the right,
   *   `EMFILE`; `ENOTSUP` for an option that this system does not have; the codes of every
   *   operation: {@link IOError.code}
   * @category Sockets
   */
  listen(options: UnixListenOptions & OperationOptions): Promise<
    Listener & {
      /** Where it listens: a path. */
      readonly address: UnixAddress;
    }
  >;
  /**
   * The same, on another kind of address.
   *
   * @param options The cid and the port, the backlog, and options of the socket.
   * @returns the listener; close it with `await using` or `close()`
   * @throws `EAFNOSUPPORT` where the system has no vsock; `EADDRINUSE`, `EADDRNOTAVAIL` for a cid
   *   that this machine has not, `EACCES` for a port below 1024 without the right, `EMFILE`; the
   *   codes of every operation: {@link IOError.code}
   * @category Sockets
   */
  listen(options: VsockListenOptions & OperationOptions): Promise<
    Listener & {
      /** Where it listens: a cid and a port. */
      readonly address: VsockAddress;
    }
  >;
  /**
   * The same, on another kind of address.
   *
   * @param options The port or the path, the backlog, and options of the socket.
   * @returns the listener; close it with `await using` or `close()`
   * @throws `ENOTFOUND` or `EAI_AGAIN` when a name cannot be looked up; `ABORT_ERR` and `ETIMEDOUT`
   *   while it is; `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` for a port below 1024 without the right,
   *   `EMFILE`; `ENOTSUP` for an option that this system does not have; the codes of every
   *   operation: {@link IOError.code}
   * @category Sockets
   */
  listen(options: ListenOptions & OperationOptions): Promise<Listener>;
  listen(options: ListenOptions & OperationOptions): Promise<Listener> {
    return openListener(this.#operations, this.#session, options);
  }

  /**
   * Connects a socket. `timeoutMs` and `signal` count for all of it, also while a name is looked
   * up.
   *
   * The addresses of a name are tried as in RFC 8305: of both families in turn, the next one when
   * an attempt has failed or has gone on for a while, and the first that succeeds is taken. When
   * all fail the error has one for each in `errors`. A name that cannot be looked up is an
   * `IOError` with Node's code ("ENOTFOUND", "EAI_AGAIN") and the name as `host`.
   *
   * Options of the socket are set before it connects. TCP_NODELAY is on unless `noDelay` is false.
   *
   * @param options The address, how it is tried, and options of the socket.
   * @returns the connected socket; close it with `await using` or `close()`
   * @throws `ENOTFOUND` or `EAI_AGAIN` when a name cannot be looked up; `ECONNREFUSED`,
   *   `ECONNRESET` (of vsock also when nothing listens), `EHOSTUNREACH`, `ENETUNREACH`, `ENOENT`
   *   for the path of a unix socket, `ENODEV` and `EAFNOSUPPORT` without vsock, `EMFILE`;
   *   `EADDRNOTAVAIL` and `EADDRINUSE` for `localAddress` and `localPort`; `ENOTSUP` for an option
   *   that this system does not have; `errors` has one for each address of a name; the codes of
   *   every operation: {@link IOError.code}
   * @category Sockets
   */
  connect(options: ConnectOptions & OperationOptions): Promise<Socket> {
    return connectSocket(this.#operations, this.#session, options);
  }

  /**
   * Opens a socket for datagrams, UDP or unix. With a `host` and a `port` (0: any free one), or a
   * `path`, it has that address; with a `family` alone it gets one when it first sends. `signal`
   * and `timeoutMs` are for the look-up of a name; the rest never waits.
   *
   * @param options An address to receive on, a path, or a family alone.
   * @returns the socket; close it with `await using` or `close()`
   * @throws `ENOTFOUND` or `EAI_AGAIN` when a name cannot be looked up; `EADDRINUSE`,
   *   `EADDRNOTAVAIL`, `EACCES`, `EMFILE`; the codes of every operation: {@link IOError.code}
   * @category Datagrams
   */
  openDatagram(options: DatagramOptions & OperationOptions & { port: number }): Promise<
    DatagramSocket & {
      /** Where it receives: an address and a port. */
      readonly localAddress: InternetAddress;
    }
  >;
  /**
   * The same, with another kind of address.
   *
   * @param options An address to receive on, a path, or a family alone.
   * @returns the socket; close it with `await using` or `close()`
   * @throws `ENOTFOUND` or `EAI_AGAIN` when a name cannot be looked up; `EADDRINUSE`,
   *   `EADDRNOTAVAIL`, `EACCES`, `EMFILE`; the codes of every operation: {@link IOError.code}
   * @category Datagrams
   */
  openDatagram(
    options: DatagramOptions & OperationOptions & { path: string | Uint8Array },
  ): Promise<
    DatagramSocket & {
      /** Where it receives: a path. */
      readonly localAddress: UnixAddress;
    }
  >;
  /**
   * The same, with another kind of address.
   *
   * @param options An address to receive on, a path, or a family alone.
   * @returns the socket; close it with `await using` or `close()`
   * @throws `ENOTFOUND` or `EAI_AGAIN` when a name cannot be looked up; `EADDRINUSE`,
   *   `EADDRNOTAVAIL`, `EACCES`, `EMFILE`; the codes of every operation: {@link IOError.code}
   * @category Datagrams
   */
  openDatagram(options: DatagramOptions & OperationOptions): Promise<DatagramSocket>;
  openDatagram(options: DatagramOptions & OperationOptions): Promise<DatagramSocket> {
    return openDatagram(this.#operations, options);
  }

  // ---- descriptors and threads

  /**
   * A notifier: other threads send small values to it, which end the wait of this one.
   *
   * @returns the notifier; close it with `await using` or `close()`
   * @throws `EMFILE` and `ENFILE` without descriptors; the codes of every operation: {@link
   *   IOError.code}
   * @category Descriptors
   */
  notifier(): Notifier {
    return openNotifier(this.#operations, this.#session);
  }

  /**
   * Takes signals that are sent to the process: they do nothing else then, until the close.
   * Listeners of `process.on()` and other takers get them too. For programs whose event loop does
   * not turn, and for loops.
   *
   * @param names The names of the signals: `["SIGTERM", "SIGINT"]`.
   * @returns what receives them; close it with `await using` or `close()`
   * @throws `EMFILE` and `ENFILE` without descriptors, `ENOTSUP` in Bun and Deno;
   *   `ERR_INVALID_ARG_VALUE` for "SIGKILL" and "SIGSTOP", which no program receives, for those of
   *   an instruction that has failed, and for "SIGPROF", which V8's CPU profiler handles; the codes
   *   of every operation: {@link IOError.code}
   * @category Descriptors
   */
  signals(names: readonly SignalName[]): Signals {
    return openSignals(this.#operations, this.#session, names);
  }

  /**
   * A duplicate of a descriptor that belongs to other code, to be polled. The number stays its
   * owner's, and is left as it is.
   *
   * @param fd The number of the descriptor, as the system has it.
   * @returns the duplicate; close it with `await using` or `close()`
   * @throws `EBADF` when no descriptor has that number; `ELOOP` for that of Node's event loop;
   *   `EMFILE`; the codes of every operation: {@link IOError.code}
   * @category Descriptors
   */
  borrow(fd: number): BorrowedDescriptor {
    return borrow(this.#operations, this.#session, fd);
  }

  /**
   * Waits until a descriptor that belongs to other code is ready. Several polls of one descriptor
   * cost less with {@link borrow}.
   *
   * @param fd The number of the descriptor, as the system has it. It may be closed meanwhile: the
   *   poll is of the file behind it.
   * @param event "readable" or "writable".
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns what holds now
   * @throws `EBADF` when no descriptor has that number; `ELOOP` for that of Node's event loop;
   *   `EMFILE`; the codes of every operation: {@link IOError.code}
   * @category Descriptors
   *
   * @example
   * ```ts
   * import { openSync } from "node:fs";
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * const { writable } = await io.poll(openSync("/dev/null", "w"), "writable");
   * process.stdout.write(`${writable}\n`);
   * ```
   */
  poll(fd: number, event: PollEvent, options?: OperationOptions | null): Promise<PollEvents> {
    return pollOnce(this.#operations, this.#session, fd, event, options);
  }

  /**
   * Takes over a descriptor that other code has opened and gives up: one that was inherited, that
   * systemd has passed, or that `detach()` has given. From then on the IO closes it. Of the numbers
   * 0, 1 and 2 it takes a duplicate, and leaves them open. When it throws, the descriptor stays the
   * caller's.
   *
   * It is not inherited by programs that are started from then on. Whether it blocks may change,
   * also for other processes that share it.
   *
   * @param fd The number of the descriptor, as the system has it; or what
   *   `socket.receiveDescriptors()` gave.
   * @param kind "file", "socket", "listener", "datagram", "pipe", "terminal" or "device".
   * @returns the file, socket or listener; close it with `await using` or `close()`
   * @throws `EBADF` when no descriptor has that number; `ERR_IO_DESCRIPTOR_KIND` when it is
   *   something else; `ERR_IO_DESCRIPTOR_OWNED` when it is this IO's already; the codes of every
   *   operation: {@link IOError.code}
   * @category Descriptors
   *
   * @example
   * ```ts
   * import { openSync } from "node:fs";
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * await using device = io.adopt(openSync("/dev/null", "w"), "device");
   * process.stdout.write(`${await device.write("gone")}\n`);
   * ```
   */
  adopt<Kind extends DescriptorKind>(fd: number | ReceivedDescriptor, kind: Kind): Adopted[Kind] {
    return adopt(this.#operations, this.#session, fd, kind);
  }

  /**
   * Two unix sockets that are connected to each other.
   *
   * @param kind "stream" (the default) or "datagram".
   * @returns both; close them with `await using` or `close()`
   * @throws `EMFILE` and `ENFILE` without descriptors; the codes of every operation: {@link
   *   IOError.code}
   * @category Descriptors
   */
  socketPair(kind?: "stream"): [Socket, Socket];
  /**
   * The same for datagrams.
   *
   * @param kind "datagram".
   * @returns both; close them with `await using` or `close()`
   * @throws `EMFILE` and `ENFILE` without descriptors; the codes of every operation: {@link
   *   IOError.code}
   * @category Descriptors
   */
  socketPair(kind: "datagram"): [DatagramSocket, DatagramSocket];
  socketPair(
    kind: "stream" | "datagram" = "stream",
  ): [Socket, Socket] | [DatagramSocket, DatagramSocket] {
    return socketPair(this.#operations, this.#session, kind);
  }

  /**
   * A pipe: what is written to the second file is read from the first. Positions do not count.
   *
   * @returns the end that is read, and the one that is written; close both
   * @throws `EMFILE` and `ENFILE` without descriptors; the codes of every operation: {@link
   *   IOError.code}
   * @category Descriptors
   */
  pipe(): [reader: File, writer: File] {
    return openPipe(this.#operations, this.#session);
  }

  /**
   * Waits for the end of a process: of a child, or of any other that this user may see. It does not
   * take the place of who waits for it: a child of `node:child_process` still has its "exit" event.
   * By `pidfd_open` on Linux, by `EVFILT_PROC` of a kqueue on macOS and the BSDs.
   *
   * @param pid The number of the process.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns how it has ended, where the system says so
   * @throws `ESRCH` when there is no such process, `ENOTSUP` on Linux before 5.3, `EACCES` for a
   *   process of another user on NetBSD, `EMFILE`; the codes of every operation:
   *   {@link IOError.code}
   * @category Descriptors
   *
   * @example
   * ```ts
   * import { spawn } from "node:child_process";
   * import { IO } from "@io/core";
   *
   * await using io = await IO.open();
   * const child = spawn("sleep", ["0.01"]);
   * await io.waitProcess(child.pid as number);
   * ```
   */
  waitProcess(pid: number, options?: OperationOptions | null): Promise<ProcessEnd> {
    return waitProcess(this.#operations, this.#session, pid, options);
  }

  // ---- time and composition

  /**
   * A round trip to the kernel that does nothing; resolves with 0.
   *
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @returns 0
   * @throws the codes of every operation: {@link IOError.code}
   * @category Diagnostics
   */
  nop(options?: OperationOptions | null): Promise<number> {
    const promise = this.#operations.begin(options, undefined, NOP);
    const pending = this.#operations.begun;
    if (pending === null) return promise;
    try {
      this.ring.nop(pending, this.#operations.settle);
    } catch (error) {
      this.#operations.fail(pending, error);
    }
    return promise;
  }

  /**
   * Resolves after so many milliseconds, and never earlier. Fractions count: 0.1 is 100 µs. It may
   * take a quarter longer, a millisecond at most, so that many sleeps end together.
   *
   * @param durationMs Milliseconds, 0 or more, with fractions.
   * @param options `signal` and `timeoutMs`; no limit by default.
   * @throws the codes of every operation: {@link IOError.code}
   * @category Time
   */
  sleep(durationMs: number, options?: OperationOptions | null): Promise<void> {
    let durationNs: number;
    try {
      durationNs = nanosecondsOf(milliseconds(durationMs, "durationMs", "sleep"));
      this.#operations.check("sleep");
    } catch (error) {
      return Promise.reject(error);
    }
    // Its promise is the only one: an asynchronous function would make a second one.
    const promise: Promise<unknown> = this.#operations.begin(options, SLEEPING, SLEEP);
    const pending = this.#operations.begun;
    if (pending === null) return promise as Promise<void>;
    try {
      this.ring.timeout(pending, this.#operations.settleEmpty, durationNs);
    } catch (error) {
      this.#operations.fail(pending, error);
    }
    return promise as Promise<void>;
  }

  /**
   * A scope: `signal` and `timeoutMs` are of all that is started with its signal, and its end
   * cancels that. A scope within another one is given that one's `signal`.
   *
   * @param options `signal` ends the scope; `timeoutMs` is the time limit of all of it.
   * @returns the scope; end it with `using`, `await using` or `close()`
   * @throws `ABORT_ERR` when the signal has aborted, `ERR_IO_CLOSED` when the IO is closed; the
   *   codes of a refused argument: {@link IOError.code}
   * @category Chains and cancel
   */
  scope(options?: OperationOptions | null): Scope {
    return openScope(this.#operations, options);
  }

  /**
   * A repeating timer. `intervalMs` is above 0, and may have fractions: 0.1 is 100 µs.
   *
   * @param options `intervalMs`: milliseconds above 0, with fractions.
   * @returns the timer, an async iterable of counts
   * @throws `ERR_IO_CLOSED` when the IO is closed; the codes of a refused argument: {@link
   *   IOError.code}
   * @category Time
   */
  timer(options: { intervalMs: number }): Timer {
    checkGiven(options, TIMER);
    const intervalMs = milliseconds(options.intervalMs, "intervalMs", "timer");
    if (intervalMs === 0) throw rangeError("timer", "intervalMs is 0: give milliseconds above 0");
    return new Timer(this.#operations, intervalMs);
  }

  /**
   * Runs operations, 32 at most, one after the other: each starts when the one before it has
   * succeeded in full, or, behind one that is `hard`, whatever came of that
   * ({@link PreparedOperation.with}). Resolves with the value of each; rejects with the error of
   * the first that failed, or with "ERR_IO_CHAIN_SHORT" when one moved fewer bytes than it was
   * given. The error says which it was (`member`) and what came of all (`results`): also the
   * descriptors that were opened, accepted or made before the failure, which the caller closes.
   *
   * `signal` and `timeoutMs` are for all of it: they cancel what has not completed by then.
   *
   * In the place of a descriptor, `io.ring.chainDescriptor` is the one that the chain itself opens.
   *
   * @param prepared 1 to 32 operations, from {@link IO.prepare} or the `prepare` methods of a file.
   * @param options `signal` and `timeoutMs` of the whole chain; no limit by default.
   * @returns the values, in the order of the operations: their results, unless
   *   {@link PreparedOperation.with} makes others of them
   * @throws `ERR_IO_CHAIN_SHORT` when an operation moved fewer bytes than it was given; the code of
   *   the first operation that failed; the codes of every operation: {@link IOError.code}
   * @category Chains and cancel
   *
   * @example
   * ```ts
   * import { IO, OpenFlags } from "@io/core";
   *
   * await using io = await IO.open();
   * await using log = await io.openFile("wal.log", { write: true, create: true });
   * const entry = Buffer.from("an entry\n");
   * const results = await io.chain([log.prepareWrite(entry, 0), log.prepareSync("data")]);
   * process.stdout.write(`${results}\n`); // 9,0: the bytes written, and the sync
   *
   * const memory = Buffer.alloc(4096);
   * const here = io.ring.chainDescriptor; // what the chain opens
   * const [, count] = await io.chain([
   *   io.prepare.open("wal.log", OpenFlags.read, 0),
   *   io.prepare.read(here, memory, 0).with({ hard: true }), // it may be shorter than the memory
   *   io.prepare.close(here),
   * ]);
   * process.stdout.write(memory.subarray(0, count));
   * ```
   */
  chain<const Members extends readonly PreparedOperation<unknown>[]>(
    prepared: Members,
    options?: OperationOptions | null,
  ): Promise<ChainValues<Members>> {
    this.#operations.apart();
    return runChain(this.#operations, prepared, options) as Promise<ChainValues<Members>>;
  }

  /**
   * The verbs of the ring as operations for `io.chain`: `io.prepare.rename(from, to)` is
   * `io.ring.rename` without completion and callback. The arguments are checked when the chain
   * starts. What closes the descriptor of a `File` is `file.prepareClose()`.
   *
   * @category Chains and cancel
   */
  get prepare(): Prepare {
    this.#prepare ??= prepareOn(this.ring);
    return this.#prepare;
  }

  /**
   * Asks for the end of everything in flight; resolves with how many operations were found. On
   * io_uring that is the kernel's count, which can be less than how many end (`ring.cancelAll`).
   *
   * It takes neither `signal` nor `timeoutMs`: it waits for nothing, and a cancel that is cancelled
   * could not say what has ended.
   *
   * @returns how many operations were found
   * @throws `ERR_IO_CLOSED` when the IO is closed
   * @category Chains and cancel
   *
   * @example
   * ```ts
   * import { IO, type IOError } from "@io/core";
   *
   * await using io = await IO.open();
   * const sleeping = io.sleep(60_000).catch((error: IOError) => error.code);
   * await io.cancelAll();
   * process.stdout.write(`${await sleeping}\n`); // ECANCELED
   * ```
   */
  cancelAll(): Promise<number> {
    return this.#operations.run((pending, settle) => this.ring.cancelAll(pending, settle));
  }

  // ---- detached mode

  /**
   * Submits and calls back until nothing is in flight. Detached mode only.
   *
   * @throws `ERR_IO_ATTACHED` on an IO that Node's event loop drives, `ERR_IO_REENTRANT` inside a
   *   callback, `ERR_IO_CHAIN_OPEN` while a chain waits for its next operation, `ERR_IO_CLOSED`
   * @category Ring
   */
  run(): void {
    this.#checkDetached("run");
    this.#queue.checkChain("run");
    // In slices, so that a Worker can be ended while it waits.
    while (this.#queue.inFlight > 0) this.#queue.poll(WAIT_SLICE_NS);
  }

  /**
   * Submits, waits up to `durationNs` nanoseconds for a completion, and calls back for all there
   * are; returns how many. 0 never waits. Detached mode only.
   *
   * @param durationNs Nanoseconds to wait at most, 0 or more.
   * @returns how many callbacks were called
   * @throws `ERR_IO_ATTACHED` on an IO that Node's event loop drives, `ERR_IO_REENTRANT` inside a
   *   callback, `ERR_IO_CHAIN_OPEN` while a chain waits for its next operation, `ERR_IO_CLOSED`;
   *   `ERR_OUT_OF_RANGE` for a duration that is no whole number
   * @category Ring
   */
  runFor(durationNs: number | bigint): number {
    this.#checkDetached("runFor");
    this.#queue.checkChain("runFor");
    const duration = wholeOrBigint(durationNs, 0, "durationNs", "runFor");
    if (duration <= WAIT_SLICE_NS) return this.#queue.poll(duration);
    const endNs = process.hrtime.bigint() + BigInt(duration);
    for (;;) {
      const leftNs = Number(endNs - process.hrtime.bigint());
      const count = this.#queue.poll(Math.max(0, Math.min(leftNs, WAIT_SLICE_NS)));
      if (count > 0 || leftNs <= 0) return count;
    }
  }

  #checkDetached(operation: string): void {
    this.#queue.check(operation);
    if (this.mode === "attached") {
      throw new IOError({
        code: "ERR_IO_ATTACHED",
        operation,
        message: `${operation}: this IO is driven by Node's event loop; open it detached`,
      });
    }
    if (this.#queue.dispatching) {
      throw new IOError({
        code: "ERR_IO_REENTRANT",
        operation,
        message: `${operation}: called from inside a callback, which would recurse; return first`,
      });
    }
  }

  // ---- the end

  /**
   * What is in flight keeps the process alive, as it does unless `unref` was called. Returns
   * itself, as in Node.
   *
   * @category Start
   */
  ref(): this {
    this.#setRef(true);
    return this;
  }

  /**
   * What is in flight does not keep the process alive. Returns itself.
   *
   * @category Start
   */
  unref(): this {
    this.#setRef(false);
    return this;
  }

  #setRef(keeps: boolean): void {
    if (!this.#queue.closed) this.#session.setRef(-1, keeps);
  }

  /**
   * Reads the counters of this IO.
   *
   * @returns every counter, as it stands now
   * @throws `ERR_IO_CLOSED` when the IO is closed
   * @category Diagnostics
   */
  stats(): Stats {
    this.#queue.check("stats");
    const counters = new Float64Array(abi.COUNTER_NAMES.length);
    this.#session.counters(counters);
    return statsFrom(counters, this.#queue.strays);
  }

  /**
   * Takes no new operations, cancels what is in flight, waits for every final completion (each
   * promise settles, each callback is called), and closes all descriptors of this IO. A peer has a
   * second to take what was sent to it without a copy; then its connection is reset. May be called
   * again, with the same promise.
   *
   * Chunks that were never released stay readable; a warning with code "IO_CHUNKS_KEPT" says how
   * many there are, and of which sockets.
   *
   * It takes neither `signal` nor `timeoutMs`: memory stays the kernel's until each operation has
   * ended, so a close cannot be given up halfway.
   *
   * @category Start
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /**
   * Closes the IO: what `await using` calls.
   *
   * @category Start
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const queue = this.#queue;
    releaseIO(this);
    queue.dropChain();
    queue.closed = true;
    for (const limit of this.#operations.limits) limit.close();
    const pools = this.#operations.chunkPools as ChunkPools;
    pools.close();
    if (queue.inFlight > 0 && this.mode === "attached") {
      await untilIdle(queue, this.#session);
    } else {
      // Polling inside a callback would recurse: go on when the program's loop has returned.
      if (queue.inFlight > 0 && queue.dispatching) await Promise.resolve();
      drain(queue, this.#session);
    }
    // Memory of an operation that has just ended is being returned now.
    if (pools.kept() !== undefined) await new Promise(setImmediate);
    const kept = pools.kept();
    if (kept !== undefined) process.emitWarning(`io.close(): ${kept}`, "IOWarning", KEPT_CODE);
    this.#session.close();
    this.#leaveMask();
  }
}

function checkBytes(value: number, name: string): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  const message = `${name} is ${shown(value)}: give whole bytes, 0 or more`;
  throw numberError("open", value, message);
}

function checkLimits(entries: number, inFlightLimit: number): void {
  const powerOfTwo = Number.isInteger(entries) && (entries & (entries - 1)) === 0;
  if (!powerOfTwo || entries < abi.MIN_ENTRIES || entries > abi.MAX_ENTRIES) {
    const right = `give a power of two from ${abi.MIN_ENTRIES} to ${abi.MAX_ENTRIES}`;
    throw numberError("open", entries, `entries is ${shown(entries)}: ${right}`);
  }
  wholeNumber(inFlightLimit, 1, abi.MAX_IN_FLIGHT_LIMIT, "inFlightLimit", "open");
}
