// Events of files: of a file, of the names in a directory, and of those below it. What says so
// differs: inotify on Linux (inotify.ts), EVFILT_VNODE on macOS and the BSDs (vnode.ts). Both wait
// in the kernel, which keeps them in bounded memory.
//
// No event is read before the ones before it are taken, so that a slow reader fills no memory here.
import { FEATURE_WATCH_KQUEUE } from "../../engine/abi.js";
import { textFromBytes } from "../../engine/text.js";
import { checkedEndings, type Operations } from "../../ring/promises.js";
import { checkMade, checkOptions, flag, type Path, pathFrom } from "../../support/check.js";
import { OpenedDescriptor, warnOfFailure } from "../../support/forgotten.js";
import { nameIn, type PathBase, runOnPath } from "../base.js";
import { type NextOptions, optionsOfEach } from "../listing.js";
import { pathFromHere } from "../paths.js";
import type { WatchEvent, WatchOptions } from "./events.js";
import { InotifySource } from "./inotify.js";
import { type RawEvent, type Source, WATCH } from "./source.js";
import { VnodeSource } from "./vnode.js";

const HEAD_BYTES = 16;
// The longest record: a name of 255 bytes with its end, in steps of the head.
const RECORD_BYTES = HEAD_BYTES + 256;
const READ_BYTES = 16 * 1024;

// Each begins at a multiple of the head's size.
function recordsOf(bytes: Buffer, count: number): RawEvent[] {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, READ_BYTES / 4);
  const events: RawEvent[] = [];
  for (let at = 0; at < count; ) {
    const word = at / 4;
    const [number = 0, mask = 0, cookie = 0, length = 0] = words.subarray(word, word + 4);
    const start = at + HEAD_BYTES;
    at = start + length;
    const name = bytes.subarray(start, at);
    const end = name.indexOf(0); // the rest is filled with zeros
    events.push({
      number,
      mask,
      cookie,
      name: end <= 0 ? "" : textFromBytes(name.subarray(0, end)),
    });
  }
  return events;
}
/**
 * The events of a file or directory, since the promise of `io.watch()` was fulfilled. It is read by
 * `for await`, once. The loop ends when what is watched is removed, and of a recursive watch also
 * when it is renamed; that is its last event. It ends too when the watch or its IO is closed.
 *
 * Events that are not taken yet wait in the kernel. Linux keeps 16,384 at most by default (the
 * sysctl fs.inotify.max_queued_events). When more have come, an event with the action "overflow"
 * says so. On macOS and the BSDs they merge: what is different when they are taken is an event.
 *
 * Of a recursive watch: after a directory has come, whether made or moved, each name below it comes
 * as "created". What happens in it between its move and that is not an event of its own.
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * const folder = await io.mkdtemp("/tmp/watched-");
 * await using watch = await io.watch(folder, { recursive: true });
 * await io.mkdir(`${folder}/a`);
 * for await (const { action, filename } of watch) {
 *   process.stdout.write(`${action} ${filename}\n`); // created a
 *   break;
 * }
 * await io.rm(folder, { recursive: true });
 * ```
 * @category Files
 */
export class Watch implements AsyncIterableIterator<WatchEvent>, AsyncDisposable {
  /** The path of what is watched; a relative one is joined to that of its directory. */
  readonly path: string;
  readonly #operations: Operations;
  readonly #source: Source;
  readonly #generator: AsyncGenerator<WatchEvent, undefined, undefined>;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: () => void;
  #closed = false;
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor(operations: Operations, source: Source, signal: AbortSignal | undefined) {
    checkMade(operations, "Watch", "await io.watch()");
    this.#operations = operations;
    this.#source = source;
    this.path = source.path;
    this.#generator = this.#events();
    this.#signal = signal;
    const what = `the watch of '${this.path}'`;
    // The signal may live longer than a watch that is forgotten.
    const self = new WeakRef(this);
    // A read in flight is to end with the signal's error: its own listener is called before this.
    this.#onAbort = () =>
      queueMicrotask(() => {
        const watch = self.deref();
        if (watch !== undefined) warnOfFailure(watch.#release(), what);
      });
    // The source knows nothing of this, which is garbage then.
    const end = (): void => warnOfFailure(source.release(), what);
    operations.forgotten.watch(this, new OpenedDescriptor(source.descriptor, what, end));
  }

  /** Adds what is watched; `later` are the options of what follows. @internal */
  async _begin(later: NextOptions): Promise<void> {
    await this.#source.begin();
    this.#source.next = later;
    this.#source.begun = true;
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (this.#signal?.aborted) this.#onAbort();
  }

  /**
   * The next event; waits until there is one.
   *
   * @throws `ABORT_ERR` when the signal has aborted; `ERR_IO_IN_FLIGHT_LIMIT`; the codes of every
   *   operation: {@link IOError.code}
   */
  next(): Promise<IteratorResult<WatchEvent, undefined>> {
    return this.#generator.next();
  }

  /** Closes the watch: what leaving a `for await` loop calls. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    const closing = this.close();
    await this.#generator.return(undefined);
    await closing;
    return { done: true, value: undefined };
  }

  /** The watch itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** A wait for an event keeps the process alive, as it does unless `unref` was called. */
  ref(): this {
    return this.#setRef(true);
  }

  /** A wait for an event does not keep the process alive. Returns itself. */
  unref(): this {
    return this.#setRef(false);
  }

  /**
   * Ends the watch, and the loop that reads it. May be called again, with the same promise. It
   * takes neither `signal` nor `timeoutMs`: it waits for nothing but its own read.
   */
  close(): Promise<void> {
    this.#closed = true;
    return this.#release();
  }

  /** Closes the watch: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
  #release(): Promise<void> {
    if (this.#closing === null) {
      this.#signal?.removeEventListener("abort", this.#onAbort);
      this.#operations.forgotten.release(this);
      const closes = [this.#operations.close(this.#source.descriptor), this.#source.release()];
      this.#closing = Promise.all(closes).then(() => undefined);
    }
    return this.#closing;
  }

  #setRef(keeps: boolean): this {
    if (this.#closing === null && !this.#isClosed())
      this.#operations.setRef(this.#source.descriptor, keeps);
    return this;
  }

  #isClosed(): boolean {
    return this.#closed || this.#operations.closed;
  }

  async *#events(): AsyncGenerator<WatchEvent, undefined, undefined> {
    const bytes = Buffer.allocUnsafeSlow(READ_BYTES);
    const source = this.#source;
    try {
      yield* this.#taken();
      while (!source.ended && !this.#isClosed()) {
        source.noteRead(false);
        const count = await this.#read(bytes);
        for (const records of source.batchesOf(recordsOf(bytes, count))) {
          if (source.ended) break;
          try {
            await source.take(records);
          } finally {
            yield* this.#taken(); // also what was taken before an error
          }
        }
        if (count + RECORD_BYTES <= READ_BYTES) source.noteRead(true);
      }
    } catch (error) {
      // The end of what was in flight is the end of the loop.
      if (!this.#isClosed()) throw error;
    } finally {
      await this.close();
    }
  }

  *#taken(): Generator<WatchEvent> {
    for (const event of this.#source.ready.splice(0)) {
      if (this.#isClosed()) return;
      this.#source.next(); // throws when the signal has aborted
      yield event;
    }
  }

  #read(bytes: Buffer): Promise<number> {
    const { descriptor } = this.#source;
    return this.#operations.run(
      (pending, settle) => this.#operations.ring.read(pending, settle, descriptor, bytes, -1),
      this.#source.next(),
      { path: this.path },
      WATCH,
    );
  }
}

/** See `PathOperations.watch`. */
export async function watch(
  base: PathBase,
  path: Path,
  options: WatchOptions | null | undefined,
): Promise<Watch> {
  checkOptions(options, WATCH);
  const recursive = flag(options?.recursive, false, "recursive", "watch");
  const endings = checkedEndings(options, WATCH);
  const given = pathFrom(path, "watch");
  base.check("watch");
  // It may be opened again later.
  const bytes = base.path === "" ? pathFromHere(given) : given;
  const about = { path: nameIn(base, given) };
  const next = optionsOfEach("watch", "watchAdd", endings);
  const descriptor = await runOnPath(base, WATCH, next(), about, (ring, pending, settle) =>
    ring.watch(pending, settle),
  );
  const { operations } = base;
  const signal = endings.signal ?? undefined;
  const byKqueue = (operations.session.features & FEATURE_WATCH_KQUEUE) !== 0;
  const Kind = byKqueue ? VnodeSource : InotifySource;
  const source = new Kind(base, bytes, descriptor, recursive, next);
  const opened = new Watch(operations, source, signal);
  try {
    await opened._begin(optionsOfEach("watch", "watchAdd", { signal }));
  } catch (error) {
    await opened.close();
    throw error;
  }
  return opened;
}
