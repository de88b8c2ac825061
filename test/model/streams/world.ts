// The state of one program while it runs: its sockets, listeners, file and operations. Every start
// and every completion passes through here, and is held against the model.

import { constants } from "node:os";
import {
  type Address,
  type Callback,
  Completion,
  type Descriptor,
  type IO,
  IOError,
  type Listener,
  MultishotCompletion,
  type Ring,
  type Socket,
} from "@io/core";
import { tally } from "../tally.js";
import { restartPayloadIds, Side, Violation } from "./model.js";
import {
  CLOSED,
  countOperationsAnew,
  LIMIT_REACHED,
  type Listening,
  Operation,
  type OperationFields,
} from "./operation.js";
import type { Peer } from "./peer.js";
import type { ProvidedStream } from "./provided_streams.js";

const { ECANCELED, ETIMEDOUT } = constants.errno;

/** A timeout that is longer than this need not elapse while a program runs. */
export const SHORT_NS = 10_000_000;
const HISTORY_LENGTH = 300;

/** A socket of ours. */
export class Endpoint extends Side {
  readonly descriptor: Descriptor;
  readonly socket: Socket | null;
  /** Its close was started. */
  closing = false;
  closed = false;
  /** It was closed by the promise layer, whose methods then refuse. */
  handleClosed = false;
  receives: Operation[] = [];
  sends: Operation[] = [];
  /** Operations that must be alone in their direction are in flight. */
  receivesAlone = 0;
  sendsAlone = 0;
  /** One does not know how much was sent, so nothing more is. */
  sendsUnknown = false;
  receivesUnknown = false;
  /** What it receives from by `chunks()`, or did. */
  stream: ProvidedStream | null = null;
  shutdownDone = false;
  /** The system keeps little for it. */
  hasSmallBuffers = false;

  constructor(
    name: string,
    isUnix: boolean,
    descriptor: Descriptor,
    socket: Socket | null,
    candidates?: () => Side[],
  ) {
    super(name, isUnix, candidates);
    this.descriptor = descriptor;
    this.socket = socket;
  }

  beginSend(send: Operation): void {
    for (const before of this.sends) before.hasBehind = true;
    this.sends.push(send);
  }
}

/** A listener of ours. It accepts with verbs of the ring, or with promises. */
export class OwnListener implements Listening {
  readonly name: string;
  readonly isUnix: boolean;
  readonly descriptor: Descriptor;
  readonly address: Address;
  readonly handle: Listener | null;
  gone = false;
  closed = false;
  /** Connections that the system has made, and those of them that were accepted. */
  made = 0;
  accepted = 0;
  readonly connectors: Side[] = [];
  readonly acceptors: Side[] = [];
  accepts: Operation[] = [];

  constructor(
    name: string,
    isUnix: boolean,
    descriptor: Descriptor,
    address: Address,
    handle: Listener | null,
  ) {
    this.name = name;
    this.isUnix = isUnix;
    this.descriptor = descriptor;
    this.address = address;
    this.handle = handle;
  }
}

export type Done = (result: number, operation: Operation) => void;

export class World {
  readonly io: IO;
  readonly ring: Ring;
  readonly endpoints: Endpoint[] = [];
  readonly listeners: (OwnListener | undefined)[] = [];
  readonly peers: Peer[] = [];
  readonly inFlight = new Set<Operation>();
  /** What goes on with `chunks()`, between operations too. */
  readonly streams = new Set<Operation>();
  /** In the order in which they were started. */
  readonly operations: Operation[] = [];
  readonly history: string[] = [];
  readonly #seen = new Set<Descriptor>();
  #failure: unknown = null;
  /** Descriptors that are open, by the model. */
  open = 0;
  /** What the counters of the IO must show. */
  startedOnRing = 0;
  completions = 0;
  usesPromises = false;
  /** A check that is repeated is not logged each time. */
  quiet = false;
  /** The IO is being closed, so nothing more is started. */
  over = false;

  constructor(io: IO, ring: Ring) {
    this.io = io;
    this.ring = ring;
    restartPayloadIds();
    countOperationsAnew();
  }

  // ---- failures, which happen in callbacks and are thrown by the program

  readonly fail = (error: unknown): void => {
    this.#failure ??= error;
  };

  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  say(line: string): void {
    if (this.history.length === HISTORY_LENGTH) this.history.shift();
    this.history.push(line);
  }

  // ---- starting

  /** Starts a verb of the ring; null when the limit of operations in flight is reached. */
  start(
    fields: Omit<OperationFields, "layer">,
    begin: (completion: Completion, callback: Callback) => void,
    done: Done = () => undefined,
  ): Operation | null {
    const operation = new Operation({ ...fields, layer: "ring" });
    const isMultishot = fields.verb === "receiveMultishot";
    const completion = isMultishot ? new MultishotCompletion() : new Completion();
    operation.completion = completion;
    try {
      begin(completion, (same, result) => {
        this.completions++;
        if (same !== completion) this.fail(new Violation("the callback of another completion"));
        this.#complete(operation, result, !completion.active, done);
      });
    } catch (error) {
      if (error instanceof IOError && error.code === "ERR_IO_IN_FLIGHT_LIMIT") return null;
      throw error;
    }
    this.startedOnRing++;
    this.#started(operation);
    return operation;
  }

  /** Starts a method that returns a promise, with a signal and perhaps a time limit. */
  startPromise(
    fields: Omit<OperationFields, "layer">,
    begin: (options: { signal: AbortSignal; timeoutMs?: number }) => Promise<number>,
    done: Done = () => undefined,
  ): Operation {
    this.usesPromises = true;
    const operation = new Operation({ ...fields, layer: "promise" });
    operation.controller = new AbortController();
    this.#started(operation);
    const { limitNs } = fields;
    const limit = limitNs === undefined ? {} : { timeoutMs: limitNs / 1e6 };
    begin({ signal: operation.controller.signal, ...limit })
      .then(
        (result) => this.#complete(operation, result, true, done),
        (error) => this.#complete(operation, resultOf(error), true, done),
      )
      .catch(this.fail);
    return operation;
  }

  #started(operation: Operation): void {
    this.operations.push(operation);
    this.inFlight.add(operation);
    if (!this.#isSilent(operation)) this.say(`start ${operation.name}`);
  }

  #complete(operation: Operation, result: number, last: boolean, done: Done): void {
    try {
      const event = `${last ? "end  " : "more "} ${operation.name} = ${result}`;
      if (!this.#isSilent(operation)) this.say(event);
      if (operation.ended) throw new Violation(`${operation.name} completed again, with ${result}`);
      operation.results.push(result);
      tally(operation.kind, result);
      operation.ended = last;
      if (last) this.inFlight.delete(operation);
      operation.checkResult(result);
      done(result, operation);
    } catch (error) {
      this.fail(error);
    }
  }

  #isSilent({ fields: { verb } }: Operation): boolean {
    return this.quiet && (verb === "cancelAll" || verb === "nop");
  }

  // ---- asking for an end

  askToEnd(operations: Iterable<Operation>): void {
    for (const operation of operations) operation.askedToEnd = true;
  }

  /** What a close does: a chain is ended whole, because what stands in it may not have started. */
  askToEndChains(operations: readonly Operation[]): void {
    for (const operation of operations) {
      this.askToEnd([operation, ...(operation.fields.chain?.members ?? [])]);
    }
  }

  on(target: Side | OwnListener): Operation[] {
    const all = [...this.inFlight, ...this.streams];
    return all.filter((operation) => operation.fields.on === target);
  }

  // ---- descriptors

  opened(descriptor: Descriptor): void {
    if (this.#seen.has(descriptor)) {
      throw new Violation(`the descriptor ${descriptor} was given out before`);
    }
    this.#seen.add(descriptor);
    this.open++;
  }

  // ---- what must happen, whatever else does

  /** What has to complete because nothing can hold it up any more. */
  waitingFor(): string[] {
    const waiting = [...this.inFlight].filter((operation) => this.#mustComplete(operation));
    return waiting.map((operation) => operation.name);
  }

  #mustComplete(operation: Operation): boolean {
    const { verb, limitNs, durationNs, chain, on } = operation.fields;
    if (chain !== undefined) {
      const at = chain.members.indexOf(operation);
      if (chain.members.slice(0, at).some((member) => !member.ended)) return false;
    }
    if (operation.mustEnd) return true;
    if (operation.composite) return (on as Endpoint).closed;
    if (limitNs !== undefined && limitNs < SHORT_NS) return true;
    switch (verb) {
      case "timeout":
        return (durationNs ?? 0) < SHORT_NS;
      case "receive":
      case "receiveMultishot":
        return mustReceive(operation.side as Endpoint, operation);
      case "send":
        return mustSend(operation.side as Endpoint, operation);
      case "next":
        return mustTake(operation.side as Endpoint, operation);
      case "accept":
      case "acceptMultishot": {
        const listener = on as OwnListener;
        if (listener.closed) return true;
        return listener.made > listener.accepted && listener.accepts[0] === operation;
      }
      default:
        return true;
    }
  }
}

/** Counted from the latest, which are the most interesting. */
export function recent<T>(from: readonly T[], index: number): T | undefined {
  return from.at(-1 - (index % Math.max(1, from.length)));
}

// While a connection has no memory left, Linux drops its segments, acknowledgements too: its own
// sends go on when it has received.
function mayMissAcknowledgements(side: Side | null): boolean {
  if (!(side instanceof Endpoint) || side.isUnix || !side.hasSmallBuffers) return false;
  return (side.inbox.stream?.maxOutstanding ?? 0) > 0;
}

function mustReceive(endpoint: Endpoint, operation: Operation): boolean {
  if (endpoint.closed) return true;
  if (endpoint.receives[0] !== operation) return false;
  const stream = endpoint.inbox.stream;
  if (stream === null || mayMissAcknowledgements(endpoint.other)) return false;
  if (stream.available > 0) return true;
  return stream.ended && stream.settled;
}

function mustTake(endpoint: Endpoint, next: Operation): boolean {
  const { stream } = endpoint;
  if (endpoint.closed || stream === null || stream.over) return true;
  if (stream.nexts[0] !== next) return false;
  if (stream.reportedBehind) return true;
  // A stream that holds no chunk is served, whatever others keep.
  const incoming = endpoint.inbox.stream;
  if (incoming === null || stream.held > 0) return false;
  if (mayMissAcknowledgements(endpoint.other)) return false;
  return incoming.available > 0 || (incoming.ended && incoming.settled);
}

/** What fits in an empty buffer: a send with others behind it is not short, but waits. */
function wholeBytes({ hasSmallBuffers }: Endpoint): number {
  return hasSmallBuffers ? 2048 : 32_768;
}

function mustSend(endpoint: Endpoint, operation: Operation): boolean {
  if (endpoint.closed || endpoint.shutdownDone) return true;
  if (endpoint.sends[0] !== operation || endpoint.other === null) return false;
  if (mayMissAcknowledgements(endpoint)) return false;
  if (operation.hasBehind && (operation.fields.sizeBytes ?? 0) > wholeBytes(endpoint)) return false;
  // Nothing is under way, so there is room. Below 0 some of this very send has arrived: it waits in
  // a worker of the kernel, in the middle, until the rest of that is received too.
  return endpoint.out.available === 0;
}

/** The number that stands for an error of the promise layer. */
function resultOf(error: unknown): number {
  if (!(error instanceof IOError)) throw error;
  if (error.code === "ABORT_ERR") return -ECANCELED;
  if (error.code === "ETIMEDOUT") return -ETIMEDOUT;
  if (error.code === "ERR_IO_CLOSED") return CLOSED;
  if (error.code === "ERR_IO_IN_FLIGHT_LIMIT") return LIMIT_REACHED;
  if (error.errno === undefined) throw error;
  return error.errno;
}
