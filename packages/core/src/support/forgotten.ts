// Objects that were collected as garbage and never closed: a warning names them. A file is closed
// then, and so is an IO. A socket and a listener stay open until their IO is closed, because a
// connection that ends when the garbage collector runs would surprise the peer. An operation in
// flight keeps its file. There is no warning for an object whose descriptor the program has asked
// for: the verbs of the ring may use that.
import { type Address, formatAddress } from "../address.js";
import type { NativeSession } from "../engine/native.js";
import type { Descriptor } from "../ring/types.js";
import { addressOf, nameOf, type SocketKind } from "../sockets/address_of.js";

const CODE = "IO_FORGOTTEN";
// How many of them a warning names.
const MAX_NAMED = 8;
const ADVICE = 'close what you open, by close() or "await using"';

/** What is known of one without keeping it. */
abstract class Opened {
  readonly descriptor: Descriptor;
  /** Where it was opened, when the IO was asked to remember that. */
  stack: string | undefined;

  constructor(descriptor: Descriptor) {
    this.descriptor = descriptor;
  }

  /** Whether it is closed when it is found. */
  get isClosed(): boolean {
    return false;
  }

  /** Called for each one that was found, before it is closed. */
  end(): void {}

  /** Called when it was found, so that nothing is spent on what is closed in time. */
  abstract describe(): string;
}

export class OpenedFile extends Opened {
  readonly #path: string;

  constructor(descriptor: Descriptor, path: string) {
    super(descriptor);
    this.#path = path;
  }

  override get isClosed(): boolean {
    return true;
  }

  describe(): string {
    return `the file '${this.#path}'`;
  }
}

export class OpenedDirectory extends OpenedFile {
  readonly #path: string;

  constructor(descriptor: Descriptor, path: string) {
    super(descriptor, path);
    this.#path = path;
  }

  override describe(): string {
    return `the directory '${this.#path}'`;
  }
}

export class OpenedListener extends Opened {
  readonly #address: Address;

  constructor(descriptor: Descriptor, address: Address) {
    super(descriptor);
    this.#address = address;
  }

  describe(): string {
    return `the listener of ${formatAddress(this.#address)}`;
  }
}

class OpenedSocket extends Opened {
  readonly #kind: SocketKind;
  readonly #session: NativeSession;

  constructor(descriptor: Descriptor, kind: SocketKind, session: NativeSession) {
    super(descriptor);
    this.#kind = kind;
    this.#session = session;
  }

  describe(): string {
    const own = addressOf(this.#session, this.descriptor, false);
    const peer = addressOf(this.#session, this.descriptor, true);
    return nameOf(this.#kind, this.descriptor, own, peer);
  }
}

/** A descriptor that nothing else needs when its object is gone. */
export class OpenedDescriptor extends Opened {
  readonly #what: string;
  readonly #found: () => void;

  constructor(descriptor: Descriptor, what: string, found: () => void = () => undefined) {
    super(descriptor);
    this.#what = what;
    this.#found = found;
  }

  override get isClosed(): boolean {
    return true;
  }

  override end(): void {
    this.#found();
  }

  describe(): string {
    return this.#what;
  }
}

/** What an IO does with them. */
export interface Finder {
  readonly session: NativeSession;
  isClosed(): boolean;
  close(descriptor: Descriptor): Promise<void>;
}

export class Forgotten {
  readonly #finder: Finder;
  readonly #traces: boolean;
  readonly #registry = new FinalizationRegistry<Opened | Descriptor>((held) => this.#find(held));
  #found: Opened[] = [];

  constructor(finder: Finder, traces: boolean) {
    this.#finder = finder;
    this.#traces = traces;
  }

  /** Looks after an object until `release`. */
  watch(object: object, opened: Opened): void {
    if (this.#traces) opened.stack = (new Error().stack ?? "").replace(/^.*\n/, "");
    this.#registry.register(object, opened, object);
  }

  /** The same for a socket. There may be very many of streams, so of these a number is enough. */
  watchSocket(socket: object, descriptor: Descriptor, kind: SocketKind): void {
    if (kind === "socket" && !this.#traces) this.#registry.register(socket, descriptor, socket);
    else this.watch(socket, this.#socketOf(descriptor, kind));
  }

  #socketOf(descriptor: Descriptor, kind: SocketKind): Opened {
    return new OpenedSocket(descriptor, kind, this.#finder.session);
  }

  /** It is being closed, or the program looks after its descriptor. */
  release(object: object): void {
    this.#registry.unregister(object);
  }

  #find(held: Opened | Descriptor): void {
    if (this.#finder.isClosed()) return;
    if (this.#found.length === 0) setImmediate(() => this.#end());
    this.#found.push(typeof held === "number" ? this.#socketOf(held, "socket") : held);
  }

  // Many are found at once: they share a warning.
  #end(): void {
    const found = this.#found;
    this.#found = [];
    if (this.#finder.isClosed()) return;
    const closed = found.filter((opened) => opened.isClosed);
    const others = found.filter((opened) => !opened.isClosed);
    warn(closed, "It is closed now");
    warn(others, "It stays open until its IO is closed");
    for (const opened of closed) {
      const { descriptor } = opened;
      opened.end();
      warnOfFailure(this.#finder.close(descriptor), "garbage");
    }
  }
}

/**
 * For a close that no caller waits for. It fails when the system cannot write data back that the
 * disk had no space for, or when the server of the file says so.
 */
export function warnOfFailure(closing: Promise<void>, what: string): void {
  closing.catch((error: unknown) => {
    process.emitWarning(`${what} could not be closed: ${String(error)}`, "IOWarning", CODE);
  });
}

function warn(found: readonly Opened[], outcome: string): void {
  if (found.length === 0) return;
  const names = found.slice(0, MAX_NAMED).map((opened) => opened.describe());
  if (found.length > names.length) names.push(`${found.length - names.length} others`);
  process.emitWarning(`garbage that was never closed: ${names.join(", ")}. ${outcome}; ${ADVICE}`, {
    type: "IOWarning",
    code: CODE,
    detail: stacksOf(found),
  });
}

function stacksOf(found: readonly Opened[]): string {
  const stacks = new Set(found.flatMap(({ stack }) => (stack === undefined ? [] : [stack])));
  if (stacks.size === 0)
    return "IO.open({ debug: { traceOpens: true } }) shows where it was opened.";
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
      detail: stack ?? "IO.open({ debug: { traceOpens: true } }) shows where it was opened.",
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
