// Descriptors that go over unix sockets (SCM_RIGHTS).
import { MAX_PASSED } from "../engine/abi.js";
import type { NativeSession } from "../engine/native.js";
import { rangeError, typeError } from "../errors.js";
import {
  type About,
  endingsFrom,
  type OperationOptions,
  type Operations,
} from "../ring/promises.js";
import type { Descriptor } from "../ring/types.js";
import {
  type Bytes,
  bytesFrom,
  checkMade,
  knows,
  shown,
  valueError,
  viewFrom,
} from "../support/check.js";
import { OpenedDescriptor } from "../support/forgotten.js";
import { callError } from "./call_error.js";
import { type DescriptorKind, kindName } from "./kinds.js";
import { MessageControl } from "./message_control.js";

const SEND = knows("sendDescriptors");
const RECEIVE = knows("receiveDescriptors");
// Larger ones would wrap to those of other descriptors.
const MAX_NUMBER = 0x7fffffff;

/**
 * What can be passed: a file, socket, listener or received descriptor of the same IO, or a number
 * of the system.
 *
 * @category Descriptors
 */
export type Passable =
  | number
  | {
      /** For the verbs of `io.ring`. */
      readonly descriptor: Descriptor;
    };

/**
 * What `receiveDescriptors()` gives.
 *
 * @category Descriptors
 */
export interface ReceivedDescriptors {
  /** Bytes in the buffer; 0 when a stream has ended. */
  readonly byteLength: number;
  /** The descriptors that came with them, in the order in which they were passed. */
  readonly descriptors: ReceivedDescriptor[];
  /** Whether some were lost, because no more numbers were free, or more than 253 came. */
  readonly truncated: boolean;
}

/** What the two calls need of their socket. */
export interface PassingSocket {
  readonly operations: Operations;
  readonly session: NativeSession;
  readonly number: Descriptor;
  readonly about: About;
  /** Whether bytes without an end are sent: of none nothing goes, and no descriptor with it. */
  readonly isStream: boolean;
  check(operation: string): void;
  checkReceiving(operation: string): void;
}

/**
 * A descriptor that came over a unix socket. It is this IO's: `io.adopt(received, kind)` makes a
 * file, socket or listener of it, and `close()` closes it. One that becomes garbage is closed, with
 * a warning.
 *
 * @category Descriptors
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * const [near, far] = io.socketPair("stream");
 * await using file = await io.openFile("shared", { write: true, create: true });
 * await near.sendDescriptors("one file", [file]);
 * const { descriptors } = await far.receiveDescriptors(new Uint8Array(64));
 * for (const received of descriptors) {
 *   await using same = io.adopt(received, "file");
 *   await same.write(Buffer.from("by the other one"));
 * }
 * ```
 */
export class ReceivedDescriptor implements AsyncDisposable {
  /** What the system says that it is; null when it is none of the kinds of `io.adopt()`. */
  readonly kind: DescriptorKind | null;
  readonly #operations: Operations;
  readonly #descriptor: Descriptor;
  #closing: Promise<void> | null = null;

  /** @internal */
  static isOne(value: unknown): value is ReceivedDescriptor {
    return typeof value === "object" && value !== null && #operations in value;
  }

  /** @internal */
  constructor(operations: Operations, session: NativeSession, descriptor: Descriptor) {
    checkMade(operations, "ReceivedDescriptor", "await socket.receiveDescriptors()");
    this.#operations = operations;
    this.#descriptor = descriptor;
    this.kind = kindName(session.kindOf(descriptor));
    operations.forgotten.watch(this, new OpenedDescriptor(descriptor, "a received descriptor"));
  }

  /** For the verbs of `io.ring`. Once it was asked for, garbage is not closed any more. */
  get descriptor(): Descriptor {
    this.#operations.forgotten.release(this);
    return this.#descriptor;
  }

  /** Whether a socket of that IO has received it. @internal */
  belongsTo(operations: Operations): boolean {
    return operations === this.#operations;
  }

  /** Gives it to `io.adopt()`; null when it was given or closed before. @internal */
  take(): Descriptor | null {
    if (this.#closing !== null) return null;
    this.#operations.forgotten.release(this);
    this.#closing = Promise.resolve();
    return this.#descriptor;
  }

  /**
   * Closes it, unless it was adopted. It takes neither `signal` nor `timeoutMs`: a close that is
   * given up would leave the descriptor to nothing that closes it.
   */
  close(): Promise<void> {
    if (this.#closing === null) {
      this.#operations.forgotten.release(this);
      this.#closing = this.#operations.close(this.#descriptor);
    }
    return this.#closing;
  }

  /** Closes it, unless it was adopted: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

export async function sendDescriptors(
  socket: PassingSocket,
  data: Bytes | string,
  descriptors: readonly Passable[],
  options: OperationOptions | null | undefined,
): Promise<number> {
  const { operations, session, number } = socket;
  endingsFrom(options, SEND);
  socket.check("sendDescriptors");
  const bytes = bytesFrom(data, "sendDescriptors");
  operations.ring.checkBuffer(bytes, "sendDescriptors");
  const numbers = numbersOf(descriptors);
  if (socket.isStream && bytes.byteLength === 0) {
    const why = "on a stream descriptors go with the first byte: give one at least";
    throw valueError("sendDescriptors", `the data is empty, and ${why}`);
  }
  // A number of the system could be that of another file by the time it is sent.
  const borrowed: Descriptor[] = [];
  try {
    const control = new MessageControl();
    control.descriptors = numbers.map(({ number: given, isOwn }) => {
      if (isOwn) return given as Descriptor;
      const descriptor = session.borrow(given);
      if (descriptor < 0) {
        throw callError("sendDescriptors", "fcntl", descriptor, operations.backend);
      }
      borrowed.push(descriptor);
      return descriptor;
    });
    return await operations.run(
      (pending, settle) => operations.ring.sendControl(pending, settle, number, bytes, control),
      options,
      socket.about,
      SEND,
    );
  } finally {
    for (const descriptor of borrowed) operations.discard(descriptor, "a duplicate");
  }
}

/** A number of this IO's, or of the system. */
interface PassedNumber {
  readonly number: number;
  readonly isOwn: boolean;
}

// Each is looked at once: what it is may be a getter or a proxy of the program.
function numbersOf(descriptors: readonly Passable[]): PassedNumber[] {
  if (!Array.isArray(descriptors)) {
    const right = "give an array of files, sockets, listeners or numbers";
    throw typeError("sendDescriptors", `the descriptors are ${shown(descriptors)}: ${right}`);
  }
  const { length } = descriptors;
  if (length === 0 || length > MAX_PASSED) {
    const message = `give 1 to ${MAX_PASSED} descriptors, not ${length}`;
    throw rangeError("sendDescriptors", message);
  }
  return Array.from({ length }, (_, index) => {
    const one: unknown = descriptors[index];
    const isOwn = typeof one !== "number";
    const number = isOwn ? (one as Partial<{ descriptor: unknown }>)?.descriptor : one;
    const isWhole = typeof number === "number" && Number.isInteger(number);
    if (isWhole && number >= 0 && number <= MAX_NUMBER) return { number, isOwn };
    const right = "give a file, a socket, a listener or a number";
    throw typeError("sendDescriptors", `a descriptor is ${shown(one)}: ${right}`);
  });
}

export async function receiveDescriptors(
  socket: PassingSocket,
  bytes: Bytes,
  options: OperationOptions | null | undefined,
): Promise<ReceivedDescriptors> {
  const { operations, session, number } = socket;
  const control = new MessageControl();
  const byteLength = await operations.run(
    (pending, settle) => {
      socket.check("receiveDescriptors");
      socket.checkReceiving("receiveDescriptors");
      const buffer = viewFrom(bytes, "receiveDescriptors");
      operations.ring.receiveControl(pending, settle, number, buffer, control);
    },
    options,
    socket.about,
    RECEIVE,
  );
  const descriptors = control.descriptors.map(
    (descriptor) => new ReceivedDescriptor(operations, session, descriptor),
  );
  return { byteLength, descriptors, truncated: control.controlTruncated };
}
