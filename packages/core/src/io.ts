// The front of the library: opens the engine, and gives files, sockets, timers and memory.
import {
  type Address,
  addressFrom,
  formatAddress,
  type InternetAddress,
  placeOf,
  type UnixAddress,
} from "./address.js";
import * as abi from "./engine/abi.js";
import { Buffers } from "./engine/buffers.js";
import { loadNative, waitsElsewhere } from "./engine/load.js";
import { keepMaskOf, type Moment, momentOfMask } from "./engine/mask.js";
import { Memory } from "./engine/memory.js";
import type { Native, NativeArea, NativeSession } from "./engine/native.js";
import { Queue, slotsFor } from "./engine/queue.js";
import { textFromBytes } from "./engine/text.js";
import { IOError, rangeError, typeError } from "./errors.js";
import { type PreparedOperation, runChain } from "./files/chain.js";
import { File } from "./files/file.js";
import { PATH_BYTES_MOST } from "./files/paths.js";
import { type Stat, StatRecord } from "./files/stat.js";
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
} from "./probe/capabilities.js";
import {
  areaFrom,
  type ZeroCopyReceive,
  type ZeroCopyReceiveOptions,
  zeroCopyReceiveOf,
} from "./probe/zero_copy_receive.js";
import { Area } from "./receiving/area.js";
import { ChunkPools } from "./receiving/chunk_pools.js";
import { endingsFrom, type OperationOptions, Operations } from "./ring/operations.js";
import { OpenFlags, Ring } from "./ring/ring.js";
import { BACKLOG_MOST } from "./ring/ring_sockets.js";
import type { Descriptor } from "./ring/types.js";
import { type AttemptOptions, attemptsFrom, connectByName } from "./sockets/connecting.js";
import { type DatagramOptions, type DatagramSocket, openDatagram } from "./sockets/datagram.js";
import { FileSender } from "./sockets/file_sender.js";
import { Listener } from "./sockets/listener.js";
import { addressOf, familyOf, Limit, type LookupOptions, withAddress } from "./sockets/lookup.js";
import { Socket } from "./sockets/socket.js";
import { socketCallError } from "./sockets/socket_base.js";
import { ownFile } from "./sockets/socket_file.js";
import {
  checkGiven,
  checkOptions,
  type FileMode,
  flag,
  type Known,
  knows,
  knowsOnly,
  milliseconds,
  modeFrom,
  nanosecondsOf,
  oneOf,
  type Path,
  pathFrom,
  pathText,
  shown,
  valueError,
  wholeNumber,
  wholeOrBigint,
} from "./support/check.js";
import { Ending } from "./support/ending.js";
import { releaseIO, watchIO } from "./support/forgotten.js";
import { Timer } from "./timer.js";

/** How an {@link IO} is opened. */
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
   * is copied: docs/guides/zcrx.md. Where it is not available `io.zeroCopyReceive` says why, and
   * receiving goes on in ordinary buffers. It needs CAP_NET_ADMIN and a queue of the device
   * that other traffic is kept away from.
   */
  zeroCopyReceive?: ZeroCopyReceiveOptions | null | undefined;
  /** Helps to find mistakes of the program, at a cost; all off by default. */
  debug?: DebugOptions | null | undefined;
}

/** What {@link IOOptions} has under `debug`. */
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

/** How a file is opened; `{ read: true }` when nothing is said. */
export interface OpenOptions extends OperationOptions {
  read?: boolean | null | undefined;
  write?: boolean | null | undefined;
  /** Every write goes to the end. */
  append?: boolean | null | undefined;
  /** Make the file when it is not there. */
  create?: boolean | null | undefined;
  /** With `create`: fail when it is there. */
  exclusive?: boolean | null | undefined;
  /** Empty the file. Needs `write` or `append`, so that no file is emptied by mistake. */
  truncate?: boolean | null | undefined;
  /** Past the page cache (O_DIRECT): memory, positions and lengths must be multiples of a block. */
  direct?: boolean | null | undefined;
  /** Fail unless it is a directory. */
  directory?: boolean | null | undefined;
  /** `false`: fail when the last part of the path is a symbolic link. */
  followLinks?: boolean | null | undefined;
  /**
   * Permissions of a file that is made, less the process's mask at the call; 0o666 by default. A
   * string is octal and begins with a 0: "0644".
   */
  mode?: FileMode | null | undefined;
}

/** Where to listen: an address with a port (0: any free one), or a unix socket's path. */
export type ListenOptions = InternetListenOptions | UnixListenOptions;

interface BacklogOptions {
  /** Connections that may wait in the kernel; 511 by default, as in Node. */
  backlog?: number | null | undefined;
}

/** A port to listen on. */
export interface InternetListenOptions extends BacklogOptions, LookupOptions {
  host?: string | null | undefined;
  port: number;
  reusePort?: boolean | null | undefined;
}

/** A unix socket's path to listen on. */
export interface UnixListenOptions extends BacklogOptions {
  path: string | Uint8Array;
}

/**
 * Where to connect. Nagle's algorithm is off unless `noDelay` is false. All addresses of a name are
 * tried.
 */
export type ConnectOptions =
  | ({
      host?: string | null | undefined;
      port: number;
      noDelay?: boolean | null | undefined;
    } & AttemptOptions)
  | { path: string | Uint8Array };

/** What {@link IO.stats} counts. Sizes are bytes, the rest are counts since the IO was opened. */
export type Stats = Record<(typeof abi.COUNTER_NAMES)[number], number> & {
  /** Completions that named no operation of ours: stays 0 unless the rings were damaged. */
  strays: number;
};

const DEFAULT_ENTRIES = 1024;
const DEFAULT_BUFFERS_LIMIT_BYTES = 64 * 1024 * 1024;
const DEFAULT_LENT_LIMIT_BYTES = 64 * 1024 * 1024;
const DEFAULT_BACKLOG = 511;
const KEPT_CODE = "IO_CHUNKS_KEPT";
const WAIT_SLICE_NS = 50_000_000;

const OPEN = knowsOnly(
  "open",
  ...["backend", "mode", "entries", "inFlightLimit", "buffersMaxBytes", "chunksMaxBytes"],
  ...["zeroCopyReceive", "debug"],
);
const DEBUG = knowsOnly("open", "detectReuse", "traceOpens");
const MODES = { attached: true, detached: true } as const;
const OPEN_FILE = knows(
  "openFile",
  ...["read", "write", "append", "create", "exclusive", "truncate", "direct", "directory"],
  ...["followLinks", "mode"],
);
const STAT = knows("stat", "followLinks");
const RENAME = knows("rename");
const LINK = knows("link");
const SYMLINK = knows("symlink");
const READLINK = knows("readlink", "encoding");
const ENCODINGS = { utf8: true, buffer: true } as const;
const UNLINK = knows("unlink", "directory");
const MKDIR = knows("mkdir", "mode");
// An Address that the library gave may be listened on and connected to.
const LISTEN = knows("listen", "host", "port", "path", "family", "backlog", "reusePort", "lookup");
const CONNECT = knows(
  "connect",
  ...["host", "port", "path", "family", "noDelay"],
  ...["lookup", "autoSelectFamily", "autoSelectFamilyAttemptTimeoutMs"],
);
const NOP = knows("nop");
const SLEEP = knows("sleep");
const TIMER = knowsOnly("timer", "intervalMs");

// Only the library calls the constructor.
const OPENING = Symbol("opening");

/**
 * An I/O ring with everything on it, for one thread: each Worker opens its own.
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
export class IO implements AsyncDisposable {
  readonly backend: BackendName;
  /** One sentence: how the backend was chosen, and why each better one was not. */
  readonly why: string;
  readonly mode: "attached" | "detached";
  /** Whether a network device writes what `socket.chunks()` gives, and why not. */
  readonly zeroCopyReceive: ZeroCopyReceive;
  /** The lower layer: every operation with a callback, and no allocation. */
  readonly ring: Ring;
  /** Page-aligned memory that the kernel keeps mapped. */
  readonly buffers: Buffers;
  readonly #session: NativeSession;
  readonly #queue: Queue;
  readonly #operations: Operations;
  readonly #leaveMask: () => void;
  #capabilities: Capabilities | null = null;
  #closing: Promise<void> | null = null;

  /**
   * Opens a ring. Fails with "ERR_IO_BACKEND_UNKNOWN", "ERR_IO_BACKEND_UNAVAILABLE" (the message
   * says which call failed, how, and what to change), or the system's own code when memory or
   * descriptors ran out.
   */
  static async open(options?: IOOptions | null): Promise<IO> {
    checkOptions(options, OPEN);
    return new IO(options ?? {}, OPENING);
  }

  private constructor(options: IOOptions, opening: symbol) {
    if (opening !== OPENING) {
      throw typeError("IO", "an IO is not made with new: call await IO.open()");
    }
    const entries = options.entries ?? DEFAULT_ENTRIES;
    const inFlightLimit = options.inFlightLimit ?? abi.IN_FLIGHT_LIMIT_MOST;
    const buffersMaxBytes = options.buffersMaxBytes ?? DEFAULT_BUFFERS_LIMIT_BYTES;
    const chunksMaxBytes = options.chunksMaxBytes ?? DEFAULT_LENT_LIMIT_BYTES;
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
    this.ring.owner = this;
    this.buffers.owner = this;
    watchIO(this, this.#queue, traces);
    this.#operations.reuses = memory.reuses;
    const lent = this.#orClose(() => this.#lend(native, memory, area));
    this.#operations.chunkPools = new ChunkPools(this.ring, memory, chunksMaxBytes, lent);
    const byCall = !this.#session.lacking.includes(abi.OPCODE_SEND_FILE);
    this.#operations.fileSender = new FileSender(this.#operations, this.buffers, byCall);
  }

  // What fails after the engine was made leaves none behind.
  #orClose<T>(make: () => T): T {
    try {
      return make();
    } catch (error) {
      this.#session.close();
      throw error;
    }
  }

  #lend(native: Native, memory: Memory, area: NativeArea | undefined): Area | null {
    if (area === undefined || this.zeroCopyReceive.support !== "native") return null;
    const { memory: buffer, start, sizeBytes } = area;
    return new Area(this.#queue, memory, buffer, start, sizeBytes, native.pageBytes);
  }

  /** How the backend does each operation: "native", "emulated" or "unsupported", and why. */
  get capabilities(): Capabilities {
    this.#capabilities ??= capabilitiesOf(
      this.backend,
      this.#session.lacking,
      this.#session.features,
      this.#zeroCopyReceiveRow(),
    );
    return this.#capabilities;
  }

  // When nobody has asked, what the machine says of it.
  #zeroCopyReceiveRow(): Capability | undefined {
    const { support, reason } = this.zeroCopyReceive;
    if (support !== "off") return { support, reason };
    return this.backend === "io_uring" ? machineRow(loadNative()) : undefined;
  }

  // ---- files

  /**
   * Opens a file. The current folder and the process's mask count as they are at the call. A file
   * that is not closed and becomes garbage is closed, with a warning.
   */
  async openFile(path: Path, options?: OpenOptions | null): Promise<File> {
    checkOptions(options, OPEN_FILE);
    const given = options ?? {};
    const flags = openFlags(given);
    const direct = (flags & OpenFlags.direct) !== 0;
    const mode = modeFrom(given.mode ?? 0o666, "openFile");
    const bytes = pathFrom(path, "openFile");
    const name = pathText(bytes);
    const descriptor = await this.#operations.run(
      (pending, settle) => this.ring.open(pending, settle, bytes, flags, mode),
      options,
      { path: name },
      OPEN_FILE,
    );
    return new File(this.#operations, descriptor, name, direct, openedOnly(flags));
  }

  /** What is known of the file at a path. */
  async stat(
    path: Path,
    options?: (OperationOptions & { followLinks?: boolean | null | undefined }) | null,
  ): Promise<Stat> {
    checkOptions(options, STAT);
    const bytes = pathFrom(path, "stat");
    const record = new StatRecord();
    const follow = flag(options?.followLinks, true, "followLinks", "stat");
    await this.#operations.run(
      (pending, settle) => this.ring.stat(pending, settle, bytes, record, follow),
      options,
      { path: pathText(bytes) },
      STAT,
    );
    return record.stat;
  }

  /** Renames a file, replacing what is there. Durable once the folder was synced. */
  async rename(from: Path, to: Path, options?: OperationOptions | null): Promise<void> {
    await this.#onTwoPaths("rename", from, to, options, RENAME);
  }

  /** Gives a file another name, which must be free (a hard link), on the same file system. */
  async link(existing: Path, path: Path, options?: OperationOptions | null): Promise<void> {
    await this.#onTwoPaths("link", existing, path, options, LINK);
  }

  /**
   * Makes a symbolic link to `target`, which need not be there. It is kept as it is given: a
   * relative one begins at the folder of the link.
   */
  async symlink(target: Path, path: Path, options?: OperationOptions | null): Promise<void> {
    await this.#onTwoPaths("symlink", target, path, options, SYMLINK);
  }

  /**
   * What a symbolic link leads to, as it was given when the link was made. A byte that is not UTF-8
   * stands in the text as in every path of this library; `encoding: "buffer"` gives the bytes.
   */
  async readlink(
    path: Path,
    options?: (OperationOptions & { encoding?: "utf8" | null | undefined }) | null,
  ): Promise<string>;
  async readlink(path: Path, options: OperationOptions & { encoding: "buffer" }): Promise<Buffer>;
  async readlink(
    path: Path,
    options?: (OperationOptions & { encoding?: "utf8" | "buffer" | null | undefined }) | null,
  ): Promise<string | Buffer> {
    checkOptions(options, READLINK);
    const encoding = oneOf(options?.encoding ?? "utf8", ENCODINGS, "encoding", "readlink");
    const bytes = pathFrom(path, "readlink");
    const into = new Uint8Array(PATH_BYTES_MOST);
    const length = await this.#operations.run(
      (pending, settle) => this.ring.readlink(pending, settle, bytes, into),
      options,
      { path: pathText(bytes) },
      READLINK,
    );
    const target = into.subarray(0, length);
    return encoding === "buffer" ? Buffer.from(target) : textFromBytes(target);
  }

  #onTwoPaths(
    verb: "rename" | "link" | "symlink",
    first: Path,
    second: Path,
    options: OperationOptions | null | undefined,
    known: Known,
  ): Promise<number> {
    const path = pathFrom(first, verb);
    const dest = pathFrom(second, verb);
    return this.#operations.run(
      (pending, settle) => this.ring[verb](pending, settle, path, dest),
      options,
      { path: pathText(path), dest: pathText(dest) },
      known,
    );
  }

  /** Removes a file, or an empty directory with `directory: true`. */
  async unlink(
    path: Path,
    options?: (OperationOptions & { directory?: boolean | null | undefined }) | null,
  ): Promise<void> {
    checkOptions(options, UNLINK);
    const directory = flag(options?.directory, false, "directory", "unlink");
    const bytes = pathFrom(path, "unlink");
    await this.#operations.run(
      (pending, settle) => this.ring.unlink(pending, settle, bytes, directory),
      options,
      { path: pathText(bytes) },
      UNLINK,
    );
  }

  /** Makes a directory; its parent must be there. */
  async mkdir(
    path: Path,
    options?: (OperationOptions & { mode?: FileMode | null | undefined }) | null,
  ): Promise<void> {
    checkOptions(options, MKDIR);
    const mode = modeFrom(options?.mode ?? 0o777, "mkdir");
    const bytes = pathFrom(path, "mkdir");
    await this.#operations.run(
      (pending, settle) => this.ring.mkdir(pending, settle, bytes, mode),
      options,
      { path: pathText(bytes) },
      MKDIR,
    );
  }

  // ---- network

  /**
   * Listens for connections. The address is free for the next listener as soon as this one is
   * closed: of a port by SO_REUSEADDR, and the file of a unix socket is removed, unless somebody
   * has put another one in its place. `timeoutMs` and `signal` are for the look-up of a name; the
   * rest never waits.
   */
  listen(
    options: InternetListenOptions & OperationOptions,
  ): Promise<Listener & { readonly address: InternetAddress }>;
  listen(
    options: UnixListenOptions & OperationOptions,
  ): Promise<Listener & { readonly address: UnixAddress }>;
  listen(options: ListenOptions & OperationOptions): Promise<Listener>;
  async listen(options: ListenOptions & OperationOptions): Promise<Listener> {
    checkGiven(options, LISTEN);
    const endings = endingsFrom(options, LISTEN);
    const { reusePort } = options as { reusePort?: boolean };
    const shares = flag(reusePort, false, "reusePort", "listen");
    const asked = options.backlog ?? DEFAULT_BACKLOG;
    const backlog = wholeNumber(asked, 0, BACKLOG_MOST, "the backlog", "listen");
    const moment = momentOfMask();
    return withAddress(this.#operations, "listen", options, endings, (address) =>
      this.#listen(address, backlog, shares, moment),
    );
  }

  #listen(address: Address, backlog: number, shares: boolean, moment: Moment): Promise<Listener> {
    return this.#withSocket(address, async (descriptor, subject) => {
      if (address.family !== "unix") {
        this.#setOption(descriptor, abi.SOCKET_OPTION_REUSE_ADDRESS);
        if (shares) this.#setOption(descriptor, abi.SOCKET_OPTION_REUSE_PORT);
      }
      await this.#operations.run(
        (pending, settle) => this.ring.bind(pending, settle, descriptor, address),
        undefined,
        subject,
      );
      ownFile(this.#session, descriptor, address, moment);
      await this.#operations.run(
        (pending, settle) => this.ring.listen(pending, settle, descriptor, backlog),
        undefined,
        subject,
      );
      const name = this.#session.name(descriptor, false);
      const bound = typeof name === "number" ? null : addressFrom(...name);
      return new Listener(
        this.#operations,
        descriptor,
        bound ?? address,
        (accepted) => this.#makeSocket(accepted, address.family !== "unix"),
        this.#session,
      );
    });
  }

  /**
   * Connects a socket. `timeoutMs` and `signal` count for all of it, also while a name is looked
   * up.
   *
   * The addresses of a name are tried as in RFC 8305: of both families in turn, the next one when
   * an attempt has failed or has gone on for a while, and the first that succeeds is taken. When
   * all fail the error has one for each in `errors`. A name that cannot be looked up is an
   * `IOError` with Node's code ("ENOTFOUND", "EAI_AGAIN") and the name as `host`.
   */
  async connect(options: ConnectOptions & OperationOptions): Promise<Socket> {
    checkGiven(options, CONNECT);
    const endings = endingsFrom(options, CONNECT);
    const noDelay = flag((options as { noDelay?: boolean }).noDelay, true, "noDelay", "connect");
    const attempts = attemptsFrom(options as AttemptOptions);
    const place = placeOf(options, "connect");
    if ("family" in place) return this.#connect(place, false, endings);
    const { host, port } = place;
    const family = await familyOf(host);
    if (family !== 0) {
      return this.#connect(addressOf({ address: host, family }, port), noDelay, endings);
    }
    const limit = new Limit(this.#operations, "connect", `${host}:${port}`, endings);
    try {
      return await connectByName(place, attempts, limit, (address, ends) =>
        this.#connect(address, noDelay, ends),
      );
    } finally {
      limit.finish();
    }
  }

  #connect(address: Address, noDelay: boolean, options: OperationOptions): Promise<Socket> {
    return this.#withSocket(address, async (descriptor, subject) => {
      await this.#operations.run(
        (pending, settle) => this.ring.connect(pending, settle, descriptor, address),
        options,
        subject,
        CONNECT,
      );
      const socket = this.#makeSocket(descriptor, noDelay);
      socket.target = address;
      return socket;
    });
  }

  /**
   * Opens a socket for datagrams, UDP or unix. With a `host` and a `port` (0: any free one), or a
   * `path`, it has that address; with a `family` alone it gets one when it first sends.
   */
  openDatagram(
    options: DatagramOptions & { port: number },
  ): Promise<DatagramSocket & { readonly localAddress: InternetAddress }>;
  openDatagram(
    options: DatagramOptions & { path: string | Uint8Array },
  ): Promise<DatagramSocket & { readonly localAddress: UnixAddress }>;
  openDatagram(options: DatagramOptions): Promise<DatagramSocket>;
  openDatagram(options: DatagramOptions): Promise<DatagramSocket> {
    return openDatagram(this.#operations, this.#session, options);
  }

  // A socket that does not become what it was made for is closed again.
  async #withSocket<T>(
    address: Address,
    use: (descriptor: Descriptor, subject: { address: string }) => Promise<T>,
  ): Promise<T> {
    const subject = { address: formatAddress(address) };
    const descriptor = await this.#operations.run(
      (pending, settle) => this.ring.socket(pending, settle, address.family),
      undefined,
      subject,
    );
    try {
      return await use(descriptor, subject);
    } catch (error) {
      await this.#operations.close(descriptor);
      throw error;
    }
  }

  #makeSocket(descriptor: Descriptor, noDelay: boolean): Socket {
    // Fails on a connection that is gone already, which its first receive will tell.
    if (noDelay) this.#session.setOption(descriptor, abi.SOCKET_OPTION_NO_DELAY, 1);
    return new Socket(this.#operations, this.#session, descriptor);
  }

  #setOption(descriptor: Descriptor, option: number): void {
    const result = this.#session.setOption(descriptor, option, 1);
    if (result < 0) throw socketCallError("listen", "setsockopt", result, this.backend);
  }

  // ---- time and composition

  /** A round trip to the kernel that does nothing; resolves with 0. */
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

  /** Resolves after so many milliseconds, and never earlier. Fractions count: 0.1 is 100 µs. */
  async sleep(durationMs: number, options?: OperationOptions | null): Promise<void> {
    const durationNs = nanosecondsOf(milliseconds(durationMs, "durationMs", "sleep"));
    await this.#operations.run(
      (pending, settle) => this.ring.timeout(pending, settle, durationNs),
      options,
      undefined,
      SLEEP,
    );
  }

  /** A repeating timer. `intervalMs` is above 0, and may have fractions: 0.1 is 100 µs. */
  timer(options: { intervalMs: number }): Timer {
    checkGiven(options, TIMER);
    const intervalMs = milliseconds(options.intervalMs, "intervalMs", "timer");
    if (intervalMs === 0) throw rangeError("timer", "intervalMs is 0: give milliseconds above 0");
    return new Timer(this.#operations, intervalMs);
  }

  /**
   * Runs operations, 32 at most, one after the other as one submission: each starts when the one
   * before it has succeeded in full. Resolves with all results; rejects with the error of the first
   * that failed, or with "ERR_IO_CHAIN_SHORT" when one moved fewer bytes than it was given.
   *
   * `signal` and `timeoutMs` are for all of it: they cancel what has not completed by then. The
   * `cause` of the "ETIMEDOUT" is the list of all results.
   */
  chain(
    prepared: readonly PreparedOperation[],
    options?: OperationOptions | null,
  ): Promise<number[]> {
    this.#operations.apart();
    return runChain(this.#operations, prepared, options);
  }

  /**
   * Asks for the end of everything in flight; resolves with how many operations were found. On
   * io_uring that is the kernel's count, which can be less than how many end (`ring.cancelAll`).
   *
   * It takes neither `signal` nor `timeoutMs`: it waits for nothing, and a cancel that is cancelled
   * could not say what has ended.
   */
  cancelAll(): Promise<number> {
    return this.#operations.run((pending, settle) => this.ring.cancelAll(pending, settle));
  }

  // ---- detached mode

  /** Submits and calls back until nothing is in flight. Detached mode only. */
  run(): void {
    this.#checkDetached("run");
    this.#queue.checkChain("run");
    // In slices, so that a Worker can be ended while it waits.
    while (this.#queue.inFlight > 0) this.#queue.poll(WAIT_SLICE_NS);
  }

  /**
   * Submits, waits up to `durationNs` nanoseconds for a completion, and calls back for all there
   * are; returns how many. 0 never waits. Detached mode only.
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
   */
  ref(): this {
    this.#setRef(true);
    return this;
  }

  /** What is in flight does not keep the process alive. Returns itself. */
  unref(): this {
    this.#setRef(false);
    return this;
  }

  #setRef(keeps: boolean): void {
    if (!this.#queue.closed) this.#session.setRef(-1, keeps);
  }

  /** What happened so far. */
  stats(): Stats {
    this.#queue.check("stats");
    const counters = new Float64Array(abi.COUNTER_NAMES.length);
    this.#session.counters(counters);
    const stats: Record<string, number> = { strays: this.#queue.strays };
    for (const [index, name] of abi.COUNTER_NAMES.entries()) stats[name] = counters[index] ?? 0;
    return stats as Stats;
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
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes the IO: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const queue = this.#queue;
    releaseIO(this);
    queue.dropChain();
    queue.closed = true;
    for (const limit of this.#operations.limits) limit.close();
    const lending = this.#operations.chunkPools as ChunkPools;
    lending.close();
    const ending = new Ending(queue, this.#session);
    if (queue.inFlight > 0 && this.mode === "attached") {
      await ending.idle();
    } else {
      // Polling inside a callback would recurse: go on when the program's loop has returned.
      if (queue.inFlight > 0 && queue.dispatching) await Promise.resolve();
      ending.drain();
    }
    // What was in use in an operation that has just ended is being returned now.
    if (lending.kept() !== undefined) await new Promise(setImmediate);
    const kept = lending.kept();
    if (kept !== undefined) process.emitWarning(`io.close(): ${kept}`, "IOWarning", KEPT_CODE);
    this.#session.close();
    this.#leaveMask();
  }
}

function checkBytes(value: number, name: string): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw rangeError("open", `${name} is ${shown(value)}: give whole bytes, 0 or more`);
}

function checkLimits(entries: number, inFlightLimit: number): void {
  const powerOfTwo = Number.isInteger(entries) && (entries & (entries - 1)) === 0;
  if (!powerOfTwo || entries < abi.ENTRIES_LEAST || entries > abi.ENTRIES_MOST) {
    const right = `give a power of two from ${abi.ENTRIES_LEAST} to ${abi.ENTRIES_MOST}`;
    throw rangeError("open", `entries is ${shown(entries)}: ${right}`);
  }
  wholeNumber(inFlightLimit, 1, abi.IN_FLIGHT_LIMIT_MOST, "inFlightLimit", "open");
}

function openFlags(options: OpenOptions): number {
  const is = (name: FlagName, absent = false): boolean =>
    flag(options[name], absent, name, "openFile");
  const append = is("append");
  const write = is("write");
  let flags = is("read", !write && !append) ? OpenFlags.read : 0;
  if (write) flags |= OpenFlags.write;
  if (append) flags |= OpenFlags.append;
  for (const name of OPEN_FLAG_NAMES) if (is(name)) flags |= OpenFlags[name];
  if (!is("followLinks", true)) flags |= OpenFlags.noFollow;
  if (is("truncate") && !write && !append) {
    const message = "truncate would empty a file that is opened for reading: give write: true";
    throw valueError("openFile", message);
  }
  return flags;
}

const OPEN_FLAG_NAMES = ["create", "exclusive", "truncate", "direct", "directory"] as const;
type FlagName = (typeof OPEN_FLAG_NAMES)[number] | "read" | "write" | "append" | "followLinks";

/** What a file was opened for, where that is one of the two alone. */
function openedOnly(flags: number): "reading" | "writing" | undefined {
  const writes = (flags & (OpenFlags.write | OpenFlags.append)) !== 0;
  const reads = (flags & OpenFlags.read) !== 0;
  if (reads === writes) return undefined;
  return reads ? "reading" : "writing";
}
