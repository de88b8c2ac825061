// Descriptors that other code has opened and gives to the IO, and pairs of new ones.
import { constants } from "node:os";
import { addressFrom } from "../address.js";
import {
  DESCRIPTOR_KIND_DATAGRAM,
  DESCRIPTOR_KIND_PIPE,
  DESCRIPTOR_KIND_SOCKET,
} from "../engine/abi.js";
import { loadNative } from "../engine/load.js";
import type { NativeSession } from "../engine/native.js";
import { closedError, IOError } from "../errors.js";
import { File } from "../files/file.js";
import type { Operations } from "../ring/promises.js";
import type { Descriptor } from "../ring/types.js";
import { DatagramSocket } from "../sockets/datagram.js";
import { Listener } from "../sockets/listener.js";
import { settingsFrom, trySettings } from "../sockets/options.js";
import { Socket } from "../sockets/socket.js";
import { oneOf } from "../support/check.js";
import { checkNumber } from "./borrowed.js";
import { callError, givenError } from "./call_error.js";
import { type DescriptorKind, KIND_NUMBERS, kindName } from "./kinds.js";
import { ReceivedDescriptor } from "./passing.js";

/**
 * What `io.adopt()` makes of a descriptor of each kind.
 *
 * @category Descriptors
 */
export interface Adopted {
  /** A regular file, a directory, or a disk. */
  file: File;
  /** A connected stream socket, TCP, unix or vsock. */
  socket: Socket;
  /** A listening stream socket. */
  listener: Listener;
  /** A datagram socket, UDP or unix. */
  datagram: DatagramSocket;
  /** One end of a pipe, or a FIFO. */
  pipe: File;
  /** A terminal. */
  terminal: File;
  /** Another character device. */
  device: File;
}

const KINDS = Object.fromEntries(Object.keys(KIND_NUMBERS).map((name) => [name, true])) as Readonly<
  Record<DescriptorKind, true>
>;

class Adopter {
  readonly #operations: Operations;
  readonly #session: NativeSession;

  constructor(operations: Operations, session: NativeSession) {
    this.#operations = operations;
    this.#session = session;
  }

  make(descriptor: Descriptor, kind: DescriptorKind, name: string): Adopted[DescriptorKind] {
    const operations = this.#operations;
    if (kind === "socket") return new Socket(operations, descriptor);
    if (kind === "datagram") {
      return new DatagramSocket(operations, descriptor, "datagram socket");
    }
    if (kind === "listener") return this.#listener(descriptor);
    return new File(operations, descriptor, name, false, undefined);
  }

  #listener(descriptor: Descriptor): Listener {
    const operations = this.#operations;
    const session = this.#session;
    const { backend } = operations;
    const name = session.name(descriptor, false);
    const address = typeof name === "number" ? null : addressFrom(...name);
    const isInternet = address?.family === "ipv4" || address?.family === "ipv6";
    const ofConnections = settingsFrom(isInternet ? { noDelay: true } : {}, ["noDelay"], "adopt");
    return new Listener(
      operations,
      descriptor,
      address ?? { family: "unix", path: "" },
      (accepted) => {
        trySettings({ session, number: accepted, backend }, ofConnections);
        return new Socket(operations, accepted);
      },
      session,
    );
  }
}

/** See `IO.adopt`. */
export function adopt<Kind extends DescriptorKind>(
  operations: Operations,
  session: NativeSession,
  given: number | ReceivedDescriptor,
  kind: Kind,
): Adopted[Kind] {
  oneOf(kind, KINDS, "the kind", "adopt");
  const received = ReceivedDescriptor.isOne(given) ? given : null;
  if (received === null) checkNumber(given, "adopt");
  if (received !== null && !received.belongsTo(operations)) throw otherIOError();
  operations.check("adopt");
  const { backend } = operations;
  const found =
    received === null ? loadNative().kindOf(given as number) : KIND_NUMBERS[received.kind ?? kind];
  if (found < 0) throw givenError("adopt", given as number, "fstat", found, backend);
  const name = received === null ? `descriptor ${given}` : "the received descriptor";
  const is = received === null ? kindName(found) : received.kind;
  if (is !== kind) throw kindError(name, is, kind);
  const descriptor = received === null ? session.adopt(given as number) : received.take();
  if (descriptor === null) throw closedError("adopt", name);
  if (descriptor === -constants.errno.EEXIST) throw ownedError(name);
  if (descriptor < 0) throw callError("adopt", "fcntl", descriptor, backend);
  const waits = kind === "pipe" || kind === "terminal" || kind === "device";
  if (received !== null && waits) session.setBlocking(descriptor);
  return new Adopter(operations, session).make(descriptor, kind, name) as Adopted[Kind];
}

function kindError(name: string, is: DescriptorKind | null, kind: DescriptorKind): IOError {
  const what = is === null ? "none of the kinds that can be adopted" : `of the kind "${is}"`;
  return new IOError({
    code: "ERR_IO_DESCRIPTOR_KIND",
    operation: "adopt",
    message: `adopt: ${name} is ${what}, and not "${kind}"`,
  });
}

function otherIOError(): IOError {
  return new IOError({
    code: "ERR_INVALID_ARG_VALUE",
    operation: "adopt",
    message:
      "adopt: a socket of another IO has received the descriptor. Call adopt() of that IO; " +
      "to hand the file or socket over, call its detach(), and adopt the number here",
  });
}

function ownedError(name: string): IOError {
  return new IOError({
    code: "ERR_IO_DESCRIPTOR_OWNED",
    operation: "adopt",
    message: `adopt: ${name} is one of this IO already`,
  });
}

/** See `IO.socketPair`. */
export function socketPair(
  operations: Operations,
  session: NativeSession,
  kind: "stream" | "datagram",
): [Socket, Socket] | [DatagramSocket, DatagramSocket] {
  oneOf(kind, { stream: true, datagram: true }, "the kind", "socketPair");
  operations.check("socketPair");
  const isStream = kind === "stream";
  const pair = session.openPair(isStream ? DESCRIPTOR_KIND_SOCKET : DESCRIPTOR_KIND_DATAGRAM);
  if (typeof pair === "number") {
    throw callError("socketPair", "socketpair", pair, operations.backend);
  }
  const adopter = new Adopter(operations, session);
  const make = (descriptor: Descriptor): unknown =>
    adopter.make(descriptor, isStream ? "socket" : "datagram", "");
  return pair.map(make) as [Socket, Socket] | [DatagramSocket, DatagramSocket];
}

/** See `IO.pipe`. */
export function openPipe(operations: Operations, session: NativeSession): [File, File] {
  operations.check("pipe");
  const pair = session.openPair(DESCRIPTOR_KIND_PIPE);
  if (typeof pair === "number") throw callError("pipe", "pipe2", pair, operations.backend);
  const ends = ["the end of a pipe that is read", "the end of a pipe that is written"];
  const only = ["reading", "writing"] as const;
  return pair.map(
    (descriptor, index) =>
      new File(operations, descriptor, ends[index] as string, false, only[index]),
  ) as [File, File];
}
