// The warning for a program that waits for a chunk while it keeps those that it has.

const CODE = "IO_CHUNKS_KEPT";
const AFTER_MS = 1000;

interface Keeper {
  describe(): { kept: number; address: string };
}

/** One stream's: it warns once. A stream has none before it can receive nothing. */
export class KeptWatch {
  /** Who waits, where that is known: V8 keeps the frame, and makes it text when that is read. */
  #place: { readonly stack?: string } | null = null;
  readonly #keeper: Keeper;
  /** Undefined once it has warned. */
  #timer: NodeJS.Timeout | null | undefined = null;

  constructor(keeper: Keeper) {
    this.#keeper = keeper;
  }

  /** `next` is the method by which the program begins to wait: its caller is the place. */
  note(next: () => unknown): void {
    if (this.#place !== null || this.#timer === undefined) return;
    this.#place = {};
    const { stackTraceLimit } = Error;
    // A program may have frozen it.
    Reflect.set(Error, "stackTraceLimit", 1);
    Error.captureStackTrace(this.#place, next);
    Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
  }

  /** The stream cannot go on before the program releases a chunk. */
  begin(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => this.#warn(), AFTER_MS);
    this.#timer.unref();
  }

  /** It goes on, or has ended. */
  end(): void {
    this.#place = null;
    if (this.#timer === null || this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  #warn(): void {
    this.#timer = undefined;
    const { kept, address } = this.#keeper.describe();
    const frame = /\n\s*(at .*)/.exec(this.#place?.stack ?? "")?.[1];
    const waits = frame === undefined ? "waits" : `waits ${frame}`;
    const message =
      `chunks(): the stream of ${address} cannot receive, and its program ${waits}: ${kept} of ` +
      'its chunks were not released for a second: release each, by "using" or release()';
    process.emitWarning(message, "IOWarning", CODE);
  }
}
