// The warning for a program that waits for a chunk while it keeps those that it has.

const CODE = "IO_CHUNKS_KEPT";
const AFTER_MS = 1000;

/** The function that the program calls to open a stream: its caller is where that is opened. */
export type Opener = (...given: never[]) => unknown;

interface Keeper {
  describe(): { kept: number; address: string };
}

/** One stream's: it warns once. */
export class KeptWatch {
  readonly #keeper: Keeper;
  // Holds the frame; V8 makes it text when that is first read.
  readonly #opened: { stack?: string } = {};
  #timer: NodeJS.Timeout | null = null;
  #warned = false;

  constructor(keeper: Keeper, opener: Opener) {
    this.#keeper = keeper;
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 1;
    Error.captureStackTrace(this.#opened, opener);
    Error.stackTraceLimit = stackTraceLimit;
  }

  /** The stream cannot go on before the program releases a chunk. */
  begin(): void {
    if (this.#warned || this.#timer !== null) return;
    this.#timer = setTimeout(() => this.#warn(), AFTER_MS);
    this.#timer.unref();
  }

  /** It goes on, or has ended. */
  end(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  #warn(): void {
    this.#timer = null;
    this.#warned = true;
    const { kept, address } = this.#keeper.describe();
    const frame = /\n\s*(at .*)/.exec(this.#opened.stack ?? "")?.[1];
    const opened = frame === undefined ? "" : `, opened ${frame},`;
    const message =
      `chunks(): the stream of ${address}${opened} cannot receive, and its program waits: ` +
      `${kept} of its chunks were not released for a second: release each, by "using" or release()`;
    process.emitWarning(message, "IOWarning", CODE);
  }
}
