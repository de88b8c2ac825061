// Files that are garbage and were never closed: they are closed, and a warning names them. So is an
// IO. What is in flight keeps its object. A file whose descriptor the program has asked for is left
// alone, because the verbs of the ring may use that. Sockets and listeners are not looked after.
import type { Descriptor } from "../ring.js";

const CODE = "IO_FORGOTTEN";
// Those that a warning names.
const NAMED_MOST = 8;
const ADVICE = 'close what you open, by close() or "await using"';

/** What is known of one without keeping it. */
interface Opened {
  readonly descriptor: Descriptor;
  readonly path: string;
  /** Where it was opened, when the IO was asked to remember that. */
  readonly stack: string | undefined;
}

/** What an IO does with them. */
export interface Finder {
  isClosed(): boolean;
  close(descriptor: Descriptor): Promise<void>;
}

export class Forgotten {
  readonly #finder: Finder;
  readonly #traces: boolean;
  readonly #registry = new FinalizationRegistry<Opened>((opened) => this.#find(opened));
  #found: Opened[] = [];

  constructor(finder: Finder, traces: boolean) {
    this.#finder = finder;
    this.#traces = traces;
  }

  /** Looks after an object until `release`. */
  watch(object: object, descriptor: Descriptor, path: string): void {
    const stack = this.#traces ? (new Error().stack ?? "").replace(/^.*\n/, "") : undefined;
    this.#registry.register(object, { descriptor, path, stack }, object);
  }

  /** It is being closed, or the program looks after its descriptor. */
  release(object: object): void {
    this.#registry.unregister(object);
  }

  #find(opened: Opened): void {
    if (this.#finder.isClosed()) return;
    if (this.#found.length === 0) setImmediate(() => this.#end());
    this.#found.push(opened);
  }

  // Many are found at once: they share a warning.
  #end(): void {
    const found = this.#found;
    this.#found = [];
    if (this.#finder.isClosed()) return;
    const names = found.slice(0, NAMED_MOST).map(({ path }) => `the file '${path}'`);
    if (found.length > names.length) names.push(`${found.length - names.length} others`);
    process.emitWarning(
      `garbage that was never closed: ${names.join(", ")}. It is closed now; ${ADVICE}`,
      { type: "IOWarning", code: CODE, detail: stacksOf(found) },
    );
    for (const { descriptor } of found) {
      // It fails when the system has refused to write back what a disk had no room for, and nobody
      // is left who could be told more than that.
      this.#finder.close(descriptor).catch((error: unknown) => {
        process.emitWarning(`garbage could not be closed: ${String(error)}`, "IOWarning", CODE);
      });
    }
  }
}

function stacksOf(found: readonly Opened[]): string {
  const stacks = new Set(found.flatMap(({ stack }) => (stack === undefined ? [] : [stack])));
  if (stacks.size === 0) return "IO.open({ traceOpens: true }) tells where it was opened.";
  return [...stacks].map((stack) => `opened\n${stack}`).join("\n");
}

/** What is left of an IO that is garbage. */
export interface Rest {
  /** Operations queued or in flight. */
  readonly inFlight: number;
  /** Called after a batch of completions was dispatched. */
  onDispatched: (() => void) | null;
  closed: boolean;
  readonly session: { close(): void };
}

const ios = new FinalizationRegistry<{ rest: Rest; stack: string | undefined }>(
  ({ rest, stack }) => {
    if (rest.closed) return;
    process.emitWarning(`an IO is garbage and was never closed. It is closed now; ${ADVICE}`, {
      type: "IOWarning",
      code: CODE,
      detail: stack ?? "IO.open({ traceOpens: true }) tells where it was opened.",
    });
    const end = (): void => {
      if (rest.inFlight > 0 || rest.closed) return;
      rest.onDispatched = null;
      rest.closed = true;
      setImmediate(() => rest.session.close()); // not inside the engine's own dispatch
    };
    // Operations of the ring may be in flight: their callbacks are still called.
    rest.onDispatched = end;
    end();
  },
);

/** Looks after an IO until `releaseIO`. */
export function watchIO(io: object, rest: Rest, traces: boolean): void {
  const stack = traces ? `opened\n${(new Error().stack ?? "").replace(/^.*\n/, "")}` : undefined;
  ios.register(io, { rest, stack }, io);
}

/** The IO is being closed. */
export function releaseIO(io: object): void {
  ios.unregister(io);
}
